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

/* The instruction ran and the HLT behind it ended the run. */
static struct x86_state expect_done(struct x86_fixture *f)
{
    assert_int_equal(x86_tables_run(f), -1);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    return x86_tables_state(f);
}

static void selector_register(struct x86_fixture *f, uint16_t sel)
{
    x86_cpu_set_gpr(f->cpu, X86_RAX, sel);
}

/* mov ds, ax; hlt */
#define MOV_DS 0x8e, 0xd8, 0xf4
#define MOV_SS 0x8e, 0xd0, 0xf4
#define MOV_FS 0x8e, 0xe0, 0xf4

static void data_segment_is_expanded_and_marked(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0x12345678, 0x9abcd, 0x4092));
    selector_register(f, SEL_SPARE);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.seg[X86_DS].base, 0x12345678);
    assert_int_equal(s.seg[X86_DS].limit, 0x9abcd);
    assert_int_equal(s.seg[X86_DS].attr, 0x4093);
    assert_int_equal(s.seg[X86_DS].sel, SEL_SPARE);
    assert_int_equal(x86_tables_peek(f, X86_TABLES_GDT + SEL_SPARE + 5, 1), 0x93);
}

static void page_granular_limits_are_in_bytes(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 2, 0xc093));
    selector_register(f, SEL_SPARE);
    assert_int_equal(expect_done(f).seg[X86_DS].limit, 0x2fff);
}

static void null_data_segment_is_unusable(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x8e, 0xd8, 0xa1, 0, 0, 1, 0); /* mov ds, ax; mov eax, [0x10000] */
    selector_register(f, 3);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(x86_tables_state(f).seg[X86_DS].sel, 3);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 4, 4), X86_FIXTURE_CODE + 2);
}

static void selector_outside_the_table_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, SEL_LIMIT | 3);
    expect_fault(f, X86_GP, SEL_LIMIT);
}

static void descriptor_cut_by_the_limit_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    struct x86_state s = x86_tables_state(f);
    s.gdtr.limit = SEL_DATA0_16 + 6;
    x86_tables_change(f, &s);
    selector_register(f, SEL_DATA0_16);
    expect_fault(f, X86_GP, SEL_DATA0_16);
}

static void selector_of_an_absent_ldt_raises_gp(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, 0xc);
    expect_fault(f, X86_GP, 0xc);
}

static void execute_only_code_is_no_data(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, SEL_EXECUTE_ONLY);
    expect_fault(f, X86_GP, SEL_EXECUTE_ONLY);
}

static void system_descriptor_is_no_data(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, SEL_TSS);
    expect_fault(f, X86_GP, SEL_TSS);
}

static void absent_data_raises_np(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, SEL_ABSENT_DATA);
    expect_fault(f, X86_NP, SEL_ABSENT_DATA);
}

static void user_cannot_load_kernel_data_but_conforming_code(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x8e, 0xd8, 0x8e, 0xd9); /* mov ds, ax; mov ds, cx */
    x86_tables_enter_user(f);
    selector_register(f, SEL_CONFORMING0 | 3);
    x86_cpu_set_gpr(f->cpu, X86_RCX, SEL_DATA0 | 3);
    expect_fault(f, X86_GP, SEL_DATA0);
    assert_int_equal(x86_tables_state(f).seg[X86_DS].sel, SEL_CONFORMING0 | 3);
}

static void rpl_weakens_the_level(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_DS);
    selector_register(f, SEL_DATA0 | 3);
    expect_fault(f, X86_GP, SEL_DATA0);
}

static void null_ss_raises_gp_in_protected_mode(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_SS);
    selector_register(f, 0);
    expect_fault(f, X86_GP, 0);
}

static void null_ss_is_allowed_to_64_bit_kernels(void **state)
{
    struct x86_fixture *f = START(state, LONG64, MOV_SS);
    selector_register(f, 0);
    assert_true(expect_done(f).seg[X86_SS].attr & X86_SEG_UNUSABLE);
}

static void null_ss_must_carry_the_level(void **state)
{
    struct x86_fixture *f = START(state, LONG64, MOV_SS);
    selector_register(f, 1);
    expect_fault(f, X86_GP, 0);
}

static void ss_must_be_of_the_level_and_writable(void **state)
{
    static const uint16_t bad[] = {SEL_DATA0 | 1, SEL_DATA1, SEL_READ_ONLY, SEL_CODE0};
    for (unsigned i = 0; i < 4; i++) {
        struct x86_fixture *f = START(state, PROT32, MOV_SS);
        selector_register(f, bad[i]);
        expect_fault(f, X86_GP, bad[i] & ~3u);
        if (i < 3)
            x86_fixture_free(f);
    }
}

static void absent_ss_raises_ss(void **state)
{
    struct x86_fixture *f = START(state, PROT32, MOV_SS);
    selector_register(f, SEL_ABSENT_DATA);
    expect_fault(f, X86_SS_FAULT, SEL_ABSENT_DATA);
}

static void mov_ss_shadows_interrupts_for_one_instruction(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x8e, 0xd0, 0x90, 0x90, 0xf4);
    selector_register(f, SEL_DATA0);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_state(f).shadow_ss, 1);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_state(f).shadow_ss, 0);
}

