/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/x87.h"

#define DATA     X86_FIXTURE_DATA
#define PAGE_END (DATA + 0x1000)

/* Registers 7 to 4 in use: one, zero, a denormal, infinity; TOP is 4; every field different from its neighbours. */
static struct x86_fixture *make(enum x86_fixture_mode mode)
{
    struct x86_fixture *f = x86_fixture_new(mode);
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    x86_fpu_init_x87(&s.fpu);
    s.fpu.fsw = 4 << X86_FSW_TOP_SHIFT | X86_FSW_C0 | X86_FSW_PE;
    s.fpu.ftw = 0xf0;
    s.fpu.st[7][9] = 0x3f, s.fpu.st[7][8] = 0xff, s.fpu.st[7][7] = 0x80;
    s.fpu.st[5][0] = 1;
    s.fpu.st[4][9] = 0x7f, s.fpu.st[4][8] = 0xff, s.fpu.st[4][7] = 0x80;
    s.fpu.fip = 0x12345678;
    s.fpu.fcs = 0x9abc;
    s.fpu.fop = 0x123;
    s.fpu.fdp = 0x87654321;
    s.fpu.fds = 0xdef0;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    x86_cpu_set_gpr(f->cpu, X86_RSI, mode == X86_FIXTURE_REAL ? 0 : DATA);
    memset(f->mem + DATA, 0xaa, 0x2000);
    return f;
}

static int setup(void **state)
{
    *state = make(X86_FIXTURE_LONG64);
    return 0;
}

static int setup_real(void **state)
{
    *state = make(X86_FIXTURE_REAL);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static int step(struct x86_fixture *f, const uint8_t *code, size_t n)
{
    x86_fixture_code(f, code, n);
    return x86_fixture_step(f);
}

#define STEP(f, ...) step(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static struct x86_fpu fpu_of(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s.fpu;
}

static void set_fpu(struct x86_fixture *f, const struct x86_fpu *fpu)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.fpu = *fpu;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

static void assert_words32(const struct x86_fixture *f, const uint32_t want[7])
{
    uint32_t got[8];
    memcpy(got, f->mem + DATA, sizeof got);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(got[i], want[i]);
    assert_int_equal(got[7], 0xaaaaaaaa);
}

static void assert_words16(const struct x86_fixture *f, const uint16_t want[7])
{
    uint16_t got[8];
    memcpy(got, f->mem + DATA, sizeof got);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(got[i], want[i]);
    assert_int_equal(got[7], 0xaaaa);
}

#define TAGS 0x1aff /* valid 0, zero 1, special 2, special 2, four empty */

static void environment_has_28_bytes(void **state)
{
    const uint32_t want[] = {0xffff037f, 0xffff2120, 0xffff0000 | TAGS, 0x12345678, 0x01239abc, 0x87654321, 0xffffdef0};
    assert_int_equal(STEP(*state, 0xd9, 0x36), X86_FIXTURE_OK);
    assert_words32(*state, want);
}

static void operand_size_prefix_makes_it_14(void **state)
{
    const uint16_t want[] = {0x037f, 0x2120, TAGS, 0x5678, 0x9abc, 0x4321, 0xdef0};
    assert_int_equal(STEP(*state, 0x66, 0xd9, 0x36), X86_FIXTURE_OK);
    assert_words16(*state, want);
}

static void real_mode_stores_linear_addresses(void **state)
{
    /* 9abc0 + 12345678 = 123e0238; def00 + 87654321 = 87733221 */
    const uint32_t want[] = {0xffff037f, 0xffff2120, 0xffff0000 | TAGS, 0xffff0238, 0x0123e123, 0xffff3221, 0x08773000};
    assert_int_equal(STEP(*state, 0x66, 0xd9, 0x34), X86_FIXTURE_OK);
    assert_words32(*state, want);
}

static void real_mode_has_20_bits_in_the_short_form(void **state)
{
    const uint16_t want[] = {0x037f, 0x2120, TAGS, 0x0238, 0xe123, 0x3221, 0x3000};
    assert_int_equal(STEP(*state, 0xd9, 0x34), X86_FIXTURE_OK);
    assert_words16(*state, want);
}

