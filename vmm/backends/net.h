/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where the frames of a network device go to and come from: a TAP (net_tap.h) or a user-mode network stack
 * (net_stream.h). The device asks for one frame at a time and says when it wants to hear of more; a back end owns its
 * descriptors, puts them on the loops by itself, and calls the device when there is something.
 *
 *     start ... wait(true) ---> events.readable: receive, receive, ... until -EAGAIN or no room; then wait(false)
 *               send -EAGAIN -> events.writable: send again
 *               far end gone -> events.link(false); send then fails, receive has nothing
 *
 * Threads: wait, receive, send and all events of a pair happen on that pair's loop. set_offloads and set_pairs may come
 * from any thread, also while the loops run, but not two at once; they must not wait.
 */
#ifndef CAISSON_VMM_BACKENDS_NET_H
#define CAISSON_VMM_BACKENDS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/loop.h"

#define NET_FRAME_MIN    14u    /* an Ethernet header; no preamble, no checksum at the end */
#define NET_FRAME_MAX    65550u /* and 64 KiB: what segmentation offload can make */
#define NET_HEADER_BYTES 12u    /* struct virtio_net_hdr with num_buffers: virtio 1.2, 5.1.6 */
#define NET_IOVS_MAX     512u   /* most entries of a list for send and receive */

/* Work that is left to whoever takes a frame. */
enum net_offload {
    NET_OFFLOAD_CSUM = 1, /* fill in the checksum of TCP or UDP; the others are worth nothing without it */
    NET_OFFLOAD_TSO4 = 2, /* cut TCP over IPv4 into packets */
    NET_OFFLOAD_TSO6 = 4,
    NET_OFFLOAD_ECN = 8, /* of such TCP with congestion notification */
};

/* The device's side. */
struct net_events {
    void (*readable)(void *ctx, unsigned pair); /* there may be frames, and wait(true) was the last word */
    void (*writable)(void *ctx, unsigned pair); /* after a send that failed with -EAGAIN */
    void (*link)(void *ctx, bool up);           /* up at first; may be called within any function but set_* */
    void *ctx;
};

/* self: struct net_backend.self. iov: at most NET_IOVS_MAX entries. */
struct net_backend_ops {
    const char *name;
    /*
     * Before the loops run. loops: one for each pair, borrowed, as are the events (copied), until `stop`, after the
     * loops ended. 0, or -errno with nothing started.
     */
    int (*start)(void *self, struct loop *const *loops, const struct net_events *events);
    void (*stop)(void *self);
    /* Does the device want to hear of frames? Not at first. Saying the same twice is allowed. */
    void (*wait)(void *self, unsigned pair, bool wanted);
    /*
     * Take one frame, behind its header if there are headers. Returns the bytes of the list that were filled; what does
     * not fit is lost. -EAGAIN: there is none. Other errors: likewise.
     */
    ssize_t (*receive)(void *self, unsigned pair, const struct iovec *iov, unsigned count);
    /*
     * Hand over one frame, likewise. 0; -EAGAIN: not now, nothing was taken, and events.writable follows; any other
     * error: the frame is lost.
     */
    int (*send)(void *self, unsigned pair, const struct iovec *iov, unsigned count);
    /* What receive may leave to the guest from now on: a set that makes sense (no TSO without CSUM). 0 or -errno. */
    int (*set_offloads)(void *self, unsigned offloads);
    /* Use only the first so many pairs, at least 1. At first it is 1. 0, or -errno with an unknown number in use. */
    int (*set_pairs)(void *self, unsigned pairs);
    /* Close everything and free self. After stop. */
    void (*close)(void *self);
};

struct net_backend {
    const struct net_backend_ops *ops;
    void *self;
    unsigned pairs;    /* that there are */
    unsigned offloads; /* NET_OFFLOAD_* that it understands, both ways; 0 without header */
    bool header;       /* NET_HEADER_BYTES precede each frame */
    uint16_t mtu;      /* largest packet behind the Ethernet header; 0: not known */
};

/* NULL is allowed. */
static inline void net_backend_close(struct net_backend *b)
{
    if (b != NULL)
        b->ops->close(b->self);
}

#endif
