# SPDX-License-Identifier: Apache-2.0
"""What a container sees of its configuration: one container that has nearly everything, and a few others."""
import os

from bundle import CAPABILITIES, mount
from suite import check, check_equal

from .world import changed, sections

MIB = 1 << 20
# Numbers of linux/capability.h.
NUMBERS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_KILL": 5, "CAP_SETGID": 6,
           "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_RAW": 13, "CAP_SYS_CHROOT": 18,
           "CAP_MKNOD": 27, "CAP_AUDIT_WRITE": 29, "CAP_SETFCAP": 31}


def bits(names):
    return sum(1 << NUMBERS[n] for n in names)


# ---- The container that has nearly everything -----------------------------------------------------------------------

LOOK = sections([
    ("status", "cat /proc/self/status"),
    ("limits", "cat /proc/self/limits"),
    ("oom", "cat /proc/self/oom_score_adj"),
    ("pid", "echo $$"),
    ("pids", "ls -d /proc/[0-9]* | wc -l"),
    ("env", "env"),
    ("cwd", "pwd"),
    ("hostname", "hostname"),
    ("domain", "cat /proc/sys/kernel/domainname"),
    ("mounts", "cat /proc/self/mountinfo"),
    ("write-root", "touch /written"),
    ("order", "ls /order /order/in /reverse"),
    ("relative", "ls -d /relative; grep ' /relative ' /proc/self/mountinfo | wc -l"),
    ("dev", "ls -ln /dev"),
    ("ptmx", "ls -lnL /dev/ptmx; readlink /dev/ptmx"),
    ("fds", "for n in fd stdin stdout stderr; do readlink /dev/$n; done"),
    ("open", "ls -l /proc/self/fd"),
    ("null", "echo x >/dev/null && head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c"),
    ("masked-file", "cat /etc/group | wc -c"),
    ("masked-folder", "ls -A /home | wc -l; touch /home/x"),
    ("readonly", "echo 8000 >/proc/sys/kernel/msgmax"),
    ("sysctl", "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward"),
    ("links", "ls /sys/class/net"),
    ("namespaces", "for n in pid net ipc uts mnt cgroup user; do readlink /proc/self/ns/$n; done"),
    ("probe", "head -c 3 /dev/probe | wc -c"),
    ("denied", "head -c 1 /dev/denied"),
    ("volume", "cat /volume/inside; echo from inside >/volume/answer; cat /file; touch /locked/x"),
    ("cgroup", "cat /proc/self/cgroup"),
    ("args", 'for a in "$0" "$@"; do echo "[$a]"; done'),
])


def rich(world):
    volume, locked = world.folder("volume"), world.folder("locked")
    for path in (os.path.join(volume, "inside"), world.path("single")):
        with open(path, "w", encoding="ascii") as f:
            f.write("put there by the host\n")
    spec = changed(
        "root.readonly", True, "domainname", "harbour", "process.args", ["/bin/sh", "-c", LOOK, "first", "two words", ""],
        "process.env", ["PATH=/bin", "FRUIT=a pear", "EMPTY=", "DOUBLE=1=2"], "process.cwd", "/tmp",
        "process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                            {"type": "RLIMIT_STACK", "soft": 4 * MIB, "hard": 8 * MIB}],
        "process.oomScoreAdj", 321, "process.capabilities.inheritable", ["CAP_CHOWN"],
        "process.capabilities.effective", ["CAP_CHOWN", "CAP_NET_RAW", "CAP_DAC_OVERRIDE", "CAP_MKNOD"],
        "linux.sysctl", {"kernel.msgmax": "9000", "net.ipv4.ip_forward": "1"},
        "linux.devices", [
            {"path": "/dev/probe", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/dev/denied", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666, "uid": 0, "gid": 0},
            {"path": "/dev/disk9", "type": "b", "major": 7, "minor": 99, "fileMode": 0o660, "uid": 0, "gid": 6},
            {"path": "/dev/tube", "type": "p", "fileMode": 0o600, "uid": 0, "gid": 0}],
        "linux.resources.devices", [{"allow": True, "access": "rwm"}, {"allow": False, "access": "rwm"},
                                    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}])
    spec["linux"]["maskedPaths"] += ["/etc/group", "/home", "/not/there"]
    spec["linux"]["readonlyPaths"] += ["/neither/there"]
    spec["mounts"] += [
        mount("/order", "tmpfs"), mount("/order/in", "tmpfs"), mount("/reverse/hidden", "tmpfs"), mount("/reverse", "tmpfs"),
        mount("relative", "tmpfs"), mount("/volume", "bind", "bind", source=volume),
        mount("/locked", "bind", "rbind", "ro", source=locked), mount("/file", "bind", "bind", source=world.path("single"))]
    return spec


