/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/gpa.h"

static void gpa_splits_into_page_number_and_offset(void **state)
{
    gpa_t gpa = gpa_make(0x123456789abc);
    (void)state;
    assert_true(gpa_page_number(gpa) == 0x123456789);
    assert_int_equal(gpa_page_offset(gpa), 0xabc);
}

static void gva_splits_into_page_number_and_offset(void **state)
{
    gva_t gva = gva_make(UINT64_C(0xffffffff81000fff));
    (void)state;
    assert_true(gva_page_number(gva) == UINT64_C(0xffffffff81000));
    assert_int_equal(gva_page_offset(gva), 0xfff);
}

static void gpa_add_reaches_the_last_byte(void **state)
{
    gpa_t out = gpa_make(0);
    (void)state;
    assert_true(gpa_add(gpa_make(UINT64_MAX - 0xfff), 0xfff, &out));
    assert_true(out.value == UINT64_MAX);
}

static void gpa_add_refuses_to_wrap(void **state)
{
    gpa_t out = gpa_make(7);
    (void)state;
    assert_false(gpa_add(gpa_make(UINT64_MAX - 0xfff), 0x1000, &out));
    assert_int_equal(out.value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpa_splits_into_page_number_and_offset),
        cmocka_unit_test(gva_splits_into_page_number_and_offset),
        cmocka_unit_test(gpa_add_reaches_the_last_byte),
        cmocka_unit_test(gpa_add_refuses_to_wrap),
    };
    return cmocka_run_group_tests_name("common/gpa", tests, NULL, NULL);
}
