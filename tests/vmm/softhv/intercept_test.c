/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Intercept messages, field by field.
 */
#include "vmm/softhv/intercept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct x86_state state;
    struct x86_insn insn;
    struct softhv_exit exit;
    struct hv_message msg;
};

static const uint8_t code[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

/* User code in long mode, stopped at a three-byte instruction. The message is full of something else before. */
static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->state.cr0 = 0x80040033; /* PG, AM, WP, NE, ET, MP, PE */
    r->state.efer = 0xd01;
    r->state.rip = UINT64_C(0x7fff12345678);
    r->state.rflags = 0x246;
    for (unsigned i = 0; i < 16; i++)
        r->state.gpr[i] = UINT64_C(0x100000000) * i + i;
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        r->state.seg[i] = (struct x86_seg){.base = i, .limit = 0xffffffff, .attr = 0xf3, .sel = (uint16_t)(8 * i)};
    r->state.seg[X86_CS] = (struct x86_seg){.limit = 0xffffffff, .attr = 0xa0fb, .sel = 0x33};
    r->insn.len = 3;
    r->exit = (struct softhv_exit){
        .state = &r->state, .vp_index = 7, .cr8 = 9, .insn = &r->insn, .bytes = code, .byte_count = 3};
    memset(&r->msg, 0xee, sizeof(r->msg));
}

/* Decode the instruction under test, so that string and REP come from where they really do. */
static void rig_decode(struct rig *r, const uint8_t *bytes, size_t n)
{
    assert_int_equal(x86_decode(bytes, n, X86_DEC_64, &r->insn), X86_DEC_OK);
    r->exit.bytes = bytes;
    r->exit.byte_count = (uint8_t)n;
}

static void check_frame(const struct rig *r, uint32_t type, uint8_t size)
{
    static const uint8_t zero[HV_MESSAGE_PAYLOAD_BYTES];
    assert_int_equal(r->msg.header.message_type, type);
    assert_int_equal(r->msg.header.payload_size, size);
    assert_int_equal(r->msg.header.message_flags, 0);
    assert_int_equal(r->msg.header.sender, 0);
    assert_memory_equal(r->msg.payload + size, zero, sizeof(zero) - size);
}

static struct hv_x64_intercept_message_header header_of(const struct rig *r)
{
    struct hv_x64_intercept_message_header h;
    memcpy(&h, r->msg.payload, sizeof(h));
    return h;
}

static void header_tells_where_the_vp_is(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_msg_unrecoverable(&r.exit, &r.msg);
    check_frame(&r, HVMSG_UNRECOVERABLE_EXCEPTION, 40);
    struct hv_x64_intercept_message_header h = header_of(&r);
    assert_int_equal(h.vp_index, 7);
    assert_int_equal(h.instruction_length_cr8, 0x93);
    assert_int_equal(h.rip, UINT64_C(0x7fff12345678));
    assert_int_equal(h.rflags, 0x246);
    assert_int_equal(h.cs_segment.selector, 0x33);
    assert_int_equal(h.cs_segment.attributes, 0xa0fb);
    assert_int_equal(h.cs_segment.limit, 0xffffffff);
    assert_int_equal(h.execution_state,
                     3 | HV_X64_EXECUTION_CR0_PE | HV_X64_EXECUTION_CR0_AM | HV_X64_EXECUTION_EFER_LMA);
}

static void execution_state_follows_the_state(void **state)
{
    struct x86_state s = {.seg[X86_SS].attr = 0x60};
    (void)state;
    assert_int_equal(softhv_execution_state(&s), 0); /* real mode: level 0 */
    s.cr0 = 1;
    assert_int_equal(softhv_execution_state(&s), HV_X64_EXECUTION_CR0_PE | 3);
    s.seg[X86_SS].attr = X86_SEG_UNUSABLE;
    s.shadow_sti = 1;
    s.pending.kind = X86_EV_NMI;
    s.dr7 = 0x402;
    assert_int_equal(softhv_execution_state(&s), HV_X64_EXECUTION_CR0_PE | HV_X64_EXECUTION_INTERRUPT_SHADOW |
                                                     HV_X64_EXECUTION_INTERRUPTION_PENDING |
                                                     HV_X64_EXECUTION_DEBUG_ACTIVE);
    s.shadow_sti = 0;
    s.shadow_ss = 1;
    assert_true(softhv_execution_state(&s) & HV_X64_EXECUTION_INTERRUPT_SHADOW);
}

