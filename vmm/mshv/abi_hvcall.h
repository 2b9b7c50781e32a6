/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_HVCALL_H
#define CAISSON_VMM_MSHV_ABI_HVCALL_H

/*
 * Hypercalls behind MSHV_ROOT_HVCALL: codes, statuses, properties, and the layout of inputs and outputs. Included by
 * vmm/mshv/abi.h, which defines ABI_SIZE and ABI_AT. The first 8 input bytes are the partition's id; the driver puts it
 * there. A rep call's elements follow its input structure.
 */

#include <stdint.h>

enum hv_call {
#define HV_CALL(name, code) name = (code),
#include "vmm/mshv/abi_hvcall.def"
};

enum hv_status {
#define HV_STATUS_CODE(name, value, error) name = (value),
#include "vmm/mshv/abi_hvcall.def"
};

enum hv_property {
#define HV_PROPERTY(name, code) name = (code),
#include "vmm/mshv/abi_hvcall.def"
};

#define HV_PARTITION_ID_SELF UINT64_MAX
#define HV_ANY_VP            UINT32_MAX /* vp_index of HVCALL_REGISTER_INTERCEPT_RESULT */

/* ---- Control word and result word of a hypercall ----------------------------------------------------------------- */

#define HV_CONTROL_CODE_MASK       UINT64_C(0xffff)
#define HV_CONTROL_FAST            (UINT64_C(1) << 16)
#define HV_CONTROL_VARHEAD_SHIFT   17 /* 10 bits, in units of 8 bytes */
#define HV_CONTROL_VARHEAD_MASK    UINT64_C(0x7fe0000)
#define HV_CONTROL_NESTED          (UINT64_C(1) << 31)
#define HV_CONTROL_REPS_SHIFT      32 /* 12 bits */
#define HV_CONTROL_REP_START_SHIFT 48 /* 12 bits */
#define HV_CONTROL_REP_MASK        UINT64_C(0xfff)
#define HV_CONTROL_RESERVED        UINT64_C(0xf000f00078000000)
#define HV_RESULT_STATUS_MASK      UINT64_C(0xffff)
#define HV_RESULT_REPS_SHIFT       32

/* ---- Properties -------------------------------------------------------------------------------------------------- */

struct hv_input_get_partition_property {
    uint64_t partition_id;
    uint32_t property_code;
    uint32_t padding;
};
ABI_SIZE(struct hv_input_get_partition_property, 16);
ABI_AT(struct hv_input_get_partition_property, property_code, 8);
ABI_AT(struct hv_input_get_partition_property, padding, 12);

struct hv_output_get_partition_property {
    uint64_t property_value;
};
ABI_SIZE(struct hv_output_get_partition_property, 8);

struct hv_input_set_partition_property {
    uint64_t partition_id;
    uint32_t property_code;
    uint32_t padding;
    uint64_t property_value;
};
ABI_SIZE(struct hv_input_set_partition_property, 24);
ABI_AT(struct hv_input_set_partition_property, property_code, 8);
ABI_AT(struct hv_input_set_partition_property, property_value, 16);

struct hv_input_get_partition_property_ex {
    uint64_t partition_id;
    uint32_t property_code;
    uint32_t padding;
    uint64_t arg;
};
ABI_SIZE(struct hv_input_get_partition_property_ex, 24);
ABI_AT(struct hv_input_get_partition_property_ex, property_code, 8);
ABI_AT(struct hv_input_get_partition_property_ex, arg, 16);

#define HV_PARTITION_PROPERTY_EX_BYTES 4072

/* Output for the properties that are made of banks: VMM_CAPABILITIES, ASSIGNABLE_SYNTHETIC_PROC_FEATURES. */
struct hv_output_get_partition_property_ex {
    uint16_t bank_count;
    uint16_t reserved[3];
    uint64_t bank[1];
    uint8_t rest[HV_PARTITION_PROPERTY_EX_BYTES - 16];
};
ABI_SIZE(struct hv_output_get_partition_property_ex, 4072);
ABI_AT(struct hv_output_get_partition_property_ex, bank, 8);

