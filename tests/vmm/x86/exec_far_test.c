/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

#define START(state, mode, ...) x86_tables_start(state, X86_FIXTURE_##mode, true, X86_BYTES(__VA_ARGS__))

static void expect_fault(struct x86_fixture *f, int vector, uint64_t error)
{
    assert_int_equal(x86_tables_run(f), vector);
    assert_int_equal(x86_tables_error(f), error);
}

/* The code ran to a HLT that is no handler. */
static struct x86_state expect_done(struct x86_fixture *f)
{
    assert_int_equal(x86_tables_run(f), -1);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    return x86_tables_state(f);
}

/* Where transfers of these tests go: a HLT there. */
#define THERE 0x8800u

static void halt_there(struct x86_fixture *f)
{
    f->mem[THERE] = 0xf4;
}

/* An IRET frame, or that of a far return (two words), on the stack. */
static void push_frame(struct x86_fixture *f, unsigned size, const uint64_t *v, unsigned n)
{
    uint64_t sp = x86_cpu_gpr(f->cpu, X86_RSP) - n * size;
    for (unsigned i = 0; i < n; i++)
        x86_tables_poke(f, sp + i * size, size, v[i]);
    x86_cpu_set_gpr(f->cpu, X86_RSP, sp);
}

#define FRAME(f, size, ...)                                                                                            \
    push_frame(f, size, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

/* User code cannot halt: the #GP(0) of its HLT tells where it came to. */
static struct x86_state expect_user_at(struct x86_fixture *f, uint64_t rip)
{
    unsigned size = f->mode == X86_FIXTURE_LONG64 || f->mode == X86_FIXTURE_COMPAT ? 8 : 4;
    expect_fault(f, X86_GP, 0);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + size, size), rip);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 2 * size, size) & 3, 3);
    return x86_tables_state(f);
}

/* The interrupted user's RSP, as the fault of expect_user_at pushed it. */
static uint64_t user_rsp(struct x86_fixture *f)
{
    unsigned size = f->mode == X86_FIXTURE_LONG64 || f->mode == X86_FIXTURE_COMPAT ? 8 : 4;
    return x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 4 * size, size);
}

/* ---- JMP ---- */

static void real_jump_sets_base_and_keeps_the_limit(void **state)
{
    struct x86_fixture *f = START(state, REAL, 0xea, 0x00, 0x08, 0x00, 0x08); /* jmp 0800:0800 */
    halt_there(f);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, 0x801);
    assert_int_equal(s.seg[X86_CS].base, 0x8000);
    assert_int_equal(s.seg[X86_CS].limit, 0xffff);
}

static void jump_to_the_null_selector_raises_gp_zero(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0x88, 0, 0, 3, 0), X86_GP, 0);
}

static void jump_to_data_raises_gp(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_DATA0, 0), X86_GP, SEL_DATA0);
}

static void jump_to_absent_code_raises_np(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_ABSENT_CODE, 0), X86_NP, SEL_ABSENT_CODE);
}

static void jump_outward_raises_gp(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_CODE3 | 3, 0), X86_GP, SEL_CODE3);
}

static void jump_with_a_weak_rpl_raises_gp(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_CODE0 | 1, 0), X86_GP, SEL_CODE0);
}

static void jump_beyond_the_limit_raises_gp_zero(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_SPARE, 0);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0x87ff, 0x409b));
    expect_fault(f, X86_GP, 0);
}

static void jump_to_a_tss_is_refused(void **state)
{
    expect_fault(START(state, PROT32, 0xea, 0, 0, 0, 0, SEL_TSS, 0), X86_GP, SEL_TSS);
}

static void user_jumps_to_conforming_code_and_stays_user(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xea, 0, 0x88, 0, 0, SEL_CONFORMING0, 0);
    halt_there(f);
    x86_tables_enter_user(f);
    (void)expect_user_at(f, THERE);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 8, 4), SEL_CONFORMING0 | 3);
}

static void jump_leaves_64_bit_mode_for_compatibility_mode(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x28); /* jmp far [rax] */
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, THERE | (uint64_t)SEL_CODE0_32 << 32);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    halt_there(f);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, THERE + 1);
    assert_int_equal(s.seg[X86_CS].sel, SEL_CODE0_32);
}

static void l_and_d_together_raise_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x28);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0xfffff, 0xe09b));
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, THERE | (uint64_t)SEL_SPARE << 32);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    expect_fault(f, X86_GP, SEL_SPARE);
}

