# SPDX-License-Identifier: Apache-2.0
"""One machine that has every device, on a terminal: each is used from both sides, so that the monitor's threads make
the calls that their rules are for. What comes of it is judged elsewhere (tests/run/io_test); here a device only has to
work."""
import fcntl
import os
import pty
import select
import signal
import socket
import stat
import struct
import sys
import termios
import threading
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "run"))
# pylint: disable=wrong-import-position
from boot import runner  # noqa: E402
from boot.harness import KERNELS, Failure, Skip, check, check_equal, cpio_entry, make_initrd  # noqa: E402
from io_cases.bench import IoBench, kernel_options  # noqa: E402
from io_cases.moving import HOST_CID, MAC  # noqa: E402
from io_cases.namespace import GUEST, HOST, tap_network  # noqa: E402

MIB = 1 << 20
SLOW_BYTES = 2 * MIB  # to a reader that waits: more than sockets hold
LIMIT_S = 240


class Stack:
    """Stands for a user-mode network stack: takes one connection, and sends back each frame that it gets."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection = self.listener.accept()[0]
        with connection, connection.makefile("rb") as f:
            while len(head := f.read(4)) == 4:
                frame = f.read(struct.unpack(">I", head)[0])
                try:
                    connection.sendall(head + frame)
                except OSError:
                    return


class Terminal:
    """A program on a terminal of its own, which it controls."""

    def __init__(self, words):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.until = time.monotonic() + LIMIT_S

    def step(self):
        """Take what it says; False: it has ended."""
        if not select.select([self.fd], [], [], max(0, self.until - time.monotonic()))[0]:
            raise Failure(f"no end within {LIMIT_S} s; so far: {self.seen.decode(errors='replace')}")
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += piece
        return bool(piece)

    def wait_for(self, text):
        while text not in self.seen:
            check(self.step(), f"ended without {text!r}: {self.seen.decode(errors='replace')}")

    def say(self, text):
        os.write(self.fd, text)

    def finish(self):
        while self.step():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def end(self):
        if self.pid != 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def network_parts(bench):
    """Words around caisson, its options, what the guest does; without the right to make a TAP, none of these."""
    try:
        network = tap_network(bench)
    except Skip as why:
        print(f"without networks: {why}")
        return (), [], ""
    stack = bench.path("stack")
    bench.stack = Stack(stack)
    echo = network.tool("udp-echo", 5002, 20)
    echo.wait_for(b"listening")
    options = ["--net", f"tap=tap0,mac={MAC}", "--net", f"stream={stack}"]
    script = f"""io-tool net-up eth0 {GUEST}/24; io-tool ping {HOST} 5; io-tool udp-ping {HOST} 5002 20
    ip link set eth1 up; ip addr add 198.51.100.1/24 dev eth1; ping -c 1 -W 1 198.51.100.2 || :"""
    return network.inside(), options, script


def socket_script(path):
    """Either side connects; the host's second reader waits, so that bytes have to be kept for it."""
    return path, f"""io-tool vsock-send {HOST_CID} 5000 {MIB} 1
    io-tool vsock-send {HOST_CID} 5001 {SLOW_BYTES} 2 & slow=$!
    io-tool vsock-serve-send 5002 {MIB} 3
    if io-tool vsock-send {HOST_CID} 5009 1 1 2>/dev/null; then exit 9; fi
    wait $slow"""


def uses_every_device(name):
    def case(bench):
        image, folder, console, path = bench.path("disk"), bench.make_dir("folder"), bench.path("console"), bench.path("v")
        go = bench.path("go")
        os.mkfifo(go)
        bench.do("fill", image, 8 * MIB, 1)
        around, options, network = network_parts(bench)
        readers = [bench.tool("vsock-serve-recv", f"unix:{path}", 5000, MIB, 1),
                   bench.tool("vsock-serve-recv", f"--after={go}", f"unix:{path}", 5001, SLOW_BYTES, 2)]
        for r in readers:
            r.wait_for(b"listening")
        options += ["--tty", "--cpus", "2", "--memory", "320M", "--rng", "--virtio-console", "--console", console, "--balloon", "32M",
                    "--vsock", path, "--disk", image + ",queues=2", "--share", f"s={folder}"]
        script = f"""set -e
        io-tool check --direct /dev/vda {MIB} 1; io-tool fill /dev/vda {MIB} 2; sync; blkdiscard /dev/vda
        mkdir /m; mount -t virtiofs s /m; df /m; io-tool posix /m/guest >/dev/null; cat /m/guest/* >/dev/null 2>&1 || :
        head -c 64 /dev/hwrng | wc -c; echo said on hvc0 >/dev/hvc0
        {network}
        {socket_script(path)[1]}
        umount /m; echo all used; read x; exit 7"""
        words = bench.words(KERNELS[name].need(), [*kernel_options(name), *options], ["/bin/sh", "-c", script])
        terminal = Terminal([*around, *words])
        try:
            use(bench, terminal, path, go)
            check_equal(terminal.finish(), 7, f"exit code; it said {terminal.seen.decode(errors='replace')}")
        finally:
            terminal.end()
        for r in readers:
            r.finish()

    return case


def use(bench, terminal, path, go):
    """The host's part while the guest runs, and what people do at terminals."""
    terminal.wait_for(b"listening at 5002")
    bench.do("vsock-recv", f"unix:{path}", 5002, MIB, 3)
    with open(go, "wb"):
        pass
    terminal.wait_for(b"all used")
    os.kill(terminal.pid, signal.SIGSTOP)
    os.waitpid(terminal.pid, os.WUNTRACED)
    os.kill(terminal.pid, signal.SIGCONT)
    fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    terminal.say(b"go on\n")


class Shared(runner.Shared):
    bench = IoBench

    def __init__(self, scratch):
        self.tool = runner.program("IO_TOOL", "build/dev/io-tool")
        with open(self.tool, "rb") as f:
            tool = cpio_entry("bin/io-tool", stat.S_IFREG | 0o755, f.read())
        super().__init__(scratch, make_initrd([tool]))


if __name__ == "__main__":
    kernel = os.environ.get("KERNEL") or "debian12"
    runner.main("machine", [(f"{kernel}_uses_every_device", uses_every_device(kernel))], Shared)
