/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The command "quote" that containers find in their mount of type "caisson": evidence of the pod they run in, for
 * whoever they talk to. It is guest-init under another name, needs no library, no /proc and no privilege, and speaks
 * with the agent over the socket that lies beside it.
 *
 *     quote --nonce HEX [--bind-agent] [--out DIR]
 *
 * With --out the files of docs/trust.md, "Evidence"; otherwise one line of JSON with each of them in base64.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_TRUST_QUOTE_H
#define CAISSON_GUEST_INIT_AGENT_TRUST_QUOTE_H

#include <stdbool.h>
#include <stdio.h>

/* trust_Evidence of trust.pb.h, which builds without an agent do not have. */
struct _trust_Evidence;

/* Is the program called by this name? argv0: NULL is no name. */
bool trust_quote_is_meant(const char *argv0);

/* Run the command. out, err: where JSON and messages go. Returns the exit code: 0, 1: no evidence, 2: wrong words. */
int trust_quote_main(int argc, char **argv, FILE *out, FILE *err);

/* A part of the evidence: its file in a folder, its key in JSON. */
struct trust_quote_part {
    const char *file, *key;
    size_t offset; /* of the pointer in trust_Evidence */
};
#define TRUST_QUOTE_PARTS 8u
extern const struct trust_quote_part trust_quote_parts[TRUST_QUOTE_PARTS];

/* Write what there is of the evidence. 0 or -errno. dir: files appear complete or not at all. */
int trust_quote_write_json(const struct _trust_Evidence *e, FILE *out);
int trust_quote_write_files(const struct _trust_Evidence *e, const char *dir);

#endif
