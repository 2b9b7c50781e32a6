/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/softhv/doorbell.h"

#define MATCH    (1u << MSHV_IOEVENTFD_BIT_DATAMATCH)
#define PIO      (1u << MSHV_IOEVENTFD_BIT_PIO)
#define DEASSIGN (1u << MSHV_IOEVENTFD_BIT_DEASSIGN)
#define AT       UINT64_C(0xfe003000)

struct rig {
    struct softhv_doorbells *d;
    int a, b;
};

static int setup(void **state)
{
    struct rig *r = malloc(sizeof(*r));
    assert_non_null(r);
    assert_int_equal(softhv_doorbells_new(&r->d), 0);
    r->a = eventfd(0, EFD_NONBLOCK);
    r->b = eventfd(0, EFD_NONBLOCK);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    softhv_doorbells_free(r->d);
    close(r->a);
    close(r->b);
    free(r);
    return 0;
}

static uint64_t rung(int fd)
{
    uint64_t v = 0;
    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static int request(const struct rig *r, int fd, uint64_t addr, uint32_t len, uint64_t match, uint32_t flags)
{
    struct mshv_user_ioeventfd a = {.datamatch = match, .addr = addr, .len = len, .fd = fd, .flags = flags};
    return softhv_doorbells_request(r->d, &a);
}

static void arguments_are_checked_in_order(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, -1, AT, 3, 0, 8), -EINVAL);
    assert_int_equal(request(r, -1, AT, 3, 0, PIO), -EOPNOTSUPP);
    assert_int_equal(request(r, -1, AT, 3, 0, PIO | DEASSIGN), -EOPNOTSUPP);
    assert_int_equal(request(r, -1, AT, 3, 0, PIO | 8), -EINVAL);
    const uint32_t lengths[] = {3, 5, 6, 7, 9, 16, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        assert_int_equal(request(r, -1, AT, lengths[i], 0, 0), -EINVAL);
    assert_int_equal(request(r, -1, UINT64_MAX, 4, 0, 0), -EINVAL);
    assert_int_equal(request(r, -1, AT, 4, 0, 0), -EBADF);
    assert_int_equal(request(r, 0x7fffffff, AT, 4, 0, DEASSIGN), -EBADF);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(request(r, pipes[1], AT, 4, 0, 0), -EINVAL);
    assert_int_equal(request(r, pipes[1], AT, 4, 0, DEASSIGN), -EINVAL);
    close(pipes[0]);
    close(pipes[1]);
    struct mshv_user_ioeventfd a = {.addr = AT, .fd = r->a, .rsvd = {0, 0, 0, 1}};
    assert_int_equal(softhv_doorbells_request(r->d, &a), -EINVAL);
}

static void a_matching_write_adds_one_and_is_gone(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 4, 0, 0), 0);
    assert_true(softhv_doorbells_match(r->d, AT, 4, 0));
    assert_true(softhv_doorbells_match(r->d, AT, 4, 99));
    assert_int_equal(rung(r->a), 2);
    assert_false(softhv_doorbells_match(r->d, AT, 2, 0));
    assert_false(softhv_doorbells_match(r->d, AT, 8, 0));
    assert_false(softhv_doorbells_match(r->d, AT + 1, 4, 0));
    assert_false(softhv_doorbells_match(r->d, AT - 1, 4, 0));
    assert_int_equal(rung(r->a), 0);
}

static void length_zero_means_any_size(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 0, 0, 0), 0);
    for (uint32_t n = 1; n <= 8; n *= 2)
        assert_true(softhv_doorbells_match(r->d, AT, n, n));
    assert_true(softhv_doorbells_match(r->d, AT, 16, 0));
    assert_int_equal(rung(r->a), 5);
}

static void data_has_to_match_when_asked(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 2, 7, MATCH), 0);
    assert_int_equal(request(r, r->b, AT, 2, 8, MATCH), 0);
    assert_true(softhv_doorbells_match(r->d, AT, 2, 8));
    assert_false(softhv_doorbells_match(r->d, AT, 2, 9));
    assert_false(softhv_doorbells_match(r->d, AT, 4, 8));
    assert_int_equal(rung(r->a), 0);
    assert_int_equal(rung(r->b), 1);
}

static void any_size_with_data_is_accepted(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 0, 7, MATCH), 0);
    assert_true(softhv_doorbells_match(r->d, AT, 1, 7));
    assert_true(softhv_doorbells_match(r->d, AT, 4, 7));
    assert_false(softhv_doorbells_match(r->d, AT, 4, 8));
    assert_false(softhv_doorbells_match(r->d, AT, 16, 7));
}

static void addresses_need_no_alignment(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT + 3, 8, 0, 0), 0);
    assert_true(softhv_doorbells_match(r->d, AT + 3, 8, 1));
    assert_int_equal(request(r, r->a, UINT64_MAX - 7, 4, 0, 0), 0);
    assert_true(softhv_doorbells_match(r->d, UINT64_MAX - 7, 4, 1));
}

struct collision_row {
    uint32_t len;
    uint64_t match;
    uint32_t flags;
    int expected;
};

/* Against length 4, data 5 at the same address. */
static const struct collision_row collision_rows[] = {
    {4, 5, MATCH, -EEXIST}, {4, 6, MATCH, 0}, {4, 5, 0, -EEXIST}, /* any value */
    {8, 5, MATCH, 0},                                             /* another length */
    {0, 5, MATCH, 0},       {0, 0, 0, 0},
};

