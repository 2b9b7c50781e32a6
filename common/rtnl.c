/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ATTEMPTS_MAX 8u

/* Header of the message's type and the attributes behind it. 1; 0: another type; -EBADMSG. */
static int open_message(const struct netlink_message *m, uint16_t type, void *header, size_t n,
                        struct netlink_attribute *table, size_t count)
{
    if (m->type != type)
        return 0;
    if (m->bytes < n)
        return -EBADMSG;
    memcpy(header, m->payload, n);
    size_t skip = (n + 3) & ~(size_t)3;
    if (skip > m->bytes)
        skip = m->bytes;
    return netlink_sort(m->payload + skip, m->bytes - skip, table, count) < 0 ? -EBADMSG : 1;
}

static bool take_mac(const struct netlink_attribute *a, uint8_t out[MAC_BYTES])
{
    if (a->data == NULL || a->bytes != MAC_BYTES)
        return false;
    memcpy(out, a->data, MAC_BYTES);
    return true;
}

/* ---- Links ---- */

static void take_kind(const struct netlink_attribute *info, char out[RTNL_KIND_BYTES])
{
    struct netlink_attribute table[IFLA_INFO_KIND + 1];
    if (info->data != NULL && netlink_sort(info->data, info->bytes, table, IFLA_INFO_KIND + 1) == 0)
        (void)netlink_string(&table[IFLA_INFO_KIND], out, RTNL_KIND_BYTES);
}

static void take_counters(const struct netlink_attribute *a, struct rtnl_link *out)
{
    struct rtnl_link_stats64 s = {.rx_packets = 0};
    /* It grows with the kernel; ours are in the part that was always there. */
    if (a->data == NULL || a->bytes < offsetof(struct rtnl_link_stats64, multicast))
        return;
    memcpy(&s, a->data, offsetof(struct rtnl_link_stats64, multicast));
    out->received = (struct rtnl_counters){
        .packets = s.rx_packets, .bytes = s.rx_bytes, .errors = s.rx_errors, .dropped = s.rx_dropped};
    out->sent = (struct rtnl_counters){
        .packets = s.tx_packets, .bytes = s.tx_bytes, .errors = s.tx_errors, .dropped = s.tx_dropped};
}

int rtnl_parse_link(const struct netlink_message *m, struct rtnl_link *out)
{
    struct netlink_attribute table[IFLA_LINK_NETNSID + 1];
    struct ifinfomsg h;
    int code = open_message(m, RTM_NEWLINK, &h, sizeof(h), table, IFLA_LINK_NETNSID + 1);
    if (code <= 0)
        return code;
    /* AF_BRIDGE is the same link once more. */
    if (h.ifi_family != AF_UNSPEC)
        return 0;
    *out = (struct rtnl_link){.index = (uint32_t)h.ifi_index,
                              .flags = h.ifi_flags,
                              .type = h.ifi_type,
                              .mtu = netlink_u32(&table[IFLA_MTU], 0),
                              .master = netlink_u32(&table[IFLA_MASTER], 0),
                              .lower = netlink_u32(&table[IFLA_LINK], 0)};
    if (table[IFLA_LINK_NETNSID].data != NULL)
        out->lower = 0;
    if (h.ifi_index <= 0 || !netlink_string(&table[IFLA_IFNAME], out->name, sizeof(out->name)) || out->name[0] == '\0')
        return -EBADMSG;
    out->has_mac = take_mac(&table[IFLA_ADDRESS], out->mac);
    take_kind(&table[IFLA_LINKINFO], out->kind);
    take_counters(&table[IFLA_STATS64], out);
    return 1;
}

