# SPDX-License-Identifier: Apache-2.0
"""Each call: what it does, and what it refuses."""
import hashlib
import stat
import time

import ttrpc
from machine import MAC, MIB, prometheus
from suite import Skip, check, check_equal, fewer
from ttrpc import ALREADY_EXISTS, FAILED_PRECONDITION, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE, PERMISSION_DENIED, \
    UNIMPLEMENTED, UNKNOWN

from .common import refused, with_agent, with_container

SLEEP = ["sleep", "1000000"]
BAD = (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, UNKNOWN, INTERNAL, OUT_OF_RANGE, PERMISSION_DENIED)


@with_agent
def health_says_serving_and_a_version(world, agent):
    check_equal(agent.call("Health.Check").status, 1, "status")
    version = agent.call("Health.Version")
    check(version.grpc_version and version.agent_version, f"version is {version}")


@with_agent
def guest_details_name_what_the_agent_can(_, agent):
    details = agent.call("GetGuestDetails", mem_block_size=True, mem_hotplug_probe=True).agent_details
    check(details.version and details.init_daemon and details.supports_seccomp, f"details are {details}")
    check({"virtio-fs", "blk", "overlayfs", "ephemeral", "local", "bind"} <= set(details.storage_handlers), f"storages are {details.storage_handlers}")


@with_agent
def second_sandbox_is_refused(_, agent):
    refused(agent, "CreateSandbox", ALREADY_EXISTS, FAILED_PRECONDITION, sandbox_id="another")


@with_agent
def container_lives_from_create_to_remove(world, agent):
    name = world.create(agent, "echo out; echo err >&2; exit 42", start=False)
    waiting = agent.begin("WaitProcess", container_id=name, exec_id=name)
    agent.call("StartContainer", container_id=name)
    check_equal(agent.read_all("ReadStdout", name, name), b"out\n", "output")
    check_equal(agent.read_all("ReadStderr", name, name), b"err\n", "error")
    check_equal(agent.end(waiting).status, 42, "status for who waited before")
    check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 42, "status for who waits after")
    refused(agent, "StartContainer", FAILED_PRECONDITION, container_id=name)
    agent.call("RemoveContainer", container_id=name)
    refused(agent, "WaitProcess", NOT_FOUND, container_id=name, exec_id=name)
    refused(agent, "RemoveContainer", NOT_FOUND, container_id=name)


@with_agent
def container_does_not_run_before_start(world, agent):
    name = world.create(agent, "echo ran", start=False)
    try:
        reading = agent.begin("ReadStdout", container_id=name, exec_id=name, len=100)
        agent.call("ExecProcess", container_id=name, exec_id="e", process=world.process("hostname"))
        check_equal(agent.read_all("ReadStdout", name, "e"), b"barge\n", "output of another process in what is created")
        agent.call("WaitProcess", container_id=name, exec_id="e")
        check(reading not in agent.answers, "there is output before start")
        agent.call("StartContainer", container_id=name)
        check_equal(agent.end(reading).data, b"ran\n", "output")
    finally:
        world.remove(agent, name)


@with_agent
def names_that_are_none_are_refused(world, agent):
    spec = world.spec(["true"])
    for name in ("", ".", "..", "a/b", "../../etc", "a b", "x" * 5000, "a\nb"):
        refused(agent, "CreateContainer", INVALID_ARGUMENT, container_id=name, exec_id=name, OCI=spec)
    for call in ("StartContainer", "RemoveContainer", "StatsContainer", "PauseContainer", "ResumeContainer", "UpdateContainer"):
        refused(agent, call, *BAD, container_id="nobody")
    refused(agent, "SignalProcess", NOT_FOUND, container_id="nobody", exec_id="nobody", signal=9)
    refused(agent, "WriteStdin", NOT_FOUND, container_id="nobody", exec_id="nobody", data=b"x")


@with_container(SLEEP)
def name_that_is_taken_is_refused(world, agent, name):
    refused(agent, "CreateContainer", ALREADY_EXISTS, container_id=name, exec_id=name, OCI=world.spec(["true"]))
    agent.call("StatsContainer", container_id=name)


