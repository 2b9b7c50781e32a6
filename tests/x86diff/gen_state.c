/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/x86diff/gen.h"
#include "tests/x86diff/values.h"
#include "vmm/x86/core.h"

/* ---- Addresses ---- */

static uint64_t page_at(unsigned page)
{
    return ARENA_DATA + (uint64_t)page * ARENA_PAGE;
}

/* Inside writable memory, whole. */
static uint64_t good_target(struct rng *r, unsigned bytes, unsigned align)
{
    static const uint8_t pages[4] = {1, 1, 2, 5};
    uint64_t at = page_at(pages[rng_below(r, 4)]) + rng_below(r, ARENA_PAGE - bytes + 1);
    if (align > 1)
        at &= ~(uint64_t)(align - 1);
    return at;
}

static uint64_t non_canonical(struct rng *r)
{
    uint64_t v = rng_next(r);
    switch (v & 3) {
    case 0: return UINT64_C(0x0000800000000000) - (v >> 8 & 15);
    case 1: return UINT64_C(0xffff800000000000) - (v >> 8 & 15) - 1;
    case 2: return UINT64_C(0x8000000000000000) | v >> 8;
    default: return (v | UINT64_C(0x0001000000000000)) & UINT64_C(0x7fffffffffffffff);
    }
}

/* Places where something ends: pages, rights, the address space. `bytes` straddle the edge, or nearly. */
static uint64_t edge_target(struct rng *r, unsigned bytes)
{
    uint64_t back = rng_below(r, bytes + 2);
    switch (rng_below(r, 14)) {
    case 0:
    case 1:
    case 2: return page_at(2) - back; /* two writable pages */
    case 3: return page_at(3) - back; /* writable, then read-only */
    case 4: return page_at(3) + rng_below(r, ARENA_PAGE);
    case 5: return page_at(4) - back; /* read-only, then nothing */
    case 6: return page_at(6) - back; /* writable, then nothing */
    case 7: return page_at(5) - back; /* nothing, then writable */
    case 8: return page_at(1) - back;
    case 9: return page_at(4) + rng_below(r, ARENA_PAGE);
    case 10: return ARENA_CODE + rng_below(r, ARENA_CODE_BYTES);
    case 11: return rng_below(r, ARENA_PAGE);
    case 12: return UINT64_C(0xffff900000000000) + (rng_next(r) & 0xffff);
    default: return non_canonical(r);
    }
}

uint64_t gen_target(struct rng *r, uint64_t high, unsigned bytes, unsigned align)
{
    if (rng_chance(r, 85))
        return good_target(r, bytes, align) + high;
    uint64_t at = edge_target(r, bytes);
    if (align > 1 && rng_chance(r, 50))
        at &= ~(uint64_t)(align - 1);
    return at - ARENA_CODE < UINT64_C(0x20000000) ? at + high : at;
}

void gen_patch(struct gen_state *s, uint64_t lin, const void *bytes, unsigned len)
{
    struct case_in *in = s->in;
    if (in->patches == CASE_PATCHES)
        return;
    struct case_patch *p = &in->patch[in->patches++];
    p->lin = lin;
    p->len = (uint8_t)(len < sizeof p->bytes ? len : sizeof p->bytes);
    memcpy(p->bytes, bytes, p->len);
}

/* ---- x87 and SSE state ---- */

static void random_x87(struct rng *r, struct fx_image *fx)
{
    unsigned kind = rng_below(r, 10), top = rng_below(r, 8);
    fx->fcw = (uint16_t)(kind < 5 ? 0x037fu : 0x7fu | rng_below(r, 4) << 8 | rng_below(r, 4) << 10);
    if (kind == 9)
        fx->fcw = (uint16_t)((fx->fcw & 0xffc0u) | rng_below(r, 64));
    unsigned flags = rng_chance(r, 20) ? rng_below(r, 128) : 0;
    if (rng_chance(r, 70)) /* mostly nothing pending */
        flags &= fx->fcw | 0x40u;
    flags &= (flags & 1u) != 0u ? 0x7fu : 0x3fu; /* stack fault comes with invalid */
    unsigned pending = flags & ~(unsigned)fx->fcw & 0x3f;
    fx->fsw = (uint16_t)(flags | top << 11 | (rng_below(r, 8) << 8) | rng_below(r, 2) << 14 | (pending ? 0x8080u : 0));
    fx->ftw = (uint8_t)(rng_chance(r, 60) ? 0xff : rng_below(r, 256));
    for (unsigned i = 0; i < 8; i++)
        value_f80(r, fx->st[i]);
}

