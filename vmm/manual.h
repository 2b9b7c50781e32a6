/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MANUAL_H
#define CAISSON_VMM_MANUAL_H

/*
 * `caisson manual` prints the manual page, `caisson completion SHELL` what a shell needs to complete command lines.
 * Both are made from the table of commands and their help, so that they cannot say anything else than --help does.
 */

#include <stdio.h>

#include "vmm/cli.h"

/* The page, section 1, as source for man. */
void manual_print(const struct cli_table *table, FILE *out);

/* The script for "bash", "zsh" or "fish"; -1: no such shell, nothing printed. */
int completion_print(const struct cli_table *table, const char *shell, FILE *out);

extern const char manual_help[], completion_help[];
int manual_main(const struct cli_io *io, int argc, char **argv);
int completion_main(const struct cli_io *io, int argc, char **argv);

#endif