static void real_mode_load_keeps_a_big_limit(void **state)
{
    struct x86_fixture *f = START(state, REAL, MOV_DS);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_DS].limit = 0xffffffff;
    x86_tables_change(f, &s);
    selector_register(f, 0x1234);
    s = expect_done(f);
    assert_int_equal(s.seg[X86_DS].base, 0x12340);
    assert_int_equal(s.seg[X86_DS].limit, 0xffffffff);
}

static void loading_fs_in_long_mode_replaces_its_base(void **state)
{
    struct x86_fixture *f = START(state, LONG64, MOV_FS);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_FS].base = UINT64_C(0x7fff12345678);
    x86_tables_change(f, &s);
    selector_register(f, 0);
    assert_int_equal(expect_done(f).seg[X86_FS].base, 0);
}

static void ldt_selectors_are_found(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x00, 0xd1, 0x8e, 0xe0, 0xf4); /* lldt cx; mov fs, ax; hlt */
    x86_tables_poke(f, X86_TABLES_LDT + 0x10, 8, x86_tables_desc(0x55000, 0xfff, 0x4093));
    x86_cpu_set_gpr(f->cpu, X86_RCX, SEL_LDT);
    selector_register(f, 0x14);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.seg[X86_FS].base, 0x55000);
    assert_int_equal(s.seg[X86_LDTR].base, X86_TABLES_LDT);
    assert_int_equal(s.seg[X86_LDTR].limit, 0xff);
}

static void stored_selectors_take_the_operand_size(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x66, 0x8c, 0xdb, 0x8c, 0xd9, 0x48, 0x8c, 0xda, 0xf4);
    for (unsigned i = X86_RCX; i <= X86_RBX; i++)
        x86_cpu_set_gpr(f->cpu, i, UINT64_C(0x1111111111111111));
    struct x86_state s = expect_done(f); /* mov bx, ds; mov ecx, ds; mov rdx, ds */
    assert_int_equal(s.gpr[X86_RBX], UINT64_C(0x1111111111110010));
    assert_int_equal(s.gpr[X86_RCX], 0x10);
    assert_int_equal(s.gpr[X86_RDX], 0x10);
}

static void pop_of_a_bad_segment_leaves_the_stack_pointer(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x1f); /* pop ds */
    x86_tables_poke(f, X86_FIXTURE_STACK - 16, 4, SEL_ABSENT_DATA);
    expect_fault(f, X86_NP, SEL_ABSENT_DATA);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), X86_FIXTURE_STACK - 16 - 16);
}

static void push_and_pop_of_segments_use_the_operand_size(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x66, 0x06, 0x06, 0x07, 0x66, 0x07, 0xf4);
    assert_int_equal(expect_done(f).gpr[X86_RSP], X86_FIXTURE_STACK - 16);
    assert_int_equal(x86_tables_peek(f, X86_FIXTURE_STACK - 18, 2), SEL_DATA0);
    assert_int_equal(x86_tables_peek(f, X86_FIXTURE_STACK - 22, 4), SEL_DATA0);
}

static void far_pointer_load_sets_both_or_nothing(void **state)
{
    struct x86_fixture *f =
        START(state, PROT32, 0x0f, 0xb4, 0x18, 0x0f, 0xb4, 0x09); /* lfs ebx, [eax]; lfs ecx, [ecx] */
    x86_tables_poke(f, X86_FIXTURE_DATA, 8, UINT64_C(0x1087654321));
    x86_tables_poke(f, X86_FIXTURE_DATA + 16, 8, (uint64_t)SEL_TSS << 32);
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    x86_cpu_set_gpr(f->cpu, X86_RCX, X86_FIXTURE_DATA + 16);
    expect_fault(f, X86_GP, SEL_TSS);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RBX), 0x87654321);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RCX), X86_FIXTURE_DATA + 16);
    assert_int_equal(x86_tables_state(f).seg[X86_FS].sel, SEL_DATA0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(data_segment_is_expanded_and_marked),
        T(page_granular_limits_are_in_bytes),
        T(null_data_segment_is_unusable),
        T(selector_outside_the_table_raises_gp),
        T(selector_of_an_absent_ldt_raises_gp),
        T(execute_only_code_is_no_data),
        T(system_descriptor_is_no_data),
        T(absent_data_raises_np),
        T(user_cannot_load_kernel_data_but_conforming_code),
        T(rpl_weakens_the_level),
        T(null_ss_raises_gp_in_protected_mode),
        T(null_ss_is_allowed_to_64_bit_kernels),
        T(null_ss_must_carry_the_level),
        T(ss_must_be_of_the_level_and_writable),
        T(absent_ss_raises_ss),
        T(mov_ss_shadows_interrupts_for_one_instruction),
        T(real_mode_load_keeps_a_big_limit),
        T(loading_fs_in_long_mode_replaces_its_base),
        T(ldt_selectors_are_found),
        T(stored_selectors_take_the_operand_size),
        T(pop_of_a_bad_segment_leaves_the_stack_pointer),
        T(push_and_pop_of_segments_use_the_operand_size),
        T(far_pointer_load_sets_both_or_nothing),
        T(descriptor_cut_by_the_limit_raises_gp),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
