/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_MOUNTS_H
#define CAISSON_GUEST_INIT_MOUNTS_H

/*
 * The file systems every Linux program expects: /dev, /proc, /sys and what belongs inside them, /run and /tmp; and the
 * links /dev/fd, /dev/stdin and so on. Folders that are missing are made.
 */

#include "guest-init/report.h"

/*
 * Mount all of them, in order. root: prefix of every path, "" in a guest. A /dev or /proc that is mounted already
 * stays. Each failure is a warning and the rest is mounted all the same, for not every command needs all. Returns the
 * failures.
 */
unsigned mounts_make(const char *root, struct report *r);

/*
 * Mount only /dev, the first thing to do: the console and the session channel are in it. Returns 0 or -errno, without a
 * report, because there may be nothing yet to report to.
 */
int mounts_make_dev(const char *root);

#endif
