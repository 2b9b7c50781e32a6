/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli_words.h"

#include <string.h>

/* More is a description that goes on. */
#define INDENT_MIN 2u
#define INDENT_MAX 6u

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* From p to two spaces in a row or the end of the line. */
static size_t left_column(const char *p)
{
    size_t n = 0;
    while (p[n] != '\0' && p[n] != '\n' && !(p[n] == ' ' && p[n + 1] == ' '))
        n++;
    return n;
}

static void read_column(const char *p, size_t n, struct cli_option *out)
{
    size_t i = 0;
    while (i < n) {
        size_t begin = i;
        while (i < n && p[i] != ' ' && p[i] != ',')
            i++;
        if (i > begin && p[begin] != '-')
            out->takes_value = true;
        for (size_t end = begin; i > begin && p[begin] == '-' && out->names < CLI_OPTION_NAMES; end++) {
            if (end < i && is_name_byte(p[end]))
                continue;
            out->name[out->names].start = p + begin;
            out->name[out->names++].length = end - begin;
            out->takes_value = out->takes_value || end < i;
            break;
        }
        while (i < n && (p[i] == ' ' || p[i] == ','))
            i++;
    }
}

bool cli_next_option(const char **cursor, struct cli_option *out)
{
    memset(out, 0, sizeof(*out));
    while (**cursor != '\0') {
        const char *line = *cursor;
        const char *end = strchr(line, '\n');
        *cursor = end != NULL ? end + 1 : line + strlen(line);
        size_t indent = strspn(line, " ");
        if (indent < INDENT_MIN || indent > INDENT_MAX || line[indent] != '-')
            continue;
        read_column(line + indent, left_column(line + indent), out);
        if (out->names > 0)
            return true;
    }
    return false;
}
