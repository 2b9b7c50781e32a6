/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb.h"
#include "vmm/oci/proxy_parts.h"

/* ---- Output ---- */

/* A number of a standard stream stays in use, lest another descriptor gets it. */
static void close_stream(int *fd)
{
    int null = *fd >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (null >= 0) {
        (void)dup2(null, *fd);
        close(null);
    }
    *fd = -1;
}

void proxy_output_init(struct proxy_output *o, const char *method, int fd, bool own)
{
    memset(o, 0, sizeof(*o));
    o->method = method;
    o->fd = own ? fd : -1;
    attach_sink_init(&o->sink, fd);
}

void proxy_output_fini(struct proxy_output *o)
{
    attach_sink_fini(&o->sink);
}

static int send_read(struct oci_proxy *p, struct proxy_output *o, uint32_t len)
{
    const grpc_ReadStreamRequest request = {
        .container_id = ttrpc_borrow(p->cfg->container), .exec_id = ttrpc_borrow(p->process), .len = len};
    return oci_agent_send(&p->agent, o->method, grpc_ReadStreamRequest_fields, &request, &o->read);
}

/* Nobody takes it any more, and the process is to notice. The answer does not matter. */
static int give_up_output(struct oci_proxy *p, struct proxy_output *o)
{
    if (o->sink.lost != 0)
        log_write(&p->log, LOG_LEVEL_WARN, LOG_NO_VCPU, "output of the container is lost, and its stream is closed: %s",
                  strerror(-o->sink.lost));
    int code = send_read(p, o, 0);
    o->read = 0;
    o->ended = true;
    return code;
}

/* The reader is to see the end when the process closes its output, not only when it exits. */
static void close_output(struct proxy_output *o)
{
    attach_sink_fini(&o->sink);
    close_stream(&o->fd);
}

int proxy_output_ask(struct oci_proxy *p, struct proxy_output *o)
{
    if (o->ended && o->fd >= 0 && attach_sink_held(&o->sink) == 0)
        close_output(o);
    if (o->ended || o->read != 0 || attach_sink_held(&o->sink) > 0)
        return 0;
    return o->sink.broken ? give_up_output(p, o) : send_read(p, o, PROXY_PIECE_BYTES);
}

static void end_output(struct oci_proxy *p, struct proxy_output *o, const struct oci_agent_answer *answer)
{
    o->ended = true;
    if (answer->code < 0 && strcasecmp(answer->text, "eof") != 0)
        log_write(&p->log, LOG_LEVEL_DEBUG, LOG_NO_VCPU, "%s ends: %s", o->method, answer->text);
}

int proxy_output_take(struct oci_proxy *p, struct proxy_output *o, const struct oci_agent_answer *answer)
{
    grpc_ReadStreamResponse r = grpc_ReadStreamResponse_init_zero;
    o->read = 0;
    if (answer->code < 0 || oci_agent_unpack(answer, grpc_ReadStreamResponse_fields, &r) < 0) {
        end_output(p, o, answer);
        return 0;
    }
    size_t n = r.data != NULL ? r.data->size : 0;
    if (n > 0 && n <= PROXY_PIECE_BYTES) {
        o->moved = true;
        (void)attach_sink_add(&o->sink, r.data->bytes, n);
        (void)attach_sink_write(&o->sink);
    }
    o->ended = n == 0;
    pb_release(grpc_ReadStreamResponse_fields, &r);
    return n <= PROXY_PIECE_BYTES ? 0 : -EPROTO;
}

/* ---- Input ---- */

/*
 * Another open file of the same pipe or terminal, so that a read of ours cannot wait when somebody else was faster, and
 * the flags that others see stay as they are.
 */
