/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define ENABLE 0x8000u
#define MASK   0x4000u
#define VECTOR 0x60u

#define TABLE(slot, entry) (BAR(slot) + BAR_TABLE + 16u * (entry))

static void set_control(unsigned slot, uint32_t bits)
{
    pci_write(slot, pci_msix_at(slot), bits << 16);
}

static void set_entry(unsigned slot, unsigned entry, uint64_t address, uint32_t data, uint32_t mask)
{
    set32(TABLE(slot, entry) + 12, 1);
    set64(TABLE(slot, entry), address);
    set32(TABLE(slot, entry) + 8, data);
    set32(TABLE(slot, entry) + 12, mask);
}

/* The random number device, with vector 1 for its queue. */
static void rng_start(struct machine *m, struct ring *r)
{
    pci_write(SLOT_RNG, 4, 6);
    set_control(SLOT_RNG, ENABLE);
    device_begin(SLOT_RNG, 0);
    ring_make(m, r, SLOT_RNG, 0);
    set16(BAR(SLOT_RNG) + QUEUE_VECTOR, 1);
    must(get16(BAR(SLOT_RNG) + QUEUE_VECTOR) == 1, "a queue does not take a vector");
    device_ok(SLOT_RNG);
    for (uint16_t i = 0; i < r->size; i++)
        ring_set(r, i, address_of(memory_take(m, PAGE)), 8, WRITE, 0);
}

static void ask(struct ring *r, uint16_t i)
{
    ring_post(r, (uint16_t)(i % r->size));
    ring_kick(r);
    must(ring_take(r) == 8, "no random numbers");
}

/* An interrupt arrives where it is sent; the end of each attack. */
static void must_interrupt(struct machine *m)
{
    struct ring r;
    uint64_t heap = m->heap;
    rng_start(m, &r);
    set_entry(SLOT_RNG, 1, LAPIC, VECTOR, 0);
    uint32_t before = load32(&m->interrupts[VECTOR]);
    interrupts_on();
    ask(&r, 0);
    for (uint64_t i = 0; load32(&m->interrupts[VECTOR]) == before; i++)
        must(i < 100000000, "no interrupt after the attack");
    interrupts_off();
    device_reset(SLOT_RNG);
    set_control(SLOT_RNG, 0);
    m->heap = heap;
    all_must_work(m);
}

/* ---- Messages to nowhere ---- */

static const uint64_t addresses[] = {0,
                                     1,
                                     HEAP,
                                     RAM_END,
                                     HOLE,
                                     IOAPIC,
                                     BAR(SLOT_DISK),
                                     LAPIC - 0x1000,
                                     LAPIC + 0x100000,
                                     LAPIC | UINT64_C(1) << 32,
                                     UINT64_MAX,
                                     LAPIC | 0xff000,
                                     LAPIC | 0xff00c,
                                     LAPIC | 0xfe004,
                                     LAPIC | 0x0a008};

static void addresses_that_are_none(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    for (unsigned a = 0; a < sizeof(addresses) / sizeof(addresses[0]); a++)
        for (unsigned entry = 0; entry < 8; entry++) {
            set_entry(SLOT_RNG, entry, addresses[a], VECTOR, 0);
            ask(&r, (uint16_t)entry);
        }
    must_interrupt(m);
}

static void nothing(struct machine *m, unsigned cpu)
{
    (void)m;
    (void)cpu;
}

/*
 * Vectors below 16, SMI, NMI, INIT, reserved modes, ExtINT, level-triggered; to a processor that waits for SIPI. One
 * that takes mode 6 for a SIPI gets it last, with pages from the trampoline's on: anywhere else it would run wild.
 */
static void data_of_every_kind(struct machine *m)
{
    static const unsigned modes[] = {0, 1, 2, 3, 4, 5, 7, 6};
    struct ring r;
    m->work = nothing;
    rng_start(m, &r);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        for (unsigned low = 0; low < 32; low++) {
            uint32_t data = low | modes[i] << 8 | (low & 1) << 15 | (low & 2) << 13 | (low & 4 ? 0xffff0000u : 0);
            set_entry(SLOT_RNG, 1, LAPIC | 1 << 12, data + (modes[i] == 6 ? TRAMPOLINE_PAGE : 0), 0);
            ask(&r, (uint16_t)low);
        }
    must_interrupt(m);
}

/* ---- Storms ---- */

