/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SSE floating point with unmasked exceptions. The instruction is never run with an exception unmasked: what would
 * trap, and with which flags, follows from masked runs. Source: Intel SDM volume 1, 4.9.1, 4.9.2, 11.5.2, 11.5.3; the
 * finer points as processors do them.
 */
#include "vmm/x86/exec_vec_fp.h"

#define BEFORE (X86_MXCSR_IE | X86_MXCSR_DE | X86_MXCSR_ZE) /* found in the operands, before computing */
#define RANGE  (X86_MXCSR_OE | X86_MXCSR_UE)

/*
 * Flags of an operation under the control word's masks. An unmasked exception found in any operand stops the
 * instruction before it computes: flags of results stay clear. Unmasked underflow means tiny, exact or not, and
 * switches FTZ off; a run with FTZ shows tininess.
 */
static uint32_t flags_unmasked(unsigned op, x86_fp_stub *fn, uint32_t control, uint32_t open, union x86_vec *d,
                               const union x86_vec *s)
{
    union x86_vec before = *d;
    uint32_t masked = control | X86_MXCSR_MASKS;
    if (open & X86_MXCSR_UE)
        masked &= ~X86_MXCSR_FTZ;
    uint32_t fl = fn(d, s, masked) & X86_MXCSR_FLAGS;
    if (fl & open & BEFORE)
        return fl & BEFORE;
    if (open & X86_MXCSR_UE) {
        union x86_vec scratch = before;
        fl |= fn(&scratch, s, masked | X86_MXCSR_FTZ) & X86_MXCSR_UE;
    }
    if ((fl & open & RANGE) && (fl & X86_MXCSR_PE))
        fl = x86_fp_trapped_precision(op, &before, s, masked, open, fl);
    return fl;
}

int x86_fp_run_unmasked(struct x86_cpu *c, unsigned op, x86_fp_stub *fn, uint32_t control, union x86_vec *d,
                        const union x86_vec *s)
{
    union x86_vec result = *d;
    uint32_t open = ~control >> X86_MXCSR_MASK_SHIFT & X86_MXCSR_FLAGS;
    uint32_t fl = flags_unmasked(op, fn, control, open, &result, s);
    c->fpu.mxcsr |= fl;
    if (fl & open)
        return x86_raise(c, c->cr4 & X86_CR4_OSXMMEXCPT ? X86_XM : X86_UD);
    *d = result;
    return X86_NEXT;
}

/* ---- Precision of a trapped result ---- */

enum arith { ADD, SUB, MUL, DIV, CVT };

/* How an operation is made of scalar ones. */
struct split {
    uint8_t even, odd;  /* enum arith of the elements */
    uint8_t size;       /* bytes of an operand element */
    uint8_t lanes;      /* results; 0: the operation is not here, its precision flag needs no second thought */
    uint8_t horizontal; /* operands are neighbours */
};

static struct split split_of(unsigned op)
{
    switch (op) {
    case X86_OP_ADDPS: return (struct split){ADD, ADD, 4, 4, 0};
    case X86_OP_ADDSS: return (struct split){ADD, ADD, 4, 1, 0};
    case X86_OP_ADDPD: return (struct split){ADD, ADD, 8, 2, 0};
    case X86_OP_ADDSD: return (struct split){ADD, ADD, 8, 1, 0};
    case X86_OP_SUBPS: return (struct split){SUB, SUB, 4, 4, 0};
    case X86_OP_SUBSS: return (struct split){SUB, SUB, 4, 1, 0};
    case X86_OP_SUBPD: return (struct split){SUB, SUB, 8, 2, 0};
    case X86_OP_SUBSD: return (struct split){SUB, SUB, 8, 1, 0};
    case X86_OP_MULPS: return (struct split){MUL, MUL, 4, 4, 0};
    case X86_OP_MULSS: return (struct split){MUL, MUL, 4, 1, 0};
    case X86_OP_MULPD: return (struct split){MUL, MUL, 8, 2, 0};
    case X86_OP_MULSD: return (struct split){MUL, MUL, 8, 1, 0};
    case X86_OP_DIVPS: return (struct split){DIV, DIV, 4, 4, 0};
    case X86_OP_DIVSS: return (struct split){DIV, DIV, 4, 1, 0};
    case X86_OP_DIVPD: return (struct split){DIV, DIV, 8, 2, 0};
    case X86_OP_DIVSD: return (struct split){DIV, DIV, 8, 1, 0};
    case X86_OP_ADDSUBPS: return (struct split){SUB, ADD, 4, 4, 0};
    case X86_OP_ADDSUBPD: return (struct split){SUB, ADD, 8, 2, 0};
    case X86_OP_HADDPS: return (struct split){ADD, ADD, 4, 4, 1};
    case X86_OP_HADDPD: return (struct split){ADD, ADD, 8, 2, 1};
    case X86_OP_HSUBPS: return (struct split){SUB, SUB, 4, 4, 1};
    case X86_OP_HSUBPD: return (struct split){SUB, SUB, 8, 2, 1};
    case X86_OP_CVTPD2PS: return (struct split){CVT, CVT, 8, 2, 0};
    case X86_OP_CVTSD2SS: return (struct split){CVT, CVT, 8, 1, 0};
    default: return (struct split){0, 0, 0, 0, 0};
    }
}

