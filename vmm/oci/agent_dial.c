/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/oci/agent.h"
#include "vmm/oci/deadline.h"

/* Between two attempts: short beside what a guest takes to start, long beside what an attempt costs. */
#define RETRY_MS 20
/* "OK 4294967295\n" */
#define GREETING_BYTES 16

/* ---- The socket ---- */

/* The folder that the socket is in, and where its name begins. */
static int open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL)
        return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL)
        return -1;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return fd;
}

/* The path as an address; one that is too long goes by way of its folder's descriptor, which the caller closes. */
static int make_address(const char *path, struct sockaddr_un *address, int *folder)
{
    const char *name;
    *folder = -1;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return 0;
    }
    *folder = open_folder(path, &name);
    if (*folder < 0)
        return -errno;
    int n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *folder, name);
    return n >= 0 && (size_t)n < sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address;
    int folder;
    int code = make_address(path, &address, &folder);
    int fd = code < 0 ? code : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (code == 0 && fd < 0)
        code = -errno;
    if (code == 0) {
        do
            code = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        while (code == -EINTR);
    }
    if (folder >= 0)
        close(folder);
    if (code == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return code;
}

/* ---- The handshake ---- */

static int send_request(int fd, uint32_t port)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
    /* A socket that has just been made has room for more than a line. */
    return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -ECONNREFUSED;
}

/* One byte, since what follows the line belongs to the agent. 1; 0: not now; -ECONNREFUSED: closed. */
static int read_byte(int fd, char *byte)
{
    ssize_t n = recv(fd, byte, 1, MSG_DONTWAIT);
    if (n == 1)
        return 1;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -ECONNREFUSED;
}

static bool is_greeting(const char *line, size_t n)
{
    if (n < sizeof("OK 0") - 1 || memcmp(line, "OK ", 3) != 0)
        return false;
    return strspn(line + 3, "0123456789") == n - 3;
}

static int read_greeting(int fd, const struct deadline *deadline)
{
    char line[GREETING_BYTES + 1] = "";
    size_t n = 0;
    while (n < GREETING_BYTES) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int wait = deadline_left_ms(deadline);
        if (wait == 0)
            return -ETIMEDOUT;
        (void)poll(&p, 1, wait);
        int got = read_byte(fd, line + n);
        if (got < 0)
            return got;
        if (got == 1 && line[n] == '\n') {
            line[n] = '\0';
            return is_greeting(line, n) ? 0 : -EPROTO;
        }
        n += (size_t)got;
    }
    return -EPROTO;
}

static int attempt(const char *path, uint32_t port, const struct deadline *deadline)
{
    int fd = connect_to(path);
    if (fd < 0)
        return fd;
    int code = send_request(fd, port);
    code = code < 0 ? code : read_greeting(fd, deadline);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

/* Things that change while a pod starts. */
static bool is_passing(int code)
{
    return code == -ECONNREFUSED || code == -ENOENT || code == -EAGAIN;
}

static int report(struct err *err, const char *path, uint32_t port, int code)
{
    const struct err_context context = {.attempted = "reach the agent by",
                                        .on_what = path,
                                        .what_to_do = "look at console.log and pod.log beside it for why"};
    if (code == -ENOENT)
        return err_fail_because(err, -ETIMEDOUT, &context, "there is no such socket: the pod does not run");
    if (code == -ECONNREFUSED || code == -EAGAIN)
        return err_fail_because(err, -ETIMEDOUT, &context, "nobody listens on port %u of the guest", port);
    if (code == -ETIMEDOUT)
        return err_fail_because(err, code, &context, "the guest does not answer on port %u", port);
    if (code == -EPROTO)
        return err_fail_because(err, code, &context, "what answers is no vsock of a pod");
    return err_fail(err, code, &context);
}

int oci_agent_dial(const char *vsock_path, uint32_t port, unsigned timeout_ms, struct oci_agent *a, struct err *err)
{
    struct deadline deadline = deadline_in_ms(timeout_ms);
    /* A single attempt still gives the other side a moment to answer. */
    struct deadline answer = deadline_in_ms(timeout_ms > 0 ? timeout_ms : OCI_AGENT_GREETING_MS);
    int fd;
    memset(a, 0, sizeof(*a));
    a->fd = -1;
    while (fd = attempt(vsock_path, port, &answer), is_passing(fd)) {
        int left = deadline_left_ms(&deadline);
        if (left == 0)
            break;
        (void)poll(NULL, 0, left < RETRY_MS ? left : RETRY_MS);
    }
    if (fd < 0)
        return report(err, vsock_path, port, fd);
    oci_agent_init(a, fd);
    return 0;
}
