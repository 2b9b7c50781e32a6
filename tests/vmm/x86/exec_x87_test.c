/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/fpu.h"

#define DATA         X86_FIXTURE_DATA
#define MASKED       0x037f
#define UNMASK(bits) (MASKED & ~(bits))

/* An 80-bit value: sign and exponent, significand. */
struct ext {
    uint16_t se;
    uint64_t mant;
};

#define TOP_BIT (UINT64_C(1) << 63)

static const struct ext one = {0x3fff, TOP_BIT}, two = {0x4000, TOP_BIT}, zero = {0, 0},
                        minus_three = {0xc000, UINT64_C(0xc000000000000000)};
static const struct ext huge = {0x7ffe, TOP_BIT}, indefinite = {0xffff, UINT64_C(0xc000000000000000)},
                        infinity = {0x7fff, TOP_BIT};
static const struct ext denormal = {0, 1}, quarter = {0x3ffd, TOP_BIT};

static int setup(void **state)
{
    *state = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_cpu_set_gpr(((struct x86_fixture *)*state)->cpu, X86_RSI, DATA);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static struct x86_fpu fpu_of(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s.fpu;
}

static void set_cr0(struct x86_fixture *f, uint64_t set, uint64_t clear)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.cr0 = (s.cr0 & ~clear) | set;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

static void put(struct x86_fpu *fpu, unsigned phys, struct ext v)
{
    memcpy(fpu->st[phys], &v.mant, 8);
    memcpy(fpu->st[phys] + 8, &v.se, 2);
    fpu->ftw |= (uint8_t)(1u << phys);
}

/* n values on the stack, the last one is ST(0), under this control word. */
static void stack(struct x86_fixture *f, uint16_t fcw, const struct ext *v, unsigned n)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    x86_fpu_init_x87(&s.fpu);
    s.fpu.fcw = fcw;
    s.fpu.fsw = (uint16_t)((8 - n) % 8 << X86_FSW_TOP_SHIFT);
    for (unsigned i = 0; i < n; i++)
        put(&s.fpu, 7 - i, v[i]);
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

static int step(struct x86_fixture *f, uint8_t a, uint8_t b)
{
    const uint8_t code[] = {a, b};
    x86_fixture_code(f, code, sizeof code);
    return x86_fixture_step(f);
}

static void assert_st(struct x86_fixture *f, unsigned i, struct ext want)
{
    struct x86_fpu fpu = fpu_of(f);
    unsigned phys = (x86_fpu_top(&fpu) + i) & 7;
    uint64_t mant;
    uint16_t se;
    memcpy(&mant, fpu.st[phys], 8);
    memcpy(&se, fpu.st[phys] + 8, 2);
    assert_int_equal(se, want.se);
    assert_true(mant == want.mant);
}

static unsigned exceptions(struct x86_fixture *f)
{
    return fpu_of(f).fsw & (X86_FSW_EXC | X86_FSW_SF);
}

static unsigned depth(struct x86_fixture *f)
{
    struct x86_fpu fpu = fpu_of(f);
    return (unsigned)__builtin_popcount(fpu.ftw);
}

static void loading_a_constant_pushes_it(void **state)
{
    stack(*state, MASKED, NULL, 0);
    assert_int_equal(step(*state, 0xd9, 0xe8), X86_FIXTURE_OK); /* FLD1 */
    assert_st(*state, 0, one);
    assert_int_equal(fpu_of(*state).ftw, 0x80);
    assert_int_equal(fpu_of(*state).fsw, 7 << X86_FSW_TOP_SHIFT);
}

static void arithmetic_uses_both_registers_in_order(void **state)
{
    const struct ext v[] = {two, one};
    stack(*state, MASKED, v, 2);
    assert_int_equal(step(*state, 0xd8, 0xf1), X86_FIXTURE_OK); /* FDIV ST, ST(1) */
    assert_st(*state, 0, (struct ext){0x3ffe, TOP_BIT});
    assert_st(*state, 1, two);
}

static void popping_form_writes_below_and_pops(void **state)
{
    const struct ext v[] = {two, two, one};
    stack(*state, MASKED, v, 3);
    assert_int_equal(step(*state, 0xde, 0xc2), X86_FIXTURE_OK); /* FADDP ST(2) */
    assert_int_equal(depth(*state), 2);
    assert_st(*state, 1, (struct ext){0x4000, UINT64_C(0xc000000000000000)});
}

static void precision_control_shortens_the_result(void **state)
{
    const struct ext tiny = {0x3fff - 30, TOP_BIT}, v[] = {tiny, one};
    stack(*state, 0x007f, v, 2); /* 24 bits */
    assert_int_equal(step(*state, 0xd8, 0xc1), X86_FIXTURE_OK);
    assert_st(*state, 0, one);
    assert_int_equal(exceptions(*state), X86_FSW_PE);
}

static void rounding_control_is_the_guests(void **state)
{
    const struct ext tiny = {0x3fff - 30, TOP_BIT}, v[] = {tiny, one};
    stack(*state, 0x087f, v, 2); /* 24 bits, up */
    assert_int_equal(step(*state, 0xd8, 0xc1), X86_FIXTURE_OK);
    assert_st(*state, 0, (struct ext){0x3fff, TOP_BIT | UINT64_C(1) << 40});
    assert_true((fpu_of(*state).fsw & X86_FSW_C1) != 0);
}

static void masked_division_by_zero_gives_infinity(void **state)
{
    const struct ext v[] = {zero, one};
    stack(*state, MASKED, v, 2);
    assert_int_equal(step(*state, 0xd8, 0xf1), X86_FIXTURE_OK);
    assert_st(*state, 0, infinity);
    assert_int_equal(exceptions(*state), X86_FSW_ZE);
    assert_int_equal(fpu_of(*state).fsw & (X86_FSW_ES | X86_FSW_B), 0);
}

static void unmasked_division_by_zero_keeps_operands(void **state)
{
    const struct ext v[] = {zero, one};
    stack(*state, UNMASK(X86_FSW_ZE), v, 2);
    assert_int_equal(step(*state, 0xd8, 0xf1), X86_FIXTURE_OK);
    assert_st(*state, 0, one);
    assert_int_equal(fpu_of(*state).fsw & (X86_FSW_ZE | X86_FSW_ES | X86_FSW_B), X86_FSW_ZE | X86_FSW_ES | X86_FSW_B);
}

static void pending_exception_stops_the_next_waiting_instruction(void **state)
{
    const struct ext v[] = {zero, one};
    stack(*state, UNMASK(X86_FSW_ZE), v, 2);
    assert_int_equal(step(*state, 0xd8, 0xf1), X86_FIXTURE_OK);
    assert_int_equal(step(*state, 0xdf, 0xe0), X86_FIXTURE_OK); /* FNSTSW AX does not wait */
    assert_int_equal(step(*state, 0xd9, 0xe8), X86_MF);
    assert_int_equal(step(*state, 0x9b, 0x90), X86_MF);
    assert_int_equal(depth(*state), 2);
}

static void unmasked_overflow_wraps_the_exponent(void **state)
{
    const struct ext v[] = {huge, huge};
    stack(*state, UNMASK(X86_FSW_OE), v, 2);
    assert_int_equal(step(*state, 0xd8, 0xc9), X86_FIXTURE_OK);
    /* The exponents' sum less the bias and 24576. */
    assert_st(*state, 0, (struct ext){0x7ffe + 0x7ffe - 0x3fff - 0x6000, TOP_BIT});
    assert_int_equal(exceptions(*state), X86_FSW_OE);
}

static void empty_operand_is_a_stack_fault(void **state)
{
    stack(*state, MASKED, &one, 1);
    assert_int_equal(step(*state, 0xd8, 0xc1), X86_FIXTURE_OK);
    assert_st(*state, 0, indefinite);
    assert_int_equal(exceptions(*state), X86_FSW_IE | X86_FSW_SF);
    assert_int_equal(fpu_of(*state).fsw & X86_FSW_C1, 0);
}

static void push_on_a_full_stack_is_an_overflow(void **state)
{
    const struct ext v[] = {one, one, one, one, one, one, one, one};
    stack(*state, MASKED, v, 8);
    assert_int_equal(step(*state, 0xd9, 0xe8), X86_FIXTURE_OK);
    assert_st(*state, 0, indefinite);
    assert_int_equal(exceptions(*state), X86_FSW_IE | X86_FSW_SF);
    assert_true((fpu_of(*state).fsw & X86_FSW_C1) != 0);
}

static void flags_of_earlier_instructions_stay(void **state)
{
    const struct ext v[] = {zero, one};
    stack(*state, MASKED, v, 2);
    assert_int_equal(step(*state, 0xd8, 0xf1), X86_FIXTURE_OK);
    assert_int_equal(step(*state, 0xd9, 0xe0), X86_FIXTURE_OK);
    assert_int_equal(exceptions(*state), X86_FSW_ZE);
}

static void integer_and_packed_decimal_go_round(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t bcd[] = {0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0x80};
    const int64_t minus = -3;
    stack(f, MASKED, NULL, 0);
    memcpy(f->mem + DATA, &minus, 8);
    assert_int_equal(step(f, 0xdf, 0x2e), X86_FIXTURE_OK); /* FILD m64 */
    assert_st(f, 0, minus_three);
    assert_int_equal(step(f, 0xdf, 0x36), X86_FIXTURE_OK); /* FBSTP */
    assert_memory_equal(f->mem + DATA, bcd, 10);
    assert_int_equal(step(f, 0xdf, 0x26), X86_FIXTURE_OK); /* FBLD */
    assert_st(f, 0, minus_three);
    assert_int_equal(step(f, 0xdd, 0x0e), X86_FIXTURE_OK); /* FISTTP m64 */
    assert_memory_equal(f->mem + DATA, &minus, 8);
    assert_int_equal(depth(f), 0);
}

static void store_writes_its_own_bytes_only(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t want[] = {0, 0, 0x80, 0x3e, 0xaa};
    stack(f, MASKED, &quarter, 1);
    memset(f->mem + DATA, 0xaa, 16);
    assert_int_equal(step(f, 0xd9, 0x16), X86_FIXTURE_OK); /* FST m32 */
    assert_memory_equal(f->mem + DATA, want, sizeof want);
    assert_int_equal(depth(f), 1);
}

static void unmasked_invalid_store_changes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t want[] = {0xaa, 0xaa, 0xaa, 0xaa};
    stack(f, UNMASK(X86_FSW_IE), &huge, 1);
    memset(f->mem + DATA, 0xaa, 16);
    assert_int_equal(step(f, 0xdb, 0x1e), X86_FIXTURE_OK); /* FISTP m32 */
    assert_memory_equal(f->mem + DATA, want, sizeof want);
    assert_st(f, 0, huge);
    assert_int_equal(depth(f), 1);
}