#define HV_VMM_CAPABILITY_MAP_GPA_PRESERVE_ADJUSTABLE        (UINT64_C(1) << 0)
#define HV_VMM_CAPABILITY_VMM_CAN_PROVIDE_OVERLAY_GPFN       (UINT64_C(1) << 1)
#define HV_VMM_CAPABILITY_VP_AFFINITY_PROPERTY               (UINT64_C(1) << 2)
#define HV_VMM_CAPABILITY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES (UINT64_C(1) << 4)
#define HV_VMM_CAPABILITY_VMM_ENABLE_INTEGRATED_SCHEDULER    (UINT64_C(1) << 6)

/* Values of HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, and `action` of an MSR intercept result. */
enum hv_unimplemented_msr_action {
    HV_UNIMPLEMENTED_MSR_ACTION_FAULT = 0,
    HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO = 1
};

/* Values of HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING. */
#define HV_PAGE_ACCESS_TRACKING_ENABLE      UINT64_C(1)
#define HV_PAGE_ACCESS_TRACKING_LARGE_PAGES UINT64_C(2)

/* Values of HV_PARTITION_PROPERTY_PROCESSOR_VENDOR. */
enum hv_processor_vendor { HV_PROCESSOR_VENDOR_AMD = 0, HV_PROCESSOR_VENDOR_INTEL = 1, HV_PROCESSOR_VENDOR_HYGON = 2 };

/* What the driver asks of the hypervisor for a new partition; for reference, no request carries it. */
#define HV_PARTITION_CREATION_SMT_ENABLED_GUEST       (UINT64_C(1) << 0)
#define HV_PARTITION_CREATION_NESTED_VIRTUALIZATION   (UINT64_C(1) << 1)
#define HV_PARTITION_CREATION_GPA_SUPER_PAGES_ENABLED (UINT64_C(1) << 4)
#define HV_PARTITION_CREATION_EXO_PARTITION           (UINT64_C(1) << 8)
#define HV_PARTITION_CREATION_LAPIC_ENABLED           (UINT64_C(1) << 13)
#define HV_PARTITION_CREATION_INTERCEPT_MESSAGE_PAGE  (UINT64_C(1) << 19)
#define HV_PARTITION_CREATION_X2APIC_CAPABLE          (UINT64_C(1) << 22)
#define HV_COMPATIBILITY_21_H2                        0x609u

/* ---- Registers --------------------------------------------------------------------------------------------------- */

#define HV_INPUT_VTL_MASK       0x0fu
#define HV_INPUT_VTL_USE_TARGET 0x10u

/*
 * Head of both calls. GET: uint32_t names follow, the output is a hv_register_value each; SET: hv_register_assoc
 * follow.
 */
struct hv_input_vp_registers {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t input_vtl;
    uint8_t reserved8;
    uint16_t reserved16;
};
ABI_SIZE(struct hv_input_vp_registers, 16);
ABI_AT(struct hv_input_vp_registers, vp_index, 8);
ABI_AT(struct hv_input_vp_registers, input_vtl, 12);
ABI_AT(struct hv_input_vp_registers, reserved8, 13);
ABI_AT(struct hv_input_vp_registers, reserved16, 14);

/* ---- Intercepts -------------------------------------------------------------------------------------------------- */

/* Masks of accesses; the numbers that messages carry are enum hv_intercept_access. */
#define HV_INTERCEPT_ACCESS_MASK_NONE    0u
#define HV_INTERCEPT_ACCESS_MASK_READ    1u
#define HV_INTERCEPT_ACCESS_MASK_WRITE   2u
#define HV_INTERCEPT_ACCESS_MASK_EXECUTE 4u

