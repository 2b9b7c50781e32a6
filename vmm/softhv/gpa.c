/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/gpa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/softhv/gpa_map.h"
#include "vmm/softhv/user.h"

/*
 * Most ranges that stay mapped without access. They come from unmapping regions the guest never touched completely; a
 * client that makes more of them than this gets unmapped pages instead, which it must treat alike.
 */
#define LEFTOVERS_MAX 65536u
#define BITS_MAPPED   65536u /* bytes */

/* ---- Bitmaps ---- */

/* Small ones come from the heap, large ones are mapped, so that words nobody touches take no memory. */
int gpa_bits_init(struct gpa_bits *b, uint64_t bits)
{
    size_t bytes = (size_t)(bits / 64 + 1) * sizeof(uint64_t);
    bool mapped = bytes >= BITS_MAPPED;
    void *p = mapped ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                     : calloc(1, bytes);
    if (p == NULL || p == MAP_FAILED)
        return -ENOMEM;
    *b = (struct gpa_bits){.word = p, .bytes = bytes};
    return 0;
}

void gpa_bits_fini(struct gpa_bits *b)
{
    if (b->bytes >= BITS_MAPPED)
        munmap(b->word, b->bytes);
    else
        free(b->word);
    *b = (struct gpa_bits){.word = NULL};
}

/* ---- Life ---- */

static int allocate(struct softhv_gpa *g)
{
    size_t n = g->cfg.overlays;
    g->over = calloc(n + 1, sizeof(*g->over));
    g->over_sorted = calloc(n + 1, sizeof(*g->over_sorted));
    g->over_entry = calloc(n + 1, sizeof(*g->over_entry));
    struct gpa_table *t = calloc(1, sizeof(*t));
    atomic_init(&g->table, t);
    bool ok = g->over != NULL && g->over_sorted != NULL && g->over_entry != NULL && t != NULL;
    return ok ? softhv_quiesce_init(&g->members) : -ENOMEM;
}

static void release_memory(struct softhv_gpa *g)
{
    free(atomic_load(&g->table));
    free(g->over_entry);
    free(g->over_sorted);
    free(g->over);
    free(g);
}

int softhv_gpa_new(const struct softhv_gpa_config *cfg, struct softhv_gpa **out)
{
    struct softhv_gpa *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return -ENOMEM;
    g->cfg = *cfg;
    int r = allocate(g);
    if (r < 0) {
        release_memory(g);
        return r;
    }
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->over_lock, NULL);
    *out = g;
    return 0;
}

static void region_free(struct gpa_region *r)
{
    gpa_track_fini(r);
    gpa_bits_fini(&r->resolved);
    free(r);
}

void softhv_gpa_free(struct softhv_gpa *g)
{
    if (g == NULL)
        return;
    while (g->regions != NULL) {
        struct gpa_region *r = g->regions;
        g->regions = r->next;
        region_free(r);
    }
    pthread_mutex_destroy(&g->over_lock);
    pthread_mutex_destroy(&g->lock);
    softhv_quiesce_fini(&g->members);
    release_memory(g);
}

struct softhv_quiesce *softhv_gpa_members(struct softhv_gpa *g)
{
    return &g->members;
}

void softhv_gpa_activate(struct softhv_gpa *g)
{
    pthread_mutex_lock(&g->lock);
    g->active = true;
    pthread_mutex_unlock(&g->lock);
}

/* ---- Tables ---- */

static void table_push(struct gpa_table *t, struct gpa_span s)
{
    struct gpa_span *prev = t->n > 0 ? &t->span[t->n - 1] : NULL;
    if (prev != NULL && prev->region == NULL && s.region == NULL && prev->last + 1 == s.first)
        prev->last = s.last;
    else
        t->span[t->n++] = s;
}

/* The table with [first, last] taken out and `add`, spans in order inside that range, put in. NULL: out of memory. */
static struct gpa_table *table_replace(const struct gpa_table *old, uint64_t first, uint64_t last,
                                       const struct gpa_span *add, size_t n_add)
{
    /* A span that holds the whole range becomes two; any other at most one. */
    struct gpa_table *t = calloc(1, sizeof(*t) + (old->n + n_add + 1) * sizeof(t->span[0]));
    if (t == NULL)
        return NULL;
    size_t i = 0;
    for (; i < old->n && old->span[i].first < first; i++) {
        struct gpa_span s = old->span[i];
        s.last = s.last < first ? s.last : first - 1;
        table_push(t, s);
    }
    for (size_t k = 0; k < n_add; k++)
        table_push(t, add[k]);
    i -= i > 0 && old->span[i - 1].last > last; /* the one that reaches over the end as well */
    for (; i < old->n; i++) {
        struct gpa_span s = old->span[i];
        if (s.last <= last)
            continue;
        s.first = s.first > last ? s.first : last + 1;
        table_push(t, s);
    }
    return t;
}

