/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the agent's network calls share: finding interfaces, words for bad fields, texts in messages.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_NET_INTERNAL_H
#define CAISSON_GUEST_INIT_AGENT_NET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/rtnl.h"

/* A socket and what there was when it was opened. */
struct agent_net_view {
    struct netlink nl;
    struct rtnl_link *links;
    size_t link_count;
    struct rtnl_address *addresses;
    size_t address_count;
};

/* 0, or a negative errno with *err and nothing to close. */
int agent_net_view_open(struct agent_net_view *v, struct err *err);
void agent_net_view_close(struct agent_net_view *v);
/* NULL: none. */
const struct rtnl_link *agent_net_find_name(const struct agent_net_view *v, const char *name);
const struct rtnl_link *agent_net_find_index(const struct agent_net_view *v, uint32_t index);

/* -ENOMEM with *err. */
int agent_net_no_memory(const char *attempted, struct err *err);

/* -EINVAL with *err: the field of this name, in a request to do `attempted`, has a value that cannot be. */
int agent_net_bad_field(const char *attempted, const char *field, const char *value, const char *expected,
                        struct err *err);

/* Is this the answer of a kernel without IPv6, or for an interface where it is switched off? */
bool agent_net_is_without_ipv6(const struct ip *ip, int code);

/* Texts for messages, allocated; NULL: no memory. */
char *agent_net_text(const struct ip *ip, enum ip_style style);
char *agent_net_mac_text(const uint8_t mac[MAC_BYTES]);

#endif
