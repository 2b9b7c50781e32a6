/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a driver that writes what it likes into the rings of a network device, and a back end with moods.
 *
 * Input: 8 bytes of settings (pairs and back end, its MTU, accepted features), then actions: kind, two bytes, four
 * bytes of value. Rings lie where virtio_driver.h puts them, from RINGS on; buffers from BUFFERS on. Checked: only
 * frames with clean headers reach the back end, no receive buffer is held across a turn, the loop comes to rest.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/net_rig.h"
#include "vmm/devices/virtio/net_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETTING_BYTES 8u
#define ACTION_BYTES  7u
#define ACTIONS_MAX   256u
#define RINGS         0x10000u
#define BUFFERS       0x100000u
#define TURNS_MAX     10000u

struct world {
    struct net_backend_ops ops;
    const struct net_backend_ops *inner;
    uint64_t features;
    struct {
        uint16_t slot, open; /* next descriptor; those of the chain that is not posted yet */
        uint16_t index;      /* of the available ring */
    } at[VIRTIO_QUEUES_MAX];
    struct net_rig r;
};

static struct net_header header_of(const struct iovec *iov)
{
    assert(iov[0].iov_len == NET_HEADER_BYTES);
    return net_header_load(iov[0].iov_base);
}

static int checked_send(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct world *w = (struct world *)(void *)((uint8_t *)self - offsetof(struct world, r.fake));
    size_t bytes = 0;
    unsigned first = w->r.fake.backend.header ? 1 : 0;
    assert(pair < w->r.cfg.pairs && count > first && count <= NET_IOVS_MAX);
    for (unsigned i = first; i < count; i++)
        bytes += iov[i].iov_len;
    assert(bytes >= NET_FRAME_MIN && bytes <= NET_FRAME_MAX);
    if (first == 1) {
        struct net_header h = header_of(iov);
        struct net_header again = h;
        unsigned allowed =
            net_offloads_of(w->r.d.features, NET_F_CSUM, NET_F_HOST_TSO4, NET_F_HOST_TSO6, NET_F_HOST_ECN);
        assert(net_header_clean_out(&again, allowed, (uint32_t)bytes) && memcmp(&h, &again, sizeof(h)) == 0);
    }
    return w->inner->send(self, pair, iov, count);
}

/* ---- The driver ---- */

static void start_driver(struct world *w, uint64_t features)
{
    struct vdrv *d = &w->r.d;
    d->heap = RINGS;
    memset(w->at, 0, sizeof(w->at));
    features &= (uint64_t)virtio_get_offered(d->v, 0) | (uint64_t)virtio_get_offered(d->v, 1) << 32;
    (void)vdrv_start(d, features);
}

/* One descriptor in the next slot; behind the last one of a chain, its head goes to the available ring. */
static void post(struct world *w, unsigned queue, uint8_t flags, uint32_t value)
{
    struct vdrv *d = &w->r.d;
    const struct vdrv_queue *q = &d->queue[queue];
    if (q->size == 0)
        return;
    uint16_t slot = w->at[queue].slot;
    uint8_t *descriptor = vdrv_at(d, q->descriptors + 16u * slot, 16);
    w->at[queue].slot = (uint16_t)((slot + 1) % q->size);
    w->at[queue].open++;
    bytes_store_le64(descriptor, BUFFERS + (value >> 20 & 0xfff) * 64u);
    bytes_store_le32(descriptor + 8, (value & 0x80000) != 0 ? value : value & 0x3fff);
    bytes_store_le16(descriptor + 12, flags & 7);
    bytes_store_le16(descriptor + 14, w->at[queue].slot);
    if ((flags & 1) != 0)
        return;
    uint16_t head = (uint16_t)((slot + 1 + q->size - w->at[queue].open % q->size) % q->size);
    bytes_store_le16(vdrv_at(d, q->available + 4 + 2u * (w->at[queue].index % q->size), 2), head);
    bytes_store_le16(vdrv_at(d, q->available + 2, 2), ++w->at[queue].index);
    w->at[queue].open = 0;
}

static void write_memory(struct vdrv *d, uint8_t a, uint8_t b, uint32_t value)
{
    uint32_t at = (uint32_t)(a | b << 8) * 4;
    bytes_store_le32(vdrv_at(d, at < 0x20000 ? RINGS + at : BUFFERS - 0x20000 + at, 4), value);
}

static void control(struct world *w, uint8_t a, uint8_t b, uint32_t value)
{
    struct vdrv *d = &w->r.d;
    unsigned queue = (d->features >> NET_F_MQ & 1) != 0 ? 2 * w->r.cfg.pairs : 2;
    uint8_t *request = vdrv_at(d, BUFFERS, 64);
    request[0] = a;
    request[1] = b & 1;
    bytes_store_le64(request + 2, value);
    post(w, queue, 1, 2 + (value >> 28));
    post(w, queue, 2, (2u << 20) + 1);
    virtio_kick(d->v, queue);
}

