/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers of a VP by name: every name of the ABI, what each kind keeps and refuses, the two hypercalls.
 */
#include "tests/vmm/softhv/regs_rig.h"

static const uint32_t all_names[] = {
#define HV_REGISTER(name, value) name,
#include "vmm/mshv/abi_regs.def"
};

/* ---- Names ---- */

static void every_name_of_the_abi_can_be_read(void **state)
{
    struct rig r;
    union hv_register_value v;
    (void)state;
    rig_init(&r);
    for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++)
        if (softhv_regs_get(&r.view, all_names[i], &v) != HV_STATUS_SUCCESS)
            fail_msg("register %#x cannot be read", all_names[i]);
}

/* What a client read it may write back, except where nothing can be written at all. */
static void what_was_read_can_be_set(void **state)
{
    static const uint32_t fixed[] = {HV_REGISTER_PROCESSOR_CLOCK_FREQUENCY, HV_REGISTER_INTERRUPT_CLOCK_FREQUENCY,
                                     HV_REGISTER_VP_RUNTIME, HV_REGISTER_VP_INDEX, HV_REGISTER_TIME_REF_COUNT};
    struct rig r;
    (void)state;
    for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++) {
        union hv_register_value before, after;
        uint32_t name = all_names[i];
        bool read_only = name >= HV_REGISTER_HYPERVISOR_VERSION && name <= HV_REGISTER_IPT_FEATURES_INFO;
        for (size_t k = 0; k < sizeof(fixed) / sizeof(fixed[0]); k++)
            read_only = read_only || name == fixed[k];
        rig_init(&r);
        assert_int_equal(softhv_regs_get(&r.view, name, &before), HV_STATUS_SUCCESS);
        if (softhv_regs_set(&r.view, name, &before) != (read_only ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS))
            fail_msg("register %#x: wrong status for its own value", name);
        assert_int_equal(softhv_regs_get(&r.view, name, &after), HV_STATUS_SUCCESS);
        assert_memory_equal(&before, &after, sizeof(before));
    }
}

static void names_beside_the_table_are_refused(void **state)
{
    static const uint32_t names[] = {0x5,     0xff,    0x101,   0x1ff,   0x209,   0x216,     0x10001,
                                     0x10008, 0x1ffff, 0x20012, 0x3001a, 0x40006, 0x41001,   0x41005,
                                     0x50006, 0x60008, 0x70002, 0x8000f, 0x80020, 0x80050,   0x8007b + 0x100,
                                     0x847ff, 0x84840, 0x90005, 0xa0016, 0xb0008, UINT32_MAX};
    struct rig r;
    (void)state;
    rig_init(&r);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        union hv_register_value v = {.reg64 = 7}, zero = {.reg128 = {0, 0}};
        if (softhv_regs_get(&r.view, names[i], &v) != HV_STATUS_INVALID_PARAMETER)
            fail_msg("register %#x can be read", names[i]);
        assert_memory_equal(&v, &zero, sizeof(v));
        assert_int_equal(softhv_regs_set(&r.view, names[i], &v), HV_STATUS_INVALID_PARAMETER);
    }
}

static void general_registers_are_in_the_order_of_the_processor(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    for (unsigned i = 0; i < 16; i++)
        keeps(&r, HV_X64_REGISTER_RAX + i, UINT64_C(0x1111111111111111) * i);
    assert_int_equal(r.state.gpr[X86_RBX], UINT64_C(0x3333333333333333));
    assert_int_equal(r.state.gpr[15], UINT64_MAX);
}

static void sysenter_names_are_not_in_the_order_of_the_msrs(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, 0x80006, 0x1000);
    keeps(&r, 0x80007, 0x2000);
    assert_int_equal(r.state.sysenter_eip, 0x1000);
    assert_int_equal(r.state.sysenter_esp, 0x2000);
}

/* ---- Control registers ---- */

static void control_registers_come_in_any_order(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_X64_REGISTER_CR0, 0x80000011); /* paging before PAE, long mode and CR3 */
    keeps(&r, HV_X64_REGISTER_CR3, 0x1000);
    keeps(&r, HV_X64_REGISTER_CR4, 0x20);
    keeps(&r, HV_X64_REGISTER_EFER, 0x500);
}

