/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers of the local APIC as the guest reaches them: xAPIC page, x2APIC MSRs, APIC_BASE, IA32_TSC_DEADLINE.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/softhv/lapic.h"
#include "vmm/softhv/lapic_int.h"

#define INDICES 0x40u

/* ---- Which registers there are ---- */

#define X  1u /* in the xAPIC page */
#define R2 2u /* RDMSR in x2APIC mode */
#define W2 4u /* WRMSR in x2APIC mode */

/* SDM volume 3, tables 11-1 and 11-6. APR, DFR, remote read and the ICR's upper half do not exist in x2APIC mode. */
static const uint8_t access_table[INDICES] = {
    [SOFTHV_LAPIC_ID] = X | R2,
    [SOFTHV_LAPIC_VERSION] = X | R2,
    [SOFTHV_LAPIC_TPR] = X | R2 | W2,
    [SOFTHV_LAPIC_APR] = X,
    [SOFTHV_LAPIC_PPR] = X | R2,
    [SOFTHV_LAPIC_EOI] = X | W2,
    [SOFTHV_LAPIC_REMOTE_READ] = X,
    [SOFTHV_LAPIC_LDR] = X | R2,
    [SOFTHV_LAPIC_DFR] = X,
    [SOFTHV_LAPIC_SVR] = X | R2 | W2,
    [SOFTHV_LAPIC_ISR... SOFTHV_LAPIC_IRR + 7] = X | R2,
    [SOFTHV_LAPIC_ESR] = X | R2 | W2,
    [SOFTHV_LAPIC_ICR] = X | R2 | W2,
    [SOFTHV_LAPIC_ICR_HIGH] = X,
    [SOFTHV_LAPIC_LVT_TIMER... SOFTHV_LAPIC_LVT_ERROR] = X | R2 | W2,
    [SOFTHV_LAPIC_INITIAL] = X | R2 | W2,
    [SOFTHV_LAPIC_CURRENT] = X | R2,
    [SOFTHV_LAPIC_DIVIDE] = X | R2 | W2,
    [SOFTHV_LAPIC_SELF_IPI] = W2,
};

static bool is_lvt(unsigned index)
{
    return index >= SOFTHV_LAPIC_LVT_TIMER && index <= SOFTHV_LAPIC_LVT_ERROR;
}

/* Fields of an LVT entry; bits 12 (delivery status) and 14 (remote IRR) are read-only. */
uint32_t softhv_lapic_lvt_bits(const struct softhv_lapic *l, unsigned n)
{
    static const uint32_t bits[SOFTHV_LAPIC_LVTS] = {0x310ff, 0x117ff, 0x117ff, 0x1f7ff, 0x1f7ff, 0x110ff};
    return bits[n] | (n == 0 && l->cfg.tsc_deadline ? SOFTHV_LAPIC_LVT_DEADLINE : 0);
}

/* Bit 9, focus processor checking, is kept for those who write it, and means nothing. */
uint32_t softhv_lapic_svr_bits(const struct softhv_lapic *l)
{
    return 0x3ffu | (l->cfg.suppress_eoi ? SOFTHV_LAPIC_SVR_NO_BROADCAST : 0);
}

/* Bits that may be written as ones in x2APIC mode; the ICR is judged by itself. */
static uint32_t writable_bits(const struct softhv_lapic *l, unsigned index)
{
    if (is_lvt(index))
        return softhv_lapic_lvt_bits(l, index - SOFTHV_LAPIC_LVT_FIRST);
    switch (index) {
    case SOFTHV_LAPIC_TPR:
    case SOFTHV_LAPIC_SELF_IPI: return 0xff;
    case SOFTHV_LAPIC_SVR: return softhv_lapic_svr_bits(l);
    case SOFTHV_LAPIC_INITIAL: return 0xffffffffu;
    case SOFTHV_LAPIC_DIVIDE: return SOFTHV_LAPIC_DIVIDE_BITS;
    default: return 0; /* EOI and ESR take zero only */
    }
}

/* ---- Reading ---- */

