/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: registers by hypercall. The sets are those that existing clients name, in their order and their calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/abi_rig.h"

#define GET_MAX 256u /* values that fit in the output page */
#define SET_MAX 127u /* elements that fit in the input page */
#define GARBAGE UINT64_C(0xdeadbeefcafef00d)

/* A partition with one VP that never runs. */
struct rig {
    struct abi *a;
    int partition, vp;
};

static void rig_init(struct abi *a, struct rig *r)
{
    *r = (struct rig){.a = a, .partition = abi_new_partition(a, ABI_FLAGS)};
    assert_int_equal(abi_set_property(a, r->partition, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, ABI_SYNTHETIC),
                     0);
    abi_initialize(a, r->partition);
    r->vp = abi_new_vp(a, r->partition, 0);
}

static void rig_fini(struct rig *r)
{
    abi_close(r->a, r->vp);
    abi_close(r->a, r->partition);
}

struct get_input {
    struct hv_input_vp_registers head;
    uint32_t name[GET_MAX];
};

struct set_input {
    struct hv_input_vp_registers head;
    struct hv_register_assoc reg[SET_MAX];
};

static struct abi_call get_many(struct rig *r, const struct get_input *in, uint16_t n, union hv_register_value *out)
{
    return abi_hvcall(r->a, r->vp, HVCALL_GET_VP_REGISTERS, n, in, sizeof(in->head) + n * sizeof(in->name[0]), out,
                      n * sizeof(out[0]));
}

static struct abi_call set_many(struct rig *r, const struct set_input *in, uint16_t n)
{
    return abi_hvcall(r->a, r->vp, HVCALL_SET_VP_REGISTERS, n, in, sizeof(in->head) + n * sizeof(in->reg[0]), NULL, 0);
}

/* ---- Single registers: what is set is what is read ---- */

