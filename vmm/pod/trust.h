/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a pod's process knows of its measurements: the log, the key that signs it, the launch policy; and the service
 * that the guest reaches on port TRUST_PORT of the host (common/proto/trust.proto, HostTrust). One thread, the pod's loop.
 */
#ifndef CAISSON_VMM_POD_TRUST_H
#define CAISSON_VMM_POD_TRUST_H

#include <poll.h>
#include <stdbool.h>

#include "boot/event_log.h"
#include "common/err.h"

#define POD_TRUST_PORT 1026u /* a socket "vsock_1026" in the pod's folder */

struct pod_trust;

#endif
