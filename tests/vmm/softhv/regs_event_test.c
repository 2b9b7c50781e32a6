/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers around events: suspension, activity, pending events, interrupt state.
 */
#include "tests/vmm/softhv/regs_rig.h"

/* ---- Suspension, activity, events ---- */

static void suspend_registers_are_flags(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_REGISTER_EXPLICIT_SUSPEND, 1);
    keeps(&r, HV_REGISTER_INTERCEPT_SUSPEND, 1);
    assert_int_equal(r.control.explicit_suspend, 1);
    assert_int_equal(r.control.intercept_suspend, 1);
}

static void activity_moves_processor_and_local_apic(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_REGISTER_INTERNAL_ACTIVITY_STATE, HV_ACTIVITY_STARTUP_SUSPEND);
    assert_int_equal(r.state.activity, X86_WAIT_SIPI);
    assert_int_equal(r.waiting, 1);
    keeps(&r, HV_REGISTER_INTERNAL_ACTIVITY_STATE, HV_ACTIVITY_HALT_SUSPEND | HV_ACTIVITY_IDLE_SUSPEND);
    assert_int_equal(r.state.activity, X86_HALTED);
    assert_int_equal(r.waiting, 0);
    assert_true(r.control.idle);
    keeps(&r, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    assert_int_equal(r.state.activity, X86_ACTIVE);
}

static void pending_interruption_is_the_processors_event(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, UINT64_C(0x000000aa000d0017)); /* #GP(0xaa) */
    assert_int_equal(r.state.pending.kind, X86_EV_EXCEPTION);
    assert_int_equal(r.state.pending.vector, 13);
    assert_int_equal(r.state.pending.error, 0xaa);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, UINT64_C(0x800000 | 2 << 5 | 4 << 1 | 1)); /* INT 80h, two bytes */
    assert_int_equal(r.state.pending.kind, X86_EV_SOFT_INT);
    assert_int_equal(r.state.pending.vector, 0x80);
    assert_int_equal(r.state.pending.insn_len, 2);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, 0);
    assert_int_equal(r.state.pending.kind, X86_EV_NONE);
}

static void impossible_interruptions_are_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, 1 | 1 << 1); /* no such type */
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, 1 | 7 << 1);
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, 1 | 3 << 1 | 32 << 16); /* no such exception */
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, 1 | 256 << 16);
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, 1 | 0x400);
}

static void page_fault_travels_in_two_registers(void **state)
{
    struct rig r, s;
    (void)state;
    rig_init(&r);
    rig_init(&s);
    r.state.cr2 = 0x1000;
    r.state.pending =
        (struct x86_event){.kind = X86_EV_EXCEPTION, .vector = 14, .has_error = 1, .error = 6, .cr2 = 0x2000};
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR2), 0x2000);
    keeps(&s, HV_REGISTER_PENDING_INTERRUPTION, get64(&r, HV_REGISTER_PENDING_INTERRUPTION));
    keeps(&s, HV_X64_REGISTER_CR2, get64(&r, HV_X64_REGISTER_CR2));
    assert_int_equal(s.state.pending.cr2, 0x2000);
    assert_int_equal(s.state.pending.error, 6);
    /* and in the other order */
    rig_init(&s);
    keeps(&s, HV_X64_REGISTER_CR2, 0x2000);
    keeps(&s, HV_REGISTER_PENDING_INTERRUPTION, get64(&r, HV_REGISTER_PENDING_INTERRUPTION));
    assert_int_equal(s.state.pending.cr2, 0x2000);
}

static void debug_exception_keeps_dr6(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.pending = (struct x86_event){.kind = X86_EV_EXCEPTION, .vector = 1, .dr6 = 0x4001};
    assert_int_equal(get64(&r, HV_X64_REGISTER_DR6), 0xffff4ff1);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, get64(&r, HV_REGISTER_PENDING_INTERRUPTION));
    assert_int_equal(get64(&r, HV_X64_REGISTER_DR6), 0xffff4ff1);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, 0);
    assert_int_equal(get64(&r, HV_X64_REGISTER_DR6), 0xffff4ff1);
}

static void shadow_goes_when_a_client_completes_the_instruction(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.shadow_ss = 1;
    r.control.intercept_suspend = 1;
    keeps(&r, HV_X64_REGISTER_RIP, 0);
    assert_int_equal(get64(&r, HV_REGISTER_INTERRUPT_STATE), HV_INTERRUPT_STATE_SHADOW);
    keeps(&r, HV_X64_REGISTER_RIP, 2);
    assert_int_equal(get64(&r, HV_REGISTER_INTERRUPT_STATE), 0);
}

