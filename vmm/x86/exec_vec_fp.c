/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SSE floating point: arithmetic, compares, conversions, rounding, dot products.
 * Source: Intel SDM volume 2, each instruction, volume 1, 11.5; AMD APM volume 4.
 */
#include "vmm/x86/exec_vec_fp.h"

/* ---- The host's instructions ---- */

/* clang-format off */
X86_FP_STUB(addps) X86_FP_STUB(addss) X86_FP_STUB(addpd) X86_FP_STUB(addsd)
X86_FP_STUB(subps) X86_FP_STUB(subss) X86_FP_STUB(subpd) X86_FP_STUB(subsd)
X86_FP_STUB(mulps) X86_FP_STUB(mulss) X86_FP_STUB(mulpd) X86_FP_STUB(mulsd)
X86_FP_STUB(divps) X86_FP_STUB(divss) X86_FP_STUB(divpd) X86_FP_STUB(divsd)
X86_FP_STUB(minps) X86_FP_STUB(minss) X86_FP_STUB(minpd) X86_FP_STUB(minsd)
X86_FP_STUB(maxps) X86_FP_STUB(maxss) X86_FP_STUB(maxpd) X86_FP_STUB(maxsd)
X86_FP_STUB(sqrtps) X86_FP_STUB(sqrtss) X86_FP_STUB(sqrtpd) X86_FP_STUB(sqrtsd)
X86_FP_STUB(rcpps) X86_FP_STUB(rcpss) X86_FP_STUB(rsqrtps) X86_FP_STUB(rsqrtss)
X86_FP_STUB(addsubps) X86_FP_STUB(addsubpd)
X86_FP_STUB(haddps) X86_FP_STUB(haddpd) X86_FP_STUB(hsubps) X86_FP_STUB(hsubpd)
X86_FP_STUB(cvtps2pd) X86_FP_STUB(cvtpd2ps) X86_FP_STUB(cvtss2sd) X86_FP_STUB(cvtsd2ss)
X86_FP_STUB(cvtdq2ps) X86_FP_STUB(cvtps2dq) X86_FP_STUB(cvttps2dq)
X86_FP_STUB(cvtdq2pd) X86_FP_STUB(cvtpd2dq) X86_FP_STUB(cvttpd2dq)

/* The rounding mode is MXCSR's; round*_quiet does not report inexact results. */
X86_FP_STUB_AS(roundps, "roundps $4, %3, %0") X86_FP_STUB_AS(roundps_quiet, "roundps $12, %3, %0")
X86_FP_STUB_AS(roundpd, "roundpd $4, %3, %0") X86_FP_STUB_AS(roundpd_quiet, "roundpd $12, %3, %0")
X86_FP_STUB_AS(roundss, "roundss $4, %3, %0") X86_FP_STUB_AS(roundss_quiet, "roundss $12, %3, %0")
X86_FP_STUB_AS(roundsd, "roundsd $4, %3, %0") X86_FP_STUB_AS(roundsd_quiet, "roundsd $12, %3, %0")

