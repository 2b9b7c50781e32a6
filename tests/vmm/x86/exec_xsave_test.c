/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/fpu.h"

#define DATA      X86_FIXTURE_DATA
#define PAGE_END  (DATA + 0x1000)
#define FILL      0xaa
#define COMPACTED (UINT64_C(1) << 63)

/* 64-bit forms with the operand at RSI. */
#define FXSAVE   0x48, 0x0f, 0xae, 0x06
#define FXRSTOR  0x48, 0x0f, 0xae, 0x0e
#define XSAVE    0x48, 0x0f, 0xae, 0x26
#define XRSTOR   0x48, 0x0f, 0xae, 0x2e
#define XSAVEOPT 0x48, 0x0f, 0xae, 0x36
#define XSAVEC   0x48, 0x0f, 0xc7, 0x26
#define XSAVES   0x48, 0x0f, 0xc7, 0x2e
#define XRSTORS  0x48, 0x0f, 0xc7, 0x1e
#define LDMXCSR  0x0f, 0xae, 0x16
#define STMXCSR  0x0f, 0xae, 0x1e

/* The legacy area and header of an image in memory. */
struct area {
    uint16_t fcw, fsw;
    uint8_t ftw, zero;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16], xmm[16][16], software[96];
    uint64_t bv, comp, reserved[6];
};

/* ST(0) in register 5, XMM0 and XMM9 not zero, MXCSR not initial. */
static struct x86_fixture *make(enum x86_fixture_mode mode)
{
    struct x86_fixture *f = x86_fixture_new(mode);
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.cr4 |= X86_CR4_OSXSAVE;
    s.xcr0 = 3;
    x86_fpu_init_x87(&s.fpu);
    memset(s.fpu.st, 0, sizeof s.fpu.st);
    s.fpu.fsw = 5 << X86_FSW_TOP_SHIFT;
    s.fpu.ftw = 0x20;
    s.fpu.st[5][0] = 0x55;
    s.fpu.fop = 0x123, s.fpu.fip = 0x123456789abc, s.fpu.fdp = 0x23456789abcd, s.fpu.fcs = 0x33, s.fpu.fds = 0x2b;
    s.fpu.mxcsr = 0x1fa0;
    s.fpu.vec[0][0] = 0x11, s.fpu.vec[9][1] = 0x99;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_cpu_set_gpr(f->cpu, X86_RSI, DATA);
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0xffffffffffffffff));
    memset(f->mem + DATA, FILL, 0x2000);
    return f;
}

static int setup(void **state)
{
    *state = make(X86_FIXTURE_LONG64);
    return 0;
}

static int setup_compat(void **state)
{
    *state = make(X86_FIXTURE_COMPAT);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static int step(struct x86_fixture *f, const uint8_t *code, size_t n)
{
    x86_fixture_code(f, code, n);
    return x86_fixture_step(f);
}

#define STEP(f, ...) step(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static struct x86_state state_of(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s;
}

static struct x86_fpu fpu_of(struct x86_fixture *f)
{
    return state_of(f).fpu;
}

static void set_state(struct x86_fixture *f, const struct x86_state *s)
{
    assert_int_equal(x86_cpu_set_state(f->cpu, s), 0);
}

static void request(struct x86_fixture *f, uint64_t bits)
{
    x86_cpu_set_gpr(f->cpu, X86_RAX, (uint32_t)bits);
    x86_cpu_set_gpr(f->cpu, X86_RDX, bits >> 32);
}

static struct area area_of(const struct x86_fixture *f)
{
    struct area a;
    memcpy(&a, f->mem + DATA, sizeof a);
    return a;
}

/* An image that every restore accepts. */
static struct area good_area(void)
{
    struct area a = {.fcw = X86_FCW_INIT, .mxcsr = X86_MXCSR_INIT, .bv = 3};
    a.st[0][0] = 0x77;
    a.ftw = 0x01;
    a.xmm[0][0] = 0x66;
    return a;
}

static void put_area(struct x86_fixture *f, const struct area *a)
{
    memcpy(f->mem + DATA, a, sizeof *a);
}

static bool untouched(const struct x86_fixture *f, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (f->mem[DATA + i] != FILL)
            return false;
    return true;
}

static void assert_unchanged(struct x86_fixture *f, const struct x86_fpu *before)
{
    struct x86_fpu after = fpu_of(f);
    assert_memory_equal(&after, before, sizeof after);
}

/* ---- FXSAVE, FXRSTOR ---- */

