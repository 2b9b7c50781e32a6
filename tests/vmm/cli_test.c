/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "version.h"
#include "vmm/cli.h"

struct fixture {
    struct cli_io io;
    char *out;
    char *err;
    size_t out_size;
    size_t err_size;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return -1;
    }
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
    free(f);
    return 0;
}

/* A command that shows its arguments, refuses unknown flags and returns 7. */
static int run_echo(const struct cli_io *io, int argc, char **argv)
{
    bool loud = false;
    const struct cli_flag flags[] = {{"--loud", &loud}};
    int code = cli_parse_flags(io, argc, argv, flags, 1);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    fprintf(io->out, "%s%s", argv[0], loud ? "!" : ".");
    return 7;
}

static int run_raw(const struct cli_io *io, int argc, char **argv)
{
    fprintf(io->out, "%d %s", argc, argv[argc - 1]);
    return CLI_EXIT_OK;
}

static const struct cli_command made_up_commands[] = {
    {.name = "echo", .summary = "says its name", .usage = "[--loud]", .help = "Says it.\n", .run = run_echo},
    {.name = "raw", .summary = "takes anything", .usage = "ARG...", .help = "Takes it.\n", .run = run_raw},
    {.name = "gone", .summary = "is left out", .usage = "", .help = "", .symbol = "GONE", .run = NULL},
};

static const struct cli_table made_up = {made_up_commands, sizeof made_up_commands / sizeof made_up_commands[0]};

/* Run `caisson a b c`; arguments after the last are NULL. */
static int run(struct fixture *f, const struct cli_table *table, const char *a, const char *b, const char *c)
{
    const char *given[] = {"caisson", a, b, c, NULL};
    char *argv[5] = {NULL};
    int argc = 0;
    while (given[argc] != NULL) {
        argv[argc] = strdup(given[argc]);
        argc++;
    }
    int code = cli_main(table, &f->io, argc, argv);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    fflush(f->io.out);
    fflush(f->io.err);
    return code;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (const char *p = text; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    return lines;
}

static void assert_refused(void **state, const char *a, const char *b, const char *c, const char *line)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, a, b, c), 2);
    assert_string_equal(f->err, line);
    assert_string_equal(f->out, "");
}

static void version_is_printed_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "--version", NULL, NULL), 0);
    assert_string_equal(f->out, "caisson " CAISSON_VERSION "\n");
    assert_string_equal(f->err, "");
}

static void short_version_option_is_the_same(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "-V", NULL, NULL), 0);
    assert_string_equal(f->out, "caisson " CAISSON_VERSION "\n");
}

static void help_lists_each_command_with_its_summary(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "--help", NULL, NULL), 0);
    assert_non_null(strstr(f->out, "  echo       says its name\n"));
    assert_non_null(strstr(f->out, "  raw        takes anything\n"));
}

static void help_hides_commands_left_out_of_the_build(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "--help", NULL, NULL), 0);
    assert_null(strstr(f->out, "gone"));
}

static void help_of_a_build_without_commands_says_so(void **state)
{
    struct fixture *f = *state;
    const struct cli_table none = {&made_up_commands[2], 1};
    assert_int_equal(run(f, &none, "--help", NULL, NULL), 0);
    assert_non_null(strstr(f->out, "commands:\n  none in this build\n"));
}

static void all_spellings_of_help_print_the_same(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "--help", NULL, NULL), 0);
    size_t once = strlen(f->out);
    char *first = strdup(f->out);
    assert_int_equal(run(f, &made_up, "-h", NULL, NULL), 0);
    assert_string_equal(f->out + once, first);
    assert_int_equal(run(f, &made_up, "help", NULL, NULL), 0);
    assert_string_equal(f->out + 2 * once, first);
    free(first);
}

static void help_of_a_command_shows_usage_and_text(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "help", "echo", NULL), 0);
    assert_string_equal(f->out, "usage: caisson echo [--loud]\n\nSays it.\n");
}

static void help_option_of_a_command_is_the_same(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "echo", "--help", NULL), 0);
    assert_string_equal(f->out, "usage: caisson echo [--loud]\n\nSays it.\n");
}

static void help_option_after_two_dashes_belongs_to_the_command(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "raw", "--", "--help"), 0);
    assert_string_equal(f->out, "3 --help");
}

static void command_gets_its_arguments_and_gives_the_exit_code(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "echo", "--loud", NULL), 7);
    assert_string_equal(f->out, "echo!");
}

