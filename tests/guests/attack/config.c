/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

static const uint8_t slots[] = {SLOT_CONSOLE, SLOT_VSOCK,   SLOT_RNG,   SLOT_BALLOON,
                                SLOT_DISK,    SLOT_DISK_RO, SLOT_SHARE, SLOT_NET};
#define DEVICES sizeof(slots)

/* A ring of random numbers that is asked again and again: each answer is checked. */
static void rng_start(struct machine *m, struct ring *r)
{
    device_begin(SLOT_RNG, 0);
    ring_make(m, r, SLOT_RNG, 0);
    device_ok(SLOT_RNG);
    for (uint16_t i = 0; i < r->size; i++)
        ring_set(r, i, address_of(memory_take(m, PAGE)), 64, WRITE, 0);
}

static void rng_ask(struct ring *r, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        ring_post(r, (uint16_t)(i % r->size));
        ring_kick(r);
        must(ring_take(r) == 64, "not the random numbers that were asked for");
    }
}

/* ---- Registers that are frozen ---- */

/* CVE-2026-5747: a queue that grows after DRIVER_OK. */
static void queue_grows_while_in_use(struct machine *m)
{
    struct ring r;
    uint64_t bar = BAR(SLOT_RNG);
    rng_start(m, &r);
    rng_ask(&r, 4);
    for (unsigned size = 0; size <= 0xffff; size += 257) {
        set16(bar + QUEUE_SELECT, 0);
        set16(bar + QUEUE_SIZE, (uint16_t)size);
        must(get16(bar + QUEUE_SIZE) == r.size, "a queue's size can be changed while it is in use");
        set64(bar + QUEUE_DESC, UINT64_MAX);
        set64(bar + QUEUE_DRIVER, size);
        set64(bar + QUEUE_DEVICE, RAM_END - 1);
        set16(bar + QUEUE_ENABLE, (uint16_t)(size & 1));
        must(get64(bar + QUEUE_DESC) == address_of(r.desc), "a ring can be moved while it is in use");
        rng_ask(&r, 1);
    }
    all_must_work(m);
}

static void features_change_while_in_use(struct machine *m)
{
    struct ring r;
    uint64_t bar = BAR(SLOT_RNG);
    rng_start(m, &r);
    for (unsigned bit = 0; bit < 64; bit++) {
        set32(bar + ACCEPTED_SELECT, bit / 32);
        set32(bar + ACCEPTED, 1u << bit % 32);
        set8(bar + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        rng_ask(&r, 1);
    }
    all_must_work(m);
}

/* Features that were not offered, and DRIVER_OK without FEATURES_OK: nothing works. */
static void driver_ok_without_features(struct machine *m)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        struct ring r;
        uint64_t heap = m->heap;
        pci_write(slots[i], 4, 6);
        device_reset(slots[i]);
        set32(BAR(slots[i]) + ACCEPTED_SELECT, 0);
        set32(BAR(slots[i]) + ACCEPTED, UINT32_MAX);
        set32(BAR(slots[i]) + ACCEPTED_SELECT, 1);
        set32(BAR(slots[i]) + ACCEPTED, UINT32_MAX);
        set8(BAR(slots[i]) + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        must((device_status(slots[i]) & FEATURES_OK) == 0, "features that were not offered are accepted");
        ring_make(m, &r, slots[i], 0);
        device_ok(slots[i]);
        ring_post(&r, 0);
        ring_kick(&r);
        device_must_break(slots[i]);
        must(!ring_has_used(&r), "a device serves without features");
        device_reset(slots[i]);
        m->heap = heap;
    }
    all_must_work(m);
}

/* ---- Garbage ---- */

static void status_in_every_order(struct machine *m)
{
    for (unsigned i = 0; i < DEVICES; i++)
        for (unsigned value = 0; value < 1024; value++)
            set8(BAR(slots[i]) + STATUS, (uint8_t)(value < 256 ? value : random_next(m)));
    all_must_work(m);
}

static void write_any(struct machine *m, uint64_t at)
{
    uint64_t x = random_next(m);
    switch (x >> 60 & 3) {
    case 0: set8(at, (uint8_t)x); break;
    case 1: set16(at, (uint16_t)x); break;
    case 2: set32(at, (uint32_t)x); break;
    default: set64(at, x);
    }
}

/* Any register, any width, any value, aligned or not; the queues are enabled in between, wherever they then are. */
static void common_registers_at_random(struct machine *m)
{
    for (unsigned round = 0; round < 120; round++)
        for (unsigned i = 0; i < DEVICES; i++) {
            for (unsigned k = 0; k < 12; k++)
                write_any(m, BAR(slots[i]) + random_next(m) % 0x40);
            set16(BAR(slots[i]) + QUEUE_SELECT, (uint16_t)(round & 3));
            set16(BAR(slots[i]) + QUEUE_ENABLE, 1);
            set8(BAR(slots[i]) + STATUS, (uint8_t)(round & 0xf));
        }
    all_must_work(m);
}