static void fxsave_writes_416_bytes_in_stack_order(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(STEP(f, FXSAVE), X86_FIXTURE_OK);
    struct area a = area_of(f);
    assert_int_equal(a.fcw, X86_FCW_INIT);
    assert_int_equal(a.fsw, 5 << X86_FSW_TOP_SHIFT);
    assert_int_equal(a.ftw, 0x20);
    assert_int_equal(a.zero, 0);
    assert_int_equal(a.st[0][0], 0x55);
    assert_int_equal(a.mxcsr, 0x1fa0);
    assert_int_equal(a.mxcsr_mask, X86_MXCSR_MASK);
    assert_int_equal(a.xmm[9][8], 0x99);
    assert_true(untouched(f, 416, 600));
}

static void pointers_are_saved_while_an_exception_is_pending(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s = state_of(f);
    assert_int_equal(STEP(f, FXSAVE), X86_FIXTURE_OK);
    assert_true((area_of(f).fip | area_of(f).fdp | area_of(f).fop) == 0);
    s.fpu.fcw = 0x37e;
    s.fpu.fsw = X86_FSW_IE | X86_FSW_ES | X86_FSW_B;
    set_state(f, &s);
    assert_int_equal(STEP(f, FXSAVE), X86_FIXTURE_OK);
    assert_true(area_of(f).fip == 0x123456789abc);
    assert_true(area_of(f).fdp == 0x23456789abcd);
    assert_int_equal(area_of(f).fop, 0x123);
    assert_int_equal(STEP(f, 0x0f, 0xae, 0x06), X86_FIXTURE_OK);
    assert_true(area_of(f).fip == UINT64_C(0x3356789abc));
    assert_true(area_of(f).fdp == UINT64_C(0x2b6789abcd));
}

static void fxsave_and_fxrstor_go_round(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    struct x86_state s = state_of(f);
    assert_int_equal(STEP(f, FXSAVE), X86_FIXTURE_OK);
    memset(&s.fpu, 0, sizeof s.fpu);
    set_state(f, &s);
    assert_int_equal(STEP(f, FXRSTOR), X86_FIXTURE_OK);
    struct x86_fpu after = fpu_of(f);
    assert_memory_equal(after.st, before.st, sizeof after.st);
    assert_memory_equal(after.vec, before.vec, sizeof after.vec);
    assert_int_equal(after.fsw, before.fsw);
    assert_int_equal(after.ftw, before.ftw);
    assert_int_equal(after.mxcsr, before.mxcsr);
}

static void fxsave_wants_16_byte_alignment(void **state)
{
    x86_cpu_set_gpr(((struct x86_fixture *)*state)->cpu, X86_RSI, DATA + 8);
    assert_int_equal(STEP(*state, FXSAVE), X86_GP);
    assert_int_equal(STEP(*state, FXRSTOR), X86_GP);
}

static void fxrstor_refuses_reserved_mxcsr_bits(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    struct area a = good_area();
    a.mxcsr |= 0x10000;
    put_area(f, &a);
    assert_int_equal(STEP(f, FXRSTOR), X86_GP);
    assert_unchanged(f, &before);
}

static void fxrstor_makes_a_possible_control_word(void **state)
{
    struct x86_fixture *f = *state;
    struct area a = good_area();
    a.fcw = 0xffbf;
    a.fsw = 0x8081;
    a.fip = UINT64_C(0x0123456789abcdef); /* 57 bits, sign-extended */
    put_area(f, &a);
    assert_int_equal(STEP(f, FXRSTOR), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fcw, 0x1f7f);
    assert_int_equal(fpu_of(f).fsw, 0x0001);
    assert_true(fpu_of(f).fip == UINT64_C(0xff23456789abcdef));
}

static void faulting_fxsave_writes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RSI, PAGE_END - 256);
    *x86_fixture_pte(f, PAGE_END) = 0;
    x86_fixture_flush(f);
    assert_int_equal(STEP(f, FXSAVE), X86_PF);
    assert_int_equal(f->event.cr2, PAGE_END + 255);
    assert_true(untouched(f, 0, 0x1000));
}

static void eight_xmm_registers_outside_64_bit_mode(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(STEP(f, 0x0f, 0xae, 0x06), X86_FIXTURE_OK);
    assert_int_equal(area_of(f).xmm[0][0], 0x11);
    assert_true(untouched(f, 160 + 128, 512));
    struct area a = good_area();
    put_area(f, &a);
    assert_int_equal(STEP(f, 0x0f, 0xae, 0x0e), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).vec[0][0], 0x66);
    assert_int_equal(fpu_of(f).vec[9][1], 0x99);
}

