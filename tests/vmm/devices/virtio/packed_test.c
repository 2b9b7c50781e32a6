/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Packed rings (virtio 1.2, 2.8), without a device around them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtq_rig.h"

#define SIZE 7u /* need not be a power of two */

#define ENABLE  0u
#define DISABLE 1u
#define SLOT    2u
#define WRAP    0x8000u

#define PACKED    VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define TABLES    VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* ---- What a driver writes by hand ---- */

static void start(struct virtq_rig *r, uint64_t features)
{
    vqr_start(r, SIZE, PACKED | features);
}

static void put(struct virtq_rig *r, uint16_t slot, uint64_t gpa, uint32_t bytes, uint16_t id, uint16_t flags)
{
    vqr_put(r, r->d.queue[0].descriptors, slot, gpa, bytes, id, flags);
}

static uint16_t flags_of(struct virtq_rig *r, uint16_t slot)
{
    return vqr_load(r, r->d.queue[0].descriptors + 16u * slot + 14);
}

/* What the driver wants to hear of. */
static void driver_event(struct virtq_rig *r, uint16_t event, uint16_t kind)
{
    vqr_store(r, r->d.queue[0].available, event);
    vqr_store(r, r->d.queue[0].available + 2, kind);
}

static void expect_device_event(struct virtq_rig *r, uint16_t event, uint16_t kind)
{
    assert_int_equal(vqr_load(r, r->d.queue[0].used), event);
    assert_int_equal(vqr_load(r, r->d.queue[0].used + 2), kind);
}

static uint64_t small_table(struct virtq_rig *r)
{
    uint64_t table = vdrv_alloc(&r->d, 16u * SIZE, 16);
    vqr_put(r, table, 0, r->buffer, 8, 0, VQR_WRITE);
    return table;
}

/* Serve so many chains of one slot, one by one. */
static void run(struct virtq_rig *r, unsigned chains)
{
    for (unsigned i = 0; i < chains; i++) {
        uint16_t id = vqr_post(r, 1);
        vqr_serve(r, 1);
        (void)virtq_publish(&r->q);
        vqr_expect_taken(r, id, 1);
    }
}

/* ---- Where rings may be ---- */

static const char *refused(struct virtq_rig *r, const struct virtq_config *config)
{
    const char *why = "";
    assert_int_equal(virtq_init(&r->q, &r->d.memory, config, &why), -EINVAL);
    assert_int_equal(r->q.size, 0);
    return why;
}

static void parts_have_to_be_aligned(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    const struct virtq_config good = vqr_config(r);
    struct virtq_config config = good;
    config.descriptors.value += 8;
    assert_string_equal(refused(r, &config), "the descriptor ring is not aligned or not in RAM");
    config = good;
    config.driver.value += 2;
    assert_string_equal(refused(r, &config), "the driver's event suppression is not aligned or not in RAM");
    config = good;
    config.device.value += 1;
    assert_string_equal(refused(r, &config), "the device's event suppression is not aligned or not in RAM");
}

static void parts_may_end_where_ram_ends_but_not_behind(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    struct virtq_config config = vqr_config(r);
    gpa_t *const part[] = {&config.descriptors, &config.driver, &config.device};
    static const uint64_t bytes[] = {16 * SIZE, 4, 4}, alignment[] = {16, 4, 4};
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = part[i]->value;
        part[i]->value = VDRV_MEMORY_BYTES - bytes[i];
        assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
        part[i]->value += alignment[i];
        (void)refused(r, &config);
        part[i]->value = UINT64_MAX & ~(alignment[i] - 1);
        (void)refused(r, &config);
        part[i]->value = before;
    }
}

static void the_end_of_ram_ends_the_ring(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    r->d.queue[0].descriptors = VDRV_MEMORY_BYTES - 16 * SIZE;
    const struct virtq_config config = vqr_config(r);
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
    run(r, SIZE - 1);
    uint16_t id = vqr_post(r, 3);
    vqr_serve(r, 24);
    (void)virtq_publish(&r->q);
    vqr_expect_taken(r, id, 24);
}

