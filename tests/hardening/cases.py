# SPDX-License-Identifier: Apache-2.0
"""Named cases in a row, with the lines that scripts/run-tests counts."""
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

sys.dont_write_bytecode = True
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "guests"))
# pylint: disable=wrong-import-position
from attack import machine  # noqa: E402
from attack.machine import Failure, check  # noqa: E402,F401


class Skip(Exception):
    """This machine lacks what the case needs."""


def run(cases, words):
    """cases: (function, what it gets) in order. words: only those whose name contains one of them. Returns an exit code."""
    count = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for case, subject in cases:
        name = case.__name__
        if words and not any(w in name for w in words):
            continue
        print(f"[ RUN      ] {name}", flush=True)
        result, why = "PASSED", ""
        try:
            case(subject)
        except Skip as e:
            result, why = "SKIPPED", str(e)
        except Failure as e:
            result, why = "FAILED", str(e)
        except Exception:  # pylint: disable=broad-exception-caught
            result, why = "FAILED", traceback.format_exc()
        count[result] += 1
        if why:
            print(why)
        if result != "PASSED":
            print(f"[ {result:^8} ] {name}")
    for result, n in count.items():
        if n or result == "PASSED":
            print(f"[ {result:^8} ] {n} test(s).")
    return 1 if count["FAILED"] else 0


def outside_of_jail(caisson):
    """Options for a machine that is not in the jail, if there is one."""
    words = subprocess.run([caisson, "help", "run"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return ["--no-jail"] if "--no-jail" in words else []


class Machine:
    """A guest that has used every device it has, and stands still on both of its processors; the process is stopped."""

    def __init__(self, caisson, image, case="busy", options=()):
        self.scratch = tempfile.mkdtemp(prefix="caisson-hardening-")
        try:
            self.guest = machine.Guest(caisson, image, case, os.path.join(self.scratch, "guest"), options=options)
        except BaseException:
            shutil.rmtree(self.scratch)
            raise
        self.pid = self.guest.process.pid
        self.has_said_end = self.guest.wait_for("end")
        if not self.has_said_end:
            self.guest.finish()
            words = (self.guest.err, self.guest.text)
            self.close()
            raise Failure(f"the guest did not do its work: {words}")

    def close(self):
        self.guest.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
