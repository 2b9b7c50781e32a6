/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_RUN_SHORT_H
#define CAISSON_VMM_OCI_RUN_SHORT_H

/*
 * `caisson run --rootfs DIR|IMAGE -- COMMAND`: a container without a bundle. The configuration is made here, as the
 * text that a config.json would hold, so that everything behind it is the same as for a bundle; a name is made up, and
 * nothing is left when the command has ended.
 */

#include "common/err.h"
#include "vmm/cli.h"

#define RUN_SHORT_OPTIONS                                                                                              \
    "A container without a bundle:\n"                                                                                  \
    "      --rootfs PATH        folder, or image of a file system (EROFS, ext4, squashfs), for its root\n"             \
    "      --verity HASH        dm-verity's root hash of the image that is the root (docs/trust.md)\n"                 \
    "      --memory SIZE        of the virtual machine, such as 512M or 2G\n"                                          \
    "      --cpus N             virtual processors\n"                                                                  \
    "      --kernel FILE        instead of the configured one\n"                                                       \
    "      --net-ns PATH        network namespace whose interfaces it gets (default: none)\n"                          \
    "  -e, --env NAME=VALUE     may be given several times\n"                                                          \
    "      --cwd DIR            folder in the container (default /)\n"                                                 \
    "  -t, --tty                run COMMAND on a terminal (default: if input and output are one)\n"                    \
    "      --no-tty             do not\n"                                                                              \
    "      --hostname NAME\n"                                                                                          \
    "      --ro                 read-only root\n"                                                                      \
    "      --overlay            writes stay in memory and do not reach PATH\n"

/* Report why a run failed; the exit code tells a pod that was lost (-EPIPE) from the rest. */
int oci_report_run(const struct cli_io *io, int code, const struct err *err);

int oci_run_short(const struct cli_io *io, int argc, char **argv);

#endif
