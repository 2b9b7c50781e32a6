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

#define GUEST                                                                                                          \
    (VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_TSO4) | VIRTIO_FEATURE(NET_F_GUEST_TSO6) |          \
     VIRTIO_FEATURE(NET_F_GUEST_ECN))
#define CONTROL                                                                                                        \
    (VIRTIO_FEATURE(NET_F_CTRL_VQ) | VIRTIO_FEATURE(NET_F_CTRL_RX) | VIRTIO_FEATURE(NET_F_CTRL_GUEST_OFFLOADS))
#define MQ VIRTIO_FEATURE(NET_F_MQ)

enum {
    OK = 0,
    ERR = 1,
    NONE = -1,
};

static int set_up(void **state)
{
    struct net_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    net_rig_init(r);
    r->cfg.pairs = 4;
    return 0;
}

static int tear_down(void **state)
{
    net_rig_fini(*state);
    free(*state);
    return 0;
}

static int set_pairs(struct net_rig *r, uint16_t pairs)
{
    uint8_t data[2];
    bytes_store_le16(data, pairs);
    return net_rig_control(r, 4, 0, data, sizeof(data));
}

static int set_offloads(struct net_rig *r, uint64_t bits)
{
    uint8_t data[8];
    bytes_store_le64(data, bits);
    return net_rig_control(r, 5, 0, data, sizeof(data));
}

static void every_number_of_pairs_up_to_the_most_is_accepted(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ);
    assert_int_equal(r->fake.pairs, 1);
    for (uint16_t i = 1; i <= 4; i++) {
        assert_int_equal(set_pairs(r, i), OK);
        assert_int_equal(r->fake.pairs, i);
    }
    assert_int_equal(net_rig_counters(r).control_failures, 0);
}

static void other_numbers_of_pairs_are_refused(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ);
    assert_int_equal(set_pairs(r, 2), OK);
    assert_int_equal(set_pairs(r, 0), ERR);
    assert_int_equal(set_pairs(r, 5), ERR);
    assert_int_equal(set_pairs(r, 0x8000), ERR);
    assert_int_equal(set_pairs(r, 65535), ERR);
    assert_int_equal(net_rig_control(r, 4, 0, "\3", 1), ERR);
    assert_int_equal(net_rig_control(r, 4, 0, "\3\0\0", 3), ERR);
    assert_int_equal(net_rig_control(r, 4, 1, "\3\0", 2), ERR);
    assert_int_equal(r->fake.pairs, 2);
    assert_int_equal(net_rig_counters(r).control_failures, 7);
}

static void pairs_that_the_back_end_refuses_are_an_error(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ);
    r->fake.pairs_error = -EINVAL;
    assert_int_equal(set_pairs(r, 2), ERR);
}

static void a_reset_goes_back_to_one_pair_without_offloads(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ | GUEST);
    assert_int_equal(set_pairs(r, 4), OK);
    assert_int_equal(r->fake.offloads, NET_RIG_ALL);
    vdrv_reset(&r->d);
    assert_int_equal(r->fake.pairs, 1);
    assert_int_equal(r->fake.offloads, 0);
}

static void without_its_feature_a_command_is_an_error(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_CTRL_VQ));
    assert_int_equal(set_pairs(r, 2), ERR);
    assert_int_equal(set_offloads(r, 0), ERR);
    assert_int_equal(net_rig_control(r, 0, 0, "\1", 1), ERR);
    assert_int_equal(net_rig_control(r, 1, 0, "\0\0\0\0\0\0\0\0", 8), ERR);
}

static void without_the_queues_feature_nothing_is_answered(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 1;
    net_rig_start(r, 0);
    assert_int_equal(net_rig_control(r, 0, 0, "\1", 1), NONE);
}

static void the_queue_follows_the_only_pair_of_a_driver_that_knows_one(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL);
    /* net_rig_control uses queue 2 then, which is the second pair's otherwise. */
    assert_int_equal(net_rig_control(r, 0, 0, "\1", 1), OK);
}

static void receive_modes_are_answered_with_ok(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL);
    for (uint8_t command = 0; command < 2; command++) {
        assert_int_equal(net_rig_control(r, 0, command, "\1", 1), OK);
        assert_int_equal(net_rig_control(r, 0, command, "\0", 1), OK);
        assert_int_equal(net_rig_control(r, 0, command, "\2", 1), ERR);
        assert_int_equal(net_rig_control(r, 0, command, "", 0), ERR);
        assert_int_equal(net_rig_control(r, 0, command, "\1\1", 2), ERR);
    }
    assert_int_equal(net_rig_control(r, 0, 2, "\1", 1), ERR);
}

