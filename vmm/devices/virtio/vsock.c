/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "vmm/devices/virtio/vsock_mux.h"

#define TX_BUDGET 64
#define RX_BUDGET 64

#define EVENT_BYTES           4u
#define EVENT_TRANSPORT_RESET 0u

struct vsock {
    struct virtio virtio;
    struct vsock_config cfg;
    struct vsock_listener listener;
    struct vsock_mux mux; /* guarded by virtio_lock, as is what follows */
    bool tx_stopped;      /* until there is room for RSTs */
    bool event_due;
    struct virtq_chain chain;
};

/* ---- To the guest ---- */

static void break_down(struct vsock *v, const char *why)
{
    virtio_break(&v->virtio, why);
    vsock_mux_down(&v->mux);
}

/* One packet into one buffer. False: nothing more now. */
static bool send_packet(struct vsock *v, struct virtq *rx)
{
    int got = virtq_pop(rx, &v->chain);
    if (got < 0) {
        vsock_mux_down(&v->mux);
        return false;
    }
    /* Packets wait for a buffer: whoever posts one is to say so, also when nobody listened before. */
    if (got == 0)
        return virtq_listen(rx);
    if (v->chain.in_bytes <= VSOCK_HEADER_BYTES) {
        virtq_push(rx, &v->chain, 0);
        break_down(v, "a receive buffer has no room for more than a header");
        return false;
    }
    uint32_t written = vsock_mux_fill(&v->mux, &v->chain);
    if (written == 0)
        virtq_unpop(rx, &v->chain);
    else
        virtq_push(rx, &v->chain, written);
    return written != 0;
}

/* All that the guest has buffers for. True: there is more, but others want their turn. */
static bool send_packets(struct vsock *v)
{
    struct virtq *rx = virtio_ring(&v->virtio, VSOCK_QUEUE_RX);
    int i = 0;
    if (rx == NULL)
        return false;
    while (i < RX_BUDGET && vsock_mux_has_packets(&v->mux) && send_packet(v, rx))
        i++;
    return i == RX_BUDGET;
}

static void restart_tx(struct vsock *v)
{
    if (!v->tx_stopped || vsock_mux_is_full(&v->mux))
        return;
    v->tx_stopped = false;
    virtio_kick(&v->virtio, VSOCK_QUEUE_TX);
}

/* After anything that may have made packets. True as above. */
static bool finish(struct vsock *v)
{
    bool more = send_packets(v);
    restart_tx(v);
    vsock_mux_arm(&v->mux);
    return more;
}

/* ---- From the guest ---- */

static enum virtio_served receive_packets(struct vsock *v, struct virtq *tx)
{
    for (int i = 0; i < TX_BUDGET; i++) {
        v->tx_stopped = vsock_mux_is_full(&v->mux);
        if (v->tx_stopped)
            return VIRTIO_ENOUGH;
        int got = virtq_pop(tx, &v->chain);
        if (got < 0)
            vsock_mux_down(&v->mux);
        if (got <= 0)
            return VIRTIO_DRAINED;
        vsock_mux_hear(&v->mux, &v->chain);
        virtq_push(tx, &v->chain, 0);
    }
    return VIRTIO_MORE;
}

/* ---- Events ---- */

static void send_event(struct vsock *v, struct virtq *q)
{
    uint8_t event[EVENT_BYTES];
    while (v->event_due) {
        int got = virtq_pop(q, &v->chain);
        if (got < 0)
            vsock_mux_down(&v->mux);
        if (got < 0 || (got == 0 && !virtq_listen(q)))
            return;
        if (got == 0)
            continue;
        bytes_store_le32(event, EVENT_TRANSPORT_RESET);
        bool written = virtq_chain_write(&v->chain, 0, event, sizeof(event));
        virtq_push(q, &v->chain, written ? sizeof(event) : 0);
        v->event_due = false;
        if (!written)
            break_down(v, "an event buffer has no room for an event");
    }
}

void vsock_transport_reset(struct vsock *v)
{
    virtio_lock(&v->virtio);
    struct virtq *q = virtio_ring(&v->virtio, VSOCK_QUEUE_EVENT);
    vsock_mux_drop_all(&v->mux);
    v->event_due = q != NULL;
    if (q != NULL)
        send_event(v, q);
    restart_tx(v);
    vsock_mux_arm(&v->mux);
    virtio_unlock(&v->virtio);
}

/* ---- The device ---- */

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct vsock *v = dev;
    if (queue == VSOCK_QUEUE_EVENT) {
        send_event(v, q);
        return VIRTIO_ENOUGH;
    }
    enum virtio_served served = queue == VSOCK_QUEUE_TX ? receive_packets(v, q) : VIRTIO_ENOUGH;
    bool more = finish(v);
    if (queue == VSOCK_QUEUE_RX)
        return more ? VIRTIO_MORE : VIRTIO_ENOUGH;
    if (more)
        virtio_kick(&v->virtio, VSOCK_QUEUE_RX);
    return served;
}

