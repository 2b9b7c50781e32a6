/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/net.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <pb_decode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/netns.h"

#define MAC0 "02:00:00:00:00:10"
#define MAC1 "02:00:00:00:00:11"

/* The guest: two devices with other names than the ones they are to get, each with a peer that stands for the host. */
struct guest {
    struct netns ns;
};

static int set_up(void **state)
{
    struct guest *g;
    *state = NULL;
    if (!netns_can())
        return 0;
    g = calloc(1, sizeof(*g));
    if (g == NULL)
        return -1;
    netns_make(&g->ns);
    netns_in(&g->ns);
    netns_up(&g->ns.nl, "lo");
    netns_add_veth(&g->ns.nl, "dev0", "host0", -1);
    netns_add_veth(&g->ns.nl, "dev1", "host1", -1);
    netns_set_mac(&g->ns.nl, "dev0", MAC0);
    netns_set_mac(&g->ns.nl, "dev1", MAC1);
    netns_up(&g->ns.nl, "host0");
    netns_up(&g->ns.nl, "host1");
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct guest *g = *state;
    if (g != NULL) {
        netns_out(&g->ns);
        netns_end(&g->ns);
    }
    free(g);
    return 0;
}

static struct guest *need(void **state)
{
    if (*state == NULL) {
        print_message("network namespaces cannot be made here\n");
        skip();
    }
    return *state;
}

static char *writable(const char *text)
{
    return (char *)(uintptr_t)text;
}

static types_IPAddress v4(const char *address, const char *mask)
{
    return (types_IPAddress){.family = types_IPFamily_v4, .address = writable(address), .mask = writable(mask)};
}

static types_Interface interface(const char *name, const char *mac, types_IPAddress *addresses, pb_size_t count)
{
    return (types_Interface){
        .name = writable(name), .hwAddr = writable(mac), .IPAddresses = addresses, .IPAddresses_count = count};
}

static void update(const types_Interface *in)
{
    struct err err;
    int code = agent_net_update_interface(in, NULL, &err);
    if (code < 0)
        print_error("%s\n", err.text);
    assert_int_equal(code, 0);
}

struct line {
    char text[1024];
};

/* What there is, as one line: addresses of an interface but link-local ones, or routes. */
static struct line addresses_of(const char *name)
{
    struct line out;
    grpc_Interfaces all;
    out.text[0] = '\0';
    assert_int_equal(agent_net_list_interfaces(&all, NULL), 0);
    for (pb_size_t i = 0; i < all.Interfaces_count; i++) {
        const types_Interface *f = &all.Interfaces[i];
        for (pb_size_t j = 0; strcmp(f->name, name) == 0 && j < f->IPAddresses_count; j++)
            if (strncmp(f->IPAddresses[j].address, "fe80", 4) != 0)
                (void)snprintf(out.text + strlen(out.text), sizeof(out.text) - strlen(out.text), "%s/%s ",
                               f->IPAddresses[j].address, f->IPAddresses[j].mask);
    }
    pb_release(grpc_Interfaces_fields, &all);
    return out;
}

static struct line routes_in_words(types_IPFamily family)
{
    struct line out;
    grpc_Routes all;
    out.text[0] = '\0';
    assert_int_equal(agent_net_list_routes(&all, NULL), 0);
    for (pb_size_t i = 0; i < all.Routes_count; i++) {
        const types_Route *r = &all.Routes[i];
        if (r->family == family && strncmp(r->dest, "fe80", 4) != 0)
            (void)snprintf(out.text + strlen(out.text), sizeof(out.text) - strlen(out.text), "%s>%s@%s ", r->dest,
                           r->gateway, r->device);
    }
    pb_release(grpc_Routes_fields, &all);
    return out;
}

/* ---- Interfaces ---- */

static void interface_found_by_hardware_address_gets_name_mtu_and_addresses(void **state)
{
    struct guest *g = need(state);
    types_IPAddress addresses[] = {v4("10.1.2.3", "24"), v4("10.9.0.1", "32")};
    types_Interface in = interface("eth0", MAC0, addresses, 2), out;
    in.mtu = 1400;
    assert_int_equal(agent_net_update_interface(&in, &out, NULL), 0);
    assert_string_equal(out.name, "eth0");
    assert_string_equal(out.hwAddr, MAC0);
    assert_int_equal(out.mtu, 1400);
    assert_true((out.raw_flags & IFF_UP) != 0);
    pb_release(types_Interface_fields, &out);
    assert_string_equal(addresses_of("eth0").text, "10.1.2.3/24 10.9.0.1/32 ");
    assert_int_equal(netns_index(&g->ns.nl, "dev0"), 0);
}

