/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

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

/* The embedder is not asked about an exception it has injected itself, only about one that delivering it causes. */
static void injected_exception_is_not_offered_again(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = 13, .has_error = 1, .error = 0x58};
    code(f, "\x48\xff\xc0\xf4", 4);
    assert_int_equal(x86_cpu_inject(f->cpu, &ev), 0);
    assert_int_equal(x86_fixture_step(f), 8); /* there is no IDT: #GP while delivering #GP */
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

/* The handler of #UD is an UD2 itself: no instruction is ever completed. */
static void handler_that_faults_ends_with_the_budget(void **state)
{
    struct x86_fixture *f = *state;
    x86_tables_install(f);
    x86_tables_poke(f, X86_TABLES_HANDLERS + 16 * X86_UD, 2, 0x0b0f);
    code(f, "\x0f\x0b", 2);
    assert_int_equal(x86_cpu_run(f->cpu, 100), X86_EXIT_BUDGET);
    assert_int_equal(x86_cpu_insns(f->cpu), 0);
}

static void event_that_does_not_exist_is_refused(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_event bad[] = {{.kind = X86_EV_NONE},
                                    {.kind = X86_EV_PRIV_EXCEPTION + 1},
                                    {.kind = X86_EV_EXCEPTION, .vector = 32},
                                    {.kind = X86_EV_SOFT_INT, .insn_len = 16}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(x86_cpu_inject(f->cpu, &bad[i]), -EINVAL);
    code(f, "\x48\xff\xc0", 3);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
}

static void state_without_an_event_takes_back_an_injected_one(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = 6};
    struct x86_state s;
    code(f, "\x48\xff\xc0", 3);
    x86_cpu_get_state(f->cpu, &s);
    assert_int_equal(x86_cpu_inject(f->cpu, &ev), 0);
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
}

static void shut_down_cpu_is_not_woken_by_an_nmi(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    x86_tables_install(f);
    x86_cpu_get_state(f->cpu, &s);
    s.activity = X86_SHUTDOWN;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_cpu_signal(f->cpu, X86_SIG_NMI);
    assert_int_equal(x86_cpu_run(f->cpu, 10), X86_EXIT_SHUTDOWN);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE);
}

static void into_without_overflow_is_single_stepped(void **state)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    (void)state;
    code(f, "\xce", 1);
    x86_fixture_set_flags(f, FL_TF | 2);
    assert_int_equal(x86_fixture_step(f), X86_DB);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE + 1);
    x86_fixture_free(f);
}

static void load_of_ss_hides_a_breakpoint_behind_it(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    x86_tables_install(f);
    f->deliver = false;
    code(f, "\x8e\xd0\x90\x90", 4); /* mov ss, ax; nop; nop */
    x86_cpu_set_gpr(f->cpu, X86_RAX, SEL_DATA0);
    x86_cpu_get_state(f->cpu, &s);
    s.dr[0] = X86_FIXTURE_CODE + 2;
    s.dr[1] = X86_FIXTURE_CODE + 3;
    s.dr7 = 0x40a;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_step(f), X86_DB);
    assert_int_equal(f->event.dr6 & 0xf, 2);
}

/* A table that starts below the hole and ends in it. */
static void descriptor_table_across_the_canonical_hole_faults(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_state s;
    x86_tables_install(f);
    f->deliver = false;
    code(f, "\xcd\x20", 2); /* int 20h */
    x86_cpu_get_state(f->cpu, &s);
    s.idtr.base = UINT64_C(0x800000000000) - 0x200;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    assert_int_equal(x86_fixture_step(f), X86_GP);
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
        CASE(injected_exception_is_not_offered_again),
        CASE(trap_flag_traps_after_the_instruction),
        CASE(fault_leaves_rip_at_the_instruction),
        CASE(instruction_bytes_stop_where_nothing_is_mapped),
        CASE(handler_that_faults_ends_with_the_budget),
        CASE(event_that_does_not_exist_is_refused),
        CASE(state_without_an_event_takes_back_an_injected_one),
        CASE(shut_down_cpu_is_not_woken_by_an_nmi),
        CASE(into_without_overflow_is_single_stepped),
        CASE(load_of_ss_hides_a_breakpoint_behind_it),
        CASE(descriptor_table_across_the_canonical_hole_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
