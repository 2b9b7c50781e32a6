/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/softhv/quiesce.h"

/* A reader as a VP is one: it passes a boundary only when it was told to leave. */
struct reader {
    struct softhv_quiesce *q;
    struct softhv_member member;
    pthread_t thread;
    atomic_bool online, forget, left, stop, let_go;
};

static void poke(void *ctx, enum softhv_poke what)
{
    struct reader *r = ctx;
    atomic_store(what == SOFTHV_POKE_FORGET ? &r->forget : &r->left, true);
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    softhv_quiesce_enter(r->q, &r->member);
    atomic_store(&r->online, true);
    while (!atomic_load(&r->stop)) {
        if (atomic_exchange(&r->left, false)) {
            sched_yield();
            atomic_store(&r->let_go, true);
            softhv_quiesce_boundary(r->q, &r->member);
        }
        sched_yield();
    }
    softhv_quiesce_exit(r->q, &r->member);
    return NULL;
}

static void reader_start(struct reader *r, struct softhv_quiesce *q)
{
    *r = (struct reader){.q = q};
    softhv_quiesce_join(q, &r->member, poke, r);
    assert_int_equal(pthread_create(&r->thread, NULL, reader_main, r), 0);
    while (!atomic_load(&r->online))
        sched_yield();
}

static void reader_stop(struct reader *r)
{
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    softhv_quiesce_leave(r->q, &r->member);
}

static void nobody_is_waited_for_alone(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    assert_int_equal(softhv_quiesce_init(&q), 0);
    softhv_quiesce_wait(&q);
    softhv_quiesce_fini(&q);
}

static void offline_members_are_poked_and_not_waited_for(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    struct reader r = {.q = &q};
    softhv_quiesce_init(&q);
    softhv_quiesce_join(&q, &r.member, poke, &r);
    softhv_quiesce_wait(&q);
    assert_true(atomic_load(&r.forget));
    assert_true(atomic_load(&r.left));
    softhv_quiesce_leave(&q, &r.member);
    softhv_quiesce_fini(&q);
}

static void members_that_left_are_not_poked(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    struct reader a = {.q = &q}, b = {.q = &q};
    softhv_quiesce_init(&q);
    softhv_quiesce_join(&q, &a.member, poke, &a);
    softhv_quiesce_join(&q, &b.member, poke, &b);
    softhv_quiesce_leave(&q, &a.member);
    softhv_quiesce_forget(&q);
    assert_false(atomic_load(&a.forget));
    assert_true(atomic_load(&b.forget));
    assert_false(atomic_load(&b.left));
    softhv_quiesce_leave(&q, &b.member);
    softhv_quiesce_fini(&q);
}

static void a_member_back_online_has_seen_the_change(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    struct reader r = {.q = &q};
    softhv_quiesce_init(&q);
    softhv_quiesce_join(&q, &r.member, poke, &r);
    softhv_quiesce_enter(&q, &r.member);
    softhv_quiesce_exit(&q, &r.member);
    softhv_quiesce_wait(&q);
    softhv_quiesce_enter(&q, &r.member);
    assert_int_equal(atomic_load(&r.member.seen), atomic_load(&q.epoch));
    softhv_quiesce_exit(&q, &r.member);
    softhv_quiesce_leave(&q, &r.member);
    softhv_quiesce_fini(&q);
}

static void wait_ends_after_every_online_member_let_go(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    struct reader r[3];
    softhv_quiesce_init(&q);
    for (int i = 0; i < 3; i++)
        reader_start(&r[i], &q);
    for (int turn = 0; turn < 200; turn++) {
        for (int i = 0; i < 3; i++)
            atomic_store(&r[i].let_go, false);
        softhv_quiesce_wait(&q);
        for (int i = 0; i < 3; i++)
            assert_true(atomic_load(&r[i].let_go));
    }
    for (int i = 0; i < 3; i++)
        reader_stop(&r[i]);
    softhv_quiesce_fini(&q);
}

static void *wait_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        softhv_quiesce_wait(arg);
    return NULL;
}

static void several_writers_wait_at_once(void **state)
{
    (void)state;
    struct softhv_quiesce q;
    struct reader r;
    pthread_t w[2];
    softhv_quiesce_init(&q);
    reader_start(&r, &q);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&w[i], NULL, wait_many, &q), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(w[i], NULL);
    reader_stop(&r);
    assert_int_equal(atomic_load(&q.waiters), 0);
    assert_int_equal(atomic_load(&q.epoch), 401);
    softhv_quiesce_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_waited_for_alone),
        cmocka_unit_test(offline_members_are_poked_and_not_waited_for),
        cmocka_unit_test(members_that_left_are_not_poked),
        cmocka_unit_test(a_member_back_online_has_seen_the_change),
        cmocka_unit_test(wait_ends_after_every_online_member_let_go),
        cmocka_unit_test(several_writers_wait_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
