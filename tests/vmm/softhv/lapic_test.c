/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/vmm/softhv/lapic_rig.h"

/* Acceptance, priorities, EOI, events, modes. Registers: lapic_reg_test.c. */

static int setup(void **state)
{
    struct rig *r = rig_new(2);
    rig_enable(r->vp[0].l);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static struct softhv_lapic *first(void **state)
{
    return ((struct rig *)*state)->vp[0].l;
}

static struct rig_vp *first_vp(void **state)
{
    return &((struct rig *)*state)->vp[0];
}

/* ---- Making one ---- */

static void a_configuration_without_what_it_needs_is_refused(void **state)
{
    struct rig *r = *state;
    static const struct softhv_lapic_ops no_clock = {.wake = rig_wake};
    static const struct softhv_lapic_ops no_tsc = {.now_ns = rig_now, .wake = rig_wake};
    static const struct softhv_lapic_ops half_lazy = {
        .now_ns = rig_now, .tsc = rig_tsc, .wake = rig_wake, .lazy_offer = rig_lazy_offer};
    struct softhv_lapic_config good = rig_config(r, 0), c;
    struct softhv_lapic_config bad[8];
    for (unsigned i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].ops = NULL;
    bad[1].bus = NULL;
    bad[2].timer_hz = 0;
    bad[3].ops = &no_clock;
    bad[4].ops = &half_lazy;
    bad[5].phys_bits = 64;
    bad[6].tsc_hz = 0;
    bad[7].ops = &no_tsc;
    for (unsigned i = 0; i < 8; i++) {
        c = bad[i];
        assert_null(softhv_lapic_new(&c));
    }
    softhv_lapic_free(NULL);
}

static void two_do_not_share_a_slot(void **state)
{
    struct rig *r = *state;
    assert_int_equal(softhv_apic_bus_attach(&r->bus, 0, r->vp[1].l), -EEXIST);
    assert_int_equal(softhv_apic_bus_attach(&r->bus, SOFTHV_APIC_BUS_SLOTS, r->vp[1].l), -EINVAL);
}

/* ---- Priorities ---- */

static void ppr_is_the_higher_of_task_and_service(void **state)
{
    static const struct {
        uint8_t tpr, in_service, ppr;
    } rows[] = {
        {0x00, 0, 0x00},    {0x2f, 0, 0x2f},    {0x00, 0x31, 0x30}, {0x30, 0x31, 0x30}, {0x35, 0x31, 0x35},
        {0x45, 0x31, 0x45}, {0x2f, 0x31, 0x30}, {0xff, 0xfe, 0xff}, {0x0f, 0xfe, 0xf0}, {0xe1, 0xfe, 0xf0},
    };
    struct softhv_lapic *l = first(state);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        softhv_lapic_set_tpr(l, 0);
        if (rows[i].in_service != 0) {
            rig_fixed(l, rows[i].in_service);
            assert_int_equal(softhv_lapic_ack(l), rows[i].in_service);
        }
        softhv_lapic_set_tpr(l, rows[i].tpr);
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_PPR), rows[i].ppr);
        softhv_lapic_eoi(l);
    }
}

static void apr_counts_requests_too(void **state)
{
    static const struct {
        uint8_t tpr, in_service, requested, apr;
    } rows[] = {
        {0x00, 0, 0, 0x00},    {0x27, 0, 0, 0x27},       {0x27, 0, 0x25, 0x27},    {0x27, 0, 0x45, 0x40},
        {0x27, 0x25, 0, 0x20}, {0x20, 0x35, 0x24, 0x30}, {0x57, 0x35, 0x24, 0x57}, {0x10, 0x35, 0x61, 0x60},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *r = rig_new(1);
        struct softhv_lapic *l = r->vp[0].l;
        rig_enable(l);
        if (rows[i].in_service != 0) {
            rig_fixed(l, rows[i].in_service);
            softhv_lapic_ack(l);
        }
        if (rows[i].requested != 0)
            rig_fixed(l, rows[i].requested);
        softhv_lapic_set_tpr(l, rows[i].tpr);
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_APR), rows[i].apr);
        assert_int_equal(softhv_lapic_arbitration(l), rows[i].apr);
        rig_free(r);
    }
    (void)state;
}

