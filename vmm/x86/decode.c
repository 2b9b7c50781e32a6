/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The decoder: prefixes, opcode, ModRM, SIB, displacement, immediate, in the order of the bytes; then everything that
 * the operand columns of the opcode's row say is written into struct x86_insn.
 *
 * Source: Intel SDM volume 2, chapter 2; AMD APM volume 3, chapter 1. Where they differ, and where both are silent, the
 * code says so.
 */
#include <stdbool.h>
#include <string.h>

#include "vmm/x86/opcodes.h"

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u

#define SEG_NONE 0xffu

/* What has been read so far. */
struct decoder {
    const uint8_t *p;
    size_t n;
    unsigned pos;
    enum x86_dec_result err; /* sticky: after it take() gives zeros */
    bool mode64, mode16, amd;

    bool o66, a67, lock, vex, has_rex;
    uint8_t rep;  /* last of F2 and F3, or 0 */
    uint8_t seg;  /* override in effect, or SEG_NONE */
    uint8_t rex;  /* W, R, X, B; from VEX also */
    uint8_t pp;   /* enum x86_prefix_kind: mandatory prefix there is, NP for none */
    uint8_t vreg; /* VEX.vvvv, not inverted: 0 when it is to be unused */
    uint8_t vexl; /* VEX.L */
    uint8_t map;  /* enum x86_map */
    uint8_t opcode, modrm;
    uint8_t asize; /* address size: 2, 4, 8 */
};

static void fail(struct decoder *d, enum x86_dec_result err)
{
    if (d->err == X86_DEC_OK)
        d->err = err;
}

/* ---- Bytes ---- */

static uint8_t take(struct decoder *d)
{
    if (d->err != X86_DEC_OK)
        return 0;
    if (d->pos >= X86_INSN_MAX)
        fail(d, X86_DEC_LONG);
    else if (d->pos >= d->n)
        fail(d, X86_DEC_SHORT);
    else
        return d->p[d->pos++];
    return 0;
}

/* Little-endian value of 1 to 8 bytes. */
static uint64_t take_n(struct decoder *d, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)take(d) << (8 * i);
    return v;
}

static uint64_t take_signed(struct decoder *d, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return (uint64_t)((int64_t)(take_n(d, bytes) << shift) >> shift);
}

/* ---- Prefixes and opcode ---- */

/* In 64-bit mode ES, CS, SS and DS overrides do nothing, not even undo an earlier FS or GS. */
static void take_segment(struct decoder *d, uint8_t seg)
{
    if (!d->mode64 || seg >= X86_FS)
        d->seg = seg;
}

/* Note a legacy prefix; false when b is none. */
static bool take_legacy_prefix(struct decoder *d, uint8_t b)
{
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e: take_segment(d, (b >> 3) & 3); return true;
    case 0x64:
    case 0x65: take_segment(d, (uint8_t)(b - 0x64 + X86_FS)); return true;
    case 0x66: d->o66 = true; return true;
    case 0x67: d->a67 = true; return true;
    case 0xf0: d->lock = true; return true;
    case 0xf2:
    case 0xf3: d->rep = b; return true;
    default: return false;
    }
}

/* Read all prefixes and return the first opcode byte. A REX prefix counts only if the opcode follows it. */
static uint8_t take_prefixes(struct decoder *d)
{
    for (;;) {
        uint8_t b = take(d);
        if (d->mode64 && (b & 0xf0) == 0x40) {
            d->has_rex = true;
            d->rex = b & 0xf;
        } else if (take_legacy_prefix(d, b)) {
            d->has_rex = false;
            d->rex = 0;
        } else {
            return b;
        }
    }
}

static uint8_t mandatory_prefix(const struct decoder *d)
{
    if (d->rep)
        return d->rep == 0xf3 ? X86_PFX_F3 : X86_PFX_F2;
    return d->o66 ? X86_PFX_66 : X86_PFX_NP;
}

static void take_legacy_opcode(struct decoder *d, uint8_t b)
{
    d->pp = mandatory_prefix(d);
    d->map = X86_MAP_1B;
    d->opcode = b;
    if (b != 0x0f)
        return;
    d->map = X86_MAP_0F;
    d->opcode = take(d);
    if (d->opcode == 0x38 || d->opcode == 0x3a) {
        d->map = d->opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
        d->opcode = take(d);
    }
}

