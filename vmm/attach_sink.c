/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attach_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a pipe takes without waiting when poll says that it takes something. */
#define WRITE_MAX 4096u

/* ---- Opening ---- */

/* Another open file of the same pipe or terminal, whose flags are ours alone; or a negative number. */
static int open_again(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void attach_sink_init(struct attach_sink *k, int fd)
{
    struct stat st = {.st_mode = 0};
    k->fd = fd;
    k->own_fd = k->is_socket = false;
    k->begin = k->end = 0;
    k->lost = 0;
    k->broken = fstat(fd, &st) < 0 && errno == EBADF;
    if (k->broken)
        return;
    k->is_socket = S_ISSOCK(st.st_mode);
    int again = S_ISFIFO(st.st_mode) || isatty(fd) == 1 ? open_again(fd) : -1;
    if (again >= 0) {
        k->fd = again;
        k->own_fd = true;
    }
}

void attach_sink_fini(struct attach_sink *k)
{
    if (k->own_fd)
        close(k->fd);
    k->own_fd = false;
    k->fd = -1;
    k->begin = k->end = 0;
    k->broken = true;
}

/* ---- Bytes ---- */

size_t attach_sink_add(struct attach_sink *k, const uint8_t *bytes, size_t n)
{
    assert(n <= sizeof(k->bytes) - attach_sink_held(k));
    if (k->broken)
        return 0;
    memmove(k->bytes, k->bytes + k->begin, attach_sink_held(k));
    k->end -= k->begin;
    k->begin = 0;
    memcpy(k->bytes + k->end, bytes, n);
    k->end += n;
    return n;
}

static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1;
}

static ssize_t write_some(const struct attach_sink *k, const uint8_t *bytes, size_t n)
{
    if (k->is_socket)
        return send(k->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!k->own_fd && !is_writable(k->fd)) {
        errno = EAGAIN;
        return -1;
    }
    return write(k->fd, bytes, k->own_fd || n < WRITE_MAX ? n : WRITE_MAX);
}

/* Readers that leave are seen by these; EIO is a terminal that has hung up, and anywhere else a disk that fails. */
static bool is_without_reader(const struct attach_sink *k, int code)
{
    return code == EPIPE || code == ECONNRESET || (code == EIO && k->own_fd);
}

static size_t give_up(struct attach_sink *k, int code)
{
    size_t lost = attach_sink_held(k);
    k->broken = true;
    k->lost = is_without_reader(k, code) ? 0 : -code;
    k->begin = k->end = 0;
    return lost;
}

size_t attach_sink_write(struct attach_sink *k)
{
    size_t n = attach_sink_held(k);
    if (n == 0)
        return 0;
    ssize_t done = write_some(k, k->bytes + k->begin, n);
    if (done < 0 && errno != EAGAIN && errno != EINTR)
        return give_up(k, errno);
    k->begin += done > 0 ? (size_t)done : 0;
    return done > 0 ? (size_t)done : 0;
}
