/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_ABI_REGS_H
#define CAISSON_VMM_MSHV_ABI_REGS_H

/*
 * Registers of a virtual processor: names, values, the register page, and the blocks that MSHV_GET_VP_STATE and
 * MSHV_SET_VP_STATE carry. Included by vmm/mshv/abi.h, which defines ABI_SIZE and ABI_AT.
 */

#include <stdint.h>

enum hv_register_name {
#define HV_REGISTER(name, value) name = (value),
#include "vmm/mshv/abi_regs.def"
};

#define HV_X64_REGISTER_APIC_FIRST 0x00084800u /* + x2APIC index 0x02..0x3f */
#define HV_X64_REGISTER_APIC_LAST  0x0008483fu

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Bits of attributes: those of a descriptor. Not present also means unusable. */
#define HV_X64_SEGMENT_TYPE_MASK   0x000fu
#define HV_X64_SEGMENT_NON_SYSTEM  0x0010u
#define HV_X64_SEGMENT_DPL_SHIFT   5u
#define HV_X64_SEGMENT_DPL_MASK    0x0060u
#define HV_X64_SEGMENT_PRESENT     0x0080u
#define HV_X64_SEGMENT_RESERVED    0x0f00u
#define HV_X64_SEGMENT_AVAILABLE   0x1000u
#define HV_X64_SEGMENT_LONG        0x2000u
#define HV_X64_SEGMENT_DEFAULT     0x4000u
#define HV_X64_SEGMENT_GRANULARITY 0x8000u

struct hv_x64_segment_register {
    uint64_t base;
    uint32_t limit; /* in bytes, whatever the granularity bit says */
    uint16_t selector;
    uint16_t attributes;
};
ABI_SIZE(struct hv_x64_segment_register, 16);
ABI_AT(struct hv_x64_segment_register, limit, 8);
ABI_AT(struct hv_x64_segment_register, selector, 12);
ABI_AT(struct hv_x64_segment_register, attributes, 14);

struct hv_x64_table_register {
    uint16_t pad[3];
    uint16_t limit;
    uint64_t base;
};
ABI_SIZE(struct hv_x64_table_register, 16);
ABI_AT(struct hv_x64_table_register, limit, 6);
ABI_AT(struct hv_x64_table_register, base, 8);

struct hv_u128 {
    uint64_t low;
    uint64_t high;
};
ABI_SIZE(struct hv_u128, 16);
ABI_AT(struct hv_u128, high, 8);

struct hv_x64_fp_register {
    uint64_t mantissa;
    uint64_t biased_exponent_sign; /* exponent in bits 14:0, sign in bit 15 */
};
ABI_SIZE(struct hv_x64_fp_register, 16);
ABI_AT(struct hv_x64_fp_register, biased_exponent_sign, 8);

struct hv_x64_fp_control_status_register {
    uint16_t fp_control;
    uint16_t fp_status;
    uint8_t fp_tag; /* one bit for each register, as FXSAVE has it */
    uint8_t reserved;
    uint16_t last_fp_op;
    uint64_t last_fp_rip; /* or EIP in bits 31:0, CS in bits 47:32 */
};
ABI_SIZE(struct hv_x64_fp_control_status_register, 16);
ABI_AT(struct hv_x64_fp_control_status_register, fp_status, 2);
ABI_AT(struct hv_x64_fp_control_status_register, fp_tag, 4);
ABI_AT(struct hv_x64_fp_control_status_register, reserved, 5);
ABI_AT(struct hv_x64_fp_control_status_register, last_fp_op, 6);
ABI_AT(struct hv_x64_fp_control_status_register, last_fp_rip, 8);

struct hv_x64_xmm_control_status_register {
    uint64_t last_fp_rdp;        /* or DP in bits 31:0, DS in bits 47:32 */
    uint32_t xmm_status_control; /* MXCSR */
    uint32_t xmm_status_control_mask;
};
ABI_SIZE(struct hv_x64_xmm_control_status_register, 16);
ABI_AT(struct hv_x64_xmm_control_status_register, xmm_status_control, 8);
ABI_AT(struct hv_x64_xmm_control_status_register, xmm_status_control_mask, 12);

/* Scalars lie at 0; what is above them is ignored when set and zero when read. */
union hv_register_value {
    struct hv_u128 reg128;
    uint64_t reg64;
    uint32_t reg32;
    uint16_t reg16;
    uint8_t reg8;
    struct hv_x64_segment_register segment;
    struct hv_x64_table_register table;
    struct hv_x64_fp_register fp;
    struct hv_x64_fp_control_status_register fp_control_status;
    struct hv_x64_xmm_control_status_register xmm_control_status;
};
ABI_SIZE(union hv_register_value, 16);

