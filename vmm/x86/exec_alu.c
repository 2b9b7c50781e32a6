/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Moves, arithmetic and logic: the bulk of all executed instructions, so each combination of operation, operand form
 * and size is a function of its own, made from one inline body. Source: Intel SDM volume 2; AMD APM volume 3.
 */
#include "vmm/x86/flags.h"
#include "vmm/x86/lock.h"

#define HOT static inline __attribute__((always_inline))

/* Register operands at any size; byte registers by their offset. */
HOT uint64_t get_reg(const struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return size == 1 ? x86_get8(c, in->reg8) : x86_get_n(c, in->reg, size);
}

HOT uint64_t get_rm(const struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return size == 1 ? x86_get8(c, in->rm8) : x86_get_n(c, in->rm, size);
}

HOT void set_reg(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    if (size == 1)
        x86_set8(c, in->reg8, (uint8_t)v);
    else
        x86_set_n(c, in->reg, size, v);
}

HOT void set_rm(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    if (size == 1)
        x86_set8(c, in->rm8, (uint8_t)v);
    else
        x86_set_n(c, in->rm, size, v);
}

HOT uint64_t trunc_to(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((UINT64_C(1) << (size * 8)) - 1);
}

/* ---- Two-operand arithmetic ---- */

HOT uint64_t alu_result(const struct x86_cpu *c, unsigned op, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r;
    switch (op) {
    case X86_OP_ADD: r = a + b; break;
    case X86_OP_ADC: r = a + b + x86_cf(c); break;
    case X86_OP_SUB:
    case X86_OP_CMP: r = a - b; break;
    case X86_OP_SBB: r = a - b - x86_cf(c); break;
    case X86_OP_OR: r = a | b; break;
    case X86_OP_XOR: r = a ^ b; break;
    default: r = a & b; break;
    }
    return trunc_to(r, size);
}

HOT void alu_flags(struct x86_cpu *c, unsigned op, uint64_t a, uint64_t b, uint64_t r, unsigned size)
{
    switch (op) {
    case X86_OP_ADD:
    case X86_OP_ADC: x86_flags_add(c, a, b, r, size); break;
    case X86_OP_SUB:
    case X86_OP_SBB:
    case X86_OP_CMP: x86_flags_sub(c, a, b, r, size); break;
    default: x86_flags_logic(c, r, size); break;
    }
}

HOT bool alu_writes(unsigned op)
{
    return op != X86_OP_CMP && op != X86_OP_TEST;
}

HOT int alu_rr(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t a = get_rm(c, in, size), b = get_reg(c, in, size), r = alu_result(c, op, a, b, size);
    alu_flags(c, op, a, b, r, size);
    if (alu_writes(op))
        set_rm(c, in, size, r);
    return X86_NEXT;
}

HOT int alu_ri(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t a = get_rm(c, in, size), b = trunc_to(in->imm, size), r = alu_result(c, op, a, b, size);
    alu_flags(c, op, a, b, r, size);
    if (alu_writes(op))
        set_rm(c, in, size, r);
    return X86_NEXT;
}

/* reg, rm in registers: the same as rr with the roles exchanged. */
HOT int alu_rr2(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t a = get_reg(c, in, size), b = get_rm(c, in, size), r = alu_result(c, op, a, b, size);
    alu_flags(c, op, a, b, r, size);
    if (alu_writes(op))
        set_reg(c, in, size, r);
    return X86_NEXT;
}

HOT int alu_rm(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t b;
    int st = x86_load(c, in, size, &b);
    if (x86_unlikely(x86_failed(st)))
        return st;
    uint64_t a = get_reg(c, in, size), r = alu_result(c, op, a, b, size);
    alu_flags(c, op, a, b, r, size);
    if (alu_writes(op))
        set_reg(c, in, size, r);
    return X86_NEXT;
}

