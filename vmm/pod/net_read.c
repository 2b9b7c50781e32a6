/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pod/net_internal.h"

#define TAKE_OVER "take over the network namespace"

int pod_net_space_read(struct netlink *nl, struct pod_net_space *space, struct err *err)
{
    int code = rtnl_list_links(nl, &space->links, &space->link_count, err);
    if (code == 0)
        code = rtnl_list_addresses(nl, &space->addresses, &space->address_count, err);
    if (code == 0)
        code = rtnl_list_routes(nl, &space->routes, &space->route_count, err);
    if (code == 0)
        code = rtnl_list_neighbours(nl, &space->neighbours, &space->neighbour_count, err);
    return code;
}

void pod_net_space_release(struct pod_net_space *space)
{
    free(space->links);
    free(space->addresses);
    free(space->routes);
    free(space->neighbours);
    *space = (struct pod_net_space){.links = NULL};
}

static int too_many(const char *things, const char *on_what, unsigned max, struct err *err)
{
    static const struct err_context context = {.attempted = TAKE_OVER,
                                               .what_to_do = "let the network plugin make fewer, or use another one"};
    return err_fail_because(err, -E2BIG, &context, "%s has more than %u %s", on_what, max, things);
}

static int no_memory(struct err *err)
{
    static const struct err_context context = {.attempted = TAKE_OVER, .what_to_do = "free memory on the host"};
    return err_fail(err, -ENOMEM, &context);
}

static void note(struct text *notes, const char *name, const char *why)
{
    text_add(notes, "%s%s: %s", notes->length > 0 ? "; " : "", name, why);
}

static void note_route(struct text *notes, const struct rtnl_route *r, const char *why)
{
    char text[IP_TEXT_BYTES];
    ip_format(&r->destination, IP_WITH_PREFIX, text);
    text_add(notes, "%sroute to %s: %s", notes->length > 0 ? "; " : "", text, why);
}

/* ---- Which interfaces ---- */

static bool is_for_guest(const struct rtnl_address *a)
{
    return a->scope < RT_SCOPE_LINK && (a->flags & (IFA_F_DADFAILED | IFA_F_TEMPORARY)) == 0;
}

static bool has_address(const struct pod_net_space *space, const struct rtnl_link *link)
{
    for (size_t i = 0; i < space->address_count; i++)
        if (space->addresses[i].index == link->index && is_for_guest(&space->addresses[i]))
            return true;
    return false;
}

/* Its packets come and go by another interface of this namespace, which is redirected before they get here. */
static bool lies_on_another(const struct rtnl_link *link)
{
    static const char *const kinds[] = {"vlan", "macvlan", "ipvlan", "macvtap", "macsec"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(link->kind, kinds[i]) == 0)
            return link->lower != 0;
    return false;
}

static const struct rtnl_link *with_same_mac(const struct pod_net_space *space, const struct rtnl_link *link)
{
    for (unsigned i = 0; i < space->chosen_count; i++)
        if (memcmp(space->chosen[i]->mac, link->mac, MAC_BYTES) == 0)
            return space->chosen[i];
    return NULL;
}

/* Why it cannot be redirected; NULL: it can. */
static const char *reason_against(const struct pod_net_space *space, const struct rtnl_link *link)
{
    if (link->type != ARPHRD_ETHER || !link->has_mac)
        return "left out, it is no Ethernet";
    if (link->master != 0)
        return "left out, it belongs to a bridge or bond";
    if (lies_on_another(link))
        return "left out, it lies on another interface of the namespace";
    if (strcmp(link->kind, "macvtap") == 0)
        return "left out, its packets go to a program (macvtap)";
    if (with_same_mac(space, link) != NULL)
        return "left out, another interface has the same hardware address";
    return NULL;
}

int pod_net_choose(struct pod_net_space *space, struct text *notes, struct err *err)
{
    for (size_t i = 0; i < space->link_count; i++) {
        const struct rtnl_link *link = &space->links[i];
        bool in_use = (link->flags & IFF_UP) != 0 || has_address(space, link);
        if ((link->flags & IFF_LOOPBACK) != 0 || link->type == ARPHRD_LOOPBACK || !in_use)
            continue;
        const char *why = reason_against(space, link);
        if (why != NULL) {
            note(notes, link->name, why);
            continue;
        }
        if (space->chosen_count == IO_NETS_MAX)
            return too_many("interfaces", "it", IO_NETS_MAX, err);
        space->chosen[space->chosen_count++] = link;
    }
    return 0;
}

static const struct rtnl_link *chosen_by_index(const struct pod_net_space *space, uint32_t index)
{
    for (unsigned i = 0; i < space->chosen_count; i++)
        if (space->chosen[i]->index == index)
            return space->chosen[i];
    return NULL;
}

/* ---- Addresses ---- */

