/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Frames through a TAP, an interface of the host whose far end is this process: the host's kernel bridges or routes
 * them. The interface is made beforehand, by whoever may configure the network:
 *
 *     ip tuntap add dev tap0 mode tap user caisson [multi_queue]
 *
 * Each queue pair is one descriptor. Those that the guest does not use are detached, so that the kernel does not choose
 * them for frames. When somebody deletes the interface, the link goes down for good.
 *
 * Source: Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h.
 */
#ifndef CAISSON_VMM_BACKENDS_NET_TAP_H
#define CAISSON_VMM_BACKENDS_NET_TAP_H

#include "common/err.h"
#include "common/log.h"
#include "vmm/backends/net.h"

#define NET_TAP_PAIRS_MAX 4u

struct net_tap_config {
    /* An interface by its name, or (NULL) descriptors that somebody opened: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR. */
    const char *name;
    const int *fds;  /* `pairs` of one interface; the back end owns them from success on */
    unsigned pairs;  /* 1 to NET_TAP_PAIRS_MAX; more than one need a TAP with multi_queue */
    struct log *log; /* borrowed; may be NULL */
};

/*
 * Open it. 0, or with *err and the descriptors still the caller's: -EINVAL for a name that cannot be one, an interface
 * that is no TAP or lacks multi_queue, a descriptor that is none of a TAP; -ENODEV: there is no such interface; -ENOENT
 * or -EACCES: no /dev/net/tun, or not for us; -EPERM: the interface belongs to somebody else; -EBUSY: it is in use;
 * what else the kernel says. IFF_NO_PI of descriptors cannot be checked. End it by net_backend_close.
 */
int net_tap_open(const struct net_tap_config *config, struct net_backend **out, struct err *err);

#endif
