/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What single operations want so that more happens than a fault: a generator that draws all operands blindly would
 * see DIV overflow, LOCK CMPXCHG fail and RET go astray nearly always.
 */
#include <string.h>

#include "tests/x86diff/gen.h"
#include "tests/x86diff/values.h"
#include "vmm/x86/core.h"

static uint64_t *gpr(struct gen_state *s, unsigned n)
{
    return &s->in->regs.gpr[n];
}

static uint64_t narrow(const struct gen_state *s, uint64_t v)
{
    return s->in->mode == CASE_64 ? v : (uint32_t)v;
}

static void set(struct gen_state *s, unsigned n, uint64_t v)
{
    if (!(s->pinned >> n & 1))
        *gpr(s, n) = narrow(s, v);
}

static void pin(struct gen_state *s, unsigned n, uint64_t v)
{
    set(s, n, v);
    s->pinned |= 1u << n;
}

static uint64_t data_pointer(struct gen_state *s, unsigned seg, unsigned bytes, unsigned align)
{
    return gen_target(s->r, s->high, bytes, align) - s->seg_base[seg];
}

/*
 * Where control may go: mostly a HLT after the case, sometimes anywhere in the window, sometimes nowhere. Offset in
 * CS.
 */
static uint64_t code_pointer(struct gen_state *s)
{
    struct rng *r = s->r;
    unsigned kind = rng_below(r, 20);
    uint64_t base = s->in->mode == CASE_64 ? 0 : s->seg_base[X86_CS];
    if (kind == 0)
        return gen_target(r, s->high, 1, 1) - base;
    if (kind == 1)
        return value_int(r);
    return ARENA_CODE + s->high + rng_below(r, ARENA_CODE_BYTES) - base;
}

static uint16_t selector(struct gen_state *s, bool code)
{
    static const uint16_t fixed[] = {0,    1,    3,    SEL_DATA, SEL_CODE32, SEL_CODE64, 0x10, 0x18,
                                     0x2a, 0x28, 0x43, 0x53,     0x63,       0xfff3,     0x8b};
    struct rng *r = s->r;
    if (code && rng_chance(r, 70))
        return s->in->mode == CASE_64 && rng_chance(r, 70) ? SEL_CODE64
               : rng_chance(r, 70)                         ? SEL_CODE32
                                                           : (uint16_t)LDT_SEL(LDT_CODE32);
    if (s->g->ldt && rng_chance(r, 45))
        return (uint16_t)(LDT_SEL(rng_below(r, LDT_COUNT + 1)) - (rng_chance(r, 10) ? 1u : 0));
    return fixed[rng_below(r, sizeof fixed / sizeof fixed[0])];
}

static void patch_value(struct gen_state *s, uint64_t lin, uint64_t v, unsigned bytes)
{
    gen_patch(s, lin, &v, bytes);
}

/* Put v where the rm operand is. */
static void set_rm(struct gen_state *s, const struct gen_insn *gi, uint64_t lin, uint64_t v, unsigned bytes)
{
    if (gi->in.flags & X86_IF_MEM)
        patch_value(s, lin, v, bytes);
    else
        set(s, gi->in.rm, v);
}

static uint64_t stack_linear(struct gen_state *s)
{
    uint64_t sp = *gpr(s, X86_RSP);
    if (s->in->mode != CASE_64 &&
        (s->in->regs.sel[X86_SS] == LDT_SEL(LDT_DATA16) || s->in->regs.sel[X86_SS] == LDT_SEL(LDT_DOWN16)))
        sp = (uint16_t)sp;
    return sp + (s->in->mode == CASE_64 ? 0 : s->seg_base[X86_SS]);
}

static void stack_slot(struct gen_state *s, unsigned slot, unsigned size, uint64_t v)
{
    patch_value(s, stack_linear(s) + (uint64_t)slot * size, v, size);
}

/* ---- Integer ---- */

static void want_divide(struct gen_state *s, struct gen_insn *gi)
{
    unsigned size = gi->in.size;
    uint64_t rax = *gpr(s, X86_RAX);
    if (rng_chance(s->r, 20))
        return;
    if (size == 1)
        set(s, X86_RAX,
            rng_chance(s->r, 50) ? rng_below(s->r, 256) : (rax & ~UINT64_C(0xffff)) | rng_below(s->r, 0x2000));
    else if (gi->in.op == X86_OP_DIV)
        set(s, X86_RDX, rng_chance(s->r, 60) ? 0 : rng_below(s->r, 256));
    else
        set(s, X86_RDX, rng_chance(s->r, 70) ? (rax >> (8 * size - 1) & 1 ? ~UINT64_C(0) : 0) : rng_next(s->r) & 3);
}

