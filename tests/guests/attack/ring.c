/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define NET_CONTROL (UINT64_C(1) << 17)

/* Queues of each device that take what the driver says, or fill what it gives. */
static const struct {
    uint8_t slot, queue;
    uint64_t features; /* without which the queue is not served */
} queues[] = {
    {SLOT_CONSOLE, 1, 0}, {SLOT_VSOCK, 1, 0}, {SLOT_RNG, 0, 0},           {SLOT_BALLOON, 0, 0},
    {SLOT_BALLOON, 1, 0}, {SLOT_DISK, 0, 0},  {SLOT_DISK, 1, 0},          {SLOT_SHARE, 0, 0},
    {SLOT_SHARE, 1, 0},   {SLOT_NET, 1, 0},   {SLOT_NET, 2, NET_CONTROL},
};
#define QUEUES (sizeof(queues) / sizeof(queues[0]))

/* Set up one queue of a device, let `spoil` write into it, kick, and see the device broken and then well again. */
static void break_each(struct machine *m, uint64_t features, void (*spoil)(struct machine *m, struct ring *r))
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct ring r;
        uint64_t heap = m->heap;
        device_begin(queues[i].slot, features | queues[i].features);
        ring_make(m, &r, queues[i].slot, queues[i].queue);
        device_ok(queues[i].slot);
        spoil(m, &r);
        ring_kick(&r);
        device_must_break(queues[i].slot);
        must(!ring_has_used(&r), "a broken chain came back as used");
        device_reset(queues[i].slot);
        m->heap = heap;
    }
    all_must_work(m);
}

/* Rings that are well as such and whose content is nonsense: nothing is asked of the device but to live. */
static void vex_each(struct machine *m, uint64_t features, void (*vex)(struct machine *m, struct ring *r))
{
    for (unsigned i = 0; i < QUEUES; i++) {
        struct ring r;
        uint64_t heap = m->heap;
        device_begin(queues[i].slot, features | queues[i].features);
        ring_make(m, &r, queues[i].slot, queues[i].queue);
        device_ok(queues[i].slot);
        vex(m, &r);
        device_reset(queues[i].slot);
        m->heap = heap;
    }
    all_must_work(m);
}

static uint64_t page_of(struct machine *m)
{
    return address_of(memory_take(m, PAGE));
}

/* ---- Cycles ---- */

static void spoil_self(struct machine *m, struct ring *r)
{
    ring_set(r, 0, page_of(m), 1, NEXT, 0);
    ring_post(r, 0);
}

static void spoil_circle(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    for (uint16_t i = 0; i < r->size; i++)
        ring_set(r, i, at, 1, NEXT | WRITE, (uint16_t)((i + 1) % r->size));
    ring_post(r, 3);
}

/* Without bytes, so that no sum grows. */
static void spoil_empty_circle(struct machine *m, struct ring *r)
{
    ring_set(r, 0, page_of(m), 0, NEXT, 1);
    ring_set(r, 1, page_of(m), 0, NEXT, 0);
    ring_post(r, 0);
}

/* To be posted when the table is written: a device that has just begun may look before it is told to. */
static struct desc *indirect(struct machine *m, struct ring *r, uint32_t bytes)
{
    struct desc *table = memory_take(m, 0x8000);
    ring_set(r, 0, address_of(table), bytes, INDIRECT, 0);
    return table;
}

static void spoil_indirect_circle(struct machine *m, struct ring *r)
{
    struct desc *table = indirect(m, r, 4 * sizeof(*table));
    for (uint16_t i = 0; i < 4; i++)
        table[i] = (struct desc){.gpa = page_of(m), .bytes = 1, .flags = NEXT, .next = (uint16_t)((i + 1) % 4)};
    ring_post(r, 0);
}

/* A table inside of itself. */
static void spoil_nested(struct machine *m, struct ring *r)
{
    struct desc *table = indirect(m, r, 2 * sizeof(*table));
    table[0] = (struct desc){.gpa = address_of(table), .bytes = 2 * sizeof(*table), .flags = INDIRECT};
    ring_post(r, 0);
}

static void cycle_self(struct machine *m)
{
    break_each(m, 0, spoil_self);
}

static void cycle_whole_ring(struct machine *m)
{
    break_each(m, 0, spoil_circle);
}

static void cycle_of_empty_buffers(struct machine *m)
{
    break_each(m, 0, spoil_empty_circle);
}

static void cycle_indirect(struct machine *m)
{
    break_each(m, F_INDIRECT, spoil_indirect_circle);
}

static void indirect_nested(struct machine *m)
{
    break_each(m, F_INDIRECT, spoil_nested);
}

/* ---- Lengths ---- */

