/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What queue.c, split.c and packed.c share.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_QUEUE_INTERNAL_H
#define CAISSON_VMM_DEVICES_VIRTIO_QUEUE_INTERNAL_H

#include "vmm/devices/virtio/queue.h"

#define VIRTQ_DESCRIPTOR_BYTES 16u
#define VIRTQ_DESC_NEXT        1u
#define VIRTQ_DESC_WRITE       2u
#define VIRTQ_DESC_INDIRECT    4u

/* One entry, as it was copied. */
struct virtq_descriptor {
    gpa_t gpa;
    uint32_t bytes;
    uint16_t flags;
    union {
        uint16_t next; /* split */
        uint16_t id;   /* packed */
    };
};

/* Copy so many bytes of guest memory, reading each once: what the guest writes afterwards does not matter. */
void virtq_copy(void *to, const uint8_t *from, size_t bytes);

/* Mark the ring broken. Returns -EPROTO. */
int virtq_break(struct virtq *q, const char *why);

/* Empty a chain, and add one buffer to it: 0, or -EPROTO with the ring broken. */
void virtq_chain_begin(struct virtq_chain *chain, uint16_t id);
int virtq_chain_add(struct virtq *q, struct virtq_chain *chain, const struct virtq_descriptor *d);

/* The host address of a part of a ring. NULL: not aligned, or not in RAM as a whole. */
uint8_t *virtq_place(const struct virtq *q, gpa_t gpa, uint64_t bytes, uint64_t alignment);

/* The table that an indirect descriptor points to, and its entries: 1 to the ring's size. NULL: broken. */
const uint8_t *virtq_indirect_table(struct virtq *q, const struct virtq_descriptor *d, uint16_t *entries);

/* Guest memory is shared: 16-bit fields, aligned, by one access each; loads acquire, stores release. */
uint16_t virtq_load(const uint8_t *at);
void virtq_store(uint8_t *at, uint16_t value);

/* Would a driver that asked for an interrupt at `event` want one, now that the index went from `before` to `now`? */
static inline bool virtq_event_passed(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/* The two kinds of rings; see queue.h for what each does. */
int split_init(struct virtq *q, const struct virtq_config *config, const char **why);
int split_pop(struct virtq *q, struct virtq_chain *chain);
void split_unpop(struct virtq *q);
void split_push(struct virtq *q, uint16_t id, uint32_t written);
bool split_publish(struct virtq *q);
void split_quiet(struct virtq *q);
bool split_listen(struct virtq *q);

int packed_init(struct virtq *q, const struct virtq_config *config, const char **why);
int packed_pop(struct virtq *q, struct virtq_chain *chain);
void packed_unpop(struct virtq *q, const struct virtq_chain *chain);
void packed_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written);
bool packed_publish(struct virtq *q);
void packed_quiet(struct virtq *q);
bool packed_listen(struct virtq *q);

#endif
