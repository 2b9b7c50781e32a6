/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_NAMESPACES_H
#define CAISSON_GUEST_INIT_CONTAINER_NAMESPACES_H

/*
 * Which namespaces a container gets: for each kind a new one, one that exists, or the guest's own.
 *
 * The network is always the pod's: the guest is the pod's machine. IPC and host name are shared where the pod has a
 * namespace for them. The mount namespace is always new: nothing on the guest's side is the container's. Process IDs
 * are never the guest's own, whose process 1 rules all containers: a container that lists no PID namespace gets the
 * pod's, if there is one, else a new one; a path that leads to the guest's is refused.
 *
 * Order, in a helper process: join what exists while still privileged, then the user namespace, whose IDs process 1
 * writes, then the time namespace with its offsets; the rest is made with the clone of the container's first process
 * and so belongs to the new user namespace. The cgroup namespace is made by that process once it is in its cgroup.
 * Source: OCI runtime-spec, config-linux.md, Namespaces; user_namespaces(7); time_namespaces(7).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-init/container/container.h"

enum namespace_kind {
    NAMESPACE_USER,
    NAMESPACE_PID,
    NAMESPACE_NETWORK,
    NAMESPACE_MOUNT,
    NAMESPACE_IPC,
    NAMESPACE_UTS,
    NAMESPACE_CGROUP,
    NAMESPACE_TIME,
    NAMESPACE_KINDS,
};

struct namespaces {
    bool listed[NAMESPACE_KINDS];
    bool make[NAMESPACE_KINDS];
    const char *path[NAMESPACE_KINDS]; /* borrowed; join what is there */
    int fd[NAMESPACE_KINDS];           /* borrowed; join this; -1: not */
    const grpc_Linux *linux_part;      /* borrowed: maps and offsets */
};

/* Decide. -EINVAL with *err for unknown or doubled kinds, maps without user namespace and the like. */
int namespaces_plan(const grpc_Linux *l, const struct container_pod *pod, bool pod_pid_ns, struct namespaces *out,
                    struct err *err);

/* Does the specification list a PID namespace? */
bool namespaces_lists_pid(const grpc_Linux *l);

/* Is this descriptor the PID namespace that the caller lives in? True also if that cannot be told. */
bool namespaces_pid_is_own(int fd);

/* In the helper: join what exists, all but the user namespace. */
int namespaces_join(const struct namespaces *n, struct err *err);

/*
 * In the helper: get into the user namespace, if there is one: joins it, or makes it and asks process 1 over the socket
 * to write its IDs. Is user and group 0 of it then.
 */
int namespaces_enter_user(const struct namespaces *n, int socket, struct err *err);

/* In the helper: make a time namespace for the children and set its clocks. */
int namespaces_make_time(const struct namespaces *n, struct err *err);

/* Flags of clone for the container's first process. */
uint64_t namespaces_clone_flags(const struct namespaces *n);

/* Process 1: write the IDs of a process's new user namespace. */
int namespaces_write_maps(pid_t pid, const grpc_LinuxIDMapping *uids, size_t uids_count,
                          const grpc_LinuxIDMapping *gids, size_t gids_count, struct err *err);

/*
 * A descriptor of a user namespace with these IDs that nobody lives in, for mounts with other owners. Takes a child
 * that is collected. Needs privilege in the namespace of the caller.
 */
int namespaces_user_of_maps(const grpc_LinuxIDMapping *uids, size_t uids_count, const grpc_LinuxIDMapping *gids,
                            size_t gids_count, struct err *err);

/*
 * Join all namespaces of a process. pidfd: of it; pid: the same, as seen here. The PID namespace counts for children.
 */
int namespaces_join_process(int pidfd, pid_t pid, struct err *err);

#endif
