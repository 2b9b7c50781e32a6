/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define ICR_LOGICAL   0x800u
#define ICR_ASSERT    0x4000u
#define ICR_LEVEL     0x8000u
#define SHORT_SELF    (1u << 18)
#define SHORT_ALL     (2u << 18)
#define SHORT_OTHERS  (3u << 18)
#define MODE(n)       ((uint32_t)(n) << 8)
#define VECTOR        0x50u
#define MSR_APIC_BASE 0x1bu
#define X2APIC_ICR    0x830u

/* The two processors still hear of each other, and devices work. */
static void must_be_well(struct machine *m)
{
    uint32_t before = load32(&m->interrupts[0x71]);
    interrupts_on();
    ipi(0, ICR_ASSERT | 0x71);
    for (uint64_t i = 0; load32(&m->interrupts[0x71]) == before; i++)
        must(i < 100000000, "a processor does not get its own interrupt any more");
    interrupts_off();
    all_must_work(m);
}

static void listen(struct machine *m, unsigned cpu)
{
    (void)cpu;
    interrupts_on();
    while (!is_stopping(m))
        pause_for(10);
    interrupts_off();
}

static void flood(struct machine *m, unsigned cpu)
{
    interrupts_on();
    for (unsigned i = 0; !is_stopping(m); i++)
        ipi((uint8_t)(cpu ^ 1), ICR_ASSERT | (VECTOR + (i & 0x1f)));
    interrupts_off();
}

/* ---- Floods of IPIs ---- */

static void self_ipi_flood(struct machine *m)
{
    interrupts_on();
    for (unsigned i = 0; i < 30000; i++)
        ipi(0, SHORT_SELF | ICR_ASSERT | (0x20 + i % 0xd0));
    must_be_well(m);
}

static void ipi_flood_between_processors(struct machine *m)
{
    others_start(m, 1, flood);
    interrupts_on();
    for (unsigned i = 0; i < 20000; i++)
        ipi(1, ICR_ASSERT | (VECTOR + 0x40 + (i & 0x1f)));
    must(load32(&m->interrupts[VECTOR]) > 0, "no interrupt of the other processor came");
    others_stop(m, 1);
    must_be_well(m);
}

static void broadcast_flood(struct machine *m)
{
    others_start(m, 3, listen);
    interrupts_on();
    for (unsigned i = 0; i < 10000; i++) {
        ipi(0xff, (i & 1 ? SHORT_ALL : SHORT_OTHERS) | ICR_ASSERT | VECTOR);
        ipi(0xff, ICR_ASSERT | ICR_LOGICAL | VECTOR);
        ipi((uint8_t)i, ICR_ASSERT | (i & 2 ? ICR_LOGICAL : 0) | VECTOR);
    }
    others_stop(m, 3);
    must_be_well(m);
}

/* Without end of interrupt: 240 vectors in service, one inside the other. */
static void interrupts_never_completed(struct machine *m)
{
    m->keep_eoi = 1;
    interrupts_on();
    for (unsigned vector = 0x20; vector < 0x100; vector++)
        ipi(0, SHORT_SELF | ICR_ASSERT | vector);
    interrupts_off();
    for (unsigned i = 0; i < 300; i++)
        lapic_write(0xb0, i);
    m->keep_eoi = 0;
    must_be_well(m);
}

static void nmi_flood(struct machine *m)
{
    others_start(m, 1, listen);
    for (unsigned i = 0; i < 10000; i++)
        ipi(1, ICR_ASSERT | MODE(4));
    while (load32(&m->interrupts[2]) == 0)
        ipi(1, ICR_ASSERT | MODE(4));
    others_stop(m, 1);
    must_be_well(m);
}

