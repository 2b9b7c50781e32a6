/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/mshv/names.h"

/* What a decoder works on: the message is only read, complaints are collected in `wrong`. */
struct work {
    const struct hv_message *message;
    uint32_t vp_index;
    struct mshv_exit *exit;
    const char *wrong; /* the field that is, NULL so far */
};

typedef void decode_fn(struct work *w);

static void demand(struct work *w, bool holds, const char *what)
{
    if (!holds && w->wrong == NULL) {
        w->wrong = what;
    }
}

/* The payload, copied: it lies in bytes without a type. */
#define PAYLOAD(w, name, type)                                                                                         \
    struct type name;                                                                                                  \
    memcpy(&(name), (w)->message->payload, sizeof(name))

static void decode_header(struct work *w, const struct hv_x64_intercept_message_header *header)
{
    struct mshv_exit *exit = w->exit;
    demand(w, header->vp_index == w->vp_index, "vp_index");
    demand(w, header->intercept_access_type <= HV_INTERCEPT_ACCESS_EXECUTE, "intercept_access_type");
    exit->access = (enum hv_intercept_access)header->intercept_access_type;
    exit->instruction_length = header->instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK;
    exit->cr8 = header->instruction_length_cr8 >> HV_X64_INTERCEPT_CR8_SHIFT;
    exit->cpl = header->execution_state & HV_X64_EXECUTION_CPL_MASK;
    exit->long_mode = (header->execution_state & HV_X64_EXECUTION_EFER_LMA) != 0;
    exit->protected_mode = (header->execution_state & HV_X64_EXECUTION_CR0_PE) != 0;
    exit->interrupt_shadow = (header->execution_state & HV_X64_EXECUTION_INTERRUPT_SHADOW) != 0;
    exit->interruption_pending = (header->execution_state & HV_X64_EXECUTION_INTERRUPTION_PENDING) != 0;
    exit->cs = header->cs_segment;
    exit->rip = header->rip;
    exit->rflags = header->rflags;
}

static void decode_bytes(struct work *w, uint8_t count, const uint8_t bytes[HV_INSTRUCTION_BYTES])
{
    demand(w, count <= HV_INSTRUCTION_BYTES, "instruction_byte_count");
    if (count <= HV_INSTRUCTION_BYTES) {
        w->exit->instruction_bytes_count = count;
        memcpy(w->exit->instruction_bytes, bytes, count);
    }
}

static void decode_memory(struct work *w)
{
    PAYLOAD(w, m, hv_x64_memory_intercept_message);
    struct mshv_exit_memory *memory = &w->exit->u.memory;
    decode_header(w, &m.header);
    decode_bytes(w, m.instruction_byte_count, m.instruction_bytes);
    memory->unmapped = w->exit->type == HVMSG_UNMAPPED_GPA;
    memory->gva_valid = (m.memory_access_info & HV_X64_MEMORY_ACCESS_GVA_VALID) != 0;
    memory->gva_gpa_valid = memory->gva_valid && (m.memory_access_info & HV_X64_MEMORY_ACCESS_GVA_GPA_VALID) != 0;
    memory->cache_type = (enum hv_cache_type)m.cache_type;
    memory->gva = gva_make(m.guest_virtual_address);
    memory->gpa = gpa_make(m.guest_physical_address);
    if (memory->gva_gpa_valid) {
        /* The hypervisor may round the address down to its page; the other one never is. */
        memory->gpa.value = gpa_page_number(memory->gpa) << GUEST_PAGE_SHIFT | gva_page_offset(memory->gva);
    }
}

static void decode_io_port(struct work *w)
{
    PAYLOAD(w, m, hv_x64_io_port_intercept_message);
    struct mshv_exit_io_port *io = &w->exit->u.io;
    decode_header(w, &m.header);
    decode_bytes(w, m.instruction_byte_count, m.instruction_bytes);
    io->port = m.port_number;
    io->size = m.access_info & HV_X64_IO_PORT_ACCESS_SIZE_MASK;
    io->write = w->exit->access == HV_INTERCEPT_ACCESS_WRITE;
    io->string = (m.access_info & HV_X64_IO_PORT_STRING_OP) != 0;
    io->rep = (m.access_info & HV_X64_IO_PORT_REP_PREFIX) != 0;
    io->ds = m.ds_segment;
    io->es = m.es_segment;
    io->rax = m.rax;
    io->rcx = m.rcx;
    io->rsi = m.rsi;
    io->rdi = m.rdi;
    demand(w, io->size == 1 || io->size == 2 || io->size == 4, "access_size");
    demand(w, w->exit->access != HV_INTERCEPT_ACCESS_EXECUTE, "intercept_access_type");
    /* Without it the port access would be made again and again. An element of a string may leave RIP where it is. */
    demand(w, io->string || w->exit->instruction_length != 0, "instruction_length");
}

static void decode_msr(struct work *w)
{
    PAYLOAD(w, m, hv_x64_msr_intercept_message);
    decode_header(w, &m.header);
    demand(w, w->exit->access != HV_INTERCEPT_ACCESS_EXECUTE, "intercept_access_type");
    w->exit->u.msr.index = m.msr_number;
    w->exit->u.msr.value = m.rdx << 32 | (m.rax & UINT32_MAX);
}

