/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_SETTINGS_H
#define CAISSON_GUEST_INIT_SETTINGS_H

/*
 * What START says about the machine and not about the command: host name, clock, seed for random numbers.
 *
 * The seed is credited as entropy: whoever runs the virtual machine provides its randomness anyway. A guest that does
 * not trust its monitor must not rely on it.
 */

#include "common/session.h"
#include "guest-init/report.h"

/* Clocks closer than this are left alone. */
#define SETTINGS_CLOCK_SLACK_NS INT64_C(1000000000)

/* Would the clock have to be set? now_ns: the guest's, host_ns: from START; 0 or beyond the year 2262 says nothing. */
bool settings_clock_is_off(uint64_t now_ns, uint64_t host_ns);

/* Apply all three. A failure is a warning. Returns the failures. */
unsigned settings_apply(const struct session_command *command, struct report *r);

#endif