@with_agent
def configurations_that_cannot_be_are_refused(world, agent):
    oci = world.protos.oci
    bad = [world.spec(["true"]) for _ in range(6)]
    bad[0].Root.Path = "/run/caisson/shared/never-there"
    bad[1].Process.Args[:] = []
    bad[2].Mounts.append(oci.Mount(destination="/m", type="bind", source="/run/caisson/shared/never-there", options=["bind"]))
    bad[3].Linux.Namespaces.append(oci.LinuxNamespace(Type="nosuch"))
    bad[4].Process.Rlimits.append(oci.POSIXRlimit(Type="RLIMIT_NOSUCH", Hard=1, Soft=1))
    bad[5].Linux.Seccomp.DefaultAction = "SCMP_ACT_NOSUCH"
    for spec in bad:
        name = world.name("bad")
        refused(agent, "CreateContainer", *BAD, UNIMPLEMENTED, container_id=name, exec_id=name, OCI=spec)
        refused(agent, "StatsContainer", NOT_FOUND, container_id=name)
    refused(agent, "CreateContainer", *BAD, container_id=world.name("bad"))
    check_equal(world.run(agent, "echo well")[1], b"well\n", "another container after that")


@with_agent
def program_that_is_missing_is_an_error(world, agent):
    """Of create or start; and never an exit status."""
    name = world.name("missing")
    try:
        agent.call("CreateContainer", container_id=name, exec_id=name, OCI=world.spec(["/no/such/program"]))
    except ttrpc.CallFailed as e:
        check("/no/such/program" in e.text, str(e))
        return
    try:
        check("/no/such/program" in refused(agent, "StartContainer", *BAD, container_id=name).text, "the error does not name the program")
    finally:
        agent.call("RemoveContainer", container_id=name)


@with_container(SLEEP)
def exec_runs_beside_the_first_process(world, agent, name):
    process = world.process('echo "$FRUIT"; pwd; id -u; id -g; hostname; exit 9', Env=["FRUIT=pear", "PATH=/bin"], Cwd="/tmp",
                            User=world.protos.oci.User(UID=1000, GID=1001))
    agent.call("ExecProcess", container_id=name, exec_id="e", process=process)
    check_equal(agent.read_all("ReadStdout", name, "e"), b"pear\n/tmp\n1000\n1001\nbarge\n", "output")
    check_equal(agent.call("WaitProcess", container_id=name, exec_id="e").status, 9, "status")
    refused(agent, "WaitProcess", NOT_FOUND, container_id=name, exec_id="e")
    refused(agent, "ExecProcess", *BAD, container_id=name, exec_id="f", process=world.process(["/no/such/program"]))
    agent.call("ExecProcess", container_id=name, exec_id="g", process=world.process(["true"]))
    check_equal(agent.call("WaitProcess", container_id=name, exec_id="g").status, 0, "status of the next")


@with_container(SLEEP)
def exit_codes_0_to_255_come_back(world, agent, name):
    """Sixteen at a time."""
    for first in fewer([0, 240, *range(16, 240, 16)], 2):
        codes = range(first, first + 16)
        starts = [agent.begin("ExecProcess", container_id=name, exec_id=f"c{c}", process=world.process(f"exit {c}")) for c in codes]
        for s in starts:
            agent.end(s)
        waits = [agent.begin("WaitProcess", container_id=name, exec_id=f"c{c}") for c in codes]
        check_equal([agent.end(w).status for w in waits], list(codes), "status")


@with_container(SLEEP)
def deaths_by_signal_come_back(world, agent, name):
    for number in (1, 2, 6, 8, 9, 11, 13, 14, 15, 31):
        agent.call("ExecProcess", container_id=name, exec_id="s", process=world.process(f"kill -{number} $$; sleep 5"))
        check_equal(agent.call("WaitProcess", container_id=name, exec_id="s").status, 128 + number, f"status after signal {number}")


