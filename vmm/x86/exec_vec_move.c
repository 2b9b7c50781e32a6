/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MMX and SSE: moves between registers, memory and general registers; masks; single elements in and out.
 * Source: Intel SDM volume 2, each instruction; AMD APM volumes 4 and 5.
 */
#include "vmm/x86/exec_vec.h"

/* ---- Whole registers ---- */

static int do_mov_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->rm);
    x86_xmm_set(c, in->reg, &u);
    return X86_NEXT;
}

static int do_mov_reg_store(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->reg);
    x86_xmm_set(c, in->rm, &u);
    return X86_NEXT;
}

static inline int load16(struct x86_cpu *c, const struct x86_insn *in, bool aligned)
{
    union x86_vec u;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_load16(c, in, aligned, &u);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &u);
    return r;
}

static inline int store16(struct x86_cpu *c, const struct x86_insn *in, bool aligned)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->reg);
    return x86_vec_store16(c, in, aligned, &u);
}

static int do_load_aligned(struct x86_cpu *c, const struct x86_insn *in)
{
    return load16(c, in, true);
}

static int do_load_unaligned(struct x86_cpu *c, const struct x86_insn *in)
{
    return load16(c, in, false);
}

static int do_store_aligned(struct x86_cpu *c, const struct x86_insn *in)
{
    return store16(c, in, true);
}

static int do_store_unaligned(struct x86_cpu *c, const struct x86_insn *in)
{
    return store16(c, in, false);
}

static x86_handler *bind_mov16(const struct x86_insn *in, bool aligned)
{
    if (in->form == X86_FORM_RM_R) {
        if (!(in->flags & X86_IF_MEM))
            return do_mov_reg_store;
        return aligned ? do_store_aligned : do_store_unaligned;
    }
    if (!(in->flags & X86_IF_MEM))
        return do_mov_reg;
    return aligned ? do_load_aligned : do_load_unaligned;
}

/* ---- Low and high parts ---- */

/* MOVSS, MOVSD, MOVQ from memory: the rest of the register becomes zero. */
static int do_load_low(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec u;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &u);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &u);
    return r;
}

/* Stores of the lowest msize bytes. */
static int do_store_low(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    return x86_failed(r) ? r : x86_store(c, in, in->msize, c->fpu.vec[in->reg][0]);
}

static int do_store_high(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    return x86_failed(r) ? r : x86_store(c, in, 8, c->fpu.vec[in->reg][1]);
}

/* MOVLPS, MOVHPS and their doubles from memory: the other half stays. */
static inline int load_half(struct x86_cpu *c, const struct x86_insn *in, unsigned half)
{
    uint64_t v;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_load(c, in, 8, &v);
    if (!x86_failed(r))
        c->fpu.vec[in->reg][half] = v;
    return r;
}

static int do_load_low_half(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_half(c, in, 0);
}

static int do_load_high_half(struct x86_cpu *c, const struct x86_insn *in)
{
    return load_half(c, in, 1);
}

static int do_movhlps(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        c->fpu.vec[in->reg][0] = c->fpu.vec[in->rm][1];
    return r;
}

static int do_movlhps(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        c->fpu.vec[in->reg][1] = c->fpu.vec[in->rm][0];
    return r;
}

static inline int merge_low(struct x86_cpu *c, unsigned to, unsigned from, uint64_t mask)
{
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        c->fpu.vec[to][0] = (c->fpu.vec[to][0] & ~mask) | (c->fpu.vec[from][0] & mask);
    return r;
}

/* MOVSS and MOVSD between registers, in both encodings: only the low element changes. */
static int do_movss_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    return merge_low(c, in->reg, in->rm, 0xffffffff);
}

static int do_movss_reg_store(struct x86_cpu *c, const struct x86_insn *in)
{
    return merge_low(c, in->rm, in->reg, 0xffffffff);
}

static int do_movsd_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    return merge_low(c, in->reg, in->rm, UINT64_MAX);
}

static int do_movsd_reg_store(struct x86_cpu *c, const struct x86_insn *in)
{
    return merge_low(c, in->rm, in->reg, UINT64_MAX);
}

static x86_handler *bind_scalar(const struct x86_insn *in, x86_handler *reg, x86_handler *reg_store)
{
    bool store = in->form == X86_FORM_RM_R;
    if (in->flags & X86_IF_MEM)
        return store ? do_store_low : do_load_low;
    return store ? reg_store : reg;
}

/* ---- MOVD and MOVQ ---- */

