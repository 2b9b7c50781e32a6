/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Multiplication and division: MUL, IMUL, DIV, IDIV, MULX, and the carry chains ADCX and ADOX that go with them.
 * Source: Intel SDM volume 2; AMD APM volume 3. Undefined flags as on Zen 5: multiplication keeps SF ZF AF PF, division
 * keeps CF and OF, clears SF ZF PF and sets AF.
 */
#include "vmm/x86/exec_int.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

/* ---- Multiplication ---- */

/* The accumulator pair AX, DX:AX, EDX:EAX or RDX:RAX. */
INT_INLINE void set_pair(struct x86_cpu *c, unsigned size, uint64_t low, uint64_t high)
{
    if (size == 1) {
        x86_set16(c, X86_RAX, (uint16_t)((low & 0xff) | high << 8));
        return;
    }
    x86_set_n(c, X86_RAX, size, low);
    x86_set_n(c, X86_RDX, size, high);
}

/* Product of two zero-extended values, cut into halves of `size`. */
INT_INLINE void multiply(uint64_t a, uint64_t b, unsigned size, uint64_t *low, uint64_t *high)
{
    if (size == 8) {
        u128 p = (u128)a * b;
        *low = (uint64_t)p;
        *high = (uint64_t)(p >> 64);
        return;
    }
    uint64_t p = a * b;
    *low = int_trunc(p, size);
    *high = int_trunc(p >> (size * 8), size);
}

/* The same of two signed values; the result says whether it does not fit into the low half. */
INT_INLINE bool multiply_signed(uint64_t a, uint64_t b, unsigned size, uint64_t *low, uint64_t *high)
{
    if (size == 8) {
        i128 p = (i128)(int64_t)a * (int64_t)b;
        *low = (uint64_t)p;
        *high = (uint64_t)((u128)p >> 64);
        return p != (int64_t)p;
    }
    int64_t p = (int64_t)x86_sext(a, size) * (int64_t)x86_sext(b, size);
    *low = int_trunc((uint64_t)p, size);
    *high = int_trunc((uint64_t)p >> (size * 8), size);
    return p != (int64_t)x86_sext((uint64_t)p, size);
}

INT_INLINE int do_mul(struct x86_cpu *c, const struct x86_insn *in, bool is_signed, unsigned size)
{
    uint64_t b, low, high;
    int r = int_read_rm(c, in, size, &b);
    if (x86_failed(r))
        return r;
    bool over;
    uint64_t a = int_trunc(c->r[X86_RAX], size);
    if (is_signed) {
        over = multiply_signed(a, b, size, &low, &high);
    } else {
        multiply(a, b, size, &low, &high);
        over = high != 0;
    }
    set_pair(c, size, low, high);
    int_flags_cf_of(c, over, over);
    return X86_NEXT;
}

/* IMUL with two and three operands. */
INT_INLINE int do_imul(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t b, low, high;
    int r = int_read_rm(c, in, size, &b);
    if (x86_failed(r))
        return r;
    uint64_t a = in->form == X86_FORM_R_RM_I ? in->imm : x86_get_n(c, in->reg, size);
    bool over = multiply_signed(a, b, size, &low, &high);
    x86_set_n(c, in->reg, size, low);
    int_flags_cf_of(c, over, over);
    return X86_NEXT;
}

/* The low half goes to vreg, then the high half to reg: it stays when both are one register. */
INT_INLINE int do_mulx(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t b, low, high;
    int r = int_read_rm(c, in, size, &b);
    if (x86_failed(r))
        return r;
    multiply(x86_get_n(c, X86_RDX, size), b, size, &low, &high);
    x86_set_n(c, in->vreg, size, low);
    x86_set_n(c, in->reg, size, high);
    return X86_NEXT;
}

/* ---- Division ---- */

static void divide_flags(struct x86_cpu *c)
{
    c->cc_res = 1; /* ZF, SF, PF clear */
    c->cc_aux = (c->cc_aux & 0xc0000000u) | 8;
}

/* Dividend up to 64 bits, divisor not zero, any size below 8. False: the quotient does not fit. */
INT_INLINE bool divide_small(uint64_t n, uint64_t d, unsigned size, uint64_t *q, uint64_t *rem)
{
    *q = n / d;
    *rem = n % d;
    return *q == int_trunc(*q, size);
}

INT_INLINE bool divide_small_signed(uint64_t n, uint64_t d, unsigned size, uint64_t *q, uint64_t *rem)
{
    int64_t sn = (int64_t)x86_sext(n, size == 4 ? 8 : size * 2), sd = (int64_t)x86_sext(d, size);
    if (sn == INT64_MIN && sd == -1)
        return false;
    *q = (uint64_t)(sn / sd);
    *rem = (uint64_t)(sn % sd);
    return *q == x86_sext(*q, size);
}

/* 128 by 64 bits. The quotient fits exactly when the high half is below the divisor. */
static bool divide_large(uint64_t high, uint64_t low, uint64_t d, uint64_t *q, uint64_t *rem)
{
    if (high >= d)
        return false;
    if (high == 0) {
        *q = low / d;
        *rem = low % d;
        return true;
    }
    u128 n = (u128)high << 64 | low;
    *q = (uint64_t)(n / d);
    *rem = (uint64_t)(n % d);
    return true;
}

static uint64_t magnitude(uint64_t v)
{
    return v >> 63 ? 0 - v : v;
}

