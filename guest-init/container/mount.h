/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_MOUNT_H
#define CAISSON_GUEST_INIT_CONTAINER_MOUNT_H

/*
 * One mount of a container. It is made detached, with all its attributes, and only then attached at its destination,
 * which is looked up once inside the root: at no time is it visible with less, and nobody can exchange a folder for a
 * link between look-up and mount.
 *
 * Sources of bind mounts are paths of the guest without symbolic links: a container that may write to a shared folder
 * could otherwise lead the next one's mount to the guest's own files.
 * Source: OCI runtime-spec, config.md, Mounts; fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).
 */

#include <stdbool.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/container/mount_options.h"

/* What mounts of type caisson, source "trust", show: made by the agent (guest-init/agent/trust.h). */
#define MOUNT_TRUST_TYPE   "caisson"
#define MOUNT_TRUST_FOLDER "/run/caisson/trust"

struct mount_place {
    int root;                  /* root folder of the container, descriptor */
    const char *cgroup_folder; /* the container's, absolute; shown by mounts of type cgroup without cgroup namespace */
    bool cgroup_namespace;
    bool user_namespace; /* some file systems then cannot be mounted anew and the guest's are bound */
};

/*
 * A descriptor of the mount's source as detached tree, for bind mounts. Used before the user namespace is entered for
 * mounts with other owners (idmap), which only the guest's root may make. user_ns: descriptor with the IDs, -1: none.
 */
int mount_open_source(const grpc_Mount *m, const struct mount_options *o, int user_ns, struct err *err);

/* Does the mount need other owners? Then by these maps, else by those of the container's user namespace. */
bool mount_has_own_maps(const grpc_Mount *m);

/*
 * Make the mount. prepared: what mount_open_source gave, -1: nothing; borrowed. Returns 0 or a negative errno with
 * *err.
 */
int mount_make(const struct mount_place *p, const grpc_Mount *m, int prepared, struct err *err);

/* Attach a copy of what `fd` (a path) is at a place that is another descriptor. attributes: MOUNT_ATTR_* to set. */
int mount_bind_fd(int fd, int place, bool recursive, uint64_t attributes);

/* An empty file system that cannot be written, attached at `place`. */
int mount_empty_folder(int place);

/* Set the propagation of a mount (MS_SHARED and so on) given by a descriptor. */
int mount_set_propagation(int fd, uint64_t propagation, bool recursive);

#endif
