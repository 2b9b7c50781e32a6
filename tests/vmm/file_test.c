/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(char path[64], const char *content, size_t n)
{
    (void)snprintf(path, 64, "/tmp/caisson-file-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, n), n);
    close(fd);
}

static void refuse(const char *path, size_t max, int code, const char *word)
{
    struct file f;
    struct err err;
    assert_int_equal(file_load(&f, path, "kernel", max, &err), code);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "kernel"));
    assert_non_null(strstr(err.text, word));
    assert_null(f.bytes);
}

static void a_file_is_read_whole(void **state)
{
    char path[64];
    struct file f;
    struct err err;
    (void)state;
    write_file(path, "hello", 5);
    assert_int_equal(file_load(&f, path, "kernel", 5, &err), 0);
    assert_int_equal(f.length, 5);
    assert_memory_equal(f.bytes, "hello", 5);
    file_fini(&f);
    file_fini(&f);
    unlink(path);
}

static void an_empty_file_has_bytes_to_point_to(void **state)
{
    char path[64];
    struct file f;
    struct err err;
    (void)state;
    write_file(path, "", 0);
    assert_int_equal(file_load(&f, path, "kernel", 0, &err), 0);
    assert_int_equal(f.length, 0);
    assert_non_null(f.bytes);
    file_fini(&f);
    unlink(path);
}

static void what_others_write_later_is_not_seen(void **state)
{
    char path[64];
    struct file f;
    struct err err;
    (void)state;
    write_file(path, "before", 6);
    assert_int_equal(file_load(&f, path, "kernel", 100, &err), 0);
    FILE *other = fopen(path, "r+");
    assert_non_null(other);
    fputs("behind", other);
    fclose(other);
    assert_memory_equal(f.bytes, "before", 6);
    file_fini(&f);
    unlink(path);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    refuse("/nonexistent/kernel", 100, -ENOENT, "No such file");
}

static void a_folder_is_refused(void **state)
{
    (void)state;
    refuse("/tmp", 100, -EISDIR, "directory");
}

static void a_device_is_refused(void **state)
{
    (void)state;
    refuse("/dev/null", 100, -EINVAL, "not a regular file");
}

static void a_larger_file_is_refused(void **state)
{
    char path[64];
    (void)state;
    write_file(path, "hello", 5);
    refuse(path, 4, -EFBIG, "too large");
    unlink(path);
}

/* ---- Mapped files ---- */

#define PAGE 4096u

static void map_pages(struct file *f, char path[64], unsigned pages, size_t head)
{
    struct err err;
    uint8_t *content = malloc(pages * PAGE);
    assert_non_null(content);
    for (size_t i = 0; i < pages * PAGE; i++)
        content[i] = (uint8_t)(i / PAGE + 1);
    write_file(path, (const char *)content, pages * PAGE);
    free(content);
    assert_int_equal(file_map(f, path, "kernel", SIZE_MAX, head, &err), 0);
    assert_int_equal(f->length, pages * PAGE);
}

static void overwrite(const char *path)
{
    FILE *other = fopen(path, "r+");
    assert_non_null(other);
    for (int i = 0; i < 4 * (int)PAGE; i++)
        fputc('X', other);
    fclose(other);
}

static void frozen_bytes_stay_as_they_were(void **state)
{
    char path[64];
    struct file f;
    (void)state;
    map_pages(&f, path, 4, 10);
    assert_true(file_freeze(&f, 2 * PAGE + 1, 1));
    overwrite(path);
    assert_int_equal(f.bytes[0], 1);
    assert_int_equal(f.bytes[PAGE - 1], 1);
    assert_int_equal(f.bytes[2 * PAGE], 3);
    assert_int_equal(f.bytes[PAGE], 'X');
    file_fini(&f);
    unlink(path);
}

static void runs_tell_frozen_bytes_from_others(void **state)
{
    char path[64];
    struct file f;
    bool frozen;
    (void)state;
    map_pages(&f, path, 4, 1);
    assert_true(file_freeze(&f, 2 * PAGE + 5, PAGE));
    assert_int_equal(file_run(&f, 0, &frozen), PAGE);
    assert_true(frozen);
    assert_int_equal(file_run(&f, PAGE + 1, &frozen), PAGE - 1);
    assert_false(frozen);
    assert_int_equal(file_run(&f, 2 * PAGE, &frozen), 2 * PAGE);
    assert_true(frozen);
    file_fini(&f);
    unlink(path);
}

static void freezing_is_limited_to_the_file_and_to_eight_ranges(void **state)
{
    char path[64];
    struct file f;
    (void)state;
    map_pages(&f, path, 1, 1);
    assert_true(file_freeze(&f, PAGE, 1));
    assert_true(file_freeze(&f, SIZE_MAX, SIZE_MAX));
    assert_int_equal(f.frozen_count, 1);
    for (unsigned i = f.frozen_count; i < FILE_FROZEN_MAX; i++)
        assert_true(file_freeze(&f, 0, SIZE_MAX));
    assert_false(file_freeze(&f, 0, 1));
    file_fini(&f);
    unlink(path);
}

static void a_loaded_file_is_one_frozen_run(void **state)
{
    char path[64];
    struct file f;
    struct err err;
    bool frozen;
    (void)state;
    write_file(path, "hello", 5);
    assert_int_equal(file_load(&f, path, "kernel", 5, &err), 0);
    assert_int_equal(file_run(&f, 1, &frozen), 4);
    assert_true(frozen);
    file_fini(&f);
    unlink(path);
}

static void an_empty_file_can_be_mapped(void **state)
{
    char path[64];
    struct file f;
    struct err err;
    (void)state;
    write_file(path, "", 0);
    assert_int_equal(file_map(&f, path, "kernel", 5, 64, &err), 0);
    assert_int_equal(f.length, 0);
    assert_non_null(f.bytes);
    file_fini(&f);
    unlink(path);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(an_empty_file_has_bytes_to_point_to),
        cmocka_unit_test(what_others_write_later_is_not_seen),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_folder_is_refused),
        cmocka_unit_test(a_device_is_refused),
        cmocka_unit_test(a_larger_file_is_refused),
        cmocka_unit_test(frozen_bytes_stay_as_they_were),
        cmocka_unit_test(runs_tell_frozen_bytes_from_others),
        cmocka_unit_test(freezing_is_limited_to_the_file_and_to_eight_ranges),
        cmocka_unit_test(a_loaded_file_is_one_frozen_run),
        cmocka_unit_test(an_empty_file_can_be_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
