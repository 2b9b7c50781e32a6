/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What holds for rings of either kind, and for what is in a chain.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtq_rig.h"

#define SIZE      8u
#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define PACKED    VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)

/* Run a test for each kind of ring. */
static void for_each_kind(struct virtq_rig *r, void (*test)(struct virtq_rig *r))
{
    static const uint64_t kinds[] = {0, EVENT_IDX, PACKED, PACKED | EVENT_IDX};
    for (size_t i = 0; i < (CONFIG_VIRTIO_PACKED ? 4 : 2); i++) {
        vqr_start(r, SIZE, kinds[i]);
        test(r);
    }
}

/* ---- Rings ---- */

static void a_size_has_to_be_from_one_to_the_most(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t bad[] = {0, VIRTQ_SIZE_MAX + 1, 2 * VIRTQ_SIZE_MAX, 0x8000, 0xffff};
    const char *why = "";
    vdrv_place_queue(&r->d, 0, VIRTQ_SIZE_MAX);
    struct virtq_config config = vqr_config(r);
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, &why), 0);
    for (size_t i = 0; i < 5; i++) {
        config.size = bad[i];
        assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, &why), -EINVAL);
        assert_string_equal(why, "the size is 0 or too large");
    }
    vqr_start(r, 1, 0);
}

static void rings_that_the_build_does_not_have_are_refused(void **state)
{
    struct virtq_rig *r = *state;
    vdrv_place_queue(&r->d, 0, SIZE);
    struct virtq_config config = vqr_config(r);
    config.features = PACKED;
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), CONFIG_VIRTIO_PACKED ? 0 : -EINVAL);
}

static void check_visibility(struct virtq_rig *r)
{
    uint16_t id[3];
    for (unsigned i = 0; i < 3; i++)
        id[i] = vqr_post(r, 1 + i % 2);
    for (uint32_t i = 0; i < 3; i++)
        vqr_serve(r, i);
    assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    assert_true(virtq_publish(&r->q));
    assert_false(virtq_publish(&r->q));
    for (uint32_t i = 0; i < 3; i++)
        vqr_expect_taken(r, id[i], i);
    assert_false(vdrv_take(&r->d, 0, NULL, NULL));
}

static void nothing_is_seen_before_it_is_published(void **state)
{
    for_each_kind(*state, check_visibility);
}

/* Three are taken, two go back in reverse order and come again. */
static void check_unpop(struct virtq_rig *r)
{
    struct virtq_chain *chain = r->held;
    uint16_t id[3];
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 3; i++)
            id[i] = vqr_post(r, 1 + i);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(virtq_pop(&r->q, &chain[i]), 1);
        virtq_unpop(&r->q, &chain[2]);
        virtq_unpop(&r->q, &chain[1]);
        assert_true(virtq_listen(&r->q));
        virtq_push(&r->q, &chain[0], 1);
        vqr_serve(r, 2);
        vqr_serve(r, 3);
        assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
        (void)virtq_publish(&r->q);
        for (uint32_t i = 0; i < 3; i++)
            vqr_expect_taken(r, id[i], i + 1);
    }
}

static void chains_given_back_come_again_in_the_same_order(void **state)
{
    for_each_kind(*state, check_unpop);
}

static void check_order(struct virtq_rig *r)
{
    struct virtq_chain *chain = r->held;
    static const unsigned order[] = {2, 0, 3, 1};
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 4; i++)
            (void)vqr_post(r, 1 + i % 3);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(virtq_pop(&r->q, &chain[i]), 1);
        for (unsigned i = 0; i < 4; i++)
            virtq_push(&r->q, &chain[order[i]], order[i]);
        (void)virtq_publish(&r->q);
        for (unsigned i = 0; i < 4; i++)
            vqr_expect_taken(r, chain[order[i]].id, order[i]);
    }
}

static void chains_return_in_the_order_they_are_pushed(void **state)
{
    for_each_kind(*state, check_order);
}

static void check_broken(struct virtq_rig *r)
{
    struct vdrv_buffer outside = {.gpa = VDRV_MEMORY_BYTES, .bytes = 1};
    uint16_t id = vqr_post(r, 1);
    (void)vdrv_post(&r->d, 0, &outside, 1);
    (void)vqr_post(r, 1);
    vqr_pop(r);
    assert_int_equal(virtq_pop(&r->q, &r->held[0]), -EPROTO);
    virtq_push(&r->q, &r->chain, 4);
    (void)virtq_publish(&r->q);
    vqr_expect_taken(r, id, 4);
    vqr_expect_broken(r, "a buffer is not in RAM");
}

static void what_was_taken_before_the_ring_broke_still_returns(void **state)
{
    for_each_kind(*state, check_broken);
}

/* No notification may be lost, whether a chain comes before or after listening. */
static void check_notifications(struct virtq_rig *r)
{
    for (unsigned i = 0; i < 40; i++) {
        assert_false(virtq_listen(&r->q));
        (void)vqr_post(r, 1);
        assert_true(vdrv_wants_kick(&r->d, 0));
        virtq_quiet(&r->q);
        (void)vqr_post(r, 1);
        assert_false(vdrv_wants_kick(&r->d, 0));
        vqr_serve(r, 0);
        assert_true(virtq_listen(&r->q));
        vqr_serve(r, 0);
        (void)virtq_publish(&r->q);
        while (vdrv_take(&r->d, 0, NULL, NULL)) {
        }
    }
}

static void no_notification_is_lost(void **state)
{
    for_each_kind(*state, check_notifications);
}

