/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"

static int setup(void **state)
{
    *state = x86_fixture_new(X86_FIXTURE_LONG64);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static void state_goes_in_and_out_unchanged(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s, t;
    x86_cpu_get_state(f->cpu, &s);
    for (unsigned i = 0; i < 16; i++) {
        s.gpr[i] = i * UINT64_C(0x0123456789abcdef);
        s.fpu.vec[i][0] = ~s.gpr[i];
        s.fpu.vec[i][3] = i;
    }
    s.rflags = 0xed7;
    s.dr[2] = 0x1234;
    s.fpu.st[3][9] = 0x40;
    s.tsc_aux = 7;
    s.nmi_blocked = 1;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_cpu_get_state(f->cpu, &t);
    assert_memory_equal(&s, &t, sizeof(s));
}

/* Each change alone makes a state that no processor can be in; the cpu keeps the one it had. */
static void impossible_states_are_refused(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state good, bad, after;
    x86_cpu_get_state(f->cpu, &good);
    for (unsigned i = 0; i < 12; i++) {
        bad = good;
        bad.gpr[0] = 99;
        switch (i) {
        case 0: bad.cr0 &= ~UINT64_C(1); break;         /* paging without protection */
        case 1: bad.cr4 &= ~UINT64_C(0x20); break;      /* long mode without PAE */
        case 2: bad.efer &= ~UINT64_C(0x400); break;    /* LME and paging, but not active */
        case 3: bad.cr0 |= UINT64_C(1) << 32; break;    /* reserved */
        case 4: bad.cr0 |= UINT64_C(0x20000000); break; /* NW without CD */
        case 5: bad.xcr0 = 2; break;                    /* x87 state off */
        case 6: bad.cr3 |= UINT64_C(1) << 60; break;    /* beyond the physical width */
        case 7: bad.rflags |= 0x20000; break;           /* virtual-8086 mode */
        case 8: bad.rflags |= 0x8000; break;            /* reserved */
        case 9: bad.dr7 |= UINT64_C(1) << 40; break;    /* reserved */
        case 10: bad.pending.kind = 7; break;           /* no such event */
        default: bad.fpu.mxcsr |= 0x10000; break;       /* reserved */
        }
        assert_int_not_equal(x86_cpu_set_state(f->cpu, &bad), 0);
        x86_cpu_get_state(f->cpu, &after);
        assert_memory_equal(&good, &after, sizeof(good));
    }
}

static void power_on_state_is_the_manuals(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    x86_cpu_reset(f->cpu, false);
    x86_cpu_get_state(f->cpu, &s);
    assert_int_equal(s.rip, 0xfff0);
    assert_int_equal(s.rflags, 2);
    assert_int_equal(s.cr0, 0x60000010);
    assert_int_equal(s.seg[X86_CS].sel, 0xf000);
    assert_int_equal(s.seg[X86_CS].base, 0xffff0000);
    assert_int_equal(s.seg[X86_DS].limit, 0xffff);
    assert_int_equal(s.dr6, 0xffff0ff0);
    assert_int_equal(s.dr7, 0x400);
    assert_int_equal(s.fpu.fcw, 0x40);
    assert_int_equal(s.fpu.mxcsr, 0x1f80);
    assert_int_equal(s.xcr0, 1);
    assert_int_equal(s.idtr.limit, 0xffff);
}

static void init_keeps_registers_that_power_on_clears(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.lstar = 0x1000;
    s.fpu.vec[3][0] = 77;
    s.gpr[X86_RBX] = 5;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_cpu_reset(f->cpu, true);
    x86_cpu_get_state(f->cpu, &s);
    assert_int_equal(s.lstar, 0x1000);
    assert_int_equal(s.fpu.vec[3][0], 77);
    assert_int_equal(s.gpr[X86_RBX], 0);
    assert_int_equal(s.efer, 0);
    assert_int_equal(s.cr0 & 1, 0);
}

static void two_cpus_share_nothing(void **state)
{
    struct x86_fixture *a = *state, *b = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_fixture_code(a, (const uint8_t[]){0xb0, 1}, 2);
    x86_fixture_code(b, (const uint8_t[]){0xb0, 2}, 2);
    assert_int_equal(x86_fixture_step(a), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_step(b), X86_FIXTURE_OK);
    assert_int_equal(x86_cpu_gpr(a->cpu, 0), 1);
    assert_int_equal(x86_cpu_gpr(b->cpu, 0), 2);
    x86_fixture_free(b);
}

/* WRMSR can set 64 bits, and no mode switch cuts them. */
static void bases_of_fs_and_gs_stay_wide_outside_long_mode(void **state)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    struct x86_state s;
    (void)state;
    x86_cpu_get_state(f->cpu, &s);
    s.seg[X86_FS].base = s.seg[X86_GS].base = UINT64_C(0xffff800000000000);
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    s.seg[X86_DS].base = UINT64_C(0x100000000);
    assert_int_not_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_fixture_free(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(state_goes_in_and_out_unchanged), CASE(impossible_states_are_refused),
        CASE(power_on_state_is_the_manuals),   CASE(init_keeps_registers_that_power_on_clears),
        CASE(two_cpus_share_nothing),          CASE(bases_of_fs_and_gs_stay_wide_outside_long_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
