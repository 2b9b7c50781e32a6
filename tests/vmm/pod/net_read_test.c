/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/pod/net_internal.h"

#define THINGS_MAX 1024u

/* A namespace by hand; index 1 is lo, 2 is eth0. */
struct world {
    struct rtnl_link links[16];
    struct rtnl_address addresses[THINGS_MAX];
    struct rtnl_route routes[THINGS_MAX];
    struct rtnl_neighbour neighbours[THINGS_MAX];
    struct pod_net_space space;
    struct pod_net net;
    struct text notes;
    struct err err;
};

static struct rtnl_link *add_link(struct world *w, const char *name, const char *kind)
{
    struct rtnl_link *l = &w->links[w->space.link_count++];
    *l = (struct rtnl_link){.index = (uint32_t)w->space.link_count,
                            .flags = IFF_UP,
                            .type = ARPHRD_ETHER,
                            .mtu = 1500,
                            .has_mac = true,
                            .mac = {2, 0, 0, 0, 0, (uint8_t)w->space.link_count}};
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    (void)snprintf(l->kind, sizeof(l->kind), "%s", kind);
    return l;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -1;
    w->space.links = w->links;
    w->space.addresses = w->addresses;
    w->space.routes = w->routes;
    w->space.neighbours = w->neighbours;
    struct rtnl_link *lo = add_link(w, "lo", "");
    lo->flags |= IFF_LOOPBACK;
    lo->type = ARPHRD_LOOPBACK;
    add_link(w, "eth0", "veth");
    text_init(&w->notes, w->net.notes, sizeof(w->net.notes));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    pod_net_release(&w->net);
    free(w);
    return 0;
}

static struct ip ip_of(const char *text)
{
    struct ip ip = {.family = 0};
    if (text != NULL)
        assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static struct rtnl_address *add_address(struct world *w, const char *local)
{
    struct rtnl_address *a = &w->addresses[w->space.address_count++];
    *a = (struct rtnl_address){.index = 2, .local = ip_of(local), .flags = IFA_F_PERMANENT};
    return a;
}

static struct rtnl_route *add_route(struct world *w, const char *destination, const char *gateway)
{
    struct rtnl_route *r = &w->routes[w->space.route_count++];
    *r = (struct rtnl_route){.index = 2,
                             .destination = ip_of(destination),
                             .gateway = ip_of(gateway),
                             .protocol = RTPROT_BOOT,
                             .type = RTN_UNICAST};
    return r;
}

static int describe(struct world *w)
{
    int code = pod_net_choose(&w->space, &w->notes, &w->err);
    return code == 0 ? pod_net_describe(&w->space, &w->net, &w->notes, &w->err) : code;
}

struct line {
    char text[512];
};

/* Destinations and gateways of the messages in their order. */
static struct line routes_of(const struct world *w)
{
    struct line out;
    out.text[0] = '\0';
    for (pb_size_t i = 0; i < w->net.routes.Routes_count; i++)
        (void)snprintf(out.text + strlen(out.text), sizeof(out.text) - strlen(out.text), "%s>%s ",
                       w->net.routes.Routes[i].dest, w->net.routes.Routes[i].gateway);
    return out;
}

/* ---- Interfaces ---- */

static void expect_left_out(struct world *w, const char *word)
{
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.count, 1);
    assert_string_equal(w->net.interfaces[0].interface.name, "eth0");
    assert_non_null(strstr(w->net.notes, word));
}

static void interface_that_is_no_ethernet_is_left_out_with_a_note(void **state)
{
    struct world *w = *state;
    struct rtnl_link *l = add_link(w, "wg0", "wireguard");
    l->type = ARPHRD_NONE;
    l->has_mac = false;
    expect_left_out(w, "wg0: left out, it is no Ethernet");
}

static void interface_of_a_bridge_is_left_out_with_a_note(void **state)
{
    struct world *w = *state;
    add_link(w, "port0", "veth")->master = 9;
    expect_left_out(w, "port0");
}

