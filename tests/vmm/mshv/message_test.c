/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/mshv/message.h"

#define INDEX 3

/* A header with a value of its own in each field. */
static struct hv_x64_intercept_message_header header(uint8_t access)
{
    return (struct hv_x64_intercept_message_header){
        .vp_index = INDEX,
        .instruction_length_cr8 = 0x72,
        .intercept_access_type = access,
        .execution_state = HV_X64_EXECUTION_CR0_PE | HV_X64_EXECUTION_EFER_LMA | HV_X64_EXECUTION_INTERRUPT_SHADOW | 3,
        .cs_segment = {.base = 0x11, .limit = 0x22, .selector = 0x33, .attributes = 0x209b},
        .rip = 0x401000,
        .rflags = 0x246,
    };
}

static struct hv_message message(uint32_t type, const void *payload, uint8_t bytes)
{
    struct hv_message m = {.header = {.message_type = type, .payload_size = bytes}};
    memcpy(m.payload, payload, bytes);
    return m;
}

static int decode(uint32_t type, const void *payload, uint8_t bytes, struct mshv_exit *exit)
{
    const struct hv_message m = message(type, payload, bytes);
    return mshv_message_decode(&m, INDEX, exit, NULL);
}

/* The field that a refused message is refused for is named. */
static void expect_refused(uint32_t type, const void *payload, uint8_t bytes, const char *field)
{
    const struct hv_message m = message(type, payload, bytes);
    struct mshv_exit exit;
    struct err err;
    assert_int_equal(mshv_message_decode(&m, INDEX, &exit, &err), -EPROTO);
    assert_non_null(strstr(err.text, field));
}

static void header_is_taken_apart(void **state)
{
    (void)state;
    const struct hv_x64_header_only_message m = {header(HV_INTERCEPT_ACCESS_WRITE)};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_HALT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_HALT);
    assert_int_equal(exit.type, HVMSG_X64_HALT);
    assert_int_equal(exit.access, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(exit.instruction_length, 2);
    assert_int_equal(exit.cr8, 7);
    assert_int_equal(exit.cpl, 3);
    assert_true(exit.long_mode);
    assert_true(exit.protected_mode);
    assert_true(exit.interrupt_shadow);
    assert_false(exit.interruption_pending);
    assert_int_equal(exit.cs.selector, 0x33);
    assert_int_equal(exit.rip, 0x401000);
    assert_int_equal(exit.rflags, 0x246);
}

static void header_with_wrong_fields_is_refused(void **state)
{
    (void)state;
    static const uint32_t types[] = {
        HVMSG_UNMAPPED_GPA,        HVMSG_X64_IO_PORT_INTERCEPT,   HVMSG_X64_MSR_INTERCEPT,
        HVMSG_X64_CPUID_INTERCEPT, HVMSG_X64_EXCEPTION_INTERCEPT, HVMSG_UNRECOVERABLE_EXCEPTION,
        HVMSG_X64_SIPI_INTERCEPT,  HVMSG_SYNIC_SINT_DELIVERABLE,  HVMSG_HYPERCALL_INTERCEPT};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct hv_x64_exception_intercept_message m = {.header = header(3)};
        expect_refused(types[i], &m, 240, "intercept_access_type");
        m.header = header(0);
        m.header.vp_index = INDEX + 1;
        expect_refused(types[i], &m, 240, "vp_index");
    }
}