@with_container("trap 'echo got TERM' TERM; trap 'echo got USR1' USR1; echo up; while :; do sleep 1000 & wait $!; done")
def signals_reach_processes(world, agent, name):
    check_equal(agent.call("ReadStdout", container_id=name, exec_id=name, len=100).data, b"up\n", "output")
    for number, word in ((15, b"got TERM\n"), (10, b"got USR1\n")):
        agent.call("SignalProcess", container_id=name, exec_id=name, signal=number)
        check_equal(agent.call("ReadStdout", container_id=name, exec_id=name, len=100).data, word, "output")
    agent.call("ExecProcess", container_id=name, exec_id="e", process=world.process(SLEEP))
    agent.call("SignalProcess", container_id=name, exec_id="e", signal=15)
    check_equal(agent.call("WaitProcess", container_id=name, exec_id="e").status, 128 + 15, "status of the other process")
    refused(agent, "SignalProcess", INVALID_ARGUMENT, container_id=name, exec_id=name, signal=1000)
    agent.call("SignalProcess", container_id=name, signal=9)
    check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 128 + 9, "status after a signal to all")


@with_container(SLEEP)
def killing_process_1_of_the_guest_does_nothing(world, agent, name):
    """Its number means another process in a container, and it takes no signal of its children anyway."""
    agent.call("ExecProcess", container_id=name, exec_id="k", process=world.process("kill -9 1; kill -9 -1; echo still"))
    agent.read_all("ReadStdout", name, "k")
    agent.call("WaitProcess", container_id=name, exec_id="k")
    check_equal(agent.call("Health.Check").status, 1, "status of the agent")


# ---- Limits and events ----------------------------------------------------------------------------------------------


@with_container("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 1000000")
def statistics_count(world, agent, name):
    check_equal(agent.call("ReadStdout", container_id=name, exec_id=name, len=100).data, b"done\n", "output")
    answer = agent.call("StatsContainer", container_id=name)
    stats = answer.cgroup_stats
    check(stats.cpu_stats.cpu_usage.total_usage > 1000000, f"CPU: {stats.cpu_stats}")
    check(0 < stats.memory_stats.usage.usage < 100 * MIB, f"memory: {stats.memory_stats.usage}")
    check_equal(stats.pids_stats.current, 1, "processes")
    if world.machine().network:
        check({"eth0", "port0"} & {n.name for n in answer.network_stats}, f"network: {answer.network_stats}")


@with_agent
def memory_limit_ends_who_exceeds_it_and_there_is_an_event(world, agent):
    oci = world.protos.oci
    watcher = world.agent()
    event = watcher.begin("GetOOMEvent")
    resources = oci.LinuxResources(Memory=oci.LinuxMemory(Limit=24 * MIB, Swap=24 * MIB))
    name = world.create(agent, "exec dd if=/dev/zero of=/dev/shm/x bs=1M", resources=resources)
    try:
        check_equal(agent.call("WaitProcess", container_id=name, exec_id=name).status, 128 + 9, "status")
        check_equal(watcher.end(event).container_id, name, "container of the event")
    finally:
        watcher.close()
        world.remove(agent, name)
    check_equal(world.run(agent, "echo well")[1], b"well\n", "another container after that")


@with_container(SLEEP)
def update_changes_limits(world, agent, name):
    oci = world.protos.oci
    agent.call("UpdateContainer", container_id=name, resources=oci.LinuxResources(
        Memory=oci.LinuxMemory(Limit=64 * MIB), Pids=oci.LinuxPids(Limit=33), CPU=oci.LinuxCPU(Quota=30000, Period=60000)))
    process = world.process("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max")
    agent.call("ExecProcess", container_id=name, exec_id="e", process=process)
    check_equal(agent.read_all("ReadStdout", name, "e").decode().split("\n")[:3], [str(64 * MIB), "33", "30000 60000"], "limits")
    agent.call("WaitProcess", container_id=name, exec_id="e")
    check_equal(agent.call("StatsContainer", container_id=name).cgroup_stats.memory_stats.usage.limit, 64 * MIB, "limit in the statistics")


@with_container("while :; do echo x; sleep 0.01; done")
def pause_stops_and_resume_goes_on(_, agent, name):
    def time_used():
        return agent.call("StatsContainer", container_id=name).cgroup_stats.cpu_stats.cpu_usage.total_usage

    agent.call("ReadStdout", container_id=name, exec_id=name, len=100)
    agent.call("PauseContainer", container_id=name)
    before = time_used()
    time.sleep(0.2)  # it would use some
    check_equal(time_used(), before, "CPU time while it is paused")
    agent.call("ResumeContainer", container_id=name)
    for _ in range(50):
        agent.call("ReadStdout", container_id=name, exec_id=name, len=10)
    check(time_used() > before, "no CPU time was used after resuming")
    agent.call("PauseContainer", container_id=name)  # what is paused can be killed and removed