static void device_configuration_at_random(struct machine *m)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        device_begin(slots[i], UINT64_MAX & ~F_PACKED);
        device_ok(slots[i]);
        for (unsigned k = 0; k < 1200; k++)
            write_any(m, BAR(slots[i]) + BAR_CONFIG + random_next(m) % 0x120);
        (void)get64(BAR(slots[i]) + BAR_CONFIG + 0xff0);
    }
    all_must_work(m);
}

/* The configuration space of every function, by ports and by memory, without what lies at CF9h, which resets. */
static void pci_configuration_at_random(struct machine *m)
{
    for (unsigned k = 0; k < 2000; k++) {
        uint64_t x = random_next(m);
        out32(0xcf8, (uint32_t)x | 0x80000000u);
        out32(0xcfc, (uint32_t)(x >> 32));
        out16((uint16_t)(0xcfc + (x >> 40 & 3)), (uint16_t)x);
        out8((uint16_t)(0xcfc + (x >> 44 & 3)), (uint8_t)x);
        write_any(m, ECAM + (random_next(m) & 0xfffff));
        pci_write((unsigned)(x >> 50) % SLOTS, (unsigned)(x >> 56), (uint32_t)random_next(m));
    }
    for (unsigned i = 0; i < DEVICES; i++)
        pci_write(slots[i], pci_msix_at(slots[i]), 0);
    all_must_work(m);
}

/* The window of the capability that reaches a BAR through configuration space: every offset and length. */
static void pci_window_at_random(struct machine *m)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        unsigned at = pci_read(slots[i], 0x34) & 0xff;
        while (at != 0 && !((pci_read(slots[i], at) & 0xff) == 9 && pci_read(slots[i], at) >> 24 == 5))
            at = pci_read(slots[i], at) >> 8 & 0xff;
        must(at != 0, "a device without the window");
        for (unsigned k = 0; k < 150; k++) {
            pci_write(slots[i], at + 4, (uint32_t)random_next(m) & (k & 1 ? 0xff : 0));
            pci_write(slots[i], at + 8, (uint32_t)random_next(m) & (k & 2 ? UINT32_MAX : 0x7fff));
            pci_write(slots[i], at + 12, (uint32_t)random_next(m) & (k & 4 ? UINT32_MAX : 7));
            pci_write(slots[i], at + 16, (uint32_t)random_next(m));
            (void)pci_read(slots[i], at + 16);
        }
        pci_write(slots[i], at + 12, 0);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        pci_write(slots[i], pci_msix_at(slots[i]), 0);
    all_must_work(m);
}

/* ---- Resets ---- */

static void reset_storm(struct machine *m)
{
    for (unsigned round = 0; round < 1000; round++)
        for (unsigned i = 0; i < DEVICES; i++)
            set8(BAR(slots[i]) + STATUS, 0);
    all_must_work(m);
}

static void setup_storm(struct machine *m)
{
    for (unsigned round = 0; round < 40; round++)
        for (unsigned i = 0; i < DEVICES; i++) {
            struct ring r;
            uint64_t heap = m->heap;
            device_begin(slots[i], UINT64_MAX & ~F_PACKED);
            ring_make(m, &r, slots[i], 0);
            ring_post(&r, 0);
            device_ok(slots[i]);
            ring_kick(&r);
            device_reset(slots[i]);
            m->heap = heap;
        }
    all_must_work(m);
}

/* ---- From a second processor ---- */

static uint64_t other_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void reset_at_random(struct machine *m, unsigned cpu)
{
    uint64_t x = cpu + 1;
    while (!is_stopping(m)) {
        set8(BAR(slots[other_random(&x) % DEVICES]) + STATUS, 0);
        pause_for(x & 0x3ff);
    }
}

