/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A guest that has each device do what it is for, once, and says what came of it: for runs in which a call of the
 * monitor fails. It insists on nothing but an answer. The runner plays the other sides: it sends back frames and what
 * comes on port 5002, and connects to port 7 when something has come there.
 */
#include "tests/guests/attack/virtio.h"

#define ALL_FEATURES (UINT64_MAX & ~(F_PACKED | F_EVENT_IDX))
#define VECTOR       0x40u
#define DONE         42u
/* Turns of a loop: far more than any answer takes. */
#define PATIENCE UINT64_C(8000000)

static void report(const char *what, uint64_t value)
{
    say(what);
    say(" ");
    say_number(value);
    say("\n");
}

/* Interrupts are sent by message, as drivers of today have them; nobody takes them here. */
static void begin(unsigned slot)
{
    pci_write(slot, pci_msix_at(slot), 0x80000000u);
    device_begin(slot, ALL_FEATURES);
    set64(BAR(slot) + BAR_TABLE, LAPIC);
    set32(BAR(slot) + BAR_TABLE + 8, VECTOR);
    set32(BAR(slot) + BAR_TABLE + 12, 0);
}

static void queue(struct machine *m, struct ring *r, unsigned slot, unsigned n)
{
    ring_make(m, r, slot, n);
    set16(BAR(slot) + QUEUE_VECTOR, 0);
}

/* One buffer, or none if bytes is 0, and then room for an answer. */
static uint32_t exchange(struct ring *r, uint64_t out, uint32_t bytes, uint64_t in, uint32_t room)
{
    uint16_t last = 0;
    if (bytes > 0)
        ring_set(r, 0, out, bytes, room > 0 ? NEXT : 0, 1);
    if (room > 0)
        ring_set(r, last = bytes > 0 ? 1 : 0, in, room, WRITE, 0);
    ring_post(r, 0);
    ring_kick(r);
    return ring_take(r);
}

/* ---- Disk ---- */

struct disk_request {
    uint32_t type, reserved;
    uint64_t sector;
};

static unsigned disk_ask(struct ring *r, uint8_t *page, uint32_t type, uint32_t bytes, uint16_t flags)
{
    struct disk_request *h = (struct disk_request *)(void *)page;
    *h = (struct disk_request){.type = type, .sector = 8};
    page[32] = 0xee;
    ring_set(r, 0, address_of(page), sizeof(*h), NEXT, bytes > 0 ? 1 : 3);
    ring_set(r, 1, address_of(page + PAGE), bytes / 2, (uint16_t)(NEXT | flags), 2);
    ring_set(r, 2, address_of(page + 2 * PAGE), bytes / 2, (uint16_t)(NEXT | flags), 3);
    ring_set(r, 3, address_of(page + 32), 1, WRITE, 0);
    ring_post(r, 0);
    ring_kick(r);
    (void)ring_take(r);
    return page[32];
}

static void disk(struct machine *m)
{
    struct ring r;
    uint8_t *page = memory_take(m, 4 * PAGE);
    begin(SLOT_DISK);
    queue(m, &r, SLOT_DISK, 0);
    device_ok(SLOT_DISK);
    report("disk read", disk_ask(&r, page, 0, 2048, WRITE));
    report("disk content", page[PAGE] + (unsigned)page[2 * PAGE + 1023]);
    for (unsigned i = 0; i < 1024; i++)
        page[PAGE + i] = page[2 * PAGE + i] = 0x5a;
    report("disk write", disk_ask(&r, page, 1, 2048, 0));
    report("disk flush", disk_ask(&r, page, 4, 0, 0));
    report("disk name", disk_ask(&r, page, 8, 20, WRITE));
    for (unsigned i = 1; i <= 2; i++) {
        uint64_t *segment = (uint64_t *)(void *)(page + i * PAGE);
        segment[0] = 64 * i;
        segment[1] = 8;
    }
    report("disk discard", disk_ask(&r, page, 11, 32, 0));
    device_reset(SLOT_DISK);
}

/* ---- Folder ---- */

struct in {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid, padding;
};

struct share {
    struct ring r;
    uint8_t *request, *reply;
    uint32_t used; /* bytes of the argument */
    uint64_t unique;
};