static void ipv6_address_is_usable_at_once(void **state)
{
    need(state);
    types_IPAddress addresses[] = {
        {.family = types_IPFamily_v6, .address = writable("2001:db8::5"), .mask = writable("64")}};
    types_Interface in = interface("eth0", MAC0, addresses, 1);
    struct rtnl_address *all;
    struct netlink nl;
    size_t count;
    bool seen = false;
    update(&in);
    assert_int_equal(netlink_open(&nl, NULL), 0);
    assert_int_equal(rtnl_list_addresses(&nl, &all, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char text[IP_TEXT_BYTES];
        ip_format(&all[i].local, IP_WITH_PREFIX, text);
        if (strcmp(text, "2001:db8::5/64") == 0) {
            seen = true;
            assert_int_equal(all[i].flags & 0x40 /* IFA_F_TENTATIVE */, 0);
        }
    }
    free(all);
    netlink_close(&nl);
    assert_true(seen);
}

static void second_update_replaces_addresses(void **state)
{
    need(state);
    types_IPAddress before[] = {v4("10.1.2.3", "24"), v4("10.1.2.4", "24"), v4("10.5.0.1", "16")};
    types_IPAddress after[] = {v4("10.1.2.4", "24"), v4("10.6.0.1", "16")};
    types_Interface in = interface("eth0", MAC0, before, 3);
    update(&in);
    in = interface("eth0", MAC0, after, 2);
    update(&in);
    assert_string_equal(addresses_of("eth0").text, "10.1.2.4/24 10.6.0.1/16 ");
}

static void update_with_the_same_name_keeps_the_link_and_its_routes(void **state)
{
    struct guest *g = need(state);
    types_IPAddress addresses[] = {v4("10.1.2.3", "24")};
    types_Interface in = interface("eth0", MAC0, addresses, 1);
    update(&in);
    netns_add_route(&g->ns.nl, "eth0", "0.0.0.0/0", "10.1.2.1", 0);
    in.mtu = 1300;
    update(&in);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, ">10.1.2.1@eth0 10.1.2.0/24>@eth0 ");
}

static void names_are_swapped_when_another_interface_has_the_wanted_one(void **state)
{
    struct guest *g = need(state);
    types_Interface in = interface("dev1", MAC0, NULL, 0);
    netns_up(&g->ns.nl, "dev0");
    netns_up(&g->ns.nl, "dev1");
    uint32_t first = netns_index(&g->ns.nl, "dev0"), second = netns_index(&g->ns.nl, "dev1");
    update(&in);
    assert_int_equal(netns_index(&g->ns.nl, "dev1"), first);
    assert_int_equal(netns_index(&g->ns.nl, "dev0"), second);
    assert_true((netns_link(&g->ns.nl, "dev0").flags & IFF_UP) != 0);
    assert_true((netns_link(&g->ns.nl, "dev1").flags & IFF_UP) != 0);
}

static void noarp_is_taken_over_and_taken_back(void **state)
{
    struct guest *g = need(state);
    types_Interface in = interface("eth0", MAC0, NULL, 0);
    in.raw_flags = IFF_NOARP;
    update(&in);
    assert_true((netns_link(&g->ns.nl, "eth0").flags & IFF_NOARP) != 0);
    in.raw_flags = 0;
    update(&in);
    assert_true((netns_link(&g->ns.nl, "eth0").flags & IFF_NOARP) == 0);
}

static void unknown_hardware_address_names_it(void **state)
{
    need(state);
    struct err err;
    types_Interface in = interface("eth0", "02:00:00:00:00:99", NULL, 0);
    assert_int_equal(agent_net_update_interface(&in, NULL, &err), -ENODEV);
    assert_non_null(strstr(err.text, "02:00:00:00:00:99"));
}

static void loopback_cannot_be_taken_by_its_zero_address(void **state)
{
    need(state);
    types_Interface in = interface("eth0", "00:00:00:00:00:00", NULL, 0);
    assert_int_equal(agent_net_update_interface(&in, NULL, NULL), -ENODEV);
}

