# SPDX-License-Identifier: Apache-2.0
"""Limits: what the guest's cgroup has for what the configuration says, how they are changed, what happens beyond them."""
import json
import os

from bundle import mount, write_json
from runtime import folders_with
from suite import check, check_equal, wait_until

from .inside import MIB
from .world import changed, sections

CGROUP = mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
FILES = ("memory.max", "memory.low", "memory.swap.max", "pids.max", "cpu.weight", "cpu.max", "cpu.idle",
         "memory.high", "io.max")


def with_cgroup(spec):
    """A cgroup namespace of its own, in which its own cgroup is the root."""
    spec["linux"]["namespaces"].append({"type": "cgroup"})
    spec["mounts"].append(dict(CGROUP))
    return spec


def limited(world):
    world.need_caisson("this host has cgroup v1")
    script = sections([(f, f"cat /sys/fs/cgroup/{f}") for f in FILES] + [("delegated", "cat /sys/fs/cgroup/cgroup.controllers")])
    return with_cgroup(changed(
        "process.args", ["/bin/sh", "-c", script],
        "linux.resources.memory", {"limit": 96 * MIB, "reservation": 32 * MIB, "swap": 128 * MIB},
        "linux.resources.pids", {"limit": 77}, "linux.resources.cpu", {"shares": 2048, "quota": 20000, "period": 40000, "cpus": "0", "mems": "0"},
        "linux.resources.unified", {"memory.high": str(80 * MIB)}))


def limit(name, wanted):
    def case(world):
        got = world.said("limits", limited)[name]
        check(got and got[0] in wanted, f"{name} is {got} in place of {wanted[0]}")

    return case


