/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a pod's network: what a namespace contains (net_read.c), and the wires (net_wire.c). Everything works
 * in the calling thread's namespace, which net.c takes care of.
 */
#ifndef CAISSON_VMM_POD_NET_INTERNAL_H
#define CAISSON_VMM_POD_NET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/rtnl.h"
#include "common/text.h"
#include "vmm/pod/net.h"

#define POD_NET_MTU_MAX 65521u /* of a TAP: drivers/net/tun.c, 65535 without an Ethernet header */

/* Of a namespace: everything, and the links that the pod gets. */
struct pod_net_space {
    struct rtnl_link *links;
    struct rtnl_address *addresses;
    struct rtnl_route *routes;
    struct rtnl_neighbour *neighbours;
    size_t link_count, address_count, route_count, neighbour_count;
    const struct rtnl_link *chosen[IO_NETS_MAX];
    unsigned chosen_count;
};

/* Read all lists. 0, or a negative errno with *err; to be released in any case. */
int pod_net_space_read(struct netlink *nl, struct pod_net_space *space, struct err *err);
void pod_net_space_release(struct pod_net_space *space);

/* Fill `chosen`; what cannot be redirected is told in notes. 0, or -E2BIG with *err. */
int pod_net_choose(struct pod_net_space *space, struct text *notes, struct err *err);

/* Make the messages for what was chosen. 0, or -E2BIG or -ENOMEM with *err; *out is to be released in any case. */
int pod_net_describe(const struct pod_net_space *space, struct pod_net *out, struct text *notes, struct err *err);

/* Is this one of our TAPs? */
bool pod_net_is_tap(const struct rtnl_link *link);

enum pod_net_wiring {
    POD_NET_FREE,    /* no ingress qdisc */
    POD_NET_OURS,    /* ours, and none but our filters in it; its TAP may be gone */
    POD_NET_FOREIGN, /* somebody else's, or with other filters */
};

/* A pod_net_wiring, or a negative errno with *err. */
int pod_net_look(struct netlink *nl, const struct rtnl_link *link, struct err *err);

/*
 * Make the TAP with this number for a link and redirect both ways. out: all but its message. 0, or a negative errno
 * with *err and nothing left.
 */
int pod_net_wire(struct netlink *nl, const struct rtnl_link *link, unsigned number, struct pod_net_link *out,
                 struct err *err);

/* Remove the qdisc of a link. 0, also if there is none, or a negative errno with *err (may be NULL). */
int pod_net_unwire(struct netlink *nl, const struct rtnl_link *link, struct err *err);

#endif