/* INIT and SIPI to processors that come up, work, and have stopped; to all at once; to the one that sends. */
static void init_and_sipi_storm(struct machine *m)
{
    m->work = listen; /* of one that comes through before the next INIT */
    for (unsigned round = 0; round < 300; round++) {
        ipi(0xff, SHORT_OTHERS | ICR_ASSERT | MODE(5));
        ipi(0xff, SHORT_OTHERS | ICR_ASSERT | MODE(6) | (round & 1 ? TRAMPOLINE_PAGE : 0x9e));
        ipi(1, ICR_ASSERT | MODE(5));
        ipi(1, ICR_LEVEL | MODE(5));
        ipi(1, ICR_ASSERT | MODE(6) | 0x9f);
        ipi(1, ICR_ASSERT | MODE(6) | TRAMPOLINE_PAGE);
    }
    ipi(0xff, SHORT_OTHERS | ICR_ASSERT | MODE(5));
    others_start(m, 1, listen);
    others_stop(m, 1);
    must_be_well(m);
}

static void every_command_of_the_icr(struct machine *m)
{
    interrupts_on();
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t x = (uint32_t)random_next(m);
        uint32_t mode = x >> 8 & 7, where = x >> 18 & 3;
        /* NMI and INIT to itself, and code at random places, are other attacks; so are vectors of exceptions. */
        if (mode == 6 || ((mode == 2 || mode == 4 || mode == 5) && where != 3))
            continue;
        ipi((uint8_t)(x >> 24), x | 0x20);
    }
    must_be_well(m);
}

static void do_x2apic(void *ctx)
{
    struct machine *m = ctx;
    uint64_t base;
    must(msr_read(m, 1, MSR_APIC_BASE, &base), "no APIC base");
    (void)msr_write(m, 1, MSR_APIC_BASE, base | 0x400);
    for (unsigned i = 0; i < 2000; i++) {
        (void)msr_write(m, 1, X2APIC_ICR, (uint64_t)i << 32 | ICR_ASSERT | VECTOR);
        if (i % 0x100 != X2APIC_ICR % 0x100)
            (void)msr_write(m, 1, 0x800 + i % 0x100, i);
        (void)msr_write(m, 1, 0x83f, i);
    }
    (void)msr_write(m, 1, MSR_APIC_BASE, base);
    (void)msr_write(m, 1, MSR_APIC_BASE, base & ~UINT64_C(0x800));
    (void)msr_write(m, 1, MSR_APIC_BASE, UINT64_MAX);
    (void)msr_write(m, 1, MSR_APIC_BASE, base | 0xc00);
}

static void apic_modes(struct machine *m, unsigned cpu)
{
    (void)cpu;
    do_x2apic(m);
}

/* A processor whose APIC goes through its modes, is off, and lies elsewhere, while the other one floods it. */
static void apic_mode_changes(struct machine *m)
{
    others_start(m, 1, apic_modes);
    interrupts_on();
    while (load32(&m->stopped) == 0)
        ipi(1, ICR_ASSERT | VECTOR);
    must_be_well(m);
}

static void registers_of_the_apic(struct machine *m)
{
    for (unsigned round = 0; round < 40; round++)
        for (uint32_t reg = 0; reg < 0x400; reg += 16) {
            /* What sends, moves or switches off is left out. */
            if (reg == 0x300 || reg == 0xf0 || reg == 0x320 || reg == 0x380)
                continue;
            lapic_write(reg, (uint32_t)random_next(m) | (reg >= 0x320 && reg <= 0x370 ? 0x10000 : 0));
            (void)lapic_read(reg);
        }
    lapic_write(0x80, 0);
    must_be_well(m);
}

/* ---- Storms of devices ---- */

static void entry(unsigned pin, uint64_t value)
{
    ioapic_write(0x10 + 2 * pin + 1, (uint32_t)(value >> 32));
    ioapic_write(0x10 + 2 * pin, (uint32_t)value);
}

/* After so many interrupts the serial port wants none any more: until then nothing else runs. */
static void lower_at_last(struct machine *m, unsigned vector)
{
    if (load32(&m->interrupts[vector]) >= 5000)
        out8(COM1 + 1, 0);
}

static void lower_soon(struct machine *m, unsigned vector)
{
    if (vector == 0x62 && load32(&m->interrupts[vector]) >= 500)
        out8(COM1 + 1, 0);
}

static void take_it(struct machine *m, unsigned vector)
{
    (void)m;
    (void)vector;
    (void)in8(COM1 + 2);
}

