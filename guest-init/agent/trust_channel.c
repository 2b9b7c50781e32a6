/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/trust_channel.h"

#include <errno.h>
#include <google/protobuf/empty.pb.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/ttrpc.h"
#include "ttrpc.pb.h"

#define POLL_MS     1000
#define READ_BYTES  16384u
#define NS_PER_MS   INT64_C(1000000)
#define TEXT_MAX    300 /* of what the other end says */
#define STREAMS_MAX UINT32_C(0x7ffffffd)

/* A call under way. */
struct question {
    struct trust_channel *ch;
    const char *method;
    uint64_t until_ms;
    bool extended; /* for a large answer */
    uint32_t stream;
    struct err *err;
};

void trust_channel_init(struct trust_channel *ch, const struct trust_channel_ops *ops)
{
    *ch = (struct trust_channel){.ops = ops, .fd = -1, .next_stream = 1};
}

static void hang_up(struct trust_channel *ch)
{
    if (ch->fd >= 0)
        close(ch->fd);
    ch->fd = -1;
    ch->connecting = false;
    ch->next_stream = 1;
}

void trust_channel_fini(struct trust_channel *ch)
{
    if (ch->ops != NULL)
        hang_up(ch);
    *ch = (struct trust_channel){.fd = -1};
}

static int fail(const struct question *q, int code, const char *why)
{
    const struct err_context ask = {"ask for", q->method, "see the pod's log on the host"};
    return err_fail_because(q->err, code, &ask, "%s: %s", q->ch->ops->peer, why);
}

static int fail_errno(const struct question *q, int code)
{
    return fail(q, code, code == -ETIMEDOUT ? "no whole answer in time" : strerror(-code));
}

/* ---- Connection ---- */

static int await(const struct question *q, short events)
{
    const struct trust_channel_ops *ops = q->ch->ops;
    return ops->wait(ops->context, q->ch->fd, events, q->until_ms);
}

static int begin(struct trust_channel *ch)
{
    ch->fd = ch->ops->connect(ch->ops->context);
    ch->connecting = ch->fd >= 0;
    ch->next_stream = 1;
    return ch->fd < 0 ? ch->fd : 0;
}

void trust_channel_begin(struct trust_channel *ch)
{
    if (ch->fd < 0)
        (void)begin(ch);
}

