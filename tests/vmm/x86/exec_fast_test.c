/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

#define START(state, mode, ...)       x86_tables_start(state, X86_FIXTURE_##mode, true, X86_BYTES(__VA_ARGS__))
#define START_INTEL(state, mode, ...) x86_tables_start(state, X86_FIXTURE_##mode, false, X86_BYTES(__VA_ARGS__))

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

#define THERE      0x8800u
#define STAR_VALUE ((uint64_t)(SEL_CODE3_32 | 3) << 48 | (uint64_t)SEL_CODE0 << 32)

static struct x86_fixture *with_star(struct x86_fixture *f)
{
    struct x86_state s = x86_tables_state(f);
    s.star = STAR_VALUE | THERE;
    s.lstar = THERE;
    s.cstar = THERE + 16;
    s.sfmask = X86_FL_IF | X86_FL_DF;
    x86_tables_change(f, &s);
    f->mem[THERE] = f->mem[THERE + 16] = 0xf4;
    return f;
}

/* ---- SYSCALL ---- */

static void syscall_saves_rip_and_flags_and_loads_flat_segments(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x0f, 0x05));
    x86_tables_enter_user(f);
    x86_fixture_set_flags(f, X86_FL_IF | X86_FL_DF | X86_FL_CF);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, THERE + 1);
    assert_int_equal(s.gpr[X86_RCX], X86_FIXTURE_CODE + 2);
    assert_int_equal(s.gpr[11], 2 | X86_FL_IF | X86_FL_DF | X86_FL_CF);
    assert_int_equal(s.rflags, 2 | X86_FL_CF);
    assert_int_equal(s.seg[X86_CS].sel, SEL_CODE0);
    assert_int_equal(s.seg[X86_CS].attr, 0xa09b);
    assert_int_equal(s.seg[X86_SS].sel, SEL_CODE0 + 8);
    assert_int_equal(s.seg[X86_SS].attr, 0xc093);
    assert_int_equal(s.seg[X86_SS].limit, 0xffffffff);
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_USER);
}

static void syscall_without_sce_is_undefined(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x0f, 0x05));
    struct x86_state s = x86_tables_state(f);
    s.efer &= ~(uint64_t)X86_EFER_SCE;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), X86_UD);
}

static void amd_syscall_from_compatibility_mode_uses_cstar(void **state)
{
    struct x86_fixture *f = with_star(START(state, COMPAT, 0x0f, 0x05));
    x86_tables_enter_user(f);
    assert_int_equal(expect_done(f).rip, THERE + 17);
}

static void intel_syscall_from_compatibility_mode_is_undefined(void **state)
{
    struct x86_fixture *f = with_star(START_INTEL(state, COMPAT, 0x0f, 0x05));
    assert_int_equal(x86_tables_run(f), X86_UD);
}

static void amd_legacy_syscall_jumps_to_star(void **state)
{
    struct x86_fixture *f = with_star(START(state, PROT32, 0x0f, 0x05));
    x86_tables_enter_user(f);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, THERE + 1);
    assert_int_equal(s.gpr[X86_RCX], X86_FIXTURE_CODE + 2);
    assert_int_equal(s.gpr[11], 0);
    assert_int_equal(s.seg[X86_CS].attr, 0xc09b);
}

/* ---- SYSRET ---- */

/* Returns to a HLT in user code, whose #GP(0) shows the state. */
static void sysret_to_there(struct x86_fixture *f, uint64_t rip)
{
    x86_cpu_set_gpr(f->cpu, X86_RCX, rip);
    x86_cpu_set_gpr(f->cpu, 11, 0xffffffffffffffff & ~(uint64_t)X86_FL_TF);
    expect_fault(f, X86_GP, 0);
}

static void sysret_goes_to_64_bit_user_code(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x48, 0x0f, 0x07));
    sysret_to_there(f, THERE);
    uint64_t sp = x86_cpu_gpr(f->cpu, X86_RSP);
    assert_int_equal(x86_tables_peek(f, sp + 8, 8), THERE);
    assert_int_equal(x86_tables_peek(f, sp + 16, 8), SEL_CODE3_64 | 3);
    assert_int_equal(x86_tables_peek(f, sp + 24, 8), (0x3c7fd7 & ~X86_FL_TF) | 2 | X86_FL_RF);
    assert_int_equal(x86_tables_peek(f, sp + 40, 8), SEL_DATA3 | 3);
}

