/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hypercalls in a line of the trace. Source: TLFS, hypercall reference; abi_hvcall.h.
 *
 * The input is looked at as the hypervisor sees it: a page with zeros behind what the client gave. Of the output only
 * what the client gets counts. Elements are bounded by both, and by MAX_ELEMENTS.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/mshv/names.h"
#include "vmm/softhv/trace.h"
#include "vmm/softhv/trace_int.h"

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define MAX_ELEMENTS 32u
#define MAX_STATES   32u

struct call {
    uint8_t in[MSHV_HVCALL_MAX_IN];
    size_t in_bytes;
    const uint8_t *out; /* NULL: none */
    size_t out_bytes;
    uint16_t reps;
    uint16_t done;
    bool answered;
};

/* The input as a structure. */
#define LOAD(structure, call) memcpy(&(structure), (call)->in, sizeof(structure))

/* The output as a structure; false if the client gets less than that. */
#define LOAD_OUT(structure, call) load_out(&(structure), sizeof(structure), call)

static bool load_out(void *to, size_t bytes, const struct call *c)
{
    if (c->out == NULL || c->out_bytes < bytes)
        return false;
    memcpy(to, c->out, bytes);
    return true;
}

/* How many of `count` elements to show. The first lies at `first`, each has `size` bytes, there are `bytes` in all. */
static size_t shown(size_t count, size_t first, size_t size, size_t bytes)
{
    size_t there = bytes > first ? (bytes - first) / size : 0;
    size_t most = there < MAX_ELEMENTS ? there : MAX_ELEMENTS;
    return count < most ? count : most;
}

static void add_vp(struct text *t, uint32_t vp_index)
{
    if (vp_index == HV_ANY_VP)
        softhv_trace_name(t, "vp_index", "HV_ANY_VP", vp_index);
    else
        softhv_trace_dec(t, "vp_index", vp_index);
}

/* ---- Properties ---- */

static void add_property(struct text *t, uint32_t code)
{
    softhv_trace_name(t, "property_code", mshv_name_property(code), code);
}

static void in_get_property(struct text *t, const struct call *c)
{
    struct hv_input_get_partition_property in;
    LOAD(in, c);
    add_property(t, in.property_code);
}

static void out_get_property(struct text *t, const struct call *c)
{
    struct hv_output_get_partition_property out;
    if (LOAD_OUT(out, c))
        softhv_trace_hex(t, "property_value", out.property_value);
}

static void in_set_property(struct text *t, const struct call *c)
{
    struct hv_input_set_partition_property in;
    LOAD(in, c);
    add_property(t, in.property_code);
    softhv_trace_hex(t, "property_value", in.property_value);
}

static void in_get_property_ex(struct text *t, const struct call *c)
{
    struct hv_input_get_partition_property_ex in;
    LOAD(in, c);
    add_property(t, in.property_code);
    softhv_trace_hex(t, "arg", in.arg);
}

static void out_get_property_ex(struct text *t, const struct call *c)
{
    struct {
        uint16_t bank_count;
        uint16_t reserved[3];
        uint64_t bank;
    } out;
    if (!LOAD_OUT(out, c))
        return;
    softhv_trace_dec(t, "bank_count", out.bank_count);
    softhv_trace_hex(t, "bank0", out.bank);
}

/* ---- Registers ---- */

static void add_register_head(struct text *t, const struct call *c)
{
    struct hv_input_vp_registers in;
    LOAD(in, c);
    add_vp(t, in.vp_index);
    if (in.input_vtl != 0)
        softhv_trace_hex(t, "input_vtl", in.input_vtl);
}

static void add_values(struct text *t, const struct call *c)
{
    const size_t head = sizeof(struct hv_input_vp_registers);
    size_t count = shown(c->reps, head, sizeof(uint32_t), c->in_bytes);
    size_t valued = shown(c->done, 0, sizeof(union hv_register_value), c->out != NULL ? c->out_bytes : 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t name;
        union hv_register_value value;
        memcpy(&name, c->in + head + i * sizeof(name), sizeof(name));
        if (i < valued)
            memcpy(&value, c->out + i * sizeof(value), sizeof(value));
        softhv_trace_register(t, name, i < valued ? &value : NULL);
    }
    if (count < c->reps)
        text_add(t, " ...");
}

