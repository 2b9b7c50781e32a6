/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/x86/feature.h"

static struct x86_cpuid_info info_of(const struct x86_features *f, const char *vendor, uint32_t vps)
{
    struct x86_cpuid_info i = {.features = f, .signature = 0xa20f12, .apic_id = 3, .vp_count = vps, .phys_bits = 40};
    memcpy(i.vendor, vendor, sizeof(i.vendor));
    i.apic_on = true;
    i.xcr0 = 1;
    return i;
}

static struct x86_features supported(void)
{
    return x86_features_supported();
}

static void place_only_features_are_never_offered(void **state)
{
    (void)state;
    static const uint8_t never[] = {X86_F_AVX, X86_F_AVX2, X86_F_FMA,  X86_F_F16C,     X86_F_AES,
                                    X86_F_SHA, X86_F_PKU,  X86_F_LA57, X86_F_PCLMULQDQ};
    struct x86_features f = supported();
    for (size_t i = 0; i < sizeof(never); i++)
        assert_false(x86_feature_has(&f, never[i]));
}

static void x86_64_v2_is_offered(void **state)
{
    (void)state;
    static const uint8_t v2[] = {X86_F_CMOV, X86_F_CX8,  X86_F_FPU,   X86_F_FXSR,   X86_F_MMX,    X86_F_SYSCALL,
                                 X86_F_SSE,  X86_F_SSE2, X86_F_CX16,  X86_F_LAHF64, X86_F_POPCNT, X86_F_SSE3,
                                 X86_F_LM,   X86_F_NX,   X86_F_SSSE3, X86_F_SSE41,  X86_F_SSE42};
    struct x86_features f = supported();
    for (size_t i = 0; i < sizeof(v2); i++)
        assert_true(x86_feature_has(&f, v2[i]));
}

static void closing_twice_changes_nothing_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < X86_F_COUNT; i++) {
        struct x86_features f = supported(), g;
        x86_feature_set(&f, i, false);
        x86_features_close(&f);
        g = f;
        x86_features_close(&g);
        assert_memory_equal(&f, &g, sizeof(f));
    }
}

static void masking_sse_takes_what_stands_on_it(void **state)
{
    (void)state;
    struct x86_features f = supported();
    x86_feature_set(&f, X86_F_SSE, false);
    x86_features_close(&f);
    assert_false(x86_feature_has(&f, X86_F_SSE2));
    assert_false(x86_feature_has(&f, X86_F_SSE42));
    assert_false(x86_feature_has(&f, X86_F_LM));
    assert_false(x86_feature_has(&f, X86_F_PCID));
    assert_true(x86_feature_has(&f, X86_F_MMX));
}

static void masking_xsave_takes_its_family(void **state)
{
    (void)state;
    struct x86_features f = supported();
    x86_feature_set(&f, X86_F_XSAVE, false);
    x86_features_close(&f);
    assert_false(x86_feature_has(&f, X86_F_XSAVEOPT));
    assert_false(x86_feature_has(&f, X86_F_XSAVES));
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    assert_int_equal(x86_cpuid(&i, 0xd, 0).eax, 0);
    assert_int_equal(x86_cpuid(&i, 0xd, 1).eax, 0);
}

static void leaf_0_names_the_vendor(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    struct x86_cpuid_regs r = x86_cpuid(&i, 0, 0);
    assert_int_equal(r.ebx, 0x68747541);
    assert_int_equal(r.edx, 0x69746e65);
    assert_int_equal(r.ecx, 0x444d4163);
    assert_int_equal(x86_cpuid(&i, 0x80000000, 0).ebx, 0x68747541);
    i = info_of(&f, "GenuineIntel", 1);
    assert_int_equal(x86_cpuid(&i, 0, 0).ebx, 0x756e6547);
    assert_int_equal(x86_cpuid(&i, 0x80000000, 0).eax, 0x80000008);
}

