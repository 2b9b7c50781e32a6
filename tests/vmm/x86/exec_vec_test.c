/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"
#include "vmm/x86/fpu.h"

/* Instructions below address memory as [rbx], which is here. */
#define DATA X86_FIXTURE_DATA

#define ONE_F   UINT32_C(0x3f800000)
#define THREE_F UINT32_C(0x40400000)
#define MAX_F   UINT32_C(0x7f7fffff)
#define QNAN_F  UINT32_C(0x7fc00000)
#define SNAN_F  UINT32_C(0x7f800001)

static int setup(void **state)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_cpu_set_gpr(f->cpu, X86_RBX, DATA);
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT;
    f->cpu->fpu.fcw = X86_FCW_INIT;
    f->cpu->fpu.ftw = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

#define RUN(f, ...) run(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static int run(struct x86_fixture *f, const uint8_t *code, size_t n)
{
    x86_fixture_code(f, code, n);
    return x86_fixture_step(f);
}

static void set_xmm(struct x86_fixture *f, unsigned n, uint64_t high, uint64_t low)
{
    f->cpu->fpu.vec[n][0] = low;
    f->cpu->fpu.vec[n][1] = high;
}

static void set_lanes(struct x86_fixture *f, unsigned n, uint32_t d3, uint32_t d2, uint32_t d1, uint32_t d0)
{
    set_xmm(f, n, (uint64_t)d3 << 32 | d2, (uint64_t)d1 << 32 | d0);
}

static void set_mm(struct x86_fixture *f, unsigned n, uint64_t v)
{
    x86_mmx_set(f->cpu, n, v);
}

static void set_data(struct x86_fixture *f, unsigned off, uint64_t v)
{
    memcpy(f->mem + DATA + off, &v, 8);
}

static uint64_t data(struct x86_fixture *f, unsigned off)
{
    uint64_t v;
    memcpy(&v, f->mem + DATA + off, 8);
    return v;
}

#define assert_xmm(f, n, high, low)                                                                                    \
    do {                                                                                                               \
        assert_true((f)->cpu->fpu.vec[n][0] == (uint64_t)(low));                                                       \
        assert_true((f)->cpu->fpu.vec[n][1] == (uint64_t)(high));                                                      \
    } while (0)

#define assert_mm(f, n, value) assert_true(x86_mmx_get((f)->cpu, n) == (uint64_t)(value))

/* ---- Checks ---- */

static void sse_without_osfxsr_is_undefined(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->cr4 &= ~(uint64_t)X86_CR4_OSFXSR;
    assert_int_equal(RUN(f, 0x0f, 0x57, 0xc1), X86_UD); /* xorps xmm0, xmm1 */
}

static void mmx_does_not_need_osfxsr(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->cr4 &= ~(uint64_t)X86_CR4_OSFXSR;
    assert_int_equal(RUN(f, 0x0f, 0xef, 0xc1), X86_FIXTURE_OK); /* pxor mm0, mm1 */
}

static void task_switched_means_not_available(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->cr0 |= X86_CR0_TS;
    assert_int_equal(RUN(f, 0x0f, 0x57, 0xc1), X86_NM);
    assert_int_equal(RUN(f, 0x0f, 0xef, 0xc1), X86_NM);
}

static void emulation_means_undefined(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->cr0 |= X86_CR0_EM | X86_CR0_TS;
    assert_int_equal(RUN(f, 0x0f, 0x57, 0xc1), X86_UD);
    assert_int_equal(RUN(f, 0x0f, 0xef, 0xc1), X86_UD);
}

static void mmx_reports_a_pending_x87_exception(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fcw = 0x37e;
    f->cpu->fpu.fsw = 0x8081;
    assert_int_equal(RUN(f, 0x0f, 0xef, 0xc1), X86_MF);
    assert_int_equal(RUN(f, 0x0f, 0x57, 0xc1), X86_FIXTURE_OK);
}