static void interface_on_another_one_is_left_out_with_a_note(void **state)
{
    struct world *w = *state;
    add_link(w, "eth0.5", "vlan")->lower = 2;
    expect_left_out(w, "eth0.5: left out, it lies on another");
}

static void macvlan_on_the_nodes_interface_is_taken(void **state)
{
    struct world *w = *state;
    add_link(w, "net1", "macvlan");
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.count, 2);
    assert_string_equal(w->net.interfaces[1].interface.type, "macvlan");
}

static void veth_whose_other_end_is_here_too_is_taken(void **state)
{
    struct world *w = *state;
    w->links[1].lower = 3;
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.count, 1);
}

static void second_interface_with_the_same_address_is_left_out(void **state)
{
    struct world *w = *state;
    add_link(w, "ipvl1", "ipvlan")->mac[5] = 2;
    expect_left_out(w, "ipvl1: left out, another interface has the same hardware address");
}

static void interface_that_is_down_is_taken_only_with_an_address(void **state)
{
    struct world *w = *state;
    add_link(w, "spare", "veth")->flags = 0;
    add_link(w, "later", "veth")->flags = 0;
    add_address(w, "10.0.0.1/8")->index = 4;
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.count, 2);
    assert_string_equal(w->net.interfaces[1].interface.name, "later");
    assert_string_equal(w->net.notes, "");
}

static void flag_for_no_arp_is_handed_on(void **state)
{
    struct world *w = *state;
    w->links[1].flags |= IFF_NOARP | IFF_PROMISC;
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.interfaces[0].interface.raw_flags, IFF_NOARP);
}

static void notes_are_cut_and_printable(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 14; i++)
        add_link(w, "wg\x1b[2J-name-15", "wireguard")->type = ARPHRD_NONE;
    assert_int_equal(describe(w), 0);
    assert_null(strchr(w->net.notes, '\x1b'));
    assert_true(strlen(w->net.notes) < POD_NET_NOTES_BYTES);
    assert_non_null(strstr(w->net.notes, "..."));
}

/* ---- Addresses ---- */

static void only_addresses_that_others_can_reach_are_handed_on(void **state)
{
    struct world *w = *state;
    add_address(w, "fe80::1/64")->scope = RT_SCOPE_LINK;
    add_address(w, "10.9.9.9/8")->scope = RT_SCOPE_HOST;
    add_address(w, "2001:db8::9/64")->flags = IFA_F_TEMPORARY;
    add_address(w, "2001:db8::8/64")->flags = IFA_F_DADFAILED;
    add_address(w, "10.0.0.1/8")->index = 1;
    add_address(w, "10.1.2.3/24");
    add_address(w, "2001:db8::5/64");
    assert_int_equal(describe(w), 0);
    const types_Interface *f = &w->net.interfaces[0].interface;
    assert_int_equal(f->IPAddresses_count, 2);
    assert_string_equal(f->IPAddresses[0].address, "10.1.2.3");
    assert_string_equal(f->IPAddresses[1].address, "2001:db8::5");
    assert_int_equal(f->IPAddresses[1].family, types_IPFamily_v6);
    assert_string_equal(f->IPAddresses[1].mask, "64");
}

static void address_with_another_end_becomes_a_lone_one_with_a_route(void **state)
{
    struct world *w = *state;
    struct rtnl_address *a = add_address(w, "10.1.2.3/24");
    a->peer = ip_of("10.7.7.1/24");
    assert_int_equal(describe(w), 0);
    assert_string_equal(w->net.interfaces[0].interface.IPAddresses[0].mask, "32");
    assert_string_equal(routes_of(w).text, "10.7.7.0/24> ");
    assert_string_equal(w->net.routes.Routes[0].source, "10.1.2.3");
    assert_int_equal(w->net.routes.Routes[0].scope, RT_SCOPE_LINK);
}

static void address_without_a_route_of_its_prefix_becomes_a_lone_one(void **state)
{
    struct world *w = *state;
    add_address(w, "10.1.2.3/24")->flags |= IFA_F_NOPREFIXROUTE;
    assert_int_equal(describe(w), 0);
    assert_string_equal(w->net.interfaces[0].interface.IPAddresses[0].mask, "32");
    assert_int_equal(w->net.routes.Routes_count, 0);
}

