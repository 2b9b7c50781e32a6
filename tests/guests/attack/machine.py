# SPDX-License-Identifier: Apache-2.0
"""Starts guests of tests/guests/attack with every device a sandbox can have, and measures what they cost the host."""
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

MIB = 1 << 20
MEMORY_MIB = 64
# What the process may hold beside the guest's memory: itself, decoded code of two processors, buffers of its devices.
OWN_MIB = 48
# Nobody waits longer than that for a guest to end: it makes the case fail.
LIMIT_S = 60
SECTORS = 1024
# Between two looks at a process while it runs.
SAMPLE_S = 0.02
KEPT_BYTES = 1 << 12
# Lines of the guest that mean something here.
WORDS = (b"ready", b"end")
# Whatever a guest does, so much is said of it on standard error at most.
ERR_BYTES, ERR_LINES = 16384, 60
FRAME_MIN, FRAME_MAX = 14, 65550
SANITIZER_WORDS = ("AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer")


class Failure(Exception):
    """Something did not hold."""


def check(holds, what):
    if not holds:
        raise Failure(what)


# ---- The host's side of devices -------------------------------------------------------------------------------------


class Peers:
    """A network stack that checks and drops frames, and programs that listen on sockets of the guest: on port 5000 one
    that reads, on 5001 one that never reads, on 5002 one that sends back what comes."""

    def __init__(self, folder):
        self.selector = selectors.DefaultSelector()
        self.wrong = []
        self.over = False
        self.accepted = 0
        self.frames = b""
        self.sockets = []
        self.listen(f"{folder}/net", self.net)
        for port, taker in ((5000, self.read), (5001, None), (5002, self.echo)):
            self.listen(f"{folder}/vsock_{port}", taker)
        self.waker, waken = socket.socketpair()
        self.selector.register(waken, selectors.EVENT_READ, None)
        self.sockets += [self.waker, waken]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def listen(self, path, taker):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(2048)
        self.sockets.append(s)
        self.selector.register(s, selectors.EVENT_READ, lambda s: self.accept(s, taker))

    def accept(self, listener, taker):
        s, _ = listener.accept()
        self.accepted += 1
        s.setblocking(False)
        self.sockets.append(s)
        if taker is not None:
            self.selector.register(s, selectors.EVENT_READ, taker)

    def read(self, s):
        return self.take(s, 1 << 16)

    def take(self, s, most):
        """What has come; at the end of it the socket is forgotten."""
        try:
            data = s.recv(most)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(s)
            s.close()
            self.sockets.remove(s)
        return data

    def echo(self, s):
        data = self.take(s, 1 << 12)
        try:
            if data:
                s.send(data)
        except OSError:
            pass

    def net(self, s):
        """Each frame behind its length. What the guest says of it is in no header any more."""
        self.frames += self.take(s, 1 << 18)
        while len(self.frames) >= 4:
            (n,) = struct.unpack_from(">I", self.frames)
            if not FRAME_MIN <= n <= FRAME_MAX:
                self.wrong.append(f"a frame of {n} bytes came out of the guest")
                self.frames = b""
                return
            if len(self.frames) < 4 + n:
                return
            self.frames = self.frames[4 + n :]

    def serve(self):
        while not self.over:
            for key, _ in self.selector.select():
                if key.data is not None:
                    key.data(key.fileobj)

    def end(self):
        self.over = True
        self.waker.send(b"x")
        self.thread.join()
        for s in self.sockets:
            s.close()
        self.selector.close()
        check(not self.wrong, "; ".join(self.wrong))


# ---- What the kernel says of a process ------------------------------------------------------------------------------


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) / 1024


