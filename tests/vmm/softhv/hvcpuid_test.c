/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/hvcpuid.h"

#define QEMU_SYNTHETIC UINT64_C(0x06400ffb)
#define FULL           0xffffffffu

struct world {
    struct softhv_features features;
    struct softhv_cpuid_table partition, vp;
    struct softhv_cpuid_env env;
};

static void start_with(struct world *w, uint64_t synthetic, bool amd)
{
    struct x86_features host = x86_features_supported();
    struct softhv_feature_request r = {.synthetic = synthetic, .lapic = true, .x2apic = true, .amd = amd};
    memset(w, 0, sizeof(*w));
    softhv_features_resolve(&host, &r, &w->features);
    w->env = (struct softhv_cpuid_env){.features = &w->features, .partition = &w->partition, .vp = &w->vp};
    w->env.info = (struct x86_cpuid_info){.signature = 0x806f8, .apic_id = 2, .vp_count = 4, .phys_bits = 40};
    w->env.info.apic_on = true;
    w->env.info.xcr0 = 1;
    w->env.info.tsc_hz = 2500000000;
    w->env.max_vps = 64;
    memcpy(w->env.info.vendor, amd ? "AuthenticAMD" : "GenuineIntel", 12);
}

static void start(struct world *w)
{
    start_with(w, QEMU_SYNTHETIC, false);
}

static struct x86_cpuid_regs ask(struct world *w, uint32_t leaf, uint32_t sub)
{
    return softhv_cpuid(&w->env, leaf, sub);
}

/* As QEMU registers: full masks. */
static void override(struct world *w, uint32_t leaf, uint32_t sub, bool specific, uint32_t value)
{
    struct softhv_cpuid_entry e = {.leaf = leaf, .subleaf = sub, .subleaf_specific = specific, .always_override = true};
    for (unsigned i = 0; i < 4; i++) {
        e.value[i] = value;
        e.mask[i] = FULL;
    }
    assert_int_equal(softhv_cpuid_register(&w->vp, &e), HV_STATUS_SUCCESS);
}

static void is_zero(struct x86_cpuid_regs r)
{
    assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
}

static void a_hyperv_guest_finds_its_hypervisor(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct x86_cpuid_regs r = ask(&w, 0x40000000, 0);
    assert_int_equal(r.eax, 0x4000000c);
    assert_int_equal(r.ebx, 0x7263694d);
    assert_int_equal(r.ecx, 0x666f736f);
    assert_int_equal(r.edx, 0x76482074);
    assert_int_equal(ask(&w, 0x40000001, 0).eax, 0x31237648);
    assert_int_equal(ask(&w, 1, 0).ecx >> 31, 1);
    assert_int_equal(ask(&w, 0x40000002, 0).ebx >> 16, 10);
}

static void features_and_hints_as_asked(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct x86_cpuid_regs r = ask(&w, 0x40000003, 0);
    assert_int_equal(r.eax, 0xe7e | 1u << 15);
    assert_int_equal(r.ebx & 1, 0);
    assert_int_equal(r.edx & (1u << 5 | 1u << 8 | 1u << 10 | 1u << 19), 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19);
    assert_int_equal(r.edx & 1u << 4, 0); /* no XMM input */
    r = ask(&w, 0x40000004, 0);
    assert_int_equal(r.eax, 1u << 2 | 1u << 10);
    assert_int_equal(r.ebx, FULL);
    assert_int_equal(r.ecx, 40);
    assert_int_equal(ask(&w, 0x40000005, 0).eax, 64);
}

static void spin_notification_and_masks_when_offered(void **state)
{
    (void)state;
    struct world w;
    start_with(&w, SOFTHV_SYNTH_SUPPORTED, false);
    struct x86_cpuid_regs r = ask(&w, 0x40000004, 0);
    assert_int_equal(r.eax, 1u << 2 | 1u << 10 | 1u << 11);
    assert_int_not_equal(r.ebx, FULL);
    assert_int_equal(ask(&w, 0x40000003, 0).ebx, 1u << 5);
}

static void unused_hypervisor_leaves_are_zero(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    for (uint32_t leaf = 0x40000006; leaf < 0x40000200; leaf++)
        is_zero(ask(&w, leaf, 0));
    is_zero(ask(&w, 0x4fffffff, 0));
}

static void without_the_features_there_is_no_hypervisor(void **state)
{
    (void)state;
    struct world w;
    start_with(&w, 0, false);
    for (uint32_t leaf = 0x40000000; leaf < 0x40000010; leaf++)
        is_zero(ask(&w, leaf, 0));
    assert_int_equal(ask(&w, 1, 0).ecx >> 31, 0);
    start_with(&w, 1, false);
    assert_int_equal(ask(&w, 0x40000000, 0).eax, 0x40000001);
    is_zero(ask(&w, 0x40000001, 0));
    is_zero(ask(&w, 0x40000003, 0));
}

static void invariant_tsc_appears_when_the_guest_asks(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(ask(&w, 0x80000007, 0).edx, 0);
    w.env.tsc_invariant_shown = true;
    assert_int_equal(ask(&w, 0x80000007, 0).edx, 1u << 8);
    start_with(&w, 0, false); /* nobody to ask: shown */
    assert_int_equal(ask(&w, 0x80000007, 0).edx, 1u << 8);
}

