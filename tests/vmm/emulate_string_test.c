/* SPDX-License-Identifier: Apache-2.0 */
/* String port accesses of vmm/emulate.h. */
#include "vmm/emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/emulate_rig.h"

static int string_io(struct emulate_rig *r, struct mshv_exit_io_port io, const uint8_t *code, size_t n)
{
    if (n > 0)
        emulate_rig_put(r, r->context.segment[X86_CS].base + r->context.rip, code, n);
    io.port = io.port == 0 ? PORT : io.port;
    io.string = true;
    r->exit.kind = MSHV_EXIT_IO_PORT;
    r->exit.u.io = io;
    r->fault = (struct emulate_fault){.vector = 0xee};
    return emulate_string_io(r->emulate, &r->exit, &r->context, &r->fault, &r->err);
}
#define IO(...) ((struct mshv_exit_io_port){__VA_ARGS__})
#define STRING(r, io, ...)                                                                                             \
    assert_int_equal(string_io(r, io, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})), 0)

static void one_element_out(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    r->exit.instruction_length = 1;
    STRING(r, IO(.size = 4, .write = true), 0x6f);
    assert_string_equal(r->log, "o4@0=55667788 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 4);
    assert_int_equal(r->context.rip, CODE + 1);
    assert_false(r->fault.raised);
}

static void one_element_in(void **state)
{
    struct emulate_rig *r = *state;
    r->port_value = 0xabcd;
    r->context.gpr[X86_RDI] = DATA;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 2), 0x66, 0x6d);
    assert_string_equal(r->log, "i2@0 ");
    assert_int_equal(emulate_rig_get(r, DATA, 4), 0xabcd);
    assert_int_equal(r->context.gpr[X86_RDI], DATA + 2);
    assert_int_equal(r->context.rip, CODE + 2);
}

static void a_whole_repetition(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 3;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .write = true, .rep = true), 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=88 o1@0=77 o1@0=66 ");
    assert_int_equal(r->context.gpr[X86_RCX], 0);
    assert_int_equal(r->context.rip, CODE + 2);
}

/* Hypervisors that report a repetition element by element have counted RCX themselves, and give no length until the
 * last. */
static void one_of_several_messages_leaves_the_rest_alone(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 3;
    r->exit.instruction_length = 0;
    STRING(r, IO(.size = 1, .write = true), 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=0 ");
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
    assert_int_equal(r->context.rip, CODE);
}

static void a_repetition_of_nothing(void **state)
{
    struct emulate_rig *r = *state;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_string_equal(r->log, "");
    assert_int_equal(r->context.rip, CODE + 2);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 0x10);
}

static void a_long_repetition_of_input_is_done_in_parts(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = 0x100000;
    r->context.gpr[X86_RCX] = 5000;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_int_equal(r->accesses, 4096);
    assert_int_equal(r->context.gpr[X86_RCX], 904);
    assert_int_equal(r->context.rip, CODE);
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_int_equal(r->accesses, 5000);
    assert_int_equal(r->context.rip, CODE + 2);
    assert_int_equal(emulate_rig_get(r, 0x100000 + 4999, 1), 4999 & 0xff);
}

static void backwards(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA + 2;
    r->context.gpr[X86_RCX] = 2;
    r->context.rflags |= FLAG_DF;
    STRING(r, IO(.size = 2, .write = true, .rep = true), 0x66, 0xf3, 0x6f);
    assert_string_equal(r->log, "o2@0=5566 o2@0=7788 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA - 2);
}

static void a_segment_with_a_base(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = 1;
    STRING(r, IO(.size = 1, .write = true, .ds = emulate_rig_segment(0xc093, UINT32_MAX, DATA)), 0x65, 0x6e);
    assert_string_equal(r->log, "o1@0=77 ");
}

static void in_64_bit_mode_others_have_none(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    STRING(r, IO(.size = 1, .write = true, .ds = emulate_rig_segment(0xc093, UINT32_MAX, 0x1000)), 0x6e);
    assert_string_equal(r->log, "o1@0=88 ");
    r->port_value = 0x42;
    r->context.gpr[X86_RDI] = DATA + 1;
    STRING(r, IO(.size = 1, .es = emulate_rig_segment(0xc093, UINT32_MAX, 0x1000)), 0x6c);
    assert_int_equal(emulate_rig_get(r, DATA, 2), 0x4288);
}

static void in_protected_mode_all_have_one(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_protected(r);
    r->port_value = 0x42;
    r->context.gpr[X86_RDI] = 0x10;
    STRING(r, IO(.size = 1, .es = emulate_rig_segment(0xc093, UINT32_MAX, DATA)), 0x6c);
    assert_int_equal(emulate_rig_get(r, DATA + 0x10, 1), 0x42);
}

static void linear_addresses_wrap_below_64_bits(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_protected(r);
    emulate_rig_put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA + 0x1000;
    STRING(r, IO(.size = 1, .write = true, .ds = emulate_rig_segment(0xc093, UINT32_MAX, 0xfffff000)), 0x6e);
    assert_string_equal(r->log, "o1@0=88 ");
}

static void a_16_bit_index_wraps_and_keeps_its_upper_half(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_protected(r);
    emulate_rig_put64(r, 0xffff, 0xcc);
    r->context.gpr[X86_RSI] = 0x5ffff;
    r->context.gpr[X86_RCX] = 0x70002;
    r->exit.instruction_length = 3;
    STRING(r, IO(.size = 1, .write = true, .rep = true), 0x67, 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=cc o1@0=0 ");
    assert_int_equal(r->context.gpr[X86_RSI], 0x50001);
    assert_int_equal(r->context.gpr[X86_RCX], 0x70000);
    assert_int_equal(r->context.rip, CODE + 3);
}

static void a_32_bit_index_clears_the_upper_half(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RSI] = UINT64_C(0x700000000) | DATA;
    STRING(r, IO(.size = 1, .write = true), 0x67, 0x6e);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
}

static void real_mode_uses_its_segments(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_real(r);
    emulate_rig_put64(r, DATA + 0x10, PATTERN);
    r->context.gpr[X86_RSI] = 0x10;
    STRING(r, IO(.size = 2, .write = true, .ds = emulate_rig_segment(0x0093, 0xffff, DATA)), 0x6f);
    assert_string_equal(r->log, "o2@0=7788 ");
    assert_int_equal(r->context.gpr[X86_RSI], 0x12);
}

static void input_to_a_page_that_is_not_there(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT + 4;
    r->exit.instruction_length = 1;
    STRING(r, IO(.size = 1), 0x6c);
    emulate_rig_expect_fault(r, 14, true, 2, ABSENT + 4);
    assert_string_equal(r->log, "");
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RDI], ABSENT + 4);
}