enum hv_intercept_type {
    HV_INTERCEPT_TYPE_X64_IO_PORT = 0x0,
    HV_INTERCEPT_TYPE_X64_MSR = 0x1,
    HV_INTERCEPT_TYPE_X64_CPUID = 0x2,
    HV_INTERCEPT_TYPE_EXCEPTION = 0x3,
    HV_INTERCEPT_TYPE_MMIO = 0x5,
    HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID = 0x6,
    HV_INTERCEPT_TYPE_X64_APIC_SMI = 0x7,
    HV_INTERCEPT_TYPE_HYPERCALL = 0x8,
    HV_INTERCEPT_TYPE_X64_APIC_INIT_SIPI = 0x9,
    HV_INTERCEPT_TYPE_MC_UPDATE_PATCH_LEVEL_MSR_READ = 0xa,
    HV_INTERCEPT_TYPE_X64_APIC_WRITE = 0xb,
    HV_INTERCEPT_TYPE_X64_MSR_INDEX = 0xc,
    HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION = 0xd,
    HV_INTERCEPT_TYPE_X64_APIC_EOI = 0xe,
    HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE = 0xf,
    HV_INTERCEPT_TYPE_X64_IO_PORT_RANGE = 0x11
};

struct hv_input_install_intercept {
    uint64_t partition_id;
    uint32_t access_type; /* HV_INTERCEPT_ACCESS_MASK_*; 0 removes */
    uint32_t intercept_type;
    uint64_t intercept_parameter; /* port, leaf, vector, MSR index; a range has its end in bits 31:16 */
};
ABI_SIZE(struct hv_input_install_intercept, 24);
ABI_AT(struct hv_input_install_intercept, access_type, 8);
ABI_AT(struct hv_input_install_intercept, intercept_type, 12);
ABI_AT(struct hv_input_install_intercept, intercept_parameter, 16);

/* result = (hypervisor's & ~mask) | (value & mask) */
struct hv_register_x64_cpuid_result_parameters {
    uint32_t input_eax;
    uint32_t input_ecx;
    uint8_t subleaf_specific; /* 0: for every subleaf */
    uint8_t always_override;  /* 1: also where the hypervisor has nothing of its own */
    uint16_t padding;
    uint32_t eax;
    uint32_t eax_mask;
    uint32_t ebx;
    uint32_t ebx_mask;
    uint32_t ecx;
    uint32_t ecx_mask;
    uint32_t edx;
    uint32_t edx_mask;
};
ABI_SIZE(struct hv_register_x64_cpuid_result_parameters, 44);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, input_ecx, 4);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, subleaf_specific, 8);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, always_override, 9);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, padding, 10);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, eax, 12);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, eax_mask, 16);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, ebx, 20);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, ebx_mask, 24);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, ecx, 28);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, ecx_mask, 32);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, edx, 36);
ABI_AT(struct hv_register_x64_cpuid_result_parameters, edx_mask, 40);

struct hv_register_x64_msr_result_parameters {
    uint32_t msr_index;
    uint32_t access_type; /* HV_INTERCEPT_ACCESS_MASK_READ, _WRITE */
    uint32_t action;      /* enum hv_unimplemented_msr_action */
};
ABI_SIZE(struct hv_register_x64_msr_result_parameters, 12);
ABI_AT(struct hv_register_x64_msr_result_parameters, access_type, 4);
ABI_AT(struct hv_register_x64_msr_result_parameters, action, 8);

/* 60 bytes; some programs send 64, having left out the packing. Both are accepted. */
struct hv_input_register_intercept_result {
    uint64_t partition_id;
    uint32_t vp_index; /* or HV_ANY_VP */
    uint32_t intercept_type;
    union {
        struct hv_register_x64_cpuid_result_parameters cpuid;
        struct hv_register_x64_msr_result_parameters msr;
    } parameters;
} __attribute__((packed, aligned(4)));
ABI_SIZE(struct hv_input_register_intercept_result, 60);
ABI_AT(struct hv_input_register_intercept_result, vp_index, 8);
ABI_AT(struct hv_input_register_intercept_result, intercept_type, 12);
ABI_AT(struct hv_input_register_intercept_result, parameters, 16);
#define HV_REGISTER_INTERCEPT_RESULT_UNPACKED_BYTES 64u

