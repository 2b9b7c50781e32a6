/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "boot/cpio.h"

static int tear_down(void **state)
{
    cpio_fini(*state);
    test_free(*state);
    return 0;
}

static int set_up(void **state)
{
    *state = test_calloc(1, sizeof(struct cpio));
    return 0;
}

/* A number of a header: 0 inode, 1 mode, 4 links, 5 time, 6 size, 9 and 10 device, 11 length of the name. */
static unsigned long field(const struct cpio *c, size_t entry, unsigned index)
{
    char digits[9] = {0};
    memcpy(digits, c->bytes + entry + 6 + index * 8, 8);
    return strtoul(digits, NULL, 16);
}

static void one_file_has_known_bytes(void **state)
{
    struct cpio *c = *state;
    static const char expected[] = "070701"
                                   "00000001"
                                   "000081a4"
                                   "00000000"
                                   "00000000"
                                   "00000001"
                                   "00000000"
                                   "00000005"
                                   "00000000"
                                   "00000000"
                                   "00000000"
                                   "00000000"
                                   "00000005"
                                   "00000000"
                                   "a/bc\0"
                                   "\0"
                                   "hello\0\0\0";
    assert_int_equal(cpio_add_file(c, "a/bc", 0644, "hello", 5, NULL), 0);
    assert_int_equal(c->length, sizeof(expected) - 1);
    assert_memory_equal(c->bytes, expected, sizeof(expected) - 1);
}

static void the_trailer_ends_the_archive(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_finish(c, NULL), 0);
    assert_int_equal(c->length, 124);
    assert_memory_equal(c->bytes + 110, "TRAILER!!!", 11);
    assert_int_equal(field(c, 0, 0), 0);
    assert_int_equal(field(c, 0, 1), 0);
    assert_int_equal(field(c, 0, 11), 11);
}

static void every_entry_starts_at_a_multiple_of_4(void **state)
{
    struct cpio *c = *state;
    for (size_t i = 0; i < 9; i++) {
        char name[16] = "nnnnnnnnn";
        name[i + 1] = '\0';
        assert_int_equal(c->length % 4, 0);
        assert_int_equal(cpio_add_file(c, name, 0600, "12345678", i, NULL), 0);
    }
}

static void inodes_count_up(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_folder(c, "d", 0755, NULL), 0);
    size_t second = c->length;
    assert_int_equal(cpio_add_file(c, "d/f", 0644, NULL, 0, NULL), 0);
    assert_int_equal(field(c, 0, 0), 1);
    assert_int_equal(field(c, second, 0), 2);
}

static void a_folder_has_its_type_and_two_links(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_folder(c, "d", 01777, NULL), 0);
    assert_int_equal(field(c, 0, 1), S_IFDIR | 01777);
    assert_int_equal(field(c, 0, 4), 2);
}

static void a_symlink_holds_its_target(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_symlink(c, "l", "/bin/sh", NULL), 0);
    assert_int_equal(field(c, 0, 1), S_IFLNK | 0777);
    assert_int_equal(field(c, 0, 6), 7);
    assert_memory_equal(c->bytes + 112, "/bin/sh", 7);
}

static void a_device_has_its_numbers(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_device(c, "dev/console", S_IFCHR | 0600, 5, 1, NULL), 0);
    assert_int_equal(field(c, 0, 1), S_IFCHR | 0600);
    assert_int_equal(field(c, 0, 9), 5);
    assert_int_equal(field(c, 0, 10), 1);
}

static void a_device_is_of_a_device_type(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_device(c, "x", S_IFREG | 0600, 5, 1, NULL), -EINVAL);
    assert_int_equal(cpio_add_device(c, "x", 0600, 5, 1, NULL), -EINVAL);
    assert_int_equal(cpio_add_device(c, "x", S_IFBLK | 0600, 7, 0, NULL), 0);
}

static void modes_are_permissions_only(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_file(c, "x", S_IFDIR | 0644, NULL, 0, NULL), -EINVAL);
    assert_int_equal(cpio_add_file(c, "x", 0x40000000, NULL, 0, NULL), -EINVAL);
    assert_int_equal(cpio_add_folder(c, "x", S_IFREG, NULL), -EINVAL);
    assert_int_equal(c->length, 0);
}

