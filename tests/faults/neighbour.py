# SPDX-License-Identifier: Apache-2.0
"""A pod that has nothing to do with what happens beside it, and says so: it is asked all the time, and measured."""
import json
import os
import subprocess
import threading
import time

from bundle import config
from host import held, start_of
from suite import WAIT_S, check

EVERY_S = 0.1
MORE_MEMORY_KIB = 48 * 1024  # a guest that answers touches pages of its own, and these stay


class Neighbour:
    """In the foreground, so that its container's process is our child: `cat`, which gives back every line."""

    def __init__(self, world):
        self.name = world.name("neighbour")
        self.runtime = world.runtime
        spec = config(["cat"])
        spec["annotations"] = {"io.caisson.memory": "128M"} if world.kernel.name == "tailored" else {}
        self.log = open(world.path("neighbour.err"), "wb")
        self.process = self.runtime.popen("run", "--bundle", world.bundle(self.name, spec), self.name, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=self.log)
        self.ending = threading.Event()
        self.waits, self.trouble = [], None
        self.thread = threading.Thread(target=self.ask_again_and_again, daemon=True)
        self.before = None

    def ask(self):
        """One line there and back; seconds."""
        begin = time.monotonic()
        line = b"%d\n" % len(self.waits)
        os.write(self.process.stdin.fileno(), line)
        back = self.process.stdout.readline()
        check(back == line, f"the neighbour was told {line!r} and said {back!r}; {self.complaints()}")
        return time.monotonic() - begin

    def complaints(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def ask_again_and_again(self):
        while not self.ending.wait(EVERY_S):
            try:
                self.waits.append(self.ask())
            except Exception as e:  # pylint: disable=broad-except
                self.trouble = f"after {len(self.waits)} answers: {e}"
                return

    def pod(self):
        with open(os.path.join(self.runtime.root, self.name, "pod.pid"), encoding="utf-8") as f:
            return json.load(f)["pid"]

    def identity(self):
        return [(pid, start_of(pid)) for pid in (self.process.pid, self.pod())]

    def begin(self):
        """Measured from now on: it has answered a hundred times, so what it takes at first it has."""
        for _ in range(100):
            self.ask()
        self.before = self.identity(), held(self.pod())
        self.thread.start()

    def judge(self):
        """At any time: it is the same, and it answers."""
        asked = len(self.waits)
        until = time.monotonic() + WAIT_S
        while len(self.waits) == asked and self.trouble is None and time.monotonic() < until:
            time.sleep(0.01)
        check(self.trouble is None and len(self.waits) > asked, f"the neighbour does not answer: {self.trouble}")
        check(self.identity() == self.before[0], f"the neighbour's processes were {self.before[0]}, and are {self.identity()}")

    def judge_what_it_holds(self):
        """Words for the report."""
        before, now = self.before[1], held(self.pod())
        for what in ("descriptors", "threads"):
            check(now[what] == before[what], f"the neighbour had {before[what]} {what}, and has {now[what]}")
        check(now["rss"] < before["rss"] + MORE_MEMORY_KIB, f"the neighbour had {before['rss']} KiB, and has {now['rss']}")
        waits = sorted(self.waits)
        return (f"the neighbour answered {len(waits)} times: median {waits[len(waits) // 2] * 1e3:.1f} ms, longest {waits[-1] * 1e3:.0f} ms; "
                f"resident {before['rss']} KiB before, {now['rss']} after; {now['descriptors']} descriptors, {now['threads']} threads")

    def end(self):
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join(WAIT_S)
        self.process.stdin.close()
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        self.log.close()
        check(code == 0, f"the neighbour ended with {code}")
