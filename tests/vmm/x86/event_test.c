/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

#define START(state, mode, ...) x86_tables_start(state, X86_FIXTURE_##mode, true, X86_BYTES(__VA_ARGS__))

/* n words of `size` bytes at the stack pointer. */
static void assert_stack(const struct x86_fixture *f, unsigned size, const uint64_t *want, unsigned n)
{
    uint64_t sp = x86_cpu_gpr(f->cpu, X86_RSP);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(x86_tables_peek(f, sp + i * size, size), want[i]);
}

#define STACK(f, size, ...)                                                                                            \
    assert_stack(f, size, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static int inject(struct x86_fixture *f, struct x86_event ev)
{
    assert_int_equal(x86_cpu_inject(f->cpu, &ev), 0);
    return x86_tables_run(f);
}

/* ---- Real mode ---- */

static void real_mode_pushes_three_words_and_closes_interrupts(void **state)
{
    struct x86_fixture *f = START(state, REAL, 0xcd, 0x21); /* int 21h */
    x86_tables_poke(f, 0x21 * 4, 4, 0x09001234);
    x86_fixture_set_flags(f, X86_FL_IF | X86_FL_AC | X86_FL_CF);
    f->mem[0x9000 + 0x1234] = 0xf4;
    x86_cpu_run(f->cpu, 100);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.rip, 0x1235);
    assert_int_equal(s.seg[X86_CS].sel, 0x900);
    assert_int_equal(s.seg[X86_CS].base, 0x9000);
    assert_int_equal(s.rflags, 2 | X86_FL_CF);
    STACK(f, 2, X86_FIXTURE_CODE + 2, 0, 2 | X86_FL_IF | X86_FL_CF);
}

static void real_mode_vector_beyond_the_limit_ends_in_shutdown(void **state)
{
    struct x86_fixture *f = START(state, REAL, 0xcd, 0x21);
    struct x86_state s = x86_tables_state(f);
    s.idtr.limit = 0x1f;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), -2);
    assert_int_equal(x86_tables_state(f).activity, X86_SHUTDOWN);
}

/* ---- Protected mode ---- */

static void same_level_pushes_no_stack_pointer(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_fixture_set_flags(f, X86_FL_IF);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), X86_FIXTURE_STACK - 16 - 12);
    STACK(f, 4, X86_FIXTURE_CODE + 2, SEL_CODE0, 2 | X86_FL_IF);
    assert_int_equal(x86_tables_state(f).rflags, 2);
}

static void trap_gate_leaves_interrupts_open(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 15, 0, 0);
    x86_fixture_set_flags(f, X86_FL_IF | X86_FL_NT);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_tables_state(f).rflags, 2 | X86_FL_IF);
}

static void inner_level_takes_the_stack_of_the_tss(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 14, 3, 0);
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), 0x40);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_STACK0 - 20);
    assert_int_equal(s.seg[X86_SS].sel, SEL_DATA0);
    assert_int_equal(s.seg[X86_CS].sel, SEL_CODE0);
    STACK(f, 4, X86_FIXTURE_CODE + 2, SEL_CODE3 | 3, 2, X86_TABLES_USER, SEL_DATA3 | 3);
}

static void level_one_handler_gets_its_own_stack(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40, 0xf4);
    x86_tables_gate(f, 0x40, SEL_CODE1, 0x8800, 14, 3, 0);
    f->mem[0x8800] = 0xf4; /* HLT at level 1: #GP(0) */
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), X86_GP);
    STACK(f, 4, 0, 0x8800, SEL_CODE1 | 1, 2 | X86_FL_RF, X86_TABLES_STACK1 - 20, SEL_DATA1 | 1);
}

static void sixteen_bit_gate_pushes_words(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 6, 0, 0);
    assert_int_equal(x86_tables_run(f), 0x40);
    STACK(f, 2, X86_FIXTURE_CODE + 2, SEL_CODE0, 2);
}

static void conforming_handler_stays_at_level_three(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CONFORMING0, 0x8800, 14, 3, 0);
    f->mem[0x8800] = 0xf4;
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), X86_GP);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 8, 4), SEL_CONFORMING0 | 3);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 16, 4), X86_TABLES_USER - 12);
}

/* What a broken gate raises for INT 40h at level 0 (ext 0) and for an external interrupt (ext 1). */
static void assert_gate_fault(struct x86_fixture *f, int vector, uint64_t error)
{
    unsigned size = f->mode == X86_FIXTURE_LONG64 ? 8 : 4;
    assert_int_equal(x86_tables_run(f), vector);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP), size), error);
    x86_fixture_rewind(f);
    assert_int_equal(inject(f, (struct x86_event){.kind = X86_EV_INTR, .vector = 0x40}), vector);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP), size), error | 1);
}

