/* SPDX-License-Identifier: Apache-2.0 */
/* Watches and timers, with a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/agent/reactor.h"

struct world {
    struct reactor loop;
    uint64_t now_ms;
    struct reactor_watch watch[2];
    struct reactor_timer timer[3];
    int pipe[2][2];
    unsigned order[8], events;
};

static uint64_t now_ms(void *context)
{
    const struct world *w = context;
    return w->now_ms;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -1;
    w->now_ms = 1000;
    *state = w;
    return reactor_init(&w->loop, now_ms, w) < 0 || pipe(w->pipe[0]) != 0 || pipe(w->pipe[1]) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    reactor_fini(&w->loop);
    for (int i = 0; i < 2; i++) {
        close(w->pipe[i][0]);
        close(w->pipe[i][1]);
    }
    free(w);
    return 0;
}

struct note {
    struct world *world;
    unsigned number;
};

static void on_timer(void *context)
{
    struct note *n = context;
    n->world->order[n->world->events++] = n->number;
}

static void set(struct world *w, unsigned i, struct note *n, uint64_t in_ms)
{
    *n = (struct note){w, i};
    w->timer[i].fire = on_timer;
    w->timer[i].context = n;
    reactor_timer_set(&w->loop, &w->timer[i], in_ms);
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    struct world *w = *state;
    struct note n[3];
    set(w, 0, &n[0], 30);
    set(w, 1, &n[1], 10);
    set(w, 2, &n[2], 20);
    w->now_ms += 9;
    assert_int_equal(reactor_step(&w->loop, 0), 0);
    assert_int_equal(w->events, 0);
    w->now_ms += 100;
    for (int i = 0; i < 4; i++)
        assert_int_equal(reactor_step(&w->loop, 0), 0);
    assert_int_equal(w->events, 3);
    assert_int_equal(w->order[0], 1);
    assert_int_equal(w->order[1], 2);
    assert_int_equal(w->order[2], 0);
}

static void a_timer_that_is_stopped_does_not_fire_and_one_that_is_moved_fires_once(void **state)
{
    struct world *w = *state;
    struct note n[2];
    set(w, 0, &n[0], 10);
    set(w, 1, &n[1], 10);
    reactor_timer_stop(&w->loop, &w->timer[0]);
    reactor_timer_stop(&w->loop, &w->timer[0]);
    reactor_timer_set(&w->loop, &w->timer[1], 50);
    w->now_ms += 20;
    (void)reactor_step(&w->loop, 0);
    assert_int_equal(w->events, 0);
    w->now_ms += 30;
    (void)reactor_step(&w->loop, 0);
    (void)reactor_step(&w->loop, 0);
    assert_int_equal(w->events, 1);
    assert_int_equal(w->order[0], 1);
}

static void a_timer_beyond_the_end_of_time_does_not_wrap(void **state)
{
    struct world *w = *state;
    struct note n;
    set(w, 0, &n, UINT64_MAX);
    w->now_ms = UINT64_MAX - 1;
    assert_int_equal(reactor_step(&w->loop, 0), 0);
    assert_int_equal(w->events, 0);
}

static void count_and_close(void *context, uint32_t events)
{
    struct world *w = context;
    w->events++;
    assert_true((events & EPOLLIN) != 0);
    /* Whichever comes first removes both; the other must not be called any more. */
    assert_int_equal(reactor_watch(&w->loop, &w->watch[0], 0), 0);
    assert_int_equal(reactor_watch(&w->loop, &w->watch[1], 0), 0);
}

static void a_watch_may_remove_others_that_are_ready(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 2; i++) {
        w->watch[i] = (struct reactor_watch){.fd = w->pipe[i][0], .ready = count_and_close, .context = w};
        assert_int_equal(reactor_watch(&w->loop, &w->watch[i], EPOLLIN), 0);
        assert_int_equal(write(w->pipe[i][1], "x", 1), 1);
    }
    assert_int_equal(reactor_step(&w->loop, 0), 1);
    assert_int_equal(reactor_step(&w->loop, 0), 0);
    assert_int_equal(w->events, 1);
}

static void what_cannot_be_watched_is_an_error_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct reactor_watch bad = {.fd = -1, .ready = count_and_close, .context = w};
    assert_true(reactor_watch(&w->loop, &bad, EPOLLIN) < 0);
    assert_int_equal(bad.events, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(timers_fire_in_the_order_of_their_times),
        CASE(a_timer_that_is_stopped_does_not_fire_and_one_that_is_moved_fires_once),
        CASE(a_timer_beyond_the_end_of_time_does_not_wrap),
        CASE(a_watch_may_remove_others_that_are_ready),
        CASE(what_cannot_be_watched_is_an_error_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
