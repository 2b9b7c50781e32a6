/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SSE floating point: stubs that run under a given MXCSR, and what happens when an exception is not masked.
 */
#ifndef CAISSON_VMM_X86_EXEC_VEC_FP_H
#define CAISSON_VMM_X86_EXEC_VEC_FP_H

#include "vmm/x86/exec_vec.h"

#define X86_MXCSR_IE         0x0001u
#define X86_MXCSR_DE         0x0002u
#define X86_MXCSR_ZE         0x0004u
#define X86_MXCSR_OE         0x0008u
#define X86_MXCSR_UE         0x0010u
#define X86_MXCSR_PE         0x0020u
#define X86_MXCSR_FLAGS      0x003fu
#define X86_MXCSR_MASKS      0x1f80u
#define X86_MXCSR_MASK_SHIFT 7
#define X86_MXCSR_RC         0x6000u
#define X86_MXCSR_RC_SHIFT   13
#define X86_MXCSR_FTZ        0x8000u
/* All that decides a result: rounding, FTZ, DAZ, masks. */
#define X86_MXCSR_CONTROL 0xffc0u

/*
 * d = d op s under mxcsr, in which all exceptions are masked and no flag is set; returns MXCSR as the instruction left
 * it. The host's own MXCSR is the default before and after.
 */
typedef uint32_t x86_fp_stub(union x86_vec *d, const union x86_vec *s, uint32_t mxcsr);

/* Wrap one instruction (text with %0 the destination, %3 the source) into the switch of MXCSR. */
#define X86_FP_ASM(text)                                                                                               \
    "ldmxcsr %1\n\t" text "\n\t"                                                                                       \
    "stmxcsr %1\n\t"                                                                                                   \
    "ldmxcsr %2"

#define X86_FP_STUB_AS(name, text)                                                                                     \
    static uint32_t fp_##name(union x86_vec *d, const union x86_vec *s, uint32_t mxcsr)                                \
    {                                                                                                                  \
        const uint32_t host = X86_MXCSR_INIT;                                                                          \
        __asm__ volatile(X86_FP_ASM(text) : "+x"(d->v), "+m"(mxcsr) : "m"(host), "x"(s->v));                           \
        return mxcsr;                                                                                                  \
    }

#define X86_FP_STUB(name) X86_FP_STUB_AS(name, #name " %3, %0")

/*
 * The slow half of x86_fp_run: some exception is not masked. Same arguments, control as in the stub but with the
 * guest's masks.
 */
int x86_fp_run_unmasked(struct x86_cpu *c, unsigned op, x86_fp_stub *fn, uint32_t control, union x86_vec *d,
                        const union x86_vec *s);

/*
 * The precision flag of an operation that traps on overflow or underflow tells about the result with an unbounded
 * exponent, which the masked instruction does not. op: enum x86_op; d, s: its operands; open: exceptions not masked
 * (flag positions); fl: flags of the masked run, UE set if tiny. Returns fl with PE as it ought to be. Pure. Source:
 * IEEE 754-1985, 7.3 and 7.4; Intel SDM volume 1, 4.9.1.5.
 */
uint32_t x86_fp_trapped_precision(unsigned op, const union x86_vec *d, const union x86_vec *s, uint32_t control,
                                  uint32_t open, uint32_t fl);

/*
 * Run a stub under the guest's control word. c: flags are merged into its MXCSR. control: X86_MXCSR_CONTROL bits. d:
 * the result, unchanged on a fault. Returns X86_NEXT, or X86_FAULT (#XM, or #UD without CR4.OSXMMEXCPT) with the flags
 * set.
 */
static inline int x86_fp_run_with(struct x86_cpu *c, unsigned op, x86_fp_stub *fn, uint32_t control, union x86_vec *d,
                                  const union x86_vec *s)
{
    if (x86_unlikely((control & X86_MXCSR_MASKS) != X86_MXCSR_MASKS))
        return x86_fp_run_unmasked(c, op, fn, control, d, s);
    uint32_t fl = fn(d, s, control) & X86_MXCSR_FLAGS;
    /* Mostly nothing new: without the store the next instruction need not wait for this one's flags. */
    if (x86_unlikely(fl & ~c->fpu.mxcsr))
        c->fpu.mxcsr |= fl;
    return X86_NEXT;
}

static inline int x86_fp_run(struct x86_cpu *c, unsigned op, x86_fp_stub *fn, union x86_vec *d, const union x86_vec *s)
{
    return x86_fp_run_with(c, op, fn, c->fpu.mxcsr & X86_MXCSR_CONTROL, d, s);
}

#endif