static void fxsave_without_osfxsr_has_no_sse(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s = state_of(f);
    s.cr4 &= ~(uint64_t)X86_CR4_OSFXSR;
    set_state(f, &s);
    assert_int_equal(STEP(f, FXSAVE), X86_FIXTURE_OK);
    assert_true(untouched(f, 24, 32));
    assert_true(untouched(f, 160, 512));
    assert_int_equal(area_of(f).st[0][0], 0x55);
}

static void set_cr0(struct x86_fixture *f, uint64_t set, uint64_t clear)
{
    struct x86_state s = state_of(f);
    s.cr0 = (s.cr0 & ~clear) | set;
    set_state(f, &s);
}

static void fxsave_is_unavailable_under_em_and_ts(void **state)
{
    set_cr0(*state, X86_CR0_EM, 0);
    assert_int_equal(STEP(*state, FXSAVE), X86_NM);
    set_cr0(*state, X86_CR0_TS, X86_CR0_EM);
    assert_int_equal(STEP(*state, FXRSTOR), X86_NM);
}

/* ---- XSAVE, XSAVEOPT, XSAVEC ---- */

static void xsave_needs_osxsave(void **state)
{
    struct x86_state s = state_of(*state);
    s.cr4 &= ~(uint64_t)X86_CR4_OSXSAVE;
    set_state(*state, &s);
    assert_int_equal(STEP(*state, XSAVE), X86_UD);
    assert_int_equal(STEP(*state, XRSTOR), X86_UD);
}

static void xsave_is_unavailable_under_ts_only(void **state)
{
    set_cr0(*state, X86_CR0_TS, 0);
    assert_int_equal(STEP(*state, XSAVE), X86_NM);
    set_cr0(*state, X86_CR0_EM, X86_CR0_TS);
    assert_int_equal(STEP(*state, XSAVE), X86_FIXTURE_OK);
}

static void xsave_wants_64_byte_alignment(void **state)
{
    x86_cpu_set_gpr(((struct x86_fixture *)*state)->cpu, X86_RSI, DATA + 16);
    assert_int_equal(STEP(*state, XSAVE), X86_GP);
    assert_int_equal(STEP(*state, XRSTOR), X86_GP);
}

static void xsave_keeps_what_was_not_requested(void **state)
{
    struct x86_fixture *f = *state;
    request(f, 1);
    assert_int_equal(STEP(f, XSAVE), X86_FIXTURE_OK);
    assert_true(untouched(f, 24, 32));
    assert_true(untouched(f, 160, 512));
    assert_true(untouched(f, 520, 600));
    assert_true(area_of(f).bv == UINT64_C(0xaaaaaaaaaaaaaaab));
}

static void xsave_writes_initial_state_and_says_so(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s = state_of(f);
    x86_fpu_init_x87(&s.fpu);
    memset(s.fpu.st, 0, sizeof s.fpu.st);
    set_state(f, &s);
    assert_int_equal(STEP(f, XSAVE), X86_FIXTURE_OK);
    assert_int_equal(area_of(f).fcw, X86_FCW_INIT);
    assert_int_equal(area_of(f).bv & 3, 2);
}

static void xsaveopt_skips_initial_state_but_writes_mxcsr(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s = state_of(f);
    memset(s.fpu.vec, 0, sizeof s.fpu.vec);
    set_state(f, &s);
    assert_int_equal(STEP(f, XSAVEOPT), X86_FIXTURE_OK);
    assert_int_equal(area_of(f).mxcsr, 0x1fa0);
    assert_true(untouched(f, 160, 512));
    assert_int_equal(area_of(f).bv & 3, 1); /* MXCSR does not count */
}

static void xsavec_counts_mxcsr_and_makes_the_header(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s = state_of(f);
    memset(s.fpu.vec, 0, sizeof s.fpu.vec);
    set_state(f, &s);
    request(f, 2);
    assert_int_equal(STEP(f, XSAVEC), X86_FIXTURE_OK);
    assert_true(area_of(f).bv == 2);
    assert_true(area_of(f).comp == (COMPACTED | 2));
    assert_true(untouched(f, 0, 24));
    assert_true(untouched(f, 528, 600));
}

static void disabled_components_are_not_requested(void **state)
{
    struct x86_fixture *f = *state;
    request(f, UINT64_MAX);
    assert_int_equal(STEP(f, XSAVEC), X86_FIXTURE_OK);
    assert_true(area_of(f).comp == (COMPACTED | 3));
}

static void faulting_xsave_writes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RSI, PAGE_END - 512);
    *x86_fixture_pte(f, PAGE_END) = 0;
    x86_fixture_flush(f);
    assert_int_equal(STEP(f, XSAVE), X86_PF);
    assert_int_equal(f->event.cr2, PAGE_END + 63);
    assert_true(untouched(f, 0, 0x1000));
}

