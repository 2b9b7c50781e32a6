/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An empty root: a file system in memory that nobody can write to, with nothing in it but the folders that are to stay.
 * Made in a mount namespace that is the caller's own; the rest of the host's tree is taken out of it.
 */
#ifndef CAISSON_POLICY_JAIL_ROOT_H
#define CAISSON_POLICY_JAIL_ROOT_H

#include "policy/jail/jail.h"

/*
 * Get a mount namespace and change its root. *space: a descriptor of it. 0, or a negative errno: the caller, which is
 * of no further use, may be anywhere between.
 */
int jail_root_make(const struct jail_folder *folders, unsigned count, int *space);

#endif