@with_agent
def metrics_are_prometheus_text(_, agent):
    metrics = prometheus(agent.call("GetMetrics").metrics)
    check(len(metrics) > 5 and any("mem" in n for n in metrics), f"metrics are {sorted(metrics)}")


# ---- The guest ------------------------------------------------------------------------------------------------------


@with_agent
def clock_can_be_set(world, agent):
    then = 2000000000
    agent.call("SetGuestDateTime", Sec=then, Usec=500000)
    now = int(world.run(agent, "date +%s")[1])
    check(then <= now <= then + 30, f"the clock shows {now} after {then} was set")
    for bad in ({"Sec": -1, "Usec": 0}, {"Sec": 1, "Usec": 1000000}, {"Sec": 1, "Usec": -1}):
        refused(agent, "SetGuestDateTime", INVALID_ARGUMENT, OUT_OF_RANGE, UNKNOWN, **bad)
    agent.call("SetGuestDateTime", Sec=int(time.time()), Usec=0)


@with_agent
def random_numbers_can_be_seeded(_, agent):
    agent.call("ReseedRandomDev", data=bytes(range(256)) * 2)
    refused(agent, "ReseedRandomDev", INVALID_ARGUMENT, data=b"")


@with_agent
def processors_are_online(world, agent):
    agent.call("OnlineCPUMem", nb_cpus=2, cpu_only=True, wait=True)
    check_equal(world.run(agent, "nproc")[1], b"2\n", "processors")


@with_agent
def file_is_copied_in_pieces(world, agent):
    path, whole = "/run/caisson/copied/deep/file", bytes(range(256)) * 40
    for offset in range(0, len(whole), 4096):
        agent.call("CopyFile", path=path, file_size=len(whole), file_mode=stat.S_IFREG | 0o640, dir_mode=0o750, uid=5, gid=6, offset=offset,
                   data=whole[offset : offset + 4096])
    spec = world.spec("stat -c '%a %u %g %s' /copied/deep/file; md5sum /copied/deep/file; stat -c %a /copied/deep")
    spec.Mounts.append(world.protos.oci.Mount(destination="/copied", type="bind", source="/run/caisson/copied", options=["rbind"]))
    name = world.name("copied")
    agent.call("CreateContainer", container_id=name, exec_id=name, OCI=spec)
    agent.call("StartContainer", container_id=name)
    lines = agent.read_all("ReadStdout", name, name).decode().splitlines()
    world.remove(agent, name)
    check_equal(lines[0], f"640 5 6 {len(whole)}", "mode, owner, size")
    check_equal(lines[1].split()[0], hashlib.md5(whole).hexdigest(), "content")


@with_agent
def files_outside_are_not_copied(_, agent):
    good = {"file_size": 1, "file_mode": stat.S_IFREG | 0o644, "dir_mode": 0o755, "offset": 0, "data": b"x"}
    for path in ("/etc/passwd", "relative", "", "/run/caisson/../../etc/x", "/run/caisson", "/run/other/x", "/run/caissonx/x", "/run/caisson/./x",
                 "/run/caisson//x", "/run/caisson/" + "y" * 5000, "/run/caisson/shared/../../../etc/x"):
        refused(agent, "CopyFile", INVALID_ARGUMENT, PERMISSION_DENIED, *BAD, path=path, **good)
    for bad in ({"file_size": -1}, {"offset": -1}, {"offset": 5}, {"file_size": 0}, {"file_mode": stat.S_IFCHR | 0o644}, {"file_mode": stat.S_IFBLK}):
        refused(agent, "CopyFile", INVALID_ARGUMENT, *BAD, path="/run/caisson/bad", **{**good, **bad})


# ---- Network --------------------------------------------------------------------------------------------------------


def need_network(world):
    if not world.machine().network:
        raise Skip("no TAP can be made here")


