/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic flags from operations, kept lazily (see cc_res and cc_aux in core.h). Each function takes the operands
 * and the result truncated to `size` bytes and zero-extended; all are pure but for the two fields they set. Source:
 * Intel SDM volume 1, 3.4.3.1.
 */
#ifndef CAISSON_VMM_X86_FLAGS_H
#define CAISSON_VMM_X86_FLAGS_H

#include "vmm/x86/core.h"

static inline uint64_t x86_sext(uint64_t v, unsigned size)
{
    switch (size) {
    case 1: return (uint64_t)(int64_t)(int8_t)v;
    case 2: return (uint64_t)(int64_t)(int16_t)v;
    case 4: return (uint64_t)(int64_t)(int32_t)v;
    default: return v;
    }
}

/* Fold a vector of per-bit carries into the aux word: carry out of the top two bits, and of bit 3. */
static inline uint32_t x86_aux_carries(uint64_t carries, unsigned size)
{
    return (uint32_t)(carries >> (size * 8 - 2)) << 30 | ((uint32_t)carries & 8);
}

/* res = a + b (+ carry). */
static inline void x86_flags_add(struct x86_cpu *c, uint64_t a, uint64_t b, uint64_t res, unsigned size)
{
    c->cc_res = x86_sext(res, size);
    c->cc_aux = x86_aux_carries((a & b) | ((a | b) & ~res), size);
}

/* res = a - b (- borrow). */
static inline void x86_flags_sub(struct x86_cpu *c, uint64_t a, uint64_t b, uint64_t res, unsigned size)
{
    c->cc_res = x86_sext(res, size);
    c->cc_aux = x86_aux_carries((~a & b) | ((~a ^ b) & res), size);
}

/* AND, OR, XOR, TEST: CF, OF, AF clear. */
static inline void x86_flags_logic(struct x86_cpu *c, uint64_t res, unsigned size)
{
    c->cc_res = x86_sext(res, size);
    c->cc_aux = 0;
}

/* Result flags ZF, SF, PF of res, with CF, OF, AF given as 0 or 1. */
static inline void x86_flags_result(struct x86_cpu *c, uint64_t res, unsigned size, unsigned cf, unsigned of,
                                    unsigned af)
{
    c->cc_res = x86_sext(res, size);
    c->cc_aux = (uint32_t)cf << 31 | (uint32_t)(cf ^ of) << 30 | (uint32_t)af << 3;
}

/* Change only some arithmetic flags: those in mask take the values in fl (RFLAGS positions). */
static inline void x86_flags_merge(struct x86_cpu *c, uint32_t mask, uint32_t fl)
{
    x86_flags_set(c, (x86_flags_get(c) & ~mask) | (fl & mask));
}

/* Set or clear CF and keep the rest. */
static inline void x86_flags_set_cf(struct x86_cpu *c, bool cf)
{
    uint32_t of = (c->cc_aux >> 31 ^ c->cc_aux >> 30) & 1;
    c->cc_aux = (c->cc_aux & 0x3fffffffu) | (uint32_t)cf << 31 | ((uint32_t)cf ^ of) << 30;
}

/* Condition cc (0..15, encoding order: O NO B AE E NE BE A S NS P NP L GE LE G). */
static inline bool x86_cond(const struct x86_cpu *c, unsigned cc)
{
    uint32_t aux = c->cc_aux;
    bool v;
    switch (cc >> 1) {
    case 0: v = ((aux >> 31 ^ aux >> 30) & 1) != 0; break;
    case 1: v = aux >> 31 != 0; break;
    case 2: v = c->cc_res == 0; break;
    case 3: v = aux >> 31 != 0 || c->cc_res == 0; break;
    case 4: v = ((c->cc_res >> 63 ^ aux) & 1) != 0; break;
    case 5: v = !__builtin_parity((unsigned)(c->cc_res & 0xff) ^ (aux >> 8 & 0xff)); break;
    case 6: v = ((c->cc_res >> 63 ^ aux ^ aux >> 31 ^ aux >> 30) & 1) != 0; break;
    default: v = c->cc_res == 0 || ((c->cc_res >> 63 ^ aux ^ aux >> 31 ^ aux >> 30) & 1) != 0; break;
    }
    return v != (cc & 1);
}

#endif
