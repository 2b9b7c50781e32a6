/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The service that the guest reaches: trust.HostTrust over ttrpc, on a few connections of bounded size. A connection
 * that says anything else than requests ends; no other one notices.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pb_decode.h>

#include "google/protobuf/empty.pb.h"
#include "trust.pb.h"
#include "ttrpc.pb.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/stream.h"
#include "vmm/pod/trust_internal.h"

#define SERVICE "trust.HostTrust"

/* ---- Answers ---- */

/* Takes the frame over. What cannot be made ends the connection. */
static int answer(struct trust_conn *c, int code, struct ttrpc_frame *frame)
{
    if (code < 0)
        return code;
    c->out = frame->bytes;
    c->out_bytes = frame->size;
    c->sent = 0;
    return 0;
}

static int answer_error(struct trust_conn *c, enum ttrpc_code status, const char *text)
{
    struct ttrpc_frame frame;
    int code = ttrpc_pack_error(&frame, c->last_stream, status, text);
    return answer(c, code, &frame);
}

static int answer_failure(struct trust_conn *c, const struct err *err)
{
    return answer_error(c, ttrpc_code_of(err->code), err->text);
}

static int answer_empty(struct trust_conn *c)
{
    const google_protobuf_Empty nothing = google_protobuf_Empty_init_zero;
    struct ttrpc_frame frame;
    int code = ttrpc_pack_response(&frame, c->last_stream, google_protobuf_Empty_fields, &nothing);
    return answer(c, code, &frame);
}

/* ---- Extend ---- */

static int extend(struct pod_trust *t, const struct trust_conn *c, const trust_ExtendRequest *r, struct err *err)
{
    static const struct err_context context = {.attempted = "measure", .what_to_do = "send a kind that there is"};
    const uint8_t *data = r->data != NULL ? r->data->bytes : (const uint8_t *)"";
    size_t n = r->data != NULL ? r->data->size : 0;
    switch (r->kind) {
    case trust_ExtendKind_AGENT_KEY: return trust_extend_key(t, c->first, data, n, err);
    case trust_ExtendKind_CONTAINER: return trust_extend_container(t, data, n, err);
    case trust_ExtendKind_EXEC: return trust_extend_exec(t, data, n, err);
    default: return err_fail_because(err, -EINVAL, &context, "there is no kind %d", (int)r->kind);
    }
}

static int serve_extend(struct pod_trust *t, struct trust_conn *c, const uint8_t *bytes, size_t n)
{
    trust_ExtendRequest r;
    struct err err = {.code = 0};
    if (ttrpc_unpack(trust_ExtendRequest_fields, &r, bytes, n) < 0)
        return answer_error(c, TTRPC_INVALID_ARGUMENT, "the request is no message of Extend");
    int code = extend(t, c, &r, &err);
    pb_release(trust_ExtendRequest_fields, &r);
    return code < 0 ? answer_failure(c, &err) : answer_empty(c);
}

/* ---- GetEvidence ---- */

static bool copy_file(const struct evidence_file *f, pb_bytes_array_t **out)
{
    if (f->bytes == NULL)
        return true;
    pb_bytes_array_t *copy = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(f->length));
    if (copy == NULL)
        return false;
    copy->size = (pb_size_t)f->length;
    memcpy(copy->bytes, f->bytes, f->length);
    *out = copy;
    return true;
}

static int pack_evidence(const struct evidence *e, uint32_t stream, struct ttrpc_frame *frame)
{
    trust_Evidence m = trust_Evidence_init_zero;
    pb_bytes_array_t **const fields[EVIDENCE_KINDS] = {
        [EVIDENCE_MESSAGE] = &m.message, [EVIDENCE_SIGNATURE] = &m.signature, [EVIDENCE_PCRS] = &m.pcrs,
        [EVIDENCE_LOG] = &m.event_log,   [EVIDENCE_KEY] = &m.key_pem,         [EVIDENCE_CHAIN] = &m.chain_pem,
        [EVIDENCE_EAT] = &m.eat,         [EVIDENCE_AGENT_KEY] = &m.agent_key};
    bool good = true;
    for (unsigned i = 0; good && i < EVIDENCE_KINDS; i++)
        good = copy_file(&e->file[i], fields[i]);
    int code = good ? ttrpc_pack_response(frame, stream, trust_Evidence_fields, &m) : -ENOMEM;
    pb_release(trust_Evidence_fields, &m);
    return code;
}

