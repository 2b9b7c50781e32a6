/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the x87 files: an image of the guest's x87 that the host's own x87 can run one instruction on.
 *
 * The 80-bit arithmetic, its rounding, its exceptions, masked or not, stack faults and tags are what the host's silicon
 * makes of the same two opcode bytes: FRSTOR the image, execute, FNSAVE it back. No exception reaches the host process,
 * though the guest's masks are in force: an x87 exception is reported by the next waiting instruction, and FNSAVE
 * neither waits nor leaves anything pending.
 */
#ifndef CAISSON_VMM_X86_X87_H
#define CAISSON_VMM_X86_X87_H

#include "vmm/x86/fpu.h"

/*
 * The 32-bit protected-mode format of FNSAVE: 108 bytes, registers in stack order. Source: Intel SDM volume 1, 8.1.10,
 * figure 8-9.
 */
struct x87_image {
    uint32_t fcw, fsw, ftw, fip, fcs_fop, fdp, fds;
    uint8_t st[8][10];
};

_Static_assert(sizeof(struct x87_image) == 108, "FRSTOR reads and FNSAVE writes 108 bytes");

/*
 * Tag word of two bits a register from the abridged one: empty is 3; the processor looks at nothing else when it loads
 * one.
 */
uint16_t x87_tags_expand(uint8_t ftw);
/* Bit set for every register whose two bits are not 3. */
uint8_t x87_tags_abridge(uint16_t tags);
/*
 * The tag word as FNSTENV stores it: valid, zero, special (NaN, infinity, denormal, unsupported) or empty by what is in
 * the registers.
 */
uint16_t x87_tags_full(const struct x86_fpu *f);

/*
 * Fill an image from the guest's registers, without its exception flags: after the run those in the image are new ones.
 */
void x87_image_load(const struct x86_fpu *f, struct x87_image *im);
/*
 * Run the instruction with these opcode bytes (opcode D8 to DF) on the image; a ModRM byte below C0 makes mem, 16
 * bytes, the memory operand. flags: arithmetic RFLAGS on entry. Returns SF, ZF, AF, PF, CF as they are afterwards. Host
 * x87 state: empty before and after.
 */
uint32_t x87_image_run(struct x87_image *im, unsigned opcode, unsigned modrm, uint8_t mem[16], uint32_t flags);
/* Take registers, tags, TOP and condition codes over and add the new exception flags to the guest's. */
void x87_image_commit(struct x86_fpu *f, const struct x87_image *im);

/* Control instructions and the environment (x87_env.c). */
x86_handler *x87_bind_env(const struct x86_insn *in);

#endif
