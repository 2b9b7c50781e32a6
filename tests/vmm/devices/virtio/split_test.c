/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Split rings (virtio 1.2, 2.7), without a device around them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtq_rig.h"

#define SIZE         8u
#define NO_INTERRUPT 1u
#define NO_NOTIFY    1u
#define EVENT_IDX    VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)
#define TABLES       VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* ---- What a driver writes by hand ---- */

static void put(struct virtq_rig *r, uint16_t index, uint64_t gpa, uint32_t bytes, uint16_t flags, uint16_t next)
{
    vqr_put(r, r->d.queue[0].descriptors, index, gpa, bytes, flags, next);
}

static void set_available_index(struct virtq_rig *r, uint16_t index)
{
    vqr_store(r, r->d.queue[0].available + 2, index);
}

/* Make the descriptor `head` available as the first of all. */
static void offer(struct virtq_rig *r, uint16_t head)
{
    vqr_store(r, r->d.queue[0].available + 4, head);
    set_available_index(r, 1);
}

static void set_used_event(struct virtq_rig *r, uint16_t index)
{
    vqr_store(r, r->d.queue[0].available + 4 + 2u * r->d.queue[0].size, index);
}

static uint16_t available_event(struct virtq_rig *r)
{
    return vqr_load(r, r->d.queue[0].used + 4 + 8u * r->d.queue[0].size);
}

static uint16_t device_flags(struct virtq_rig *r)
{
    return vqr_load(r, r->d.queue[0].used);
}

/* A table of one writable buffer. */
static uint64_t small_table(struct virtq_rig *r)
{
    uint64_t table = vdrv_alloc(&r->d, 16u * SIZE, 16);
    vqr_put(r, table, 0, r->buffer, 8, VQR_WRITE, 0);
    return table;
}

/* Serve so many chains, one by one. */
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

static void a_size_that_is_no_power_of_two_is_refused(void **state)
{
    struct virtq_rig *r = *state;
    vdrv_place_queue(&r->d, 0, SIZE);
    struct virtq_config config = vqr_config(r);
    static const uint16_t sizes[] = {3, 6, 7, 1000};
    for (size_t i = 0; i < 4; i++) {
        config.size = sizes[i];
        assert_string_equal(refused(r, &config), "the size is no power of two");
    }
}

static void parts_have_to_be_aligned(void **state)
{
    struct virtq_rig *r = *state;
    vdrv_place_queue(&r->d, 0, SIZE);
    const struct virtq_config good = vqr_config(r);
    struct virtq_config config = good;
    config.descriptors.value += 8;
    assert_string_equal(refused(r, &config), "the descriptor table is not aligned or not in RAM");
    config = good;
    config.driver.value += 1;
    assert_string_equal(refused(r, &config), "the available ring is not aligned or not in RAM");
    config = good;
    config.device.value += 2;
    assert_string_equal(refused(r, &config), "the used ring is not aligned or not in RAM");
}

/* Each part at the last address where it fits, and one step of its alignment behind it. */
static void parts_may_end_where_ram_ends_but_not_behind(void **state)
{
    struct virtq_rig *r = *state;
    vdrv_place_queue(&r->d, 0, SIZE);
    struct virtq_config config = vqr_config(r);
    gpa_t *const part[] = {&config.descriptors, &config.driver, &config.device};
    static const uint64_t bytes[] = {16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE}, alignment[] = {16, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = part[i]->value;
        part[i]->value = (VDRV_MEMORY_BYTES - bytes[i]) & ~(alignment[i] - 1);
        assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
        part[i]->value += alignment[i];
        (void)refused(r, &config);
        part[i]->value = VDRV_MEMORY_BYTES;
        (void)refused(r, &config);
        part[i]->value = UINT64_MAX & ~(alignment[i] - 1);
        (void)refused(r, &config);
        part[i]->value = before;
    }
}

/* The driver shoots at its own feet; what is popped must still be sound. */
static void rings_over_each_other_harm_only_the_driver(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    struct virtq_config config = vqr_config(r);
    config.device = config.driver = config.descriptors;
    assert_int_equal(virtq_init(&r->q, &r->d.memory, &config, NULL), 0);
    put(r, 0, r->buffer | UINT64_C(1) << 16, 16, VQR_WRITE, 0);
    for (unsigned i = 0; i < 100 && virtq_pop(&r->q, &r->chain) > 0; i++) {
        assert_true(r->chain.in + r->chain.out <= SIZE);
        virtq_push(&r->q, &r->chain, r->chain.in_bytes);
        (void)virtq_publish(&r->q);
        (void)virtq_listen(&r->q);
    }
}

