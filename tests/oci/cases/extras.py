# SPDX-License-Identifier: Apache-2.0
"""What runtimes tell of themselves, the default configuration, terminals."""
import array
import json
import os
import select
import socket
import termios
import fcntl
import struct
import time

from bundle import mount
from runtime import is_caisson
from suite import WAIT_S, check, check_equal

from .world import changed

# features.md and features-linux.md: every property that there is, by its path.
FEATURES = """ociVersionMin ociVersionMax hooks mountOptions annotations potentiallyUnsafeConfigAnnotations
linux.namespaces linux.capabilities linux.cgroup.v1 linux.cgroup.v2 linux.cgroup.systemd linux.cgroup.systemdUser linux.cgroup.rdma
linux.seccomp.enabled linux.seccomp.actions linux.seccomp.operators linux.seccomp.archs linux.seccomp.knownFlags
linux.seccomp.supportedFlags linux.apparmor.enabled linux.selinux.enabled linux.intelRdt.enabled linux.intelRdt.schemata
linux.intelRdt.monitoring linux.memoryPolicy.modes linux.memoryPolicy.flags linux.mountExtensions.idmap.enabled
linux.netDevices.enabled""".split()


def features(world):
    return world.once("features", lambda: json.loads(world.runtime.command("features").text()))


def leaves(value, path=""):
    if isinstance(value, dict) and path not in ("annotations",):
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{path}.{k}".lstrip("."))]
    return [path]


def version(text):
    return [int(p) for p in text.split("-")[0].split(".")]


def features_say_what_is_there(world):
    said = features(world)
    low, high = version(said["ociVersionMin"]), version(said["ociVersionMax"])
    check(low <= high and low[0] == 1, f"versions {low} to {high}")
    check(all(isinstance(v, str) and k for k, v in said.get("annotations", {}).items()), f"annotations {said.get('annotations')}")
    check(None not in [said.get(k, "") for k in ("hooks", "mountOptions", "linux")], "a null")
    if is_caisson(world.runtime.binary):
        check(said["linux"]["seccomp"]["enabled"] is True, "no seccomp")
        check_equal(said["linux"]["netDevices"]["enabled"], False, "netDevices")


def features_say_nothing_else(world):
    unknown = [leaf for leaf in leaves(features(world)) if leaf not in FEATURES]
    check_equal(unknown, [], "properties that the specification does not have")


