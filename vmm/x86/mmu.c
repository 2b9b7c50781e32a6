/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Software TLB and the slow half of memory access: misses, page crossings, memory behind callbacks, breakpoints,
 * alignment checks.
 */
#include "vmm/x86/mmu.h"

#include "common/mapping.h"

/* ---- Life and control ---- */

static void tlb_clear(struct x86_mmu *m)
{
    memset(m->tlb, 0xff, sizeof(m->tlb));
    memset(m->space, 0, sizeof(m->space));
    memset(m->large, 0, sizeof(m->large));
    m->next_gen = 1;
}

static void pcache_clear(struct x86_mmu *m)
{
    memset(m->fetch, 0, sizeof(m->fetch));
    memset(m->pcache, 0xff, sizeof(m->pcache));
}

struct x86_mmu *x86_mmu_new(void)
{
    void *memory;
    if (mapping_new(sizeof(struct x86_mmu), 0, &memory) < 0)
        return NULL;
    struct x86_mmu *m = memory;
    tlb_clear(m);
    pcache_clear(m);
    m->next_uid = 1;
    return m;
}

void x86_mmu_free(struct x86_mmu *m)
{
    mapping_free(m, sizeof(*m));
}

static unsigned cur_pcid(const struct x86_cpu *c)
{
    return c->cr4 & X86_CR4_PCIDE ? (unsigned)(c->cr3 & 0xfff) : 0;
}

/* Give the space in slot i a new generation. Running out of numbers empties everything. */
static void space_renew(struct x86_mmu *m, unsigned i, unsigned pcid)
{
    if (m->next_gen > X86_GEN_MAX)
        tlb_clear(m);
    m->space[i] = (struct x86_space){.uid = m->next_uid++, .pcid = (uint16_t)pcid, .gen = m->next_gen++};
}

static void space_apply(struct x86_cpu *c)
{
    const struct x86_space *s = &c->mmu->space[c->mmu->cur];
    c->tlb_gen = c->ac_on || c->watch_on ? 0 : s->gen;
    c->ctx = s->uid << 8 | c->key;
}

/* Slot of a PCID, or -1. */
static int space_find(const struct x86_mmu *m, unsigned pcid)
{
    for (int i = 0; i < X86_MMU_SPACES; i++)
        if (m->space[i].uid != 0 && m->space[i].pcid == pcid)
            return i;
    return -1;
}

void x86_mmu_cr3(struct x86_cpu *c, bool keep)
{
    struct x86_mmu *m = c->mmu;
    unsigned pcid = cur_pcid(c);
    int i = space_find(m, pcid);
    if (i < 0) {
        m->victim = (m->victim + 1) % X86_MMU_SPACES;
        i = (int)m->victim;
        keep = false;
    }
    m->cur = (unsigned)i;
    if (!keep)
        space_renew(m, m->cur, pcid);
    space_apply(c);
}

void x86_tlb_flush(struct x86_cpu *c, bool globals)
{
    if (globals)
        memset(c->mmu->space, 0, sizeof(c->mmu->space));
    x86_mmu_cr3(c, false);
}

void x86_tlb_flush_all(struct x86_cpu *c)
{
    x86_tlb_flush(c, true);
}

void x86_tlb_flush_pcid(struct x86_cpu *c, unsigned pcid)
{
    int i = space_find(c->mmu, pcid);
    if (i >= 0)
        c->mmu->space[i].uid = 0;
    if (i == (int)c->mmu->cur)
        x86_mmu_cr3(c, false);
}

/* By GiB: INVLPG may name any address of a large page, not only the one an entry was made for. */
static unsigned large_hash(uint64_t lin)
{
    return (unsigned)((lin >> 30 ^ lin >> 38) & 255);
}

static bool same_gib(uint64_t tag, uint64_t lin)
{
    return (tag ^ lin) >> 30 == 0;
}

/*
 * Drop all 4 KiB pieces that came from the large page around lin; 1 GiB and 4 MiB pages are covered by the wider
 * comparison.
 */