def looks(check_it, **more):
    """A case about one section of what the container said."""

    def case(world):
        world.folder("image/order"), world.folder("image/reverse"), world.folder("image/relative")
        for name in ("volume", "locked"):
            world.folder("image", name)
        open(world.path("image/file"), "ab").close()
        check_it(world.said("rich", rich, alone=True), **more)

    case.__name__ = check_it.__name__
    return case


def status(said, name):
    return next(line.split(":", 1)[1].strip() for line in said["status"] if line.startswith(name + ":"))


def mounted(said, where):
    """The options of the topmost mount there: own ones and those of the file system."""
    found = [line.split() for line in said["mounts"] if line.split()[4] == where]
    check(found, f"nothing is mounted on {where}")
    words = found[-1]
    rest = words.index("-")
    return set(words[5].split(",")) | set(words[rest + 3].split(",")), words[rest + 1], words[6:rest]


@looks
def root_is_read_only(said):
    check("ro" in mounted(said, "/")[0], f"root is mounted {mounted(said, '/')}")
    check("Read-only file system" in said["write-root"][0], f"writing to the root: {said['write-root']}")


@looks
def mounts_are_made_in_the_listed_order(said):
    """A mount in a mount that came before it is there; one that came earlier is hidden by what came over it."""
    check_equal(sorted(said["order"]), sorted(["/order:", "in", "", "/order/in:", "", "/reverse:"]), "listing")


@looks
def relative_destination_is_below_the_root(said):
    check_equal(said["relative"], ["/relative", "1"], "/relative, and mounts there")


@looks
def volumes_are_shared_with_the_host(said):
    check_equal(said["volume"][:2], ["put there by the host"] * 2, "a folder and a single file of the host")
    check("Read-only file system" in said["volume"][2], f"writing to a read-only volume: {said['volume'][2:]}")


@looks
def environment_is_the_given_one(said):
    wanted = ["PATH=/bin", "FRUIT=a pear", "EMPTY=", "DOUBLE=1=2"]
    check_equal(sorted(set(said["env"]) - {"PWD=/tmp", "SHLVL=1", "HOME=/root", "OLDPWD=/"}), sorted(wanted), "environment")


@looks
def cwd_is_the_given_one(said):
    check_equal(said["cwd"], ["/tmp"], "current folder")


@looks
def args_are_the_given_ones(said):
    check_equal(said["args"], ["[first]", "[two words]", "[]"], "arguments")


def limits(said, name):
    return next(line[len(name) :].split()[:2] for line in said["limits"] if line.startswith(name))


@looks
def rlimits_are_the_given_ones(said):
    wanted = {"Max open files": ["256", "512"], "Max core file size": ["0", "0"], "Max stack size": [str(4 * MIB), str(8 * MIB)]}
    check_equal({name: limits(said, name) for name in wanted}, wanted, "limits")


@looks
def capabilities_are_the_given_ones(said):
    bounding = bits(CAPABILITIES)
    wanted = {"CapInh": bits(["CAP_CHOWN"]), "CapBnd": bounding, "CapAmb": 0,
              # An exec by user 0 makes all of bounding and inheritable permitted and effective (capabilities(7)).
              "CapPrm": bounding, "CapEff": bounding}
    check_equal({n: int(status(said, n), 16) for n in wanted}, wanted, "capabilities")