#define CMP(kind)                                                                                                      \
    X86_FP_STUB_AS(cmp##kind##0, "cmp" #kind " $0, %3, %0") X86_FP_STUB_AS(cmp##kind##1, "cmp" #kind " $1, %3, %0")    \
    X86_FP_STUB_AS(cmp##kind##2, "cmp" #kind " $2, %3, %0") X86_FP_STUB_AS(cmp##kind##3, "cmp" #kind " $3, %3, %0")    \
    X86_FP_STUB_AS(cmp##kind##4, "cmp" #kind " $4, %3, %0") X86_FP_STUB_AS(cmp##kind##5, "cmp" #kind " $5, %3, %0")    \
    X86_FP_STUB_AS(cmp##kind##6, "cmp" #kind " $6, %3, %0") X86_FP_STUB_AS(cmp##kind##7, "cmp" #kind " $7, %3, %0")
#define CMP_ROW(kind)                                                                                                  \
    {fp_cmp##kind##0, fp_cmp##kind##1, fp_cmp##kind##2, fp_cmp##kind##3,                                               \
     fp_cmp##kind##4, fp_cmp##kind##5, fp_cmp##kind##6, fp_cmp##kind##7}
CMP(ps) CMP(pd) CMP(ss) CMP(sd)

/* A general register as the result, in d->q[0]. */
#define TO_GPR(name, insn, type)                                                                                       \
    static uint32_t fp_##name(union x86_vec *d, const union x86_vec *s, uint32_t mxcsr)                                \
    {                                                                                                                  \
        const uint32_t host = X86_MXCSR_INIT;                                                                          \
        type v;                                                                                                        \
        __asm__ volatile(X86_FP_ASM(insn " %3, %0") : "=&r"(v), "+m"(mxcsr) : "m"(host), "x"(s->v));                   \
        d->q[0] = v;                                                                                                   \
        return mxcsr;                                                                                                  \
    }

TO_GPR(cvtss2sil, "cvtss2sil", uint32_t)
TO_GPR(cvtss2siq, "cvtss2siq", uint64_t)
TO_GPR(cvtsd2sil, "cvtsd2sil", uint32_t)
TO_GPR(cvtsd2siq, "cvtsd2siq", uint64_t)
TO_GPR(cvttss2sil, "cvttss2sil", uint32_t)
TO_GPR(cvttss2siq, "cvttss2siq", uint64_t)
TO_GPR(cvttsd2sil, "cvttsd2sil", uint32_t)
TO_GPR(cvttsd2siq, "cvttsd2siq", uint64_t)

/* An integer as the source, in s->q[0] or its low half. */
#define FROM_INT(name, insn, part)                                                                                     \
    static uint32_t fp_##name(union x86_vec *d, const union x86_vec *s, uint32_t mxcsr)                                \
    {                                                                                                                  \
        const uint32_t host = X86_MXCSR_INIT;                                                                          \
        __asm__ volatile(X86_FP_ASM(insn " %3, %0") : "+x"(d->v), "+m"(mxcsr) : "m"(host), "r"(s->part[0]));           \
        return mxcsr;                                                                                                  \
    }

FROM_INT(cvtsi2ssl, "cvtsi2ssl", d)
FROM_INT(cvtsi2ssq, "cvtsi2ssq", q)
FROM_INT(cvtsi2sdl, "cvtsi2sdl", d)
FROM_INT(cvtsi2sdq, "cvtsi2sdq", q)

/* ZF, PF, CF as the result, in d->q[0] at their RFLAGS positions. */
#define TO_FLAGS(name)                                                                                                 \
    static uint32_t fp_##name(union x86_vec *d, const union x86_vec *s, uint32_t mxcsr)                                \
    {                                                                                                                  \
        const uint32_t host = X86_MXCSR_INIT;                                                                          \
        bool zf, pf, cf;                                                                                               \
        __asm__ volatile("ldmxcsr %3\n\t" #name " %6, %5\n\tstmxcsr %3\n\tldmxcsr %4"                                  \
                         : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf), "+m"(mxcsr)                                          \
                         : "m"(host), "x"(d->v), "x"(s->v));                                                           \
        d->q[0] = (zf ? X86_FL_ZF : 0) | (pf ? X86_FL_PF : 0) | (cf ? X86_FL_CF : 0);                                  \
        return mxcsr;                                                                                                  \
    }

TO_FLAGS(comiss)
TO_FLAGS(ucomiss)
TO_FLAGS(comisd)
TO_FLAGS(ucomisd)

/* ---- dst = dst op src ---- */

#define ROW(op, stub) [X86_OP_##op] = fp_##stub,

static x86_fp_stub *const fp_ops[X86_OP_COUNT] = {
    ROW(ADDPS, addps) ROW(ADDSS, addss) ROW(ADDPD, addpd) ROW(ADDSD, addsd)
    ROW(SUBPS, subps) ROW(SUBSS, subss) ROW(SUBPD, subpd) ROW(SUBSD, subsd)
    ROW(MULPS, mulps) ROW(MULSS, mulss) ROW(MULPD, mulpd) ROW(MULSD, mulsd)
    ROW(DIVPS, divps) ROW(DIVSS, divss) ROW(DIVPD, divpd) ROW(DIVSD, divsd)
    ROW(MINPS, minps) ROW(MINSS, minss) ROW(MINPD, minpd) ROW(MINSD, minsd)
    ROW(MAXPS, maxps) ROW(MAXSS, maxss) ROW(MAXPD, maxpd) ROW(MAXSD, maxsd)
    ROW(SQRTPS, sqrtps) ROW(SQRTSS, sqrtss) ROW(SQRTPD, sqrtpd) ROW(SQRTSD, sqrtsd)
    ROW(RCPPS, rcpps) ROW(RCPSS, rcpss) ROW(RSQRTPS, rsqrtps) ROW(RSQRTSS, rsqrtss)
    ROW(ADDSUBPS, addsubps) ROW(ADDSUBPD, addsubpd)
    ROW(HADDPS, haddps) ROW(HADDPD, haddpd) ROW(HSUBPS, hsubps) ROW(HSUBPD, hsubpd)
    ROW(CVTPS2PD, cvtps2pd) ROW(CVTPD2PS, cvtpd2ps) ROW(CVTSS2SD, cvtss2sd) ROW(CVTSD2SS, cvtsd2ss)
    ROW(CVTDQ2PS, cvtdq2ps) ROW(CVTPS2DQ, cvtps2dq) ROW(CVTTPS2DQ, cvttps2dq)
    ROW(CVTDQ2PD, cvtdq2pd) ROW(CVTPD2DQ, cvtpd2dq) ROW(CVTTPD2DQ, cvttpd2dq)
};
/* clang-format on */

/* Checks and the source operand of an instruction on XMM registers. */
static inline int begin(struct x86_cpu *c, const struct x86_insn *in, union x86_vec *s)
{
    int r = x86_fpu_check_sse(c);
    return x86_failed(r) ? r : x86_vec_source(c, in, s);
}

static int do_fp(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    r = x86_fp_run(c, in->op, fp_ops[in->op], &d, &s);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &d);
    return r;
}

/* ---- Compares ---- */

static x86_fp_stub *const cmp_ops[][8] = {CMP_ROW(ps), CMP_ROW(pd), CMP_ROW(ss), CMP_ROW(sd)};

static x86_fp_stub *cmp_op(const struct x86_insn *in)
{
    unsigned kind = in->op == X86_OP_CMPPS ? 0 : in->op == X86_OP_CMPPD ? 1 : in->op == X86_OP_CMPSS ? 2 : 3;
    return cmp_ops[kind][in->imm & 7];
}

static int do_cmp(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    r = x86_fp_run(c, in->op, cmp_op(in), &d, &s);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &d);
    return r;
}

static x86_fp_stub *comis_op(unsigned op)
{
    switch (op) {
    case X86_OP_COMISS: return fp_comiss;
    case X86_OP_UCOMISS: return fp_ucomiss;
    case X86_OP_COMISD: return fp_comisd;
    default: return fp_ucomisd;
    }
}

static int do_comis(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    r = x86_fp_run(c, in->op, comis_op(in->op), &d, &s);
    if (!x86_failed(r))
        x86_flags_set(c, (uint32_t)d.q[0]);
    return r;
}

/* ---- Rounding to integral values ---- */

static x86_fp_stub *round_op(unsigned op, bool quiet)
{
    switch (op) {
    case X86_OP_ROUNDPS: return quiet ? fp_roundps_quiet : fp_roundps;
    case X86_OP_ROUNDPD: return quiet ? fp_roundpd_quiet : fp_roundpd;
    case X86_OP_ROUNDSS: return quiet ? fp_roundss_quiet : fp_roundss;
    default: return quiet ? fp_roundsd_quiet : fp_roundsd;
    }
}

/* Immediate: bits 1:0 the rounding mode unless bit 2 asks for MXCSR's, bit 3 keeps PE quiet. */
static int do_round(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    uint32_t control = c->fpu.mxcsr & X86_MXCSR_CONTROL;
    if ((in->imm & 4) == 0)
        control = (control & ~X86_MXCSR_RC) | (uint32_t)(in->imm & 3) << X86_MXCSR_RC_SHIFT;
    r = x86_fp_run_with(c, in->op, round_op(in->op, (in->imm & 8) != 0), control, &d, &s);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &d);
    return r;
}

/* ---- Conversions with general registers ---- */

static x86_fp_stub *to_gpr_op(unsigned op, bool is_wide)
{
    switch (op) {
    case X86_OP_CVTSS2SI: return is_wide ? fp_cvtss2siq : fp_cvtss2sil;
    case X86_OP_CVTSD2SI: return is_wide ? fp_cvtsd2siq : fp_cvtsd2sil;
    case X86_OP_CVTTSS2SI: return is_wide ? fp_cvttss2siq : fp_cvttss2sil;
    default: return is_wide ? fp_cvttsd2siq : fp_cvttsd2sil;
    }
}

static int do_to_gpr(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s, d = {.q = {0, 0}};
    int r = begin(c, in, &s);
    if (!x86_failed(r))
        r = x86_fp_run(c, in->op, to_gpr_op(in->op, x86_vec_wide(in)), &d, &s);
    if (!x86_failed(r))
        c->r[in->reg] = d.q[0];
    return r;
}

static x86_fp_stub *from_gpr_op(unsigned op, bool is_wide)
{
    if (op == X86_OP_CVTSI2SS)
        return is_wide ? fp_cvtsi2ssq : fp_cvtsi2ssl;
    return is_wide ? fp_cvtsi2sdq : fp_cvtsi2sdl;
}

static int do_from_gpr(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s = {.q = {0, 0}};
    bool is_wide = x86_vec_wide(in);
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_MEM)
        r = x86_load(c, in, is_wide ? 8 : 4, &s.q[0]);
    else
        s.q[0] = c->r[in->rm];
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    r = x86_fp_run(c, in->op, from_gpr_op(in->op, is_wide), &d, &s);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &d);
    return r;
}

