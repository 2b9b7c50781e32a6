/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define RX           0u
#define TX           1u
#define CONTROL      2u
#define HEADER       12u
#define FRAME_MAX    65550u
#define ALL_FEATURES (UINT64_MAX & ~(F_PACKED | F_EVENT_IDX))
#define SENT_OK      0u

struct header {
    uint8_t flags, gso_type;
    uint16_t header_bytes, gso_bytes, csum_start, csum_offset, buffers;
};

static void send(struct ring *r, uint64_t at, uint32_t bytes)
{
    ring_set(r, 0, at, bytes, 0, 0);
    ring_post(r, 0);
    ring_kick(r);
    (void)ring_take(r);
}

static void begin(struct machine *m, struct ring *r, unsigned queue, uint64_t features)
{
    device_begin(SLOT_NET, features);
    ring_make(m, r, SLOT_NET, queue);
    device_ok(SLOT_NET);
}

static void end(struct machine *m)
{
    device_reset(SLOT_NET);
    all_must_work(m);
}

/* The runner's end of the cable takes frames of 14 to 65,550 bytes, and no others may come. */
static void lengths_that_are_no_frames(struct machine *m)
{
    struct ring r;
    begin(m, &r, TX, ALL_FEATURES);
    uint64_t page = address_of(memory_take(m, 32 * PAGE));
    for (uint32_t bytes = 0; bytes < 64; bytes++)
        send(&r, page, bytes);
    for (uint32_t bytes = HEADER + FRAME_MAX - 3; bytes < HEADER + FRAME_MAX + 40; bytes++)
        send(&r, page, bytes);
    /* A frame of all memory. */
    send(&r, 0, (uint32_t)RAM_END);
    end(m);
}

static void lies_about_offloads(struct machine *m)
{
    for (unsigned round = 0; round < 2; round++) {
        struct ring r;
        uint64_t heap = m->heap;
        begin(m, &r, TX, round == 0 ? 0 : ALL_FEATURES);
        struct header *h = memory_take(m, PAGE);
        for (unsigned i = 0; i < 6000; i++) {
            uint64_t x = random_next(m), y = random_next(m);
            *h = (struct header){.flags = (uint8_t)(i & 1 ? 1 : x),
                                 .gso_type = (uint8_t)(i & 2 ? x >> 8 & 0x87 : x >> 8),
                                 .header_bytes = (uint16_t)(x >> 16),
                                 .gso_bytes = (uint16_t)(i & 4 ? x >> 32 & 7 : x >> 32),
                                 .csum_start = (uint16_t)(i & 8 ? y & 0x3f : y),
                                 .csum_offset = (uint16_t)(i & 16 ? y >> 16 & 0x3f : y >> 16),
                                 .buffers = (uint16_t)(y >> 32)};
            send(&r, address_of(h), HEADER + 14 + (i & 0x7f));
        }
        device_reset(SLOT_NET);
        m->heap = heap;
    }
    end(m);
}

/* A checksum at each border of the frame, and just behind it. */
static void checksums_at_the_border(struct machine *m)
{
    struct ring r;
    begin(m, &r, TX, ALL_FEATURES);
    struct header *h = memory_take(m, PAGE);
    for (uint16_t bytes = 14; bytes < 64; bytes = (uint16_t)(bytes + 7))
        for (unsigned start = 0; start < 80; start++)
            for (unsigned offset = 0; offset < 4; offset++) {
                *h = (struct header){.flags = 1,
                                     .csum_start = (uint16_t)(offset == 3 ? 0xffff - start : start),
                                     .csum_offset = (uint16_t)(offset == 2 ? 0xffff : bytes - start - offset)};
                send(&r, address_of(h), HEADER + bytes);
            }
    end(m);
}

static void frames_in_many_pieces(struct machine *m)
{
    struct ring r;
    begin(m, &r, TX, ALL_FEATURES);
    uint64_t page = address_of(memory_take(m, PAGE));
    for (unsigned piece = 0; piece < 20; piece++)
        for (unsigned pieces = 1; pieces < r.size; pieces += 17) {
            for (uint16_t i = 0; i < pieces; i++)
                ring_set(&r, i, page, piece, i + 1u < pieces ? NEXT : 0, (uint16_t)(i + 1));
            ring_post(&r, 0);
            ring_kick(&r);
            (void)ring_take(&r);
        }
    end(m);
}