static void address_tables_have_to_add_up(void **state)
{
    struct net_rig *r = *state;
    uint8_t data[64] = {0};
    net_rig_start(r, CONTROL);
    assert_int_equal(net_rig_control(r, 1, 0, data, 8), OK);
    assert_int_equal(net_rig_control(r, 1, 0, data, 7), ERR);
    assert_int_equal(net_rig_control(r, 1, 0, data, 4), ERR);
    assert_int_equal(net_rig_control(r, 1, 0, data, 9), ERR);
    assert_int_equal(net_rig_control(r, 1, 0, data, 0), ERR);
    data[0] = 2;
    data[4 + 12] = 1;
    assert_int_equal(net_rig_control(r, 1, 0, data, 4 + 12 + 4 + 6), OK);
    assert_int_equal(net_rig_control(r, 1, 0, data, 4 + 12 + 4 + 5), ERR);
    memset(data, 0xff, 4);
    assert_int_equal(net_rig_control(r, 1, 0, data, 64), ERR);
    /* 6 x 2AAAAAABh is 2 in 32 bits. */
    bytes_store_le32(data, 0x2aaaaaab);
    assert_int_equal(net_rig_control(r, 1, 0, data, 10), ERR);
}

static void the_address_is_fixed(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL);
    assert_int_equal(net_rig_control(r, 1, 1, "\2\0\0\0\0\1", 6), ERR);
}

static void classes_that_are_not_offered_are_errors(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ | GUEST);
    for (unsigned class = 0; class < 256; class ++)
        assert_int_equal(net_rig_control(r, (uint8_t) class, 0xfe, "\0\0", 2), ERR);
    assert_int_equal(net_rig_control(r, 2, 0, "\1\0", 2), ERR);
    assert_int_equal(net_rig_control(r, 3, 0, NULL, 0), ERR);
}

static void a_command_that_is_cut_short_is_an_error(void **state)
{
    struct net_rig *r = *state;
    uint8_t answer = 0xff;
    r->cfg.pairs = 1;
    net_rig_start(r, CONTROL);
    assert_int_equal(vdrv_request(&r->d, 2, "\0", 1, &answer, 1), 1);
    assert_int_equal(answer, ERR);
    answer = 0xff;
    assert_int_equal(vdrv_request(&r->d, 2, NULL, 0, &answer, 1), 1);
    assert_int_equal(answer, ERR);
}

static void a_command_without_a_place_for_the_answer_is_not_carried_out(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | MQ);
    assert_int_equal(vdrv_request(&r->d, 8, "\4\0\2\0", 4, NULL, 0), 0);
    assert_int_equal(r->fake.pairs, 1);
}

static void an_answer_takes_one_byte_of_a_larger_place(void **state)
{
    struct net_rig *r = *state;
    uint8_t answer[4];
    static const uint8_t want[4] = {OK, 0, 0, 0};
    net_rig_start(r, CONTROL | MQ);
    assert_int_equal(vdrv_request(&r->d, 8, "\4\0\2\0", 4, answer, sizeof(answer)), 1);
    assert_memory_equal(answer, want, sizeof(want));
}

static void offloads_are_switched_off_and_on(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | GUEST);
    assert_int_equal(r->fake.offloads, NET_RIG_ALL);
    assert_int_equal(set_offloads(r, 0), OK);
    assert_int_equal(r->fake.offloads, 0);
    assert_int_equal(set_offloads(r, VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_TSO4)), OK);
    assert_int_equal(r->fake.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
    assert_int_equal(set_offloads(r, GUEST), OK);
    assert_int_equal(r->fake.offloads, NET_RIG_ALL);
}

static void offloads_that_are_switched_off_are_not_received(void **state)
{
    struct net_rig *r = *state;
    static const uint8_t raw[NET_HEADER_BYTES] = {1, 0, 0, 0, 0, 0, 34, 0, 6, 0};
    static const uint8_t frame[60];
    net_rig_start(r, CONTROL | GUEST);
    assert_int_equal(set_offloads(r, 0), OK);
    (void)net_rig_post(r, 0, 2048);
    net_rig_arrive(r, 0, raw, frame, sizeof(frame));
    assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(set_offloads(r, VIRTIO_FEATURE(NET_F_GUEST_CSUM)), OK);
    net_rig_arrive(r, 0, raw, frame, sizeof(frame));
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
}