static const struct {
    uint32_t name;
    uint64_t low;
} plain[] = {
    {HV_X64_REGISTER_RAX, UINT64_C(0x1000000000000001)},
    {HV_X64_REGISTER_RCX, 2},
    {HV_X64_REGISTER_RDX, 3},
    {HV_X64_REGISTER_RBX, 4},
    {HV_X64_REGISTER_RSP, UINT64_C(0xffff800000000008)},
    {HV_X64_REGISTER_RBP, 6},
    {HV_X64_REGISTER_RSI, 7},
    {HV_X64_REGISTER_RDI, 8},
    {HV_X64_REGISTER_R8, 9},
    {HV_X64_REGISTER_R9, 10},
    {HV_X64_REGISTER_R10, 11},
    {HV_X64_REGISTER_R11, 12},
    {HV_X64_REGISTER_R12, 13},
    {HV_X64_REGISTER_R13, 14},
    {HV_X64_REGISTER_R14, 15},
    {HV_X64_REGISTER_R15, UINT64_MAX},
    {HV_X64_REGISTER_RIP, UINT64_C(0x7fffffff1234)},
    {HV_X64_REGISTER_RFLAGS, 0x246},
    {HV_X64_REGISTER_CR0, 0x80050033},
    {HV_X64_REGISTER_CR2, UINT64_C(0x123456789abc)},
    {HV_X64_REGISTER_CR3, 0x7000},
    {HV_X64_REGISTER_CR4, 0x6a0},
    {HV_X64_REGISTER_CR8, 9},
    {HV_X64_REGISTER_XFEM, 3},
    {HV_X64_REGISTER_INTERMEDIATE_CR0, 0x80050033},
    {HV_X64_REGISTER_INTERMEDIATE_CR3, 0x8000},
    {HV_X64_REGISTER_INTERMEDIATE_CR4, 0x2a0},
    {HV_X64_REGISTER_INTERMEDIATE_CR8, 5},
    {HV_X64_REGISTER_DR0, 0x1000},
    {HV_X64_REGISTER_DR1, 0x2000},
    {HV_X64_REGISTER_DR2, 0x3000},
    {HV_X64_REGISTER_DR3, 0x4000},
    {HV_X64_REGISTER_DR6, 0xffff0ff0},
    {HV_X64_REGISTER_DR7, 0x401},
    {HV_X64_REGISTER_EFER, 0xd01},
    {HV_X64_REGISTER_KERNEL_GS_BASE, UINT64_C(0x7fff12345678)},
    {HV_X64_REGISTER_APIC_BASE, 0xfee00900},
    {HV_X64_REGISTER_PAT, UINT64_C(0x0007040600070406)},
    {HV_X64_REGISTER_SYSENTER_CS, 0x10},
    {HV_X64_REGISTER_SYSENTER_EIP, 0x1111},
    {HV_X64_REGISTER_SYSENTER_ESP, 0x2222},
    {HV_X64_REGISTER_STAR, UINT64_C(0x0023001000000000)},
    {HV_X64_REGISTER_LSTAR, UINT64_C(0xffffffff81000000)},
    {HV_X64_REGISTER_CSTAR, UINT64_C(0xffffffff81000100)},
    {HV_X64_REGISTER_SFMASK, 0x47700},
    {HV_X64_REGISTER_MSR_MTRR_DEF_TYPE, 0x806},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0, 0x80000006},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0, UINT64_C(0xff80000800)},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_BASE7, 0x90000006},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_MASK7, UINT64_C(0xff80000800)},
    {HV_X64_REGISTER_MSR_MTRR_FIX64K00000, UINT64_C(0x0606060606060606)},
    {HV_X64_REGISTER_MSR_MTRR_FIX16K80000, UINT64_C(0x0606060606060606)},
    {HV_X64_REGISTER_MSR_MTRR_FIX16KA0000, UINT64_C(0x0606060606060606)},
    {HV_X64_REGISTER_MSR_MTRR_FIX4KC0000, UINT64_C(0x0505050505050505)},
    {HV_X64_REGISTER_MSR_MTRR_FIX4KF8000, UINT64_C(0x0505050505050505)},
    {HV_X64_REGISTER_TSC_AUX, 7},
    {HV_REGISTER_PENDING_INTERRUPTION, 0},
    {HV_X64_REGISTER_APIC_TPR, 0x20},
    {HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff},
    {HV_X64_REGISTER_APIC_LVT_LINT0, 0x700},
    {HV_X64_REGISTER_APIC_LVT_LINT1, 0x400},
    {HV_REGISTER_INTERRUPT_STATE, 2},
    {HV_REGISTER_INTERNAL_ACTIVITY_STATE, 1},
    {HV_REGISTER_INTERNAL_ACTIVITY_STATE, 2},
    {HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0},
    {HV_REGISTER_GUEST_OS_ID, UINT64_C(0x8100000000000000)},
    {HV_X64_REGISTER_HYPERCALL, 0x2001},
    {HV_REGISTER_REFERENCE_TSC, 0x3001},
    {HV_REGISTER_VP_ASSIST_PAGE, 0x4001},
    {HV_REGISTER_SCONTROL, 1},
    {HV_REGISTER_SIMP, 0x5001},
    {HV_REGISTER_SIEFP, 0x6001},
    {HV_REGISTER_SINT0, 0x10030},
    {HV_REGISTER_SINT2, 0x200f3},
    {HV_REGISTER_SINT15, 0x100ff},
    {HV_REGISTER_STIMER0_CONFIG, 0},
    {HV_REGISTER_EXPLICIT_SUSPEND, 1},
    {HV_REGISTER_INTERCEPT_SUSPEND, 1},
    {HV_REGISTER_INTERCEPT_SUSPEND, 0},
};

static void registers_keep_what_they_are_given(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(plain); i++) {
        union hv_register_value v = {.reg128 = {.low = plain[i].low, .high = GARBAGE}};
        uint16_t status = abi_set_register(a, r.vp, 0, plain[i].name, v);
        union hv_register_value back = {.reg128 = {.low = GARBAGE, .high = GARBAGE}};
        if (status == HV_STATUS_SUCCESS)
            status = abi_get_register(a, r.vp, 0, plain[i].name, &back);
        if (status != HV_STATUS_SUCCESS || back.reg64 != plain[i].low)
            print_error("register %#x: status %#x, %#jx\n", plain[i].name, status, (uintmax_t)back.reg64);
        assert_int_equal(status, HV_STATUS_SUCCESS);
        assert_true(back.reg64 == plain[i].low);
        assert_true(back.reg128.high == 0); /* garbage above 64 bits is dropped */
    }
    rig_fini(&r);
}

