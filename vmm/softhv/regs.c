/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names of registers and the two hypercalls over them.
 */
#include "vmm/softhv/regs.h"

#include <string.h>

#include "vmm/softhv/regs_int.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define STATE(field)   offsetof(struct x86_state, field)
#define CONTROL(field) offsetof(struct softhv_vp_control, field)

/*
 * Sorted by name, without overlaps. What is in no row is no register: among others nested SynIC registers (0xA1000 on),
 * and those of the hypervisor's own debugging.
 */
/* clang-format off */
static const struct softhv_reg_row rows[] = {
    /* first name, count, kind, check, argument, step */
    {HV_REGISTER_EXPLICIT_SUSPEND,              1, SOFTHV_REG_CONTROL, SOFTHV_CHECK_BIT0, CONTROL(explicit_suspend), 0},
    {HV_REGISTER_INTERCEPT_SUSPEND,             1, SOFTHV_REG_CONTROL, SOFTHV_CHECK_BIT0,
        CONTROL(intercept_suspend), 0},
    {HV_REGISTER_INSTRUCTION_EMULATION_HINTS,   1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_DISPATCH_SUSPEND,              1, SOFTHV_REG_CONTROL, SOFTHV_CHECK_BIT0, CONTROL(dispatch_suspend), 0},
    {HV_REGISTER_INTERNAL_ACTIVITY_STATE,       1, SOFTHV_REG_ACTIVITY, 0, 0, 0},
    {HV_REGISTER_HYPERVISOR_VERSION,            1, SOFTHV_REG_CPUID, 0, HV_CPUID_VERSION, 0},
    {HV_REGISTER_PRIVILEGES_AND_FEATURES_INFO,  9, SOFTHV_REG_CPUID, 0, HV_CPUID_FEATURES, 1},
    {HV_REGISTER_GUEST_CRASH_P0,                5, SOFTHV_REG_MSR, 0, 0x40000100, 1},
    {HV_REGISTER_GUEST_CRASH_CTL,               1, SOFTHV_REG_MSR, 0, 0x40000105, 0},
    {HV_REGISTER_POWER_STATE_CONFIG_C1,         6, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_PROCESSOR_CLOCK_FREQUENCY,     1, SOFTHV_REG_MSR, SOFTHV_CHECK_READ_ONLY, HV_MSR_TSC_FREQUENCY, 0},
    {HV_REGISTER_INTERRUPT_CLOCK_FREQUENCY,     1, SOFTHV_REG_MSR, SOFTHV_CHECK_READ_ONLY, HV_MSR_APIC_FREQUENCY, 0},
    {HV_REGISTER_GUEST_IDLE,                    1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_DEBUG_DEVICE_OPTIONS,          1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_MEMORY_ZEROING_CONTROL,        1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_PENDING_INTERRUPTION,          1, SOFTHV_REG_INTERRUPTION, 0, 0, 0},
    {HV_REGISTER_INTERRUPT_STATE,               1, SOFTHV_REG_INTERRUPT_STATE, 0, 0, 0},
    {HV_REGISTER_PENDING_EVENT0,                1, SOFTHV_REG_EVENT0, 0, 0, 0},
    {HV_REGISTER_PENDING_EVENT1,                1, SOFTHV_REG_EVENT1, 0, 0, 0},
    {HV_REGISTER_DELIVERABILITY_NOTIFICATIONS,  1, SOFTHV_REG_CONTROL, SOFTHV_CHECK_DELIVERABILITY,
        CONTROL(deliverability), 0},
    {HV_X64_REGISTER_PENDING_DEBUG_EXCEPTION,   1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_RAX,                      16, SOFTHV_REG_STATE, 0, STATE(gpr), 8},
    {HV_X64_REGISTER_RIP,                       1, SOFTHV_REG_RIP, 0, 0, 0},
    {HV_X64_REGISTER_RFLAGS,                    1, SOFTHV_REG_STATE, SOFTHV_CHECK_RFLAGS, STATE(rflags), 0},
    {HV_X64_REGISTER_XMM0,                     16, SOFTHV_REG_XMM, 0, 0, 1},
    {HV_X64_REGISTER_FP_MMX0,                   8, SOFTHV_REG_FP, 0, 0, 1},
    {HV_X64_REGISTER_FP_CONTROL_STATUS,         1, SOFTHV_REG_FP_CONTROL, 0, 0, 0},
    {HV_X64_REGISTER_XMM_CONTROL_STATUS,        1, SOFTHV_REG_XMM_CONTROL, 0, 0, 0},
    {HV_X64_REGISTER_CR0,                       1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR0, STATE(cr0), 0},
    {HV_X64_REGISTER_CR2,                       1, SOFTHV_REG_CR2, 0, 0, 0},
    {HV_X64_REGISTER_CR3,                       1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR3, STATE(cr3), 0},
    {HV_X64_REGISTER_CR4,                       1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR4, STATE(cr4), 0},
    {HV_X64_REGISTER_CR8,                       1, SOFTHV_REG_CR8, 0, 0, 0},
    {HV_X64_REGISTER_XFEM,                      1, SOFTHV_REG_STATE, SOFTHV_CHECK_XCR0, STATE(xcr0), 0},
    {HV_X64_REGISTER_INTERMEDIATE_CR0,          1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR0, STATE(cr0), 0},
    {HV_X64_REGISTER_INTERMEDIATE_CR3,          1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR3, STATE(cr3), 0},
    {HV_X64_REGISTER_INTERMEDIATE_CR4,          1, SOFTHV_REG_STATE, SOFTHV_CHECK_CR4, STATE(cr4), 0},
    {HV_X64_REGISTER_INTERMEDIATE_CR8,          1, SOFTHV_REG_CR8, 0, 0, 0},
    {HV_X64_REGISTER_DR0,                       4, SOFTHV_REG_STATE, 0, STATE(dr), 8},
    {HV_X64_REGISTER_DR6,                       1, SOFTHV_REG_DR6, 0, 0, 0},
    {HV_X64_REGISTER_DR7,                       1, SOFTHV_REG_STATE, SOFTHV_CHECK_DR7, STATE(dr7), 0},
    {HV_X64_REGISTER_ES,                        8, SOFTHV_REG_SEGMENT, 0, X86_ES, 1},
    {HV_X64_REGISTER_IDTR,                      1, SOFTHV_REG_TABLE, 0, STATE(idtr), 0},
    {HV_X64_REGISTER_GDTR,                      1, SOFTHV_REG_TABLE, 0, STATE(gdtr), 0},
    {HV_X64_REGISTER_TSC,                       1, SOFTHV_REG_MSR, 0, 0x10, 0},
    {HV_X64_REGISTER_EFER,                      1, SOFTHV_REG_STATE, SOFTHV_CHECK_EFER, STATE(efer), 0},
    {HV_X64_REGISTER_KERNEL_GS_BASE,            1, SOFTHV_REG_STATE, SOFTHV_CHECK_CANONICAL, STATE(kernel_gs_base), 0},
    {HV_X64_REGISTER_APIC_BASE,                 1, SOFTHV_REG_MSR, 0, 0x1b, 0},
    {HV_X64_REGISTER_PAT,                       1, SOFTHV_REG_STATE, SOFTHV_CHECK_PAT, STATE(pat), 0},
    {HV_X64_REGISTER_SYSENTER_CS,               1, SOFTHV_REG_STATE, 0, STATE(sysenter_cs), 0},
    {HV_X64_REGISTER_SYSENTER_EIP,              1, SOFTHV_REG_STATE, SOFTHV_CHECK_CANONICAL, STATE(sysenter_eip), 0},
    {HV_X64_REGISTER_SYSENTER_ESP,              1, SOFTHV_REG_STATE, SOFTHV_CHECK_CANONICAL, STATE(sysenter_esp), 0},
    {HV_X64_REGISTER_STAR,                      1, SOFTHV_REG_STATE, 0, STATE(star), 0},
    {HV_X64_REGISTER_LSTAR,                     1, SOFTHV_REG_STATE, SOFTHV_CHECK_CANONICAL, STATE(lstar), 0},
    {HV_X64_REGISTER_CSTAR,                     1, SOFTHV_REG_STATE, SOFTHV_CHECK_CANONICAL, STATE(cstar), 0},
    {HV_X64_REGISTER_SFMASK,                    1, SOFTHV_REG_STATE, 0, STATE(sfmask), 0},
    {HV_X64_REGISTER_INITIAL_APIC_ID,           1, SOFTHV_REG_NAME, SOFTHV_CHECK_U32, 0, 0},
    {HV_X64_REGISTER_MSR_MTRR_CAP,              1, SOFTHV_REG_MSR, SOFTHV_CHECK_SAME, 0xfe, 0},
    {HV_X64_REGISTER_MSR_MTRR_DEF_TYPE,         1, SOFTHV_REG_MSR, 0, 0x2ff, 0},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0,      16, SOFTHV_REG_MSR, 0, 0x200, 2},
    {HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0,      16, SOFTHV_REG_MSR, 0, 0x201, 2},
    {HV_X64_REGISTER_MSR_MTRR_FIX64K00000,      1, SOFTHV_REG_MSR, 0, 0x250, 0},
    {HV_X64_REGISTER_MSR_MTRR_FIX16K80000,      2, SOFTHV_REG_MSR, 0, 0x258, 1},
    {HV_X64_REGISTER_MSR_MTRR_FIX4KC0000,       8, SOFTHV_REG_MSR, 0, 0x268, 1},
    {HV_X64_REGISTER_TSC_AUX,                   1, SOFTHV_REG_STATE, SOFTHV_CHECK_U32, STATE(tsc_aux), 0},
    {HV_X64_REGISTER_BNDCFGS,                   1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_DEBUG_CTL,                 1, SOFTHV_REG_MSR, 0, 0x1d9, 0},
    {HV_X64_REGISTER_MCOUNT,                    6, SOFTHV_REG_ZERO, 0, 0, 0}, /* and ACOUNT, SGX_LAUNCH_CONTROL0..3 */
    {HV_X64_REGISTER_SPEC_CTRL,                 1, SOFTHV_REG_MSR, 0, 0x48, 0},
    {HV_X64_REGISTER_PRED_CMD,                  2, SOFTHV_REG_ZERO, 0, 0, 0}, /* and VIRT_SPEC_CTRL */
    {HV_X64_REGISTER_TSC_VIRTUAL_OFFSET,        1, SOFTHV_REG_NAME, 0, 0, 0},
    {HV_X64_REGISTER_TSX_CTRL,                  1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_MC_UPDATE_PATCH_LEVEL,     1, SOFTHV_REG_MSR, SOFTHV_CHECK_SAME, 0x8b, 0},
    {HV_X64_REGISTER_U_XSS,                     1, SOFTHV_REG_STATE, SOFTHV_CHECK_XSS, STATE(xss), 0},
    {HV_X64_REGISTER_U_CET,                     9, SOFTHV_REG_ZERO, 0, 0, 0}, /* to TSC_VIRTUAL_MULTIPLIER */
    {HV_X64_REGISTER_TSC_DEADLINE,              1, SOFTHV_REG_MSR, 0, 0x6e0, 0},
    {HV_X64_REGISTER_TSC_ADJUST,                1, SOFTHV_REG_MSR, 0, 0x3b, 0},
    {HV_X64_REGISTER_PASID,                     4, SOFTHV_REG_ZERO, 0, 0, 0}, /* to XFD_ERR */
    {HV_X64_REGISTER_MSR_IA32_MISC_ENABLE,      1, SOFTHV_REG_MSR, 0, 0x1a0, 0},
    {HV_X64_REGISTER_IA32_FEATURE_CONTROL,      1, SOFTHV_REG_MSR, SOFTHV_CHECK_SAME, 0x3a, 0},
    {HV_X64_REGISTER_IA32_VMX_BASIC,           17, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_PERF_GLOBAL_CTRL,         13, SOFTHV_REG_ZERO, 0, 0, 0}, /* to RTIT_CR3_MATCH */
    {HV_X64_REGISTER_PERF_EVT_SEL0,             8, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_PMC0,                      8, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_FIXED_CTR0,                8, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_RTIT_ADDR0A,               8, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_LBR_TOS,                   4, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_LBR_FROM0,                32, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_LBR_TO0,                  32, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_LBR_INFO0,                32, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_APIC_FIRST,             0x40, SOFTHV_REG_APIC, 0, 0, 1},
    {HV_REGISTER_VP_RUNTIME,                    1, SOFTHV_REG_MSR, SOFTHV_CHECK_READ_ONLY, HV_MSR_VP_RUNTIME, 0},
    {HV_X64_REGISTER_HYPERCALL,                 1, SOFTHV_REG_MSR, 0, HV_MSR_HYPERCALL, 0},
    {HV_REGISTER_GUEST_OS_ID,                   1, SOFTHV_REG_MSR, 0, HV_MSR_GUEST_OS_ID, 0},
    {HV_REGISTER_VP_INDEX,                      1, SOFTHV_REG_MSR, SOFTHV_CHECK_READ_ONLY, HV_MSR_VP_INDEX, 0},
    {HV_REGISTER_TIME_REF_COUNT,                1, SOFTHV_REG_MSR, SOFTHV_CHECK_READ_ONLY, HV_MSR_TIME_REF_COUNT, 0},
    {HV_REGISTER_CPU_MANAGEMENT_VERSION,        1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_SYNTHETIC_EOI,             1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_SYNTHETIC_ICR,             1, SOFTHV_REG_APIC, 0, 0x30, 0},
    {HV_X64_REGISTER_SYNTHETIC_TPR,             1, SOFTHV_REG_APIC, 0, 0x08, 0},
    {HV_REGISTER_VP_ASSIST_PAGE,                1, SOFTHV_REG_MSR, 0, HV_MSR_VP_ASSIST_PAGE, 0},
    {HV_REGISTER_VP_ROOT_SIGNAL_COUNT,          1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_REFERENCE_TSC,                 1, SOFTHV_REG_MSR, 0, HV_MSR_REFERENCE_TSC, 0},
    {HV_REGISTER_VP_CONFIG,                     5, SOFTHV_REG_ZERO, 0, 0, 0}, /* to REG_PAGE */
    {HV_REGISTER_STATS_PARTITION_RETAIL,        4, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_EMULATED_TIMER_PERIOD,     3, SOFTHV_REG_ZERO, 0, 0, 0}, /* to PM_TIMER_ASSIST */
    {HV_X64_REGISTER_SEV_CONTROL,               4, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_SINT0,                        16, SOFTHV_REG_MSR, 0, HV_MSR_SINT0, 1},
    {HV_REGISTER_SCONTROL,                      1, SOFTHV_REG_MSR, 0, HV_MSR_SCONTROL, 0},
    {HV_REGISTER_SVERSION,                      1, SOFTHV_REG_MSR, SOFTHV_CHECK_SAME, HV_MSR_SVERSION, 0},
    {HV_REGISTER_SIEFP,                         1, SOFTHV_REG_MSR, 0, HV_MSR_SIEFP, 0},
    {HV_REGISTER_SIMP,                          1, SOFTHV_REG_MSR, 0, HV_MSR_SIMP, 0},
    {HV_REGISTER_EOM,                           2, SOFTHV_REG_ZERO, 0, 0, 0}, /* and SIRBP */
    {HV_REGISTER_STIMER0_CONFIG,                8, SOFTHV_REG_MSR, 0, 0x400000b0, 1},
    {HV_REGISTER_STIME_UNHALTED_TIMER_CONFIG,   2, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_VSM_CODE_PAGE_OFFSETS,         6, SOFTHV_REG_ZERO, 0, 0, 0}, /* to VSM_PARTITION_CONFIG */
    {HV_REGISTER_VSM_VP_SECURE_CONFIG_VTL0,    15, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_VSM_VP_WAIT_FOR_TLB_LOCK,      1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_REGISTER_ISOLATION_CAPABILITIES,        1, SOFTHV_REG_ZERO, 0, 0, 0},
    {HV_X64_REGISTER_CR_INTERCEPT_CONTROL,      4, SOFTHV_REG_ZERO, 0, 0, 0},
};
/* clang-format on */

