/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define FLOOD UINT64_C(0x10000) /* bytes of output */

/* Work for the devices, on the other processor, that goes on until the machine is gone. */
static void keep_busy(struct machine *m, unsigned cpu)
{
    struct ring rng, net;
    (void)cpu;
    device_begin(SLOT_RNG, 0);
    ring_make(m, &rng, SLOT_RNG, 0);
    device_ok(SLOT_RNG);
    device_begin(SLOT_NET, 0);
    ring_make(m, &net, SLOT_NET, 1);
    device_ok(SLOT_NET);
    for (uint16_t i = 0; i < 64; i++) {
        ring_set(&rng, i, HEAP_END, 1024, WRITE, 0);
        ring_set(&net, i, HEAP_END, 1500, 0, 0);
    }
    for (unsigned i = 0;; i++) {
        ring_post(&rng, (uint16_t)(i % 64));
        ring_post(&net, (uint16_t)(i % 64));
        ring_kick(&rng);
        ring_kick(&net);
        (void)ring_take(&rng);
        (void)ring_take(&net);
    }
}

static void with_busy_devices(struct machine *m)
{
    others_start(m, 1, keep_busy);
    pause_for(20000);
}

/* ---- Faults ---- */

static void lose_tables(void)
{
    struct {
        uint16_t limit;
        uint64_t base __attribute__((packed));
    } none = {0, 0};
    __asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}

static void triple_fault(struct machine *m)
{
    with_busy_devices(m);
    lose_tables();
}

static void fault_other(struct machine *m, unsigned cpu)
{
    (void)m;
    (void)cpu;
    lose_tables();
}

static void triple_fault_of_the_other(struct machine *m)
{
    others_start(m, 1, fault_other);
    for (;;)
        (void)device_status(SLOT_DISK);
}

/* All processors at the same moment. */
static void wait_and_fault(struct machine *m, unsigned cpu)
{
    (void)cpu;
    while (!is_stopping(m))
        ;
    lose_tables();
}

static void triple_faults_of_all(struct machine *m)
{
    others_start(m, 3, wait_and_fault);
    __atomic_store_n(&m->stop, 1, __ATOMIC_RELEASE);
    lose_tables();
}

static void page_tables_lost(struct machine *m)
{
    with_busy_devices(m);
    __asm__ volatile("mov %0, %%cr3" : : "r"(HOLE) : "memory");
}

static void runs_in_a_device(struct machine *m)
{
    with_busy_devices(m);
    __asm__ volatile("jmp *%0" : : "r"(BAR(SLOT_DISK)));
}

static void runs_behind_memory(struct machine *m)
{
    (void)m;
    __asm__ volatile("jmp *%0" : : "r"(RAM_END));
}

/* ---- Ends that it asks for ---- */

static void reset_by_acpi(struct machine *m)
{
    with_busy_devices(m);
    out8(0x602, 1);
}

static void reset_by_keyboard(struct machine *m)
{
    with_busy_devices(m);
    out8(0x64, 0xfe);
}

static void reset_by_pci(struct machine *m)
{
    with_busy_devices(m);
    out8(0xcf9, 6);
}

static void switches_off(struct machine *m)
{
    with_busy_devices(m);
    out8(0x600, 0x34);
}

static void exit_while_busy(struct machine *m)
{
    with_busy_devices(m);
    leave(42);
}

/* Every way to end, by all processors at once: the first one counts. */
static void end_any_way(struct machine *m, unsigned cpu)
{
    while (!is_stopping(m))
        ;
    if (cpu == 1)
        out8(0x602, 1);
    if (cpu == 2)
        out8(0x600, 0x34);
    if (cpu == 3)
        lose_tables();
}

static void all_ends_at_once(struct machine *m)
{
    others_start(m, 3, end_any_way);
    __atomic_store_n(&m->stop, 1, __ATOMIC_RELEASE);
    for (;;)
        pause_for(1);
}

