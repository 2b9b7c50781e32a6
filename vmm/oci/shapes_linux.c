/* SPDX-License-Identifier: Apache-2.0 */
#include <pb.h>

#include "common/oci_names.h"
#include "oci.pb.h"
#include "vmm/oci/shapes.h"
#include "vmm/oci/spec.h"

#define BLOCK_DEVICES_MAX 256u
#define SECCOMP_RULES_MAX 4096u

/* ---- Namespaces, devices, clocks ---- */

static const struct oci_member namespace_members[] = {
    {OCI_VALUE(grpc_LinuxNamespace, "type", STRING, Type), .required = true, .words = oci_namespace_names},
    {OCI_VALUE(grpc_LinuxNamespace, "path", STRING, Path)},
};
static const struct oci_shape namespace = {OCI_SHAPE(grpc_LinuxNamespace, namespace_members)};

static const char *const device_types[] = {"c", "b", "u", "p", NULL};

/* Numbers that are missing are found by their sign; a mode that is missing is the one that runc gives. */
static void init_device(void *object)
{
    grpc_LinuxDevice *d = object;
    d->Major = d->Minor = -1;
    d->FileMode = 0666;
}

static const struct oci_member device_members[] = {
    {OCI_VALUE(grpc_LinuxDevice, "path", STRING, Path), .required = true},
    {OCI_VALUE(grpc_LinuxDevice, "type", STRING, Type), .required = true, .words = device_types},
    {OCI_VALUE(grpc_LinuxDevice, "major", I64, Major), .max = 4095},
    {OCI_VALUE(grpc_LinuxDevice, "minor", I64, Minor), .max = 1048575},
    {OCI_VALUE(grpc_LinuxDevice, "fileMode", U32, FileMode), .max = 0177777},
    {OCI_VALUE(grpc_LinuxDevice, "uid", U32, UID)},
    {OCI_VALUE(grpc_LinuxDevice, "gid", U32, GID)},
};
static const struct oci_shape device = {OCI_SHAPE(grpc_LinuxDevice, device_members), .init = init_device};

static const struct oci_member offset_members[] = {
    {OCI_VALUE(grpc_LinuxTimeOffset, "secs", I64, Secs)},
    {OCI_VALUE(grpc_LinuxTimeOffset, "nanosecs", U32, Nanosecs), .max = 999999999},
};
static const struct oci_shape offset = {OCI_SHAPE(grpc_LinuxTimeOffset, offset_members)};

static const struct oci_member personality_members[] = {
    {OCI_VALUE(grpc_LinuxPersonality, "domain", STRING, Domain), .required = true, .words = oci_personalities},
    {OCI_REFUSED("flags", EMPTY, "the specification knows no flags; leave them out")},
};
static const struct oci_shape personality = {OCI_SHAPE(grpc_LinuxPersonality, personality_members)};

static const struct oci_member policy_members[] = {
    {OCI_VALUE(grpc_LinuxMemoryPolicy, "mode", STRING, Mode), .required = true, .words = oci_memory_modes},
    {OCI_VALUE(grpc_LinuxMemoryPolicy, "nodes", STRING, Nodes)},
    {OCI_LIST(grpc_LinuxMemoryPolicy, "flags", STRINGS, Flags), .words = oci_memory_flags},
};
static const struct oci_shape policy = {OCI_SHAPE(grpc_LinuxMemoryPolicy, policy_members)};

/* ---- Resources ---- */

static void init_rule(void *object)
{
    grpc_LinuxDeviceCgroup *d = object;
    d->Major = d->Minor = -1;
}

static const char *const rule_types[] = {"a", "c", "b", "", NULL};

static const struct oci_member rule_members[] = {
    {OCI_VALUE(grpc_LinuxDeviceCgroup, "allow", BOOL, Allow), .required = true},
    {OCI_VALUE(grpc_LinuxDeviceCgroup, "type", STRING, Type), .words = rule_types},
    {OCI_VALUE(grpc_LinuxDeviceCgroup, "major", I64, Major), .min = -1, .max = 4095},
    {OCI_VALUE(grpc_LinuxDeviceCgroup, "minor", I64, Minor), .min = -1, .max = 1048575},
    {OCI_VALUE(grpc_LinuxDeviceCgroup, "access", STRING, Access), .max = 3},
};
static const struct oci_shape rule = {OCI_SHAPE(grpc_LinuxDeviceCgroup, rule_members), .init = init_rule};