static void integer_xmm_forms_need_sse2(void **state)
{
    struct x86_fixture *f = *state;
    x86_feature_set(&f->cpu->features, X86_F_SSE2, false);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0xfc, 0xc1), X86_UD);   /* paddb xmm0, xmm1 */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x6e, 0xc1), X86_UD);   /* movd xmm0, ecx */
    assert_int_equal(RUN(f, 0x0f, 0xfc, 0xc1), X86_FIXTURE_OK); /* paddb mm0, mm1 */
    assert_int_equal(RUN(f, 0x0f, 0x58, 0xc1), X86_FIXTURE_OK); /* addps xmm0, xmm1 */
}

/* ---- Alignment ---- */

static void sixteen_byte_operands_must_be_aligned(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RBX, DATA + 1);
    assert_int_equal(RUN(f, 0x0f, 0x58, 0x03), X86_GP);             /* addps xmm0, [rbx] */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0xfc, 0x03), X86_GP);       /* paddb xmm0, [rbx] */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x7f, 0x03), X86_GP);       /* movdqa [rbx], xmm0 */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x38, 0x2a, 0x03), X86_GP); /* movntdqa xmm0, [rbx] */
    assert_int_equal(f->event.error, 0);
}

static void exempt_operands_need_no_alignment(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RBX, DATA + 1);
    assert_int_equal(RUN(f, 0x0f, 0x10, 0x03), X86_FIXTURE_OK);                   /* movups xmm0, [rbx] */
    assert_int_equal(RUN(f, 0xf2, 0x0f, 0xf0, 0x03), X86_FIXTURE_OK);             /* lddqu xmm0, [rbx] */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x63, 0x03, 0x00), X86_FIXTURE_OK); /* pcmpistri xmm0, [rbx], 0 */
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0xe6, 0x03), X86_FIXTURE_OK);             /* cvtdq2pd xmm0, [rbx] */
}

static void a_store_may_cross_pages(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_C(0x1112131415161718), UINT64_C(0x2122232425262728));
    x86_cpu_set_gpr(f->cpu, X86_RBX, DATA + 0x1000 - 8);
    assert_int_equal(RUN(f, 0x0f, 0x11, 0x03), X86_FIXTURE_OK); /* movups [rbx], xmm0 */
    assert_true(data(f, 0x0ff8) == UINT64_C(0x2122232425262728));
    assert_true(data(f, 0x1000) == UINT64_C(0x1112131415161718));
}

/* ---- Moves ---- */

static void movss_from_memory_clears_the_rest(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_MAX, UINT64_MAX);
    set_data(f, 0, UINT64_C(0x1122334455667788));
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x10, 0x03), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 0x55667788);
}

static void movss_between_registers_merges(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_MAX, UINT64_MAX);
    set_xmm(f, 1, 0, 7);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x10, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, UINT64_MAX, UINT64_C(0xffffffff00000007));
}

static void movq_between_registers_clears_the_high_half(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_MAX, UINT64_MAX);
    set_xmm(f, 1, 5, 7);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x7e, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 7);
}

static void movhps_keeps_the_low_half(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, 1, 2);
    set_data(f, 0, 3);
    assert_int_equal(RUN(f, 0x0f, 0x16, 0x03), X86_FIXTURE_OK);
    assert_xmm(f, 0, 3, 2);
}

static void the_upper_half_of_ymm_stays(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.vec[0][2] = 0x55;
    assert_int_equal(RUN(f, 0x0f, 0x28, 0xc1), X86_FIXTURE_OK); /* movaps xmm0, xmm1 */
    assert_true(f->cpu->fpu.vec[0][2] == 0x55);
}

static void movd_takes_64_bits_under_rex_w(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_C(0x1122334455667788));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x6e, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 0x55667788);
    assert_int_equal(RUN(f, 0x66, 0x48, 0x0f, 0x6e, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, UINT64_C(0x1122334455667788));
}

static void pextrb_clears_the_rest_of_the_register(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_C(0xab00000000000000), 0);
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_MAX);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x14, 0xc1, 15), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == 0xab);
}

