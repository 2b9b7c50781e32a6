/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/backends/net_tap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"

struct tap_queue {
    struct net_tap *tap;
    unsigned index;
    int fd;
    struct loop *loop;
    struct loop_source source;
    bool added;    /* to the loop; the loop's */
    bool attached; /* guarded by net_tap.lock */
};

struct net_tap {
    struct net_backend backend;
    struct net_events events;
    struct log *log;
    bool multi_queue;
    char name[IFNAMSIZ];
    pthread_mutex_t lock;
    bool gone; /* guarded by lock: the interface was deleted */
    atomic_flag said;
    struct tap_queue queue[NET_TAP_PAIRS_MAX];
};

/* C libraries disagree about the type of ioctl's request. arg: a pointer or a number. What it returns, or -errno. */
static int control(int fd, unsigned long request, const void *arg)
{
    long n = syscall(SYS_ioctl, fd, request, arg);
    return n < 0 ? -errno : (int)n;
}

/* ---- Errors ---- */

static int fail(const struct net_tap *tap, int code, const char *what_to_do, struct err *err)
{
    const struct err_context context = {.attempted = "open the TAP", .on_what = tap->name, .what_to_do = what_to_do};
    return err_fail(err, code, &context);
}

static int fail_because(const struct net_tap *tap, int code, const char *why, const char *what_to_do, struct err *err)
{
    const struct err_context context = {.attempted = "open the TAP", .on_what = tap->name, .what_to_do = what_to_do};
    return err_fail_because(err, code, &context, "%s", why);
}

static int fail_to_attach(const struct net_tap *tap, int code, struct err *err)
{
    switch (code) {
    case -EPERM:
        return fail_because(tap, code, "it belongs to somebody else",
                            "make it for this user (ip tuntap add dev NAME mode tap user USER) or give CAP_NET_ADMIN",
                            err);
    case -EBUSY:
        return fail_because(tap, code, "it is in use", "end the program that has it, or take another interface", err);
    case -E2BIG:
        return fail_because(tap, code, "it has no more free queues",
                            "end the other program that has it, or take another interface", err);
    case -EINVAL:
        return fail_because(tap, code, "it is no TAP, or is not made for this many queues",
                            tap->backend.pairs > 1 ? "make it with: ip tuntap add dev NAME mode tap multi_queue"
                                                   : "make it with: ip tuntap add dev NAME mode tap",
                            err);
    default: return fail(tap, code, "look at the interface with: ip -d link show", err);
    }
}

/* ---- Open ---- */

/* As the kernel does (dev_valid_name), so that the reason can be told. */
static bool is_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    /* "%d" would ask the kernel for a name with a number of its choice. */
    return strpbrk(name, "/:% \t\n\v\f\r") == NULL;
}

static int attach(int fd, const char *name, int flags)
{
    struct ifreq request = {.ifr_flags = (short)flags};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    return control(fd, TUNSETIFF, &request);
}

static int open_queue(struct net_tap *tap, struct tap_queue *q, struct err *err)
{
    const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    q->fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (q->fd < 0) {
        const struct err_context context = {
            .attempted = "open",
            .on_what = TUN_PATH,
            .what_to_do = errno == EACCES || errno == EPERM
                              ? "let this user read and write it"
                              : "load the module tun (modprobe tun), or use a user-mode network stack"};
        return err_fail(err, -errno, &context);
    }
    /* An interface that was made without multi_queue refuses the flag, and the other way round. */
    int code = tap->backend.pairs > 1 ? -EINVAL : attach(q->fd, tap->name, flags);
    if (code == -EINVAL) {
        code = attach(q->fd, tap->name, flags | IFF_MULTI_QUEUE);
        tap->multi_queue = code == 0;
    }
    return code < 0 ? fail_to_attach(tap, code, err) : 0;
}

/* What the descriptor is; learns the interface's name from the first one. */
static int take_queue(struct net_tap *tap, struct tap_queue *q, int fd, struct err *err)
{
    static const char wanted[] = "open it with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, all queues of one interface";
    struct ifreq r = {.ifr_flags = 0};
    if (control(fd, TUNGETIFF, &r) < 0)
        return fail_because(tap, -EINVAL, "the descriptor is none of a TAP", wanted, err);
    if (q->index == 0)
        memcpy(tap->name, r.ifr_name, sizeof(tap->name));
    tap->multi_queue = (r.ifr_flags & IFF_MULTI_QUEUE) != 0;
    /* IFF_NO_PI cannot be checked: kernels (6.18) show it also where it is not set. */
    if ((r.ifr_flags & (IFF_TUN | IFF_TAP | IFF_VNET_HDR)) != (IFF_TAP | IFF_VNET_HDR) ||
        strncmp(tap->name, r.ifr_name, sizeof(tap->name)) != 0)
        return fail_because(tap, -EINVAL, "the descriptor has other flags or another interface", wanted, err);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(tap, -errno, NULL, err);
    q->fd = fd;
    return 0;
}

