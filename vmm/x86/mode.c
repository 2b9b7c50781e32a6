/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What follows from the control registers, CS, SS and RFLAGS: decoder mode, address bases, the TLB view, the block
 * key.
 */
#include "vmm/x86/mmu.h"

static bool seg_flat(const struct x86_seg *s)
{
    bool down = (s->attr & (X86_SEG_CODE | X86_SEG_DOWN)) == X86_SEG_DOWN;
    return s->limit == 0xffffffffu && !down && !(s->attr & X86_SEG_UNUSABLE);
}

static void update_segments(struct x86_cpu *c)
{
    c->flat_r = c->flat_w = 0;
    for (unsigned i = 0; i < 6; i++) {
        const struct x86_seg *s = &c->seg[i];
        bool keep = !c->long64 || i == X86_FS || i == X86_GS;
        c->segbase[i] = keep ? s->base : 0;
        if (c->long64 || !seg_flat(s))
            continue;
        bool code = (s->attr & X86_SEG_CODE) != 0, w = (s->attr & X86_SEG_WRITE) != 0, pm = x86_protected(c);
        if (!pm || !code || w)
            c->flat_r |= (uint8_t)(1u << i);
        if (!pm || (!code && w))
            c->flat_w |= (uint8_t)(1u << i);
    }
}

static bool breakpoints_armed(const struct x86_cpu *c, bool exec)
{
    for (unsigned i = 0; i < 4; i++) {
        bool is_exec = (c->dr7 >> (16 + 4 * i) & 3) == 0;
        if ((c->dr7 >> (2 * i) & 3) != 0 && is_exec == exec)
            return true;
    }
    return false;
}

static uint32_t make_key(const struct x86_cpu *c)
{
    uint32_t key = c->dec_mode & X86_KEY_BITS;
    if (c->cpl == 3)
        key |= X86_KEY_USER;
    if ((c->eflags & (X86_FL_TF | X86_FL_RF)) || c->watch_on || breakpoints_armed(c, true) || c->shadow_sti ||
        c->shadow_ss || c->step_one)
        key |= X86_KEY_SINGLE;
    if (!x86_protected(c))
        key |= X86_KEY_REAL;
    const struct x86_seg *cs = &c->seg[X86_CS];
    if (!c->long64 && seg_flat(cs) && cs->base == 0)
        key |= X86_KEY_FLAT;
    return key;
}

void x86_mode_update(struct x86_cpu *c)
{
    uint32_t cs_attr = c->seg[X86_CS].attr;
    c->long64 = x86_long_mode(c) && (cs_attr & X86_SEG_L);
    unsigned bits = c->long64 ? X86_DEC_64 : cs_attr & X86_SEG_DB ? X86_DEC_32 : X86_DEC_16;
    c->dec_mode = (uint8_t)(bits | (c->amd ? X86_DEC_AMD : 0));
    c->stack16 = !c->long64 && !(c->seg[X86_SS].attr & X86_SEG_DB);
    update_segments(c);
    c->ac_on = c->cpl == 3 && (c->cr0 & X86_CR0_AM) && (c->eflags & X86_FL_AC);
    c->watch_on = breakpoints_armed(c, false);
    bool smap = (c->cr4 & X86_CR4_SMAP) && !(c->eflags & X86_FL_AC);
    c->tlb_kind = c->cpl == 3 ? X86_TLB_USER : smap ? X86_TLB_SMAP : X86_TLB_SUPER;
    c->tlb = c->mmu->tlb[c->tlb_kind];
    c->key = make_key(c);
    const struct x86_space *s = &c->mmu->space[c->mmu->cur];
    c->tlb_gen = c->ac_on || c->watch_on ? 0 : s->gen;
    c->ctx = s->uid << 8 | c->key;
}

void x86_set_rflags(struct x86_cpu *c, uint64_t rflags)
{
    uint64_t old = c->eflags;
    x86_flags_set(c, (uint32_t)rflags & X86_FL_ARITH);
    c->eflags = (rflags & ~(uint64_t)X86_FL_ARITH) | 2;
    if ((old ^ c->eflags) & (X86_FL_AC | X86_FL_TF | X86_FL_RF))
        x86_mode_update(c);
}
