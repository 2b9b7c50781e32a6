/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hypercalls behind MSHV_ROOT_HVCALL. Source: TLFS, hypercall reference; torvalds/linux
 * drivers/hv/mshv_root_main.c, behaviour of the driver around them.
 */
#include "vmm/softhv/hvcall.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "vmm/softhv/translate.h"
#include "vmm/softhv/vp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LEVEL_OR_LOGICAL                                                                                               \
    (HV_INTERRUPT_CONTROL_TYPE_MASK | HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED | HV_INTERRUPT_CONTROL_LOGICAL_DEST)
/* Set by some clients, without a meaning for the guests there are. */
#define CONTROL_LONG_MODE (UINT64_C(1) << 62)

/* ---- Errors ---- */

static const struct {
    uint16_t status;
    uint8_t error;
} errors[] = {
#define HV_STATUS_CODE(name, value, error) {(value), (error)},
#include "vmm/mshv/abi_hvcall.def"
};

int softhv_status_error(uint16_t status)
{
    for (size_t i = 0; i < COUNT(errors); i++)
        if (errors[i].status == status)
            return -(int)errors[i].error;
    return -EIO;
}

int softhv_hvcall_check(const struct mshv_root_hvcall *a)
{
    uint8_t used = 0;
    for (size_t i = 0; i < sizeof(a->rsvd); i++)
        used |= a->rsvd[i];
    if (a->status != 0 || a->in_ptr == 0 || a->in_sz < MSHV_HVCALL_MIN_IN || a->in_sz > MSHV_HVCALL_MAX_IN || used != 0)
        return -EINVAL;
    return a->out_ptr != 0 && (a->out_sz == 0 || a->out_sz > MSHV_HVCALL_MAX_OUT) ? -EINVAL : 0;
}

/* ---- Properties ---- */

/* What a handler gets: p is NULL for the machine itself. */
struct job {
    const struct softhv_host *host;
    struct softhv_partition *p;
    struct softhv_hvcall *call;
};

static enum hv_status run_get_property(const struct job *j)
{
    struct hv_input_get_partition_property in;
    struct hv_output_get_partition_property out = {0};
    memcpy(&in, j->call->in, sizeof(in));
    enum hv_status status = j->p != NULL ? softhv_partition_get(j->p, in.property_code, &out.property_value)
                                         : softhv_host_get(j->host, in.property_code, &out.property_value);
    if (status == HV_STATUS_SUCCESS)
        memcpy(j->call->out, &out, sizeof(out));
    return status;
}

static enum hv_status run_set_property(const struct job *j)
{
    struct hv_input_set_partition_property in;
    memcpy(&in, j->call->in, sizeof(in));
    return softhv_partition_set(j->p, in.property_code, in.property_value);
}

static enum hv_status run_get_property_ex(const struct job *j)
{
    struct hv_input_get_partition_property_ex in;
    struct hv_output_get_partition_property_ex out;
    memcpy(&in, j->call->in, sizeof(in));
    enum hv_status status = softhv_property_ex(in.property_code, &out);
    if (status == HV_STATUS_SUCCESS)
        memcpy(j->call->out, &out, sizeof(out));
    return status;
}

/* ---- Registers ---- */

static struct softhv_vp *vp_at_8(const struct job *j)
{
    uint32_t index;
    memcpy(&index, j->call->in + 8, sizeof(index));
    return softhv_partition_vp(j->p, index);
}

static enum hv_status run_get_registers(const struct job *j)
{
    struct softhv_vp *vp = vp_at_8(j);
    struct softhv_hvcall *c = j->call;
    struct softhv_regs_view view;
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    softhv_vp_begin(vp, &view);
    enum hv_status status =
        softhv_regs_hvcall_get(&view, c->in, MSHV_HVCALL_MAX_IN, c->out, MSHV_HVCALL_MAX_OUT, c->reps, &c->done);
    softhv_vp_end(vp, true); /* begin may have taken over what the page had */
    return status;
}

