/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The local APIC's state as the client of the ABI sees and sets it. Everything from the client is untrusted: whatever
 * could not be in a register is dropped or refused.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/softhv/lapic.h"
#include "vmm/softhv/lapic_int.h"

#define ESR_BITS       0xffu
#define NO_VECTORS     0xffff0000u /* of word 0 of IRR, ISR, TMR: vectors 0 to 15 cannot be there */
#define LDR_BITS       0xff000000u
#define REMOTE_IRR_LVT 3u /* LINT0 */

/* ---- APIC_BASE ---- */

uint64_t softhv_lapic_base(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    uint64_t base = l->r.base;
    softhv_lapic_unlock(l, &a);
    return base;
}

int softhv_lapic_set_base(struct softhv_lapic *l, uint64_t value)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    bool valid = softhv_lapic_base_valid(l, value);
    if (valid)
        softhv_lapic_put_base(l, value, &a);
    a.look = a.timer = true;
    softhv_lapic_unlock(l, &a);
    return valid ? 0 : -EINVAL;
}

/* ---- Loading without side effects ---- */

static void put_vectors(uint32_t to[8], unsigned word, uint32_t value)
{
    to[word] = word == 0 ? value & NO_VECTORS : value;
}

static uint32_t clean_lvt(const struct softhv_lapic *l, unsigned n, uint32_t value)
{
    uint32_t not_held = SOFTHV_LAPIC_ICR_STATUS | (n == REMOTE_IRR_LVT ? 0 : SOFTHV_LAPIC_LVT_REMOTE_IRR);
    return value & softhv_lapic_lvt_bits(l, n) & ~not_held;
}

static uint32_t clean_icr_high(const struct softhv_lapic *l, uint32_t value)
{
    return softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC ? value : value & LDR_BITS;
}

/* A periodic count never stands at zero; a one-shot one at zero is over. */
static void load_timer(struct softhv_lapic *l, uint32_t initial, uint32_t count)
{
    if (softhv_lapic_timer_is_deadline(l))
        initial = 0;
    if (count > initial || (count == 0 && (l->r.lvt[0] & SOFTHV_LAPIC_LVT_PERIODIC)))
        count = initial;
    softhv_lapic_timer_start(l, initial, count);
}

/* ---- VP state type 0 ---- */

/* Offsets of the fields, in order of struct softhv_lapic_regs. */
enum {
    AT_ID = 0,
    AT_VERSION = 4,
    AT_LDR = 8,
    AT_DFR = 12,
    AT_SVR = 16,
    AT_ISR = 20,
    AT_TMR = 52,
    AT_IRR = 84,
    AT_ESR = 116,
    AT_ICR_HIGH = 120,
    AT_ICR_LOW = 124,
    AT_LVT = 128,
    AT_CMCI = 152,
    AT_ERRORS = 156,
    AT_INITIAL = 160,
    AT_CURRENT = 164,
    AT_DIVIDE = 168
};

static const struct {
    uint8_t at;
    uint8_t index;
} state_fields[] = {
    {AT_ID, SOFTHV_LAPIC_ID},           {AT_VERSION, SOFTHV_LAPIC_VERSION},   {AT_LDR, SOFTHV_LAPIC_LDR},
    {AT_DFR, SOFTHV_LAPIC_DFR},         {AT_SVR, SOFTHV_LAPIC_SVR},           {AT_ESR, SOFTHV_LAPIC_ESR},
    {AT_ICR_LOW, SOFTHV_LAPIC_ICR},     {AT_ICR_HIGH, SOFTHV_LAPIC_ICR_HIGH}, {AT_INITIAL, SOFTHV_LAPIC_INITIAL},
    {AT_CURRENT, SOFTHV_LAPIC_CURRENT}, {AT_DIVIDE, SOFTHV_LAPIC_DIVIDE},
};

static void store_words(uint8_t *to, const uint32_t *from, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bytes_store_le32(to + i * 4, from[i]);
}

/*
 * uncertain: the encoding of the id. Chosen: as the guest reads it, id << 24 in xAPIC mode and the id itself in x2APIC
 * mode, which is what clients that turn the state into a page image assume.
 * uncertain: what the second error word is. Chosen: errors that the next ESR write will show.
 * CMCI, which is not there, reads as masked.
 */