/* From here on nobody can find what only the old table had. */
static void table_publish(struct softhv_gpa *g, struct gpa_table *t)
{
    struct gpa_table *old = atomic_exchange(&g->table, t);
    softhv_quiesce_wait(&g->members);
    free(old);
}

/* ---- Regions ---- */

static struct gpa_region *region_by_pfn(const struct softhv_gpa *g, uint64_t pfn)
{
    for (struct gpa_region *r = g->regions; r != NULL; r = r->next)
        if (pfn >= r->first && pfn < r->first + r->pages)
            return r;
    return NULL;
}

static bool user_inside(const struct softhv_gpa *g, uint64_t address)
{
    for (const struct gpa_region *r = g->regions; r != NULL; r = r->next)
        if (address >= r->user && address < r->user + r->pages * GPA_PAGE_BYTES)
            return true;
    return false;
}

/* The sums of guest page numbers may wrap, here and in the driver; the hypervisor refuses such a range later. */
static bool intersects(const struct softhv_gpa *g, uint64_t first, uint64_t pages, uint64_t user, bool user_too)
{
    uint64_t bytes = pages * GPA_PAGE_BYTES;
    for (const struct gpa_region *r = g->regions; r != NULL; r = r->next) {
        if (first + pages > r->first && r->first + r->pages > first)
            return true;
        if (user_too && user + bytes > r->user && r->user + r->pages * GPA_PAGE_BYTES > user)
            return true;
    }
    return false;
}

static bool overlaps(const struct softhv_gpa *g, const struct mshv_user_mem_region *m)
{
    uint64_t first = m->guest_pfn, pages = m->size >> GPA_PAGE_SHIFT;
    if (g->cfg.kernel >= SOFTHV_KERNEL_6_19)
        return intersects(g, first, pages, m->userspace_addr, false);
    if (g->cfg.kernel == SOFTHV_KERNEL_6_15_STABLE)
        return intersects(g, first, pages, m->userspace_addr, true);
    /* Only the ends are looked at: a new range around an old one gets through. */
    return region_by_pfn(g, first) != NULL || region_by_pfn(g, first + pages - 1) != NULL ||
           user_inside(g, m->userspace_addr) || user_inside(g, m->userspace_addr + m->size - 1);
}

static struct gpa_region *region_new(const struct softhv_gpa *g, const struct mshv_user_mem_region *m)
{
    struct gpa_region *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->first = m->guest_pfn;
    r->pages = m->size >> GPA_PAGE_SHIFT;
    r->user = m->userspace_addr;
    r->rights = SOFTHV_GPA_R | (m->flags & 1u << MSHV_SET_MEM_BIT_WRITABLE ? SOFTHV_GPA_W : 0u) |
                (m->flags & 1u << MSHV_SET_MEM_BIT_EXECUTABLE ? SOFTHV_GPA_X : 0u);
    r->movable = g->cfg.kernel >= SOFTHV_KERNEL_6_19;
    if (gpa_bits_init(&r->resolved, (r->pages + GPA_CHUNK_PAGES - 1) / GPA_CHUNK_PAGES) < 0 ||
        (atomic_load(&g->tracking) && gpa_track_init(r, true) < 0)) {
        region_free(r);
        return NULL;
    }
    return r;
}

/* The hypervisor's share of mapping. It overwrites what was there (uncertain for old kernels' missed overlaps). */
static int region_install(struct softhv_gpa *g, struct gpa_region *r)
{
    uint64_t limit = UINT64_C(1) << (g->cfg.phys_bits - GPA_PAGE_SHIFT);
    if (!g->active)
        return -EIO; /* INVALID_PARTITION_STATE */
    if (r->first >= limit || r->pages > limit - r->first)
        return -EINVAL; /* INVALID_PARAMETER */
    struct gpa_span s = {.first = r->first, .last = r->first + r->pages - 1, .region = r};
    struct gpa_table *t = table_replace(atomic_load(&g->table), s.first, s.last, &s, 1);
    if (t == NULL)
        return -ENOMEM;
    r->next = g->regions;
    g->regions = r;
    table_publish(g, t);
    return 0;
}