/*
 * Version 0x14 with six LVT entries: CMCI is not there.
 */
static uint32_t version(const struct softhv_lapic *l)
{
    return 0x14u | (SOFTHV_LAPIC_LVTS - 1) << 16 | (l->cfg.suppress_eoi ? 1u << 24 : 0);
}

static uint32_t shown_id(const struct softhv_lapic *l)
{
    return softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC ? l->r.id : l->r.id << 24;
}

static uint32_t shown_ldr(const struct softhv_lapic *l)
{
    if (softhv_lapic_mode_now(l) != SOFTHV_LAPIC_X2APIC)
        return l->r.ldr;
    return (l->r.id >> 4) << 16 | 1u << (l->r.id & 15);
}

uint32_t softhv_lapic_load(struct softhv_lapic *l, unsigned index)
{
    const struct softhv_lapic_regs *r = &l->r;
    if (is_lvt(index))
        return r->lvt[index - SOFTHV_LAPIC_LVT_FIRST];
    if (index >= SOFTHV_LAPIC_ISR && index < SOFTHV_LAPIC_ESR) {
        const uint32_t *bits[3] = {r->isr, r->tmr, r->irr};
        return bits[(index - SOFTHV_LAPIC_ISR) / 8][index % 8];
    }
    switch (index) {
    case SOFTHV_LAPIC_ID: return shown_id(l);
    case SOFTHV_LAPIC_VERSION: return version(l);
    case SOFTHV_LAPIC_TPR: return r->tpr;
    case SOFTHV_LAPIC_APR: return softhv_lapic_apr(l);
    case SOFTHV_LAPIC_PPR: return softhv_lapic_ppr(l);
    case SOFTHV_LAPIC_LDR: return shown_ldr(l);
    case SOFTHV_LAPIC_DFR: return r->dfr;
    case SOFTHV_LAPIC_SVR: return r->svr;
    case SOFTHV_LAPIC_ESR: return r->esr;
    case SOFTHV_LAPIC_ICR: return r->icr_low;
    case SOFTHV_LAPIC_ICR_HIGH: return r->icr_high;
    case SOFTHV_LAPIC_INITIAL: return r->initial;
    case SOFTHV_LAPIC_CURRENT: return softhv_lapic_timer_count(l);
    case SOFTHV_LAPIC_DIVIDE: return r->divide;
    default: return 0; /* EOI, remote read, self IPI */
    }
}

/* ---- Writing ---- */

/* While software-disabled, entries stay masked whatever is written (SDM volume 3, 11.4.7.2). */
void softhv_lapic_put_lvt(struct softhv_lapic *l, unsigned n, uint32_t value)
{
    if (!softhv_lapic_enabled(l))
        value |= SOFTHV_LAPIC_LVT_MASKED;
    if (n == 0)
        softhv_lapic_timer_set_lvt(l, value);
    else
        l->r.lvt[n] = value;
}

void softhv_lapic_put_svr(struct softhv_lapic *l, uint32_t value)
{
    l->r.svr = value;
    for (unsigned n = 0; n < SOFTHV_LAPIC_LVTS && !softhv_lapic_enabled(l); n++)
        l->r.lvt[n] |= SOFTHV_LAPIC_LVT_MASKED;
    softhv_lapic_publish(l);
}

static void write_lvt(struct softhv_lapic *l, unsigned n, uint32_t value, struct softhv_lapic_after *a)
{
    const uint32_t fixed = SOFTHV_LAPIC_ICR_STATUS | SOFTHV_LAPIC_LVT_REMOTE_IRR;
    uint32_t kept = l->r.lvt[n] & fixed;
    softhv_lapic_put_lvt(l, n, (value & softhv_lapic_lvt_bits(l, n) & ~fixed) | kept);
    a->timer |= n == 0;
}

static bool has_vector(uint32_t icr_low)
{
    unsigned type = icr_low >> 8 & 7;
    return type == SOFTHV_APIC_FIXED || type == SOFTHV_APIC_LOWEST;
}

