/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/backends/net_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define PREFIX_BYTES 4u
#define OUT_BYTES    (PREFIX_BYTES + NET_FRAME_MAX)
#define IN_BYTES     (2 * OUT_BYTES) /* a frame fits wherever one begins, once in a while moved to the front */

struct net_stream {
    struct net_backend backend;
    struct net_events events;
    struct log *log;
    atomic_flag said;
    struct sockaddr_un address; /* sun_path is "": there is none to go back to */
    struct sockaddr_un again;   /* the same for later, when the root may be another one */
    uint64_t retry_ns;
    struct loop *loop;
    /* What follows is the loop's. */
    int fd; /* -1: no peer */
    int timer;
    struct loop_source socket_source, timer_source;
    uint32_t interest; /* what the loop waits for */
    bool wanted;       /* the device wants frames */
    bool refused;      /* a send was refused, the device waits for `writable` */
    struct iovec list[NET_IOVS_MAX + 1];
    size_t out_begin, out_end; /* rest of a frame that is half sent */
    size_t in_begin, in_end;
    uint8_t out[OUT_BYTES];
    uint8_t in[IN_BYTES];
};

static void put_length(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < PREFIX_BYTES; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_length(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* ---- Connection ---- */

static void note(struct net_stream *s, const char *why)
{
    if (s->log != NULL && log_once_first(&s->said))
        log_write(s->log, LOG_LEVEL_WARN, LOG_NO_VCPU, "network stack at %s: %s; the guest's link is down",
                  s->address.sun_path[0] != 0 ? s->address.sun_path : "a descriptor", why);
}

static void update_interest(struct net_stream *s)
{
    uint32_t now =
        (s->wanted ? (uint32_t)EPOLLIN : 0) | (s->refused || s->out_end > s->out_begin ? (uint32_t)EPOLLOUT : 0);
    if (s->fd >= 0 && now != s->interest && loop_change(s->loop, &s->socket_source, now) == 0)
        s->interest = now;
}

static void set_timer(struct net_stream *s)
{
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(s->retry_ns / 1000000000), .tv_nsec = (long)(s->retry_ns % 1000000000)}};
    if (s->address.sun_path[0] != 0)
        (void)timerfd_settime(s->timer, 0, &at, NULL);
}

/* Without telling the device. */
static void hang_up(struct net_stream *s)
{
    if (s->fd < 0)
        return;
    if (s->loop != NULL)
        loop_remove(s->loop, &s->socket_source);
    close(s->fd);
    s->fd = -1;
    s->in_begin = s->in_end = s->out_begin = s->out_end = 0;
    s->refused = false;
}

static void lose_peer(struct net_stream *s, const char *why)
{
    note(s, why);
    hang_up(s);
    set_timer(s);
    s->events.link(s->events.ctx, false);
}

