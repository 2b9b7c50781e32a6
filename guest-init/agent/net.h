/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pod's network, seen from inside: interfaces, addresses, routes and neighbours as the agent's calls set and list
 * them. The host made a network device for each interface of the pod's network namespace and gave it that interface's
 * hardware address; by this address an interface is found here and gets its name, its addresses and its MTU.
 *
 * A request is checked altogether before anything is changed. All functions work on the network namespace of the
 * calling thread, keep nothing between calls, and may be called from any thread, but not two at once. Messages that
 * they fill are the caller's to release (pb_release), also those of a call that failed: then there is nothing in them.
 *
 * Source: types.proto and agent.proto; rtnetlink(7).
 */
#ifndef CAISSON_GUEST_INIT_AGENT_NET_H
#define CAISSON_GUEST_INIT_AGENT_NET_H

#include <pb.h>

#include "agent.pb.h"
#include "common/err.h"

/* Most things of one kind in one request. */
#define AGENT_NET_ADDRESSES_MAX  64u
#define AGENT_NET_ROUTES_MAX     1024u
#define AGENT_NET_NEIGHBOURS_MAX 1024u

/*
 * Make the interface with in->hwAddr what *in says: name (who has it already gets the other's name), MTU (0: as it
 * is), NOARP, exactly these addresses besides link-local ones, up. IPv6 addresses are left out where the kernel has no
 * IPv6. out: the interface afterwards; may be NULL. 0, or with *err: -EINVAL: a field that cannot be; -ENODEV: no
 * interface has this address; what the kernel says. Parts that were done before the failure stay.
 */
int agent_net_update_interface(const types_Interface *in, types_Interface *out, struct err *err);

/*
 * Make the routes of the main table those of *in, besides the kernel's own ones and those that routers announced: new
 * ones are added, those without a gateway first; ones that are the same stay; others go. out: all routes afterwards;
 * may be NULL. 0, or with *err: -EINVAL: a field that cannot be, nothing was changed; -ENODEV: likewise, there is no
 * such interface; what the kernel says: routes before the refused one were added, none was removed.
 */
int agent_net_update_routes(const grpc_Routes *in, grpc_Routes *out, struct err *err);

/* All interfaces, the loopback too, with all their addresses. 0, or a negative errno with *err. */
int agent_net_list_interfaces(grpc_Interfaces *out, struct err *err);

/* The routes of the main table; the destination of a default route is empty. 0, or a negative errno with *err. */
int agent_net_list_routes(grpc_Routes *out, struct err *err);

/*
 * Add neighbours, or replace those with the same address; without a state they are permanent. 0, or with *err: -EINVAL:
 * a field that cannot be, nothing was changed; -ENODEV: likewise; what the kernel says: those before stay.
 */
int agent_net_add_neighbours(const grpc_ARPNeighbors *in, struct err *err);

/*
 * Counters of all interfaces but loopbacks. *out: *count of them, an array that pb_release releases as a part of
 * grpc_StatsContainerResponse; NULL if there are none. 0 or a negative errno.
 */
int agent_net_stats(grpc_NetworkStats **out, pb_size_t *count);

#endif
