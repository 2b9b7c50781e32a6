/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Network: frames between the guest and a back end (vmm/backends/net.h), by one to four pairs of a receive and a
 * transmit queue, and a control queue behind them.
 *
 *     guest --- transmit queue, header checked ---> send       back end
 *     guest <-- receive queue, one frame at a time -- receive  back end
 *
 * Every frame of the guest begins with a header that asks for checksums and segmentation. It is copied, checked and
 * written anew before the host's kernel sees it; frames whose header asks for what was not negotiated or points outside
 * of the frame are dropped and counted. Nothing in the frames is looked at.
 *
 * Frames for which the guest has no buffers stay with the back end, which is then not asked again until the driver
 * posts some. At most NET_BUDGET frames are moved before others get their turn.
 *
 * Threads: a pair's queues are served on the pair's loop, which is its back end's, too.
 * Source: virtio 1.2, 5.1.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_NET_H
#define CAISSON_VMM_DEVICES_VIRTIO_NET_H

#include "vmm/backends/net.h"
#include "vmm/devices/virtio/virtio.h"

#define NET_PAIRS_MAX  4u
#define NET_QUEUE_SIZE 256u
#define NET_BUDGET     64u
#define NET_MAC_BYTES  6u

struct net_config {
    const struct memory *memory;       /* borrowed, as is all here */
    struct loop *loops[NET_PAIRS_MAX]; /* of each pair; NULL: loops[0] */
    struct net_backend *backend;       /* not used by another device; closed by the caller after net_free */
    uint8_t mac[NET_MAC_BYTES];        /* the guest's address: no group address, not zero */
    unsigned pairs;                    /* 1 to NET_PAIRS_MAX, and no more than the back end has; 0: 1 */
    uint16_t mtu;                      /* told to the guest, at least 68; 0: what the back end knows */
    struct log *log;                   /* may be NULL */
};

/* Since net_new. Dropped ones are not among the others. */
struct net_counters {
    uint64_t sent, received;   /* frames */
    uint64_t malformed;        /* of the guest: length or header */
    uint64_t not_sent;         /* refused by the back end, or no link */
    uint64_t not_received;     /* too long or short, not wanted by the guest's features, no link */
    uint64_t control_failures; /* commands that were answered with an error */
};

struct net;

/*
 * Make the device and start the back end; no loop runs yet. 0, or with *err: -EINVAL for an address, a number of pairs
 * or an MTU that cannot be; what loops and back end say. Free it when no VP and no loop runs.
 */
int net_new(const struct net_config *config, struct net **out, struct err *err);
/* NULL is allowed. */
void net_free(struct net *net);
struct virtio *net_virtio(struct net *net);

/*
 * Plug the cable in or out: the guest is told, and without it frames of both ways are dropped. At first it is in. Any
 * thread.
 */
void net_set_link(struct net *net, bool up);
/* Any thread; the numbers may be of slightly different moments. */
void net_count(const struct net *net, struct net_counters *out);

#endif