/* clang-format off */
X86_FP_STUB(addss) X86_FP_STUB(subss) X86_FP_STUB(mulss) X86_FP_STUB(divss)
X86_FP_STUB(addsd) X86_FP_STUB(subsd) X86_FP_STUB(mulsd) X86_FP_STUB(divsd) X86_FP_STUB(cvtsd2ss)
    /* clang-format on */

    static x86_fp_stub *const scalar[][2] = {
        [ADD] = {fp_addss, fp_addsd}, [SUB] = {fp_subss, fp_subsd},       [MUL] = {fp_mulss, fp_mulsd},
        [DIV] = {fp_divss, fp_divsd}, [CVT] = {fp_cvtsd2ss, fp_cvtsd2ss},
};

/*
 * The same on the host's x87, whose exponent is wide enough never to overflow here: status word after it. cw: rounds
 * like the original.
 */
typedef uint16_t wide_stub(const union x86_vec *a, const union x86_vec *b, uint16_t cw);

#define WIDE(name, text, part)                                                                                         \
    static uint16_t wide_##name(const union x86_vec *a, const union x86_vec *b, uint16_t cw)                           \
    {                                                                                                                  \
        uint16_t old = 0, sw = 0;                                                                                      \
        __asm__ volatile("fnstcw %0\n\tfldcw %2\n\t" text "\n\tfnstsw %1\n\tfstp %%st(0)\n\tfnclex\n\tfldcw %0"        \
                         : "+m"(old), "+m"(sw)                                                                         \
                         : "m"(cw), "m"(a->part[0]), "m"(b->part[0])                                                   \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");                       \
        return sw;                                                                                                     \
    }

WIDE(addss, "flds %3\n\tfadds %4", d)
WIDE(subss, "flds %3\n\tfsubs %4", d)
WIDE(mulss, "flds %3\n\tfmuls %4", d)
WIDE(divss, "flds %3\n\tfdivs %4", d)
WIDE(addsd, "fldl %3\n\tfaddl %4", q)
WIDE(subsd, "fldl %3\n\tfsubl %4", q)
WIDE(mulsd, "fldl %3\n\tfmull %4", q)
WIDE(divsd, "fldl %3\n\tfdivl %4", q)
WIDE(cvtsd2ss, "fld1\n\tfmull %4", q)

static wide_stub *const wide[][2] = {
    [ADD] = {wide_addss, wide_addsd}, [SUB] = {wide_subss, wide_subsd},       [MUL] = {wide_mulss, wide_mulsd},
    [DIV] = {wide_divss, wide_divsd}, [CVT] = {wide_cvtsd2ss, wide_cvtsd2ss},
};

/* x87 control word: all masked, precision of the result's format, rounding of MXCSR. */
static uint16_t x87_control(bool to_double, uint32_t control)
{
    uint32_t rc = (control & X86_MXCSR_RC) >> X86_MXCSR_RC_SHIFT;
    return (uint16_t)(X86_FSW_EXC | (to_double ? 0x200u : 0u) | rc << 10);
}

/* Element n of size bytes, alone in a register. */
static union x86_vec element(const union x86_vec *u, unsigned n, unsigned size)
{
    union x86_vec e = {.q = {size == 8 ? u->q[n & 1] : u->d[n & 3], 0}};
    return e;
}

static uint32_t lane_precision(enum arith what, bool dbl, const union x86_vec *a, const union x86_vec *b,
                               uint32_t control, uint32_t open)
{
    union x86_vec t = *a;
    uint32_t fl = scalar[what][dbl](&t, b, control);
    t = *a;
    uint32_t tiny = scalar[what][dbl](&t, b, control | X86_MXCSR_FTZ) & X86_MXCSR_UE;
    if (((fl | tiny) & open & RANGE) == 0)
        return fl & X86_MXCSR_PE;
    return wide[what][dbl](a, b, x87_control(dbl && what != CVT, control)) & X86_MXCSR_PE;
}

uint32_t x86_fp_trapped_precision(unsigned op, const union x86_vec *d, const union x86_vec *s, uint32_t control,
                                  uint32_t open, uint32_t fl)
{
    struct split sp = split_of(op);
    uint32_t precision = sp.lanes == 0 ? fl & X86_MXCSR_PE : 0;
    for (unsigned i = 0; i < sp.lanes; i++) {
        const union x86_vec *h = i < sp.lanes / 2u ? d : s;
        union x86_vec a = sp.horizontal ? element(h, 2 * i, sp.size) : element(d, i, sp.size);
        union x86_vec b = sp.horizontal ? element(h, 2 * i + 1, sp.size) : element(s, i, sp.size);
        precision |= lane_precision(i & 1 ? sp.odd : sp.even, sp.size == 8, &a, &b, control, open);
    }
    return (fl & ~X86_MXCSR_PE) | precision;
}
