/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/initrd.h"

/* Contents are only pointed to, so their lengths may be anything. */
static const uint8_t byte = 0x30;

struct place {
    struct boot_parts parts;
    struct boot_kernel kernel;
    struct boot_range where;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    *state = p;
    if (p == NULL)
        return -1;
    p->kernel = (struct boot_kernel){.end_gpa = 20 * BOOT_MIB, .initrd_limit_gpa = BOOT_KERNEL_INITRD_LIMIT};
    return boot_parts_init(&p->parts, 64 * BOOT_MIB, NULL);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    boot_parts_fini(&p->parts);
    free(p);
    return 0;
}

static int place(struct place *p, const struct boot_file *files, size_t count)
{
    return boot_initrd_place(files, count, &p->kernel, &p->parts, &p->where, &p->err);
}

static void no_files_are_no_ramdisk(void **state)
{
    struct place *p = *state;
    p->where.bytes = 7;
    assert_int_equal(place(p, NULL, 0), 0);
    assert_true(p->where.gpa == 0 && p->where.bytes == 0);
    assert_int_equal(p->parts.count, 0);
}

static void it_ends_in_the_last_page_of_ram(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 0x1001, "a"};
    assert_int_equal(place(p, &file, 1), 0);
    assert_true(p->where.gpa == 64 * BOOT_MIB - 0x2000);
    assert_int_equal(p->where.bytes, 0x1004);
    assert_true(p->parts.part[0].gpa.value == p->where.gpa);
}

static void files_follow_each_other_at_multiples_of_4(void **state)
{
    struct place *p = *state;
    struct boot_file files[3] = {{&byte, 5, "a"}, {&byte, 8, "b"}, {&byte, 3, "c"}};
    assert_int_equal(place(p, files, 3), 0);
    assert_int_equal(p->where.bytes, 20);
    assert_true(p->parts.part[1].gpa.value == p->where.gpa + 8);
    assert_true(p->parts.part[2].gpa.value == p->where.gpa + 16);
    assert_int_equal(p->parts.part[0].zero_tail, 3);
    assert_int_equal(p->parts.part[1].zero_tail, 0);
    assert_int_equal(p->parts.part[2].zero_tail, 1);
}

static void the_kernels_limit_is_kept(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 0x1000, "a"};
    p->kernel.initrd_limit_gpa = 32 * BOOT_MIB;
    assert_int_equal(place(p, &file, 1), 0);
    assert_true(p->where.gpa == 32 * BOOT_MIB - 0x1000);
}

static void ram_above_4_gib_is_not_used(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 0x1000, "a"};
    boot_parts_fini(&p->parts);
    assert_int_equal(boot_parts_init(&p->parts, UINT64_C(1) << 40, NULL), 0);
    p->kernel.initrd_limit_gpa = UINT64_C(0x100000000);
    assert_int_equal(place(p, &file, 1), 0);
    assert_true(p->where.gpa == BOOT_HOLE_GPA - 0x1000);
}

static void it_may_start_where_the_kernel_ends(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 44 * BOOT_MIB, "a"};
    assert_int_equal(place(p, &file, 1), 0);
    assert_true(p->where.gpa == p->kernel.end_gpa);
}

static void one_byte_more_does_not_fit(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 44 * BOOT_MIB + 1, "a"};
    assert_int_equal(place(p, &file, 1), -E2BIG);
    assert_non_null(strstr(p->err.text, "kernel's end at 20 MiB and address 64 MiB"));
    assert_int_equal(p->parts.count, 0);
}

static void more_than_all_ram_does_not_fit(void **state)
{
    struct place *p = *state;
    struct boot_file file = {&byte, 65 * BOOT_MIB, "a"};
    assert_int_equal(place(p, &file, 1), -E2BIG);
}

static void sums_that_wrap_are_refused(void **state)
{
    struct place *p = *state;
    struct boot_file files[2] = {{&byte, SIZE_MAX - 3, "a"}, {&byte, 8, "b"}};
    assert_int_equal(place(p, files, 2), -E2BIG);
    files[0].length = SIZE_MAX;
    assert_int_equal(place(p, files, 1), -E2BIG);
    assert_non_null(strstr(p->err.text, "64 bits"));
}

static void an_empty_file_is_refused_by_name(void **state)
{
    struct place *p = *state;
    struct boot_file files[2] = {{&byte, 4, "a"}, {&byte, 0, "empty.cpio"}};
    assert_int_equal(place(p, files, 2), -ENODATA);
    assert_non_null(strstr(p->err.text, "empty.cpio"));
}

static void the_number_of_files_is_bounded(void **state)
{
    struct place *p = *state;
    struct boot_file files[BOOT_INITRDS_MAX + 1];
    for (size_t i = 0; i < BOOT_INITRDS_MAX + 1; i++)
        files[i] = (struct boot_file){&byte, 4, "a"};
    assert_int_equal(place(p, files, BOOT_INITRDS_MAX + 1), -EINVAL);
    assert_int_equal(place(p, files, BOOT_INITRDS_MAX), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(no_files_are_no_ramdisk),
        CASE(it_ends_in_the_last_page_of_ram),
        CASE(files_follow_each_other_at_multiples_of_4),
        CASE(the_kernels_limit_is_kept),
        CASE(ram_above_4_gib_is_not_used),
        CASE(it_may_start_where_the_kernel_ends),
        CASE(one_byte_more_does_not_fit),
        CASE(more_than_all_ram_does_not_fit),
        CASE(sums_that_wrap_are_refused),
        CASE(an_empty_file_is_refused_by_name),
        CASE(the_number_of_files_is_bounded),
    };
    return cmocka_run_group_tests_name("boot/initrd", tests, NULL, NULL);
}
