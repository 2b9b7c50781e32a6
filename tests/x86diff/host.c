/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <string.h>

#include "tests/x86diff/soft.h"

enum cpuid_reg { EAX, EBX, ECX, EDX };

/*
 * Where CPUID says that the host has what a user-mode instruction needs. The other features concern the privileged
 * only.
 */
static const struct bit {
    uint8_t feature;
    uint8_t reg;
    uint8_t bit;
    uint32_t leaf, subleaf;
} bits[] = {
    {X86_F_FPU, EDX, 0, 1, 0},
    {X86_F_TSC, EDX, 4, 1, 0},
    {X86_F_CX8, EDX, 8, 1, 0},
    {X86_F_CMOV, EDX, 15, 1, 0},
    {X86_F_CLFSH, EDX, 19, 1, 0},
    {X86_F_MMX, EDX, 23, 1, 0},
    {X86_F_FXSR, EDX, 24, 1, 0},
    {X86_F_SSE, EDX, 25, 1, 0},
    {X86_F_SSE2, EDX, 26, 1, 0},
    {X86_F_SSE3, ECX, 0, 1, 0},
    {X86_F_SSSE3, ECX, 9, 1, 0},
    {X86_F_CX16, ECX, 13, 1, 0},
    {X86_F_SSE41, ECX, 19, 1, 0},
    {X86_F_SSE42, ECX, 20, 1, 0},
    {X86_F_MOVBE, ECX, 22, 1, 0},
    {X86_F_POPCNT, ECX, 23, 1, 0},
    {X86_F_XSAVE, ECX, 27, 1, 0}, /* OSXSAVE */
    {X86_F_RDRAND, ECX, 30, 1, 0},
    {X86_F_FSGSBASE, EBX, 0, 7, 0},
    {X86_F_BMI1, EBX, 3, 7, 0},
    {X86_F_BMI2, EBX, 8, 7, 0},
    {X86_F_RDSEED, EBX, 18, 7, 0},
    {X86_F_ADX, EBX, 19, 7, 0},
    {X86_F_SMAP, EBX, 20, 7, 0},
    {X86_F_CLFLUSHOPT, EBX, 23, 7, 0},
    {X86_F_CLWB, EBX, 24, 7, 0},
    {X86_F_RDPID, ECX, 22, 7, 0},
    {X86_F_SERIALIZE, EDX, 14, 7, 0},
    {X86_F_INVPCID, EBX, 10, 7, 0},
    {X86_F_XSAVEOPT, EAX, 0, 0xd, 1},
    {X86_F_XSAVEC, EAX, 1, 0xd, 1},
    {X86_F_XGETBV1, EAX, 2, 0xd, 1},
    {X86_F_XSAVES, EAX, 3, 0xd, 1},
    {X86_F_LAHF64, ECX, 0, 0x80000001, 0},
    {X86_F_LZCNT, ECX, 5, 0x80000001, 0},
    {X86_F_PREFETCHW, ECX, 8, 0x80000001, 0},
    {X86_F_MMXEXT, EDX, 22, 0x80000001, 0},
    {X86_F_RDTSCP, EDX, 27, 0x80000001, 0},
    {X86_F_WBNOINVD, EBX, 9, 0x80000008, 0},
};

static bool host_has(const struct bit *b)
{
    unsigned r[4] = {0, 0, 0, 0};
    if (!__get_cpuid_count(b->leaf, b->subleaf, &r[0], &r[1], &r[2], &r[3]))
        return false;
    return (r[b->reg] >> b->bit & 1) != 0;
}

struct host host_detect(void)
{
    struct host h = {.features = x86_features_supported()};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (!host_has(&bits[i]))
            x86_feature_set(&h.features, bits[i].feature, false);
    }
    x86_feature_set(&h.features, X86_F_MONITOR, false); /* never at user level */
    x86_feature_set(&h.features, X86_F_VMCALL, false);  /* never executed here */
    x86_features_close(&h.features);
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    h.amd = b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
    h.dec_flags = h.amd ? X86_DEC_AMD : 0;
    return h;
}
