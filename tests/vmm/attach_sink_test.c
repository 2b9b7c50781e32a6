/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/attach_sink.h"

struct rig {
    struct attach_sink sink;
    int reader, writer;
    uint8_t bytes[SESSION_WINDOW_BYTES];
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    int fds[2];
    if (r == NULL || pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    r->reader = fds[0];
    r->writer = fds[1];
    for (size_t i = 0; i < sizeof(r->bytes); i++)
        r->bytes[i] = (uint8_t)(i * 13 >> 2);
    (void)signal(SIGPIPE, SIG_IGN);
    attach_sink_init(&r->sink, r->writer);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    attach_sink_fini(&r->sink);
    close(r->writer);
    if (r->reader >= 0)
        close(r->reader);
    free(r);
    return 0;
}

/* Fill the pipe to the last byte through a description that does not block. */
static void fill_pipe(struct rig *r)
{
    int flags = fcntl(r->writer, F_GETFL);
    assert_int_equal(fcntl(r->writer, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(r->writer, r->bytes, 4096) > 0)
        ;
    while (write(r->writer, r->bytes, 1) > 0)
        ;
    assert_int_equal(fcntl(r->writer, F_SETFL, flags), 0);
}

static void bytes_come_out_in_order(void **state)
{
    struct rig *r = *state;
    uint8_t out[16];
    assert_int_equal(attach_sink_add(&r->sink, (const uint8_t *)"abc", 3), 3);
    assert_int_equal(attach_sink_add(&r->sink, (const uint8_t *)"de", 2), 2);
    assert_int_equal(attach_sink_held(&r->sink), 5);
    assert_int_equal(attach_sink_write(&r->sink), 5);
    assert_int_equal(attach_sink_held(&r->sink), 0);
    assert_int_equal(read(r->reader, out, sizeof(out)), 5);
    assert_memory_equal(out, "abcde", 5);
}

static void an_empty_sink_writes_nothing(void **state)
{
    struct rig *r = *state;
    assert_int_equal(attach_sink_write(&r->sink), 0);
    assert_false(r->sink.broken);
}

static void it_holds_a_whole_window_and_writes_it_in_pieces(void **state)
{
    struct rig *r = *state;
    uint8_t *out = malloc(SESSION_WINDOW_BYTES);
    size_t got = 0;
    assert_non_null(out);
    assert_int_equal(fcntl(r->writer, F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, SESSION_WINDOW_BYTES), SESSION_WINDOW_BYTES);
    while (got < SESSION_WINDOW_BYTES) {
        assert_in_range(attach_sink_write(&r->sink), 1, 4096);
        ssize_t n = read(r->reader, out + got, SESSION_WINDOW_BYTES - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(out, r->bytes, SESSION_WINDOW_BYTES);
    assert_int_equal(attach_sink_held(&r->sink), 0);
    free(out);
}

static void room_at_the_front_is_used_again(void **state)
{
    struct rig *r = *state;
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, SESSION_WINDOW_BYTES), SESSION_WINDOW_BYTES);
    size_t left = attach_sink_write(&r->sink);
    assert_true(left > 0);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, left), left);
    assert_int_equal(attach_sink_held(&r->sink), SESSION_WINDOW_BYTES);
}

static void a_full_pipe_takes_nothing_and_nobody_waits(void **state)
{
    struct rig *r = *state;
    fill_pipe(r);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 10);
    assert_int_equal(attach_sink_write(&r->sink), 0);
    assert_int_equal(attach_sink_held(&r->sink), 10);
    assert_false(r->sink.broken);
}

/* As where /proc is missing: the descriptor blocks, and only poll stands between us and that. */
static void a_full_pipe_that_blocks_is_not_written_to(void **state)
{
    struct rig *r = *state;
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, r->writer);
    if (r->sink.own_fd)
        close(r->sink.fd);
    r->sink.own_fd = false;
    r->sink.fd = r->writer;
    fill_pipe(r);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 10);
    assert_int_equal(attach_sink_write(&r->sink), 0);
    assert_int_equal(attach_sink_held(&r->sink), 10);
}

static void the_callers_descriptor_keeps_its_flags(void **state)
{
    struct rig *r = *state;
    assert_int_equal(fcntl(r->writer, F_GETFL) & O_NONBLOCK, 0);
}