static void unmasked_precision_still_stores(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t want[] = {0, 0};
    stack(f, UNMASK(X86_FSW_PE), &quarter, 1);
    memset(f->mem + DATA, 0xaa, 16);
    assert_int_equal(step(f, 0xdf, 0x1e), X86_FIXTURE_OK); /* FISTP m16 */
    assert_memory_equal(f->mem + DATA, want, sizeof want);
    assert_int_equal(depth(f), 0);
}

static void protect_data(struct x86_fixture *f)
{
    *x86_fixture_pte(f, DATA) &= ~UINT64_C(2);
    x86_fixture_flush(f);
}

static void faulting_store_leaves_the_stack(void **state)
{
    struct x86_fixture *f = *state;
    stack(f, MASKED, &one, 1);
    protect_data(f);
    assert_int_equal(step(f, 0xdd, 0x1e), X86_PF); /* FSTP m64 */
    assert_st(f, 0, one);
    assert_int_equal(depth(f), 1);
}

static void store_that_would_not_happen_faults_too(void **state)
{
    struct x86_fixture *f = *state;
    stack(f, UNMASK(X86_FSW_IE), &huge, 1);
    protect_data(f);
    assert_int_equal(step(f, 0xdb, 0x1e), X86_PF);
    assert_int_equal(exceptions(f), 0);
}

