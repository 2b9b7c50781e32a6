/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/checked.h"

static void add_u64_gives_the_largest_sum(void **state)
{
    uint64_t out = 0;
    (void)state;
    assert_true(checked_add_u64(UINT64_MAX - 1, 1, &out));
    assert_true(out == UINT64_MAX);
}

static void add_u64_refuses_a_wrap_and_leaves_out_alone(void **state)
{
    uint64_t out = 7;
    (void)state;
    assert_false(checked_add_u64(UINT64_MAX, 1, &out));
    assert_int_equal(out, 7);
}

static void mul_u64_gives_a_product_of_64_bits(void **state)
{
    uint64_t out = 0;
    (void)state;
    assert_true(checked_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &out));
    assert_true(out == UINT64_C(0xffffffff00000000));
}

static void mul_u64_refuses_65_bits_and_leaves_out_alone(void **state)
{
    uint64_t out = 7;
    (void)state;
    assert_false(checked_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
    assert_int_equal(out, 7);
}

static void add_size_refuses_a_wrap(void **state)
{
    size_t out = 7;
    (void)state;
    assert_true(checked_add_size(3, 4, &out));
    assert_false(checked_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, 7);
}

static void mul_size_refuses_a_wrap(void **state)
{
    size_t out = 0;
    (void)state;
    assert_true(checked_mul_size(3, 4, &out));
    assert_false(checked_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_int_equal(out, 12);
}

static void align_up_keeps_an_aligned_value(void **state)
{
    uint64_t out = 0;
    (void)state;
    assert_true(checked_align_up_u64(0x2000, 0x1000, &out));
    assert_int_equal(out, 0x2000);
}

static void align_up_raises_to_the_next_multiple(void **state)
{
    uint64_t out = 0;
    (void)state;
    assert_true(checked_align_up_u64(0x2001, 0x1000, &out));
    assert_int_equal(out, 0x3000);
}

static void align_up_refuses_what_passes_the_top(void **state)
{
    uint64_t out = 7;
    (void)state;
    assert_false(checked_align_up_u64(UINT64_MAX - 5, 0x1000, &out));
    assert_int_equal(out, 7);
}

static void align_up_refuses_an_alignment_that_is_no_power_of_two(void **state)
{
    uint64_t out = 7;
    (void)state;
    assert_false(checked_align_up_u64(8, 0, &out));
    assert_false(checked_align_up_u64(8, 12, &out));
    assert_int_equal(out, 7);
}

static void is_aligned_needs_a_power_of_two(void **state)
{
    (void)state;
    assert_true(checked_is_aligned(0x3000, 0x1000));
    assert_false(checked_is_aligned(0x3001, 0x1000));
    assert_false(checked_is_aligned(24, 12));
}

static void range_fits_up_to_the_limit(void **state)
{
    (void)state;
    assert_true(checked_range_fits(0, 16, 16));
    assert_true(checked_range_fits(16, 0, 16));
    assert_false(checked_range_fits(1, 16, 16));
    assert_false(checked_range_fits(17, 0, 16));
}

static void range_that_wraps_does_not_fit(void **state)
{
    (void)state;
    assert_false(checked_range_fits(8, UINT64_MAX, 16));
    assert_false(checked_range_fits(UINT64_MAX, 2, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_u64_gives_the_largest_sum),
        cmocka_unit_test(add_u64_refuses_a_wrap_and_leaves_out_alone),
        cmocka_unit_test(mul_u64_gives_a_product_of_64_bits),
        cmocka_unit_test(mul_u64_refuses_65_bits_and_leaves_out_alone),
        cmocka_unit_test(add_size_refuses_a_wrap),
        cmocka_unit_test(mul_size_refuses_a_wrap),
        cmocka_unit_test(align_up_keeps_an_aligned_value),
        cmocka_unit_test(align_up_raises_to_the_next_multiple),
        cmocka_unit_test(align_up_refuses_what_passes_the_top),
        cmocka_unit_test(align_up_refuses_an_alignment_that_is_no_power_of_two),
        cmocka_unit_test(is_aligned_needs_a_power_of_two),
        cmocka_unit_test(range_fits_up_to_the_limit),
        cmocka_unit_test(range_that_wraps_does_not_fit),
    };
    return cmocka_run_group_tests_name("common/checked", tests, NULL, NULL);
}
