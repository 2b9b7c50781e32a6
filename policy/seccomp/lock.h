/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The point from which on every thread of a machine is held to its role, and before which no guest's instruction runs.
 *
 * Order. The main thread: seccomp_lock_init (from then on it is held to `startup`, and threads that it makes inherit
 * that); for each thread seccomp_lock_expect and then its creation; seccomp_lock_close, which waits until all of them
 * are held, and holds the main thread to its own role; seccomp_lock_fini at the end. Each other thread:
 * seccomp_lock_enter first of all, and if it runs a guest seccomp_lock_wait. Afterwards nothing can make threads any
 * more.
 *
 * Everything accepts NULL, and a lock that is zeroed: nobody is held to anything then.
 */
#ifndef CAISSON_POLICY_SECCOMP_LOCK_H
#define CAISSON_POLICY_SECCOMP_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "policy/seccomp/trap.h"

/* Private to lock.c. */
struct seccomp_lock {
    bool on;
    int fd;
    int watch; /* epoll with the pidfds of threads; -1: this kernel has none for threads */
    int (*also)(void *ctx, enum seccomp_role role, struct err *err);
    void *also_ctx;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    unsigned expected, entered;
    bool open; /* nobody waits any more */
    struct err err;
    struct seccomp_seat *seats;
};

/*
 * Begin, and hold the caller to `startup`. fd: where a violation is reported; borrowed for the call only. name: of the
 * main thread, for that report. 0, or -errno with *err and *lock zeroed.
 */
int seccomp_lock_init(struct seccomp_lock *lock, int fd, const char *name, struct err *err);
/* No other thread is left that entered. What the main thread is held to stays. */
void seccomp_lock_fini(struct seccomp_lock *lock);

/*
 * Have each thread that enters its role from now on, the main one too, call this first: what it gives up besides system
 * calls. A negative errno with *err is as if the thread could not be held to its role. Before other threads are made.
 */
void seccomp_lock_also(struct seccomp_lock *lock, int (*also)(void *ctx, enum seccomp_role role, struct err *err),
                       void *ctx);

/* By who is about to make a thread that will enter. Any thread, before seccomp_lock_close. */
void seccomp_lock_expect(struct seccomp_lock *lock);
/* It was not made after all. */
void seccomp_lock_unexpect(struct seccomp_lock *lock);
/* Hold the calling thread to a role. What goes wrong is seccomp_lock_close's to tell. name: for reports. */
void seccomp_lock_enter(struct seccomp_lock *lock, enum seccomp_role role, const char *name);
/* Wait for seccomp_lock_close or seccomp_lock_open. */
void seccomp_lock_wait(struct seccomp_lock *lock);

/*
 * A descriptor that can be polled for POLLIN: a thread that entered has ended. Nobody ends them one by one while the
 * machine runs, so whoever sees this before it is stopped calls seccomp_lock_lose_thread. -1: nothing to poll, as the
 * lock is off or the kernel older than Linux 6.9. Source: pidfd_open(2), PIDFD_THREAD.
 */
int seccomp_lock_watch(const struct seccomp_lock *lock);
/*
 * The main thread, after POLLIN: if a thread has ended, say which, and end the process with SECCOMP_EXIT: what that
 * thread served nobody does any more, and locks that it held stay so. Returns if none has.
 */
void seccomp_lock_lose_thread(const struct seccomp_lock *lock);

/*
 * Wait until every thread that was expected has entered, hold the caller to its role, and let those go that wait.
 * 0, or -errno with *err: then some thread is not held, and those that wait still do: the machine is not to run, and
 * seccomp_lock_open lets its threads end.
 */
int seccomp_lock_close(struct seccomp_lock *lock, enum seccomp_role role, struct err *err);
/* Let those go that wait: the machine stops before it ran. Does nothing after seccomp_lock_close. */
void seccomp_lock_open(struct seccomp_lock *lock);

#endif
