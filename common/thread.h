/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The one place where threads are made, so that all of them have what the C library would choose differently on each
 * system: a stack of a known size with guards on both sides (mapping.h), and signals blocked, since each thread of ours
 * takes none or one of its own. Below the lower guard ends a recursion; above the upper one lies what an overflow of
 * the thread's own data would hit.
 */
#ifndef CAISSON_COMMON_THREAD_H
#define CAISSON_COMMON_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Four times what musl gives; a page costs memory from its first use. */
#define THREAD_STACK_BYTES ((size_t)512 << 10)

/* Zeroed: none. */
struct thread {
    pthread_t id; /* for pthread_kill, while the thread runs */
    void *stack;
};

/*
 * Start `run(ctx)` on a thread of its own. takes: the one signal that can reach it, or 0 for none. 0, or a negative
 * errno with *t zeroed and nothing started. The caller's own signals are what they were before. Any thread.
 */
int thread_start(struct thread *t, int takes, void *(*run)(void *), void *ctx);
/* Wait for its end, and return its stack. Once for each that was started; zeroes it. Not by itself. */
void thread_join(struct thread *t);

#endif