HOT int alu_mem(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size, uint64_t b)
{
    if (!alu_writes(op)) {
        uint64_t a;
        int st = x86_load(c, in, size, &a);
        if (x86_unlikely(x86_failed(st)))
            return st;
        alu_flags(c, op, a, b, alu_result(c, op, a, b, size), size);
        return X86_NEXT;
    }
    struct x86_rmw m;
    int st = x86_rmw_begin(c, in, size, &m);
    if (x86_unlikely(x86_failed(st)))
        return st;
    uint64_t a = x86_host_load(m.p, size), r = alu_result(c, op, a, b, size);
    x86_host_store(m.p, size, r);
    st = x86_rmw_end(c, &m);
    if (x86_likely(!x86_failed(st)))
        alu_flags(c, op, a, b, r, size);
    return st;
}

HOT int alu_mr(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    return alu_mem(c, in, op, size, get_reg(c, in, size));
}

HOT int alu_mi(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    return alu_mem(c, in, op, size, trunc_to(in->imm, size));
}

/*
 * LOCK: compare-and-swap until nobody was in between. One body for all operations; locked instructions are rare
 * enough.
 */
static int alu_locked(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t a, r, b = in->form == X86_FORM_RM_I ? trunc_to(in->imm, size) : get_reg(c, in, size);
    struct x86_rmw m;
    int st = x86_rmw_begin(c, in, size, &m);
    if (x86_failed(st))
        return st;
    a = x86_host_load(m.p, size);
    do {
        r = alu_result(c, in->op, a, b, size);
    } while (!lock_cas(m.p, size, &a, r));
    st = x86_rmw_end(c, &m);
    if (!x86_failed(st))
        alu_flags(c, in->op, a, b, r, size);
    return st;
}

/* ---- One-operand arithmetic ---- */

HOT uint64_t unary_result(unsigned op, uint64_t a, unsigned size)
{
    uint64_t r = op == X86_OP_INC ? a + 1 : op == X86_OP_DEC ? a - 1 : op == X86_OP_NEG ? 0 - a : ~a;
    return trunc_to(r, size);
}

HOT void unary_flags(struct x86_cpu *c, unsigned op, uint64_t a, uint64_t r, unsigned size)
{
    bool cf = x86_cf(c);
    switch (op) {
    case X86_OP_INC:
        x86_flags_add(c, a, 1, r, size);
        x86_flags_set_cf(c, cf);
        break;
    case X86_OP_DEC:
        x86_flags_sub(c, a, 1, r, size);
        x86_flags_set_cf(c, cf);
        break;
    case X86_OP_NEG: x86_flags_sub(c, 0, a, r, size); break;
    default: break;
    }
}

HOT int unary_r(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t a = get_rm(c, in, size), r = unary_result(op, a, size);
    unary_flags(c, op, a, r, size);
    set_rm(c, in, size, r);
    return X86_NEXT;
}

static int unary_m(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    struct x86_rmw m;
    int st = x86_rmw_begin(c, in, size, &m);
    if (x86_unlikely(x86_failed(st)))
        return st;
    uint64_t a = x86_host_load(m.p, size), r = unary_result(in->op, a, size);
    if (in->flags & X86_IF_LOCK) {
        while (!lock_cas(m.p, size, &a, r))
            r = unary_result(in->op, a, size);
    } else {
        x86_host_store(m.p, size, r);
    }
    st = x86_rmw_end(c, &m);
    if (x86_likely(!x86_failed(st)))
        unary_flags(c, in->op, a, r, size);
    return st;
}

/* ---- Moves ---- */

HOT int mov_rr(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    set_rm(c, in, size, get_reg(c, in, size));
    return X86_NEXT;
}

HOT int mov_rr2(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    set_reg(c, in, size, get_rm(c, in, size));
    return X86_NEXT;
}

HOT int mov_ri(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    set_rm(c, in, size, in->imm);
    return X86_NEXT;
}

HOT int mov_load(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t v;
    int st = x86_load(c, in, size, &v);
    if (x86_likely(!x86_failed(st)))
        set_reg(c, in, size, v);
    return st;
}

