/* SPDX-License-Identifier: Apache-2.0 */

/* Registers of a VP: in batches by hypercall, the common ones through the register page. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/mshv/names.h"
#include "vmm/mshv/vp.h"

/* Names in the order of struct mshv_vp_context. */
static const uint32_t general_names[] = {
    HV_X64_REGISTER_RAX, HV_X64_REGISTER_RCX, HV_X64_REGISTER_RDX, HV_X64_REGISTER_RBX,
    HV_X64_REGISTER_RSP, HV_X64_REGISTER_RBP, HV_X64_REGISTER_RSI, HV_X64_REGISTER_RDI,
    HV_X64_REGISTER_R8,  HV_X64_REGISTER_R9,  HV_X64_REGISTER_R10, HV_X64_REGISTER_R11,
    HV_X64_REGISTER_R12, HV_X64_REGISTER_R13, HV_X64_REGISTER_R14, HV_X64_REGISTER_R15};
static const uint32_t segment_names[] = {HV_X64_REGISTER_ES, HV_X64_REGISTER_CS, HV_X64_REGISTER_SS,
                                         HV_X64_REGISTER_DS, HV_X64_REGISTER_FS, HV_X64_REGISTER_GS};

enum {
    AT_GENERAL = 0,
    AT_RIP = 16,
    AT_RFLAGS = 17,
    AT_SEGMENT = 18,
    AT_CONTROL = 24, /* cr0 cr3 cr4 cr8 efer */
    CONTEXT_COUNT = 29
};

/* An error in a batch names the register that was refused. */
static int batch_error(struct err *err, int code, const struct mshv_hvcall *call, const char *attempted, uint32_t name)
{
    const char *text = mshv_name_register(name);
    char number[16];
    snprintf(number, sizeof number, "0x%08x", name);
    const struct err_context context = {attempted, text != NULL ? text : number, "see the kernel's log"};
    return mshv_hvcall_error(err, code, call, &context);
}

int mshv_vp_get_registers(const struct mshv_vp *vp, const uint32_t *names, union hv_register_value *values,
                          size_t count, struct err *err)
{
    const struct hv_input_vp_registers in = {.vp_index = vp->index};
    struct mshv_hvcall call = {.code = HVCALL_GET_VP_REGISTERS,
                               .in = &in,
                               .in_bytes = sizeof in,
                               .elements = names,
                               .element_bytes = sizeof *names,
                               .out = values,
                               .result_bytes = sizeof *values,
                               .reps = (uint32_t)count};
    int result = mshv_hvcall_rep(vp->port, vp->fd, &call);
    return result < 0 ? batch_error(err, result, &call, "read registers of a VP, from this one on:", names[call.done])
                      : 0;
}

int mshv_vp_set_registers(const struct mshv_vp *vp, const struct hv_register_assoc *registers, size_t count,
                          size_t *done, struct err *err)
{
    const struct hv_input_vp_registers in = {.vp_index = vp->index};
    struct mshv_hvcall call = {.code = HVCALL_SET_VP_REGISTERS,
                               .in = &in,
                               .in_bytes = sizeof in,
                               .elements = registers,
                               .element_bytes = sizeof *registers,
                               .reps = (uint32_t)count};
    int result = mshv_hvcall_rep(vp->port, vp->fd, &call);
    if (done != NULL) {
        *done = call.done;
    }
    if (result < 0) {
        /* A kernel that claims more than it was given has refused the last. */
        const size_t at = call.done < count ? call.done : count - 1;
        return batch_error(err, result, &call, "set register", registers[at].name);
    }
    return 0;
}

int mshv_vp_get_register(const struct mshv_vp *vp, uint32_t name, uint64_t *value, struct err *err)
{
    union hv_register_value out = {0};
    int result = mshv_vp_get_registers(vp, &name, &out, 1, err);
    if (result == 0) {
        *value = out.reg64;
    }
    return result;
}

int mshv_vp_set_register(const struct mshv_vp *vp, uint32_t name, uint64_t value, struct err *err)
{
    const struct hv_register_assoc in = {.name = name, .value.reg128 = {.low = value}};
    return mshv_vp_set_registers(vp, &in, 1, NULL, err);
}

/* ---- Context ----------------------------------------------------------------------------------------------------- */

static bool page_is_valid(const struct mshv_vp *vp)
{
    return vp->page != NULL && vp->page->isvalid != 0;
}

static void context_from_page(const struct hv_vp_register_page *page, struct mshv_vp_context *context)
{
    memcpy(context->gpr, page->gpr, sizeof context->gpr);
    memcpy(context->segment, page->segment, sizeof context->segment);
    context->rip = page->rip;
    context->rflags = page->rflags;
    context->cr0 = page->cr0;
    context->cr3 = page->cr3;
    context->cr4 = page->cr4;
    context->cr8 = page->cr8;
    context->efer = page->efer;
}