static void memory_access_is_decoded(void **state)
{
    (void)state;
    struct hv_x64_memory_intercept_message m = {.header = header(HV_INTERCEPT_ACCESS_READ),
                                                .cache_type = HV_CACHE_TYPE_WRITE_BACK,
                                                .instruction_byte_count = 3,
                                                .memory_access_info = 3,
                                                .guest_virtual_address = 0xffff800000000abc,
                                                .guest_physical_address = 0xd0000000,
                                                .instruction_bytes = {0x8b, 0x07, 0x90, 0xcc}};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_UNMAPPED_GPA, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_MEMORY);
    assert_true(exit.u.memory.unmapped);
    assert_true(exit.u.memory.gva_valid && exit.u.memory.gva_gpa_valid);
    assert_int_equal(exit.u.memory.gpa.value, 0xd0000abc); /* rounded down by the hypervisor */
    assert_true(exit.u.memory.gva.value == 0xffff800000000abc);
    assert_int_equal(exit.u.memory.cache_type, HV_CACHE_TYPE_WRITE_BACK);
    assert_int_equal(exit.instruction_bytes_count, 3);
    assert_memory_equal(exit.instruction_bytes, "\x8b\x07\x90\0", 4);
    m.memory_access_info = HV_X64_MEMORY_ACCESS_GVA_VALID;
    m.guest_physical_address = 0x1238;
    assert_int_equal(decode(HVMSG_GPA_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_false(exit.u.memory.unmapped);
    assert_false(exit.u.memory.gva_gpa_valid);
    assert_int_equal(exit.u.memory.gpa.value, 0x1238);
    m.memory_access_info = HV_X64_MEMORY_ACCESS_GVA_GPA_VALID; /* of no address */
    assert_int_equal(decode(HVMSG_GPA_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_false(exit.u.memory.gva_gpa_valid);
}

static void instruction_bytes_are_bounded(void **state)
{
    (void)state;
    struct hv_x64_memory_intercept_message memory = {.header = header(0), .instruction_byte_count = 17};
    struct hv_x64_io_port_intercept_message io = {.header = header(0), .access_info = 1, .instruction_byte_count = 255};
    struct hv_x64_exception_intercept_message exception = {.header = header(0), .instruction_byte_count = 17};
    struct mshv_exit exit;
    expect_refused(HVMSG_GPA_INTERCEPT, &memory, sizeof memory, "instruction_byte_count");
    expect_refused(HVMSG_X64_IO_PORT_INTERCEPT, &io, sizeof io, "instruction_byte_count");
    expect_refused(HVMSG_X64_EXCEPTION_INTERCEPT, &exception, sizeof exception, "instruction_byte_count");
    memory.instruction_byte_count = 16;
    assert_int_equal(decode(HVMSG_GPA_INTERCEPT, &memory, sizeof memory, &exit), 0);
    memory.instruction_byte_count = 0;
    assert_int_equal(decode(HVMSG_GPA_INTERCEPT, &memory, sizeof memory, &exit), 0);
    assert_int_equal(exit.instruction_bytes_count, 0);
}

static void port_access_is_decoded(void **state)
{
    (void)state;
    const struct hv_x64_io_port_intercept_message m = {.header = header(HV_INTERCEPT_ACCESS_WRITE),
                                                       .port_number = 0x3f8,
                                                       .access_info =
                                                           2 | HV_X64_IO_PORT_STRING_OP | HV_X64_IO_PORT_REP_PREFIX,
                                                       .rax = 1,
                                                       .rcx = 2,
                                                       .rsi = 3,
                                                       .rdi = 4,
                                                       .ds_segment.selector = 5,
                                                       .es_segment.selector = 6};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_IO_PORT);
    assert_int_equal(exit.u.io.port, 0x3f8);
    assert_int_equal(exit.u.io.size, 2);
    assert_true(exit.u.io.write && exit.u.io.string && exit.u.io.rep);
    assert_int_equal(exit.u.io.rax, 1);
    assert_int_equal(exit.u.io.rcx, 2);
    assert_int_equal(exit.u.io.rsi, 3);
    assert_int_equal(exit.u.io.rdi, 4);
    assert_int_equal(exit.u.io.ds.selector, 5);
    assert_int_equal(exit.u.io.es.selector, 6);
}

static void port_access_of_no_known_size_is_refused(void **state)
{
    (void)state;
    for (uint8_t size = 0; size < 8; size++) {
        const struct hv_x64_io_port_intercept_message m = {.header = header(0), .access_info = size};
        struct mshv_exit exit;
        if (size == 1 || size == 2 || size == 4) {
            assert_int_equal(decode(HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof m, &exit), 0);
        } else {
            expect_refused(HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof m, "access_size");
        }
    }
}

static void port_access_without_a_length_is_refused_unless_it_is_a_string(void **state)
{
    (void)state;
    struct hv_x64_io_port_intercept_message m = {.header = header(0), .access_info = 1};
    struct mshv_exit exit;
    m.header.instruction_length_cr8 = 0x70;
    expect_refused(HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof m, "instruction_length");
    m.access_info |= HV_X64_IO_PORT_STRING_OP;
    assert_int_equal(decode(HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof m, &exit), 0);
}

static void ports_and_msrs_are_not_executed(void **state)
{
    (void)state;
    const struct hv_x64_io_port_intercept_message io = {.header = header(2), .access_info = 1};
    const struct hv_x64_msr_intercept_message msr = {.header = header(2)};
    expect_refused(HVMSG_X64_IO_PORT_INTERCEPT, &io, sizeof io, "intercept_access_type");
    expect_refused(HVMSG_X64_MSR_INTERCEPT, &msr, sizeof msr, "intercept_access_type");
}

static void msr_value_is_put_together(void **state)
{
    (void)state;
    const struct hv_x64_msr_intercept_message m = {.header = header(HV_INTERCEPT_ACCESS_WRITE),
                                                   .msr_number = 0xc0000080,
                                                   .rdx = 0xdead00000001,
                                                   .rax = 0xbeef80000002};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_MSR_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_MSR);
    assert_int_equal(exit.u.msr.index, 0xc0000080);
    assert_true(exit.u.msr.value == UINT64_C(0x180000002));
}

static void cpuid_is_decoded_in_its_own_order(void **state)
{
    (void)state;
    const struct hv_x64_cpuid_intercept_message m = {.header = header(2),
                                                     .rax = 7,
                                                     .rcx = 1,
                                                     .default_result_rax = 10,
                                                     .default_result_rcx = 12,
                                                     .default_result_rdx = 13,
                                                     .default_result_rbx = 11};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_CPUID_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_CPUID);
    assert_int_equal(exit.u.cpuid.eax, 7);
    assert_int_equal(exit.u.cpuid.ecx, 1);
    assert_int_equal(exit.u.cpuid.result.eax, 10);
    assert_int_equal(exit.u.cpuid.result.ebx, 11);
    assert_int_equal(exit.u.cpuid.result.ecx, 12);
    assert_int_equal(exit.u.cpuid.result.edx, 13);
}