/* Set up, ask, and be reset by the other processor at any moment. */
static void reset_while_served(struct machine *m)
{
    others_start(m, 1, reset_at_random);
    for (unsigned round = 0; round < 500; round++) {
        unsigned slot = slots[round % DEVICES];
        uint64_t bar = BAR(slot), heap = m->heap;
        struct ring r = {.slot = slot, .queue = round & 1, .size = 16};
        set8(bar + STATUS, ACKNOWLEDGE | DRIVER);
        set32(bar + ACCEPTED_SELECT, 1);
        set32(bar + ACCEPTED, 1);
        set8(bar + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        r.desc = memory_take(m, PAGE);
        r.avail = memory_take(m, PAGE);
        r.used = memory_take(m, PAGE);
        ring_again(&r);
        device_ok(slot);
        for (uint16_t i = 0; i < 16; i++) {
            ring_set(&r, i, address_of(memory_take(m, PAGE)), 1024, slot == SLOT_RNG ? WRITE : 0, 0);
            ring_post(&r, i);
            ring_kick(&r);
        }
        pause_for(100);
        set8(bar + STATUS, 0);
        m->heap = heap;
    }
    others_stop(m, 1);
    all_must_work(m);
}

static void configure_at_random(struct machine *m, unsigned cpu)
{
    uint64_t x = cpu + 77;
    while (!is_stopping(m)) {
        uint64_t bar = BAR(SLOT_RNG);
        uint32_t v = (uint32_t)other_random(&x);
        switch (v % 8) {
        case 0: set16(bar + QUEUE_SIZE, (uint16_t)(v >> 16)); break;
        case 1: set64(bar + QUEUE_DESC, x); break;
        case 2: set64(bar + QUEUE_DEVICE, x & (RAM_END - 1)); break;
        case 3: set16(bar + QUEUE_ENABLE, (uint16_t)(v >> 16 & 1)); break;
        case 4: set32(bar + ACCEPTED, v); break;
        case 5: set16(bar + QUEUE_VECTOR, (uint16_t)(v >> 16)); break;
        case 6: set8(bar + STATUS, (uint8_t)(v >> 16) | 1); break;
        default: set16(bar + QUEUE_SELECT, (uint16_t)(v >> 16 & 3));
        }
    }
}

/* Registers change between the driver's own writes. Whatever comes of it: the next driver finds the device well. */
static void configured_by_two(struct machine *m)
{
    others_start(m, 1, configure_at_random);
    for (unsigned round = 0; round < 500; round++) {
        uint64_t heap = m->heap;
        uint32_t bytes;
        struct ring r = {.slot = SLOT_RNG, .size = 16};
        set8(BAR(SLOT_RNG) + STATUS, 0);
        set8(BAR(SLOT_RNG) + STATUS, ACKNOWLEDGE | DRIVER);
        set32(BAR(SLOT_RNG) + ACCEPTED_SELECT, 1);
        set32(BAR(SLOT_RNG) + ACCEPTED, 1);
        set8(BAR(SLOT_RNG) + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        r.desc = memory_take(m, PAGE);
        r.avail = memory_take(m, PAGE);
        r.used = memory_take(m, PAGE);
        ring_again(&r);
        set8(BAR(SLOT_RNG) + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        ring_set(&r, 0, address_of(memory_take(m, PAGE)), 64, WRITE, 0);
        ring_post(&r, 0);
        ring_kick(&r);
        for (unsigned i = 0; i < 200 && !ring_has_used(&r); i++)
            pause_for(1);
        bytes = r.used[1];
        must(bytes <= 16, "more was used than was posted");
        m->heap = heap;
    }
    others_stop(m, 1);
    all_must_work(m);
}

static void hide_at_random(struct machine *m, unsigned cpu)
{
    uint64_t x = cpu + 99;
    while (!is_stopping(m)) {
        uint32_t v = (uint32_t)other_random(&x);
        set32(ECAM + SLOT_RNG * 0x8000 + 4, v & 7);
        set32(ECAM + SLOT_RNG * 0x8000 + 0x10 + 4 * (v >> 8 & 7), v);
    }
    set32(ECAM + SLOT_RNG * 0x8000 + 4, 6);
}

/* Memory space off and on, BARs moved, while the device is in use. */
static void hidden_while_served(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    others_start(m, 1, hide_at_random);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t bytes;
        if ((uint16_t)(r.posted - r.seen) < r.size)
            ring_post(&r, (uint16_t)(i % r.size));
        ring_kick(&r);
        if (ring_has_used(&r))
            (void)ring_try(&r, &bytes);
        (void)get32(BAR(SLOT_RNG) + STATUS);
    }
    others_stop(m, 1);
    all_must_work(m);
}

const struct attack attacks[] = {
    {"queue_grows_while_in_use", queue_grows_while_in_use},
    {"features_change_while_in_use", features_change_while_in_use},
    {"driver_ok_without_features", driver_ok_without_features},
    {"status_in_every_order", status_in_every_order},
    {"common_registers_at_random", common_registers_at_random},
    {"device_configuration_at_random", device_configuration_at_random},
    {"pci_configuration_at_random", pci_configuration_at_random},
    {"pci_window_at_random", pci_window_at_random},
    {"reset_storm", reset_storm},
    {"setup_storm", setup_storm},
    {"reset_while_served", reset_while_served},
    {"configured_by_two", configured_by_two},
    {"hidden_while_served", hidden_while_served},
    {NULL, NULL},
};
