/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define URGENT       0u
#define REQUESTS     1u
#define ROOT         1u
#define ROOM         (8 * PAGE)
#define HANDLES_MAX  4096u /* docs/device-model.md */
#define ALL_FEATURES (UINT64_MAX & ~(F_PACKED | F_EVENT_IDX))
#define ENOSYS       38
#define LINK_MODE    0120000u
#define FALLOCATE    43u

enum op {
    LOOKUP = 1,
    FORGET = 2,
    GETATTR = 3,
    SETATTR = 4,
    READLINK = 5,
    SYMLINK = 6,
    MKNOD = 8,
    MKDIR = 9,
    UNLINK = 10,
    RMDIR = 11,
    RENAME = 12,
    LINK = 13,
    OPEN = 14,
    READ = 15,
    WRITE_FILE = 16,
    RELEASE = 18,
    SETXATTR = 21,
    GETXATTR = 22,
    INIT = 26,
    OPENDIR = 27,
    READDIR = 28,
    CREATE = 35,
    DESTROY = 38,
    BATCH_FORGET = 42,
    READDIRPLUS = 44,
};

struct in {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid, padding;
};

struct out {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};

struct rig {
    struct ring r;
    uint8_t *request, *reply;
    uint64_t unique;
};

static const struct out *reply_of(const struct rig *g)
{
    return (const struct out *)(const void *)g->reply;
}

static uint64_t word_of(const struct rig *g, unsigned i)
{
    return ((const uint64_t *)(const void *)(g->reply + sizeof(struct out)))[i];
}

/* The argument lies behind the header already. len: what the header claims; bytes: what is posted. */
static uint32_t exchange(struct rig *g, uint32_t op, uint64_t node, uint32_t len, uint32_t bytes, uint32_t room)
{
    struct in *h = (struct in *)(void *)g->request;
    *h = (struct in){.len = len, .opcode = op, .unique = ++g->unique, .nodeid = node};
    ((struct out *)(void *)g->reply)->error = 1;
    ring_set(&g->r, 0, address_of(g->request), bytes, NEXT, 1);
    ring_set(&g->r, 1, address_of(g->reply), room, WRITE, 0);
    ring_post(&g->r, 0);
    ring_kick(&g->r);
    return ring_take(&g->r);
}

/* 0 or a negative error. */
static int ask(struct rig *g, uint32_t op, uint64_t node, uint32_t argument_bytes)
{
    uint32_t bytes = (uint32_t)sizeof(struct in) + argument_bytes;
    (void)exchange(g, op, node, bytes, bytes, (uint32_t)ROOM);
    must(reply_of(g)->error <= 0 && reply_of(g)->unique == g->unique, "an answer that is none");
    return reply_of(g)->error;
}

static uint8_t *argument(struct rig *g)
{
    return g->request + sizeof(struct in);
}

static void *clear_argument(struct rig *g, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        argument(g)[i] = 0;
    return argument(g);
}

/* Behind the fixed part of an argument; returns the bytes of both, with the NUL. */
static uint32_t put_name(struct rig *g, uint32_t at, const char *name)
{
    do
        argument(g)[at++] = (uint8_t)*name;
    while (*name++ != '\0');
    return at;
}

static void init(struct rig *g)
{
    uint32_t *a = clear_argument(g, 64);
    a[0] = 7;
    a[1] = 38;
    must(ask(g, INIT, 0, 64) == 0, "the folder's device does not begin");
}

static void begin(struct machine *m, struct rig *g)
{
    device_begin(SLOT_SHARE, ALL_FEATURES);
    ring_make(m, &g->r, SLOT_SHARE, REQUESTS);
    device_ok(SLOT_SHARE);
    g->unique = 0;
    g->request = memory_take(m, ROOM);
    g->reply = memory_take(m, ROOM);
    init(g);
}

static int lookup(struct rig *g, uint64_t node, const char *name, uint64_t *found)
{
    int code = ask(g, LOOKUP, node, put_name(g, 0, name));
    *found = code == 0 ? word_of(g, 0) : 0;
    return code;
}