/* What the device keeps counts as taken. */
static void check_notifications_while_held(struct virtq_rig *r)
{
    for (unsigned i = 0; i < 20; i++) {
        (void)vqr_post(r, 1);
        assert_int_equal(virtq_pop(&r->q, &r->held[0]), 1);
        assert_false(virtq_listen(&r->q));
        r->d.queue[0].unannounced = 0;
        (void)vqr_post(r, 1);
        assert_true(vdrv_wants_kick(&r->d, 0));
        vqr_serve(r, 0);
        virtq_push(&r->q, &r->held[0], 0);
        (void)virtq_publish(&r->q);
        while (vdrv_take(&r->d, 0, NULL, NULL)) {
        }
    }
}

static void no_notification_is_lost_while_chains_are_held(void **state)
{
    for_each_kind(*state, check_notifications_while_held);
}

/* ---- Chains ---- */

#define PARTS 4u

/* Readable and writable parts of 1, 2, 3 and 4 bytes, all next to each other in a buffer that counts up. */
static void pop_parts(struct virtq_rig *r)
{
    struct vdrv_buffer b[2 * PARTS];
    uint32_t at = 0;
    for (unsigned i = 0; i < 2 * PARTS; i++) {
        b[i] = (struct vdrv_buffer){.gpa = r->buffer + at, .bytes = 1 + i % PARTS, .writable = i >= PARTS};
        at += b[i].bytes;
    }
    for (uint8_t i = 0; i < 20; i++)
        *vdrv_at(&r->d, r->buffer + i, 1) = i;
    vqr_start(r, SIZE, 0);
    (void)vdrv_post(&r->d, 0, b, 2 * PARTS);
    vqr_pop(r);
    assert_int_equal(r->chain.out_bytes, 10);
    assert_int_equal(r->chain.in_bytes, 10);
}

static void reading_does_not_mind_how_a_request_is_split(void **state)
{
    struct virtq_rig *r = *state;
    pop_parts(r);
    for (size_t offset = 0; offset <= 10; offset++) {
        for (size_t bytes = 0; bytes <= 10 - offset; bytes++) {
            uint8_t got[11] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
            assert_true(virtq_chain_read(&r->chain, offset, got, bytes));
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(got[i], offset + i);
            assert_int_equal(got[bytes], 0xee);
        }
    }
}

static void reading_beyond_the_end_copies_nothing(void **state)
{
    struct virtq_rig *r = *state;
    static const struct {
        size_t offset, bytes;
    } bad[] = {{0, 11}, {10, 1}, {11, 0}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    uint8_t got[16] = {0};
    const uint8_t zero[16] = {0};
    pop_parts(r);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(virtq_chain_read(&r->chain, bad[i].offset, got, bad[i].bytes));
        assert_false(virtq_chain_write(&r->chain, bad[i].offset, got, bad[i].bytes));
    }
    assert_memory_equal(got, zero, sizeof(got));
    assert_int_equal(*vdrv_at(&r->d, r->buffer + 10, 1), 10);
}

static void writing_touches_nothing_else(void **state)
{
    struct virtq_rig *r = *state;
    for (size_t offset = 0; offset <= 10; offset++) {
        for (size_t bytes = 0; bytes <= 10 - offset; bytes++) {
            const uint8_t from[10] = {100, 101, 102, 103, 104, 105, 106, 107, 108, 109};
            pop_parts(r);
            assert_true(virtq_chain_write(&r->chain, offset, from, bytes));
            const uint8_t *now = vdrv_at(&r->d, r->buffer, 20);
            for (size_t i = 0; i < 20; i++) {
                bool inside = i >= 10 + offset && i < 10 + offset + bytes;
                assert_int_equal(now[i], inside ? 100 + i - 10 - offset : i);
            }
        }
    }
}

static void a_slice_covers_what_it_was_asked_for(void **state)
{
    struct virtq_rig *r = *state;
    struct iovec out[PARTS];
    pop_parts(r);
    for (size_t offset = 0; offset <= 12; offset++) {
        for (size_t bytes = 0; bytes <= 12; bytes++) {
            unsigned n = virtq_slice(virtq_chain_in(&r->chain), r->chain.in, offset, bytes, out);
            size_t want = offset >= 10 ? 0 : bytes < 10 - offset ? bytes : 10 - offset, got = 0;
            for (unsigned i = 0; i < n; i++) {
                assert_ptr_equal(out[i].iov_base, vdrv_at(&r->d, r->buffer + 10 + offset + got, 1));
                assert_true(out[i].iov_len > 0);
                got += out[i].iov_len;
            }
            assert_int_equal(got, want);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, vqr_set_up, vqr_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_size_has_to_be_from_one_to_the_most),
        CASE(rings_that_the_build_does_not_have_are_refused),
        CASE(nothing_is_seen_before_it_is_published),
        CASE(chains_given_back_come_again_in_the_same_order),
        CASE(chains_return_in_the_order_they_are_pushed),
        CASE(what_was_taken_before_the_ring_broke_still_returns),
        CASE(no_notification_is_lost),
        CASE(no_notification_is_lost_while_chains_are_held),
        CASE(reading_does_not_mind_how_a_request_is_split),
        CASE(reading_beyond_the_end_copies_nothing),
        CASE(writing_touches_nothing_else),
        CASE(a_slice_covers_what_it_was_asked_for),
    };
    return cmocka_run_group_tests_name("virtio/queue", tests, NULL, NULL);
}