static int quote(struct pod_trust *t, struct trust_conn *c, const trust_EvidenceRequest *r)
{
    struct evidence e = {.file = {{.bytes = NULL}}};
    struct err err = {.code = 0};
    struct ttrpc_frame frame;
    const uint8_t *nonce = r->nonce != NULL ? r->nonce->bytes : (const uint8_t *)"";
    if (pod_trust_quote(t, nonce, r->nonce != NULL ? r->nonce->size : 0, r->bind_agent, &e, &err) < 0)
        return answer_failure(c, &err);
    int code = pack_evidence(&e, c->last_stream, &frame);
    evidence_fini(&e);
    return answer(c, code, &frame);
}

static int serve_evidence(struct pod_trust *t, struct trust_conn *c, const uint8_t *bytes, size_t n)
{
    trust_EvidenceRequest r;
    if (!CONFIG_ATTEST)
        return answer_error(c, TTRPC_UNIMPLEMENTED, "this build of the monitor signs nothing");
    if (ttrpc_unpack(trust_EvidenceRequest_fields, &r, bytes, n) < 0)
        return answer_error(c, TTRPC_INVALID_ARGUMENT, "the request is no message of GetEvidence");
    int code = quote(t, c, &r);
    pb_release(trust_EvidenceRequest_fields, &r);
    return code;
}

/* ---- Requests ---- */

static const struct method {
    const char *name;
    int (*serve)(struct pod_trust *t, struct trust_conn *c, const uint8_t *bytes, size_t n);
} methods[] = {{"Extend", serve_extend}, {"GetEvidence", serve_evidence}};

static const struct method *find_method(const ttrpc_Request *r)
{
    if (r->service == NULL || r->method == NULL || strcmp(r->service, SERVICE) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(r->method, methods[i].name) == 0)
            return &methods[i];
    return NULL;
}

static int serve(struct pod_trust *t, struct trust_conn *c)
{
    ttrpc_Request r;
    if (ttrpc_unpack(ttrpc_Request_fields, &r, c->reader.payload, c->reader.header.bytes) < 0)
        return answer_error(c, TTRPC_INVALID_ARGUMENT, "the frame is no ttrpc request");
    const struct method *m = find_method(&r);
    int code = m == NULL ? answer_error(c, TTRPC_UNIMPLEMENTED, "there is no such method of " SERVICE)
                         : m->serve(t, c, r.payload != NULL ? r.payload->bytes : NULL,
                                    r.payload != NULL ? r.payload->size : 0);
    pb_release(ttrpc_Request_fields, &r);
    return code;
}

/* A frame is whole. -errno: the connection is to end. */
static int on_frame(struct pod_trust *t, struct trust_conn *c, int found)
{
    const struct ttrpc_header *h = &c->reader.header;
    if (h->type != TTRPC_REQUEST || h->stream % 2 == 0 || h->stream <= c->last_stream)
        return -EPROTO;
    c->last_stream = h->stream;
    if (found == TTRPC_OVERSIZED)
        return answer_error(c, TTRPC_RESOURCE_EXHAUSTED, "the frame is larger than 64 KiB");
    return serve(t, c);
}

/* ---- Connections ---- */

