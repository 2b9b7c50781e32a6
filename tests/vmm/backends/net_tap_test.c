/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The back end on real TAPs, in a network of the test's own: each case runs in a child with new namespaces, where it
 * may make interfaces. Where the machine does not allow that, or has no /dev/net/tun, the cases are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/namespace.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/backends/net_tap.h"
#include "vmm/devices/virtio/net_internal.h"

#define PATIENCE_MS 10000
#define PROTOCOL    0x88b5 /* for experiments: nothing else on the interface speaks it */
#define FRAME_BYTES 100u

/* In a child there is no cmocka: a case ends at the first thing that is not so. */
#define REQUIRE(what)                                                                                                  \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                   \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

struct world {
    struct loop loop;
    struct net_backend *b;
    struct err err;
    int keeper; /* keeps the interface while nobody else has it */
    int packets;
    unsigned readable[NET_TAP_PAIRS_MAX], downs;
    uint8_t frame[NET_HEADER_BYTES + NET_FRAME_MAX];
    ssize_t length; /* of the frame received last, with header */
    unsigned from;  /* its pair */
};

static uint16_t swap(uint16_t value)
{
    return (uint16_t)(value << 8 | value >> 8);
}

static int control(int fd, unsigned long request, const void *arg)
{
    return syscall(SYS_ioctl, fd, request, arg) < 0 ? -errno : 0;
}

/* Does this machine let us make TAPs in a network of our own? */
static int try_tap(void *ctx)
{
    struct ifreq r = {.ifr_name = "try", .ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    (void)ctx;
    return fd >= 0 && control(fd, TUNSETIFF, &r) == 0 ? 0 : 1;
}

static void in_namespace(int (*function)(void *ctx))
{
    struct world w = {.keeper = -1};
    if (namespace_run(CLONE_NEWNET | CLONE_NEWNS, try_tap, NULL) != 0) {
        print_message("no TAP can be made here (user namespaces or /dev/net/tun are missing): skipped\n");
        skip();
    }
    assert_int_equal(namespace_run(CLONE_NEWNET | CLONE_NEWNS, function, &w), 0);
}

/* ---- Interfaces ---- */

static int open_tap(const char *name, int flags)
{
    struct ifreq r = {.ifr_flags = (short)(IFF_TAP | flags)};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    memcpy(r.ifr_name, name, strlen(name) + 1);
    int code = control(fd, TUNSETIFF, &r);
    if (code < 0) {
        close(fd);
        return code;
    }
    return fd;
}

/* Make an interface that stays, and nobody has. */
static int make_tap(struct world *w, const char *name, int flags)
{
    w->keeper = open_tap(name, IFF_NO_PI | flags);
    if (w->keeper < 0 || control(w->keeper, TUNSETPERSIST, (const void *)(uintptr_t)1) < 0)
        return -1;
    return close(w->keeper);
}

static int set_flags(const char *name, short flags)
{
    struct ifreq r = {.ifr_flags = flags};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    memcpy(r.ifr_name, name, strlen(name) + 1);
    int code = control(fd, SIOCSIFFLAGS, &r);
    close(fd);
    return code;
}

/* A socket that sees and sends the frames of a protocol there; 0: sends what each frame says, and sees none. */
static int open_packets(const char *name, uint16_t protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, swap(protocol));
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = swap(protocol), .sll_ifindex = (int)if_nametoindex(name)};
    return bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

/* ---- Frames of ours ---- */

static void make_frame(uint8_t *frame, uint8_t mark)
{
    memset(frame, mark, FRAME_BYTES);
    memset(frame, 0xff, 6);
    frame[6] = 2;
    frame[12] = PROTOCOL >> 8;
    frame[13] = PROTOCOL & 0xff;
}