static void want_exchange(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    if (rng_chance(s->r, 50))
        set_rm(s, gi, lin, *gpr(s, X86_RAX), gi->in.size);
}

static void want_exchange_pair(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    unsigned half = gi->in.op == X86_OP_CMPXCHG8B ? 4 : 8;
    if (rng_chance(s->r, 50)) {
        patch_value(s, lin, *gpr(s, X86_RAX), half);
        patch_value(s, lin + half, *gpr(s, X86_RDX), half);
    }
}

static void want_bit_offset(struct gen_state *s, struct gen_insn *gi)
{
    if ((gi->in.flags & X86_IF_MEM) && gi->in.form == X86_FORM_RM_R && rng_chance(s->r, 85)) {
        int64_t bits = (int64_t)rng_below(s->r, 4096) - 2048;
        set(s, gi->in.reg, (uint64_t)bits);
    }
}

static void want_bounds(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    uint64_t v = *gpr(s, gi->in.reg);
    if (rng_chance(s->r, 60)) {
        patch_value(s, lin, v - rng_below(s->r, 3), gi->in.size);
        patch_value(s, lin + gi->in.size, v + rng_below(s->r, 4) - 1, gi->in.size);
    }
}

/* ---- Strings ---- */

static void want_string(struct gen_state *s, struct gen_insn *gi)
{
    static const uint16_t counts[] = {0, 1, 2, 3, 5, 8, 16, 17, 33, 64, 100, 600, 5000};
    struct rng *r = s->r;
    bool same = rng_chance(r, 30);
    uint64_t low = s->high;
    if (gi->in.flags & (X86_IF_A16 | X86_IF_A32))
        s->high = 0;
    if (rng_chance(r, 92))
        pin(s, X86_RSI, data_pointer(s, gi->in.seg, 256, rng_chance(r, 50) ? 8 : 1));
    if (rng_chance(r, 92))
        pin(s, X86_RDI,
            same ? *gpr(s, X86_RSI) + rng_below(r, 40) : data_pointer(s, X86_ES, 256, rng_chance(r, 50) ? 8 : 1));
    s->high = low;
    if (rng_chance(r, 96))
        pin(s, X86_RCX, counts[rng_below(r, sizeof counts / sizeof counts[0])]);
    else
        pin(s, X86_RCX, rng_next(r));
    if (rng_chance(r, 50) && (gi->in.op == X86_OP_SCAS || gi->in.op == X86_OP_CMPS)) { /* long runs of equal bytes */
        const uint64_t v = rng_chance(r, 50) ? 0 : *gpr(s, X86_RAX);
        uint8_t run[64];
        memset(run, (int)(v & 0xff), sizeof run);
        gen_patch(s, *gpr(s, X86_RDI) + (s->in->mode == CASE_64 ? 0 : s->seg_base[X86_ES]), run, rng_below(r, 65));
        gen_patch(s, *gpr(s, X86_RSI) + s->seg_base[gi->in.seg], run, rng_below(r, 65));
        set(s, X86_RAX, v);
    }
}

/* ---- Control flow ---- */

static void want_far_pointer(struct gen_state *s, struct gen_insn *gi, uint64_t lin, bool code)
{
    uint64_t off = code ? code_pointer(s) : rng_next(s->r);
    if (rng_chance(s->r, 90)) {
        patch_value(s, lin, off, gi->in.size);
        patch_value(s, lin + gi->in.size, selector(s, code), 2);
    }
}

static void want_near_pointer(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    set_rm(s, gi, lin, code_pointer(s), gi->in.size);
}

static void want_return(struct gen_state *s, struct gen_insn *gi)
{
    stack_slot(s, 0, gi->in.size, code_pointer(s));
    if (gi->in.op == X86_OP_RET)
        return;
    uint16_t cs = rng_chance(s->r, 40) ? s->in->regs.sel[X86_CS] : selector(s, true);
    stack_slot(s, 1, gi->in.size, cs);
    if (gi->in.op != X86_OP_IRET)
        return;
    uint64_t fl = rng_next(s->r) & (rng_chance(s->r, 10) ? 0x3fffffu : 0x204edfu);
    stack_slot(s, 2, gi->in.size, fl | (rng_chance(s->r, 10) ? 0x8000u : 0));
    stack_slot(s, 3, gi->in.size, data_pointer(s, X86_SS, 64, 8));
    stack_slot(s, 4, gi->in.size, rng_chance(s->r, 70) ? (unsigned)SEL_DATA : selector(s, false));
}

static void want_pop_flags(struct gen_state *s, struct gen_insn *gi)
{
    uint64_t fl = rng_next(s->r);
    if (!rng_chance(s->r, 10))
        fl &= ~(uint64_t)X86_FL_TF;
    if (!rng_chance(s->r, 10))
        fl &= ~(uint64_t)X86_FL_AC;
    stack_slot(s, 0, gi->in.size, fl);
}