static void exception_is_decoded(void **state)
{
    (void)state;
    struct hv_x64_exception_intercept_message m = {.header = header(2),
                                                   .exception_vector = 14,
                                                   .exception_info = HV_X64_EXCEPTION_ERROR_CODE_VALID,
                                                   .error_code = 6,
                                                   .exception_parameter = 0x1234};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_EXCEPTION_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_EXCEPTION);
    assert_int_equal(exit.u.exception.vector, 14);
    assert_true(exit.u.exception.has_error_code);
    assert_int_equal(exit.u.exception.error_code, 6);
    assert_int_equal(exit.u.exception.parameter, 0x1234);
    m.exception_vector = 32;
    expect_refused(HVMSG_X64_EXCEPTION_INTERCEPT, &m, sizeof m, "exception_vector");
}

static void end_of_interrupt_has_no_header(void **state)
{
    (void)state;
    struct hv_x64_apic_eoi_message m = {.vp_index = INDEX, .interrupt_vector = 255};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_APIC_EOI, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_APIC_EOI);
    assert_int_equal(exit.u.eoi.vector, 255);
    m.interrupt_vector = 256;
    expect_refused(HVMSG_X64_APIC_EOI, &m, sizeof m, "interrupt_vector");
    m = (struct hv_x64_apic_eoi_message){.vp_index = INDEX - 1};
    expect_refused(HVMSG_X64_APIC_EOI, &m, sizeof m, "vp_index");
}

static void sipi_is_decoded(void **state)
{
    (void)state;
    struct hv_x64_sipi_intercept_message m = {.header = header(0), .target_vp_index = 255, .vector = 0x9f};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_SIPI_INTERCEPT, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.u.sipi.vp_index, 255);
    assert_int_equal(exit.u.sipi.vector, 0x9f);
    m.vector = 0x100;
    expect_refused(HVMSG_X64_SIPI_INTERCEPT, &m, sizeof m, "vector");
    m.target_vp_index = 256;
    expect_refused(HVMSG_X64_SIPI_INTERCEPT, &m, sizeof m, "target_vp_index");
}

static void deliverability_is_decoded(void **state)
{
    (void)state;
    struct hv_x64_interruption_deliverable_message m = {.header = header(0), .deliverable_type = HV_DELIVERABLE_NMI};
    const struct hv_x64_sint_deliverable_message sints = {.header = header(0), .deliverable_sints = 0x8004};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_X64_INTERRUPTION_DELIVERABLE, &m, sizeof m, &exit), 0);
    assert_int_equal(exit.u.deliverable.type, HV_DELIVERABLE_NMI);
    m.deliverable_type = 1;
    expect_refused(HVMSG_X64_INTERRUPTION_DELIVERABLE, &m, sizeof m, "deliverable_type");
    m.deliverable_type = 4;
    expect_refused(HVMSG_X64_INTERRUPTION_DELIVERABLE, &m, sizeof m, "deliverable_type");
    assert_int_equal(decode(HVMSG_SYNIC_SINT_DELIVERABLE, &sints, sizeof sints, &exit), 0);
    assert_int_equal(exit.u.sint_deliverable.sints, 0x8004);
}

