/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Single bits and bit searches: BT BTS BTR BTC, BSF BSR, LZCNT TZCNT POPCNT. Source: Intel SDM volume 2; AMD APM volume
 * 3. Undefined flags as on Zen 5; a bit search over zero leaves the destination alone.
 */
#include "vmm/x86/exec_int.h"
#include "vmm/x86/lock.h"

/* ---- Bit test and change ---- */

INT_INLINE uint64_t bit_change(unsigned op, uint64_t v, uint64_t mask)
{
    switch (op) {
    case X86_OP_BTS: return v | mask;
    case X86_OP_BTR: return v & ~mask;
    case X86_OP_BTC: return v ^ mask;
    default: return v;
    }
}

INT_INLINE int bit_reg(struct x86_cpu *c, const struct x86_insn *in, unsigned op, unsigned size)
{
    uint64_t index = in->form == X86_FORM_RM_I ? in->imm : c->r[in->reg];
    uint64_t v = x86_get_n(c, in->rm, size), mask = UINT64_C(1) << (index & (size * 8 - 1));
    if (op != X86_OP_BT)
        x86_set_n(c, in->rm, size, bit_change(op, v, mask));
    x86_flags_set_cf(c, (v & mask) != 0);
    return X86_NEXT;
}

/*
 * Where the bit is. A register index is signed and reaches beyond the operand: it selects another operand-sized unit
 * before or behind, and the sum wraps at the address size. Sets *mask inside the unit.
 */
static int bit_locate(struct x86_cpu *c, const struct x86_insn *in, unsigned size, bool write, uint64_t *lin,
                      uint64_t *mask)
{
    uint64_t ea = x86_ea(c, in), index = in->imm;
    if (in->form != X86_FORM_RM_I) {
        int64_t s = (int64_t)x86_sext(c->r[in->reg], size);
        ea += (uint64_t)(s >> (int_size_index(size) + 3)) * size;
        if (in->flags & X86_IF_A16)
            ea = (uint16_t)ea;
        else if (in->flags & X86_IF_A32)
            ea = (uint32_t)ea;
        index = (uint64_t)s;
    }
    *mask = UINT64_C(1) << (index & (size * 8 - 1));
    return x86_linear(c, in, ea, size, write, lin);
}

static int bit_mem_test(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t lin, mask, v;
    int r = bit_locate(c, in, in->size, false, &lin, &mask);
    if (!x86_failed(r))
        r = x86_read_lin(c, lin, in->size, x86_stack_seg(in), &v);
    if (!x86_failed(r))
        x86_flags_set_cf(c, (v & mask) != 0);
    return r;
}

INT_INLINE int bit_mem(struct x86_cpu *c, const struct x86_insn *in, unsigned op)
{
    unsigned size = in->size;
    bool lock = (in->flags & X86_IF_LOCK) != 0;
    struct x86_rmw m;
    uint64_t lin, mask;
    int r = bit_locate(c, in, size, true, &lin, &mask);
    if (!x86_failed(r))
        r = x86_rmw_begin_lin(c, lin, size, lock, x86_stack_seg(in), &m);
    if (x86_failed(r))
        return r;
    uint64_t v = x86_host_load(m.p, size);
    if (lock)
        while (!lock_cas(m.p, size, &v, bit_change(op, v, mask)))
            ;
    else
        x86_host_store(m.p, size, bit_change(op, v, mask));
    r = x86_rmw_end(c, &m);
    if (!x86_failed(r))
        x86_flags_set_cf(c, (v & mask) != 0);
    return r;
}

#define HANDLER(name, call)                                                                                            \
    static int name(struct x86_cpu *c, const struct x86_insn *in)                                                      \
    {                                                                                                                  \
        return call;                                                                                                   \
    }

HANDLER(bt_2, bit_reg(c, in, X86_OP_BT, 2))
HANDLER(bt_4, bit_reg(c, in, X86_OP_BT, 4))
HANDLER(bt_8, bit_reg(c, in, X86_OP_BT, 8))
HANDLER(bts_2, bit_reg(c, in, X86_OP_BTS, 2))
HANDLER(bts_4, bit_reg(c, in, X86_OP_BTS, 4))
HANDLER(bts_8, bit_reg(c, in, X86_OP_BTS, 8))
HANDLER(btr_2, bit_reg(c, in, X86_OP_BTR, 2))
HANDLER(btr_4, bit_reg(c, in, X86_OP_BTR, 4))
HANDLER(btr_8, bit_reg(c, in, X86_OP_BTR, 8))
HANDLER(btc_2, bit_reg(c, in, X86_OP_BTC, 2))
HANDLER(btc_4, bit_reg(c, in, X86_OP_BTC, 4))
HANDLER(btc_8, bit_reg(c, in, X86_OP_BTC, 8))
HANDLER(bts_mem, bit_mem(c, in, X86_OP_BTS))
HANDLER(btr_mem, bit_mem(c, in, X86_OP_BTR))
HANDLER(btc_mem, bit_mem(c, in, X86_OP_BTC))

