/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/agent/net.h"
#include "guest-init/agent/net_internal.h"

#define ROUTES        "set the routes"
#define NEIGHBOURS    "add a neighbour"
#define IPV6_PRIORITY 1024u /* that the kernel gives to a route without one */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static int too_many(const char *attempted, size_t count, unsigned max, struct err *err)
{
    const struct err_context context = {.attempted = attempted, .what_to_do = "send fewer at a time"};
    return err_fail_because(err, -EINVAL, &context, "%zu of them; at most %u are taken", count, max);
}

static int find_device(const struct agent_net_view *v, const char *attempted, const char *name, uint32_t *index,
                       struct err *err)
{
    const struct err_context context = {.attempted = attempted,
                                        .what_to_do = "look at ListInterfaces for the names there are"};
    const struct rtnl_link *link = is_set(name) ? agent_net_find_name(v, name) : NULL;
    if (link == NULL)
        return err_fail_because(err, -ENODEV, &context, "there is no interface \"%.64s\"", name != NULL ? name : "");
    *index = link->index;
    return 0;
}

/* ---- Routes: what is asked for ---- */

static bool is_whole(const struct ip *ip)
{
    return ip->prefix == ip_bits(ip);
}

static int take_destination(const types_Route *in, struct ip *out, struct err *err)
{
    const char *other = is_set(in->gateway) ? in->gateway : is_set(in->source) ? in->source : NULL;
    bool v6 = other != NULL ? strchr(other, ':') != NULL : in->family == types_IPFamily_v6;
    if (!is_set(in->dest)) {
        *out = (struct ip){.family = v6 ? AF_INET6 : AF_INET};
        return 0;
    }
    if (ip_parse(in->dest, out) < 0)
        return agent_net_bad_field(ROUTES, "dest", in->dest, "give an address with the length of its prefix", err);
    /* "0.0.0.0" and "::" alone mean everything; no host has them. */
    if (ip_is_unspecified(out) && strchr(in->dest, '/') == NULL)
        out->prefix = 0;
    return 0;
}

static int take_source(const types_Route *in, struct rtnl_route *out, struct err *err)
{
    struct ip ip;
    if (!is_set(in->source))
        return 0;
    if (ip_parse(in->source, &ip) < 0 || ip.family != out->destination.family)
        return agent_net_bad_field(ROUTES, "source", in->source, "give an address of the same version", err);
    if (is_whole(&ip))
        out->source = ip;
    else if (ip.family == AF_INET6)
        out->from = ip;
    else
        return agent_net_bad_field(ROUTES, "source", in->source, "give one address, IPv4 routes know no others", err);
    return 0;
}

static int take_route(const struct agent_net_view *v, const types_Route *in, struct rtnl_route *out, struct err *err)
{
    *out = (struct rtnl_route){.mtu = in->mtu,
                               .flags = in->flags & RTNH_F_ONLINK,
                               .scope = (uint8_t)in->scope,
                               .type = RTN_UNICAST,
                               .protocol = RTPROT_BOOT};
    if (in->scope > UINT8_MAX)
        return agent_net_bad_field(ROUTES, "scope", "a large number", "give 0 to 255", err);
    int code = take_destination(in, &out->destination, err);
    if (code == 0)
        code = take_source(in, out, err);
    if (code == 0 && is_set(in->gateway) && (ip_parse(in->gateway, &out->gateway) < 0 || !is_whole(&out->gateway)))
        code = agent_net_bad_field(ROUTES, "gateway", in->gateway, "give an address", err);
    return code == 0 ? find_device(v, ROUTES, in->device, &out->index, err) : code;
}

/* *out: an array of in->Routes_count, to be freed. */
static int take_routes(const struct agent_net_view *v, const grpc_Routes *in, struct rtnl_route **out, struct err *err)
{
    size_t count = in->Routes_count;
    *out = NULL;
    if (count > AGENT_NET_ROUTES_MAX)
        return too_many(ROUTES, count, AGENT_NET_ROUTES_MAX, err);
    *out = calloc(count + 1, sizeof(**out));
    if (*out == NULL)
        return agent_net_no_memory(ROUTES, err);
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = take_route(v, &in->Routes[i], &(*out)[i], err);
    return code;
}

