/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One call at a time over a stream socket, with a bound on everything: how the guest's agent asks the host's side to
 * measure and to quote (common/proto/trust.proto, HostTrust), and how the command "quote" asks the agent.
 *
 * The other end is not trusted. An answer counts only if it is one complete frame with the number of the question, no
 * larger than TRUST_ANSWER_MAX, and nothing follows it. After anything else the connection is closed, the call fails,
 * and the next call makes a new connection: whoever must not act without an answer does not act.
 *
 * Waiting blocks the caller, for at most wait_ms a call, and a second more for each TRUST_BYTES_S of an answer whose
 * size is known: an emulated processor takes its time for large ones. One thread.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_TRUST_CHANNEL_H
#define CAISSON_GUEST_INIT_AGENT_TRUST_CHANNEL_H

#include <pb.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define TRUST_WAIT_MS    5000u /* for the host, which has to do nothing but hash or sign */
#define TRUST_BYTES_S    (128u << 10)
#define TRUST_ANSWER_MAX (2u << 20) /* a measurement log has at most half of that */

/* The way to the other end; tests play it. */
struct trust_channel_ops {
    void *context;
    /* A non-blocking stream socket that is connected or about to be; the channel's from then on. Or -errno. */
    int (*connect)(void *context);
    /* Wait until the descriptor can be read (POLLIN) or written (POLLOUT). 0; -ETIMEDOUT once now_ms says until_ms. */
    int (*wait)(void *context, int fd, short events, uint64_t until_ms);
    uint64_t (*now_ms)(void *context); /* a clock that never goes back */
    uint64_t wait_ms;
    const char *peer; /* for messages: "the host" */
};

struct trust_channel {
    const struct trust_channel_ops *ops;
    int fd;               /* -1: not connected */
    bool connecting;      /* nobody has looked whether that came about */
    uint32_t next_stream; /* of this connection */
};

/* ops: borrowed. */
void trust_channel_init(struct trust_channel *ch, const struct trust_channel_ops *ops);
void trust_channel_fini(struct trust_channel *ch); /* accepts one that has ended, or is zeroed */

/* A call is about to come: connect meanwhile. What becomes of it the call tells. */
void trust_channel_begin(struct trust_channel *ch);

/*
 * Call a method of service and wait for its answer. message: the argument, by fields. answer: by answer_fields, written
 * on success and then the caller's to pb_release; answer_fields NULL: the method answers with nothing. Returns 0, or
 * with *err: what the other end said (ttrpc_error_of), -ETIMEDOUT, -EPROTO: what came is no answer, or what a socket
 * said. *answer holds nothing then.
 */
int trust_channel_call(struct trust_channel *ch, const char *service, const char *method, const pb_msgdesc_t *fields,
                       const void *message, const pb_msgdesc_t *answer_fields, void *answer, struct err *err);

/* For ops on real sockets: poll(2) and CLOCK_MONOTONIC. */
int trust_channel_poll(void *context, int fd, short events, uint64_t until_ms);
uint64_t trust_channel_clock_ms(void *context);

#endif
