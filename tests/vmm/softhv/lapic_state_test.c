/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/vmm/softhv/lapic_rig.h"

/* The client's view: VP state type 0, single registers, saving and restoring everything. */

enum {
    AT_ID = 0,
    AT_VERSION = 4,
    AT_LDR = 8,
    AT_DFR = 12,
    AT_SVR = 16,
    AT_ISR = 20,
    AT_TMR = 52,
    AT_IRR = 84,
    AT_ESR = 116,
    AT_ICR_HIGH = 120,
    AT_ICR_LOW = 124,
    AT_LVT = 128,
    AT_LINT0 = 140,
    AT_LINT1 = 144,
    AT_CMCI = 152,
    AT_ERRORS = 156,
    AT_INITIAL = 160,
    AT_CURRENT = 164,
    AT_DIVIDE = 168,
    AT_REMOTE_READ = 172
};

static int setup(void **state)
{
    *state = rig_new(4);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static uint32_t field(const uint8_t *s, unsigned at)
{
    return bytes_load_le32(s + at);
}

/* A local APIC with something in every register. */
static void fill(struct rig *r, struct softhv_lapic *l)
{
    rig_enable(l);
    rig_write(l, SOFTHV_LAPIC_LDR, 0x04000000);
    rig_write(l, SOFTHV_LAPIC_DFR, 0x0fffffff);
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, 0x000200ec);
    rig_write(l, SOFTHV_LAPIC_LVT_THERMAL, 0x000000fa);
    rig_write(l, SOFTHV_LAPIC_LVT_PERF, 0x00000400);
    rig_write(l, SOFTHV_LAPIC_LVT_LINT0, 0x00008055);
    rig_write(l, SOFTHV_LAPIC_LVT_LINT1, 0x00000400);
    rig_write(l, SOFTHV_LAPIC_LVT_ERROR, 0x000000fe);
    rig_write(l, SOFTHV_LAPIC_DIVIDE, 0x0b);
    rig_write(l, SOFTHV_LAPIC_INITIAL, 1000);
    r->now_ns += 300 * 5;
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 0x91, true));
    assert_int_equal(softhv_lapic_ack(l), 0x91);
    rig_fixed(l, 0x22);
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_LINT0, 0, false));
    rig_write(l, SOFTHV_LAPIC_ICR_HIGH, 0x09000000);
    rig_write(l, SOFTHV_LAPIC_ICR, 0x000008f1);
    rig_read(l, 0);
    rig_write(l, SOFTHV_LAPIC_ESR, 0);
    softhv_lapic_accept(l, SOFTHV_APIC_FIXED, 1, false);
    rig_write(l, SOFTHV_LAPIC_TPR, 0x10);
}

static void the_state_has_each_register_in_its_place(void **state)
{
    static const struct {
        uint8_t at;
        uint32_t value;
    } rows[] = {
        {AT_ID, 0x02000000},       {AT_VERSION, 0x00050014}, {AT_LDR, 0x04000000},    {AT_DFR, 0x0fffffff},
        {AT_SVR, 0x1ff},           {AT_ISR + 16, 0x20000},   {AT_TMR + 8, 1u << 21},  {AT_TMR + 16, 0x20000},
        {AT_IRR + 4, 4},           {AT_IRR + 8, 1u << 21},   {AT_IRR + 28, 1u << 30}, {AT_ESR, 0x80},
        {AT_ICR_HIGH, 0x09000000}, {AT_ICR_LOW, 0x8f1},      {AT_LVT, 0x200ec},       {AT_LVT + 4, 0xfa},
        {AT_LVT + 8, 0x400},       {AT_LINT0, 0xc055},       {AT_LINT1, 0x400},       {AT_LVT + 20, 0xfe},
        {AT_CMCI, 0x10000},        {AT_ERRORS, 0x40},        {AT_INITIAL, 1000},      {AT_CURRENT, 700},
        {AT_DIVIDE, 0xb},          {AT_REMOTE_READ, 0},
    };
    struct rig *r = *state;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    fill(r, r->vp[2].l);
    softhv_lapic_get_state(r->vp[2].l, s);
    uint32_t sum = 0, want = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(field(s, rows[i].at), rows[i].value);
        want += rows[i].value;
    }
    for (unsigned at = 0; at < sizeof(s); at += 4)
        sum += field(s, at);
    assert_int_equal(sum, want); /* nothing anywhere else */
}

