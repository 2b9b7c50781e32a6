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
#include "tests/lib/net_rig.h"
#include "vmm/devices/virtio/net_internal.h"

#define MERGE VIRTIO_FEATURE(NET_F_MRG_RXBUF)
#define OFFLOADS                                                                                                       \
    (VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_TSO4) | VIRTIO_FEATURE(NET_F_GUEST_TSO6) |          \
     VIRTIO_FEATURE(NET_F_GUEST_ECN))

static int set_up(void **state)
{
    struct net_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    for (size_t i = 0; i < sizeof(r->frame); i++)
        r->frame[i] = (uint8_t)(i * 13 + i / 256 + 1);
    net_rig_init(r);
    return 0;
}

static int tear_down(void **state)
{
    net_rig_fini(*state);
    free(*state);
    return 0;
}

/* The next buffer that came back; -1: none. */
static int64_t take(struct net_rig *r)
{
    uint32_t written;
    return vdrv_take(&r->d, 0, NULL, &written) ? (int64_t)written : -1;
}

/* A frame lies in the buffers from `at` on, which were allocated one behind the other, with a header for so many. */
static void check_frame(struct net_rig *r, uint64_t at, size_t bytes, unsigned buffers)
{
    const uint8_t *got = vdrv_at(&r->d, at, NET_HEADER_BYTES + bytes);
    assert_int_equal(bytes_load_le16(got + 10), buffers);
    assert_memory_equal(got + NET_HEADER_BYTES, r->frame, bytes);
}

static void expect_nothing(struct net_rig *r)
{
    assert_int_equal(take(r), -1);
}

static uint64_t post_many(struct net_rig *r, unsigned count, uint32_t bytes)
{
    uint64_t first = net_rig_post(r, 0, bytes);
    for (unsigned i = 1; i < count; i++)
        (void)net_rig_post(r, 0, bytes);
    return first;
}

/* ---- One buffer for each frame ---- */

static void a_frame_arrives_behind_an_empty_header(void **state)
{
    struct net_rig *r = *state;
    static const uint8_t header[NET_HEADER_BYTES] = {[10] = 1};
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, 2048);
    assert_true(r->fake.waiting[0]);
    net_rig_arrive(r, 0, NULL, r->frame, 100);
    assert_int_equal(take(r), NET_HEADER_BYTES + 100);
    check_frame(r, at, 100, 1);
    assert_memory_equal(vdrv_at(&r->d, at, sizeof(header)), header, sizeof(header));
    assert_int_equal(*vdrv_at(&r->d, at + NET_HEADER_BYTES + 100, 1), 0);
    assert_int_equal(r->d.interrupts[0], 1);
    assert_int_equal(net_rig_counters(r).received, 1);
}

static void a_back_end_without_headers_is_given_them(void **state)
{
    struct net_rig *r = *state;
    static const uint8_t header[NET_HEADER_BYTES] = {[10] = 1};
    r->fake.backend.header = false;
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, 2048);
    net_rig_arrive(r, 0, NULL, r->frame, 1514);
    assert_int_equal(take(r), NET_HEADER_BYTES + 1514);
    check_frame(r, at, 1514, 1);
    assert_memory_equal(vdrv_at(&r->d, at, sizeof(header)), header, sizeof(header));
}

static void a_buffer_may_be_split_anywhere(void **state)
{
    struct net_rig *r = *state;
    struct vdrv_buffer b[32];
    net_rig_start(r, 0);
    uint64_t at = vdrv_alloc(&r->d, 31 + 1500, 8);
    for (unsigned i = 0; i < 32; i++)
        b[i] = (struct vdrv_buffer){.gpa = at + i, .bytes = i == 31 ? 1500 : 1, .writable = true};
    (void)vdrv_post(&r->d, 0, b, 32);
    vdrv_kick(&r->d, 0);
    net_rig_arrive(r, 0, NULL, r->frame, 200);
    assert_int_equal(take(r), NET_HEADER_BYTES + 200);
    check_frame(r, at, 200, 1);
}

static void a_frame_that_fits_exactly_is_delivered(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mtu = 1500;
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, NET_HEADER_BYTES + 1518);
    net_rig_arrive(r, 0, NULL, r->frame, 1518);
    assert_int_equal(take(r), NET_HEADER_BYTES + 1518);
    check_frame(r, at, 1518, 1);
}

