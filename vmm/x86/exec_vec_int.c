/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MMX and SSE: integer arithmetic, logic, shifts, packing; and the bit-exact floating-point moves (logic, unpack,
 * duplicate). One stub per instruction, one table, a few handlers for the operand forms. Source: Intel SDM volume 2,
 * each instruction; AMD APM volumes 4 and 5.
 */
#include "vmm/x86/exec_vec.h"

/* ---- The host's instructions ---- */

#define STUB(name)                                                                                                     \
    static x86_m128 op_##name(x86_m128 d, x86_m128 s)                                                                  \
    {                                                                                                                  \
        __asm__(#name " %1, %0" : "+x"(d) : "x"(s));                                                                   \
        return d;                                                                                                      \
    }

/* clang-format off */
STUB(paddb) STUB(paddw) STUB(paddd) STUB(paddq) STUB(paddsb) STUB(paddsw) STUB(paddusb) STUB(paddusw) STUB(psubb)
STUB(psubw) STUB(psubd) STUB(psubq) STUB(psubsb) STUB(psubsw) STUB(psubusb) STUB(psubusw) STUB(pand) STUB(pandn)
STUB(por) STUB(pxor) STUB(pcmpeqb) STUB(pcmpeqw) STUB(pcmpeqd) STUB(pcmpgtb) STUB(pcmpgtw) STUB(pcmpgtd)
STUB(pmaddwd) STUB(pmulhw) STUB(pmullw) STUB(pmulhuw) STUB(pmuludq) STUB(pavgb) STUB(pavgw) STUB(pmaxsw)
STUB(pmaxub) STUB(pminsw) STUB(pminub) STUB(psadbw) STUB(psllw) STUB(pslld) STUB(psllq) STUB(psraw) STUB(psrad)
STUB(psrlw) STUB(psrld) STUB(psrlq) STUB(punpcklbw) STUB(punpcklwd) STUB(punpckldq) STUB(pmaddubsw) STUB(pmulhrsw)
STUB(psignb) STUB(psignw) STUB(psignd) STUB(pabsb) STUB(pabsw) STUB(pabsd) STUB(packsswb) STUB(packssdw)
STUB(packuswb) STUB(phaddw) STUB(phaddd) STUB(phaddsw) STUB(phsubw) STUB(phsubd) STUB(phsubsw) STUB(punpckhbw)
STUB(punpckhwd) STUB(punpckhdq) STUB(pshufb) STUB(punpckhqdq) STUB(punpcklqdq) STUB(packusdw) STUB(pcmpeqq)
STUB(pcmpgtq) STUB(phminposuw) STUB(pmaxsb) STUB(pmaxsd) STUB(pmaxud) STUB(pmaxuw) STUB(pminsb) STUB(pminsd)
STUB(pminud) STUB(pminuw) STUB(pmuldq) STUB(pmulld) STUB(pmovsxbw) STUB(pmovsxbd) STUB(pmovsxbq) STUB(pmovsxwd)
STUB(pmovsxwq) STUB(pmovsxdq) STUB(pmovzxbw) STUB(pmovzxbd) STUB(pmovzxbq) STUB(pmovzxwd) STUB(pmovzxwq)
STUB(pmovzxdq) STUB(unpcklps) STUB(unpckhps) STUB(unpcklpd) STUB(unpckhpd) STUB(movddup) STUB(movshdup)
STUB(movsldup)
    /* clang-format on */

    /* Byte shifts of the whole register; the count is an immediate, which the host would want as a constant. */
    static x86_m128 op_pslldq(x86_m128 d, x86_m128 s)
{
    uint8_t zero_below[32] = {0};
    memcpy(zero_below + 16, &d, 16);
    memcpy(&d, zero_below + 16 - (s[0] > 16 ? 16 : s[0]), 16);
    return d;
}

static x86_m128 op_psrldq(x86_m128 d, x86_m128 s)
{
    uint8_t zero_above[32] = {0};
    memcpy(zero_above, &d, 16);
    memcpy(&d, zero_above + (s[0] > 16 ? 16 : s[0]), 16);
    return d;
}

/* ---- The table ---- */

/* How the MMX form follows from the XMM one. */
enum mmx_kind {
    MMX_NONE,  /* there is none */
    MMX_LANE,  /* the low half of the XMM result */
    MMX_PACK,  /* sources side by side in one register, as both operands */
    MMX_HIGH,  /* unpack high: the high half of what the low unpack of the same width gives */
    MMX_SHUFB, /* the index has three bits */
};

struct int_op {
    x86_vec_stub *fn;
    uint8_t mmx; /* enum mmx_kind */
};

#define ROW(op, stub, kind) [X86_OP_##op] = {op_##stub, MMX_##kind},

static const struct int_op int_ops[X86_OP_COUNT] = {
    /* clang-format off */
    ROW(PADDB, paddb, LANE) ROW(PADDW, paddw, LANE) ROW(PADDD, paddd, LANE) ROW(PADDQ, paddq, LANE)
    ROW(PADDSB, paddsb, LANE) ROW(PADDSW, paddsw, LANE) ROW(PADDUSB, paddusb, LANE) ROW(PADDUSW, paddusw, LANE)
    ROW(PSUBB, psubb, LANE) ROW(PSUBW, psubw, LANE) ROW(PSUBD, psubd, LANE) ROW(PSUBQ, psubq, LANE)
    ROW(PSUBSB, psubsb, LANE) ROW(PSUBSW, psubsw, LANE) ROW(PSUBUSB, psubusb, LANE) ROW(PSUBUSW, psubusw, LANE)
    ROW(PAND, pand, LANE) ROW(PANDN, pandn, LANE) ROW(POR, por, LANE) ROW(PXOR, pxor, LANE)
    ROW(PCMPEQB, pcmpeqb, LANE) ROW(PCMPEQW, pcmpeqw, LANE) ROW(PCMPEQD, pcmpeqd, LANE) ROW(PCMPGTB, pcmpgtb, LANE)
    ROW(PCMPGTW, pcmpgtw, LANE) ROW(PCMPGTD, pcmpgtd, LANE) ROW(PMADDWD, pmaddwd, LANE) ROW(PMULHW, pmulhw, LANE)
    ROW(PMULLW, pmullw, LANE) ROW(PMULHUW, pmulhuw, LANE) ROW(PMULUDQ, pmuludq, LANE) ROW(PAVGB, pavgb, LANE)
    ROW(PAVGW, pavgw, LANE) ROW(PMAXSW, pmaxsw, LANE) ROW(PMAXUB, pmaxub, LANE) ROW(PMINSW, pminsw, LANE)
    ROW(PMINUB, pminub, LANE) ROW(PSADBW, psadbw, LANE) ROW(PSLLW, psllw, LANE) ROW(PSLLD, pslld, LANE)
    ROW(PSLLQ, psllq, LANE) ROW(PSRAW, psraw, LANE) ROW(PSRAD, psrad, LANE) ROW(PSRLW, psrlw, LANE)
    ROW(PSRLD, psrld, LANE) ROW(PSRLQ, psrlq, LANE) ROW(PUNPCKLBW, punpcklbw, LANE) ROW(PUNPCKLWD, punpcklwd, LANE)
    ROW(PUNPCKLDQ, punpckldq, LANE) ROW(PMADDUBSW, pmaddubsw, LANE) ROW(PMULHRSW, pmulhrsw, LANE)
    ROW(PSIGNB, psignb, LANE) ROW(PSIGNW, psignw, LANE) ROW(PSIGND, psignd, LANE) ROW(PABSB, pabsb, LANE)
    ROW(PABSW, pabsw, LANE) ROW(PABSD, pabsd, LANE) ROW(PACKSSWB, packsswb, PACK) ROW(PACKSSDW, packssdw, PACK)
    ROW(PACKUSWB, packuswb, PACK) ROW(PHADDW, phaddw, PACK) ROW(PHADDD, phaddd, PACK) ROW(PHADDSW, phaddsw, PACK)
    ROW(PHSUBW, phsubw, PACK) ROW(PHSUBD, phsubd, PACK) ROW(PHSUBSW, phsubsw, PACK) ROW(PUNPCKHBW, punpckhbw, HIGH)
    ROW(PUNPCKHWD, punpckhwd, HIGH) ROW(PUNPCKHDQ, punpckhdq, HIGH) ROW(PSHUFB, pshufb, SHUFB)
    ROW(PUNPCKHQDQ, punpckhqdq, NONE) ROW(PUNPCKLQDQ, punpcklqdq, NONE) ROW(PACKUSDW, packusdw, NONE)
    ROW(PCMPEQQ, pcmpeqq, NONE) ROW(PCMPGTQ, pcmpgtq, NONE) ROW(PHMINPOSUW, phminposuw, NONE)
    ROW(PMAXSB, pmaxsb, NONE) ROW(PMAXSD, pmaxsd, NONE) ROW(PMAXUD, pmaxud, NONE) ROW(PMAXUW, pmaxuw, NONE)
    ROW(PMINSB, pminsb, NONE) ROW(PMINSD, pminsd, NONE) ROW(PMINUD, pminud, NONE) ROW(PMINUW, pminuw, NONE)
    ROW(PMULDQ, pmuldq, NONE) ROW(PMULLD, pmulld, NONE) ROW(PMOVSXBW, pmovsxbw, NONE) ROW(PMOVSXBD, pmovsxbd, NONE)
    ROW(PMOVSXBQ, pmovsxbq, NONE) ROW(PMOVSXWD, pmovsxwd, NONE) ROW(PMOVSXWQ, pmovsxwq, NONE)
    ROW(PMOVSXDQ, pmovsxdq, NONE) ROW(PMOVZXBW, pmovzxbw, NONE) ROW(PMOVZXBD, pmovzxbd, NONE)
    ROW(PMOVZXBQ, pmovzxbq, NONE) ROW(PMOVZXWD, pmovzxwd, NONE) ROW(PMOVZXWQ, pmovzxwq, NONE)
    ROW(PMOVZXDQ, pmovzxdq, NONE) ROW(UNPCKLPS, unpcklps, NONE) ROW(UNPCKHPS, unpckhps, NONE)
    ROW(UNPCKLPD, unpcklpd, NONE) ROW(UNPCKHPD, unpckhpd, NONE) ROW(MOVDDUP, movddup, NONE)
    ROW(MOVSHDUP, movshdup, NONE) ROW(MOVSLDUP, movsldup, NONE) ROW(ANDPS, pand, NONE) ROW(ANDPD, pand, NONE)
    ROW(ANDNPS, pandn, NONE) ROW(ANDNPD, pandn, NONE) ROW(ORPS, por, NONE) ROW(ORPD, por, NONE)
    ROW(XORPS, pxor, NONE) ROW(XORPD, pxor, NONE) ROW(PSLLDQ, pslldq, NONE) ROW(PSRLDQ, psrldq, NONE)
    /* clang-format on */
};

static x86_vec_stub *low_unpack(unsigned op)
{
    return op == X86_OP_PUNPCKHBW ? op_punpcklbw : op == X86_OP_PUNPCKHWD ? op_punpcklwd : op_punpckldq;
}

/* d op s on 64 bits. */
static uint64_t compute_mmx(unsigned op, uint64_t d, uint64_t s)
{
    const struct int_op *row = &int_ops[op];
    x86_m128 vd = {d, 0}, vs = {s, 0}, both = {d, s};
    switch (row->mmx) {
    case MMX_PACK: return row->fn(both, both)[0];
    case MMX_HIGH: return low_unpack(op)(vd, vs)[1];
    case MMX_SHUFB: vs[0] &= UINT64_C(0x8787878787878787); return row->fn(vd, vs)[0];
    default: return row->fn(vd, vs)[0];
    }
}

/* ---- Handlers by operand form ---- */

static int do_xmm_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg), s = x86_xmm_get(c, in->rm);
    d.v = int_ops[in->op].fn(d.v, s.v);
    x86_xmm_set(c, in->reg, &d);
    return X86_NEXT;
}