static void too_many_addresses_are_refused(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < POD_NET_ADDRESSES_MAX; i++)
        add_address(w, "10.1.2.3/24");
    assert_int_equal(describe(w), 0);
    pod_net_release(&w->net);
    add_address(w, "10.1.2.3/24");
    w->space.chosen_count = 0;
    assert_int_equal(describe(w), -E2BIG);
    assert_non_null(strstr(w->err.text, "eth0 has more than 64 addresses"));
}

/* ---- Routes ---- */

static void routes_without_a_gateway_come_first(void **state)
{
    struct world *w = *state;
    add_route(w, "0.0.0.0/0", "169.254.1.1");
    add_route(w, "169.254.1.1/32", NULL)->scope = RT_SCOPE_LINK;
    add_route(w, "2001:db8::/32", "fe80::1");
    assert_int_equal(describe(w), 0);
    assert_string_equal(routes_of(w).text, "169.254.1.1/32> >169.254.1.1 2001:db8::/32>fe80::1 ");
    assert_int_equal(w->net.routes.Routes[0].scope, RT_SCOPE_LINK);
    assert_string_equal(w->net.routes.Routes[1].device, "eth0");
    assert_int_equal(w->net.routes.Routes[2].family, types_IPFamily_v6);
}

static void everything_that_a_message_can_say_is_said(void **state)
{
    struct world *w = *state;
    struct rtnl_route *r = add_route(w, "10.0.0.0/8", "10.1.2.1");
    r->source = ip_of("10.1.2.3");
    r->mtu = 1300;
    r->flags = RTNH_F_ONLINK | RTNH_F_LINKDOWN;
    assert_int_equal(describe(w), 0);
    const types_Route *m = &w->net.routes.Routes[0];
    assert_string_equal(m->source, "10.1.2.3");
    assert_int_equal(m->mtu, 1300);
    assert_int_equal(m->flags, RTNH_F_ONLINK);
}

static void routes_that_come_by_themselves_are_not_handed_on(void **state)
{
    struct world *w = *state;
    add_route(w, "10.1.2.0/24", NULL)->protocol = RTPROT_KERNEL;
    add_route(w, "::/0", "fe80::1")->protocol = RTPROT_RA;
    add_route(w, "fe80::/64", NULL);
    add_route(w, "ff00::/8", NULL);
    add_route(w, "224.0.0.0/4", NULL);
    add_route(w, "10.0.0.0/8", NULL)->index = 1;
    assert_int_equal(describe(w), 0);
    assert_string_equal(routes_of(w).text, "");
    assert_string_equal(w->net.notes, "");
}

static void routes_beyond_words_are_noted(void **state)
{
    struct world *w = *state;
    struct rtnl_route *r = add_route(w, "10.1.0.0/16", NULL);
    r->type = RTN_BLACKHOLE;
    r->index = 0;
    add_route(w, "10.2.0.0/16", "10.9.9.9")->tos = 8;
    add_route(w, "10.3.0.0/16", NULL)->special = true;
    add_route(w, "2001:db8::/32", NULL)->from = ip_of("2001:db8:1::/48");
    assert_int_equal(describe(w), 0);
    assert_string_equal(routes_of(w).text, "");
    assert_non_null(strstr(w->net.notes, "route to 10.1.0.0/16: left out, it refuses packets"));
    assert_non_null(strstr(w->net.notes, "10.2.0.0/16"));
    assert_non_null(strstr(w->net.notes, "10.3.0.0/16: left out, it has several paths"));
    assert_non_null(strstr(w->net.notes, "2001:db8::/32"));
}

static void of_routes_to_one_place_the_best_is_handed_on(void **state)
{
    struct world *w = *state;
    add_route(w, "0.0.0.0/0", "10.0.0.1")->priority = 200;
    add_route(w, "0.0.0.0/0", "10.0.0.2")->priority = 100;
    add_route(w, "0.0.0.0/0", "10.0.0.3")->priority = 300;
    add_route(w, "::/0", "2001:db8::1")->priority = 1024;
    assert_int_equal(describe(w), 0);
    assert_string_equal(routes_of(w).text, ">10.0.0.2 >2001:db8::1 ");
    assert_non_null(strstr(w->net.notes, "route to 0.0.0.0/0"));
}