/* A line that is high and stays it: each end of interrupt brings the next, and the processor comes to nothing else. */
static void level_that_never_falls(struct machine *m)
{
    m->hook = lower_at_last;
    entry(4, 0x8000 | 0x60);
    out8(COM1 + 4, 8);
    out8(COM1 + 1, 2);
    interrupts_on();
    for (unsigned i = 0; load32(&m->interrupts[0x60]) < 5000; i++)
        must(i < 100000000, "a level that is high brings no interrupts");
    interrupts_off();
    m->hook = NULL;
    entry(4, 0x10000);
    must_be_well(m);
}

static void lines_flicker(struct machine *m)
{
    m->hook = take_it;
    out8(COM1 + 4, 8);
    interrupts_on();
    for (unsigned i = 0; i < 5000; i++) {
        entry(4, (i & 1 ? 0x8000 : 0) | (i & 2 ? 0x10000 : 0) | 0x61 | (uint64_t)(i & 0xff) << 56);
        out8(COM1 + 1, (uint8_t)(i & 2));
        (void)in8(COM1 + 2);
        set32(IOAPIC + 0x40, 0x61);
    }
    interrupts_off();
    m->hook = NULL;
    out8(COM1 + 1, 0);
    entry(4, 0x10000);
    must_be_well(m);
}

static void entries_at_random(struct machine *m)
{
    out8(COM1 + 4, 8);
    out8(COM1 + 1, 2);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t x = random_next(m);
        ioapic_write((uint32_t)x & 0xff, (uint32_t)(x >> 32));
        set32(IOAPIC + (x >> 8 & 0xfff), (uint32_t)(x >> 20));
    }
    for (unsigned pin = 0; pin < 24; pin++)
        entry(pin, 0x10000);
    out8(COM1 + 1, 0);
    must_be_well(m);
}

/* All at once: messages of a device, a level, IPIs both ways. */
static void everything_at_once(struct machine *m)
{
    struct ring r;
    m->hook = lower_soon;
    others_start(m, 1, flood);
    pci_write(SLOT_RNG, pci_msix_at(SLOT_RNG), 0x80000000u);
    device_begin(SLOT_RNG, 0);
    ring_make(m, &r, SLOT_RNG, 0);
    set16(BAR(SLOT_RNG) + QUEUE_VECTOR, 0);
    set64(BAR(SLOT_RNG) + BAR_TABLE, LAPIC);
    set32(BAR(SLOT_RNG) + BAR_TABLE + 8, 0x63);
    set32(BAR(SLOT_RNG) + BAR_TABLE + 12, 0);
    device_ok(SLOT_RNG);
    entry(4, 0x8000 | 0x62);
    out8(COM1 + 4, 8);
    out8(COM1 + 1, 2);
    interrupts_on();
    for (unsigned i = 0; i < 2000; i++) {
        ring_set(&r, (uint16_t)(i % r.size), HEAP_END, 8, WRITE, 0);
        ring_post(&r, (uint16_t)(i % r.size));
        ring_kick(&r);
        ipi(0, SHORT_SELF | ICR_ASSERT | 0x64);
        (void)ring_take(&r);
    }
    interrupts_off();
    out8(COM1 + 1, 0);
    entry(4, 0x10000);
    others_stop(m, 1);
    must(load32(&m->interrupts[0x62]) > 0 && load32(&m->interrupts[0x63]) > 0, "interrupts got lost in the storm");
    pci_write(SLOT_RNG, pci_msix_at(SLOT_RNG), 0);
    must_be_well(m);
}

const struct attack attacks[] = {
    {"self_ipi_flood", self_ipi_flood},
    {"ipi_flood_between_processors", ipi_flood_between_processors},
    {"broadcast_flood", broadcast_flood},
    {"interrupts_never_completed", interrupts_never_completed},
    {"nmi_flood", nmi_flood},
    {"init_and_sipi_storm", init_and_sipi_storm},
    {"every_command_of_the_icr", every_command_of_the_icr},
    {"apic_mode_changes", apic_mode_changes},
    {"registers_of_the_apic", registers_of_the_apic},
    {"level_that_never_falls", level_that_never_falls},
    {"lines_flicker", lines_flicker},
    {"entries_at_random", entries_at_random},
    {"everything_at_once", everything_at_once},
    {NULL, NULL},
};
