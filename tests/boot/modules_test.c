/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot/modules.h"

/* A folder in memory. */
struct file {
    const char *path, *text;
    int error;    /* what reading it gives */
    size_t bytes; /* 0: the length of the text; else so many zeros */
};

struct rig {
    const struct file *files;
    struct boot_modules got;
    struct err err;
};

static int read_fake(void *context, const char *path, size_t max, uint8_t **bytes, size_t *length)
{
    const struct rig *r = context;
    for (const struct file *f = r->files; f->path != NULL; f++) {
        size_t size = f->bytes != 0 ? f->bytes : strlen(f->text);
        if (strcmp(f->path, path) != 0) {
            continue;
        }
        if (f->error != 0 || size > max) {
            return f->error != 0 ? f->error : -EFBIG;
        }
        *bytes = calloc(1, size + 1);
        assert_non_null(*bytes);
        memcpy(*bytes, f->text, f->bytes != 0 ? 0 : size);
        *length = size;
        return 0;
    }
    return -ENOENT;
}

#define FOLDER(...)                                                                                                    \
    (const struct file[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            NULL, NULL, 0, 0                                                                                           \
        }                                                                                                              \
    }

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    boot_modules_fini(&r->got);
    free(r);
    return 0;
}

static int collect(struct rig *r, const struct file *files, const char *name, bool optional, unsigned packings)
{
    const struct boot_module_wish wish = {.name = name, .optional = optional};
    r->files = files;
    return boot_modules_collect(read_fake, r, &wish, 1, packings, &r->got, &r->err);
}

static void lists(void **state, const struct file *files, const char *wanted, const char *expected)
{
    struct rig *r = *state;
    assert_int_equal(collect(r, files, wanted, false, 0), 0);
    assert_string_equal(r->got.list, expected);
    assert_int_equal(r->got.list_bytes, strlen(expected));
}

/* The failure leaves nothing behind and names the culprit. */
static void refuses(void **state, const struct file *files, const char *wanted, int code, const char *culprit)
{
    struct rig *r = *state;
    assert_int_equal(collect(r, files, wanted, false, 0), code);
    assert_int_equal(r->got.count, 0);
    assert_null(r->got.list);
    assert_int_equal(r->err.code, code);
    assert_non_null(strstr(r->err.text, culprit));
}

static void dependencies_come_before_the_module(void **state)
{
    lists(state,
          FOLDER({"modules.dep", "k/c.ko: k/b.ko k/a.ko\nk/b.ko: k/a.ko\nk/a.ko:\nk/z.ko:\n", 0, 0},
                 {"k/a.ko", "A", 0, 0}, {"k/b.ko", "B", 0, 0}, {"k/c.ko", "C", 0, 0}),
          "c", "a.ko\nb.ko\nc.ko\n");
    struct rig *r = *state;
    assert_int_equal(r->got.count, 3);
    assert_string_equal(r->got.files[2].path, "k/c.ko");
    assert_string_equal(r->got.files[2].name, "c.ko");
    assert_int_equal(r->got.files[2].length, 1);
    assert_memory_equal(r->got.files[2].bytes, "C", 1);
}

static void a_module_needed_twice_is_taken_once(void **state)
{
    struct rig *r = *state;
    const struct boot_module_wish wishes[] = {{"b", false}, {"c", false}, {"a", false}};
    r->files = FOLDER({"modules.dep", "a.ko:\nb.ko: a.ko\nc.ko: a.ko\n", 0, 0}, {"a.ko", "", 0, 0}, {"b.ko", "", 0, 0},
                      {"c.ko", "", 0, 0});
    assert_int_equal(boot_modules_collect(read_fake, r, wishes, 3, 0, &r->got, &r->err), 0);
    assert_string_equal(r->got.list, "a.ko\nb.ko\nc.ko\n");
}

static void dashes_and_underscores_are_the_same(void **state)
{
    lists(state, FOLDER({"modules.dep", "crc32c-intel.ko:\n", 0, 0}, {"crc32c-intel.ko", "", 0, 0}), "crc32c_intel",
          "crc32c-intel.ko\n");
}

static void a_last_line_without_an_end_counts(void **state)
{
    lists(state, FOLDER({"modules.dep", "a.ko:", 0, 0}, {"a.ko", "", 0, 0}), "a", "a.ko\n");
}

static void a_name_must_match_whole(void **state)
{
    refuses(state, FOLDER({"modules.dep", "ab.ko:\n", 0, 0}, {"ab.ko", "", 0, 0}), "a", -ENOENT, "a");
}

