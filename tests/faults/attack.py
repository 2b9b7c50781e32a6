# SPDX-License-Identifier: Apache-2.0
"""Commands of which one process is killed at a place of its life (tests/faults/kill_at.c)."""
import os
import signal
import subprocess

from runtime import Runtime
from suite import WAIT_S, Failure, check


class Report:
    """What the watcher said. places: who -> how many it has seen; where: of the kill, or None."""

    def __init__(self, text):
        self.text, self.places, self.pids, self.where = text, {}, {}, None
        for line in text.splitlines():
            kind, *words = line.split()
            if kind == "killed":
                self.where = f"{words[3]} {words[4]}"
            elif kind == "count":
                self.pids[int(words[0])], self.places[int(words[0])] = int(words[1]), int(words[2])


class Watch:
    """A watcher that is about to be there. target: of kill-at, as its second argument."""

    def __init__(self, tool, target, place):
        self.read_fd, self.write_fd = os.pipe()
        self.stream = os.fdopen(self.read_fd, "r", encoding="ascii")
        self.words = [tool, str(self.write_fd), str(target), str(place)]

    def started(self):
        """The watcher has its own descriptor now, and says who it is."""
        os.close(self.write_fd)
        self.write_fd = -1
        line = self.stream.readline().split()
        check(line[:1] == ["watcher"], f"kill-at said {line}")
        self.pid = int(line[1])

    def finish(self):
        """It lets go of whatever it still watches; then all it has seen."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        with self.stream as s:
            return Report(s.read())


class Attacker(Runtime):
    """The runtime, whose next command is watched if `watch` is set."""

    def __init__(self, world, tool):
        super().__init__(world)
        self.tool, self.watch = tool, None

    def popen(self, *arguments, cwd=None, **streams):
        watch, self.watch = self.watch, None
        if watch is None:
            return super().popen(*arguments, cwd=cwd, **streams)
        process = subprocess.Popen([*watch.words, *self.words(*arguments)], cwd=cwd or self.world.scratch, env=self.environment,
                                   start_new_session=True, pass_fds=[watch.write_fd], **streams)
        watch.started()
        return process

    def command(self, *arguments, **more):
        """As ever; a command that was killed has -9 as code, and no failure is made of that. From 126 on it is a container's."""
        result = super().command(*arguments, **more)
        check(result.code in (0, -signal.SIGKILL) or result.code >= 126 or result.code > 0 and result.err.strip(),
              f"{result}: crashed, or failed without a word")
        return result

    def attach(self, pid, place):
        """Watch a process that runs; None: it is gone."""
        watch = Watch(self.tool, f"pid:{pid}", place)
        done = subprocess.run(watch.words, pass_fds=[watch.write_fd], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, check=False, timeout=WAIT_S)
        if done.returncode != 0:
            os.close(watch.write_fd)
            watch.stream.close()
            if os.path.exists(f"/proc/{pid}"):
                raise Failure(f"kill-at {pid}: {done.stderr!r}")
            return None
        watch.started()
        return watch
