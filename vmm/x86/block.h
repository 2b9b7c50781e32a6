/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cache of decoded basic blocks.
 *
 * A block is a run of instructions inside one page, decoded and bound once, found by physical address and mode. It
 * keeps the bytes it was made from, and every entry compares them with memory: that is what makes self-modifying code,
 * code written by another VP, and code written by a device or a VMM thread that no one reports, correct, at the cost
 * of a few loads. A store of this cpu into a page with blocks also ends the running block, so the following
 * instructions are looked at again.
 *
 * Blocks live in an arena that is emptied as a whole when full or when the memory layout changes; single blocks are
 * only unlinked.
 */
#ifndef CAISSON_VMM_X86_BLOCK_H
#define CAISSON_VMM_X86_BLOCK_H

#include "vmm/x86/core.h"

#define X86_BLOCK_INSNS 32
#define X86_BLOCK_BYTES 128

struct x86_block {
    uint64_t lin, ctx;   /* linear address and context it was last entered under */
    const uint8_t *code; /* host address of the first byte */
    uint64_t last_val, last_mask;
    uint64_t *raw;    /* the words before the last */
    int16_t last_off; /* the last word's place relative to code: never outside the page */
    uint8_t words;    /* whole words in raw */
    uint8_t n;        /* instructions */
    uint16_t bytes;
    uint16_t pad;
    uint32_t key;
    uint64_t gpa;
    struct x86_block *hash_next, *page_next;
    struct x86_insn insn[]; /* n, and one more that ends the block */
};

struct x86_cache;

struct x86_cache *x86_cache_new(size_t bytes);
void x86_cache_free(struct x86_cache *k);
/* Drop all blocks. */
void x86_cache_clear(struct x86_cpu *c);

/* The jump cache: direct-mapped by linear address. */
#define X86_JUMP_SIZE 8192
struct x86_block **x86_cache_jumps(struct x86_cache *k);

static inline unsigned x86_jump_slot(uint64_t lin)
{
    return (unsigned)(lin ^ lin >> 13) & (X86_JUMP_SIZE - 1);
}

/* Do the bytes in memory still say what the block was made from? */
static inline bool x86_block_current(const struct x86_block *b)
{
    uint64_t diff = (((const struct x86_u64 *)(const void *)(b->code + b->last_off))->v ^ b->last_val) & b->last_mask;
    for (unsigned i = 0; i < b->words; i++)
        diff |= ((const struct x86_u64 *)(const void *)(b->code + 8 * i))->v ^ b->raw[i];
    return diff == 0;
}

/*
 * The block at linear address lin in the cpu's context, found or made; *out is valid until the next call. X86_NEXT, or
 * X86_FAULT (fetch fault recorded) or X86_EXIT.
 */
int x86_block_get(struct x86_cpu *c, uint64_t lin, struct x86_block **out);

#endif
