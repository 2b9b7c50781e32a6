/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The run loop: find a block, run its handlers, deliver what came up. Source for the order of events between
 * instructions: Intel SDM volume 3, 6.9, table 6-2.
 */
#include "vmm/x86/block.h"
#include "vmm/x86/mmu.h"

/* What one turn of the loop came to: go on, or leave with an exit. */
#define GO_ON (-1)

static uint32_t attention(const struct x86_cpu *c)
{
    return atomic_load_explicit(&c->attention, memory_order_relaxed);
}

static void attention_clear(struct x86_cpu *c, uint32_t bits)
{
    atomic_fetch_and_explicit(&c->attention, ~bits, memory_order_acquire);
}

/* Built without the privileged half: the embedder hears of the event, and the run ends. */
static int report(struct x86_cpu *c, const struct x86_event *ev)
{
    if (c->ops->exception != NULL)
        (void)c->ops->exception(c->opaque, ev);
    return X86_EXIT_CALLBACK;
}

static int deliver(struct x86_cpu *c, const struct x86_event *ev)
{
    c->activity = X86_ACTIVE;
    if (!CONFIG_X86_SYSTEM)
        return report(c, ev);
    int r = x86_deliver(c, ev);
    if (r == X86_EXIT)
        return (int)c->exit;
    return --c->events_left == 0 ? X86_EXIT_BUDGET : GO_ON;
}

/* Interrupts that are deliverable between these two instructions. */
static int attend_interrupts(struct x86_cpu *c, uint32_t att)
{
    if ((att & X86_SIG_NMI) && !c->nmi_blocked && !c->shadow_ss) {
        attention_clear(c, X86_SIG_NMI);
        c->nmi_blocked = 1;
        return deliver(c, &(struct x86_event){.kind = X86_EV_NMI, .vector = X86_NMI});
    }
    if ((att & X86_SIG_INTR) && (c->eflags & X86_FL_IF) && !c->shadow_ss && !c->shadow_sti &&
        c->ops->intr_ack != NULL) {
        attention_clear(c, X86_SIG_INTR);
        int vector = c->ops->intr_ack(c->opaque);
        if (vector >= 0)
            return deliver(c, &(struct x86_event){.kind = X86_EV_INTR, .vector = (uint8_t)vector});
    }
    return GO_ON;
}

static int attend(struct x86_cpu *c)
{
    uint32_t att = attention(c);
    if (att & X86_SIG_FLUSH) {
        attention_clear(c, X86_SIG_FLUSH);
        x86_cache_clear(c);
        x86_mmu_forget(c);
    }
    if (att & X86_SIG_KICK) {
        attention_clear(c, X86_SIG_KICK);
        return X86_EXIT_KICK;
    }
    if (c->activity == X86_SHUTDOWN || c->activity == X86_WAIT_SIPI)
        return GO_ON; /* only a new state or a reset wakes it */
    c->cur = NULL;
    if (att & X86_ATT_PENDING) {
        attention_clear(c, X86_ATT_PENDING);
        struct x86_event ev = c->pending;
        c->pending.kind = X86_EV_NONE;
        if (ev.kind == X86_EV_NMI)
            c->nmi_blocked = 1;
        c->quiet = true;
        int go = deliver(c, &ev);
        c->quiet = false;
        return go;
    }
    return attend_interrupts(c, att);
}

/* ---- Debug and shadow work around a single instruction ---- */

static int raise_debug(struct x86_cpu *c, uint32_t dr6)
{
    struct x86_event ev = {.kind = X86_EV_EXCEPTION, .vector = X86_DB, .dr6 = dr6};
    return deliver(c, &ev);
}