int rtnl_set_link(struct netlink *nl, const struct rtnl_link_change *c, const struct err_context *what, struct err *err)
{
    const struct ifinfomsg h = {.ifi_index = (int)c->index, .ifi_flags = c->flags, .ifi_change = c->mask};
    const uint8_t none = IN6_ADDR_GEN_MODE_NONE;
    struct netlink_request q;
    netlink_request_init(&q, RTM_NEWLINK, 0, &h, sizeof(h));
    if (c->name != NULL)
        netlink_add_string(&q, IFLA_IFNAME, c->name);
    if (c->mtu != 0)
        netlink_add_u32(&q, IFLA_MTU, c->mtu);
    if (c->no_link_local) {
        size_t spec = netlink_nest_begin(&q, IFLA_AF_SPEC);
        size_t inet6 = netlink_nest_begin(&q, AF_INET6);
        netlink_add(&q, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
        netlink_nest_end(&q, inet6);
        netlink_nest_end(&q, spec);
    }
    return netlink_call(nl, &q, what, err);
}

/* ---- Addresses ---- */

int rtnl_parse_address(const struct netlink_message *m, struct rtnl_address *out)
{
    struct netlink_attribute table[IFA_FLAGS + 1];
    struct ifaddrmsg h;
    int code = open_message(m, RTM_NEWADDR, &h, sizeof(h), table, IFA_FLAGS + 1);
    if (code <= 0)
        return code;
    if (h.ifa_family != AF_INET && h.ifa_family != AF_INET6)
        return 0;
    *out = (struct rtnl_address){
        .index = h.ifa_index, .scope = h.ifa_scope, .flags = netlink_u32(&table[IFA_FLAGS], h.ifa_flags)};
    /* IPv6 says LOCAL only if there is another end, whose address is ADDRESS then. */
    const struct netlink_attribute *address = &table[IFA_ADDRESS];
    const struct netlink_attribute *local = table[IFA_LOCAL].data != NULL ? &table[IFA_LOCAL] : address;
    if (!ip_set(&out->local, h.ifa_family, local->data, local->bytes, h.ifa_prefixlen))
        return -EBADMSG;
    struct ip peer;
    if (ip_set(&peer, h.ifa_family, address->data, address->bytes, h.ifa_prefixlen) && !ip_equal(&peer, &out->local))
        out->peer = peer;
    return 1;
}

/* 10.1.2.3/24 -> 10.1.2.255 */
static void add_broadcast(struct netlink_request *q, const struct ip *ip)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        unsigned fixed = ip->prefix > i * 8 ? ip->prefix - i * 8 : 0;
        bytes[i] = (uint8_t)(ip->bytes[i] | (fixed >= 8 ? 0u : 0xffu >> fixed));
    }
    netlink_add(q, IFA_BROADCAST, bytes, sizeof(bytes));
}

int rtnl_set_address(struct netlink *nl, enum rtnl_change change, const struct rtnl_address *a,
                     const struct err_context *what, struct err *err)
{
    const struct ip *peer = a->peer.family != 0 ? &a->peer : &a->local;
    const struct ifaddrmsg h = {.ifa_family = a->local.family,
                                .ifa_prefixlen = a->local.prefix,
                                .ifa_flags = (uint8_t)a->flags,
                                .ifa_scope = a->scope,
                                .ifa_index = a->index};
    bool add = change == RTNL_ADD;
    struct netlink_request q;
    netlink_request_init(&q, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &h, sizeof(h));
    netlink_add(&q, IFA_LOCAL, a->local.bytes, ip_size(&a->local));
    netlink_add(&q, IFA_ADDRESS, peer->bytes, ip_size(peer));
    if (add && a->local.family == AF_INET && a->peer.family == 0 && a->local.prefix < 31)
        add_broadcast(&q, &a->local);
    return netlink_call(nl, &q, what, err);
}

/* ---- Routes ---- */

