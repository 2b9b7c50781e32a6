# SPDX-License-Identifier: Apache-2.0
"""Verified images for tests: made by scripts/verity-image, taken apart and spoilt here, judged by veritysetup."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pod"))
# pylint: disable=wrong-import-position
from suite import ROOT, check, need  # noqa: E402

BLOCK = 4096
# Offsets in a superblock: cryptsetup's wiki, "DMVerity".
FIELDS = {"signature": 0, "version": 8, "hash type": 12, "uuid": 16, "algorithm": 32, "data block size": 64, "hash block size": 68,
          "data blocks": 72, "salt size": 80, "first padding": 82, "salt": 88, "second padding": 344}


def need_tools():
    need("mkfs.erofs", "erofs-utils")
    return need("veritysetup", "cryptsetup-bin")


def dump(path, offset):
    """What veritysetup reads in a superblock: its lines as a dictionary."""
    words = [need_tools(), "dump", f"--hash-offset={offset}", path]
    lines = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


class Image:
    """A verified image and its root hash. Copies of it are spoilt, never itself."""

    def __init__(self, path, source, salt=None):
        need_tools()
        words = [os.path.join(ROOT, "scripts", "verity-image"), *(["--salt", salt] if salt else []), source, path]
        done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(done.returncode == 0, f"scripts/verity-image: {done.stderr}")
        self.path, self.root = path, done.stdout.strip()
        with open(path, "rb") as f:
            self.bytes = f.read()
        # The last one: files of an image may hold images.
        self.offset = self.bytes.rfind(b"verity\0\0\1\0\0\0\1\0\0\0")
        check(self.offset > 0 and self.offset % BLOCK == 0, f"{path} has no superblock that this test finds")

    def find(self, content):
        """Where a file's bytes are in the image; they have to be there once."""
        at = self.bytes.find(content)
        check(at >= 0 and self.bytes.find(content, at + 1) < 0, "a file's content is not in the image once")
        return at

    def spoilt(self, name, at, bit=0):
        """A copy with one bit changed; its path."""
        changed = bytearray(self.bytes)
        changed[at] ^= 1 << bit
        return self.written(name, changed)

    def written(self, name, content):
        path = os.path.join(os.path.dirname(self.path), name)
        with open(path, "wb") as f:
            f.write(content)
        return path


def other_bit(root, digit=0):
    """A root hash with one bit changed."""
    return root[:digit] + f"{int(root[digit], 16) ^ 1:x}" + root[digit + 1:]
