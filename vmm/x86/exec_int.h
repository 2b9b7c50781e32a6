/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the integer family (exec_int.c, exec_shift.c, exec_muldiv.c, exec_bits.c, exec_bmi.c,
 * exec_bcd.c, exec_atomic.c): operands by size, flag updates that keep some flags, the sub-binders.
 *
 * Flags that the manuals call undefined are set as AMD's Zen 5 sets them; comments say "Zen 5" where that is so.
 */
#ifndef CAISSON_VMM_X86_EXEC_INT_H
#define CAISSON_VMM_X86_EXEC_INT_H

#include "vmm/x86/core.h"
#include "vmm/x86/flags.h"

#define INT_INLINE static inline __attribute__((always_inline))

/* Index of a size in a table of handlers: 1, 2, 4, 8 give 0, 1, 2, 3. */
static inline unsigned int_size_index(unsigned size)
{
    return (unsigned)__builtin_ctz(size);
}

/* Low `size` bytes of v. */
INT_INLINE uint64_t int_trunc(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((UINT64_C(1) << (size * 8)) - 1);
}

/* Register `reg` and register `rm`, at any size. */
INT_INLINE uint64_t int_get_reg(const struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return size == 1 ? x86_get8(c, in->reg8) : x86_get_n(c, in->reg, size);
}

INT_INLINE uint64_t int_get_rm(const struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    return size == 1 ? x86_get8(c, in->rm8) : x86_get_n(c, in->rm, size);
}

INT_INLINE void int_set_reg(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    if (size == 1)
        x86_set8(c, in->reg8, (uint8_t)v);
    else
        x86_set_n(c, in->reg, size, v);
}

INT_INLINE void int_set_rm(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    if (size == 1)
        x86_set8(c, in->rm8, (uint8_t)v);
    else
        x86_set_n(c, in->rm, size, v);
}

INT_INLINE bool int_is_mem(const struct x86_insn *in)
{
    return (in->flags & X86_IF_MEM) != 0;
}

/* Value of rm, register or memory. Returns X86_NEXT or what failed. */
INT_INLINE int int_read_rm(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t *v)
{
    if (int_is_mem(in))
        return x86_load(c, in, size, v);
    *v = int_get_rm(c, in, size);
    return X86_NEXT;
}

/* Change CF and OF (0 or 1 each) and keep ZF, SF, PF, AF. */
INT_INLINE void int_flags_cf_of(struct x86_cpu *c, unsigned cf, unsigned of)
{
    c->cc_aux = (c->cc_aux & 0x3fffffffu) | (uint32_t)cf << 31 | (uint32_t)(cf ^ of) << 30;
}

/* Sub-binders, one for each file: the handler or NULL. */
x86_handler *x86_bind_shift(const struct x86_insn *in);
x86_handler *x86_bind_muldiv(const struct x86_insn *in);
x86_handler *x86_bind_bits(const struct x86_insn *in);
x86_handler *x86_bind_bmi(const struct x86_insn *in);
x86_handler *x86_bind_bcd(const struct x86_insn *in);
x86_handler *x86_bind_atomic(const struct x86_insn *in);

#endif
