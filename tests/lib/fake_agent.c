/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "google/protobuf/empty.pb.h"
#include "tests/lib/fake_agent.h"
#include "tests/lib/namespace.h"
#include "trust.pb.h"
#include "ttrpc.pb.h"

#define CONNECTIONS_MAX 8
#define LONG_MS         20000

enum stream {
    STDOUT,
    STDERR,
    STREAMS,
};

/* A call that is not answered yet. */
struct waiting {
    struct link *link; /* NULL: none */
    uint32_t number, len;
};

struct link {
    int fd; /* -1: free */
    bool control, held, done, greeted;
    size_t line;
    struct ttrpc_reader reader;
};

struct fake {
    const struct fake_agent_config *cfg;
    const char *folder;
    int talk, vsock, control;
    unsigned refused; /* connections */
    struct link links[CONNECTIONS_MAX];
    /* the process */
    uint8_t *text[STREAMS];
    size_t begin[STREAMS], end[STREAMS], delivered;
    bool closed[STREAMS]; /* nobody reads it any more */
    bool exited;
    int status;
    struct waiting reads[STREAMS], wait;
};

static void tell(struct fake *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct fake *f, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    (void)!send(f->talk, line, (size_t)n, MSG_NOSIGNAL);
}

/* ---- Answers ---- */

static void send_all(struct fake *f, struct link *l, const uint8_t *bytes, size_t n)
{
    size_t piece = f->cfg->piece != 0 ? f->cfg->piece : n;
    for (size_t at = 0; at < n;) {
        ssize_t done = send(l->fd, bytes + at, n - at < piece ? n - at : piece, MSG_NOSIGNAL);
        if (done < 0)
            return;
        at += (size_t)done;
    }
}

static void send_frame(struct fake *f, struct link *l, struct ttrpc_frame *frame)
{
    send_all(f, l, frame->bytes, frame->size);
    free(frame->bytes);
}

