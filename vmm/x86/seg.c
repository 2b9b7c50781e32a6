/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Segmentation of data accesses, the memory operand in all its shapes, and the stack. Source: Intel SDM volume 3, 5.3
 * and 5.5; volume 1, 6.2.
 */
#include "vmm/x86/core.h"

static int seg_fault(struct x86_cpu *c, unsigned seg)
{
    return x86_raise_error(c, seg == X86_SS ? X86_SS_FAULT : X86_GP, 0);
}

static bool type_allows(const struct x86_seg *s, bool write)
{
    if (s->attr & X86_SEG_UNUSABLE)
        return false;
    if (s->attr & X86_SEG_CODE)
        return !write && (s->attr & X86_SEG_WRITE);
    return !write || (s->attr & X86_SEG_WRITE);
}

static bool limit_allows(const struct x86_seg *s, uint64_t first, unsigned len)
{
    uint64_t last = first + len - 1;
    bool expand_down = (s->attr & (X86_SEG_S | X86_SEG_CODE | X86_SEG_DOWN)) == (X86_SEG_S | X86_SEG_DOWN);
    if (expand_down)
        return first > s->limit && last <= (s->attr & X86_SEG_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

int x86_seg_linear(struct x86_cpu *c, unsigned seg, uint64_t ea, unsigned len, bool write, uint64_t *lin)
{
    if (c->long64) {
        *lin = c->segbase[seg] + ea;
        return X86_NEXT;
    }
    const struct x86_seg *s = &c->seg[seg];
    uint8_t flat = write ? c->flat_w : c->flat_r;
    ea = (uint32_t)ea;
    if (!(flat >> seg & 1) || ea + len - 1 > UINT32_MAX) {
        if (x86_protected(c) && !type_allows(s, write))
            return seg_fault(c, seg);
        if (!limit_allows(s, ea, len))
            return seg_fault(c, seg);
    }
    *lin = (uint32_t)(c->segbase[seg] + ea);
    return X86_NEXT;
}

int x86_linear_slow(struct x86_cpu *c, const struct x86_insn *in, uint64_t ea, unsigned len, bool write, uint64_t *lin)
{
    return x86_seg_linear(c, in->seg, ea, len, write, lin);
}

/* Offset behind the operand's own, wrapped at the address size. */
static uint64_t ea_plus(const struct x86_cpu *c, const struct x86_insn *in, uint64_t off)
{
    uint64_t ea = x86_ea(c, in) + off;
    if (in->flags & X86_IF_A16)
        return (uint16_t)ea;
    return in->flags & X86_IF_A32 ? (uint32_t)ea : ea;
}

int x86_load_at(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned size, uint64_t *v)
{
    uint64_t lin;
    int r = x86_linear(c, in, ea_plus(c, in, off), size, false, &lin);
    return x86_failed(r) ? r : x86_read_lin(c, lin, size, x86_stack_seg(in), v);
}

int x86_store_at(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned size, uint64_t v)
{
    uint64_t lin;
    int r = x86_linear(c, in, ea_plus(c, in, off), size, true, &lin);
    return x86_failed(r) ? r : x86_write_lin(c, lin, size, x86_stack_seg(in), v);
}

static int operand_at(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned len, unsigned aligned,
                      bool write, uint64_t *lin)
{
    uint64_t ea = ea_plus(c, in, off);
    if (aligned != 0 && ((c->segbase[in->seg] + ea) & (aligned - 1)) != 0)
        return x86_gp0(c); /* before limit and canonical form, which may be #SS */
    return x86_linear(c, in, ea, len, write, lin);
}

int x86_load_bytes(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, void *buf, unsigned len,
                   unsigned aligned)
{
    uint64_t lin;
    int r = operand_at(c, in, off, len, aligned, false, &lin);
    if (x86_failed(r))
        return r;
    const uint8_t *p = x86_fast_read(c, lin, len);
    if (x86_likely(p != NULL)) {
        memcpy(buf, p, len);
        return X86_NEXT;
    }
    return x86_read_slow(c, lin, buf, len, x86_stack_seg(in));
}

int x86_store_bytes(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, const void *buf, unsigned len,
                    unsigned aligned)
{
    uint64_t lin;
    int r = operand_at(c, in, off, len, aligned, true, &lin);
    if (x86_failed(r))
        return r;
    uint8_t *p = x86_fast_write(c, lin, len);
    if (x86_likely(p != NULL)) {
        memcpy(p, buf, len);
        return X86_NEXT;
    }
    return x86_write_slow(c, lin, buf, len, x86_stack_seg(in));
}

int x86_probe_write(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned len)
{
    while (len > 0) {
        unsigned n = len > 64 ? 64 : len;
        uint64_t lin;
        int r = operand_at(c, in, off, n, 0, true, &lin);
        if (!x86_failed(r))
            r = x86_probe_lin(c, lin, n, true, x86_stack_seg(in));
        if (x86_failed(r))
            return r;
        off += n;
        len -= n;
    }
    return X86_NEXT;
}

/* ---- Stack ---- */

static uint64_t stack_mask(const struct x86_cpu *c)
{
    return c->long64 ? UINT64_MAX : c->stack16 ? 0xffff : 0xffffffff;
}

/* The register after the pointer part became sp: a 16-bit stack keeps the rest, a 32-bit one clears it. */
static uint64_t stack_join(const struct x86_cpu *c, uint64_t rsp, uint64_t sp)
{
    return c->stack16 ? (rsp & ~UINT64_C(0xffff)) | sp : sp;
}

int x86_push_at(struct x86_cpu *c, uint64_t *rsp, unsigned size, uint64_t v)
{
    uint64_t sp = (*rsp - size) & stack_mask(c), lin;
    int r = x86_seg_linear(c, X86_SS, sp, size, true, &lin);
    if (!x86_failed(r))
        r = x86_write_lin(c, lin, size, true, v);
    if (!x86_failed(r))
        *rsp = stack_join(c, *rsp, sp);
    return r;
}

int x86_pop_at(struct x86_cpu *c, uint64_t *rsp, unsigned size, uint64_t *v)
{
    uint64_t sp = *rsp & stack_mask(c), lin;
    int r = x86_seg_linear(c, X86_SS, sp, size, false, &lin);
    if (!x86_failed(r))
        r = x86_read_lin(c, lin, size, true, v);
    if (!x86_failed(r))
        *rsp = stack_join(c, *rsp, (sp + size) & stack_mask(c));
    return r;
}