static void bad_gate_type_names_the_idt_entry(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, 0, 12, 0, 0);
    assert_gate_fault(f, X86_GP, 0x40 * 8 + 2);
}

static void task_gate_is_refused(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_TSS, 0, 5, 0, 0);
    assert_gate_fault(f, X86_GP, 0x40 * 8 + 2);
}

static void absent_gate_raises_np(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    f->mem[X86_TABLES_IDT + 0x40 * 8 + 5] &= 0x7f;
    assert_gate_fault(f, X86_NP, 0x40 * 8 + 2);
}

static void gate_beyond_the_limit_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    struct x86_state s = x86_tables_state(f);
    s.idtr.limit = 0x40 * 8 + 6;
    x86_tables_change(f, &s);
    assert_gate_fault(f, X86_GP, 0x40 * 8 + 2);
}

static void gate_to_data_names_the_selector(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_DATA0, 0, 14, 0, 0);
    assert_gate_fault(f, X86_GP, SEL_DATA0);
}

static void gate_to_null_raises_gp_zero(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, 0, 0, 14, 0, 0);
    assert_gate_fault(f, X86_GP, 0);
}

static void gate_to_absent_code_raises_np(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_ABSENT_CODE, 0, 14, 0, 0);
    assert_gate_fault(f, X86_NP, SEL_ABSENT_CODE);
}

static void gate_to_outer_code_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE3, 0, 14, 0, 0);
    assert_gate_fault(f, X86_GP, SEL_CODE3);
}

static void handler_outside_its_segment_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0x7ff, 0x409b));
    x86_tables_gate(f, 0x40, SEL_SPARE, 0x800, 14, 0, 0);
    assert_gate_fault(f, X86_GP, 0);
}

static void long_mode_handler_must_be_64_bit(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0_32, 0, 14, 0, 0);
    assert_gate_fault(f, X86_GP, SEL_CODE0_32);
}

static void software_int_obeys_the_gates_level(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), X86_GP);
    STACK(f, 8, 0x40 * 8 + 2, X86_FIXTURE_CODE, SEL_CODE3 | 3, 2 | X86_FL_RF, X86_TABLES_USER, SEL_DATA3 | 3);
}

static void int1_and_interrupts_ignore_the_gates_level(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xf1);
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), X86_DB);
    STACK(f, 8, X86_FIXTURE_CODE + 1, SEL_CODE3 | 3, 2);
}

/* ---- Stacks from the TSS that are not good ---- */

/* INT 40h from level 3 with the SS0 given. */
static void assert_bad_ss0(struct x86_fixture *f, uint16_t ss0, int vector, uint64_t error)
{
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 14, 3, 0);
    /* The fault itself must find a stack: its handler conforms and stays at level 3. */
    x86_tables_gate(f, (unsigned)vector, SEL_CONFORMING0, 0x8800, 14, 3, 0);
    f->mem[0x8800] = 0xeb; /* jmp . */
    f->mem[0x8801] = 0xfe;
    x86_tables_poke(f, X86_TABLES_TSS + 8, 2, ss0);
    x86_tables_enter_user(f);
    x86_cpu_run(f->cpu, 20);
    assert_int_equal(x86_fixture_rip(f), 0x8800);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP), 4), error);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 4, 4), X86_FIXTURE_CODE);
}

static void null_inner_stack_raises_ts(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), 0, X86_TS, 0);
}

static void inner_stack_of_wrong_level_raises_ts(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), SEL_DATA1, X86_TS, SEL_DATA1);
}

static void inner_stack_read_only_raises_ts(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), SEL_READ_ONLY, X86_TS, SEL_READ_ONLY);
}

static void inner_stack_outside_the_table_raises_ts(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), SEL_LIMIT, X86_TS, SEL_LIMIT);
}

static void inner_stack_absent_raises_ss(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), SEL_ABSENT_DATA, X86_SS_FAULT, SEL_ABSENT_DATA);
}

static void inner_stack_without_room_raises_ss(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0xff, 0x4093));
    assert_bad_ss0(f, SEL_SPARE, X86_SS_FAULT, SEL_SPARE);
}

static void short_tss_raises_ts_with_its_own_selector(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcd, 0x40);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_TR].limit = 8;
    x86_tables_change(f, &s);
    assert_bad_ss0(f, SEL_DATA0, X86_TS, SEL_TSS);
}

