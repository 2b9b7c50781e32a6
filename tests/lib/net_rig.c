/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/net_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool good)
{
    if (!good)
        abort();
}

/* ---- The back end ---- */

static int fake_start(void *self, struct loop *const *loops, const struct net_events *events)
{
    struct net_fake *f = self;
    require(!f->started && loops[0] != NULL);
    f->events = *events;
    f->started = f->start_error == 0;
    return f->start_error;
}

static void fake_stop(void *self)
{
    struct net_fake *f = self;
    require(f->started);
    f->started = false;
}

static void fake_wait(void *self, unsigned pair, bool wanted)
{
    struct net_fake *f = self;
    require(pair < f->backend.pairs);
    f->waits[pair] += f->waiting[pair] != wanted;
    f->waiting[pair] = wanted;
}

static ssize_t fake_receive(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_fake *f = self;
    size_t done = 0;
    require(pair < f->backend.pairs && count <= NET_IOVS_MAX);
    f->receives++;
    if (f->receive_error != 0)
        return f->receive_error;
    if (f->in_count[pair] == 0)
        return -EAGAIN;
    const struct net_fake_frame *frame = &f->in[pair][f->in_first[pair]];
    for (unsigned i = 0; i < count; i++) {
        size_t n = frame->length - done < iov[i].iov_len ? frame->length - done : iov[i].iov_len;
        memcpy(iov[i].iov_base, frame->bytes + done, n);
        done += n;
    }
    f->in_first[pair] = (f->in_first[pair] + 1) % NET_FAKE_FRAMES;
    f->in_count[pair]--;
    return (ssize_t)done;
}

static int fake_send(void *self, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_fake *f = self;
    struct net_fake_frame *frame = &f->sent[f->sends % NET_FAKE_FRAMES];
    require(pair < f->backend.pairs && count <= NET_IOVS_MAX);
    if (f->send_error != 0) {
        f->refused++;
        return f->send_error;
    }
    frame->length = 0;
    for (unsigned i = 0; i < count; i++) {
        require(frame->length + iov[i].iov_len <= NET_HEADER_BYTES + NET_FRAME_MAX);
        memcpy(frame->bytes + frame->length, iov[i].iov_base, iov[i].iov_len);
        frame->length += iov[i].iov_len;
    }
    f->sent_pair[f->sends++ % NET_FAKE_FRAMES] = pair;
    return 0;
}

static int fake_set_offloads(void *self, unsigned offloads)
{
    struct net_fake *f = self;
    if (f->offloads_error == 0)
        f->offloads = offloads;
    return f->offloads_error;
}

static int fake_set_pairs(void *self, unsigned pairs)
{
    struct net_fake *f = self;
    require(pairs >= 1 && pairs <= f->backend.pairs);
    if (f->pairs_error == 0)
        f->pairs = pairs;
    return f->pairs_error;
}

static void fake_close(void *self)
{
    (void)self;
}

static const struct net_backend_ops fake_ops = {.name = "fake",
                                                .start = fake_start,
                                                .stop = fake_stop,
                                                .wait = fake_wait,
                                                .receive = fake_receive,
                                                .send = fake_send,
                                                .set_offloads = fake_set_offloads,
                                                .set_pairs = fake_set_pairs,
                                                .close = fake_close};

/* ---- The rig ---- */

void net_rig_init(struct net_rig *r)
{
    r->net = NULL;
    memset(&r->fake, 0, offsetof(struct net_fake, in));
    vdrv_init(&r->d);
    r->fake.backend = (struct net_backend){
        .ops = &fake_ops, .self = &r->fake, .pairs = NET_PAIRS_MAX, .offloads = NET_RIG_ALL, .header = true};
    r->cfg = (struct net_config){.memory = &r->d.memory,
                                 .loops = {&r->d.loop},
                                 .backend = &r->fake.backend,
                                 .mac = {0x02, 1, 2, 3, 4, 5},
                                 .pairs = 1};
}

