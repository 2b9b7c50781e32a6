/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"

#define DATA     ((uint64_t)X86_FIXTURE_DATA)
#define FAR_DATA (DATA + 0x10000)

static void set_pointers(struct x86_fixture *f, uint64_t rcx, uint64_t rsi, uint64_t rdi)
{
    x86_cpu_set_gpr(f->cpu, X86_RCX, rcx);
    x86_cpu_set_gpr(f->cpu, X86_RSI, rsi);
    x86_cpu_set_gpr(f->cpu, X86_RDI, rdi);
}

static void check_pointers(struct x86_fixture *f, uint64_t rcx, uint64_t rsi, uint64_t rdi)
{
    assert_true(x86_cpu_gpr(f->cpu, X86_RCX) == rcx);
    assert_true(x86_cpu_gpr(f->cpu, X86_RSI) == rsi);
    assert_true(x86_cpu_gpr(f->cpu, X86_RDI) == rdi);
}

static void put_code(struct x86_fixture *f, const uint8_t *code, size_t n)
{
    x86_fixture_code(f, code, n);
}

#define CODE(f, ...) put_code(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* 0, 1, 2, ... at DATA. */
static void fill(struct x86_fixture *f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f->mem[DATA + i] = (uint8_t)i;
}

static void forbid(struct x86_fixture *f, uint64_t lin)
{
    *x86_fixture_pte(f, lin) = 0;
    x86_fixture_flush(f);
}

/* ---- Single elements ---- */

static void test_movs_up_and_down(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    fill(f, 32);
    CODE(f, 0x48, 0xa5, 0x66, 0xa5);
    set_pointers(f, 5, DATA, FAR_DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, 5, DATA + 8, FAR_DATA + 8);
    x86_fixture_set_flags(f, X86_FL_DF);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, 5, DATA + 6, FAR_DATA + 6);
    assert_memory_equal(f->mem + FAR_DATA, f->mem + DATA, 10);
    assert_int_equal(f->mem[FAR_DATA + 10], 0);
    x86_fixture_free(f);
}

static void test_source_segment_may_be_overridden(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    struct x86_state s;
    fill(f, 32);
    CODE(f, 0x64, 0xa4);
    x86_cpu_get_state(f->cpu, &s);
    s.seg[X86_FS].base = 16;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    set_pointers(f, 0, DATA, FAR_DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(f->mem[FAR_DATA], 16);
    x86_fixture_free(f);
}

static void test_lods_writes_the_accumulator_at_its_size(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    fill(f, 32);
    CODE(f, 0xad, 0xac);
    set_pointers(f, 0, DATA, 0);
    x86_cpu_set_gpr(f->cpu, X86_RAX, ~UINT64_C(0));
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 0x03020100);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 0x03020104);
    x86_fixture_free(f);
}

static void test_real_mode_offsets_wrap(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    f->mem[DATA + 0xffff] = 0x77;
    CODE(f, 0xa4);
    set_pointers(f, 0, 0xabcdffff, 0x1234ffff);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, 0, 0xabcd0000, 0x12340000);
    x86_fixture_free(f);
}

static void test_real_mode_word_across_the_limit(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    CODE(f, 0xa5);
    set_pointers(f, 0, 0xffff, 0);
    assert_int_equal(x86_fixture_step(f), X86_GP);
    check_pointers(f, 0, 0xffff, 0);
    x86_fixture_free(f);
}

/* ---- Repetition ---- */

static void test_rep_movs_propagates_an_overlap(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    memcpy(f->mem + DATA, "abc", 3);
    CODE(f, 0xf3, 0xa4);
    set_pointers(f, 300, DATA, DATA + 3);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    for (unsigned i = 0; i < 303; i++)
        assert_int_equal(f->mem[DATA + i], "abc"[i % 3]);
    check_pointers(f, 0, DATA + 300, DATA + 303);
    x86_fixture_free(f);
}

static void test_rep_movs_down(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    fill(f, 256);
    CODE(f, 0xf3, 0xa4);
    x86_fixture_set_flags(f, X86_FL_DF);
    set_pointers(f, 256, DATA + 255, DATA + 265);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(f->mem[DATA + 10 + i], i);
    check_pointers(f, 0, DATA - 1, DATA + 9);
    x86_fixture_free(f);
}

static void test_rep_stos_over_unaligned_pages(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0x48, 0xab);
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x0807060504030201));
    set_pointers(f, 2000, 0, DATA + 5);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    for (unsigned i = 0; i < 16000; i++)
        assert_int_equal(f->mem[DATA + 5 + i], i % 8 + 1);
    assert_int_equal(f->mem[DATA + 4] | f->mem[DATA + 5 + 16000], 0);
    check_pointers(f, 0, 0, DATA + 5 + 16000);
    x86_fixture_free(f);
}

