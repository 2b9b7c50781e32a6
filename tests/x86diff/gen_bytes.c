/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/x86diff/gen.h"
#include "tests/x86diff/values.h"

unsigned gen_dec_mode(unsigned mode, const struct host *h)
{
    static const uint8_t bits[CASE_MODES] = {X86_DEC_64, X86_DEC_32, X86_DEC_16};
    return bits[mode] | h->dec_flags;
}

static void put(struct gen_insn *g, unsigned byte)
{
    if (g->len < GEN_INSN_MAX)
        g->bytes[g->len++] = (uint8_t)byte;
}

static void put_random(struct rng *r, struct gen_insn *g, unsigned n)
{
    uint64_t v = value_int(r);
    for (unsigned i = 0; i < n; i++)
        put(g, (unsigned)(v >> (8 * (i & 7))) & 0xff);
}

/* ---- Prefixes ---- */

struct prefixes {
    uint8_t list[12];
    unsigned n;
};

static void add(struct prefixes *p, uint8_t b)
{
    if (p->n < sizeof p->list)
        p->list[p->n++] = b;
}

static bool is_string(const struct x86_encoding *e)
{
    return (e->flags & X86_ENC_STRING) != 0;
}

/* F2, F3 and 66 as the row wants them, or as modifiers where they may be. */
static void choose_mandatory(struct rng *r, const struct x86_encoding *e, struct prefixes *p)
{
    bool free_rep = e->prefix == X86_PFX_ANY, free_66 = e->prefix != X86_PFX_NP && e->prefix != X86_PFX_66;
    if (e->prefix == X86_PFX_F3)
        add(p, 0xf3);
    else if (e->prefix == X86_PFX_F2)
        add(p, 0xf2);
    else if (free_rep && rng_chance(r, is_string(e) ? 60 : 3))
        add(p, rng_chance(r, 70) ? 0xf3 : 0xf2);
    if (e->prefix == X86_PFX_66 ||
        (free_66 && rng_chance(r, e->prefix == X86_PFX_ANY || e->prefix == X86_PFX_NF ? 25 : 5)))
        add(p, 0x66);
}

