/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/balloon.h"

#define PAGE         4096u
#define ALL_FEATURES (VIRTIO_FEATURE(BALLOON_F_DEFLATE_ON_OOM) | VIRTIO_FEATURE(BALLOON_F_REPORTING))
#define CALLS_MAX    8u
#define USED         0x55 /* what a page holds that the guest uses */

struct rig {
    struct vdrv d;
    struct balloon *b;
    struct {
        uint64_t gpa, bytes;
    } call[CALLS_MAX];
    unsigned calls;
    int fails;
};

static int note(void *ctx, gpa_t gpa, uint64_t bytes)
{
    struct rig *r = ctx;
    if (r->calls < CALLS_MAX) {
        r->call[r->calls].gpa = gpa.value;
        r->call[r->calls].bytes = bytes;
    }
    r->calls++;
    return r->fails;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vdrv_init(&r->d);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    balloon_free(r->b);
    vdrv_fini(&r->d);
    free(r);
    return 0;
}

static struct rig *make(void **state, bool real)
{
    struct rig *r = *state;
    const struct balloon_config cfg = {
        .memory = &r->d.memory, .loop = &r->d.loop, .discard = real ? NULL : note, .ctx = r};
    assert_int_equal(balloon_new(&cfg, &r->b, NULL), 0);
    vdrv_attach(&r->d, balloon_virtio(r->b));
    return r;
}

static struct rig *start(void **state, bool real)
{
    struct rig *r = make(state, real);
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    return r;
}

static void inflate(struct rig *r, const uint32_t *pages, unsigned count)
{
    uint8_t *bytes = malloc((size_t)4 * count);
    assert_non_null(bytes);
    for (unsigned i = 0; i < count; i++)
        bytes_store_le32(bytes + (size_t)4 * i, pages[i]);
    assert_int_equal(vdrv_request(&r->d, BALLOON_INFLATE, bytes, 4 * count, NULL, 0), 0);
    free(bytes);
}

static void report(struct rig *r, unsigned queue, uint64_t gpa, uint32_t bytes)
{
    struct vdrv_buffer b = {.gpa = gpa, .bytes = bytes, .writable = true};
    uint32_t written = 1;
    (void)vdrv_post(&r->d, queue, &b, 1);
    vdrv_kick(&r->d, queue);
    assert_true(vdrv_take(&r->d, queue, NULL, &written));
    assert_int_equal(written, 0);
}

static void assert_call(const struct rig *r, unsigned i, uint64_t gpa, uint64_t bytes)
{
    assert_true(i < r->calls);
    assert_int_equal(r->call[i].gpa, gpa);
    assert_int_equal(r->call[i].bytes, bytes);
}

/* ---- Inflating ---- */

static void pages_in_the_balloon_are_given_back_and_others_stay(void **state)
{
    struct rig *r = start(state, true);
    uint64_t at = vdrv_alloc(&r->d, 4 * PAGE, PAGE);
    const uint32_t pages[] = {(uint32_t)(at / PAGE) + 1, (uint32_t)(at / PAGE) + 2};
    memset(vdrv_at(&r->d, at, 4 * PAGE), USED, 4 * PAGE);
    inflate(r, pages, 2);
    for (unsigned i = 0; i < 4 * PAGE; i++)
        assert_int_equal(*vdrv_at(&r->d, at + i, 1), i / PAGE == 1 || i / PAGE == 2 ? 0 : USED);
    assert_int_equal(balloon_discarded_bytes(r->b), 2 * PAGE);
}

static void a_page_from_the_balloon_can_be_used_again(void **state)
{
    struct rig *r = start(state, true);
    uint64_t at = vdrv_alloc(&r->d, PAGE, PAGE);
    const uint32_t page = (uint32_t)(at / PAGE);
    inflate(r, &page, 1);
    uint8_t bytes[4];
    bytes_store_le32(bytes, page);
    assert_int_equal(vdrv_request(&r->d, BALLOON_DEFLATE, bytes, 4, NULL, 0), 0);
    *vdrv_at(&r->d, at, 1) = USED;
    vdrv_kick(&r->d, BALLOON_DEFLATE);
    assert_int_equal(*vdrv_at(&r->d, at, 1), USED);
    assert_int_equal(balloon_discarded_bytes(r->b), PAGE);
}