/* ---- Chains ---- */

static void a_chain_is_found_in_the_order_of_its_links(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 5, r->buffer, 16, VQR_NEXT, 2);
    put(r, 2, r->buffer + 16, 4, VQR_NEXT | VQR_WRITE, 7);
    put(r, 7, r->buffer + 20, 2, VQR_WRITE, 0);
    offer(r, 5);
    vqr_pop(r);
    assert_int_equal(r->chain.id, 5);
    assert_int_equal(r->chain.out, 1);
    assert_int_equal(r->chain.in, 2);
    assert_int_equal(r->chain.out_bytes, 16);
    assert_int_equal(r->chain.in_bytes, 6);
    assert_ptr_equal(r->chain.iov[2].iov_base, vdrv_at(&r->d, r->buffer + 20, 2));
}

static void a_chain_may_take_the_whole_ring(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    (void)vqr_post(r, SIZE);
    vqr_pop(r);
    assert_int_equal(r->chain.in, SIZE);
}

static void empty_buffers_are_left_out_wherever_they_point(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, UINT64_MAX, 0, VQR_NEXT | VQR_WRITE, 1);
    put(r, 1, r->buffer, 3, VQR_NEXT, 2);
    put(r, 2, VDRV_MEMORY_BYTES, 0, 0, 0);
    offer(r, 0);
    vqr_pop(r);
    assert_int_equal(r->chain.out, 1);
    assert_int_equal(r->chain.in, 0);
    assert_int_equal(r->chain.out_bytes, 3);
}

static void what_the_driver_changes_later_does_not_matter(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 16, VQR_WRITE, 0);
    offer(r, 0);
    vqr_pop(r);
    put(r, 0, UINT64_MAX, UINT32_MAX, VQR_NEXT, 0);
    vqr_store(r, r->d.queue[0].available + 4, 0xffff);
    assert_int_equal(r->chain.in_bytes, 16);
    assert_int_equal(r->chain.iov[0].iov_len, 16);
    virtq_push(&r->q, &r->chain, 16);
    (void)virtq_publish(&r->q);
    assert_int_equal(vqr_load(r, r->d.queue[0].used + 4), 0);
    assert_int_equal(vqr_load(r, r->d.queue[0].used + 2), 1);
}

static void a_table_may_end_a_chain(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, TABLES);
    uint64_t table = small_table(r);
    vqr_put(r, table, 0, r->buffer, 8, VQR_NEXT, 2);
    vqr_put(r, table, 2, r->buffer, 9, VQR_WRITE, 0);
    put(r, 0, r->buffer, 1, VQR_NEXT, 3);
    put(r, 3, table, 48, VQR_INDIRECT | VQR_WRITE, 0); /* 2.7.5.3.2: that flag is ignored here */
    offer(r, 0);
    vqr_pop(r);
    assert_int_equal(r->chain.id, 0);
    assert_int_equal(r->chain.out_bytes, 9);
    assert_int_equal(r->chain.in_bytes, 9);
}

static void a_table_may_be_anywhere_and_as_long_as_the_ring(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, TABLES);
    uint64_t table = VDRV_MEMORY_BYTES - 16 * SIZE;
    for (uint16_t i = 0; i < SIZE; i++)
        vqr_put(r, table, i, r->buffer, 1, VQR_WRITE | (i + 1 < (int)SIZE ? VQR_NEXT : 0), (uint16_t)(i + 1));
    put(r, 0, table, 16 * SIZE, VQR_INDIRECT, 0);
    offer(r, 0);
    vqr_pop(r);
    assert_int_equal(r->chain.in, SIZE);
}

static void a_table_may_be_at_an_odd_address(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, TABLES);
    vqr_put(r, r->buffer + 1, 0, r->buffer, 1, VQR_WRITE, 0);
    put(r, 0, r->buffer + 1, 16, VQR_INDIRECT, 0);
    offer(r, 0);
    vqr_pop(r);
    assert_int_equal(r->chain.in_bytes, 1);
}

/* ---- Broken rings ---- */

static void more_available_than_the_ring_holds_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t indexes[] = {SIZE + 1, 0x7fff, 0x8000, 0xffff};
    for (size_t i = 0; i < 4; i++) {
        vqr_start(r, SIZE, 0);
        set_available_index(r, indexes[i]);
        vqr_expect_broken(r, "more is posted than the ring holds");
    }
}

