/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "vmm/mshv/abi.h"
#include "vmm/softhv/stimer.h"

#define ENABLE      HV_STIMER_CONFIG_ENABLE
#define PERIODIC    HV_STIMER_CONFIG_PERIODIC
#define AUTO_ENABLE HV_STIMER_CONFIG_AUTO_ENABLE
#define DIRECT      HV_STIMER_CONFIG_DIRECT_MODE
#define SINT3       (UINT64_C(3) << 16)
#define LINUX       UINT64_C(0x1ed9) /* what Linux writes: enable, auto-enable, direct, vector 0xed */

struct world {
    struct softhv_stimers timers;
    unsigned interrupts, posts;
    uint8_t vector;
    uint32_t sint;
    uint8_t message[HV_MESSAGE_BYTES];
    uint16_t answer; /* of the next posts */
};

static void interrupt(void *ctx, uint8_t vector)
{
    struct world *w = ctx;
    w->interrupts++;
    w->vector = vector;
}

static uint16_t post(void *ctx, uint32_t sint, const uint8_t message[HV_MESSAGE_BYTES])
{
    struct world *w = ctx;
    w->posts++;
    w->sint = sint;
    memcpy(w->message, message, HV_MESSAGE_BYTES);
    return w->answer;
}

static const struct softhv_stimer_ops ops = {.interrupt = interrupt, .post = post};

static void start(struct world *w)
{
    memset(w, 0, sizeof(*w));
    softhv_stimer_init(&w->timers, &ops, w, true);
}

static void config(struct world *w, unsigned n, uint64_t v, uint64_t now)
{
    assert_true(softhv_stimer_set_config(&w->timers, n, v, now));
}

static void linux_one_shot(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, LINUX, 100);
    assert_true(softhv_stimer_next(&w.timers) == SOFTHV_STIMER_NEVER);
    softhv_stimer_set_count(&w.timers, 0, 5000, 100);
    assert_int_equal(softhv_stimer_next(&w.timers), 5000);
    softhv_stimer_run(&w.timers, 4999);
    assert_int_equal(w.interrupts, 0);
    softhv_stimer_run(&w.timers, 5000);
    assert_int_equal(w.interrupts, 1);
    assert_int_equal(w.vector, 0xed);
    assert_int_equal(softhv_stimer_config(&w.timers, 0), LINUX & ~ENABLE);
    softhv_stimer_run(&w.timers, 9000);
    assert_int_equal(w.interrupts, 1);
    softhv_stimer_set_count(&w.timers, 0, 10000, 9000); /* enables again */
    assert_int_equal(softhv_stimer_config(&w.timers, 0), LINUX);
    softhv_stimer_run(&w.timers, 10000);
    assert_int_equal(w.interrupts, 2);
}

static void a_time_in_the_past_expires_at_once(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 1, LINUX, 1000);
    softhv_stimer_set_count(&w.timers, 1, 1, 1000);
    assert_true(softhv_stimer_next(&w.timers) <= 1000);
    softhv_stimer_run(&w.timers, 1000);
    assert_int_equal(w.interrupts, 1);
}

static void count_zero_stops_and_disables(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, LINUX, 0);
    softhv_stimer_set_count(&w.timers, 0, 50, 0);
    softhv_stimer_set_count(&w.timers, 0, 0, 0);
    assert_int_equal(softhv_stimer_config(&w.timers, 0) & ENABLE, 0);
    softhv_stimer_run(&w.timers, 1000);
    assert_int_equal(w.interrupts, 0);
}

static void enabled_with_count_zero_never_fires(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | DIRECT | 0x310, 0);
    assert_int_equal(softhv_stimer_config(&w.timers, 0) & ENABLE, ENABLE);
    softhv_stimer_run(&w.timers, UINT64_MAX - 1);
    assert_int_equal(w.interrupts, 0);
}

static void enabling_towards_nowhere_does_not_hold(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | AUTO_ENABLE, 0); /* no SINT, not direct */
    assert_int_equal(softhv_stimer_config(&w.timers, 0), AUTO_ENABLE);
    softhv_stimer_set_count(&w.timers, 0, 5, 0);
    assert_int_equal(softhv_stimer_config(&w.timers, 0), AUTO_ENABLE);
    assert_true(softhv_stimer_next(&w.timers) == SOFTHV_STIMER_NEVER);
}

