# SPDX-License-Identifier: Apache-2.0
"""Configurations that must be refused: each one change of a good one, by create, before anything runs.

A case is a row: its name, path, value, path, value..., and the words that the error has to say.
"""
import json
import os

from bundle import DELETE, config, set_at
from suite import check, check_equal

from .world import changed

DEEP = "[" * 100000 + "]" * 100000
N = "linux.namespaces"
RULE = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [RULE]}
HOOK = {"path": "/bin/true"}
RDT = "linux.intelRdt"

ROWS = [
    # ---- the whole, versions ----
    ("version_is_missing", ["ociVersion", DELETE], ["ociVersion"]),
    ("version_is_a_number", ["ociVersion", 1.2], ["ociVersion"]),
    ("version_is_no_version", ["ociVersion", "one.two"], ["ociVersion"]),
    ("version_lacks_a_part", ["ociVersion", "1.0"], ["ociVersion"]),
    ("version_is_of_the_future", ["ociVersion", "2.0.0"], ["ociVersion"]),
    ("root_is_missing", ["root", DELETE], ["root"]),
    ("root_is_a_string", ["root", "rootfs"], ["root"]),
    ("root_path_is_missing", ["root", {"readonly": True}], ["root"]),
    ("root_path_is_not_there", ["root.path", "/no/such/root"], ["root"]),
    ("root_path_is_a_file", ["root.path", "/etc/passwd"], ["root"]),
    ("root_path_is_empty", ["root.path", ""], ["root"]),
    ("readonly_is_a_string", ["root.readonly", "yes"], ["readonly"]),
    ("hostname_is_a_list", ["hostname", []], ["hostname"]),
    ("annotation_is_a_number", ["annotations", {"a": 1}], ["annotations"]),
    ("annotations_are_a_list", ["annotations", ["a"]], ["annotations"]),
    ("annotation_without_a_name", ["annotations", {"": "x"}], ["annotations"]),
    # ---- process ----
    ("args_are_missing", ["process.args", DELETE], ["args"]),
    ("args_are_empty", ["process.args", []], ["args"]),
    ("args_are_a_string", ["process.args", "true"], ["args"]),
    ("args_have_a_number", ["process.args", ["true", 1]], ["args"]),
    ("cwd_is_missing", ["process.cwd", DELETE], ["cwd"]),
    ("cwd_is_relative", ["process.cwd", "tmp"], ["cwd"]),
    ("env_without_a_value", ["process.env", ["PATH"]], ["env"]),
    ("user_is_a_string", ["process.user", "root"], ["user"]),
    ("uid_is_missing", ["process.user", {"gid": 0}], ["uid"]),
    ("gid_is_missing", ["process.user", {"uid": 0}], ["gid"]),
    ("uid_is_negative", ["process.user.uid", -1], ["uid"]),
    ("uid_is_too_large", ["process.user.uid", 1 << 33], ["uid"]),
    ("console_height_is_missing", ["process.terminal", True, "process.consoleSize", {"width": 80}], ["consoleSize"]),
    ("console_width_is_missing", ["process.terminal", True, "process.consoleSize", {"height": 24}], ["consoleSize"]),
    ("rlimit_type_is_missing", ["process.rlimits", [{"soft": 1, "hard": 1}]], ["rlimits"]),
    ("rlimit_type_is_unknown", ["process.rlimits", [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]], ["RLIMIT_NOSUCH"]),
    ("rlimit_soft_is_missing", ["process.rlimits", [{"type": "RLIMIT_CORE", "hard": 1}]], ["soft"]),
    ("rlimit_hard_is_missing", ["process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1}]], ["hard"]),
    ("rlimit_is_listed_twice", ["process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2], ["RLIMIT_CORE"]),
    ("rlimit_soft_above_hard", ["process.rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]], ["rlimits"]),
    ("oom_score_is_out_of_range", ["process.oomScoreAdj", 1001], ["oomScoreAdj"]),
    ("scheduler_policy_is_missing", ["process.scheduler", {"nice": 1}], ["policy"]),
    ("scheduler_policy_is_unknown", ["process.scheduler", {"policy": "SCHED_NOSUCH"}], ["SCHED_NOSUCH"]),
    ("io_priority_class_is_missing", ["process.ioPriority", {"priority": 1}], ["class"]),
    ("io_priority_class_is_unknown", ["process.ioPriority", {"class": "IOPRIO_CLASS_X", "priority": 1}], ["IOPRIO_CLASS_X"]),
    ("io_priority_is_missing", ["process.ioPriority", {"class": "IOPRIO_CLASS_BE"}], ["priority"]),
    ("io_priority_is_out_of_range", ["process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}], ["priority"]),
    ("capabilities_are_a_list", ["process.capabilities", ["CAP_CHOWN"]], ["capabilities"]),
    # ---- mounts ----
    ("mount_without_destination", ["mounts.0.destination", DELETE], ["destination"]),
    ("mount_destination_is_empty", ["mounts.0.destination", ""], ["destination"]),
    ("mount_is_a_string", ["mounts", ["/proc"]], ["mounts"]),
    ("mount_options_are_a_string", ["mounts.0.options", "ro"], ["options"]),
    ("mount_type_is_unknown", ["mounts.0.type", "nosuchfs"], ["nosuchfs"]),
    # ---- hooks ----
    ("hook_without_path", ["hooks.createRuntime", [{}]], ["path"]),
    ("hook_path_is_relative", ["hooks.createRuntime", [{"path": "bin/true"}]], ["path"]),
    ("hook_path_of_prestart_is_relative", ["hooks.prestart", [{"path": "bin/true"}]], ["path"]),
    ("hook_without_path_in_prestart", ["hooks.prestart", [{}]], ["path"]),
    ("hook_timeout_is_zero", ["hooks.createRuntime", [{"path": "/bin/true", "timeout": 0}]], ["timeout"]),
    ("hook_timeout_of_prestart_is_zero", ["hooks.prestart", [{"path": "/bin/true", "timeout": 0}]], ["timeout"]),
    ("hook_timeout_is_negative", ["hooks.poststop", [{"path": "/bin/true", "timeout": -1}]], ["timeout"]),
    ("hooks_are_no_list", ["hooks.createRuntime", HOOK], ["createRuntime"]),
    # ---- namespaces, mappings ----
    ("namespace_without_type", [N, [{}]], ["type"]),
    ("namespace_type_is_unknown", [N + ".5", {"type": "nosuch"}], ["nosuch"]),
    ("namespace_is_listed_twice", [N + ".5", {"type": "pid"}], ["pid"]),
    ("namespace_path_is_relative", [N + ".0", {"type": "pid", "path": "proc/1/ns/pid"}], ["path"]),
    ("namespace_path_is_not_there", [N + ".1", {"type": "network", "path": "/run/netns/no-such"}], ["/run/netns/no-such"]),
    ("namespace_path_is_of_another_type", [N + ".1", {"type": "network", "path": "/proc/self/ns/uts"}], ["network"]),
    ("mapping_without_container_id", [N + ".5", {"type": "user"}, "linux.uidMappings", [{"hostID": 0, "size": 1}]], ["uidMappings"]),
    ("mapping_without_host_id", [N + ".5", {"type": "user"}, "linux.gidMappings", [{"containerID": 0, "size": 1}]], ["gidMappings"]),
    ("mapping_without_size", [N + ".5", {"type": "user"}, "linux.uidMappings", [{"hostID": 0, "containerID": 0}]], ["uidMappings"]),
    # ---- devices ----
    ("device_without_type", ["linux.devices", [{"path": "/dev/x", "major": 1, "minor": 3}]], ["type"]),
    ("device_type_is_unknown", ["linux.devices", [{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}]], ["type"]),
    ("device_without_path", ["linux.devices", [{"type": "c", "major": 1, "minor": 3}]], ["path"]),
    ("device_without_major", ["linux.devices", [{"path": "/dev/x", "type": "c", "minor": 3}]], ["major"]),
    ("device_without_minor", ["linux.devices", [{"path": "/dev/x", "type": "c", "major": 1}]], ["minor"]),
    ("device_rule_without_allow", ["linux.resources.devices", [{"access": "rwm"}]], ["allow"]),
    ("device_rule_access_is_unknown", ["linux.resources.devices", [{"allow": True, "access": "x"}]], ["access"]),
    ("net_devices_cannot_be_moved", ["linux.netDevices", {"lo": {"name": "inner"}}], ["netDevices"]),
    # ---- resources ----
    ("memory_limit_is_a_string", ["linux.resources.memory.limit", "64M"], ["limit"]),
    ("memory_limit_is_absurd", ["linux.resources.memory.limit", 1 << 70], ["limit"]),
    ("memory_limit_is_negative", ["linux.resources.memory.limit", -5], ["limit"]),
    ("cpus_are_garbage", ["linux.resources.cpu.cpus", "one"], ["cpus"]),
    ("block_throttle_without_number", ["linux.resources.blockIO.throttleReadBpsDevice", [{"rate": 1}]], ["major"]),
    ("block_throttle_without_rate", ["linux.resources.blockIO.throttleReadBpsDevice", [{"major": 8, "minor": 0}]], ["rate"]),
    ("block_weight_without_number", ["linux.resources.blockIO.weightDevice", [{"weight": 10}]], ["major"]),
    ("block_weight_without_weight", ["linux.resources.blockIO.weightDevice", [{"major": 8, "minor": 0}]], ["weight"]),
    ("block_iops_without_number", ["linux.resources.blockIO.throttleWriteIOPSDevice", [{"rate": 1}]], ["major"]),
    ("block_iops_without_rate", ["linux.resources.blockIO.throttleWriteIOPSDevice", [{"major": 8, "minor": 0}]], ["rate"]),
    ("hugepages_without_size", ["linux.resources.hugepageLimits", [{"limit": 1}]], ["pageSize"]),
    ("hugepages_without_limit", ["linux.resources.hugepageLimits", [{"pageSize": "2MB"}]], ["limit"]),
    ("network_priority_without_name", ["linux.resources.network.priorities", [{"priority": 1}]], ["name"]),
    ("network_priority_without_priority", ["linux.resources.network.priorities", [{"name": "eth0"}]], ["priority"]),
    ("rdma_without_a_limit", ["linux.resources.rdma", {"mlx5_1": {}}], ["rdma"]),
    # ---- seccomp, masks, the rest of linux ----
    ("seccomp_without_default_action", ["linux.seccomp", {"syscalls": [RULE]}], ["defaultAction"]),
    ("seccomp_action_is_unknown", ["linux.seccomp", {"defaultAction": "SCMP_ACT_NOSUCH"}], ["SCMP_ACT_NOSUCH"]),
    ("seccomp_rule_without_names", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [{"action": "SCMP_ACT_ERRNO"}]], ["names"]),
    ("seccomp_rule_with_no_name", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [{"names": [], "action": "SCMP_ACT_ERRNO"}]], ["names"]),
    ("seccomp_rule_without_action", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [{"names": ["mkdir"]}]], ["action"]),
    ("seccomp_errno_for_an_action_without", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [
        {"names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]], ["errnoRet"]),
    ("seccomp_default_errno_for_an_action_without", ["linux.seccomp", {"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 5}], ["errnoRet"]),
    ("seccomp_argument_without_index", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [
        {**RULE, "args": [{"value": 1, "op": "SCMP_CMP_EQ"}]}]], ["index"]),
    ("seccomp_argument_without_value", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [
        {**RULE, "args": [{"index": 1, "op": "SCMP_CMP_EQ"}]}]], ["value"]),
    ("seccomp_argument_without_op", ["linux.seccomp", SECCOMP, "linux.seccomp.syscalls", [
        {**RULE, "args": [{"index": 1, "value": 1}]}]], ["op"]),
    ("seccomp_architecture_is_unknown", ["linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOSUCH"]}],
     ["SCMP_ARCH_NOSUCH"]),
    ("seccomp_notify_cannot_be", ["linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/seccomp.sock", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}], ["seccomp"]),
    ("seccomp_listener_metadata_without_path", ["linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}],
     ["listenerMetadata"]),
    ("masked_path_is_relative", ["linux.maskedPaths", ["etc/group"]], ["maskedPaths"]),
    ("readonly_path_is_relative", ["linux.readonlyPaths", ["etc"]], ["readonlyPaths"]),
    ("sysctl_of_the_whole_guest", ["linux.sysctl", {"kernel.panic": "1"}], ["kernel.panic"]),
    ("sysctl_with_a_path", ["linux.sysctl", {"net/../kernel/panic": "1"}], ["kernel"]),
    ("propagation_is_unknown", ["linux.rootfsPropagation", "sideways"], ["rootfsPropagation"]),
    ("personality_without_domain", ["linux.personality", {}], ["domain"]),
    ("personality_domain_is_unknown", ["linux.personality", {"domain": "CPM"}], ["domain"]),
    ("memory_policy_without_mode", ["linux.memoryPolicy", {"nodes": "0"}], ["mode"]),
    ("memory_policy_mode_is_unknown", ["linux.memoryPolicy", {"mode": "MPOL_NOSUCH", "nodes": "0"}], ["MPOL_NOSUCH"]),
    ("intel_rdt_cannot_be", [RDT, {"closID": "x", "l3CacheSchema": "L3:0=f"}], ["intelRdt"]),
    ("intel_rdt_bandwidth_is_malformed", [RDT, {"memBwSchema": "L3:0=f\n"}], ["intelRdt"]),
    ("time_offset_of_an_unknown_clock", [N + ".5", {"type": "time"}, "linux.timeOffsets", {"realtime": {"secs": 1}}], ["timeOffsets"]),
    # ---- virtual machine ----
    ("vm_kernel_without_path", ["vm", {"kernel": {}}], ["vm"]),
    ("vm_kernel_path_is_relative", ["vm", {"kernel": {"path": "vmlinux"}}], ["vm"]),
]


def refuses(changes, texts):
    """Containers of a pod share its network and say no more of it; and what annotations are has to be seen first."""
    alone = changes[0] == "annotations" or (changes[0] == N + ".1")

    def case(world):
        spec = changed(*changes)
        world.refused(spec if alone else world.member(spec), *texts)

    return case


# ---- Files that are no configuration --------------------------------------------------------------------------------


def bad_file(content, *texts):
    def case(world):
        world.refused(content, *texts)

    return case


def not_a_plain_file(make):
    def case(world):
        name = world.name("odd")
        folder = world.folder("bundles", name)
        make(os.path.join(folder, "config.json"))
        world.runtime.create(name, folder).bad("config.json")
        world.check_nothing_of(name)

    return case


def huge_file(path):
    with open(path, "wb") as f:
        f.truncate(1 << 30)


def many_mounts(world):
    spec = changed()
    spec["mounts"] += [{"destination": f"/m/{i}", "type": "tmpfs", "source": "tmpfs"} for i in range(100000)]
    world.refused(spec, "config.json")


def names_of_5000_characters(world):
    for path, value in (("hostname", "h" * 5000), ("process.cwd", "/" + "c" * 5000), ("mounts.0.destination", "/" + "m" * 5000)):
        world.refused(world.member(changed(path, value)))


# ---- What must not be refused ---------------------------------------------------------------------------------------


def unknown_properties_are_ignored(world):
    spec = config("echo ran")
    for path in ("nosuch", "process.nosuch", "root.nosuch", "linux.nosuch", "linux.resources.nosuch", "mounts.0.nosuch", "solaris", "windows"):
        set_at(spec, path, {"a": [1, "b", None]} if "nosuch" in path else {})
    spec["annotations"] = {"org.example.unknown": "x", "io.example/with-a-slash": ""}
    check_equal(world.run(spec).text(), "ran\n", "output")


def unknown_capabilities_are_a_warning(world):
    spec = changed(args="echo ran")
    for kind in ("bounding", "effective", "permitted"):
        spec["process"]["capabilities"][kind].append("CAP_NO_SUCH")
    result = world.run(spec)
    check_equal(result.text(), "ran\n", "output")
    check("CAP_NO_SUCH" in result.err, f"no word of it: {result}")


def versions_of_the_same_major_are_taken(world):
    features = json.loads(world.runtime.command("features").text())
    for version in sorted({"1.0.0", "1.0.2-dev", "1.1.0", "1.2.0", "1.3.0", features["ociVersionMin"], features["ociVersionMax"]}):
        if "rc" in version:
            continue
        check_equal(world.run(changed("ociVersion", version, args="echo ran")).text(), "ran\n", f"output with version {version}")


def an_error_changes_nothing(world):
    """The second of two mounts cannot be: the state folder, processes and the pod are as before."""
    before = sorted(os.listdir(world.runtime.root)) if os.path.isdir(world.runtime.root) else []
    spec = changed("linux.namespaces.1", {"type": "network", "path": "/run/netns/no-such"})
    world.refused(spec, "no-such")
    check_equal(sorted(os.listdir(world.runtime.root)), before, "the state folder")


def device_that_is_in_the_way_is_an_error(world):
    """A plain file of the image where a device is to be."""
    root = world.path("in-the-way")
    os.makedirs(os.path.join(root, "etc"))
    os.makedirs(os.path.join(root, "bin"))
    os.link(os.path.join(world.image, "bin/busybox"), os.path.join(root, "bin/true"))
    with open(os.path.join(root, "etc/device"), "w", encoding="ascii") as f:
        f.write("a plain file\n")
    world.need_caisson("it takes the file for the device")
    spec = changed("root.path", root, "process.args", ["/bin/true"], "linux.devices", [{"path": "/etc/device", "type": "c", "major": 1, "minor": 3}])
    name = world.name("way")
    result = world.runtime.run(name, world.bundle(name, world.member(spec)))
    result.bad("/etc/device")
    world.check_nothing_of(name)


CASES = [("refused_" + name, refuses(changes, texts)) for name, changes, texts in ROWS]
CASES += [
    ("refused_empty_file", bad_file("", "config.json")),
    ("refused_no_json", bad_file("{\"ociVersion\": ", "config.json")),
    ("refused_json_of_another_kind", bad_file("[]", "config.json")),
    ("refused_text_that_is_no_utf_8", bad_file('{"ociVersion": "1.2.0", "hostname": "\udcff"}', "config.json")),
    ("refused_deep_nesting", bad_file(DEEP, "config.json")),
    ("refused_folder_for_a_file", not_a_plain_file(os.mkdir)),
    ("refused_pipe_for_a_file", not_a_plain_file(os.mkfifo)),
    ("refused_file_of_1_gib", not_a_plain_file(huge_file)),
    ("refused_100000_mounts", many_mounts),
    ("refused_names_of_5000_characters", names_of_5000_characters),
]
CASES += [(f.__name__, f) for f in (
    unknown_properties_are_ignored, unknown_capabilities_are_a_warning, versions_of_the_same_major_are_taken,
    an_error_changes_nothing, device_that_is_in_the_way_is_an_error)]