static void the_state_survives_a_round_trip(void **state)
{
    struct rig *r = *state;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES], t[SOFTHV_LAPIC_STATE_BYTES];
    fill(r, r->vp[2].l);
    softhv_lapic_get_state(r->vp[2].l, s);
    struct rig *other = rig_new(4);
    other->now_ns = 77;
    softhv_lapic_set_state(other->vp[2].l, s);
    softhv_lapic_get_state(other->vp[2].l, t);
    assert_memory_equal(s, t, sizeof(s));
    assert_int_equal(softhv_lapic_expiry(other->vp[2].l), 75 + 700 * 5); /* 77 ns are in tick 15 */
    assert_int_equal(softhv_lapic_ack(other->vp[2].l), 0xfe);
    rig_free(other);
}

static void setting_the_pins_changes_nothing_else(void **state)
{
    struct softhv_lapic *l = ((struct rig *)*state)->vp[1].l;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES], t[SOFTHV_LAPIC_STATE_BYTES];
    softhv_lapic_get_state(l, s);
    bytes_store_le32(s + AT_LINT0, (field(s, AT_LINT0) & ~0x700u) | 0x700);
    bytes_store_le32(s + AT_LINT1, (field(s, AT_LINT1) & ~0x700u) | 0x400);
    softhv_lapic_set_state(l, s);
    softhv_lapic_get_state(l, t);
    assert_memory_equal(s, t, sizeof(s));
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_LVT_LINT0), 0x10700);
    assert_true(softhv_lapic_waiting(l));
}

static void garbage_becomes_what_registers_can_hold(void **state)
{
    struct softhv_lapic *l = ((struct rig *)*state)->vp[1].l;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    memset(s, 0xff, sizeof(s));
    softhv_lapic_set_state(l, s);
    softhv_lapic_get_state(l, s);
    assert_int_equal(field(s, AT_ID), 0x01000000);
    assert_int_equal(field(s, AT_VERSION), 0x00050014);
    assert_int_equal(field(s, AT_LDR), 0xff000000);
    assert_int_equal(field(s, AT_SVR), 0x3ff);
    assert_int_equal(field(s, AT_ISR), 0xffff0000);
    assert_int_equal(field(s, AT_IRR), 0xffff0000);
    assert_int_equal(field(s, AT_IRR + 28), 0xffffffff);
    assert_int_equal(field(s, AT_ESR), 0xff);
    assert_int_equal(field(s, AT_ICR_LOW), 0xccfff);
    assert_int_equal(field(s, AT_ICR_HIGH), 0xff000000);
    assert_int_equal(field(s, AT_LVT), 0x700ff);
    assert_int_equal(field(s, AT_LINT0), 0x1e7ff);
    assert_int_equal(field(s, AT_LINT1), 0x1a7ff);
    assert_int_equal(field(s, AT_DIVIDE), 0xb);
    assert_int_equal(field(s, AT_REMOTE_READ), 0);
    assert_int_equal(softhv_lapic_ack(l), -1); /* 0xff is in service */
    memset(s, 0, sizeof(s));
    softhv_lapic_set_state(l, s);
    softhv_lapic_get_state(l, s);
    assert_int_equal(field(s, AT_DFR), 0x0fffffff);
    assert_int_equal(field(s, AT_LVT), 0x10000); /* software-disabled: masked */
}

static void a_state_wakes_for_what_it_brings(void **state)
{
    struct rig_vp *vp = &((struct rig *)*state)->vp[0];
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    softhv_lapic_get_state(vp->l, s);
    bytes_store_le32(s + AT_IRR + 8, 2);
    softhv_lapic_set_state(vp->l, s);
    assert_int_equal(vp->wakes, 1);
    assert_int_equal(softhv_lapic_ack(vp->l), 0x41);
}