static void without_an_instruction_there_is_no_length(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.exit.insn = NULL;
    r.exit.bytes = NULL;
    r.exit.byte_count = 0;
    softhv_msg_halt(&r.exit, &r.msg);
    check_frame(&r, HVMSG_X64_HALT, 40);
    assert_int_equal(header_of(&r).instruction_length_cr8, 0x90);
}

/* ---- Memory ---- */

static struct hv_x64_memory_intercept_message memory(struct rig *r, struct x86_mem_access a, bool mapped)
{
    struct hv_x64_memory_intercept_message m;
    struct softhv_memory_exit e = {.access = a, .mapped = mapped, .cache_type = HV_CACHE_TYPE_UNCACHED};
    softhv_msg_memory(&r->exit, &e, &r->msg);
    check_frame(r, mapped ? HVMSG_GPA_INTERCEPT : HVMSG_UNMAPPED_GPA, 80);
    memcpy(&m, r->msg.payload, sizeof(m));
    return m;
}

static void data_access_has_both_addresses(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    struct x86_mem_access a = {
        .gpa = 0xfee00300, .gva = UINT64_C(0xffffffffff5fc300), .len = 4, .kind = X86_ACCESS_WRITE, .has_gva = true};
    struct hv_x64_memory_intercept_message m = memory(&r, a, false);
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(m.memory_access_info, 3);
    assert_int_equal(m.guest_virtual_address, UINT64_C(0xffffffffff5fc300));
    assert_int_equal(m.guest_physical_address, 0xfee00300);
    assert_int_equal(m.tpr_priority, 9);
    assert_int_equal(m.cache_type, 0);
    assert_int_equal(m.instruction_byte_count, 3);
    assert_memory_equal(m.instruction_bytes, "\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void page_table_access_has_no_translation(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    struct x86_mem_access a = {
        .gpa = 0x5000, .gva = 0x1234, .len = 8, .kind = X86_ACCESS_READ, .has_gva = true, .walk = true};
    struct hv_x64_memory_intercept_message m = memory(&r, a, true);
    assert_int_equal(m.memory_access_info, HV_X64_MEMORY_ACCESS_GVA_VALID);
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
    a.has_gva = false;
    m = memory(&r, a, true);
    assert_int_equal(m.memory_access_info, 0);
    assert_int_equal(m.guest_virtual_address, 0);
}

static void fetch_is_execute(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.exit.insn = NULL;
    r.exit.byte_count = 0;
    struct x86_mem_access a = {.gpa = 0x5000, .gva = 0x5000, .len = 1, .kind = X86_ACCESS_FETCH, .has_gva = true};
    struct hv_x64_memory_intercept_message m = memory(&r, a, false);
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_EXECUTE);
    assert_int_equal(m.instruction_byte_count, 0);
}

static void no_more_than_sixteen_bytes_go_out(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.exit.byte_count = 20;
    struct hv_x64_memory_intercept_message m = memory(&r, (struct x86_mem_access){.gpa = 1}, false);
    assert_int_equal(m.instruction_byte_count, 16);
    assert_int_equal(m.instruction_bytes[15], 16);
}

/* ---- Ports ---- */

static struct hv_x64_io_port_intercept_message port(struct rig *r, struct softhv_port_exit p)
{
    struct hv_x64_io_port_intercept_message m;
    softhv_msg_port(&r->exit, &p, &r->msg);
    check_frame(r, HVMSG_X64_IO_PORT_INTERCEPT, 128);
    memcpy(&m, r->msg.payload, sizeof(m));
    return m;
}

static void out_to_a_port(void **state)
{
    static const uint8_t out_e9_al[] = {0xe6, 0xe9};
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_decode(&r, out_e9_al, sizeof(out_e9_al));
    r.state.gpr[X86_RAX] = UINT64_C(0x1122334455667788);
    struct hv_x64_io_port_intercept_message m =
        port(&r, (struct softhv_port_exit){.port = 0xe9, .size = 1, .write = true});
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(m.header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK, 2);
    assert_int_equal(m.port_number, 0xe9);
    assert_int_equal(m.access_info, 1);
    assert_int_equal(m.rax, UINT64_C(0x1122334455667788));
    assert_int_equal(m.rcx, r.state.gpr[X86_RCX]);
    assert_int_equal(m.rsi, r.state.gpr[X86_RSI]);
    assert_int_equal(m.rdi, r.state.gpr[X86_RDI]);
    assert_int_equal(m.instruction_byte_count, 2);
    assert_memory_equal(m.instruction_bytes, out_e9_al, 2);
}

