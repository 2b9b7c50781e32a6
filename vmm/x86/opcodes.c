/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Makes the constant tables out of opcodes_*.def: all rows in one array, and for each map 256 numbers: of the first row
 * of each opcode.
 */
#include "vmm/x86/opcodes.h"

#include "vmm/x86/feature.h"

/* Number of each row. An opcode's first row has a name that the index below can make again; the others only count. */
#define ALT_NAME(map, opcode, line)    ROW_##map##_##opcode##_##line
#define ALT_NAME_AT(map, opcode, line) ALT_NAME(map, opcode, line)
enum row_number {
    ROW_NONE,
#define ENC(map, opcode, ...) ROW_##map##_##opcode,
#define ALT(map, opcode, ...) ALT_NAME_AT(map, opcode, __LINE__),
#include "vmm/x86/opcodes_all.def"
#undef ENC
#undef ALT
    ROW_COUNT
};

/* clang-format off */
/* The modrm column, whose names ROW puts MODRM_ before, and short names for the flags column. */
#define MODRM_NOM .mod = X86_MOD_NONE, .reg = -1, .modrm = -1
#define MODRM_RM .mod = X86_MOD_ANY, .reg = -1, .modrm = -1
#define MODRM_MEM .mod = X86_MOD_MEM, .reg = -1, .modrm = -1
#define MODRM_REG .mod = X86_MOD_REG, .reg = -1, .modrm = -1
#define MODRM_MODX .mod = X86_MOD_IGNORED, .reg = -1, .modrm = -1
#define MODRM_G(n) .mod = X86_MOD_ANY, .reg = (n), .modrm = -1
#define MODRM_GM(n) .mod = X86_MOD_MEM, .reg = (n), .modrm = -1
#define MODRM_GR(n) .mod = X86_MOD_REG, .reg = (n), .modrm = -1
#define MODRM_FX(b) .mod = X86_MOD_REG, .reg = (b) >> 3 & 7, .modrm = (b)

/* clang-format on */

enum flag_name {
    NO64 = X86_ENC_NO64,
    ONLY64 = X86_ENC_ONLY64,
    AMD = X86_ENC_AMD,
    INTEL = X86_ENC_INTEL,
    LOCK = X86_ENC_LOCK,
    OPREG = X86_ENC_OPREG,
    SEGOP = X86_ENC_SEGOP,
    W0 = X86_ENC_W0,
    W1 = X86_ENC_W1,
    NOREXB = X86_ENC_NOREXB,
    STRING = X86_ENC_STRING,
    XLAT = X86_ENC_XLAT,
    IMPL_AX = X86_ENC_IMPL_AX,
    IMPL_DI = X86_ENC_IMPL_DI,
    CREG = X86_ENC_CREG,
    DREG = X86_ENC_DREG,
    MMREG = X86_ENC_MMREG,
    MMRM = X86_ENC_MMRM,
    NOVREG = X86_ENC_NOVREG
};

/* clang-format off */
#define ROW(alt_, map_, opcode_, prefix_, modrm_, op_, form_, size_, msize_, imm_, flags_)                             \
    {                                                                                                                  \
        MODRM_##modrm_, .alt = (alt_), .map = X86_MAP_##map_, .opcode = (opcode_), .prefix = X86_PFX_##prefix_,        \
        .op = X86_OP_##op_, .form = X86_FORM_##form_, .size = X86_SZ_##size_, .msize = X86_SZ_##msize_,                \
        .imm = X86_IMM_##imm_, .flags = (flags_)                                                                       \
    },
#define ENC(...) ROW(0, __VA_ARGS__)
#define ALT(...) ROW(1, __VA_ARGS__)
/* One row more than ROW_COUNT at the end, so that the last opcode's rows end like all others. */
static const struct x86_encoding rows[ROW_COUNT + 1] = {
    {.mod = X86_MOD_NONE},
#include "vmm/x86/opcodes_all.def"
};
/* clang-format on */
#undef ENC
#undef ALT

_Static_assert(ROW_COUNT <= UINT16_MAX, "row numbers are 16 bits");

static const uint16_t first_row[X86_MAP_COUNT][256] = {
#define ENC(map, opcode, ...) [X86_MAP_##map][opcode] = ROW_##map##_##opcode,
#define ALT(...)
#include "vmm/x86/opcodes_all.def"
};

size_t x86_encoding_count(void)
{
    return ROW_COUNT - 1;
}

const struct x86_encoding *x86_encoding_at(size_t i)
{
    return i < x86_encoding_count() ? &rows[i + 1] : NULL;
}

const struct x86_encoding *x86_encoding_first(enum x86_map map, uint8_t opcode)
{
    unsigned row = first_row[map][opcode];
    return row != ROW_NONE ? &rows[row] : NULL;
}

unsigned x86_encoding_feature(const struct x86_encoding *e)
{
    unsigned feature = x86_op_feature(e->op);
    bool vector = x86_op_family(e->op) == X86_FAM_VEC;
    if (!vector)
        return feature;
    if (e->op == X86_OP_PMULUDQ || e->op == X86_OP_PADDQ || e->op == X86_OP_PSUBQ)
        return X86_F_SSE2;
    if (e->prefix == X86_PFX_NP)
        return feature;
    return feature == X86_F_MMX || (feature == X86_F_SSE && e->prefix == X86_PFX_66) ? (unsigned)X86_F_SSE2 : feature;
}