struct hv_register_assoc {
    uint32_t name;      /* enum hv_register_name */
    uint32_t reserved1; /* programs leave garbage here and in reserved2: never checked */
    uint64_t reserved2;
    union hv_register_value value;
};
ABI_SIZE(struct hv_register_assoc, 32);
ABI_AT(struct hv_register_assoc, name, 0);
ABI_AT(struct hv_register_assoc, reserved1, 4);
ABI_AT(struct hv_register_assoc, reserved2, 8);
ABI_AT(struct hv_register_assoc, value, 16);

/* ---- Bits of single registers ------------------------------------------------------------------------------------ */

/* EXPLICIT_SUSPEND, INTERCEPT_SUSPEND, DISPATCH_SUSPEND */
#define HV_SUSPENDED UINT64_C(1)

/* INTERNAL_ACTIVITY_STATE */
#define HV_ACTIVITY_STARTUP_SUSPEND UINT64_C(1) /* waits for INIT and SIPI */
#define HV_ACTIVITY_HALT_SUSPEND    UINT64_C(2)
#define HV_ACTIVITY_IDLE_SUSPEND    UINT64_C(4)

/* PENDING_INTERRUPTION */
#define HV_PENDING_INTERRUPTION_PENDING      UINT64_C(0x1)
#define HV_PENDING_INTERRUPTION_TYPE_SHIFT   1
#define HV_PENDING_INTERRUPTION_TYPE_MASK    UINT64_C(0xe)
#define HV_PENDING_INTERRUPTION_ERROR_CODE   UINT64_C(0x10)
#define HV_PENDING_INTERRUPTION_LENGTH_SHIFT 5
#define HV_PENDING_INTERRUPTION_LENGTH_MASK  UINT64_C(0x1e0)
#define HV_PENDING_INTERRUPTION_NESTED       UINT64_C(0x200)
#define HV_PENDING_INTERRUPTION_RESERVED     UINT64_C(0xfc00)
#define HV_PENDING_INTERRUPTION_VECTOR_SHIFT 16
#define HV_PENDING_INTERRUPTION_VECTOR_MASK  UINT64_C(0xffff0000)
#define HV_PENDING_INTERRUPTION_CODE_SHIFT   32

enum hv_pending_interruption_type {
    HV_PENDING_INTERRUPTION_EXT_INT = 0,
    HV_PENDING_INTERRUPTION_NMI = 2,
    HV_PENDING_INTERRUPTION_EXCEPTION = 3,
    HV_PENDING_INTERRUPTION_SOFTWARE_INT = 4,
    HV_PENDING_INTERRUPTION_PRIVILEGED_SW_EXCEPTION = 5,
    HV_PENDING_INTERRUPTION_SW_EXCEPTION = 6
};

/* INTERRUPT_STATE */
#define HV_INTERRUPT_STATE_SHADOW     UINT64_C(1)
#define HV_INTERRUPT_STATE_NMI_MASKED UINT64_C(2)

/* PENDING_EVENT0 and PENDING_EVENT1: the low 64 bits. The high ones hold CR2, DR6 or another parameter. */
#define HV_PENDING_EVENT_PENDING      UINT64_C(0x1)
#define HV_PENDING_EVENT_TYPE_SHIFT   1
#define HV_PENDING_EVENT_TYPE_MASK    UINT64_C(0xe)
#define HV_PENDING_EVENT_ERROR_CODE   UINT64_C(0x100)
#define HV_PENDING_EVENT_VECTOR_SHIFT 16 /* 16 bits; 8 bits at 8 for an external interrupt */
#define HV_PENDING_EVENT_CODE_SHIFT   32
#define HV_PENDING_EVENT_EXT_SHIFT    8

enum hv_pending_event_type {
    HV_PENDING_EVENT_EXCEPTION = 0,
    HV_PENDING_EVENT_MEMORY_INTERCEPT = 1,
    HV_PENDING_EVENT_NESTED_MEMORY_INTERCEPT = 2,
    HV_PENDING_EVENT_VIRTUALIZATION_FAULT = 3,
    HV_PENDING_EVENT_HYPERCALL_OUTPUT = 4,
    HV_PENDING_EVENT_EXT_INT = 5,
    HV_PENDING_EVENT_SHADOW_IPT = 6
};

