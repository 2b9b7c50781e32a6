/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/vp.h"

#define VP 9

static struct mshv_vp vp_of(struct port_script *script)
{
    return (struct mshv_vp){.port = port_script_port(script), .fd = VP, .index = 2};
}

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

static void registers_are_read_by_name(void **state)
{
    (void)state;
    const uint32_t names[2] = {HV_X64_REGISTER_RIP, HV_X64_REGISTER_CS};
    const union hv_register_value answers[2] = {{.reg64 = 0xfff0},
                                                {.segment = {.base = 0xffff0000, .selector = 0xf000}}};
    union hv_register_value values[2];
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_reps(script, VP, HVCALL_GET_VP_REGISTERS, 2, answers, sizeof answers);
    assert_int_equal(mshv_vp_get_registers(&vp, names, values, 2, NULL), 0);
    assert_int_equal(values[0].reg64, 0xfff0);
    assert_int_equal(values[1].segment.selector, 0xf000);
    assert_memory_equal(step->input, "\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x10\0\x02\0\x01\0\x06\0", 24);
    port_script_end(script);
}

static void registers_are_written_in_batches_of_127(void **state)
{
    (void)state;
    struct hv_register_assoc registers[130];
    size_t done = 0;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    for (uint32_t i = 0; i < 130; i++) {
        registers[i] = (struct hv_register_assoc){.name = i, .value.reg64 = i};
    }
    struct port_step *first = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 127, NULL, 0);
    struct port_step *second = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 3, NULL, 0);
    assert_int_equal(mshv_vp_set_registers(&vp, registers, 130, &done, NULL), 0);
    assert_int_equal(done, 130);
    assert_int_equal(first->input_bytes, 16 + 127 * 32);
    assert_memory_equal(first->input + 16, registers, 127 * 32);
    assert_int_equal(second->input_bytes, 16 + 3 * 32);
    assert_memory_equal(second->input + 16, registers + 127, 3 * 32);
    port_script_end(script);
}

static void refused_register_is_named_and_counted_to(void **state)
{
    (void)state;
    const struct hv_register_assoc registers[3] = {
        {.name = HV_X64_REGISTER_RIP}, {.name = HV_X64_REGISTER_CR4}, {.name = 0x12345678}};
    struct err err;
    size_t done = 9;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_refusal(script, VP, HVCALL_SET_VP_REGISTERS, -EINVAL, HV_STATUS_INVALID_REGISTER_VALUE)->reps = 1;
    port_expect_refusal(script, VP, HVCALL_SET_VP_REGISTERS, -EINVAL, HV_STATUS_INVALID_PARAMETER)->reps = 2;
    port_expect_refusal(script, VP, HVCALL_SET_VP_REGISTERS, -EIO, HV_STATUS_OPERATION_FAILED)->reps = 3;
    assert_int_equal(mshv_vp_set_registers(&vp, registers, 3, &done, &err), -EINVAL);
    assert_int_equal(done, 1);
    assert_non_null(strstr(err.text, "set register HV_X64_REGISTER_CR4: the hypervisor answers "
                                     "HV_STATUS_INVALID_REGISTER_VALUE"));
    assert_int_equal(mshv_vp_set_registers(&vp, registers, 3, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.text, "set register 0x12345678"));
    assert_int_equal(mshv_vp_set_registers(&vp, registers, 3, &done, &err), -EIO);
    assert_int_equal(done, 3);
    port_script_end(script);
}

static void refused_reading_names_the_register(void **state)
{
    (void)state;
    const uint32_t names[2] = {HV_X64_REGISTER_RIP, HV_X64_REGISTER_TSC};
    const union hv_register_value answer = {.reg64 = 5};
    union hv_register_value values[2];
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_reps(script, VP, HVCALL_GET_VP_REGISTERS, 1, &answer, sizeof answer);
    port_expect_refusal(script, VP, HVCALL_GET_VP_REGISTERS, -EIO, HV_STATUS_UNKNOWN_REGISTER_NAME);
    assert_int_equal(mshv_vp_get_registers(&vp, names, values, 2, &err), -EIO);
    assert_non_null(strstr(err.text, "HV_X64_REGISTER_TSC: the hypervisor answers HV_STATUS_UNKNOWN_REGISTER_NAME"));
    port_script_end(script);
}

