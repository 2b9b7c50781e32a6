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

static void cpuid_shows_osxsave_as_it_is(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0xa2, 0xf4);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 1);
    assert_int_equal(expect_done(f).gpr[X86_RCX] >> 27 & 1, 0);
    x86_fixture_rewind(f);
    struct x86_state s = x86_tables_state(f);
    s.activity = X86_ACTIVE;
    s.cr4 |= X86_CR4_OSXSAVE;
    s.gpr[X86_RAX] = 1;
    x86_tables_change(f, &s);
    assert_int_equal(expect_done(f).gpr[X86_RCX] >> 27 & 1, 1);
}

static void cpuid_clears_the_upper_halves(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0xa2, 0xf4);
    for (unsigned i = 1; i < 4; i++)
        x86_cpu_set_gpr(f->cpu, i, UINT64_MAX);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.gpr[X86_RBX], 0x68747541);
    assert_int_equal(s.gpr[X86_RCX] >> 32, 0);
    assert_int_equal(s.gpr[X86_RDX] >> 32, 0);
}

static void intel_shows_syscall_in_64_bit_mode_only(void **state)
{
    struct x86_fixture *f = START_INTEL(state, PROT32, 0x0f, 0xa2, 0xf4);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x80000001);
    assert_int_equal(expect_done(f).gpr[X86_RDX] >> 11 & 1, 0);
    x86_fixture_free(f);
    f = START_INTEL(state, LONG64, 0x0f, 0xa2, 0xf4);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x80000001);
    assert_int_equal(expect_done(f).gpr[X86_RDX] >> 11 & 1, 1);
}

static void cli_and_sti_obey_iopl(void **state)
{
    static const uint8_t ops[] = {0xfa, 0xfb};
    for (unsigned i = 0; i < 2; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, &ops[i], 1);
        x86_tables_enter_user(f);
        expect_fault(f, X86_GP, 0);
        x86_fixture_free(f);
        f = x86_tables_start(state, X86_FIXTURE_LONG64, true, &ops[i], 1);
        x86_tables_enter_user(f);
        x86_fixture_set_flags(f, X86_FL_IOPL | (i == 0 ? X86_FL_IF : 0));
        assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
        assert_int_equal(x86_fixture_flags(f) & X86_FL_IF, i == 0 ? 0 : X86_FL_IF);
        if (i == 0)
            x86_fixture_free(f);
    }
}

static void sti_shadows_only_when_it_opens(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xfb, 0xfb, 0x90);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_state(f).shadow_sti, 1);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_state(f).shadow_sti, 0);
}

static void hlt_stops_behind_itself(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xf4);
    struct x86_state s = expect_done(f);
    assert_int_equal(s.rip, X86_FIXTURE_CODE + 1);
    assert_int_equal(s.activity, X86_HALTED);
}

static void privileged_instructions_raise_gp_for_user(void **state)
{
    static const uint8_t code[][4] = {{0xf4},           {0x0f, 0x08}, {0x0f, 0x09},       {0x0f, 0x06},
                                      {0x0f, 0x31 + 1}, {0x0f, 0x30}, {0x0f, 0x01, 0x38}, {0x0f, 0x01, 0xf0}};
    for (unsigned i = 0; i < 8; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, code[i], 4);
        x86_tables_enter_user(f);
        expect_fault(f, X86_GP, 0);
        if (i < 7)
            x86_fixture_free(f);
    }
}

static void undefined_for_user_or_always(void **state)
{
    static const struct {
        uint8_t code[3];
        bool user;
    } rows[] = {{{0x0f, 0x0b}, false},      {{0x0f, 0xb9, 0xc0}, false}, {{0x0f, 0xff, 0xc0}, false},
                {{0x0f, 0xaa}, false},      {{0x0f, 0x01, 0xc1}, false}, {{0x0f, 0x01, 0xca}, true},
                {{0x0f, 0x01, 0xc8}, true}, {{0x0f, 0x01, 0xc9}, true}};
    for (unsigned i = 0; i < 8; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, rows[i].code, 3);
        if (rows[i].user)
            x86_tables_enter_user(f);
        assert_int_equal(x86_tables_run(f), X86_UD);
        if (i < 7)
            x86_fixture_free(f);
    }
}

static void stac_opens_user_pages_to_the_kernel(void **state)
{
    /* stac; mov al, [rbx]; clac; mov al, [rbx] */
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0xcb, 0x8a, 0x03, 0x0f, 0x01, 0xca, 0x8a, 0x03);
    for (uint64_t lin = 0; lin < 0x40000; lin += 0x1000)
        if (lin != X86_FIXTURE_DATA)
            *x86_fixture_pte(f, lin) &= ~UINT64_C(4);
    x86_fixture_flush(f);
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_SMAP;
    s.gpr[X86_RBX] = X86_FIXTURE_DATA;
    x86_tables_change(f, &s);
    expect_fault(f, X86_PF, 1);
    assert_int_equal(x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP) + 8, 8), X86_FIXTURE_CODE + 8);
}

static void monitor_checks_ecx_and_its_address(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0xc8);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 1);
    expect_fault(f, X86_GP, 0);
    x86_fixture_free(f);
    f = START(state, LONG64, 0x0f, 0x01, 0xc8);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x700000);
    expect_fault(f, X86_PF, 0);
}

static void mwait_knows_one_hint(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0x0f, 0x01, 0xc9);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 2);
    expect_fault(f, X86_GP, 0);
}

static void mwait_goes_on_at_once(void **state)
{
    assert_int_equal(expect_done(START(state, LONG64, 0x0f, 0x01, 0xc9, 0xf4)).rip, X86_FIXTURE_CODE + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(cpuid_shows_osxsave_as_it_is),
        T(cpuid_clears_the_upper_halves),
        T(intel_shows_syscall_in_64_bit_mode_only),
        T(cli_and_sti_obey_iopl),
        T(sti_shadows_only_when_it_opens),
        T(hlt_stops_behind_itself),
        T(privileged_instructions_raise_gp_for_user),
        T(undefined_for_user_or_always),
        T(stac_opens_user_pages_to_the_kernel),
        T(monitor_checks_ecx_and_its_address),
        T(mwait_goes_on_at_once),
        T(mwait_knows_one_hint),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
