/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Table of installed intercepts. Source: TLFS, HvCallInstallIntercept, HV_INTERCEPT_PARAMETERS,
 * HvCallRegisterInterceptResult.
 */
#include "vmm/softhv/installed.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define READ_WRITE (HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE)
#define EXECUTE    HV_INTERCEPT_ACCESS_MASK_EXECUTE

/* ---- Sets of numbers ---- */

static uint32_t bits_of(uint64_t entry)
{
    return (uint32_t)(entry >> 32);
}

uint32_t softhv_number_set_get(const struct softhv_number_set *s, uint32_t number)
{
    uint32_t used = atomic_load_explicit(&s->used, memory_order_acquire);
    for (uint32_t i = 0; i < used; i++) {
        uint64_t e = atomic_load_explicit(&s->entry[i], memory_order_relaxed);
        if ((uint32_t)e == number && bits_of(e) != 0)
            return bits_of(e);
    }
    return 0;
}

/* Where the number is, else a free place; SOFTHV_INSTALLED_ENTRIES when there is none. */
static uint32_t place_of(const struct softhv_number_set *s, uint32_t number)
{
    uint32_t used = atomic_load_explicit(&s->used, memory_order_relaxed), vacant = used;
    for (uint32_t i = 0; i < used; i++) {
        uint64_t e = atomic_load_explicit(&s->entry[i], memory_order_relaxed);
        if (bits_of(e) != 0 && (uint32_t)e == number)
            return i;
        if (bits_of(e) == 0)
            vacant = i;
    }
    return vacant;
}

/* Readers see the entry before they see that there is one more. */
static enum hv_status set_put(struct softhv_number_set *s, uint32_t number, uint32_t bits)
{
    uint32_t used = atomic_load_explicit(&s->used, memory_order_relaxed), i = place_of(s, number);
    if (bits == 0 && i == used)
        return HV_STATUS_SUCCESS;
    if (i == SOFTHV_INSTALLED_ENTRIES)
        return HV_STATUS_NO_RESOURCES;
    atomic_store_explicit(&s->entry[i], (uint64_t)bits << 32 | number, memory_order_relaxed);
    if (i == used)
        atomic_store_explicit(&s->used, used + 1, memory_order_release);
    return HV_STATUS_SUCCESS;
}

/* ---- Types ---- */

static enum hv_status install_nothing(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    (void)t, (void)in;
    return HV_STATUS_SUCCESS;
}

static enum hv_status install_ports(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    uint16_t base = (uint16_t)in->intercept_parameter, end = (uint16_t)(in->intercept_parameter >> 16);
    (void)t;
    return base <= end ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

static enum hv_status install_unhandled(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    atomic_store(&t->unhandled_msrs, in->access_type);
    return HV_STATUS_SUCCESS;
}

static enum hv_status install_msr(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    return set_put(&t->msrs, (uint32_t)in->intercept_parameter, in->access_type);
}

static enum hv_status install_leaf(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    return set_put(&t->leaves, (uint32_t)in->intercept_parameter, in->access_type);
}

static void put_bit(_Atomic uint32_t *bits, uint32_t n, bool on)
{
    if (on)
        atomic_fetch_or(bits, UINT32_C(1) << n);
    else
        atomic_fetch_and(bits, ~(UINT32_C(1) << n));
}

static enum hv_status install_exception(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    uint16_t vector = (uint16_t)in->intercept_parameter;
    if (vector > 31)
        return HV_STATUS_INVALID_PARAMETER;
    put_bit(&t->exceptions, vector, in->access_type != 0);
    return HV_STATUS_SUCCESS;
}

static enum hv_status install_switch(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    put_bit(&t->on, in->intercept_type, in->access_type != 0);
    return HV_STATUS_SUCCESS;
}

static const struct {
    uint32_t type;
    uint32_t access; /* that can be asked for */
    enum hv_status (*install)(struct softhv_installed *t, const struct hv_input_install_intercept *in);
} types[] = {
    {HV_INTERCEPT_TYPE_X64_IO_PORT, READ_WRITE, install_nothing},
    {HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE, READ_WRITE, install_ports},
    {HV_INTERCEPT_TYPE_X64_MSR, READ_WRITE, install_unhandled},
    {HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ_WRITE, install_msr},
    {HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ, HV_INTERCEPT_ACCESS_MASK_READ, install_switch},
    {HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, install_leaf},
    {HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, EXECUTE, install_switch},
    {HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, install_exception},
    {HV_INTERCEPT_TYPE_HYPERCALL, EXECUTE, install_switch},
    {HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION, EXECUTE, install_switch},
    {HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE, EXECUTE, install_switch},
};

enum hv_status softhv_installed_change(struct softhv_installed *t, const struct hv_input_install_intercept *in)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].type == in->intercept_type && (in->access_type & ~types[i].access) == 0)
            return types[i].install(t, in);
    return HV_STATUS_INVALID_PARAMETER;
}

/* ---- Results ---- */

/* The bits of a number: for which accesses something was said, and, above, for which it was "ignore". */
#define IGNORE_SHIFT 2

enum hv_status softhv_msr_results_add(struct softhv_msr_results *r,
                                      const struct hv_register_x64_msr_result_parameters *in)
{
    uint32_t access = in->access_type, bits = softhv_number_set_get(&r->set, in->msr_index);
    if (access == 0 || (access & ~READ_WRITE) != 0 || in->action > HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO)
        return HV_STATUS_INVALID_PARAMETER;
    uint32_t ignored = in->action == HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO ? access << IGNORE_SHIFT : 0;
    return set_put(&r->set, in->msr_index, (bits & ~(access << IGNORE_SHIFT)) | access | ignored);
}

enum softhv_msr_said softhv_msr_results_find(const struct softhv_msr_results *r, uint32_t msr, uint32_t access)
{
    uint32_t bits = softhv_number_set_get(&r->set, msr);
    if ((bits & access) == 0)
        return SOFTHV_MSR_SAID_NOTHING;
    return (bits & access << IGNORE_SHIFT) != 0 ? SOFTHV_MSR_SAID_IGNORE : SOFTHV_MSR_SAID_FAULT;
}
