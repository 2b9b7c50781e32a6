/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/line.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_awake(const struct line *l)
{
    struct pollfd p = {.fd = l->wake_fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void bytes_come_out_in_order(void **state)
{
    uint8_t out[8] = {0};
    struct line l;
    (void)state;
    assert_int_equal(line_init(&l), 0);
    line_put(&l, (const uint8_t *)"abc", 3);
    line_put(&l, (const uint8_t *)"de", 2);
    assert_int_equal(line_take(&l, out, 4), 4);
    assert_memory_equal(out, "abcd", 4);
    assert_int_equal(line_take(&l, out, 8), 1);
    assert_int_equal(out[0], 'e');
    assert_int_equal(line_take(&l, out, 8), 0);
    line_fini(&l);
}

static void order_holds_across_the_end_of_the_ring(void **state)
{
    uint8_t *in = malloc(LINE_BYTES), *out = malloc(LINE_BYTES);
    struct line l;
    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    for (size_t i = 0; i < LINE_BYTES; i++)
        in[i] = (uint8_t)(i * 7 >> 3);
    assert_int_equal(line_init(&l), 0);
    line_put(&l, in, LINE_BYTES - 10);
    assert_int_equal(line_take(&l, out, LINE_BYTES), LINE_BYTES - 10);
    line_put(&l, in, LINE_BYTES);
    assert_int_equal(line_take(&l, out, LINE_BYTES), LINE_BYTES);
    assert_memory_equal(in, out, LINE_BYTES);
    line_fini(&l);
    free(in);
    free(out);
}

static void what_does_not_fit_is_counted(void **state)
{
    uint8_t *in = calloc(1, LINE_BYTES);
    uint8_t byte;
    struct line l;
    (void)state;
    assert_non_null(in);
    assert_int_equal(line_init(&l), 0);
    line_put(&l, in, LINE_BYTES - 1);
    line_put(&l, (const uint8_t *)"xyz", 3);
    assert_int_equal(line_dropped(&l), 2);
    for (size_t i = 0; i + 1 < LINE_BYTES; i++)
        assert_int_equal(line_take(&l, &byte, 1), 1);
    assert_int_equal(line_take(&l, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    line_fini(&l);
    free(in);
}

static void the_first_byte_wakes_and_calming_puts_to_sleep(void **state)
{
    struct line l;
    (void)state;
    assert_int_equal(line_init(&l), 0);
    assert_false(is_awake(&l));
    line_put(&l, (const uint8_t *)"a", 1);
    assert_true(is_awake(&l));
    line_calm(&l);
    assert_false(is_awake(&l));
    line_wake(&l);
    assert_true(is_awake(&l));
    line_fini(&l);
}

static void ending_twice_is_harmless(void **state)
{
    struct line l;
    (void)state;
    assert_int_equal(line_init(&l), 0);
    line_fini(&l);
    line_fini(&l);
    assert_int_equal(l.wake_fd, -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_order),
        cmocka_unit_test(order_holds_across_the_end_of_the_ring),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(the_first_byte_wakes_and_calming_puts_to_sleep),
        cmocka_unit_test(ending_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
