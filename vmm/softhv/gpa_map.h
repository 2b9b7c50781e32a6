/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_GPA_MAP_H
#define CAISSON_VMM_SOFTHV_GPA_MAP_H

/* What gpa.c, gpa_lookup.c and gpa_track.c share; nobody else includes it. */

#include "vmm/softhv/gpa.h"

#define GPA_PAGE_SHIFT  12
#define GPA_PAGE_BYTES  UINT64_C(4096)
#define GPA_CHUNK_PAGES UINT64_C(512) /* what the driver faults in at once, counted from the start of the region */

/* A bitmap. Parts in which nobody sets a bit cost nothing, however large the region. */
struct gpa_bits {
    _Atomic uint64_t *word;
    size_t bytes;
};

struct gpa_region {
    struct gpa_region *next; /* list of the driver, newest first; guarded by softhv_gpa.lock */
    /* constant */
    uint64_t first, pages; /* PFN, count */
    uint64_t user;         /* the client's address */
    unsigned rights;
    bool movable;
    /* by chunk: found writable, direct pointers may be given out; only ever set */
    struct gpa_bits resolved;
    /* by page; present while tracking is on. Pointers: changed while no lookup can use them; bits: any thread. */
    struct gpa_bits accessed, dirty;
    bool flip; /* a bit of those two says the opposite: a region that starts dirty costs no more than a clean one */
};

/* Guest pages of one kind in a row. */
struct gpa_span {
    uint64_t first, last;      /* PFN, inclusive */
    struct gpa_region *region; /* NULL: mapped without access */
};

/* Sorted, disjoint, never changed after it was published. */
struct gpa_table {
    size_t n;
    struct gpa_span span[];
};

struct gpa_overlay {
    uint64_t pfn;
    uint8_t *page; /* NULL: slot is free */
    unsigned rights;
    uint64_t serial; /* when it was set */
};

/* A published overlay; the fields of one entry belong together only under the sequence of the map. */
struct gpa_overlay_entry {
    _Atomic uint64_t pfn;
    _Atomic(uint8_t *) page;
    _Atomic unsigned rights;
};

struct softhv_gpa {
    struct softhv_gpa_config cfg;
    struct softhv_quiesce members;
    pthread_mutex_t lock; /* regions, changes of table and tracking; held while waiting for members */
    struct gpa_region *regions;
    _Atomic(struct gpa_table *) table;
    bool active;               /* guarded by lock */
    uint64_t tracking_value;   /* guarded by lock */
    _Atomic bool tracking;     /* accessed and dirty of all regions in the table are present */
    pthread_mutex_t over_lock; /* overlay slots; taken by online members, never held while waiting */
    struct gpa_overlay *over, **over_sorted;
    uint64_t over_serial;
    struct gpa_overlay_entry *over_entry; /* sorted by pfn, unique */
    _Atomic unsigned over_n;
    _Atomic uint32_t over_seq; /* odd while entries change */
};

/* 0 or -ENOMEM; all zero. */
int gpa_bits_init(struct gpa_bits *b, uint64_t bits);
void gpa_bits_fini(struct gpa_bits *b);

static inline bool gpa_bit(const struct gpa_bits *b, uint64_t i)
{
    return atomic_load_explicit(&b->word[i / 64], memory_order_acquire) >> (i % 64) & 1;
}

/* Returns what it was. The load first keeps the line shared when there is nothing to do. */
static inline bool gpa_bit_put(const struct gpa_bits *b, uint64_t i, bool value)
{
    uint64_t mask = UINT64_C(1) << (i % 64);
    if (gpa_bit(b, i) == value)
        return value;
    uint64_t old = value ? atomic_fetch_or(&b->word[i / 64], mask) : atomic_fetch_and(&b->word[i / 64], ~mask);
    return (old & mask) != 0;
}

/* The span that holds pfn, or NULL. */
const struct gpa_span *gpa_table_find(const struct gpa_table *t, uint64_t pfn);

/* Start tracking a region whose pages are all clean, or all accessed and dirty. 0 or -ENOMEM. gpa_track.c */
int gpa_track_init(struct gpa_region *r, bool dirty);
void gpa_track_fini(struct gpa_region *r);

/* An accessed or dirty bit; put returns what it was. */
static inline bool gpa_track_get(const struct gpa_region *r, const struct gpa_bits *b, uint64_t page)
{
    return gpa_bit(b, page) != r->flip;
}

static inline bool gpa_track_put(const struct gpa_region *r, const struct gpa_bits *b, uint64_t page, bool value)
{
    return gpa_bit_put(b, page, value != r->flip) != r->flip;
}

#endif
