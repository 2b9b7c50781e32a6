/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/server.h"

#include <errno.h>
#include <google/protobuf/empty.pb.h>
#include <pb_decode.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/text.h"
#include "ttrpc.pb.h"

#define RETRY_ACCEPT_MS 100u
#define READER_KEEPS    65536u /* larger buffers are given back after their frame */
#define TEXT_BYTES      1024u
#define NS_PER_MS       INT64_C(1000000)

/* A frame on its way out. */
struct outgoing {
    struct outgoing *next;
    struct ttrpc_frame frame;
    size_t sent;
};

struct connection {
    struct server *server;
    struct connection *next;
    struct reactor_watch watch;
    struct ttrpc_reader reader;
    struct outgoing *first, *last;
    size_t queued; /* bytes of all outgoing */
    struct call *calls;
    uint32_t last_stream;
    const char *broken; /* why it is to be closed; NULL: it is not */
};

static void say(struct server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct server *s, const char *format, ...)
{
    char line[TEXT_BYTES];
    struct text t;
    va_list arguments;
    if (s->say == NULL)
        return;
    va_start(arguments, format);
    text_init(&t, line, sizeof(line));
    text_add_v(&t, format, arguments);
    va_end(arguments);
    s->say(s->agent, line);
}

/* ---- Connections ---- */

static void connection_break(struct connection *n, const char *why)
{
    if (n->broken == NULL)
        n->broken = why;
    n->server->broken = true;
}

/* Read if there is room for answers, write if something waits. */
static void connection_watch(struct connection *n)
{
    uint32_t events = (n->queued < SERVER_QUEUE_PAUSE ? EPOLLIN : 0) | (n->first != NULL ? EPOLLOUT : 0);
    if (n->broken == NULL && reactor_watch(n->server->loop, &n->watch, events) < 0)
        connection_break(n, "it cannot be waited for");
}

static void drop_outgoing(struct connection *n)
{
    struct outgoing *o = n->first;
    n->first = o->next;
    n->last = n->first != NULL ? n->last : NULL;
    n->queued -= o->frame.size;
    free(o->frame.bytes);
    free(o);
}

static void connection_flush(struct connection *n)
{
    while (n->first != NULL && n->broken == NULL) {
        struct outgoing *o = n->first;
        ssize_t sent =
            send(n->watch.fd, o->frame.bytes + o->sent, o->frame.size - o->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            connection_break(n, strerror(errno));
            return;
        }
        o->sent += (size_t)sent;
        if (o->sent == o->frame.size)
            drop_outgoing(n);
    }
    connection_watch(n);
}

/* Takes the frame in any case. */
static void connection_send(struct connection *n, struct ttrpc_frame *frame)
{
    struct outgoing *o = n->broken == NULL ? calloc(1, sizeof(*o)) : NULL;
    if (o == NULL) {
        free(frame->bytes);
        connection_break(n, "no memory for an answer");
        return;
    }
    o->frame = *frame;
    if (n->last != NULL)
        n->last->next = o;
    else
        n->first = o;
    n->last = o;
    n->queued += frame->size;
    if (n->first == o)
        connection_flush(n);
    else
        connection_watch(n);
    if (n->queued > SERVER_QUEUE_MAX)
        connection_break(n, "it does not read its answers");
}

static void refuse(struct connection *n, uint32_t stream, enum ttrpc_code code, const char *text)
{
    struct ttrpc_frame frame;
    if (ttrpc_pack_error(&frame, stream, code, text) < 0)
        connection_break(n, "no memory for an answer");
    else
        connection_send(n, &frame);
}

/* ---- Calls ---- */

static void leave_list(struct call *c)
{
    if (c->list == NULL)
        return;
    *(c->previous != NULL ? &c->previous->next : &c->list->first) = c->next;
    *(c->next != NULL ? &c->next->previous : &c->list->last) = c->previous;
    c->list = NULL;
}

static void leave_connection(struct call *c)
{
    *(c->sibling_before != NULL ? &c->sibling_before->sibling : &c->connection->calls) = c->sibling;
    if (c->sibling != NULL)
        c->sibling->sibling_before = c->sibling_before;
}