static void hostile_names_are_refused(void **state)
{
    static const char *const wrong[] = {"",     "/",  "/etc", ".",     "..",   "a/..", "../a",       "a/../b",
                                        "a//b", "a/", "./a",  "a/./b", "a\nb", "\x7f", "TRAILER!!!", "a/.."};
    struct cpio *c = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err err;
        assert_int_equal(cpio_add_file(c, wrong[i], 0644, "x", 1, &err), -EINVAL);
        assert_int_equal(err.code, -EINVAL);
        assert_int_equal(cpio_add_folder(c, wrong[i], 0755, NULL), -EINVAL);
        assert_int_equal(cpio_add_symlink(c, wrong[i], "x", NULL), -EINVAL);
        assert_int_equal(cpio_add_device(c, wrong[i], S_IFCHR, 1, 3, NULL), -EINVAL);
    }
    assert_int_equal(c->length, 0);
    assert_int_equal(c->inode, 0);
}

static void names_with_dots_are_names(void **state)
{
    static const char *const fine[] = {"...", ".a", "a..b", "a/...", "TRAILER!!!/a"};
    struct cpio *c = *state;
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_int_equal(cpio_add_file(c, fine[i], 0644, NULL, 0, NULL), 0);
}

static void the_longest_name_fits(void **state)
{
    struct cpio *c = *state;
    char name[CPIO_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[CPIO_NAME_MAX + 1] = '\0';
    assert_int_equal(cpio_add_file(c, name, 0644, NULL, 0, NULL), -EINVAL);
    assert_int_equal(cpio_add_symlink(c, "l", name, NULL), -EINVAL);
    name[CPIO_NAME_MAX] = '\0';
    assert_int_equal(cpio_add_file(c, name, 0644, NULL, 0, NULL), 0);
    assert_int_equal(cpio_add_symlink(c, "l", name, NULL), 0);
}

static void a_link_to_nothing_is_refused(void **state)
{
    assert_int_equal(cpio_add_symlink(*state, "l", "", NULL), -EINVAL);
}

/* The bytes are not read before the size is judged, so they need not be there. */
static void more_than_the_bound_is_refused(void **state)
{
    struct cpio *c = *state;
    assert_int_equal(cpio_add_file(c, "x", 0644, "", CPIO_BYTES_MAX, NULL), -EFBIG);
    assert_int_equal(cpio_add_file(c, "x", 0644, "", SIZE_MAX, NULL), -EFBIG);
    assert_int_equal(c->length, 0);
    assert_int_equal(cpio_add_file(c, "x", 0644, "y", 1, NULL), 0);
}

static void archives_grow_without_losing_anything(void **state)
{
    struct cpio *c = *state;
    uint8_t block[1000];
    memset(block, 0x5a, sizeof(block));
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(cpio_add_file(c, "same", 0644, block, sizeof(block), NULL), 0);
    assert_int_equal(c->length, 100 * 1116);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(field(c, i * 1116, 0), i + 1);
        assert_memory_equal(c->bytes + i * 1116 + 116, block, sizeof(block));
    }
}

static void the_same_calls_give_the_same_bytes(void **state)
{
    struct cpio archives[2] = {{.length = 0}, {.length = 0}};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cpio_add_folder(&archives[i], "d", 0755, NULL), 0);
        assert_int_equal(cpio_add_file(&archives[i], "d/f", 0755, "abc", 3, NULL), 0);
        assert_int_equal(cpio_finish(&archives[i], NULL), 0);
    }
    assert_int_equal(archives[0].length, archives[1].length);
    assert_memory_equal(archives[0].bytes, archives[1].bytes, archives[0].length);
    cpio_fini(&archives[0]);
    cpio_fini(&archives[1]);
    cpio_fini(&archives[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_file_has_known_bytes),
        CASE(the_trailer_ends_the_archive),
        CASE(every_entry_starts_at_a_multiple_of_4),
        CASE(inodes_count_up),
        CASE(a_folder_has_its_type_and_two_links),
        CASE(a_symlink_holds_its_target),
        CASE(a_device_has_its_numbers),
        CASE(a_device_is_of_a_device_type),
        CASE(modes_are_permissions_only),
        CASE(hostile_names_are_refused),
        CASE(names_with_dots_are_names),
        CASE(the_longest_name_fits),
        CASE(a_link_to_nothing_is_refused),
        CASE(more_than_the_bound_is_refused),
        CASE(archives_grow_without_losing_anything),
        cmocka_unit_test(the_same_calls_give_the_same_bytes),
    };
    return cmocka_run_group_tests_name("boot/cpio", tests, NULL, NULL);
}