static void event_suppression_inside_the_ring_harms_only_the_driver(void **state)
{
    struct virtq_rig *r = *state;
    start(r, EVENT_IDX);
    struct virtq_config config = vqr_config(r);
    config.driver = config.device = config.descriptors;
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
    put(r, 0, r->buffer, 16, 0, VQR_WRITE | VQR_AVAIL);
    for (unsigned i = 0; i < 100 && virtq_pop(&r->q, &r->chain) > 0; i++) {
        assert_true(r->chain.in + r->chain.out <= SIZE);
        virtq_push(&r->q, &r->chain, r->chain.in_bytes);
        (void)virtq_publish(&r->q);
        (void)virtq_listen(&r->q);
    }
}

/* ---- Chains ---- */

static void an_empty_ring_has_no_chain(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
    assert_false(virtq_publish(&r->q));
}

static void only_a_slot_of_this_round_is_available(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t not [] = {0, VQR_USED, VQR_AVAIL | VQR_USED};
    start(r, 0);
    for (size_t i = 0; i < 3; i++) {
        put(r, 0, r->buffer, 8, 0, not [i]);
        assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
        assert_false(virtq_listen(&r->q));
    }
    put(r, 0, r->buffer, 8, 0, VQR_AVAIL);
    assert_true(virtq_listen(&r->q));
    vqr_pop(r);
}

static void in_the_second_round_the_flags_are_the_other_way_about(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t not [] = {0, VQR_AVAIL, VQR_AVAIL | VQR_USED};
    start(r, 0);
    run(r, SIZE);
    for (size_t i = 0; i < 3; i++) {
        put(r, 0, r->buffer, 8, 0, not [i]);
        assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
    }
    put(r, 0, r->buffer, 8, 0, VQR_USED);
    vqr_serve(r, 0);
    assert_int_equal(flags_of(r, 0), VQR_USED);
    (void)virtq_publish(&r->q);
    assert_int_equal(flags_of(r, 0), 0);
}

static void a_chain_goes_to_the_device_and_back(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    struct vdrv_buffer b[] = {vqr_buffer(r, 16, false), vqr_buffer(r, 32, true)};
    uint16_t id = vdrv_post(&r->d, 0, b, 2);
    vqr_pop(r);
    assert_int_equal(r->chain.out, 1);
    assert_int_equal(r->chain.in, 1);
    assert_int_equal(r->chain.out_bytes, 16);
    assert_int_equal(r->chain.in_bytes, 32);
    assert_int_equal(r->chain.slots, 2);
    virtq_push(&r->q, &r->chain, 5);
    assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    assert_true(virtq_publish(&r->q));
    vqr_expect_taken(r, id, 5);
}

static void the_last_descriptor_names_the_buffer(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    put(r, 1, r->buffer, 1, 0xbeef, VQR_AVAIL);
    put(r, 0, r->buffer, 1, 7, VQR_AVAIL | VQR_NEXT);
    vqr_serve(r, 0);
    (void)virtq_publish(&r->q);
    assert_int_equal(vqr_load(r, r->d.queue[0].descriptors + 12), 0xbeef);
}

static void nothing_written_leaves_the_write_flag_out(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    (void)vqr_post(r, 1);
    (void)vqr_post(r, 1);
    vqr_serve(r, 0);
    vqr_serve(r, 1);
    (void)virtq_publish(&r->q);
    assert_int_equal(flags_of(r, 0), VQR_AVAIL | VQR_USED);
    assert_int_equal(flags_of(r, 1), VQR_AVAIL | VQR_USED | VQR_WRITE);
}