/* ---- Conversions with MMX registers ---- */

static x86_fp_stub *to_mmx_op(unsigned op)
{
    switch (op) {
    case X86_OP_CVTPS2PI: return fp_cvtps2dq;
    case X86_OP_CVTTPS2PI: return fp_cvttps2dq;
    case X86_OP_CVTPD2PI: return fp_cvtpd2dq;
    default: return fp_cvttpd2dq;
    }
}

/* The move to MMX comes before the arithmetic: it stays when that faults. */
static int do_to_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s, d = {.q = {0, 0}};
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    if (in->op == X86_OP_CVTPS2PI || in->op == X86_OP_CVTTPS2PI)
        s.q[1] = 0; /* two singles; zeros convert without a flag */
    x86_fpu_enter_mmx(c);
    r = x86_fp_run(c, in->op, to_mmx_op(in->op), &d, &s);
    if (!x86_failed(r))
        x86_mmx_set(c, x86_mm_reg(in), d.q[0]);
    return r;
}

/*
 * CVTPI2PD from memory has nothing to do with MMX; nor has CVTPI2PS on AMD. Source: Intel SDM volume 2, CVTPI2PS,
 * CVTPI2PD; measured.
 */
static bool from_mmx_moves(const struct x86_cpu *c, const struct x86_insn *in)
{
    return !(in->flags & X86_IF_MEM) || (in->op == X86_OP_CVTPI2PS && !c->amd);
}

