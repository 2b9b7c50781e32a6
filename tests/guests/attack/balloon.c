/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define INFLATE      0u
#define DEFLATE      1u
#define REPORTING    2u
#define ALL_FEATURES (UINT64_MAX & ~(F_PACKED | F_EVENT_IDX))

static void begin(struct machine *m, struct ring *r, unsigned queue)
{
    device_begin(SLOT_BALLOON, ALL_FEATURES);
    ring_make(m, r, SLOT_BALLOON, queue);
    device_ok(SLOT_BALLOON);
}

static void give(struct ring *r, uint64_t at, uint32_t bytes, uint16_t flags)
{
    ring_set(r, 0, at, bytes, flags, 0);
    ring_post(r, 0);
    ring_kick(r);
    (void)ring_take(r);
}

static void end(struct machine *m)
{
    device_reset(SLOT_BALLOON);
    all_must_work(m);
}

static void pages_outside_of_memory(struct machine *m)
{
    struct ring r;
    uint32_t *numbers = memory_take(m, PAGE);
    for (unsigned queue = INFLATE; queue <= DEFLATE; queue++) {
        begin(m, &r, queue);
        for (unsigned round = 0; round < 200; round++) {
            for (unsigned i = 0; i < 1024; i++) {
                uint64_t x = random_next(m);
                numbers[i] = (uint32_t)(x & 1   ? x >> 8
                                        : x & 2 ? 0xffffffff - (x >> 40 & 7)
                                                : (RAM_END >> 12) + (x >> 40));
            }
            give(&r, address_of(numbers), 4096, 0);
        }
        device_reset(SLOT_BALLOON);
    }
    end(m);
}

/* Given away twice, taken back without having been given, and all in one request. */
static void pages_doubled(struct machine *m)
{
    struct ring r;
    uint32_t *numbers = memory_take(m, PAGE);
    uint64_t victim = address_of(memory_take(m, PAGE));
    for (unsigned i = 0; i < 1024; i++)
        numbers[i] = (uint32_t)(victim >> 12);
    for (unsigned round = 0; round < 100; round++) {
        begin(m, &r, round & 1);
        set64(victim, 1);
        give(&r, address_of(numbers), 4096, 0);
        must((round & 1) != 0 || get64(victim) == 0, "a page that was given away has its content");
    }
    end(m);
}

/* The page of numbers is among those that are given away, as are the rings. */
static void pages_of_the_rings(struct machine *m)
{
    for (unsigned round = 0; round < 60; round++) {
        struct ring r;
        uint64_t heap = m->heap;
        uint32_t bytes;
        begin(m, &r, INFLATE);
        uint32_t *numbers = memory_take(m, PAGE);
        const volatile void *pages[] = {numbers, r.desc, r.avail, r.used};
        for (unsigned i = 0; i < 1024; i++)
            numbers[i] = (uint32_t)(address_of(pages[(i + round) % 4]) >> 12);
        ring_set(&r, 0, address_of(numbers), 4096, 0, 0);
        ring_post(&r, 0);
        ring_kick(&r);
        (void)ring_try(&r, &bytes);
        device_reset(SLOT_BALLOON);
        m->heap = heap;
    }
    end(m);
}

static void odd_lengths(struct machine *m)
{
    struct ring r;
    uint8_t *numbers = memory_take(m, PAGE);
    begin(m, &r, INFLATE);
    for (uint32_t bytes = 0; bytes < 40; bytes++)
        give(&r, address_of(numbers) + bytes % 4, bytes, 0);
    give(&r, address_of(numbers), 64, WRITE);
    /* All of memory as numbers: only so many are looked at, and none of them is ours. */
    device_reset(SLOT_BALLOON);
    begin(m, &r, DEFLATE);
    give(&r, 0, (uint32_t)RAM_END, 0);
    end(m);
}

/* What is reported as free is lost at once; here it is what nobody uses, whole, in pieces, unaligned. */
static void reports_without_end(struct machine *m)
{
    struct ring r;
    uint64_t at = HEAP_END - 2048 * PAGE;
    begin(m, &r, REPORTING);
    for (unsigned round = 0; round < 60; round++) {
        set64(at + PAGE, 7);
        for (uint16_t i = 0; i < 64; i++)
            ring_set(&r, i, at, 2048 * (uint32_t)PAGE, i < 63 ? NEXT | WRITE : WRITE, (uint16_t)(i + 1));
        ring_post(&r, 0);
        ring_kick(&r);
        (void)ring_take(&r);
        must(get64(at + PAGE) == 0, "a page that was reported as free has its content");
    }
    for (uint32_t bytes = 1; bytes < 9000; bytes += 61)
        give(&r, at + bytes, bytes, WRITE);
    /* Pages that the device is to read are no report. */
    set64(at, 7);
    give(&r, at, (uint32_t)PAGE, 0);
    must(get64(at) == 7, "a page that was to be read is lost");
    end(m);
}

static void report_storm_by_other(struct machine *m, unsigned cpu)
{
    uint64_t sum = cpu;
    while (!is_stopping(m))
        for (uint64_t at = HEAP_END - 512 * PAGE; at < HEAP_END; at += PAGE)
            set64(at, ++sum);
}

/* One processor writes to pages while the other reports them as free. */
static void reported_while_used(struct machine *m)
{
    struct ring r;
    begin(m, &r, REPORTING);
    others_start(m, 1, report_storm_by_other);
    for (unsigned i = 0; i < 400; i++)
        give(&r, HEAP_END - 512 * PAGE, 512 * (uint32_t)PAGE, WRITE);
    others_stop(m, 1);
    end(m);
}

/* The size that the driver claims its balloon has. */
static void sizes_that_are_lies(struct machine *m)
{
    struct ring r;
    begin(m, &r, INFLATE);
    for (unsigned i = 0; i < 2000; i++)
        set32(BAR(SLOT_BALLOON) + BAR_CONFIG + 4, (uint32_t)random_next(m));
    set32(BAR(SLOT_BALLOON) + BAR_CONFIG + 4, UINT32_MAX);
    end(m);
}

const struct attack attacks[] = {
    {"pages_outside_of_memory", pages_outside_of_memory}, {"pages_doubled", pages_doubled},
    {"pages_of_the_rings", pages_of_the_rings},           {"odd_lengths", odd_lengths},
    {"reports_without_end", reports_without_end},         {"reported_while_used", reported_while_used},
    {"sizes_that_are_lies", sizes_that_are_lies},         {NULL, NULL},
};