HOT int mov_store(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return x86_store(c, in, size, get_reg(c, in, size));
}

HOT int mov_mi(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return x86_store(c, in, size, in->imm);
}

HOT int extend(struct x86_cpu *c, const struct x86_insn *in, unsigned from, bool sign)
{
    uint64_t v;
    if (in->flags & X86_IF_MEM) {
        int st = x86_load(c, in, from, &v);
        if (x86_unlikely(x86_failed(st)))
            return st;
    } else {
        v = get_rm(c, in, from);
    }
    x86_set_n(c, in->reg, in->size, sign ? x86_sext(v, from) : v);
    return X86_NEXT;
}

static int do_movzx8(struct x86_cpu *c, const struct x86_insn *in)
{
    return extend(c, in, 1, false);
}

static int do_movzx16(struct x86_cpu *c, const struct x86_insn *in)
{
    return extend(c, in, 2, false);
}

static int do_movsx8(struct x86_cpu *c, const struct x86_insn *in)
{
    return extend(c, in, 1, true);
}

static int do_movsx16(struct x86_cpu *c, const struct x86_insn *in)
{
    return extend(c, in, 2, true);
}

/* MOVSXD at 16-bit operand size moves 16 bits; AMD reads 32 from memory all the same. */
static int do_movsxd(struct x86_cpu *c, const struct x86_insn *in)
{
    return extend(c, in, in->flags & X86_IF_MEM ? in->msize : 4, true);
}

static int do_lea64(struct x86_cpu *c, const struct x86_insn *in)
{
    c->r[in->reg] = x86_ea(c, in);
    return X86_NEXT;
}

static int do_lea32(struct x86_cpu *c, const struct x86_insn *in)
{
    x86_set32(c, in->reg, (uint32_t)x86_ea(c, in));
    return X86_NEXT;
}

static int do_lea16(struct x86_cpu *c, const struct x86_insn *in)
{
    x86_set16(c, in->reg, (uint16_t)x86_ea(c, in));
    return X86_NEXT;
}

static int do_xchg_r(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t a = get_rm(c, in, in->size), b = get_reg(c, in, in->size);
    set_rm(c, in, in->size, b);
    set_reg(c, in, in->size, a);
    return X86_NEXT;
}

/* Locked with or without the prefix. */
static int do_xchg_m(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t lin;
    struct x86_rmw m;
    int st = x86_linear(c, in, x86_ea(c, in), size, true, &lin);
    if (!x86_failed(st))
        st = x86_rmw_begin_lin(c, lin, size, true, x86_stack_seg(in), &m);
    if (x86_failed(st))
        return st;
    uint64_t b = get_reg(c, in, size), a = x86_host_load(m.p, size);
    while (!lock_cas(m.p, size, &a, b))
        continue;
    st = x86_rmw_end(c, &m);
    if (!x86_failed(st))
        set_reg(c, in, size, a);
    return st;
}

HOT uint64_t swap_bytes(uint64_t v, unsigned size)
{
    return size == 8   ? __builtin_bswap64(v)
           : size == 4 ? __builtin_bswap32((uint32_t)v)
                       : __builtin_bswap16((uint16_t)v);
}

/* BSWAP of a 16-bit register is undefined; processors write zero. */
static int do_bswap(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = in->size == 2 ? 0 : swap_bytes(c->r[in->rm], in->size);
    x86_set_n(c, in->rm, in->size, v);
    return X86_NEXT;
}

static int do_movbe_load(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    int st = x86_load(c, in, in->size, &v);
    if (!x86_failed(st))
        x86_set_n(c, in->reg, in->size, swap_bytes(v, in->size));
    return st;
}

static int do_movbe_store(struct x86_cpu *c, const struct x86_insn *in)
{
    return x86_store(c, in, in->size, swap_bytes(c->r[in->reg], in->size));
}