/* The names alone are told only where no answer follows that repeats them. */
static void in_get_registers(struct text *t, const struct call *c)
{
    add_register_head(t, c);
    if (!c->answered)
        add_values(t, c);
}

static void in_set_registers(struct text *t, const struct call *c)
{
    const size_t head = sizeof(struct hv_input_vp_registers);
    size_t count = shown(c->reps, head, sizeof(struct hv_register_assoc), c->in_bytes);
    add_register_head(t, c);
    for (size_t i = 0; i < count; i++) {
        struct hv_register_assoc assoc;
        memcpy(&assoc, c->in + head + i * sizeof(assoc), sizeof(assoc));
        softhv_trace_register(t, assoc.name, &assoc.value);
    }
    if (count < c->reps)
        text_add(t, " ...");
}

/* ---- Memory ---- */

static void in_translate(struct text *t, const struct call *c)
{
    static const struct softhv_trace_bit flags[] = {
        {HV_TRANSLATE_GVA_VALIDATE_READ, "VALIDATE_READ"},
        {HV_TRANSLATE_GVA_VALIDATE_WRITE, "VALIDATE_WRITE"},
        {HV_TRANSLATE_GVA_VALIDATE_EXECUTE, "VALIDATE_EXECUTE"},
        {HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT, "PRIVILEGE_EXEMPT"},
        {HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS, "SET_PAGE_TABLE_BITS"},
        {HV_TRANSLATE_GVA_TLB_FLUSH_INHIBIT, "TLB_FLUSH_INHIBIT"},
        {HV_TRANSLATE_GVA_SUPERVISOR_ACCESS, "SUPERVISOR_ACCESS"},
        {HV_TRANSLATE_GVA_USER_ACCESS, "USER_ACCESS"},
        {HV_TRANSLATE_GVA_ENFORCE_SMAP, "ENFORCE_SMAP"},
        {HV_TRANSLATE_GVA_OVERRIDE_SMAP, "OVERRIDE_SMAP"},
        {HV_TRANSLATE_GVA_SHADOW_STACK, "SHADOW_STACK"},
    };
    struct hv_input_translate_virtual_address in;
    LOAD(in, c);
    add_vp(t, in.vp_index);
    softhv_trace_bits(t, "control_flags", flags, COUNT(flags), in.control_flags);
    softhv_trace_hex(t, "gva_page", in.gva_page);
}

static void out_translate(struct text *t, const struct call *c)
{
    struct hv_output_translate_virtual_address out;
    if (!LOAD_OUT(out, c))
        return;
    softhv_trace_name(t, "result_code", mshv_name_translation(out.result_code), out.result_code);
    softhv_trace_hex(t, "gpa_page", out.gpa_page);
    softhv_trace_hex(t, "attributes", out.attributes);
}

static size_t gpa_bytes(uint32_t count)
{
    return count < HV_READ_WRITE_GPA_MAX_BYTES ? count : HV_READ_WRITE_GPA_MAX_BYTES;
}

static void in_read_gpa(struct text *t, const struct call *c)
{
    struct hv_input_read_gpa in;
    LOAD(in, c);
    add_vp(t, in.vp_index);
    softhv_trace_hex(t, "base_gpa", in.base_gpa);
    softhv_trace_dec(t, "byte_count", in.byte_count);
    softhv_trace_hex(t, "control_flags", in.control_flags);
}

static void out_read_gpa(struct text *t, const struct call *c)
{
    struct hv_input_read_gpa in;
    struct hv_output_read_gpa out;
    LOAD(in, c);
    if (!LOAD_OUT(out, c))
        return;
    softhv_trace_name(t, "result_code", mshv_name_gpa_access(out.result_code), out.result_code);
    softhv_trace_bytes(t, "data", out.data, gpa_bytes(in.byte_count));
}

