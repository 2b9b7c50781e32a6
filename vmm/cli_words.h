/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CLI_WORDS_H
#define CAISSON_VMM_CLI_WORDS_H

/*
 * The options of a command, found in its help: what people read is the one source, also for shell completion.
 *
 * A line that describes an option begins with two to six spaces and a dash: "  -o, --output FILE   what it does". Its
 * left column ends at two spaces in a row.
 */

#include <stdbool.h>
#include <stddef.h>

#define CLI_OPTION_NAMES 3u

struct cli_option {
    struct {
        const char *start; /* into the help; not ended by a NUL */
        size_t length;
    } name[CLI_OPTION_NAMES]; /* with their dashes */
    unsigned names;
    bool takes_value;
};

/* The next option of a help at *cursor, which moves on. False: there is none, *out is empty. */
bool cli_next_option(const char **cursor, struct cli_option *out);

#endif