/* All of the answer that the guest takes. -errno: it takes no more. */
static int send_some(struct trust_conn *c)
{
    while (c->sent < c->out_bytes) {
        ssize_t n = pod_stream_send(c->fd, c->out + c->sent, c->out_bytes - c->sent);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            return -errno;
        c->sent += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->out_bytes = c->sent = 0;
    return 0;
}

static int receive_some(struct trust_conn *c)
{
    ssize_t n = pod_stream_receive(c->fd, c->input, sizeof(c->input));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return n < 0 ? -errno : -ECONNRESET;
    c->begin = 0;
    c->end = (size_t)n;
    return 0;
}

/* Take one request of what has arrived, and send its answer as far as it goes. */
static int take_one(struct pod_trust *t, struct trust_conn *c)
{
    size_t used;
    int found = ttrpc_reader_take(&c->reader, c->input + c->begin, c->end - c->begin, &used);
    if (found < 0)
        return found;
    c->begin += used;
    int code = found == TTRPC_MORE ? 0 : on_frame(t, c, found);
    return code < 0 ? code : send_some(c);
}

static int step(struct pod_trust *t, struct trust_conn *c)
{
    int code = send_some(c);
    if (code == 0 && c->out == NULL && c->begin == c->end)
        code = receive_some(c);
    for (unsigned i = 0; code == 0 && c->out == NULL && c->begin < c->end && i < TRUST_TURN_MAX; i++)
        code = take_one(t, c);
    return code;
}

static void end(struct pod_trust *t, struct trust_conn *c)
{
    t->parted |= c->first;
    close(c->fd);
    ttrpc_reader_fini(&c->reader);
    free(c->out);
    free(c);
}

static void accept_one(struct pod_trust *t)
{
    int fd = accept4(t->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct trust_conn *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
    bool first = !t->met;
    if (fd < 0)
        return;
    t->met = true;
    if (c == NULL) {
        t->parted |= first;
        close(fd);
        return;
    }
    c->fd = fd;
    c->first = first;
    c->reader.max = POD_TRUST_FRAME_MAX;
    t->conn[t->conn_count++] = c;
}

static void close_ranks(struct pod_trust *t)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->conn_count; i++)
        if (t->conn[i] != NULL)
            t->conn[kept++] = t->conn[i];
    t->conn_count = kept;
}

static short events_of(const struct trust_conn *c)
{
    return c->out != NULL || c->begin < c->end ? POLLOUT : POLLIN;
}

unsigned pod_trust_poll(const struct pod_trust *t, struct pollfd *fds)
{
    if (t == NULL)
        return 0;
    fds[0] = (struct pollfd){.fd = t->conn_count < POD_TRUST_CONNS_MAX ? t->fd : -1, .events = POLLIN};
    for (unsigned i = 0; i < t->conn_count; i++)
        fds[1 + i] = (struct pollfd){.fd = t->conn[i]->fd, .events = events_of(t->conn[i])};
    return 1 + t->conn_count;
}

void pod_trust_step(struct pod_trust *t, const struct pollfd *fds, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (fds[i].revents == 0 || step(t, t->conn[i - 1]) == 0)
            continue;
        end(t, t->conn[i - 1]);
        t->conn[i - 1] = NULL;
    }
    if (count == 0)
        return;
    close_ranks(t);
    if (fds[0].revents != 0)
        accept_one(t);
}

/* ---- Listening ---- */

static int listen_in(int folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" POD_TRUST_SOCKET_NAME, folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* bind() takes the mode of the socket, less the umask: nobody else can connect at any time. */
    if (fchmod(fd, 0600) == 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, POD_TRUST_CONNS_MAX) == 0)
        return fd;
    int code = -errno;
    close(fd);
    return code;
}

int pod_trust_listen(struct pod_trust *t, struct err *err)
{
    static const struct err_context context = {.attempted = "listen for the guest's measurements on",
                                               .on_what = POD_TRUST_SOCKET_NAME,
                                               .what_to_do = "look at the pod's folder and its permissions"};
    int fd = listen_in(t->folder);
    if (fd < 0)
        return err_fail(err, fd, &context);
    t->fd = fd;
    return 0;
}

void trust_hang_up(struct pod_trust *t)
{
    for (unsigned i = 0; i < t->conn_count; i++)
        end(t, t->conn[i]);
    t->conn_count = 0;
    if (t->fd < 0)
        return;
    (void)unlinkat(t->folder, POD_TRUST_SOCKET_NAME, 0);
    close(t->fd);
    t->fd = -1;
}