static int take_gateway(const struct netlink_attribute *table, uint8_t family, struct ip *out)
{
    const struct netlink_attribute *plain = &table[RTA_GATEWAY], *via = &table[RTA_VIA];
    struct rtvia h;
    if (plain->data != NULL)
        return ip_set(out, family, plain->data, plain->bytes, family == AF_INET ? 32 : 128) ? 0 : -EBADMSG;
    if (via->data == NULL)
        return 0;
    if (via->bytes < sizeof(h))
        return -EBADMSG;
    memcpy(&h, via->data, sizeof(h));
    if (h.rtvia_family != AF_INET && h.rtvia_family != AF_INET6)
        return -EBADMSG;
    return ip_set(out, (uint8_t)h.rtvia_family, via->data + sizeof(h), via->bytes - sizeof(h),
                  h.rtvia_family == AF_INET ? 32 : 128)
               ? 0
               : -EBADMSG;
}

static int take_mtu(const struct netlink_attribute *metrics, uint32_t *out)
{
    struct netlink_attribute table[RTAX_MTU + 1];
    if (metrics->data == NULL)
        return 0;
    if (netlink_sort(metrics->data, metrics->bytes, table, RTAX_MTU + 1) < 0)
        return -EBADMSG;
    *out = netlink_u32(&table[RTAX_MTU], 0);
    return 0;
}

static int take_ip(const struct netlink_attribute *a, uint8_t family, uint8_t prefix, struct ip *out)
{
    return a->data == NULL || ip_set(out, family, a->data, a->bytes, prefix) ? 0 : -EBADMSG;
}

int rtnl_parse_route(const struct netlink_message *m, struct rtnl_route *out)
{
    struct netlink_attribute table[RTA_ENCAP + 1];
    struct rtmsg h;
    int code = open_message(m, RTM_NEWROUTE, &h, sizeof(h), table, RTA_ENCAP + 1);
    if (code <= 0)
        return code;
    if ((h.rtm_family != AF_INET && h.rtm_family != AF_INET6) || (h.rtm_flags & RTM_F_CLONED) != 0 ||
        netlink_u32(&table[RTA_TABLE], h.rtm_table) != RT_TABLE_MAIN)
        return 0;
    uint8_t bits = h.rtm_family == AF_INET ? 32 : 128;
    *out = (struct rtnl_route){.destination = {.family = h.rtm_family},
                               .index = netlink_u32(&table[RTA_OIF], 0),
                               .priority = netlink_u32(&table[RTA_PRIORITY], 0),
                               .flags = h.rtm_flags,
                               .protocol = h.rtm_protocol,
                               .scope = h.rtm_scope,
                               .type = h.rtm_type,
                               .tos = h.rtm_tos,
                               .special = table[RTA_MULTIPATH].data != NULL || table[RTA_ENCAP].data != NULL};
    if ((h.rtm_dst_len != 0 && table[RTA_DST].data == NULL) ||
        take_ip(&table[RTA_DST], h.rtm_family, h.rtm_dst_len, &out->destination) < 0 ||
        take_ip(&table[RTA_SRC], h.rtm_family, h.rtm_src_len, &out->from) < 0 ||
        take_ip(&table[RTA_PREFSRC], h.rtm_family, bits, &out->source) < 0 ||
        take_gateway(table, h.rtm_family, &out->gateway) < 0 || take_mtu(&table[RTA_METRICS], &out->mtu) < 0)
        return -EBADMSG;
    return 1;
}

static void add_gateway(struct netlink_request *q, const struct rtnl_route *r)
{
    uint8_t bytes[sizeof(struct rtvia) + sizeof(r->gateway.bytes)];
    const struct rtvia h = {.rtvia_family = r->gateway.family};
    size_t n = ip_size(&r->gateway);
    if (r->gateway.family == r->destination.family) {
        netlink_add(q, RTA_GATEWAY, r->gateway.bytes, n);
        return;
    }
    memcpy(bytes, &h, sizeof(h));
    memcpy(bytes + sizeof(h), r->gateway.bytes, n);
    netlink_add(q, RTA_VIA, bytes, sizeof(h) + n);
}