static void a_frame_that_does_not_fit_is_dropped_and_the_buffer_kept(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mtu = 1500;
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, NET_HEADER_BYTES + 1518);
    net_rig_arrive(r, 0, NULL, r->frame, 1519);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 1);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
    check_frame(r, at, 60, 1);
}

static void a_small_buffer_takes_what_is_small(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    /* Of an unknown size, frames may be larger than the buffer. */
    uint64_t at = net_rig_post(r, 0, 100);
    net_rig_arrive(r, 0, NULL, r->frame, 89);
    expect_nothing(r);
    net_rig_arrive(r, 0, NULL, r->frame, 88);
    assert_int_equal(take(r), 100);
    check_frame(r, at, 88, 1);
    assert_int_equal(net_rig_counters(r).not_received, 1);
}

static void frames_of_impossible_length_are_dropped(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    (void)post_many(r, 20, 4096);
    net_rig_arrive(r, 0, NULL, r->frame, 13);
    net_rig_arrive(r, 0, NULL, r->frame, NET_FRAME_MAX + 1);
    net_rig_arrive(r, 0, NULL, r->frame, NET_FRAME_MAX + 16);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 3);
    net_rig_arrive(r, 0, NULL, r->frame, 14);
    assert_int_equal(take(r), NET_HEADER_BYTES + 14);
}

/* The same where they pass through memory of ours. */
static void frames_of_impossible_length_are_dropped_with_few_buffers(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    (void)net_rig_post(r, 0, 4096);
    net_rig_arrive(r, 0, NULL, r->frame, 13);
    net_rig_arrive(r, 0, NULL, r->frame, NET_FRAME_MAX + 16);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 2);
}

static void frames_above_the_mtu_that_was_told_are_dropped(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mtu = 1400;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_MTU));
    (void)post_many(r, 2, 4096);
    net_rig_arrive(r, 0, NULL, r->frame, 1419);
    expect_nothing(r);
    net_rig_arrive(r, 0, NULL, r->frame, 1418);
    assert_int_equal(take(r), NET_HEADER_BYTES + 1418);
}

static void who_was_not_told_an_mtu_gets_what_fits(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mtu = 1400;
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, 4096);
    net_rig_arrive(r, 0, NULL, r->frame, 4000);
    assert_int_equal(take(r), NET_HEADER_BYTES + 4000);
    check_frame(r, at, 4000, 1);
}

/* ---- Several buffers ---- */

static void a_large_frame_is_spread_over_buffers(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    uint64_t at = post_many(r, 50, 1536);
    net_rig_arrive(r, 0, NULL, r->frame, NET_FRAME_MAX);
    uint32_t left = NET_HEADER_BYTES + NET_FRAME_MAX;
    for (unsigned i = 0; i < 43; i++) {
        uint32_t piece = left < 1536 ? left : 1536;
        assert_int_equal(take(r), piece);
        left -= piece;
    }
    assert_int_equal(left, 0);
    expect_nothing(r);
    check_frame(r, at, NET_FRAME_MAX, 43);
}

static void buffers_that_were_not_needed_serve_the_next_frames(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE);
    uint64_t at = post_many(r, 60, 1536);
    for (unsigned i = 0; i < 3; i++) {
        net_rig_arrive(r, 0, NULL, r->frame, 60 + i);
        assert_int_equal(take(r), NET_HEADER_BYTES + 60 + i);
        check_frame(r, at + 1536 * (uint64_t)i, 60 + i, 1);
        expect_nothing(r);
    }
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    assert_int_equal(take(r), 1536);
    assert_int_equal(take(r), NET_HEADER_BYTES + 3000 - 1536);
    check_frame(r, at + 3 * 1536, 3000, 2);
}