static void send_raw(struct fake *f, struct link *l, uint32_t size, uint32_t number, uint8_t type, uint32_t follow)
{
    uint8_t *bytes = calloc(1, TTRPC_HEADER_BYTES + follow);
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(size >> (24 - 8 * i));
        bytes[4 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    bytes[8] = type;
    memset(bytes + TTRPC_HEADER_BYTES, 0xff, follow);
    send_all(f, l, bytes, TTRPC_HEADER_BYTES + follow);
    free(bytes);
}

static void close_link(struct fake *f, struct link *l)
{
    if (l->control && l->held)
        tell(f, l->done ? "unheld" : "dropped");
    close(l->fd);
    ttrpc_reader_fini(&l->reader);
    for (unsigned i = 0; i < STREAMS; i++)
        if (f->reads[i].link == l)
            f->reads[i].link = NULL;
    if (f->wait.link == l)
        f->wait.link = NULL;
    *l = (struct link){.fd = -1};
}

static void send_strangers(struct fake *f, struct link *l)
{
    struct ttrpc_frame frame;
    for (unsigned i = 0; i < f->cfg->count; i++)
        if (ttrpc_pack_response(&frame, 1000001 + 2 * i, google_protobuf_Empty_fields, &(google_protobuf_Empty){0}) ==
            0)
            send_frame(f, l, &frame);
}

/* Send an answer, or what the trouble of the day makes of it. */
static void deliver(struct fake *f, struct link *l, const char *method, uint32_t number, struct ttrpc_frame *frame)
{
    enum fake_agent_trouble trouble = f->cfg->trouble;
    if (f->cfg->trouble_with != NULL && strcmp(f->cfg->trouble_with, method) != 0)
        trouble = FAKE_AGENT_FINE;
    switch (trouble) {
    case FAKE_AGENT_GARBAGE: send_raw(f, l, 0x20202020, 0x20202020, 0x20, 4096); break;
    case FAKE_AGENT_HUGE: send_raw(f, l, UINT32_MAX, number, TTRPC_RESPONSE, 16); break;
    case FAKE_AGENT_OVERSIZED: send_raw(f, l, 2u << 20, number, TTRPC_RESPONSE, 2u << 20); break;
    case FAKE_AGENT_REQUESTS: send_raw(f, l, 4, number, TTRPC_REQUEST, 4); break;
    case FAKE_AGENT_UNREADABLE: send_raw(f, l, 64, number, TTRPC_RESPONSE, 64); break;
    case FAKE_AGENT_STRANGERS:
        send_strangers(f, l);
        send_all(f, l, frame->bytes, frame->size);
        break;
    case FAKE_AGENT_TWICE:
        send_all(f, l, frame->bytes, frame->size);
        send_all(f, l, frame->bytes, frame->size);
        break;
    case FAKE_AGENT_CLOSES:
        send_all(f, l, frame->bytes, frame->size / 2);
        close_link(f, l);
        break;
    case FAKE_AGENT_SILENT: break;
    default: send_all(f, l, frame->bytes, frame->size); break;
    }
    free(frame->bytes);
}

static void answer(struct fake *f, struct link *l, const char *method, uint32_t number, const pb_msgdesc_t *fields,
                   const void *message)
{
    struct ttrpc_frame frame;
    if (ttrpc_pack_response(&frame, number, fields, message) == 0)
        deliver(f, l, method, number, &frame);
}

static void answer_empty(struct fake *f, struct link *l, const char *method, uint32_t number)
{
    answer(f, l, method, number, google_protobuf_Empty_fields, &(google_protobuf_Empty){0});
}

static void refuse(struct fake *f, struct link *l, const char *method, uint32_t number, int code, const char *text)
{
    struct ttrpc_frame frame;
    if (ttrpc_pack_error(&frame, number, (enum ttrpc_code)code, text) == 0)
        deliver(f, l, method, number, &frame);
}

/* ---- The process ---- */

static const char *const read_names[] = {"ReadStdout", "ReadStderr"};

static void put_text(struct fake *f, enum stream s, const void *bytes, size_t n)
{
    f->text[s] = realloc(f->text[s], f->end[s] + n + 1);
    memcpy(f->text[s] + f->end[s], bytes, n);
    f->end[s] += n;
}

static void answer_read(struct fake *f, enum stream s)
{
    struct waiting w = f->reads[s];
    size_t n = f->end[s] - f->begin[s];
    if (n > w.len)
        n = w.len;
    f->reads[s].link = NULL;
    if (f->cfg->trouble == FAKE_AGENT_MORE)
        n = w.len + 1;
    pb_bytes_array_t *data = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    data->size = (pb_size_t)n;
    if (f->cfg->trouble != FAKE_AGENT_MORE)
        memcpy(data->bytes, f->text[s] + f->begin[s], n);
    f->begin[s] += n;
    f->delivered += n;
    answer(f, w.link, read_names[s], w.number, grpc_ReadStreamResponse_fields,
           &(grpc_ReadStreamResponse){.data = data});
    free(data);
}

/* Answer what can be answered as the process is now. */
static void settle(struct fake *f)
{
    for (unsigned s = 0; s < STREAMS; s++) {
        struct waiting w = f->reads[s];
        if (w.link != NULL && (f->begin[s] < f->end[s] || f->cfg->trouble == FAKE_AGENT_MORE)) {
            answer_read(f, s);
        } else if (w.link != NULL && f->exited && !f->cfg->keeps_open) {
            f->reads[s].link = NULL;
            refuse(f, w.link, read_names[s], w.number, TTRPC_INVALID_ARGUMENT, "EOF");
        }
    }
    struct waiting w = f->wait;
    if (w.link != NULL && f->exited) {
        f->wait.link = NULL;
        answer(f, w.link, "WaitProcess", w.number, grpc_WaitProcessResponse_fields,
               &(grpc_WaitProcessResponse){.status = f->status});
    }
}

static void end_process(struct fake *f, int status)
{
    f->status = f->exited ? f->status : status;
    f->exited = true;
    settle(f);
}

/* ---- Methods ---- */

/* One arriving call. */
struct call {
    struct link *link;
    const char *method;
    uint32_t number;
    const pb_bytes_array_t *payload;
};

static void decode(const struct call *c, const pb_msgdesc_t *fields, void *out)
{
    static const uint8_t nothing[1];
    const uint8_t *bytes = c->payload != NULL ? c->payload->bytes : nothing;
    if (ttrpc_unpack(fields, out, bytes, c->payload != NULL ? c->payload->size : 0) < 0)
        memset(out, 0, sizeof(int));
}

static const char *word(const char *text)
{
    return text != NULL ? text : "-";
}

static void on_read(struct fake *f, const struct call *c)
{
    enum stream s = strcmp(c->method, "ReadStdout") == 0 ? STDOUT : STDERR;
    grpc_ReadStreamRequest r;
    decode(c, grpc_ReadStreamRequest_fields, &r);
    if (f->reads[s].link != NULL)
        tell(f, "violation: two %s", c->method);
    if (r.len == 0) {
        tell(f, "%s 0", c->method);
        f->closed[s] = true;
        answer(f, c->link, c->method, c->number, grpc_ReadStreamResponse_fields, &(grpc_ReadStreamResponse){0});
    } else {
        f->reads[s] = (struct waiting){c->link, c->number, r.len};
    }
    pb_release(grpc_ReadStreamRequest_fields, &r);
    settle(f);
}

static void on_write(struct fake *f, const struct call *c)
{
    grpc_WriteStreamRequest r;
    decode(c, grpc_WriteStreamRequest_fields, &r);
    size_t n = r.data != NULL ? r.data->size : 0;
    if (f->cfg->input_max != 0 && n > f->cfg->input_max)
        n = f->cfg->input_max;
    tell(f, "WriteStdin %zu", n);
    if (f->cfg->echo && n > 0)
        put_text(f, STDOUT, r.data->bytes, n);
    if (f->cfg->input_closed)
        refuse(f, c->link, c->method, c->number, TTRPC_INTERNAL, "EPIPE: Broken pipe");
    else
        answer(f, c->link, c->method, c->number, grpc_WriteStreamResponse_fields,
               &(grpc_WriteStreamResponse){.len = (uint32_t)n});
    pb_release(grpc_WriteStreamRequest_fields, &r);
    settle(f);
}

static void on_close(struct fake *f, const struct call *c)
{
    tell(f, "CloseStdin");
    answer_empty(f, c->link, c->method, c->number);
    if (f->cfg->exit == FAKE_EXIT_ON_INPUT_END)
        end_process(f, f->cfg->status);
}

static void on_signal(struct fake *f, const struct call *c)
{
    grpc_SignalProcessRequest r;
    decode(c, grpc_SignalProcessRequest_fields, &r);
    tell(f, "SignalProcess %s %s %u", word(r.container_id), word(r.exec_id), r.signal);
    answer_empty(f, c->link, c->method, c->number);
    if (f->cfg->exit == FAKE_EXIT_ON_SIGNAL)
        end_process(f, 128 + (int)r.signal);
    pb_release(grpc_SignalProcessRequest_fields, &r);
}

static void on_resize(struct fake *f, const struct call *c)
{
    grpc_TtyWinResizeRequest r;
    decode(c, grpc_TtyWinResizeRequest_fields, &r);
    tell(f, "TtyWinResize %s %s %ux%u", word(r.container_id), word(r.exec_id), r.row, r.column);
    answer_empty(f, c->link, c->method, c->number);
    pb_release(grpc_TtyWinResizeRequest_fields, &r);
}

static void on_wait(struct fake *f, const struct call *c)
{
    grpc_WaitProcessRequest r;
    decode(c, grpc_WaitProcessRequest_fields, &r);
    tell(f, "WaitProcess %s %s", word(r.container_id), word(r.exec_id));
    f->wait = (struct waiting){c->link, c->number, 0};
    pb_release(grpc_WaitProcessRequest_fields, &r);
    settle(f);
}

/* ---- Trust ---- */

static void on_key(struct fake *f, const struct call *c)
{
    const size_t n = f->cfg->agent_key_bytes;
    trust_AgentKey key = {.spki = n > 0 ? calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(n)) : NULL};
    if (n > 0) {
        key.spki->size = (pb_size_t)n;
        memcpy(key.spki->bytes, f->cfg->agent_key, n);
    }
    tell(f, "GetAgentKey");
    answer(f, c->link, c->method, c->number, trust_AgentKey_fields, &key);
    free(key.spki);
}

