/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/clock.h"

/* A host counter that the test moves. */
static uint64_t fake_ticks(void *ctx)
{
    return *(uint64_t *)ctx;
}

struct fake {
    uint64_t now;
    struct softhv_clock clock;
};

static void start_with(struct fake *f, uint64_t host_hz, uint64_t tsc_hz)
{
    struct softhv_clock_source s = {.ticks = fake_ticks, .ctx = &f->now, .hz = host_hz};
    f->now = 123456789;
    assert_int_equal(softhv_clock_init(&f->clock, &s, tsc_hz, 0), 0);
    softhv_clock_set_suspended(&f->clock, false);
}

/* 1 GHz host, 3 GHz guest. */
static void start(struct fake *f)
{
    start_with(f, 1000000000, 3000000000);
}

static uint64_t page_time(struct fake *f)
{
    struct hv_reference_tsc_page page;
    memset(&page, 0, sizeof(page));
    softhv_clock_write_page(&f->clock, &page);
    assert_int_not_equal(page.tsc_sequence, 0);
    unsigned __int128 p = (unsigned __int128)softhv_clock_tsc(&f->clock) * page.tsc_scale;
    return (uint64_t)(p >> 64) + (uint64_t)page.tsc_offset;
}

static void time_starts_at_zero_and_stands_still(void **state)
{
    (void)state;
    struct fake f = {.now = 77};
    struct softhv_clock_source s = {.ticks = fake_ticks, .ctx = &f.now, .hz = 1000000000};
    assert_int_equal(softhv_clock_init(&f.clock, &s, 0, 0), 0);
    f.now += 1000000;
    assert_int_equal(softhv_clock_tsc(&f.clock), 0);
    assert_int_equal(softhv_clock_ref(&f.clock), 0);
    assert_int_equal(f.clock.apic_hz, SOFTHV_CLOCK_APIC_HZ);
}

static void frequencies_out_of_range_are_refused(void **state)
{
    (void)state;
    struct fake f;
    struct softhv_clock_source s = {.ticks = fake_ticks, .ctx = &f.now, .hz = 1000000000};
    assert_int_not_equal(softhv_clock_init(&f.clock, &s, SOFTHV_CLOCK_MIN_HZ - 1, 0), 0);
    assert_int_not_equal(softhv_clock_init(&f.clock, &s, SOFTHV_CLOCK_MAX_HZ + 1, 0), 0);
    s.hz = 0;
    assert_int_not_equal(softhv_clock_init(&f.clock, &s, 1000000000, 0), 0);
}

static void a_second_of_host_is_a_second_of_guest(void **state)
{
    (void)state;
    static const uint64_t hz[] = {SOFTHV_CLOCK_MIN_HZ, 999999937, 1000000000, 2400000000, 3300000001, 99999999977};
    for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        struct fake f;
        start_with(&f, 1000000000, hz[i]);
        f.now += 3600 * UINT64_C(1000000000);
        assert_in_range(softhv_clock_tsc(&f.clock), 3600 * hz[i], 3600 * hz[i] + 1);
        assert_in_range(softhv_clock_ref(&f.clock), 36000000000, 36000000001);
        assert_in_range(softhv_clock_ns(&f.clock), 3600000000000, 3600000000001);
    }
}

static void the_page_says_what_the_counter_says(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    for (unsigned i = 0; i < 1000; i++) {
        f.now += UINT64_C(987654321) * (i + 1);
        assert_int_equal(page_time(&f), softhv_clock_ref(&f.clock));
    }
}

static void frozen_time_goes_on_where_it_stopped(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    f.now += 1000;
    softhv_clock_set_frozen(&f.clock, true);
    f.now += 5000000;
    assert_int_equal(softhv_clock_tsc(&f.clock), 3000);
    assert_false(softhv_clock_is_running(&f.clock));
    softhv_clock_set_frozen(&f.clock, false);
    f.now += 1000;
    assert_int_equal(softhv_clock_tsc(&f.clock), 6000);
    assert_int_equal(softhv_clock_ref(&f.clock), 20);
}

