/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/attack/virtio.h"

#define IN           0u
#define OUT          1u
#define FLUSH        4u
#define GET_ID       8u
#define DISCARD      11u
#define WRITE_ZEROES 13u
#define OK           0u
#define IOERR        1u
#define UNSUPP       2u
#define NO_STATUS    0xeeu
#define SECTORS      1024u /* the runner's */
#define ALL_FEATURES (UINT64_MAX & ~F_PACKED)

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

struct segment {
    uint64_t sector;
    uint32_t count, flags;
};

/* A ring and one request in it: header at 0, status at 16, data from 4096 on. */
struct rig {
    struct ring r;
    uint8_t *page;
};

static void begin(struct machine *m, struct rig *g, unsigned slot)
{
    device_begin(slot, ALL_FEATURES & ~F_EVENT_IDX);
    ring_make(m, &g->r, slot, 0);
    device_ok(slot);
    g->page = memory_take(m, 64 * PAGE);
}

static uint8_t ask(struct rig *g, uint32_t type, uint64_t sector, uint32_t bytes, uint16_t flags)
{
    struct header *h = (struct header *)(void *)g->page;
    *h = (struct header){.type = type, .sector = sector};
    g->page[16] = NO_STATUS;
    ring_set(&g->r, 0, address_of(h), sizeof(*h), NEXT, bytes > 0 ? 1 : 2);
    ring_set(&g->r, 1, address_of(g->page + PAGE), bytes, (uint16_t)(NEXT | flags), 2);
    ring_set(&g->r, 2, address_of(g->page + 16), 1, WRITE, 0);
    ring_post(&g->r, 0);
    ring_kick(&g->r);
    (void)ring_take(&g->r);
    must(g->page[16] != NO_STATUS, "a request without status");
    return g->page[16];
}

static void end(struct machine *m, unsigned slot)
{
    device_reset(slot);
    all_must_work(m);
}

static const uint64_t wrong_sectors[] = {SECTORS,
                                         SECTORS + 1,
                                         UINT32_MAX,
                                         UINT64_C(1) << 55,
                                         UINT64_C(0x7fffffffffffff),
                                         UINT64_C(0x80000000000000),
                                         UINT64_C(1) << 63,
                                         UINT64_MAX,
                                         UINT64_MAX - 7};

/* Nothing of the buffer is left as it was: that would be taken for what is on the disk. */
static void sectors_beyond_the_end(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    for (unsigned i = 0; i < sizeof(wrong_sectors) / sizeof(wrong_sectors[0]); i++) {
        g.page[PAGE] = 0x77;
        must(ask(&g, IN, wrong_sectors[i], 4096, WRITE) == IOERR, "sectors behind the end are read");
        must(g.page[PAGE] == 0, "a buffer nobody filled");
        must(ask(&g, OUT, wrong_sectors[i], 4096, 0) == IOERR, "sectors behind the end are written");
    }
    must(ask(&g, IN, SECTORS - 7, 4096, WRITE) == IOERR, "a request over the end is served");
    must(ask(&g, OUT, SECTORS - 7, 4096, 0) == IOERR, "a request over the end is served");
    end(m, SLOT_DISK);
}

static void sizes_that_are_no_sectors(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    for (uint32_t bytes = 1; bytes < 2048; bytes += 37) {
        must(ask(&g, IN, 0, bytes, WRITE) == IOERR, "a part of a sector is read");
        must(ask(&g, OUT, 0, bytes, 0) == IOERR, "a part of a sector is written");
    }
    /* Data of the wrong direction. */
    must(ask(&g, IN, 0, 512, 0) == IOERR, "reading from a buffer that is to be read");
    must(ask(&g, OUT, 0, 512, WRITE) == IOERR, "writing to a buffer that is to be written");
    end(m, SLOT_DISK);
}

static void types_of_every_number(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    for (unsigned i = 0; i < 400; i++) {
        uint32_t type = i < 64 ? i : (uint32_t)random_next(m);
        uint8_t status = ask(&g, type, SECTORS, 512, i & 1 ? WRITE : 0);
        must(status != OK || type == FLUSH || type == GET_ID, "a type nobody knows is served");
    }
    end(m, SLOT_DISK);
}

static void short_headers(struct machine *m)
{
    for (uint32_t bytes = 0; bytes < 16; bytes++) {
        struct rig g;
        uint64_t heap = m->heap;
        begin(m, &g, SLOT_DISK);
        g.page[16] = NO_STATUS;
        ring_set(&g.r, 0, address_of(g.page), bytes, NEXT, 1);
        ring_set(&g.r, 1, address_of(g.page + 16), 1, WRITE, 0);
        ring_post(&g.r, 0);
        ring_kick(&g.r);
        (void)ring_take(&g.r);
        must(g.page[16] == IOERR, "a request with half a header is served");
        m->heap = heap;
    }
    end(m, SLOT_DISK);
}

static void no_room_for_status(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    ring_set(&g.r, 0, address_of(g.page), 16, 0, 0);
    ring_post(&g.r, 0);
    ring_kick(&g.r);
    device_must_break(SLOT_DISK);
    must(!ring_has_used(&g.r), "a request without room for its status is used");
    end(m, SLOT_DISK);
}

/* The runner compares the image afterwards. */
static void writes_to_a_read_only_disk(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK_RO);
    for (uint64_t sector = 0; sector < 32; sector++) {
        for (unsigned i = 0; i < 512; i++)
            g.page[PAGE + i] = 0xa5;
        must(ask(&g, OUT, sector, 512, 0) == IOERR, "a read-only disk is written to");
        struct segment *s = (struct segment *)(void *)(g.page + PAGE);
        *s = (struct segment){sector, 1, 0};
        must(ask(&g, DISCARD, 0, sizeof(*s), 0) != OK, "a read-only disk is discarded");
        must(ask(&g, WRITE_ZEROES, 0, sizeof(*s), 0) != OK, "a read-only disk is zeroed");
    }
    end(m, SLOT_DISK_RO);
}

