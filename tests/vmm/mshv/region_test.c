/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/partition.h"

#define PT   5
#define PAGE UINT64_C(0x1000)
#define RW   (MSHV_MAP_WRITABLE | MSHV_MAP_EXECUTABLE)

/* Never touched: the script has no kernel behind it. */
static void *host(uintptr_t address)
{
    return (void *)address;
}

static struct mshv_partition partition_of(struct port_script *script)
{
    return (struct mshv_partition){.port = port_script_port(script), .fd = PT, .initialized = true};
}

static struct mshv_user_mem_region argument(const struct port_step *step)
{
    struct mshv_user_mem_region args;
    memcpy(&args, step->argument, sizeof args);
    return args;
}

static int map(struct mshv_partition *partition, uint64_t gpa, uint64_t bytes, struct err *err)
{
    return mshv_partition_map(partition, gpa_make(gpa), host(0x7000000), bytes, RW, err);
}

static void region_is_mapped_and_unmapped_as_it_was(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *in = port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    struct port_step *out = port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(mshv_partition_map(&partition, gpa_make(0x100000), host(0x7000000), 2 * PAGE, RW, NULL), 0);
    assert_int_equal(partition.region_count, 1);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(0x100000), NULL), 0);
    assert_int_equal(partition.region_count, 0);
    assert_int_equal(argument(in).flags, 3);
    assert_int_equal(argument(out).flags, 4);
    for (int i = 0; i < 2; i++) {
        const struct mshv_user_mem_region args = argument(i == 0 ? in : out);
        assert_int_equal(args.size, 2 * PAGE);
        assert_int_equal(args.guest_pfn, 0x100);
        assert_int_equal(args.userspace_addr, 0x7000000);
        assert_memory_equal(args.rsvd, "\0\0\0\0\0\0\0", 7);
    }
    port_script_end(script);
}

static void read_only_region_is_mapped_without_the_flag(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(mshv_partition_map(&partition, gpa_make(0), host(0x7000000), PAGE, MSHV_MAP_EXECUTABLE, NULL), 0);
    assert_int_equal(argument(step).flags, 2);
    port_script_end(script);
}

static void what_no_driver_takes_is_refused_here(void **state)
{
    (void)state;
    static const struct {
        uint64_t gpa;
        uintptr_t host;
        uint64_t bytes;
        unsigned flags;
    } cases[] = {
        {0, 0x1000, 0, RW},
        {0, 0x1000, 0x800, RW},
        {0x10, 0x1000, PAGE, RW},
        {0, 0x1010, PAGE, RW},
        {0, 0, PAGE, RW},
        {0, 0x1000, PAGE, 4},
        {0, 0x1000, PAGE, 8},
        {UINT64_C(1) << 52, 0x1000, PAGE, RW},
        {(UINT64_C(1) << 52) - PAGE, 0x1000, 2 * PAGE, RW},
        {UINT64_MAX - PAGE + 1, 0x1000, PAGE, RW},
        {PAGE, 0x1000, UINT64_MAX - PAGE + 1, RW},
        {0, UINTPTR_MAX - PAGE + 1, 2 * PAGE, RW},
    };
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};
        assert_int_equal(mshv_partition_map(&partition, gpa_make(cases[i].gpa), host(cases[i].host), cases[i].bytes,
                                            cases[i].flags, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, "map guest memory of"));
    }
    assert_int_equal(partition.region_count, 0);
    port_script_end(script);
}

static void last_pages_of_the_address_space_can_be_mapped(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(map(&partition, (UINT64_C(1) << 52) - PAGE, PAGE, NULL), 0);
    port_script_end(script);
}

