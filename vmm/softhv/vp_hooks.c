/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the local APIC, the synthetic registers and the register access ask of their VP.
 */
#include <errno.h>
#include <stddef.h>

#include "vmm/softhv/vp.h"

/* ---- Local APIC ---- */

static uint64_t apic_now(void *ctx)
{
    return softhv_clock_ns(&((struct softhv_vp *)ctx)->p->clock);
}

static uint64_t apic_tsc(void *ctx)
{
    struct softhv_vp *vp = ctx;
    return softhv_vp_tsc_read(&vp->hv.tsc, &vp->p->clock);
}

static void apic_wake(void *ctx, unsigned what)
{
    struct softhv_vp *vp = ctx;
    x86_cpu_signal(vp->cpu, (what & SOFTHV_LAPIC_WAKE_INTR ? X86_SIG_INTR : 0) |
                                (what & SOFTHV_LAPIC_WAKE_EVENT ? X86_SIG_KICK : 0));
    softhv_vp_wake(vp);
}

/* The report waits until the instruction is done. */
static void apic_eoi(void *ctx, uint8_t vector, bool level)
{
    struct softhv_vp *vp = ctx;
    softhv_hv_vp_eoi(&vp->hv, vector);
    if (!level || softhv_irqfds_eoi(vp->p->irqfds, vector))
        return;
    vp->eoi[vector / 64] |= UINT64_C(1) << vector % 64;
    x86_cpu_kick(vp->cpu);
}

static bool apic_lazy_offer(void *ctx)
{
    return softhv_hv_vp_lazy_offer(&((struct softhv_vp *)ctx)->hv);
}

static bool apic_lazy_withdraw(void *ctx)
{
    return softhv_hv_vp_lazy_withdraw(&((struct softhv_vp *)ctx)->hv);
}

const struct softhv_lapic_ops softhv_vp_lapic_ops = {.now_ns = apic_now,
                                                     .tsc = apic_tsc,
                                                     .wake = apic_wake,
                                                     .eoi = apic_eoi,
                                                     .lazy_offer = apic_lazy_offer,
                                                     .lazy_withdraw = apic_lazy_withdraw};

/* ---- Synthetic registers ---- */

static unsigned overlay_slot(const struct softhv_vp *vp, enum softhv_overlay which)
{
    if (which < SOFTHV_OVERLAY_VP_ASSIST)
        return which;
    return SOFTHV_OVERLAYS_SHARED + vp->index * SOFTHV_OVERLAYS_VP + (which - SOFTHV_OVERLAY_VP_ASSIST);
}

static uint8_t *overlay_page(struct softhv_vp *vp, enum softhv_overlay which)
{
    if (which < SOFTHV_OVERLAY_VP_ASSIST)
        return vp->p->pages + (size_t)which * MSHV_HV_PAGE_SIZE;
    return softhv_vp_page(vp, SOFTHV_VP_PAGE_ASSIST + (which - SOFTHV_OVERLAY_VP_ASSIST));
}

static void hv_overlay(void *ctx, enum softhv_overlay which, bool on, uint64_t gfn)
{
    static const unsigned rights[SOFTHV_OVERLAY_COUNT] = {
        [SOFTHV_OVERLAY_HYPERCALL] = SOFTHV_GPA_R | SOFTHV_GPA_X,
        [SOFTHV_OVERLAY_REFERENCE_TSC] = SOFTHV_GPA_R,
        [SOFTHV_OVERLAY_VP_ASSIST] = SOFTHV_GPA_R | SOFTHV_GPA_W,
        [SOFTHV_OVERLAY_MESSAGES] = SOFTHV_GPA_R | SOFTHV_GPA_W,
        [SOFTHV_OVERLAY_EVENTS] = SOFTHV_GPA_R | SOFTHV_GPA_W,
    };
    struct softhv_vp *vp = ctx;
    if (on)
        softhv_gpa_set_overlay(vp->p->gpa, overlay_slot(vp, which), gfn, overlay_page(vp, which), rights[which]);
    else
        softhv_gpa_clear_overlay(vp->p->gpa, overlay_slot(vp, which));
}

static bool is_x2apic(uint32_t msr)
{
    return msr >= SOFTHV_LAPIC_MSR_X2APIC && msr < SOFTHV_LAPIC_MSR_X2APIC_END;
}

