/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The page walk: 2-level, PAE and 4-level paging. Source: Intel SDM volume 3, chapter 4; AMD APM volume 2, chapter 5.
 *
 * Entries are read first, permissions judged over the whole path, and only then accessed and dirty bits set, each by
 * compare-and-swap against the value that was judged; if another processor changed an entry meanwhile the walk starts
 * again.
 */
#include "vmm/x86/mmu.h"

#define PTE_P  UINT64_C(1)
#define PTE_RW UINT64_C(2)
#define PTE_US UINT64_C(4)
#define PTE_A  UINT64_C(0x20)
#define PTE_D  UINT64_C(0x40)
#define PTE_PS UINT64_C(0x80)
#define PTE_NX (UINT64_C(1) << 63)

#define PF_P    1u
#define PF_W    2u
#define PF_U    4u
#define PF_RSVD 8u
#define PF_I    16u

/* One step of the walk: where the entry is, what it said. */
struct level {
    uint64_t gpa, entry;
    uint8_t *host;
};

struct path {
    struct level lv[4];
    unsigned n;     /* levels read */
    unsigned esize; /* bytes of an entry */
    unsigned shift; /* of the leaf: 12, 21, 22, 30 */
    bool rsvd, present;
    uint64_t us_rw; /* PTE_US and PTE_RW, and-ed over the path */
    bool nx;
};

static int read_entry(struct x86_cpu *c, struct level *lv, unsigned size)
{
    unsigned rights;
    uint8_t *page = x86_phys_page(c, lv->gpa & X86_PAGE_MASK, &rights);
    if (x86_likely(page != NULL && (rights & X86_PAGE_R))) {
        lv->host = rights & X86_PAGE_W ? page + (lv->gpa & 0xfff) : NULL;
        lv->entry = x86_host_load(page + (lv->gpa & 0xfff), size);
        return X86_NEXT;
    }
    struct x86_mem_access a = {.gpa = lv->gpa, .len = size, .kind = X86_ACCESS_READ, .walk = true};
    lv->host = NULL;
    lv->entry = 0;
    return x86_from_cb(c, c->ops->read(c->opaque, &a, &lv->entry), X86_GP);
}

/* Where the entry can be written directly, or NULL. */
static uint8_t *entry_to_write(struct x86_cpu *c, const struct level *lv)
{
    unsigned rights;
    uint8_t *page = x86_phys_page_write(c, lv->gpa & X86_PAGE_MASK, &rights);
    return page != NULL && (rights & X86_PAGE_W) ? page + (lv->gpa & 0xfff) : NULL;
}

