/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_EXEC_H
#define CAISSON_GUEST_INIT_EXEC_H

/*
 * Starts the command in a session of its own, with three pipes or with a pseudo-terminal. If it cannot be executed, its
 * process says why on its standard error and ends like a shell's: 127 not found, 126 found and not usable.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "common/session.h"

/* Where a command without PATH in its environment is looked for. */
#define EXEC_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The command seen from guest-init. Descriptors are non-blocking, close-on-exec, and -1 when closed or not there. */
struct exec_child {
    pid_t pid; /* also its session and process group; 0: none */
    bool tty;
    int in;  /* write end of its standard input; with a terminal the master */
    int out; /* read end of its standard output; with a terminal the master too, another descriptor */
    int err; /* read end of its standard error; -1 with a terminal */
};

/*
 * Start it. command: copied by the fork. child: written on success; the caller owns it and closes its descriptors.
 * Returns 0, or -errno when there are no descriptors, terminals or processes left; then nothing is left behind.
 */
int exec_start(const struct session_command *command, struct exec_child *child);

/* Give the terminal a new size; the kernel tells its foreground processes. -ENOTTY without a terminal. */
int exec_resize(const struct exec_child *child, struct session_size size);

/*
 * Tell the reader of the terminal that no more input comes, by the terminal's own character for that; without effect
 * if the program has switched line editing off. inside_line: the last byte written did not end a line. Returns 0 or
 * -errno.
 */
int exec_end_of_input(const struct exec_child *child, bool inside_line);

void exec_close(int *fd); /* close(2) unless it is -1; leaves -1 */

#endif