void softhv_lapic_get_state(struct softhv_lapic *l, uint8_t out[SOFTHV_LAPIC_STATE_BYTES])
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    memset(out, 0, SOFTHV_LAPIC_STATE_BYTES);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    for (size_t i = 0; i < sizeof(state_fields) / sizeof(state_fields[0]); i++)
        bytes_store_le32(out + state_fields[i].at, softhv_lapic_load(l, state_fields[i].index));
    store_words(out + AT_ISR, l->r.isr, 8);
    store_words(out + AT_TMR, l->r.tmr, 8);
    store_words(out + AT_IRR, l->r.irr, 8);
    store_words(out + AT_LVT, l->r.lvt, SOFTHV_LAPIC_LVTS);
    bytes_store_le32(out + AT_CMCI, SOFTHV_LAPIC_LVT_MASKED);
    bytes_store_le32(out + AT_ERRORS, l->r.esr_next);
    softhv_lapic_unlock(l, &a);
}

static void load_state(struct softhv_lapic *l, const uint8_t *in)
{
    struct softhv_lapic_regs *r = &l->r;
    bool x2apic = softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC;
    for (unsigned i = 0; i < 8; i++) {
        put_vectors(r->isr, i, bytes_load_le32(in + AT_ISR + i * 4));
        put_vectors(r->tmr, i, bytes_load_le32(in + AT_TMR + i * 4));
        put_vectors(r->irr, i, bytes_load_le32(in + AT_IRR + i * 4));
    }
    if (!x2apic) { /* there LDR follows from the id, and DFR does not exist */
        r->ldr = bytes_load_le32(in + AT_LDR) & LDR_BITS;
        r->dfr = bytes_load_le32(in + AT_DFR) | SOFTHV_LAPIC_DFR_ONES;
    }
    r->esr = bytes_load_le32(in + AT_ESR) & ESR_BITS;
    r->esr_next = bytes_load_le32(in + AT_ERRORS) & ESR_BITS;
    r->icr_low = bytes_load_le32(in + AT_ICR_LOW) & SOFTHV_LAPIC_ICR_BITS;
    r->icr_high = clean_icr_high(l, bytes_load_le32(in + AT_ICR_HIGH));
    softhv_lapic_put_svr(l, bytes_load_le32(in + AT_SVR) & softhv_lapic_svr_bits(l));
    for (unsigned n = 0; n < SOFTHV_LAPIC_LVTS; n++)
        softhv_lapic_put_lvt(l, n, clean_lvt(l, n, bytes_load_le32(in + AT_LVT + n * 4)));
    r->divide = bytes_load_le32(in + AT_DIVIDE) & SOFTHV_LAPIC_DIVIDE_BITS;
    load_timer(l, bytes_load_le32(in + AT_INITIAL), bytes_load_le32(in + AT_CURRENT));
}

/*
 * uncertain: whether LVT entries of a software-disabled local APIC may be unmasked this way; they may not by any
 * other. Clients that set LINT0 and LINT1 before the guest runs keep the mask bits they read.
 */
void softhv_lapic_set_state(struct softhv_lapic *l, const uint8_t in[SOFTHV_LAPIC_STATE_BYTES])
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    load_state(l, in);
    a.look = a.timer = true;
    softhv_lapic_unlock(l, &a);
}

/* ---- Single registers ---- */

static bool exists(unsigned index)
{
    switch (index) {
    case SOFTHV_LAPIC_ID:
    case SOFTHV_LAPIC_VERSION:
    case SOFTHV_LAPIC_TPR:
    case SOFTHV_LAPIC_PPR:
    case SOFTHV_LAPIC_EOI:
    case SOFTHV_LAPIC_LDR:
    case SOFTHV_LAPIC_SVR:
    case SOFTHV_LAPIC_ICR:
    case SOFTHV_LAPIC_INITIAL:
    case SOFTHV_LAPIC_CURRENT:
    case SOFTHV_LAPIC_DIVIDE:
    case SOFTHV_LAPIC_SELF_IPI: return true;
    default:
        return (index >= SOFTHV_LAPIC_ISR && index <= SOFTHV_LAPIC_ESR) ||
               (index >= SOFTHV_LAPIC_LVT_TIMER && index <= SOFTHV_LAPIC_LVT_ERROR);
    }
}

