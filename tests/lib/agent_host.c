/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/agent_host.h"

#include <errno.h>
#include <google/protobuf/empty.pb.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ttrpc.pb.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void hang_up(struct agent_host *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
    ttrpc_reader_fini(&h->reader);
    free(h->pending);
    h->pending = NULL;
}

static int op_connect(void *context)
{
    struct agent_host *h = context;
    int ends[2];
    if (h->connect_result < 0)
        return h->connect_result;
    hang_up(h);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    h->fd = ends[0];
    h->connections++;
    return ends[1];
}

static uint64_t op_now_ms(void *context)
{
    const struct agent_host *h = context;
    return h->clock_ms;
}

/* ---- Answers ---- */

static void say(struct agent_host *h, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n && h->fd >= 0;) {
        ssize_t sent = send(h->fd, bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            break;
        require(sent >= 0 || errno == EPIPE);
        done += sent > 0 ? (size_t)sent : n;
    }
}

/* Said from now on, whenever the agent waits. */
static void put_off(struct agent_host *h, const uint8_t *bytes, size_t n)
{
    free(h->pending);
    h->pending = malloc(n);
    require(h->pending != NULL);
    memcpy(h->pending, bytes, n);
    h->pending_bytes = n;
    h->pending_at = 0;
}

static void say_frame(struct agent_host *h, struct ttrpc_frame *f)
{
    switch (h->way) {
    case HOST_SAYS_TWICE:
        say(h, f->bytes, f->size);
        say(h, f->bytes, f->size);
        break;
    case HOST_CUTS: say(h, f->bytes, f->size - 1); break;
    case HOST_FLIPS:
        f->bytes[h->flip / 8 % f->size] ^= (uint8_t)(1u << h->flip % 8);
        say(h, f->bytes, f->size);
        break;
    default: put_off(h, f->bytes, f->size);
    }
    free(f->bytes);
}

static void answer(struct agent_host *h, const ttrpc_Request *q)
{
    struct ttrpc_frame f;
    google_protobuf_Empty empty = google_protobuf_Empty_init_zero;
    const ttrpc_Status status = {.code = 7};
    uint32_t stream = h->reader.header.stream;
    bool quote = strcmp(q->method, "GetEvidence") == 0;
    if (h->way == HOST_REFUSES)
        require(ttrpc_pack_error(&f, stream, (enum ttrpc_code)h->code, "the fake host says no") == 0);
    else if (h->wrong_payload)
        /* A number where bytes are to be. */
        require(ttrpc_pack_response(&f, stream, ttrpc_Status_fields, &status) == 0);
    else if (quote)
        require(ttrpc_pack_response(&f, stream, trust_Evidence_fields, &h->evidence) == 0);
    else
        require(ttrpc_pack_response(&f, stream, google_protobuf_Empty_fields, &empty) == 0);
    say_frame(h, &f);
}

/* ---- Questions ---- */

static void keep(struct agent_host *h, trust_ExtendKind kind, const pb_bytes_array_t *data, bool bind_agent)
{
    size_t n = data != NULL ? data->size : 0;
    unsigned i = h->calls++ % AGENT_HOST_SEEN;
    free(h->seen[i].data);
    h->seen[i].data = calloc(1, n + 1);
    require(h->seen[i].data != NULL);
    if (n > 0)
        memcpy(h->seen[i].data, data->bytes, n);
    h->seen[i].bytes = n;
    h->seen[i].kind = kind;
    h->seen[i].bind_agent = bind_agent;
}

static void note(struct agent_host *h, const ttrpc_Request *q)
{
    const pb_bytes_array_t *p = q->payload;
    const uint8_t *bytes = p != NULL ? p->bytes : NULL;
    size_t n = p != NULL ? p->size : 0;
    trust_ExtendRequest extend;
    trust_EvidenceRequest quote;
    if (strcmp(q->method, "Extend") == 0) {
        require(ttrpc_unpack(trust_ExtendRequest_fields, &extend, bytes, n) == 0);
        keep(h, extend.kind, extend.data, false);
        pb_release(trust_ExtendRequest_fields, &extend);
    } else {
        require(strcmp(q->method, "GetEvidence") == 0);
        require(ttrpc_unpack(trust_EvidenceRequest_fields, &quote, bytes, n) == 0);
        keep(h, trust_ExtendKind_NONE, quote.nonce, quote.bind_agent);
        pb_release(trust_EvidenceRequest_fields, &quote);
    }
}

static void on_question(struct agent_host *h)
{
    ttrpc_Request q;
    require(h->reader.header.type == TTRPC_REQUEST);
    require(ttrpc_unpack(ttrpc_Request_fields, &q, h->reader.payload, h->reader.header.bytes) == 0);
    require(strcmp(q.service, "trust.HostTrust") == 0 || strcmp(q.service, "trust.Trust") == 0);
    note(h, &q);
    if (h->way == HOST_CLOSES)
        hang_up(h);
    else if (h->way == HOST_SAYS_BYTES && h->byte_count > 0)
        put_off(h, h->bytes, h->byte_count);
    else if (h->way != HOST_IS_SILENT && h->way != HOST_SAYS_BYTES)
        answer(h, &q);
    pb_release(ttrpc_Request_fields, &q);
}

static void listen_to_agent(struct agent_host *h)
{
    uint8_t bytes[4096];
    ssize_t got;
    while (h->fd >= 0 && (got = recv(h->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        for (size_t at = 0, used; at < (size_t)got; at += used) {
            int found = ttrpc_reader_take(&h->reader, bytes + at, (size_t)got - at, &used);
            require(found == TTRPC_FRAME || found == TTRPC_MORE);
            if (found == TTRPC_FRAME)
                on_question(h);
            if (h->fd < 0)
                return;
        }
}

static void go_on_saying(struct agent_host *h)
{
    size_t left = h->pending != NULL ? h->pending_bytes - h->pending_at : 0;
    size_t n = h->slow ? 1 : 65536;
    n = n < left ? n : left;
    if (n > 0)
        say(h, h->pending + h->pending_at, n);
    h->pending_at += n;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static int op_wait(void *context, int fd, short events, uint64_t until_ms)
{
    struct agent_host *h = context;
    listen_to_agent(h);
    if (events == POLLOUT)
        return 0;
    if (!is_readable(fd))
        go_on_saying(h);
    if (is_readable(fd))
        return 0;
    h->clock_ms = until_ms;
    return -ETIMEDOUT;
}

/* ---- The whole ---- */

void agent_host_init(struct agent_host *h)
{
    *h = (struct agent_host){.fd = -1, .code = TTRPC_RESOURCE_EXHAUSTED};
    h->ops = (struct trust_channel_ops){.context = h,
                                        .connect = op_connect,
                                        .wait = op_wait,
                                        .now_ms = op_now_ms,
                                        .wait_ms = TRUST_WAIT_MS,
                                        .peer = "the host"};
}

void agent_host_fini(struct agent_host *h)
{
    hang_up(h);
    for (size_t i = 0; i < AGENT_HOST_SEEN; i++)
        free(h->seen[i].data);
}

const char *agent_host_text(const struct agent_host *h, unsigned n)
{
    return n < h->calls && n < AGENT_HOST_SEEN ? h->seen[n].data : "";
}
