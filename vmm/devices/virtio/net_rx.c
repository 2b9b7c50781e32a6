/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Receiving. How long a frame is shows only when it is taken from the back end, and then it is gone from there. So
 * buffers are popped first, into a window, until they hold the longest frame that may come; the frame is read straight
 * into them, as many as it needs are pushed, and the window is filled up again for the next one. At the end of the turn
 * what is left of the window is given back to the ring.
 *
 * When the driver has posted less than that, the frame goes to memory of our own and from there to the guest: at once,
 * or when there are more buffers.
 */
#include <errno.h>
#include <string.h>

#include "vmm/devices/virtio/net_internal.h"

enum outcome {
    TAKEN,    /* a frame was delivered or dropped, or there is more room now; go on */
    NO_FRAME, /* the back end has none */
    NO_ROOM,  /* the driver has to post more, and will say so; or the ring is broken */
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- The window ---- */

/* False: there is no other chain, or none may be added, or the driver broke a rule. */
static bool take_chain(struct net *net, struct net_pair *p, struct virtq *q)
{
    struct virtq_chain *chain = &p->rx;
    if (p->full || virtq_pop(q, chain) <= 0)
        return false;
    if (chain->in_bytes < NET_HEADER_BYTES)
        virtio_break(&net->virtio, "a receive buffer is smaller than the header");
    if (chain->in_bytes < NET_HEADER_BYTES || p->iovs + chain->in > NET_RX_IOVS) {
        virtq_unpop(q, chain);
        p->full = true;
        return false;
    }
    memcpy(p->iov + p->iovs, virtq_chain_in(chain), chain->in * sizeof(p->iov[0]));
    p->iovs += chain->in;
    p->room += chain->in_bytes;
    p->window[p->chains++] = (struct net_rx_chain){
        .id = chain->id, .slots = chain->slots, .iovs = (uint16_t)chain->in, .bytes = chain->in_bytes};
    p->full = p->chains == (net->mergeable ? NET_RX_CHAINS : 1);
    return true;
}

/* Is there room for a header and so many bytes? */
static bool gather(struct net *net, struct net_pair *p, struct virtq *q, uint32_t frame_bytes)
{
    while (p->room < NET_HEADER_BYTES + frame_bytes)
        if (!take_chain(net, p, q))
            return false;
    return true;
}

static const struct virtq_chain *shell(struct net_pair *p, const struct net_rx_chain *chain)
{
    p->rx.id = chain->id;
    p->rx.slots = chain->slots;
    p->rx.in_bytes = chain->bytes;
    return &p->rx;
}

/* Push the first `count` chains, which got `bytes` altogether, and move the others up. */
static void push_front(struct net_pair *p, struct virtq *q, unsigned count, uint32_t bytes)
{
    unsigned iovs = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t written = least(bytes, p->window[i].bytes);
        virtq_push(q, shell(p, &p->window[i]), written);
        bytes -= written;
        iovs += p->window[i].iovs;
        p->room -= p->window[i].bytes;
    }
    p->chains -= count;
    p->iovs -= iovs;
    p->full = false;
    memmove(p->window, p->window + count, p->chains * sizeof(p->window[0]));
    memmove(p->iov, p->iov + iovs, p->iovs * sizeof(p->iov[0]));
}

/* Last in, first out. */
static void give_back(struct net_pair *p, struct virtq *q)
{
    while (p->chains > 0)
        virtq_unpop(q, shell(p, &p->window[--p->chains]));
    p->iovs = 0;
    p->room = 0;
    p->full = false;
}

/*
 * The driver is to say when it posts more than what is in the window: asked before the window is given back, the ring
 * counts from there.
 */
static enum outcome wait_for_room(struct virtq *q)
{
    return virtq_listen(q) ? TAKEN : NO_ROOM;
}

/* ---- Frames ---- */

/* Write from the window's beginning plus offset. */
static void put(const struct net_pair *p, size_t offset, const uint8_t *from, size_t bytes)
{
    for (unsigned i = 0; i < p->iovs && bytes > 0; i++) {
        size_t length = p->iov[i].iov_len;
        size_t skip = offset < length ? offset : length;
        size_t n = length - skip < bytes ? length - skip : bytes;
        memcpy((uint8_t *)p->iov[i].iov_base + skip, from, n);
        offset -= skip;
        from += n;
        bytes -= n;
    }
}

/* The frame's bytes are in the window; write the header before them and return the buffers. */
static void deliver(struct net *net, struct net_pair *p, struct virtq *q, uint32_t frame_bytes)
{
    uint8_t raw[NET_HEADER_BYTES];
    uint32_t all = NET_HEADER_BYTES + frame_bytes;
    uint64_t covered = 0; /* one buffer alone may have nearly 4 GiB */
    unsigned count = 0;
    while (covered < all)
        covered += p->window[count++].bytes;
    p->header.buffers = (uint16_t)count;
    net_header_store(&p->header, raw);
    put(p, 0, raw, sizeof(raw));
    push_front(p, q, count, all);
    net_add(&net->numbers.received);
}

