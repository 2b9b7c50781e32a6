/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/pvh.h"
#include "common/bytes.h"

static struct boot_e820 map_of(uint64_t memory_bytes)
{
    struct boot_e820 map;
    boot_e820_build(memory_bytes, 0x800, (struct boot_range){BOOT_ECAM_GPA, BOOT_MIB}, &map);
    return map;
}

/* Build a page into *parts; the caller ends them. */
static const uint8_t *build(struct boot_parts *parts, struct boot_range initrd)
{
    struct boot_e820 map = map_of(5 * BOOT_GIB);
    assert_int_equal(boot_parts_init(parts, 5 * BOOT_GIB, NULL), 0);
    assert_int_equal(boot_pvh_place(initrd, &map, 0xe0000, parts, NULL), 0);
    assert_int_equal(parts->count, 1);
    assert_true(parts->part[0].gpa.value == BOOT_PVH_GPA);
    return parts->part[0].bytes;
}

static void start_info_leads_to_everything(void **state)
{
    struct boot_parts parts;
    const uint8_t *b = build(&parts, (struct boot_range){0, 0});
    (void)state;
    assert_int_equal(bytes_load_le32(b), BOOT_PVH_MAGIC);
    assert_int_equal(bytes_load_le32(b + 4), 1);
    assert_int_equal(bytes_load_le32(b + 8), 0);
    assert_int_equal(bytes_load_le64(b + 24), BOOT_CMDLINE_GPA);
    assert_int_equal(bytes_load_le64(b + 32), 0xe0000);
    assert_int_equal(bytes_load_le64(b + 40), BOOT_PVH_GPA + BOOT_PVH_MEMORY_MAP);
    boot_parts_fini(&parts);
}

static void without_ramdisk_there_is_no_module(void **state)
{
    struct boot_parts parts;
    const uint8_t *b = build(&parts, (struct boot_range){0, 0});
    (void)state;
    assert_int_equal(bytes_load_le32(b + 12), 0);
    assert_int_equal(bytes_load_le64(b + 16), 0);
    boot_parts_fini(&parts);
}

static void the_ramdisk_is_the_module(void **state)
{
    struct boot_parts parts;
    const uint8_t *b = build(&parts, (struct boot_range){0x3ff0000, 0x10001});
    (void)state;
    assert_int_equal(bytes_load_le32(b + 12), 1);
    assert_int_equal(bytes_load_le64(b + 16), BOOT_PVH_GPA + BOOT_PVH_MODULES);
    assert_int_equal(bytes_load_le64(b + BOOT_PVH_MODULES), 0x3ff0000);
    assert_int_equal(bytes_load_le64(b + BOOT_PVH_MODULES + 8), 0x10001);
    assert_int_equal(bytes_load_le64(b + BOOT_PVH_MODULES + 16), 0);
    boot_parts_fini(&parts);
}

static void the_memory_map_is_copied(void **state)
{
    struct boot_parts parts;
    const uint8_t *b = build(&parts, (struct boot_range){0, 0});
    struct boot_e820 map = map_of(5 * BOOT_GIB);
    (void)state;
    assert_int_equal(bytes_load_le32(b + 48), map.count);
    for (unsigned i = 0; i < map.count; i++) {
        const uint8_t *entry = b + BOOT_PVH_MEMORY_MAP + i * 24;
        assert_true(bytes_load_le64(entry) == map.entry[i].gpa);
        assert_true(bytes_load_le64(entry + 8) == map.entry[i].bytes);
        assert_int_equal(bytes_load_le32(entry + 16), map.entry[i].type);
        assert_int_equal(bytes_load_le32(entry + 20), 0);
    }
    boot_parts_fini(&parts);
}

static void the_fullest_map_fits_the_page(void **state)
{
    (void)state;
    assert_true(BOOT_PVH_MEMORY_MAP + BOOT_E820_MAX * 24 <= BOOT_PVH_BYTES);
}

static void a_used_up_arena_is_reported(void **state)
{
    struct boot_parts parts;
    struct boot_e820 map = map_of(5 * BOOT_GIB);
    (void)state;
    assert_int_equal(boot_parts_init(&parts, 5 * BOOT_GIB, NULL), 0);
    assert_non_null(boot_parts_alloc(&parts, BOOT_ARENA_BYTES, NULL));
    assert_int_equal(boot_pvh_place((struct boot_range){0, 0}, &map, 0, &parts, NULL), -ENOMEM);
    boot_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_info_leads_to_everything), cmocka_unit_test(without_ramdisk_there_is_no_module),
        cmocka_unit_test(the_ramdisk_is_the_module),      cmocka_unit_test(the_memory_map_is_copied),
        cmocka_unit_test(the_fullest_map_fits_the_page),  cmocka_unit_test(a_used_up_arena_is_reported),
    };
    return cmocka_run_group_tests_name("boot/pvh", tests, NULL, NULL);
}
