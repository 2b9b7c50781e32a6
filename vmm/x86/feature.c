/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Which features there are, what they need, and where CPUID shows them.
 */
#include "vmm/x86/feature.h"

#include <cpuid.h>
#include <stddef.h>

enum { EAX, EBX, ECX, EDX };

/* Where a feature stands in CPUID: leaf (of subleaf `sub`), register, bit. */
struct place {
    uint32_t leaf;
    uint8_t sub, reg, bit, feature;
};

/* clang-format off */
static const struct place places[] = {
    {1, 0, EDX, 0, X86_F_FPU},
    {1, 0, EDX, 2, X86_F_DE},
    {1, 0, EDX, 3, X86_F_PSE},
    {1, 0, EDX, 4, X86_F_TSC},
    {1, 0, EDX, 5, X86_F_MSR},
    {1, 0, EDX, 6, X86_F_PAE},
    {1, 0, EDX, 7, X86_F_MCE},
    {1, 0, EDX, 8, X86_F_CX8},
    {1, 0, EDX, 9, X86_F_APIC},
    {1, 0, EDX, 11, X86_F_SEP},
    {1, 0, EDX, 12, X86_F_MTRR},
    {1, 0, EDX, 13, X86_F_PGE},
    {1, 0, EDX, 14, X86_F_MCA},
    {1, 0, EDX, 15, X86_F_CMOV},
    {1, 0, EDX, 16, X86_F_PAT},
    {1, 0, EDX, 17, X86_F_PSE36},
    {1, 0, EDX, 19, X86_F_CLFSH},
    {1, 0, EDX, 23, X86_F_MMX},
    {1, 0, EDX, 24, X86_F_FXSR},
    {1, 0, EDX, 25, X86_F_SSE},
    {1, 0, EDX, 26, X86_F_SSE2},
    {1, 0, EDX, 28, X86_F_HTT},
    {1, 0, ECX, 0, X86_F_SSE3},
    {1, 0, ECX, 1, X86_F_PCLMULQDQ},
    {1, 0, ECX, 3, X86_F_MONITOR},
    {1, 0, ECX, 9, X86_F_SSSE3},
    {1, 0, ECX, 12, X86_F_FMA},
    {1, 0, ECX, 13, X86_F_CX16},
    {1, 0, ECX, 17, X86_F_PCID},
    {1, 0, ECX, 19, X86_F_SSE41},
    {1, 0, ECX, 20, X86_F_SSE42},
    {1, 0, ECX, 21, X86_F_X2APIC},
    {1, 0, ECX, 22, X86_F_MOVBE},
    {1, 0, ECX, 23, X86_F_POPCNT},
    {1, 0, ECX, 24, X86_F_TSC_DEADLINE},
    {1, 0, ECX, 25, X86_F_AES},
    {1, 0, ECX, 26, X86_F_XSAVE},
    {1, 0, ECX, 28, X86_F_AVX},
    {1, 0, ECX, 29, X86_F_F16C},
    {1, 0, ECX, 30, X86_F_RDRAND},
    {1, 0, ECX, 31, X86_F_HYPERVISOR},
    {6, 0, EAX, 2, X86_F_ARAT},
    {7, 0, EBX, 0, X86_F_FSGSBASE},
    {7, 0, EBX, 1, X86_F_TSC_ADJUST},
    {7, 0, EBX, 3, X86_F_BMI1},
    {7, 0, EBX, 5, X86_F_AVX2},
    {7, 0, EBX, 7, X86_F_SMEP},
    {7, 0, EBX, 8, X86_F_BMI2},
    {7, 0, EBX, 9, X86_F_ERMS},
    {7, 0, EBX, 10, X86_F_INVPCID},
    {7, 0, EBX, 18, X86_F_RDSEED},
    {7, 0, EBX, 19, X86_F_ADX},
    {7, 0, EBX, 20, X86_F_SMAP},
    {7, 0, EBX, 23, X86_F_CLFLUSHOPT},
    {7, 0, EBX, 24, X86_F_CLWB},
    {7, 0, EBX, 29, X86_F_SHA},
    {7, 0, ECX, 2, X86_F_UMIP},
    {7, 0, ECX, 3, X86_F_PKU},
    {7, 0, ECX, 16, X86_F_LA57},
    {7, 0, ECX, 22, X86_F_RDPID},
    {7, 0, EDX, 4, X86_F_FSRM},
    {7, 0, EDX, 14, X86_F_SERIALIZE},
    {13, 1, EAX, 0, X86_F_XSAVEOPT},
    {13, 1, EAX, 1, X86_F_XSAVEC},
    {13, 1, EAX, 2, X86_F_XGETBV1},
    {13, 1, EAX, 3, X86_F_XSAVES},
    {0x80000001, 0, EDX, 11, X86_F_SYSCALL},
    {0x80000001, 0, EDX, 20, X86_F_NX},
    {0x80000001, 0, EDX, 26, X86_F_PDPE1GB},
    {0x80000001, 0, EDX, 27, X86_F_RDTSCP},
    {0x80000001, 0, EDX, 29, X86_F_LM},
    {0x80000001, 0, ECX, 0, X86_F_LAHF64},
    {0x80000001, 0, ECX, 5, X86_F_LZCNT},
    {0x80000001, 0, ECX, 8, X86_F_PREFETCHW},
    {0x80000007, 0, EDX, 8, X86_F_INVTSC},
    {0x80000008, 0, EBX, 9, X86_F_WBNOINVD},
};

