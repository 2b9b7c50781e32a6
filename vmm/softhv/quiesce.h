/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Waiting until every processor has let go of what it looked up. Readers (the threads that run VPs) take no lock; a
 * writer publishes new data, tells all members to forget what they have, and waits until each has passed a boundary or
 * is offline. Then the old data, and the host pointers that came from it, belong to nobody.
 *
 * A member is online between softhv_quiesce_enter and softhv_quiesce_exit. While online it
 *   - looks, after each boundary and before anything else, whether it was told to forget, and forgets if so;
 *   - passes softhv_quiesce_boundary soon after it was told to leave;
 *   - takes no lock a writer may hold while it waits, and calls no softhv_quiesce_wait.
 * Whoever sleeps (HLT, suspended, waiting for a message to be taken) goes offline first.
 *
 * For a VP "forget" is X86_SIG_FLUSH, "leave" is X86_SIG_KICK, both by x86_cpu_signal, and the boundary is passed when
 * x86_cpu_run has returned; the next x86_cpu_run looks at the flush first. Offline members are told as well: their
 * translations are stale when they come back.
 */
#ifndef CAISSON_VMM_SOFTHV_QUIESCE_H
#define CAISSON_VMM_SOFTHV_QUIESCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum softhv_poke { SOFTHV_POKE_FORGET, SOFTHV_POKE_LEAVE };
/* Any thread, under a lock: must not block and must not call back. */
typedef void softhv_poke_fn(void *ctx, enum softhv_poke what);

/* Owned by the member's owner; zeroed before softhv_quiesce_join. */
struct softhv_member {
    struct softhv_member *next; /* guarded by softhv_quiesce.lock, as poke and ctx */
    softhv_poke_fn *poke;
    void *ctx;
    _Atomic uint64_t seen; /* epoch of the last boundary; 0: offline */
};

struct softhv_quiesce {
    pthread_mutex_t lock;
    pthread_cond_t passed;
    struct softhv_member *members;
    _Atomic uint64_t epoch;
    _Atomic uint32_t waiters;
};

/* 0, or a negative errno. */
int softhv_quiesce_init(struct softhv_quiesce *q);
/* No members may be left. */
void softhv_quiesce_fini(struct softhv_quiesce *q);

/* Any thread; the member is offline. m, and ctx, must stay until softhv_quiesce_leave. */
void softhv_quiesce_join(struct softhv_quiesce *q, struct softhv_member *m, softhv_poke_fn *poke, void *ctx);
/* The member must be offline. */
void softhv_quiesce_leave(struct softhv_quiesce *q, struct softhv_member *m);

/* Wake writers that wait; the slow half of boundary and exit. */
void softhv_quiesce_wake(struct softhv_quiesce *q);

/* Go online. Thread: the member's own, as for the next two. */
static inline void softhv_quiesce_enter(struct softhv_quiesce *q, struct softhv_member *m)
{
    /*
     * Sequentially consistent against softhv_quiesce_wait: either the writer sees us online, or everything it did
     * before it looked (the new data, the poke to forget) is visible to us from here on.
     */
    atomic_store(&m->seen, atomic_load(&q->epoch));
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void softhv_quiesce_announce(struct softhv_quiesce *q, struct softhv_member *m, uint64_t seen)
{
    atomic_store(&m->seen, seen);
    if (atomic_load(&q->waiters) != 0)
        softhv_quiesce_wake(q);
}

/* Nothing looked up before is used any more unless no poke tells to forget it. Cheap when nothing changed. */
static inline void softhv_quiesce_boundary(struct softhv_quiesce *q, struct softhv_member *m)
{
    uint64_t now = atomic_load_explicit(&q->epoch, memory_order_acquire);
    if (now != atomic_load_explicit(&m->seen, memory_order_relaxed))
        softhv_quiesce_announce(q, m, now);
}

/* Go offline. */
static inline void softhv_quiesce_exit(struct softhv_quiesce *q, struct softhv_member *m)
{
    softhv_quiesce_announce(q, m, 0);
}

/* Tell all members to forget, without waiting. Any thread, online or not. */
void softhv_quiesce_forget(struct softhv_quiesce *q);

/*
 * Tell all members to forget and to leave, and wait until each has passed a boundary or is offline. Any thread that is
 * not an online member.
 * What was published before the call is what all lookups see after it.
 */
void softhv_quiesce_wait(struct softhv_quiesce *q);

#endif
