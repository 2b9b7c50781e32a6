/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MSR access: rights, reserved bits, dispatch; life of the partition's and the VP's part.
 */
#include "vmm/softhv/hvmsr.h"

#include <string.h>

#include "vmm/softhv/hvmsr_rows.h"

/* ---- Partition ---- */

void softhv_hv_init(struct softhv_hv *hv, const struct softhv_hv_config *config, struct softhv_clock *clock)
{
    *hv = (struct softhv_hv){.config = *config, .clock = clock};
    pthread_mutex_init(&hv->lock, NULL);
    memset(config->tsc_page, 0, GUEST_PAGE_BYTES);
    softhv_synth_fill_hypercall_page(config->hypercall_page, config->amd);
    softhv_clock_write_page(clock, config->tsc_page);
}

void softhv_hv_fini(struct softhv_hv *hv)
{
    pthread_mutex_destroy(&hv->lock);
}

void softhv_hv_freeze(struct softhv_hv *hv, bool frozen)
{
    pthread_mutex_lock(&hv->lock);
    softhv_clock_set_frozen(hv->clock, frozen);
    pthread_mutex_unlock(&hv->lock);
}

void softhv_hv_suspend(struct softhv_hv *hv, bool suspended)
{
    pthread_mutex_lock(&hv->lock);
    softhv_clock_set_suspended(hv->clock, suspended);
    pthread_mutex_unlock(&hv->lock);
}

void softhv_hv_set_reference_time(struct softhv_hv *hv, uint64_t ref)
{
    pthread_mutex_lock(&hv->lock);
    softhv_clock_set_ref(hv->clock, ref);
    softhv_clock_write_page(hv->clock, hv->config.tsc_page);
    pthread_mutex_unlock(&hv->lock);
}

/* ---- VP ---- */

static void synic_interrupt(void *ctx, uint8_t vector, bool auto_eoi)
{
    struct softhv_hv_vp *vp = ctx;
    vp->config.ops->interrupt(vp->config.ctx, vector, auto_eoi);
}

static void synic_deliverable(void *ctx, uint16_t sints)
{
    struct softhv_hv_vp *vp = ctx;
    if (vp->config.ops->deliverable != NULL)
        vp->config.ops->deliverable(vp->config.ctx, sints);
}

static void stimer_interrupt(void *ctx, uint8_t vector)
{
    struct softhv_hv_vp *vp = ctx;
    vp->config.ops->interrupt(vp->config.ctx, vector, false);
}

static uint16_t stimer_post(void *ctx, uint32_t sint, const uint8_t message[HV_MESSAGE_BYTES])
{
    struct softhv_hv_vp *vp = ctx;
    return softhv_synic_post(&vp->synic, sint, message);
}

static const struct softhv_synic_ops synic_ops = {.interrupt = synic_interrupt, .deliverable = synic_deliverable};
static const struct softhv_stimer_ops stimer_ops = {.interrupt = stimer_interrupt, .post = stimer_post};

void softhv_hv_vp_init(struct softhv_hv_vp *vp, struct softhv_hv *hv, const struct softhv_hv_vp_config *config)
{
    *vp = (struct softhv_hv_vp){.hv = hv, .config = *config};
    bool direct = (hv->config.features->synthetic & HV_FEATURE(HV_SYNTHETIC_DIRECT_SYNTHETIC_TIMERS)) != 0;
    softhv_synic_init(&vp->synic, &synic_ops, vp, config->message_page, config->event_page);
    softhv_stimer_init(&vp->stimers, &stimer_ops, vp, direct);
    softhv_cpu_msrs_reset(&vp->cpu);
    memset(config->assist_page, 0, GUEST_PAGE_BYTES);
}

void softhv_hv_vp_fini(struct softhv_hv_vp *vp)
{
    softhv_synic_fini(&vp->synic);
}

void softhv_hv_vp_reset(struct softhv_hv_vp *vp, bool init)
{
    softhv_synth_vp_reset(vp);
    if (init)
        return;
    softhv_cpu_msrs_reset(&vp->cpu);
    vp->tsc.offset = 0;
    vp->tsc.adjust = 0;
}

uint64_t softhv_hv_vp_tick(struct softhv_hv_vp *vp)
{
    softhv_stimer_run(&vp->stimers, softhv_clock_ref(vp->hv->clock));
    uint64_t next = softhv_stimer_next(&vp->stimers);
    return next == SOFTHV_STIMER_NEVER ? SOFTHV_CLOCK_NEVER : softhv_clock_wait_ref(vp->hv->clock, next);
}

void softhv_hv_vp_eoi(struct softhv_hv_vp *vp, uint8_t vector)
{
    if (softhv_synic_eoi(&vp->synic, vector))
        softhv_stimer_run(&vp->stimers, softhv_clock_ref(vp->hv->clock));
}

static uint32_t *apic_assist(struct softhv_hv_vp *vp)
{
    struct hv_vp_assist_page *page = (void *)vp->config.assist_page;
    return &page->apic_assist;
}

bool softhv_hv_vp_lazy_offer(struct softhv_hv_vp *vp)
{
    if ((vp->vp_assist & HV_MSR_PAGE_ENABLE) == 0)
        return false;
    __atomic_fetch_or(apic_assist(vp), HV_VP_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);
    return true;
}

