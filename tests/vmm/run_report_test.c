/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "vmm/mshv/abi.h"
#include "vmm/run.h"

struct rig {
    struct cli_io io;
    char *text;
    size_t text_size;
    struct attach attach;
    struct console console;
    struct run_report report;
};

static int set_up(void **state)
{
    static const struct console_config config = {.sink_fd = -1};
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL || console_init(&r->console, &config, NULL) < 0)
        return -1;
    r->io.err = open_memstream(&r->text, &r->text_size);
    r->report = (struct run_report){.io = &r->io, .attach = &r->attach, .console = &r->console, .why = ""};
    *state = r;
    return r->io.err == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    fclose(r->io.err);
    console_fini(&r->console);
    free(r->text);
    free(r);
    return 0;
}

static void print(struct rig *r, const char *text)
{
    console_output(&r->console, (const uint8_t *)text, strlen(text));
}

static void expect(struct rig *r, int code)
{
    assert_int_equal(run_report(&r->report), code);
    fflush(r->io.err);
}

static void expect_text(struct rig *r, const char *text)
{
    if (r->text == NULL || strstr(r->text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, r->text == NULL ? "" : r->text);
}

static void expect_no_text(struct rig *r, const char *text)
{
    assert_null(strstr(r->text == NULL ? "" : r->text, text));
}

static void an_exit_code_is_the_commands(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.exit.code = 42;
    print(r, "noise\n");
    expect(r, 42);
    assert_int_equal(r->text_size, 0);
}

static void output_that_a_full_disk_did_not_take_is_not_a_success(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.out.lost = -ENOSPC;
    expect(r, RUN_EXIT_HOST);
    expect_text(r, "cannot write the command's output: No space left on device; ");
}

static void a_signal_adds_128(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.exit = (struct session_exit){.signaled = true, .code = SIGKILL};
    expect(r, 137);
    assert_int_equal(r->text_size, 0);
}

static void what_the_machine_does_after_the_exit_does_not_matter(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.exit.code = 3;
    r->report.end = VM_END_ERROR;
    r->report.why = "too late";
    print(r, "Kernel panic - not syncing: too late\n");
    expect(r, 3);
    assert_int_equal(r->text_size, 0);
}

static void a_signal_that_came_with_the_last_output_does_not_either(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.exit.code = 3;
    r->report.caught = SIGTERM;
    expect(r, 3);
}

static void a_signal_before_all_output_was_written(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_EXITED;
    r->attach.out.end = 1;
    r->report.caught = SIGTERM;
    expect(r, RUN_EXIT_INTERRUPTED);
    expect_text(r, "ended by a signal (Terminated) before all output of the command was written\n");
}

static void a_signal_before_the_command_ran(void **state)
{
    struct rig *r = *state;
    r->report.caught = SIGINT;
    print(r, "booting\n");
    expect(r, RUN_EXIT_INTERRUPTED);
    expect_text(r, "ended by a signal (Interrupt) before the command ran\n");
    expect_no_text(r, "booting");
}

static void a_signal_while_it_ran(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_RUNNING;
    r->report.caught = SIGTERM;
    expect(r, RUN_EXIT_INTERRUPTED);
    expect_text(r, "while the command ran\n");
}

static void switched_off(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_POWER_OFF;
    print(r, "reboot: Power down\r\n");
    expect(r, RUN_EXIT_POWER_OFF);
    expect_text(r, "switched off before the command had ended\n");
    expect_text(r, "the last lines of the guest's console:\nreboot: Power down\n");
}

static void the_console_is_not_shown_twice(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_POWER_OFF;
    r->report.console_shown = true;
    print(r, "reboot: Power down\r\n");
    expect(r, RUN_EXIT_POWER_OFF);
    expect_no_text(r, "Power down");
}

static void an_empty_console_is_not_mentioned(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_POWER_OFF;
    expect(r, RUN_EXIT_POWER_OFF);
    expect_no_text(r, "console");
}

static void the_consoles_text_is_made_safe(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_POWER_OFF;
    print(r, "\033]0;evil\007\n");
    expect(r, RUN_EXIT_POWER_OFF);
    expect_text(r, "?]0;evil?\n");
}

static void reset(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_RESET;
    expect(r, RUN_EXIT_RESET);
    expect_text(r, "reset itself before the command had ended\n");
}

static void triple_fault(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_TRIPLE_FAULT;
    r->report.why = "VP 3 could not deliver";
    expect(r, RUN_EXIT_TRIPLE_FAULT);
    expect_text(r, "caisson run: VP 3 could not deliver\n");
}

static void what_cannot_be_served(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_ERROR;
    r->report.why = "no such mode";
    expect(r, RUN_EXIT_UNSERVED);
    expect_text(r, "the guest was stopped: no such mode\n");
}

static void what_the_host_failed_at(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_HOST;
    r->report.why = "cannot run a VP";
    expect(r, RUN_EXIT_HOST);
    expect_text(r, "caisson run: the host failed: cannot run a VP\n");
}

static void the_debug_exit_is_the_guests_code_and_says_nothing(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_DEBUG_EXIT;
    r->report.exit_code = 77;
    print(r, "hello\n");
    expect(r, 77);
    assert_int_equal(r->text_size, 0);
}

static void a_panic_explains_the_reset_that_follows(void **state)
{
    struct rig *r = *state;
    r->report.end = VM_END_RESET;
    print(r, "BUG: unable to handle page fault\nKernel panic - not syncing: Fatal exception\n");
    expect(r, RUN_EXIT_PANIC);
    expect_text(r, "kernel failed: Kernel panic - not syncing: Fatal exception\n");
    expect_text(r, "the first it said of it: BUG: unable to handle page fault\n");
    expect_no_text(r, "reset itself");
}

static void a_panic_alone_is_said_once(void **state)
{
    struct rig *r = *state;
    print(r, "Kernel panic - not syncing: no init\n");
    expect(r, RUN_EXIT_PANIC);
    expect_no_text(r, "the first it said");
}

static void a_broken_session(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_FAILED;
    strcpy(r->attach.text, "no memory");
    expect(r, RUN_EXIT_PROTOCOL);
    expect_text(r, "the session with the guest's first process broke: no memory\n");
}

static void a_first_process_that_gave_up_and_switched_off(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_FAILED;
    strcpy(r->attach.text, "no memory");
    r->report.end = VM_END_POWER_OFF;
    expect(r, RUN_EXIT_PROTOCOL);
    expect_text(r, "no memory");
    r->report.end = VM_END_RESET;
    expect(r, RUN_EXIT_PROTOCOL);
}

static void a_broken_session_of_a_broken_machine(void **state)
{
    struct rig *r = *state;
    r->attach.state = ATTACH_FAILED;
    r->report.end = VM_END_TRIPLE_FAULT;
    expect(r, RUN_EXIT_TRIPLE_FAULT);
}

static void not_ready_and_nothing_heard(void **state)
{
    struct rig *r = *state;
    r->report.late = true;
    r->report.ready_seconds = 7;
    print(r, "Linux version 6\n");
    expect(r, RUN_EXIT_NOT_READY);
    expect_text(r, "not ready within 7 s\n");
    expect_text(r, "had not been heard of yet\n");
    expect_text(r, "Linux version 6\n");
}

static void not_ready_and_its_last_words(void **state)
{
    struct rig *r = *state;
    r->report.late = true;
    r->attach.state = ATTACH_PREPARING;
    strcpy(r->attach.text, "waiting for a disk");
    expect(r, RUN_EXIT_NOT_READY);
    expect_text(r, "the last it said: waiting for a disk\n");
}

static void where_processors_stand(void **state)
{
    struct rig *r = *state;
    r->report.late = true;
    r->report.vps = 6;
    r->report.processor[0] = (struct launch_vp){.known = true, .rip = 0xabc, .rflags = 0x200};
    r->report.processor[1] = (struct launch_vp){.known = true, .activity = HV_ACTIVITY_STARTUP_SUSPEND};
    r->report.processor[2] = (struct launch_vp){.known = true, .activity = HV_ACTIVITY_HALT_SUSPEND, .rflags = 0x200};
    r->report.processor[3] = (struct launch_vp){.known = true, .activity = HV_ACTIVITY_HALT_SUSPEND};
    r->report.processor[4] = (struct launch_vp){.known = true};
    expect(r, RUN_EXIT_NOT_READY);
    expect_text(r, "VP 0 runs, RIP abc\n");
    expect_text(r, "VP 1 waits to be started");
    expect_text(r, "VP 2 is halted and waits for an interrupt");
    expect_text(r, "VP 3 is halted with interrupts off");
    expect_text(r, "VP 4 runs with interrupts off");
    expect_no_text(r, "VP 5");
}

static void times_of_a_whole_run(void **state)
{
    static const struct run_times t = {.start_ns = 1000000,
                                       .image_ns = 2000000,
                                       .built_ns = 4000000,
                                       .entered_ns = 7000000,
                                       .hello_ns = 11000000,
                                       .ready_ns = 16000000,
                                       .exit_ns = 22000000,
                                       .end_ns = 29500000};
    static const char *const values[] = {"1.0 ms", "2.0 ms", "3.0 ms", "4.0 ms",
                                         "5.0 ms", "6.0 ms", "7.5 ms", "28.5 ms"};
    struct rig *r = *state;
    run_report_times(&r->io, &t);
    fflush(r->io.err);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        expect_text(r, values[i]);
}

static void phases_that_were_not_reached_are_left_out(void **state)
{
    static const struct run_times t = {
        .start_ns = 1000000, .image_ns = 2000000, .built_ns = 4000000, .entered_ns = 7000000, .end_ns = 9000000};
    struct rig *r = *state;
    run_report_times(&r->io, &t);
    fflush(r->io.err);
    expect_no_text(r, "command");
    expect_no_text(r, "ready");
    expect_text(r, "2.0 ms");
    expect_text(r, "8.0 ms");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(an_exit_code_is_the_commands),
        CASE(output_that_a_full_disk_did_not_take_is_not_a_success),
        CASE(a_signal_adds_128),
        CASE(what_the_machine_does_after_the_exit_does_not_matter),
        CASE(a_signal_that_came_with_the_last_output_does_not_either),
        CASE(a_signal_before_all_output_was_written),
        CASE(a_signal_before_the_command_ran),
        CASE(a_signal_while_it_ran),
        CASE(switched_off),
        CASE(the_console_is_not_shown_twice),
        CASE(an_empty_console_is_not_mentioned),
        CASE(the_consoles_text_is_made_safe),
        CASE(reset),
        CASE(triple_fault),
        CASE(what_cannot_be_served),
        CASE(what_the_host_failed_at),
        CASE(the_debug_exit_is_the_guests_code_and_says_nothing),
        CASE(a_panic_explains_the_reset_that_follows),
        CASE(a_panic_alone_is_said_once),
        CASE(a_broken_session),
        CASE(a_first_process_that_gave_up_and_switched_off),
        CASE(a_broken_session_of_a_broken_machine),
        CASE(not_ready_and_nothing_heard),
        CASE(not_ready_and_its_last_words),
        CASE(where_processors_stand),
        CASE(times_of_a_whole_run),
        CASE(phases_that_were_not_reached_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