static void sysret_without_rexw_goes_to_compatibility_mode(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x0f, 0x07));
    sysret_to_there(f, UINT64_C(0xffff000000000000) | THERE);
    uint64_t sp = x86_cpu_gpr(f->cpu, X86_RSP);
    assert_int_equal(x86_tables_peek(f, sp + 8, 8), THERE);
    assert_int_equal(x86_tables_peek(f, sp + 16, 8), SEL_CODE3_32 | 3);
}

static void intel_sysret_to_noncanonical_rip_faults_in_the_kernel(void **state)
{
    struct x86_fixture *f = with_star(START_INTEL(state, LONG64, 0x48, 0x0f, 0x07));
    sysret_to_there(f, UINT64_C(0x800000000000));
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 16, 8), SEL_CODE0);
}

static void amd_sysret_to_noncanonical_rip_faults_in_user_mode(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x48, 0x0f, 0x07));
    sysret_to_there(f, UINT64_C(0x800000000000));
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 8, 8), UINT64_C(0x800000000000));
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 16, 8), SEL_CODE3_64 | 3);
}

static void amd_sysret_keeps_the_hidden_part_of_ss_and_intel_loads_it(void **state)
{
    for (unsigned intel = 0; intel < 2; intel++) {
        const uint8_t code[] = {0x48, 0x0f, 0x07};
        struct x86_fixture *f = with_star(x86_tables_start(state, X86_FIXTURE_LONG64, !intel, code, 3));
        struct x86_state s = x86_tables_state(f);
        s.seg[X86_SS] = (struct x86_seg){.attr = X86_SEG_UNUSABLE};
        s.gpr[X86_RCX] = THERE;
        x86_tables_change(f, &s);
        assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
        assert_int_equal(x86_tables_state(f).seg[X86_SS].attr, intel ? 0xc0f3 : X86_SEG_UNUSABLE | X86_SEG_DPL);
        if (!intel)
            x86_fixture_free(f);
    }
}

static void sysret_of_user_raises_gp(void **state)
{
    struct x86_fixture *f = with_star(START(state, LONG64, 0x48, 0x0f, 0x07));
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, 0);
}

/* ---- SYSENTER, SYSEXIT ---- */

static struct x86_fixture *with_sysenter(struct x86_fixture *f)
{
    struct x86_state s = x86_tables_state(f);
    s.sysenter_cs = SEL_CODE0;
    s.sysenter_esp = X86_TABLES_STACK1;
    s.sysenter_eip = THERE;
    x86_tables_change(f, &s);
    f->mem[THERE] = 0xf4;
    return f;
}

static void sysenter_loads_the_three_registers(void **state)
{
    struct x86_fixture *f = with_sysenter(START(state, PROT32, 0x0f, 0x34));
    x86_tables_enter_user(f);
    x86_fixture_set_flags(f, X86_FL_IF);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, THERE + 1);
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_STACK1);
    assert_int_equal(s.rflags, 2);
    assert_int_equal(s.seg[X86_CS].attr, 0xc09b);
    assert_int_equal(s.seg[X86_SS].sel, SEL_CODE0 + 8);
}

static void sysenter_with_a_null_selector_raises_gp(void **state)
{
    struct x86_fixture *f = with_sysenter(START(state, PROT32, 0x0f, 0x34));
    struct x86_state s = x86_tables_state(f);
    s.sysenter_cs = 3;
    x86_tables_change(f, &s);
    expect_fault(f, X86_GP, 0);
}

static void sysenter_in_long_mode_is_intels_alone(void **state)
{
    struct x86_fixture *f = with_sysenter(START(state, LONG64, 0x0f, 0x34));
    assert_int_equal(x86_tables_run(f), X86_UD);
    x86_fixture_free(f);
    f = with_sysenter(START_INTEL(state, LONG64, 0x0f, 0x34));
    x86_tables_enter_user(f);
    assert_int_equal(expect_done(f).seg[X86_CS].attr, 0xa09b);
}

static void sysexit_goes_to_user_segments_behind_sysenter_cs(void **state)
{
    struct x86_fixture *f = with_sysenter(START_INTEL(state, LONG64, 0x48, 0x0f, 0x35));
    x86_cpu_set_gpr(f->cpu, X86_RCX, X86_TABLES_USER);
    x86_cpu_set_gpr(f->cpu, X86_RDX, THERE);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.rip, THERE);
    assert_int_equal(s.gpr[X86_RSP], X86_TABLES_USER);
    assert_int_equal(s.seg[X86_CS].sel, (SEL_CODE0 + 32) | 3);
    assert_int_equal(s.seg[X86_CS].attr, 0xa0fb);
    assert_int_equal(s.seg[X86_SS].sel, (SEL_CODE0 + 40) | 3);
}

