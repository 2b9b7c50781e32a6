/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Registers out to the page and back.
 */
#include "vmm/softhv/regpage.h"

#include <string.h>

#define XMMS     6u
#define SEGMENTS 6u

/* What can be read through the page only; CR8 is behind a hook. */
static void fill_control(const struct softhv_regs_view *v, struct hv_vp_register_page *page)
{
    const struct x86_state *s = v->state;
    union hv_register_value cr8;
    (void)softhv_regs_get(v, HV_X64_REGISTER_CR8, &cr8);
    page->cr0 = s->cr0;
    page->cr3 = s->cr3;
    page->cr4 = s->cr4;
    page->cr8 = cr8.reg64;
    page->efer = s->efer;
    page->dr7 = s->dr7;
    page->pending_interruption = softhv_regs_pending_interruption(s);
    page->interrupt_state = softhv_regs_interrupt_state(s);
    page->instruction_emulation_hints = 0;
    page->xfem = s->xcr0;
}

void softhv_regpage_fill(const struct softhv_regs_view *v, struct hv_vp_register_page *page)
{
    const struct x86_state *s = v->state;
    page->version = HV_VP_REGISTER_PAGE_VERSION;
    page->rsvdz = 0;
    page->reserved = 0;
    __atomic_store_n(&page->dirty, 0, __ATOMIC_RELAXED);
    memcpy(page->gpr, s->gpr, sizeof(page->gpr));
    page->rip = s->rip;
    page->rflags = s->rflags;
    for (unsigned i = 0; i < XMMS; i++)
        memcpy(&page->xmm[i], s->fpu.vec[i], sizeof(page->xmm[i]));
    for (unsigned i = 0; i < SEGMENTS; i++)
        page->segment[i] = softhv_regs_segment(&s->seg[i]);
    fill_control(v, page);
    __atomic_store_n(&page->isvalid, 1, __ATOMIC_RELEASE);
}

void softhv_regpage_invalidate(struct hv_vp_register_page *page)
{
    __atomic_store_n(&page->isvalid, 0, __ATOMIC_RELEASE);
}

static enum hv_status set64(const struct softhv_regs_view *v, uint32_t name, uint64_t value)
{
    union hv_register_value r = {.reg128 = {value, 0}};
    return softhv_regs_set(v, name, &r);
}

static void merge_xmm(struct x86_state *s, const struct hv_vp_register_page *page)
{
    for (unsigned i = 0; i < XMMS; i++)
        memcpy(s->fpu.vec[i], &page->xmm[i], sizeof(page->xmm[i]));
}

static void merge_segments(struct x86_state *s, const struct hv_vp_register_page *page)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct hv_x64_segment_register reg;
        memcpy(&reg, &page->segment[i], sizeof(reg));
        s->seg[i] = softhv_regs_segment_in(&reg);
    }
}

static bool is_dirty(uint32_t dirty, enum hv_register_page_dirty_bit bit)
{
    return (dirty >> bit & 1) != 0;
}

/* uncertain: what becomes of RFLAGS that cannot be; refusing them keeps the VP able to run. */
enum hv_status softhv_regpage_merge(const struct softhv_regs_view *v, struct hv_vp_register_page *page)
{
    uint32_t dirty = __atomic_exchange_n(&page->dirty, 0, __ATOMIC_ACQ_REL);
    struct x86_state *s = v->state;
    enum hv_status status = HV_STATUS_SUCCESS;
    if (is_dirty(dirty, HV_X64_REGISTER_CLASS_GENERAL))
        memcpy(s->gpr, page->gpr, sizeof(s->gpr));
    if (is_dirty(dirty, HV_X64_REGISTER_CLASS_IP))
        (void)set64(v, HV_X64_REGISTER_RIP, __atomic_load_n(&page->rip, __ATOMIC_RELAXED));
    if (is_dirty(dirty, HV_X64_REGISTER_CLASS_XMM))
        merge_xmm(s, page);
    if (is_dirty(dirty, HV_X64_REGISTER_CLASS_SEGMENT))
        merge_segments(s, page);
    if (is_dirty(dirty, HV_X64_REGISTER_CLASS_FLAGS))
        status = set64(v, HV_X64_REGISTER_RFLAGS, __atomic_load_n(&page->rflags, __ATOMIC_RELAXED));
    return status;
}
