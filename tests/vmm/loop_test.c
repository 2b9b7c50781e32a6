/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/loop.h"

#define SOURCES 40u /* more than fit into one round */

struct rig;

struct listener {
    struct rig *rig;
    struct loop_source source;
    unsigned calls;
    uint32_t events;
    struct listener *removes; /* when called */
};

struct rig {
    struct loop loop;
    struct listener listener[SOURCES];
    sem_t called;
    char name[LOOP_NAME_BYTES];
    sigset_t blocked;
};

static void on_ready(void *ctx, uint32_t events)
{
    struct listener *l = ctx;
    l->calls++;
    l->events = events;
    if (l->removes != NULL)
        loop_remove(&l->rig->loop, &l->removes->source);
}

static void drain(void *ctx, uint32_t events)
{
    struct listener *l = ctx;
    uint64_t count;
    on_ready(ctx, events);
    assert_int_equal(read(l->source.fd, &count, sizeof(count)), sizeof(count));
    (void)pthread_getname_np(pthread_self(), l->rig->name, sizeof(l->rig->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &l->rig->blocked);
    sem_post(&l->rig->called);
}

static void notify(const struct listener *l)
{
    const uint64_t one = 1;
    assert_int_equal(write(l->source.fd, &one, sizeof(one)), sizeof(one));
}

static struct listener *add(struct rig *r, unsigned index, void (*ready)(void *, uint32_t), uint32_t events)
{
    struct listener *l = &r->listener[index];
    l->rig = r;
    l->source = (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = ready, .ctx = l};
    assert_true(l->source.fd >= 0);
    assert_int_equal(loop_add(&r->loop, &l->source, events), 0);
    return l;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    for (unsigned i = 0; i < SOURCES; i++)
        r->listener[i].source.fd = -1;
    return sem_init(&r->called, 0, 0) < 0 ? -1 : loop_init(&r->loop, "a loop's name", NULL);
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    loop_stop(&r->loop);
    loop_fini(&r->loop);
    for (unsigned i = 0; i < SOURCES; i++)
        if (r->listener[i].source.fd >= 0)
            close(r->listener[i].source.fd);
    sem_destroy(&r->called);
    free(r);
    return 0;
}

/* ---- Without a thread ---- */

static void a_source_that_is_ready_is_called_until_it_is_not(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, on_ready, EPOLLIN);
    assert_int_equal(loop_turn(&r->loop), 0);
    notify(l);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(l->events, EPOLLIN);
    assert_int_equal(loop_turn(&r->loop), 1);
    l->source.ready = drain;
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(loop_turn(&r->loop), 0);
    assert_int_equal(l->calls, 3);
}

static void a_source_hears_of_what_it_waits_for(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, on_ready, EPOLLOUT);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(l->events, EPOLLOUT);
    assert_int_equal(loop_change(&r->loop, &l->source, 0), 0);
    assert_int_equal(loop_turn(&r->loop), 0);
    assert_int_equal(loop_change(&r->loop, &l->source, EPOLLIN), 0);
    notify(l);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(l->events, EPOLLIN);
}

static void a_removed_source_hears_nothing(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, on_ready, EPOLLIN);
    notify(l);
    loop_remove(&r->loop, &l->source);
    assert_int_equal(loop_turn(&r->loop), 0);
    assert_int_equal(loop_add(&r->loop, &l->source, EPOLLIN), 0);
    assert_int_equal(loop_turn(&r->loop), 1);
}

/* Whichever of the two comes first. */
static void a_source_removed_in_the_same_round_hears_nothing(void **state)
{
    struct rig *r = *state;
    struct listener *a = add(r, 0, on_ready, EPOLLIN), *b = add(r, 1, on_ready, EPOLLIN);
    a->removes = b;
    b->removes = a;
    notify(a);
    notify(b);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(a->calls + b->calls, 1);
}

static void a_source_can_remove_itself(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, on_ready, EPOLLIN);
    l->removes = l;
    notify(l);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(loop_turn(&r->loop), 0);
}

static void all_get_their_turn_if_not_in_one_round(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < SOURCES; i++)
        notify(add(r, i, on_ready, EPOLLIN));
    assert_int_equal(loop_turn(&r->loop), LOOP_BATCH);
    assert_int_equal(loop_turn(&r->loop), LOOP_BATCH);
    for (unsigned i = 0; i < SOURCES; i++)
        assert_true(r->listener[i].calls > 0);
}