static void sysexit_to_noncanonical_addresses_raises_gp(void **state)
{
    struct x86_fixture *f = with_sysenter(START_INTEL(state, LONG64, 0x48, 0x0f, 0x35));
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_C(0x800000000000));
    expect_fault(f, X86_GP, 0);
}

static void amd_sysexit_in_long_mode_looks_at_the_level_first(void **state)
{
    struct x86_fixture *f = with_sysenter(START(state, LONG64, 0x48, 0x0f, 0x35));
    assert_int_equal(x86_tables_run(f), X86_UD);
    x86_fixture_free(f);
    f = with_sysenter(START(state, LONG64, 0x48, 0x0f, 0x35));
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, 0);
}

/* ---- Bases ---- */

static void swapgs_exchanges_the_bases(void **state)
{
    struct x86_fixture *f =
        START(state, LONG64, 0x0f, 0x01, 0xf8, 0x65, 0x8a, 0x00, 0xf4); /* swapgs; mov al, gs:[rax] */
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_GS].base = 0x1234;
    s.kernel_gs_base = X86_FIXTURE_DATA;
    x86_tables_change(f, &s);
    f->mem[X86_FIXTURE_DATA] = 0x77;
    s = expect_done(f);
    assert_int_equal(s.kernel_gs_base, 0x1234);
    assert_int_equal(s.gpr[X86_RAX], 0x77);
}

static void swapgs_of_user_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0xf8);
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, 0);
}

static struct x86_fixture *with_fsgsbase(struct x86_fixture *f)
{
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_FSGSBASE;
    x86_tables_change(f, &s);
    return f;
}

static void base_instructions_need_their_control_bit(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xf3, 0x48, 0x0f, 0xae, 0xd0); /* wrfsbase rax */
    assert_int_equal(x86_tables_run(f), X86_UD);
}

static void user_writes_and_reads_its_bases(void **state)
{
    /* wrfsbase rax; rdfsbase ecx; rdfsbase rdx; hlt */
    struct x86_fixture *f = with_fsgsbase(
        START(state, LONG64, 0xf3, 0x48, 0x0f, 0xae, 0xd0, 0xf3, 0x0f, 0xae, 0xc1, 0xf3, 0x48, 0x0f, 0xae, 0xc2, 0xf4));
    x86_tables_enter_user(f);
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x7fff12345678));
    expect_fault(f, X86_GP, 0); /* the HLT */
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.gpr[X86_RCX], 0x12345678);
    assert_int_equal(s.gpr[X86_RDX], UINT64_C(0x7fff12345678));
}

static void noncanonical_base_raises_gp(void **state)
{
    struct x86_fixture *f = with_fsgsbase(START(state, LONG64, 0xf3, 0x48, 0x0f, 0xae, 0xd8)); /* wrgsbase rax */
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x800000000000));
    expect_fault(f, X86_GP, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(syscall_saves_rip_and_flags_and_loads_flat_segments),
        T(syscall_without_sce_is_undefined),
        T(amd_syscall_from_compatibility_mode_uses_cstar),
        T(intel_syscall_from_compatibility_mode_is_undefined),
        T(amd_legacy_syscall_jumps_to_star),
        T(sysret_goes_to_64_bit_user_code),
        T(sysret_without_rexw_goes_to_compatibility_mode),
        T(intel_sysret_to_noncanonical_rip_faults_in_the_kernel),
        T(amd_sysret_to_noncanonical_rip_faults_in_user_mode),
        T(amd_sysret_keeps_the_hidden_part_of_ss_and_intel_loads_it),
        T(sysret_of_user_raises_gp),
        T(sysenter_loads_the_three_registers),
        T(sysenter_with_a_null_selector_raises_gp),
        T(sysenter_in_long_mode_is_intels_alone),
        T(sysexit_goes_to_user_segments_behind_sysenter_cs),
        T(sysexit_to_noncanonical_addresses_raises_gp),
        T(amd_sysexit_in_long_mode_looks_at_the_level_first),
        T(swapgs_exchanges_the_bases),
        T(swapgs_of_user_raises_gp),
        T(base_instructions_need_their_control_bit),
        T(user_writes_and_reads_its_bases),
        T(noncanonical_base_raises_gp),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
