/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define RX           0u
#define TX           1u
#define HOST         2u
#define STREAM       1u
#define HEADER       44u
#define BUFFER       4096u
#define CONNECTIONS  1023u /* docs/device-model.md */
#define ROOM         65536u
#define READS        5000u /* ports of the runner's programs: one reads, one never does, one sends all back */
#define NEVER_READS  5001u
#define SENDS_BACK   5002u
#define NOBODY       6000u
#define ALL_FEATURES (UINT64_MAX & ~(F_PACKED | F_EVENT_IDX))

enum op { INVALID, REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

struct packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct rig {
    struct ring rx, tx;
    uint64_t cid;
    uint8_t *out;     /* a packet with its data */
    uint64_t buffers; /* for what comes */
    unsigned replies[8];
    uint64_t bytes; /* of RW packets that came */
};

static void post_rx(struct rig *g, uint16_t i)
{
    ring_set(&g->rx, i, g->buffers + (uint64_t)i * BUFFER, BUFFER, WRITE, 0);
    ring_post(&g->rx, i);
}

static void begin(struct machine *m, struct rig *g, bool receives)
{
    device_begin(SLOT_VSOCK, ALL_FEATURES);
    *g = (struct rig){.cid = get64(BAR(SLOT_VSOCK) + BAR_CONFIG)};
    ring_make(m, &g->rx, SLOT_VSOCK, RX);
    ring_make(m, &g->tx, SLOT_VSOCK, TX);
    device_ok(SLOT_VSOCK);
    g->out = memory_take(m, ROOM + PAGE);
    g->buffers = address_of(memory_take(m, (uint64_t)g->rx.size * BUFFER));
    for (uint16_t i = 0; receives && i < g->rx.size; i++)
        post_rx(g, i);
    ring_kick(&g->rx);
}

static void end(struct machine *m)
{
    device_reset(SLOT_VSOCK);
    all_must_work(m);
}

/* Take all that has come, and make room for more. */
static void drain(struct rig *g)
{
    bool any = false;
    while (ring_has_used(&g->rx)) {
        uint16_t i = (uint16_t)ring_used_entry(&g->rx, g->rx.seen)->id;
        must(i < g->rx.size, "a buffer that was never posted is used");
        const struct packet *p = (const struct packet *)pointer_to(g->buffers + (uint64_t)i * BUFFER);
        must(p->op < 8, "an operation that is none came");
        g->replies[p->op]++;
        g->bytes += p->op == RW ? p->len : 0;
        g->rx.seen++;
        post_rx(g, i);
        any = true;
    }
    if (any)
        ring_kick(&g->rx);
}

static struct packet *packet(struct rig *g, uint32_t from, uint32_t to, enum op op, uint32_t len)
{
    struct packet *p = (struct packet *)(void *)g->out;
    *p = (struct packet){.src_cid = g->cid,
                         .dst_cid = HOST,
                         .src_port = from,
                         .dst_port = to,
                         .len = len,
                         .type = STREAM,
                         .op = (uint16_t)op,
                         .buf_alloc = ROOM};
    return p;
}

/* Send what is in `out`, and wait until it was taken; the answers are taken meanwhile. */
static void send(struct rig *g, uint32_t bytes)
{
    ring_set(&g->tx, 0, address_of(g->out), bytes, 0, 0);
    ring_post(&g->tx, 0);
    ring_kick(&g->tx);
    for (uint64_t left = 200000000; !ring_has_used(&g->tx); left--) {
        must(left > 0, "a packet is not taken");
        drain(g);
    }
    (void)ring_take(&g->tx);
    drain(g);
}

static void say_op(struct rig *g, uint32_t from, uint32_t to, enum op op)
{
    (void)packet(g, from, to, op, 0);
    send(g, HEADER);
}

static void wait_for(struct rig *g, enum op op, unsigned count)
{
    for (uint64_t left = 200000000; g->replies[op] < count; left--) {
        must(left > 0, "an answer does not come");
        drain(g);
    }
}

/* ---- Connections ---- */

static void connects_to_nobody(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (uint32_t i = 0; i < 3000; i++)
        say_op(&g, 1000 + i, NOBODY + i, REQUEST);
    wait_for(&g, RST, 3000);
    must(g.replies[RESPONSE] == 0, "somebody answers where nobody listens");
    end(m);
}

static void connection_flood(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (uint32_t i = 0; i < CONNECTIONS + 300; i++)
        say_op(&g, 1000 + i, READS, REQUEST);
    for (uint64_t left = 200000000; g.replies[RESPONSE] + g.replies[RST] < CONNECTIONS + 300; left--) {
        must(left > 0, "an answer does not come");
        drain(&g);
    }
    must(g.replies[RESPONSE] <= CONNECTIONS, "more connections than there may be");
    must(g.replies[RESPONSE] > CONNECTIONS / 2, "hardly any connection is made");
    end(m);
}

static void connect_and_leave(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (uint32_t i = 0; i < 1500; i++) {
        say_op(&g, 1000, READS, REQUEST);
        say_op(&g, 1000, READS, i & 1 ? RST : SHUTDOWN);
        packet(&g, 1000, READS, SHUTDOWN, 0)->flags = i & 3;
        send(&g, HEADER);
        say_op(&g, 1000, READS, RST);
    }
    end(m);
}

/* The same two ports again and again, answers to what nobody asked, data without a connection. */
static void protocol_out_of_order(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (unsigned i = 0; i < 4000; i++) {
        enum op op = (enum op)(random_next(m) >> 61);
        struct packet *p = packet(&g, 2000 + i % 3, i & 8 ? SENDS_BACK : NOBODY, op, op == RW ? 16 : 0);
        p->flags = (uint32_t)random_next(m) & 3;
        send(&g, HEADER + p->len);
    }
    end(m);
}

static void headers_at_random(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (unsigned i = 0; i < 4000; i++) {
        struct packet *p = packet(&g, 3000, READS, (enum op)(i & 7), 0);
        uint64_t *words = (uint64_t *)(void *)g.out;
        unsigned word = (unsigned)(random_next(m) >> 32) % 5;
        words[word] = random_next(m) >> (i & 56);
        if (i & 1)
            p->len = (uint32_t)(random_next(m) & 0x1ff);
        send(&g, HEADER + (i & 2 ? p->len & 0xfff : 0));
    }
    end(m);
}

/* Longer than what is there, shorter, cut headers; data that ends in the midst of a descriptor. */
static void lengths_that_lie(struct machine *m)
{
    static const uint32_t lengths[] = {1, 43, 4096, 65535, 65536, 65537, 0x7fffffff, 0x80000000, UINT32_MAX};
    struct rig g;
    begin(m, &g, true);
    say_op(&g, 4000, READS, REQUEST);
    wait_for(&g, RESPONSE, 1);
    for (uint32_t bytes = 0; bytes < HEADER; bytes++) {
        (void)packet(&g, 4000, READS, RW, 0);
        send(&g, bytes);
    }
    for (unsigned i = 0; i < 9; i++) {
        (void)packet(&g, 4000 + i, READS, REQUEST, 0);
        send(&g, HEADER);
        (void)packet(&g, 4000 + i, READS, RW, lengths[i]);
        send(&g, HEADER);
        (void)packet(&g, 4000 + i, READS, RW, lengths[i]);
        send(&g, HEADER + 100);
    }
    end(m);
}

/* ---- Credit ---- */

/* Far more than there is room for, to one who never reads: none of it is kept, the connection ends. */
static void data_beyond_credit(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    for (uint32_t c = 0; c < 8; c++) {
        say_op(&g, 5000 + c, NEVER_READS, REQUEST);
        for (unsigned i = 0; i < 64; i++) {
            (void)packet(&g, 5000 + c, NEVER_READS, RW, ROOM);
            send(&g, HEADER + ROOM);
        }
    }
    must(g.replies[RST] > 0, "data beyond the credit is taken");
    end(m);
}

/* What the guest says it has room for is all that may come. */
static void room_that_is_none(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    packet(&g, 6000, SENDS_BACK, REQUEST, 0)->buf_alloc = 10;
    send(&g, HEADER);
    wait_for(&g, RESPONSE, 1);
    for (unsigned i = 0; i < 40; i++) {
        packet(&g, 6000, SENDS_BACK, RW, 1000)->buf_alloc = 10;
        send(&g, HEADER + 1000);
    }
    pause_for(100000);
    drain(&g);
    must(g.bytes <= 10, "more comes than there is room for");
    end(m);
}

static void credit_that_jumps(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    say_op(&g, 7000, SENDS_BACK, REQUEST);
    wait_for(&g, RESPONSE, 1);
    for (unsigned i = 0; i < 3000; i++) {
        struct packet *p = packet(&g, 7000, SENDS_BACK, i & 1 ? CREDIT_UPDATE : RW, i & 1 ? 0 : 8);
        p->buf_alloc = (uint32_t)random_next(m);
        p->fwd_cnt = (uint32_t)random_next(m);
        send(&g, HEADER + p->len);
        if (i % 64 == 0) {
            say_op(&g, 7000, SENDS_BACK, RST);
            say_op(&g, 7000, SENDS_BACK, REQUEST);
        }
    }
    end(m);
}

static void credit_requests_flood(struct machine *m)
{
    struct rig g;
    begin(m, &g, true);
    say_op(&g, 8000, READS, REQUEST);
    wait_for(&g, RESPONSE, 1);
    for (unsigned i = 0; i < 4000; i++)
        say_op(&g, 8000, READS, CREDIT_REQUEST);
    wait_for(&g, CREDIT_UPDATE, 1);
    end(m);
}

/* ---- A driver that does not listen ---- */

/* Answers pile up for buffers that never come: so many, and then packets wait in the guest's own ring. */
static void answers_nobody_takes(struct machine *m)
{
    struct rig g;
    begin(m, &g, false);
    (void)packet(&g, 9000, NOBODY, REQUEST, 0);
    for (uint16_t i = 0; i < g.tx.size; i++)
        ring_set(&g.tx, i, address_of(g.out), HEADER, 0, 0);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t bytes;
        if ((uint16_t)(g.tx.posted - g.tx.seen) < g.tx.size)
            ring_post(&g.tx, (uint16_t)(i % g.tx.size));
        if (i % 64 == 0)
            ring_kick(&g.tx);
        if (ring_has_used(&g.tx))
            (void)ring_try(&g.tx, &bytes);
    }
    end(m);
}