static void join_connection(struct call *c, struct connection *n)
{
    c->connection = n;
    c->sibling = n->calls;
    if (c->sibling != NULL)
        c->sibling->sibling_before = c;
    n->calls = c;
}

static void call_free(struct call *c)
{
    struct server *s = c->connection->server;
    leave_list(c);
    leave_connection(c);
    reactor_timer_stop(s->loop, &c->deadline);
    pb_release(c->method->fields, c->request);
    free(c->request);
    s->calls--;
    s->call_bytes -= c->bytes;
    free(c);
}

void call_reply(struct call *c, const pb_msgdesc_t *fields, const void *message)
{
    struct ttrpc_frame frame;
    int result = ttrpc_pack_response(&frame, c->stream, fields, message);
    if (result < 0) {
        call_fail(c, ttrpc_code_of(result), "the answer to %s cannot be sent: %s; ask for less", c->method->method,
                  strerror(-result));
        return;
    }
    connection_send(c->connection, &frame);
    call_free(c);
}

void call_done(struct call *c)
{
    google_protobuf_Empty empty = google_protobuf_Empty_init_zero;
    call_reply(c, google_protobuf_Empty_fields, &empty);
}

void call_fail(struct call *c, enum ttrpc_code code, const char *format, ...)
{
    char line[TEXT_BYTES];
    struct text t;
    va_list arguments;
    va_start(arguments, format);
    text_init(&t, line, sizeof(line));
    text_add_v(&t, format, arguments);
    va_end(arguments);
    refuse(c->connection, c->stream, code, line);
    call_free(c);
}

void call_keep(struct call *c, struct call_list *list)
{
    leave_list(c);
    c->list = list;
    c->next = NULL;
    c->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = c;
    list->last = c;
}

void call_limit(struct call *c, uint64_t in_ms)
{
    struct reactor *l = c->connection->server->loop;
    if (!c->deadline.set || c->deadline.at_ms - l->now_ms(l->clock) > in_ms)
        reactor_timer_set(l, &c->deadline, in_ms);
}

void call_list_done(struct call_list *list)
{
    while (list->first != NULL)
        call_done(list->first);
}

void call_list_fail(struct call_list *list, enum ttrpc_code code, const char *text)
{
    while (list->first != NULL)
        call_fail(list->first, code, "%s", text);
}

void call_list_reply(struct call_list *list, const pb_msgdesc_t *fields, const void *message)
{
    while (list->first != NULL)
        call_reply(list->first, fields, message);
}

static void on_deadline(void *context)
{
    struct call *c = context;
    call_fail(c, TTRPC_DEADLINE_EXCEEDED, "%s did not finish in the time it was given", c->method->method);
}

/* ---- Requests ---- */

static const struct agent_method *find_method(const struct server *s, const char *service, const char *method)
{
    for (size_t i = 0; i < s->method_count; i++)
        if (strcmp(s->methods[i].method, method) == 0 && strcmp(s->methods[i].service, service) == 0)
            return &s->methods[i];
    return NULL;
}

/* Room for another call of that size? Else the reason. */
static const char *why_full(const struct server *s, const struct agent_method *m, size_t bytes)
{
    if (bytes > m->bytes_max)
        return "the request is too large; send less at a time";
    if (s->calls >= SERVER_CALLS_MAX)
        return "too many calls are under way; wait for answers";
    if (bytes > SERVER_CALL_BYTES_MAX - s->call_bytes)
        return "the calls under way hold too much data; wait for answers";
    return NULL;
}

static struct call *call_new(struct connection *n, const struct agent_method *m, size_t bytes)
{
    struct call *c = calloc(1, sizeof(*c));
    void *request = calloc(1, m->size);
    if (c == NULL || request == NULL) {
        free(c);
        free(request);
        return NULL;
    }
    c->method = m;
    c->request = request;
    c->stream = n->last_stream;
    c->bytes = bytes;
    c->deadline = (struct reactor_timer){.fire = on_deadline, .context = c};
    join_connection(c, n);
    n->server->calls++;
    n->server->call_bytes += bytes;
    return c;
}

