/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Control and debug registers, and the TLB instructions. Source: Intel SDM volume 2, MOV CR and MOV DR, LMSW, SMSW,
 * CLTS, INVLPG, INVPCID; volume 3, 2.5 (control registers), 4.1.2 (mode switches), 4.10.4.1 (TLB invalidation), 9.8.5
 * (entering long mode), 17.2 (debug registers).
 */
#include "vmm/x86/sys.h"

static bool changed(uint64_t a, uint64_t b, uint64_t bits)
{
    return ((a ^ b) & bits) != 0;
}

/* ---- CR0 ---- */

#define CR0_DEFINED                                                                                                    \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |           \
     X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & X86_EFER_LME);
}

/*
 * Paging goes on: may it, and in which mode? A 64-bit code segment would turn its meaning under the running
 * instruction.
 */
static int check_paging_on(struct x86_cpu *c)
{
    if (!(c->efer & X86_EFER_LME))
        return X86_NEXT;
    bool tss16 = (c->seg[X86_TR].attr & 8) == 0;
    if (!(c->cr4 & X86_CR4_PAE) || (c->seg[X86_CS].attr & X86_SEG_L) || (!c->amd && tss16))
        return x86_gp0(c);
    return X86_NEXT;
}

static int check_cr0(struct x86_cpu *c, uint64_t v)
{
    bool pg = (v & X86_CR0_PG) != 0;
    if (v >> 32 != 0 || (pg && !(v & X86_CR0_PE)) || ((v & X86_CR0_NW) && !(v & X86_CR0_CD)))
        return x86_gp0(c);
    if (pg == ((c->cr0 & X86_CR0_PG) != 0))
        return X86_NEXT;
    if (pg)
        return check_paging_on(c);
    return c->long64 || (c->cr4 & X86_CR4_PCIDE) ? x86_gp0(c) : X86_NEXT;
}

static void set_cr0(struct x86_cpu *c, uint64_t v)
{
    uint64_t old = c->cr0;
    c->cr0 = v;
    if (changed(old, v, X86_CR0_PG)) {
        bool lma = (v & X86_CR0_PG) && (c->efer & X86_EFER_LME);
        c->efer = (c->efer & ~(uint64_t)X86_EFER_LMA) | (lma ? X86_EFER_LMA : 0);
    }
    if (changed(old, v, X86_CR0_PG | X86_CR0_WP))
        x86_tlb_flush_all(c);
    x86_mode_update(c);
}

