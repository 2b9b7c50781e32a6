/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_MESSAGE_H
#define CAISSON_VMM_MSHV_MESSAGE_H

/*
 * Why a VP came out of the hypervisor. A message is copied out of wherever it lies, then checked, then made into a
 * struct mshv_exit, whose fields hold what their comments say; nothing after that looks at the message.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/mshv/abi.h"

enum mshv_exit_kind {
    MSHV_EXIT_NONE = 0, /* nothing happened: run again */
    MSHV_EXIT_MEMORY,   /* an access to memory that is not mapped, or not mapped so */
    MSHV_EXIT_IO_PORT,
    MSHV_EXIT_MSR,
    MSHV_EXIT_CPUID,
    MSHV_EXIT_EXCEPTION,
    MSHV_EXIT_TRIPLE_FAULT,
    MSHV_EXIT_HALT,
    MSHV_EXIT_APIC_EOI,
    MSHV_EXIT_SIPI,
    MSHV_EXIT_DELIVERABLE, /* an interrupt could be taken now */
    MSHV_EXIT_SINT_DELIVERABLE,
    MSHV_EXIT_HYPERCALL,
    MSHV_EXIT_INVALID_REGISTER, /* the VP cannot run with the registers it has */
    MSHV_EXIT_UNSUPPORTED,      /* the guest used what the hypervisor has not */
    MSHV_EXIT_OTHER,            /* see type; none of the fields below is filled */
    MSHV_EXIT_KIND_COUNT
};

struct mshv_exit_memory {
    gpa_t gpa; /* to the byte, if gva_gpa_valid */
    gva_t gva;
    bool gva_valid;
    bool gva_gpa_valid; /* gpa is the translation of gva; otherwise the processor itself read a page table there */
    bool unmapped; /* no region; otherwise one that forbids the access. Kernels report either for both: treat alike */
    enum hv_cache_type cache_type;
};

struct mshv_exit_io_port {
    uint16_t port;
    uint8_t size; /* 1, 2, 4 */
    bool write;   /* OUT */
    bool string;
    bool rep;
    struct hv_x64_segment_register ds; /* of OUTS: the segment that counts */
    struct hv_x64_segment_register es;
    uint64_t rax, rcx, rsi, rdi;
};

struct mshv_exit {
    enum mshv_exit_kind kind;
    uint32_t type; /* HVMSG_* */
    /* Of the intercepts: zero for APIC_EOI, INVALID_REGISTER, UNSUPPORTED. */
    enum hv_intercept_access access;
    uint8_t instruction_length; /* 0..15; means something for IO_PORT, MSR, CPUID */
    uint8_t cr8;
    uint8_t cpl;
    bool long_mode; /* EFER.LMA */
    bool protected_mode;
    bool interrupt_shadow;
    bool interruption_pending; /* the exit came while an event was being delivered */
    struct hv_x64_segment_register cs;
    uint64_t rip;
    uint64_t rflags;
    /* Of MEMORY, IO_PORT, EXCEPTION: bytes at CS:RIP, as many as could be read, perhaps none. */
    uint8_t instruction_bytes_count;
    uint8_t instruction_bytes[HV_INSTRUCTION_BYTES];
    union {
        struct mshv_exit_memory memory;
        struct mshv_exit_io_port io;
        struct {
            uint32_t index;
            uint64_t value; /* EDX:EAX */
        } msr;
        struct {
            uint32_t eax, ecx;
            struct hv_cpuid_result result; /* the hypervisor's own */
        } cpuid;
        struct {
            uint8_t vector;
            bool has_error_code;
            uint32_t error_code;
            uint64_t parameter; /* CR2 or DR6 */
        } exception;
        struct {
            uint8_t vector;
        } eoi;
        struct {
            uint32_t vp_index;
            uint8_t vector;
        } sipi;
        struct {
            enum hv_deliverable_type type;
        } deliverable;
        struct {
            uint16_t sints; /* a bit for each */
        } sint_deliverable;
        struct {
            uint64_t rax, rbx, rcx, rdx, r8, rsi, rdi;
        } hypercall;
        struct {
            uint32_t code;
            uint64_t parameter;
        } unsupported;
    } u;
};

/*
 * Check a message and take it apart. message: a copy that nobody else writes. vp_index: of the VP it came from.
 * Returns 0, or -EPROTO: a field has a value that the interface does not know, or the message is another VP's; the text
 * names it and *exit is unspecified. Pure; any thread. Source: TLFS, HV_MESSAGE_TYPE; abi_msgs.h.
 */
int mshv_message_decode(const struct hv_message *message, uint32_t vp_index, struct mshv_exit *exit, struct err *err);

/* Name of a kind, for texts: "memory access". */
const char *mshv_exit_name(enum mshv_exit_kind kind);

#endif