static const struct oci_member memory_members[] = {
    {OCI_VALUE(grpc_LinuxMemory, "limit", I64, Limit)},
    {OCI_VALUE(grpc_LinuxMemory, "reservation", I64, Reservation)},
    {OCI_VALUE(grpc_LinuxMemory, "swap", I64, Swap)},
    {OCI_VALUE(grpc_LinuxMemory, "kernel", I64, Kernel)},
    {OCI_VALUE(grpc_LinuxMemory, "kernelTCP", I64, KernelTCP)},
    {OCI_VALUE(grpc_LinuxMemory, "swappiness", U64, Swappiness), .max = 100},
    {OCI_VALUE(grpc_LinuxMemory, "disableOOMKiller", BOOL, DisableOOMKiller)},
    {OCI_VALUE(grpc_LinuxMemory, "checkBeforeUpdate", BOOL, CheckBeforeUpdate)},
};
static const struct oci_shape memory = {OCI_SHAPE(grpc_LinuxMemory, memory_members)};

static const struct oci_member cpu_members[] = {
    {OCI_VALUE(grpc_LinuxCPU, "shares", U64, Shares), .max = 262144},
    {OCI_VALUE(grpc_LinuxCPU, "quota", I64, Quota)},
    {OCI_VALUE(grpc_LinuxCPU, "period", U64, Period)},
    {OCI_VALUE(grpc_LinuxCPU, "burst", U64, Burst)},
    {OCI_VALUE(grpc_LinuxCPU, "realtimeRuntime", I64, RealtimeRuntime)},
    {OCI_VALUE(grpc_LinuxCPU, "realtimePeriod", U64, RealtimePeriod)},
    {OCI_VALUE(grpc_LinuxCPU, "cpus", STRING, Cpus)},
    {OCI_VALUE(grpc_LinuxCPU, "mems", STRING, Mems)},
    {OCI_VALUE(grpc_LinuxCPU, "idle", I64, Idle), .max = 1},
};
static const struct oci_shape cpu = {OCI_SHAPE(grpc_LinuxCPU, cpu_members)};

static const struct oci_member pids_members[] = {
    {OCI_VALUE(grpc_LinuxPids, "limit", I64, Limit), .required = true, .min = -1, .max = 4194304},
};
static const struct oci_shape pids = {OCI_SHAPE(grpc_LinuxPids, pids_members)};

static const struct oci_member weight_members[] = {
    {OCI_VALUE(grpc_LinuxWeightDevice, "major", I64, Major), .required = true, .max = 4095},
    {OCI_VALUE(grpc_LinuxWeightDevice, "minor", I64, Minor), .required = true, .max = 1048575},
    {OCI_VALUE(grpc_LinuxWeightDevice, "weight", U32, Weight), .max = UINT16_MAX},
    {OCI_VALUE(grpc_LinuxWeightDevice, "leafWeight", U32, LeafWeight), .max = UINT16_MAX},
};
static const struct oci_shape weight = {OCI_SHAPE(grpc_LinuxWeightDevice, weight_members)};

static const struct oci_member throttle_members[] = {
    {OCI_VALUE(grpc_LinuxThrottleDevice, "major", I64, Major), .required = true, .max = 4095},
    {OCI_VALUE(grpc_LinuxThrottleDevice, "minor", I64, Minor), .required = true, .max = 1048575},
    {OCI_VALUE(grpc_LinuxThrottleDevice, "rate", U64, Rate), .required = true},
};
static const struct oci_shape throttle = {OCI_SHAPE(grpc_LinuxThrottleDevice, throttle_members)};

#define THROTTLE(name, field)                                                                                          \
    OCI_LIST(grpc_LinuxBlockIO, name, OBJECTS, field), .shape = &throttle, .max = BLOCK_DEVICES_MAX