static void inner_stack_of_wrong_rpl_raises_ts(void **state)
{
    assert_bad_ss0(START(state, PROT32, 0xcd, 0x40), SEL_DATA0 | 1, X86_TS, SEL_DATA0);
}

static void sixteen_bit_stack_keeps_the_upper_half(void **state)
{
    struct x86_fixture *f = START(state, PROT16, 0xcd, 0x40);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x1234fff0);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), 0x1234fff0 - 12);
    assert_int_equal(x86_tables_peek(f, 0xfff0 - 12, 4), X86_FIXTURE_CODE + 2);
}

static void long_frame_of_compat_code_ignores_the_base_of_ss(void **state)
{
    struct x86_fixture *f = START(state, COMPAT, 0xcd, 0x40);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_SS].base = 0x40000;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), 0x40);
    STACK(f, 8, X86_FIXTURE_CODE + 2);
}

/* ---- Long mode ---- */

static void long_mode_always_pushes_and_aligns_the_stack(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0xfff7);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), 0xfff0 - 40);
    STACK(f, 8, X86_FIXTURE_CODE + 2, SEL_CODE0, 2, 0xfff7, SEL_DATA0);
    assert_int_equal(x86_tables_state(f).seg[X86_SS].sel, SEL_DATA0);
}

static void long_mode_inner_level_gets_a_null_ss(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 14, 3, 0);
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), 0x40);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.seg[X86_SS].sel, 0);
    assert_true(s.seg[X86_SS].attr & X86_SEG_UNUSABLE);
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_STACK0 - 40);
    STACK(f, 8, X86_FIXTURE_CODE + 2, SEL_CODE3 | 3, 2, X86_TABLES_USER, SEL_DATA3 | 3);
}

static void interrupt_stack_table_is_used_at_any_level(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 14, 0, 1);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), X86_TABLES_IST1 - 40);
    assert_int_equal(x86_tables_state(f).seg[X86_SS].sel, SEL_DATA0);
}

static void compat_code_is_interrupted_with_a_long_frame(void **state)
{
    struct x86_fixture *f = START(state, COMPAT, 0xcd, 0x40);
    assert_int_equal(x86_tables_run(f), 0x40);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), X86_FIXTURE_STACK - 16 - 40);
    STACK(f, 8, X86_FIXTURE_CODE + 2, SEL_CODE0, 2, X86_FIXTURE_STACK - 16, SEL_DATA0);
    assert_true(x86_tables_state(f).seg[X86_CS].attr & X86_SEG_L);
}

static void noncanonical_inner_stack_raises_ss(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, X86_TABLES_HANDLERS + 0x400, 14, 3, 0);
    x86_tables_gate(f, X86_SS_FAULT, SEL_CODE0, X86_TABLES_HANDLERS + 16 * X86_SS_FAULT, 14, 0, 1);
    x86_tables_poke(f, X86_TABLES_TSS + 4, 8, UINT64_C(0x800000000000) + 64);
    x86_tables_enter_user(f);
    assert_int_equal(x86_tables_run(f), X86_SS_FAULT);
    STACK(f, 8, 0, X86_FIXTURE_CODE);
}

static void noncanonical_handler_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x40);
    x86_tables_gate(f, 0x40, SEL_CODE0, UINT64_C(0x800000000000), 14, 0, 0);
    assert_gate_fault(f, X86_GP, 0);
}

/* ---- Flags pushed ---- */

static void faults_push_rf_and_traps_do_not(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x0b); /* ud2 */
    assert_int_equal(x86_tables_run(f), X86_UD);
    STACK(f, 8, X86_FIXTURE_CODE, SEL_CODE0, 2 | X86_FL_RF);
}

static void int3_pushes_the_next_rip_without_rf(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcc);
    x86_fixture_set_flags(f, X86_FL_RF);
    assert_int_equal(x86_tables_run(f), X86_BP);
    STACK(f, 8, X86_FIXTURE_CODE + 1, SEL_CODE0, 2);
}

static void interrupts_push_rf_as_it_is(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x90);
    x86_fixture_set_flags(f, X86_FL_IF | X86_FL_RF);
    assert_int_equal(inject(f, (struct x86_event){.kind = X86_EV_INTR, .vector = 0x55}), 0x55);
    STACK(f, 8, X86_FIXTURE_CODE, SEL_CODE0, 2 | X86_FL_IF | X86_FL_RF);
    assert_int_equal(x86_tables_state(f).rflags, 2);
}