static int do_movd_to_xmm(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec u = {.q = {0, 0}};
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_MEM)
        r = x86_load(c, in, x86_vec_wide(in) ? 8 : 4, &u.q[0]);
    else
        u.q[0] = x86_get_n(c, in->rm, x86_vec_wide(in) ? 8 : 4);
    if (!x86_failed(r))
        x86_xmm_set(c, in->reg, &u);
    return r;
}

static int do_movd_from_xmm(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    uint64_t v = c->fpu.vec[in->reg][0];
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, x86_vec_wide(in) ? 8 : 4, v);
    x86_vec_set_gpr(c, in->rm, x86_vec_wide(in), v);
    return X86_NEXT;
}

static int do_movd_to_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = 0;
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_MEM)
        r = x86_load(c, in, x86_vec_wide(in) ? 8 : 4, &v);
    else
        v = x86_get_n(c, in->rm, x86_vec_wide(in) ? 8 : 4);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), v);
    return r;
}

static int do_movd_from_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    uint64_t v = x86_mmx_get(c, x86_mm_reg(in));
    if (in->flags & X86_IF_MEM)
        r = x86_store(c, in, x86_vec_wide(in) ? 8 : 4, v);
    else
        x86_vec_set_gpr(c, in->rm, x86_vec_wide(in), v);
    if (!x86_failed(r))
        x86_fpu_enter_mmx(c);
    return r;
}

static int do_movq_to_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec u;
    int r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = x86_mmx_source(c, in, &u);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), u.q[0]);
    return r;
}

static int do_movq_from_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    uint64_t v = x86_mmx_get(c, x86_mm_reg(in));
    if (in->flags & X86_IF_MEM)
        r = x86_store(c, in, 8, v);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    if (!(in->flags & X86_IF_MEM))
        x86_mmx_set(c, x86_mm_rm(in), v);
    return r;
}

/* MOVQ between XMM registers clears the high half. */
static int do_movq_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    bool store = in->form == X86_FORM_RM_R;
    union x86_vec u = {.q = {c->fpu.vec[store ? in->reg : in->rm][0], 0}};
    x86_xmm_set(c, store ? in->rm : in->reg, &u);
    return X86_NEXT;
}

static x86_handler *bind_movq(const struct x86_insn *in)
{
    if (in->size == 8)
        return in->form == X86_FORM_RM_R ? do_movq_from_mmx : do_movq_to_mmx;
    return bind_scalar(in, do_movq_reg, do_movq_reg);
}

static x86_handler *bind_movd(const struct x86_insn *in)
{
    if (in->size == 8)
        return in->form == X86_FORM_RM_R ? do_movd_from_mmx : do_movd_to_mmx;
    return in->form == X86_FORM_RM_R ? do_movd_from_xmm : do_movd_to_xmm;
}

/* MOVDQ2Q and MOVQ2DQ touch both register files: both sets of checks, and the move to MMX. */
static inline int check_both(struct x86_cpu *c)
{
    int r = x86_fpu_check_sse(c);
    return x86_failed(r) ? r : x86_fpu_check_mmx(c);
}

static int do_movdq2q(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = check_both(c);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), c->fpu.vec[in->rm][0]);
    return X86_NEXT;
}

static int do_movq2dq(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = check_both(c);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    union x86_vec u = {.q = {x86_mmx_get(c, x86_mm_rm(in)), 0}};
    x86_xmm_set(c, in->reg, &u);
    return X86_NEXT;
}

/*
 * Like every MMX instruction EMMS clears TOP, then all registers become empty. Source: Intel SDM volume 3, table 13-2.
 */
static int do_emms(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    x86_fpu_leave_mmx(c);
    return X86_NEXT;
}

/* ---- Sign masks to a general register ---- */

static int do_movmskps(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->rm);
    c->r[in->reg] = u.d[0] >> 31 | u.d[1] >> 31 << 1 | u.d[2] >> 31 << 2 | u.d[3] >> 31 << 3;
    return X86_NEXT;
}

static int do_movmskpd(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        c->r[in->reg] = c->fpu.vec[in->rm][0] >> 63 | c->fpu.vec[in->rm][1] >> 63 << 1;
    return r;
}

static uint32_t byte_signs(x86_m128 v)
{
    uint32_t mask;
    __asm__("pmovmskb %1, %0" : "=r"(mask) : "x"(v));
    return mask;
}

