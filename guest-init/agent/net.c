/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/net.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/agent/net_internal.h"

#define UPDATE "set up an interface"

/* ---- Shared ---- */

void agent_net_view_close(struct agent_net_view *v)
{
    free(v->links);
    free(v->addresses);
    netlink_close(&v->nl);
}

int agent_net_view_open(struct agent_net_view *v, struct err *err)
{
    *v = (struct agent_net_view){.links = NULL};
    int code = netlink_open(&v->nl, err);
    if (code == 0)
        code = rtnl_list_links(&v->nl, &v->links, &v->link_count, err);
    if (code == 0)
        code = rtnl_list_addresses(&v->nl, &v->addresses, &v->address_count, err);
    if (code < 0)
        agent_net_view_close(v);
    return code;
}

int agent_net_no_memory(const char *attempted, struct err *err)
{
    const struct err_context context = {.attempted = attempted, .what_to_do = "give the guest more memory"};
    return err_fail(err, -ENOMEM, &context);
}

const struct rtnl_link *agent_net_find_name(const struct agent_net_view *v, const char *name)
{
    for (size_t i = 0; i < v->link_count; i++)
        if (strcmp(v->links[i].name, name) == 0)
            return &v->links[i];
    return NULL;
}

const struct rtnl_link *agent_net_find_index(const struct agent_net_view *v, uint32_t index)
{
    for (size_t i = 0; i < v->link_count; i++)
        if (v->links[i].index == index)
            return &v->links[i];
    return NULL;
}

int agent_net_bad_field(const char *attempted, const char *field, const char *value, const char *expected,
                        struct err *err)
{
    const struct err_context context = {.attempted = attempted, .what_to_do = expected};
    return err_fail_because(err, -EINVAL, &context, "%s is \"%.64s\"", field, value != NULL ? value : "");
}

bool agent_net_is_without_ipv6(const struct ip *ip, int code)
{
    return ip->family == AF_INET6 && (code == -EACCES || code == -EOPNOTSUPP || code == -EAFNOSUPPORT);
}

char *agent_net_text(const struct ip *ip, enum ip_style style)
{
    char text[IP_TEXT_BYTES];
    ip_format(ip, style, text);
    return strdup(text);
}

char *agent_net_mac_text(const uint8_t mac[MAC_BYTES])
{
    char text[MAC_TEXT_BYTES];
    mac_format(mac, text);
    return strdup(text);
}

/* ---- Listing ---- */

static int fill_address(const struct rtnl_address *a, types_IPAddress *out)
{
    char prefix[8];
    (void)snprintf(prefix, sizeof(prefix), "%u", a->local.prefix);
    out->family = a->local.family == AF_INET ? types_IPFamily_v4 : types_IPFamily_v6;
    out->address = agent_net_text(&a->local, IP_ADDRESS);
    out->mask = strdup(prefix);
    return out->address != NULL && out->mask != NULL ? 0 : -ENOMEM;
}

static int fill_addresses(const struct rtnl_address *all, size_t count, uint32_t index, types_Interface *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += all[i].index == index;
    if (n == 0)
        return 0;
    out->IPAddresses = calloc(n, sizeof(*out->IPAddresses));
    if (out->IPAddresses == NULL)
        return -ENOMEM;
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        if (all[i].index == index)
            code = fill_address(&all[i], &out->IPAddresses[out->IPAddresses_count++]);
    return code;
}

/* On failure *out is to be released all the same. */
static int fill_interface(const struct rtnl_link *link, const struct rtnl_address *all, size_t count,
                          types_Interface *out)
{
    out->device = strdup(link->name);
    out->name = strdup(link->name);
    out->hwAddr = link->has_mac ? agent_net_mac_text(link->mac) : strdup("");
    out->type = strdup(link->kind);
    out->mtu = link->mtu;
    out->raw_flags = link->flags;
    if (out->device == NULL || out->name == NULL || out->hwAddr == NULL || out->type == NULL)
        return -ENOMEM;
    return fill_addresses(all, count, link->index, out);
}