static enum outcome drop(struct net *net)
{
    net_add(&net->numbers.not_received);
    return TAKEN;
}

/* Take a frame into this list, whose first entry is for the header. Its bytes without header, or -EAGAIN. */
static ssize_t take_frame(struct net *net, unsigned pair, unsigned count)
{
    struct net_pair *p = &net->pair[pair];
    const struct net_backend *b = net->backend;
    unsigned skip = b->header ? 0 : 1;
    memset(p->raw, 0, sizeof(p->raw));
    p->list[0] = (struct iovec){.iov_base = p->raw, .iov_len = sizeof(p->raw)};
    ssize_t n = b->ops->receive(b->self, pair, p->list + skip, count - skip);
    if (n < 0)
        return -EAGAIN;
    p->header = net_header_load(p->raw);
    if (!b->header)
        return n;
    return n < (ssize_t)NET_HEADER_BYTES ? 0 : n - (ssize_t)NET_HEADER_BYTES;
}

/* May the guest have the frame that was taken? */
static bool is_acceptable(struct net *net, struct net_pair *p, uint32_t bytes)
{
    if (bytes < NET_FRAME_MIN || bytes > NET_FRAME_MAX)
        return false;
    if (!net_header_clean_in(&p->header, atomic_load(&net->guest_offloads)))
        return false;
    return p->header.gso_type != NET_GSO_NONE || bytes <= net->plain_max;
}

static enum outcome receive_directly(struct net *net, unsigned pair, struct virtq *q)
{
    struct net_pair *p = &net->pair[pair];
    unsigned count = 1 + virtq_slice(p->iov, p->iovs, NET_HEADER_BYTES, NET_FRAME_MAX, p->list + 1);
    /* One byte more, in which frames show that they are longer. */
    p->list[count++] = (struct iovec){.iov_base = p->held, .iov_len = 1};
    ssize_t n = take_frame(net, pair, count);
    if (n < 0)
        return NO_FRAME;
    if ((uint64_t)n + NET_HEADER_BYTES > p->room || !is_acceptable(net, p, (uint32_t)n))
        return drop(net);
    deliver(net, p, q, (uint32_t)n);
    return TAKEN;
}

static enum outcome deliver_held(struct net *net, struct net_pair *p, struct virtq *q)
{
    uint32_t bytes = p->held_bytes;
    if (!gather(net, p, q, bytes) && !p->full)
        return wait_for_room(q);
    p->held_bytes = 0;
    if (p->room < NET_HEADER_BYTES + bytes)
        return drop(net);
    put(p, NET_HEADER_BYTES, p->held, bytes);
    deliver(net, p, q, bytes);
    return TAKEN;
}

/* Take a frame into our own memory. */
static ssize_t take_to_hold(struct net *net, unsigned pair)
{
    struct net_pair *p = &net->pair[pair];
    p->list[1] = (struct iovec){.iov_base = p->held, .iov_len = sizeof(p->held)};
    return take_frame(net, pair, 2);
}

static enum outcome discard_frame(struct net *net, unsigned pair)
{
    net->pair[pair].held_bytes = 0;
    return take_to_hold(net, pair) < 0 ? NO_FRAME : drop(net);
}

/* Bytes of the longest frame that is to be expected. */
static uint32_t longest(const struct net *net)
{
    bool large = (atomic_load(&net->guest_offloads) & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)) != 0;
    return large ? NET_FRAME_MAX : net->usual_max;
}

static enum outcome receive_frame(struct net *net, unsigned pair, struct virtq *q)
{
    struct net_pair *p = &net->pair[pair];
    if (!net_is_up(net))
        return discard_frame(net, pair);
    if (p->held_bytes > 0)
        return deliver_held(net, p, q);
    if (gather(net, p, q, longest(net)))
        return receive_directly(net, pair, q);
    if (p->chains == 0)
        return p->full ? NO_ROOM : wait_for_room(q);
    ssize_t n = take_to_hold(net, pair);
    if (n < 0)
        return NO_FRAME;
    if (!is_acceptable(net, p, (uint32_t)n))
        return drop(net);
    p->held_bytes = (uint32_t)n;
    return deliver_held(net, p, q);
}

enum virtio_served net_receive(struct net *net, unsigned pair, struct virtq *q)
{
    enum outcome outcome = TAKEN;
    if (pair >= atomic_load(&net->current)) {
        net_wait(net, pair, false);
        return VIRTIO_ENOUGH;
    }
    for (unsigned i = 0; outcome == TAKEN && i < NET_BUDGET; i++)
        outcome = receive_frame(net, pair, q);
    give_back(&net->pair[pair], q);
    if (outcome == TAKEN)
        return VIRTIO_MORE;
    net_wait(net, pair, outcome == NO_FRAME);
    return VIRTIO_ENOUGH;
}
