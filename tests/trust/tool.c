/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/trust/tool.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"evidence", tool_evidence},
    {"crypto", tool_crypto},
    {"log", tool_log},
    {"measured-log", tool_measured_log},
    {"replay", tool_replay},
    {"quote", tool_quote},
    {"read-quote", tool_read_quote},
    {"read-signature", tool_read_signature},
    {"read-registers", tool_read_registers},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "trust-tool: no such command; they are in tests/trust/tool.h\n");
    return 2;
}
