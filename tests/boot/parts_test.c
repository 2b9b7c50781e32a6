/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/parts.h"

#define MEMORY (5 * BOOT_GIB)

static const uint8_t some_bytes[64] = {1, 2, 3};

static int set_up(void **state)
{
    struct boot_parts *parts = test_malloc(sizeof(*parts));
    *state = parts;
    return boot_parts_init(parts, MEMORY, NULL);
}

static int tear_down(void **state)
{
    boot_parts_fini(*state);
    test_free(*state);
    return 0;
}

static struct boot_part part(uint64_t gpa, uint64_t length, uint64_t tail)
{
    return (struct boot_part){
        .gpa = gpa_make(gpa), .bytes = some_bytes, .length = length, .zero_tail = tail, .kind = BOOT_PART_KERNEL};
}

static int add(struct boot_parts *parts, uint64_t gpa, uint64_t length, uint64_t tail)
{
    struct boot_part p = part(gpa, length, tail);
    return boot_parts_add(parts, &p, NULL);
}

static void parts_keep_the_order_of_adding(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, 0x2000, 64, 0), 0);
    assert_int_equal(add(parts, 0x1000, 64, 0), 0);
    assert_int_equal(parts->count, 2);
    assert_true(parts->part[0].gpa.value == 0x2000);
}

static void neighbours_do_not_overlap(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, 0x1000, 64, 0x1000 - 64), 0);
    assert_int_equal(add(parts, 0x2000, 64, 0), 0);
    assert_int_equal(add(parts, 0xfc0, 64, 0), 0);
}

static void a_part_over_another_is_refused(void **state)
{
    struct boot_parts *parts = *state;
    struct err err;
    struct boot_part p = part(0xfff, 2, 0);
    assert_int_equal(add(parts, 0x1000, 64, 0), 0);
    assert_int_equal(boot_parts_add(parts, &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "overwrite part of the kernel"));
    assert_int_equal(parts->count, 1);
}

static void a_zero_tail_counts_as_occupied(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, 0x1000, 64, 0x1000), 0);
    assert_int_equal(add(parts, 0x2000, 64, 0), -EINVAL);
}

static void a_part_must_end_within_ram(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, BOOT_HOLE_GPA - 64, 64, 1), -EINVAL);
    assert_int_equal(add(parts, BOOT_HOLE_GPA - 64, 64, 0), 0);
}

static void the_hole_is_no_ram(void **state)
{
    assert_int_equal(add(*state, BOOT_LAPIC_GPA, 64, 0), -EINVAL);
}

static void ram_above_4_gib_is_ram(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, BOOT_HIGH_RAM_GPA, 64, 2 * BOOT_GIB - 64), 0);
    assert_int_equal(add(parts, BOOT_HIGH_RAM_GPA + 2 * BOOT_GIB, 1, 0), -EINVAL);
}

static void sums_that_wrap_are_refused(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, 0x1000, 64, UINT64_MAX), -EINVAL);
    assert_int_equal(add(parts, UINT64_MAX - 3, 8, 0), -EINVAL);
}

static void nothing_is_not_added(void **state)
{
    struct boot_parts *parts = *state;
    assert_int_equal(add(parts, 0x1000, 0, 0), 0);
    assert_int_equal(parts->count, 0);
}

static void a_full_list_refuses_and_stays(void **state)
{
    struct boot_parts *parts = *state;
    for (unsigned i = 0; i < BOOT_PARTS_MAX; i++)
        assert_int_equal(add(parts, 0x1000 + i * 64, 64, 0), 0);
    assert_int_equal(add(parts, 0x100000, 64, 0), -E2BIG);
    assert_int_equal(parts->count, BOOT_PARTS_MAX);
}

static void the_arena_gives_zeroed_bytes_until_it_is_used_up(void **state)
{
    struct boot_parts *parts = *state;
    struct err err;
    const uint8_t *first = boot_parts_alloc(parts, 3, &err);
    const uint8_t *second = boot_parts_alloc(parts, BOOT_ARENA_BYTES - 16, &err);
    assert_non_null(first);
    assert_ptr_equal(second, first + 16);
    assert_int_equal(second[BOOT_ARENA_BYTES - 17], 0);
    assert_null(boot_parts_alloc(parts, 1, &err));
    assert_int_equal(err.code, -ENOMEM);
}

static void the_arena_refuses_what_never_fits(void **state)
{
    assert_null(boot_parts_alloc(*state, SIZE_MAX, NULL));
    assert_non_null(boot_parts_alloc(*state, BOOT_ARENA_BYTES, NULL));
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (unsigned kind = BOOT_PART_GDT; kind <= BOOT_PART_INITRD; kind++)
        assert_string_not_equal(boot_part_kind_name((enum boot_part_kind)kind), "unknown part");
}

static void fini_accepts_a_zeroed_list(void **state)
{
    struct boot_parts parts = {.count = 0};
    (void)state;
    boot_parts_fini(&parts);
    assert_null(parts.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_keep_the_order_of_adding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(neighbours_do_not_overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_over_another_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_zero_tail_counts_as_occupied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_must_end_within_ram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_hole_is_no_ram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ram_above_4_gib_is_ram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sums_that_wrap_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_not_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_list_refuses_and_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_arena_gives_zeroed_bytes_until_it_is_used_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_arena_refuses_what_never_fits, set_up, tear_down),
        cmocka_unit_test(every_kind_has_a_name),
        cmocka_unit_test(fini_accepts_a_zeroed_list),
    };
    return cmocka_run_group_tests_name("boot/parts", tests, NULL, NULL);
}
