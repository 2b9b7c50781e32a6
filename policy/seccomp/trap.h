/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What happens when a thread calls what its filter does not allow: SIGSYS, whose handler says which thread called what
 * and ends the process. The handler obeys the same filter, so all it does is write to a descriptor that was opened
 * before, and exit_group; both are in every list. Anything else it did would be SIGSYS while SIGSYS is blocked, which
 * the kernel ends the process for.
 *
 * A handler gets no context, and there are no variables for it to find one in. So each thread has an alternate stack
 * for it, between guards, whose first page holds what it needs to know; that page is read-only by then.
 */
#ifndef CAISSON_POLICY_SECCOMP_TRAP_H
#define CAISSON_POLICY_SECCOMP_TRAP_H

#include <stddef.h>

#include "policy/seccomp/filter.h"

#define SECCOMP_EXIT       109 /* of a process that a violation ended */
#define SECCOMP_NAME_BYTES 16

/* A thread's, in front of the stack of its handler. */
struct seccomp_seat {
    struct seccomp_seat *next; /* lock.c's */
    size_t bytes;
    int fd;     /* where the line goes; -1: nowhere */
    int thread; /* pidfd of the thread, lock.c's; -1: nobody looks whether it has ended */
    enum seccomp_role role;
    char name[SECCOMP_NAME_BYTES];
};

/* Install the handler for the process. Once, before the first seat is taken. 0 or a negative errno. */
int seccomp_trap_install(void);

/*
 * Give the calling thread a handler's stack, and let SIGSYS reach it. fd is borrowed for as long as the thread runs.
 * thread and next are noted in it. NULL: no memory. It belongs to the caller, who ends it when the thread is gone, or
 * has another.
 */
struct seccomp_seat *seccomp_seat_take(enum seccomp_role role, const char *name, int fd, int thread,
                                       struct seccomp_seat *next);
void seccomp_seat_free(struct seccomp_seat *seat);

#endif
