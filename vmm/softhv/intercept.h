/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Intercept messages: from the state of a processor that stopped before an instruction to what MSHV_RUN_VP returns.
 *
 * Each function writes a whole struct hv_message: type, exact payload size, every field, zeros elsewhere; the sender is
 * 0. The instruction has not happened: RIP in the header is its own, registers are as before it.
 *
 * Pure; any thread. Source: TLFS, "Intercepts" and hv_message_type; docs/abi-coverage.md.
 */
#ifndef CAISSON_VMM_SOFTHV_INTERCEPT_H
#define CAISSON_VMM_SOFTHV_INTERCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/x86/cpu.h"

/* Where and at what the VP stopped. Pointers are borrowed for the call. */
struct softhv_exit {
    const struct x86_state *state;
    uint32_t vp_index;
    uint8_t cr8;                 /* task priority class, 0 to 15 */
    const struct x86_insn *insn; /* the instruction, NULL when there is none (a fetch that failed, halt, shutdown) */
    const uint8_t *bytes;        /* at RIP, NULL when byte_count is 0 */
    uint8_t byte_count;          /* 0 to 16: as many as could be read; more are left out */
};

/* A memory access that is the client's to serve, or to refuse. */
struct softhv_memory_exit {
    struct x86_mem_access access;
    bool mapped;        /* GPA_INTERCEPT: there is memory, but not for this access; else UNMAPPED_GPA */
    uint8_t cache_type; /* enum hv_cache_type */
};

/*
 * UNMAPPED_GPA or GPA_INTERCEPT. gva_valid is set when the access had a linear address, gva_gpa_valid when the GPA is
 * that address translated, that is, not for the processor's own access to a page table.
 */
void softhv_msg_memory(const struct softhv_exit *e, const struct softhv_memory_exit *m, struct hv_message *out);

/* One port access. */
struct softhv_port_exit {
    uint16_t port;
    uint8_t size; /* 1, 2, 4 */
    bool write;
    /*
     * A string instruction is served one element at a time: rep_prefix is not reported, and until the last element
     * (more = true) the instruction has no length, so that a client that adds it to RIP comes back to the same
     * instruction. The owner counts RCX down. False reports the instruction as it is: the client does all of it.
     */
    bool by_element;
    bool more;
};

/* X64_IO_PORT_INTERCEPT. String and REP come from e->insn, as does the source segment of OUTS, reported as DS. */
void softhv_msg_port(const struct softhv_exit *e, const struct softhv_port_exit *p, struct hv_message *out);

/* X64_MSR_INTERCEPT. msr: as in ECX. */
void softhv_msg_msr(const struct softhv_exit *e, uint32_t msr, bool write, struct hv_message *out);

/* X64_CPUID_INTERCEPT. result: what the guest would get without it. */
void softhv_msg_cpuid(const struct softhv_exit *e, const struct x86_cpuid_regs *result, struct hv_message *out);

/* X64_EXCEPTION_INTERCEPT. The exception is not delivered and has changed nothing. */
void softhv_msg_exception(const struct softhv_exit *e, const struct x86_event *ev, struct hv_message *out);

/* HYPERCALL_INTERCEPT. */
void softhv_msg_hypercall(const struct softhv_exit *e, struct hv_message *out);

/* UNRECOVERABLE_EXCEPTION (triple fault) and X64_HALT. */
void softhv_msg_unrecoverable(const struct softhv_exit *e, struct hv_message *out);
void softhv_msg_halt(const struct softhv_exit *e, struct hv_message *out);

/* X64_INTERRUPTION_DELIVERABLE. */
void softhv_msg_deliverable(const struct softhv_exit *e, enum hv_deliverable_type type, struct hv_message *out);

/* SYNIC_SINT_DELIVERABLE. sints: a bit for each. */
void softhv_msg_sint_deliverable(const struct softhv_exit *e, uint16_t sints, struct hv_message *out);

/* X64_APIC_EOI: no header. vector: 0 to 255, level-triggered, just completed. */
void softhv_msg_apic_eoi(uint32_t vp_index, uint8_t vector, struct hv_message *out);

/* INVALID_VP_REGISTER_VALUE: no header. The VP cannot run in the state it was given. */
void softhv_msg_invalid_state(uint32_t vp_index, struct hv_message *out);

/* UNSUPPORTED_FEATURE: no header. */
void softhv_msg_unsupported(uint32_t vp_index, enum hv_unsupported_feature code, uint64_t parameter,
                            struct hv_message *out);

/* Bits of execution_state for a state: CPL, protection, alignment, long mode, breakpoints, pending event, shadow. */
uint16_t softhv_execution_state(const struct x86_state *s);

#endif
