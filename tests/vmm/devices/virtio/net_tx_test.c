/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/net_rig.h"
#include "vmm/devices/virtio/net_internal.h"

#define OFFLOADS                                                                                                       \
    (VIRTIO_FEATURE(NET_F_CSUM) | VIRTIO_FEATURE(NET_F_HOST_TSO4) | VIRTIO_FEATURE(NET_F_HOST_TSO6) |                  \
     VIRTIO_FEATURE(NET_F_HOST_ECN))

static int set_up(void **state)
{
    struct net_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    for (size_t i = 0; i < sizeof(r->frame); i++)
        r->frame[i] = (uint8_t)(i * 7 + 3);
    net_rig_init(r);
    return 0;
}

static int tear_down(void **state)
{
    net_rig_fini(*state);
    free(*state);
    return 0;
}

static void check_sent(const struct net_rig *r, size_t bytes)
{
    size_t n;
    const uint8_t *got = net_rig_sent(r, &n);
    assert_int_equal(n, bytes);
    assert_memory_equal(got, r->frame, bytes);
}

static void a_frame_goes_out_behind_an_empty_header(void **state)
{
    struct net_rig *r = *state;
    static const uint8_t none[NET_HEADER_BYTES];
    net_rig_start(r, 0);
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    check_sent(r, 60);
    assert_memory_equal(net_rig_sent_header(r), none, sizeof(none));
    assert_int_equal(r->d.interrupts[1], 1);
    assert_int_equal(net_rig_counters(r).sent, 1);
}

static void a_back_end_without_headers_gets_the_frame_alone(void **state)
{
    struct net_rig *r = *state;
    r->fake.backend.header = false;
    r->fake.backend.offloads = 0;
    net_rig_start(r, 0);
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    check_sent(r, 60);
}

static void a_frame_may_be_split_anywhere(void **state)
{
    struct net_rig *r = *state;
    uint8_t bytes[NET_HEADER_BYTES + 40] = {0};
    struct vdrv_buffer b[sizeof(bytes)];
    memcpy(bytes + NET_HEADER_BYTES, r->frame, 40);
    net_rig_start(r, 0);
    uint64_t at = vdrv_put(&r->d, bytes, sizeof(bytes));
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        b[i] = (struct vdrv_buffer){.gpa = at + i, .bytes = 1};
    (void)vdrv_post(&r->d, 1, b, sizeof(bytes));
    vdrv_kick(&r->d, 1);
    check_sent(r, 40);
}

static void lengths_are_those_of_frames(void **state)
{
    struct net_rig *r = *state;
    static const struct {
        uint32_t bytes;
        bool good;
    } row[] = {{1, false}, {13, false}, {14, true}, {1514, true}, {65550, true}, {65551, false}};
    net_rig_start(r, 0);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        unsigned sends = r->fake.sends;
        assert_true(net_rig_send(r, 0, NULL, r->frame, row[i].bytes));
        assert_int_equal(r->fake.sends - sends, row[i].good);
        if (row[i].good)
            check_sent(r, row[i].bytes);
    }
    assert_int_equal(net_rig_counters(r).malformed, 3);
}

static void a_header_that_is_cut_short_is_dropped(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    assert_int_equal(vdrv_request(&r->d, 1, r->frame, 1, NULL, 0), 0);
    assert_int_equal(vdrv_request(&r->d, 1, r->frame, NET_HEADER_BYTES - 1, NULL, 0), 0);
    assert_int_equal(vdrv_request(&r->d, 1, r->frame, NET_HEADER_BYTES, NULL, 0), 0);
    assert_int_equal(r->fake.sends, 0);
    assert_int_equal(net_rig_counters(r).malformed, 3);
}

static void a_buffer_to_write_into_comes_back_untouched(void **state)
{
    struct net_rig *r = *state;
    uint8_t got[64];
    static const uint8_t zero[64];
    net_rig_start(r, 0);
    assert_int_equal(vdrv_request(&r->d, 1, NULL, 0, got, sizeof(got)), 0);
    assert_memory_equal(got, zero, sizeof(got));
    assert_int_equal(r->fake.sends, 0);
}