static void reserved_bits_and_absent_modes_are_refused(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_false(softhv_stimer_set_config(&w.timers, 0, UINT64_C(1) << 13, 0));
    assert_false(softhv_stimer_set_config(&w.timers, 0, UINT64_C(1) << 20, 0));
    assert_false(softhv_stimer_set_config(&w.timers, 0, UINT64_C(1) << 63, 0));
    softhv_stimer_init(&w.timers, &ops, &w, false);
    assert_false(softhv_stimer_set_config(&w.timers, 0, LINUX, 0));
    assert_true(softhv_stimer_set_config(&w.timers, 0, ENABLE | SINT3, 0));
}

static void a_message_says_what_expired_when(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 2, ENABLE | SINT3, 0);
    softhv_stimer_set_count(&w.timers, 2, 700, 0);
    softhv_stimer_run(&w.timers, 712);
    assert_int_equal(w.posts, 1);
    assert_int_equal(w.sint, 3);
    assert_int_equal(bytes_load_le32(w.message), HVMSG_TIMER_EXPIRED);
    assert_int_equal(w.message[4], 24);
    assert_int_equal(bytes_load_le32(w.message + 16), 2);
    assert_int_equal(bytes_load_le64(w.message + 24), 700);
    assert_int_equal(bytes_load_le64(w.message + 32), 712);
    assert_int_equal(w.interrupts, 0);
}

static void a_message_waits_for_its_slot(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    w.answer = HV_STATUS_OBJECT_IN_USE;
    config(&w, 0, ENABLE | SINT3, 0);
    softhv_stimer_set_count(&w.timers, 0, 700, 0);
    softhv_stimer_run(&w.timers, 700);
    assert_true(softhv_stimer_next(&w.timers) == SOFTHV_STIMER_NEVER); /* EOM will come, no need to wake */
    w.answer = HV_STATUS_SUCCESS;
    softhv_stimer_run(&w.timers, 900);
    assert_int_equal(w.posts, 2);
    assert_int_equal(bytes_load_le64(w.message + 24), 700);
    assert_int_equal(bytes_load_le64(w.message + 32), 900);
    softhv_stimer_run(&w.timers, 901);
    assert_int_equal(w.posts, 2);
}

static void a_periodic_timer_waits_with_its_message(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    w.answer = HV_STATUS_OBJECT_IN_USE;
    config(&w, 0, ENABLE | PERIODIC | SINT3, 0);
    softhv_stimer_set_count(&w.timers, 0, 2000, 0);
    softhv_stimer_run(&w.timers, 2000);
    softhv_stimer_run(&w.timers, 4000);
    assert_int_equal(w.posts, 2); /* the same message again */
    assert_int_equal(bytes_load_le64(w.message + 24), 2000);
    w.answer = HV_STATUS_SUCCESS;
    softhv_stimer_run(&w.timers, 4500);
    assert_int_equal(w.posts, 4); /* the old one, then that of 4000 */
    assert_int_equal(bytes_load_le64(w.message + 24), 4000);
    assert_int_equal(softhv_stimer_next(&w.timers), 6000);
}

static void a_switched_off_synic_loses_the_message(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    w.answer = HV_STATUS_INVALID_SYNIC_STATE;
    config(&w, 0, ENABLE | SINT3, 0);
    softhv_stimer_set_count(&w.timers, 0, 700, 0);
    softhv_stimer_run(&w.timers, 700);
    softhv_stimer_run(&w.timers, 800);
    assert_int_equal(w.posts, 1);
}

static void periods_follow_each_other(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 3, ENABLE | PERIODIC | DIRECT | 0x310, 500);
    softhv_stimer_set_count(&w.timers, 3, 2000, 500);
    assert_int_equal(softhv_stimer_next(&w.timers), 2500);
    softhv_stimer_run(&w.timers, 2600);
    assert_int_equal(softhv_stimer_next(&w.timers), 4500);
    softhv_stimer_run(&w.timers, 4500);
    assert_int_equal(w.interrupts, 2);
    assert_int_equal(w.vector, 0x31);
    assert_int_equal(softhv_stimer_config(&w.timers, 3) & ENABLE, ENABLE);
}

static void missed_periods_are_one_interrupt_and_keep_the_phase(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | PERIODIC | DIRECT | 0x310, 0);
    softhv_stimer_set_count(&w.timers, 0, 2000, 0);
    softhv_stimer_run(&w.timers, 20100);
    assert_int_equal(w.interrupts, 1);
    assert_int_equal(softhv_stimer_next(&w.timers), 22000);
}

static void tiny_periods_are_stretched(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | PERIODIC | DIRECT | 0x310, 0);
    softhv_stimer_set_count(&w.timers, 0, 1, 0);
    assert_int_equal(softhv_stimer_next(&w.timers), SOFTHV_STIMER_MIN_PERIOD);
    assert_int_equal(softhv_stimer_count(&w.timers, 0), 1);
}