static void insertps_ignores_the_source_field_for_memory(void **state)
{
    struct x86_fixture *f = *state;
    set_data(f, 0, UINT64_C(0x2222222211111111));
    set_lanes(f, 0, 9, 9, 9, 9);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x21, 0x03, 0x51), X86_FIXTURE_OK); /* to 1, zero 0 */
    assert_xmm(f, 0, UINT64_C(0x0000000900000009), UINT64_C(0x1111111100000000));
}

/* ---- Masked stores ---- */

static void maskmovdqu_writes_only_selected_bytes(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_C(0x1112131415161718), UINT64_C(0x2122232425262728));
    set_xmm(f, 1, UINT64_C(0x8000000000000000), UINT64_C(0x000000000080807f));
    x86_cpu_set_gpr(f->cpu, X86_RDI, DATA);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0xf7, 0xc1), X86_FIXTURE_OK);
    assert_true(data(f, 0) == UINT64_C(0x0000000000262700));
    assert_true(data(f, 8) == UINT64_C(0x1100000000000000));
}

static void maskmovdqu_checks_all_bytes_even_unselected(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RDI, DATA + 0x1000 - 8);
    *x86_fixture_pte(f, DATA + 0x1000) &= ~UINT64_C(1);
    x86_fixture_flush(f);
    set_xmm(f, 0, 0, UINT64_MAX);
    set_xmm(f, 1, 0, 0x80);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0xf7, 0xc1), X86_PF);
    assert_true(f->event.cr2 == DATA + 0x1000);
    assert_true(data(f, 0x0ff8) == 0);
}

/* ---- MMX ---- */

static void an_mmx_write_makes_all_registers_valid(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fsw = 3 << X86_FSW_TOP_SHIFT;
    f->cpu->fpu.st[0][8] = 0;
    x86_cpu_set_gpr(f->cpu, X86_RCX, 5);
    assert_int_equal(RUN(f, 0x0f, 0x6e, 0xc1), X86_FIXTURE_OK); /* movd mm0, ecx */
    assert_int_equal(f->cpu->fpu.fsw, 0);
    assert_int_equal(f->cpu->fpu.ftw, 0xff);
    assert_int_equal(f->cpu->fpu.st[0][8], 0xff);
    assert_mm(f, 0, 5);
}

static void a_faulting_mmx_store_leaves_the_x87_state(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fsw = 3 << X86_FSW_TOP_SHIFT;
    *x86_fixture_pte(f, DATA) &= ~UINT64_C(1);
    x86_fixture_flush(f);
    assert_int_equal(RUN(f, 0x0f, 0x7f, 0x03), X86_PF); /* movq [rbx], mm0 */
    assert_int_equal(f->cpu->fpu.fsw, 3 << X86_FSW_TOP_SHIFT);
    assert_int_equal(f->cpu->fpu.ftw, 0);
}

static void emms_empties_all_registers(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fsw = 3 << X86_FSW_TOP_SHIFT;
    f->cpu->fpu.ftw = 0xff;
    assert_int_equal(RUN(f, 0x0f, 0x77), X86_FIXTURE_OK);
    assert_int_equal(f->cpu->fpu.ftw, 0);
    assert_int_equal(x86_fpu_top(&f->cpu->fpu), 0);
}

static void cvtpi2pd_from_memory_is_no_mmx_instruction(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fsw = 3 << X86_FSW_TOP_SHIFT;
    set_data(f, 0, UINT64_C(0x00000003ffffffff));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x2a, 0x03), X86_FIXTURE_OK);
    assert_int_equal(f->cpu->fpu.fsw, 3 << X86_FSW_TOP_SHIFT);
    assert_xmm(f, 0, UINT64_C(0x4008000000000000), UINT64_C(0xbff0000000000000));
}

