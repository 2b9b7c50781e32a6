/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

static const struct {
    uint8_t slot, queue;
} queues[] = {{SLOT_CONSOLE, 1}, {SLOT_VSOCK, 1}, {SLOT_RNG, 0},   {SLOT_BALLOON, 0},
              {SLOT_DISK, 0},    {SLOT_DISK, 1},  {SLOT_SHARE, 1}, {SLOT_NET, 1}};
#define QUEUES (sizeof(queues) / sizeof(queues[0]))

/* A ring of packed descriptors in the memory of a split one. */
static volatile struct packed_desc *slot_of(const struct ring *r, unsigned i)
{
    return (volatile struct packed_desc *)pointer_to(address_of(r->desc) + 16u * (i % r->size));
}

static void begin(struct machine *m, struct ring *r, unsigned i, uint64_t features)
{
    must((device_features(queues[i].slot) & F_PACKED) != 0, "packed rings are not offered");
    device_begin(queues[i].slot, F_PACKED | features);
    ring_make(m, r, queues[i].slot, queues[i].queue);
    device_ok(queues[i].slot);
}

/* In the first round: available, and not used. */
static void put(struct ring *r, unsigned i, uint64_t gpa, uint32_t bytes, uint16_t id, uint16_t flags)
{
    volatile struct packed_desc *d = slot_of(r, i);
    d->gpa = gpa;
    d->bytes = bytes;
    d->id = id;
    __atomic_store_n(&d->flags, (uint16_t)(flags | AVAIL_BIT), __ATOMIC_RELEASE);
}

static uint64_t page_of(struct machine *m)
{
    return address_of(memory_take(m, PAGE));
}

static void break_each(struct machine *m, uint64_t features, void (*spoil)(struct machine *m, struct ring *r))
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct ring r;
        uint64_t heap = m->heap;
        begin(m, &r, i, features);
        spoil(m, &r);
        ring_kick(&r);
        device_must_break(queues[i].slot);
        device_reset(queues[i].slot);
        m->heap = heap;
    }
    all_must_work(m);
}

static void vex_each(struct machine *m, void (*vex)(struct machine *m, struct ring *r))
{
    for (unsigned i = 0; i < QUEUES; i++)
        for (unsigned round = 0; round < 6; round++) {
            struct ring r;
            uint64_t heap = m->heap;
            begin(m, &r, i, round & 1 ? F_EVENT_IDX | F_INDIRECT : 0);
            vex(m, &r);
            device_reset(queues[i].slot);
            m->heap = heap;
        }
    all_must_work(m);
}

/* ---- Chains ---- */

/* Each slot says that another follows, all round. The first is written last. */
static void spoil_circle(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    for (unsigned i = r->size; i > 0; i--)
        put(r, i - 1, at, 1, (uint16_t)i, NEXT | WRITE);
}

static void spoil_empty_circle(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    for (unsigned i = r->size; i > 0; i--)
        put(r, i - 1, at, 0, 0, NEXT);
}

static void chain_all_round(struct machine *m)
{
    break_each(m, 0, spoil_circle);
    break_each(m, 0, spoil_empty_circle);
}

static void spoil_length(struct machine *m, struct ring *r)
{
    (void)m;
    put(r, 0, UINT64_MAX - 15, 64, 0, WRITE);
}

static void spoil_end_of_memory(struct machine *m, struct ring *r)
{
    (void)m;
    put(r, 0, RAM_END - 1, UINT32_MAX, 0, 0);
}

static void spoil_table(struct machine *m, struct ring *r)
{
    put(r, 0, page_of(m), 16 * (r->size + 1u), 0, INDIRECT);
}

static void spoil_table_behind(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    put(r, 1, at, 32, 0, INDIRECT);
    put(r, 0, at, 1, 0, NEXT);
}

static void lengths_and_tables(struct machine *m)
{
    break_each(m, 0, spoil_length);
    break_each(m, 0, spoil_end_of_memory);
    break_each(m, F_INDIRECT, spoil_table);
    break_each(m, F_INDIRECT, spoil_table_behind);
}

/* ---- Flags and ids ---- */