/* ---- Routes: making it so ---- */

static void describe(const struct rtnl_route *r, char *out, size_t size)
{
    char destination[IP_TEXT_BYTES], gateway[IP_TEXT_BYTES];
    ip_format(&r->destination, IP_WITH_PREFIX, destination);
    ip_format(&r->gateway, IP_ADDRESS, gateway);
    (void)snprintf(out, size, "%s%s%s", destination, gateway[0] != '\0' ? " by " : "", gateway);
}

static int change_route(struct agent_net_view *v, enum rtnl_change change, const struct rtnl_route *r, struct err *err)
{
    char text[IP_TEXT_BYTES * 2 + 8];
    const struct err_context what = {.attempted = change == RTNL_ADD ? "add the route" : "remove the route",
                                     .on_what = text,
                                     .what_to_do = "set up its interface before, and what its gateway is reached by"};
    describe(r, text, sizeof(text));
    return rtnl_set_route(&v->nl, change, r, &what, err);
}

/* Those without a gateway first: they are the way to the gateways. */
static int add_routes(struct agent_net_view *v, const struct rtnl_route *routes, size_t count, struct err *err)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            if ((routes[i].gateway.family != 0) != (pass == 1))
                continue;
            int code = change_route(v, RTNL_ADD, &routes[i], err);
            if (code < 0 && !agent_net_is_without_ipv6(&routes[i].destination, code))
                return code;
        }
    }
    return 0;
}

static bool is_asked_for(const struct rtnl_route *r, const struct rtnl_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ip_equal(&r->destination, &routes[i].destination) && ip_equal(&r->gateway, &routes[i].gateway) &&
            r->index == routes[i].index && r->priority == (r->destination.family == AF_INET6 ? IPV6_PRIORITY : 0) &&
            !r->special)
            return true;
    return false;
}

static bool is_ours(const struct agent_net_view *v, const struct rtnl_route *r)
{
    const struct rtnl_link *link = agent_net_find_index(v, r->index);
    return r->protocol != RTPROT_KERNEL && r->protocol != RTPROT_RA && r->protocol != RTPROT_REDIRECT &&
           (link == NULL || link->type != ARPHRD_LOOPBACK);
}

static int remove_others(struct agent_net_view *v, const struct rtnl_route *routes, size_t count, struct err *err)
{
    struct rtnl_route *now;
    size_t n;
    int code = rtnl_list_routes(&v->nl, &now, &n, err);
    for (size_t i = 0; code == 0 && i < n; i++) {
        if (!is_ours(v, &now[i]) || is_asked_for(&now[i], routes, count))
            continue;
        code = change_route(v, RTNL_REMOVE, &now[i], err);
        if (code == -ESRCH)
            code = 0;
    }
    free(now);
    return code;
}

int agent_net_update_routes(const grpc_Routes *in, grpc_Routes *out, struct err *err)
{
    struct agent_net_view v;
    struct rtnl_route *routes = NULL;
    if (out != NULL)
        *out = (grpc_Routes){.Routes = NULL};
    int code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    code = take_routes(&v, in, &routes, err);
    if (code == 0)
        code = add_routes(&v, routes, in->Routes_count, err);
    if (code == 0)
        code = remove_others(&v, routes, in->Routes_count, err);
    free(routes);
    agent_net_view_close(&v);
    return code == 0 && out != NULL ? agent_net_list_routes(out, err) : code;
}

/* ---- Routes: listing ---- */

static int fill_route(const struct agent_net_view *v, const struct rtnl_route *r, types_Route *out)
{
    const struct rtnl_link *link = agent_net_find_index(v, r->index);
    const struct ip *source = r->source.family != 0 ? &r->source : &r->from;
    *out =
        (types_Route){.dest = r->destination.prefix != 0 ? agent_net_text(&r->destination, IP_WITH_PREFIX) : strdup(""),
                      .gateway = agent_net_text(&r->gateway, IP_ADDRESS),
                      .device = strdup(link != NULL ? link->name : ""),
                      .source = agent_net_text(source, is_whole(source) ? IP_ADDRESS : IP_WITH_PREFIX),
                      .scope = r->scope,
                      .family = r->destination.family == AF_INET ? types_IPFamily_v4 : types_IPFamily_v6,
                      .flags = r->flags,
                      .mtu = r->mtu};
    return out->dest != NULL && out->gateway != NULL && out->device != NULL && out->source != NULL ? 0 : -ENOMEM;
}

