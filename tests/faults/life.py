# SPDX-License-Identifier: Apache-2.0
"""Lives of containers, in steps; in one of them a process is killed, and then everything is put in order and judged."""
import json
import os
import signal
import subprocess
import time

from attack import Watch
from bundle import config, mount
from host import start_of
from suite import WAIT_S, check, check_equal, wait_until

RECORD = 16
WRITING = 200  # places among which one is chosen while the guest writes: some seconds
# Each record is on the disk of the host, as far as the guest can tell, before its number is said.
WRITER = f"""i=0
while i=$((i+1)); do
  printf 'record %08d\\n' $i | dd of=$0 bs={RECORD} seek=$((i-1)) conv=notrunc,fsync 2>/dev/null || exit 1
  echo $i
  usleep 20000
done"""
CRI = "io.kubernetes.cri."


def judge_records(path, said, what):
    """What the writer has said that it wrote is there. said: path of its output."""
    with open(said, encoding="ascii", errors="replace") as f:
        numbers = [line for line in f.read().split("\n")[:-1] if line.isdigit()]
    with open(path, "rb") as f:
        bytes_there = f.read(RECORD * len(numbers))
    wanted = b"".join(b"record %08d\n" % (i + 1) for i in range(len(numbers)))
    check(bytes_there == wanted, f"{what}: the guest had written {len(numbers)} records to the end, and of {len(wanted)} bytes there are "
          f"{len(bytes_there)}, the same up to {len(os.path.commonprefix([bytes_there, wanted]))}")
    return len(numbers)


class Life:
    """A container in a pod of its own."""

    steps = ("create", "start", "write", "exec", "execd", "kill", "delete")
    victims = {"write": ("pod", "container"), "execd": ("command", "exec", "pod"), "delete": ("command", "pod")}

    def __init__(self, world):
        self.world, self.runtime = world, world.runtime
        self.name = world.name(self.word())
        self.volume, self.out = world.folder("volumes", self.name), world.path(self.name + ".out")
        self.bundle = world.bundle(self.name, self.spec())
        open(os.path.join(self.volume, "log"), "wb").close()

    @classmethod
    def word(cls):
        return cls.__name__.lower()

    @classmethod
    def places(cls):
        return [(cls, step, victim) for step in cls.steps for victim in cls.victims.get(step, ("command", "pod", "container"))]

    def spec(self):
        spec = config(["/bin/sh", "-c", WRITER, "/volume/log"])
        spec["mounts"].append(mount("/volume", "bind", "rbind", "rw", source=self.volume))
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network" and self.world.networks:
                namespace["path"] = self.world.networks[0].path()
        if self.world.kernel.name == "tailored":
            spec["annotations"] = {"io.caisson.memory": "128M"}
        return spec

    # ---- Steps ----

    @classmethod
    def before(cls, step):
        """Steps that come before it."""
        return cls.steps[: cls.steps.index(step)]

    def take(self, step):
        """Its Result; None for a step that is no command."""
        if step == "write":
            wait_until(lambda: self.records() >= 3, f"{self.name} writes records")
            return None
        if step == "create":
            return self.runtime.create(self.name, self.bundle, out=self.out)
        words = {"start": ["start", self.name], "exec": ["exec", self.name, "/bin/true"], "kill": ["kill", self.name, "KILL"],
                 "execd": ["exec", "--detach", self.name, "/bin/sleep", "1000"], "delete": ["delete", self.name]}[step]
        if step == "delete":
            self.runtime.wait_status(self.name, "stopped")
        # A process that stays keeps the command's streams.
        return self.runtime.command(*words, stdout=subprocess.DEVNULL if step == "execd" else subprocess.PIPE)

    def records(self):
        with open(self.out, "rb") as f:
            return f.read().count(b"\n")

    # ---- Victims ----

    def child_of(self, step, victim):
        """Number of the victim among the command's children, 0 for itself; None: it is there before the step."""
        if victim == "command":
            return 0
        return {("create", "pod"): 1, ("create", "container"): 2, ("execd", "exec"): 1}.get((step, victim))

    def process(self, victim):
        if victim == "container":
            return self.runtime.state(self.name)["pid"]
        with open(os.path.join(self.runtime.root, self.sandbox(), "pod.pid"), encoding="utf-8") as f:
            return json.load(f)["pid"]

    def sandbox(self):
        return self.name

    def watched(self, step, victim, place):
        """Take a step, in which the victim is killed at a place, or at the end: the report, the result."""
        if step == "write":
            return self.kill_while_writing(victim, place), None
        who = self.child_of(step, victim)
        if who is not None:
            watch = self.runtime.watch = Watch(self.runtime.tool, who, place)
        else:
            watch = self.runtime.attach(self.process(victim), place)
        result = self.take(step)
        report = watch.finish()
        pid = report.pids.get(who or 0)
        if report.where is None and pid is not None and start_of(pid) is not None:
            os.kill(pid, signal.SIGKILL)
        return report, result

    def kill_while_writing(self, victim, place):
        self.take("write")
        pid = self.process(victim)
        watch = self.runtime.attach(pid, place)
        wait_until(lambda: start_of(pid) is None, f"{victim} of {self.name} gets to its place {place}")
        return watch.finish()

    def count(self, step, victims):
        """Take a step in peace; victim -> how many places it had."""
        if step == "write":
            self.take(step)
            return dict.fromkeys(victims, WRITING)  # it goes on and on
        if step in ("create", "run"):
            victims = [v for v in victims if v != "pod"]
        running = [v for v in victims if self.child_of(step, v) is None]
        watches = {v: self.runtime.attach(self.process(v), 0) for v in running}
        born = {v: self.child_of(step, v) for v in victims if v not in running}
        numbers = ",".join(str(who) for who in sorted(born.values()))
        watch = self.runtime.watch = Watch(self.runtime.tool, numbers, 0) if born else None
        result = self.take(step)
        check(result is None or result.code == 0, str(result))
        counts = {v: w.finish().places.get(0, 1) for v, w in watches.items()}
        seen = watch.finish().places if watch is not None else {}
        counts.update({v: seen.get(who, 1) for v, who in born.items()})
        return counts

    # ---- Afterwards ----

    def put_in_order(self, step, victim, again):
        """Words for the report. again: make one of the same name before what is left is deleted."""
        self.runtime.command("list").good()
        words = []
        if again and step == "create":
            words.append(self.make_again())
        begin = time.monotonic()
        if step == "delete" and self.runtime.status(self.name) in ("stopped", "creating"):
            self.runtime.command("delete", self.name).good()
        else:
            self.runtime.command("delete", "--force", self.name).good()
        words.append(f"delete {time.monotonic() - begin:.1f} s")
        self.runtime.command("delete", "--force", self.name).good()
        self.runtime.command("delete", self.name).bad("does not exist")
        return ", ".join(words)

    def make_again(self):
        """What a create that was cut short has left goes; what it has made stays."""
        status = self.runtime.status(self.name)
        result = self.runtime.create(self.name, self.bundle, out=self.out)
        if status in ("created", "stopped"):
            result.bad("already exists")
            return f"create again: it is {status}"
        result.good()
        check_equal(self.runtime.status(self.name), "created", "status of the second one")
        return "create again: made"

    def judge(self):
        """Words for the report."""
        return f"{judge_records(os.path.join(self.volume, 'log'), self.out, 'volume')} records" if os.path.exists(self.out) else "no records"