static void segmentation_is_handed_on_with_its_numbers(void **state)
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
    net_rig_start(r, OFFLOADS);
    assert_true(net_rig_send(r, 0, raw, r->frame, 65000));
    check_sent(r, 65000);
    assert_memory_equal(net_rig_sent_header(r), raw, sizeof(raw));
}

static void what_the_header_has_besides_does_not_reach_the_host(void **state)
{
    struct net_rig *r = *state;
    static const uint8_t none[NET_HEADER_BYTES];
    static const uint8_t odd[NET_HEADER_BYTES] = {0xfe, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    net_rig_start(r, OFFLOADS);
    assert_true(net_rig_send(r, 0, odd, r->frame, 60));
    assert_memory_equal(net_rig_sent_header(r), none, sizeof(none));
}

static void hostile_headers_are_dropped_and_counted(void **state)
{
    struct net_rig *r = *state;
    static const struct net_header row[] = {
        {.flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34, .csum_offset = 65535},
        {.flags = NET_HEADER_NEEDS_CSUM, .csum_start = 59, .csum_offset = 0},
        {.flags = NET_HEADER_NEEDS_CSUM, .csum_start = 0, .csum_offset = 0},
        {.gso_type = NET_GSO_TCPV4, .gso_bytes = 100},
        {.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .csum_start = 34, .csum_offset = 16},
        {.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_UDP, .gso_bytes = 100, .csum_start = 34},
        {.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_UDP_L4, .gso_bytes = 100, .csum_start = 34},
        {.flags = NET_HEADER_NEEDS_CSUM, .gso_type = NET_GSO_ECN, .gso_bytes = 100, .csum_start = 34},
        {.flags = NET_HEADER_NEEDS_CSUM, .gso_type = 2, .gso_bytes = 100, .csum_start = 34},
        {.flags = NET_HEADER_NEEDS_CSUM,
         .gso_type = NET_GSO_TCPV4,
         .gso_bytes = 100,
         .csum_start = 34,
         .header_bytes = 61},
    };
    const unsigned count = sizeof(row) / sizeof(row[0]);
    net_rig_start(r, OFFLOADS);
    for (unsigned i = 0; i < count; i++) {
        uint8_t raw[NET_HEADER_BYTES];
        net_header_store(&row[i], raw);
        assert_true(net_rig_send(r, 0, raw, r->frame, 60));
    }
    assert_int_equal(r->fake.sends, 0);
    assert_int_equal(net_rig_counters(r).malformed, count);
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 1);
}

static void offloads_that_were_not_negotiated_are_dropped(void **state)
{
    struct net_rig *r = *state;
    static const struct net_header csum = {.flags = NET_HEADER_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    uint8_t raw[NET_HEADER_BYTES];
    net_header_store(&csum, raw);
    /* Segmentation without checksums is no choice that counts. */
    net_rig_start(r, OFFLOADS & ~VIRTIO_FEATURE(NET_F_CSUM));
    assert_true(net_rig_send(r, 0, raw, r->frame, 60));
    assert_int_equal(r->fake.sends, 0);
    assert_int_equal(net_rig_counters(r).malformed, 1);
}

static void a_frame_that_is_refused_for_now_waits_in_the_ring(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    r->fake.send_error = -EAGAIN;
    assert_false(net_rig_send(r, 0, NULL, r->frame, 60));
    assert_false(net_rig_send(r, 0, NULL, r->frame + 1, 60));
    unsigned refused = r->fake.refused;
    vdrv_turn(&r->d);
    assert_int_equal(r->fake.refused, refused);
    r->fake.send_error = 0;
    r->fake.events.writable(r->fake.events.ctx, 0);
    vdrv_turn(&r->d);
    assert_int_equal(r->fake.sends, 2);
    assert_true(vdrv_take(&r->d, 1, NULL, NULL));
    assert_true(vdrv_take(&r->d, 1, NULL, NULL));
    assert_memory_equal(r->fake.sent[0].bytes + NET_HEADER_BYTES, r->frame, 60);
    assert_memory_equal(r->fake.sent[1].bytes + NET_HEADER_BYTES, r->frame + 1, 60);
}

static void frames_that_wait_are_dropped_when_the_link_goes(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    r->fake.send_error = -EAGAIN;
    assert_false(net_rig_send(r, 0, NULL, r->frame, 60));
    r->fake.events.link(r->fake.events.ctx, false);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, 1, NULL, NULL));
    assert_int_equal(net_rig_counters(r).not_sent, 1);
}

