/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/cli_words.h"
#include "vmm/manual.h"

static int nothing(const struct cli_io *io, int argc, char **argv)
{
    (void)io, (void)argc, (void)argv;
    return 0;
}

static const struct cli_command commands[] = {
    {.name = "exec",
     .summary = "run another command",
     .usage = "[OPTION...] ID",
     .help = "Runs it in ID's namespaces.\n\n"
             "  -e, --env NAME=VALUE  a variable\n"
             "      --tty, --no-tty   a terminal, or none\n"
             "                        --not an option\n"
             "  --net tap=X|fd=N[,mac=ADDRESS]\n"
             ".dot \\ 'quote\n",
     .run = nothing},
    {.name = "gone", .summary = "left out", .usage = "", .help = "", .symbol = "GONE"},
    {.name = "spec", .summary = "print a runtime's configuration", .usage = "", .help = "No options.", .run = nothing},
};
static const struct cli_table table = {commands, 3};

struct output {
    FILE *file;
    char *text;
    size_t size;
};

static int set_up(void **state)
{
    struct output *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -1;
    o->file = open_memstream(&o->text, &o->size);
    *state = o;
    return o->file == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct output *o = *state;
    fclose(o->file);
    free(o->text);
    free(o);
    return 0;
}

static const char *manual(struct output *o)
{
    manual_print(&table, o->file);
    fflush(o->file);
    return o->text;
}

static const char *completion(struct output *o, const char *shell)
{
    assert_int_equal(completion_print(&table, shell, o->file), 0);
    fflush(o->file);
    return o->text;
}

static void assert_name(const struct cli_option *option, unsigned i, const char *name)
{
    assert_true(i < option->names);
    assert_int_equal(option->name[i].length, strlen(name));
    assert_memory_equal(option->name[i].start, name, strlen(name));
}

static void options_are_found_in_the_left_column_only(void **state)
{
    (void)state;
    struct cli_option option;
    const char *cursor = commands[0].help;
    assert_true(cli_next_option(&cursor, &option));
    assert_name(&option, 0, "-e");
    assert_name(&option, 1, "--env");
    assert_true(option.takes_value);
    assert_true(cli_next_option(&cursor, &option));
    assert_name(&option, 0, "--tty");
    assert_name(&option, 1, "--no-tty");
    assert_false(option.takes_value);
    assert_true(cli_next_option(&cursor, &option));
    assert_name(&option, 0, "--net");
    assert_int_equal(option.names, 1);
    assert_true(option.takes_value);
    assert_false(cli_next_option(&cursor, &option));
}

static void an_option_with_its_value_behind_a_sign_is_named_without_it(void **state)
{
    (void)state;
    struct cli_option option;
    const char *cursor = "  --hv=kernel  which\n";
    assert_true(cli_next_option(&cursor, &option));
    assert_name(&option, 0, "--hv");
    assert_true(option.takes_value);
}

static void a_help_without_options_has_none(void **state)
{
    (void)state;
    struct cli_option option;
    const char *cursor = "text";
    assert_false(cli_next_option(&cursor, &option));
    assert_int_equal(option.names, 0);
}

static void the_page_has_the_text_of_help(void **state)
{
    const char *text = manual(*state);
    assert_non_null(strstr(text, ".TH CAISSON 1"));
    assert_non_null(strstr(text, ".SS exec\nrun another command.\n"));
    assert_non_null(strstr(text, "\\-\\-env NAME=VALUE  a variable\n"));
    assert_non_null(strstr(text, "No options.\n.fi\n"));
}

static void no_line_of_help_becomes_a_request(void **state)
{
    const char *text = manual(*state);
    assert_non_null(strstr(text, "\n\\&.dot \\e 'quote\n"));
    assert_null(strstr(text, "\n.dot"));
}

static void what_is_left_out_of_the_build_is_not_in_the_page(void **state)
{
    assert_null(strstr(manual(*state), "gone"));
}

static void bash_completes_commands_options_and_containers(void **state)
{
    const char *text = completion(*state, "bash");
    assert_non_null(strstr(text, "words='exec spec help --help --version'"));
    assert_non_null(strstr(text, "exec) words='-e --env --tty --no-tty --net --help'"));
    assert_non_null(strstr(text, "caisson list -q"));
    assert_null(strstr(text, "gone"));
}

static void zsh_gets_the_script_of_bash_with_its_own_head(void **state)
{
    const char *text = completion(*state, "zsh");
    assert_int_equal(strncmp(text, "#compdef caisson\n", 17), 0);
    assert_non_null(strstr(text, "complete -o default -F _caisson caisson"));
}

static void fish_gets_quoted_summaries_and_short_and_long_options(void **state)
{
    const char *text = completion(*state, "fish");
    assert_non_null(strstr(text, "-a spec -d 'print a runtime\\'s configuration'"));
    assert_non_null(strstr(text, "__fish_seen_subcommand_from exec' -s e -l env -r\n"));
}

static void an_unknown_shell_is_refused(void **state)
{
    struct output *o = *state;
    assert_int_equal(completion_print(&table, "tcsh", o->file), -1);
    fflush(o->file);
    assert_int_equal(o->size, 0);
}

/* What bash itself says of the script, for the commands of this build. */
static void bash_understands_the_script(void **state)
{
    (void)state;
    FILE *bash = popen("bash -n", "w");
    assert_non_null(bash);
    assert_int_equal(completion_print(&cli_commands, "bash", bash), 0);
    assert_int_equal(pclose(bash), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_found_in_the_left_column_only),
        cmocka_unit_test(an_option_with_its_value_behind_a_sign_is_named_without_it),
        cmocka_unit_test(a_help_without_options_has_none),
        cmocka_unit_test_setup_teardown(the_page_has_the_text_of_help, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_line_of_help_becomes_a_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_of_the_build_is_not_in_the_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bash_completes_commands_options_and_containers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zsh_gets_the_script_of_bash_with_its_own_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fish_gets_quoted_summaries_and_short_and_long_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_shell_is_refused, set_up, tear_down),
        cmocka_unit_test(bash_understands_the_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
