/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * FXSAVE, FXRSTOR, the XSAVE family, LDMXCSR, STMXCSR.
 *
 * An area is 512 legacy bytes (x87 and SSE), a header of 64, then the components of the table below, at fixed places in
 * the standard form and packed in the compacted one. A component's functions know its own bytes only; what is saved,
 * restored or initialised, and every check, is common. Adding AVX is a row of the table with its four functions.
 *
 * Saves touch the whole area before the first byte is written; restores read all of it before the first register
 * changes. Source: Intel SDM volume 1, 10.5 and chapter 13; order of faults and the pointers' treatment under c->amd:
 * silicon of AMD family 1Ah.
 */
#include "vmm/x86/fpu.h"

#define XCOMP_X87       0x1u
#define XCOMP_SSE       0x2u
#define XCOMP_AVX       0x4u /* MXCSR belongs to it too */
#define XCOMP_COMPACTED (UINT64_C(1) << 63)

#define FX_BYTES        512u
#define FX_FCW          0u
#define FX_FSW          2u
#define FX_FTW          4u
#define FX_FOP          6u
#define FX_FIP          8u
#define FX_FDP          16u
#define FX_POINTERS_END 24u
#define FX_MXCSR        24u
#define FX_MXCSR_MASK   28u
#define FX_ST           32u
#define FX_XMM          160u
#define HEADER          512u
#define HEADER_BYTES    64u
#define HEADER_BV       512u
#define HEADER_COMP     520u
#define EXTENDED        576u
#define AREA_MAX        576u /* of all components in the table, standard form */

#define FCW_BITS 0x1f3fu
#define FCW_ONE  0x40u
#define FOP_BITS 0x7ffu

static bool wide_pointers(const struct x86_insn *in)
{
    return (in->flags & X86_IF_REXW) != 0;
}

static unsigned xmm_count(const struct x86_insn *in)
{
    return in->flags & X86_IF_M64 ? 16 : 8;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

/* ---- x87 ---- */

/* AMD saves the pointers, else zeros, only while an unmasked exception is pending. */
static bool pointers_live(const struct x86_cpu *c)
{
    return !c->amd || x86_fpu_pending(&c->fpu);
}

static bool x87_in_use(const struct x86_cpu *c)
{
    const struct x86_fpu *f = &c->fpu;
    if (f->fcw != X86_FCW_INIT || f->fsw != 0 || f->ftw != 0)
        return true;
    if (pointers_live(c) && (f->fop != 0 || f->fip != 0 || f->fdp != 0))
        return true;
    for (unsigned i = 0; i < 8; i++)
        if (get64(f->st[i]) != 0 || get16(f->st[i] + 8) != 0)
            return true;
    return false;
}

static void x87_put_pointers(const struct x86_cpu *c, const struct x86_insn *in, uint8_t *p)
{
    const struct x86_fpu *f = &c->fpu;
    uint64_t fip = f->fip, fdp = f->fdp;
    if (!wide_pointers(in)) {
        fip = (uint32_t)fip | (uint64_t)x86_fpu_fcs(c) << 32;
        fdp = (uint32_t)fdp | (uint64_t)x86_fpu_fds(c) << 32;
    }
    memcpy(p + FX_FOP, &f->fop, 2);
    memcpy(p + FX_FIP, &fip, 8);
    memcpy(p + FX_FDP, &fdp, 8);
}

/* Bytes 0 to 23 and 32 to 159 of the area at p, which is all zero there. */
static void x87_put(const struct x86_cpu *c, const struct x86_insn *in, uint8_t *p)
{
    const struct x86_fpu *f = &c->fpu;
    unsigned top = x86_fpu_top(f);
    memcpy(p + FX_FCW, &f->fcw, 2);
    memcpy(p + FX_FSW, &f->fsw, 2);
    p[FX_FTW] = f->ftw;
    if (pointers_live(c))
        x87_put_pointers(c, in, p);
    for (unsigned i = 0; i < 8; i++)
        memcpy(p + FX_ST + 16 * i, f->st[(top + i) & 7], 10);
}

static int x87_store(struct x86_cpu *c, const struct x86_insn *in, uint64_t off)
{
    uint8_t p[FX_XMM] = {0};
    x87_put(c, in, p);
    int a = x86_fpu_store_area(c, in, off, p, FX_POINTERS_END);
    if (x86_failed(a))
        return a;
    int b = x86_fpu_store_area(c, in, off + FX_ST, p + FX_ST, FX_XMM - FX_ST);
    return b == X86_NEXT ? a : b;
}

/* Pointers are kept as sign-extended 57-bit addresses. */
static uint64_t pointer_bits(uint64_t v)
{
    const uint64_t sign = UINT64_C(1) << 56;
    v &= (sign << 1) - 1;
    return (v ^ sign) - sign;
}

static void x87_load_pointers(struct x86_fpu *f, const struct x86_insn *in, const uint8_t *p)
{
    uint64_t fip = get64(p + FX_FIP), fdp = get64(p + FX_FDP);
    bool wide = wide_pointers(in);
    f->fop = get16(p + FX_FOP) & FOP_BITS;
    f->fip = wide ? pointer_bits(fip) : (uint32_t)fip;
    f->fdp = wide ? pointer_bits(fdp) : (uint32_t)fdp;
    f->fcs = wide ? 0 : (uint16_t)(fip >> 32);
    f->fds = wide ? 0 : (uint16_t)(fdp >> 32);
}

static void x87_load(struct x86_cpu *c, const struct x86_insn *in, const uint8_t *p)
{
    struct x86_fpu *f = &c->fpu;
    f->fcw = (uint16_t)((get16(p + FX_FCW) & FCW_BITS) | FCW_ONE);
    f->fsw = x86_fpu_summary(get16(p + FX_FSW), f->fcw);
    f->ftw = p[FX_FTW];
    x87_load_pointers(f, in, p);
    unsigned top = x86_fpu_top(f);
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[(top + i) & 7], p + FX_ST + 16 * i, 10);
}

