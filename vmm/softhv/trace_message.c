/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Messages in a line of the trace. Source: TLFS, HV_MESSAGE_TYPE; abi_msgs.h.
 */
#include <stdbool.h>
#include <string.h>

#include "vmm/mshv/names.h"
#include "vmm/softhv/trace_int.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void add_instruction(struct text *t, const uint8_t *bytes, uint8_t count)
{
    if (count != 0)
        softhv_trace_bytes(t, "instruction_bytes", bytes, count < HV_INSTRUCTION_BYTES ? count : HV_INSTRUCTION_BYTES);
}

/* The processor at the time: what all payloads with an intercept header begin with. */
static void add_header(struct text *t, const uint8_t *payload)
{
    static const struct softhv_trace_bit states[] = {
        {HV_X64_EXECUTION_CR0_PE, "CR0_PE"},
        {HV_X64_EXECUTION_CR0_AM, "CR0_AM"},
        {HV_X64_EXECUTION_EFER_LMA, "EFER_LMA"},
        {HV_X64_EXECUTION_DEBUG_ACTIVE, "DEBUG_ACTIVE"},
        {HV_X64_EXECUTION_INTERRUPTION_PENDING, "INTERRUPTION_PENDING"},
        {HV_X64_EXECUTION_ENCLAVE_MODE, "ENCLAVE_MODE"},
        {HV_X64_EXECUTION_INTERRUPT_SHADOW, "INTERRUPT_SHADOW"},
        {HV_X64_EXECUTION_VIRTUALIZATION_FAULT, "VIRTUALIZATION_FAULT"},
    };
    struct hv_x64_intercept_message_header h;
    memcpy(&h, payload, sizeof(h));
    softhv_trace_hex(t, "rip", h.rip);
    softhv_trace_hex(t, "rflags", h.rflags);
    softhv_trace_segment(t, "cs", &h.cs_segment);
    softhv_trace_dec(t, "cpl", h.execution_state & HV_X64_EXECUTION_CPL_MASK);
    softhv_trace_bits(t, "execution_state", states, COUNT(states), h.execution_state & ~HV_X64_EXECUTION_CPL_MASK);
    softhv_trace_dec(t, "instruction_length", h.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK);
    softhv_trace_dec(t, "cr8", h.instruction_length_cr8 >> HV_X64_INTERCEPT_CR8_SHIFT);
}

static const char *access_name(uint8_t type)
{
    static const char *const names[] = {"read", "write", "execute"};
    return type < COUNT(names) ? names[type] : NULL;
}

static void add_access(struct text *t, const uint8_t *payload)
{
    uint8_t type = payload[offsetof(struct hv_x64_intercept_message_header, intercept_access_type)];
    softhv_trace_name(t, "access", access_name(type), type);
}

static void add_memory(struct text *t, const uint8_t *payload)
{
    static const struct softhv_trace_bit info[] = {
        {HV_X64_MEMORY_ACCESS_GVA_VALID, "GVA_VALID"},
        {HV_X64_MEMORY_ACCESS_GVA_GPA_VALID, "GVA_GPA_VALID"},
        {HV_X64_MEMORY_ACCESS_HYPERCALL_OUTPUT_PENDING, "HYPERCALL_OUTPUT_PENDING"},
        {HV_X64_MEMORY_ACCESS_TLB_LOCKED, "TLB_LOCKED"},
        {HV_X64_MEMORY_ACCESS_SUPERVISOR_SHADOW_STACK, "SUPERVISOR_SHADOW_STACK"},
    };
    struct hv_x64_memory_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    add_access(t, payload);
    softhv_trace_hex(t, "guest_physical_address", m.guest_physical_address);
    softhv_trace_hex(t, "guest_virtual_address", m.guest_virtual_address);
    softhv_trace_bits(t, "memory_access_info", info, COUNT(info), m.memory_access_info);
    softhv_trace_name(t, "cache_type", mshv_name_cache_type(m.cache_type), m.cache_type);
    add_instruction(t, m.instruction_bytes, m.instruction_byte_count);
    add_header(t, payload);
}

