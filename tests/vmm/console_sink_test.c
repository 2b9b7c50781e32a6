/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/console_sink.h"

#define LONG_WAIT_MS 60000u /* never waited to its end by a test that passes */
#define PIPE_BYTES   4096

/* A pipe of one page and a sink that writes to it. */
struct rig {
    int pipe[2];
    struct console_sink sink;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || pipe(r->pipe) < 0 || fcntl(r->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES) {
        return -1;
    }
    return console_sink_init(&r->sink, r->pipe[1], 0, NULL);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    console_sink_fini(&r->sink);
    close(r->pipe[0]);
    close(r->pipe[1]);
    free(r);
    return 0;
}

static uint64_t dropped(struct console_sink *sink)
{
    return atomic_load(&sink->dropped);
}

static void put(struct console_sink *sink, const char *text)
{
    console_sink_write(sink, text, strlen(text));
}

static void assert_reads(int fd, const char *expected)
{
    char bytes[64] = {0};
    assert_int_equal(read(fd, bytes, sizeof(bytes) - 1), strlen(expected));
    assert_string_equal(bytes, expected);
}

/* ---- Kinds of descriptors ---- */

static void none_takes_everything_and_counts_nothing(void **state)
{
    (void)state;
    struct console_sink sink;
    assert_int_equal(console_sink_init(&sink, -1, 0, NULL), 0);
    put(&sink, "text");
    assert_int_equal(dropped(&sink), 0);
    console_sink_fini(&sink);
    console_sink_fini(&sink);
}

static void pipe_gets_the_bytes_and_keeps_its_flags(void **state)
{
    struct rig *r = *state;
    put(&r->sink, "hello");
    assert_reads(r->pipe[0], "hello");
    assert_int_equal(fcntl(r->pipe[1], F_GETFL) & O_NONBLOCK, 0);
    int own = r->sink.fd;
    assert_int_not_equal(own, r->pipe[1]);
    console_sink_fini(&r->sink);
    assert_int_equal(fcntl(own, F_GETFD), -1);
    assert_int_not_equal(fcntl(r->pipe[1], F_GETFD), -1);
}

static void file_is_written_where_others_left_off(void **state)
{
    (void)state;
    struct console_sink sink;
    FILE *file = tmpfile();
    int fd = fileno(file);
    char bytes[16] = {0};
    assert_int_equal(write(fd, "one ", 4), 4);
    assert_int_equal(console_sink_init(&sink, fd, 0, NULL), 0);
    put(&sink, "two");
    assert_int_equal(write(fd, " three", 6), 6);
    console_sink_fini(&sink);
    assert_int_equal(pread(fd, bytes, sizeof(bytes) - 1, 0), 13);
    assert_string_equal(bytes, "one two three");
    fclose(file);
}

static void socket_is_written_without_blocking_it(void **state)
{
    (void)state;
    struct console_sink sink;
    int pair[2];
    char block[4096] = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(console_sink_init(&sink, pair[0], 0, NULL), 0);
    put(&sink, "hello");
    assert_reads(pair[1], "hello");
    while (dropped(&sink) == 0) {
        console_sink_write(&sink, block, sizeof(block));
    }
    assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
    console_sink_fini(&sink);
    close(pair[0]);
    close(pair[1]);
}

static void socket_without_reader_is_broken(void **state)
{
    (void)state;
    struct console_sink sink;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(console_sink_init(&sink, pair[0], 0, NULL), 0);
    close(pair[1]);
    put(&sink, "four");
    assert_int_equal(dropped(&sink), 4);
    assert_true(sink.broken);
    console_sink_fini(&sink);
    close(pair[0]);
}

static void descriptors_that_cannot_be_written_are_refused_with_words(void **state)
{
    (void)state;
    struct console_sink sink;
    struct err err;
    int flags[] = {O_RDONLY, O_PATH};
    for (unsigned i = 0; i < 2; i++) {
        int fd = open("/dev/null", flags[i] | O_CLOEXEC);
        assert_int_equal(console_sink_init(&sink, fd, 0, &err), -EBADF);
        assert_non_null(strstr(err.text, "cannot write the console's output"));
        assert_int_equal(sink.fd, -1);
        close(fd);
    }
    assert_int_equal(console_sink_init(&sink, 1 << 20, 0, &err), -EBADF);
    put(&sink, "nowhere");
}

/* The writing end of a named pipe whose reader has gone, which cannot be opened without blocking. */
static int open_left_fifo(void)
{
    char folder[] = "/tmp/console_sink_test.XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = open(path, O_WRONLY | O_CLOEXEC);
    close(reader);
    unlink(path);
    rmdir(folder);
    assert_true(writer >= 0);
    return writer;
}

static void pipe_that_cannot_be_opened_again_is_blocking_again_afterwards(void **state)
{
    (void)state;
    struct console_sink sink;
    int fd = open_left_fifo();
    assert_int_equal(console_sink_init(&sink, fd, 0, NULL), 0);
    assert_int_equal(sink.fd, fd);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    console_sink_fini(&sink);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    close(fd);
}