/* Instruction breakpoints at lin: DR6 bits, or 0. RF hides them, and so does a load of SS before the instruction. */
static uint32_t exec_breakpoints(const struct x86_cpu *c, uint64_t lin)
{
    uint32_t hit = 0;
    if ((c->eflags & X86_FL_RF) || c->shadow_ss)
        return 0;
    for (unsigned i = 0; i < 4; i++)
        if ((c->dr7 >> (2 * i) & 3) != 0 && (c->dr7 >> (16 + 4 * i) & 3) == 0 && c->dr[i] == lin)
            hit |= 1u << i;
    return hit;
}

/* State that is looked at before a single-stepped instruction and judged after it. */
struct single {
    bool on, tf, shadow;
};

static struct single single_begin(struct x86_cpu *c)
{
    struct single s = {.on = (c->key & X86_KEY_SINGLE) != 0, .tf = (c->eflags & X86_FL_TF) != 0};
    s.shadow = s.on && (c->shadow_sti || c->shadow_ss);
    c->db_pending &= s.shadow ? ~0u : 0;
    return s;
}

/* Software interrupts and SYSCALL clear TF before a trap could be taken; an INTO that does nothing does not. */
static bool swallows_trap(const struct x86_cpu *c, const struct x86_insn *in)
{
    if (c->eflags & X86_FL_TF)
        return false;
    switch (in->op) {
    case X86_OP_INT:
    case X86_OP_INT3:
    case X86_OP_INTO:
    case X86_OP_INT1:
    case X86_OP_SYSCALL: return true;
    default: return false;
    }
}

/* IRET loads RF; a string instruction between two of its iterations is not done yet. */
static bool keeps_rf(const struct x86_cpu *c, const struct x86_insn *in)
{
    bool again = x86_op_family(in->op) == X86_FAM_STR && c->rip == c->r[X86_SLOT_RIP];
    return in->op == X86_OP_IRET || again;
}

static int single_end(struct x86_cpu *c, struct single s, const struct x86_insn *in, bool new_shadow)
{
    if (!keeps_rf(c, in))
        c->eflags &= ~(uint64_t)X86_FL_RF;
    if (s.shadow && !new_shadow)
        c->shadow_sti = c->shadow_ss = 0;
    uint32_t dr6 = c->db_pending;
    if (s.tf && !swallows_trap(c, in))
        dr6 |= 0x4000;
    x86_mode_update(c);
    if (dr6 == 0 || c->shadow_ss) {
        c->db_pending = dr6;
        return GO_ON;
    }
    c->db_pending = 0;
    return raise_debug(c, dr6);
}

/* ---- Faults ---- */

static int fault(struct x86_cpu *c)
{
    struct x86_event ev = c->fault;
    uint8_t sti = c->shadow_sti, ss = c->shadow_ss;
    if (sti || ss) {
        c->shadow_sti = c->shadow_ss = 0;
        x86_mode_update(c);
    }
    int go = deliver(c, &ev);
    if (go != X86_EXIT_CALLBACK || c->pending.kind != X86_EV_NONE)
        return go;
    /* The embedder wants to see it first: nothing has happened. */
    c->shadow_sti = sti;
    c->shadow_ss = ss;
    x86_mode_update(c);
    return go;
}

static uint64_t pc_linear(const struct x86_cpu *c)
{
    return c->long64 ? c->rip : (uint32_t)(c->rip + c->segbase[X86_CS]);
}

static int find(struct x86_cpu *c, struct x86_block **out)
{
    uint64_t lin = pc_linear(c);
    struct x86_block *b = x86_cache_jumps(c->cache)[x86_jump_slot(lin)];
    if (x86_likely(b != NULL && b->lin == lin && b->ctx == c->ctx && x86_block_current(b))) {
        *out = b;
        return X86_NEXT;
    }
    return x86_block_get(c, lin, out);
}

static void settle(struct x86_cpu *c, const struct x86_insn *in, int r)
{
    if (r == X86_LEAVE)
        c->rip = x86_next_rip(c, in);
    else if (r != X86_JUMP) {
        c->rip = x86_rip(c, in);
        c->insns--;
    }
}

