/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CGROUP_DEVICE_H
#define CAISSON_GUEST_INIT_CONTAINER_CGROUP_DEVICE_H

/*
 * Device rules of a container as a BPF program, which is what cgroup version 2 has for them.
 *
 * Rules are applied in order, so that for each of the three rights (mknod, read, write) the last one that names the
 * device decides. The program walks them backwards: a refusing rule that names a right still open ends it with no, an
 * allowing one closes its rights, and when none is open the answer is yes. A device that no rule names is refused.
 * After the rules of the specification come those that every container needs: the standard devices, terminals, and the
 * right to make (not to open) any node.
 * Source: OCI runtime-spec, config-linux.md, Allowed Device list; Linux, struct bpf_cgroup_dev_ctx.
 */

#include <linux/bpf.h>
#include <stddef.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/container/cgroup.h"

#define CGROUP_DEVICE_RULES_MAX    1024
#define CGROUP_DEVICE_INSTRUCTIONS (8 * (CGROUP_DEVICE_RULES_MAX + 16) + 16)

/*
 * Make the program in out (CGROUP_DEVICE_INSTRUCTIONS of room). Returns its length in instructions, or -EINVAL with
 * *err for a rule that says nothing or too much.
 */
int cgroup_device_program(const grpc_LinuxDeviceCgroup *rules, size_t count, struct bpf_insn *out, struct err *err);

/* Load it and attach it to the cgroup; replaces the one that is there. */
int cgroup_device_apply(struct cgroup *c, const grpc_LinuxDeviceCgroup *rules, size_t count, struct err *err);

#endif