static void on_secret(struct fake *f, const struct call *c)
{
    trust_SecretRequest r;
    unsigned parts = 1;
    decode(c, trust_SecretRequest_fields, &r);
    for (size_t i = 0; r.jwe != NULL && i < r.jwe->size; i++)
        parts += r.jwe->bytes[i] == '.';
    tell(f, "PutSecret %s, %u parts", word(r.name), parts);
    answer_empty(f, c->link, c->method, c->number);
    pb_release(trust_SecretRequest_fields, &r);
}

static void on_start(struct fake *f, const struct call *c)
{
    grpc_StartContainerRequest r;
    decode(c, grpc_StartContainerRequest_fields, &r);
    tell(f, "StartContainer %s", word(r.container_id));
    answer_empty(f, c->link, c->method, c->number);
    pb_release(grpc_StartContainerRequest_fields, &r);
}

static void on_stats(struct fake *f, const struct call *c)
{
    tell(f, "StatsContainer");
    grpc_StatsContainerResponse r = grpc_StatsContainerResponse_init_zero;
    r.has_cgroup_stats = r.cgroup_stats.has_pids_stats = true;
    r.cgroup_stats.pids_stats.current = 7;
    answer(f, c->link, c->method, c->number, grpc_StatsContainerResponse_fields, &r);
}

