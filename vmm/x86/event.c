/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Delivery of interrupts and exceptions. Source: Intel SDM volume 3, chapter 6 (6.12 and 6.14 delivery, 6.13 error
 * codes, table 6-5 double faults), volume 2, INT n; AMD APM volume 2, chapter 8.
 */
#include "vmm/x86/sys.h"

#define GATE_IDT 2u /* bit of the error code: the index is one of the IDT */

/*
 * An exception met while delivering another is delivered in turn, and that can go round: a misaligned user stack under
 * alignment checks raises #AC while delivering #AC, for ever. Silicon hangs there; a cpu of ours shuts down.
 */
#define MAX_SERIAL 16

struct gate {
    uint64_t offset;
    uint16_t sel;
    uint8_t type, dpl, ist;
    bool present;
};

struct delivery {
    const struct x86_event *ev;
    uint64_t ret;    /* RIP to push */
    uint64_t rflags; /* to push */
    uint32_t ext;    /* EXT bit of error codes */
    struct gate gate;
    struct x86_seg cs;
    uint8_t cpl; /* of the handler */
};

/* INT n, INT3 and INTO: the gate's DPL counts, and error codes have no EXT. */
static bool is_software(const struct x86_event *ev)
{
    return ev->kind == X86_EV_SOFT_INT || ev->kind == X86_EV_SOFT_EXCEPTION;
}

/*
 * A fault pushes RF set so that its instruction is not stopped twice by the same breakpoint; everything else pushes
 * what there is.
 */
static bool sets_rf(const struct x86_event *ev)
{
    return ev->kind == X86_EV_EXCEPTION && ev->vector != X86_DB && ev->vector != X86_DF && ev->vector != X86_BP &&
           ev->vector != X86_OF;
}

static uint64_t pushed_rflags(const struct x86_cpu *c, const struct x86_event *ev)
{
    uint64_t fl = x86_rflags(c);
    if (is_software(ev))
        fl &= ~(uint64_t)X86_FL_RF;
    return sets_rf(ev) ? fl | X86_FL_RF : fl;
}

/* ---- Real mode ---- */

static int push_real_frame(struct x86_cpu *c, const struct delivery *d, struct x86_stack *st)
{
    const uint64_t frame[3] = {d->rflags, c->seg[X86_CS].sel, d->ret};
    x86_stack_here(c, st);
    for (unsigned i = 0; i < 3; i++) {
        int r = x86_stack_push(c, st, 2, frame[i]);
        if (x86_failed(r))
            return r;
    }
    return X86_NEXT;
}

static int deliver_real(struct x86_cpu *c, struct delivery *d)
{
    uint32_t off = d->ev->vector * 4u;
    struct x86_seg cs = c->seg[X86_CS];
    struct x86_stack st;
    uint8_t v[4] = {0};
    if (off + 3 > c->idtr.limit)
        return x86_raise_error(c, X86_GP, d->ev->vector * 8u | GATE_IDT | d->ext);
    int r = x86_sys_read(c, x86_table_lin(c, c->idtr.base, off), v, 4);
    if (!x86_failed(r))
        r = push_real_frame(c, d, &st);
    if (x86_failed(r))
        return r;
    uint16_t ip = (uint16_t)(v[0] | v[1] << 8);
    cs.sel = (uint16_t)(v[2] | v[3] << 8);
    cs.base = (uint64_t)cs.sel << 4;
    if (ip > cs.limit)
        return x86_raise_error(c, X86_GP, d->ext);
    c->r[X86_RSP] = st.rsp;
    c->seg[X86_CS] = cs;
    c->eflags &= ~(uint64_t)(X86_FL_IF | X86_FL_TF | X86_FL_AC | X86_FL_RF);
    x86_mode_update(c);
    return x86_jump(c, ip);
}

/* ---- Gates ---- */

static bool gate_type_good(const struct x86_cpu *c, unsigned type)
{
    if (type == X86_DT_INT || type == X86_DT_TRAP)
        return true;
    return !x86_long_mode(c) && (type == X86_DT_INT16 || type == X86_DT_TRAP16);
}

static int read_gate(struct x86_cpu *c, struct delivery *d)
{
    bool lm = x86_long_mode(c);
    unsigned size = lm ? 16 : 8, off = d->ev->vector * size;
    uint64_t w[2] = {0, 0};
    if (off + size - 1 > c->idtr.limit)
        return x86_raise_error(c, X86_GP, d->ev->vector * 8u | GATE_IDT | d->ext);
    int r = x86_sys_read(c, x86_table_lin(c, c->idtr.base, off), w, size);
    struct gate *g = &d->gate;
    g->offset = (w[0] & 0xffff) | (w[0] >> 32 & 0xffff0000) | w[1] << 32;
    g->sel = (uint16_t)(w[0] >> 16);
    g->type = (uint8_t)(w[0] >> 40 & 0x1f);
    g->dpl = (uint8_t)(w[0] >> 45 & 3);
    g->present = (w[0] >> 47 & 1) != 0;
    g->ist = lm ? (uint8_t)(w[0] >> 32 & 7) : 0;
    if (g->type == X86_DT_INT16 || g->type == X86_DT_TRAP16)
        g->offset &= 0xffff;
    return r;
}

