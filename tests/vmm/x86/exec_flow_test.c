/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

#define CODE  ((uint64_t)X86_FIXTURE_CODE)
#define STACK ((uint64_t)X86_FIXTURE_STACK - 16) /* where the fixture's stack pointer stands */

static struct x86_fixture *start(void **state, enum x86_fixture_mode mode, const uint8_t *bytes, size_t n)
{
    struct x86_fixture *f = x86_fixture_new(mode);
    *state = f;
    x86_fixture_code(f, bytes, n);
    return f;
}

#define START(state, mode, ...) start(state, X86_FIXTURE_##mode, X86_BYTES(__VA_ARGS__))

static uint64_t gpr(const struct x86_fixture *f, unsigned n)
{
    return x86_cpu_gpr(f->cpu, n);
}

static void step_to(struct x86_fixture *f, uint64_t rip)
{
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_rip(f), rip);
}

static void set_limit(struct x86_fixture *f, unsigned seg, uint32_t limit)
{
    struct x86_state s = x86_tables_state(f);
    s.seg[seg].limit = limit;
    x86_tables_change(f, &s);
}

/* ---- Jumps ---- */

static void jump_goes_back_and_forth(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xeb, 0x10);
    step_to(f, CODE + 0x12);
    x86_fixture_code(f, X86_BYTES(0xe9, 0xfb, 0xff, 0xff, 0xff));
    step_to(f, CODE);
}

static void sixteen_bit_jump_cuts_the_target(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x66, 0xe9, 0x00, 0x90);
    step_to(f, 0x1004);
}

static void amd_honours_the_operand_size_of_near_jumps(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x66, 0xe9, 0x00, 0x90);
    step_to(f, 0x1004);
}

static void intel_ignores_the_operand_size_of_near_jumps(void **state)
{
    struct x86_fixture *f = x86_fixture_new_intel(X86_FIXTURE_LONG64);
    *state = f;
    x86_fixture_code(f, X86_BYTES(0x66, 0xe9, 0x00, 0x10, 0x00, 0x00));
    step_to(f, CODE + 0x1006);
}

static void jump_beyond_the_limit_faults_at_the_jump(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0xe9, 0x00, 0x10, 0x00, 0x00);
    set_limit(f, X86_CS, 0x8fff);
    assert_int_equal(x86_fixture_step(f), X86_GP);
    assert_int_equal(x86_fixture_rip(f), CODE);
}

static void jump_to_a_non_canonical_address_faults_at_the_jump(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0xe0); /* jmp rax */
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x800000000000));
    assert_int_equal(x86_fixture_step(f), X86_GP);
    assert_int_equal(x86_fixture_rip(f), CODE);
}

/* Flags that make condition cc (even number) true. */
static const uint32_t makes_true[8] = {X86_FL_OF, X86_FL_CF, X86_FL_ZF, X86_FL_CF,
                                       X86_FL_SF, X86_FL_PF, X86_FL_SF, X86_FL_ZF};

static void every_condition_and_its_opposite(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x90);
    for (unsigned cc = 0; cc < 16; cc++) {
        for (unsigned on = 0; on < 2; on++) {
            x86_fixture_code(f, X86_BYTES((uint8_t)(0x70 + cc), 0x20));
            x86_fixture_set_flags(f, on ? makes_true[cc / 2] : 0);
            step_to(f, CODE + ((on ^ (cc & 1)) != 0 ? 0x22 : 2));
        }
    }
}

static void loop_counts_at_the_address_size(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xe2, 0x10);
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_C(0x100000001));
    step_to(f, CODE + 0x12);
    assert_int_equal(gpr(f, X86_RCX), UINT64_C(0x100000000));
    x86_fixture_code(f, X86_BYTES(0x67, 0xe2, 0x10));
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_C(0x100000001));
    step_to(f, CODE + 3);
    assert_int_equal(gpr(f, X86_RCX), 0);
}

static void loope_ends_on_zf_clear(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xe1, 0x10);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 5);
    x86_fixture_set_flags(f, X86_FL_ZF);
    step_to(f, CODE + 0x12);
    x86_fixture_rewind(f);
    x86_fixture_set_flags(f, 0);
    step_to(f, CODE + 2);
    assert_int_equal(gpr(f, X86_RCX), 3);
}

static void jcxz_looks_at_as_much_as_the_address_size_says(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x67, 0xe3, 0x10);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x10000);
    step_to(f, CODE + 0x13);
    x86_fixture_code(f, X86_BYTES(0xe3, 0x10));
    step_to(f, CODE + 2);
}

/* ---- Calls ---- */

