/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between regs.c (names, hypercalls), regs_kind.c (how each kind of register is read and set) and regs_event.c (those
 * around events). Inside of regs*.c.
 */
#ifndef CAISSON_VMM_SOFTHV_REGS_INT_H
#define CAISSON_VMM_SOFTHV_REGS_INT_H

#include "vmm/softhv/regs.h"

/* How a register is read and set. */
enum softhv_reg_kind {
    SOFTHV_REG_STATE,   /* u64 in struct x86_state; arg: offset */
    SOFTHV_REG_CONTROL, /* u64 in struct softhv_vp_control; arg: offset */
    SOFTHV_REG_RIP,
    SOFTHV_REG_CR2,
    SOFTHV_REG_DR6,
    SOFTHV_REG_CR8,
    SOFTHV_REG_SEGMENT, /* arg: enum x86_segno */
    SOFTHV_REG_TABLE,   /* arg: offset of a struct x86_dtr */
    SOFTHV_REG_XMM,     /* arg: number */
    SOFTHV_REG_FP,      /* arg: i of ST(i) */
    SOFTHV_REG_FP_CONTROL,
    SOFTHV_REG_XMM_CONTROL,
    SOFTHV_REG_ACTIVITY,
    SOFTHV_REG_INTERRUPTION,
    SOFTHV_REG_INTERRUPT_STATE,
    SOFTHV_REG_EVENT0,
    SOFTHV_REG_EVENT1,
    SOFTHV_REG_APIC,  /* arg: x2APIC index */
    SOFTHV_REG_MSR,   /* arg: MSR, by a hook */
    SOFTHV_REG_NAME,  /* by a hook */
    SOFTHV_REG_CPUID, /* arg: leaf; read-only */
    SOFTHV_REG_ZERO,  /* reads 0, takes 0: what belongs to features that are not offered */
    SOFTHV_REG_KINDS
};

/* What a u64 may hold, before it is stored; each check may also change the value (bits that are fixed). */
enum softhv_reg_check {
    SOFTHV_CHECK_NONE,
    SOFTHV_CHECK_READ_ONLY,
    SOFTHV_CHECK_SAME, /* read-only, but giving back what was read is no error: clients restore whole lists */
    SOFTHV_CHECK_BIT0,
    SOFTHV_CHECK_U32,
    SOFTHV_CHECK_CANONICAL,
    SOFTHV_CHECK_RFLAGS,
    SOFTHV_CHECK_CR0,
    SOFTHV_CHECK_CR3,
    SOFTHV_CHECK_CR4,
    SOFTHV_CHECK_EFER,
    SOFTHV_CHECK_XCR0,
    SOFTHV_CHECK_XSS,
    SOFTHV_CHECK_DR7,
    SOFTHV_CHECK_PAT,
    SOFTHV_CHECK_DELIVERABILITY
};

struct softhv_reg_row {
    uint32_t first; /* name; names first to first + count - 1 are alike */
    uint16_t count;
    uint8_t kind;  /* enum softhv_reg_kind */
    uint8_t check; /* enum softhv_reg_check */
    uint32_t arg;  /* of the first */
    uint16_t step; /* added for each following */
};

#define SOFTHV_BAD_VALUE HV_STATUS_INVALID_REGISTER_VALUE

/* One access: arg is that of the very register. */
struct softhv_reg_access {
    const struct softhv_regs_view *v;
    uint32_t name;
    uint32_t arg;
    enum softhv_reg_check check;
};

/* out is zero before. The status is SUCCESS or INVALID_PARAMETER. */
typedef enum hv_status softhv_reg_getter(const struct softhv_reg_access *a, union hv_register_value *out);
typedef enum hv_status softhv_reg_setter(const struct softhv_reg_access *a, const union hv_register_value *in);

struct softhv_reg_ops {
    softhv_reg_getter *get;
    softhv_reg_setter *set;
};

softhv_reg_getter softhv_reg_get_cr2, softhv_reg_get_dr6, softhv_reg_get_activity, softhv_reg_get_interruption,
    softhv_reg_get_interrupt_state, softhv_reg_get_event0, softhv_reg_get_event1;
softhv_reg_setter softhv_reg_set_cr2, softhv_reg_set_dr6, softhv_reg_set_activity, softhv_reg_set_interruption,
    softhv_reg_set_interrupt_state, softhv_reg_set_event0, softhv_reg_set_event1;

extern const struct softhv_reg_ops softhv_reg_ops[SOFTHV_REG_KINDS];

#endif
