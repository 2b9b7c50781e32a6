/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/console.h"

/* A console whose sink is a pipe. */
struct rig {
    struct console c;
    int pipe[2];
    uint8_t bytes[2 * CONSOLE_KEPT_BYTES];
    char text[CONSOLE_KEPT_BYTES + 1];
};

static int open_rig(void **state, bool safe)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || pipe(r->pipe) < 0) {
        return -1;
    }
    struct console_config config = {.sink_fd = r->pipe[1], .sink_safe = safe};
    return console_init(&r->c, &config, NULL);
}

static int setup(void **state)
{
    return open_rig(state, false);
}

static int setup_safe(void **state)
{
    return open_rig(state, true);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    console_fini(&r->c);
    close(r->pipe[0]);
    close(r->pipe[1]);
    free(r);
    return 0;
}

static void print(struct rig *r, const char *text)
{
    console_output(&r->c, (const uint8_t *)text, strlen(text));
}

static void nothing_was_printed_yet(void **state)
{
    struct rig *r = *state;
    struct console_report report;
    struct console_stats stats;
    assert_int_equal(console_copy(&r->c, r->bytes, sizeof(r->bytes)), 0);
    assert_int_equal(console_copy_text(&r->c, r->text, sizeof(r->text)), 0);
    assert_string_equal(r->text, "");
    console_report(&r->c, &report);
    assert_int_equal(report.worst, CONSOLE_TROUBLE_NONE);
    console_stats(&r->c, &stats);
    assert_int_equal(stats.printed + stats.dropped, 0);
}

static void bytes_are_kept_as_they_came(void **state)
{
    struct rig *r = *state;
    console_output(&r->c, (const uint8_t *)"a\0\x1b", 3);
    print(r, "b");
    assert_int_equal(console_copy(&r->c, r->bytes, sizeof(r->bytes)), 4);
    assert_memory_equal(r->bytes,
                        "a\0\x1b"
                        "b",
                        4);
}

static void the_newest_bytes_are_given_when_there_is_no_room_for_all(void **state)
{
    struct rig *r = *state;
    print(r, "0123456789");
    assert_int_equal(console_copy(&r->c, r->bytes, 3), 3);
    assert_memory_equal(r->bytes, "789", 3);
    assert_int_equal(console_copy(&r->c, r->bytes, 0), 0);
    assert_int_equal(console_copy_text(&r->c, r->text, 4), 3);
    assert_string_equal(r->text, "789");
    assert_int_equal(console_copy_text(&r->c, r->text, 1), 0);
    assert_string_equal(r->text, "");
}

static void the_last_64_kib_survive_in_order(void **state)
{
    struct rig *r = *state;
    for (uint32_t i = 0; i < 50000; i++) {
        console_output(&r->c, (const uint8_t *)&i, sizeof(i));
    }
    assert_int_equal(console_copy(&r->c, r->bytes, sizeof(r->bytes)), CONSOLE_KEPT_BYTES);
    for (uint32_t i = 0; i < CONSOLE_KEPT_BYTES / 4; i++) {
        uint32_t expected = 50000 - CONSOLE_KEPT_BYTES / 4 + i;
        assert_memory_equal(r->bytes + (size_t)4 * i, &expected, 4);
    }
}

static void one_output_larger_than_what_is_kept_leaves_its_end(void **state)
{
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(r->bytes); i++) {
        r->bytes[i] = (uint8_t)(i / 251);
    }
    uint8_t *copy = malloc(CONSOLE_KEPT_BYTES);
    assert_non_null(copy);
    print(r, "x");
    console_output(&r->c, r->bytes, sizeof(r->bytes));
    assert_int_equal(console_copy(&r->c, copy, CONSOLE_KEPT_BYTES), CONSOLE_KEPT_BYTES);
    assert_memory_equal(copy, r->bytes + CONSOLE_KEPT_BYTES, CONSOLE_KEPT_BYTES);
    free(copy);
}

static void text_is_safe_and_complete(void **state)
{
    struct rig *r = *state;
    print(r, "one\r\n\x1b[2Jtwo\n");
    assert_int_equal(console_copy_text(&r->c, r->text, sizeof(r->text)), 12);
    assert_string_equal(r->text, "one\n?[2Jtwo\n");
}

static void trouble_is_reported(void **state)
{
    struct rig *r = *state;
    struct console_report report;
    print(r, "ok\nKernel panic - not ");
    print(r, "syncing: out of ideas\n");
    console_report(&r->c, &report);
    assert_int_equal(report.worst, CONSOLE_TROUBLE_PANIC);
    assert_string_equal(report.panic, "Kernel panic - not syncing: out of ideas");
}

static void sink_gets_the_bytes_as_they_came(void **state)
{
    struct rig *r = *state;
    char got[16] = {0};
    print(r, "a\x1b[m\r\n");
    assert_int_equal(read(r->pipe[0], got, sizeof(got) - 1), 6);
    assert_string_equal(got, "a\x1b[m\r\n");
}