static void output_by_a_user_from_a_page_that_is_not_there(void **state)
{
    struct emulate_rig *r = *state;
    emulate_rig_be_user(r);
    r->context.gpr[X86_RSI] = ABSENT;
    STRING(r, IO(.size = 1, .write = true), 0x6e);
    emulate_rig_expect_fault(r, 14, true, 4, ABSENT);
}

static void a_fault_in_the_middle_of_a_repetition(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    r->context.gpr[X86_RCX] = 5;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    emulate_rig_expect_fault(r, 14, true, 2, ABSENT);
    assert_int_equal(r->accesses, 2);
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(r->context.gpr[X86_RDI], ABSENT);
    assert_int_equal(r->context.rip, CODE);
}

static void an_element_that_crosses_into_such_a_page_is_not_begun(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    STRING(r, IO(.size = 4), 0x6d);
    emulate_rig_expect_fault(r, 14, true, 2, ABSENT);
    assert_string_equal(r->log, "");
}

static void an_index_that_is_not_canonical(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = (UINT64_C(1) << 47) - 2;
    STRING(r, IO(.size = 4), 0x6d);
    assert_int_equal(r->fault.vector, 14); /* the last page of the lower half is not there */
    r->context.gpr[X86_RDI] = UINT64_C(1) << 47;
    STRING(r, IO(.size = 4), 0x6d);
    emulate_rig_expect_fault(r, 13, true, 0, 0);
    assert_string_equal(r->log, "");
}

static void input_into_a_device(void **state)
{
    struct emulate_rig *r = *state;
    r->port_value = 0x1234;
    STRING(r, IO(.size = 2), 0x66, 0x6d);
    assert_string_equal(r->log, "i2@0 w1@10=34 w1@11=12 ");
}

static void output_from_a_device(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE + 1;
    STRING(r, IO(.size = 2, .write = true), 0x66, 0x6f);
    assert_string_equal(r->log, "r1@1 r1@2 o2@0=8281 ");
}

static void input_from_a_port_without_device(void **state)
{
    struct emulate_rig *r = *state;
    r->context.gpr[X86_RDI] = DATA;
    STRING(r, IO(.port = 0x400, .size = 4), 0x6d);
    assert_int_equal(emulate_rig_get(r, DATA, 4), UINT32_MAX);
}

static void without_its_bytes_the_mode_decides(void **state)
{
    struct emulate_rig *r = *state;
    r->context.rip = ABSENT;
    r->context.gpr[X86_RSI] = UINT64_C(0x700000000) | DATA;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    emulate_rig_expect_fault(r, 14, true, 0, UINT64_C(0x700000000) | DATA);
    r->context.segment[X86_CS].attributes = 0xc09b;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
    r->context.segment[X86_CS].attributes = 0x809b;
    r->context.gpr[X86_RSI] = 0x5ffff;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    assert_int_equal(r->context.gpr[X86_RSI], 0x50000);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, emulate_rig_set_up, emulate_rig_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(one_element_out),
        CASE(one_element_in),
        CASE(a_whole_repetition),
        CASE(one_of_several_messages_leaves_the_rest_alone),
        CASE(a_repetition_of_nothing),
        CASE(a_long_repetition_of_input_is_done_in_parts),
        CASE(backwards),
        CASE(a_segment_with_a_base),
        CASE(in_64_bit_mode_others_have_none),
        CASE(in_protected_mode_all_have_one),
        CASE(linear_addresses_wrap_below_64_bits),
        CASE(a_16_bit_index_wraps_and_keeps_its_upper_half),
        CASE(a_32_bit_index_clears_the_upper_half),
        CASE(real_mode_uses_its_segments),
        CASE(input_to_a_page_that_is_not_there),
        CASE(output_by_a_user_from_a_page_that_is_not_there),
        CASE(a_fault_in_the_middle_of_a_repetition),
        CASE(an_element_that_crosses_into_such_a_page_is_not_begun),
        CASE(an_index_that_is_not_canonical),
        CASE(input_into_a_device),
        CASE(output_from_a_device),
        CASE(input_from_a_port_without_device),
        CASE(without_its_bytes_the_mode_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