static void x87_init(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    x86_fpu_init_x87(&c->fpu);
    memset(c->fpu.st, 0, sizeof c->fpu.st);
}

/* ---- SSE ---- */

/* MXCSR does not count here: see x86_xsave_in_use(). */
static bool sse_in_use(const struct x86_cpu *c)
{
    for (unsigned i = 0; i < 16; i++)
        if ((c->fpu.vec[i][0] | c->fpu.vec[i][1]) != 0)
            return true;
    return false;
}

static void mxcsr_put(const struct x86_cpu *c, uint8_t *p)
{
    const uint32_t mask = X86_MXCSR_MASK;
    memcpy(p, &c->fpu.mxcsr, 4);
    memcpy(p + 4, &mask, 4);
}

static int mxcsr_store(struct x86_cpu *c, const struct x86_insn *in)
{
    uint8_t p[8];
    mxcsr_put(c, p);
    return x86_store_bytes(c, in, FX_MXCSR, p, sizeof p, 0);
}

static void sse_put(const struct x86_cpu *c, const struct x86_insn *in, uint8_t *xmm)
{
    for (unsigned i = 0; i < xmm_count(in); i++)
        memcpy(xmm + 16 * i, c->fpu.vec[i], 16);
}

static int sse_store(struct x86_cpu *c, const struct x86_insn *in, uint64_t off)
{
    uint8_t xmm[256];
    sse_put(c, in, xmm);
    return x86_fpu_store_area(c, in, off + FX_XMM, xmm, 16 * xmm_count(in));
}

static void sse_load(struct x86_cpu *c, const struct x86_insn *in, const uint8_t *p)
{
    for (unsigned i = 0; i < xmm_count(in); i++)
        memcpy(c->fpu.vec[i], p + FX_XMM + 16 * i, 16);
}

