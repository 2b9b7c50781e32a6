/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/vmm/softhv/lapic_rig.h"

/* The timer under a clock that moves only when a test moves it. One tick of the input is 5 ns. */

#define TICK_NS 5u
#define VECTOR  0xec

static int setup(void **state)
{
    struct rig *r = rig_new(1);
    r->now_ns = 1000;
    rig_enable(r->vp[0].l);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_DIVIDE, 0xb); /* by 1 */
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static void set_timer(struct softhv_lapic *l, uint32_t mode, uint32_t initial)
{
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, mode | VECTOR);
    rig_write(l, SOFTHV_LAPIC_INITIAL, initial);
}

/* Whether the timer's interrupt is there; completes it. */
static bool fired(struct softhv_lapic *l)
{
    int v = softhv_lapic_ack(l);
    if (v < 0)
        return false;
    assert_int_equal(v, VECTOR);
    softhv_lapic_eoi(l);
    return true;
}

static void the_divider_follows_its_register(void **state)
{
    static const struct {
        uint32_t reg, by;
    } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}, {4, 2}, {15, 1}};
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig_write(l, SOFTHV_LAPIC_DIVIDE, rows[i].reg);
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_DIVIDE), rows[i].reg & 0xb);
        set_timer(l, 0, 1000);
        r->now_ns += 100 * TICK_NS * rows[i].by;
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 900);
        assert_int_equal(softhv_lapic_expiry(l), r->now_ns + 900u * TICK_NS * rows[i].by);
    }
}

static void a_one_shot_expires_once_and_not_early(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, 0, 100);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_INITIAL), 100);
    assert_int_equal(r->vp[0].expiry, 1000 + 100 * TICK_NS);
    r->now_ns = 1000 + 100 * TICK_NS - 1;
    assert_false(fired(l));
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 1);
    r->now_ns++;
    assert_true(fired(l));
    assert_int_equal(r->vp[0].expiry, SOFTHV_LAPIC_NEVER);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_INITIAL), 100);
    r->now_ns += 1000000;
    assert_false(fired(l));
}

static void poll_wakes_the_vp(void **state)
{
    struct rig *r = *state;
    set_timer(r->vp[0].l, 0, 100);
    r->now_ns = r->vp[0].expiry;
    assert_int_equal(r->vp[0].wakes, 0);
    softhv_lapic_poll(r->vp[0].l);
    assert_int_equal(r->vp[0].wakes, 1);
    softhv_lapic_poll(r->vp[0].l);
    assert_int_equal(r->vp[0].wakes, 1);
    assert_true(fired(r->vp[0].l));
}

static void every_look_sees_an_expired_timer(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    struct softhv_lapic_regs saved;
    uint8_t s[SOFTHV_LAPIC_STATE_BYTES];
    uint64_t v = 0;
    for (unsigned i = 0; i < 5; i++) {
        uint32_t irr = 0;
        set_timer(l, 0, 100);
        r->now_ns += 100 * TICK_NS;
        switch (i) {
        case 0: irr = rig_read(l, SOFTHV_LAPIC_IRR + 7); break;
        case 1:
            softhv_lapic_get_reg(l, SOFTHV_LAPIC_IRR + 7, &v);
            irr = (uint32_t)v;
            break;
        case 2:
            softhv_lapic_get_state(l, s);
            irr = bytes_load_le32(s + 84 + 28);
            break;
        case 3:
            softhv_lapic_save(l, &saved);
            irr = saved.irr[7];
            break;
        default:
            softhv_lapic_set_reg(l, SOFTHV_LAPIC_INITIAL, 0);
            irr = rig_read(l, SOFTHV_LAPIC_IRR + 7);
            break;
        }
        assert_int_equal(irr, 1u << (VECTOR & 31));
        assert_true(fired(l));
    }
}

static void pending_sees_an_expired_timer_without_poll(void **state)
{
    struct rig *r = *state;
    set_timer(r->vp[0].l, 0, 100);
    assert_int_equal(softhv_lapic_pending(r->vp[0].l), 0);
    r->now_ns = r->vp[0].expiry;
    assert_int_equal(softhv_lapic_pending(r->vp[0].l), SOFTHV_LAPIC_WAKE_INTR);
}

static void a_periodic_timer_keeps_its_grid(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    for (unsigned n = 1; n <= 5; n++) {
        r->now_ns = 1000 + n * 500 + 20; /* seen late */
        assert_true(fired(l));
        assert_false(fired(l));
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 96);
        assert_int_equal(softhv_lapic_expiry(l), 1000 + (n + 1) * 500);
    }
}