static void a_vector_is_delivered_above_the_priority_class_only(void **state)
{
    struct softhv_lapic *l = first(state);
    for (unsigned class = 0; class < 16; class ++)
        for (unsigned vector = 16; vector < 256; vector++) {
            softhv_lapic_set_tpr(l, (uint8_t)(class << 4 | 15));
            rig_fixed(l, (uint8_t)vector);
            int got = softhv_lapic_ack(l);
            assert_int_equal(got, vector >> 4 > class ? (int)vector : -1);
            softhv_lapic_set_tpr(l, 0);
            if (got < 0)
                assert_int_equal(softhv_lapic_ack(l), vector);
            softhv_lapic_eoi(l);
        }
}

static void higher_vectors_come_first_and_nest(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_fixed(l, 0x41);
    rig_fixed(l, 0x52);
    assert_int_equal(softhv_lapic_ack(l), 0x52);
    assert_int_equal(softhv_lapic_ack(l), -1);
    rig_fixed(l, 0x53); /* same class: waits */
    assert_int_equal(softhv_lapic_ack(l), -1);
    rig_fixed(l, 0x60);
    assert_int_equal(softhv_lapic_ack(l), 0x60);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), -1);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), 0x53);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), 0x41);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), -1);
}

static void a_second_request_waits_while_the_first_is_in_service(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_fixed(l, 0x41);
    rig_fixed(l, 0x41); /* one bit: they merge */
    assert_int_equal(softhv_lapic_ack(l), 0x41);
    rig_fixed(l, 0x41);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), 0x41);
    softhv_lapic_eoi(l);
    assert_int_equal(softhv_lapic_ack(l), -1);
}

static void cr8_is_the_class_of_the_task_priority(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_write(l, SOFTHV_LAPIC_TPR, 0x57);
    assert_int_equal(softhv_lapic_cr8(l), 5);
    assert_int_equal(softhv_lapic_set_cr8(l, 9), 0);
    assert_int_equal(softhv_lapic_tpr(l), 0x90);
    assert_int_equal(softhv_lapic_set_cr8(l, 16), -EINVAL);
    assert_int_equal(softhv_lapic_tpr(l), 0x90);
    assert_int_equal(softhv_lapic_set_cr8(l, 15), 0);
    assert_int_equal(softhv_lapic_tpr(l), 0xf0);
}

static void lowering_the_priority_wakes_for_what_waits(void **state)
{
    struct rig_vp *vp = first_vp(state);
    softhv_lapic_set_tpr(vp->l, 0xf0);
    rig_fixed(vp->l, 0x41);
    assert_int_equal(vp->wakes, 0);
    assert_int_equal(softhv_lapic_pending(vp->l), 0);
    softhv_lapic_set_cr8(vp->l, 4);
    assert_int_equal(vp->wakes, 0);
    softhv_lapic_set_cr8(vp->l, 3);
    assert_int_equal(vp->wakes, 1);
    rig_write(vp->l, SOFTHV_LAPIC_TPR, 0x30);
    assert_int_equal(vp->wakes, 2);
    assert_int_equal(softhv_lapic_pending(vp->l), SOFTHV_LAPIC_WAKE_INTR);
}

static void a_request_is_seen_below_the_priority(void **state)
{
    struct rig_vp *vp = first_vp(state);
    assert_false(softhv_lapic_ends_idle(vp->l));
    softhv_lapic_set_tpr(vp->l, 0xf0);
    rig_fixed(vp->l, 0x41);
    assert_int_equal(vp->requests, 1);
    assert_true(softhv_lapic_ends_idle(vp->l));
    assert_int_equal(softhv_lapic_pending(vp->l), 0);
    softhv_lapic_set_tpr(vp->l, 0);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x41);
    assert_false(softhv_lapic_ends_idle(vp->l));
}

