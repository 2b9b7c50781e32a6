# SPDX-License-Identifier: Apache-2.0
"""The work of scripts/soak: sandboxes by the hundred, what they take, and what is left of them."""
import argparse
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "pod")]
# pylint: disable=wrong-import-position
import shim  # noqa: E402
import suite  # noqa: E402
from bundle import config  # noqa: E402
from host import adopt_orphans, held, in_namespace, read, things  # noqa: E402
from network import PluginNetwork  # noqa: E402
from runtime import PodWorld, Result, Runtime, left_behind  # noqa: E402
from suite import Failure, Skip, check  # noqa: E402

CRI = "io.kubernetes.cri."
FOREVER = ["sleep", "1000000"]
LIMIT_S = 600  # for one command: many others run at the same time
KINDS = {"pod": 5, "network": 1, "member": 2, "machine": 1, "shim": 1}  # shares
OVERHEAD_MIB = 96  # of a sandbox beside its guest's memory, at most
GROWTH_KIB = 16 * 1024  # of a process that was there all the time, beside a guest's memory: softhv's decoded code has so much


# ---- Commands, many at a time ---------------------------------------------------------------------------------------


class Parallel(Runtime):
    """Commands that know nothing of each other; how long each takes is noted."""

    def command(self, *arguments, stdin=None, cwd=None, stdout=subprocess.PIPE, seconds=LIMIT_S, **more):
        with tempfile.TemporaryFile() as err:
            process = self.popen(*arguments, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, **more)
            try:
                out, _ = process.communicate(None, seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise Failure(f"{' '.join(arguments)}: no end within {seconds} s") from None
            err.seek(0)
            return Result(arguments, process.returncode, out or b"", err.read().decode(errors="replace"))


class Ledger:
    """Times and failures by kind and step."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times, self.failures, self.done = {}, [], {}

    def take(self, kind, step, work, *arguments, **more):
        begin = time.monotonic()
        result = work(*arguments, **more)
        with self.lock:
            self.times.setdefault((kind, step), []).append(time.monotonic() - begin)
        return result

    def end(self, kind, failure):
        with self.lock:
            self.done[kind] = self.done.get(kind, 0) + 1
            if failure:
                self.failures.append(f"{kind}: {failure}")


# ---- Sandboxes ------------------------------------------------------------------------------------------------------


class Gate:
    """Lets few boot at a time, and each live until so many others have come after it."""

    def __init__(self, count, at_once, booting):
        self.count, self.at_once = count, at_once
        self.boots = threading.Semaphore(booting)
        self.changed = threading.Condition()
        self.started = self.alive = self.most = 0

    def up(self):
        with self.changed:
            self.started += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
            self.changed.notify_all()
            return self.started

    def stay(self, number):
        """Until as many run as shall at the same time, or no more come."""
        with self.changed:
            self.changed.wait_for(lambda: self.started >= min(number + self.at_once - 1, self.count))

    def down(self):
        with self.changed:
            self.alive -= 1


class SoakWorld(PodWorld):
    def __init__(self, scratch, options):
        super().__init__(scratch)
        self.options, self.ledger = options, Ledger()
        self.networks, self.shim, self.end_s = [], None, None
        self.gate = Gate(options.count, options.at_once, options.booting)

    def prepare(self):
        adopt_orphans()
        super().prepare()
        self.runtime = Parallel(self)
        self.runtime.environment["TMPDIR"] = self.folder("tmp")
        self.kinds = self.options.kinds
        if "shim" in self.kinds:
            self.start_containerd()
        if "member" in self.kinds:
            self.sandbox = self.name("stays")
            self.at_end(lambda: self.runtime.remove(self.sandbox))
            self.start(self.sandbox, self.spec(FOREVER, "sandbox", self.sandbox))
        self.initrd = self.path("root.cpio")
        with open(self.initrd, "wb") as f:
            f.write(suite.make_initrd())

    def start_containerd(self):
        try:
            self.shim = shim.start(self)
            self.at_end(self.end_containerd)
        except Skip as e:
            print(f"soak: without containerd's shim: {e}")
            self.kinds = [k for k in self.kinds if k != "shim"]

    def end_containerd(self):
        words = self.shim.close()
        check(not words, "; ".join(words))

    def spec(self, args, role=None, sandbox=None, network=None):
        spec = config(args)
        spec["annotations"] = {"io.caisson.memory": f"{self.options.memory}M"}
        if role:
            spec["annotations"].update({CRI + "container-type": role, CRI + "sandbox-id": sandbox})
        for namespace in spec["linux"]["namespaces"]:
            if network and namespace["type"] == "network":
                namespace["path"] = network.path()
        return spec

    def start(self, name, spec):
        self.runtime.create(name, self.bundle(name, spec)).good()
        self.runtime.command("start", name).good()

    # ---- One of each kind ----

    def pod(self, kind, name, network=None):
        bundle = self.bundle(name, self.spec(FOREVER, network=network))
        self.container(kind, name, bundle)

    def network(self, kind, name):
        network = PluginNetwork(Endings())
        try:
            before = in_namespace(network)
            self.pod(kind, name, network)
            after = in_namespace(network)
            check(after == before, f"{name}: its network namespace was {before}, and is {after}")
        finally:
            network.end()

    def member(self, kind, name):
        self.container(kind, name, self.bundle(name, self.spec(FOREVER, "container", self.sandbox)))

    def container(self, kind, name, bundle):
        take, run = self.ledger.take, self.runtime
        up = False
        try:
            with self.gate.boots:
                take(kind, "create", run.create, name, bundle).good()
            take(kind, "start", run.command, "start", name).good()
            number, up = self.gate.up(), True
            answer = take(kind, "exec", run.command, "exec", name, "echo", name).text()
            check(answer == name + "\n", f"{name}: exec said {answer!r}")
            self.gate.stay(number)
            take(kind, "kill", run.command, "kill", name, "KILL").good()
            run.wait_status(name, "stopped", LIMIT_S)
            take(kind, "delete", run.command, "delete", name).good()
        except BaseException:
            run.command("delete", "--force", name)
            raise
        finally:
            self.leave(up)

    def leave(self, up):
        if not up:
            self.gate.up()
        self.gate.down()

    def machine(self, kind, name):
        words = ["run", "--hv", "soft", "--kernel", self.kernel.file("vmlinux"), "--initrd", self.initrd, "--memory", f"{self.options.memory}M"]
        if self.kernel.name != "tailored":
            words += ["--modules", self.kernel.file("modules")]
        try:
            with self.gate.boots:
                said = self.ledger.take(kind, "run", self.runtime.command, *words, "--", "/bin/echo", name).text()
            check(said == name + "\n", f"{name}: it said {said!r}")
        finally:
            self.leave(False)

    def by_shim(self, kind, name):
        try:
            with self.gate.boots:
                said = self.ledger.take(kind, "run", self.shim.run, name, "/bin/echo", name, options=["--rm"]).text()
            check(said == name + "\n", f"{name}: it said {said!r}")
        finally:
            self.leave(False)

    def one(self, kind, name):
        if self.end_s is not None and time.monotonic() > self.end_s:
            self.leave(False)
            return
        work = {"pod": self.pod, "network": self.network, "member": self.member, "machine": self.machine, "shim": self.by_shim}[kind]
        try:
            work(kind, name)
            self.ledger.end(kind, None)
        except Exception as e:  # pylint: disable=broad-except
            self.ledger.end(kind, repr(e) if not isinstance(e, (Failure, Skip)) else str(e))

    # ---- Samples ----

    def long_lived(self):
        """Words -> pid of what is there all the time."""
        found = {}
        if "member" in self.kinds:
            with open(os.path.join(self.runtime.root, self.sandbox, "pod.pid"), encoding="utf-8") as f:
                found["pod that stays"] = json.load(f)["pid"]
            found["its container's process"] = self.runtime.state(self.sandbox)["pid"]
        if self.shim:
            found["containerd"] = self.shim.daemon.pid
        return found

    def kept(self):
        return set(self.long_lived().values())

    def all_things(self):
        found = things(self, self.kept())
        if self.shim:
            found |= set(left_behind(self.shim.scratch, self.shim.tag, [self.shim.path("runc")]))
        return found


class Endings:
    """What a network asks of a world; it is ended by who made it."""

    def at_end(self, ending):
        pass


# ---- The host -------------------------------------------------------------------------------------------------------


def count_folders(top):
    return sum(len(folders) for _, folders, _ in os.walk(top))


def host_sample():
    states = [read(f"/proc/{p}/stat").rpartition(")")[2].split() for p in os.listdir("/proc") if p.isdigit()]
    states = [s for s in states if s]
    return {"open files": int(read("/proc/sys/fs/file-nr").split()[0]), "processes": len(states), "threads": sum(int(s[17]) for s in states),
            "zombies": sum(s[0] == "Z" for s in states), "mounts": read("/proc/self/mountinfo").count("\n"),
            "cgroups": count_folders("/sys/fs/cgroup"), "network interfaces": len(os.listdir("/sys/class/net")),
            "unix sockets": read("/proc/net/unix").count("\n") - 1, "files in /dev/shm": sum(len(f) for _, _, f in os.walk("/dev/shm")),
            "files in /run": sum(len(f) for _, _, f in os.walk("/run")),
            "memory in use, MiB": (meminfo("MemTotal") - meminfo("MemAvailable")) // 1024}


def meminfo(name):
    """KiB."""
    return next(int(line.split()[1]) for line in read("/proc/meminfo").splitlines() if line.startswith(name + ":"))


# ---- Tables ---------------------------------------------------------------------------------------------------------


def rank(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def print_latencies(ledger):
    print(f"\n{'kind':<10}{'step':<10}{'times':>7}{'median':>10}{'p99':>10}{'longest':>10}")
    for (kind, step), times in sorted(ledger.times.items(), key=lambda t: list(KINDS).index(t[0][0])):
        print(f"{kind:<10}{step:<10}{len(times):>7}{rank(times, 0.5):>8.2f} s{rank(times, 0.99):>8.2f} s{max(times):>8.2f} s")


def print_host(before, after):
    print(f"\n{'on the whole host':<26}{'before':>10}{'after':>10}{'change':>10}")
    for what, value in before.items():
        print(f"{what:<26}{value:>10}{after[what]:>10}{after[what] - value:>+10}")


def print_long_lived(world, before, after):
    """Words about what grew. containerd is not ours: shown, and not judged but for descriptors."""
    words = []
    print(f"\n{'there all the time':<26}{'descriptors':>16}{'threads':>14}{'RSS, KiB':>18}{'PSS, KiB':>18}{'of it no guest':>18}")
    for who, was in before.items():
        now = after[who]
        print(f"{who:<26}" + "".join(f"{f'{was[k]} -> {now[k]}':>{n}}" for k, n in (("descriptors", 16), ("threads", 14), ("rss", 18), ("pss", 18), ("own", 18))))
        ours = who != "containerd"
        if now["descriptors"] > was["descriptors"] or ours and now["threads"] > was["threads"]:
            words.append(f"{who} holds more than before")
        if ours and now["own"] > was["own"] + GROWTH_KIB:
            words.append(f"{who} has grown by {now['own'] - was['own']} KiB")
    return words


# ---- The run --------------------------------------------------------------------------------------------------------


def draw_kinds(world, count):
    """Each in its share, in an order that the seed decides."""
    shares = [k for k in world.kinds for _ in range(KINDS[k])]
    kinds = [shares[i % len(shares)] for i in range(count)]
    random.Random(world.options.seed).shuffle(kinds)
    return kinds


def run_all(world, kinds, at_once):
    named = [(kind, world.name(kind)) for kind in kinds]
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once + world.options.booting) as pool:
        for i, _ in enumerate(concurrent.futures.as_completed([pool.submit(world.one, *n) for n in named])):
            if (i + 1) % 50 == 0:
                print(f"soak: {i + 1} of {len(named)} after {time.monotonic() - begin:.0f} s, {len(world.ledger.failures)} failures", flush=True)
    return time.monotonic() - begin


def sample(world):
    return host_sample(), world.all_things(), {who: held(pid) for who, pid in world.long_lived().items()}


def wait_for_rest(world, before):
    """Things that are there in excess: processes end a moment after the command that ended them."""
    until = time.monotonic() + 10
    while world.all_things() != before and time.monotonic() < until:
        time.sleep(0.1)
    return world.all_things()


def soak(world):
    options = world.options
    world.prepare()
    # One of each first: what is made once and kept, by the kernel or by a process, is no leak.
    first = Gate(len(world.kinds), 1, 1)
    world.gate, rest = first, world.gate
    run_all(world, world.kinds, 1)
    check(not world.ledger.failures, "the first of each kind: " + "; ".join(world.ledger.failures))
    world.ledger, world.gate = Ledger(), rest
    host, before, lived = sample(world)
    print(f"soak: {options.count} sandboxes of {options.memory} MiB, {options.at_once} at a time, {options.booting} booting; kernel {world.kernel.name}, "
          f"{os.cpu_count()} processors, load {read('/proc/loadavg').split()[0]}, seed {options.seed}", flush=True)
    world.end_s = time.monotonic() + 60 * options.minutes if options.minutes else None
    seconds = run_all(world, draw_kinds(world, options.count), options.at_once)
    left = wait_for_rest(world, before)
    host_after, _, lived_after = sample(world)
    ledger = world.ledger
    print(f"\nsoak: {sum(ledger.done.values())} sandboxes in {seconds:.0f} s, at most {world.gate.most} ran at once, load {read('/proc/loadavg').split()[0]}")
    print_latencies(ledger)
    print_host(host, host_after)
    words = print_long_lived(world, lived, lived_after)
    words += [f"left behind: {t}" for t in sorted(left - before)] + [f"missing: {t}" for t in sorted(before - left)]
    words += [f"failed: {f}" for f in ledger.failures[:10]]
    print(f"\nsoak: {len(ledger.failures)} failures, {len(left - before)} things left behind")
    return words


def parse():
    parser = argparse.ArgumentParser(prog="soak", add_help=False)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--booting", type=int, default=2 * os.cpu_count())
    parser.add_argument("--memory", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--kernel", default="")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.kinds = options.kinds.split(",")
    if not set(options.kinds) <= set(KINDS):
        parser.error(f"--kinds are of {', '.join(KINDS)}")
    return options


def main():
    options = parse()
    if options.kernel:
        os.environ["KERNEL"] = options.kernel
    options.memory = options.memory or (128 if suite.chosen_kernel().name == "tailored" else 256)
    room = meminfo("MemAvailable") // 1024 // 2 // (options.memory + OVERHEAD_MIB)
    options.at_once = options.at_once or max(1, min(50, room))
    with tempfile.TemporaryDirectory(prefix="caisson-test.") as scratch:
        os.chmod(scratch, 0o755)
        world = SoakWorld(scratch, options)
        words = []
        try:
            words = soak(world)
        except (Failure, Skip) as e:
            words = [str(e)]
        finally:
            words += world.close()
    print("\n".join(words + ["soak: " + ("leaks or failures" if words else "nothing is left")]))
    sys.exit(1 if words else 0)


if __name__ == "__main__":
    main()
