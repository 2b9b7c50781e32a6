/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loading and reading segment registers. Source: Intel SDM volume 2, MOV, POP, LDS/LES/LFS/LGS/LSS; volume 3, 5.6 and
 * 5.7.
 */
#include "vmm/x86/sys.h"

/* Only the selector and the base change in real mode; a limit loaded in protected mode stays ("big real mode"). */
static void seg_real(const struct x86_cpu *c, unsigned seg, uint16_t sel, struct x86_seg *out)
{
    *out = c->seg[seg];
    if (out->attr & X86_SEG_UNUSABLE)
        *out = (struct x86_seg){.limit = 0xffff, .attr = X86_SEG_P | X86_SEG_S | X86_SEG_WRITE | X86_SEG_ACCESSED};
    out->sel = sel;
    out->base = (uint64_t)sel << 4;
}

static int seg_null(struct x86_cpu *c, unsigned seg, uint16_t sel, struct x86_seg *out)
{
    if (seg == X86_SS && (!c->long64 || c->cpl == 3 || (sel & 3) != c->cpl))
        return x86_gp0(c);
    *out = x86_seg_null(sel, seg == X86_SS ? c->cpl : 0);
    return X86_NEXT;
}

static int check_ss(struct x86_cpu *c, const struct x86_desc *d)
{
    if ((d->sel & 3) != c->cpl || x86_desc_dpl(d) != c->cpl || !x86_desc_writable_data(d))
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    return x86_desc_present(d) ? X86_NEXT : x86_raise_sel(c, X86_SS_FAULT, d->sel, 0);
}

static int check_data(struct x86_cpu *c, const struct x86_desc *d)
{
    unsigned dpl = x86_desc_dpl(d);
    bool level = x86_desc_conforming(d) || ((d->sel & 3u) <= dpl && c->cpl <= dpl);
    if (!x86_desc_readable(d) || !level)
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    return x86_desc_present(d) ? X86_NEXT : x86_raise_sel(c, X86_NP, d->sel, 0);
}

int x86_seg_prepare(struct x86_cpu *c, unsigned seg, uint16_t sel, struct x86_seg *out)
{
    if (!x86_protected(c)) {
        seg_real(c, seg, sel, out);
        return X86_NEXT;
    }
    if (x86_null_selector(sel))
        return seg_null(c, seg, sel, out);
    struct x86_desc d;
    int r = x86_desc_fetch(c, sel, X86_GP, 0, &d);
    if (!x86_failed(r))
        r = seg == X86_SS ? check_ss(c, &d) : check_data(c, &d);
    if (!x86_failed(r))
        r = x86_desc_mark(c, &d);
    if (!x86_failed(r))
        *out = x86_desc_expand(&d, sel);
    return r;
}

int x86_load_seg(struct x86_cpu *c, unsigned seg, uint16_t sel)
{
    struct x86_seg s;
    int r = x86_seg_prepare(c, seg, sel, &s);
    if (x86_failed(r))
        return r;
    c->seg[seg] = s;
    x86_mode_update(c);
    return X86_NEXT;
}

/* After MOV SS and POP SS the next instruction runs before any interrupt or debug trap. */
static int after_load(struct x86_cpu *c, unsigned seg)
{
    if (seg != X86_SS)
        return X86_NEXT;
    c->shadow_ss = 1;
    return X86_LEAVE;
}

static int do_mov_to_seg(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = c->r[in->rm];
    if (in->flags & X86_IF_MEM) {
        int r = x86_load(c, in, 2, &v);
        if (x86_failed(r))
            return r;
    }
    int r = x86_load_seg(c, in->reg, (uint16_t)v);
    return x86_failed(r) ? r : after_load(c, in->reg);
}

static int do_mov_from_seg(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t sel = c->seg[in->reg].sel;
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, 2, sel);
    x86_set_n(c, in->rm, in->size, sel);
    return X86_NEXT;
}

static int do_push_seg(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP];
    int r = x86_push_at(c, &rsp, in->size, c->seg[in->reg].sel);
    if (!x86_failed(r))
        c->r[X86_RSP] = rsp;
    return r;
}

static int do_pop_seg(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP], v;
    int r = x86_pop_at(c, &rsp, in->size, &v);
    if (!x86_failed(r))
        r = x86_load_seg(c, in->reg, (uint16_t)v);
    if (x86_failed(r))
        return r;
    c->r[X86_RSP] = rsp;
    return after_load(c, in->reg);
}

static int load_pointer(struct x86_cpu *c, const struct x86_insn *in, unsigned seg)
{
    uint64_t off, sel;
    int r = x86_load(c, in, in->size, &off);
    if (!x86_failed(r))
        r = x86_load_at(c, in, in->size, 2, &sel);
    if (!x86_failed(r))
        r = x86_load_seg(c, seg, (uint16_t)sel);
    if (!x86_failed(r))
        x86_set_n(c, in->reg, in->size, off);
    return r;
}

static int do_les(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_pointer(c, in, X86_ES);
}

static int do_lds(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_pointer(c, in, X86_DS);
}

static int do_lss(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_pointer(c, in, X86_SS);
}

static int do_lfs(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_pointer(c, in, X86_FS);
}

static int do_lgs(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_pointer(c, in, X86_GS);
}

static x86_handler *with_memory(const struct x86_insn *in, x86_handler *fn)
{
    return in->flags & X86_IF_MEM ? fn : NULL;
}

x86_handler *x86_bind_seg(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_MOV_TO_SEG: return in->reg > X86_GS || in->reg == X86_CS ? NULL : do_mov_to_seg;
    case X86_OP_MOV_FROM_SEG: return in->reg > X86_GS ? NULL : do_mov_from_seg;
    case X86_OP_PUSH_SEG: return do_push_seg;
    case X86_OP_POP_SEG: return do_pop_seg;
    case X86_OP_LES: return with_memory(in, do_les);
    case X86_OP_LDS: return with_memory(in, do_lds);
    case X86_OP_LSS: return with_memory(in, do_lss);
    case X86_OP_LFS: return with_memory(in, do_lfs);
    case X86_OP_LGS: return with_memory(in, do_lgs);
    default: return NULL;
    }
}