static void expect128(struct rig *r, uint32_t name, uint64_t low, uint64_t high)
{
    union hv_register_value v = {.reg128 = {.low = low, .high = high}}, back;
    assert_int_equal(abi_set_register(r->a, r->vp, 0, name, v), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_register(r->a, r->vp, 0, name, &back), HV_STATUS_SUCCESS);
    assert_true(back.reg128.low == low);
    assert_true(back.reg128.high == high);
}

static void vector_registers_have_128_bits(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (uint32_t i = 0; i < 16; i++)
        expect128(&r, HV_X64_REGISTER_XMM0 + i, GARBAGE + i, ~GARBAGE - i);
    for (uint32_t i = 0; i < 16; i++) { /* none of them is another */
        union hv_register_value v;
        assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_XMM0 + i, &v), HV_STATUS_SUCCESS);
        assert_true(v.reg128.low == GARBAGE + i);
    }
    rig_fini(&r);
}

static void floating_point_registers_have_80_bits(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (uint32_t i = 0; i < 8; i++)
        expect128(&r, HV_X64_REGISTER_FP_MMX0 + i, UINT64_C(0x8000000000000000) + i, 0x3fff + i);
    union hv_register_value v = {.fp = {.mantissa = 1, .biased_exponent_sign = UINT64_MAX}};
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_FP_MMX0, v), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_FP_MMX0, &v), HV_STATUS_SUCCESS);
    assert_int_equal(v.fp.biased_exponent_sign, 0xffff);
    rig_fini(&r);
}

static void floating_point_control_has_its_fields(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    union hv_register_value fp = {.fp_control_status = {.fp_control = 0x37f, .fp_status = 0x3800, .fp_tag = 0x81}};
    union hv_register_value xmm = {.xmm_control_status = {.xmm_status_control = 0x1fa0}};
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_FP_CONTROL_STATUS, fp), HV_STATUS_SUCCESS);
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_XMM_CONTROL_STATUS, xmm), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_FP_CONTROL_STATUS, &fp), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_XMM_CONTROL_STATUS, &xmm), HV_STATUS_SUCCESS);
    assert_int_equal(fp.fp_control_status.fp_control, 0x37f);
    assert_int_equal(fp.fp_control_status.fp_status, 0x3800);
    assert_int_equal(fp.fp_control_status.fp_tag, 0x81);
    assert_int_equal(xmm.xmm_control_status.xmm_status_control, 0x1fa0);
    rig_fini(&r);
}

/* Clients have sent zeros for both. */
static void zero_is_taken_for_fcw_and_mxcsr(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_FP_CONTROL_STATUS, 0);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_XMM_CONTROL_STATUS, 0);
    rig_fini(&r);
}

static void segments_have_base_limit_selector_and_attributes(struct abi *a)
{
    static const uint16_t attributes[] = {0x93, 0xa09b, 0xc093, 0x8b, 0x82, 0x10, 0};
    struct rig r;
    rig_init(a, &r);
    for (uint32_t name = HV_X64_REGISTER_ES; name <= HV_X64_REGISTER_TR; name++) {
        for (size_t i = 0; i < ABI_COUNT(attributes); i++) {
            const struct hv_x64_segment_register s = {.base = UINT64_C(0xffffffff80001000) + name,
                                                      .limit = 0xfffff123 + (uint32_t)i,
                                                      .selector = (uint16_t)(name * 8),
                                                      .attributes = attributes[i]};
            union hv_register_value v = {.segment = s};
            assert_int_equal(abi_set_register(a, r.vp, 0, name, v), HV_STATUS_SUCCESS);
            assert_int_equal(abi_get_register(a, r.vp, 0, name, &v), HV_STATUS_SUCCESS);
            assert_memory_equal(&v, &s, sizeof(s));
        }
    }
    rig_fini(&r);
}

static void tables_have_base_and_limit(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (uint32_t name = HV_X64_REGISTER_IDTR; name <= HV_X64_REGISTER_GDTR; name++) {
        union hv_register_value v = {.table = {.pad = {1, 2, 3}, .limit = 0xfff, .base = UINT64_C(0xfffffe0000000000)}};
        assert_int_equal(abi_set_register(a, r.vp, 0, name, v), HV_STATUS_SUCCESS);
        assert_int_equal(abi_get_register(a, r.vp, 0, name, &v), HV_STATUS_SUCCESS);
        assert_int_equal(v.table.limit, 0xfff);
        assert_true(v.table.base == UINT64_C(0xfffffe0000000000));
        assert_int_equal(v.table.pad[0] | v.table.pad[1] | v.table.pad[2], 0);
    }
    rig_fini(&r);
}