int rtnl_set_route(struct netlink *nl, enum rtnl_change change, const struct rtnl_route *r,
                   const struct err_context *what, struct err *err)
{
    bool add = change == RTNL_ADD;
    const struct rtmsg h = {.rtm_family = r->destination.family,
                            .rtm_dst_len = r->destination.prefix,
                            .rtm_src_len = r->from.prefix,
                            .rtm_tos = r->tos,
                            .rtm_table = RT_TABLE_MAIN,
                            .rtm_protocol = r->protocol,
                            .rtm_scope = r->scope,
                            .rtm_type = r->type,
                            .rtm_flags = r->flags & RTNH_F_ONLINK};
    struct netlink_request q;
    netlink_request_init(&q, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &h, sizeof(h));
    if (r->destination.prefix != 0)
        netlink_add(&q, RTA_DST, r->destination.bytes, ip_size(&r->destination));
    if (r->from.family != 0)
        netlink_add(&q, RTA_SRC, r->from.bytes, ip_size(&r->from));
    if (r->source.family != 0)
        netlink_add(&q, RTA_PREFSRC, r->source.bytes, ip_size(&r->source));
    if (r->gateway.family != 0)
        add_gateway(&q, r);
    if (r->index != 0)
        netlink_add_u32(&q, RTA_OIF, r->index);
    if (r->priority != 0)
        netlink_add_u32(&q, RTA_PRIORITY, r->priority);
    if (r->mtu != 0 && add) {
        size_t metrics = netlink_nest_begin(&q, RTA_METRICS);
        netlink_add_u32(&q, RTAX_MTU, r->mtu);
        netlink_nest_end(&q, metrics);
    }
    return netlink_call(nl, &q, what, err);
}

/* ---- Neighbours ---- */

int rtnl_parse_neighbour(const struct netlink_message *m, struct rtnl_neighbour *out)
{
    struct netlink_attribute table[NDA_LLADDR + 1];
    struct ndmsg h;
    int code = open_message(m, RTM_NEWNEIGH, &h, sizeof(h), table, NDA_LLADDR + 1);
    if (code <= 0)
        return code;
    if ((h.ndm_family != AF_INET && h.ndm_family != AF_INET6) || table[NDA_DST].data == NULL)
        return 0;
    *out = (struct rtnl_neighbour){.index = (uint32_t)h.ndm_ifindex, .state = h.ndm_state, .flags = h.ndm_flags};
    out->has_mac = take_mac(&table[NDA_LLADDR], out->mac);
    return ip_set(&out->address, h.ndm_family, table[NDA_DST].data, table[NDA_DST].bytes,
                  h.ndm_family == AF_INET ? 32 : 128)
               ? 1
               : -EBADMSG;
}

int rtnl_set_neighbour(struct netlink *nl, enum rtnl_change change, const struct rtnl_neighbour *n,
                       const struct err_context *what, struct err *err)
{
    bool add = change == RTNL_ADD;
    const struct ndmsg h = {
        .ndm_family = n->address.family, .ndm_ifindex = (int)n->index, .ndm_state = n->state, .ndm_flags = n->flags};
    struct netlink_request q;
    netlink_request_init(&q, add ? RTM_NEWNEIGH : RTM_DELNEIGH, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &h, sizeof(h));
    netlink_add(&q, NDA_DST, n->address.bytes, ip_size(&n->address));
    if (n->has_mac)
        netlink_add(&q, NDA_LLADDR, n->mac, MAC_BYTES);
    return netlink_call(nl, &q, what, err);
}

/* ---- Lists ---- */

union item {
    struct rtnl_link link;
    struct rtnl_address address;
    struct rtnl_route route;
    struct rtnl_neighbour neighbour;
};

struct list {
    uint8_t *items;
    size_t count, room, item_bytes;
    int (*parse)(const struct netlink_message *m, union item *out);
};

static int parse_link(const struct netlink_message *m, union item *out)
{
    return rtnl_parse_link(m, &out->link);
}

static int parse_address(const struct netlink_message *m, union item *out)
{
    return rtnl_parse_address(m, &out->address);
}

static int parse_route(const struct netlink_message *m, union item *out)
{
    return rtnl_parse_route(m, &out->route);
}

