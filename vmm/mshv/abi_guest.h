/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_GUEST_H
#define CAISSON_VMM_MSHV_ABI_GUEST_H

/*
 * What a guest in a child partition meets: CPUID leaves, synthetic MSRs, pages that overlay its memory, and the inputs
 * of the hypercalls it makes itself. Source: Hypervisor Top-Level Functional Specification. Included by abi.h.
 */

#include <stdint.h>

/* ---- CPUID ------------------------------------------------------------------------------------------------------- */

#define HV_CPUID_VENDOR_AND_MAX          0x40000000u
#define HV_CPUID_INTERFACE               0x40000001u
#define HV_CPUID_VERSION                 0x40000002u
#define HV_CPUID_FEATURES                0x40000003u
#define HV_CPUID_ENLIGHTMENT_INFO        0x40000004u
#define HV_CPUID_IMPLEMENTATION_LIMITS   0x40000005u
#define HV_CPUID_HARDWARE_FEATURES       0x40000006u
#define HV_CPUID_CPU_MANAGEMENT_FEATURES 0x40000007u
#define HV_CPUID_SVM_FEATURES            0x40000008u
#define HV_CPUID_NESTED_FEATURES         0x4000000au
#define HV_CPUID_ISOLATION_CONFIG        0x4000000cu

#define HV_CPUID_SIGNATURE_EBX 0x7263694du /* "Microsoft Hv" */
#define HV_CPUID_SIGNATURE_ECX 0x666f736fu
#define HV_CPUID_SIGNATURE_EDX 0x76482074u
#define HV_CPUID_INTERFACE_EAX 0x31237648u /* "Hv#1" */

/* Leaf 3, EAX and EBX as one 64-bit word: what the partition may use. */
#define HV_PRIVILEGE_VP_RUNTIME              (UINT64_C(1) << 0)
#define HV_PRIVILEGE_TIME_REF_COUNT          (UINT64_C(1) << 1)
#define HV_PRIVILEGE_SYNIC                   (UINT64_C(1) << 2)
#define HV_PRIVILEGE_SYNTIMER                (UINT64_C(1) << 3)
#define HV_PRIVILEGE_APIC_ACCESS             (UINT64_C(1) << 4)
#define HV_PRIVILEGE_HYPERCALL               (UINT64_C(1) << 5)
#define HV_PRIVILEGE_VP_INDEX                (UINT64_C(1) << 6)
#define HV_PRIVILEGE_RESET                   (UINT64_C(1) << 7)
#define HV_PRIVILEGE_STATS                   (UINT64_C(1) << 8)
#define HV_PRIVILEGE_REFERENCE_TSC           (UINT64_C(1) << 9)
#define HV_PRIVILEGE_GUEST_IDLE              (UINT64_C(1) << 10)
#define HV_PRIVILEGE_FREQUENCY               (UINT64_C(1) << 11)
#define HV_PRIVILEGE_DEBUG                   (UINT64_C(1) << 12)
#define HV_PRIVILEGE_REENLIGHTENMENT         (UINT64_C(1) << 13)
#define HV_PRIVILEGE_ROOT_SCHEDULER          (UINT64_C(1) << 14)
#define HV_PRIVILEGE_TSC_INVARIANT           (UINT64_C(1) << 15)
#define HV_PRIVILEGE_CREATE_PARTITIONS       (UINT64_C(1) << 32)
#define HV_PRIVILEGE_PARTITION_ID            (UINT64_C(1) << 33)
#define HV_PRIVILEGE_MEMORY_POOL             (UINT64_C(1) << 34)
#define HV_PRIVILEGE_POST_MESSAGES           (UINT64_C(1) << 36)
#define HV_PRIVILEGE_SIGNAL_EVENTS           (UINT64_C(1) << 37)
#define HV_PRIVILEGE_CREATE_PORT             (UINT64_C(1) << 38)
#define HV_PRIVILEGE_CONNECT_PORT            (UINT64_C(1) << 39)
#define HV_PRIVILEGE_ACCESS_STATS            (UINT64_C(1) << 40)
#define HV_PRIVILEGE_DEBUGGING               (UINT64_C(1) << 43)
#define HV_PRIVILEGE_CPU_MANAGEMENT          (UINT64_C(1) << 44)
#define HV_PRIVILEGE_EXTENDED_GVA_RANGES     (UINT64_C(1) << 47)
#define HV_PRIVILEGE_VSM                     (UINT64_C(1) << 48)
#define HV_PRIVILEGE_VP_REGISTERS            (UINT64_C(1) << 49)
#define HV_PRIVILEGE_FAST_HYPERCALL_OUTPUT   (UINT64_C(1) << 51)
#define HV_PRIVILEGE_EXTENDED_HYPERCALLS     (UINT64_C(1) << 52)
#define HV_PRIVILEGE_START_VIRTUAL_PROCESSOR (UINT64_C(1) << 53)
#define HV_PRIVILEGE_ISOLATION               (UINT64_C(1) << 54)