int agent_net_list_interfaces(grpc_Interfaces *out, struct err *err)
{
    struct agent_net_view v;
    *out = (grpc_Interfaces){.Interfaces = NULL};
    int code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    if (v.link_count > 0) {
        out->Interfaces = calloc(v.link_count, sizeof(*out->Interfaces));
        code = out->Interfaces != NULL ? 0 : -ENOMEM;
    }
    for (size_t i = 0; code == 0 && i < v.link_count; i++)
        code = fill_interface(&v.links[i], v.addresses, v.address_count, &out->Interfaces[out->Interfaces_count++]);
    agent_net_view_close(&v);
    if (code < 0) {
        pb_release(grpc_Interfaces_fields, out);
        return agent_net_no_memory("list the interfaces", err);
    }
    return 0;
}

/* ---- Update ---- */

struct wanted {
    const char *name; /* NULL: as it is */
    uint8_t mac[MAC_BYTES];
    uint32_t mtu;
    bool no_arp;
    size_t count;
    struct ip addresses[AGENT_NET_ADDRESSES_MAX];
};

static int take_address(const types_IPAddress *in, struct ip *out, struct err *err)
{
    char text[IP_TEXT_BYTES];
    int n =
        snprintf(text, sizeof(text), "%s/%s", in->address != NULL ? in->address : "", in->mask != NULL ? in->mask : "");
    if (n < 0 || (size_t)n >= sizeof(text) || ip_parse(text, out) < 0)
        return agent_net_bad_field(UPDATE, "an address", n < 0 ? NULL : text,
                                   "give an IP address and the length of its prefix", err);
    return 0;
}

static int take_wanted(const types_Interface *in, struct wanted *w, struct err *err)
{
    char number[24];
    *w = (struct wanted){.name = in->name != NULL && in->name[0] != '\0' ? in->name : NULL,
                         .no_arp = (in->raw_flags & IFF_NOARP) != 0,
                         .count = in->IPAddresses_count};
    if (in->hwAddr == NULL || mac_parse(in->hwAddr, w->mac) < 0)
        return agent_net_bad_field(UPDATE, "hwAddr", in->hwAddr, "give a hardware address like 02:00:00:00:00:01", err);
    if (w->name != NULL && !ip_is_interface_name(w->name))
        return agent_net_bad_field(UPDATE, "name", w->name, "give 1 to 15 characters, no '/', ':', '%' or blank", err);
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)in->mtu);
    if (in->mtu > UINT16_MAX)
        return agent_net_bad_field(UPDATE, "mtu", number, "give at most 65535 bytes", err);
    w->mtu = (uint32_t)in->mtu;
    (void)snprintf(number, sizeof(number), "%u", (unsigned)in->IPAddresses_count);
    if (w->count > AGENT_NET_ADDRESSES_MAX)
        return agent_net_bad_field(UPDATE, "the number of addresses", number, "give at most 64", err);
    int code = 0;
    for (size_t i = 0; code == 0 && i < w->count; i++)
        code = take_address(&in->IPAddresses[i], &w->addresses[i], err);
    return code;
}

/* A device rather than what lies on it and borrows its address. */
static const struct rtnl_link *find_mac(const struct agent_net_view *v, const uint8_t mac[MAC_BYTES])
{
    const struct rtnl_link *found = NULL;
    for (size_t i = 0; i < v->link_count; i++) {
        const struct rtnl_link *l = &v->links[i];
        if (l->type != ARPHRD_LOOPBACK && l->has_mac && memcmp(l->mac, mac, MAC_BYTES) == 0 &&
            (found == NULL || (found->lower != 0 && l->lower == 0)))
            found = l;
    }
    return found;
}

static int change_link(struct agent_net_view *v, const char *name, const struct rtnl_link_change *c, struct err *err)
{
    const struct err_context what = {
        .attempted = UPDATE, .on_what = name, .what_to_do = "look at the request and at the guest's interfaces"};
    return rtnl_set_link(&v->nl, c, &what, err);
}

