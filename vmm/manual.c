/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/manual.h"

#include <stdbool.h>
#include <string.h>

#include "version.h"

const char manual_help[] = "Prints the manual page, made from the texts of --help:\n"
                           "  caisson manual >/usr/local/share/man/man1/caisson.1\n"
                           "  caisson manual | man -l -\n";

/* Text as it stands: dashes that can be copied, backslashes, and no line that begins like a request. */
static void print_plain(const char *text, FILE *out)
{
    bool begin = true;
    for (; *text != '\0'; text++) {
        if (begin && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        begin = *text == '\n';
    }
}

static void print_as_is(const char *text, FILE *out)
{
    fputs(".nf\n", out);
    print_plain(text, out);
    if (text[0] != '\0' && text[strlen(text) - 1] != '\n')
        fputc('\n', out);
    fputs(".fi\n", out);
}

static void print_one(const struct cli_command *command, FILE *out)
{
    fputs(".SS ", out);
    print_plain(command->name, out);
    fputs("\n", out);
    print_plain(command->summary, out);
    fputs(".\n.PP\n.B caisson ", out);
    print_plain(command->name, out);
    fputs(" ", out);
    print_plain(command->usage, out);
    fputs("\n.PP\n", out);
    print_as_is(command->help, out);
}

void manual_print(const struct cli_table *table, FILE *out)
{
    fputs(".TH CAISSON 1 \"\" \"caisson " CAISSON_VERSION "\" \"User commands\"\n"
          ".SH NAME\n"
          "caisson \\- run Linux workloads in small virtual machines\n"
          ".SH SYNOPSIS\n"
          ".B caisson\n"
          "COMMAND [OPTION...]\n"
          ".SH COMMANDS\n",
          out);
    for (size_t i = 0; i < table->count; i++)
        if (table->commands[i].run != NULL)
            print_one(&table->commands[i], out);
    fputs(".SH EXIT STATUS\n"
          "0 done, 1 failed, 2 command line not understood; commands that run something else say their own above.\n",
          out);
}

int manual_main(const struct cli_io *io, int argc, char **argv)
{
    if (argc > 1)
        return cli_refuse(io, argv[0], "unexpected argument", argv[1]);
    manual_print(&cli_commands, io->out);
    return CLI_EXIT_OK;
}
