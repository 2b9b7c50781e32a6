/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lookups and overlays: what runs while VPs run. No lock, no allocation; a system call only for the first access to a
 * chunk of memory.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/softhv/gpa_map.h"
#include "vmm/softhv/user.h"

/* ---- Table ---- */

const struct gpa_span *gpa_table_find(const struct gpa_table *t, uint64_t pfn)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->span[mid].last < pfn)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->n && t->span[low].first <= pfn ? &t->span[low] : NULL;
}

static const struct gpa_span *find(struct softhv_gpa *g, uint64_t gpa)
{
    return gpa_table_find(atomic_load(&g->table), gpa >> GPA_PAGE_SHIFT);
}

/*
 * Host address of a page of a region, after its chunk was found writable. A failure is not remembered: the client may
 * repair its mapping. As in the driver, one bad page spoils its whole chunk.
 */
static uint8_t *region_page(const struct gpa_region *r, uint64_t page)
{
    uint64_t chunk = page / GPA_CHUNK_PAGES, start = chunk * GPA_CHUNK_PAGES;
    if (!gpa_bit(&r->resolved, chunk)) {
        uint64_t n = r->pages - start < GPA_CHUNK_PAGES ? r->pages - start : GPA_CHUNK_PAGES;
        if (softhv_user_fault_in(r->user + start * GPA_PAGE_BYTES, n * GPA_PAGE_BYTES) < 0)
            return NULL;
        gpa_bit_put(&r->resolved, chunk, true);
    }
    return (uint8_t *)(uintptr_t)(r->user + page * GPA_PAGE_BYTES);
}

static bool tracking(struct softhv_gpa *g)
{
    return atomic_load_explicit(&g->tracking, memory_order_acquire);
}

/* ---- Overlays ---- */

/* Index of the published overlay at pfn, or -1. Under the sequence. */
static int overlay_index(struct softhv_gpa *g, unsigned n, uint64_t pfn)
{
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        uint64_t at = atomic_load_explicit(&g->over_entry[mid].pfn, memory_order_relaxed);
        if (at == pfn)
            return (int)mid;
        if (at < pfn)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

/* The overlay at gpa: page and rights, or NULL. A sequence lock: changes are rare and short, so readers try again. */
static uint8_t *overlay_find(struct softhv_gpa *g, uint64_t gpa, unsigned *rights)
{
    for (;;) {
        uint32_t seq = atomic_load_explicit(&g->over_seq, memory_order_acquire);
        unsigned n = atomic_load_explicit(&g->over_n, memory_order_relaxed);
        uint8_t *page = NULL;
        if (seq & 1) {
            __builtin_ia32_pause();
            continue;
        }
        int i = overlay_index(g, n, gpa >> GPA_PAGE_SHIFT);
        if (i >= 0) {
            page = atomic_load_explicit(&g->over_entry[i].page, memory_order_relaxed);
            *rights = atomic_load_explicit(&g->over_entry[i].rights, memory_order_relaxed);
        }
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&g->over_seq, memory_order_relaxed) == seq)
            return page;
    }
}

/* By page; on one page the latest first. */
static int overlay_order(const void *a, const void *b)
{
    const struct gpa_overlay *x = *(struct gpa_overlay *const *)a, *y = *(struct gpa_overlay *const *)b;
    if (x->pfn != y->pfn)
        return x->pfn < y->pfn ? -1 : 1;
    return x->serial > y->serial ? -1 : 1;
}

/* Make the entries say what the slots say. The caller holds over_lock. */
static void overlay_publish(struct softhv_gpa *g)
{
    unsigned n = 0, used = 0;
    for (unsigned i = 0; i < g->cfg.overlays; i++)
        if (g->over[i].page != NULL)
            g->over_sorted[used++] = &g->over[i];
    qsort(g->over_sorted, used, sizeof(g->over_sorted[0]), overlay_order);
    uint32_t seq = atomic_load_explicit(&g->over_seq, memory_order_relaxed);
    atomic_store_explicit(&g->over_seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < used; i++) {
        const struct gpa_overlay *o = g->over_sorted[i];
        if (i > 0 && g->over_sorted[i - 1]->pfn == o->pfn)
            continue;
        atomic_store_explicit(&g->over_entry[n].pfn, o->pfn, memory_order_relaxed);
        atomic_store_explicit(&g->over_entry[n].page, o->page, memory_order_relaxed);
        atomic_store_explicit(&g->over_entry[n].rights, o->rights, memory_order_relaxed);
        n++;
    }
    atomic_store_explicit(&g->over_n, n, memory_order_relaxed);
    atomic_store_explicit(&g->over_seq, seq + 2, memory_order_release);
}

static void overlay_change(struct softhv_gpa *g, unsigned slot, struct gpa_overlay o)
{
    pthread_mutex_lock(&g->over_lock);
    o.serial = ++g->over_serial;
    g->over[slot] = o;
    overlay_publish(g);
    pthread_mutex_unlock(&g->over_lock);
    softhv_quiesce_forget(&g->members);
}

