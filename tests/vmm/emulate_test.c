/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/emulate_rig.h"

static int try_code(struct emulate_rig *r, const uint8_t *code, size_t n)
{
    emulate_rig_put(r, r->context.segment[X86_CS].base + r->context.rip, code, n);
    r->fault = (struct emulate_fault){.vector = 0xee};
    return emulate_instruction(r->emulate, &r->context, &r->fault, &r->err);
}

/* One instruction that completes. */
static void run(struct emulate_rig *r, const uint8_t *code, size_t n)
{
    uint64_t rip = r->context.rip;
    assert_int_equal(try_code(r, code, n), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.rip, rip + n);
}
#define RUN(r, ...) run(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define TRY(r, ...) try_code(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* ---- Moves ---- */

static void loads_of_every_width(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0x8a, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455667790));
    r->context.gpr[X86_RAX] = PATTERN;
    RUN(r, 0x66, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455669190));
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x93929190));
    RUN(r, 0x48, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x9796959493929190));
    assert_string_equal(r->log, "r1@10 r2@10 r4@10 r8@10 ");
}

static void stores_of_every_width(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0x88, 0x07);
    RUN(r, 0x66, 0x89, 0x07);
    RUN(r, 0x89, 0x07);
    RUN(r, 0x48, 0x89, 0x07);
    assert_string_equal(r->log, "w1@10=88 w2@10=7788 w4@10=55667788 w8@10=1122334455667788 ");
}

static void stores_of_constants(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0xc6, 0x07, 0x5a);
    RUN(r, 0x66, 0xc7, 0x07, 0x34, 0x12);
    RUN(r, 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12);
    RUN(r, 0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff);
    assert_string_equal(r->log, "w1@10=5a w2@10=1234 w4@10=12345678 w8@10=fffffffffffffffe ");
}

static void the_accumulator_with_an_absolute_address(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0xa1, 0x20, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00);
    assert_int_equal(r->context.gpr[X86_RAX], 0xa3a2a1a0);
    RUN(r, 0xa2, 0x30, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00);
    assert_string_equal(r->log, "r4@20 w1@30=a0 ");
}

static void the_high_byte_of_a_register(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0x88, 0x27);
    RUN(r, 0x8a, 0x27);
    assert_string_equal(r->log, "w1@10=77 r1@10 ");
    assert_int_equal(r->context.gpr[X86_RAX], PATTERN);
}

static void an_index_and_a_displacement(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RCX] = 4;
    RUN(r, 0x8b, 0x44, 0x8f, 0x08);
    assert_string_equal(r->log, "r4@28 ");
}

static void loads_that_widen(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0x0f, 0xb6, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x90);
    RUN(r, 0x48, 0x0f, 0xb7, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x9190);
    RUN(r, 0x0f, 0xbe, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0xffffff90);
    RUN(r, 0x48, 0x0f, 0xbf, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0xffffffffffff9190));
    RUN(r, 0x48, 0x63, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0xffffffff93929190));
    assert_string_equal(r->log, "r1@10 r2@10 r1@10 r2@10 r4@10 ");
}

/* ---- Read and write ---- */

static void arithmetic_on_a_register_of_a_device(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RAX] = 1;
    RUN(r, 0x01, 0x07);
    assert_string_equal(r->log, "r4@10 w4@10=93929191 ");
    r->log[0] = '\0';
    RUN(r, 0x83, 0x0f, 0x0f);
    assert_string_equal(r->log, "r4@10 w4@10=9392919f ");
    r->log[0] = '\0';
    RUN(r, 0xf0, 0x80, 0x27, 0xf0);
    assert_string_equal(r->log, "r1@10 w1@10=90 ");
}

static void arithmetic_from_a_device_sets_flags(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RAX] = 0x90;
    RUN(r, 0x3a, 0x07);
    assert_int_equal(r->context.rflags & (FLAG_ZERO | FLAG_CARRY), FLAG_ZERO);
    r->context.gpr[X86_RAX] = 0x8f;
    RUN(r, 0x3a, 0x07);
    assert_int_equal(r->context.rflags & (FLAG_ZERO | FLAG_CARRY), FLAG_CARRY);
    RUN(r, 0xf6, 0x07, 0x01);
    assert_int_equal(r->context.rflags & FLAG_ZERO, FLAG_ZERO);
    assert_string_equal(r->log, "r1@10 r1@10 r1@10 ");
}