/* Every bit on its place: masking one feature must clear exactly its bit and those of what needs it. */
static void masked_features_have_no_bit(void **state)
{
    (void)state;
    static const struct {
        uint32_t leaf, reg, bit, feature;
    } at[] = {
        {1, 2, 12, X86_F_FMA},
        {1, 2, 13, X86_F_CX16},
        {1, 2, 22, X86_F_MOVBE},
        {1, 2, 23, X86_F_POPCNT},
        {1, 3, 25, X86_F_SSE},
        {1, 3, 15, X86_F_CMOV},
        {7, 1, 0, X86_F_FSGSBASE},
        {7, 1, 3, X86_F_BMI1},
        {7, 1, 7, X86_F_SMEP},
        {7, 1, 20, X86_F_SMAP},
        {7, 1, 10, X86_F_INVPCID},
        {7, 2, 2, X86_F_UMIP},
        {7, 2, 22, X86_F_RDPID},
        {7, 3, 4, X86_F_FSRM},
        {0x80000001, 3, 20, X86_F_NX},
        {0x80000001, 3, 27, X86_F_RDTSCP},
        {0x80000001, 3, 29, X86_F_LM},
        {0x80000001, 2, 5, X86_F_LZCNT},
        {0x80000007, 3, 8, X86_F_INVTSC},
        {6, 0, 2, X86_F_ARAT},
    };
    for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
        struct x86_features f = supported();
        for (unsigned on = 0; on < 2; on++) {
            x86_feature_set(&f, at[k].feature, on != 0);
            struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 2);
            struct x86_cpuid_regs r = x86_cpuid(&i, at[k].leaf, 0);
            const uint32_t v[4] = {r.eax, r.ebx, r.ecx, r.edx};
            assert_int_equal(v[at[k].reg] >> at[k].bit & 1, on);
        }
    }
}

static void run_time_bits_follow_the_registers(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    assert_int_equal(x86_cpuid(&i, 1, 0).ecx >> 27 & 1, 0);
    assert_int_equal(x86_cpuid(&i, 1, 0).edx >> 9 & 1, 1);
    i.osxsave = true;
    i.apic_on = false;
    assert_int_equal(x86_cpuid(&i, 1, 0).ecx >> 27 & 1, 1);
    assert_int_equal(x86_cpuid(&i, 1, 0).edx >> 9 & 1, 0);
}

static void xsave_sizes_are_those_of_x87_and_sse(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    i.xcr0 = 3;
    struct x86_cpuid_regs r = x86_cpuid(&i, 0xd, 0);
    assert_int_equal(r.eax, 3);
    assert_int_equal(r.ebx, 576);
    assert_int_equal(r.ecx, 576);
    assert_int_equal(x86_cpuid(&i, 0xd, 1).ebx, 576);
    assert_int_equal(x86_cpuid(&i, 0xd, 2).eax, 0);
}

static void topology_counts_the_processors(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "GenuineIntel", 6);
    assert_int_equal(x86_cpuid(&i, 0xb, 0).ecx, 0x100);
    struct x86_cpuid_regs r = x86_cpuid(&i, 0xb, 1);
    assert_int_equal(r.eax, 3);
    assert_int_equal(r.ebx, 6);
    assert_int_equal(r.ecx, 0x201);
    assert_int_equal(r.edx, 3);
    assert_int_equal(x86_cpuid(&i, 0x1f, 1).ebx, 6);
    assert_int_equal(x86_cpuid(&i, 0xb, 2).ebx, 0);
    assert_int_equal(x86_cpuid(&i, 0xb, 2).ecx, 2);
    assert_int_equal(x86_cpuid(&i, 1, 0).ebx >> 16, 3 << 8 | 8);
    i = info_of(&f, "AuthenticAMD", 6);
    assert_int_equal(x86_cpuid(&i, 0x80000008, 0).ecx, 3u << 12 | 5);
    assert_int_equal(x86_cpuid(&i, 0x8000001e, 0).eax, 3);
    assert_int_equal(x86_cpuid(&i, 0x8000001e, 0).ebx, 3);
}

static void a_single_processor_has_no_htt(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    assert_int_equal(x86_cpuid(&i, 1, 0).edx >> 28 & 1, 0);
    assert_int_equal(x86_cpuid(&i, 0x80000001, 0).ecx >> 1 & 1, 0);
    i.vp_count = 2;
    assert_int_equal(x86_cpuid(&i, 1, 0).edx >> 28 & 1, 1);
}