static void an_available_index_that_goes_back_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    run(r, 3);
    set_available_index(r, 2);
    vqr_expect_broken(r, "more is posted than the ring holds");
}

static void nobody_gets_more_chains_than_the_ring_has(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 8, VQR_WRITE, 0);
    set_available_index(r, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        vqr_serve(r, 0);
    set_available_index(r, SIZE + 1);
    vqr_expect_broken(r, "more is posted than the ring holds");
}

static void an_index_that_goes_back_while_chains_are_held_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 8, VQR_WRITE, 0);
    set_available_index(r, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        vqr_serve(r, 0);
    set_available_index(r, 1);
    vqr_expect_broken(r, "more is posted than the ring holds");
}

static void what_was_published_may_be_posted_again(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    set_available_index(r, SIZE);
    put(r, 0, r->buffer, 8, VQR_WRITE, 0);
    vqr_serve(r, 0);
    (void)virtq_publish(&r->q);
    set_available_index(r, SIZE + 1);
    vqr_pop(r);
}

static void a_head_beyond_the_table_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t heads[] = {SIZE, SIZE + 1, 0xffff};
    for (size_t i = 0; i < 3; i++) {
        vqr_start(r, SIZE, 0);
        offer(r, heads[i]);
        vqr_expect_broken(r, "a head points beyond the table");
    }
}

static void a_link_beyond_the_table_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t next[] = {SIZE, 0x8000, 0xffff};
    for (size_t i = 0; i < 3; i++) {
        vqr_start(r, SIZE, 0);
        put(r, 0, r->buffer, 8, VQR_NEXT, next[i]);
        offer(r, 0);
        vqr_expect_broken(r, "an index points beyond the table");
    }
}

static void a_chain_in_a_circle_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 8, VQR_NEXT, 0);
    offer(r, 0);
    vqr_expect_broken(r, "a chain is longer than its table");
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 0, VQR_NEXT, 1);
    put(r, 1, r->buffer, 0, VQR_NEXT, 0);
    offer(r, 0);
    vqr_expect_broken(r, "a chain is longer than its table");
}

static void a_readable_buffer_behind_a_writable_one_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, r->buffer, 8, VQR_NEXT | VQR_WRITE, 1);
    put(r, 1, r->buffer, 8, 0, 0);
    offer(r, 0);
    vqr_expect_broken(r, "a readable buffer follows a writable one");
}

static void a_buffer_outside_of_ram_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const struct {
        uint64_t gpa;
        uint32_t bytes;
    } bad[] = {{VDRV_MEMORY_BYTES, 1},
               {VDRV_MEMORY_BYTES - 1, 2},
               {0, UINT32_MAX},
               {UINT64_C(0xfee00000), 4},
               {UINT64_MAX, 1},
               {UINT64_MAX - 7, 16},
               {UINT64_C(0x8000000000000000), 1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vqr_start(r, SIZE, 0);
        put(r, 0, bad[i].gpa, bad[i].bytes, VQR_WRITE, 0);
        offer(r, 0);
        vqr_expect_broken(r, "a buffer is not in RAM");
    }
}

static void four_gibibytes_in_one_chain_break_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, 512, 0);
    for (uint16_t i = 0; i < 256; i++)
        put(r, i, 0, (uint32_t)VDRV_MEMORY_BYTES, VQR_WRITE | VQR_NEXT, (uint16_t)(i + 1));
    put(r, 255, 0, (uint32_t)VDRV_MEMORY_BYTES - 1, VQR_WRITE, 0);
    offer(r, 0);
    vqr_pop(r);
    assert_int_equal(r->chain.in_bytes, UINT32_MAX);
    put(r, 255, 0, (uint32_t)VDRV_MEMORY_BYTES, VQR_WRITE, 0);
    set_available_index(r, 2);
    vqr_expect_broken(r, "one chain has 4 GiB or more");
}

/* ---- Broken tables ---- */

static void expect_broken_table(struct virtq_rig *r, uint64_t gpa, uint32_t bytes, uint16_t flags, const char *why)
{
    vqr_start(r, SIZE, TABLES);
    put(r, 0, gpa, bytes, (uint16_t)(VQR_INDIRECT | flags), 1);
    put(r, 1, r->buffer, 8, VQR_WRITE, 0);
    offer(r, 0);
    vqr_expect_broken(r, why);
}

