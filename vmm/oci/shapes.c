/* SPDX-License-Identifier: Apache-2.0 */
#include <pb.h>

#include "common/oci_names.h"
#include "oci.pb.h"
#include "vmm/oci/shapes.h"
#include "vmm/oci/spec.h"

#define ARGUMENTS_MAX 65536u /* arguments or variables of a program; the kernel's limit is on their bytes */
#define HOOKS_MAX     64u

/* ---- Process ---- */

static const struct oci_member box_members[] = {
    {OCI_VALUE(grpc_Box, "height", U32, Height), .required = true, .max = UINT16_MAX},
    {OCI_VALUE(grpc_Box, "width", U32, Width), .required = true, .max = UINT16_MAX},
};
static const struct oci_shape box = {OCI_SHAPE(grpc_Box, box_members)};

static const struct oci_member user_members[] = {
    {OCI_VALUE(grpc_User, "uid", U32, UID), .required = true},
    {OCI_VALUE(grpc_User, "gid", U32, GID), .required = true},
    {.key = "umask",
     .kind = OCI_U32,
     .at = offsetof(grpc_User, Umask),
     .seen_at = offsetof(grpc_User, has_Umask),
     .max = 0777},
    {OCI_LIST(grpc_User, "additionalGids", U32S, AdditionalGids), .max = 65536},
    {OCI_VALUE(grpc_User, "username", STRING, Username)},
};
static const struct oci_shape user = {OCI_SHAPE(grpc_User, user_members)};

/* Names that nobody knows are taken out later, with a warning. */
static const struct oci_member capabilities_members[] = {
    {OCI_LIST(grpc_LinuxCapabilities, "bounding", STRINGS, Bounding)},
    {OCI_LIST(grpc_LinuxCapabilities, "effective", STRINGS, Effective)},
    {OCI_LIST(grpc_LinuxCapabilities, "inheritable", STRINGS, Inheritable)},
    {OCI_LIST(grpc_LinuxCapabilities, "permitted", STRINGS, Permitted)},
    {OCI_LIST(grpc_LinuxCapabilities, "ambient", STRINGS, Ambient)},
};
static const struct oci_shape capabilities = {OCI_SHAPE(grpc_LinuxCapabilities, capabilities_members)};

static const struct oci_member rlimit_members[] = {
    {OCI_VALUE(grpc_POSIXRlimit, "type", STRING, Type), .required = true, .words = oci_rlimit_names},
    {OCI_VALUE(grpc_POSIXRlimit, "hard", U64, Hard), .required = true},
    {OCI_VALUE(grpc_POSIXRlimit, "soft", U64, Soft), .required = true},
};
static const struct oci_shape rlimit = {OCI_SHAPE(grpc_POSIXRlimit, rlimit_members)};

static const struct oci_member io_priority_members[] = {
    {OCI_VALUE(grpc_LinuxIOPriority, "class", STRING, Class), .required = true, .words = oci_io_classes},
    {OCI_VALUE(grpc_LinuxIOPriority, "priority", I32, Priority), .required = true, .max = 7},
};
static const struct oci_shape io_priority = {OCI_SHAPE(grpc_LinuxIOPriority, io_priority_members)};

static const struct oci_member scheduler_members[] = {
    {OCI_VALUE(grpc_LinuxScheduler, "policy", STRING, Policy), .required = true, .words = oci_scheduler_policies},
    {OCI_VALUE(grpc_LinuxScheduler, "nice", I32, Nice), .min = -20, .max = 19},
    {OCI_VALUE(grpc_LinuxScheduler, "priority", I32, Priority), .max = 99},
    {OCI_LIST(grpc_LinuxScheduler, "flags", STRINGS, Flags), .words = oci_scheduler_flags},
    {OCI_VALUE(grpc_LinuxScheduler, "runtime", U64, Runtime)},
    {OCI_VALUE(grpc_LinuxScheduler, "deadline", U64, Deadline)},
    {OCI_VALUE(grpc_LinuxScheduler, "period", U64, Period)},
};
static const struct oci_shape scheduler = {OCI_SHAPE(grpc_LinuxScheduler, scheduler_members)};

static const struct oci_member affinity_members[] = {
    {OCI_VALUE(grpc_LinuxExecCPUAffinity, "initial", STRING, Initial)},
    {OCI_VALUE(grpc_LinuxExecCPUAffinity, "final", STRING, Final)},
};
static const struct oci_shape affinity = {OCI_SHAPE(grpc_LinuxExecCPUAffinity, affinity_members)};

