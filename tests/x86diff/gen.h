/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The generator: bytes from the decoder's own table, then registers and memory that make them do something.
 */
#ifndef CAISSON_TESTS_X86DIFF_GEN_H
#define CAISSON_TESTS_X86DIFF_GEN_H

#include "tests/x86diff/arena.h"
#include "tests/x86diff/rng.h"
#include "tests/x86diff/soft.h"
#include "vmm/x86/opcodes.h"

/* ---- Coverage keys: what counts as one (opcode, form) pair ---- */

struct cover_key {
    uint16_t row; /* x86_encoding_at */
    uint8_t mode; /* enum case_mode */
    uint8_t mem;  /* 1: memory operand */
    uint8_t size; /* operand size in bytes */
};

#define COVER_MAX  8192u
#define COVER_NONE 0xffffu

struct cover {
    unsigned count;
    unsigned start[CASE_MODES + 1]; /* keys of one mode are together */
    struct cover_key key[COVER_MAX];
    uint8_t excluded[COVER_MAX]; /* enum exclude_reason of the whole pair, or 0 */
};

/* Find every pair the table can produce in the first `modes` modes, by trying. Deterministic. */
void cover_find(struct cover *c, const struct host *h, unsigned modes);

/* ---- Bytes ---- */

#define GEN_INSN_MAX 24u

/* An instruction being made: its bytes and where their parts are. */
struct gen_insn {
    uint8_t bytes[GEN_INSN_MAX]; /* random behind len */
    uint8_t len;                 /* by the decoder */
    uint8_t disp_at, disp_bytes; /* displacement or moffs */
    uint8_t imm_at;
    struct x86_insn in; /* as decoded */
};

unsigned gen_dec_mode(unsigned mode, const struct host *h);

/* Make the bytes of a row with random prefixes and operands. mem: 1 memory operand, 0 register. */
void gen_encode(struct rng *r, const struct x86_encoding *e, unsigned mode, bool mem, struct gen_insn *g);
/* Decode it. False unless the decoder finds just this operation. */
bool gen_decode(struct gen_insn *g, unsigned dec_mode, const struct x86_encoding *e);
/* Bytes of no plan, mostly with a plausible beginning. */
void gen_random_bytes(struct rng *r, struct gen_insn *g);

/* ---- Whole cases ---- */

struct gen {
    const struct host *host;
    const struct cover *cover;
    bool ldt;             /* segments of the LDT may be used */
    unsigned modes;       /* how many of enum case_mode work on this host */
    int only_op;          /* draw nothing but this operation, or -1 */
    int only_mode;        /* the same for enum case_mode */
    const uint8_t *fixed; /* these bytes instead of drawn ones, or NULL */
    unsigned fixed_len, fixed_mode;
};

void gen_case(const struct gen *g, uint64_t seed, uint64_t number, struct case_in *in);
/* The same case cut after `insns` instructions. */
void gen_cut(struct case_in *in, unsigned insns);

/* ---- Registers and memory ---- */

/* A case in the making. */
struct gen_state {
    struct rng *r;
    const struct gen *g;
    struct case_in *in;
    uint32_t pinned; /* registers that hold an address already */
    uint64_t high;   /* 0 or ARENA_HIGH: which copy of the windows this case uses */
    uint64_t seg_base[6];
};

/* Registers, segments, x87 and SSE state before any instruction is known. */
void gen_registers(struct gen_state *s);
/* An address for `bytes` of data, mostly good: low or high copy as `high` says. align: 0, or preferred alignment. */
uint64_t gen_target(struct rng *r, uint64_t high, unsigned bytes, unsigned align);
/* Write bytes over the template at a linear address. Ignored when the case has no room for more. */
void gen_patch(struct gen_state *s, uint64_t lin, const void *bytes, unsigned len);
/* Registers and memory for instruction `gi` at linear address `lin`; displacement bytes may change. */
void gen_operands(struct gen_state *s, struct gen_insn *gi, uint64_t lin);
/*
 * What single operations want: divisors that divide, selectors that exist, frames, save areas. lin: where the memory
 * operand is, or 0.
 */
void gen_special(struct gen_state *s, struct gen_insn *gi, uint64_t lin);

#endif