/* INTERMEDIATE_*: the same registers, in an order that no processor would take. */
static void control_registers_come_in_any_order(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_INTERMEDIATE_CR0, 0x80000011); /* paging before its tables and EFER */
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_EFER, 0x500);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_INTERMEDIATE_CR4, 0x20);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_INTERMEDIATE_CR3, 0x3000);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_CR0), 0x80000011);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_EFER), 0x500);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_CR4), 0x20);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_CR3), 0x3000);
    rig_fini(&r);
}

/* Events: what was pending is read back, exceptions with their parameter. */
static void pending_events_are_kept(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint64_t gp = HV_PENDING_INTERRUPTION_PENDING |
                  (uint64_t)HV_PENDING_INTERRUPTION_EXCEPTION << HV_PENDING_INTERRUPTION_TYPE_SHIFT |
                  HV_PENDING_INTERRUPTION_ERROR_CODE | UINT64_C(13) << HV_PENDING_INTERRUPTION_VECTOR_SHIFT |
                  UINT64_C(0x18) << HV_PENDING_INTERRUPTION_CODE_SHIFT;
    abi_set64(a, r.vp, 0, HV_REGISTER_PENDING_INTERRUPTION, gp);
    assert_true(abi_get64(a, r.vp, 0, HV_REGISTER_PENDING_INTERRUPTION) == gp);
    abi_set64(a, r.vp, 0, HV_REGISTER_PENDING_INTERRUPTION, 0);
    expect128(&r, HV_REGISTER_PENDING_EVENT0,
              HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_ERROR_CODE | UINT64_C(14) << HV_PENDING_EVENT_VECTOR_SHIFT |
                  UINT64_C(2) << HV_PENDING_EVENT_CODE_SHIFT,
              0x123000);
    expect128(&r, HV_REGISTER_PENDING_EVENT0, 0, 0);
    expect128(&r, HV_REGISTER_PENDING_EVENT1, 0, 0);
    rig_fini(&r);
}

/* ---- Whole sets, as clients send them ---- */