static int open_again(int fd, const struct stat *st, bool is_terminal)
{
    char path[32];
    if (!S_ISFIFO(st->st_mode) && !is_terminal)
        return -1;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void proxy_input_init(struct proxy_input *in, int fd, bool own)
{
    struct stat st;
    memset(in, 0, sizeof(*in));
    in->fd = fd;
    in->given_fd = own ? fd : -1;
    in->ended = fd < 0 || fstat(fd, &st) < 0;
    in->close_due = in->ended;
    if (in->ended)
        return;
    in->is_terminal = isatty(fd) == 1;
    in->is_socket = S_ISSOCK(st.st_mode);
    int again = open_again(fd, &st, in->is_terminal);
    if (again >= 0) {
        in->fd = again;
        in->own_fd = true;
    }
}

void proxy_input_fini(struct proxy_input *in)
{
    if (in->own_fd)
        close(in->fd);
    in->own_fd = false;
    in->fd = -1;
    close_stream(&in->given_fd);
}

bool proxy_input_wants(const struct oci_proxy *p)
{
    const struct proxy_input *in = &p->in;
    return p->started && !p->exited && !in->ended && !in->lent && in->write == 0 && in->begin == in->end;
}

/* The process takes no more, and whoever writes to it is to notice. */
static void give_up_input(struct proxy_input *in)
{
    in->ended = true;
    in->close_due = false;
    in->begin = in->end = 0;
    proxy_input_fini(in);
}

/* Also when a terminal of ours hangs up: the one in the guest cannot, but whoever reads from it is told of an end. */
static void end_input(struct proxy_input *in)
{
    in->ended = in->close_due = true;
    proxy_input_fini(in);
}

void proxy_input_read(struct proxy_input *in)
{
    in->begin = in->end = 0;
    ssize_t n = in->is_socket ? recv(in->fd, in->bytes, sizeof(in->bytes), MSG_DONTWAIT)
                              : read(in->fd, in->bytes, sizeof(in->bytes));
    if (n > 0)
        in->end = (size_t)n;
    else if (n < 0 && errno == EIO && in->is_terminal && tcgetpgrp(in->fd) > 0 && tcgetpgrp(in->fd) != getpgrp())
        in->lent = true;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end_input(in);
}

static int send_bytes(struct oci_proxy *p)
{
    struct proxy_input *in = &p->in;
    size_t n = in->end - in->begin;
    grpc_WriteStreamRequest request = {.container_id = ttrpc_borrow(p->cfg->container),
                                       .exec_id = ttrpc_borrow(p->process)};
    request.data = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    if (request.data == NULL)
        return -ENOMEM;
    request.data->size = (pb_size_t)n;
    memcpy(request.data->bytes, in->bytes + in->begin, n);
    int code =
        oci_agent_send(&p->agent, "grpc.AgentService/WriteStdin", grpc_WriteStreamRequest_fields, &request, &in->write);
    free(request.data);
    return code;
}

static int send_close(struct oci_proxy *p)
{
    const grpc_CloseStdinRequest request = {.container_id = ttrpc_borrow(p->cfg->container),
                                            .exec_id = ttrpc_borrow(p->process)};
    uint32_t unused;
    p->in.close_due = false;
    return oci_agent_send(&p->agent, "grpc.AgentService/CloseStdin", grpc_CloseStdinRequest_fields, &request, &unused);
}

int proxy_input_send(struct oci_proxy *p)
{
    const struct proxy_input *in = &p->in;
    if (!p->started || p->exited || in->write != 0)
        return 0;
    if (in->begin < in->end)
        return send_bytes(p);
    return in->close_due ? send_close(p) : 0;
}

int proxy_input_take(struct oci_proxy *p, const struct oci_agent_answer *answer)
{
    struct proxy_input *in = &p->in;
    grpc_WriteStreamResponse r = grpc_WriteStreamResponse_init_zero;
    in->write = 0;
    if (answer->code < 0 || oci_agent_unpack(answer, grpc_WriteStreamResponse_fields, &r) < 0 || r.len == 0) {
        log_write(&p->log, LOG_LEVEL_DEBUG, LOG_NO_VCPU, "input is taken no more: %s", answer->text);
        give_up_input(in);
        return 0;
    }
    if (r.len > in->end - in->begin)
        return -EPROTO;
    in->begin += r.len;
    return 0;
}
