/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static uint64_t fixed_clock(void)
{
    return UINT64_C(12345678901);
}

struct fixture {
    struct log log;
    int ends[2];
    char line[2 * LOG_LINE_BYTES];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || pipe2(f->ends, O_NONBLOCK) != 0) {
        free(f);
        return -1;
    }
    log_init(&f->log, f->ends[1], LOG_LEVEL_INFO, "web-1", fixed_clock);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

/* What was written so far, "" if nothing. */
static const char *written(struct fixture *f)
{
    ssize_t got = read(f->ends[0], f->line, sizeof f->line - 1);
    f->line[got > 0 ? got : 0] = '\0';
    return f->line;
}

static void line_has_time_level_vm_and_vcpu(void **state)
{
    struct fixture *f = *state;
    log_write(&f->log, LOG_LEVEL_WARN, 2, "bad register 0x%x", 7u);
    assert_string_equal(written(f), "12.345678 warn vm=web-1 vcpu=2 bad register 0x7\n");
}

static void line_outside_a_vcpu_names_none(void **state)
{
    struct fixture *f = *state;
    log_write(&f->log, LOG_LEVEL_ERROR, LOG_NO_VCPU, "stop");
    assert_string_equal(written(f), "12.345678 error vm=web-1 stop\n");
}

static void log_without_a_vm_names_none(void **state)
{
    struct fixture *f = *state;
    log_init(&f->log, f->ends[1], LOG_LEVEL_INFO, NULL, fixed_clock);
    log_write(&f->log, LOG_LEVEL_INFO, LOG_NO_VCPU, "hello");
    assert_string_equal(written(f), "12.345678 info hello\n");
}

static void more_talkative_level_is_not_written(void **state)
{
    struct fixture *f = *state;
    log_write(&f->log, LOG_LEVEL_DEBUG, LOG_NO_VCPU, "details");
    assert_string_equal(written(f), "");
    assert_false(log_wants(&f->log, LOG_LEVEL_DEBUG));
}

static void debug_lines_need_the_build_option(void **state)
{
    struct fixture *f = *state;
    log_init(&f->log, f->ends[1], LOG_LEVEL_DEBUG, NULL, fixed_clock);
    assert_int_equal(log_wants(&f->log, LOG_LEVEL_DEBUG), CONFIG_LOG_DEBUG);
}

static void guest_text_cannot_start_a_line_of_its_own(void **state)
{
    struct fixture *f = *state;
    log_write(&f->log, LOG_LEVEL_INFO, 0, "guest says %s", "x\n0.0 error forged");
    assert_string_equal(written(f), "12.345678 info vm=web-1 vcpu=0 guest says x?0.0 error forged\n");
}

static void over_long_line_is_cut_and_still_ends_in_a_newline(void **state)
{
    struct fixture *f = *state;
    char much[2 * LOG_LINE_BYTES];
    memset(much, 'm', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    log_write(&f->log, LOG_LEVEL_INFO, 0, "%s", much);
    assert_int_equal(strlen(written(f)), LOG_LINE_BYTES);
    assert_string_equal(f->line + LOG_LINE_BYTES - 4, "...\n");
}

static void over_long_vm_id_is_cut(void **state)
{
    struct fixture *f = *state;
    char id[2 * LOG_VM_ID_BYTES];
    memset(id, 'i', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    log_init(&f->log, f->ends[1], LOG_LEVEL_INFO, id, fixed_clock);
    assert_int_equal(strlen(f->log.vm_id), LOG_VM_ID_BYTES - 1);
}

static void line_that_cannot_be_written_is_counted(void **state)
{
    struct fixture *f = *state;
    log_init(&f->log, -1, LOG_LEVEL_INFO, NULL, fixed_clock);
    log_write(&f->log, LOG_LEVEL_INFO, LOG_NO_VCPU, "hello");
    assert_int_equal(atomic_load(&f->log.lost), 1);
}

static void own_clock_is_used_when_none_is_given(void **state)
{
    struct fixture *f = *state;
    log_init(&f->log, f->ends[1], LOG_LEVEL_INFO, NULL, NULL);
    assert_true(f->log.now_ns() <= f->log.now_ns());
}

static void limit_allows_a_burst_and_then_refuses(void **state)
{
    struct log_limit limit = {.burst = 2, .interval_ns = 100};
    (void)state;
    assert_true(log_limit_allow(&limit, 10, NULL));
    assert_true(log_limit_allow(&limit, 11, NULL));
    assert_false(log_limit_allow(&limit, 12, NULL));
}

static void limit_opens_again_and_tells_how_many_were_refused(void **state)
{
    struct log_limit limit = {.burst = 1, .interval_ns = 100};
    uint64_t suppressed = 99;
    (void)state;
    assert_true(log_limit_allow(&limit, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_allow(&limit, 1001, &suppressed));
    assert_false(log_limit_allow(&limit, 1099, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_allow(&limit, 1100, &suppressed));
    assert_int_equal(suppressed, 2);
}

static void refusals_are_told_once(void **state)
{
    struct log_limit limit = {.burst = 1, .interval_ns = 100, .suppressed = 5};
    uint64_t suppressed = 0;
    (void)state;
    assert_true(log_limit_allow(&limit, 1000, NULL));
    assert_true(log_limit_allow(&limit, 2000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void once_is_true_for_the_first_caller_only(void **state)
{
    atomic_flag said = ATOMIC_FLAG_INIT;
    (void)state;
    assert_true(log_once_first(&said));
    assert_false(log_once_first(&said));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_has_time_level_vm_and_vcpu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(line_outside_a_vcpu_names_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_without_a_vm_names_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_talkative_level_is_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(debug_lines_need_the_build_option, set_up, tear_down),
        cmocka_unit_test_setup_teardown(guest_text_cannot_start_a_line_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_long_line_is_cut_and_still_ends_in_a_newline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_long_vm_id_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(line_that_cannot_be_written_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_clock_is_used_when_none_is_given, set_up, tear_down),
        cmocka_unit_test(limit_allows_a_burst_and_then_refuses),
        cmocka_unit_test(limit_opens_again_and_tells_how_many_were_refused),
        cmocka_unit_test(refusals_are_told_once),
        cmocka_unit_test(once_is_true_for_the_first_caller_only),
    };
    return cmocka_run_group_tests_name("common/log", tests, NULL, NULL);
}