static void rep_string_is_reported_whole(void **state)
{
    static const uint8_t rep_insd[] = {0xf3, 0x6d};
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_decode(&r, rep_insd, sizeof(rep_insd));
    struct hv_x64_io_port_intercept_message m = port(&r, (struct softhv_port_exit){.port = 0x1f0, .size = 4});
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
    assert_int_equal(m.access_info, 4 | HV_X64_IO_PORT_STRING_OP | HV_X64_IO_PORT_REP_PREFIX);
    assert_int_equal(m.ds_segment.base, X86_DS);
    assert_int_equal(m.es_segment.base, X86_ES);
    assert_int_equal(m.es_segment.selector, 8 * X86_ES);
}

static void string_by_element_ends_with_the_length(void **state)
{
    static const uint8_t rep_outsb[] = {0xf3, 0x6e};
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_decode(&r, rep_outsb, sizeof(rep_outsb));
    struct softhv_port_exit p = {.port = 0x3f8, .size = 1, .write = true, .by_element = true, .more = true};
    struct hv_x64_io_port_intercept_message m = port(&r, p);
    assert_int_equal(m.access_info, 1 | HV_X64_IO_PORT_STRING_OP);
    assert_int_equal(m.header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK, 0);
    p.more = false;
    m = port(&r, p);
    assert_int_equal(m.header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK, 2);
}

static void outs_reports_the_overriding_segment(void **state)
{
    static const uint8_t gs_outsb[] = {0x65, 0x6e};
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_decode(&r, gs_outsb, sizeof(gs_outsb));
    struct hv_x64_io_port_intercept_message m =
        port(&r, (struct softhv_port_exit){.port = 1, .size = 1, .write = true});
    assert_int_equal(m.ds_segment.base, X86_GS);
}

/* ---- The others ---- */

