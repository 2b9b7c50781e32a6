/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers around events: what is pending, what waits, what is in the shadow. Source: TLFS, HV_X64_PENDING_*,
 * HV_X64_INTERRUPT_STATE_REGISTER.
 */
#include <string.h>

#include "vmm/softhv/regs_int.h"
#include "vmm/x86/core.h" /* vectors */

#define DR6_WRITABLE UINT64_C(0xe00f)
#define DR6_ONES     UINT64_C(0xffff0ff0)
#define DR6_MATCHED  UINT64_C(0xf)

/* ---- What comes with an exception ---- */

/*
 * A page fault or debug exception that is pending in the processor has its CR2 or DR6 beside it until it is delivered.
 * To the client they are in the registers, as on hardware, so that PENDING_INTERRUPTION, CR2 and DR6 together carry
 * all.
 */
static bool pending_exception(const struct x86_state *s, unsigned vector)
{
    return s->pending.kind == X86_EV_EXCEPTION && s->pending.vector == vector;
}

static uint64_t visible_cr2(const struct x86_state *s)
{
    return pending_exception(s, X86_PF) ? s->pending.cr2 : s->cr2;
}

static uint64_t visible_dr6(const struct x86_state *s)
{
    return pending_exception(s, X86_DB) ? (s->dr6 & ~DR6_MATCHED) | s->pending.dr6 : s->dr6;
}

