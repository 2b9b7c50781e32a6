/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reset of a VP: by INIT, and by a client that loads the registers of reset. Source: SDM volume 3, 10.1.1, table 10-1.
 */
#include <string.h>

#include "vmm/softhv/vp.h"

#define CR0_PE_PG        UINT64_C(0x80000001)
#define RESET_RIP        0xfff0u
#define RESET_CS_BASE    0xffff0000u
#define FIRST_VECTOR     16u
#define VECTORS          256u
#define BASE_AFTER_RESET (SOFTHV_LAPIC_BASE_RESET | SOFTHV_LAPIC_BASE_ENABLE)

void softhv_vp_reset_rest(struct softhv_vp *vp)
{
    softhv_hv_vp_reset(&vp->hv, true);
    /* Which vectors complete themselves was said by SINTs that are no more. */
    for (unsigned v = FIRST_VECTOR; v < VECTORS; v++)
        softhv_lapic_set_auto_eoi(vp->lapic, (uint8_t)v, false);
    memset(vp->eoi, 0, sizeof(vp->eoi));
    atomic_store(&vp->sints, 0);
    vp->control.idle = false;
    vp->flush.open = false;
}

static bool is_reset(struct softhv_vp *vp, uint64_t base)
{
    const struct x86_state *s = &vp->state;
    if (s->activity == X86_WAIT_SIPI || x86_cpu_insns(vp->cpu) == vp->reset_insns)
        return false;
    return (base & ~(uint64_t)SOFTHV_LAPIC_BASE_BSP) == BASE_AFTER_RESET && s->rip == RESET_RIP &&
           s->seg[X86_CS].base == RESET_CS_BASE && (s->cr0 & CR0_PE_PG) == 0 && s->efer == 0;
}

void softhv_vp_base_written(struct softhv_vp *vp, uint64_t base)
{
    if (!is_reset(vp, base))
        return;
    bool waits = (base & SOFTHV_LAPIC_BASE_BSP) == 0;
    uint64_t priority = softhv_lapic_cr8(vp->lapic); /* written before, by the same client */
    softhv_vp_reset_rest(vp);
    softhv_lapic_reset(vp->lapic);
    (void)softhv_lapic_set_base(vp->lapic, base);
    (void)softhv_lapic_set_cr8(vp->lapic, priority);
    softhv_lapic_set_waiting(vp->lapic, waits);
    vp->state.activity = waits ? X86_WAIT_SIPI : X86_ACTIVE;
    vp->reset_insns = x86_cpu_insns(vp->cpu);
}
