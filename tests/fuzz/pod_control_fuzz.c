/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: clients of a pod's control socket.
 *
 * Input: messages, each with one byte in front: low 2 bits: which of three connections (3: one is closed and made
 * anew); bits 2 to 4: how many descriptors come with it; then two bytes of length, and the bytes.
 *
 * Checked: each message is answered once, or the connection ends; names that reach the owner are single words of
 * printable characters within their limits; what is read and written again is the same; a connection that stood for a
 * process and ended without a word is reported, and no other; no descriptor is left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/pod/request.h"
#include "vmm/pod/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS      3u
#define MESSAGES_MAX 64u

struct world {
    struct pod_server server;
    int client[CLIENTS], null_fd;
    unsigned stops, lost, held;
};

static void require(bool good)
{
    if (!good)
        abort();
}

static void require_word(const char *word, size_t max, bool may_be_empty)
{
    size_t n = strlen(word);
    require(n <= max && (n > 0 || may_be_empty));
    for (size_t i = 0; i < n; i++)
        require(word[i] > ' ' && word[i] < 0x7f);
}

/* ---- The owner ---- */

static int on_export(void *ctx, const char *name, int fd, bool read_only, struct err *err)
{
    const struct err_context context = {.attempted = "export", .on_what = name, .what_to_do = "use another name"};
    (void)ctx;
    require_word(name, POD_NAME_MAX, false);
    require(fd >= 0 && fcntl(fd, F_GETFD) >= 0);
    return read_only ? 0 : err_fail(err, -EEXIST, &context);
}

static int on_unexport(void *ctx, const char *name, struct err *err)
{
    const struct err_context context = {.attempted = "unexport", .on_what = name, .what_to_do = "name another"};
    (void)ctx;
    require_word(name, POD_NAME_MAX, false);
    return err_fail(err, -ENOENT, &context);
}

static void on_status(void *ctx, struct json_writer *w)
{
    (void)ctx;
    json_key(w, "phase");
    json_text(w, "running");
}

static void on_stop(void *ctx)
{
    ((struct world *)ctx)->stops++;
}

static void on_lost(void *ctx, const char *container, const char *exec)
{
    struct world *w = ctx;
    require_word(container, POD_WORD_MAX, false);
    require_word(exec, POD_WORD_MAX, true);
    require(w->lost++ < w->held);
}

static const struct pod_server_ops ops = {
    .export = on_export, .unexport = on_unexport, .status = on_status, .stop = on_stop, .lost = on_lost};

/* ---- The clients ---- */

static void join(struct world *w, unsigned i)
{
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    w->client[i] = pair[0];
    w->server.conn[w->server.count++] = (struct pod_conn){.fd = pair[1]};
}

static void turn(struct world *w)
{
    static struct pollfd fds[POD_SERVER_POLL];
    unsigned n = pod_server_poll(&w->server, fds);
    if (poll(fds, n, 0) > 0)
        pod_server_step(&w->server, fds, n);
}

static void send_one(const struct world *w, unsigned i, const uint8_t *bytes, size_t n, unsigned passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = malloc(n), .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    require(iov.iov_base != NULL);
    memcpy(iov.iov_base, bytes, n);
    if (passed > 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = (socklen_t)CMSG_SPACE(passed * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = (socklen_t)CMSG_LEN(passed * sizeof(int));
        for (unsigned k = 0; k < passed; k++)
            memcpy(CMSG_DATA(&control.header) + k * sizeof(int), &w->null_fd, sizeof(int));
    }
    require(sendmsg(w->client[i], &m, MSG_NOSIGNAL) == (ssize_t)n);
    free(iov.iov_base);
}

/* The words of a good request are the same when they are written again. */
static bool check_parser(const uint8_t *bytes, size_t n, struct pod_request *r)
{
    char out[POD_REQUEST_BYTES];
    struct err err;
    const char *text = (const char *)bytes;
    if (pod_request_parse(text, n, r, &err) < 0) {
        require(err.text[0] != '\0');
        return false;
    }
    size_t words = n > 0 && text[n - 1] == '\n' ? n - 1 : n;
    int written = pod_request_format(r, out, &err);
    require(written >= 0 && (size_t)written == words && memcmp(out, text, words) == 0);
    return true;
}

static void exchange(struct world *w, unsigned i, const uint8_t *bytes, size_t n, unsigned passed)
{
    char answer[16384];
    struct pod_request r;
    /* A message is cut where the longest request ends. */
    bool good = check_parser(bytes, n < POD_REQUEST_BYTES ? n : POD_REQUEST_BYTES, &r);
    w->held += good && r.verb == POD_HOLD;
    send_one(w, i, bytes, n, passed);
    turn(w);
    ssize_t got = recv(w->client[i], answer, sizeof(answer), MSG_DONTWAIT);
    if (good && r.verb == POD_STOP) {
        require(got < 0 && w->stops > 0);
        return;
    }
    require(got > 10 && answer[0] == '{');
    require(recv(w->client[i], answer, 1, MSG_DONTWAIT) < 0);
}

static void rejoin(struct world *w)
{
    close(w->client[0]);
    turn(w);
    join(w, 0);
}

static void run(struct world *w, const uint8_t *data, size_t size)
{
    for (unsigned count = 0; size >= 3 && count < MESSAGES_MAX; count++) {
        uint8_t how = data[0];
        size_t n = (size_t)data[1] | (size_t)data[2] << 8;
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        if ((how & 3) == 3)
            rejoin(w);
        else if (n > 0)
            exchange(w, how & 3, data, n, how >> 2 & 7);
        data += n;
        size -= n;
    }
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    require(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned before = descriptors();
    struct world *w = calloc(1, sizeof(*w));
    require(w != NULL);
    w->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    w->server.fd = -1;
    w->server.ops = &ops;
    w->server.ctx = w;
    for (unsigned i = 0; i < CLIENTS; i++)
        join(w, i);
    run(w, data, size);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(w->client[i]);
    turn(w);
    require(w->server.count == 0);
    pod_server_close(&w->server);
    close(w->null_fd);
    free(w);
    require(descriptors() == before);
    return 0;
}
