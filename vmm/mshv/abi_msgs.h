/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_MSGS_H
#define CAISSON_VMM_MSHV_ABI_MSGS_H

/*
 * Messages: what MSHV_RUN_VP fills in, what the intercept message page shows, and what lies in a SynIC message slot.
 * Offsets of payload fields are relative to the payload, 16 bytes into the message. Included by vmm/mshv/abi.h.
 */

#include <stdint.h>

#include "vmm/mshv/abi_regs.h"

#define HV_MESSAGE_BYTES         256
#define HV_MESSAGE_PAYLOAD_BYTES 240
#define HV_MESSAGE_FLAG_PENDING  0x01u

struct hv_message_header {
    uint32_t message_type; /* HVMSG_* */
    uint8_t payload_size;
    uint8_t message_flags; /* HV_MESSAGE_FLAG_PENDING */
    uint8_t reserved[2];
    uint64_t sender; /* or port id */
};
ABI_SIZE(struct hv_message_header, 16);
ABI_AT(struct hv_message_header, payload_size, 4);
ABI_AT(struct hv_message_header, message_flags, 5);
ABI_AT(struct hv_message_header, sender, 8);

struct hv_message {
    struct hv_message_header header;
    uint8_t payload[HV_MESSAGE_PAYLOAD_BYTES] __attribute__((aligned(8)));
};
ABI_SIZE(struct hv_message, 256);
ABI_AT(struct hv_message, payload, 16);

/* ---- Types ------------------------------------------------------------------------------------------------------- */

#define HVMSG_NONE                           0x00000000u
#define HVMSG_UNMAPPED_GPA                   0x80000000u
#define HVMSG_GPA_INTERCEPT                  0x80000001u
#define HVMSG_UNACCEPTED_GPA                 0x80000003u
#define HVMSG_GPA_ATTRIBUTE_INTERCEPT        0x80000004u
#define HVMSG_ENABLE_PARTITION_VTL_INTERCEPT 0x80000005u
#define HVMSG_TIMER_EXPIRED                  0x80000010u /* only in a guest's SynIC */
#define HVMSG_INVALID_VP_REGISTER_VALUE      0x80000020u
#define HVMSG_UNRECOVERABLE_EXCEPTION        0x80000021u /* triple fault */
#define HVMSG_UNSUPPORTED_FEATURE            0x80000022u
#define HVMSG_TLB_PAGE_SIZE_MISMATCH         0x80000023u
#define HVMSG_IOMMU_FAULT                    0x80000024u
#define HVMSG_OPAQUE_INTERCEPT               0x8000003fu
#define HVMSG_EVENTLOG_BUFFERCOMPLETE        0x80000040u
#define HVMSG_HYPERCALL_INTERCEPT            0x80000050u
#define HVMSG_SYNIC_EVENT_INTERCEPT          0x80000060u
#define HVMSG_SYNIC_SINT_INTERCEPT           0x80000061u
#define HVMSG_SYNIC_SINT_DELIVERABLE         0x80000062u
#define HVMSG_ASYNC_CALL_COMPLETION          0x80000070u
#define HVMSG_SCHEDULER_VP_SIGNAL_BITSET     0x80000100u
#define HVMSG_SCHEDULER_VP_SIGNAL_PAIR       0x80000101u
#define HVMSG_X64_IO_PORT_INTERCEPT          0x80010000u
#define HVMSG_X64_MSR_INTERCEPT              0x80010001u
#define HVMSG_X64_CPUID_INTERCEPT            0x80010002u
#define HVMSG_X64_EXCEPTION_INTERCEPT        0x80010003u
#define HVMSG_X64_APIC_EOI                   0x80010004u
#define HVMSG_X64_LEGACY_FP_ERROR            0x80010005u
/* uncertain: the kernel calls 0x80010006 an IOMMU page request; the specification, a register intercept. */
#define HVMSG_X64_REGISTER_INTERCEPT        0x80010006u
#define HVMSG_X64_HALT                      0x80010007u
#define HVMSG_X64_INTERRUPTION_DELIVERABLE  0x80010008u
#define HVMSG_X64_SIPI_INTERCEPT            0x80010009u
#define HVMSG_X64_RDTSC_INTERCEPT           0x8001000au
#define HVMSG_X64_APIC_SMI_INTERCEPT        0x8001000bu
#define HVMSG_ARM64_RESET_INTERCEPT         0x8001000cu
#define HVMSG_X64_APIC_INIT_SIPI_INTERCEPT  0x8001000du
#define HVMSG_X64_APIC_WRITE_INTERCEPT      0x8001000eu
#define HVMSG_X64_PROXY_INTERRUPT_INTERCEPT 0x8001000fu
#define HVMSG_X64_ISOLATION_CTRL_REG        0x80010010u
#define HVMSG_X64_SNP_GUEST_REQUEST         0x80010011u
#define HVMSG_X64_EXCEPTION_TRAP_INTERCEPT  0x80010012u
#define HVMSG_X64_SEV_VMGEXIT_INTERCEPT     0x80010013u

