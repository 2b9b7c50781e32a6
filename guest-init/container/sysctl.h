/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_SYSCTL_H
#define CAISSON_GUEST_INIT_CONTAINER_SYSCTL_H

/*
 * Kernel parameters of a container, written below the guest's own /proc/sys: those of namespaces act on the writer's,
 * the others on the whole guest, which is the pod's and nobody else's.
 * Source: OCI runtime-spec, config-linux.md, Sysctl.
 */

#include <stddef.h>

#include "agent.pb.h"
#include "common/err.h"

/*
 * From a key to a path below /proc/sys. Dots separate; if a slash comes first, slashes do and dots are part of names
 * ("net/ipv4/conf/eth0.1/forwarding"). -EINVAL for what is no plain name.
 */
int sysctl_path(const char *key, char *out, size_t size);

/* Write all. kernel.hostname is refused: the specification has a place for it. */
int sysctl_apply(const grpc_Linux_SysctlEntry *entries, size_t count, struct err *err);

#endif