static void who_can_take_no_interrupt_does_not_wait_for_one(void **state)
{
    struct softhv_lapic *l = first(state);
    assert_false(softhv_lapic_ends_idle(l));
    rig_write(l, SOFTHV_LAPIC_SVR, 0xff);
    assert_false(softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 0x41, false));
    assert_true(softhv_lapic_ends_idle(l));
    rig_write(l, SOFTHV_LAPIC_SVR, 0x1ff);
    assert_false(softhv_lapic_ends_idle(l));
    assert_int_equal(softhv_lapic_set_base(l, SOFTHV_LAPIC_BASE_RESET), 0);
    assert_true(softhv_lapic_ends_idle(l));
}

static void an_eoi_wakes_for_what_waits(void **state)
{
    struct rig_vp *vp = first_vp(state);
    rig_fixed(vp->l, 0x41);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x41);
    rig_fixed(vp->l, 0x31);
    vp->wakes = 0;
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(vp->wakes, 1);
}

/* ---- EOI ---- */

static void only_level_triggered_interrupts_report_their_eoi(void **state)
{
    struct rig_vp *vp = first_vp(state);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_FIXED, 0x45, true));
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_TMR + 2), 1u << 5);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(vp->eois, 1);
    assert_int_equal(vp->eoi_vector, 0x45);
    assert_true(vp->eoi_level);
    rig_fixed(vp->l, 0x45); /* the same vector, edge now */
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_TMR + 2), 0);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(vp->eois, 2);
    assert_false(vp->eoi_level);
}

static void an_eoi_with_nothing_in_service_does_nothing(void **state)
{
    struct rig_vp *vp = first_vp(state);
    softhv_lapic_eoi(vp->l);
    assert_int_equal(vp->eois, 0);
}

static void the_report_can_be_suppressed_where_the_feature_exists(void **state)
{
    struct rig *r = rig_new(0);
    struct softhv_lapic_config cfg = rig_config(r, 0);
    cfg.suppress_eoi = true;
    rig_add(r, &cfg);
    struct rig_vp *vp = &r->vp[0];
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_VERSION), 0x01050014);
    rig_write(vp->l, SOFTHV_LAPIC_SVR, 0x11ff);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_FIXED, 0x45, true));
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    softhv_lapic_eoi(vp->l);
    assert_int_equal(vp->eois, 1);
    assert_false(vp->eoi_level);
    rig_free(r);
    (void)state;
}

static void an_auto_eoi_vector_is_never_in_service(void **state)
{
    struct rig_vp *vp = first_vp(state);
    softhv_lapic_set_auto_eoi(vp->l, 0x45, true);
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_ISR + 2), 0);
    assert_int_equal(vp->eois, 1);
    assert_false(vp->eoi_level);
    rig_fixed(vp->l, 0x45);
    rig_fixed(vp->l, 0x31);
    vp->wakes = 0;
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_int_equal(vp->wakes, 1); /* nothing is in the way of the next */
    assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
    softhv_lapic_eoi(vp->l);
    softhv_lapic_set_auto_eoi(vp->l, 0x45, false);
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_ISR + 2), 1u << 5);
}

/* ---- "No EOI required" ---- */

static void a_cleared_assist_bit_is_an_eoi(void **state)
{
    struct rig_vp *vp = first_vp(state);
    vp->assist_page = true;
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_true(vp->assist_bit);
    vp->assist_bit = false; /* the guest's lazy EOI */
    vp->wakes = 0;
    rig_fixed(vp->l, 0x31); /* lower: would have to wait if 0x45 were in service */
    assert_int_equal(vp->wakes, 1);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
    assert_int_equal(vp->eois, 1);
    assert_int_equal(vp->eoi_vector, 0x45);
}

