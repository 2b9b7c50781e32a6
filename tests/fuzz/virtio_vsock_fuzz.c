/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a hostile guest and careless programs of the host at the two sides of a socket device. The host's
 * sockets are pairs; there is no file system.
 *
 * Input: actions, each a byte of kind and the bytes it needs (enum action); what is missing at the end is 0. Checked:
 * the loop comes to rest after each action (nothing spins), every packet for the guest is well-formed and of exactly
 * the length that the ring says, its data is no more than the guest's credit, answers come to those who ask.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/vsock.h"
#include "vmm/devices/virtio/vsock_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CID        42u
#define HOSTS      8u
#define BUFFER     8192u
#define FIRST_PORT (1u << 30)

enum action {
    PACKET,     /* a packet with plausible ports */
    RAW_PACKET, /* 44 bytes as they are */
    RX_BUFFERS, /* post some */
    EVENT_BUFFER,
    HOST_DIAL,
    HOST_WRITE,
    HOST_READ,
    HOST_CLOSE,
    TIME,
    RESTART,
    TRANSPORT_RESET,
    SCRIBBLE, /* into rings or anywhere else */
    ACTIONS,
};

struct world {
    struct vdrv d;
    struct vsock *v;
    const uint8_t *data;
    size_t size;
    int host[HOSTS]; /* the far ends; -1: none */
    int timer;
    uint64_t now_ns, wake_at_ns;
    uint64_t heap;       /* of the driver, after its rings were made */
    bool scribbled;      /* rings are not to be believed any more */
    uint64_t buffer[64]; /* of the receive queue, by head */
    uint32_t room[64];
};

/* ---- Input ---- */

static uint32_t take(struct world *w, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes && w->size > 0; i++, w->data++, w->size--)
        value |= (uint32_t)*w->data << 8 * i;
    return value;
}

/* ---- The host that the device sees ---- */

static int add_host(struct world *w)
{
    int pair[2];
    for (unsigned i = 0; i < HOSTS; i++) {
        if (w->host[i] >= 0)
            continue;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
            return -1;
        w->host[i] = pair[0];
        return pair[1];
    }
    return -1;
}

static int host_connect(void *ctx, uint32_t port)
{
    int fd = port % 4 == 3 ? -1 : add_host(ctx);
    return fd < 0 ? -2 : fd;
}

static uint64_t host_now(void *ctx)
{
    const struct world *w = ctx;
    return w->now_ns;
}

static int host_timer(void *ctx)
{
    struct world *w = ctx;
    w->timer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->timer;
}

static void ring(struct world *w)
{
    const uint64_t one = 1;
    if (w->wake_at_ns > w->now_ns)
        return;
    w->wake_at_ns = UINT64_MAX;
    (void)!write(w->timer, &one, sizeof(one));
}

static void host_wake(void *ctx, int timer, uint64_t at_ns)
{
    struct world *w = ctx;
    (void)timer;
    w->wake_at_ns = at_ns;
    ring(w);
}

/* ---- The guest ---- */

static void check_packet(struct world *w, uint16_t head, uint32_t written)
{
    const uint8_t *bytes = vdrv_at(&w->d, w->buffer[head % 64], BUFFER);
    struct vsock_header h = vsock_header_decode(bytes);
    /* An unused buffer comes back when the device has broken down. */
    if (written == 0)
        return;
    assert(written == VSOCK_HEADER_BYTES + h.len && written <= w->room[head % 64]);
    assert(h.dst_cid == CID && h.op >= VSOCK_OP_REQUEST && h.op <= VSOCK_OP_CREDIT_REQUEST);
    assert((h.op == VSOCK_OP_RW) == (h.len > 0));
    assert((h.op == VSOCK_OP_SHUTDOWN) == (h.flags != 0) && h.flags <= VSOCK_SHUTDOWN_BOTH);
    assert(h.buf_alloc == 65536 || (h.op == VSOCK_OP_RST && h.buf_alloc == 0));
}

static void take_packets(struct world *w)
{
    uint16_t head;
    uint32_t written;
    if (w->scribbled)
        return;
    while (vdrv_take(&w->d, VSOCK_QUEUE_RX, &head, &written))
        check_packet(w, head, written);
    while (vdrv_take(&w->d, VSOCK_QUEUE_TX, NULL, &written))
        assert(written == 0);
    while (vdrv_take(&w->d, VSOCK_QUEUE_EVENT, NULL, &written))
        assert(written == 4 || written == 0);
}