/* On magnitudes: the remainder has the dividend's sign, the quotient is negative when the signs differ. */
static bool divide_large_signed(uint64_t high, uint64_t low, uint64_t d, uint64_t *q, uint64_t *rem)
{
    bool neg_n = high >> 63 != 0, neg_q = neg_n != (d >> 63 != 0);
    u128 n = (u128)high << 64 | low;
    if (neg_n)
        n = 0 - n;
    if (!divide_large((uint64_t)(n >> 64), (uint64_t)n, magnitude(d), q, rem))
        return false;
    if (*q > (uint64_t)INT64_MAX + neg_q)
        return false;
    *q = neg_q ? 0 - *q : *q;
    *rem = neg_n ? 0 - *rem : *rem;
    return true;
}

INT_INLINE bool divide(struct x86_cpu *c, bool is_signed, unsigned size, uint64_t d, uint64_t *q, uint64_t *rem)
{
    uint64_t low = c->r[X86_RAX], high = c->r[X86_RDX];
    if (size == 8)
        return is_signed ? divide_large_signed(high, low, d, q, rem) : divide_large(high, low, d, q, rem);
    uint64_t n = size == 1 ? (uint16_t)low : int_trunc(low, size) | int_trunc(high, size) << (size * 8);
    return is_signed ? divide_small_signed(n, d, size, q, rem) : divide_small(n, d, size, q, rem);
}

INT_INLINE int do_div(struct x86_cpu *c, const struct x86_insn *in, bool is_signed, unsigned size)
{
    uint64_t d, q, rem;
    int r = int_read_rm(c, in, size, &d);
    if (x86_failed(r))
        return r;
    if (d == 0 || !divide(c, is_signed, size, d, &q, &rem))
        return x86_raise(c, X86_DE);
    set_pair(c, size, q, rem);
    divide_flags(c);
    return X86_NEXT;
}

/* ---- ADCX, ADOX: one flag in and out, the others stay ---- */

INT_INLINE bool add_carry(uint64_t a, uint64_t b, bool carry, unsigned size, uint64_t *sum)
{
    u128 s = (u128)a + b + carry;
    *sum = int_trunc((uint64_t)s, size);
    return (s >> (size * 8)) != 0;
}

INT_INLINE int do_adx(struct x86_cpu *c, const struct x86_insn *in, bool of, unsigned size)
{
    uint64_t b, sum;
    int r = int_read_rm(c, in, size, &b);
    if (x86_failed(r))
        return r;
    unsigned old_cf = x86_cf(c), old_of = (c->cc_aux >> 31 ^ c->cc_aux >> 30) & 1;
    bool out = add_carry(x86_get_n(c, in->reg, size), b, of ? old_of : old_cf, size, &sum);
    x86_set_n(c, in->reg, size, sum);
    int_flags_cf_of(c, of ? old_cf : out, of ? out : old_of);
    return X86_NEXT;
}

/* ---- Handlers by size ---- */

#define HANDLER(name, size, call)                                                                                      \
    static int name##_##size(struct x86_cpu *c, const struct x86_insn *in)                                             \
    {                                                                                                                  \
        return call;                                                                                                   \
    }

HANDLER(mul, 1, do_mul(c, in, false, 1))
HANDLER(mul, 2, do_mul(c, in, false, 2))
HANDLER(mul, 4, do_mul(c, in, false, 4))
HANDLER(mul, 8, do_mul(c, in, false, 8))
HANDLER(imul1, 1, do_mul(c, in, true, 1))
HANDLER(imul1, 2, do_mul(c, in, true, 2))
HANDLER(imul1, 4, do_mul(c, in, true, 4))
HANDLER(imul1, 8, do_mul(c, in, true, 8))
HANDLER(imul, 2, do_imul(c, in, 2))
HANDLER(imul, 4, do_imul(c, in, 4))
HANDLER(imul, 8, do_imul(c, in, 8))
HANDLER(div, 1, do_div(c, in, false, 1))
HANDLER(div, 2, do_div(c, in, false, 2))
HANDLER(div, 4, do_div(c, in, false, 4))
HANDLER(div, 8, do_div(c, in, false, 8))
HANDLER(idiv, 1, do_div(c, in, true, 1))
HANDLER(idiv, 2, do_div(c, in, true, 2))
HANDLER(idiv, 4, do_div(c, in, true, 4))
HANDLER(idiv, 8, do_div(c, in, true, 8))
HANDLER(mulx, 4, do_mulx(c, in, 4))
HANDLER(mulx, 8, do_mulx(c, in, 8))
HANDLER(adcx, 4, do_adx(c, in, false, 4))
HANDLER(adcx, 8, do_adx(c, in, false, 8))
HANDLER(adox, 4, do_adx(c, in, true, 4))
HANDLER(adox, 8, do_adx(c, in, true, 8))

static x86_handler *const mul_table[4] = {mul_1, mul_2, mul_4, mul_8};
static x86_handler *const imul1_table[4] = {imul1_1, imul1_2, imul1_4, imul1_8};
static x86_handler *const imul_table[4] = {NULL, imul_2, imul_4, imul_8};
static x86_handler *const div_table[4] = {div_1, div_2, div_4, div_8};
static x86_handler *const idiv_table[4] = {idiv_1, idiv_2, idiv_4, idiv_8};

x86_handler *x86_bind_muldiv(const struct x86_insn *in)
{
    unsigned size = int_size_index(in->size);
    switch (in->op) {
    case X86_OP_MUL: return mul_table[size];
    case X86_OP_IMUL1: return imul1_table[size];
    case X86_OP_IMUL: return imul_table[size];
    case X86_OP_DIV: return div_table[size];
    case X86_OP_IDIV: return idiv_table[size];
    case X86_OP_MULX: return in->size == 8 ? mulx_8 : mulx_4;
    case X86_OP_ADCX: return in->size == 8 ? adcx_8 : adcx_4;
    default: return in->size == 8 ? adox_8 : adox_4;
    }
}