@looks
def no_new_privileges_is_set(said):
    check_equal(status(said, "NoNewPrivs"), "1", "NoNewPrivs")


@looks
def oom_score_is_the_given_one(said):
    check_equal(said["oom"], ["321"], "oom_score_adj")


@looks
def hostname_is_the_given_one(said):
    check_equal(said["hostname"], ["barge"], "hostname")


@looks
def domainname_is_the_given_one(said):
    check_equal(said["domain"], ["harbour"], "domain name")


@looks
def sysctls_have_the_given_values(said):
    check_equal(said["sysctl"], ["9000", "1"], "kernel.msgmax, net.ipv4.ip_forward")


@looks
def processes_are_its_own(said):
    check_equal(said["pid"], ["1"], "the first process")
    check(int(said["pids"][0]) <= 4, f"{said['pids'][0]} processes are to be seen")


@looks
def network_is_its_own(said):
    check("lo" in said["links"] and not [n for n in said["links"] if n.startswith(("eth", "veth", "docker"))],
          f"links are {said['links']}")


def device(said, name):
    """Mode, uid, gid and number as ls shows them."""
    for line in said["dev"]:
        words = line.split()
        if words and words[-1] == name:
            return words[0], words[2], words[3], " ".join(words[4:6]) if words[0][0] in "bc" else ""
    return None


@looks
def configured_devices_are_there(said):
    check_equal(device(said, "probe"), ("crw-r-----", "5", "6", "1, 5"), "/dev/probe")
    check_equal(device(said, "disk9"), ("brw-rw----", "0", "6", "7, 99"), "/dev/disk9")
    check_equal(device(said, "tube"), ("prw-------", "0", "0", ""), "/dev/tube")


@looks
def default_devices_are_there(said):
    numbers = {"null": "1, 3", "zero": "1, 5", "full": "1, 7", "random": "1, 8", "urandom": "1, 9", "tty": "5, 0"}
    found = {n: device(said, n) for n in numbers}
    check_equal({n: d and (d[0], d[3]) for n, d in found.items()}, {n: ("crw-rw-rw-", v) for n, v in numbers.items()}, "devices")
    check_equal(said["null"], ["3", "4"], "bytes of zero and urandom")


@looks
def ptmx_is_that_of_its_own_pts(said):
    check("5," in said["ptmx"][0] or said["ptmx"][-1] == "pts/ptmx", f"/dev/ptmx is {said['ptmx']}")


@looks
def no_console_without_a_terminal(said):
    check_equal(device(said, "console"), None, "/dev/console")


