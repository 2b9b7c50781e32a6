/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_REACTOR_H
#define CAISSON_GUEST_INIT_AGENT_REACTOR_H

/*
 * The one place where the agent waits: descriptors and points in time, each with a function to call. One event is
 * handled at a time, so that a function may remove and free any watch or timer, its own included, without leaving a
 * stale event behind.
 *
 * Watches and timers live in structs of their users; the reactor borrows them while they are set. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

struct reactor_watch {
    int fd; /* borrowed */
    void (*ready)(void *context, uint32_t events);
    void *context;
    uint32_t events; /* what it waits for now; 0: nothing */
};

struct reactor_timer {
    void (*fire)(void *context); /* the timer is no longer set then */
    void *context;
    uint64_t at_ms;
    bool set;
    struct reactor_timer *next, *previous;
};

struct reactor {
    int epoll;
    uint64_t (*now_ms)(void *context); /* a clock that never goes back */
    void *clock;
    struct reactor_timer *timers;
    uint64_t earliest_ms; /* no timer fires before; UINT64_MAX: there is none */
};

/* now_ms: with its context, borrowed. 0 or -errno; reactor_fini closes what it owns and accepts a zeroed loop. */
int reactor_init(struct reactor *l, uint64_t (*now_ms)(void *context), void *clock);
void reactor_fini(struct reactor *l);

/*
 * Wait for these events (EPOLL*, level-triggered) of w->fd from now on; 0: for nothing, not even for its end. Must be
 * set to 0 before the descriptor is closed. 0 or -errno, and w is then as it was.
 */
int reactor_watch(struct reactor *l, struct reactor_watch *w, uint32_t events);

/* Fire once, this many milliseconds from now. A timer that is set is moved. */
void reactor_timer_set(struct reactor *l, struct reactor_timer *t, uint64_t in_ms);
void reactor_timer_stop(struct reactor *l, struct reactor_timer *t); /* also if it is not set */

/*
 * Wait for one event or the next timer, at most wait_ms (-1: for ever), and handle what there is. Returns 1 if a
 * descriptor was ready, 0 if not, or -errno when waiting failed.
 */
int reactor_step(struct reactor *l, int wait_ms);

#endif