static void in_write_gpa(struct text *t, const struct call *c)
{
    struct hv_input_write_gpa in;
    LOAD(in, c);
    in_read_gpa(t, c); /* the same up to the data */
    softhv_trace_bytes(t, "data", in.data, gpa_bytes(in.byte_count));
}

static void out_write_gpa(struct text *t, const struct call *c)
{
    struct hv_output_write_gpa out;
    if (LOAD_OUT(out, c))
        softhv_trace_name(t, "result_code", mshv_name_gpa_access(out.result_code), out.result_code);
}

static void in_access_states(struct text *t, const struct call *c)
{
    static const struct softhv_trace_bit flags[] = {
        {HV_PAGE_ACCESS_CLEAR_ACCESSED, "CLEAR_ACCESSED"},
        {HV_PAGE_ACCESS_SET_ACCESSED, "SET_ACCESSED"},
        {HV_PAGE_ACCESS_CLEAR_DIRTY, "CLEAR_DIRTY"},
        {HV_PAGE_ACCESS_SET_DIRTY, "SET_DIRTY"},
    };
    struct hv_input_get_gpa_pages_access_state in;
    LOAD(in, c);
    softhv_trace_bits(t, "flags", flags, COUNT(flags), in.flags);
    softhv_trace_hex(t, "gpa_page_number", in.gpa_page_number);
}

static void out_access_states(struct text *t, const struct call *c)
{
    size_t count = shown(c->done, 0, 1, c->out != NULL ? c->out_bytes : 0);
    if (count == 0)
        return;
    softhv_trace_bytes(t, "states", c->out, count);
    if (count < c->done)
        text_add(t, "...");
}

/* ---- Interrupts and SynIC ---- */

static void in_assert(struct text *t, const struct call *c)
{
    static const struct softhv_trace_bit bits[] = {{HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED, "LEVEL_TRIGGERED"},
                                                   {HV_INTERRUPT_CONTROL_LOGICAL_DEST, "LOGICAL_DEST"}};
    struct hv_input_assert_virtual_interrupt in;
    LOAD(in, c);
    uint64_t type = in.control & HV_INTERRUPT_CONTROL_TYPE_MASK;
    softhv_trace_name(t, "type", mshv_name_interrupt((uint32_t)type), type);
    softhv_trace_bits(t, "control", bits, COUNT(bits), in.control & ~HV_INTERRUPT_CONTROL_TYPE_MASK);
    softhv_trace_hex(t, "dest_addr", in.dest_addr);
    softhv_trace_hex(t, "vector", in.vector);
    if (in.target_vtl != 0)
        softhv_trace_dec(t, "target_vtl", in.target_vtl);
}

static void in_signal(struct text *t, const struct call *c)
{
    struct hv_input_signal_event_direct in;
    LOAD(in, c);
    add_vp(t, in.target_vp);
    softhv_trace_dec(t, "target_sint", in.target_sint);
    softhv_trace_dec(t, "flag_number", in.flag_number);
    if (in.target_vtl != 0)
        softhv_trace_dec(t, "target_vtl", in.target_vtl);
}

static void out_signal(struct text *t, const struct call *c)
{
    struct hv_output_signal_event_direct out;
    if (LOAD_OUT(out, c))
        softhv_trace_dec(t, "newly_signaled", out.newly_signaled);
}

static void in_post(struct text *t, const struct call *c)
{
    struct hv_input_post_message_direct in;
    struct hv_message_header head;
    LOAD(in, c);
    memcpy(&head, in.message, sizeof(head));
    add_vp(t, in.vp_index);
    softhv_trace_dec(t, "sint_index", in.sint_index);
    softhv_trace_name(t, "message_type", mshv_name_message(head.message_type), head.message_type);
    softhv_trace_dec(t, "payload_size", head.payload_size);
    if (in.vtl != 0)
        softhv_trace_dec(t, "vtl", in.vtl);
}

/* ---- Intercepts and CPUID ---- */