static int switch_link(struct agent_net_view *v, const struct rtnl_link *l, bool up, struct err *err)
{
    const struct rtnl_link_change c = {.index = l->index, .flags = up ? IFF_UP : 0, .mask = IFF_UP};
    return change_link(v, l->name, &c, err);
}

static int rename_link(struct agent_net_view *v, const struct rtnl_link *l, const char *name, struct err *err)
{
    const struct rtnl_link_change c = {.index = l->index, .name = name};
    return change_link(v, l->name, &c, err);
}

/* Both have to be down while they change their names. `other` gets the name that `ours` leaves. */
static int swap_names(struct agent_net_view *v, const struct rtnl_link *ours, const struct rtnl_link *other,
                      struct err *err)
{
    char between[IF_NAMESIZE];
    (void)snprintf(between, sizeof(between), "csn%u", other->index);
    int code = (other->flags & IFF_UP) != 0 ? switch_link(v, other, false, err) : 0;
    if (code == 0)
        code = rename_link(v, other, between, err);
    if (code == 0)
        code = rename_link(v, ours, other->name, err);
    /* Also after a failure: nobody knows it by the name in between. */
    (void)rename_link(v, other, code == 0 ? ours->name : other->name, NULL);
    if ((other->flags & IFF_UP) != 0)
        (void)switch_link(v, other, true, NULL);
    return code;
}

static int give_name(struct agent_net_view *v, const struct rtnl_link *ours, const char *name, struct err *err)
{
    if (name == NULL || strcmp(ours->name, name) == 0)
        return 0;
    const struct rtnl_link *other = agent_net_find_name(v, name);
    int code = (ours->flags & IFF_UP) != 0 ? switch_link(v, ours, false, err) : 0;
    if (code < 0)
        return code;
    code = other != NULL ? swap_names(v, ours, other, err) : rename_link(v, ours, name, err);
    if (code < 0 && (ours->flags & IFF_UP) != 0)
        (void)switch_link(v, ours, true, NULL);
    return code;
}

static bool is_wanted(const struct wanted *w, const struct rtnl_address *a)
{
    for (size_t i = 0; i < w->count; i++)
        if (a->peer.family == 0 && ip_equal(&w->addresses[i], &a->local))
            return true;
    return false;
}

static int remove_others(struct agent_net_view *v, const struct rtnl_link *link, const struct wanted *w,
                         struct err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < v->address_count; i++) {
        const struct rtnl_address *a = &v->addresses[i];
        char text[IP_TEXT_BYTES];
        ip_format(&a->local, IP_WITH_PREFIX, text);
        const struct err_context what = {.attempted = "remove the address", .on_what = text, .what_to_do = "try again"};
        if (a->index != link->index || is_wanted(w, a) || (a->local.family == AF_INET6 && a->scope == RT_SCOPE_LINK))
            continue;
        code = rtnl_set_address(&v->nl, RTNL_REMOVE, a, &what, err);
        /* Secondary ones go with the first of their network, and IPv6 ones when the interface goes down. */
        if (code == -EADDRNOTAVAIL)
            code = 0;
    }
    return code;
}

static int add_address(struct agent_net_view *v, const struct rtnl_link *link, const struct ip *ip, struct err *err)
{
    /* Whoever gave it to the host's side of the interface has looked for duplicates. */
    const struct rtnl_address a = {.index = link->index,
                                   .local = *ip,
                                   .flags = ip->family == AF_INET6 ? IFA_F_NODAD : 0,
                                   .scope = ip_is_loopback(ip)     ? RT_SCOPE_HOST
                                            : ip_is_link_local(ip) ? RT_SCOPE_LINK
                                                                   : RT_SCOPE_UNIVERSE};
    char text[IP_TEXT_BYTES];
    ip_format(ip, IP_WITH_PREFIX, text);
    const struct err_context what = {
        .attempted = "add the address", .on_what = text, .what_to_do = "look at the addresses of the request"};
    int code = rtnl_set_address(&v->nl, RTNL_ADD, &a, &what, err);
    return agent_net_is_without_ipv6(ip, code) ? 0 : code;
}

