/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host's processor as the judge. A forked child with no system calls left but those that signal handling needs
 * runs the cases: it lives in a signal handler, writes the registers of a case into the signal frame, returns into
 * it, and comes back by the fault that ends every case. The kernel's frame carries all registers both ways, whatever
 * mode the code segment selects.
 */
#ifndef CAISSON_TESTS_X86DIFF_NATIVE_H
#define CAISSON_TESTS_X86DIFF_NATIVE_H

#include "tests/x86diff/arena.h"

#define NATIVE_BATCH 64u

struct native;

/*
 * Start the child. t: outlives it. NULL with a message in err (of err_bytes) when the host refuses something that is
 * needed.
 */
struct native *native_new(const struct templates *t, char *err, size_t err_bytes);
void native_free(struct native *n);

/* Whether the LDT of ldt_entries could be set. */
bool native_has_ldt(const struct native *n);
/* Whether its descriptors have the AVL bit; kernels differ. */
bool native_ldt_avl(const struct native *n);

/* Places to put up to NATIVE_BATCH cases, and their outcomes after native_run. Owned by n; the same each time. */
struct case_in *native_cases(struct native *n);
const struct case_out *native_outcomes(const struct native *n);
/*
 * Run the first `count` cases. A case that does not end or kills the child gets END_RUNAWAY. False when no child can
 * be started.
 */
bool native_run(struct native *n, unsigned count);

#endif
