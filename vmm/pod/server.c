/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/memfd.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/request.h"

#define BACKLOG 64
#define FDS_MAX 4u /* so many are taken, to be closed; one is of use */

/* ---- The socket ---- */

/* The folder's path may be longer than an address. */
static int address_in(int folder, const char *name, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/%s", folder, name);
    return n < 0 || (size_t)n >= sizeof(out->sun_path) ? -ENAMETOOLONG : 0;
}

static int listen_in(struct pod_server *s)
{
    struct sockaddr_un address;
    int code = address_in(s->folder, s->name, &address);
    if (code < 0)
        return code;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* bind() takes the mode of the socket, less the umask: nobody else can connect at any time. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        code = -errno;
        close(fd);
        return code;
    }
    s->fd = fd;
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

int pod_server_open(struct pod_server *s, int folder, const char *name, const struct pod_server_ops *ops, void *ctx,
                    struct err *err)
{
    struct err_context context = {.attempted = "listen on the pod's control socket",
                                  .on_what = name,
                                  .what_to_do = "look at the pod's folder and its permissions"};
    memset(s, 0, sizeof(*s));
    s->folder = folder;
    s->name = name;
    s->fd = -1;
    s->ops = ops;
    s->ctx = ctx;
    int code = listen_in(s);
    if (code == 0)
        return 0;
    if (code == -EADDRINUSE)
        context.what_to_do = "remove the pod (delete --force) if its process is gone";
    return err_fail(err, code, &context);
}

