/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A measurement log as a pod's process writes it, with made-up contents.
 */
#ifndef CAISSON_TESTS_LIB_TRUST_FIXTURE_H
#define CAISSON_TESTS_LIB_TRUST_FIXTURE_H

#include <stddef.h>

#include "boot/event_log.h"

#define TRUST_FIXTURE_EVENTS 21u

/* Fill a log with every kind of event. 0, or what event_log_init and event_log_add say. The caller ends it. */
int trust_fixture_log(struct event_log *log);

#endif