static const uint32_t standard[] = {
    HV_X64_REGISTER_RAX, HV_X64_REGISTER_RBX, HV_X64_REGISTER_RCX,    HV_X64_REGISTER_RDX, HV_X64_REGISTER_RSI,
    HV_X64_REGISTER_RDI, HV_X64_REGISTER_RSP, HV_X64_REGISTER_RBP,    HV_X64_REGISTER_R8,  HV_X64_REGISTER_R9,
    HV_X64_REGISTER_R10, HV_X64_REGISTER_R11, HV_X64_REGISTER_R12,    HV_X64_REGISTER_R13, HV_X64_REGISTER_R14,
    HV_X64_REGISTER_R15, HV_X64_REGISTER_RIP, HV_X64_REGISTER_RFLAGS,
};
static const uint32_t special[] = {
    HV_X64_REGISTER_CS,   HV_X64_REGISTER_DS,        HV_X64_REGISTER_ES,   HV_X64_REGISTER_FS,   HV_X64_REGISTER_GS,
    HV_X64_REGISTER_SS,   HV_X64_REGISTER_TR,        HV_X64_REGISTER_LDTR, HV_X64_REGISTER_GDTR, HV_X64_REGISTER_IDTR,
    HV_X64_REGISTER_CR0,  HV_X64_REGISTER_CR2,       HV_X64_REGISTER_CR3,  HV_X64_REGISTER_CR4,  HV_X64_REGISTER_CR8,
    HV_X64_REGISTER_EFER, HV_X64_REGISTER_APIC_BASE,
};
static const uint32_t floating[] = {
    HV_X64_REGISTER_XMM0,
    HV_X64_REGISTER_XMM1,
    HV_X64_REGISTER_XMM2,
    HV_X64_REGISTER_XMM3,
    HV_X64_REGISTER_XMM4,
    HV_X64_REGISTER_XMM5,
    HV_X64_REGISTER_XMM6,
    HV_X64_REGISTER_XMM7,
    HV_X64_REGISTER_XMM8,
    HV_X64_REGISTER_XMM9,
    HV_X64_REGISTER_XMM10,
    HV_X64_REGISTER_XMM11,
    HV_X64_REGISTER_XMM12,
    HV_X64_REGISTER_XMM13,
    HV_X64_REGISTER_XMM14,
    HV_X64_REGISTER_XMM15,
    HV_X64_REGISTER_FP_MMX0,
    HV_X64_REGISTER_FP_MMX1,
    HV_X64_REGISTER_FP_MMX2,
    HV_X64_REGISTER_FP_MMX3,
    HV_X64_REGISTER_FP_MMX4,
    HV_X64_REGISTER_FP_MMX5,
    HV_X64_REGISTER_FP_MMX6,
    HV_X64_REGISTER_FP_MMX7,
    HV_X64_REGISTER_FP_CONTROL_STATUS,
    HV_X64_REGISTER_XMM_CONTROL_STATUS,
};
static const uint32_t extended[] = {HV_X64_REGISTER_XFEM};
static const uint32_t events[] = {
    HV_REGISTER_PENDING_INTERRUPTION, HV_REGISTER_INTERRUPT_STATE, HV_REGISTER_INTERNAL_ACTIVITY_STATE,
    HV_REGISTER_PENDING_EVENT0,       HV_REGISTER_PENDING_EVENT1,
};
static const uint32_t intermediate[] = {
    HV_X64_REGISTER_CS,
    HV_X64_REGISTER_DS,
    HV_X64_REGISTER_ES,
    HV_X64_REGISTER_FS,
    HV_X64_REGISTER_GS,
    HV_X64_REGISTER_SS,
    HV_X64_REGISTER_TR,
    HV_X64_REGISTER_LDTR,
    HV_X64_REGISTER_GDTR,
    HV_X64_REGISTER_IDTR,
    HV_X64_REGISTER_INTERMEDIATE_CR0,
    HV_X64_REGISTER_CR2,
    HV_X64_REGISTER_INTERMEDIATE_CR3,
    HV_X64_REGISTER_INTERMEDIATE_CR4,
    HV_X64_REGISTER_CR8,
    HV_X64_REGISTER_EFER,
    HV_X64_REGISTER_APIC_BASE,
    HV_REGISTER_PENDING_INTERRUPTION,
};
static const uint32_t debug[] = {
    HV_X64_REGISTER_DR0, HV_X64_REGISTER_DR1, HV_X64_REGISTER_DR2,
    HV_X64_REGISTER_DR3, HV_X64_REGISTER_DR6, HV_X64_REGISTER_DR7,
};
/* One call reads or writes all of these: a single one that is refused fails it. */
static const uint32_t msrs[] = {
    HV_X64_REGISTER_TSC,
    HV_X64_REGISTER_APIC_BASE,
    HV_X64_REGISTER_TSC_ADJUST,
    HV_X64_REGISTER_SPEC_CTRL,
    HV_X64_REGISTER_SYSENTER_CS,
    HV_X64_REGISTER_SYSENTER_ESP,
    HV_X64_REGISTER_SYSENTER_EIP,
    HV_X64_REGISTER_MSR_IA32_MISC_ENABLE,
    HV_X64_REGISTER_DEBUG_CTL,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE1,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK1,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE2,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK2,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE3,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK3,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE4,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK4,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE5,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK5,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE6,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK6,
    HV_X64_REGISTER_MSR_MTRR_PHYS_BASE7,
    HV_X64_REGISTER_MSR_MTRR_PHYS_MASK7,
    HV_X64_REGISTER_MSR_MTRR_FIX64K00000,
    HV_X64_REGISTER_MSR_MTRR_FIX16K80000,
    HV_X64_REGISTER_MSR_MTRR_FIX16KA0000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KC0000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KC8000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KD0000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KD8000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KE0000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KE8000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KF0000,
    HV_X64_REGISTER_MSR_MTRR_FIX4KF8000,
    HV_X64_REGISTER_PAT,
    HV_X64_REGISTER_MSR_MTRR_DEF_TYPE,
    HV_X64_REGISTER_BNDCFGS,
    HV_X64_REGISTER_EFER,
    HV_X64_REGISTER_STAR,
    HV_X64_REGISTER_LSTAR,
    HV_X64_REGISTER_CSTAR,
    HV_X64_REGISTER_SFMASK,
    HV_X64_REGISTER_KERNEL_GS_BASE,
    HV_X64_REGISTER_TSC_AUX,
    HV_REGISTER_GUEST_OS_ID,
    HV_REGISTER_REFERENCE_TSC,
    HV_REGISTER_SCONTROL,
    HV_REGISTER_SIEFP,
    HV_REGISTER_SIMP,
    HV_REGISTER_EOM,
    HV_REGISTER_SINT0,
    HV_REGISTER_SINT1,
    HV_REGISTER_SINT2,
    HV_REGISTER_SINT3,
    HV_REGISTER_SINT4,
    HV_REGISTER_SINT5,
    HV_REGISTER_SINT6,
    HV_REGISTER_SINT7,
    HV_REGISTER_SINT8,
    HV_REGISTER_SINT9,
    HV_REGISTER_SINT10,
    HV_REGISTER_SINT11,
    HV_REGISTER_SINT12,
    HV_REGISTER_SINT13,
    HV_REGISTER_SINT14,
    HV_REGISTER_SINT15,
};
static const uint32_t hypercall[] = {HV_X64_REGISTER_HYPERCALL};