/* Delivery is immediate, so the delivery status always reads idle. */
static void send(struct softhv_lapic *l, uint32_t icr_low, uint32_t icr_high, struct softhv_lapic_after *a)
{
    if (has_vector(icr_low) && (icr_low & 0xff) < 16) {
        softhv_lapic_error(l, SOFTHV_LAPIC_ESR_SEND_VECTOR, a);
        return;
    }
    a->ipi = true;
    a->icr = (uint64_t)icr_high << 32 | icr_low;
    a->x2apic = softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC;
}

static void write_icr(struct softhv_lapic *l, uint32_t low, uint32_t high, struct softhv_lapic_after *a)
{
    l->r.icr_low = low & SOFTHV_LAPIC_ICR_BITS;
    l->r.icr_high = high;
    send(l, l->r.icr_low, l->r.icr_high, a);
}

static void self_ipi(struct softhv_lapic *l, uint32_t vector, struct softhv_lapic_after *a)
{
    send(l, vector | 1u << 18, 0, a);
}

static void write_esr(struct softhv_lapic *l)
{
    l->r.esr = l->r.esr_next;
    l->r.esr_next = 0;
}

/*
 * A 32-bit write by the guest; reserved bits are dropped. Read-only registers ignore it, the id among them: newer
 * processors keep it, and a guest that changes it could only misdirect its own interrupts.
 */
static void write_reg(struct softhv_lapic *l, unsigned index, uint32_t v, struct softhv_lapic_after *a)
{
    if (is_lvt(index)) {
        write_lvt(l, index - SOFTHV_LAPIC_LVT_FIRST, v, a);
        return;
    }
    switch (index) {
    case SOFTHV_LAPIC_TPR:
        l->r.tpr = v & 0xff;
        a->look = true;
        break;
    case SOFTHV_LAPIC_EOI: softhv_lapic_complete(l, a); break;
    case SOFTHV_LAPIC_LDR:
        l->r.ldr = v & 0xff000000u;
        softhv_lapic_publish(l);
        break;
    case SOFTHV_LAPIC_DFR:
        l->r.dfr = v | SOFTHV_LAPIC_DFR_ONES;
        softhv_lapic_publish(l);
        break;
    case SOFTHV_LAPIC_SVR:
        softhv_lapic_put_svr(l, v & softhv_lapic_svr_bits(l));
        a->timer = true;
        break;
    case SOFTHV_LAPIC_ESR: write_esr(l); break;
    case SOFTHV_LAPIC_ICR: write_icr(l, v, l->r.icr_high, a); break;
    case SOFTHV_LAPIC_ICR_HIGH: l->r.icr_high = v & 0xff000000u; break;
    case SOFTHV_LAPIC_INITIAL:
        if (!softhv_lapic_timer_is_deadline(l))
            softhv_lapic_timer_start(l, v, v);
        a->timer = true;
        break;
    case SOFTHV_LAPIC_DIVIDE:
        softhv_lapic_timer_set_divide(l, v & SOFTHV_LAPIC_DIVIDE_BITS);
        a->timer = true;
        break;
    case SOFTHV_LAPIC_SELF_IPI: self_ipi(l, v & 0xff, a); break;
    default: break;
    }
}

/* Anything that shows or moves what is in service must know first what the assist page says. */
static void settle_for(struct softhv_lapic *l, unsigned index)
{
    if (index == SOFTHV_LAPIC_EOI || index == SOFTHV_LAPIC_PPR || index == SOFTHV_LAPIC_APR ||
        (index >= SOFTHV_LAPIC_ISR && index < SOFTHV_LAPIC_ESR))
        softhv_lapic_settle(l);
}

/* Lock, settle, and let the timer catch up with the clock. */
static void enter(struct softhv_lapic *l, unsigned index, struct softhv_lapic_after *a)
{
    settle_for(l, index);
    softhv_lapic_lock(l, a);
    softhv_lapic_timer_sync(l, a);
}

/* ---- xAPIC page ---- */

static bool in_page(struct softhv_lapic *l, unsigned index, struct softhv_lapic_after *a)
{
    if (index < INDICES && (access_table[index] & X))
        return true;
    softhv_lapic_error(l, SOFTHV_LAPIC_ESR_REGISTER, a);
    return false;
}