static int do_pmovmskb(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->rm);
    c->r[in->reg] = byte_signs(u.v);
    return X86_NEXT;
}

static int do_pmovmskb_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    union x86_vec u = {.q = {x86_mmx_get(c, x86_mm_rm(in)), 0}};
    c->r[in->reg] = byte_signs(u.v);
    return X86_NEXT;
}

/* ---- Masked stores ---- */

/*
 * Store the bytes of u whose mask byte has its top bit set, at rDI. All len bytes must be writable whatever the mask
 * says, as silicon has it; nothing is written otherwise. Runs of bytes are written at once.
 */
static int store_masked(struct x86_cpu *c, const struct x86_insn *in, const union x86_vec *u, const union x86_vec *mask,
                        unsigned len)
{
    int step = x86_probe_write(c, in, 0, 8); /* eight bytes at a time */
    if (!x86_failed(step) && len > 8)
        step = x86_probe_write(c, in, 8, len - 8);
    if (x86_failed(step))
        return step;
    for (unsigned i = 0; i < len;) {
        unsigned n = 0;
        while (i + n < len && mask->b[i + n] >> 7 != 0)
            n++;
        int r = n == 0 ? X86_NEXT : x86_store_bytes(c, in, i, &u->b[i], n, 0);
        if (x86_failed(r))
            return r;
        if (r != X86_NEXT)
            step = r;
        i += n + 1;
    }
    return step;
}

static int do_maskmovdqu(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->reg), mask = x86_xmm_get(c, in->rm);
    return store_masked(c, in, &u, &mask, 16);
}

/* Silicon makes the move to MMX before it looks at the memory, so a page fault leaves it behind. */
static int do_maskmovq(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = {.q = {x86_mmx_get(c, x86_mm_reg(in)), 0}};
    union x86_vec mask = {.q = {x86_mmx_get(c, x86_mm_rm(in)), 0}};
    x86_fpu_enter_mmx(c);
    return store_masked(c, in, &u, &mask, 8);
}

/* ---- Single elements ---- */

/* Element `index` of size bytes, counted from the low end. */
static uint64_t element_get(const union x86_vec *u, unsigned index, unsigned size)
{
    switch (size) {
    case 1: return u->b[index & 15];
    case 2: return u->w[index & 7];
    case 4: return u->d[index & 3];
    default: return u->q[index & 1];
    }
}

static void element_set(union x86_vec *u, unsigned index, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: u->b[index & 15] = (uint8_t)v; break;
    case 2: u->w[index & 7] = (uint16_t)v; break;
    case 4: u->d[index & 3] = (uint32_t)v; break;
    default: u->q[index & 1] = v; break;
    }
}

static unsigned element_size(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_PEXTRB:
    case X86_OP_PINSRB: return 1;
    case X86_OP_PEXTRW:
    case X86_OP_PINSRW: return 2;
    case X86_OP_EXTRACTPS: return 4;
    default: return x86_vec_wide(in) ? 8 : 4;
    }
}

/* PEXTRB, PEXTRW (the SSE4.1 encoding), PEXTRD, PEXTRQ, EXTRACTPS. A register is written whole. */
static int do_pextr(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    unsigned size = element_size(in);
    union x86_vec u = x86_xmm_get(c, in->reg);
    uint64_t v = element_get(&u, (unsigned)in->imm, size);
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, size, v);
    c->r[in->rm] = v;
    return X86_NEXT;
}

static int do_pextrw_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_sse(c);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->rm);
    c->r[in->reg] = u.w[in->imm & 7];
    return X86_NEXT;
}

static int do_pextrw_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_mmx(c);
    if (x86_failed(r))
        return r;
    x86_fpu_enter_mmx(c);
    c->r[in->reg] = (uint16_t)(x86_mmx_get(c, x86_mm_rm(in)) >> (in->imm & 3) * 16);
    return X86_NEXT;
}

static int pinsr_source(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t *v)
{
    if (in->flags & X86_IF_MEM)
        return x86_load(c, in, size, v);
    *v = c->r[in->rm];
    return X86_NEXT;
}

/* PINSRB, PINSRW, PINSRD, PINSRQ. */
static int do_pinsr(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    unsigned size = element_size(in);
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = pinsr_source(c, in, size, &v);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->reg);
    element_set(&u, (unsigned)in->imm, size, v);
    x86_xmm_set(c, in->reg, &u);
    return r;
}