/* Leaf 3, EDX. */
#define HV_FEATURE_EDX_XMM_HYPERCALL_INPUT  (1u << 4)
#define HV_FEATURE_EDX_GUEST_IDLE           (1u << 5)
#define HV_FEATURE_EDX_NUMA_DISTANCE        (1u << 7)
#define HV_FEATURE_EDX_FREQUENCY_MSRS       (1u << 8)
#define HV_FEATURE_EDX_CRASH_MSRS           (1u << 10)
#define HV_FEATURE_EDX_EXTENDED_GVA_RANGES  (1u << 14)
#define HV_FEATURE_EDX_XMM_HYPERCALL_OUTPUT (1u << 15)
#define HV_FEATURE_EDX_SINT_POLLING         (1u << 17)
#define HV_FEATURE_EDX_HYPERCALL_MSR_LOCK   (1u << 18)
#define HV_FEATURE_EDX_DIRECT_STIMER        (1u << 19)
#define HV_FEATURE_EDX_UNHALTED_TIMER       (1u << 23)
#define HV_FEATURE_EDX_IDLE_SPEC_CTRL       (1u << 29)

/* Leaf 4, EAX: recommendations. */
#define HV_HINT_AS_SWITCH              (1u << 0)
#define HV_HINT_LOCAL_TLB_FLUSH        (1u << 1)
#define HV_HINT_REMOTE_TLB_FLUSH       (1u << 2)
#define HV_HINT_APIC_ACCESS            (1u << 3)
#define HV_HINT_SYSTEM_RESET           (1u << 4)
#define HV_HINT_RELAXED_TIMING         (1u << 5)
#define HV_HINT_X2APIC_MSRS            (1u << 8)
#define HV_HINT_DEPRECATING_AEOI       (1u << 9)
#define HV_HINT_CLUSTER_IPI            (1u << 10)
#define HV_HINT_EX_PROCESSOR_MASKS     (1u << 11)
#define HV_HINT_NESTED                 (1u << 12)
#define HV_HINT_ENLIGHTENED_VMCS       (1u << 14)
#define HV_HINT_CORE_SCHEDULER         (1u << 16)
#define HV_HINT_NO_NONARCH_CORESHARING (1u << 18)
#define HV_HINT_USE_X2APIC             (1u << 19)
#define HV_NEVER_NOTIFY_LONG_SPIN_WAIT 0xffffffffu /* leaf 4, EBX */

/* ---- Synthetic MSRs ---------------------------------------------------------------------------------------------- */