static void offloads_that_were_not_negotiated_are_refused(void **state)
{
    struct net_rig *r = *state;
    const uint64_t csum = VIRTIO_FEATURE(NET_F_GUEST_CSUM), tso4 = VIRTIO_FEATURE(NET_F_GUEST_TSO4);
    net_rig_start(r, CONTROL | csum | tso4 | VIRTIO_FEATURE(NET_F_GUEST_ECN));
    assert_int_equal(set_offloads(r, csum | VIRTIO_FEATURE(NET_F_GUEST_TSO6)), ERR);
    assert_int_equal(set_offloads(r, VIRTIO_FEATURE(NET_F_CSUM)), ERR);
    assert_int_equal(set_offloads(r, UINT64_MAX), ERR);
    assert_int_equal(set_offloads(r, tso4), ERR);
    assert_int_equal(set_offloads(r, csum | VIRTIO_FEATURE(NET_F_GUEST_ECN)), ERR);
    assert_int_equal(net_rig_control(r, 5, 0, "\0\0\0\0\0\0\0", 7), ERR);
    assert_int_equal(net_rig_control(r, 5, 1, "\0\0\0\0\0\0\0\0", 8), ERR);
    assert_int_equal(set_offloads(r, csum | tso4), OK);
}

static void offloads_that_the_back_end_refuses_are_an_error(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, CONTROL | GUEST);
    r->fake.offloads_error = -EINVAL;
    assert_int_equal(set_offloads(r, 0), ERR);
}

static void commands_come_in_any_split(void **state)
{
    struct net_rig *r = *state;
    struct vdrv_buffer b[5];
    net_rig_start(r, CONTROL | MQ);
    uint64_t at = vdrv_put(&r->d, "\4\0\3\0\xff", 5);
    for (unsigned i = 0; i < 5; i++)
        b[i] = (struct vdrv_buffer){.gpa = at + i, .bytes = 1, .writable = i == 4};
    (void)vdrv_post(&r->d, 8, b, 5);
    vdrv_kick(&r->d, 8);
    assert_int_equal(*vdrv_at(&r->d, at + 4, 1), OK);
    assert_int_equal(r->fake.pairs, 3);
}

static void many_commands_are_served_by_one_notification(void **state)
{
    struct net_rig *r = *state;
    unsigned came = 0;
    net_rig_start(r, CONTROL | MQ);
    uint64_t at = vdrv_put(&r->d, "\4\0\2\0\xff", 5);
    const struct vdrv_buffer b[2] = {{.gpa = at, .bytes = 4}, {.gpa = at + 4, .bytes = 1, .writable = true}};
    for (unsigned i = 0; i < 32; i++)
        (void)vdrv_post(&r->d, 8, b, 2);
    vdrv_kick(&r->d, 8);
    while (vdrv_take(&r->d, 8, NULL, NULL))
        came++;
    assert_int_equal(came, 32);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_number_of_pairs_up_to_the_most_is_accepted),
        CASE(other_numbers_of_pairs_are_refused),
        CASE(pairs_that_the_back_end_refuses_are_an_error),
        CASE(a_reset_goes_back_to_one_pair_without_offloads),
        CASE(without_its_feature_a_command_is_an_error),
        CASE(without_the_queues_feature_nothing_is_answered),
        CASE(the_queue_follows_the_only_pair_of_a_driver_that_knows_one),
        CASE(receive_modes_are_answered_with_ok),
        CASE(address_tables_have_to_add_up),
        CASE(the_address_is_fixed),
        CASE(classes_that_are_not_offered_are_errors),
        CASE(a_command_that_is_cut_short_is_an_error),
        CASE(a_command_without_a_place_for_the_answer_is_not_carried_out),
        CASE(an_answer_takes_one_byte_of_a_larger_place),
        CASE(offloads_are_switched_off_and_on),
        CASE(offloads_that_are_switched_off_are_not_received),
        CASE(offloads_that_were_not_negotiated_are_refused),
        CASE(offloads_that_the_back_end_refuses_are_an_error),
        CASE(commands_come_in_any_split),
        CASE(many_commands_are_served_by_one_notification),
    };
    return cmocka_run_group_tests_name("virtio/net_control", tests, NULL, NULL);
}