static void jump_through_a_gate_keeps_the_level(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xea, 0xff, 0xff, 0xff, 0xff, SEL_GATE, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 0, 0);
    halt_there(f);
    assert_int_equal(expect_done(f).rip, THERE + 1);
}

static void user_jump_through_a_gate_inward_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xea, 0, 0, 0, 0, SEL_GATE, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 3, 0);
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, SEL_CODE0);
}

/* ---- CALL ---- */

static void far_call_pushes_cs_and_the_next_rip(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x9a, 0, 0x88, 0, 0, SEL_CODE0_32, 0);
    halt_there(f);
    struct x86_state s = expect_done(f);
    assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP], 4), X86_FIXTURE_CODE + 7);
    assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP] + 4, 4), SEL_CODE0);
    assert_int_equal(s.seg[X86_CS].sel, SEL_CODE0_32);
}

static void gate_call_copies_parameters_to_the_inner_stack(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x9a, 0, 0, 0, 0, SEL_GATE | 3, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 3, 2);
    halt_there(f);
    x86_tables_enter_user(f);
    FRAME(f, 4, 0x11, 0x22);
    struct x86_state s = expect_done(f);
    static const uint64_t want[] = {X86_FIXTURE_CODE + 7, SEL_CODE3 | 3, 0x11, 0x22,
                                    X86_TABLES_USER - 8,  SEL_DATA3 | 3};
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_STACK0 - 24);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP] + 4 * i, 4), want[i]);
    assert_int_equal(s.seg[X86_CS].sel, SEL_CODE0);
    assert_int_equal(s.seg[X86_SS].sel, SEL_DATA0);
}

static void gate_call_obeys_the_gates_level(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x9a, 0, 0, 0, 0, SEL_GATE, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 2, 0);
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, SEL_GATE);
}

static void gate_call_obeys_the_selectors_rpl(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x9a, 0, 0, 0, 0, SEL_GATE | 3, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 2, 0);
    expect_fault(f, X86_GP, SEL_GATE);
}

static void absent_gate_raises_np(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x9a, 0, 0, 0, 0, SEL_GATE, 0);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 0, 0);
    f->mem[X86_TABLES_GDT + SEL_GATE + 5] &= 0x7f;
    expect_fault(f, X86_NP, SEL_GATE);
}

static void long_gate_call_loads_rsp_and_null_ss(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x18); /* call far [rax] */
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, (uint64_t)(SEL_GATE | 3) << 32);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 12, 3, 0);
    halt_there(f);
    x86_tables_enter_user(f);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    struct x86_state s = expect_done(f);
    static const uint64_t want[] = {X86_FIXTURE_CODE + 2, SEL_CODE3 | 3, X86_TABLES_USER, SEL_DATA3 | 3};
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_STACK0 - 32);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP] + 8 * i, 8), want[i]);
    assert_int_equal(s.seg[X86_SS].sel, 0);
}

static void long_mode_has_no_286_gates(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x18);
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, (uint64_t)SEL_GATE << 32);
    x86_tables_call_gate(f, SEL_CODE0, THERE, 4, 0, 0);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    expect_fault(f, X86_GP, SEL_GATE);
}

static void long_gate_must_lead_to_64_bit_code(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x18);
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, (uint64_t)SEL_GATE << 32);
    x86_tables_call_gate(f, SEL_CODE0_32, THERE, 12, 0, 0);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    expect_fault(f, X86_GP, SEL_CODE0_32);
}

static void amd_wide_call_reads_four_bytes_and_pushes_eight(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xff, 0x18); /* call far qword [rax] */
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, THERE | (uint64_t)SEL_CODE0 << 32);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    halt_there(f);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.gpr[X86_RSP], X86_FIXTURE_STACK - 16 - 16);
    assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP], 8), X86_FIXTURE_CODE + 3);
    assert_int_equal(x86_tables_peek(f, s.gpr[X86_RSP] + 8, 8), SEL_CODE0);
}

/* ---- RET ---- */

static void far_return_outward_releases_both_stacks(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xca, 8, 0); /* retf 8 */
    halt_there(f);
    FRAME(f, 4, THERE, SEL_CODE3 | 3, 0, 0, X86_TABLES_USER, SEL_DATA3 | 3);
    struct x86_state s = expect_user_at(f, THERE);
    assert_int_equal(user_rsp(f), X86_TABLES_USER + 8);
    assert_int_equal(s.seg[X86_DS].sel, 0); /* kernel data did not survive */
    assert_true(s.seg[X86_DS].attr & X86_SEG_UNUSABLE);
}