/* UDP over IPv4, to a port of our own; the source's port tells flows apart. */
static void make_flow(uint8_t *frame, uint8_t port)
{
    static const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
                                   86,   0,    0,    0,    0,    64,   17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2};
    memset(frame, 0, FRAME_BYTES);
    memcpy(frame, head, sizeof(head));
    frame[34] = 0x40;
    frame[35] = port;
    frame[36] = PROTOCOL >> 8;
    frame[37] = PROTOCOL & 0xff;
    frame[39] = 66;
}

static bool is_ours(const uint8_t *frame, size_t bytes)
{
    size_t at = frame[12] == 8 && frame[13] == 0 ? 36 : 12;
    return bytes == FRAME_BYTES && frame[at] == PROTOCOL >> 8 && frame[at + 1] == (PROTOCOL & 0xff);
}

/* ---- The device's side ---- */

static void on_readable(void *ctx, unsigned pair)
{
    struct world *w = ctx;
    uint8_t frame[NET_HEADER_BYTES + NET_FRAME_MAX];
    struct iovec iov = {.iov_base = frame, .iov_len = sizeof(frame)};
    ssize_t n;
    w->readable[pair]++;
    while ((n = w->b->ops->receive(w->b->self, pair, &iov, 1)) > 0) {
        /* The host's own chatter (router solicitations and the like) is none of ours. */
        if (!is_ours(frame + NET_HEADER_BYTES, (size_t)n - NET_HEADER_BYTES))
            continue;
        memcpy(w->frame, frame, (size_t)n);
        w->length = n;
        w->from = pair;
    }
}

static void on_writable(void *ctx, unsigned pair)
{
    (void)ctx;
    (void)pair;
}

static void on_link(void *ctx, bool up)
{
    struct world *w = ctx;
    w->downs += !up;
}

static int open_back_end(struct world *w, const char *name, unsigned pairs)
{
    const struct net_tap_config cfg = {.name = name, .pairs = pairs};
    return net_tap_open(&cfg, &w->b, &w->err);
}

static int start(struct world *w)
{
    struct loop *loops[NET_TAP_PAIRS_MAX] = {&w->loop, &w->loop, &w->loop, &w->loop};
    const struct net_events events = {.readable = on_readable, .writable = on_writable, .link = on_link, .ctx = w};
    if (loop_init(&w->loop, "test", NULL) < 0)
        return -1;
    return w->b->ops->start(w->b->self, loops, &events);
}

static void finish(struct world *w)
{
    w->b->ops->stop(w->b->self);
    net_backend_close(w->b);
    loop_fini(&w->loop);
}

static int turn_when_ready(struct world *w)
{
    struct pollfd p = {.fd = w->loop.epoll, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 ? loop_turn(&w->loop) : -1;
}

/* ---- Frames ---- */

static int frames_of_the_host(void *ctx)
{
    struct world *w = ctx;
    uint8_t frame[FRAME_BYTES];
    static const uint8_t none[NET_HEADER_BYTES];
    make_frame(frame, 0x5a);
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0 && open_back_end(w, "tap0", 1) == 0);
    REQUIRE(set_flags("tap0", IFF_UP) == 0 && start(w) == 0);
    w->packets = open_packets("tap0", PROTOCOL);
    REQUIRE(w->b->header && w->b->pairs == 1 && w->b->mtu == 1500);
    REQUIRE(w->b->offloads == (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN));
    REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame));
    REQUIRE(loop_turn(&w->loop) == 0);
    w->b->ops->wait(w->b->self, 0, true);
    while (w->length == 0)
        REQUIRE(turn_when_ready(w) > 0);
    REQUIRE(w->length == NET_HEADER_BYTES + FRAME_BYTES);
    REQUIRE(memcmp(w->frame, none, sizeof(none)) == 0);
    REQUIRE(memcmp(w->frame + NET_HEADER_BYTES, frame, sizeof(frame)) == 0);
    w->b->ops->wait(w->b->self, 0, false);
    w->length = 0;
    REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame));
    REQUIRE(loop_turn(&w->loop) == 0 && w->length == 0);
    finish(w);
    return 0;
}

