/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_VP_H
#define CAISSON_VMM_MSHV_VP_H

/*
 * A virtual processor. Whoever runs it owns it: every function here belongs to that thread, because requests on a VP
 * wait for one that is under way and a run may take for ever. Others reach a VP by interrupts (irq.h) and by a signal
 * to its thread, whose handler needs to do nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/mshv/abi.h"
#include "vmm/mshv/message.h"
#include "vmm/mshv/partition.h"

struct mshv_vp {
    const struct mshv_port *port; /* borrowed from the partition's device */
    int fd;
    uint32_t index;
    /* NULL where the kernel does not offer it: hypercalls then do its work. Valid while the VP does not run. */
    struct hv_vp_register_page *page;
    const struct hv_message *message_page; /* NULL likewise */
};

/*
 * Add VP number `index` (0..255, also its initial APIC id) and map its pages. The partition must be initialized.
 * -EEXIST: the index is taken, for as long as the partition lives. Others: the driver's. *vp is ended after a failure.
 */
int mshv_vp_create(struct mshv_vp *vp, const struct mshv_partition *partition, uint32_t index, struct err *err);

/* Unmap and close. The VP itself stays until the partition is gone. Nothing happens to a zeroed or ended VP. */
void mshv_vp_destroy(struct mshv_vp *vp);

/*
 * Run until there is something to do. Entering again says that the last exit is served: registers are then as they were
 * left, RIP too, which nobody else advances.
 * Returns 0 with *exit filled; -EINTR, without a text: a signal came, or the kernel asks to be called again; -EPROTO: a
 * message that cannot be understood; others: the driver's. A signal that comes just before the call may be lost on some
 * kernels: repeat it until it is answered.
 */
int mshv_vp_run(struct mshv_vp *vp, struct mshv_exit *exit, struct err *err);

/* A copy of the message page. -ENODEV: there is none. For a VP that does not run. */
int mshv_vp_read_message_page(const struct mshv_vp *vp, struct hv_message *message);

/* ---- Registers --------------------------------------------------------------------------------------------------- */

/*
 * Read or write registers by name (enum hv_register_name), any number of them, in order.
 * Writing: elements before the one that was refused have taken effect; *done (may be NULL) counts them.
 * Registers written through the page and by these functions may be mixed: the hypervisor merges.
 */
int mshv_vp_get_registers(const struct mshv_vp *vp, const uint32_t *names, union hv_register_value *values,
                          size_t count, struct err *err);
int mshv_vp_set_registers(const struct mshv_vp *vp, const struct hv_register_assoc *registers, size_t count,
                          size_t *done, struct err *err);

/* One register of at most 64 bits. */
int mshv_vp_get_register(const struct mshv_vp *vp, uint32_t name, uint64_t *value, struct err *err);
int mshv_vp_set_register(const struct mshv_vp *vp, uint32_t name, uint64_t value, struct err *err);

/* What it takes to complete an instruction. */
struct mshv_vp_context {
    uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
    uint64_t rip;
    uint64_t rflags;
    struct hv_x64_segment_register segment[6]; /* es cs ss ds fs gs */
    uint64_t cr0, cr3, cr4, cr8, efer;         /* read only */
};

#define MSHV_CONTEXT_GENERAL (1u << HV_X64_REGISTER_CLASS_GENERAL)
#define MSHV_CONTEXT_RIP     (1u << HV_X64_REGISTER_CLASS_IP)
#define MSHV_CONTEXT_SEGMENT (1u << HV_X64_REGISTER_CLASS_SEGMENT)
#define MSHV_CONTEXT_RFLAGS  (1u << HV_X64_REGISTER_CLASS_FLAGS)

/* Read all of it: from the page, if there is one, without entering the kernel; otherwise with one hypercall. */
int mshv_vp_get_context(const struct mshv_vp *vp, struct mshv_vp_context *context, struct err *err);

/* Write the classes in `classes` (MSHV_CONTEXT_*), likewise. Takes effect at the next run at the latest. */
int mshv_vp_set_context(const struct mshv_vp *vp, const struct mshv_vp_context *context, unsigned classes,
                        struct err *err);

/*
 * Finish a port access that is no string instruction: RIP behind it, RAX as it is to be. By the page if there is one,
 * otherwise with one hypercall.
 */
int mshv_vp_finish_io(const struct mshv_vp *vp, uint64_t rip, uint64_t rax, struct err *err);

/* ---- CPUID, MSRs, translation ------------------------------------------------------------------------------------ */

/*
 * Decide what CPUID answers: (hypervisor's & ~mask) | (value & mask). Bits that change while the guest runs (OSXSAVE)
 * are the hypervisor's whatever the masks say; leave them out. override: see always_override in abi_hvcall.h.
 */
int mshv_vp_set_cpuid(const struct mshv_vp *vp, const struct hv_register_x64_cpuid_result_parameters *result,
                      struct err *err);

/* What CPUID answers now, with what was set. */
int mshv_vp_get_cpuid(const struct mshv_vp *vp, uint32_t eax, uint32_t ecx, struct hv_cpuid_result *result,
                      struct err *err);

/* Decide what happens at an MSR the hypervisor does not know. access: HV_INTERCEPT_ACCESS_MASK_READ, _WRITE. */
int mshv_vp_set_msr_action(const struct mshv_vp *vp, uint32_t msr, uint32_t access,
                           enum hv_unimplemented_msr_action action, struct err *err);

/*
 * Translate through the guest's page tables as they are now. flags: HV_TRANSLATE_GVA_*.
 * Returns 0 with *code, and with *gpa to the byte if *code is HV_TRANSLATE_GVA_SUCCESS. On kernels that fault memory in
 * late, GPA_UNMAPPED and GPA_NO_*_ACCESS may also mean guest memory that was not touched yet.
 */
int mshv_vp_translate(const struct mshv_vp *vp, gva_t gva, uint64_t flags, enum hv_translate_gva_result_code *code,
                      gpa_t *gpa, struct err *err);

/* ---- State ------------------------------------------------------------------------------------------------------- */

/*
 * Read or write a block of state, MSHV_VP_STATE_*. buffer: on a page boundary, bytes a multiple of the page: all of it
 * is pinned. *needed (may be NULL): bytes that mean something, also after -ENOSPC: the buffer is too small for them.
 * -EINVAL: buffer or size do not comply.
 */
int mshv_vp_get_state(const struct mshv_vp *vp, uint8_t type, void *buffer, size_t bytes, size_t *needed,
                      struct err *err);
int mshv_vp_set_state(const struct mshv_vp *vp, uint8_t type, void *buffer, size_t bytes, size_t *needed,
                      struct err *err);

/* The two small blocks by value. */
int mshv_vp_get_lapic(const struct mshv_vp *vp, struct hv_local_interrupt_controller_state *state, struct err *err);
int mshv_vp_set_lapic(const struct mshv_vp *vp, const struct hv_local_interrupt_controller_state *state,
                      struct err *err);
int mshv_vp_get_timers(const struct mshv_vp *vp, struct hv_synthetic_timers_state *state, struct err *err);
int mshv_vp_set_timers(const struct mshv_vp *vp, const struct hv_synthetic_timers_state *state, struct err *err);

#endif