/* clang-format off */
/* For tables of names: X(suffix of HVMSG_). */
#define HVMSG_LIST(X)                                                                                                \
    X(NONE) X(UNMAPPED_GPA) X(GPA_INTERCEPT) X(UNACCEPTED_GPA) X(GPA_ATTRIBUTE_INTERCEPT)                            \
    X(ENABLE_PARTITION_VTL_INTERCEPT) X(TIMER_EXPIRED) X(INVALID_VP_REGISTER_VALUE) X(UNRECOVERABLE_EXCEPTION)       \
    X(UNSUPPORTED_FEATURE) X(TLB_PAGE_SIZE_MISMATCH) X(IOMMU_FAULT) X(OPAQUE_INTERCEPT) X(EVENTLOG_BUFFERCOMPLETE)   \
    X(HYPERCALL_INTERCEPT) X(SYNIC_EVENT_INTERCEPT) X(SYNIC_SINT_INTERCEPT) X(SYNIC_SINT_DELIVERABLE)                \
    X(ASYNC_CALL_COMPLETION) X(SCHEDULER_VP_SIGNAL_BITSET) X(SCHEDULER_VP_SIGNAL_PAIR) X(X64_IO_PORT_INTERCEPT)      \
    X(X64_MSR_INTERCEPT) X(X64_CPUID_INTERCEPT) X(X64_EXCEPTION_INTERCEPT) X(X64_APIC_EOI) X(X64_LEGACY_FP_ERROR)    \
    X(X64_REGISTER_INTERCEPT) X(X64_HALT) X(X64_INTERRUPTION_DELIVERABLE) X(X64_SIPI_INTERCEPT)                      \
    X(X64_RDTSC_INTERCEPT) X(X64_APIC_SMI_INTERCEPT) X(ARM64_RESET_INTERCEPT) X(X64_APIC_INIT_SIPI_INTERCEPT)        \
    X(X64_APIC_WRITE_INTERCEPT) X(X64_PROXY_INTERRUPT_INTERCEPT) X(X64_ISOLATION_CTRL_REG) X(X64_SNP_GUEST_REQUEST)  \
    X(X64_EXCEPTION_TRAP_INTERCEPT) X(X64_SEV_VMGEXIT_INTERCEPT)
/* clang-format on */

/* ---- What most payloads begin with ------------------------------------------------------------------------------- */

enum hv_intercept_access {
    HV_INTERCEPT_ACCESS_READ = 0, /* IN, RDMSR */
    HV_INTERCEPT_ACCESS_WRITE = 1,
    HV_INTERCEPT_ACCESS_EXECUTE = 2
};

#define HV_X64_INTERCEPT_LENGTH_MASK 0x0fu /* instruction_length_cr8 */
#define HV_X64_INTERCEPT_CR8_SHIFT   4u

#define HV_X64_EXECUTION_CPL_MASK             0x0003u
#define HV_X64_EXECUTION_CR0_PE               0x0004u
#define HV_X64_EXECUTION_CR0_AM               0x0008u
#define HV_X64_EXECUTION_EFER_LMA             0x0010u
#define HV_X64_EXECUTION_DEBUG_ACTIVE         0x0020u
#define HV_X64_EXECUTION_INTERRUPTION_PENDING 0x0040u
#define HV_X64_EXECUTION_VTL_SHIFT            7u
#define HV_X64_EXECUTION_VTL_MASK             0x0780u
#define HV_X64_EXECUTION_ENCLAVE_MODE         0x0800u
#define HV_X64_EXECUTION_INTERRUPT_SHADOW     0x1000u
#define HV_X64_EXECUTION_VIRTUALIZATION_FAULT 0x2000u

