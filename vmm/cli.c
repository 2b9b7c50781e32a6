/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "version.h"
#include "vmm/doctor.h"
#include "vmm/manual.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/people.h"
#include "vmm/run.h"
#include "vmm/run_options.h"
#include "vmm/trust/commands.h"
#include "vmm/trust/policy.h"
#include "vmm/trust/verify.h"

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

static void print_globals(FILE *out)
{
    if (!CONFIG_OCI)
        return;
    fputs("\n"
          "global options, for commands that deal with containers:\n"
          "  --root DIR             where they are remembered (default /run/caisson)\n"
          "  --log FILE             write errors and warnings there as well\n"
          "  --log-format NAME      text (default) or json\n"
          "  --debug                more of them\n"
          "  --systemd-cgroup       cgroupsPath is slice:prefix:name\n"
          "  --rootless true|false|auto\n"
          "                         do without cgroups that may not be made\n",
          out);
}

static void print_overview(const struct cli_table *table, FILE *out)
{
    fputs("caisson " CAISSON_VERSION ": runs Linux workloads in small virtual machines on /dev/mshv\n"
          "\n"
          "usage: caisson [GLOBAL OPTION...] COMMAND [OPTION...]\n"
          "       caisson help COMMAND\n"
          "       caisson --version | --help\n"
          "\n"
          "commands:\n",
          out);
    print_commands(table, out);
    print_globals(out);
    fputs("\n"
          "exit codes: 0 done, 1 failed, 2 command line not understood\n",
          out);
}

static void print_command_help(const struct cli_command *command, FILE *out)
{
    fprintf(out, "usage: caisson %s %s\n\n%s", command->name, command->usage, command->help);
    if (command->more_help != NULL)
        fputs(command->more_help, out);
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
    if (!command->own_help && asks_for_help(argc, argv)) {
        print_command_help(command, io->out);
        return CLI_EXIT_OK;
    }
    return command->run(io, argc, argv);
}

/* ---- Global options ---- */

static bool set_log_format(struct cli_global *g, const char *value)
{
    g->log_json = is_word(value, "json");
    return g->log_json || is_word(value, "text");
}

static bool set_rootless(struct cli_global *g, const char *value)
{
    g->rootless = is_word(value, "true");
    return g->rootless || is_word(value, "false") || is_word(value, "auto");
}

static bool set_valued(struct cli_global *g, const char *name, const char *value)
{
    if (is_word(name, "--log-format"))
        return set_log_format(g, value);
    if (is_word(name, "--rootless"))
        return set_rootless(g, value);
    *(is_word(name, "--root") ? &g->root : &g->log_path) = value;
    return value[0] != '\0';
}

static bool set_global_flag(struct cli_global *g, const char *argument)
{
    if (is_word(argument, "--debug"))
        g->debug = true;
    else if (is_word(argument, "--systemd-cgroup"))
        g->systemd_cgroup = true;
    else
        return false;
    return true;
}

static const char *find_valued(const char *argument, size_t length)
{
    static const char *const names[] = {"--root", "--log", "--log-format", "--rootless"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && memcmp(names[i], argument, length) == 0)
            return names[i];
    return NULL;
}

/* How many words one global option took: 0: it is none, -1: it was refused. */
static int take_global(const struct cli_io *io, struct cli_global *g, int argc, char **argv)
{
    if (set_global_flag(g, argv[0]))
        return 1;
    const char *equals = strchr(argv[0], '=');
    const char *name = find_valued(argv[0], equals != NULL ? (size_t)(equals - argv[0]) : strlen(argv[0]));
    if (name == NULL)
        return 0;
    const char *value = equals != NULL ? equals + 1 : argc > 1 ? argv[1] : NULL;
    if (value != NULL && set_valued(g, name, value))
        return equals != NULL ? 1 : 2;
    (void)cli_refuse(io, NULL, value == NULL ? "no value behind" : "not a value for that option:", argv[0]);
    return -1;
}

static int dispatch_command(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    if (argc < 1) {
        fputs("caisson: no command given; see 'caisson --help'\n", io->err);
        return CLI_EXIT_USAGE;
    }
    if (is_word(argv[0], "--help") || is_word(argv[0], "-h") || is_word(argv[0], "help")) {
        return run_help(table, io, argc, argv);
    }
    if (is_word(argv[0], "--version") || is_word(argv[0], "-V") || is_word(argv[0], "-v")) {
        return run_version(io, argc, argv);
    }
    if (is_option(argv[0])) {
        return cli_refuse(io, NULL, "unknown option", argv[0]);
    }
    return run_command(table, io, argc, argv);
}

