#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices of a guest, caisson on softhv beside QEMU's TCG with virtio-mmio (microvm) and virtio-pci (q35), alternating.

All get the same kernel, the same initial ramdisk (one static program, tests/bench/io/init.c) and the same words of the
kernel's command line; disks and folders are in memory where there is room, so that the host's disk is not what is
measured. Prints medians and never judges.
"""
import argparse
import collections
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "boot"))
import boot  # noqa: E402

MIB = 1 << 20
FILE_BYTES = 256 * MIB
STREAM_BYTES = 64 * MIB
MEMORY_MIB = 512
LIMIT_S = 90
TAP, HOST_ADDRESS, INET_PORT, VSOCK_PORT = "bench0", "10.99.0.1", 5000, 1000
# The devices of caisson and of q35 are on PCI.
WORDS = boot.WORDS.replace("pci=off ", "")

Row = collections.namedtuple("Row", "group item label unit amount few many")


def bytes_row(group, item, label, amount=FILE_BYTES):
    return Row(group, item, label, "MB/s", amount, 16 * MIB, 80 * MIB)


def requests_row(group, item, label):
    return Row(group, item, label, "us", 2000, 200, 1200)


ROWS = [
    bytes_row("blk", "blk-read", "blk: read, direct, 1 MiB blocks"),
    bytes_row("blk", "blk-write", "blk: write, direct, 1 MiB blocks"),
    requests_row("blk", "blk-latency", "blk: random read of 4 KiB, direct"),
    bytes_row("fs", "fs-read", "fs: read a file, 1 MiB blocks", STREAM_BYTES),
    bytes_row("fs", "fs-write", "fs: write a file, 1 MiB blocks", STREAM_BYTES),
    requests_row("fs", "fs-open", "fs: open, fstat, close"),
    bytes_row("vsock", "vsock-send", "vsock/serial: guest to host", STREAM_BYTES),
    bytes_row("vsock", "vsock-receive", "vsock/serial: host to guest", STREAM_BYTES),
    requests_row("vsock", "vsock-echo", "vsock/serial: 64 bytes and back"),
    bytes_row("net", "tcp-send", "net: TCP, guest to host", STREAM_BYTES),
    bytes_row("net", "tcp-receive", "net: TCP, host to guest", STREAM_BYTES),
    requests_row("net", "udp-echo", "net: UDP, 64 bytes and back"),
]
GROUPS = ["blk", "fs", "vsock", "net"]


class Unavailable(Exception):
    pass


# ---- What stands beside a guest ----

class Place:
    """Files of this bench, and the processes beside one guest."""

    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.share = os.path.join(folder, "share")
        self.disk = os.path.join(folder, "disk")
        self.initrd = os.path.join(folder, "initrd")
        os.mkdir(self.share)
        with open(args.init, "rb") as f, open(self.initrd, "wb") as out:
            out.write(boot.cpio([("dev", 0o40755, b""), ("init", 0o100755, f.read())]))
        with open(os.path.join(self.share, "small"), "wb") as f:
            f.write(b"small\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def fill(self, group):
        """Pages that are there: a hole would be read faster than data, and written slower."""
        path = {"blk": self.disk, "fs": os.path.join(self.share, "data")}.get(group)
        if path is not None and not os.path.exists(path):
            with open(path, "wb") as f:
                for _ in range(FILE_BYTES // MIB):
                    f.write(os.urandom(4096) * (MIB // 4096))

    def empty(self, group):
        for path in {"blk": [self.disk], "fs": [os.path.join(self.share, n) for n in ("data", "out")]}.get(group, []):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def helper(command, patience_s=0, **more):
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             **more)
    try:
        yield child
        # Daemons end with their guest, and what they have forked with them.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


@contextlib.contextmanager
def peer(place, kind, sock):
    with sock, helper([place.args.init, "peer", kind, str(sock.fileno())], pass_fds=[sock.fileno()]):
        yield


def listening(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(address)
    s.listen(4)
    return s


@contextlib.contextmanager
def unix_peer(place, path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with peer(place, "stream", listening(socket.AF_UNIX, path)):
        yield


@contextlib.contextmanager
def inet_peers(place):
    if place.args.no_net:
        raise Unavailable(place.args.no_net)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((HOST_ADDRESS, INET_PORT))
    with peer(place, "datagram", datagrams), \
            peer(place, "stream", listening(socket.AF_INET, (HOST_ADDRESS, INET_PORT))):
        yield


def make_tap():
    """None, or why there is no TAP; needs a network namespace of our own, which scripts/bench gives us."""
    for command in (f"tuntap add dev {TAP} mode tap vnet_hdr", f"addr add {HOST_ADDRESS}/24 dev {TAP}",
                    f"link set {TAP} up"):
        try:
            r = subprocess.run(["ip"] + command.split(), stderr=subprocess.PIPE)
        except FileNotFoundError:
            return "there is no ip (iproute2)"
        if r.returncode != 0:
            return f"ip {command}: {r.stderr.decode().strip()}"
    return None


# ---- Monitors: each is a context manager for one guest of a group, and gives its command ----

class Caisson:
    name = "caisson"

    def item(self, row):
        return row.item

    @contextlib.contextmanager
    def guest(self, place, group, items):
        command = [place.args.caisson, "run", "--hv", "soft", "--kernel", place.args.kernel, "--initrd", place.initrd,
                   "--memory", str(MEMORY_MIB), "--no-default-args", "--append", f"{WORDS} io={items}",
                   "--console", "-", "--no-tty", "--timings", "--ready-timeout", "0"]
        vsock = place.path("vsock")
        with contextlib.ExitStack() as stack:
            if group == "vsock":
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(vsock)
                stack.enter_context(unix_peer(place, f"{vsock}_{VSOCK_PORT}"))
            if group == "net":
                stack.enter_context(inet_peers(place))
            command += {"blk": ["--disk", place.disk], "fs": ["--share", f"bench={place.share}"],
                        "vsock": ["--vsock", vsock], "net": ["--net", f"tap={TAP}"]}[group]
            yield command + ["--", "none"]


class Qemu:
    """name: the machine type; bus: how its virtio devices' names end."""

    def __init__(self, name, bus, options):
        self.name = name
        self.bus = bus
        self.options = options

    def item(self, row):
        return row.item.replace("vsock-", "serial-")

    @contextlib.contextmanager
    def guest(self, place, group, items):
        program = place.args.qemu
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program}; run 'scripts/packages install bench'")
        command = [program, "-M", f"{self.name},memory-backend=mem", "-object",
                   f"memory-backend-memfd,id=mem,size={MEMORY_MIB}M,share=on", "-accel", "tcg", "-cpu", "max", "-m",
                   str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
                   "-no-reboot", "-kernel", place.args.kernel, "-initrd", place.initrd, "-append",
                   f"{WORDS} {boot.QEMU_WORDS} io={items}"] + self.options
        with getattr(self, group)(place) as devices:
            yield command + devices

    @contextlib.contextmanager
    def blk(self, place):
        yield ["-drive", f"if=none,id=d,format=raw,file={place.disk}", "-device", f"virtio-blk-{self.bus},drive=d"]

    @contextlib.contextmanager
    def fs(self, place):
        program, path = place.args.virtiofsd, place.path("virtiofsd")
        if not os.access(program, os.X_OK):
            raise Unavailable(f"there is no {program}")
        with helper([program, "-f", f"--socket-path={path}", "--rlimit-nofile=0", "-o",
                     f"source={place.share},cache=auto,log_level=err"], patience_s=2) as daemon:
            end = time.monotonic() + 5
            while not os.path.exists(path):
                if daemon.poll() is not None or time.monotonic() > end:
                    raise Unavailable(f"virtiofsd: {last_line(daemon.stderr.read()) if daemon.poll() else 'no socket'}")
                time.sleep(0.01)
            yield ["-chardev", f"socket,id=c,path={path}", "-device", f"vhost-user-fs-{self.bus},chardev=c,tag=bench"]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    @contextlib.contextmanager
    def vsock(self, place):
        path = place.path("serial")
        with unix_peer(place, path):
            yield ["-device", f"virtio-serial-{self.bus}", "-chardev", f"socket,id=c,path={path}", "-device",
                   "virtserialport,chardev=c,name=bench"]

    @contextlib.contextmanager
    def net(self, place):
        with inet_peers(place):
            yield ["-netdev", f"tap,id=n,ifname={TAP},script=no,downscript=no,vnet_hdr=on", "-device",
                   f"virtio-net-{self.bus},netdev=n"]


