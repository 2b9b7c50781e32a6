/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/pod/log_file.h"

struct place {
    char path[64];
    int folder;
    struct pod_log_file log;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)strcpy(p->path, "/tmp/caisson-log-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->folder = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    p->log.fd = -1;
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    pod_log_file_close(&p->log);
    (void)unlinkat(p->folder, "log", 0);
    (void)unlinkat(p->folder, "log.1", 0);
    (void)unlinkat(p->folder, "other", 0);
    close(p->folder);
    assert_int_equal(rmdir(p->path), 0);
    free(p);
    return 0;
}

static void holds(const struct place *p, const char *name, const char *content)
{
    char have[256] = "";
    int fd = openat(p->folder, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, have, sizeof(have) - 1);
    close(fd);
    assert_true(n >= 0);
    assert_string_equal(have, content);
}

static void begin(struct place *p, uint64_t max)
{
    assert_int_equal(pod_log_file_open(&p->log, p->folder, "log", max, NULL), 0);
}

static bool add(struct place *p, const char *text)
{
    return pod_log_file_append(&p->log, text, strlen(text));
}

static void lines_follow_one_another(void **state)
{
    struct place *p = *state;
    struct stat st;
    begin(p, 100);
    add(p, "one\n");
    add(p, "two\n");
    holds(p, "log", "one\ntwo\n");
    assert_int_equal(fstatat(p->folder, "log", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(pod_log_file_lost(&p->log), 0);
}

static void what_was_there_before_is_gone(void **state)
{
    struct place *p = *state;
    begin(p, 100);
    add(p, "old\n");
    pod_log_file_close(&p->log);
    begin(p, 100);
    holds(p, "log", "");
}

static void beyond_the_limit_it_turns_over(void **state)
{
    struct place *p = *state;
    begin(p, 8);
    int fd = p->log.fd;
    assert_false(add(p, "1234567\n"));
    pod_log_file_trim(&p->log);
    holds(p, "log.1", "");
    assert_true(add(p, "abc\n"));
    holds(p, "log.1", "");
    holds(p, "log", "1234567\nabc\n");
    pod_log_file_trim(&p->log);
    holds(p, "log.1", "1234567\nabc\n");
    holds(p, "log", "");
    assert_false(add(p, "defgh\n"));
    assert_true(add(p, "ijkl\n"));
    pod_log_file_trim(&p->log);
    holds(p, "log.1", "defgh\nijkl\n");
    holds(p, "log", "");
    assert_int_equal(p->log.fd, fd);
    assert_int_equal(pod_log_file_lost(&p->log), 0);
}

static void at_twice_the_limit_it_takes_no_more_until_it_is_trimmed(void **state)
{
    struct place *p = *state;
    begin(p, 4);
    assert_true(add(p, "123456\n"));
    assert_true(add(p, "abc"));
    assert_true(add(p, "def"));
    holds(p, "log", "123456\nc");
    assert_int_equal(pod_log_file_lost(&p->log), 5);
    pod_log_file_trim(&p->log);
    assert_false(add(p, "ghi\n"));
    holds(p, "log.1", "123456\nc");
    holds(p, "log", "ghi\n");
    assert_int_equal(pod_log_file_lost(&p->log), 5);
}

static void a_piece_that_is_too_long_is_cut_to_its_end(void **state)
{
    struct place *p = *state;
    begin(p, 4);
    add(p, "0123456789ab");
    holds(p, "log", "456789ab");
    assert_int_equal(pod_log_file_lost(&p->log), 4);
}

static void what_others_append_is_turned_over_as_well(void **state)
{
    struct place *p = *state;
    begin(p, 8);
    assert_int_equal(write(p->log.fd, "0123456789", 10), 10);
    pod_log_file_trim(&p->log);
    holds(p, "log.1", "0123456789");
    holds(p, "log", "");
    assert_int_equal(write(p->log.fd, "x", 1), 1);
    pod_log_file_trim(&p->log);
    holds(p, "log", "x");
}

static void links_are_not_followed(void **state)
{
    struct place *p = *state;
    struct err err;
    int fd = openat(p->folder, "other", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(symlinkat("other", p->folder, "log"), 0);
    assert_int_equal(pod_log_file_open(&p->log, p->folder, "log", 8, &err), -ELOOP);
    assert_non_null(strstr(err.text, "log"));
    assert_int_equal(unlinkat(p->folder, "log", 0), 0);
    assert_int_equal(symlinkat("other", p->folder, "log.1"), 0);
    begin(p, 8);
    add(p, "1234567\n");
    add(p, "old\n");
    pod_log_file_trim(&p->log);
    add(p, "next\n");
    holds(p, "other", "precious");
    holds(p, "log", "next\n"); /* the limit counts for more than the old lines */
}

static void a_full_disk_costs_lines_and_nothing_else(void **state)
{
    struct place *p = *state;
    begin(p, 100);
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    if (full < 0)
        skip();
    int before = p->log.fd;
    p->log.fd = full;
    add(p, "lost\n");
    assert_int_equal(pod_log_file_lost(&p->log), 5);
    p->log.fd = before;
    close(full);
    add(p, "kept\n");
    holds(p, "log", "kept\n");
}

static void a_log_that_is_closed_takes_nothing(void **state)
{
    struct place *p = *state;
    add(p, "x");
    pod_log_file_trim(&p->log);
    assert_int_equal(pod_log_file_lost(&p->log), 0);
    begin(p, 8);
    pod_log_file_close(&p->log);
    add(p, "x");
    holds(p, "log", "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lines_follow_one_another),
        CASE(what_was_there_before_is_gone),
        CASE(beyond_the_limit_it_turns_over),
        CASE(at_twice_the_limit_it_takes_no_more_until_it_is_trimmed),
        CASE(a_piece_that_is_too_long_is_cut_to_its_end),
        CASE(what_others_append_is_turned_over_as_well),
        CASE(links_are_not_followed),
        CASE(a_full_disk_costs_lines_and_nothing_else),
        CASE(a_log_that_is_closed_takes_nothing),
    };
    return cmocka_run_group_tests_name("pod/log_file", tests, NULL, NULL);
}
