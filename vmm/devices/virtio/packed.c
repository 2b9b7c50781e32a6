/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Packed rings: one ring of descriptors, which both sides go round in. The driver makes a slot available and the device
 * marks it used, by two flags that mean the opposite on every second round. For a chain of several slots the device
 * writes one used descriptor and passes over as many slots as the chain had, so both sides stay in step whatever the
 * order in which chains are returned.
 *
 *     slots  | popped, pushed: `fresh` | popped, not pushed | not yet popped ...
 *            ^ what the driver knows   ^ used               ^ next
 *            <---------------- taken ---------------------->
 *
 * What is pushed becomes visible as a whole at the next publication: the driver looks at one slot at a time, so it is
 * enough to hold back the flags of the first one. Source: virtio 1.2, 2.8.
 */
#include "vmm/devices/virtio/queue_internal.h"

#include <errno.h>
#include <stdatomic.h>

#include "common/bytes.h"

#define FLAG_AVAILABLE 0x0080u
#define FLAG_USED      0x8000u

#define DESCRIPTOR_LENGTH 8u
#define DESCRIPTOR_ID     12u
#define DESCRIPTOR_FLAGS  14u

/* The two structures of event suppression: a slot with its wrap counter, and what to do with it. */
#define EVENT_BYTES   4u
#define EVENT_WRAP    0x8000u
#define EVENT_ENABLE  0u
#define EVENT_DISABLE 1u
#define EVENT_SLOT    2u /* with EVENT_IDX only */
#define EVENT_KINDS   3u /* mask */

int packed_init(struct virtq *q, const struct virtq_config *config, const char **why)
{
    uint64_t bytes = (uint64_t)config->size * VIRTQ_DESCRIPTOR_BYTES;
    q->descriptors = virtq_place(q, config->descriptors, bytes, VIRTQ_DESCRIPTOR_BYTES);
    q->driver = virtq_place(q, config->driver, EVENT_BYTES, EVENT_BYTES);
    q->device = virtq_place(q, config->device, EVENT_BYTES, EVENT_BYTES);
    q->next_wrap = q->used_wrap = true;
    *why = q->descriptors == NULL ? "the descriptor ring is not aligned or not in RAM"
           : q->driver == NULL    ? "the driver's event suppression is not aligned or not in RAM"
           : q->device == NULL    ? "the device's event suppression is not aligned or not in RAM"
                                  : NULL;
    return *why == NULL ? 0 : -EINVAL;
}

static uint8_t *slot(const struct virtq *q, uint16_t index)
{
    return q->descriptors + (size_t)index * VIRTQ_DESCRIPTOR_BYTES;
}

static void forward(const struct virtq *q, uint16_t *index, bool *wrap, uint16_t slots)
{
    *index = (uint16_t)(*index + slots);
    if (*index < q->size)
        return;
    *index = (uint16_t)(*index - q->size);
    *wrap = !*wrap;
}

static bool is_available(const struct virtq *q, uint16_t flags)
{
    return ((flags & FLAG_AVAILABLE) != 0) == q->next_wrap && ((flags & FLAG_USED) != 0) != q->next_wrap;
}

static struct virtq_descriptor load(const uint8_t *at)
{
    uint8_t copy[VIRTQ_DESCRIPTOR_BYTES];
    virtq_copy(copy, at, sizeof(copy));
    return (struct virtq_descriptor){.gpa = gpa_make(bytes_load_le64(copy)),
                                     .bytes = bytes_load_le32(copy + DESCRIPTOR_LENGTH),
                                     .id = bytes_load_le16(copy + DESCRIPTOR_ID),
                                     .flags = bytes_load_le16(copy + DESCRIPTOR_FLAGS)};
}

/* All entries of the table, in order; of their flags only one means something, and ids mean nothing. */
static int gather_indirect(struct virtq *q, struct virtq_chain *chain, const struct virtq_descriptor *d)
{
    uint16_t entries;
    const uint8_t *table = virtq_indirect_table(q, d, &entries);
    for (uint16_t i = 0; table != NULL && i < entries; i++) {
        struct virtq_descriptor inner = load(table + (size_t)i * VIRTQ_DESCRIPTOR_BYTES);
        if (virtq_chain_add(q, chain, &inner) < 0)
            return -EPROTO;
    }
    return table == NULL ? -EPROTO : 1;
}

