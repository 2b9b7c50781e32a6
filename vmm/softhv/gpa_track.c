/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Which pages the guest accessed and wrote. The bits are set by lookups; here they are read, cleared and switched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/softhv/gpa_map.h"
#include "vmm/softhv/user.h"

#define BATCH 512u /* pages whose states are looked at together, on the stack */

/* ---- Bitmaps of regions ---- */

void gpa_track_fini(struct gpa_region *r)
{
    gpa_bits_fini(&r->accessed);
    gpa_bits_fini(&r->dirty);
}

int gpa_track_init(struct gpa_region *r, bool dirty)
{
    if (gpa_bits_init(&r->accessed, r->pages) < 0 || gpa_bits_init(&r->dirty, r->pages) < 0) {
        gpa_track_fini(r);
        return -ENOMEM;
    }
    r->flip = dirty;
    return 0;
}

static void drop_all(struct softhv_gpa *g)
{
    for (struct gpa_region *r = g->regions; r != NULL; r = r->next)
        gpa_track_fini(r);
}

/* ---- Switching ---- */

static uint16_t switch_on(struct softhv_gpa *g)
{
    for (struct gpa_region *r = g->regions; r != NULL; r = r->next) {
        if (gpa_track_init(r, false) < 0) {
            drop_all(g);
            return HV_STATUS_INSUFFICIENT_MEMORY;
        }
    }
    atomic_store(&g->tracking, true);
    softhv_quiesce_wait(&g->members); /* rights to write that were given out before */
    return HV_STATUS_SUCCESS;
}

/* Word by word where whole words lie inside. */
static bool pages_dirty(const struct gpa_region *r, uint64_t page, uint64_t end)
{
    const uint64_t full = r->flip ? 0 : UINT64_MAX;
    while (page < end) {
        bool word = page % 64 == 0 && end - page >= 64;
        if (word ? atomic_load(&r->dirty.word[page / 64]) != full : !gpa_track_get(r, &r->dirty, page))
            return false;
        page += word ? 64 : 1;
    }
    return true;
}

static bool span_dirty(const struct gpa_span *s)
{
    const struct gpa_region *r = s->region;
    return r == NULL || pages_dirty(r, s->first - r->first, s->last - r->first + 1);
}

static uint16_t switch_off(struct softhv_gpa *g)
{
    const struct gpa_table *t = atomic_load(&g->table);
    for (size_t i = 0; i < t->n; i++)
        if (!span_dirty(&t->span[i]))
            return HV_STATUS_OPERATION_DENIED;
    atomic_store(&g->tracking, false);
    softhv_quiesce_wait(&g->members); /* lookups that saw it on */
    drop_all(g);
    return HV_STATUS_SUCCESS;
}

static uint16_t set_tracking(struct softhv_gpa *g, uint64_t value)
{
    bool on = (value & HV_PAGE_ACCESS_TRACKING_ENABLE) != 0, was = atomic_load(&g->tracking);
    uint16_t status = HV_STATUS_SUCCESS;
    if (!g->active)
        return HV_STATUS_INVALID_PARTITION_STATE;
    if (on != was)
        status = on ? switch_on(g) : switch_off(g);
    if (status == HV_STATUS_SUCCESS)
        g->tracking_value = value;
    return status;
}

uint16_t softhv_gpa_set_tracking(struct softhv_gpa *g, uint64_t value)
{
    if (value & ~(HV_PAGE_ACCESS_TRACKING_ENABLE | HV_PAGE_ACCESS_TRACKING_LARGE_PAGES))
        return HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
    pthread_mutex_lock(&g->lock);
    uint16_t status = set_tracking(g, value);
    pthread_mutex_unlock(&g->lock);
    return status;
}

uint64_t softhv_gpa_tracking(struct softhv_gpa *g)
{
    pthread_mutex_lock(&g->lock);
    uint64_t value = g->tracking_value;
    pthread_mutex_unlock(&g->lock);
    return value;
}

/* ---- States ---- */

#define CLEARS (HV_PAGE_ACCESS_CLEAR_ACCESSED | HV_PAGE_ACCESS_CLEAR_DIRTY)

static bool apply(const struct gpa_region *r, const struct gpa_bits *b, uint64_t page, bool clear, bool set)
{
    return clear || set ? gpa_track_put(r, b, page, set) : gpa_track_get(r, b, page);
}

static uint8_t page_state(const struct gpa_region *r, uint64_t page, uint64_t flags)
{
    bool accessed = apply(r, &r->accessed, page, (flags & HV_PAGE_ACCESS_CLEAR_ACCESSED) != 0,
                          (flags & HV_PAGE_ACCESS_SET_ACCESSED) != 0);
    bool dirty =
        apply(r, &r->dirty, page, (flags & HV_PAGE_ACCESS_CLEAR_DIRTY) != 0, (flags & HV_PAGE_ACCESS_SET_DIRTY) != 0);
    return (uint8_t)((accessed ? HV_PAGE_STATE_ACCESSED : 0u) | (dirty ? HV_PAGE_STATE_DIRTY : 0u));
}

