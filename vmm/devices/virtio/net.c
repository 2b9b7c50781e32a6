/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/devices/virtio/net_internal.h"

#define MTU_MIN     68u
#define VLAN_BYTES  4u
#define S_LINK_UP   1u
#define QUEUES_PAIR 2u

/* struct virtio_net_config: 5.1.4. */
#define CONFIG_MAC    0
#define CONFIG_STATUS 6
#define CONFIG_PAIRS  8
#define CONFIG_MTU    10
#define CONFIG_BYTES  12u

/* ---- Queues ---- */

static unsigned receive_queue(unsigned pair)
{
    return QUEUES_PAIR * pair;
}

static unsigned transmit_queue(unsigned pair)
{
    return QUEUES_PAIR * pair + 1;
}

/* Behind all pairs, or behind the only one of a driver without MQ: 5.1.2. */
static unsigned control_queue(const struct net *net)
{
    return QUEUES_PAIR * (virtio_has(&net->virtio, NET_F_MQ) ? net->pairs : 1);
}

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct net *net = dev;
    unsigned control = control_queue(net);
    if (queue == control && virtio_has(&net->virtio, NET_F_CTRL_VQ))
        return net_control(net, q);
    if (queue >= control)
        return VIRTIO_ENOUGH;
    unsigned pair = queue / QUEUES_PAIR;
    return queue == receive_queue(pair) ? net_receive(net, pair, q) : net_transmit(net, pair, q);
}

/* ---- Link ---- */

bool net_is_up(const struct net *net)
{
    return atomic_load(&net->plugged) && atomic_load(&net->carrier);
}

static void set_link(struct net *net, atomic_bool *which, bool up)
{
    if (atomic_exchange(which, up) == up)
        return;
    virtio_config_changed(&net->virtio);
    /* Frames that wait for the back end are dropped without it. */
    for (unsigned i = 0; !up && i < net->pairs; i++)
        virtio_kick(&net->virtio, transmit_queue(i));
}

void net_set_link(struct net *net, bool up)
{
    set_link(net, &net->plugged, up);
}

/* ---- What the back end says ---- */

static void on_readable(void *ctx, unsigned pair)
{
    struct net *net = ctx;
    struct virtq *q = virtio_begin(&net->virtio, receive_queue(pair));
    if (q == NULL) {
        net_wait(net, pair, false);
        return;
    }
    enum virtio_served served = net_receive(net, pair, q);
    virtio_end(&net->virtio, receive_queue(pair));
    if (served == VIRTIO_MORE)
        virtio_kick(&net->virtio, receive_queue(pair));
}

static void on_writable(void *ctx, unsigned pair)
{
    struct net *net = ctx;
    virtio_kick(&net->virtio, transmit_queue(pair));
}

static void on_link(void *ctx, bool up)
{
    struct net *net = ctx;
    set_link(net, &net->carrier, up);
}

/* ---- What the driver chose ---- */

unsigned net_offloads_of(uint64_t features, unsigned csum, unsigned tso4, unsigned tso6, unsigned ecn)
{
    return ((features >> csum & 1) != 0 ? NET_OFFLOAD_CSUM : 0u) |
           ((features >> tso4 & 1) != 0 ? NET_OFFLOAD_TSO4 : 0u) |
           ((features >> tso6 & 1) != 0 ? NET_OFFLOAD_TSO6 : 0u) | ((features >> ecn & 1) != 0 ? NET_OFFLOAD_ECN : 0u);
}

int net_accept(struct net *net, unsigned offloads)
{
    const struct net_backend *b = net->backend;
    int code = b->ops->set_offloads == NULL ? 0 : b->ops->set_offloads(b->self, offloads);
    if (code == 0)
        atomic_store(&net->guest_offloads, offloads);
    return code;
}

static uint32_t frame_of(uint16_t mtu)
{
    return mtu == 0 ? NET_FRAME_MAX : NET_FRAME_MIN + VLAN_BYTES + mtu;
}

static void activate(void *dev, uint64_t features)
{
    struct net *net = dev;
    unsigned out = net_offloads_of(features, NET_F_CSUM, NET_F_HOST_TSO4, NET_F_HOST_TSO6, NET_F_HOST_ECN);
    unsigned in = net_offloads_of(features, NET_F_GUEST_CSUM, NET_F_GUEST_TSO4, NET_F_GUEST_TSO6, NET_F_GUEST_ECN);
    net->host_offloads = net_offloads_sane(out);
    net->mergeable = (features >> NET_F_MRG_RXBUF & 1) != 0;
    net->plain_max = (features >> NET_F_MTU & 1) != 0 ? frame_of(net->mtu) : NET_FRAME_MAX;
    (void)net_accept(net, net_offloads_sane(in));
}

static void reset(void *dev)
{
    struct net *net = dev;
    const struct net_backend *b = net->backend;
    atomic_store(&net->current, 1);
    if (b->ops->set_pairs != NULL)
        (void)b->ops->set_pairs(b->self, 1);
    /* What the back end still has from before is judged by what is accepted then. */
    if (net_accept(net, 0) < 0)
        atomic_store(&net->guest_offloads, 0);
    for (unsigned i = 0; i < net->pairs; i++)
        net->pair[i].held_bytes = 0;
}

static void read_config(void *dev, uint8_t *out)
{
    const struct net *net = dev;
    memcpy(out + CONFIG_MAC, net->cfg.mac, NET_MAC_BYTES);
    bytes_store_le16(out + CONFIG_STATUS, net_is_up(net) ? S_LINK_UP : 0);
    bytes_store_le16(out + CONFIG_PAIRS, (uint16_t)net->pairs);
    bytes_store_le16(out + CONFIG_MTU, net->mtu);
}

