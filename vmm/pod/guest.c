/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/guest.h"

#include <errno.h>
#include <pb_decode.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb.h"
#include "google/protobuf/empty.pb.h"
#include "health.pb.h"
#include "ttrpc.pb.h"
#include "vmm/pod/stream.h"

#define READ_BYTES 16384u

/* ---- Dialling ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int code = -errno;
    close(fd);
    return code;
}

int pod_dial_start(struct pod_dial *d, const char *path, uint32_t port)
{
    char line[POD_DIAL_LINE];
    *d = pod_dial_none();
    int fd = connect_to(path);
    if (fd < 0)
        return fd;
    d->fd = fd;
    int n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
    /* A fresh socket has room for a line. */
    if (pod_stream_send(fd, line, (size_t)n) == n)
        return 0;
    pod_dial_close(d);
    return -ECONNRESET;
}

void pod_dial_close(struct pod_dial *d)
{
    if (d->fd >= 0)
        close(d->fd);
    *d = pod_dial_none();
}

static bool is_welcome(const struct pod_dial *d)
{
    return d->length > 4 && memcmp(d->line, "OK ", 3) == 0;
}

/* Byte by byte: what follows the line is the guest's. */
int pod_dial_step(struct pod_dial *d)
{
    for (;;) {
        ssize_t n = pod_stream_receive(d->fd, &d->line[d->length], 1);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            break;
        if (d->line[d->length++] == '\n' || d->length == POD_DIAL_LINE) {
            d->open = d->line[d->length - 1] == '\n' && is_welcome(d);
            break;
        }
    }
    if (d->open)
        return 1;
    pod_dial_close(d);
    return -ECONNREFUSED;
}

/* ---- Calls ---- */

void pod_guest_init(struct pod_guest *g)
{
    *g = (struct pod_guest){.dial = pod_dial_none(), .next_stream = 1, .reader = {.max = POD_GUEST_PAYLOAD}};
}

void pod_guest_fini(struct pod_guest *g)
{
    pod_dial_close(&g->dial);
    ttrpc_reader_fini(&g->reader);
    free(g->out);
    pod_guest_init(g);
}

int pod_guest_dial(struct pod_guest *g, const char *path, uint32_t port)
{
    pod_guest_fini(g);
    return pod_dial_start(&g->dial, path, port);
}

void pod_guest_hang_up(struct pod_guest *g, pod_guest_answer *answer, void *ctx)
{
    struct pod_guest before = *g;
    g->out = NULL;
    memset(&g->reader, 0, sizeof(g->reader));
    g->dial = pod_dial_none();
    pod_guest_init(g);
    for (unsigned i = 0; i < POD_CALLS_MAX; i++)
        if (before.calls[i].stream != 0)
            answer(ctx, before.calls[i].call, before.calls[i].tag, -ECONNRESET, NULL);
    pod_guest_fini(&before);
}

static int queue_frame(struct pod_guest *g, const struct ttrpc_frame *frame)
{
    size_t under_way = g->out_bytes - g->sent;
    if (under_way + frame->size > POD_GUEST_OUT)
        return -EBUSY;
    uint8_t *all = malloc(under_way + frame->size);
    if (all == NULL)
        return -ENOMEM;
    if (under_way > 0)
        memcpy(all, g->out + g->sent, under_way);
    memcpy(all + under_way, frame->bytes, frame->size);
    free(g->out);
    g->out = all;
    g->out_bytes = under_way + frame->size;
    g->sent = 0;
    return 0;
}

static unsigned free_call(const struct pod_guest *g)
{
    unsigned i = 0;
    while (i < POD_CALLS_MAX && g->calls[i].stream != 0)
        i++;
    return i;
}

static int pack(struct ttrpc_frame *frame, uint32_t stream, enum pod_call call, const char *container, const char *exec)
{
    static const char agent[] = "grpc.AgentService";
    const grpc_CheckRequest check = {.service = NULL};
    const grpc_DestroySandboxRequest destroy = grpc_DestroySandboxRequest_init_zero;
    const grpc_SignalProcessRequest kill = {
        .container_id = ttrpc_borrow(container), .exec_id = ttrpc_borrow(exec), .signal = SIGKILL};
    switch (call) {
    case POD_CALL_CHECK:
        return ttrpc_pack_request(frame, stream, "grpc.Health", "Check", grpc_CheckRequest_fields, &check, 0);
    case POD_CALL_SIGNAL:
        return ttrpc_pack_request(frame, stream, agent, "SignalProcess", grpc_SignalProcessRequest_fields, &kill, 0);
    default:
        return ttrpc_pack_request(frame, stream, agent, "DestroySandbox", grpc_DestroySandboxRequest_fields, &destroy,
                                  0);
    }
}

