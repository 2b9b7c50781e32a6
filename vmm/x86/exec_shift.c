/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Shifts and rotates: ROL ROR RCL RCR SHL SHR SAR, SHLD SHRD, and the flagless RORX SARX SHLX SHRX. Source: Intel SDM
 * volume 2; AMD APM volume 3. OF for counts above 1, AF, and 16-bit double shifts by more than 16 are as on Zen 5.
 */
#include "vmm/x86/exec_int.h"

/* What a shift leaves: the result and the two flags that every form defines. */
struct shifted {
    uint64_t res;
    unsigned cf, of;
};

INT_INLINE unsigned count_mask(unsigned size)
{
    return size == 8 ? 63 : 31;
}

INT_INLINE unsigned top_bit(uint64_t v, unsigned bits)
{
    return (unsigned)(v >> (bits - 1)) & 1;
}

/* OF of everything that moves bits to the right: the sign changed in the last step. */
INT_INLINE unsigned top_two_differ(uint64_t v, unsigned bits)
{
    return (unsigned)(v >> (bits - 1) ^ v >> (bits - 2)) & 1;
}

INT_INLINE uint64_t rotate_left(uint64_t v, unsigned n, unsigned bits)
{
    n &= bits - 1;
    return n == 0 ? v : v << n | v >> (bits - n);
}

/* Rotates through carry have bits + 1 positions. For 32 and 64 bits the masked count is always below that. */
INT_INLINE struct shifted rotate_carry_left(uint64_t v, unsigned n, unsigned size, unsigned cf)
{
    unsigned bits = size * 8;
    struct shifted s = {v, cf, 0};
    n = size < 4 ? n % (bits + 1) : n;
    if (n != 0) {
        s.res = int_trunc(v << n | (uint64_t)cf << (n - 1) | (n > 1 ? v >> (bits + 1 - n) : 0), size);
        s.cf = (unsigned)(v >> (bits - n)) & 1;
    }
    s.of = top_bit(s.res, bits) ^ s.cf;
    return s;
}

INT_INLINE struct shifted rotate_carry_right(uint64_t v, unsigned n, unsigned size, unsigned cf)
{
    unsigned bits = size * 8;
    struct shifted s = {v, cf, 0};
    n = size < 4 ? n % (bits + 1) : n;
    if (n != 0) {
        s.res = int_trunc(v >> n | (uint64_t)cf << (bits - n) | (n > 1 ? v << (bits + 1 - n) : 0), size);
        s.cf = (unsigned)(v >> (n - 1)) & 1;
    }
    s.of = top_two_differ(s.res, bits);
    return s;
}

/* The bit that left on the left: bit `bits` of v << n. n is 1 to 63 for 64 bits, 1 to 31 below. */
INT_INLINE unsigned left_carry(uint64_t v, unsigned n, unsigned bits)
{
    return (unsigned)(bits == 64 ? v >> (64 - n) : v << n >> bits) & 1;
}

INT_INLINE struct shifted shift_left(uint64_t v, unsigned n, unsigned size)
{
    unsigned bits = size * 8;
    struct shifted s = {int_trunc(v << n, size), left_carry(v, n, bits), 0};
    s.of = top_bit(s.res, bits) ^ s.cf;
    return s;
}

INT_INLINE struct shifted shift_right(uint64_t v, unsigned n, unsigned size)
{
    struct shifted s = {v >> n, (unsigned)(v >> (n - 1)) & 1, 0};
    s.of = top_two_differ(s.res, size * 8);
    return s;
}

INT_INLINE struct shifted shift_right_signed(uint64_t v, unsigned n, unsigned size)
{
    int64_t sv = (int64_t)x86_sext(v, size);
    return (struct shifted){int_trunc((uint64_t)(sv >> n), size), (unsigned)(sv >> (n - 1)) & 1, 0};
}

/* One operation on a zero-extended value. n: masked and not zero. cf: carry before. */
INT_INLINE struct shifted shift_value(unsigned op, uint64_t v, unsigned n, unsigned size, unsigned cf)
{
    unsigned bits = size * 8;
    struct shifted s = {0, 0, 0};
    switch (op) {
    case X86_OP_ROL:
        s.res = int_trunc(rotate_left(v, n, bits), size);
        s.cf = (unsigned)s.res & 1;
        s.of = top_bit(s.res, bits) ^ s.cf;
        return s;
    case X86_OP_ROR:
        s.res = int_trunc(rotate_left(v, bits - (n & (bits - 1)), bits), size);
        s.cf = top_bit(s.res, bits);
        s.of = top_two_differ(s.res, bits);
        return s;
    case X86_OP_RCL: return rotate_carry_left(v, n, size, cf);
    case X86_OP_RCR: return rotate_carry_right(v, n, size, cf);
    case X86_OP_SHL: return shift_left(v, n, size);
    case X86_OP_SHR: return shift_right(v, n, size);
    default: return shift_right_signed(v, n, size);
    }
}