static void in_install(struct text *t, const struct call *c)
{
    static const struct softhv_trace_bit bits[] = {{HV_INTERCEPT_ACCESS_MASK_READ, "READ"},
                                                   {HV_INTERCEPT_ACCESS_MASK_WRITE, "WRITE"},
                                                   {HV_INTERCEPT_ACCESS_MASK_EXECUTE, "EXECUTE"}};
    struct hv_input_install_intercept in;
    LOAD(in, c);
    softhv_trace_name(t, "intercept_type", mshv_name_intercept(in.intercept_type), in.intercept_type);
    softhv_trace_bits(t, "access_type", bits, COUNT(bits), in.access_type);
    softhv_trace_hex(t, "intercept_parameter", in.intercept_parameter);
}

static void add_cpuid_result(struct text *t, const struct hv_register_x64_cpuid_result_parameters *p)
{
    softhv_trace_hex(t, "input_eax", p->input_eax);
    softhv_trace_hex(t, "input_ecx", p->input_ecx);
    softhv_trace_dec(t, "subleaf_specific", p->subleaf_specific);
    softhv_trace_dec(t, "always_override", p->always_override);
    text_add(t, " eax=0x%x/0x%x ebx=0x%x/0x%x ecx=0x%x/0x%x edx=0x%x/0x%x", p->eax, p->eax_mask, p->ebx, p->ebx_mask,
             p->ecx, p->ecx_mask, p->edx, p->edx_mask);
}

static void in_register_result(struct text *t, const struct call *c)
{
    struct hv_input_register_intercept_result in;
    struct hv_register_x64_cpuid_result_parameters cpuid;
    struct hv_register_x64_msr_result_parameters msr;
    LOAD(in, c);
    memcpy(&cpuid, &in.parameters, sizeof(cpuid));
    memcpy(&msr, &in.parameters, sizeof(msr));
    add_vp(t, in.vp_index);
    softhv_trace_name(t, "intercept_type", mshv_name_intercept(in.intercept_type), in.intercept_type);
    if (in.intercept_type == HV_INTERCEPT_TYPE_X64_CPUID) {
        add_cpuid_result(t, &cpuid);
    } else {
        softhv_trace_hex(t, "msr_index", msr.msr_index);
        softhv_trace_hex(t, "access_type", msr.access_type);
        softhv_trace_hex(t, "action", msr.action);
    }
}

static void add_leaves(struct text *t, const struct call *c)
{
    const size_t head = sizeof(struct hv_input_get_vp_cpuid_values);
    size_t count = shown(c->reps, head, sizeof(struct hv_cpuid_leaf_info), c->in_bytes);
    size_t valued = shown(c->done, 0, sizeof(struct hv_cpuid_result), c->out != NULL ? c->out_bytes : 0);
    for (size_t i = 0; i < count; i++) {
        struct hv_cpuid_leaf_info leaf;
        struct hv_cpuid_result r;
        memcpy(&leaf, c->in + head + i * sizeof(leaf), sizeof(leaf));
        text_add(t, " cpuid:0x%x:0x%x=", leaf.eax, leaf.ecx);
        if (i >= valued) {
            text_add(t, "?");
            continue;
        }
        memcpy(&r, c->out + i * sizeof(r), sizeof(r));
        text_add(t, "{eax=0x%x,ebx=0x%x,ecx=0x%x,edx=0x%x}", r.eax, r.ebx, r.ecx, r.edx);
    }
    if (count < c->reps)
        text_add(t, " ...");
}

static void in_cpuid_values(struct text *t, const struct call *c)
{
    static const struct softhv_trace_bit flags[] = {
        {HV_GET_VP_CPUID_USE_VP_XFEM_XSS, "USE_VP_XFEM_XSS"},
        {HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT, "APPLY_REGISTERED_RESULT"},
    };
    struct hv_input_get_vp_cpuid_values in;
    LOAD(in, c);
    add_vp(t, in.vp_index);
    softhv_trace_bits(t, "flags", flags, COUNT(flags), in.flags);
    if (!c->answered)
        add_leaves(t, c);
}

