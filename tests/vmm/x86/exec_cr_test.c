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

/* mov crN, rax (or eax); hlt */
#define TO_CR(n) 0x0f, 0x22, 0xc0 | (n) << 3, 0xf4

static struct x86_fixture *with_rax(struct x86_fixture *f, uint64_t v)
{
    x86_cpu_set_gpr(f->cpu, X86_RAX, v);
    return f;
}

static uint64_t cr0_of(struct x86_fixture *f)
{
    return x86_tables_state(f).cr0;
}

static uint64_t cr4_of(struct x86_fixture *f)
{
    return x86_tables_state(f).cr4;
}

/* ---- CR0 ---- */

static void paging_without_protection_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    expect_fault(with_rax(f, X86_CR0_PG | X86_CR0_ET), X86_GP, 0);
}

static void nw_without_cd_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    expect_fault(with_rax(f, cr0_of(f) | X86_CR0_NW), X86_GP, 0);
}

static void upper_half_of_cr0_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(0));
    expect_fault(with_rax(f, cr0_of(f) | UINT64_C(1) << 32), X86_GP, 0);
}

static void reserved_low_bits_of_cr0_are_dropped(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    uint64_t old = cr0_of(f);
    assert_int_equal(expect_done(with_rax(f, (old | 0x1fa0ffc0) & ~(uint64_t)X86_CR0_ET)).cr0, old);
}

static void paging_cannot_be_switched_off_in_64_bit_code(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(0));
    expect_fault(with_rax(f, cr0_of(f) & ~(uint64_t)X86_CR0_PG), X86_GP, 0);
}

static void leaving_long_mode_clears_lma(void **state)
{
    struct x86_fixture *f = START(state, COMPAT, TO_CR(0));
    struct x86_state s = expect_done(with_rax(f, cr0_of(f) & ~(uint64_t)X86_CR0_PG));
    assert_int_equal(s.efer & (X86_EFER_LME | X86_EFER_LMA), X86_EFER_LME);
}

static void entering_long_mode_sets_lma(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.efer |= X86_EFER_LME;
    s.cr4 |= X86_CR4_PAE;
    s.cr3 = 0x1000;
    x86_tables_change(f, &s);
    s = expect_done(with_rax(f, cr0_of(f) | X86_CR0_PG));
    assert_true(s.efer & X86_EFER_LMA);
}

static void long_mode_needs_pae(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.efer |= X86_EFER_LME;
    x86_tables_change(f, &s);
    expect_fault(with_rax(f, cr0_of(f) | X86_CR0_PG), X86_GP, 0);
}

static void long_mode_starts_from_code_without_l(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.efer |= X86_EFER_LME;
    s.cr4 |= X86_CR4_PAE;
    s.cr3 = 0x1000;
    s.seg[X86_CS].attr |= X86_SEG_L;
    x86_tables_change(f, &s);
    expect_fault(with_rax(f, cr0_of(f) | X86_CR0_PG), X86_GP, 0);
}

static void intel_refuses_long_mode_with_a_286_tss(void **state)
{
    struct x86_fixture *f = START_INTEL(state, PROT32, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.efer |= X86_EFER_LME;
    s.cr4 |= X86_CR4_PAE;
    s.cr3 = 0x1000;
    s.seg[X86_TR].attr = X86_SEG_P | 3;
    x86_tables_change(f, &s);
    expect_fault(with_rax(f, cr0_of(f) | X86_CR0_PG), X86_GP, 0);
}

static void reserved_bits_in_a_pdpte_raise_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_PAE;
    s.cr3 = 0x7000;
    x86_tables_change(f, &s);
    x86_tables_poke(f, 0x7000, 8, 0x3000 | 3);
    expect_fault(with_rax(f, cr0_of(f) | X86_CR0_PG), X86_GP, 0);
    assert_int_equal(cr0_of(f) & X86_CR0_PG, 0);
}

static void user_may_not_touch_control_registers(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x20, 0xc0); /* mov rax, cr0 */
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, 0);
}

/* ---- LMSW, SMSW, CLTS ---- */

static void lmsw_sets_but_does_not_clear_protection(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x0f, 0x01, 0xf0, 0xf4);
    struct x86_state s = expect_done(with_rax(f, 0xfff0 | X86_CR0_TS));
    assert_int_equal(s.cr0 & 0xf, X86_CR0_PE | X86_CR0_TS);
}

static void smsw_shows_the_operand_size(void **state)
{
    struct x86_fixture *f =
        START(state, LONG64, 0x66, 0x0f, 0x01, 0xe1, 0x0f, 0x01, 0xe2, 0xf4); /* smsw cx; smsw edx */
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x11110000);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.gpr[X86_RCX], 0x11110000 | (s.cr0 & 0xffff));
    assert_int_equal(s.gpr[X86_RDX], s.cr0);
}

