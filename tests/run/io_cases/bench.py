# SPDX-License-Identifier: Apache-2.0
"""What the cases of io_test share: guests with devices, and io-tool on the host beside them."""
import os
import selectors
import signal
import subprocess
import time

from boot.harness import DEADLINE_S, KERNELS, Bench, Failure, Running, check

IO_BYTES = int(os.environ.get("IO_BYTES") or 16 << 20)
VPS = (1, 4)
# Seconds that a guest may take, and a program of the host beside it: the more, the more bytes there are.
LIMIT_S = DEADLINE_S + (IO_BYTES >> 19)


def kernel_options(name):
    """Debian's kernels have their devices' drivers as modules."""
    modules = KERNELS[name].need().modules()
    return ["--modules", modules] if modules else []


class Host:
    """A program of ours on the host, whose standard output can be waited for."""

    def __init__(self, bench, words, stdin=subprocess.DEVNULL):
        self.words = words
        self.until = time.monotonic() + LIMIT_S
        self.out = b""
        self.process = subprocess.Popen(words, cwd=bench.folder, stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def step(self):
        """Take what it says; False at the end."""
        if not self.selector.select(max(0, self.until - time.monotonic())):
            raise Failure(f"host: {' '.join(self.words)}: no end within {LIMIT_S} s; so far: {self.out!r}")
        piece = os.read(self.process.stdout.fileno(), 65536)
        self.out += piece
        return bool(piece)

    def wait_for(self, text):
        while text not in self.out:
            check(self.step(), f"host: {' '.join(self.words)}: ended without {text!r}: {self.out!r}")
        return self

    def finish(self):
        """To its end, which has to be a good one. What it said."""
        while self.step():
            pass
        code = self.process.wait()
        check(code == 0, f"host: {' '.join(self.words)}: exit code {code}: {self.out.decode(errors='replace')}")
        return self.out

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.stdout.close()
        self.selector.close()


class IoBench(Bench):
    """With io-tool in the guest as a command and on the host by tool()."""

    def __init__(self, shared, folder):
        super().__init__(shared, folder)
        self.hosts = []

    def host(self, words, **more):
        """A program on the host that runs beside the guest; it is killed if it outlives the case."""
        self.hosts.append(Host(self, words, **more))
        return self.hosts[-1]

    def tool(self, *words):
        """io-tool beside the guest."""
        return self.host([self.shared.tool, *(str(w) for w in words)])

    def do(self, *words):
        """io-tool to its end."""
        return self.tool(*words).finish()

    def guest(self, name, vps, options, script, inside=(), stdin=subprocess.DEVNULL):
        """A running guest with one of the KERNELS. inside: words that run what follows them in a namespace."""
        kernel = KERNELS[name].need()
        words = self.words(kernel, ["--cpus", str(vps), *kernel_options(name), *options],
                           ["/bin/sh", "-c", "set -e; " + script])
        running = Running(self, [*inside, *words], stdin, subprocess.PIPE, subprocess.PIPE)
        running.until = time.monotonic() + LIMIT_S
        self.started.append(running)
        return running

    def in_guest(self, name, vps, options, script, **more):
        """To its good end; what it said on standard output."""
        return self.guest(name, vps, options, script, **more).finish().expect(0).out.decode(errors="replace")

    def make_dir(self, name):
        path = self.path(name)
        os.mkdir(path)
        return path

    def clean_up(self):
        for h in self.hosts:
            h.kill()
        super().clean_up()