static void extreme_times_do_not_overflow(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | PERIODIC | DIRECT | 0x310, 100);
    softhv_stimer_set_count(&w.timers, 0, UINT64_MAX, 100);
    softhv_stimer_run(&w.timers, UINT64_MAX);
    softhv_stimer_set_count(&w.timers, 0, UINT64_MAX / 2, 100);
    softhv_stimer_run(&w.timers, UINT64_MAX - 1);
    softhv_stimer_run(&w.timers, UINT64_MAX);
    assert_in_range(w.interrupts, 1, 3);
}

static void illegal_vectors_are_not_asserted(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    config(&w, 0, ENABLE | DIRECT | 0xf0, 0);
    softhv_stimer_set_count(&w.timers, 0, 1, 0);
    softhv_stimer_run(&w.timers, 5);
    assert_int_equal(w.interrupts, 0);
}

static void writing_config_drops_a_waiting_message(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    w.answer = HV_STATUS_OBJECT_IN_USE;
    config(&w, 0, ENABLE | SINT3, 0);
    softhv_stimer_set_count(&w.timers, 0, 700, 0);
    softhv_stimer_run(&w.timers, 700);
    config(&w, 0, 0, 800);
    softhv_stimer_run(&w.timers, 900);
    assert_int_equal(w.posts, 1);
}

static void saved_state_goes_on(void **state)
{
    (void)state;
    struct world a, b;
    struct hv_synthetic_timers_state s;
    start(&a);
    start(&b);
    a.answer = HV_STATUS_OBJECT_IN_USE;
    config(&a, 0, LINUX, 0);
    softhv_stimer_set_count(&a.timers, 0, 9000, 0);
    config(&a, 1, ENABLE | PERIODIC | DIRECT | 0x310, 300);
    softhv_stimer_set_count(&a.timers, 1, 5000, 300);
    config(&a, 2, ENABLE | SINT3, 0);
    softhv_stimer_set_count(&a.timers, 2, 700, 0);
    softhv_stimer_run(&a.timers, 800);
    softhv_stimer_save(&a.timers, &s);
    assert_int_equal(s.timers[2].flags, HV_STIMER_STATE_UNDELIVERED_MSG_PENDING);
    assert_true(softhv_stimer_load(&b.timers, &s, 1000));
    assert_memory_equal(a.timers.timer, b.timers.timer, sizeof(a.timers.timer));
    softhv_stimer_run(&b.timers, 1000);
    assert_int_equal(b.posts, 1);
    assert_int_equal(bytes_load_le64(b.message + 24), 700);
    assert_int_equal(softhv_stimer_next(&b.timers), 5300);
}

static void a_state_with_reserved_bits_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    struct hv_synthetic_timers_state s;
    start(&w);
    memset(&s, 0xff, sizeof(s));
    assert_false(softhv_stimer_load(&w.timers, &s, 0));
    assert_int_equal(softhv_stimer_config(&w.timers, 0), 0);
    memset(&s, 0, sizeof(s));
    s.timers[0].config = LINUX;
    s.timers[3].config = UINT64_C(1) << 40;
    assert_false(softhv_stimer_load(&w.timers, &s, 0));
    assert_int_equal(softhv_stimer_config(&w.timers, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_one_shot),
        cmocka_unit_test(a_time_in_the_past_expires_at_once),
        cmocka_unit_test(count_zero_stops_and_disables),
        cmocka_unit_test(enabled_with_count_zero_never_fires),
        cmocka_unit_test(enabling_towards_nowhere_does_not_hold),
        cmocka_unit_test(reserved_bits_and_absent_modes_are_refused),
        cmocka_unit_test(a_message_says_what_expired_when),
        cmocka_unit_test(a_message_waits_for_its_slot),
        cmocka_unit_test(a_periodic_timer_waits_with_its_message),
        cmocka_unit_test(a_switched_off_synic_loses_the_message),
        cmocka_unit_test(periods_follow_each_other),
        cmocka_unit_test(missed_periods_are_one_interrupt_and_keep_the_phase),
        cmocka_unit_test(tiny_periods_are_stretched),
        cmocka_unit_test(extreme_times_do_not_overflow),
        cmocka_unit_test(illegal_vectors_are_not_asserted),
        cmocka_unit_test(writing_config_drops_a_waiting_message),
        cmocka_unit_test(saved_state_goes_on),
        cmocka_unit_test(a_state_with_reserved_bits_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
