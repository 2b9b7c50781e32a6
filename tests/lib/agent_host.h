/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_AGENT_HOST_H
#define CAISSON_TESTS_LIB_AGENT_HOST_H

/*
 * The host's side of the agent's channel (guest-init/agent/trust_channel.h), played in the same thread: when the agent
 * waits for an answer, this reads the question and does what the test has said. Nothing takes time: who waits for what
 * does not come finds its time over.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/ttrpc.h"
#include "guest-init/agent/trust_channel.h"
#include "trust.pb.h"

enum agent_host_way {
    HOST_ANSWERS,
    HOST_REFUSES,    /* with code and text */
    HOST_IS_SILENT,  /* takes the question and says nothing */
    HOST_CLOSES,     /* takes the question and hangs up */
    HOST_SAYS_BYTES, /* these, instead of an answer; then nothing */
    HOST_SAYS_TWICE, /* the answer, and again */
    HOST_CUTS,       /* the answer without its last byte, then nothing */
    HOST_FLIPS,      /* the answer with one bit changed: number `flip` */
};

#define AGENT_HOST_SEEN 64u

struct agent_host {
    struct trust_channel_ops ops;
    enum agent_host_way way;
    int code; /* of HOST_REFUSES */
    const uint8_t *bytes;
    size_t byte_count; /* of HOST_SAYS_BYTES */
    size_t flip;
    bool slow;               /* whatever is said comes one byte at a time */
    bool wrong_payload;      /* answers hold bytes that are no message */
    int connect_result;      /* -errno: nobody can connect */
    trust_Evidence evidence; /* borrowed from the test */
    /* What happened. */
    unsigned connections, calls;
    struct {
        trust_ExtendKind kind; /* NONE: GetEvidence */
        char *data;            /* of Extend, with a NUL; or the nonce */
        size_t bytes;
        bool bind_agent;
    } seen[AGENT_HOST_SEEN];
    /* Its own. */
    int fd;
    uint64_t clock_ms;
    struct ttrpc_reader reader;
    uint8_t *pending; /* parts that are still to be said */
    size_t pending_bytes, pending_at;
};

void agent_host_init(struct agent_host *h);
void agent_host_fini(struct agent_host *h);
/* The text of the n-th call; "" if there was none. */
const char *agent_host_text(const struct agent_host *h, unsigned n);

#endif