/* ---- The call as a whole ---- */

static const struct {
    uint16_t code;
    void (*in)(struct text *t, const struct call *c);
    void (*out)(struct text *t, const struct call *c); /* NULL: nothing in it */
} calls[] = {
    {HVCALL_GET_PARTITION_PROPERTY, in_get_property, out_get_property},
    {HVCALL_SET_PARTITION_PROPERTY, in_set_property, NULL},
    {HVCALL_GET_PARTITION_PROPERTY_EX, in_get_property_ex, out_get_property_ex},
    {HVCALL_INSTALL_INTERCEPT, in_install, NULL},
    {HVCALL_GET_VP_REGISTERS, in_get_registers, add_values},
    {HVCALL_SET_VP_REGISTERS, in_set_registers, NULL},
    {HVCALL_TRANSLATE_VIRTUAL_ADDRESS, in_translate, out_translate},
    {HVCALL_READ_GPA, in_read_gpa, out_read_gpa},
    {HVCALL_WRITE_GPA, in_write_gpa, out_write_gpa},
    {HVCALL_REGISTER_INTERCEPT_RESULT, in_register_result, NULL},
    {HVCALL_ASSERT_VIRTUAL_INTERRUPT, in_assert, NULL},
    {HVCALL_SIGNAL_EVENT_DIRECT, in_signal, out_signal},
    {HVCALL_POST_MESSAGE_DIRECT, in_post, NULL},
    {HVCALL_GET_GPA_PAGES_ACCESS_STATES, in_access_states, out_access_states},
    {HVCALL_GET_VP_CPUID_VALUES, in_cpuid_values, add_leaves},
};

static size_t find_call(uint16_t code)
{
    size_t i = 0;
    while (i < COUNT(calls) && calls[i].code != code)
        i++;
    return i;
}

static void load_call(struct call *c, const struct softhv_trace_record *r, const struct mshv_root_hvcall *request,
                      const struct mshv_root_hvcall *answer)
{
    memset(c->in, 0, sizeof(c->in));
    c->in_bytes = request->in_sz < sizeof(c->in) ? request->in_sz : sizeof(c->in);
    if (r->call_in != NULL)
        memcpy(c->in, r->call_in, c->in_bytes);
    c->out = r->call_out;
    c->out_bytes = request->out_sz < MSHV_HVCALL_MAX_OUT ? request->out_sz : MSHV_HVCALL_MAX_OUT;
    c->reps = request->reps;
    c->answered = answer != NULL;
    c->done = answer == NULL ? 0 : answer->reps < request->reps ? answer->reps : request->reps;
}

void softhv_trace_hvcall(struct text *t, const struct softhv_trace_record *r, const struct mshv_root_hvcall *request)
{
    struct mshv_root_hvcall answer;
    struct call c;
    bool answered = r->after != NULL && r->bytes >= sizeof(answer);
    if (answered)
        memcpy(&answer, r->after, sizeof(answer));
    load_call(&c, r, request, answered ? &answer : NULL);
    size_t row = find_call(request->code);
    softhv_trace_name(t, "code", mshv_name_hvcall(request->code), request->code);
    softhv_trace_dec(t, "reps", request->reps);
    softhv_trace_dec(t, "in_sz", request->in_sz);
    softhv_trace_dec(t, "out_sz", request->out_sz);
    softhv_trace_reserved(t, "rsvd", request->rsvd, sizeof(request->rsvd));
    if (r->call_in == NULL)
        text_add(t, " in_ptr=?");
    else if (row < COUNT(calls))
        calls[row].in(t, &c);
    if (!answered)
        return;
    text_add(t, " ->");
    softhv_trace_name(t, "status", mshv_name_status(answer.status), answer.status);
    softhv_trace_dec(t, "reps", answer.reps);
    if (r->call_in != NULL && row < COUNT(calls) && calls[row].out != NULL)
        calls[row].out(t, &c);
}
