/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"

#define DATA 0x20000u /* base of the segments under test */
#define RW   0x4093u  /* present, data, writable, 32-bit */

static int setup(void **state)
{
    *state = x86_fixture_new(X86_FIXTURE_PROT32);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static void set_seg(struct x86_fixture *f, unsigned seg, uint32_t limit, uint32_t attr)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.seg[seg] = (struct x86_seg){.sel = 0x50, .base = DATA, .limit = limit, .attr = attr};
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

/* mov eax, es:[ebx] or mov es:[ebx], eax */
static int touch(struct x86_fixture *f, uint32_t at, bool write)
{
    x86_fixture_code(f, (const uint8_t[]){0x26, write ? 0x89 : 0x8b, 0x03}, 3);
    x86_cpu_set_gpr(f->cpu, X86_RBX, at);
    return x86_fixture_step(f);
}

static void limit_is_kept_to_the_byte(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0xfff, RW);
    assert_int_equal(touch(f, 0xffc, false), X86_FIXTURE_OK);
    assert_int_equal(touch(f, 0xffd, false), 13);
    assert_int_equal(f->event.error, 0);
    assert_int_equal(touch(f, 0xfffffffe, true), 13);
}

static void base_is_added(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0xfff, RW);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x12345678);
    assert_int_equal(touch(f, 0x10, true), X86_FIXTURE_OK);
    assert_memory_equal(f->mem + DATA + 0x10, "\x78\x56\x34\x12", 4);
}

static void expand_down_allows_what_lies_above_the_limit(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0xfff, RW | 4);
    assert_int_equal(touch(f, 0xfff, false), 13);
    assert_int_equal(touch(f, 0x1000, false), X86_FIXTURE_OK);
    set_seg(f, X86_ES, 0xfff, (RW | 4) & ~0x4000u); /* 16-bit: up to FFFFh */
    assert_int_equal(touch(f, 0xfffc, false), X86_FIXTURE_OK);
    assert_int_equal(touch(f, 0xfffd, false), 13);
}

static void read_only_data_refuses_stores(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0xffffffff, RW & ~2u);
    assert_int_equal(touch(f, 0, false), X86_FIXTURE_OK);
    assert_int_equal(touch(f, 0, true), 13);
}

static void execute_only_code_refuses_loads(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0xffffffff, 0x4099);
    assert_int_equal(touch(f, 0, false), 13);
    set_seg(f, X86_ES, 0xffffffff, 0x409b);
    assert_int_equal(touch(f, 0, false), X86_FIXTURE_OK);
    assert_int_equal(touch(f, 0, true), 13);
}

static void null_segment_refuses_everything(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_ES, 0, X86_SEG_UNUSABLE);
    assert_int_equal(touch(f, 0, false), 13);
    assert_int_equal(touch(f, 0, true), 13);
}

static void stack_limit_faults_are_ss(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_SS, 0xfff, RW);
    x86_fixture_code(f, (const uint8_t[]){0x50}, 1); /* push eax */
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x1004);
    assert_int_equal(x86_fixture_step(f), 12);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), 0x1004);
}

static void narrow_stack_wraps_and_keeps_the_upper_half(void **state)
{
    struct x86_fixture *f = *state;
    set_seg(f, X86_SS, 0xffff, RW & ~0x4000u);
    x86_fixture_code(f, (const uint8_t[]){0x50}, 1);
    x86_cpu_set_gpr(f->cpu, X86_RSP, 0x12340000);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RSP), 0x1234fffc);
}

/* Real mode keeps whatever limit protected mode loaded: "unreal" mode. */
static void real_mode_uses_the_cached_limit(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    x86_fixture_code(f, (const uint8_t[]){0x26, 0x67, 0x8a, 0x03}, 4); /* mov al, es:[ebx] */
    x86_cpu_set_gpr(f->cpu, X86_RBX, 0x100000);
    assert_int_equal(x86_fixture_step(f), 13);
    set_seg(f, X86_ES, 0xffffffff, 0x93);
    f->mem[DATA + 0x100000] = 0x5a;
    x86_fixture_rewind(f);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX) & 0xff, 0x5a);
    x86_fixture_free(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(limit_is_kept_to_the_byte),
        CASE(base_is_added),
        CASE(expand_down_allows_what_lies_above_the_limit),
        CASE(read_only_data_refuses_stores),
        CASE(execute_only_code_refuses_loads),
        CASE(null_segment_refuses_everything),
        CASE(stack_limit_faults_are_ss),
        CASE(narrow_stack_wraps_and_keeps_the_upper_half),
        CASE(real_mode_uses_the_cached_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
