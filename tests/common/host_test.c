/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/host.h"

/* The state of all cases: the path of a file with the six bytes "hello\n". */
static int make_file(void **state)
{
    char *path = strdup("/tmp/caisson-host-test-XXXXXX");
    int fd = path != NULL ? mkstemp(path) : -1;
    if (fd < 0) {
        free(path);
        return -1;
    }
    ssize_t written = write(fd, "hello\n", 6);
    close(fd);
    *state = path;
    return written == 6 ? 0 : -1;
}

static int remove_file(void **state)
{
    int result = unlink(*state);
    free(*state);
    return result;
}

static void read_file_gives_its_bytes_as_a_string(void **state)
{
    char buffer[16];
    assert_int_equal(host_read_file(*state, buffer, sizeof buffer), 6);
    assert_string_equal(buffer, "hello\n");
}

static void read_file_that_just_fits_is_whole(void **state)
{
    char buffer[7];
    assert_int_equal(host_read_file(*state, buffer, sizeof buffer), 6);
    assert_string_equal(buffer, "hello\n");
}

static void read_file_one_byte_too_big_is_reported_with_its_start(void **state)
{
    char buffer[6];
    assert_int_equal(host_read_file(*state, buffer, sizeof buffer), -EFBIG);
    assert_string_equal(buffer, "hello");
}

static void read_file_that_is_absent_gives_errno_and_an_empty_string(void **state)
{
    char buffer[8] = "garbage";
    (void)state;
    assert_int_equal(host_read_file("/nonexistent/file", buffer, sizeof buffer), -ENOENT);
    assert_string_equal(buffer, "");
}

static void read_file_of_a_folder_gives_errno_and_an_empty_string(void **state)
{
    char buffer[8] = "garbage";
    (void)state;
    assert_int_equal(host_read_file("/", buffer, sizeof buffer), -EISDIR);
    assert_string_equal(buffer, "");
}

static void try_open_tells_success_from_absence(void **state)
{
    assert_int_equal(host_try_open(*state, O_RDWR), 0);
    assert_int_equal(host_try_open("/nonexistent/file", O_RDWR), -ENOENT);
}

static void try_open_leaves_no_descriptor_open(void **state)
{
    int before = dup(0);
    assert_true(before >= 0);
    close(before);
    assert_int_equal(host_try_open(*state, O_RDONLY), 0);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_file_gives_its_bytes_as_a_string),
        cmocka_unit_test(read_file_that_just_fits_is_whole),
        cmocka_unit_test(read_file_one_byte_too_big_is_reported_with_its_start),
        cmocka_unit_test(read_file_that_is_absent_gives_errno_and_an_empty_string),
        cmocka_unit_test(read_file_of_a_folder_gives_errno_and_an_empty_string),
        cmocka_unit_test(try_open_tells_success_from_absence),
        cmocka_unit_test(try_open_leaves_no_descriptor_open),
    };
    return cmocka_run_group_tests_name("common/host", tests, make_file, remove_file);
}
