/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Workers: each a process with a native child and a cpu of its own, doing every n-th batch of cases. Results go to
 * memory they share with the parent, so that a crash of the executor is a finding and not the end.
 */
#ifndef CAISSON_TESTS_X86DIFF_WORK_H
#define CAISSON_TESTS_X86DIFF_WORK_H

#include <stdatomic.h>

#include "tests/x86diff/exclude.h"

struct options {
    uint64_t seed, first, count;
    unsigned jobs;
    unsigned max_reports; /* mismatches printed in full, per worker */
    bool strict_flags;
    bool verbose;
    int only_op, only_mode; /* -1: all */
    uint8_t code[CASE_CODE_MAX];
    unsigned code_len;
};

struct results {
    _Atomic uint64_t cases, insns, mismatches, skipped[EXCLUDE_REASONS], vectors[32];
    _Atomic uint32_t op_mismatches[1024];
    _Atomic uint32_t planned[4][256]; /* bytes refused by plan: map, opcode */
    _Atomic uint64_t compared[COVER_MAX];
    _Atomic uint64_t at[64]; /* per worker: the case being run by the executor */
    bool ldt;
    unsigned modes;
};

struct shared {
    struct options opt;
    struct host host;
    struct cover cover;
    struct templates templates;
    struct results res;
};

/*
 * Find out what the host can do (modes, LDT) and fill sh->cover. False with a message printed when the native side
 * does not work.
 */
bool work_probe(struct shared *sh);
/* The life of worker n; returns its exit status. */
int work_run(struct shared *sh, unsigned n);

#endif
