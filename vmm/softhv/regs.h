/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers of a VP by name: HVCALL_GET_VP_REGISTERS and HVCALL_SET_VP_REGISTERS.
 *
 * Registers live in three places: the processor's state, the fields of the hypervisor for this VP (struct
 * softhv_vp_control), and modules reached through hooks (local APIC, other MSRs, CPUID). A constant table, sorted by
 * name, says which.
 *
 * Setting is staged. What is changed is a copy of the processor's state, which the owner takes from the processor
 * before (x86_cpu_get_state) and gives back when the VP runs next, or whenever somebody needs it: softhv_regs_settle,
 * then x86_cpu_set_state. A single register is checked for what it may hold by itself; how CR0, CR3, CR4, EFER and
 * segments go together is judged only then, so they come in any order, and INTERMEDIATE_CR* are the same as CR*. A
 * state that cannot be is kept and can be read and mended; running it gives message INVALID_VP_REGISTER_VALUE.
 * Hooks are not staged: their registers change at once.
 *
 * Side effects do not happen: setting EOI, EOM or ICR sends and completes nothing. Source: TLFS, HvCallSetVpRegisters.
 *
 * Threads: the VP must not run; one thread at a time.
 */
#ifndef CAISSON_VMM_SOFTHV_REGS_H
#define CAISSON_VMM_SOFTHV_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/x86/cpu.h"

/* What the hypervisor knows of a VP besides the processor's state. Plain data; zeroed is a VP free to run. */
struct softhv_vp_control {
    uint64_t explicit_suspend, intercept_suspend, dispatch_suspend; /* HV_SUSPENDED or 0 */
    uint64_t event0[2], event1[2]; /* PENDING_EVENT0 and 1; softhv_regs_take_event moves the first on */
    uint64_t deliverability;       /* DELIVERABILITY_NOTIFICATIONS; the owner clears what it has delivered */
    bool idle;                     /* waits after reading the guest idle MSR */
};

/* What registers may hold; the same for all VPs of a partition. */
struct softhv_regs_limits {
    uint64_t cr4, efer, xcr0, xss; /* bits that exist */
    uint8_t phys_bits;
    bool lapic; /* the partition has local APICs: interrupts and NMIs cannot be announced as deliverable */
};

/* Work the limits out from a partition's processor features. */
void softhv_regs_limits_init(struct softhv_regs_limits *l, const struct x86_features *features, uint8_t phys_bits,
                             bool lapic);

/*
 * Registers that live elsewhere. ctx is that of the view. All return 0, -ENOENT (the partition has no such register)
 * or, when setting, -EINVAL (it cannot hold this value) or -EPERM (it cannot be set). Any may be NULL: no such
 * registers.
 */
struct softhv_regs_ops {
    /* Local APIC, by x2APIC index. softhv_lapic_get_reg, softhv_lapic_set_reg. */
    int (*apic_get)(void *ctx, unsigned index, uint64_t *value);
    int (*apic_set)(void *ctx, unsigned index, uint64_t value);
    /* Bits 7:4 of the task priority. softhv_lapic_cr8, softhv_lapic_set_cr8. */
    int (*cr8_get)(void *ctx, uint64_t *value);
    int (*cr8_set)(void *ctx, uint64_t value);
    /*
     * By MSR number, without regard to the guest's privileges: TSC, APIC_BASE, TSC_ADJUST, TSC_DEADLINE, MTRRs and
     * other ordinary ones, 0x40000000 and up. softhv_msr_read and softhv_msr_write by SOFTHV_BY_VMM. -ENOENT here makes
     * a register that reads 0 and takes 0: clients name all they know in one call.
     */
    int (*msr_get)(void *ctx, uint32_t msr, uint64_t *value);
    int (*msr_set)(void *ctx, uint32_t msr, uint64_t value);
    /* By name, what has no MSR: INITIAL_APIC_ID, TSC_VIRTUAL_OFFSET. */
    int (*name_get)(void *ctx, uint32_t name, uint64_t *value);
    int (*name_set)(void *ctx, uint32_t name, uint64_t value);
    /* CPUID as the guest sees it; for HYPERVISOR_VERSION and the registers like it. */
    int (*cpuid)(void *ctx, uint32_t leaf, struct x86_cpuid_regs *out);
    /* The VP waits for a SIPI from now on, or no longer; the processor's activity in the state follows by itself. */
    void (*set_waiting)(void *ctx, bool waiting);
};

/* One VP, for the functions below. All pointers are borrowed for the call. */
struct softhv_regs_view {
    struct x86_state *state;
    struct softhv_vp_control *control;
    const struct softhv_regs_limits *limits;
    const struct softhv_regs_ops *ops;
    void *ctx;
};

/*
 * Read one register. name: enum hv_register_name, from the client. out: written wholly, what is above the register's
 * width is zero. SUCCESS; INVALID_PARAMETER: no such register, and *out is zero.
 */
enum hv_status softhv_regs_get(const struct softhv_regs_view *v, uint32_t name, union hv_register_value *out);

/*
 * Set one register. What is above its width in *value is ignored. SUCCESS; INVALID_PARAMETER: no such register or
 * read-only; INVALID_REGISTER_VALUE: it cannot hold that. Nothing changes on errors.
 */
enum hv_status softhv_regs_set(const struct softhv_regs_view *v, uint32_t name, const union hv_register_value *value);

/*
 * The two hypercalls. in, in_bytes: a copy of the client's input, struct hv_input_vp_registers and what follows, at
 * any alignment; the partition and VP in it are not looked at, reserved fields neither (clients leave garbage there).
 * reps: elements asked for; *done: those that succeeded, in order; they stay done. out: 16 bytes for each element; what
 * follows the last one done is not written. INVALID_HYPERCALL_INPUT: no elements or buffers too short for them;
 * INVALID_PARAMETER: a VTL other than 0; else the status of the first element that fails.
 */
enum hv_status softhv_regs_hvcall_get(const struct softhv_regs_view *v, const void *in, size_t in_bytes, void *out,
                                      size_t out_bytes, uint16_t reps, uint16_t *done);
enum hv_status softhv_regs_hvcall_set(const struct softhv_regs_view *v, const void *in, size_t in_bytes, uint16_t reps,
                                      uint16_t *done);

/*
 * Make the state ready for x86_cpu_set_state: EFER.LMA follows EFER.LME and CR0.PG.
 */
void softhv_regs_settle(struct x86_state *s);

/*
 * Before the VP runs: an event in PENDING_EVENT0 becomes the processor's pending event, unless one is there already.
 * Returns true when it did.
 */
bool softhv_regs_take_event(struct softhv_vp_control *control, struct x86_state *s);

/* ---- Values, shared with messages and the register page ---- */

struct hv_x64_segment_register softhv_regs_segment(const struct x86_seg *seg);
struct x86_seg softhv_regs_segment_in(const struct hv_x64_segment_register *reg);
uint64_t softhv_regs_interrupt_state(const struct x86_state *s);
uint64_t softhv_regs_pending_interruption(const struct x86_state *s);

#endif