struct method {
    const char *name;
    void (*run)(struct fake *f, const struct call *c);
};

static const struct method methods[] = {
    {"ReadStdout", on_read},      {"ReadStderr", on_read},     {"WriteStdin", on_write}, {"CloseStdin", on_close},
    {"SignalProcess", on_signal}, {"TtyWinResize", on_resize}, {"WaitProcess", on_wait}, {"StartContainer", on_start},
    {"StatsContainer", on_stats}, {"GetAgentKey", on_key},     {"PutSecret", on_secret},
};

static void run_call(struct fake *f, const struct call *c)
{
    if (f->cfg->refuse != NULL && strcmp(c->method, f->cfg->refuse) == 0) {
        tell(f, "%s refused", c->method);
        refuse(f, c->link, c->method, c->number, f->cfg->refuse_code, f->cfg->refuse_text);
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(c->method, methods[i].name) == 0) {
            methods[i].run(f, c);
            return;
        }
    }
    tell(f, "%s unknown", c->method);
    refuse(f, c->link, c->method, c->number, TTRPC_UNIMPLEMENTED, "not known");
}

static void on_frame(struct fake *f, struct link *l)
{
    ttrpc_Request request;
    if (ttrpc_unpack(ttrpc_Request_fields, &request, l->reader.payload, l->reader.header.bytes) < 0) {
        tell(f, "violation: an unreadable request");
        return;
    }
    const struct call c = {l, request.method, l->reader.header.stream, request.payload};
    if (request.service == NULL ||
        (strcmp(request.service, "grpc.AgentService") != 0 && strcmp(request.service, "trust.Trust") != 0))
        tell(f, "violation: service %s", word(request.service));
    else
        run_call(f, &c);
    pb_release(ttrpc_Request_fields, &request);
}

/* ---- Connections ---- */

static void send_text(struct link *l, const char *text)
{
    (void)!send(l->fd, text, strlen(text), MSG_NOSIGNAL);
}

