/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the MMX and SSE executor share: a 128-bit value, registers, operand loads.
 *
 * Arithmetic is done by the host's own instruction of the same name, in a "stub": a function of destination and source
 * values that knows neither the guest nor memory. MMX forms run on 64-bit halves of XMM registers, for the host's MMX
 * would disturb its x87 state. A legacy SSE instruction keeps the upper half of the YMM register.
 */
#ifndef CAISSON_VMM_X86_EXEC_VEC_H
#define CAISSON_VMM_X86_EXEC_VEC_H

#include "vmm/x86/core.h"
#include "vmm/x86/fpu.h"

typedef uint64_t x86_m128 __attribute__((vector_size(16)));

union x86_vec {
    uint64_t q[2];
    uint32_t d[4];
    uint16_t w[8];
    uint8_t b[16];
    x86_m128 v;
};

/* d op s. Pure. */
typedef x86_m128 x86_vec_stub(x86_m128 d, x86_m128 s);

/* The binders of the single files: NULL when the operation, or this form of it, is not theirs. */
x86_binder x86_bind_vec_move, x86_bind_vec_int, x86_bind_vec_fp, x86_bind_vec_misc, x86_bind_vec_string;

/* Registers are copied as one vector: a store in halves read back whole would not be forwarded by the host. */
static inline union x86_vec x86_xmm_get(const struct x86_cpu *c, unsigned n)
{
    union x86_vec u;
    memcpy(&u.v, c->fpu.vec[n], 16);
    return u;
}

static inline void x86_xmm_set(struct x86_cpu *c, unsigned n, const union x86_vec *u)
{
    memcpy(c->fpu.vec[n], &u->v, 16);
}

/* MMX register numbers have three bits; REX.R and REX.B do not extend them. */
static inline unsigned x86_mm_reg(const struct x86_insn *in)
{
    return in->reg & 7u;
}

static inline unsigned x86_mm_rm(const struct x86_insn *in)
{
    return in->rm & 7u;
}

/*
 * The 16-byte memory operand; aligned: a multiple of 16 or #GP(0). Source: Intel SDM volume 1, 10.4.1.1; volume 2,
 * 2.4.
 */
static inline int x86_vec_load16(struct x86_cpu *c, const struct x86_insn *in, bool aligned, union x86_vec *u)
{
    uint64_t lin;
    if (x86_likely(!x86_failed(x86_linear(c, in, x86_ea(c, in), 16, false, &lin)))) {
        const uint8_t *p = x86_fast_read(c, lin, 16);
        if (x86_likely(p != NULL && (!aligned || (lin & 15) == 0))) {
            memcpy(u, p, 16);
            return X86_NEXT;
        }
    }
    return x86_load_bytes(c, in, 0, u, 16, aligned ? 16 : 0);
}

static inline int x86_vec_store16(struct x86_cpu *c, const struct x86_insn *in, bool aligned, const union x86_vec *u)
{
    uint64_t lin;
    if (x86_likely(!x86_failed(x86_linear(c, in, x86_ea(c, in), 16, true, &lin)))) {
        uint8_t *p = x86_fast_write(c, lin, 16);
        if (x86_likely(p != NULL && (!aligned || (lin & 15) == 0))) {
            memcpy(p, u, 16);
            return X86_NEXT;
        }
    }
    return x86_store_bytes(c, in, 0, u, 16, aligned ? 16 : 0);
}

/* Register or memory source. A memory operand shorter than 16 bytes is zero-extended and needs no alignment. */
static inline int x86_vec_source(struct x86_cpu *c, const struct x86_insn *in, union x86_vec *s)
{
    if (!(in->flags & X86_IF_MEM)) {
        *s = x86_xmm_get(c, in->rm);
        return X86_NEXT;
    }
    if (in->msize == 16)
        return x86_vec_load16(c, in, true, s);
    s->q[1] = 0;
    return x86_load(c, in, in->msize, &s->q[0]);
}

/* The same for an MMX source: 64 bits, zero above. */
static inline int x86_mmx_source(struct x86_cpu *c, const struct x86_insn *in, union x86_vec *s)
{
    s->q[1] = 0;
    if (in->flags & X86_IF_MEM)
        return x86_load(c, in, in->msize, &s->q[0]);
    s->q[0] = x86_mmx_get(c, x86_mm_rm(in));
    return X86_NEXT;
}

/* A general register as the other operand has 32 bits, or 64 with REX.W. */
static inline bool x86_vec_wide(const struct x86_insn *in)
{
    return (in->flags & X86_IF_REXW) != 0;
}

static inline void x86_vec_set_gpr(struct x86_cpu *c, unsigned n, bool wide, uint64_t v)
{
    c->r[n] = wide ? v : (uint32_t)v;
}

#endif