/* Outside 64-bit mode C4 and C5 are LES and LDS when what follows is a ModRM byte with a memory operand. */
static bool is_vex(struct decoder *d, uint8_t b)
{
    if (b != 0xc4 && b != 0xc5)
        return false;
    if (d->mode64)
        return true;
    if (d->pos >= d->n || d->pos >= X86_INSN_MAX)
        return false; /* the next take() fails */
    return d->p[d->pos] >= 0xc0;
}

/*
 * The prefix bytes behind C4 or C5, and the opcode. Outside 64-bit mode there are eight registers and no W; the fourth
 * bit of vvvv is then ignored where it names a register, but not where it must be 1111.
 */
static void take_vex_opcode(struct decoder *d, uint8_t b)
{
    static const uint8_t pp[4] = {X86_PFX_NP, X86_PFX_66, X86_PFX_F3, X86_PFX_F2};
    bool prefixed = d->o66 || d->rep || d->lock || d->has_rex;
    uint8_t first = take(d), second = first, map = 1;
    d->rex = (uint8_t)(~first >> 5) & REX_R;
    if (b == 0xc4) {
        second = take(d);
        map = first & 0x1f;
        d->rex = ((uint8_t)(~first >> 5) & 7) | (second >> 4 & REX_W);
    }
    d->vex = true;
    d->pp = pp[second & 3];
    d->vexl = second >> 2 & 1;
    d->vreg = (uint8_t)(~second >> 3) & 0xf;
    if (!d->mode64)
        d->rex = 0;
    if (prefixed || map < 1 || map > 3)
        fail(d, X86_DEC_UD);
    else
        d->map = (uint8_t)(X86_MAP_VEX_0F + map - 1);
    d->opcode = take(d);
}

/* ---- Choice of the row ---- */

static bool prefix_fits(const struct decoder *d, const struct x86_encoding *e)
{
    switch (e->prefix) {
    case X86_PFX_ANY: return true;
    case X86_PFX_NF: return d->pp == X86_PFX_NP || d->pp == X86_PFX_66;
    default: return d->pp == e->prefix;
    }
}

static bool modrm_fits(const struct decoder *d, const struct x86_encoding *e)
{
    bool is_reg = d->modrm >= 0xc0;
    if (e->mod == X86_MOD_NONE)
        return true;
    if ((e->mod == X86_MOD_MEM && is_reg) || (e->mod == X86_MOD_REG && !is_reg))
        return false;
    return (e->modrm < 0 || e->modrm == d->modrm) && (e->reg < 0 || e->reg == (d->modrm >> 3 & 7));
}

static bool rex_fits(const struct decoder *d, const struct x86_encoding *e)
{
    if (d->vexl)
        return false; /* no row with L set yet */
    uint32_t clash = d->rex & REX_W ? X86_ENC_W0 : X86_ENC_W1;
    if (d->rex & REX_B)
        clash |= X86_ENC_NOREXB;
    if (d->vreg != 0)
        clash |= X86_ENC_NOVREG;
    return (e->flags & clash) == 0;
}

/* The first row from e on that the mode has; NULL when there is no more for this opcode. */
static const struct x86_encoding *row_in_mode(const struct x86_encoding *e, unsigned mode)
{
    while (e != NULL && !x86_encoding_in_mode(e, mode))
        e = e[1].alt ? e + 1 : NULL;
    return e;
}

/* The row for what has been read, after reading ModRM if the opcode has one; NULL when there is none. */
static const struct x86_encoding *take_row(struct decoder *d, unsigned mode)
{
    const struct x86_encoding *e = row_in_mode(x86_encoding_first((enum x86_map)d->map, d->opcode), mode);
    if (e != NULL && e->mod != X86_MOD_NONE)
        d->modrm = take(d);
    while (e != NULL && !(prefix_fits(d, e) && modrm_fits(d, e) && rex_fits(d, e)))
        e = row_in_mode(e[1].alt ? e + 1 : NULL, mode);
    return e;
}

