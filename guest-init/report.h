/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_REPORT_H
#define CAISSON_GUEST_INIT_REPORT_H

/*
 * What guest-init has to say goes two ways: as a line to the guest's console, which works from the first moment and
 * when nothing else does, and as a STEP to the monitor. Warnings say what failed, on what, why, and what that means.
 */

#include <stdbool.h>

#include "common/session.h"

struct report {
    int fd;                  /* the console, borrowed; usually 2 */
    struct session *session; /* borrowed; NULL: only the console */
    const char *step_word;   /* what lines of steps begin with, borrowed; NULL: nothing */
    unsigned warnings;       /* how many there were */
    unsigned unheard;        /* lines the console did not take */
};

/* One line. Control bytes become '?', text over SESSION_TEXT_MAX is cut. A console that takes nothing is no error. */
void report_step(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_warning(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
