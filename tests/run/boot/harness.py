# SPDX-License-Identifier: Apache-2.0
"""What the cases of boot_test share: running caisson in a folder of its own, judging what it leaves, the initial ramdisk.

A case is a function of one argument, a Bench. It returns when all holds and raises Failure or Skip otherwise.
"""
import os
import selectors
import shutil
import signal
import stat
import struct
import subprocess
import time

# For one run, seconds. A guest of ours is up in one to eight; the rest is for machines that do other things as well.
DEADLINE_S = 200
READY_S = 120


class Failure(Exception):
    """Something did not hold."""


class Skip(Exception):
    """What the case needs is not here."""


def check(holds, what):
    if not holds:
        raise Failure(what)


def check_equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r} in place of {wanted!r}")


# ---- Kernels and the initial ramdisk --------------------------------------------------------------------------------


# What Debian's kernels prepare for purposes that no guest of ours has: tracing, statistics of the allocator, entropy from
# jitter, keys for what is signed. It is a quarter of their start on softhv. Cases about a kernel's start leave it in.
NEEDLESS = ("initcall_blacklist=trace_eval_init,tracer_init_tracefs,init_kprobe_trace,init_uprobe_trace,slab_sysfs_init,"
            "slab_late_init,jent_mod_init,load_system_certificate_list,ftrace_check_for_weak_functions")


def fewer(several, count):
    """The first of several ways to see the same: all of them, unless FEWER is set, as it is in scripts/check."""
    return list(several)[:count] if os.environ.get("FEWER") else list(several)


class Kernel:
    """A folder made by scripts/guest-kernel."""

    def __init__(self, name):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.name = name
        self.folder = os.path.join(cache, "caisson", "guest-kernels", name)

    def is_here(self):
        return os.path.exists(os.path.join(self.folder, "ok"))

    def need(self):
        if not self.is_here():
            raise Skip(f"no kernel {self.name} here: 'scripts/guest-kernel {self.name}' makes it")
        return self

    def file(self, name):
        self.need()
        return os.path.join(self.folder, name)

    def modules(self):
        """Folder of its modules, None if it has none. WHOLE_KERNELS=1: as Debian ships them."""
        if self.name == "tailored":
            return None
        lean = self.file("lean")
        return lean if os.path.isdir(lean) and not os.environ.get("WHOLE_KERNELS") else self.file("modules")

    def skips(self):
        """Words for its command line that make it start faster. WHOLE_KERNELS=1: none."""
        return "" if self.name == "tailored" or os.environ.get("WHOLE_KERNELS") else NEEDLESS

    def release(self):
        with open(self.file("release"), encoding="ascii") as f:
            return f.read().strip()


KERNELS = {name: Kernel(name) for name in ("debian12", "debian13", "tailored")}


def quickest_kernel():
    """For cases to which the kernel does not matter."""
    return KERNELS["tailored"] if KERNELS["tailored"].is_here() else KERNELS["debian12"].need()


def with_words(options, words):
    """Options of a run whose kernel gets further words: the last --append counts, and these come after its own."""
    options = list(options)
    if not words or "--no-default-args" in options:
        return options
    if "--append" not in options:
        return [*options, "--append", words]
    options[options.index("--append") + 1] += " " + words
    return options


