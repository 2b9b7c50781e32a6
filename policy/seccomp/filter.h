/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The system calls that a thread may still make, by what it is there for. The lists are policy/seccomp/NAME.rules;
 * scripts/seccomp makes filters of them when caisson is built, and this program carries those.
 *
 * A thread that calls what is not in its list does not get an error, which code that an attacker has taken over would
 * not mind: it says so in one line, and the process ends (trap.c). A call by another table of calls than x86-64's ends
 * it without a word.
 */
#ifndef CAISSON_POLICY_SECCOMP_FILTER_H
#define CAISSON_POLICY_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Each has a file of rules of its name. */
enum seccomp_role {
    SECCOMP_STARTUP, /* before the guest runs; a part of every other, which inherits it */
    SECCOMP_CONTROL, /* the main thread of `caisson run`, while the guest runs and afterwards */
    SECCOMP_POD,     /* that of a pod's process */
    SECCOMP_CLERK,   /* opens and names files for it */
    SECCOMP_HASH,    /* digests of what was loaded, made beside the first instructions */
    SECCOMP_VP,
    SECCOMP_BLK,
    SECCOMP_FS,
    SECCOMP_NET,
    SECCOMP_VSOCK,
    SECCOMP_CONSOLE,
    SECCOMP_RNG,
    SECCOMP_BALLOON,
    SECCOMP_SOFTHV, /* the software hypervisor's own threads */
    SECCOMP_ROLES
};

struct seccomp_filter {
    const char *name;
    const struct sock_filter *code; /* NULL: nothing of this build has the role */
    size_t length;
    const uint16_t *calls; /* numbers, ascending, of what is allowed with some arguments at least */
    size_t call_count;
};

extern const struct seccomp_filter seccomp_filters[SECCOMP_ROLES];

/* "socket" for 41; "?" for what has no name. */
const char *seccomp_call_name(int call);

/*
 * Hold the calling thread to a role, for ever, and without new privileges by execve. What it is held to already stays
 * in force beside it. 0, or with *err (which may be NULL): -ENOSYS: nothing of this build has that role; what the
 * kernel says, -EINVAL where it has no filters. seccomp(2).
 */
int seccomp_filter_enter(enum seccomp_role role, struct err *err);

#endif
