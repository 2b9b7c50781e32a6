/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_NET_H
#define CAISSON_GUEST_INIT_NET_H

/* The network a guest has without any device: its loopback. */

#include "guest-init/report.h"

/* Switch the interface lo on; the kernel then gives it 127.0.0.1 and ::1. Returns 0, or -errno after a warning. */
int net_loopback_up(struct report *r);

#endif
