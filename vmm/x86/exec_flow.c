/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Near branches, calls, loops and the stack. Source: Intel SDM volume 2; AMD APM volume 3.
 */
#include "vmm/x86/flags.h"

#define HOT static inline __attribute__((always_inline))

/* ---- Branch targets ---- */

/*
 * Check and take a near branch. target is already cut to the operand size. In 64-bit mode it must be canonical, else
 * below the CS limit; the fault is taken on the branch itself.
 */
static int branch_checked(struct x86_cpu *c, uint64_t target)
{
    if (c->long64 ? !x86_canonical(target) : target > c->seg[X86_CS].limit)
        return x86_gp0(c);
    return x86_jump(c, target);
}

HOT uint64_t relative(const struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t t = x86_next_rip(c, in) + in->imm;
    return in->size == 8 ? t : in->size == 4 ? (uint32_t)t : (uint16_t)t;
}

HOT int branch(struct x86_cpu *c, uint64_t target)
{
    if (x86_likely(c->long64 && x86_canonical(target)))
        return x86_jump(c, target);
    return branch_checked(c, target);
}

static int do_jmp(struct x86_cpu *c, const struct x86_insn *in)
{
    return branch(c, relative(c, in));
}

static int do_jmp_ind(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t t;
    if (in->flags & X86_IF_MEM) {
        int st = x86_load(c, in, in->size, &t);
        if (x86_unlikely(x86_failed(st)))
            return st;
    } else {
        t = x86_get_n(c, in->rm, in->size);
    }
    return branch(c, t);
}

HOT int jcc(struct x86_cpu *c, const struct x86_insn *in, unsigned cc)
{
    if (x86_cond(c, cc))
        return branch(c, relative(c, in));
    return x86_jump(c, x86_next_rip(c, in));
}

#define FOR_CC(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define DEFINE_CC(n)                                                                                                   \
    static int do_jcc_##n(struct x86_cpu *c, const struct x86_insn *in)                                                \
    {                                                                                                                  \
        return jcc(c, in, n);                                                                                          \
    }
FOR_CC(DEFINE_CC)
#define ROW_CC(n) do_jcc_##n,
static x86_handler *const jcc_by_cc[16] = {FOR_CC(ROW_CC)};

/* The counter of LOOP and JCXZ is as wide as the address size. */
static uint64_t count_get(const struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t n = c->r[X86_RCX];
    return in->flags & X86_IF_A16 ? (uint16_t)n : in->flags & X86_IF_A32 ? (uint32_t)n : n;
}

static int do_loop(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned width = in->flags & X86_IF_A16 ? 2 : in->flags & X86_IF_A32 ? 4 : 8;
    uint64_t n = count_get(c, in) - 1;
    bool zf = x86_cond(c, 4), want = in->op == X86_OP_LOOPE;
    if (c->amd && (in->flags & (X86_IF_REP | X86_IF_REPNE)))
        want = (in->flags & X86_IF_REP) != 0; /* AMD's silicon takes the condition from the prefix */
    bool more = (width == 8 ? n : width == 4 ? (uint32_t)n : (uint16_t)n) != 0;
    if (in->op != X86_OP_LOOP)
        more = more && zf == want;
    int st = more ? branch(c, relative(c, in)) : x86_jump(c, x86_next_rip(c, in));
    if (!x86_failed(st))
        x86_set_n(c, X86_RCX, width, n);
    return st;
}

static int do_jcxz(struct x86_cpu *c, const struct x86_insn *in)
{
    return count_get(c, in) == 0 ? branch(c, relative(c, in)) : x86_jump(c, x86_next_rip(c, in));
}

/* ---- Calls ---- */

static bool target_ok(const struct x86_cpu *c, uint64_t target)
{
    return c->long64 ? x86_canonical(target) : target <= c->seg[X86_CS].limit;
}

/* The target is bad. AMD's silicon reports a stack that cannot take the push first; nothing is pushed. */
static int call_refused(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t sp = c->r[X86_RSP] - in->size, lin = sp;
    int st = X86_NEXT;
    if (!c->amd)
        return x86_gp0(c);
    if (!c->long64)
        st = x86_seg_linear(c, X86_SS, c->stack16 ? (uint16_t)sp : (uint32_t)sp, in->size, true, &lin);
    if (!x86_failed(st))
        st = x86_probe_lin(c, lin, in->size, true, true);
    return x86_failed(st) ? st : x86_gp0(c);
}

HOT int call_to(struct x86_cpu *c, const struct x86_insn *in, uint64_t target)
{
    uint64_t rsp = c->r[X86_RSP];
    if (x86_unlikely(!target_ok(c, target)))
        return call_refused(c, in);
    int st = x86_push_at(c, &rsp, in->size, x86_next_rip(c, in));
    if (x86_unlikely(x86_failed(st)))
        return st;
    c->r[X86_RSP] = rsp;
    return x86_jump(c, target);
}

static int do_call(struct x86_cpu *c, const struct x86_insn *in)
{
    return call_to(c, in, relative(c, in));
}

