/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Life of a VP, the run, and what is asked of the hypervisor about it. Registers are in vp_regs.c, state in
 * vp_state.c.
 */

#include "vmm/mshv/vp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char see_log[] = "see the kernel's log";

/* ---- Life -------------------------------------------------------------------------------------------------------- */

/* Map one page; *out stays NULL where there is none. */
static int map_page(const struct mshv_vp *vp, unsigned number, const char *attempted, void **out, struct err *err)
{
    *out = NULL;
    int result = mshv_port_mmap(vp->port, vp->fd, MSHV_HV_PAGE_SIZE, (uint64_t)number * MSHV_HV_PAGE_SIZE, out);
    if (result < 0 && result != -ENODEV) {
        const struct err_context context = {attempted, NULL, see_log};
        return err_fail(err, result, &context);
    }
    return 0;
}

static int map_pages(struct mshv_vp *vp, struct err *err)
{
    void *address;
    int result = map_page(vp, MSHV_VP_MMAP_OFFSET_REGISTERS, "map the register page of a VP", &address, err);
    if (result < 0) {
        return result;
    }
    vp->page = address;
    if (vp->page != NULL && vp->page->version != HV_VP_REGISTER_PAGE_VERSION) {
        /* A layout from the future: the hypercalls still have the old one. */
        mshv_port_munmap(vp->port, vp->page, MSHV_HV_PAGE_SIZE);
        vp->page = NULL;
    }
    result = map_page(vp, MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE, "map the message page of a VP", &address, err);
    vp->message_page = address;
    return result;
}

int mshv_vp_create(struct mshv_vp *vp, const struct mshv_partition *partition, uint32_t index, struct err *err)
{
    struct mshv_create_vp args = {.vp_index = index};
    *vp = (struct mshv_vp){.fd = -1};
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, index);
    const struct err_context context = {"create VP", number, "initialize the partition first; use each index once"};
    if (index >= MSHV_MAX_VPS) {
        return err_fail_because(err, -EINVAL, &context, "there are only %u", MSHV_MAX_VPS);
    }
    int fd = mshv_port_ioctl(partition->port, partition->fd, MSHV_CREATE_VP, &args);
    if (fd < 0) {
        return err_fail(err, fd, &context);
    }
    *vp = (struct mshv_vp){.port = partition->port, .fd = fd, .index = index};
    int result = map_pages(vp, err);
    if (result < 0) {
        mshv_vp_destroy(vp);
    }
    return result;
}

void mshv_vp_destroy(struct mshv_vp *vp)
{
    if (vp->page != NULL) {
        mshv_port_munmap(vp->port, vp->page, MSHV_HV_PAGE_SIZE);
    }
    if (vp->message_page != NULL) {
        union {
            const void *constant;
            void *plain;
        } pointer = {.constant = vp->message_page};
        mshv_port_munmap(vp->port, pointer.plain, MSHV_HV_PAGE_SIZE);
    }
    if (vp->port != NULL) {
        mshv_port_close(vp->port, vp->fd);
    }
    *vp = (struct mshv_vp){.fd = -1};
}

/* ---- Run --------------------------------------------------------------------------------------------------------- */

int mshv_vp_run(struct mshv_vp *vp, struct mshv_exit *exit, struct err *err)
{
    union {
        struct mshv_run_vp args;
        struct hv_message message;
    } buffer;
    memset(&buffer, 0, sizeof buffer);
    int result = mshv_port_ioctl(vp->port, vp->fd, MSHV_RUN_VP, &buffer.args);
    if (result == -EINTR || result == -EAGAIN) {
        return -EINTR;
    }
    if (result < 0) {
        const struct err_context context = {"run a VP", NULL, see_log};
        return err_fail(err, result, &context);
    }
    return mshv_message_decode(&buffer.message, vp->index, exit, err);
}

int mshv_vp_read_message_page(const struct mshv_vp *vp, struct hv_message *message)
{
    if (vp->message_page == NULL) {
        return -ENODEV;
    }
    *message = *vp->message_page;
    return 0;
}

/* ---- CPUID, MSRs, translation ------------------------------------------------------------------------------------ */