static void clts_clears_ts(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x06, 0xf4);
    struct x86_state s = x86_tables_state(f);
    s.cr0 |= X86_CR0_TS;
    x86_tables_change(f, &s);
    assert_int_equal(expect_done(f).cr0 & X86_CR0_TS, 0);
}

/* ---- CR3 ---- */

static void address_bits_beyond_the_physical_width_raise_gp(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(3));
    expect_fault(with_rax(f, UINT64_C(1) << 48 | 0x1000), X86_GP, 0);
}

static void bit_63_is_reserved_without_pcids(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(3));
    expect_fault(with_rax(f, UINT64_C(1) << 63 | 0x1000), X86_GP, 0);
}

static void bit_63_is_not_stored_with_pcids(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(3));
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_PCIDE;
    x86_tables_change(f, &s);
    assert_int_equal(expect_done(with_rax(f, UINT64_C(1) << 63 | 0x1005)).cr3, 0x1005);
}

static void writing_cr3_forgets_translations(void **state)
{
    /* mov bl, [rcx]; mov cr3, rax; mov dl, [rcx]; hlt */
    struct x86_fixture *f = START(state, LONG64, 0x8a, 0x19, 0x0f, 0x22, 0xd8, 0x8a, 0x11, 0xf4);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x50000);
    f->mem[0x50000] = 1;
    f->mem[0x51000] = 2;
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    *x86_fixture_pte(f, 0x50000) = 0x51007;
    struct x86_state s = expect_done(with_rax(f, 0x1000));
    assert_int_equal(s.gpr[X86_RBX], 1);
    assert_int_equal(s.gpr[X86_RDX], 2);
}

static void invlpg_forgets_one_translation(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8a, 0x19, 0x0f, 0x01, 0x39, 0x8a, 0x11, 0xf4); /* invlpg [rcx] */
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x50000);
    f->mem[0x50000] = 1;
    f->mem[0x51000] = 2;
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    *x86_fixture_pte(f, 0x50000) = 0x51007;
    assert_int_equal(expect_done(f).gpr[X86_RDX], 2);
}

/* ---- CR4 ---- */

static void bits_not_offered_in_cr4_raise_gp(void **state)
{
    static const uint64_t bad[] = {X86_CR4_VME, X86_CR4_PVI,       X86_CR4_LA57, X86_CR4_PKE,
                                   1u << 13,    UINT64_C(1) << 23, 1u << 15,     UINT64_C(1) << 32};
    for (unsigned i = 0; i < 8; i++) {
        struct x86_fixture *f = START(state, LONG64, TO_CR(4));
        expect_fault(with_rax(f, cr4_of(f) | bad[i]), X86_GP, 0);
        if (i < 7)
            x86_fixture_free(f);
    }
}

static void offered_bits_in_cr4_are_taken(void **state)
{
    const uint64_t all = X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE |
                         X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_UMIP | X86_CR4_FSGSBASE |
                         X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP | X86_CR4_SMAP;
    struct x86_fixture *f = with_rax(START(state, LONG64, TO_CR(4)), all);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(cr4_of(f), all);
}

static void pae_cannot_be_cleared_in_long_mode(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(4));
    expect_fault(with_rax(f, cr4_of(f) & ~(uint64_t)X86_CR4_PAE), X86_GP, 0);
}

static void pcids_need_long_mode_and_pcid_zero(void **state)
{
    struct x86_fixture *f = START(state, PROT32, TO_CR(4));
    expect_fault(with_rax(f, cr4_of(f) | X86_CR4_PCIDE), X86_GP, 0);
    x86_fixture_free(f);
    f = START(state, LONG64, TO_CR(4));
    struct x86_state s = x86_tables_state(f);
    s.cr3 |= 0x18;
    x86_tables_change(f, &s);
    expect_fault(with_rax(f, cr4_of(f) | X86_CR4_PCIDE), X86_GP, 0);
}

static void paging_cannot_go_off_under_pcids(void **state)
{
    struct x86_fixture *f = START(state, COMPAT, TO_CR(0));
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_PCIDE;
    x86_tables_change(f, &s);
    expect_fault(with_rax(f, s.cr0 & ~(uint64_t)X86_CR0_PG), X86_GP, 0);
}

/* ---- CR8, numbers ---- */

static void cr8_takes_four_bits(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x44, 0x0f, 0x22, 0xc0);
    expect_fault(with_rax(f, 16), X86_GP, 0);
}

static void unknown_control_registers_are_undefined(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_CR(1));
    assert_int_equal(x86_tables_run(f), X86_UD);
}

/* ---- Debug registers ---- */

#define TO_DR(n) 0x0f, 0x23, 0xc0 | (n) << 3, 0xf4

static void dr7_keeps_its_fixed_bits(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_DR(7));
    assert_int_equal(expect_done(with_rax(f, 0xd800)).dr7, 0x400);
}

static void dr6_keeps_its_fixed_bits(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_DR(6));
    assert_int_equal(expect_done(with_rax(f, 0)).dr6, 0xffff0ff0);
}

