# SPDX-License-Identifier: Apache-2.0
"""Streams, signals, terminal, settings and modules: what the command sees, and what comes back from it."""
import fcntl
import hashlib
import lzma
import os
import pty
import shutil
import signal
import struct
import termios

from .harness import KERNELS, check, check_equal, fewer, quickest_kernel

# The shell of busybox runs a trap while it waits for a child, and not while it reads.
WAIT = "sleep 1000 & wait $!"


# ---- Pipes ----------------------------------------------------------------------------------------------------------


def input_comes_back(bench):
    size = fewer((1 << 18, 1 << 20), 1)[-1]
    sent = b"".join(hashlib.sha256(i.to_bytes(4, "little")).digest() for i in range(size // 32))
    result = bench.run(quickest_kernel(), [], ["cat"], stdin=sent).expect(0)
    check_equal(len(result.out), len(sent), "bytes that came back")
    check(result.out == sent, "the bytes that came back are not those that were sent")


def input_that_ends_at_once(bench):
    bench.shell(quickest_kernel(), [], "wc -c", stdin=b"").expect(0, b"0\n")


def output_and_error_stay_apart(bench):
    result = bench.shell(quickest_kernel(), [], "echo to out; echo to err >&2").expect(0, b"to out\n")
    check_equal(result.err, "to err\n", "standard error")


def output_is_not_cut(bench):
    result = bench.shell(quickest_kernel(), [], "seq 10000").expect(0)
    check(result.out == b"".join(b"%d\n" % i for i in range(1, 10001)), f"{len(result.out)} bytes of output")


def output_nobody_reads(bench):
    running = bench.start(quickest_kernel(), [], ["/bin/sh", "-c", "while echo y; do :; done 2>/dev/null; exit 5"])
    running.wait_for("out", b"y\n")
    running.close("out")
    result = running.finish()
    # The shell of busybox leaves SIGPIPE at its default and dies of it.
    check_equal(result.code, 128 + signal.SIGPIPE, "exit code of a command whose output is closed")


# ---- Exit codes -----------------------------------------------------------------------------------------------------


def exits_with(code):
    def case(bench):
        bench.shell(quickest_kernel(), [], f"exit {code}").expect(code, b"")

    return case


def command_that_is_missing(bench):
    bench.run(quickest_kernel(), [], ["no-such-command"]).expect(127, b"").says("no-such-command")


def command_that_cannot_run(bench):
    bench.run(quickest_kernel(), [], ["/bin/locked"]).expect(126, b"").says("/bin/locked")


def killed_by(number):
    def case(bench):
        bench.shell(quickest_kernel(), [], f"kill -{number} $$").expect(128 + number, b"")

    return case


# ---- Signals --------------------------------------------------------------------------------------------------------


def passes_on(number, name):
    def case(bench):
        script = f"trap 'echo got {name}; exit 9' {name}; echo up; {WAIT}"
        running = bench.start(quickest_kernel(), [], ["/bin/sh", "-c", script])
        running.wait_for("out", b"up\n")
        running.signal(number)
        running.finish().expect(9, f"up\ngot {name}\n".encode())

    return case


def dies_of(number):
    def case(bench):
        # exec: the shell of busybox would end the command itself, with a code of its own choice.
        running = bench.start(quickest_kernel(), [], ["/bin/sh", "-c", "echo up; exec sleep 1000"])
        running.wait_for("out", b"up\n")
        running.signal(number)
        running.finish().expect(128 + number, b"up\n")

    return case


# ---- Terminal -------------------------------------------------------------------------------------------------------


class Terminal:
    """A pseudo-terminal whose slave is a run's input, output and error, and its controlling terminal."""

    def __init__(self, rows, columns):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(self, bench, kernel, options, script):
        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        running = bench.start(kernel, options, ["/bin/sh", "-c", script], stdin=self.slave, stdout=self.slave,
                              stderr=self.slave, preexec=take_terminal)
        # What the program writes is read at our end.
        running.streams.register(self.master, 1, "out")
        return running

    def finish(self, running):
        """The end of the run is no end of the stream: we hold the slave open to look at its settings."""
        running.wait_for("out", b"the end")
        running.streams.unregister(self.master)
        result = running.finish()
        check_equal(termios.tcgetattr(self.slave), self.before, "settings of the terminal after the run")
        return result

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def with_terminal(body):
    def case(bench):
        terminal = Terminal(33, 77)
        try:
            body(bench, terminal)
        finally:
            terminal.close()

    return case


@with_terminal
def terminal_has_the_size(bench, terminal):
    running = terminal.start(bench, quickest_kernel(), [], "stty size; [ -t 0 ] && [ -t 2 ] && echo 'the end'; exit 4")
    result = terminal.finish(running).expect(4)
    check(b"33 77\r\n" in result.out, f"the terminal said {result.out!r}")


@with_terminal
def terminal_is_resized(bench, terminal):
    script = f"trap 'stty size; echo the end; exit 6' WINCH; echo up; {WAIT}"
    running = terminal.start(bench, quickest_kernel(), [], script)
    running.wait_for("out", b"up\r\n")
    terminal.resize(50, 132)
    result = terminal.finish(running).expect(6)
    check(b"50 132\r\n" in result.out, f"the terminal said {result.out!r}")


@with_terminal
def control_c_interrupts(bench, terminal):
    script = f"trap 'echo the end; exit 7' INT; echo up; {WAIT}"
    running = terminal.start(bench, quickest_kernel(), [], script)
    running.wait_for("out", b"up\r\n")
    os.write(terminal.master, b"\x03")
    terminal.finish(running).expect(7)


@with_terminal
def terminal_is_restored_after_a_failure(bench, terminal):
    running = terminal.start(bench, quickest_kernel(), ["--append", "rdinit=/bin/sh -c true"], "true")
    running.wait_for("out", b"caisson run: ")
    running.text["out"] += b"the end"
    terminal.finish(running).expect(113)


# ---- Settings -------------------------------------------------------------------------------------------------------


def settings_reach_the_command(bench):
    options = ["--env", "FRUIT=a pear", "--env", "EMPTY=", "--cwd", "/etc", "--hostname", "barge"]
    script = 'echo "$FRUIT,${EMPTY-unset},${HOME-unset}"; pwd; hostname'
    bench.shell(quickest_kernel(), options, script).expect(0, b"a pear,,unset\n/etc\nbarge\n")


def folder_that_is_missing(bench):
    bench.run(quickest_kernel(), ["--cwd", "/nowhere"], ["true"]).expect(126, b"").says("/nowhere")


def console_goes_to_a_file(bench):
    console = bench.path("console")
    options = ["--console", console, "--append", "loglevel=7"]
    bench.shell(quickest_kernel(), options, "echo to the session; echo to the console >/dev/console").expect(
        0, b"to the session\n")
    with open(console, "rb") as f:
        text = f.read()
    check(b"Linux version " in text and b"to the console" in text, f"the console had {len(text)} bytes: {text[:500]!r}")


# ---- Modules --------------------------------------------------------------------------------------------------------

# Debian 13 has virtio_pci built in.
WANTED = {"debian12": {"virtio_pci", "vsock"}, "debian13": {"virtio_blk", "vsock"}}


def with_modules(bench, folder):
    """Options for modules of drivers, and for the devices that these drive."""
    disk = bench.path("disk", bytes(1 << 20))
    return ["--modules", folder, "--disk", disk, "--vsock", bench.path("vsock")]


def loaded(result):
    return {line.split()[0] for line in result.expect(0).out.decode().splitlines()[1:]}


def loads_modules(name):
    def case(bench):
        kernel = KERNELS[name]
        result = bench.run(kernel, with_modules(bench, kernel.file("modules")), ["lsmod"])
        check(WANTED[name] <= loaded(result), f"loaded are {sorted(loaded(result))}")

    return case


def compress_modules(folder, to, names):
    """A copy of the folder in which modules with these names are packed with xz, as Debian 13 ships them."""
    os.mkdir(to)
    for table in ("modules.builtin", "modules.softdep", "modules.alias"):
        shutil.copy(os.path.join(folder, table), to)
    with open(os.path.join(folder, "modules.dep"), encoding="ascii") as f:
        text = f.read()
    for path in (line.split(":")[0] for line in text.splitlines()):
        if os.path.basename(path)[: -len(".ko")].replace("-", "_") not in names:
            continue
        os.makedirs(os.path.dirname(os.path.join(to, path)), exist_ok=True)
        with open(os.path.join(folder, path), "rb") as f:
            # The kernel's own unpacker knows CRC32 and dictionaries up to 1 MiB (lib/decompress_unxz.c).
            packed = lzma.compress(f.read(), check=lzma.CHECK_CRC32,
                                   filters=[{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 20}])
        with open(os.path.join(to, path + ".xz"), "wb") as f:
            f.write(packed)
    with open(os.path.join(to, "modules.dep"), "w", encoding="ascii") as f:
        f.write(text.replace(".ko", ".ko.xz"))


def loads_compressed_modules(bench):
    kernel = KERNELS["debian13"]
    folder = kernel.file("modules")
    plain = loaded(bench.run(kernel, with_modules(bench, folder), ["lsmod"]))
    check(WANTED["debian13"] <= plain, f"loaded without compression are {sorted(plain)}")
    packed = bench.path("packed")
    compress_modules(folder, packed, plain)
    result = bench.run(kernel, with_modules(bench, packed), ["lsmod"])
    check_equal(loaded(result), plain, "modules that were loaded")


def modules_of_another_kernel(bench):
    console = bench.path("console")
    options = ["--modules", KERNELS["debian13"].file("modules"), "--console", console]
    result = bench.run(KERNELS["debian12"], options, ["lsmod"])
    check_equal(loaded(result), set(), "modules that were loaded")
    with open(console, "rb") as f:
        check(b"guest-init: warning: " in f.read(), "no warning on the console")


CASES = [
    ("input_comes_back_through_cat", input_comes_back),
    ("input_that_ends_at_once_is_an_end", input_that_ends_at_once),
    ("output_and_error_stay_apart", output_and_error_stay_apart),
    ("output_is_not_cut_at_the_end", output_is_not_cut),
    ("output_nobody_reads_ends_the_command", output_nobody_reads),
]
CASES += [(f"exit_code_{code}_comes_back", exits_with(code)) for code in (0, 7, 255)]
CASES += [
    ("exit_code_127_for_a_command_that_is_missing", command_that_is_missing),
    ("exit_code_126_for_a_command_that_cannot_run", command_that_cannot_run),
]
CASES += [(f"death_by_signal_{n}_comes_back", killed_by(n)) for n in (9, 11)]
CASES += [(f"{name}_reaches_the_command", passes_on(n, name[3:])) for n, name in
          ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT"), (signal.SIGUSR1, "SIGUSR1"))]
CASES += [("SIGTERM_ends_a_command_that_does_not_catch_it", dies_of(signal.SIGTERM)),
          ("SIGINT_ends_a_command_that_does_not_catch_it", dies_of(signal.SIGINT))]
CASES += [
    ("terminal_has_the_size_of_ours", terminal_has_the_size),
    ("terminal_follows_the_size_of_ours", terminal_is_resized),
    ("terminal_passes_control_c", control_c_interrupts),
    ("terminal_is_restored_after_a_failure", terminal_is_restored_after_a_failure),
    ("settings_reach_the_command", settings_reach_the_command),
    ("exit_code_126_for_a_folder_that_is_missing", folder_that_is_missing),
    ("console_goes_to_a_file", console_goes_to_a_file),
    ("debian12_loads_modules", loads_modules("debian12")),
    ("debian13_loads_compressed_modules", loads_compressed_modules),
    ("debian12_goes_on_without_modules_of_another_kernel", modules_of_another_kernel),
]