void softhv_gpa_set_overlay(struct softhv_gpa *g, unsigned slot, uint64_t pfn, uint8_t *page, unsigned rights)
{
    overlay_change(g, slot, (struct gpa_overlay){.pfn = pfn, .page = page, .rights = rights});
}

void softhv_gpa_clear_overlay(struct softhv_gpa *g, unsigned slot)
{
    pthread_mutex_lock(&g->over_lock);
    bool used = g->over[slot].page != NULL;
    pthread_mutex_unlock(&g->over_lock);
    if (used)
        overlay_change(g, slot, (struct gpa_overlay){.page = NULL});
}

bool softhv_gpa_is_overlay(struct softhv_gpa *g, uint64_t gpa)
{
    unsigned rights;
    return overlay_find(g, gpa, &rights) != NULL;
}

/* ---- Lookup ---- */

uint8_t *softhv_gpa_page(struct softhv_gpa *g, uint64_t gpa, unsigned *rights)
{
    uint8_t *host = overlay_find(g, gpa, rights);
    if (host != NULL)
        return host;
    const struct gpa_span *s = find(g, gpa);
    *rights = 0;
    if (s == NULL || s->region == NULL)
        return NULL;
    const struct gpa_region *r = s->region;
    uint64_t page = (gpa >> GPA_PAGE_SHIFT) - r->first;
    host = region_page(r, page);
    if (host == NULL)
        return NULL;
    *rights = r->rights;
    if (tracking(g)) {
        gpa_track_put(r, &r->accessed, page, true);
        if (!gpa_track_get(r, &r->dirty, page))
            *rights &= ~SOFTHV_GPA_W;
    }
    return host;
}

enum softhv_gpa_verdict softhv_gpa_access(struct softhv_gpa *g, uint64_t gpa, unsigned rights, uint8_t **host)
{
    unsigned granted;
    uint64_t offset = gpa & (GPA_PAGE_BYTES - 1);
    uint8_t *over = overlay_find(g, gpa, &granted);
    if (over != NULL) {
        *host = over + offset;
        return rights & ~granted ? SOFTHV_GPA_OVERLAY_DENIED : SOFTHV_GPA_OK;
    }
    const struct gpa_span *s = find(g, gpa);
    if (s == NULL)
        return SOFTHV_GPA_UNMAPPED;
    const struct gpa_region *r = s->region;
    if (r == NULL || (rights & ~r->rights))
        return SOFTHV_GPA_INTERCEPT;
    uint64_t page = (gpa >> GPA_PAGE_SHIFT) - r->first;
    uint8_t *at = region_page(r, page);
    if (at == NULL)
        return SOFTHV_GPA_INTERCEPT;
    if (tracking(g)) {
        gpa_track_put(r, &r->accessed, page, true);
        if (rights & SOFTHV_GPA_W)
            gpa_track_put(r, &r->dirty, page, true);
    }
    *host = at + offset;
    return SOFTHV_GPA_OK;
}

bool softhv_gpa_grant_write(struct softhv_gpa *g, uint64_t gpa)
{
    uint8_t *host;
    return softhv_gpa_access(g, gpa, SOFTHV_GPA_W, &host) == SOFTHV_GPA_OK;
}

/* ---- Copying ---- */

/* Bytes from gpa to the end of its page, at most `bytes`. */
static size_t piece(uint64_t gpa, size_t bytes)
{
    size_t room = (size_t)(GPA_PAGE_BYTES - (gpa & (GPA_PAGE_BYTES - 1)));
    return bytes < room ? bytes : room;
}

enum softhv_gpa_verdict softhv_gpa_read(struct softhv_gpa *g, uint64_t gpa, void *to, size_t bytes)
{
    uint8_t *at = to;
    while (bytes > 0) {
        uint8_t *host;
        size_t n = piece(gpa, bytes);
        enum softhv_gpa_verdict v = softhv_gpa_access(g, gpa, SOFTHV_GPA_R, &host);
        if (v != SOFTHV_GPA_OK)
            return v;
        memcpy(at, host, n);
        at += n;
        bytes -= n;
        if (__builtin_add_overflow(gpa, n, &gpa) && bytes > 0)
            return SOFTHV_GPA_UNMAPPED;
    }
    return SOFTHV_GPA_OK;
}

enum softhv_gpa_verdict softhv_gpa_write(struct softhv_gpa *g, uint64_t gpa, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    while (bytes > 0) {
        uint8_t *host;
        size_t n = piece(gpa, bytes);
        enum softhv_gpa_verdict v = softhv_gpa_access(g, gpa, SOFTHV_GPA_W, &host);
        if (v != SOFTHV_GPA_OK)
            return v;
        memcpy(host, at, n);
        at += n;
        bytes -= n;
        if (__builtin_add_overflow(gpa, n, &gpa) && bytes > 0)
            return SOFTHV_GPA_UNMAPPED;
    }
    return SOFTHV_GPA_OK;
}

void softhv_gpa_hold(struct softhv_gpa *g)
{
    pthread_mutex_lock(&g->lock);
}

void softhv_gpa_release(struct softhv_gpa *g)
{
    pthread_mutex_unlock(&g->lock);
}
