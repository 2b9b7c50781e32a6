/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/oci/report.h"

struct fixture {
    struct cli_global global;
    struct cli_io io;
    char path[64];
    char *out, *err;
    size_t out_size, err_size;
    char text[65536]; /* of the log */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    strcpy(f->path, "/tmp/caisson-log-XXXXXX");
    int fd = mkstemp(f->path);
    f->global = (struct cli_global){.log_path = f->path, .log_json = true};
    f->io = (struct cli_io){.global = &f->global};
    f->io.out = open_memstream(&f->out, &f->out_size);
    f->io.err = open_memstream(&f->err, &f->err_size);
    *state = f;
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fclose(f->io.out);
    fclose(f->io.err);
    free(f->out);
    free(f->err);
    unlink(f->path);
    free(f);
    return 0;
}

static void read_log(struct fixture *f)
{
    int fd = open(f->path, O_RDONLY);
    ssize_t n = read(fd, f->text, sizeof(f->text) - 1);
    assert_true(n >= 0);
    f->text[n] = '\0';
    close(fd);
    fflush(f->io.err);
}

static int report_on(struct fixture *f, const char *what)
{
    static const char why[] = "no \"such\" thing";
    struct err err;
    const struct err_context context = {.attempted = "use", .on_what = what, .what_to_do = "try again"};
    err_fail_because(&err, -ENOENT, &context, why);
    return oci_report(&f->io, &err);
}

/* What a program above does with the file: the text of the last error. */
static char *last_error(const char *text)
{
    char *found = NULL;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_non_null(strchr(line, '\n'));
        json_t *o = json_loadb(line, (size_t)(strchr(line, '\n') - line), 0, NULL);
        assert_non_null(o);
        if (strcmp(json_string_value(json_object_get(o, "level")), "error") == 0) {
            free(found);
            found = strdup(json_string_value(json_object_get(o, "msg")));
        }
        json_decref(o);
    }
    return found;
}

static void an_error_is_a_line_for_people_and_a_record(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(report_on(f, "x"), CLI_EXIT_FAILURE);
    read_log(f);
    assert_string_equal(f->err, "caisson: cannot use x: no \"such\" thing; try again\n");
    char *text = last_error(f->text);
    assert_string_equal(text, "cannot use x: no \"such\" thing; try again");
    free(text);
}

static void the_last_error_can_be_found_among_warnings(void **state)
{
    struct fixture *f = *state;
    oci_warn(&f->io, "first");
    (void)report_on(f, "x");
    oci_log(&f->io, OCI_LEVEL_INFO, "and after it");
    read_log(f);
    char *text = last_error(f->text);
    assert_non_null(strstr(text, "cannot use x"));
    free(text);
}

static void a_record_has_a_time_that_rfc3339_readers_take(void **state)
{
    struct fixture *f = *state;
    int year, month, day, hour, minute, second, end = 0;
    (void)report_on(f, "x");
    read_log(f);
    json_t *o = json_loads(f->text, 0, NULL);
    const char *when = json_string_value(json_object_get(o, "time"));
    assert_int_equal(sscanf(when, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute, &second, &end), 6);
    assert_int_equal((size_t)end, strlen(when));
    json_decref(o);
}

static void text_records_have_time_level_and_quoted_message(void **state)
{
    struct fixture *f = *state;
    f->global.log_json = false;
    (void)report_on(f, "x");
    read_log(f);
    assert_int_equal(strncmp(f->text, "time=\"", 6), 0);
    assert_non_null(strstr(f->text, " level=error msg=\"cannot use x: no \\\"such\\\" thing; try again\"\n"));
}

static void a_hostile_name_cannot_forge_a_record(void **state)
{
    struct fixture *f = *state;
    (void)report_on(f, "x\n{\"level\":\"error\",\"msg\":\"forged\"}\n\x1b[2J");
    read_log(f);
    assert_ptr_equal(strchr(f->text, '\n'), f->text + strlen(f->text) - 1);
    assert_null(strchr(f->text, 0x1b));
    assert_null(strchr(f->err, 0x1b));
}

static void a_message_of_any_length_is_one_record(void **state)
{
    struct fixture *f = *state;
    char big[5000];
    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    oci_log(&f->io, OCI_LEVEL_ERROR, "%s", big);
    read_log(f);
    char *text = last_error(f->text);
    assert_non_null(strstr(text, "yyy..."));
    free(text);
}

static void debug_records_are_for_debug(void **state)
{
    struct fixture *f = *state;
    oci_log(&f->io, OCI_LEVEL_DEBUG, "hidden");
    read_log(f);
    assert_string_equal(f->text, "");
    f->global.debug = true;
    oci_log(&f->io, OCI_LEVEL_DEBUG, "shown");
    read_log(f);
    assert_non_null(strstr(f->text, "shown"));
}

static void a_log_that_cannot_be_written_is_no_failure_of_its_own(void **state)
{
    struct fixture *f = *state;
    f->global.log_path = "/proc/nowhere/log";
    assert_int_equal(report_on(f, "x"), CLI_EXIT_FAILURE);
    fflush(f->io.err);
    assert_non_null(strstr(f->err, "cannot use x"));
}

static void a_fifo_that_nobody_reads_does_not_hold_a_command_up(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(report_on(f, "x"), CLI_EXIT_FAILURE);
}

static void without_a_log_there_is_only_the_line(void **state)
{
    struct fixture *f = *state;
    f->io.global = NULL;
    assert_int_equal(report_on(f, "x"), CLI_EXIT_FAILURE);
    read_log(f);
    assert_string_equal(f->text, "");
}

static void without_a_log_warnings_are_lines_and_the_rest_is_lost(void **state)
{
    struct fixture *f = *state;
    f->global.log_path = NULL;
    oci_log(&f->io, OCI_LEVEL_WARNING, "look out");
    oci_log(&f->io, OCI_LEVEL_INFO, "by the way");
    fflush(f->io.err);
    assert_string_equal(f->err, "caisson: warning: look out\n");
}

static void a_bad_command_line_is_recorded_as_well(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(oci_report_usage(&f->io, "start", "unknown option", "--x"), CLI_EXIT_USAGE);
    read_log(f);
    char *text = last_error(f->text);
    assert_string_equal(text, "start: unknown option '--x'");
    free(text);
}

static void refusals_of_the_guest_have_the_exit_codes_of_shells(void **state)
{
    (void)state;
    assert_int_equal(oci_exit_of_refusal(-ENOENT, 255), 127);
    assert_int_equal(oci_exit_of_refusal(-EACCES, 255), 126);
    assert_int_equal(oci_exit_of_refusal(-EPERM, 255), 126);
    assert_int_equal(oci_exit_of_refusal(-EPIPE, 255), 255);
    assert_int_equal(oci_exit_of_refusal(0, 1), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_error_is_a_line_for_people_and_a_record),
        CASE(the_last_error_can_be_found_among_warnings),
        CASE(a_record_has_a_time_that_rfc3339_readers_take),
        CASE(text_records_have_time_level_and_quoted_message),
        CASE(a_hostile_name_cannot_forge_a_record),
        CASE(a_message_of_any_length_is_one_record),
        CASE(debug_records_are_for_debug),
        CASE(a_log_that_cannot_be_written_is_no_failure_of_its_own),
        CASE(a_fifo_that_nobody_reads_does_not_hold_a_command_up),
        CASE(without_a_log_there_is_only_the_line),
        CASE(without_a_log_warnings_are_lines_and_the_rest_is_lost),
        CASE(a_bad_command_line_is_recorded_as_well),
        CASE(refusals_of_the_guest_have_the_exit_codes_of_shells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