/* ---- Sizes ---- */

static uint8_t operand_size(const struct decoder *d)
{
    if (d->rex & REX_W)
        return 8;
    return d->o66 != d->mode16 ? 2 : 4;
}

/* Stack and near branch operands in 64-bit mode: never 4. */
static uint8_t size_64_or_2(const struct decoder *d, bool can_be_2)
{
    return can_be_2 && d->o66 && !(d->rex & REX_W) ? 2 : 8;
}

/* size: the operand size already known, for the kinds of msize that build on it. */
static uint8_t size_of_kind(const struct decoder *d, unsigned kind, uint8_t size)
{
    uint8_t v = operand_size(d);
    bool is_reg = d->modrm >= 0xc0;
    switch (kind) {
    case X86_SZ_V: return v;
    case X86_SZ_Y: return d->rex & REX_W ? 8 : 4;
    case X86_SZ_N64: return d->mode64 ? size_64_or_2(d, true) : v;
    case X86_SZ_F64: return d->mode64 ? size_64_or_2(d, d->amd) : v;
    case X86_SZ_IO: return v == 8 ? 4 : v;
    case X86_SZ_NAT: return d->mode64 ? 8 : 4;
    case X86_SZ_DT: return d->mode64 ? 8 : v;
    case X86_SZ_ENV: return v == 2 ? 2 : 4;
    case X86_SZ_VM2: return is_reg ? v : 2;
    case X86_SZ_FARV: return v == 8 && d->amd ? 4 : v;
    case X86_SZ_S: return size;
    case X86_SZ_2V: return (uint8_t)(2 * size);
    case X86_SZ_FAR: return (uint8_t)(size + 2);
    case X86_SZ_DTR: return d->mode64 ? 10 : 6;
    case X86_SZ_SXD: return v == 2 && !d->amd ? 2 : 4;
    default: return (uint8_t)kind;
    }
}

/* ---- Memory operand ---- */

static void set_memory(const struct decoder *d, struct x86_insn *in, uint8_t base, uint8_t default_seg)
{
    in->base = base;
    in->seg = d->seg != SEG_NONE ? d->seg : default_seg;
}

static void take_memory16(struct decoder *d, struct x86_insn *in)
{
    static const uint8_t bases[8] = {X86_RBX, X86_RBX, X86_RBP, X86_RBP, X86_RSI, X86_RDI, X86_RBP, X86_RBX};
    static const uint8_t indices[4] = {X86_RSI, X86_RDI, X86_RSI, X86_RDI};
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    bool absolute = mod == 0 && rm == 6;
    uint8_t base = absolute ? X86_SLOT_ZERO : bases[rm];
    if (rm < 4)
        in->index = indices[rm];
    set_memory(d, in, base, base == X86_RBP ? X86_SS : X86_DS);
    if (mod == 1)
        in->disp = (int64_t)take_signed(d, 1);
    else if (mod == 2 || absolute)
        in->disp = (int64_t)take_signed(d, 2);
}

/* SIB: index and scale are set, the base number (0 to 7, without REX.B) is returned. */
static unsigned take_sib(struct decoder *d, struct x86_insn *in)
{
    uint8_t sib = take(d);
    unsigned index = (sib >> 3 & 7u) | (d->rex & REX_X) << 2;
    if (index != X86_RSP) {
        in->index = (uint8_t)index;
        in->scale = sib >> 6;
    }
    return sib & 7;
}

/* 32- and 64-bit addressing. Base 5 without displacement means none; without SIB in 64-bit mode it means RIP. */
static void take_memory32(struct decoder *d, struct x86_insn *in)
{
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    unsigned base = rm == 4 ? take_sib(d, in) : rm;
    unsigned full = base | (d->rex & REX_B) << 3;
    if (mod == 0 && base == 5) {
        bool riprel = d->mode64 && rm == 5;
        set_memory(d, in, riprel ? X86_SLOT_RIP : X86_SLOT_ZERO, X86_DS);
        in->flags |= riprel ? X86_IF_RIPREL : 0;
        in->disp = (int64_t)take_signed(d, 4);
        return;
    }
    set_memory(d, in, (uint8_t)full, full == X86_RSP || full == X86_RBP ? X86_SS : X86_DS);
    if (mod == 1)
        in->disp = (int64_t)take_signed(d, 1);
    else if (mod == 2)
        in->disp = (int64_t)take_signed(d, 4);
}