static void many_frames_in_one_turn_keep_their_order(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    uint64_t at = post_many(r, 60, 2048);
    r->fake.waiting[0] = false; /* held back by the test, until all are there */
    for (unsigned i = 0; i < 40; i++)
        net_rig_arrive(r, 0, NULL, r->frame + i, 100 + i);
    r->fake.events.readable(r->fake.events.ctx, 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(take(r), NET_HEADER_BYTES + 100 + i);
        assert_memory_equal(vdrv_at(&r->d, at + 2048 * (uint64_t)i + NET_HEADER_BYTES, 100 + i), r->frame + i, 100 + i);
    }
    expect_nothing(r);
    assert_int_equal(r->d.interrupts[0], 1);
}

static void a_header_may_end_where_the_first_buffer_does(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE);
    uint64_t at = post_many(r, 2, NET_HEADER_BYTES + 4);
    (void)post_many(r, 10, 64);
    net_rig_arrive(r, 0, NULL, r->frame, 20);
    assert_int_equal(take(r), 16);
    assert_int_equal(take(r), 16);
    assert_int_equal(bytes_load_le16(vdrv_at(&r->d, at + 10, 2)), 2);
    assert_memory_equal(vdrv_at(&r->d, at + NET_HEADER_BYTES, 20), r->frame, 20);
}

static void a_frame_waits_until_there_are_enough_buffers(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    uint64_t at = post_many(r, 2, 1024);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    expect_nothing(r);
    assert_false(r->fake.waiting[0]);
    net_rig_post(r, 0, 1024);
    /* The driver was asked to tell of each, the frame passed through memory of ours. */
    assert_int_equal(take(r), 1024);
    assert_int_equal(take(r), 1024);
    assert_int_equal(take(r), NET_HEADER_BYTES + 3000 - 2048);
    check_frame(r, at, 3000, 3);
    assert_int_equal(net_rig_counters(r).not_received, 0);
}

static void a_frame_that_waits_makes_nobody_spin(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    (void)net_rig_post(r, 0, 1024);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    assert_int_equal(loop_turn(&r->d.loop), 0);
    virtio_kick(r->d.v, 0);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(loop_turn(&r->d.loop), 0);
    assert_int_equal(r->fake.receives, 1 + 1);
}

/* With EVENT_IDX the driver notifies only from the index on that it is told. */
static void the_event_index_asks_for_what_is_behind_the_window(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
    (void)post_many(r, 3, 256);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    const struct vdrv_queue *q = &r->d.queue[0];
    assert_int_equal(bytes_load_le16(vdrv_at(&r->d, q->used + 4 + 8u * q->size, 2)), 3);
    assert_int_equal(loop_turn(&r->d.loop), 0);
}

/* A receive ring of all entries that the device allows: the driver of the tests makes smaller ones. */
static void start_with_a_large_ring(struct net_rig *r, uint64_t features)
{
    const unsigned size = NET_QUEUE_SIZE;
    struct vdrv_queue *q = &r->d.queue[0];
    assert_int_equal(net_new(&r->cfg, &r->net, NULL), 0);
    vdrv_attach(&r->d, net_virtio(r->net));
    assert_true(vdrv_negotiate(&r->d, features));
    *q = (struct vdrv_queue){.size = (uint16_t)size,
                             .descriptors = vdrv_alloc(&r->d, 16 * size, 16),
                             .available = vdrv_alloc(&r->d, 6 + 2 * size, 2),
                             .used = vdrv_alloc(&r->d, 6 + 8 * size, 4)};
    virtio_set_queue(r->d.v, 0, VIRTIO_QUEUE_SIZE, size);
    virtio_set_queue(r->d.v, 0, VIRTIO_QUEUE_DESCRIPTORS_LOW, (uint32_t)q->descriptors);
    virtio_set_queue(r->d.v, 0, VIRTIO_QUEUE_DRIVER_LOW, (uint32_t)q->available);
    virtio_set_queue(r->d.v, 0, VIRTIO_QUEUE_DEVICE_LOW, (uint32_t)q->used);
    vdrv_enable_queue(&r->d, 0);
    virtio_set_status(r->d.v, 15);
    vdrv_turn(&r->d);
}