static void an_exchange(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0x87, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x93929190);
    assert_string_equal(r->log, "r4@10 w4@10=55667788 ");
}

static void a_compare_and_exchange_that_succeeds(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RAX] = 0x93929190;
    r->context.gpr[X86_RCX] = 7;
    RUN(r, 0xf0, 0x0f, 0xb1, 0x0f);
    assert_true((r->context.rflags & FLAG_ZERO) != 0);
    assert_string_equal(r->log, "r4@10 w4@10=7 ");
}

static void a_compare_and_exchange_that_fails(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RCX] = 7;
    RUN(r, 0xf0, 0x0f, 0xb1, 0x0f);
    assert_true((r->context.rflags & FLAG_ZERO) == 0);
    assert_int_equal(r->context.gpr[X86_RAX], 0x93929190);
    assert_int_equal(r->device[0x10], 0x90);
}

static void a_push_from_a_device_and_a_pop_to_it(void **state)
{
    struct emulate_rig *r = *state;
    RUN(r, 0xff, 0x37);
    assert_int_equal(r->context.gpr[X86_RSP], STACK - 8);
    assert_int_equal(emulate_rig_get(r, STACK - 8, 8), UINT64_C(0x9796959493929190));
    emulate_rig_put64(r, STACK - 8, 0x1234);
    RUN(r, 0x8f, 0x07);
    assert_int_equal(r->context.gpr[X86_RSP], STACK);
    assert_string_equal(r->log, "r8@10 w8@10=1234 ");
}

/* ---- Repeated moves ---- */

static void a_repeated_store_to_a_device(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RCX] = 3;
    RUN(r, 0xf3, 0xaa);
    assert_string_equal(r->log, "w1@10=88 w1@11=88 w1@12=88 ");
    assert_int_equal(r->context.gpr[X86_RCX], 0);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 0x13);
}

static void a_repeated_move_to_a_device(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, UINT64_C(0x0807060504030201));
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 2;
    RUN(r, 0xf3, 0xa5);
    assert_string_equal(r->log, "w4@10=4030201 w4@14=8070605 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 8);
}

static void a_repeated_move_backwards_from_a_device(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE + 0x10;
    r->context.gpr[X86_RDI] = DATA + 8;
    r->context.gpr[X86_RCX] = 2;
    r->context.rflags |= FLAG_DF;
    RUN(r, 0xf3, 0xa4);
    assert_string_equal(r->log, "r1@10 r1@f ");
    assert_int_equal(emulate_rig_get(r, DATA + 7, 2), 0x908f);
    assert_int_equal(r->context.gpr[X86_RDI], DATA + 6);
}

static void a_repeated_compare_stops_at_the_difference(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RAX] = 0x91;
    r->context.gpr[X86_RCX] = 9;
    RUN(r, 0xf2, 0xae);
    assert_string_equal(r->log, "r1@10 r1@11 ");
    assert_int_equal(r->context.gpr[X86_RCX], 7);
}

static void a_long_repetition_is_done_in_parts(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE;
    r->context.gpr[X86_RCX] = 5000;
    assert_int_equal(TRY(r, 0xf3, 0xaa), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RCX], 5000 - 4096);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 4096);
    assert_int_equal(r->accesses, 4096);
    RUN(r, 0xf3, 0xaa);
    assert_int_equal(r->accesses, 5000);
}

static void a_fault_in_the_middle_keeps_what_was_done(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    r->context.gpr[X86_RCX] = 5;
    assert_int_equal(TRY(r, 0xf3, 0xa4), 0);
    emulate_rig_expect_fault(r, 14, true, 2, ABSENT);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(emulate_rig_get(r, ABSENT - 2, 2), 0x8180);
}

/* ---- Where accesses go ---- */

static void an_access_across_pages_of_a_device_is_cut(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE + 0xffd;
    RUN(r, 0x89, 0x07);
    assert_string_equal(r->log, "w2@ffd=7788 w1@fff=66 w1@1000=55 ");
    r->context.gpr[X86_RAX] = 0;
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x55667788);
}

static void an_access_across_memory_and_device_goes_to_both(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE - 2;
    RUN(r, 0x89, 0x07);
    assert_string_equal(r->log, "w2@0=5566 ");
    assert_int_equal(emulate_rig_get(r, DEVICE - 2, 2), 0x7788);
}