/* It reads the file that the runner made, whatever was tried before. */
static void end(struct machine *m, struct rig *g)
{
    uint64_t file;
    init(g);
    must(lookup(g, ROOT, "file", &file) == 0, "a file that is there is not found");
    uint32_t *a = clear_argument(g, 8);
    must(ask(g, OPEN, file, 8) == 0, "a file that is there is not opened");
    uint64_t handle = word_of(g, 0);
    a = clear_argument(g, 40);
    ((uint64_t *)(void *)a)[0] = handle;
    a[4] = 100;
    must(ask(g, READ, file, 40) == 0 && g->reply[sizeof(struct out)] == 'a', "a file that is there is not read");
    device_reset(SLOT_SHARE);
    all_must_work(m);
}

/* ---- Lengths ---- */

static void lengths_that_lie(struct machine *m)
{
    static const uint32_t lengths[] = {0, 1, 39, 40, 41, 63, 4096, 1 << 20, 0x7fffffff, 0x80000000, UINT32_MAX};
    struct rig g;
    begin(m, &g);
    for (uint32_t op = 1; op < 53; op++)
        for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            (void)clear_argument(&g, 256);
            (void)exchange(&g, op, ROOT, lengths[i], 40 + (i % 3) * 30, 4096);
        }
    for (uint32_t bytes = 0; bytes < 40; bytes++)
        (void)exchange(&g, LOOKUP, ROOT, bytes, bytes, 4096);
    end(m, &g);
}

static void replies_without_room(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    for (uint32_t op = 1; op < 53; op++)
        for (uint32_t room = 0; room < 200; room += 13) {
            (void)clear_argument(&g, 128);
            (void)put_name(&g, 0, "none");
            must(exchange(&g, op, ROOT, 40 + 128, 40 + 128, room) <= room, "more was written than there is room for");
        }
    end(m, &g);
}

static void operations_at_random(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t x = random_next(m);
        uint32_t op = i & 1 ? (uint32_t)(x & 0x3f) : i & 2 ? (uint32_t)x : (uint32_t)(x & 0xfff);
        /* With a length of chance it would fill the host's disk, as a guest with a writable folder may. */
        if (op == FALLOCATE)
            continue;
        for (unsigned k = 0; k < 16; k++)
            ((uint64_t *)(void *)argument(&g))[k] = random_next(m) & (k & 1 ? UINT64_C(0x6100610061006100) : 7);
        (void)exchange(&g, op, x >> 62, 40 + (uint32_t)(x >> 40 & 0x7f), 40 + 128, (uint32_t)(x >> 48 & 0xfff));
        if (i % 128 == 0)
            init(&g);
    }
    end(m, &g);
}

/* ---- Names ---- */

static const char *const bad_names[] = {"..",        ".",           "",       "/",     "a/b",
                                        "../secret", "/etc/passwd", "..//..", "file/", "folder/.."};
#define BAD_NAMES (sizeof(bad_names) / sizeof(bad_names[0]))

static void names_that_lead_out(struct machine *m)
{
    static const struct {
        uint32_t op, fixed;
        bool second;
    } ops[] = {{LOOKUP, 0, false},  {MKDIR, 8, false},  {MKNOD, 16, false}, {UNLINK, 0, false}, {RMDIR, 0, false},
               {CREATE, 16, false}, {SYMLINK, 0, true}, {RENAME, 8, true},  {LINK, 8, false}};
    struct rig g;
    uint64_t file;
    begin(m, &g);
    must(lookup(&g, ROOT, "file", &file) == 0, "a file that is there is not found");
    for (unsigned o = 0; o < sizeof(ops) / sizeof(ops[0]); o++)
        for (unsigned i = 0; i < BAD_NAMES; i++) {
            (void)clear_argument(&g, 64);
            ((uint64_t *)(void *)argument(&g))[0] = ops[o].op == LINK ? file : ops[o].op == RENAME ? ROOT : 0600;
            uint32_t n = put_name(&g, ops[o].fixed, bad_names[i]);
            n = ops[o].second ? put_name(&g, n, "new") : n;
            must(ask(&g, ops[o].op, ROOT, n) < 0, "a name that leads out of its folder is taken");
        }
    /* The old name is good, and the new one is not. */
    for (unsigned i = 0; i < BAD_NAMES; i++) {
        ((uint64_t *)(void *)clear_argument(&g, 64))[0] = ROOT;
        uint32_t n = put_name(&g, put_name(&g, 8, "file"), bad_names[i]);
        must(ask(&g, RENAME, ROOT, n) < 0, "a file is moved out of its folder");
    }
    end(m, &g);
}