static int do_xmm_mem(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    d.v = int_ops[in->op].fn(d.v, s.v);
    x86_xmm_set(c, in->reg, &d);
    return r;
}

static int do_xmm_imm(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->rm), s = {.q = {in->imm & 0xff, 0}};
    d.v = int_ops[in->op].fn(d.v, s.v);
    x86_xmm_set(c, in->rm, &d);
    return X86_NEXT;
}

static int do_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = x86_mmx_source(c, in, &s);
    if (x86_failed(r))
        return r;
    uint64_t d = compute_mmx(in->op, x86_mmx_get(c, x86_mm_reg(in)), s.q[0]);
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), d);
    return r;
}

static int do_mmx_imm(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    uint64_t d = compute_mmx(in->op, x86_mmx_get(c, x86_mm_rm(in)), in->imm & 0xff);
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_rm(in), d);
    return X86_NEXT;
}

/* ZF: no common bit; CF: no bit of the source outside the destination. The other arithmetic flags are cleared. */
static int do_ptest(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec d = x86_xmm_get(c, in->reg);
    uint32_t fl = ((s.q[0] & d.q[0]) | (s.q[1] & d.q[1])) == 0 ? X86_FL_ZF : 0;
    fl |= ((s.q[0] & ~d.q[0]) | (s.q[1] & ~d.q[1])) == 0 ? X86_FL_CF : 0;
    x86_flags_set(c, fl);
    return r;
}

x86_handler *x86_bind_vec_int(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)key;
    if (in->op == X86_OP_PTEST)
        return do_ptest;
    const struct int_op *row = &int_ops[in->op];
    if (row->fn == NULL)
        return NULL;
    bool imm = in->form == X86_FORM_RM_I;
    if (in->size == 8)
        return row->mmx == MMX_NONE ? NULL : imm ? do_mmx_imm : do_mmx;
    /* An operation with an MMX form may be older than its XMM form, which came with SSE2 at the earliest. */
    if (row->mmx != MMX_NONE && !x86_has(c, X86_F_SSE2))
        return NULL;
    if (imm)
        return do_xmm_imm;
    return in->flags & X86_IF_MEM ? do_xmm_mem : do_xmm_reg;
}