static void test_count_zero_touches_nothing(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0x67, 0xf3, 0xa4);
    set_pointers(f, UINT64_C(1) << 40, UINT64_C(1) << 63, UINT64_C(1) << 62);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, UINT64_C(1) << 40, UINT64_C(1) << 63, UINT64_C(1) << 62);
    x86_fixture_free(f);
}

static void test_narrow_addresses_clear_upper_halves(void **state)
{
    (void)state;
    const uint64_t high = UINT64_C(0xdead) << 32;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0x67, 0xf3, 0xa4);
    set_pointers(f, high | 20, high | DATA, high | FAR_DATA);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    check_pointers(f, 0, DATA + 20, FAR_DATA + 20);
    x86_fixture_free(f);
}

static void test_long_repetition_stops_in_between(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0xaa);
    set_pointers(f, 100000, 0, DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_true(x86_fixture_rip(f) == X86_FIXTURE_CODE);
    uint64_t left = x86_cpu_gpr(f->cpu, X86_RCX);
    assert_true(left > 0 && left < 100000);
    assert_true(x86_cpu_gpr(f->cpu, X86_RDI) == DATA + 100000 - left);
    assert_int_equal(x86_fixture_finish(f, 1000), X86_FIXTURE_OK);
    check_pointers(f, 0, 0, DATA + 100000);
    x86_fixture_free(f);
}

static void test_single_step_traps_after_each_element(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0xaa);
    x86_fixture_set_flags(f, X86_FL_TF);
    set_pointers(f, 100, 0, DATA);
    assert_int_equal(x86_fixture_step(f), X86_DB);
    check_pointers(f, 99, 0, DATA + 1);
    assert_true(x86_fixture_rip(f) == X86_FIXTURE_CODE);
    x86_fixture_free(f);
}

static void test_fault_keeps_what_was_done(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0x66, 0xa5);
    forbid(f, DATA + 0x1000);
    set_pointers(f, 200, FAR_DATA, DATA + 0x1000 - 101);
    assert_int_equal(x86_fixture_finish(f, 10), X86_PF);
    assert_true(f->event.cr2 == DATA + 0x1000);
    check_pointers(f, 150, FAR_DATA + 100, DATA + 0x1000 - 1);
    assert_true(x86_fixture_rip(f) == X86_FIXTURE_CODE);
    x86_fixture_free(f);
}

static void test_segment_limit_ends_a_repetition(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    CODE(f, 0x67, 0xf3, 0xaa);
    set_pointers(f, 100, 0, 0xffe0);
    assert_int_equal(x86_fixture_finish(f, 100), X86_GP);
    check_pointers(f, 68, 0, 0x10000);
    x86_fixture_free(f);
}

static void test_real_mode_repetition_wraps(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    CODE(f, 0xf3, 0xaa);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x55);
    set_pointers(f, 0xffff0064, 0, 0xffffffe0);
    assert_int_equal(x86_fixture_finish(f, 100), X86_FIXTURE_OK);
    check_pointers(f, 0xffff0000, 0, 0xffff0044);
    assert_int_equal(f->mem[DATA + 0xffff], 0x55);
    assert_int_equal(f->mem[DATA + 0x43], 0x55);
    assert_int_equal(f->mem[DATA + 0x44] | f->mem[DATA + 0x10000], 0);
    x86_fixture_free(f);
}

static void test_store_into_code_takes_effect(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0xaa, 0x0f, 0x0b, 0x0f, 0x0b); /* rep stosb; ud2; ud2 */
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x90);
    set_pointers(f, 2, 0, X86_FIXTURE_CODE + 2);
    assert_int_equal(x86_cpu_run(f->cpu, 0), X86_EXIT_CALLBACK);
    assert_int_equal(f->event.vector, X86_UD);
    assert_true(x86_fixture_rip(f) == X86_FIXTURE_CODE + 4);
    check_pointers(f, 0, 0, X86_FIXTURE_CODE + 4);
    x86_fixture_free(f);
}

/* ---- Comparisons ---- */

static void test_repe_cmps_stops_at_a_difference(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    memcpy(f->mem + DATA, "same text a", 11);
    memcpy(f->mem + FAR_DATA, "same text b", 11);
    CODE(f, 0xf3, 0xa6);
    set_pointers(f, 11, DATA, FAR_DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, 0, DATA + 11, FAR_DATA + 11);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_CF | X86_FL_SF | X86_FL_PF | X86_FL_AF);
    x86_fixture_free(f);
}

static void test_repne_scas_finds(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    memcpy(f->mem + DATA, "text", 5);
    CODE(f, 0xf2, 0xae);
    set_pointers(f, ~UINT64_C(0), 0, DATA);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    check_pointers(f, ~UINT64_C(0) - 5, 0, DATA + 5);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ZF, X86_FL_ZF);
    x86_fixture_free(f);
}

