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

#define WRMSR 0x0f, 0x30, 0xf4
#define RDMSR 0x0f, 0x32, 0xf4

enum { TSC = 0x10, SYSENTER_CS = 0x174, PAT = 0x277, XSS = 0xda0 };
#define EFER    0xc0000080u
#define STAR    0xc0000081u
#define LSTAR   0xc0000082u
#define SFMASK  0xc0000084u
#define FS_BASE 0xc0000100u
#define KGS     0xc0000102u
#define TSC_AUX 0xc0000103u

static struct x86_fixture *with(struct x86_fixture *f, uint32_t msr, uint64_t v)
{
    x86_cpu_set_gpr(f->cpu, X86_RCX, msr);
    x86_cpu_set_gpr(f->cpu, X86_RAX, (uint32_t)v);
    x86_cpu_set_gpr(f->cpu, X86_RDX, v >> 32);
    return f;
}

static void values_out_of_range_raise_gp(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t v;
    } bad[] = {
        {LSTAR, UINT64_C(0x800000000000)},
        {FS_BASE, UINT64_C(0x800000000000)},
        {KGS, UINT64_C(0x800000000000)},
        {PAT, 2},
        {PAT, UINT64_C(8) << 56},
        {XSS, 1},
        {EFER, 2},
        {EFER, 1u << 12},
        {SFMASK, UINT64_C(1) << 32},
        {0xdead, 0},
        {TSC, 0},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct x86_fixture *f = START(state, LONG64, WRMSR);
        expect_fault(with(f, bad[i].msr, bad[i].v), X86_GP, 0);
        if (i + 1 < sizeof(bad) / sizeof(bad[0]))
            x86_fixture_free(f);
    }
}

static void user_may_not_touch_msrs(void **state)
{
    struct x86_fixture *f = START(state, LONG64, RDMSR);
    x86_tables_enter_user(f);
    expect_fault(with(f, STAR, 0), X86_GP, 0);
}

static void what_is_written_reads_back(void **state)
{
    static const uint32_t msrs[] = {STAR, LSTAR,   0xc0000083,  SFMASK, FS_BASE, 0xc0000101,
                                    KGS,  TSC_AUX, SYSENTER_CS, 0x175,  0x176};
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        struct x86_fixture *f = START(state, LONG64, 0x0f, 0x30, 0x31, 0xc0, 0x0f, 0x32, 0xf4); /* wrmsr; xor; rdmsr */
        struct x86_state s = expect_done(with(f, msrs[i], 0x12345678));
        assert_int_equal(s.gpr[X86_RAX], 0x12345678);
        assert_int_equal(s.gpr[X86_RDX], 0);
        if (i + 1 < sizeof(msrs) / sizeof(msrs[0]))
            x86_fixture_free(f);
    }
}

static void written_fs_base_is_used_at_once(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x30, 0x64, 0x8a, 0x1e, 0xf4); /* wrmsr; mov bl, fs:[rsi] */
    f->mem[X86_FIXTURE_DATA] = 0x5a;
    assert_int_equal(expect_done(with(f, FS_BASE, X86_FIXTURE_DATA)).gpr[X86_RBX], 0x5a);
}

static void lme_cannot_change_under_paging(void **state)
{
    struct x86_fixture *f = START(state, LONG64, WRMSR);
    expect_fault(with(f, EFER, 0xc01), X86_GP, 0);
}

static void lma_is_not_written(void **state)
{
    struct x86_fixture *f = START(state, PROT32, WRMSR);
    assert_int_equal(expect_done(with(f, EFER, X86_EFER_LMA | X86_EFER_LME | X86_EFER_SCE)).efer,
                     X86_EFER_LME | X86_EFER_SCE);
}

static void amd_drops_the_upper_half_of_tsc_aux_and_intel_refuses_it(void **state)
{
    struct x86_fixture *f = START(state, LONG64, WRMSR);
    assert_int_equal(expect_done(with(f, TSC_AUX, UINT64_C(0x500000007))).tsc_aux, 7);
    x86_fixture_free(f);
    f = START_INTEL(state, LONG64, WRMSR);
    expect_fault(with(f, TSC_AUX, UINT64_C(0x500000007)), X86_GP, 0);
}

