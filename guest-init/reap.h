/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_REAP_H
#define CAISSON_GUEST_INIT_REAP_H

/* The first process inherits every orphan of the machine and has to collect what is left of each. */

#include <stdbool.h>
#include <sys/types.h>

#include "common/session.h"

/*
 * Collect all children that have ended. command: the process that matters, 0 if there is none. exit: written if that
 * one is among them. Returns true then, else false. Does not wait.
 */
bool reap_children(pid_t command, struct session_exit *exit);

/* What a status of waitpid(2) means. */
struct session_exit reap_exit_of(int status);

#endif