/* Rep call. The elements that follow are struct hv_cpuid_leaf_info, the output is a struct hv_cpuid_result each. */
#define HV_GET_VP_CPUID_USE_VP_XFEM_XSS         1u
#define HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT 2u
struct hv_input_get_vp_cpuid_values {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t flags;
    uint32_t reserved;
    uint32_t padding;
};
ABI_SIZE(struct hv_input_get_vp_cpuid_values, 24);
ABI_AT(struct hv_input_get_vp_cpuid_values, vp_index, 8);
ABI_AT(struct hv_input_get_vp_cpuid_values, flags, 12);
ABI_AT(struct hv_input_get_vp_cpuid_values, reserved, 16);
ABI_AT(struct hv_input_get_vp_cpuid_values, padding, 20);

/* uncertain: the specification's page shows only the first 8 bytes; the programs that use the call send 24. */
struct hv_cpuid_leaf_info {
    uint32_t eax;
    uint32_t ecx;
    uint64_t xfem;
    uint64_t xss;
};
ABI_SIZE(struct hv_cpuid_leaf_info, 24);
ABI_AT(struct hv_cpuid_leaf_info, ecx, 4);
ABI_AT(struct hv_cpuid_leaf_info, xfem, 8);
ABI_AT(struct hv_cpuid_leaf_info, xss, 16);

struct hv_cpuid_result {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};
ABI_SIZE(struct hv_cpuid_result, 16);
ABI_AT(struct hv_cpuid_result, ebx, 4);
ABI_AT(struct hv_cpuid_result, ecx, 8);
ABI_AT(struct hv_cpuid_result, edx, 12);

/* ---- Interrupts and SynIC ---------------------------------------------------------------------------------------- */

/* 0..7 are the delivery modes of an MSI or of the ICR. */
enum hv_interrupt_type {
    HV_X64_INTERRUPT_TYPE_FIXED = 0,
    HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY = 1,
    HV_X64_INTERRUPT_TYPE_SMI = 2,
    HV_X64_INTERRUPT_TYPE_REMOTEREAD = 3,
    HV_X64_INTERRUPT_TYPE_NMI = 4,
    HV_X64_INTERRUPT_TYPE_INIT = 5,
    HV_X64_INTERRUPT_TYPE_SIPI = 6,
    HV_X64_INTERRUPT_TYPE_EXTINT = 7,
    HV_X64_INTERRUPT_TYPE_LOCALINT0 = 8,
    HV_X64_INTERRUPT_TYPE_LOCALINT1 = 9,
    HV_X64_INTERRUPT_TYPE_COUNT = 10
};

#define HV_INTERRUPT_CONTROL_TYPE_MASK       UINT64_C(0xffffffff)
#define HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED (UINT64_C(1) << 32)
#define HV_INTERRUPT_CONTROL_LOGICAL_DEST    (UINT64_C(1) << 33)

struct hv_input_assert_virtual_interrupt {
    uint64_t partition_id;
    uint64_t control;   /* enum hv_interrupt_type | HV_INTERRUPT_CONTROL_* */
    uint64_t dest_addr; /* APIC id, physical or logical */
    uint32_t vector;
    uint8_t target_vtl;
    uint8_t rsvd_z0;
    uint16_t rsvd_z1;
};
ABI_SIZE(struct hv_input_assert_virtual_interrupt, 32);
ABI_AT(struct hv_input_assert_virtual_interrupt, control, 8);
ABI_AT(struct hv_input_assert_virtual_interrupt, dest_addr, 16);
ABI_AT(struct hv_input_assert_virtual_interrupt, vector, 24);
ABI_AT(struct hv_input_assert_virtual_interrupt, target_vtl, 28);
ABI_AT(struct hv_input_assert_virtual_interrupt, rsvd_z0, 29);
ABI_AT(struct hv_input_assert_virtual_interrupt, rsvd_z1, 30);

/* Takes an asserted ExtINT back. */
struct hv_input_clear_virtual_interrupt {
    uint64_t partition_id;
};
ABI_SIZE(struct hv_input_clear_virtual_interrupt, 8);

