/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Encoders of intercept messages. A payload is built as a struct on the stack and copied, so that padding and what lies
 * behind it are zero.
 */
#include "vmm/softhv/intercept.h"

#include <string.h>

#include "vmm/softhv/regs.h"
#include "vmm/x86/core.h" /* bits of control registers */

#define DR7_BREAKPOINTS UINT64_C(0xff)
#define NO_LENGTH       0u

/* ---- What messages have in common ---- */

static void finish(struct hv_message *out, uint32_t type, const void *payload, size_t bytes)
{
    memset(out, 0, sizeof(*out));
    out->header.message_type = type;
    out->header.payload_size = (uint8_t)bytes;
    memcpy(out->payload, payload, bytes);
}

/* Virtual-8086 mode is not built; in real mode the level is 0. */
static unsigned cpl(const struct x86_state *s)
{
    return s->cr0 & X86_CR0_PE ? (s->seg[X86_SS].attr & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT : 0;
}

/* uncertain: debug_active is taken to mean that DR7 arms a breakpoint. */
uint16_t softhv_execution_state(const struct x86_state *s)
{
    unsigned state = cpl(s);
    state |= s->cr0 & X86_CR0_PE ? HV_X64_EXECUTION_CR0_PE : 0;
    state |= s->cr0 & X86_CR0_AM ? HV_X64_EXECUTION_CR0_AM : 0;
    state |= s->efer & X86_EFER_LMA ? HV_X64_EXECUTION_EFER_LMA : 0;
    state |= s->dr7 & DR7_BREAKPOINTS ? HV_X64_EXECUTION_DEBUG_ACTIVE : 0;
    state |= s->pending.kind != X86_EV_NONE ? HV_X64_EXECUTION_INTERRUPTION_PENDING : 0;
    state |= s->shadow_sti || s->shadow_ss ? HV_X64_EXECUTION_INTERRUPT_SHADOW : 0;
    return (uint16_t)state;
}

static unsigned length_of(const struct softhv_exit *e)
{
    return e->insn != NULL ? e->insn->len : NO_LENGTH;
}

static struct hv_x64_intercept_message_header header(const struct softhv_exit *e, enum hv_intercept_access access,
                                                     unsigned length)
{
    return (struct hv_x64_intercept_message_header){
        .vp_index = e->vp_index,
        .instruction_length_cr8 =
            (uint8_t)((length & HV_X64_INTERCEPT_LENGTH_MASK) | (e->cr8 & 15u) << HV_X64_INTERCEPT_CR8_SHIFT),
        .intercept_access_type = (uint8_t)access,
        .execution_state = softhv_execution_state(e->state),
        .cs_segment = softhv_regs_segment(&e->state->seg[X86_CS]),
        .rip = e->state->rip,
        .rflags = e->state->rflags,
    };
}

/* Returns how many. */
static uint8_t put_bytes(const struct softhv_exit *e, uint8_t out[HV_INSTRUCTION_BYTES])
{
    uint8_t n = e->byte_count <= HV_INSTRUCTION_BYTES ? e->byte_count : HV_INSTRUCTION_BYTES;
    if (n != 0)
        memcpy(out, e->bytes, n);
    return n;
}

/* ---- Memory ---- */

static enum hv_intercept_access memory_access(uint8_t kind)
{
    switch (kind) {
    case X86_ACCESS_WRITE: return HV_INTERCEPT_ACCESS_WRITE;
    case X86_ACCESS_FETCH: return HV_INTERCEPT_ACCESS_EXECUTE;
    default: return HV_INTERCEPT_ACCESS_READ;
    }
}

static unsigned address_validity(const struct x86_mem_access *a)
{
    if (!a->has_gva)
        return 0;
    return HV_X64_MEMORY_ACCESS_GVA_VALID | (a->walk ? 0 : HV_X64_MEMORY_ACCESS_GVA_GPA_VALID);
}

/* uncertain: the header has the instruction's length where it is known; no client looks at it. */
void softhv_msg_memory(const struct softhv_exit *e, const struct softhv_memory_exit *m, struct hv_message *out)
{
    struct hv_x64_memory_intercept_message p = {
        .header = header(e, memory_access(m->access.kind), length_of(e)),
        .cache_type = m->cache_type,
        .memory_access_info = (uint8_t)address_validity(&m->access),
        .tpr_priority = e->cr8 & 15u,
        .guest_virtual_address = m->access.has_gva ? m->access.gva : 0,
        .guest_physical_address = m->access.gpa,
    };
    p.instruction_byte_count = put_bytes(e, p.instruction_bytes);
    finish(out, m->mapped ? HVMSG_GPA_INTERCEPT : HVMSG_UNMAPPED_GPA, &p, sizeof(p));
}

/* ---- Ports ---- */

static bool is_string(const struct x86_insn *in)
{
    return in != NULL && (in->op == X86_OP_INS || in->op == X86_OP_OUTS);
}

static unsigned port_info(const struct softhv_exit *e, const struct softhv_port_exit *p)
{
    bool string = is_string(e->insn);
    bool rep = string && !p->by_element && (e->insn->flags & (X86_IF_REP | X86_IF_REPNE)) != 0;
    return (p->size & HV_X64_IO_PORT_ACCESS_SIZE_MASK) | (string ? HV_X64_IO_PORT_STRING_OP : 0) |
           (rep ? HV_X64_IO_PORT_REP_PREFIX : 0);
}

/* uncertain: an override of OUTS's segment is reported by putting that segment in the place of DS. */
static const struct x86_seg *source_segment(const struct softhv_exit *e)
{
    bool overridden = is_string(e->insn) && e->insn->op == X86_OP_OUTS && e->insn->seg < X86_LDTR;
    return &e->state->seg[overridden ? e->insn->seg : X86_DS];
}

void softhv_msg_port(const struct softhv_exit *e, const struct softhv_port_exit *p, struct hv_message *out)
{
    const struct x86_state *s = e->state;
    unsigned length = p->by_element && p->more ? NO_LENGTH : length_of(e);
    struct hv_x64_io_port_intercept_message m = {
        .header = header(e, p->write ? HV_INTERCEPT_ACCESS_WRITE : HV_INTERCEPT_ACCESS_READ, length),
        .port_number = p->port,
        .access_info = (uint8_t)port_info(e, p),
        .rax = s->gpr[X86_RAX],
        .ds_segment = softhv_regs_segment(source_segment(e)),
        .es_segment = softhv_regs_segment(&s->seg[X86_ES]),
        .rcx = s->gpr[X86_RCX],
        .rsi = s->gpr[X86_RSI],
        .rdi = s->gpr[X86_RDI],
    };
    m.instruction_byte_count = put_bytes(e, m.instruction_bytes);
    finish(out, HVMSG_X64_IO_PORT_INTERCEPT, &m, sizeof(m));
}

/* ---- MSRs, CPUID, exceptions, hypercalls ---- */

void softhv_msg_msr(const struct softhv_exit *e, uint32_t msr, bool write, struct hv_message *out)
{
    struct hv_x64_msr_intercept_message m = {
        .header = header(e, write ? HV_INTERCEPT_ACCESS_WRITE : HV_INTERCEPT_ACCESS_READ, length_of(e)),
        .msr_number = msr,
        .rdx = e->state->gpr[X86_RDX],
        .rax = e->state->gpr[X86_RAX],
    };
    finish(out, HVMSG_X64_MSR_INTERCEPT, &m, sizeof(m));
}

/* uncertain: the access type of instructions that access nothing; execute seems to fit. */
void softhv_msg_cpuid(const struct softhv_exit *e, const struct x86_cpuid_regs *result, struct hv_message *out)
{
    const uint64_t *gpr = e->state->gpr;
    struct hv_x64_cpuid_intercept_message m = {
        .header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, length_of(e)),
        .rax = gpr[X86_RAX],
        .rcx = gpr[X86_RCX],
        .rdx = gpr[X86_RDX],
        .rbx = gpr[X86_RBX],
        .default_result_rax = result->eax,
        .default_result_rcx = result->ecx,
        .default_result_rdx = result->edx,
        .default_result_rbx = result->ebx,
    };
    finish(out, HVMSG_X64_CPUID_INTERCEPT, &m, sizeof(m));
}

