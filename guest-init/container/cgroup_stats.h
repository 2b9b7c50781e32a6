/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CGROUP_STATS_H
#define CAISSON_GUEST_INIT_CONTAINER_CGROUP_STATS_H

/*
 * What a cgroup has used, in the words of the agent's protocol, which are those of cgroup version 1: times in
 * nanoseconds, swap as the sum of memory and swap, "no limit" as the largest number (for processes: 0).
 * Source: Linux, cgroup-v2.rst; Kata Containers' agent.proto, StatsContainerResponse.
 */

#include "agent.pb.h"
#include "guest-init/container/cgroup.h"

/* How many lines of a file are looked at. */
#define CGROUP_STATS_LINES_MAX 512

/*
 * Read all there is; what the kernel does not count stays zero. out: overwritten, released with pb_release. 0, -ENOENT
 * without cgroup, -ENOMEM (then empty).
 */
int cgroup_stats_read(const struct cgroup *c, grpc_CgroupStats *out);

/* Parts, for texts as the files have them. */
void cgroup_stats_cpu(const char *cpu_stat, grpc_CpuStats *out);
int cgroup_stats_memory_table(const char *memory_stat, grpc_MemoryStats *out);
int cgroup_stats_io(const char *io_stat, grpc_BlkioStats *out);

#endif