static void built_in_modules_need_no_file(void **state)
{
    struct rig *r = *state;
    const struct file *files =
        FOLDER({"modules.dep", "", 0, 0}, {"modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/virtio-x.ko\n", 0, 0});
    assert_int_equal(collect(r, files, "virtio_x", false, 0), 0);
    assert_int_equal(r->got.count, 0);
    assert_int_equal(r->got.built_in, 1);
    assert_string_equal(r->got.list, "");
}

static void an_optional_module_that_is_nowhere_is_counted(void **state)
{
    struct rig *r = *state;
    assert_int_equal(collect(r, FOLDER({"modules.dep", "", 0, 0}), "erofs", true, 0), 0);
    assert_int_equal(r->got.absent, 1);
}

static void a_required_module_that_is_nowhere_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "", 0, 0}), "erofs", -ENOENT, "erofs");
}

/* ---- soft dependencies ---- */

static void soft_dependencies_that_are_there_come_first(void **state)
{
    lists(state,
          FOLDER({"modules.dep", "erofs.ko:\ncrc.ko: base.ko\nbase.ko:\nlate.ko:\n", 0, 0},
                 {"modules.softdep", "# comment\nsoftdep other pre: late\nsoftdep erofs pre: crc nowhere post: late\n",
                  0, 0},
                 {"erofs.ko", "", 0, 0}, {"crc.ko", "", 0, 0}, {"base.ko", "", 0, 0}, {"late.ko", "", 0, 0}),
          "erofs", "base.ko\ncrc.ko\nerofs.ko\n");
}

static void a_soft_dependency_may_be_an_alias_of_several(void **state)
{
    lists(state,
          FOLDER({"modules.dep", "lib.ko:\ncrc32c-intel.ko:\ncrc32c_generic.ko:\n", 0, 0},
                 {"modules.softdep", "softdep lib pre: crc32c\n", 0, 0},
                 {"modules.alias",
                  "alias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias crc32c gone\nalias x\n", 0, 0},
                 {"lib.ko", "", 0, 0}, {"crc32c-intel.ko", "", 0, 0}, {"crc32c_generic.ko", "", 0, 0}),
          "lib", "crc32c_generic.ko\ncrc32c-intel.ko\nlib.ko\n");
}

static void soft_dependencies_may_go_in_circles(void **state)
{
    lists(state,
          FOLDER({"modules.dep", "a.ko:\nb.ko:\n", 0, 0},
                 {"modules.softdep", "softdep a pre: b\nsoftdep b pre: a\n", 0, 0}, {"a.ko", "", 0, 0},
                 {"b.ko", "", 0, 0}),
          "a", "b.ko\na.ko\n");
}

/* ---- hostile folders ---- */

static void a_missing_modules_dep_is_said(void **state)
{
    refuses(state, FOLDER({"x", "", 0, 0}), "a", -ENOENT, "modules.dep");
}

static void an_unreadable_table_is_said(void **state)
{
    refuses(state, FOLDER({"modules.dep", "a.ko:\n", 0, 0}, {"modules.softdep", "", -EIO, 0}), "a", -EIO,
            "modules.softdep");
}

static void a_table_that_is_too_large_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "", 0, BOOT_MODULES_TABLE_MAX + 1}), "a", -EFBIG, "modules.dep");
}

static void a_line_without_a_colon_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "a.ko\n", 0, 0}, {"a.ko", "", 0, 0}), "a", -EINVAL, "a.ko");
}

static void circular_dependencies_are_refused(void **state)
{
    refuses(state,
            FOLDER({"modules.dep", "a.ko: b.ko\nb.ko: c.ko\nc.ko: a.ko\n", 0, 0}, {"a.ko", "", 0, 0},
                   {"b.ko", "", 0, 0}, {"c.ko", "", 0, 0}),
            "a", -ELOOP, "a.ko");
}

static void a_module_that_needs_itself_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "a.ko: a.ko\n", 0, 0}, {"a.ko", "", 0, 0}), "a", -ELOOP, "a.ko");
}

/* m0 needs m1, m1 needs m2 and so on. */
static char *chain(unsigned length)
{
    char *text = calloc(length + 1, 32);
    size_t at = 0;
    assert_non_null(text);
    for (unsigned i = 0; i < length; i++) {
        at += (size_t)sprintf(text + at, "m%u.ko: m%u.ko\n", i, i + 1);
    }
    (void)sprintf(text + at, "m%u.ko:\n", length);
    return text;
}