static void in_x2apic_mode_id_and_ldr_are_the_modes(void **state)
{
    struct softhv_lapic *l = ((struct rig *)*state)->vp[2].l;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    rig_x2apic(l);
    rig_wrmsr(l, 0x830, 0x1234567800000841);
    softhv_lapic_get_state(l, s);
    assert_int_equal(field(s, AT_ID), 2);
    assert_int_equal(field(s, AT_LDR), 4);
    assert_int_equal(field(s, AT_ICR_HIGH), 0x12345678);
    bytes_store_le32(s + AT_LDR, 0xff000000);
    softhv_lapic_set_state(l, s);
    softhv_lapic_get_state(l, s);
    assert_int_equal(field(s, AT_LDR), 4);
    assert_int_equal(field(s, AT_ICR_HIGH), 0x12345678);
}

static void counts_are_loaded_as_they_can_be(void **state)
{
    static const struct {
        uint32_t lvt, initial, current, count;
        uint64_t expiry;
    } rows[] = {
        /* clang-format off */
        {0x000ec, 100,  40,  40, 200},                  /* one-shot, under way */
        {0x000ec, 100,   0,   0, SOFTHV_LAPIC_NEVER},   /* over */
        {0x000ec, 100, 200, 100, 500},                  /* more than all */
        {0x200ec, 100,   0, 100, 500},                  /* periodic does not stand at zero */
        {0x200ec,   0,  40,   0, SOFTHV_LAPIC_NEVER},
        {0x400ec, 100,  40,   0, SOFTHV_LAPIC_NEVER},   /* deadline mode has no counts */
        /* clang-format on */
    };
    struct softhv_lapic *l = ((struct rig *)*state)->vp[0].l;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    rig_enable(l);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        softhv_lapic_get_state(l, s);
        bytes_store_le32(s + AT_LVT, rows[i].lvt);
        bytes_store_le32(s + AT_DIVIDE, 0xb);
        bytes_store_le32(s + AT_INITIAL, rows[i].initial);
        bytes_store_le32(s + AT_CURRENT, rows[i].current);
        softhv_lapic_set_state(l, s);
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), rows[i].count);
        assert_int_equal(softhv_lapic_expiry(l), rows[i].expiry);
        assert_int_equal(softhv_lapic_pending(l), 0);
    }
}

/* ---- Single registers ---- */

/* bits: which single bits may be set; -1 in fixed: any value but the present one is refused. */
static const struct {
    uint8_t index;
    bool fixed;
    uint64_t bits;
} regs[] = {
    /* clang-format off */
    {SOFTHV_LAPIC_ID, true, 0},            {SOFTHV_LAPIC_VERSION, true, 0},      {SOFTHV_LAPIC_TPR, false, 0xff},
    {SOFTHV_LAPIC_PPR, true, 0},           {SOFTHV_LAPIC_LDR, false, 0xff000000}, {SOFTHV_LAPIC_SVR, false, 0x3ff},
    {SOFTHV_LAPIC_ISR, false, 0xffff0000}, {SOFTHV_LAPIC_ISR + 1, false, 0xffffffff},
    {SOFTHV_LAPIC_TMR, false, 0xffff0000}, {SOFTHV_LAPIC_TMR + 7, false, 0xffffffff},
    {SOFTHV_LAPIC_IRR, false, 0xffff0000}, {SOFTHV_LAPIC_IRR + 7, false, 0xffffffff},
    {SOFTHV_LAPIC_ESR, false, 0xff},       {SOFTHV_LAPIC_ICR, false, 0xff000000000cdfff},
    {SOFTHV_LAPIC_LVT_TIMER, false, 0x710ff},   {SOFTHV_LAPIC_LVT_THERMAL, false, 0x117ff},
    {SOFTHV_LAPIC_LVT_PERF, false, 0x117ff},    {SOFTHV_LAPIC_LVT_LINT0, false, 0x1f7ff},
    {SOFTHV_LAPIC_LVT_LINT1, false, 0x1f7ff},   {SOFTHV_LAPIC_LVT_ERROR, false, 0x110ff},
    {SOFTHV_LAPIC_INITIAL, false, 0xffffffff},  {SOFTHV_LAPIC_CURRENT, false, 0xffffffff},
    {SOFTHV_LAPIC_DIVIDE, false, 0xb},          {SOFTHV_LAPIC_EOI, false, 0xffffffff},
    {SOFTHV_LAPIC_SELF_IPI, false, 0xffffffff},
    /* clang-format on */
};

