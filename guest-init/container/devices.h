/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_DEVICES_H
#define CAISSON_GUEST_INIT_CONTAINER_DEVICES_H

/*
 * What a container finds in /dev: the devices that every one has, those its specification lists, and some links.
 * Where nodes cannot be made, in a user namespace, the guest's own are bound.
 * Source: OCI runtime-spec, config-linux.md, Devices, Default Devices; config.md, POSIX, stdio links.
 */

#include <stdbool.h>

#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"

/*
 * Make them inside `root` (descriptor of the root folder). umask has to be 0. -EEXIST with *err if something else is at
 * a device's path; what matches is taken.
 */
int devices_make(int root, const grpc_Linux *l, struct err *err);

/* /dev/fd, /dev/stdin, /dev/stdout, /dev/stderr, /dev/core if the kernel has it, /dev/ptmx -> pts/ptmx. */
int devices_make_links(int root, struct err *err);

/* Show a terminal at /dev/console. terminal: descriptor with O_PATH on its file, in this mount namespace. */
int devices_bind_console(int root, int terminal, struct err *err);

/*
 * What makes terminals at /dev/pts as a process sees them: a descriptor with O_PATH, or a negative errno, -ENODEV if
 * something else is there. To be called before programs of the image run: one that serves a file system of its own
 * could hold the caller up.
 */
int devices_open_ptmx(pid_t pid);

/* Are the devices of /dev the runtime's business? Not if the specification binds a folder there. */
bool devices_are_ours(const grpc_Spec *spec);

#endif