static void too_many_routes_are_refused(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i <= POD_NET_ROUTES_MAX; i++) {
        char text[IP_TEXT_BYTES];
        (void)snprintf(text, sizeof(text), "10.%u.%u.0/24", i / 256, i % 256);
        add_route(w, text, NULL);
    }
    assert_int_equal(describe(w), -E2BIG);
}

static void peers_count_among_the_routes(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < POD_NET_ROUTES_MAX; i++) {
        char text[IP_TEXT_BYTES];
        (void)snprintf(text, sizeof(text), "10.%u.%u.0/24", i / 256, i % 256);
        add_route(w, text, NULL);
    }
    add_address(w, "10.1.2.3/32")->peer = ip_of("10.7.7.1/32");
    assert_int_equal(describe(w), -E2BIG);
}

/* ---- Neighbours ---- */

static struct rtnl_neighbour *add_neighbour(struct world *w, uint8_t last)
{
    struct rtnl_neighbour *n = &w->neighbours[w->space.neighbour_count++];
    *n = (struct rtnl_neighbour){.index = 2,
                                 .state = NUD_PERMANENT,
                                 .has_mac = true,
                                 .mac = {2, 0, 0, 0, 0, last},
                                 .address = ip_of("10.0.0.1")};
    n->address.bytes[3] = last;
    return n;
}

static void only_permanent_neighbours_are_handed_on(void **state)
{
    struct world *w = *state;
    add_neighbour(w, 1)->state = NUD_REACHABLE;
    add_neighbour(w, 2)->index = 1;
    add_neighbour(w, 3)->has_mac = false;
    add_neighbour(w, 4)->flags = NTF_PROXY;
    add_neighbour(w, 5);
    assert_int_equal(describe(w), 0);
    assert_int_equal(w->net.neighbours.ARPNeighbors_count, 1);
    const types_ARPNeighbor *n = &w->net.neighbours.ARPNeighbors[0];
    assert_string_equal(n->toIPAddress.address, "10.0.0.5");
    assert_string_equal(n->lladdr, "02:00:00:00:00:05");
    assert_string_equal(n->device, "eth0");
    assert_int_equal(n->state, NUD_PERMANENT);
}

static void too_many_neighbours_are_refused(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i <= POD_NET_NEIGHBOURS_MAX; i++)
        add_neighbour(w, 1);
    assert_int_equal(describe(w), -E2BIG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(interface_that_is_no_ethernet_is_left_out_with_a_note),
        CASE(interface_of_a_bridge_is_left_out_with_a_note),
        CASE(interface_on_another_one_is_left_out_with_a_note),
        CASE(macvlan_on_the_nodes_interface_is_taken),
        CASE(veth_whose_other_end_is_here_too_is_taken),
        CASE(second_interface_with_the_same_address_is_left_out),
        CASE(interface_that_is_down_is_taken_only_with_an_address),
        CASE(flag_for_no_arp_is_handed_on),
        CASE(notes_are_cut_and_printable),
        CASE(only_addresses_that_others_can_reach_are_handed_on),
        CASE(address_with_another_end_becomes_a_lone_one_with_a_route),
        CASE(address_without_a_route_of_its_prefix_becomes_a_lone_one),
        CASE(too_many_addresses_are_refused),
        CASE(routes_without_a_gateway_come_first),
        CASE(everything_that_a_message_can_say_is_said),
        CASE(routes_that_come_by_themselves_are_not_handed_on),
        CASE(routes_beyond_words_are_noted),
        CASE(of_routes_to_one_place_the_best_is_handed_on),
        CASE(too_many_routes_are_refused),
        CASE(peers_count_among_the_routes),
        CASE(only_permanent_neighbours_are_handed_on),
        CASE(too_many_neighbours_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