def cpu_s(pid):
    """Processor time of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


# ---- Guests ---------------------------------------------------------------------------------------------------------


def sector(i):
    return bytes([i & 0xFF]) * 512


class Folder:
    """Of one run: images, a shared folder, and beside it what no guest may reach."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        self.disk = b"".join(sector(i) for i in range(SECTORS))
        for name in ("disk.img", "ro.img"):
            self.write(name, self.disk)
        os.mkdir(f"{path}/share")
        self.write("share/file", b"a file\n")
        os.mkdir(f"{path}/share/folder")
        self.write("secret", b"not for guests\n")

    def write(self, name, content):
        with open(f"{self.path}/{name}", "wb") as f:
            f.write(content)

    def read(self, name):
        with open(f"{self.path}/{name}", "rb") as f:
            return f.read()

    def options(self):
        p = self.path
        return ["--disk", f"{p}/disk.img,queues=2", "--disk", f"{p}/ro.img,ro", "--share", f"tag={p}/share,cache=none",
                "--vsock", f"{p}/vsock", "--net", f"stream={p}/net", "--rng", "--balloon", "16M", "--virtio-console",
                "--packed-rings"]

    def judge(self):
        check(self.read("ro.img") == self.disk, "the read-only disk was written to")
        check(os.path.getsize(f"{self.path}/disk.img") == len(self.disk), "the disk's size has changed")
        check(self.read("secret") == b"not for guests\n", "a file outside of the shared folder was changed")
        expected = {"disk.img", "ro.img", "share", "secret", "net", "console", "vsock_5000", "vsock_5001", "vsock_5002"}
        left = set(os.listdir(self.path)) - expected
        check(not left, f"left in the folder: {left}")

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Guest:
    """A caisson that runs a guest. What it says on its console is looked at while it runs, and mostly thrown away."""

    def __init__(self, caisson, image, case, path, cpus=2, devices=True, options=()):
        self.folder = Folder(path)
        self.peers = Peers(path) if devices else None
        os.mkfifo(f"{path}/console")
        self.console = os.open(f"{path}/console", os.O_RDWR | os.O_NONBLOCK)
        words = [caisson, "run", "--hv=soft", "--kernel", image, "--protocol", "linux64", "--memory", f"{MEMORY_MIB}M",
                 "--cpus", str(cpus), "--no-default-args", "--append", case, "--console", f"{path}/console"]
        words += (self.folder.options() if devices else []) + list(options) + ["--", "x"]
        self.process = subprocess.Popen(words, cwd=path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.console, selectors.EVENT_READ, self.read_console)
        self.selector.register(self.process.stderr, selectors.EVENT_READ, self.read_err)
        self.until = time.monotonic() + LIMIT_S
        self.text, self.said, self.err = b"", 0, b""
        self.heard, self.lost = set(), b""
        self.ended = False
        self.next_sample = 0.0
        self.threads, self.descriptors, self.resident = set(), 0, 0.0
        self.peak_mib = 0.0
        self.code = None

    def read_console(self):
        data = os.read(self.console, 1 << 16)
        self.said += len(data)
        self.text = (self.text + data)[-KEPT_BYTES - len(data):]
        self.heard.update(word for word in WORDS if word not in self.heard and word + b"\n" in self.text)
        if b"\nlost: " in self.text and not self.lost:
            self.lost = self.text
        self.text = self.text[-KEPT_BYTES:]

    def read_err(self):
        data = self.process.stderr.read()
        self.err += data or b""
        if not data:
            self.selector.unregister(self.process.stderr)
            self.ended = True

    def sample(self):
        """While it runs; a process that has just ended is no failure."""
        try:
            self.threads.add(threads_of(self.process.pid))
            self.descriptors = max(self.descriptors, descriptors_of(self.process.pid))
            self.resident = resident_mib(self.process.pid)
        except (OSError, TypeError):
            pass

    def step(self, what):
        left = self.until - time.monotonic()
        check(left > 0, f"{what} within {LIMIT_S} s; the console's end: {self.text[-400:]!r}")
        for key, _ in self.selector.select(min(left, 0.05)):
            key.data()

    def wait_for(self, word):
        """Until the guest has said a line. False: the process ended before."""
        while word.encode() not in self.heard and not self.ended:
            self.step(f"the guest did not say '{word}'")
            if time.monotonic() >= self.next_sample and self.said > 0:
                self.next_sample = time.monotonic() + SAMPLE_S
                self.sample()
        return word.encode() in self.heard

    def interrupt(self):
        self.process.send_signal(signal.SIGTERM)

    def finish(self):
        """Wait for the end of the process; its exit code."""
        while not self.ended:
            self.step("caisson did not end")
        _, status, usage = os.wait4(self.process.pid, 0)
        self.peak_mib = usage.ru_maxrss / 1024
        self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
        while self.selector.get_map() and self.console_has_more():
            self.read_console()
        return self.code

    def console_has_more(self):
        return any(key.fd == self.console for key, _ in self.selector.select(0))

    def judge_words(self):
        """What is said on standard error is bounded, and one line of it says why the run ended."""
        text = self.err.decode(errors="replace")
        found = [w for w in SANITIZER_WORDS if w in text]
        check(not found, f"a report of the sanitizer:\n{text[-6000:]}")
        lines = text.split("\n")
        bounded = len(text) <= ERR_BYTES and len(lines) <= ERR_LINES
        check(bounded, f"{len(lines)} lines on standard error:\n{text[-3000:]}")
        return [line for line in lines if line.startswith("caisson")]

    def close(self):
        """However far it has come."""
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self.process.stderr.close()
        self.selector.close()
        os.close(self.console)
        try:
            if self.peers is not None:
                self.peers.end()
        finally:
            self.folder.remove()