static void spoil_long_table(struct machine *m, struct ring *r)
{
    uint64_t at = page_of(m);
    struct desc *table = indirect(m, r, (r->size + 1u) * (uint32_t)sizeof(*table));
    for (uint16_t i = 0; i <= r->size; i++)
        table[i] = (struct desc){.gpa = at, .bytes = 1, .flags = i < r->size ? NEXT : 0, .next = (uint16_t)(i + 1)};
    ring_post(r, 0);
}

static void spoil_huge_table(struct machine *m, struct ring *r)
{
    (void)indirect(m, r, 0xfffffff0);
    ring_post(r, 0);
}

static void spoil_odd_table(struct machine *m, struct ring *r)
{
    (void)indirect(m, r, 17);
    ring_post(r, 0);
}

static void spoil_4_gib(struct machine *m, struct ring *r)
{
    (void)m;
    for (uint16_t i = 0; i < r->size; i++)
        ring_set(r, i, 0, (uint32_t)RAM_END, i + 1 < r->size ? NEXT | WRITE : WRITE, (uint16_t)(i + 1));
    ring_post(r, 0);
}

/* Each address with each length has to leave RAM. */
static const struct {
    uint64_t gpa;
    uint32_t bytes;
} bad_buffers[] = {
    {0, UINT32_MAX},
    {RAM_END - 1, 2},
    {RAM_END, 1},
    {UINT64_MAX, 1},
    {UINT64_MAX, 2},
    {UINT64_MAX - 15, 64},
    {UINT64_MAX - UINT32_MAX + 2, UINT32_MAX},
    {UINT64_C(1) << 63, 16},
    {UINT64_C(0x100000000), 16},
    {BAR(SLOT_DISK), 16},
    {LAPIC, 4},
    {ECAM, 4096},
};

static void lengths_direction(struct machine *m, uint16_t flags)
{
    for (unsigned b = 0; b < sizeof(bad_buffers) / sizeof(bad_buffers[0]); b++)
        for (unsigned i = 0; i < QUEUES; i += 3) {
            struct ring r;
            uint64_t heap = m->heap;
            device_begin(queues[i].slot, queues[i].features);
            ring_make(m, &r, queues[i].slot, queues[i].queue);
            device_ok(queues[i].slot);
            ring_set(&r, 0, bad_buffers[b].gpa, bad_buffers[b].bytes, flags, 0);
            ring_post(&r, 0);
            ring_kick(&r);
            device_must_break(queues[i].slot);
            device_reset(queues[i].slot);
            m->heap = heap;
        }
}

static void lengths_outside_of_memory(struct machine *m)
{
    lengths_direction(m, 0);
    lengths_direction(m, WRITE);
    all_must_work(m);
}

static void lengths_table_too_long(struct machine *m)
{
    break_each(m, F_INDIRECT, spoil_long_table);
    break_each(m, F_INDIRECT, spoil_huge_table);
    break_each(m, F_INDIRECT, spoil_odd_table);
}

static void lengths_beyond_4_gib(struct machine *m)
{
    break_each(m, 0, spoil_4_gib);
}

/* Each buffer is all of memory, rings and program included; for reading, or nothing would be left. */
static void vex_all_memory(struct machine *m, struct ring *r)
{
    uint32_t bytes;
    /* What the console says is read by the runner, which is not to find its own words there. */
    bool shown = r->slot == SLOT_CONSOLE;
    uint64_t from = shown ? page_of(m) : 0;
    for (uint16_t i = 0; i < 60; i++)
        ring_set(r, i, from, (uint32_t)(shown ? PAGE : RAM_END), i < 59 ? NEXT : 0, (uint16_t)(i + 1));
    ring_post(r, 0);
    ring_kick(r);
    (void)ring_try(r, &bytes);
}

static void lengths_all_memory(struct machine *m)
{
    vex_each(m, 0, vex_all_memory);
}

/* ---- Indices ---- */

static void jump(struct ring *r, unsigned by)
{
    __atomic_store_n(&r->avail[1], (uint16_t)(r->posted + by), __ATOMIC_RELEASE);
}

static void spoil_jump(struct machine *m, struct ring *r)
{
    (void)m;
    jump(r, r->size + 1u);
}

static void spoil_far_jump(struct machine *m, struct ring *r)
{
    (void)m;
    jump(r, 0x8000);
}

static void spoil_back(struct machine *m, struct ring *r)
{
    (void)m;
    jump(r, 0xffff);
}

static void spoil_head(struct machine *m, struct ring *r)
{
    (void)m;
    ring_post(r, r->size);
}

static void spoil_far_head(struct machine *m, struct ring *r)
{
    (void)m;
    ring_post(r, 0xffff);
}

static void spoil_next(struct machine *m, struct ring *r)
{
    ring_set(r, 0, page_of(m), 1, NEXT, r->size);
    ring_post(r, 0);
}

