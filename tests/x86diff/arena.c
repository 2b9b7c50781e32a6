/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/arena.h"

#include <string.h>

#include "tests/x86diff/values.h"

/*
 * Segments over the data window, so that limits can be met: 16-bit addressing reaches the whole window from base
 * ARENA_DATA. The expand-down ones begin above the first page of memory.
 */
const struct ldt_entry ldt_entries[LDT_COUNT] = {
    [LDT_DATA16] = {ARENA_DATA, 0xffff, 0, false, false, false, false, "data, 64 KiB, 16-bit"},
    [LDT_DATA32] = {ARENA_DATA, 0x5fff, 0, false, true, false, false, "data up to the end of the last page, 32-bit"},
    [LDT_RO] = {ARENA_DATA, 0x5fff, 0, true, true, false, false, "read-only data"},
    [LDT_DOWN16] = {ARENA_DATA, 0x17ff, 1, false, false, false, false, "expand-down data, 16-bit"},
    [LDT_DOWN32] = {ARENA_DATA, 0x1, 1, false, true, true, false, "expand-down data in pages, 32-bit"},
    [LDT_SMALL] = {ARENA_FIRST, 0x7f6, 0, false, true, false, false, "data with an odd limit"},
    [LDT_CODE16] = {ARENA_CODE, 0xffff, 2, false, false, false, false, "code, 16-bit"},
    [LDT_CODE32] = {ARENA_CODE, 0x1fff, 2, false, true, false, false, "code with a limit, 32-bit"},
    [LDT_XONLY] = {ARENA_CODE, 0xfffff, 2, true, true, true, false, "execute-only code"},
    [LDT_ABSENT] = {ARENA_DATA, 0xffff, 0, false, true, false, true, "data, not present"},
};

uint64_t ldt_descriptor(const struct ldt_entry *e)
{
    uint64_t type = (e->read_only ? 0u : 2u) | (unsigned)e->contents << 2 | 1u;
    uint64_t d = (e->limit & 0xffff) | (uint64_t)(e->limit >> 16 & 0xf) << 48;
    d |= (uint64_t)(e->base & 0xffffff) << 16 | (uint64_t)(e->base >> 24) << 56;
    d |= type << 40 | UINT64_C(7) << 44; /* S, DPL 3 */
    d |= (uint64_t)!e->absent << 47;
    d |= (uint64_t)e->big << 54 | (uint64_t)e->pages << 55;
    return d;
}

int arena_offset(uint64_t lin)
{
    if (lin >= ARENA_DATA + ARENA_HIGH)
        lin -= ARENA_HIGH;
    if (lin < ARENA_DATA || lin - ARENA_DATA >= (uint64_t)ARENA_DATA_PAGES * ARENA_PAGE)
        return -1;
    const struct arena_page *p = &arena_pages[(lin - ARENA_DATA) / ARENA_PAGE];
    if (p->kind == ARENA_HOLE)
        return -1;
    return (int)(p->backing * ARENA_PAGE + lin % ARENA_PAGE);
}

static void fill_line(struct rng *r, uint8_t *p)
{
    for (unsigned i = 0; i < 64; i += 16)
        value_vec(r, p + i);
    if (rng_chance(r, 20))
        value_f80(r, p + rng_below(r, 32));
    if (rng_chance(r, 5))
        value_bcd(r, p + rng_below(r, 32));
}

void templates_fill(struct templates *t)
{
    struct rng r = rng_make(1, 0);
    for (unsigned i = 0; i < TEMPLATES; i++) {
        for (unsigned o = 0; o < ARENA_RW_BYTES; o += 64)
            fill_line(&r, t->rw[i] + o);
    }
    for (unsigned o = 0; o < ARENA_PAGE; o += 64)
        fill_line(&r, t->ro + o);
}

void arena_init(uint8_t *store, const struct templates *t)
{
    memcpy(store + ARENA_STORE_RO, t->ro, ARENA_PAGE);
    memset(store + ARENA_STORE_CODE, ARENA_FILL, ARENA_CODE_BYTES);
}

void arena_prepare(uint8_t *store, const struct templates *t, const struct case_in *in)
{
    memcpy(store, t->rw[in->templ], ARENA_RW_BYTES);
    for (unsigned i = 0; i < in->patches; i++) {
        const struct case_patch *p = &in->patch[i];
        for (unsigned b = 0; b < p->len; b++) {
            int off = arena_offset(p->lin + b);
            if (off >= 0 && off < (int)ARENA_RW_BYTES)
                store[off] = p->bytes[b];
        }
    }
    memcpy(store + ARENA_STORE_CODE + (in->code_lin & (ARENA_CODE_BYTES - 1)), in->code, in->code_len);
}

void arena_clean(uint8_t *store, const struct case_in *in)
{
    memset(store + ARENA_STORE_CODE + (in->code_lin & (ARENA_CODE_BYTES - 1)), ARENA_FILL, in->code_len);
}
