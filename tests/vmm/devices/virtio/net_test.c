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

#define BIT(n) (1u << (n))
#define ALWAYS                                                                                                         \
    (BIT(NET_F_MAC) | BIT(NET_F_MRG_RXBUF) | BIT(NET_F_STATUS) | BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX) |             \
     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC))
#define OF_OFFLOADS                                                                                                    \
    (BIT(NET_F_CSUM) | BIT(NET_F_GUEST_CSUM) | BIT(NET_F_GUEST_TSO4) | BIT(NET_F_GUEST_TSO6) | BIT(NET_F_GUEST_ECN) |  \
     BIT(NET_F_HOST_TSO4) | BIT(NET_F_HOST_TSO6) | BIT(NET_F_HOST_ECN) | BIT(NET_F_CTRL_GUEST_OFFLOADS))

static int set_up(void **state)
{
    struct net_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    net_rig_init(r);
    return 0;
}

static int tear_down(void **state)
{
    net_rig_fini(*state);
    free(*state);
    return 0;
}

static void refuse(struct net_rig *r, const char *why)
{
    struct err err;
    assert_int_equal(net_new(&r->cfg, &r->net, &err), -EINVAL);
    assert_non_null(strstr(err.text, why));
    assert_null(r->net);
    assert_false(r->fake.started);
}

static void with_all_offloads_it_offers_their_features(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_offered(r->d.v, 0), ALWAYS | OF_OFFLOADS);
    assert_int_equal(virtio_get_offered(r->d.v, 1), 1);
}

static void without_offloads_it_offers_none(void **state)
{
    struct net_rig *r = *state;
    r->fake.backend.offloads = 0;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_offered(r->d.v, 0), ALWAYS);
}

static void segmentation_without_checksums_is_not_offered(void **state)
{
    struct net_rig *r = *state;
    r->fake.backend.offloads = NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_offered(r->d.v, 0), ALWAYS);
}

static void several_pairs_and_an_mtu_have_features(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 2;
    r->cfg.mtu = 9000;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_offered(r->d.v, 0), ALWAYS | OF_OFFLOADS | BIT(NET_F_MQ) | BIT(NET_F_MTU));
}

static void a_feature_that_is_not_offered_is_refused(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    assert_false(vdrv_negotiate(&r->d, VIRTIO_FEATURE(NET_F_MQ)));
    assert_false(vdrv_negotiate(&r->d, VIRTIO_FEATURE(21))); /* GUEST_ANNOUNCE */
    assert_false(vdrv_negotiate(&r->d, VIRTIO_FEATURE(23))); /* CTRL_MAC_ADDR */
    assert_false(vdrv_negotiate(&r->d, VIRTIO_FEATURE(14))); /* HOST_UFO */
    assert_false(vdrv_negotiate(&r->d, VIRTIO_FEATURE(56))); /* HOST_USO */
    assert_true(vdrv_negotiate(&r->d, VIRTIO_FEATURE(NET_F_MAC)));
}

static void the_configuration_has_address_link_pairs_and_mtu(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 3;
    r->cfg.mtu = 1400;
    net_rig_start(r, 0);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), 0x03020102);
    assert_int_equal(virtio_read_config(r->d.v, 4, 2), 0x0504);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 1);
    assert_int_equal(virtio_read_config(r->d.v, 8, 2), 3);
    assert_int_equal(virtio_read_config(r->d.v, 10, 2), 1400);
    assert_int_equal(virtio_read_config(r->d.v, 12, 4), 0);
}

static void the_configuration_cannot_be_written(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    virtio_write_config(r->d.v, 0, 4, 0xffffffff);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), 0x03020102);
}

static void the_mtu_is_the_back_ends_unless_another_is_given(void **state)
{
    struct net_rig *r = *state;
    r->fake.backend.mtu = 65520;
    net_rig_start(r, 0);
    assert_int_equal(virtio_read_config(r->d.v, 10, 2), 65520);
    net_free(r->net);
    r->cfg.mtu = 1280;
    net_rig_start(r, 0);
    assert_int_equal(virtio_read_config(r->d.v, 10, 2), 1280);
}

static void there_are_two_queues_for_each_pair_and_one_for_control(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 4;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_queue(r->d.v, 8, VIRTIO_QUEUE_SIZE_MAX), NET_QUEUE_SIZE);
    assert_int_equal(virtio_get_queue(r->d.v, 9, VIRTIO_QUEUE_SIZE_MAX), 0);
}

static void no_number_of_pairs_means_one(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 0;
    net_rig_start(r, 0);
    assert_int_equal(virtio_get_queue(r->d.v, 2, VIRTIO_QUEUE_SIZE_MAX), NET_QUEUE_SIZE);
    assert_int_equal(virtio_get_queue(r->d.v, 3, VIRTIO_QUEUE_SIZE_MAX), 0);
}

static void an_address_of_a_group_or_none_is_refused(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mac[0] = 0x03;
    refuse(r, "address");
    memset(r->cfg.mac, 0xff, sizeof(r->cfg.mac));
    refuse(r, "address");
    memset(r->cfg.mac, 0, sizeof(r->cfg.mac));
    refuse(r, "address");
}