static void sse_init(struct x86_cpu *c, const struct x86_insn *in)
{
    for (unsigned i = 0; i < xmm_count(in); i++)
        memset(c->fpu.vec[i], 0, 16);
}

/* ---- Components ---- */

struct xcomp {
    uint16_t offset; /* in the standard form; 0 with size 0: lives in the legacy area in both forms */
    uint16_t size;
    bool align64; /* in the compacted form */
    bool (*in_use)(const struct x86_cpu *c);
    int (*store)(struct x86_cpu *c, const struct x86_insn *in, uint64_t off);
    void (*load)(struct x86_cpu *c, const struct x86_insn *in, const uint8_t *p);
    void (*init)(struct x86_cpu *c, const struct x86_insn *in);
};

/*
 * By bit number of XCR0 and IA32_XSS. Next: 2, AVX, {576, 256, ...}, the high halves of vec[]; raise AREA_MAX with it.
 */
static const struct xcomp xcomps[] = {
    {0, 0, false, x87_in_use, x87_store, x87_load, x87_init},
    {0, 0, false, sse_in_use, sse_store, sse_load, sse_init},
};

#define XCOMPS (sizeof xcomps / sizeof xcomps[0])

static unsigned align64(unsigned off, bool yes)
{
    return yes ? (off + 63) & ~63u : off;
}

/* Offset of component n in an area whose compacted form holds bv. */
static unsigned xcomp_offset(unsigned n, uint64_t bv, bool compacted)
{
    if (!compacted || xcomps[n].size == 0)
        return xcomps[n].offset;
    unsigned off = EXTENDED;
    for (unsigned i = 0; i < n; i++)
        if (bv >> i & 1)
            off = align64(off, xcomps[i].align64) + xcomps[i].size;
    return align64(off, xcomps[n].align64);
}

/* End of the last component of `used` in an area laid out for bv. */
static unsigned area_end(uint64_t used, uint64_t bv, bool compacted)
{
    unsigned end = EXTENDED;
    for (unsigned i = 0; i < XCOMPS; i++) {
        unsigned e = xcomp_offset(i, bv, compacted) + xcomps[i].size;
        if ((used >> i & 1) != 0 && e > end)
            end = e;
    }
    return end;
}

unsigned x86_xsave_size(uint64_t bv, bool compacted)
{
    return area_end(bv, bv, compacted);
}

/* XINUSE as XSAVE and XSAVEOPT record it. */
static uint64_t registers_in_use(const struct x86_cpu *c)
{
    uint64_t bv = 0;
    for (unsigned i = 0; i < XCOMPS; i++)
        bv |= (uint64_t)xcomps[i].in_use(c) << i;
    return bv;
}

uint64_t x86_xsave_in_use(const struct x86_cpu *c)
{
    return registers_in_use(c) | (c->fpu.mxcsr != X86_MXCSR_INIT ? XCOMP_SSE : 0);
}

static bool mxcsr_valid(const uint8_t *p)
{
    return (get32(p) & ~X86_MXCSR_MASK) == 0;
}

static int check_aligned(struct x86_cpu *c, const struct x86_insn *in, unsigned align, bool write)
{
    uint64_t ea = x86_ea(c, in), lin = c->segbase[in->seg] + ea;
    bool odd = (lin & (align - 1)) != 0;
    if (odd && align == 64)
        return x86_gp0(c); /* before limit and canonical form, which may be #SS; FXSAVE goes by those first */
    if (c->long64 && !x86_canonical(lin))
        return x86_raise_error(c, x86_stack_seg(in) ? X86_SS_FAULT : X86_GP, 0);
    int r = x86_linear(c, in, ea, 1, write, &lin);
    if (x86_failed(r) || !odd)
        return r;
    return x86_raise_error(c, c->ac_on ? X86_AC : X86_GP, 0);
}

/* ---- FXSAVE, FXRSTOR ---- */

