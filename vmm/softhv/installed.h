/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the client wants to see of the guest: the intercepts of HVCALL_INSTALL_INTERCEPT, and what it has said about
 * MSRs that nobody has (HVCALL_REGISTER_INTERCEPT_RESULT).
 *
 *   type                        access         parameter   what it does
 *   X64_IO_PORT, _RANGE         read, write    port(s)     nothing: every port access exits anyway, also without it
 *   X64_MSR                     read, write    -           MSR_INTERCEPT for MSRs that the hypervisor does not have
 *   X64_MSR_INDEX               read, write    MSR         MSR_INTERCEPT for this one, whoever has it
 *   MC_UPDATE_PATCH_LEVEL_...   read           -           the same for reading MSR 0x8b
 *   X64_CPUID                   execute        leaf        CPUID_INTERCEPT
 *   X64_GLOBAL_CPUID            execute        -           CPUID_INTERCEPT for every leaf
 *   EXCEPTION                   execute        vector      EXCEPTION_INTERCEPT; what the client injects does not exit
 *   HYPERCALL                   execute        -           HYPERCALL_INTERCEPT for codes the hypervisor does not have
 *   UNKNOWN_SYNIC_CONNECTION    execute        -           the same for messages and events of the guest
 *   RETARGET_INTERRUPT_...      execute        -           the same for HVCALL_RETARGET_INTERRUPT
 *
 * An access mask of 0 removes; removing what is not there, and installing again with another mask, are fine. Only the
 * parameter's own width is looked at: it is a union, and clients leave garbage beside it. Others are refused: MMIO,
 * X64_APIC_SMI, X64_APIC_INIT_SIPI, X64_APIC_WRITE, X64_APIC_EOI.
 * uncertain: all of that but types and parameters.
 *
 * Threads: one writer at a time, under the owner's lock; readers are VPs and take none. A change is seen by each VP at
 * its next instruction of that kind, or the one after. Zeroed is "nothing".
 */
#ifndef CAISSON_VMM_SOFTHV_INSTALLED_H
#define CAISSON_VMM_SOFTHV_INSTALLED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"

#define SOFTHV_INSTALLED_ENTRIES 128u /* leaves; MSRs; results */

/* 32-bit numbers with a few bits each. */
struct softhv_number_set {
    _Atomic uint32_t used;                            /* entries from here on were never taken */
    _Atomic uint64_t entry[SOFTHV_INSTALLED_ENTRIES]; /* number, and in the upper half its bits; no bits: free */
};

/* The bits of a number, or 0. */
uint32_t softhv_number_set_get(const struct softhv_number_set *s, uint32_t number);

struct softhv_installed {
    _Atomic uint32_t exceptions;     /* a bit for each vector */
    _Atomic uint32_t unhandled_msrs; /* HV_INTERCEPT_ACCESS_MASK_* */
    _Atomic uint32_t on;             /* types that are on or off: bit enum hv_intercept_type */
    struct softhv_number_set leaves, msrs;
};

/*
 * Install or remove. in: from the client; the partition in it is not looked at. SUCCESS; INVALID_PARAMETER: a type that
 * is not served, an access it does not have, an exception above 31, a range that ends before it begins; NO_RESOURCES:
 * SOFTHV_INSTALLED_ENTRIES are installed. Nothing changes on errors. Writer.
 */
enum hv_status softhv_installed_change(struct softhv_installed *t, const struct hv_input_install_intercept *in);

/* Readers: is it to exit? */
static inline bool softhv_installed_on(const struct softhv_installed *t, enum hv_intercept_type type)
{
    return (atomic_load_explicit(&t->on, memory_order_relaxed) >> type & 1) != 0;
}

static inline bool softhv_installed_exception(const struct softhv_installed *t, uint8_t vector)
{
    return vector < 32 && (atomic_load_explicit(&t->exceptions, memory_order_relaxed) >> vector & 1) != 0;
}

static inline bool softhv_installed_leaf(const struct softhv_installed *t, uint32_t leaf)
{
    return softhv_installed_on(t, HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID) || softhv_number_set_get(&t->leaves, leaf) != 0;
}

#define SOFTHV_MSR_PATCH_LEVEL 0x8bu
/* The next two: access is HV_INTERCEPT_ACCESS_MASK_READ or _WRITE. */

static inline bool softhv_installed_msr(const struct softhv_installed *t, uint32_t msr, uint32_t access)
{
    bool patch = msr == SOFTHV_MSR_PATCH_LEVEL && access == HV_INTERCEPT_ACCESS_MASK_READ &&
                 softhv_installed_on(t, HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ);
    return patch || (softhv_number_set_get(&t->msrs, msr) & access) != 0;
}

/* For an MSR that the hypervisor does not have. */
static inline bool softhv_installed_unhandled_msr(const struct softhv_installed *t, uint32_t access)
{
    return (atomic_load_explicit(&t->unhandled_msrs, memory_order_relaxed) & access) != 0;
}

/* ---- What an access to an MSR comes to that the hypervisor does not have ---- */

struct softhv_msr_results {
    struct softhv_number_set set;
};

enum softhv_msr_said { SOFTHV_MSR_SAID_NOTHING, SOFTHV_MSR_SAID_FAULT, SOFTHV_MSR_SAID_IGNORE };

/*
 * Register an action for reading, writing or both; the other's stays. SUCCESS; INVALID_PARAMETER: no or another access,
 * no such action; NO_RESOURCES. Writer.
 */
enum hv_status softhv_msr_results_add(struct softhv_msr_results *r,
                                      const struct hv_register_x64_msr_result_parameters *in);

/* Reader. access: HV_INTERCEPT_ACCESS_MASK_READ or _WRITE. */
enum softhv_msr_said softhv_msr_results_find(const struct softhv_msr_results *r, uint32_t msr, uint32_t access);

#endif