@with_agent
def interfaces_and_routes_are_listed(world, agent):
    found = {i.name: i for i in agent.call("ListInterfaces").Interfaces}
    check("lo" in found, f"interfaces are {sorted(found)}")
    need_network(world)
    check(MAC in [i.hwAddr.lower() for i in found.values()], f"no interface has {MAC}: {found}")
    agent.call("ListRoutes")


@with_agent
def interface_route_and_neighbour_are_set(world, agent):
    need_network(world)
    types, grpc = world.protos.types, world.protos.agent
    addresses = [types.IPAddress(family=types.v4, address="192.0.2.2", mask="24"), types.IPAddress(family=types.v6, address="2001:db8::2", mask="64")]
    answer = agent.call("UpdateInterface", interface=types.Interface(device="eth0", name="port0", IPAddresses=addresses, mtu=1400, hwAddr=MAC))
    check_equal((answer.name, answer.mtu), ("port0", 1400), "name and MTU")
    routes = [types.Route(dest="", gateway="192.0.2.1", device="port0"), types.Route(dest="198.51.100.0/24", gateway="192.0.2.9", device="port0"),
              types.Route(dest="192.0.2.0/24", device="port0", scope=253, source="192.0.2.2")]
    agent.call("UpdateRoutes", routes=grpc.Routes(Routes=routes))
    listed = {(r.dest, r.gateway) for r in agent.call("ListRoutes").Routes}
    check(("198.51.100.0/24", "192.0.2.9") in listed and any(g == "192.0.2.1" for _, g in listed), f"routes are {listed}")
    neighbour = types.ARPNeighbor(toIPAddress=types.IPAddress(family=types.v4, address="192.0.2.1", mask="32"), device="port0",
                                  lladdr="52:54:00:00:00:01", state=0x80)
    agent.call("AddARPNeighbors", neighbors=grpc.ARPNeighbors(ARPNeighbors=[neighbour]))
    _, said, _ = world.run(agent, "ip addr show dev port0; ip route; cat /proc/net/arp", namespaces=("pid", "mount"))
    for text in (b"192.0.2.2/24", b"mtu 1400", b"default via 192.0.2.1", b"52:54:00:00:00:01"):
        check(text in said, f"no {text} in {said}")


@with_agent
def network_calls_refuse_what_cannot_be(world, agent):
    types, grpc = world.protos.types, world.protos.agent
    refused(agent, "UpdateInterface", *BAD)
    refused(agent, "UpdateInterface", *BAD, interface=types.Interface(name="x", hwAddr="52:54:00:99:99:99"))
    address = types.IPAddress(address="300.0.0.1", mask="24")
    refused(agent, "UpdateInterface", *BAD, interface=types.Interface(name="lo", hwAddr="00:00:00:00:00:00", IPAddresses=[address]))
    refused(agent, "UpdateRoutes", *BAD, routes=grpc.Routes(Routes=[types.Route(dest="nonsense", device="lo")]))
    refused(agent, "AddARPNeighbors", *BAD, neighbors=grpc.ARPNeighbors(ARPNeighbors=[types.ARPNeighbor(device="nosuch", lladdr="x")]))
    agent.call("ListInterfaces")


CASES = [(f.__name__, f) for f in (
    health_says_serving_and_a_version, guest_details_name_what_the_agent_can, second_sandbox_is_refused,
    container_lives_from_create_to_remove, container_does_not_run_before_start, names_that_are_none_are_refused,
    name_that_is_taken_is_refused, configurations_that_cannot_be_are_refused, program_that_is_missing_is_an_error,
    exec_runs_beside_the_first_process, exit_codes_0_to_255_come_back, deaths_by_signal_come_back, signals_reach_processes,
    killing_process_1_of_the_guest_does_nothing, statistics_count, memory_limit_ends_who_exceeds_it_and_there_is_an_event,
    update_changes_limits, pause_stops_and_resume_goes_on, metrics_are_prometheus_text, clock_can_be_set, random_numbers_can_be_seeded,
    processors_are_online, file_is_copied_in_pieces, files_outside_are_not_copied, interfaces_and_routes_are_listed,
    interface_route_and_neighbour_are_set, network_calls_refuse_what_cannot_be)]