static void test_fault_keeps_flags_of_the_last_comparison(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf2, 0xae);
    f->mem[DATA + 0xfff] = 0xff;
    forbid(f, DATA + 0x1000);
    set_pointers(f, 100, 0, DATA + 0xfff);
    assert_int_equal(x86_fixture_step(f), X86_PF);
    check_pointers(f, 99, 0, DATA + 0x1000);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, X86_FL_CF | X86_FL_AF);
    x86_fixture_free(f);
}

/* ---- Ports and devices ---- */

static void test_rep_ins_reads_the_port_once_per_element(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0x6d);
    f->in_value = 0x11223340;
    x86_cpu_set_gpr(f->cpu, X86_RDX, 0xffff01f0);
    set_pointers(f, 3, 0, DATA);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    check_pointers(f, 0, 0, DATA + 12);
    assert_int_equal(f->io_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t v;
        memcpy(&v, f->mem + DATA + 4 * i, 4);
        assert_int_equal(v, 0x11223340 + i);
        assert_int_equal(f->io[i].where, 0x1f0);
        assert_int_equal(f->io[i].size, 4);
    }
    x86_fixture_free(f);
}

static void test_ins_checks_its_destination_first(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0x6c);
    forbid(f, DATA);
    set_pointers(f, 0, 0, DATA);
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(f->event.error, 2);
    assert_int_equal(f->io_count, 0);
    x86_fixture_free(f);
}

static void test_outs_writes_each_element(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    fill(f, 8);
    CODE(f, 0xf3, 0x66, 0x6f);
    x86_cpu_set_gpr(f->cpu, X86_RDX, 0x80);
    set_pointers(f, 2, DATA, 0);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    check_pointers(f, 0, DATA + 4, 0);
    assert_int_equal(f->io_count, 2);
    assert_int_equal(f->io[0].value, 0x0100);
    assert_int_equal(f->io[1].value, 0x0302);
    assert_int_equal(f->io[1].size, 2);
    x86_fixture_free(f);
}

static void test_refused_port_leaves_the_element_undone(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0x6e);
    f->refuse = true;
    set_pointers(f, 2, DATA, 0);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_EXIT);
    check_pointers(f, 2, DATA, 0);
    assert_true(x86_fixture_rip(f) == X86_FIXTURE_CODE);
    assert_non_null(x86_cpu_current(f->cpu));
    assert_int_equal(x86_cpu_current(f->cpu)->op, X86_OP_OUTS);
    x86_fixture_free(f);
}

static void test_devices_see_single_elements(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    CODE(f, 0xf3, 0xa5);
    f->in_value = 7;
    set_pointers(f, 20, X86_FIXTURE_MMIO, DATA);
    assert_int_equal(x86_fixture_finish(f, 10), X86_FIXTURE_OK);
    assert_int_equal(f->io_count, 20);
    assert_int_equal(f->io[19].where, X86_FIXTURE_MMIO + 76);
    assert_int_equal(f->io[19].size, 4);
    assert_int_equal(f->mem[DATA + 76], 26);
    x86_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movs_up_and_down),
        cmocka_unit_test(test_source_segment_may_be_overridden),
        cmocka_unit_test(test_lods_writes_the_accumulator_at_its_size),
        cmocka_unit_test(test_real_mode_offsets_wrap),
        cmocka_unit_test(test_real_mode_word_across_the_limit),
        cmocka_unit_test(test_rep_movs_propagates_an_overlap),
        cmocka_unit_test(test_rep_movs_down),
        cmocka_unit_test(test_rep_stos_over_unaligned_pages),
        cmocka_unit_test(test_count_zero_touches_nothing),
        cmocka_unit_test(test_narrow_addresses_clear_upper_halves),
        cmocka_unit_test(test_long_repetition_stops_in_between),
        cmocka_unit_test(test_single_step_traps_after_each_element),
        cmocka_unit_test(test_fault_keeps_what_was_done),
        cmocka_unit_test(test_segment_limit_ends_a_repetition),
        cmocka_unit_test(test_real_mode_repetition_wraps),
        cmocka_unit_test(test_store_into_code_takes_effect),
        cmocka_unit_test(test_repe_cmps_stops_at_a_difference),
        cmocka_unit_test(test_repne_scas_finds),
        cmocka_unit_test(test_fault_keeps_flags_of_the_last_comparison),
        cmocka_unit_test(test_rep_ins_reads_the_port_once_per_element),
        cmocka_unit_test(test_ins_checks_its_destination_first),
        cmocka_unit_test(test_outs_writes_each_element),
        cmocka_unit_test(test_refused_port_leaves_the_element_undone),
        cmocka_unit_test(test_devices_see_single_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
