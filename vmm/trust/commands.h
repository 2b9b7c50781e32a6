/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Commands about what pods are made of and what they prove: each a row of cli.c's table, as cli.h describes them.
 *
 *     measure   what the registers of a pod would hold, without a pod
 *     quote     evidence of one that runs
 *     secret    a secret for one whose evidence is good
 */
#ifndef CAISSON_VMM_TRUST_COMMANDS_H
#define CAISSON_VMM_TRUST_COMMANDS_H

#include "common/err.h"
#include "vmm/cli.h"

#define TRUST_DECLARE_COMMAND(name)                                                                                    \
    extern const char trust_##name##_usage[], trust_##name##_help[];                                                   \
    int trust_command_##name(const struct cli_io *io, int argc, char **argv);
TRUST_DECLARE_COMMAND(measure)
TRUST_DECLARE_COMMAND(quote)
TRUST_DECLARE_COMMAND(secret)
#undef TRUST_DECLARE_COMMAND

struct evidence;
struct json_t; /* jansson.h */

/*
 * Read the files that a pod's process has answered with (pod_control_quote): names and sizes in `files`, bytes behind
 * each other in fd. 0, or -EBADMSG with *err: sizes that are none, too large, or not those of the bytes; -ENOMEM. The
 * caller ends *out either way.
 */
int trust_read_evidence(const struct json_t *files, int fd, struct evidence *out, struct err *err);
/* Write evidence into a folder, which is made; files of other evidence there are removed. 0, or -errno with *err. */
int trust_save_evidence(const struct evidence *e, const char *folder, struct err *err);

#endif