# virtio-mmio is of the old kind unless it is told otherwise, and the old kind has no file systems.
MONITORS = [Caisson(), Qemu("microvm", "device", ["-global", "virtio-mmio.force-legacy=false"]), Qemu("q35", "pci", [])]


# ---- One guest ----

def family_cpu_s():
    """Seconds of processor time that the monitor, its daemon and its peer have had: of all processes below this one."""
    processes = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
            processes[int(name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    ticks, family = 0, {os.getpid()}
    while family:
        below = {pid: t for pid, (parent, t) in processes.items() if parent in family}
        ticks += sum(below.values())
        family = set(below)
    return ticks / os.sysconf("SC_CLK_TCK")


class Outcome:
    """What a guest said. ticks: of its TSC, seconds: of ours, between its two CLOCK lines."""

    def __init__(self):
        self.results = {}
        self.failures = {}
        self.exits = collections.Counter()
        self.clocks = []
        self.text = b""
        self.switches = 0
        self.begun = 0.0
        self.cpu = {}

    def take(self, line, now):
        self.text = (self.text + line)[-4000:]
        words = line.decode(errors="replace").split()
        if len(words) == 2 and words[0] == "CLOCK":
            self.clocks.append((int(words[1]), now))
        elif len(words) == 2 and words[0] == "BEGIN":
            self.begun = family_cpu_s()
        elif len(words) == 4 and words[0] == "RESULT":
            self.results[words[1]] = (int(words[2]), int(words[3]))
            self.cpu[words[1]] = family_cpu_s() - self.begun
        elif len(words) > 2 and words[0] == "FAIL":
            self.failures[words[1]] = " ".join(words[2:])
        elif words[:3] == ["caisson", "run:", "exits:"]:
            self.exits[" ".join(words[3:-1]).rstrip(":")] += int(words[-1])

    def why_not(self, item):
        return self.failures.get(item) or self.failures.get("all") or f"the guest ended early: {last_line(self.text)}"


def last_line(text):
    lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"[^ -~]", "?", lines[-1])[:160] if lines else "it said nothing"


def run(monitor, place, group, items):
    with monitor.guest(place, group, items) as command:
        if place.args.verbose:
            print("+", " ".join(command), file=sys.stderr)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        limit = threading.Timer(LIMIT_S, child.kill)
        limit.start()
        outcome = Outcome()
        for line in child.stdout:
            if place.args.verbose:
                sys.stderr.write(f"  {line.decode(errors='replace').rstrip()}\n")
            outcome.take(line, time.monotonic())
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        limit.cancel()
        outcome.switches = usage.ru_nvcsw
        return outcome


class Table:
    """(row, monitor's name) to values, or to the reason why there are none."""

    def __init__(self):
        self.raw = collections.defaultdict(list)
        self.why = {}
        self.count = {}
        self.cpu = collections.defaultdict(list)
        self.clock = collections.defaultdict(lambda: [0, 0.0])

    def add(self, rows, monitor, outcome):
        if len(outcome.clocks) == 2:
            (begin, t0), (end, t1) = outcome.clocks
            self.clock[monitor.name][0] += end - begin
            self.clock[monitor.name][1] += t1 - t0
        for row in rows:
            if monitor.item(row) in outcome.results:
                self.raw[row.item, monitor.name].append(outcome.results[monitor.item(row)])
                self.cpu[row.item, monitor.name].append(outcome.cpu[monitor.item(row)])
            else:
                self.why[row.item, monitor.name] = outcome.why_not(monitor.item(row))

    def value(self, row, name):
        """Median in the row's unit, or None. A tick is as long as all of the monitor's runs together say."""
        if (row.item, name) in self.why or not self.raw[row.item, name] or self.clock[name][0] == 0:
            return None
        tick_s = self.clock[name][1] / self.clock[name][0]
        rate = statistics.median(ticks * tick_s / amount for amount, ticks in self.raw[row.item, name])
        return 1e-6 / rate if row.unit == "MB/s" else rate * 1e6


def measure(place, group, table):
    rows = [r for r in ROWS if r.group == group]
    for _ in range(place.args.runs):
        for monitor in MONITORS:
            if any((r.item, monitor.name) in table.why for r in rows):
                continue
            place.fill(group)
            items = ",".join(f"{monitor.item(r)}:{r.amount}" for r in rows)
            try:
                table.add(rows, monitor, run(monitor, place, group, items))
            except (Unavailable, OSError) as e:
                table.why.update({(r.item, monitor.name): str(e) for r in rows})


def requests_of(row, amount):
    return amount / MIB if row.unit == "MB/s" else amount


class Count:
    """What one request (or block of 1 MiB) costs caisson: a guest with many of them, less one with few."""

    def __init__(self, few, many, requests):
        kinds = {kind: (many.exits[kind] - few.exits[kind]) / requests for kind in many.exits | few.exits}
        self.exits = sum(kinds.values())
        self.kinds = {kind: n for kind, n in kinds.items() if abs(n) >= 0.005}
        self.switches = (many.switches - few.switches) / requests


def count(place, row, table):
    few, many = (run(MONITORS[0], place, row.group, f"{row.item}:{n}") for n in (row.few, row.many))
    if row.item in few.results and row.item in many.results:
        table.count[row.item] = Count(few, many, requests_of(row, row.many - row.few))


# ---- Print ----

def number(value, width):
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{0 if value >= 1000 else 1}f}"