static int do_pinsrw_mmx(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    int r = x86_fpu_check_mmx(c);
    if (!x86_failed(r))
        r = pinsr_source(c, in, 2, &v);
    if (x86_failed(r))
        return r;
    union x86_vec u = {.q = {x86_mmx_get(c, x86_mm_reg(in)), 0}};
    u.w[in->imm & 3] = (uint16_t)v;
    x86_fpu_enter_mmx(c);
    x86_mmx_set(c, x86_mm_reg(in), u.q[0]);
    return r;
}

/* A memory source has one element, whatever the source field of the immediate says. */
static int do_insertps(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec s;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = x86_vec_source(c, in, &s);
    if (x86_failed(r))
        return r;
    union x86_vec u = x86_xmm_get(c, in->reg);
    u.d[in->imm >> 4 & 3] = s.d[in->flags & X86_IF_MEM ? 0 : in->imm >> 6 & 3];
    for (unsigned i = 0; i < 4; i++)
        if (in->imm >> i & 1)
            u.d[i] = 0;
    x86_xmm_set(c, in->reg, &u);
    return r;
}

/* ---- Binding ---- */

/* Operations of MMX or SSE whose XMM form came with SSE2. */
static x86_handler *bind_both(const struct x86_cpu *c, const struct x86_insn *in, x86_handler *mmx, x86_handler *xmm)
{
    if (in->size == 8)
        return mmx;
    return x86_has(c, X86_F_SSE2) ? xmm : NULL;
}

x86_handler *x86_bind_vec_move(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)key;
    bool store = in->form == X86_FORM_RM_R;
    switch (in->op) {
    case X86_OP_MOVAPS:
    case X86_OP_MOVAPD:
    case X86_OP_MOVDQA:
    case X86_OP_MOVNTPS:
    case X86_OP_MOVNTPD:
    case X86_OP_MOVNTDQ:
    case X86_OP_MOVNTDQA: return bind_mov16(in, true);
    case X86_OP_MOVUPS:
    case X86_OP_MOVUPD:
    case X86_OP_MOVDQU:
    case X86_OP_LDDQU: return bind_mov16(in, false);
    case X86_OP_MOVLPS:
    case X86_OP_MOVLPD: return store ? do_store_low : do_load_low_half;
    case X86_OP_MOVHPS:
    case X86_OP_MOVHPD: return store ? do_store_high : do_load_high_half;
    case X86_OP_MOVHLPS: return do_movhlps;
    case X86_OP_MOVLHPS: return do_movlhps;
    case X86_OP_MOVSS: return bind_scalar(in, do_movss_reg, do_movss_reg_store);
    case X86_OP_MOVSD: return bind_scalar(in, do_movsd_reg, do_movsd_reg_store);
    case X86_OP_MOVD: return bind_both(c, in, bind_movd(in), bind_movd(in));
    case X86_OP_MOVQ: return bind_both(c, in, bind_movq(in), bind_movq(in));
    case X86_OP_MOVNTQ: return do_movq_from_mmx;
    case X86_OP_MOVDQ2Q: return do_movdq2q;
    case X86_OP_MOVQ2DQ: return do_movq2dq;
    case X86_OP_EMMS: return do_emms;
    case X86_OP_MOVMSKPS: return do_movmskps;
    case X86_OP_MOVMSKPD: return do_movmskpd;
    case X86_OP_PMOVMSKB: return bind_both(c, in, do_pmovmskb_mmx, do_pmovmskb);
    case X86_OP_MASKMOVQ: return do_maskmovq;
    case X86_OP_MASKMOVDQU: return do_maskmovdqu;
    case X86_OP_PEXTRB:
    case X86_OP_PEXTRW:
    case X86_OP_PEXTRD:
    case X86_OP_EXTRACTPS: return do_pextr;
    case X86_OP_PEXTRW_REG: return bind_both(c, in, do_pextrw_mmx, do_pextrw_reg);
    case X86_OP_PINSRW: return bind_both(c, in, do_pinsrw_mmx, do_pinsr);
    case X86_OP_PINSRB:
    case X86_OP_PINSRD: return do_pinsr;
    case X86_OP_INSERTPS: return do_insertps;
    default: return NULL;
    }
}

x86_handler *x86_bind_vec(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    static x86_binder *const files[] = {x86_bind_vec_move, x86_bind_vec_int, x86_bind_vec_fp, x86_bind_vec_misc,
                                        x86_bind_vec_string};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        x86_handler *fn = files[i](c, in, key);
        if (fn != NULL)
            return fn;
    }
    return NULL;
}