static void serve_request(struct connection *n, const struct agent_method *m, const ttrpc_Request *request)
{
    struct server *s = n->server;
    size_t bytes = request->payload != NULL ? request->payload->size : 0;
    const char *full = why_full(s, m, bytes);
    struct call *c = full == NULL ? call_new(n, m, bytes) : NULL;
    if (c == NULL) {
        refuse(n, n->last_stream, TTRPC_RESOURCE_EXHAUSTED, full != NULL ? full : "the guest has no memory left");
        return;
    }
    if (ttrpc_unpack(m->fields, c->request, bytes > 0 ? request->payload->bytes : NULL, bytes) < 0)
        call_fail(c, TTRPC_INVALID_ARGUMENT, "the request is no message of %s", m->method);
    else if (request->timeout_nano < 0)
        call_fail(c, TTRPC_DEADLINE_EXCEEDED, "the time for %s was over when it arrived", m->method);
    else {
        if (request->timeout_nano > 0)
            reactor_timer_set(s->loop, &c->deadline, (uint64_t)((request->timeout_nano - 1) / NS_PER_MS + 1));
        if (s->permit == NULL || s->permit(s->agent, c, c->request))
            m->serve(s->agent, c, c->request);
    }
}

static void on_request(struct connection *n, const uint8_t *payload, size_t bytes)
{
    ttrpc_Request request;
    if (ttrpc_unpack(ttrpc_Request_fields, &request, payload, bytes) < 0) {
        refuse(n, n->last_stream, TTRPC_INVALID_ARGUMENT, "the frame is no ttrpc request");
        return;
    }
    const char *service = request.service != NULL ? request.service : "";
    const char *method = request.method != NULL ? request.method : "";
    const struct agent_method *m = find_method(n->server, service, method);
    if (m == NULL) {
        char line[TEXT_BYTES];
        struct text t;
        text_init(&t, line, sizeof(line));
        text_add(&t, "this agent has no method %.128s/%.128s", service, method);
        refuse(n, n->last_stream, TTRPC_UNIMPLEMENTED, line);
    } else {
        serve_request(n, m, &request);
    }
    pb_release(ttrpc_Request_fields, &request);
}

static void on_frame(struct connection *n, int found)
{
    const struct ttrpc_header *h = &n->reader.header;
    if (h->type != TTRPC_REQUEST) {
        connection_break(n, "it sent a frame that is no request");
        return;
    }
    if (h->stream % 2 == 0 || h->stream <= n->last_stream) {
        refuse(n, h->stream, TTRPC_INVALID_ARGUMENT, "numbers of streams must be odd and rise; this one does not");
        return;
    }
    n->last_stream = h->stream;
    if (found == TTRPC_OVERSIZED)
        refuse(n, h->stream, TTRPC_RESOURCE_EXHAUSTED, "the frame is larger than 4 MiB; send less at a time");
    else
        on_request(n, n->reader.payload, h->bytes);
}

/* Serve what one turn allows; the work of a frame is bounded, their number is not. Returns the bytes that were used. */
static size_t take_bytes(struct connection *n, const uint8_t *bytes, size_t size)
{
    const struct reactor *l = n->server->loop;
    const uint64_t end = l->now_ms(l->clock) + SERVER_TURN_MS;
    size_t at = 0, used;
    for (unsigned frames = 0; at < size && n->broken == NULL && frames < SERVER_TURN_FRAMES; at += used) {
        int found = ttrpc_reader_take(&n->reader, bytes + at, size - at, &used);
        if (found < 0) {
            connection_break(n, "no memory for its frames");
            break;
        }
        if (found != TTRPC_MORE) {
            on_frame(n, found);
            if (n->reader.room > READER_KEEPS)
                ttrpc_reader_fini(&n->reader);
            frames = l->now_ms(l->clock) < end ? frames + 1 : SERVER_TURN_FRAMES;
        }
    }
    return at;
}

/* Take bytes that were looked at out of the kernel's queue; nobody else reads there. */
static void drop_bytes(struct connection *n, size_t size)
{
    while (size > 0 && n->broken == NULL) {
        ssize_t got = recv(n->watch.fd, n->server->input, size, MSG_DONTWAIT);
        if (got > 0)
            size -= (size_t)got;
        else if (got == 0 || errno != EINTR)
            connection_break(n, got == 0 ? "" : strerror(errno));
    }
}

