/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "common/err.h"
#include "common/relro.h"
#include "vmm/cli.h"

static int seal_tables(const struct cli_io *io)
{
    static const struct err_context context = {
        .attempted = "make the program's own tables read-only",
        .what_to_do = "let the sandbox around this process allow mprotect",
    };
    struct err err;
    int code = relro_seal();
    if (code < 0) {
        err_fail(&err, code, &context);
        fprintf(io->err, "caisson: %s\n", err.text);
    }
    return code;
}

int main(int argc, char **argv)
{
    const struct cli_io io = {.out = stdout, .err = stderr};
    if (seal_tables(&io) < 0) {
        return CLI_EXIT_FAILURE;
    }
    return cli_main(&cli_commands, &io, argc, argv);
}