static int do_call_ind(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t t;
    if (in->flags & X86_IF_MEM) {
        int st = x86_load(c, in, in->size, &t);
        if (x86_unlikely(x86_failed(st)))
            return st;
    } else {
        t = x86_get_n(c, in->rm, in->size);
    }
    return call_to(c, in, t);
}

static int do_ret(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP], t;
    int st = x86_pop_at(c, &rsp, in->size, &t);
    if (x86_unlikely(x86_failed(st)))
        return st;
    if (x86_unlikely(!target_ok(c, t)))
        return x86_gp0(c);
    uint64_t extra = in->form == X86_FORM_I ? (uint16_t)in->imm : 0;
    c->r[X86_RSP] = c->long64    ? rsp + extra
                    : c->stack16 ? (rsp & ~UINT64_C(0xffff)) | (uint16_t)(rsp + extra)
                                 : (uint32_t)(rsp + extra);
    return x86_jump(c, t);
}

/* 64-bit mode, full operand size: the form nearly all code uses. */
static int do_call_64(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t target = c->r[X86_SLOT_RIP] + in->end + in->imm, rsp = c->r[X86_RSP] - 8;
    if (x86_unlikely(!x86_canonical(target)))
        return call_refused(c, in);
    int st = x86_write_lin(c, rsp, 8, true, c->r[X86_SLOT_RIP] + in->end);
    if (x86_unlikely(x86_failed(st)))
        return st;
    c->r[X86_RSP] = rsp;
    return x86_jump(c, target);
}

static int do_ret_64(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t t;
    int st = x86_read_lin(c, c->r[X86_RSP], 8, true, &t);
    if (x86_unlikely(x86_failed(st)))
        return st;
    if (x86_unlikely(!x86_canonical(t)))
        return x86_gp0(c);
    c->r[X86_RSP] += 8u + (in->form == X86_FORM_I ? (uint16_t)in->imm : 0u);
    return x86_jump(c, t);
}

/* ---- Push and pop ---- */

static int push_value(struct x86_cpu *c, unsigned size, uint64_t v)
{
    uint64_t rsp = c->r[X86_RSP];
    int st = x86_push_at(c, &rsp, size, v);
    if (x86_likely(!x86_failed(st)))
        c->r[X86_RSP] = rsp;
    return st;
}

static int do_push(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    if (in->form == X86_FORM_I) {
        v = in->imm;
    } else if (in->flags & X86_IF_MEM) {
        int st = x86_load(c, in, in->size, &v);
        if (x86_failed(st))
            return st;
    } else {
        v = x86_get_n(c, in->rm, in->size);
    }
    return push_value(c, in->size, v);
}

static int do_push_r64(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP] - 8;
    int st = x86_write_lin(c, rsp, 8, true, c->r[in->rm]);
    if (x86_likely(!x86_failed(st)))
        c->r[X86_RSP] = rsp;
    return st;
}

static int do_pop_r64(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    int st = x86_read_lin(c, c->r[X86_RSP], 8, true, &v);
    if (x86_unlikely(x86_failed(st)))
        return st;
    c->r[X86_RSP] += 8;
    c->r[in->rm] = v;
    return st;
}

/* A memory destination addressed through rSP sees the incremented pointer; if the store faults, the pointer is back. */
static int do_pop(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t old = c->r[X86_RSP], rsp = old, v;
    int st = x86_pop_at(c, &rsp, in->size, &v);
    if (x86_failed(st))
        return st;
    c->r[X86_RSP] = rsp;
    if (!(in->flags & X86_IF_MEM)) {
        x86_set_n(c, in->rm, in->size, v);
        return X86_NEXT;
    }
    st = x86_store(c, in, in->size, v);
    if (x86_failed(st))
        c->r[X86_RSP] = old;
    return st;
}

/* All eight slots are checked before the first is written, since no register may change on a fault. */
static int do_pusha(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP];
    uint64_t slots[8];
    int leave = X86_NEXT;
    for (unsigned i = 0; i < 8; i++)
        slots[i] = x86_get_n(c, i, in->size);
    uint64_t probe = rsp;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t lin;
        probe = c->stack16 ? (uint16_t)(probe - in->size) : (uint32_t)(probe - in->size);
        int st = x86_seg_linear(c, X86_SS, probe, in->size, true, &lin);
        if (!x86_failed(st))
            st = x86_probe_lin(c, lin, in->size, true, true);
        if (x86_failed(st))
            return st;
    }
    for (unsigned i = 0; i < 8; i++) {
        int st = x86_push_at(c, &rsp, in->size, slots[i]);
        if (x86_failed(st))
            return st;
        leave = st != X86_NEXT ? st : leave;
    }
    c->r[X86_RSP] = rsp;
    return leave;
}

static int do_popa(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP], v[8];
    for (unsigned i = 8; i-- > 0;) {
        int st = x86_pop_at(c, &rsp, in->size, &v[i]);
        if (x86_failed(st))
            return st;
    }
    c->r[X86_RSP] = rsp;
    for (unsigned i = 0; i < 8; i++)
        if (i != X86_RSP)
            x86_set_n(c, i, in->size, v[i]);
    return X86_NEXT;
}