static void masks_flicker(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    set_entry(SLOT_RNG, 1, LAPIC, VECTOR, 0);
    interrupts_on();
    for (unsigned i = 0; i < 3000; i++) {
        set32(TABLE(SLOT_RNG, 1) + 12, i & 1);
        if (i % 8 == 0)
            set_control(SLOT_RNG, ENABLE | (i & 16 ? MASK : 0));
        if (i % 4 == 0)
            ask(&r, (uint16_t)i);
    }
    interrupts_off();
    must_interrupt(m);
}

/* Each write is another message, and so another table of routes for the hypervisor. */
static void messages_flicker(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    for (unsigned i = 0; i < 2500; i++) {
        set64(TABLE(SLOT_RNG, i % 2), LAPIC | (uint64_t)(i & 0xff) << 12);
        set32(TABLE(SLOT_RNG, i % 2) + 8, VECTOR + i % 64);
        set32(TABLE(SLOT_RNG, i % 2) + 12, 0);
        if (i % 16 == 0)
            ask(&r, (uint16_t)i);
    }
    must_interrupt(m);
}

static void enable_flickers(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    set_entry(SLOT_RNG, 1, LAPIC, VECTOR, 0);
    for (unsigned i = 0; i < 1500; i++) {
        set_control(SLOT_RNG, i & 1 ? ENABLE : 0);
        ask(&r, (uint16_t)i);
    }
    must_interrupt(m);
}

/* ---- Accesses that are not served ---- */

static void set_odd(uint64_t at, unsigned bytes, uint64_t value)
{
    switch (bytes) {
    case 1: set8(at, (uint8_t)value); break;
    case 2: set16(at, (uint16_t)value); break;
    case 4: set32(at, (uint32_t)value); break;
    default: set64(at, value);
    }
}

static void writes_of_odd_sizes(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    set_entry(SLOT_RNG, 1, LAPIC, VECTOR, 0);
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
        for (uint64_t at = 0; at < 0x300; at++)
            set_odd(BAR(SLOT_RNG) + BAR_TABLE + at, bytes, random_next(m));
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
        for (uint64_t at = 0; at < 0x40; at++)
            set_odd(BAR(SLOT_RNG) + BAR_BITS + at, bytes, UINT64_MAX);
    for (uint64_t at = 0; at < 0x400; at += 4)
        set32(BAR(SLOT_RNG) + BAR_TABLE + 0xc00 + at, 0);
    ask(&r, 1);
    must_interrupt(m);
}

static void vectors_beyond_the_table(struct machine *m)
{
    struct ring r;
    uint64_t bar = BAR(SLOT_RNG);
    rng_start(m, &r);
    for (unsigned v = 2; v < 0xffff; v += 251) {
        set16(bar + QUEUE_VECTOR, (uint16_t)v);
        must(get16(bar + QUEUE_VECTOR) == 0xffff, "a queue takes a vector that is not there");
        set16(bar + CONFIG_VECTOR, (uint16_t)v);
        must(get16(bar + CONFIG_VECTOR) == 0xffff, "a device takes a vector that is not there");
        ask(&r, (uint16_t)v);
    }
    must_interrupt(m);
}

/* ---- From a second processor ---- */

static void program_at_random(struct machine *m, unsigned cpu)
{
    uint64_t x = cpu + 5;
    while (!is_stopping(m)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        set32(TABLE(SLOT_RNG, x & 1) + (x >> 8 & 0xc), (uint32_t)(x >> 16));
        if ((x >> 48 & 7) == 0)
            set32(ECAM + SLOT_RNG * 0x8000 + 0x40, (uint32_t)x);
    }
}

static void programmed_while_fired(struct machine *m)
{
    struct ring r;
    rng_start(m, &r);
    others_start(m, 1, program_at_random);
    for (unsigned i = 0; i < 2000; i++)
        ask(&r, (uint16_t)i);
    others_stop(m, 1);
    must_interrupt(m);
}

const struct attack attacks[] = {
    {"addresses_that_are_none", addresses_that_are_none},
    {"data_of_every_kind", data_of_every_kind},
    {"masks_flicker", masks_flicker},
    {"messages_flicker", messages_flicker},
    {"enable_flickers", enable_flickers},
    {"writes_of_odd_sizes", writes_of_odd_sizes},
    {"vectors_beyond_the_table", vectors_beyond_the_table},
    {"programmed_while_fired", programmed_while_fired},
    {NULL, NULL},
};