static void add_port(struct text *t, const uint8_t *payload)
{
    static const struct softhv_trace_bit info[] = {{HV_X64_IO_PORT_STRING_OP, "STRING_OP"},
                                                   {HV_X64_IO_PORT_REP_PREFIX, "REP_PREFIX"}};
    struct hv_x64_io_port_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    add_access(t, payload);
    softhv_trace_hex(t, "port_number", m.port_number);
    softhv_trace_dec(t, "access_size", m.access_info & HV_X64_IO_PORT_ACCESS_SIZE_MASK);
    softhv_trace_bits(t, "access_info", info, COUNT(info), m.access_info & ~HV_X64_IO_PORT_ACCESS_SIZE_MASK);
    softhv_trace_hex(t, "rax", m.rax);
    if ((m.access_info & HV_X64_IO_PORT_STRING_OP) != 0) {
        softhv_trace_hex(t, "rcx", m.rcx);
        softhv_trace_hex(t, "rsi", m.rsi);
        softhv_trace_hex(t, "rdi", m.rdi);
        softhv_trace_segment(t, "ds", &m.ds_segment);
        softhv_trace_segment(t, "es", &m.es_segment);
    }
    add_instruction(t, m.instruction_bytes, m.instruction_byte_count);
    add_header(t, payload);
}

static void add_msr(struct text *t, const uint8_t *payload)
{
    struct hv_x64_msr_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    add_access(t, payload);
    softhv_trace_hex(t, "msr_number", m.msr_number);
    softhv_trace_hex(t, "rdx", m.rdx);
    softhv_trace_hex(t, "rax", m.rax);
    add_header(t, payload);
}

static void add_cpuid(struct text *t, const uint8_t *payload)
{
    struct hv_x64_cpuid_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_hex(t, "rax", m.rax);
    softhv_trace_hex(t, "rcx", m.rcx);
    softhv_trace_hex(t, "default_result_rax", m.default_result_rax);
    softhv_trace_hex(t, "default_result_rbx", m.default_result_rbx);
    softhv_trace_hex(t, "default_result_rcx", m.default_result_rcx);
    softhv_trace_hex(t, "default_result_rdx", m.default_result_rdx);
    add_header(t, payload);
}

static void add_exception(struct text *t, const uint8_t *payload)
{
    static const struct softhv_trace_bit info[] = {{HV_X64_EXCEPTION_ERROR_CODE_VALID, "ERROR_CODE_VALID"},
                                                   {HV_X64_EXCEPTION_SOFTWARE_EXCEPTION, "SOFTWARE_EXCEPTION"}};
    struct hv_x64_exception_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "exception_vector", m.exception_vector);
    softhv_trace_bits(t, "exception_info", info, COUNT(info), m.exception_info);
    softhv_trace_hex(t, "error_code", m.error_code);
    softhv_trace_hex(t, "exception_parameter", m.exception_parameter);
    add_instruction(t, m.instruction_bytes, m.instruction_byte_count);
    add_header(t, payload);
}

static void add_call(struct text *t, const uint8_t *payload)
{
    struct hv_x64_hypercall_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    bool wide = (m.header.execution_state & HV_X64_EXECUTION_EFER_LMA) != 0;
    uint64_t code = (wide ? m.rcx : m.rax) & HV_CONTROL_CODE_MASK;
    softhv_trace_name(t, "code", mshv_name_hvcall((uint32_t)code), code);
    softhv_trace_hex(t, "rax", m.rax);
    softhv_trace_hex(t, "rbx", m.rbx);
    softhv_trace_hex(t, "rcx", m.rcx);
    softhv_trace_hex(t, "rdx", m.rdx);
    softhv_trace_hex(t, "r8", m.r8);
    softhv_trace_hex(t, "rsi", m.rsi);
    softhv_trace_hex(t, "rdi", m.rdi);
    add_header(t, payload);
}

static void add_register(struct text *t, const uint8_t *payload)
{
    struct hv_x64_register_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    add_access(t, payload);
    softhv_trace_name(t, "register_name", mshv_name_register(m.register_name), m.register_name);
    softhv_trace_hex(t, "flags", m.flags);
    softhv_trace_hex(t, "access_info", m.access_info[0]);
    add_header(t, payload);
}

static void add_deliverable(struct text *t, const uint8_t *payload)
{
    static const char *const names[] = {[HV_DELIVERABLE_INTERRUPT] = "interrupt",
                                        [HV_DELIVERABLE_NMI] = "nmi",
                                        [HV_DELIVERABLE_EXCEPTION] = "exception"};
    struct hv_x64_interruption_deliverable_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_name(t, "deliverable_type", m.deliverable_type < COUNT(names) ? names[m.deliverable_type] : NULL,
                      m.deliverable_type);
    add_header(t, payload);
}