static int write_cr0(struct x86_cpu *c, uint64_t v)
{
    int r = check_cr0(c, v);
    if (x86_failed(r))
        return r;
    v = (v & CR0_DEFINED) | X86_CR0_ET;
    uint64_t pdpte[4];
    if (pae_paging(v, c->cr4, c->efer) && changed(c->cr0, v, X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) {
        r = x86_mmu_load_pdptes(c, c->cr3, c->cr4, pdpte);
        if (x86_failed(r))
            return r;
        memcpy(c->pdpte, pdpte, sizeof(pdpte));
    }
    set_cr0(c, v);
    return X86_LEAVE;
}

/* ---- CR3 ---- */

#define CR3_KEEP (UINT64_C(1) << 63)

static int write_cr3(struct x86_cpu *c, uint64_t v)
{
    bool pcid = (c->cr4 & X86_CR4_PCIDE) != 0, keep = pcid && (v & CR3_KEEP);
    uint64_t pdpte[4];
    if (pcid)
        v &= ~CR3_KEEP;
    if (x86_long_mode(c) && v >> c->phys_bits != 0)
        return x86_gp0(c);
    if (pae_paging(c->cr0, c->cr4, c->efer)) {
        int r = x86_mmu_load_pdptes(c, v, c->cr4, pdpte);
        if (x86_failed(r))
            return r;
        memcpy(c->pdpte, pdpte, sizeof(pdpte));
    }
    c->cr3 = v;
    x86_mmu_cr3(c, keep);
    return X86_LEAVE;
}

/* ---- CR4 ---- */

/* Bits of CR4 and the feature that offers each. All others are reserved. */
static const struct {
    uint32_t bit;
    uint8_t feature;
} cr4_bits[] = {
    {X86_CR4_TSD, X86_F_TSC},           {X86_CR4_DE, X86_F_DE},
    {X86_CR4_PSE, X86_F_PSE},           {X86_CR4_PAE, X86_F_PAE},
    {X86_CR4_MCE, X86_F_MCE},           {X86_CR4_PGE, X86_F_PGE},
    {X86_CR4_PCE, X86_F_ALWAYS},        {X86_CR4_OSFXSR, X86_F_FXSR},
    {X86_CR4_OSXMMEXCPT, X86_F_SSE},    {X86_CR4_UMIP, X86_F_UMIP},
    {X86_CR4_FSGSBASE, X86_F_FSGSBASE}, {X86_CR4_PCIDE, X86_F_PCID},
    {X86_CR4_OSXSAVE, X86_F_XSAVE},     {X86_CR4_SMEP, X86_F_SMEP},
    {X86_CR4_SMAP, X86_F_SMAP},
};

static uint64_t cr4_allowed(const struct x86_cpu *c)
{
    uint64_t m = 0;
    for (unsigned i = 0; i < sizeof(cr4_bits) / sizeof(cr4_bits[0]); i++)
        if (cr4_bits[i].feature == X86_F_ALWAYS || x86_has(c, cr4_bits[i].feature))
            m |= cr4_bits[i].bit;
    return m;
}

static int check_cr4(struct x86_cpu *c, uint64_t v)
{
    if (v & ~cr4_allowed(c))
        return x86_gp0(c);
    if (x86_long_mode(c) && !(v & X86_CR4_PAE))
        return x86_gp0(c);
    bool pcide_on = (v & X86_CR4_PCIDE) && !(c->cr4 & X86_CR4_PCIDE);
    if (pcide_on && (!x86_long_mode(c) || (c->cr3 & 0xfff) != 0))
        return x86_gp0(c);
    return X86_NEXT;
}

#define CR4_FLUSHES (X86_CR4_PGE | X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP)
#define CR4_PDPTES  (X86_CR4_PGE | X86_CR4_PAE | X86_CR4_PSE | X86_CR4_SMEP)

static int write_cr4(struct x86_cpu *c, uint64_t v)
{
    uint64_t pdpte[4];
    int r = check_cr4(c, v);
    if (x86_failed(r))
        return r;
    if (pae_paging(c->cr0, v, c->efer) && changed(c->cr4, v, CR4_PDPTES)) {
        r = x86_mmu_load_pdptes(c, c->cr3, v, pdpte);
        if (x86_failed(r))
            return r;
        memcpy(c->pdpte, pdpte, sizeof(pdpte));
    }
    bool flush = changed(c->cr4, v, CR4_FLUSHES);
    c->cr4 = v;
    if (flush)
        x86_tlb_flush_all(c);
    x86_mode_update(c);
    return X86_LEAVE;
}

/* ---- CR8 and MOV CR ---- */

static int write_cr8(struct x86_cpu *c, uint64_t v)
{
    if (v > 15)
        return x86_gp0(c);
    if (c->ops->cr8_write == NULL)
        return X86_NEXT;
    int r = x86_from_cb(c, c->ops->cr8_write(c->opaque, v), X86_GP);
    return x86_failed(r) ? r : X86_LEAVE; /* a lower priority may let an interrupt in */
}

/* The decoder has checked the number; AMD's LOCK MOV CR0 comes as CR8. */
static int check_cr_access(struct x86_cpu *c, const struct x86_insn *in)
{
    if ((in->flags & X86_IF_LOCK) && !x86_has(c, X86_F_CR8_LEGACY))
        return x86_ud(c);
    return c->cpl != 0 ? x86_gp0(c) : X86_NEXT;
}

static int do_mov_to_cr(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = x86_get_n(c, in->rm, in->size);
    int r = check_cr_access(c, in);
    if (x86_failed(r))
        return r;
    c->cur = in;
    switch (in->reg) {
    case 0: return write_cr0(c, v);
    case 2: c->cr2 = v; return X86_NEXT;
    case 3: return write_cr3(c, v);
    case 4: return write_cr4(c, v);
    default: return write_cr8(c, v);
    }
}

static int do_mov_from_cr(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = 0;
    int r = check_cr_access(c, in);
    if (x86_failed(r))
        return r;
    c->cur = in;
    switch (in->reg) {
    case 0: v = c->cr0; break;
    case 2: v = c->cr2; break;
    case 3: v = c->cr3; break;
    case 4: v = c->cr4; break;
    default: v = c->ops->cr8_read != NULL ? c->ops->cr8_read(c->opaque) & 15 : 0; break;
    }
    x86_set_n(c, in->rm, in->size, v);
    return X86_NEXT;
}

/* ---- Machine status word ---- */

static int do_lmsw(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = c->r[in->rm];
    if (c->cpl != 0)
        return x86_gp0(c);
    int r = in->flags & X86_IF_MEM ? x86_load(c, in, 2, &v) : X86_NEXT;
    if (x86_failed(r))
        return r;
    uint64_t low = v & (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS);
    uint64_t keep = c->cr0 & ~(uint64_t)(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS); /* PE can be set, not cleared */
    return write_cr0(c, keep | low);
}

static int do_smsw(struct x86_cpu *c, const struct x86_insn *in)
{
    if ((c->cr4 & X86_CR4_UMIP) && c->cpl != 0)
        return x86_gp0(c);
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, 2, c->cr0 & 0xffff);
    x86_set_n(c, in->rm, in->size, c->cr0);
    return X86_NEXT;
}