static void single_registers_take_the_bits_they_have(void **state)
{
    for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
        for (unsigned bit = 0; bit < 64; bit++) {
            struct rig *r = rig_new(1);
            struct softhv_lapic *l = r->vp[0].l;
            uint64_t now = 0;
            assert_int_equal(softhv_lapic_get_reg(l, regs[i].index, &now), 0);
            uint64_t value = regs[i].fixed ? now ^ 1ull << bit : 1ull << bit;
            int rc = softhv_lapic_set_reg(l, regs[i].index, value);
            assert_int_equal(rc, regs[i].bits >> bit & 1 ? 0 : -EINVAL);
            rig_free(r);
        }
    (void)state;
}

static void single_registers_can_be_written_back(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[2].l;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES], t[SOFTHV_LAPIC_STATE_BYTES];
    unsigned there = 0, eois = r->vp[2].eois;
    fill(r, l);
    softhv_lapic_get_state(l, s);
    for (unsigned index = 0; index < 0x80; index++) {
        uint64_t v = 0;
        if (softhv_lapic_get_reg(l, index, &v) != 0) {
            assert_int_equal(softhv_lapic_set_reg(l, index, 0), -EINVAL);
            continue;
        }
        there++;
        if (index != SOFTHV_LAPIC_INITIAL) /* starts the count anew; the current count follows */
            assert_int_equal(softhv_lapic_set_reg(l, index, v), 0);
    }
    softhv_lapic_get_state(l, t);
    assert_memory_equal(s, t, sizeof(s));
    assert_int_equal(there, 43);
    assert_int_equal(r->vp[2].eois, eois);
}

static void loading_the_icr_sends_nothing(void **state)
{
    struct rig *r = *state;
    uint64_t v = 0;
    rig_enable(r->vp[0].l);
    assert_int_equal(softhv_lapic_set_reg(r->vp[0].l, SOFTHV_LAPIC_ICR, 0x00040041), 0);
    assert_int_equal(softhv_lapic_set_reg(r->vp[0].l, SOFTHV_LAPIC_SELF_IPI, 0x41), 0);
    assert_int_equal(softhv_lapic_pending(r->vp[0].l), 0);
    assert_int_equal(softhv_lapic_get_reg(r->vp[0].l, SOFTHV_LAPIC_ICR, &v), 0);
    assert_int_equal(v, 0x00040041);
}

/* ---- Everything ---- */

static void everything_can_be_moved_to_another_partition(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[2].l;
    struct softhv_lapic_regs a, b;
    fill(r, l);
    softhv_lapic_set_waiting(l, false);
    softhv_lapic_set_auto_eoi(l, 0x77, true);
    softhv_lapic_accept(l, SOFTHV_APIC_EXTINT, 0x31, false);
    softhv_lapic_accept(l, SOFTHV_APIC_NMI, 0, false);
    softhv_lapic_save(l, &a);
    assert_int_equal(a.timer_ticks, 300);
    struct rig *other = rig_new(1);
    other->now_ns = 1000000;
    assert_int_equal(softhv_lapic_restore(other->vp[0].l, &a), 0);
    softhv_lapic_save(other->vp[0].l, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(softhv_lapic_expiry(other->vp[0].l), 1000000 + 700 * 5);
    assert_int_equal(other->vp[0].wakes, 1);
    assert_int_equal(other->vp[0].events, 1);
    assert_int_equal(softhv_lapic_ack(other->vp[0].l), 0x31);
    rig_free(other);
}

static void a_restored_x2apic_keeps_its_destination_and_its_stopped_count(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic_regs a;
    rig_x2apic(r->vp[2].l);
    rig_wrmsr(r->vp[2].l, 0x830, 0x1234567800000841);
    rig_wrmsr(r->vp[2].l, 0x80f, 0x1ff);
    rig_wrmsr(r->vp[2].l, 0x832, 0xec);
    rig_wrmsr(r->vp[2].l, 0x838, 100);
    r->now_ns += 1000000;
    softhv_lapic_save(r->vp[2].l, &a);
    assert_int_equal(softhv_lapic_restore(r->vp[1].l, &a), 0);
    assert_int_equal(rig_msr(r->vp[1].l, 0x802), 2);
    assert_int_equal(softhv_lapic_id(r->vp[1].l), 2); /* as the bus sees it */
    assert_int_equal(rig_msr(r->vp[1].l, 0x830), 0x1234567800000841);
    assert_int_equal(rig_msr(r->vp[1].l, 0x838), 100);
    assert_int_equal(softhv_lapic_expiry(r->vp[1].l), SOFTHV_LAPIC_NEVER);
}

static void the_x2apic_ldr_cannot_be_loaded(void **state)
{
    struct softhv_lapic *l = ((struct rig *)*state)->vp[2].l;
    rig_x2apic(l);
    assert_int_equal(softhv_lapic_set_reg(l, SOFTHV_LAPIC_LDR, 4), 0);
    assert_int_equal(softhv_lapic_set_reg(l, SOFTHV_LAPIC_LDR, 8), -EINVAL);
}

static void a_loaded_ldr_is_in_force(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0x40, .vector = 0x41, .logical = true, .narrow = true};
    rig_enable(r->vp[2].l);
    assert_int_equal(softhv_lapic_set_reg(r->vp[2].l, SOFTHV_LAPIC_LDR, 0x40000000), 0);
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
    assert_int_equal(softhv_lapic_ack(r->vp[2].l), 0x41);
}

