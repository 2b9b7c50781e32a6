/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of processes: what clients read and write, and what a process sees of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/agent_rig.h"

static void assert_read(struct agent_rig *r, const char *method, uint32_t n, const char *text)
{
    assert_int_equal(rig_read(r, method, "web", "", n), TTRPC_OK);
    assert_string_equal(r->client.text, text);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_read_brings_what_is_there_and_no_more_than_asked_for(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    put(c->first->out, "hello");
    put(c->first->err, "oops");
    assert_read(r, "ReadStdout", 3, "hel");
    assert_read(r, "ReadStdout", 100, "lo");
    assert_read(r, "ReadStderr", 100, "oops");
}

static void a_read_waits_for_bytes(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 100), -1);
    put(c->first->out, "late");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
}

static void reads_are_answered_in_the_order_they_came(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    uint32_t first = r->client.next_stream;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_read(r, "ReadStdout", "web", "", 2), -1);
    put(c->first->out, "abcdef");
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(rig_receive(r, &r->client));
        assert_int_equal(r->client.stream, first + 2 * i);
    }
}

static void the_end_of_an_output_is_an_empty_answer(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    put(c->first->out, "bye");
    rig_exit(r, c->first, 0);
    assert_read(r, "ReadStdout", 100, "bye");
    assert_read(r, "ReadStdout", 100, "");
    assert_read(r, "ReadStdout", 100, "");
    assert_read(r, "ReadStderr", 100, "");
}

static void all_who_wait_are_told_of_the_end(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 10), -1);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 10), -1);
    rig_close(&c->first->out);
    assert_true(rig_receive(r, &r->client) && rig_receive(r, &r->client));
    assert_int_equal(r->agent->server.calls, 0);
}

static void a_read_of_nothing_closes_the_output(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_read(r, "ReadStdout", 0, "");
    assert_int_equal(write(c->first->out, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_read(r, "ReadStdout", 10, "");
    put(c->first->err, "still open");
    assert_read(r, "ReadStderr", 100, "still open");
}

static void a_read_of_4_gib_takes_no_more_memory_than_a_pipe_holds(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    put(c->first->out, "x");
    assert_read(r, "ReadStdout", UINT32_MAX, "x");
}

static void a_reader_that_is_gone_takes_no_bytes_with_it(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 10), -1);
    rig_disconnect(&r->client);
    agent_rig_run(r);
    put(c->first->out, "kept");
    agent_rig_run(r);
    rig_connect(r, &r->client);
    assert_read(r, "ReadStdout", 10, "kept");
}

static void what_is_written_arrives_and_is_answered(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    char got[16] = "";
    assert_int_equal(rig_write(r, "web", "", "input", 5), TTRPC_OK);
    assert_int_equal(read(c->first->in, got, sizeof(got)), 5);
    assert_string_equal(got, "input");
}

static size_t drain(int fd)
{
    char bytes[4096];
    ssize_t got;
    size_t total = 0;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0)
        total += (size_t)got;
    assert_true(total > 0); /* whoever drains goes on until all has come */
    return total;
}

static void a_write_is_answered_when_all_of_it_was_taken(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    size_t n = 1000000, total = 0;
    char *bytes = calloc(1, n);
    assert_non_null(bytes);
    assert_int_equal(rig_write(r, "web", "", bytes, n), -1);
    free(bytes);
    /* The last of it fits into the pipe. */
    while (n - total > 65536) {
        assert_false(rig_receive(r, &r->client));
        total += drain(c->first->in);
        agent_rig_run(r);
    }
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    assert_int_equal(total + drain(c->first->in), n);
}

static void close_stdin_ends_the_input_after_what_was_written(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    size_t n = 100000, total = 0;
    char *bytes = calloc(1, n), byte;
    assert_non_null(bytes);
    assert_int_equal(rig_write(r, "web", "", bytes, n), -1);
    free(bytes);
    assert_int_equal(rig_by_id(r, "CloseStdin", "web"), TTRPC_OK);
    assert_int_equal(rig_write(r, "web", "", "more", 4), TTRPC_FAILED_PRECONDITION);
    while (total < n) {
        total += drain(c->first->in);
        agent_rig_run(r);
    }
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(read(c->first->in, &byte, 1), 0);
}

static void an_empty_write_closes_the_input(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    char byte;
    assert_int_equal(rig_write(r, "web", "", "", 0), TTRPC_OK);
    assert_int_equal(read(c->first->in, &byte, 1), 0);
    assert_int_equal(rig_write(r, "web", "", "x", 1), TTRPC_FAILED_PRECONDITION);
    assert_int_equal(rig_by_id(r, "CloseStdin", "web"), TTRPC_OK);
}

static void a_write_to_a_process_that_closed_its_input_fails(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    rig_close(&c->first->in);
    assert_int_equal(rig_write(r, "web", "", "x", 1), TTRPC_FAILED_PRECONDITION);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 10), -1);
}

static void a_write_under_way_fails_when_the_process_ends(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    char *bytes = calloc(1, 200000);
    assert_non_null(bytes);
    assert_int_equal(rig_write(r, "web", "", bytes, 200000), -1);
    free(bytes);
    rig_exit(r, c->first, 0);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
}

/* ---- Terminals ---- */

