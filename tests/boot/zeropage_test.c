/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bzimage.h"
#include "boot/zeropage.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

#define RSDP_GPA UINT64_C(0xe0000)

struct page {
    struct boot_fixture f;
    struct boot_parts parts;
    struct boot_kernel kernel;
    struct boot_e820 map;
    const uint8_t *bytes;
};

static const struct boot_range initrd = {0x3ff0000, 0x10001};

static int set_up(void **state)
{
    struct page *p = calloc(1, sizeof(*p));
    *state = p;
    if (p == NULL)
        return -1;
    boot_fixture_bzimage(&p->f);
    boot_e820_build(5 * BOOT_GIB, 0x800, (struct boot_range){0, 0}, &p->map);
    return boot_parts_init(&p->parts, 5 * BOOT_GIB, NULL);
}

static int tear_down(void **state)
{
    struct page *p = *state;
    boot_parts_fini(&p->parts);
    free(p);
    return 0;
}

static void build(struct page *p)
{
    enum boot_protocol wanted = BOOT_PROTOCOL_LINUX64;
    assert_int_equal(boot_kernel_load(&p->f.file, wanted, &p->parts, &p->kernel, NULL), 0);
    assert_int_equal(boot_zeropage_place(&p->kernel, initrd, &p->map, RSDP_GPA, &p->parts, NULL), 0);
    const struct boot_part *part = boot_fixture_part(&p->parts, BOOT_PART_ZERO_PAGE, 0);
    assert_non_null(part);
    assert_true(part->gpa.value == BOOT_ZERO_PAGE_GPA);
    assert_int_equal(part->length, 4096);
    p->bytes = part->bytes;
}

static void the_setup_header_is_copied(void **state)
{
    struct page *p = *state;
    build(p);
    assert_memory_equal(p->bytes + BOOT_HDR_MAGIC, "HdrS", 4);
    assert_int_equal(bytes_load_le16(p->bytes + BOOT_HDR_VERSION), 0x020f);
    assert_int_equal(p->bytes[BOOT_HDR_SETUP_SECTS], 1);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_INIT_SIZE), BOOT_FIXTURE_INIT_BYTES);
}

static void nothing_else_of_the_file_is_copied(void **state)
{
    struct page *p = *state;
    memset(p->f.bytes + 2, 0xaa, BOOT_HDR_START - 2);
    memset(p->f.bytes + 0x26c, 0xaa, 0x400 - 0x26c);
    build(p);
    for (size_t i = 0; i < BOOT_ZP_ACPI_RSDP; i++)
        assert_int_equal(p->bytes[i], 0);
    for (size_t i = 0x26c; i < BOOT_ZP_E820_TABLE; i++)
        assert_int_equal(p->bytes[i], 0);
    assert_int_equal(p->bytes[BOOT_ZP_SENTINEL], 0);
}

static void the_loaders_fields_are_set(void **state)
{
    struct page *p = *state;
    build(p);
    assert_int_equal(p->bytes[BOOT_HDR_TYPE_OF_LOADER], 0xff);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_CMD_LINE_PTR), BOOT_CMDLINE_GPA);
    assert_int_equal(bytes_load_le16(p->bytes + BOOT_HDR_VID_MODE), 0xffff);
    assert_int_equal(bytes_load_le64(p->bytes + BOOT_ZP_ACPI_RSDP), RSDP_GPA);
}

static void the_ramdisk_is_named(void **state)
{
    struct page *p = *state;
    build(p);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_RAMDISK_IMAGE), initrd.gpa);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_RAMDISK_SIZE), initrd.bytes);
}

static void flags_of_a_hostile_header_are_cleared(void **state)
{
    struct page *p = *state;
    p->f.bytes[BOOT_HDR_LOADFLAGS] = 0xff;
    build(p);
    assert_int_equal(p->bytes[BOOT_HDR_LOADFLAGS], 0x3f);
}

static void a_hostile_list_of_setup_data_is_cleared(void **state)
{
    struct page *p = *state;
    memset(p->f.bytes + BOOT_HDR_SETUP_DATA, 0xff, 8);
    build(p);
    assert_true(bytes_load_le64(p->bytes + BOOT_HDR_SETUP_DATA) == 0);
}

static void the_memory_map_is_copied(void **state)
{
    struct page *p = *state;
    build(p);
    assert_int_equal(p->bytes[BOOT_ZP_E820_ENTRIES], p->map.count);
    const uint8_t *last = p->bytes + BOOT_ZP_E820_TABLE + (p->map.count - 1) * 20;
    assert_true(bytes_load_le64(last) == BOOT_HIGH_RAM_GPA);
    assert_true(bytes_load_le64(last + 8) == 2 * BOOT_GIB);
    assert_int_equal(bytes_load_le32(last + 16), 1);
    assert_true(bytes_load_le64(last + 20) == 0);
}

static void an_elf_kernel_gets_a_header_of_ours(void **state)
{
    struct page *p = *state;
    boot_fixture_elf(&p->f);
    build(p);
    assert_int_equal(bytes_load_le16(p->bytes + BOOT_HDR_BOOT_FLAG), 0xaa55);
    assert_memory_equal(p->bytes + BOOT_HDR_MAGIC, "HdrS", 4);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_CMDLINE_SIZE), 2047);
    assert_int_equal(bytes_load_le32(p->bytes + BOOT_HDR_INITRD_ADDR_MAX), 0x7fffffff);
    assert_int_equal(p->bytes[BOOT_HDR_LOADFLAGS], BOOT_HDR_LOADED_HIGH);
}

static void a_used_up_arena_is_reported(void **state)
{
    struct page *p = *state;
    struct boot_kernel kernel = {.cmdline_max = 1};
    assert_non_null(boot_parts_alloc(&p->parts, BOOT_ARENA_BYTES - 4095, NULL));
    assert_int_equal(boot_zeropage_place(&kernel, initrd, &p->map, RSDP_GPA, &p->parts, NULL), -ENOMEM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_setup_header_is_copied),
        CASE(nothing_else_of_the_file_is_copied),
        CASE(the_loaders_fields_are_set),
        CASE(the_ramdisk_is_named),
        CASE(flags_of_a_hostile_header_are_cleared),
        CASE(a_hostile_list_of_setup_data_is_cleared),
        CASE(the_memory_map_is_copied),
        CASE(an_elf_kernel_gets_a_header_of_ours),
        CASE(a_used_up_arena_is_reported),
    };
    return cmocka_run_group_tests_name("boot/zeropage", tests, NULL, NULL);
}
