/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/oci/args.h"

#define WORDS_MAX 16

struct fixture {
    struct cli_io io;
    char *out, *err;
    size_t out_size, err_size;
    char *argv[WORDS_MAX];
    int argc;
    bool force, seen;
    const char *bundle;
    int64_t number;
    struct oci_list env;
    struct oci_operands operands;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    f->io.out = open_memstream(&f->out, &f->out_size);
    f->io.err = open_memstream(&f->err, &f->err_size);
    *state = f;
    return f->io.out == NULL || f->io.err == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fclose(f->io.out);
    fclose(f->io.err);
    free(f->out);
    free(f->err);
    oci_list_free(&f->env);
    free(f);
    return 0;
}

/* line: words with blanks between them; it must stay, as results point into it. */
static int parse(struct fixture *f, char *line, bool anywhere, int min, int max)
{
    const struct oci_option options[] = {
        {"bundle", 'b', OCI_OPTION_TEXT, &f->bundle, &f->seen}, {"force", 'f', OCI_OPTION_FLAG, &f->force, NULL},
        {"number", 0, OCI_OPTION_NUMBER, &f->number, NULL},     {"env", 'e', OCI_OPTION_LIST, &f->env, NULL},
        {"no-pivot", 0, OCI_OPTION_IGNORED, NULL, NULL},        {"criu", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL}};
    f->argc = 0;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        f->argv[f->argc++] = word;
    int code = oci_args_parse(&f->io, f->argc, f->argv, options, sizeof(options) / sizeof(options[0]), anywhere, min,
                              max, &f->operands);
    fflush(f->io.err);
    return code;
}

static void each_spelling_of_a_value_is_understood(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"c --bundle /b ID", "c --bundle=/b ID", "c -b /b ID",     "c -b=/b ID",
                                        "c -b/b ID",        "c -bundle /b ID",  "c -bundle=/b ID"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64];
        strcpy(line, lines[i]);
        f->bundle = NULL;
        assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
        assert_string_equal(f->bundle, "/b");
        assert_string_equal(f->operands.at[0], "ID");
    }
}

static void flags_can_be_set_and_unset_by_value(void **state)
{
    struct fixture *f = *state;
    char on[] = "c -f ID", off[] = "c --force --force=false ID", also[] = "c --force=true ID";
    assert_int_equal(parse(f, on, true, 1, 1), CLI_EXIT_OK);
    assert_true(f->force);
    assert_int_equal(parse(f, off, true, 1, 1), CLI_EXIT_OK);
    assert_false(f->force);
    assert_int_equal(parse(f, also, true, 1, 1), CLI_EXIT_OK);
    assert_true(f->force);
}

static void a_flag_with_another_value_is_refused(void **state)
{
    struct fixture *f = *state;
    char line[] = "c --force=maybe ID";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_USAGE);
    assert_non_null(strstr(f->err, "maybe"));
}

static void options_may_stand_behind_the_operand(void **state)
{
    struct fixture *f = *state;
    char line[] = "c ID --force";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
    assert_true(f->force);
    assert_int_equal(f->operands.count, 1);
}

static void options_behind_the_operand_belong_to_the_command_that_is_run(void **state)
{
    struct fixture *f = *state;
    char line[] = "c -e A=1 ID ls --force -l";
    assert_int_equal(parse(f, line, false, 1, -1), CLI_EXIT_OK);
    assert_false(f->force);
    assert_int_equal(f->operands.count, 4);
    assert_string_equal(f->operands.at[2], "--force");
    assert_null(f->operands.at[4]);
}

static void two_dashes_end_the_options(void **state)
{
    struct fixture *f = *state;
    char line[] = "c -- --force";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
    assert_false(f->force);
    assert_string_equal(f->operands.at[0], "--force");
}

static void one_dash_is_an_operand(void **state)
{
    struct fixture *f = *state;
    char line[] = "c --bundle - -";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
    assert_string_equal(f->bundle, "-");
    assert_string_equal(f->operands.at[0], "-");
}

static void lists_keep_each_occurrence_in_order(void **state)
{
    struct fixture *f = *state;
    char line[] = "c -e A=1 --env B=2 -eC=3 ID";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
    assert_int_equal(f->env.count, 3);
    assert_string_equal(f->env.items[0], "A=1");
    assert_string_equal(f->env.items[1], "B=2");
    assert_string_equal(f->env.items[2], "C=3");
}

static void an_operand_that_is_missing_is_named_by_what_stands_before(void **state)
{
    struct fixture *f = *state;
    char line[] = "c --force";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_USAGE);
    assert_non_null(strstr(f->err, "missing"));
}

static void an_operand_too_many_is_named(void **state)
{
    struct fixture *f = *state;
    char line[] = "c ID other";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_USAGE);
    assert_non_null(strstr(f->err, "other"));
}

static void unknown_options_are_named(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"c --bogus ID", "c -x ID", "c --bogus=1 ID", "c --forc ID", "c -fx ID"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64];
        strcpy(line, lines[i]);
        assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_USAGE);
    }
    assert_non_null(strstr(f->err, "unknown option '--bogus'"));
}

