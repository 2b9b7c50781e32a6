/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/devices/virtio/net_internal.h"

#define ALL                                                                                                            \
    ((unsigned)NET_OFFLOAD_CSUM | (unsigned)NET_OFFLOAD_TSO4 | (unsigned)NET_OFFLOAD_TSO6 | (unsigned)NET_OFFLOAD_ECN)

/* A good request for segmentation of 1000 bytes. */
static struct net_header good(uint8_t type)
{
    return (struct net_header){.flags = NET_HEADER_NEEDS_CSUM,
                               .gso_type = type,
                               .header_bytes = 54,
                               .gso_bytes = 500,
                               .csum_start = 34,
                               .csum_offset = 16};
}

static bool is_out_allowed(struct net_header h, unsigned allowed)
{
    return net_header_clean_out(&h, allowed, 1000);
}

static void bytes_and_fields_agree(void **state)
{
    static const uint8_t raw[NET_HEADER_BYTES] = {1, 4, 0x22, 0x11, 0x44, 0x33, 0x66, 0x55, 0x88, 0x77, 0xaa, 0x99};
    uint8_t again[NET_HEADER_BYTES];
    struct net_header h = net_header_load(raw);
    (void)state;
    assert_int_equal(h.flags, 1);
    assert_int_equal(h.gso_type, 4);
    assert_int_equal(h.header_bytes, 0x1122);
    assert_int_equal(h.gso_bytes, 0x3344);
    assert_int_equal(h.csum_start, 0x5566);
    assert_int_equal(h.csum_offset, 0x7788);
    assert_int_equal(h.buffers, 0x99aa);
    net_header_store(&h, again);
    assert_memory_equal(raw, again, sizeof(raw));
}

static void an_empty_header_is_always_allowed(void **state)
{
    struct net_header h = {.flags = 0};
    (void)state;
    assert_true(net_header_clean_out(&h, 0, NET_FRAME_MIN));
    assert_true(net_header_clean_in(&h, 0));
}

static void flags_and_fields_that_mean_nothing_are_cleared(void **state)
{
    struct net_header h = {
        .flags = 0xfe, .header_bytes = 1, .gso_bytes = 2, .csum_start = 3, .csum_offset = 4, .buffers = 5};
    static const struct net_header none;
    (void)state;
    assert_true(net_header_clean_out(&h, ALL, 60));
    assert_memory_equal(&h, &none, sizeof(h));
}

static void a_checksum_needs_its_feature(void **state)
{
    (void)state;
    assert_true(is_out_allowed(good(NET_GSO_NONE), NET_OFFLOAD_CSUM));
    assert_false(is_out_allowed(good(NET_GSO_NONE), 0));
    assert_false(is_out_allowed(good(NET_GSO_NONE), ALL & ~(unsigned)NET_OFFLOAD_CSUM));
}

