/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_HOST_SESSION_H
#define CAISSON_TESTS_LIB_HOST_SESSION_H

/* The monitor's end of a session channel, for tests of guest-init: sends what it is told and collects what comes. */

#include <stdbool.h>

#include "common/session.h"

#define HOST_SESSION_TEXT 65536

struct host_session {
    int fd; /* owned, non-blocking */
    struct session session;
    char block[4096];
    bool hello, ready, exited, lost;
    bool hold; /* give no credit back */
    bool ended[SESSION_STREAMS];
    struct session_exit exit;
    size_t bytes[SESSION_STREAMS];                 /* that came */
    char text[SESSION_STREAMS][HOST_SESSION_TEXT]; /* the first of them, as a string */
    char steps[HOST_SESSION_TEXT];                 /* STEPs, one a line, warnings with "! " in front */
    char error[SESSION_TEXT_MAX + 1];              /* of an ERROR frame */
};

/* h is zeroed and filled. fd: taken over. */
void host_session_init(struct host_session *h, int fd);
void host_session_fini(struct host_session *h);

/* Start a command: arguments up to a NULL. c: further settings, or NULL for none. */
void host_session_start(struct host_session *h, const struct session_command *c, const char *const *argv);

/* Move bytes both ways as far as that goes without waiting. */
void host_session_step(struct host_session *h);

#endif