static void more_pairs_than_there_are_are_refused(void **state)
{
    struct net_rig *r = *state;
    r->cfg.pairs = 5;
    refuse(r, "there are 4 queue pairs, not 5");
    r->fake.backend.pairs = 1;
    r->cfg.pairs = 2;
    refuse(r, "there are 1 queue pairs, not 2");
}

static void an_mtu_that_cannot_be_is_refused(void **state)
{
    struct net_rig *r = *state;
    r->cfg.mtu = 67;
    refuse(r, "67");
}

static void a_back_end_that_does_not_start_is_an_error(void **state)
{
    struct net_rig *r = *state;
    struct err err;
    r->fake.start_error = -ENOSPC;
    assert_int_equal(net_new(&r->cfg, &r->net, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "fake"));
    assert_null(r->net);
}

static void nothing_is_freed_where_nothing_is(void **state)
{
    (void)state;
    net_free(NULL);
    net_backend_close(NULL);
}

static void the_cable_is_plugged_out_and_in(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_STATUS));
    uint8_t generation = virtio_get_generation(r->d.v);
    net_set_link(r->net, true);
    assert_int_equal(r->d.config_interrupts, 0);
    net_set_link(r->net, false);
    assert_int_equal(r->d.config_interrupts, 1);
    assert_int_not_equal(virtio_get_generation(r->d.v), generation);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 0);
    net_set_link(r->net, true);
    assert_int_equal(r->d.config_interrupts, 2);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 1);
}

static void the_link_needs_both_the_cable_and_the_far_end(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_STATUS));
    r->fake.events.link(r->fake.events.ctx, false);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 0);
    net_set_link(r->net, false);
    r->fake.events.link(r->fake.events.ctx, true);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 0);
    net_set_link(r->net, true);
    assert_int_equal(virtio_read_config(r->d.v, 6, 2), 1);
}

static void offloads_follow_the_drivers_choice(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_TSO6));
    assert_int_equal(r->fake.offloads, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
    vdrv_reset(&r->d);
    assert_int_equal(r->fake.offloads, 0);
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(NET_F_GUEST_TSO4)));
    assert_int_equal(r->fake.offloads, 0);
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(NET_F_GUEST_CSUM) | VIRTIO_FEATURE(NET_F_GUEST_ECN)));
    assert_int_equal(r->fake.offloads, NET_OFFLOAD_CSUM);
}

static void a_reset_before_anything_else_does_no_harm(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    vdrv_reset(&r->d);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, 0));
}

static void queues_that_are_rung_without_a_driver_do_nothing(void **state)
{
    struct net_rig *r = *state;
    net_rig_start(r, 0);
    vdrv_reset(&r->d);
    for (unsigned i = 0; i < 3; i++)
        vdrv_kick(&r->d, i);
    r->fake.events.writable(r->fake.events.ctx, 0);
    r->fake.events.readable(r->fake.events.ctx, 0);
    vdrv_turn(&r->d);
    assert_int_equal(r->fake.receives, 0);
}

static void queues_of_pairs_that_the_driver_does_not_know_do_nothing(void **state)
{
    struct net_rig *r = *state;
    uint8_t got[64];
    r->cfg.pairs = 3;
    net_rig_start(r, VIRTIO_FEATURE(NET_F_CTRL_VQ));
    assert_int_equal(vdrv_request(&r->d, 4, NULL, 0, got, sizeof(got)), -1);
    assert_int_equal(vdrv_request(&r->d, 3, "x", 1, NULL, 0), -1);
    assert_int_equal(r->fake.receives, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(with_all_offloads_it_offers_their_features),
        CASE(without_offloads_it_offers_none),
        CASE(segmentation_without_checksums_is_not_offered),
        CASE(several_pairs_and_an_mtu_have_features),
        CASE(a_feature_that_is_not_offered_is_refused),
        CASE(the_configuration_has_address_link_pairs_and_mtu),
        CASE(the_configuration_cannot_be_written),
        CASE(the_mtu_is_the_back_ends_unless_another_is_given),
        CASE(there_are_two_queues_for_each_pair_and_one_for_control),
        CASE(no_number_of_pairs_means_one),
        CASE(an_address_of_a_group_or_none_is_refused),
        CASE(more_pairs_than_there_are_are_refused),
        CASE(an_mtu_that_cannot_be_is_refused),
        CASE(a_back_end_that_does_not_start_is_an_error),
        CASE(nothing_is_freed_where_nothing_is),
        CASE(the_cable_is_plugged_out_and_in),
        CASE(the_link_needs_both_the_cable_and_the_far_end),
        CASE(offloads_follow_the_drivers_choice),
        CASE(a_reset_before_anything_else_does_no_harm),
        CASE(queues_that_are_rung_without_a_driver_do_nothing),
        CASE(queues_of_pairs_that_the_driver_does_not_know_do_nothing),
    };
    return cmocka_run_group_tests_name("virtio/net", tests, NULL, NULL);
}