static char *text_of(const struct ip *ip, enum ip_style style)
{
    char text[IP_TEXT_BYTES];
    ip_format(ip, style, text);
    return strdup(text);
}

static types_IPFamily family_of(const struct ip *ip)
{
    return ip->family == AF_INET ? types_IPFamily_v4 : types_IPFamily_v6;
}

static int fill_address(const struct rtnl_address *a, types_IPAddress *out)
{
    char prefix[8];
    /* The guest's kernel would make a route from the prefix, which this one did not do, or for the other end only. */
    bool alone = a->peer.family != 0 || (a->flags & IFA_F_NOPREFIXROUTE) != 0;
    unsigned bits = alone ? ip_bits(&a->local) : a->local.prefix;
    (void)snprintf(prefix, sizeof(prefix), "%u", bits);
    *out = (types_IPAddress){
        .family = family_of(&a->local), .address = text_of(&a->local, IP_ADDRESS), .mask = strdup(prefix)};
    return out->address != NULL && out->mask != NULL ? 0 : -ENOMEM;
}

static int fill_addresses(const struct pod_net_space *space, const struct rtnl_link *link, types_Interface *out,
                          struct err *err)
{
    out->IPAddresses = calloc(POD_NET_ADDRESSES_MAX, sizeof(*out->IPAddresses));
    if (out->IPAddresses == NULL)
        return no_memory(err);
    for (size_t i = 0; i < space->address_count; i++) {
        const struct rtnl_address *a = &space->addresses[i];
        if (a->index != link->index || !is_for_guest(a))
            continue;
        if (out->IPAddresses_count == POD_NET_ADDRESSES_MAX)
            return too_many("addresses", link->name, POD_NET_ADDRESSES_MAX, err);
        if (fill_address(a, &out->IPAddresses[out->IPAddresses_count++]) < 0)
            return no_memory(err);
    }
    return 0;
}

static int fill_interface(const struct pod_net_space *space, const struct rtnl_link *link, types_Interface *out,
                          struct err *err)
{
    char mac[MAC_TEXT_BYTES];
    mac_format(link->mac, mac);
    *out = (types_Interface){.device = strdup(link->name),
                             .name = strdup(link->name),
                             .hwAddr = strdup(mac),
                             .type = strdup(link->kind),
                             .mtu = link->mtu < POD_NET_MTU_MAX ? link->mtu : POD_NET_MTU_MAX,
                             .raw_flags = link->flags & IFF_NOARP};
    if (out->device == NULL || out->name == NULL || out->hwAddr == NULL || out->type == NULL)
        return no_memory(err);
    return fill_addresses(space, link, out, err);
}

/* ---- Routes ---- */

/* The guest's kernel makes it by itself, or hears of it where this one did. */
static bool comes_by_itself(const struct rtnl_route *r)
{
    return r->protocol == RTPROT_KERNEL || r->protocol == RTPROT_RA || r->protocol == RTPROT_REDIRECT ||
           (r->destination.family == AF_INET6 && ip_is_link_local(&r->destination)) || ip_is_multicast(&r->destination);
}

/* What the message cannot say; NULL: nothing. */
static const char *route_beyond_words(const struct rtnl_route *r)
{
    if (r->type != RTN_UNICAST)
        return "left out, it refuses packets";
    if (r->special)
        return "left out, it has several paths or an encapsulation";
    if (r->tos != 0 || r->from.family != 0)
        return "left out, it is for some packets only";
    return NULL;
}

struct kept {
    const struct rtnl_route *routes[POD_NET_ROUTES_MAX];
    size_t count;
};

/* Messages have no priority, so of several routes to the same destination only the best one is told. */
static int keep(struct kept *k, const struct rtnl_route *r, struct text *notes, struct err *err)
{
    for (size_t i = 0; i < k->count; i++) {
        if (!ip_equal(&k->routes[i]->destination, &r->destination))
            continue;
        if (r->priority < k->routes[i]->priority)
            k->routes[i] = r;
        note_route(notes, r, "only the one with the best priority is used");
        return 0;
    }
    if (k->count == POD_NET_ROUTES_MAX)
        return too_many("routes", "it", POD_NET_ROUTES_MAX, err);
    k->routes[k->count++] = r;
    return 0;
}

static int keep_all(const struct pod_net_space *space, struct kept *k, struct text *notes, struct err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < space->route_count; i++) {
        const struct rtnl_route *r = &space->routes[i];
        const struct rtnl_link *link = chosen_by_index(space, r->index);
        const char *why = route_beyond_words(r);
        /* Those that refuse and those with several paths belong to no interface, or to the loopback. */
        if (comes_by_itself(r) || (link == NULL && why == NULL))
            continue;
        if (why != NULL)
            note_route(notes, r, why);
        else
            code = keep(k, r, notes, err);
    }
    return code;
}