static const struct oci_member block_members[] = {
    {OCI_VALUE(grpc_LinuxBlockIO, "weight", U32, Weight), .max = UINT16_MAX},
    {OCI_VALUE(grpc_LinuxBlockIO, "leafWeight", U32, LeafWeight), .max = UINT16_MAX},
    {OCI_LIST(grpc_LinuxBlockIO, "weightDevice", OBJECTS, WeightDevice), .shape = &weight, .max = BLOCK_DEVICES_MAX},
    {THROTTLE("throttleReadBpsDevice", ThrottleReadBpsDevice)},
    {THROTTLE("throttleWriteBpsDevice", ThrottleWriteBpsDevice)},
    {THROTTLE("throttleReadIOPSDevice", ThrottleReadIOPSDevice)},
    {THROTTLE("throttleWriteIOPSDevice", ThrottleWriteIOPSDevice)},
};
static const struct oci_shape block = {OCI_SHAPE(grpc_LinuxBlockIO, block_members)};

static const struct oci_member hugepage_members[] = {
    {OCI_VALUE(grpc_LinuxHugepageLimit, "pageSize", STRING, Pagesize), .required = true, .max = 16},
    {OCI_VALUE(grpc_LinuxHugepageLimit, "limit", U64, Limit), .required = true},
};
static const struct oci_shape hugepage = {OCI_SHAPE(grpc_LinuxHugepageLimit, hugepage_members)};

static const struct oci_member priority_members[] = {
    {OCI_VALUE(grpc_LinuxInterfacePriority, "name", STRING, Name), .required = true, .max = 15},
    {OCI_VALUE(grpc_LinuxInterfacePriority, "priority", U32, Priority), .required = true},
};
static const struct oci_shape priority = {OCI_SHAPE(grpc_LinuxInterfacePriority, priority_members)};

static const struct oci_member network_members[] = {
    {OCI_VALUE(grpc_LinuxNetwork, "classID", U32, ClassID)},
    {OCI_LIST(grpc_LinuxNetwork, "priorities", OBJECTS, Priorities), .shape = &priority},
};
static const struct oci_shape network = {OCI_SHAPE(grpc_LinuxNetwork, network_members)};

static const struct oci_member resources_members[] = {
    {OCI_LIST(grpc_LinuxResources, "devices", OBJECTS, Devices), .shape = &rule},
    {OCI_PART(grpc_LinuxResources, "memory", Memory, memory)},
    {OCI_PART(grpc_LinuxResources, "cpu", CPU, cpu)},
    {OCI_PART(grpc_LinuxResources, "pids", Pids, pids)},
    {OCI_PART(grpc_LinuxResources, "blockIO", BlockIO, block)},
    {OCI_LIST(grpc_LinuxResources, "hugepageLimits", OBJECTS, HugepageLimits), .shape = &hugepage, .max = 64},
    {OCI_PART(grpc_LinuxResources, "network", Network, network)},
    {OCI_REFUSED("rdma", EMPTY, "a pod has no RDMA devices; leave it out")},
    {OCI_LIST(grpc_LinuxResources, "unified", MAP, Unified), .max = 256},
};
const struct oci_shape oci_shape_resources = {OCI_SHAPE(grpc_LinuxResources, resources_members)};

/* ---- Seccomp ---- */

static const struct oci_member argument_members[] = {
    {OCI_VALUE(grpc_LinuxSeccompArg, "index", U64, Index), .required = true, .max = 5},
    {OCI_VALUE(grpc_LinuxSeccompArg, "value", U64, Value), .required = true},
    {OCI_VALUE(grpc_LinuxSeccompArg, "valueTwo", U64, ValueTwo)},
    {OCI_VALUE(grpc_LinuxSeccompArg, "op", STRING, Op), .required = true, .words = oci_seccomp_operators},
};
static const struct oci_shape argument = {OCI_SHAPE(grpc_LinuxSeccompArg, argument_members)};

#define ACTION .required = true, .max = 64