struct hv_input_signal_event_direct {
    uint64_t target_partition;
    uint32_t target_vp;
    uint8_t target_vtl;
    uint8_t target_sint;
    uint16_t flag_number;
};
ABI_SIZE(struct hv_input_signal_event_direct, 16);
ABI_AT(struct hv_input_signal_event_direct, target_vp, 8);
ABI_AT(struct hv_input_signal_event_direct, target_vtl, 12);
ABI_AT(struct hv_input_signal_event_direct, target_sint, 13);
ABI_AT(struct hv_input_signal_event_direct, flag_number, 14);

struct hv_output_signal_event_direct {
    uint8_t newly_signaled;
    uint8_t reserved[7];
};
ABI_SIZE(struct hv_output_signal_event_direct, 8);

/* uncertain: the specification's page has sint at 13 and the message at 16; both programs that use the call do this. */
struct hv_input_post_message_direct {
    uint64_t partition_id;
    uint32_t vp_index;
    uint8_t vtl;
    uint8_t padding[3];
    uint32_t sint_index;
    uint8_t message[256]; /* struct hv_message */
    uint32_t padding2;
};
ABI_SIZE(struct hv_input_post_message_direct, 280);
ABI_AT(struct hv_input_post_message_direct, vp_index, 8);
ABI_AT(struct hv_input_post_message_direct, vtl, 12);
ABI_AT(struct hv_input_post_message_direct, sint_index, 16);
ABI_AT(struct hv_input_post_message_direct, message, 20);
ABI_AT(struct hv_input_post_message_direct, padding2, 276);

/* ---- Translation and guest memory -------------------------------------------------------------------------------- */

#define HV_TRANSLATE_GVA_VALIDATE_READ       UINT64_C(0x0001)
#define HV_TRANSLATE_GVA_VALIDATE_WRITE      UINT64_C(0x0002)
#define HV_TRANSLATE_GVA_VALIDATE_EXECUTE    UINT64_C(0x0004)
#define HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT    UINT64_C(0x0008)
#define HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS UINT64_C(0x0010)
#define HV_TRANSLATE_GVA_TLB_FLUSH_INHIBIT   UINT64_C(0x0020)
#define HV_TRANSLATE_GVA_SUPERVISOR_ACCESS   UINT64_C(0x0040)
#define HV_TRANSLATE_GVA_USER_ACCESS         UINT64_C(0x0080)
#define HV_TRANSLATE_GVA_ENFORCE_SMAP        UINT64_C(0x0100)
#define HV_TRANSLATE_GVA_OVERRIDE_SMAP       UINT64_C(0x0200)
#define HV_TRANSLATE_GVA_SHADOW_STACK        UINT64_C(0x0400)
#define HV_TRANSLATE_GVA_INPUT_VTL_MASK      UINT64_C(0xff00000000000000)

struct hv_input_translate_virtual_address {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t padding;
    uint64_t control_flags;
    uint64_t gva_page; /* GVA >> 12 */
};
ABI_SIZE(struct hv_input_translate_virtual_address, 32);
ABI_AT(struct hv_input_translate_virtual_address, vp_index, 8);
ABI_AT(struct hv_input_translate_virtual_address, control_flags, 16);
ABI_AT(struct hv_input_translate_virtual_address, gva_page, 24);

enum hv_translate_gva_result_code {
    HV_TRANSLATE_GVA_SUCCESS = 0,
    HV_TRANSLATE_GVA_PAGE_NOT_PRESENT = 1,
    HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION = 2,
    HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS = 3,
    HV_TRANSLATE_GVA_GPA_UNMAPPED = 4,
    HV_TRANSLATE_GVA_GPA_NO_READ_ACCESS = 5,
    HV_TRANSLATE_GVA_GPA_NO_WRITE_ACCESS = 6,
    HV_TRANSLATE_GVA_GPA_ILLEGAL_OVERLAY_ACCESS = 7,
    HV_TRANSLATE_GVA_INTERCEPT = 8,
    HV_TRANSLATE_GVA_GPA_UNACCEPTED = 9
};