static void intermediate_registers_are_the_same(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_X64_REGISTER_INTERMEDIATE_CR0, 0x60000010);
    keeps(&r, HV_X64_REGISTER_INTERMEDIATE_CR3, 0x5000);
    keeps(&r, HV_X64_REGISTER_INTERMEDIATE_CR4, 0x620);
    keeps(&r, HV_X64_REGISTER_INTERMEDIATE_CR8, 5);
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR0), 0x60000010);
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR3), 0x5000);
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR4), 0x620);
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR8), 5);
}

static void reserved_bits_are_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    refuses(&r, HV_X64_REGISTER_CR0, UINT64_C(1) << 32);
    refuses(&r, HV_X64_REGISTER_CR0, 0x40);
    refuses(&r, HV_X64_REGISTER_CR3, UINT64_C(1) << 40);
    refuses(&r, HV_X64_REGISTER_CR4, UINT64_C(1) << 13); /* VMX */
    refuses(&r, HV_X64_REGISTER_CR8, 16);
    refuses(&r, HV_X64_REGISTER_EFER, 0x1000); /* SVM */
    refuses(&r, HV_X64_REGISTER_XFEM, 0);
    refuses(&r, HV_X64_REGISTER_XFEM, 0x201);
    refuses(&r, HV_X64_REGISTER_RFLAGS, 0x20002); /* virtual-8086 */
    refuses(&r, HV_X64_REGISTER_RFLAGS, 0);
    refuses(&r, HV_X64_REGISTER_DR6, UINT64_C(1) << 32);
    refuses(&r, HV_X64_REGISTER_DR7, UINT64_C(1) << 32);
    refuses(&r, HV_X64_REGISTER_PAT, 2);
    refuses(&r, HV_X64_REGISTER_LSTAR, UINT64_C(1) << 47);
    refuses(&r, HV_X64_REGISTER_TSC_AUX, UINT64_C(1) << 32);
    refuses(&r, HV_X64_REGISTER_U_XSS, 1);
    refuses(&r, HV_X64_REGISTER_U_CET, 1);
    refuses(&r, HV_REGISTER_EXPLICIT_SUSPEND, 2);
    refuses(&r, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 8);
    refuses(&r, HV_REGISTER_INTERRUPT_STATE, 4);
}

static void avx_needs_sse(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.limits.xcr0 = 7;
    refuses(&r, HV_X64_REGISTER_XFEM, 5);
    keeps(&r, HV_X64_REGISTER_XFEM, 7);
}

static void fixed_bits_are_put_right(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    assert_int_equal(set64(&r, HV_X64_REGISTER_CR0, 1), HV_STATUS_SUCCESS);
    assert_int_equal(get64(&r, HV_X64_REGISTER_CR0), 0x11);
    assert_int_equal(set64(&r, HV_X64_REGISTER_DR6, 0x1001), HV_STATUS_SUCCESS);
    assert_int_equal(get64(&r, HV_X64_REGISTER_DR6), 0xffff0ff1);
    assert_int_equal(set64(&r, HV_X64_REGISTER_DR7, 0xd0c0), HV_STATUS_SUCCESS);
    assert_int_equal(get64(&r, HV_X64_REGISTER_DR7), 0x4c0);
}

static void settling_derives_long_mode(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.efer = 0x900;
    r.state.cr0 = 0x80000011;
    softhv_regs_settle(&r.state);
    assert_int_equal(r.state.efer, 0xd00);
    r.state.cr0 = 0x11;
    softhv_regs_settle(&r.state);
    assert_int_equal(r.state.efer, 0x900);
}

/* ---- Segments and tables ---- */

static void segment_keeps_all_of_it(void **state)
{
    struct rig r;
    union hv_register_value v = {
        .segment = {.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attributes = 0xa09b}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_CS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.seg[X86_CS].attr, X86_SEG_G | X86_SEG_L | X86_SEG_P | X86_SEG_S | 0xb);
    union hv_register_value w;
    assert_int_equal(softhv_regs_get(&r.view, HV_X64_REGISTER_CS, &w), HV_STATUS_SUCCESS);
    assert_memory_equal(&v, &w, sizeof(v));
}