static const struct virtio_ops ops = {.name = "net",
                                      .type = VIRTIO_TYPE_NET,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .activate = activate,
                                      .reset = reset};

/* ---- Life ---- */

static uint64_t if_offered(unsigned offloads, enum net_offload which, unsigned host, unsigned guest)
{
    return (offloads & which) != 0 ? VIRTIO_FEATURE(host) | VIRTIO_FEATURE(guest) : 0;
}

static uint64_t features_of(const struct net *net)
{
    unsigned offloads = net_offloads_sane(net->backend->offloads);
    return VIRTIO_FEATURE(NET_F_MAC) | VIRTIO_FEATURE(NET_F_MRG_RXBUF) | VIRTIO_FEATURE(NET_F_STATUS) |
           VIRTIO_FEATURE(NET_F_CTRL_VQ) | VIRTIO_FEATURE(NET_F_CTRL_RX) |
           (net->mtu != 0 ? VIRTIO_FEATURE(NET_F_MTU) : 0) | (net->pairs > 1 ? VIRTIO_FEATURE(NET_F_MQ) : 0) |
           (offloads != 0 ? VIRTIO_FEATURE(NET_F_CTRL_GUEST_OFFLOADS) : 0) |
           if_offered(offloads, NET_OFFLOAD_CSUM, NET_F_CSUM, NET_F_GUEST_CSUM) |
           if_offered(offloads, NET_OFFLOAD_TSO4, NET_F_HOST_TSO4, NET_F_GUEST_TSO4) |
           if_offered(offloads, NET_OFFLOAD_TSO6, NET_F_HOST_TSO6, NET_F_GUEST_TSO6) |
           if_offered(offloads, NET_OFFLOAD_ECN, NET_F_HOST_ECN, NET_F_GUEST_ECN);
}

static int check(const struct net *net, struct err *err)
{
    const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "net", .what_to_do = "correct the settings of the network"};
    static const uint8_t zero[NET_MAC_BYTES];
    if ((net->cfg.mac[0] & 1) != 0 || memcmp(net->cfg.mac, zero, sizeof(zero)) == 0)
        return err_fail_because(err, -EINVAL, &context, "the address is one of a group, or zero");
    if (net->pairs > NET_PAIRS_MAX || net->pairs > net->backend->pairs)
        return err_fail_because(err, -EINVAL, &context, "there are %u queue pairs, not %u",
                                net->backend->pairs < NET_PAIRS_MAX ? net->backend->pairs : NET_PAIRS_MAX, net->pairs);
    if (net->mtu != 0 && net->mtu < MTU_MIN)
        return err_fail_because(err, -EINVAL, &context, "an MTU is at least %u, not %u", MTU_MIN, net->mtu);
    return 0;
}

static int start(struct net *net, struct err *err)
{
    const struct net_backend *b = net->backend;
    const struct err_context context = {
        .attempted = "start the network back end", .on_what = b->ops->name, .what_to_do = "free memory on the host"};
    struct net_events events = {.readable = on_readable, .writable = on_writable, .link = on_link, .ctx = net};
    int code = b->ops->start(b->self, net->cfg.loops, &events);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static int make(struct net *net, struct err *err)
{
    struct virtio_config common = {.ops = &ops,
                                   .dev = net,
                                   .memory = net->cfg.memory,
                                   .features = features_of(net),
                                   .config_bytes = CONFIG_BYTES,
                                   .queues = QUEUES_PAIR * net->pairs + 1,
                                   .queue_size = NET_QUEUE_SIZE,
                                   .log = net->cfg.log};
    for (unsigned i = 0; i < NET_PAIRS_MAX; i++) {
        if (net->cfg.loops[i] == NULL)
            net->cfg.loops[i] = net->cfg.loops[0];
        common.loops[receive_queue(i)] = common.loops[transmit_queue(i)] = net->cfg.loops[i];
    }
    common.loops[QUEUES_PAIR * net->pairs] = net->cfg.loops[0];
    int code = virtio_init(&net->virtio, &common, err);
    if (code < 0)
        return code;
    code = start(net, err);
    if (code < 0)
        virtio_fini(&net->virtio);
    return code;
}

int net_new(const struct net_config *config, struct net **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "net", .what_to_do = "free memory on the host"};
    assert(config->backend != NULL && config->loops[0] != NULL);
    struct net *net = calloc(1, sizeof(*net));
    if (net == NULL)
        return err_fail(err, -ENOMEM, &context);
    net->cfg = *config;
    net->backend = config->backend;
    net->pairs = config->pairs == 0 ? 1 : config->pairs;
    net->mtu = config->mtu != 0 ? config->mtu : config->backend->mtu;
    net->usual_max = frame_of(net->mtu);
    atomic_init(&net->plugged, true);
    atomic_init(&net->carrier, true);
    atomic_init(&net->current, 1);
    int code = check(net, err);
    if (code == 0)
        code = make(net, err);
    if (code < 0) {
        free(net);
        return code;
    }
    *out = net;
    return 0;
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    net->backend->ops->stop(net->backend->self);
    virtio_fini(&net->virtio);
    free(net);
}

struct virtio *net_virtio(struct net *net)
{
    return &net->virtio;
}

void net_count(const struct net *net, struct net_counters *out)
{
    const struct net_numbers *n = &net->numbers;
    *out = (struct net_counters){.sent = atomic_load(&n->sent),
                                 .received = atomic_load(&n->received),
                                 .malformed = atomic_load(&n->malformed),
                                 .not_sent = atomic_load(&n->not_sent),
                                 .not_received = atomic_load(&n->not_received),
                                 .control_failures = atomic_load(&n->control_failures)};
}