static enum hv_status run_set_registers(const struct job *j)
{
    struct softhv_vp *vp = vp_at_8(j);
    struct softhv_hvcall *c = j->call;
    struct softhv_regs_view view;
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    softhv_vp_begin(vp, &view);
    enum hv_status status = softhv_regs_hvcall_set(&view, c->in, MSHV_HVCALL_MAX_IN, c->reps, &c->done);
    softhv_vp_end(vp, true);
    return status;
}

/* ---- Translation ---- */

static int table_error(enum softhv_gpa_verdict verdict, int refused)
{
    if (verdict == SOFTHV_GPA_OK)
        return 0;
    return verdict == SOFTHV_GPA_UNMAPPED ? HV_TRANSLATE_GVA_GPA_UNMAPPED : refused;
}

static int table_read(void *ctx, uint64_t gpa, unsigned bytes, uint64_t *value)
{
    struct softhv_partition *p = ctx;
    uint8_t *host;
    int err = table_error(softhv_gpa_access(p->gpa, gpa, SOFTHV_GPA_R, &host), HV_TRANSLATE_GVA_GPA_NO_READ_ACCESS);
    if (err != 0)
        return err;
    *value = bytes == 8 ? __atomic_load_n((uint64_t *)(void *)host, __ATOMIC_ACQUIRE)
                        : __atomic_load_n((uint32_t *)(void *)host, __ATOMIC_ACQUIRE);
    return 0;
}