int softhv_lapic_get_reg(struct softhv_lapic *l, unsigned index, uint64_t *value)
{
    struct softhv_lapic_after a;
    if (!exists(index))
        return -EINVAL;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    *value = softhv_lapic_load(l, index);
    if (index == SOFTHV_LAPIC_ICR)
        *value |= (uint64_t)l->r.icr_high << 32;
    softhv_lapic_unlock(l, &a);
    return 0;
}

static int load_icr(struct softhv_lapic *l, uint64_t value)
{
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32);
    if ((low & ~(SOFTHV_LAPIC_ICR_BITS | SOFTHV_LAPIC_ICR_STATUS)) != 0 || clean_icr_high(l, high) != high)
        return -EINVAL;
    l->r.icr_low = low & SOFTHV_LAPIC_ICR_BITS;
    l->r.icr_high = high;
    return 0;
}

static int load_vectors(struct softhv_lapic *l, unsigned index, uint32_t value)
{
    uint32_t *bits[3] = {l->r.isr, l->r.tmr, l->r.irr};
    if (index % 8 == 0 && (value & ~NO_VECTORS) != 0)
        return -EINVAL;
    put_vectors(bits[(index - SOFTHV_LAPIC_ISR) / 8], index % 8, value);
    return 0;
}

static int load_lvt(struct softhv_lapic *l, unsigned n, uint32_t value)
{
    if ((value & ~softhv_lapic_lvt_bits(l, n)) != 0)
        return -EINVAL;
    softhv_lapic_put_lvt(l, n, clean_lvt(l, n, value));
    return 0;
}

static int load_ldr(struct softhv_lapic *l, uint32_t value)
{
    if (softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC)
        return value == softhv_lapic_load(l, SOFTHV_LAPIC_LDR) ? 0 : -EINVAL;
    if ((value & ~LDR_BITS) != 0)
        return -EINVAL;
    l->r.ldr = value;
    softhv_lapic_publish(l);
    return 0;
}

/* Registers of which a few bits exist; 0 and *bits, or -EINVAL. */
static int masked_bits(const struct softhv_lapic *l, unsigned index, uint32_t *bits)
{
    switch (index) {
    case SOFTHV_LAPIC_TPR: *bits = 0xff; return 0;
    case SOFTHV_LAPIC_SVR: *bits = softhv_lapic_svr_bits(l); return 0;
    case SOFTHV_LAPIC_ESR: *bits = ESR_BITS; return 0;
    case SOFTHV_LAPIC_DIVIDE: *bits = SOFTHV_LAPIC_DIVIDE_BITS; return 0;
    case SOFTHV_LAPIC_INITIAL:
    case SOFTHV_LAPIC_CURRENT:
    case SOFTHV_LAPIC_EOI:
    case SOFTHV_LAPIC_SELF_IPI: *bits = 0xffffffffu; return 0;
    default: return -EINVAL;
    }
}

static void load_masked(struct softhv_lapic *l, unsigned index, uint32_t value)
{
    switch (index) {
    case SOFTHV_LAPIC_TPR: l->r.tpr = value; break;
    case SOFTHV_LAPIC_SVR: softhv_lapic_put_svr(l, value); break;
    case SOFTHV_LAPIC_ESR: l->r.esr = value; break;
    case SOFTHV_LAPIC_DIVIDE: softhv_lapic_timer_set_divide(l, value); break;
    case SOFTHV_LAPIC_INITIAL: load_timer(l, value, value); break;
    case SOFTHV_LAPIC_CURRENT: load_timer(l, l->r.initial, value); break;
    default: break; /* EOI, self IPI */
    }
}