static void call_pushes_the_next_instruction_and_ret_returns(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xe8, 0x0b, 0, 0, 0);
    f->mem[CODE + 0x10] = 0xc2; /* ret 8 */
    f->mem[CODE + 0x11] = 8;
    step_to(f, CODE + 0x10);
    assert_int_equal(gpr(f, X86_RSP), STACK - 8);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), CODE + 5);
    step_to(f, CODE + 5);
    assert_int_equal(gpr(f, X86_RSP), STACK + 8);
}

static void call_through_the_stack_pointer_reads_before_it_pushes(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0x14, 0x24); /* call [rsp] */
    x86_tables_poke(f, STACK, 8, CODE + 0x40);
    step_to(f, CODE + 0x40);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), CODE + 3);
}

static void call_to_a_bad_target_pushes_nothing(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xff, 0xd0); /* call rax */
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x8000000000000000));
    x86_tables_poke(f, STACK - 8, 8, 0x55);
    assert_int_equal(x86_fixture_step(f), X86_GP);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), 0x55);
    assert_int_equal(gpr(f, X86_RSP), STACK);
}

static void ret_to_a_bad_target_keeps_the_stack_pointer(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xc3);
    x86_tables_poke(f, STACK, 8, UINT64_C(0x8000000000000000));
    assert_int_equal(x86_fixture_step(f), X86_GP);
    assert_int_equal(gpr(f, X86_RSP), STACK);
    assert_int_equal(x86_fixture_rip(f), CODE);
}

static void narrow_stack_keeps_the_upper_half_of_esp(void **state)
{
    struct x86_fixture *f = START(state, PROT16, 0xe8, 0x0d, 0);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x12340000);
    step_to(f, CODE + 0x10);
    assert_int_equal(gpr(f, X86_RSP), 0x1234fffe);
    assert_int_equal(x86_tables_peek(f, 0xfffe, 2), CODE + 3);
}

/* ---- Push and pop ---- */

static void push_of_the_stack_pointer_stores_its_old_value(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x54);
    step_to(f, CODE + 1);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), STACK);
}

static void pop_of_the_stack_pointer_wins_over_the_increment(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x5c);
    x86_tables_poke(f, STACK, 8, 0x1234);
    step_to(f, CODE + 1);
    assert_int_equal(gpr(f, X86_RSP), 0x1234);
}

static void pop_to_memory_uses_the_incremented_pointer(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8f, 0x04, 0x24); /* pop [rsp] */
    x86_tables_poke(f, STACK, 8, 0x1234);
    step_to(f, CODE + 3);
    assert_int_equal(x86_tables_peek(f, STACK + 8, 8), 0x1234);
}

static void pop_to_a_bad_address_keeps_the_pointer(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x8f, 0x00); /* pop [rax] */
    *x86_fixture_pte(f, X86_FIXTURE_DATA) = 0;
    x86_cpu_set_gpr(f->cpu, X86_RAX, X86_FIXTURE_DATA);
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(gpr(f, X86_RSP), STACK);
}

static void immediates_are_pushed_sign_extended(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x6a, 0xfe, 0x66, 0x6a, 0xfd);
    step_to(f, CODE + 2);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), UINT64_MAX - 1);
    step_to(f, CODE + 5);
    assert_int_equal(gpr(f, X86_RSP), STACK - 10);
    assert_int_equal(x86_tables_peek(f, STACK - 10, 2), 0xfffd);
}

static void pusha_and_popa_are_inverse_but_for_the_stack_pointer(void **state)
{
    struct x86_fixture *f = START(state, PROT32, 0x60, 0x61);
    for (unsigned i = 0; i < 8; i++)
        if (i != X86_RSP)
            x86_cpu_set_gpr(f->cpu, i, 0x100 + i);
    step_to(f, CODE + 1);
    assert_int_equal(gpr(f, X86_RSP), STACK - 32);
    assert_int_equal(x86_tables_peek(f, STACK - 20, 4), STACK);
    x86_tables_poke(f, STACK - 20, 4, 0);
    x86_cpu_set_gpr(f->cpu, X86_RBX, 0);
    step_to(f, CODE + 2);
    assert_int_equal(gpr(f, X86_RBX), 0x103);
    assert_int_equal(gpr(f, X86_RSP), STACK);
}

static void pusha_that_cannot_finish_writes_nothing(void **state)
{
    struct x86_fixture *f = START(state, PAE32, 0x60);
    *x86_fixture_pte(f, 0xa000) = 0;
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0xb010);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x77);
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(x86_tables_peek(f, 0xb00c, 4), 0);
    assert_int_equal(gpr(f, X86_RSP), 0xb010);
}

/* ---- Flags on the stack ---- */

static uint64_t popf(struct x86_fixture *f, uint64_t image, uint64_t before)
{
    x86_fixture_rewind(f);
    x86_fixture_set_flags(f, before);
    x86_cpu_set_gpr(f->cpu, X86_RSP, STACK);
    x86_tables_poke(f, STACK, 8, image);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    return x86_fixture_flags(f);
}