/* RIP was relative to the mode the instruction was in; LEAVE after a mode switch must use that mode's width. */
static int run_block(struct x86_cpu *c, struct x86_block *b, const struct x86_insn **last)
{
    const struct x86_insn *in = b->insn;
    c->r[X86_SLOT_RIP] = c->rip;
    int r;
    do {
        c->cur = in;
        r = in->fn(c, in);
        in++;
    } while (r == X86_NEXT);
    c->insns += (uint64_t)(in - b->insn);
    *last = in - 1;
    return r;
}

/* The rare half of a turn: single-stepping, faults, exits. */
static int turn_single(struct x86_cpu *c)
{
    struct x86_block *b;
    struct single s = single_begin(c);
    uint32_t hit = exec_breakpoints(c, pc_linear(c));
    if (hit != 0)
        return raise_debug(c, hit);
    int r = find(c, &b);
    if (x86_failed(r)) {
        c->cur = NULL;
        return r == X86_FAULT ? fault(c) : (int)c->exit;
    }
    uint8_t sti = c->shadow_sti, ss = c->shadow_ss;
    c->shadow_sti = c->shadow_ss = 0;
    const struct x86_insn *last;
    r = run_block(c, b, &last);
    if (last > b->insn)
        last = b->insn; /* the end marker counts as its instruction */
    settle(c, last, r);
    bool new_shadow = c->shadow_sti || c->shadow_ss;
    if (x86_failed(r)) {
        c->shadow_sti = sti;
        c->shadow_ss = ss;
        return r == X86_FAULT ? fault(c) : (int)c->exit;
    }
    return single_end(c, s, last, new_shadow);
}

static int turn(struct x86_cpu *c)
{
    if (x86_unlikely(c->key & X86_KEY_SINGLE))
        return turn_single(c);
    struct x86_block *b;
    int r = find(c, &b);
    if (x86_unlikely(x86_failed(r))) {
        c->cur = NULL;
        return r == X86_FAULT ? fault(c) : (int)c->exit;
    }
    const struct x86_insn *last;
    r = run_block(c, b, &last);
    if (x86_likely(r == X86_JUMP))
        return GO_ON;
    settle(c, last, r);
    if (r == X86_LEAVE) {
        if (c->shadow_sti | c->shadow_ss)
            x86_mode_update(c);
        return GO_ON;
    }
    return r == X86_FAULT ? fault(c) : (int)c->exit;
}

/*
 * Besides instructions a run is bounded in exceptions: a guest whose handler faults at its first instruction completes
 * none at all. This many are allowed on top of one for each instruction.
 */
#define EVENTS_MORE 64u

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static enum x86_exit run_until(struct x86_cpu *c, uint64_t stop)
{
    for (;;) {
        int go = GO_ON;
        if (x86_unlikely(attention(c) != 0))
            go = attend(c);
        if (go == GO_ON && x86_unlikely(c->activity != X86_ACTIVE))
            return c->activity == X86_SHUTDOWN ? X86_EXIT_SHUTDOWN : X86_EXIT_HALT;
        if (go == GO_ON)
            go = turn(c);
        if (x86_unlikely(go != GO_ON))
            return (enum x86_exit)go;
        if (x86_unlikely(c->insns >= stop))
            return c->activity == X86_HALTED ? X86_EXIT_HALT : X86_EXIT_BUDGET;
    }
}

enum x86_exit x86_cpu_run(struct x86_cpu *c, uint64_t max_insns)
{
    c->step_one = max_insns == 1;
    c->cur = NULL;
    x86_mode_update(c);
    uint64_t n = max_insns == 0 ? UINT64_MAX : max_insns;
    c->events_left = add_capped(n, EVENTS_MORE);
    enum x86_exit e = run_until(c, add_capped(c->insns, n));
    if (c->step_one) {
        c->step_one = false;
        x86_mode_update(c);
    }
    return e;
}