static void segment_not_present_is_unusable(void **state)
{
    struct rig r;
    union hv_register_value v = {.segment = {.selector = 0, .attributes = 0x60}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_SS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.seg[X86_SS].attr, X86_SEG_UNUSABLE | 0x60);
    r.state.seg[X86_FS].attr = X86_SEG_UNUSABLE | X86_SEG_P | 3;
    assert_int_equal(softhv_regs_get(&r.view, HV_X64_REGISTER_FS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(v.segment.attributes, 3);
}

static void reserved_segment_attributes_are_dropped(void **state)
{
    struct rig r;
    union hv_register_value v = {.segment = {.attributes = 0xff93}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_TR, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.seg[X86_TR].attr, 0xf093);
}

static void table_ignores_its_padding(void **state)
{
    struct rig r;
    union hv_register_value v = {.table = {.pad = {1, 2, 3}, .limit = 0x3ff, .base = 0x1234}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_IDTR, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.idtr.base, 0x1234);
    assert_int_equal(r.state.idtr.limit, 0x3ff);
    assert_int_equal(r.state.gdtr.base, 0);
    assert_int_equal(softhv_regs_get(&r.view, HV_X64_REGISTER_IDTR, &v), HV_STATUS_SUCCESS);
    assert_int_equal(v.reg64, UINT64_C(0x3ff) << 48);
}

/* ---- x87 and SSE ---- */

static void xmm_has_128_bits_and_leaves_the_rest(void **state)
{
    struct rig r;
    union hv_register_value v = {.reg128 = {1, 2}}, w;
    (void)state;
    rig_init(&r);
    r.state.fpu.vec[15][2] = 9;
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_XMM15, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.vec[15][1], 2);
    assert_int_equal(r.state.fpu.vec[15][2], 9);
    assert_int_equal(softhv_regs_get(&r.view, HV_X64_REGISTER_XMM15, &w), HV_STATUS_SUCCESS);
    assert_memory_equal(&v, &w, sizeof(v));
}

static void fp_registers_stay_st_when_top_follows(void **state)
{
    struct rig r;
    union hv_register_value v;
    (void)state;
    rig_init(&r);
    for (unsigned i = 0; i < 8; i++) {
        v = (union hv_register_value){
            .fp = {.mantissa = 100 + i, .biased_exponent_sign = UINT64_C(0xabcd00000000c000)}};
        assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_MMX0 + i, &v), HV_STATUS_SUCCESS);
    }
    v = (union hv_register_value){.fp_control_status = {.fp_control = 0x37f, .fp_status = 0x1800, .fp_tag = 0xff}};
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.st[3][0], 100);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(softhv_regs_get(&r.view, HV_X64_REGISTER_FP_MMX0 + i, &v), HV_STATUS_SUCCESS);
        assert_int_equal(v.fp.mantissa, 100 + i);
        assert_int_equal(v.fp.biased_exponent_sign, 0xc000); /* nothing above 80 bits */
    }
}

static void fp_pointers_have_selectors_outside_of_long_mode(void **state)
{
    struct rig r;
    union hv_register_value v = {.fp_control_status = {.last_fp_rip = UINT64_C(0x1234000099887766)}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.fip, 0x99887766);
    assert_int_equal(r.state.fpu.fcs, 0);
    v.fp_control_status.last_fp_rip = UINT64_C(0x0000001099887766);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.fcs, 0x10);
    r.state.efer = 0x500;
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.fip, UINT64_C(0x1099887766));
}

static void zeroed_fpu_registers_are_accepted(void **state)
{
    struct rig r;
    union hv_register_value v = {.reg128 = {0, 0}};
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_XMM_CONTROL_STATUS, &v), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.mxcsr, 0);
    v.xmm_control_status.xmm_status_control = 0x10000;
    assert_int_equal(softhv_regs_set(&r.view, HV_X64_REGISTER_XMM_CONTROL_STATUS, &v),
                     HV_STATUS_INVALID_REGISTER_VALUE);
}