static void return_inward_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcb);
    x86_tables_enter_user(f);
    FRAME(f, 4, THERE, SEL_CODE0);
    expect_fault(f, X86_GP, SEL_CODE0);
}

static void return_outward_to_a_wrong_stack_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcb);
    FRAME(f, 4, THERE, SEL_CODE3 | 3, X86_TABLES_USER, SEL_DATA0 | 3);
    expect_fault(f, X86_GP, SEL_DATA0);
}

static void return_outward_to_the_null_stack_raises_gp_zero(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcb);
    FRAME(f, 8, THERE, SEL_CODE3_64 | 3, X86_TABLES_USER, 3);
    expect_fault(f, X86_GP, 0);
}

static void long_return_to_the_same_level_keeps_the_stack(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcb);
    halt_there(f);
    FRAME(f, 8, THERE, SEL_CODE0);
    assert_int_equal(expect_done(f).gpr[X86_RSP], X86_FIXTURE_STACK - 16);
}

/* ---- IRET ---- */

static void real_iret_takes_the_low_flags(void **state)
{
    struct x86_fixture *f = START(state, REAL, 0xcf);
    halt_there(f);
    FRAME(f, 2, 0x800, 0x800, 0x7fd7);
    x86_fixture_set_flags(f, X86_FL_AC | X86_FL_ID);
    f->mem[THERE] = 0x90;
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    s = x86_tables_state(f);
    assert_int_equal(s.rip, 0x800);
    assert_int_equal(s.rflags, 0x7fd7 | X86_FL_AC | X86_FL_ID);
}

static void iret_in_long_mode_always_pops_the_stack(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    halt_there(f);
    FRAME(f, 8, THERE, SEL_CODE0, 2, 0x12340, SEL_DATA0);
    assert_int_equal(expect_done(f).gpr[X86_RSP], 0x12340);
}

static void iret_to_a_null_stack_within_the_kernel_works(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    halt_there(f);
    FRAME(f, 8, THERE, SEL_CODE0, 2, 0x12340, 0);
    assert_true(expect_done(f).seg[X86_SS].attr & X86_SEG_UNUSABLE);
}

static void iret_to_user_drops_kernel_segments_and_keeps_user_bases(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_FS] = (struct x86_seg){.base = UINT64_C(0x7f0012345000), .attr = X86_SEG_UNUSABLE};
    x86_tables_change(f, &s);
    halt_there(f);
    FRAME(f, 8, THERE, SEL_CODE3_64 | 3, 2, X86_TABLES_USER, SEL_DATA3 | 3);
    s = expect_user_at(f, THERE);
    assert_int_equal(s.seg[X86_ES].sel, 0);
    assert_int_equal(s.seg[X86_FS].base, UINT64_C(0x7f0012345000));
}

static void iret_to_compatibility_user_takes_32_bits_of_stack(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    halt_there(f);
    FRAME(f, 8, THERE, SEL_CODE3_32 | 3, 2, UINT64_C(0x500000000) | X86_TABLES_USER, SEL_DATA3 | 3);
    (void)expect_user_at(f, THERE);
    assert_int_equal(user_rsp(f), X86_TABLES_USER);
}

static void iret_to_a_16_bit_stack_keeps_the_upper_half_of_the_inner_one(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcf);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0xffff, 0x00f3));
    halt_there(f);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x35000);
    FRAME(f, 4, THERE, SEL_CODE3 | 3, 2, 0x4444, SEL_SPARE | 3);
    (void)expect_user_at(f, THERE);
    assert_int_equal(user_rsp(f), 0x34444);
}

static void iret_of_user_cannot_change_iopl_or_if(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    halt_there(f);
    x86_tables_enter_user(f);
    FRAME(f, 8, THERE, SEL_CODE3_64 | 3, 0x3202 | X86_FL_CF, X86_TABLES_USER, SEL_DATA3 | 3);
    (void)expect_user_at(f, THERE);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 24, 8), 2 | X86_FL_CF | X86_FL_RF);
}

static void iret_sets_rf_for_the_next_instruction(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    FRAME(f, 8, THERE, SEL_CODE0, 2 | X86_FL_RF, X86_FIXTURE_STACK, SEL_DATA0);
    struct x86_state s = x86_tables_state(f);
    s.dr[0] = THERE;
    s.dr7 = 0x402;
    x86_tables_change(f, &s);
    f->mem[THERE] = 0xf4;
    s = expect_done(f);
    assert_int_equal(s.rip, THERE + 1);
    assert_int_equal(s.dr6 & 0xf, 0);
}