static void add_sints(struct text *t, const uint8_t *payload)
{
    struct hv_x64_sint_deliverable_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_hex(t, "deliverable_sints", m.deliverable_sints);
    add_header(t, payload);
}

static void add_sipi(struct text *t, const uint8_t *payload)
{
    struct hv_x64_sipi_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "target_vp_index", m.target_vp_index);
    softhv_trace_hex(t, "vector", m.vector);
    add_header(t, payload);
}

static void add_eoi(struct text *t, const uint8_t *payload)
{
    struct hv_x64_apic_eoi_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "vp_index", m.vp_index);
    softhv_trace_hex(t, "interrupt_vector", m.interrupt_vector);
}

static void add_invalid(struct text *t, const uint8_t *payload)
{
    struct hv_x64_invalid_vp_register_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "vp_index", m.vp_index);
}

static void add_unsupported(struct text *t, const uint8_t *payload)
{
    struct hv_x64_unsupported_feature_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "vp_index", m.vp_index);
    softhv_trace_hex(t, "feature_code", m.feature_code);
    softhv_trace_hex(t, "feature_parameter", m.feature_parameter);
}

static void add_timer(struct text *t, const uint8_t *payload)
{
    struct hv_timer_message_payload m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "timer_index", m.timer_index);
    softhv_trace_hex(t, "expiration_time", m.expiration_time);
    softhv_trace_hex(t, "delivery_time", m.delivery_time);
}

static void add_attribute(struct text *t, const uint8_t *payload)
{
    struct hv_x64_gpa_attribute_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_dec(t, "vp_index", m.vp_index);
    softhv_trace_hex(t, "attributes", m.attributes);
    softhv_trace_hex(t, "range", m.ranges[0]);
}

static void add_vmgexit(struct text *t, const uint8_t *payload)
{
    struct hv_x64_vmgexit_intercept_message m;
    memcpy(&m, payload, sizeof(m));
    softhv_trace_hex(t, "ghcb_msr", m.ghcb_msr);
    softhv_trace_hex(t, "sw_exit_code", m.sw_exit_code);
    softhv_trace_hex(t, "sw_exit_info1", m.sw_exit_info1);
    softhv_trace_hex(t, "sw_exit_info2", m.sw_exit_info2);
    add_header(t, payload);
}

static const struct {
    uint32_t type;
    void (*add)(struct text *t, const uint8_t *payload);
} payloads[] = {
    {HVMSG_UNMAPPED_GPA, add_memory},
    {HVMSG_GPA_INTERCEPT, add_memory},
    {HVMSG_UNACCEPTED_GPA, add_memory},
    {HVMSG_GPA_ATTRIBUTE_INTERCEPT, add_attribute},
    {HVMSG_TIMER_EXPIRED, add_timer},
    {HVMSG_INVALID_VP_REGISTER_VALUE, add_invalid},
    {HVMSG_UNRECOVERABLE_EXCEPTION, add_header},
    {HVMSG_UNSUPPORTED_FEATURE, add_unsupported},
    {HVMSG_HYPERCALL_INTERCEPT, add_call},
    {HVMSG_SYNIC_SINT_DELIVERABLE, add_sints},
    {HVMSG_X64_IO_PORT_INTERCEPT, add_port},
    {HVMSG_X64_MSR_INTERCEPT, add_msr},
    {HVMSG_X64_CPUID_INTERCEPT, add_cpuid},
    {HVMSG_X64_EXCEPTION_INTERCEPT, add_exception},
    {HVMSG_X64_APIC_EOI, add_eoi},
    {HVMSG_X64_REGISTER_INTERCEPT, add_register},
    {HVMSG_X64_HALT, add_header},
    {HVMSG_X64_INTERRUPTION_DELIVERABLE, add_deliverable},
    {HVMSG_X64_SIPI_INTERCEPT, add_sipi},
    {HVMSG_X64_SEV_VMGEXIT_INTERCEPT, add_vmgexit},
};

void softhv_trace_message(struct text *t, const struct hv_message *message)
{
    uint32_t type = message->header.message_type;
    softhv_trace_name(t, "message_type", mshv_name_message(type), type);
    for (size_t i = 0; i < COUNT(payloads); i++)
        if (payloads[i].type == type)
            payloads[i].add(t, message->payload);
}