/* Set bits in an entry if it is still what we read. Returns X86_NEXT, X86_EXIT, or -1 to walk again. */
static int set_bits(struct x86_cpu *c, struct level *lv, unsigned size, uint64_t bits)
{
    uint64_t new = lv->entry | bits;
    if (new == lv->entry)
        return X86_NEXT;
    if (x86_unlikely(lv->host == NULL))
        lv->host = entry_to_write(c, lv);
    if (x86_unlikely(lv->host == NULL)) {
        struct x86_mem_access a = {.gpa = lv->gpa, .len = size, .kind = X86_ACCESS_WRITE, .walk = true};
        return x86_from_cb(c, c->ops->write(c->opaque, &a, &new), X86_GP);
    }
    bool same;
    if (size == 8) {
        uint64_t old = lv->entry;
        same = __atomic_compare_exchange_n((uint64_t *)(void *)lv->host, &old, new, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    } else {
        uint32_t old = (uint32_t)lv->entry;
        same = __atomic_compare_exchange_n((uint32_t *)(void *)lv->host, &old, (uint32_t) new, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    }
    if (!same)
        return -1;
    if (x86_code_page(c, lv->gpa))
        x86_code_written(c, lv->gpa);
    return X86_NEXT;
}

static uint64_t phys_mask(const struct x86_cpu *c)
{
    return (UINT64_C(1) << c->phys_bits) - 1;
}

/* Reserved bits of an 8-byte entry at a level (3: PML4 ... 0: PT). */
static bool reserved8(const struct x86_cpu *c, uint64_t e, unsigned level, bool large)
{
    uint64_t rsvd = (UINT64_C(0x000fffffffffffff) & ~phys_mask(c));
    if (!(c->efer & X86_EFER_NXE))
        rsvd |= PTE_NX;
    if (!x86_long_mode(c))
        rsvd |= UINT64_C(0x7ff0000000000000);
    if (level == 3)
        rsvd |= PTE_PS;
    if (large && level == 2)
        rsvd |= x86_has(c, X86_F_PDPE1GB) ? UINT64_C(0x3fffe000) : PTE_PS;
    if (large && level == 1)
        rsvd |= UINT64_C(0x1fe000);
    return (e & rsvd) != 0;
}

static int read_path8(struct x86_cpu *c, uint64_t lin, struct path *p)
{
    bool lm = x86_long_mode(c);
    uint64_t amask = phys_mask(c) & X86_PAGE_MASK;
    uint64_t table = lm ? c->cr3 & amask : 0;
    unsigned level = lm ? 3 : 1;
    p->esize = 8;
    p->us_rw = PTE_US | PTE_RW;
    if (!lm) {
        uint64_t e = c->pdpte[lin >> 30 & 3];
        if (!(e & PTE_P))
            return X86_NEXT;
        table = e & amask;
    }
    for (;; level--) {
        struct level *lv = &p->lv[p->n++];
        lv->gpa = table + (lin >> (12 + 9 * level) & 511) * 8;
        int r = read_entry(c, lv, 8);
        if (x86_failed(r))
            return r;
        uint64_t e = lv->entry;
        if (!(e & PTE_P))
            return X86_NEXT;
        bool large = (e & PTE_PS) && (level == 1 || level == 2);
        p->us_rw &= e;
        p->nx |= (e & PTE_NX) != 0;
        if (reserved8(c, e, level, large)) {
            p->rsvd = true;
            return X86_NEXT;
        }
        if (large || level == 0) {
            p->shift = 12 + 9 * level;
            p->present = true;
            return X86_NEXT;
        }
        table = e & amask;
    }
}

static int read_path4(struct x86_cpu *c, uint64_t lin, struct path *p)
{
    p->esize = 4;
    p->us_rw = PTE_US | PTE_RW;
    struct level *lv = &p->lv[p->n++];
    lv->gpa = (c->cr3 & 0xfffff000u) + (lin >> 22 & 1023) * 4;
    int r = read_entry(c, lv, 4);
    if (x86_failed(r) || !(lv->entry & PTE_P))
        return r;
    p->us_rw &= lv->entry;
    if ((lv->entry & PTE_PS) && (c->cr4 & X86_CR4_PSE)) {
        /* Bits 20:13 extend the address with PSE-36, up to 40 bits; bit 21 is reserved. */
        unsigned extra = c->phys_bits > 40 ? 8 : c->phys_bits - 32u;
        uint64_t high = (lv->entry >> 13 & 0xff);
        p->shift = 22;
        p->rsvd = (lv->entry & 0x200000) != 0 || high >> extra != 0 || (high != 0 && !x86_has(c, X86_F_PSE36));
        p->present = !p->rsvd;
        return X86_NEXT;
    }
    uint64_t table = lv->entry & 0xfffff000u;
    lv = &p->lv[p->n++];
    lv->gpa = table + (lin >> 12 & 1023) * 4;
    r = read_entry(c, lv, 4);
    if (x86_failed(r) || !(lv->entry & PTE_P))
        return r;
    p->us_rw &= lv->entry;
    p->shift = 12;
    p->present = true;
    return X86_NEXT;
}

static uint64_t leaf_gpa(const struct x86_cpu *c, const struct path *p, uint64_t lin)
{
    uint64_t e = p->lv[p->n - 1].entry;
    uint64_t off = (UINT64_C(1) << p->shift) - 1;
    uint64_t frame = e & phys_mask(c) & ~off;
    if (p->esize == 4) {
        frame = e & 0xffffffffu & ~off;
        if (p->shift == 22)
            frame |= (e >> 13 & 0xff) << 32;
    }
    return frame | (lin & off);
}

static bool permitted(const struct x86_cpu *c, const struct path *p, enum x86_access kind, unsigned flags)
{
    bool user = (flags & X86_WALK_USER) != 0;
    bool us = (p->us_rw & PTE_US) != 0, rw = (p->us_rw & PTE_RW) != 0;
    if (user && !us)
        return false;
    if (kind == X86_ACCESS_FETCH)
        return !p->nx && !(!user && us && (c->cr4 & X86_CR4_SMEP));
    if (!user && us && (c->cr4 & X86_CR4_SMAP) && ((flags & X86_WALK_IMPLICIT) || !(flags & X86_WALK_AC)))
        return false;
    return kind != X86_ACCESS_WRITE || rw || (!user && !(c->cr0 & X86_CR0_WP));
}

static uint32_t error_code(const struct x86_cpu *c, const struct path *p, enum x86_access kind, unsigned flags)
{
    uint32_t e = (p->present || p->rsvd ? PF_P : 0) | (p->rsvd ? PF_RSVD : 0);
    e |= kind == X86_ACCESS_WRITE ? PF_W : 0;
    e |= flags & X86_WALK_USER ? PF_U : 0;
    bool nxe = (c->efer & X86_EFER_NXE) && (c->cr4 & X86_CR4_PAE);
    if (kind == X86_ACCESS_FETCH && (nxe || (c->cr4 & X86_CR4_SMEP)))
        e |= PF_I;
    return e;
}

static int mark_used(struct x86_cpu *c, struct path *p, bool write)
{
    for (unsigned i = 0; i < p->n; i++) {
        uint64_t bits = PTE_A | (write && i == p->n - 1 ? PTE_D : 0);
        int r = set_bits(c, &p->lv[i], p->esize, bits);
        if (r != X86_NEXT)
            return r;
    }
    return X86_NEXT;
}

static int walk_once(struct x86_cpu *c, uint64_t lin, enum x86_access kind, unsigned flags, struct x86_walk *w)
{
    struct path p = {.n = 0};
    int r = c->cr4 & X86_CR4_PAE ? read_path8(c, lin, &p) : read_path4(c, (uint32_t)lin, &p);
    if (x86_failed(r))
        return r;
    if (!p.present || !permitted(c, &p, kind, flags)) {
        w->error = error_code(c, &p, kind, flags);
        return X86_FAULT;
    }
    if (!(flags & X86_WALK_PROBE)) {
        r = mark_used(c, &p, kind == X86_ACCESS_WRITE);
        if (r != X86_NEXT)
            return r;
    }
    w->gpa = leaf_gpa(c, &p, lin);
    w->large = p.shift != 12;
    w->user = (p.us_rw & PTE_US) != 0;
    w->writable = (p.us_rw & PTE_RW) != 0 || (!(flags & X86_WALK_USER) && !(c->cr0 & X86_CR0_WP));
    w->dirty = kind == X86_ACCESS_WRITE || (p.lv[p.n - 1].entry & PTE_D) != 0;
    w->exec = !p.nx;
    return X86_NEXT;
}

int x86_mmu_walk(struct x86_cpu *c, uint64_t lin, enum x86_access kind, unsigned flags, struct x86_walk *w)
{
    if (!(c->cr0 & X86_CR0_PG)) {
        *w = (struct x86_walk){.gpa = (uint32_t)lin, .user = true, .writable = true, .dirty = true, .exec = true};
        return X86_NEXT;
    }
    int r;
    do {
        r = walk_once(c, lin, kind, flags, w);
    } while (r < 0);
    return r;
}

int x86_mmu_load_pdptes(struct x86_cpu *c, uint64_t cr3, uint64_t cr4, uint64_t pdpte[4])
{
    (void)cr4;
    uint64_t base = cr3 & 0xffffffe0u;
    uint64_t rsvd = ~phys_mask(c) | UINT64_C(0x1e6);
    for (unsigned i = 0; i < 4; i++) {
        struct level lv = {.gpa = base + i * 8};
        int r = read_entry(c, &lv, 8);
        if (x86_failed(r))
            return r;
        if ((lv.entry & PTE_P) && (lv.entry & rsvd))
            return x86_gp0(c);
        pdpte[i] = lv.entry;
    }
    return X86_NEXT;
}

int x86_cpu_translate(struct x86_cpu *c, uint64_t gva, enum x86_access kind, unsigned cpl, bool probe, uint64_t *gpa)
{
    struct x86_walk w;
    unsigned flags =
        (cpl == 3 ? X86_WALK_USER : 0) | (probe ? X86_WALK_PROBE : 0) | (c->eflags & X86_FL_AC ? X86_WALK_AC : 0);
    if (x86_long_mode(c) && !x86_canonical(gva))
        return 1;
    x86_mmu_heed_flush(c);
    int r = x86_mmu_walk(c, gva, kind, flags, &w);
    if (r == X86_NEXT)
        *gpa = w.gpa;
    return r == X86_NEXT ? 0 : r == X86_FAULT ? (int)w.error + 1 : -EIO;
}