static void page_fault_sets_cr2_and_pushes_its_code(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8a, 0x00); /* mov al, [rax] */
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x700000);
    assert_int_equal(x86_tables_run(f), X86_PF);
    assert_int_equal(x86_tables_state(f).cr2, 0x700000);
    STACK(f, 8, 0, X86_FIXTURE_CODE, SEL_CODE0, 2 | X86_FL_RF);
}

static void debug_exception_clears_gd_and_renews_b_bits(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x21, 0xc0); /* mov rax, dr0 */
    struct x86_state s = x86_tables_state(f);
    s.dr6 = 0xffff4ff3;
    s.dr7 = 0x2400;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), X86_DB);
    s = x86_tables_state(f);
    assert_int_equal(s.dr6, 0xffff6ff0);
    assert_int_equal(s.dr7, 0x400);
    STACK(f, 8, X86_FIXTURE_CODE, SEL_CODE0, 2);
}

/* ---- Injected events ---- */

static void injected_exception_pushes_its_error(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x90);
    struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = X86_PF, .has_error = 1, .error = 5, .cr2 = 0x123456};
    assert_int_equal(inject(f, ev), X86_PF);
    STACK(f, 8, 5, X86_FIXTURE_CODE);
    assert_int_equal(x86_tables_state(f).cr2, 0x123456);
}

static void injected_software_interrupt_skips_its_instruction(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xcd, 0x41);
    struct x86_event ev = {.kind = X86_EV_SOFT_INT, .vector = 0x41, .insn_len = 2};
    assert_int_equal(inject(f, ev), 0x41);
    STACK(f, 8, X86_FIXTURE_CODE + 2);
}

static void nmi_blocks_nmis_until_iret(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x90, 0x90, 0xf4);
    assert_int_equal(inject(f, (struct x86_event){.kind = X86_EV_NMI, .vector = 2}), 2);
    assert_int_equal(x86_tables_state(f).nmi_blocked, 1);
    struct x86_state s = x86_tables_state(f);
    f->mem[0x8800] = 0x48; /* iretq */
    f->mem[0x8801] = 0xcf;
    s.rip = 0x8800;
    s.activity = X86_ACTIVE;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), -1);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 3);
    assert_int_equal(x86_tables_state(f).nmi_blocked, 0);
}

/* ---- Faults while delivering ---- */

static void contributory_twice_is_a_double_fault(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8); /* ltr ax: #GP(0) */
    f->mem[X86_TABLES_IDT + X86_GP * 16 + 5] &= 0x7f;               /* and #NP for its gate */
    assert_int_equal(x86_tables_run(f), X86_DF);
    STACK(f, 8, 0, X86_FIXTURE_CODE);
}

static void page_fault_then_contributory_is_a_double_fault(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8a, 0x00);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x700000);
    f->mem[X86_TABLES_IDT + X86_PF * 16 + 5] &= 0x7f;
    assert_int_equal(x86_tables_run(f), X86_DF);
}

static void contributory_then_page_fault_is_serial(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8);
    struct x86_state s = x86_tables_state(f);
    s.gpr[X86_RSP] = 0x700000;
    x86_tables_change(f, &s);
    x86_tables_gate(f, X86_PF, SEL_CODE0, X86_TABLES_HANDLERS + 16 * X86_PF, 14, 0, 1);
    assert_int_equal(x86_tables_run(f), X86_PF);
    assert_int_equal(x86_tables_state(f).cr2, 0x700000 - 48);
    STACK(f, 8, 2, X86_FIXTURE_CODE);
}

static void page_fault_twice_is_a_double_fault_with_the_second_cr2(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8a, 0x00);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x600000);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x700000);
    x86_tables_gate(f, X86_DF, SEL_CODE0, X86_TABLES_HANDLERS + 16 * X86_DF, 14, 0, 1);
    assert_int_equal(x86_tables_run(f), X86_DF);
    assert_int_equal(x86_tables_state(f).cr2, 0x700000 - 48);
}

static void benign_then_contributory_is_serial(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x0b);
    f->mem[X86_TABLES_IDT + X86_UD * 16 + 5] &= 0x7f;
    assert_int_equal(x86_tables_run(f), X86_NP);
    STACK(f, 8, X86_UD * 8 + 3, X86_FIXTURE_CODE);
}