static void faulting_load_does_not_push(void **state)
{
    struct x86_fixture *f = *state;
    stack(f, MASKED, NULL, 0);
    *x86_fixture_pte(f, DATA) = 0;
    x86_fixture_flush(f);
    assert_int_equal(step(f, 0xdb, 0x2e), X86_PF); /* FLD m80 */
    assert_int_equal(depth(f), 0);
}

static void compare_to_flags(void **state)
{
    const struct ext v[] = {two, one};
    stack(*state, MASKED, v, 2);
    x86_fixture_set_flags(*state, X86_FL_ARITH);
    assert_int_equal(step(*state, 0xdb, 0xf1), X86_FIXTURE_OK); /* FCOMI */
    assert_int_equal(x86_fixture_flags(*state) & X86_FL_ARITH, X86_FL_CF);
}

static void unordered_compare_to_flags_sets_three(void **state)
{
    const struct ext v[] = {indefinite, one};
    stack(*state, UNMASK(X86_FSW_IE), v, 2);
    assert_int_equal(step(*state, 0xdf, 0xf1), X86_FIXTURE_OK); /* FCOMIP */
    assert_int_equal(x86_fixture_flags(*state) & X86_FL_ARITH, X86_FL_CF | X86_FL_PF | X86_FL_ZF);
    assert_int_equal(depth(*state), 2);
}

