/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Descriptor tables: their registers, and the instructions that ask what a descriptor allows. Source: Intel SDM volume
 * 2, LAR, LSL, VERR, ARPL, LLDT, LTR, SGDT, SIDT, SLDT, STR, LGDT; AMD APM volume 3.
 */
#include "vmm/x86/sys.h"

/* ---- LAR, LSL, VERR, VERW: ZF says whether the descriptor is visible; nothing about it faults ---- */

#define TYPE_BIT(t) (1u << (t))
#define LAR_LEGACY                                                                                                     \
    (TYPE_BIT(X86_DT_TSS16) | TYPE_BIT(X86_DT_LDT) | TYPE_BIT(X86_DT_TSS16_BUSY) | TYPE_BIT(X86_DT_CALL16) |           \
     TYPE_BIT(X86_DT_TASK) | TYPE_BIT(X86_DT_TSS) | TYPE_BIT(X86_DT_TSS_BUSY) | TYPE_BIT(X86_DT_CALL))
#define LAR_LONG (TYPE_BIT(X86_DT_LDT) | TYPE_BIT(X86_DT_TSS) | TYPE_BIT(X86_DT_TSS_BUSY) | TYPE_BIT(X86_DT_CALL))
#define LSL_LEGACY                                                                                                     \
    (TYPE_BIT(X86_DT_TSS16) | TYPE_BIT(X86_DT_LDT) | TYPE_BIT(X86_DT_TSS16_BUSY) | TYPE_BIT(X86_DT_TSS) |              \
     TYPE_BIT(X86_DT_TSS_BUSY))
#define LSL_LONG (TYPE_BIT(X86_DT_LDT) | TYPE_BIT(X86_DT_TSS) | TYPE_BIT(X86_DT_TSS_BUSY))

static int read_selector(struct x86_cpu *c, const struct x86_insn *in, uint16_t *sel)
{
    uint64_t v = c->r[in->rm];
    int r = in->flags & X86_IF_MEM ? x86_load(c, in, 2, &v) : X86_NEXT;
    *sel = (uint16_t)v;
    return r;
}

static void set_zf(struct x86_cpu *c, bool zf)
{
    x86_flags_set(c, (x86_flags_get(c) & ~X86_FL_ZF) | (zf ? X86_FL_ZF : 0));
}

/* Descriptor of the operand; *found is false when there is none that this level may see. */
static int look_up(struct x86_cpu *c, const struct x86_insn *in, struct x86_desc *d, bool *found)
{
    *found = false;
    if (!x86_protected(c))
        return x86_ud(c);
    int r = read_selector(c, in, &d->sel);
    if (x86_failed(r) || x86_null_selector(d->sel) || !x86_desc_find(c, d->sel, 8, &d->lin))
        return r;
    d->raw = 0;
    r = x86_sys_read(c, d->lin, &d->raw, 8);
    unsigned dpl = x86_desc_dpl(d);
    *found = x86_desc_conforming(d) || (c->cpl <= dpl && (d->sel & 3u) <= dpl);
    return r;
}

static bool system_type_in(const struct x86_cpu *c, const struct x86_desc *d, unsigned legacy, unsigned lm)
{
    return x86_desc_memory(d) || ((x86_long_mode(c) ? lm : legacy) >> x86_desc_type(d) & 1) != 0;
}

/* The bits of the limit within the access rights word are undefined; silicon shows them. */
static int do_lar(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_desc d;
    bool ok;
    int r = look_up(c, in, &d, &ok);
    if (x86_failed(r))
        return r;
    ok = ok && system_type_in(c, &d, LAR_LEGACY, LAR_LONG);
    if (ok)
        x86_set_n(c, in->reg, in->size, d.raw >> 32 & 0xffff00);
    set_zf(c, ok);
    return r;
}