#define HV_MSR_GUEST_OS_ID           0x40000000u
#define HV_MSR_HYPERCALL             0x40000001u
#define HV_MSR_VP_INDEX              0x40000002u
#define HV_MSR_RESET                 0x40000003u
#define HV_MSR_VP_RUNTIME            0x40000010u
#define HV_MSR_TIME_REF_COUNT        0x40000020u
#define HV_MSR_REFERENCE_TSC         0x40000021u
#define HV_MSR_TSC_FREQUENCY         0x40000022u
#define HV_MSR_APIC_FREQUENCY        0x40000023u
#define HV_MSR_EOI                   0x40000070u
#define HV_MSR_ICR                   0x40000071u
#define HV_MSR_TPR                   0x40000072u
#define HV_MSR_VP_ASSIST_PAGE        0x40000073u
#define HV_MSR_SCONTROL              0x40000080u
#define HV_MSR_SVERSION              0x40000081u
#define HV_MSR_SIEFP                 0x40000082u
#define HV_MSR_SIMP                  0x40000083u
#define HV_MSR_EOM                   0x40000084u
#define HV_MSR_SIRBP                 0x40000085u
#define HV_MSR_SINT0                 0x40000090u
#define HV_MSR_SINT15                0x4000009fu
#define HV_MSR_STIMER0_CONFIG        0x400000b0u /* config and count alternate */
#define HV_MSR_STIMER0_COUNT         0x400000b1u
#define HV_MSR_STIMER3_COUNT         0x400000b7u
#define HV_MSR_GUEST_IDLE            0x400000f0u
#define HV_MSR_CRASH_P0              0x40000100u
#define HV_MSR_CRASH_P4              0x40000104u
#define HV_MSR_CRASH_CTL             0x40000105u
#define HV_MSR_REENLIGHTENMENT_CTL   0x40000106u
#define HV_MSR_TSC_EMULATION_CONTROL 0x40000107u
#define HV_MSR_TSC_EMULATION_STATUS  0x40000108u
#define HV_MSR_TSC_INVARIANT_CONTROL 0x40000118u

#define HV_MSR_PAGE_ENABLE      UINT64_C(1) /* HYPERCALL, REFERENCE_TSC, VP_ASSIST_PAGE, SIEFP, SIMP: GFN in 63:12 */
#define HV_MSR_PAGE_GFN_SHIFT   12
#define HV_MSR_HYPERCALL_LOCKED UINT64_C(2)
#define HV_MSR_SCONTROL_ENABLE  UINT64_C(1)
#define HV_SYNIC_VERSION        UINT64_C(1)
#define HV_SINT_VECTOR_MASK     UINT64_C(0xff)
#define HV_SINT_MASKED          (UINT64_C(1) << 16)
#define HV_SINT_AUTO_EOI        (UINT64_C(1) << 17)
#define HV_SINT_POLLING         (UINT64_C(1) << 18)
#define HV_SINT_AS_INTERCEPT    (UINT64_C(1) << 19)
#define HV_SINT_PROXY           (UINT64_C(1) << 20)
#define HV_CRASH_CTL_MESSAGE    (UINT64_C(1) << 62)
#define HV_CRASH_CTL_NOTIFY     (UINT64_C(1) << 63)
#define HV_CRASH_MESSAGE_BYTES  4096u

#define HV_STIMER_CONFIG_ENABLE       UINT64_C(0x0001)
#define HV_STIMER_CONFIG_PERIODIC     UINT64_C(0x0002)
#define HV_STIMER_CONFIG_LAZY         UINT64_C(0x0004)
#define HV_STIMER_CONFIG_AUTO_ENABLE  UINT64_C(0x0008)
#define HV_STIMER_CONFIG_VECTOR_SHIFT 4
#define HV_STIMER_CONFIG_VECTOR_MASK  UINT64_C(0x0ff0)
#define HV_STIMER_CONFIG_DIRECT_MODE  UINT64_C(0x1000)
#define HV_STIMER_CONFIG_SINT_SHIFT   16
#define HV_STIMER_CONFIG_SINT_MASK    UINT64_C(0xf0000)

#define HV_REFERENCE_TIME_HZ UINT64_C(10000000)

/* ---- Pages over the guest's memory ------------------------------------------------------------------------------- */

/* time = ((TSC * scale) >> 64) + offset, in 100 ns; sequence 0: use the MSR */
struct hv_reference_tsc_page {
    uint32_t tsc_sequence;
    uint32_t reserved1;
    uint64_t tsc_scale;
    int64_t tsc_offset;
    uint64_t reserved2[509];
};
ABI_SIZE(struct hv_reference_tsc_page, 4096);
ABI_AT(struct hv_reference_tsc_page, tsc_scale, 8);
ABI_AT(struct hv_reference_tsc_page, tsc_offset, 16);

