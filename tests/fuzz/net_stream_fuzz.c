/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a network stack that says what it likes on its socket, and stops reading when it likes.
 *
 * Input: actions of a byte: low 2 bits 0: the stack sends the next bytes of the input (upper 6 bits, times 5), 1: a
 * frame's length in front of so many, as it should be; 2: the guest sends a frame of 37 times so many bytes, 3: the
 * stack reads some, and the device begins or ends (bit 2) to wait for frames. Checked: frames come as they were sent,
 * none is longer than it may be, what is sent out is whole frames in order, a link that is down stays down.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/backends/net_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTIONS_MAX 300u

struct world {
    struct loop loop;
    struct net_backend *b;
    int peer;
    const uint8_t *data;
    size_t size;
    bool down;
    uint64_t taken;           /* bytes of frames that came */
    uint64_t given;           /* bytes of the stack */
    uint8_t stream[1u << 17]; /* what went to the stack, as it should be */
    size_t written, read;     /* of it */
    uint8_t frame[NET_FRAME_MAX + 8];
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void on_readable(void *ctx, unsigned pair)
{
    struct world *w = ctx;
    ssize_t n;
    require(pair == 0);
    struct iovec iov = {.iov_base = w->frame, .iov_len = sizeof(w->frame)};
    while (n = w->b->ops->receive(w->b->self, 0, &iov, 1), n > 0) {
        require((size_t)n <= NET_FRAME_MAX);
        w->taken += (uint64_t)n + 4;
    }
    require(w->taken <= w->given);
}

static void on_writable(void *ctx, unsigned pair)
{
    (void)ctx;
    require(pair == 0);
}

static void on_link(void *ctx, bool up)
{
    struct world *w = ctx;
    if (!up)
        require(!w->down);
    w->down = !up;
}

static void settle(struct world *w)
{
    for (unsigned i = 0; loop_turn(&w->loop) > 0; i++)
        require(i < 10000);
}

static void stack_sends(struct world *w, size_t n, bool framed)
{
    uint8_t bytes[4 + 320] = {0};
    size_t prefix = framed ? 4 : 0;
    n = n < w->size ? n : w->size;
    bytes[2] = framed ? (uint8_t)(n >> 8) : 0;
    bytes[3] = framed ? (uint8_t)n : 0;
    if (n > 0)
        memcpy(bytes + prefix, w->data, n);
    w->data += n;
    w->size -= n;
    ssize_t sent = send(w->peer, bytes, prefix + n, MSG_NOSIGNAL | MSG_DONTWAIT);
    require(sent == (ssize_t)(prefix + n) || w->down || (sent < 0 && errno == EAGAIN) || errno == EPIPE);
    w->given += sent > 0 ? (uint64_t)sent : 0;
}

/* A frame that was taken is one that the stack is to find in full. */
static void guest_sends(struct world *w, size_t n)
{
    const uint8_t fill = (uint8_t)n;
    if (w->written + 4 + n > sizeof(w->stream))
        return;
    memset(w->frame, fill, n);
    struct iovec iov[2] = {{.iov_base = w->frame, .iov_len = n / 2},
                           {.iov_base = w->frame + n / 2, .iov_len = n - n / 2}};
    if (w->b->ops->send(w->b->self, 0, iov, 2) != 0)
        return;
    uint8_t *to = w->stream + w->written;
    memset(to, 0, 2);
    to[2] = (uint8_t)(n >> 8);
    to[3] = (uint8_t)n;
    memset(to + 4, fill, n);
    w->written += 4 + n;
}

static void stack_reads(struct world *w, size_t n)
{
    uint8_t bytes[1024];
    ssize_t got = recv(w->peer, bytes, n < sizeof(bytes) ? n : sizeof(bytes), MSG_DONTWAIT);
    if (got <= 0)
        return;
    require((size_t)got <= w->written - w->read && memcmp(bytes, w->stream + w->read, (size_t)got) == 0);
    w->read += (size_t)got;
}

static void act(struct world *w)
{
    uint8_t kind = *w->data++;
    size_t a = kind >> 2;
    w->size--;
    switch (kind & 3) {
    case 0:
    case 1: stack_sends(w, a * 5, (kind & 1) != 0); break;
    case 2: guest_sends(w, a * 37 + 1); break;
    default:
        stack_reads(w, a * 16);
        w->b->ops->wait(w->b->self, 0, (a & 1) == 0);
        break;
    }
    settle(w);
}

static void open_world(struct world *w)
{
    int pair[2], few = 4096;
    struct loop *loops[1] = {&w->loop};
    const struct net_events events = {on_readable, on_writable, on_link, w};
    require(loop_init(&w->loop, "fuzz", NULL) == 0);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
    w->peer = pair[0];
    const struct net_stream_config config = {.fd = pair[1]};
    require(net_stream_open(&config, &w->b, NULL) == 0);
    require(w->b->ops->start(w->b->self, loops, &events) == 0);
    w->b->ops->wait(w->b->self, 0, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    require(w != NULL);
    w->data = data;
    w->size = size;
    open_world(w);
    for (unsigned i = 0; i < ACTIONS_MAX && w->size > 0; i++)
        act(w);
    close(w->peer);
    settle(w);
    w->b->ops->stop(w->b->self);
    net_backend_close(w->b);
    loop_fini(&w->loop);
    free(w);
    return 0;
}