/* Has a connection that was begun come about? */
static int finish_connecting(const struct question *q)
{
    int error = 0, result = await(q, POLLOUT);
    socklen_t size = sizeof(error);
    if (result == 0 && getsockopt(q->ch->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        result = -errno;
    return result < 0 ? result : -error;
}

static int be_connected(const struct question *q)
{
    struct trust_channel *ch = q->ch;
    if (ch->next_stream > STREAMS_MAX)
        hang_up(ch);
    int result = ch->fd < 0 ? begin(ch) : 0;
    if (result == 0 && ch->connecting)
        result = finish_connecting(q);
    ch->connecting = false;
    return result < 0 ? fail_errno(q, result) : 0;
}

/* ---- The question ---- */

static int send_all(const struct question *q, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t sent = send(q->ch->fd, bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        int result = sent >= 0 || errno == EINTR ? 0 : errno == EAGAIN ? await(q, POLLOUT) : -errno;
        if (result < 0)
            return fail_errno(q, result);
        done += sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

static int put_question(struct question *q, const char *service, const pb_msgdesc_t *fields, const void *message)
{
    struct ttrpc_frame frame;
    q->stream = q->ch->next_stream;
    int result = ttrpc_pack_request(&frame, q->stream, service, q->method, fields, message,
                                    (int64_t)q->ch->ops->wait_ms * NS_PER_MS);
    if (result < 0)
        return fail_errno(q, result);
    q->ch->next_stream += 2;
    result = send_all(q, frame.bytes, frame.size);
    free(frame.bytes);
    return result;
}

/* ---- The answer ---- */

/* Read what there is, waiting for it. Bytes, or -errno with *err. */
static ssize_t read_some(const struct question *q, uint8_t *bytes, size_t n)
{
    ssize_t got = -1;
    for (int result = 0; got < 0 && result == 0;) {
        result = await(q, POLLIN);
        got = result == 0 ? recv(q->ch->fd, bytes, n, MSG_DONTWAIT) : -1;
        if (result == 0 && got < 0 && errno != EAGAIN && errno != EINTR)
            result = -errno;
        if (result < 0)
            return fail_errno(q, result);
    }
    return got > 0 ? got : fail(q, -ECONNRESET, "it closed the connection instead of answering");
}

static bool is_too_large(const struct ttrpc_reader *r)
{
    return r->have >= TTRPC_HEADER_BYTES && r->header.bytes > r->max;
}

static void allow_for_size(struct question *q, const struct ttrpc_reader *r)
{
    if (q->extended || r->have < TTRPC_HEADER_BYTES)
        return;
    q->until_ms += r->header.bytes / TRUST_BYTES_S * UINT64_C(1000);
    q->extended = true;
}

/* One frame in r, and nothing after it. */
static int read_frame(struct question *q, struct ttrpc_reader *r)
{
    uint8_t bytes[READ_BYTES];
    for (;;) {
        size_t used;
        ssize_t got = read_some(q, bytes, sizeof(bytes));
        if (got < 0)
            return (int)got;
        int found = ttrpc_reader_take(r, bytes, (size_t)got, &used);
        if (found < 0)
            return fail_errno(q, found);
        if (is_too_large(r))
            return fail(q, -EPROTO, "its answer is larger than any can be");
        allow_for_size(q, r);
        if (found == TTRPC_FRAME)
            return used == (size_t)got ? 0 : fail(q, -EPROTO, "it said more than one answer");
    }
}

static int take_status(const struct question *q, const ttrpc_Response *r)
{
    const struct err_context ask = {"ask for", q->method, "see the pod's log on the host"};
    if (!r->has_status || r->status.code == TTRPC_OK)
        return 0;
    int code = ttrpc_error_of(r->status.code);
    const char *words = r->status.message != NULL ? r->status.message : "it gave no reason";
    return err_fail_because(q->err, code < 0 ? code : -EPROTO, &ask, "%s says: %.*s", q->ch->ops->peer, TEXT_MAX,
                            words);
}

static int take_payload(const struct question *q, const ttrpc_Response *r, const pb_msgdesc_t *fields, void *answer)
{
    const pb_bytes_array_t *p = r->payload;
    google_protobuf_Empty empty;
    int result = ttrpc_unpack(fields != NULL ? fields : google_protobuf_Empty_fields, fields != NULL ? answer : &empty,
                              p != NULL ? p->bytes : NULL, p != NULL ? p->size : 0);
    return result < 0 ? fail(q, -EPROTO, "what it sent is no answer to that") : 0;
}

/* *refused: the other end said no, as the protocol has it; the connection is fine. */
static int take_answer(const struct question *q, const struct ttrpc_reader *reader, const pb_msgdesc_t *fields,
                       void *answer, bool *refused)
{
    ttrpc_Response r;
    const struct ttrpc_header *h = &reader->header;
    if (h->type != TTRPC_RESPONSE || h->stream != q->stream || h->flags != 0)
        return fail(q, -EPROTO, "it answered something else");
    if (ttrpc_unpack(ttrpc_Response_fields, &r, reader->payload, h->bytes) < 0)
        return fail(q, -EPROTO, "what it sent is no answer");
    int result = take_status(q, &r);
    *refused = result < 0;
    result = result < 0 ? result : take_payload(q, &r, fields, answer);
    pb_release(ttrpc_Response_fields, &r);
    return result;
}

int trust_channel_call(struct trust_channel *ch, const char *service, const char *method, const pb_msgdesc_t *fields,
                       const void *message, const pb_msgdesc_t *answer_fields, void *answer, struct err *err)
{
    struct question q = {.ch = ch, .method = method, .err = err};
    struct ttrpc_reader reader = {.max = TRUST_ANSWER_MAX};
    bool refused = false;
    q.until_ms = ch->ops->now_ms(ch->ops->context) + ch->ops->wait_ms;
    int result = be_connected(&q);
    result = result < 0 ? result : put_question(&q, service, fields, message);
    result = result < 0 ? result : read_frame(&q, &reader);
    result = result < 0 ? result : take_answer(&q, &reader, answer_fields, answer, &refused);
    ttrpc_reader_fini(&reader);
    if (result < 0 && !refused)
        hang_up(ch);
    return result;
}

/* ---- Real sockets ---- */

uint64_t trust_channel_clock_ms(void *context)
{
    struct timespec t = {0};
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int trust_channel_poll(void *context, int fd, short events, uint64_t until_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = trust_channel_clock_ms(context);
        if (now >= until_ms)
            return -ETIMEDOUT;
        uint64_t left = until_ms - now;
        int ready = poll(&p, 1, left < POLL_MS ? (int)left : POLL_MS);
        if (ready != 0 && (ready > 0 || errno != EINTR))
            return ready > 0 ? 0 : -errno;
    }
}