static void names_without_end(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    for (uint32_t bytes = 250; bytes < 5000; bytes += 250) {
        for (uint32_t i = 0; i < bytes; i++)
            argument(&g)[i] = 'x';
        must(ask(&g, LOOKUP, ROOT, bytes) < 0, "a name without end is taken");
        argument(&g)[bytes] = '\0';
        must(ask(&g, LOOKUP, ROOT, bytes + 1) < 0, "a file with a name of thousands of letters is found");
        must(ask(&g, SYMLINK, ROOT, bytes) < 0, "a link without a target is made");
    }
    end(m, &g);
}

/* Links are the guest's to follow: here nothing is found behind them. */
static void links_that_lead_out(struct machine *m)
{
    static const char *const targets[] = {"../secret", "/etc/passwd",        "..", "/", "/proc/self/root",
                                          "link",      "folder/../../secret"};
    struct rig g;
    uint64_t node, inner;
    begin(m, &g);
    for (unsigned i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        uint32_t n = put_name(&g, put_name(&g, 0, "link"), targets[i]);
        must(ask(&g, SYMLINK, ROOT, n) == 0, "a link is not made");
        must(lookup(&g, ROOT, "link", &node) == 0, "a link that was made is not found");
        must(lookup(&g, node, "secret", &inner) < 0 && lookup(&g, node, "passwd", &inner) < 0, "a link is followed");
        (void)clear_argument(&g, 64);
        must(ask(&g, OPEN, node, 8) < 0, "a link is opened");
        must(ask(&g, OPENDIR, node, 8) < 0, "a link is opened as a folder");
        must(ask(&g, UNLINK, ROOT, put_name(&g, 0, "link")) == 0, "a link is not removed");
    }
    end(m, &g);
}

static void devices_are_not_made(struct machine *m)
{
    static const uint32_t modes[] = {0020600, 0060600, 0020000, 0060777, 0170600, LINK_MODE};
    struct rig g;
    begin(m, &g);
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        uint32_t *a = clear_argument(&g, 64);
        a[0] = modes[i];
        a[1] = 0x103;
        must(ask(&g, MKNOD, ROOT, put_name(&g, 16, "device")) < 0, "a device is made on the host");
    }
    end(m, &g);
}

/* ---- Numbers ---- */

static void numbers_of_nothing(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    for (unsigned i = 0; i < 3000; i++) {
        static const uint32_t ops[] = {GETATTR, READ, WRITE_FILE, RELEASE, READDIR, READDIRPLUS, OPEN, READLINK};
        uint64_t x = random_next(m), *a = clear_argument(&g, 64);
        a[0] = i & 1 ? x : x >> 56;
        a[2] = 4096;
        uint64_t node = i & 2 ? random_next(m) : 2 + (random_next(m) >> 54);
        must(ask(&g, ops[i & 7], node, 64) < 0, "something is done with a node that nobody was told of");
    }
    end(m, &g);
}

static void forgets_without_end(struct machine *m)
{
    struct rig g;
    uint64_t file;
    begin(m, &g);
    must(lookup(&g, ROOT, "file", &file) == 0, "a file that is there is not found");
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t *a = clear_argument(&g, 64);
        a[0] = i & 1 ? UINT64_MAX : random_next(m);
        (void)exchange(&g, FORGET, i & 2 ? ROOT : i & 4 ? file : random_next(m), 48, 48, 16);
        /* So many are to be forgotten, and the list has but a few. */
        uint32_t *count = clear_argument(&g, 256);
        count[0] = i & 8 ? UINT32_MAX : (uint32_t)(random_next(m) >> 52);
        for (unsigned k = 1; k < 16; k++)
            ((uint64_t *)(void *)count)[k] = k & 1 ? ROOT : UINT64_MAX;
        (void)exchange(&g, BATCH_FORGET, 0, 40 + 128, 40 + 128, 16);
    }
    end(m, &g);
}