static void a_checksum_lies_inside_the_frame(void **state)
{
    static const struct {
        uint16_t start, offset;
        bool allowed;
    } row[] = {
        {14, 0, true},     {13, 16, false},    {0, 0, false},         {998, 0, true},
        {999, 0, false},   {34, 964, true},    {34, 965, false},      {1000, 0, false},
        {65535, 0, false}, {14, 65535, false}, {65535, 65535, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct net_header h = {
            .flags = NET_HEADER_NEEDS_CSUM, .csum_start = row[i].start, .csum_offset = row[i].offset};
        assert_int_equal(is_out_allowed(h, ALL), row[i].allowed);
    }
}

static void segmentation_needs_its_feature(void **state)
{
    static const struct {
        uint8_t type;
        unsigned needs;
    } row[] = {
        {NET_GSO_TCPV4, NET_OFFLOAD_TSO4},
        {NET_GSO_TCPV6, NET_OFFLOAD_TSO6},
        {NET_GSO_TCPV4 | NET_GSO_ECN, NET_OFFLOAD_ECN},
        {NET_GSO_TCPV6 | NET_GSO_ECN, NET_OFFLOAD_ECN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_true(is_out_allowed(good(row[i].type), ALL));
        assert_false(is_out_allowed(good(row[i].type), ALL & ~row[i].needs));
        struct net_header h = good(row[i].type);
        assert_true(net_header_clean_in(&h, ALL));
        assert_int_equal(h.gso_bytes, 500);
        assert_false(net_header_clean_in(&h, ALL & ~row[i].needs));
    }
}

static void other_kinds_of_segmentation_are_refused(void **state)
{
    (void)state;
    for (unsigned type = 1; type < 256; type++) {
        unsigned base = type & 0x7f;
        bool known = base == NET_GSO_TCPV4 || base == NET_GSO_TCPV6;
        struct net_header h = good((uint8_t)type);
        assert_int_equal(is_out_allowed(h, ALL), known);
        assert_int_equal(net_header_clean_in(&h, ALL), known);
    }
}

static void segmentation_without_a_checksum_is_refused(void **state)
{
    struct net_header h = good(NET_GSO_TCPV4);
    (void)state;
    h.flags = 0;
    assert_false(is_out_allowed(h, ALL));
}

static void segments_of_nearly_nothing_are_refused(void **state)
{
    struct net_header h = good(NET_GSO_TCPV4);
    (void)state;
    h.gso_bytes = 8;
    assert_true(is_out_allowed(h, ALL));
    h.gso_bytes = 7;
    assert_false(is_out_allowed(h, ALL));
    h.gso_bytes = 0;
    assert_false(is_out_allowed(h, ALL));
}

static void headers_that_are_longer_than_the_frame_are_refused(void **state)
{
    struct net_header h = good(NET_GSO_TCPV6);
    (void)state;
    h.header_bytes = 1000;
    assert_true(is_out_allowed(h, ALL));
    h.header_bytes = 1001;
    assert_false(is_out_allowed(h, ALL));
}

static void a_checksum_left_to_a_guest_that_does_not_want_it_is_refused(void **state)
{
    struct net_header h = good(NET_GSO_NONE);
    (void)state;
    assert_true(net_header_clean_in(&h, NET_OFFLOAD_CSUM));
    assert_int_equal(h.csum_start, 34);
    assert_false(net_header_clean_in(&h, 0));
}

static void a_checksum_that_was_verified_is_told_to_those_who_understand(void **state)
{
    struct net_header h = {.flags = NET_HEADER_DATA_VALID | 0x80};
    (void)state;
    assert_true(net_header_clean_in(&h, NET_OFFLOAD_CSUM));
    assert_int_equal(h.flags, NET_HEADER_DATA_VALID);
    assert_true(net_header_clean_in(&h, 0));
    assert_int_equal(h.flags, 0);
}

static void offloads_without_those_they_need_are_none(void **state)
{
    (void)state;
    assert_int_equal(net_offloads_sane(ALL), ALL);
    assert_int_equal(net_offloads_sane(ALL & ~(unsigned)NET_OFFLOAD_CSUM), 0);
    assert_int_equal(net_offloads_sane(NET_OFFLOAD_CSUM | NET_OFFLOAD_ECN), NET_OFFLOAD_CSUM);
    assert_int_equal(net_offloads_sane(NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6), NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_fields_agree),
        cmocka_unit_test(an_empty_header_is_always_allowed),
        cmocka_unit_test(flags_and_fields_that_mean_nothing_are_cleared),
        cmocka_unit_test(a_checksum_needs_its_feature),
        cmocka_unit_test(a_checksum_lies_inside_the_frame),
        cmocka_unit_test(segmentation_needs_its_feature),
        cmocka_unit_test(other_kinds_of_segmentation_are_refused),
        cmocka_unit_test(segmentation_without_a_checksum_is_refused),
        cmocka_unit_test(segments_of_nearly_nothing_are_refused),
        cmocka_unit_test(headers_that_are_longer_than_the_frame_are_refused),
        cmocka_unit_test(a_checksum_left_to_a_guest_that_does_not_want_it_is_refused),
        cmocka_unit_test(a_checksum_that_was_verified_is_told_to_those_who_understand),
        cmocka_unit_test(offloads_without_those_they_need_are_none),
    };
    return cmocka_run_group_tests_name("virtio/net_header", tests, NULL, NULL);
}