static void flush_large(struct x86_mmu *m, uint64_t lin)
{
    for (unsigned k = 0; k < X86_TLB_COUNT; k++)
        for (unsigned i = 0; i < X86_TLB_SIZE; i++)
            if ((m->tlb[k][i].gpa & 1) && (same_gib(m->tlb[k][i].rtag, lin) || same_gib(m->tlb[k][i].wtag, lin)))
                m->tlb[k][i].rtag = m->tlb[k][i].wtag = ~UINT64_C(0);
}

void x86_tlb_flush_page(struct x86_cpu *c, uint64_t lin)
{
    struct x86_mmu *m = c->mmu;
    unsigned slot = (lin >> 12) & (X86_TLB_SIZE - 1);
    for (unsigned k = 0; k < X86_TLB_COUNT; k++)
        m->tlb[k][slot].rtag = m->tlb[k][slot].wtag = ~UINT64_C(0);
    unsigned h = large_hash(lin);
    if (m->large[h >> 6] >> (h & 63) & 1)
        flush_large(m, lin);
    /* Fetch translations of every space: new numbers. */
    for (unsigned i = 0; i < X86_MMU_SPACES; i++)
        if (m->space[i].uid != 0)
            m->space[i].uid = m->next_uid++;
    space_apply(c);
}

void x86_mmu_forget(struct x86_cpu *c)
{
    pcache_clear(c->mmu);
    tlb_clear(c->mmu);
    x86_mmu_cr3(c, false);
}

void x86_mmu_heed_flush(struct x86_cpu *c)
{
    if (atomic_load_explicit(&c->attention, memory_order_acquire) & X86_SIG_FLUSH)
        x86_mmu_forget(c);
}

void x86_mmu_forget_writes(struct x86_cpu *c, uint64_t gpa)
{
    struct x86_mmu *m = c->mmu;
    for (unsigned k = 0; k < X86_TLB_COUNT; k++)
        for (unsigned i = 0; i < X86_TLB_SIZE; i++)
            if ((m->tlb[k][i].gpa & X86_PAGE_MASK) == gpa)
                m->tlb[k][i].wtag = ~UINT64_C(0);
}

/* ---- Physical pages ---- */

uint8_t *x86_phys_page(struct x86_cpu *c, uint64_t gpa, unsigned *rights)
{
    struct x86_pcache_entry *e = &c->mmu->pcache[(gpa >> 12) & (X86_PCACHE_SIZE - 1)];
    if (x86_unlikely(e->gpa != gpa)) {
        e->gpa = gpa;
        e->rights = 0;
        e->host = c->ops->page(c->opaque, gpa, &e->rights);
        if (e->host == NULL)
            e->rights = 0;
    }
    *rights = e->rights;
    return e->host;
}

uint8_t *x86_phys_page_write(struct x86_cpu *c, uint64_t gpa, unsigned *rights)
{
    uint8_t *host = x86_phys_page(c, gpa, rights);
    if (host == NULL || (*rights & X86_PAGE_W) || c->ops->grant_write == NULL || !c->ops->grant_write(c->opaque, gpa))
        return host;
    c->mmu->pcache[(gpa >> 12) & (X86_PCACHE_SIZE - 1)].gpa = ~UINT64_C(0);
    return x86_phys_page(c, gpa, rights);
}

/* ---- Translation ---- */

/* The TLB view and walk flags of an access. */
struct view {
    unsigned kind, flags;
};

static struct view view_current(const struct x86_cpu *c)
{
    return (struct view){.kind = c->tlb_kind,
                         .flags = (c->cpl == 3 ? X86_WALK_USER : 0) | (c->eflags & X86_FL_AC ? X86_WALK_AC : 0)};
}

static struct view view_system(const struct x86_cpu *c)
{
    return (struct view){.kind = c->cr4 & X86_CR4_SMAP ? X86_TLB_SMAP : X86_TLB_SUPER, .flags = X86_WALK_IMPLICIT};
}

