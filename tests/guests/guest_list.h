/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guests and with what they run: one row, one test case, and a second one in single instructions unless no_step.
 */
#ifndef CAISSON_TESTS_GUESTS_GUEST_LIST_H
#define CAISSON_TESTS_GUESTS_GUEST_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/x86/feature.h"

#define GUEST_VPS_MAX     4
#define GUEST_WITHOUT_MAX 4

struct guest {
    const char *name;  /* of the case */
    const char *image; /* tests/guests/<image>.S */
    unsigned vps;      /* 0 is 1 */
    uint32_t param;    /* what PORT_PARAM reads */
    bool intel;        /* else AMD */
    bool shutdown;     /* ends by triple fault */
    bool no_step;
    uint8_t without[GUEST_WITHOUT_MAX]; /* enum x86_feature; X86_F_ALWAYS: none */
};

struct guest_case {
    const struct guest *guest;
    unsigned vps;
    uint32_t param;
    bool step; /* one instruction for each call of x86_cpu_run */
    char name[96];
};

/* image: the guest's file; case: what distinguishes this row from others with the same guest. */
#define GUEST(image_, case_, ...)                                                                                      \
    {                                                                                                                  \
        .name = image_ case_, .image = image_, __VA_ARGS__                                                             \
    }

static inline const struct guest *guest_list(void)
{
    /* clang-format off */
    static const struct guest list[] = {
        GUEST("mode_legacy", "", .vps = 1),
        GUEST("mode_long", "", .vps = 1),
        GUEST("seg_faults", "", .vps = 1),
        GUEST("stack_wrap", "", .vps = 1),
        GUEST("big_real", "", .vps = 1),
        GUEST("paging_legacy", "", .vps = 1),
        GUEST("paging_pae", "", .vps = 1),
        GUEST("paging_long", "", .vps = 1),
        GUEST("paging_long", " without 1 GiB pages", .without = {X86_F_PDPE1GB}),
        GUEST("canonical", "", .vps = 1),
        GUEST("smep_smap", "", .vps = 1),
        GUEST("smep_smap", " masked", .param = 1, .without = {X86_F_SMEP, X86_F_SMAP}),
        GUEST("tlb", "", .vps = 1),
        GUEST("tlb", " keeps PCIDs", .param = 1),
        GUEST("tlb", " without PCID", .param = 2, .without = {X86_F_PCID, X86_F_INVPCID}),
        GUEST("events32", "", .vps = 1),
        GUEST("events64", "", .vps = 1),
        GUEST("callgate32", "", .vps = 1),
        GUEST("callgate64", "", .vps = 1),
        GUEST("syscall", " of AMD", .vps = 1),
        GUEST("syscall", " of Intel", .param = 1, .intel = true),
        GUEST("sysenter", " of AMD", .vps = 1),
        GUEST("sysenter", " of Intel", .param = 1, .intel = true),
        GUEST("double_fault", "", .vps = 1),
        GUEST("triple_fault", "", .shutdown = true),
        GUEST("triple_fault", " in real mode", .param = 1, .shutdown = true),
        GUEST("triple_fault", " in long mode", .param = 2, .shutdown = true),
        GUEST("nmi", "", .vps = 1),
        GUEST("shadow", "", .vps = 1),
        GUEST("shadow32", "", .vps = 1),
        GUEST("single_step", "", .vps = 1),
        GUEST("breakpoints", "", .vps = 1),
        GUEST("features", "", .vps = 1),
        GUEST("features", " without POPCNT, LZCNT, BMI1, SSE4.2",
              .without = {X86_F_POPCNT, X86_F_LZCNT, X86_F_BMI1, X86_F_SSE42}),
        GUEST("features", " without MOVBE, CX16, ADX, RDRAND",
              .without = {X86_F_MOVBE, X86_F_CX16, X86_F_ADX, X86_F_RDRAND}),
        GUEST("features", " without XSAVE, BMI2, RDTSCP, SSSE3",
              .without = {X86_F_XSAVE, X86_F_BMI2, X86_F_RDTSCP, X86_F_SSSE3}),
        GUEST("features", " without SSE3, PREFETCHW, CLFLUSHOPT, RDSEED",
              .without = {X86_F_SSE3, X86_F_PREFETCHW, X86_F_CLFLUSHOPT, X86_F_RDSEED}),
        GUEST("reserved_bits", "", .vps = 1),
        GUEST("reserved_bits", " of Intel", .param = 1, .intel = true),
        GUEST("descriptors", "", .vps = 1),
        GUEST("descriptors", " without UMIP", .without = {X86_F_UMIP}),
        GUEST("io_bitmap", "", .vps = 1),
        GUEST("fpu_faults", "", .vps = 1),
        GUEST("fpu_faults", " without XSAVE", .without = {X86_F_XSAVE}),
        GUEST("alignment", "", .vps = 1),
        GUEST("mmio", "", .vps = 1),
        GUEST("smc", "", .vps = 1),
        GUEST("smc_legacy", "", .vps = 1),
        GUEST("smc_smp", "", .vps = 2),
        GUEST("smp_atomic", " by 2", .vps = 2, .param = 2),
        GUEST("smp_atomic", " by 4", .vps = 4, .param = 4),
        GUEST("smp_pages", "", .vps = 2),
        GUEST("smp_order", "", .vps = 2),
        GUEST("smp_wake", "", .vps = 2),
        {.name = NULL}};
    /* clang-format on */
    return list;
}

#endif
