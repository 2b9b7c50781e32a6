/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic MSRs. Source: TLFS, chapters on hypercalls, timers, virtual interrupts, partition crash.
 */
#include <string.h>

#include "vmm/softhv/hvmsr_rows.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct softhv_hv *hv_of(const struct softhv_msr_access *a)
{
    return a->vp->hv;
}

static void show(struct softhv_hv_vp *vp, enum softhv_overlay which, uint64_t value)
{
    vp->config.ops->overlay(vp->config.ctx, which, (value & HV_MSR_PAGE_ENABLE) != 0, value >> GUEST_PAGE_SHIFT);
}

/* Can the page lie where the register says? Only asked when it is to be seen. */
static bool place_is_valid(const struct softhv_hv *hv, uint64_t value)
{
    return (value & HV_MSR_PAGE_ENABLE) == 0 || value >> hv->config.phys_bits == 0;
}

/* ---- GUEST_OS_ID, HYPERCALL ---- */

/*
 * Called by the page's first byte. ENDBR64 lets kernels with indirect branch tracking keep it; elsewhere it is a NOP.
 * Behind the code, INT3.
 */
void softhv_synth_fill_hypercall_page(uint8_t *page, bool amd)
{
    static const uint8_t intel_code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xc1, 0xc3}; /* ENDBR64 VMCALL RET */
    static const uint8_t amd_code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3};   /* ENDBR64 VMMCALL RET */
    memset(page, 0xcc, GUEST_PAGE_BYTES);
    memcpy(page, amd ? amd_code : intel_code, sizeof(intel_code));
}

static bool read_os_id(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = atomic_load_explicit(&hv_of(a)->guest_os_id, memory_order_acquire);
    return true;
}

static void set_hypercall(struct softhv_hv_vp *vp, uint64_t value)
{
    uint64_t old = atomic_load_explicit(&vp->hv->hypercall, memory_order_relaxed);
    atomic_store_explicit(&vp->hv->hypercall, value, memory_order_release);
    if (old != value)
        show(vp, SOFTHV_OVERLAY_HYPERCALL, value);
}

/* Without an identity there are no hypercalls. */
static bool write_os_id(const struct softhv_msr_access *a, uint64_t v)
{
    struct softhv_hv *hv = hv_of(a);
    pthread_mutex_lock(&hv->lock);
    atomic_store_explicit(&hv->guest_os_id, v, memory_order_release);
    if (v == 0)
        set_hypercall(a->vp, atomic_load_explicit(&hv->hypercall, memory_order_relaxed) & ~HV_MSR_PAGE_ENABLE);
    pthread_mutex_unlock(&hv->lock);
    return true;
}

static bool read_hypercall(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = atomic_load_explicit(&hv_of(a)->hypercall, memory_order_acquire);
    return true;
}

/* A VMM that restores state may bring HYPERCALL before GUEST_OS_ID; QEMU does. */
static bool write_hypercall_locked(const struct softhv_msr_access *a, uint64_t v)
{
    struct softhv_hv *hv = hv_of(a);
    uint64_t old = atomic_load_explicit(&hv->hypercall, memory_order_relaxed);
    if (!a->by_vmm && (old & HV_MSR_HYPERCALL_LOCKED) != 0)
        return false;
    if (!a->by_vmm && atomic_load_explicit(&hv->guest_os_id, memory_order_relaxed) == 0)
        v &= ~HV_MSR_PAGE_ENABLE;
    if (!place_is_valid(hv, v))
        return false;
    set_hypercall(a->vp, v);
    return true;
}

static bool write_hypercall(const struct softhv_msr_access *a, uint64_t v)
{
    pthread_mutex_lock(&hv_of(a)->lock);
    bool good = write_hypercall_locked(a, v);
    pthread_mutex_unlock(&hv_of(a)->lock);
    return good;
}

/* ---- Time ---- */

static bool read_vp_index(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->config.index;
    return true;
}

static bool read_runtime(const struct softhv_msr_access *a, uint64_t *v)
{
    const struct softhv_hv_vp_config *c = &a->vp->config;
    *v = c->ops->runtime != NULL ? c->ops->runtime(c->ctx) : 0;
    return true;
}