bool softhv_hv_vp_lazy_withdraw(struct softhv_hv_vp *vp)
{
    uint32_t old = __atomic_fetch_and(apic_assist(vp), ~HV_VP_ASSIST_NO_EOI_REQUIRED, __ATOMIC_SEQ_CST);
    return (old & HV_VP_ASSIST_NO_EOI_REQUIRED) == 0;
}

/* ---- Access ---- */

static bool guest_knows(const struct softhv_hv_config *c, const struct softhv_msr_row *row)
{
    if (!x86_feature_has(&c->features->x86, row->feature))
        return false;
    switch (row->vendor) {
    case SOFTHV_MSR_INTEL: return !c->amd;
    case SOFTHV_MSR_AMD: return c->amd;
    case SOFTHV_MSR_NO_GUEST: return false;
    default: return true;
    }
}

static const struct softhv_msr_row *row_of(const struct softhv_hv_vp *vp, uint32_t msr, enum softhv_msr_by by)
{
    bool synthetic = msr >= HV_MSR_GUEST_OS_ID && msr < HV_MSR_GUEST_OS_ID + 0x1000;
    const struct softhv_msr_row *row = synthetic ? softhv_msr_synth_row(msr) : softhv_msr_cpu_row(msr);
    if (row != NULL && by == SOFTHV_BY_GUEST && !guest_knows(&vp->hv->config, row))
        return NULL;
    return row;
}

/* A right that is missing means #GP, not "unknown": the property does not help. */
static bool permitted(const struct softhv_hv_vp *vp, const struct softhv_msr_row *row, enum softhv_msr_by by)
{
    return by == SOFTHV_BY_VMM || (row->privilege & ~vp->hv->config.features->privileges) == 0;
}

enum softhv_msr_result softhv_msr_read(struct softhv_hv_vp *vp, uint32_t msr, enum softhv_msr_by by, uint64_t *value)
{
    const struct softhv_msr_row *row = row_of(vp, msr, by);
    struct softhv_msr_access a = {.vp = vp, .msr = msr, .by_vmm = by == SOFTHV_BY_VMM};
    uint64_t v = 0;
    if (row == NULL)
        return SOFTHV_MSR_UNKNOWN;
    if (row->read == NULL || !permitted(vp, row, by) || !row->read(&a, &v))
        return SOFTHV_MSR_GP;
    *value = v;
    return SOFTHV_MSR_OK;
}

/* A VMM that restores by a list brings read-only registers, too: their own value is no offence. */
static bool gives_back(const struct softhv_msr_access *a, const struct softhv_msr_row *row, uint64_t value)
{
    uint64_t v;
    return a->by_vmm && row->write == NULL && row->read != NULL && row->read(a, &v) && v == value;
}

enum softhv_msr_result softhv_msr_write(struct softhv_hv_vp *vp, uint32_t msr, enum softhv_msr_by by, uint64_t value)
{
    const struct softhv_msr_row *row = row_of(vp, msr, by);
    struct softhv_msr_access a = {.vp = vp, .msr = msr, .by_vmm = by == SOFTHV_BY_VMM};
    if (row == NULL)
        return SOFTHV_MSR_UNKNOWN;
    if (gives_back(&a, row, value))
        return SOFTHV_MSR_OK;
    if (row->write == NULL || !permitted(vp, row, by) || (!a.by_vmm && (value & row->reserved) != 0))
        return SOFTHV_MSR_GP;
    return row->write(&a, value) ? SOFTHV_MSR_OK : SOFTHV_MSR_GP;
}

/* What an access to a register that does not exist comes to. */
static enum softhv_msr_result unknown(const struct softhv_hv_vp *vp, uint32_t msr, uint32_t access)
{
    enum softhv_msr_said said = softhv_msr_results_find(&vp->results, msr, access);
    if (said == SOFTHV_MSR_SAID_NOTHING)
        said = softhv_msr_results_find(&vp->hv->results, msr, access);
    if (said != SOFTHV_MSR_SAID_NOTHING)
        return said == SOFTHV_MSR_SAID_IGNORE ? SOFTHV_MSR_OK : SOFTHV_MSR_GP;
    if (softhv_installed_unhandled_msr(&vp->hv->installed, access))
        return SOFTHV_MSR_INTERCEPT;
    return atomic_load_explicit(&vp->hv->ignore_unknown, memory_order_relaxed) ? SOFTHV_MSR_OK : SOFTHV_MSR_GP;
}

enum softhv_msr_result softhv_msr_guest_read(struct softhv_hv_vp *vp, uint32_t msr, uint64_t *value)
{
    enum softhv_msr_result r = softhv_msr_read(vp, msr, SOFTHV_BY_GUEST, value);
    if (r != SOFTHV_MSR_UNKNOWN)
        return r;
    *value = 0;
    return unknown(vp, msr, HV_INTERCEPT_ACCESS_MASK_READ);
}

enum softhv_msr_result softhv_msr_guest_write(struct softhv_hv_vp *vp, uint32_t msr, uint64_t value)
{
    enum softhv_msr_result r = softhv_msr_write(vp, msr, SOFTHV_BY_GUEST, value);
    return r == SOFTHV_MSR_UNKNOWN ? unknown(vp, msr, HV_INTERCEPT_ACCESS_MASK_WRITE) : r;
}