static void a_value_that_is_missing_is_said_so(void **state)
{
    struct fixture *f = *state;
    char line[] = "c ID --bundle";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_USAGE);
    assert_non_null(strstr(f->err, "no value behind '--bundle'"));
}

static void numbers_are_whole_and_fit(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"c --number x", "c --number 1x", "c --number 9223372036854775808", "c --number="};
    char good[] = "c --number -1";
    assert_int_equal(parse(f, good, true, 0, 0), CLI_EXIT_OK);
    assert_int_equal(f->number, -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[64];
        strcpy(line, bad[i]);
        assert_int_equal(parse(f, line, true, 0, 0), CLI_EXIT_USAGE);
    }
}

static void options_that_mean_nothing_here_are_accepted(void **state)
{
    struct fixture *f = *state;
    char line[] = "c --no-pivot --criu /usr/sbin/criu ID";
    assert_int_equal(parse(f, line, true, 1, 1), CLI_EXIT_OK);
    assert_string_equal(f->operands.at[0], "ID");
}

static void it_is_known_whether_an_option_was_given(void **state)
{
    struct fixture *f = *state;
    char without[] = "c ID", with[] = "c -b x ID";
    assert_int_equal(parse(f, without, true, 1, 1), CLI_EXIT_OK);
    assert_false(f->seen);
    assert_int_equal(parse(f, with, true, 1, 1), CLI_EXIT_OK);
    assert_true(f->seen);
}

/* ---- Sizes and signals ---- */

static void sizes_have_units_of_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {{"0", 0},        {"512", 512},    {"512b", 512},     {"1k", 1024},
                {"1K", 1024},    {"2m", 2 << 20}, {"2MB", 2 << 20},  {"2MiB", 2 << 20},
                {"1g", 1 << 30}, {"-1", -1},      {"1t", 1LL << 40}, {"8388607t", 8388607LL << 40}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t bytes;
        assert_true(oci_parse_bytes(rows[i].text, &bytes));
        assert_int_equal(bytes, rows[i].bytes);
    }
}

static void what_is_no_size_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "k",  "-2",   "1x",       "1 k",
                                      " 1", "+1", "1.5g", "8388608t", "99999999999999999999"};
    int64_t bytes;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(oci_parse_bytes(bad[i], &bytes));
}

static void signals_are_known_by_name_and_number(void **state)
{
    (void)state;
    assert_int_equal(oci_parse_signal("TERM"), 15);
    assert_int_equal(oci_parse_signal("SIGTERM"), 15);
    assert_int_equal(oci_parse_signal("sigkill"), 9);
    assert_int_equal(oci_parse_signal("9"), 9);
    assert_int_equal(oci_parse_signal("64"), 64);
    assert_int_equal(oci_parse_signal("RTMIN"), 34);
    assert_int_equal(oci_parse_signal("SIGRTMIN+3"), 37);
    assert_int_equal(oci_parse_signal("rtmax-1"), 63);
    assert_int_equal(oci_parse_signal("SIGRTMAX"), 64);
}

static void what_is_no_signal_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",   "0",       "65",      "-9",       "FOO",    "SIG",    "SIGSIGTERM",
        "9x", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+", "RTMINX", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(oci_parse_signal(bad[i]), -1);
}

/* The table is written for the guest's Linux; on this host it must agree with the C library. */
static void each_signal_below_32_has_a_name_that_means_it(void **state)
{
    (void)state;
    for (int i = 1; i < 32; i++) {
        assert_non_null(oci_signal_name(i));
        assert_int_equal(oci_parse_signal(oci_signal_name(i)), i);
    }
    assert_int_equal(oci_parse_signal("WINCH"), SIGWINCH);
    assert_int_equal(oci_parse_signal("USR2"), SIGUSR2);
    assert_int_equal(oci_parse_signal("PWR"), SIGPWR);
    assert_null(oci_signal_name(40));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(each_spelling_of_a_value_is_understood),
        CASE(flags_can_be_set_and_unset_by_value),
        CASE(a_flag_with_another_value_is_refused),
        CASE(options_may_stand_behind_the_operand),
        CASE(options_behind_the_operand_belong_to_the_command_that_is_run),
        CASE(two_dashes_end_the_options),
        CASE(one_dash_is_an_operand),
        CASE(lists_keep_each_occurrence_in_order),
        CASE(an_operand_that_is_missing_is_named_by_what_stands_before),
        CASE(an_operand_too_many_is_named),
        CASE(unknown_options_are_named),
        CASE(a_value_that_is_missing_is_said_so),
        CASE(numbers_are_whole_and_fit),
        CASE(options_that_mean_nothing_here_are_accepted),
        CASE(it_is_known_whether_an_option_was_given),
        cmocka_unit_test(sizes_have_units_of_1024),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(signals_are_known_by_name_and_number),
        cmocka_unit_test(what_is_no_signal_is_refused),
        cmocka_unit_test(each_signal_below_32_has_a_name_that_means_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