static int check_gate(struct x86_cpu *c, struct delivery *d)
{
    uint32_t error = d->ev->vector * 8u | GATE_IDT | d->ext;
    int r = read_gate(c, d);
    if (x86_failed(r))
        return r;
    if (!gate_type_good(c, d->gate.type))
        return x86_raise_error(c, X86_GP, error);
    if (is_software(d->ev) && d->gate.dpl < c->cpl)
        return x86_raise_error(c, X86_GP, error);
    return d->gate.present ? X86_NEXT : x86_raise_error(c, X86_NP, error);
}

/* The gate's code segment: its rights, and at which level it runs. */
static int check_code(struct x86_cpu *c, struct delivery *d)
{
    struct x86_desc cs;
    uint16_t sel = d->gate.sel;
    if (x86_null_selector(sel))
        return x86_raise_error(c, X86_GP, d->ext);
    int r = x86_desc_fetch(c, sel, X86_GP, d->ext, &cs);
    if (x86_failed(r))
        return r;
    bool lm = x86_long_mode(c), wide = (x86_desc_attr(&cs) & X86_SEG_DB) != 0;
    if (!x86_desc_code(&cs) || x86_desc_dpl(&cs) > c->cpl || (lm && (!x86_code_is_64(c, x86_desc_attr(&cs)) || wide)))
        return x86_raise_sel(c, X86_GP, sel, d->ext);
    if (!x86_desc_present(&cs))
        return x86_raise_sel(c, X86_NP, sel, d->ext);
    d->cpl = x86_desc_conforming(&cs) ? c->cpl : (uint8_t)x86_desc_dpl(&cs);
    r = x86_desc_mark(c, &cs);
    d->cs = x86_desc_expand(&cs, (uint16_t)((sel & ~3u) | d->cpl));
    return r;
}

/* ---- Protected and long mode ---- */

static int pick_stack(struct x86_cpu *c, struct delivery *d, struct x86_stack *st)
{
    if (d->cpl < c->cpl || d->gate.ist != 0)
        return x86_stack_from_tss(c, d->cpl, d->gate.ist, d->ext, st);
    x86_stack_here(c, st);
    st->flat = x86_long_mode(c);
    st->error = d->ext;
    return X86_NEXT;
}

static int push_long_frame(struct x86_cpu *c, const struct delivery *d, struct x86_stack *st)
{
    const uint64_t frame[6] = {c->seg[X86_SS].sel, c->r[X86_RSP], d->rflags, c->seg[X86_CS].sel, d->ret, d->ev->error};
    st->rsp &= ~UINT64_C(15);
    return x86_stack_push_frame(c, st, frame, d->ev->has_error ? 6 : 5);
}

static int push_legacy_frame(struct x86_cpu *c, const struct delivery *d, struct x86_stack *st)
{
    const uint64_t frame[6] = {c->seg[X86_SS].sel, c->r[X86_RSP], d->rflags, c->seg[X86_CS].sel, d->ret, d->ev->error};
    unsigned size = d->gate.type & 8 ? 4 : 2, end = d->ev->has_error ? 6 : 5;
    for (unsigned i = st->inner ? 0 : 2; i < end; i++) {
        int r = x86_stack_push(c, st, size, frame[i]);
        if (x86_failed(r))
            return r;
    }
    return X86_NEXT;
}

static void enter_handler(struct x86_cpu *c, const struct delivery *d, const struct x86_stack *st)
{
    uint32_t clear = X86_FL_TF | X86_FL_NT | X86_FL_RF | X86_FL_VM;
    if ((d->gate.type & 1) == 0)
        clear |= X86_FL_IF;
    c->eflags &= ~(uint64_t)clear;
    c->r[X86_RSP] = st->rsp;
    x86_code_commit(c, &d->cs, &st->seg);
}

static int deliver_protected(struct x86_cpu *c, struct delivery *d)
{
    struct x86_stack st;
    int r = check_gate(c, d);
    if (!x86_failed(r))
        r = check_code(c, d);
    if (!x86_failed(r))
        r = pick_stack(c, d, &st);
    if (!x86_failed(r))
        r = x86_long_mode(c) ? push_long_frame(c, d, &st) : push_legacy_frame(c, d, &st);
    if (!x86_failed(r))
        r = x86_code_check_rip(c, &d->cs, d->gate.offset, d->ext);
    if (x86_failed(r))
        return r;
    enter_handler(c, d, &st);
    return x86_jump(c, d->gate.offset);
}

