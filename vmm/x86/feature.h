/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Processor features as the executor knows them: each can be offered or masked; a masked feature's instructions raise
 * #UD and its CPUID bit reads zero.
 */
#ifndef CAISSON_VMM_X86_FEATURE_H
#define CAISSON_VMM_X86_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

enum x86_feature {
    X86_F_ALWAYS, /* no feature bit: always there */
    X86_F_FPU,
    X86_F_DE,
    X86_F_PSE,
    X86_F_TSC,
    X86_F_MSR,
    X86_F_PAE,
    X86_F_MCE,
    X86_F_CX8,
    X86_F_APIC,
    X86_F_SEP,
    X86_F_MTRR,
    X86_F_PGE,
    X86_F_MCA,
    X86_F_CMOV,
    X86_F_PAT,
    X86_F_PSE36,
    X86_F_CLFSH,
    X86_F_MMX,
    X86_F_FXSR,
    X86_F_SSE,
    X86_F_SSE2,
    X86_F_HTT,
    X86_F_SSE3,
    X86_F_PCLMULQDQ, /* place only */
    X86_F_MONITOR,
    X86_F_SSSE3,
    X86_F_FMA, /* place only */
    X86_F_CX16,
    X86_F_PCID,
    X86_F_SSE41,
    X86_F_SSE42,
    X86_F_X2APIC,
    X86_F_MOVBE,
    X86_F_POPCNT,
    X86_F_TSC_DEADLINE,
    X86_F_AES, /* place only */
    X86_F_XSAVE,
    X86_F_AVX,  /* place only */
    X86_F_F16C, /* place only */
    X86_F_RDRAND,
    X86_F_HYPERVISOR,
    X86_F_FSGSBASE,
    X86_F_TSC_ADJUST,
    X86_F_BMI1,
    X86_F_AVX2, /* place only */
    X86_F_SMEP,
    X86_F_BMI2,
    X86_F_ERMS,
    X86_F_INVPCID,
    X86_F_RDSEED,
    X86_F_ADX,
    X86_F_SMAP,
    X86_F_CLFLUSHOPT,
    X86_F_CLWB,
    X86_F_SHA, /* place only */
    X86_F_UMIP,
    X86_F_PKU,  /* place only */
    X86_F_LA57, /* place only */
    X86_F_RDPID,
    X86_F_FSRM,
    X86_F_SERIALIZE,
    X86_F_XSAVEOPT,
    X86_F_XSAVEC,
    X86_F_XGETBV1,
    X86_F_XSAVES,
    X86_F_ARAT,
    X86_F_SYSCALL,
    X86_F_NX,
    X86_F_PDPE1GB,
    X86_F_RDTSCP,
    X86_F_LM,
    X86_F_LAHF64,
    X86_F_LZCNT,
    X86_F_PREFETCHW,
    X86_F_INVTSC,
    X86_F_WBNOINVD,
    X86_F_CMP_LEGACY,
    X86_F_CR8_LEGACY,
    X86_F_MMXEXT,
    X86_F_VMCALL, /* no CPUID bit: the hypercall instructions reach the embedder */
    X86_F_COUNT
};

struct x86_features {
    uint64_t w[2];
};

_Static_assert(X86_F_COUNT <= 128, "struct x86_features holds 128 bits");

static inline bool x86_feature_has(const struct x86_features *f, unsigned bit)
{
    return (f->w[bit >> 6] >> (bit & 63) & 1) != 0;
}

static inline void x86_feature_set(struct x86_features *f, unsigned bit, bool on)
{
    uint64_t m = UINT64_C(1) << (bit & 63);
    f->w[bit >> 6] = on ? f->w[bit >> 6] | m : f->w[bit >> 6] & ~m;
}

/*
 * All features the executor implements, less those it borrows from the host's own instructions when the host lacks
 * them. Some work through the embedder, who masks those it does not serve: APIC, X2APIC, TSC_DEADLINE, TSC_ADJUST,
 * ARAT, MTRR, MCE, MCA, INVTSC, HYPERVISOR, VMCALL. Pure but for CPUID on the host; any thread.
 */
struct x86_features x86_features_supported(void);

/*
 * Make a feature set consistent: a feature whose prerequisite is off goes off too (SSE2 needs SSE, XSAVEC needs XSAVE,
 * ...). Changes *f in place.
 */
void x86_features_close(struct x86_features *f);

struct x86_cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

/* What the CPUID values depend on besides the features. */
struct x86_cpuid_info {
    const struct x86_features *features;
    char vendor[12];       /* "GenuineIntel" or "AuthenticAMD", no NUL */
    uint32_t signature;    /* leaf 1 EAX: family, model, stepping */
    uint32_t apic_id;      /* of this VP */
    uint32_t vp_count;     /* VPs in the partition, 1 and up */
    uint8_t phys_bits;     /* width of a guest physical address, 36 to 52 */
    bool osxsave, apic_on; /* run-time bits of leaf 1 */
    uint64_t xcr0, xss;    /* for the run-time sizes of leaf 0xD */
    uint64_t tsc_hz;       /* 0: leaf 0x15/0x16 not offered */
};

/*
 * The processor's own CPUID leaves (basic and extended; hypervisor leaves belong to the embedder and read as zero
 * here). Unknown basic leaves read zero. Pure; any thread. Source: Intel SDM volume 2, CPUID; AMD APM volume 3,
 * appendix E.
 */
struct x86_cpuid_regs x86_cpuid(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t subleaf);

#endif
