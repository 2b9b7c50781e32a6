# SPDX-License-Identifier: Apache-2.0
"""Data through each device, from both sides and in both directions, with each kernel and number of VPs.

A part is one device: what is prepared on the host, its options, what the guest does, what the host does meanwhile and
looks for afterwards. The tailored kernel boots for each part, so that a failure names the device; Debian's, which take
their time, boot once for all.
"""
import os

from boot.harness import KERNELS, check_equal

from .bench import IO_BYTES, VPS
from .namespace import GUEST, HOST, tap_network

MIB = 1 << 20
HOST_CID = 2
PINGS, DATAGRAMS = 200, 500
MAC = "02:00:00:00:00:07"


def side_by_side(vps, command):
    """A shell's words: the command once for each VP, $i being its number, at the same time; each has to end well."""
    return f"pids=; i=0; while [ $i -lt {vps} ]; do {command} & pids=\"$pids $!\"; i=$((i + 1)); done; " \
           "for p in $pids; do wait $p; done\n"


class Part:
    """Of these, parts have their own."""

    inside = ()  # words before the monitor's
    options = ()
    script = ""

    def __init__(self, bench, vps):
        self.bench, self.vps = bench, vps

    def meanwhile(self, running):
        """While the guest runs this part's script."""

    def afterwards(self):
        """Once the guest is gone."""


class Disk(Part):
    """Each VP's process has its own piece of the disk; it writes through the page cache and reads past it."""

    def __init__(self, bench, vps):
        super().__init__(bench, vps)
        self.image, self.piece = bench.path("disk"), max(IO_BYTES // vps // MIB, 1) * MIB
        for i in range(vps):
            bench.do("fill", f"--offset={i * self.piece}", self.image, self.piece, 10 + i)
        self.options = ["--disk", f"{self.image},queues={vps}"]
        words = f"--offset=$((i * {self.piece})) /dev/vda {self.piece}"
        self.script = side_by_side(vps, f"io-tool check --direct {words} $((10 + i))")
        self.script += side_by_side(vps, f"io-tool fill {words} $((20 + i))")

    def afterwards(self):
        check_equal(os.path.getsize(self.image), self.vps * self.piece, "size of the image")
        for i in range(self.vps):
            self.bench.do("check", f"--offset={i * self.piece}", self.image, self.piece, 20 + i)


class Share(Part):
    def __init__(self, bench, vps):
        super().__init__(bench, vps)
        self.folder, self.piece = bench.make_dir("folder"), IO_BYTES // vps
        for i in range(vps):
            bench.do("fill", f"{self.folder}/in{i}", self.piece, 30 + i)
        self.options = ["--share", f"s={self.folder},queues={vps}"]
        self.script = "mkdir /m; mount -t virtiofs s /m\n"
        self.script += side_by_side(vps, f"io-tool check /m/in$i {self.piece} $((30 + i))")
        self.script += side_by_side(vps, f"io-tool fill /m/out$i {self.piece} $((40 + i))")
        self.script += "echo 3 >/proc/sys/vm/drop_caches\n"
        self.script += side_by_side(vps, f"io-tool check /m/out$i {self.piece} $((40 + i))")

    def afterwards(self):
        for i in range(self.vps):
            self.bench.do("check", f"{self.folder}/out{i}", self.piece, 40 + i)


class Sockets(Part):
    """The four ways: either side connects, either side sends. With several VPs all at the same time."""

    def __init__(self, bench, vps):
        super().__init__(bench, vps)
        self.path, n = bench.path("v"), IO_BYTES
        self.hosts = [bench.tool("vsock-serve-recv", f"unix:{self.path}", 5000, n, 50),
                      bench.tool("vsock-serve-send", f"unix:{self.path}", 5001, n, 51)]
        for h in self.hosts:
            h.wait_for(b"listening")
        self.options = ["--vsock", self.path]
        commands = [f"vsock-send {HOST_CID} 5000 {n} 50", f"vsock-recv {HOST_CID} 5001 {n} 51",
                    f"vsock-serve-recv 5002 {n} 52", f"vsock-serve-send 5003 {n} 53"]
        if vps == 1:
            self.script = "".join(f"io-tool {c}\n" for c in commands)
        else:
            self.script = "jobs=; " + "".join(f"io-tool {c} & jobs=\"$jobs $!\"; " for c in commands)
            self.script += "for j in $jobs; do wait $j; done\n"

    def meanwhile(self, running):
        n = IO_BYTES
        for command, port, seed in (("vsock-send", 5002, 52), ("vsock-recv", 5003, 53)):
            running.wait_for("out", b"listening at %d\n" % port)
            self.hosts.append(self.bench.tool(command, f"unix:{self.path}", port, n, seed))

    def afterwards(self):
        for h in self.hosts:
            h.finish()


class Tap(Part):
    def __init__(self, bench, vps):
        super().__init__(bench, vps)
        queues, n = min(vps, 2), IO_BYTES
        self.network = tap_network(bench, "multi_queue" if queues > 1 else "")
        self.inside = self.network.inside()
        self.hosts = [self.network.tool("tcp-serve-recv", 5000, n, 80),
                      self.network.tool("tcp-serve-send", 5001, n, 81),
                      self.network.tool("udp-echo", 5002, DATAGRAMS)]
        for h in self.hosts:
            h.wait_for(b"listening")
        self.options = ["--net", f"tap=tap0,mac={MAC},queues={queues}"]
        self.script = f"""io-tool net-up eth0 {GUEST}/24 {HOST}; [ $(cat /sys/class/net/eth0/address) = {MAC} ]
        io-tool ping {HOST} {PINGS}; io-tool udp-ping {HOST} 5002 {DATAGRAMS}
        io-tool tcp-send {HOST} 5000 {n} 80; io-tool tcp-recv {HOST} 5001 {n} 81
        io-tool tcp-serve-recv 5004 {n} 82
        """

    def meanwhile(self, running):
        running.wait_for("out", b"listening at 5004\n")
        self.network.tool("ping", GUEST, PINGS).finish()
        self.network.tool("tcp-send", GUEST, 5004, IO_BYTES, 82).finish()

    def afterwards(self):
        for h in self.hosts:
            h.finish()


def moves_data(name, vps, kinds):
    def case(bench):
        KERNELS[name].need()
        parts = [kind(bench, vps) for kind in kinds]
        script = "".join(f"echo part {type(p).__name__}\n{p.script}" for p in parts)
        options = [word for p in parts for word in p.options]
        inside = [word for p in parts for word in p.inside]
        running = bench.guest(name, vps, options, script, inside=inside)
        for p in parts:
            p.meanwhile(running)
        result = running.finish()
        done = result.out.decode(errors="replace").split("part ")[-1]
        result.err = f"in the part {done}\n{result.err}"
        result.expect(0)
        for p in parts:
            p.afterwards()

    return case


PARTS = [Disk, Share, Sockets, Tap]
CASES = [(f"{k}_moves_data_on_{v}", moves_data(k, v, PARTS)) for k in KERNELS if k != "tailored" for v in VPS]
CASES += [(f"tailored_{p.__name__.lower()}_moves_data_on_{v}", moves_data("tailored", v, [p]))
          for p in PARTS for v in VPS]
