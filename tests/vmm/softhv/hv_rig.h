/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition of two VPs as far as hvmsr.h and hvguest.h see it: hooks that take notes, a clock the test moves.
 */
#ifndef CAISSON_TESTS_VMM_SOFTHV_HV_RIG_H
#define CAISSON_TESTS_VMM_SOFTHV_HV_RIG_H

#include <stdlib.h>
#include <string.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/hvmsr.h"

#define RIG_VPS       2u
#define RIG_PHYS_BITS 40

struct rig_vp {
    _Alignas(4096) uint8_t assist[4096];
    uint8_t messages[4096], events[4096];
    struct softhv_hv_vp vp;
    /* Notes of the hooks. */
    unsigned interrupts, idles, crashes, time_changes, tsc_changes, lapic_writes;
    uint8_t vector;
    uint16_t deliverable;
    uint32_t lapic_msr;
    bool lapic_by_vmm;
    uint64_t lapic_value, crash[5], crash_control;
    struct {
        unsigned changes;
        bool on;
        uint64_t gfn;
    } overlay[SOFTHV_OVERLAY_COUNT];
};

struct rig {
    _Alignas(4096) uint8_t hypercall_page[4096];
    uint8_t tsc_page[4096];
    struct rig_vp vps[RIG_VPS];
    uint64_t now; /* ns */
    struct softhv_clock clock;
    struct softhv_features features;
    struct softhv_hv hv;
};

static inline uint64_t rig_ticks(void *ctx)
{
    return ((struct rig *)ctx)->now;
}

static inline void rig_overlay(void *ctx, enum softhv_overlay which, bool on, uint64_t gfn)
{
    struct rig_vp *v = ctx;
    v->overlay[which].changes++;
    v->overlay[which].on = on;
    v->overlay[which].gfn = gfn;
}

/* MSR 0x80f refuses. */
static inline bool rig_lapic_read(void *ctx, uint32_t msr, bool by_vmm, uint64_t *value)
{
    struct rig_vp *v = ctx;
    v->lapic_by_vmm = by_vmm;
    v->lapic_msr = msr;
    *value = 0x1234;
    return msr != 0x80f;
}

static inline bool rig_lapic_write(void *ctx, uint32_t msr, bool by_vmm, uint64_t value)
{
    struct rig_vp *v = ctx;
    v->lapic_by_vmm = by_vmm;
    v->lapic_msr = msr;
    v->lapic_value = value;
    v->lapic_writes++;
    return msr != 0x80f;
}

static inline void rig_interrupt(void *ctx, uint8_t vector, bool auto_eoi)
{
    struct rig_vp *v = ctx;
    (void)auto_eoi;
    v->interrupts++;
    v->vector = vector;
}

static inline void rig_deliverable(void *ctx, uint16_t sints)
{
    ((struct rig_vp *)ctx)->deliverable = sints;
}

static inline uint64_t rig_runtime(void *ctx)
{
    (void)ctx;
    return 4711;
}

static inline void rig_idle(void *ctx)
{
    ((struct rig_vp *)ctx)->idles++;
}

static inline void rig_crash(void *ctx, const uint64_t parameters[5], uint64_t control)
{
    struct rig_vp *v = ctx;
    v->crashes++;
    memcpy(v->crash, parameters, sizeof(v->crash));
    v->crash_control = control;
}

static inline void rig_time_changed(void *ctx)
{
    ((struct rig_vp *)ctx)->time_changes++;
}

static inline void rig_tsc_changed(void *ctx)
{
    ((struct rig_vp *)ctx)->tsc_changes++;
}

/* clang-format off */
static const struct softhv_hv_ops rig_ops = {
    .overlay = rig_overlay, .lapic_read = rig_lapic_read, .lapic_write = rig_lapic_write, .interrupt = rig_interrupt,
    .deliverable = rig_deliverable, .runtime = rig_runtime, .idle = rig_idle, .crash = rig_crash,
    .time_changed = rig_time_changed, .tsc_changed = rig_tsc_changed,
};
/* clang-format on */

static inline void rig_start_vp(struct rig *r, unsigned i)
{
    struct rig_vp *v = &r->vps[i];
    struct softhv_hv_vp_config c = {.ops = &rig_ops, .ctx = v, .index = i};
    c.assist_page = v->assist;
    c.message_page = v->messages;
    c.event_page = v->events;
    softhv_hv_vp_init(&v->vp, &r->hv, &c);
}

/* A running partition: 1 GHz host, 2 GHz guest. NULL when out of memory. */
static inline struct rig *rig_new(uint64_t synthetic, uint64_t privileges, bool amd)
{
    struct x86_features host = x86_features_supported();
    struct softhv_feature_request q = {.synthetic = synthetic, .privileges = privileges, .amd = amd};
    struct rig *r = aligned_alloc(4096, sizeof(*r));
    if (r == NULL)
        return NULL;
    memset(r, 0, sizeof(*r));
    struct softhv_clock_source s = {.ticks = rig_ticks, .ctx = r, .hz = 1000000000};
    q.lapic = q.x2apic = true;
    softhv_features_resolve(&host, &q, &r->features);
    if (softhv_clock_init(&r->clock, &s, 2000000000, 0) != 0)
        abort();
    struct softhv_hv_config c = {.features = &r->features, .amd = amd, .phys_bits = RIG_PHYS_BITS};
    c.partition_id = 0xabcd;
    c.hypercall_page = r->hypercall_page;
    c.tsc_page = r->tsc_page;
    softhv_hv_init(&r->hv, &c, &r->clock);
    for (unsigned i = 0; i < RIG_VPS; i++)
        rig_start_vp(r, i);
    softhv_hv_suspend(&r->hv, false);
    return r;
}

static inline void rig_free(struct rig *r)
{
    for (unsigned i = 0; i < RIG_VPS; i++)
        softhv_hv_vp_fini(&r->vps[i].vp);
    softhv_hv_fini(&r->hv);
    free(r);
}

#endif
