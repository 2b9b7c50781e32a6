/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/lib/netns.h"

/* What the kernel would say is built like a request and read like a reply. */
static struct netlink_message message_of(const struct netlink_request *q, uint16_t type)
{
    assert_false(q->overflow);
    return (struct netlink_message){
        .type = type, .payload = q->bytes + NLMSG_HDRLEN, .bytes = q->length - NLMSG_HDRLEN};
}

/* ---- Links ---- */

static struct netlink_request link_message(void)
{
    const struct ifinfomsg h = {.ifi_index = 7, .ifi_type = 1, .ifi_flags = IFF_UP};
    struct netlink_request q;
    netlink_request_init(&q, RTM_NEWLINK, 0, &h, sizeof(h));
    netlink_add_string(&q, IFLA_IFNAME, "eth0");
    netlink_add(&q, IFLA_ADDRESS, "\2\0\0\0\0\7", 6);
    netlink_add_u32(&q, IFLA_MTU, 1450);
    netlink_add_u32(&q, IFLA_LINK, 3);
    size_t info = netlink_nest_begin(&q, IFLA_LINKINFO);
    netlink_add_string(&q, IFLA_INFO_KIND, "macvlan");
    netlink_nest_end(&q, info);
    return q;
}

static void link_is_read_with_kind_and_address(void **state)
{
    (void)state;
    struct netlink_request q = link_message();
    struct netlink_message m = message_of(&q, RTM_NEWLINK);
    struct rtnl_link l;
    assert_int_equal(rtnl_parse_link(&m, &l), 1);
    assert_string_equal(l.name, "eth0");
    assert_string_equal(l.kind, "macvlan");
    assert_true(l.has_mac && l.mac[5] == 7);
    assert_int_equal(l.index, 7);
    assert_int_equal(l.mtu, 1450);
    assert_int_equal(l.lower, 3);
}

static void lower_link_in_another_namespace_is_none(void **state)
{
    (void)state;
    struct netlink_request q = link_message();
    netlink_add_u32(&q, IFLA_LINK_NETNSID, 0);
    struct netlink_message m = message_of(&q, RTM_NEWLINK);
    struct rtnl_link l;
    assert_int_equal(rtnl_parse_link(&m, &l), 1);
    assert_int_equal(l.lower, 0);
}

static void link_without_a_sound_name_or_index_is_refused(void **state)
{
    (void)state;
    const struct ifinfomsg good = {.ifi_index = 7}, bad = {.ifi_index = -1};
    struct netlink_request q;
    struct netlink_message m;
    struct rtnl_link l;
    netlink_request_init(&q, RTM_NEWLINK, 0, &good, sizeof(good));
    m = message_of(&q, RTM_NEWLINK);
    assert_int_equal(rtnl_parse_link(&m, &l), -EBADMSG);
    netlink_add_string(&q, IFLA_IFNAME, "a-name-of-16-bytes");
    m = message_of(&q, RTM_NEWLINK);
    assert_int_equal(rtnl_parse_link(&m, &l), -EBADMSG);
    netlink_request_init(&q, RTM_NEWLINK, 0, &bad, sizeof(bad));
    netlink_add_string(&q, IFLA_IFNAME, "eth0");
    m = message_of(&q, RTM_NEWLINK);
    assert_int_equal(rtnl_parse_link(&m, &l), -EBADMSG);
}

static void addresses_of_other_sizes_are_no_hardware_address(void **state)
{
    (void)state;
    const struct ifinfomsg h = {.ifi_index = 7};
    struct netlink_request q;
    struct rtnl_link l;
    netlink_request_init(&q, RTM_NEWLINK, 0, &h, sizeof(h));
    netlink_add_string(&q, IFLA_IFNAME, "ib0");
    netlink_add(&q, IFLA_ADDRESS, "12345678901234567890", 20);
    struct netlink_message m = message_of(&q, RTM_NEWLINK);
    assert_int_equal(rtnl_parse_link(&m, &l), 1);
    assert_false(l.has_mac);
}

/* ---- Addresses ---- */

