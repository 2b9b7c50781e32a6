/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock_credit.h"

bool vsock_credit_receive(struct vsock_credit *c, uint32_t bytes)
{
    uint32_t waiting = c->received - c->forwarded;
    if (bytes > VSOCK_CREDIT_BYTES - waiting)
        return false;
    c->received += bytes;
    return true;
}

void vsock_credit_forward(struct vsock_credit *c, uint32_t bytes)
{
    c->forwarded += bytes;
}

bool vsock_credit_is_due(const struct vsock_credit *c)
{
    uint32_t news = c->forwarded - c->told;
    uint32_t charged = c->received - c->told; /* of our room, as the guest counts */
    return news >= VSOCK_CREDIT_THRESHOLD || (news > 0 && charged > VSOCK_CREDIT_BYTES - VSOCK_CREDIT_THRESHOLD);
}

void vsock_credit_tell(struct vsock_credit *c, struct vsock_header *h)
{
    h->buf_alloc = VSOCK_CREDIT_BYTES;
    h->fwd_cnt = c->forwarded;
    c->told = c->forwarded;
}

void vsock_credit_hear(struct vsock_credit *c, const struct vsock_header *h)
{
    c->peer_room = h->buf_alloc;
    c->peer_taken = h->fwd_cnt;
}

uint32_t vsock_credit_left(const struct vsock_credit *c)
{
    uint32_t under_way = c->sent - c->peer_taken;
    return under_way < c->peer_room ? c->peer_room - under_way : 0;
}

void vsock_credit_spend(struct vsock_credit *c, uint32_t bytes)
{
    c->sent += bytes;
}