/* These exist in AMD's leaves only. */
static const struct place places_amd[] = {
    {0x80000001, 0, EDX, 22, X86_F_MMXEXT},
    {0x80000001, 0, ECX, 1, X86_F_CMP_LEGACY},
    {0x80000001, 0, ECX, 4, X86_F_CR8_LEGACY},
};

/*
 * What a feature needs. In an order in which one pass settles all: whatever a line needs was judged on lines above it.
 */
static const struct { uint8_t feature, needs; } prerequisites[] = {
    {X86_F_MMX, X86_F_FPU},
    {X86_F_MMXEXT, X86_F_MMX},
    {X86_F_FXSR, X86_F_FPU},
    {X86_F_SSE, X86_F_FXSR},
    {X86_F_SSE, X86_F_MMX},
    {X86_F_SSE2, X86_F_SSE},
    {X86_F_SSE3, X86_F_SSE2},
    {X86_F_SSSE3, X86_F_SSE3},
    {X86_F_SSE41, X86_F_SSSE3},
    {X86_F_SSE42, X86_F_SSE41},
    {X86_F_AES, X86_F_SSE2},
    {X86_F_PCLMULQDQ, X86_F_SSE2},
    {X86_F_SHA, X86_F_SSSE3},
    {X86_F_XSAVE, X86_F_FXSR},
    {X86_F_XSAVEOPT, X86_F_XSAVE},
    {X86_F_XSAVEC, X86_F_XSAVE},
    {X86_F_XGETBV1, X86_F_XSAVE},
    {X86_F_XSAVES, X86_F_XSAVEC},
    {X86_F_AVX, X86_F_XSAVE},
    {X86_F_AVX, X86_F_SSE42},
    {X86_F_FMA, X86_F_AVX},
    {X86_F_F16C, X86_F_AVX},
    {X86_F_AVX2, X86_F_AVX},
    {X86_F_CX16, X86_F_CX8},
    {X86_F_PSE36, X86_F_PSE},
    {X86_F_SEP, X86_F_MSR},
    {X86_F_MTRR, X86_F_MSR},
    {X86_F_MCA, X86_F_MCE},
    {X86_F_MCA, X86_F_MSR},
    {X86_F_PAT, X86_F_MSR},
    {X86_F_APIC, X86_F_MSR},
    {X86_F_X2APIC, X86_F_APIC},
    {X86_F_ARAT, X86_F_APIC},
    {X86_F_TSC_DEADLINE, X86_F_APIC},
    {X86_F_TSC_DEADLINE, X86_F_TSC},
    {X86_F_TSC_ADJUST, X86_F_TSC},
    {X86_F_TSC_ADJUST, X86_F_MSR},
    {X86_F_INVTSC, X86_F_TSC},
    {X86_F_RDTSCP, X86_F_TSC},
    {X86_F_RDTSCP, X86_F_MSR},
    {X86_F_SYSCALL, X86_F_MSR},
    {X86_F_PAE, X86_F_CX8},
    {X86_F_NX, X86_F_PAE},
    {X86_F_NX, X86_F_MSR},
    {X86_F_LM, X86_F_PAE},
    {X86_F_LM, X86_F_PGE},
    {X86_F_LM, X86_F_SYSCALL},
    {X86_F_LM, X86_F_SSE2},
    {X86_F_LM, X86_F_CMOV},
    {X86_F_LAHF64, X86_F_LM},
    {X86_F_CR8_LEGACY, X86_F_LM},
    {X86_F_PDPE1GB, X86_F_LM},
    {X86_F_FSGSBASE, X86_F_LM},
    {X86_F_PCID, X86_F_LM},
    {X86_F_LA57, X86_F_LM},
    {X86_F_PKU, X86_F_LM},
    {X86_F_CLFLUSHOPT, X86_F_CLFSH},
    {X86_F_CLWB, X86_F_CLFSH},
};