static void other_end_of_an_address_is_told_apart(void **state)
{
    (void)state;
    const struct ifaddrmsg h = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 7};
    struct netlink_request q;
    struct rtnl_address a;
    netlink_request_init(&q, RTM_NEWADDR, 0, &h, sizeof(h));
    netlink_add(&q, IFA_ADDRESS, "\12\0\0\1", 4);
    netlink_add(&q, IFA_LOCAL, "\12\0\0\2", 4);
    struct netlink_message m = message_of(&q, RTM_NEWADDR);
    assert_int_equal(rtnl_parse_address(&m, &a), 1);
    assert_int_equal(a.local.bytes[3], 2);
    assert_int_equal(a.peer.bytes[3], 1);
    netlink_add(&q, IFA_LOCAL, "\12\0\0\1", 4);
    m = message_of(&q, RTM_NEWADDR);
    assert_int_equal(rtnl_parse_address(&m, &a), 1);
    assert_int_equal(a.peer.family, 0);
}

static void address_that_does_not_fit_its_family_is_refused(void **state)
{
    (void)state;
    static const struct ifaddrmsg headers[] = {{.ifa_family = AF_INET6, .ifa_prefixlen = 64},
                                               {.ifa_family = AF_INET, .ifa_prefixlen = 33}};
    for (size_t i = 0; i < 2; i++) {
        struct netlink_request q;
        struct rtnl_address a;
        netlink_request_init(&q, RTM_NEWADDR, 0, &headers[i], sizeof(headers[i]));
        netlink_add(&q, IFA_ADDRESS, "\12\0\0\1", 4);
        struct netlink_message m = message_of(&q, RTM_NEWADDR);
        assert_int_equal(rtnl_parse_address(&m, &a), -EBADMSG);
    }
}

/* ---- Routes ---- */

static struct netlink_request route_message(const struct rtmsg *h)
{
    struct netlink_request q;
    netlink_request_init(&q, RTM_NEWROUTE, 0, h, sizeof(*h));
    netlink_add_u32(&q, RTA_TABLE, RT_TABLE_MAIN);
    netlink_add_u32(&q, RTA_OIF, 7);
    return q;
}

static int parse_route(const struct netlink_request *q, struct rtnl_route *r)
{
    struct netlink_message m = message_of(q, RTM_NEWROUTE);
    return rtnl_parse_route(&m, r);
}

static void gateway_of_the_other_family_is_read(void **state)
{
    (void)state;
    const struct rtmsg h = {.rtm_family = AF_INET};
    uint8_t via[18] = {AF_INET6, 0, 0xfe, 0x80};
    struct netlink_request q = route_message(&h);
    struct rtnl_route r;
    netlink_add(&q, RTA_VIA, via, sizeof(via));
    assert_int_equal(parse_route(&q, &r), 1);
    assert_int_equal(r.gateway.family, AF_INET6);
    assert_int_equal(r.destination.family, AF_INET);
    assert_int_equal(r.destination.prefix, 0);
}

static void gateways_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        size_t n;
        uint8_t bytes[20];
    } cases[] = {{RTA_VIA, 1, {AF_INET}},  {RTA_VIA, 2, {AF_INET}},        {RTA_VIA, 5, {AF_INET}},
                 {RTA_VIA, 6, {AF_INET6}}, {RTA_VIA, 18, {28 /* MPLS */}}, {RTA_GATEWAY, 16, {0}},
                 {RTA_GATEWAY, 0, {0}}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rtmsg h = {.rtm_family = AF_INET};
        struct netlink_request q = route_message(&h);
        struct rtnl_route r;
        netlink_add(&q, cases[i].type, cases[i].bytes, cases[i].n);
        assert_int_equal(parse_route(&q, &r), -EBADMSG);
    }
}

static void routes_of_other_tables_and_cached_ones_are_passed_over(void **state)
{
    (void)state;
    const struct rtmsg plain = {.rtm_family = AF_INET}, cloned = {.rtm_family = AF_INET6, .rtm_flags = RTM_F_CLONED};
    const struct rtmsg mpls = {.rtm_family = 28};
    struct netlink_request q = route_message(&plain);
    struct rtnl_route r;
    netlink_add_u32(&q, RTA_TABLE, RT_TABLE_LOCAL);
    assert_int_equal(parse_route(&q, &r), 0);
    q = route_message(&cloned);
    assert_int_equal(parse_route(&q, &r), 0);
    q = route_message(&mpls);
    assert_int_equal(parse_route(&q, &r), 0);
}