/* A descriptor or -errno. */
static int connect_to(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int code;
    do
        code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    while (code == -EINTR);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

static int watch(struct net_stream *s)
{
    s->socket_source.fd = s->fd;
    s->interest = s->wanted ? (uint32_t)EPOLLIN : 0;
    return loop_add(s->loop, &s->socket_source, s->interest);
}

static void on_timer(void *ctx, uint32_t events)
{
    struct net_stream *s = ctx;
    uint64_t times;
    (void)events;
    if (read(s->timer, &times, sizeof(times)) < 0 || s->fd >= 0)
        return;
    s->fd = connect_to(&s->again);
    if (s->fd >= 0 && watch(s) < 0)
        hang_up(s);
    if (s->fd < 0)
        set_timer(s);
    else
        s->events.link(s->events.ctx, true);
}

/* ---- Out ---- */

/* By errno: the peer takes nothing now, or is gone. */
static int cannot_send(struct net_stream *s)
{
    if (errno == EAGAIN)
        return -EAGAIN;
    lose_peer(s, strerror(errno));
    return -ENOTCONN;
}

/* Send what is left of a frame. 0; -EAGAIN: there still is something; -ENOTCONN: the peer is gone. */
static int flush_rest(struct net_stream *s)
{
    while (s->out_begin < s->out_end) {
        ssize_t n = send(s->fd, s->out + s->out_begin, s->out_end - s->out_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cannot_send(s);
        s->out_begin += (size_t)n;
    }
    s->out_begin = s->out_end = 0;
    return 0;
}

/* Keep what is left of the list after `sent` bytes; the caller has its memory back then. */
static void keep_rest(struct net_stream *s, unsigned count, size_t sent)
{
    for (unsigned i = 0; i < count; i++) {
        size_t skip = sent < s->list[i].iov_len ? sent : s->list[i].iov_len;
        sent -= skip;
        memcpy(s->out + s->out_end, (const uint8_t *)s->list[i].iov_base + skip, s->list[i].iov_len - skip);
        s->out_end += s->list[i].iov_len - skip;
    }
}

/* count: C libraries disagree about the type of msg_iovlen, and this one suits both. */
static int send_list(struct net_stream *s, uint16_t count)
{
    struct msghdr message = {.msg_iov = s->list, .msg_iovlen = count};
    ssize_t n;
    do
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return cannot_send(s);
    keep_rest(s, count, (size_t)n);
    return 0;
}

static int stream_send(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_stream *s = self;
    uint8_t prefix[PREFIX_BYTES];
    size_t bytes = 0;
    (void)pair;
    if (s->fd < 0)
        return -ENOTCONN;
    s->list[0] = (struct iovec){.iov_base = prefix, .iov_len = sizeof(prefix)};
    for (unsigned i = 0; i < count; i++) {
        s->list[i + 1] = iov[i];
        bytes += iov[i].iov_len;
    }
    if (bytes > NET_FRAME_MAX)
        return -EMSGSIZE;
    put_length(prefix, (uint32_t)bytes);
    int code = flush_rest(s);
    if (code == 0)
        code = send_list(s, (uint16_t)(count + 1));
    s->refused = code == -EAGAIN;
    update_interest(s);
    return code;
}

/* ---- In ---- */

/* Read what there is behind what is left. 0; -EAGAIN: nothing, or no peer any more. */
static int fill(struct net_stream *s)
{
    /* Moved seldom, so that a peer that sends byte by byte does not make us move much for each. */
    if (s->in_begin == s->in_end || sizeof(s->in) - s->in_begin < OUT_BYTES) {
        memmove(s->in, s->in + s->in_begin, s->in_end - s->in_begin);
        s->in_end -= s->in_begin;
        s->in_begin = 0;
    }
    ssize_t n;
    do
        n = recv(s->fd, s->in + s->in_end, sizeof(s->in) - s->in_end, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        s->in_end += (size_t)n;
        return 0;
    }
    if (n == 0 || errno != EAGAIN)
        lose_peer(s, n == 0 ? "it closed the connection" : strerror(errno));
    return -EAGAIN;
}

/* Bytes of the next frame if all of it is there, 0 if not yet, -EPROTO. */
static ssize_t next_frame(const struct net_stream *s)
{
    size_t have = s->in_end - s->in_begin;
    if (have < PREFIX_BYTES)
        return 0;
    uint32_t bytes = get_length(s->in + s->in_begin);
    if (bytes == 0 || bytes > NET_FRAME_MAX)
        return -EPROTO;
    return have < PREFIX_BYTES + bytes ? 0 : (ssize_t)bytes;
}

static ssize_t scatter(const struct iovec *iov, unsigned count, const uint8_t *from, size_t bytes)
{
    size_t done = 0;
    for (unsigned i = 0; i < count && done < bytes; i++) {
        size_t n = bytes - done < iov[i].iov_len ? bytes - done : iov[i].iov_len;
        memcpy(iov[i].iov_base, from + done, n);
        done += n;
    }
    return (ssize_t)done;
}

static ssize_t stream_receive(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_stream *s = self;
    ssize_t bytes = 0;
    (void)pair;
    while (s->fd >= 0 && (bytes = next_frame(s)) == 0)
        if (fill(s) < 0)
            return -EAGAIN;
    if (s->fd >= 0 && bytes < 0)
        lose_peer(s, "it sent a length that cannot be one");
    if (s->fd < 0)
        return -EAGAIN;
    ssize_t n = scatter(iov, count, s->in + s->in_begin + PREFIX_BYTES, (size_t)bytes);
    s->in_begin += PREFIX_BYTES + (size_t)bytes;
    return n;
}

/* ---- On the loop ---- */

static void stream_wait(void *self, unsigned pair, bool wanted)
{
    struct net_stream *s = self;
    (void)pair;
    s->wanted = wanted;
    update_interest(s);
}

static void on_writable(struct net_stream *s)
{
    bool refused = s->refused;
    if (flush_rest(s) < 0)
        return;
    s->refused = false;
    update_interest(s);
    if (refused)
        s->events.writable(s->events.ctx, 0);
}

static void on_socket(void *ctx, uint32_t events)
{
    struct net_stream *s = ctx;
    if ((events & EPOLLOUT) != 0)
        on_writable(s);
    if (s->fd < 0 || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    /* Who does not want frames does not read the end of them, and epoll would tell it again and again. */
    if (s->wanted)
        s->events.readable(s->events.ctx, 0);
    else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        lose_peer(s, "it closed the connection");
}

/* ---- Life ---- */

static int stream_start(void *self, struct loop *const *loops, const struct net_events *events)
{
    struct net_stream *s = self;
    s->events = *events;
    s->loop = loops[0];
    int code = loop_add(s->loop, &s->timer_source, EPOLLIN);
    if (code < 0)
        return code;
    code = watch(s);
    if (code < 0)
        loop_remove(s->loop, &s->timer_source);
    return code;
}

static void stream_stop(void *self)
{
    struct net_stream *s = self;
    hang_up(s);
    loop_remove(s->loop, &s->timer_source);
}

static void stream_close(void *self)
{
    struct net_stream *s = self;
    if (s->fd >= 0)
        close(s->fd);
    if (s->timer >= 0)
        close(s->timer);
    free(s);
}

static const struct net_backend_ops stream_ops = {.name = "stream",
                                                  .start = stream_start,
                                                  .stop = stream_stop,
                                                  .wait = stream_wait,
                                                  .receive = stream_receive,
                                                  .send = stream_send,
                                                  .close = stream_close};

static int take_descriptor(struct net_stream *s, int fd, struct err *err)
{
    static const struct err_context context = {.attempted = "use the descriptor of a network stack",
                                               .what_to_do = "pass one end of a connected Unix stream socket"};
    int type = 0;
    socklen_t length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
        return err_fail_because(err, -EINVAL, &context, "it is no stream socket");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_fail(err, -errno, &context);
    s->fd = fd;
    return 0;
}

static bool set_address(struct sockaddr_un *address, const char *path)
{
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(address->sun_path))
        return false;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, n + 1);
    return true;
}

static int connect_first(struct net_stream *s, const char *path, const char *inside, struct err *err)
{
    const struct err_context context = {.attempted = "connect to the network stack at",
                                        .on_what = path,
                                        .what_to_do = "start it first, for example: passt --socket PATH"};
    if (!set_address(&s->address, path) || !set_address(&s->again, inside != NULL ? inside : path))
        return err_fail_because(err, -EINVAL, &context, "a path has 1 to %zu bytes", sizeof(s->address.sun_path) - 1);
    s->fd = connect_to(&s->address);
    return s->fd < 0 ? err_fail(err, s->fd, &context) : 0;
}

int net_stream_open(const struct net_stream_config *config, struct net_backend **out, struct err *err)
{
    static const struct err_context context = {.attempted = "connect to a network stack",
                                               .what_to_do = "free memory and descriptors on the host"};
    struct net_stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_fail(err, -ENOMEM, &context);
    s->fd = -1;
    s->log = config->log;
    s->retry_ns = config->retry_ns > 0 ? config->retry_ns : NET_STREAM_RETRY_NS;
    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s->socket_source = (struct loop_source){.ready = on_socket, .ctx = s};
    s->timer_source = (struct loop_source){.fd = s->timer, .ready = on_timer, .ctx = s};
    s->backend = (struct net_backend){.ops = &stream_ops, .self = s, .pairs = 1, .mtu = config->mtu};
    int code = s->timer < 0           ? err_fail(err, -errno, &context)
               : config->path != NULL ? connect_first(s, config->path, config->inside, err)
                                      : take_descriptor(s, config->fd, err);
    if (code < 0) {
        stream_close(s);
        return code;
    }
    *out = &s->backend;
    return 0;
}
