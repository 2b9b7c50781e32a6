/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/netns.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// cmocka wants the headers above first
#include <cmocka.h>

static const struct err_context doing = {.attempted = "prepare the test"};

static void expect(int code, const struct err *err)
{
    if (code < 0)
        print_error("%s\n", err->text);
    assert_return_code(code, -code);
}

static int own_namespace(void)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_return_code(fd, 0);
    return fd;
}

bool netns_can(void)
{
    return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

void netns_make(struct netns *ns)
{
    struct err err;
    ns->home = own_namespace();
    assert_return_code(unshare(CLONE_NEWNET), 0);
    ns->fd = own_namespace();
    expect(netlink_open(&ns->nl, &err), &err);
    netns_out(ns);
    (void)snprintf(ns->path, sizeof(ns->path), "/proc/self/fd/%d", ns->fd);
}

void netns_end(struct netns *ns)
{
    netlink_close(&ns->nl);
    close(ns->home);
    close(ns->fd);
}

void netns_in(const struct netns *ns)
{
    assert_return_code(setns(ns->fd, CLONE_NEWNET), 0);
}

void netns_out(const struct netns *ns)
{
    assert_return_code(setns(ns->home, CLONE_NEWNET), 0);
}

uint32_t netns_add_veth(struct netlink *nl, const char *name, const char *peer, int peer_fd)
{
    const struct ifinfomsg h = {.ifi_family = AF_UNSPEC};
    struct netlink_request q;
    struct err err;
    netlink_request_init(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
    netlink_add_string(&q, IFLA_IFNAME, name);
    size_t info = netlink_nest_begin(&q, IFLA_LINKINFO);
    netlink_add_string(&q, IFLA_INFO_KIND, "veth");
    size_t data = netlink_nest_begin(&q, IFLA_INFO_DATA);
    size_t other = netlink_nest_begin(&q, VETH_INFO_PEER);
    /* The peer's attributes follow a header. */
    memcpy(q.bytes + q.length, &h, sizeof(h));
    q.length += sizeof(h);
    netlink_add_string(&q, IFLA_IFNAME, peer);
    if (peer_fd >= 0)
        netlink_add_u32(&q, IFLA_NET_NS_FD, (uint32_t)peer_fd);
    netlink_nest_end(&q, other);
    netlink_nest_end(&q, data);
    netlink_nest_end(&q, info);
    expect(netlink_call(nl, &q, &doing, &err), &err);
    return netns_index(nl, name);
}

static bool find(struct netlink *nl, const char *name, struct rtnl_link *out)
{
    struct rtnl_link *links;
    size_t count;
    struct err err;
    bool found = false;
    expect(rtnl_list_links(nl, &links, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(links[i].name, name) == 0) {
            *out = links[i];
            found = true;
        }
    }
    free(links);
    return found;
}

uint32_t netns_index(struct netlink *nl, const char *name)
{
    struct rtnl_link l;
    return find(nl, name, &l) ? l.index : 0;
}

struct rtnl_link netns_link(struct netlink *nl, const char *name)
{
    struct rtnl_link l = {.index = 0};
    assert_true(find(nl, name, &l));
    return l;
}

size_t netns_count_links(struct netlink *nl)
{
    struct rtnl_link *links;
    size_t count;
    struct err err;
    expect(rtnl_list_links(nl, &links, &count, &err), &err);
    free(links);
    return count;
}

static void change(struct netlink *nl, struct rtnl_link_change c, const char *name)
{
    struct err err;
    c.index = netns_index(nl, name);
    expect(rtnl_set_link(nl, &c, &doing, &err), &err);
}

void netns_up(struct netlink *nl, const char *name)
{
    change(nl, (struct rtnl_link_change){.flags = IFF_UP, .mask = IFF_UP}, name);
}

void netns_set_mtu(struct netlink *nl, const char *name, uint32_t mtu)
{
    change(nl, (struct rtnl_link_change){.mtu = mtu}, name);
}

void netns_set_mac(struct netlink *nl, const char *name, const char *mac)
{
    const struct ifinfomsg h = {.ifi_index = (int)netns_index(nl, name)};
    struct netlink_request q;
    struct err err;
    uint8_t bytes[MAC_BYTES];
    assert_int_equal(mac_parse(mac, bytes), 0);
    netlink_request_init(&q, RTM_NEWLINK, 0, &h, sizeof(h));
    netlink_add(&q, IFLA_ADDRESS, bytes, sizeof(bytes));
    expect(netlink_call(nl, &q, &doing, &err), &err);
}

void netns_add_address(struct netlink *nl, const char *name, const char *address)
{
    struct rtnl_address a = {.index = netns_index(nl, name), .scope = RT_SCOPE_UNIVERSE};
    struct err err;
    assert_int_equal(ip_parse(address, &a.local), 0);
    expect(rtnl_set_address(nl, RTNL_ADD, &a, &doing, &err), &err);
}

void netns_add_route(struct netlink *nl, const char *name, const char *destination, const char *gateway,
                     uint32_t priority)
{
    struct rtnl_route r = {.index = netns_index(nl, name),
                           .priority = priority,
                           .protocol = RTPROT_BOOT,
                           .type = RTN_UNICAST,
                           .scope = gateway != NULL ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK};
    struct err err;
    assert_int_equal(ip_parse(destination, &r.destination), 0);
    if (gateway != NULL)
        assert_int_equal(ip_parse(gateway, &r.gateway), 0);
    expect(rtnl_set_route(nl, RTNL_ADD, &r, &doing, &err), &err);
}

void netns_add_neighbour(struct netlink *nl, const char *name, const char *address, const char *mac)
{
    struct rtnl_neighbour n = {.index = netns_index(nl, name), .state = NUD_PERMANENT, .has_mac = true};
    struct err err;
    assert_int_equal(ip_parse(address, &n.address), 0);
    assert_int_equal(mac_parse(mac, n.mac), 0);
    expect(rtnl_set_neighbour(nl, RTNL_ADD, &n, &doing, &err), &err);
}
