/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PLAN_H
#define CAISSON_VMM_OCI_PLAN_H

/*
 * From a bundle to what has to be done: which pod the container belongs to and how large that is, which folders and
 * files of the host it gets to see (exports), and what the agent is told.
 *
 * Folders and files are opened here, with the eyes and rights of the caller and O_PATH, and travel as descriptors from
 * then on: what is exported is what was looked at. Sources of mounts are found as the caller would find them (relative
 * ones from the bundle, symbolic links followed). What lies there decides:
 *
 *     folder, regular file        exported; the guest binds /run/caisson/shared/<name>
 *     on proc, sysfs, cgroup      not exported: the guest's own at the same path, as a pod has its own kernel
 *     /dev/null and its like      the guest's own device
 *     other devices               refused
 *     sockets, FIFOs              refused: their other end is on the host and could not be reached
 *     bind at /dev/shm            memory shared by the pod's containers, in the guest
 *
 * A namespace of process IDs by its path can only be that of another container of the pod, and is found by the process
 * of the host that stands for it: /proc/PID/ns/pid, as CRI runtimes write it. Any other is refused.
 *
 * Size of a pod, unless the bundle wishes (io.caisson.*) or a limit is missing: memory = the limit + 96 MiB + 1/32 of
 * it, for the guest's kernel, rounded up to 2 MiB, at least OCI_MEMORY_MIN; VPs = quota / period rounded up, else the
 * CPUs of the cpuset counted, at most OCI_VPS_MAX.
 *
 * Source: docs/pod.md. No state; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"
#include "common/verity.h"
#include "vmm/oci/config.h"
#include "vmm/oci/notes.h"
#include "vmm/oci/spec.h"
#include "vmm/oci/store.h"

#define OCI_SHARE_TAG       "caisson"             /* of the pod's virtio-fs device */
#define OCI_GUEST_SHARED    "/run/caisson/shared" /* where the guest mounts it */
#define OCI_GUEST_STORAGE   "/run/caisson/storage"
#define OCI_EXPORT_NAME_MAX 32u
#define OCI_SERIAL_NAME_MAX 20u

enum oci_role {
    OCI_ROLE_SINGLE,  /* a container with a pod of its own */
    OCI_ROLE_SANDBOX, /* the first container of a pod: makes it */
    OCI_ROLE_MEMBER,  /* joins the pod of plan.sandbox */
};

enum oci_rootfs {
    OCI_ROOTFS_DEFAULT, /* what io.caisson.rootfs says, else shared */
    OCI_ROOTFS_SHARE,   /* the host's folder itself */
    OCI_ROOTFS_OVERLAY, /* read-only, with a writable layer in the guest's memory above it */
    OCI_ROOTFS_IMAGE,   /* root.path is an image of a file system; a writable layer in memory above it */
};

struct oci_export {
    char name[OCI_EXPORT_NAME_MAX];
    int fd; /* O_PATH; belongs to the plan */
    bool read_only;
    char *what; /* for messages: "root.path" or "mounts[3].source" with the path */
};

/* The disk that carries the root file system. */
struct oci_disk {
    char *path; /* absolute, symbolic links resolved; NULL: none */
    char serial[OCI_SERIAL_NAME_MAX + 1];
    const char *fstype;                    /* "erofs", "ext4", "squashfs" */
    char root_hash[VERITY_ROOT_CHARS + 1]; /* of dm-verity; "": the guest believes the disk */
    uint64_t verity_offset;                /* of the superblock in the image */
};

struct oci_plan_request {
    const char *id;              /* of the container, checked by the caller */
    const struct oci_spec *spec; /* borrowed during the call */
    const struct oci_config *config;
    enum oci_rootfs rootfs; /* an option; beats the annotation */
    const char *verity;     /* an option: root hash of the image, beats the annotation; NULL: none */
    uint64_t memory_bytes;  /* an option for the size of the pod; 0: none */
    uint32_t vps;
    const char *policy; /* an option: file of the launch policy; NULL: as the annotation or the configuration says */
    /*
     * For members of a pod: the container of that pod which a process of the host stands for. False: none. NULL: there
     * are no others.
     */
    bool (*find_process)(void *ctx, const char *pod, pid_t pid, char id[OCI_ID_BYTES_MAX + 1]);
    void *ctx; /* of it */
};

/* Zeroed: none. oci_plan_release ends it. */
struct oci_plan {
    enum oci_role role;
    char *sandbox; /* the pod: id of its first container; the own id but for members */

    /* The pod, if role is not OCI_ROLE_MEMBER. Strings belong to the plan. */
    char *kernel, *modules, *cmdline; /* NULL: none */
    uint32_t vps;
    uint64_t memory_bytes;
    bool hugepages;
    char *policy; /* file of the launch policy, or NULL */
    char *netns;  /* absolute path of the network namespace to attach to, or NULL: loopback only */
    struct oci_disk disk;
    grpc_CreateSandboxRequest create_sandbox;

    /* The container. */
    struct oci_export *exports; /* to be made before create_container is sent, and removed with the container */
    size_t export_count;
    grpc_CreateContainerRequest create_container;

    struct oci_notes notes;
};

/*
 * Make the plan. out: written whole; on failure it holds nothing. 0, or with *err naming the property: -ENOENT: a
 * source or the root vanished; -EACCES, -ELOOP, -ENOTDIR: from opening it; -EOPNOTSUPP: a pod, or this build, cannot
 * have it; -EPERM: the configuration does not allow the annotation; -EINVAL; -ENOMEM; -EMFILE.
 * Missing mount points of a read-only shared root are made in it, as runc does, inside the root whatever its symbolic
 * links say; that is the only thing this function changes on the host.
 */
int oci_plan_make(const struct oci_plan_request *request, struct oci_plan *out, struct err *err);
/* Accepts a zeroed one and leaves one. Closes the exports' descriptors. */
void oci_plan_release(struct oci_plan *plan);

/*
 * Only the role and the pod's id (plan.sandbox, malloc'ed) of a bundle; for commands that decide before they plan.
 * -EINVAL: the annotations contradict each other.
 */
int oci_plan_role(const struct oci_spec *spec, const char *id, enum oci_role *role, char **sandbox, struct err *err);

/* Resources for the guest, in place: CPU sets and device numbers of the host mean nothing there. For `update`, too. */
void oci_plan_resources(grpc_LinuxResources *resources, struct oci_notes *notes);

/* Memory that the host needs for a pod of that size: the guest's, and what the VMM takes besides. For its cgroup. */
uint64_t oci_host_memory(uint64_t memory_bytes);

#endif