static int frames_of_the_guest(void *ctx)
{
    struct world *w = ctx;
    uint8_t header[NET_HEADER_BYTES] = {0}, frame[FRAME_BYTES], got[2048];
    struct iovec iov[3] = {{header, sizeof(header)}, {frame, 3}, {frame + 3, sizeof(frame) - 3}};
    make_frame(frame, 0xa5);
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0 && open_back_end(w, "tap0", 1) == 0);
    /* An interface that is down takes nothing. */
    REQUIRE(w->b->ops->send(w->b->self, 0, iov, 3) == -EIO);
    REQUIRE(set_flags("tap0", IFF_UP) == 0 && start(w) == 0);
    w->packets = open_packets("tap0", PROTOCOL);
    REQUIRE(w->b->ops->send(w->b->self, 0, iov, 3) == 0);
    struct pollfd p = {.fd = w->packets, .events = POLLIN};
    REQUIRE(poll(&p, 1, PATIENCE_MS) == 1);
    REQUIRE(read(w->packets, got, sizeof(got)) == sizeof(frame) && memcmp(got, frame, sizeof(frame)) == 0);
    /* A header that the kernel refuses. */
    header[0] = NET_HEADER_NEEDS_CSUM;
    header[6] = 0xff;
    header[7] = 0xff;
    REQUIRE(w->b->ops->send(w->b->self, 0, iov, 3) == -EINVAL);
    finish(w);
    return 0;
}

static int offloads_are_sets(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0 && open_back_end(w, "tap0", 1) == 0);
    for (unsigned set = 0; set < 16; set++)
        if (net_offloads_sane(set) == set)
            REQUIRE(w->b->ops->set_offloads(w->b->self, set) == 0);
    net_backend_close(w->b);
    return 0;
}

/* ---- With the device, on threads ---- */

struct machine {
    struct vdrv d;
    struct loop loop[2];
    struct net *net;
};

static bool comes(struct machine *m, unsigned queue)
{
    const time_t end = time(NULL) + PATIENCE_MS / 1000;
    while (!vdrv_take(&m->d, queue, NULL, NULL)) {
        if (time(NULL) > end)
            return false;
        sched_yield();
    }
    return true;
}

static int start_machine(struct machine *m, struct world *w)
{
    vdrv_init(&m->d);
    for (unsigned i = 0; i < 2; i++)
        REQUIRE(loop_init(&m->loop[i], "test", NULL) == 0);
    const struct net_config cfg = {.memory = &m->d.memory,
                                   .loops = {&m->loop[0], &m->loop[1]},
                                   .backend = w->b,
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .pairs = 2};
    REQUIRE(net_new(&cfg, &m->net, NULL) == 0);
    for (unsigned i = 0; i < 2; i++)
        REQUIRE(loop_start(&m->loop[i], NULL) == 0);
    vdrv_attach(&m->d, net_virtio(m->net));
    REQUIRE(virtio_read_config(m->d.v, 10, 2) == 1500);
    REQUIRE(vdrv_start(&m->d, virtio_get_offered(m->d.v, 0) & ~(1u << VIRTIO_RING_F_EVENT_IDX)));
    return 0;
}

static void stop_machine(struct machine *m)
{
    for (unsigned i = 0; i < 2; i++)
        loop_stop(&m->loop[i]);
    net_free(m->net);
    for (unsigned i = 0; i < 2; i++)
        loop_fini(&m->loop[i]);
    vdrv_fini(&m->d);
}

static void post_to(struct machine *m, unsigned queue, uint64_t gpa, uint32_t bytes, bool writable)
{
    const struct vdrv_buffer b = {.gpa = gpa, .bytes = bytes, .writable = writable};
    (void)vdrv_post(&m->d, queue, &b, 1);
    virtio_kick(m->d.v, queue);
}