static void a_frame_for_more_buffers_than_we_keep_is_dropped(void **state)
{
    struct net_rig *r = *state;
    start_with_a_large_ring(r, MERGE | OFFLOADS);
    uint64_t at = post_many(r, 200, 16);
    net_rig_arrive(r, 0, NULL, r->frame, NET_RX_CHAINS * 16 - NET_HEADER_BYTES + 1);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 1);
    assert_true(r->fake.waiting[0]);
    net_rig_arrive(r, 0, NULL, r->frame, NET_RX_CHAINS * 16 - NET_HEADER_BYTES);
    for (unsigned i = 0; i < NET_RX_CHAINS; i++)
        assert_int_equal(take(r), 16);
    expect_nothing(r);
    check_frame(r, at, NET_RX_CHAINS * 16 - NET_HEADER_BYTES, NET_RX_CHAINS);
}

static void a_frame_may_fill_a_ring_of_small_parts(void **state)
{
    struct net_rig *r = *state;
    start_with_a_large_ring(r, MERGE | OFFLOADS);
    /* 16 parts of 16 bytes in each of 16 buffers fill the ring, and stay below what is kept of parts. */
    uint64_t at = vdrv_alloc(&r->d, 4096, 8);
    for (unsigned i = 0; i < 16; i++) {
        struct vdrv_buffer b[16];
        for (unsigned k = 0; k < 16; k++)
            b[k] = (struct vdrv_buffer){.gpa = at + 256 * i + 16 * k, .bytes = 16, .writable = true};
        (void)vdrv_post(&r->d, 0, b, 16);
    }
    vdrv_kick(&r->d, 0);
    net_rig_arrive(r, 0, NULL, r->frame, 4096 - NET_HEADER_BYTES);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(take(r), 256);
    check_frame(r, at, 4096 - NET_HEADER_BYTES, 16);
}

static void a_reset_forgets_the_frame_that_waits(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    (void)net_rig_post(r, 0, 1024);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, MERGE));
    (void)post_many(r, 8, 1024);
    expect_nothing(r);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
}

/* ---- Buffers that are none ---- */

static void a_buffer_smaller_than_the_header_breaks_the_device(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE);
    (void)net_rig_post(r, 0, NET_HEADER_BYTES - 1);
    assert_int_equal(virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    expect_nothing(r);
    assert_false(r->fake.waiting[0]);
    assert_int_equal(r->d.config_interrupts, 1);
    r->fake.events.readable(r->fake.events.ctx, 0);
    assert_int_equal(r->fake.receives, 0);
}

static void a_buffer_to_read_from_breaks_the_device(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 2048, 8), .bytes = 2048};
    (void)vdrv_post(&r->d, 0, &b, 1);
    vdrv_kick(&r->d, 0);
    assert_int_equal(virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    expect_nothing(r);
}

static void a_small_buffer_behind_good_ones_breaks_the_device(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE);
    (void)net_rig_post(r, 0, 1024);
    (void)net_rig_post(r, 0, 4);
    assert_int_equal(virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, MERGE));
    (void)net_rig_post(r, 0, 1024);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
}

static void buffers_of_nearly_4_gib_do_not_overflow(void **state)
{
    struct net_rig *r = *state;
    struct vdrv_buffer b[VDRV_BUFFERS_MAX];
    net_rig_start(r, MERGE | OFFLOADS);
    (void)post_many(r, 2, 1024);
    /* The same memory over and over: 31 times nearly all of it. */
    for (unsigned i = 0; i < VDRV_BUFFERS_MAX; i++)
        b[i] = (struct vdrv_buffer){.gpa = 0x800000, .bytes = 0x7ffff0, .writable = true};
    (void)vdrv_post(&r->d, 0, b, VDRV_BUFFERS_MAX);
    vdrv_kick(&r->d, 0);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    assert_int_equal(take(r), 1024);
    assert_int_equal(take(r), 1024);
    assert_int_equal(take(r), NET_HEADER_BYTES + 3000 - 2048);
    assert_memory_equal(vdrv_at(&r->d, 0x800000, 964), r->frame + 2036, 964);
}

/* ---- Waiting ---- */

static void without_buffers_the_back_end_is_left_alone(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    assert_false(r->fake.waiting[0]);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_int_equal(r->fake.receives, 0);
    (void)net_rig_post(r, 0, 2048);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
    /* That was the only buffer. */
    assert_false(r->fake.waiting[0]);
    assert_int_equal(loop_turn(&r->d.loop), 0);
}