static void single_register_is_read_and_written(void **state)
{
    (void)state;
    const union hv_register_value answer = {.reg64 = 0x1234567890};
    uint64_t value = 0;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_reps(script, VP, HVCALL_GET_VP_REGISTERS, 1, &answer, sizeof answer);
    struct port_step *step = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 1, NULL, 0);
    port_expect_refusal(script, VP, HVCALL_GET_VP_REGISTERS, -EINVAL, HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(mshv_vp_get_register(&vp, HV_X64_REGISTER_TSC, &value, NULL), 0);
    assert_int_equal(value, 0x1234567890);
    assert_int_equal(mshv_vp_set_register(&vp, HV_X64_REGISTER_XFEM, 7, NULL), 0);
    assert_memory_equal(step->input + 16, "\x05\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    assert_int_equal(mshv_vp_get_register(&vp, 1, &value, NULL), -EINVAL);
    assert_int_equal(value, 0x1234567890);
    port_script_end(script);
}

/* ---- Context ----------------------------------------------------------------------------------------------------- */

static void fill(struct mshv_vp_context *context)
{
    for (unsigned i = 0; i < 16; i++) {
        context->gpr[i] = 0x100 + i;
    }
    for (unsigned i = 0; i < 6; i++) {
        context->segment[i] = (struct hv_x64_segment_register){.base = 0x200 + i, .selector = (uint16_t)(8 * i)};
    }
    context->rip = 0x300;
    context->rflags = 0x301;
    context->cr0 = 0x302;
    context->cr3 = 0x303;
    context->cr4 = 0x304;
    context->cr8 = 0x305;
    context->efer = 0x306;
}

static void context_comes_from_a_valid_page(void **state)
{
    (void)state;
    struct mshv_vp_context want, got = {0};
    struct hv_vp_register_page page = {.version = 1, .isvalid = 1};
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    vp.page = &page;
    fill(&want);
    memcpy(page.gpr, want.gpr, sizeof want.gpr);
    memcpy(page.segment, want.segment, sizeof want.segment);
    page.rip = want.rip;
    page.rflags = want.rflags;
    page.cr0 = want.cr0;
    page.cr3 = want.cr3;
    page.cr4 = want.cr4;
    page.cr8 = want.cr8;
    page.efer = want.efer;
    assert_int_equal(mshv_vp_get_context(&vp, &got, NULL), 0);
    assert_memory_equal(&got, &want, sizeof want);
    port_script_end(script);
}

static void context_comes_by_hypercall_without_a_page_or_with_an_invalid_one(void **state)
{
    (void)state;
    for (int invalid = 0; invalid < 2; invalid++) {
        struct mshv_vp_context want, got = {0};
        struct hv_vp_register_page page = {.version = 1};
        union hv_register_value answers[29] = {0};
        struct port_script *script = port_script_new();
        struct mshv_vp vp = vp_of(script);
        vp.page = invalid ? &page : NULL;
        fill(&want);
        for (unsigned i = 0; i < 16; i++) {
            answers[i].reg64 = want.gpr[i];
        }
        for (unsigned i = 0; i < 6; i++) {
            answers[18 + i].segment = want.segment[i];
        }
        answers[16].reg64 = want.rip;
        answers[17].reg64 = want.rflags;
        answers[24].reg64 = want.cr0;
        answers[25].reg64 = want.cr3;
        answers[26].reg64 = want.cr4;
        answers[27].reg64 = want.cr8;
        answers[28].reg64 = want.efer;
        struct port_step *step = port_expect_reps(script, VP, HVCALL_GET_VP_REGISTERS, 29, answers, sizeof answers);
        assert_int_equal(mshv_vp_get_context(&vp, &got, NULL), 0);
        assert_memory_equal(&got, &want, sizeof want);
        const uint32_t names[29] = {0x20000, 0x20001, 0x20002, 0x20003, 0x20004, 0x20005, 0x20006, 0x20007,
                                    0x20008, 0x20009, 0x2000a, 0x2000b, 0x2000c, 0x2000d, 0x2000e, 0x2000f,
                                    0x20010, 0x20011, 0x60000, 0x60001, 0x60002, 0x60003, 0x60004, 0x60005,
                                    0x40000, 0x40002, 0x40003, 0x40004, 0x80001};
        assert_memory_equal(step->input + 16, names, sizeof names);
        port_script_end(script);
    }
}

static void failing_context_is_told(void **state)
{
    (void)state;
    struct mshv_vp_context context = {0};
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_refusal(script, VP, HVCALL_GET_VP_REGISTERS, -EIO, HV_STATUS_INVALID_VP_STATE);
    port_expect_refusal(script, VP, HVCALL_SET_VP_REGISTERS, -EIO, HV_STATUS_INVALID_VP_STATE);
    assert_int_equal(mshv_vp_get_context(&vp, &context, &err), -EIO);
    assert_non_null(strstr(err.text, "HV_STATUS_INVALID_VP_STATE"));
    assert_int_equal(mshv_vp_set_context(&vp, &context, MSHV_CONTEXT_RIP, &err), -EIO);
    assert_non_null(strstr(err.text, "HV_X64_REGISTER_RIP"));
    port_script_end(script);
}

static void context_goes_to_the_page_class_by_class(void **state)
{
    (void)state;
    static const unsigned classes[] = {MSHV_CONTEXT_GENERAL, MSHV_CONTEXT_RIP, MSHV_CONTEXT_SEGMENT,
                                       MSHV_CONTEXT_RFLAGS, MSHV_CONTEXT_GENERAL | MSHV_CONTEXT_RIP};
    struct mshv_vp_context context;
    fill(&context);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct hv_vp_register_page page = {.version = 1, .isvalid = 1, .dirty = 1u << HV_X64_REGISTER_CLASS_XMM};
        struct port_script *script = port_script_new();
        struct mshv_vp vp = vp_of(script);
        vp.page = &page;
        assert_int_equal(mshv_vp_set_context(&vp, &context, classes[i], NULL), 0);
        assert_int_equal(page.dirty, classes[i] | 4);
        assert_int_equal(page.gpr[15], (classes[i] & MSHV_CONTEXT_GENERAL) != 0 ? 0x10f : 0);
        assert_int_equal(page.rip, (classes[i] & MSHV_CONTEXT_RIP) != 0 ? 0x300 : 0);
        assert_int_equal(page.segment[5].base, (classes[i] & MSHV_CONTEXT_SEGMENT) != 0 ? 0x205 : 0);
        assert_int_equal(page.rflags, (classes[i] & MSHV_CONTEXT_RFLAGS) != 0 ? 0x301 : 0);
        assert_int_equal(page.cr0, 0);
        port_script_end(script);
    }
}

