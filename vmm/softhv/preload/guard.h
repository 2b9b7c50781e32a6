/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Around each call into softhv: it holds locks of its own, so neither may a signal handler of the program run in the
 * middle (it could call us again, on the same thread) nor may the thread be cancelled. To the program the calls are
 * system calls, which neither happens to. errno is kept, for calls that succeed.
 *
 * MSHV_RUN_VP looks after signals itself (kick.h) and must not find them blocked.
 */
#ifndef CAISSON_VMM_SOFTHV_PRELOAD_GUARD_H
#define CAISSON_VMM_SOFTHV_PRELOAD_GUARD_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct preload_guard {
    sigset_t mask;
    int cancel;
    int error;
    bool signals; /* were blocked */
};

/* Begin. signals: block them, but for those that a thread raises by what it executes. */
static inline struct preload_guard preload_guard(bool signals)
{
    static const int sync[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    struct preload_guard g = {.error = errno, .signals = signals};
    sigset_t all;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &g.cancel);
    if (!signals)
        return g;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(sync) / sizeof(sync[0]); i++)
        sigdelset(&all, sync[i]);
    (void)pthread_sigmask(SIG_BLOCK, &all, &g.mask);
    return g;
}

/* End. */
static inline void preload_unguard(const struct preload_guard *g)
{
    int ignored;
    if (g->signals)
        (void)pthread_sigmask(SIG_SETMASK, &g->mask, NULL);
    (void)pthread_setcancelstate(g->cancel, &ignored);
    errno = g->error;
}

/* End of a call that the program made: a negative errno becomes -1 and errno. */
static inline int preload_answer(struct preload_guard *g, int result)
{
    if (result < 0)
        g->error = -result;
    preload_unguard(g);
    return result < 0 ? -1 : result;
}

#endif