/* Known to the decoder's tables, without an executor: never offered. */
static const uint8_t place_only[] = {
    X86_F_PCLMULQDQ, X86_F_FMA, X86_F_AES, X86_F_AVX, X86_F_F16C, X86_F_AVX2, X86_F_SHA, X86_F_PKU, X86_F_LA57,
};

/* Executed by the host's instruction of the same name. Every x86-64 host has FPU, MMX, SSE, SSE2. */
static const uint8_t borrowed[] = {
    X86_F_CX16, X86_F_SSE3, X86_F_SSSE3, X86_F_SSE41, X86_F_SSE42, X86_F_RDRAND, X86_F_RDSEED,
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t reg_of(const struct x86_cpuid_regs *r, unsigned n)
{
    const uint32_t v[4] = {r->eax, r->ebx, r->ecx, r->edx};
    return v[n];
}

static const struct place *place_of(unsigned feature)
{
    for (size_t i = 0; i < COUNT(places); i++)
        if (places[i].feature == feature)
            return &places[i];
    return NULL;
}

/* __get_cpuid_count knows the host's highest leaf. */
static bool host_has(unsigned feature)
{
    const struct place *p = place_of(feature);
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    if (p == NULL || !__get_cpuid_count(p->leaf, p->sub, &r.eax, &r.ebx, &r.ecx, &r.edx))
        return false;
    return (reg_of(&r, p->reg) >> p->bit & 1) != 0;
}

void x86_features_close(struct x86_features *f)
{
    x86_feature_set(f, X86_F_ALWAYS, true);
    for (size_t i = 0; i < COUNT(prerequisites); i++)
        if (!x86_feature_has(f, prerequisites[i].needs))
            x86_feature_set(f, prerequisites[i].feature, false);
}

struct x86_features x86_features_supported(void)
{
    struct x86_features f = {{0, 0}};
    for (unsigned i = 0; i < X86_F_COUNT; i++)
        x86_feature_set(&f, i, true);
    for (size_t i = 0; i < COUNT(place_only); i++)
        x86_feature_set(&f, place_only[i], false);
    for (size_t i = 0; i < COUNT(borrowed); i++)
        if (!host_has(borrowed[i]))
            x86_feature_set(&f, borrowed[i], false);
    x86_features_close(&f);
    return f;
}

/* ---- CPUID ---- */

static bool is_amd(const struct x86_cpuid_info *info)
{
    return info->vendor[0] == 'A';
}

/* Feature bits of one register of one leaf. */
static uint32_t feature_bits(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t sub, unsigned reg)
{
    uint32_t v = 0;
    for (size_t i = 0; i < COUNT(places); i++) {
        const struct place *p = &places[i];
        if (p->leaf == leaf && p->sub == sub && p->reg == reg && x86_feature_has(info->features, p->feature))
            v |= 1u << p->bit;
    }
    for (size_t i = 0; is_amd(info) && i < COUNT(places_amd); i++) {
        const struct place *p = &places_amd[i];
        if (p->leaf == leaf && p->sub == sub && p->reg == reg && x86_feature_has(info->features, p->feature))
            v |= 1u << p->bit;
    }
    return v;
}

static bool has(const struct x86_cpuid_info *info, unsigned feature)
{
    return x86_feature_has(info->features, feature);
}

/* Bits that number `count` things. */
static unsigned bits_for(uint32_t count)
{
    return count <= 1 ? 0 : 32u - (unsigned)__builtin_clz(count - 1);
}

static uint32_t load32(const char *s)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++)
        v |= (uint32_t)(unsigned char)s[i] << (8 * i);
    return v;
}