static const struct oci_member syscall_members[] = {
    {OCI_LIST(grpc_LinuxSyscall, "names", STRINGS, Names), .required = true},
    {OCI_VALUE(grpc_LinuxSyscall, "action", STRING, Action), ACTION},
    {.key = "errnoRet",
     .kind = OCI_U32,
     .at = offsetof(grpc_LinuxSyscall, ErrnoRet.errnoret),
     .seen_at = offsetof(grpc_LinuxSyscall, which_ErrnoRet),
     .tag = grpc_LinuxSyscall_errnoret_tag,
     .max = 65535},
    {OCI_LIST(grpc_LinuxSyscall, "args", OBJECTS, Args), .shape = &argument, .max = 64},
};
static const struct oci_shape syscalls = {OCI_SHAPE(grpc_LinuxSyscall, syscall_members)};

static const struct oci_member seccomp_members[] = {
    {OCI_VALUE(grpc_LinuxSeccomp, "defaultAction", STRING, DefaultAction), ACTION},
    {.key = "defaultErrnoRet",
     .kind = OCI_U32,
     .at = offsetof(grpc_LinuxSeccomp, DefaultErrnoRet),
     .seen_at = offsetof(grpc_LinuxSeccomp, has_DefaultErrnoRet),
     .max = 65535},
    {OCI_LIST(grpc_LinuxSeccomp, "architectures", STRINGS, Architectures), .words = oci_seccomp_archs},
    {OCI_LIST(grpc_LinuxSeccomp, "flags", STRINGS, Flags), .words = oci_seccomp_flags},
    {OCI_VALUE(grpc_LinuxSeccomp, "listenerPath", STRING, ListenerPath)},
    {OCI_VALUE(grpc_LinuxSeccomp, "listenerMetadata", STRING, ListenerMetadata)},
    {OCI_LIST(grpc_LinuxSeccomp, "syscalls", OBJECTS, Syscalls), .shape = &syscalls, .max = SECCOMP_RULES_MAX},
};
static const struct oci_shape seccomp = {OCI_SHAPE(grpc_LinuxSeccomp, seccomp_members)};

/* ---- The whole ---- */

static const struct oci_member linux_members[] = {
    {OCI_LIST(grpc_Linux, "namespaces", OBJECTS, Namespaces), .shape = &namespace, .max = 16},
    {OCI_LIST(grpc_Linux, "uidMappings", OBJECTS, UIDMappings), .shape = &oci_shape_mapping, .max = OCI_MAPPINGS_MAX},
    {OCI_LIST(grpc_Linux, "gidMappings", OBJECTS, GIDMappings), .shape = &oci_shape_mapping, .max = OCI_MAPPINGS_MAX},
    {OCI_LIST(grpc_Linux, "timeOffsets", KEYED, TimeOffsets), .key_at = offsetof(grpc_LinuxTimeOffset, Clock),
     .shape = &offset, .max = 16},
    {OCI_LIST(grpc_Linux, "devices", OBJECTS, Devices), .shape = &device, .max = 1024},
    {OCI_REFUSED("netDevices", EMPTY,
                 "devices of the host cannot be moved into a pod; attach the pod to a network "
                 "namespace instead")},
    {OCI_VALUE(grpc_Linux, "cgroupsPath", STRING, CgroupsPath)},
    {OCI_PART(grpc_Linux, "resources", Resources, oci_shape_resources)},
    {OCI_REFUSED("intelRdt", NEVER, "a pod has no resctrl file system; leave it out")},
    {OCI_PART(grpc_Linux, "memoryPolicy", MemoryPolicy, policy)},
    {OCI_LIST(grpc_Linux, "sysctl", MAP, Sysctl), .max = 256},
    {OCI_PART(grpc_Linux, "seccomp", Seccomp, seccomp)},
    {OCI_VALUE(grpc_Linux, "rootfsPropagation", STRING, RootfsPropagation)},
    {OCI_LIST(grpc_Linux, "maskedPaths", STRINGS, MaskedPaths)},
    {OCI_LIST(grpc_Linux, "readonlyPaths", STRINGS, ReadonlyPaths)},
    {OCI_VALUE(grpc_Linux, "mountLabel", STRING, MountLabel)},
    {OCI_PART(grpc_Linux, "personality", Personality, personality)},
};
const struct oci_shape oci_shape_linux = {OCI_SHAPE(grpc_Linux, linux_members)};