static void chains_of_any_length_go_round_for_ever(void **state)
{
    struct virtq_rig *r = *state;
    static const unsigned lengths[] = {1, 3, 2, 5, 1, 4, 7, 6};
    start(r, EVENT_IDX);
    for (unsigned i = 0; i < 800; i++) {
        unsigned slots = lengths[i % 8];
        uint16_t id = vqr_post(r, slots);
        vqr_pop(r);
        assert_int_equal(r->chain.slots, slots);
        assert_int_equal(r->chain.in, slots);
        assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
        virtq_push(&r->q, &r->chain, slots);
        assert_true(virtq_publish(&r->q));
        vqr_expect_taken(r, id, slots);
        assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    }
}

static void a_ring_of_one_slot_goes_round(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, 1, PACKED | EVENT_IDX);
    run(r, 5);
    (void)vqr_post(r, 1);
    vqr_pop(r);
    assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
}

static void a_batch_is_seen_when_its_first_slot_is(void **state)
{
    struct virtq_rig *r = *state;
    uint16_t ids[3];
    start(r, 0);
    run(r, SIZE - 2);
    for (unsigned i = 0; i < 3; i++)
        ids[i] = vqr_post(r, 1);
    for (uint32_t i = 0; i < 3; i++)
        vqr_serve(r, i);
    assert_int_equal(flags_of(r, SIZE - 2), VQR_AVAIL | VQR_WRITE);
    assert_int_equal(flags_of(r, SIZE - 1), VQR_AVAIL | VQR_USED | VQR_WRITE);
    assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    (void)virtq_publish(&r->q);
    for (uint32_t i = 0; i < 3; i++)
        vqr_expect_taken(r, ids[i], i);
}

/* The used one of the short chain lies where the long one began. */
static void chains_may_be_returned_in_another_order(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    for (unsigned i = 0; i < 50; i++) {
        uint16_t long_one = vqr_post(r, 4), short_one = vqr_post(r, 1);
        assert_int_equal(virtq_pop(&r->q, &r->held[0]), 1);
        vqr_serve(r, 1);
        (void)virtq_publish(&r->q);
        vqr_expect_taken(r, short_one, 1);
        virtq_push(&r->q, &r->held[0], 2);
        (void)virtq_publish(&r->q);
        vqr_expect_taken(r, long_one, 2);
    }
}

static void a_chain_given_back_is_found_again(void **state)
{
    struct virtq_rig *r = *state;
    start(r, EVENT_IDX);
    for (unsigned i = 0; i < 50; i++) {
        uint16_t id = vqr_post(r, 1 + i % SIZE);
        for (unsigned again = 0; again < 3; again++) {
            vqr_pop(r);
            assert_int_equal(virtq_pop(&r->q, &r->chain), 0);
            virtq_unpop(&r->q, &r->chain);
        }
        vqr_serve(r, 1);
        (void)virtq_publish(&r->q);
        vqr_expect_taken(r, id, 1);
    }
}

static void what_the_driver_changes_later_does_not_matter(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    put(r, 0, r->buffer, 16, 3, VQR_WRITE | VQR_AVAIL);
    vqr_pop(r);
    put(r, 0, UINT64_MAX, UINT32_MAX, 0xffff, VQR_NEXT | VQR_AVAIL);
    assert_int_equal(r->chain.in_bytes, 16);
    virtq_push(&r->q, &r->chain, 16);
    (void)virtq_publish(&r->q);
    assert_int_equal(vqr_load(r, r->d.queue[0].descriptors + 12), 3);
    assert_int_equal(flags_of(r, 0), VQR_AVAIL | VQR_USED | VQR_WRITE);
}

static void empty_buffers_are_left_out_wherever_they_point(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    put(r, 1, r->buffer, 3, 0, VQR_AVAIL);
    put(r, 0, UINT64_MAX, 0, 0, VQR_AVAIL | VQR_NEXT | VQR_WRITE);
    vqr_pop(r);
    assert_int_equal(r->chain.slots, 2);
    assert_int_equal(r->chain.out, 1);
    assert_int_equal(r->chain.in, 0);
}

/* ---- Tables ---- */