int pod_guest_call(struct pod_guest *g, enum pod_call call, uint64_t tag, const char *container, const char *exec)
{
    struct ttrpc_frame frame;
    unsigned i = free_call(g);
    if (!g->dial.open)
        return -ENOTCONN;
    if (i == POD_CALLS_MAX)
        return -EBUSY;
    int code = pack(&frame, g->next_stream, call, container, exec);
    if (code < 0)
        return code;
    code = queue_frame(g, &frame);
    free(frame.bytes);
    if (code < 0)
        return code;
    g->calls[i].stream = g->next_stream;
    g->calls[i].call = call;
    g->calls[i].tag = tag;
    g->next_stream += 2;
    return 0;
}

short pod_guest_events(const struct pod_guest *g)
{
    return (short)(POLLIN | (g->sent < g->out_bytes ? POLLOUT : 0));
}

static int send_some(struct pod_guest *g)
{
    while (g->sent < g->out_bytes) {
        ssize_t n = pod_stream_send(g->dial.fd, g->out + g->sent, g->out_bytes - g->sent);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
        g->sent += (size_t)n;
    }
    return 0;
}

/* 0, or what the agent refused with; *text then has to be freed by pb_release of *out. */
static int read_answer(const struct ttrpc_reader *r, ttrpc_Response *out)
{
    int code = ttrpc_unpack(ttrpc_Response_fields, out, r->payload, r->header.bytes);
    if (code < 0)
        return code;
    if (!out->has_status || out->status.code == 0)
        return 0;
    code = ttrpc_error_of(out->status.code);
    return code == 0 || code == -ECONNRESET ? -EIO : code;
}

static int take_frame(struct pod_guest *g, pod_guest_answer *answer, void *ctx)
{
    const struct ttrpc_reader *r = &g->reader;
    unsigned i = 0;
    while (i < POD_CALLS_MAX && (g->calls[i].stream != r->header.stream || r->header.stream == 0))
        i++;
    if (r->header.type != TTRPC_RESPONSE || i == POD_CALLS_MAX)
        return -EPROTO;
    ttrpc_Response response = ttrpc_Response_init_zero;
    int code = read_answer(r, &response);
    enum pod_call call = g->calls[i].call;
    uint64_t tag = g->calls[i].tag;
    g->calls[i].stream = 0;
    answer(ctx, call, tag, code, response.has_status ? response.status.message : NULL);
    pb_release(ttrpc_Response_fields, &response);
    return 0;
}

static int receive_some(struct pod_guest *g, pod_guest_answer *answer, void *ctx)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n = pod_stream_receive(g->dial.fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -ECONNRESET;
    for (size_t at = 0, used; at < (size_t)n; at += used) {
        int found = ttrpc_reader_take(&g->reader, bytes + at, (size_t)n - at, &used);
        if (found == TTRPC_MORE)
            break;
        if (found != TTRPC_FRAME)
            return -EPROTO;
        int code = take_frame(g, answer, ctx);
        if (code < 0)
            return code;
    }
    return 0;
}

static int step(struct pod_guest *g, pod_guest_answer *answer, void *ctx)
{
    int code = g->dial.open ? 1 : pod_dial_step(&g->dial);
    if (code <= 0)
        return code;
    code = send_some(g);
    return code < 0 ? code : receive_some(g, answer, ctx);
}

int pod_guest_step(struct pod_guest *g, pod_guest_answer *answer, void *ctx)
{
    int code = step(g, answer, ctx);
    if (code < 0)
        pod_guest_hang_up(g, answer, ctx);
    return code;
}

/* ---- The log ---- */

void pod_agent_log_init(struct pod_agent_log *l)
{
    *l = (struct pod_agent_log){.dial = pod_dial_none()};
}

static void end_line(struct pod_agent_log *l, pod_agent_line *tell, void *ctx)
{
    l->line[l->length] = '\0';
    if (l->length > 0)
        tell(ctx, l->line, l->cut);
    l->length = 0;
    l->cut = false;
}

static void take_char(struct pod_agent_log *l, char c, pod_agent_line *tell, void *ctx)
{
    if (c == '\n')
        end_line(l, tell, ctx);
    else if (l->length < POD_AGENT_LINE - 1)
        l->line[l->length++] = c;
    else
        l->cut = true;
}

static int read_log(struct pod_agent_log *l, pod_agent_line *tell, void *ctx)
{
    char bytes[READ_BYTES];
    ssize_t n = pod_stream_receive(l->dial.fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    for (ssize_t i = 0; i < n; i++)
        take_char(l, bytes[i], tell, ctx);
    if (n > 0)
        return 0;
    end_line(l, tell, ctx);
    pod_dial_close(&l->dial);
    return -ECONNRESET;
}

int pod_agent_log_step(struct pod_agent_log *l, pod_agent_line *tell, void *ctx)
{
    int code = l->dial.open ? 1 : pod_dial_step(&l->dial);
    return code <= 0 ? code : read_log(l, tell, ctx);
}

void pod_agent_log_fini(struct pod_agent_log *l)
{
    pod_dial_close(&l->dial);
}