static void neighbours_go_in_one_call(void **state)
{
    struct rig *r = start(state, false);
    const uint32_t pages[] = {0x100, 0x101, 0x102, 0xff, 0xfe, 0x200, 0x1ff, 0x201, 0x300, 0x300};
    inflate(r, pages, sizeof(pages) / sizeof(pages[0]));
    assert_int_equal(r->calls, 4);
    assert_call(r, 0, 0xfe * PAGE, 5 * PAGE);
    assert_call(r, 1, 0x1ff * PAGE, 3 * PAGE);
    assert_call(r, 2, 0x300 * PAGE, PAGE);
    assert_call(r, 3, 0x300 * PAGE, PAGE);
}

static void pages_that_are_no_ram_are_passed_over(void **state)
{
    struct rig *r = start(state, false);
    const uint32_t last = (uint32_t)(VDRV_MEMORY_BYTES / PAGE) - 1;
    const uint32_t pages[] = {last, last + 1, UINT32_MAX, 0, UINT32_MAX - 1, 1};
    inflate(r, pages, sizeof(pages) / sizeof(pages[0]));
    assert_int_equal(r->calls, 2);
    assert_call(r, 0, (uint64_t)last * PAGE, PAGE);
    assert_call(r, 1, 0, 2 * PAGE);
}

static void a_run_ends_where_a_range_of_memory_ends(void **state)
{
    struct rig *r = *state;
    const struct memory_range ranges[] = {{.gpa = {0}, .bytes = VDRV_MEMORY_BYTES / 2},
                                          {.gpa = {VDRV_MEMORY_BYTES / 2}, .bytes = VDRV_MEMORY_BYTES / 2}};
    const uint32_t edge = (uint32_t)(VDRV_MEMORY_BYTES / 2 / PAGE);
    const uint32_t pages[] = {edge - 1, edge, 5, edge, edge - 1};
    memory_fini(&r->d.memory);
    assert_int_equal(memory_init(&r->d.memory, ranges, 2, NULL), 0);
    (void)start(state, false);
    inflate(r, pages, sizeof(pages) / sizeof(pages[0]));
    assert_int_equal(r->calls, 5);
    assert_call(r, 0, (uint64_t)(edge - 1) * PAGE, PAGE);
    assert_call(r, 1, (uint64_t)edge * PAGE, PAGE);
    assert_call(r, 4, (uint64_t)(edge - 1) * PAGE, PAGE);
}

static void more_pages_than_the_limit_are_left_with_the_guest(void **state)
{
    struct rig *r = start(state, false);
    uint32_t pages[BALLOON_PAGES_MAX + 4];
    for (unsigned i = 0; i < BALLOON_PAGES_MAX + 4; i++)
        pages[i] = 0x10 + i;
    inflate(r, pages, BALLOON_PAGES_MAX + 4);
    assert_int_equal(r->calls, 1);
    assert_call(r, 0, 0x10 * PAGE, BALLOON_PAGES_MAX * PAGE);
}

static void a_number_cut_short_is_passed_over(void **state)
{
    struct rig *r = start(state, false);
    const uint8_t bytes[7] = {1, 0, 0, 0, 9, 0, 0};
    assert_int_equal(vdrv_request(&r->d, BALLOON_INFLATE, bytes, 7, NULL, 0), 0);
    assert_int_equal(r->calls, 1);
    assert_call(r, 0, PAGE, PAGE);
}

