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

static struct x86_state expect_done(struct x86_fixture *f)
{
    assert_int_equal(x86_tables_run(f), -1);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    return x86_tables_state(f);
}

static bool zf(const struct x86_state *s)
{
    return (s->rflags & X86_FL_ZF) != 0;
}

/* lar ecx, ax; hlt */
#define LAR 0x0f, 0x02, 0xc8, 0xf4
#define LSL 0x0f, 0x03, 0xc8, 0xf4

static struct x86_state ask(struct x86_fixture *f, uint16_t sel)
{
    x86_cpu_set_gpr(f->cpu, X86_RAX, sel);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x5555);
    x86_fixture_rewind(f);
    struct x86_state s = x86_tables_state(f);
    s.activity = X86_ACTIVE;
    x86_tables_change(f, &s);
    return expect_done(f);
}

static void lar_shows_the_access_rights(void **state)
{
    struct x86_fixture *f = START(state, LONG64, LAR);
    struct x86_state s = ask(f, SEL_DATA3);
    assert_true(zf(&s));
    assert_int_equal(s.gpr[X86_RCX], 0xcff300);
}

static void lar_refuses_what_it_may_not_see(void **state)
{
    static const uint16_t bad[] = {0, 3, SEL_LIMIT, SEL_DATA0 | 3, 0xc};
    struct x86_fixture *f = START(state, LONG64, LAR);
    for (unsigned i = 0; i < 5; i++) {
        struct x86_state s = ask(f, bad[i]);
        assert_false(zf(&s));
        assert_int_equal(s.gpr[X86_RCX], 0x5555);
    }
}

/* Which system types LAR and LSL know, by mode. */
static unsigned known_types(struct x86_fixture *f)
{
    unsigned known = 0;
    for (unsigned t = 0; t < 16; t++) {
        x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0xff, X86_SEG_P | t));
        x86_fixture_flush(f);
        struct x86_state s = ask(f, SEL_SPARE);
        known |= (unsigned)zf(&s) << t;
    }
    return known;
}

static void lar_types_of_protected_mode(void **state)
{
    assert_int_equal(known_types(START(state, PROT32, LAR)), 0x1a3e);
}

static void lar_types_of_long_mode(void **state)
{
    assert_int_equal(known_types(START(state, LONG64, LAR)), 0x1a04);
}

static void lsl_types_of_protected_mode(void **state)
{
    assert_int_equal(known_types(START(state, PROT32, LSL)), 0x0a0e);
}

static void lsl_types_of_long_mode(void **state)
{
    assert_int_equal(known_types(START(state, LONG64, LSL)), 0x0a04);
}

static void lsl_gives_the_limit_in_bytes(void **state)
{
    struct x86_fixture *f = START(state, LONG64, LSL);
    assert_int_equal(ask(f, SEL_DATA0).gpr[X86_RCX], 0xffffffff);
    assert_int_equal(ask(f, SEL_TSS).gpr[X86_RCX], 0x67);
}

static void verr_and_verw_judge_by_type(void **state)
{
    struct x86_fixture *f =
        START(state, PROT32, 0x0f, 0x00, 0xe0, 0x0f, 0x94, 0xc3, 0x0f, 0x00, 0xe8, 0x0f, 0x94, 0xc7, 0xf4);
    /* verr ax; setz bl; verw ax; setz bh */
    assert_int_equal(ask(f, SEL_DATA0).gpr[X86_RBX] & 0xffff, 0x0101);
    assert_int_equal(ask(f, SEL_READ_ONLY).gpr[X86_RBX] & 0xffff, 0x0001);
    assert_int_equal(ask(f, SEL_EXECUTE_ONLY).gpr[X86_RBX] & 0xffff, 0x0000);
    assert_int_equal(ask(f, SEL_CODE0).gpr[X86_RBX] & 0xffff, 0x0001);
    assert_int_equal(ask(f, SEL_TSS).gpr[X86_RBX] & 0xffff, 0x0000);
}

static void protected_mode_instructions_are_undefined_in_real_mode(void **state)
{
    static const uint8_t code[][4] = {{0x0f, 0x02, 0xc8}, {0x0f, 0x00, 0xd0}, {0x0f, 0x00, 0xd8},
                                      {0x0f, 0x00, 0xc0}, {0x0f, 0x00, 0xe0}, {0x63, 0xc8}};
    for (unsigned i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_REAL, true, code[i], sizeof(code[i]));
        f->deliver = false;
        assert_int_equal(x86_fixture_step(f), X86_UD);
        if (i + 1 < sizeof(code) / sizeof(code[0]))
            x86_fixture_free(f);
    }
}

static void arpl_raises_the_rpl(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x63, 0xc8, 0xf4); /* arpl ax, cx */
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x12345671);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 2);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.gpr[X86_RAX], 0x12345672);
    assert_true(zf(&s));
}

