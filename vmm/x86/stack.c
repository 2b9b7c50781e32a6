/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stacks of far transfers and events: their pointer moves on the side until the transfer is sure.
 */
#include "vmm/x86/sys.h"

void x86_stack_here(const struct x86_cpu *c, struct x86_stack *s)
{
    *s = (struct x86_stack){.seg = c->seg[X86_SS], .rsp = c->r[X86_RSP], .flat = c->long64};
}

static uint64_t stack_mask(const struct x86_stack *s)
{
    if (s->flat)
        return UINT64_MAX;
    return s->seg.attr & X86_SEG_DB ? 0xffffffffu : 0xffffu;
}

/* A 16-bit stack keeps the bits above SP, a 32-bit one clears those above ESP. */
static void move_to(struct x86_stack *s, uint64_t sp)
{
    uint64_t mask = stack_mask(s);
    s->rsp = mask == 0xffff ? (s->rsp & ~mask) | (sp & mask) : sp & mask;
}

static bool offset_allowed(const struct x86_seg *s, uint64_t first, unsigned len)
{
    uint64_t last = first + len - 1;
    if ((s->attr & (X86_SEG_S | X86_SEG_CODE | X86_SEG_DOWN)) == (X86_SEG_S | X86_SEG_DOWN))
        return first > s->limit && last <= (s->attr & X86_SEG_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

static int stack_linear(struct x86_cpu *c, const struct x86_stack *s, uint64_t sp, unsigned len, uint64_t *lin)
{
    bool ok;
    if (s->flat) {
        *lin = sp;
        ok = x86_canonical(sp) && x86_canonical(sp + len - 1);
    } else {
        *lin = (uint32_t)(s->seg.base + sp);
        ok = !(s->seg.attr & X86_SEG_UNUSABLE) && offset_allowed(&s->seg, sp, len);
    }
    return ok ? X86_NEXT : x86_raise_error(c, X86_SS_FAULT, s->error);
}

int x86_stack_push(struct x86_cpu *c, struct x86_stack *s, unsigned size, uint64_t v)
{
    uint64_t sp = (s->rsp - size) & stack_mask(s), lin;
    int r = stack_linear(c, s, sp, size, &lin);
    if (x86_failed(r))
        return r;
    r = s->inner ? x86_sys_write(c, lin, &v, size) : x86_write_lin(c, lin, size, true, v);
    if (!x86_failed(r))
        move_to(s, sp);
    return r;
}

int x86_stack_pop(struct x86_cpu *c, struct x86_stack *s, unsigned size, uint64_t *v)
{
    uint64_t sp = s->rsp & stack_mask(s), lin;
    int r = stack_linear(c, s, sp, size, &lin);
    if (!x86_failed(r))
        r = x86_read_lin(c, lin, size, true, v);
    if (!x86_failed(r))
        move_to(s, sp + size);
    return r;
}

void x86_stack_skip(struct x86_stack *s, unsigned n)
{
    move_to(s, s->rsp + n);
}

int x86_stack_push_frame(struct x86_cpu *c, struct x86_stack *s, const uint64_t *v, unsigned n)
{
    uint64_t frame[6], lin;
    for (unsigned i = 0; i < n; i++)
        frame[n - 1 - i] = v[i];
    uint64_t sp = s->rsp - n * 8;
    int r = stack_linear(c, s, sp, n * 8, &lin);
    if (x86_failed(r))
        return r;
    r = s->inner ? x86_sys_write(c, lin, frame, n * 8) : x86_write_slow(c, lin, frame, n * 8, true);
    if (!x86_failed(r))
        s->rsp = sp;
    return r;
}

/* ---- Stacks named by the TSS ---- */

/* Read a field of the TSS; outside of it: #TS with the TSS's own selector. */
static int tss_read(struct x86_cpu *c, unsigned off, void *buf, unsigned len, uint32_t ext)
{
    const struct x86_seg *tr = &c->seg[X86_TR];
    if (off + len - 1 > tr->limit)
        return x86_raise_sel(c, X86_TS, tr->sel, ext);
    return x86_sys_read(c, x86_table_lin(c, tr->base, off), buf, len);
}

static int stack_long(struct x86_cpu *c, unsigned dpl, unsigned ist, uint32_t ext, struct x86_stack *s)
{
    bool inner = dpl < c->cpl;
    *s = (struct x86_stack){.flat = true, .inner = inner, .error = ext, .seg = c->seg[X86_SS]};
    if (inner)
        s->seg = x86_seg_null((uint16_t)dpl, dpl);
    return tss_read(c, ist != 0 ? ist * 8 + 28 : dpl * 8 + 4, &s->rsp, 8, ext);
}

/* SS from a TSS: the checks of a stack segment for level dpl, with #TS where MOV SS says #GP. */
static int inner_ss(struct x86_cpu *c, uint16_t sel, unsigned dpl, uint32_t ext, struct x86_seg *out)
{
    struct x86_desc d;
    if (x86_null_selector(sel))
        return x86_raise_error(c, X86_TS, ext);
    int r = x86_desc_fetch(c, sel, X86_TS, ext, &d);
    if (x86_failed(r))
        return r;
    if ((sel & 3) != dpl || x86_desc_dpl(&d) != dpl || !x86_desc_writable_data(&d))
        return x86_raise_sel(c, X86_TS, sel, ext);
    if (!x86_desc_present(&d))
        return x86_raise_sel(c, X86_SS_FAULT, sel, ext);
    r = x86_desc_mark(c, &d);
    *out = x86_desc_expand(&d, sel);
    return r;
}

static int stack_legacy(struct x86_cpu *c, unsigned dpl, uint32_t ext, struct x86_stack *s)
{
    bool wide = (c->seg[X86_TR].attr & 8) != 0;
    uint8_t b[6] = {0};
    int r = wide ? tss_read(c, dpl * 8 + 4, b, 6, ext) : tss_read(c, dpl * 4 + 2, b, 4, ext);
    if (x86_failed(r))
        return r;
    uint16_t sel = (uint16_t)(wide ? b[4] | b[5] << 8 : b[2] | b[3] << 8);
    uint32_t sp = (uint32_t)b[0] | (uint32_t)b[1] << 8;
    if (wide)
        sp |= (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    *s = (struct x86_stack){.rsp = sp, .inner = true, .error = x86_sel_error(sel, ext)};
    return inner_ss(c, sel, dpl, ext, &s->seg);
}

int x86_stack_from_tss(struct x86_cpu *c, unsigned dpl, unsigned ist, uint32_t ext, struct x86_stack *s)
{
    return x86_long_mode(c) ? stack_long(c, dpl, ist, ext, s) : stack_legacy(c, dpl, ext, s);
}
