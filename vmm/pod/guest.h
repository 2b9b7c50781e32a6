/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the pod process itself has to say to the guest's agent, and to hear from it: three calls by ttrpc on one
 * connection, and the agent's log on another. Both go through the pod's own vsock socket, as everybody's do
 * (docs/io.md).
 *
 * The guest is hostile and may be slow: nothing here waits, all that it sends is bounded, and whatever is wrong ends
 * the connection, which the owner may make anew. One thread.
 */
#ifndef CAISSON_VMM_POD_GUEST_H
#define CAISSON_VMM_POD_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ttrpc.h"

#define POD_CALLS_MAX     64u
#define POD_GUEST_PAYLOAD 65536u /* of an answer; what we ask for is small */
#define POD_GUEST_OUT     (256u << 10)
#define POD_DIAL_LINE     32u /* "OK 4294967295\n" */

/* ---- A stream to a port of the guest ---- */

/* Zeroed is not closed: begin with pod_dial_none. */
struct pod_dial {
    int fd; /* -1: none */
    bool open;
    char line[POD_DIAL_LINE];
    unsigned length;
};

static inline struct pod_dial pod_dial_none(void)
{
    return (struct pod_dial){.fd = -1};
}

/* Ask for the port. path: of the vsock socket. 0, or -errno with *d as none. */
int pod_dial_start(struct pod_dial *d, const char *path, uint32_t port);
/* The descriptor is ready. 1: the stream is open, 0: not yet, -errno: there is none, and d is closed. */
int pod_dial_step(struct pod_dial *d);
void pod_dial_close(struct pod_dial *d);

/* ---- Calls ---- */

enum pod_call { POD_CALL_CHECK, POD_CALL_SIGNAL, POD_CALL_DESTROY };

struct pod_guest {
    struct pod_dial dial;
    struct ttrpc_reader reader;
    uint32_t next_stream;
    struct {
        uint32_t stream; /* 0: free */
        enum pod_call call;
        uint64_t tag;
    } calls[POD_CALLS_MAX];
    uint8_t *out; /* of the heap; frames under way, from `sent` on */
    size_t out_bytes, sent;
};

/*
 * How a call ended. code: 0, the agent's refusal as a negative errno, or -ECONNRESET: the connection has ended. text:
 * of a refusal, as the agent wrote it; NULL: none.
 */
typedef void pod_guest_answer(void *ctx, enum pod_call call, uint64_t tag, int code, const char *text);

void pod_guest_init(struct pod_guest *g);
/* Nobody is told of calls under way. */
void pod_guest_fini(struct pod_guest *g);

int pod_guest_dial(struct pod_guest *g, const char *path, uint32_t port);

static inline bool pod_guest_is_open(const struct pod_guest *g)
{
    return g->dial.open;
}

/*
 * Make a call. tag: for the answer. container, exec: of POD_CALL_SIGNAL, which is always SIGKILL; "" or NULL: none. 0,
 * -ENOTCONN, -EBUSY: too many are under way; -ENOMEM.
 */
int pod_guest_call(struct pod_guest *g, enum pod_call call, uint64_t tag, const char *container, const char *exec);

/* For poll: the descriptor (-1: none) is g->dial.fd. */
short pod_guest_events(const struct pod_guest *g);
/* It is ready: send, receive, and tell of answers. -errno: the connection has ended, and all calls were told so. */
int pod_guest_step(struct pod_guest *g, pod_guest_answer *answer, void *ctx);
/* End the connection; all calls are told so. */
void pod_guest_hang_up(struct pod_guest *g, pod_guest_answer *answer, void *ctx);

/* ---- The agent's log ---- */

#define POD_AGENT_LINE 1024u

struct pod_agent_log {
    struct pod_dial dial;
    char line[POD_AGENT_LINE];
    size_t length;
    bool cut; /* the rest of a line that is too long is left out */
};

/* A line without its end, not yet safe to print. */
typedef void pod_agent_line(void *ctx, const char *line, bool cut);

void pod_agent_log_init(struct pod_agent_log *l);
/* The descriptor (l->dial.fd) is ready: some bytes at a time. -errno: closed; a line without an end was told before. */
int pod_agent_log_step(struct pod_agent_log *l, pod_agent_line *tell, void *ctx);
void pod_agent_log_fini(struct pod_agent_log *l);

#endif
