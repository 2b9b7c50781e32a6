/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_SERVER_H
#define CAISSON_GUEST_INIT_AGENT_SERVER_H

/*
 * The agent's end of ttrpc: connections, the calls that arrive on them, and their answers. What a call does is in a
 * const table of methods; a method answers at once, or keeps the call in a list and answers later.
 *
 * One bad client harms only itself: a frame that cannot be a request ends its connection; a number used twice, a
 * message that is none, too large or too much is an error to that call; a client that does not read is not read from
 * once SERVER_QUEUE_PAUSE bytes wait for it, and cut off at SERVER_QUEUE_MAX. Connections are served in turn: one that
 * sends much waits with the rest, in the kernel's queue, until the others were looked at.
 *
 * One thread, on a reactor (guest-init/agent/reactor.h). Source: containerd/ttrpc, PROTOCOL.md; docs/pod.md, The agent.
 */

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ttrpc.h"
#include "guest-init/agent/reactor.h"

#define SERVER_CONNECTIONS_MAX 256         /* one for each process of a container, and commands */
#define SERVER_CALLS_MAX       1024        /* under way, of all connections */
#define SERVER_CALL_BYTES_MAX  (32u << 20) /* frames of the calls under way */
#define SERVER_INPUT_BYTES     65536u      /* read at once */
#define SERVER_TURN_FRAMES     16u         /* of one connection, then others get their turn */
#define SERVER_TURN_MS         5u          /* the same, if these take long */
#define SERVER_QUEUE_PAUSE     (1u << 20)
#define SERVER_QUEUE_MAX       (8u << 20)

struct agent;
struct call;
struct connection;

/* A row of the table of methods. */
struct agent_method {
    const char *service, *method;
    const pb_msgdesc_t *fields; /* of the request */
    size_t size;                /* of its struct */
    uint32_t bytes_max;         /* larger requests are refused; decoded ones take many times their size */
    /* Serve it. request: belongs to the call. Must answer the call, or keep it. */
    void (*serve)(struct agent *a, struct call *c, const void *request);
};

/* Calls that wait for the same thing, oldest first. Zeroed: empty. */
struct call_list {
    struct call *first, *last;
};

struct call {
    const struct agent_method *method;
    void *request; /* decoded; the call's until it is answered */
    size_t done;   /* for the method: how far it is */
    /* The rest is the server's. */
    struct connection *connection;
    uint32_t stream;
    size_t bytes;
    struct reactor_timer deadline;
    struct call_list *list;
    struct call *next, *previous;          /* in list */
    struct call *sibling, *sibling_before; /* of the same connection */
};

struct server {
    struct reactor *loop;
    const struct agent_method *methods;
    size_t method_count;
    struct agent *agent;
    void (*say)(struct agent *a, const char *line); /* a line for the log */
    /* May this call be served? False: it has been answered. NULL: all may. request: as for a method. */
    bool (*permit)(struct agent *a, struct call *c, const void *request);
    int listener; /* owned; -1: none */
    struct reactor_watch watch;
    struct reactor_timer retry;
    struct connection *connections;
    unsigned connection_count, calls;
    size_t call_bytes; /* of all calls under way */
    bool broken;       /* a connection is to be closed */
    uint8_t input[SERVER_INPUT_BYTES];
};

/* methods, loop: borrowed. say: may be NULL. */
void server_init(struct server *s, struct reactor *loop, const struct agent_method *methods, size_t count,
                 struct agent *agent, void (*say)(struct agent *a, const char *line));
void server_fini(struct server *s); /* closes everything; calls under way are not answered */

/* Accept connections from this listening stream socket, which is then the server's. 0 or -errno. */
int server_listen(struct server *s, int listener);

/* Serve this connected stream socket; closed in any case. 0, -EMFILE: too many connections, or another -errno. */
int server_add(struct server *s, int fd);

/* To be called after each step of the loop: closes what has broken. Calls that were kept are gone after this. */
void server_sweep(struct server *s);

/* ---- For methods ---- */

/* Answer and free the call. call_done: with an empty message. call_fail: with text for people. */
void call_reply(struct call *c, const pb_msgdesc_t *fields, const void *message);
void call_done(struct call *c);
void call_fail(struct call *c, enum ttrpc_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Keep the call until it is answered. It leaves the list by being answered, by its deadline, and when its connection
 * ends; so look into the list when there is an answer, and do not remember the call. list: lives longer.
 */
void call_keep(struct call *c, struct call_list *list);

/* Let its deadline be no later than this from now. */
void call_limit(struct call *c, uint64_t in_ms);

/* Answer all in a list. */
void call_list_done(struct call_list *list);
void call_list_fail(struct call_list *list, enum ttrpc_code code, const char *text);
void call_list_reply(struct call_list *list, const pb_msgdesc_t *fields, const void *message);

#endif