#define SET_OF(names)                                                                                                  \
    {                                                                                                                  \
#names, names, ABI_COUNT(names)                                                                                \
    }
static const struct {
    const char *name;
    const uint32_t *names;
    size_t n;
} sets[] = {SET_OF(standard),     SET_OF(special), SET_OF(floating), SET_OF(extended), SET_OF(events),
            SET_OF(intermediate), SET_OF(debug),   SET_OF(msrs),     SET_OF(hypercall)};

/* Read a set in one call, give it back in one call with garbage in every reserved field, read it again. */
static void expect_round_trip(struct rig *r, const char *name, const uint32_t *names, uint16_t n)
{
    struct get_input in = {.head = {.vp_index = 0}};
    struct set_input back = {.head = {.vp_index = 0}};
    union hv_register_value first[GET_MAX], second[GET_MAX];
    memcpy(in.name, names, n * sizeof(names[0]));
    struct abi_call c = get_many(r, &in, n, first);
    if (c.result != 0)
        print_error("set %s, element %d: status %#x\n", name, c.reps, c.status);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, n);
    for (uint16_t i = 0; i < n; i++)
        back.reg[i] = (struct hv_register_assoc){
            .name = names[i], .reserved1 = (uint32_t)GARBAGE, .reserved2 = GARBAGE, .value = first[i]};
    c = set_many(r, &back, n);
    if (c.result != 0)
        print_error("set %s, element %d: status %#x\n", name, c.reps, c.status);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, n);
    assert_int_equal(get_many(r, &in, n, second).result, 0);
    for (uint16_t i = 0; i < n; i++)
        if (names[i] != HV_X64_REGISTER_TSC)
            assert_memory_equal(&first[i], &second[i], sizeof(first[i]));
}

static void sets_of_clients_come_back_whole(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(sets); i++)
        expect_round_trip(&r, sets[i].name, sets[i].names, (uint16_t)sets[i].n);
    rig_fini(&r);
}

/* What a client does at the start of a VP: zeros in all but a few. */
static void a_full_put_is_taken_again_and_again(struct abi *a)
{
    struct set_input in = {.head = {.vp_index = 0}};
    uint16_t n = 0;
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(standard); i++)
        in.reg[n++] = (struct hv_register_assoc){.name = standard[i],
                                                 .value.reg64 = standard[i] == HV_X64_REGISTER_RFLAGS ? 2 : 0};
    for (size_t i = 0; i < ABI_COUNT(floating); i++)
        in.reg[n++] = (struct hv_register_assoc){.name = floating[i]};
    in.reg[n++] = (struct hv_register_assoc){.name = HV_X64_REGISTER_XFEM, .value.reg64 = 1};
    for (unsigned i = 0; i < 3; i++) {
        struct abi_call c = set_many(&r, &in, n);
        assert_int_equal(c.result, 0);
        assert_int_equal(c.reps, n);
    }
    rig_fini(&r);
}

/* ---- Rep calls ---- */

