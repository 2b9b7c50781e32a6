/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * BMI1 and BMI2 but for shifts and multiplication: ANDN BEXTR BLSI BLSMSK BLSR BZHI PDEP PEXT. Operand size 4 or 8.
 * Source: Intel SDM volume 2. Undefined flags as on Zen 5.
 */
#include "vmm/x86/exec_int.h"

static int do_andn(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    v &= ~x86_get_n(c, in->vreg, size);
    x86_set_n(c, in->reg, size, v);
    x86_flags_logic(c, v, size);
    return X86_NEXT;
}

/* Start in bits 7:0 of the control register, length in bits 15:8; both may exceed the operand. */
static uint64_t extract_field(uint64_t v, unsigned start, unsigned len)
{
    if (start > 63)
        return 0;
    v >>= start;
    return len > 63 ? v : v & ((UINT64_C(1) << len) - 1);
}

/* SF is clear whatever the result, PF is the result's and AF is set (Zen 5); bit 0 of the lazy word inverts SF. */
static int do_bextr(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t v, control = c->r[in->vreg];
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    v = extract_field(v, control & 0xff, control >> 8 & 0xff);
    x86_set_n(c, in->reg, size, v);
    c->cc_res = v;
    c->cc_aux = 8 | (uint32_t)(v >> 63);
    return X86_NEXT;
}

/* BLSI, BLSMSK, BLSR: destination in vreg; CF tells a zero source (BLSI: one that is not zero). */
static int do_bls(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t v, res;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    if (in->op == X86_OP_BLSI)
        res = v & (0 - v);
    else
        res = int_trunc(in->op == X86_OP_BLSR ? v & (v - 1) : v ^ (v - 1), size);
    x86_set_n(c, in->vreg, size, res);
    x86_flags_result(c, res, size, (v == 0) != (in->op == X86_OP_BLSI), 0, 0);
    return X86_NEXT;
}

static int do_bzhi(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size, n = c->r[in->vreg] & 0xff;
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    bool all = n >= size * 8;
    if (!all)
        v &= (UINT64_C(1) << n) - 1;
    x86_set_n(c, in->reg, size, v);
    x86_flags_result(c, v, size, all, 0, 0);
    return X86_NEXT;
}

/* Spread the low bits of v to the places set in mask. */
static uint64_t deposit_bits(uint64_t v, uint64_t mask)
{
    uint64_t res = 0;
    for (; mask != 0; mask &= mask - 1, v >>= 1)
        res |= v & 1 ? mask & (0 - mask) : 0;
    return res;
}

/* Gather the bits of v at the places set in mask. */
static uint64_t extract_bits(uint64_t v, uint64_t mask)
{
    uint64_t res = 0, to = 1;
    for (; mask != 0; mask &= mask - 1, to <<= 1)
        res |= v & mask & (0 - mask) ? to : 0;
    return res;
}

static int do_pdep(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t mask;
    int r = int_read_rm(c, in, in->size, &mask);
    if (!x86_failed(r))
        x86_set_n(c, in->reg, in->size, deposit_bits(c->r[in->vreg], mask));
    return r;
}

static int do_pext(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t mask;
    int r = int_read_rm(c, in, in->size, &mask);
    if (!x86_failed(r))
        x86_set_n(c, in->reg, in->size, extract_bits(c->r[in->vreg], mask));
    return r;
}

x86_handler *x86_bind_bmi(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_ANDN: return do_andn;
    case X86_OP_BEXTR: return do_bextr;
    case X86_OP_BZHI: return do_bzhi;
    case X86_OP_PDEP: return do_pdep;
    case X86_OP_PEXT: return do_pext;
    default: return do_bls;
    }
}
