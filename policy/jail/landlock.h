/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Landlock (landlock(7)): rules that a thread puts on itself and on threads that it makes, about files by name, TCP,
 * abstract sockets and signals. What a kernel's version of it does not know is left out.
 *
 * Descriptors that are open keep what they were opened for, and finding an object without opening it (O_PATH) is never
 * refused, nor is connecting to a Unix socket by its path.
 */
#ifndef CAISSON_POLICY_JAIL_LANDLOCK_H
#define CAISSON_POLICY_JAIL_LANDLOCK_H

#include <stdbool.h>

/* The kernel's version, 1 or more, or a negative errno: -ENOSYS, -EOPNOTSUPP for one that is switched off at boot. */
int jail_landlock_abi(void);

/*
 * Each of these makes a ruleset: a descriptor, or a negative errno.
 *
 * outward: no TCP, and neither abstract sockets nor processes of those who are not under it. -ENOMSG before version 4,
 * which has nothing of that.
 * files: no file is opened, made, moved or removed by name, but that files may be made, written, renamed and removed in
 * `folder` (a descriptor; -1: nowhere). folders_open: any folder may be opened, to be looked at.
 */
int jail_landlock_outward(int abi);
int jail_landlock_files(int abi, int folder, bool folders_open);

/* Put it on the calling thread, which has no_new_privs. 0 or a negative errno. */
int jail_landlock_enter(int ruleset);

#endif