static void context_to_page(struct hv_vp_register_page *page, const struct mshv_vp_context *context, unsigned classes)
{
    if ((classes & MSHV_CONTEXT_GENERAL) != 0) {
        memcpy(page->gpr, context->gpr, sizeof page->gpr);
    }
    if ((classes & MSHV_CONTEXT_SEGMENT) != 0) {
        memcpy(page->segment, context->segment, sizeof page->segment);
    }
    if ((classes & MSHV_CONTEXT_RIP) != 0) {
        page->rip = context->rip;
    }
    if ((classes & MSHV_CONTEXT_RFLAGS) != 0) {
        page->rflags = context->rflags;
    }
    page->dirty |= classes;
}

int mshv_vp_get_context(const struct mshv_vp *vp, struct mshv_vp_context *context, struct err *err)
{
    if (page_is_valid(vp)) {
        context_from_page(vp->page, context);
        return 0;
    }
    uint32_t names[CONTEXT_COUNT] = {[AT_RIP] = HV_X64_REGISTER_RIP,         [AT_RFLAGS] = HV_X64_REGISTER_RFLAGS,
                                     [AT_CONTROL] = HV_X64_REGISTER_CR0,     [AT_CONTROL + 1] = HV_X64_REGISTER_CR3,
                                     [AT_CONTROL + 2] = HV_X64_REGISTER_CR4, [AT_CONTROL + 3] = HV_X64_REGISTER_CR8,
                                     [AT_CONTROL + 4] = HV_X64_REGISTER_EFER};
    union hv_register_value values[CONTEXT_COUNT];
    memcpy(&names[AT_GENERAL], general_names, sizeof general_names);
    memcpy(&names[AT_SEGMENT], segment_names, sizeof segment_names);
    int result = mshv_vp_get_registers(vp, names, values, CONTEXT_COUNT, err);
    if (result < 0) {
        return result;
    }
    for (int i = 0; i < 16; i++) {
        context->gpr[i] = values[AT_GENERAL + i].reg64;
    }
    for (int i = 0; i < 6; i++) {
        context->segment[i] = values[AT_SEGMENT + i].segment;
    }
    context->rip = values[AT_RIP].reg64;
    context->rflags = values[AT_RFLAGS].reg64;
    context->cr0 = values[AT_CONTROL].reg64;
    context->cr3 = values[AT_CONTROL + 1].reg64;
    context->cr4 = values[AT_CONTROL + 2].reg64;
    context->cr8 = values[AT_CONTROL + 3].reg64;
    context->efer = values[AT_CONTROL + 4].reg64;
    return 0;
}

static size_t add_scalar(struct hv_register_assoc *list, size_t count, uint32_t name, uint64_t value)
{
    list[count] = (struct hv_register_assoc){.name = name, .value.reg128 = {.low = value}};
    return count + 1;
}

int mshv_vp_set_context(const struct mshv_vp *vp, const struct mshv_vp_context *context, unsigned classes,
                        struct err *err)
{
    struct hv_register_assoc list[AT_CONTROL];
    size_t count = 0;
    classes &= MSHV_CONTEXT_GENERAL | MSHV_CONTEXT_RIP | MSHV_CONTEXT_SEGMENT | MSHV_CONTEXT_RFLAGS;
    if (page_is_valid(vp)) {
        context_to_page(vp->page, context, classes);
        return 0;
    }
    for (size_t i = 0; i < 16 && (classes & MSHV_CONTEXT_GENERAL) != 0; i++) {
        count = add_scalar(list, count, general_names[i], context->gpr[i]);
    }
    for (size_t i = 0; i < 6 && (classes & MSHV_CONTEXT_SEGMENT) != 0; i++) {
        list[count++] = (struct hv_register_assoc){.name = segment_names[i], .value.segment = context->segment[i]};
    }
    if ((classes & MSHV_CONTEXT_RFLAGS) != 0) {
        count = add_scalar(list, count, HV_X64_REGISTER_RFLAGS, context->rflags);
    }
    if ((classes & MSHV_CONTEXT_RIP) != 0) {
        count = add_scalar(list, count, HV_X64_REGISTER_RIP, context->rip);
    }
    return mshv_vp_set_registers(vp, list, count, NULL, err);
}

int mshv_vp_finish_io(const struct mshv_vp *vp, uint64_t rip, uint64_t rax, struct err *err)
{
    if (page_is_valid(vp)) {
        vp->page->gpr[0] = rax;
        vp->page->rip = rip;
        vp->page->dirty |= MSHV_CONTEXT_GENERAL | MSHV_CONTEXT_RIP;
        return 0;
    }
    const struct hv_register_assoc list[] = {{.name = HV_X64_REGISTER_RIP, .value.reg128 = {.low = rip}},
                                             {.name = HV_X64_REGISTER_RAX, .value.reg128 = {.low = rax}}};
    return mshv_vp_set_registers(vp, list, sizeof list / sizeof list[0], NULL, err);
}