/* APIC_BASE, x2APIC registers and TSC_DEADLINE; and what has a synthetic number. */
static bool hv_lapic_read(void *ctx, uint32_t msr, bool by_vmm, uint64_t *value)
{
    struct softhv_lapic *l = ((struct softhv_vp *)ctx)->lapic;
    switch (msr) {
    case HV_MSR_EOI: *value = 0; return by_vmm;
    case HV_MSR_ICR: *value = softhv_lapic_icr(l); return true;
    case HV_MSR_TPR: *value = softhv_lapic_tpr(l); return true;
    default: break;
    }
    if (by_vmm && is_x2apic(msr))
        return softhv_lapic_get_reg(l, msr - SOFTHV_LAPIC_MSR_X2APIC, value) == 0;
    return softhv_lapic_msr_read(l, msr, value) == 0;
}

/* APIC_BASE of the client. Most often it is the present one, which is to cost nothing. */
static bool base_load(struct softhv_vp *vp, uint64_t value)
{
    if (value != softhv_lapic_base(vp->lapic) && softhv_lapic_set_base(vp->lapic, value) != 0)
        return false;
    softhv_vp_base_written(vp, value);
    return true;
}

/* The client's write loads a register and sends and completes nothing. */
static bool lapic_load(struct softhv_vp *vp, uint32_t msr, uint64_t value)
{
    struct softhv_lapic *l = vp->lapic;
    switch (msr) {
    case HV_MSR_EOI: return true;
    case HV_MSR_ICR: return softhv_lapic_set_reg(l, SOFTHV_LAPIC_ICR, value) == 0;
    case HV_MSR_TPR: softhv_lapic_set_tpr(l, (uint8_t)value); return true;
    case SOFTHV_LAPIC_MSR_BASE: return base_load(vp, value);
    case SOFTHV_LAPIC_MSR_TSC_DEADLINE: return softhv_lapic_msr_write(l, msr, value) == 0;
    default: return softhv_lapic_set_reg(l, msr - SOFTHV_LAPIC_MSR_X2APIC, value) == 0;
    }
}

static bool lapic_store(struct softhv_lapic *l, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case HV_MSR_EOI: softhv_lapic_eoi(l); return true;
    case HV_MSR_ICR: return softhv_lapic_set_icr(l, value) == 0;
    case HV_MSR_TPR: softhv_lapic_set_tpr(l, (uint8_t)value); return true;
    default: return softhv_lapic_msr_write(l, msr, value) == 0;
    }
}

#define CPUID1_ECX_X2APIC (1u << 21)

/*
 * x2APIC mode is not entered by a VP whose CPUID does not have it, whatever the partition can do: clients that take the
 * mode away model local APICs that have lost the bit when APIC_BASE comes back.
 */
static bool mode_hidden(struct softhv_vp *vp, uint64_t base)
{
    if ((base & ~softhv_lapic_base(vp->lapic) & SOFTHV_LAPIC_BASE_X2APIC) == 0)
        return false;
    return (softhv_vp_cpuid(vp, &vp->state, 1, 0).ecx & CPUID1_ECX_X2APIC) == 0;
}

static bool hv_lapic_write(void *ctx, uint32_t msr, bool by_vmm, uint64_t value)
{
    struct softhv_vp *vp = ctx;
    bool is_base = msr == SOFTHV_LAPIC_MSR_BASE;
    if (is_base && mode_hidden(vp, value))
        return false;
    uint64_t before = is_base ? softhv_lapic_base(vp->lapic) : 0;
    bool good = by_vmm ? lapic_load(vp, msr, value) : lapic_store(vp->lapic, msr, value);
    if (is_base && softhv_lapic_base(vp->lapic) != before)
        x86_cpu_signal(vp->cpu, X86_SIG_FLUSH); /* its page may have moved */
    return good;
}

static void hv_interrupt(void *ctx, uint8_t vector, bool auto_eoi)
{
    struct softhv_vp *vp = ctx;
    softhv_lapic_set_auto_eoi(vp->lapic, vector, auto_eoi);
    (void)softhv_lapic_accept(vp->lapic, SOFTHV_APIC_FIXED, vector, false);
}

static void hv_deliverable(void *ctx, uint16_t sints)
{
    struct softhv_vp *vp = ctx;
    atomic_fetch_or(&vp->sints, sints);
    x86_cpu_kick(vp->cpu);
    softhv_vp_wake(vp);
}