static int do_from_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    bool moves = from_mmx_moves(c, in);
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r) && moves)
        r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = x86_mmx_source(c, in, &s);
    if (x86_failed(r))
        return r;
    if (moves)
        x86_fpu_enter_mmx(c);
    union x86_vec d = x86_xmm_get(c, in->reg);
    uint64_t high = d.q[1];
    r = x86_fp_run(c, in->op, in->op == X86_OP_CVTPI2PS ? fp_cvtdq2ps : fp_cvtdq2pd, &d, &s);
    if (x86_failed(r))
        return r;
    if (in->op == X86_OP_CVTPI2PS)
        d.q[1] = high;
    x86_xmm_set(c, in->reg, &d);
    return r;
}

/* ---- Dot products ---- */

/*
 * One multiplication of the selected elements (zeros elsewhere), then pairwise sums until one is left; each step
 * reports its own exceptions and may stop there.
 */
static int dot_product(struct x86_cpu *c, bool dbl, union x86_vec *a, union x86_vec *b)
{
    unsigned mul = dbl ? X86_OP_MULPD : X86_OP_MULPS, add = dbl ? X86_OP_HADDPD : X86_OP_HADDPS;
    int r = x86_fp_run(c, mul, fp_ops[mul], a, b);
    for (unsigned width = dbl ? 2 : 4; width > 1 && !x86_failed(r); width /= 2) {
        *b = *a;
        r = x86_fp_run(c, add, fp_ops[add], a, b);
    }
    return r;
}

