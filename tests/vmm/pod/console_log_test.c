/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/utf8.h"
#include "vmm/pod/console_log.h"

struct rig {
    char path[64];
    int folder;
    struct pod_log_file file;
    struct pod_console console;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    (void)strcpy(r->path, "/tmp/caisson-console-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pod_log_file_open(&r->file, r->folder, "log", 4096, NULL), 0);
    assert_int_equal(pod_console_init(&r->console, &r->file, NULL), 0);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    pod_console_fini(&r->console);
    pod_log_file_close(&r->file);
    (void)unlinkat(r->folder, "log", 0);
    (void)unlinkat(r->folder, "log.1", 0);
    close(r->folder);
    (void)rmdir(r->path);
    free(r);
    return 0;
}

static void print(struct rig *r, const char *text)
{
    pod_console_output(&r->console, (const uint8_t *)text, strlen(text));
}

static struct pod_console_progress seen(struct rig *r)
{
    struct pod_console_progress p;
    pod_console_look(&r->console, &p);
    return p;
}

static bool woke(struct rig *r)
{
    uint64_t count;
    return read(r->console.wake_fd, &count, sizeof(count)) == sizeof(count);
}

static void steps_of_the_first_process_are_seen(void **state)
{
    struct rig *r = *state;
    print(r, "[    0.5] Run /.caisson/init as init process\r\n");
    assert_false(seen(r).init);
    assert_false(woke(r));
    print(r, "guest-init: step: loaded 3 ker");
    assert_false(seen(r).init);
    print(r, "nel modules\r\n");
    assert_true(seen(r).init && woke(r));
    assert_string_equal(seen(r).step, "loaded 3 kernel modules");
    assert_false(seen(r).agent);
    print(r, "guest-init: step: agent listens on port 1024\n");
    assert_true(seen(r).agent && woke(r));
}

static void a_step_is_one_line_of_whole_characters(void **state)
{
    struct rig *r = *state;
    char longest[512];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    print(r, "guest-init: step: a\tb\n");
    assert_string_equal(seen(r).step, "a b");
    for (unsigned lead = 0; lead < 4; lead++) {
        print(r, "guest-init: step: ");
        print(r, longest + sizeof(longest) - 1 - lead);
        for (unsigned i = 0; i < 100; i++)
            print(r, "\xe2\x82\xac");
        print(r, "\n");
        const struct pod_console_progress p = seen(r);
        for (const char *at = p.step; *at != '\0'; at += utf8_length(at))
            assert_true(utf8_length(at) > 0);
    }
}

static void words_elsewhere_are_no_steps(void **state)
{
    struct rig *r = *state;
    print(r, "he said guest-init: step: agent listens on port 1024\n");
    print(r, "guest-init:step: x\nguest-init: warning: no /sys\n");
    assert_false(seen(r).agent);
    assert_true(seen(r).init);
    assert_string_equal(seen(r).step, "");
}

static void steps_are_safe_text_of_limited_length(void **state)
{
    struct rig *r = *state;
    char line[1200];
    print(r, "guest-init: step: \x1b[2J\x9b"
             "1m\xff\n");
    assert_string_equal(seen(r).step, "?[2J?1m?");
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memcpy(line, "guest-init: step: ", 18);
    print(r, line);
    print(r, "\n");
    assert_int_equal(strlen(seen(r).step), POD_STEP_BYTES - 1);
}

static void the_log_has_everything_as_safe_text(void **state)
{
    struct rig *r = *state;
    char have[128] = "";
    print(r, "one\r\n\x1b]0;title\x07two\n");
    assert_int_equal(pread(r->file.fd, have, sizeof(have) - 1, 0), 18);
    assert_string_equal(have, "one\n?]0;title?two\n");
}

static void a_flood_stays_within_the_log(void **state)
{
    struct rig *r = *state;
    char line[512];
    uint64_t wakes;
    unsigned trims = 0;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 2] = '\n';
    line[sizeof(line) - 1] = '\0';
    for (unsigned i = 0; i < 100; i++) {
        print(r, line);
        if (read(r->console.wake_fd, &wakes, sizeof(wakes)) == (ssize_t)sizeof(wakes)) {
            pod_log_file_trim(&r->file);
            trims++;
        }
    }
    assert_in_range(trims, 10, 15);
    assert_in_range(lseek(r->file.fd, 0, SEEK_END), 1, 4096);
    assert_int_equal(pod_log_file_lost(&r->file), 0);
    /* And when nobody looks after it. */
    for (unsigned i = 0; i < 100; i++)
        print(r, line);
    assert_int_equal(lseek(r->file.fd, 0, SEEK_END), 2 * 4096);
    assert_true(pod_log_file_lost(&r->file) > 0);
}

static void a_panic_is_seen_and_wakes(void **state)
{
    struct rig *r = *state;
    print(r, "[    1.0] Kernel panic - not syncing: no init\n");
    assert_true(seen(r).panicked && woke(r));
    assert_false(seen(r).init);
}

static void the_last_lines_come_whole(void **state)
{
    struct rig *r = *state;
    char out[64];
    assert_int_equal(pod_console_tail(&r->console, 3, out, sizeof(out)), 0);
    assert_string_equal(out, "");
    print(r, "first\nsecond\nthird\n\n");
    assert_int_equal(pod_console_tail(&r->console, 2, out, sizeof(out)), 12);
    assert_string_equal(out, "second\nthird");
    assert_int_equal(pod_console_tail(&r->console, 20, out, sizeof(out)), 18);
    assert_string_equal(out, "first\nsecond\nthird");
    assert_int_equal(pod_console_tail(&r->console, 20, out, 9), 5);
    assert_string_equal(out, "third");
    assert_int_equal(pod_console_tail(&r->console, 0, out, sizeof(out)), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(steps_of_the_first_process_are_seen), CASE(a_step_is_one_line_of_whole_characters),
        CASE(words_elsewhere_are_no_steps),        CASE(steps_are_safe_text_of_limited_length),
        CASE(the_log_has_everything_as_safe_text), CASE(a_flood_stays_within_the_log),
        CASE(a_panic_is_seen_and_wakes),           CASE(the_last_lines_come_whole),
    };
    return cmocka_run_group_tests_name("pod/console_log", tests, NULL, NULL);
}