static void greet(struct fake *f, struct link *l)
{
    static const char digits[] = "OK 111111111111111111111111111111111111111111";
    l->greeted = true;
    if (f->cfg->trouble == FAKE_AGENT_NOBODY && (f->cfg->count == 0 || f->refused++ < f->cfg->count))
        close_link(f, l);
    else if (f->cfg->trouble == FAKE_AGENT_BAD_GREETING)
        send_text(l, "220 mail.example.org\n");
    else if (f->cfg->trouble == FAKE_AGENT_LONG_GREETING)
        send_text(l, digits);
    else if (f->cfg->trouble != FAKE_AGENT_NO_GREETING)
        send_text(l, "OK 1073741824\n");
}

static void take_bytes(struct fake *f, struct link *l, const uint8_t *bytes, size_t n)
{
    int fd = l->fd;
    for (size_t at = 0; at < n && l->fd == fd;) {
        size_t used = 1;
        if (!l->greeted) {
            if (bytes[at] == '\n')
                greet(f, l);
        } else if (ttrpc_reader_take(&l->reader, bytes + at, n - at, &used) == TTRPC_FRAME) {
            on_frame(f, l);
        }
        at += used;
    }
}

static void on_control(struct fake *f, struct link *l, char *text)
{
    static const char yes[] = "{\"ok\":true}", no[] = "{\"ok\":false,\"error\":\"the pod is full\"}";
    static const char status[] = "{\"ok\":true,\"pod\":{\"phase\":\"running\",\"vps\":3},\"exports\":[]}";
    char first[8] = "", container[64] = "-", exec[64] = "-";
    (void)sscanf(text, "%7s %63s %63s", first, container, exec);
    bool refused = f->cfg->refuse != NULL && strcmp(f->cfg->refuse, first) == 0;
    if (strcmp(first, "hold") == 0 && !refused) {
        l->held = true;
        tell(f, "hold %s %s", container, exec);
    } else if (strcmp(first, "done") == 0) {
        l->done = true;
        tell(f, "done");
    }
    send_text(l, refused ? no : strcmp(first, "status") == 0 ? status : yes);
}

static void on_link(struct fake *f, struct link *l)
{
    uint8_t bytes[8192];
    ssize_t n = recv(l->fd, bytes, sizeof(bytes) - 1, 0);
    if (n <= 0) {
        close_link(f, l);
    } else if (l->control) {
        bytes[n] = '\0';
        on_control(f, l, (char *)bytes);
    } else {
        take_bytes(f, l, bytes, (size_t)n);
    }
}

static void accept_link(struct fake *f, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (unsigned i = 0; i < CONNECTIONS_MAX && fd >= 0; i++) {
        if (f->links[i].fd < 0) {
            f->links[i] = (struct link){.fd = fd, .control = listener == f->control};
            return;
        }
    }
    close(fd);
}

/* ---- The loop ---- */

static void die(struct fake *f, const char *why)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/pod.json", f->folder);
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        fprintf(out, "{\"phase\":\"stopped\",\"why\":\"%s\"}\n", why);
        fclose(out);
    }
    namespace_leave(0);
}

static void on_told(struct fake *f)
{
    char text[128];
    ssize_t n = recv(f->talk, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    if (n <= 0 || strcmp(text, "end") == 0)
        namespace_leave(0);
    if (strcmp(text, "exit") == 0)
        end_process(f, f->cfg->status);
    else if (strcmp(text, "delivered") == 0)
        tell(f, "delivered %zu", f->delivered);
    else if (strncmp(text, "die", 3) == 0)
        die(f, text + 3);
}

static void add_flood(struct fake *f)
{
    char *bytes = malloc(f->cfg->flood + 1);
    for (size_t i = 0; i < f->cfg->flood; i++)
        bytes[i] = fake_agent_pattern(i);
    put_text(f, STDOUT, bytes, f->cfg->flood);
    free(bytes);
}

static void prepare(struct fake *f)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        f->links[i].fd = -1;
    put_text(f, STDOUT, word(f->cfg->out), f->cfg->out != NULL ? strlen(f->cfg->out) : 0);
    put_text(f, STDERR, word(f->cfg->err), f->cfg->err != NULL ? strlen(f->cfg->err) : 0);
    add_flood(f);
    f->exited = f->cfg->exit == FAKE_EXIT_AT_ONCE;
    f->status = f->cfg->status;
}