static void hypercall_is_decoded_from_the_shorter_form_too(void **state)
{
    (void)state;
    const struct hv_x64_hypercall_intercept_message m = {.header = header(2), .rcx = 0x5d, .rdi = 9};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_HYPERCALL_INTERCEPT, &m, 196, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_HYPERCALL);
    assert_int_equal(exit.u.hypercall.rcx, 0x5d);
    assert_int_equal(exit.u.hypercall.rdi, 9);
}

static void complaints_of_the_hypervisor_are_decoded(void **state)
{
    (void)state;
    struct hv_x64_invalid_vp_register_message invalid = {.vp_index = INDEX};
    struct hv_x64_unsupported_feature_message unsupported = {
        .vp_index = INDEX, .feature_code = HV_UNSUPPORTED_FEATURE_TASK_SWITCH, .feature_parameter = 0x28};
    struct mshv_exit exit;
    assert_int_equal(decode(HVMSG_INVALID_VP_REGISTER_VALUE, &invalid, sizeof invalid, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_INVALID_REGISTER);
    assert_int_equal(decode(HVMSG_UNSUPPORTED_FEATURE, &unsupported, sizeof unsupported, &exit), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_UNSUPPORTED);
    assert_int_equal(exit.u.unsupported.code, 2);
    assert_int_equal(exit.u.unsupported.parameter, 0x28);
    invalid.vp_index = unsupported.vp_index = 0;
    expect_refused(HVMSG_INVALID_VP_REGISTER_VALUE, &invalid, sizeof invalid, "vp_index");
    expect_refused(HVMSG_UNSUPPORTED_FEATURE, &unsupported, sizeof unsupported, "vp_index");
}

static void payload_size_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct hv_x64_memory_intercept_message m = {.header = header(0)};
    struct hv_message whole = message(HVMSG_UNMAPPED_GPA, &m, sizeof m);
    struct mshv_exit exit;
    static const struct {
        uint8_t bytes;
        int result;
    } cases[] = {{0, 0}, {80, 0}, {240, 0}, {1, -EPROTO}, {79, -EPROTO}, {241, -EPROTO}, {255, -EPROTO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        whole.header.payload_size = cases[i].bytes;
        assert_int_equal(mshv_message_decode(&whole, INDEX, &exit, NULL), cases[i].result);
    }
}

static void other_types_pass_undecoded(void **state)
{
    (void)state;
    static const uint32_t types[] = {HVMSG_X64_SEV_VMGEXIT_INTERCEPT, HVMSG_OPAQUE_INTERCEPT, 0x12345678, UINT32_MAX};
    struct hv_message m;
    struct mshv_exit exit;
    memset(&m, 0xff, sizeof m);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        m.header.message_type = types[i];
        assert_int_equal(mshv_message_decode(&m, INDEX, &exit, NULL), 0);
        assert_int_equal(exit.kind, MSHV_EXIT_OTHER);
        assert_int_equal(exit.type, types[i]);
        assert_int_equal(exit.rip, 0);
    }
    m.header.message_type = HVMSG_NONE;
    assert_int_equal(mshv_message_decode(&m, INDEX, &exit, NULL), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_NONE);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int kind = 0; kind < MSHV_EXIT_KIND_COUNT; kind++) {
        assert_non_null(mshv_exit_name((enum mshv_exit_kind)kind));
    }
    assert_string_equal(mshv_exit_name(MSHV_EXIT_MEMORY), "memory access");
    assert_string_equal(mshv_exit_name(MSHV_EXIT_KIND_COUNT), "no exit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_taken_apart),
        cmocka_unit_test(header_with_wrong_fields_is_refused),
        cmocka_unit_test(memory_access_is_decoded),
        cmocka_unit_test(instruction_bytes_are_bounded),
        cmocka_unit_test(port_access_is_decoded),
        cmocka_unit_test(port_access_of_no_known_size_is_refused),
        cmocka_unit_test(port_access_without_a_length_is_refused_unless_it_is_a_string),
        cmocka_unit_test(ports_and_msrs_are_not_executed),
        cmocka_unit_test(msr_value_is_put_together),
        cmocka_unit_test(cpuid_is_decoded_in_its_own_order),
        cmocka_unit_test(exception_is_decoded),
        cmocka_unit_test(end_of_interrupt_has_no_header),
        cmocka_unit_test(sipi_is_decoded),
        cmocka_unit_test(deliverability_is_decoded),
        cmocka_unit_test(hypercall_is_decoded_from_the_shorter_form_too),
        cmocka_unit_test(complaints_of_the_hypervisor_are_decoded),
        cmocka_unit_test(payload_size_that_cannot_be_is_refused),
        cmocka_unit_test(other_types_pass_undecoded),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