static void an_offer_is_withdrawn_when_something_waits(void **state)
{
    struct rig_vp *vp = first_vp(state);
    vp->assist_page = true;
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    rig_fixed(vp->l, 0x31);
    assert_int_equal(softhv_lapic_ack(vp->l), -1); /* not completed: the bit still stood */
    assert_false(vp->assist_bit);
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
}

static void no_offer_for_level_or_with_more_waiting_or_without_a_page(void **state)
{
    struct rig_vp *vp = first_vp(state);
    vp->assist_page = true;
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_FIXED, 0x45, true));
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_false(vp->assist_bit);
    softhv_lapic_eoi(vp->l);
    rig_fixed(vp->l, 0x45);
    rig_fixed(vp->l, 0x31);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    assert_false(vp->assist_bit);
    softhv_lapic_eoi(vp->l);
    vp->assist_page = false;
    assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_ISR + 1), 0);
}

static void a_written_eoi_after_a_lazy_one_completes_the_next(void **state)
{
    struct rig_vp *vp = first_vp(state);
    rig_fixed(vp->l, 0x31);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
    vp->assist_page = true;
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    vp->assist_bit = false;
    rig_write(vp->l, SOFTHV_LAPIC_EOI, 0);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_ISR + 1), 0);
    assert_int_equal(vp->eois, 2);
}

static uint32_t isr_by_page(struct softhv_lapic *l)
{
    return rig_read(l, SOFTHV_LAPIC_ISR + 2);
}

static uint32_t isr_by_register(struct softhv_lapic *l)
{
    uint64_t v = 0;
    softhv_lapic_get_reg(l, SOFTHV_LAPIC_ISR + 2, &v);
    return (uint32_t)v;
}

static uint32_t isr_by_state(struct softhv_lapic *l)
{
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    softhv_lapic_get_state(l, s);
    return bytes_load_le32(s + 20 + 8);
}

static uint32_t isr_by_save(struct softhv_lapic *l)
{
    struct softhv_lapic_regs r;
    softhv_lapic_save(l, &r);
    return r.isr[2];
}

static uint32_t isr_by_pending(struct softhv_lapic *l)
{
    return softhv_lapic_pending(l) ? 0 : 1u << 5;
}

static uint32_t isr_by_eoi(struct softhv_lapic *l)
{
    softhv_lapic_eoi(l);
    return rig_read(l, SOFTHV_LAPIC_ISR + 1) ? 1u << 5 : 0;
}

static void every_look_sees_a_lazy_eoi(void **state)
{
    static uint32_t (*const looks[])(struct softhv_lapic *) = {isr_by_page, isr_by_register, isr_by_state,
                                                               isr_by_save, isr_by_pending,  isr_by_eoi};
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
        for (unsigned completed = 0; completed < 2; completed++) {
            struct rig *r = rig_new(1);
            struct rig_vp *vp = &r->vp[0];
            rig_enable(vp->l);
            rig_fixed(vp->l, 0x31);
            assert_int_equal(softhv_lapic_ack(vp->l), 0x31);
            vp->assist_page = true;
            rig_fixed(vp->l, 0x45);
            assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
            rig_fixed(vp->l, 0x42);
            vp->assist_bit = !completed;
            assert_int_equal(looks[i](vp->l), completed ? 0 : 1u << 5);
            rig_free(r);
        }
    (void)state;
}

static void loading_state_takes_the_offer_back(void **state)
{
    struct rig_vp *vp = first_vp(state);
    struct softhv_lapic_regs saved;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    softhv_lapic_save(vp->l, &saved);
    softhv_lapic_get_state(vp->l, s);
    vp->assist_page = true;
    for (unsigned i = 0; i < 3; i++) {
        rig_fixed(vp->l, 0x45);
        assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
        assert_true(vp->assist_bit);
        if (i == 0)
            softhv_lapic_set_state(vp->l, s);
        if (i == 1)
            softhv_lapic_restore(vp->l, &saved);
        if (i == 2)
            softhv_lapic_set_reg(vp->l, SOFTHV_LAPIC_ISR + 2, 0);
        assert_false(vp->assist_bit);
    }
}