static void a_chain_that_is_too_long_is_refused(void **state)
{
    char *text = chain(1000);
    refuses(state, FOLDER({"modules.dep", text, 0, 0}), "m0", -ELOOP, "chain");
    free(text);
}

static void a_dependency_without_a_line_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "a.ko: b.ko\n", 0, 0}, {"a.ko", "", 0, 0}), "a", -EINVAL, "b.ko");
}

static void paths_that_lead_out_are_refused(void **state)
{
    static const char *const tables[] = {
        "/etc/a.ko:\n", "../a.ko:\n", "k/../../a.ko:\n", "k//a.ko:\n", "./a.ko:\n", "k\x01/a.ko:\n",
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        refuses(state, FOLDER({"modules.dep", tables[i], 0, 0}), "a", -EINVAL, "leads out");
    }
}

static void a_file_that_is_no_module_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "shadow:\n", 0, 0}, {"shadow", "", 0, 0}), "shadow", -EINVAL, "no .ko");
}

static void a_missing_file_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "k/a.ko:\n", 0, 0}), "a", -ENOENT, "k/a.ko");
}

static void a_huge_file_is_refused(void **state)
{
    refuses(state, FOLDER({"modules.dep", "a.ko:\n", 0, 0}, {"a.ko", "", 0, BOOT_MODULES_FILE_MAX + 1}), "a", -EFBIG,
            "a.ko");
}

static void files_that_are_huge_together_are_refused(void **state)
{
    refuses(state,
            FOLDER({"modules.dep", "a.ko: b.ko c.ko d.ko e.ko\nb.ko:\nc.ko:\nd.ko:\ne.ko:\n", 0, 0},
                   {"a.ko", "", 0, BOOT_MODULES_FILE_MAX}, {"b.ko", "", 0, BOOT_MODULES_FILE_MAX},
                   {"c.ko", "", 0, BOOT_MODULES_FILE_MAX}, {"d.ko", "", 0, BOOT_MODULES_FILE_MAX},
                   {"e.ko", "", 0, BOOT_MODULES_FILE_MAX}),
            "a", -E2BIG, "a.ko");
}

static void two_files_of_one_name_are_refused(void **state)
{
    refuses(state,
            FOLDER({"modules.dep", "k/a.ko: x/a.ko\nx/a.ko:\n", 0, 0}, {"k/a.ko", "", 0, 0}, {"x/a.ko", "", 0, 0}), "a",
            -EEXIST, "a.ko");
}

static void too_many_modules_are_refused(void **state)
{
    char text[8192] = "top.ko:", one[32];
    struct file files[BOOT_MODULES_MAX + 3] = {{"modules.dep", text, 0, 0}, {"top.ko", "", 0, 0}};
    char names[BOOT_MODULES_MAX][12];
    for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%u.ko", i);
        (void)snprintf(one, sizeof one, " %s", names[i]);
        strcat(text, one);
        files[i + 2] = (struct file){names[i], "", 0, 0};
    }
    for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
        (void)snprintf(one, sizeof one, "\nm%u.ko:", i);
        strcat(text, one);
    }
    refuses(state, files, "top", -E2BIG, "top.ko");
}

static void tables_that_make_us_search_for_ever_are_refused(void **state)
{
    const unsigned words = 10000;
    char *text = calloc(words + 4, 8), *at = text;
    assert_non_null(text);
    at = stpcpy(at, "b.ko:\na.ko:");
    for (unsigned i = 0; i < words; i++) {
        at = stpcpy(at, " b.ko");
    }
    refuses(state, FOLDER({"modules.dep", text, 0, 0}, {"a.ko", "", 0, 0}, {"b.ko", "", 0, 0}), "a", -E2BIG, "b.ko");
    free(text);
}

/* ---- compression ---- */

static void a_compressed_module_is_refused_if_the_kernel_cannot_unpack_it(void **state)
{
    refuses(state, FOLDER({"modules.dep", "k/a.ko.xz:\n", 0, 0}, {"k/a.ko.xz", "", 0, 0}), "a", -ENOTSUP, "k/a.ko.xz");
}