static void spin(struct machine *m, unsigned cpu)
{
    (void)m;
    (void)cpu;
    for (;;)
        pause_for(1);
}

static void never_gets_ready(struct machine *m)
{
    others_start(m, 1, spin);
    spin(m, 0);
}

static void halts_for_ever(struct machine *m)
{
    (void)m;
    stand_still();
}

/* ---- Output ---- */

static void console_flood(struct machine *m)
{
    uint64_t from = HEAP, n = FLOOD;
    for (uint64_t at = HEAP; at < HEAP + FLOOD; at += 8)
        set64(at, random_next(m) | UINT64_C(0x8080808080808080));
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(COM1) : "memory");
    all_must_work(m);
}

/* Escape sequences, and lines that are not ended. */
static void console_escapes(struct machine *m)
{
    for (unsigned i = 0; i < 1200; i++) {
        say("\x1b]0;title\x07\x1b[2J\r\x1b[31m");
        if (i % 64 == 0)
            say("Kernel panic?\n");
    }
    all_must_work(m);
}

static void second_console_flood(struct machine *m)
{
    struct ring r;
    device_begin(SLOT_CONSOLE, UINT64_MAX & ~(F_PACKED | F_EVENT_IDX));
    ring_make(m, &r, SLOT_CONSOLE, 1);
    device_ok(SLOT_CONSOLE);
    for (unsigned i = 0; i < 40; i++) {
        ring_set(&r, 0, HEAP, 65536, 0, 0);
        ring_post(&r, 0);
        ring_kick(&r);
        (void)ring_take(&r);
        set32(BAR(SLOT_CONSOLE) + BAR_CONFIG + 8, i);
    }
    device_reset(SLOT_CONSOLE);
    all_must_work(m);
}

/* On the port where the session with the first process is. */
static void session_of_garbage(struct machine *m)
{
    for (unsigned i = 0; i < 20000; i++)
        out8(COM2, (uint8_t)random_next(m));
    for (;;)
        pause_for(1);
}

static void session_never_read(struct machine *m)
{
    static const uint8_t hello[] = {0xc5, 'c', 'a', 'i', 's', 's', 'o', 'n', 0x41, 0, 2, 0, 1, 0};
    for (unsigned i = 0; i < sizeof(hello); i++)
        out8(COM2, hello[i]);
    /* A text in pieces that never ends. */
    for (unsigned i = 0; i < 50; i++) {
        out8(COM2, 0x83);
        out8(COM2, 1);
        out8(COM2, 0);
        out8(COM2, 0x10);
        for (unsigned k = 0; k < 4096; k++)
            out8(COM2, (uint8_t)random_next(m));
    }
    for (;;)
        pause_for(1);
}

static void panic_reports(struct machine *m)
{
    for (unsigned i = 0; i < 5000; i++)
        out8(0x505, (uint8_t)i);
    all_must_work(m);
}

const struct attack attacks[] = {
    {"triple_fault", triple_fault},
    {"triple_fault_of_the_other", triple_fault_of_the_other},
    {"triple_faults_of_all", triple_faults_of_all},
    {"page_tables_lost", page_tables_lost},
    {"runs_in_a_device", runs_in_a_device},
    {"runs_behind_memory", runs_behind_memory},
    {"reset_by_acpi", reset_by_acpi},
    {"reset_by_keyboard", reset_by_keyboard},
    {"reset_by_pci", reset_by_pci},
    {"switches_off", switches_off},
    {"exit_while_busy", exit_while_busy},
    {"all_ends_at_once", all_ends_at_once},
    {"never_gets_ready", never_gets_ready},
    {"halts_for_ever", halts_for_ever},
    {"console_flood", console_flood},
    {"console_escapes", console_escapes},
    {"second_console_flood", second_console_flood},
    {"session_of_garbage", session_of_garbage},
    {"session_never_read", session_never_read},
    {"panic_reports", panic_reports},
    {NULL, NULL},
};
