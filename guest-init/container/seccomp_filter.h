/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_SECCOMP_FILTER_H
#define CAISSON_GUEST_INIT_CONTAINER_SECCOMP_FILTER_H

/*
 * Seccomp filters: compiled once, while the container is made, into a memory file that later processes of the container
 * load as well. System calls that this build's library does not know are left out; those younger than all that a
 * refusing filter names are answered with ENOSYS rather than its default, so that programs fall back to older ones.
 * Source: OCI runtime-spec, config-linux.md, Seccomp; seccomp(2).
 */

#include "agent.pb.h"
#include "common/err.h"

#define SECCOMP_RULES_MAX 8192

/*
 * Compile. Returns a descriptor of the memory file, or -EINVAL for what the specification says wrong, -ENOTSUP for
 * SCMP_ACT_NOTIFY (nobody in the guest would listen), others from the library; always with *err.
 */
int seccomp_filter_compile(const grpc_LinuxSeccomp *s, struct err *err);

/* The same by the library alone, for tests: both have to decide alike. */
int seccomp_filter_compile_plain(const grpc_LinuxSeccomp *s, struct err *err);

/*
 * Bind this process to the filter. Needs no_new_privs or CAP_SYS_ADMIN: -EACCES. Makes no further system call once the
 * filter counts.
 */
int seccomp_filter_load(int filter, struct err *err);

#endif