static void popf_changes_what_the_level_allows(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x9d);
    const uint64_t all = X86_FL_IF | X86_FL_IOPL | X86_FL_DF | X86_FL_NT | X86_FL_AC | X86_FL_ID | X86_FL_ARITH;
    assert_int_equal(popf(f, all, 0), all | 2);
    x86_fixture_set_user(f);
    assert_int_equal(popf(f, all, 0), (all & ~(uint64_t)(X86_FL_IF | X86_FL_IOPL)) | 2);
    assert_int_equal(popf(f, 0, X86_FL_IF | X86_FL_IOPL), X86_FL_IOPL | 2);
}

static void popf_of_sixteen_bits_keeps_the_rest(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x66, 0x9d);
    assert_int_equal(popf(f, X86_FL_CF, X86_FL_AC | X86_FL_ID | X86_FL_DF), X86_FL_AC | X86_FL_ID | X86_FL_CF | 2);
}

static void pushf_does_not_show_rf(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x9c);
    x86_fixture_set_flags(f, X86_FL_RF | X86_FL_AC | X86_FL_ZF);
    step_to(f, CODE + 1);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), X86_FL_AC | X86_FL_ZF | 2);
}

/* ---- Frames ---- */

static void enter_makes_a_frame_that_leave_undoes(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xc8, 0x20, 0x00, 0x00, 0xc9);
    x86_cpu_set_gpr(f->cpu, X86_RBP, 0xb000);
    step_to(f, CODE + 4);
    assert_int_equal(gpr(f, X86_RBP), STACK - 8);
    assert_int_equal(gpr(f, X86_RSP), STACK - 8 - 0x20);
    assert_int_equal(x86_tables_peek(f, STACK - 8, 8), 0xb000);
    step_to(f, CODE + 5);
    assert_int_equal(gpr(f, X86_RBP), 0xb000);
    assert_int_equal(gpr(f, X86_RSP), STACK);
}

static void enter_copies_outer_frames(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xc8, 0x00, 0x00, 0x03);
    x86_cpu_set_gpr(f->cpu, X86_RBP, 0xb000);
    x86_tables_poke(f, 0xaff8, 8, 0x11);
    x86_tables_poke(f, 0xaff0, 8, 0x22);
    step_to(f, CODE + 4);
    assert_int_equal(x86_tables_peek(f, STACK - 16, 8), 0x11);
    assert_int_equal(x86_tables_peek(f, STACK - 24, 8), 0x22);
    assert_int_equal(x86_tables_peek(f, STACK - 32, 8), STACK - 8);
    assert_int_equal(gpr(f, X86_RSP), STACK - 32);
}

static void enter_whose_locals_have_no_room_changes_no_register(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xc8, 0x00, 0x50, 0x00);
    *x86_fixture_pte(f, 0xa000) = 0;
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(gpr(f, X86_RSP), STACK);
    assert_int_equal(gpr(f, X86_RBP), 0);
}

#define CASE(name) cmocka_unit_test_teardown(name, x86_tables_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(jump_goes_back_and_forth),
        CASE(sixteen_bit_jump_cuts_the_target),
        CASE(amd_honours_the_operand_size_of_near_jumps),
        CASE(intel_ignores_the_operand_size_of_near_jumps),
        CASE(jump_beyond_the_limit_faults_at_the_jump),
        CASE(jump_to_a_non_canonical_address_faults_at_the_jump),
        CASE(every_condition_and_its_opposite),
        CASE(loop_counts_at_the_address_size),
        CASE(loope_ends_on_zf_clear),
        CASE(jcxz_looks_at_as_much_as_the_address_size_says),
        CASE(call_pushes_the_next_instruction_and_ret_returns),
        CASE(call_through_the_stack_pointer_reads_before_it_pushes),
        CASE(call_to_a_bad_target_pushes_nothing),
        CASE(ret_to_a_bad_target_keeps_the_stack_pointer),
        CASE(narrow_stack_keeps_the_upper_half_of_esp),
        CASE(push_of_the_stack_pointer_stores_its_old_value),
        CASE(pop_of_the_stack_pointer_wins_over_the_increment),
        CASE(pop_to_memory_uses_the_incremented_pointer),
        CASE(pop_to_a_bad_address_keeps_the_pointer),
        CASE(immediates_are_pushed_sign_extended),
        CASE(pusha_and_popa_are_inverse_but_for_the_stack_pointer),
        CASE(pusha_that_cannot_finish_writes_nothing),
        CASE(popf_changes_what_the_level_allows),
        CASE(popf_of_sixteen_bits_keeps_the_rest),
        CASE(pushf_does_not_show_rf),
        CASE(enter_makes_a_frame_that_leave_undoes),
        CASE(enter_copies_outer_frames),
        CASE(enter_whose_locals_have_no_room_changes_no_register),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