/* DELIVERABILITY_NOTIFICATIONS */
#define HV_DELIVERABILITY_NMI            UINT64_C(0x1)
#define HV_DELIVERABILITY_INTERRUPT      UINT64_C(0x2)
#define HV_DELIVERABILITY_PRIORITY_SHIFT 2
#define HV_DELIVERABILITY_PRIORITY_MASK  UINT64_C(0x3c)
#define HV_DELIVERABILITY_SINTS_SHIFT    48

/* ---- Register page ----------------------------------------------------------------------------------------------- */

#define HV_VP_REGISTER_PAGE_VERSION 1u

enum hv_register_page_dirty_bit {
    HV_X64_REGISTER_CLASS_GENERAL = 0,
    HV_X64_REGISTER_CLASS_IP = 1,
    HV_X64_REGISTER_CLASS_XMM = 2,
    HV_X64_REGISTER_CLASS_SEGMENT = 3,
    HV_X64_REGISTER_CLASS_FLAGS = 4
};
#define HV_X64_REGISTER_CLASSES 0x1fu

/*
 * Valid while the VP does not run. What a dirty bit names is loaded when it runs next; the rest can only be read.
 * Kernels up to 6.19 declare xmm and all after it 8 bytes lower; the hypervisor fills the page as shown here.
 */
struct hv_vp_register_page {
    uint16_t version;
    uint8_t isvalid;
    uint8_t rsvdz;
    uint32_t dirty;   /* 1 << HV_X64_REGISTER_CLASS_* */
    uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
    uint64_t rip;
    uint64_t rflags;
    uint64_t reserved;
    struct hv_u128 xmm[6];
    struct hv_x64_segment_register segment[6]; /* es cs ss ds fs gs */
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t cr8;
    uint64_t efer;
    uint64_t dr7;
    uint64_t pending_interruption;
    uint64_t interrupt_state;
    uint64_t instruction_emulation_hints; /* bit 0: secure VTL, bit 1: MBEC user-execute control */
    uint64_t xfem;
    uint8_t reserved1[0x100];
    uint8_t interrupt_vector_count; /* of the driver's fast way to inject */
    uint8_t interrupt_vector[7];
};
ABI_SIZE(struct hv_vp_register_page, 696);
ABI_AT(struct hv_vp_register_page, isvalid, 2);
ABI_AT(struct hv_vp_register_page, dirty, 4);
ABI_AT(struct hv_vp_register_page, gpr, 8);
ABI_AT(struct hv_vp_register_page, rip, 136);
ABI_AT(struct hv_vp_register_page, rflags, 144);
ABI_AT(struct hv_vp_register_page, reserved, 152);
ABI_AT(struct hv_vp_register_page, xmm, 160);
ABI_AT(struct hv_vp_register_page, segment, 256);
ABI_AT(struct hv_vp_register_page, cr0, 352);
ABI_AT(struct hv_vp_register_page, cr3, 360);
ABI_AT(struct hv_vp_register_page, cr4, 368);
ABI_AT(struct hv_vp_register_page, cr8, 376);
ABI_AT(struct hv_vp_register_page, efer, 384);
ABI_AT(struct hv_vp_register_page, dr7, 392);
ABI_AT(struct hv_vp_register_page, pending_interruption, 400);
ABI_AT(struct hv_vp_register_page, interrupt_state, 408);
ABI_AT(struct hv_vp_register_page, instruction_emulation_hints, 416);
ABI_AT(struct hv_vp_register_page, xfem, 424);
ABI_AT(struct hv_vp_register_page, reserved1, 432);
ABI_AT(struct hv_vp_register_page, interrupt_vector_count, 688);
ABI_AT(struct hv_vp_register_page, interrupt_vector, 689);

/* ---- VP state ---------------------------------------------------------------------------------------------------- */

/*
 * MSHV_VP_STATE_LAPIC; the request carries 4096 bytes of which this is the start. TPR is not part of it.
 * uncertain: whether apic_id is shifted by 24 in xAPIC mode; no source says so.
 */