static void a_reset_takes_the_offer_back(void **state)
{
    struct rig_vp *vp = first_vp(state);
    vp->assist_page = true;
    rig_fixed(vp->l, 0x45);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x45);
    softhv_lapic_reset(vp->l);
    assert_false(vp->assist_bit);
    assert_int_equal(vp->eois, 0);
}

/* ---- ExtINT and pins ---- */

static void an_extint_passes_the_task_priority_and_leaves_no_trace(void **state)
{
    struct rig_vp *vp = first_vp(state);
    softhv_lapic_set_tpr(vp->l, 0xff);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_EXTINT, 0x08, false));
    assert_int_equal(vp->wakes, 1);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x08);
    assert_int_equal(softhv_lapic_ack(vp->l), -1);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_ISR), 0);
}

static void after_an_extint_the_rest_is_announced_again(void **state)
{
    struct rig_vp *vp = first_vp(state);
    rig_fixed(vp->l, 0x41);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_EXTINT, 0x30, false);
    vp->wakes = 0;
    assert_int_equal(softhv_lapic_ack(vp->l), 0x30);
    assert_int_equal(vp->wakes, 1);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x41);
}

static void a_withdrawn_extint_is_not_delivered(void **state)
{
    struct rig *r = *state;
    softhv_lapic_accept(r->vp[0].l, SOFTHV_APIC_EXTINT, 0x30, false);
    softhv_apic_bus_clear_extint(&r->bus);
    assert_int_equal(softhv_lapic_ack(r->vp[0].l), -1);
}

static void lint0_does_what_its_entry_says(void **state)
{
    struct rig_vp *vp = first_vp(state);
    uint8_t sipi = 0;
    assert_false(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false)); /* masked */
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x700);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_ack(vp->l), 0x30);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x400);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_take_events(vp->l, &sipi), SOFTHV_LAPIC_EV_NMI);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x055);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_ack(vp->l), 0x55);
    softhv_lapic_eoi(vp->l);
    assert_false(vp->eoi_level);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x200); /* SMI: swallowed */
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x100); /* reserved */
    assert_false(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_pending(vp->l), 0);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x500);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_take_events(vp->l, &sipi), SOFTHV_LAPIC_EV_INIT);
}

static void a_level_lint0_holds_its_remote_irr_until_eoi(void **state)
{
    struct rig_vp *vp = first_vp(state);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x8055);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0, false));
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_LINT0), 0xc055);
    assert_false(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0, false));
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT0, 0x8055); /* read-only: stays */
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_LINT0), 0xc055);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x55);
    softhv_lapic_eoi(vp->l);
    assert_true(vp->eoi_level);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_LINT0), 0x8055);
}

static void lint1_is_edge_triggered_whatever_it_says(void **state)
{
    struct rig_vp *vp = first_vp(state);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_LINT1, 0x8056);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT1, 0, false));
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_LINT1), 0x8056);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x56);
    softhv_lapic_eoi(vp->l);
    assert_false(vp->eoi_level);
}

static void with_the_lapic_off_the_pins_are_intr_and_nmi(void **state)
{
    struct rig_vp *vp = first_vp(state);
    uint8_t sipi = 0;
    rig_wrmsr(vp->l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE | SOFTHV_LAPIC_BASE_BSP);
    assert_false(softhv_lapic_accept(vp->l, SOFTHV_APIC_FIXED, 0x55, false));
    assert_false(softhv_lapic_accept(vp->l, SOFTHV_APIC_NMI, 0, false));
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT0, 0x30, false));
    assert_int_equal(softhv_lapic_ack(vp->l), 0x30);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_LINT1, 0, false));
    assert_int_equal(softhv_lapic_take_events(vp->l, &sipi), SOFTHV_LAPIC_EV_NMI);
}