static void immunity_is_shown(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(ask(&w, 7, 0).edx >> 29 & 1, 1);
    start_with(&w, QEMU_SYNTHETIC, true);
    assert_int_equal(ask(&w, 7, 0).edx >> 29 & 1, 0);
    assert_int_equal(ask(&w, 0x80000008, 0).ebx >> 29 & 1, 1);
    assert_int_equal(ask(&w, 0x80000021, 0).eax >> 29 & 1, 1);
}

static void masks_choose_bits(void **state)
{
    (void)state;
    struct world w;
    struct softhv_cpuid_entry e = {.leaf = 1, .value = {0, 0x05000000}, .mask = {0, 0xff000000}};
    start(&w);
    uint32_t before = ask(&w, 1, 0).ebx;
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(ask(&w, 1, 0).ebx, (before & 0xffffff) | 0x05000000);
    assert_int_equal(softhv_cpuid_own(&w.env, 1, 0).ebx, before);
}

static void a_vp_entry_wins_over_the_partitions(void **state)
{
    (void)state;
    struct world w;
    struct softhv_cpuid_entry e = {.leaf = 0x80000002, .value = {1, 1, 1, 1}, .mask = {FULL, FULL, FULL, FULL}};
    start(&w);
    assert_int_equal(softhv_cpuid_register(&w.partition, &e), HV_STATUS_SUCCESS);
    assert_int_equal(ask(&w, 0x80000002, 0).ecx, 1);
    override(&w, 0x80000002, 0, false, 2);
    assert_int_equal(ask(&w, 0x80000002, 0).ecx, 2);
    w.env.vp = NULL;
    assert_int_equal(ask(&w, 0x80000002, 0).ecx, 1);
}

static void a_specific_subleaf_wins_over_the_general_entry(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    override(&w, 0x18, 0, false, 1);
    override(&w, 0x18, 3, true, 2);
    assert_int_equal(ask(&w, 0x18, 0).eax, 1);
    assert_int_equal(ask(&w, 0x18, 3).eax, 2);
    assert_int_equal(ask(&w, 0x18, 4).eax, 1);
}

static void absent_leaves_need_always_override(void **state)
{
    (void)state;
    struct world w;
    struct softhv_cpuid_entry e = {.leaf = 0x18, .value = {7}, .mask = {FULL}};
    start(&w);
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(ask(&w, 0x18, 0).eax, 0);
    e.always_override = true;
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(w.vp.count, 1);
    assert_int_equal(ask(&w, 0x18, 0).eax, 7);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    struct world w;
    struct softhv_cpuid_entry e = {.subleaf_specific = true};
    start(&w);
    for (uint32_t i = 0; i < SOFTHV_CPUID_ENTRIES; i++) {
        e.subleaf = i;
        assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    }
    e.subleaf = SOFTHV_CPUID_ENTRIES;
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_NO_RESOURCES);
    e.subleaf = 5;
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(w.vp.count, SOFTHV_CPUID_ENTRIES);
}

/* Every leaf set to all ones: nothing we cannot do may show. */
static void an_override_cannot_announce_what_is_not_executed(void **state)
{
    (void)state;
    static const struct {
        uint32_t leaf, sub, own[4];
    } leaves[] = {
        {1, 0, {0, 0, FULL, ~(1u << 28 | 1u << 27)}},
        {6, 0, {FULL, FULL, FULL, FULL}},
        {7, 0, {0, FULL, FULL, ~(1u << 10)}},
        {7, 1, {FULL, FULL, FULL, FULL}},
        {0xd, 0, {FULL, FULL, FULL, FULL}},
        {0xd, 1, {FULL, FULL, FULL, FULL}},
        {0xd, 2, {FULL, FULL, FULL, FULL}},
        {0x14, 0, {FULL, FULL, FULL, FULL}},
        {0x15, 0, {FULL, FULL, FULL, FULL}},
        {0x1e, 0, {FULL, FULL, FULL, FULL}},
        {0x80000001, 0, {0, 0, ~(1u << 22 | 2u), FULL}},
        {0x8000000a, 0, {FULL, FULL, FULL, FULL}},
        {0x8000001f, 0, {FULL, FULL, FULL, FULL}},
    };
    struct world w;
    start(&w);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        override(&w, leaves[i].leaf, leaves[i].sub, true, FULL);
        struct x86_cpuid_regs r = ask(&w, leaves[i].leaf, leaves[i].sub);
        struct x86_cpuid_regs own = softhv_cpuid_own(&w.env, leaves[i].leaf, leaves[i].sub);
        assert_int_equal(r.eax & leaves[i].own[0], own.eax & leaves[i].own[0]);
        assert_int_equal(r.ebx & leaves[i].own[1], own.ebx & leaves[i].own[1]);
        assert_int_equal(r.ecx & leaves[i].own[2], own.ecx & leaves[i].own[2]);
        assert_int_equal(r.edx & leaves[i].own[3], own.edx & leaves[i].own[3]);
    }
    override(&w, 0x80000008, 0, false, FULL);
    assert_int_equal(ask(&w, 0x80000008, 0).eax & 0xffff, 48 << 8 | 40);
}

