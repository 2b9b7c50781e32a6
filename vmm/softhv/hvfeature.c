/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Feature banks, XSAVE features and synthetic features against the executor's features.
 */
#include "vmm/softhv/hvfeature.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Which vendor's processors have it. */
enum { BOTH, INTEL, AMD };

/* A bit of bank 0, 1 or of the XSAVE features (bank 2) and the feature of the executor behind it. */
struct mapping {
    uint8_t bank, bit, feature;
};

/* clang-format off */
static const struct mapping mappings[] = {
    {0, HV_CPU0_SSE3, X86_F_SSE3},
    {0, HV_CPU0_LAHF_SAHF, X86_F_LAHF64},
    {0, HV_CPU0_SSSE3, X86_F_SSSE3},
    {0, HV_CPU0_SSE4_1, X86_F_SSE41},
    {0, HV_CPU0_SSE4_2, X86_F_SSE42},
    {0, HV_CPU0_POPCNT, X86_F_POPCNT},
    {0, HV_CPU0_CMPXCHG16B, X86_F_CX16},
    {0, HV_CPU0_ALTMOVCR8, X86_F_CR8_LEGACY},
    {0, HV_CPU0_LZCNT, X86_F_LZCNT},
    {0, HV_CPU0_MMX_EXT, X86_F_MMXEXT},
    {0, HV_CPU0_PAGE_1GB, X86_F_PDPE1GB},
    {0, HV_CPU0_AES, X86_F_AES},
    {0, HV_CPU0_PCLMULQDQ, X86_F_PCLMULQDQ},
    {0, HV_CPU0_PCID, X86_F_PCID},
    {0, HV_CPU0_F16C, X86_F_F16C},
    {0, HV_CPU0_RDRAND, X86_F_RDRAND},
    {0, HV_CPU0_FSGSBASE, X86_F_FSGSBASE},
    {0, HV_CPU0_SMEP, X86_F_SMEP},
    {0, HV_CPU0_ENHANCED_FAST_STRING, X86_F_ERMS},
    {0, HV_CPU0_BMI1, X86_F_BMI1},
    {0, HV_CPU0_BMI2, X86_F_BMI2},
    {0, HV_CPU0_MOVBE, X86_F_MOVBE},
    {0, HV_CPU0_RDSEED, X86_F_RDSEED},
    {0, HV_CPU0_ADX, X86_F_ADX},
    {0, HV_CPU0_INTEL_PREFETCH, X86_F_PREFETCHW},
    {0, HV_CPU0_SMAP, X86_F_SMAP},
    {0, HV_CPU0_RDTSCP, X86_F_RDTSCP},
    {0, HV_CPU0_CLFLUSHOPT, X86_F_CLFLUSHOPT},
    {0, HV_CPU0_CLWB, X86_F_CLWB},
    {0, HV_CPU0_SHA, X86_F_SHA},
    {0, HV_CPU0_INVPCID, X86_F_INVPCID},
    {0, HV_CPU0_FAST_SHORT_REP_MOV, X86_F_FSRM},
    {0, HV_CPU0_RDPID, X86_F_RDPID},
    {0, HV_CPU0_UMIP, X86_F_UMIP},
    {1, HV_CPU1_TSC_INVARIANT, X86_F_INVTSC},
    {1, HV_CPU1_LA57, X86_F_LA57},
    {1, HV_CPU1_SERIALIZE, X86_F_SERIALIZE},
    {1, HV_CPU1_TSC_DEADLINE_TIMER, X86_F_TSC_DEADLINE},
    {1, HV_CPU1_TSC_ADJUST, X86_F_TSC_ADJUST},
    {2, HV_XSAVE_XSAVE, X86_F_XSAVE},
    {2, HV_XSAVE_XSAVEOPT, X86_F_XSAVEOPT},
    {2, HV_XSAVE_AVX, X86_F_AVX},
    {2, HV_XSAVE_AVX2, X86_F_AVX2},
    {2, HV_XSAVE_FMA, X86_F_FMA},
    {2, HV_XSAVE_XSAVE_COMP, X86_F_XSAVEC},
    {2, HV_XSAVE_XSAVE_SUPERVISOR, X86_F_XSAVES},
    {2, HV_XSAVE_XCR1, X86_F_XGETBV1},
};

/*
 * Bits without an executor's feature. What a guest could do against these leaks has no effect on an interpreter, which
 * does not speculate on its code: "not affected" is the answer that fits. caps: bit of MSR ARCH_CAPABILITIES that says
 * so on Intel, or NO_CAP.
 */
