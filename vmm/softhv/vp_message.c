/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A callback stopped the processor: what the client hears of it.
 */
#include "vmm/softhv/vp.h"

#define VECTOR_GP 13u

/* ---- Frames ---- */

void softhv_vp_frame(struct softhv_vp *vp, enum softhv_vp_shows shows, struct softhv_vp_frame *f)
{
    const struct x86_insn *insn = shows == SOFTHV_SHOW_INSTRUCTION ? x86_cpu_current(vp->cpu) : NULL;
    x86_cpu_get_state(vp->cpu, &vp->state);
    f->exit =
        (struct softhv_exit){.state = &vp->state, .vp_index = vp->index, .cr8 = (uint8_t)softhv_lapic_cr8(vp->lapic)};
    if (insn != NULL) {
        f->insn = *insn;
        f->exit.insn = &f->insn;
    }
    if (shows == SOFTHV_SHOW_REGISTERS)
        return;
    vp->probing = true;
    f->exit.byte_count = (uint8_t)x86_cpu_insn_bytes(vp->cpu, f->bytes);
    vp->probing = false;
    f->exit.bytes = f->exit.byte_count != 0 ? f->bytes : NULL;
}

/* ---- Endings ---- */

void softhv_vp_shut_down(struct softhv_vp *vp, struct hv_message *out)
{
    struct softhv_vp_frame f;
    struct x86_state s;
    x86_cpu_get_state(vp->cpu, &s);
    s.activity = X86_ACTIVE;
    (void)x86_cpu_set_state(vp->cpu, &s);
    softhv_vp_frame(vp, SOFTHV_SHOW_REGISTERS, &f);
    softhv_msg_unrecoverable(&f.exit, out);
}

/* INT3, INTO and INT1 have a length to move RIP by. Faults have not, and RIP of a debug trap is behind its cause. */
static bool exception(struct softhv_vp *vp, const struct x86_event *ev, struct hv_message *out)
{
    struct softhv_vp_frame f;
    softhv_vp_frame(vp, ev->kind == X86_EV_EXCEPTION ? SOFTHV_SHOW_BYTES : SOFTHV_SHOW_INSTRUCTION, &f);
    softhv_msg_exception(&f.exit, ev, out);
    return true;
}

/* It cannot be injected when an event is half delivered, that is, its own stack or table is what refuses. */
static bool general_protection(struct softhv_vp *vp, struct hv_message *out)
{
    const struct x86_event gp = {.kind = X86_EV_EXCEPTION, .vector = VECTOR_GP, .has_error = 1};
    if (softhv_installed_exception(&vp->p->hv.installed, VECTOR_GP))
        return exception(vp, &gp, out);
    if (x86_cpu_inject(vp->cpu, &gp) == 0)
        return false;
    softhv_vp_shut_down(vp, out);
    return true;
}

/* RCX is counted before the message is made, so that message, register page and registers agree. */
static bool port(struct softhv_vp *vp, struct softhv_port_exit *p, struct hv_message *out)
{
    struct softhv_vp_frame f;
    softhv_vp_string_count(vp, p);
    softhv_vp_frame(vp, SOFTHV_SHOW_INSTRUCTION, &f);
    softhv_msg_port(&f.exit, p, out);
    softhv_vp_string_boundary(vp, p);
    return true;
}

bool softhv_vp_stopped(struct softhv_vp *vp, struct hv_message *out)
{
    struct softhv_stop stop = vp->stop;
    struct softhv_vp_frame f;
    vp->stop.kind = SOFTHV_STOP_NONE;
    switch (stop.kind) {
    case SOFTHV_STOP_NONE:
    case SOFTHV_STOP_RETRY: return false;
    case SOFTHV_STOP_GP: return general_protection(vp, out);
    case SOFTHV_STOP_EXCEPTION: return exception(vp, &stop.event, out);
    case SOFTHV_STOP_PORT: return port(vp, &stop.port, out);
    case SOFTHV_STOP_MEMORY:
    case SOFTHV_STOP_HYPERCALL:
    case SOFTHV_STOP_MSR:
    case SOFTHV_STOP_CPUID: break;
    }
    softhv_vp_frame(vp, SOFTHV_SHOW_INSTRUCTION, &f);
    if (stop.kind == SOFTHV_STOP_MEMORY)
        softhv_msg_memory(&f.exit, &stop.memory, out);
    else if (stop.kind == SOFTHV_STOP_HYPERCALL)
        softhv_msg_hypercall(&f.exit, out);
    else if (stop.kind == SOFTHV_STOP_MSR)
        softhv_msg_msr(&f.exit, stop.msr, stop.msr_write, out);
    else
        softhv_msg_cpuid(&f.exit, &stop.cpuid, out);
    return true;
}