static void safe_sink_gets_text_also_across_outputs(void **state)
{
    struct rig *r = *state;
    char got[16] = {0};
    print(r, "a\x1b\xe2");
    print(r, "\x82");
    print(r, "\xac\r\n");
    assert_int_equal(read(r->pipe[0], got, sizeof(got) - 1), 6);
    assert_string_equal(got, "a?\xe2\x82\xac\n");
}

static void safe_sink_gets_long_outputs_whole(void **state)
{
    struct rig *r = *state;
    uint8_t *got = calloc(1, 6000);
    assert_non_null(got);
    for (size_t shift = 0; shift < 4; shift++) {
        memset(r->bytes, 'x', shift);
        for (size_t i = 0; i < 1000; i++) {
            memcpy(r->bytes + shift + 3 * i, "\xe2\x82\xac", 3);
        }
        console_output(&r->c, r->bytes, 3000 + shift);
        assert_int_equal(read(r->pipe[0], got, 6000), 3000 + shift);
        assert_memory_equal(got, r->bytes, 3000 + shift);
    }
    free(got);
}

static void what_the_sink_does_not_take_is_counted_and_kept_all_the_same(void **state)
{
    struct rig *r = *state;
    struct console_stats stats;
    memset(r->bytes, 'x', sizeof(r->bytes));
    console_output(&r->c, r->bytes, sizeof(r->bytes));
    console_stats(&r->c, &stats);
    assert_int_equal(stats.printed, sizeof(r->bytes));
    assert_int_equal(stats.dropped, sizeof(r->bytes) - 65536); /* what a pipe holds */
    assert_int_equal(console_copy(&r->c, r->bytes, sizeof(r->bytes)), CONSOLE_KEPT_BYTES);
}

static void sink_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct rig *r = calloc(1, sizeof(*r));
    struct console_config config = {.sink_fd = 1 << 20};
    struct err err;
    assert_non_null(r);
    assert_int_equal(console_init(&r->c, &config, &err), -EBADF);
    assert_non_null(strstr(err.text, "console"));
    free(r);
}

static void console_without_sink_keeps_all_the_same(void **state)
{
    (void)state;
    struct rig *r = calloc(1, sizeof(*r));
    struct console_config config = {.sink_fd = -1};
    assert_non_null(r);
    assert_int_equal(console_init(&r->c, &config, NULL), 0);
    print(r, "text");
    assert_int_equal(console_copy_text(&r->c, r->text, sizeof(r->text)), 4);
    console_fini(&r->c);
    free(r);
}

/* ---- Threads ---- */

#define THREAD_LINES 20000u
#define FIRST_LINE   "the first one\n"
#define OTHER_LINE   "another thread\n"

static void *print_lines(void *arg)
{
    struct rig *r = arg;
    for (unsigned i = 0; i < THREAD_LINES; i++) {
        print(r, OTHER_LINE);
    }
    return NULL;
}

static void outputs_of_two_threads_do_not_mix(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    struct console_stats stats;
    char *rest = NULL;
    assert_int_equal(pthread_create(&thread, NULL, print_lines, r), 0);
    for (unsigned i = 0; i < THREAD_LINES; i++) {
        print(r, FIRST_LINE);
        if (i % 64 == 0) {
            console_copy_text(&r->c, r->text, 100);
        }
    }
    pthread_join(thread, NULL);
    console_stats(&r->c, &stats);
    assert_int_equal(stats.printed, (sizeof(FIRST_LINE) + sizeof(OTHER_LINE) - 2) * THREAD_LINES);
    assert_int_equal(console_copy_text(&r->c, r->text, sizeof(r->text)), CONSOLE_KEPT_BYTES);
    (void)strtok_r(r->text, "\n", &rest); /* the oldest line may be cut */
    for (char *line = strtok_r(NULL, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(strncmp(line, OTHER_LINE, strlen(OTHER_LINE) - 1) == 0 ||
                    strncmp(line, FIRST_LINE, strlen(FIRST_LINE) - 1) == 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_was_printed_yet),
        CASE(bytes_are_kept_as_they_came),
        CASE(the_newest_bytes_are_given_when_there_is_no_room_for_all),
        CASE(the_last_64_kib_survive_in_order),
        CASE(one_output_larger_than_what_is_kept_leaves_its_end),
        CASE(text_is_safe_and_complete),
        CASE(trouble_is_reported),
        CASE(sink_gets_the_bytes_as_they_came),
        cmocka_unit_test_setup_teardown(safe_sink_gets_text_also_across_outputs, setup_safe, teardown),
        cmocka_unit_test_setup_teardown(safe_sink_gets_long_outputs_whole, setup_safe, teardown),
        CASE(what_the_sink_does_not_take_is_counted_and_kept_all_the_same),
        cmocka_unit_test(sink_that_cannot_be_written_is_refused),
        cmocka_unit_test(console_without_sink_keeps_all_the_same),
        CASE(outputs_of_two_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