static int use_pairs(struct machine *m, uint8_t pairs)
{
    uint64_t at = vdrv_put(&m->d, (const uint8_t[]){4, 0, pairs, 0, 0xff}, 5);
    const struct vdrv_buffer b[2] = {{.gpa = at, .bytes = 4}, {.gpa = at + 4, .bytes = 1, .writable = true}};
    (void)vdrv_post(&m->d, 4, b, 2);
    virtio_kick(m->d.v, 4);
    REQUIRE(comes(m, 4) && *vdrv_at(&m->d, at + 4, 1) == 0);
    return 0;
}

static int frames_pass_the_device(void *ctx)
{
    struct world *w = ctx;
    struct machine *m = calloc(1, sizeof(*m));
    uint8_t frame[FRAME_BYTES], got[2048];
    make_frame(frame, 0x77);
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR | IFF_MULTI_QUEUE) == 0 && open_back_end(w, "tap0", 2) == 0);
    REQUIRE(m != NULL && set_flags("tap0", IFF_UP) == 0 && start_machine(m, w) == 0);
    w->packets = open_packets("tap0", PROTOCOL);
    for (unsigned round = 0; round < 10; round++) {
        for (uint8_t pairs = 1; pairs <= 2; pairs++) {
            REQUIRE(use_pairs(m, pairs) == 0);
            for (unsigned pair = 0; pair < pairs; pair++) {
                uint64_t at = vdrv_alloc(&m->d, NET_HEADER_BYTES + FRAME_BYTES, 8);
                memcpy(vdrv_at(&m->d, at + NET_HEADER_BYTES, FRAME_BYTES), frame, FRAME_BYTES);
                post_to(m, 2 * pair + 1, at, NET_HEADER_BYTES + FRAME_BYTES, false);
                struct pollfd p = {.fd = w->packets, .events = POLLIN};
                REQUIRE(comes(m, 2 * pair + 1) && poll(&p, 1, PATIENCE_MS) == 1);
                REQUIRE(read(w->packets, got, sizeof(got)) == FRAME_BYTES && memcmp(got, frame, FRAME_BYTES) == 0);
            }
        }
        /* One pair again, so it is known where a frame goes. */
        REQUIRE(use_pairs(m, 1) == 0);
        uint64_t at = vdrv_alloc(&m->d, 65536, 8);
        post_to(m, 0, at, 65536, true);
        do {
            /* The host's own frames come as well. */
            REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame) && comes(m, 0));
            memcpy(got, vdrv_at(&m->d, at, NET_HEADER_BYTES + FRAME_BYTES), NET_HEADER_BYTES + FRAME_BYTES);
            post_to(m, 0, at, 65536, true);
        } while (memcmp(got + NET_HEADER_BYTES, frame, FRAME_BYTES) != 0);
        REQUIRE(got[10] == 1 && got[11] == 0);
        vdrv_reset(&m->d);
        m->d.heap = 0x10000;
        REQUIRE(vdrv_start(&m->d, virtio_get_offered(m->d.v, 0) & ~(1u << VIRTIO_RING_F_EVENT_IDX)));
    }
    stop_machine(m);
    free(m);
    net_backend_close(w->b);
    return 0;
}

/* ---- Several queues ---- */

static int frames_come_by_queues_in_use(void *ctx)
{
    struct world *w = ctx;
    uint8_t frame[FRAME_BYTES];
    unsigned seen = 0;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR | IFF_MULTI_QUEUE) == 0 && open_back_end(w, "tap0", 3) == 0);
    REQUIRE(set_flags("tap0", IFF_UP) == 0 && start(w) == 0 && w->b->pairs == 3);
    w->packets = open_packets("tap0", 0);
    w->b->ops->wait(w->b->self, 0, true);
    for (uint8_t i = 0; i < 32; i++) {
        make_flow(frame, i);
        w->length = 0;
        REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame));
        while (w->length == 0)
            REQUIRE(turn_when_ready(w) > 0);
        REQUIRE(w->from == 0 && w->frame[NET_HEADER_BYTES + 35] == i);
    }
    REQUIRE(w->b->ops->set_pairs(w->b->self, 3) == 0);
    for (unsigned i = 0; i < 3; i++)
        w->b->ops->wait(w->b->self, i, true);
    for (uint8_t i = 0; i < 64; i++) {
        make_flow(frame, i);
        w->length = 0;
        REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame));
        while (w->length == 0)
            REQUIRE(turn_when_ready(w) > 0);
        seen |= 1u << w->from;
    }
    REQUIRE(seen == 7);
    REQUIRE(w->b->ops->set_pairs(w->b->self, 1) == 0);
    finish(w);
    return 0;
}