static void index_jumps(struct machine *m)
{
    break_each(m, 0, spoil_jump);
    break_each(m, F_EVENT_IDX, spoil_far_jump);
    break_each(m, 0, spoil_back);
}

static void index_beyond_table(struct machine *m)
{
    break_each(m, 0, spoil_head);
    break_each(m, 0, spoil_far_head);
    break_each(m, 0, spoil_next);
}

static void spoil_order(struct machine *m, struct ring *r)
{
    ring_set(r, 0, page_of(m), 16, NEXT | WRITE, 1);
    ring_set(r, 1, page_of(m), 16, 0, 0);
    ring_post(r, 0);
}

static void buffers_in_wrong_order(struct machine *m)
{
    break_each(m, 0, spoil_order);
}

/* One descriptor posted as often as the ring has room, again and again. */
static void vex_same_head(struct machine *m, struct ring *r)
{
    uint32_t bytes;
    ring_set(r, 0, page_of(m), 64, r->slot == SLOT_RNG ? WRITE : 0, 0);
    for (unsigned round = 0; round < 20; round++) {
        while ((uint16_t)(r->posted - r->seen) < r->size)
            ring_post(r, 0);
        ring_kick(r);
        while (ring_try(r, &bytes))
            ;
        if ((device_status(r->slot) & NEEDS_RESET) != 0)
            return;
    }
}

static void same_head_many_times(struct machine *m)
{
    vex_each(m, 0, vex_same_head);
}

/* ---- Places ---- */

static const struct {
    uint64_t desc, driver, device;
    uint16_t size;
} bad_places[] = {
    {RAM_END, HEAP, HEAP, 16},
    {HEAP, RAM_END, HEAP, 16},
    {HEAP, HEAP, RAM_END, 16},
    {RAM_END - 16, HEAP, HEAP, 16},
    {HEAP, RAM_END - 4, HEAP, 16},
    {HEAP, HEAP, RAM_END - 4, 16},
    {HEAP + 8, HEAP, HEAP, 16},
    {HEAP, HEAP + 1, HEAP, 16},
    {HEAP, HEAP, HEAP + 2, 16},
    {UINT64_MAX - 15, HEAP, HEAP, 16},
    {HEAP, UINT64_MAX - 1, HEAP, 16},
    {HEAP, HEAP, UINT64_MAX - 3, 16},
    {BAR(SLOT_RNG), HEAP, HEAP, 16},
    {HEAP, LAPIC, HEAP, 16},
    {HEAP, HEAP, ECAM, 16},
    {HEAP, HEAP, HEAP, 0},
    {HEAP, HEAP, HEAP, 3},
    {HEAP, HEAP, HEAP, 0xffff},
    {HEAP, HEAP, HEAP, 2048},
    {UINT64_C(1) << 52, HEAP, HEAP, 1},
    {HEAP, UINT64_C(1) << 32, HEAP, 1},
};

static void rings_outside_of_memory(struct machine *m)
{
    for (unsigned slot = 1; slot < SLOTS; slot++)
        for (unsigned i = 0; pci_read(slot, 0) != UINT32_MAX && i < sizeof(bad_places) / sizeof(bad_places[0]); i++) {
            uint64_t bar = BAR(slot);
            device_begin(slot, 0);
            set16(bar + QUEUE_SELECT, 0);
            set16(bar + QUEUE_SIZE, bad_places[i].size);
            set64(bar + QUEUE_DESC, bad_places[i].desc);
            set64(bar + QUEUE_DRIVER, bad_places[i].driver);
            set64(bar + QUEUE_DEVICE, bad_places[i].device);
            set16(bar + QUEUE_ENABLE, 1);
            device_ok(slot);
            device_must_break(slot);
            set16(bar + BAR_NOTIFY, 0);
            device_reset(slot);
        }
    all_must_work(m);
}

/* All three parts are the same memory, and the buffers, too: the device writes over what it reads. */
static void rings_over_each_other(struct machine *m)
{
    uint64_t at = page_of(m);
    for (unsigned i = 0; i < QUEUES; i++) {
        unsigned slot = queues[i].slot;
        for (unsigned round = 0; round < 8; round++) {
            device_begin(slot, round & 1 ? F_EVENT_IDX | F_INDIRECT : 0);
            struct ring r = {.slot = slot, .queue = queues[i].queue, .size = 16};
            r.desc = pointer_to(at);
            r.avail = pointer_to(at);
            r.used = pointer_to(at);
            ring_again(&r);
            for (unsigned word = 0; word < 512; word++)
                ((volatile uint64_t *)pointer_to(at))[word] = random_next(m) & (round & 2 ? 0x0001000100010001 : ~0ull);
            device_ok(slot);
            for (unsigned k = 0; k < 4; k++) {
                ((volatile uint16_t *)pointer_to(at))[1] += 1;
                ring_kick(&r);
                (void)device_status(slot);
            }
            device_reset(slot);
        }
    }
    all_must_work(m);
}

