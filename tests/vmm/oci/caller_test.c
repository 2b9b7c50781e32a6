/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/oci/caller.h"

struct fixture {
    char folder[64];
    char path[512];
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    strcpy(f->folder, "/tmp/caisson-caller-XXXXXX");
    *state = f;
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/x", f->folder);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    int code = system(command);
    free(f);
    return code;
}

static unsigned count_files(const struct fixture *f)
{
    unsigned n = 0;
    DIR *dir = opendir(f->folder);
    assert_non_null(dir);
    for (const struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        n += d->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_pid_file_holds_the_number_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    char text[32] = {0};
    assert_int_equal(oci_pid_file_write(f->path, 1234, &f->err), 0);
    int fd = open(f->path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    close(fd);
    assert_string_equal(text, "1234");
    assert_int_equal(count_files(f), 1);
}

static void a_pid_file_takes_the_place_of_an_old_one(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(oci_pid_file_write(f->path, 1234567, &f->err), 0);
    assert_int_equal(oci_pid_file_write(f->path, 1, &f->err), 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, 1);
}

static void a_pid_file_is_not_written_through_a_link(void **state)
{
    struct fixture *f = *state;
    char target[128];
    snprintf(target, sizeof(target), "%s/target", f->folder);
    close(open(target, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlink(target, f->path), 0);
    assert_int_equal(oci_pid_file_write(f->path, 1234, &f->err), 0);
    struct stat st;
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void a_pid_file_in_a_folder_that_is_missing_is_named(void **state)
{
    struct fixture *f = *state;
    snprintf(f->path, sizeof(f->path), "%s/none/x", f->folder);
    assert_int_equal(oci_pid_file_write(f->path, 1, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, f->path));
}

static void a_pid_file_that_cannot_be_put_in_place_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_not_equal(oci_pid_file_write(f->path, 1, &f->err), 0);
    assert_int_equal(count_files(f), 1);
}

/* A socket whose path is longer than an address can hold: made under a short name, then moved. */
static void a_console_socket_may_have_a_path_of_any_length(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, listener = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", f->folder);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    snprintf(f->path, sizeof(f->path), "%s/%0200d", f->folder, 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    strcat(f->path, "/s");
    assert_int_equal(rename(address.sun_path, f->path), 0);
    assert_int_equal(oci_console_connect(f->path, &fd, &f->err), 0);
    close(fd);
    close(listener);
}

static void a_console_socket_that_nobody_listens_on_is_named(void **state)
{
    struct fixture *f = *state;
    int fd;
    assert_int_equal(oci_console_connect(f->path, &fd, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, f->path));
    close(open(f->path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(oci_console_connect(f->path, &fd, &f->err), -ECONNREFUSED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_pid_file_holds_the_number_and_nothing_else),
        CASE(a_pid_file_takes_the_place_of_an_old_one),
        CASE(a_pid_file_is_not_written_through_a_link),
        CASE(a_pid_file_in_a_folder_that_is_missing_is_named),
        CASE(a_pid_file_that_cannot_be_put_in_place_leaves_nothing),
        CASE(a_console_socket_may_have_a_path_of_any_length),
        CASE(a_console_socket_that_nobody_listens_on_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
