/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * String accesses to ports, element by element. The processor has checked port, segment and page of the element before
 * it asks for the port, so that the guest has its faults before the client hears of anything. Source: SDM volume 2,
 * INS, OUTS, REP.
 */
#include "vmm/softhv/vp.h"

static bool is_string(const struct x86_insn *in)
{
    return in != NULL && (in->op == X86_OP_INS || in->op == X86_OP_OUTS);
}

/* What of an address register counts. */
static uint64_t address_mask(const struct x86_insn *in)
{
    if (in->flags & X86_IF_A16)
        return UINT16_MAX;
    return in->flags & X86_IF_A32 ? UINT32_MAX : UINT64_MAX;
}

/* As a write of that width leaves the register: 16 bits keep the rest, 32 bits clear it. */
static void count_down(struct softhv_vp *vp, uint64_t mask, uint64_t left)
{
    uint64_t kept = mask == UINT16_MAX ? x86_cpu_gpr(vp->cpu, X86_RCX) & ~mask : 0;
    x86_cpu_set_gpr(vp->cpu, X86_RCX, kept | left);
}

void softhv_vp_string_count(struct softhv_vp *vp, struct softhv_port_exit *port)
{
    const struct x86_insn *in = x86_cpu_current(vp->cpu);
    if (!is_string(in))
        return;
    port->by_element = true;
    if ((in->flags & (X86_IF_REP | X86_IF_REPNE)) == 0)
        return;
    uint64_t mask = address_mask(in), left = ((x86_cpu_gpr(vp->cpu, X86_RCX) & mask) - 1) & mask;
    count_down(vp, mask, left);
    port->more = left != 0;
}

void softhv_vp_string_boundary(struct softhv_vp *vp, const struct softhv_port_exit *port)
{
    struct x86_state s;
    if (!port->more)
        return;
    x86_cpu_get_state(vp->cpu, &s);
    if (s.shadow_sti == 0 && s.shadow_ss == 0)
        return;
    s.shadow_sti = s.shadow_ss = 0;
    (void)x86_cpu_set_state(vp->cpu, &s);
}

static uint64_t source_linear(const struct x86_state *s, const struct x86_insn *in)
{
    bool wide = (in->flags & X86_IF_M64) != 0;
    bool based = !wide || in->seg == X86_FS || in->seg == X86_GS;
    uint64_t lin = (s->gpr[X86_RSI] & address_mask(in)) + (based ? s->seg[in->seg].base : 0);
    return wide ? lin : (uint32_t)lin;
}

/* An element that crosses a page comes in two parts. */
bool softhv_vp_string_source(struct softhv_vp *vp, const struct x86_mem_access *a)
{
    const struct x86_insn *in = x86_cpu_current(vp->cpu);
    struct x86_state s;
    if (!is_string(in) || in->op != X86_OP_OUTS || a->kind != X86_ACCESS_READ || a->walk || !a->has_gva)
        return false;
    x86_cpu_get_state(vp->cpu, &s);
    uint64_t offset = a->gva - source_linear(&s, in);
    return offset < in->size && a->len <= in->size - offset;
}