/* #NM, alignment, then the area's last and first byte. */
static int fx_begin(struct x86_cpu *c, const struct x86_insn *in, bool write)
{
    if (c->cr0 & (X86_CR0_EM | X86_CR0_TS))
        return x86_raise(c, X86_NM);
    int r = check_aligned(c, in, 16, write);
    if (!x86_failed(r))
        r = x86_fpu_touch(c, in, FX_BYTES - 1, write);
    if (!x86_failed(r))
        r = x86_fpu_touch(c, in, 0, write);
    return r;
}

/* Without CR4.OSFXSR the SSE half is neither saved nor restored (implementation specific). */
static bool fx_has_sse(const struct x86_cpu *c)
{
    return (c->cr4 & X86_CR4_OSFXSR) != 0;
}

/* The last 96 bytes are the software's; outside of 64-bit mode the places of XMM8 to XMM15 are not written either. */
static int do_fxsave(struct x86_cpu *c, const struct x86_insn *in)
{
    uint8_t p[FX_BYTES] = {0};
    int r = fx_begin(c, in, true);
    if (x86_failed(r))
        return r;
    x87_put(c, in, p);
    if (!fx_has_sse(c))
        return x87_store(c, in, 0);
    mxcsr_put(c, p + FX_MXCSR);
    sse_put(c, in, p + FX_XMM);
    return x86_fpu_store_area(c, in, 0, p, FX_XMM + 16 * xmm_count(in));
}

static int do_fxrstor(struct x86_cpu *c, const struct x86_insn *in)
{
    uint8_t p[FX_BYTES];
    int r = fx_begin(c, in, false);
    if (!x86_failed(r))
        r = x86_fpu_load_area(c, in, 0, p, FX_XMM + 16 * xmm_count(in));
    if (x86_failed(r))
        return r;
    bool sse = fx_has_sse(c);
    if (sse && !mxcsr_valid(p + FX_MXCSR))
        return x86_gp0(c);
    x87_load(c, in, p);
    if (sse) {
        c->fpu.mxcsr = get32(p + FX_MXCSR);
        sse_load(c, in, p);
    }
    return X86_NEXT;
}

/* ---- XSAVE family ---- */

/* #UD, #NM, privilege, alignment. */
static int xsave_begin(struct x86_cpu *c, const struct x86_insn *in, bool supervisor, bool write)
{
    if ((c->cr4 & X86_CR4_OSXSAVE) == 0)
        return x86_ud(c);
    if (c->cr0 & X86_CR0_TS)
        return x86_raise(c, X86_NM);
    if (supervisor && c->cpl != 0)
        return x86_gp0(c);
    return check_aligned(c, in, 64, write);
}

/* Requested components: EDX:EAX and what is enabled. */
static uint64_t requested(const struct x86_cpu *c, uint64_t enabled)
{
    return ((uint64_t)(uint32_t)c->r[X86_RDX] << 32 | (uint32_t)c->r[X86_RAX]) & enabled;
}

/* Store the components in bv. The result is X86_LEAVE if one store said so. */
static int store_components(struct x86_cpu *c, const struct x86_insn *in, uint64_t bv, uint64_t layout, bool compacted)
{
    int step = X86_NEXT;
    for (unsigned i = 0; i < XCOMPS; i++) {
        if ((bv >> i & 1) == 0)
            continue;
        int r = xcomps[i].store(c, in, xcomp_offset(i, layout, compacted));
        if (x86_failed(r))
            return r;
        step = r == X86_NEXT ? step : r;
    }
    return step;
}

/*
 * XSAVE and XSAVEOPT: XSTATE_BV keeps the bits that were not requested. only_in_use: write no component in its initial
 * state.
 */