static uint64_t exception_parameter(const struct x86_event *ev)
{
    switch (ev->vector) {
    case X86_PF: return ev->cr2;
    case X86_DB: return ev->dr6;
    default: return 0;
    }
}

void softhv_msg_exception(const struct softhv_exit *e, const struct x86_event *ev, struct hv_message *out)
{
    bool software = ev->kind == X86_EV_SOFT_EXCEPTION || ev->kind == X86_EV_PRIV_EXCEPTION;
    struct hv_x64_exception_intercept_message m = {
        .header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, length_of(e)),
        .exception_vector = ev->vector,
        .exception_info = (uint8_t)((ev->has_error ? HV_X64_EXCEPTION_ERROR_CODE_VALID : 0) |
                                    (software ? HV_X64_EXCEPTION_SOFTWARE_EXCEPTION : 0)),
        .error_code = ev->has_error ? ev->error : 0,
        .exception_parameter = exception_parameter(ev),
        .ds_segment = softhv_regs_segment(&e->state->seg[X86_DS]),
        .ss_segment = softhv_regs_segment(&e->state->seg[X86_SS]),
    };
    m.instruction_byte_count = put_bytes(e, m.instruction_bytes);
    memcpy(m.gpr, e->state->gpr, sizeof(m.gpr));
    finish(out, HVMSG_X64_EXCEPTION_INTERCEPT, &m, sizeof(m));
}