static void decode_cpuid(struct work *w)
{
    PAYLOAD(w, m, hv_x64_cpuid_intercept_message);
    decode_header(w, &m.header);
    w->exit->u.cpuid.eax = (uint32_t)m.rax;
    w->exit->u.cpuid.ecx = (uint32_t)m.rcx;
    w->exit->u.cpuid.result = (struct hv_cpuid_result){
        .eax = (uint32_t)m.default_result_rax,
        .ebx = (uint32_t)m.default_result_rbx,
        .ecx = (uint32_t)m.default_result_rcx,
        .edx = (uint32_t)m.default_result_rdx,
    };
}

static void decode_exception(struct work *w)
{
    PAYLOAD(w, m, hv_x64_exception_intercept_message);
    decode_header(w, &m.header);
    decode_bytes(w, m.instruction_byte_count, m.instruction_bytes);
    demand(w, m.exception_vector < 32, "exception_vector");
    w->exit->u.exception.vector = (uint8_t)m.exception_vector;
    w->exit->u.exception.has_error_code = (m.exception_info & HV_X64_EXCEPTION_ERROR_CODE_VALID) != 0;
    w->exit->u.exception.error_code = m.error_code;
    w->exit->u.exception.parameter = m.exception_parameter;
}

static void decode_header_only(struct work *w)
{
    PAYLOAD(w, m, hv_x64_header_only_message);
    decode_header(w, &m.header);
}

static void decode_eoi(struct work *w)
{
    PAYLOAD(w, m, hv_x64_apic_eoi_message);
    demand(w, m.vp_index == w->vp_index, "vp_index");
    demand(w, m.interrupt_vector <= UINT8_MAX, "interrupt_vector");
    w->exit->u.eoi.vector = (uint8_t)m.interrupt_vector;
}

static void decode_sipi(struct work *w)
{
    PAYLOAD(w, m, hv_x64_sipi_intercept_message);
    decode_header(w, &m.header);
    demand(w, m.target_vp_index < MSHV_MAX_VPS, "target_vp_index");
    demand(w, m.vector <= UINT8_MAX, "vector");
    w->exit->u.sipi.vp_index = m.target_vp_index;
    w->exit->u.sipi.vector = (uint8_t)m.vector;
}

static void decode_deliverable(struct work *w)
{
    PAYLOAD(w, m, hv_x64_interruption_deliverable_message);
    decode_header(w, &m.header);
    demand(w, m.deliverable_type <= HV_DELIVERABLE_EXCEPTION && m.deliverable_type != 1, "deliverable_type");
    w->exit->u.deliverable.type = (enum hv_deliverable_type)m.deliverable_type;
}

static void decode_sint_deliverable(struct work *w)
{
    PAYLOAD(w, m, hv_x64_sint_deliverable_message);
    decode_header(w, &m.header);
    w->exit->u.sint_deliverable.sints = m.deliverable_sints;
}

static void decode_hypercall(struct work *w)
{
    PAYLOAD(w, m, hv_x64_hypercall_intercept_message);
    decode_header(w, &m.header);
    w->exit->u.hypercall.rax = m.rax;
    w->exit->u.hypercall.rbx = m.rbx;
    w->exit->u.hypercall.rcx = m.rcx;
    w->exit->u.hypercall.rdx = m.rdx;
    w->exit->u.hypercall.r8 = m.r8;
    w->exit->u.hypercall.rsi = m.rsi;
    w->exit->u.hypercall.rdi = m.rdi;
}

static void decode_invalid_register(struct work *w)
{
    PAYLOAD(w, m, hv_x64_invalid_vp_register_message);
    demand(w, m.vp_index == w->vp_index, "vp_index");
}

static void decode_unsupported(struct work *w)
{
    PAYLOAD(w, m, hv_x64_unsupported_feature_message);
    demand(w, m.vp_index == w->vp_index, "vp_index");
    w->exit->u.unsupported.code = m.feature_code;
    w->exit->u.unsupported.parameter = m.feature_parameter;
}