static void collisions_are_same_address_length_and_value(void **state)
{
    const struct rig *r = *state;
    for (size_t i = 0; i < sizeof(collision_rows) / sizeof(collision_rows[0]); i++) {
        const struct collision_row *c = &collision_rows[i];
        assert_int_equal(request(r, r->a, AT, 4, 5, MATCH), 0);
        assert_int_equal(request(r, r->b, AT, c->len, c->match, c->flags), c->expected);
        assert_int_equal(request(r, r->b, AT + 8, c->len, c->match, c->flags), 0);
        softhv_doorbells_close(r->d);
    }
    assert_int_equal(request(r, r->a, AT, 4, 0, 0), 0);
    assert_int_equal(request(r, r->b, AT, 4, 5, MATCH), -EEXIST);
}

static void the_most_exact_of_several_rings(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 0, 0, 0), 0);
    assert_int_equal(request(r, r->b, AT, 4, 5, MATCH), 0);
    assert_true(softhv_doorbells_match(r->d, AT, 4, 5));
    assert_int_equal(rung(r->b), 1);
    assert_int_equal(rung(r->a), 0);
    assert_true(softhv_doorbells_match(r->d, AT, 4, 6));
    assert_int_equal(rung(r->a), 1);
}

static void deassign_wants_everything_the_same(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 4, 5, MATCH), 0);
    assert_int_equal(request(r, r->b, AT, 4, 5, MATCH | DEASSIGN), -ENOENT);
    assert_int_equal(request(r, r->a, AT + 4, 4, 5, MATCH | DEASSIGN), -ENOENT);
    assert_int_equal(request(r, r->a, AT, 2, 5, MATCH | DEASSIGN), -ENOENT);
    assert_int_equal(request(r, r->a, AT, 4, 6, MATCH | DEASSIGN), -ENOENT);
    assert_int_equal(request(r, r->a, AT, 4, 5, DEASSIGN), -ENOENT);
    assert_int_equal(request(r, r->a, AT, 0, 0, DEASSIGN), -ENOENT);
    assert_true(softhv_doorbells_match(r->d, AT, 4, 5));
    int copy = dup(r->a);
    assert_int_equal(request(r, copy, AT, 4, 5, MATCH | DEASSIGN), 0);
    close(copy);
    assert_false(softhv_doorbells_match(r->d, AT, 4, 5));
    assert_int_equal(request(r, r->a, AT, 4, 5, MATCH | DEASSIGN), -ENOENT);
}

static void wildcards_ignore_the_data_of_a_deassign(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(request(r, r->a, AT, 4, 123, 0), 0);
    assert_int_equal(request(r, r->a, AT, 4, 456, DEASSIGN), 0);
}

static void an_eventfd_the_client_closed_still_rings(void **state)
{
    const struct rig *r = *state;
    int fd = eventfd(0, EFD_NONBLOCK), copy = dup(fd);
    assert_int_equal(request(r, fd, AT, 4, 0, 0), 0);
    close(fd);
    assert_true(softhv_doorbells_match(r->d, AT, 4, 0));
    assert_int_equal(rung(copy), 1);
    close(copy);
}

static void close_removes_all_and_leaves_no_descriptors(void **state)
{
    const struct rig *r = *state;
    int before = dup(0);
    close(before);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(request(r, r->a, AT + 8 * i, 4, 0, 0), 0);
    softhv_doorbells_close(r->d);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
    assert_false(softhv_doorbells_match(r->d, AT, 4, 0));
}

struct writer {
    const struct rig *r;
    atomic_bool stop;
    uint64_t hits;
};

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    for (uint64_t i = 0; !atomic_load(&w->stop); i++)
        w->hits += softhv_doorbells_match(w->r->d, AT + 8 * (i % 8), 4, i);
    return NULL;
}

/* Every match adds one to some eventfd, and none after the deassign. */
static void registrations_change_under_writers(void **state)
{
    const struct rig *r = *state;
    struct writer w[2] = {{.r = r}, {.r = r}};
    pthread_t t[2];
    uint64_t got = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, writer_main, &w[i]), 0);
    for (uint64_t turn = 0; turn < 400; turn++) {
        int fd = eventfd(0, EFD_NONBLOCK);
        assert_int_equal(request(r, fd, AT + 8 * (turn % 8), 4, 0, 0), 0);
        assert_int_equal(request(r, fd, AT + 8 * (turn % 8), 4, 0, DEASSIGN), 0);
        got += rung(fd);
        assert_int_equal(rung(fd), 0);
        close(fd);
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&w[i].stop, true);
        pthread_join(t[i], NULL);
    }
    assert_int_equal(got, w[0].hits + w[1].hits);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(arguments_are_checked_in_order),
        CASE(a_matching_write_adds_one_and_is_gone),
        CASE(length_zero_means_any_size),
        CASE(data_has_to_match_when_asked),
        CASE(any_size_with_data_is_accepted),
        CASE(addresses_need_no_alignment),
        CASE(collisions_are_same_address_length_and_value),
        CASE(the_most_exact_of_several_rings),
        CASE(deassign_wants_everything_the_same),
        CASE(wildcards_ignore_the_data_of_a_deassign),
        CASE(an_eventfd_the_client_closed_still_rings),
        CASE(close_removes_all_and_leaves_no_descriptors),
        CASE(registrations_change_under_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