static int translate_miss(struct x86_cpu *c, uint64_t lin, bool write, struct view v, struct x86_xlat *out)
{
    struct x86_mmu *m = c->mmu;
    struct x86_walk w;
    int r = x86_mmu_walk(c, lin, write ? X86_ACCESS_WRITE : X86_ACCESS_READ, v.flags, &w);
    if (r == X86_FAULT)
        return x86_raise_pf(c, lin, w.error);
    if (r == X86_EXIT)
        return r;
    unsigned rights;
    uint64_t page_gpa = w.gpa & X86_PAGE_MASK, page = lin & X86_PAGE_MASK;
    uint8_t *host = write ? x86_phys_page_write(c, page_gpa, &rights) : x86_phys_page(c, page_gpa, &rights);
    out->gpa = w.gpa;
    out->host = NULL;
    out->code = false;
    if (host == NULL || !(rights & (write ? X86_PAGE_W : X86_PAGE_R)))
        return X86_NEXT;
    out->host = host + (lin & 0xfff);
    out->code = x86_code_page(c, page_gpa);
    struct x86_tlbe *e = &m->tlb[v.kind][(lin >> 12) & (X86_TLB_SIZE - 1)];
    uint64_t tag = page | m->space[m->cur].gen;
    e->rtag = rights & X86_PAGE_R ? tag : ~UINT64_C(0);
    e->wtag = (rights & X86_PAGE_W) && w.writable && w.dirty && !out->code ? tag : ~UINT64_C(0);
    e->add = (uintptr_t)host - page;
    e->gpa = page_gpa | w.large;
    if (w.large) {
        unsigned h = large_hash(lin);
        m->large[h >> 6] |= UINT64_C(1) << (h & 63);
    }
    return X86_NEXT;
}

/* Translate the byte at lin for a read or write in a view. */
static int translate(struct x86_cpu *c, uint64_t lin, bool write, struct view v, struct x86_xlat *out)
{
    const struct x86_mmu *m = c->mmu;
    const struct x86_tlbe *e = &m->tlb[v.kind][(lin >> 12) & (X86_TLB_SIZE - 1)];
    uint64_t tag = (lin & X86_PAGE_MASK) | m->space[m->cur].gen;
    if ((write ? e->wtag : e->rtag) != tag)
        return translate_miss(c, lin, write, v, out);
    out->host = (uint8_t *)(uintptr_t)(lin + e->add);
    out->gpa = (e->gpa & X86_PAGE_MASK) | (lin & 0xfff);
    out->code = false;
    return X86_NEXT;
}

int x86_mmu_fetch(struct x86_cpu *c, uint64_t lin, struct x86_xlat *out)
{
    struct x86_fetch_entry *e = &c->mmu->fetch[(lin >> 12) & (X86_FETCH_SIZE - 1)];
    uint64_t page = lin & X86_PAGE_MASK;
    if (e->lin != page || e->ctx != c->ctx) {
        struct x86_walk w;
        unsigned rights;
        int r = x86_mmu_walk(c, lin, X86_ACCESS_FETCH, c->cpl == 3 ? X86_WALK_USER : 0, &w);
        if (r == X86_FAULT)
            return x86_raise_pf(c, lin, w.error);
        if (r == X86_EXIT)
            return r;
        uint8_t *host = x86_phys_page(c, w.gpa & X86_PAGE_MASK, &rights);
        bool direct = host != NULL && (rights & (X86_PAGE_R | X86_PAGE_X)) == (X86_PAGE_R | X86_PAGE_X);
        *e = (struct x86_fetch_entry){
            .lin = page, .ctx = c->ctx, .gpa = w.gpa & X86_PAGE_MASK, .host = direct ? host : NULL};
    }
    out->gpa = e->gpa | (lin & 0xfff);
    out->host = e->host == NULL ? NULL : e->host + (lin & 0xfff);
    out->code = false;
    return X86_NEXT;
}

/* ---- Pieces of an access ---- */

/* An access of up to 64 bytes is one piece, or two when it crosses a page. */
struct span {
    struct x86_xlat part[2];
    uint64_t lin[2];
    unsigned len[2], n;
};