static void ranges_that_overflow(struct machine *m)
{
    static const struct segment segments[] = {
        {SECTORS, 1, 0},    {0, SECTORS + 1, 0},       {UINT64_MAX, 1, 0},     {UINT64_MAX, UINT32_MAX, 0},
        {1, UINT32_MAX, 0}, {UINT64_C(1) << 55, 1, 0}, {UINT64_MAX - 1, 2, 0}, {0, 1, 2},
        {0, 1, UINT32_MAX}, {UINT64_C(1) << 63, 0, 0}, {SECTORS - 1, 2, 0},
    };
    struct rig g;
    begin(m, &g, SLOT_DISK);
    struct segment *s = (struct segment *)(void *)(g.page + PAGE);
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        s[0] = segments[i];
        must(ask(&g, DISCARD, 0, sizeof(*s), 0) != OK, "a range that is none is discarded");
        s[0] = segments[i];
        must(ask(&g, WRITE_ZEROES, 0, sizeof(*s), 0) != OK, "a range that is none is zeroed");
    }
    /* More segments than are allowed, and no whole number of them; a good one before a bad one. */
    for (unsigned i = 0; i < 300; i++)
        s[i] = (struct segment){i, 1, 0};
    must(ask(&g, DISCARD, 0, 300 * sizeof(*s), 0) != OK, "300 segments are discarded");
    must(ask(&g, DISCARD, 0, sizeof(*s) + 1, 0) != OK, "a piece of a segment is discarded");
    s[1] = segments[0];
    must(ask(&g, DISCARD, 0, 2 * sizeof(*s), 0) != OK, "half of a discard is done");
    must(ask(&g, IN, 0, 512, WRITE) == OK, "the disk does not read");
    end(m, SLOT_DISK);
}

/* The header changes while the request is served in turns of a MiB. */
static void change_request(struct machine *m, unsigned cpu)
{
    struct header *h = pointer_to(HEAP_END - 8 * PAGE);
    uint64_t x = cpu;
    while (!is_stopping(m)) {
        x = x * 6364136223846793005 + 1;
        h->type = (uint32_t)(x >> 40 & 0xf);
        h->sector = x >> 50;
    }
}

static void request_changes_while_served(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    others_start(m, 1, change_request);
    for (unsigned i = 0; i < 100; i++) {
        uint16_t n = 0;
        /* 60 times the same 32 KiB: long enough for several turns. */
        ring_set(&g.r, n, HEAP_END - 8 * PAGE, 16, NEXT, (uint16_t)(n + 1));
        for (n = 1; n < 61; n++)
            ring_set(&g.r, n, address_of(g.page + PAGE), 8 * PAGE, NEXT | WRITE, (uint16_t)(n + 1));
        ring_set(&g.r, n, address_of(g.page + 16), 1, WRITE, 0);
        ring_post(&g.r, 0);
        ring_kick(&g.r);
        (void)ring_take(&g.r);
    }
    others_stop(m, 1);
    device_reset(SLOT_DISK);
    /* What was written by chance lies in the first sectors: the runner wants each to hold its number, and so do we. */
    begin(m, &g, SLOT_DISK);
    for (unsigned i = 0; i < 512; i++)
        g.page[PAGE + i] = 1;
    must(ask(&g, OUT, 1, 512, 0) == OK, "the disk does not write after the attack");
    end(m, SLOT_DISK);
}

/* As many flushes, discards and zeroes as fit into both queues, again and again. */
static void costly_requests_flood(struct machine *m)
{
    struct rig g;
    begin(m, &g, SLOT_DISK);
    struct header *h = (struct header *)(void *)g.page;
    struct segment *s = (struct segment *)(void *)(g.page + PAGE);
    *s = (struct segment){512, 512, 0};
    for (unsigned round = 0; round < 6; round++) {
        *h = (struct header){.type = round % 3 == 0 ? FLUSH : round % 3 == 1 ? DISCARD : WRITE_ZEROES};
        bool ranges = round % 3 != 0;
        for (uint16_t i = 0; i + 3u <= g.r.size; i = (uint16_t)(i + 3)) {
            ring_set(&g.r, i, address_of(h), sizeof(*h), NEXT, (uint16_t)(i + (ranges ? 1 : 2)));
            ring_set(&g.r, (uint16_t)(i + 1), address_of(s), sizeof(*s), NEXT, (uint16_t)(i + 2));
            ring_set(&g.r, (uint16_t)(i + 2), address_of(g.page + 16), 1, WRITE, 0);
            ring_post(&g.r, i);
        }
        ring_kick(&g.r);
        while (g.r.seen != g.r.posted)
            (void)ring_take(&g.r);
        must(g.page[16] == OK, "a flood of good requests is refused");
    }
    end(m, SLOT_DISK);
}

const struct attack attacks[] = {
    {"sectors_beyond_the_end", sectors_beyond_the_end}, {"sizes_that_are_no_sectors", sizes_that_are_no_sectors},
    {"types_of_every_number", types_of_every_number},   {"short_headers", short_headers},
    {"no_room_for_status", no_room_for_status},         {"writes_to_a_read_only_disk", writes_to_a_read_only_disk},
    {"ranges_that_overflow", ranges_that_overflow},     {"request_changes_while_served", request_changes_while_served},
    {"costly_requests_flood", costly_requests_flood},   {NULL, NULL},
};
