/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CGROUPS_H
#define CAISSON_GUEST_INIT_CGROUPS_H

/*
 * The control group hierarchy (version 2) for a pod: a group for all containers, with every controller the kernel has
 * available in it and to its children. Process 1 stays in the root group, which has no limits.
 */

#include "common/text.h"
#include "guest-init/report.h"

/*
 * Make <mount>/<group> and hand the controllers down. mount: where cgroup2 is mounted. enabled: the names of those that
 * were, separated by spaces. Returns 0, or -errno after a warning: the group could not be made or nothing is mounted. A
 * controller that cannot be handed down is a warning: containers that need its limits will be refused.
 */
int cgroups_make(const char *mount, const char *group, struct text *enabled, struct report *r);

#endif
