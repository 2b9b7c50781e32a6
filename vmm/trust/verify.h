/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * `caisson verify`: judge a pod's evidence, offline, with nothing but files. The judging is done by
 * vmm/attest/evidence.h; here are the command line, the small formats it takes, and how a verdict is told: one line, or
 * JSON.
 *
 * Everything that is read may come from whoever wants a good verdict, the folder of the evidence before all.
 */
#ifndef CAISSON_VMM_TRUST_VERIFY_H
#define CAISSON_VMM_TRUST_VERIFY_H

#include <stdio.h>

#include "vmm/attest/evidence.h"
#include "vmm/cli.h"

extern const char trust_verify_usage[], trust_verify_help[];
/* The command: a row of cli.c's table. */
int trust_verify_main(const struct cli_io *io, int argc, char **argv);

/* A time of RFC 3339, in UTC and whole seconds: 2026-11-26T17:30:00Z. False: it is none, or before 1970. Pure. */
bool verify_parse_time(const char *text, int64_t *seconds);

/*
 * Read what `caisson measure` prints: lines "REGISTER BANK HEX", both banks of each register; empty lines and those
 * that begin with # are passed over. out: registers only. *mask: which there are. 0; -EINVAL with *err, which names the
 * line. Pure.
 */
int verify_parse_expected(const char *text, size_t n, struct event_log *out, uint32_t *mask, struct err *err);

/* What a verdict is told with. Strings are borrowed; any may be NULL. */
struct verify_told {
    const struct evidence_verdict *verdict;
    enum { VERIFY_TRUST_ROOT, VERIFY_TRUST_KEY, VERIFY_TRUST_ANY } trust;
    const char *policy; /* the name of the one that was judged by */
    uint64_t policy_serial;
};
/* One line: "good: ..." or "bad: PART: why"; both end with what the evidence rests on. */
void verify_print_line(const struct verify_told *told, FILE *out);
void verify_print_json(const struct verify_told *told, FILE *out);

#endif