static void descriptor_that_was_non_blocking_stays_so(void **state)
{
    (void)state;
    struct console_sink sink;
    int fd = open_left_fifo();
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(console_sink_init(&sink, fd, 0, NULL), 0);
    console_sink_fini(&sink);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
}

/* ---- What does not go ---- */

static void write_that_fits_in_part_drops_the_rest(void **state)
{
    struct rig *r = *state;
    char block[PIPE_BYTES + 100] = {0};
    console_sink_write(&r->sink, block, sizeof(block));
    assert_int_equal(dropped(&r->sink), 100);
    assert_true(r->sink.stalled);
}

static void sink_that_is_read_again_takes_again(void **state)
{
    struct rig *r = *state;
    char block[PIPE_BYTES] = {0};
    console_sink_write(&r->sink, block, sizeof(block));
    put(&r->sink, "lost");
    assert_int_equal(read(r->pipe[0], block, sizeof(block)), PIPE_BYTES);
    put(&r->sink, "back");
    assert_reads(r->pipe[0], "back");
    assert_int_equal(dropped(&r->sink), 4);
    assert_false(r->sink.stalled);
}

static void stalled_sink_is_not_waited_for_again(void **state)
{
    struct rig *r = *state;
    char block[PIPE_BYTES + 1] = {0};
    r->sink.wait_ms = 1;
    console_sink_write(&r->sink, block, sizeof(block));
    assert_true(r->sink.stalled);
    r->sink.wait_ms = LONG_WAIT_MS;
    put(&r->sink, "lost");
    assert_int_equal(dropped(&r->sink), 5);
}

static void broken_pipe_is_found_once_and_then_left_alone(void **state)
{
    struct rig *r = *state;
    r->sink.wait_ms = LONG_WAIT_MS;
    close(r->pipe[0]);
    put(&r->sink, "four");
    assert_true(r->sink.broken);
    put(&r->sink, "more");
    assert_int_equal(dropped(&r->sink), 8);
    r->pipe[0] = open("/dev/null", O_RDONLY);
}

static void full_device_drops_and_is_tried_again(void **state)
{
    (void)state;
    struct console_sink sink;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(console_sink_init(&sink, fd, LONG_WAIT_MS, NULL), 0);
    put(&sink, "four");
    put(&sink, "more");
    assert_int_equal(dropped(&sink), 8);
    assert_false(sink.broken);
    console_sink_fini(&sink);
    close(fd);
}

/* ---- A reader that is only slow ---- */

#define STREAM_BYTES 300000u

/* Reads everything; returns how many bytes came in the right order. */
static void *read_all(void *arg)
{
    const struct rig *r = arg;
    size_t *total = calloc(1, sizeof(*total));
    uint8_t bytes[777];
    ssize_t n = 1;
    while (total != NULL && n > 0 && *total < STREAM_BYTES) {
        n = read(r->pipe[0], bytes, sizeof(bytes));
        for (ssize_t i = 0; i < n && bytes[i] == *total % 251; i++) {
            ++*total;
        }
    }
    return total;
}

static void slow_reader_loses_nothing(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    void *total = NULL;
    static const size_t block = 10000; /* more than the pipe holds */
    uint8_t *bytes = malloc(STREAM_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < STREAM_BYTES; i++) {
        bytes[i] = (uint8_t)(i % 251);
    }
    r->sink.wait_ms = LONG_WAIT_MS;
    assert_int_equal(pthread_create(&thread, NULL, read_all, r), 0);
    for (size_t sent = 0; sent < STREAM_BYTES; sent += block) {
        console_sink_write(&r->sink, bytes + sent, block);
    }
    close(r->pipe[1]);
    r->pipe[1] = -1;
    console_sink_fini(&r->sink);
    pthread_join(thread, &total);
    assert_non_null(total);
    assert_int_equal(*(size_t *)total, STREAM_BYTES);
    free(total);
    free(bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_takes_everything_and_counts_nothing),
        CASE(pipe_gets_the_bytes_and_keeps_its_flags),
        cmocka_unit_test(file_is_written_where_others_left_off),
        cmocka_unit_test(socket_is_written_without_blocking_it),
        cmocka_unit_test(socket_without_reader_is_broken),
        cmocka_unit_test(descriptors_that_cannot_be_written_are_refused_with_words),
        cmocka_unit_test(pipe_that_cannot_be_opened_again_is_blocking_again_afterwards),
        cmocka_unit_test(descriptor_that_was_non_blocking_stays_so),
        CASE(write_that_fits_in_part_drops_the_rest),
        CASE(sink_that_is_read_again_takes_again),
        CASE(stalled_sink_is_not_waited_for_again),
        CASE(broken_pipe_is_found_once_and_then_left_alone),
        cmocka_unit_test(full_device_drops_and_is_tried_again),
        CASE(slow_reader_loses_nothing),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
