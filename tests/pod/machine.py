# SPDX-License-Identifier: Apache-2.0
"""A guest whose agent is reached by hybrid vsock, started by `caisson run` alone: no pod process, nothing between."""
import os
import re
import subprocess
import threading
import time

import protos as protocol
import ttrpc
from bundle import CAPABILITIES, PATH, make_root
from suite import WAIT_S, Failure, World, chosen_kernel, need_root, program

PORT, LOG_PORT = 1024, 1025
SHARED = "/run/caisson/shared"
MIB = 1 << 20
MAC = "52:54:00:12:34:56"


class Machine:
    """The guest. sandbox(): of the agent, made by CreateSandbox with the shared folder; None of it is made before.

    more: further words of the command line.
    """

    def __init__(self, world, name, network=False, more=()):
        self.world, self.name = world, name
        self.vsock, self.console = world.path(name + ".vsock"), world.path(name + ".console")
        words = [program("CAISSON", "build/dev/caisson"), "run", "--hv=soft", "--kernel", world.kernel.file("vmlinux"), "--vsock", self.vsock,
                 "--share", f"caisson={world.path('share')}", "--memory", "320M", "--cpus", "2", "--ready-timeout", "3600",
                 "--console", self.console, "--append", f"caisson_agent={PORT} panic=-1 loglevel=4 {world.kernel.skips()}".strip(), *more]
        if world.kernel.modules():
            words += ["--modules", world.kernel.modules()]
        self.network = network and can_make_taps()
        if self.network:
            words = ["unshare", "--net", "sh", "-c", 'ip tuntap add dev tap0 mode tap vnet_hdr && ip link set tap0 up && exec "$0" "$@"',
                     *words, "--net", f"tap=tap0,mac={MAC}"]
        with open(world.path(name + ".err"), "wb") as err:
            self.process = subprocess.Popen([*words, "--", "/bin/true"], stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            cwd=world.scratch, start_new_session=True)
        self.lock = threading.Lock()
        self.connections = []

    def said(self):
        """What it said, for words of failures."""
        text = ""
        for end in (".err", ".console"):
            with open(self.world.path(self.name + end), encoding="utf-8", errors="replace") as f:
                text += f"\n--- {self.name}{end}:\n" + f.read()[-3000:]
        return text

    def dial(self, port=PORT, seconds=WAIT_S):
        """A socket to a port of the guest."""
        until = time.monotonic() + seconds
        while True:
            try:
                return ttrpc.dial(self.vsock, port, 1)
            except ttrpc.Broken as e:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Failure(f"no agent: {e}{self.said()}") from None

    def agent(self):
        """A connection of one's own."""
        agent = ttrpc.Agent(self.dial(), self.world.protos)
        with self.lock:
            self.connections.append(agent)
        return agent

    def wait(self):
        """For its end; the exit code."""
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"the guest did not end within {WAIT_S} s{self.said()}") from None

    def stop(self):
        for connection in self.connections:
            connection.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def can_make_taps():
    words = ["unshare", "--net", "sh", "-c", "ip tuntap add dev tap0 mode tap"]
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


class AgentWorld(World):
    def prepare(self):
        super().prepare()
        need_root("roots of containers, whose files have owners,")
        self.kernel = chosen_kernel()
        try:
            self.protos = protocol.load(self.scratch)
        except protocol.Missing as e:
            raise Failure(str(e)) from None
        make_root(self.path("share", "image"))
        self.count = 0

    def machine(self):
        """The guest that most cases share, with a sandbox in it."""
        return self.once("machine", self.make_machine)

    def make_machine(self):
        machine = self.fresh("guest", network=True)
        agent = machine.agent()
        agent.call("Health.Check", timeout_ns=WAIT_S * 10**9)
        agent.call("CreateSandbox", sandbox_id="sandbox", hostname="harbour", storages=[self.share()])
        return machine

    def fresh(self, name, **more):
        machine = Machine(self, name, **more)
        self.at_end(machine.stop)
        return machine

    def share(self):
        return self.protos.agent.Storage(driver="virtio-fs", source="caisson", fstype="virtiofs", mount_point=SHARED)

    def agent(self):
        return self.machine().agent()

    def name(self, word="c"):
        self.count += 1
        return f"{word}-{self.count}"

    # ---- Containers --------------------------------------------------------------------------------------------------

    def process(self, args, **more):
        words = ["/bin/sh", "-c", args] if isinstance(args, str) else args
        oci = self.protos.oci
        capabilities = oci.LinuxCapabilities(**{k: CAPABILITIES for k in ("Bounding", "Effective", "Permitted")})
        return oci.Process(**{"Args": words, "Env": [PATH], "Cwd": "/", "User": oci.User(UID=0, GID=0), "Capabilities": capabilities,
                              "NoNewPrivileges": True, **more})

    def spec(self, args, resources=None, namespaces=("pid", "mount", "ipc", "uts"), mounts=(), **process):
        oci = self.protos.oci

        def mount(destination, kind, *options, source=None):
            return oci.Mount(destination=destination, type=kind, source=source or kind, options=options)

        return oci.Spec(
            Version="1.2.0", Process=self.process(args, **process), Root=oci.Root(Path=SHARED + "/image", Readonly=False),
            Hostname="barge" if "uts" in namespaces else "",
            Mounts=[mount("/proc", "proc"), mount("/dev", "tmpfs", "nosuid", "mode=755"),
                    mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
                    mount("/dev/shm", "tmpfs", "nosuid", "nodev"), mount("/sys", "sysfs", "nosuid", "nodev", "noexec", "ro"),
                    mount("/sys/fs/cgroup", "cgroup", "nosuid", "nodev", "noexec", "ro"), *[mount(*m) for m in mounts]],
            Linux=oci.Linux(Resources=resources, Namespaces=[oci.LinuxNamespace(Type=t) for t in (*namespaces, "cgroup")]))

    def create(self, agent, args, start=True, **more):
        """A container of the shared root; its name, which is that of its first process as well."""
        name = self.name()
        agent.call("CreateContainer", container_id=name, exec_id=name, OCI=self.spec(args, **more))
        if start:
            agent.call("StartContainer", container_id=name)
        return name

    def run(self, agent, args, **more):
        """To its end: exit status, output, error."""
        name = self.create(agent, args, **more)
        try:
            out = agent.read_all("ReadStdout", name, name)
            err = agent.read_all("ReadStderr", name, name)
            return agent.call("WaitProcess", container_id=name, exec_id=name).status, out, err
        finally:
            self.remove(agent, name)

    def remove(self, agent, name):
        try:
            agent.call("SignalProcess", container_id=name, signal=9)
        except ttrpc.CallFailed:
            pass  # it has ended
        agent.call("RemoveContainer", container_id=name, timeout=20)


def prometheus(text):
    """Name -> value of each line of metrics."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            m = re.fullmatch(r"([A-Za-z_:][A-Za-z0-9_:]*(?:\{[^}]*\})?) (\S+)", line)
            if m is None:
                raise Failure(f"a line of metrics is {line!r}")
            found[m.group(1)] = float(m.group(2))
    return found
