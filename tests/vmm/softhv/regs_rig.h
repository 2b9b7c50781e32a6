/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A VP for tests of registers: everything behind its hooks is made up.
 */
#ifndef CAISSON_TESTS_VMM_SOFTHV_REGS_RIG_H
#define CAISSON_TESTS_VMM_SOFTHV_REGS_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/softhv/regs.h"

#define APIC_REGS 0x40u
#define MSRS      16u

/* A VP with everything behind its hooks made up. */
struct rig {
    struct x86_state state;
    struct softhv_vp_control control;
    struct softhv_regs_limits limits;
    struct softhv_regs_view view;
    uint64_t apic[APIC_REGS];
    uint64_t cr8;
    struct {
        uint32_t msr;
        uint64_t value;
    } msrs[MSRS];
    unsigned msr_count;
    uint64_t apic_id;
    int waiting; /* -1: not told */
};

static inline int apic_get(void *ctx, unsigned index, uint64_t *value)
{
    struct rig *r = ctx;
    *value = r->apic[index];
    return index < 2 ? -EINVAL : 0;
}

static inline int apic_set(void *ctx, unsigned index, uint64_t value)
{
    struct rig *r = ctx;
    if (value >> 32 != 0)
        return -EINVAL;
    r->apic[index] = value;
    return 0;
}

static inline int cr8_get(void *ctx, uint64_t *value)
{
    *value = ((struct rig *)ctx)->cr8;
    return 0;
}

static inline int cr8_set(void *ctx, uint64_t value)
{
    ((struct rig *)ctx)->cr8 = value;
    return 0;
}

/* MSRs come into being when they are set; 0xfe is always there; 0x40000002 has a value; SPEC_CTRL is not there. */
static inline int msr_get(void *ctx, uint32_t msr, uint64_t *value)
{
    struct rig *r = ctx;
    *value = msr == 0xfe ? 0x508 : msr == HV_MSR_VP_INDEX ? 3 : 0;
    for (unsigned i = 0; i < r->msr_count; i++)
        if (r->msrs[i].msr == msr)
            *value = r->msrs[i].value;
    return msr == 0x48 ? -ENOENT : 0;
}

static inline int msr_set(void *ctx, uint32_t msr, uint64_t value)
{
    struct rig *r = ctx;
    if (msr == 0x48)
        return -ENOENT;
    if (value == UINT64_MAX)
        return -EINVAL;
    assert_true(r->msr_count < MSRS);
    r->msrs[r->msr_count].msr = msr;
    r->msrs[r->msr_count++].value = value;
    return 0;
}

static inline int name_get(void *ctx, uint32_t name, uint64_t *value)
{
    *value = ((struct rig *)ctx)->apic_id;
    return name == HV_X64_REGISTER_INITIAL_APIC_ID ? 0 : -ENOENT;
}

static inline int name_set(void *ctx, uint32_t name, uint64_t value)
{
    ((struct rig *)ctx)->apic_id = value;
    return name == HV_X64_REGISTER_INITIAL_APIC_ID ? 0 : -ENOENT;
}

static inline int cpuid(void *ctx, uint32_t leaf, struct x86_cpuid_regs *out)
{
    (void)ctx;
    *out = (struct x86_cpuid_regs){.eax = leaf, .ebx = 2, .ecx = 3, .edx = 4};
    return 0;
}

static inline void set_waiting(void *ctx, bool waiting)
{
    ((struct rig *)ctx)->waiting = waiting;
}

static const struct softhv_regs_ops hooks = {.apic_get = apic_get,
                                             .apic_set = apic_set,
                                             .cr8_get = cr8_get,
                                             .cr8_set = cr8_set,
                                             .msr_get = msr_get,
                                             .msr_set = msr_set,
                                             .name_get = name_get,
                                             .name_set = name_set,
                                             .cpuid = cpuid,
                                             .set_waiting = set_waiting};

/* As after x86_cpu_reset, as far as it matters. */
static inline void rig_init(struct rig *r)
{
    struct x86_features f = x86_features_supported();
    memset(r, 0, sizeof(*r));
    r->state.rflags = 2;
    r->state.cr0 = 0x60000010;
    r->state.xcr0 = 1;
    r->state.pat = UINT64_C(0x0007040600070406);
    r->state.dr6 = 0xffff0ff0;
    r->state.dr7 = 0x400;
    r->state.fpu.mxcsr = 0x1f80;
    r->state.fpu.fcw = 0x37f;
    r->waiting = -1;
    softhv_regs_limits_init(&r->limits, &f, 40, true);
    r->view = (struct softhv_regs_view){
        .state = &r->state, .control = &r->control, .limits = &r->limits, .ops = &hooks, .ctx = r};
}

static inline enum hv_status set64(struct rig *r, uint32_t name, uint64_t value)
{
    union hv_register_value v = {.reg128 = {value, UINT64_C(0xdeadbeefdeadbeef)}}; /* the upper half is garbage */
    return softhv_regs_set(&r->view, name, &v);
}

static inline uint64_t get64(struct rig *r, uint32_t name)
{
    union hv_register_value v;
    assert_int_equal(softhv_regs_get(&r->view, name, &v), HV_STATUS_SUCCESS);
    return v.reg64;
}

static inline void keeps(struct rig *r, uint32_t name, uint64_t value)
{
    assert_int_equal(set64(r, name, value), HV_STATUS_SUCCESS);
    assert_int_equal(get64(r, name), value);
}

static inline void refuses(struct rig *r, uint32_t name, uint64_t value)
{
    uint64_t before = get64(r, name);
    assert_int_equal(set64(r, name, value), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(get64(r, name), before);
}

#endif