static void both_reasons_to_stand_still_count(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    softhv_clock_set_frozen(&f.clock, true);
    softhv_clock_set_suspended(&f.clock, true);
    softhv_clock_set_frozen(&f.clock, false);
    f.now += 1000;
    assert_int_equal(softhv_clock_tsc(&f.clock), 0);
    softhv_clock_set_suspended(&f.clock, false);
    f.now += 1000;
    assert_int_equal(softhv_clock_tsc(&f.clock), 3000);
}

static void setting_the_counter_leaves_the_tsc(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    f.now += 1000000;
    softhv_clock_set_ref(&f.clock, UINT64_C(1) << 60);
    assert_int_equal(softhv_clock_ref(&f.clock), UINT64_C(1) << 60);
    assert_int_equal(softhv_clock_tsc(&f.clock), 3000000);
    f.now += 100;
    assert_int_equal(softhv_clock_ref(&f.clock), (UINT64_C(1) << 60) + 1);
    assert_int_equal(page_time(&f), softhv_clock_ref(&f.clock));
    softhv_clock_set_ref(&f.clock, 0);
    assert_int_equal(page_time(&f), 0);
}

static void setting_the_tsc_leaves_the_counter(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    f.now += 60 * UINT64_C(1000000000);
    uint64_t ref = softhv_clock_ref(&f.clock);
    assert_true(softhv_clock_set_tsc(&f.clock, 0));
    assert_int_equal(softhv_clock_tsc(&f.clock), 0);
    assert_in_range(softhv_clock_ref(&f.clock), ref, ref + 1);
    assert_int_equal(page_time(&f), softhv_clock_ref(&f.clock));
    assert_in_range(softhv_clock_ns(&f.clock), 60000000000, 60000000001);
    assert_true(softhv_clock_set_tsc(&f.clock, UINT64_C(1) << 62));
    assert_in_range(softhv_clock_ref(&f.clock), ref, ref + 1);
}

static void the_same_tsc_put_on_the_next_vp_changes_nothing(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    f.now += 60 * UINT64_C(1000000000);
    assert_true(softhv_clock_set_tsc(&f.clock, 0));
    f.now += 10000000;
    assert_false(softhv_clock_set_tsc(&f.clock, 0));
    assert_int_equal(softhv_clock_tsc(&f.clock), 30000000);
    f.now += 1000000000;
    assert_true(softhv_clock_set_tsc(&f.clock, 0));
}

static void waits_are_long_enough_and_no_longer(void **state)
{
    (void)state;
    static const uint64_t hz[] = {SOFTHV_CLOCK_MIN_HZ, 1000000000, 2400000000, 3300000001};
    for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        struct fake f;
        start_with(&f, 1000000000, hz[i]);
        for (uint64_t d = 1; d < 100000000; d = d * 3 + 7) {
            f.now += 1234567;
            uint64_t ref = softhv_clock_ref(&f.clock) + d, tsc;
            f.now += softhv_clock_wait_ref(&f.clock, ref);
            assert_in_range(softhv_clock_ref(&f.clock), ref, ref + 1);
            tsc = softhv_clock_tsc(&f.clock) + d;
            f.now += softhv_clock_wait_tsc(&f.clock, tsc);
            assert_in_range(softhv_clock_tsc(&f.clock), tsc, tsc + hz[i] / 1000000000 + 1);
            assert_int_equal(softhv_clock_wait_tsc(&f.clock, tsc), 0);
        }
    }
}

static void waits_never_end_while_time_stands_still(void **state)
{
    (void)state;
    struct fake f;
    start(&f);
    f.now += 1000;
    softhv_clock_set_frozen(&f.clock, true);
    assert_true(softhv_clock_wait_ref(&f.clock, 1000) == SOFTHV_CLOCK_NEVER);
    assert_true(softhv_clock_wait_tsc(&f.clock, UINT64_MAX) == SOFTHV_CLOCK_NEVER);
    assert_true(softhv_clock_wait_ns(&f.clock, 2000) == SOFTHV_CLOCK_NEVER);
    assert_int_equal(softhv_clock_wait_ref(&f.clock, 10), 0);
    assert_int_equal(softhv_clock_wait_ns(&f.clock, 1000), 0);
}

