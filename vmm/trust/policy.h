/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * `caisson policy`: launch policies (policy/launch/) from the command line.
 *
 *     policy.c          which sub-command; check, sign, attach, input, format
 *     policy_new.c      a policy that permits what bundles need
 *     policy_explain.c  a policy in words
 *     policy_write.c    files that appear whole or not at all
 */
#ifndef CAISSON_VMM_TRUST_POLICY_H
#define CAISSON_VMM_TRUST_POLICY_H

#include <stdio.h>

#include "common/err.h"
#include "policy/launch/policy.h"
#include "vmm/cli.h"

/* A row of cli.c's table. */
extern const char trust_policy_usage[], trust_policy_help[];
int trust_policy_main(const struct cli_io *io, int argc, char **argv);

/* Sub-commands: argv[0] is "policy NAME" for messages. */
int trust_policy_new(const struct cli_io *io, int argc, char **argv);

/* One line for each thing that a policy permits, in the order of docs/policy.md. */
void trust_policy_explain(const struct policy *p, FILE *out);

/*
 * Write a file, readable by everybody, through another one beside it that is renamed; path NULL: to out instead.
 * 0, or -errno with *err; what was there before is then still there.
 */
int trust_policy_write(const char *path, const void *bytes, size_t n, FILE *out, struct err *err);

#endif