static void a_table_that_was_not_negotiated_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    put(r, 0, small_table(r), 16, VQR_INDIRECT, 0);
    offer(r, 0);
    vqr_expect_broken(r, "an indirect table, which was not negotiated");
}

static void nothing_may_follow_a_table(void **state)
{
    struct virtq_rig *r = *state;
    expect_broken_table(r, small_table(r), 16, VQR_NEXT, "an indirect table is followed by another buffer");
}

static void a_table_has_to_have_whole_entries(void **state)
{
    struct virtq_rig *r = *state;
    static const uint32_t bytes[] = {0, 1, 15, 17, 31};
    for (size_t i = 0; i < 5; i++)
        expect_broken_table(r, small_table(r), bytes[i], 0, "an indirect table of no whole number of entries");
}

static void a_table_longer_than_the_ring_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint32_t bytes[] = {16 * (SIZE + 1), 16 * 65536, 0xfffffff0};
    for (size_t i = 0; i < 3; i++)
        expect_broken_table(r, small_table(r), bytes[i], 0, "an indirect table is longer than the ring");
}

static void a_table_outside_of_ram_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    static const uint64_t bad[] = {VDRV_MEMORY_BYTES, VDRV_MEMORY_BYTES - 16, UINT64_MAX - 15};
    for (size_t i = 0; i < 3; i++)
        expect_broken_table(r, bad[i], 32, 0, "an indirect table is not in RAM");
}

static void a_table_inside_a_table_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    uint64_t outer = small_table(r), inner = small_table(r);
    vqr_put(r, outer, 0, inner, 16, VQR_INDIRECT, 0);
    expect_broken_table(r, outer, 16, 0, "an indirect table inside another");
}

/* The one place where a table could be taken for the ring's own. */
static void a_table_that_is_the_rings_own_breaks_it(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, TABLES);
    put(r, 0, r->d.queue[0].descriptors, 16 * SIZE, VQR_INDIRECT, 0);
    offer(r, 0);
    vqr_expect_broken(r, "an indirect table inside another");
}

static void links_inside_a_table_stay_inside(void **state)
{
    struct virtq_rig *r = *state;
    uint64_t table = small_table(r);
    vqr_put(r, table, 0, r->buffer, 1, VQR_NEXT, 2);
    expect_broken_table(r, table, 32, 0, "an index points beyond the table");
    vqr_put(r, table, 0, r->buffer, 1, VQR_NEXT, 1);
    expect_broken_table(r, table, 16, 0, "a chain is longer than its table");
    vqr_put(r, table, 1, r->buffer, 1, VQR_NEXT, 0);
    expect_broken_table(r, table, 32, 0, "a chain is longer than its table");
}

static void a_chain_and_its_table_together_fit_into_the_ring(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, TABLES);
    uint64_t table = small_table(r);
    for (uint16_t i = 0; i < SIZE; i++)
        vqr_put(r, table, i, r->buffer, 1, VQR_WRITE | VQR_NEXT, (uint16_t)(i + 1));
    vqr_put(r, table, SIZE - 1, r->buffer, 1, VQR_WRITE, 0);
    put(r, 0, r->buffer, 1, VQR_NEXT, 1);
    put(r, 1, table, 16 * SIZE, VQR_INDIRECT, 0);
    offer(r, 0);
    vqr_expect_broken(r, "a chain has more buffers than the ring entries");
}

/* ---- Notifications ---- */

static void without_event_indexes_flags_decide(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    set_used_event(r, 0x5555); /* means nothing here */
    (void)vqr_post(r, 1);
    (void)vqr_post(r, 1);
    vqr_serve(r, 0);
    assert_true(virtq_publish(&r->q));
    assert_false(virtq_publish(&r->q));
    vqr_store(r, r->d.queue[0].available, NO_INTERRUPT);
    vqr_serve(r, 0);
    assert_false(virtq_publish(&r->q));
}

static void with_event_indexes_flags_mean_nothing(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, EVENT_IDX);
    vqr_store(r, r->d.queue[0].available, NO_INTERRUPT);
    (void)vqr_post(r, 1);
    vqr_serve(r, 0);
    assert_true(virtq_publish(&r->q));
}

/* A batch of three, from `first` on, with the driver waiting for `event`. */
static bool wants_interrupt(struct virtq_rig *r, uint16_t first, uint16_t event)
{
    vqr_start(r, SIZE, EVENT_IDX);
    run(r, first);
    set_used_event(r, event);
    for (unsigned i = 0; i < 3; i++)
        (void)vqr_post(r, 1);
    for (unsigned i = 0; i < 3; i++)
        vqr_serve(r, 0);
    return virtq_publish(&r->q);
}