static int tap_set_offloads(void *self, unsigned offloads)
{
    const struct net_tap *tap = self;
    uintptr_t flags = ((offloads & NET_OFFLOAD_CSUM) != 0 ? TUN_F_CSUM : 0u) |
                      ((offloads & NET_OFFLOAD_TSO4) != 0 ? TUN_F_TSO4 : 0u) |
                      ((offloads & NET_OFFLOAD_TSO6) != 0 ? TUN_F_TSO6 : 0u) |
                      ((offloads & NET_OFFLOAD_ECN) != 0 ? TUN_F_TSO_ECN : 0u);
    return control(tap->queue[0].fd, TUNSETOFFLOAD, (const void *)flags);
}

static int read_mtu(struct net_tap *tap, struct err *err)
{
    struct ifreq request = {.ifr_mtu = 0};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(request.ifr_name, tap->name, sizeof(request.ifr_name));
    int code = fd < 0 ? -errno : control(fd, SIOCGIFMTU, &request);
    if (fd >= 0)
        close(fd);
    if (code == -ENODEV)
        return fail_because(tap, code, "there is no such interface",
                            "make it with: ip tuntap add dev NAME mode tap user USER; ip link set dev NAME up", err);
    if (code < 0)
        return fail(tap, code, "look at the interface with: ip -d link show", err);
    tap->backend.mtu = (uint16_t)(request.ifr_mtu > UINT16_MAX ? UINT16_MAX : request.ifr_mtu);
    return 0;
}

/* Is it in a network namespace where its name means nothing to us? Kernels before 5.2 and without CAP_NET_ADMIN: no. */
static bool is_elsewhere(const struct net_tap *tap)
{
    struct stat own, its;
    int fd = control(tap->queue[0].fd, TUNGETDEVNETNS, NULL);
    if (fd < 0)
        return false;
    bool elsewhere = stat("/proc/self/ns/net", &own) == 0 && fstat(fd, &its) == 0 &&
                     (own.st_dev != its.st_dev || own.st_ino != its.st_ino);
    close(fd);
    return elsewhere;
}

/* Whoever opened the descriptors may have taken them out of another namespace: then the MTU is not known. */
static int read_mtu_if_here(struct net_tap *tap, struct err *err)
{
    int code = is_elsewhere(tap) ? 0 : read_mtu(tap, err);
    return code == -ENODEV ? 0 : code;
}

static int set_up(struct net_tap *tap, struct err *err)
{
    static const char newer[] = "use a newer kernel on the host";
    const unsigned all = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
    int header = (int)NET_HEADER_BYTES;
    int code = 0;
    for (unsigned i = 0; code == 0 && i < tap->backend.pairs; i++)
        code = control(tap->queue[i].fd, TUNSETVNETHDRSZ, &header);
    tap->backend.offloads = code == 0 && tap_set_offloads(tap, all) == 0 ? all : 0;
    if (code == 0)
        code = tap_set_offloads(tap, 0);
    if (code == 0)
        code = tap->backend.ops->set_pairs(tap, 1);
    return code < 0 ? fail(tap, code, newer, err) : 0;
}

static int open_by_name(struct net_tap *tap, const char *name, struct err *err)
{
    if (!is_name(name)) {
        const struct err_context context = {
            .attempted = "open the TAP", .on_what = name, .what_to_do = "give the name of an interface"};
        return err_fail_because(err, -EINVAL, &context, "a name has 1 to %u characters, no '/', ':', '%%' or blank",
                                IFNAMSIZ - 1u);
    }
    memcpy(tap->name, name, strlen(name) + 1);
    /* First, as the kernel would make an interface that is not there: one without an address, on no bridge. */
    int code = read_mtu(tap, err);
    for (unsigned i = 0; code == 0 && i < tap->backend.pairs; i++)
        code = open_queue(tap, &tap->queue[i], err);
    return code == 0 ? set_up(tap, err) : code;
}

static int open_by_fds(struct net_tap *tap, const int *fds, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < tap->backend.pairs; i++)
        code = take_queue(tap, &tap->queue[i], fds[i], err);
    if (code == 0 && tap->backend.pairs > 1 && !tap->multi_queue)
        code = fail_to_attach(tap, -EINVAL, err);
    if (code == 0)
        code = read_mtu_if_here(tap, err);
    return code == 0 ? set_up(tap, err) : code;
}

/* ---- On the loop ---- */

static void tap_wait(void *self, unsigned pair, bool wanted)
{
    struct net_tap *tap = self;
    struct tap_queue *q = &tap->queue[pair];
    /* Taken out altogether: a detached queue is an error that epoll tells whether it was asked or not. */
    if (q->added && !wanted) {
        loop_remove(q->loop, &q->source);
        q->added = false;
    } else if (!q->added && wanted) {
        int code = loop_add(q->loop, &q->source, EPOLLIN);
        q->added = code == 0;
        if (code < 0 && tap->log != NULL && log_once_first(&tap->said))
            log_write(tap->log, LOG_LEVEL_ERROR, LOG_NO_VCPU, "TAP %s: cannot wait for frames: %s", tap->name,
                      strerror(-code));
    }
}