static void where_nobody_is_reads_are_ones_and_stores_vanish(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = EMPTY;
    RUN(r, 0x89, 0x07);
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT32_MAX);
    RUN(r, 0x48, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_MAX);
    assert_string_equal(r->log, "");
}

static void memory_itself_is_reached_too(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = DATA;
    RUN(r, 0x48, 0x89, 0x07);
    assert_int_equal(emulate_rig_get(r, DATA, 8), PATTERN);
    assert_int_equal(emulate_rig_get(r, PT + (DATA >> 12) * 8, 8) & 0x60, 0x60); /* accessed and dirty */
}

static void protected_mode(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_protected(r);
    r->context.gpr[X86_RAX] = 0;
    RUN(r, 0x8b, 0x07);
    RUN(r, 0x66, 0x89, 0x07);
    assert_string_equal(r->log, "r4@10 w2@10=9190 ");
}

static void protected_mode_with_16_bit_code(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_protected(r);
    r->context.segment[X86_CS] = emulate_rig_segment(0x009b, 0xffff, 0);
    r->context.segment[X86_DS].base = DEVICE;
    r->context.gpr[X86_RDI] = 0x10;
    RUN(r, 0x8b, 0x05);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455669190));
    assert_string_equal(r->log, "r2@10 ");
}

static void real_mode(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_real(r);
    r->context.segment[X86_DS] = emulate_rig_segment(0x0093, 0xffff, DEVICE);
    r->context.gpr[X86_RDI] = 0x10;
    RUN(r, 0x8b, 0x05);
    RUN(r, 0x66, 0x89, 0x05);
    assert_string_equal(r->log, "r2@10 w4@10=55669190 ");
}

static void compatibility_mode(void **state)
{
    struct emulate_rig *r = *state;
    r->context.segment[X86_CS].attributes = 0xc09b;
    RUN(r, 0xa1, 0x20, 0x00, 0x0a, 0x00);
    assert_string_equal(r->log, "r4@20 ");
}

/* ---- Faults ---- */

static void a_page_that_is_not_there(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT + 8;
    assert_int_equal(TRY(r, 0x8b, 0x07), 0);
    emulate_rig_expect_fault(r, 14, true, 0, ABSENT + 8);
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    emulate_rig_expect_fault(r, 14, true, 2, ABSENT + 8);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RAX], PATTERN);
}

static void a_page_that_cannot_be_written_by_users(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_user(r);
    r->context.gpr[X86_RDI] = READ_ONLY;
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    emulate_rig_expect_fault(r, 14, true, 7, READ_ONLY);
}

static void an_address_that_is_not_canonical(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = UINT64_C(1) << 47;
    assert_int_equal(TRY(r, 0x8b, 0x07), 0);
    emulate_rig_expect_fault(r, 13, true, 0, 0);
}

static void a_division_by_what_a_device_says(void **state)
{
    struct emulate_rig *r = *state;
    r->device[0x10] = 0;
    assert_int_equal(TRY(r, 0xf6, 0x37), 0);
    emulate_rig_expect_fault(r, 0, false, 0, 0);
}

static void bytes_that_are_no_instruction(void **state)
{
    struct emulate_rig *r = *state;
    assert_int_equal(TRY(r, 0x06), 0);
    emulate_rig_expect_fault(r, 6, false, 0, 0);
}

static void code_that_is_not_there_any_more(void **state)
{
    struct emulate_rig *r = *state;
    r->context.rip = ABSENT;
    assert_int_equal(emulate_instruction(r->emulate, &r->context, &r->fault, &r->err), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, 14);
    assert_int_equal(r->fault.cr2, ABSENT);
    assert_int_equal(r->context.rip, ABSENT);
}

static void one_that_ends_in_a_page_that_is_not_there(void **state)
{
    static const uint8_t half[] = {0xc7, 0x07, 0x78};
    struct emulate_rig *r = *state;
    r->context.rip = ABSENT - sizeof(half);
    emulate_rig_put(r, r->context.rip, half, sizeof(half));
    assert_int_equal(emulate_instruction(r->emulate, &r->context, &r->fault, &r->err), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.cr2, ABSENT);
    assert_string_equal(r->log, "");
}

