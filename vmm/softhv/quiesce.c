/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/quiesce.h"

#include <stdbool.h>
#include <stddef.h>

int softhv_quiesce_init(struct softhv_quiesce *q)
{
    *q = (struct softhv_quiesce){.epoch = 1};
    int r = pthread_mutex_init(&q->lock, NULL);
    if (r != 0)
        return -r;
    r = pthread_cond_init(&q->passed, NULL);
    if (r != 0)
        pthread_mutex_destroy(&q->lock);
    return -r;
}

void softhv_quiesce_fini(struct softhv_quiesce *q)
{
    pthread_cond_destroy(&q->passed);
    pthread_mutex_destroy(&q->lock);
}

void softhv_quiesce_join(struct softhv_quiesce *q, struct softhv_member *m, softhv_poke_fn *poke, void *ctx)
{
    pthread_mutex_lock(&q->lock);
    m->poke = poke;
    m->ctx = ctx;
    m->next = q->members;
    q->members = m;
    pthread_mutex_unlock(&q->lock);
}

void softhv_quiesce_leave(struct softhv_quiesce *q, struct softhv_member *m)
{
    pthread_mutex_lock(&q->lock);
    for (struct softhv_member **p = &q->members; *p != NULL; p = &(*p)->next) {
        if (*p == m) {
            *p = m->next;
            break;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

void softhv_quiesce_wake(struct softhv_quiesce *q)
{
    pthread_mutex_lock(&q->lock);
    pthread_cond_broadcast(&q->passed);
    pthread_mutex_unlock(&q->lock);
}

static void poke_all(const struct softhv_quiesce *q, enum softhv_poke what)
{
    for (struct softhv_member *m = q->members; m != NULL; m = m->next)
        m->poke(m->ctx, what);
}

void softhv_quiesce_forget(struct softhv_quiesce *q)
{
    pthread_mutex_lock(&q->lock);
    poke_all(q, SOFTHV_POKE_FORGET);
    pthread_mutex_unlock(&q->lock);
}

static bool all_passed(const struct softhv_quiesce *q, uint64_t epoch)
{
    for (struct softhv_member *m = q->members; m != NULL; m = m->next) {
        uint64_t seen = atomic_load(&m->seen);
        if (seen != 0 && seen < epoch)
            return false;
    }
    return true;
}

void softhv_quiesce_wait(struct softhv_quiesce *q)
{
    pthread_mutex_lock(&q->lock);
    /*
     * A member that passes a boundary of the new epoch must find that it is to forget; one that was told to leave must
     * find the new epoch, and somebody to wake. Hence the order.
     */
    poke_all(q, SOFTHV_POKE_FORGET);
    atomic_fetch_add(&q->waiters, 1);
    uint64_t epoch = atomic_fetch_add(&q->epoch, 1) + 1;
    poke_all(q, SOFTHV_POKE_LEAVE);
    atomic_thread_fence(memory_order_seq_cst);
    while (!all_passed(q, epoch))
        pthread_cond_wait(&q->passed, &q->lock);
    atomic_fetch_sub(&q->waiters, 1);
    pthread_mutex_unlock(&q->lock);
}
