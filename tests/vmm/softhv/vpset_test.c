/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/vpset.h"

static void a_mask_names_the_first_64(void **state)
{
    (void)state;
    struct softhv_vp_set s = softhv_vp_set_mask(UINT64_C(1) << 63 | 1);
    assert_true(softhv_vp_set_has(&s, 0));
    assert_true(softhv_vp_set_has(&s, 63));
    assert_false(softhv_vp_set_has(&s, 1));
    assert_false(softhv_vp_set_has(&s, 64));
}

static void all_has_every_vp_that_can_be(void **state)
{
    (void)state;
    struct softhv_vp_set s;
    assert_true(softhv_vp_set_decode(HV_GENERIC_SET_ALL, UINT64_MAX, NULL, 0, &s));
    assert_true(softhv_vp_set_has(&s, 0));
    assert_true(softhv_vp_set_has(&s, 255));
    assert_false(softhv_vp_set_has(&s, 256));
}

static void sparse_banks_take_their_words_in_order(void **state)
{
    (void)state;
    static const uint64_t words[] = {2, 4, UINT64_MAX};
    struct softhv_vp_set s;
    assert_true(softhv_vp_set_decode(HV_GENERIC_SET_SPARSE_4K, UINT64_C(1) << 63 | 0xa, words, 3, &s));
    assert_int_equal(s.bank[0], 0);
    assert_int_equal(s.bank[1], 2);
    assert_int_equal(s.bank[2], 0);
    assert_int_equal(s.bank[3], 4);
}

static void an_empty_sparse_set_is_fine(void **state)
{
    (void)state;
    struct softhv_vp_set s;
    memset(&s, 0xff, sizeof(s));
    assert_true(softhv_vp_set_decode(HV_GENERIC_SET_SPARSE_4K, 0, NULL, 0, &s));
    assert_false(softhv_vp_set_has(&s, 0));
}

static void counts_and_banks_must_agree(void **state)
{
    (void)state;
    static const uint64_t words[64] = {0};
    struct softhv_vp_set s;
    assert_false(softhv_vp_set_decode(HV_GENERIC_SET_SPARSE_4K, 3, words, 1, &s));
    assert_false(softhv_vp_set_decode(HV_GENERIC_SET_SPARSE_4K, 1, words, 2, &s));
    assert_true(softhv_vp_set_decode(HV_GENERIC_SET_SPARSE_4K, UINT64_MAX, words, 64, &s));
}

static void unknown_formats_are_refused(void **state)
{
    (void)state;
    struct softhv_vp_set s;
    assert_false(softhv_vp_set_decode(2, 0, NULL, 0, &s));
    assert_false(softhv_vp_set_decode(UINT64_C(1) << 32, 0, NULL, 0, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mask_names_the_first_64),
        cmocka_unit_test(all_has_every_vp_that_can_be),
        cmocka_unit_test(sparse_banks_take_their_words_in_order),
        cmocka_unit_test(an_empty_sparse_set_is_fine),
        cmocka_unit_test(counts_and_banks_must_agree),
        cmocka_unit_test(unknown_formats_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
