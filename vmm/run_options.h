/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The command line of `caisson run`, as typed values within their limits. Nothing is opened or looked up here.
 */
#ifndef CAISSON_VMM_RUN_OPTIONS_H
#define CAISSON_VMM_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/kernel.h"
#include "vmm/cli.h"
#include "vmm/confine.h"
#include "vmm/hv.h"
#include "vmm/io.h"
#include "vmm/launch.h"

#define RUN_INITRDS_MAX LAUNCH_INITRDS_MAX
#define RUN_ENV_MAX     256u

struct run_options {
    const char *kernel;
    enum boot_protocol protocol;
    const char *initrds[RUN_INITRDS_MAX]; /* --initrd and --rootfs-cpio in their order */
    unsigned initrd_count;
    const char *modules; /* NULL: none */
    const char *append;  /* NULL: nothing */
    bool no_default_args;
    uint32_t vps;
    uint64_t memory_bytes;
    struct io_config io; /* virtio devices */
    const char *console; /* NULL: kept, shown on failure; "-": standard error */
    enum { RUN_TTY_AUTO, RUN_TTY_YES, RUN_TTY_NO } tty;
    const char *cwd, *hostname; /* NULL: the guest's own */
    char *env[RUN_ENV_MAX + 1]; /* --env, NULL at the end */
    uint32_t ready_seconds;     /* 0: wait for ever */
    bool timings;
    bool no_seccomp;
    bool lock_memory;
    struct confine_options confine;
    struct hv_request hv;
    char **command; /* NULL at the end; at least one word */
    int command_count;
};

/*
 * Read the arguments. argv[0] is the command's name; strings stay the caller's. Returns CLI_EXIT_OK, or CLI_EXIT_USAGE
 * after one line on io->err.
 */
int run_options_parse(const struct cli_io *io, int argc, char **argv, struct run_options *out);

/*
 * A size as people write it: a number with K, M, G or T (powers of 1024; M is the default). False: it is none, or does
 * not fit.
 */
bool run_parse_size(const char *text, uint64_t *bytes);

extern const char run_options_usage[], run_options_help[];

#endif
