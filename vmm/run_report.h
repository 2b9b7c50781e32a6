/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is said at the end of a run, and the exit code that goes with it.
 */
#ifndef CAISSON_VMM_RUN_REPORT_H
#define CAISSON_VMM_RUN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/attach.h"
#include "vmm/cli.h"
#include "vmm/console.h"
#include "vmm/launch.h"
#include "vmm/vm.h"

struct run_report {
    const struct cli_io *io;
    const struct attach *attach;
    struct console *console;
    enum vm_end end;
    const char *why;
    uint8_t exit_code; /* VM_END_DEBUG_EXIT */
    int caught;        /* signal that ended the run, or 0 */
    bool panicked;     /* the guest's kernel reported a panic, with or without words */
    bool late;         /* the guest was not ready in time */
    uint32_t ready_seconds;
    bool console_shown; /* the user has the console's output already */
    uint32_t vps;       /* of processor; 0: not looked at */
    struct launch_vp processor[VM_VPS_MAX];
};

/*
 * Say on io->err why the run ended unless the command itself did, with the console's last lines, and return the exit
 * code: the command's, or one of enum run_exit.
 */
int run_report(const struct run_report *r);

/* CLOCK_MONOTONIC, ns; 0: not reached. */
struct run_times {
    uint64_t start_ns, image_ns, built_ns, entered_ns, hello_ns, ready_ns, exit_ns, end_ns;
};

/* A table of the phases on io->err. */
void run_report_times(const struct cli_io *io, const struct run_times *t);
/* How often the guest's processors came out of MSHV_RUN_VP for each reason, if they did: one line each. */
void run_report_exits(const struct cli_io *io, const struct vm *vm);

#endif
