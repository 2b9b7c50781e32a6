/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/devices/virtio/fs_table.h"

static void the_first_number_is_one(void **state)
{
    struct fs_table t;
    int item;
    (void)state;
    assert_int_equal(fs_table_init(&t, 4), 0);
    assert_int_equal(fs_table_add(&t, &item), 1);
    assert_ptr_equal(fs_table_find(&t, 1), &item);
    fs_table_fini(&t);
}

static void a_number_that_was_given_back_names_nothing_any_more(void **state)
{
    struct fs_table t;
    int item[2];
    (void)state;
    assert_int_equal(fs_table_init(&t, 1), 0);
    uint64_t first = fs_table_add(&t, &item[0]);
    assert_int_equal(fs_table_add(&t, &item[1]), 0);
    fs_table_remove(&t, first);
    assert_null(fs_table_find(&t, first));
    fs_table_remove(&t, first);
    uint64_t second = fs_table_add(&t, &item[1]);
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    assert_null(fs_table_find(&t, first));
    fs_table_remove(&t, first);
    assert_ptr_equal(fs_table_find(&t, second), &item[1]);
    fs_table_fini(&t);
}

static void numbers_that_never_were_name_nothing(void **state)
{
    static const uint64_t numbers[] = {0, 2, 5, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(0x100000001), UINT64_MAX};
    struct fs_table t;
    int item;
    (void)state;
    assert_int_equal(fs_table_init(&t, 4), 0);
    (void)fs_table_add(&t, &item);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_null(fs_table_find(&t, numbers[i]));
        fs_table_remove(&t, numbers[i]);
    }
    assert_ptr_equal(fs_table_find(&t, 1), &item);
    fs_table_fini(&t);
}

static void all_slots_are_used_and_used_again(void **state)
{
    struct fs_table t;
    int item[8];
    uint64_t id[8];
    (void)state;
    assert_int_equal(fs_table_init(&t, 8), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++)
            id[i] = fs_table_add(&t, &item[i]);
        assert_int_equal(fs_table_add(&t, &item[0]), 0);
        for (unsigned i = 0; i < 8; i++)
            assert_ptr_equal(fs_table_find(&t, id[i]), &item[i]);
        for (unsigned i = 0; i < 8; i++)
            fs_table_remove(&t, id[(i * 3) % 8]);
    }
    fs_table_fini(&t);
    fs_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_number_is_one),
        cmocka_unit_test(a_number_that_was_given_back_names_nothing_any_more),
        cmocka_unit_test(numbers_that_never_were_name_nothing),
        cmocka_unit_test(all_slots_are_used_and_used_again),
    };
    return cmocka_run_group_tests_name("virtio/fs_table", tests, NULL, NULL);
}
