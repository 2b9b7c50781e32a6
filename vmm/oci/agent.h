/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_AGENT_H
#define CAISSON_VMM_OCI_AGENT_H

/*
 * A client of the agent in a pod: ttrpc over one connection of the pod's hybrid vsock.
 *
 * Two ways to use a connection. A command asks one thing after the other and waits: oci_agent_call. An event loop has
 * several calls under way: oci_agent_send gives a stream number, oci_agent_receive hands out answers as they come, and
 * neither waits. The two are not mixed on one connection while answers are due.
 *
 * Whoever answers is in the guest and hostile. So: an answer larger than its method may have is refused without being
 * stored, one to a stream that nobody waits for is ignored OCI_AGENT_STRANGERS_MAX times, anything that is not an
 * answer ends the connection, and texts are made printable before they come out. A connection that has ended stays
 * ended; calls on it fail with -EPIPE and the first reason.
 *
 * One thread for each connection. Descriptors are close-on-exec. Sources: docs/io.md, Sockets; common/ttrpc.h.
 */

#include <pb.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ttrpc.h"
#include "ttrpc.pb.h"

#define OCI_AGENT_PORT          1024u
#define OCI_AGENT_CALLS_MAX     16u /* under way on one connection */
#define OCI_AGENT_STRANGERS_MAX 64u /* answers that nobody waits for, in the life of a connection */
#define OCI_AGENT_INPUT_BYTES   16384u
#define OCI_AGENT_GREETING_MS   2000u /* for the other side's OK, when a dial is tried once only */
#define OCI_AGENT_TEXT_BYTES    384u

/* Closed: zeroed but for fd, which may be -1. The fields are the module's own, but for fd, which is to be polled, and
 * broken and why, which may be read. */
struct oci_agent {
    int fd; /* non-blocking */
    bool open;
    bool broken; /* it has ended; why: */
    bool closed; /* by the other side */
    char why[OCI_AGENT_TEXT_BYTES];
    uint32_t next_stream;
    unsigned strangers;
    struct oci_agent_pending {
        uint32_t stream; /* 0: a free place */
        uint32_t max;    /* bytes of an answer */
    } pending[OCI_AGENT_CALLS_MAX];
    struct ttrpc_reader reader;
    uint8_t input[OCI_AGENT_INPUT_BYTES];
    size_t input_begin, input_end;
    uint8_t *output; /* frames that are still to be sent */
    size_t output_begin, output_end, output_room;
    bool output_failed; /* the other side takes no more */
};

/* ---- Connections ---- */

/*
 * Connect to a port of the guest. vsock_path: the pod's hybrid vsock socket, of any length. timeout_ms: for all of it;
 * while nobody listens (the socket is not there yet, the guest has not come so far) it is tried again, with 0 once.
 * 0, or with *err, *a being closed: -ETIMEDOUT when that time is over or nobody listened, -EPROTO: the other side does
 * not speak the hybrid protocol, what open and connect say.
 */
int oci_agent_dial(const char *vsock_path, uint32_t port, unsigned timeout_ms, struct oci_agent *a, struct err *err);

/* Take over a connected stream socket, which becomes non-blocking and is closed by oci_agent_close. */
void oci_agent_init(struct oci_agent *a, int fd);

/* End a connection and release all it holds. Accepts a zeroed one and one that is closed. */
void oci_agent_close(struct oci_agent *a);

/* ---- One call after the other ---- */

/*
 * Ask and wait for the answer. method: "grpc.AgentService/CreateContainer". rf, req: the request. sf, resp: gets the
 * answer, to be released with pb_release(sf, resp); sf NULL for an answer without content. timeout_ms: 0: for ever.
 * 0, or with *err, and nothing in *resp: what the agent's status stands for (ttrpc_error_of), its words being in *err;
 * -ETIMEDOUT: no answer in time; -EBADMSG, -EMSGSIZE: an answer that cannot be read; -EPIPE: the connection ended.
 * After -EPIPE, and after -ETIMEDOUT unless it was the agent who said so, a->broken is true; else it can be used on.
 */
int oci_agent_call(struct oci_agent *a, const char *method, const pb_msgdesc_t *rf, const void *req,
                   const pb_msgdesc_t *sf, void *resp, unsigned timeout_ms, struct err *err);

/* ---- Several calls under way ---- */

struct oci_agent_answer {
    uint32_t stream;
    int code;                        /* 0; what the agent's status stands for; -EBADMSG, -EMSGSIZE */
    char text[OCI_AGENT_TEXT_BYTES]; /* printable, when code is not 0 */
    ttrpc_Response response;         /* payload: of the method's answer when code is 0 */
};

/*
 * Send a request, or keep it until the connection takes it. *stream: the number its answer will have.
 * 0; -EBUSY: OCI_AGENT_CALLS_MAX are under way; -EPIPE: the connection is broken; -ENOMEM, -EMSGSIZE, -EINVAL: the
 * request cannot be made, and nothing was sent.
 */
int oci_agent_send(struct oci_agent *a, const char *method, const pb_msgdesc_t *fields, const void *request,
                   uint32_t *stream);

/* What to poll a->fd for. */
short oci_agent_events(const struct oci_agent *a);

/*
 * Do what can be done without waiting, until there is an answer. 1: *out is one, to be ended with
 * oci_agent_answer_fini, and there may be more: poll only after a 0; 0: not yet; -EPIPE: the connection has ended,
 * a->why says why.
 */
int oci_agent_receive(struct oci_agent *a, struct oci_agent_answer *out);

/* Read the content of an answer whose code is 0. 0, or -EBADMSG with *out released. */
int oci_agent_unpack(const struct oci_agent_answer *answer, const pb_msgdesc_t *fields, void *out);
void oci_agent_answer_fini(struct oci_agent_answer *answer);

#endif