static int apply(struct agent_net_view *v, const struct rtnl_link *link, const struct wanted *w, struct err *err)
{
    const struct rtnl_link_change c = {.index = link->index,
                                       .mtu = w->mtu != link->mtu ? w->mtu : 0,
                                       .flags = IFF_UP | (w->no_arp ? (unsigned)IFF_NOARP : 0u),
                                       .mask = IFF_UP | IFF_NOARP};
    int code = give_name(v, link, w->name, err);
    if (code == 0)
        code = change_link(v, w->name != NULL ? w->name : link->name, &c, err);
    if (code == 0)
        code = remove_others(v, link, w, err);
    for (size_t i = 0; code == 0 && i < w->count; i++)
        code = add_address(v, link, &w->addresses[i], err);
    return code;
}

/* The interface as it is now. */
static int tell(uint32_t index, types_Interface *out, struct err *err)
{
    struct agent_net_view v;
    int code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    const struct rtnl_link *link = agent_net_find_index(&v, index);
    if (link != NULL && fill_interface(link, v.addresses, v.address_count, out) < 0) {
        pb_release(types_Interface_fields, out);
        code = agent_net_no_memory(UPDATE, err);
    }
    agent_net_view_close(&v);
    return code;
}

int agent_net_update_interface(const types_Interface *in, types_Interface *out, struct err *err)
{
    static const struct err_context missing = {
        .attempted = UPDATE, .what_to_do = "give the pod a network device with this address, and load its driver"};
    struct wanted w;
    struct agent_net_view v;
    uint32_t index = 0;
    if (out != NULL)
        *out = (types_Interface){.name = NULL};
    int code = take_wanted(in, &w, err);
    if (code == 0)
        code = agent_net_view_open(&v, err);
    if (code < 0)
        return code;
    const struct rtnl_link *link = find_mac(&v, w.mac);
    if (link == NULL) {
        code = err_fail_because(err, -ENODEV, &missing, "none has the hardware address %s", in->hwAddr);
    } else {
        index = link->index;
        code = apply(&v, link, &w, err);
    }
    agent_net_view_close(&v);
    return code == 0 && out != NULL ? tell(index, out, err) : code;
}

/* ---- Counters ---- */

static int fill_stats(const struct rtnl_link *l, grpc_NetworkStats *out)
{
    *out = (grpc_NetworkStats){.name = strdup(l->name),
                               .rx_bytes = l->received.bytes,
                               .rx_packets = l->received.packets,
                               .rx_errors = l->received.errors,
                               .rx_dropped = l->received.dropped,
                               .tx_bytes = l->sent.bytes,
                               .tx_packets = l->sent.packets,
                               .tx_errors = l->sent.errors,
                               .tx_dropped = l->sent.dropped};
    return out->name != NULL ? 0 : -ENOMEM;
}

static int fill_all_stats(const struct rtnl_link *links, size_t count, grpc_StatsContainerResponse *out)
{
    int code = 0;
    if (count == 0)
        return 0;
    out->network_stats = calloc(count, sizeof(*out->network_stats));
    if (out->network_stats == NULL)
        return -ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++)
        if (links[i].type != ARPHRD_LOOPBACK)
            code = fill_stats(&links[i], &out->network_stats[out->network_stats_count++]);
    return code;
}

int agent_net_stats(grpc_NetworkStats **out, pb_size_t *count)
{
    struct netlink nl;
    struct rtnl_link *links = NULL;
    size_t n = 0;
    grpc_StatsContainerResponse r = {.network_stats = NULL};
    int code = netlink_open(&nl, NULL);
    if (code == 0) {
        code = rtnl_list_links(&nl, &links, &n, NULL);
        if (code == 0)
            code = fill_all_stats(links, n, &r);
        free(links);
        netlink_close(&nl);
    }
    if (code < 0 || r.network_stats_count == 0)
        pb_release(grpc_StatsContainerResponse_fields, &r);
    *out = r.network_stats;
    *count = r.network_stats_count;
    return code;
}
