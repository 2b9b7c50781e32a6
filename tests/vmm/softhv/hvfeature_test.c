/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/hvfeature.h"

#define QEMU_SYNTHETIC UINT64_C(0x06400ffb)

static struct softhv_features resolve(const struct softhv_feature_request *r)
{
    struct x86_features host = x86_features_supported();
    struct softhv_features f;
    softhv_features_resolve(&host, r, &f);
    return f;
}

static struct softhv_feature_request plain(void)
{
    return (struct softhv_feature_request){.synthetic = QEMU_SYNTHETIC, .lapic = true, .x2apic = true};
}

static bool bank0(const struct softhv_features *f, unsigned bit)
{
    return (f->banks[0] >> bit & 1) != 0;
}

static void nothing_disabled_gives_all_the_executor_has(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    struct softhv_features f = resolve(&r);
    assert_true(bank0(&f, HV_CPU0_LAHF_SAHF));
    assert_true(bank0(&f, HV_CPU0_PCID));
    assert_true(bank0(&f, HV_CPU0_RDCL_NO));
    assert_true((f.banks[1] & HV_FEATURE(HV_CPU1_TSC_DEADLINE_TIMER)) != 0);
    assert_true((f.xsave & HV_FEATURE(HV_XSAVE_XSAVE)) != 0);
    assert_int_equal(f.xsave & HV_FEATURE(HV_XSAVE_AVX512F), 0);
    assert_int_equal(f.banks[0] >> 63, 0);
}

static void what_is_not_executed_is_not_there(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    struct softhv_features f = resolve(&r);
    assert_false(bank0(&f, HV_CPU0_AES));
    assert_false(bank0(&f, HV_CPU0_SSE4A));
    assert_false(bank0(&f, HV_CPU0_IBRS));
    assert_int_equal(f.banks[1] & HV_FEATURE(HV_CPU1_NESTED_VIRT), 0);
    assert_int_equal(f.xsave & HV_FEATURE(HV_XSAVE_AVX), 0);
}

static void a_disabled_bit_goes_with_what_stands_on_it(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    r.disabled_banks[0] = HV_FEATURE(HV_CPU0_SSSE3);
    struct softhv_features f = resolve(&r);
    assert_false(bank0(&f, HV_CPU0_SSSE3));
    assert_false(bank0(&f, HV_CPU0_SSE4_1));
    assert_false(bank0(&f, HV_CPU0_SSE4_2));
    assert_false(x86_feature_has(&f.x86, X86_F_SSE42));
}

static void everything_can_be_disabled(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    memset(r.disabled_banks, 0xff, sizeof(r.disabled_banks));
    r.disabled_xsave = UINT64_MAX;
    struct softhv_features f = resolve(&r);
    assert_int_equal(f.banks[0], 0);
    assert_int_equal(f.banks[1], 0);
    assert_int_equal(f.xsave, 0);
    assert_int_equal(f.arch_capabilities, 0);
    assert_int_equal(softhv_features_xsave_states(&f), 0);
    assert_true(x86_feature_has(&f.x86, X86_F_SSE2));
}

static void the_complement_of_the_host_round_trips(void **state)
{
    (void)state;
    struct x86_features host = x86_features_supported();
    struct softhv_features self, child;
    softhv_features_host(&host, false, &self);
    struct softhv_feature_request r = plain();
    r.disabled_banks[0] = ~self.banks[0];
    r.disabled_banks[1] = ~self.banks[1];
    child = resolve(&r);
    assert_true(child.banks[0] == self.banks[0]);
    assert_true(child.banks[1] == self.banks[1]);
    assert_true(child.xsave == self.xsave);
}

static void privileges_follow_synthetic_features(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    r.disabled_banks[1] = HV_FEATURE(HV_CPU1_TSC_INVARIANT);
    struct softhv_features f = resolve(&r);
    assert_true(f.privileges == 0xe7e);
    r.disabled_banks[1] = 0;
    f = resolve(&r);
    assert_true(f.privileges == (0xe7e | HV_PRIVILEGE_TSC_INVARIANT));
}

static void no_interface_no_privileges(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    r.privileges = UINT64_MAX;
    r.synthetic = QEMU_SYNTHETIC & ~HV_FEATURE(HV_SYNTHETIC_HV1);
    struct softhv_features f = resolve(&r);
    assert_true(f.privileges == 0);
    assert_true(x86_feature_has(&f.x86, X86_F_HYPERVISOR));
    assert_false(x86_feature_has(&f.x86, X86_F_VMCALL));
    r.synthetic = 0;
    f = resolve(&r);
    assert_false(x86_feature_has(&f.x86, X86_F_HYPERVISOR));
}

static void privilege_flags_add_only_what_is_known(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    r.privileges = UINT64_MAX;
    struct softhv_features f = resolve(&r);
    assert_true((f.privileges & HV_PRIVILEGE_PARTITION_ID) != 0);
    assert_true((f.privileges & HV_PRIVILEGE_CREATE_PARTITIONS) == 0);
    assert_true((f.privileges & HV_PRIVILEGE_VSM) == 0);
}

static void without_local_apic_its_features_go(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    r.lapic = false;
    struct softhv_features f = resolve(&r);
    assert_false(x86_feature_has(&f.x86, X86_F_APIC));
    assert_false(x86_feature_has(&f.x86, X86_F_X2APIC));
    assert_int_equal(f.banks[1] & HV_FEATURE(HV_CPU1_TSC_DEADLINE_TIMER), 0);
    r.lapic = true;
    r.x2apic = false;
    f = resolve(&r);
    assert_true(x86_feature_has(&f.x86, X86_F_APIC));
    assert_false(x86_feature_has(&f.x86, X86_F_X2APIC));
}

static void immunities_differ_by_vendor(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    struct softhv_features f = resolve(&r);
    assert_int_equal(f.arch_capabilities & 1, 1); /* RDCL_NO */
    assert_int_equal(f.banks[1] & HV_FEATURE(HV_CPU1_BTC_NO), 0);
    r.amd = true;
    f = resolve(&r);
    assert_int_equal(f.arch_capabilities, 0);
    assert_true((f.banks[1] & HV_FEATURE(HV_CPU1_BTC_NO)) != 0);
    assert_true(bank0(&f, HV_CPU0_ALTMOVCR8));
}

static void xsave_sizes(void **state)
{
    (void)state;
    struct softhv_feature_request r = plain();
    struct softhv_features f = resolve(&r);
    assert_int_equal(softhv_features_xsave_states(&f), 3);
    assert_int_equal(softhv_features_xsave_bytes(&f), 576);
    x86_feature_set(&f.x86, X86_F_AVX, true);
    assert_int_equal(softhv_features_xsave_states(&f), 7);
    assert_int_equal(softhv_features_xsave_bytes(&f), 832);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_disabled_gives_all_the_executor_has),
        cmocka_unit_test(what_is_not_executed_is_not_there),
        cmocka_unit_test(a_disabled_bit_goes_with_what_stands_on_it),
        cmocka_unit_test(everything_can_be_disabled),
        cmocka_unit_test(the_complement_of_the_host_round_trips),
        cmocka_unit_test(privileges_follow_synthetic_features),
        cmocka_unit_test(no_interface_no_privileges),
        cmocka_unit_test(privilege_flags_add_only_what_is_known),
        cmocka_unit_test(without_local_apic_its_features_go),
        cmocka_unit_test(immunities_differ_by_vendor),
        cmocka_unit_test(xsave_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