static void local_sources_go_through_their_entries(void **state)
{
    struct rig_vp *vp = first_vp(state);
    uint8_t sipi = 0;
    softhv_lapic_fire(vp->l, SOFTHV_LAPIC_LVT_THERMAL);
    assert_int_equal(softhv_lapic_pending(vp->l), 0);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_THERMAL, 0xfa);
    softhv_lapic_fire(vp->l, SOFTHV_LAPIC_LVT_THERMAL);
    assert_int_equal(softhv_lapic_ack(vp->l), 0xfa);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_THERMAL), 0xfa);
    rig_write(vp->l, SOFTHV_LAPIC_LVT_PERF, 0x400);
    softhv_lapic_fire(vp->l, SOFTHV_LAPIC_LVT_PERF);
    assert_int_equal(softhv_lapic_take_events(vp->l, &sipi), SOFTHV_LAPIC_EV_NMI);
    assert_int_equal(rig_read(vp->l, SOFTHV_LAPIC_LVT_PERF), 0x10400); /* masks itself */
}

/* ---- INIT, SIPI, NMI ---- */

static void a_second_processor_waits_for_its_sipi(void **state)
{
    struct rig_vp *vp = &((struct rig *)*state)->vp[1];
    uint8_t vector = 0;
    assert_true(softhv_lapic_waiting(vp->l));
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_INIT, 0, false));
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_INIT);
    assert_true(softhv_lapic_waiting(vp->l));
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x9a, false));
    assert_int_equal(vp->events, 2);
    assert_int_equal(softhv_lapic_pending(vp->l), SOFTHV_LAPIC_WAKE_EVENT);
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_SIPI);
    assert_int_equal(vector, 0x9a);
    assert_false(softhv_lapic_waiting(vp->l));
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x9b, false)); /* the usual second one */
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), 0);
}

static void init_and_two_sipis_at_once_start_at_the_first(void **state)
{
    struct rig_vp *vp = &((struct rig *)*state)->vp[1];
    uint8_t vector = 0;
    softhv_lapic_set_waiting(vp->l, false);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_INIT, 0, false);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x10, false);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x11, false);
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_INIT | SOFTHV_LAPIC_EV_SIPI);
    assert_int_equal(vector, 0x10);
    assert_false(softhv_lapic_waiting(vp->l));
}

static void a_later_init_forgets_an_earlier_sipi(void **state)
{
    struct rig_vp *vp = &((struct rig *)*state)->vp[1];
    uint8_t vector = 0;
    softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x10, false);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_INIT, 0, false);
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_INIT);
    assert_true(softhv_lapic_waiting(vp->l));
}

static void the_bootstrap_processor_restarts_without_a_sipi(void **state)
{
    struct rig_vp *vp = first_vp(state);
    uint8_t vector = 0;
    softhv_lapic_accept(vp->l, SOFTHV_APIC_INIT, 0, false);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x10, false);
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_INIT);
    assert_false(softhv_lapic_waiting(vp->l));
}

static void init_resets_the_registers_but_not_base_and_id(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[1].l;
    uint8_t vector = 0;
    uint64_t base = RIG_BASE + 0x1000 + SOFTHV_LAPIC_BASE_ENABLE;
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, base);
    rig_enable(l);
    rig_write(l, SOFTHV_LAPIC_TPR, 0x20);
    rig_write(l, SOFTHV_LAPIC_LDR, 0x02000000);
    rig_fixed(l, 0x41);
    softhv_lapic_accept(l, SOFTHV_APIC_INIT, 0, false);
    softhv_lapic_take_events(l, &vector);
    assert_int_equal(softhv_lapic_base(l), base);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_ID), 1u << 24);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_SVR), 0xff);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_TPR), 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_LDR), 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_IRR + 2), 0);
}

static void init_keeps_x2apic_mode(void **state)
{
    struct softhv_lapic *l = first(state);
    uint8_t vector = 0;
    rig_x2apic(l);
    softhv_lapic_accept(l, SOFTHV_APIC_INIT, 0, false);
    softhv_lapic_take_events(l, &vector);
    assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_X2APIC + SOFTHV_LAPIC_SVR), 0xff);
}

