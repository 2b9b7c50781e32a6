/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/pod/pod.h"
#include "vmm/pod/request.h"

#define ANSWER_MAX ((size_t)1 << 20) /* of one answer; the longest lists 256 exports */

/* ---- Connecting ---- */

static const char *what_to_do(int code)
{
    if (code == -ENOENT || code == -ECONNREFUSED)
        return "look whether the pod's process still runs; 'caisson delete --force' removes what is left of it";
    return "look at the folder and its permissions";
}

static int fail(struct err *err, int code, const char *attempted, const char *on_what)
{
    const struct err_context context = {.attempted = attempted, .on_what = on_what, .what_to_do = what_to_do(code)};
    return err_fail(err, code, &context);
}

/* The folder's path may be longer than an address, so its descriptor stands for it. */
static int connect_in(int folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = POD_CONTROL_SECONDS}; /* for a process that does not accept, too */
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" POD_SOCKET_NAME, folder);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int code;
    do
        code = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
    while (code == -EINTR); /* this kind of socket is then as it was */
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int pod_control_open(const char *folder, int *fd, struct err *err)
{
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return fail(err, -errno, "open the pod's folder", folder);
    int made = connect_in(at);
    close(at);
    if (made < 0)
        return fail(err, made, "connect to the pod's process", folder);
    *fd = made;
    return 0;
}

/* ---- Asking ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* passed: a descriptor to send along, or -1. */
static int send_request(int fd, const char *text, size_t n, int passed)
{
    union control control;
    char copy[POD_REQUEST_BYTES];
    memcpy(copy, text, n);
    struct iovec iov = {.iov_base = copy, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (passed >= 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)n ? 0 : sent < 0 ? -errno : -EIO;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0, or -ETIMEDOUT. */
static int wait_for(int fd, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = now_ms();
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int n = now >= deadline_ms ? 0 : poll(&one, 1, (int)(deadline_ms - now));
        if (n == 0)
            return -ETIMEDOUT;
        if (n > 0)
            return 0;
    }
}

/* The descriptor that came along, if there is one. */
static int taken_fd(struct msghdr *m)
{
    int fd = -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(m);
    if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(h), sizeof(fd));
    return fd;
}

/* passed: gets a descriptor, or -1; NULL: none is wanted, and the kernel closes what comes. */
static ssize_t receive_message(int fd, char *text, size_t size, int *passed)
{
    union control control;
    struct iovec iov = {.iov_base = text, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (passed != NULL) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_LEN(sizeof(int)); /* without its padding, which is room for another one */
    }
    ssize_t n;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (passed != NULL)
        *passed = n > 0 ? taken_fd(&m) : -1;
    return n;
}

/* One answer as a string of the heap, its length in *n. passed: as above. */
static int receive(int fd, uint64_t deadline_ms, char **out, size_t *n, int *passed)
{
    int code = wait_for(fd, deadline_ms);
    if (code < 0)
        return code;
    ssize_t size;
    do
        size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return -errno;
    if (size == 0)
        return -ECONNRESET;
    if ((size_t)size > ANSWER_MAX)
        return -EMSGSIZE;
    char *text = malloc((size_t)size + 1);
    if (text == NULL)
        return -ENOMEM;
    ssize_t got = receive_message(fd, text, (size_t)size, passed);
    if (got <= 0) {
        free(text);
        return got < 0 ? -errno : -ECONNRESET;
    }
    text[got] = '\0';
    *out = text;
    *n = (size_t)got;
    return 0;
}

static int refused(const json_t *answer, struct err *err)
{
    const char *words = json_string_value(json_object_get(answer, "error"));
    json_int_t code = json_integer_value(json_object_get(answer, "code"));
    struct text t;
    int result = code > 0 && code < 4096 ? -(int)code : -EIO;
    if (err == NULL)
        return result;
    err->code = result;
    text_init(&t, err->text, sizeof(err->text));
    text_add(&t, "%s", words != NULL && words[0] != '\0' ? words : "the pod's process refused, and did not say why");
    return result;
}

/* Whether an answer says that it worked; if so it is given out, if somebody wants it. */
static int judge(const char *text, size_t n, json_t **out, struct err *err)
{
    static const struct err_context broken = {.attempted = "read the answer of the pod's process",
                                              .what_to_do = "look whether it is of another version of caisson"};
    json_t *answer = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(answer)) {
        json_decref(answer);
        return err_fail_because(err, -EBADMSG, &broken, "it is no JSON object");
    }
    int code = json_is_true(json_object_get(answer, "ok")) ? 0 : refused(answer, err);
    if (code == 0 && out != NULL)
        *out = json_incref(answer);
    json_decref(answer);
    return code;
}