def weight_of(shares):
    """As runc has it: 2..262144 to 1..10000; newer ones by a curve through 1024 and 100."""
    return [str(1 + (shares - 2) * 9999 // 262142)]


# Words that the kernel shows. For shares both conversions are in use: the line, and runc 1.3.2's curve.
LIMITS = {
    "memory.max": [str(96 * MIB)], "memory.low": [str(32 * MIB)], "memory.swap.max": [str(32 * MIB)], "pids.max": ["77"],
    "cpu.weight": weight_of(2048) + ["170", "169", "171", "200"], "cpu.max": ["20000 40000"],
    "memory.high": [str(80 * MIB)],
}


def limit_hugetlb_2MB_max_has_the_given_value(world):
    """Where the guest's kernel has that controller; otherwise it is an error that says so."""
    world.need_caisson("this host has cgroup v1")
    spec = with_cgroup(changed("linux.resources.hugepageLimits", [{"pageSize": "2MB", "limit": 4 * MIB}], args="cat /sys/fs/cgroup/hugetlb.2MB.max"))
    result = world.run(spec)
    if result.code == 0:
        check_equal(result.text(), f"{4 * MIB}\n", "hugetlb.2MB.max")
    else:
        result.bad("hugetlb")


def controllers_that_are_needed_are_there(world):
    got = world.said("limits", limited)["delegated"]
    check(got and {"memory", "cpu", "pids"} <= set(got[0].split()), f"controllers are {got}")


def unknown_files_are_written_too(world):
    """A file that no runtime knows by name."""
    world.need_caisson("this host has cgroup v1")
    spec = with_cgroup(changed("linux.resources.unified", {"memory.oom.group": "1"}, args="cat /sys/fs/cgroup/memory.oom.group"))
    check_equal(world.run(spec).text(), "1\n", "memory.oom.group")


def unified_of_a_missing_controller_is_refused(world):
    world.refused(world.member(changed("linux.resources.unified", {"nosuch.max": "1"})), "nosuch")


def unified_that_leaves_the_cgroup_is_refused(world):
    for name in ("../memory.max", "a/b", "cgroup.procs", ""):
        world.refused(world.member(changed("linux.resources.unified", {name: "1"})))


def conversions_that_cannot_be_are_refused(world):
    """Settings of cgroup v1 that v2 has nothing for."""
    world.need_caisson("this host has cgroup v1")
    for path, value in (("memory.swappiness", 60), ("memory.disableOOMKiller", True), ("cpu.realtimeRuntime", 95000),
                        ("network.classID", 1048577)):
        spec = changed("linux.resources." + path, value)
        result = world.run(spec)
        check(result.code != 0 or path.split(".")[-1] in result.err, f"{path} is neither refused nor warned of: {result}")


def the_same_cgroup_for_the_same_path(world):
    """Of the host, with the pod's processes in it; twice, one after the other."""
    path = f"/{world.tag}-fleet/barge"
    seen = []
    for _ in range(2):
        name = world.create(changed("linux.cgroupsPath", path, "process.args", ["sleep", "1000000"]), alone=True)
        try:
            seen.append(sorted(f for f in folders_with("/sys/fs/cgroup", "barge") if f.endswith(path)))
        finally:
            world.runtime.remove(name)
    check(seen[0] and seen[0] == seen[1], f"cgroups are {seen}")
    for folder in folders_with("/sys/fs/cgroup", world.tag + "-fleet"):
        os.rmdir(folder)


def invalid_cgroup_paths_are_refused(world):
    for path in ("/../../escape", "a/../../b", "/" + "x" * 5000):
        world.refused(world.member(changed("linux.cgroupsPath", path)), "cgroup")


def cgroup_may_belong_to_the_user(world):
    """A writable cgroup mount and namespace: files that there are not are no reason to fail."""
    world.need_caisson("this host has cgroup v1")
    spec = changed("process.user", {"uid": 0, "gid": 0}, args="ls -ld /sys/fs/cgroup && mkdir /sys/fs/cgroup/sub && echo $$ >/sys/fs/cgroup/sub/cgroup.procs && echo moved")
    spec["linux"]["namespaces"].append({"type": "cgroup"})
    spec["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "rw"))
    check(world.run(spec).text().endswith("moved\n"), "no process can be moved below the own cgroup")


# ---- Changing and exceeding -----------------------------------------------------------------------------------------


def update_changes_limits(world):
    world.need_caisson("this host has cgroup v1")
    spec = with_cgroup(changed("process.args", ["sleep", "1000000"], "linux.resources.memory", {"limit": 96 * MIB}))
    name = world.create(spec)
    run = world.runtime.command

    def limits_now():
        return run("exec", name, "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/cpu.max").text().split("\n")[:3]

    try:
        run("start", name).good()
        run("update", "--memory", str(64 * MIB), "--pids-limit", "33", name).good()
        check_equal(limits_now()[:2], [str(64 * MIB), "33"], "memory.max and pids.max")
        path = world.path("resources.json")
        write_json(path, {"cpu": {"quota": 30000, "period": 60000}, "pids": {"limit": 44}})
        run("update", "--resources", path, name).good()
        check_equal(limits_now(), [str(64 * MIB), "44", "30000 60000"], "limits")
        run("update", "--memory", "nonsense", name).bad()
        check_equal(limits_now(), [str(64 * MIB), "44", "30000 60000"], "limits after a refused update")
    finally:
        world.runtime.remove(name)


def update_checks_the_usage_if_asked_to(world):
    """checkBeforeUpdate: a limit below what is in use is an error and no massacre."""
    world.need_caisson("checkBeforeUpdate is younger than runc 1.1")
    spec = changed("linux.resources.memory", {"limit": 96 * MIB, "checkBeforeUpdate": True},
                   args="dd if=/dev/zero of=/dev/shm/x bs=1M count=48 2>/dev/null; echo up; exec sleep 1000000")
    out = world.path("usage-out")
    name = world.create(spec, out=out)
    try:
        world.runtime.command("start", name).good()
        wait_until(lambda: os.path.getsize(out), "its memory is in use")
        path = world.path("less.json")
        write_json(path, {"memory": {"limit": 16 * MIB, "checkBeforeUpdate": True}})
        world.runtime.command("update", "--resources", path, name).bad("memory")
        check_equal(world.runtime.status(name), "running", "status")
    finally:
        world.runtime.remove(name)


HOG = "echo up; exec dd if=/dev/zero of=/dev/shm/x bs=1M"  # more than the limit, less than the file system has


def memory_limit_ends_who_exceeds_it(world):
    """And the event says so; the pod and its other containers go on."""
    name = world.create(changed("linux.resources.memory", {"limit": 32 * MIB, "swap": 32 * MIB}, args=HOG))
    run = world.runtime.command
    try:
        events = world.runtime.popen("events", "--interval", "1h", name, stdout=-1, stderr=-3)
        run("start", name).good()
        world.runtime.wait_status(name, "stopped")
        try:
            line = {"type": "stats"}
            while line.get("type") == "stats":
                line = json.loads(events.stdout.readline() or b"{}")
        finally:
            events.kill()
            events.wait()
            events.stdout.close()
        check_equal((line.get("type"), line.get("id")), ("oom", name), "event")
    finally:
        world.runtime.remove(name)
    check_equal(world.run(changed(args="echo well")).text(), "well\n", "another container")


def oom_has_the_exit_code_of_kill(world):
    result = world.run(changed("linux.resources.memory", {"limit": 32 * MIB, "swap": 32 * MIB}, args=HOG))
    check_equal(result.code, 128 + 9, "exit code")


def pids_limit_stops_forks(world):
    result = world.run(changed("linux.resources.pids", {"limit": 5}, args="for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo no end"))
    check("fork" in result.err, f"no fork failed: {result}")


CASES = [(f"limit_{n.replace('.', '_')}_has_the_given_value", limit(n, w)) for n, w in LIMITS.items()]
CASES += [(f.__name__, f) for f in (
    limit_hugetlb_2MB_max_has_the_given_value, controllers_that_are_needed_are_there, unknown_files_are_written_too, unified_of_a_missing_controller_is_refused,
    unified_that_leaves_the_cgroup_is_refused, conversions_that_cannot_be_are_refused, the_same_cgroup_for_the_same_path,
    invalid_cgroup_paths_are_refused, cgroup_may_belong_to_the_user, update_changes_limits,
    update_checks_the_usage_if_asked_to, memory_limit_ends_who_exceeds_it, oom_has_the_exit_code_of_kill, pids_limit_stops_forks)]
