/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SSE4.2 string compares: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.
 * Source: Intel SDM volume 2, 4.1 (imm8 control byte) and the four instructions.
 */
#include "vmm/x86/exec_vec.h"

/* Fields of the immediate. */
#define IMM_WORDS             0x01u
#define IMM_SIGNED            0x02u
#define IMM_AGGREGATION_SHIFT 2
#define IMM_NEGATE            0x10u
#define IMM_MASKED            0x20u /* negate only where the second operand is valid */
#define IMM_LAST              0x40u /* index: the highest bit; mask: elements instead of bits */

enum aggregation { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

/* One operand: its elements widened, and how many of them are valid. */
struct text {
    int32_t e[16];
    unsigned len;
};

static void widen(struct text *t, const union x86_vec *u, unsigned imm)
{
    for (unsigned i = 0; i < 16; i++) {
        if (imm & IMM_WORDS)
            t->e[i] = imm & IMM_SIGNED ? (int16_t)u->w[i & 7] : u->w[i & 7];
        else
            t->e[i] = imm & IMM_SIGNED ? (int8_t)u->b[i] : u->b[i];
    }
}

static unsigned length_to_zero(const struct text *t, unsigned n)
{
    unsigned len = 0;
    while (len < n && t->e[len] != 0)
        len++;
    return len;
}

/* The magnitude of the length register, at most n. */
static unsigned length_from_gpr(uint64_t v, bool wide, unsigned n)
{
    int64_t len = wide ? (int64_t)v : (int32_t)v;
    return len >= n || len <= -(int64_t)n ? n : (unsigned)(len < 0 ? -len : len);
}

static bool in_set(const struct text *set, int32_t e)
{
    for (unsigned i = 0; i < set->len; i++)
        if (set->e[i] == e)
            return true;
    return false;
}

/* Pairs of bounds; a last one without its partner does not count. */
static bool in_ranges(const struct text *bounds, int32_t e)
{
    for (unsigned i = 0; i + 1 < bounds->len; i += 2)
        if (e >= bounds->e[i] && e <= bounds->e[i + 1])
            return true;
    return false;
}

/* Does the needle begin at place j? Running over the register's end counts as a match, over the text's end does not. */
static bool begins_at(const struct text *needle, const struct text *t, unsigned j, unsigned n)
{
    for (unsigned i = 0; i < needle->len && j + i < n; i++)
        if (j + i >= t->len || needle->e[i] != t->e[j + i])
            return false;
    return true;
}

static bool compare_at(enum aggregation how, const struct text *a, const struct text *b, unsigned j, unsigned n)
{
    switch (how) {
    case EQUAL_ANY: return j < b->len && in_set(a, b->e[j]);
    case RANGES: return j < b->len && in_ranges(a, b->e[j]);
    case EQUAL_EACH: return j < a->len && j < b->len ? a->e[j] == b->e[j] : j >= a->len && j >= b->len;
    default: return begins_at(a, b, j, n);
    }
}

/* IntRes2: a bit for each of the n elements of the second operand. */
static uint32_t compare(const struct text *a, const struct text *b, unsigned imm, unsigned n)
{
    uint32_t bits = 0;
    enum aggregation how = (enum aggregation)(imm >> IMM_AGGREGATION_SHIFT & 3);
    for (unsigned j = 0; j < n; j++)
        bits |= (uint32_t)compare_at(how, a, b, j, n) << j;
    if (imm & IMM_NEGATE)
        bits ^= imm & IMM_MASKED ? (1u << b->len) - 1 : (1u << n) - 1;
    return bits;
}

static uint32_t string_flags(const struct text *a, const struct text *b, uint32_t bits, unsigned n)
{
    uint32_t fl = bits != 0 ? X86_FL_CF : 0;
    fl |= b->len < n ? X86_FL_ZF : 0;
    fl |= a->len < n ? X86_FL_SF : 0;
    return fl | (bits & 1 ? X86_FL_OF : 0);
}

static unsigned index_of(uint32_t bits, unsigned imm, unsigned n)
{
    if (bits == 0)
        return n;
    return (unsigned)(imm & IMM_LAST ? 31 - __builtin_clz(bits) : __builtin_ctz(bits));
}

static union x86_vec mask_of(uint32_t bits, unsigned imm)
{
    union x86_vec u = {.q = {0, 0}};
    if (!(imm & IMM_LAST))
        u.q[0] = bits;
    else if (imm & IMM_WORDS)
        for (unsigned i = 0; i < 8; i++)
            u.w[i] = bits >> i & 1 ? 0xffff : 0;
    else
        for (unsigned i = 0; i < 16; i++)
            u.b[i] = bits >> i & 1 ? 0xff : 0;
    return u;
}

/* The memory operand need not be aligned. */
static int second_operand(struct x86_cpu *c, const struct x86_insn *in, union x86_vec *u)
{
    if (in->flags & X86_IF_MEM)
        return x86_vec_load16(c, in, false, u);
    *u = x86_xmm_get(c, in->rm);
    return X86_NEXT;
}

static void set_lengths(const struct x86_cpu *c, const struct x86_insn *in, struct text *a, struct text *b, unsigned n)
{
    if (in->op == X86_OP_PCMPISTRI || in->op == X86_OP_PCMPISTRM) {
        a->len = length_to_zero(a, n);
        b->len = length_to_zero(b, n);
    } else {
        a->len = length_from_gpr(c->r[X86_RAX], x86_vec_wide(in), n);
        b->len = length_from_gpr(c->r[X86_RDX], x86_vec_wide(in), n);
    }
}

static int do_pcmpstr(struct x86_cpu *c, const struct x86_insn *in)
{
    union x86_vec ua, ub;
    int r = x86_fpu_check_sse(c);
    if (!x86_failed(r))
        r = second_operand(c, in, &ub);
    if (x86_failed(r))
        return r;
    struct text a, b;
    unsigned imm = (unsigned)in->imm & 0xff, n = imm & IMM_WORDS ? 8 : 16;
    ua = x86_xmm_get(c, in->reg);
    widen(&a, &ua, imm);
    widen(&b, &ub, imm);
    set_lengths(c, in, &a, &b, n);
    uint32_t bits = compare(&a, &b, imm, n);
    if (in->op == X86_OP_PCMPISTRI || in->op == X86_OP_PCMPESTRI) {
        c->r[X86_RCX] = index_of(bits, imm, n);
    } else {
        ua = mask_of(bits, imm);
        x86_xmm_set(c, 0, &ua);
    }
    x86_flags_set(c, string_flags(&a, &b, bits, n));
    return r;
}

x86_handler *x86_bind_vec_string(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    switch (in->op) {
    case X86_OP_PCMPESTRI:
    case X86_OP_PCMPESTRM:
    case X86_OP_PCMPISTRI:
    case X86_OP_PCMPISTRM: return do_pcmpstr;
    default: return NULL;
    }
}