struct hv_local_interrupt_controller_state {
    uint32_t apic_id;
    uint32_t apic_version;
    uint32_t apic_ldr;
    uint32_t apic_dfr;
    uint32_t apic_spurious;
    uint32_t apic_isr[8];
    uint32_t apic_tmr[8];
    uint32_t apic_irr[8];
    uint32_t apic_esr;
    uint32_t apic_icr_high;
    uint32_t apic_icr_low;
    uint32_t apic_lvt_timer;
    uint32_t apic_lvt_thermal;
    uint32_t apic_lvt_perfmon;
    uint32_t apic_lvt_lint0;
    uint32_t apic_lvt_lint1;
    uint32_t apic_lvt_error;
    uint32_t apic_lvt_cmci;
    uint32_t apic_error_status;
    uint32_t apic_initial_count;
    uint32_t apic_counter_value;
    uint32_t apic_divide_configuration;
    uint32_t apic_remote_read;
};
ABI_SIZE(struct hv_local_interrupt_controller_state, 176);
ABI_AT(struct hv_local_interrupt_controller_state, apic_version, 4);
ABI_AT(struct hv_local_interrupt_controller_state, apic_ldr, 8);
ABI_AT(struct hv_local_interrupt_controller_state, apic_dfr, 12);
ABI_AT(struct hv_local_interrupt_controller_state, apic_spurious, 16);
ABI_AT(struct hv_local_interrupt_controller_state, apic_isr, 20);
ABI_AT(struct hv_local_interrupt_controller_state, apic_tmr, 52);
ABI_AT(struct hv_local_interrupt_controller_state, apic_irr, 84);
ABI_AT(struct hv_local_interrupt_controller_state, apic_esr, 116);
ABI_AT(struct hv_local_interrupt_controller_state, apic_icr_high, 120);
ABI_AT(struct hv_local_interrupt_controller_state, apic_icr_low, 124);
ABI_AT(struct hv_local_interrupt_controller_state, apic_lvt_timer, 128);
ABI_AT(struct hv_local_interrupt_controller_state, apic_lvt_lint0, 140);
ABI_AT(struct hv_local_interrupt_controller_state, apic_lvt_lint1, 144);
ABI_AT(struct hv_local_interrupt_controller_state, apic_lvt_error, 148);
ABI_AT(struct hv_local_interrupt_controller_state, apic_lvt_cmci, 152);
ABI_AT(struct hv_local_interrupt_controller_state, apic_error_status, 156);
ABI_AT(struct hv_local_interrupt_controller_state, apic_initial_count, 160);
ABI_AT(struct hv_local_interrupt_controller_state, apic_counter_value, 164);
ABI_AT(struct hv_local_interrupt_controller_state, apic_divide_configuration, 168);
ABI_AT(struct hv_local_interrupt_controller_state, apic_remote_read, 172);
#define HV_LAPIC_STATE_BYTES 4096u

/* MSHV_VP_STATE_XSAVE: the legacy region, this header at 512, then components in the compacted form. */
#define HV_XSAVE_HEADER_OFFSET 512u
#define HV_XSAVE_XCOMP_COMPACT (UINT64_C(1) << 63)
struct hv_xsave_header {
    uint64_t xstate_bv;
    uint64_t xcomp_bv;
    uint64_t reserved[6];
};
ABI_SIZE(struct hv_xsave_header, 64);
ABI_AT(struct hv_xsave_header, xcomp_bv, 8);
#define HV_XSAVE_MIN_BYTES 576u

/* MSHV_VP_STATE_SIMP is 16 struct hv_message; MSHV_VP_STATE_SIEFP is 16 of these. */
#define HV_SYNIC_SINT_COUNT     16u
#define HV_SYNIC_STIMER_COUNT   4u
#define HV_SYNIC_FLAGS_PER_SINT 2048u
struct hv_synic_event_flags {
    uint8_t flags[HV_SYNIC_FLAGS_PER_SINT / 8];
};
ABI_SIZE(struct hv_synic_event_flags, 256);

#define HV_STIMER_STATE_UNDELIVERED_MSG_PENDING 0x1u
struct hv_synthetic_timer_state {
    uint32_t flags;
    uint32_t reserved;
    uint64_t config; /* HV_STIMER_CONFIG_* */
    uint64_t count;
    uint64_t adjustment;
    uint64_t undelivered_exp_time;
};
ABI_SIZE(struct hv_synthetic_timer_state, 40);
ABI_AT(struct hv_synthetic_timer_state, config, 8);
ABI_AT(struct hv_synthetic_timer_state, count, 16);
ABI_AT(struct hv_synthetic_timer_state, adjustment, 24);
ABI_AT(struct hv_synthetic_timer_state, undelivered_exp_time, 32);

struct hv_synthetic_timers_state {
    struct hv_synthetic_timer_state timers[HV_SYNIC_STIMER_COUNT];
    uint64_t reserved[5];
};
ABI_SIZE(struct hv_synthetic_timers_state, 200);
ABI_AT(struct hv_synthetic_timers_state, reserved, 160);

#endif
