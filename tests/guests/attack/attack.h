/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What attack guests have in common: bare-metal programs without anything below them, which do to devices and the
 * hypervisor what no driver does. One program holds the attacks of one kind, as a table of cases; the last word of the
 * kernel command line says which one runs:
 *
 *     ready        on the first serial port, when the attack begins
 *     end          when it has been survived; then all processors stand still, and the monitor is looked at and ended
 *     lost: ...    if the guest itself found that a device did not do as it should; ends by the debug exit, code 99
 *
 * Attacks that end the machine by themselves never say "end". A case calls `must` for what it expects of a device,
 * above all that it works again after a reset.
 *
 * There are no globals: a struct machine lies at a fixed place, in memory that begins as zeroes. Random numbers come
 * from a generator with a fixed seed, so each run does the same, as far as one processor is concerned.
 *
 *     0x01000000   this program        0x02000000   struct machine        0x02100000   memory_take() hands this out
 */
#ifndef CAISSON_TESTS_GUESTS_ATTACK_ATTACK_H
#define CAISSON_TESTS_GUESTS_ATTACK_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE            UINT64_C(4096)
#define RAM_END         UINT64_C(0x4000000) /* the runner gives 64 MiB */
#define HEAP            UINT64_C(0x2100000)
#define HEAP_END        UINT64_C(0x3c00000)
#define HOLE            UINT64_C(0x90000000) /* nothing is there */
#define ECAM            UINT64_C(0xe0000000)
#define IOAPIC          UINT64_C(0xfec00000)
#define LAPIC           UINT64_C(0xfee00000)
#define COM1            0x3f8u
#define COM2            0x2f8u
#define EXIT_PORT       0xf4u
#define CPUS_MAX        16u
#define STUB_BYTES      16u
#define SELECTOR_TASK   0x28u
#define TRAMPOLINE_PAGE 0x10u /* of a SIPI: start.S has the code there */

/* ---- The machine ---- */

struct machine;

struct cpu {
    uint64_t resume, stack; /* of `attempt`; start.S knows where they are */
};

struct machine {
    const char *command_line; /* written by start.S */
    uint64_t heap;
    uint64_t random;
    uint32_t keep_eoi;                                /* interrupts are not completed */
    void (*hook)(struct machine *m, unsigned vector); /* called for each interrupt, if there is one */
    uint32_t others;                                  /* processors that have come up */
    void (*work)(struct machine *m, unsigned cpu);    /* of the others */
    uint32_t stop;                                    /* they are to stop */
    uint32_t stopped;
    struct cpu cpu[CPUS_MAX];
    uint32_t interrupts[256];
    struct {
        uint16_t limit;
        uint64_t base __attribute__((packed));
    } idt_pointer;
    uint64_t idt[512];
    uint8_t task[104];
};

struct attack {
    const char *name;
    void (*run)(struct machine *m);
};

/* Of each program: its cases, the last one without a name. */
extern const struct attack attacks[];

/* ---- Words and ends ---- */

void say(const char *text);
void say_number(uint64_t value);
/* The attack begins. */
void ready(void);
_Noreturn void leave(uint8_t code);
_Noreturn void lost(const char *what, unsigned line);
_Noreturn void stand_still(void);
#define must(holds, what)                                                                                              \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            lost(what, __LINE__);                                                                                      \
    } while (0)

/* ---- Memory, numbers, time ---- */

/* Zeroed, aligned to a page; there is no way back. */
void *memory_take(struct machine *m, uint64_t bytes);
uint64_t random_next(struct machine *m);
/* Spin for so many turns of a loop. */
void pause_for(uint64_t turns);
uint64_t now_tsc(void);
bool text_is(const char *a, const char *b);

static inline uint64_t address_of(const volatile void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static inline void *pointer_to(uint64_t gpa)
{
    return (void *)(uintptr_t)gpa;
}

/* ---- Accesses ---- */

#define ACCESSORS(bits)                                                                                                \
    static inline uint##bits##_t get##bits(uint64_t gpa)                                                               \
    {                                                                                                                  \
        return *(volatile uint##bits##_t *)(uintptr_t)gpa;                                                             \
    }                                                                                                                  \
    static inline void set##bits(uint64_t gpa, uint##bits##_t value)                                                   \
    {                                                                                                                  \
        *(volatile uint##bits##_t *)(uintptr_t)gpa = value;                                                            \
    }
ACCESSORS(8)
ACCESSORS(16)
ACCESSORS(32)
ACCESSORS(64)

static inline void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline uint32_t load32(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* Call it; an exception inside ends it. 0, or its vector + 1. cpu: the processor's own. Defined in start.S. */
unsigned attempt(struct cpu *cpu, void (*run)(void *ctx), void *ctx);

/* False: it was refused with an exception. */
bool msr_write(struct machine *m, unsigned cpu, uint32_t msr, uint64_t value);
bool msr_read(struct machine *m, unsigned cpu, uint32_t msr, uint64_t *value);

/* ---- Interrupts and processors ---- */

void lapic_on(void);
void lapic_write(uint32_t reg, uint32_t value);
uint32_t lapic_read(uint32_t reg);
/* Interrupt command register: destination (8 bits), lower half. */
void ipi(uint8_t to, uint32_t command);
void ioapic_write(uint32_t reg, uint32_t value);
uint32_t ioapic_read(uint32_t reg);
/* Start processor 1 to n, which do `work` and then stand still. Returns when they have come up. */
void others_start(struct machine *m, unsigned n, void (*work)(struct machine *m, unsigned cpu));
/* Tell them to stop, and wait until they have. */
void others_stop(struct machine *m, unsigned n);
static inline bool is_stopping(struct machine *m)
{
    return load32(&m->stop) != 0;
}

#endif