static const struct softhv_reg_row *find(uint32_t name)
{
    size_t low = 0, high = COUNT(rows);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (name < rows[mid].first)
            high = mid;
        else if (name - rows[mid].first >= rows[mid].count)
            low = mid + 1;
        else
            return &rows[mid];
    }
    return NULL;
}

static struct softhv_reg_access access_of(const struct softhv_regs_view *v, const struct softhv_reg_row *row,
                                          uint32_t name)
{
    return (struct softhv_reg_access){.v = v,
                                      .name = name,
                                      .arg = row->arg + (name - row->first) * row->step,
                                      .check = (enum softhv_reg_check)row->check};
}

/*
 * uncertain: the status for a name that is no register. The specification says INVALID_PARAMETER; newer hypervisors
 * are said to answer UNKNOWN_REGISTER_NAME.
 */
#define UNKNOWN_NAME HV_STATUS_INVALID_PARAMETER

enum hv_status softhv_regs_get(const struct softhv_regs_view *v, uint32_t name, union hv_register_value *out)
{
    memset(out, 0, sizeof(*out));
    const struct softhv_reg_row *row = find(name);
    if (row == NULL)
        return UNKNOWN_NAME;
    struct softhv_reg_access a = access_of(v, row, name);
    return softhv_reg_ops[row->kind].get(&a, out);
}