static void random_sse(struct rng *r, struct fx_image *fx)
{
    uint32_t mxcsr = 0x1f80;
    if (rng_chance(r, 50))
        mxcsr |= rng_below(r, 4) << 13 | rng_below(r, 2) << 15 | rng_below(r, 2) << 6 |
                 (rng_chance(r, 30) ? rng_below(r, 64) : 0);
    if (rng_chance(r, 15))
        mxcsr = (mxcsr & ~0x1f80u) | rng_below(r, 64) << 7;
    fx->mxcsr = mxcsr;
    for (unsigned i = 0; i < 16; i++)
        value_vec(r, fx->xmm[i]);
}

/* ---- Segments ---- */

static void segments64(struct gen_state *s)
{
    struct case_regs *g = &s->in->regs;
    const uint16_t sels[6] = {0, SEL_CODE64, SEL_DATA, 0, 0, 0};
    memcpy(g->sel, sels, sizeof(g->sel));
    if (rng_chance(s->r, 20))
        g->sel[X86_DS] = g->sel[X86_ES] = SEL_DATA;
    g->fs_base = rng_chance(s->r, 30) ? 0 : rng_next(s->r) & UINT64_C(0x7fffffffff);
    g->gs_base = rng_chance(s->r, 30) ? 0 : good_target(s->r, 8, 1) + s->high;
    s->seg_base[X86_FS] = g->fs_base;
    s->seg_base[X86_GS] = g->gs_base;
}

static unsigned random_data_segment(struct rng *r)
{
    static const uint8_t data[] = {LDT_DATA16, LDT_DATA16, LDT_DATA32, LDT_DATA32, LDT_RO,
                                   LDT_DOWN16, LDT_DOWN32, LDT_SMALL,  LDT_CODE32};
    return LDT_SEL(data[rng_below(r, sizeof data)]);
}

/* 32- and 16-bit code: the flat segments, or those of the LDT. */
static void segments32(struct gen_state *s)
{
    static const uint8_t stacks[] = {LDT_DATA16, LDT_DATA32, LDT_DATA32, LDT_DOWN16, LDT_DOWN32, LDT_SMALL};
    struct case_regs *g = &s->in->regs;
    struct rng *r = s->r;
    const uint16_t sels[6] = {SEL_DATA, SEL_CODE32, SEL_DATA, SEL_DATA, SEL_DATA, SEL_DATA};
    memcpy(g->sel, sels, sizeof(g->sel));
    if (s->in->mode == CASE_16)
        g->sel[X86_CS] = LDT_SEL(LDT_CODE16);
    else if (s->g->ldt && rng_chance(r, 30))
        g->sel[X86_CS] = LDT_SEL(LDT_CODE32);
    for (unsigned i = 0; i < 6 && s->g->ldt; i++) {
        if (i == X86_CS || !rng_chance(r, s->in->mode == CASE_16 ? 75 : 35))
            continue;
        g->sel[i] = (uint16_t)(i == X86_SS ? LDT_SEL(stacks[rng_below(r, sizeof stacks)]) : random_data_segment(r));
    }
    if (rng_chance(r, 5))
        g->sel[rng_chance(r, 50) ? X86_ES : X86_FS] = 0;
    for (unsigned i = 0; i < 6; i++)
        s->seg_base[i] = g->sel[i] & 4 ? ldt_entries[g->sel[i] >> 3].base : 0;
}

/* ---- General registers ---- */

/* A pointer into the data window as an offset in a segment. */
static uint64_t pointer(struct gen_state *s, unsigned seg, unsigned bytes, unsigned align)
{
    uint64_t v = gen_target(s->r, s->high, bytes, align) - s->seg_base[seg];
    return s->in->mode == CASE_64 ? v : (uint32_t)v;
}

static uint64_t flags_value(struct rng *r)
{
    uint64_t f = (rng_next(r) & X86_FL_ARITH) | 0x202;
    if (rng_chance(r, 12))
        f |= X86_FL_DF;
    if (rng_chance(r, 2))
        f |= X86_FL_AC;
    return f;
}

void gen_registers(struct gen_state *s)
{
    struct case_regs *g = &s->in->regs;
    struct rng *r = s->r;
    for (unsigned i = 0; i < 16; i++)
        g->gpr[i] = rng_chance(r, 12) ? good_target(r, 64, 1) + s->high : value_int(r);
    if (s->in->mode == CASE_64)
        segments64(s);
    else
        segments32(s);
    g->gpr[X86_RSP] = pointer(s, X86_SS, 64, rng_chance(r, 85) ? 8 : 1);
    g->gpr[X86_RBP] = rng_chance(r, 60) ? pointer(s, X86_SS, 64, 8) : g->gpr[X86_RBP];
    if (rng_chance(r, 40))
        g->gpr[X86_RSI] = pointer(s, X86_DS, 16, 1);
    if (rng_chance(r, 40))
        g->gpr[X86_RDI] = pointer(s, X86_ES, 16, 1);
    if (s->in->mode != CASE_64) { /* what the host does to the upper halves is nobody's business */
        for (unsigned i = 0; i < 16; i++)
            g->gpr[i] = i < 8 ? (uint32_t)g->gpr[i] : 0;
    }
    g->rflags = flags_value(r);
    random_x87(r, &g->fx);
    random_sse(r, &g->fx);
}

