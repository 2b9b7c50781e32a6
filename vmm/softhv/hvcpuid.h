/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CPUID as a guest of the partition sees it. In this order:
 *
 *     own value       of the processor and of the hypervisor leaves 0x40000000 to 0x4000000C
 *     -> overrides    what the VMM registered (REGISTER_INTERCEPT_RESULT), partition first, then VP
 *     -> limits       an override cannot announce what the processor does not do: feature bits can be cleared, not
 *                     set; state sizes and frequencies stay our own
 *     -> run-time     OSXSAVE, APIC enabled, XSAVE area in use, invariant TSC follow the VP's registers
 *
 * uncertain: the real hypervisor's treatment of run-time bits and of features it lacks is not known; both are ours.
 *
 * Threads: pure functions over the caller's structs; tables are changed under the owner's lock.
 */
#ifndef CAISSON_VMM_SOFTHV_HVCPUID_H
#define CAISSON_VMM_SOFTHV_HVCPUID_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/softhv/hvfeature.h"
#include "vmm/x86/feature.h"

#define SOFTHV_CPUID_ENTRIES 256u /* QEMU registers up to 111, 64 of them for leaf 0xD */

/* One registered result: result = (own & ~mask) | (value & mask). Registers in the order EAX, EBX, ECX, EDX. */
struct softhv_cpuid_entry {
    uint32_t leaf, subleaf;
    bool subleaf_specific; /* else: for all subleaves */
    bool always_override;  /* also where our own value is zero in all registers */
    uint32_t value[4], mask[4];
};

/* Zeroed is empty. */
struct softhv_cpuid_table {
    uint32_t count;
    struct softhv_cpuid_entry entry[SOFTHV_CPUID_ENTRIES];
};

/*
 * Register a result, or replace the one for the same leaf and subleaf. Returns a TLFS status: SUCCESS, or NO_RESOURCES
 * when the table is full.
 */
uint16_t softhv_cpuid_register(struct softhv_cpuid_table *t, const struct softhv_cpuid_entry *entry);

/* What the values depend on. Pointers are borrowed. */
struct softhv_cpuid_env {
    struct x86_cpuid_info info; /* of this VP; info.features may be NULL: features->x86 is used */
    const struct softhv_features *features;
    const struct softhv_cpuid_table *partition, *vp; /* either may be NULL */
    uint32_t max_vps;                                /* leaf 0x40000005 */
    bool tsc_invariant_shown;                        /* MSR TSC_INVARIANT_CONTROL bit 0 */
};

/* What CPUID answers. */
struct x86_cpuid_regs softhv_cpuid(const struct softhv_cpuid_env *env, uint32_t leaf, uint32_t subleaf);
/* The same without overrides. */
struct x86_cpuid_regs softhv_cpuid_own(const struct softhv_cpuid_env *env, uint32_t leaf, uint32_t subleaf);

#define SOFTHV_CPUID_VP_STATES  1u /* flags of GET_VP_CPUID_VALUES: the VP's XCR0 and XSS, not those given */
#define SOFTHV_CPUID_REGISTERED 2u /* apply registered results */

/* One element of GET_VP_CPUID_VALUES (0xF4). xfem, xss: used without SOFTHV_CPUID_VP_STATES. */
struct x86_cpuid_regs softhv_cpuid_query(const struct softhv_cpuid_env *env, uint32_t flags, uint32_t leaf,
                                         uint32_t subleaf, uint64_t xfem, uint64_t xss);

/*
 * The APIC id a VMM gave this VP through its CPUID: EDX of leaf 0xB if a result for this VP covers it and the leaf
 * has levels (EBX[15:0] not 0), else leaf 1 EBX[31:24] likewise, else info.apic_id. Results for any VP name none.
 * QEMU's ids are not always VP indices.
 */
uint32_t softhv_cpuid_apic_id(const struct softhv_cpuid_env *env);

#endif