/* Rotates touch only CF and OF; shifts set all, AF to 1 (undefined; Zen 5). */
INT_INLINE void shift_flags(struct x86_cpu *c, unsigned op, const struct shifted *s, unsigned size)
{
    if (op == X86_OP_ROL || op == X86_OP_ROR || op == X86_OP_RCL || op == X86_OP_RCR)
        int_flags_cf_of(c, s->cf, s->of);
    else
        x86_flags_result(c, s->res, size, s->cf, s->of, 1);
}

INT_INLINE int shift_reg(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size, unsigned n)
{
    uint64_t v = int_get_rm(c, in, size);
    if (n == 0) { /* no flags, but a 32-bit register is written */
        int_set_rm(c, in, size, v);
        return X86_NEXT;
    }
    struct shifted s = shift_value(op, v, n, size, x86_cf(c));
    int_set_rm(c, in, size, s.res);
    shift_flags(c, op, &s, size);
    return X86_NEXT;
}

/* A count of zero writes the value back: write access is needed all the same. */
INT_INLINE int shift_mem(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    unsigned n = (unsigned)(in->form == X86_FORM_RM_CL ? c->r[X86_RCX] : in->imm) & count_mask(size);
    struct x86_rmw m;
    int r = x86_rmw_begin(c, in, size, &m);
    if (x86_failed(r))
        return r;
    uint64_t v = x86_host_load(m.p, size);
    struct shifted s = {v, 0, 0};
    if (n != 0)
        s = shift_value(op, v, n, size, x86_cf(c));
    x86_host_store(m.p, size, s.res);
    r = x86_rmw_end(c, &m);
    if (!x86_failed(r) && n != 0)
        shift_flags(c, op, &s, size);
    return r;
}

