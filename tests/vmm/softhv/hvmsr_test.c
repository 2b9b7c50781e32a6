/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/vmm/softhv/hv_rig.h"

#define QEMU_SYNTHETIC UINT64_C(0x06400ffb)
#define OS_ID          UINT64_C(0x8100000000060000)

static int setup(void **state)
{
    *state = rig_new(QEMU_SYNTHETIC, 0, false);
    return *state == NULL;
}

static int setup_amd(void **state)
{
    *state = rig_new(QEMU_SYNTHETIC, 0, true);
    return *state == NULL;
}

static int setup_bare(void **state)
{
    *state = rig_new(0, 0, false);
    return *state == NULL;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static struct softhv_hv_vp *vp0(struct rig *r)
{
    return &r->vps[0].vp;
}

static uint64_t get(struct rig *r, uint32_t msr)
{
    uint64_t v = 0;
    assert_int_equal(softhv_msr_read(vp0(r), msr, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_OK);
    return v;
}

static void set(struct rig *r, uint32_t msr, uint64_t v)
{
    assert_int_equal(softhv_msr_write(vp0(r), msr, SOFTHV_BY_GUEST, v), SOFTHV_MSR_OK);
}

static void set_by_vmm(struct rig *r, uint32_t msr, uint64_t v)
{
    assert_int_equal(softhv_msr_write(vp0(r), msr, SOFTHV_BY_VMM, v), SOFTHV_MSR_OK);
}

static void refused(struct rig *r, uint32_t msr, uint64_t v)
{
    assert_int_equal(softhv_msr_write(vp0(r), msr, SOFTHV_BY_GUEST, v), SOFTHV_MSR_GP);
}

/* ---- Boot as Linux does it ---- */

static void hypercall_page_needs_an_identity(void **state)
{
    struct rig *r = *state;
    set(r, HV_MSR_HYPERCALL, 0x5001);
    assert_int_equal(get(r, HV_MSR_HYPERCALL), 0x5000);
    assert_false(softhv_hv_calls_on(&r->hv));
    set(r, HV_MSR_GUEST_OS_ID, OS_ID);
    set(r, HV_MSR_HYPERCALL, 0x7001);
    assert_true(softhv_hv_calls_on(&r->hv));
    assert_true(r->vps[0].overlay[SOFTHV_OVERLAY_HYPERCALL].on);
    assert_int_equal(r->vps[0].overlay[SOFTHV_OVERLAY_HYPERCALL].gfn, 7);
    set(r, HV_MSR_GUEST_OS_ID, 0);
    assert_false(softhv_hv_calls_on(&r->hv));
    assert_false(r->vps[0].overlay[SOFTHV_OVERLAY_HYPERCALL].on);
}

static void a_restored_hypercall_page_comes_before_the_identity(void **state)
{
    struct rig *r = *state;
    set_by_vmm(r, HV_MSR_HYPERCALL, 0x7001);
    set_by_vmm(r, HV_MSR_GUEST_OS_ID, OS_ID);
    assert_true(softhv_hv_calls_on(&r->hv));
}

static void a_locked_hypercall_page_stays(void **state)
{
    struct rig *r = *state;
    set(r, HV_MSR_GUEST_OS_ID, OS_ID);
    set(r, HV_MSR_HYPERCALL, 0x7003);
    refused(r, HV_MSR_HYPERCALL, 0);
    assert_int_equal(get(r, HV_MSR_HYPERCALL), 0x7003);
    set_by_vmm(r, HV_MSR_HYPERCALL, 0);
}

static void hypercall_code_of_the_vendor(void **state)
{
    static const uint8_t want[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xc1, 0xc3, 0xcc};
    struct rig *r = *state;
    assert_memory_equal(r->hypercall_page, want, sizeof(want));
    assert_int_equal(r->hypercall_page[4095], 0xcc);
}

static void hypercall_code_of_amd(void **state)
{
    static const uint8_t want[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3, 0xcc};
    assert_memory_equal(((struct rig *)*state)->hypercall_page, want, sizeof(want));
}

static void pages_lie_inside_the_address_space(void **state)
{
    static const uint32_t msrs[] = {HV_MSR_HYPERCALL, HV_MSR_REFERENCE_TSC, HV_MSR_VP_ASSIST_PAGE, HV_MSR_SIMP,
                                    HV_MSR_SIEFP};
    struct rig *r = *state;
    set(r, HV_MSR_GUEST_OS_ID, OS_ID);
    for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        refused(r, msrs[i], (UINT64_C(1) << RIG_PHYS_BITS) | 1);
        refused(r, msrs[i], UINT64_MAX & ~HV_MSR_HYPERCALL_LOCKED);
        set(r, msrs[i], ((UINT64_C(1) << RIG_PHYS_BITS) - 4096) | 1);
        set(r, msrs[i], 0);
    }
}

static void the_same_value_again_moves_no_page(void **state)
{
    struct rig *r = *state;
    set(r, HV_MSR_VP_ASSIST_PAGE, 0x9001);
    set(r, HV_MSR_VP_ASSIST_PAGE, 0x9001);
    assert_int_equal(r->vps[0].overlay[SOFTHV_OVERLAY_VP_ASSIST].changes, 1);
    assert_int_equal(r->vps[1].overlay[SOFTHV_OVERLAY_VP_ASSIST].changes, 0);
}

static void the_reference_page_holds_the_time(void **state)
{
    struct rig *r = *state;
    struct hv_reference_tsc_page *p = (void *)r->tsc_page;
    r->now = 5000000000;
    set(r, HV_MSR_REFERENCE_TSC, 0x3001); /* no identity needed */
    assert_int_equal(r->vps[0].overlay[SOFTHV_OVERLAY_REFERENCE_TSC].gfn, 3);
    assert_int_not_equal(p->tsc_sequence, 0);
    unsigned __int128 t = (unsigned __int128)softhv_clock_tsc(&r->clock) * p->tsc_scale;
    assert_int_equal((uint64_t)(t >> 64) + (uint64_t)p->tsc_offset, get(r, HV_MSR_TIME_REF_COUNT));
    assert_int_equal(get(r, HV_MSR_TIME_REF_COUNT), 50000000);
}

static void setting_the_reference_time_rewrites_the_page(void **state)
{
    struct rig *r = *state;
    struct hv_reference_tsc_page *p = (void *)r->tsc_page;
    uint32_t before = p->tsc_sequence;
    softhv_hv_set_reference_time(&r->hv, 1000);
    assert_int_not_equal(p->tsc_sequence, before);
    assert_int_equal(p->tsc_offset, 1000);
    assert_int_equal(get(r, HV_MSR_TIME_REF_COUNT), 1000);
    refused(r, HV_MSR_TIME_REF_COUNT, 0);
}

static void freezing_stops_the_counter(void **state)
{
    struct rig *r = *state;
    r->now += 1000;
    softhv_hv_freeze(&r->hv, true);
    r->now += 100000;
    assert_int_equal(get(r, HV_MSR_TIME_REF_COUNT), 10);
    assert_int_equal(get(r, 0x10), 2000);
    softhv_hv_freeze(&r->hv, false);
    r->now += 1000;
    assert_int_equal(get(r, HV_MSR_TIME_REF_COUNT), 20);
}

static void frequencies_and_identity(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, HV_MSR_TSC_FREQUENCY), 2000000000);
    assert_int_equal(get(r, HV_MSR_APIC_FREQUENCY), 200000000);
    assert_int_equal(get(r, HV_MSR_VP_INDEX), 0);
    refused(r, HV_MSR_VP_INDEX, 1);
    refused(r, HV_MSR_TSC_FREQUENCY, 1);
}