static int register_intercept_result(const struct mshv_vp *vp, const struct hv_input_register_intercept_result *in,
                                     const struct err_context *context, struct err *err)
{
    struct mshv_hvcall call = {.code = HVCALL_REGISTER_INTERCEPT_RESULT, .in = in, .in_bytes = sizeof *in};
    int result = mshv_hvcall_simple(vp->port, vp->fd, &call);
    return result < 0 ? mshv_hvcall_error(err, result, &call, context) : 0;
}

int mshv_vp_set_cpuid(const struct mshv_vp *vp, const struct hv_register_x64_cpuid_result_parameters *cpuid,
                      struct err *err)
{
    struct hv_input_register_intercept_result in = {
        .vp_index = vp->index, .intercept_type = HV_INTERCEPT_TYPE_X64_CPUID, .parameters.cpuid = *cpuid};
    char leaf[48];
    snprintf(leaf, sizeof leaf, "0x%08x, subleaf 0x%x", cpuid->input_eax, cpuid->input_ecx);
    const struct err_context context = {"set CPUID leaf", leaf, see_log};
    return register_intercept_result(vp, &in, &context, err);
}

int mshv_vp_set_msr_action(const struct mshv_vp *vp, uint32_t msr, uint32_t access,
                           enum hv_unimplemented_msr_action action, struct err *err)
{
    struct hv_input_register_intercept_result in = {
        .vp_index = vp->index,
        .intercept_type = HV_INTERCEPT_TYPE_X64_MSR,
        .parameters.msr = {.msr_index = msr, .access_type = access, .action = (uint32_t)action}};
    char number[16];
    snprintf(number, sizeof number, "0x%08x", msr);
    const struct err_context context = {"decide what happens at MSR", number, see_log};
    return register_intercept_result(vp, &in, &context, err);
}

int mshv_vp_get_cpuid(const struct mshv_vp *vp, uint32_t eax, uint32_t ecx, struct hv_cpuid_result *result,
                      struct err *err)
{
    const struct hv_input_get_vp_cpuid_values in = {
        .vp_index = vp->index, .flags = HV_GET_VP_CPUID_USE_VP_XFEM_XSS | HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT};
    const struct hv_cpuid_leaf_info leaf = {.eax = eax, .ecx = ecx};
    struct mshv_hvcall call = {.code = HVCALL_GET_VP_CPUID_VALUES,
                               .in = &in,
                               .in_bytes = sizeof in,
                               .elements = &leaf,
                               .element_bytes = sizeof leaf,
                               .out = result,
                               .result_bytes = sizeof *result,
                               .reps = 1};
    int code = mshv_hvcall_rep(vp->port, vp->fd, &call);
    const struct err_context context = {"read a CPUID leaf of a VP", NULL, see_log};
    return code < 0 ? mshv_hvcall_error(err, code, &call, &context) : 0;
}

int mshv_vp_translate(const struct mshv_vp *vp, gva_t gva, uint64_t flags, enum hv_translate_gva_result_code *code,
                      gpa_t *gpa, struct err *err)
{
    const struct hv_input_translate_virtual_address in = {
        .vp_index = vp->index, .control_flags = flags, .gva_page = gva_page_number(gva)};
    struct hv_output_translate_virtual_address out = {0};
    struct mshv_hvcall call = {.code = HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
                               .in = &in,
                               .in_bytes = sizeof in,
                               .out = &out,
                               .out_bytes = sizeof out};
    int result = mshv_hvcall_simple(vp->port, vp->fd, &call);
    const struct err_context context = {"translate a guest's address", NULL, see_log};
    if (result < 0) {
        return mshv_hvcall_error(err, result, &call, &context);
    }
    if (out.result_code > HV_TRANSLATE_GVA_GPA_UNACCEPTED || out.gpa_page > UINT64_MAX >> GUEST_PAGE_SHIFT) {
        return err_fail_because(err, -EPROTO, &context, "result %" PRIu32 ", page 0x%" PRIx64 " means nothing",
                                out.result_code, out.gpa_page);
    }
    *code = (enum hv_translate_gva_result_code)out.result_code;
    if (*code == HV_TRANSLATE_GVA_SUCCESS) {
        *gpa = gpa_make(out.gpa_page << GUEST_PAGE_SHIFT | gva_page_offset(gva));
    }
    return 0;
}