static bool page_access(uint32_t offset, uint32_t len)
{
    return len >= 1 && len <= 64 && offset < 4096 && len <= 4096 - offset;
}

void softhv_lapic_mmio_read(struct softhv_lapic *l, uint32_t offset, uint32_t len, void *out)
{
    uint8_t bytes[4] = {0};
    memset(out, 0, len);
    if (!page_access(offset, len) || offset % 16 > 3)
        return;
    struct softhv_lapic_after a;
    unsigned index = offset / 16;
    enter(l, index, &a);
    if (in_page(l, index, &a))
        bytes_store_le32(bytes, softhv_lapic_load(l, index));
    softhv_lapic_unlock(l, &a);
    uint32_t there = 4 - offset % 16;
    memcpy(out, bytes + offset % 16, len < there ? len : there);
}

void softhv_lapic_mmio_write(struct softhv_lapic *l, uint32_t offset, uint32_t len, const void *in)
{
    if (!page_access(offset, len) || len != 4 || offset % 16 != 0)
        return;
    struct softhv_lapic_after a;
    unsigned index = offset / 16;
    enter(l, index, &a);
    if (in_page(l, index, &a))
        write_reg(l, index, bytes_load_le32(in), &a);
    softhv_lapic_unlock(l, &a);
}

/* ---- x2APIC MSRs ---- */

static bool icr_valid(const struct softhv_lapic *l, uint64_t value)
{
    uint32_t reserved = ~(SOFTHV_LAPIC_ICR_BITS | SOFTHV_LAPIC_ICR_STATUS);
    return softhv_lapic_mode_now(l) != SOFTHV_LAPIC_X2APIC || ((uint32_t)value & reserved) == 0;
}

static int x2apic_read(struct softhv_lapic *l, unsigned index, uint64_t *value)
{
    if (softhv_lapic_mode_now(l) != SOFTHV_LAPIC_X2APIC || index >= INDICES || !(access_table[index] & R2))
        return -EINVAL;
    *value = softhv_lapic_load(l, index);
    if (index == SOFTHV_LAPIC_ICR)
        *value |= (uint64_t)l->r.icr_high << 32;
    return 0;
}

static int x2apic_write(struct softhv_lapic *l, unsigned index, uint64_t value, struct softhv_lapic_after *a)
{
    if (softhv_lapic_mode_now(l) != SOFTHV_LAPIC_X2APIC || index >= INDICES || !(access_table[index] & W2))
        return -EINVAL;
    if (index == SOFTHV_LAPIC_ICR) {
        if (!icr_valid(l, value))
            return -EINVAL;
        write_icr(l, (uint32_t)value, (uint32_t)(value >> 32), a);
        return 0;
    }
    if ((value & ~(uint64_t)writable_bits(l, index)) != 0)
        return -EINVAL;
    write_reg(l, index, (uint32_t)value, a);
    return 0;
}

uint64_t softhv_lapic_icr(struct softhv_lapic *l)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    uint64_t icr = (uint64_t)l->r.icr_high << 32 | l->r.icr_low;
    softhv_lapic_unlock(l, &a);
    return icr;
}

int softhv_lapic_set_icr(struct softhv_lapic *l, uint64_t value)
{
    struct softhv_lapic_after a;
    softhv_lapic_lock(l, &a);
    bool valid = icr_valid(l, value);
    uint32_t high = (uint32_t)(value >> 32);
    bool wide = softhv_lapic_mode_now(l) == SOFTHV_LAPIC_X2APIC;
    if (valid && softhv_lapic_mode_now(l) != SOFTHV_LAPIC_OFF)
        write_icr(l, (uint32_t)value, wide ? high : high & 0xff000000u, &a);
    softhv_lapic_unlock(l, &a);
    return valid ? 0 : -EINVAL;
}

/* ---- APIC_BASE ---- */