static void a_compressed_module_is_handed_on_if_the_kernel_can(void **state)
{
    struct rig *r = *state;
    const struct file *files = FOLDER({"modules.dep", "k/a.ko.xz:\n", 0, 0}, {"k/a.ko.xz", "packed", 0, 0});
    assert_int_equal(collect(r, files, "a", false, BOOT_MODULE_XZ), 0);
    assert_string_equal(r->got.list, "a.ko.xz\n");
    assert_memory_equal(r->got.files[0].bytes, "packed", 6);
}

static void another_compression_does_not_do(void **state)
{
    struct rig *r = *state;
    const struct file *files = FOLDER({"modules.dep", "a.ko.zst:\n", 0, 0}, {"a.ko.zst", "", 0, 0});
    assert_int_equal(collect(r, files, "a", false, BOOT_MODULE_XZ | BOOT_MODULE_GZIP), -ENOTSUP);
}

/* ---- folders on disk ---- */

static void write_file(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int read_disk(int folder, const char *name, size_t max)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int result = boot_modules_read_folder(&folder, name, max, &bytes, &length);
    assert_int_equal(result == 0, bytes != NULL);
    assert_int_equal(length, result == 0 ? 4 : 0);
    free(bytes);
    return result;
}

static void a_folder_gives_only_regular_files_inside_it(void **state)
{
    char path[] = "/tmp/modules_test.XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(path));
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_file(folder, "a.ko", "1234");
    assert_int_equal(mkdirat(folder, "k", 0700), 0);
    assert_int_equal(mkfifoat(folder, "pipe.ko", 0600), 0);
    assert_int_equal(symlinkat("a.ko", folder, "inside.ko"), 0);
    assert_int_equal(symlinkat("/etc/passwd", folder, "outside.ko"), 0);
    assert_int_equal(read_disk(folder, "a.ko", 4), 0);
    assert_int_equal(read_disk(folder, "inside.ko", 4), 0);
    assert_int_equal(read_disk(folder, "a.ko", 3), -EFBIG);
    assert_int_equal(read_disk(folder, "k", 4096), -EINVAL);
    assert_int_equal(read_disk(folder, "pipe.ko", 4096), -EINVAL);
    assert_int_equal(read_disk(folder, "outside.ko", 1 << 20), -EXDEV);
    assert_int_equal(read_disk(folder, "../etc/passwd", 1 << 20), -EXDEV);
    assert_int_equal(read_disk(folder, "none.ko", 4), -ENOENT);
    static const char *const names[] = {"a.ko", "pipe.ko", "inside.ko", "outside.ko"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(unlinkat(folder, names[i], 0), 0);
    }
    assert_int_equal(unlinkat(folder, "k", AT_REMOVEDIR), 0);
    close(folder);
    assert_int_equal(rmdir(path), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(dependencies_come_before_the_module),
        CASE(a_module_needed_twice_is_taken_once),
        CASE(dashes_and_underscores_are_the_same),
        CASE(a_last_line_without_an_end_counts),
        CASE(a_name_must_match_whole),
        CASE(built_in_modules_need_no_file),
        CASE(an_optional_module_that_is_nowhere_is_counted),
        CASE(a_required_module_that_is_nowhere_is_refused),
        CASE(soft_dependencies_that_are_there_come_first),
        CASE(a_soft_dependency_may_be_an_alias_of_several),
        CASE(soft_dependencies_may_go_in_circles),
        CASE(a_missing_modules_dep_is_said),
        CASE(an_unreadable_table_is_said),
        CASE(a_table_that_is_too_large_is_refused),
        CASE(a_line_without_a_colon_is_refused),
        CASE(circular_dependencies_are_refused),
        CASE(a_module_that_needs_itself_is_refused),
        CASE(a_chain_that_is_too_long_is_refused),
        CASE(a_dependency_without_a_line_is_refused),
        CASE(paths_that_lead_out_are_refused),
        CASE(a_file_that_is_no_module_is_refused),
        CASE(a_missing_file_is_refused),
        CASE(a_huge_file_is_refused),
        CASE(files_that_are_huge_together_are_refused),
        CASE(two_files_of_one_name_are_refused),
        CASE(too_many_modules_are_refused),
        CASE(tables_that_make_us_search_for_ever_are_refused),
        CASE(a_compressed_module_is_refused_if_the_kernel_cannot_unpack_it),
        CASE(a_compressed_module_is_handed_on_if_the_kernel_can),
        CASE(another_compression_does_not_do),
        CASE(a_folder_gives_only_regular_files_inside_it),
    };
    return cmocka_run_group_tests_name("boot/modules", tests, NULL, NULL);
}