static int resize(struct agent_rig *r, uint32_t rows, uint32_t columns)
{
    grpc_TtyWinResizeRequest q = {.container_id = rig_text("web"), .row = rows, .column = columns};
    return rig_call(r, "TtyWinResize", grpc_TtyWinResizeRequest_fields, &q, NULL, NULL);
}

/* The process's terminal, or the test is skipped where no terminals can be had. */
static int terminal(struct agent_rig *r)
{
    int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        skip();
    close(fd);
    return rig_running(r, "web", true)->first->tty;
}

static void a_terminal_carries_both_directions(void **state)
{
    struct agent_rig *r = *state;
    int tty = terminal(r);
    char got[16] = "";
    assert_true(isatty(tty));
    put(tty, "prompt\n");
    assert_read(r, "ReadStdout", 100, "prompt\r\n");
    assert_int_equal(rig_write(r, "web", "", "ls\n", 3), TTRPC_OK);
    assert_int_equal(read(tty, got, sizeof(got)), 3);
    assert_string_equal(got, "ls\n");
}

static void a_terminal_of_a_further_process_is_made_by_the_containers_own(void **state)
{
    struct agent_rig *r = *state;
    (void)terminal(r);
    char *arguments[] = {rig_text("sh")};
    grpc_ExecProcessRequest q = {.container_id = rig_text("web"),
                                 .exec_id = rig_text("sh"),
                                 .has_process = true,
                                 .process = {.Args = arguments, .Args_count = 1, .Terminal = true}};
    /* It is asked for a terminal, and cannot make one. */
    r->ptmx = open("/dev/null", O_PATH | O_CLOEXEC);
    assert_int_equal(rig_call(r, "ExecProcess", grpc_ExecProcessRequest_fields, &q, NULL, NULL), TTRPC_INTERNAL);
    close(r->ptmx);
    r->ptmx = open("/dev/ptmx", O_PATH | O_CLOEXEC);
    assert_true(rig_send(r, &r->client, "ExecProcess", grpc_ExecProcessRequest_fields, &q, 0) != 0);
    assert_true(isatty(rig_last(r)->tty));
    close(r->ptmx);
}

static void a_terminal_has_no_standard_error_of_its_own(void **state)
{
    struct agent_rig *r = *state;
    (void)terminal(r);
    assert_read(r, "ReadStderr", 100, "");
}

static void a_terminal_takes_a_new_size(void **state)
{
    struct agent_rig *r = *state;
    int tty = terminal(r);
    struct winsize w;
    assert_int_equal(resize(r, 50, 132), TTRPC_OK);
    assert_int_equal(ioctl(tty, TIOCGWINSZ, &w), 0);
    assert_int_equal(w.ws_row, 50);
    assert_int_equal(w.ws_col, 132);
    assert_int_equal(resize(r, 65536, 80), TTRPC_INVALID_ARGUMENT);
}

static void pipes_have_no_size(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    assert_int_equal(resize(r, 50, 132), TTRPC_UNAVAILABLE);
}

static void close_stdin_sends_a_terminal_its_end_of_file(void **state)
{
    struct agent_rig *r = *state;
    int tty = terminal(r);
    char got[16];
    assert_int_equal(rig_write(r, "web", "", "half", 4), TTRPC_OK);
    assert_int_equal(rig_by_id(r, "CloseStdin", "web"), TTRPC_OK);
    assert_int_equal(read(tty, got, sizeof(got)), 4);
    assert_int_equal(read(tty, got, sizeof(got)), 0);
    put(tty, "still here\n");
    assert_int_equal(rig_read(r, "ReadStdout", "web", "", 100), TTRPC_OK);
}

static void a_terminal_nobody_has_open_any_more_is_at_its_end(void **state)
{
    struct agent_rig *r = *state;
    int tty = terminal(r);
    put(tty, "last words");
    rig_exit(r, r->containers->first, 0);
    assert_read(r, "ReadStdout", 100, "last words");
    assert_read(r, "ReadStdout", 100, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_read_brings_what_is_there_and_no_more_than_asked_for),
        CASE(a_read_waits_for_bytes),
        CASE(reads_are_answered_in_the_order_they_came),
        CASE(the_end_of_an_output_is_an_empty_answer),
        CASE(all_who_wait_are_told_of_the_end),
        CASE(a_read_of_nothing_closes_the_output),
        CASE(a_read_of_4_gib_takes_no_more_memory_than_a_pipe_holds),
        CASE(a_reader_that_is_gone_takes_no_bytes_with_it),
        CASE(what_is_written_arrives_and_is_answered),
        CASE(a_write_is_answered_when_all_of_it_was_taken),
        CASE(close_stdin_ends_the_input_after_what_was_written),
        CASE(an_empty_write_closes_the_input),
        CASE(a_write_to_a_process_that_closed_its_input_fails),
        CASE(a_write_under_way_fails_when_the_process_ends),
        CASE(a_terminal_carries_both_directions),
        CASE(a_terminal_of_a_further_process_is_made_by_the_containers_own),
        CASE(a_terminal_has_no_standard_error_of_its_own),
        CASE(a_terminal_takes_a_new_size),
        CASE(pipes_have_no_size),
        CASE(close_stdin_sends_a_terminal_its_end_of_file),
        CASE(a_terminal_nobody_has_open_any_more_is_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
