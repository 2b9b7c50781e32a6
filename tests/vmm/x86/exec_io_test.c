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

/* The code ran to a HLT that is no handler. */
static struct x86_state expect_done(struct x86_fixture *f)
{
    assert_int_equal(x86_tables_run(f), -1);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    return x86_tables_state(f);
}

static void out_hands_the_value_to_the_port(void **state)
{
    struct x86_fixture *f =
        START(state, LONG64, 0xe6, 0x80, 0x66, 0xef, 0xef, 0xf4); /* out 80h, al; out dx, ax; out dx, eax */
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x9912345678));
    x86_cpu_set_gpr(f->cpu, X86_RDX, 0x30cf8);
    (void)expect_done(f);
    static const uint64_t want[][3] = {{0x80, 0x78, 1}, {0xcf8, 0x5678, 2}, {0xcf8, 0x12345678, 4}};
    assert_int_equal(f->io_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f->io[i].where, want[i][0]);
        assert_int_equal(f->io[i].value, want[i][1]);
        assert_int_equal(f->io[i].size, want[i][2]);
    }
}

static void in_writes_the_accumulator_by_size(void **state)
{
    static const struct {
        uint8_t code[3];
        uint64_t want;
    } rows[] = {{{0xec, 0xf4}, UINT64_C(0x11111111111111b0)},
                {{0x66, 0xed, 0xf4}, UINT64_C(0x111111111111a2b0)},
                {{0xed, 0xf4}, 0x1234a2b0}};
    for (unsigned i = 0; i < 3; i++) {
        struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, rows[i].code, 3);
        f->in_value = 0x1234a2b0;
        x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x1111111111111111));
        assert_int_equal(expect_done(f).gpr[X86_RAX], rows[i].want);
        if (i < 2)
            x86_fixture_free(f);
    }
}

static void refused_port_access_stays_at_the_instruction(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xec, 0xf4);
    f->refuse = true;
    assert_int_equal(x86_cpu_run(f->cpu, 10), X86_EXIT_CALLBACK);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE);
    assert_int_equal(x86_cpu_current(f->cpu)->op, X86_OP_IN);
}

/* ---- Permission ---- */

/* User code, IOPL 0, reading port 0x3f0 + 7 with `size`; bitmap at 0x68 with the byte of that port given. */
static struct x86_fixture *user_in(void **state, unsigned size, uint8_t bits, uint32_t limit)
{
    const uint8_t wide[] = {0xed, 0xf4}, narrow[] = {0xec, 0xf4};
    struct x86_fixture *f = x86_tables_start(state, X86_FIXTURE_LONG64, true, size == 4 ? wide : narrow, 2);
    struct x86_state s = x86_tables_state(f);
    s.seg[X86_TR].limit = limit;
    x86_tables_change(f, &s);
    x86_tables_poke(f, X86_TABLES_TSS + 102, 2, 0x68);
    x86_tables_poke(f, X86_TABLES_TSS + 0x68 + 0x3f0 / 8, 2, (uint64_t)bits << 7);
    x86_tables_enter_user(f);
    x86_cpu_set_gpr(f->cpu, X86_RDX, 0x3f7);
    return f;
}

static void bitmap_opens_a_port_to_user(void **state)
{
    struct x86_fixture *f = user_in(state, 1, 0, 0x68 + 0x3f0 / 8 + 1);
    expect_fault(f, X86_GP, 0); /* of the HLT behind it */
    assert_int_equal(f->io_count, 1);
}

static void every_byte_of_the_access_needs_its_bit(void **state)
{
    struct x86_fixture *f = user_in(state, 4, 8, 0xfff);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(f->io_count, 0);
}

static void bitmap_cut_by_the_limit_closes_the_port(void **state)
{
    struct x86_fixture *f = user_in(state, 1, 0, 0x68 + 0x3f0 / 8);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(f->io_count, 0);
}

static void iopl_opens_all_ports(void **state)
{
    struct x86_fixture *f = user_in(state, 1, 1, 0x67);
    x86_fixture_set_flags(f, X86_FL_IOPL);
    expect_fault(f, X86_GP, 0);
    assert_int_equal(f->io_count, 1);
}

static void io_breakpoint_traps_after_the_access(void **state)
{
    struct x86_fixture *f = START(state, LONG64, 0xee, 0xf4); /* out dx, al */
    struct x86_state s = x86_tables_state(f);
    s.cr4 |= X86_CR4_DE;
    s.dr[1] = 0x60;
    s.dr7 = 0x400 | 8 | 2u << 20 | 3u << 22; /* local 1, I/O, four ports */
    s.gpr[X86_RDX] = 0x63;
    x86_tables_change(f, &s);
    assert_int_equal(x86_tables_run(f), X86_DB);
    assert_int_equal(x86_tables_error(f), X86_FIXTURE_CODE + 1);
    assert_int_equal(x86_tables_state(f).dr6 & 0xf, 2);
    assert_int_equal(f->io_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, x86_tables_teardown)
        T(out_hands_the_value_to_the_port),
        T(in_writes_the_accumulator_by_size),
        T(refused_port_access_stays_at_the_instruction),
        T(bitmap_opens_a_port_to_user),
        T(every_byte_of_the_access_needs_its_bit),
        T(bitmap_cut_by_the_limit_closes_the_port),
        T(iopl_opens_all_ports),
        T(io_breakpoint_traps_after_the_access),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