/* Offset of the register byte operand n: AH, CH, DH, BH are numbers 4 to 7 without REX. */
static uint8_t byte_offset(const struct decoder *d, unsigned n)
{
    bool high = !d->has_rex && n >= 4 && n < 8;
    return (uint8_t)(high ? (n - 4) * 8 + 1 : n * 8);
}

static void take_modrm_operands(struct decoder *d, struct x86_insn *in, const struct x86_encoding *e)
{
    bool is_reg = d->modrm >= 0xc0 || e->mod == X86_MOD_IGNORED;
    bool plain_reg = (e->flags & X86_ENC_MMREG) || e->reg >= 0;
    bool plain_rm = (e->flags & X86_ENC_MMRM) || x86_op_family(e->op) == X86_FAM_X87;
    in->modrm = d->modrm;
    in->reg = (d->modrm >> 3 & 7) | (uint8_t)(plain_reg ? 0 : (d->rex & REX_R) << 1);
    if (is_reg) {
        in->rm = (d->modrm & 7) | (uint8_t)(plain_rm ? 0 : (d->rex & REX_B) << 3);
        return;
    }
    in->flags |= X86_IF_MEM;
    if (d->asize == 2)
        take_memory16(d, in);
    else
        take_memory32(d, in);
}

/* Operands that the opcode implies instead of naming them by ModRM. */
static void set_implied_operands(const struct decoder *d, struct x86_insn *in, const struct x86_encoding *e)
{
    if (e->flags & X86_ENC_OPREG)
        in->rm = (d->opcode & 7) | (uint8_t)((d->rex & REX_B) << 3);
    if (e->flags & X86_ENC_SEGOP)
        in->reg = d->opcode >> 3 & 7;
    if (e->flags & X86_ENC_XLAT) {
        in->flags |= X86_IF_MEM;
        in->base = X86_RBX;
    }
    if (e->flags & X86_ENC_IMPL_AX)
        in->base = X86_RAX;
    if (e->flags & X86_ENC_IMPL_DI)
        in->base = X86_RDI;
}

/* ---- Immediates ---- */

static void take_immediate(struct decoder *d, struct x86_insn *in, unsigned kind)
{
    switch (kind) {
    case X86_IMM_ONE: in->imm = 1; break;
    case X86_IMM_B: in->imm = take(d); break;
    case X86_IMM_BS:
    case X86_IMM_J8: in->imm = take_signed(d, 1); break;
    case X86_IMM_W: in->imm = take_n(d, 2); break;
    case X86_IMM_Z: in->imm = in->size == 8 ? take_signed(d, 4) : take_n(d, in->size); break;
    case X86_IMM_V: in->imm = take_n(d, in->size); break;
    case X86_IMM_JZ: in->imm = take_signed(d, in->size == 2 ? 2 : 4); break;
    case X86_IMM_FAR:
        in->imm = take_n(d, in->size);
        in->imm2 = (uint16_t)take_n(d, 2);
        break;
    case X86_IMM_ENTER:
        in->imm = take_n(d, 2);
        in->imm2 = take(d);
        break;
    case X86_IMM_MOFFS:
        in->flags |= X86_IF_MEM;
        in->disp = (int64_t)take_n(d, d->asize);
        break;
    default: break;
    }
}

/* ---- Rules that no column says ---- */

/*
 * Control registers 0, 2, 3, 4 and 8 exist. On AMD, LOCK turns CR0 into CR8, which can so be named without REX (AMD APM
 * volume 3, MOV CRn); silicon knows no other number with LOCK.
 */
static void check_control_register(struct decoder *d, struct x86_insn *in)
{
    if (in->reg > 8 || !(0x11du >> in->reg & 1) || (d->lock && in->reg != 0))
        fail(d, X86_DEC_UD);
    if (d->lock)
        in->reg = 8;
}