enum state { FINE, DETACHED, DELETED };

static enum state state_of(struct tap_queue *q)
{
    struct ifreq request;
    pthread_mutex_lock(&q->tap->lock);
    if (q->attached && control(q->fd, TUNGETIFF, &request) < 0)
        q->tap->gone = true;
    enum state state = q->tap->gone ? DELETED : q->attached ? FINE : DETACHED;
    pthread_mutex_unlock(&q->tap->lock);
    return state;
}

static void on_ready(void *ctx, uint32_t events)
{
    struct tap_queue *q = ctx;
    struct net_tap *tap = q->tap;
    enum state state = (events & (EPOLLERR | EPOLLHUP)) != 0 ? state_of(q) : FINE;
    if (state == FINE) {
        tap->events.readable(tap->events.ctx, q->index);
        return;
    }
    tap_wait(tap, q->index, false);
    if (state == DELETED) {
        if (tap->log != NULL && log_once_first(&tap->said))
            log_write(tap->log, LOG_LEVEL_WARN, LOG_NO_VCPU, "TAP %s was deleted; the guest's link is down", tap->name);
        tap->events.link(tap->events.ctx, false);
    }
}

static ssize_t tap_receive(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    const struct net_tap *tap = self;
    ssize_t n;
    do
        n = readv(tap->queue[pair].fd, iov, (int)count);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int tap_send(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    const struct net_tap *tap = self;
    ssize_t n;
    do
        n = writev(tap->queue[pair].fd, iov, (int)count);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    /* The kernel takes a frame or refuses it; its queue has no end that could be waited for. */
    return errno == EAGAIN ? -ENOBUFS : -errno;
}

/* ---- Life ---- */

static int set_attached(struct tap_queue *q, bool wanted)
{
    struct ifreq request = {.ifr_flags = wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
    if (q->attached == wanted)
        return 0;
    int code = control(q->fd, TUNSETQUEUE, &request);
    if (code == 0)
        q->attached = wanted;
    return code;
}

static int tap_set_pairs(void *self, unsigned pairs)
{
    struct net_tap *tap = self;
    int code = 0;
    if (!tap->multi_queue)
        return pairs == 1 ? 0 : -EINVAL;
    pthread_mutex_lock(&tap->lock);
    for (unsigned i = 0; code == 0 && i < tap->backend.pairs; i++)
        code = set_attached(&tap->queue[i], i < pairs);
    pthread_mutex_unlock(&tap->lock);
    return code;
}

static int tap_start(void *self, struct loop *const *loops, const struct net_events *events)
{
    struct net_tap *tap = self;
    tap->events = *events;
    for (unsigned i = 0; i < tap->backend.pairs; i++) {
        struct tap_queue *q = &tap->queue[i];
        q->loop = loops[i];
        q->source = (struct loop_source){.fd = q->fd, .ready = on_ready, .ctx = q};
    }
    return 0;
}

static void tap_stop(void *self)
{
    const struct net_tap *tap = self;
    for (unsigned i = 0; i < tap->backend.pairs; i++)
        tap_wait(self, i, false);
}

static void release(struct net_tap *tap, bool with_descriptors)
{
    for (unsigned i = 0; with_descriptors && i < NET_TAP_PAIRS_MAX; i++)
        if (tap->queue[i].fd >= 0)
            close(tap->queue[i].fd);
    pthread_mutex_destroy(&tap->lock);
    free(tap);
}

static void tap_close(void *self)
{
    release(self, true);
}

static const struct net_backend_ops tap_ops = {.name = "tap",
                                               .start = tap_start,
                                               .stop = tap_stop,
                                               .wait = tap_wait,
                                               .receive = tap_receive,
                                               .send = tap_send,
                                               .set_offloads = tap_set_offloads,
                                               .set_pairs = tap_set_pairs,
                                               .close = tap_close};

int net_tap_open(const struct net_tap_config *config, struct net_backend **out, struct err *err)
{
    static const struct err_context context = {.attempted = "open the TAP", .what_to_do = "free memory on the host"};
    assert(config->pairs >= 1 && config->pairs <= NET_TAP_PAIRS_MAX);
    struct net_tap *tap = calloc(1, sizeof(*tap));
    if (tap == NULL)
        return err_fail(err, -ENOMEM, &context);
    (void)pthread_mutex_init(&tap->lock, NULL);
    tap->log = config->log;
    tap->backend = (struct net_backend){.ops = &tap_ops, .self = tap, .pairs = config->pairs, .header = true};
    for (unsigned i = 0; i < NET_TAP_PAIRS_MAX; i++)
        tap->queue[i] = (struct tap_queue){.tap = tap, .index = i, .fd = -1, .attached = i < config->pairs};
    int code = config->name != NULL ? open_by_name(tap, config->name, err) : open_by_fds(tap, config->fds, err);
    if (code < 0) {
        release(tap, config->name != NULL);
        return code;
    }
    *out = &tap->backend;
    return 0;
}