static int load_reg(struct softhv_lapic *l, unsigned index, uint64_t value)
{
    uint32_t v = (uint32_t)value, bits = 0;
    if (index == SOFTHV_LAPIC_ICR)
        return load_icr(l, value);
    if (value != v)
        return -EINVAL;
    if (index == SOFTHV_LAPIC_ID || index == SOFTHV_LAPIC_VERSION || index == SOFTHV_LAPIC_PPR)
        return v == softhv_lapic_load(l, index) ? 0 : -EINVAL;
    if (index == SOFTHV_LAPIC_LDR)
        return load_ldr(l, v);
    if (index >= SOFTHV_LAPIC_ISR && index < SOFTHV_LAPIC_ESR)
        return load_vectors(l, index, v);
    if (index >= SOFTHV_LAPIC_LVT_TIMER && index <= SOFTHV_LAPIC_LVT_ERROR)
        return load_lvt(l, index - SOFTHV_LAPIC_LVT_FIRST, v);
    if (masked_bits(l, index, &bits) != 0 || (v & ~bits) != 0)
        return -EINVAL;
    load_masked(l, index, v);
    return 0;
}

int softhv_lapic_set_reg(struct softhv_lapic *l, unsigned index, uint64_t value)
{
    struct softhv_lapic_after a;
    if (!exists(index))
        return -EINVAL;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    int rc = load_reg(l, index, value);
    a.look = a.timer = true;
    softhv_lapic_unlock(l, &a);
    return rc;
}

/* ---- Everything ---- */

void softhv_lapic_save(struct softhv_lapic *l, struct softhv_lapic_regs *out)
{
    struct softhv_lapic_after a;
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    softhv_lapic_timer_sync(l, &a);
    *out = l->r;
    out->timer_ticks = l->r.counting ? softhv_lapic_timer_ticks(l) - l->r.timer_ticks : 0;
    softhv_lapic_unlock(l, &a);
}

/* The same rules as for single fields; id and pending events, too. */
static void clean_regs(const struct softhv_lapic *l, struct softhv_lapic_regs *r)
{
    enum softhv_lapic_mode mode = softhv_lapic_mode_of(r->base);
    r->tpr &= 0xff;
    r->ldr &= LDR_BITS;
    r->dfr |= SOFTHV_LAPIC_DFR_ONES;
    r->svr &= softhv_lapic_svr_bits(l);
    r->isr[0] &= NO_VECTORS;
    r->tmr[0] &= NO_VECTORS;
    r->irr[0] &= NO_VECTORS;
    r->esr &= ESR_BITS;
    r->esr_next &= ESR_BITS;
    r->icr_low &= SOFTHV_LAPIC_ICR_BITS;
    r->icr_high &= mode == SOFTHV_LAPIC_X2APIC ? 0xffffffffu : LDR_BITS;
    r->divide &= SOFTHV_LAPIC_DIVIDE_BITS;
    for (unsigned n = 0; n < SOFTHV_LAPIC_LVTS; n++)
        r->lvt[n] = clean_lvt(l, n, r->lvt[n]) | (r->svr & SOFTHV_LAPIC_SVR_ENABLE ? 0 : SOFTHV_LAPIC_LVT_MASKED);
    bool deadline = (r->lvt[0] >> 17 & 3) == 2;
    r->tsc_deadline = deadline ? r->tsc_deadline : 0;
    r->initial = deadline ? 0 : r->initial;
    r->counting = r->counting && r->initial != 0;
    r->timer_ticks &= UINT64_MAX >> 1;
    r->events &= SOFTHV_LAPIC_EV_INIT | SOFTHV_LAPIC_EV_SIPI | SOFTHV_LAPIC_EV_NMI;
    r->waiting = r->waiting != 0;
    r->extint = r->extint != 0;
    memset(r->pad, 0, sizeof(r->pad));
}

int softhv_lapic_restore(struct softhv_lapic *l, const struct softhv_lapic_regs *in)
{
    struct softhv_lapic_after a;
    struct softhv_lapic_regs r = *in;
    if (!softhv_lapic_base_valid(l, r.base))
        return -EINVAL;
    clean_regs(l, &r);
    softhv_lapic_settle(l);
    softhv_lapic_lock(l, &a);
    r.timer_ticks = softhv_lapic_timer_ticks(l) - r.timer_ticks;
    l->r = r;
    softhv_lapic_publish(l);
    a.look = a.timer = true;
    a.wake = r.events ? SOFTHV_LAPIC_WAKE_EVENT : 0;
    softhv_lapic_unlock(l, &a);
    return 0;
}