static void read_config(void *dev, uint8_t *out)
{
    const struct vsock *v = dev;
    bytes_store_le64(out, v->cfg.guest_cid);
}

static void activate(void *dev, uint64_t features)
{
    struct vsock *v = dev;
    (void)features;
    v->event_due = false;
    if (virtio_ring(&v->virtio, VSOCK_QUEUE_RX) != NULL && virtio_ring(&v->virtio, VSOCK_QUEUE_TX) != NULL)
        vsock_mux_up(&v->mux);
}

static void reset(void *dev)
{
    struct vsock *v = dev;
    v->tx_stopped = v->event_due = false;
    vsock_mux_down(&v->mux);
}

/* Sockets of the last driver are closed by the loop, which is told by the timer. */
static void after_reset(void *dev)
{
    struct vsock *v = dev;
    virtio_lock(&v->virtio);
    vsock_mux_arm(&v->mux);
    virtio_unlock(&v->virtio);
}

static const struct virtio_ops ops = {.name = "vsock",
                                      .type = VIRTIO_TYPE_VSOCK,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .activate = activate,
                                      .reset = reset,
                                      .after_reset = after_reset};

/* Around what the multiplexer gets from the loop by itself. */
static void enter(void *ctx)
{
    struct vsock *v = ctx;
    virtio_lock(&v->virtio);
}

static void leave(void *ctx)
{
    struct vsock *v = ctx;
    if (finish(v))
        virtio_kick(&v->virtio, VSOCK_QUEUE_RX);
    virtio_unlock(&v->virtio);
}

void vsock_take(struct vsock *v, int fd)
{
    enter(v);
    vsock_mux_take(&v->mux, fd);
    leave(v);
}

void vsock_stats(struct vsock *v, struct vsock_stats *out)
{
    virtio_lock(&v->virtio);
    *out = v->mux.stats;
    virtio_unlock(&v->virtio);
}

/* ---- Life ---- */

static int make_virtio(struct vsock *v, struct err *err)
{
    const struct virtio_config common = {.ops = &ops,
                                         .dev = v,
                                         .memory = v->cfg.memory,
                                         .features = VIRTIO_FEATURE(VSOCK_F_STREAM),
                                         .config_bytes = 8,
                                         .queues = VSOCK_QUEUES,
                                         .queue_size = VSOCK_QUEUE_SIZE,
                                         .loops = {v->cfg.loop, v->cfg.loop, v->cfg.loop},
                                         .shared = true,
                                         .log = v->cfg.log};
    return virtio_init(&v->virtio, &common, err);
}

static int make_mux(struct vsock *v, struct err *err)
{
    const struct vsock_host host = v->cfg.host != NULL ? *v->cfg.host : vsock_host_real(&v->listener);
    const struct vsock_mux_config mux = {.loop = v->cfg.loop,
                                         .log = v->cfg.log,
                                         .guest_cid = v->cfg.guest_cid,
                                         .host = &host,
                                         .listener = v->listener.fd,
                                         .enter = enter,
                                         .leave = leave,
                                         .ctx = v};
    return vsock_mux_init(&v->mux, &mux, err);
}

static int make(struct vsock *v, struct err *err)
{
    const struct vsock_config *cfg = &v->cfg;
    const struct err_context context = {.attempted = "make the virtio device",
                                        .on_what = "vsock",
                                        .what_to_do = "choose a context id from 3 to 4294967294"};
    if (cfg->guest_cid < VSOCK_CID_MIN || cfg->guest_cid > VSOCK_CID_MAX)
        return err_fail_because(err, -EINVAL, &context, "a guest cannot have the context id %llu",
                                (unsigned long long)cfg->guest_cid);
    int code = make_virtio(v, err);
    if (code == 0 && cfg->path != NULL)
        code = vsock_listener_init(&v->listener, cfg->path, cfg->mode, cfg->uid, cfg->gid, err);
    code = code < 0 ? code : make_mux(v, err);
    v->listener.inside = cfg->inside;
    v->listener.leave = code == 0 && cfg->leave_socket;
    return code;
}

int vsock_new(const struct vsock_config *config, struct vsock **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "vsock", .what_to_do = "free memory on the host"};
    struct vsock *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return err_fail(err, -ENOMEM, &context);
    v->cfg = *config;
    v->listener.fd = -1;
    int code = make(v, err);
    if (code < 0) {
        vsock_free(v);
        return code;
    }
    *out = v;
    return 0;
}

void vsock_free(struct vsock *v)
{
    if (v == NULL)
        return;
    vsock_mux_fini(&v->mux);
    vsock_listener_fini(&v->listener);
    virtio_fini(&v->virtio);
    free(v);
}

struct virtio *vsock_virtio(struct vsock *v)
{
    return &v->virtio;
}
