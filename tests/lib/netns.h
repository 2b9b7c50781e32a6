/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Network namespaces for tests: made by this process, held by a descriptor, gone when the process ends. Without root it
 * gets a user namespace of its own first. Whatever fails is a failed assertion, but where namespaces are forbidden
 * netns_can says so, for skip().
 */
#ifndef CAISSON_TESTS_LIB_NETNS_H
#define CAISSON_TESTS_LIB_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/rtnl.h"

/* Leave the host's network for an empty namespace, once for the process. False: not allowed here. */
bool netns_can(void);

struct netns {
    int home, fd;
    char path[32];     /* of fd, in /proc */
    struct netlink nl; /* inside */
};

/* A new, empty namespace; this process stays where it is. */
void netns_make(struct netns *ns);
void netns_end(struct netns *ns);
/* Go in, come back. */
void netns_in(const struct netns *ns);
void netns_out(const struct netns *ns);

/* In the namespace of nl. peer_fd: the namespace of the peer, -1: the same. Returns the first one's index. */
uint32_t netns_add_veth(struct netlink *nl, const char *name, const char *peer, int peer_fd);
/* 0 if there is none. */
uint32_t netns_index(struct netlink *nl, const char *name);
void netns_up(struct netlink *nl, const char *name);
void netns_set_mac(struct netlink *nl, const char *name, const char *mac);
void netns_set_mtu(struct netlink *nl, const char *name, uint32_t mtu);
void netns_add_address(struct netlink *nl, const char *name, const char *address);
/* gateway: may be NULL. */
void netns_add_route(struct netlink *nl, const char *name, const char *destination, const char *gateway,
                     uint32_t priority);
void netns_add_neighbour(struct netlink *nl, const char *name, const char *address, const char *mac);

/* The link with this name; asserts that there is one. */
struct rtnl_link netns_link(struct netlink *nl, const char *name);
size_t netns_count_links(struct netlink *nl);

#endif