#define SHIFT_HANDLERS(name, size)                                                                                     \
    static int name##_##size##_i(struct x86_cpu *c, const struct x86_insn *in)                                         \
    {                                                                                                                  \
        return shift_reg(c, in, X86_OP_##name, size, (unsigned)in->imm & count_mask(size));                            \
    }                                                                                                                  \
    static int name##_##size##_cl(struct x86_cpu *c, const struct x86_insn *in)                                        \
    {                                                                                                                  \
        return shift_reg(c, in, X86_OP_##name, size, (unsigned)c->r[X86_RCX] & count_mask(size));                      \
    }                                                                                                                  \
    static int name##_##size##_m(struct x86_cpu *c, const struct x86_insn *in)                                         \
    {                                                                                                                  \
        return shift_mem(c, in, X86_OP_##name, size);                                                                  \
    }
#define SHIFT_SIZES(name)                                                                                              \
    SHIFT_HANDLERS(name, 1) SHIFT_HANDLERS(name, 2) SHIFT_HANDLERS(name, 4) SHIFT_HANDLERS(name, 8)

SHIFT_SIZES(ROL)
SHIFT_SIZES(ROR)
SHIFT_SIZES(RCL)
SHIFT_SIZES(RCR)
SHIFT_SIZES(SHL)
SHIFT_SIZES(SHR)
SHIFT_SIZES(SAR)

#define SHIFT_ROW(name, kind)                                                                                          \
    {                                                                                                                  \
        name##_1_##kind, name##_2_##kind, name##_4_##kind, name##_8_##kind                                             \
    }
#define SHIFT_ROWS(name)                                                                                               \
    {                                                                                                                  \
        SHIFT_ROW(name, i), SHIFT_ROW(name, cl), SHIFT_ROW(name, m)                                                    \
    }

/* By operation from ROL on; immediate, CL, memory; size. */
static x86_handler *const shift_table[7][3][4] = {SHIFT_ROWS(ROL), SHIFT_ROWS(ROR), SHIFT_ROWS(RCL), SHIFT_ROWS(RCR),
                                                  SHIFT_ROWS(SHL), SHIFT_ROWS(SHR), SHIFT_ROWS(SAR)};

/* ---- Double shifts ---- */

/*
 * 16-bit operands take counts up to 31: above 16 the bits come from `src` again, as if it stood twice, and CF (for SHLD
 * also OF) is clear (undefined; Zen 5). n: masked and not zero.
 */
INT_INLINE struct shifted double_left(uint64_t dst, uint64_t src, unsigned n, unsigned size)
{
    unsigned bits = size * 8;
    struct shifted s = {0, n > bits ? 0 : left_carry(dst, n, bits), 0};
    s.of = top_bit(dst << n, bits) ^ s.cf;
    if (n <= bits)
        s.res = int_trunc(dst << n | src >> (bits - n), size);
    else
        s.res = int_trunc(rotate_left(src, n - bits, bits), size);
    if (n > bits)
        s.of = 0;
    return s;
}

INT_INLINE struct shifted double_right(uint64_t dst, uint64_t src, unsigned n, unsigned size)
{
    unsigned bits = size * 8;
    struct shifted s = {0, n > bits ? 0 : (unsigned)(dst >> (n - 1)) & 1, 0};
    if (n <= bits)
        s.res = int_trunc(dst >> n | src << (bits - n), size);
    else
        s.res = int_trunc(rotate_left(src, 2 * bits - n, bits), size);
    s.of = top_two_differ(s.res, bits);
    return s;
}

INT_INLINE struct shifted double_value(unsigned op, uint64_t dst, uint64_t src, unsigned n, unsigned size)
{
    return op == X86_OP_SHLD ? double_left(dst, src, n, size) : double_right(dst, src, n, size);
}

INT_INLINE int double_mem(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size, unsigned n)
{
    struct x86_rmw m;
    int r = x86_rmw_begin(c, in, size, &m);
    if (x86_failed(r))
        return r;
    uint64_t v = x86_host_load(m.p, size);
    struct shifted s = {v, 0, 0};
    if (n != 0)
        s = double_value(op, v, x86_get_n(c, in->reg, size), n, size);
    x86_host_store(m.p, size, s.res);
    r = x86_rmw_end(c, &m);
    if (!x86_failed(r) && n != 0)
        x86_flags_result(c, s.res, size, s.cf, s.of, 1);
    return r;
}

INT_INLINE int double_shift(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    unsigned n = (unsigned)(in->form == X86_FORM_RM_R_C ? c->r[X86_RCX] : in->imm) & count_mask(size);
    if (int_is_mem(in))
        return double_mem(c, in, op, size, n);
    uint64_t v = x86_get_n(c, in->rm, size);
    if (n == 0) {
        x86_set_n(c, in->rm, size, v);
        return X86_NEXT;
    }
    struct shifted s = double_value(op, v, x86_get_n(c, in->reg, size), n, size);
    x86_set_n(c, in->rm, size, s.res);
    x86_flags_result(c, s.res, size, s.cf, s.of, 1);
    return X86_NEXT;
}

#define DOUBLE_HANDLER(name, size)                                                                                     \
    static int name##_##size(struct x86_cpu *c, const struct x86_insn *in)                                             \
    {                                                                                                                  \
        return double_shift(c, in, X86_OP_##name, size);                                                               \
    }
DOUBLE_HANDLER(SHLD, 2)
DOUBLE_HANDLER(SHLD, 4)
DOUBLE_HANDLER(SHLD, 8)
DOUBLE_HANDLER(SHRD, 2)
DOUBLE_HANDLER(SHRD, 4)
DOUBLE_HANDLER(SHRD, 8)

static x86_handler *const double_table[2][4] = {{NULL, SHLD_2, SHLD_4, SHLD_8}, {NULL, SHRD_2, SHRD_4, SHRD_8}};

/* ---- BMI2: no flags ---- */

INT_INLINE uint64_t shiftx_value(unsigned op, uint64_t v, unsigned n, unsigned size)
{
    unsigned bits = size * 8;
    switch (op) {
    case X86_OP_RORX: return int_trunc(rotate_left(v, bits - (n & (bits - 1)), bits), size);
    case X86_OP_SARX: return int_trunc((uint64_t)((int64_t)x86_sext(v, size) >> n), size);
    case X86_OP_SHLX: return int_trunc(v << n, size);
    default: return v >> n;
    }
}

INT_INLINE int shiftx(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t v, n = op == X86_OP_RORX ? in->imm : c->r[in->vreg];
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    x86_set_n(c, in->reg, size, shiftx_value(op, v, (unsigned)n & count_mask(size), size));
    return X86_NEXT;
}

#define SHIFTX_HANDLERS(name)                                                                                          \
    static int name##_4(struct x86_cpu *c, const struct x86_insn *in)                                                  \
    {                                                                                                                  \
        return shiftx(c, in, X86_OP_##name, 4);                                                                        \
    }                                                                                                                  \
    static int name##_8(struct x86_cpu *c, const struct x86_insn *in)                                                  \
    {                                                                                                                  \
        return shiftx(c, in, X86_OP_##name, 8);                                                                        \
    }
SHIFTX_HANDLERS(RORX)
SHIFTX_HANDLERS(SARX)
SHIFTX_HANDLERS(SHLX)
SHIFTX_HANDLERS(SHRX)

static x86_handler *const shiftx_table[4][2] = {{RORX_4, RORX_8}, {SARX_4, SARX_8}, {SHLX_4, SHLX_8}, {SHRX_4, SHRX_8}};

x86_handler *x86_bind_shift(const struct x86_insn *in)
{
    unsigned size = int_size_index(in->size);
    if (in->op >= X86_OP_ROL && in->op <= X86_OP_SAR)
        return shift_table[in->op - X86_OP_ROL][int_is_mem(in) ? 2 : in->form == X86_FORM_RM_CL][size];
    if (in->op == X86_OP_SHLD || in->op == X86_OP_SHRD)
        return double_table[in->op == X86_OP_SHRD][size];
    if (in->op >= X86_OP_RORX && in->op <= X86_OP_SHRX)
        return shiftx_table[in->op - X86_OP_RORX][in->size == 8];
    return NULL;
}
