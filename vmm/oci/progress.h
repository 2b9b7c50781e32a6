/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PROGRESS_H
#define CAISSON_VMM_OCI_PROGRESS_H

/*
 * A line on a person's terminal that says what is waited for, once that takes more than a second:
 *
 *     caisson: starting the pod: booting, 3 s
 *
 * It is kept up to date by a process of its own, since the work it tells of is done by calls that wait, and may fork;
 * and it is taken away again when the work is done, so that nothing of it stays between the lines of others.
 *
 * Nothing is shown, and no process made, unless the stream is a terminal. One thread.
 */

#include <stdio.h>
#include <sys/types.h>

#define PROGRESS_AFTER_MS 1000u
#define PROGRESS_STEP_MS  200u

/* Zeroed: none. */
struct progress {
    pid_t pid;
    int fd; /* of ours; it ends when this closes */
};

/*
 * Begin. err: where people read; borrowed. what: such as "starting the pod", copied. pod_folder: absolute; the phase
 * that its pod.json names is shown as well; NULL: there is none. What cannot be shown is left out.
 */
void progress_begin(struct progress *p, FILE *err, const char *what, const char *pod_folder);
/* End, with the line gone. Accepts one that shows nothing. */
void progress_end(struct progress *p);

#endif
