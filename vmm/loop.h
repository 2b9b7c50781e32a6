/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread that waits for descriptors and calls whoever asked for them. Devices and back ends live on such threads:
 * what is only touched by handlers of one loop needs no lock.
 *
 * Any thread may add, change and remove sources. One that is removed by a handler of the loop, or while the loop does
 * not run, hears nothing any more, even if it was ready in the same round. Removed by another thread, it may be called
 * once more: its memory has to stay, and the handler takes the lock under which it was removed, and looks again. One
 * that is changed may in that round still hear of events it does not wait for any more. All signals are blocked on the
 * thread.
 */
#ifndef CAISSON_VMM_LOOP_H
#define CAISSON_VMM_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "common/err.h"
#include "common/thread.h"
#include "policy/seccomp/lock.h"

#define LOOP_BATCH      32
#define LOOP_NAME_BYTES 16 /* with the NUL: what the kernel keeps of a thread's name */

/* Owned by the caller, who keeps it until it is removed. ready: events are EPOLL* bits, on the loop's thread. */
struct loop_source {
    int fd;
    void (*ready)(void *ctx, uint32_t events);
    void *ctx;
};

/* Private to loop.c. */
struct loop {
    int epoll, wake; /* wake: eventfd that ends the thread */
    struct loop_source wake_source;
    char name[LOOP_NAME_BYTES];
    struct seccomp_lock *lock; /* the thread enters its role there; NULL: it is held to nothing */
    enum seccomp_role role;
    void (*begin)(void *ctx); /* on the thread, before that; NULL: nothing */
    void *begin_ctx;
    struct thread thread;
    bool running;
    bool over;                  /* the thread's own */
    pthread_mutex_t round_lock; /* guards the round that is being served; innermost */
    struct epoll_event batch[LOOP_BATCH];
    int batch_count;
};

/*
 * Make a loop that does not run yet. name: the thread's, for debuggers and messages; at most 15 characters are kept.
 * 0, or -errno with *err and *loop ended.
 */
int loop_init(struct loop *loop, const char *name, struct err *err);
/* Before loop_start: hold the thread to a role. lock is borrowed until loop_fini. */
void loop_confine(struct loop *loop, struct seccomp_lock *lock, enum seccomp_role role);
/* Before loop_start: what the thread does first of all, while it may do more than its role allows. */
void loop_begin_with(struct loop *loop, void (*begin)(void *ctx), void *ctx);
/* It must not run. Accepts one that loop_init refused. Sources are the callers' to end. */
void loop_fini(struct loop *loop);

/* Wait for these events (EPOLLIN, EPOLLOUT, ...; 0 leaves errors and hang-ups) of a source. 0, or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
/* Wait for other events of a source that was added. 0, or -errno. */
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
/* Forget a source; call it before closing the descriptor. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Start the thread. 0, or -errno with *err. */
int loop_start(struct loop *loop, struct err *err);
/* End the thread and wait for it. Does nothing to a loop that does not run. Not from a handler. */
void loop_stop(struct loop *loop);

/*
 * For tests, on a loop that does not run: serve what is ready now, in one round, without waiting. Returns how many
 * handlers were called.
 */
int loop_turn(struct loop *loop);

#endif