static void real_mode_environment_goes_round(void **state)
{
    assert_int_equal(STEP(*state, 0x66, 0xd9, 0x34), X86_FIXTURE_OK);
    assert_int_equal(STEP(*state, 0x66, 0xd9, 0x24), X86_FIXTURE_OK);
    struct x86_fpu fpu = fpu_of(*state);
    assert_int_equal(fpu.fip, 0x123e0238);
    assert_int_equal(fpu.fdp, 0x87733221);
    assert_int_equal(fpu.fop, 0x123);
    assert_int_equal(fpu.fcs, 0);
}

static void storing_the_environment_masks_exceptions(void **state)
{
    struct x86_fpu fpu = fpu_of(*state);
    fpu.fcw = 0x0340;
    fpu.fsw |= X86_FSW_ES | X86_FSW_B;
    set_fpu(*state, &fpu);
    assert_int_equal(STEP(*state, 0xd9, 0x36), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(*state).fcw, 0x037f);
    assert_int_equal(fpu_of(*state).fsw, 0x2120);
}

static void loaded_status_gets_a_true_summary(void **state)
{
    struct x86_fixture *f = *state;
    const uint32_t env[] = {0xffff, 0x0001, 0xffff, 0, 0, 0, 0}, unmasked[] = {0x0340, 0x0001, 0xffff, 0, 0, 0, 0};
    memcpy(f->mem + DATA, env, sizeof env);
    assert_int_equal(STEP(f, 0xd9, 0x26), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fcw, 0x1f7f);
    assert_int_equal(fpu_of(f).fsw, 0x0001);
    memcpy(f->mem + DATA, unmasked, sizeof unmasked);
    assert_int_equal(STEP(f, 0xd9, 0x26), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fsw, 0x8081);
}

static void loaded_tags_only_tell_empty(void **state)
{
    struct x86_fixture *f = *state;
    const uint32_t env[] = {0x037f, 0, 0x1be4, 0, 0xffff0000, 0, 0};
    memcpy(f->mem + DATA, env, sizeof env);
    assert_int_equal(STEP(f, 0xd9, 0x26), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).ftw, 0xe7);
    assert_int_equal(fpu_of(f).fop, 0x7ff);
}

static void save_and_restore_go_round(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    assert_int_equal(STEP(f, 0xdd, 0x36), X86_FIXTURE_OK);
    assert_int_equal(f->mem[DATA + 107], 0);
    assert_int_equal(f->mem[DATA + 108], 0xaa);
    assert_int_equal(f->mem[DATA + 28 + 9], 0x7f); /* ST(0) is register 4 */
    struct x86_fpu after = fpu_of(f);
    assert_int_equal(after.fcw, X86_FCW_INIT);
    assert_int_equal(after.fsw | after.ftw | after.fop, 0);
    assert_int_equal(STEP(f, 0xdd, 0x26), X86_FIXTURE_OK);
    after = fpu_of(f);
    assert_memory_equal(&after, &before, sizeof before);
}

static void short_save_has_94_bytes(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(STEP(f, 0x66, 0xdd, 0x36), X86_FIXTURE_OK);
    assert_int_equal(f->mem[DATA + 93], 0);
    assert_int_equal(f->mem[DATA + 94], 0xaa);
}

static void faulting_save_writes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RSI, PAGE_END - 50);
    *x86_fixture_pte(f, PAGE_END) = 0;
    x86_fixture_flush(f);
    assert_int_equal(STEP(f, 0xdd, 0x36), X86_PF);
    assert_int_equal(f->event.cr2, PAGE_END + 57); /* the last byte is looked at after the first */
    assert_int_equal(f->mem[PAGE_END - 50], 0xaa);
    assert_int_equal(fpu_of(f).ftw, 0xf0);
}

static void faulting_restore_changes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    struct x86_fpu before = fpu_of(f);
    x86_cpu_set_gpr(f->cpu, X86_RSI, PAGE_END - 50);
    *x86_fixture_pte(f, PAGE_END) = 0;
    x86_fixture_flush(f);
    assert_int_equal(STEP(f, 0xdd, 0x26), X86_PF);
    struct x86_fpu after = fpu_of(f);
    assert_memory_equal(&after, &before, sizeof before);
}

