/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signals around MSHV_RUN_VP. The driver returns EINTR when a signal is pending on the calling thread. Here the call is
 * ordinary code on that thread, so a handler would run in the middle of it, unseen. Hence:
 *
 *   - inside the call all signals are blocked, and let in by ppoll, which says EINTR if and only if a handler ran;
 *   - between calls the client's kick signals stay blocked on that thread. A kick sent after the client's last look and
 *     before the call, which the driver would lose (it has no immediate-exit flag), is then pending and ends the call;
 *   - a kick sent before a thread's first call met no such block: that first call returns EINTR at once.
 *
 * EINTR without a signal is allowed by the interface. Signals that the client itself has blocked stay so. Kicks that
 * the client's thread sends to itself while it serves an exit are the usual case (docs/preload.md).
 */
#ifndef CAISSON_VMM_SOFTHV_KICK_H
#define CAISSON_VMM_SOFTHV_KICK_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Which signals, as a mask, and which threads hold them. Constant after init. */
struct softhv_kicks {
    uint64_t signals;  /* bit n - 1 for signal n, 1 to 64 */
    pthread_key_t key; /* of a thread: the signals this module keeps blocked on it, not 0 once it has */
};

/* 0 or a negative errno. */
int softhv_kicks_init(struct softhv_kicks *k, uint64_t signals);
void softhv_kicks_fini(struct softhv_kicks *k);

/*
 * Enter and leave a run. open: filled with the mask whose complement may end it. Returns false on the thread's first
 * entry: the run is to end with EINTR without having begun; call leave all the same. Thread: the caller's own.
 */
bool softhv_kicks_enter(const struct softhv_kicks *k, sigset_t *open);
void softhv_kicks_leave(const struct softhv_kicks *k, const sigset_t *open);

#endif