static void a_restored_deadline_goes_on(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic_regs a;
    rig_enable(r->vp[0].l);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_LVT_TIMER, 0x400ec);
    rig_wrmsr(r->vp[0].l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 5000);
    softhv_lapic_save(r->vp[0].l, &a);
    assert_int_equal(softhv_lapic_restore(r->vp[1].l, &a), 0);
    r->tsc = 5000;
    assert_int_equal(softhv_lapic_ack(r->vp[1].l), 0xec);
}

static void impossible_saved_states_are_refused_or_cleaned(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic_regs a, before;
    softhv_lapic_save(r->vp[0].l, &before);
    memset(&a, 0xff, sizeof(a));
    assert_int_equal(softhv_lapic_restore(r->vp[0].l, &a), -EINVAL);
    a.base = RIG_BASE | SOFTHV_LAPIC_BASE_X2APIC;
    assert_int_equal(softhv_lapic_restore(r->vp[0].l, &a), -EINVAL);
    softhv_lapic_save(r->vp[0].l, &a);
    assert_memory_equal(&a, &before, sizeof(a));
    memset(&a, 0xff, sizeof(a));
    a.base = RIG_BSP_BASE;
    assert_int_equal(softhv_lapic_restore(r->vp[0].l, &a), 0);
    softhv_lapic_save(r->vp[0].l, &a);
    assert_int_equal(a.irr[0], 0xffff0000);
    assert_int_equal(a.lvt[0], 0x700ff);
    assert_int_equal(a.tpr, 0xff);
    assert_int_equal(a.icr_high, 0xff000000);
    assert_int_equal(a.events, 7);
    assert_int_equal(a.waiting, 1);
    assert_int_equal(a.pad[1], 0);
    rig_wrmsr(r->vp[0].l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE); /* still works */
    assert_int_equal(softhv_lapic_expiry(r->vp[0].l), SOFTHV_LAPIC_NEVER);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_state_has_each_register_in_its_place),
        T(the_state_survives_a_round_trip),
        T(setting_the_pins_changes_nothing_else),
        T(garbage_becomes_what_registers_can_hold),
        T(a_state_wakes_for_what_it_brings),
        T(in_x2apic_mode_id_and_ldr_are_the_modes),
        T(counts_are_loaded_as_they_can_be),
        T(single_registers_take_the_bits_they_have),
        T(single_registers_can_be_written_back),
        T(loading_the_icr_sends_nothing),
        T(everything_can_be_moved_to_another_partition),
        T(a_restored_x2apic_keeps_its_destination_and_its_stopped_count),
        T(the_x2apic_ldr_cannot_be_loaded),
        T(a_loaded_ldr_is_in_force),
        T(a_restored_deadline_goes_on),
        T(impossible_saved_states_are_refused_or_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
