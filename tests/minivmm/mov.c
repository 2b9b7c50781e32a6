/* SPDX-License-Identifier: Apache-2.0 */
/* MOV and MOVZX between a register or an immediate and memory. Where the memory is, the message has said. */
#include <string.h>

#include "mini.h"

struct cursor {
    const uint8_t *at, *end;
    unsigned bits;
    bool wide_operand; /* prefix 66h */
    bool wide_address; /* prefix 67h */
    uint8_t rex;
};
#define REX_W 8u
#define REX_R 4u

/* A byte that is not there ends the instruction as one we do not know. */
static bool next(struct cursor *c, uint8_t *byte)
{
    if (c->at == c->end)
        return false;
    *byte = *c->at++;
    return true;
}

/* The first byte that is not a prefix. REX counts only right before the opcode. */
static bool opcode(struct cursor *c, uint8_t *op)
{
    while (next(c, op)) {
        switch (*op) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65: break;
        case 0x66: c->wide_operand = true; break;
        case 0x67: c->wide_address = true; break;
        default:
            if (c->bits != 64 || (*op & 0xf0) != 0x40)
                return true;
            c->rex = *op;
            return next(c, op);
        }
    }
    return false;
}

static unsigned address_bits(const struct cursor *c)
{
    if (c->bits == 64)
        return c->wide_address ? 32 : 64;
    return (c->bits == 32) == c->wide_address ? 16 : 32;
}

static unsigned operand_bytes(const struct cursor *c)
{
    if (c->rex & REX_W)
        return 8;
    return (c->bits == 16) == c->wide_operand ? 4 : 2;
}

static bool skip(struct cursor *c, size_t bytes)
{
    if ((size_t)(c->end - c->at) < bytes)
        return false;
    c->at += bytes;
    return true;
}

/* Behind the ModRM byte of a memory operand. */
static bool skip_address(struct cursor *c, uint8_t modrm)
{
    unsigned mod = modrm >> 6, rm = modrm & 7;
    uint8_t sib = 0;
    if (mod == 3)
        return false;
    if (address_bits(c) == 16)
        return skip(c, mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
    if (rm == 4 && !next(c, &sib))
        return false;
    bool absolute = mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5));
    return skip(c, mod == 1 ? 1 : mod == 2 || absolute ? 4 : 0);
}

static void set_register(const struct cursor *c, struct mini_mov *m, uint8_t modrm, bool byte)
{
    m->gpr = (uint8_t)((modrm >> 3 & 7) | (c->rex & REX_R ? 8 : 0));
    if (byte && c->rex == 0 && m->gpr >= 4) {
        m->gpr = (uint8_t)(m->gpr - 4);
        m->shift = 8;
    }
}

/* At most four bytes, sign-extended. */
static bool immediate(struct cursor *c, struct mini_mov *m)
{
    unsigned bytes = m->size < 4 ? m->size : 4;
    uint64_t value = 0;
    if ((size_t)(c->end - c->at) < bytes)
        return false;
    memcpy(&value, c->at, bytes);
    if (m->size == 8)
        value = (uint64_t)(int64_t)(int32_t)(uint32_t)value;
    m->has_value = true;
    m->value = value;
    return skip(c, bytes);
}

static bool mov(struct cursor *c, uint8_t op, struct mini_mov *m)
{
    uint8_t modrm = 0;
    bool byte = (op & 1) == 0;
    m->size = (uint8_t)(byte ? 1 : operand_bytes(c));
    m->reg_size = m->size;
    switch (op & 0xfe) {
    case 0x88:
    case 0x8a:
        m->write = op < 0x8a;
        if (!next(c, &modrm))
            return false;
        set_register(c, m, modrm, byte);
        return skip_address(c, modrm);
    case 0xa0:
    case 0xa2: m->write = op >= 0xa2; return skip(c, address_bits(c) / 8);
    case 0xc6:
        m->write = true;
        return next(c, &modrm) && (modrm & 0x38) == 0 && skip_address(c, modrm) && immediate(c, m);
    default: return false;
    }
}

static bool movzx(struct cursor *c, struct mini_mov *m)
{
    uint8_t op = 0, modrm = 0;
    if (!next(c, &op) || (op & 0xfe) != 0xb6 || !next(c, &modrm))
        return false;
    m->size = op == 0xb6 ? 1 : 2;
    m->reg_size = (uint8_t)operand_bytes(c);
    set_register(c, m, modrm, false);
    return skip_address(c, modrm);
}

bool mini_mov_decode(const uint8_t *bytes, size_t count, unsigned bits, struct mini_mov *out)
{
    struct cursor c = {.at = bytes, .end = bytes + (count < 15 ? count : 15), .bits = bits};
    uint8_t op = 0;
    memset(out, 0, sizeof(*out));
    if (!opcode(&c, &op) || !(op == 0x0f ? movzx(&c, out) : mov(&c, op, out)))
        return false;
    out->length = (uint8_t)(c.at - bytes);
    return true;
}