#define HV_TRANSLATE_GVA_CACHE_TYPE_MASK 0xffu
#define HV_TRANSLATE_GVA_OVERLAY_PAGE    0x100u

/* The call succeeds when the translation does not; result_code has the reason. */
struct hv_output_translate_virtual_address {
    uint32_t result_code;
    uint32_t attributes; /* HV_TRANSLATE_GVA_CACHE_TYPE_MASK, HV_TRANSLATE_GVA_OVERLAY_PAGE */
    uint64_t gpa_page;
};
ABI_SIZE(struct hv_output_translate_virtual_address, 16);
ABI_AT(struct hv_output_translate_virtual_address, attributes, 4);
ABI_AT(struct hv_output_translate_virtual_address, gpa_page, 8);

#define HV_READ_WRITE_GPA_MAX_BYTES   16u
#define HV_ACCESS_GPA_CACHE_TYPE_MASK UINT64_C(0xff)

struct hv_input_read_gpa {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t byte_count;
    uint64_t base_gpa;
    uint64_t control_flags;
};
ABI_SIZE(struct hv_input_read_gpa, 32);
ABI_AT(struct hv_input_read_gpa, vp_index, 8);
ABI_AT(struct hv_input_read_gpa, byte_count, 12);
ABI_AT(struct hv_input_read_gpa, base_gpa, 16);
ABI_AT(struct hv_input_read_gpa, control_flags, 24);

enum hv_access_gpa_result_code {
    HV_ACCESS_GPA_SUCCESS = 0,
    HV_ACCESS_GPA_UNMAPPED = 1,
    HV_ACCESS_GPA_READ_INTERCEPT = 2,
    HV_ACCESS_GPA_WRITE_INTERCEPT = 3,
    HV_ACCESS_GPA_ILLEGAL_OVERLAY_ACCESS = 4
};

struct hv_output_read_gpa {
    uint32_t result_code;
    uint32_t reserved;
    uint8_t data[16];
};
ABI_SIZE(struct hv_output_read_gpa, 24);
ABI_AT(struct hv_output_read_gpa, data, 8);

struct hv_input_write_gpa {
    uint64_t partition_id;
    uint32_t vp_index;
    uint32_t byte_count;
    uint64_t base_gpa;
    uint64_t control_flags;
    uint8_t data[16];
};
ABI_SIZE(struct hv_input_write_gpa, 48);
ABI_AT(struct hv_input_write_gpa, vp_index, 8);
ABI_AT(struct hv_input_write_gpa, byte_count, 12);
ABI_AT(struct hv_input_write_gpa, base_gpa, 16);
ABI_AT(struct hv_input_write_gpa, control_flags, 24);
ABI_AT(struct hv_input_write_gpa, data, 32);

struct hv_output_write_gpa {
    uint32_t result_code;
    uint32_t reserved;
};
ABI_SIZE(struct hv_output_write_gpa, 8);

#define HV_PAGE_ACCESS_CLEAR_ACCESSED UINT64_C(1)
#define HV_PAGE_ACCESS_SET_ACCESSED   UINT64_C(2)
#define HV_PAGE_ACCESS_CLEAR_DIRTY    UINT64_C(4)
#define HV_PAGE_ACCESS_SET_DIRTY      UINT64_C(8)

/* Rep call over consecutive pages; the output is a byte for each, HV_PAGE_STATE_*, as it was before the operation. */
struct hv_input_get_gpa_pages_access_state {
    uint64_t partition_id;
    uint64_t flags; /* HV_PAGE_ACCESS_* */
    uint64_t gpa_page_number;
};
ABI_SIZE(struct hv_input_get_gpa_pages_access_state, 24);
ABI_AT(struct hv_input_get_gpa_pages_access_state, flags, 8);
ABI_AT(struct hv_input_get_gpa_pages_access_state, gpa_page_number, 16);
#define HV_PAGE_STATE_ACCESSED 0x01u
#define HV_PAGE_STATE_DIRTY    0x02u

#endif
