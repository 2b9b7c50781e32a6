/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The opcode maps: every encoding the decoder accepts, as one row of a constant table.
 *
 * opcodes_*.def hold the rows, one line each, sorted by map and opcode; ENC starts an opcode, ALT adds a further row to
 * the one before it. The first row that fits the bytes wins; bytes that fit no row are #UD. The columns are:
 *
 *     map       1B (one byte), 0F, 0F38, 0F3A, VEX_0F, VEX_0F38, VEX_0F3A
 *     opcode    last opcode byte
 *     prefix    enum x86_prefix_kind
 *     modrm     NOM: no ModRM byte; RM: any; MEM, REG: one kind of rm only; G(n), GM(n), GR(n): the same three with
 *               ModRM.reg == n; FX(b): this ModRM byte only; MODX: any, mod is ignored and rm is a register
 *     op        enum x86_op
 *     form      enum x86_form
 *     size      enum x86_size_kind: of the operands
 *     msize     enum x86_size_kind: of rm when it is memory; where rm can also be a register of another size than the
 *               operand size (MOVZX, CRC32, MOVD), of that register too
 *     imm       enum x86_imm_kind
 *     flags     X86_ENC_*, without that prefix
 *
 * The decoder is one reader of the table, the differential tester the other: it draws its instructions from it.
 */
#ifndef CAISSON_VMM_X86_OPCODES_H
#define CAISSON_VMM_X86_OPCODES_H

#include <stdbool.h>

#include "vmm/x86/insn.h"

enum x86_map {
    X86_MAP_1B,
    X86_MAP_0F,
    X86_MAP_0F38,
    X86_MAP_0F3A,
    X86_MAP_VEX_0F,
    X86_MAP_VEX_0F38,
    X86_MAP_VEX_0F3A,
    X86_MAP_COUNT
};

/* Which of 66, F2 and F3 the row wants. Of F2 and F3 the last one counts, and either beats 66. In VEX maps: VEX.pp. */
enum x86_prefix_kind {
    X86_PFX_ANY, /* all are modifiers: operand size, REP, or ignored */
    X86_PFX_NP,  /* none of the three */
    X86_PFX_NF,  /* neither F2 nor F3; 66 is the operand size */
    X86_PFX_66,  /* 66, and neither F2 nor F3 */
    X86_PFX_F3,  /* F3; 66 is the operand size or ignored */
    X86_PFX_F2   /* the same for F2 */
};

enum x86_modrm_kind {
    X86_MOD_NONE, /* no ModRM byte */
    X86_MOD_ANY,
    X86_MOD_MEM,    /* memory only */
    X86_MOD_REG,    /* register only */
    X86_MOD_IGNORED /* any mod, and rm is a register */
};

/* Sizes in bytes: 0 to 16 are meant literally, the others depend on mode and prefixes. */
enum x86_size_kind {
    X86_SZ_0 = 0,
    X86_SZ_1 = 1,
    X86_SZ_2 = 2,
    X86_SZ_4 = 4,
    X86_SZ_8 = 8,
    X86_SZ_10 = 10,
    X86_SZ_16 = 16,
    X86_SZ_V,    /* operand size: 2, 4, 8 */
    X86_SZ_Y,    /* 8 with REX.W or VEX.W, else 4 */
    X86_SZ_N64,  /* operand size, in 64-bit mode 8 (or 2 with 66): stack */
    X86_SZ_F64,  /* operand size, in 64-bit mode 8 (AMD: 2 with 66): near branches */
    X86_SZ_IO,   /* operand size, but never 8 */
    X86_SZ_NAT,  /* 8 in 64-bit mode, else 4 */
    X86_SZ_DT,   /* 8 in 64-bit mode, else the operand size: descriptor table registers */
    X86_SZ_ENV,  /* 2 or 4: layout of the x87 environment */
    X86_SZ_VM2,  /* operand size for a register, 2 for memory */
    X86_SZ_FARV, /* operand size, but 4 instead of 8 on AMD: far pointers in memory */
    X86_SZ_S,    /* msize only: the same as size */
    X86_SZ_2V,   /* msize only: two operands of the operand size */
    X86_SZ_FAR,  /* msize only: offset of the operand size and selector */
    X86_SZ_DTR,  /* msize only: 2 + 8 in 64-bit mode, else 2 + 4 */
    X86_SZ_SXD   /* msize only: 4, but Intel reads 2 when the operand size is 2 */
};