static bool read_ref_count(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = softhv_clock_ref(hv_of(a)->clock);
    return true;
}

static bool read_frequency(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->msr == HV_MSR_TSC_FREQUENCY ? hv_of(a)->clock->tsc_hz : hv_of(a)->clock->apic_hz;
    return true;
}

static bool read_reference_tsc(const struct softhv_msr_access *a, uint64_t *v)
{
    pthread_mutex_lock(&hv_of(a)->lock);
    *v = hv_of(a)->reference_tsc;
    pthread_mutex_unlock(&hv_of(a)->lock);
    return true;
}

static bool write_reference_tsc(const struct softhv_msr_access *a, uint64_t v)
{
    struct softhv_hv *hv = hv_of(a);
    if (!place_is_valid(hv, v))
        return false;
    pthread_mutex_lock(&hv->lock);
    softhv_clock_write_page(hv->clock, hv->config.tsc_page);
    if (hv->reference_tsc != v)
        show(a->vp, SOFTHV_OVERLAY_REFERENCE_TSC, v);
    hv->reference_tsc = v;
    pthread_mutex_unlock(&hv->lock);
    return true;
}

static bool read_tsc_invariant(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = atomic_load_explicit(&hv_of(a)->tsc_invariant, memory_order_relaxed);
    return true;
}

static bool write_tsc_invariant(const struct softhv_msr_access *a, uint64_t v)
{
    atomic_store_explicit(&hv_of(a)->tsc_invariant, v, memory_order_relaxed);
    return true;
}

/* ---- Interrupt control, VP assist page, idle ---- */

static bool read_lapic(const struct softhv_msr_access *a, uint64_t *v)
{
    return a->vp->config.ops->lapic_read(a->vp->config.ctx, a->msr, a->by_vmm, v);
}

static bool write_lapic(const struct softhv_msr_access *a, uint64_t v)
{
    return a->vp->config.ops->lapic_write(a->vp->config.ctx, a->msr, a->by_vmm, v);
}

static bool read_assist(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->vp_assist;
    return true;
}

static bool write_assist(const struct softhv_msr_access *a, uint64_t v)
{
    if (!place_is_valid(hv_of(a), v))
        return false;
    if (a->vp->vp_assist != v)
        show(a->vp, SOFTHV_OVERLAY_VP_ASSIST, v);
    a->vp->vp_assist = v;
    return true;
}

/* Reading halts; a VMM that looks does not. */
static bool read_idle(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = 0;
    if (!a->by_vmm)
        a->vp->config.ops->idle(a->vp->config.ctx);
    return true;
}

/* ---- SynIC, timers ---- */

static bool read_synic(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = softhv_synic_read(&a->vp->synic, a->msr);
    return true;
}

static bool write_synic(const struct softhv_msr_access *a, uint64_t v)
{
    return softhv_synic_write(&a->vp->synic, a->msr, v, a->by_vmm);
}

static bool write_synic_page(const struct softhv_msr_access *a, uint64_t v)
{
    enum softhv_overlay which = a->msr == HV_MSR_SIMP ? SOFTHV_OVERLAY_MESSAGES : SOFTHV_OVERLAY_EVENTS;
    uint64_t old = softhv_synic_read(&a->vp->synic, a->msr);
    if (!place_is_valid(hv_of(a), v))
        return false;
    if (old != v)
        show(a->vp, which, v);
    return softhv_synic_write(&a->vp->synic, a->msr, v, true);
}

static bool read_version(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = HV_SYNIC_VERSION;
    return true;
}

static bool read_zero(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = 0;
    return true;
}

/* A VMM that restores all registers writes this one too; to it, it is nothing. */
static bool write_eom(const struct softhv_msr_access *a, uint64_t v)
{
    (void)v;
    if (a->by_vmm)
        return true;
    softhv_synic_eom(&a->vp->synic);
    softhv_stimer_run(&a->vp->stimers, softhv_clock_ref(hv_of(a)->clock));
    return true;
}