static void unknown_command_is_refused_by_name(void **state)
{
    assert_refused(state, "frob", NULL, NULL, "caisson: unknown command 'frob'; see 'caisson --help'\n");
}

static void unknown_option_is_refused_by_name(void **state)
{
    assert_refused(state, "--frob", NULL, NULL, "caisson: unknown option '--frob'; see 'caisson --help'\n");
}

static void no_command_is_refused(void **state)
{
    assert_refused(state, NULL, NULL, NULL, "caisson: no command given; see 'caisson --help'\n");
}

static void empty_command_is_refused(void **state)
{
    assert_refused(state, "", NULL, NULL, "caisson: unknown command ''; see 'caisson --help'\n");
}

static void command_left_out_names_its_symbol(void **state)
{
    assert_refused(state, "gone", NULL, NULL,
                   "caisson: CONFIG_GONE is off in this build, so there is no command 'gone'; see 'caisson --help'\n");
}

static void help_of_an_unknown_command_is_refused(void **state)
{
    assert_refused(state, "help", "frob", NULL, "caisson: unknown command 'frob'; see 'caisson --help'\n");
}

static void help_with_two_commands_is_refused(void **state)
{
    assert_refused(state, "help", "echo", "raw", "caisson: unexpected argument 'raw'; see 'caisson --help'\n");
}

static void version_with_an_argument_is_refused(void **state)
{
    assert_refused(state, "--version", "echo", NULL, "caisson: unexpected argument 'echo'; see 'caisson --help'\n");
}

static void unknown_option_of_a_command_names_both(void **state)
{
    assert_refused(state, "echo", "--soft", NULL, "caisson echo: unknown option '--soft'; see 'caisson help echo'\n");
}

static void operand_of_a_command_without_operands_is_refused(void **state)
{
    assert_refused(state, "echo", "--loud", "x", "caisson echo: unexpected argument 'x'; see 'caisson help echo'\n");
}

static void refusal_stays_one_line_whatever_the_name(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &made_up, "a\nb\033[2J", NULL, NULL), 2);
    assert_int_equal(count_lines(f->err), 1);
    assert_null(strchr(f->err, '\033'));
}

static void refusal_of_an_over_long_name_is_cut(void **state)
{
    struct fixture *f = *state;
    char name[5001];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(run(f, &made_up, name, NULL, NULL), 2);
    assert_true(strlen(f->err) < 400);
    assert_non_null(strstr(f->err, "...'"));
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
    struct fixture *f = *state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct cli_io io = {.out = full, .err = f->io.err};
    char *argv[] = {strdup("caisson"), strdup("--version"), NULL};
    assert_int_equal(cli_main(&made_up, &io, 2, argv), 1);
    fclose(full);
    fflush(f->io.err);
    assert_string_equal(f->err, "caisson: cannot write the output: No space left on device\n");
    free(argv[0]);
    free(argv[1]);
}

static void start_without_even_a_program_name_is_refused(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {NULL};
    assert_int_equal(cli_main(&made_up, &f->io, 0, argv), 2);
}

static void own_table_has_doctor_as_configured(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, &cli_commands, "help", "doctor", NULL), CONFIG_DOCTOR ? 0 : 2);
}

static void own_commands_fit_the_overview(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands.count; i++) {
        assert_true(strlen(cli_commands.commands[i].name) <= 10);
        assert_true(strlen(cli_commands.commands[i].summary) <= 80);
        assert_true(cli_commands.commands[i].run != NULL || cli_commands.commands[i].symbol != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_is_printed_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_version_option_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_lists_each_command_with_its_summary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_hides_commands_left_out_of_the_build, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_of_a_build_without_commands_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_spellings_of_help_print_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_of_a_command_shows_usage_and_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_option_of_a_command_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_option_after_two_dashes_belongs_to_the_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(command_gets_its_arguments_and_gives_the_exit_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_command_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_option_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_command_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_command_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(command_left_out_names_its_symbol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_of_an_unknown_command_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_with_two_commands_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_with_an_argument_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_option_of_a_command_names_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(operand_of_a_command_without_operands_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusal_stays_one_line_whatever_the_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusal_of_an_over_long_name_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(output_that_cannot_be_written_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(start_without_even_a_program_name_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_table_has_doctor_as_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_commands_fit_the_overview, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("vmm/cli", tests, NULL, NULL);
}
