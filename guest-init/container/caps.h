/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CAPS_H
#define CAISSON_GUEST_INIT_CONTAINER_CAPS_H

/*
 * Capabilities of a process. Names that neither this list nor the kernel knows are left out with a warning, as the
 * specification wants it: a newer caller must be able to ask for what an older kernel has not.
 * Source: capabilities(7); OCI runtime-spec, config.md, Linux Process.
 */

#include <stdint.h>

#include "agent.pb.h"
#include "common/err.h"

struct caps {
    uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* Number of a name ("CAP_KILL", in any case), -1 if it is unknown. */
int caps_number(const char *name);

/* The highest number that the running kernel knows. */
unsigned caps_last(void);

/*
 * From names to sets. c: NULL gives empty ones. last: caps_last(). unknown: called for each name that is left out:
 * those that are not known, and those that cannot be granted, because a set asks for what its larger one lacks (ambient
 * without permitted and inheritable, effective without permitted). Configurations that engines write have such sets.
 */
int caps_parse(const grpc_LinuxCapabilities *c, unsigned last, void (*unknown)(void *context, const char *name),
               void *context, struct caps *out, struct err *err);

/* Give up what is not in the bounding set. Before the user changes. */
int caps_limit(const struct caps *c, unsigned last, struct err *err);

/*
 * Take the sets. keep: what is in effect besides, for steps that still need it (a seccomp filter without no_new_privs).
 * After the user has changed.
 */
int caps_apply(const struct caps *c, uint64_t keep, struct err *err);

/* Give up what was kept: one system call. */
int caps_give_up(const struct caps *c, struct err *err);

#endif