static void fault_in_a_double_fault_shuts_down(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8);
    f->mem[X86_TABLES_IDT + X86_GP * 16 + 5] &= 0x7f;
    f->mem[X86_TABLES_IDT + X86_DF * 16 + 5] &= 0x7f;
    assert_int_equal(x86_tables_run(f), -2);
    assert_int_equal(x86_tables_state(f).activity, X86_SHUTDOWN);
    assert_int_equal(x86_cpu_run(f->cpu, 10), X86_EXIT_SHUTDOWN);
}

static void alignment_fault_on_delivery_does_not_hang(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xa1, 0x01, 0x00, 0x01, 0x00); /* mov eax, [0x10001] */
    struct x86_state s;
    x86_tables_gate(f, X86_AC, SEL_CONFORMING0, 0x8800, 14, 3, 0);
    x86_tables_enter_user(f);
    s = x86_tables_state(f);
    s.cr0 |= X86_CR0_AM;
    s.rflags |= X86_FL_AC;
    s.gpr[X86_RSP] = X86_TABLES_USER - 1;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), -2);
}

static void delivery_stopped_by_a_callback_is_resumed(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x90);
    x86_cpu_set_gpr(f->cpu, X86_RSP, X86_FIXTURE_MMIO + 0x100);
    f->refuse = true;
    x86_cpu_inject(f->cpu, &(struct x86_event){.kind = X86_EV_INTR, .vector = 0x55});
    assert_int_equal(x86_cpu_run(f->cpu, 10), X86_EXIT_CALLBACK);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.pending.kind, X86_EV_INTR);
    assert_int_equal(s.rip, X86_FIXTURE_CODE);
    assert_int_equal(s.gpr[X86_RSP], X86_FIXTURE_MMIO + 0x100);
    f->refuse = false;
    assert_int_equal(x86_tables_run(f), 0x55);
    assert_true(f->io_count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(real_mode_pushes_three_words_and_closes_interrupts),
        T(real_mode_vector_beyond_the_limit_ends_in_shutdown),
        T(same_level_pushes_no_stack_pointer),
        T(trap_gate_leaves_interrupts_open),
        T(inner_level_takes_the_stack_of_the_tss),
        T(level_one_handler_gets_its_own_stack),
        T(sixteen_bit_gate_pushes_words),
        T(conforming_handler_stays_at_level_three),
        T(bad_gate_type_names_the_idt_entry),
        T(task_gate_is_refused),
        T(absent_gate_raises_np),
        T(gate_beyond_the_limit_raises_gp),
        T(gate_to_data_names_the_selector),
        T(gate_to_null_raises_gp_zero),
        T(gate_to_absent_code_raises_np),
        T(gate_to_outer_code_raises_gp),
        T(handler_outside_its_segment_raises_gp),
        T(long_mode_handler_must_be_64_bit),
        T(software_int_obeys_the_gates_level),
        T(int1_and_interrupts_ignore_the_gates_level),
        T(null_inner_stack_raises_ts),
        T(inner_stack_of_wrong_level_raises_ts),
        T(inner_stack_read_only_raises_ts),
        T(inner_stack_outside_the_table_raises_ts),
        T(inner_stack_absent_raises_ss),
        T(inner_stack_without_room_raises_ss),
        T(short_tss_raises_ts_with_its_own_selector),
        T(long_mode_always_pushes_and_aligns_the_stack),
        T(long_mode_inner_level_gets_a_null_ss),
        T(interrupt_stack_table_is_used_at_any_level),
        T(compat_code_is_interrupted_with_a_long_frame),
        T(noncanonical_inner_stack_raises_ss),
        T(noncanonical_handler_raises_gp),
        T(faults_push_rf_and_traps_do_not),
        T(int3_pushes_the_next_rip_without_rf),
        T(interrupts_push_rf_as_it_is),
        T(page_fault_sets_cr2_and_pushes_its_code),
        T(debug_exception_clears_gd_and_renews_b_bits),
        T(injected_exception_pushes_its_error),
        T(injected_software_interrupt_skips_its_instruction),
        T(nmi_blocks_nmis_until_iret),
        T(contributory_twice_is_a_double_fault),
        T(page_fault_then_contributory_is_a_double_fault),
        T(contributory_then_page_fault_is_serial),
        T(page_fault_twice_is_a_double_fault_with_the_second_cr2),
        T(benign_then_contributory_is_serial),
        T(fault_in_a_double_fault_shuts_down),
        T(alignment_fault_on_delivery_does_not_hang),
        T(delivery_stopped_by_a_callback_is_resumed),
        T(inner_stack_of_wrong_rpl_raises_ts),
        T(sixteen_bit_stack_keeps_the_upper_half),
        T(long_frame_of_compat_code_ignores_the_base_of_ss),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
