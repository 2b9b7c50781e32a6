/* SPDX-License-Identifier: Apache-2.0 */
/* The log: what readers get, and what slow ones lose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/agent_rig.h"

static int reader(struct agent_rig *r)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    (void)journal_add(&r->agent->journal, ends[1]);
    return ends[0];
}

/* All there is to read, as text; freed by the caller. */
static char *take(struct agent_rig *r, int fd)
{
    size_t size = 1u << 20, n = 0;
    char *text = malloc(size);
    ssize_t got;
    assert_non_null(text);
    do {
        got = read(fd, text + n, size - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        agent_rig_run(r);
    } while (got > 0);
    text[n] = '\0';
    return text;
}

static void assert_takes(struct agent_rig *r, int fd, const char *expected)
{
    char *text = take(r, fd);
    assert_string_equal(text, expected);
    free(text);
}

static void a_reader_gets_what_was_said_and_what_is_said_later(void **state)
{
    struct agent_rig *r = *state;
    r->clock_ms = 12345;
    agent_say(r->agent, "info before");
    int fd = reader(r);
    assert_takes(r, fd, "12.345 info before\n");
    r->clock_ms = 13000;
    agent_say(r->agent, "warn %s", "after");
    assert_takes(r, fd, "13.000 warn after\n");
    close(fd);
}

static void control_bytes_cannot_make_lines(void **state)
{
    struct agent_rig *r = *state;
    agent_say(r->agent, "info %s", "a\nerror forged\x1b[2J");
    int fd = reader(r);
    assert_takes(r, fd, "0.000 info a?error forged?[2J\n");
    close(fd);
}

static void long_lines_are_cut(void **state)
{
    struct agent_rig *r = *state;
    char words[3000];
    memset(words, 'x', sizeof(words));
    words[2999] = '\0';
    agent_say(r->agent, "info %s", words);
    int fd = reader(r);
    char *text = take(r, fd);
    assert_true(strlen(text) < JOURNAL_LINE_MAX);
    assert_string_equal(text + strlen(text) - 4, "...\n");
    free(text);
    close(fd);
}

static void the_ring_keeps_the_last_64_kib(void **state)
{
    struct agent_rig *r = *state;
    for (int i = 0; i < 5000; i++)
        agent_say(r->agent, "info line %04d", i);
    int fd = reader(r);
    char *text = take(r, fd);
    assert_int_equal(strlen(text), JOURNAL_BYTES);
    assert_string_equal(text + strlen(text) - strlen("info line 4999\n"), "info line 4999\n");
    free(text);
    close(fd);
}

static void a_slow_reader_loses_lines_and_is_told(void **state)
{
    struct agent_rig *r = *state;
    int fd = reader(r);
    /* More than its socket and the ring together take. */
    for (int i = 0; i < 40000; i++)
        agent_say(r->agent, "info line %05d", i);
    char *text = take(r, fd);
    static const char words[] = " bytes lost]\n";
    char *note = NULL;
    /* While one note waits to be sent, more may be lost. */
    for (char *next = text; (next = strstr(next, words)) != NULL; next += sizeof(words) - 1)
        note = next + sizeof(words) - 1;
    assert_non_null(note);
    /* Goes on with a whole line, and to the end. */
    assert_int_equal(strncmp(note, "0.000 info line ", 16), 0);
    assert_non_null(strstr(note, "info line 39999\n"));
    free(text);
    close(fd);
}

static void a_reader_that_leaves_makes_room_for_another(void **state)
{
    struct agent_rig *r = *state;
    int fd[JOURNAL_READERS_MAX], late;
    char byte;
    for (size_t i = 0; i < JOURNAL_READERS_MAX; i++)
        fd[i] = reader(r);
    late = reader(r);
    assert_int_equal(read(late, &byte, 1), 0);
    close(late);
    close(fd[0]);
    agent_rig_run(r);
    late = reader(r);
    agent_say(r->agent, "info hello");
    assert_takes(r, late, "0.000 info hello\n");
    close(late);
    for (size_t i = 1; i < JOURNAL_READERS_MAX; i++)
        close(fd[i]);
}

static void what_a_reader_sends_is_ignored(void **state)
{
    struct agent_rig *r = *state;
    int fd = reader(r);
    assert_int_equal(write(fd, "hello?", 6), 6);
    agent_rig_run(r);
    agent_say(r->agent, "info on");
    assert_takes(r, fd, "0.000 info on\n");
    close(fd);
}

static void other_processes_write_lines_into_the_pipe(void **state)
{
    struct agent_rig *r = *state;
    int fd = reader(r), in = r->agent->journal.pipe_in;
    assert_int_equal(write(in, "first\nsec", 9), 9);
    agent_rig_run(r);
    assert_takes(r, fd, "0.000 info first\n");
    assert_int_equal(write(in, "ond\n\n\x1b[31m\n", 11), 11);
    agent_rig_run(r);
    assert_takes(r, fd, "0.000 info second\n0.000 info ?[31m\n");
    close(fd);
}

static void a_line_without_an_end_does_not_grow(void **state)
{
    struct agent_rig *r = *state;
    int fd = reader(r);
    char words[5000];
    memset(words, 'y', sizeof(words));
    assert_int_equal(write(r->agent->journal.pipe_in, words, sizeof(words)), sizeof(words));
    agent_rig_run(r);
    char *text = take(r, fd);
    unsigned lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, sizeof(words) / JOURNAL_LINE_MAX);
    free(text);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_reader_gets_what_was_said_and_what_is_said_later),
        CASE(control_bytes_cannot_make_lines),
        CASE(long_lines_are_cut),
        CASE(the_ring_keeps_the_last_64_kib),
        CASE(a_slow_reader_loses_lines_and_is_told),
        CASE(a_reader_that_leaves_makes_room_for_another),
        CASE(what_a_reader_sends_is_ignored),
        CASE(other_processes_write_lines_into_the_pipe),
        CASE(a_line_without_an_end_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
