/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The thread of a pod process that makes, names and opens files, so that the main thread needs no such system call: it
 * is the main thread that reads what clients and the guest's agent send, and so the one to be taken over. The clerk
 * sees nothing of that. It does one job at a time, and the main thread waits for it: what a file system takes long for,
 * takes the pod long, as if there were no clerk.
 *
 * Where system calls are not held to lists there is none, and jobs are done by whoever has one.
 */
#ifndef CAISSON_VMM_POD_CLERK_H
#define CAISSON_VMM_POD_CLERK_H

#include <pthread.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/thread.h"
#include "policy/seccomp/lock.h"

typedef void pod_clerk_job(void *ctx);

/* Private to clerk.c. Zeroed: no thread. */
struct pod_clerk {
    bool running;
    struct thread thread;
    struct seccomp_lock *lock;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    pod_clerk_job *job; /* NULL: it is done */
    void *ctx;
    bool over;
};

/*
 * Start the thread, which enters its role (SECCOMP_CLERK) by `lock`; borrowed until pod_clerk_stop. Before
 * seccomp_lock_close. 0, or -errno with *err and *c zeroed.
 */
int pod_clerk_start(struct pod_clerk *c, struct seccomp_lock *lock, struct err *err);
/* Have a job done, and wait for that; without a thread it is done here. By one thread only, and not by a job. */
void pod_clerk_do(struct pod_clerk *c, pod_clerk_job *job, void *ctx);
/* End the thread, and zero *c. Accepts a zeroed one. */
void pod_clerk_stop(struct pod_clerk *c);

#endif