static unsigned stimer_number(const struct softhv_msr_access *a)
{
    return (a->msr - HV_MSR_STIMER0_CONFIG) / 2;
}

static bool is_stimer_count(const struct softhv_msr_access *a)
{
    return ((a->msr - HV_MSR_STIMER0_CONFIG) & 1) != 0;
}

static bool read_stimer(const struct softhv_msr_access *a, uint64_t *v)
{
    const struct softhv_stimers *t = &a->vp->stimers;
    unsigned n = stimer_number(a);
    *v = is_stimer_count(a) ? softhv_stimer_count(t, n) : softhv_stimer_config(t, n);
    return true;
}

/* A one-shot time that has passed expires at once: the VP's loop runs the timers before the next instruction. */
static bool write_stimer(const struct softhv_msr_access *a, uint64_t v)
{
    uint64_t now = softhv_clock_ref(hv_of(a)->clock);
    if (!is_stimer_count(a))
        return softhv_stimer_set_config(&a->vp->stimers, stimer_number(a), v, now);
    softhv_stimer_set_count(&a->vp->stimers, stimer_number(a), v, now);
    return true;
}

/* ---- Crash ---- */

static bool read_crash(const struct softhv_msr_access *a, uint64_t *v)
{
    pthread_mutex_lock(&hv_of(a)->lock);
    *v = hv_of(a)->crash[a->msr - HV_MSR_CRASH_P0];
    pthread_mutex_unlock(&hv_of(a)->lock);
    return true;
}

static bool write_crash(const struct softhv_msr_access *a, uint64_t v)
{
    pthread_mutex_lock(&hv_of(a)->lock);
    hv_of(a)->crash[a->msr - HV_MSR_CRASH_P0] = v;
    pthread_mutex_unlock(&hv_of(a)->lock);
    return true;
}

/* Reads say what is understood. */
static bool read_crash_ctl(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE;
    return true;
}

static bool write_crash_ctl(const struct softhv_msr_access *a, uint64_t v)
{
    const struct softhv_hv_vp_config *c = &a->vp->config;
    uint64_t p[5];
    pthread_mutex_lock(&hv_of(a)->lock);
    memcpy(p, hv_of(a)->crash, sizeof(p));
    pthread_mutex_unlock(&hv_of(a)->lock);
    if (!a->by_vmm && (v & HV_CRASH_CTL_NOTIFY) != 0 && c->ops->crash != NULL)
        c->ops->crash(c->ctx, p, v);
    return true;
}

/* ---- The table ---- */

