/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CLI_H
#define CAISSON_VMM_CLI_H

/*
 * The command line: caisson [--version | --help | [GLOBAL OPTION...] COMMAND [OPTION...]].
 *
 * Each sub-command is one row of a const table. This module finds the row, answers --version, --help, `help COMMAND`
 * and `COMMAND --help` itself, and refuses what it does not know with one line and CLI_EXIT_USAGE. A sub-command parses
 * its own options and reports a bad one through cli_refuse, so that all refusals look alike.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Options before the command, for those that keep state or are run by other programs. Strings are argv's. */
struct cli_global {
    const char *root;     /* --root; NULL: the default */
    const char *log_path; /* --log; NULL: none */
    bool log_json;        /* --log-format json */
    bool debug;           /* --debug */
    bool systemd_cgroup;  /* --systemd-cgroup */
    bool rootless;        /* --rootless true: cgroups that may not be made are done without */
};

enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILURE = 1, /* understood, and did not work out */
    CLI_EXIT_USAGE = 2,   /* not understood: unknown command, option or argument */
};

struct hv_offer; /* hv.h */

/* Where a command talks to; tests put memory streams here. All are borrowed. */
struct cli_io {
    FILE *out;
    FILE *err;
    const struct hv_offer *hv;       /* hypervisors to be had; NULL: none */
    bool seccomp;                    /* the process may be held to the system calls that it needs, for ever */
    bool jail;                       /* likewise, into namespaces and out of its rights */
    const struct cli_global *global; /* filled in by cli_main; NULL: no such options */
};

struct cli_command {
    const char *name;
    const char *summary;   /* one line for the list of commands, no full stop */
    const char *usage;     /* arguments after the name, for "usage: caisson NAME ..." */
    const char *help;      /* what it does, each option, exit codes; complete lines */
    const char *more_help; /* printed behind help; NULL: nothing */
    bool own_help;         /* run understands --help itself, because operands of it may hold that word */
    const char *symbol;    /* Kconfig symbol that leaves the command out of a build, without CONFIG_; NULL: always in */
    /* argv[0] is the command's name, the caller owns all of it. Returns an exit code. NULL: left out of this build. */
    int (*run)(const struct cli_io *io, int argc, char **argv);
};

struct cli_table {
    const struct cli_command *commands;
    size_t count;
};

/* The commands of this build, in the order in which --help lists them. */
extern const struct cli_table cli_commands;

/*
 * Run what the arguments say. argv: as main got it, argv[0] is ignored. Returns the process's exit code; output that
 * could not be written (a full disk, a closed pipe) turns success into CLI_EXIT_FAILURE with a line on io->err.
 */
int cli_main(const struct cli_table *table, const struct cli_io *io, int argc, char **argv);

/*
 * Print the one line of a refusal: "caisson COMMAND: WHAT 'WHICH'; see 'caisson help COMMAND'".
 * command: NULL for the top level. what: such as "unknown option". which: the offending argument, shown with control
 * bytes replaced. Returns CLI_EXIT_USAGE.
 */
int cli_refuse(const struct cli_io *io, const char *command, const char *what, const char *which);

/*
 * For commands without operands: look at argv[1] and on, where every argument must be one of the `count` flags.
 * flags[i].seen (owned by the caller, starts false) becomes true for each flag given. Returns CLI_EXIT_OK, or
 * CLI_EXIT_USAGE after having refused the first argument that is no such flag.
 */
struct cli_flag {
    const char *name; /* with its dashes */
    bool *seen;
};
int cli_parse_flags(const struct cli_io *io, int argc, char **argv, const struct cli_flag *flags, size_t count);

#endif
