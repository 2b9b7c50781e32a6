/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A hostile driver for fuzz targets of virtio devices: it goes through the handshake, then does what the input says.
 *
 * Input: actions of a kind (low 3 bits of a byte; the upper 5 are its argument `a`) and the bytes that the kind takes:
 *
 *     0 chain   a % queues is the queue. A byte: descriptors (low 3 bits, plus 1) and index of the first. For each one
 *               a byte of flags (bit 0: the device writes; bit 1: indirect; bit 2: out of place), two of place (in
 *               units of 16 bytes), two of length
 *     1 content two bytes of place (units of 8 bytes), then a + 1 bytes that are put there
 *     2 ring    two bytes of place in the rings' memory, and what is put there
 *     3 kick    a % queues; the loop turns until nothing is ready
 *     4 config  a: place. One byte: width (low 2 bits), and whether it is written (bit 2). Then a byte of value
 *     5 status  a 0: reset and another handshake, with two bytes of features; otherwise the byte is written
 *     6 event   one byte, for the back end
 *     7 turn    the loop turns once
 *
 * Places are in the HOSTILE_BYTES after the rings.
 */
#ifndef CAISSON_TESTS_FUZZ_VIRTIO_HOSTILE_H
#define CAISSON_TESTS_FUZZ_VIRTIO_HOSTILE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOSTILE_BYTES       UINT64_C(0x40000)
#define HOSTILE_RINGS_BYTES UINT64_C(0x8000)
#define HOSTILE_ACTIONS     200u /* more say nothing new */

struct hostile {
    struct vdrv d;
    const uint8_t *data;
    size_t size;
    unsigned queues;
    uint64_t rings; /* where the memory of rings begins */
    uint64_t place; /* where that of buffers begins */
    void (*event)(struct hostile *h, uint8_t what);
};

static inline uint8_t hostile_byte(struct hostile *h)
{
    if (h->size == 0)
        return 0;
    h->size--;
    return *h->data++;
}

static inline uint16_t hostile_word(struct hostile *h)
{
    uint8_t low = hostile_byte(h);
    return (uint16_t)(low | hostile_byte(h) << 8);
}

/* The heap starts over: handshakes may be many. */
static inline void hostile_start(struct hostile *h, uint64_t features)
{
    h->d.heap = h->rings;
    (void)vdrv_start(&h->d, features);
    assert(h->d.heap <= h->rings + HOSTILE_RINGS_BYTES);
    h->d.heap = h->place = h->rings + HOSTILE_RINGS_BYTES;
    (void)vdrv_alloc(&h->d, HOSTILE_BYTES, 1);
}

static inline void hostile_init(struct hostile *h, const uint8_t *data, size_t size)
{
    memset(h, 0, sizeof(*h));
    vdrv_init(&h->d);
    h->data = data;
    h->size = size;
}

/* With the device made. */
static inline void hostile_attach(struct hostile *h, struct virtio *v, uint64_t features)
{
    vdrv_attach(&h->d, v);
    while (h->queues < VIRTIO_QUEUES_MAX && virtio_get_queue(v, h->queues, VIRTIO_QUEUE_SIZE_MAX) != 0)
        h->queues++;
    h->rings = h->d.heap;
    hostile_start(h, features);
}

static inline void hostile_chain(struct hostile *h, unsigned a)
{
    struct vdrv_queue *q = &h->d.queue[a % h->queues];
    uint8_t head = hostile_byte(h);
    unsigned count = (head & 7u) + 1, at = head >> 3;
    if (q->size == 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint8_t flags = hostile_byte(h), *d = vdrv_at(&h->d, q->descriptors + 16 * ((at + i) % q->size), 16);
        uint64_t gpa = h->place + (uint64_t)16 * (hostile_word(h) % (HOSTILE_BYTES / 16));
        bytes_store_le64(d, (flags & 4) != 0 ? gpa << (flags >> 3) : gpa);
        bytes_store_le32(d + 8, (uint32_t)hostile_word(h) << ((flags & 4) != 0 ? 16 : 0));
        bytes_store_le16(d + 12, (uint16_t)((i + 1 < count ? 1 : 0) | (flags & 1 ? 2 : 0) | (flags & 2 ? 4 : 0)));
        bytes_store_le16(d + 14, (uint16_t)((at + i + 1) % q->size));
    }
    bytes_store_le16(vdrv_at(&h->d, q->available + 4 + 2u * (q->available_index % q->size), 2),
                     (uint16_t)(at % q->size));
    bytes_store_le16(vdrv_at(&h->d, q->available + 2, 2), ++q->available_index);
}

static inline void hostile_content(struct hostile *h, unsigned a)
{
    uint64_t at = h->place + (uint64_t)8 * (hostile_word(h) % (HOSTILE_BYTES / 8 - 8));
    for (unsigned i = 0; i <= a; i++)
        *vdrv_at(&h->d, at + i, 1) = hostile_byte(h);
}

static inline void hostile_ring(struct hostile *h)
{
    uint64_t at = h->rings + hostile_word(h) % HOSTILE_RINGS_BYTES;
    *vdrv_at(&h->d, at, 1) = hostile_byte(h);
}

static inline void hostile_config(struct hostile *h, unsigned a)
{
    uint8_t how = hostile_byte(h);
    if ((how & 4) != 0)
        virtio_write_config(h->d.v, a, 1u << (how & 3), hostile_byte(h));
    else
        (void)virtio_read_config(h->d.v, a, 1u << (how & 3));
}

static inline void hostile_status(struct hostile *h, unsigned a)
{
    if (a == 0)
        hostile_start(h, hostile_word(h));
    else
        virtio_set_status(h->d.v, hostile_byte(h));
}

static inline void hostile_run(struct hostile *h)
{
    for (unsigned i = 0; i < HOSTILE_ACTIONS && h->size > 0; i++) {
        uint8_t kind = hostile_byte(h);
        unsigned a = kind >> 3;
        switch (kind & 7) {
        case 0: hostile_chain(h, a); break;
        case 1: hostile_content(h, a); break;
        case 2: hostile_ring(h); break;
        case 3: vdrv_kick(&h->d, a % h->queues); break;
        case 4: hostile_config(h, a); break;
        case 5: hostile_status(h, a); break;
        case 6: h->event(h, hostile_byte(h)); break;
        default: (void)loop_turn(&h->d.loop); break;
        }
    }
    vdrv_turn(&h->d);
}

#endif
