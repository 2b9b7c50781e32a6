/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/features.h"

#include <stdbool.h>

#include "common/json.h"
#include "common/oci_names.h"
#include "version.h"
#include "vmm/oci/spec.h"

static void put_list(struct json_writer *w, const char *key, const char *const *words)
{
    json_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; words[i] != NULL; i++)
        json_text(w, words[i]);
    json_end_array(w);
}

static void put_string(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_text(w, value);
}

static void put_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}

static void put_enabled(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_begin_object(w);
    put_bool(w, "enabled", value);
    json_end_object(w);
}

/* Of the host's: a pod's group is made in both layouts, and without systemd's help. */
static void put_cgroup(struct json_writer *w)
{
    json_key(w, "cgroup");
    json_begin_object(w);
    put_bool(w, "v1", true);
    put_bool(w, "v2", true);
    put_bool(w, "systemd", false);
    put_bool(w, "systemdUser", false);
    put_bool(w, "rdma", false);
    json_end_object(w);
}

static void put_seccomp(struct json_writer *w)
{
    json_key(w, "seccomp");
    json_begin_object(w);
    put_bool(w, "enabled", true);
    put_list(w, "actions", oci_seccomp_actions);
    put_list(w, "operators", oci_seccomp_operators);
    put_list(w, "archs", oci_seccomp_archs);
    put_list(w, "knownFlags", oci_seccomp_flags);
    put_list(w, "supportedFlags", oci_seccomp_flags);
    json_end_object(w);
}

static void put_linux(struct json_writer *w)
{
    json_key(w, "linux");
    json_begin_object(w);
    put_list(w, "namespaces", oci_namespace_names);
    put_list(w, "capabilities", oci_capability_names);
    put_cgroup(w);
    put_seccomp(w);
    put_enabled(w, "apparmor", false);
    put_enabled(w, "selinux", false);
    put_enabled(w, "intelRdt", false);
    json_key(w, "memoryPolicy");
    json_begin_object(w);
    put_list(w, "modes", oci_memory_modes);
    put_list(w, "flags", oci_memory_flags);
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
    put_string(w, "ociVersionMin", OCI_VERSION_MIN);
    put_string(w, "ociVersionMax", OCI_VERSION_MAX);
    put_list(w, "hooks", oci_hook_names);
    put_list(w, "mountOptions", oci_mount_option_names);
    put_linux(w);
    json_key(w, "annotations");
    json_begin_object(w);
    put_string(w, "io.caisson.version", CAISSON_VERSION);
    json_end_object(w);
    put_list(w, "potentiallyUnsafeConfigAnnotations", unsafe);
    json_end_object(w);
    json_finish(w);
}