static int xsave_standard(struct x86_cpu *c, const struct x86_insn *in, bool only_in_use)
{
    uint64_t old = 0, in_use = registers_in_use(c);
    int r = xsave_begin(c, in, false, true);
    if (x86_failed(r))
        return r;
    uint64_t rfbm = requested(c, c->xcr0);
    r = x86_fpu_touch_ends(c, in, area_end(rfbm, rfbm, false), true);
    if (!x86_failed(r))
        r = x86_load_bytes(c, in, HEADER_BV, &old, 8, 0);
    if (x86_failed(r))
        return r;
    int step = store_components(c, in, only_in_use ? rfbm & in_use : rfbm, rfbm, false);
    if (x86_failed(step))
        return step;
    if (rfbm & (XCOMP_SSE | XCOMP_AVX)) {
        r = mxcsr_store(c, in);
        if (x86_failed(r))
            return r;
        step = r == X86_NEXT ? step : r;
    }
    uint64_t bv = (old & ~rfbm) | (in_use & rfbm);
    r = x86_store_bytes(c, in, HEADER_BV, &bv, 8, 0);
    return r == X86_NEXT ? step : r;
}

static int do_xsave(struct x86_cpu *c, const struct x86_insn *in)
{
    return xsave_standard(c, in, false);
}

/*
 * XSAVEOPT leaves out what is in its initial state; what was not modified since the last restore is saved all the same.
 */
static int do_xsaveopt(struct x86_cpu *c, const struct x86_insn *in)
{
    return xsave_standard(c, in, true);
}

static int xsave_compacted(struct x86_cpu *c, const struct x86_insn *in, bool supervisor)
{
    int r = xsave_begin(c, in, supervisor, true);
    if (x86_failed(r))
        return r;
    uint64_t rfbm = requested(c, supervisor ? c->xcr0 | c->xss : c->xcr0);
    uint64_t bv = rfbm & x86_xsave_in_use(c);
    r = x86_fpu_touch_ends(c, in, area_end(rfbm, rfbm, true), true);
    if (x86_failed(r))
        return r;
    int step = store_components(c, in, bv, rfbm, true);
    if (!x86_failed(step) && (bv & XCOMP_SSE) != 0) {
        r = mxcsr_store(c, in);
        step = r == X86_NEXT ? step : r;
    }
    if (x86_failed(step))
        return step;
    uint64_t header[2] = {bv, rfbm | XCOMP_COMPACTED};
    r = x86_store_bytes(c, in, HEADER_BV, header, 16, 0);
    return r == X86_NEXT ? step : r;
}

static int do_xsavec(struct x86_cpu *c, const struct x86_insn *in)
{
    return xsave_compacted(c, in, false);
}

static int do_xsaves(struct x86_cpu *c, const struct x86_insn *in)
{
    return xsave_compacted(c, in, true);
}

/* ---- XRSTOR, XRSTORS ---- */