static int parse_neighbour(const struct netlink_message *m, union item *out)
{
    return rtnl_parse_neighbour(m, &out->neighbour);
}

static int take_item(void *ctx, const struct netlink_message *m)
{
    struct list *l = ctx;
    union item item;
    int code = l->parse(m, &item);
    if (code <= 0)
        return code;
    if (l->count == RTNL_ITEMS_MAX)
        return -E2BIG;
    if (l->count == l->room) {
        size_t room = l->room > 0 ? l->room * 2 : 16;
        uint8_t *more = realloc(l->items, room * l->item_bytes);
        if (more == NULL)
            return -ENOMEM;
        l->items = more;
        l->room = room;
    }
    memcpy(l->items + l->count * l->item_bytes, &item, l->item_bytes);
    l->count++;
    return 0;
}

/* *l: empty; then with the list. type, header, n: of the request. */
static int make_list(struct netlink *nl, struct list *l, uint16_t type, const void *header, size_t n,
                     const struct err_context *what, struct err *err)
{
    int code = -EINTR;
    for (unsigned i = 0; code == -EINTR && i < ATTEMPTS_MAX; i++) {
        struct netlink_request q;
        l->count = 0;
        netlink_request_init(&q, type, 0, header, n);
        code = netlink_dump(nl, &q, take_item, l, what, err);
    }
    if (code == -EINTR)
        (void)err_fail_because(err, code, what, "they change faster than they can be read");
    if (code == -E2BIG && l->count == RTNL_ITEMS_MAX)
        (void)err_fail_because(err, code, what, "there are more than %u", RTNL_ITEMS_MAX);
    if (code < 0 || l->count == 0) {
        free(l->items);
        *l = (struct list){.items = NULL};
    }
    return code;
}

int rtnl_list_links(struct netlink *nl, struct rtnl_link **out, size_t *count, struct err *err)
{
    static const struct err_context what = {.attempted = "list the network interfaces", .what_to_do = "try again"};
    const struct ifinfomsg h = {.ifi_family = AF_UNSPEC};
    struct list l = {.item_bytes = sizeof(**out), .parse = parse_link};
    int code = make_list(nl, &l, RTM_GETLINK, &h, sizeof(h), &what, err);
    *out = (void *)l.items;
    *count = l.count;
    return code;
}

int rtnl_list_addresses(struct netlink *nl, struct rtnl_address **out, size_t *count, struct err *err)
{
    static const struct err_context what = {.attempted = "list the IP addresses", .what_to_do = "try again"};
    const struct ifaddrmsg h = {.ifa_family = AF_UNSPEC};
    struct list l = {.item_bytes = sizeof(**out), .parse = parse_address};
    int code = make_list(nl, &l, RTM_GETADDR, &h, sizeof(h), &what, err);
    *out = (void *)l.items;
    *count = l.count;
    return code;
}

int rtnl_list_routes(struct netlink *nl, struct rtnl_route **out, size_t *count, struct err *err)
{
    static const struct err_context what = {.attempted = "list the routes", .what_to_do = "try again"};
    const struct rtmsg h = {.rtm_family = AF_UNSPEC};
    struct list l = {.item_bytes = sizeof(**out), .parse = parse_route};
    int code = make_list(nl, &l, RTM_GETROUTE, &h, sizeof(h), &what, err);
    *out = (void *)l.items;
    *count = l.count;
    return code;
}

int rtnl_list_neighbours(struct netlink *nl, struct rtnl_neighbour **out, size_t *count, struct err *err)
{
    static const struct err_context what = {.attempted = "list the neighbours", .what_to_do = "try again"};
    const struct ndmsg h = {.ndm_family = AF_UNSPEC};
    struct list l = {.item_bytes = sizeof(**out), .parse = parse_neighbour};
    int code = make_list(nl, &l, RTM_GETNEIGH, &h, sizeof(h), &what, err);
    *out = (void *)l.items;
    *count = l.count;
    return code;
}