/* ---- Hooks ---- */

static void local_apic_goes_by_index(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_X64_REGISTER_APIC_TPR, 0x20);
    keeps(&r, HV_X64_REGISTER_APIC_LVT_LINT0, 0x700);
    assert_int_equal(r.apic[0x35], 0x700);
    assert_int_equal(get64(&r, HV_X64_REGISTER_SYNTHETIC_TPR), 0x20);
    refuses(&r, HV_X64_REGISTER_APIC_SPURIOUS, UINT64_C(1) << 32);
    assert_int_equal(set64(&r, HV_X64_REGISTER_APIC_FIRST, 0), HV_STATUS_INVALID_PARAMETER);
}

static void msrs_go_by_number(void **state)
{
    static const struct {
        uint32_t name, msr;
    } pairs[] = {{HV_X64_REGISTER_TSC, 0x10},
                 {HV_X64_REGISTER_APIC_BASE, 0x1b},
                 {HV_X64_REGISTER_TSC_ADJUST, 0x3b},
                 {HV_X64_REGISTER_MSR_MTRR_PHYS_BASE7, 0x20e},
                 {HV_X64_REGISTER_MSR_MTRR_PHYS_MASK7, 0x20f},
                 {HV_X64_REGISTER_MSR_MTRR_FIX16KA0000, 0x259},
                 {HV_X64_REGISTER_MSR_MTRR_FIX4KF8000, 0x26f},
                 {HV_X64_REGISTER_MSR_MTRR_DEF_TYPE, 0x2ff},
                 {HV_X64_REGISTER_HYPERCALL, 0x40000001},
                 {HV_REGISTER_REFERENCE_TSC, 0x40000021},
                 {HV_REGISTER_SINT15, 0x4000009f},
                 {HV_REGISTER_SCONTROL, 0x40000080},
                 {HV_REGISTER_STIMER3_COUNT, 0x400000b7},
                 {HV_REGISTER_GUEST_CRASH_P4, 0x40000104}};
    (void)state;
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct rig r;
        rig_init(&r);
        keeps(&r, pairs[i].name, 5);
        assert_int_equal(r.msr_count, 1);
        assert_int_equal(r.msrs[0].msr, pairs[i].msr);
        refuses(&r, pairs[i].name, UINT64_MAX);
    }
}

static void missing_msr_reads_zero_and_takes_zero(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_X64_REGISTER_SPEC_CTRL, 0);
    refuses(&r, HV_X64_REGISTER_SPEC_CTRL, 1);
}

static void read_only_registers_say_so(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    assert_int_equal(set64(&r, HV_REGISTER_VP_INDEX, 3), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set64(&r, HV_REGISTER_HYPERVISOR_VERSION, 0), HV_STATUS_INVALID_PARAMETER);
    keeps(&r, HV_X64_REGISTER_MSR_MTRR_CAP, 0x508); /* restored by clients with all the others */
    refuses(&r, HV_X64_REGISTER_MSR_MTRR_CAP, 0x50a);
    assert_int_equal(r.msr_count, 0);
}

static void cpuid_registers_have_the_leaf(void **state)
{
    struct rig r;
    union hv_register_value v;
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_get(&r.view, HV_REGISTER_HYPERVISOR_VERSION, &v), HV_STATUS_SUCCESS);
    assert_int_equal(v.reg128.low, UINT64_C(0x240000002));
    assert_int_equal(v.reg128.high, UINT64_C(0x400000003));
    assert_int_equal((uint32_t)get64(&r, HV_REGISTER_IPT_FEATURES_INFO), 0x4000000b);
}

static void initial_apic_id_has_a_hook_of_its_own(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    keeps(&r, HV_X64_REGISTER_INITIAL_APIC_ID, 6);
    assert_int_equal(r.apic_id, 6);
    refuses(&r, HV_X64_REGISTER_INITIAL_APIC_ID, UINT64_C(1) << 32);
    keeps(&r, HV_X64_REGISTER_TSC_VIRTUAL_OFFSET, 0);
}