static uint32_t max_basic(const struct x86_cpuid_info *info)
{
    if (!is_amd(info))
        return 0x1f;
    return info->tsc_hz != 0 ? 0x16 : 0xd;
}

static struct x86_cpuid_regs leaf_vendor(const struct x86_cpuid_info *info, uint32_t max)
{
    const char *v = info->vendor;
    return (struct x86_cpuid_regs){.eax = max, .ebx = load32(v), .edx = load32(v + 4), .ecx = load32(v + 8)};
}

static struct x86_cpuid_regs leaf_1(const struct x86_cpuid_info *info)
{
    uint32_t count = 1u << bits_for(info->vp_count);
    struct x86_cpuid_regs r = {.eax = info->signature, .ebx = (info->apic_id & 0xff) << 24};
    r.ecx = feature_bits(info, 1, 0, ECX);
    r.edx = feature_bits(info, 1, 0, EDX);
    if (has(info, X86_F_CLFSH))
        r.ebx |= 8u << 8;
    if (info->vp_count > 1)
        r.ebx |= (count > 255 ? 255 : count) << 16;
    else
        r.edx &= ~(1u << 28);
    if (!info->apic_on)
        r.edx &= ~(1u << 9);
    if (info->osxsave)
        r.ecx |= 1u << 27;
    return r;
}

/* Caches: parameters no guest depends on, shaped as a common server part. */
struct cache {
    uint8_t type, level; /* type 1 data, 2 instruction, 3 unified */
    bool shared;         /* by all VPs */
    uint16_t ways;
    uint32_t sets;
    uint32_t edx;
};

static const struct cache caches[] = {
    {1, 1, false, 8, 64, 0},
    {2, 1, false, 8, 64, 0},
    {3, 2, false, 16, 1024, 2}, /* holds what L1 holds */
    {3, 3, true, 16, 32768, 1}, /* WBINVD need not reach lower levels of other VPs */
};

static struct x86_cpuid_regs leaf_cache(const struct x86_cpuid_info *info, uint32_t sub)
{
    if (sub >= COUNT(caches))
        return (struct x86_cpuid_regs){0, 0, 0, 0};
    const struct cache *k = &caches[sub];
    uint32_t ids = (1u << bits_for(info->vp_count)) - 1;
    struct x86_cpuid_regs r = {.eax = k->type | (uint32_t)k->level << 5 | 1u << 8, .ecx = k->sets - 1, .edx = k->edx};
    if (k->shared)
        r.eax |= (ids > 0xfff ? 0xfff : ids) << 14;
    if (!is_amd(info))
        r.eax |= (ids > 0x3f ? 0x3f : ids) << 26;
    r.ebx = 63 | (uint32_t)(k->ways - 1) << 22;
    return r;
}

/* Leaves 0xB and 0x1F: one thread per core, all cores in one package. */
static struct x86_cpuid_regs leaf_topology(const struct x86_cpuid_info *info, uint32_t sub)
{
    struct x86_cpuid_regs r = {.ecx = sub & 0xff, .edx = info->apic_id};
    if (sub == 0) {
        r.ebx = 1;
        r.ecx |= 1u << 8;
    } else if (sub == 1) {
        r.eax = bits_for(info->vp_count);
        r.ebx = info->vp_count & 0xffff;
        r.ecx |= 2u << 8;
    }
    return r;
}