static void choose_segment(struct rng *r, unsigned mode, struct prefixes *p)
{
    static const uint8_t segs[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    if (rng_chance(r, 12))
        add(p, mode == CASE_64 && rng_chance(r, 70) ? segs[4 + rng_below(r, 2)] : segs[rng_below(r, 6)]);
}

static void choose_prefixes(struct rng *r, const struct x86_encoding *e, unsigned mode, bool mem, struct prefixes *p)
{
    p->n = 0;
    if (!x86_encoding_is_vex(e))
        choose_mandatory(r, e, p);
    if (rng_chance(r, mode == CASE_64 ? 8 : 20))
        add(p, 0x67);
    choose_segment(r, mode, p);
    if (rng_below(r, 200) < ((e->flags & X86_ENC_LOCK) && mem ? 30u : 1u))
        add(p, 0xf0);
    if (p->n > 0 && rng_chance(r, 2))
        add(p, p->list[rng_below(r, p->n)]);
}

static void put_prefixes(struct rng *r, struct prefixes *p, struct gen_insn *g)
{
    for (unsigned i = p->n; i > 1; i--) { /* any order */
        unsigned j = rng_below(r, i);
        uint8_t t = p->list[i - 1];
        p->list[i - 1] = p->list[j];
        p->list[j] = t;
    }
    for (unsigned i = 0; i < p->n; i++)
        put(g, p->list[i]);
}

static unsigned choose_rex(struct rng *r, const struct x86_encoding *e)
{
    unsigned rex = rng_below(r, 16);
    if (e->flags & X86_ENC_W1)
        rex |= 8;
    if (e->flags & X86_ENC_W0)
        rex &= 7;
    if ((e->flags & X86_ENC_NOREXB) || ((e->flags & X86_ENC_CREG) && rng_chance(r, 80)))
        rex &= ~1u & (e->flags & X86_ENC_NOREXB ? 15u : 11u);
    return rex;
}

static void put_rex(struct rng *r, const struct x86_encoding *e, struct gen_insn *g)
{
    unsigned rex = choose_rex(r, e);
    if (rng_chance(r, 50) || (e->flags & X86_ENC_W1))
        put(g, 0x40 | rex);
}

/* ---- Opcode ---- */

static void put_legacy_opcode(const struct x86_encoding *e, struct gen_insn *g)
{
    if (e->map != X86_MAP_1B)
        put(g, 0x0f);
    if (e->map == X86_MAP_0F38 || e->map == X86_MAP_0F3A)
        put(g, e->map == X86_MAP_0F38 ? 0x38 : 0x3a);
    put(g, e->opcode);
}

static unsigned vex_pp(const struct x86_encoding *e)
{
    return e->prefix == X86_PFX_66 ? 1 : e->prefix == X86_PFX_F3 ? 2 : e->prefix == X86_PFX_F2 ? 3 : 0;
}

static void put_vex(struct rng *r, const struct x86_encoding *e, unsigned mode, struct gen_insn *g)
{
    unsigned rex = choose_rex(r, e), inverted = ~rex & 7; /* R X B */
    unsigned v = e->flags & X86_ENC_NOVREG ? 15 : rng_below(r, 16);
    unsigned map = e->map == X86_MAP_VEX_0F ? 1 : e->map == X86_MAP_VEX_0F38 ? 2 : 3;
    if (mode != CASE_64) {
        inverted |= 6;
        v |= rng_chance(r, 80) ? 8 : 0;
    }
    if (map == 1 && rng_chance(r, 50)) {
        put(g, 0xc5);
        put(g, (inverted & 4) << 5 | (mode != CASE_64 ? v | 8 : v) << 3 | vex_pp(e));
    } else {
        put(g, 0xc4);
        put(g, inverted << 5 | map);
        put(g, (rex & 8) << 4 | v << 3 | vex_pp(e));
    }
    put(g, e->opcode);
}

/* ---- ModRM ---- */

static void put_disp(struct rng *r, struct gen_insn *g, unsigned bytes)
{
    g->disp_at = g->len;
    g->disp_bytes = (uint8_t)bytes;
    put_random(r, g, bytes);
}

static void put_modrm16(struct rng *r, struct gen_insn *g, unsigned mod, unsigned reg)
{
    unsigned rm = rng_below(r, 8);
    put(g, mod << 6 | reg << 3 | rm);
    put_disp(r, g, mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
}

static void put_modrm32(struct rng *r, struct gen_insn *g, unsigned mod, unsigned reg)
{
    unsigned rm = rng_below(r, 8), base = rm;
    put(g, mod << 6 | reg << 3 | rm);
    if (rm == 4) {
        unsigned sib = rng_below(r, 256);
        put(g, sib);
        base = sib & 7;
    }
    put_disp(r, g, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
}

/* Address size that the prefixes so far make. */
static unsigned address_size(const struct gen_insn *g, unsigned prefixes, unsigned mode)
{
    bool a67 = memchr(g->bytes, 0x67, prefixes) != NULL;
    if (mode == CASE_64)
        return a67 ? 4 : 8;
    return a67 != (mode == CASE_16) ? 2 : 4;
}

static void put_modrm(struct rng *r, const struct x86_encoding *e, unsigned asize, bool mem, struct gen_insn *g)
{
    unsigned reg = e->reg >= 0 ? (unsigned)e->reg : rng_below(r, 8);
    if (e->modrm >= 0)
        put(g, (unsigned)e->modrm);
    else if (!mem || e->mod == X86_MOD_REG || (e->mod == X86_MOD_IGNORED && rng_chance(r, 50)))
        put(g, 0xc0 | reg << 3 | rng_below(r, 8));
    else if (e->mod == X86_MOD_IGNORED)
        put(g, reg << 3 | rng_below(r, 4)); /* read as a register: no displacement follows */
    else if (asize == 2)
        put_modrm16(r, g, rng_below(r, 3), reg);
    else
        put_modrm32(r, g, rng_below(r, 3), reg);
}

void gen_encode(struct rng *r, const struct x86_encoding *e, unsigned mode, bool mem, struct gen_insn *g)
{
    struct prefixes p;
    memset(g, 0, sizeof(*g));
    choose_prefixes(r, e, mode, mem, &p);
    put_prefixes(r, &p, g);
    unsigned asize = address_size(g, g->len, mode);
    if (x86_encoding_is_vex(e)) {
        put_vex(r, e, mode, g);
    } else {
        if (mode == CASE_64)
            put_rex(r, e, g);
        put_legacy_opcode(e, g);
    }
    if (e->mod != X86_MOD_NONE)
        put_modrm(r, e, asize, mem, g);
    if (e->imm == X86_IMM_MOFFS)
        put_disp(r, g, asize);
    g->imm_at = g->len;
    put_random(r, g, GEN_INSN_MAX);
}

bool gen_decode(struct gen_insn *g, unsigned dec_mode, const struct x86_encoding *e)
{
    enum x86_dec_result res = x86_decode(g->bytes, GEN_INSN_MAX, dec_mode, &g->in);
    g->len = g->in.len;
    return res == X86_DEC_OK && g->in.op == e->op && g->in.opcode == e->opcode;
}

void gen_random_bytes(struct rng *r, struct gen_insn *g)
{
    static const uint8_t starts[] = {0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x0f, 0x0f, 0x0f, 0x48,
                                     0x41, 0x64, 0x2e, 0xd8, 0xdb, 0xdf, 0xc4, 0xff};
    memset(g, 0, sizeof(*g));
    for (unsigned n = rng_below(r, 4); n > 0; n--)
        put(g, starts[rng_below(r, sizeof starts)]);
    if (rng_chance(r, 3)) { /* towards the limit of 15 bytes */
        for (unsigned n = 8 + rng_below(r, 7); n > 0; n--)
            put(g, starts[rng_below(r, 5)]);
    }
    while (g->len < GEN_INSN_MAX)
        put(g, (unsigned)rng_next(r) & 0xff);
}