enum hv_status softhv_reg_get_cr2(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->reg64 = visible_cr2(a->v->state);
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_set_cr2(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    s->cr2 = in->reg64;
    if (pending_exception(s, X86_PF))
        s->pending.cr2 = in->reg64;
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_get_dr6(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->reg64 = visible_dr6(a->v->state);
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_set_dr6(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    if (in->reg64 >> 32 != 0)
        return SOFTHV_BAD_VALUE;
    s->dr6 = (in->reg64 & DR6_WRITABLE) | DR6_ONES;
    if (pending_exception(s, X86_DB))
        s->pending.dr6 = in->reg64 & DR6_WRITABLE;
    return HV_STATUS_SUCCESS;
}

/* ---- Activity and events ---- */

enum hv_status softhv_reg_get_activity(const struct softhv_reg_access *a, union hv_register_value *out)
{
    uint8_t activity = a->v->state->activity;
    out->reg64 = (activity == X86_WAIT_SIPI ? HV_ACTIVITY_STARTUP_SUSPEND : 0) |
                 (activity == X86_HALTED ? HV_ACTIVITY_HALT_SUSPEND : 0) |
                 (a->v->control->idle ? HV_ACTIVITY_IDLE_SUSPEND : 0);
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_set_activity(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    const struct softhv_regs_view *v = a->v;
    uint64_t value = in->reg64;
    if ((value & ~(HV_ACTIVITY_STARTUP_SUSPEND | HV_ACTIVITY_HALT_SUSPEND | HV_ACTIVITY_IDLE_SUSPEND)) != 0)
        return SOFTHV_BAD_VALUE;
    bool waiting = (value & HV_ACTIVITY_STARTUP_SUSPEND) != 0, halted = (value & HV_ACTIVITY_HALT_SUSPEND) != 0;
    v->state->activity = waiting ? X86_WAIT_SIPI : halted ? X86_HALTED : X86_ACTIVE;
    v->control->idle = (value & HV_ACTIVITY_IDLE_SUSPEND) != 0;
    if (v->ops->set_waiting != NULL)
        v->ops->set_waiting(v->ctx, waiting);
    return HV_STATUS_SUCCESS;
}

/* PENDING_INTERRUPTION's types against ours. */
static const uint8_t kind_of_type[8] = {
    [HV_PENDING_INTERRUPTION_EXT_INT] = X86_EV_INTR,
    [HV_PENDING_INTERRUPTION_NMI] = X86_EV_NMI,
    [HV_PENDING_INTERRUPTION_EXCEPTION] = X86_EV_EXCEPTION,
    [HV_PENDING_INTERRUPTION_SOFTWARE_INT] = X86_EV_SOFT_INT,
    [HV_PENDING_INTERRUPTION_PRIVILEGED_SW_EXCEPTION] = X86_EV_PRIV_EXCEPTION,
    [HV_PENDING_INTERRUPTION_SW_EXCEPTION] = X86_EV_SOFT_EXCEPTION,
};

static uint64_t type_of_kind(uint8_t kind)
{
    uint64_t type = 0;
    while (type < 7 && kind_of_type[type] != kind)
        type++;
    return type;
}

uint64_t softhv_regs_pending_interruption(const struct x86_state *s)
{
    const struct x86_event *ev = &s->pending;
    if (ev->kind == X86_EV_NONE)
        return 0;
    return HV_PENDING_INTERRUPTION_PENDING | type_of_kind(ev->kind) << HV_PENDING_INTERRUPTION_TYPE_SHIFT |
           (ev->has_error ? HV_PENDING_INTERRUPTION_ERROR_CODE : 0) |
           (uint64_t)ev->insn_len << HV_PENDING_INTERRUPTION_LENGTH_SHIFT |
           (uint64_t)ev->vector << HV_PENDING_INTERRUPTION_VECTOR_SHIFT |
           (uint64_t)(ev->has_error ? ev->error : 0) << HV_PENDING_INTERRUPTION_CODE_SHIFT;
}

enum hv_status softhv_reg_get_interruption(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->reg64 = softhv_regs_pending_interruption(a->v->state);
    return HV_STATUS_SUCCESS;
}

/* Exceptions have vectors below 32, NMIs the one, interrupts any of a byte. */
static bool vector_good(uint8_t kind, uint64_t vector)
{
    if (kind == X86_EV_NMI)
        return vector == X86_NMI;
    return kind == X86_EV_EXCEPTION ? vector < 32 : vector < 256;
}

enum hv_status softhv_reg_set_interruption(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    uint64_t value = in->reg64, cr2 = visible_cr2(s), dr6 = visible_dr6(s);
    if ((value & HV_PENDING_INTERRUPTION_PENDING) == 0) {
        s->cr2 = cr2;
        s->dr6 = dr6;
        s->pending = (struct x86_event){.kind = X86_EV_NONE};
        return HV_STATUS_SUCCESS;
    }
    uint8_t kind = kind_of_type[(value & HV_PENDING_INTERRUPTION_TYPE_MASK) >> HV_PENDING_INTERRUPTION_TYPE_SHIFT];
    uint64_t vector = (value & HV_PENDING_INTERRUPTION_VECTOR_MASK) >> HV_PENDING_INTERRUPTION_VECTOR_SHIFT;
    if (kind == X86_EV_NONE || !vector_good(kind, vector) || (value & HV_PENDING_INTERRUPTION_RESERVED) != 0)
        return SOFTHV_BAD_VALUE;
    bool error = (value & HV_PENDING_INTERRUPTION_ERROR_CODE) != 0;
    s->pending = (struct x86_event){
        .kind = kind,
        .vector = (uint8_t)vector,
        .has_error = error,
        .insn_len = (uint8_t)((value & HV_PENDING_INTERRUPTION_LENGTH_MASK) >> HV_PENDING_INTERRUPTION_LENGTH_SHIFT),
        .error = error ? (uint32_t)(value >> HV_PENDING_INTERRUPTION_CODE_SHIFT) : 0,
        .cr2 = cr2,
        .dr6 = dr6 & DR6_WRITABLE,
    };
    return HV_STATUS_SUCCESS;
}

uint64_t softhv_regs_interrupt_state(const struct x86_state *s)
{
    return (s->shadow_sti || s->shadow_ss ? HV_INTERRUPT_STATE_SHADOW : 0) |
           (s->nmi_blocked ? HV_INTERRUPT_STATE_NMI_MASKED : 0);
}

enum hv_status softhv_reg_get_interrupt_state(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->reg64 = softhv_regs_interrupt_state(a->v->state);
    return HV_STATUS_SUCCESS;
}

/* Why there is a shadow is not told: one that is there stays what it is, a new one is that of STI. */
enum hv_status softhv_reg_set_interrupt_state(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    if ((in->reg64 & ~(HV_INTERRUPT_STATE_SHADOW | HV_INTERRUPT_STATE_NMI_MASKED)) != 0)
        return SOFTHV_BAD_VALUE;
    bool shadow = (in->reg64 & HV_INTERRUPT_STATE_SHADOW) != 0;
    if (!shadow)
        s->shadow_sti = s->shadow_ss = 0;
    else if (!s->shadow_ss)
        s->shadow_sti = 1;
    s->nmi_blocked = (in->reg64 & HV_INTERRUPT_STATE_NMI_MASKED) != 0;
    return HV_STATUS_SUCCESS;
}

static unsigned event_type(uint64_t low)
{
    return (unsigned)((low & HV_PENDING_EVENT_TYPE_MASK) >> HV_PENDING_EVENT_TYPE_SHIFT);
}

/* The events that can be made to happen here: an exception, and an external interrupt past the local APIC. */
static bool event_good(uint64_t low)
{
    if ((low & HV_PENDING_EVENT_PENDING) == 0)
        return true;
    if (event_type(low) == HV_PENDING_EVENT_EXT_INT)
        return true;
    return event_type(low) == HV_PENDING_EVENT_EXCEPTION && (low >> HV_PENDING_EVENT_VECTOR_SHIFT & 0xffff) < 32;
}

static enum hv_status get_event(const uint64_t event[2], union hv_register_value *out)
{
    out->reg128.low = event[0];
    out->reg128.high = event[1];
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_get_event0(const struct softhv_reg_access *a, union hv_register_value *out)
{
    return get_event(a->v->control->event0, out);
}

/* uncertain: clients leave garbage above 64 bits, so an event that is not pending is stored as 0. */
enum hv_status softhv_reg_set_event0(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    uint64_t *event = a->v->control->event0;
    bool pending = (in->reg128.low & HV_PENDING_EVENT_PENDING) != 0;
    if (!event_good(in->reg128.low))
        return SOFTHV_BAD_VALUE;
    event[0] = pending ? in->reg128.low : 0;
    event[1] = pending ? in->reg128.high : 0;
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_reg_get_event1(const struct softhv_reg_access *a, union hv_register_value *out)
{
    return get_event(a->v->control->event1, out);
}

/* The second half of a memory intercept event, which is never made here. */
enum hv_status softhv_reg_set_event1(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    (void)a;
    return (in->reg128.low & HV_PENDING_EVENT_PENDING) == 0 ? HV_STATUS_SUCCESS : SOFTHV_BAD_VALUE;
}

/* CR2 and DR6 come as the exception's parameter. */
static struct x86_event event_of(const uint64_t event[2])
{
    uint64_t low = event[0];
    if (event_type(low) == HV_PENDING_EVENT_EXT_INT)
        return (struct x86_event){.kind = X86_EV_INTR, .vector = (uint8_t)(low >> HV_PENDING_EVENT_EXT_SHIFT)};
    bool error = (low & HV_PENDING_EVENT_ERROR_CODE) != 0;
    return (struct x86_event){
        .kind = X86_EV_EXCEPTION,
        .vector = (uint8_t)(low >> HV_PENDING_EVENT_VECTOR_SHIFT),
        .has_error = error,
        .error = error ? (uint32_t)(low >> HV_PENDING_EVENT_CODE_SHIFT) : 0,
        .cr2 = event[1],
        .dr6 = event[1] & DR6_WRITABLE,
    };
}

bool softhv_regs_take_event(struct softhv_vp_control *control, struct x86_state *s)
{
    if ((control->event0[0] & HV_PENDING_EVENT_PENDING) == 0 || s->pending.kind != X86_EV_NONE)
        return false;
    s->pending = event_of(control->event0);
    memset(control->event0, 0, sizeof(control->event0));
    return true;
}