static void start(struct world *w, uint64_t features)
{
    w->d.heap = 0x10000;
    vdrv_reset(&w->d);
    w->scribbled = false;
    assert(vdrv_start(&w->d, features));
    w->heap = w->d.heap;
}

static bool has_room(const struct world *w, unsigned queue, unsigned buffers)
{
    const struct vdrv_queue *q = &w->d.queue[queue];
    return !w->scribbled && q->in_use + buffers <= q->size;
}

/* The descriptor that the next chain begins with; there is room for it. */
static uint16_t next_head(const struct world *w, unsigned queue)
{
    uint16_t at = 0;
    while (w->d.queue[queue].busy[at])
        at++;
    return at;
}

static void post_packet(struct world *w, const uint8_t *packet, uint32_t bytes, uint32_t cut)
{
    struct vdrv_buffer parts[2];
    if (!has_room(w, VSOCK_QUEUE_TX, 2))
        return;
    uint64_t at = VDRV_MEMORY_BYTES / 2 + 0x20000u * next_head(w, VSOCK_QUEUE_TX);
    memcpy(vdrv_at(&w->d, at, bytes), packet, bytes);
    cut = cut % bytes;
    parts[0] = (struct vdrv_buffer){.gpa = at, .bytes = cut};
    parts[1] = (struct vdrv_buffer){.gpa = at + cut, .bytes = bytes - cut};
    (void)vdrv_post(&w->d, VSOCK_QUEUE_TX, parts, 2);
    virtio_kick(w->d.v, VSOCK_QUEUE_TX);
}

static void do_packet(struct world *w)
{
    uint8_t packet[VSOCK_HEADER_BYTES + 65536 + 8] = {0};
    uint32_t op = take(w, 1), ports = take(w, 1), flags = take(w, 1), len = take(w, 2), lie = take(w, 1);
    struct vsock_header h = {.src_cid = CID,
                             .dst_cid = VSOCK_HOST_CID,
                             .src_port = ports & 3,
                             .dst_port = (ports & 0x80) != 0 ? ports >> 2 & 15 : FIRST_PORT + (ports >> 2 & 15),
                             .len = len,
                             .type = VSOCK_TYPE_STREAM,
                             .op = (uint16_t)(op & 7),
                             .flags = flags,
                             .buf_alloc = (op & 8) != 0 ? 65536 : take(w, 1) * 16,
                             .fwd_cnt = (op & 16) != 0 ? take(w, 2) : 0};
    h.type = (uint16_t)(h.type + (lie >> 6 == 1));
    h.dst_cid += lie >> 6 == 2;
    vsock_header_encode(&h, packet);
    memset(packet + VSOCK_HEADER_BYTES, (int)ports, len);
    /* At times less is there than the header says. */
    uint32_t there = lie >> 6 == 3 ? len * (lie & 63) / 64 : len;
    post_packet(w, packet, VSOCK_HEADER_BYTES + there, lie & 63);
}

static void do_raw_packet(struct world *w)
{
    uint8_t packet[VSOCK_HEADER_BYTES];
    uint32_t bytes = take(w, 1) % VSOCK_HEADER_BYTES + 1;
    for (unsigned i = 0; i < VSOCK_HEADER_BYTES; i++)
        packet[i] = (uint8_t)take(w, 1);
    post_packet(w, packet, bytes, 1);
}

static void do_rx_buffers(struct world *w)
{
    uint32_t count = take(w, 1) % 16, bytes = take(w, 2) % (BUFFER - 1) + 1;
    for (; count > 0 && has_room(w, VSOCK_QUEUE_RX, 1); count--) {
        uint16_t at = next_head(w, VSOCK_QUEUE_RX);
        w->buffer[at] = VDRV_MEMORY_BYTES / 4 + BUFFER * at;
        w->room[at] = bytes;
        const struct vdrv_buffer b = {.gpa = w->buffer[at], .bytes = bytes, .writable = true};
        (void)vdrv_post(&w->d, VSOCK_QUEUE_RX, &b, 1);
    }
    virtio_kick(w->d.v, VSOCK_QUEUE_RX);
}

static void do_event_buffer(struct world *w)
{
    const struct vdrv_buffer b = {
        .gpa = VDRV_MEMORY_BYTES / 4 - 4096, .bytes = 1 + take(w, 1) % 8, .writable = take(w, 1) % 8 != 0};
    if (has_room(w, VSOCK_QUEUE_EVENT, 1))
        (void)vdrv_post(&w->d, VSOCK_QUEUE_EVENT, &b, 1);
    virtio_kick(w->d.v, VSOCK_QUEUE_EVENT);
}