static const struct oci_member process_members[] = {
    {OCI_VALUE(grpc_Process, "terminal", BOOL, Terminal)},
    {OCI_PART(grpc_Process, "consoleSize", ConsoleSize, box)},
    {OCI_PART(grpc_Process, "user", User, user)},
    {OCI_LIST(grpc_Process, "args", STRINGS, Args), .max = ARGUMENTS_MAX},
    {OCI_LIST(grpc_Process, "env", STRINGS, Env), .max = ARGUMENTS_MAX},
    {OCI_VALUE(grpc_Process, "cwd", STRING, Cwd), .required = true},
    {OCI_PART(grpc_Process, "capabilities", Capabilities, capabilities)},
    {OCI_LIST(grpc_Process, "rlimits", OBJECTS, Rlimits), .shape = &rlimit},
    {OCI_VALUE(grpc_Process, "noNewPrivileges", BOOL, NoNewPrivileges)},
    {OCI_VALUE(grpc_Process, "apparmorProfile", STRING, ApparmorProfile)},
    {.key = "oomScoreAdj",
     .kind = OCI_I64,
     .at = offsetof(grpc_Process, OOMScoreAdj),
     .seen_at = offsetof(grpc_Process, HasOOMScoreAdj),
     .min = -1000,
     .max = 1000},
    {OCI_VALUE(grpc_Process, "selinuxLabel", STRING, SelinuxLabel)},
    {OCI_PART(grpc_Process, "ioPriority", IOPriority, io_priority)},
    {OCI_PART(grpc_Process, "scheduler", Scheduler, scheduler)},
    {OCI_PART(grpc_Process, "execCPUAffinity", ExecCPUAffinity, affinity)},
};
const struct oci_shape oci_shape_process = {OCI_SHAPE(grpc_Process, process_members)};

/* ---- Root, mounts, hooks ---- */

static const struct oci_member root_members[] = {
    {OCI_VALUE(grpc_Root, "path", STRING, Path), .required = true},
    {OCI_VALUE(grpc_Root, "readonly", BOOL, Readonly)},
};
static const struct oci_shape root = {OCI_SHAPE(grpc_Root, root_members)};

static const struct oci_member mapping_members[] = {
    {OCI_VALUE(grpc_LinuxIDMapping, "containerID", U32, ContainerID), .required = true},
    {OCI_VALUE(grpc_LinuxIDMapping, "hostID", U32, HostID), .required = true},
    {OCI_VALUE(grpc_LinuxIDMapping, "size", U32, Size), .required = true},
};
const struct oci_shape oci_shape_mapping = {OCI_SHAPE(grpc_LinuxIDMapping, mapping_members)};

static const struct oci_member mount_members[] = {
    {OCI_VALUE(grpc_Mount, "destination", STRING, destination), .required = true},
    {OCI_VALUE(grpc_Mount, "source", STRING, source)},
    {OCI_VALUE(grpc_Mount, "type", STRING, type), .max = 64},
    {OCI_LIST(grpc_Mount, "options", STRINGS, options), .max = 128},
    {OCI_LIST(grpc_Mount, "uidMappings", OBJECTS, UIDMappings), .shape = &oci_shape_mapping, .max = OCI_MAPPINGS_MAX},
    {OCI_LIST(grpc_Mount, "gidMappings", OBJECTS, GIDMappings), .shape = &oci_shape_mapping, .max = OCI_MAPPINGS_MAX},
};
static const struct oci_shape mount = {OCI_SHAPE(grpc_Mount, mount_members)};

static const struct oci_member hook_members[] = {
    {OCI_VALUE(grpc_Hook, "path", STRING, Path), .required = true},
    {OCI_LIST(grpc_Hook, "args", STRINGS, Args), .max = ARGUMENTS_MAX},
    {OCI_LIST(grpc_Hook, "env", STRINGS, Env), .max = ARGUMENTS_MAX},
    {OCI_VALUE(grpc_Hook, "timeout", I64, Timeout), .min = 1, .max = INT32_MAX},
};
static const struct oci_shape hook = {OCI_SHAPE(grpc_Hook, hook_members)};