static void control_word_keeps_existing_bits(void **state)
{
    struct x86_fixture *f = *state;
    memset(f->mem + DATA, 0xff, 2);
    assert_int_equal(STEP(f, 0xd9, 0x2e), X86_FIXTURE_OK); /* FLDCW */
    assert_int_equal(STEP(f, 0xd9, 0x3e), X86_FIXTURE_OK); /* FNSTCW */
    const uint8_t want[] = {0x7f, 0x1f, 0xaa};
    assert_memory_equal(f->mem + DATA, want, sizeof want);
}

static void unmasking_a_sticky_flag_makes_it_pending(void **state)
{
    struct x86_fixture *f = *state;
    const uint8_t fcw[] = {0x5f, 0x03};
    memcpy(f->mem + DATA, fcw, 2);
    assert_int_equal(STEP(f, 0xd9, 0x2e), X86_FIXTURE_OK);
    assert_int_equal(fpu_of(f).fsw, 0xa1a0);
    assert_int_equal(STEP(f, 0xd9, 0xd0), X86_MF);         /* FNOP */
    assert_int_equal(STEP(f, 0xdb, 0xe2), X86_FIXTURE_OK); /* FNCLEX */
    assert_int_equal(fpu_of(f).fsw, 0x2100);
}

static void status_word_goes_to_ax_and_memory(void **state)
{
    struct x86_fixture *f = *state;
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x1111111111111111));
    assert_int_equal(STEP(f, 0xdf, 0xe0), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == UINT64_C(0x1111111111112120));
    assert_int_equal(STEP(f, 0xdd, 0x3e), X86_FIXTURE_OK);
    const uint8_t want[] = {0x20, 0x21, 0xaa};
    assert_memory_equal(f->mem + DATA, want, sizeof want);
}

static void initialising_keeps_register_contents(void **state)
{
    assert_int_equal(STEP(*state, 0xdb, 0xe3), X86_FIXTURE_OK);
    struct x86_fpu fpu = fpu_of(*state);
    assert_int_equal(fpu.fcw, X86_FCW_INIT);
    assert_int_equal(fpu.ftw, 0);
    assert_int_equal(fpu.fip, 0);
    assert_int_equal(fpu.st[7][7], 0x80);
}

static void obsolete_controls_do_nothing(void **state)
{
    struct x86_fpu before = fpu_of(*state);
    assert_int_equal(STEP(*state, 0xdb, 0xe0), X86_FIXTURE_OK);
    assert_int_equal(STEP(*state, 0xdb, 0xe1), X86_FIXTURE_OK);
    assert_int_equal(STEP(*state, 0xdb, 0xe4), X86_FIXTURE_OK);
    struct x86_fpu after = fpu_of(*state);
    assert_memory_equal(&after, &before, sizeof before);
}

static void tags_expand_and_abridge(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint16_t tags = x87_tags_expand((uint8_t)i);
        assert_int_equal(x87_tags_abridge(tags), i);
        for (unsigned r = 0; r < 8; r++)
            assert_int_equal(tags >> (2 * r) & 3, i >> r & 1 ? 0 : 3);
    }
}

#define CASE(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_REAL(name) cmocka_unit_test_setup_teardown(name, setup_real, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(environment_has_28_bytes),
        CASE(operand_size_prefix_makes_it_14),
        CASE_REAL(real_mode_stores_linear_addresses),
        CASE_REAL(real_mode_has_20_bits_in_the_short_form),
        CASE_REAL(real_mode_environment_goes_round),
        CASE(storing_the_environment_masks_exceptions),
        CASE(loaded_status_gets_a_true_summary),
        CASE(loaded_tags_only_tell_empty),
        CASE(save_and_restore_go_round),
        CASE(short_save_has_94_bytes),
        CASE(faulting_save_writes_nothing),
        CASE(faulting_restore_changes_nothing),
        CASE(control_word_keeps_existing_bits),
        CASE(unmasking_a_sticky_flag_makes_it_pending),
        CASE(status_word_goes_to_ax_and_memory),
        CASE(initialising_keeps_register_contents),
        CASE(obsolete_controls_do_nothing),
        cmocka_unit_test(tags_expand_and_abridge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