/* A detached queue is an error to epoll: it must not be told for ever. */
static int a_queue_that_is_detached_is_left_alone(void *ctx)
{
    struct world *w = ctx;
    uint8_t header[NET_HEADER_BYTES] = {0}, frame[FRAME_BYTES];
    struct iovec iov[2] = {{header, sizeof(header)}, {frame, sizeof(frame)}};
    make_frame(frame, 1);
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR | IFF_MULTI_QUEUE) == 0 && open_back_end(w, "tap0", 2) == 0);
    REQUIRE(set_flags("tap0", IFF_UP) == 0 && start(w) == 0);
    w->b->ops->wait(w->b->self, 1, true);
    for (int i = 0; i < 10; i++)
        (void)loop_turn(&w->loop);
    REQUIRE(loop_turn(&w->loop) == 0 && w->downs == 0 && w->readable[1] == 0);
    REQUIRE(w->b->ops->receive(w->b->self, 1, iov, 2) < 0);
    /* In use again, it works. */
    REQUIRE(w->b->ops->set_pairs(w->b->self, 2) == 0);
    REQUIRE(w->b->ops->send(w->b->self, 1, iov, 2) == 0);
    REQUIRE(w->b->ops->receive(w->b->self, 1, iov, 2) != -EBADFD);
    finish(w);
    return 0;
}

static int one_queue_cannot_become_two(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0 && open_back_end(w, "tap0", 1) == 0);
    REQUIRE(w->b->ops->set_pairs(w->b->self, 1) == 0);
    REQUIRE(w->b->ops->set_pairs(w->b->self, 2) == -EINVAL);
    net_backend_close(w->b);
    return 0;
}

static int one_queue_of_many_is_enough(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR | IFF_MULTI_QUEUE) == 0 && open_back_end(w, "tap0", 1) == 0);
    REQUIRE(w->b->ops->set_pairs(w->b->self, 1) == 0);
    net_backend_close(w->b);
    return 0;
}

/* ---- The end of an interface ---- */

static int an_interface_that_is_deleted(void *ctx)
{
    struct world *w = ctx;
    uint8_t frame[NET_HEADER_BYTES + FRAME_BYTES] = {0};
    struct iovec iov = {frame, sizeof(frame)};
    /* Not persistent: `keeper` alone keeps it, and only the second descriptor is the back end's. */
    w->keeper = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    REQUIRE(w->keeper >= 0 && open_back_end(w, "tap0", 1) == 0 && start(w) == 0);
    w->b->ops->wait(w->b->self, 0, true);
    (void)loop_turn(&w->loop);
    REQUIRE(w->downs == 0);
    /* RTM_DELLINK, as "ip link delete" sends it. */
    struct {
        uint32_t length;
        uint16_t type, flags;
        uint32_t sequence, port;
        uint8_t family, pad;
        uint16_t device;
        int32_t index;
        uint32_t device_flags, change;
    } delete = {.length = 32, .type = 17, .flags = 1, .index = (int32_t)if_nametoindex("tap0")};
    int route = socket(AF_NETLINK, SOCK_RAW, 0);
    REQUIRE(send(route, &delete, sizeof(delete), 0) == sizeof(delete));
    while (w->downs == 0)
        REQUIRE(turn_when_ready(w) > 0);
    REQUIRE(loop_turn(&w->loop) == 0);
    REQUIRE(w->b->ops->send(w->b->self, 0, &iov, 1) < 0);
    REQUIRE(w->b->ops->receive(w->b->self, 0, &iov, 1) < 0);
    /* Who waits all the same is told once more, and then nothing. */
    w->b->ops->wait(w->b->self, 0, true);
    (void)loop_turn(&w->loop);
    REQUIRE(loop_turn(&w->loop) == 0);
    finish(w);
    return 0;
}