static void as_many_as_fit_in_a_page(struct abi *a)
{
    struct get_input in = {.head = {.vp_index = 0}};
    struct set_input set = {.head = {.vp_index = 0}};
    union hv_register_value out[GET_MAX];
    struct rig r;
    rig_init(a, &r);
    for (uint32_t i = 0; i < GET_MAX; i++)
        in.name[i] = HV_X64_REGISTER_RAX + i % 16;
    for (uint32_t i = 0; i < SET_MAX; i++)
        set.reg[i] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RAX + i % 4, .value.reg64 = i};
    struct abi_call c = set_many(&r, &set, SET_MAX);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, SET_MAX);
    c = get_many(&r, &in, GET_MAX, out);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, GET_MAX);
    assert_int_equal(out[0].reg64, 124); /* in order: the last one stays */
    assert_int_equal(out[255 - 13].reg64, 126);
    rig_fini(&r);
}

/* Elements before the bad one are done and stay; the count says so. */
static void a_bad_element_ends_the_call(struct abi *a)
{
    static const struct hv_register_assoc bad[] = {
        {.name = 0x000fffff}, {.name = HV_X64_REGISTER_CR0, .value.reg64 = UINT64_MAX}, {.name = HV_REGISTER_VP_INDEX}};
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(bad); i++) {
        struct set_input in = {.head = {.vp_index = 0}};
        in.reg[0] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RAX, .value.reg64 = 10 + i};
        in.reg[1] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RBX, .value.reg64 = 20 + i};
        in.reg[2] = bad[i];
        in.reg[3] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RCX, .value.reg64 = 30};
        struct abi_call c = set_many(&r, &in, 4);
        assert_true(c.result < 0);
        assert_int_not_equal(c.status, HV_STATUS_SUCCESS);
        assert_int_equal(c.reps, 2);
        assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_RAX), 10 + i);
        assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_RBX), 20 + i);
        assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_RCX), 0);
    }
    rig_fini(&r);
}

static void a_bad_name_ends_reading(struct abi *a)
{
    struct get_input in = {.head = {.vp_index = 0}, .name = {HV_X64_REGISTER_CR0, 0x000fffff, HV_X64_REGISTER_RIP}};
    union hv_register_value out[3];
    struct rig r;
    rig_init(a, &r);
    struct abi_call c = get_many(&r, &in, 3, out);
    assert_true(c.result < 0);
    assert_int_equal(c.reps, 1);
    (void)abi_uncertain(a, "status of an unknown register", c.status, HV_STATUS_INVALID_PARAMETER);
    rig_fini(&r);
}

static void statuses_of_refused_registers(struct abi *a)
{
    static const struct {
        const char *question;
        uint32_t name;
        uint64_t value;
        uint16_t status;
    } rows[] = {
        {"status of an unknown register", 0x000fffff, 0, HV_STATUS_INVALID_PARAMETER},
        {"status of an unknown register", UINT32_MAX, 0, HV_STATUS_INVALID_PARAMETER},
        {"status of a bad register value", HV_X64_REGISTER_CR0, UINT64_MAX, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a bad register value", HV_X64_REGISTER_CR4, UINT64_MAX, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a bad register value", HV_X64_REGISTER_EFER, UINT64_MAX, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a bad register value", HV_X64_REGISTER_CR8, 16, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a bad register value", HV_X64_REGISTER_XFEM, 0, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a bad register value", HV_X64_REGISTER_PAT, 2, HV_STATUS_INVALID_REGISTER_VALUE},
        {"RFLAGS with bit 1 clear", HV_X64_REGISTER_RFLAGS, 0, HV_STATUS_INVALID_REGISTER_VALUE},
        {"status of a read-only register", HV_REGISTER_VP_INDEX, 3, HV_STATUS_INVALID_PARAMETER},
        {"status of a read-only register", HV_REGISTER_TIME_REF_COUNT, 3, HV_STATUS_INVALID_PARAMETER},
        {"NMIs announced as deliverable with local APICs", HV_REGISTER_DELIVERABILITY_NOTIFICATIONS,
         HV_DELIVERABILITY_NMI, HV_STATUS_INVALID_PARAMETER},
        {"interrupts announced as deliverable with local APICs", HV_REGISTER_DELIVERABILITY_NOTIFICATIONS,
         HV_DELIVERABILITY_INTERRUPT, HV_STATUS_INVALID_PARAMETER},
    };
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        union hv_register_value v = {.reg64 = rows[i].value};
        uint16_t status = abi_set_register(a, r.vp, 0, rows[i].name, v);
        (void)abi_uncertain(a, rows[i].question, status, rows[i].status);
    }
    rig_fini(&r);
}