static void bad_fields_are_refused_before_anything_changes(void **state)
{
    struct guest *g = need(state);
    types_IPAddress good[] = {v4("10.1.2.3", "24")};
    types_IPAddress bad[] = {v4("10.1.2.3", "33"), v4("10.1.2", "24"),    v4("", "24"),     v4("10.1.2.3", ""),
                             v4("10.1.2.3", "2 "), v4(NULL, NULL),        v4("::1/3", "3"), v4("::1", "129"),
                             v4("10.1.2.3", "-1"), v4("10.1.2.3", "0x10")};
    types_Interface many = interface("eth0", MAC0, good, AGENT_NET_ADDRESSES_MAX + 1);
    types_Interface large = interface("eth0", MAC0, good, 1);
    types_Interface cases[] = {interface("eth0", NULL, good, 1),
                               interface("eth0", "", good, 1),
                               interface("eth0", "02:00:00:00:00:1", good, 1),
                               interface("eth0", "02:00:00:00:00:10:11", good, 1),
                               interface("eth0", "02-00-00-00-00-10", good, 1),
                               interface("a/b", MAC0, good, 1),
                               interface("eth%d", MAC0, good, 1),
                               interface("..", MAC0, good, 1),
                               interface("name-of-16-bytes", MAC0, good, 1),
                               many,
                               large};
    struct err err;
    cases[10].mtu = 65536;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(agent_net_update_interface(&cases[i], NULL, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        types_IPAddress both[] = {good[0], bad[i]};
        types_Interface in = interface("eth0", MAC0, both, 2);
        assert_int_equal(agent_net_update_interface(&in, NULL, &err), -EINVAL);
    }
    assert_int_not_equal(netns_index(&g->ns.nl, "dev0"), 0);
    assert_string_equal(addresses_of("dev0").text, "");
}

static void mtu_that_the_device_refuses_is_an_error_with_its_name(void **state)
{
    need(state);
    struct err err;
    types_Interface in = interface("eth0", MAC0, NULL, 0);
    in.mtu = 1;
    assert_true(agent_net_update_interface(&in, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "eth0"));
}

/* ---- Routes ---- */

static types_Route route(const char *dest, const char *gateway, const char *device)
{
    return (types_Route){.dest = writable(dest), .gateway = writable(gateway), .device = writable(device)};
}

static void with_address(void)
{
    types_IPAddress addresses[] = {
        v4("10.1.2.3", "24"),
        {.family = types_IPFamily_v6, .address = writable("2001:db8::5"), .mask = writable("64")}};
    types_Interface in = interface("eth0", MAC0, addresses, 2);
    update(&in);
}

static void routes_are_set_in_an_order_that_works(void **state)
{
    need(state);
    with_address();
    /* The default route needs the one behind it. */
    types_Route routes[] = {route("", "172.16.0.1", "eth0"), route("172.16.0.1/32", NULL, "eth0")};
    const grpc_Routes in = {.Routes_count = 2, .Routes = routes};
    routes[1].scope = RT_SCOPE_LINK;
    assert_int_equal(agent_net_update_routes(&in, NULL, NULL), 0);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text,
                        ">172.16.0.1@eth0 10.1.2.0/24>@eth0 172.16.0.1/32>@eth0 ");
}

static void routes_of_ipv6_are_set(void **state)
{
    need(state);
    with_address();
    types_Route routes[] = {route("::/0", "2001:db8::1", "eth0"), route("2001:db8:1::/48", "2001:db8::2", "eth0")};
    const grpc_Routes in = {.Routes_count = 2, .Routes = routes};
    assert_int_equal(agent_net_update_routes(&in, NULL, NULL), 0);
    const struct line line = routes_in_words(types_IPFamily_v6);
    const char *words = line.text;
    assert_non_null(strstr(words, "2001:db8:1::/48>2001:db8::2@eth0 "));
    assert_true(strncmp(words, ">2001:db8::1@eth0 ", 18) == 0 || strstr(words, " >2001:db8::1@eth0 ") != NULL);
}

static void second_update_removes_what_is_not_in_it(void **state)
{
    struct guest *g = need(state);
    with_address();
    types_Route routes[] = {route("", "10.1.2.1", "eth0"), route("10.7.0.0/16", "10.1.2.2", "eth0")};
    const grpc_Routes both = {.Routes_count = 2, .Routes = routes}, one = {.Routes_count = 1, .Routes = routes + 1};
    assert_int_equal(agent_net_update_routes(&both, NULL, NULL), 0);
    netns_add_route(&g->ns.nl, "eth0", "10.8.0.0/16", "10.1.2.1", 77);
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, "10.1.2.0/24>@eth0 10.7.0.0/16>10.1.2.2@eth0 ");
}

static void empty_update_leaves_the_kernels_own_routes(void **state)
{
    need(state);
    with_address();
    types_Route r = route("", "10.1.2.1", "eth0");
    const grpc_Routes one = {.Routes_count = 1, .Routes = &r}, none = {.Routes_count = 0};
    grpc_Routes out;
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    assert_int_equal(agent_net_update_routes(&none, &out, NULL), 0);
    pb_release(grpc_Routes_fields, &out);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, "10.1.2.0/24>@eth0 ");
}

