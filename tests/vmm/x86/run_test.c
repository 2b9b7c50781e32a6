/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"

#define FL_TF 0x100u
#define FL_IF 0x200u

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

static void code(struct x86_fixture *f, const char *bytes, size_t n)
{
    x86_fixture_code(f, (const uint8_t *)bytes, n);
}

static void endless_loop_ends_with_the_budget(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\xeb\xfe", 2);
    assert_int_equal(x86_cpu_run(f->cpu, 1000), X86_EXIT_BUDGET);
    assert_int_equal(x86_cpu_insns(f->cpu), 1000);
}

static void budget_of_one_runs_exactly_one_instruction(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\x48\xff\xc0\x48\xff\xc0\x48\xff\xc0\xf4", 10); /* inc rax, three times */
    assert_int_equal(x86_cpu_run(f->cpu, 1), X86_EXIT_BUDGET);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 1);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 3);
}

static void kick_before_the_run_is_not_lost(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\xeb\xfe", 2);
    x86_cpu_kick(f->cpu);
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_KICK);
    assert_int_equal(x86_cpu_insns(f->cpu), 0);
    assert_int_equal(x86_cpu_run(f->cpu, 10), X86_EXIT_BUDGET);
}

static void halt_returns_behind_the_instruction_and_stays(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\xf4", 1);
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_HALT);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 1);
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_HALT);
    assert_int_equal(x86_cpu_insns(f->cpu), 1);
}

static void second_injected_event_is_refused(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = 6};
    assert_int_equal(x86_cpu_inject(f->cpu, &ev), 0);
    assert_int_not_equal(x86_cpu_inject(f->cpu, &ev), 0);
}

/* The fixture stops at exceptions, so the injected one comes back with its own fields. */
static void injected_exception_is_delivered_first(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = 13, .has_error = 1, .error = 0x58};
    code(f, "\x48\xff\xc0\xf4", 4);
    assert_int_equal(x86_cpu_inject(f->cpu, &ev), 0);
    assert_int_equal(x86_fixture_step(f), 13);
    assert_int_equal(f->event.error, 0x58);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 0);
}

static void trap_flag_traps_after_the_instruction(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\x48\xff\xc0\x48\xff\xc0\xf4", 7);
    x86_fixture_set_flags(f, FL_TF | 2);
    assert_int_equal(x86_fixture_step(f), 1);
    assert_int_equal(f->event.dr6 & 0x4000, 0x4000);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 1);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 3);
}

static void fault_leaves_rip_at_the_instruction(void **state)
{
    struct x86_fixture *f = *state;
    code(f, "\x48\xff\xc0\x0f\x0b", 5); /* inc rax; ud2: one block */
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_CALLBACK);
    assert_int_equal(f->event.vector, 6);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 3);
    assert_int_equal(x86_cpu_insns(f->cpu), 1);
}

static void instruction_bytes_stop_where_nothing_is_mapped(void **state)
{
    struct x86_fixture *f = *state;
    uint8_t bytes[15];
    code(f, "\x90\x91\x92", 3);
    assert_int_equal(x86_cpu_insn_bytes(f->cpu, bytes), 15);
    assert_memory_equal(bytes, "\x90\x91\x92", 3);
    *x86_fixture_pte(f, X86_FIXTURE_CODE + 4096) = 0;
    x86_fixture_flush(f);
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.rip = X86_FIXTURE_CODE + 4096 - 5;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    assert_int_equal(x86_cpu_insn_bytes(f->cpu, bytes), 5);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(endless_loop_ends_with_the_budget),
        CASE(budget_of_one_runs_exactly_one_instruction),
        CASE(kick_before_the_run_is_not_lost),
        CASE(halt_returns_behind_the_instruction_and_stays),
        CASE(second_injected_event_is_refused),
        CASE(injected_exception_is_delivered_first),
        CASE(trap_flag_traps_after_the_instruction),
        CASE(fault_leaves_rip_at_the_instruction),
        CASE(instruction_bytes_stop_where_nothing_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