int x86_deliver_once(struct x86_cpu *c, const struct x86_event *ev, uint64_t ret)
{
    struct delivery d = {.ev = ev, .ret = ret, .rflags = pushed_rflags(c, ev), .ext = is_software(ev) ? 0 : 1};
    return x86_protected(c) ? deliver_protected(c, &d) : deliver_real(c, &d);
}

/* ---- Faults while delivering ---- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum fault_class classify(const struct x86_event *ev)
{
    if (ev->kind != X86_EV_EXCEPTION)
        return BENIGN;
    switch (ev->vector) {
    case X86_DE:
    case X86_TS:
    case X86_NP:
    case X86_SS_FAULT:
    case X86_GP: return CONTRIBUTORY;
    case X86_PF: return PAGE_FAULT;
    case X86_DF: return DOUBLE_FAULT;
    default: return BENIGN;
    }
}

enum merged { SERIAL, DOUBLE, SHUTDOWN };

static enum merged merge(const struct x86_event *first, const struct x86_event *second)
{
    enum fault_class a = classify(first), b = classify(second);
    if (b == BENIGN || a == BENIGN)
        return SERIAL;
    if (a == DOUBLE_FAULT)
        return SHUTDOWN;
    return a == CONTRIBUTORY && b == PAGE_FAULT ? SERIAL : DOUBLE;
}

static int shut_down(struct x86_cpu *c)
{
    c->activity = X86_SHUTDOWN;
    c->exit = X86_EXIT_SHUTDOWN;
    return X86_EXIT;
}

/*
 * What an exception leaves in CR2, DR6 and DR7. B0 to B3 tell of the present debug exception only, the others
 * accumulate.
 */
static void note_exception(struct x86_cpu *c, const struct x86_event *ev)
{
    if (ev->kind == X86_EV_EXCEPTION && ev->vector == X86_PF)
        c->cr2 = ev->cr2;
    if (ev->vector != X86_DB || (ev->kind != X86_EV_EXCEPTION && ev->kind != X86_EV_PRIV_EXCEPTION))
        return;
    if (ev->kind == X86_EV_EXCEPTION)
        c->dr6 = (c->dr6 & ~UINT64_C(0xf)) | ev->dr6;
    c->dr7 &= ~UINT64_C(0x2000); /* GD: the handler may use the debug registers */
}

static int offer(struct x86_cpu *c, const struct x86_event *ev)
{
    if (ev->kind != X86_EV_EXCEPTION || c->ops->exception == NULL)
        return X86_NEXT;
    if (c->ops->exception(c->opaque, ev) != X86_CB_EXIT)
        return X86_NEXT;
    c->exit = X86_EXIT_CALLBACK;
    return X86_EXIT;
}

/* The run ends in the middle: the event that started all is delivered again when it goes on. */
static int postpone(struct x86_cpu *c, const struct x86_event *ev)
{
    c->pending = *ev;
    atomic_fetch_or_explicit(&c->attention, X86_ATT_PENDING, memory_order_relaxed);
    return X86_EXIT;
}

static uint64_t return_rip(const struct x86_cpu *c, const struct x86_event *ev)
{
    bool after = is_software(ev) || ev->kind == X86_EV_PRIV_EXCEPTION;
    uint64_t rip = c->rip + (after ? ev->insn_len : 0u);
    return c->long64 ? rip : (uint32_t)rip;
}

int x86_deliver(struct x86_cpu *c, const struct x86_event *ev)
{
    static const struct x86_event df = {.kind = X86_EV_EXCEPTION, .vector = X86_DF, .has_error = 1};
    struct x86_event first = *ev, now = first;
    int r = c->quiet ? X86_NEXT : offer(c, &now);
    if (x86_failed(r))
        return r;
    c->shadow_sti = c->shadow_ss = 0;
    for (unsigned i = 0; i < MAX_SERIAL; i++) {
        note_exception(c, &now);
        r = x86_deliver_once(c, &now, return_rip(c, &now));
        if (r == X86_JUMP)
            return r;
        if (r == X86_EXIT)
            return postpone(c, &first);
        struct x86_event next = c->fault;
        enum merged m = merge(&now, &next);
        if (m == SHUTDOWN)
            return shut_down(c);
        if (m == DOUBLE) {
            note_exception(c, &next);
            next = df;
        }
        now = next;
        if (x86_failed(offer(c, &now)))
            return postpone(c, &first);
    }
    return shut_down(c);
}
