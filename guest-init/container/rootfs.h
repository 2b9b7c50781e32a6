/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_ROOTFS_H
#define CAISSON_GUEST_INIT_CONTAINER_ROOTFS_H

/*
 * A container's file system, from the folder with its image to "/" of its first process. In that process, in its new
 * mount namespace, in this order:
 *
 *     rootfs_open     nothing that is done comes back to the guest; the image becomes a mount of its own
 *     rootfs_mount    the mounts of the specification, devices, links, console, working folder
 *     rootfs_close    masked and read-only paths, then the root itself read-only
 *     rootfs_enter    it becomes "/", everything else is gone
 *
 * Between them the caller does what needs both file systems (hooks, sysctl).
 * Source: OCI runtime-spec, config.md, Root, Mounts; config-linux.md, Masked Paths, Readonly Paths, Rootfs Mount
 * Propagation.
 */

#include <stdbool.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/container/mount.h"

/* Mounts that were opened beforehand, by their place in the list; -1: none. */
struct rootfs_prepared {
    const int *trees; /* Mounts_count of them, or NULL */
};

struct rootfs {
    struct mount_place place;
    int null; /* the guest's /dev/null, for masks */
};

/*
 * Open sources of mounts with other owners while still privileged. container_user_ns: maps of the container's user
 * namespace count for mounts without their own. trees: Mounts_count elements, written with descriptors or -1.
 */
int rootfs_prepare_mounts(const grpc_Spec *spec, int *trees, struct err *err);

/* image: absolute path of the guest. *r is written. rootfs_release closes. */
int rootfs_open(struct rootfs *r, const grpc_Spec *spec, const char *image, struct err *err);

/* terminal: path of the terminal in the guest's /dev/pts, NULL: none. */
int rootfs_mount(const struct rootfs *r, const grpc_Spec *spec, struct rootfs_prepared prepared, const char *terminal,
                 struct err *err);

int rootfs_close(const struct rootfs *r, const grpc_Spec *spec, struct err *err);

/* Afterwards root and working folder of the process are the container's. */
int rootfs_enter(const struct rootfs *r, const grpc_Spec *spec, struct err *err);

void rootfs_release(struct rootfs *r);

/*
 * For process 1, once, best before it mounts anything: give the guest a root that can be exchanged. The kernel's first
 * root cannot; a container would then keep it, hidden under its own. folder: one to use meanwhile, as "/run". Returns 0
 * or a negative errno. Containers work without as well: rootfs_enter then moves their root over the first one.
 */
int rootfs_prepare_machine(const char *folder);

#endif