static void arg32(struct share *s, uint32_t value)
{
    *(uint32_t *)(void *)(s->request + sizeof(struct in) + s->used) = value;
    s->used += 4;
}

static void arg64(struct share *s, uint64_t value)
{
    arg32(s, (uint32_t)value);
    arg32(s, (uint32_t)(value >> 32));
}

static void arg_zeroes(struct share *s, unsigned words)
{
    while (words-- > 0)
        arg32(s, 0);
}

static void arg_text(struct share *s, const char *text)
{
    do
        s->request[sizeof(struct in) + s->used++] = (uint8_t)*text;
    while (*text++ != '\0');
}

static uint64_t answer(const struct share *s, unsigned word)
{
    return *(const uint64_t *)(const void *)(s->reply + 16 + 8u * word);
}

/* Send the arguments that were put together; says the error. */
static unsigned ask(struct share *s, const char *what, uint32_t opcode, uint64_t node)
{
    struct in *in = (struct in *)(void *)s->request;
    *in = (struct in){
        .len = (uint32_t)sizeof(*in) + s->used, .opcode = opcode, .unique = ++s->unique, .nodeid = node, .pid = 1};
    for (unsigned i = 0; i < 64; i++)
        s->reply[i] = 0;
    (void)exchange(&s->r, address_of(in), in->len, address_of(s->reply), 4 * PAGE);
    unsigned error = (unsigned)-*(const int32_t *)(const void *)(s->reply + 4);
    report(what, error);
    s->used = 0;
    return error;
}

static uint64_t lookup(struct share *s, const char *name)
{
    arg_text(s, name);
    return ask(s, "share lookup", 1, 1) == 0 ? answer(s, 0) : 0;
}

static void share_moves_data(struct share *s, uint64_t node, uint64_t fh)
{
    arg64(s, fh);
    arg64(s, 0);
    arg32(s, 4096);
    arg_zeroes(s, 5);
    for (unsigned i = 0; i < 4096; i++)
        s->request[sizeof(struct in) + s->used++] = (uint8_t)i;
    if (ask(s, "share write", 16, node) == 0)
        report("share wrote", answer(s, 0) & 0xffffffff);
    arg64(s, fh);
    arg64(s, 0);
    arg32(s, 4096);
    arg_zeroes(s, 5);
    if (ask(s, "share read", 15, node) == 0)
        report("share content", s->reply[16 + 255] + (unsigned)s->reply[16 + 4095]);
    arg64(s, fh);
    arg64(s, 0);
    ask(s, "share fsync", 20, node);
    arg64(s, fh);
    arg64(s, 8192);
    arg64(s, 100);
    arg64(s, 0);
    ask(s, "share fallocate", 43, node);
    arg64(s, fh);
    arg64(s, 0);
    arg64(s, 3);
    ask(s, "share lseek", 46, node);
    arg64(s, fh);
    arg64(s, 0);
    arg64(s, node);
    arg64(s, fh);
    arg64(s, 4096);
    arg64(s, 1000);
    arg64(s, 0);
    ask(s, "share copy", 47, node);
    arg64(s, fh);
    arg_zeroes(s, 4);
    ask(s, "share flush", 25, node);
}

static void share_file(struct share *s)
{
    arg32(s, 0102); /* read and write, create */
    arg32(s, 0100644);
    arg_zeroes(s, 2);
    arg_text(s, "new");
    if (ask(s, "share create", 35, 1) != 0)
        return;
    uint64_t node = answer(s, 0), fh = answer(s, 16);
    share_moves_data(s, node, fh);
    arg64(s, fh);
    arg_zeroes(s, 4);
    ask(s, "share release", 18, node);
    arg32(s, 8); /* size */
    arg_zeroes(s, 3);
    arg64(s, 100);
    arg_zeroes(s, 16);
    ask(s, "share setattr", 4, node);
    arg32(s, 1);
    arg32(s, 0);
    arg_text(s, "user.a");
    s->request[sizeof(struct in) + s->used++] = 'v';
    ask(s, "share setxattr", 21, node);
    arg32(s, 64);
    arg32(s, 0);
    arg_text(s, "user.a");
    ask(s, "share getxattr", 22, node);
    arg32(s, 512);
    arg32(s, 0);
    ask(s, "share listxattr", 23, node);
    arg64(s, node);
    arg_text(s, "link");
    ask(s, "share link", 13, 1);
}