static void a_table_takes_one_slot(void **state)
{
    struct virtq_rig *r = *state;
    start(r, TABLES);
    struct vdrv_buffer b[] = {vqr_buffer(r, 16, false), vqr_buffer(r, 1, false), vqr_buffer(r, 32, true)};
    for (unsigned i = 0; i < 30; i++) {
        uint16_t id = vdrv_post_indirect(&r->d, 0, b, 3);
        vqr_pop(r);
        assert_int_equal(r->chain.slots, 1);
        assert_int_equal(r->chain.out_bytes, 17);
        assert_int_equal(r->chain.in_bytes, 32);
        virtq_push(&r->q, &r->chain, 1);
        (void)virtq_publish(&r->q);
        vqr_expect_taken(r, id, 1);
    }
}

/* 2.8.7: only the write flag means something inside, and outside it means nothing. */
static void all_entries_of_a_table_count_whatever_their_flags(void **state)
{
    struct virtq_rig *r = *state;
    start(r, TABLES);
    uint64_t table = small_table(r);
    vqr_put(r, table, 0, r->buffer, 2, 9, VQR_NEXT | VQR_INDIRECT | VQR_USED);
    vqr_put(r, table, 1, r->buffer, 3, 9, VQR_WRITE | VQR_INDIRECT);
    put(r, 0, table, 32, 4, VQR_INDIRECT | VQR_WRITE | VQR_AVAIL);
    vqr_pop(r);
    assert_int_equal(r->chain.id, 4);
    assert_int_equal(r->chain.out_bytes, 2);
    assert_int_equal(r->chain.in_bytes, 3);
}

static void expect_broken_table(struct virtq_rig *r, uint64_t gpa, uint32_t bytes, uint16_t flags, const char *why)
{
    start(r, TABLES);
    put(r, 1, r->buffer, 8, 0, VQR_AVAIL);
    put(r, 0, gpa, bytes, 0, (uint16_t)(VQR_AVAIL | VQR_INDIRECT | flags));
    vqr_expect_broken(r, why);
}

static void a_broken_table_breaks_the_ring(void **state)
{
    struct virtq_rig *r = *state;
    uint64_t table = small_table(r), outside = VDRV_MEMORY_BYTES;
    static const char odd[] = "an indirect table of no whole number of entries",
                      elsewhere[] = "an indirect table is not in RAM";
    expect_broken_table(r, table, 0, 0, odd);
    expect_broken_table(r, table, 15, 0, odd);
    expect_broken_table(r, table, 17, 0, odd);
    expect_broken_table(r, table, 16 * (SIZE + 1), 0, "an indirect table is longer than the ring");
    expect_broken_table(r, table, 0xfffffff0, 0, "an indirect table is longer than the ring");
    expect_broken_table(r, outside, 16, 0, elsewhere);
    expect_broken_table(r, outside - 16, 32, 0, elsewhere);
    expect_broken_table(r, UINT64_MAX - 15, 32, 0, elsewhere);
    expect_broken_table(r, table, 16, VQR_NEXT, "an indirect table is followed by another buffer");
    vqr_put(r, table, 0, outside, 1, 0, 0);
    expect_broken_table(r, table, 16, 0, "a buffer is not in RAM");
}

static void a_table_that_was_not_negotiated_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    put(r, 0, small_table(r), 16, 0, VQR_AVAIL | VQR_INDIRECT);
    vqr_expect_broken(r, "an indirect table, which was not negotiated");
}

static void a_table_cannot_be_part_of_a_chain(void **state)
{
    struct virtq_rig *r = *state;
    start(r, TABLES);
    put(r, 1, small_table(r), 16, 0, VQR_AVAIL | VQR_INDIRECT);
    put(r, 0, r->buffer, 8, 0, VQR_AVAIL | VQR_NEXT);
    vqr_expect_broken(r, "an indirect table follows another buffer");
}

/* ---- Broken rings ---- */

static void a_chain_without_end_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    run(r, 3);
    for (uint16_t i = 0; i < SIZE; i++)
        put(r, i, r->buffer, 1, 0, VQR_AVAIL | VQR_NEXT);
    vqr_expect_broken(r, "a chain is longer than the free part of the ring");
}