static void context_goes_by_hypercall_without_a_page(void **state)
{
    (void)state;
    struct mshv_vp_context context;
    struct hv_register_assoc sent[24];
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    fill(&context);
    struct port_step *all = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 24, NULL, 0);
    struct port_step *two = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 2, NULL, 0);
    assert_int_equal(mshv_vp_set_context(&vp, &context, ~0u, NULL), 0);
    assert_int_equal(mshv_vp_set_context(&vp, &context, MSHV_CONTEXT_RIP | MSHV_CONTEXT_RFLAGS, NULL), 0);
    assert_int_equal(mshv_vp_set_context(&vp, &context, 0, NULL), 0);
    memcpy(sent, all->input + 16, sizeof sent);
    assert_int_equal(sent[3].name, HV_X64_REGISTER_RBX);
    assert_int_equal(sent[3].value.reg64, 0x103);
    assert_int_equal(sent[17].name, HV_X64_REGISTER_CS);
    assert_int_equal(sent[17].value.segment.base, 0x201);
    assert_int_equal(sent[22].name, HV_X64_REGISTER_RFLAGS);
    assert_int_equal(sent[23].value.reg64, 0x300);
    assert_int_equal(two->reps_in, 2);
    port_script_end(script);
}

static void a_port_access_is_finished_by_the_page(void **state)
{
    (void)state;
    struct hv_vp_register_page page = {.version = 1, .isvalid = 1, .gpr = {1, 2}};
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    vp.page = &page;
    assert_int_equal(mshv_vp_finish_io(&vp, 0x1234, 99, NULL), 0);
    assert_int_equal(page.gpr[0], 99);
    assert_int_equal(page.gpr[1], 2);
    assert_int_equal(page.rip, 0x1234);
    assert_int_equal(page.dirty, MSHV_CONTEXT_GENERAL | MSHV_CONTEXT_RIP);
    port_script_end(script);
}

static void a_port_access_is_finished_by_hypercall_without_a_page(void **state)
{
    (void)state;
    struct hv_register_assoc sent[2];
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_reps(script, VP, HVCALL_SET_VP_REGISTERS, 2, NULL, 0);
    assert_int_equal(mshv_vp_finish_io(&vp, 0x1234, 99, NULL), 0);
    memcpy(sent, step->input + 16, sizeof sent);
    assert_int_equal(sent[0].name, HV_X64_REGISTER_RIP);
    assert_int_equal(sent[0].value.reg64, 0x1234);
    assert_int_equal(sent[1].name, HV_X64_REGISTER_RAX);
    assert_int_equal(sent[1].value.reg64, 99);
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_are_read_by_name),
        cmocka_unit_test(registers_are_written_in_batches_of_127),
        cmocka_unit_test(refused_register_is_named_and_counted_to),
        cmocka_unit_test(refused_reading_names_the_register),
        cmocka_unit_test(single_register_is_read_and_written),
        cmocka_unit_test(context_comes_from_a_valid_page),
        cmocka_unit_test(context_comes_by_hypercall_without_a_page_or_with_an_invalid_one),
        cmocka_unit_test(failing_context_is_told),
        cmocka_unit_test(context_goes_to_the_page_class_by_class),
        cmocka_unit_test(context_goes_by_hypercall_without_a_page),
        cmocka_unit_test(a_port_access_is_finished_by_the_page),
        cmocka_unit_test(a_port_access_is_finished_by_hypercall_without_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