static void same_update_twice_changes_nothing(void **state)
{
    need(state);
    with_address();
    types_Route r = route("", "10.1.2.1", "eth0");
    const grpc_Routes one = {.Routes_count = 1, .Routes = &r};
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, ">10.1.2.1@eth0 10.1.2.0/24>@eth0 ");
}

static void source_mtu_and_onlink_reach_the_kernel(void **state)
{
    need(state);
    with_address();
    types_Route r = route("0.0.0.0/0", "192.0.2.1", "eth0");
    grpc_Routes one = {.Routes_count = 1, .Routes = &r}, out;
    r.source = writable("10.1.2.3");
    r.mtu = 1280;
    r.flags = RTNH_F_ONLINK | RTNH_F_LINKDOWN;
    assert_int_equal(agent_net_update_routes(&one, &out, NULL), 0);
    assert_string_equal(out.Routes[0].source, "10.1.2.3");
    assert_int_equal(out.Routes[0].mtu, 1280);
    assert_int_equal(out.Routes[0].flags & RTNH_F_ONLINK, RTNH_F_ONLINK);
    pb_release(grpc_Routes_fields, &out);
}

static void ipv4_route_by_an_ipv6_gateway_is_set(void **state)
{
    need(state);
    with_address();
    types_Route r = route("10.3.0.0/16", "2001:db8::1", "eth0");
    const grpc_Routes one = {.Routes_count = 1, .Routes = &r};
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, "10.1.2.0/24>@eth0 10.3.0.0/16>2001:db8::1@eth0 ");
}