static void an_interrupt_comes_when_the_index_is_passed(void **state)
{
    struct virtq_rig *r = *state;
    static const uint16_t firsts[] = {0, 5, 0xfffd, 0xfffe, 0xffff};
    for (size_t i = 0; i < 5; i++) {
        uint16_t first = firsts[i];
        assert_false(wants_interrupt(r, first, (uint16_t)(first - 1)));
        assert_true(wants_interrupt(r, first, first));
        assert_true(wants_interrupt(r, first, (uint16_t)(first + 2)));
        assert_false(wants_interrupt(r, first, (uint16_t)(first + 3)));
        assert_false(wants_interrupt(r, first, (uint16_t)(first + 0x8000)));
    }
}

static void quiet_and_listen_use_the_flag(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    virtq_quiet(&r->q);
    assert_int_equal(device_flags(r), NO_NOTIFY);
    assert_false(virtq_listen(&r->q));
    assert_int_equal(device_flags(r), 0);
}

static void with_event_indexes_the_next_chain_is_asked_for(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, EVENT_IDX);
    run(r, 65537);
    virtq_quiet(&r->q);
    assert_int_equal(device_flags(r), 0);
    assert_false(virtq_listen(&r->q));
    assert_int_equal(available_event(r), 1);
    (void)vqr_post(r, 1);
    assert_true(vdrv_wants_kick(&r->d, 0));
    (void)vqr_post(r, 1);
    assert_false(vdrv_wants_kick(&r->d, 0));
    assert_true(virtq_listen(&r->q));
}

static void a_chain_that_came_before_listening_is_noticed(void **state)
{
    struct virtq_rig *r = *state;
    vqr_start(r, SIZE, 0);
    virtq_quiet(&r->q);
    (void)vqr_post(r, 1);
    assert_false(vdrv_wants_kick(&r->d, 0));
    assert_true(virtq_listen(&r->q));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, vqr_set_up, vqr_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_size_that_is_no_power_of_two_is_refused),
        CASE(parts_have_to_be_aligned),
        CASE(parts_may_end_where_ram_ends_but_not_behind),
        CASE(rings_over_each_other_harm_only_the_driver),
        CASE(a_chain_is_found_in_the_order_of_its_links),
        CASE(a_chain_may_take_the_whole_ring),
        CASE(empty_buffers_are_left_out_wherever_they_point),
        CASE(what_the_driver_changes_later_does_not_matter),
        CASE(a_table_may_end_a_chain),
        CASE(a_table_may_be_anywhere_and_as_long_as_the_ring),
        CASE(a_table_may_be_at_an_odd_address),
        CASE(more_available_than_the_ring_holds_breaks_it),
        CASE(an_available_index_that_goes_back_breaks_it),
        CASE(nobody_gets_more_chains_than_the_ring_has),
        CASE(an_index_that_goes_back_while_chains_are_held_breaks_it),
        CASE(what_was_published_may_be_posted_again),
        CASE(a_head_beyond_the_table_breaks_it),
        CASE(a_link_beyond_the_table_breaks_it),
        CASE(a_chain_in_a_circle_breaks_it),
        CASE(a_readable_buffer_behind_a_writable_one_breaks_it),
        CASE(a_buffer_outside_of_ram_breaks_it),
        CASE(four_gibibytes_in_one_chain_break_it),
        CASE(a_table_that_was_not_negotiated_breaks_it),
        CASE(nothing_may_follow_a_table),
        CASE(a_table_has_to_have_whole_entries),
        CASE(a_table_longer_than_the_ring_breaks_it),
        CASE(a_table_outside_of_ram_breaks_it),
        CASE(a_table_inside_a_table_breaks_it),
        CASE(a_table_that_is_the_rings_own_breaks_it),
        CASE(links_inside_a_table_stay_inside),
        CASE(a_chain_and_its_table_together_fit_into_the_ring),
        CASE(without_event_indexes_flags_decide),
        CASE(with_event_indexes_flags_mean_nothing),
        CASE(an_interrupt_comes_when_the_index_is_passed),
        CASE(quiet_and_listen_use_the_flag),
        CASE(with_event_indexes_the_next_chain_is_asked_for),
        CASE(a_chain_that_came_before_listening_is_noticed),
    };
    return cmocka_run_group_tests_name("virtio/split", tests, NULL, NULL);
}