def ratio(row, ours, theirs):
    if ours is None or theirs is None:
        return f"{'-':>6}"
    return f"{ours / theirs if row.unit == 'MB/s' else theirs / ours:>6.2f}"


def print_head():
    print(f"{'':<33} {'':<4} {'caisson':>8}" + "".join(f" {m.name:>8} {'ratio':>6}" for m in MONITORS[1:]) +
          f" | {'exits':>5} {'switches':>8} | cpu us:" + "".join(f" {m.name:>7}" for m in MONITORS))


def cpu_us(row, table, name):
    """Of a request, or of 1 MiB."""
    seconds = table.cpu[row.item, name]
    return statistics.median(seconds) / requests_of(row, row.amount) * 1e6 if seconds else None


def print_group(group, table):
    for row in (r for r in ROWS if r.group == group):
        ours, c = table.value(row, "caisson"), table.count.get(row.item)
        text = f"{row.label:<33} {row.unit:<4} {number(ours, 8)}"
        for theirs in (table.value(row, m.name) for m in MONITORS[1:]):
            text += f" {number(theirs, 8)} {ratio(row, ours, theirs)}"
        text += f" | {c.exits:>5.2f} {c.switches:>8.1f} |" if c else f" | {'-':>5} {'-':>8} |"
        print(f"{text} {'':>7}" + "".join(f" {number(cpu_us(row, table, m.name), 7)}" for m in MONITORS), flush=True)