/* ---- Memory operands ---- */

static unsigned preferred_align(struct rng *r, const struct x86_insn *in)
{
    unsigned n = in->msize != 0 ? in->msize : 16u;
    if (x86_op_family(in->op) == X86_FAM_XSAVE && in->msize == 0)
        return rng_chance(r, 92) ? 64 : 16;
    if (n == 16)
        return rng_chance(r, 80) ? 16 : 1;
    return rng_chance(r, 50) && (n & (n - 1)) == 0 ? n : 1;
}

static unsigned operand_bytes(const struct x86_insn *in)
{
    if (in->msize != 0)
        return in->msize;
    return x86_op_family(in->op) == X86_FAM_XSAVE ? 576 : 108;
}

static void set_disp(struct gen_insn *gi, uint64_t v)
{
    if (gi->disp_bytes == 0)
        return;
    for (unsigned i = 0; i < gi->disp_bytes; i++)
        gi->bytes[gi->disp_at + i] = (uint8_t)(v >> (8 * i));
    unsigned shift = 64 - 8u * gi->disp_bytes;
    gi->in.disp = (int64_t)(v << shift) >> shift;
}

static bool is_pinned(const struct gen_state *s, unsigned reg)
{
    return reg == X86_SLOT_ZERO || (s->pinned >> reg & 1) != 0;
}

static uint64_t reg_value(const struct gen_state *s, unsigned reg)
{
    return reg < 16 ? s->in->regs.gpr[reg] : 0;
}

static void set_reg(struct gen_state *s, unsigned reg, uint64_t v)
{
    uint64_t *g = &s->in->regs.gpr[reg];
    *g = s->in->mode == CASE_64 ? v : (uint32_t)v;
    s->pinned |= 1u << reg;
}

/* Let base and index come out at offset `want`. */
static void solve(struct gen_state *s, struct gen_insn *gi, uint64_t want)
{
    const struct x86_insn *in = &gi->in;
    bool same = in->base == in->index && in->index != X86_SLOT_ZERO;
    uint64_t rest = want - (uint64_t)in->disp;
    if (same && !is_pinned(s, in->base)) {
        set_reg(s, in->base, rest / ((UINT64_C(1) << in->scale) + 1));
    } else if (!is_pinned(s, in->base)) {
        if (in->index != X86_SLOT_ZERO && !is_pinned(s, in->index) && rng_chance(s->r, 70))
            set_reg(s, in->index, (uint64_t)(int64_t)((int)rng_below(s->r, 4096) - 2048));
        set_reg(s, in->base, rest - (reg_value(s, in->index) << in->scale));
    } else if (in->index != X86_SLOT_ZERO && !is_pinned(s, in->index)) {
        set_reg(s, in->index, (rest - reg_value(s, in->base)) >> in->scale);
    }
}

/* Linear address the operand has after solving; for patches. */
static uint64_t operand_linear(const struct gen_state *s, const struct gen_insn *gi, uint64_t next)
{
    const struct x86_insn *in = &gi->in;
    uint64_t ea = reg_value(s, in->base) + (reg_value(s, in->index) << in->scale) + (uint64_t)in->disp;
    if (in->flags & X86_IF_RIPREL)
        ea += next;
    if (in->flags & (X86_IF_A16 | X86_IF_A32))
        ea = in->flags & X86_IF_A16 ? (uint16_t)ea : (uint32_t)ea;
    return ea + s->seg_base[in->seg];
}

static uint64_t aim(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    struct x86_insn *in = &gi->in;
    bool absolute = in->base == X86_SLOT_ZERO && in->index == X86_SLOT_ZERO;
    bool low = (absolute && gi->disp_bytes < 8) || (in->flags & (X86_IF_A16 | X86_IF_A32));
    uint64_t want = gen_target(s->r, low ? 0 : s->high, operand_bytes(in), preferred_align(s->r, in));
    uint64_t next = lin + in->len - (s->in->mode == CASE_64 ? 0 : s->seg_base[X86_CS]);
    uint64_t off = want - s->seg_base[in->seg];
    if (in->flags & X86_IF_RIPREL)
        set_disp(gi, off - next);
    else if (absolute && gi->disp_bytes != 0)
        set_disp(gi, off);
    else
        solve(s, gi, off);
    return operand_linear(s, gi, next);
}

void gen_operands(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    uint64_t at = 0;
    if (gi->in.flags & X86_IF_MEM)
        at = aim(s, gi, lin);
    gen_special(s, gi, at);
}