static int do_xlat(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t ea = c->r[X86_RBX] + (uint8_t)c->r[X86_RAX], lin, v;
    if (in->flags & (X86_IF_A16 | X86_IF_A32))
        ea = in->flags & X86_IF_A16 ? (uint16_t)ea : (uint32_t)ea;
    int st = x86_linear(c, in, ea, 1, false, &lin);
    if (!x86_failed(st))
        st = x86_read_lin(c, lin, 1, x86_stack_seg(in), &v);
    if (!x86_failed(st))
        x86_set8(c, 0, (uint8_t)v);
    return st;
}

static int do_nop(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)c;
    (void)in;
    return X86_NEXT;
}

/* ---- Sign extension within the accumulator ---- */

static int do_cbw(struct x86_cpu *c, const struct x86_insn *in)
{
    x86_set_n(c, X86_RAX, in->size, x86_sext(c->r[X86_RAX], in->size / 2u));
    return X86_NEXT;
}

static int do_cwd(struct x86_cpu *c, const struct x86_insn *in)
{
    bool minus = x86_sext(c->r[X86_RAX], in->size) >> 63 != 0;
    x86_set_n(c, X86_RDX, in->size, minus ? UINT64_MAX : 0);
    return X86_NEXT;
}

/* ---- Flags ---- */

static int do_clc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    x86_flags_set_cf(c, false);
    return X86_NEXT;
}

static int do_stc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    x86_flags_set_cf(c, true);
    return X86_NEXT;
}

static int do_cmc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    x86_flags_set_cf(c, !x86_cf(c));
    return X86_NEXT;
}

static int do_cld(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    c->eflags &= ~(uint64_t)X86_FL_DF;
    return X86_NEXT;
}

static int do_std(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    c->eflags |= X86_FL_DF;
    return X86_NEXT;
}

static int do_lahf(struct x86_cpu *c, const struct x86_insn *in)
{
    if ((in->flags & X86_IF_M64) && !x86_has(c, X86_F_LAHF64))
        return x86_ud(c);
    x86_set8(c, 1, (uint8_t)(x86_flags_get(c) | 2));
    return X86_NEXT;
}

static int do_sahf(struct x86_cpu *c, const struct x86_insn *in)
{
    const uint32_t mask = X86_FL_SF | X86_FL_ZF | X86_FL_AF | X86_FL_PF | X86_FL_CF;
    if ((in->flags & X86_IF_M64) && !x86_has(c, X86_F_LAHF64))
        return x86_ud(c);
    x86_flags_merge(c, mask, x86_get8(c, 1));
    return X86_NEXT;
}

static int do_salc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    x86_set8(c, 0, x86_cf(c) ? 0xff : 0);
    return X86_NEXT;
}

/* ---- Conditions ---- */

/* The load happens, and can fault, whatever the condition; a 32-bit destination is always zero-extended. */
HOT int cmov(struct x86_cpu *c, const struct x86_insn *in, unsigned cc)
{
    uint64_t v;
    if (in->flags & X86_IF_MEM) {
        int st = x86_load(c, in, in->size, &v);
        if (x86_unlikely(x86_failed(st)))
            return st;
    } else {
        v = x86_get_n(c, in->rm, in->size);
    }
    if (!x86_cond(c, cc))
        v = x86_get_n(c, in->reg, in->size);
    x86_set_n(c, in->reg, in->size, v);
    return X86_NEXT;
}

HOT int setcc(struct x86_cpu *c, const struct x86_insn *in, unsigned cc)
{
    bool v = x86_cond(c, cc);
    if (in->flags & X86_IF_MEM)
        return x86_store(c, in, 1, v);
    x86_set8(c, in->rm8, v);
    return X86_NEXT;
}

#define FOR_CC(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define DEFINE_CC(n)                                                                                                   \
    static int do_cmov_##n(struct x86_cpu *c, const struct x86_insn *in)                                               \
    {                                                                                                                  \
        return cmov(c, in, n);                                                                                         \
    }                                                                                                                  \
    static int do_set_##n(struct x86_cpu *c, const struct x86_insn *in)                                                \
    {                                                                                                                  \
        return setcc(c, in, n);                                                                                        \
    }