static void share_names(struct share *s)
{
    arg32(s, 0755);
    arg32(s, 0);
    arg_text(s, "sub");
    ask(s, "share mkdir", 9, 1);
    arg_text(s, "symbolic");
    arg_text(s, "file");
    if (ask(s, "share symlink", 6, 1) == 0)
        ask(s, "share readlink", 5, answer(s, 0));
    arg64(s, 1);
    arg_text(s, "new");
    arg_text(s, "newer");
    ask(s, "share rename", 12, 1);
    arg_text(s, "sub");
    ask(s, "share rmdir", 11, 1);
    static const char *const names[] = {"newer", "link", "symbolic"};
    for (unsigned i = 0; i < 3; i++) {
        arg_text(s, names[i]);
        ask(s, "share unlink", 10, 1);
    }
}

static void share_folder(struct share *s)
{
    arg_zeroes(s, 2);
    if (ask(s, "share opendir", 27, 1) != 0)
        return;
    uint64_t fh = answer(s, 0);
    for (unsigned opcode = 28; opcode <= 44; opcode += 16) { /* plain, and with attributes */
        arg64(s, fh);
        arg64(s, 0);
        arg32(s, 4096);
        arg_zeroes(s, 5);
        ask(s, "share readdir", opcode, 1);
    }
    arg64(s, fh);
    arg_zeroes(s, 4);
    ask(s, "share releasedir", 29, 1);
    ask(s, "share statfs", 17, 1);
}

static void share(struct machine *m)
{
    struct share s = {.request = memory_take(m, 4 * PAGE), .reply = memory_take(m, 4 * PAGE)};
    begin(SLOT_SHARE);
    queue(m, &s.r, SLOT_SHARE, 1);
    device_ok(SLOT_SHARE);
    arg32(&s, 7);
    arg32(&s, 38);
    arg_zeroes(&s, 14);
    ask(&s, "share init", 26, 0);
    uint64_t file = lookup(&s, "file");
    arg_zeroes(&s, 4);
    ask(&s, "share getattr", 3, file == 0 ? 1 : file);
    share_file(&s);
    share_names(&s);
    share_folder(&s);
    ask(&s, "share destroy", 38, 0);
    device_reset(SLOT_SHARE);
}

/* ---- Sockets ---- */

