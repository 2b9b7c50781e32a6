/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MMX and SSE: permutations and selections under an immediate or under XMM0. Written out in C: as host instructions
 * each immediate would need a stub of its own. Source: Intel SDM volume 2, each instruction; AMD APM volume 4.
 */
#include "vmm/x86/exec_vec.h"

/* d = f(d, s, imm). Pure. */
typedef void imm_fn(union x86_vec *d, const union x86_vec *s, unsigned imm);

static void op_pshufd(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++)
        d->d[i] = s->d[imm >> 2 * i & 3];
}

static void op_pshuflw(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++)
        d->w[i] = s->w[imm >> 2 * i & 3];
    d->q[1] = s->q[1];
}

static void op_pshufhw(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++)
        d->w[4 + i] = s->w[4 + (imm >> 2 * i & 3)];
    d->q[0] = s->q[0];
}

static void op_shufps(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    union x86_vec a = *d;
    d->d[0] = a.d[imm & 3];
    d->d[1] = a.d[imm >> 2 & 3];
    d->d[2] = s->d[imm >> 4 & 3];
    d->d[3] = s->d[imm >> 6 & 3];
}

static void op_shufpd(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    d->q[0] = d->q[imm & 1];
    d->q[1] = s->q[imm >> 1 & 1];
}

/* Destination above source, shifted right by imm bytes; zeros follow. */
static void align_right(uint8_t *d, const uint8_t *s, unsigned n, unsigned imm)
{
    uint8_t wide[48] = {0};
    memcpy(wide, s, n);
    memcpy(wide + n, d, n);
    memcpy(d, wide + (imm > 2 * n ? 2 * n : imm), n);
}

static void op_palignr(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    align_right(d->b, s->b, 16, imm);
}

static void op_blendps(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++)
        if (imm >> i & 1)
            d->d[i] = s->d[i];
}

static void op_blendpd(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 2; i++)
        if (imm >> i & 1)
            d->q[i] = s->q[i];
}

static void op_pblendw(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    for (unsigned i = 0; i < 8; i++)
        if (imm >> i & 1)
            d->w[i] = s->w[i];
}

/* Sums of absolute differences of one four-byte block of the source with eight overlapping ones of the destination. */
static void op_mpsadbw(union x86_vec *d, const union x86_vec *s, unsigned imm)
{
    union x86_vec a = *d;
    const uint8_t *block = &s->b[(imm & 3) * 4], *p = &a.b[imm & 4];
    for (unsigned i = 0; i < 8; i++) {
        unsigned sum = 0;
        for (unsigned j = 0; j < 4; j++)
            sum += p[i + j] > block[j] ? (unsigned)(p[i + j] - block[j]) : (unsigned)(block[j] - p[i + j]);
        d->w[i] = (uint16_t)sum;
    }
}

static imm_fn *imm_op(unsigned op)
{
    switch (op) {
    case X86_OP_PSHUFD: return op_pshufd;
    case X86_OP_PSHUFLW: return op_pshuflw;
    case X86_OP_PSHUFHW: return op_pshufhw;
    case X86_OP_SHUFPS: return op_shufps;
    case X86_OP_SHUFPD: return op_shufpd;
    case X86_OP_PALIGNR: return op_palignr;
    case X86_OP_BLENDPS: return op_blendps;
    case X86_OP_BLENDPD: return op_blendpd;
    case X86_OP_PBLENDW: return op_pblendw;
    case X86_OP_MPSADBW: return op_mpsadbw;
    default: return NULL;
    }
}

static inline int run_imm(struct x86_cpu *c, const struct x86_insn *in, imm_fn *fn)
{
    union x86_vec s;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    fn(&d, &s, (unsigned)in->imm & 0xff);
    x86_xmm_set(c, in->reg, &d);
    return r;
}

static int do_imm(struct x86_cpu *c, const struct x86_insn *in)
{
    return run_imm(c, in, imm_op(in->op));
}

/* The frequent ones without the look-up. */
static int do_pshufd(struct x86_cpu *c, const struct x86_insn *in)
{
    return run_imm(c, in, op_pshufd);
}

static int do_shufps(struct x86_cpu *c, const struct x86_insn *in)
{
    return run_imm(c, in, op_shufps);
}

/* PSHUFW and PALIGNR on MMX registers. */
static int do_mmx_imm(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = x86_mmx_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = {.q = {x86_mmx_get(c, x86_mm_reg(in)), 0}};
    if (in->op == X86_OP_PSHUFW)
        op_pshuflw(&d, &s, (unsigned)in->imm & 0xff);
    else
        align_right(d.b, s.b, 8, (unsigned)in->imm & 0xff);
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), d.q[0]);
    return r;
}

/* ---- Selection by the sign bits of XMM0 ---- */

static void blend_bytes(union x86_vec *d, const union x86_vec *s, const union x86_vec *mask)
{
    for (unsigned i = 0; i < 16; i++)
        d->b[i] = mask->b[i] >> 7 ? s->b[i] : d->b[i];
}

static void blend_singles(union x86_vec *d, const union x86_vec *s, const union x86_vec *mask)
{
    for (unsigned i = 0; i < 4; i++)
        d->d[i] = mask->d[i] >> 31 ? s->d[i] : d->d[i];
}

static void blend_doubles(union x86_vec *d, const union x86_vec *s, const union x86_vec *mask)
{
    for (unsigned i = 0; i < 2; i++)
        d->q[i] = mask->q[i] >> 63 ? s->q[i] : d->q[i];
}

static int do_blendv(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg), mask = x86_xmm_get(c, 0);
    if (in->op == X86_OP_PBLENDVB)
        blend_bytes(&d, &s, &mask);
    else if (in->op == X86_OP_BLENDVPS)
        blend_singles(&d, &s, &mask);
    else
        blend_doubles(&d, &s, &mask);
    x86_xmm_set(c, in->reg, &d);
    return r;
}

x86_handler *x86_bind_vec_misc(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    switch (in->op) {
    case X86_OP_PSHUFD: return do_pshufd;
    case X86_OP_SHUFPS: return do_shufps;
    case X86_OP_PSHUFW: return do_mmx_imm;
    case X86_OP_PALIGNR: return in->size == 8 ? do_mmx_imm : do_imm;
    case X86_OP_PBLENDVB:
    case X86_OP_BLENDVPS:
    case X86_OP_BLENDVPD: return do_blendv;
    default: return imm_op(in->op) != NULL ? do_imm : NULL;
    }
}
