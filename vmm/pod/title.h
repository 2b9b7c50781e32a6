/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a process is called in lists of processes. A process that was forked and goes on with the program has the
 * command line of the one that forked it; people want to see what it is.
 */
#ifndef CAISSON_VMM_POD_TITLE_H
#define CAISSON_VMM_POD_TITLE_H

/*
 * Call this process `title` (ps, /proc/self/cmdline) and its main thread `name` (top, /proc/self/comm; 15 bytes are
 * kept). The title takes the place of the arguments, so nobody may use argv any more, and what is longer than they were
 * is cut. Without /proc only the name changes. One thread.
 */
void title_set(const char *name, const char *title);

#endif