static void mmx_pack_puts_the_source_on_top(void **state)
{
    struct x86_fixture *f = *state;
    set_mm(f, 0, UINT64_C(0x00018000ff7f0080));
    set_mm(f, 1, UINT64_C(0x0004000300020001));
    assert_int_equal(RUN(f, 0x0f, 0x63, 0xc1), X86_FIXTURE_OK); /* packsswb mm0, mm1 */
    assert_mm(f, 0, UINT64_C(0x040302010180807f));
}

static void mmx_unpack_high_takes_the_upper_halves(void **state)
{
    struct x86_fixture *f = *state;
    set_mm(f, 0, UINT64_C(0x0706050403020100));
    set_mm(f, 1, UINT64_C(0x1716151413121110));
    assert_int_equal(RUN(f, 0x0f, 0x68, 0xc1), X86_FIXTURE_OK); /* punpckhbw mm0, mm1 */
    assert_mm(f, 0, UINT64_C(0x1707160615051404));
}

static void mmx_unpack_low_reads_four_bytes(void **state)
{
    struct x86_fixture *f = *state;
    *x86_fixture_pte(f, DATA + 0x1000) &= ~UINT64_C(1);
    x86_fixture_flush(f);
    x86_cpu_set_gpr(f->cpu, X86_RBX, DATA + 0x1000 - 4);
    assert_int_equal(RUN(f, 0x0f, 0x60, 0x03), X86_FIXTURE_OK); /* punpcklbw mm0, [rbx] */
    assert_int_equal(RUN(f, 0x0f, 0x68, 0x03), X86_PF);         /* punpckhbw mm0, [rbx] */
}

static void mmx_pshufb_uses_three_index_bits(void **state)
{
    struct x86_fixture *f = *state;
    set_mm(f, 0, UINT64_C(0x0706050403020100));
    set_mm(f, 1, UINT64_C(0x807f0f0807010980));
    assert_int_equal(RUN(f, 0x0f, 0x38, 0x00, 0xc1), X86_FIXTURE_OK);
    assert_mm(f, 0, UINT64_C(0x0007070007010100));
}

/* ---- Integer ---- */

static void shift_counts_beyond_the_width(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, UINT64_C(0x8000000000000001), UINT64_C(0x8000000000000001));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x71, 0xe0, 0xff), X86_FIXTURE_OK); /* psraw xmm0, 255 */
    assert_xmm(f, 0, UINT64_C(0xffff000000000000), UINT64_C(0xffff000000000000));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x71, 0xf0, 0x10), X86_FIXTURE_OK); /* psllw xmm0, 16 */
    assert_xmm(f, 0, 0, 0);
}

static void byte_shifts_move_the_whole_register(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, 0, UINT64_C(0x1122334455667788));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x73, 0xf8, 0x07), X86_FIXTURE_OK); /* pslldq xmm0, 7 */
    assert_xmm(f, 0, UINT64_C(0x0011223344556677), UINT64_C(0x8800000000000000));
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x73, 0xd8, 0x10), X86_FIXTURE_OK); /* psrldq xmm0, 16 */
    assert_xmm(f, 0, 0, 0);
}

static void palignr_counts_beyond_both_operands(void **state)
{
    struct x86_fixture *f = *state;
    set_xmm(f, 0, 2, 1);
    set_xmm(f, 1, 4, 3);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x0f, 0xc1, 24), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 2);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x0f, 0xc1, 33), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 0);
}

static void ptest_sets_zf_and_cf_and_clears_the_others(void **state)
{
    struct x86_fixture *f = *state;
    x86_fixture_set_flags(f, 2 | X86_FL_OF | X86_FL_SF | X86_FL_PF | X86_FL_AF);
    set_xmm(f, 0, UINT64_MAX, UINT64_MAX);
    set_xmm(f, 1, 1, 0);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x38, 0x17, 0xc1), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_CF);
    set_xmm(f, 0, 0, UINT64_MAX);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x38, 0x17, 0xc1), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_ZF);
}

/* ---- Floating point ---- */