static int span_translate(struct x86_cpu *c, uint64_t lin, unsigned len, bool write, struct view v, struct span *s)
{
    unsigned room = X86_PAGE_SIZE - (unsigned)(lin & 0xfff);
    s->n = len > room ? 2 : 1;
    s->lin[0] = lin;
    s->len[0] = len > room ? room : len;
    s->lin[1] = lin + room;
    if (!c->long64 && !(v.flags & X86_WALK_IMPLICIT && x86_long_mode(c)))
        s->lin[1] = (uint32_t)s->lin[1];
    s->len[1] = len - s->len[0];
    for (unsigned i = 0; i < s->n; i++) {
        int r = translate(c, s->lin[i], write, v, &s->part[i]);
        if (x86_failed(r))
            return r;
    }
    return X86_NEXT;
}

static void copy_in(uint8_t *dst, const uint8_t *src, unsigned len)
{
    if (len == 1 || len == 2 || len == 4 || len == 8)
        x86_host_store(dst, len, x86_host_load(src, len));
    else
        memcpy(dst, src, len);
}

static int span_read(struct x86_cpu *c, const struct span *s, uint8_t *buf)
{
    for (unsigned i = 0; i < s->n; i++) {
        const struct x86_xlat *x = &s->part[i];
        if (x->host != NULL) {
            copy_in(buf, x->host, s->len[i]);
        } else {
            struct x86_mem_access a = {
                .gpa = x->gpa, .gva = s->lin[i], .len = s->len[i], .kind = X86_ACCESS_READ, .has_gva = true};
            int r = x86_from_cb(c, c->ops->read(c->opaque, &a, buf), X86_GP);
            if (x86_failed(r))
                return r;
        }
        buf += s->len[i];
    }
    return X86_NEXT;
}

static int span_write(struct x86_cpu *c, const struct span *s, const uint8_t *buf)
{
    int step = X86_NEXT;
    /* Callbacks first: they can refuse, and then nothing must have been written. */
    const uint8_t *b = buf;
    for (unsigned i = 0; i < s->n; b += s->len[i++]) {
        if (s->part[i].host != NULL)
            continue;
        struct x86_mem_access a = {
            .gpa = s->part[i].gpa, .gva = s->lin[i], .len = s->len[i], .kind = X86_ACCESS_WRITE, .has_gva = true};
        int r = x86_from_cb(c, c->ops->write(c->opaque, &a, b), X86_GP);
        if (x86_failed(r))
            return r;
    }
    for (unsigned i = 0; i < s->n; buf += s->len[i++]) {
        if (s->part[i].host == NULL)
            continue;
        copy_in(s->part[i].host, buf, s->len[i]);
        if (s->part[i].code) {
            x86_code_written(c, s->part[i].gpa);
            step = X86_LEAVE;
        }
    }
    return step;
}

/* ---- Data breakpoints and alignment ---- */

static void watch(struct x86_cpu *c, uint64_t lin, unsigned len, bool write)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned en = (unsigned)(c->dr7 >> (2 * i)) & 3, ctl = (unsigned)(c->dr7 >> (16 + 4 * i)) & 15;
        unsigned rw = ctl & 3, size = (ctl >> 2) == 2 ? 8 : (ctl >> 2) + 1;
        uint64_t at = c->dr[i] & ~(uint64_t)(size - 1);
        if (en == 0 || (rw != 1 && rw != 3) || (rw == 1 && !write))
            continue;
        if (lin < at + size && at < lin + len)
            c->db_pending |= 1u << i;
    }
}

/*
 * Address bits that the alignment check wants clear for an operand of len bytes. x87 operands: 80 bits and packed
 * decimals go by 8, environments by their words. Source: Intel SDM volume 3, table 6-7; AMD APM volume 2, table 8-7.
 */
static uint64_t alignment(unsigned len)
{
    switch (len) {
    case 2:
    case 4:
    case 8:
    case 16: return len - 1;
    case 10: return 7;
    case 14: return 1;
    case 28: return 3;
    default: return 0;
    }
}

/* Canonical form, alignment check, breakpoints: what comes before translation. */
static int precheck(struct x86_cpu *c, uint64_t lin, unsigned len, bool stack)
{
    if (c->long64 && (!x86_canonical(lin) || !x86_canonical(lin + len - 1)))
        return x86_raise_error(c, stack ? X86_SS_FAULT : X86_GP, 0);
    if (c->ac_on && (lin & alignment(len)) != 0)
        return x86_raise_error(c, X86_AC, 0);
    return X86_NEXT;
}