/* State components: x87 and SSE live in the first 576 bytes, AVX has 256 behind them. */
#define XSAVE_BASE 576u
#define XSAVE_AVX  256u

static uint32_t xsave_size(uint64_t components)
{
    return XSAVE_BASE + (components & 4 ? XSAVE_AVX : 0);
}

static struct x86_cpuid_regs leaf_xsave(const struct x86_cpuid_info *info, uint32_t sub)
{
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    uint32_t all = has(info, X86_F_AVX) ? 7 : 3;
    if (!has(info, X86_F_XSAVE))
        return r;
    if (sub == 0) {
        r.eax = all;
        r.ebx = xsave_size(info->xcr0);
        r.ecx = xsave_size(all);
    } else if (sub == 1) {
        r.eax = feature_bits(info, 13, 1, EAX);
        if (has(info, X86_F_XSAVEC))
            r.ebx = xsave_size(info->xcr0 | info->xss);
    } else if (sub == 2 && (all & 4)) {
        r.eax = XSAVE_AVX;
        r.ebx = XSAVE_BASE;
    }
    return r;
}

/* TSC frequency = ECX * EBX / EAX. The "crystal" is the TSC itself, halved while it does not fit. */
static struct x86_cpuid_regs leaf_tsc(const struct x86_cpuid_info *info)
{
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    if (info->tsc_hz == 0)
        return r;
    r.eax = r.ebx = 1;
    uint64_t hz = info->tsc_hz;
    for (; hz > UINT32_MAX; hz >>= 1)
        r.ebx <<= 1;
    r.ecx = (uint32_t)hz;
    return r;
}

static struct x86_cpuid_regs leaf_mhz(const struct x86_cpuid_info *info)
{
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    if (info->tsc_hz != 0) {
        r.eax = r.ebx = (uint32_t)(info->tsc_hz / 1000000) & 0xffff;
        r.ecx = 100;
    }
    return r;
}

static struct x86_cpuid_regs leaf_7(const struct x86_cpuid_info *info, uint32_t sub)
{
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    r.ebx = feature_bits(info, 7, sub, EBX);
    r.ecx = feature_bits(info, 7, sub, ECX);
    r.edx = feature_bits(info, 7, sub, EDX);
    return r;
}

static struct x86_cpuid_regs basic(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t sub)
{
    bool amd = is_amd(info);
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    switch (leaf) {
    case 0: return leaf_vendor(info, max_basic(info));
    case 1: return leaf_1(info);
    case 2: r.eax = amd ? 0 : 0xff01; break; /* "see leaf 4" */
    case 4: return amd ? r : leaf_cache(info, sub);
    case 5:
        if (has(info, X86_F_MONITOR))
            r = (struct x86_cpuid_regs){.eax = 64, .ebx = 64, .ecx = 3};
        break;
    case 6: r.eax = feature_bits(info, 6, 0, EAX); break;
    case 7: return leaf_7(info, sub);
    case 0xb: return leaf_topology(info, sub);
    case 0xd: return leaf_xsave(info, sub);
    case 0x15: return leaf_tsc(info);
    case 0x16: return leaf_mhz(info);
    case 0x1f: return amd ? r : leaf_topology(info, sub);
    default: break;
    }
    return r;
}

/* ---- Extended leaves ---- */

/* AMD repeats these bits of leaf 1 EDX in its extended leaf. */
#define AMD_REPEATED         0x0183f3ffu
#define AMD_TOPOEXT          (1u << 22)
#define AMD_LFENCE_SERIAL    (1u << 2) /* LFENCE waits for everything before it */
#define AMD_NULL_CLEARS_BASE (1u << 6) /* loading a null selector zeroes base and limit */