static void any_overlap_is_refused_and_neighbours_are_not(void **state)
{
    (void)state;
    /* There are [0x10, 0x14) and [0x20, 0x24), in pages. */
    static const struct {
        uint64_t page, pages;
        int result;
    } cases[] = {
        {0x10, 4, -EEXIST}, {0x0f, 2, -EEXIST},  {0x13, 2, -EEXIST}, {0x11, 1, -EEXIST},  {0x0f, 6, -EEXIST},
        {0x1f, 6, -EEXIST}, {0x08, 64, -EEXIST}, {0x23, 1, -EEXIST}, {0x14, 13, -EEXIST}, {0x0f, 1, 0},
        {0x14, 12, 0},      {0x24, 1, 0},        {0, 16, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};
        struct port_script *script = port_script_new();
        struct mshv_partition partition = partition_of(script);
        port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
        port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
        assert_int_equal(map(&partition, 0x20 * PAGE, 4 * PAGE, NULL), 0);
        assert_int_equal(map(&partition, 0x10 * PAGE, 4 * PAGE, NULL), 0);
        if (cases[i].result == 0) {
            port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
        }
        assert_int_equal(map(&partition, cases[i].page * PAGE, cases[i].pages * PAGE, &err), cases[i].result);
        assert_int_equal(partition.region_count, cases[i].result == 0 ? 3 : 2);
        if (cases[i].result != 0) {
            assert_non_null(strstr(err.text, "it overlaps 16384 bytes at 0x"));
        }
        for (size_t r = 1; r < partition.region_count; r++) {
            assert_true(partition.regions[r - 1].gpa.value < partition.regions[r].gpa.value);
        }
        port_script_end(script);
    }
}

static void refusal_by_the_driver_leaves_the_regions(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *word;
    } cases[] = {{-EEXIST, "only once"}, {-EFAULT, "writable"}, {-ENOMEM, "free memory"}, {-EIO, "log"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        struct port_script *script = port_script_new();
        struct mshv_partition partition = partition_of(script);
        port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, cases[i].code);
        assert_int_equal(map(&partition, 0, PAGE, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].word));
        assert_int_equal(partition.region_count, 0);
        port_script_end(script);
    }
}

static void table_of_regions_is_bounded(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    for (uint64_t i = 0; i < MSHV_MAX_REGIONS; i++) {
        port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
        assert_int_equal(map(&partition, (2 * (MSHV_MAX_REGIONS - i)) * PAGE, PAGE, NULL), 0);
    }
    assert_int_equal(map(&partition, 0x1000 * PAGE, PAGE, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "there are 64 regions"));
    port_script_end(script);
}

static void only_whole_regions_are_unmapped(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    map(&partition, 0x10 * PAGE, 4 * PAGE, NULL);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(0x11 * PAGE), &err), -ENOENT);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(0x0f * PAGE), &err), -ENOENT);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(0x14 * PAGE), &err), -ENOENT);
    assert_non_null(strstr(err.text, "no region begins at 0x14000"));
    port_script_end(script);
}

static void region_stays_if_the_driver_refuses_to_unmap(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, -EIO);
    map(&partition, 0x10 * PAGE, PAGE, NULL);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(0x10 * PAGE), &err), -EIO);
    assert_non_null(strstr(err.text, "unmap guest memory of 4096 bytes at 0x10000"));
    assert_int_equal(partition.region_count, 1);
    port_script_end(script);
}

static void unmapping_in_the_middle_keeps_the_others(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    for (uint64_t i = 0; i < 3; i++) {
        port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
        map(&partition, i * 4 * PAGE, PAGE, NULL);
    }
    port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(mshv_partition_unmap(&partition, gpa_make(4 * PAGE), NULL), 0);
    assert_int_equal(partition.region_count, 2);
    assert_int_equal(partition.regions[0].gpa.value, 0);
    assert_int_equal(partition.regions[1].gpa.value, 8 * PAGE);
    port_script_end(script);
}

/* ---- Accessed pages ---------------------------------------------------------------------------------------------- */

static struct mshv_gpap_access_bitmap bitmap_argument(const struct port_step *step)
{
    struct mshv_gpap_access_bitmap args;
    memcpy(&args, step->argument, sizeof args);
    return args;
}