FOR_CC(DEFINE_CC)
#define ROW_CMOV(n) do_cmov_##n,
#define ROW_SET(n)  do_set_##n,
static x86_handler *const cmov_by_cc[16] = {FOR_CC(ROW_CMOV)};
static x86_handler *const set_by_cc[16] = {FOR_CC(ROW_SET)};

/* ---- Specialised functions and their tables ---- */

#define DEFINE_ALU(body, op, size)                                                                                     \
    static int do_##op##_##body##_##size(struct x86_cpu *c, const struct x86_insn *in)                                 \
    {                                                                                                                  \
        return alu_##body(c, in, X86_OP_##op, size);                                                                   \
    }
#define DEFINE_ALU_SIZES(body, op)                                                                                     \
    DEFINE_ALU(body, op, 1) DEFINE_ALU(body, op, 2) DEFINE_ALU(body, op, 4) DEFINE_ALU(body, op, 8)
#define DEFINE_ALU_OP(op)                                                                                              \
    DEFINE_ALU_SIZES(rr, op)                                                                                           \
    DEFINE_ALU_SIZES(rr2, op)                                                                                          \
    DEFINE_ALU_SIZES(rm, op)                                                                                           \
    DEFINE_ALU_SIZES(mr, op)                                                                                           \
    DEFINE_ALU_SIZES(ri, op)                                                                                           \
    DEFINE_ALU_SIZES(mi, op)
#define FOR_ALU(M) M(ADD) M(OR) M(ADC) M(SBB) M(AND) M(SUB) M(XOR) M(CMP) M(TEST)
FOR_ALU(DEFINE_ALU_OP)

enum alu_body { BODY_RR, BODY_RR2, BODY_RM, BODY_MR, BODY_RI, BODY_MI, BODY_COUNT };

#define ROW_SIZES(body, op)                                                                                            \
    {                                                                                                                  \
        do_##op##_##body##_1, do_##op##_##body##_2, do_##op##_##body##_4, do_##op##_##body##_8                         \
    }
#define ROW_ALU(op)                                                                                                    \
    [X86_OP_##op - X86_OP_ADD] = {ROW_SIZES(rr, op), ROW_SIZES(rr2, op), ROW_SIZES(rm, op),                            \
                                  ROW_SIZES(mr, op), ROW_SIZES(ri, op),  ROW_SIZES(mi, op)},
static x86_handler *const alu_table[9][BODY_COUNT][4] = {FOR_ALU(ROW_ALU)};

_Static_assert(X86_OP_TEST - X86_OP_ADD == 8, "the table is indexed by the order in ops.def");

#define DEFINE_MOV(body, size)                                                                                         \
    static int do_mov_##body##_##size(struct x86_cpu *c, const struct x86_insn *in)                                    \
    {                                                                                                                  \
        return mov_##body(c, in, size);                                                                                \
    }
#define DEFINE_MOV_SIZES(body) DEFINE_MOV(body, 1) DEFINE_MOV(body, 2) DEFINE_MOV(body, 4) DEFINE_MOV(body, 8)
DEFINE_MOV_SIZES(rr)
DEFINE_MOV_SIZES(rr2)
DEFINE_MOV_SIZES(load)
DEFINE_MOV_SIZES(store)
DEFINE_MOV_SIZES(ri)
DEFINE_MOV_SIZES(mi)
#define ROW_MOV(body)                                                                                                  \
    {                                                                                                                  \
        do_mov_##body##_1, do_mov_##body##_2, do_mov_##body##_4, do_mov_##body##_8                                     \
    }
static x86_handler *const mov_table[BODY_COUNT][4] = {ROW_MOV(rr),    ROW_MOV(rr2), ROW_MOV(load),
                                                      ROW_MOV(store), ROW_MOV(ri),  ROW_MOV(mi)};