/* ---- XRSTOR ---- */

static void xrstor_initialises_what_the_image_lacks(void **state)
{
    struct x86_fixture *f = *state;
    struct area a = good_area();
    a.bv = 2;
    put_area(f, &a);
    assert_int_equal(STEP(f, XRSTOR), X86_FIXTURE_OK);
    struct x86_fpu fpu = fpu_of(f);
    assert_int_equal(fpu.fcw, X86_FCW_INIT);
    assert_int_equal(fpu.ftw | fpu.fsw | fpu.st[5][0] | fpu.fop, 0);
    assert_int_equal(fpu.vec[0][0], 0x66);
    assert_int_equal(fpu.vec[9][1], 0);
}

static void xrstor_leaves_what_was_not_requested(void **state)
{
    struct x86_fixture *f = *state;
    struct area a = good_area();
    put_area(f, &a);
    request(f, 1);
    assert_int_equal(STEP(f, XRSTOR), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).st[0][0], 0x77);
    assert_int_equal(fpu_of(f).vec[0][0], 0x11);
    assert_int_equal(fpu_of(f).mxcsr, 0x1fa0);
}

static void standard_form_always_carries_mxcsr(void **state)
{
    struct x86_fixture *f = *state;
    struct area a = good_area();
    a.bv = 0;
    a.mxcsr = 0x1f81;
    put_area(f, &a);
    assert_int_equal(STEP(f, XRSTOR), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).mxcsr, 0x1f81);
    assert_int_equal(fpu_of(f).vec[0][0], 0);
}

static void compacted_form_initialises_mxcsr_with_sse(void **state)
{
    struct x86_fixture *f = *state;
    struct area a = good_area();
    a.bv = 1;
    a.comp = COMPACTED | 3;
    a.mxcsr = UINT32_C(0x80000000); /* not looked at */
    put_area(f, &a);
    assert_int_equal(STEP(f, XRSTOR), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).mxcsr, X86_MXCSR_INIT);
    assert_int_equal(fpu_of(f).st[0][0], 0x77);
}

static void xrstor_refuses_bad_headers(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    const struct {
        uint64_t bv, comp;
        unsigned reserved; /* 1 + index of a word that is not zero */
    } bad[] = {
        {4, 0, 0},             /* not enabled */
        {3, 1, 0},             /* standard form with a compaction mask */
        {3, 0, 1},             /* reserved in both forms */
        {3, COMPACTED | 1, 0}, /* present but without a place */
        {0, COMPACTED | 4, 0}, /* place of a component that is not enabled */
        {3, COMPACTED | 3, 6}, /* reserved in the compacted form */
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct area a = good_area();
        a.bv = bad[i].bv;
        a.comp = bad[i].comp;
        if (bad[i].reserved != 0)
            a.reserved[bad[i].reserved - 1] = 1;
        put_area(f, &a);
        assert_int_equal(STEP(f, XRSTOR), X86_GP);
        assert_unchanged(f, &before);
    }
}

static void standard_form_ignores_the_headers_end(void **state)
{
    struct area a = good_area();
    a.reserved[5] = 1;
    put_area(*state, &a);
    assert_int_equal(STEP(*state, XRSTOR), X86_FIXTURE_OK);
}

static void xrstor_refuses_reserved_mxcsr_bits(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    struct area a = good_area();
    a.bv = 0;
    a.mxcsr = UINT32_C(0x80000000);
    put_area(f, &a);
    assert_int_equal(STEP(f, XRSTOR), X86_GP);
    assert_unchanged(f, &before);
    request(f, 1);
    assert_int_equal(STEP(f, XRSTOR), X86_FIXTURE_OK);
}

static void faulting_xrstor_changes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    x86_cpu_set_gpr(f->cpu, X86_RSI, PAGE_END - 256);
    *x86_fixture_pte(f, PAGE_END) = 0;
    x86_fixture_flush(f);
    assert_int_equal(STEP(f, XRSTOR), X86_PF);
    assert_int_equal(f->event.cr2, PAGE_END + 256); /* the header comes first */
    assert_unchanged(f, &before);
}

/* ---- Supervisor forms ---- */

