/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/features.h"

#include <stdbool.h>

#include "common/json.h"
#include "common/oci_names.h"
#include "version.h"
#include "vmm/oci/spec.h"

static void put_enabled(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_begin_object(w);
    json_put_bool(w, "enabled", value);
    json_end_object(w);
}

/* Of the host's: a pod's group is made in both layouts, and without systemd's help. */
static void put_cgroup(struct json_writer *w)
{
    json_key(w, "cgroup");
    json_begin_object(w);
    json_put_bool(w, "v1", true);
    json_put_bool(w, "v2", true);
    json_put_bool(w, "systemd", false);
    json_put_bool(w, "systemdUser", false);
    json_put_bool(w, "rdma", false);
    json_end_object(w);
}

static void put_seccomp(struct json_writer *w)
{
    json_key(w, "seccomp");
    json_begin_object(w);
    json_put_bool(w, "enabled", true);
    json_put_texts(w, "actions", oci_seccomp_actions);
    json_put_texts(w, "operators", oci_seccomp_operators);
    json_put_texts(w, "archs", oci_seccomp_archs);
    json_put_texts(w, "knownFlags", oci_seccomp_flags);
    json_put_texts(w, "supportedFlags", oci_seccomp_flags);
    json_end_object(w);
}

static void put_linux(struct json_writer *w)
{
    json_key(w, "linux");
    json_begin_object(w);
    json_put_texts(w, "namespaces", oci_namespace_names);
    json_put_texts(w, "capabilities", oci_capability_names);
    put_cgroup(w);
    put_seccomp(w);
    put_enabled(w, "apparmor", false);
    put_enabled(w, "selinux", false);
    put_enabled(w, "intelRdt", false);
    json_key(w, "memoryPolicy");
    json_begin_object(w);
    json_put_texts(w, "modes", oci_memory_modes);
    json_put_texts(w, "flags", oci_memory_flags);
    json_end_object(w);
    json_key(w, "mountExtensions");
    json_begin_object(w);
    put_enabled(w, "idmap", true);
    json_end_object(w);
    put_enabled(w, "netDevices", false);
    json_end_object(w);
}

void oci_features_print(FILE *out)
{
    /* A dot at the end: all that begin so. */
    static const char *const unsafe[] = {"io.caisson.",
                                         "io.kubernetes.cri.container-type",
                                         "io.kubernetes.cri.sandbox-id",
                                         "io.kubernetes.cri-o.ContainerType",
                                         "io.kubernetes.cri-o.SandboxID",
                                         NULL};
    struct json_writer writer, *w = &writer;
    json_writer_init(w, out);
    json_begin_object(w);
    json_put_text(w, "ociVersionMin", OCI_VERSION_MIN);
    json_put_text(w, "ociVersionMax", OCI_VERSION_MAX);
    json_put_texts(w, "hooks", oci_hook_names);
    json_put_texts(w, "mountOptions", oci_mount_option_names);
    put_linux(w);
    json_key(w, "annotations");
    json_begin_object(w);
    json_put_text(w, "io.caisson.version", CAISSON_VERSION);
    json_end_object(w);
    json_put_texts(w, "potentiallyUnsafeConfigAnnotations", unsafe);
    json_end_object(w);
    json_finish(w);
}