static void set_immediate(struct gen_insn *gi, uint64_t v)
{
    for (unsigned i = gi->imm_at; i < gi->in.len; i++)
        gi->bytes[i] = (uint8_t)(v >> (8 * (i - gi->imm_at)));
}

/* Branches go a little way forward, into HLTs; sometimes back into this window, sometimes anywhere. */
static void want_branch(struct gen_state *s, struct gen_insn *gi)
{
    unsigned kind = rng_below(s->r, 20);
    if (kind < 14)
        set_immediate(gi, rng_below(s->r, 0x60));
    else if (kind < 18)
        set_immediate(gi, (uint64_t)0 - 0x60 + rng_below(s->r, 0xc0));
    if (gi->in.op >= X86_OP_LOOP && gi->in.op <= X86_OP_JCXZ)
        set(s, X86_RCX, rng_chance(s->r, 80) ? rng_below(s->r, 3) : value_int(s->r));
}

static void want_far_immediate(struct gen_state *s, struct gen_insn *gi)
{
    uint64_t off = code_pointer(s);
    uint64_t mask = gi->in.size == 2 ? 0xffff : 0xffffffff;
    if (rng_chance(s->r, 90))
        set_immediate(gi, (off & mask) | (uint64_t)selector(s, true) << (8 * gi->in.size));
}

static void want_enter(struct gen_state *s, struct gen_insn *gi)
{
    unsigned level = rng_chance(s->r, 70) ? rng_below(s->r, 3) : rng_below(s->r, 256);
    unsigned bytes = rng_chance(s->r, 80) ? rng_below(s->r, 64) : rng_below(s->r, 65536);
    set_immediate(gi, bytes | (uint64_t)level << 16);
}

/* ---- System ---- */

static void want_selector(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    uint64_t v = selector(s, false);
    if (!(gi->in.flags & X86_IF_MEM))
        v |= value_int(s->r) << 16;
    set_rm(s, gi, lin, v, 2);
}

static void want_base(struct gen_state *s, struct gen_insn *gi)
{
    if (rng_chance(s->r, 70))
        set(s, gi->in.rm, gen_target(s->r, s->high, 8, 1));
}

/* ---- Floating point and saved state ---- */

static void want_float_memory(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    uint8_t b[16];
    if (!(gi->in.flags & X86_IF_MEM) || rng_chance(s->r, 25))
        return;
    uint32_t f = value_f32(s->r);
    uint64_t d = value_f64(s->r);
    switch (gi->in.msize) {
    case 4: gen_patch(s, lin, &f, 4); break;
    case 8: gen_patch(s, lin, &d, 8); break;
    case 10:
        if (gi->in.op == X86_OP_FBLD)
            value_bcd(s->r, b);
        else
            value_f80(s->r, b);
        gen_patch(s, lin, b, 10);
        break;
    default: value_vec(s->r, b); gen_patch(s, lin, b, 16);
    }
}

/* A control word, status word and the like that could be real. */
static void want_environment(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    unsigned size = gi->in.size == 2 ? 2 : 4;
    uint16_t fcw = (uint16_t)(rng_chance(s->r, 70) ? 0x37f : rng_below(s->r, 0x2000));
    uint16_t fsw = (uint16_t)(rng_below(s->r, 65536) & (rng_chance(s->r, 80) ? 0x7f00u : 0xffffu));
    const uint16_t words[3] = {fcw, fsw, (uint16_t)rng_next(s->r)};
    for (unsigned i = 0; i < 3; i++)
        patch_value(s, lin + (uint64_t)i * size, words[i], 2);
}

/* Header and control words of an FXSAVE or XSAVE image. */
static void want_image(struct gen_state *s, uint64_t lin)
{
    struct rng *r = s->r;
    static const uint64_t zero[8];
    uint64_t header[8] = {rng_below(r, 4), 0};
    uint32_t mxcsr = rng_chance(r, 90) ? 0x1f80u | rng_below(r, 4) << 13 : (uint32_t)rng_next(r);
    uint64_t words = (uint64_t)(rng_chance(r, 70) ? 0x37f : rng_below(r, 0x2000)) | (uint64_t)rng_below(r, 0x80) << 24;
    if (rng_chance(r, 10))
        header[rng_below(r, 8)] = rng_chance(r, 50) ? UINT64_C(1) << rng_below(r, 64) : rng_next(r);
    patch_value(s, lin, words | (uint64_t)rng_below(r, 256) << 32, 8);
    gen_patch(s, lin + 24, &mxcsr, 4);
    gen_patch(s, lin + 512, rng_chance(r, 5) ? zero : header, 64);
    set(s, X86_RAX, rng_below(r, 4)); /* the components both sides have: x87 and SSE */
    set(s, X86_RDX, 0);
}

