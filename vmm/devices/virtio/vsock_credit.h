/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Flow control of one connection. Each side tells the other how much room it has (buf_alloc) and how much it took out
 * of there so far (fwd_cnt); the other may have so many bytes under way that they fit for certain. All counters run
 * modulo 2^32, so only their differences mean anything.
 *
 * What the guest says about itself can be any number: the worst that comes of it is that it gets nothing any more.
 *
 * Source: virtio 1.2, 5.10.6.3.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_CREDIT_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/devices/virtio/vsock_packet.h"

#define VSOCK_CREDIT_BYTES     65536u /* our room for each connection */
#define VSOCK_CREDIT_THRESHOLD 4096u  /* the guest is told of so much news about it */

/* Zeroed: a connection that begins. */
struct vsock_credit {
    uint32_t received, forwarded;   /* from the guest; what is in between waits in our buffer */
    uint32_t told;                  /* value of `forwarded` that the guest knows */
    uint32_t sent;                  /* to the guest */
    uint32_t peer_room, peer_taken; /* what it said last */
};

/* Data came from the guest. False, with nothing changed: it is more than we said there is room for. */
bool vsock_credit_receive(struct vsock_credit *c, uint32_t bytes);
/* So many bytes left our buffer. */
void vsock_credit_forward(struct vsock_credit *c, uint32_t bytes);
/* Does the guest have to be told? After a threshold of news, or when it believes that there is less room than that. */
bool vsock_credit_is_due(const struct vsock_credit *c);
/* Write our side of it into a packet that goes to the guest. */
void vsock_credit_tell(struct vsock_credit *c, struct vsock_header *h);

/* Any packet of the connection came. */
void vsock_credit_hear(struct vsock_credit *c, const struct vsock_header *h);
/* How much the guest takes now. */
uint32_t vsock_credit_left(const struct vsock_credit *c);
/* So much went to the guest; at most what is left. */
void vsock_credit_spend(struct vsock_credit *c, uint32_t bytes);

#endif