static void missed_periods_are_one_interrupt(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    r->now_ns = 1000 + 500ull * 1000000000 + 250;
    assert_true(fired(l));
    assert_false(fired(l));
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 50);
}

static void the_longest_count_does_not_overflow(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    rig_write(l, SOFTHV_LAPIC_DIVIDE, 0xa); /* by 128 */
    set_timer(l, 0, 0xffffffffu);
    assert_int_equal(softhv_lapic_expiry(l), 1000 + 0xffffffffull * 128 * TICK_NS);
    r->now_ns = UINT64_MAX / 2;
    assert_true(fired(l));
}

static void the_owner_may_limit_the_rate(void **state)
{
    struct rig *r = rig_new(0);
    struct softhv_lapic_config cfg = rig_config(r, 0);
    cfg.min_period_ns = 10000;
    rig_add(r, &cfg);
    struct softhv_lapic *l = r->vp[0].l;
    rig_enable(l);
    rig_write(l, SOFTHV_LAPIC_DIVIDE, 0xb);
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 3); /* 15 ns: 10,000 is 667 of them */
    assert_int_equal(softhv_lapic_expiry(l), 667 * 15);
    r->now_ns = 667 * 15 - 1;
    assert_false(fired(l));
    r->now_ns++;
    assert_true(fired(l));
    assert_int_equal(softhv_lapic_expiry(l), 2 * 667 * 15);
    set_timer(l, 0, 3); /* a one-shot is as short as it says */
    assert_int_equal(softhv_lapic_expiry(l), r->now_ns + 15);
    rig_free(r);
    (void)state;
}

static void writing_zero_stops(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    r->now_ns += 100;
    rig_write(l, SOFTHV_LAPIC_INITIAL, 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 0);
    assert_int_equal(r->vp[0].expiry, SOFTHV_LAPIC_NEVER);
    r->now_ns += 1000000;
    assert_false(fired(l));
}

static void a_new_divider_continues_the_count(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, 0, 100);
    r->now_ns += 40 * TICK_NS;
    rig_write(l, SOFTHV_LAPIC_DIVIDE, 0); /* by 2 */
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 60);
    assert_int_equal(r->vp[0].expiry, r->now_ns + 120 * TICK_NS);
}

static void a_masked_timer_counts_in_silence(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC | SOFTHV_LAPIC_LVT_MASKED, 100);
    assert_int_equal(softhv_lapic_expiry(l), SOFTHV_LAPIC_NEVER);
    r->now_ns += 110 * TICK_NS;
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 90);
    assert_false(fired(l));
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, SOFTHV_LAPIC_LVT_PERIODIC | VECTOR);
    assert_int_equal(r->vp[0].expiry, r->now_ns + 90 * TICK_NS);
    r->now_ns = r->vp[0].expiry;
    assert_true(fired(l));
}

static void one_shot_becomes_periodic_while_it_counts(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, 0, 100);
    r->now_ns += 30 * TICK_NS;
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, SOFTHV_LAPIC_LVT_PERIODIC | VECTOR);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 70);
    r->now_ns += 70 * TICK_NS;
    assert_true(fired(l));
    r->now_ns += 100 * TICK_NS;
    assert_true(fired(l));
}

static void the_reserved_mode_never_expires(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC | SOFTHV_LAPIC_LVT_DEADLINE, 100);
    assert_int_equal(softhv_lapic_expiry(l), SOFTHV_LAPIC_NEVER);
    r->now_ns += 1000000;
    assert_false(fired(l));
}

static void an_illegal_vector_is_an_error_when_it_fires(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, 0x0f);
    rig_write(l, SOFTHV_LAPIC_INITIAL, 1);
    r->now_ns += 100;
    assert_int_equal(softhv_lapic_ack(l), -1);
    rig_write(l, SOFTHV_LAPIC_ESR, 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_ESR), SOFTHV_LAPIC_ESR_RECV_VECTOR);
}

static void a_clock_that_stands_still_stops_everything(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    r->now_ns += 10 * TICK_NS;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 90);
    r->now_ns -= 20 * TICK_NS; /* before the count began */
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 100);
    assert_false(fired(l));
}

/* ---- TSC deadline ---- */

static void a_deadline_is_met_in_tsc_time(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    r->tsc = 5000;
    set_timer(l, SOFTHV_LAPIC_LVT_DEADLINE, 0);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 7001);
    assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE), 7001);
    assert_int_equal(r->vp[0].expiry, 1000 + 1001); /* 2001 cycles of 0.5 ns, rounded up */
    r->tsc = 7000;
    assert_false(fired(l));
    r->tsc = 7001;
    assert_true(fired(l));
    assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE), 0);
    assert_int_equal(softhv_lapic_expiry(l), SOFTHV_LAPIC_NEVER);
    assert_false(fired(l));
}