/* By operation from BT on; sizes 2, 4, 8, then memory. */
static x86_handler *const bit_table[4][4] = {{bt_2, bt_4, bt_8, bit_mem_test},
                                             {bts_2, bts_4, bts_8, bts_mem},
                                             {btr_2, btr_4, btr_8, btr_mem},
                                             {btc_2, btc_4, btc_8, btc_mem}};

/* ---- Searches ---- */

static unsigned highest_bit(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

/*
 * ZF says whether the source is zero. CF, OF, SF, AF are cleared and PF is that of the index, or set when there is none
 * (Zen 5): hence bit 8, which keeps the lazy result from being zero without touching its low byte.
 */
INT_INLINE int bit_search(struct x86_cpu *c, const struct x86_insn *in, bool reverse, unsigned size)
{
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    c->cc_aux = 0;
    if (v == 0) {
        c->cc_res = 0;
        return X86_NEXT;
    }
    unsigned index = reverse ? highest_bit(v) : (unsigned)__builtin_ctzll(v);
    x86_set_n(c, in->reg, size, index);
    c->cc_res = index | 0x100;
    return X86_NEXT;
}

/* CF: the source is zero; ZF: the result is. SF, PF, AF are cleared and OF stays (Zen 5). */
INT_INLINE int bit_count_zeros(struct x86_cpu *c, const struct x86_insn *in, bool leading, unsigned size)
{
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    unsigned n = size * 8;
    if (v != 0)
        n = leading ? size * 8 - 1 - highest_bit(v) : (unsigned)__builtin_ctzll(v);
    x86_set_n(c, in->reg, size, n);
    x86_flags_set(c, (x86_flags_get(c) & X86_FL_OF) | (v == 0 ? X86_FL_CF : 0) | (n == 0 ? X86_FL_ZF : 0));
    return X86_NEXT;
}

INT_INLINE int bit_population(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (x86_failed(r))
        return r;
    x86_set_n(c, in->reg, size, (uint64_t)__builtin_popcountll(v));
    x86_flags_set(c, v == 0 ? X86_FL_ZF : 0);
    return X86_NEXT;
}

HANDLER(bsf_2, bit_search(c, in, false, 2))
HANDLER(bsf_4, bit_search(c, in, false, 4))
HANDLER(bsf_8, bit_search(c, in, false, 8))
HANDLER(bsr_2, bit_search(c, in, true, 2))
HANDLER(bsr_4, bit_search(c, in, true, 4))
HANDLER(bsr_8, bit_search(c, in, true, 8))
HANDLER(tzcnt_2, bit_count_zeros(c, in, false, 2))
HANDLER(tzcnt_4, bit_count_zeros(c, in, false, 4))
HANDLER(tzcnt_8, bit_count_zeros(c, in, false, 8))
HANDLER(lzcnt_2, bit_count_zeros(c, in, true, 2))
HANDLER(lzcnt_4, bit_count_zeros(c, in, true, 4))
HANDLER(lzcnt_8, bit_count_zeros(c, in, true, 8))
HANDLER(popcnt_2, bit_population(c, in, 2))
HANDLER(popcnt_4, bit_population(c, in, 4))
HANDLER(popcnt_8, bit_population(c, in, 8))

static x86_handler *const bsf_table[3] = {bsf_2, bsf_4, bsf_8};
static x86_handler *const bsr_table[3] = {bsr_2, bsr_4, bsr_8};
static x86_handler *const tzcnt_table[3] = {tzcnt_2, tzcnt_4, tzcnt_8};
static x86_handler *const lzcnt_table[3] = {lzcnt_2, lzcnt_4, lzcnt_8};
static x86_handler *const popcnt_table[3] = {popcnt_2, popcnt_4, popcnt_8};

x86_handler *x86_bind_bits(const struct x86_insn *in)
{
    unsigned size = int_size_index(in->size) - 1; /* there are no byte forms */
    switch (in->op) {
    case X86_OP_BSF: return bsf_table[size];
    case X86_OP_BSR: return bsr_table[size];
    case X86_OP_TZCNT: return tzcnt_table[size];
    case X86_OP_LZCNT: return lzcnt_table[size];
    case X86_OP_POPCNT: return popcnt_table[size];
    default: return bit_table[in->op - X86_OP_BT][int_is_mem(in) ? 3 : size];
    }
}