struct hv_x64_intercept_message_header {
    uint32_t vp_index;
    uint8_t instruction_length_cr8; /* length in bits 3:0, CR8 in bits 7:4 */
    uint8_t intercept_access_type;  /* enum hv_intercept_access */
    uint16_t execution_state;       /* HV_X64_EXECUTION_* */
    struct hv_x64_segment_register cs_segment;
    uint64_t rip;
    uint64_t rflags;
};
ABI_SIZE(struct hv_x64_intercept_message_header, 40);
ABI_AT(struct hv_x64_intercept_message_header, instruction_length_cr8, 4);
ABI_AT(struct hv_x64_intercept_message_header, intercept_access_type, 5);
ABI_AT(struct hv_x64_intercept_message_header, execution_state, 6);
ABI_AT(struct hv_x64_intercept_message_header, cs_segment, 8);
ABI_AT(struct hv_x64_intercept_message_header, rip, 24);
ABI_AT(struct hv_x64_intercept_message_header, rflags, 32);

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

enum hv_cache_type {
    HV_CACHE_TYPE_UNCACHED = 0,
    HV_CACHE_TYPE_WRITE_COMBINING = 1,
    HV_CACHE_TYPE_WRITE_THROUGH = 4,
    HV_CACHE_TYPE_WRITE_PROTECTED = 5,
    HV_CACHE_TYPE_WRITE_BACK = 6
};

#define HV_X64_MEMORY_ACCESS_GVA_VALID                0x01u
#define HV_X64_MEMORY_ACCESS_GVA_GPA_VALID            0x02u
#define HV_X64_MEMORY_ACCESS_HYPERCALL_OUTPUT_PENDING 0x04u
#define HV_X64_MEMORY_ACCESS_TLB_LOCKED               0x08u
/* uncertain: one program names bit 4 so, the others call it reserved. */
#define HV_X64_MEMORY_ACCESS_SUPERVISOR_SHADOW_STACK 0x10u

#define HV_INSTRUCTION_BYTES 16

/* UNMAPPED_GPA, GPA_INTERCEPT, UNACCEPTED_GPA */
struct hv_x64_memory_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint32_t cache_type; /* enum hv_cache_type */
    uint8_t instruction_byte_count;
    uint8_t memory_access_info; /* HV_X64_MEMORY_ACCESS_* */
    uint8_t tpr_priority;
    uint8_t reserved;
    uint64_t guest_virtual_address;
    uint64_t guest_physical_address; /* bytes; may be rounded down to the page */
    uint8_t instruction_bytes[HV_INSTRUCTION_BYTES];
};
ABI_SIZE(struct hv_x64_memory_intercept_message, 80);
ABI_AT(struct hv_x64_memory_intercept_message, cache_type, 40);
ABI_AT(struct hv_x64_memory_intercept_message, instruction_byte_count, 44);
ABI_AT(struct hv_x64_memory_intercept_message, memory_access_info, 45);
ABI_AT(struct hv_x64_memory_intercept_message, tpr_priority, 46);
ABI_AT(struct hv_x64_memory_intercept_message, guest_virtual_address, 48);
ABI_AT(struct hv_x64_memory_intercept_message, guest_physical_address, 56);
ABI_AT(struct hv_x64_memory_intercept_message, instruction_bytes, 64);

#define HV_X64_IO_PORT_ACCESS_SIZE_MASK 0x07u /* 1, 2, 4 */
#define HV_X64_IO_PORT_STRING_OP        0x08u
#define HV_X64_IO_PORT_REP_PREFIX       0x10u

struct hv_x64_io_port_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint16_t port_number;
    uint8_t access_info; /* HV_X64_IO_PORT_* */
    uint8_t instruction_byte_count;
    uint32_t reserved;
    uint64_t rax;
    uint8_t instruction_bytes[HV_INSTRUCTION_BYTES];
    struct hv_x64_segment_register ds_segment;
    struct hv_x64_segment_register es_segment;
    uint64_t rcx;
    uint64_t rsi;
    uint64_t rdi;
};
ABI_SIZE(struct hv_x64_io_port_intercept_message, 128);
ABI_AT(struct hv_x64_io_port_intercept_message, port_number, 40);
ABI_AT(struct hv_x64_io_port_intercept_message, access_info, 42);
ABI_AT(struct hv_x64_io_port_intercept_message, instruction_byte_count, 43);
ABI_AT(struct hv_x64_io_port_intercept_message, rax, 48);
ABI_AT(struct hv_x64_io_port_intercept_message, instruction_bytes, 56);
ABI_AT(struct hv_x64_io_port_intercept_message, ds_segment, 72);
ABI_AT(struct hv_x64_io_port_intercept_message, es_segment, 88);
ABI_AT(struct hv_x64_io_port_intercept_message, rcx, 104);
ABI_AT(struct hv_x64_io_port_intercept_message, rsi, 112);
ABI_AT(struct hv_x64_io_port_intercept_message, rdi, 120);

