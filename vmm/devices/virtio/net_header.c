/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bytes.h"
#include "vmm/devices/virtio/net_internal.h"

/*
 * The least payload of a segment: what Linux leaves of its own smallest maximum segment size when all options are used.
 * One byte each would let a guest make the host's kernel cut 65,000 packets out of one frame.
 */
#define GSO_BYTES_MIN 8u

struct net_header net_header_load(const uint8_t *from)
{
    return (struct net_header){.flags = from[0],
                               .gso_type = from[1],
                               .header_bytes = bytes_load_le16(from + 2),
                               .gso_bytes = bytes_load_le16(from + 4),
                               .csum_start = bytes_load_le16(from + 6),
                               .csum_offset = bytes_load_le16(from + 8),
                               .buffers = bytes_load_le16(from + 10)};
}

void net_header_store(const struct net_header *h, uint8_t *to)
{
    to[0] = h->flags;
    to[1] = h->gso_type;
    bytes_store_le16(to + 2, h->header_bytes);
    bytes_store_le16(to + 4, h->gso_bytes);
    bytes_store_le16(to + 6, h->csum_start);
    bytes_store_le16(to + 8, h->csum_offset);
    bytes_store_le16(to + 10, h->buffers);
}

unsigned net_offloads_sane(unsigned offloads)
{
    if ((offloads & NET_OFFLOAD_CSUM) == 0)
        return 0;
    if ((offloads & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)) == 0)
        return NET_OFFLOAD_CSUM;
    return offloads;
}

static bool is_gso_allowed(uint8_t type, unsigned allowed)
{
    if ((type & NET_GSO_ECN) != 0 && (allowed & NET_OFFLOAD_ECN) == 0)
        return false;
    switch (type & ~NET_GSO_ECN) {
    case NET_GSO_TCPV4: return (allowed & NET_OFFLOAD_TSO4) != 0;
    case NET_GSO_TCPV6: return (allowed & NET_OFFLOAD_TSO6) != 0;
    default: return false;
    }
}

/* The checksum covers what follows the Ethernet header, and its place is inside. */
static bool is_csum_inside(const struct net_header *h, uint32_t frame_bytes)
{
    return h->csum_start >= NET_FRAME_MIN && (uint32_t)h->csum_start + h->csum_offset + 2 <= frame_bytes;
}

static void clear_unused(struct net_header *h)
{
    h->buffers = 0;
    if ((h->flags & NET_HEADER_NEEDS_CSUM) == 0)
        h->csum_start = h->csum_offset = 0;
    if (h->gso_type == NET_GSO_NONE)
        h->header_bytes = h->gso_bytes = 0;
}

bool net_header_clean_out(struct net_header *h, unsigned allowed, uint32_t frame_bytes)
{
    bool csum = (h->flags & NET_HEADER_NEEDS_CSUM) != 0;
    h->flags &= NET_HEADER_NEEDS_CSUM;
    clear_unused(h);
    if (csum && ((allowed & NET_OFFLOAD_CSUM) == 0 || !is_csum_inside(h, frame_bytes)))
        return false;
    if (h->gso_type == NET_GSO_NONE)
        return true;
    return csum && is_gso_allowed(h->gso_type, allowed) && h->gso_bytes >= GSO_BYTES_MIN &&
           h->header_bytes <= frame_bytes;
}

bool net_header_clean_in(struct net_header *h, unsigned allowed)
{
    bool csum = (h->flags & NET_HEADER_NEEDS_CSUM) != 0;
    h->flags &= NET_HEADER_NEEDS_CSUM | NET_HEADER_DATA_VALID;
    if ((allowed & NET_OFFLOAD_CSUM) == 0)
        h->flags = 0;
    clear_unused(h);
    if (csum && (allowed & NET_OFFLOAD_CSUM) == 0)
        return false;
    return h->gso_type == NET_GSO_NONE || is_gso_allowed(h->gso_type, allowed);
}