#define DEFINE_UNARY(op, size)                                                                                         \
    static int do_##op##_r_##size(struct x86_cpu *c, const struct x86_insn *in)                                        \
    {                                                                                                                  \
        return unary_r(c, in, X86_OP_##op, size);                                                                      \
    }
#define DEFINE_UNARY_OP(op) DEFINE_UNARY(op, 1) DEFINE_UNARY(op, 2) DEFINE_UNARY(op, 4) DEFINE_UNARY(op, 8)
#define FOR_UNARY(M)        M(INC) M(DEC) M(NEG) M(NOT)
FOR_UNARY(DEFINE_UNARY_OP)
#define ROW_UNARY(op) [X86_OP_##op - X86_OP_INC] = {do_##op##_r_1, do_##op##_r_2, do_##op##_r_4, do_##op##_r_8},
static x86_handler *const unary_table[4][4] = {FOR_UNARY(ROW_UNARY)};

static enum alu_body body_of(const struct x86_insn *in)
{
    bool mem = (in->flags & X86_IF_MEM) != 0;
    switch (in->form) {
    case X86_FORM_R_RM: return mem ? BODY_RM : BODY_RR2;
    case X86_FORM_RM_I: return mem ? BODY_MI : BODY_RI;
    default: return mem ? BODY_MR : BODY_RR;
    }
}

static unsigned size_index(const struct x86_insn *in)
{
    return in->size == 1 ? 0 : in->size == 2 ? 1 : in->size == 4 ? 2 : 3;
}

static x86_handler *bind_misc(const struct x86_insn *in)
{
    bool mem = (in->flags & X86_IF_MEM) != 0;
    switch (in->op) {
    case X86_OP_LEA: return in->size == 8 ? do_lea64 : in->size == 4 ? do_lea32 : do_lea16;
    case X86_OP_XCHG: return mem ? do_xchg_m : do_xchg_r;
    case X86_OP_MOVZX: return in->msize == 1 || (!mem && (in->opcode & 1) == 0) ? do_movzx8 : do_movzx16;
    case X86_OP_MOVSX: return in->msize == 1 || (!mem && (in->opcode & 1) == 0) ? do_movsx8 : do_movsx16;
    case X86_OP_MOVSXD: return do_movsxd;
    case X86_OP_NOP: return do_nop;
    case X86_OP_CBW: return do_cbw;
    case X86_OP_CWD: return do_cwd;
    case X86_OP_BSWAP: return do_bswap;
    case X86_OP_MOVBE: return in->form == X86_FORM_R_RM ? do_movbe_load : do_movbe_store;
    case X86_OP_XLAT: return do_xlat;
    case X86_OP_CLC: return do_clc;
    case X86_OP_STC: return do_stc;
    case X86_OP_CMC: return do_cmc;
    case X86_OP_CLD: return do_cld;
    case X86_OP_STD: return do_std;
    case X86_OP_LAHF: return do_lahf;
    case X86_OP_SAHF: return do_sahf;
    case X86_OP_SALC: return do_salc;
    default: return NULL;
    }
}

x86_handler *x86_bind_alu(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    unsigned si = size_index(in);
    if (in->op >= X86_OP_ADD && in->op <= X86_OP_TEST)
        return in->flags & X86_IF_LOCK ? alu_locked : alu_table[in->op - X86_OP_ADD][body_of(in)][si];
    if (in->op == X86_OP_MOV)
        return mov_table[body_of(in)][si];
    if (in->op >= X86_OP_INC && in->op <= X86_OP_NOT)
        return in->flags & X86_IF_MEM ? unary_m : unary_table[in->op - X86_OP_INC][si];
    if (in->op >= X86_OP_CMOVO && in->op <= X86_OP_CMOVG)
        return cmov_by_cc[in->op - X86_OP_CMOVO];
    if (in->op >= X86_OP_SETO && in->op <= X86_OP_SETG)
        return set_by_cc[in->op - X86_OP_SETO];
    return bind_misc(in);
}