static void msr_has_rdx_before_rax(void **state)
{
    struct rig r;
    struct hv_x64_msr_intercept_message m;
    (void)state;
    rig_init(&r);
    softhv_msg_msr(&r.exit, 0xc0010117, true, &r.msg);
    check_frame(&r, HVMSG_X64_MSR_INTERCEPT, 64);
    memcpy(&m, r.msg.payload, sizeof(m));
    assert_int_equal(m.header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(m.msr_number, 0xc0010117);
    assert_int_equal(m.rdx, r.state.gpr[X86_RDX]);
    assert_int_equal(m.rax, r.state.gpr[X86_RAX]);
    softhv_msg_msr(&r.exit, 0x10, false, &r.msg);
    assert_int_equal(header_of(&r).intercept_access_type, HV_INTERCEPT_ACCESS_READ);
}

static void cpuid_has_inputs_and_defaults(void **state)
{
    struct rig r;
    struct hv_x64_cpuid_intercept_message m;
    struct x86_cpuid_regs result = {.eax = 1, .ebx = 2, .ecx = 3, .edx = 4};
    (void)state;
    rig_init(&r);
    softhv_msg_cpuid(&r.exit, &result, &r.msg);
    check_frame(&r, HVMSG_X64_CPUID_INTERCEPT, 104);
    memcpy(&m, r.msg.payload, sizeof(m));
    assert_int_equal(m.rcx, r.state.gpr[X86_RCX]);
    assert_int_equal(m.rbx, r.state.gpr[X86_RBX]);
    assert_int_equal(m.default_result_rax, 1);
    assert_int_equal(m.default_result_rbx, 2);
    assert_int_equal(m.default_result_rcx, 3);
    assert_int_equal(m.default_result_rdx, 4);
}

static struct hv_x64_exception_intercept_message exception(struct rig *r, struct x86_event ev)
{
    struct hv_x64_exception_intercept_message m;
    softhv_msg_exception(&r->exit, &ev, &r->msg);
    check_frame(r, HVMSG_X64_EXCEPTION_INTERCEPT, 240);
    memcpy(&m, r->msg.payload, sizeof(m));
    return m;
}

static void exception_carries_its_parameter(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    struct x86_event pf = {.kind = X86_EV_EXCEPTION, .vector = 14, .has_error = 1, .error = 6, .cr2 = 0xabc, .dr6 = 1};
    struct hv_x64_exception_intercept_message m = exception(&r, pf);
    assert_int_equal(m.exception_vector, 14);
    assert_int_equal(m.exception_info, HV_X64_EXCEPTION_ERROR_CODE_VALID);
    assert_int_equal(m.error_code, 6);
    assert_int_equal(m.exception_parameter, 0xabc);
    assert_memory_equal(m.gpr, r.state.gpr, sizeof(m.gpr));
    assert_int_equal(m.ss_segment.base, X86_SS);
    assert_int_equal(m.instruction_byte_count, 3);
    m = exception(&r, (struct x86_event){.kind = X86_EV_EXCEPTION, .vector = 1, .cr2 = 5, .dr6 = 0x4000});
    assert_int_equal(m.exception_parameter, 0x4000);
    m = exception(&r, (struct x86_event){.kind = X86_EV_SOFT_EXCEPTION, .vector = 3, .error = 9, .cr2 = 5});
    assert_int_equal(m.exception_info, HV_X64_EXCEPTION_SOFTWARE_EXCEPTION);
    assert_int_equal(m.exception_parameter, 0);
    assert_int_equal(m.error_code, 0);
}

static void hypercall_carries_registers(void **state)
{
    struct rig r;
    struct hv_x64_hypercall_intercept_message m;
    (void)state;
    rig_init(&r);
    r.state.fpu.vec[5][1] = 55;
    softhv_msg_hypercall(&r.exit, &r.msg);
    check_frame(&r, HVMSG_HYPERCALL_INTERCEPT, 196);
    memcpy(&m, r.msg.payload, sizeof(m));
    assert_int_equal(m.r8, r.state.gpr[8]);
    assert_int_equal(m.rdi, r.state.gpr[X86_RDI]);
    assert_int_equal(m.rcx, r.state.gpr[X86_RCX]);
    assert_int_equal(m.xmm[5][1], 55);
    assert_int_equal(m.flags, 0);
}

static void eoi_has_no_header(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_msg_apic_eoi(3, 0x41, &r.msg);
    check_frame(&r, HVMSG_X64_APIC_EOI, 8);
    assert_memory_equal(r.msg.payload, "\3\0\0\0\x41\0\0\0", 8);
}

static void sint_deliverable_has_the_mask(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_msg_sint_deliverable(&r.exit, 0x8004, &r.msg);
    check_frame(&r, HVMSG_SYNIC_SINT_DELIVERABLE, 48);
    assert_memory_equal(r.msg.payload + 40, "\x04\x80\0\0\0\0\0\0", 8);
    assert_int_equal(header_of(&r).vp_index, 7);
}

static void interruption_deliverable_has_the_type(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_msg_deliverable(&r.exit, HV_DELIVERABLE_NMI, &r.msg);
    check_frame(&r, HVMSG_X64_INTERRUPTION_DELIVERABLE, 48);
    assert_int_equal(r.msg.payload[40], 2);
}

static void invalid_state_and_unsupported_feature(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_msg_invalid_state(5, &r.msg);
    check_frame(&r, HVMSG_INVALID_VP_REGISTER_VALUE, 8);
    assert_int_equal(r.msg.payload[0], 5);
    softhv_msg_unsupported(6, HV_UNSUPPORTED_FEATURE_TASK_SWITCH, 0x28, &r.msg);
    check_frame(&r, HVMSG_UNSUPPORTED_FEATURE, 16);
    assert_memory_equal(r.msg.payload, "\6\0\0\0\2\0\0\0\x28\0\0\0\0\0\0\0", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_tells_where_the_vp_is),
        cmocka_unit_test(execution_state_follows_the_state),
        cmocka_unit_test(without_an_instruction_there_is_no_length),
        cmocka_unit_test(data_access_has_both_addresses),
        cmocka_unit_test(page_table_access_has_no_translation),
        cmocka_unit_test(fetch_is_execute),
        cmocka_unit_test(no_more_than_sixteen_bytes_go_out),
        cmocka_unit_test(out_to_a_port),
        cmocka_unit_test(rep_string_is_reported_whole),
        cmocka_unit_test(string_by_element_ends_with_the_length),
        cmocka_unit_test(outs_reports_the_overriding_segment),
        cmocka_unit_test(msr_has_rdx_before_rax),
        cmocka_unit_test(cpuid_has_inputs_and_defaults),
        cmocka_unit_test(exception_carries_its_parameter),
        cmocka_unit_test(hypercall_carries_registers),
        cmocka_unit_test(eoi_has_no_header),
        cmocka_unit_test(sint_deliverable_has_the_mask),
        cmocka_unit_test(interruption_deliverable_has_the_type),
        cmocka_unit_test(invalid_state_and_unsupported_feature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