static void rounding_follows_mxcsr(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT | 0x4000; /* up */
    set_lanes(f, 0, 0, 0, 0, ONE_F);
    set_lanes(f, 1, 0, 0, 0, THREE_F);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x5e, 0xc1), X86_FIXTURE_OK); /* divss xmm0, xmm1 */
    assert_xmm(f, 0, 0, 0x3eaaaaab);
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT | 0x2000; /* down */
    set_lanes(f, 0, 0, 0, 0, ONE_F);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x5e, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 0x3eaaaaaa);
}

static void flags_are_sticky(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT | 4;
    set_lanes(f, 0, 0, 0, 0, ONE_F);
    set_lanes(f, 1, 0, 0, 0, THREE_F);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x5e, 0xc1), X86_FIXTURE_OK);
    assert_int_equal(f->cpu->fpu.mxcsr, X86_MXCSR_INIT | 0x24);
}

static void the_host_rounds_to_nearest_afterwards(void **state)
{
    struct x86_fixture *f = *state;
    uint32_t host;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT | 0xe040;
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x5e, 0xc1), X86_FIXTURE_OK);
    __asm__ volatile("stmxcsr %0" : "=m"(host));
    assert_int_equal(host & 0xffc0, X86_MXCSR_INIT);
}

static void an_unmasked_exception_leaves_the_destination(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x200u; /* ZE open */
    set_lanes(f, 0, ONE_F, ONE_F, ONE_F, ONE_F);
    set_lanes(f, 1, THREE_F, THREE_F, THREE_F, 0);
    assert_int_equal(RUN(f, 0x0f, 0x5e, 0xc1), X86_XM); /* divps: one third elsewhere, whose PE is not reported */
    assert_xmm(f, 0, UINT64_C(0x3f8000003f800000), UINT64_C(0x3f8000003f800000));
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0x04);
}

static void an_unmasked_exception_without_osxmmexcpt_is_undefined(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->cr4 &= ~(uint64_t)X86_CR4_OSXMMEXCPT;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x200u;
    set_lanes(f, 0, 0, 0, 0, ONE_F);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x5e, 0xc1), X86_UD); /* divss by zero */
}

static void unmasked_underflow_traps_on_exact_tiny_results(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x800u;
    set_lanes(f, 0, 0, 0, 0, 0x0d800000);                     /* 2^-100 */
    set_lanes(f, 1, 0, 0, 0, 0x2b800000);                     /* 2^-40 */
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x59, 0xc1), X86_XM); /* mulss */
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0x10);
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT;
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x59, 0xc1), X86_FIXTURE_OK);
    assert_xmm(f, 0, 0, 0x00000200);
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0);
}

static void a_trapped_overflow_is_inexact_only_if_the_fraction_is(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x400u;
    set_lanes(f, 0, 0, 0, 0, MAX_F);
    set_lanes(f, 1, 0, 0, 0, MAX_F);
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x58, 0xc1), X86_XM); /* addss: twice the maximum */
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0x08);
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x400u;
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x59, 0xc1), X86_XM); /* mulss: its square needs 48 bits */
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0x28);
}

static void comiss_compares_nan_as_unordered(void **state)
{
    struct x86_fixture *f = *state;
    set_lanes(f, 0, 0, 0, 0, QNAN_F);
    assert_int_equal(RUN(f, 0x0f, 0x2e, 0xc1), X86_FIXTURE_OK); /* ucomiss: quiet */
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_ZF | X86_FL_PF | X86_FL_CF);
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0);
    assert_int_equal(RUN(f, 0x0f, 0x2f, 0xc1), X86_FIXTURE_OK); /* comiss: invalid */
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 1);
}

static void a_trapping_compare_leaves_the_flags(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x80u;
    x86_fixture_set_flags(f, 2 | X86_FL_OF);
    set_lanes(f, 0, 0, 0, 0, SNAN_F);
    assert_int_equal(RUN(f, 0x0f, 0x2e, 0xc1), X86_XM);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_OF);
}

