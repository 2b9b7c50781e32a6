/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/e820.h"

static const struct boot_range no_ecam = {0, 0};

static void is_entry(const struct boot_e820 *map, unsigned index, uint64_t gpa, uint64_t end, enum boot_e820_type type)
{
    assert_true(index < map->count);
    assert_true(map->entry[index].gpa == gpa);
    assert_true(map->entry[index].gpa + map->entry[index].bytes == end);
    assert_int_equal(map->entry[index].type, type);
}

static void a_small_machine_has_ram_below_and_above_the_firmware_hole(void **state)
{
    struct boot_e820 map;
    (void)state;
    boot_e820_build(16 * BOOT_MIB, 0x800, no_ecam, &map);
    assert_int_equal(map.count, 5);
    is_entry(&map, 0, 0, 0xa0000, BOOT_E820_RAM);
    is_entry(&map, 1, 0xa0000, 0xe0000, BOOT_E820_RESERVED);
    is_entry(&map, 2, 0xe0000, 0xe1000, BOOT_E820_ACPI);
    is_entry(&map, 3, 0xe1000, 0x100000, BOOT_E820_RESERVED);
    is_entry(&map, 4, 0x100000, 16 * BOOT_MIB, BOOT_E820_RAM);
}

static void tables_that_fill_their_place_leave_the_rest_reserved(void **state)
{
    struct boot_e820 map;
    (void)state;
    boot_e820_build(16 * BOOT_MIB, BOOT_ACPI_BYTES, no_ecam, &map);
    assert_int_equal(map.count, 5);
    is_entry(&map, 2, 0xe0000, 0xf0000, BOOT_E820_ACPI);
    is_entry(&map, 3, 0xf0000, 0x100000, BOOT_E820_RESERVED);
}

static void a_whole_page_of_tables_takes_no_second(void **state)
{
    struct boot_e820 map;
    (void)state;
    boot_e820_build(16 * BOOT_MIB, 0x1000, no_ecam, &map);
    is_entry(&map, 2, 0xe0000, 0xe1000, BOOT_E820_ACPI);
}

static void the_hole_below_4_gib_is_in_no_entry(void **state)
{
    struct boot_e820 map;
    (void)state;
    boot_e820_build(64 * BOOT_GIB, 0x800, no_ecam, &map);
    assert_int_equal(map.count, 6);
    is_entry(&map, 4, 0x100000, BOOT_HOLE_GPA, BOOT_E820_RAM);
    is_entry(&map, 5, BOOT_HIGH_RAM_GPA, 65 * BOOT_GIB, BOOT_E820_RAM);
}

static void configuration_space_is_reserved_in_its_place(void **state)
{
    struct boot_e820 map;
    (void)state;
    boot_e820_build(4 * BOOT_GIB, 0x800, (struct boot_range){BOOT_ECAM_GPA, BOOT_MIB}, &map);
    assert_int_equal(map.count, 7);
    is_entry(&map, 5, BOOT_ECAM_GPA, BOOT_ECAM_GPA + BOOT_MIB, BOOT_E820_RESERVED);
    is_entry(&map, 6, BOOT_HIGH_RAM_GPA, 5 * BOOT_GIB, BOOT_E820_RAM);
}

static uint64_t sum_of_ram(const struct boot_e820 *map)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < map->count; i++)
        sum += map->entry[i].type == BOOT_E820_RAM ? map->entry[i].bytes : 0;
    return sum;
}

static void entries_rise_and_account_for_all_memory(void **state)
{
    static const uint64_t sizes[] = {BOOT_MEMORY_MIN_BYTES,        BOOT_HOLE_GPA - 4096, BOOT_HOLE_GPA,
                                     BOOT_HOLE_GPA + 4096,         4 * BOOT_GIB,         UINT64_C(1) << 40,
                                     BOOT_MEMORY_MAX_BYTES - 4096, BOOT_MEMORY_MAX_BYTES};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct boot_e820 map;
        boot_e820_build(sizes[i], 0x1234, (struct boot_range){BOOT_ECAM_GPA, BOOT_MIB}, &map);
        for (unsigned k = 1; k < map.count; k++)
            assert_true(map.entry[k - 1].gpa + map.entry[k - 1].bytes <= map.entry[k].gpa);
        /* What a PC's firmware takes of the first MiB is no RAM for the kernel. */
        assert_true(sum_of_ram(&map) == sizes[i] - (BOOT_MIB - BOOT_LOW_END_GPA));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_machine_has_ram_below_and_above_the_firmware_hole),
        cmocka_unit_test(tables_that_fill_their_place_leave_the_rest_reserved),
        cmocka_unit_test(a_whole_page_of_tables_takes_no_second),
        cmocka_unit_test(the_hole_below_4_gib_is_in_no_entry),
        cmocka_unit_test(configuration_space_is_reserved_in_its_place),
        cmocka_unit_test(entries_rise_and_account_for_all_memory),
    };
    return cmocka_run_group_tests_name("boot/e820", tests, NULL, NULL);
}