/* passed: a descriptor, or -1. out: the answer, or NULL. got: gets a descriptor, or -1; NULL: none is wanted. */
static int ask_for(int fd, const struct pod_request *r, int passed, unsigned seconds, json_t **out, int *got,
                   struct err *err)
{
    char request[POD_REQUEST_BYTES], *text = NULL;
    size_t size = 0;
    uint64_t deadline = now_ms() + seconds * UINT64_C(1000);
    int n = pod_request_format(r, request, err);
    if (n < 0)
        return n;
    int code = send_request(fd, request, (size_t)n, passed);
    code = code < 0 ? code : receive(fd, deadline, &text, &size, got);
    if (code < 0)
        return fail(err, code, "ask the pod's process", request);
    code = judge(text, size, out, err);
    free(text);
    return code;
}

static int ask(int fd, const struct pod_request *r, int passed, unsigned seconds, json_t **out, struct err *err)
{
    return ask_for(fd, r, passed, seconds, out, NULL, err);
}

/* ---- Requests ---- */

/* A name that is too long becomes one that pod_request_format refuses. */
static void put(char *to, size_t size, const char *from)
{
    if (strnlen(from, size) < size)
        (void)strcpy(to, from);
}

int pod_control_export(int fd, const char *name, int export_fd, bool read_only, struct err *err)
{
    struct pod_request r = {.verb = POD_EXPORT, .read_only = read_only};
    put(r.name, sizeof(r.name), name);
    return ask(fd, &r, export_fd, POD_CONTROL_SECONDS, NULL, err);
}

int pod_control_unexport(int fd, const char *name, struct err *err)
{
    struct pod_request r = {.verb = POD_UNEXPORT};
    put(r.name, sizeof(r.name), name);
    return ask(fd, &r, -1, POD_CONTROL_SECONDS, NULL, err);
}

int pod_control_hold(int fd, const char *container, const char *exec, struct err *err)
{
    struct pod_request r = {.verb = POD_HOLD};
    put(r.container, sizeof(r.container), container);
    put(r.exec, sizeof(r.exec), exec == NULL ? "" : exec);
    if (exec != NULL && exec[0] != '\0' && r.exec[0] == '\0')
        r.container[0] = '\0'; /* not the container's first process for one whose id is too long */
    return ask(fd, &r, -1, POD_CONTROL_SECONDS, NULL, err);
}

int pod_control_done(int fd, struct err *err)
{
    const struct pod_request r = {.verb = POD_DONE};
    return ask(fd, &r, -1, POD_CONTROL_SECONDS, NULL, err);
}

/* The answer comes when nothing of the machine is left, and the end of the connection when the process is gone. */
int pod_control_stop(int fd, struct err *err)
{
    const struct pod_request r = {.verb = POD_STOP};
    uint64_t deadline = now_ms() + POD_STOP_SECONDS * UINT64_C(1000);
    int code = ask(fd, &r, -1, POD_STOP_SECONDS, NULL, err);
    char *text = NULL;
    size_t n;
    if (code < 0)
        return code;
    code = receive(fd, deadline, &text, &n, NULL);
    free(text);
    return code == -ETIMEDOUT ? fail(err, code, "wait for the end of the pod's process", NULL) : 0;
}

int pod_control_status(int fd, json_t **out, struct err *err)
{
    const struct pod_request r = {.verb = POD_STATUS};
    return ask(fd, &r, -1, POD_CONTROL_SECONDS, out, err);
}

int pod_control_quote(int fd, const uint8_t *nonce, size_t n, bool bind, json_t **out, int *files, struct err *err)
{
    static const struct err_context broken = {.attempted = "read the answer of the pod's process",
                                              .what_to_do = "look whether it is of another version of caisson"};
    static const struct err_context bad = {.attempted = "ask for evidence", .what_to_do = "give 8 to 64 bytes"};
    struct pod_request r = {.verb = POD_QUOTE, .nonce_bytes = n, .bind = bind};
    if (n < POD_NONCE_MIN || n > POD_NONCE_MAX)
        return err_fail_because(err, -EINVAL, &bad, "a nonce has no %zu bytes", n);
    memcpy(r.nonce, nonce, n);
    *files = -1;
    *out = NULL;
    int code = ask_for(fd, &r, -1, POD_CONTROL_SECONDS, out, files, err);
    if (code == 0 && *files < 0)
        code = err_fail_because(err, -EBADMSG, &broken, "there are no files with it");
    if (code == 0)
        return 0;
    json_decref(*out);
    if (*files >= 0)
        close(*files);
    *out = NULL;
    *files = -1;
    return code;
}