/* clang-format off */
static const struct softhv_msr_row rows[] = {
    {HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER0_CONFIG + 2 * HV_SYNIC_STIMER_COUNT - 1, HV_PRIVILEGE_SYNTIMER,
     X86_F_ALWAYS, 0, read_stimer, write_stimer, 0},
    {HV_MSR_GUEST_OS_ID, HV_MSR_GUEST_OS_ID, HV_PRIVILEGE_HYPERCALL, X86_F_ALWAYS, 0, read_os_id, write_os_id, 0},
    {HV_MSR_HYPERCALL, HV_MSR_HYPERCALL, HV_PRIVILEGE_HYPERCALL, X86_F_ALWAYS, 0, read_hypercall, write_hypercall, 0},
    {HV_MSR_VP_INDEX, HV_MSR_VP_INDEX, HV_PRIVILEGE_VP_INDEX, X86_F_ALWAYS, 0, read_vp_index, NULL, 0},
    {HV_MSR_RESET, HV_MSR_RESET, HV_PRIVILEGE_RESET, X86_F_ALWAYS, 0, read_zero, NULL, 0},
    {HV_MSR_VP_RUNTIME, HV_MSR_VP_RUNTIME, HV_PRIVILEGE_VP_RUNTIME, X86_F_ALWAYS, 0, read_runtime, NULL, 0},
    {HV_MSR_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT, HV_PRIVILEGE_TIME_REF_COUNT, X86_F_ALWAYS, 0, read_ref_count,
     NULL, 0},
    {HV_MSR_REFERENCE_TSC, HV_MSR_REFERENCE_TSC, HV_PRIVILEGE_REFERENCE_TSC, X86_F_ALWAYS, 0, read_reference_tsc,
     write_reference_tsc, 0},
    {HV_MSR_TSC_FREQUENCY, HV_MSR_APIC_FREQUENCY, HV_PRIVILEGE_FREQUENCY, X86_F_ALWAYS, 0, read_frequency, NULL, 0},
    {HV_MSR_EOI, HV_MSR_EOI, HV_PRIVILEGE_APIC_ACCESS, X86_F_APIC, 0, NULL, write_lapic, UINT64_C(0xffffffff00000000)},
    {HV_MSR_ICR, HV_MSR_ICR, HV_PRIVILEGE_APIC_ACCESS, X86_F_APIC, 0, read_lapic, write_lapic, 0},
    {HV_MSR_TPR, HV_MSR_TPR, HV_PRIVILEGE_APIC_ACCESS, X86_F_APIC, 0, read_lapic, write_lapic, ~UINT64_C(0xff)},
    {HV_MSR_VP_ASSIST_PAGE, HV_MSR_VP_ASSIST_PAGE, HV_PRIVILEGE_APIC_ACCESS, X86_F_ALWAYS, 0, read_assist,
     write_assist, 0},
    {HV_MSR_SCONTROL, HV_MSR_SCONTROL, HV_PRIVILEGE_SYNIC, X86_F_ALWAYS, 0, read_synic, write_synic, 0},
    {HV_MSR_SVERSION, HV_MSR_SVERSION, HV_PRIVILEGE_SYNIC, X86_F_ALWAYS, 0, read_version, NULL, 0},
    {HV_MSR_SIEFP, HV_MSR_SIMP, HV_PRIVILEGE_SYNIC, X86_F_ALWAYS, 0, read_synic, write_synic_page, 0},
    {HV_MSR_EOM, HV_MSR_EOM, HV_PRIVILEGE_SYNIC, X86_F_ALWAYS, 0, read_zero, write_eom, 0},
    {HV_MSR_SINT0, HV_MSR_SINT0 + HV_SYNIC_SINT_COUNT - 1, HV_PRIVILEGE_SYNIC, X86_F_ALWAYS, 0, read_synic,
     write_synic, 0},
    {HV_MSR_GUEST_IDLE, HV_MSR_GUEST_IDLE, HV_PRIVILEGE_GUEST_IDLE, X86_F_ALWAYS, 0, read_idle, NULL, 0},
    /* A feature bit, no privilege: whoever sees a hypervisor may report its end. */
    {HV_MSR_CRASH_P0, HV_MSR_CRASH_P0 + 4, 0, X86_F_HYPERVISOR, 0, read_crash, write_crash, 0},
    {HV_MSR_CRASH_CTL, HV_MSR_CRASH_CTL, 0, X86_F_HYPERVISOR, 0, read_crash_ctl, write_crash_ctl, 0},
    {HV_MSR_TSC_INVARIANT_CONTROL, HV_MSR_TSC_INVARIANT_CONTROL, HV_PRIVILEGE_TSC_INVARIANT, X86_F_ALWAYS, 0,
     read_tsc_invariant, write_tsc_invariant, ~UINT64_C(1)},
};
/* clang-format on */

const struct softhv_msr_row *softhv_msr_synth_row(uint32_t msr)
{
    return softhv_msr_search(rows, COUNT(rows), msr);
}

/* ---- Reset ---- */

void softhv_synth_vp_reset(struct softhv_hv_vp *vp)
{
    static const uint32_t pages[] = {HV_MSR_VP_ASSIST_PAGE, HV_MSR_SIEFP, HV_MSR_SIMP};
    for (size_t i = 0; i < COUNT(pages); i++)
        (void)softhv_msr_write(vp, pages[i], SOFTHV_BY_VMM, 0);
    memset(vp->config.assist_page, 0, GUEST_PAGE_BYTES);
    softhv_synic_reset(&vp->synic);
    softhv_stimer_reset(&vp->stimers);
}