static void do_scribble(struct world *w)
{
    uint32_t at = take(w, 3), count = take(w, 1) % 16;
    /* The rings are where the memory begins. */
    at = (at & 0x800000) != 0 ? 0x10000 + at % 0x4000 : at % (VDRV_MEMORY_BYTES - 16);
    w->scribbled = true;
    for (uint32_t i = 0; i < count; i++)
        *vdrv_at(&w->d, at + i, 1) = (uint8_t)take(w, 1);
    for (unsigned i = 0; i < VSOCK_QUEUES; i++)
        virtio_kick(w->d.v, i);
}

/* ---- Programs of the host ---- */

static void do_dial(struct world *w)
{
    char line[40];
    uint32_t port = take(w, 1), cut = take(w, 1);
    int fd = add_host(w);
    if (fd < 0)
        return;
    int far_end = -1;
    for (unsigned i = 0; i < HOSTS; i++)
        far_end = w->host[i] >= 0 ? w->host[i] : far_end;
    int n = snprintf(line, sizeof(line), "%s %u\nmore", cut & 1 ? "CONNECT" : "connect", port & 3);
    (void)!send(far_end, line, cut >= 128 ? (size_t)cut % (size_t)n : (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    vsock_take(w->v, fd);
}

static void do_write(struct world *w)
{
    uint8_t bytes[65536] = {0};
    int fd = w->host[take(w, 1) % HOSTS];
    uint32_t n = take(w, 2);
    bytes[0] = (uint8_t)n;
    if (fd >= 0)
        (void)!send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void do_read(struct world *w)
{
    uint8_t bytes[65536] = {0};
    int fd = w->host[take(w, 1) % HOSTS];
    if (fd >= 0)
        (void)!recv(fd, bytes, take(w, 2), MSG_DONTWAIT);
}

static void do_close(struct world *w)
{
    uint32_t which = take(w, 1);
    int *fd = &w->host[which % HOSTS];
    if (*fd < 0)
        return;
    if (which >> 6 < 3) {
        (void)shutdown(*fd, (int)(which >> 6));
        return;
    }
    close(*fd);
    *fd = -1;
}

static void act(struct world *w)
{
    switch ((enum action)(take(w, 1) % ACTIONS)) {
    case PACKET: do_packet(w); break;
    case RAW_PACKET: do_raw_packet(w); break;
    case RX_BUFFERS: do_rx_buffers(w); break;
    case EVENT_BUFFER: do_event_buffer(w); break;
    case HOST_DIAL: do_dial(w); break;
    case HOST_WRITE: do_write(w); break;
    case HOST_READ: do_read(w); break;
    case HOST_CLOSE: do_close(w); break;
    case TIME:
        w->now_ns += UINT64_C(10000000) * take(w, 1);
        ring(w);
        break;
    case RESTART: start(w, take(w, 1) & 1 ? VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) : 0); break;
    case TRANSPORT_RESET: vsock_transport_reset(w->v); break;
    case SCRIBBLE: do_scribble(w); break;
    default: break;
    }
}

/* ---- */

static void settle(struct world *w)
{
    vdrv_turn(&w->d);
    assert(loop_turn(&w->d.loop) == 0);
    take_packets(w);
}

static void check_stats(struct world *w)
{
    struct vsock_stats s;
    vsock_stats(w->v, &s);
    assert(s.connections <= 1023);
}

/* A world that is left alone comes to an end: nothing stays behind that nobody waits for. */
static void check_end(struct world *w)
{
    struct vsock_stats s;
    start(w, 0);
    for (unsigned i = 0; i < HOSTS; i++)
        if (w->host[i] >= 0)
            close(w->host[i]);
    settle(w);
    vsock_stats(w->v, &s);
    assert(s.connections == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.data = data, .size = size, .wake_at_ns = UINT64_MAX};
    vdrv_init(&w.d);
    memset(w.host, 0xff, sizeof(w.host));
    const struct vsock_host host = {
        .connect = host_connect, .now_ns = host_now, .timer = host_timer, .wake = host_wake, .ctx = &w};
    const struct vsock_config cfg = {.memory = &w.d.memory, .loop = &w.d.loop, .guest_cid = CID, .host = &host};
    if (vsock_new(&cfg, &w.v, NULL) < 0)
        return 0;
    vdrv_attach(&w.d, vsock_virtio(w.v));
    start(&w, 0);
    while (w.size > 0) {
        act(&w);
        settle(&w);
        check_stats(&w);
    }
    check_end(&w);
    vsock_free(w.v);
    vdrv_fini(&w.d);
    return 0;
}
