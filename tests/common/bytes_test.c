/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/bytes.h"

/* Starts at an odd address on purpose. */
static const uint8_t sample[] = {0xff, 0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

static void load_le16_takes_the_low_byte_first(void **state)
{
    (void)state;
    assert_int_equal(bytes_load_le16(sample + 1), 0x9281);
}

static void load_le32_keeps_the_top_bit(void **state)
{
    (void)state;
    assert_true(bytes_load_le32(sample + 1) == UINT32_C(0xb4a39281));
}

static void load_le64_takes_all_eight_bytes(void **state)
{
    (void)state;
    assert_true(bytes_load_le64(sample + 1) == UINT64_C(0xf8e7d6c5b4a39281));
}

static void store_le16_writes_two_bytes(void **state)
{
    uint8_t to[] = {0, 0, 0, 0x55};
    const uint8_t wanted[] = {0, 0x81, 0x92, 0x55};
    (void)state;
    bytes_store_le16(to + 1, 0x9281);
    assert_memory_equal(to, wanted, sizeof wanted);
}

static void store_le32_writes_four_bytes(void **state)
{
    uint8_t to[] = {0, 0, 0, 0, 0, 0x55};
    const uint8_t wanted[] = {0, 0x81, 0x92, 0xa3, 0xb4, 0x55};
    (void)state;
    bytes_store_le32(to + 1, UINT32_C(0xb4a39281));
    assert_memory_equal(to, wanted, sizeof wanted);
}

static void store_le64_writes_eight_bytes(void **state)
{
    uint8_t to[10] = {[9] = 0x55};
    (void)state;
    bytes_store_le64(to + 1, UINT64_C(0xf8e7d6c5b4a39281));
    assert_memory_equal(to + 1, sample + 1, 8);
    assert_int_equal(to[0], 0);
    assert_int_equal(to[9], 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_le16_takes_the_low_byte_first), cmocka_unit_test(load_le32_keeps_the_top_bit),
        cmocka_unit_test(load_le64_takes_all_eight_bytes),    cmocka_unit_test(store_le16_writes_two_bytes),
        cmocka_unit_test(store_le32_writes_four_bytes),       cmocka_unit_test(store_le64_writes_eight_bytes),
    };
    return cmocka_run_group_tests_name("common/bytes", tests, NULL, NULL);
}