/* RDX comes before RAX. */
struct hv_x64_msr_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint32_t msr_number;
    uint32_t reserved;
    uint64_t rdx;
    uint64_t rax;
};
ABI_SIZE(struct hv_x64_msr_intercept_message, 64);
ABI_AT(struct hv_x64_msr_intercept_message, msr_number, 40);
ABI_AT(struct hv_x64_msr_intercept_message, rdx, 48);
ABI_AT(struct hv_x64_msr_intercept_message, rax, 56);

/* Order a, c, d, b. */
struct hv_x64_cpuid_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint64_t rax;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rbx;
    uint64_t default_result_rax;
    uint64_t default_result_rcx;
    uint64_t default_result_rdx;
    uint64_t default_result_rbx;
};
ABI_SIZE(struct hv_x64_cpuid_intercept_message, 104);
ABI_AT(struct hv_x64_cpuid_intercept_message, rax, 40);
ABI_AT(struct hv_x64_cpuid_intercept_message, rcx, 48);
ABI_AT(struct hv_x64_cpuid_intercept_message, rdx, 56);
ABI_AT(struct hv_x64_cpuid_intercept_message, rbx, 64);
ABI_AT(struct hv_x64_cpuid_intercept_message, default_result_rax, 72);
ABI_AT(struct hv_x64_cpuid_intercept_message, default_result_rbx, 96);

#define HV_X64_EXCEPTION_ERROR_CODE_VALID   0x01u
#define HV_X64_EXCEPTION_SOFTWARE_EXCEPTION 0x02u

struct hv_x64_exception_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint16_t exception_vector;
    uint8_t exception_info; /* HV_X64_EXCEPTION_* */
    uint8_t instruction_byte_count;
    uint32_t error_code;
    uint64_t exception_parameter; /* CR2 or DR6 */
    uint64_t reserved;
    uint8_t instruction_bytes[HV_INSTRUCTION_BYTES];
    struct hv_x64_segment_register ds_segment;
    struct hv_x64_segment_register ss_segment;
    uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
};
ABI_SIZE(struct hv_x64_exception_intercept_message, 240);
ABI_AT(struct hv_x64_exception_intercept_message, exception_vector, 40);
ABI_AT(struct hv_x64_exception_intercept_message, exception_info, 42);
ABI_AT(struct hv_x64_exception_intercept_message, instruction_byte_count, 43);
ABI_AT(struct hv_x64_exception_intercept_message, error_code, 44);
ABI_AT(struct hv_x64_exception_intercept_message, exception_parameter, 48);
ABI_AT(struct hv_x64_exception_intercept_message, instruction_bytes, 64);
ABI_AT(struct hv_x64_exception_intercept_message, ds_segment, 80);
ABI_AT(struct hv_x64_exception_intercept_message, ss_segment, 96);
ABI_AT(struct hv_x64_exception_intercept_message, gpr, 112);

/* UNRECOVERABLE_EXCEPTION and X64_HALT */
struct hv_x64_header_only_message {
    struct hv_x64_intercept_message_header header;
};
ABI_SIZE(struct hv_x64_header_only_message, 40);

/* uncertain: without the last 4 bytes in one program, with 12 in place of 4 in another. */
#define HV_X64_HYPERCALL_INTERCEPT_MIN_BYTES 196
struct hv_x64_hypercall_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint64_t rax;
    uint64_t rbx;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t r8;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t xmm[6][2];
    uint32_t flags; /* bit 0: isolated */
    uint32_t reserved;
};
ABI_SIZE(struct hv_x64_hypercall_intercept_message, 200);
ABI_AT(struct hv_x64_hypercall_intercept_message, rax, 40);
ABI_AT(struct hv_x64_hypercall_intercept_message, r8, 72);
ABI_AT(struct hv_x64_hypercall_intercept_message, rdi, 88);
ABI_AT(struct hv_x64_hypercall_intercept_message, xmm, 96);
ABI_AT(struct hv_x64_hypercall_intercept_message, flags, 192);

struct hv_x64_register_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint8_t flags; /* bit 0: memory operand */
    uint8_t reserved8;
    uint16_t reserved16;
    uint32_t register_name;
    uint64_t access_info[2];
};
ABI_SIZE(struct hv_x64_register_intercept_message, 64);
ABI_AT(struct hv_x64_register_intercept_message, flags, 40);
ABI_AT(struct hv_x64_register_intercept_message, register_name, 44);
ABI_AT(struct hv_x64_register_intercept_message, access_info, 48);

