/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "version.h"
#include "vmm/doctor.h"
#include "vmm/run.h"
#include "vmm/run_options.h"

static bool is_word(const char *argument, const char *word)
{
    return strcmp(argument, word) == 0;
}

static bool is_option(const char *argument)
{
    return argument[0] == '-';
}

int cli_refuse(const struct cli_io *io, const char *command, const char *what, const char *which)
{
    char shown[256];
    struct text t;
    text_init(&t, shown, sizeof shown);
    text_add(&t, "%s", which);
    if (command == NULL) {
        fprintf(io->err, "caisson: %s '%s'; see 'caisson --help'\n", what, shown);
    } else {
        fprintf(io->err, "caisson %s: %s '%s'; see 'caisson help %s'\n", command, what, shown, command);
    }
    return CLI_EXIT_USAGE;
}

static bool mark_flag(const struct cli_flag *flags, size_t count, const char *argument)
{
    for (size_t i = 0; i < count; i++) {
        if (is_word(argument, flags[i].name)) {
            *flags[i].seen = true;
            return true;
        }
    }
    return false;
}

int cli_parse_flags(const struct cli_io *io, int argc, char **argv, const struct cli_flag *flags, size_t count)
{
    for (int i = 1; i < argc; i++) {
        if (!mark_flag(flags, count, argv[i])) {
            return cli_refuse(io, argv[0], is_option(argv[i]) ? "unknown option" : "unexpected argument", argv[i]);
        }
    }
    return CLI_EXIT_OK;
}

static const struct cli_command *find_command(const struct cli_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (is_word(name, table->commands[i].name)) {
            return &table->commands[i];
        }
    }
    return NULL;
}

static void print_commands(const struct cli_table *table, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < table->count; i++) {
        if (table->commands[i].run != NULL) {
            fprintf(out, "  %-10s %s\n", table->commands[i].name, table->commands[i].summary);
            any = true;
        }
    }
    if (!any) {
        fputs("  none in this build\n", out);
    }
}

static void print_overview(const struct cli_table *table, FILE *out)
{
    fputs("caisson " CAISSON_VERSION ": runs Linux workloads in small virtual machines on /dev/mshv\n"
          "\n"
          "usage: caisson COMMAND [OPTION...]\n"
          "       caisson help COMMAND\n"
          "       caisson --version | --help\n"
          "\n"
          "commands:\n",
          out);
    print_commands(table, out);
    fputs("\n"
          "exit codes: 0 done, 1 failed, 2 command line not understood\n",
          out);
}

static void print_command_help(const struct cli_command *command, FILE *out)
{
    fprintf(out, "usage: caisson %s %s\n\n%s", command->name, command->usage, command->help);
}

static int refuse_command(const struct cli_io *io, const struct cli_command *command, const char *name)
{
    char what[128];
    struct text t;
    text_init(&t, what, sizeof what);
    if (command == NULL) {
        text_add(&t, "unknown command");
    } else {
        text_add(&t, "CONFIG_%s is off in this build, so there is no command", command->symbol);
    }
    return cli_refuse(io, NULL, what, name);
}

/* argv[0] is "help". */
static int run_help(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    if (argc > 2) {
        return cli_refuse(io, NULL, "unexpected argument", argv[2]);
    }
    if (argc == 1) {
        print_overview(table, io->out);
        return CLI_EXIT_OK;
    }
    const struct cli_command *command = find_command(table, argv[1]);
    if (command == NULL || command->run == NULL) {
        return refuse_command(io, command, argv[1]);
    }
    print_command_help(command, io->out);
    return CLI_EXIT_OK;
}

static int run_version(const struct cli_io *io, int argc, char **argv)
{
    if (argc > 1) {
        return cli_refuse(io, NULL, "unexpected argument", argv[1]);
    }
    fputs("caisson " CAISSON_VERSION "\n", io->out);
    return CLI_EXIT_OK;
}

/* Options end at "--"; what follows belongs to the workload and may well be called --help. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && !is_word(argv[i], "--"); i++) {
        if (is_word(argv[i], "--help")) {
            return true;
        }
    }
    return false;
}

static int run_command(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    const struct cli_command *command = find_command(table, argv[0]);
    if (command == NULL || command->run == NULL) {
        return refuse_command(io, command, argv[0]);
    }
    if (asks_for_help(argc, argv)) {
        print_command_help(command, io->out);
        return CLI_EXIT_OK;
    }
    return command->run(io, argc, argv);
}

static int dispatch(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    if (argc < 1) {
        fputs("caisson: no command given; see 'caisson --help'\n", io->err);
        return CLI_EXIT_USAGE;
    }
    if (is_word(argv[0], "--help") || is_word(argv[0], "-h") || is_word(argv[0], "help")) {
        return run_help(table, io, argc, argv);
    }
    if (is_word(argv[0], "--version") || is_word(argv[0], "-V")) {
        return run_version(io, argc, argv);
    }
    if (is_option(argv[0])) {
        return cli_refuse(io, NULL, "unknown option", argv[0]);
    }
    return run_command(table, io, argc, argv);
}

/* A reader that went away, or a full disk, must not look like success to a script. */
static int check_output(const struct cli_io *io, int code)
{
    if (fflush(io->out) == 0 && !ferror(io->out)) {
        return code;
    }
    fprintf(io->err, "caisson: cannot write the output: %s\n", strerror(errno));
    return code == CLI_EXIT_OK ? CLI_EXIT_FAILURE : code;
}

int cli_main(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    int code = argc > 0 ? dispatch(table, io, argc - 1, argv + 1) : dispatch(table, io, 0, NULL);
    return check_output(io, code);
}

static const struct cli_command commands[] = {
    {
        .name = "run",
        .summary = "boot a Linux kernel in a virtual machine and run a command in it",
        .usage = run_options_usage,
        .help = CONFIG_RUN ? run_options_help : NULL,
        .symbol = "RUN",
        .run = CONFIG_RUN ? run_main : NULL,
    },
    {
        .name = "doctor",
        .summary = "tell what this host offers, what is missing, and what to do about it",
        .usage = CONFIG_DOCTOR_JSON ? "[--json]" : "",
        .help = CONFIG_DOCTOR ? doctor_help : NULL,
        .symbol = "DOCTOR",
        .run = CONFIG_DOCTOR ? doctor_main : NULL,
    },
};

const struct cli_table cli_commands = {.commands = commands, .count = sizeof commands / sizeof commands[0]};