/* ---- What cannot be opened ---- */

static int expect(struct world *w, int code, const char *why, const char *what_to_do)
{
    if (w->err.code == code && strstr(w->err.text, why) != NULL && strstr(w->err.text, what_to_do) != NULL)
        return 0;
    (void)fprintf(stderr, "not '%s', '%s', %d: %d, %s\n", why, what_to_do, code, w->err.code, w->err.text);
    return 1;
}

static int no_such_interface(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(open_back_end(w, "tap7", 1) == -ENODEV);
    REQUIRE(if_nametoindex("tap7") == 0);
    return expect(w, -ENODEV, "no such interface", "ip tuntap add");
}

static int no_tap(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(open_back_end(w, "lo", 1) == -EINVAL);
    return expect(w, -EINVAL, "no TAP", "ip tuntap add");
}

static int no_multi_queue(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0 && open_back_end(w, "tap0", 2) == -EINVAL);
    return expect(w, -EINVAL, "queues", "multi_queue");
}

static int in_use(void *ctx)
{
    struct world *w = ctx;
    w->keeper = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR);
    REQUIRE(w->keeper >= 0 && open_back_end(w, "tap0", 1) == -EBUSY);
    return expect(w, -EBUSY, "in use", "end the program");
}

static int no_device_node(void *ctx)
{
    struct world *w = ctx;
    REQUIRE(make_tap(w, "tap0", IFF_VNET_HDR) == 0);
    REQUIRE(mount("none", "/dev/net", "tmpfs", 0, NULL) == 0);
    REQUIRE(open_back_end(w, "tap0", 1) == -ENOENT);
    return expect(w, -ENOENT, "/dev/net/tun", "modprobe tun");
}

/* Needs two users, which namespaces of one do not have: a child of root, in its own network, that stops being root. */
static int node_of_others(struct world *w)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        make_tap(w, "tap0", IFF_VNET_HDR) < 0 || mount("none", "/dev/net", "tmpfs", 0, NULL) < 0 ||
        mknod("/dev/net/tun", S_IFCHR | 0600, makedev(10, 200)) < 0)
        return NAMESPACE_REFUSED;
    REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    REQUIRE(open_back_end(w, "tap0", 1) == -EACCES && expect(w, -EACCES, "/dev/net/tun", "let this user") == 0);
    return 0;
}

static int somebody_elses(struct world *w)
{
    (void)umask(0);
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/dev/net", "tmpfs", 0, NULL) < 0 || mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) < 0)
        return NAMESPACE_REFUSED;
    int tun = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR);
    if (tun < 0 || control(tun, TUNSETOWNER, (const void *)(uintptr_t)1) < 0 ||
        control(tun, TUNSETPERSIST, (const void *)(uintptr_t)1) < 0)
        return NAMESPACE_REFUSED;
    close(tun);
    REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    REQUIRE(open_back_end(w, "tap0", 1) == -EPERM);
    return expect(w, -EPERM, "somebody else", "ip tuntap add");
}

