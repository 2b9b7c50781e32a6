/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/gen.h"

#include <string.h>

#include "tests/x86diff/exclude.h"
#include "tests/x86diff/values.h"
#include "vmm/x86/core.h"

/* Of 100 cases, how many are streams of several instructions, how many random bytes; the others are one instruction. */
#define STREAM_PERCENT 18u
#define RANDOM_PERCENT 8u
#define STEP_PERCENT   2u
#define ATTEMPTS       400u

/* ---- Drawing ---- */

static unsigned draw_key(struct rng *r, const struct gen *g, unsigned mode)
{
    const struct cover *c = g->cover;
    unsigned from = c->start[mode], n = c->start[mode + 1] - from;
    return from + rng_below(r, n);
}

static bool is_wanted(const struct gen *g, unsigned key)
{
    const struct x86_encoding *e = x86_encoding_at(g->cover->key[key].row);
    return g->cover->excluded[key] == 0 && (g->only_op < 0 || e->op == g->only_op);
}

/* Some instruction of that very pair. */
static bool draw_insn(struct rng *r, const struct gen *g, unsigned key, struct gen_insn *gi)
{
    const struct cover_key *k = &g->cover->key[key];
    const struct x86_encoding *e = x86_encoding_at(k->row);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        gen_encode(r, e, k->mode, k->mem != 0, gi);
        if (!gen_decode(gi, gen_dec_mode(k->mode, g->host), e) || gi->in.size != k->size)
            continue;
        if (((gi->in.flags & X86_IF_MEM) != 0) == (k->mem != 0) && exclude_insn(&gi->in, g->host) == EXCLUDE_NOT)
            return true;
    }
    return false;
}

/* ---- Placing ---- */

/* Where a case of `len` bytes begins: anywhere, across the two pages, or at the very end of what is executable. */
static uint64_t place(struct rng *r, unsigned len)
{
    unsigned kind = rng_below(r, 10);
    if (kind == 0)
        return ARENA_CODE + ARENA_CODE_BYTES - len;
    if (kind == 1)
        return ARENA_CODE + ARENA_PAGE - rng_below(r, len + 1);
    return ARENA_CODE + rng_below(r, ARENA_CODE_BYTES - CASE_CODE_MAX);
}

static void append(struct case_in *in, const struct gen_insn *gi, unsigned key)
{
    memcpy(in->code + in->code_len, gi->bytes, gi->len);
    in->insn_len[in->insns] = gi->len;
    in->key[in->insns] = (uint16_t)key;
    in->insns++;
    in->code_len = (uint8_t)(in->code_len + gi->len);
}

static void set_place(struct gen_state *s, uint64_t lin)
{
    struct case_in *in = s->in;
    in->code_lin = lin + s->high;
    in->regs.rip = in->code_lin - (in->mode == CASE_64 ? 0 : s->seg_base[X86_CS]);
}

/* ---- The kinds of cases ---- */

struct plan {
    struct gen_insn insn[CASE_INSNS_MAX];
    uint16_t key[CASE_INSNS_MAX];
    unsigned n;
};

static void build(struct gen_state *s, struct plan *p)
{
    unsigned len = 0;
    for (unsigned i = 0; i < p->n; i++)
        len += p->insn[i].len;
    uint64_t lin = place(s->r, len) + s->high;
    set_place(s, lin - s->high);
    for (unsigned i = 0; i < p->n; i++) {
        gen_operands(s, &p->insn[i], lin);
        append(s->in, &p->insn[i], p->key[i]);
        lin += p->insn[i].len;
    }
}

static void plan_pairs(struct gen_state *s, unsigned n, struct plan *p)
{
    p->n = 0;
    for (unsigned tries = 0; p->n < n && tries < 20000; tries++) {
        unsigned key = draw_key(s->r, s->g, s->in->mode);
        if (!is_wanted(s->g, key) || !draw_insn(s->r, s->g, key, &p->insn[p->n]))
            continue;
        unsigned op = p->insn[p->n].in.op;
        if (s->in->step && op == X86_OP_INT1)
            continue; /* two debug exceptions at once */
        p->key[p->n++] = (uint16_t)key;
        if (exclude_host_value(op))
            return; /* nothing may build on it */
    }
}

/* A real instruction with one byte changed, or LOCK before it, or a prefix more. */
static void mutate(struct gen_state *s, struct gen_insn *gi)
{
    static const uint8_t prefixes[4] = {0xf0, 0xf3, 0xf2, 0x66};
    uint8_t bytes[GEN_INSN_MAX];
    unsigned key = draw_key(s->r, s->g, s->in->mode);
    if (!is_wanted(s->g, key) || !draw_insn(s->r, s->g, key, gi))
        return;
    if (rng_chance(s->r, 50)) {
        gi->bytes[rng_below(s->r, gi->len)] = (uint8_t)rng_next(s->r);
        return;
    }
    memcpy(bytes, gi->bytes, sizeof bytes);
    gi->bytes[0] = prefixes[rng_below(s->r, 4)];
    memcpy(gi->bytes + 1, bytes, sizeof bytes - 1);
}