static void ltr_makes_the_tss_busy_and_refuses_it_then(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8, 0x0f, 0x00, 0xd8); /* ltr ax, twice */
    x86_tables_put(f, SEL_TSS + 8, 0x12);
    x86_cpu_set_gpr(f->cpu, X86_RAX, SEL_TSS);
    expect_fault(f, X86_GP, SEL_TSS);
    struct x86_state s = x86_tables_state(f);
    assert_int_equal(s.seg[X86_TR].base, UINT64_C(0x1200000000) + X86_TABLES_TSS);
    assert_int_equal(s.seg[X86_TR].attr, X86_SEG_P | 11);
    assert_int_equal(x86_tables_peek(f, X86_TABLES_GDT + SEL_TSS + 5, 1), 0x8b);
}

static void ltr_of_null_raises_gp_zero(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8);
    expect_fault(f, X86_GP, 0);
}

static void ltr_checks_the_upper_half(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd8);
    x86_tables_put(f, SEL_TSS + 8, UINT64_C(1) << 40);
    x86_cpu_set_gpr(f->cpu, X86_RAX, SEL_TSS);
    expect_fault(f, X86_GP, SEL_TSS);
}

static void lldt_of_null_disables_the_table(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd0, 0xf4);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0);
    assert_true(expect_done(f).seg[X86_LDTR].attr & X86_SEG_UNUSABLE);
}

static void lldt_refuses_selectors_of_the_ldt(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd0);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x1c);
    expect_fault(f, X86_GP, 0x1c);
}

static void user_may_not_load_tables(void **state)
{
    static const uint8_t code[][4] = {{0x0f, 0x01, 0x10}, {0x0f, 0x01, 0x18}, {0x0f, 0x00, 0xd0}, {0x0f, 0x00, 0xd8}};
    for (unsigned i = 0; i < 4; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, code[i], sizeof(code[i]));
        x86_tables_enter_user(f);
        expect_fault(f, X86_GP, 0);
        if (i < 3)
            x86_fixture_free(f);
    }
}

static void lgdt_takes_ten_bytes_and_a_canonical_base(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0x18, 0x0f, 0x01, 0x13); /* lidt [rax]; lgdt [rbx] */
    x86_tables_poke(f, X86_FIXTURE_DATA, 2, 0xfff);
    x86_tables_poke(f, X86_FIXTURE_DATA + 2, 8, X86_TABLES_IDT);
    x86_tables_poke(f, X86_FIXTURE_DATA + 16 + 2, 8, UINT64_C(0x800000000000));
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    x86_cpu_set_gpr(f->cpu, X86_RBX, X86_FIXTURE_DATA + 16);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(x86_tables_state(f).gdtr.base, X86_TABLES_GDT);
}

static void sixteen_bit_lgdt_takes_24_bits_of_base(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x66, 0x0f, 0x01, 0x10, 0x0f, 0x01, 0x03, 0xf4);
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, UINT64_C(0x12020000ffff));
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    x86_cpu_set_gpr(f->cpu, X86_RBX, X86_FIXTURE_DATA + 16);
    assert_int_equal(expect_done(f).gdtr.base, 0x020000);
    assert_int_equal(x86_tables_peek(f, X86_FIXTURE_DATA + 16, 8), UINT64_C(0x00020000ffff));
}

static void umip_hides_the_tables_from_user(void **state)
{
    static const uint8_t code[][4] = {
        {0x0f, 0x01, 0x00}, {0x0f, 0x01, 0x08}, {0x0f, 0x00, 0xc0}, {0x0f, 0x00, 0xc8}, {0x0f, 0x01, 0xe0}};
    for (unsigned i = 0; i < 5; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, code[i], sizeof(code[i]));
        struct x86_state s = x86_tables_state(f);
        s.cr4 |= X86_CR4_UMIP;
        x86_tables_change(f, &s);
        x86_tables_enter_user(f);
        x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
        expect_fault(f, X86_GP, 0);
        if (i < 4)
            x86_fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(lar_shows_the_access_rights),
        T(lar_refuses_what_it_may_not_see),
        T(lar_types_of_protected_mode),
        T(lar_types_of_long_mode),
        T(lsl_types_of_protected_mode),
        T(lsl_types_of_long_mode),
        T(lsl_gives_the_limit_in_bytes),
        T(verr_and_verw_judge_by_type),
        T(protected_mode_instructions_are_undefined_in_real_mode),
        T(arpl_raises_the_rpl),
        T(ltr_makes_the_tss_busy_and_refuses_it_then),
        T(ltr_of_null_raises_gp_zero),
        T(ltr_checks_the_upper_half),
        T(lldt_of_null_disables_the_table),
        T(lldt_refuses_selectors_of_the_ldt),
        T(user_may_not_load_tables),
        T(lgdt_takes_ten_bytes_and_a_canonical_base),
        T(sixteen_bit_lgdt_takes_24_bits_of_base),
        T(umip_hides_the_tables_from_user),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
