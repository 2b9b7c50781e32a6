/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decimal adjustments: AAA AAS AAM AAD DAA DAS. The decoder refuses them in 64-bit code.
 * Source: Intel SDM volume 2. Undefined flags as on Zen 5: those of the addition or subtraction of the adjustment.
 */
#include "vmm/x86/exec_int.h"

/* Replace CF and AF of what x86_flags_add and x86_flags_sub have just set; OF stays. */
static void set_cf_af(struct x86_cpu *c, unsigned cf, unsigned af)
{
    unsigned of = (c->cc_aux >> 31 ^ c->cc_aux >> 30) & 1;
    int_flags_cf_of(c, cf, of);
    c->cc_aux = (c->cc_aux & ~8u) | (uint32_t)af << 3;
}

static bool low_digit_over(const struct x86_cpu *c)
{
    return (c->r[X86_RAX] & 15) > 9 || (c->cc_aux & 8) != 0;
}

/* The adjustment works on AX as a whole, and so do Zen 5's undefined flags. */
static int do_aaa(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    bool adjust = low_digit_over(c);
    uint16_t ax = (uint16_t)c->r[X86_RAX], by = adjust ? 0x106 : 0, sum = (uint16_t)(ax + by);
    x86_set16(c, X86_RAX, sum & 0xff0f);
    x86_flags_add(c, ax, by, sum, 2);
    set_cf_af(c, adjust, adjust);
    return X86_NEXT;
}

static int do_aas(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    bool adjust = low_digit_over(c);
    uint16_t ax = (uint16_t)c->r[X86_RAX], by = adjust ? 0x106 : 0, diff = (uint16_t)(ax - by);
    x86_set16(c, X86_RAX, diff & 0xff0f);
    x86_flags_sub(c, ax, by, diff, 2);
    set_cf_af(c, adjust, adjust);
    return X86_NEXT;
}

static int do_daa(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint8_t al = (uint8_t)c->r[X86_RAX];
    bool low = low_digit_over(c), high = x86_cf(c) || al > 0x99;
    uint8_t by = (uint8_t)((low ? 6 : 0) + (high ? 0x60 : 0)), sum = (uint8_t)(al + by);
    x86_set8(c, 0, sum);
    x86_flags_add(c, al, by, sum, 1);
    set_cf_af(c, high, low);
    return X86_NEXT;
}

/* CF is also the borrow of subtracting 6 alone. */
static int do_das(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint8_t al = (uint8_t)c->r[X86_RAX];
    bool low = low_digit_over(c), high = x86_cf(c) || al > 0x99;
    uint8_t by = (uint8_t)((low ? 6 : 0) + (high ? 0x60 : 0)), diff = (uint8_t)(al - by);
    x86_set8(c, 0, diff);
    x86_flags_sub(c, al, by, diff, 1);
    set_cf_af(c, high || (low && al < 6), low);
    return X86_NEXT;
}

static int do_aam(struct x86_cpu *c, const struct x86_insn *in)
{
    uint8_t al = (uint8_t)c->r[X86_RAX], base = (uint8_t)in->imm;
    if (base == 0)
        return x86_raise(c, X86_DE);
    x86_set16(c, X86_RAX, (uint16_t)((unsigned)(al / base) << 8 | al % base));
    x86_flags_logic(c, al % base, 1);
    return X86_NEXT;
}

static int do_aad(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t ax = (uint16_t)c->r[X86_RAX];
    uint8_t al = (uint8_t)ax, tens = (uint8_t)((ax >> 8) * (uint8_t)in->imm), sum = (uint8_t)(al + tens);
    x86_set16(c, X86_RAX, sum);
    x86_flags_add(c, al, tens, sum, 1);
    return X86_NEXT;
}

x86_handler *x86_bind_bcd(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_AAA: return do_aaa;
    case X86_OP_AAS: return do_aas;
    case X86_OP_DAA: return do_daa;
    case X86_OP_DAS: return do_das;
    case X86_OP_AAM: return do_aam;
    default: return do_aad;
    }
}