/* ---- The list ---- */

static bool is_float(const struct x86_insn *in)
{
    return x86_op_family(in->op) == X86_FAM_X87 || x86_op_family(in->op) == X86_FAM_VEC;
}

static void special_flow(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    switch (gi->in.op) {
    case X86_OP_JMP_IND:
    case X86_OP_CALL_IND: want_near_pointer(s, gi, lin); break;
    case X86_OP_RET:
    case X86_OP_RET_FAR:
    case X86_OP_IRET: want_return(s, gi); break;
    case X86_OP_POPF: want_pop_flags(s, gi); break;
    case X86_OP_ENTER: want_enter(s, gi); break;
    case X86_OP_JMP_FAR_IND:
    case X86_OP_CALL_FAR_IND: want_far_pointer(s, gi, lin, true); break;
    case X86_OP_JMP_FAR:
    case X86_OP_CALL_FAR: want_far_immediate(s, gi); break;
    default:
        if (gi->in.form == X86_FORM_REL)
            want_branch(s, gi);
    }
}

static void special_system(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    switch (gi->in.op) {
    case X86_OP_LES:
    case X86_OP_LDS:
    case X86_OP_LSS:
    case X86_OP_LFS:
    case X86_OP_LGS: want_far_pointer(s, gi, lin, false); break;
    case X86_OP_MOV_TO_SEG:
    case X86_OP_LAR:
    case X86_OP_LSL:
    case X86_OP_VERR:
    case X86_OP_VERW:
    case X86_OP_ARPL: want_selector(s, gi, lin); break;
    case X86_OP_POP_SEG: stack_slot(s, 0, 2, selector(s, false)); break;
    case X86_OP_WRFSBASE:
    case X86_OP_WRGSBASE: want_base(s, gi); break;
    case X86_OP_XGETBV: set(s, X86_RCX, rng_below(s->r, 3)); break;
    default: break;
    }
}

static void special_integer(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    switch (gi->in.op) {
    case X86_OP_DIV:
    case X86_OP_IDIV: want_divide(s, gi); break;
    case X86_OP_CMPXCHG: want_exchange(s, gi, lin); break;
    case X86_OP_CMPXCHG8B:
    case X86_OP_CMPXCHG16B: want_exchange_pair(s, gi, lin); break;
    case X86_OP_BT:
    case X86_OP_BTS:
    case X86_OP_BTR:
    case X86_OP_BTC: want_bit_offset(s, gi); break;
    case X86_OP_BOUND: want_bounds(s, gi, lin); break;
    default:
        if ((gi->in.flags & X86_IF_MEM) && rng_chance(s->r, 40))
            patch_value(s, lin, value_int(s->r), 8);
    }
}

static void special_float(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    switch (gi->in.op) {
    case X86_OP_FLDENV:
    case X86_OP_FRSTOR:
    case X86_OP_FLDCW: want_environment(s, gi, lin); break;
    case X86_OP_MASKMOVQ:
    case X86_OP_MASKMOVDQU: pin(s, X86_RDI, data_pointer(s, gi->in.seg, 16, 1)); break;
    case X86_OP_PCMPESTRI:
    case X86_OP_PCMPESTRM:
        set(s, X86_RAX, rng_chance(s->r, 80) ? (uint64_t)rng_below(s->r, 20) - 2 : value_int(s->r));
        set(s, X86_RDX, rng_chance(s->r, 80) ? (uint64_t)rng_below(s->r, 20) - 2 : value_int(s->r));
        break;
    default: want_float_memory(s, gi, lin);
    }
}

void gen_special(struct gen_state *s, struct gen_insn *gi, uint64_t lin)
{
    switch (x86_op_family(gi->in.op)) {
    case X86_FAM_STR: want_string(s, gi); break;
    case X86_FAM_FLOW: special_flow(s, gi, lin); break;
    case X86_FAM_SYS:
        special_flow(s, gi, lin);
        special_system(s, gi, lin);
        break;
    case X86_FAM_XSAVE:
        if (gi->in.op == X86_OP_LDMXCSR)
            patch_value(s, lin, 0x1f80u ^ (rng_next(s->r) & (rng_chance(s->r, 90) ? 0xffffu : 0xffffffffu)), 4);
        else if (gi->in.op != X86_OP_STMXCSR)
            want_image(s, lin);
        break;
    default:
        if (is_float(&gi->in))
            special_float(s, gi, lin);
        else
            special_integer(s, gi, lin);
    }
}