static int do_lsl(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_desc d;
    bool ok;
    int r = look_up(c, in, &d, &ok);
    if (x86_failed(r))
        return r;
    ok = ok && system_type_in(c, &d, LSL_LEGACY, LSL_LONG);
    if (ok)
        x86_set_n(c, in->reg, in->size, x86_desc_limit(&d));
    set_zf(c, ok);
    return r;
}

static int do_verr(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_desc d;
    bool ok;
    int r = look_up(c, in, &d, &ok);
    if (!x86_failed(r))
        set_zf(c, ok && x86_desc_readable(&d));
    return r;
}

static int do_verw(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_desc d;
    bool ok;
    int r = look_up(c, in, &d, &ok);
    if (!x86_failed(r))
        set_zf(c, ok && x86_desc_writable_data(&d));
    return r;
}

/* ---- ARPL ---- */

static uint16_t adjust_rpl(uint16_t dst, uint16_t src, bool *changed)
{
    *changed = (dst & 3) < (src & 3);
    return *changed ? (uint16_t)((dst & ~3u) | (src & 3u)) : dst;
}

static int arpl_memory(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t old;
    bool changed;
    int r = x86_load(c, in, 2, &old);
    if (x86_failed(r))
        return r;
    uint16_t v = adjust_rpl((uint16_t)old, (uint16_t)c->r[in->reg], &changed);
    if (changed) /* else memory need not be writable */
        r = x86_store(c, in, 2, v);
    if (!x86_failed(r))
        set_zf(c, changed);
    return r;
}

static int do_arpl(struct x86_cpu *c, const struct x86_insn *in)
{
    bool changed;
    if (!x86_protected(c) || c->long64)
        return x86_ud(c);
    if (in->flags & X86_IF_MEM)
        return arpl_memory(c, in);
    x86_set16(c, in->rm, adjust_rpl((uint16_t)c->r[in->rm], (uint16_t)c->r[in->reg], &changed));
    set_zf(c, changed);
    return X86_NEXT;
}

/* ---- LDTR and TR ---- */

/* CPL 0 in protected mode, and the selector operand. */
static int system_selector(struct x86_cpu *c, const struct x86_insn *in, uint16_t *sel)
{
    if (!x86_protected(c))
        return x86_ud(c);
    if (c->cpl != 0)
        return x86_gp0(c);
    return read_selector(c, in, sel);
}

/* A system descriptor of the GDT with one of `types`, with its 64-bit base in long mode. */
static int load_system(struct x86_cpu *c, uint16_t sel, unsigned types, struct x86_desc *d, struct x86_seg *out)
{
    uint64_t high = 0;
    if (sel & 4)
        return x86_raise_sel(c, X86_GP, sel, 0);
    int r = x86_desc_fetch(c, sel, X86_GP, 0, d);
    if (x86_failed(r))
        return r;
    if (x86_desc_memory(d) || (types >> x86_desc_type(d) & 1) == 0)
        return x86_raise_sel(c, X86_GP, sel, 0);
    if (!x86_desc_present(d))
        return x86_raise_sel(c, X86_NP, sel, 0);
    if (x86_long_mode(c))
        r = x86_desc_fetch_high(c, d, &high);
    if (x86_failed(r))
        return r;
    *out = x86_desc_expand(d, sel);
    out->base |= high;
    return x86_canonical(out->base) ? X86_NEXT : x86_raise_sel(c, X86_GP, sel, 0);
}

static int do_lldt(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t sel = 0;
    struct x86_desc d;
    struct x86_seg s;
    int r = system_selector(c, in, &sel);
    if (x86_failed(r))
        return r;
    if (x86_null_selector(sel))
        s = x86_seg_null(sel, 0);
    else
        r = load_system(c, sel, TYPE_BIT(X86_DT_LDT), &d, &s);
    if (!x86_failed(r))
        c->seg[X86_LDTR] = s;
    return r;
}

