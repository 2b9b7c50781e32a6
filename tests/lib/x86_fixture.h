/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A processor with 4 MiB of flat memory, for tests that run a few instructions. Make one in a mode, put bytes at
 * X86_FIXTURE_CODE, set registers through the public API, step, look.
 *
 *     struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
 *     x86_fixture_code(f, (const uint8_t[]){0x48, 0xd1, 0xe0}, 3);
 *     x86_cpu_set_gpr(f->cpu, 0, 5);
 *     assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
 *
 * Exceptions are not delivered: a step that raises one returns its vector, the event is in f->event, RIP is at the
 * instruction.
 *
 * Memory, identity mapped where paging is on: page tables from 0x1000, code at 0x8000, stack below 0x10000, data from
 * 0x10000 (DS and ES start there in real mode; all other segments and modes are flat), free up to X86_FIXTURE_BYTES.
 * One page behind it, at
 * X86_FIXTURE_MMIO, answers through callbacks; beyond it nothing is mapped.
 */
#ifndef CAISSON_TESTS_LIB_X86_FIXTURE_H
#define CAISSON_TESTS_LIB_X86_FIXTURE_H

#include "vmm/x86/cpu.h"

#define X86_FIXTURE_BYTES  0x400000u
#define X86_FIXTURE_CODE   0x8000u
#define X86_FIXTURE_STACK  0x10000u
#define X86_FIXTURE_DATA   0x10000u
#define X86_FIXTURE_MMIO   X86_FIXTURE_BYTES
#define X86_FIXTURE_IO_MAX 64u

enum x86_fixture_mode {
    X86_FIXTURE_REAL,
    X86_FIXTURE_PROT16, /* protected, 16-bit code and stack, no paging */
    X86_FIXTURE_PROT32, /* protected, 32-bit code and stack, no paging */
    X86_FIXTURE_PAE32,  /* the same with PAE paging */
    X86_FIXTURE_COMPAT, /* long mode, 32-bit code */
    X86_FIXTURE_LONG64
};

/* What a step came to, besides vectors 0 to 31. */
enum { X86_FIXTURE_OK = -1, X86_FIXTURE_EXIT = -2 };

struct x86_fixture_io {
    uint64_t where; /* port or gpa */
    uint64_t value;
    uint8_t size;
    bool write, mmio;
};

struct x86_fixture {
    struct x86_cpu *cpu;
    uint8_t *mem; /* X86_FIXTURE_BYTES, page aligned */
    struct x86_event event;
    enum x86_exit exit;                           /* of the last run */
    struct x86_fixture_io io[X86_FIXTURE_IO_MAX]; /* port and MMIO accesses in order, as far as there is room */
    unsigned io_count;
    uint32_t in_value; /* next value of a port or MMIO read; counts up by one with each */
    bool refuse;       /* callbacks answer X86_CB_EXIT */
    bool deliver;      /* exceptions are delivered; a step then ends behind the handler's first instruction */
    unsigned pauses;
    enum x86_fixture_mode mode;
};

/*
 * A fixture at privilege level 0 with all supported features, RIP at the code, everything else zero. Aborts when out
 * of memory.
 */
struct x86_fixture *x86_fixture_new(enum x86_fixture_mode mode);
/* The same as an Intel processor; the other is AMD's. */
struct x86_fixture *x86_fixture_new_intel(enum x86_fixture_mode mode);
void x86_fixture_free(struct x86_fixture *f);

/* Put code in place (at most 4 KiB) and RIP at its start. */
void x86_fixture_code(struct x86_fixture *f, const uint8_t *bytes, size_t n);
/* RIP back to the code. */
void x86_fixture_rewind(struct x86_fixture *f);

/* One instruction. A repeated string operation may need several: RIP stays until it is done. */
int x86_fixture_step(struct x86_fixture *f);
/* Steps until RIP has moved, an exception or exit came, or `max` steps were made. */
int x86_fixture_finish(struct x86_fixture *f, unsigned max);

uint64_t x86_fixture_rip(struct x86_fixture *f);
uint64_t x86_fixture_flags(struct x86_fixture *f);
void x86_fixture_set_flags(struct x86_fixture *f, uint64_t rflags);
/* Go to privilege level 3 (protected and long modes). */
void x86_fixture_set_user(struct x86_fixture *f);

/*
 * Page-table entry of an address below X86_FIXTURE_BYTES in PAE32, COMPAT and LONG64; after changing it,
 * x86_fixture_flush.
 */
uint64_t *x86_fixture_pte(struct x86_fixture *f, uint64_t lin);
/* Forget all translations. */
void x86_fixture_flush(struct x86_fixture *f);

#endif
