/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

/* What the executor derives from the registers, for each mode. */

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static struct x86_cpu *start(void **state, enum x86_fixture_mode mode)
{
    struct x86_fixture *f = x86_fixture_new(mode);
    *state = f;
    return f->cpu;
}

static void code_size_follows_cs_and_long_mode(void **state)
{
    static const unsigned want[] = {
        [X86_FIXTURE_REAL] = X86_DEC_16,  [X86_FIXTURE_PROT16] = X86_DEC_16, [X86_FIXTURE_PROT32] = X86_DEC_32,
        [X86_FIXTURE_PAE32] = X86_DEC_32, [X86_FIXTURE_COMPAT] = X86_DEC_32, [X86_FIXTURE_LONG64] = X86_DEC_64,
    };
    for (unsigned m = X86_FIXTURE_REAL; m <= X86_FIXTURE_LONG64; m++) {
        const struct x86_cpu *c = start(state, (enum x86_fixture_mode)m);
        assert_int_equal(c->dec_mode & X86_DEC_BITS, want[m]);
        assert_int_equal(c->long64, m == X86_FIXTURE_LONG64);
        assert_int_equal(c->stack16, m <= X86_FIXTURE_PROT16);
        assert_int_equal((c->key & X86_KEY_REAL) != 0, m == X86_FIXTURE_REAL);
        if (m != X86_FIXTURE_LONG64)
            x86_fixture_free(*state);
    }
}

static void l_bit_means_nothing_outside_long_mode(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_PROT32);
    c->seg[X86_CS].attr |= X86_SEG_L;
    x86_mode_update(c);
    assert_false(c->long64);
}

static void only_fs_and_gs_have_bases_in_64_bit_code(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_LONG64);
    for (unsigned i = 0; i < 6; i++)
        c->seg[i].base = 0x1000 * (i + 1);
    x86_mode_update(c);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(c->segbase[i], i < X86_FS ? 0 : 0x1000 * (i + 1));
}

static void flat_segments_are_those_without_a_limit_to_check(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_PROT32);
    assert_int_equal(c->flat_r, 0x3f);
    assert_int_equal(c->flat_w, 0x3f & ~(1 << X86_CS));
    c->seg[X86_DS].limit = 0xfffffffe;
    c->seg[X86_ES].attr &= ~X86_SEG_WRITE;
    c->seg[X86_FS].attr |= X86_SEG_UNUSABLE;
    c->seg[X86_GS].attr |= X86_SEG_DOWN;
    x86_mode_update(c);
    assert_int_equal(c->flat_r, 1 << X86_ES | 1 << X86_CS | 1 << X86_SS);
    assert_int_equal(c->flat_w, 1 << X86_SS);
}

static void code_without_limit_and_base_is_flat(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_PROT32);
    assert_true(c->key & X86_KEY_FLAT);
    c->seg[X86_CS].base = 0x10;
    x86_mode_update(c);
    assert_false(c->key & X86_KEY_FLAT);
}

static void smap_view_is_left_with_ac_and_at_level_3(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_LONG64);
    assert_int_equal(c->tlb_kind, X86_TLB_SUPER);
    c->cr4 |= X86_CR4_SMAP;
    x86_mode_update(c);
    assert_int_equal(c->tlb_kind, X86_TLB_SMAP);
    x86_set_rflags(c, X86_FL_AC);
    assert_int_equal(c->tlb_kind, X86_TLB_SUPER);
    c->cpl = 3;
    x86_mode_update(c);
    assert_int_equal(c->tlb_kind, X86_TLB_USER);
    assert_true(c->key & X86_KEY_USER);
}

/* With alignment checks or data breakpoints every access takes the slow path. */
static void checked_accesses_never_hit_the_tlb(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_LONG64);
    assert_int_not_equal(c->tlb_gen, 0);
    c->dr7 = 0x10001; /* DR0, writes */
    x86_mode_update(c);
    assert_int_equal(c->tlb_gen, 0);
    c->dr7 = 0x400;
    c->cr0 |= X86_CR0_AM;
    c->cpl = 3;
    x86_set_rflags(c, X86_FL_AC);
    assert_true(c->ac_on);
    assert_int_equal(c->tlb_gen, 0);
    x86_set_rflags(c, 0);
    assert_int_not_equal(c->tlb_gen, 0);
}

static void whatever_wants_every_instruction_makes_blocks_single(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_LONG64);
    assert_false(c->key & X86_KEY_SINGLE);
    x86_set_rflags(c, X86_FL_TF);
    assert_true(c->key & X86_KEY_SINGLE);
    x86_set_rflags(c, 0);
    assert_false(c->key & X86_KEY_SINGLE);
    c->shadow_sti = 1;
    x86_mode_update(c);
    assert_true(c->key & X86_KEY_SINGLE);
    c->shadow_sti = 0;
    c->dr7 = 0x401; /* DR0, execution */
    x86_mode_update(c);
    assert_true(c->key & X86_KEY_SINGLE);
}

static void rflags_go_in_and_out_whole(void **state)
{
    struct x86_cpu *c = start(state, X86_FIXTURE_LONG64);
    for (uint32_t fl = 0; fl < 64; fl++) {
        uint32_t arith = (fl & 1) | (fl & 2) << 1 | (fl & 4) << 2 | (fl & 8) << 3 | (fl & 16) << 3 | (fl & 32) << 6;
        x86_set_rflags(c, arith | X86_FL_DF);
        assert_int_equal(x86_rflags(c), arith | X86_FL_DF | 2);
    }
}

#define CASE(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(code_size_follows_cs_and_long_mode),
        CASE(l_bit_means_nothing_outside_long_mode),
        CASE(only_fs_and_gs_have_bases_in_64_bit_code),
        CASE(flat_segments_are_those_without_a_limit_to_check),
        CASE(code_without_limit_and_base_is_flat),
        CASE(smap_view_is_left_with_ac_and_at_level_3),
        CASE(checked_accesses_never_hit_the_tlb),
        CASE(whatever_wants_every_instruction_makes_blocks_single),
        CASE(rflags_go_in_and_out_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