static void conditional_move_looks_at_the_guests_flags(void **state)
{
    const struct ext v[] = {two, one};
    stack(*state, MASKED, v, 2);
    assert_int_equal(step(*state, 0xda, 0xc9), X86_FIXTURE_OK); /* FCMOVE */
    assert_st(*state, 0, one);
    x86_fixture_set_flags(*state, X86_FL_ZF);
    assert_int_equal(step(*state, 0xda, 0xc9), X86_FIXTURE_OK);
    assert_st(*state, 0, two);
}

static void examine_tells_a_denormal(void **state)
{
    stack(*state, MASKED, &denormal, 1);
    assert_int_equal(step(*state, 0xd9, 0xe5), X86_FIXTURE_OK);
    unsigned bits = X86_FSW_C3 | X86_FSW_C2 | X86_FSW_C1 | X86_FSW_C0;
    assert_int_equal(fpu_of(*state).fsw & bits, X86_FSW_C3 | X86_FSW_C2);
}

static void pointers_follow_instructions_and_operands(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t code[] = {0x3e, 0xdd, 0x06, 0xd9, 0xe0};
    stack(f, MASKED, NULL, 0);
    x86_fixture_code(f, code, sizeof code);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fip, X86_FIXTURE_CODE);
    assert_int_equal(fpu_of(f).fop, 0x506);
    assert_int_equal(fpu_of(f).fdp, DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fip, X86_FIXTURE_CODE + 3);
    assert_int_equal(fpu_of(f).fop, 0x1e0);
    assert_int_equal(fpu_of(f).fdp, DATA);
}

static void emulation_and_task_switch_make_it_unavailable(void **state)
{
    stack(*state, MASKED, NULL, 0);
    set_cr0(*state, X86_CR0_EM, 0);
    assert_int_equal(step(*state, 0xd9, 0xe8), X86_NM);
    set_cr0(*state, X86_CR0_TS, X86_CR0_EM);
    assert_int_equal(step(*state, 0xdb, 0xe3), X86_NM); /* FNINIT */
    assert_int_equal(depth(*state), 0);
}

static void wait_needs_both_bits_to_be_unavailable(void **state)
{
    set_cr0(*state, X86_CR0_EM | X86_CR0_MP, X86_CR0_TS);
    assert_int_equal(step(*state, 0x9b, 0x90), X86_FIXTURE_OK);
    set_cr0(*state, X86_CR0_TS, X86_CR0_MP | X86_CR0_EM);
    assert_int_equal(step(*state, 0x9b, 0x90), X86_FIXTURE_OK);
    set_cr0(*state, X86_CR0_TS | X86_CR0_MP, 0);
    assert_int_equal(step(*state, 0x9b, 0x90), X86_NM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(loading_a_constant_pushes_it),
        CASE(arithmetic_uses_both_registers_in_order),
        CASE(popping_form_writes_below_and_pops),
        CASE(precision_control_shortens_the_result),
        CASE(rounding_control_is_the_guests),
        CASE(masked_division_by_zero_gives_infinity),
        CASE(unmasked_division_by_zero_keeps_operands),
        CASE(pending_exception_stops_the_next_waiting_instruction),
        CASE(unmasked_overflow_wraps_the_exponent),
        CASE(empty_operand_is_a_stack_fault),
        CASE(push_on_a_full_stack_is_an_overflow),
        CASE(flags_of_earlier_instructions_stay),
        CASE(integer_and_packed_decimal_go_round),
        CASE(store_writes_its_own_bytes_only),
        CASE(unmasked_invalid_store_changes_nothing),
        CASE(unmasked_precision_still_stores),
        CASE(faulting_store_leaves_the_stack),
        CASE(store_that_would_not_happen_faults_too),
        CASE(faulting_load_does_not_push),
        CASE(compare_to_flags),
        CASE(unordered_compare_to_flags_sets_three),
        CASE(conditional_move_looks_at_the_guests_flags),
        CASE(examine_tells_a_denormal),
        CASE(pointers_follow_instructions_and_operands),
        CASE(emulation_and_task_switch_make_it_unavailable),
        CASE(wait_needs_both_bits_to_be_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
