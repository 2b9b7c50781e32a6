/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Judging one case: do both outcomes agree in all that is defined?
 */
#ifndef CAISSON_TESTS_X86DIFF_COMPARE_H
#define CAISSON_TESTS_X86DIFF_COMPARE_H

#include "tests/x86diff/exclude.h"

/* What may differ for this case: the union over its instructions. */
struct exclude_mask compare_mask(const struct case_in *in, const struct host *h, bool strict);
/* True when the outcomes agree. */
bool compare_outcomes(const struct case_in *in, const struct host *h, const struct exclude_mask *m,
                      const struct case_out *native, const struct case_out *soft);
/* Print the case, the state before and every difference. */
void compare_print(const struct case_in *in, const struct host *h, const struct exclude_mask *m,
                   const struct case_out *native, const struct case_out *soft);

#endif