def print_notes(table):
    print("ratio: how many times as fast as the peer caisson is; above 1 it is faster, in MB/s and in us alike\n"
          "exits, switches: of caisson, for each request, or MiB where the unit is MB/s: the processors' exits, and\n"
          "voluntary switches of all threads; cpu: processor time for the same, virtiofsd and the host's peer included")
    for item, c in table.count.items():
        if c.kinds:
            print(f"exits of {item}: " + ", ".join(f"{kind} {n:.2f}" for kind, n in c.kinds.items()))
    for (item, name), why in table.why.items():
        print(f"not measured: {item} with {name}: {why}")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--caisson", required=True)
    p.add_argument("--qemu", default="qemu-system-x86_64")
    p.add_argument("--virtiofsd", default="/usr/lib/qemu/virtiofsd")
    p.add_argument("--init", required=True, help="static program: first process of guests, and their peer here")
    p.add_argument("--kernel", required=True)
    p.add_argument("--scratch", required=True, help="folder for files if /dev/shm has no room")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--no-net", default="", metavar="WHY")
    p.add_argument("--no-count", action="store_true", help="leave out exits and switches")
    p.add_argument("--verbose", action="store_true")
    p.add_argument("groups", nargs="*", metavar="GROUP", help=" ".join(GROUPS))
    a = p.parse_args()
    groups = a.groups or GROUPS
    if set(groups) - set(GROUPS):
        p.error(f"groups are {' '.join(GROUPS)}")
    if "net" in groups and not a.no_net:
        a.no_net = make_tap() or ""
    shm = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    in_memory = shm is not None and shm.f_bavail * shm.f_frsize > 3 * FILE_BYTES
    with tempfile.TemporaryDirectory(prefix="caisson-bench-", dir="/dev/shm" if in_memory else a.scratch) as folder:
        place, table = Place(a, folder), Table()
        where = "/dev/shm" if in_memory else a.scratch
        print(f"guests: 1 processor, {MEMORY_MIB} MiB; files in {where}; median of {a.runs}")
        print_head()
        for group in groups:
            measure(place, group, table)
            for row in (r for r in ROWS if r.group == group and not a.no_count):
                if (row.item, "caisson") not in table.why:
                    count(place, row, table)
            place.empty(group)
            print_group(group, table)
        print_notes(table)


main()