static void hv_idle(void *ctx)
{
    struct softhv_vp *vp = ctx;
    vp->control.idle = true;
    x86_cpu_kick(vp->cpu);
}

static void hv_time_changed(void *ctx)
{
    softhv_partition_wake(((struct softhv_vp *)ctx)->p);
}

static bool hv_joins(void *ctx)
{
    struct softhv_vp *vp = ctx;
    return atomic_load(&vp->p->executed) && x86_cpu_insns(vp->cpu) == 0;
}

const struct softhv_hv_ops softhv_vp_hv_ops = {.overlay = hv_overlay,
                                               .lapic_read = hv_lapic_read,
                                               .lapic_write = hv_lapic_write,
                                               .interrupt = hv_interrupt,
                                               .deliverable = hv_deliverable,
                                               .idle = hv_idle,
                                               .time_changed = hv_time_changed,
                                               .joins = hv_joins};

/* ---- Registers by name ---- */

static int regs_apic_get(void *ctx, unsigned index, uint64_t *value)
{
    return softhv_lapic_get_reg(((struct softhv_vp *)ctx)->lapic, index, value);
}

static int regs_apic_set(void *ctx, unsigned index, uint64_t value)
{
    return softhv_lapic_set_reg(((struct softhv_vp *)ctx)->lapic, index, value);
}

static int regs_cr8_get(void *ctx, uint64_t *value)
{
    *value = softhv_lapic_cr8(((struct softhv_vp *)ctx)->lapic);
    return 0;
}

/* Giving back what was read keeps the low half of the task priority, which CR8 does not show. */
static int regs_cr8_set(void *ctx, uint64_t value)
{
    struct softhv_lapic *l = ((struct softhv_vp *)ctx)->lapic;
    return value == softhv_lapic_cr8(l) ? 0 : softhv_lapic_set_cr8(l, value);
}

static int msr_error(enum softhv_msr_result r)
{
    return r == SOFTHV_MSR_OK ? 0 : r == SOFTHV_MSR_GP ? -EINVAL : -ENOENT;
}

static int regs_msr_get(void *ctx, uint32_t msr, uint64_t *value)
{
    return msr_error(softhv_msr_read(&((struct softhv_vp *)ctx)->hv, msr, SOFTHV_BY_VMM, value));
}

static int regs_msr_set(void *ctx, uint32_t msr, uint64_t value)
{
    return msr_error(softhv_msr_write(&((struct softhv_vp *)ctx)->hv, msr, SOFTHV_BY_VMM, value));
}

static int regs_name_get(void *ctx, uint32_t name, uint64_t *value)
{
    struct softhv_vp *vp = ctx;
    if (name != HV_X64_REGISTER_INITIAL_APIC_ID)
        return -ENOENT;
    *value = softhv_lapic_id(vp->lapic);
    return 0;
}

static int regs_name_set(void *ctx, uint32_t name, uint64_t value)
{
    struct softhv_vp *vp = ctx;
    if (name != HV_X64_REGISTER_INITIAL_APIC_ID)
        return -ENOENT;
    if (value > UINT32_MAX)
        return -EINVAL;
    softhv_lapic_set_id(vp->lapic, (uint32_t)value);
    return 0;
}

static int regs_cpuid(void *ctx, uint32_t leaf, struct x86_cpuid_regs *out)
{
    struct softhv_vp *vp = ctx;
    *out = softhv_vp_cpuid(vp, &vp->state, leaf, 0);
    return 0;
}

static void regs_set_waiting(void *ctx, bool waiting)
{
    softhv_lapic_set_waiting(((struct softhv_vp *)ctx)->lapic, waiting);
}

const struct softhv_regs_ops softhv_vp_regs_ops = {.apic_get = regs_apic_get,
                                                   .apic_set = regs_apic_set,
                                                   .cr8_get = regs_cr8_get,
                                                   .cr8_set = regs_cr8_set,
                                                   .msr_get = regs_msr_get,
                                                   .msr_set = regs_msr_set,
                                                   .name_get = regs_name_get,
                                                   .name_set = regs_name_set,
                                                   .cpuid = regs_cpuid,
                                                   .set_waiting = regs_set_waiting};
