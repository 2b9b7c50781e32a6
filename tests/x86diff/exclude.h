/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is not compared, and why. Nothing is left out but through this file.
 */
#ifndef CAISSON_TESTS_X86DIFF_EXCLUDE_H
#define CAISSON_TESTS_X86DIFF_EXCLUDE_H

#include "tests/x86diff/gen.h"

enum exclude_reason {
    EXCLUDE_NOT,
    EXCLUDE_SYSCALL,
    EXCLUDE_HYPERCALL,
    EXCLUDE_UMIP,
    EXCLUDE_WAIT,
    EXCLUDE_FEATURE,
    EXCLUDE_HIDDEN,
    EXCLUDE_UNKNOWN_SYSTEM,
    EXCLUDE_UNIMPLEMENTED,
    EXCLUDE_COMPONENTS,
    EXCLUDE_PARTIAL,
    EXCLUDE_OFFSET,
    EXCLUDE_LENGTH,
    EXCLUDE_HEADER,
    EXCLUDE_OPERANDS,
    EXCLUDE_LOOP,
    EXCLUDE_STUCK,
    EXCLUDE_LIMIT,
    EXCLUDE_ALIGN,
    EXCLUDE_RUNAWAY,
    EXCLUDE_UNSTABLE,
    EXCLUDE_TAINTED,
    EXCLUDE_REASONS
};

/* The reason in words. */
const char *exclude_text(unsigned reason);

/* Reason why a pair as a whole is never executed, or EXCLUDE_NOT. */
unsigned exclude_pair(const struct x86_encoding *e, const struct x86_insn *in, unsigned mode, const struct host *h);
/* Reason why the host must not run this decoded instruction, or EXCLUDE_NOT. */
unsigned exclude_insn(const struct x86_insn *in, const struct host *h);
/* Reason why the host must not run these bytes, wherever control enters them, or EXCLUDE_NOT. */
unsigned exclude_code(const struct case_in *in, const struct host *h);

/* True for bytes of instructions known to be absent from the executor by plan. p: X86_INSN_MAX bytes. */
bool exclude_is_planned(const uint8_t *p, unsigned dec_mode);

/* Does the operation give something of the host's own (time, random numbers), so that nothing may build on it? */
bool exclude_host_value(unsigned op);

/* Parts of the state that an instruction leaves undefined or that depend on the host. */
struct exclude_mask {
    uint32_t flags;  /* bits of RFLAGS */
    uint16_t gprs;   /* bit per register */
    bool sp_carry;   /* bits 16 to 31 of ESP on a 16-bit stack */
    bool mxcsr_mask; /* bit 17 of MXCSR_MASK in a saved image */
};
/* Add what `in` leaves undefined to *m. strict: undefined flags are compared too. */
void exclude_mask_add(struct exclude_mask *m, const struct x86_insn *in, bool strict);

/* The same for what a branch before it may find when it lands inside of `in`, behind a prefix. */
void exclude_mask_add_target(struct exclude_mask *m, const struct x86_insn *in);

/* Does this instruction, run with these registers, ask for state components that only the host has? */
bool exclude_components(const struct x86_insn *in, const struct case_regs *g);

/*
 * Does this instruction, with these registers and bases, have a non-canonical offset in FS or GS, but a canonical
 * address?
 */
bool exclude_offset(const struct x86_insn *in, const struct case_regs *g);

/*
 * Undefined bytes with so many prefixes that, were they an instruction, it could exceed 15 bytes. p: X86_INSN_MAX
 * bytes.
 */
bool exclude_may_be_long(const uint8_t *p, unsigned dec_mode);

/* Reasons that show only in what both sides made of an instruction; EXCLUDE_NOT when there is none. */
unsigned exclude_outcome(const struct case_in *in, const struct x86_insn *last, const struct case_out *native,
                         const struct case_out *soft);

/* Print all of the above for a reader. */
void exclude_print(void);

#endif