static int do_dpps(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    for (unsigned i = 0; i < 4; i++)
        if (!(in->imm >> (4 + i) & 1))
            d.d[i] = s.d[i] = 0;
    r = dot_product(c, false, &d, &s);
    if (x86_failed(r))
        return r;
    for (unsigned i = 0; i < 4; i++)
        s.d[i] = in->imm >> i & 1 ? d.d[0] : 0;
    x86_xmm_set(c, in->reg, &s);
    return r;
}

static int do_dppd(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = begin(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    for (unsigned i = 0; i < 2; i++)
        if (!(in->imm >> (4 + i) & 1))
            d.q[i] = s.q[i] = 0;
    r = dot_product(c, true, &d, &s);
    if (x86_failed(r))
        return r;
    for (unsigned i = 0; i < 2; i++)
        s.q[i] = in->imm >> i & 1 ? d.q[0] : 0;
    x86_xmm_set(c, in->reg, &s);
    return r;
}

x86_handler *x86_bind_vec_fp(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    if (fp_ops[in->op] != NULL)
        return do_fp;
    switch (in->op) {
    case X86_OP_CMPPS:
    case X86_OP_CMPPD:
    case X86_OP_CMPSS:
    case X86_OP_CMPSD: return do_cmp;
    case X86_OP_COMISS:
    case X86_OP_COMISD:
    case X86_OP_UCOMISS:
    case X86_OP_UCOMISD: return do_comis;
    case X86_OP_ROUNDPS:
    case X86_OP_ROUNDPD:
    case X86_OP_ROUNDSS:
    case X86_OP_ROUNDSD: return do_round;
    case X86_OP_CVTSS2SI:
    case X86_OP_CVTSD2SI:
    case X86_OP_CVTTSS2SI:
    case X86_OP_CVTTSD2SI: return do_to_gpr;
    case X86_OP_CVTSI2SS:
    case X86_OP_CVTSI2SD: return do_from_gpr;
    case X86_OP_CVTPS2PI:
    case X86_OP_CVTTPS2PI:
    case X86_OP_CVTPD2PI:
    case X86_OP_CVTTPD2PI: return do_to_mmx;
    case X86_OP_CVTPI2PS:
    case X86_OP_CVTPI2PD: return do_from_mmx;
    case X86_OP_DPPS: return do_dpps;
    case X86_OP_DPPD: return do_dppd;
    default: return NULL;
    }
}