/* The checks of mshv_map_user_memory, in its order. Device memory (VM_IO, VM_PFNMAP) is not told apart from other. */
static int map_region(struct softhv_gpa *g, const struct mshv_user_mem_region *m)
{
    if (!softhv_user_range(m->userspace_addr, m->size) || !softhv_user_mapped(m->userspace_addr, GPA_PAGE_BYTES))
        return -EINVAL;
    if (overlaps(g, m))
        return -EEXIST;
    struct gpa_region *r = region_new(g, m);
    if (r == NULL)
        return -ENOMEM;
    int e = r->movable ? 0 : softhv_user_pin_check(m->userspace_addr, m->size);
    if (e == 0)
        e = region_install(g, r);
    if (e < 0)
        region_free(r);
    return e;
}

/* ---- Unmapping ---- */

struct span_list {
    struct gpa_span *at;
    size_t n, room;
};

static bool list_push(struct span_list *l, struct gpa_span s)
{
    if (l->n == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        struct gpa_span *at = realloc(l->at, room * sizeof(*at));
        if (at == NULL)
            return false;
        l->at = at;
        l->room = room;
    }
    l->at[l->n++] = s;
    return true;
}

static size_t leftovers_of(const struct gpa_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->span[i].region == NULL;
    return n;
}

/*
 * New drivers unmap only the chunks they populated; the others stay mapped without access until something is mapped
 * there again. A VP may populate one while we look: then it is called a leftover, as if the guest had come too late.
 */
static void list_leftovers(const struct gpa_region *r, const struct gpa_table *t, struct span_list *l)
{
    size_t room = leftovers_of(t);
    for (uint64_t page = 0; page < r->pages && l->n + room < LEFTOVERS_MAX; page += GPA_CHUNK_PAGES) {
        if (gpa_bit(&r->resolved, page / GPA_CHUNK_PAGES))
            continue;
        uint64_t n = r->pages - page < GPA_CHUNK_PAGES ? r->pages - page : GPA_CHUNK_PAGES;
        struct gpa_span s = {.first = r->first + page, .last = r->first + page + n - 1};
        if (l->n > 0 && l->at[l->n - 1].last + 1 == s.first)
            l->at[l->n - 1].last = s.last;
        else if (!list_push(l, s))
            return;
    }
}

static void region_unlink(struct softhv_gpa *g, const struct gpa_region *r)
{
    for (struct gpa_region **p = &g->regions; *p != NULL; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            return;
        }
    }
}

static int unmap_region(struct softhv_gpa *g, const struct mshv_user_mem_region *m)
{
    struct gpa_region *r = region_by_pfn(g, m->guest_pfn);
    if (r == NULL)
        return g->cfg.kernel >= SOFTHV_KERNEL_6_19 ? -ENOENT : -EINVAL;
    if (r->user != m->userspace_addr || r->first != m->guest_pfn || r->pages != m->size >> GPA_PAGE_SHIFT)
        return -EINVAL;
    const struct gpa_table *old = atomic_load(&g->table);
    struct span_list left = {.n = 0};
    if (r->movable)
        list_leftovers(r, old, &left);
    struct gpa_table *t = table_replace(old, r->first, r->first + r->pages - 1, left.at, left.n);
    free(left.at);
    if (t == NULL)
        return -ENOMEM;
    region_unlink(g, r);
    table_publish(g, t);
    region_free(r);
    return 0;
}

static bool request_valid(const struct mshv_user_mem_region *m)
{
    static const uint8_t zero[sizeof(m->rsvd)];
    return m->size != 0 && m->size % GPA_PAGE_BYTES == 0 && m->userspace_addr % GPA_PAGE_BYTES == 0 &&
           (m->flags & ~MSHV_SET_MEM_FLAGS_MASK) == 0 && memcmp(m->rsvd, zero, sizeof(zero)) == 0;
}

int softhv_gpa_set_memory(struct softhv_gpa *g, const struct mshv_user_mem_region *r)
{
    if (!request_valid(r))
        return -EINVAL;
    pthread_mutex_lock(&g->lock);
    int e = r->flags & 1u << MSHV_SET_MEM_BIT_UNMAP ? unmap_region(g, r) : map_region(g, r);
    pthread_mutex_unlock(&g->lock);
    return e;
}