enum hv_status softhv_regs_set(const struct softhv_regs_view *v, uint32_t name, const union hv_register_value *value)
{
    const struct softhv_reg_row *row = find(name);
    if (row == NULL)
        return UNKNOWN_NAME;
    struct softhv_reg_access a = access_of(v, row, name);
    return softhv_reg_ops[row->kind].set(&a, value);
}

/* ---- The hypercalls ---- */

/*
 * VTL 0 is the only one: chosen by default (bit 4 clear, whatever bits 3:0 say) or by name.
 * uncertain: the status for another one.
 */
static enum hv_status check_head(const void *in, size_t in_bytes, size_t element, uint16_t reps)
{
    struct hv_input_vp_registers head;
    if (reps == 0 || in_bytes < sizeof(head) || (in_bytes - sizeof(head)) / element < reps)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    memcpy(&head, in, sizeof(head));
    bool other = (head.input_vtl & HV_INPUT_VTL_USE_TARGET) && (head.input_vtl & HV_INPUT_VTL_MASK) != 0;
    if (other || (head.input_vtl & ~(HV_INPUT_VTL_USE_TARGET | HV_INPUT_VTL_MASK)) != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_regs_hvcall_get(const struct softhv_regs_view *v, const void *in, size_t in_bytes, void *out,
                                      size_t out_bytes, uint16_t reps, uint16_t *done)
{
    const uint8_t *names = (const uint8_t *)in + sizeof(struct hv_input_vp_registers);
    *done = 0;
    enum hv_status status = check_head(in, in_bytes, sizeof(uint32_t), reps);
    if (status == HV_STATUS_SUCCESS && out_bytes / sizeof(union hv_register_value) < reps)
        status = HV_STATUS_INVALID_HYPERCALL_INPUT;
    while (status == HV_STATUS_SUCCESS && *done < reps) {
        union hv_register_value value;
        uint32_t name;
        memcpy(&name, names + *done * sizeof(name), sizeof(name));
        status = softhv_regs_get(v, name, &value);
        if (status != HV_STATUS_SUCCESS)
            break;
        memcpy((uint8_t *)out + *done * sizeof(value), &value, sizeof(value));
        ++*done;
    }
    return status;
}

enum hv_status softhv_regs_hvcall_set(const struct softhv_regs_view *v, const void *in, size_t in_bytes, uint16_t reps,
                                      uint16_t *done)
{
    const uint8_t *elements = (const uint8_t *)in + sizeof(struct hv_input_vp_registers);
    *done = 0;
    enum hv_status status = check_head(in, in_bytes, sizeof(struct hv_register_assoc), reps);
    while (status == HV_STATUS_SUCCESS && *done < reps) {
        struct hv_register_assoc e;
        memcpy(&e, elements + *done * sizeof(e), sizeof(e));
        status = softhv_regs_set(v, e.name, &e.value);
        if (status == HV_STATUS_SUCCESS)
            ++*done;
    }
    return status;
}