enum hv_deliverable_type { HV_DELIVERABLE_INTERRUPT = 0, HV_DELIVERABLE_NMI = 2, HV_DELIVERABLE_EXCEPTION = 3 };

struct hv_x64_interruption_deliverable_message {
    struct hv_x64_intercept_message_header header;
    uint32_t deliverable_type; /* enum hv_deliverable_type */
    uint32_t rsvd;
};
ABI_SIZE(struct hv_x64_interruption_deliverable_message, 48);
ABI_AT(struct hv_x64_interruption_deliverable_message, deliverable_type, 40);

struct hv_x64_sint_deliverable_message {
    struct hv_x64_intercept_message_header header;
    uint16_t deliverable_sints; /* a bit for each SINT */
    uint16_t rsvd16;
    uint32_t rsvd32;
};
ABI_SIZE(struct hv_x64_sint_deliverable_message, 48);
ABI_AT(struct hv_x64_sint_deliverable_message, deliverable_sints, 40);

struct hv_x64_sipi_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint32_t target_vp_index;
    uint32_t vector;
};
ABI_SIZE(struct hv_x64_sipi_intercept_message, 48);
ABI_AT(struct hv_x64_sipi_intercept_message, target_vp_index, 40);
ABI_AT(struct hv_x64_sipi_intercept_message, vector, 44);

/* No intercept header. */
struct hv_x64_apic_eoi_message {
    uint32_t vp_index;
    uint32_t interrupt_vector;
};
ABI_SIZE(struct hv_x64_apic_eoi_message, 8);
ABI_AT(struct hv_x64_apic_eoi_message, interrupt_vector, 4);

struct hv_x64_invalid_vp_register_message {
    uint32_t vp_index;
    uint32_t reserved;
};
ABI_SIZE(struct hv_x64_invalid_vp_register_message, 8);

enum hv_unsupported_feature { HV_UNSUPPORTED_FEATURE_INTERCEPT = 1, HV_UNSUPPORTED_FEATURE_TASK_SWITCH = 2 };

struct hv_x64_unsupported_feature_message {
    uint32_t vp_index;
    uint32_t feature_code; /* enum hv_unsupported_feature */
    uint64_t feature_parameter;
};
ABI_SIZE(struct hv_x64_unsupported_feature_message, 16);
ABI_AT(struct hv_x64_unsupported_feature_message, feature_code, 4);
ABI_AT(struct hv_x64_unsupported_feature_message, feature_parameter, 8);

/* In a SIMP slot, type TIMER_EXPIRED. Times in 100 ns. */
struct hv_timer_message_payload {
    uint32_t timer_index;
    uint32_t reserved;
    uint64_t expiration_time;
    uint64_t delivery_time;
};
ABI_SIZE(struct hv_timer_message_payload, 24);
ABI_AT(struct hv_timer_message_payload, expiration_time, 8);
ABI_AT(struct hv_timer_message_payload, delivery_time, 16);

/* No intercept header; only encrypted partitions. */
struct hv_x64_gpa_attribute_intercept_message {
    uint32_t vp_index;
    uint32_t attributes; /* 4:0 ranges, 5 adjust, 7:6 host visibility, 13:8 memory type */
    uint64_t ranges[29]; /* 10:0 further pages, 11 large page, 63:12 PFN */
};
ABI_SIZE(struct hv_x64_gpa_attribute_intercept_message, 240);
ABI_AT(struct hv_x64_gpa_attribute_intercept_message, attributes, 4);
ABI_AT(struct hv_x64_gpa_attribute_intercept_message, ranges, 8);

struct hv_x64_vmgexit_intercept_message {
    struct hv_x64_intercept_message_header header;
    uint64_t ghcb_msr;
    uint64_t flags; /* bit 0: the GHCB page is valid */
    uint32_t ghcb_usage;
    uint32_t rsvd;
    uint16_t protocol_version;
    uint16_t rsvd16[3];
    uint64_t sw_exit_code;
    uint64_t sw_exit_info1;
    uint64_t sw_exit_info2;
    uint64_t sw_scratch;
};
ABI_SIZE(struct hv_x64_vmgexit_intercept_message, 104);
ABI_AT(struct hv_x64_vmgexit_intercept_message, ghcb_msr, 40);
ABI_AT(struct hv_x64_vmgexit_intercept_message, ghcb_usage, 56);
ABI_AT(struct hv_x64_vmgexit_intercept_message, protocol_version, 64);
ABI_AT(struct hv_x64_vmgexit_intercept_message, sw_exit_code, 72);
ABI_AT(struct hv_x64_vmgexit_intercept_message, sw_scratch, 96);

#endif