/* ---- Answers ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

/* A client that has no room for an answer does not read: it is not waited for. passed: a descriptor, or -1. */
static int send_text(const struct pod_conn *c, char *text, size_t n, int passed)
{
    union control control;
    struct iovec iov = {.iov_base = text, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (passed >= 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
    }
    return sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -ECONNRESET;
}

/* What an answer has besides "ok"; zeroed: nothing. */
struct content {
    bool status;
    const struct evidence *evidence; /* its files' sizes; they go along in `passed` */
    int passed;                      /* with evidence */
};

static void put_sizes(struct json_writer *w, const struct evidence *e)
{
    json_key(w, "files");
    json_begin_object(w);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        if (e->file[i].bytes != NULL)
            json_put_int(w, evidence_file_name((enum evidence_kind)i), (int64_t)e->file[i].length);
    json_end_object(w);
}

static void put_content(const struct pod_server *s, const struct content *content, struct json_writer *w)
{
    if (content->status)
        s->ops->status(s->ctx, w);
    if (CONFIG_ATTEST && content->evidence != NULL)
        put_sizes(w, content->evidence);
}

static void put_refusal(int code, const struct err *err, struct json_writer *w)
{
    json_put_text(w, "error", err->text);
    json_put_int(w, "code", -code);
}

static int answer_with(const struct pod_server *s, const struct pod_conn *c, int code, const struct err *err,
                       const struct content *content)
{
    char *text = NULL;
    size_t n = 0;
    struct json_writer w;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return -ENOMEM;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_bool(&w, "ok", code == 0);
    if (code < 0)
        put_refusal(code, err, &w);
    else
        put_content(s, content, &w);
    json_end_object(&w);
    json_finish(&w);
    bool whole = ferror(out) == 0;
    whole = fclose(out) == 0 && whole;
    int result = whole ? send_text(c, text, n, content->evidence != NULL ? content->passed : -1) : -ENOMEM;
    free(text);
    return result;
}

static int answer(const struct pod_server *s, const struct pod_conn *c, int code, const struct err *err)
{
    return answer_with(s, c, code, err, &(const struct content){.status = false});
}

/* ---- Evidence ---- */

/* All files behind each other, in memory that the client can only read. A descriptor, or -errno. */
static int pack_files(const struct evidence *e)
{
    int fd = memfd_new("caisson-evidence", true);
    int code = fd < 0 ? fd : 0;
    for (unsigned i = 0; code == 0 && i < EVIDENCE_KINDS; i++)
        if (write(fd, e->file[i].bytes, e->file[i].length) != (ssize_t)e->file[i].length)
            code = -ENOMEM;
    if (code == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        code = -errno;
    if (code < 0 && fd >= 0)
        close(fd);
    return code < 0 ? code : fd;
}

static int answer_evidence(const struct pod_server *s, const struct pod_conn *c, const struct evidence *e)
{
    static const struct err_context context = {.attempted = "hand evidence over",
                                               .what_to_do = "free memory on the host"};
    struct err err;
    int fd = pack_files(e);
    if (fd < 0)
        return answer(s, c, err_fail(&err, fd, &context), &err);
    int code = answer_with(s, c, 0, NULL, &(const struct content){.evidence = e, .passed = fd});
    close(fd);
    return code;
}

static int serve_quote(const struct pod_server *s, const struct pod_conn *c, const struct pod_request *r)
{
    static const struct err_context none = {.attempted = "make evidence",
                                            .what_to_do = "use a build with CONFIG_ATTEST"};
    struct evidence e = {.file = {{.bytes = NULL}}};
    struct err err = {.code = 0};
    if (!CONFIG_ATTEST || s->ops->quote == NULL)
        return answer(s, c, err_fail_because(&err, -EOPNOTSUPP, &none, "this build signs nothing"), &err);
    int code = s->ops->quote(s->ctx, r->nonce, r->nonce_bytes, r->bind, &e, &err);
    if (code < 0)
        return answer(s, c, code, &err);
    code = answer_evidence(s, c, &e);
    evidence_fini(&e);
    return code;
}

/* ---- Requests ---- */

static int refuse(struct err *err, const char *attempted, const char *why, const char *to_do)
{
    const struct err_context context = {.attempted = attempted, .what_to_do = to_do};
    return err_fail_because(err, -EINVAL, &context, "%s", why);
}

static int hold(struct pod_conn *c, const struct pod_request *r, struct err *err)
{
    static const struct err_context context = {.attempted = "hold a process", .what_to_do = "free memory on the host"};
    if (c->container != NULL)
        return refuse(err, "hold a process", "the connection stands for another one", "connect once for each process");
    c->container = strdup(r->container);
    c->exec = strdup(r->exec);
    if (c->container != NULL && c->exec != NULL)
        return 0;
    free(c->container);
    free(c->exec);
    c->container = c->exec = NULL;
    return err_fail(err, -ENOMEM, &context);
}

static void let_go(struct pod_conn *c)
{
    free(c->container);
    free(c->exec);
    c->container = c->exec = NULL;
}

static int done(struct pod_conn *c, struct err *err)
{
    if (c->container == NULL)
        return refuse(err, "end the hold", "the connection stands for no process", "send hold first");
    let_go(c);
    return 0;
}

static int export(const struct pod_server *s, const struct pod_request *r, const int *fds, unsigned count,
                  struct err *err)
{
    if (count != 1)
        return refuse(err, "export", "there is not exactly one descriptor with it",
                      "send the descriptor of a folder or file along");
    return s->ops->export(s->ctx, r->name, fds[0], r->read_only, err);
}

/* One request with the descriptors that came with it. -errno: the connection is of no use any more. */
static int serve(struct pod_server *s, struct pod_conn *c, const char *bytes, size_t n, const int *fds, unsigned count)
{
    struct pod_request r;
    struct err err = {.code = 0};
    int code = pod_request_parse(bytes, n, &r, &err);
    if (code < 0)
        return answer(s, c, code, &err);
    switch (r.verb) {
    case POD_EXPORT: code = export(s, &r, fds, count, &err); break;
    case POD_UNEXPORT: code = s->ops->unexport(s->ctx, r.name, &err); break;
    case POD_STATUS: return answer_with(s, c, 0, NULL, &(const struct content){.status = true});
    case POD_QUOTE: return serve_quote(s, c, &r);
    case POD_HOLD: code = hold(c, &r, &err); break;
    case POD_DONE: code = done(c, &err); break;
    case POD_STOP:
        c->stops = true;
        s->ops->stop(s->ctx);
        return 0;
    }
    return answer(s, c, code, &err);
}

/* ---- Receiving ---- */

/* The kernel makes one list of all descriptors; what does not fit into `control` it has closed already. */
static unsigned take_fds(struct msghdr *m, int fds[FDS_MAX])
{
    struct cmsghdr *h = CMSG_FIRSTHDR(m);
    if (h == NULL || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    n = n < FDS_MAX ? n : FDS_MAX;
    memcpy(fds, CMSG_DATA(h), n * sizeof(int));
    return (unsigned)n;
}

/* -errno: the connection has ended, or is to end. */
static int receive(struct pod_server *s, struct pod_conn *c)
{
    char bytes[POD_REQUEST_BYTES];
    union control control;
    int fds[FDS_MAX];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return -errno;
    unsigned count = take_fds(&m, fds);
    /* More descriptors than there was room for are more than one, even if none came through. */
    unsigned said = (m.msg_flags & MSG_CTRUNC) != 0 ? FDS_MAX : count;
    /* A request that was cut is longer than any good one, and is refused for its words. */
    int code = n == 0 ? -ECONNRESET : serve(s, c, bytes, (size_t)n, fds, said);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    return code;
}

/* ---- Connections ---- */

static void accept_one(struct pod_server *s)
{
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        s->conn[s->count++] = (struct pod_conn){.fd = fd};
}

static void end(struct pod_server *s, struct pod_conn *c)
{
    close(c->fd);
    c->fd = -1;
    if (c->container != NULL)
        s->ops->lost(s->ctx, c->container, c->exec);
    let_go(c);
}

static void close_ranks(struct pod_server *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->count; i++)
        if (s->conn[i].fd >= 0)
            s->conn[kept++] = s->conn[i];
    s->count = kept;
}

unsigned pod_server_poll(const struct pod_server *s, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = s->count < POD_CONNS_MAX ? s->fd : -1, .events = POLLIN};
    for (unsigned i = 0; i < s->count; i++)
        fds[1 + i] = (struct pollfd){.fd = s->conn[i].fd, .events = POLLIN};
    return 1 + s->count;
}

void pod_server_step(struct pod_server *s, const struct pollfd *fds, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (fds[i].revents != 0 && receive(s, &s->conn[i - 1]) < 0)
            end(s, &s->conn[i - 1]);
    close_ranks(s);
    if (fds[0].revents != 0)
        accept_one(s);
}

void pod_server_finish(struct pod_server *s)
{
    unsigned kept = 0;
    if (s->ops == NULL)
        return;
    if (s->fd >= 0) {
        (void)unlinkat(s->folder, s->name, 0);
        close(s->fd);
    }
    s->fd = -1;
    for (unsigned i = 0; i < s->count; i++) {
        struct pod_conn *c = &s->conn[i];
        let_go(c);
        if (c->stops && answer(s, c, 0, NULL) == 0)
            s->conn[kept++] = *c;
        else
            close(c->fd);
    }
    s->count = kept;
    s->ops = NULL;
}

void pod_server_close(struct pod_server *s)
{
    pod_server_finish(s);
    for (unsigned i = 0; i < s->count; i++)
        close(s->conn[i].fd);
    memset(s, 0, sizeof(*s));
    s->fd = -1;
}
