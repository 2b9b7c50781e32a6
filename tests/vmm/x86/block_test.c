/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"

#define CODE_END (X86_FIXTURE_CODE + 4096u) /* end of the page with the code */

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

/* Run from `rip` at full speed until HLT. */
static void run_at(struct x86_fixture *f, uint64_t rip)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.rip = rip;
    s.activity = X86_ACTIVE;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_HALT);
}

static uint8_t al(const struct x86_fixture *f)
{
    return (uint8_t)x86_cpu_gpr(f->cpu, X86_RAX);
}

/* The store changes the immediate of the following instruction, in the same block. */
static void store_into_the_running_block_takes_effect_at_once(void **state)
{
    struct x86_fixture *f = *state;
    for (unsigned round = 0; round < 3; round++) {
        /* mov byte [rip+1], 0x55 ; mov al, 0x11 */
        x86_fixture_code(f, (const uint8_t[]){0xc6, 0x05, 0x01, 0, 0, 0, 0x55, 0xb0, 0x11, 0xf4}, 10);
        run_at(f, X86_FIXTURE_CODE);
        assert_int_equal(al(f), 0x55);
    }
}

/* A write behind the cpu's back, as a device or another thread makes it, between two runs of the same code. */
static void write_through_host_memory_is_seen_at_the_next_entry(void **state)
{
    struct x86_fixture *f = *state;
    x86_fixture_code(f, (const uint8_t[]){0xb0, 0x11, 0xf4}, 3);
    run_at(f, X86_FIXTURE_CODE);
    assert_int_equal(al(f), 0x11);
    f->mem[X86_FIXTURE_CODE + 1] = 0x22;
    run_at(f, X86_FIXTURE_CODE);
    assert_int_equal(al(f), 0x22);
}

/* Bytes before and behind a short block at the end of a page do not belong to it. */
static void short_block_at_the_page_end_compares_only_its_bytes(void **state)
{
    struct x86_fixture *f = *state;
    uint8_t *end = f->mem + CODE_END;
    memcpy(end - 2, "\xeb\x10", 2); /* jmp +0x10 */
    end[0x10] = 0xf4;
    for (unsigned round = 0; round < 3; round++) {
        memset(end - 16, (int)round, 14);
        run_at(f, CODE_END - 2);
        assert_int_equal(x86_fixture_rip(f), CODE_END + 0x11);
    }
}

static void instruction_across_two_pages_follows_changes_in_both(void **state)
{
    struct x86_fixture *f = *state;
    uint8_t *p = f->mem + CODE_END - 2;
    memcpy(p, "\xb8\x01\x02\x03\x04\xf4", 6); /* mov eax, imm32 ; hlt */
    for (unsigned round = 0; round < 4; round++) {
        p[1] = (uint8_t)(round * 2);
        p[4] = (uint8_t)(round * 3);
        run_at(f, CODE_END - 2);
        assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 0x00030200u | round * 2 | round * 3 << 24);
    }
}

static void same_bytes_in_another_mode_are_decoded_anew(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    /* 64-bit: REX mov eax, 1; 32-bit: inc eax, mov eax, 1 */
    x86_fixture_code(f, (const uint8_t[]){0x40, 0xb8, 1, 0, 0, 0, 0xf4}, 7);
    run_at(f, X86_FIXTURE_CODE);
    assert_int_equal(x86_cpu_insns(f->cpu), 2);
    x86_cpu_get_state(f->cpu, &s);
    s.seg[X86_CS].attr = 0xc09b;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    run_at(f, X86_FIXTURE_CODE);
    assert_int_equal(x86_cpu_insns(f->cpu), 2 + 3);
}

/* More code than the arena holds: it is emptied and work goes on. */
static void full_arena_is_emptied(void **state)
{
    struct x86_fixture *f = *state;
    const uint32_t blocks = 200000; /* at 16 bytes each */
    uint8_t *p = f->mem + 0x80000;
    for (uint32_t i = 0; i < blocks; i++, p += 16)
        memcpy(p, "\x48\xff\xc0\xeb\x0b", 5); /* inc rax ; jmp to the next */
    *p = 0xf4;
    for (unsigned round = 1; round <= 2; round++) {
        run_at(f, 0x80000);
        assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), round * blocks);
    }
}

static void undecodable_bytes_raise_ud_in_the_guest(void **state)
{
    struct x86_fixture *f = *state;
    x86_fixture_code(f, (const uint8_t[]){0x06}, 1); /* PUSH ES does not exist in 64-bit mode */
    assert_int_equal(x86_fixture_step(f), 6);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE);
}

static void sixteen_bytes_are_too_long(void **state)
{
    struct x86_fixture *f = *state;
    uint8_t code[16];
    memset(code, 0x66, sizeof(code));
    code[15] = 0x90;
    x86_fixture_code(f, code, sizeof(code));
    assert_int_equal(x86_fixture_step(f), 13);
    assert_int_equal(f->event.error, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(store_into_the_running_block_takes_effect_at_once),
        CASE(write_through_host_memory_is_seen_at_the_next_entry),
        CASE(short_block_at_the_page_end_compares_only_its_bytes),
        CASE(instruction_across_two_pages_follows_changes_in_both),
        CASE(same_bytes_in_another_mode_are_decoded_anew),
        CASE(full_arena_is_emptied),
        CASE(undecodable_bytes_raise_ud_in_the_guest),
        CASE(sixteen_bytes_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