static bool all_zero(const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Header checks of 13.8.1 and 13.12: standard form bytes 8 to 23 are zero; compacted bytes 16 to 63. */
static bool header_valid(const struct x86_cpu *c, const uint8_t *h, uint64_t enabled, bool supervisor)
{
    uint64_t bv = get64(h), comp = get64(h + 8);
    if (comp & XCOMP_COMPACTED) {
        uint64_t place = comp & ~XCOMP_COMPACTED;
        bool offered = supervisor || x86_has(c, X86_F_XSAVEC);
        return offered && (place & ~enabled) == 0 && (bv & ~place) == 0 && all_zero(h + 16, HEADER_BYTES - 16);
    }
    return !supervisor && (bv & ~enabled) == 0 && all_zero(h + 8, 16);
}

/*
 * Read what is restored into p, an image of the standard form's legacy part and the components at their places in this
 * form.
 */
static int read_components(struct x86_cpu *c, const struct x86_insn *in, uint64_t bv, uint64_t layout, bool compacted,
                           uint8_t *p)
{
    int r = x86_fpu_load_area(c, in, 0, p, FX_BYTES);
    for (unsigned i = 0; i < XCOMPS && !x86_failed(r); i++) {
        unsigned off = xcomp_offset(i, layout, compacted);
        if ((bv >> i & 1) != 0 && xcomps[i].size != 0)
            r = x86_fpu_load_area(c, in, off, p + off, xcomps[i].size);
    }
    return r;
}

static void apply_components(struct x86_cpu *c, const struct x86_insn *in, uint64_t rfbm, uint64_t bv, uint64_t layout,
                             bool compacted, const uint8_t *p)
{
    for (unsigned i = 0; i < XCOMPS; i++) {
        if ((rfbm >> i & 1) == 0)
            continue;
        if (bv >> i & 1)
            xcomps[i].load(c, in, p + xcomp_offset(i, layout, compacted));
        else
            xcomps[i].init(c, in);
    }
}

static int xrstor(struct x86_cpu *c, const struct x86_insn *in, bool supervisor)
{
    uint8_t p[AREA_MAX], h[HEADER_BYTES];
    int r = xsave_begin(c, in, supervisor, false);
    if (!x86_failed(r))
        r = x86_fpu_touch(c, in, 0, false);
    if (!x86_failed(r))
        r = x86_load_bytes(c, in, HEADER, h, sizeof h, 0);
    if (x86_failed(r))
        return r;
    uint64_t enabled = supervisor ? c->xcr0 | c->xss : c->xcr0;
    if (!header_valid(c, h, enabled, supervisor))
        return x86_gp0(c);
    uint64_t rfbm = requested(c, enabled), bv = get64(h), layout = get64(h + 8) & ~XCOMP_COMPACTED;
    bool compacted = (get64(h + 8) & XCOMP_COMPACTED) != 0;
    uint64_t used = compacted ? rfbm & bv : rfbm;
    r = x86_fpu_touch(c, in, area_end(used, layout, compacted) - 1, false);
    if (!x86_failed(r))
        r = read_components(c, in, rfbm & bv, layout, compacted, p);
    if (x86_failed(r))
        return r;
    /* The standard form carries MXCSR whatever XSTATE_BV says; in the compacted form it goes with SSE. */
    bool mxcsr = compacted ? (used & XCOMP_SSE) != 0 : (rfbm & (XCOMP_SSE | XCOMP_AVX)) != 0;
    if (mxcsr && !mxcsr_valid(p + FX_MXCSR))
        return x86_gp0(c);
    if (mxcsr)
        c->fpu.mxcsr = get32(p + FX_MXCSR);
    else if (rfbm & XCOMP_SSE)
        c->fpu.mxcsr = X86_MXCSR_INIT;
    apply_components(c, in, rfbm, bv, layout, compacted, p);
    return X86_NEXT;
}

static int do_xrstor(struct x86_cpu *c, const struct x86_insn *in)
{
    return xrstor(c, in, false);
}

static int do_xrstors(struct x86_cpu *c, const struct x86_insn *in)
{
    return xrstor(c, in, true);
}

/* ---- MXCSR ---- */

static int do_ldmxcsr(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    r = x86_load(c, in, 4, &v);
    if (x86_failed(r))
        return r;
    if (v & ~(uint64_t)X86_MXCSR_MASK)
        return x86_gp0(c);
    c->fpu.mxcsr = (uint32_t)v;
    return X86_NEXT;
}

static int do_stmxcsr(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    return x86_failed(r) ? r : x86_store(c, in, 4, c->fpu.mxcsr);
}

x86_handler *x86_bind_xsave(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    if (!(in->flags & X86_IF_MEM))
        return NULL;
    switch (in->op) {
    case X86_OP_FXSAVE: return do_fxsave;
    case X86_OP_FXRSTOR: return do_fxrstor;
    case X86_OP_XSAVE: return do_xsave;
    case X86_OP_XSAVEOPT: return do_xsaveopt;
    case X86_OP_XSAVEC: return do_xsavec;
    case X86_OP_XSAVES: return do_xsaves;
    case X86_OP_XRSTOR: return do_xrstor;
    case X86_OP_XRSTORS: return do_xrstors;
    case X86_OP_LDMXCSR: return do_ldmxcsr;
    case X86_OP_STMXCSR: return do_stmxcsr;
    default: return NULL;
    }
}