static struct x86_cpuid_regs leaf_ext1(const struct x86_cpuid_info *info)
{
    struct x86_cpuid_regs r = {.ecx = feature_bits(info, 0x80000001, 0, ECX),
                               .edx = feature_bits(info, 0x80000001, 0, EDX)};
    if (is_amd(info)) {
        r.eax = info->signature;
        r.ecx |= AMD_TOPOEXT;
        r.edx |= leaf_1(info).edx & AMD_REPEATED;
        if (info->vp_count <= 1)
            r.ecx &= ~2u; /* CMP_LEGACY: leaf 1 counts cores */
    }
    return r;
}

static struct x86_cpuid_regs leaf_brand(unsigned part)
{
    static const char brand[48] = "caisson virtual processor";
    const char *s = brand + 16 * part;
    return (struct x86_cpuid_regs){.eax = load32(s), .ebx = load32(s + 4), .ecx = load32(s + 8), .edx = load32(s + 12)};
}

/* The caches above in AMD's older leaves: sizes in KiB (L3: 512 KiB), associativity, 64-byte lines; TLBs. */
static struct x86_cpuid_regs leaf_amd_l1(void)
{
    return (struct x86_cpuid_regs){.eax = 0xff40ff40, .ebx = 0xff40ff40, .ecx = 0x20080140, .edx = 0x20080140};
}

static struct x86_cpuid_regs leaf_l2(const struct x86_cpuid_info *info)
{
    struct x86_cpuid_regs r = {.ecx = 1024u << 16 | 8u << 12 | 1u << 8 | 64};
    if (is_amd(info)) {
        r.eax = r.ebx = 0x40004000;
        r.edx = 64u << 18 | 8u << 12 | 1u << 8 | 64;
    } else {
        r.ecx &= ~(1u << 8);
    }
    return r;
}

static struct x86_cpuid_regs leaf_sizes(const struct x86_cpuid_info *info)
{
    struct x86_cpuid_regs r = {.eax = info->phys_bits | (has(info, X86_F_LM) ? 48u : 32u) << 8};
    r.ebx = feature_bits(info, 0x80000008, 0, EBX);
    if (is_amd(info)) {
        uint32_t last = info->vp_count == 0 ? 0 : info->vp_count - 1;
        r.ecx = (last > 255 ? 255 : last) | bits_for(info->vp_count) << 12;
    }
    return r;
}

static struct x86_cpuid_regs amd_only(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t sub)
{
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    switch (leaf) {
    case 0x80000005: return leaf_amd_l1();
    case 0x8000001d: return leaf_cache(info, sub);
    case 0x8000001e:
        r.eax = info->apic_id;
        r.ebx = info->apic_id & 0xff;
        break;
    case 0x80000021: r.eax = AMD_LFENCE_SERIAL | AMD_NULL_CLEARS_BASE; break;
    default: break;
    }
    return r;
}

static struct x86_cpuid_regs extended(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t sub)
{
    bool amd = is_amd(info);
    struct x86_cpuid_regs r = {0, 0, 0, 0};
    switch (leaf) {
    case 0x80000000: return amd ? leaf_vendor(info, 0x80000021) : (struct x86_cpuid_regs){.eax = 0x80000008};
    case 0x80000001: return leaf_ext1(info);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: return leaf_brand(leaf - 0x80000002);
    case 0x80000006: return leaf_l2(info);
    case 0x80000007: r.edx = feature_bits(info, leaf, 0, EDX); break;
    case 0x80000008: return leaf_sizes(info);
    default: return amd ? amd_only(info, leaf, sub) : r;
    }
    return r;
}

struct x86_cpuid_regs x86_cpuid(const struct x86_cpuid_info *info, uint32_t leaf, uint32_t subleaf)
{
    if (leaf < 0x40000000)
        return leaf <= max_basic(info) ? basic(info, leaf, subleaf) : (struct x86_cpuid_regs){0, 0, 0, 0};
    return leaf >= 0x80000000 ? extended(info, leaf, subleaf) : (struct x86_cpuid_regs){0, 0, 0, 0};
}
