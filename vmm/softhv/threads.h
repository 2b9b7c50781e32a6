/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * For a client that wants to know of the threads that softhv makes: one for each instance, and one for each partition.
 * For such a client they are all there once the partition is initialised; otherwise they are made when they have work.
 */
#ifndef CAISSON_VMM_SOFTHV_THREADS_H
#define CAISSON_VMM_SOFTHV_THREADS_H

#include <stdbool.h>
#include <stddef.h>

struct softhv_threads {
    /* Before a thread is made, by whoever makes it; then, inside, by the thread before anything else. NULL: nobody. */
    void (*hook)(void *ctx, bool inside);
    void *ctx;
};

static inline void softhv_threads_tell(const struct softhv_threads *t, bool inside)
{
    if (t->hook != NULL)
        t->hook(t->ctx, inside);
}

#endif
