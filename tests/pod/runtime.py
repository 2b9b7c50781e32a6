# SPDX-License-Identifier: Apache-2.0
"""Driving an OCI runtime by its command line: caisson, or another one that the cases are to be tried on.

CAISSON: the program (build/dev/caisson). Containers of a world have its tag in their names and its folder in the
environment of their processes, so that what they leave on the host can be told from what others make there.
"""
import json
import os
import re
import subprocess
import time

from bundle import make_bundle, make_root, write_json
from suite import WAIT_S, Failure, World, check, chosen_kernel, need_root, program


class Result:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def __str__(self):
        return f"{' '.join(self.words)}: exit code {self.code}; output {self.out[-2000:]!r}; error {self.err[-3000:]!r}"

    def good(self):
        check(self.code == 0, str(self))
        return self

    def bad(self, *texts):
        """It failed, as an error does and not as a crash, and said why."""
        check(0 < self.code < 126 or self.code == 255, f"{self}: this should have failed")
        check(self.err.strip() != "", f"{self}: this failed without a word")
        for t in texts:
            check(t.lower() in self.err.lower(), f"{self}: the error does not say {t!r}")
        return self

    def text(self):
        return self.good().out.decode(errors="replace")


def is_caisson(binary):
    return "caisson" in os.path.basename(binary)


class Runtime:
    """Commands with a state folder of their own."""

    def __init__(self, world, root="state"):
        self.world = world
        self.binary = program("CAISSON", "build/dev/caisson")
        self.root = world.path(root)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "CAISSON_TEST": world.scratch,
                            "CAISSON_CONFIG": world.configuration()}

    def words(self, *arguments):
        return [self.binary, "--root", self.root, *arguments]

    def popen(self, *arguments, cwd=None, **streams):
        """Started, in a session of its own."""
        return subprocess.Popen(self.words(*arguments), cwd=cwd or self.world.scratch, env=self.environment,
                                start_new_session=True, **streams)

    def command(self, *arguments, stdin=None, cwd=None, stdout=subprocess.PIPE, seconds=WAIT_S, **more):
        """To its end. stdin: bytes. What it says on standard error goes through a file: a container may keep it open."""
        with open(self.world.path("stderr"), "w+b") as err:
            process = self.popen(*arguments, cwd=cwd, stdout=stdout, stderr=err,
                                 stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, **more)
            try:
                out, _ = process.communicate(stdin, seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
                err.seek(0)
                raise Failure(f"{' '.join(arguments)}: no end within {seconds} s; {out!r} {err.read()!r}") from None
            err.seek(0)
            return Result(arguments, process.returncode, out or b"", err.read().decode(errors="replace"))

    # ---- Operations --------------------------------------------------------------------------------------------------

    def run(self, name, bundle, *options, **more):
        return self.command("run", *options, "--bundle", bundle, name, **more)

    def create(self, name, bundle, *options, out=None, **more):
        """out: file for what the container says; standard error of both goes to "stderr"."""
        with open(out or os.devnull, "ab") as f:
            return self.command("create", *options, "--bundle", bundle, name, stdout=f, **more)

    def state(self, name):
        return json.loads(self.command("state", name).text())

    def status(self, name):
        """ "gone" if there is no such container."""
        result = self.command("state", name)
        return json.loads(result.out)["status"] if result.code == 0 else "gone"

    def wait_status(self, name, status, seconds=WAIT_S):
        until = time.monotonic() + seconds
        while self.status(name) != status:
            check(time.monotonic() < until, f"{name} is {self.status(name)}, and not {status}, after {seconds} s")
            time.sleep(0.05)

    def remove(self, *names):
        for name in names:
            self.command("delete", "--force", name).good()


# ---- What is left ---------------------------------------------------------------------------------------------------


def processes_with(text):
    """Processes that have the text in their environment: numbers, names and arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if text.encode() not in f.read():
                    continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] != "Z":
                    found.append(f"{pid} {words.strip()}")
        except OSError:
            continue
    return found


def lines_with(path, text):
    with open(path, encoding="utf-8", errors="replace") as f:
        return [line.strip() for line in f if text in line]


def folders_with(top, text):
    return [os.path.join(where, d) for where, names, _ in os.walk(top) for d in names if text in d]


def links_of_ours():
    """Network links that a pod makes in the namespace this is called in."""
    return [n for n in os.listdir("/sys/class/net") if re.fullmatch(r"tap[0-9]+_csn", n)]


def left_behind(scratch, tag, roots=()):
    """Words for each thing on the host that containers with this tag and folder have left."""
    found = [f"process {p}" for p in processes_with(scratch)]
    found += [f"mount {m}" for m in lines_with("/proc/self/mountinfo", scratch)]
    found += [f"socket {s}" for s in lines_with("/proc/net/unix", scratch)]
    found += [f"cgroup {c}" for c in folders_with("/sys/fs/cgroup", tag + "-")]
    for root in roots:
        found += [f"in the state folder: {n}" for n in (os.listdir(root) if os.path.isdir(root) else [])]
    return found


class PodWorld(World):
    """A runtime, a root of busybox that containers share, names that nobody else uses."""

    def prepare(self):
        super().prepare()
        need_root("pods, whose containers' files have owners,")
        self.tag = f"t{os.getpid()}"
        self.count = 0
        self.kernel = chosen_kernel()
        self.runtime = Runtime(self)
        self.image = make_root(self.path("image"))
        os.makedirs(self.path("bundles"))
        self.at_end(self.judge_end)

    def configuration(self):
        """The file that tells caisson what to boot."""
        path = self.path("config.json")
        if not os.path.exists(path):
            what = {"kernel": self.kernel.file("vmlinux"), "hv": "soft", "ready_timeout": 300}
            if self.kernel.modules():
                what["modules"] = self.kernel.modules()
            if self.kernel.skips():
                what["cmdline"] = self.kernel.skips()
            write_json(path, what)
        return path

    def name(self, word):
        """A container's name that is used once."""
        self.count += 1
        return f"{self.tag}-{self.count}-{word}"

    def bundle(self, name, spec, root=None):
        """root: folder of the root file system; None: the shared one."""
        if isinstance(spec, dict) and isinstance(spec.get("root"), dict) and spec["root"].get("path") == "rootfs":
            spec["root"]["path"] = root or self.image
        return make_bundle(self.path("bundles", name), spec)

    def judge_end(self):
        """Delete what failed cases have left, after it has been told of."""
        root = self.runtime.root
        left = left_behind(self.scratch, self.tag, [root])
        for name in os.listdir(root) if os.path.isdir(root) else []:
            self.runtime.command("delete", "--force", name)
        for line in left_behind(self.scratch, self.tag):
            if line.startswith("process "):
                os.kill(int(line.split()[1]), 9)
        check(not left, "\n".join(left))
