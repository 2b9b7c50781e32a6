/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Split rings: a table of descriptors, a ring of heads that the driver made available, and a ring of those that the
 * device has used. Source: virtio 1.2, 2.7.
 */
#include "vmm/devices/virtio/queue_internal.h"

#include <errno.h>
#include <stdatomic.h>

#include "common/bytes.h"

#define DRIVER_NO_INTERRUPT 1u
#define DEVICE_NO_NOTIFY    1u

/* Both rings: flags, index, entries, and the other side's event index behind them. */
#define RING_FLAGS        0u
#define RING_INDEX        2u
#define RING_ENTRIES      4u
#define DRIVER_ENTRY      2u
#define DEVICE_ENTRY      8u
#define RING_EVENT_BYTES  2u
#define DESCRIPTORS_ALIGN 16u
#define DRIVER_ALIGN      2u
#define DEVICE_ALIGN      4u

static uint8_t *used_event(const struct virtq *q)
{
    return q->driver + RING_ENTRIES + (size_t)DRIVER_ENTRY * q->size;
}

static uint8_t *available_event(const struct virtq *q)
{
    return q->device + RING_ENTRIES + (size_t)DEVICE_ENTRY * q->size;
}

int split_init(struct virtq *q, const struct virtq_config *config, const char **why)
{
    uint64_t n = config->size;
    if (!checked_is_alignment(n)) {
        *why = "the size is no power of two";
        return -EINVAL;
    }
    q->descriptors = virtq_place(q, config->descriptors, n * VIRTQ_DESCRIPTOR_BYTES, DESCRIPTORS_ALIGN);
    q->driver = virtq_place(q, config->driver, RING_ENTRIES + n * DRIVER_ENTRY + RING_EVENT_BYTES, DRIVER_ALIGN);
    q->device = virtq_place(q, config->device, RING_ENTRIES + n * DEVICE_ENTRY + RING_EVENT_BYTES, DEVICE_ALIGN);
    *why = q->descriptors == NULL ? "the descriptor table is not aligned or not in RAM"
           : q->driver == NULL    ? "the available ring is not aligned or not in RAM"
           : q->device == NULL    ? "the used ring is not aligned or not in RAM"
                                  : NULL;
    return *why == NULL ? 0 : -EINVAL;
}

static struct virtq_descriptor load(const uint8_t *table, uint16_t index)
{
    uint8_t copy[VIRTQ_DESCRIPTOR_BYTES];
    virtq_copy(copy, table + (size_t)index * sizeof(copy), sizeof(copy));
    return (struct virtq_descriptor){.gpa = gpa_make(bytes_load_le64(copy)),
                                     .bytes = bytes_load_le32(copy + 8),
                                     .flags = bytes_load_le16(copy + 12),
                                     .next = bytes_load_le16(copy + 14)};
}

/*
 * Follow a chain through a table from entry `at`, up to its end or to an entry that refers to a table of its own.
 * Returns 1 with *last that entry, or -EPROTO with the ring broken. A chain of more entries than the table has goes in
 * circles.
 */
static int walk(struct virtq *q, struct virtq_chain *chain, const uint8_t *table, uint16_t entries, uint16_t at,
                struct virtq_descriptor *last)
{
    for (uint16_t seen = 0; seen < entries; seen++) {
        if (at >= entries)
            return virtq_break(q, "an index points beyond the table");
        *last = load(table, at);
        if ((last->flags & VIRTQ_DESC_INDIRECT) != 0)
            return 1;
        if (virtq_chain_add(q, chain, last) < 0)
            return -EPROTO;
        if ((last->flags & VIRTQ_DESC_NEXT) == 0)
            return 1;
        at = last->next;
    }
    return virtq_break(q, "a chain is longer than its table");
}

/* A chain may end in an indirect table (2.7.5.3.2), and that in none. */
static int gather(struct virtq *q, struct virtq_chain *chain, uint16_t head)
{
    struct virtq_descriptor last = {.flags = 0}, inner = {.flags = 0};
    uint16_t entries;
    if (walk(q, chain, q->descriptors, q->size, head, &last) < 0)
        return -EPROTO;
    if ((last.flags & VIRTQ_DESC_INDIRECT) == 0)
        return 1;
    const uint8_t *table = virtq_indirect_table(q, &last, &entries);
    if (table == NULL || walk(q, chain, table, entries, 0, &inner) < 0)
        return -EPROTO;
    return (inner.flags & VIRTQ_DESC_INDIRECT) == 0 ? 1 : virtq_break(q, "an indirect table inside another");
}

int split_pop(struct virtq *q, struct virtq_chain *chain)
{
    uint16_t posted = (uint16_t)(virtq_load(q->driver + RING_INDEX) - q->next);
    uint16_t taken = (uint16_t)(q->next - q->published);
    if (posted == 0)
        return 0;
    /* A driver may post again only what it knows to be used. This also bounds what a device can hold at a time. */
    if (posted > q->size - taken)
        return virtq_break(q, "more is posted than the ring holds");
    const uint8_t *entry = q->driver + RING_ENTRIES + (size_t)DRIVER_ENTRY * (q->next % q->size);
    uint16_t head = virtq_load(entry);
    if (head >= q->size)
        return virtq_break(q, "a head points beyond the table");
    virtq_chain_begin(chain, head);
    int got = gather(q, chain, head);
    if (got > 0)
        q->next++;
    return got;
}

void split_unpop(struct virtq *q)
{
    q->next--;
}

void split_push(struct virtq *q, uint16_t id, uint32_t written)
{
    uint8_t *entry = q->device + RING_ENTRIES + (size_t)DEVICE_ENTRY * (q->used % q->size);
    bytes_store_le32(entry, id);
    bytes_store_le32(entry + 4, written);
    q->used++;
}

bool split_publish(struct virtq *q)
{
    uint16_t before = q->published;
    if (q->used == before)
        return false;
    virtq_store(q->device + RING_INDEX, q->used);
    q->published = q->used;
    /* The index must be out before the driver's wish is read: 2.7.7.2. */
    atomic_thread_fence(memory_order_seq_cst);
    if (q->event_idx)
        return virtq_event_passed(virtq_load(used_event(q)), q->used, before);
    return (virtq_load(q->driver + RING_FLAGS) & DRIVER_NO_INTERRUPT) == 0;
}

void split_quiet(struct virtq *q)
{
    /* With EVENT_IDX the old event index stays where it is, behind the driver. */
    if (!q->event_idx)
        virtq_store(q->device + RING_FLAGS, DEVICE_NO_NOTIFY);
}

bool split_listen(struct virtq *q)
{
    if (q->event_idx)
        virtq_store(available_event(q), q->next);
    else
        virtq_store(q->device + RING_FLAGS, 0);
    atomic_thread_fence(memory_order_seq_cst);
    return virtq_load(q->driver + RING_INDEX) != q->next;
}