class Member(Life):
    """A container in a sandbox that outlives it."""

    victims = {"write": ("container",), "execd": ("command", "exec"), "delete": ("command",)}

    @classmethod
    def places(cls):
        return [(cls, s, v) for s in cls.steps for v in cls.victims.get(s, ("command", "container"))]

    def spec(self):
        spec = super().spec()
        for namespace in spec["linux"]["namespaces"]:
            namespace.pop("path", None)
        spec["annotations"] = {CRI + "container-type": "container", CRI + "sandbox-id": self.sandbox()}
        return spec

    @classmethod
    def before(cls, step):
        """Only those that it takes: pods of their own go through all of them."""
        return [s for s in super().before(step) if s not in ("write", "exec", "execd")]

    def sandbox(self):
        return self.world.sandbox()

    def child_of(self, step, victim):
        return {("create", "container"): 1}.get((step, victim), super().child_of(step, victim) if victim != "container" else None)

    def put_in_order(self, step, victim, again):
        words = super().put_in_order(step, victim, again)
        # Nothing of it is left in the guest either, or this name would be taken there.
        self.runtime.create(self.name, self.bundle, out=self.out).good()
        self.runtime.command("delete", "--force", self.name).good()
        return words


class Foreground(Life):
    """`run`: the command is the container's process as well."""

    steps = ("run",)
    victims = {"run": ("command", "pod")}

    def child_of(self, step, victim):
        return {"command": 0, "pod": 1}[victim]

    def spec(self):
        spec = super().spec()
        spec["process"]["args"][2] = WRITER.replace("while", "while [ $i -lt 20 ] &&")
        return spec

    def take(self, step):
        with open(self.out, "ab") as f:
            return self.runtime.run(self.name, self.bundle, stdout=f)


class Machine(Life):
    """`caisson run` without containers: a kernel, a disk, a command."""

    @classmethod
    def before(cls, step):
        return ()

    steps = ("boot", "write")
    victims = {"boot": ("command",), "write": ("command",)}

    def spec(self):
        return {}

    def start(self):
        kernel = self.world.kernel
        words = ["run", "--hv", "soft", "--kernel", kernel.file("vmlinux"), "--initrd", self.world.initrd(), "--memory", "256M", "--disk",
                 os.path.join(self.volume, "log")]
        if kernel.name != "tailored":
            words += ["--modules", kernel.file("modules")]
        with open(os.path.join(self.volume, "log"), "r+b") as f:
            f.truncate(1 << 20)
        with open(self.out, "wb") as f:
            return self.runtime.popen(*words, "--", "/bin/sh", "-c", WRITER, "/dev/vda", stdin=subprocess.DEVNULL, stdout=f,
                                      stderr=subprocess.DEVNULL)

    def watched(self, step, victim, place):
        watch = None
        if step == "boot":
            watch = self.runtime.watch = Watch(self.runtime.tool, 0, place)
        process = self.start()
        try:
            wait_until(lambda: self.records() >= 3 or process.poll() is not None, "the machine writes")
            if step == "write":
                watch = self.runtime.attach(process.pid, place)
                process.wait(WAIT_S)
        finally:
            process.kill()
            process.wait()
        return watch.finish(), None

    def count(self, step, victims):
        if step == "write":
            return {"command": WRITING}
        watch = self.runtime.watch = Watch(self.runtime.tool, 0, 0)
        process = self.start()
        wait_until(lambda: self.records() >= 3 or process.poll() is not None, "the machine writes")
        report = watch.finish()
        process.kill()
        process.wait()
        return {"command": report.places[0]}

    def put_in_order(self, step, victim, again):
        return "nothing to delete"


LIVES = (Life, Member, Foreground, Machine)