static void a_processor_that_waits_for_a_sipi_ignores_nmis(void **state)
{
    struct rig_vp *vp = &((struct rig *)*state)->vp[1];
    uint8_t vector = 0;
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_NMI, 0, false));
    assert_int_equal(vp->events, 0);
    softhv_lapic_accept(vp->l, SOFTHV_APIC_SIPI, 0x10, false);
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_SIPI);
    assert_true(softhv_lapic_accept(vp->l, SOFTHV_APIC_NMI, 0, false));
    assert_int_equal(softhv_lapic_take_events(vp->l, &vector), SOFTHV_LAPIC_EV_NMI);
}

/* ---- Software-disabled ---- */

static void software_disabled_it_takes_no_fixed_but_keeps_what_it_has(void **state)
{
    struct softhv_lapic *l = first(state);
    uint8_t vector = 0;
    rig_fixed(l, 0x41);
    rig_write(l, SOFTHV_LAPIC_SVR, 0xff);
    assert_false(softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 0x51, false));
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_NMI, 0, false));
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_SMI, 0, false));
    assert_int_equal(softhv_lapic_take_events(l, &vector), SOFTHV_LAPIC_EV_NMI);
    assert_int_equal(softhv_lapic_ack(l), 0x41);
}

static void software_disabling_masks_every_entry_for_good(void **state)
{
    struct softhv_lapic *l = first(state);
    for (unsigned i = SOFTHV_LAPIC_LVT_TIMER; i <= SOFTHV_LAPIC_LVT_ERROR; i++)
        rig_write(l, i, 0x40 + i);
    rig_write(l, SOFTHV_LAPIC_SVR, 0xff);
    for (unsigned i = SOFTHV_LAPIC_LVT_TIMER; i <= SOFTHV_LAPIC_LVT_ERROR; i++) {
        assert_int_equal(rig_read(l, i), 0x10040 + i);
        rig_write(l, i, 0x50 + i);
        assert_int_equal(rig_read(l, i), 0x10050 + i);
    }
    rig_enable(l);
    for (unsigned i = SOFTHV_LAPIC_LVT_TIMER; i <= SOFTHV_LAPIC_LVT_ERROR; i++)
        assert_int_equal(rig_read(l, i), 0x10050 + i);
}

/* ---- Errors ---- */

static uint32_t read_esr(struct softhv_lapic *l)
{
    rig_write(l, SOFTHV_LAPIC_ESR, 0);
    return rig_read(l, SOFTHV_LAPIC_ESR);
}

static void errors_show_after_a_write_of_esr(void **state)
{
    struct softhv_lapic *l = first(state);
    assert_false(softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 15, false));
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_ESR), 0);
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_RECV_VECTOR);
    assert_int_equal(read_esr(l), 0);
    rig_write(l, SOFTHV_LAPIC_ICR, 0x4000f); /* to itself */
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_SEND_VECTOR);
    rig_read(l, 0x3f);
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_REGISTER);
    rig_write(l, 0x40, 0);
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_REGISTER);
}

static void an_error_interrupts_once_until_esr_is_written(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_write(l, SOFTHV_LAPIC_LVT_ERROR, 0xfe);
    for (unsigned round = 0; round < 2; round++) {
        softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 3, false);
        assert_int_equal(softhv_lapic_ack(l), 0xfe);
        softhv_lapic_eoi(l);
        softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 3, false);
        assert_int_equal(softhv_lapic_ack(l), -1);
        assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_RECV_VECTOR);
    }
}

static void sixteen_is_the_first_legal_vector(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_write(l, SOFTHV_LAPIC_LVT_ERROR, 0x10);
    rig_read(l, 0);
    rig_read(l, 0);
    softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 15, false);
    assert_int_equal(softhv_lapic_ack(l), 0x10);
    softhv_lapic_eoi(l);
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_REGISTER | SOFTHV_LAPIC_ESR_RECV_VECTOR);
    rig_write(l, SOFTHV_LAPIC_LVT_LINT0, 0x8010);
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_LINT0, 0, false));
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_LVT_LINT0), 0xc010);
    assert_int_equal(softhv_lapic_ack(l), 0x10);
    softhv_lapic_eoi(l);
    rig_write(l, SOFTHV_LAPIC_ICR, 0x40010);
    assert_int_equal(softhv_lapic_ack(l), 0x10);
    assert_int_equal(read_esr(l), 0);
}

