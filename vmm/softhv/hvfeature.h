/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * From what a VMM asks of a partition (disabled feature banks, disabled XSAVE features, synthetic features) to what its
 * processors can do, and back: the masks that properties read.
 *
 * Only features that vmm/x86 executes, or that need no execution, exist. A bank bit is "enabled" when everything it
 * stands for is; masking one feature takes along those built on it.
 *
 * Pure; any thread. Source: docs/abi-coverage.md; TLFS, partition properties.
 */
#ifndef CAISSON_VMM_SOFTHV_HVFEATURE_H
#define CAISSON_VMM_SOFTHV_HVFEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/x86/feature.h"

#define SOFTHV_BANKS 2u

/* Synthetic features (property 0x10001) that do something here: property ASSIGNABLE_SYNTHETIC_PROC_FEATURES. */
#define SOFTHV_SYNTH_SUPPORTED                                                                                         \
    (UINT64_C(0xfff) | HV_FEATURE(HV_SYNTHETIC_DIRECT_SYNTHETIC_TIMERS) |                                              \
     HV_FEATURE(HV_SYNTHETIC_EXTENDED_PROCESSOR_MASKS) | HV_FEATURE(HV_SYNTHETIC_TB_FLUSH_HYPERCALLS) |                \
     HV_FEATURE(HV_SYNTHETIC_SYNTHETIC_CLUSTER_IPI) | HV_FEATURE(HV_SYNTHETIC_NOTIFY_LONG_SPIN_WAIT) |                 \
     HV_FEATURE(HV_SYNTHETIC_SIGNAL_EVENTS))

/* What the VMM asked for. */
struct softhv_feature_request {
    uint64_t disabled_banks[SOFTHV_BANKS];
    uint64_t disabled_xsave;
    uint64_t synthetic;  /* property 0x10001; bits outside of SOFTHV_SYNTH_SUPPORTED are ignored */
    uint64_t privileges; /* property 0x10000, rights beyond those of the synthetic features; 0 if never set */
    bool lapic, x2apic;  /* creation flags */
    bool amd;            /* vendor of the processor */
};

/* What the partition gets. */
struct softhv_features {
    uint64_t banks[SOFTHV_BANKS]; /* enabled: properties 0x6000A, 0x6000B */
    uint64_t xsave;               /* enabled: property 0x60002 */
    uint64_t synthetic;           /* property 0x10001 read back */
    uint64_t privileges;          /* CPUID 0x40000003 EBX:EAX */
    struct x86_features x86;      /* for struct x86_config */
    uint64_t arch_capabilities;   /* MSR 0x10A, 0 when not offered (AMD) */
};

/* Work out a partition's features. host: what the executor has, x86_features_supported(). */
void softhv_features_resolve(const struct x86_features *host, const struct softhv_feature_request *request,
                             struct softhv_features *out);

/* The masks of the machine itself: the properties asked on the device. */
void softhv_features_host(const struct x86_features *host, bool amd, struct softhv_features *out);

/* XFEM-style mask of the state components: property XSAVE_STATES (0x60007). */
uint64_t softhv_features_xsave_states(const struct softhv_features *f);
/* Bytes of the largest XSAVE area, compacted or not: property MAX_XSAVE_DATA_SIZE (0x60008). */
uint32_t softhv_features_xsave_bytes(const struct softhv_features *f);

#endif