static void nested_task_return_is_refused(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcf);
    FRAME(f, 4, THERE, SEL_CODE0, 2);
    x86_fixture_set_flags(f, X86_FL_NT);
    expect_fault(f, X86_GP, 0);
}

static void iret_to_virtual_8086_mode_is_refused(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xcf);
    FRAME(f, 4, THERE, SEL_CODE3 | 3, 2 | X86_FL_VM);
    expect_fault(f, X86_GP, 0);
}

static void iret_to_noncanonical_rip_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    FRAME(f, 8, UINT64_C(0x800000000000), SEL_CODE3_64 | 3, 2, X86_TABLES_USER, SEL_DATA3 | 3);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 16, 8), SEL_CODE0);
}

static void faulting_iret_still_opens_nmis(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x48, 0xcf);
    struct x86_state s = x86_tables_state(f);
    s.nmi_blocked = 1;
    x86_tables_change(f, &s);
    FRAME(f, 8, THERE, 0, 2, X86_TABLES_USER, SEL_DATA3 | 3);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(x86_tables_state(f).nmi_blocked, 0);
}

static void iret_judges_rip_before_the_stack_on_amd_and_after_on_intel(void **state)
{
    for (unsigned intel = 0; intel < 2; intel++) {
        const uint8_t code[] = {0x48, 0xcf};
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, !intel, code, 2);
        FRAME(f, 8, UINT64_C(0x800000000000), SEL_CODE3_64 | 3, 2, X86_TABLES_USER, SEL_DATA0);
        expect_fault(f, X86_GP, intel ? SEL_DATA0 : 0);
        if (!intel)
            x86_fixture_free(f);
    }
}

/* ---- Software interrupts ---- */

static void into_interrupts_only_on_overflow(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xce, 0xf4);
    assert_int_equal(expect_done(f).rip, X86_FIXTURE_CODE + 2);
    x86_fixture_free(f);
    f = START(state, PROT32, 0xce, 0xf4);
    x86_fixture_set_flags(f, X86_FL_OF);
    assert_int_equal(x86_tables_run(f), X86_OF);
    assert_int_equal(x86_tables_error(f), X86_FIXTURE_CODE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(real_jump_sets_base_and_keeps_the_limit),
        T(jump_to_the_null_selector_raises_gp_zero),
        T(jump_to_data_raises_gp),
        T(jump_to_absent_code_raises_np),
        T(jump_outward_raises_gp),
        T(jump_with_a_weak_rpl_raises_gp),
        T(jump_beyond_the_limit_raises_gp_zero),
        T(jump_to_a_tss_is_refused),
        T(user_jumps_to_conforming_code_and_stays_user),
        T(jump_leaves_64_bit_mode_for_compatibility_mode),
        T(l_and_d_together_raise_gp),
        T(jump_through_a_gate_keeps_the_level),
        T(user_jump_through_a_gate_inward_raises_gp),
        T(far_call_pushes_cs_and_the_next_rip),
        T(gate_call_copies_parameters_to_the_inner_stack),
        T(gate_call_obeys_the_gates_level),
        T(absent_gate_raises_np),
        T(long_gate_call_loads_rsp_and_null_ss),
        T(long_mode_has_no_286_gates),
        T(long_gate_must_lead_to_64_bit_code),
        T(amd_wide_call_reads_four_bytes_and_pushes_eight),
        T(far_return_outward_releases_both_stacks),
        T(return_inward_raises_gp),
        T(return_outward_to_a_wrong_stack_raises_gp),
        T(return_outward_to_the_null_stack_raises_gp_zero),
        T(long_return_to_the_same_level_keeps_the_stack),
        T(real_iret_takes_the_low_flags),
        T(iret_in_long_mode_always_pops_the_stack),
        T(iret_to_a_null_stack_within_the_kernel_works),
        T(iret_to_user_drops_kernel_segments_and_keeps_user_bases),
        T(iret_to_compatibility_user_takes_32_bits_of_stack),
        T(iret_to_a_16_bit_stack_keeps_the_upper_half_of_the_inner_one),
        T(iret_of_user_cannot_change_iopl_or_if),
        T(iret_sets_rf_for_the_next_instruction),
        T(nested_task_return_is_refused),
        T(iret_to_virtual_8086_mode_is_refused),
        T(iret_to_noncanonical_rip_raises_gp),
        T(faulting_iret_still_opens_nmis),
        T(iret_judges_rip_before_the_stack_on_amd_and_after_on_intel),
        T(into_interrupts_only_on_overflow),
        T(gate_call_obeys_the_selectors_rpl),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