static int fill_route(const struct rtnl_route *r, const char *device, types_Route *out)
{
    bool all = r->destination.prefix == 0;
    *out = (types_Route){.dest = all ? strdup("") : text_of(&r->destination, IP_WITH_PREFIX),
                         .gateway = text_of(&r->gateway, IP_ADDRESS),
                         .device = strdup(device),
                         .source = text_of(&r->source, IP_ADDRESS),
                         .scope = r->scope,
                         .family = family_of(&r->destination),
                         .flags = r->flags & RTNH_F_ONLINK,
                         .mtu = r->mtu};
    return out->dest != NULL && out->gateway != NULL && out->device != NULL && out->source != NULL ? 0 : -ENOMEM;
}

static int add_route(const struct pod_net_space *space, const struct rtnl_route *r, grpc_Routes *out, struct err *err)
{
    if (out->Routes_count == POD_NET_ROUTES_MAX)
        return too_many("routes", "it", POD_NET_ROUTES_MAX, err);
    return fill_route(r, chosen_by_index(space, r->index)->name, &out->Routes[out->Routes_count++]) < 0 ? no_memory(err)
                                                                                                        : 0;
}

/* An address with another end: the kernel's route to that end is not made from what the message says. */
static int add_peer_routes(const struct pod_net_space *space, grpc_Routes *out, struct err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < space->address_count; i++) {
        const struct rtnl_address *a = &space->addresses[i];
        if (chosen_by_index(space, a->index) == NULL || !is_for_guest(a) || a->peer.family == 0 ||
            (a->flags & IFA_F_NOPREFIXROUTE) != 0)
            continue;
        struct rtnl_route r = {
            .destination = a->peer, .source = a->local, .index = a->index, .scope = RT_SCOPE_LINK, .type = RTN_UNICAST};
        ip_clear_host(&r.destination);
        code = add_route(space, &r, out, err);
    }
    return code;
}

static int fill_routes(const struct pod_net_space *space, grpc_Routes *out, struct text *notes, struct err *err)
{
    struct kept *k = calloc(1, sizeof(*k));
    out->Routes = calloc(POD_NET_ROUTES_MAX, sizeof(*out->Routes));
    int code = k != NULL && out->Routes != NULL ? keep_all(space, k, notes, err) : no_memory(err);
    if (code == 0)
        code = add_peer_routes(space, out, err);
    for (unsigned pass = 0; pass < 2; pass++)
        for (size_t i = 0; code == 0 && i < k->count; i++)
            if ((k->routes[i]->gateway.family != 0) == (pass == 1))
                code = add_route(space, k->routes[i], out, err);
    free(k);
    return code;
}

/* ---- Neighbours ---- */

static int fill_neighbour(const struct rtnl_neighbour *n, const char *device, types_ARPNeighbor *out)
{
    char mac[MAC_TEXT_BYTES];
    mac_format(n->mac, mac);
    *out = (types_ARPNeighbor){
        .has_toIPAddress = true,
        .toIPAddress = {.family = family_of(&n->address), .address = text_of(&n->address, IP_ADDRESS)},
        .device = strdup(device),
        .lladdr = strdup(mac),
        .state = NUD_PERMANENT,
        .flags = n->flags & NTF_ROUTER};
    return out->toIPAddress.address != NULL && out->device != NULL && out->lladdr != NULL ? 0 : -ENOMEM;
}

static int fill_neighbours(const struct pod_net_space *space, grpc_ARPNeighbors *out, struct err *err)
{
    out->ARPNeighbors = calloc(POD_NET_NEIGHBOURS_MAX, sizeof(*out->ARPNeighbors));
    if (out->ARPNeighbors == NULL)
        return no_memory(err);
    for (size_t i = 0; i < space->neighbour_count; i++) {
        const struct rtnl_neighbour *n = &space->neighbours[i];
        const struct rtnl_link *link = chosen_by_index(space, n->index);
        if (link == NULL || !n->has_mac || (n->state & NUD_PERMANENT) == 0 || (n->flags & NTF_PROXY) != 0)
            continue;
        if (out->ARPNeighbors_count == POD_NET_NEIGHBOURS_MAX)
            return too_many("permanent neighbours", "it", POD_NET_NEIGHBOURS_MAX, err);
        if (fill_neighbour(n, link->name, &out->ARPNeighbors[out->ARPNeighbors_count++]) < 0)
            return no_memory(err);
    }
    return 0;
}

int pod_net_describe(const struct pod_net_space *space, struct pod_net *out, struct text *notes, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < space->chosen_count; i++) {
        out->count = i + 1;
        out->link[i].tap_fd = -1;
        out->interfaces[i].has_interface = true;
        code = fill_interface(space, space->chosen[i], &out->interfaces[i].interface, err);
    }
    if (code == 0)
        code = fill_routes(space, &out->routes, notes, err);
    return code == 0 ? fill_neighbours(space, &out->neighbours, err) : code;
}