static void an_override_can_clear(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    override(&w, 7, 0, true, 0);
    override(&w, 0x80000007, 0, false, 0);
    is_zero(ask(&w, 7, 0));
    w.env.tsc_invariant_shown = true;
    is_zero(ask(&w, 0x80000007, 0));
}

static void a_smaller_address_width_is_taken(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    override(&w, 0x80000008, 0, false, 36);
    assert_int_equal(ask(&w, 0x80000008, 0).eax & 0xffff, 48 << 8 | 36);
    override(&w, 0x80000008, 0, false, 0);
    assert_int_equal(ask(&w, 0x80000008, 0).eax & 0xffff, 48 << 8 | 40);
}

static void run_time_bits_are_not_frozen(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    override(&w, 1, 0, false, 1u << 26);
    override(&w, 0xd, 0, true, 0);
    assert_int_equal(ask(&w, 1, 0).ecx >> 27 & 1, 0);
    assert_int_equal(ask(&w, 1, 0).edx >> 9 & 1, 1);
    w.env.info.osxsave = true;
    w.env.info.apic_on = false;
    assert_int_equal(ask(&w, 1, 0).ecx >> 27 & 1, 1);
    assert_int_equal(ask(&w, 1, 0).edx >> 9 & 1, 0);
    assert_int_equal(ask(&w, 0xd, 0).ebx, 576);
    override(&w, 1, 0, false, 0);
    assert_int_equal(ask(&w, 1, 0).ecx >> 27 & 1, 0); /* no XSAVE: no OSXSAVE */
}

static void a_query_takes_the_states_it_is_given(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    x86_feature_set(&w.features.x86, X86_F_AVX, true);
    override(&w, 0x18, 0, false, 5);
    assert_int_equal(softhv_cpuid_query(&w.env, SOFTHV_CPUID_VP_STATES, 0xd, 0, 7, 0).ebx, 576);
    assert_int_equal(softhv_cpuid_query(&w.env, 0, 0xd, 0, 7, 0).ebx, 832);
    assert_int_equal(softhv_cpuid_query(&w.env, 0, 0xd, 0, UINT64_MAX, UINT64_MAX).ebx, 832);
    is_zero(softhv_cpuid_query(&w.env, 0, 0x18, 0, 0, 0));
    assert_int_equal(softhv_cpuid_query(&w.env, SOFTHV_CPUID_REGISTERED, 0x18, 0, 0, 0).eax, 5);
}

static void the_vmm_names_the_apic_id(void **state)
{
    (void)state;
    struct world w;
    struct softhv_cpuid_entry e = {.leaf = 1, .value = {0, 6u << 24}, .mask = {0, FULL}};
    start(&w);
    assert_int_equal(softhv_cpuid_apic_id(&w.env), 2);
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_cpuid_apic_id(&w.env), 6);
    override(&w, 0xb, 0, true, 5);
    assert_int_equal(softhv_cpuid_apic_id(&w.env), 5);
    override(&w, 0xb, 0, true, 0); /* a model without topology */
    assert_int_equal(softhv_cpuid_apic_id(&w.env), 6);
}

/* One that says nothing of the id, and one that is for everybody. */
static void other_results_name_no_apic_id(void **state)
{
    (void)state;
    struct world w;
    const struct softhv_cpuid_entry e = {.leaf = 1, .value = {0, 0x08000000}, .mask = {FULL, 0xffff, FULL, FULL}};
    const struct softhv_cpuid_entry all = {.leaf = 1, .value = {0, 6u << 24}, .mask = {0, FULL}};
    start(&w);
    w.env.info.apic_id = 0x102;
    assert_int_equal(softhv_cpuid_register(&w.vp, &e), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_cpuid_register(&w.partition, &all), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_cpuid_apic_id(&w.env), 0x102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hyperv_guest_finds_its_hypervisor),
        cmocka_unit_test(features_and_hints_as_asked),
        cmocka_unit_test(spin_notification_and_masks_when_offered),
        cmocka_unit_test(unused_hypervisor_leaves_are_zero),
        cmocka_unit_test(without_the_features_there_is_no_hypervisor),
        cmocka_unit_test(invariant_tsc_appears_when_the_guest_asks),
        cmocka_unit_test(immunity_is_shown),
        cmocka_unit_test(masks_choose_bits),
        cmocka_unit_test(a_vp_entry_wins_over_the_partitions),
        cmocka_unit_test(a_specific_subleaf_wins_over_the_general_entry),
        cmocka_unit_test(absent_leaves_need_always_override),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(an_override_cannot_announce_what_is_not_executed),
        cmocka_unit_test(an_override_can_clear),
        cmocka_unit_test(a_smaller_address_width_is_taken),
        cmocka_unit_test(run_time_bits_are_not_frozen),
        cmocka_unit_test(a_query_takes_the_states_it_is_given),
        cmocka_unit_test(the_vmm_names_the_apic_id),
        cmocka_unit_test(other_results_name_no_apic_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