static void supervisor_forms_go_round(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    struct x86_state s = state_of(f);
    assert_int_equal(STEP(f, XSAVES), X86_FIXTURE_OK);
    assert_true(area_of(f).comp == (COMPACTED | 3));
    memset(f->mem + DATA + 528, 0, 48);
    s.fpu.mxcsr = X86_MXCSR_INIT;
    memset(s.fpu.vec, 0, sizeof s.fpu.vec);
    set_state(f, &s);
    assert_int_equal(STEP(f, XRSTORS), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).mxcsr, before.mxcsr);
    assert_memory_equal(fpu_of(f).vec, before.vec, sizeof before.vec);
}

static void supervisor_forms_need_privilege(void **state)
{
    x86_fixture_set_user(*state);
    assert_int_equal(STEP(*state, XSAVES), X86_GP);
    assert_int_equal(STEP(*state, XRSTORS), X86_GP);
    assert_int_equal(STEP(*state, XSAVEC), X86_FIXTURE_OK);
}

static void xrstors_takes_the_compacted_form_only(void **state)
{
    struct area a = good_area();
    put_area(*state, &a);
    assert_int_equal(STEP(*state, XRSTORS), X86_GP);
}

/* ---- MXCSR and sizes ---- */

static void mxcsr_goes_to_and_from_memory(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t value[] = {0xff, 0xff, 0, 0}, want[] = {0xff, 0xff, 0, 0, FILL};
    memcpy(f->mem + DATA, value, 4);
    assert_int_equal(STEP(f, LDMXCSR), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).mxcsr, 0xffff);
    memset(f->mem + DATA, FILL, 4);
    assert_int_equal(STEP(f, STMXCSR), X86_FIXTURE_OK);
    assert_memory_equal(f->mem + DATA, want, sizeof want);
}

static void reserved_mxcsr_bits_are_refused(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t value[] = {0x80, 0x1f, 2, 0};
    memcpy(f->mem + DATA, value, 4);
    assert_int_equal(STEP(f, LDMXCSR), X86_GP);
    assert_int_equal(fpu_of(f).mxcsr, 0x1fa0);
}

static void mxcsr_needs_osfxsr(void **state)
{
    struct x86_state s = state_of(*state);
    s.cr4 &= ~(uint64_t)X86_CR4_OSFXSR;
    set_state(*state, &s);
    assert_int_equal(STEP(*state, STMXCSR), X86_UD);
}

static void area_holds_legacy_part_and_header(void **state)
{
    (void)state;
    assert_int_equal(x86_xsave_size(3, false), 576);
    assert_int_equal(x86_xsave_size(3, true), 576);
    assert_int_equal(x86_xsave_size(0, true), 576);
}

#define CASE(name)        cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_COMPAT(name) cmocka_unit_test_setup_teardown(name, setup_compat, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(fxsave_writes_416_bytes_in_stack_order),
        CASE(pointers_are_saved_while_an_exception_is_pending),
        CASE(fxsave_and_fxrstor_go_round),
        CASE(fxsave_wants_16_byte_alignment),
        CASE(fxrstor_refuses_reserved_mxcsr_bits),
        CASE(fxrstor_makes_a_possible_control_word),
        CASE(faulting_fxsave_writes_nothing),
        CASE_COMPAT(eight_xmm_registers_outside_64_bit_mode),
        CASE(fxsave_without_osfxsr_has_no_sse),
        CASE(fxsave_is_unavailable_under_em_and_ts),
        CASE(xsave_needs_osxsave),
        CASE(xsave_is_unavailable_under_ts_only),
        CASE(xsave_wants_64_byte_alignment),
        CASE(xsave_keeps_what_was_not_requested),
        CASE(xsave_writes_initial_state_and_says_so),
        CASE(xsaveopt_skips_initial_state_but_writes_mxcsr),
        CASE(xsavec_counts_mxcsr_and_makes_the_header),
        CASE(disabled_components_are_not_requested),
        CASE(faulting_xsave_writes_nothing),
        CASE(xrstor_initialises_what_the_image_lacks),
        CASE(xrstor_leaves_what_was_not_requested),
        CASE(standard_form_always_carries_mxcsr),
        CASE(compacted_form_initialises_mxcsr_with_sse),
        CASE(xrstor_refuses_bad_headers),
        CASE(standard_form_ignores_the_headers_end),
        CASE(xrstor_refuses_reserved_mxcsr_bits),
        CASE(faulting_xrstor_changes_nothing),
        CASE(supervisor_forms_go_round),
        CASE(supervisor_forms_need_privilege),
        CASE(xrstors_takes_the_compacted_form_only),
        CASE(mxcsr_goes_to_and_from_memory),
        CASE(reserved_mxcsr_bits_are_refused),
        CASE(mxcsr_needs_osfxsr),
        cmocka_unit_test(area_holds_legacy_part_and_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