static bool lock_allowed(const struct decoder *d, const struct x86_insn *in, const struct x86_encoding *e)
{
    if (e->flags & X86_ENC_CREG)
        return d->amd;
    return (e->flags & X86_ENC_LOCK) && (in->flags & X86_IF_MEM);
}

static void check_rules(struct decoder *d, struct x86_insn *in, const struct x86_encoding *e)
{
    if (e->flags & X86_ENC_CREG)
        check_control_register(d, in);
    if ((e->flags & X86_ENC_DREG) && in->reg > 7)
        fail(d, X86_DEC_UD);
    if (d->lock && !lock_allowed(d, in, e))
        fail(d, X86_DEC_UD);
}

/* ---- Putting it together ---- */

static void set_flags(const struct decoder *d, struct x86_insn *in, const struct x86_encoding *e)
{
    unsigned f = in->flags;
    f |= d->lock ? X86_IF_LOCK : 0;
    if (e->prefix == X86_PFX_ANY && d->rep)
        f |= d->rep == 0xf3 ? X86_IF_REP : X86_IF_REPNE;
    f |= d->asize == 2 ? X86_IF_A16 : d->asize == 4 ? X86_IF_A32 : 0;
    f |= d->mode64 ? X86_IF_M64 : d->mode16 ? X86_IF_M16 : 0;
    f |= d->o66 ? X86_IF_O16 : 0;
    f |= d->rex & REX_W ? X86_IF_REXW : 0;
    f |= d->has_rex ? X86_IF_REX : 0;
    f |= d->seg != SEG_NONE ? X86_IF_SEGOVR : 0;
    f |= d->vex ? X86_IF_VEX : 0;
    in->flags = (uint16_t)f;
}

static void take_operands(struct decoder *d, struct x86_insn *in, const struct x86_encoding *e)
{
    in->op = e->op;
    in->form = e->form;
    in->seg = d->seg != SEG_NONE ? d->seg : X86_DS;
    in->size = size_of_kind(d, e->size, 0);
    in->msize = size_of_kind(d, e->msize, in->size);
    in->vreg = d->mode64 ? d->vreg : d->vreg & 7;
    if (e->mod != X86_MOD_NONE)
        take_modrm_operands(d, in, e);
    set_implied_operands(d, in, e);
    take_immediate(d, in, e->imm);
    in->reg8 = byte_offset(d, in->reg);
    in->rm8 = byte_offset(d, in->rm);
    set_flags(d, in, e);
    check_rules(d, in, e);
}

static void clear(struct x86_insn *in)
{
    memset(in, 0, sizeof(*in));
    in->base = in->index = X86_SLOT_ZERO;
    in->seg = X86_DS;
}

static void decode(struct decoder *d, unsigned mode, struct x86_insn *out)
{
    uint8_t b = take_prefixes(d);
    d->asize = d->mode64 ? (d->a67 ? 4 : 8) : (d->a67 != d->mode16 ? 2 : 4);
    if (is_vex(d, b))
        take_vex_opcode(d, b);
    else
        take_legacy_opcode(d, b);
    const struct x86_encoding *e = d->err == X86_DEC_OK ? take_row(d, mode) : NULL;
    if (e == NULL)
        fail(d, X86_DEC_UD);
    else
        take_operands(d, out, e);
}

enum x86_dec_result x86_decode(const uint8_t *p, size_t n, unsigned mode, struct x86_insn *out)
{
    struct decoder d = {
        .p = p,
        .n = n,
        .mode64 = (mode & X86_DEC_BITS) == X86_DEC_64,
        .mode16 = (mode & X86_DEC_BITS) == X86_DEC_16,
        .amd = (mode & X86_DEC_AMD) != 0,
        .seg = SEG_NONE,
    };
    clear(out);
    decode(&d, mode, out);
    if (d.err != X86_DEC_OK)
        clear(out);
    out->opcode = d.opcode;
    out->map = d.map < X86_MAP_VEX_0F ? d.map : (uint8_t)(d.map - X86_MAP_VEX_0F + 1);
    out->len = (uint8_t)d.pos;
    out->end = out->len;
    return d.err;
}