static int dispatch(const struct cli_table *table, const struct cli_io *io, int argc, char **argv)
{
    struct cli_global global = {.root = NULL};
    struct cli_io with_global = *io;
    with_global.global = &global;
    while (CONFIG_OCI && argc > 0) {
        int taken = take_global(io, &global, argc, argv);
        if (taken < 0)
            return CLI_EXIT_USAGE;
        if (taken == 0)
            break;
        argc -= taken;
        argv += taken;
    }
    return dispatch_command(table, &with_global, argc, argv);
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

/* ---- The commands ---- */

/* Three forms: a container from a bundle, one without, a machine without containers. */
static int run_any(const struct cli_io *io, int argc, char **argv)
{
    return CONFIG_OCI && oci_run_wants(argc, argv) ? oci_run_main(io, argc, argv) : run_main(io, argc, argv);
}

#define OCI_ROW(command, words)                                                                                        \
    {                                                                                                                  \
        .name = #command, .summary = words, .usage = CONFIG_OCI ? oci_##command##_usage : "",                          \
        .help = CONFIG_OCI ? oci_##command##_help : NULL, .symbol = "OCI",                                             \
        .run = CONFIG_OCI ? oci_##command##_main : NULL,                                                               \
    }

#define TRUST_ROW(command, option, words)                                                                              \
    {                                                                                                                  \
        .name = #command, .summary = words, .usage = CONFIG_##option ? trust_##command##_usage : "",                   \
        .help = CONFIG_##option ? trust_##command##_help : NULL, .symbol = #option,                                    \
        .run = CONFIG_##option ? trust_command_##command : NULL,                                                       \
    }

static const struct cli_command commands[] = {
    {
        .name = "run",
        .summary = CONFIG_OCI ? "run a container, or a command in a virtual machine without containers"
                              : "boot a Linux kernel in a virtual machine and run a command in it",
        .usage = CONFIG_OCI   ? oci_run_usage
                 : CONFIG_RUN ? run_options_usage
                              : "",
        .help = CONFIG_OCI   ? oci_run_help
                : CONFIG_RUN ? run_options_help
                             : NULL,
        .more_help = CONFIG_OCI ? run_options_help : NULL,
        .symbol = "RUN",
        .run = CONFIG_RUN ? run_any : NULL,
    },
    OCI_ROW(create, "make a container from a bundle, ready to start"),
    OCI_ROW(start, "let a created container run its program"),
    {
        .name = "exec",
        .summary = "run another process in a container",
        .usage = CONFIG_OCI ? oci_exec_usage : "",
        .help = CONFIG_OCI ? oci_exec_help : NULL,
        .own_help = true,
        .symbol = "OCI",
        .run = CONFIG_OCI ? oci_exec_main : NULL,
    },
    OCI_ROW(state, "print the state of a container as JSON"),
    OCI_ROW(list, "list containers"),
    OCI_ROW(ps, "list the processes of a container"),
    OCI_ROW(kill, "send a signal to a container"),
    OCI_ROW(delete, "remove a container that has stopped"),
    OCI_ROW(pause, "hold all processes of a container"),
    OCI_ROW(resume, "let the processes of a paused container go on"),
    OCI_ROW(update, "change limits of a container"),
    OCI_ROW(events, "print statistics and out-of-memory events of a container"),
    OCI_ROW(spec, "write a config.json to begin with"),
    OCI_ROW(features, "print what is supported, as JSON"),
    OCI_ROW(logs, "print the log of a container's pod"),
    OCI_ROW(console, "print what the kernel of a container's pod has said"),
    OCI_ROW(inspect, "print all that is known of a container and its pod"),
    OCI_ROW(top, "show what running containers use"),
    {
        .name = "measure",
        .summary = "compute what the registers of a pod would hold, without one",
        .usage = CONFIG_MEASURE && CONFIG_OCI ? trust_measure_usage : "",
        .help = CONFIG_MEASURE && CONFIG_OCI ? trust_measure_help : NULL,
        .symbol = "MEASURE",
        .run = CONFIG_MEASURE && CONFIG_OCI ? trust_command_measure : NULL,
    },
    {
        .name = "policy",
        .summary = "make, explain, check and sign launch policies",
        .usage = CONFIG_LAUNCH_POLICY && CONFIG_OCI ? trust_policy_usage : "",
        .help = CONFIG_LAUNCH_POLICY && CONFIG_OCI ? trust_policy_help : NULL,
        .symbol = "LAUNCH_POLICY",
        .run = CONFIG_LAUNCH_POLICY && CONFIG_OCI ? trust_policy_main : NULL,
    },
    TRUST_ROW(quote, ATTEST, "ask a container's pod for evidence of what it runs"),
    TRUST_ROW(secret, SECRETS, "send a secret to a pod whose evidence is good"),
    {
        .name = "verify",
        .summary = "judge the evidence of what a pod runs",
        .usage = CONFIG_ATTEST ? trust_verify_usage : "",
        .help = CONFIG_ATTEST ? trust_verify_help : NULL,
        .symbol = "ATTEST",
        .run = CONFIG_ATTEST ? trust_verify_main : NULL,
    },
    {
        .name = "doctor",
        .summary = "tell what this host offers, what is missing, and what to do about it",
        .usage = CONFIG_DOCTOR_JSON ? "[--json]" : "",
        .help = CONFIG_DOCTOR ? doctor_help : NULL,
        .symbol = "DOCTOR",
        .run = CONFIG_DOCTOR ? doctor_main : NULL,
    },
    {
        .name = "manual",
        .summary = "print the manual page",
        .usage = "",
        .help = CONFIG_MANUAL ? manual_help : NULL,
        .symbol = "MANUAL",
        .run = CONFIG_MANUAL ? manual_main : NULL,
    },
    {
        .name = "completion",
        .summary = "print a script by which a shell completes command lines",
        .usage = "bash|zsh|fish",
        .help = CONFIG_MANUAL ? completion_help : NULL,
        .symbol = "MANUAL",
        .run = CONFIG_MANUAL ? completion_main : NULL,
    },
};

const struct cli_table cli_commands = {.commands = commands, .count = sizeof commands / sizeof commands[0]};
