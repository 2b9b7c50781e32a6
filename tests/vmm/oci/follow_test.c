/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/oci/follow.h"

struct rig {
    char path[64];
    int folder;
    FILE *out;
    char *text;
    size_t length;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -1;
    *state = r;
    (void)snprintf(r->path, sizeof(r->path), "/tmp/caisson-follow-XXXXXX");
    if (mkdtemp(r->path) == NULL)
        return -1;
    r->folder = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r->out = open_memstream(&r->text, &r->length);
    return r->folder < 0 || r->out == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    (void)unlinkat(r->folder, "log", 0);
    (void)unlinkat(r->folder, "log.1", 0);
    int code = rmdir(r->path);
    close(r->folder);
    fclose(r->out);
    free(r->text);
    free(r);
    return code;
}

static void put(struct rig *r, const char *name, const char *text, int flags)
{
    int fd = openat(r->folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void must_open(struct rig *r, struct follow *f, uint32_t lines)
{
    struct err err;
    if (follow_open(f, r->folder, "log", lines, r->out, &err) < 0)
        fail_msg("%s", err.text);
}

/* What was printed since the last time. */
static void expect(struct rig *r, const char *text)
{
    assert_int_equal(fflush(r->out), 0);
    assert_string_equal(r->text, text);
    rewind(r->out);
    (void)fputc('\0', r->out);
    rewind(r->out);
}

static void expect_tail(struct rig *r, uint32_t lines, const char *text)
{
    struct follow f;
    must_open(r, &f, lines);
    (void)fputc('\0', r->out);
    expect(r, text);
    follow_close(&f);
}

static void all_of_a_log_is_printed_with_what_was_before_its_turn(void **state)
{
    struct rig *r = *state;
    put(r, "log.1", "1\n2\n", 0);
    put(r, "log", "3\n4\n", 0);
    expect_tail(r, FOLLOW_ALL, "1\n2\n3\n4\n");
}

static void the_last_lines_may_reach_back_before_the_turn(void **state)
{
    struct rig *r = *state;
    put(r, "log.1", "1\n2\n", 0);
    put(r, "log", "3\n4\n", 0);
    expect_tail(r, 1, "4\n");
    expect_tail(r, 3, "2\n3\n4\n");
    expect_tail(r, 4, "1\n2\n3\n4\n");
    expect_tail(r, 99, "1\n2\n3\n4\n");
    expect_tail(r, 0, "");
}

static void a_line_that_is_not_complete_is_a_line(void **state)
{
    struct rig *r = *state;
    put(r, "log", "1\n2", 0);
    expect_tail(r, 1, "2");
    expect_tail(r, 2, "1\n2");
}

static void an_empty_log_prints_nothing(void **state)
{
    struct rig *r = *state;
    put(r, "log", "", 0);
    expect_tail(r, FOLLOW_ALL, "");
    expect_tail(r, 5, "");
}

static void a_log_longer_than_one_read_is_printed_whole(void **state)
{
    struct rig *r = *state;
    char *text = malloc(100001);
    assert_non_null(text);
    for (size_t i = 0; i < 100000; i++)
        text[i] = i % 100 == 99 ? '\n' : (char)('a' + i % 26);
    text[100000] = '\0';
    put(r, "log", text, 0);
    expect_tail(r, FOLLOW_ALL, text);
    expect_tail(r, 2, text + 100000 - 200);
    free(text);
}

static void what_a_terminal_would_obey_is_not_printed(void **state)
{
    struct rig *r = *state;
    put(r, "log",
        "a\x1b]0;b\x07\r\nc\xc2\x9b"
        "2J\xff\n",
        0);
    expect_tail(r, FOLLOW_ALL, "a?]0;b?\nc?2J?\n");
}

static void what_is_added_is_printed_once(void **state)
{
    struct rig *r = *state;
    struct follow f;
    put(r, "log", "1\n", 0);
    must_open(r, &f, FOLLOW_ALL);
    put(r, "log", "2\n", O_APPEND);
    assert_int_equal(follow_step(&f, r->out), 0);
    assert_int_equal(follow_step(&f, r->out), 0);
    expect(r, "1\n2\n");
    put(r, "log", "3\n", O_APPEND);
    assert_int_equal(follow_step(&f, r->out), 0);
    (void)fputc('\0', r->out);
    expect(r, "3\n");
    follow_close(&f);
}

static void a_character_in_two_parts_is_printed_as_one(void **state)
{
    struct rig *r = *state;
    struct follow f;
    put(r, "log", "\xc3", 0);
    must_open(r, &f, FOLLOW_ALL);
    put(r, "log", "\xa4\n", O_APPEND);
    assert_int_equal(follow_step(&f, r->out), 0);
    expect(r, "\xc3\xa4\n");
    follow_close(&f);
}

static void after_a_turn_the_new_log_is_followed_from_its_beginning(void **state)
{
    struct rig *r = *state;
    struct follow f;
    put(r, "log", "one\ntwo\n", 0);
    must_open(r, &f, 0);
    put(r, "log", "3\n", O_TRUNC);
    assert_int_equal(follow_step(&f, r->out), 0);
    expect(r, "3\n");
    follow_close(&f);
}

static void a_log_that_is_not_there_is_an_error(void **state)
{
    struct rig *r = *state;
    struct follow f;
    struct err err;
    assert_int_equal(follow_open(&f, r->folder, "log", FOLLOW_ALL, r->out, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cannot read log"));
    assert_int_equal(f.fd, -1);
}

static void only_files_are_logs(void **state)
{
    struct rig *r = *state;
    struct follow f;
    struct err err;
    assert_int_equal(symlinkat("/etc/passwd", r->folder, "log"), 0);
    assert_int_equal(follow_open(&f, r->folder, "log", FOLLOW_ALL, r->out, &err), -EINVAL);
    assert_int_equal(unlinkat(r->folder, "log", 0), 0);
    assert_int_equal(mkfifoat(r->folder, "log", 0600), 0);
    assert_int_equal(follow_open(&f, r->folder, "log", FOLLOW_ALL, r->out, &err), -EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_of_a_log_is_printed_with_what_was_before_its_turn),
        CASE(the_last_lines_may_reach_back_before_the_turn),
        CASE(a_line_that_is_not_complete_is_a_line),
        CASE(an_empty_log_prints_nothing),
        CASE(a_log_longer_than_one_read_is_printed_whole),
        CASE(what_a_terminal_would_obey_is_not_printed),
        CASE(what_is_added_is_printed_once),
        CASE(a_character_in_two_parts_is_printed_as_one),
        CASE(after_a_turn_the_new_log_is_followed_from_its_beginning),
        CASE(a_log_that_is_not_there_is_an_error),
        CASE(only_files_are_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
