/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

static void drop(struct console_sink *sink, size_t n)
{
    atomic_fetch_add_explicit(&sink->dropped, n, memory_order_relaxed);
}

/* ---- Opening ---- */

static int refuse(int code, struct err *err)
{
    static const struct err_context context = {
        .attempted = "write the console's output to its descriptor",
        .what_to_do = "give a file, pipe, terminal or socket that is open for writing",
    };
    return err_fail(err, code, &context);
}

/* Another open file description of the same pipe or terminal, whose flags are ours alone; or a negative number. */
static int open_again(int fd)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int make_nonblocking(struct console_sink *sink, int fd, int flags)
{
    int again = open_again(fd);
    if (again >= 0) {
        sink->fd = again;
        sink->own_fd = true;
        return 0;
    }
    sink->fd = fd;
    sink->restore_blocking = (flags & O_NONBLOCK) == 0;
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int prepare(struct console_sink *sink, int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    /* For musl, O_PATH is part of the access mode. */
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0) {
        return -EBADF;
    }
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        return make_nonblocking(sink, fd, flags);
    }
    sink->fd = fd;
    sink->is_socket = S_ISSOCK(st.st_mode);
    return 0;
}

int console_sink_init(struct console_sink *sink, int fd, unsigned wait_ms, struct err *err)
{
    *sink = (struct console_sink){.fd = -1, .wait_ms = wait_ms};
    int code = fd == -1 ? 0 : prepare(sink, fd);
    if (code < 0) {
        sink->fd = -1;
        return refuse(code, err);
    }
    return 0;
}

void console_sink_fini(struct console_sink *sink)
{
    if (sink->restore_blocking) {
        int flags = fcntl(sink->fd, F_GETFL);
        if (flags >= 0) {
            (void)fcntl(sink->fd, F_SETFL, flags & ~O_NONBLOCK);
        }
    }
    if (sink->own_fd) {
        close(sink->fd);
    }
    *sink = (struct console_sink){.fd = -1};
}

/* ---- Writing ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* True when a write will not block (it may fail). Signals, with which VPs are stopped, do not shorten the wait. */
static bool wait_until_writable(const struct console_sink *sink)
{
    struct pollfd p = {.fd = sink->fd, .events = POLLOUT};
    uint64_t deadline = now_ns() + sink->wait_ms * NS_PER_MS;
    for (uint64_t now = now_ns(); now < deadline; now = now_ns()) {
        int ready = poll(&p, 1, (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS));
        if (ready >= 0) {
            return ready > 0;
        }
        if (errno != EINTR) {
            return false;
        }
    }
    return false;
}

/* Bytes written, or a negative errno. */
static ssize_t write_some(const struct console_sink *sink, const uint8_t *bytes, size_t n)
{
    ssize_t r;
    do {
        r = sink->is_socket ? send(sink->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(sink->fd, bytes, n);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* After a write that took nothing: true to try once more. */
static bool goes_on(struct console_sink *sink, ssize_t result)
{
    if (result == -EPIPE || result == -EBADF) {
        sink->broken = true;
    }
    if (result != -EAGAIN || sink->stalled) {
        return false;
    }
    sink->stalled = !wait_until_writable(sink);
    return !sink->stalled;
}

void console_sink_write(struct console_sink *sink, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    if (sink->fd == -1) {
        return;
    }
    while (n > 0) {
        ssize_t r = sink->broken ? -EPIPE : write_some(sink, from, n);
        if (r > 0) {
            sink->stalled = false;
            from += r;
            n -= (size_t)r;
        } else if (!goes_on(sink, r)) {
            drop(sink, n);
            return;
        }
    }
}
