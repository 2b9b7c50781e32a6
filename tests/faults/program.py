# SPDX-License-Identifier: Apache-2.0
"""A program under fault-inject: its functions, the places that its calls are made from, and runs with one fault."""
import errno
import os
import re
import selectors
import signal
import subprocess
import time

ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc"}
# What the program is to have done, fault or no fault. Many times what any run takes on a busy machine.
LIMIT_S = 20
# How long processes may live on after the one that was started.
GRACE_S = 5


def output_of(*words):
    return subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def symbols_of(archives):
    """Of object files and archives: names of functions, and, for those that other files do not see, (name, source file)."""
    names = set()
    for line in output_of("nm", "-A", "--defined-only", *archives).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "tTwW":
            source = os.path.basename(fields[0].split(":")[-2]).removesuffix(".o").removesuffix(".c") + ".c"
            names.add((fields[2], source) if fields[1] == "t" else fields[2])
    return names


class Functions:
    """Of a program with symbols, written to a file as fault-inject reads it. own, test: objects and archives whose code
    counts as the program's, and as that of a test which the program is."""

    def __init__(self, program, own, path, test=()):
        own, test = symbols_of(own), symbols_of(test) if test else set()
        found = {}
        file = ""
        for line in output_of("readelf", "-sW", program).splitlines():
            fields = line.split()
            if len(fields) >= 8 and fields[3] == "FILE":
                file = fields[7]
            if len(fields) < 8 or fields[3] != "FUNC" or fields[6] in ("UND", "ABS") or int(fields[2], 0) == 0:
                continue
            begin, size, name = int(fields[1], 16), int(fields[2], 0), fields[7]
            # A hidden function is local here as well.
            kind = "other"
            for names, word in ((test, "test"), (own, "own")):
                if name in names or (fields[4] == "LOCAL" and (name, file) in names):
                    kind = word
            kind = "allocator" if name in ALLOCATORS else kind
            if begin not in found or kind != "other":
                found[begin] = (begin, begin + size, kind, name)
        self.list = sorted(found.values())
        self.path = path
        self.program = program
        with open(path, "w", encoding="ascii") as f:
            f.writelines("%x %x %s %s\n" % row for row in self.list)

    def name_at(self, address):
        for begin, end, _, name in self.list:
            if begin <= address < end:
                return f"{name}+{address - begin:x}"
        return f"{address:x}"


class Place:
    """Where calls are made from. call: the name of a system call or of an allocator. target: of what moves bytes: a
    stream, which may move fewer, an event, or another."""

    def __init__(self, key, count, thread, target, call):
        self.key, self.count, self.thread, self.target, self.call = key, count, thread, target, call

    def addresses(self):
        return [int(a, 16) for a in self.key.split(":")[1].split(",")]

    def is_allocation(self):
        return self.call in ALLOCATORS


def call_names():
    """By number, from the kernel's header."""
    text = output_of("gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null")
    return {int(n): name for name, n in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


class Result:
    """Of a run. code: exit code, negative if a signal ended it, None if it did not end."""

    def __init__(self):
        self.code, self.out, self.err = None, b"", b""
        self.done = False  # the fault was injected
        self.thread = ""
        self.crashes = []
        self.struck = []  # (signal, "own" or "test")
        self.lives_on = False  # processes were left behind
        self.places = []
        self.seconds = 0.0


class Runner:
    def __init__(self, injector, functions, depth):
        self.injector, self.functions, self.depth = injector, functions, depth
        self.names = call_names()

    def run(self, words, fault=None, **more):
        """fault: (place's key, which call from there, what) or None: list the places. more: cwd, stdin (bytes), env,
        and ready (called with the process, once the watcher is there)."""
        read, write = os.pipe()
        begin = time.monotonic()
        chosen = ["list"] if fault is None else [fault[0], str(fault[1]), str(fault[2])]
        process = subprocess.Popen([self.injector, self.functions.path, str(self.depth), str(write), *chosen, *words],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write],
                                   cwd=more.get("cwd"), env=more.get("env"), start_new_session=True)
        os.close(write)
        result = Result()
        try:
            self.attend(process, read, more.get("stdin", b""), result, begin, more.get("limit", LIMIT_S))
        finally:
            os.close(read)
        result.seconds = time.monotonic() - begin
        return result

    def attend(self, process, notes, stdin, result, begin, limit):
        """Until all is over."""
        said = {notes: b"", process.stdout.fileno(): b"", process.stderr.fileno(): b""}
        selector = selectors.DefaultSelector()
        for fd in said:
            selector.register(fd, selectors.EVENT_READ)
        try:
            process.stdin.write(stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass
        ended = None
        while selector.get_map():
            now = time.monotonic()
            if ended is None and process.poll() is not None:
                ended = now
            if now > (begin + limit if ended is None else ended + GRACE_S):
                break
            for key, _ in selector.select(0.05):
                data = os.read(key.fd, 1 << 16)
                said[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
        lines = said[notes].decode().splitlines()
        if selector.get_map():
            result.lives_on = True
            self.kill(lines)
        code = process.wait()
        result.code = code if ended is not None or not result.lives_on else None
        result.lives_on = result.lives_on and ended is not None
        result.out, result.err = said[process.stdout.fileno()], said[process.stderr.fileno()]
        process.stdout.close()
        process.stderr.close()
        selector.close()
        self.read_notes(lines, result)

    @staticmethod
    def kill(lines):
        """With its watcher everything dies."""
        for line in lines:
            if line.startswith("watcher "):
                try:
                    os.kill(int(line.split()[1]), signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def read_notes(self, lines, result):
        for fields in (line.split() for line in lines):
            if fields[0] == "place":
                what = fields[1].split(":")[0]
                call = self.names[int(what)] if what.isdigit() else what
                result.places.append(Place(fields[1], int(fields[2]), fields[3], fields[4], call))
            elif fields[0] == "done":
                result.done, result.thread = True, fields[2]
            elif fields[0] == "struck":
                result.struck.append((int(fields[1]), fields[2]))
            elif fields[0] == "crash":
                # What the program has killed itself, as a child that it cannot use, has not crashed.
                if int(fields[1]) != signal.SIGKILL:
                    result.crashes.append(int(fields[1]))


def fault_name(fault):
    return errno.errorcode[fault] if isinstance(fault, int) else fault
