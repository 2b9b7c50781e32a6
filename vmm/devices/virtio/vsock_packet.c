/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock_packet.h"

#include "common/bytes.h"

struct vsock_header vsock_header_decode(const uint8_t *from)
{
    return (struct vsock_header){.src_cid = bytes_load_le64(from),
                                 .dst_cid = bytes_load_le64(from + 8),
                                 .src_port = bytes_load_le32(from + 16),
                                 .dst_port = bytes_load_le32(from + 20),
                                 .len = bytes_load_le32(from + 24),
                                 .type = bytes_load_le16(from + 28),
                                 .op = bytes_load_le16(from + 30),
                                 .flags = bytes_load_le32(from + 32),
                                 .buf_alloc = bytes_load_le32(from + 36),
                                 .fwd_cnt = bytes_load_le32(from + 40)};
}

void vsock_header_encode(const struct vsock_header *h, uint8_t *to)
{
    bytes_store_le64(to, h->src_cid);
    bytes_store_le64(to + 8, h->dst_cid);
    bytes_store_le32(to + 16, h->src_port);
    bytes_store_le32(to + 20, h->dst_port);
    bytes_store_le32(to + 24, h->len);
    bytes_store_le16(to + 28, h->type);
    bytes_store_le16(to + 30, h->op);
    bytes_store_le32(to + 32, h->flags);
    bytes_store_le32(to + 36, h->buf_alloc);
    bytes_store_le32(to + 40, h->fwd_cnt);
}