static void on_readable(struct connection *n)
{
    uint8_t *input = n->server->input;
    ssize_t got = recv(n->watch.fd, input, SERVER_INPUT_BYTES, MSG_DONTWAIT | MSG_PEEK);
    if (got > 0)
        drop_bytes(n, take_bytes(n, input, (size_t)got));
    else if (got == 0)
        connection_break(n, "");
    else if (errno != EAGAIN && errno != EINTR)
        connection_break(n, strerror(errno));
}

static void on_connection(void *context, uint32_t events)
{
    struct connection *n = context;
    if ((events & EPOLLOUT) != 0)
        connection_flush(n);
    /* A connection that is not read from still tells that it has ended. */
    if ((events & EPOLLIN) == 0 && (events & (EPOLLHUP | EPOLLERR)) != 0)
        connection_break(n, "");
    if ((events & EPOLLIN) != 0 && n->broken == NULL)
        on_readable(n);
    connection_watch(n);
}

/* ---- The server ---- */

void server_init(struct server *s, struct reactor *loop, const struct agent_method *methods, size_t count,
                 struct agent *agent, void (*say_line)(struct agent *a, const char *line))
{
    memset(s, 0, sizeof(*s));
    s->loop = loop;
    s->methods = methods;
    s->method_count = count;
    s->agent = agent;
    s->say = say_line;
    s->listener = -1;
}

static void connection_free(struct connection *n)
{
    while (n->calls != NULL)
        call_free(n->calls);
    while (n->first != NULL)
        drop_outgoing(n);
    ttrpc_reader_fini(&n->reader);
    (void)reactor_watch(n->server->loop, &n->watch, 0);
    close(n->watch.fd);
    n->server->connection_count--;
    free(n);
}

void server_sweep(struct server *s)
{
    struct connection **at = &s->connections;
    if (!s->broken)
        return;
    s->broken = false;
    while (*at != NULL) {
        struct connection *n = *at;
        if (n->broken == NULL) {
            at = &n->next;
            continue;
        }
        if (n->broken[0] != '\0')
            say(s, "warn closing a connection: %s", n->broken);
        *at = n->next;
        connection_free(n);
    }
}

int server_add(struct server *s, int fd)
{
    struct connection *n = s->connection_count < SERVER_CONNECTIONS_MAX ? calloc(1, sizeof(*n)) : NULL;
    int result = s->connection_count < SERVER_CONNECTIONS_MAX ? -ENOMEM : -EMFILE;
    if (n != NULL) {
        n->server = s;
        n->watch = (struct reactor_watch){.fd = fd, .ready = on_connection, .context = n};
        result = reactor_watch(s->loop, &n->watch, EPOLLIN);
    }
    if (result < 0) {
        say(s, "warn refusing a connection: %s", strerror(-result));
        free(n);
        close(fd);
        return result;
    }
    n->next = s->connections;
    s->connections = n;
    s->connection_count++;
    return 0;
}

static void on_listener(void *context, uint32_t events)
{
    struct server *s = context;
    (void)events;
    int fd = accept4(s->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        (void)server_add(s, fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        /* Out of descriptors, say: who knocks is still there later. */
        say(s, "warn cannot accept a connection: %s; trying again", strerror(errno));
        (void)reactor_watch(s->loop, &s->watch, 0);
        reactor_timer_set(s->loop, &s->retry, RETRY_ACCEPT_MS);
    }
}

static void on_retry(void *context)
{
    struct server *s = context;
    (void)reactor_watch(s->loop, &s->watch, EPOLLIN);
}

int server_listen(struct server *s, int listener)
{
    s->listener = listener;
    s->watch = (struct reactor_watch){.fd = listener, .ready = on_listener, .context = s};
    s->retry = (struct reactor_timer){.fire = on_retry, .context = s};
    return reactor_watch(s->loop, &s->watch, EPOLLIN);
}

void server_fini(struct server *s)
{
    if (s->loop == NULL)
        return;
    while (s->connections != NULL) {
        struct connection *n = s->connections;
        s->connections = n->next;
        connection_free(n);
    }
    reactor_timer_stop(s->loop, &s->retry);
    if (s->listener >= 0) {
        (void)reactor_watch(s->loop, &s->watch, 0);
        close(s->listener);
    }
    memset(s, 0, sizeof(*s));
}