/* ---- Hypercalls ---- */

struct get_call {
    struct hv_input_vp_registers head;
    uint32_t names[4];
};

struct set_call {
    struct hv_input_vp_registers head;
    struct hv_register_assoc e[4];
};

static void hypercall_reads_in_order(void **state)
{
    struct rig r;
    struct get_call c = {.names = {HV_X64_REGISTER_RIP, HV_X64_REGISTER_XMM0, HV_X64_REGISTER_RCX}};
    union hv_register_value out[3];
    uint16_t done = 9;
    (void)state;
    rig_init(&r);
    r.state.rip = 1;
    r.state.fpu.vec[0][1] = 2;
    r.state.gpr[X86_RCX] = 3;
    memset(out, 0xee, sizeof(out));
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 28, out, sizeof(out), 3, &done), HV_STATUS_SUCCESS);
    assert_int_equal(done, 3);
    assert_int_equal(out[0].reg128.low, 1);
    assert_int_equal(out[0].reg128.high, 0);
    assert_int_equal(out[1].reg128.high, 2);
    assert_int_equal(out[2].reg64, 3);
}

static void hypercall_stops_reading_at_the_first_bad_name(void **state)
{
    struct rig r;
    struct get_call c = {.names = {HV_X64_REGISTER_RIP, 0x12345, HV_X64_REGISTER_RCX}};
    union hv_register_value out[3];
    uint16_t done = 9;
    (void)state;
    rig_init(&r);
    memset(out, 0xee, sizeof(out));
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, sizeof(c), out, sizeof(out), 3, &done),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(done, 1);
    assert_int_equal(out[1].reg64, UINT64_C(0xeeeeeeeeeeeeeeee)); /* untouched */
}

static void hypercall_sets_what_is_before_the_error(void **state)
{
    struct rig r;
    struct set_call c = {.e = {{.name = HV_X64_REGISTER_RAX, .reserved1 = 1, .reserved2 = 2, .value.reg64 = 10},
                               {.name = HV_X64_REGISTER_RBX, .value.reg64 = 11},
                               {.name = HV_X64_REGISTER_CR4, .value.reg64 = UINT64_MAX},
                               {.name = HV_X64_REGISTER_RCX, .value.reg64 = 12}}};
    uint16_t done = 9;
    (void)state;
    rig_init(&r);
    c.head.reserved8 = 0xaa; /* garbage */
    c.head.reserved16 = 0xaaaa;
    assert_int_equal(softhv_regs_hvcall_set(&r.view, &c, sizeof(c), 4, &done), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(done, 2);
    assert_int_equal(r.state.gpr[X86_RAX], 10);
    assert_int_equal(r.state.gpr[X86_RBX], 11);
    assert_int_equal(r.state.gpr[X86_RCX], 0);
}

static void hypercall_checks_sizes(void **state)
{
    struct rig r;
    struct get_call c = {.names = {HV_X64_REGISTER_RIP, HV_X64_REGISTER_RIP}};
    struct set_call s = {.e = {{.name = HV_X64_REGISTER_RAX, .value.reg64 = 10}}};
    union hv_register_value out[2];
    uint16_t done = 9;
    (void)state;
    rig_init(&r);
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 23, out, 32, 2, &done), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 24, out, 31, 2, &done), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 24, out, 32, 0, &done), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 8, out, 32, 1, &done), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(softhv_regs_hvcall_set(&r.view, &s, 47, 1, &done), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(done, 0);
    assert_int_equal(softhv_regs_hvcall_set(&r.view, &s, 48, 1, &done), HV_STATUS_SUCCESS);
    assert_int_equal(done, 1);
}

static void hypercall_knows_one_vtl(void **state)
{
    struct rig r;
    struct get_call c = {.names = {HV_X64_REGISTER_RIP}};
    union hv_register_value out;
    uint16_t done;
    (void)state;
    rig_init(&r);
    c.head.input_vtl = HV_INPUT_VTL_USE_TARGET;
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 20, &out, 16, 1, &done), HV_STATUS_SUCCESS);
    c.head.input_vtl = HV_INPUT_VTL_USE_TARGET | 1;
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 20, &out, 16, 1, &done), HV_STATUS_INVALID_PARAMETER);
    c.head.input_vtl = 0x20;
    assert_int_equal(softhv_regs_hvcall_get(&r.view, &c, 20, &out, 16, 1, &done), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(done, 0);
}