static void a_pipe_without_reader_breaks_the_sink(void **state)
{
    struct rig *r = *state;
    close(r->reader);
    r->reader = -1;
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 10);
    assert_int_equal(attach_sink_write(&r->sink), 10);
    assert_true(r->sink.broken);
    assert_int_equal(attach_sink_held(&r->sink), 0);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 0);
    assert_int_equal(attach_sink_write(&r->sink), 0);
}

static void a_closed_descriptor_makes_a_broken_sink(void **state)
{
    struct rig *r = *state;
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, -1);
    assert_true(r->sink.broken);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 0);
}

static void one_that_is_for_reading_breaks_at_the_first_write(void **state)
{
    struct rig *r = *state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, fd);
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 10);
    assert_int_equal(attach_sink_write(&r->sink), 10);
    assert_true(r->sink.broken);
    close(fd);
}

static void a_socket_is_not_waited_for(void **state)
{
    struct rig *r = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, pair[0]);
    while (send(pair[0], r->bytes, 4096, MSG_DONTWAIT) > 0)
        ;
    while (send(pair[0], r->bytes, 1, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(attach_sink_add(&r->sink, r->bytes, 10), 10);
    assert_int_equal(attach_sink_write(&r->sink), 0);
    close(pair[1]);
    assert_int_equal(attach_sink_write(&r->sink), 10);
    assert_true(r->sink.broken);
    close(pair[0]);
}

static void a_file_is_written_as_it_is(void **state)
{
    struct rig *r = *state;
    char name[] = "/tmp/attach_sink_test.XXXXXX";
    uint8_t out[16];
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(name);
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, fd);
    assert_int_equal(attach_sink_add(&r->sink, (const uint8_t *)"hello", 5), 5);
    assert_int_equal(attach_sink_write(&r->sink), 5);
    assert_int_equal(pread(fd, out, sizeof(out), 0), 5);
    assert_memory_equal(out, "hello", 5);
    close(fd);
}

static int lost_after_writing_to(struct rig *r, const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    attach_sink_fini(&r->sink);
    attach_sink_init(&r->sink, fd);
    assert_int_equal(attach_sink_add(&r->sink, (const uint8_t *)"hello", 5), 5);
    assert_int_equal(attach_sink_write(&r->sink), 5);
    close(fd);
    return r->sink.lost;
}

static void what_a_full_disk_does_not_take_is_known_to_be_lost(void **state)
{
    struct rig *r = *state;
    assert_int_equal(lost_after_writing_to(r, "/dev/full"), -ENOSPC);
    assert_true(r->sink.broken);
}

static void what_a_pipe_without_reader_does_not_take_is_not_missed(void **state)
{
    struct rig *r = *state;
    close(r->reader);
    r->reader = -1;
    assert_int_equal(attach_sink_add(&r->sink, (const uint8_t *)"x", 1), 1);
    assert_int_equal(attach_sink_write(&r->sink), 1);
    assert_true(r->sink.broken);
    assert_int_equal(r->sink.lost, 0);
}

static void ending_twice_is_harmless(void **state)
{
    struct rig *r = *state;
    attach_sink_fini(&r->sink);
    attach_sink_fini(&r->sink);
    assert_true(r->sink.broken);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(bytes_come_out_in_order),
        CASE(an_empty_sink_writes_nothing),
        CASE(it_holds_a_whole_window_and_writes_it_in_pieces),
        CASE(room_at_the_front_is_used_again),
        CASE(a_full_pipe_takes_nothing_and_nobody_waits),
        CASE(a_full_pipe_that_blocks_is_not_written_to),
        CASE(the_callers_descriptor_keeps_its_flags),
        CASE(a_pipe_without_reader_breaks_the_sink),
        CASE(a_closed_descriptor_makes_a_broken_sink),
        CASE(one_that_is_for_reading_breaks_at_the_first_write),
        CASE(a_socket_is_not_waited_for),
        CASE(a_file_is_written_as_it_is),
        CASE(what_a_full_disk_does_not_take_is_known_to_be_lost),
        CASE(what_a_pipe_without_reader_does_not_take_is_not_missed),
        CASE(ending_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
