/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/x86diff/exclude.h"
#include "tests/x86diff/gen.h"

/* Tries per row and kind of operand: enough for every operand size, which the rarest prefix (3 in 100) decides. */
#define TRIES 300u

static void note(struct cover *c, unsigned first, const struct cover_key *k, unsigned excluded)
{
    for (unsigned i = first; i < c->count; i++) {
        const struct cover_key *o = &c->key[i];
        if (o->row == k->row && o->mem == k->mem && o->size == k->size) {
            if (excluded == 0)
                c->excluded[i] = 0;
            return;
        }
    }
    if (c->count == COVER_MAX)
        return;
    c->excluded[c->count] = (uint8_t)excluded;
    c->key[c->count++] = *k;
}

static void try_row(struct cover *c, const struct host *h, unsigned mode, unsigned row, bool mem)
{
    const struct x86_encoding *e = x86_encoding_at(row);
    unsigned dec = gen_dec_mode(mode, h), first = c->count;
    struct rng r = rng_make(2, (uint64_t)row * CASE_MODES + mode);
    struct gen_insn g;
    while (first > 0 && c->key[first - 1].row == row && c->key[first - 1].mode == mode)
        first--;
    for (unsigned i = 0; i < TRIES; i++) {
        gen_encode(&r, e, mode, mem, &g);
        if (!gen_decode(&g, dec, e))
            continue;
        const struct cover_key k = {
            .row = (uint16_t)row, .mode = (uint8_t)mode, .mem = g.in.flags & X86_IF_MEM ? 1 : 0, .size = g.in.size};
        note(c, first, &k, exclude_pair(e, &g.in, mode, h));
    }
}

void cover_find(struct cover *c, const struct host *h, unsigned modes)
{
    memset(c, 0, sizeof(*c));
    for (unsigned mode = 0; mode < CASE_MODES; mode++) {
        c->start[mode] = c->count;
        for (unsigned row = 0; mode < modes && row < x86_encoding_count(); row++) {
            const struct x86_encoding *e = x86_encoding_at(row);
            if (!x86_encoding_in_mode(e, gen_dec_mode(mode, h)))
                continue;
            try_row(c, h, mode, row, false);
            if (e->mod == X86_MOD_ANY || e->mod == X86_MOD_MEM)
                try_row(c, h, mode, row, true);
        }
    }
    c->start[CASE_MODES] = c->count;
}
