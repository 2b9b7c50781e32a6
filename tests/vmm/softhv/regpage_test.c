/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The register page: what it shows, what comes back from it.
 */
#include "vmm/softhv/regpage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct x86_state state;
    struct softhv_vp_control control;
    struct softhv_regs_limits limits;
    struct softhv_regs_view view;
    struct hv_vp_register_page page;
};

static int cr8_get(void *ctx, uint64_t *value)
{
    (void)ctx;
    *value = 5;
    return 0;
}

static const struct softhv_regs_ops hooks = {.cr8_get = cr8_get};

static void rig_init(struct rig *r)
{
    struct x86_features f = x86_features_supported();
    memset(r, 0, sizeof(*r));
    softhv_regs_limits_init(&r->limits, &f, 40, true);
    r->view = (struct softhv_regs_view){
        .state = &r->state, .control = &r->control, .limits = &r->limits, .ops = &hooks, .ctx = r};
    struct x86_state *s = &r->state;
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = 100 + i;
        s->fpu.vec[i][0] = 200 + i;
        s->fpu.vec[i][1] = 300 + i;
    }
    for (unsigned i = 0; i < X86_SEG_COUNT; i++)
        s->seg[i] = (struct x86_seg){.base = 400 + i, .limit = 500 + i, .attr = 0x93, .sel = (uint16_t)(600 + i)};
    s->rip = 1;
    s->rflags = 2;
    s->cr0 = 0x80000011;
    s->cr3 = 0x3000;
    s->cr4 = 0x20;
    s->efer = 0x500;
    s->dr7 = 0x400;
    s->xcr0 = 7;
    s->nmi_blocked = 1;
    s->pending = (struct x86_event){.kind = X86_EV_NMI, .vector = 2};
    memset(&r->page, 0xee, sizeof(r->page));
}

static void page_shows_the_state(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_regpage_fill(&r.view, &r.page);
    assert_int_equal(r.page.version, 1);
    assert_int_equal(r.page.isvalid, 1);
    assert_int_equal(r.page.dirty, 0);
    assert_memory_equal(r.page.gpr, r.state.gpr, sizeof(r.page.gpr));
    assert_int_equal(r.page.rip, 1);
    assert_int_equal(r.page.rflags, 2);
    assert_int_equal(r.page.xmm[5].low, 205);
    assert_int_equal(r.page.xmm[5].high, 305);
    assert_int_equal(r.page.segment[1].base, 401);
    assert_int_equal(r.page.segment[5].selector, 605);
    assert_int_equal(r.page.segment[5].limit, 505);
    assert_int_equal(r.page.cr0, 0x80000011);
    assert_int_equal(r.page.cr3, 0x3000);
    assert_int_equal(r.page.cr4, 0x20);
    assert_int_equal(r.page.cr8, 5);
    assert_int_equal(r.page.efer, 0x500);
    assert_int_equal(r.page.dr7, 0x400);
    assert_int_equal(r.page.pending_interruption, 0x20005);
    assert_int_equal(r.page.interrupt_state, HV_INTERRUPT_STATE_NMI_MASKED);
    assert_int_equal(r.page.instruction_emulation_hints, 0);
    assert_int_equal(r.page.xfem, 7);
    assert_int_equal(r.page.interrupt_vector_count, 0xee); /* the driver's */
}

static void nothing_comes_back_unmarked(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    struct x86_state before = r.state;
    memset(&r.page, 0xee, sizeof(r.page));
    r.page.dirty = ~UINT32_C(0x1f);
    assert_int_equal(softhv_regpage_merge(&r.view, &r.page), HV_STATUS_SUCCESS);
    assert_memory_equal(&before, &r.state, sizeof(before));
    assert_int_equal(r.page.dirty, 0);
}

/* Change everything, mark one class: only its registers move. */
static struct rig merged(enum hv_register_page_dirty_bit bit)
{
    struct rig r;
    rig_init(&r);
    softhv_regpage_fill(&r.view, &r.page);
    for (unsigned i = 0; i < 16; i++)
        r.page.gpr[i] = 1000 + i;
    for (unsigned i = 0; i < 6; i++) {
        r.page.xmm[i].high = 2000 + i;
        r.page.segment[i].selector = (uint16_t)(3000 + i);
    }
    r.page.rip = 4000;
    r.page.rflags = 0x46;
    r.page.dirty = 1u << bit;
    assert_int_equal(softhv_regpage_merge(&r.view, &r.page), HV_STATUS_SUCCESS);
    assert_int_equal(r.page.dirty, 0);
    assert_int_equal(r.state.gpr[15], bit == HV_X64_REGISTER_CLASS_GENERAL ? 1015 : 115);
    assert_int_equal(r.state.rip, bit == HV_X64_REGISTER_CLASS_IP ? 4000 : 1);
    assert_int_equal(r.state.fpu.vec[5][1], bit == HV_X64_REGISTER_CLASS_XMM ? 2005 : 305);
    assert_int_equal(r.state.seg[X86_GS].sel, bit == HV_X64_REGISTER_CLASS_SEGMENT ? 3005 : 605);
    assert_int_equal(r.state.rflags, bit == HV_X64_REGISTER_CLASS_FLAGS ? 0x46 : 2);
    return r;
}

static void each_class_moves_alone(void **state)
{
    (void)state;
    for (unsigned bit = HV_X64_REGISTER_CLASS_GENERAL; bit <= HV_X64_REGISTER_CLASS_FLAGS; bit++) {
        struct rig r = merged((enum hv_register_page_dirty_bit)bit);
        assert_int_equal(r.state.fpu.vec[6][1], 306); /* not on the page */
        assert_int_equal(r.state.seg[X86_LDTR].sel, 606);
        assert_int_equal(r.state.cr3, 0x3000);
    }
}

static void control_registers_cannot_be_written_through_it(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_regpage_fill(&r.view, &r.page);
    r.page.cr3 = 0x9000;
    r.page.dirty = HV_X64_REGISTER_CLASSES;
    assert_int_equal(softhv_regpage_merge(&r.view, &r.page), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.cr3, 0x3000);
}

static void moving_rip_ends_the_shadow(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.shadow_sti = 1;
    r.control.intercept_suspend = 1;
    softhv_regpage_fill(&r.view, &r.page);
    r.page.rip = 2;
    r.page.dirty = 1u << HV_X64_REGISTER_CLASS_IP;
    assert_int_equal(softhv_regpage_merge(&r.view, &r.page), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.shadow_sti, 0);
}

static void impossible_flags_are_left_out(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_regpage_fill(&r.view, &r.page);
    r.page.rflags = UINT64_MAX;
    r.page.gpr[0] = 7;
    r.page.dirty = HV_X64_REGISTER_CLASSES;
    assert_int_equal(softhv_regpage_merge(&r.view, &r.page), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(r.state.rflags, 2);
    assert_int_equal(r.state.gpr[0], 7);
}

static void invalidated_page_says_so(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    softhv_regpage_fill(&r.view, &r.page);
    softhv_regpage_invalidate(&r.page);
    assert_int_equal(r.page.isvalid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_shows_the_state),       cmocka_unit_test(nothing_comes_back_unmarked),
        cmocka_unit_test(each_class_moves_alone),     cmocka_unit_test(control_registers_cannot_be_written_through_it),
        cmocka_unit_test(moving_rip_ends_the_shadow), cmocka_unit_test(impossible_flags_are_left_out),
        cmocka_unit_test(invalidated_page_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
