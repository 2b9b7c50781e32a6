/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_HOSTCGROUP_H
#define CAISSON_VMM_OCI_HOSTCGROUP_H

/*
 * The pod's cgroup on the host: one, for the whole VMM, where the bundle's cgroupsPath says. The limits of containers
 * are kept by the guest; the host's are the pod's as a whole: memory with what the VMM needs, CPU, block I/O.
 *
 * Three layouts exist: v1 (a hierarchy for each controller), v2 (one) and hybrid (v1 with an empty v2 beside it). They
 * are found in mountinfo, so that a tree elsewhere, or a fake one, works the same. A path is relative to the mount, as
 * the specification has it; "slice:prefix:name" is what systemd's manager would make of it, made without systemd.
 * Nothing outside of the folders made here is changed, but cgroup.subtree_control on the way down (v2).
 *
 * Source: OCI runtime specification, config-linux.md, Control groups; Linux, admin-guide/cgroup-v1 and cgroup-v2.rst.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "oci.pb.h"

#define OCI_CGROUP_TREES_MAX 16u
#define OCI_CGROUP_PATH_MAX  1024u

/* Where cgroups are on this host. Zeroed: none. */
struct oci_cgroup_host {
    struct oci_cgroup_tree {
        int fd;      /* O_PATH of the mount's root */
        char *point; /* the mount point, for messages */
        char *self;  /* the caller's own group in it, relative to the mount: "" or "user.slice/..." */
        char *words; /* controllers of v1: "memory", "cpu,cpuacct", "name=systemd"; "" for v2 */
        bool v2;
    } tree[OCI_CGROUP_TREES_MAX];
    unsigned count;
};

/*
 * Find them. mountinfo, cgroup: paths of the two files, NULL for /proc/self/mountinfo and /proc/self/cgroup.
 * 0 (with count 0 if there are none), or a negative errno with *err.
 */
int oci_cgroup_host_find(const char *mountinfo, const char *cgroup, struct oci_cgroup_host *out, struct err *err);
void oci_cgroup_host_release(struct oci_cgroup_host *host);

/*
 * The folder that a cgroupsPath means, relative to the mount: "/a/b" -> "a/b"; "a/b" -> "<self>/a/b" decided per tree,
 * written here as "a/b" with *relative; "s.slice:p:n" -> "s.slice/p-n.scope"; NULL or "" -> "caisson/<id>", *relative.
 * 0; -EINVAL: "..", control bytes, a name that is no slice; -ENAMETOOLONG.
 */
int oci_cgroup_path(const char *cgroups_path, const char *id, char out[OCI_CGROUP_PATH_MAX], bool *relative,
                    struct err *err);

/* A pod's cgroup. Zeroed: none. */
struct oci_cgroup {
    const struct oci_cgroup_host *host; /* borrowed */
    char path[OCI_CGROUP_PATH_MAX];
    bool relative;
    bool by_default; /* the bundle names none: "caisson/<id>", whose parent goes with its last child */
};

/*
 * Make the folders in every tree (those that exist are taken as they are). 0, or with *err and nothing left behind that
 * was made here: -EACCES, -EROFS, -EPERM, ...
 */
int oci_cgroup_create(struct oci_cgroup *cgroup, const struct oci_cgroup_host *host, const char *cgroups_path,
                      const char *id, struct err *err);
/* The same for folders made earlier: for other commands than create. Looks at nothing. */
int oci_cgroup_open(struct oci_cgroup *cgroup, const struct oci_cgroup_host *host, const char *cgroups_path,
                    const char *id, struct err *err);

/*
 * Limits of the pod. resources: those of its first container, for CPU and block I/O; NULL: none. memory_bytes: most
 * memory (oci_host_memory), 0: no limit. A controller that the host has not is skipped. Values that the kernel refuses
 * are an error that names the file.
 */
int oci_cgroup_limit(const struct oci_cgroup *cgroup, const grpc_LinuxResources *resources, uint64_t memory_bytes,
                     struct err *err);
/* Move a process (all its threads) into it; 0 means the caller. */
int oci_cgroup_join(const struct oci_cgroup *cgroup, pid_t pid, struct err *err);

struct oci_cgroup_usage {
    uint64_t cpu_ns, memory_bytes; /* 0: not to be had */
};
void oci_cgroup_usage(const struct oci_cgroup *cgroup, struct oci_cgroup_usage *out);

/*
 * Remove the folders. Waits up to `timeout_ms` while processes in them end. Missing ones are fine; parents stay.
 * 0, or -EBUSY and others with *err; the rest is removed all the same.
 * A caller who is not root, and whose bundle names no group, may have none: everything here then does nothing.
 */
int oci_cgroup_remove(const struct oci_cgroup *cgroup, unsigned timeout_ms, struct err *err);

#endif