def features_list_the_hooks_that_run(world):
    check_equal(set(features(world)["hooks"]), {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
                "hooks")


def listed_mount_options_are_recognised(world):
    """Each that a tmpfs can have: one mount for each; those of bind mounts have cases of their own."""
    need_source = ("bind", "rbind", "idmap", "ridmap", "remount", "tmpcopyup")
    options = [o for o in features(world)["mountOptions"] if o not in need_source and not o.startswith(("mode=", "size="))]
    spec = changed(args="grep -c ' /o/' /proc/self/mountinfo")
    spec["mounts"] += [mount(f"/o/{i}", "tmpfs", o) for i, o in enumerate(options)]
    check_equal(world.run(spec).text().strip(), str(len(options)), "mounts")


def listed_namespaces_are_recognised(world):
    types = [t for t in features(world)["linux"]["namespaces"] if t != "user"]
    spec = changed("linux.namespaces", [{"type": t} for t in types], args="echo ran")
    check_equal(world.run(spec).text(), "ran\n", f"output with namespaces {types}")


def listed_capabilities_are_recognised(world):
    names = features(world)["linux"]["capabilities"]
    spec = changed("process.capabilities", {k: names for k in ("bounding", "effective", "permitted")}, args="grep CapBnd /proc/self/status")
    result = world.run(spec)
    check_equal(bin(int(result.text().split()[1], 16)).count("1"), len(names), "capabilities that are there")
    check("CAP_" not in result.err, f"words of it: {result.err}")


def listed_seccomp_words_are_recognised(world):
    """One filter with all architectures, flags and operators, and a rule for each action."""
    said = features(world)["linux"]["seccomp"]
    harmless = [a for a in said["actions"] if a != "SCMP_ACT_NOTIFY"]
    calls = "acct add_key bpf chroot delete_module kexec_load mbind move_pages nfsservctl reboot swapoff swapon".split()
    rules = [{"names": [c], "action": a} for a, c in zip(harmless, calls)]
    rules += [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": i % 6, "value": 1 << 40, "valueTwo": 1, "op": o}]}
              for i, o in enumerate(said["operators"])]
    # One filter has one order of bytes.
    little = ("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC64LE", "RISCV64", "LOONGARCH64")
    archs = [a for a in said["archs"] if a[len("SCMP_ARCH_") :] in little]
    flags = [f for f in said.get("supportedFlags") or [] if f not in ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_NEW_LISTENER")]
    spec = changed("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": archs, "flags": flags, "syscalls": rules},
                   args="echo ran")
    check_equal(world.run(spec).text(), "ran\n", "output")


def listed_memory_policies_are_recognised(world):
    said = features(world)["linux"].get("memoryPolicy", {})
    for mode in said.get("modes") or []:
        nodes = "" if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else "0"
        result = world.run(changed("linux.memoryPolicy", {"mode": mode, **({"nodes": nodes} if nodes else {})}, args="echo ran"))
        check_equal(result.text(), "ran\n", f"output with {mode}")


def default_configuration_runs(world):
    """`spec` writes a bundle's configuration that create takes; another one is not overwritten."""
    folder = world.folder("default")
    if not os.path.exists(os.path.join(folder, "rootfs")):
        os.symlink(world.image, os.path.join(folder, "rootfs"))
    world.runtime.command("spec", "--bundle", folder).good()
    world.runtime.command("spec", "--bundle", folder).bad("config.json")
    path = os.path.join(folder, "config.json")
    with open(path, encoding="utf-8") as f:
        spec = json.load(f)
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["echo", "ran"]
    spec["root"]["path"] = world.image
    name = world.name("default")
    check_equal(world.runtime.run(name, world.bundle(name, world.member(spec))).text(), "ran\n", "output")


# ---- Terminals ------------------------------------------------------------------------------------------------------


def receive_terminal(listener):
    """What a runtime sends to its console socket: the master of a terminal."""
    listener.settimeout(WAIT_S)
    connection, _ = listener.accept()
    with connection:
        _, data, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    check(data, "no descriptor came with the message")
    numbers = array.array("i")
    numbers.frombytes(data[0][2][:4])
    return numbers[0]


def read_terminal(master, text, seconds=WAIT_S):
    """Until it has said the text."""
    said, until = b"", time.monotonic() + seconds
    while text not in said:
        check(select.select([master], [], [], max(0, until - time.monotonic()))[0], f"no {text!r} within {seconds} s, but {said!r}")
        try:
            piece = os.read(master, 65536)
        except OSError:
            piece = b""
        check(piece, f"the terminal ended without {text!r}; it said {said!r}")
        said += piece
    return said


def with_terminal(world, script, body, size=(24, 80)):
    """A container with a terminal by a console socket. body: of the master."""
    name = world.name("terminal")
    spec = changed("process.terminal", True, "process.consoleSize", {"height": size[0], "width": size[1]}, args=script)
    path = world.path(name + ".sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        world.runtime.create(name, world.bundle(name, world.member(spec)), "--console-socket", path).good()
        try:
            master = receive_terminal(listener)
            try:
                world.runtime.command("start", name).good()
                body(master, name)
            finally:
                os.close(master)
        finally:
            world.runtime.remove(name)
            os.unlink(path)


def terminal_is_the_console(world):
    def body(master, _):
        said = read_terminal(master, b"the end")
        check(b"character special file" in said and b"yes" in said and b"no tty" not in said, f"the terminal said {said!r}")

    with_terminal(world, "stat -c %F /dev/console; test -t 0 && test -t 1 && test -t 2 && echo yes; tty || echo no tty; echo the end; read x", body)


def terminal_has_the_configured_size(world):
    with_terminal(world, "stty size; echo the end; read x", lambda master, _: check(
        b"33 77" in read_terminal(master, b"the end"), "the size is another"), (33, 77))


def terminal_is_interactive(world):
    """Echo, lines, control characters, a new size."""

    def body(master, name):
        read_terminal(master, b"ready")
        os.write(master, b"hello\n")
        check(b"got hello" in read_terminal(master, b"got hello"), "no line came through")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        # Nobody but the runtime's process knows that the size has changed.
        os.kill(world.runtime.state(name)["pid"], 28)
        read_terminal(master, b"size 50 132")
        os.write(master, b"\x03")
        read_terminal(master, b"interrupted")

    with_terminal(world, "trap 'echo interrupted; exit 3' INT; trap 'echo size $(stty size)' WINCH; echo ready; read l; echo got $l; "
                         "while :; do sleep 1000 & wait $!; done", body)


CASES = [(f.__name__, f) for f in (
    features_say_what_is_there, features_say_nothing_else, features_list_the_hooks_that_run, listed_mount_options_are_recognised,
    listed_namespaces_are_recognised, listed_capabilities_are_recognised, listed_seccomp_words_are_recognised,
    listed_memory_policies_are_recognised, default_configuration_runs, terminal_is_the_console, terminal_has_the_configured_size,
    terminal_is_interactive)]