static void buffers_in_the_wrong_direction_do_nothing(void **state)
{
    struct rig *r = start(state, false);
    uint8_t bytes[PAGE] = {1};
    assert_int_equal(vdrv_request(&r->d, BALLOON_INFLATE, NULL, 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(vdrv_request(&r->d, BALLOON_DEFLATE, NULL, 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(vdrv_request(&r->d, BALLOON_REPORTING, bytes, sizeof(bytes), NULL, 0), 0);
    assert_int_equal(r->calls, 0);
}

static void what_the_host_does_not_take_is_not_counted(void **state)
{
    struct rig *r = start(state, false);
    const uint32_t page = 1;
    r->fails = -EINVAL;
    inflate(r, &page, 1);
    assert_int_equal(r->calls, 1);
    assert_int_equal(balloon_discarded_bytes(r->b), 0);
}

static void many_arrays_are_served_by_one_notification(void **state)
{
    struct rig *r = start(state, false);
    uint8_t bytes[4];
    unsigned came = 0;
    for (uint32_t i = 0; i < 40; i++) {
        bytes_store_le32(bytes, 2 * i);
        struct vdrv_buffer b = {.gpa = vdrv_put(&r->d, bytes, 4), .bytes = 4};
        (void)vdrv_post(&r->d, BALLOON_INFLATE, &b, 1);
    }
    virtio_kick(r->d.v, BALLOON_INFLATE);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_true(r->calls < 40);
    vdrv_turn(&r->d);
    while (vdrv_take(&r->d, BALLOON_INFLATE, NULL, NULL))
        came++;
    assert_int_equal(came, 40);
    assert_int_equal(r->calls, 40);
}

/* ---- Reporting ---- */

/* The fifth queue is the specification's, the third that of Linux without statistics. */
static void pages_reported_are_given_back_on_every_queue_that_drivers_take(void **state)
{
    struct rig *r = start(state, true);
    uint64_t at = vdrv_alloc(&r->d, 3 * PAGE, PAGE);
    for (unsigned queue = BALLOON_REPORTING; queue < BALLOON_QUEUES; queue++) {
        memset(vdrv_at(&r->d, at, 3 * PAGE), USED, 3 * PAGE);
        report(r, queue, at + PAGE, PAGE);
        assert_int_equal(*vdrv_at(&r->d, at + PAGE - 1, 1), USED);
        assert_int_equal(*vdrv_at(&r->d, at + PAGE, 1), 0);
        assert_int_equal(*vdrv_at(&r->d, at + 2 * PAGE - 1, 1), 0);
        assert_int_equal(*vdrv_at(&r->d, at + 2 * PAGE, 1), USED);
    }
}

static void only_whole_pages_of_a_report_go(void **state)
{
    struct rig *r = start(state, false);
    report(r, BALLOON_REPORTING, 0x100 * PAGE + 1, 3 * PAGE);
    report(r, BALLOON_REPORTING, 0x200 * PAGE, PAGE - 1);
    report(r, BALLOON_REPORTING, 0x300 * PAGE + 1, PAGE);
    assert_int_equal(r->calls, 1);
    assert_call(r, 0, 0x101 * PAGE, 2 * PAGE);
}

static void a_report_of_many_buffers_is_taken_whole(void **state)
{
    struct rig *r = start(state, false);
    struct vdrv_buffer b[3];
    for (unsigned i = 0; i < 3; i++)
        b[i] = (struct vdrv_buffer){.gpa = (uint64_t)0x100 * PAGE * (i + 1), .bytes = 16 * PAGE, .writable = true};
    (void)vdrv_post(&r->d, BALLOON_REPORTING, b, 3);
    vdrv_kick(&r->d, BALLOON_REPORTING);
    assert_int_equal(r->calls, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_call(r, i, (uint64_t)0x100 * PAGE * (i + 1), 16 * PAGE);
    assert_int_equal(balloon_discarded_bytes(r->b), 48 * PAGE);
}

static void a_report_beyond_the_limit_is_left_with_the_guest(void **state)
{
    struct rig *r = start(state, false);
    struct vdrv_buffer b[20];
    for (unsigned i = 0; i < 20; i++)
        b[i] = (struct vdrv_buffer){.gpa = 0, .bytes = VDRV_MEMORY_BYTES, .writable = true};
    (void)vdrv_post(&r->d, BALLOON_REPORTING, b, 20);
    vdrv_kick(&r->d, BALLOON_REPORTING);
    assert_int_equal(balloon_discarded_bytes(r->b), BALLOON_REPORT_BYTES_MAX);
    assert_true(vdrv_take(&r->d, BALLOON_REPORTING, NULL, NULL));
}

static void a_driver_that_did_not_ask_for_reporting_reports_in_vain(void **state)
{
    struct rig *r = make(state, false);
    assert_true(vdrv_start(&r->d, 0));
    report(r, BALLOON_REPORTING, 0x100 * PAGE, PAGE);
    assert_int_equal(r->calls, 0);
}

/* A driver that gives away the memory of its own rings harms itself alone. */
static void a_ring_that_was_given_away_harms_nobody(void **state)
{
    struct rig *r = start(state, true);
    report(r, BALLOON_REPORTING, 0, PAGE);
    uint64_t at = r->d.queue[BALLOON_INFLATE].descriptors & ~(uint64_t)(PAGE - 1);
    struct vdrv_buffer b = {.gpa = at, .bytes = 4 * PAGE, .writable = true};
    (void)vdrv_post(&r->d, BALLOON_REPORTING, &b, 1);
    vdrv_kick(&r->d, BALLOON_REPORTING);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    report(r, BALLOON_REPORTING, 0, PAGE);
}

/* ---- Configuration ---- */

static void a_target_reaches_the_driver(void **state)
{
    struct rig *r = start(state, false);
    uint8_t generation = virtio_get_generation(r->d.v);
    balloon_set_target(r->b, 0x123);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), 0x123);
    assert_int_not_equal(virtio_get_generation(r->d.v), generation);
    assert_int_equal(r->d.config_interrupts, 1);
    vdrv_reset(&r->d);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), 0x123);
}

static void a_target_is_at_most_the_memory(void **state)
{
    struct rig *r = start(state, false);
    balloon_set_target(r->b, UINT64_MAX);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), VDRV_MEMORY_BYTES / PAGE);
}