#define NO_CAP 255
static const struct { uint8_t bank, bit, vendor, caps; } plain[] = {
    {0, HV_CPU0_RDCL_NO, INTEL, 0},
    {0, HV_CPU0_SKIP_L1DF, INTEL, 3},
    {0, HV_CPU0_SSB_NO, BOTH, 4},
    {0, HV_CPU0_MBS_NO, INTEL, 5},
    {0, HV_CPU0_TAA_NO, INTEL, 8},
    {1, HV_CPU1_SBDR_SSDP_NO, INTEL, 13},
    {1, HV_CPU1_FBSDP_NO, INTEL, 14},
    {1, HV_CPU1_PSDP_NO, INTEL, 15},
    {1, HV_CPU1_BTC_NO, AMD, NO_CAP},
    {1, HV_CPU1_GDS_NO, INTEL, 26},
    {1, HV_CPU1_BHI_NO, INTEL, 20},
    {1, HV_CPU1_RFDS_NO, INTEL, 27},
    {1, HV_CPU1_SRSO_NO, AMD, NO_CAP},
};

/* Privileges that follow from synthetic features. */
static const struct { uint64_t synthetic, privileges; } grants[] = {
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_VP_RUN_TIME_REG), HV_PRIVILEGE_VP_RUNTIME},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_PARTITION_REFERENCE_COUNTER), HV_PRIVILEGE_TIME_REF_COUNT},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_SYNIC_REGS), HV_PRIVILEGE_SYNIC},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_SYNTHETIC_TIMER_REGS), HV_PRIVILEGE_SYNTIMER},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_INTR_CTRL_REGS), HV_PRIVILEGE_APIC_ACCESS},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_HYPERCALL_REGS), HV_PRIVILEGE_HYPERCALL},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_VP_INDEX), HV_PRIVILEGE_VP_INDEX},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_PARTITION_REFERENCE_TSC), HV_PRIVILEGE_REFERENCE_TSC},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_GUEST_IDLE_REG), HV_PRIVILEGE_GUEST_IDLE},
    {HV_FEATURE(HV_SYNTHETIC_ACCESS_FREQUENCY_REGS), HV_PRIVILEGE_FREQUENCY},
    {HV_FEATURE(HV_SYNTHETIC_SIGNAL_EVENTS), HV_PRIVILEGE_SIGNAL_EVENTS},
};
/* clang-format on */

/* Privileges a VMM may add by PRIVILEGE_FLAGS: those something here stands behind. Never bit 32 (CreatePartitions). */
#define PRIVILEGES_KNOWN                                                                                               \
    (HV_PRIVILEGE_VP_RUNTIME | HV_PRIVILEGE_TIME_REF_COUNT | HV_PRIVILEGE_SYNIC | HV_PRIVILEGE_SYNTIMER |              \
     HV_PRIVILEGE_APIC_ACCESS | HV_PRIVILEGE_HYPERCALL | HV_PRIVILEGE_VP_INDEX | HV_PRIVILEGE_REFERENCE_TSC |          \
     HV_PRIVILEGE_GUEST_IDLE | HV_PRIVILEGE_FREQUENCY | HV_PRIVILEGE_TSC_INVARIANT | HV_PRIVILEGE_PARTITION_ID |       \
     HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS | HV_PRIVILEGE_EXTENDED_HYPERCALLS)

static bool bank_has(const uint64_t *banks, uint64_t xsave, const struct mapping *m)
{
    uint64_t mask = m->bank < SOFTHV_BANKS ? banks[m->bank] : xsave;
    return (mask >> m->bit & 1) != 0;
}

/* Features some vendor's processors do not have. */
static void drop_foreign(struct x86_features *f, bool amd)
{
    static const uint8_t amd_only[] = {X86_F_CR8_LEGACY, X86_F_MMXEXT, X86_F_CMP_LEGACY};
    for (size_t i = 0; !amd && i < COUNT(amd_only); i++)
        x86_feature_set(f, amd_only[i], false);
}

static void drop_apic(struct x86_features *f, const struct softhv_feature_request *r)
{
    static const uint8_t apic[] = {X86_F_APIC, X86_F_X2APIC, X86_F_ARAT, X86_F_TSC_DEADLINE};
    for (size_t i = 0; !r->lapic && i < COUNT(apic); i++)
        x86_feature_set(f, apic[i], false);
    if (!r->x2apic)
        x86_feature_set(f, X86_F_X2APIC, false);
}

