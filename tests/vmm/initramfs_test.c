/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/initramfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "boot/builtin.h"

static const struct initramfs_content nothing = {.modules = NULL};

/* What is looked at of an entry's header: "newc" has eight hexadecimal digits for each number. */
struct entry {
    char name[64];
    uint32_t mode, uid, major, minor, size;
    const uint8_t *data;
};

static uint32_t hex(const uint8_t *at)
{
    char digits[9] = {0};
    memcpy(digits, at, 8);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* The entry at *offset, which moves behind it. */
static struct entry next(const struct boot_file *f, size_t *offset)
{
    const uint8_t *h = f->bytes + *offset;
    struct entry e = {.mode = hex(h + 14), .uid = hex(h + 22), .size = hex(h + 54), .major = hex(h + 78)};
    assert_true(f->length - *offset >= 110);
    assert_memory_equal(h, "070701", 6);
    e.minor = hex(h + 86);
    uint32_t name_bytes = hex(h + 94);
    assert_in_range(name_bytes, 1, sizeof(e.name));
    memcpy(e.name, h + 110, name_bytes);
    size_t data = (*offset + 110 + name_bytes + 3) & ~(size_t)3;
    assert_true(data + e.size <= f->length);
    e.data = f->bytes + data;
    *offset = (data + e.size + 3) & ~(size_t)3;
    return e;
}

static void it_holds_a_console_and_the_first_process(void **state)
{
    struct initramfs r = {.archive = {.bytes = NULL}};
    struct err err;
    size_t at = 0;
    (void)state;
    assert_int_equal(initramfs_build(&r, &nothing, &err), 0);
    const struct boot_file f = initramfs_file(&r);
    struct entry e = next(&f, &at);
    assert_string_equal(e.name, "dev");
    assert_int_equal(e.mode, S_IFDIR | 0755);
    e = next(&f, &at);
    assert_string_equal(e.name, "dev/console");
    assert_int_equal(e.mode, S_IFCHR | 0600);
    assert_int_equal(e.major, 5);
    assert_int_equal(e.minor, 1);
    e = next(&f, &at);
    assert_string_equal(e.name, ".caisson");
    assert_int_equal(e.mode, S_IFDIR | 0700);
    e = next(&f, &at);
    assert_string_equal(e.name, &INITRAMFS_INIT[1]);
    assert_int_equal(e.mode, S_IFREG | 0700);
    assert_int_equal(e.uid, 0);
    assert_int_equal(e.size, guest_init_end - guest_init_start);
    assert_memory_equal(e.data, guest_init_start, e.size);
    assert_memory_equal(e.data, "\177ELF", 4);
    e = next(&f, &at);
    assert_string_equal(e.name, "TRAILER!!!");
    initramfs_fini(&r);
}

static void a_policy_stands_in_it_byte_for_byte(void **state)
{
    struct initramfs r = {.archive = {.bytes = NULL}};
    const struct initramfs_content content = {.policy = "{\"a\":1}", .policy_bytes = 7};
    size_t at = 0;
    (void)state;
    assert_int_equal(initramfs_build(&r, &content, NULL), 0);
    const struct boot_file f = initramfs_file(&r);
    for (int i = 0; i < 4; i++)
        (void)next(&f, &at);
    struct entry e = next(&f, &at);
    assert_string_equal(e.name, ".caisson/policy.json");
    assert_int_equal(e.mode, S_IFREG | 0600);
    assert_int_equal(e.size, 7);
    assert_memory_equal(e.data, "{\"a\":1}", 7);
    initramfs_fini(&r);
}

static void it_is_the_same_each_time(void **state)
{
    struct initramfs a = {.archive = {.bytes = NULL}}, b = {.archive = {.bytes = NULL}};
    (void)state;
    assert_int_equal(initramfs_build(&a, &nothing, NULL), 0);
    assert_int_equal(initramfs_build(&b, &nothing, NULL), 0);
    assert_int_equal(a.archive.length, b.archive.length);
    assert_memory_equal(a.archive.bytes, b.archive.bytes, a.archive.length);
    initramfs_fini(&a);
    initramfs_fini(&b);
}

static void ending_twice_is_harmless(void **state)
{
    struct initramfs r = {.archive = {.bytes = NULL}};
    (void)state;
    initramfs_fini(&r);
    assert_int_equal(initramfs_build(&r, &nothing, NULL), 0);
    initramfs_fini(&r);
    initramfs_fini(&r);
    assert_null(initramfs_file(&r).bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_a_console_and_the_first_process),
        cmocka_unit_test(a_policy_stands_in_it_byte_for_byte),
        cmocka_unit_test(it_is_the_same_each_time),
        cmocka_unit_test(ending_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