#define HV_VP_ASSIST_NO_EOI_REQUIRED 1u
struct hv_vp_assist_page {
    uint32_t apic_assist; /* HV_VP_ASSIST_NO_EOI_REQUIRED */
    uint32_t reserved1;
    uint8_t vtl_control[24];
    uint64_t nested_control;
    uint8_t enlighten_vm_entry;
    uint8_t reserved2[7];
    uint64_t current_nested_vmcs;
    uint8_t synthetic_time_unhalted_timer_expired;
    uint8_t reserved3[7];
    uint8_t virtualization_fault_information[40];
};
ABI_SIZE(struct hv_vp_assist_page, 104);
ABI_AT(struct hv_vp_assist_page, vtl_control, 8);
ABI_AT(struct hv_vp_assist_page, nested_control, 32);
ABI_AT(struct hv_vp_assist_page, enlighten_vm_entry, 40);
ABI_AT(struct hv_vp_assist_page, current_nested_vmcs, 48);
ABI_AT(struct hv_vp_assist_page, synthetic_time_unhalted_timer_expired, 56);
ABI_AT(struct hv_vp_assist_page, virtualization_fault_information, 64);

/* ---- Inputs of the guest's own hypercalls ------------------------------------------------------------------------ */

#define HV_FLUSH_ALL_PROCESSORS             UINT64_C(1)
#define HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES UINT64_C(2)
#define HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY   UINT64_C(4)
#define HV_FLUSH_USE_EXTENDED_RANGE_FORMAT  UINT64_C(8)
#define HV_FLUSH_RANGE_PAGES_MASK           UINT64_C(0xfff) /* a GVA range: further pages, page address above */

/* The list form is a rep call whose ranges (uint64_t) follow. */
struct hv_input_flush_virtual_address {
    uint64_t address_space; /* CR3 */
    uint64_t flags;
    uint64_t processor_mask;
};
ABI_SIZE(struct hv_input_flush_virtual_address, 24);
ABI_AT(struct hv_input_flush_virtual_address, flags, 8);
ABI_AT(struct hv_input_flush_virtual_address, processor_mask, 16);

enum hv_generic_set_format { HV_GENERIC_SET_SPARSE_4K = 0, HV_GENERIC_SET_ALL = 1 };

/* One uint64_t of 64 VPs follows for each bit of the mask; the control word's variable header counts them. */
struct hv_vp_set {
    uint64_t format; /* enum hv_generic_set_format */
    uint64_t valid_bank_mask;
};
ABI_SIZE(struct hv_vp_set, 16);
ABI_AT(struct hv_vp_set, valid_bank_mask, 8);

struct hv_input_flush_virtual_address_ex {
    uint64_t address_space;
    uint64_t flags;
    struct hv_vp_set vp_set;
};
ABI_SIZE(struct hv_input_flush_virtual_address_ex, 32);
ABI_AT(struct hv_input_flush_virtual_address_ex, flags, 8);
ABI_AT(struct hv_input_flush_virtual_address_ex, vp_set, 16);

#define HV_IPI_LOW_VECTOR  0x10u
#define HV_IPI_HIGH_VECTOR 0xffu
struct hv_input_send_ipi {
    uint32_t vector;
    uint32_t target_vtl; /* the upper 24 bits are reserved */
    uint64_t cpu_mask;
};
ABI_SIZE(struct hv_input_send_ipi, 16);
ABI_AT(struct hv_input_send_ipi, target_vtl, 4);
ABI_AT(struct hv_input_send_ipi, cpu_mask, 8);

struct hv_input_send_ipi_ex {
    uint32_t vector;
    uint32_t target_vtl;
    struct hv_vp_set vp_set;
};
ABI_SIZE(struct hv_input_send_ipi_ex, 24);
ABI_AT(struct hv_input_send_ipi_ex, vp_set, 8);

#endif
