/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Guests that behave: one whose work is counted while others attack, and one that works as hard as an attacker may, for
 * comparison.
 */
#include "tests/guests/attack/virtio.h"

#define WORDS      8192u
#define BUSY_TURNS 120u

/* Rewrite an array and check what was there: a word that is not as it was left is somebody else's doing. */
static void work_on(uint64_t *words, uint64_t round)
{
    for (uint64_t i = 0; i < WORDS; i++) {
        must(words[i] == (round == 0 ? 0 : (round - 1) * i), "the neighbour's memory was changed");
        words[i] = round * i;
    }
}

/* A dot for each piece of work, until the runner ends it. */
static void count(struct machine *m)
{
    uint64_t *words = memory_take(m, WORDS * sizeof(*words));
    for (uint64_t round = 0;; round++) {
        work_on(words, round);
        out8(COM1, '.');
    }
}

static void busy_other(struct machine *m, unsigned cpu)
{
    uint64_t *words = pointer_to(HEAP_END - cpu * WORDS * sizeof(*words));
    for (uint64_t round = 0; !is_stopping(m); round++)
        work_on(words, round);
}

/* Interrupts are sent by message: the hypervisor has all of its threads then. */
static void listen(struct machine *m)
{
    struct ring r;
    pci_write(SLOT_RNG, pci_msix_at(SLOT_RNG), 0x80000000u);
    device_begin(SLOT_RNG, 0);
    ring_make(m, &r, SLOT_RNG, 0);
    set16(BAR(SLOT_RNG) + QUEUE_VECTOR, 0);
    set64(BAR(SLOT_RNG) + BAR_TABLE, LAPIC);
    set32(BAR(SLOT_RNG) + BAR_TABLE + 8, 0x40);
    set32(BAR(SLOT_RNG) + BAR_TABLE + 12, 0);
    device_ok(SLOT_RNG);
    ring_set(&r, 0, address_of(memory_take(m, PAGE)), 8, WRITE, 0);
    ring_post(&r, 0);
    ring_kick(&r);
    interrupts_on();
    while (load32(&m->interrupts[0x40]) == 0)
        pause_for(1);
    interrupts_off();
    pci_write(SLOT_RNG, pci_msix_at(SLOT_RNG), 0);
}

/* Computes on both processors, and reads a disk now and then. */
static void busy(struct machine *m)
{
    uint64_t *words = memory_take(m, WORDS * sizeof(*words));
    listen(m);
    others_start(m, 1, busy_other);
    for (uint64_t round = 0; round < BUSY_TURNS; round++) {
        work_on(words, round);
        if (round % 10 == 0)
            disk_must_work(m, SLOT_DISK);
    }
    others_stop(m, 1);
    all_must_work(m);
}

const struct attack attacks[] = {
    {"count", count},
    {"busy", busy},
    {NULL, NULL},
};
