/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_METRICS_H
#define CAISSON_GUEST_INIT_AGENT_METRICS_H

/*
 * Numbers about the guest and the agent as Prometheus text (exposition format 0.0.4). Those about the guest have the
 * names that Kata's agent gives them, so that what reads that agent reads this one.
 */

#include "common/text.h"
#include "guest-init/agent/agent.h"

#define METRICS_BYTES_MAX 16384u

/* Append all of them; what the kernel does not tell is left out. */
void metrics_write(const struct agent *a, struct text *out);

#endif