static void invariant_control_has_one_bit(void **state)
{
    struct rig *r = *state;
    set(r, HV_MSR_TSC_INVARIANT_CONTROL, 1);
    assert_int_equal(get(r, HV_MSR_TSC_INVARIANT_CONTROL), 1);
    refused(r, HV_MSR_TSC_INVARIANT_CONTROL, 2);
}

static void interrupt_registers_go_to_the_local_apic(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    set(r, HV_MSR_EOI, 0);
    assert_int_equal(r->vps[0].lapic_msr, HV_MSR_EOI);
    refused(r, HV_MSR_EOI, UINT64_C(1) << 32);
    refused(r, HV_MSR_TPR, 0x100);
    set(r, HV_MSR_ICR, 0x1200000041);
    assert_int_equal(r->vps[0].lapic_value, 0x1200000041);
    assert_int_equal(get(r, HV_MSR_TPR), 0x1234);
    assert_int_equal(softhv_msr_read(vp0(r), HV_MSR_EOI, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_GP);
    assert_int_equal(get(r, 0x1b), 0x1234);
    assert_false(r->vps[0].lapic_by_vmm);
    set_by_vmm(r, 0x1b, 0xfee00900);
    assert_true(r->vps[0].lapic_by_vmm);
    assert_int_equal(get(r, 0x802), 0x1234);
    set(r, 0x6e0, 99);
    assert_int_equal(r->vps[0].lapic_msr, 0x6e0);
    refused(r, 0x80f, 0);
}

static void reading_idle_halts_the_guest_only(void **state)
{
    struct rig *r = *state;
    uint64_t v = 1;
    assert_int_equal(get(r, HV_MSR_GUEST_IDLE), 0);
    assert_int_equal(r->vps[0].idles, 1);
    assert_int_equal(softhv_msr_read(vp0(r), HV_MSR_GUEST_IDLE, SOFTHV_BY_VMM, &v), SOFTHV_MSR_OK);
    assert_int_equal(r->vps[0].idles, 1);
}

static void a_crash_is_reported_with_its_parameters(void **state)
{
    struct rig *r = *state;
    assert_true(get(r, HV_MSR_CRASH_CTL) == (HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE));
    for (unsigned i = 0; i < 5; i++)
        set(r, HV_MSR_CRASH_P0 + i, 100 + i);
    set(r, HV_MSR_CRASH_CTL, HV_CRASH_CTL_MESSAGE);
    assert_int_equal(r->vps[0].crashes, 0);
    set(r, HV_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY);
    assert_int_equal(r->vps[0].crashes, 1);
    assert_int_equal(r->vps[0].crash[4], 104);
    assert_int_equal(get(r, HV_MSR_CRASH_P4), 104);
}

/* ---- Rights ---- */

static void without_the_right_it_is_gp(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    atomic_store(&r->hv.ignore_unknown, true);
    assert_int_equal(softhv_msr_read(vp0(r), HV_MSR_VP_RUNTIME, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_GP);
    assert_int_equal(softhv_msr_guest_read(vp0(r), HV_MSR_VP_RUNTIME, &v), SOFTHV_MSR_GP);
    assert_int_equal(softhv_msr_read(vp0(r), HV_MSR_RESET, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_GP);
    assert_int_equal(softhv_msr_read(vp0(r), HV_MSR_VP_RUNTIME, SOFTHV_BY_VMM, &v), SOFTHV_MSR_OK);
    assert_int_equal(v, 4711);
}

static void without_an_interface_nothing_synthetic_is_reached(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    for (uint32_t msr = 0x40000000; msr < 0x40000120; msr++) {
        assert_int_not_equal(softhv_msr_read(vp0(r), msr, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_OK);
        assert_int_not_equal(softhv_msr_write(vp0(r), msr, SOFTHV_BY_GUEST, 0), SOFTHV_MSR_OK);
    }
}

static void unknown_registers_follow_the_property(void **state)
{
    struct rig *r = *state;
    static const uint32_t unknown[] = {0x0, 0x48, 0x122, 0x606, 0x40000106, 0x4000ffff, 0xc0010015, 0xffffffff};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        uint64_t v = 7;
        atomic_store(&r->hv.ignore_unknown, false);
        assert_int_equal(softhv_msr_read(vp0(r), unknown[i], SOFTHV_BY_GUEST, &v), SOFTHV_MSR_UNKNOWN);
        assert_int_equal(softhv_msr_guest_read(vp0(r), unknown[i], &v), SOFTHV_MSR_GP);
        assert_int_equal(softhv_msr_guest_write(vp0(r), unknown[i], 1), SOFTHV_MSR_GP);
        atomic_store(&r->hv.ignore_unknown, true);
        assert_int_equal(softhv_msr_guest_read(vp0(r), unknown[i], &v), SOFTHV_MSR_OK);
        assert_int_equal(v, 0);
        assert_int_equal(softhv_msr_guest_write(vp0(r), unknown[i], 1), SOFTHV_MSR_OK);
    }
}

static void say(struct softhv_msr_results *results, uint32_t access, uint32_t action)
{
    const struct hv_register_x64_msr_result_parameters in = {
        .msr_index = 0x606, .access_type = access, .action = action};
    assert_int_equal(softhv_msr_results_add(results, &in), HV_STATUS_SUCCESS);
}

/* The VP's result, the partition's, the intercept, the property. */
static void what_decides_about_unknown_registers_has_an_order(void **state)
{
    struct rig *r = *state;
    uint64_t v = 7;
    atomic_store(&r->hv.ignore_unknown, true);
    atomic_store(&r->hv.installed.unhandled_msrs, HV_INTERCEPT_ACCESS_MASK_READ);
    assert_int_equal(softhv_msr_guest_read(vp0(r), 0x606, &v), SOFTHV_MSR_INTERCEPT);
    assert_int_equal(softhv_msr_guest_write(vp0(r), 0x606, v), SOFTHV_MSR_OK);
    say(&r->hv.results, HV_INTERCEPT_ACCESS_MASK_READ, HV_UNIMPLEMENTED_MSR_ACTION_FAULT);
    assert_int_equal(softhv_msr_guest_read(vp0(r), 0x606, &v), SOFTHV_MSR_GP);
    say(&vp0(r)->results, HV_INTERCEPT_ACCESS_MASK_READ, HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO);
    v = 7;
    assert_int_equal(softhv_msr_guest_read(vp0(r), 0x606, &v), SOFTHV_MSR_OK);
    assert_int_equal(v, 0);
    say(&vp0(r)->results, HV_INTERCEPT_ACCESS_MASK_WRITE, HV_UNIMPLEMENTED_MSR_ACTION_FAULT);
    assert_int_equal(softhv_msr_guest_write(vp0(r), 0x606, v), SOFTHV_MSR_GP);
    assert_int_equal(softhv_msr_guest_read(vp0(r), 0x607, &v), SOFTHV_MSR_INTERCEPT);
}

/* ---- SynIC and timers through MSRs ---- */

static void switch_synic_on(struct rig *r)
{
    set(r, HV_MSR_SCONTROL, 1);
    set(r, HV_MSR_SIMP, 0x8001);
    set(r, HV_MSR_SIEFP, 0x9001);
    set(r, HV_MSR_SINT0 + 3, 0x55);
}

static void synic_pages_are_overlays_of_the_vp(void **state)
{
    struct rig *r = *state;
    switch_synic_on(r);
    assert_int_equal(r->vps[0].overlay[SOFTHV_OVERLAY_MESSAGES].gfn, 8);
    assert_int_equal(r->vps[0].overlay[SOFTHV_OVERLAY_EVENTS].gfn, 9);
    assert_int_equal(r->vps[1].overlay[SOFTHV_OVERLAY_MESSAGES].changes, 0);
    assert_int_equal(get(r, HV_MSR_SIMP), 0x8001);
    assert_int_equal(get(r, HV_MSR_SVERSION), 1);
    assert_int_equal(get(r, HV_MSR_SINT0 + 3), 0x55);
    assert_int_equal(get(r, HV_MSR_EOM), 0);
    refused(r, HV_MSR_SVERSION, 1);
    refused(r, HV_MSR_SINT0 + 15, 3);
}

static void a_timer_message_comes_again_after_eom(void **state)
{
    struct rig *r = *state;
    uint8_t *slot = r->vps[0].messages + 3 * 256;
    switch_synic_on(r);
    bytes_store_le32(slot, 1); /* taken */
    set(r, HV_MSR_STIMER0_CONFIG, 0x30001);
    set(r, HV_MSR_STIMER0_COUNT, 100);
    r->now += 10000;
    assert_true(softhv_hv_vp_tick(vp0(r)) == SOFTHV_CLOCK_NEVER);
    assert_int_equal(slot[5], HV_MESSAGE_FLAG_PENDING);
    bytes_store_le32(slot, 0);
    set(r, HV_MSR_EOM, 0);
    assert_int_equal(bytes_load_le32(slot), HVMSG_TIMER_EXPIRED);
    assert_int_equal(r->vps[0].vector, 0x55);
}

static void a_timer_message_comes_again_after_eoi(void **state)
{
    struct rig *r = *state;
    uint8_t *slot = r->vps[0].messages + 3 * 256;
    switch_synic_on(r);
    bytes_store_le32(slot, 1);
    set(r, HV_MSR_STIMER0_CONFIG, 0x30001);
    set(r, HV_MSR_STIMER0_COUNT, 100);
    r->now += 10000;
    softhv_hv_vp_tick(vp0(r));
    bytes_store_le32(slot, 0);
    softhv_hv_vp_eoi(vp0(r), 0x54);
    assert_int_equal(bytes_load_le32(slot), 0);
    softhv_hv_vp_eoi(vp0(r), 0x55);
    assert_int_equal(bytes_load_le32(slot), HVMSG_TIMER_EXPIRED);
}

static void a_direct_timer_says_how_long_to_wait(void **state)
{
    struct rig *r = *state;
    set(r, HV_MSR_STIMER0_CONFIG + 6, 0x1ed9);
    set(r, HV_MSR_STIMER0_COUNT + 6, 50);
    assert_int_equal(softhv_hv_vp_tick(vp0(r)), 5000);
    r->now += 5000;
    assert_true(softhv_hv_vp_tick(vp0(r)) == SOFTHV_CLOCK_NEVER);
    assert_int_equal(r->vps[0].vector, 0xed);
    assert_int_equal(get(r, HV_MSR_STIMER0_COUNT + 6), 50);
    assert_int_equal(get(r, HV_MSR_STIMER0_CONFIG + 6), 0x1ed8);
    refused(r, HV_MSR_STIMER0_CONFIG, UINT64_C(1) << 60);
}

static void lazy_eoi_needs_the_assist_page(void **state)
{
    struct rig *r = *state;
    assert_false(softhv_hv_vp_lazy_offer(vp0(r)));
    set(r, HV_MSR_VP_ASSIST_PAGE, 0x9001);
    assert_true(softhv_hv_vp_lazy_offer(vp0(r)));
    assert_int_equal(r->vps[0].assist[0], 1);
    assert_false(softhv_hv_vp_lazy_withdraw(vp0(r)));
    assert_int_equal(r->vps[0].assist[0], 0);
    assert_true(softhv_hv_vp_lazy_offer(vp0(r)));
    r->vps[0].assist[0] = 0; /* the guest's way to end the interrupt */
    assert_true(softhv_hv_vp_lazy_withdraw(vp0(r)));
}

/* ---- Reset ---- */

static void reset_takes_the_pages_away(void **state)
{
    struct rig *r = *state;
    switch_synic_on(r);
    set(r, HV_MSR_VP_ASSIST_PAGE, 0x9001);
    set(r, HV_MSR_STIMER0_CONFIG, 0x1ed9);
    set(r, 0x2ff, 0x806);
    r->vps[0].assist[8] = 1;
    softhv_hv_vp_reset(vp0(r), true);
    assert_false(r->vps[0].overlay[SOFTHV_OVERLAY_MESSAGES].on);
    assert_false(r->vps[0].overlay[SOFTHV_OVERLAY_VP_ASSIST].on);
    assert_int_equal(r->vps[0].assist[8], 0);
    assert_int_equal(get(r, HV_MSR_STIMER0_CONFIG), 0);
    assert_int_equal(get(r, HV_MSR_SINT0 + 3), 0x10000);
    assert_int_equal(get(r, 0x2ff), 0x806); /* INIT spares it */
    softhv_hv_vp_reset(vp0(r), false);
    assert_int_equal(get(r, 0x2ff), 0);
}

/* ---- TSC ---- */

static void a_guest_moves_its_own_tsc(void **state)
{
    struct rig *r = *state;
    r->now += 1000;
    set(r, 0x10, 50000);
    assert_int_equal(get(r, 0x10), 50000);
    assert_int_equal(get(r, 0x3b), 48000);
    set(r, 0x3b, 0);
    assert_int_equal(get(r, 0x10), 2000);
    assert_int_equal(r->vps[0].tsc_changes, 2);
    assert_int_equal(r->vps[0].time_changes, 0);
    assert_int_equal(softhv_vp_tsc_read(&r->vps[1].vp.tsc, &r->clock), 2000);
}

static void a_vmm_moves_all_and_keeps_them_together(void **state)
{
    struct rig *r = *state;
    r->now += 60000000000;
    uint64_t ref = get(r, HV_MSR_TIME_REF_COUNT);
    set_by_vmm(r, 0x10, 0);
    assert_int_equal(r->vps[0].time_changes, 1);
    r->now += 1000000;
    assert_int_equal(softhv_msr_write(&r->vps[1].vp, 0x10, SOFTHV_BY_VMM, 0), SOFTHV_MSR_OK);
    assert_int_equal(get(r, 0x10), 2000000);
    assert_int_equal(softhv_vp_tsc_read(&r->vps[1].vp.tsc, &r->clock), 2000000);
    assert_in_range(get(r, HV_MSR_TIME_REF_COUNT), ref + 10000, ref + 10001);
    set_by_vmm(r, 0x3b, 0);
    assert_int_equal(get(r, 0x10), 2000000);
}

static void a_value_read_and_given_back_changes_nothing(void **state)
{
    struct rig *r = *state;
    r->now += 5000000000;
    set(r, 0x10, UINT64_C(1) << 50); /* the guest's own */
    uint64_t v = get(r, 0x10);
    r->now += 1000000;
    set_by_vmm(r, 0x10, v);
    assert_true(get(r, 0x10) == v + 2000000);
    assert_int_equal(r->vps[0].time_changes, 0);
    assert_int_equal(softhv_vp_tsc_read(&r->vps[1].vp.tsc, &r->clock), 10002000000);
}

/* ---- Ordinary registers ---- */

static void mtrrs_keep_what_is_valid(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    assert_int_equal(get(r, 0xfe), 0x508);
    refused(r, 0xfe, 0);
    set(r, 0x2ff, 0xc06);
    refused(r, 0x2ff, 0x802);
    refused(r, 0x2ff, 0x1000);
    set(r, 0x20e, 0xfff00006);
    set(r, 0x20f, 0xfffff00800);
    assert_int_equal(get(r, 0x20e), 0xfff00006);
    assert_int_equal(get(r, 0x20f), 0xfffff00800);
    refused(r, 0x20e, 0xfff00007);
    refused(r, 0x20e, UINT64_C(1) << RIG_PHYS_BITS);
    refused(r, 0x20f, 0x400);
    refused(r, 0x210, 0);
    assert_int_equal(softhv_msr_read(vp0(r), 0x210, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_GP);
    set_by_vmm(r, 0x210, 6);
    set(r, 0x26f, UINT64_C(0x0606060606060606));
    set(r, 0x250, 1);
    refused(r, 0x258, 0x0700);
    assert_true(get(r, 0x26f) == UINT64_C(0x0606060606060606));
    assert_int_equal(get(r, 0x250), 1);
    assert_int_equal(get(r, 0x268), 0);
}

static void identification_of_intel(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    assert_int_equal(get(r, 0x17), 0);
    assert_int_equal(get(r, 0x8b) >> 32, 1);
    set(r, 0x8b, 0);
    set(r, 0x79, 0x1000);
    assert_int_equal(softhv_msr_read(vp0(r), 0x79, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_GP);
    assert_int_equal(get(r, 0x3a), 1);
    refused(r, 0x3a, 5);
    assert_int_equal(get(r, 0x10a) & 1, 1);
    refused(r, 0x10a, 0);
    assert_int_equal(get(r, 0x1a0), 0x1801);
    set(r, 0x1a0, UINT64_MAX);
    assert_int_equal(get(r, 0x1a0), 0x51809);
    assert_int_equal(get(r, 0x179), 0);
    set(r, 0x17a, 0xff);
    assert_int_equal(get(r, 0x17a), 7);
    set(r, 0x1d9, 1);
    refused(r, 0x1d9, 4);
}

static void identification_of_amd(void **state)
{
    struct rig *r = *state;
    uint64_t v;
    assert_int_equal(get(r, 0x8b), 1);
    assert_int_equal(get(r, 0xc0010015), 1 << 24);
    set(r, 0xc0010015, 0x10);
    assert_int_equal(get(r, 0xc0010015), 1 << 24 | 0x10);
    assert_int_equal(get(r, 0xc0011029), 2);
    assert_int_equal(softhv_msr_read(vp0(r), 0x1a0, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_UNKNOWN);
    assert_int_equal(softhv_msr_read(vp0(r), 0x10a, SOFTHV_BY_GUEST, &v), SOFTHV_MSR_UNKNOWN);
    set_by_vmm(r, 0x1a0, 1); /* by a list that knows no vendors */
}

/* What QEMU and Cloud Hypervisor read and give back in one list must be accepted as it came. */
static void a_vmm_can_give_back_what_it_read(void **state)
{
    static const uint32_t runs[][2] = {
        {0x10, 0x10},
        {0x3a, 0x3b},
        {0x48, 0x49},
        {0x8b, 0x8b},
        {0xfe, 0xfe},
        {0x1a0, 0x1a0},
        {0x1d9, 0x1d9},
        {0x200, 0x21f},
        {0x250, 0x250},
        {0x268, 0x26f},
        {0x2ff, 0x2ff},
        {0x6a0, 0x6a8},
        {0xd90, 0xd90},
        {HV_MSR_GUEST_OS_ID, HV_MSR_VP_INDEX},
        {HV_MSR_TIME_REF_COUNT, HV_MSR_APIC_FREQUENCY},
        {HV_MSR_VP_ASSIST_PAGE, HV_MSR_VP_ASSIST_PAGE},
        {HV_MSR_SCONTROL, HV_MSR_EOM},
        {HV_MSR_SINT0, HV_MSR_SINT15},
        {HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER3_COUNT},
        {HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL},
    };
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        for (uint32_t msr = runs[i][0]; msr <= runs[i][1]; msr++) {
            uint64_t v;
            assert_int_equal(softhv_msr_read(vp0(r), msr, SOFTHV_BY_VMM, &v), SOFTHV_MSR_OK);
            assert_int_equal(softhv_msr_write(vp0(r), msr, SOFTHV_BY_VMM, v), SOFTHV_MSR_OK);
        }
    assert_false(r->vps[0].overlay[SOFTHV_OVERLAY_MESSAGES].on);
    assert_int_equal(softhv_msr_write(vp0(r), 0xfe, SOFTHV_BY_VMM, 0x507), SOFTHV_MSR_GP);
    assert_int_equal(r->vps[0].crashes, 0);
}

/* Any register, any value: no crash, and what was accepted can be read or is write-only. */
static void hostile_values_do_no_harm(void **state)
{
    struct rig *r = *state;
    uint64_t x = 88172645463325252u, v;
    for (unsigned i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t base = (x & 3) == 0 ? 0 : (x & 3) == 1 ? 0x200 : 0x40000000;
        uint32_t msr = base + (uint32_t)(x >> 8 & 0x1ff);
        uint64_t value = (x & 0x30) != 0 ? x * 0x9e3779b97f4a7c15u : x >> 40;
        (void)softhv_msr_guest_write(&r->vps[x >> 60 & 1].vp, msr, value);
        (void)softhv_msr_guest_read(&r->vps[x >> 60 & 1].vp, msr, &v);
        r->now += x >> 50;
        (void)softhv_hv_vp_tick(&r->vps[x >> 60 & 1].vp);
    }
}

#define TEST(f)     cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_AMD(f) cmocka_unit_test_setup_teardown(f, setup_amd, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hypercall_page_needs_an_identity),
        TEST(a_restored_hypercall_page_comes_before_the_identity),
        TEST(a_locked_hypercall_page_stays),
        TEST(hypercall_code_of_the_vendor),
        TEST_AMD(hypercall_code_of_amd),
        TEST(pages_lie_inside_the_address_space),
        TEST(the_same_value_again_moves_no_page),
        TEST(the_reference_page_holds_the_time),
        TEST(setting_the_reference_time_rewrites_the_page),
        TEST(freezing_stops_the_counter),
        TEST(frequencies_and_identity),
        TEST(invariant_control_has_one_bit),
        TEST(interrupt_registers_go_to_the_local_apic),
        TEST(reading_idle_halts_the_guest_only),
        TEST(a_crash_is_reported_with_its_parameters),
        TEST(without_the_right_it_is_gp),
        cmocka_unit_test_setup_teardown(without_an_interface_nothing_synthetic_is_reached, setup_bare, teardown),
        TEST(unknown_registers_follow_the_property),
        TEST(what_decides_about_unknown_registers_has_an_order),
        TEST(synic_pages_are_overlays_of_the_vp),
        TEST(a_timer_message_comes_again_after_eom),
        TEST(a_timer_message_comes_again_after_eoi),
        TEST(a_direct_timer_says_how_long_to_wait),
        TEST(lazy_eoi_needs_the_assist_page),
        TEST(reset_takes_the_pages_away),
        TEST(a_guest_moves_its_own_tsc),
        TEST(a_vmm_moves_all_and_keeps_them_together),
        TEST(a_value_read_and_given_back_changes_nothing),
        TEST(mtrrs_keep_what_is_valid),
        TEST(identification_of_intel),
        TEST_AMD(identification_of_amd),
        TEST(a_vmm_can_give_back_what_it_read),
        TEST(hostile_values_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