static void bad_routes_are_refused_and_the_old_ones_stay(void **state)
{
    need(state);
    with_address();
    types_Route good = route("", "10.1.2.1", "eth0");
    const grpc_Routes one = {.Routes_count = 1, .Routes = &good};
    types_Route cases[] = {route("10.0.0.0/33", NULL, "eth0"),     route("ten", NULL, "eth0"),
                           route("", "10.1.2.1/24", "eth0"),       route("", "gateway", "eth0"),
                           route("10.0.0.0/8", NULL, "eth9"),      route("10.0.0.0/8", NULL, NULL),
                           route("10.0.0.0/8", "10.1.2.1", ""),    route("10.0.0.0/8", "10.1.2.1", "eth0"),
                           route("10.0.0.0/8", "10.1.2.1", "eth0")};
    cases[7].source = writable("10.0.0.0/8");
    cases[8].scope = 256;
    assert_int_equal(agent_net_update_routes(&one, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        types_Route both[] = {route("10.4.0.0/16", "10.1.2.1", "eth0"), cases[i]};
        const grpc_Routes in = {.Routes_count = 2, .Routes = both};
        struct err err;
        int code = agent_net_update_routes(&in, NULL, &err);
        assert_true(code == -EINVAL || code == -ENODEV);
        assert_true(err.text[0] != '\0');
    }
    assert_string_equal(routes_in_words(types_IPFamily_v4).text, ">10.1.2.1@eth0 10.1.2.0/24>@eth0 ");
}

static void route_that_the_kernel_refuses_is_named_with_its_words(void **state)
{
    need(state);
    with_address();
    types_Route r = route("10.3.0.0/16", "203.0.113.1", "eth0");
    const grpc_Routes one = {.Routes_count = 1, .Routes = &r};
    struct err err;
    assert_true(agent_net_update_routes(&one, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "10.3.0.0/16 by 203.0.113.1"));
    assert_non_null(strstr(err.text, "gateway"));
}

static void too_many_routes_are_refused(void **state)
{
    need(state);
    const grpc_Routes in = {.Routes_count = AGENT_NET_ROUTES_MAX + 1};
    assert_int_equal(agent_net_update_routes(&in, NULL, NULL), -EINVAL);
}

/* ---- Neighbours ---- */

static types_ARPNeighbor neighbour(const char *address, const char *mac, const char *device)
{
    return (types_ARPNeighbor){.has_toIPAddress = address != NULL,
                               .toIPAddress = {.address = writable(address)},
                               .lladdr = writable(mac),
                               .device = writable(device)};
}

static void neighbours_are_permanent_unless_said_otherwise(void **state)
{
    struct guest *g = need(state);
    with_address();
    types_ARPNeighbor list[] = {neighbour("10.1.2.1", "02:00:00:00:00:77", "eth0"),
                                neighbour("2001:db8::1", "02:00:00:00:00:78", "eth0")};
    const grpc_ARPNeighbors in = {.ARPNeighbors_count = 2, .ARPNeighbors = list};
    struct rtnl_neighbour *all;
    size_t count, seen = 0;
    assert_int_equal(agent_net_add_neighbours(&in, NULL), 0);
    assert_int_equal(agent_net_add_neighbours(&in, NULL), 0);
    assert_int_equal(rtnl_list_neighbours(&g->ns.nl, &all, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        seen += all[i].state == NUD_PERMANENT && (all[i].mac[5] == 0x77 || all[i].mac[5] == 0x78);
    free(all);
    assert_int_equal(seen, 2);
}

static void bad_neighbours_are_refused_and_none_is_added(void **state)
{
    struct guest *g = need(state);
    with_address();
    types_ARPNeighbor cases[] = {neighbour(NULL, "02:00:00:00:00:77", "eth0"),
                                 neighbour("10.1.2", NULL, "eth0"),
                                 neighbour("10.1.2.0/24", NULL, "eth0"),
                                 neighbour("10.1.2.7", "02:00", "eth0"),
                                 neighbour("10.1.2.7", "02:00:00:00:00:77", "eth9"),
                                 neighbour("10.1.2.7", "02:00:00:00:00:77", "eth0"),
                                 neighbour("10.1.2.7", "02:00:00:00:00:77", "eth0")};
    cases[5].state = 256;
    cases[6].flags = -1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        types_ARPNeighbor list[] = {neighbour("10.1.2.66", "02:00:00:00:00:66", "eth0"), cases[i]};
        const grpc_ARPNeighbors in = {.ARPNeighbors_count = 2, .ARPNeighbors = list};
        int code = agent_net_add_neighbours(&in, NULL);
        assert_true(code == -EINVAL || code == -ENODEV);
    }
    struct rtnl_neighbour *all;
    size_t count, seen = 0;
    assert_int_equal(rtnl_list_neighbours(&g->ns.nl, &all, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        seen += all[i].mac[5] == 0x66;
    free(all);
    assert_int_equal(seen, 0);
}

/* ---- Counters ---- */

static void counters_are_those_of_all_interfaces_but_the_loopback(void **state)
{
    need(state);
    grpc_StatsContainerResponse r = {.network_stats = NULL};
    with_address();
    assert_int_equal(agent_net_stats(&r.network_stats, &r.network_stats_count), 0);
    assert_int_equal(r.network_stats_count, 4);
    for (pb_size_t i = 0; i < r.network_stats_count; i++)
        assert_string_not_equal(r.network_stats[i].name, "lo");
    pb_release(grpc_StatsContainerResponse_fields, &r);
}

static void counters_of_a_guest_without_devices_are_none(void **state)
{
    struct guest *g = need(state);
    struct netns empty;
    grpc_NetworkStats *out;
    pb_size_t count;
    netns_out(&g->ns);
    netns_make(&empty);
    netns_in(&empty);
    assert_int_equal(agent_net_stats(&out, &count), 0);
    assert_int_equal(count, 0);
    assert_null(out);
    netns_out(&empty);
    netns_end(&empty);
    netns_in(&g->ns);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(interface_found_by_hardware_address_gets_name_mtu_and_addresses),
        CASE(ipv6_address_is_usable_at_once),
        CASE(second_update_replaces_addresses),
        CASE(update_with_the_same_name_keeps_the_link_and_its_routes),
        CASE(names_are_swapped_when_another_interface_has_the_wanted_one),
        CASE(noarp_is_taken_over_and_taken_back),
        CASE(unknown_hardware_address_names_it),
        CASE(loopback_cannot_be_taken_by_its_zero_address),
        CASE(bad_fields_are_refused_before_anything_changes),
        CASE(mtu_that_the_device_refuses_is_an_error_with_its_name),
        CASE(routes_are_set_in_an_order_that_works),
        CASE(routes_of_ipv6_are_set),
        CASE(second_update_removes_what_is_not_in_it),
        CASE(empty_update_leaves_the_kernels_own_routes),
        CASE(same_update_twice_changes_nothing),
        CASE(source_mtu_and_onlink_reach_the_kernel),
        CASE(ipv4_route_by_an_ipv6_gateway_is_set),
        CASE(bad_routes_are_refused_and_the_old_ones_stay),
        CASE(route_that_the_kernel_refuses_is_named_with_its_words),
        CASE(too_many_routes_are_refused),
        CASE(neighbours_are_permanent_unless_said_otherwise),
        CASE(bad_neighbours_are_refused_and_none_is_added),
        CASE(counters_are_those_of_all_interfaces_but_the_loopback),
        CASE(counters_of_a_guest_without_devices_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