static void plan_random(struct gen_state *s, struct plan *p)
{
    struct gen_insn *gi = &p->insn[0];
    unsigned dec = gen_dec_mode(s->in->mode, s->g->host);
    gen_random_bytes(s->r, gi);
    if (rng_chance(s->r, 50))
        mutate(s, gi);
    gi->disp_bytes = 0;
    enum x86_dec_result res = x86_decode(gi->bytes, X86_INSN_MAX, dec, &gi->in);
    gi->len = res == X86_DEC_OK ? gi->in.len : X86_INSN_MAX;
    gi->imm_at = gi->len; /* the bytes stay as they are */
    p->key[0] = COVER_NONE;
    p->n = 1;
    s->in->random_bytes = true;
}

static void plan_fixed(struct gen_state *s, struct plan *p)
{
    const struct gen *g = s->g;
    unsigned dec = gen_dec_mode(g->fixed_mode, g->host);
    p->n = 0;
    for (unsigned at = 0; at < g->fixed_len && p->n < CASE_INSNS_MAX; p->n++) {
        struct gen_insn *gi = &p->insn[p->n];
        unsigned n = g->fixed_len - at < X86_INSN_MAX ? g->fixed_len - at : X86_INSN_MAX;
        memset(gi, 0, sizeof(*gi));
        memset(gi->bytes, ARENA_FILL, sizeof(gi->bytes));
        memcpy(gi->bytes, g->fixed + at, n);
        enum x86_dec_result res = x86_decode(gi->bytes, X86_INSN_MAX, dec, &gi->in);
        gi->len = res == X86_DEC_OK ? gi->in.len : (uint8_t)n;
        gi->disp_at = gi->imm_at = gi->len; /* leave them as they are */
        p->key[p->n] = COVER_NONE;
        at += gi->len;
    }
}

static unsigned draw_mode(struct rng *r, const struct gen *g)
{
    unsigned k = rng_below(r, 10);
    unsigned mode = k < 5 ? CASE_64 : k < 8 ? CASE_32 : CASE_16;
    if (g->only_mode >= 0)
        mode = (unsigned)g->only_mode;
    return mode < g->modes ? mode : CASE_64;
}

static void draw_plan(struct gen_state *s, struct plan *p)
{
    unsigned kind = rng_below(s->r, 100);
    if (s->g->fixed != NULL)
        plan_fixed(s, p);
    else if (kind < RANDOM_PERCENT && s->g->only_op < 0)
        plan_random(s, p);
    else
        plan_pairs(s, kind < RANDOM_PERCENT + STREAM_PERCENT ? 2 + rng_below(s->r, CASE_INSNS_MAX - 2) : 1, p);
}

/* One attempt; false when the case must not run. */
static bool draw_case(struct gen_state *s)
{
    struct plan p;
    struct case_in *in = s->in;
    s->pinned = 0;
    in->insns = in->code_len = in->patches = 0;
    in->random_bytes = false;
    s->high = in->mode == CASE_64 && rng_chance(s->r, 40) ? ARENA_HIGH : 0;
    memset(s->seg_base, 0, sizeof(s->seg_base));
    gen_registers(s);
    in->templ = (uint8_t)rng_below(s->r, TEMPLATES);
    in->step = rng_chance(s->r, STEP_PERCENT);
    draw_plan(s, &p);
    if (p.n == 0)
        return false;
    build(s, &p);
    return exclude_code(in, s->g->host) == EXCLUDE_NOT;
}

void gen_case(const struct gen *g, uint64_t seed, uint64_t number, struct case_in *in)
{
    struct rng r = rng_make(seed, number);
    struct gen_state s = {.r = &r, .g = g, .in = in};
    memset(in, 0, sizeof(*in));
    in->seed = seed;
    in->number = number;
    in->mode = (uint8_t)(g->fixed != NULL ? g->fixed_mode : draw_mode(&r, g));
    for (unsigned i = 0; i < ATTEMPTS && !draw_case(&s); i++)
        ;
}

void gen_cut(struct case_in *in, unsigned insns)
{
    in->code_len = 0;
    for (unsigned i = 0; i < insns && i < in->insns; i++)
        in->code_len = (uint8_t)(in->code_len + in->insn_len[i]);
    in->insns = (uint8_t)insns;
}