static const struct message_type {
    uint32_t type;
    enum mshv_exit_kind kind;
    uint8_t bytes; /* of the payload that are looked at */
    decode_fn *decode;
} types[] = {
    {HVMSG_UNMAPPED_GPA, MSHV_EXIT_MEMORY, sizeof(struct hv_x64_memory_intercept_message), decode_memory},
    {HVMSG_GPA_INTERCEPT, MSHV_EXIT_MEMORY, sizeof(struct hv_x64_memory_intercept_message), decode_memory},
    {HVMSG_X64_IO_PORT_INTERCEPT, MSHV_EXIT_IO_PORT, sizeof(struct hv_x64_io_port_intercept_message), decode_io_port},
    {HVMSG_X64_APIC_EOI, MSHV_EXIT_APIC_EOI, sizeof(struct hv_x64_apic_eoi_message), decode_eoi},
    {HVMSG_X64_MSR_INTERCEPT, MSHV_EXIT_MSR, sizeof(struct hv_x64_msr_intercept_message), decode_msr},
    {HVMSG_X64_CPUID_INTERCEPT, MSHV_EXIT_CPUID, sizeof(struct hv_x64_cpuid_intercept_message), decode_cpuid},
    {HVMSG_X64_EXCEPTION_INTERCEPT, MSHV_EXIT_EXCEPTION, sizeof(struct hv_x64_exception_intercept_message),
     decode_exception},
    {HVMSG_UNRECOVERABLE_EXCEPTION, MSHV_EXIT_TRIPLE_FAULT, sizeof(struct hv_x64_header_only_message),
     decode_header_only},
    {HVMSG_X64_HALT, MSHV_EXIT_HALT, sizeof(struct hv_x64_header_only_message), decode_header_only},
    {HVMSG_X64_SIPI_INTERCEPT, MSHV_EXIT_SIPI, sizeof(struct hv_x64_sipi_intercept_message), decode_sipi},
    {HVMSG_X64_INTERRUPTION_DELIVERABLE, MSHV_EXIT_DELIVERABLE, sizeof(struct hv_x64_interruption_deliverable_message),
     decode_deliverable},
    {HVMSG_SYNIC_SINT_DELIVERABLE, MSHV_EXIT_SINT_DELIVERABLE, sizeof(struct hv_x64_sint_deliverable_message),
     decode_sint_deliverable},
    {HVMSG_HYPERCALL_INTERCEPT, MSHV_EXIT_HYPERCALL, HV_X64_HYPERCALL_INTERCEPT_MIN_BYTES, decode_hypercall},
    {HVMSG_INVALID_VP_REGISTER_VALUE, MSHV_EXIT_INVALID_REGISTER, sizeof(struct hv_x64_invalid_vp_register_message),
     decode_invalid_register},
    {HVMSG_UNSUPPORTED_FEATURE, MSHV_EXIT_UNSUPPORTED, sizeof(struct hv_x64_unsupported_feature_message),
     decode_unsupported},
    {HVMSG_NONE, MSHV_EXIT_NONE, 0, NULL},
};

static const struct message_type *find_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type == type) {
            return &types[i];
        }
    }
    return NULL;
}

static int refuse(const struct hv_message *message, const char *field, struct err *err)
{
    const char *name = mshv_name_message(message->header.message_type);
    char number[32];
    snprintf(number, sizeof number, "0x%08x", message->header.message_type);
    const struct err_context context = {"understand a message from the hypervisor, type", name != NULL ? name : number,
                                        "report this with the versions of kernel and hypervisor"};
    return err_fail_because(err, -EPROTO, &context, "its field %s has a value that the interface does not know", field);
}

int mshv_message_decode(const struct hv_message *message, uint32_t vp_index, struct mshv_exit *exit, struct err *err)
{
    const struct message_type *type = find_type(message->header.message_type);
    const uint8_t bytes = message->header.payload_size;
    *exit = (struct mshv_exit){
        .kind = type != NULL ? type->kind : MSHV_EXIT_OTHER,
        .type = message->header.message_type,
    };
    if (type == NULL || type->decode == NULL) {
        return 0;
    }
    /* uncertain: whether the field is always filled; nobody else reads it, so 0 passes for "not said". */
    if (bytes > HV_MESSAGE_PAYLOAD_BYTES || (bytes != 0 && bytes < type->bytes)) {
        return refuse(message, "payload_size", err);
    }
    struct work w = {.message = message, .vp_index = vp_index, .exit = exit};
    type->decode(&w);
    return w.wrong != NULL ? refuse(message, w.wrong, err) : 0;
}

const char *mshv_exit_name(enum mshv_exit_kind kind)
{
    static const char *const names[MSHV_EXIT_KIND_COUNT] = {
        [MSHV_EXIT_NONE] = "nothing",
        [MSHV_EXIT_MEMORY] = "memory access",
        [MSHV_EXIT_IO_PORT] = "port access",
        [MSHV_EXIT_MSR] = "access to an MSR",
        [MSHV_EXIT_CPUID] = "CPUID",
        [MSHV_EXIT_EXCEPTION] = "exception",
        [MSHV_EXIT_TRIPLE_FAULT] = "triple fault",
        [MSHV_EXIT_HALT] = "halt",
        [MSHV_EXIT_APIC_EOI] = "end of interrupt",
        [MSHV_EXIT_SIPI] = "start of a processor",
        [MSHV_EXIT_DELIVERABLE] = "interrupt deliverable",
        [MSHV_EXIT_SINT_DELIVERABLE] = "synthetic interrupt deliverable",
        [MSHV_EXIT_HYPERCALL] = "hypercall",
        [MSHV_EXIT_INVALID_REGISTER] = "invalid register value",
        [MSHV_EXIT_UNSUPPORTED] = "unsupported feature",
        [MSHV_EXIT_OTHER] = "a message of another type",
    };
    return (unsigned)kind < MSHV_EXIT_KIND_COUNT ? names[kind] : "no exit";
}
