/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CGROUP_LIMITS_H
#define CAISSON_GUEST_INIT_CONTAINER_CGROUP_LIMITS_H

/*
 * From the resources of a specification, which speaks the language of cgroup version 1, to the files of version 2.
 * Conversions are those that runc users know: shares become a weight on a straight line, the limit of memory and swap
 * becomes one of swap alone. What version 2 cannot do is refused, as the specification demands.
 * Source: OCI runtime-spec, config-linux.md, Control groups, Unified; Linux, cgroup-v2.rst.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/container/cgroup.h"

/* Takes one write: 0 or a negative errno, -ENOENT if there is no such file. */
typedef int cgroup_sink(void *context, const char *file, const char *text);

/*
 * Give every write that r asks for to the sink, in the order in which they have to be done. What is not given (0, NULL)
 * stays as it is. Stops at the first that fails, with *err. Does not look at device rules (cgroup_device.h).
 */
int cgroup_limits_each(const grpc_LinuxResources *r, cgroup_sink *sink, void *context, struct err *err);

/* The same into a cgroup, and its device rules. */
int cgroup_limits_apply(struct cgroup *c, const grpc_LinuxResources *r, bool with_devices, struct err *err);

/* 2 to 262144 become 1 to 10000; numbers outside count as the nearest. 0 stays 0: not given. */
uint64_t cgroup_limits_weight_of_shares(uint64_t shares);

/* 10 to 1000 become 1 to 10000. */
uint64_t cgroup_limits_io_weight(uint32_t weight);

/* Swap alone (-1: without limit, 0: not given). -EINVAL if the two numbers do not fit. */
int cgroup_limits_swap(int64_t memory_and_swap, int64_t memory, int64_t *swap);

#endif