static const struct oci_member hooks_members[] = {
    {OCI_LIST(grpc_Hooks, "prestart", OBJECTS, Prestart), .shape = &hook, .max = HOOKS_MAX},
    {OCI_LIST(grpc_Hooks, "createRuntime", OBJECTS, CreateRuntime), .shape = &hook, .max = HOOKS_MAX},
    {OCI_LIST(grpc_Hooks, "createContainer", OBJECTS, CreateContainer), .shape = &hook, .max = HOOKS_MAX},
    {OCI_LIST(grpc_Hooks, "startContainer", OBJECTS, StartContainer), .shape = &hook, .max = HOOKS_MAX},
    {OCI_LIST(grpc_Hooks, "poststart", OBJECTS, Poststart), .shape = &hook, .max = HOOKS_MAX},
    {OCI_LIST(grpc_Hooks, "poststop", OBJECTS, Poststop), .shape = &hook, .max = HOOKS_MAX},
};
static const struct oci_shape hooks = {OCI_SHAPE(grpc_Hooks, hooks_members)};

/* ---- The whole ---- */

/* What read.h wants of maps. */
_Static_assert(offsetof(grpc_Spec_AnnotationsEntry, value) == sizeof(char *), "a map's entry is key and value");
_Static_assert(sizeof(grpc_Spec_AnnotationsEntry) == sizeof(grpc_Linux_SysctlEntry) &&
                   sizeof(grpc_Linux_SysctlEntry) == sizeof(grpc_LinuxResources_UnifiedEntry),
               "all maps are alike");

static const struct oci_member spec_members[] = {
    {OCI_VALUE(grpc_Spec, "ociVersion", STRING, Version), .required = true, .max = 64},
    {OCI_PART(grpc_Spec, "process", Process, oci_shape_process), .required = true},
    {OCI_PART(grpc_Spec, "root", Root, root), .required = true},
    {OCI_VALUE(grpc_Spec, "hostname", STRING, Hostname)},
    {OCI_VALUE(grpc_Spec, "domainname", STRING, Domainname)},
    {OCI_LIST(grpc_Spec, "mounts", OBJECTS, Mounts), .shape = &mount, .max = OCI_MOUNTS_MAX},
    {OCI_PART(grpc_Spec, "hooks", Hooks, hooks)},
    {.key = "annotations",
     .kind = OCI_MAP,
     .at = offsetof(grpc_Spec, Annotations),
     .seen_at = offsetof(grpc_Spec, Annotations_count)},
    {OCI_PART(grpc_Spec, "linux", Linux, oci_shape_linux)},
};
const struct oci_shape oci_shape_spec = {OCI_SHAPE(grpc_Spec, spec_members)};

/* ---- The machine ---- */

static const struct oci_member kernel_members[] = {
    {OCI_VALUE(struct oci_vm_kernel, "path", STRING, path), .required = true},
    {OCI_LIST(struct oci_vm_kernel, "parameters", STRINGS, parameters), .max = 128},
    {OCI_REFUSED("initrd", NEVER, "a pod starts from its own initial file system; leave it out")},
};
static const struct oci_shape kernel = {OCI_SHAPE(struct oci_vm_kernel, kernel_members)};

#define NOT_PASSED "devices of the host are not passed to pods; leave it out"

static const struct oci_member hardware_members[] = {
    {OCI_VALUE(struct oci_vm_hardware, "vcpus", U32, vcpus)},
    {OCI_VALUE(struct oci_vm_hardware, "memory", U64, memory)},
    {OCI_REFUSED("deviceTree", NEVER, NOT_PASSED)},
    {OCI_REFUSED("dtdevs", EMPTY, NOT_PASSED)},
    {OCI_REFUSED("iomems", EMPTY, NOT_PASSED)},
    {OCI_REFUSED("irqs", EMPTY, NOT_PASSED)},
};
static const struct oci_shape hardware = {OCI_SHAPE(struct oci_vm_hardware, hardware_members)};

static const struct oci_member vm_members[] = {
    {OCI_PART(struct oci_vm, "kernel", kernel, kernel)},
    {OCI_PART(struct oci_vm, "hwConfig", hardware, hardware)},
    {OCI_REFUSED("image", NEVER, "a pod has no image of its own, only its containers have; leave it out")},
};
const struct oci_shape oci_shape_vm = {OCI_SHAPE(struct oci_vm, vm_members)};