void net_rig_start(struct net_rig *r, uint64_t features)
{
    require(net_new(&r->cfg, &r->net, NULL) == 0);
    vdrv_attach(&r->d, net_virtio(r->net));
    require(vdrv_start(&r->d, features));
}

void net_rig_fini(struct net_rig *r)
{
    net_free(r->net);
    vdrv_fini(&r->d);
}

void net_rig_arrive(struct net_rig *r, unsigned pair, const uint8_t *header, const void *frame, size_t bytes)
{
    struct net_fake *f = &r->fake;
    require(f->in_count[pair] < NET_FAKE_FRAMES && bytes <= NET_FRAME_MAX + 16);
    struct net_fake_frame *to = &f->in[pair][(f->in_first[pair] + f->in_count[pair]++) % NET_FAKE_FRAMES];
    static const uint8_t zero[NET_HEADER_BYTES];
    to->length = f->backend.header ? NET_HEADER_BYTES : 0;
    memcpy(to->bytes, header != NULL ? header : zero, to->length);
    memcpy(to->bytes + to->length, frame, bytes);
    to->length += bytes;
    if (f->waiting[pair])
        f->events.readable(f->events.ctx, pair);
    vdrv_turn(&r->d);
}

uint64_t net_rig_post(struct net_rig *r, unsigned pair, uint32_t bytes)
{
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, bytes, 8), .bytes = bytes, .writable = true};
    (void)vdrv_post(&r->d, 2 * pair, &b, 1);
    vdrv_kick(&r->d, 2 * pair);
    return b.gpa;
}

bool net_rig_send(struct net_rig *r, unsigned pair, const uint8_t *header, const void *frame, uint32_t bytes)
{
    uint64_t heap = r->d.heap;
    uint64_t at = vdrv_alloc(&r->d, NET_HEADER_BYTES + bytes, 8);
    if (header != NULL)
        memcpy(vdrv_at(&r->d, at, NET_HEADER_BYTES), header, NET_HEADER_BYTES);
    memcpy(vdrv_at(&r->d, at + NET_HEADER_BYTES, bytes), frame, bytes);
    struct vdrv_buffer b = {.gpa = at, .bytes = NET_HEADER_BYTES + bytes};
    uint32_t written = 0;
    (void)vdrv_post(&r->d, 2 * pair + 1, &b, 1);
    vdrv_kick(&r->d, 2 * pair + 1);
    bool came = vdrv_take(&r->d, 2 * pair + 1, NULL, &written);
    require(written == 0);
    if (came)
        r->d.heap = heap;
    return came;
}

static const struct net_fake_frame *last_sent(const struct net_rig *r)
{
    require(r->fake.sends > 0);
    return &r->fake.sent[(r->fake.sends - 1) % NET_FAKE_FRAMES];
}

const uint8_t *net_rig_sent(const struct net_rig *r, size_t *bytes)
{
    size_t skip = r->fake.backend.header ? NET_HEADER_BYTES : 0;
    *bytes = last_sent(r)->length - skip;
    return last_sent(r)->bytes + skip;
}

const uint8_t *net_rig_sent_header(const struct net_rig *r)
{
    require(r->fake.backend.header);
    return last_sent(r)->bytes;
}

struct net_counters net_rig_counters(const struct net_rig *r)
{
    struct net_counters c;
    net_count(r->net, &c);
    return c;
}

int net_rig_control(struct net_rig *r, uint8_t class, uint8_t command, const void *data, uint32_t bytes)
{
    uint8_t request[256] = {class, command}, answer = 0xff;
    bool mq = (r->d.features >> 22 & 1) != 0;
    require(bytes <= sizeof(request) - 2);
    if (bytes > 0)
        memcpy(request + 2, data, bytes);
    int64_t n = vdrv_request(&r->d, mq ? 2 * r->cfg.pairs : 2, request, 2 + bytes, &answer, 1);
    return n == 1 ? answer : -1;
}
