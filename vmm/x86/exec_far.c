/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Far jumps, calls and returns, call gates, software interrupts and IRET. Source: Intel SDM volume 2, JMP, CALL, RET,
 * INT n, IRET; volume 3, 5.8; AMD APM volume 3, the same, and volume 2, 4.10.
 *
 * Every transfer is prepared on the side (struct target, struct x86_stack) and committed once nothing can fail any
 * more. Pushes come before the check of the new RIP, as in both manuals: a stack fault wins, and a #GP leaves the words
 * below the stack pointer written.
 */
#include "vmm/x86/sys.h"

struct target {
    struct x86_seg cs;
    uint64_t rip;
};

int x86_code_check_rip(struct x86_cpu *c, const struct x86_seg *cs, uint64_t rip, uint32_t error)
{
    bool ok = x86_code_is_64(c, cs->attr) ? x86_canonical(rip) : rip <= cs->limit;
    return ok ? X86_NEXT : x86_raise_error(c, X86_GP, error);
}

void x86_code_commit(struct x86_cpu *c, const struct x86_seg *cs, const struct x86_seg *ss)
{
    c->seg[X86_CS] = *cs;
    if (ss != NULL)
        c->seg[X86_SS] = *ss;
    if (x86_protected(c))
        c->cpl = cs->sel & 3;
    x86_mode_update(c);
}

