/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_RUN_H
#define CAISSON_VMM_RUN_H

#include "vmm/cli.h"

/* Exit codes of caisson itself; run_options_help lists them. Below 110 and from 120 on they are the command's. */
enum run_exit {
    RUN_EXIT_SECCOMP = 109, /* SECCOMP_EXIT */
    RUN_EXIT_FILE = 110,
    RUN_EXIT_HOST = 111,
    RUN_EXIT_NOT_READY = 112,
    RUN_EXIT_PANIC = 113,
    RUN_EXIT_RESET = 114,
    RUN_EXIT_POWER_OFF = 115,
    RUN_EXIT_TRIPLE_FAULT = 116,
    RUN_EXIT_UNSERVED = 117,
    RUN_EXIT_PROTOCOL = 118,
    RUN_EXIT_INTERRUPTED = 119
};

/* `caisson run`: cli.h. Text: run_options.h. */
int run_main(const struct cli_io *io, int argc, char **argv);

#endif