static int do_ltr(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t sel = 0;
    struct x86_desc d;
    struct x86_seg s;
    unsigned types = TYPE_BIT(X86_DT_TSS) | (x86_long_mode(c) ? 0 : TYPE_BIT(X86_DT_TSS16));
    int r = system_selector(c, in, &sel);
    if (x86_failed(r))
        return r;
    if (x86_null_selector(sel))
        return x86_gp0(c);
    r = load_system(c, sel, types, &d, &s);
    if (!x86_failed(r))
        r = x86_desc_mark_busy(c, &d);
    if (x86_failed(r))
        return r;
    s.attr |= 2;
    c->seg[X86_TR] = s;
    return X86_NEXT;
}

/* ---- Reading the table registers, which UMIP keeps for level 0 ---- */

static int check_umip(struct x86_cpu *c)
{
    return (c->cr4 & X86_CR4_UMIP) && c->cpl != 0 ? x86_gp0(c) : X86_NEXT;
}

static int store_selector(struct x86_cpu *c, const struct x86_insn *in, unsigned seg)
{
    if (!x86_protected(c))
        return x86_ud(c);
    int r = check_umip(c);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, 2, c->seg[seg].sel);
    x86_set_n(c, in->rm, in->size, c->seg[seg].sel);
    return X86_NEXT;
}

static int do_sldt(struct x86_cpu *c, const struct x86_insn *in)
{
    return store_selector(c, in, X86_LDTR);
}

static int do_str(struct x86_cpu *c, const struct x86_insn *in)
{
    return store_selector(c, in, X86_TR);
}

/* All 32 bits of the base are stored with 16-bit operands too, as processors since the 386 do. */
static int store_table(struct x86_cpu *c, const struct x86_insn *in, const struct x86_dtr *t)
{
    uint8_t b[10];
    int r = check_umip(c);
    if (x86_failed(r))
        return r;
    x86_host_store(b, 2, t->limit);
    x86_host_store(b + 2, 8, t->base);
    return x86_store_bytes(c, in, 0, b, c->long64 ? 10 : 6, 0);
}

static int do_sgdt(struct x86_cpu *c, const struct x86_insn *in)
{
    return store_table(c, in, &c->gdtr);
}

static int do_sidt(struct x86_cpu *c, const struct x86_insn *in)
{
    return store_table(c, in, &c->idtr);
}

/* ---- LGDT, LIDT ---- */

static int load_table(struct x86_cpu *c, const struct x86_insn *in, struct x86_dtr *t)
{
    uint8_t b[10] = {0};
    if (c->cpl != 0)
        return x86_gp0(c);
    int r = x86_load_bytes(c, in, 0, b, c->long64 ? 10 : 6, 0);
    if (x86_failed(r))
        return r;
    uint64_t base = x86_host_load(b + 2, 8);
    if (!x86_canonical(base))
        return x86_gp0(c);
    t->limit = (uint16_t)x86_host_load(b, 2);
    t->base = !c->long64 && in->size == 2 ? base & 0xffffff : base;
    return X86_NEXT;
}

static int do_lgdt(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_table(c, in, &c->gdtr);
}

static int do_lidt(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_table(c, in, &c->idtr);
}

static x86_handler *with_memory(const struct x86_insn *in, x86_handler *fn)
{
    return in->flags & X86_IF_MEM ? fn : NULL;
}

x86_handler *x86_bind_table(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_LAR: return do_lar;
    case X86_OP_LSL: return do_lsl;
    case X86_OP_VERR: return do_verr;
    case X86_OP_VERW: return do_verw;
    case X86_OP_ARPL: return do_arpl;
    case X86_OP_LLDT: return do_lldt;
    case X86_OP_LTR: return do_ltr;
    case X86_OP_SLDT: return do_sldt;
    case X86_OP_STR: return do_str;
    case X86_OP_SGDT: return with_memory(in, do_sgdt);
    case X86_OP_SIDT: return with_memory(in, do_sidt);
    case X86_OP_LGDT: return with_memory(in, do_lgdt);
    case X86_OP_LIDT: return with_memory(in, do_lidt);
    default: return NULL;
    }
}