static void a_single_step_traps_behind_the_instruction(void **state)
{
    struct emulate_rig *r = *state;
    r->context.rflags |= FLAG_TRAP;
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, 1);
    assert_int_equal(r->context.rip, CODE + 2);
    assert_string_equal(r->log, "w4@10=55667788 ");
}

/* ---- Refusals ---- */

static void expect_refusal(struct emulate_rig *r, const uint8_t *code, size_t n)
{
    const struct mshv_vp_context before = r->context;
    assert_int_equal(try_code(r, code, n), -ENOTSUP);
    assert_false(r->fault.raised);
    assert_memory_equal(&before, &r->context, sizeof(before));
    assert_non_null(strstr(r->err.text, "at 1000 is about more than general registers"));
    assert_string_equal(r->log, "");
}
#define REFUSED(r, ...) expect_refusal(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void vector_and_floating_point_registers(void **state)
{
    struct emulate_rig *r = *state;
    REFUSED(r, 0x66, 0x0f, 0x6f, 0x07); /* MOVDQA */
    REFUSED(r, 0x0f, 0x11, 0x07);       /* MOVUPS */
    REFUSED(r, 0xd9, 0x07);             /* FLD */
    REFUSED(r, 0x0f, 0xae, 0x07);       /* FXSAVE */
}

static void segments_and_tables(void **state)
{
    struct emulate_rig *r = *state;
    REFUSED(r, 0x8e, 0x1f);       /* MOV DS */
    REFUSED(r, 0x0f, 0x01, 0x17); /* LGDT */
    REFUSED(r, 0xff, 0x2f);       /* JMP far */
    REFUSED(r, 0x0f, 0xb2, 0x0f); /* LSS */
}

static void a_mode_that_is_not_here(void **state)
{
    struct emulate_rig *r = *state;
    r->context.cr4 |= CR4_PKE;
    assert_int_equal(TRY(r, 0x8b, 0x07), -EINVAL);
    assert_non_null(strstr(r->err.text, "CR4 400020"));
    assert_non_null(strstr(r->err.text, "nopku"));
    r->exit.u.io = (struct mshv_exit_io_port){.port = PORT, .size = 1, .string = true};
    assert_int_equal(emulate_string_io(r->emulate, &r->exit, &r->context, &r->fault, &r->err), -EINVAL);
    assert_string_equal(r->log, "");
}

static void freeing_nothing_is_harmless(void **state)
{
    (void)state;
    emulate_free(NULL);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, emulate_rig_set_up, emulate_rig_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(loads_of_every_width),
        CASE(stores_of_every_width),
        CASE(stores_of_constants),
        CASE(the_accumulator_with_an_absolute_address),
        CASE(the_high_byte_of_a_register),
        CASE(an_index_and_a_displacement),
        CASE(loads_that_widen),
        CASE(arithmetic_on_a_register_of_a_device),
        CASE(arithmetic_from_a_device_sets_flags),
        CASE(an_exchange),
        CASE(a_compare_and_exchange_that_succeeds),
        CASE(a_compare_and_exchange_that_fails),
        CASE(a_push_from_a_device_and_a_pop_to_it),
        CASE(a_repeated_store_to_a_device),
        CASE(a_repeated_move_to_a_device),
        CASE(a_repeated_move_backwards_from_a_device),
        CASE(a_repeated_compare_stops_at_the_difference),
        CASE(a_long_repetition_is_done_in_parts),
        CASE(a_fault_in_the_middle_keeps_what_was_done),
        CASE(an_access_across_pages_of_a_device_is_cut),
        CASE(an_access_across_memory_and_device_goes_to_both),
        CASE(where_nobody_is_reads_are_ones_and_stores_vanish),
        CASE(memory_itself_is_reached_too),
        CASE(protected_mode),
        CASE(protected_mode_with_16_bit_code),
        CASE(real_mode),
        CASE(compatibility_mode),
        CASE(a_page_that_is_not_there),
        CASE(a_page_that_cannot_be_written_by_users),
        CASE(an_address_that_is_not_canonical),
        CASE(a_division_by_what_a_device_says),
        CASE(bytes_that_are_no_instruction),
        CASE(code_that_is_not_there_any_more),
        CASE(one_that_ends_in_a_page_that_is_not_there),
        CASE(a_single_step_traps_behind_the_instruction),
        CASE(vector_and_floating_point_registers),
        CASE(segments_and_tables),
        CASE(a_mode_that_is_not_here),
        CASE(freeing_nothing_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