static int do_clts(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (c->cpl != 0)
        return x86_gp0(c);
    c->cr0 &= ~(uint64_t)X86_CR0_TS;
    return X86_LEAVE;
}

/* ---- Debug registers ---- */

#define DR6_BD       0x2000u
#define DR7_GD       0x2000u
#define DR6_FIXED_1  0xffff0ff0u
#define DR6_WRITABLE 0xe00fu
#define DR7_FIXED_1  0x400u
#define DR7_WRITABLE 0xffff23ffu

/* DR4 and DR5 name DR6 and DR7 unless debug extensions are on. */
static int debug_number(struct x86_cpu *c, const struct x86_insn *in, unsigned *n)
{
    bool alias = in->reg == 4 || in->reg == 5;
    if (c->cpl != 0)
        return x86_gp0(c);
    if (in->reg > 7 || (alias && (c->cr4 & X86_CR4_DE)))
        return x86_ud(c);
    if (c->dr7 & DR7_GD) {
        (void)x86_raise(c, X86_DB);
        c->fault.dr6 = DR6_BD;
        return X86_FAULT;
    }
    *n = alias ? in->reg + 2u : in->reg;
    return X86_NEXT;
}

static int do_mov_from_dr(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned n = 0;
    int r = debug_number(c, in, &n);
    if (x86_failed(r))
        return r;
    x86_set_n(c, in->rm, in->size, n < 4 ? c->dr[n] : n == 6 ? c->dr6 : c->dr7);
    return X86_NEXT;
}

static int do_mov_to_dr(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned n = 0;
    uint64_t v = x86_get_n(c, in->rm, in->size);
    int r = debug_number(c, in, &n);
    if (x86_failed(r))
        return r;
    if (n >= 6 && v >> 32 != 0)
        return x86_gp0(c);
    if (n < 4)
        c->dr[n] = v;
    else if (n == 6)
        c->dr6 = (v & DR6_WRITABLE) | DR6_FIXED_1;
    else
        c->dr7 = (v & DR7_WRITABLE) | DR7_FIXED_1;
    x86_mode_update(c);
    return X86_LEAVE;
}

/* ---- TLB instructions ---- */

static int do_invlpg(struct x86_cpu *c, const struct x86_insn *in)
{
    if (c->cpl != 0)
        return x86_gp0(c);
    uint64_t lin = c->segbase[in->seg] + x86_ea(c, in);
    if (!c->long64)
        lin = (uint32_t)lin;
    if (x86_canonical(lin))
        x86_tlb_flush_page(c, lin);
    return X86_LEAVE;
}

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

static int check_invpcid(struct x86_cpu *c, uint64_t type, uint64_t pcid, uint64_t lin)
{
    bool names = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;
    if (type > INVPCID_ALL_BUT_GLOBAL || pcid > 0xfff || (names && pcid != 0 && !(c->cr4 & X86_CR4_PCIDE)))
        return x86_gp0(c);
    return type == INVPCID_ADDRESS && !x86_canonical(lin) ? x86_gp0(c) : X86_NEXT;
}

static void flush_named(struct x86_cpu *c, uint64_t type, unsigned pcid, uint64_t lin)
{
    bool current = pcid == (c->cr4 & X86_CR4_PCIDE ? c->cr3 & 0xfff : 0);
    if (!current)
        x86_tlb_flush_pcid(c, pcid);
    else if (type == INVPCID_ADDRESS)
        x86_tlb_flush_page(c, lin);
    else
        x86_tlb_flush(c, false);
}

static int do_invpcid(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t type = x86_get_n(c, in->reg, in->size);
    uint8_t b[16] = {0};
    if (c->cpl != 0)
        return x86_gp0(c);
    int r = x86_load_bytes(c, in, 0, b, 16, 0);
    if (x86_failed(r))
        return r;
    uint64_t pcid = x86_host_load(b, 8), lin = x86_host_load(b + 8, 8);
    r = check_invpcid(c, type, pcid, lin);
    if (x86_failed(r))
        return r;
    if (type <= INVPCID_CONTEXT)
        flush_named(c, type, (unsigned)pcid, lin);
    else
        x86_tlb_flush_all(c);
    return X86_LEAVE;
}

x86_handler *x86_bind_cr(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_MOV_FROM_CR: return do_mov_from_cr;
    case X86_OP_MOV_TO_CR: return do_mov_to_cr;
    case X86_OP_MOV_FROM_DR: return do_mov_from_dr;
    case X86_OP_MOV_TO_DR: return do_mov_to_dr;
    case X86_OP_SMSW: return do_smsw;
    case X86_OP_LMSW: return do_lmsw;
    case X86_OP_CLTS: return do_clts;
    case X86_OP_INVLPG: return in->flags & X86_IF_MEM ? do_invlpg : NULL;
    case X86_OP_INVPCID: return in->flags & X86_IF_MEM ? do_invpcid : NULL;
    default: return NULL;
    }
}