/* ---- The back end ---- */

static void arrive(struct world *w, uint8_t a, uint8_t b, uint32_t value)
{
    static const uint8_t frame[NET_FRAME_MAX + 16];
    unsigned pair = a % w->r.cfg.pairs;
    uint8_t header[NET_HEADER_BYTES] = {b & 3, a >> 4 & 7, 0, 0, 0, 2, 34, 0, 6};
    size_t bytes = (a & 8) != 0 ? value % (NET_FRAME_MAX + 16) : value % 2000;
    for (unsigned i = 0; i < 1u + (b >> 4) && w->r.fake.in_count[pair] < NET_FAKE_FRAMES; i++)
        net_rig_arrive(&w->r, pair, header, frame, bytes);
}

static void change_mood(struct world *w, uint8_t a, uint8_t b)
{
    static const int errors[] = {0, 0, -EAGAIN, -EIO};
    struct net_fake *f = &w->r.fake;
    f->send_error = errors[a & 3];
    f->offloads_error = (a & 4) != 0 ? -EINVAL : 0;
    f->pairs_error = (a & 8) != 0 ? -EINVAL : 0;
    f->receive_error = (a & 16) != 0 ? -EBADFD : 0;
    if ((b & 1) != 0)
        f->events.link(f->events.ctx, (b & 2) != 0);
    if ((b & 4) != 0)
        net_set_link(w->r.net, (b & 8) != 0);
    if (f->send_error != -EAGAIN)
        for (unsigned i = 0; i < w->r.cfg.pairs; i++)
            f->events.writable(f->events.ctx, i);
}

/* ---- Actions ---- */

static void act(struct world *w, const uint8_t *action)
{
    struct vdrv *d = &w->r.d;
    uint8_t a = action[1], b = action[2];
    uint32_t value = bytes_load_le32(action + 3);
    unsigned queues = 2 * w->r.cfg.pairs + 1;
    switch (action[0] & 15) {
    case 0:
    case 1:
    case 2: post(w, a % queues, b, value); break;
    case 3:
    case 4: virtio_kick(d->v, a % queues); break;
    case 5:
    case 6: arrive(w, a, b, value); break;
    case 7: write_memory(d, a, b, value); break;
    case 8: control(w, a, b, value); break;
    case 9: change_mood(w, a, b); break;
    case 10: start_driver(w, w->features ^ value); break;
    case 11: virtio_set_status(d->v, a); break;
    case 12: virtio_set_queue(d->v, a, (enum virtio_queue_register)(b % 9), value); break;
    case 13: (void)virtio_read_config(d->v, a, 1u << (b & 3)); break;
    case 14: virtio_write_config(d->v, a, 1u << (b & 3), value); break;
    default: /* the same buffer in all slots of a receive queue */
        for (unsigned i = 0; i < VDRV_QUEUE_SIZE; i++)
            post(w, 2 * (a % w->r.cfg.pairs), 2, value);
        break;
    }
}

static void check(struct world *w)
{
    unsigned turns = 0;
    while (loop_turn(&w->r.d.loop) > 0)
        assert(++turns < TURNS_MAX);
    for (unsigned i = 0; i < w->r.cfg.pairs; i++) {
        const struct net_pair *p = &w->r.net->pair[i];
        assert(p->chains == 0 && p->iovs == 0 && p->room == 0);
    }
    unsigned current = atomic_load(&w->r.net->current);
    assert(current >= 1 && current <= w->r.cfg.pairs);
}

static bool begin(struct world *w, const uint8_t *data)
{
    net_rig_init(&w->r);
    w->inner = w->r.fake.backend.ops;
    w->ops = *w->inner;
    w->ops.send = checked_send;
    w->r.fake.backend.ops = &w->ops;
    w->r.cfg.pairs = 1 + (data[0] & 3);
    w->r.fake.backend.header = (data[0] & 4) == 0;
    w->r.fake.backend.offloads = w->r.fake.backend.header ? NET_RIG_ALL : 0;
    w->r.cfg.mtu = (data[0] & 8) != 0 ? (uint16_t)(68 + data[1] * 36) : 0;
    if (net_new(&w->r.cfg, &w->r.net, NULL) < 0)
        return false;
    vdrv_attach(&w->r.d, net_virtio(w->r.net));
    w->features = bytes_load_le32(data + 2) | (uint64_t)data[6] << 32;
    start_driver(w, w->features);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Megabytes of frames, which need not be cleared each time. */
    static struct world world;
    struct world *w = &world;
    if (size < SETTING_BYTES)
        return 0;
    if (begin(w, data)) {
        data += SETTING_BYTES;
        size -= SETTING_BYTES;
        for (unsigned i = 0; i < ACTIONS_MAX && size >= ACTION_BYTES; i++) {
            act(w, data);
            check(w);
            data += ACTION_BYTES;
            size -= ACTION_BYTES;
        }
    }
    net_rig_fini(&w->r);
    return 0;
}