static void vex_flags(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    for (unsigned turn = 0; turn < 40; turn++) {
        for (unsigned i = 0; i < r->size; i++) {
            volatile struct packed_desc *d = slot_of(r, i);
            uint64_t x = random_next(m);
            d->gpa = at;
            d->bytes = (uint32_t)x & 0x7f;
            d->id = (uint16_t)(x >> 16);
            d->flags = (uint16_t)(x >> 32) & (AVAIL_BIT | USED_BIT | NEXT | WRITE | (x >> 48 & 1 ? INDIRECT : 0));
        }
        ring_kick(r);
        (void)device_status(r->slot);
    }
}

/* Flags of this round and the next at random, ids that are none. */
static void flags_at_random(struct machine *m)
{
    vex_each(m, vex_flags);
}

static void vex_events(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    for (unsigned i = 0; i < r->size; i++) {
        r->avail[0] = (uint16_t)random_next(m);
        r->avail[1] = (uint16_t)random_next(m);
        put(r, i, at, 8, (uint16_t)~i, r->slot == SLOT_RNG ? WRITE : 0);
        ring_kick(r);
    }
    (void)device_status(r->slot);
}

/* When the driver wants an interrupt: slots that are not there. */
static void events_that_are_none(struct machine *m)
{
    vex_each(m, vex_events);
}

static void vex_self(struct machine *m, struct ring *r)
{
    (void)m;
    for (unsigned i = 0; i < r->size; i++)
        put(r, i, address_of(r->desc), 16u * r->size, 0, r->slot == SLOT_RNG ? WRITE : 0);
    ring_kick(r);
    (void)device_status(r->slot);
    pause_for(200);
}

static void buffers_over_the_ring(struct machine *m)
{
    vex_each(m, vex_self);
}

/* ---- Sizes, and another processor ---- */

static void odd_sizes(struct machine *m)
{
    uint64_t at = page_of(m);
    for (unsigned i = 0; i < QUEUES; i++)
        for (unsigned size = 1; size < 64; size += 6) {
            uint64_t bar = BAR(queues[i].slot);
            device_begin(queues[i].slot, F_PACKED);
            struct ring r = {.slot = queues[i].slot, .queue = queues[i].queue, .size = (uint16_t)size};
            r.desc = pointer_to(at);
            r.avail = pointer_to(at + 2048);
            r.used = pointer_to(at + 3072);
            ring_again(&r);
            device_ok(queues[i].slot);
            for (unsigned k = 0; k < size; k++)
                put(&r, k, at, 8, 0, r.slot == SLOT_RNG ? WRITE : 0);
            set16(bar + BAR_NOTIFY + 4u * r.queue, (uint16_t)r.queue);
            (void)device_status(r.slot);
            device_reset(r.slot);
        }
    all_must_work(m);
}

#define SHARED (HEAP_END - 16 * PAGE)

static void rewrite(struct machine *m, unsigned cpu)
{
    uint64_t x = UINT64_C(88172645463325252) + cpu;
    while (!is_stopping(m)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t at = SHARED + (x & 0xf) * 16;
        set64(at, x & 0x100 ? x : SHARED + PAGE);
        set32(at + 8, x & 0x200 ? (uint32_t)x : 512);
        set32(at + 12, (uint32_t)(x >> 32) & 0x8087ffff);
    }
}

static void rewritten_while_read(struct machine *m)
{
    others_start(m, 1, rewrite);
    for (unsigned round = 0; round < 300; round++) {
        unsigned i = round % QUEUES;
        uint64_t heap = m->heap;
        device_begin(queues[i].slot, F_PACKED | F_INDIRECT);
        struct ring r = {.slot = queues[i].slot, .queue = queues[i].queue, .size = 16};
        r.desc = pointer_to(SHARED);
        r.avail = memory_take(m, PAGE);
        r.used = memory_take(m, PAGE);
        ring_again(&r);
        device_ok(r.slot);
        for (unsigned k = 0; k < 8; k++)
            ring_kick(&r);
        pause_for(200);
        device_reset(r.slot);
        m->heap = heap;
    }
    others_stop(m, 1);
    all_must_work(m);
}

const struct attack attacks[] = {
    {"chain_all_round", chain_all_round},
    {"lengths_and_tables", lengths_and_tables},
    {"flags_at_random", flags_at_random},
    {"events_that_are_none", events_that_are_none},
    {"buffers_over_the_ring", buffers_over_the_ring},
    {"odd_sizes", odd_sizes},
    {"rewritten_while_read", rewritten_while_read},
    {NULL, NULL},
};