/* SINTs may be asked for although there are local APICs. */
static void sints_can_be_announced(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_set64(a, r.vp, 0, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS, UINT64_C(4) << HV_DELIVERABILITY_SINTS_SHIFT);
    assert_true(abi_get64(a, r.vp, 0, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS) ==
                UINT64_C(4) << HV_DELIVERABILITY_SINTS_SHIFT);
    rig_fini(&r);
}

static void only_vtl_0_is_there(struct abi *a)
{
    static const struct {
        uint8_t vtl;
        bool good;
    } rows[] = {{0, true}, {0x10, true}, {0x11, false}, {0x1f, false}, {0x20, false}, {0x80, false}};
    union hv_register_value out;
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        struct get_input in = {.head = {.input_vtl = rows[i].vtl}, .name = {HV_X64_REGISTER_RIP}};
        struct abi_call c = get_many(&r, &in, 1, &out);
        if (rows[i].good)
            assert_int_equal(c.result, 0);
        else
            (void)abi_uncertain(a, "status of another VTL", c.status, HV_STATUS_INVALID_PARAMETER);
    }
    rig_fini(&r);
}

/* Read-only or counted by the hypervisor: they can be read at any time. */
static void the_hypervisors_own_registers_can_be_read(struct abi *a)
{
    static const uint32_t names[] = {
        HV_REGISTER_HYPERVISOR_VERSION,
        HV_REGISTER_PRIVILEGES_AND_FEATURES_INFO,
        HV_REGISTER_FEATURES_INFO,
        HV_REGISTER_IMPLEMENTATION_LIMITS_INFO,
        HV_REGISTER_HARDWARE_FEATURES_INFO,
        HV_REGISTER_VP_RUNTIME,
        HV_REGISTER_VP_INDEX,
        HV_REGISTER_TIME_REF_COUNT,
        HV_REGISTER_EXPLICIT_SUSPEND,
        HV_REGISTER_INTERCEPT_SUSPEND,
        HV_REGISTER_DISPATCH_SUSPEND,
        HV_REGISTER_INSTRUCTION_EMULATION_HINTS,
        HV_X64_REGISTER_MSR_MTRR_CAP,
        HV_X64_REGISTER_INITIAL_APIC_ID,
        HV_X64_REGISTER_APIC_ID,
        HV_X64_REGISTER_APIC_VERSION,
        HV_REGISTER_SVERSION,
    };
    union hv_register_value v;
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(names); i++)
        assert_int_equal(abi_get_register(a, r.vp, 0, names[i], &v), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_REGISTER_HYPERVISOR_VERSION, &v), HV_STATUS_SUCCESS);
    assert_int_not_equal(v.reg32, 0); /* the build number */
    rig_fini(&r);
}

/* The hypercall page is the partition's: what VP 0 is given, all have. */
static void the_hypercall_register_is_shared(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    int other = abi_new_vp(a, r.partition, 1);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_HYPERCALL, 0x5001); /* before GUEST_OS_ID: a client restoring */
    assert_int_equal(abi_get64(a, other, 1, HV_X64_REGISTER_HYPERCALL), 0x5001);
    abi_close(a, other);
    rig_fini(&r);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(registers_keep_what_they_are_given),
        ABI_CASE(vector_registers_have_128_bits),
        ABI_CASE(floating_point_registers_have_80_bits),
        ABI_CASE(floating_point_control_has_its_fields),
        ABI_CASE(zero_is_taken_for_fcw_and_mxcsr),
        ABI_CASE(segments_have_base_limit_selector_and_attributes),
        ABI_CASE(tables_have_base_and_limit),
        ABI_CASE(control_registers_come_in_any_order),
        ABI_CASE(pending_events_are_kept),
        ABI_CASE(sets_of_clients_come_back_whole),
        ABI_CASE(a_full_put_is_taken_again_and_again),
        ABI_CASE(as_many_as_fit_in_a_page),
        ABI_CASE(a_bad_element_ends_the_call),
        ABI_CASE(a_bad_name_ends_reading),
        ABI_CASE(statuses_of_refused_registers),
        ABI_CASE(sints_can_be_announced),
        ABI_CASE(only_vtl_0_is_there),
        ABI_CASE(the_hypervisors_own_registers_can_be_read),
        ABI_CASE(the_hypercall_register_is_shared),
    };
    return ABI_MAIN(cases);
}