int x86_read_slow(struct x86_cpu *c, uint64_t lin, void *buf, unsigned len, bool stack)
{
    struct span s;
    int r = precheck(c, lin, len, stack);
    if (!x86_failed(r))
        r = span_translate(c, lin, len, false, view_current(c), &s);
    if (!x86_failed(r))
        r = span_read(c, &s, buf);
    if (!x86_failed(r) && c->watch_on)
        watch(c, lin, len, false);
    return r;
}

int x86_write_slow(struct x86_cpu *c, uint64_t lin, const void *buf, unsigned len, bool stack)
{
    struct span s;
    int r = precheck(c, lin, len, stack);
    if (!x86_failed(r))
        r = span_translate(c, lin, len, true, view_current(c), &s);
    if (!x86_failed(r))
        r = span_write(c, &s, buf);
    if (!x86_failed(r) && c->watch_on)
        watch(c, lin, len, true);
    return r;
}

int x86_probe_lin(struct x86_cpu *c, uint64_t lin, unsigned len, bool write, bool stack)
{
    struct span s;
    int r = precheck(c, lin, len, stack);
    return x86_failed(r) ? r : span_translate(c, lin, len, write, view_current(c), &s);
}

/* A table whose base is canonical can still end beyond the hole. */
static int sys_translate(struct x86_cpu *c, uint64_t lin, unsigned len, bool write, struct span *s)
{
    if (x86_long_mode(c) && (!x86_canonical(lin) || !x86_canonical(lin + len - 1)))
        return x86_gp0(c);
    return span_translate(c, lin, len, write, view_system(c), s);
}

int x86_sys_read(struct x86_cpu *c, uint64_t lin, void *buf, unsigned len)
{
    struct span s;
    int r = sys_translate(c, lin, len, false, &s);
    return x86_failed(r) ? r : span_read(c, &s, buf);
}

int x86_sys_write(struct x86_cpu *c, uint64_t lin, const void *buf, unsigned len)
{
    struct span s;
    int r = sys_translate(c, lin, len, true, &s);
    return x86_failed(r) ? r : span_write(c, &s, buf);
}

/* ---- Read-modify-write ---- */

static void bus_lock(struct x86_cpu *c, struct x86_rmw *m)
{
    if (c->bus_lock == NULL)
        return;
    while (atomic_flag_test_and_set_explicit(c->bus_lock, memory_order_acquire))
        __builtin_ia32_pause();
    m->locked = true;
}

void x86_rmw_cancel(struct x86_cpu *c, struct x86_rmw *m)
{
    if (m->locked)
        atomic_flag_clear_explicit(c->bus_lock, memory_order_release);
    m->locked = false;
}

int x86_rmw_begin_slow(struct x86_cpu *c, uint64_t lin, unsigned size, bool lock, bool stack, struct x86_rmw *m)
{
    struct span s;
    *m = (struct x86_rmw){.lin = lin, .size = (uint8_t)size, .stack = stack, .step = X86_NEXT};
    int r = precheck(c, lin, size, stack);
    if (!x86_failed(r))
        r = span_translate(c, lin, size, true, view_current(c), &s);
    if (x86_failed(r))
        return r;
    if (c->watch_on)
        watch(c, lin, size, true);
    if (s.n == 1 && s.part[0].host != NULL) {
        m->p = s.part[0].host;
        if (s.part[0].code) {
            x86_code_written(c, s.part[0].gpa);
            m->step = X86_LEAVE;
        }
        return X86_NEXT;
    }
    m->copy = true;
    m->p = m->buf;
    /* Only over memory: a callback may wait for another cpu, which must not wait for the lock then. */
    if (lock && s.part[0].host != NULL && (s.n == 1 || s.part[1].host != NULL))
        bus_lock(c, m);
    r = span_read(c, &s, m->buf);
    if (x86_failed(r))
        x86_rmw_cancel(c, m);
    return r;
}

int x86_rmw_end_slow(struct x86_cpu *c, struct x86_rmw *m)
{
    int r = m->step;
    if (m->copy)
        r = x86_write_slow(c, m->lin, m->buf, m->size, m->stack);
    x86_rmw_cancel(c, m);
    return r;
}
