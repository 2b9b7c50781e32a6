/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/vsock_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define require(good)                                                                                                  \
    do {                                                                                                               \
        if (!(good)) {                                                                                                 \
            (void)fprintf(stderr, "vsock_rig: line %d: %s\n", __LINE__, #good);                                        \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- The host that the device sees ---- */

static int host_connect(void *ctx, uint32_t port)
{
    struct vsock_rig *r = ctx;
    struct vsock_host real = vsock_host_real(&r->place);
    return real.connect(real.ctx, port);
}

static uint64_t host_now(void *ctx)
{
    struct vsock_rig *r = ctx;
    return r->now_ns;
}

static int host_timer(void *ctx)
{
    struct vsock_rig *r = ctx;
    r->timer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r->timer;
}

static void ring(struct vsock_rig *r)
{
    const uint64_t one = 1;
    if (r->wake_at_ns > r->now_ns)
        return;
    r->wake_at_ns = UINT64_MAX;
    require(write(r->timer, &one, sizeof(one)) == sizeof(one));
}

static void host_wake(void *ctx, int timer, uint64_t at_ns)
{
    struct vsock_rig *r = ctx;
    require(timer == r->timer);
    r->wake_at_ns = at_ns;
    ring(r);
}

/* ---- Life ---- */

void vsock_rig_make(struct vsock_rig *r)
{
    memset(r, 0, sizeof(*r));
    vdrv_init(&r->d);
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/vsock-XXXXXX");
    require(mkdtemp(r->folder) != NULL);
    (void)snprintf(r->path, sizeof(r->path), "%s/v", r->folder);
    r->place = (struct vsock_listener){.fd = -1, .path = r->path};
    r->now_ns = 1000;
    r->wake_at_ns = UINT64_MAX;
    r->keep_posted = true;
    r->guest_room = VSOCK_RIG_GUEST_ROOM;
    const struct vsock_host host = {
        .connect = host_connect, .now_ns = host_now, .timer = host_timer, .wake = host_wake, .ctx = r};
    const struct vsock_config cfg = {.memory = &r->d.memory,
                                     .loop = &r->d.loop,
                                     .guest_cid = VSOCK_RIG_CID,
                                     .path = r->path,
                                     .mode = 0600,
                                     .uid = (uid_t)-1,
                                     .gid = (gid_t)-1,
                                     .host = &host};
    struct err err;
    int code = vsock_new(&cfg, &r->v, &err);
    if (code < 0)
        (void)fprintf(stderr, "%s\n", err.text);
    require(code == 0);
    vdrv_attach(&r->d, vsock_virtio(r->v));
}

void vsock_rig_start(struct vsock_rig *r, uint64_t features)
{
    memset(r->posted, 0, sizeof(r->posted));
    require(vdrv_start(&r->d, features));
    vsock_rig_turn(r);
}

static void post_one(struct vsock_rig *r, unsigned i)
{
    if (r->gpa[i] == 0)
        r->gpa[i] = vdrv_alloc(&r->d, VSOCK_RIG_RX_BYTES, 8);
    const struct vdrv_buffer parts[] = {
        {.gpa = r->gpa[i], .bytes = VSOCK_HEADER_BYTES, .writable = true},
        {.gpa = r->gpa[i] + VSOCK_HEADER_BYTES, .bytes = VSOCK_RIG_RX_BYTES - VSOCK_HEADER_BYTES, .writable = true}};
    r->head[i] = vdrv_post(&r->d, VSOCK_QUEUE_RX, parts, 2);
    r->posted[i] = true;
}

void vsock_rig_post(struct vsock_rig *r, unsigned buffers)
{
    for (unsigned i = 0; i < VSOCK_RIG_RX_MAX && buffers > 0; i++) {
        if (r->posted[i])
            continue;
        post_one(r, i);
        buffers--;
    }
    require(buffers == 0);
    vdrv_kick(&r->d, VSOCK_QUEUE_RX);
    vsock_rig_turn(r);
}

void vsock_rig_init(struct vsock_rig *r)
{
    vsock_rig_make(r);
    vsock_rig_start(r, VIRTIO_FEATURE(VSOCK_F_STREAM));
    vsock_rig_post(r, VSOCK_RIG_RX_MAX);
}

void vsock_rig_fini(struct vsock_rig *r)
{
    char command[64];
    vsock_free(r->v);
    vdrv_fini(&r->d);
    (void)snprintf(command, sizeof(command), "rm -rf %s", r->folder);
    require(system(command) == 0);
}

void vsock_rig_turn(struct vsock_rig *r)
{
    vdrv_turn(&r->d);
    /* What is ready now is ready for ever: a thread would spin. */
    require(loop_turn(&r->d.loop) == 0);
}

void vsock_rig_pass(struct vsock_rig *r, uint64_t ns)
{
    r->now_ns += ns;
    ring(r);
    vsock_rig_turn(r);
}

/* ---- The guest ---- */

struct vsock_header vsock_rig_header(const struct vsock_rig *r, enum vsock_op op, uint32_t guest_port,
                                     uint32_t host_port)
{
    return (struct vsock_header){.src_cid = VSOCK_RIG_CID,
                                 .dst_cid = VSOCK_HOST_CID,
                                 .src_port = guest_port,
                                 .dst_port = host_port,
                                 .type = VSOCK_TYPE_STREAM,
                                 .op = (uint16_t)op,
                                 .buf_alloc = r->guest_room,
                                 .fwd_cnt = r->guest_taken};
}

void vsock_rig_send(struct vsock_rig *r, const struct vsock_header *h, const void *data)
{
    uint8_t bytes[VSOCK_HEADER_BYTES + 2 * 65536] = {0};
    vsock_header_encode(h, bytes);
    require(h->len <= 2 * 65536);
    if (h->len > 0)
        memcpy(bytes + VSOCK_HEADER_BYTES, data, h->len);
    require(vdrv_request(&r->d, VSOCK_QUEUE_TX, bytes, VSOCK_HEADER_BYTES + h->len, NULL, 0) == 0);
    vsock_rig_turn(r);
}

void vsock_rig_send_data(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port, const void *data, uint32_t bytes)
{
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_RW, guest_port, host_port);
    h.len = bytes;
    vsock_rig_send(r, &h, data);
}

void vsock_rig_answer(struct vsock_rig *r, const struct vsock_header *to, enum vsock_op op)
{
    struct vsock_header h = vsock_rig_header(r, op, to->dst_port, to->src_port);
    vsock_rig_send(r, &h, NULL);
}

static unsigned buffer_of(const struct vsock_rig *r, uint16_t head)
{
    for (unsigned i = 0; i < VSOCK_RIG_RX_MAX; i++)
        if (r->posted[i] && r->head[i] == head)
            return i;
    require(false);
    return 0;
}

bool vsock_rig_next(struct vsock_rig *r, struct vsock_header *h)
{
    uint16_t head;
    uint32_t written;
    vsock_rig_turn(r);
    if (!vdrv_take(&r->d, VSOCK_QUEUE_RX, &head, &written))
        return false;
    unsigned i = buffer_of(r, head);
    const uint8_t *bytes = vdrv_at(&r->d, r->gpa[i], VSOCK_RIG_RX_BYTES);
    *h = vsock_header_decode(bytes);
    require(written == VSOCK_HEADER_BYTES + h->len && h->dst_cid == VSOCK_RIG_CID);
    require((h->len > 0) == (h->op == VSOCK_OP_RW));
    memcpy(r->data, bytes + VSOCK_HEADER_BYTES, h->len);
    r->posted[i] = false;
    if (r->keep_posted)
        vsock_rig_post(r, 1);
    return true;
}

struct vsock_header vsock_rig_expect(struct vsock_rig *r, enum vsock_op op)
{
    struct vsock_header h = {.op = VSOCK_OP_INVALID};
    bool came = vsock_rig_next(r, &h);
    if (!came || h.op != op)
        (void)fprintf(stderr, "vsock_rig: op %d was to come, %s %u came\n", op, came ? "op" : "nothing,", h.op);
    require(came && h.op == op);
    return h;
}

void vsock_rig_expect_none(struct vsock_rig *r)
{
    struct vsock_header h;
    bool came = vsock_rig_next(r, &h);
    if (came)
        (void)fprintf(stderr, "vsock_rig: op %u came\n", h.op);
    require(!came);
}

/* ---- The host ---- */

static int new_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    require(fd >= 0);
    return fd;
}

int vsock_rig_dial(struct vsock_rig *r, const char *line)
{
    struct sockaddr_un address;
    int fd = new_socket(r->path, &address);
    require(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    vsock_rig_turn(r);
    if (line[0] != '\0')
        vsock_rig_write(r, fd, line, strlen(line));
    return fd;
}

int vsock_rig_listen(struct vsock_rig *r, uint32_t port)
{
    struct sockaddr_un address;
    char path[64];
    (void)snprintf(path, sizeof(path), "%s_%u", r->path, port);
    int fd = new_socket(path, &address);
    require(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 4096) == 0);
    return fd;
}

int64_t vsock_rig_read(int fd, void *to, size_t bytes)
{
    ssize_t n = recv(fd, to, bytes, MSG_DONTWAIT);
    return n < 0 && errno != EAGAIN ? 0 : n;
}

void vsock_rig_write(struct vsock_rig *r, int fd, const void *from, size_t bytes)
{
    (void)send(fd, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    vsock_rig_turn(r);
}

bool vsock_rig_is_at_end(int fd)
{
    char byte;
    return vsock_rig_read(fd, &byte, 1) == 0;
}

int vsock_rig_open_by_host(struct vsock_rig *r, uint32_t guest_port, uint32_t *host_port)
{
    char line[32], want[32];
    (void)snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
    int fd = vsock_rig_dial(r, line);
    struct vsock_header h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
    vsock_rig_answer(r, &h, VSOCK_OP_RESPONSE);
    int n = snprintf(want, sizeof(want), "OK %u\n", h.src_port);
    memset(line, 0, sizeof(line));
    require(h.dst_port == guest_port && vsock_rig_read(fd, line, (size_t)n) == n && strcmp(line, want) == 0);
    *host_port = h.src_port;
    return fd;
}

int vsock_rig_open_by_guest(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port)
{
    int listener = vsock_rig_listen(r, host_port);
    struct vsock_header h = vsock_rig_header(r, VSOCK_OP_REQUEST, guest_port, host_port);
    vsock_rig_send(r, &h, NULL);
    h = vsock_rig_expect(r, VSOCK_OP_RESPONSE);
    require(h.src_port == host_port && h.dst_port == guest_port && h.buf_alloc == 65536);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    require(fd >= 0);
    close(listener);
    return fd;
}