enum x86_imm_kind {
    X86_IMM_0,     /* none */
    X86_IMM_ONE,   /* no byte; the value is 1 */
    X86_IMM_B,     /* 1 byte, zero-extended */
    X86_IMM_BS,    /* 1 byte, sign-extended */
    X86_IMM_W,     /* 2 bytes, zero-extended */
    X86_IMM_Z,     /* 2 or 4 bytes by operand size; sign-extended when that is 8 */
    X86_IMM_V,     /* 2, 4 or 8 bytes by operand size */
    X86_IMM_J8,    /* 1 byte, sign-extended: branch displacement */
    X86_IMM_JZ,    /* 2 or 4 bytes, sign-extended: branch displacement */
    X86_IMM_FAR,   /* offset of 2 or 4 bytes, selector of 2 */
    X86_IMM_ENTER, /* 2 bytes, 1 byte */
    X86_IMM_MOFFS  /* not an immediate: offset of the memory operand, by address size */
};

#define X86_ENC_NO64    0x0001u  /* not in 64-bit mode */
#define X86_ENC_ONLY64  0x0002u  /* only there */
#define X86_ENC_AMD     0x0004u  /* only with X86_DEC_AMD */
#define X86_ENC_INTEL   0x0008u  /* only without */
#define X86_ENC_LOCK    0x0010u  /* LOCK is allowed when rm is memory */
#define X86_ENC_OPREG   0x0020u  /* rm is a register in the opcode's low three bits */
#define X86_ENC_SEGOP   0x0040u  /* reg is a segment register in the opcode's bits 3 to 5 */
#define X86_ENC_W0      0x0080u  /* REX.W (VEX.W) must be clear */
#define X86_ENC_W1      0x0100u  /* or set */
#define X86_ENC_NOREXB  0x0200u  /* REX.B must be clear */
#define X86_ENC_STRING  0x0400u  /* implied memory operands: DS:rSI with override, ES:rDI */
#define X86_ENC_XLAT    0x0800u  /* memory operand DS:[rBX + AL] */
#define X86_ENC_IMPL_AX 0x1000u  /* implied memory at DS:rAX */
#define X86_ENC_IMPL_DI 0x2000u  /* implied memory at DS:rDI */
#define X86_ENC_CREG    0x4000u  /* reg is a control register */
#define X86_ENC_DREG    0x8000u  /* reg is a debug register */
#define X86_ENC_MMREG   0x10000u /* reg is an MMX register: REX.R is ignored */
#define X86_ENC_MMRM    0x20000u /* the same for rm */
#define X86_ENC_NOVREG  0x40000u /* VEX.vvvv must be 1111 */

struct x86_encoding {
    uint32_t flags; /* X86_ENC_* */
    uint16_t op;    /* enum x86_op */
    int16_t modrm;  /* the only ModRM byte allowed, or -1 */
    uint8_t map;    /* enum x86_map */
    uint8_t opcode; /* last opcode byte */
    uint8_t prefix; /* enum x86_prefix_kind */
    uint8_t mod;    /* enum x86_modrm_kind */
    int8_t reg;     /* the only ModRM.reg allowed (opcode extension), or -1 */
    uint8_t form;   /* enum x86_form */
    uint8_t size;   /* enum x86_size_kind */
    uint8_t msize;  /* enum x86_size_kind */
    uint8_t imm;    /* enum x86_imm_kind */
    uint8_t alt;    /* a further row of the opcode that the row before it is for */
};

/* Number of rows, and row i: NULL from that number on. Rows are constant and never freed. Pure; any thread. */
size_t x86_encoding_count(void);
const struct x86_encoding *x86_encoding_at(size_t i);

/*
 * First row of an opcode in a map, or NULL when it has none. Further rows follow it in memory as long as their `alt` is
 * set; a row without it always follows the last one.
 * map: below X86_MAP_COUNT. Pure; any thread.
 */
const struct x86_encoding *x86_encoding_first(enum x86_map map, uint8_t opcode);

static inline bool x86_encoding_is_vex(const struct x86_encoding *e)
{
    return e->map >= X86_MAP_VEX_0F;
}

/* True when the row can occur in a mode (X86_DEC_* word): mode and vendor. */
static inline bool x86_encoding_in_mode(const struct x86_encoding *e, unsigned mode)
{
    uint32_t not_here = (mode & X86_DEC_BITS) == X86_DEC_64 ? X86_ENC_NO64 : X86_ENC_ONLY64;
    not_here |= mode & X86_DEC_AMD ? X86_ENC_INTEL : X86_ENC_AMD;
    return (e->flags & not_here) == 0;
}

/*
 * The feature (enum x86_feature) that offers this row. It is the operation's own but for the XMM forms of MMX and SSE
 * integer operations, which came with SSE2. Pure; any thread.
 */
unsigned x86_encoding_feature(const struct x86_encoding *e);

#endif