static void huge_directories(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    (void)clear_argument(&g, 64);
    must(ask(&g, OPENDIR, ROOT, 8) == 0, "the folder is not opened");
    uint64_t handle = word_of(&g, 0);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t *a = clear_argument(&g, 64);
        a[0] = handle;
        a[1] = i & 1 ? random_next(m) : 0;
        a[2] = UINT32_MAX;
        uint32_t room = 16 + (i % 40) * 37;
        must(exchange(&g, i & 2 ? READDIR : READDIRPLUS, ROOT, 80, 80, room) <= room, "a listing longer than its room");
    }
    end(m, &g);
}

static void open_files_flood(struct machine *m)
{
    struct rig g;
    uint64_t file;
    unsigned opened = 0;
    begin(m, &g);
    must(lookup(&g, ROOT, "file", &file) == 0, "a file that is there is not found");
    for (unsigned i = 0; i < HANDLES_MAX + 500; i++) {
        (void)clear_argument(&g, 8);
        opened += ask(&g, OPEN, file, 8) == 0;
    }
    must(opened <= HANDLES_MAX, "more files are open than there may be");
    end(m, &g);
}

/* More folders than nodes have descriptors: 60 deep, and moved aside each time. */
static void nodes_flood(struct machine *m)
{
    struct rig g;
    begin(m, &g);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t node = ROOT;
        for (unsigned depth = 0; depth < 60; depth++) {
            ((uint32_t *)clear_argument(&g, 64))[0] = 0700;
            must(ask(&g, MKDIR, node, put_name(&g, 8, "d")) == 0, "a folder is not made");
            node = word_of(&g, 0);
        }
        char name[3] = {(char)('0' + i / 10), (char)('0' + i % 10), '\0'};
        ((uint64_t *)clear_argument(&g, 64))[0] = ROOT;
        must(ask(&g, RENAME, ROOT, put_name(&g, put_name(&g, 8, "d"), name)) == 0, "a folder is not moved");
    }
    end(m, &g);
}

/* Offsets around 2^63, more to write than there is, sizes that no file has; 2^63 - 1 is one that tmpfs allows. */
static void offsets_without_measure(struct machine *m)
{
    static const uint64_t offsets[] = {UINT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1, UINT64_MAX - 4095};
    struct rig g;
    uint64_t file;
    begin(m, &g);
    must(lookup(&g, ROOT, "file", &file) == 0, "a file that is there is not found");
    uint32_t *a = clear_argument(&g, 8);
    a[0] = 2;
    must(ask(&g, OPEN, file, 8) == 0, "a file is not opened for writing");
    uint64_t handle = word_of(&g, 0);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *w = clear_argument(&g, 128);
        w[0] = handle;
        w[1] = offsets[i];
        w[2] = 64;
        must(ask(&g, WRITE_FILE, file, 40 + 64) < 0, "bytes are written where no file has any");
        w = clear_argument(&g, 128);
        w[0] = handle;
        w[1] = 0;
        w[2] = i & 1 ? UINT32_MAX : 1 << 21;
        must(ask(&g, WRITE_FILE, file, 40 + 64) < 0, "more is written than there is");
        w = clear_argument(&g, 128);
        w[0] = 8;
        w[2] = offsets[i];
        must(ask(&g, SETATTR, file, 88) < 0 || offsets[i] == (UINT64_C(1) << 63) - 1,
             "a file gets a size that no file has");
        w = clear_argument(&g, 128);
        w[0] = handle;
        w[1] = w[2] = offsets[i];
        must(ask(&g, FALLOCATE, file, 32) < 0, "a file gets room that no file has");
    }
    end(m, &g);
}

const struct attack attacks[] = {
    {"lengths_that_lie", lengths_that_lie},
    {"replies_without_room", replies_without_room},
    {"operations_at_random", operations_at_random},
    {"names_that_lead_out", names_that_lead_out},
    {"names_without_end", names_without_end},
    {"links_that_lead_out", links_that_lead_out},
    {"devices_are_not_made", devices_are_not_made},
    {"numbers_of_nothing", numbers_of_nothing},
    {"forgets_without_end", forgets_without_end},
    {"huge_directories", huge_directories},
    {"open_files_flood", open_files_flood},
    {"nodes_flood", nodes_flood},
    {"offsets_without_measure", offsets_without_measure},
    {NULL, NULL},
};
