/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The executor's side: one cpu in 64-bit Linux user mode over page tables that mirror the native child's memory.
 */
#ifndef CAISSON_TESTS_X86DIFF_SOFT_H
#define CAISSON_TESTS_X86DIFF_SOFT_H

#include "tests/x86diff/arena.h"
#include "vmm/x86/cpu.h"

struct soft;

/* What the host offers and how it behaves; from CPUID. */
struct host {
    struct x86_features features; /* of those the executor supports, the ones this host has too */
    bool amd;
    unsigned dec_flags; /* X86_DEC_AMD or 0 */
};
struct host host_detect(void);

/* t: outlives it. ldt_avl: see native_ldt_avl. NULL when out of memory (err says). */
struct soft *soft_new(const struct templates *t, const struct host *h, bool ldt_avl, char *err, size_t err_bytes);
void soft_free(struct soft *s);
/* Run one case. */
void soft_run(struct soft *s, const struct case_in *in, struct case_out *out);

#endif