static void an_error_entry_with_an_illegal_vector_is_one_error_more(void **state)
{
    struct softhv_lapic *l = first(state);
    rig_write(l, SOFTHV_LAPIC_LVT_ERROR, 0x05);
    rig_read(l, 0);
    assert_int_equal(read_esr(l), SOFTHV_LAPIC_ESR_REGISTER | SOFTHV_LAPIC_ESR_RECV_VECTOR);
    assert_int_equal(softhv_lapic_ack(l), -1);
}

static void unknown_types_are_refused(void **state)
{
    struct softhv_lapic *l = first(state);
    assert_false(softhv_lapic_accept(l, SOFTHV_APIC_REMOTE_READ, 0x40, false));
    assert_false(softhv_lapic_accept(l, 10, 0x40, false));
    assert_false(softhv_lapic_accept(l, 0xffffffffu, 0x40, false));
    assert_int_equal(softhv_lapic_pending(l), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_configuration_without_what_it_needs_is_refused),
        T(two_do_not_share_a_slot),
        T(ppr_is_the_higher_of_task_and_service),
        T(apr_counts_requests_too),
        T(a_vector_is_delivered_above_the_priority_class_only),
        T(higher_vectors_come_first_and_nest),
        T(a_second_request_waits_while_the_first_is_in_service),
        T(cr8_is_the_class_of_the_task_priority),
        T(lowering_the_priority_wakes_for_what_waits),
        T(a_request_is_seen_below_the_priority),
        T(who_can_take_no_interrupt_does_not_wait_for_one),
        T(an_eoi_wakes_for_what_waits),
        T(only_level_triggered_interrupts_report_their_eoi),
        T(an_eoi_with_nothing_in_service_does_nothing),
        T(the_report_can_be_suppressed_where_the_feature_exists),
        T(an_auto_eoi_vector_is_never_in_service),
        T(a_cleared_assist_bit_is_an_eoi),
        T(an_offer_is_withdrawn_when_something_waits),
        T(no_offer_for_level_or_with_more_waiting_or_without_a_page),
        T(a_written_eoi_after_a_lazy_one_completes_the_next),
        T(every_look_sees_a_lazy_eoi),
        T(loading_state_takes_the_offer_back),
        T(a_reset_takes_the_offer_back),
        T(an_extint_passes_the_task_priority_and_leaves_no_trace),
        T(after_an_extint_the_rest_is_announced_again),
        T(a_withdrawn_extint_is_not_delivered),
        T(lint0_does_what_its_entry_says),
        T(a_level_lint0_holds_its_remote_irr_until_eoi),
        T(lint1_is_edge_triggered_whatever_it_says),
        T(with_the_lapic_off_the_pins_are_intr_and_nmi),
        T(local_sources_go_through_their_entries),
        T(a_second_processor_waits_for_its_sipi),
        T(init_and_two_sipis_at_once_start_at_the_first),
        T(a_later_init_forgets_an_earlier_sipi),
        T(the_bootstrap_processor_restarts_without_a_sipi),
        T(init_resets_the_registers_but_not_base_and_id),
        T(init_keeps_x2apic_mode),
        T(a_processor_that_waits_for_a_sipi_ignores_nmis),
        T(software_disabled_it_takes_no_fixed_but_keeps_what_it_has),
        T(software_disabling_masks_every_entry_for_good),
        T(errors_show_after_a_write_of_esr),
        T(an_error_interrupts_once_until_esr_is_written),
        T(sixteen_is_the_first_legal_vector),
        T(an_error_entry_with_an_illegal_vector_is_one_error_more),
        T(unknown_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
