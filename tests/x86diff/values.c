/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/values.h"

#include <string.h>

uint64_t value_int(struct rng *r)
{
    static const uint64_t corner[] = {0,
                                      1,
                                      2,
                                      UINT64_MAX,
                                      UINT64_MAX - 1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      0xffffffff80000000,
                                      0xffffffff7fffffff,
                                      0x100000000,
                                      0x8080808080808080,
                                      0x7fff7fff7fff7fff,
                                      0x8000800080008000,
                                      0x5555555555555555,
                                      0x0102030405060708};
    uint64_t v = rng_next(r);
    switch (rng_below(r, 8)) {
    case 0:
    case 1: return corner[rng_below(r, sizeof corner / sizeof corner[0])];
    case 2: return UINT64_C(1) << (v & 63);
    case 3: return (UINT64_C(1) << (v & 63)) - 1;
    case 4: return v & 0xff;
    case 5: return v >> (v & 63);
    default: return v;
    }
}

uint32_t value_f32(struct rng *r)
{
    static const uint32_t corner[] = {0,          0x3f800000, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff,
                                      0x7f800000, 0x7fc00000, 0x7fa00000, 0x7f800001, 0x7fffffff, 0x3f000000,
                                      0x40000000, 0x4effffff, 0x4f000000, 0x4f000001, 0x5effffff, 0x5f000000,
                                      0x3f7fffff, 0x3f800001, 0x46ffff00, 0x47000000, 0x3fc00000, 0x40200000};
    uint64_t v = rng_next(r);
    uint32_t sign = (uint32_t)(v & 1) << 31;
    switch (v >> 8 & 7) {
    case 0:
    case 1:
    case 2: return sign | corner[rng_below(r, sizeof corner / sizeof corner[0])];
    case 3: return sign | ((120u + (uint32_t)(v >> 16 & 31)) << 23) | (uint32_t)(v >> 32 & 0x7fffff);
    case 4: return sign | ((127u + (uint32_t)(v >> 16 & 15)) << 23) | (uint32_t)(v >> 32 & 0x7f0000);
    case 5: return sign | ((uint32_t)(v >> 16 & 3) << 23) | (uint32_t)(v >> 32 & 0x7fffff);
    case 6: return sign | ((252u + (uint32_t)(v >> 16 & 3)) << 23) | (uint32_t)(v >> 32 & 0x7fffff);
    default: return (uint32_t)(v >> 32);
    }
}

uint64_t value_f64(struct rng *r)
{
    static const uint64_t corner[] = {0,
                                      0x3ff0000000000000,
                                      1,
                                      0x000fffffffffffff,
                                      0x0010000000000000,
                                      0x7fefffffffffffff,
                                      0x7ff0000000000000,
                                      0x7ff8000000000000,
                                      0x7ff4000000000000,
                                      0x7ff0000000000001,
                                      0x3fe0000000000000,
                                      0x4000000000000000,
                                      0x41dfffffffc00000,
                                      0x41e0000000000000,
                                      0x41dfffffffe00000,
                                      0x43dfffffffffffff,
                                      0x43e0000000000000,
                                      0x3fefffffffffffff,
                                      0x3ff0000000000001,
                                      0x40dfffc000000000,
                                      0x3ff8000000000000,
                                      0x4004000000000000,
                                      0x47efffffe0000000,
                                      0x47f0000000000000,
                                      0x380fffffc0000000,
                                      0x36a0000000000000,
                                      0x3690000000000000};
    uint64_t v = rng_next(r), w = rng_next(r);
    uint64_t sign = (v & 1) << 63, frac = w & 0xfffffffffffff;
    switch (v >> 8 & 7) {
    case 0:
    case 1:
    case 2: return sign | corner[rng_below(r, sizeof corner / sizeof corner[0])];
    case 3: return sign | ((1000 + (v >> 16 & 63)) << 52) | frac;
    case 4: return sign | ((1023 + (v >> 16 & 31)) << 52) | (frac & UINT64_C(0xff00000000000));
    case 5: return sign | ((v >> 16 & 3) << 52) | frac;
    case 6: return sign | ((2044 + (v >> 16 & 3)) << 52) | frac;
    default: return w;
    }
}

static void put80(uint8_t out[10], uint64_t mant, uint16_t se)
{
    memcpy(out, &mant, 8);
    memcpy(out + 8, &se, 2);
}

void value_f80(struct rng *r, uint8_t out[10])
{
    static const uint16_t exps[] = {0,      0,      1,      0x3fff, 0x3ffe, 0x4000, 0x7ffe, 0x7fff,
                                    0x7fff, 0x403e, 0x401e, 0x400e, 0x3fdf, 0x43fe, 0x3c00};
    static const uint64_t mants[] = {UINT64_C(1) << 63,  0xffffffffffffffff, 0x8000000000000001,
                                     0xc000000000000000, 0xa000000000000000, 0xfffffffffffff800,
                                     0x8000000000000400, 0xffffff0000000000, 0x8000008000000000};
    uint64_t v = rng_next(r), w = rng_next(r);
    uint16_t sign = (uint16_t)((v & 1) << 15);
    uint64_t mant = v & 2 ? mants[rng_below(r, sizeof mants / sizeof mants[0])] : w | UINT64_C(1) << 63;
    uint16_t e = exps[rng_below(r, sizeof exps / sizeof exps[0])];
    switch (v >> 8 & 7) {
    case 0: put80(out, e == 0 ? w >> 1 : mant, sign | e); break;
    case 1: put80(out, 0, sign); break;
    case 2: put80(out, mant, sign | e); break;
    case 3:
    case 4: put80(out, mant, (uint16_t)(sign | (0x3fe0 + (v >> 16 & 63)))); break;
    case 5:
        put80(out, (w | UINT64_C(1) << 63) & UINT64_C(0xffff000000000000),
              (uint16_t)(sign | (0x3fff + (v >> 16 & 31))));
        break;
    case 6: put80(out, w, (uint16_t)(v >> 16)); break;
    default: put80(out, w, sign | e); break;
    }
}

void value_bcd(struct rng *r, uint8_t out[10])
{
    uint64_t v = rng_next(r);
    for (unsigned i = 0; i < 9; i++)
        out[i] = (uint8_t)(rng_below(r, 10) << 4 | rng_below(r, 10));
    out[9] = (uint8_t)(v & 1 ? 0x80 : 0);
    if ((v & 0xf0) == 0)
        out[rng_below(r, 10)] = (uint8_t)(v >> 8);
}

void value_vec(struct rng *r, uint8_t out[16])
{
    unsigned kind = rng_below(r, 4);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t v = kind == 0 ? value_int(r) : kind == 1 ? value_f64(r) : rng_next(r);
        if (kind == 2)
            v = (uint64_t)value_f32(r) << 32 | value_f32(r);
        memcpy(out + 8 * i, &v, 8);
    }
}
