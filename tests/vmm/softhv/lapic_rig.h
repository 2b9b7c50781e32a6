/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Local APICs of a made-up partition: a clock that the test sets, and hooks that count. The n-th has id n
 * and slot n; the first is the bootstrap processor.
 */
#ifndef CAISSON_TESTS_VMM_SOFTHV_LAPIC_RIG_H
#define CAISSON_TESTS_VMM_SOFTHV_LAPIC_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "vmm/softhv/lapic.h"

#define RIG_TIMER_HZ 200000000u
#define RIG_TSC_HZ   2000000000u
#define RIG_BASE     0xfee00000u
#define RIG_BSP_BASE (RIG_BASE | SOFTHV_LAPIC_BASE_BSP | SOFTHV_LAPIC_BASE_ENABLE)

struct rig_vp {
    struct rig *rig;
    struct softhv_lapic *l;
    atomic_uint wakes, events, requests; /* calls of wake with each bit */
    unsigned eois;
    uint8_t eoi_vector;
    bool eoi_level;
    uint64_t expiry; /* last said by the timer hook */
    bool assist_page, assist_bit;
};

struct rig {
    struct softhv_apic_bus bus;
    uint64_t now_ns, tsc;
    unsigned count;
    struct rig_vp vp[SOFTHV_APIC_BUS_SLOTS];
};

static uint64_t rig_now(void *ctx)
{
    return ((struct rig_vp *)ctx)->rig->now_ns;
}

static uint64_t rig_tsc(void *ctx)
{
    return ((struct rig_vp *)ctx)->rig->tsc;
}

static void rig_wake(void *ctx, unsigned what)
{
    struct rig_vp *vp = ctx;
    if (what & SOFTHV_LAPIC_WAKE_INTR)
        vp->wakes++;
    if (what & SOFTHV_LAPIC_WAKE_EVENT)
        vp->events++;
    if (what & SOFTHV_LAPIC_WAKE_REQUEST)
        vp->requests++;
}

static void rig_eoi(void *ctx, uint8_t vector, bool level)
{
    struct rig_vp *vp = ctx;
    vp->eois++;
    vp->eoi_vector = vector;
    vp->eoi_level = level;
}

static void rig_timer(void *ctx, uint64_t expiry_ns)
{
    ((struct rig_vp *)ctx)->expiry = expiry_ns;
}

static bool rig_lazy_offer(void *ctx)
{
    struct rig_vp *vp = ctx;
    if (vp->assist_page)
        vp->assist_bit = true;
    return vp->assist_page;
}

static bool rig_lazy_withdraw(void *ctx)
{
    struct rig_vp *vp = ctx;
    bool completed = !vp->assist_bit;
    vp->assist_bit = false;
    return completed;
}

static const struct softhv_lapic_ops rig_ops = {
    .now_ns = rig_now,
    .tsc = rig_tsc,
    .wake = rig_wake,
    .eoi = rig_eoi,
    .timer = rig_timer,
    .lazy_offer = rig_lazy_offer,
    .lazy_withdraw = rig_lazy_withdraw,
};

static inline struct softhv_lapic_config rig_config(struct rig *r, unsigned n)
{
    return (struct softhv_lapic_config){.ops = &rig_ops,
                                        .ctx = &r->vp[n],
                                        .bus = &r->bus,
                                        .id = n,
                                        .bsp = n == 0,
                                        .x2apic = true,
                                        .tsc_deadline = true,
                                        .phys_bits = 40,
                                        .timer_hz = RIG_TIMER_HZ,
                                        .tsc_hz = RIG_TSC_HZ};
}

static inline void rig_add(struct rig *r, const struct softhv_lapic_config *cfg)
{
    unsigned n = r->count++;
    r->vp[n].rig = r;
    r->vp[n].l = softhv_lapic_new(cfg);
    assert_non_null(r->vp[n].l);
    assert_int_equal(softhv_apic_bus_attach(&r->bus, n, r->vp[n].l), 0);
}

static inline struct rig *rig_new(unsigned count)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    for (unsigned n = 0; n < count; n++) {
        struct softhv_lapic_config cfg = rig_config(r, n);
        rig_add(r, &cfg);
    }
    return r;
}

static inline void rig_free(struct rig *r)
{
    for (unsigned n = 0; n < r->count; n++)
        softhv_lapic_free(r->vp[n].l);
    free(r);
}

/* ---- The guest's accesses ---- */

static inline uint32_t rig_read(struct softhv_lapic *l, unsigned index)
{
    uint8_t bytes[4];
    softhv_lapic_mmio_read(l, index * 16, 4, bytes);
    return bytes_load_le32(bytes);
}

static inline void rig_write(struct softhv_lapic *l, unsigned index, uint32_t value)
{
    uint8_t bytes[4];
    bytes_store_le32(bytes, value);
    softhv_lapic_mmio_write(l, index * 16, 4, bytes);
}

static inline uint64_t rig_msr(struct softhv_lapic *l, uint32_t msr)
{
    uint64_t v = 0;
    assert_int_equal(softhv_lapic_msr_read(l, msr, &v), 0);
    return v;
}

static inline void rig_wrmsr(struct softhv_lapic *l, uint32_t msr, uint64_t value)
{
    assert_int_equal(softhv_lapic_msr_write(l, msr, value), 0);
}

/* Software-enable; the mode stays. */
static inline void rig_enable(struct softhv_lapic *l)
{
    rig_write(l, SOFTHV_LAPIC_SVR, SOFTHV_LAPIC_SVR_ENABLE | 0xff);
}

static inline void rig_x2apic(struct softhv_lapic *l)
{
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, softhv_lapic_base(l) | SOFTHV_LAPIC_BASE_X2APIC);
}

static inline void rig_fixed(struct softhv_lapic *l, uint8_t vector)
{
    assert_true(softhv_lapic_accept(l, SOFTHV_APIC_FIXED, vector, false));
}

#endif
