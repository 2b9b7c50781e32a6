/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What net.c (life, features, link), net_rx.c, net_tx.c, net_control.c and net_header.c share.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_NET_INTERNAL_H
#define CAISSON_VMM_DEVICES_VIRTIO_NET_INTERNAL_H

#include "common/log.h"
#include "vmm/devices/virtio/net.h"

/* Feature bits: 5.1.3. */
#define NET_F_CSUM                0
#define NET_F_GUEST_CSUM          1
#define NET_F_CTRL_GUEST_OFFLOADS 2
#define NET_F_MTU                 3
#define NET_F_MAC                 5
#define NET_F_GUEST_TSO4          7
#define NET_F_GUEST_TSO6          8
#define NET_F_GUEST_ECN           9
#define NET_F_HOST_TSO4           11
#define NET_F_HOST_TSO6           12
#define NET_F_HOST_ECN            13
#define NET_F_MRG_RXBUF           15
#define NET_F_STATUS              16
#define NET_F_CTRL_VQ             17
#define NET_F_CTRL_RX             18
#define NET_F_MQ                  22

/* ---- Headers: 5.1.6 ---- */

enum net_header_flag {
    NET_HEADER_NEEDS_CSUM = 1,
    NET_HEADER_DATA_VALID = 2,
};

enum net_header_gso {
    NET_GSO_NONE = 0,
    NET_GSO_TCPV4 = 1,
    NET_GSO_UDP = 3,
    NET_GSO_TCPV6 = 4,
    NET_GSO_UDP_L4 = 5,
    NET_GSO_ECN = 0x80, /* besides one of TCP */
};

struct net_header {
    uint8_t flags, gso_type;
    uint16_t header_bytes; /* hdr_len: a hint, where the first segment's payload begins */
    uint16_t gso_bytes;    /* gso_size: payload of each segment */
    uint16_t csum_start, csum_offset;
    uint16_t buffers; /* num_buffers: receiving only */
};

struct net_header net_header_load(const uint8_t *from);
void net_header_store(const struct net_header *h, uint8_t *to);
/*
 * May a frame of so many bytes go out with this header? allowed: NET_OFFLOAD_* that were negotiated. Clears flags that
 * mean nothing here, as 5.1.6.2.2 wants, and fields that then say nothing.
 */
bool net_header_clean_out(struct net_header *h, unsigned allowed, uint32_t frame_bytes);
/* May a frame with the host's header be given to a guest that accepts these offloads? Clears likewise. */
bool net_header_clean_in(struct net_header *h, unsigned allowed);

/* A set of offloads without those that need another one that is missing. */
unsigned net_offloads_sane(unsigned offloads);

/* ---- The device ---- */

#define NET_RX_CHAINS 128u /* most buffers of one frame: 64 KiB in pieces of 512 bytes */
#define NET_RX_IOVS   (NET_IOVS_MAX - 2)

/* A receive buffer that was popped and is neither pushed nor given back yet. */
struct net_rx_chain {
    uint16_t id, slots;
    uint16_t iovs;
    uint32_t bytes;
};

struct net_pair {
    /* Transmit queue: under its lock. */
    struct virtq_chain tx;
    struct iovec tx_list[NET_QUEUE_SIZE + 1];
    /* Receive queue: likewise. The buffers of the window, and all their parts one behind the other. */
    struct virtq_chain rx; /* the one that is popped, and a shell for those that are pushed */
    struct net_rx_chain window[NET_RX_CHAINS];
    unsigned chains;
    uint64_t room; /* bytes in the window */
    bool full;     /* no more may be added */
    struct iovec iov[NET_RX_IOVS];
    unsigned iovs;
    struct iovec list[NET_IOVS_MAX];
    struct net_header header; /* of the frame in hand */
    uint32_t held_bytes;      /* a frame in `held` for which there were too few buffers; 0: none */
    uint8_t raw[NET_HEADER_BYTES];
    uint8_t held[NET_FRAME_MAX + 1];
};

struct net_numbers {
    _Atomic uint64_t sent, received, malformed, not_sent, not_received, control_failures;
};

struct net {
    struct virtio virtio;
    struct net_config cfg; /* constant, as are the next three */
    struct net_backend *backend;
    unsigned pairs;
    uint16_t mtu;
    atomic_bool plugged, carrier; /* the caller's wish, the back end's state */
    atomic_flag said;
    struct net_numbers numbers;
    atomic_uint current;        /* pairs in use */
    atomic_uint guest_offloads; /* NET_OFFLOAD_* that the guest accepts now */
    /* Written by activate and reset, under all locks of rings. */
    unsigned host_offloads; /* that the guest may ask for */
    bool mergeable;
    uint32_t plain_max; /* bytes of the largest frame that is no work of offloads: what the driver was told */
    uint32_t usual_max; /* what is expected of the back end; no promise */
    struct virtq_chain control;
    struct net_pair pair[NET_PAIRS_MAX];
};

enum virtio_served net_receive(struct net *net, unsigned pair, struct virtq *q);
enum virtio_served net_transmit(struct net *net, unsigned pair, struct virtq *q);
enum virtio_served net_control(struct net *net, struct virtq *q);

/* Is there a link? */
bool net_is_up(const struct net *net);
/* Accept these offloads of the back end from now on. */
int net_accept(struct net *net, unsigned offloads);
/* Those among the feature bits at these places. */
unsigned net_offloads_of(uint64_t features, unsigned csum, unsigned tso4, unsigned tso6, unsigned ecn);

static inline void net_add(_Atomic uint64_t *number)
{
    atomic_fetch_add_explicit(number, 1, memory_order_relaxed);
}

static inline void net_wait(struct net *net, unsigned pair, bool wanted)
{
    net->backend->ops->wait(net->backend->self, pair, wanted);
}

#endif