static void without_a_driver_the_back_end_is_left_alone(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    (void)net_rig_post(r, 0, 2048);
    assert_true(r->fake.waiting[0]);
    vdrv_reset(&r->d);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_false(r->fake.waiting[0]);
    assert_int_equal(r->fake.in_count[0], 1);
    assert_true(vdrv_start(&r->d, 0));
    (void)net_rig_post(r, 0, 2048);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
}

static void others_get_their_turn_after_the_budget(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    (void)post_many(r, VDRV_QUEUE_SIZE, 256);
    r->fake.waiting[0] = false;
    for (unsigned i = 0; i < NET_BUDGET + 20; i++)
        net_rig_arrive(r, 0, NULL, r->frame, i < 20 ? 13 : 60);
    unsigned receives = r->fake.receives;
    r->fake.events.readable(r->fake.events.ctx, 0);
    assert_int_equal(r->fake.receives - receives, NET_BUDGET);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(net_rig_counters(r).received, NET_BUDGET);
    assert_int_equal(loop_turn(&r->d.loop), 0);
}

static void a_back_end_that_fails_is_asked_again_when_it_calls(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    uint64_t at = net_rig_post(r, 0, 2048);
    r->fake.receive_error = -EBADFD;
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    expect_nothing(r);
    assert_true(r->fake.waiting[0]);
    r->fake.receive_error = 0;
    r->fake.events.readable(r->fake.events.ctx, 0);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
    check_frame(r, at, 60, 1);
}

static void a_frame_shorter_than_its_header_is_dropped(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    (void)net_rig_post(r, 0, 2048);
    r->fake.waiting[0] = false;
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    r->fake.in[0][0].length = 5;
    r->fake.events.readable(r->fake.events.ctx, 0);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 1);
}

/* ---- Headers of the host ---- */

static void segmentation_is_left_to_guests_that_want_it(void **state)
{
    struct net_rig *r = *state;
    static const struct net_header h = {.flags = NET_HEADER_NEEDS_CSUM,
                                        .gso_type = NET_GSO_TCPV4,
                                        .header_bytes = 54,
                                        .gso_bytes = 1448,
                                        .csum_start = 34,
                                        .csum_offset = 16};
    uint8_t raw[NET_HEADER_BYTES];
    net_header_store(&h, raw);
    r->cfg.mtu = 1500;
    net_rig_start(r, MERGE | OFFLOADS | VIRTIO_FEATURE(NET_F_MTU));
    uint64_t at = post_many(r, 20, 4096);
    net_rig_arrive(r, 0, raw, r->frame, 60000);
    raw[10] = 15;
    assert_int_equal(take(r), 4096);
    assert_memory_equal(vdrv_at(&r->d, at, sizeof(raw)), raw, sizeof(raw));
    check_frame(r, at, 60000, 15);
}

static void segmentation_is_kept_from_guests_that_do_not(void **state)
{
    struct net_rig *r = *state;
    static const struct net_header h = {.flags = NET_HEADER_NEEDS_CSUM,
                                        .gso_type = NET_GSO_TCPV6,
                                        .gso_bytes = 1448,
                                        .csum_start = 54,
                                        .csum_offset = 16};
    uint8_t raw[NET_HEADER_BYTES];
    net_header_store(&h, raw);
    net_rig_start(r, MERGE | (OFFLOADS & ~VIRTIO_FEATURE(NET_F_GUEST_TSO6)));
    (void)post_many(r, 20, 4096);
    net_rig_arrive(r, 0, raw, r->frame, 60000);
    expect_nothing(r);
    assert_int_equal(net_rig_counters(r).not_received, 1);
}

static void nothing_is_received_without_a_link(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    (void)net_rig_post(r, 0, 2048);
    net_set_link(r->net, false);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    expect_nothing(r);
    assert_int_equal(r->fake.in_count[0], 0);
    assert_true(r->fake.waiting[0]);
    net_set_link(r->net, true);
    net_rig_arrive(r, 0, NULL, r->frame, 60);
    assert_int_equal(take(r), NET_HEADER_BYTES + 60);
}