static bool flags_valid(uint64_t flags)
{
    const uint64_t accessed = HV_PAGE_ACCESS_CLEAR_ACCESSED | HV_PAGE_ACCESS_SET_ACCESSED;
    const uint64_t dirty = HV_PAGE_ACCESS_CLEAR_DIRTY | HV_PAGE_ACCESS_SET_DIRTY;
    return (flags & ~(accessed | dirty)) == 0 && (flags & accessed) != accessed && (flags & dirty) != dirty;
}

/* Under the lock; VPs keep their rights. */
static uint16_t states(struct softhv_gpa *g, uint64_t flags, uint64_t pfn, uint32_t count, uint8_t *out, uint32_t *done)
{
    const struct gpa_span *s = NULL;
    *done = 0;
    if (!flags_valid(flags))
        return HV_STATUS_INVALID_PARAMETER;
    if (!atomic_load(&g->tracking))
        return HV_STATUS_INVALID_PARTITION_STATE;
    for (uint32_t i = 0; i < count; i++, *done = i) {
        uint64_t at = pfn + i;
        if (s == NULL || at > s->last)
            s = gpa_table_find(atomic_load(&g->table), at);
        if (at < pfn || s == NULL || s->region == NULL)
            return HV_STATUS_INVALID_PARAMETER;
        out[i] = page_state(s->region, at - s->region->first, flags);
    }
    return HV_STATUS_SUCCESS;
}

/*
 * After bits were cleared. Whoever copies a page after we return sees all that was written under the old right; what is
 * written later sets the bit again.
 */
static void states_settle(struct softhv_gpa *g, uint64_t flags, uint32_t done)
{
    if ((flags & CLEARS) && done > 0)
        softhv_quiesce_wait(&g->members);
}

uint16_t softhv_gpa_access_states(struct softhv_gpa *g, uint64_t flags, uint64_t pfn, uint32_t count, uint8_t *out,
                                  uint32_t *done)
{
    pthread_mutex_lock(&g->lock);
    uint16_t status = states(g, flags, pfn, count, out, done);
    states_settle(g, flags, *done);
    pthread_mutex_unlock(&g->lock);
    return status;
}

/* ---- The driver's bitmap ---- */

/* Flags of the hypercall for a type and operation. NOOP ends up as SET, in every driver read. */
static uint64_t bitmap_flags(unsigned type, unsigned op)
{
    bool clear = op == MSHV_GPAP_ACCESS_OP_CLEAR;
    if (type == MSHV_GPAP_ACCESS_TYPE_ACCESSED)
        return clear ? CLEARS : HV_PAGE_ACCESS_SET_ACCESSED;
    return clear ? HV_PAGE_ACCESS_CLEAR_DIRTY : HV_PAGE_ACCESS_SET_DIRTY | HV_PAGE_ACCESS_SET_ACCESSED;
}

static uint16_t bitmap_fill(struct softhv_gpa *g, const struct mshv_gpap_access_bitmap *a, uint8_t *map)
{
    uint8_t state[BATCH];
    uint8_t mask = a->access_type == MSHV_GPAP_ACCESS_TYPE_ACCESSED ? HV_PAGE_STATE_ACCESSED : HV_PAGE_STATE_DIRTY;
    uint64_t flags = bitmap_flags(a->access_type, a->access_op);
    uint16_t status = HV_STATUS_SUCCESS;
    uint32_t count = (uint32_t)a->page_count, total = 0, done;
    while (status == HV_STATUS_SUCCESS && total < count) {
        uint32_t n = count - total < BATCH ? count - total : BATCH;
        status = a->gpap_base + total < a->gpap_base ? (uint16_t)HV_STATUS_INVALID_PARAMETER
                                                     : states(g, flags, a->gpap_base + total, n, state, &done);
        for (uint32_t i = 0; status == HV_STATUS_SUCCESS && i < n; i++)
            if (state[i] & mask)
                map[(total + i) / 8] |= (uint8_t)(1u << ((total + i) % 8));
        total += n;
    }
    states_settle(g, flags, total);
    return status;
}

static bool bitmap_valid(const struct mshv_gpap_access_bitmap *a)
{
    static const uint8_t zero[sizeof(a->rsvd)];
    return a->access_type < MSHV_GPAP_ACCESS_TYPE_COUNT && a->access_op < MSHV_GPAP_ACCESS_OP_COUNT &&
           memcmp(a->rsvd, zero, sizeof(zero)) == 0 && a->page_count != 0 && a->bitmap_ptr != 0;
}

int softhv_gpa_access_bitmap(struct softhv_gpa *g, const struct mshv_gpap_access_bitmap *a)
{
    if (!bitmap_valid(a))
        return -EINVAL;
    /*
     * The driver's buffer has a byte for each page; where it fails depends on the host. uncertain: we say, when the
     * count exceeds the 32 bits the hypercall takes. The driver's E2BIG needs a wider element than it has.
     */
    if (a->page_count > UINT32_MAX)
        return -ENOMEM;
    size_t bytes = (size_t)((a->page_count + 7) / 8);
    uint8_t *map = calloc(1, bytes);
    if (map == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&g->lock);
    uint16_t status = bitmap_fill(g, a, map);
    pthread_mutex_unlock(&g->lock);
    int e = 0;
    if (status != HV_STATUS_SUCCESS)
        e = status == HV_STATUS_INVALID_PARAMETER ? -EINVAL : -EIO;
    else
        e = softhv_user_write(a->bitmap_ptr, map, bytes);
    free(map);
    return e;
}