static _Noreturn void serve(struct fake *f)
{
    prepare(f);
    for (;;) {
        struct pollfd fds[3 + CONNECTIONS_MAX] = {{f->talk, POLLIN, 0}, {f->vsock, POLLIN, 0}, {f->control, POLLIN, 0}};
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
            fds[3 + i] = (struct pollfd){f->links[i].fd, POLLIN, 0};
        (void)poll(fds, 3 + CONNECTIONS_MAX, -1);
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[3 + i].revents != 0 && f->links[i].fd == fds[3 + i].fd)
                on_link(f, &f->links[i]);
        if (fds[1].revents != 0)
            accept_link(f, f->vsock);
        if (fds[2].revents != 0)
            accept_link(f, f->control);
        if (fds[0].revents != 0)
            on_told(f);
    }
}

/* ---- The test's side ---- */

static int listen_at(const char *folder, const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
    assert_in_range(n, 1, sizeof(address.sun_path) - 1);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

void fake_agent_start(struct fake_agent *f, const struct fake_agent_config *cfg)
{
    int talk[2];
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/caisson-fake-agent-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->vsock, sizeof(f->vsock), "%s/vsock", f->folder);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk), 0);
    struct fake fake = {.cfg = cfg, .folder = f->folder, .talk = talk[1]};
    fake.vsock = listen_at(f->folder, "vsock", SOCK_STREAM);
    fake.control = listen_at(f->folder, "pod.sock", SOCK_SEQPACKET);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(talk[0]);
        serve(&fake);
    }
    close(fake.vsock);
    close(fake.control);
    close(talk[1]);
    f->talk = talk[0];
}

void fake_agent_tell(struct fake_agent *f, const char *what)
{
    assert_int_equal(send(f->talk, what, strlen(what), MSG_NOSIGNAL), strlen(what));
}

const char *fake_agent_hear(struct fake_agent *f)
{
    struct pollfd p = {.fd = f->talk, .events = POLLIN};
    if (poll(&p, 1, LONG_MS) != 1)
        fail_msg("the fake agent was not asked for anything; last: %s", f->line);
    ssize_t n = recv(f->talk, f->line, sizeof(f->line) - 1, 0);
    f->line[n > 0 ? n : 0] = '\0';
    return n > 0 ? f->line : "ended";
}

void fake_agent_expect(struct fake_agent *f, const char *line)
{
    assert_string_equal(fake_agent_hear(f), line);
}

void fake_agent_await(struct fake_agent *f, const char *line)
{
    const char *heard;
    do {
        heard = fake_agent_hear(f);
        if (strncmp(heard, "violation", 9) == 0 || strcmp(heard, "ended") == 0)
            fail_msg("waiting for %s: %s", line, heard);
    } while (strncmp(heard, line, strlen(line)) != 0);
}

/* name: with a slash, or what stands behind the folder's name. */
static void remove_file(const char *folder, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s%s", folder, name);
    (void)unlink(path);
}

void fake_agent_stop(struct fake_agent *f)
{
    /* Other children of the test may have our end of the socket as well. */
    (void)!send(f->talk, "end", 3, MSG_NOSIGNAL);
    close(f->talk);
    assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
    remove_file(f->folder, "/vsock");
    remove_file(f->folder, "/pod.sock");
    remove_file(f->folder, "/pod.json");
    assert_int_equal(rmdir(f->folder), 0);
    remove_file(f->folder, ".pid");
}