bool softhv_lapic_base_valid(const struct softhv_lapic *l, uint64_t base)
{
    uint64_t address = ((1ull << l->cfg.phys_bits) - 1) & ~0xfffull;
    uint64_t flags = SOFTHV_LAPIC_BASE_BSP | SOFTHV_LAPIC_BASE_ENABLE | (l->cfg.x2apic ? SOFTHV_LAPIC_BASE_X2APIC : 0);
    bool impossible = (base & SOFTHV_LAPIC_BASE_X2APIC) && !(base & SOFTHV_LAPIC_BASE_ENABLE);
    return (base & ~(address | flags)) == 0 && !impossible;
}

/* SDM volume 3, 11.12.5: out of x2APIC mode only through off; into it only from xAPIC mode. */
static bool may_follow(enum softhv_lapic_mode old, enum softhv_lapic_mode new)
{
    return old == new || new == SOFTHV_LAPIC_OFF ||
           (old == SOFTHV_LAPIC_XAPIC ? new == SOFTHV_LAPIC_X2APIC
                                      : old == SOFTHV_LAPIC_OFF &&new == SOFTHV_LAPIC_XAPIC);
}

/* Turning off loses all registers; the destination's place in the ICR differs between the modes. */
void softhv_lapic_put_base(struct softhv_lapic *l, uint64_t base, struct softhv_lapic_after *a)
{
    enum softhv_lapic_mode old = softhv_lapic_mode_now(l), new = softhv_lapic_mode_of(base);
    l->r.base = base;
    if (new == SOFTHV_LAPIC_OFF && old != new)
        softhv_lapic_clear(l, a);
    if (new != old)
        l->r.icr_high = 0;
    softhv_lapic_publish(l);
}

static int write_base(struct softhv_lapic *l, uint64_t value, struct softhv_lapic_after *a)
{
    if (!softhv_lapic_base_valid(l, value) || !may_follow(softhv_lapic_mode_now(l), softhv_lapic_mode_of(value)))
        return -EINVAL;
    softhv_lapic_put_base(l, value, a);
    a->look = a->timer = true;
    return 0;
}

/* ---- IA32_TSC_DEADLINE ---- */

/* Outside the mode it reads zero and ignores writes; zero disarms (SDM volume 3, 11.5.4.1). */
static void write_deadline(struct softhv_lapic *l, uint64_t value, struct softhv_lapic_after *a)
{
    if (!softhv_lapic_timer_is_deadline(l))
        return;
    l->r.tsc_deadline = value;
    softhv_lapic_timer_sync(l, a); /* in the past: at once */
    a->timer = true;
}

/* ---- MSRs ---- */

static unsigned msr_index(uint32_t msr)
{
    return msr - SOFTHV_LAPIC_MSR_X2APIC; /* others wrap to something large */
}

static int read_msr(struct softhv_lapic *l, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case SOFTHV_LAPIC_MSR_BASE: *value = l->r.base; return 0;
    case SOFTHV_LAPIC_MSR_TSC_DEADLINE: *value = l->r.tsc_deadline; return l->cfg.tsc_deadline ? 0 : -EINVAL;
    default: return x2apic_read(l, msr_index(msr), value);
    }
}

int softhv_lapic_msr_read(struct softhv_lapic *l, uint32_t msr, uint64_t *value)
{
    struct softhv_lapic_after a;
    enter(l, msr_index(msr), &a);
    int rc = read_msr(l, msr, value);
    softhv_lapic_unlock(l, &a);
    return rc;
}

int softhv_lapic_msr_write(struct softhv_lapic *l, uint32_t msr, uint64_t value)
{
    struct softhv_lapic_after a;
    int rc = 0;
    enter(l, msr_index(msr), &a);
    if (msr == SOFTHV_LAPIC_MSR_BASE)
        rc = write_base(l, value, &a);
    else if (msr != SOFTHV_LAPIC_MSR_TSC_DEADLINE)
        rc = x2apic_write(l, msr_index(msr), value, &a);
    else if (l->cfg.tsc_deadline)
        write_deadline(l, value, &a);
    else
        rc = -EINVAL;
    softhv_lapic_unlock(l, &a);
    return rc;
}