/* The random numbers go over the ring that asks for them. */
static void device_writes_over_its_ring(struct machine *m)
{
    struct ring r;
    for (unsigned round = 0; round < 40; round++) {
        uint64_t heap = m->heap;
        uint32_t bytes;
        device_begin(SLOT_RNG, round & 1 ? F_EVENT_IDX : 0);
        ring_make(m, &r, SLOT_RNG, 0);
        device_ok(SLOT_RNG);
        ring_set(&r, 0, address_of(r.desc), 512, WRITE, 0);
        ring_set(&r, 1, address_of(r.avail) + 4, 200, WRITE, 0);
        ring_set(&r, 2, address_of(r.used), 200, WRITE, 0);
        for (uint16_t i = 0; i < 8; i++)
            ring_post(&r, (uint16_t)((round + i) % 3));
        ring_kick(&r);
        (void)ring_try(&r, &bytes);
        device_reset(SLOT_RNG);
        m->heap = heap;
    }
    all_must_work(m);
}

/* ---- While another processor rewrites it ---- */

#define SHARED (HEAP_END - 16 * PAGE)

static void rewrite(struct machine *m, unsigned cpu)
{
    uint64_t x = UINT64_C(88172645463325252) + cpu;
    while (!is_stopping(m)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t at = SHARED + (x & 0x3f) * 16;
        set64(at, x & 0x100 ? x : SHARED + PAGE);
        set32(at + 8, x & 0x200 ? (uint32_t)x : 512);
        set16(at + 12, (uint16_t)(x >> 32 & 7));
        set16(at + 14, (uint16_t)(x >> 40 & 0x1f));
    }
}

/* Descriptors change between any two reads of the device: checked copies are what it has to use. */
static void rewritten_while_read(struct machine *m)
{
    struct ring r;
    others_start(m, 1, rewrite);
    for (unsigned round = 0; round < 400; round++) {
        unsigned i = round % QUEUES;
        uint64_t heap = m->heap;
        device_begin(queues[i].slot, F_INDIRECT | queues[i].features);
        ring_make(m, &r, queues[i].slot, queues[i].queue);
        r.desc = pointer_to(SHARED);
        r.size = 16;
        set16(BAR(r.slot) + QUEUE_ENABLE, 0);
        ring_again(&r);
        device_ok(r.slot);
        for (uint16_t k = 0; k < 8; k++) {
            ring_post(&r, k);
            ring_kick(&r);
        }
        pause_for(200);
        device_reset(queues[i].slot);
        m->heap = heap;
    }
    others_stop(m, 1);
    all_must_work(m);
}

/* ---- Doorbells ---- */

static void doorbell_flood(struct machine *m)
{
    for (unsigned round = 0; round < 3000; round++)
        for (unsigned slot = 1; slot < SLOTS; slot++)
            if (slot < 5 || slot == SLOT_DISK || slot == SLOT_DISK_RO || slot == SLOT_SHARE || slot == SLOT_NET)
                set16(BAR(slot) + BAR_NOTIFY + 4 * (round & 7), (uint16_t)(round * 0x101));
    for (unsigned i = 0; i < 4096; i++) {
        set8(BAR(SLOT_DISK) + BAR_NOTIFY + i % 0x1000, (uint8_t)i);
        set32(BAR(SLOT_NET) + BAR_NOTIFY + (i & 0xffc), i);
    }
    all_must_work(m);
}

const struct attack attacks[] = {
    {"cycle_self", cycle_self},
    {"cycle_whole_ring", cycle_whole_ring},
    {"cycle_of_empty_buffers", cycle_of_empty_buffers},
    {"cycle_indirect", cycle_indirect},
    {"indirect_nested", indirect_nested},
    {"lengths_outside_of_memory", lengths_outside_of_memory},
    {"lengths_table_too_long", lengths_table_too_long},
    {"lengths_beyond_4_gib", lengths_beyond_4_gib},
    {"lengths_all_memory", lengths_all_memory},
    {"index_jumps", index_jumps},
    {"index_beyond_table", index_beyond_table},
    {"buffers_in_wrong_order", buffers_in_wrong_order},
    {"same_head_many_times", same_head_many_times},
    {"rings_outside_of_memory", rings_outside_of_memory},
    {"rings_over_each_other", rings_over_each_other},
    {"device_writes_over_its_ring", device_writes_over_its_ring},
    {"rewritten_while_read", rewritten_while_read},
    {"doorbell_flood", doorbell_flood},
    {NULL, NULL},
};
