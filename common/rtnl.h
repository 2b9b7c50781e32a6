/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's network configuration by rtnetlink, for both ends: the host reads it in a pod's network namespace, the
 * agent sets it in the guest. Messages become structs with checked contents; nothing is kept.
 *
 * Lists are made by one dump, begun anew a few times if something changed meanwhile, and have a limit. Only what the
 * structs can say is there: IP of both versions, the main routing table.
 *
 * Source: rtnetlink(7); include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h.
 */
#ifndef CAISSON_COMMON_RTNL_H
#define CAISSON_COMMON_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ip.h"
#include "common/netlink.h"

#define RTNL_ITEMS_MAX  8192u /* of each list */
#define RTNL_KIND_BYTES 16u

struct rtnl_counters {
    uint64_t packets, bytes, errors, dropped;
};

struct rtnl_link {
    uint32_t index, flags /* IFF_* */, mtu;
    uint32_t master; /* index of the bridge or bond that it belongs to; 0: none */
    uint32_t lower;  /* index of what it lies on, or of a veth's other end; 0: none, or in another namespace */
    uint16_t type;   /* ARPHRD_* */
    bool has_mac;    /* a hardware address of six bytes */
    uint8_t mac[MAC_BYTES];
    char name[IF_NAMESIZE];
    char kind[RTNL_KIND_BYTES]; /* "veth", "macvlan", ...; "": hardware, or it does not say */
    struct rtnl_counters received, sent;
};

struct rtnl_address {
    uint32_t index; /* of the link */
    uint32_t flags; /* IFA_F_* */
    uint8_t scope;  /* RT_SCOPE_* */
    struct ip local;
    struct ip peer; /* the other end, which the prefix belongs to; family 0: none */
};

struct rtnl_route {
    struct ip destination; /* default route: prefix 0 */
    struct ip gateway;     /* family 0: none; may differ from the destination's family */
    struct ip source;      /* preferred for packets; family 0: none */
    struct ip from;        /* only for packets from these addresses; family 0: all. IPv6 only. */
    uint32_t index;        /* of the link; 0: none */
    uint32_t priority, mtu /* 0: as the link's */, flags /* RTNH_F_* */;
    uint8_t protocol, scope, type, tos;
    bool special; /* has several paths or an encapsulation, of which the above tells only a part */
};

struct rtnl_neighbour {
    uint32_t index;
    uint16_t state; /* NUD_* */
    uint8_t flags;  /* NTF_* */
    bool has_mac;
    uint8_t mac[MAC_BYTES];
    struct ip address;
};

/*
 * Lists, to be freed with free(); NULL if they are empty. 0, or with *err and no list: -E2BIG: more than
 * RTNL_ITEMS_MAX, -EINTR: it never kept still, -ENOMEM, -EBADMSG, what the kernel says.
 */
int rtnl_list_links(struct netlink *nl, struct rtnl_link **out, size_t *count, struct err *err);
int rtnl_list_addresses(struct netlink *nl, struct rtnl_address **out, size_t *count, struct err *err);
int rtnl_list_routes(struct netlink *nl, struct rtnl_route **out, size_t *count, struct err *err);
int rtnl_list_neighbours(struct netlink *nl, struct rtnl_neighbour **out, size_t *count, struct err *err);

/*
 * One message of such a list. 1: *out is complete; 0: it is something else, or nothing that the struct can say;
 * -EBADMSG.
 */
int rtnl_parse_link(const struct netlink_message *m, struct rtnl_link *out);
int rtnl_parse_address(const struct netlink_message *m, struct rtnl_address *out);
int rtnl_parse_route(const struct netlink_message *m, struct rtnl_route *out);
int rtnl_parse_neighbour(const struct netlink_message *m, struct rtnl_neighbour *out);

struct rtnl_link_change {
    uint32_t index;
    const char *name;     /* NULL: as it is */
    uint32_t mtu;         /* 0: as it is */
    uint32_t flags, mask; /* IFF_*: those in mask are set to what flags says */
    bool no_link_local;   /* do not make IPv6 addresses by yourself, when it goes up */
};

enum rtnl_change { RTNL_ADD /* or replace */, RTNL_REMOVE };

/* Changes. what: for the error's text. 0 or a negative errno with *err, as netlink_call. */
int rtnl_set_link(struct netlink *nl, const struct rtnl_link_change *c, const struct err_context *what,
                  struct err *err);
int rtnl_set_address(struct netlink *nl, enum rtnl_change change, const struct rtnl_address *a,
                     const struct err_context *what, struct err *err);
int rtnl_set_route(struct netlink *nl, enum rtnl_change change, const struct rtnl_route *r,
                   const struct err_context *what, struct err *err);
int rtnl_set_neighbour(struct netlink *nl, enum rtnl_change change, const struct rtnl_neighbour *n,
                       const struct err_context *what, struct err *err);

#endif