static void buffers_too_small(struct machine *m)
{
    for (uint32_t bytes = 0; bytes < 50; bytes += 7) {
        struct rig g;
        uint64_t heap = m->heap;
        uint32_t ignored;
        begin(m, &g, false);
        for (uint16_t i = 0; i < g.rx.size; i++) {
            ring_set(&g.rx, i, g.buffers, bytes, bytes & 1 ? WRITE : 0, 0);
            ring_post(&g.rx, i);
        }
        ring_kick(&g.rx);
        (void)packet(&g, 9000, NOBODY, REQUEST, 0);
        ring_set(&g.tx, 0, address_of(g.out), HEADER, 0, 0);
        ring_post(&g.tx, 0);
        ring_kick(&g.tx);
        (void)ring_try(&g.tx, &ignored);
        device_reset(SLOT_VSOCK);
        m->heap = heap;
    }
    end(m);
}

const struct attack attacks[] = {
    {"connects_to_nobody", connects_to_nobody},
    {"connection_flood", connection_flood},
    {"connect_and_leave", connect_and_leave},
    {"protocol_out_of_order", protocol_out_of_order},
    {"headers_at_random", headers_at_random},
    {"lengths_that_lie", lengths_that_lie},
    {"data_beyond_credit", data_beyond_credit},
    {"room_that_is_none", room_that_is_none},
    {"credit_that_jumps", credit_that_jumps},
    {"credit_requests_flood", credit_requests_flood},
    {"answers_nobody_takes", answers_nobody_takes},
    {"buffers_too_small", buffers_too_small},
    {NULL, NULL},
};