static void conversions_out_of_range_give_the_indefinite_integer(void **state)
{
    struct x86_fixture *f = *state;
    set_lanes(f, 0, 0, 0, 0, 0x4f000000);                             /* 2^31 */
    assert_int_equal(RUN(f, 0xf3, 0x0f, 0x2d, 0xc8), X86_FIXTURE_OK); /* cvtss2si ecx, xmm0 */
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == 0x80000000);
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 1);
    assert_int_equal(RUN(f, 0xf3, 0x48, 0x0f, 0x2d, 0xc8), X86_FIXTURE_OK); /* cvtss2si rcx, xmm0 */
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == UINT64_C(0x80000000));
}

static void cvtps2pi_moves_to_mmx_even_if_it_traps(void **state)
{
    struct x86_fixture *f = *state;
    f->cpu->fpu.fsw = 3 << X86_FSW_TOP_SHIFT;
    f->cpu->fpu.mxcsr = X86_MXCSR_INIT & ~0x80u;
    set_mm(f, 0, 42);
    set_lanes(f, 1, 0, 0, 0, QNAN_F);
    assert_int_equal(RUN(f, 0x0f, 0x2d, 0xc1), X86_XM);
    assert_int_equal(f->cpu->fpu.fsw, 0);
    assert_mm(f, 0, 42);
}

static void round_takes_its_mode_from_the_immediate(void **state)
{
    struct x86_fixture *f = *state;
    set_lanes(f, 1, 0, 0, 0, 0x3fc00000);                                         /* 1.5 */
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x0a, 0xc1, 0x09), X86_FIXTURE_OK); /* roundss, down, quiet */
    assert_xmm(f, 0, 0, ONE_F);
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x0a, 0xc1, 0x02), X86_FIXTURE_OK); /* up */
    assert_xmm(f, 0, 0, 0x40000000);
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0x20);
}

static void cmpps_looks_at_three_bits_of_the_immediate(void **state)
{
    struct x86_fixture *f = *state;
    set_lanes(f, 0, QNAN_F, THREE_F, ONE_F, 0);
    set_lanes(f, 1, ONE_F, ONE_F, ONE_F, ONE_F);
    assert_int_equal(RUN(f, 0x0f, 0xc2, 0xc1, 0xf9), X86_FIXTURE_OK); /* less than */
    assert_xmm(f, 0, 0, 0xffffffff);
}

static void dpps_multiplies_selected_and_fills_selected(void **state)
{
    struct x86_fixture *f = *state;
    set_lanes(f, 0, SNAN_F, ONE_F, THREE_F, ONE_F);
    set_lanes(f, 1, ONE_F, ONE_F, ONE_F, ONE_F);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x40, 0xc1, 0x7a), X86_FIXTURE_OK);
    assert_xmm(f, 0, UINT64_C(0x40a0000000000000), UINT64_C(0x40a0000000000000)); /* 5.0 */
    assert_int_equal(f->cpu->fpu.mxcsr & 0x3f, 0);
}

/* ---- String compares ---- */

static void set_text(struct x86_fixture *f, unsigned n, const char *text)
{
    uint8_t b[16] = {0};
    memcpy(b, text, strlen(text));
    memcpy(f->cpu->fpu.vec[n], b, 16);
}

static void pcmpistri_finds_a_substring(void **state)
{
    struct x86_fixture *f = *state;
    set_text(f, 0, "lo w");
    set_text(f, 1, "hello world");
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x0c), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == 3);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_CF | X86_FL_ZF | X86_FL_SF);
}

static void pcmpistri_matches_a_needle_that_runs_over_the_end(void **state)
{
    struct x86_fixture *f = *state;
    set_text(f, 0, "xyz");
    set_text(f, 1, "aaaaaaaaaaaaaaax");
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x0c), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == 15);
}

static void pcmpistri_without_a_match_gives_the_element_count(void **state)
{
    struct x86_fixture *f = *state;
    set_text(f, 0, "xyz");
    set_text(f, 1, "hello");
    x86_cpu_set_gpr(f->cpu, X86_RCX, UINT64_MAX);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x00), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == 16);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_CF, 0);
}

