/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_PAUSE_H
#define CAISSON_GUEST_INIT_CONTAINER_PAUSE_H

/*
 * The pod's PID namespace, and the process that keeps it: its process 1, which collects what containers leave behind
 * and ends only by SIGKILL from outside. Containers see it, so there is nothing to be found in it: its root is an empty
 * folder, it has no descriptors, and it cannot be traced by those without CAP_SYS_PTRACE.
 * Source: pid_namespaces(7); ptrace(2), access mode checking.
 */

#include <sys/types.h>

/*
 * Make both. *pid: a child of the caller, to be collected. *pid_ns: a descriptor, the caller's. Returns 0, or a
 * negative errno with nothing left.
 */
int pause_make(pid_t *pid, int *pid_ns);

/*
 * A descriptor of the PID namespace of a process, or a negative errno: -ESRCH: there is no such process, -EPERM: it is
 * the caller's own.
 */
int pause_namespace_of(pid_t pid);

#endif