static void upper_half_of_dr7_raises_gp(void **state)
{
    expect_fault(with_rax(START(state, LONG64, TO_DR(7)), UINT64_C(1) << 32), X86_GP, 0);
}

static void dr4_is_dr6_unless_debug_extensions_are_on(void **state)
{
    struct x86_fixture *f = START(state, LONG64, TO_DR(4));
    assert_int_equal(expect_done(with_rax(f, 0xf)).dr6, 0xffff0fff);
    x86_fixture_free(f);
    f = START(state, LONG64, TO_DR(4));
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_DE;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), X86_UD);
}

static void new_breakpoint_works_at_once(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x23, 0xf8, 0x90, 0xf4); /* mov dr7, rax; nop */
    struct x86_state s = x86_tables_state(f);
    s.dr[0] = X86_FIXTURE_CODE + 3;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(with_rax(f, 0x402)), X86_DB);
    assert_int_equal(x86_tables_error(f), X86_FIXTURE_CODE + 3);
    assert_int_equal(x86_tables_state(f).dr6 & 0xf, 1);
}

/* ---- INVPCID ---- */

static void invpcid_checks_type_pcid_and_address(void **state)
{
    static const uint64_t bad[][3] = {
        {4, 0, 0}, {0, 0x1000, 0}, {0, 1, 0}, {1, 1, 0}, {0, 0, UINT64_C(0x800000000000)}, {UINT64_C(1) << 32, 0, 0}};
    for (unsigned i = 0; i < 6; i++) {
        struct x86_fixture *f = START(state, LONG64, 0x66, 0x0f, 0x38, 0x82, 0x01); /* invpcid rax, [rcx] */
        x86_cpu_set_gpr(f->cpu, X86_RCX, X86_FIXTURE_DATA);
        x86_tables_poke(f, X86_FIXTURE_DATA, 8, bad[i][1]);
        x86_tables_poke(f, X86_FIXTURE_DATA + 8, 8, bad[i][2]);
        expect_fault(with_rax(f, bad[i][0]), X86_GP, 0);
        if (i < 5)
            x86_fixture_free(f);
    }
}

static void invpcid_forgets_translations(void **state)
{
    for (uint64_t type = 0; type < 4; type++) {
        /* mov bl, [rdx]; invpcid rax, [rcx]; mov dl, [rdx]; hlt */
        struct x86_fixture *f = START(state, LONG64, 0x8a, 0x1a, 0x66, 0x0f, 0x38, 0x82, 0x01, 0x8a, 0x12, 0xf4);
        x86_cpu_set_gpr(f->cpu, X86_RCX, X86_FIXTURE_DATA);
        x86_cpu_set_gpr(f->cpu, X86_RDX, 0x50000);
        x86_tables_poke(f, X86_FIXTURE_DATA + 8, 8, 0x50000);
        f->mem[0x51000] = 2;
        assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
        *x86_fixture_pte(f, 0x50000) = 0x51007;
        assert_int_equal(expect_done(with_rax(f, type)).gpr[X86_RDX] & 0xff, 2);
        if (type < 3)
            x86_fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(paging_without_protection_raises_gp),
        T(nw_without_cd_raises_gp),
        T(upper_half_of_cr0_raises_gp),
        T(reserved_low_bits_of_cr0_are_dropped),
        T(paging_cannot_be_switched_off_in_64_bit_code),
        T(leaving_long_mode_clears_lma),
        T(entering_long_mode_sets_lma),
        T(long_mode_needs_pae),
        T(reserved_bits_in_a_pdpte_raise_gp),
        T(user_may_not_touch_control_registers),
        T(lmsw_sets_but_does_not_clear_protection),
        T(smsw_shows_the_operand_size),
        T(clts_clears_ts),
        T(address_bits_beyond_the_physical_width_raise_gp),
        T(bit_63_is_reserved_without_pcids),
        T(bit_63_is_not_stored_with_pcids),
        T(writing_cr3_forgets_translations),
        T(invlpg_forgets_one_translation),
        T(bits_not_offered_in_cr4_raise_gp),
        T(offered_bits_in_cr4_are_taken),
        T(pae_cannot_be_cleared_in_long_mode),
        T(pcids_need_long_mode_and_pcid_zero),
        T(paging_cannot_go_off_under_pcids),
        T(cr8_takes_four_bits),
        T(unknown_control_registers_are_undefined),
        T(dr7_keeps_its_fixed_bits),
        T(dr6_keeps_its_fixed_bits),
        T(upper_half_of_dr7_raises_gp),
        T(dr4_is_dr6_unless_debug_extensions_are_on),
        T(new_breakpoint_works_at_once),
        T(invpcid_checks_type_pcid_and_address),
        T(invpcid_forgets_translations),
        T(long_mode_starts_from_code_without_l),
        T(intel_refuses_long_mode_with_a_286_tss),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