/* uncertain: 196 bytes, or more with reserved ones behind; a client cannot tell, the rest is zero. */
void softhv_msg_hypercall(const struct softhv_exit *e, struct hv_message *out)
{
    const struct x86_state *s = e->state;
    struct hv_x64_hypercall_intercept_message m = {
        .header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, length_of(e)),
        .rax = s->gpr[X86_RAX],
        .rbx = s->gpr[X86_RBX],
        .rcx = s->gpr[X86_RCX],
        .rdx = s->gpr[X86_RDX],
        .r8 = s->gpr[8],
        .rsi = s->gpr[X86_RSI],
        .rdi = s->gpr[X86_RDI],
    };
    for (unsigned i = 0; i < 6; i++)
        memcpy(m.xmm[i], s->fpu.vec[i], sizeof(m.xmm[i]));
    finish(out, HVMSG_HYPERCALL_INTERCEPT, &m, HV_X64_HYPERCALL_INTERCEPT_MIN_BYTES);
}

/* ---- Header only, or little more ---- */

static void header_only(const struct softhv_exit *e, uint32_t type, struct hv_message *out)
{
    struct hv_x64_header_only_message m = {.header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, length_of(e))};
    finish(out, type, &m, sizeof(m));
}

void softhv_msg_unrecoverable(const struct softhv_exit *e, struct hv_message *out)
{
    header_only(e, HVMSG_UNRECOVERABLE_EXCEPTION, out);
}

void softhv_msg_halt(const struct softhv_exit *e, struct hv_message *out)
{
    header_only(e, HVMSG_X64_HALT, out);
}

void softhv_msg_deliverable(const struct softhv_exit *e, enum hv_deliverable_type type, struct hv_message *out)
{
    struct hv_x64_interruption_deliverable_message m = {.header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, NO_LENGTH),
                                                        .deliverable_type = type};
    finish(out, HVMSG_X64_INTERRUPTION_DELIVERABLE, &m, sizeof(m));
}

void softhv_msg_sint_deliverable(const struct softhv_exit *e, uint16_t sints, struct hv_message *out)
{
    struct hv_x64_sint_deliverable_message m = {.header = header(e, HV_INTERCEPT_ACCESS_EXECUTE, NO_LENGTH),
                                                .deliverable_sints = sints};
    finish(out, HVMSG_SYNIC_SINT_DELIVERABLE, &m, sizeof(m));
}

void softhv_msg_apic_eoi(uint32_t vp_index, uint8_t vector, struct hv_message *out)
{
    struct hv_x64_apic_eoi_message m = {.vp_index = vp_index, .interrupt_vector = vector};
    finish(out, HVMSG_X64_APIC_EOI, &m, sizeof(m));
}

void softhv_msg_invalid_state(uint32_t vp_index, struct hv_message *out)
{
    struct hv_x64_invalid_vp_register_message m = {.vp_index = vp_index};
    finish(out, HVMSG_INVALID_VP_REGISTER_VALUE, &m, sizeof(m));
}

void softhv_msg_unsupported(uint32_t vp_index, enum hv_unsupported_feature code, uint64_t parameter,
                            struct hv_message *out)
{
    struct hv_x64_unsupported_feature_message m = {
        .vp_index = vp_index, .feature_code = code, .feature_parameter = parameter};
    finish(out, HVMSG_UNSUPPORTED_FEATURE, &m, sizeof(m));
}