static void hypercall_takes_input_at_any_address(void **state)
{
    struct rig r;
    struct set_call s = {.e = {{.name = HV_X64_REGISTER_RDX, .value.reg64 = 77}}};
    uint8_t raw[sizeof(s) + 1];
    uint16_t done;
    (void)state;
    rig_init(&r);
    memcpy(raw + 1, &s, sizeof(s));
    assert_int_equal(softhv_regs_hvcall_set(&r.view, raw + 1, 48, 1, &done), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.gpr[X86_RDX], 77);
}

/* The state survives a trip through a real processor. */
static void staged_state_is_what_the_processor_takes(void **state)
{
    static const struct x86_ops none;
    struct x86_config cfg = {.ops = &none, .features = x86_features_supported(), .phys_bits = 40};
    struct x86_cpu *c = x86_cpu_new(&cfg);
    struct rig r;
    (void)state;
    assert_non_null(c);
    rig_init(&r);
    x86_cpu_get_state(c, &r.state);
    assert_int_equal(get64(&r, HV_X64_REGISTER_RIP), 0xfff0);
    keeps(&r, HV_X64_REGISTER_CR0, 0x80000011);
    keeps(&r, HV_X64_REGISTER_EFER, 0x100);
    softhv_regs_settle(&r.state);
    assert_int_equal(x86_cpu_set_state(c, &r.state), -EINVAL); /* long mode without PAE: cannot be */
    keeps(&r, HV_X64_REGISTER_CR4, 0x20);
    softhv_regs_settle(&r.state);
    assert_int_equal(x86_cpu_set_state(c, &r.state), 0);
    x86_cpu_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_the_abi_can_be_read),
        cmocka_unit_test(what_was_read_can_be_set),
        cmocka_unit_test(names_beside_the_table_are_refused),
        cmocka_unit_test(general_registers_are_in_the_order_of_the_processor),
        cmocka_unit_test(sysenter_names_are_not_in_the_order_of_the_msrs),
        cmocka_unit_test(control_registers_come_in_any_order),
        cmocka_unit_test(intermediate_registers_are_the_same),
        cmocka_unit_test(reserved_bits_are_refused),
        cmocka_unit_test(avx_needs_sse),
        cmocka_unit_test(fixed_bits_are_put_right),
        cmocka_unit_test(settling_derives_long_mode),
        cmocka_unit_test(segment_keeps_all_of_it),
        cmocka_unit_test(segment_not_present_is_unusable),
        cmocka_unit_test(reserved_segment_attributes_are_dropped),
        cmocka_unit_test(table_ignores_its_padding),
        cmocka_unit_test(xmm_has_128_bits_and_leaves_the_rest),
        cmocka_unit_test(fp_registers_stay_st_when_top_follows),
        cmocka_unit_test(fp_pointers_have_selectors_outside_of_long_mode),
        cmocka_unit_test(zeroed_fpu_registers_are_accepted),
        cmocka_unit_test(local_apic_goes_by_index),
        cmocka_unit_test(msrs_go_by_number),
        cmocka_unit_test(missing_msr_reads_zero_and_takes_zero),
        cmocka_unit_test(read_only_registers_say_so),
        cmocka_unit_test(cpuid_registers_have_the_leaf),
        cmocka_unit_test(initial_apic_id_has_a_hook_of_its_own),
        cmocka_unit_test(hypercall_reads_in_order),
        cmocka_unit_test(hypercall_stops_reading_at_the_first_bad_name),
        cmocka_unit_test(hypercall_sets_what_is_before_the_error),
        cmocka_unit_test(hypercall_checks_sizes),
        cmocka_unit_test(hypercall_knows_one_vtl),
        cmocka_unit_test(hypercall_takes_input_at_any_address),
        cmocka_unit_test(staged_state_is_what_the_processor_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