static bool replace8(uint8_t *host, uint64_t old, uint64_t value)
{
    return __atomic_compare_exchange_n((uint64_t *)(void *)host, &old, value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static bool replace4(uint8_t *host, uint32_t old, uint32_t value)
{
    return __atomic_compare_exchange_n((uint32_t *)(void *)host, &old, value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static int table_replace(void *ctx, uint64_t gpa, unsigned bytes, uint64_t old, uint64_t value, bool *same)
{
    struct softhv_partition *p = ctx;
    uint8_t *host;
    int err = table_error(softhv_gpa_access(p->gpa, gpa, SOFTHV_GPA_W, &host), HV_TRANSLATE_GVA_GPA_NO_WRITE_ACCESS);
    if (err != 0)
        return err;
    *same = bytes == 8 ? replace8(host, old, value) : replace4(host, (uint32_t)old, (uint32_t)value);
    return 0;
}

static const struct softhv_translate_ops table_ops = {.read = table_read, .replace = table_replace};

/* The walk's own accesses are held; the attributes speak of the page found. */
static enum hv_status translate(struct softhv_partition *p, const struct x86_state *s,
                                const struct hv_input_translate_virtual_address *in,
                                struct hv_output_translate_virtual_address *out)
{
    const struct softhv_translate_view view = {.state = s,
                                               .phys_bits = p->host.phys_bits,
                                               .page_1g = x86_feature_has(&p->features.x86, X86_F_PDPE1GB),
                                               .pse36 = x86_feature_has(&p->features.x86, X86_F_PSE36),
                                               .ops = &table_ops,
                                               .ctx = p};
    softhv_gpa_hold(p->gpa);
    enum hv_status status = softhv_translate(&view, in, out);
    if (status == HV_STATUS_SUCCESS && out->result_code == HV_TRANSLATE_GVA_SUCCESS &&
        softhv_gpa_is_overlay(p->gpa, out->gpa_page << MSHV_PAGE_SHIFT))
        out->attributes |= HV_TRANSLATE_GVA_OVERLAY_PAGE;
    softhv_gpa_release(p->gpa);
    return status;
}

static enum hv_status run_translate(const struct job *j)
{
    struct hv_input_translate_virtual_address in;
    struct hv_output_translate_virtual_address out = {0};
    struct softhv_vp *vp = vp_at_8(j);
    struct softhv_regs_view view;
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    memcpy(&in, j->call->in, sizeof(in));
    softhv_vp_begin(vp, &view);
    softhv_regs_settle(view.state);
    enum hv_status status = translate(j->p, view.state, &in, &out);
    softhv_vp_end(vp, true);
    if (status == HV_STATUS_SUCCESS)
        memcpy(j->call->out, &out, sizeof(out));
    return status;
}

/* ---- Interrupts and SynIC ---- */

static enum hv_status run_assert(const struct job *j)
{
    struct hv_input_assert_virtual_interrupt in;
    memcpy(&in, j->call->in, sizeof(in));
    uint64_t type = in.control & HV_INTERRUPT_CONTROL_TYPE_MASK;
    bool reserved = (in.control & ~(LEVEL_OR_LOGICAL | CONTROL_LONG_MODE)) != 0 || in.target_vtl != 0;
    if (reserved || type >= HV_X64_INTERRUPT_TYPE_COUNT || in.vector > 0xff || in.dest_addr > UINT32_MAX)
        return HV_STATUS_INVALID_PARAMETER;
    const struct softhv_apic_msg msg = {
        .dest = (uint32_t)in.dest_addr,
        .type = (uint8_t)type,
        .vector = (uint8_t)in.vector,
        .level = (in.control & HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED) != 0,
        .logical = (in.control & HV_INTERRUPT_CONTROL_LOGICAL_DEST) != 0,
        .narrow = in.dest_addr <= 0xff, /* uncertain: clients pass on the 8 bits of an MSI, 0xff being everybody */
    };
    return softhv_partition_assert(j->p, &msg);
}

static enum hv_status run_clear(const struct job *j)
{
    softhv_apic_bus_clear_extint(&j->p->bus);
    return HV_STATUS_SUCCESS;
}

static enum hv_status run_signal(const struct job *j)
{
    struct hv_input_signal_event_direct in;
    bool newly = false;
    struct softhv_vp *vp = vp_at_8(j);
    memcpy(&in, j->call->in, sizeof(in));
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    if (in.target_vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    enum hv_status status = (enum hv_status)softhv_synic_signal(&vp->hv.synic, in.target_sint, in.flag_number, &newly);
    const struct hv_output_signal_event_direct out = {.newly_signaled = newly};
    if (status == HV_STATUS_SUCCESS)
        memcpy(j->call->out, &out, sizeof(out));
    return status;
}

static enum hv_status run_post(const struct job *j)
{
    struct hv_input_post_message_direct in;
    struct softhv_vp *vp = vp_at_8(j);
    memcpy(&in, j->call->in, sizeof(in));
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    if (in.vtl != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return (enum hv_status)softhv_synic_post(&vp->hv.synic, in.sint_index, in.message);
}

/* ---- Intercepts and CPUID ---- */

static enum hv_status run_install(const struct job *j)
{
    struct hv_input_install_intercept in;
    memcpy(&in, j->call->in, sizeof(in));
    pthread_mutex_lock(&j->p->hv.lock);
    enum hv_status status = softhv_installed_change(&j->p->hv.installed, &in);
    pthread_mutex_unlock(&j->p->hv.lock);
    return status;
}

static struct softhv_cpuid_entry entry_of(const struct hv_register_x64_cpuid_result_parameters *r)
{
    return (struct softhv_cpuid_entry){.leaf = r->input_eax,
                                       .subleaf = r->input_ecx,
                                       .subleaf_specific = r->subleaf_specific != 0,
                                       .always_override = r->always_override != 0,
                                       .value = {r->eax, r->ebx, r->ecx, r->edx},
                                       .mask = {r->eax_mask, r->ebx_mask, r->ecx_mask, r->edx_mask}};
}

static void cpuid_changed(struct softhv_partition *p, struct softhv_vp *only)
{
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++) {
        struct softhv_vp *vp = softhv_partition_vp(p, i);
        if (vp != NULL && (only == NULL || only == vp))
            softhv_vp_cpuid_changed(vp);
    }
}

/* vp: the one it is for, or NULL for any. */
static enum hv_status register_cpuid(struct softhv_partition *p, struct softhv_vp *vp,
                                     const struct hv_register_x64_cpuid_result_parameters *parameters)
{
    const struct softhv_cpuid_entry entry = entry_of(parameters);
    pthread_mutex_lock(&p->cpuid_lock);
    uint16_t status = softhv_cpuid_register(vp != NULL ? &vp->cpuid : &p->cpuid, &entry);
    pthread_mutex_unlock(&p->cpuid_lock);
    cpuid_changed(p, vp);
    return (enum hv_status)status;
}

static enum hv_status register_msr(struct softhv_partition *p, struct softhv_vp *vp,
                                   const struct hv_register_x64_msr_result_parameters *parameters)
{
    pthread_mutex_lock(&p->hv.lock);
    enum hv_status status = softhv_msr_results_add(vp != NULL ? &vp->hv.results : &p->hv.results, parameters);
    pthread_mutex_unlock(&p->hv.lock);
    return status;
}

static enum hv_status run_register_result(const struct job *j)
{
    struct hv_input_register_intercept_result in;
    memcpy(&in, j->call->in, sizeof(in));
    struct softhv_vp *vp = softhv_partition_vp(j->p, in.vp_index);
    if (vp == NULL && in.vp_index != HV_ANY_VP)
        return HV_STATUS_INVALID_VP_INDEX;
    struct hv_register_x64_cpuid_result_parameters cpuid;
    struct hv_register_x64_msr_result_parameters msr;
    memcpy(&cpuid, &in.parameters, sizeof(cpuid));
    memcpy(&msr, &in.parameters, sizeof(msr));
    switch (in.intercept_type) {
    case HV_INTERCEPT_TYPE_X64_CPUID: return register_cpuid(j->p, vp, &cpuid);
    case HV_INTERCEPT_TYPE_X64_MSR:
    case HV_INTERCEPT_TYPE_X64_MSR_INDEX: return register_msr(j->p, vp, &msr);
    default: return HV_STATUS_INVALID_PARAMETER;
    }
}

static struct hv_cpuid_result query(const struct softhv_cpuid_env *env, uint32_t flags,
                                    const struct hv_cpuid_leaf_info *leaf)
{
    struct x86_cpuid_regs r = softhv_cpuid_query(env, flags, leaf->eax, leaf->ecx, leaf->xfem, leaf->xss);
    return (struct hv_cpuid_result){.eax = r.eax, .ebx = r.ebx, .ecx = r.ecx, .edx = r.edx};
}

static void query_all(const struct job *j, struct softhv_vp *vp, const struct x86_state *s, uint32_t flags)
{
    struct softhv_hvcall *c = j->call;
    const struct softhv_cpuid_env env = softhv_vp_cpuid_env(vp, s);
    pthread_mutex_lock(&j->p->cpuid_lock);
    for (c->done = 0; c->done < c->reps; c->done++) {
        struct hv_cpuid_leaf_info leaf;
        memcpy(&leaf, c->in + sizeof(struct hv_input_get_vp_cpuid_values) + c->done * sizeof(leaf), sizeof(leaf));
        const struct hv_cpuid_result r = query(&env, flags, &leaf);
        memcpy(c->out + c->done * sizeof(r), &r, sizeof(r));
    }
    pthread_mutex_unlock(&j->p->cpuid_lock);
}

static enum hv_status run_cpuid_values(const struct job *j)
{
    struct hv_input_get_vp_cpuid_values in;
    struct softhv_vp *vp = vp_at_8(j);
    struct softhv_regs_view view;
    memcpy(&in, j->call->in, sizeof(in));
    if (vp == NULL)
        return HV_STATUS_INVALID_VP_INDEX;
    if (in.flags & ~(HV_GET_VP_CPUID_USE_VP_XFEM_XSS | HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT))
        return HV_STATUS_INVALID_PARAMETER;
    if (sizeof(in) + j->call->reps * sizeof(struct hv_cpuid_leaf_info) > MSHV_HVCALL_MAX_IN)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    softhv_vp_begin(vp, &view);
    query_all(j, vp, view.state, in.flags);
    softhv_vp_end(vp, true);
    return HV_STATUS_SUCCESS;
}

/* ---- Access states ---- */

static enum hv_status run_access_states(const struct job *j)
{
    struct hv_input_get_gpa_pages_access_state in;
    uint32_t done = 0;
    memcpy(&in, j->call->in, sizeof(in));
    if (j->call->reps > MSHV_HVCALL_MAX_OUT)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    pthread_mutex_lock(&j->p->lock);
    uint16_t status =
        softhv_gpa_access_states(j->p->gpa, in.flags, in.gpa_page_number, j->call->reps, j->call->out, &done);
    pthread_mutex_unlock(&j->p->lock);
    j->call->done = (uint16_t)done;
    return (enum hv_status)status;
}

/* ---- Table ---- */

struct row {
    uint16_t code;
    bool rep;
    bool device;    /* also for the machine itself */
    bool partition; /* on the partition's descriptor only */
    enum softhv_kernel since;
    enum hv_status (*run)(const struct job *j);
};

/* clang-format off */
static const struct row rows[] = {
    /* code, rep, device, partition only, since */
    {HVCALL_GET_PARTITION_PROPERTY, false, true, false, SOFTHV_KERNEL_6_15, run_get_property},
    {HVCALL_SET_PARTITION_PROPERTY, false, false, true, SOFTHV_KERNEL_6_15, run_set_property},
    {HVCALL_INSTALL_INTERCEPT, false, false, false, SOFTHV_KERNEL_6_15, run_install},
    {HVCALL_GET_VP_REGISTERS, true, false, false, SOFTHV_KERNEL_6_15, run_get_registers},
    {HVCALL_SET_VP_REGISTERS, true, false, false, SOFTHV_KERNEL_6_15, run_set_registers},
    {HVCALL_TRANSLATE_VIRTUAL_ADDRESS, false, false, false, SOFTHV_KERNEL_6_15, run_translate},
    {HVCALL_CLEAR_VIRTUAL_INTERRUPT, false, false, false, SOFTHV_KERNEL_6_15, run_clear},
    {HVCALL_REGISTER_INTERCEPT_RESULT, false, false, false, SOFTHV_KERNEL_6_15, run_register_result},
    {HVCALL_ASSERT_VIRTUAL_INTERRUPT, false, false, false, SOFTHV_KERNEL_6_15, run_assert},
    {HVCALL_SIGNAL_EVENT_DIRECT, false, false, false, SOFTHV_KERNEL_6_15, run_signal},
    {HVCALL_POST_MESSAGE_DIRECT, false, false, false, SOFTHV_KERNEL_6_15, run_post},
    {HVCALL_GET_GPA_PAGES_ACCESS_STATES, true, false, false, SOFTHV_KERNEL_6_15, run_access_states},
    {HVCALL_GET_VP_CPUID_VALUES, true, false, false, SOFTHV_KERNEL_6_15, run_cpuid_values},
    {HVCALL_GET_PARTITION_PROPERTY_EX, false, true, false, SOFTHV_KERNEL_6_19, run_get_property_ex},
};
/* clang-format on */

static const struct row *row_of(enum softhv_kernel kernel, enum softhv_on on, uint16_t code)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].code == code && kernel >= rows[i].since && (on != SOFTHV_ON_DEVICE || rows[i].device) &&
            (on == SOFTHV_ON_PARTITION || !rows[i].partition))
            return &rows[i];
    return NULL;
}

int softhv_hvcall_known(const struct softhv_host *host, enum softhv_on on, uint16_t code)
{
    return row_of(host->kernel, on, code) != NULL ? 0 : -EINVAL;
}

int softhv_hvcall(const struct softhv_host *host, struct softhv_partition *p, enum softhv_on on,
                  struct softhv_hvcall *call)
{
    const struct row *row = row_of(host->kernel, on, call->code);
    const struct job j = {.host = host, .p = p, .call = call};
    call->reached = false;
    call->done = 0;
    if (on == SOFTHV_ON_DEVICE && host->kernel < SOFTHV_KERNEL_6_19)
        return -ENOTTY;
    if (row == NULL)
        return -EINVAL;
    call->reached = true;
    bool shape = row->rep ? call->reps != 0 && call->reps <= HV_CONTROL_REP_MASK : call->reps == 0;
    call->status = (uint16_t)(shape ? row->run(&j) : HV_STATUS_INVALID_HYPERCALL_INPUT);
    return softhv_status_error(call->status);
}