/* The slots of a chain whose first descriptor is `d`. The last one names the buffer. */
static int gather(struct virtq *q, struct virtq_chain *chain, struct virtq_descriptor d)
{
    uint16_t at = q->next;
    bool wrap = q->next_wrap;
    while (virtq_chain_add(q, chain, &d) == 0 && (d.flags & VIRTQ_DESC_NEXT) != 0) {
        if (chain->slots + q->taken == q->size)
            return virtq_break(q, "a chain is longer than the free part of the ring");
        forward(q, &at, &wrap, 1);
        d = load(slot(q, at));
        if ((d.flags & VIRTQ_DESC_INDIRECT) != 0)
            return virtq_break(q, "an indirect table follows another buffer");
        chain->slots++;
    }
    chain->id = d.id;
    return q->broken ? -EPROTO : 1;
}

int packed_pop(struct virtq *q, struct virtq_chain *chain)
{
    /* The flags say that the rest is there, so they are read first, and not again. */
    uint16_t flags = virtq_load(slot(q, q->next) + DESCRIPTOR_FLAGS);
    if (!is_available(q, flags))
        return 0;
    /* A driver may post again only what it knows to be used. This also bounds what a device can hold at a time. */
    if (q->taken == q->size)
        return virtq_break(q, "more is posted than the ring holds");
    struct virtq_descriptor d = load(slot(q, q->next));
    d.flags = flags;
    virtq_chain_begin(chain, d.id);
    int got = (flags & VIRTQ_DESC_INDIRECT) != 0 ? gather_indirect(q, chain, &d) : gather(q, chain, d);
    if (got < 0)
        return got;
    q->taken = (uint16_t)(q->taken + chain->slots);
    forward(q, &q->next, &q->next_wrap, chain->slots);
    return 1;
}

void packed_unpop(struct virtq *q, const struct virtq_chain *chain)
{
    bool crossed = chain->slots > q->next;
    q->next = (uint16_t)(q->next + (crossed ? q->size : 0) - chain->slots);
    q->next_wrap = q->next_wrap != crossed;
    q->taken = (uint16_t)(q->taken - chain->slots);
}

void packed_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written)
{
    uint8_t *at = slot(q, q->used);
    uint16_t flags = (uint16_t)((q->used_wrap ? FLAG_AVAILABLE | FLAG_USED : 0) | (written > 0 ? VIRTQ_DESC_WRITE : 0));
    bytes_store_le32(at + DESCRIPTOR_LENGTH, written);
    bytes_store_le16(at + DESCRIPTOR_ID, chain->id);
    if (q->fresh == 0) {
        q->first_used = at;
        q->first_used_flags = flags;
    } else {
        virtq_store(at + DESCRIPTOR_FLAGS, flags);
    }
    q->fresh = (uint16_t)(q->fresh + chain->slots);
    forward(q, &q->used, &q->used_wrap, chain->slots);
}

/* Both fields at once: they belong together. */
static uint32_t load_event(const uint8_t *at)
{
    return atomic_load_explicit((const _Atomic uint32_t *)(const void *)at, memory_order_acquire);
}

static void store_event(uint8_t *at, uint16_t event, uint16_t kind)
{
    atomic_store_explicit((_Atomic uint32_t *)(void *)at, event | (uint32_t)kind << 16, memory_order_release);
}

/* Does the driver want to hear of the last `fresh` slots? Those of the round before have indexes below zero. */
static bool wants_interrupt(const struct virtq *q, uint16_t fresh)
{
    uint32_t event = load_event(q->driver);
    uint32_t kind = event >> 16 & EVENT_KINDS;
    if (kind != EVENT_SLOT || !q->event_idx)
        return kind != EVENT_DISABLE;
    uint16_t index = (uint16_t)(event & ~EVENT_WRAP);
    if (((event & EVENT_WRAP) != 0) != q->used_wrap)
        index = (uint16_t)(index - q->size);
    return virtq_event_passed(index, q->used, (uint16_t)(q->used - fresh));
}

bool packed_publish(struct virtq *q)
{
    uint16_t fresh = q->fresh;
    if (fresh == 0)
        return false;
    virtq_store(q->first_used + DESCRIPTOR_FLAGS, q->first_used_flags);
    q->taken = (uint16_t)(q->taken - fresh);
    q->fresh = 0;
    /* The flags must be out before the driver's wish is read. */
    atomic_thread_fence(memory_order_seq_cst);
    return wants_interrupt(q, fresh);
}

void packed_quiet(struct virtq *q)
{
    store_event(q->device, 0, EVENT_DISABLE);
}

bool packed_listen(struct virtq *q)
{
    uint16_t event = (uint16_t)(q->next | (q->next_wrap ? EVENT_WRAP : 0));
    store_event(q->device, q->event_idx ? event : 0, q->event_idx ? EVENT_SLOT : EVENT_ENABLE);
    atomic_thread_fence(memory_order_seq_cst);
    return is_available(q, virtq_load(slot(q, q->next) + DESCRIPTOR_FLAGS));
}