static int fill_routes(const struct agent_net_view *v, const struct rtnl_route *routes, size_t count, grpc_Routes *out)
{
    int code = 0;
    if (count == 0)
        return 0;
    out->Routes = calloc(count, sizeof(*out->Routes));
    if (out->Routes == NULL)
        return -ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = fill_route(v, &routes[i], &out->Routes[out->Routes_count++]);
    return code;
}

int agent_net_list_routes(grpc_Routes *out, struct err *err)
{
    struct agent_net_view v;
    struct rtnl_route *routes = NULL;
    size_t n = 0;
    *out = (grpc_Routes){.Routes = NULL};
    int code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    code = rtnl_list_routes(&v.nl, &routes, &n, err);
    if (code == 0 && fill_routes(&v, routes, n, out) < 0) {
        pb_release(grpc_Routes_fields, out);
        code = agent_net_no_memory("list the routes", err);
    }
    free(routes);
    agent_net_view_close(&v);
    return code;
}

/* ---- Neighbours ---- */

static int take_neighbour(const struct agent_net_view *v, const types_ARPNeighbor *in, struct rtnl_neighbour *out,
                          struct err *err)
{
    const char *address = in->has_toIPAddress ? in->toIPAddress.address : NULL;
    *out = (struct rtnl_neighbour){.state = in->state != 0 ? (uint16_t)in->state : NUD_PERMANENT,
                                   .flags = (uint8_t)in->flags,
                                   .has_mac = is_set(in->lladdr)};
    if (!is_set(address) || ip_parse(address, &out->address) < 0 || !is_whole(&out->address))
        return agent_net_bad_field(NEIGHBOURS, "toIPAddress", address, "give an address", err);
    if (out->has_mac && mac_parse(in->lladdr, out->mac) < 0)
        return agent_net_bad_field(NEIGHBOURS, "lladdr", in->lladdr, "give an address like 02:00:00:00:00:01", err);
    if (in->state < 0 || in->state > UINT8_MAX || in->flags < 0 || in->flags > UINT8_MAX)
        return agent_net_bad_field(NEIGHBOURS, "state or flags", "another number", "give 0 to 255", err);
    return find_device(v, NEIGHBOURS, in->device, &out->index, err);
}

static int add_neighbour(struct agent_net_view *v, const struct rtnl_neighbour *n, struct err *err)
{
    char text[IP_TEXT_BYTES];
    const struct err_context what = {
        .attempted = "add the neighbour", .on_what = text, .what_to_do = "set up its interface before"};
    ip_format(&n->address, IP_ADDRESS, text);
    int code = rtnl_set_neighbour(&v->nl, RTNL_ADD, n, &what, err);
    return agent_net_is_without_ipv6(&n->address, code) ? 0 : code;
}

static int add_neighbours(struct agent_net_view *v, const grpc_ARPNeighbors *in, struct err *err)
{
    struct rtnl_neighbour n;
    int code = 0;
    if (in->ARPNeighbors_count > AGENT_NET_NEIGHBOURS_MAX)
        return too_many(NEIGHBOURS, in->ARPNeighbors_count, AGENT_NET_NEIGHBOURS_MAX, err);
    for (size_t i = 0; code == 0 && i < in->ARPNeighbors_count; i++)
        code = take_neighbour(v, &in->ARPNeighbors[i], &n, err);
    for (size_t i = 0; code == 0 && i < in->ARPNeighbors_count; i++) {
        (void)take_neighbour(v, &in->ARPNeighbors[i], &n, err);
        code = add_neighbour(v, &n, err);
    }
    return code;
}

int agent_net_add_neighbours(const grpc_ARPNeighbors *in, struct err *err)
{
    struct agent_net_view v;
    int code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    code = add_neighbours(&v, in, err);
    agent_net_view_close(&v);
    return code;
}
