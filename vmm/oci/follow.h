/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_FOLLOW_H
#define CAISSON_VMM_OCI_FOLLOW_H

/*
 * Printing a log of a pod, and what is added to it later. Such logs are bounded: what was there becomes NAME.1, and the
 * file starts anew (vmm/pod/log_file.h). The guest has a say in what is in them, so they are shown as text that a
 * terminal does not obey (vmm/console_text.h).
 *
 * One thread.
 */

#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "vmm/console_text.h"

/* Of both files together; what a log is longer is not shown. */
#define FOLLOW_BYTES_MAX (16u << 20)
#define FOLLOW_ALL       UINT32_MAX

/* Zeroed with fd -1: closed. */
struct follow {
    int fd;
    uint64_t at; /* bytes that were read */
    struct console_text text;
};

/*
 * Print the last lines of a log and get ready to follow it. folder: descriptor, borrowed; name: in it, not a symbolic
 * link. lines: FOLLOW_ALL for all. 0, or with *err and *f closed: -ENOENT: there is none; -EINVAL: it is no file; what
 * open and read say; -ENOMEM. Errors of `out` stay with it.
 */
int follow_open(struct follow *f, int folder, const char *name, uint32_t lines, FILE *out, struct err *err);
/* Print what was added since; what a turn took away before it was read is lost. 0, or read's error. */
int follow_step(struct follow *f, FILE *out);
void follow_close(struct follow *f);

#endif
