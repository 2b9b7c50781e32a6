/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/reactor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

int reactor_init(struct reactor *l, uint64_t (*now_ms)(void *context), void *clock)
{
    *l = (struct reactor){.epoll = epoll_create1(EPOLL_CLOEXEC), .now_ms = now_ms, .clock = clock};
    l->earliest_ms = UINT64_MAX;
    return l->epoll < 0 ? -errno : 0;
}

void reactor_fini(struct reactor *l)
{
    if (l->now_ms != NULL && l->epoll >= 0)
        close(l->epoll);
    memset(l, 0, sizeof(*l));
}

int reactor_watch(struct reactor *l, struct reactor_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.ptr = w}};
    int operation = w->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (events == w->events)
        return 0;
    if (epoll_ctl(l->epoll, operation, w->fd, &e) != 0)
        return -errno;
    w->events = events;
    return 0;
}

/* ---- Timers ---- */

void reactor_timer_stop(struct reactor *l, struct reactor_timer *t)
{
    if (!t->set)
        return;
    if (t->previous != NULL)
        t->previous->next = t->next;
    else
        l->timers = t->next;
    if (t->next != NULL)
        t->next->previous = t->previous;
    t->set = false;
}

void reactor_timer_set(struct reactor *l, struct reactor_timer *t, uint64_t in_ms)
{
    uint64_t now = l->now_ms(l->clock);
    reactor_timer_stop(l, t);
    t->at_ms = in_ms > UINT64_MAX - now ? UINT64_MAX : now + in_ms;
    t->set = true;
    t->previous = NULL;
    t->next = l->timers;
    if (t->next != NULL)
        t->next->previous = t;
    l->timers = t;
    if (t->at_ms < l->earliest_ms)
        l->earliest_ms = t->at_ms;
}

static struct reactor_timer *find_earliest(const struct reactor *l)
{
    struct reactor_timer *earliest = NULL;
    for (struct reactor_timer *t = l->timers; t != NULL; t = t->next)
        if (earliest == NULL || t->at_ms < earliest->at_ms)
            earliest = t;
    return earliest;
}

/* One that is due, so that the descriptors get their turn whatever timers do. */
static void fire_timer(struct reactor *l)
{
    uint64_t now = l->now_ms(l->clock);
    if (now < l->earliest_ms)
        return;
    struct reactor_timer *t = find_earliest(l);
    if (t != NULL && t->at_ms <= now) {
        reactor_timer_stop(l, t);
        t->fire(t->context);
        t = find_earliest(l);
    }
    l->earliest_ms = t != NULL ? t->at_ms : UINT64_MAX;
}

/* How long to wait, in milliseconds, if nothing but a timer comes. */
static int until_timer(const struct reactor *l, int wait_ms)
{
    uint64_t now = l->now_ms(l->clock);
    if (l->earliest_ms == UINT64_MAX)
        return wait_ms;
    uint64_t left = l->earliest_ms > now ? l->earliest_ms - now : 0;
    if (left > INT_MAX)
        left = INT_MAX;
    return wait_ms < 0 || left < (uint64_t)wait_ms ? (int)left : wait_ms;
}

int reactor_step(struct reactor *l, int wait_ms)
{
    struct epoll_event e;
    int n = epoll_wait(l->epoll, &e, 1, until_timer(l, wait_ms));
    if (n < 0 && errno != EINTR)
        return -errno;
    if (n > 0) {
        struct reactor_watch *w = e.data.ptr;
        w->ready(w->context, e.events);
    }
    fire_timer(l);
    return n > 0;
}
