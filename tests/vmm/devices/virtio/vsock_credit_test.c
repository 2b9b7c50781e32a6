/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/devices/virtio/vsock_credit.h"

static void the_guest_may_send_as_much_as_there_is_room(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    assert_true(vsock_credit_receive(&c, 60000));
    assert_true(vsock_credit_receive(&c, 5536));
    assert_false(vsock_credit_receive(&c, 1));
    assert_true(vsock_credit_receive(&c, 0));
    vsock_credit_forward(&c, 10);
    assert_false(vsock_credit_receive(&c, 11));
    assert_true(vsock_credit_receive(&c, 10));
}

static void a_length_near_two_to_the_32_is_too_much(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    assert_true(vsock_credit_receive(&c, 1));
    assert_false(vsock_credit_receive(&c, UINT32_MAX));
    assert_int_equal(c.received, 1);
}

static void counters_wrap_on_our_side(void **state)
{
    struct vsock_credit c = {.received = UINT32_MAX - 5, .forwarded = UINT32_MAX - 5, .told = UINT32_MAX - 5};
    struct vsock_header h = {0};
    (void)state;
    assert_true(vsock_credit_receive(&c, VSOCK_CREDIT_BYTES));
    assert_false(vsock_credit_receive(&c, 1));
    vsock_credit_forward(&c, VSOCK_CREDIT_BYTES);
    assert_true(vsock_credit_is_due(&c));
    vsock_credit_tell(&c, &h);
    assert_int_equal(h.fwd_cnt, VSOCK_CREDIT_BYTES - 6);
    assert_int_equal(h.buf_alloc, VSOCK_CREDIT_BYTES);
    assert_false(vsock_credit_is_due(&c));
}

static void counters_wrap_on_the_guests_side(void **state)
{
    struct vsock_credit c = {.sent = UINT32_MAX - 9};
    (void)state;
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 100, .fwd_cnt = UINT32_MAX - 9});
    assert_int_equal(vsock_credit_left(&c), 100);
    vsock_credit_spend(&c, 60);
    assert_int_equal(vsock_credit_left(&c), 40);
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 100, .fwd_cnt = 50});
    assert_int_equal(vsock_credit_left(&c), 100);
}

static void news_is_told_after_a_threshold(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    assert_false(vsock_credit_is_due(&c));
    assert_true(vsock_credit_receive(&c, 10000));
    vsock_credit_forward(&c, VSOCK_CREDIT_THRESHOLD - 1);
    assert_false(vsock_credit_is_due(&c));
    vsock_credit_forward(&c, 1);
    assert_true(vsock_credit_is_due(&c));
}

static void a_guest_that_sees_little_room_is_told_of_any(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    assert_true(vsock_credit_receive(&c, VSOCK_CREDIT_BYTES - VSOCK_CREDIT_THRESHOLD + 1));
    assert_false(vsock_credit_is_due(&c));
    vsock_credit_forward(&c, 1);
    assert_true(vsock_credit_is_due(&c));
}

static void a_guest_that_sent_more_than_it_knew_of_is_told(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    assert_true(vsock_credit_receive(&c, VSOCK_CREDIT_BYTES));
    vsock_credit_forward(&c, 10);
    assert_true(vsock_credit_receive(&c, 10));
    assert_true(vsock_credit_is_due(&c));
}

static void a_guest_that_shrinks_its_room_gets_nothing(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 100});
    vsock_credit_spend(&c, 80);
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 50});
    assert_int_equal(vsock_credit_left(&c), 0);
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 50, .fwd_cnt = 31});
    assert_int_equal(vsock_credit_left(&c), 1);
}

static void a_guest_that_took_more_than_it_got_gets_nothing(void **state)
{
    struct vsock_credit c = {0};
    (void)state;
    vsock_credit_hear(&c, &(struct vsock_header){.buf_alloc = 1000, .fwd_cnt = 1});
    assert_int_equal(vsock_credit_left(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_may_send_as_much_as_there_is_room),
        cmocka_unit_test(a_length_near_two_to_the_32_is_too_much),
        cmocka_unit_test(counters_wrap_on_our_side),
        cmocka_unit_test(counters_wrap_on_the_guests_side),
        cmocka_unit_test(news_is_told_after_a_threshold),
        cmocka_unit_test(a_guest_that_sees_little_room_is_told_of_any),
        cmocka_unit_test(a_guest_that_sent_more_than_it_knew_of_is_told),
        cmocka_unit_test(a_guest_that_shrinks_its_room_gets_nothing),
        cmocka_unit_test(a_guest_that_took_more_than_it_got_gets_nothing),
    };
    return cmocka_run_group_tests_name("virtio/vsock_credit", tests, NULL, NULL);
}