static void a_reset_forgets_frames_that_wait(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    r->fake.send_error = -EAGAIN;
    assert_false(net_rig_send(r, 0, NULL, r->frame, 60));
    vdrv_reset(&r->d);
    r->fake.send_error = 0;
    r->fake.events.writable(r->fake.events.ctx, 0);
    vdrv_turn(&r->d);
    assert_int_equal(r->fake.sends, 0);
    assert_true(vdrv_start(&r->d, 0));
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 1);
}

static void a_frame_that_the_host_refuses_is_lost_and_counted(void **state)
{
    struct net_rig *r = *state;
    static const int errors[] = {-EIO, -ENOBUFS, -EINVAL, -ENOTCONN, -EBADFD};
    net_rig_start(r, 0);
    for (unsigned i = 0; i < 5; i++) {
        r->fake.send_error = errors[i];
        assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    }
    assert_int_equal(net_rig_counters(r).not_sent, 5);
    assert_int_equal(net_rig_counters(r).sent, 0);
}

static void nothing_is_sent_without_a_link(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    net_set_link(r->net, false);
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 0);
    assert_int_equal(net_rig_counters(r).not_sent, 1);
    net_set_link(r->net, true);
    assert_true(net_rig_send(r, 0, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 1);
}

static void pairs_that_are_not_in_use_send_nothing(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 2;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_MQ) | VIRTIO_FEATURE(NET_F_CTRL_VQ));
    assert_true(net_rig_send(r, 1, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 0);
    assert_int_equal(net_rig_counters(r).not_sent, 1);
    assert_int_equal(net_rig_control(r, 4, 0, "\2\0", 2), 0);
    assert_true(net_rig_send(r, 1, NULL, r->frame, 60));
    assert_int_equal(r->fake.sends, 1);
    assert_int_equal(r->fake.sent_pair[0], 1);
}

static void others_get_their_turn_after_the_budget(void **state)
{
    struct net_rig *r = *state;
    uint8_t bytes[NET_HEADER_BYTES + 60] = {0};
    net_rig_start(r, 0);
    struct vdrv_buffer b = {.gpa = vdrv_put(&r->d, bytes, sizeof(bytes)), .bytes = sizeof(bytes)};
    for (unsigned i = 0; i < VDRV_QUEUE_SIZE; i++)
        (void)vdrv_post(&r->d, 1, &b, 1);
    virtio_kick(r->d.v, 1);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(r->fake.sends, NET_BUDGET);
    /* It was asked to look again, as there could be more. */
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(loop_turn(&r->d.loop), 0);
    assert_int_equal(r->fake.sends, NET_BUDGET);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_goes_out_behind_an_empty_header),
        CASE(a_back_end_without_headers_gets_the_frame_alone),
        CASE(a_frame_may_be_split_anywhere),
        CASE(lengths_are_those_of_frames),
        CASE(a_header_that_is_cut_short_is_dropped),
        CASE(a_buffer_to_write_into_comes_back_untouched),
        CASE(segmentation_is_handed_on_with_its_numbers),
        CASE(what_the_header_has_besides_does_not_reach_the_host),
        CASE(hostile_headers_are_dropped_and_counted),
        CASE(offloads_that_were_not_negotiated_are_dropped),
        CASE(a_frame_that_is_refused_for_now_waits_in_the_ring),
        CASE(frames_that_wait_are_dropped_when_the_link_goes),
        CASE(a_reset_forgets_frames_that_wait),
        CASE(a_frame_that_the_host_refuses_is_lost_and_counted),
        CASE(nothing_is_sent_without_a_link),
        CASE(pairs_that_are_not_in_use_send_nothing),
        CASE(others_get_their_turn_after_the_budget),
    };
    return cmocka_run_group_tests_name("virtio/net_tx", tests, NULL, NULL);
}
