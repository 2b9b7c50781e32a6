/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/x86/flags.h"

/* Operands at which carries and signs change, for each width after truncation. */
static const uint64_t corner[] = {0,
                                  1,
                                  2,
                                  7,
                                  8,
                                  15,
                                  16,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x7fff,
                                  0x8000,
                                  0xffff,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x7fffffffffffffff,
                                  0x8000000000000000,
                                  0xffffffffffffffff,
                                  0x123456789abcdef0};
#define CORNERS (sizeof(corner) / sizeof(corner[0]))

static uint64_t cut(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((UINT64_C(1) << (8 * size)) - 1);
}

/* Flags by definition, with wide arithmetic: independent of the carry-vector method. */
static uint32_t reference(uint64_t a, uint64_t b, unsigned carry, bool sub, unsigned size)
{
    unsigned bits = 8 * size;
    unsigned __int128 wide = sub ? (unsigned __int128)a - b - carry : (unsigned __int128)a + b + carry;
    uint64_t res = cut((uint64_t)wide, size);
    __int128 sa = (int64_t)x86_sext(a, size), sb = (int64_t)x86_sext(b, size);
    __int128 exact = sub ? sa - sb - (int)carry : sa + sb + (int)carry;
    uint32_t fl = (wide >> bits & 1) ? X86_FL_CF : 0;
    int low = sub ? (int)(a & 15) - (int)(b & 15) - (int)carry : (int)(a & 15) + (int)(b & 15) + (int)carry;
    fl |= low < 0 || low > 15 ? X86_FL_AF : 0;
    fl |= res == 0 ? X86_FL_ZF : 0;
    fl |= res >> (bits - 1) ? X86_FL_SF : 0;
    fl |= exact != (__int128)(int64_t)x86_sext(res, size) ? X86_FL_OF : 0;
    fl |= __builtin_parity((unsigned)(res & 0xff)) ? 0 : X86_FL_PF;
    return fl;
}

static void add_and_sub_match_their_definition(void **state)
{
    (void)state;
    struct x86_cpu cpu = {0}, *c = &cpu;
    for (unsigned size = 1; size <= 8; size *= 2)
        for (unsigned i = 0; i < CORNERS; i++)
            for (unsigned j = 0; j < CORNERS; j++)
                for (unsigned carry = 0; carry < 2; carry++) {
                    uint64_t a = cut(corner[i], size), b = cut(corner[j], size);
                    x86_flags_add(c, a, b, cut(a + b + carry, size), size);
                    assert_int_equal(x86_flags_get(c), reference(a, b, carry, false, size));
                    x86_flags_sub(c, a, b, cut(a - b - carry, size), size);
                    assert_int_equal(x86_flags_get(c), reference(a, b, carry, true, size));
                }
}

static void every_combination_of_flags_survives_set_and_get(void **state)
{
    (void)state;
    struct x86_cpu c = {0};
    for (uint32_t bits = 0; bits < 64; bits++) {
        uint32_t fl = (bits & 1 ? X86_FL_CF : 0) | (bits & 2 ? X86_FL_PF : 0) | (bits & 4 ? X86_FL_AF : 0) |
                      (bits & 8 ? X86_FL_ZF : 0) | (bits & 16 ? X86_FL_SF : 0) | (bits & 32 ? X86_FL_OF : 0);
        x86_flags_set(&c, fl);
        assert_int_equal(x86_flags_get(&c), fl);
    }
}

static void set_cf_keeps_the_other_flags(void **state)
{
    (void)state;
    struct x86_cpu c = {0};
    for (uint32_t of = 0; of < 2; of++)
        for (uint32_t cf = 0; cf < 2; cf++) {
            uint32_t rest = (of ? X86_FL_OF : 0) | X86_FL_ZF | X86_FL_AF;
            x86_flags_set(&c, rest | (cf ? 0 : X86_FL_CF));
            x86_flags_set_cf(&c, cf);
            assert_int_equal(x86_flags_get(&c), rest | (cf ? X86_FL_CF : 0));
        }
}

/* All sixteen conditions over all combinations, against the manual's formulas on RFLAGS bits. */
static void conditions_match_their_formulas(void **state)
{
    (void)state;
    struct x86_cpu c = {0};
    for (uint32_t bits = 0; bits < 32; bits++) {
        bool cf = bits & 1, pf = bits & 2, zf = bits & 4, sf = bits & 8, of = bits & 16;
        x86_flags_set(&c, (cf ? X86_FL_CF : 0) | (pf ? X86_FL_PF : 0) | (zf ? X86_FL_ZF : 0) | (sf ? X86_FL_SF : 0) |
                              (of ? X86_FL_OF : 0));
        const bool expect[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};
        for (unsigned cc = 0; cc < 16; cc++)
            assert_int_equal(x86_cond(&c, cc), expect[cc >> 1] != (cc & 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_and_sub_match_their_definition),
        cmocka_unit_test(every_combination_of_flags_survives_set_and_get),
        cmocka_unit_test(set_cf_keeps_the_other_flags),
        cmocka_unit_test(conditions_match_their_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
