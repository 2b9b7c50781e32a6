/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Namespaces that nobody is in: a child makes them and hands them over as descriptors, so that the parent can go on in
 * those it has, and move later by one call.
 */
#ifndef CAISSON_POLICY_JAIL_SPACES_H
#define CAISSON_POLICY_JAIL_SPACES_H

#include "policy/jail/jail.h"

/*
 * Make them, fill in jail->space and jail->result of JAIL_USER to JAIL_CGROUP. with_user: all others belong to a user
 * namespace in which the caller's user and group are themselves, and nobody else is. 0, or a negative errno: there is
 * no child to be had, and all of them failed with that.
 */
int jail_spaces_make(struct jail *jail, bool with_user);

/* Move the calling thread into one. 0 or a negative errno. */
int jail_space_enter(const struct jail *jail, enum jail_step step);

void jail_spaces_close(struct jail *jail);

#endif