static void rdtsc_and_the_msr_ask_the_embedder(void **state)
{
    struct x86_fixture *f =
        START(state, LONG64, 0x0f, 0x31, 0x89, 0xc3, 0x0f, 0x32, 0xf4); /* rdtsc; mov ebx, eax; rdmsr */
    struct x86_state s = expect_done(with(f, TSC, 0));
    assert_int_equal(s.gpr[X86_RBX], 0x23456789);
    assert_int_equal(s.gpr[X86_RAX], 0x23456789);
    assert_int_equal(s.gpr[X86_RDX], 1);
}

static void tsd_keeps_time_from_user(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0xf9); /* rdtscp */
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_TSD;
    x86_tables_change(f, &s);
    x86_tables_enter_user(f);
    expect_fault(f, X86_GP, 0);
}

static void rdtscp_and_rdpid_show_tsc_aux(void **state)
{
    struct x86_fixture *f =
        START(state, LONG64, 0x0f, 0x01, 0xf9, 0xf3, 0x0f, 0xc7, 0xfb, 0xf4); /* rdtscp; rdpid rbx */
    struct x86_state s = x86_tables_state(f);
    s.tsc_aux = 0x42;
    x86_tables_change(f, &s);
    s = expect_done(f);
    assert_int_equal(s.gpr[X86_RCX], 0x42);
    assert_int_equal(s.gpr[X86_RBX], 0x42);
}

static void there_are_no_performance_counters(void **state)
{
    expect_fault(START(state, LONG64, 0x0f, 0x33), X86_GP, 0);
}

/* ---- XCR0 ---- */

static struct x86_fixture *with_osxsave(struct x86_fixture *f)
{
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_OSXSAVE;
    x86_tables_change(f, &s);
    return f;
}

static void xsetbv_needs_osxsave(void **state)
{
    assert_int_equal(x86_tables_run(START(state, LONG64, 0x0f, 0x01, 0xd1)), X86_UD);
}

static void xsetbv_checks_its_value(void **state)
{
    static const uint64_t bad[][2] = {{0, 0}, {0, 2}, {0, 5}, {0, 7}, {0, UINT64_C(1) << 62 | 1}, {1, 1}};
    for (unsigned i = 0; i < 6; i++) {
        struct x86_fixture *f = with_osxsave(START(state, LONG64, 0x0f, 0x01, 0xd1));
        expect_fault(with(f, (uint32_t)bad[i][0], bad[i][1]), X86_GP, 0);
        if (i < 5)
            x86_fixture_free(f);
    }
}

static void xgetbv_reads_what_xsetbv_wrote(void **state)
{
    struct x86_fixture *f = with_osxsave(START(state, LONG64, 0x0f, 0x01, 0xd1, 0x31, 0xc0, 0x0f, 0x01, 0xd0, 0xf4));
    struct x86_state s = expect_done(with(f, 0, 3));
    assert_int_equal(s.gpr[X86_RAX], 3);
    assert_int_equal(s.xcr0, 3);
}

static void xgetbv_1_shows_what_is_in_use(void **state)
{
    struct x86_fixture *f = with_osxsave(START(state, LONG64, 0x0f, 0x01, 0xd0, 0xf4));
    struct x86_state s = x86_tables_state(f);
    s.xcr0 = 3;
    s.fpu = (struct x86_fpu){.fcw = 0x37f, .mxcsr = 0x1f80};
    s.fpu.vec[3][0] = 1;
    x86_tables_change(f, &s);
    assert_int_equal(expect_done(with(f, 1, 0)).gpr[X86_RAX], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(values_out_of_range_raise_gp),
        T(user_may_not_touch_msrs),
        T(what_is_written_reads_back),
        T(written_fs_base_is_used_at_once),
        T(lme_cannot_change_under_paging),
        T(lma_is_not_written),
        T(amd_drops_the_upper_half_of_tsc_aux_and_intel_refuses_it),
        T(rdtsc_and_the_msr_ask_the_embedder),
        T(tsd_keeps_time_from_user),
        T(rdtscp_and_rdpid_show_tsc_aux),
        T(there_are_no_performance_counters),
        T(xsetbv_needs_osxsave),
        T(xsetbv_checks_its_value),
        T(xgetbv_reads_what_xsetbv_wrote),
        T(xgetbv_1_shows_what_is_in_use),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