static void record_is_switched_by_a_property(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *on = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    struct port_step *off = port_expect_hvcall(script, PT, HVCALL_SET_PARTITION_PROPERTY, NULL, 0);
    assert_int_equal(mshv_partition_track_access(&partition, true, NULL), 0);
    assert_int_equal(mshv_partition_track_access(&partition, false, NULL), 0);
    assert_memory_equal(on->input + 8, "\x05\0\x05\0\0\0\0\0\x01", 9);
    assert_memory_equal(off->input + 8, "\x05\0\x05\0\0\0\0\0\0", 9);
    port_script_end(script);
}

static void long_records_are_read_in_batches(void **state)
{
    (void)state;
    uint8_t bitmap[0x10000 / 8 + 1];
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    struct port_step *first = port_expect_ioctl(script, PT, MSHV_GET_GPAP_ACCESS_BITMAP, 0);
    struct port_step *second = port_expect_ioctl(script, PT, MSHV_GET_GPAP_ACCESS_BITMAP, 0);
    assert_int_equal(mshv_partition_access_bitmap(&partition, gpa_make(0x100 * PAGE), 0x10003,
                                                  MSHV_GPAP_ACCESS_TYPE_DIRTY, MSHV_GPAP_ACCESS_OP_CLEAR, bitmap, NULL),
                     0);
    assert_int_equal(bitmap_argument(first).access_type, 1);
    assert_int_equal(bitmap_argument(first).access_op, 1);
    assert_int_equal(bitmap_argument(first).page_count, 0x10000);
    assert_int_equal(bitmap_argument(first).gpap_base, 0x100);
    assert_true(bitmap_argument(first).bitmap_ptr == (uintptr_t)bitmap);
    assert_int_equal(bitmap_argument(second).page_count, 3);
    assert_int_equal(bitmap_argument(second).gpap_base, 0x10100);
    assert_true(bitmap_argument(second).bitmap_ptr == (uintptr_t)(bitmap + 0x2000));
    port_script_end(script);
}

static void unknown_questions_about_pages_are_not_asked(void **state)
{
    (void)state;
    static const struct {
        uint64_t gpa, pages;
        uint8_t type, op;
    } cases[] = {{0, 0, 0, 1},
                 {0, 1, 2, 1},
                 {0, 1, 0, 0},
                 {0, 1, 0, 3},
                 {0x10, 1, 0, 1},
                 {0, (UINT64_C(1) << 40) + 1, 0, 1},
                 {PAGE, UINT64_C(1) << 40, 0, 1}};
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bitmap[1];
        assert_int_equal(mshv_partition_access_bitmap(&partition, gpa_make(cases[i].gpa), cases[i].pages, cases[i].type,
                                                      cases[i].op, bitmap, NULL),
                         -EINVAL);
    }
    port_script_end(script);
}

static void failing_batch_ends_the_reading(void **state)
{
    (void)state;
    uint8_t bitmap[0x20000 / 8];
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_GET_GPAP_ACCESS_BITMAP, -EBADFD);
    assert_int_equal(mshv_partition_access_bitmap(&partition, gpa_make(0), 0x20000, 0, 2, bitmap, &err), -EBADFD);
    assert_non_null(strstr(err.text, "accessed pages"));
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region_is_mapped_and_unmapped_as_it_was),
        cmocka_unit_test(read_only_region_is_mapped_without_the_flag),
        cmocka_unit_test(what_no_driver_takes_is_refused_here),
        cmocka_unit_test(last_pages_of_the_address_space_can_be_mapped),
        cmocka_unit_test(any_overlap_is_refused_and_neighbours_are_not),
        cmocka_unit_test(refusal_by_the_driver_leaves_the_regions),
        cmocka_unit_test(table_of_regions_is_bounded),
        cmocka_unit_test(only_whole_regions_are_unmapped),
        cmocka_unit_test(region_stays_if_the_driver_refuses_to_unmap),
        cmocka_unit_test(unmapping_in_the_middle_keeps_the_others),
        cmocka_unit_test(record_is_switched_by_a_property),
        cmocka_unit_test(long_records_are_read_in_batches),
        cmocka_unit_test(unknown_questions_about_pages_are_not_asked),
        cmocka_unit_test(failing_batch_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
