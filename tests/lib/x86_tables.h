/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Descriptor tables, a TSS and exception handlers for a fixture in protected or long mode, so that tests can let
 * events be delivered and look at what arrives.
 *
 * Every handler is one HLT at X86_TABLES_HANDLERS + 16 * vector: x86_tables_run() runs until there and returns the
 * vector.
 */
#ifndef CAISSON_TESTS_LIB_X86_TABLES_H
#define CAISSON_TESTS_LIB_X86_TABLES_H

#include "tests/lib/x86_fixture.h"

#define X86_TABLES_HANDLERS 0x9000u
#define X86_TABLES_GDT      0x20000u
#define X86_TABLES_IDT      0x21000u
#define X86_TABLES_TSS      0x22000u
#define X86_TABLES_LDT      0x23000u
#define X86_TABLES_STACK0   0x30000u /* of level 0, from the TSS */
#define X86_TABLES_STACK1   0x31000u
#define X86_TABLES_IST1     0x32000u
#define X86_TABLES_USER     0x33000u /* a stack for level 3 */

/* Selectors, RPL 0. */
enum {
    SEL_CODE0 = 0x08, /* of the fixture's mode: 16, 32 or 64 bits */
    SEL_DATA0 = 0x10,
    SEL_TSS = 0x18, /* 16 bytes in long mode */
    SEL_CODE3_32 = 0x28,
    SEL_DATA3 = 0x30,
    SEL_CODE3_64 = 0x38,
    SEL_CODE0_32 = 0x40,
    SEL_CODE0_16 = 0x48,
    SEL_CONFORMING0 = 0x50, /* like SEL_CODE0 */
    SEL_GATE = 0x58,        /* for tests; 16 bytes */
    SEL_ABSENT_DATA = 0x68,
    SEL_READ_ONLY = 0x70,
    SEL_LDT = 0x78, /* 16 bytes */
    SEL_CODE1 = 0x88,
    SEL_DATA1 = 0x90,
    SEL_EXECUTE_ONLY = 0x98,
    SEL_SPARE = 0xa0, /* for tests; 16 bytes */
    SEL_DATA0_16 = 0xb0,
    SEL_CODE3 = 0xb8, /* of the fixture's mode */
    SEL_ABSENT_CODE = 0xc0,
    SEL_LIMIT = 0xc8 /* the first one outside of the table */
};

/* Put all of it into memory and the registers. The fixture delivers exceptions from now on. */
void x86_tables_install(struct x86_fixture *f);

/* A code or data descriptor with 20-bit limit as it stands in memory. attr: X86_SEG_* without UNUSABLE. */
uint64_t x86_tables_desc(uint32_t base, uint32_t limit, uint32_t attr);
/* Overwrite the descriptor of a selector; high is used in long mode for system descriptors (0 otherwise). */
void x86_tables_put(struct x86_fixture *f, uint16_t sel, uint64_t desc);
/* Overwrite an IDT entry: type 14 interrupt, 15 trap (or others to try). */
void x86_tables_gate(struct x86_fixture *f, unsigned vector, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl,
                     unsigned ist);
/* A call gate at SEL_GATE. */
void x86_tables_call_gate(struct x86_fixture *f, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl,
                          unsigned params);

/* Go to level 3 in the mode's code segment, with the user stack. */
void x86_tables_enter_user(struct x86_fixture *f);

/*
 * Run until a handler halts. Returns its vector, or -1 when a HLT elsewhere or the limit of 1000 instructions came
 * first, or -2 after a triple fault. The state is that at the handler's HLT, RIP behind it.
 */
int x86_tables_run(struct x86_fixture *f);

/*
 * The usual beginning of a test: a fixture with tables (none in real mode), delivering exceptions, code in place.
 * *state gets it too, for x86_tables_teardown.
 */
struct x86_fixture *x86_tables_start(void **state, enum x86_fixture_mode mode, bool amd, const uint8_t *code, size_t n);
int x86_tables_teardown(void **state);
#define X86_BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

struct x86_state x86_tables_state(const struct x86_fixture *f);
/* Aborts when the state is refused. */
void x86_tables_change(struct x86_fixture *f, const struct x86_state *s);

/* The word at the stack pointer: in a handler of an exception that has one, the error code. */
uint64_t x86_tables_error(const struct x86_fixture *f);

/* Words of `size` bytes in memory. */
uint64_t x86_tables_peek(const struct x86_fixture *f, uint64_t at, unsigned size);
void x86_tables_poke(struct x86_fixture *f, uint64_t at, unsigned size, uint64_t v);

#endif