static void the_driver_tells_how_large_the_balloon_is(void **state)
{
    struct rig *r = start(state, false);
    virtio_write_config(r->d.v, 4, 4, 77);
    assert_int_equal(balloon_actual(r->b), 77);
    assert_int_equal(virtio_read_config(r->d.v, 4, 4), 77);
    virtio_write_config(r->d.v, 0, 4, 5);
    virtio_write_config(r->d.v, 4, 2, 5);
    assert_int_equal(virtio_read_config(r->d.v, 0, 8), UINT64_C(77) << 32);
    vdrv_reset(&r->d);
    assert_int_equal(balloon_actual(r->b), 0);
}

static void it_offers_what_it_can(void **state)
{
    struct rig *r = make(state, false);
    uint32_t rings = 1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC;
    assert_int_equal(virtio_get_offered(r->d.v, 0), rings | ALL_FEATURES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(pages_in_the_balloon_are_given_back_and_others_stay),
        CASE(a_page_from_the_balloon_can_be_used_again),
        CASE(neighbours_go_in_one_call),
        CASE(pages_that_are_no_ram_are_passed_over),
        CASE(a_run_ends_where_a_range_of_memory_ends),
        CASE(more_pages_than_the_limit_are_left_with_the_guest),
        CASE(a_number_cut_short_is_passed_over),
        CASE(buffers_in_the_wrong_direction_do_nothing),
        CASE(what_the_host_does_not_take_is_not_counted),
        CASE(many_arrays_are_served_by_one_notification),
        CASE(pages_reported_are_given_back_on_every_queue_that_drivers_take),
        CASE(only_whole_pages_of_a_report_go),
        CASE(a_report_of_many_buffers_is_taken_whole),
        CASE(a_report_beyond_the_limit_is_left_with_the_guest),
        CASE(a_driver_that_did_not_ask_for_reporting_reports_in_vain),
        CASE(a_ring_that_was_given_away_harms_nobody),
        CASE(a_target_reaches_the_driver),
        CASE(a_target_is_at_most_the_memory),
        CASE(the_driver_tells_how_large_the_balloon_is),
        CASE(it_offers_what_it_can),
    };
    return cmocka_run_group_tests_name("virtio/balloon", tests, NULL, NULL);
}
