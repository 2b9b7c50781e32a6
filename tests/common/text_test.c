/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/text.h"

static void text_starts_empty(void **state)
{
    char buffer[8] = "garbage";
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    assert_string_equal(buffer, "");
}

static void additions_follow_each_other(void **state)
{
    char buffer[16];
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    text_add(&t, "vcpu %d", 3);
    text_add(&t, ", %s", "x");
    assert_string_equal(buffer, "vcpu 3, x");
    assert_int_equal(t.length, 9);
}

static void text_that_fits_exactly_is_not_cut(void **state)
{
    char buffer[6];
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    text_add(&t, "%s", "12345");
    assert_string_equal(buffer, "12345");
    assert_false(t.truncated);
}

static void text_one_byte_too_long_is_cut_visibly(void **state)
{
    char buffer[6];
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    text_add(&t, "%s", "123456");
    assert_string_equal(buffer, "12...");
    assert_true(t.truncated);
}

static void nothing_is_added_after_a_cut(void **state)
{
    char buffer[6];
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    text_add(&t, "%s", "123456");
    text_add(&t, "7");
    assert_string_equal(buffer, "12...");
    assert_int_equal(t.length, 5);
}

static void control_bytes_become_question_marks(void **state)
{
    char buffer[16];
    struct text t;
    (void)state;
    text_init(&t, buffer, sizeof buffer);
    text_add(&t, "%s", "a\nb\033[0m\x7f\xc3\xa4");
    assert_string_equal(buffer, "a?b?[0m?\xc3\xa4");
}

static void word_is_found_at_any_place(void **state)
{
    (void)state;
    assert_true(text_has_word("cpu io pids", "cpu", 3));
    assert_true(text_has_word("cpu io pids", "io", 2));
    assert_true(text_has_word("cpu  io pids ", "pids", 4));
}

static void part_of_a_word_is_no_word(void **state)
{
    (void)state;
    assert_false(text_has_word("cpuset io", "cpu", 3));
    assert_false(text_has_word("xcpu", "cpu", 3));
    assert_false(text_has_word("", "cpu", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_starts_empty),
        cmocka_unit_test(additions_follow_each_other),
        cmocka_unit_test(text_that_fits_exactly_is_not_cut),
        cmocka_unit_test(text_one_byte_too_long_is_cut_visibly),
        cmocka_unit_test(nothing_is_added_after_a_cut),
        cmocka_unit_test(control_bytes_become_question_marks),
        cmocka_unit_test(word_is_found_at_any_place),
        cmocka_unit_test(part_of_a_word_is_no_word),
    };
    return cmocka_run_group_tests_name("common/text", tests, NULL, NULL);
}