@looks
def links_to_the_standard_streams_are_there(said):
    check_equal(said["fds"], ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"], "links in /dev")


@looks
def no_other_descriptor_is_open(said):
    numbers = sorted(int(line.split("->")[0].split()[-1]) for line in said["open"] if "->" in line)
    check(numbers in ([0, 1, 2, 3], [0, 1, 2]), f"descriptors {numbers} are open (3 is that of ls)")


@looks
def device_rules_apply_in_the_listed_order(said):
    """All denied after all had been allowed, then one allowed again; what is listed in devices may still be denied."""
    check("denied" in said["denied"][0] or "not permitted" in said["denied"][0], f"a denied device: {said['denied'][:1]}")


@looks
def masked_paths_show_nothing(said):
    check_equal(said["masked-file"], ["0"], "bytes of a masked file")
    check_equal(said["masked-folder"][0], "0", "entries of a masked folder")
    check("Read-only file system" in said["masked-folder"][1], f"writing there: {said['masked-folder'][1:]}")


@looks
def readonly_paths_cannot_be_written(said):
    check("Read-only file system" in said["readonly"][0], f"writing to /proc/sys: {said['readonly']}")


@looks
def cgroup_path_says_nothing_of_the_host(said):
    check(all("/docker" not in line and "/user.slice" not in line for line in said["cgroup"]), f"cgroup is {said['cgroup']}")


# ---- As somebody else -----------------------------------------------------------------------------------------------

LOOK_SHIP = sections([
    ("status", "cat /proc/self/status"), ("umask", "umask"), ("id", "id -u; id -g; id -G"),
    ("oom", "cat /proc/self/oom_score_adj"), ("size", "echo ${COLUMNS-unset}; stty size"), ("groups", "cat /proc/self/status | grep Groups"),
    ("uname", "uname -m"), ("timens", "cat /proc/self/timens_offsets"), ("cgroup", "cat /proc/self/cgroup"),
    ("io", "ionice -p $$"), ("shm", "df -k /dev/shm | tail -n 1"), ("made", "touch /tmp/made-$$ && ls -ln /tmp/made-$$; rm /tmp/made-$$"),
])


def ship(_):
    return changed(
        "process.user", {"uid": 1000, "gid": 1001, "additionalGids": [2000, 3000], "umask": 0o027},
        "process.consoleSize", {"height": 33, "width": 77}, "process.args", ["/bin/sh", "-c", LOOK_SHIP],
        "process.capabilities", {"bounding": CAPABILITIES, "permitted": ["CAP_NET_RAW", "CAP_CHOWN"],
                                 "inheritable": ["CAP_NET_RAW"], "ambient": ["CAP_NET_RAW"], "effective": ["CAP_NET_RAW"]})


def ships(check_it):
    def case(world):
        check_it(world.said("ship", ship))

    case.__name__ = check_it.__name__
    return case


@ships
def user_and_groups_are_the_given_ones(said):
    check_equal(status(said, "Uid").split(), ["1000"] * 4, "Uid")
    check_equal(status(said, "Gid").split(), ["1001"] * 4, "Gid")
    check_equal(sorted(set(status(said, "Groups").split()) - {"1001"}), ["2000", "3000"], "Groups")


@ships
def umask_is_the_given_one(said):
    check_equal(said["umask"], ["0027"], "umask")
    check(said["made"][0].startswith("-rw-r-----"), f"a new file: {said['made']}")


@ships
def ambient_capabilities_survive_exec(said):
    wanted = bits(["CAP_NET_RAW"])
    check_equal({n: int(status(said, n), 16) for n in ("CapInh", "CapPrm", "CapEff", "CapAmb")},
                {n: wanted for n in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, "capabilities")


@ships
def oom_score_is_left_alone_without_a_value(said):
    check_equal(said["oom"], ["0"], "oom_score_adj")


@ships
def console_size_means_nothing_without_a_terminal(said):
    check_equal(said["size"][0], "unset", "COLUMNS")
    check("33 77" not in said["size"][1:], f"stty says {said['size']}")


# ---- More namespaces, personality, priorities -----------------------------------------------------------------------


def in_user_namespace(_):
    script = sections([("uid", "cat /proc/self/uid_map"), ("gid", "cat /proc/self/gid_map"), ("id", "id -u")])
    spec = changed("process.args", ["/bin/sh", "-c", script], "linux.namespaces.5", {"type": "user"},
                   "linux.uidMappings", [{"containerID": 0, "hostID": 100000, "size": 65536}],
                   "linux.gidMappings", [{"containerID": 0, "hostID": 200000, "size": 65536}])
    return spec


def user_namespace_has_the_given_mappings(world):
    said = world.said("user-namespace", in_user_namespace)
    check_equal([said[k][0].split() for k in ("uid", "gid")], [["0", "100000", "65536"], ["0", "200000", "65536"]], "maps")
    check_equal(said["id"], ["0"], "user")


def cgroup_namespace_hides_the_path(world):
    script = sections([("cgroup", "cat /proc/self/cgroup")])
    spec = changed("process.args", ["/bin/sh", "-c", script], "linux.namespaces.5", {"type": "cgroup"})
    said = world.said("cgroup-namespace", lambda _: spec)
    check(all(line.endswith(":/") for line in said["cgroup"]), f"cgroup is {said['cgroup']}")


def time_namespace_has_the_given_offsets(world):
    world.need_caisson("time namespaces are younger than runc 1.1")
    script = sections([("offsets", "cat /proc/self/timens_offsets"), ("uptime", "cut -d. -f1 /proc/uptime")])
    spec = changed("process.args", ["/bin/sh", "-c", script], "linux.namespaces.5", {"type": "time"},
                   "linux.timeOffsets", {"boottime": {"secs": 86400, "nanosecs": 5}, "monotonic": {"secs": 1000}})
    said = world.said("time-namespace", lambda _: spec)
    offsets = [line.split() for line in said["offsets"]]
    check(["boottime", "86400", "5"] in offsets and ["monotonic", "1000", "0"] in offsets, f"offsets are {offsets}")
    check(int(said["uptime"][0]) >= 86400, f"uptime is {said['uptime']}")


def personality_is_the_given_one(world):
    world.need_caisson("personality is younger than runc 1.1")
    spec = changed("linux.personality", {"domain": "LINUX32"}, args="uname -m")
    check_equal(world.run(spec).text(), "i686\n", "machine")


def priorities_are_the_given_ones(world):
    world.need_caisson("scheduler and ioPriority are younger than runc 1.1")
    script = "ionice -p $$; cut -d' ' -f19,41 /proc/$$/stat"
    spec = changed("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 6},
                   "process.scheduler", {"policy": "SCHED_BATCH", "nice": 7}, args=script)
    check_equal(world.run(spec).text(), "best-effort: prio 6\n7 3\n", "priorities: I/O; nice and policy (3: batch)")


def seen_by_two(world, make, types):
    """Namespaces of two containers that run at the same time, as numbers can be used again."""
    script = "; ".join(f"readlink /proc/self/ns/{t}" for t in types)
    other = make(["sleep", "1000000"])
    with_other = world.create(other, "other")
    try:
        world.runtime.command("start", with_other).good()
        first = world.runtime.command("exec", with_other, "/bin/sh", "-c", script).text().splitlines()
        return list(zip(types, first, world.run(make(["/bin/sh", "-c", script])).text().splitlines()))
    finally:
        world.runtime.remove(with_other)


def only_mounts(args):
    spec = changed("process.args", args, "linux.namespaces", [{"type": "mount"}], "linux.maskedPaths", [],
                   "linux.readonlyPaths", [])
    del spec["hostname"]
    return spec


def namespaces_of_types_not_listed_are_the_pod_s(world):
    """Two containers that list no namespace but mount: all others are the same for both."""
    seen = seen_by_two(world, only_mounts, ("net", "ipc", "uts", "user", "mnt"))
    check_equal([t for t, a, b in seen if a == b], ["net", "ipc", "uts", "user"], "namespaces that are shared")


def listed_namespaces_are_new_ones(world):
    seen = seen_by_two(world, lambda args: changed("process.args", args), ("pid", "ipc", "uts", "mnt"))
    check_equal([t for t, a, b in seen if a == b], [], "namespaces that are shared")


def namespace_with_a_path_is_joined(world):
    """The process IDs of a running container of the pod."""
    other = world.create(changed("process.args", ["sleep", "1000000"]), "joined")
    try:
        world.runtime.command("start", other).good()
        pid = world.runtime.state(other)["pid"]
        spec = changed("linux.namespaces.0", {"type": "pid", "path": f"/proc/{pid}/ns/pid"},
                       args="cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$")
        said = world.run(spec).text().splitlines()
        check(said[0].startswith("sleep 1000000") and said[1] != "1", f"process 1 and own: {said}")
    finally:
        world.runtime.remove(other)


# ---- Seccomp --------------------------------------------------------------------------------------------------------


def filtered(world):
    script = sections([
        ("mode", "grep Seccomp: /proc/self/status"), ("mkdir", "mkdir /tmp/d"), ("chmod", "chmod 700 /tmp/f"),
        ("uname", "uname -n"), ("kill", "sh -c 'exec sync'; echo $?"), ("args", "kill -0 $$ && echo ok; kill -10 $$")])
    syscalls = [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["sync", "no_such_call"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]},
    ]
    return changed("process.args", ["/bin/sh", "-c", "touch /tmp/f; " + script], "linux.seccomp", {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": syscalls})


def seccomp(check_it):
    def case(world):
        check_it(world.said("seccomp", filtered))

    case.__name__ = check_it.__name__
    return case


@seccomp
def seccomp_filter_is_in_force(said):
    check_equal(said["mode"][0].split(), ["Seccomp:", "2"], "mode")


@seccomp
def seccomp_gives_the_given_errno(said):
    check("No space left" in said["mkdir"][0], f"mkdir, which is to fail with ENOSPC: {said['mkdir']}")


@seccomp
def seccomp_gives_eperm_without_a_number(said):
    check("not permitted" in said["chmod"][0], f"chmod: {said['chmod']}")


@seccomp
def seccomp_kills(said):
    check_equal(said["kill"][-1], str(128 + 31), "exit code after a killing call")


@seccomp
def seccomp_looks_at_arguments(said):
    check_equal(said["args"][0], "ok", "kill with signal 0")
    check("not supported" in said["args"][1].lower(), f"kill with signal 10, EOPNOTSUPP: {said['args']}")


def seccomp_default_can_be_to_refuse(world):
    """Only what a true needs; everything else gets the number given for that."""
    names = """execve exit exit_group brk mmap munmap mprotect arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom
    read write readv writev open openat close fstat newfstatat stat lstat getuid geteuid getgid getegid getpid getppid ioctl
    rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity readlink readlinkat prctl futex access lseek fcntl dup dup2 getcwd
    chdir capget capset setgroups setgid setuid setresuid setresgid umask clone wait4 kill sendmsg recvmsg sendto recvfrom
    epoll_pwait epoll_ctl nanosleep tgkill gettid statfs fstatfs faccessat getdents64 set_mempolicy seccomp""".split()
    spec = changed("process.args", ["mkdir", "/tmp/never"], "linux.seccomp", {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 28, "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
    result = world.run(spec)
    check(result.code != 0 and "No space left" in result.out.decode() + result.err, f"mkdir, with ENOSPC: {result}")


CASES = [(f.__name__, f) for f in (
    root_is_read_only, mounts_are_made_in_the_listed_order, relative_destination_is_below_the_root,
    volumes_are_shared_with_the_host, environment_is_the_given_one, cwd_is_the_given_one, args_are_the_given_ones,
    rlimits_are_the_given_ones, capabilities_are_the_given_ones, no_new_privileges_is_set, oom_score_is_the_given_one,
    hostname_is_the_given_one, domainname_is_the_given_one, sysctls_have_the_given_values, processes_are_its_own,
    network_is_its_own, configured_devices_are_there, default_devices_are_there, ptmx_is_that_of_its_own_pts,
    no_console_without_a_terminal, links_to_the_standard_streams_are_there, no_other_descriptor_is_open,
    device_rules_apply_in_the_listed_order, masked_paths_show_nothing, readonly_paths_cannot_be_written,
    cgroup_path_says_nothing_of_the_host, user_and_groups_are_the_given_ones, umask_is_the_given_one,
    ambient_capabilities_survive_exec, oom_score_is_left_alone_without_a_value, console_size_means_nothing_without_a_terminal,
    user_namespace_has_the_given_mappings, cgroup_namespace_hides_the_path, time_namespace_has_the_given_offsets,
    personality_is_the_given_one, priorities_are_the_given_ones, namespaces_of_types_not_listed_are_the_pod_s,
    listed_namespaces_are_new_ones, namespace_with_a_path_is_joined, seccomp_filter_is_in_force, seccomp_gives_the_given_errno,
    seccomp_gives_eperm_without_a_number, seccomp_kills, seccomp_looks_at_arguments, seccomp_default_can_be_to_refuse)]