static struct x86_features x86_of(const struct x86_features *host, const struct softhv_feature_request *r)
{
    struct x86_features f = *host;
    for (size_t i = 0; i < COUNT(mappings); i++)
        if (bank_has(r->disabled_banks, r->disabled_xsave, &mappings[i]))
            x86_feature_set(&f, mappings[i].feature, false);
    drop_foreign(&f, r->amd);
    drop_apic(&f, r);
    if (!(r->synthetic & HV_FEATURE(HV_SYNTHETIC_HYPERVISOR_PRESENT)))
        x86_feature_set(&f, X86_F_HYPERVISOR, false);
    if (!(r->synthetic & HV_FEATURE(HV_SYNTHETIC_ACCESS_HYPERCALL_REGS)))
        x86_feature_set(&f, X86_F_VMCALL, false);
    x86_features_close(&f);
    return f;
}

static void read_back(struct softhv_features *out)
{
    uint64_t masks[SOFTHV_BANKS + 1] = {0, 0, 0};
    for (size_t i = 0; i < COUNT(mappings); i++)
        if (x86_feature_has(&out->x86, mappings[i].feature))
            masks[mappings[i].bank] |= UINT64_C(1) << mappings[i].bit;
    out->banks[0] = masks[0];
    out->banks[1] = masks[1];
    out->xsave = masks[2];
}

static void add_plain(struct softhv_features *out, const struct softhv_feature_request *r)
{
    for (size_t i = 0; i < COUNT(plain); i++) {
        bool here = plain[i].vendor == BOTH || (plain[i].vendor == AMD) == r->amd;
        if (!here || (r->disabled_banks[plain[i].bank] >> plain[i].bit & 1) != 0)
            continue;
        out->banks[plain[i].bank] |= UINT64_C(1) << plain[i].bit;
        if (!r->amd && plain[i].caps != NO_CAP)
            out->arch_capabilities |= UINT64_C(1) << plain[i].caps;
    }
}

/* Without "hypervisor present" and "hv1" there is no interface to have rights in. */
static uint64_t usable_synthetic(uint64_t asked)
{
    const uint64_t base = HV_FEATURE(HV_SYNTHETIC_HYPERVISOR_PRESENT) | HV_FEATURE(HV_SYNTHETIC_HV1);
    asked &= SOFTHV_SYNTH_SUPPORTED;
    return (asked & base) == base ? asked : asked & base;
}

static uint64_t privileges_of(const struct softhv_features *f, uint64_t more)
{
    uint64_t p = 0;
    if (!(f->synthetic & HV_FEATURE(HV_SYNTHETIC_HV1)))
        return 0;
    for (size_t i = 0; i < COUNT(grants); i++)
        if (f->synthetic & grants[i].synthetic)
            p |= grants[i].privileges;
    /*
     * uncertain: no synthetic feature is known to stand for this right. It goes with the processor's invariant TSC,
     * which the guest may then make visible; Linux then trusts the plain TSC.
     */
    if (x86_feature_has(&f->x86, X86_F_INVTSC))
        p |= HV_PRIVILEGE_TSC_INVARIANT;
    return p | (more & PRIVILEGES_KNOWN);
}

void softhv_features_resolve(const struct x86_features *host, const struct softhv_feature_request *request,
                             struct softhv_features *out)
{
    struct softhv_feature_request r = *request;
    r.synthetic = usable_synthetic(r.synthetic);
    *out = (struct softhv_features){.synthetic = r.synthetic};
    out->x86 = x86_of(host, &r);
    read_back(out);
    add_plain(out, &r);
    out->privileges = privileges_of(out, r.privileges);
}

void softhv_features_host(const struct x86_features *host, bool amd, struct softhv_features *out)
{
    const struct softhv_feature_request all = {
        .synthetic = SOFTHV_SYNTH_SUPPORTED, .lapic = true, .x2apic = true, .amd = amd};
    softhv_features_resolve(host, &all, out);
}

uint64_t softhv_features_xsave_states(const struct softhv_features *f)
{
    if (!x86_feature_has(&f->x86, X86_F_XSAVE))
        return 0;
    return x86_feature_has(&f->x86, X86_F_AVX) ? 7 : 3;
}

/* Legacy region and header, then the upper halves of YMM. Source: SDM 1, 13.4. */
uint32_t softhv_features_xsave_bytes(const struct softhv_features *f)
{
    return (softhv_features_xsave_states(f) & 4) != 0 ? 576 + 256 : 576;
}