static int do_pushf(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t fl = x86_rflags(c) & ~(uint64_t)(X86_FL_RF | X86_FL_VM);
    return push_value(c, in->size, fl);
}

/* What POPF may change depends on privilege: IF below IOPL, IOPL at CPL 0. */
static int do_popf(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->r[X86_RSP], v;
    int st = x86_pop_at(c, &rsp, in->size, &v);
    if (x86_failed(st))
        return st;
    uint64_t old = x86_rflags(c);
    uint64_t mask = X86_FL_ARITH | X86_FL_TF | X86_FL_DF | X86_FL_NT;
    if (in->size != 2)
        mask |= X86_FL_AC | X86_FL_ID;
    if (c->cpl == 0)
        mask |= X86_FL_IOPL;
    if (c->cpl <= (old & X86_FL_IOPL) >> 12)
        mask |= X86_FL_IF;
    c->r[X86_RSP] = rsp;
    x86_set_rflags(c, ((old & ~mask) | (v & mask)) & ~(uint64_t)X86_FL_RF);
    return X86_LEAVE;
}

/* ---- Frames ---- */

/*
 * ENTER: the frame pointer, the outer frames' pointers, room for locals. Everything is pushed with a copy of rSP; the
 * last step checks that the new stack top could be written, as the manual's pseudo-code ends.
 */
static int do_enter(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned level = in->imm2 & 31, size = in->size;
    uint64_t rsp = c->r[X86_RSP], rbp = c->r[X86_RBP], v, lin;
    uint64_t mask = c->long64 ? UINT64_MAX : c->stack16 ? 0xffff : 0xffffffff;
    int st = x86_push_at(c, &rsp, size, x86_get_n(c, X86_RBP, size)), leave = st;
    if (x86_failed(st))
        return st;
    uint64_t frame = rsp;
    for (unsigned i = 1; i < level; i++) {
        rbp = (rbp & ~mask) | ((rbp - size) & mask);
        st = x86_seg_linear(c, X86_SS, rbp & mask, size, false, &lin);
        if (!x86_failed(st))
            st = x86_read_lin(c, lin, size, true, &v);
        if (!x86_failed(st))
            st = x86_push_at(c, &rsp, size, v);
        if (x86_failed(st))
            return st;
        leave = st > leave ? st : leave;
    }
    if (level > 0)
        st = x86_push_at(c, &rsp, size, frame);
    if (x86_failed(st))
        return st;
    uint64_t top = (rsp - (uint16_t)in->imm) & mask;
    st = x86_seg_linear(c, X86_SS, top, size, true, &lin);
    if (!x86_failed(st))
        st = x86_probe_lin(c, lin, size, true, true);
    if (x86_failed(st))
        return st;
    c->r[X86_RSP] = c->stack16 ? (rsp & ~UINT64_C(0xffff)) | top : top;
    x86_set_n(c, X86_RBP, size, frame);
    return leave;
}

static int do_leave(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rsp = c->stack16 ? (c->r[X86_RSP] & ~UINT64_C(0xffff)) | (uint16_t)c->r[X86_RBP] : c->r[X86_RBP], v;
    int st = x86_pop_at(c, &rsp, in->size, &v);
    if (x86_failed(st))
        return st;
    c->r[X86_RSP] = rsp;
    x86_set_n(c, X86_RBP, in->size, v);
    return X86_NEXT;
}

/* ---- Binding ---- */

static bool plain64(const struct x86_insn *in)
{
    return (in->flags & X86_IF_M64) && in->size == 8;
}

x86_handler *x86_bind_flow(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    bool reg = !(in->flags & X86_IF_MEM);
    switch (in->op) {
    case X86_OP_JMP: return do_jmp;
    case X86_OP_JMP_IND: return do_jmp_ind;
    case X86_OP_CALL: return plain64(in) ? do_call_64 : do_call;
    case X86_OP_CALL_IND: return do_call_ind;
    case X86_OP_RET: return plain64(in) ? do_ret_64 : do_ret;
    case X86_OP_LOOP:
    case X86_OP_LOOPE:
    case X86_OP_LOOPNE: return do_loop;
    case X86_OP_JCXZ: return do_jcxz;
    case X86_OP_PUSH: return plain64(in) && reg && in->form == X86_FORM_RM ? do_push_r64 : do_push;
    case X86_OP_POP: return plain64(in) && reg ? do_pop_r64 : do_pop;
    case X86_OP_PUSHA: return do_pusha;
    case X86_OP_POPA: return do_popa;
    case X86_OP_PUSHF: return do_pushf;
    case X86_OP_POPF: return do_popf;
    case X86_OP_ENTER: return do_enter;
    case X86_OP_LEAVE: return do_leave;
    default: return in->op >= X86_OP_JO && in->op <= X86_OP_JG ? jcc_by_cc[in->op - X86_OP_JO] : NULL;
    }
}
