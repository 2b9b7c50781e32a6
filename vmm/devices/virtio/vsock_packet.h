/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What travels in the queues of a socket device: 44 bytes of header, and data behind them where the operation is RW.
 * This is the codec alone. It accepts any value; what a value means, and whether it may be there, is for the caller.
 *
 * Source: virtio 1.2, 5.10.6.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_PACKET_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_PACKET_H

#include <stdint.h>

#define VSOCK_HEADER_BYTES 44u
#define VSOCK_HOST_CID     2u

enum vsock_type {
    VSOCK_TYPE_STREAM = 1,
};

enum vsock_op {
    VSOCK_OP_INVALID,
    VSOCK_OP_REQUEST,
    VSOCK_OP_RESPONSE,
    VSOCK_OP_RST,
    VSOCK_OP_SHUTDOWN,
    VSOCK_OP_RW,
    VSOCK_OP_CREDIT_UPDATE,
    VSOCK_OP_CREDIT_REQUEST,
};

/* Flags of SHUTDOWN: what its sender will not do any more. */
enum vsock_shutdown {
    VSOCK_SHUTDOWN_RECEIVE = 1,
    VSOCK_SHUTDOWN_SEND = 2,
    VSOCK_SHUTDOWN_BOTH = 3,
};

struct vsock_header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint32_t len; /* bytes of data behind the header */
    uint16_t type, op;
    uint32_t flags;
    uint32_t buf_alloc; /* room that the sender has for the connection, in bytes */
    uint32_t fwd_cnt;   /* bytes that it took out of there since the beginning, modulo 2^32 */
};

/* Both know VSOCK_HEADER_BYTES at the pointer. Any thread. */
struct vsock_header vsock_header_decode(const uint8_t *from);
void vsock_header_encode(const struct vsock_header *h, uint8_t *to);

#endif