static void caches_are_in_the_vendors_leaf(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info amd = info_of(&f, "AuthenticAMD", 4), intel = info_of(&f, "GenuineIntel", 4);
    assert_int_equal(x86_cpuid(&amd, 4, 0).eax, 0);
    assert_int_equal(x86_cpuid(&intel, 4, 0).eax & 0xff, 0x21);
    assert_int_equal(x86_cpuid(&amd, 0x8000001d, 3).eax & 0xff, 0x63);
    assert_int_equal(x86_cpuid(&intel, 4, 3).eax >> 14 & 0xfff, 3);
    assert_int_equal(x86_cpuid(&intel, 4, 4).eax, 0);
}

static void brand_string_is_ours(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "GenuineIntel", 1);
    char s[49] = {0};
    for (uint32_t k = 0; k < 3; k++) {
        struct x86_cpuid_regs r = x86_cpuid(&i, 0x80000002 + k, 0);
        memcpy(s + 16 * k, &r, 16);
    }
    assert_string_equal(s, "caisson virtual processor");
}

static void tsc_frequency_is_exact(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "GenuineIntel", 1);
    assert_int_equal(x86_cpuid(&i, 0x15, 0).ecx, 0);
    i.tsc_hz = 5000000000;
    struct x86_cpuid_regs r = x86_cpuid(&i, 0x15, 0);
    assert_int_equal((uint64_t)r.ecx * r.ebx / r.eax, 5000000000);
    assert_int_equal(x86_cpuid(&i, 0x16, 0).eax, 5000);
}

static void address_sizes_follow_the_configuration(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "GenuineIntel", 1);
    assert_int_equal(x86_cpuid(&i, 0x80000008, 0).eax, 48u << 8 | 40);
}

static void unknown_leaves_read_zero(void **state)
{
    (void)state;
    static const uint32_t leaves[] = {3, 8, 0xc, 0x20, 0x3fffffff, 0x40000000, 0x4fffffff, 0x80000022, 0xffffffff};
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    for (size_t k = 0; k < sizeof(leaves) / sizeof(leaves[0]); k++) {
        struct x86_cpuid_regs r = x86_cpuid(&i, leaves[k], 0);
        assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
}

static void amd_repeats_leaf_1_in_its_extended_leaf(void **state)
{
    (void)state;
    struct x86_features f = supported();
    struct x86_cpuid_info i = info_of(&f, "AuthenticAMD", 1);
    uint32_t basic = x86_cpuid(&i, 1, 0).edx, ext = x86_cpuid(&i, 0x80000001, 0).edx;
    assert_int_equal(ext & 0x0183f3ff, basic & 0x0183f3ff);
    assert_int_equal(x86_cpuid(&i, 0x80000001, 0).eax, 0xa20f12);
    i = info_of(&f, "GenuineIntel", 1);
    assert_int_equal(x86_cpuid(&i, 0x80000001, 0).edx & 0x0183f3ff, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_only_features_are_never_offered),
        cmocka_unit_test(x86_64_v2_is_offered),
        cmocka_unit_test(closing_twice_changes_nothing_more),
        cmocka_unit_test(masking_sse_takes_what_stands_on_it),
        cmocka_unit_test(masking_xsave_takes_its_family),
        cmocka_unit_test(leaf_0_names_the_vendor),
        cmocka_unit_test(masked_features_have_no_bit),
        cmocka_unit_test(run_time_bits_follow_the_registers),
        cmocka_unit_test(xsave_sizes_are_those_of_x87_and_sse),
        cmocka_unit_test(topology_counts_the_processors),
        cmocka_unit_test(a_single_processor_has_no_htt),
        cmocka_unit_test(caches_are_in_the_vendors_leaf),
        cmocka_unit_test(brand_string_is_ours),
        cmocka_unit_test(tsc_frequency_is_exact),
        cmocka_unit_test(address_sizes_follow_the_configuration),
        cmocka_unit_test(unknown_leaves_read_zero),
        cmocka_unit_test(amd_repeats_leaf_1_in_its_extended_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