static uint64_t cut(uint64_t v, unsigned size)
{
    return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

/* The operand of the memory forms. */
static int load_far(struct x86_cpu *c, const struct x86_insn *in, uint16_t *sel, uint64_t *off)
{
    uint64_t s;
    int r = x86_load(c, in, in->size, off);
    if (!x86_failed(r))
        r = x86_load_at(c, in, in->size, 2, &s);
    if (!x86_failed(r))
        *sel = (uint16_t)s;
    return r;
}

/* In real mode CS keeps limit and attributes. */
static void target_real(const struct x86_cpu *c, uint16_t sel, uint64_t off, struct target *t)
{
    t->cs = c->seg[X86_CS];
    t->cs.sel = sel;
    t->cs.base = (uint64_t)sel << 4;
    t->rip = off;
}

/* L and D together are reserved in long mode. */
static bool code_size_good(const struct x86_cpu *c, const struct x86_desc *d)
{
    uint32_t both = X86_SEG_L | X86_SEG_DB;
    return !x86_long_mode(c) || (x86_desc_attr(d) & both) != both;
}

static int target_from(struct x86_cpu *c, struct x86_desc *d, uint64_t rip, unsigned cpl, struct target *t)
{
    if (!x86_desc_present(d))
        return x86_raise_sel(c, X86_NP, d->sel, 0);
    int r = x86_desc_mark(c, d);
    t->cs = x86_desc_expand(d, (uint16_t)((d->sel & ~3u) | cpl));
    t->rip = rip;
    return r;
}

/* A code segment named by the instruction itself: the level stays. */
static int target_direct(struct x86_cpu *c, struct x86_desc *d, uint64_t rip, struct target *t)
{
    unsigned dpl = x86_desc_dpl(d), rpl = d->sel & 3;
    bool ok = x86_desc_conforming(d) ? dpl <= c->cpl : rpl <= c->cpl && dpl == c->cpl;
    if (!ok || !code_size_good(c, d))
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    return target_from(c, d, rip, c->cpl, t);
}

/* ---- Call gates ---- */

struct call_gate {
    uint64_t off;
    uint16_t sel;
    uint8_t size, params;
};

static int gate_read(struct x86_cpu *c, const struct x86_desc *d, struct call_gate *g)
{
    unsigned type = x86_desc_type(d), dpl = x86_desc_dpl(d);
    bool lm = x86_long_mode(c);
    uint64_t high = 0;
    if ((type != X86_DT_CALL && (lm || type != X86_DT_CALL16)) || dpl < c->cpl || dpl < (d->sel & 3u))
        return x86_raise_sel(c, X86_GP, d->sel, 0);
    if (!x86_desc_present(d))
        return x86_raise_sel(c, X86_NP, d->sel, 0);
    int r = lm ? x86_desc_fetch_high(c, d, &high) : X86_NEXT;
    g->off = (d->raw & 0xffff) | (d->raw >> 32 & 0xffff0000) | high;
    g->sel = (uint16_t)(d->raw >> 16);
    g->size = lm ? 8 : type == X86_DT_CALL ? 4 : 2;
    g->params = lm ? 0 : d->raw >> 32 & 31;
    if (g->size == 2)
        g->off &= 0xffff;
    return r;
}

/* The code segment behind a gate. A call may go inward, a jump may not. */
static int target_gate(struct x86_cpu *c, const struct call_gate *g, bool call, struct target *t)
{
    struct x86_desc d;
    if (x86_null_selector(g->sel))
        return x86_gp0(c);
    int r = x86_desc_fetch(c, g->sel, X86_GP, 0, &d);
    if (x86_failed(r))
        return r;
    unsigned dpl = x86_desc_dpl(&d), attr = x86_desc_attr(&d);
    bool inward = x86_desc_conforming(&d) || call;
    bool ok = x86_desc_code(&d) && (inward ? dpl <= c->cpl : dpl == c->cpl);
    if (!ok || (x86_long_mode(c) && (attr & (X86_SEG_L | X86_SEG_DB)) != X86_SEG_L))
        return x86_raise_sel(c, X86_GP, g->sel, 0);
    return target_from(c, &d, g->off, x86_desc_conforming(&d) ? c->cpl : dpl, t);
}

/* ---- JMP ---- */

static int jump_to(struct x86_cpu *c, const struct target *t)
{
    int r = x86_code_check_rip(c, &t->cs, t->rip, 0);
    if (x86_failed(r))
        return r;
    x86_code_commit(c, &t->cs, NULL);
    return x86_jump(c, t->rip);
}

static int jump_gate(struct x86_cpu *c, const struct x86_desc *d)
{
    struct call_gate g;
    struct target t;
    int r = gate_read(c, d, &g);
    if (!x86_failed(r))
        r = target_gate(c, &g, false, &t);
    return x86_failed(r) ? r : jump_to(c, &t);
}

static int far_jump(struct x86_cpu *c, uint16_t sel, uint64_t off)
{
    struct target t;
    struct x86_desc d;
    if (!x86_protected(c)) {
        target_real(c, sel, off, &t);
        return jump_to(c, &t);
    }
    if (x86_null_selector(sel))
        return x86_gp0(c);
    int r = x86_desc_fetch(c, sel, X86_GP, 0, &d);
    if (x86_failed(r))
        return r;
    if (!x86_desc_memory(&d))
        return jump_gate(c, &d);
    if (!x86_desc_code(&d))
        return x86_raise_sel(c, X86_GP, sel, 0);
    r = target_direct(c, &d, off, &t);
    return x86_failed(r) ? r : jump_to(c, &t);
}

static int do_jmp_far(struct x86_cpu *c, const struct x86_insn *in)
{
    return far_jump(c, in->imm2, cut(in->imm, in->size));
}

static int do_jmp_far_ind(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t sel = 0;
    uint64_t off;
    int r = load_far(c, in, &sel, &off);
    return x86_failed(r) ? r : far_jump(c, sel, off);
}

/* ---- CALL ---- */

static int push_return(struct x86_cpu *c, struct x86_stack *st, unsigned size, uint64_t ret)
{
    int r = x86_stack_push(c, st, size, c->seg[X86_CS].sel);
    return x86_failed(r) ? r : x86_stack_push(c, st, size, ret);
}

static int call_to(struct x86_cpu *c, const struct target *t, struct x86_stack *st, unsigned size, uint64_t ret)
{
    int r = push_return(c, st, size, ret);
    if (!x86_failed(r))
        r = x86_code_check_rip(c, &t->cs, t->rip, 0);
    if (x86_failed(r))
        return r;
    c->r[X86_RSP] = st->rsp;
    x86_code_commit(c, &t->cs, &st->seg);
    return x86_jump(c, t->rip);
}

/* Caller's SS:RSP and parameters onto the inner stack. The nth parameter is read from where the caller pushed it. */
static int push_caller(struct x86_cpu *c, struct x86_stack *st, const struct call_gate *g)
{
    struct x86_stack old;
    uint64_t param[31], n = g->params;
    x86_stack_here(c, &old);
    for (unsigned i = 0; i < n; i++) {
        int r = x86_stack_pop(c, &old, g->size, &param[i]);
        if (x86_failed(r))
            return r;
    }
    int r = x86_stack_push(c, st, g->size, c->seg[X86_SS].sel);
    if (!x86_failed(r))
        r = x86_stack_push(c, st, g->size, c->r[X86_RSP]);
    while (!x86_failed(r) && n > 0)
        r = x86_stack_push(c, st, g->size, param[--n]);
    return r;
}

static int call_gate(struct x86_cpu *c, const struct x86_desc *d, uint64_t ret)
{
    struct call_gate g;
    struct target t;
    struct x86_stack st;
    int r = gate_read(c, d, &g);
    if (!x86_failed(r))
        r = target_gate(c, &g, true, &t);
    if (x86_failed(r))
        return r;
    if ((t.cs.sel & 3) < c->cpl) {
        r = x86_stack_from_tss(c, t.cs.sel & 3, 0, 0, &st);
        if (!x86_failed(r))
            r = push_caller(c, &st, &g);
        if (x86_failed(r))
            return r;
    } else {
        x86_stack_here(c, &st);
        st.flat = x86_long_mode(c);
    }
    return call_to(c, &t, &st, g.size, ret);
}

/* AMD reads a 32-bit offset even with REX.W, and pushes 64-bit words all the same. */
static unsigned push_size(const struct x86_insn *in)
{
    return in->flags & X86_IF_REXW ? 8 : in->size;
}

static int far_call(struct x86_cpu *c, const struct x86_insn *in, uint16_t sel, uint64_t off)
{
    struct target t;
    struct x86_stack st;
    struct x86_desc d;
    uint64_t ret = x86_next_rip(c, in);
    x86_stack_here(c, &st);
    if (!x86_protected(c)) {
        target_real(c, sel, off, &t);
        return call_to(c, &t, &st, push_size(in), ret);
    }
    if (x86_null_selector(sel))
        return x86_gp0(c);
    int r = x86_desc_fetch(c, sel, X86_GP, 0, &d);
    if (x86_failed(r))
        return r;
    if (!x86_desc_memory(&d))
        return call_gate(c, &d, ret);
    if (!x86_desc_code(&d))
        return x86_raise_sel(c, X86_GP, sel, 0);
    r = target_direct(c, &d, off, &t);
    if (c->amd) /* its silicon pushes as the new code segment's mode addresses the stack */
        st.flat = x86_code_is_64(c, t.cs.attr);
    return x86_failed(r) ? r : call_to(c, &t, &st, push_size(in), ret);
}

static int do_call_far(struct x86_cpu *c, const struct x86_insn *in)
{
    return far_call(c, in, in->imm2, cut(in->imm, in->size));
}

static int do_call_far_ind(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t sel = 0;
    uint64_t off;
    int r = load_far(c, in, &sel, &off);
    return x86_failed(r) ? r : far_call(c, in, sel, off);
}

/* ---- Returns: what RET and IRET share ---- */

/* CS of a return: to the same level or outward. */
static int return_code(struct x86_cpu *c, uint16_t sel, uint64_t rip, struct target *t)
{
    struct x86_desc d;
    unsigned rpl = sel & 3;
    if (x86_null_selector(sel))
        return x86_gp0(c);
    int r = x86_desc_fetch(c, sel, X86_GP, 0, &d);
    if (x86_failed(r))
        return r;
    unsigned dpl = x86_desc_dpl(&d);
    bool level = x86_desc_conforming(&d) ? dpl <= rpl : dpl == rpl;
    if (!x86_desc_code(&d) || rpl < c->cpl || !level || !code_size_good(c, &d))
        return x86_raise_sel(c, X86_GP, sel, 0);
    return target_from(c, &d, rip, rpl, t);
}

/* SS of a return; null is allowed for 64-bit code above level 3. */
static int return_stack(struct x86_cpu *c, uint16_t sel, const struct target *t, struct x86_seg *ss)
{
    struct x86_desc d;
    unsigned cpl = t->cs.sel & 3;
    if (x86_null_selector(sel)) {
        *ss = x86_seg_null(sel, cpl);
        return x86_code_is_64(c, t->cs.attr) && cpl != 3 && (sel & 3) == cpl ? X86_NEXT : x86_gp0(c);
    }
    int r = x86_desc_fetch(c, sel, X86_GP, 0, &d);
    if (x86_failed(r))
        return r;
    if ((sel & 3) != cpl || !x86_desc_writable_data(&d) || x86_desc_dpl(&d) != cpl)
        return x86_raise_sel(c, X86_GP, sel, 0);
    if (!x86_desc_present(&d))
        return x86_raise_sel(c, X86_SS_FAULT, sel, 0);
    r = x86_desc_mark(c, &d);
    *ss = x86_desc_expand(&d, sel);
    return r;
}

/* The outer stack pointer. A 16-bit stack takes SP only; bits 16 to 31 stay what they were at the inner level. */
static uint64_t return_rsp(const struct x86_cpu *c, const struct target *t, const struct x86_seg *ss, uint64_t rsp,
                           uint64_t inner)
{
    if (x86_code_is_64(c, t->cs.attr))
        return rsp;
    return ss->attr & X86_SEG_DB ? (uint32_t)rsp : (inner & 0xffff0000) | (rsp & 0xffff);
}

/* Segments too privileged for the level now reached become null. */
static void drop_segments(struct x86_cpu *c)
{
    static const uint8_t which[] = {X86_ES, X86_DS, X86_FS, X86_GS};
    for (unsigned i = 0; i < sizeof(which); i++) {
        struct x86_seg *s = &c->seg[which[i]];
        bool conforming = (s->attr & (X86_SEG_CODE | X86_SEG_DOWN)) == (X86_SEG_CODE | X86_SEG_DOWN);
        unsigned dpl = (s->attr & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT;
        if (!(s->attr & X86_SEG_UNUSABLE) && !conforming && dpl < c->cpl)
            *s = x86_seg_null(0, 0);
    }
}

static void return_commit(struct x86_cpu *c, const struct target *t, const struct x86_seg *ss, uint64_t rsp)
{
    unsigned old = c->cpl;
    c->r[X86_RSP] = rsp;
    c->seg[X86_CS] = t->cs;
    if (ss != NULL)
        c->seg[X86_SS] = *ss;
    c->cpl = t->cs.sel & 3;
    if (c->cpl > old)
        drop_segments(c);
    x86_mode_update(c);
}

/* ---- RET ---- */

static int ret_outward(struct x86_cpu *c, const struct x86_insn *in, const struct target *t, struct x86_stack *st)
{
    uint64_t rsp, sel;
    struct x86_seg ss;
    uint16_t release = (uint16_t)in->imm;
    x86_stack_skip(st, release);
    int r = x86_stack_pop(c, st, in->size, &rsp);
    if (!x86_failed(r))
        r = x86_stack_pop(c, st, in->size, &sel);
    if (!x86_failed(r))
        r = return_stack(c, (uint16_t)sel, t, &ss);
    if (!x86_failed(r))
        r = x86_code_check_rip(c, &t->cs, t->rip, 0);
    if (x86_failed(r))
        return r;
    struct x86_stack outer = {.seg = ss, .flat = x86_code_is_64(c, t->cs.attr)};
    outer.rsp = return_rsp(c, t, &ss, rsp, st->rsp);
    x86_stack_skip(&outer, release);
    return_commit(c, t, &ss, outer.rsp);
    return x86_jump(c, t->rip);
}

static int ret_level(struct x86_cpu *c, const struct x86_insn *in, const struct target *t, struct x86_stack *st)
{
    int r = x86_code_check_rip(c, &t->cs, t->rip, 0);
    if (x86_failed(r))
        return r;
    x86_stack_skip(st, (uint16_t)in->imm);
    c->r[X86_RSP] = st->rsp;
    x86_code_commit(c, &t->cs, NULL);
    return x86_jump(c, t->rip);
}

/*
 * n words off the stack, in the order in which silicon reads them, which a page fault shows: the third, the second,
 * the first, then the others.
 */
static int pop_words(struct x86_cpu *c, struct x86_stack *st, unsigned size, uint64_t *v, unsigned n)
{
    static const uint8_t order[5] = {2, 1, 0, 4, 3};
    int r = X86_NEXT;
    for (unsigned i = 0; i < 5 && !x86_failed(r); i++) {
        struct x86_stack at = *st;
        x86_stack_skip(&at, order[i] * size);
        if (order[i] < n)
            r = x86_stack_pop(c, &at, size, &v[order[i]]);
    }
    if (!x86_failed(r))
        x86_stack_skip(st, n * size);
    return r;
}

/* AMD's silicon reads the outer stack pointer whenever the levels differ, before it judges the selector. */
static int touch_outer(struct x86_cpu *c, const struct x86_insn *in, const struct x86_stack *st, unsigned release,
                       uint64_t sel)
{
    uint64_t v[2];
    struct x86_stack at = *st;
    if (!c->amd || (sel & 3) == c->cpl)
        return X86_NEXT;
    x86_stack_skip(&at, release);
    return pop_words(c, &at, in->size, v, 2);
}

static int do_ret_far(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_stack st;
    struct target t;
    uint64_t v[2] = {0};
    x86_stack_here(c, &st);
    int r = pop_words(c, &st, in->size, v, 2);
    if (x86_failed(r))
        return r;
    uint64_t rip = v[0], sel = v[1];
    if (!x86_protected(c)) {
        target_real(c, (uint16_t)sel, rip, &t);
        return ret_level(c, in, &t, &st);
    }
    r = touch_outer(c, in, &st, (uint16_t)in->imm, sel);
    if (!x86_failed(r))
        r = return_code(c, (uint16_t)sel, rip, &t);
    if (x86_failed(r))
        return r;
    return (sel & 3) > c->cpl ? ret_outward(c, in, &t, &st) : ret_level(c, in, &t, &st);
}

/* ---- IRET ---- */

static uint64_t iret_rflags(const struct x86_cpu *c, unsigned size, uint64_t image)
{
    uint64_t mask = X86_FL_ARITH | X86_FL_TF | X86_FL_DF | X86_FL_NT, old = x86_rflags(c);
    if (size != 2)
        mask |= X86_FL_RF | X86_FL_AC | X86_FL_ID;
    if (c->cpl <= (old & X86_FL_IOPL) >> 12)
        mask |= X86_FL_IF;
    if (c->cpl == 0)
        mask |= X86_FL_IOPL;
    if (c->cpl == 0 && size != 2 && x86_protected(c))
        mask |= X86_FL_VIF | X86_FL_VIP;
    return (old & ~mask) | (image & mask);
}

static int iret_real(struct x86_cpu *c, const struct x86_insn *in, const uint64_t *v, const struct x86_stack *st)
{
    struct target t;
    target_real(c, (uint16_t)v[1], v[0], &t);
    int r = x86_code_check_rip(c, &t.cs, t.rip, 0);
    if (x86_failed(r))
        return r;
    c->r[X86_RSP] = st->rsp;
    x86_set_rflags(c, iret_rflags(c, in->size, v[2]));
    x86_code_commit(c, &t.cs, NULL);
    return x86_jump(c, t.rip);
}

/* v: RIP, CS, RFLAGS, and in 64-bit mode always, elsewhere when going outward, RSP and SS. */
static int iret_protected(struct x86_cpu *c, const struct x86_insn *in, uint64_t *v, struct x86_stack *st)
{
    struct target t;
    struct x86_seg ss;
    bool with_stack = c->long64 || (v[1] & 3) > c->cpl;
    if (!x86_long_mode(c) && c->cpl == 0 && in->size == 4 && (v[2] & X86_FL_VM))
        return x86_gp0(c);
    int r = c->long64 ? X86_NEXT : touch_outer(c, in, st, 0, v[1]);
    if (!x86_failed(r))
        r = return_code(c, (uint16_t)v[1], v[0], &t);
    if (!x86_failed(r) && c->amd)
        r = x86_code_check_rip(c, &t.cs, t.rip, 0); /* before SS; Intel checks it last */
    if (!x86_failed(r) && with_stack && !c->long64)
        r = pop_words(c, st, in->size, v + 3, 2);
    if (!x86_failed(r) && with_stack)
        r = return_stack(c, (uint16_t)v[4], &t, &ss);
    if (!x86_failed(r))
        r = x86_code_check_rip(c, &t.cs, t.rip, 0);
    if (x86_failed(r))
        return r;
    uint64_t rsp = with_stack ? return_rsp(c, &t, &ss, v[3], st->rsp) : st->rsp;
    x86_set_rflags(c, iret_rflags(c, in->size, v[2]));
    return_commit(c, &t, with_stack ? &ss : NULL, rsp);
    return x86_jump(c, t.rip);
}

static int do_iret(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_stack st;
    uint64_t v[5] = {0};
    c->nmi_blocked = 0; /* even if a fault follows: Intel SDM volume 3, 6.7.1 */
    if (x86_protected(c) && (c->eflags & X86_FL_NT))
        return x86_gp0(c);
    x86_stack_here(c, &st);
    int r = pop_words(c, &st, in->size, v, c->long64 ? 5 : 3);
    if (x86_failed(r))
        return r;
    return x86_protected(c) ? iret_protected(c, in, v, &st) : iret_real(c, in, v, &st);
}

/* ---- Software interrupts ---- */

static int software_event(struct x86_cpu *c, const struct x86_insn *in, enum x86_event_kind kind, unsigned vector)
{
    struct x86_event ev = {.kind = (uint8_t)kind, .vector = (uint8_t)vector, .insn_len = in->len};
    if (kind != X86_EV_SOFT_INT && c->ops->trap != NULL) {
        int r = x86_from_cb(c, c->ops->trap(c->opaque, &ev), X86_GP);
        if (x86_failed(r))
            return r;
    }
    return x86_deliver_once(c, &ev, x86_next_rip(c, in));
}

static int do_int(struct x86_cpu *c, const struct x86_insn *in)
{
    return software_event(c, in, X86_EV_SOFT_INT, (uint8_t)in->imm);
}

static int do_int3(struct x86_cpu *c, const struct x86_insn *in)
{
    return software_event(c, in, X86_EV_SOFT_EXCEPTION, X86_BP);
}

static int do_into(struct x86_cpu *c, const struct x86_insn *in)
{
    return x86_flags_get(c) & X86_FL_OF ? software_event(c, in, X86_EV_SOFT_EXCEPTION, X86_OF) : X86_NEXT;
}

/* A debug exception that is no software interrupt: the gate's DPL does not count, and error codes have EXT. */
static int do_int1(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = software_event(c, in, X86_EV_PRIV_EXCEPTION, X86_DB);
    if (r == X86_JUMP && (c->dr7 & 0x2000)) {
        c->dr7 &= ~UINT64_C(0x2000);
        x86_mode_update(c);
    }
    return r;
}

x86_handler *x86_bind_far(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_JMP_FAR: return do_jmp_far;
    case X86_OP_JMP_FAR_IND: return in->flags & X86_IF_MEM ? do_jmp_far_ind : NULL;
    case X86_OP_CALL_FAR: return do_call_far;
    case X86_OP_CALL_FAR_IND: return in->flags & X86_IF_MEM ? do_call_far_ind : NULL;
    case X86_OP_RET_FAR: return do_ret_far;
    case X86_OP_IRET: return do_iret;
    case X86_OP_INT: return do_int;
    case X86_OP_INT3: return do_int3;
    case X86_OP_INTO: return do_into;
    case X86_OP_INT1: return do_int1;
    default: return NULL;
    }
}