enum op { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

struct packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

#define HEADER  44u
#define BUFFERS 16u
#define HOST    2u
#define ECHO    5002u
#define SERVED  7u

struct sockets {
    struct ring rx, tx;
    uint64_t cid, buffers;
    uint8_t *out;
    uint32_t came;    /* bytes on the connection of ours */
    uint32_t to_port; /* bytes on the port that we serve */
    bool answered, reset, served;
    struct packet last;
};

static void post_rx(struct sockets *s, uint16_t i)
{
    ring_set(&s->rx, i, s->buffers + (uint64_t)i * PAGE, (uint32_t)PAGE, WRITE, 0);
    ring_post(&s->rx, i);
}

static void send_packet(struct sockets *s, uint32_t from, uint32_t to, enum op op, uint32_t len)
{
    *(struct packet *)(void *)s->out = (struct packet){.src_cid = s->cid,
                                                       .dst_cid = HOST,
                                                       .src_port = from,
                                                       .dst_port = to,
                                                       .len = len,
                                                       .type = 1,
                                                       .op = (uint16_t)op,
                                                       .flags = op == SHUTDOWN ? 3 : 0,
                                                       .buf_alloc = 65536};
    (void)exchange(&s->tx, address_of(s->out), HEADER + len, 0, 0);
}

static void take_packet(struct sockets *s, const struct packet *p)
{
    if (p->dst_port == SERVED && p->op == REQUEST) {
        s->served = true;
        send_packet(s, SERVED, p->src_port, RESPONSE, 0);
    } else if (p->dst_port == SERVED && p->op == RW) {
        s->to_port += p->len;
    } else if (p->dst_port != SERVED) {
        s->came += p->op == RW ? p->len : 0;
        s->answered = s->answered || p->op == RESPONSE;
        s->reset = s->reset || p->op == RST;
    }
}

static void drain(struct sockets *s)
{
    while (ring_has_used(&s->rx)) {
        uint16_t i = (uint16_t)ring_used_entry(&s->rx, s->rx.seen)->id;
        s->rx.seen++;
        s->last = *(const struct packet *)pointer_to(s->buffers + (uint64_t)i * PAGE);
        post_rx(s, i);
        ring_kick(&s->rx);
        take_packet(s, &s->last);
    }
}

#define until(s, holds)                                                                                                \
    for (uint64_t left = PATIENCE; !(holds) && left > 0; left--)                                                       \
    drain(s)

static void sockets(struct machine *m)
{
    struct sockets s = {.out = memory_take(m, 4 * PAGE), .buffers = address_of(memory_take(m, BUFFERS * PAGE))};
    begin(SLOT_VSOCK);
    s.cid = get64(BAR(SLOT_VSOCK) + BAR_CONFIG);
    queue(m, &s.rx, SLOT_VSOCK, 0);
    queue(m, &s.tx, SLOT_VSOCK, 1);
    device_ok(SLOT_VSOCK);
    for (uint16_t i = 0; i < BUFFERS; i++)
        post_rx(&s, i);
    ring_kick(&s.rx);
    send_packet(&s, 99, ECHO, REQUEST, 0);
    until(&s, s.answered || s.reset);
    report("vsock connected", s.answered && !s.reset);
    if (s.answered && !s.reset) {
        send_packet(&s, 99, ECHO, RW, 2000);
        until(&s, (s.came == 2000 && s.to_port == 10) || s.reset);
        send_packet(&s, 99, ECHO, SHUTDOWN, 0);
        until(&s, s.reset);
    }
    report("vsock bytes", s.came);
    report("vsock served", s.to_port);
    device_reset(SLOT_VSOCK);
}

/* ---- The others ---- */

static void network(struct machine *m)
{
    struct ring rx, tx;
    uint8_t *frame = memory_take(m, PAGE), *back = memory_take(m, PAGE);
    begin(SLOT_NET);
    queue(m, &rx, SLOT_NET, 0);
    queue(m, &tx, SLOT_NET, 1);
    device_ok(SLOT_NET);
    ring_set(&rx, 0, address_of(back), (uint32_t)PAGE, WRITE, 0);
    ring_post(&rx, 0);
    ring_kick(&rx);
    for (unsigned i = 12; i < 112; i++)
        frame[i] = (uint8_t)i;
    report("net sent", exchange(&tx, address_of(frame), 112, 0, 0));
    for (uint64_t left = PATIENCE; !ring_has_used(&rx) && left > 0; left--)
        pause_for(1);
    report("net came", ring_has_used(&rx) ? ring_take(&rx) : 0);
    report("net content", back[111]);
    device_reset(SLOT_NET);
}

static void others(struct machine *m)
{
    struct ring r;
    uint8_t *page = memory_take(m, PAGE);
    begin(SLOT_RNG);
    queue(m, &r, SLOT_RNG, 0);
    device_ok(SLOT_RNG);
    report("rng", exchange(&r, 0, 0, address_of(page), 64));
    device_reset(SLOT_RNG);
    begin(SLOT_CONSOLE);
    queue(m, &r, SLOT_CONSOLE, 1);
    device_ok(SLOT_CONSOLE);
    page[0] = '\n';
    report("console", exchange(&r, address_of(page), 1, 0, 0));
    device_reset(SLOT_CONSOLE);
    begin(SLOT_BALLOON);
    queue(m, &r, SLOT_BALLOON, 0);
    device_ok(SLOT_BALLOON);
    *(uint32_t *)(void *)page = (uint32_t)(address_of(memory_take(m, PAGE)) >> 12);
    report("balloon", exchange(&r, address_of(page), 4, 0, 0));
    device_reset(SLOT_BALLOON);
}

static void devices(struct machine *m)
{
    lapic_on();
    disk(m);
    share(m);
    sockets(m);
    network(m);
    others(m);
    leave(DONE);
}

const struct attack attacks[] = {
    {"devices", devices},
    {NULL, NULL},
};