static void in_child_of_root(int (*function)(struct world *w))
{
    struct world w = {.keeper = -1};
    int status = 0;
    if (geteuid() != 0) {
        print_message("this needs root: skipped\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0)
        namespace_leave(function(&w));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NAMESPACE_REFUSED) {
        print_message("this machine does not let root make a TAP in another network: skipped\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_device_node_of_others_is_refused(void **state)
{
    (void)state;
    in_child_of_root(node_of_others);
}

static void a_tap_of_somebody_else_is_refused(void **state)
{
    (void)state;
    in_child_of_root(somebody_elses);
}

static void check_name(const char *name)
{
    struct net_backend *b = NULL;
    struct err err;
    const struct net_tap_config cfg = {.name = name, .pairs = 1};
    assert_int_equal(net_tap_open(&cfg, &b, &err), -EINVAL);
    assert_non_null(strstr(err.text, "15 characters"));
    assert_null(b);
}

static void names_that_cannot_be_are_refused(void **state)
{
    (void)state;
    check_name("");
    check_name(".");
    check_name("..");
    check_name("../tap0");
    check_name("tap/0");
    check_name("tap 0");
    check_name("tap%d");
    check_name("tap:0");
    check_name("abcdefghijklmnop");
}

/* ---- Descriptors ---- */

static int descriptors_of_others(void *ctx)
{
    struct world *w = ctx;
    uint8_t frame[FRAME_BYTES];
    int fds[2];
    make_frame(frame, 7);
    for (int i = 0; i < 2; i++)
        fds[i] = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    const struct net_tap_config cfg = {.fds = fds, .pairs = 2};
    REQUIRE(fds[1] >= 0 && net_tap_open(&cfg, &w->b, &w->err) == 0);
    REQUIRE((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0 && w->b->mtu == 1500);
    REQUIRE(set_flags("tap0", IFF_UP) == 0 && start(w) == 0);
    w->packets = open_packets("tap0", PROTOCOL);
    w->b->ops->wait(w->b->self, 0, true);
    REQUIRE(write(w->packets, frame, sizeof(frame)) == sizeof(frame));
    while (w->length == 0)
        REQUIRE(turn_when_ready(w) > 0);
    finish(w);
    return fcntl(fds[0], F_GETFD) < 0 ? 0 : 1;
}

/* A TAP of a pod's network, while this process has another interface of the same name. */
static int descriptor_of_another_namespace(void *ctx)
{
    struct world *w = ctx;
    int fd = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR);
    const struct net_tap_config cfg = {.fds = &fd, .pairs = 1};
    REQUIRE(fd >= 0 && unshare(CLONE_NEWNET) == 0);
    REQUIRE(net_tap_open(&cfg, &w->b, &w->err) == 0 && w->b->mtu == 0);
    net_backend_close(w->b);
    fd = open_tap("tap0", IFF_NO_PI | IFF_VNET_HDR);
    REQUIRE(fd >= 0 && unshare(CLONE_NEWNET) == 0 && make_tap(w, "tap0", 0) == 0);
    REQUIRE(net_tap_open(&cfg, &w->b, &w->err) == 0 && w->b->mtu == 0);
    net_backend_close(w->b);
    return 0;
}

static int take(struct world *w, int a, int b)
{
    const int fds[2] = {a, b};
    const struct net_tap_config cfg = {.fds = fds, .pairs = b >= 0 ? 2 : 1};
    int code = net_tap_open(&cfg, &w->b, &w->err);
    /* They stay the caller's. */
    return code < 0 && fcntl(a, F_GETFD) < 0 ? 0 : code;
}

static int descriptors_that_do_not_serve(void *ctx)
{
    struct world *w = ctx;
    int null = open("/dev/null", O_RDWR), tun = open("/dev/net/tun", O_RDWR);
    int plain = open_tap("tap0", IFF_NO_PI);
    int single = open_tap("tap2", IFF_NO_PI | IFF_VNET_HDR);
    int many = open_tap("tap3", IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    int other = open_tap("tap4", IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    REQUIRE(null >= 0 && tun >= 0 && plain >= 0 && single >= 0 && many >= 0 && other >= 0);
    REQUIRE(take(w, null, -1) == -EINVAL && expect(w, -EINVAL, "none of a TAP", "IFF_VNET_HDR") == 0);
    REQUIRE(take(w, tun, -1) == -EINVAL);
    REQUIRE(take(w, plain, -1) == -EINVAL && expect(w, -EINVAL, "other flags", "IFF_VNET_HDR") == 0);
    REQUIRE(take(w, many, other) == -EINVAL);
    REQUIRE(take(w, single, single) == -EINVAL && expect(w, -EINVAL, "queues", "multi_queue") == 0);
    REQUIRE(take(w, single, -1) == 0);
    net_backend_close(w->b);
    return 0;
}

/* ---- Cases ---- */

#define IN_NAMESPACE(name, function)                                                                                   \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        in_namespace(function);                                                                                        \
    }

IN_NAMESPACE(a_frame_of_the_host_is_received_when_wanted, frames_of_the_host)
IN_NAMESPACE(a_frame_of_the_guest_reaches_the_host, frames_of_the_guest)
IN_NAMESPACE(frames_pass_the_device_on_threads, frames_pass_the_device)
IN_NAMESPACE(every_sensible_set_of_offloads_is_accepted, offloads_are_sets)
IN_NAMESPACE(frames_come_only_by_queues_in_use, frames_come_by_queues_in_use)
IN_NAMESPACE(a_detached_queue_makes_nobody_spin, a_queue_that_is_detached_is_left_alone)
IN_NAMESPACE(a_tap_of_one_queue_stays_so, one_queue_cannot_become_two)
IN_NAMESPACE(a_tap_of_many_queues_serves_one_pair, one_queue_of_many_is_enough)
IN_NAMESPACE(a_deleted_interface_takes_the_link_down, an_interface_that_is_deleted)
IN_NAMESPACE(an_interface_that_is_missing_is_not_made, no_such_interface)
IN_NAMESPACE(an_interface_that_is_no_tap_is_refused, no_tap)
IN_NAMESPACE(several_pairs_need_multi_queue, no_multi_queue)
IN_NAMESPACE(a_tap_that_is_in_use_is_refused, in_use)
IN_NAMESPACE(a_missing_device_node_is_named, no_device_node)
IN_NAMESPACE(descriptors_that_somebody_opened_serve, descriptors_of_others)
IN_NAMESPACE(a_descriptor_of_another_namespace_serves_without_mtu, descriptor_of_another_namespace)
IN_NAMESPACE(descriptors_of_another_kind_are_refused, descriptors_that_do_not_serve)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_of_the_host_is_received_when_wanted),
        cmocka_unit_test(a_frame_of_the_guest_reaches_the_host),
        cmocka_unit_test(frames_pass_the_device_on_threads),
        cmocka_unit_test(every_sensible_set_of_offloads_is_accepted),
        cmocka_unit_test(frames_come_only_by_queues_in_use),
        cmocka_unit_test(a_detached_queue_makes_nobody_spin),
        cmocka_unit_test(a_tap_of_one_queue_stays_so),
        cmocka_unit_test(a_tap_of_many_queues_serves_one_pair),
        cmocka_unit_test(a_deleted_interface_takes_the_link_down),
        cmocka_unit_test(an_interface_that_is_missing_is_not_made),
        cmocka_unit_test(an_interface_that_is_no_tap_is_refused),
        cmocka_unit_test(several_pairs_need_multi_queue),
        cmocka_unit_test(a_tap_that_is_in_use_is_refused),
        cmocka_unit_test(a_missing_device_node_is_named),
        cmocka_unit_test(a_tap_of_somebody_else_is_refused),
        cmocka_unit_test(a_device_node_of_others_is_refused),
        cmocka_unit_test(names_that_cannot_be_are_refused),
        cmocka_unit_test(descriptors_that_somebody_opened_serve),
        cmocka_unit_test(a_descriptor_of_another_namespace_serves_without_mtu),
        cmocka_unit_test(descriptors_of_another_kind_are_refused),
    };
    return cmocka_run_group_tests_name("backends/net_tap", tests, NULL, NULL);
}
