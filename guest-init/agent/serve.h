/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_SERVE_H
#define CAISSON_GUEST_INIT_AGENT_SERVE_H

/*
 * guest-init as the first process of a pod: prepares the guest, tells each step on the console as
 * "guest-init: step: ...", serves the agent until the pod is to end.
 */

#include "guest-init/report.h"

/* The word on the kernel's command line that asks for this, with the port; the kernel puts it into the environment. */
#define AGENT_WORD "caisson_agent"

/*
 * Before anything is mounted: give the guest a root that containers can leave behind for good (rootfs_prepare_machine).
 * 0 or -errno: containers then move their root over the guest's.
 */
int agent_prepare_root(void);

/*
 * Prepare and serve; comes back when the machine can be switched off. port: the value of the word; what is no port is a
 * warning and means AGENT_PORT. r: the console, borrowed. Whatever fails before the agent listens is told there.
 */
void agent_serve(const char *port, struct report *r);

#endif