def cpio_entry(name, mode, content=b""):
    """One member of a "newc" archive."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def is_static(program):
    """An ELF file for 64 bits that names no interpreter."""
    if program[:5] != b"\x7fELF\x02":
        return False
    offset, size, count = struct.unpack_from("<Q", program, 32) + struct.unpack_from("<HH", program, 54)
    return all(struct.unpack_from("<I", program, offset + i * size)[0] != 3 for i in range(count))


def make_initrd(more=()):
    """A root of busybox and links to it, as bytes. more: cpio_entry of what else is to be in it."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise Failure("no busybox on this machine: 'scripts/packages install guest' brings it")
    with open(busybox, "rb") as f:
        program = f.read()
    if not is_static(program):
        raise Failure(f"{busybox} is linked dynamically: 'scripts/packages install guest' brings busybox-static")
    applets = subprocess.run([busybox, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    archive = [cpio_entry(d, stat.S_IFDIR | 0o755) for d in ("bin", "etc", "root")]
    archive.append(cpio_entry("bin/busybox", stat.S_IFREG | 0o755, program))
    archive.append(cpio_entry("bin/locked", stat.S_IFREG | 0o644, b"not executable\n"))
    archive += [cpio_entry("bin/" + a, stat.S_IFLNK | 0o777, b"busybox") for a in applets if a != "busybox"]
    archive += more
    archive.append(cpio_entry("TRAILER!!!", 0))
    return b"".join(archive)


# ---- Runs -----------------------------------------------------------------------------------------------------------


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def expect(self, code, out=None):
        """The exit code, and the whole standard output if given."""
        check(self.code == code, f"exit code {self.code} in place of {code}; standard error:\n{self.err[-6000:]}")
        if out is not None:
            check_equal(self.out, out, "standard output")
        return self

    def says(self, *texts):
        for t in texts:
            check(t in self.err, f"standard error does not say {t!r}:\n{self.err[-6000:]}")
        return self


def session_members(session):
    """Processes of a session, except for those that have ended: numbers and names."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        if rest[0] != "Z" and int(rest[3]) == session:
            found.append(f"{pid} ({name})")
    return found


class Running:
    """A caisson that has been started; finish() or kill() ends it. out and err grow as it is waited for."""

    def __init__(self, bench, words, stdin, stdout, stderr, preexec=None):
        self.bench = bench
        self.until = time.monotonic() + DEADLINE_S
        self.text = {"out": b"", "err": b""}
        environment = {"PATH": "/usr/bin:/bin", "TMPDIR": bench.folder, "LC_ALL": "C"}
        self.process = subprocess.Popen(words, cwd=bench.folder, env=environment, start_new_session=True, stdin=stdin,
                                        stdout=stdout, stderr=stderr, preexec_fn=preexec)
        self.streams = selectors.DefaultSelector()
        for name, pipe in (("out", self.process.stdout), ("err", self.process.stderr)):
            if pipe is not None:
                self.streams.register(pipe, selectors.EVENT_READ, name)

    def kill(self):
        """Only for runs that have failed: nothing may be left of them either."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def step(self, why):
        """Take what has come on any stream."""
        ready = self.streams.select(max(0, self.until - time.monotonic()))
        if not ready:
            raise Failure(f"{why} within {DEADLINE_S} s; so far: {self.text!r}")
        for key, _ in ready:
            piece = os.read(key.fd, 65536)
            self.text[key.data] += piece
            if not piece:
                self.streams.unregister(key.fileobj)

    def wait_for(self, stream, text):
        """Until the stream has said it."""
        while text not in self.text[stream]:
            check(self.streams.get_map(), f"ended without {text!r} on {stream}; so far: {self.text!r}")
            self.step(f"no {text!r} on {stream}")

    def signal(self, number):
        self.process.send_signal(number)

    def close(self, stream):
        """Our end of "out" or "err": who writes there meets a broken pipe."""
        pipe = self.process.stdout if stream == "out" else self.process.stderr
        self.streams.unregister(pipe)
        pipe.close()

    def finish(self):
        """Wait for the end, look for what is left, return the Result."""
        while self.streams.get_map():
            self.step("did not end")
        try:
            code = self.process.wait(max(1, self.until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"did not end within {DEADLINE_S} s; so far: {self.text!r}") from None
        check_equal(session_members(self.process.pid), [], "processes left behind")
        return Result(code, self.text["out"], self.text["err"].decode(errors="replace"))


class Bench:
    """A case's own folder, which is current folder and TMPDIR of the runs in it."""

    def __init__(self, shared, folder):
        self.shared = shared
        self.folder = folder
        self.known = set()
        self.started = []
        os.mkdir(folder)

    def path(self, name, content=None):
        """Of a file in the folder that may be there at the end; with content it is written now."""
        self.known.add(name)
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        return path

    def words(self, kernel, options, command, initrd=True, image="vmlinux", whole=False):
        """The whole command line. kernel: a Kernel, or the path of a file. whole: it starts as users start it."""
        file = kernel.file(image) if isinstance(kernel, Kernel) else kernel
        if isinstance(kernel, Kernel) and not whole:
            options = with_words(options, kernel.skips())
        words = [self.shared.caisson, "run", "--hv=soft", f"--ready-timeout={READY_S}", "--kernel", file]
        words += ["--initrd", self.shared.initrd] if initrd else []
        return words + list(options) + ["--"] + list(command)

    def start(self, kernel, options, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
              preexec=None, **more):
        running = Running(self, self.words(kernel, options, command, **more), stdin, stdout, stderr, preexec)
        self.started.append(running)
        return running

    def run(self, kernel, options, command, stdin=None, **more):
        """To the end. stdin: bytes."""
        source = subprocess.DEVNULL
        if stdin is not None:
            self.path("stdin", stdin)
            source = open(os.path.join(self.folder, "stdin"), "rb")
        try:
            return self.start(kernel, options, command, stdin=source, **more).finish()
        finally:
            if stdin is not None:
                source.close()

    def shell(self, kernel, options, script, **more):
        return self.run(kernel, options, ["/bin/sh", "-c", script], **more)

    def crash(self, kernel, options):
        """The Result of a guest that says "before" and crashes when that has arrived: a crash takes with it what is on
        its way."""
        words = ["/bin/sh", "-c", "echo before; read go; echo c >/proc/sysrq-trigger; sleep 1000"]
        running = self.start(kernel, options, words, stdin=subprocess.PIPE)
        running.wait_for("out", b"before\n")
        running.process.stdin.write(b"go\n")
        running.process.stdin.flush()
        return running.finish()

    def end(self):
        """Nothing may be there that no case named."""
        left = sorted(set(os.listdir(self.folder)) - self.known)
        check_equal(left, [], "files left behind")

    def clean_up(self):
        for r in self.started:
            if r.process.returncode is None:
                r.kill()
            for pipe in (r.process.stdin, r.process.stdout, r.process.stderr):
                if pipe is not None:
                    pipe.close()
            r.streams.close()
        shutil.rmtree(self.folder, ignore_errors=True)
