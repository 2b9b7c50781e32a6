/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_SYNC_H
#define CAISSON_GUEST_INIT_CONTAINER_SYNC_H

/*
 * What process 1 and the children that make a container tell each other, over a pair of SOCK_SEQPACKET sockets: one
 * message, one packet. The children's end closes when the last of them runs its program; end of file is therefore the
 * good news of a start, unless something was due before it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum sync_kind {
    SYNC_FAILED = 'E',     /* child: the text says what */
    SYNC_WANTS_MAPS = 'M', /* child: is in a new user namespace that has no IDs yet */
    SYNC_PROCESS = 'P',    /* child: value is the process ID of the one that will stay */
    SYNC_READY = 'R',      /* child: made; may bring a descriptor */
    SYNC_GO = 'g',         /* process 1: carry on */
    SYNC_END = 0,          /* no child has the socket any more */
};

/* What arrived. text is printable and terminated. */
struct sync_message {
    enum sync_kind kind;
    int32_t value;
    int fd; /* the receiver's, -1: none */
    char text[ERR_TEXT_BYTES];
};

/* Make the pair: [0] is process 1's. */
int sync_open(int pair[2]);

int sync_send(int socket, enum sync_kind kind, int32_t value);

/* Ready, with a copy of a descriptor (-1: without). */
int sync_send_ready(int socket, int fd);

/* Failed: err's code and text. A peer that is gone is nobody to tell. */
void sync_send_failed(int socket, const struct err *err);

/* Take a message. wait: until there is one, else -EAGAIN. SYNC_END is a message. */
int sync_receive(int socket, bool wait, struct sync_message *m);

/*
 * For children: wait for SYNC_GO. -ECANCELED if process 1 has closed its end: the container is not wanted any more.
 */
int sync_wait_go(int socket);

#endif
