/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/kick.h"

#include <stddef.h>

#define SIGNALS 64

int softhv_kicks_init(struct softhv_kicks *k, uint64_t signals)
{
    k->signals = signals;
    return -pthread_key_create(&k->key, NULL);
}

void softhv_kicks_fini(struct softhv_kicks *k)
{
    pthread_key_delete(k->key);
}

/* Signals that must reach the thread at once: the processor's, and those of sandboxes. */
static void block_set(sigset_t *all)
{
    static const int sync[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(all);
    for (size_t i = 0; i < sizeof(sync) / sizeof(sync[0]); i++)
        sigdelset(all, sync[i]);
}

static uint64_t held_here(const struct softhv_kicks *k)
{
    return (uint64_t)(uintptr_t)pthread_getspecific(k->key);
}

/* Kicks that the client does not block itself. */
static uint64_t to_hold(const struct softhv_kicks *k, const sigset_t *clients)
{
    uint64_t held = 0;
    for (int n = 1; n <= SIGNALS; n++) {
        uint64_t bit = UINT64_C(1) << (n - 1);
        if ((k->signals & bit) != 0 && sigismember(clients, n) == 0)
            held |= bit;
    }
    return held;
}

/* As the client would have it. */
static void without(sigset_t *set, uint64_t held)
{
    for (; held != 0; held &= held - 1)
        (void)sigdelset(set, __builtin_ctzll(held) + 1);
}

static void with(sigset_t *set, uint64_t held)
{
    for (; held != 0; held &= held - 1)
        (void)sigaddset(set, __builtin_ctzll(held) + 1);
}

bool softhv_kicks_enter(const struct softhv_kicks *k, sigset_t *open)
{
    sigset_t all;
    uint64_t held = held_here(k);
    block_set(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, open);
    if (held != 0) {
        without(open, held);
        return true;
    }
    held = to_hold(k, open);
    return held == 0 || pthread_setspecific(k->key, (void *)(uintptr_t)held) != 0;
}

void softhv_kicks_leave(const struct softhv_kicks *k, const sigset_t *open)
{
    sigset_t after = *open;
    with(&after, held_here(k));
    (void)pthread_sigmask(SIG_SETMASK, &after, NULL);
}