static void a_frame_that_waits_is_gone_with_the_link(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, MERGE | OFFLOADS);
    (void)net_rig_post(r, 0, 64);
    net_rig_arrive(r, 0, NULL, r->frame, 3000);
    net_set_link(r->net, false);
    (void)net_rig_post(r, 0, 4096);
    net_set_link(r->net, true);
    (void)net_rig_post(r, 0, 4096);
    expect_nothing(r);
}

static void each_pair_has_its_own_frames(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 3;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_MQ) | VIRTIO_FEATURE(NET_F_CTRL_VQ));
    assert_int_equal(net_rig_control(r, 4, 0, "\3\0", 2), 0);
    for (unsigned i = 0; i < 3; i++)
        (void)net_rig_post(r, i, 2048);
    for (unsigned i = 0; i < 3; i++)
        net_rig_arrive(r, i, NULL, r->frame, 60 + i);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t written;
        assert_true(vdrv_take(&r->d, 2 * i, NULL, &written));
        assert_int_equal(written, NET_HEADER_BYTES + 60 + i);
    }
}

static void pairs_that_are_not_in_use_receive_nothing(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 2;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_MQ) | VIRTIO_FEATURE(NET_F_CTRL_VQ));
    (void)net_rig_post(r, 1, 2048);
    assert_false(r->fake.waiting[1]);
    assert_int_equal(net_rig_control(r, 4, 0, "\2\0", 2), 0);
    assert_true(r->fake.waiting[1]);
    assert_int_equal(net_rig_control(r, 4, 0, "\1\0", 2), 0);
    assert_false(r->fake.waiting[1]);
    /* A back end that calls all the same is told again. */
    r->fake.waiting[1] = true;
    net_rig_arrive(r, 1, NULL, r->frame, 60);
    assert_false(r->fake.waiting[1]);
    assert_int_equal(r->fake.in_count[1], 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_arrives_behind_an_empty_header),
        CASE(a_back_end_without_headers_is_given_them),
        CASE(a_buffer_may_be_split_anywhere),
        CASE(a_frame_that_fits_exactly_is_delivered),
        CASE(a_frame_that_does_not_fit_is_dropped_and_the_buffer_kept),
        CASE(a_small_buffer_takes_what_is_small),
        CASE(frames_of_impossible_length_are_dropped),
        CASE(frames_of_impossible_length_are_dropped_with_few_buffers),
        CASE(frames_above_the_mtu_that_was_told_are_dropped),
        CASE(who_was_not_told_an_mtu_gets_what_fits),
        CASE(a_large_frame_is_spread_over_buffers),
        CASE(buffers_that_were_not_needed_serve_the_next_frames),
        CASE(many_frames_in_one_turn_keep_their_order),
        CASE(a_header_may_end_where_the_first_buffer_does),
        CASE(a_frame_waits_until_there_are_enough_buffers),
        CASE(a_frame_that_waits_makes_nobody_spin),
        CASE(the_event_index_asks_for_what_is_behind_the_window),
        CASE(a_frame_for_more_buffers_than_we_keep_is_dropped),
        CASE(a_frame_may_fill_a_ring_of_small_parts),
        CASE(a_reset_forgets_the_frame_that_waits),
        CASE(a_buffer_smaller_than_the_header_breaks_the_device),
        CASE(a_buffer_to_read_from_breaks_the_device),
        CASE(a_small_buffer_behind_good_ones_breaks_the_device),
        CASE(buffers_of_nearly_4_gib_do_not_overflow),
        CASE(without_buffers_the_back_end_is_left_alone),
        CASE(without_a_driver_the_back_end_is_left_alone),
        CASE(others_get_their_turn_after_the_budget),
        CASE(a_back_end_that_fails_is_asked_again_when_it_calls),
        CASE(a_frame_shorter_than_its_header_is_dropped),
        CASE(segmentation_is_left_to_guests_that_want_it),
        CASE(segmentation_is_kept_from_guests_that_do_not),
        CASE(nothing_is_received_without_a_link),
        CASE(a_frame_that_waits_is_gone_with_the_link),
        CASE(each_pair_has_its_own_frames),
        CASE(pairs_that_are_not_in_use_receive_nothing),
    };
    return cmocka_run_group_tests_name("virtio/net_rx", tests, NULL, NULL);
}