static void a_chain_does_not_reach_what_is_taken(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    (void)vqr_post(r, 3);
    vqr_pop(r);
    for (uint16_t i = 3; i < SIZE; i++)
        put(r, i, r->buffer, 1, 0, VQR_AVAIL | VQR_NEXT);
    vqr_expect_broken(r, "a chain is longer than the free part of the ring");
}

static void nobody_gets_more_chains_than_the_ring_has(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    for (unsigned i = 0; i < SIZE; i++)
        (void)vqr_post(r, 1);
    for (unsigned i = 0; i < SIZE; i++)
        vqr_serve(r, 0);
    put(r, 0, r->buffer, 1, 0, VQR_USED);
    vqr_expect_broken(r, "more is posted than the ring holds");
}

static void a_readable_buffer_behind_a_writable_one_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    put(r, 1, r->buffer, 8, 0, VQR_AVAIL);
    put(r, 0, r->buffer, 8, 0, VQR_AVAIL | VQR_NEXT | VQR_WRITE);
    vqr_expect_broken(r, "a readable buffer follows a writable one");
}

static void a_buffer_outside_of_ram_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint64_t bad[] = {VDRV_MEMORY_BYTES, VDRV_MEMORY_BYTES - 1, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < 4; i++) {
        start(r, 0);
        put(r, 0, bad[i], 16, 0, VQR_AVAIL | VQR_WRITE);
        vqr_expect_broken(r, "a buffer is not in RAM");
    }
}

/* ---- Notifications ---- */

/*
 * A chain of two slots from slot `first` on, and one of one slot; the driver waits as it says. What else fits into the
 * ring is with the device.
 */
static bool wants_interrupt(struct virtq_rig *r, uint64_t features, uint16_t first, uint16_t event, uint16_t kind)
{
    start(r, features);
    run(r, first);
    driver_event(r, event, kind);
    (void)vqr_post(r, 2);
    for (unsigned i = 2; i < SIZE; i++)
        (void)vqr_post(r, 1);
    vqr_serve(r, 0);
    vqr_serve(r, 0);
    for (unsigned i = 3; i < SIZE; i++)
        vqr_pop(r);
    return virtq_publish(&r->q);
}

static void the_driver_says_whether_it_wants_interrupts(void **state)
{
    struct virtq_rig *r = *state;
    static const uint64_t either[] = {0, EVENT_IDX};
    for (size_t i = 0; i < 2; i++) {
        assert_true(wants_interrupt(r, either[i], 0, 0x1234, ENABLE));
        assert_false(wants_interrupt(r, either[i], 0, 0, DISABLE));
        assert_true(wants_interrupt(r, either[i], 0, 0, 3)); /* reserved: better one too many */
        assert_false(wants_interrupt(r, either[i], 0, 0, 0xfffc | DISABLE));
    }
    assert_true(wants_interrupt(r, 0, 0, 5 | WRAP, SLOT)); /* was not negotiated */
}

static uint16_t slot_and_round(unsigned count)
{
    return (uint16_t)(count % SIZE | (count / SIZE % 2 == 0 ? WRAP : 0));
}

/* `count` goes on over the rounds; the batch takes three slots from `first` on. */
static void an_interrupt_comes_when_the_slot_is_passed(void **state)
{
    struct virtq_rig *r = *state;
    for (uint16_t first = 0; first < 3 * SIZE; first++) {
        for (unsigned count = first; count < first + SIZE; count++) {
            bool passed = count < first + 3u;
            assert_int_equal(wants_interrupt(r, EVENT_IDX, first, slot_and_round(count), SLOT), passed);
        }
        if (first > 0)
            assert_false(wants_interrupt(r, EVENT_IDX, first, slot_and_round(first - 1u), SLOT));
    }
}

