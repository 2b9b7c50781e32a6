/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_EVENTS_H
#define CAISSON_GUEST_INIT_EVENTS_H

/* The event table of guest-init: what each event does in each state. */

#include "guest-init/session.h"

/* The time for a stop that somebody inside the guest asks for, and the time the last frames may take after a stop. */
#define GUEST_GRACE_MS 10000
#define GUEST_LEAVE_MS 2000

enum guest_event {
    GUEST_EVENT_START,    /* the monitor sent a command */
    GUEST_EVENT_DATA,     /* input for it */
    GUEST_EVENT_SIGNAL,   /* a signal for it */
    GUEST_EVENT_WINSIZE,  /* a new size of its terminal */
    GUEST_EVENT_CLOSED,   /* the monitor takes no more of an output */
    GUEST_EVENT_SHUTDOWN, /* the machine is to stop */
    GUEST_EVENT_EXITED,   /* the command ended */
    GUEST_EVENT_DRY,      /* all its output was handed over */
    GUEST_EVENT_FLUSHED,  /* nothing waits for the transport */
    GUEST_EVENT_DEADLINE, /* time is up */
    GUEST_EVENT_BROKEN,   /* the other side broke the rules or gave up; the transport still works */
    GUEST_EVENT_LOST,     /* the transport is gone */
    GUEST_EVENTS,
};

/* Handle one event. data: of the session, for those that come from there; else NULL. */
void guest_handle(struct guest *g, enum guest_event event, const struct session_event *data);

#endif