static void a_deadline_in_the_past_fires_at_once(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    r->tsc = 5000;
    set_timer(l, SOFTHV_LAPIC_LVT_DEADLINE, 0);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 1);
    assert_int_equal(r->vp[0].wakes, 1);
    assert_true(fired(l));
}

static void zero_disarms_a_deadline(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_DEADLINE, 0);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 9000);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 0);
    r->tsc = 10000;
    assert_false(fired(l));
}

static void a_deadline_moves_with_the_tsc(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_DEADLINE, 0);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 10000);
    assert_int_equal(softhv_lapic_expiry(l), 1000 + 5000);
    r->tsc = 8000; /* the guest wrote its TSC */
    assert_int_equal(softhv_lapic_expiry(l), 1000 + 1000);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, UINT64_MAX);
    assert_true(softhv_lapic_expiry(l) > UINT64_MAX / 4);
}

static void outside_the_mode_the_deadline_reads_zero_and_ignores_writes(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, 0, 0);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 10);
    assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE), 0);
    r->tsc = 100;
    assert_false(fired(l));
}

static void in_the_mode_the_counts_read_zero_and_ignore_writes(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_DEADLINE, 100);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_INITIAL), 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_CURRENT), 0);
    r->now_ns += 1000000;
    assert_false(fired(l));
}

static void changing_to_and_from_the_deadline_mode_disarms(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, SOFTHV_LAPIC_LVT_DEADLINE | VECTOR);
    r->now_ns += 1000000;
    assert_false(fired(l));
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 10);
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, VECTOR);
    r->tsc = 100;
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, SOFTHV_LAPIC_LVT_DEADLINE | VECTOR);
    assert_false(fired(l));
}

static void without_the_feature_there_is_no_deadline(void **state)
{
    struct rig *r = rig_new(0);
    struct softhv_lapic_config cfg = rig_config(r, 0);
    uint64_t v = 0;
    cfg.tsc_deadline = false;
    rig_add(r, &cfg);
    struct softhv_lapic *l = r->vp[0].l;
    assert_int_equal(softhv_lapic_msr_read(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, &v), -EINVAL);
    assert_int_equal(softhv_lapic_msr_write(l, SOFTHV_LAPIC_MSR_TSC_DEADLINE, 1), -EINVAL);
    rig_enable(l);
    rig_write(l, SOFTHV_LAPIC_LVT_TIMER, SOFTHV_LAPIC_LVT_DEADLINE | VECTOR);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_LVT_TIMER), VECTOR);
    rig_free(r);
    (void)state;
}

static void software_disabling_silences_the_timer(void **state)
{
    struct rig *r = *state;
    struct softhv_lapic *l = r->vp[0].l;
    set_timer(l, SOFTHV_LAPIC_LVT_PERIODIC, 100);
    rig_write(l, SOFTHV_LAPIC_SVR, 0xff);
    assert_int_equal(r->vp[0].expiry, SOFTHV_LAPIC_NEVER);
    r->now_ns += 1000000;
    assert_false(fired(l));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_divider_follows_its_register),
        T(a_one_shot_expires_once_and_not_early),
        T(poll_wakes_the_vp),
        T(every_look_sees_an_expired_timer),
        T(pending_sees_an_expired_timer_without_poll),
        T(a_periodic_timer_keeps_its_grid),
        T(missed_periods_are_one_interrupt),
        T(the_longest_count_does_not_overflow),
        T(the_owner_may_limit_the_rate),
        T(writing_zero_stops),
        T(a_new_divider_continues_the_count),
        T(a_masked_timer_counts_in_silence),
        T(one_shot_becomes_periodic_while_it_counts),
        T(the_reserved_mode_never_expires),
        T(an_illegal_vector_is_an_error_when_it_fires),
        T(a_clock_that_stands_still_stops_everything),
        T(a_deadline_is_met_in_tsc_time),
        T(a_deadline_in_the_past_fires_at_once),
        T(zero_disarms_a_deadline),
        T(a_deadline_moves_with_the_tsc),
        T(outside_the_mode_the_deadline_reads_zero_and_ignores_writes),
        T(in_the_mode_the_counts_read_zero_and_ignore_writes),
        T(changing_to_and_from_the_deadline_mode_disarms),
        T(without_the_feature_there_is_no_deadline),
        T(software_disabling_silences_the_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
