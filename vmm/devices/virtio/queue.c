/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/queue_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

uint16_t virtq_load(const uint8_t *at)
{
    return atomic_load_explicit((const _Atomic uint16_t *)(const void *)at, memory_order_acquire);
}

void virtq_store(uint8_t *at, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)(void *)at, value, memory_order_release);
}

void virtq_copy(void *to, const uint8_t *from, size_t bytes)
{
    memcpy(to, from, bytes);
    /* The compiler must not go back to the original. */
    atomic_signal_fence(memory_order_seq_cst);
}

uint8_t *virtq_place(const struct virtq *q, gpa_t gpa, uint64_t bytes, uint64_t alignment)
{
    return checked_is_aligned(gpa.value, alignment) ? memory_at(q->memory, gpa, bytes) : NULL;
}

int virtq_break(struct virtq *q, const char *why)
{
    if (!q->broken)
        q->why = why;
    q->broken = true;
    return -EPROTO;
}

/* ---- Chains ---- */

void virtq_chain_begin(struct virtq_chain *chain, uint16_t id)
{
    chain->id = id;
    chain->slots = 1;
    chain->out = chain->in = 0;
    chain->out_bytes = chain->in_bytes = 0;
}

int virtq_chain_add(struct virtq *q, struct virtq_chain *chain, const struct virtq_descriptor *d)
{
    bool write = (d->flags & VIRTQ_DESC_WRITE) != 0;
    uint32_t *sum = write ? &chain->in_bytes : &chain->out_bytes;
    uint64_t total = (uint64_t)chain->out_bytes + chain->in_bytes + d->bytes;
    if (d->bytes == 0)
        return 0;
    if (!write && chain->in > 0)
        return virtq_break(q, "a readable buffer follows a writable one");
    if (total > UINT32_MAX)
        return virtq_break(q, "one chain has 4 GiB or more");
    if (chain->out + chain->in == q->size)
        return virtq_break(q, "a chain has more buffers than the ring entries");
    uint8_t *host = memory_at(q->memory, d->gpa, d->bytes);
    if (host == NULL)
        return virtq_break(q, "a buffer is not in RAM");
    chain->iov[chain->out + chain->in] = (struct iovec){.iov_base = host, .iov_len = d->bytes};
    *sum += d->bytes;
    if (write)
        chain->in++;
    else
        chain->out++;
    return 0;
}

const uint8_t *virtq_indirect_table(struct virtq *q, const struct virtq_descriptor *d, uint16_t *entries)
{
    uint32_t count = d->bytes / VIRTQ_DESCRIPTOR_BYTES;
    const uint8_t *table = NULL;
    if (!q->indirect)
        (void)virtq_break(q, "an indirect table, which was not negotiated");
    else if ((d->flags & VIRTQ_DESC_NEXT) != 0)
        (void)virtq_break(q, "an indirect table is followed by another buffer");
    else if (count == 0 || d->bytes % VIRTQ_DESCRIPTOR_BYTES != 0)
        (void)virtq_break(q, "an indirect table of no whole number of entries");
    else if (count > q->size)
        (void)virtq_break(q, "an indirect table is longer than the ring");
    else if ((table = memory_at(q->memory, d->gpa, d->bytes)) == NULL)
        (void)virtq_break(q, "an indirect table is not in RAM");
    *entries = (uint16_t)count;
    return table;
}

/* Copy between a flat buffer and part of a list; one of the two directions. */
static bool copy(const struct iovec *list, unsigned count, size_t offset, uint8_t *to, const uint8_t *from,
                 size_t bytes)
{
    for (unsigned i = 0; i < count && bytes > 0; i++) {
        size_t length = list[i].iov_len;
        if (offset >= length) {
            offset -= length;
            continue;
        }
        size_t n = length - offset < bytes ? length - offset : bytes;
        uint8_t *guest = (uint8_t *)list[i].iov_base + offset;
        if (to != NULL) {
            memcpy(to, guest, n);
            to += n;
        } else {
            memcpy(guest, from, n);
            from += n;
        }
        offset = 0;
        bytes -= n;
    }
    return bytes == 0;
}

bool virtq_chain_read(const struct virtq_chain *chain, size_t offset, void *to, size_t bytes)
{
    return checked_range_fits(offset, bytes, chain->out_bytes) && copy(chain->iov, chain->out, offset, to, NULL, bytes);
}

bool virtq_chain_write(const struct virtq_chain *chain, size_t offset, const void *from, size_t bytes)
{
    return checked_range_fits(offset, bytes, chain->in_bytes) &&
           copy(virtq_chain_in(chain), chain->in, offset, NULL, from, bytes);
}

unsigned virtq_slice(const struct iovec *list, unsigned count, size_t offset, size_t bytes, struct iovec *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count && bytes > 0; i++) {
        if (offset >= list[i].iov_len) {
            offset -= list[i].iov_len;
            continue;
        }
        size_t length = list[i].iov_len - offset < bytes ? list[i].iov_len - offset : bytes;
        out[n++] = (struct iovec){.iov_base = (uint8_t *)list[i].iov_base + offset, .iov_len = length};
        offset = 0;
        bytes -= length;
    }
    return n;
}

/* ---- Rings of either kind ---- */

int virtq_init(struct virtq *q, const struct memory *memory, const struct virtq_config *config, const char **why)
{
    const char *ignored = NULL;
    why = why != NULL ? why : &ignored;
    *q = (struct virtq){.memory = memory,
                        .size = config->size,
                        .event_idx = (config->features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0,
                        .indirect = (config->features >> VIRTIO_RING_F_INDIRECT_DESC & 1) != 0,
                        .packed = (config->features >> VIRTIO_F_RING_PACKED & 1) != 0};
    int code = -EINVAL;
    if (config->size == 0 || config->size > VIRTQ_SIZE_MAX)
        *why = "the size is 0 or too large";
    else if (!q->packed)
        code = split_init(q, config, why);
    else if (CONFIG_VIRTIO_PACKED)
        code = packed_init(q, config, why);
    else
        *why = "packed rings are not in this build";
    if (code < 0)
        *q = (struct virtq){.size = 0};
    return code;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
    if (q->broken)
        return -EPROTO;
    return CONFIG_VIRTIO_PACKED && q->packed ? packed_pop(q, chain) : split_pop(q, chain);
}

void virtq_unpop(struct virtq *q, const struct virtq_chain *chain)
{
    if (CONFIG_VIRTIO_PACKED && q->packed)
        packed_unpop(q, chain);
    else
        split_unpop(q);
}

void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written)
{
    /* Drivers take the length for how much of their buffer is valid. */
    assert(written <= chain->in_bytes);
    if (CONFIG_VIRTIO_PACKED && q->packed)
        packed_push(q, chain, written);
    else
        split_push(q, chain->id, written);
}

bool virtq_publish(struct virtq *q)
{
    return CONFIG_VIRTIO_PACKED && q->packed ? packed_publish(q) : split_publish(q);
}

void virtq_quiet(struct virtq *q)
{
    if (CONFIG_VIRTIO_PACKED && q->packed)
        packed_quiet(q);
    else
        split_quiet(q);
}

bool virtq_listen(struct virtq *q)
{
    if (q->broken)
        return false;
    return CONFIG_VIRTIO_PACKED && q->packed ? packed_listen(q) : split_listen(q);
}