/* ---- Control queue ---- */

static void commands_at_random(struct machine *m)
{
    struct ring r;
    begin(m, &r, CONTROL, ALL_FEATURES);
    uint8_t *page = memory_take(m, 4 * PAGE);
    for (unsigned i = 0; i < 6000; i++) {
        uint64_t x = random_next(m);
        page[0] = (uint8_t)(i & 1 ? x & 7 : x);
        page[1] = (uint8_t)(i & 2 ? x >> 8 & 3 : x >> 8);
        for (unsigned k = 2; k < 12; k++)
            page[k] = (uint8_t)(random_next(m) & (i & 4 ? 0xff : 3));
        uint32_t out = (uint32_t)(x >> 16 & 0xf), in = (uint32_t)(x >> 20 & 3);
        ring_set(&r, 0, address_of(page), out, NEXT, 1);
        ring_set(&r, 1, address_of(page + PAGE), in, WRITE, 0);
        ring_post(&r, 0);
        ring_kick(&r);
        (void)ring_take(&r);
    }
    end(m);
}

static void pairs_that_are_not_there(struct machine *m)
{
    struct ring r;
    begin(m, &r, CONTROL, ALL_FEATURES);
    uint8_t *page = memory_take(m, PAGE);
    for (unsigned pairs = 0; pairs < 0x10000; pairs += pairs < 16 ? 1 : 1021) {
        page[0] = 4;
        page[1] = 0;
        page[2] = (uint8_t)pairs;
        page[3] = (uint8_t)(pairs >> 8);
        page[64] = 0xee;
        ring_set(&r, 0, address_of(page), 4, NEXT, 1);
        ring_set(&r, 1, address_of(page + 64), 1, WRITE, 0);
        ring_post(&r, 0);
        ring_kick(&r);
        (void)ring_take(&r);
        must(pairs == 1 || page[64] == 1, "pairs of queues that are not there can be chosen");
    }
    end(m);
}

static void receive_buffers_too_small(struct machine *m)
{
    for (uint32_t bytes = 0; bytes < 40; bytes++) {
        struct ring r;
        uint64_t heap = m->heap;
        begin(m, &r, RX, bytes & 1 ? ALL_FEATURES : 0);
        for (uint16_t i = 0; i < r.size; i++) {
            ring_set(&r, i, address_of(r.desc), bytes, bytes & 2 ? WRITE : 0, 0);
            ring_post(&r, i);
        }
        ring_kick(&r);
        (void)device_status(SLOT_NET);
        device_reset(SLOT_NET);
        m->heap = heap;
    }
    end(m);
}

/* Frames as fast as they go, of the largest size: the peer reads, and the run ends in the midst of it. */
static void largest_frames_flood(struct machine *m)
{
    struct ring r;
    begin(m, &r, TX, ALL_FEATURES);
    uint64_t page = address_of(memory_take(m, 32 * PAGE));
    for (uint16_t i = 0; i < r.size; i++)
        ring_set(&r, i, page, HEADER + 65000, 0, 0);
    for (unsigned i = 0; i < 1500; i++) {
        while ((uint16_t)(r.posted - r.seen) == r.size)
            (void)ring_take(&r);
        ring_post(&r, (uint16_t)(i % r.size));
        ring_kick(&r);
    }
}

const struct attack attacks[] = {
    {"lengths_that_are_no_frames", lengths_that_are_no_frames},
    {"lies_about_offloads", lies_about_offloads},
    {"checksums_at_the_border", checksums_at_the_border},
    {"frames_in_many_pieces", frames_in_many_pieces},
    {"commands_at_random", commands_at_random},
    {"pairs_that_are_not_there", pairs_that_are_not_there},
    {"receive_buffers_too_small", receive_buffers_too_small},
    {"largest_frames_flood", largest_frames_flood},
    {NULL, NULL},
};
