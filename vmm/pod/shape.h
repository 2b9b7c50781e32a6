/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a pod's machine consists of: devices, words for the kernel, sizes. One function says it for the pod's process,
 * which builds that machine, and for whoever computes measurements or writes a policy without starting one; so they
 * cannot differ.
 */
#ifndef CAISSON_VMM_POD_SHAPE_H
#define CAISSON_VMM_POD_SHAPE_H

#include "vmm/launch.h"
#include "vmm/pod/pod.h"

/* Zeroed: nothing. Not moved while `launch` is in use: it points into this. */
struct pod_shape {
    struct io_config io;
    char *words; /* for the kernel; owned */
    struct launch_config launch;
};

/*
 * Say what a pod is made of. cfg: its strings, and vsock_path (of the socket; in no measurement), are borrowed for as
 * long as *out is. policy: bytes for the built-in ramdisk, borrowed likewise; NULL: none. 0, or with *err: -ENOSPC:
 * too many shared folders; -ENOMEM. pod_shape_fini ends it either way. Any thread.
 */
int pod_shape_make(const struct pod_config *cfg, const char *vsock_path, const void *policy, size_t policy_bytes,
                   struct pod_shape *out, struct err *err);
/* Accepts a zeroed one and leaves one. */
void pod_shape_fini(struct pod_shape *shape);

#endif