static void hang_ups_need_not_be_asked_for(void **state)
{
    struct rig *r = *state;
    struct listener *l = &r->listener[0];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    l->rig = r;
    l->source = (struct loop_source){.fd = ends[0], .ready = on_ready, .ctx = l};
    assert_int_equal(loop_add(&r->loop, &l->source, 0), 0);
    assert_int_equal(loop_turn(&r->loop), 0);
    close(ends[1]);
    assert_int_equal(loop_turn(&r->loop), 1);
    assert_int_equal(l->events, EPOLLHUP);
}

static void what_the_kernel_refuses_is_told(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, on_ready, EPOLLIN);
    struct loop_source none = {.fd = -1, .ready = on_ready, .ctx = l};
    assert_int_equal(loop_add(&r->loop, &none, EPOLLIN), -EBADF);
    assert_int_equal(loop_add(&r->loop, &l->source, EPOLLIN), -EEXIST);
    loop_remove(&r->loop, &l->source);
    assert_int_equal(loop_change(&r->loop, &l->source, EPOLLIN), -ENOENT);
}

static void a_loop_without_descriptors_is_refused_and_can_be_ended(void **state)
{
    struct loop loop;
    struct err err;
    struct rlimit before, none;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int code = loop_init(&loop, "late", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, -EMFILE);
    assert_non_null(strstr(err.text, "late"));
    loop_fini(&loop);
}

/* ---- With one ---- */

static void its_thread_serves_until_it_is_stopped(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, drain, EPOLLIN);
    assert_int_equal(loop_start(&r->loop, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        notify(l);
        sem_wait(&r->called);
    }
    loop_stop(&r->loop);
    assert_int_equal(l->calls, 3);
    notify(l);
    loop_stop(&r->loop);
    assert_int_equal(l->calls, 3);
}

static void note_name(void *ctx)
{
    struct rig *r = ctx;
    (void)pthread_getname_np(pthread_self(), r->name, sizeof(r->name));
}

static void its_thread_begins_with_what_it_is_told(void **state)
{
    struct rig *r = *state;
    loop_begin_with(&r->loop, note_name, r);
    assert_string_equal(r->name, "");
    assert_int_equal(loop_start(&r->loop, NULL), 0);
    loop_stop(&r->loop);
    assert_string_equal(r->name, r->loop.name);
}

static void it_can_be_started_again(void **state)
{
    struct rig *r = *state;
    struct listener *l = add(r, 0, drain, EPOLLIN);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(loop_start(&r->loop, NULL), 0);
        notify(l);
        sem_wait(&r->called);
        loop_stop(&r->loop);
    }
    assert_int_equal(l->calls, 3);
}

static void its_thread_has_its_name_and_no_signals(void **state)
{
    struct rig *r = *state;
    sigset_t mine;
    struct listener *l = add(r, 0, drain, EPOLLIN);
    assert_int_equal(loop_start(&r->loop, NULL), 0);
    notify(l);
    sem_wait(&r->called);
    loop_stop(&r->loop);
    assert_string_equal(r->name, "a loop's name");
    assert_true(sigismember(&r->blocked, SIGTERM) == 1 && sigismember(&r->blocked, SIGUSR1) == 1);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

static void a_long_name_is_cut(void **state)
{
    struct loop loop;
    (void)state;
    assert_int_equal(loop_init(&loop, "0123456789abcdefgh", NULL), 0);
    assert_string_equal(loop.name, "0123456789abcde");
    loop_fini(&loop);
}

static void a_loop_that_never_was_can_be_ended(void **state)
{
    struct loop loop = {.epoll = 0};
    (void)state;
    loop_stop(&loop);
    loop_fini(&loop);
    assert_true(fcntl(0, F_GETFD) >= 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_source_that_is_ready_is_called_until_it_is_not),
        CASE(a_source_hears_of_what_it_waits_for),
        CASE(a_removed_source_hears_nothing),
        CASE(a_source_removed_in_the_same_round_hears_nothing),
        CASE(a_source_can_remove_itself),
        CASE(all_get_their_turn_if_not_in_one_round),
        CASE(hang_ups_need_not_be_asked_for),
        CASE(what_the_kernel_refuses_is_told),
        CASE(a_loop_without_descriptors_is_refused_and_can_be_ended),
        CASE(its_thread_serves_until_it_is_stopped),
        CASE(its_thread_begins_with_what_it_is_told),
        CASE(it_can_be_started_again),
        CASE(its_thread_has_its_name_and_no_signals),
        CASE(a_long_name_is_cut),
        cmocka_unit_test(a_loop_that_never_was_can_be_ended),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
