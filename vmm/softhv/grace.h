/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Short readers without a lock and a writer that waits for them: for tables that many threads read in passing.
 *
 * Two counters of readers, one of them current. A writer publishes its new table, then twice makes the other counter
 * current and waits until the one left behind is 0. Twice, because a reader may have read which counter is current just
 * before the first change and count itself just after.
 */
#ifndef CAISSON_VMM_SOFTHV_GRACE_H
#define CAISSON_VMM_SOFTHV_GRACE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

struct softhv_grace {
    _Atomic unsigned current;
    _Atomic uint32_t readers[2];
};

/* Start reading; the ticket goes to softhv_grace_leave. Readers do not block and do not call softhv_grace_wait. */
static inline unsigned softhv_grace_enter(struct softhv_grace *g)
{
    unsigned i = atomic_load(&g->current) & 1;
    atomic_fetch_add(&g->readers[i], 1);
    return i;
}

static inline void softhv_grace_leave(struct softhv_grace *g, unsigned ticket)
{
    atomic_fetch_sub(&g->readers[ticket], 1);
}

/* Wait until nobody reads what was published before. Writers exclude each other. */
static inline void softhv_grace_wait(struct softhv_grace *g)
{
    for (int turn = 0; turn < 2; turn++) {
        unsigned old = atomic_fetch_xor(&g->current, 1) & 1;
        while (atomic_load(&g->readers[old]) != 0)
            sched_yield();
    }
}

#endif