static void a_slot_beyond_the_ring_is_waited_for_in_vain(void **state)
{
    struct virtq_rig *r = *state;
    assert_false(wants_interrupt(r, EVENT_IDX, 0, 0x7fff, SLOT));
    assert_false(wants_interrupt(r, EVENT_IDX, 0, 0x7fff | WRAP, SLOT));
}

static void quiet_and_listen_without_event_indexes(void **state)
{
    struct virtq_rig *r = *state;
    start(r, 0);
    run(r, 3);
    virtq_quiet(&r->q);
    expect_device_event(r, 0, DISABLE);
    (void)vqr_post(r, 1);
    assert_false(vdrv_wants_kick(&r->d, 0));
    assert_true(virtq_listen(&r->q));
    vqr_serve(r, 0);
    assert_false(virtq_listen(&r->q));
    expect_device_event(r, 0, ENABLE);
    (void)vqr_post(r, 1);
    assert_true(vdrv_wants_kick(&r->d, 0));
}

static void with_event_indexes_the_next_slot_is_asked_for(void **state)
{
    struct virtq_rig *r = *state;
    for (unsigned before = 0; before < 3 * SIZE; before++) {
        start(r, EVENT_IDX);
        run(r, before);
        virtq_quiet(&r->q);
        (void)vqr_post(r, 1);
        assert_false(vdrv_wants_kick(&r->d, 0));
        vqr_serve(r, 0);
        (void)virtq_publish(&r->q);
        assert_true(vdrv_take(&r->d, 0, NULL, NULL));
        assert_false(virtq_listen(&r->q));
        expect_device_event(r, slot_and_round(before + 1), SLOT);
        (void)vqr_post(r, 1);
        assert_true(vdrv_wants_kick(&r->d, 0));
        (void)vqr_post(r, 1);
        assert_false(vdrv_wants_kick(&r->d, 0));
        assert_true(virtq_listen(&r->q));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, vqr_set_up, vqr_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(parts_have_to_be_aligned),
        CASE(parts_may_end_where_ram_ends_but_not_behind),
        CASE(the_end_of_ram_ends_the_ring),
        CASE(event_suppression_inside_the_ring_harms_only_the_driver),
        CASE(an_empty_ring_has_no_chain),
        CASE(only_a_slot_of_this_round_is_available),
        CASE(in_the_second_round_the_flags_are_the_other_way_about),
        CASE(a_chain_goes_to_the_device_and_back),
        CASE(the_last_descriptor_names_the_buffer),
        CASE(nothing_written_leaves_the_write_flag_out),
        CASE(chains_of_any_length_go_round_for_ever),
        CASE(a_ring_of_one_slot_goes_round),
        CASE(a_batch_is_seen_when_its_first_slot_is),
        CASE(chains_may_be_returned_in_another_order),
        CASE(a_chain_given_back_is_found_again),
        CASE(what_the_driver_changes_later_does_not_matter),
        CASE(empty_buffers_are_left_out_wherever_they_point),
        CASE(a_table_takes_one_slot),
        CASE(all_entries_of_a_table_count_whatever_their_flags),
        CASE(a_broken_table_breaks_the_ring),
        CASE(a_table_that_was_not_negotiated_breaks_it),
        CASE(a_table_cannot_be_part_of_a_chain),
        CASE(a_chain_without_end_breaks_it),
        CASE(a_chain_does_not_reach_what_is_taken),
        CASE(nobody_gets_more_chains_than_the_ring_has),
        CASE(a_readable_buffer_behind_a_writable_one_breaks_it),
        CASE(a_buffer_outside_of_ram_breaks_it),
        CASE(the_driver_says_whether_it_wants_interrupts),
        CASE(an_interrupt_comes_when_the_slot_is_passed),
        CASE(a_slot_beyond_the_ring_is_waited_for_in_vain),
        CASE(quiet_and_listen_without_event_indexes),
        CASE(with_event_indexes_the_next_slot_is_asked_for),
    };
    return cmocka_run_group_tests_name("virtio/packed", tests, NULL, NULL);
}