static void pcmpestrm_takes_the_magnitude_of_lengths(void **state)
{
    struct x86_fixture *f = *state;
    set_text(f, 2, "az");
    set_text(f, 1, "AbCd");
    x86_cpu_set_gpr(f->cpu, X86_RAX, (uint32_t)-2);
    x86_cpu_set_gpr(f->cpu, X86_RDX, 3);
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x60, 0xd1, 0x44), X86_FIXTURE_OK); /* ranges, byte mask */
    assert_xmm(f, 0, 0, 0xff00);
}

static void masked_negation_spares_invalid_elements(void **state)
{
    struct x86_fixture *f = *state;
    set_text(f, 2, "a");
    set_text(f, 1, "bab");
    assert_int_equal(RUN(f, 0x66, 0x0f, 0x3a, 0x62, 0xd1, 0x30), X86_FIXTURE_OK); /* equal any, masked negative */
    assert_xmm(f, 0, 0, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sse_without_osfxsr_is_undefined),
        TEST(mmx_does_not_need_osfxsr),
        TEST(task_switched_means_not_available),
        TEST(emulation_means_undefined),
        TEST(mmx_reports_a_pending_x87_exception),
        TEST(integer_xmm_forms_need_sse2),
        TEST(sixteen_byte_operands_must_be_aligned),
        TEST(exempt_operands_need_no_alignment),
        TEST(a_store_may_cross_pages),
        TEST(movss_from_memory_clears_the_rest),
        TEST(movss_between_registers_merges),
        TEST(movq_between_registers_clears_the_high_half),
        TEST(movhps_keeps_the_low_half),
        TEST(the_upper_half_of_ymm_stays),
        TEST(movd_takes_64_bits_under_rex_w),
        TEST(pextrb_clears_the_rest_of_the_register),
        TEST(insertps_ignores_the_source_field_for_memory),
        TEST(maskmovdqu_writes_only_selected_bytes),
        TEST(maskmovdqu_checks_all_bytes_even_unselected),
        TEST(an_mmx_write_makes_all_registers_valid),
        TEST(a_faulting_mmx_store_leaves_the_x87_state),
        TEST(emms_empties_all_registers),
        TEST(cvtpi2pd_from_memory_is_no_mmx_instruction),
        TEST(mmx_pack_puts_the_source_on_top),
        TEST(mmx_unpack_high_takes_the_upper_halves),
        TEST(mmx_unpack_low_reads_four_bytes),
        TEST(mmx_pshufb_uses_three_index_bits),
        TEST(shift_counts_beyond_the_width),
        TEST(byte_shifts_move_the_whole_register),
        TEST(palignr_counts_beyond_both_operands),
        TEST(ptest_sets_zf_and_cf_and_clears_the_others),
        TEST(rounding_follows_mxcsr),
        TEST(flags_are_sticky),
        TEST(the_host_rounds_to_nearest_afterwards),
        TEST(an_unmasked_exception_leaves_the_destination),
        TEST(an_unmasked_exception_without_osxmmexcpt_is_undefined),
        TEST(unmasked_underflow_traps_on_exact_tiny_results),
        TEST(a_trapped_overflow_is_inexact_only_if_the_fraction_is),
        TEST(comiss_compares_nan_as_unordered),
        TEST(a_trapping_compare_leaves_the_flags),
        TEST(conversions_out_of_range_give_the_indefinite_integer),
        TEST(cvtps2pi_moves_to_mmx_even_if_it_traps),
        TEST(round_takes_its_mode_from_the_immediate),
        TEST(cmpps_looks_at_three_bits_of_the_immediate),
        TEST(dpps_multiplies_selected_and_fills_selected),
        TEST(pcmpistri_finds_a_substring),
        TEST(pcmpistri_matches_a_needle_that_runs_over_the_end),
        TEST(pcmpistri_without_a_match_gives_the_element_count),
        TEST(pcmpestrm_takes_the_magnitude_of_lengths),
        TEST(masked_negation_spares_invalid_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