static void far_deadlines_do_not_wrap(void **state)
{
    (void)state;
    struct fake f;
    start_with(&f, 1000000000, SOFTHV_CLOCK_MIN_HZ);
    assert_true(softhv_clock_wait_ref(&f.clock, UINT64_MAX) > UINT64_C(1) << 62);
    assert_true(softhv_clock_wait_tsc(&f.clock, UINT64_MAX) > UINT64_C(1) << 62);
    struct softhv_vp_tsc v = {.offset = UINT64_MAX - 5};
    assert_true(softhv_vp_tsc_wait(&v, &f.clock, UINT64_MAX) <= 500);
}

static void the_page_sequence_is_never_invalid(void **state)
{
    (void)state;
    struct fake f;
    struct hv_reference_tsc_page page;
    memset(&page, 0, sizeof(page));
    start(&f);
    f.clock.page_sequence = UINT32_MAX - 2;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t before = page.tsc_sequence;
        softhv_clock_write_page(&f.clock, &page);
        assert_int_not_equal(page.tsc_sequence, before);
        assert_int_not_equal(page.tsc_sequence, 0);
        assert_int_not_equal(page.tsc_sequence, UINT32_MAX);
    }
}

static void a_guest_write_moves_this_tsc_and_its_adjustment(void **state)
{
    (void)state;
    struct fake f;
    struct softhv_vp_tsc v = {0, 0}, other = {0, 0};
    start(&f);
    f.now += 1000;
    softhv_vp_tsc_write(&v, &f.clock, 10000);
    assert_int_equal(softhv_vp_tsc_read(&v, &f.clock), 10000);
    assert_int_equal(v.adjust, 7000);
    softhv_vp_tsc_write_adjust(&v, 0);
    assert_int_equal(softhv_vp_tsc_read(&v, &f.clock), 3000);
    assert_int_equal(softhv_vp_tsc_read(&other, &f.clock), 3000);
    softhv_vp_tsc_write(&v, &f.clock, 0);
    assert_int_equal(softhv_vp_tsc_wait(&v, &f.clock, 3000), 1000);
}

static void real_sources_advance(void **state)
{
    (void)state;
    struct softhv_clock_source m = softhv_clock_monotonic();
    uint64_t hz = softhv_clock_measure_tsc(100000), a = m.ticks(m.ctx);
    assert_true(m.ticks(m.ctx) >= a);
    assert_true(hz == 0 || hz > 100000000);
    struct softhv_clock_source t = softhv_clock_host_tsc(1000000000);
    a = t.ticks(t.ctx);
    assert_true(t.ticks(t.ctx) > a || hz == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_starts_at_zero_and_stands_still),
        cmocka_unit_test(frequencies_out_of_range_are_refused),
        cmocka_unit_test(a_second_of_host_is_a_second_of_guest),
        cmocka_unit_test(the_page_says_what_the_counter_says),
        cmocka_unit_test(frozen_time_goes_on_where_it_stopped),
        cmocka_unit_test(both_reasons_to_stand_still_count),
        cmocka_unit_test(setting_the_counter_leaves_the_tsc),
        cmocka_unit_test(setting_the_tsc_leaves_the_counter),
        cmocka_unit_test(the_same_tsc_put_on_the_next_vp_changes_nothing),
        cmocka_unit_test(waits_are_long_enough_and_no_longer),
        cmocka_unit_test(waits_never_end_while_time_stands_still),
        cmocka_unit_test(far_deadlines_do_not_wrap),
        cmocka_unit_test(the_page_sequence_is_never_invalid),
        cmocka_unit_test(a_guest_write_moves_this_tsc_and_its_adjustment),
        cmocka_unit_test(real_sources_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