static void shadow_survives_a_restore(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_REGISTER_INTERRUPT_STATE, HV_INTERRUPT_STATE_SHADOW | HV_INTERRUPT_STATE_NMI_MASKED);
    keeps(&r, HV_X64_REGISTER_RIP, 0x1234);
    assert_int_equal(r.state.shadow_sti, 1);
    assert_int_equal(r.state.nmi_blocked, 1);
}

static void an_nmi_has_one_vector(void **state)
{
    struct rig r;
    const uint64_t nmi = HV_PENDING_INTERRUPTION_PENDING | (uint64_t)HV_PENDING_INTERRUPTION_NMI
                                                               << HV_PENDING_INTERRUPTION_TYPE_SHIFT;
    (void)state;
    rig_init(&r);
    refuses(&r, HV_REGISTER_PENDING_INTERRUPTION, nmi | UINT64_C(0x40) << HV_PENDING_INTERRUPTION_VECTOR_SHIFT);
    keeps(&r, HV_REGISTER_PENDING_INTERRUPTION, nmi | UINT64_C(2) << HV_PENDING_INTERRUPTION_VECTOR_SHIFT);
}

static void set_event(struct rig *r, uint64_t low, uint64_t high, enum hv_status status)
{
    union hv_register_value v = {.reg128 = {low, high}};
    assert_int_equal(softhv_regs_set(&r->view, HV_REGISTER_PENDING_EVENT0, &v), status);
}

static void pending_event_becomes_an_exception_at_the_next_run(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    set_event(&r, UINT64_C(0x00000007000e0101), 0x5678, HV_STATUS_SUCCESS);
    assert_int_equal(r.state.pending.kind, X86_EV_NONE);
    assert_int_equal(get64(&r, HV_REGISTER_PENDING_EVENT0), UINT64_C(0x00000007000e0101));
    assert_true(softhv_regs_take_event(&r.control, &r.state));
    assert_int_equal(get64(&r, HV_REGISTER_PENDING_EVENT0), 0);
    assert_int_equal(r.state.pending.kind, X86_EV_EXCEPTION);
    assert_int_equal(r.state.pending.vector, 14);
    assert_int_equal(r.state.pending.error, 7);
    assert_int_equal(r.state.pending.cr2, 0x5678);
    assert_false(softhv_regs_take_event(&r.control, &r.state));
}

static void pending_event_waits_for_the_interruption_before_it(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.pending.kind = X86_EV_NMI;
    set_event(&r, 0x4000 | 5 << 1 | 1, 0, HV_STATUS_SUCCESS);
    assert_false(softhv_regs_take_event(&r.control, &r.state));
    assert_int_equal(r.state.pending.kind, X86_EV_NMI);
    r.state.pending.kind = X86_EV_NONE;
    assert_true(softhv_regs_take_event(&r.control, &r.state));
    assert_int_equal(r.state.pending.kind, X86_EV_INTR);
    assert_int_equal(r.state.pending.vector, 0x40);
}

static void events_that_cannot_be_made_are_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    set_event(&r, 1 | 1 << 1, 0, HV_STATUS_INVALID_REGISTER_VALUE);
    set_event(&r, 1 | 4 << 1, 0, HV_STATUS_INVALID_REGISTER_VALUE);
    set_event(&r, 1 | 0x100 << 16, 0, HV_STATUS_INVALID_REGISTER_VALUE);
    refuses(&r, HV_REGISTER_PENDING_EVENT1, 1);
    set_event(&r, 0, 77, HV_STATUS_SUCCESS); /* garbage above a register that holds nothing */
    assert_int_equal(r.control.event0[1], 0);
}

static void deliverability_is_for_sints_where_there_are_local_apics(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, UINT64_C(0x8002) << 48);
    assert_int_equal(set64(&r, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set64(&r, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, 2), HV_STATUS_INVALID_PARAMETER);
    refuses(&r, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, 0x40);
    r.limits.lapic = false;
    keeps(&r, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, 0x3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suspend_registers_are_flags),
        cmocka_unit_test(activity_moves_processor_and_local_apic),
        cmocka_unit_test(pending_interruption_is_the_processors_event),
        cmocka_unit_test(impossible_interruptions_are_refused),
        cmocka_unit_test(page_fault_travels_in_two_registers),
        cmocka_unit_test(debug_exception_keeps_dr6),
        cmocka_unit_test(shadow_goes_when_a_client_completes_the_instruction),
        cmocka_unit_test(shadow_survives_a_restore),
        cmocka_unit_test(pending_event_becomes_an_exception_at_the_next_run),
        cmocka_unit_test(pending_event_waits_for_the_interruption_before_it),
        cmocka_unit_test(an_nmi_has_one_vector),
        cmocka_unit_test(events_that_cannot_be_made_are_refused),
        cmocka_unit_test(deliverability_is_for_sints_where_there_are_local_apics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