static void prefix_without_a_destination_is_refused(void **state)
{
    (void)state;
    const struct rtmsg h = {.rtm_family = AF_INET, .rtm_dst_len = 8};
    struct netlink_request q = route_message(&h);
    struct rtnl_route r;
    assert_int_equal(parse_route(&q, &r), -EBADMSG);
}

static void several_paths_make_a_route_special(void **state)
{
    (void)state;
    const struct rtmsg h = {.rtm_family = AF_INET};
    struct netlink_request q = route_message(&h);
    struct rtnl_route r;
    netlink_add(&q, RTA_MULTIPATH, "\10\0\0\0\1\0\0\0", 8);
    assert_int_equal(parse_route(&q, &r), 1);
    assert_true(r.special);
}

/* ---- All ---- */

static void short_headers_and_other_types_are_not_read(void **state)
{
    (void)state;
    static const uint8_t bytes[4];
    struct rtnl_link l;
    struct rtnl_address a;
    struct rtnl_route r;
    struct rtnl_neighbour n;
    struct netlink_message m = {.payload = bytes, .bytes = sizeof(bytes)};
    m.type = RTM_NEWLINK;
    assert_int_equal(rtnl_parse_link(&m, &l), -EBADMSG);
    assert_int_equal(rtnl_parse_address(&m, &a), 0);
    m.type = RTM_NEWADDR;
    assert_int_equal(rtnl_parse_address(&m, &a), -EBADMSG);
    assert_int_equal(rtnl_parse_route(&m, &r), 0);
    m.type = RTM_NEWROUTE;
    assert_int_equal(rtnl_parse_route(&m, &r), -EBADMSG);
    assert_int_equal(rtnl_parse_neighbour(&m, &n), 0);
    m.type = RTM_NEWNEIGH;
    assert_int_equal(rtnl_parse_neighbour(&m, &n), -EBADMSG);
    assert_int_equal(rtnl_parse_link(&m, &l), 0);
}

static void lists_of_a_new_namespace_are_read(void **state)
{
    (void)state;
    struct netlink nl;
    struct rtnl_link *links;
    struct rtnl_address *addresses;
    size_t count;
    if (!netns_can())
        skip();
    assert_int_equal(netlink_open(&nl, NULL), 0);
    assert_int_equal(rtnl_list_links(&nl, &links, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(links[0].name, "lo");
    assert_int_equal(rtnl_list_addresses(&nl, &addresses, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_null(addresses);
    free(links);
    netlink_close(&nl);
}

static void kernel_refuses_with_the_words_of_its_own(void **state)
{
    (void)state;
    const struct err_context what = {.attempted = "change a link", .what_to_do = "do otherwise"};
    const struct rtnl_link_change c = {.index = 4711, .mtu = 1400};
    struct netlink nl;
    struct err err;
    if (!netns_can())
        skip();
    assert_int_equal(netlink_open(&nl, NULL), 0);
    assert_int_equal(rtnl_set_link(&nl, &c, &what, &err), -ENODEV);
    assert_non_null(strstr(err.text, "cannot change a link: "));
    netlink_close(&nl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(link_is_read_with_kind_and_address),
        cmocka_unit_test(lower_link_in_another_namespace_is_none),
        cmocka_unit_test(link_without_a_sound_name_or_index_is_refused),
        cmocka_unit_test(addresses_of_other_sizes_are_no_hardware_address),
        cmocka_unit_test(other_end_of_an_address_is_told_apart),
        cmocka_unit_test(address_that_does_not_fit_its_family_is_refused),
        cmocka_unit_test(gateway_of_the_other_family_is_read),
        cmocka_unit_test(gateways_that_do_not_fit_are_refused),
        cmocka_unit_test(routes_of_other_tables_and_cached_ones_are_passed_over),
        cmocka_unit_test(prefix_without_a_destination_is_refused),
        cmocka_unit_test(several_paths_make_a_route_special),
        cmocka_unit_test(short_headers_and_other_types_are_not_read),
        cmocka_unit_test(lists_of_a_new_namespace_are_read),
        cmocka_unit_test(kernel_refuses_with_the_words_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
