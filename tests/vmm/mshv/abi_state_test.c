/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_GET_VP_STATE and MSHV_SET_VP_STATE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "tests/lib/abi_rig.h"

#define PAGE       MSHV_HV_PAGE_SIZE
#define LAPIC      MSHV_VP_STATE_LAPIC
#define XSAVE      MSHV_VP_STATE_XSAVE
#define SIMP       MSHV_VP_STATE_SIMP
#define SIEFP      MSHV_VP_STATE_SIEFP
#define TIMERS     MSHV_VP_STATE_SYNTHETIC_TIMERS
#define BOTH       2 /* a case for reading and one for writing */
#define REQUEST(i) ((i) == 0 ? MSHV_GET_VP_STATE : MSHV_SET_VP_STATE)

static const uint8_t types[] = {LAPIC, XSAVE, SIMP, SIEFP, TIMERS};

struct rig {
    struct abi *a;
    int partition, vp;
    uint8_t *page;
};

static void rig_init(struct abi *a, struct rig *r)
{
    *r = (struct rig){.a = a, .partition = abi_new_partition(a, ABI_FLAGS), .page = abi_pages(2 * PAGE)};
    assert_int_equal(abi_set_property(a, r->partition, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, ABI_SYNTHETIC),
                     0);
    abi_initialize(a, r->partition);
    r->vp = abi_new_vp(a, r->partition, 0);
}

static void rig_fini(struct rig *r)
{
    abi_close(r->a, r->vp);
    abi_close(r->a, r->partition);
    abi_pages_free(r->page, 2 * PAGE);
}

static struct mshv_get_set_vp_state request(const struct rig *r, uint8_t type)
{
    return (struct mshv_get_set_vp_state){.type = type, .buf_sz = PAGE, .buf_ptr = (uintptr_t)r->page};
}

static int state(struct rig *r, int which, struct mshv_get_set_vp_state *s)
{
    return ABI_IOCTL(r->a, r->vp, REQUEST(which), s);
}

/* These must succeed. */
static void get(struct rig *r, uint8_t type)
{
    struct mshv_get_set_vp_state s = request(r, type);
    assert_int_equal(state(r, 0, &s), 0);
}

static void set(struct rig *r, uint8_t type)
{
    struct mshv_get_set_vp_state s = request(r, type);
    assert_int_equal(state(r, 1, &s), 0);
}

static uint32_t size_of(struct rig *r, uint8_t type)
{
    uint64_t bytes = 0;
    if (type == TIMERS)
        return sizeof(struct hv_synthetic_timers_state);
    if (type != XSAVE)
        return PAGE;
    assert_int_equal(abi_get_property(r->a, r->partition, HV_PARTITION_PROPERTY_MAX_XSAVE_DATA_SIZE, &bytes), 0);
    return (uint32_t)bytes;
}

/* ---- The request ---- */

static void every_type_can_be_read_and_given_back(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(types); i++) {
        struct mshv_get_set_vp_state s = request(&r, types[i]);
        assert_int_equal(state(&r, 0, &s), 0);
        assert_int_equal(s.buf_sz, size_of(&r, types[i]));
        s.buf_sz = PAGE;
        assert_int_equal(state(&r, 1, &s), 0);
        assert_int_equal(s.buf_sz, size_of(&r, types[i]));
    }
    rig_fini(&r);
}

static void arguments_that_cannot_be_read_are_faults(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_expect_efault(a, r.vp, MSHV_GET_VP_STATE);
    abi_expect_efault(a, r.vp, MSHV_SET_VP_STATE);
    rig_fini(&r);
}

/* Refused before the size is written back. */
static void malformed_requests_are_refused(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (int which = 0; which < BOTH; which++) {
        struct mshv_get_set_vp_state bad[10];
        for (size_t i = 0; i < ABI_COUNT(bad); i++)
            bad[i] = request(&r, LAPIC);
        bad[0].type = MSHV_VP_STATE_COUNT;
        bad[1].type = 0xff;
        bad[2].rsvd[0] = 1;
        bad[3].rsvd[1] = 1;
        bad[4].rsvd[2] = 1;
        bad[5].buf_sz = 0;
        bad[6].buf_sz = 176;
        bad[7].buf_sz = PAGE + 8;
        bad[8].buf_ptr += 8;
        bad[9].buf_ptr += PAGE / 2;
        for (size_t i = 0; i < ABI_COUNT(bad); i++) {
            const struct mshv_get_set_vp_state before = bad[i];
            assert_int_equal(state(&r, which, &bad[i]), -EINVAL);
            assert_memory_equal(&bad[i], &before, sizeof(before));
        }
    }
    rig_fini(&r);
}

/* Timers take 200 bytes, and a whole page all the same. */
static void timers_want_a_page_too(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_get_set_vp_state s = request(&r, TIMERS);
    s.buf_sz = 200;
    assert_int_equal(state(&r, 0, &s), -EINVAL);
    r.page[200] = 0x5a;
    get(&r, TIMERS);
    assert_int_equal(r.page[200], 0x5a); /* no more than its bytes is written */
    rig_fini(&r);
}

static void buffers_outside_of_user_memory_are_faults(struct abi *a)
{
    static const uint64_t bad[] = {UINT64_C(0xffff800000000000), UINT64_C(0xfffffffffffff000),
                                   UINT64_C(0x800000000000)};
    struct rig r;
    rig_init(a, &r);
    for (int which = 0; which < BOTH; which++) {
        for (size_t i = 0; i < ABI_COUNT(bad); i++) {
            struct mshv_get_set_vp_state s = request(&r, LAPIC);
            s.buf_ptr = bad[i];
            assert_int_equal(state(&r, which, &s), -EFAULT);
            assert_int_equal(s.buf_sz, PAGE);
        }
    }
    rig_fini(&r);
}

/* Pinned for writing whichever way the block goes. */
static void buffers_that_cannot_be_pinned_are_faults(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *edge = abi_edge(), *fixed = abi_pages(PAGE);
    assert_int_equal(mprotect(fixed, PAGE, PROT_READ), 0);
    const uint64_t bad[] = {(uintptr_t)edge + PAGE, ABI_NOWHERE, (uintptr_t)fixed};
    for (int which = 0; which < BOTH; which++) {
        for (size_t i = 0; i < ABI_COUNT(bad); i++) {
            struct mshv_get_set_vp_state s = request(&r, SIMP);
            s.buf_ptr = bad[i];
            assert_int_equal(state(&r, which, &s), -EFAULT);
        }
    }
    struct mshv_get_set_vp_state s = request(&r, TIMERS); /* copied: a read-only page can be read */
    s.buf_ptr = (uintptr_t)fixed;
    assert_int_equal(state(&r, 1, &s), 0);
    s = request(&r, TIMERS);
    s.buf_ptr = (uintptr_t)fixed;
    assert_int_equal(state(&r, 0, &s), -EFAULT);
    abi_edge_free(edge);
    abi_pages_free(fixed, PAGE);
    rig_fini(&r);
}

/* All pages of the buffer are handed on, so all must be there. */
static void a_larger_buffer_is_pinned_wholly(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_get_set_vp_state s = request(&r, LAPIC);
    s.buf_sz = 2 * PAGE;
    assert_int_equal(state(&r, 0, &s), 0);
    assert_int_equal(s.buf_sz, PAGE);
    uint8_t *edge = abi_edge();
    s = request(&r, LAPIC);
    s.buf_sz = 2 * PAGE;
    s.buf_ptr = (uintptr_t)edge;
    assert_int_equal(state(&r, 0, &s), -EFAULT);
    abi_edge_free(edge);
    rig_fini(&r);
}

static void more_pages_than_a_hypercall_names_are_refused(struct abi *a)
{
    const size_t most = (size_t)MSHV_VP_STATE_MAX_PAGES * PAGE;
    struct rig r;
    rig_init(a, &r);
    uint8_t *pages = abi_pages(most + PAGE);
    struct mshv_get_set_vp_state s = request(&r, LAPIC);
    s.buf_ptr = (uintptr_t)pages;
    s.buf_sz = (uint32_t)most;
    assert_int_equal(state(&r, 0, &s), 0);
    s.buf_sz = (uint32_t)(most + PAGE);
    assert_int_equal(state(&r, 0, &s), -EINVAL);
    assert_int_equal(s.buf_sz, PAGE); /* the size is said before */
    abi_pages_free(pages, most + PAGE);
    rig_fini(&r);
}

static void an_argument_that_cannot_be_written_is_a_fault(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *fixed = abi_pages(PAGE);
    const struct mshv_get_set_vp_state s = request(&r, LAPIC);
    memcpy(fixed, &s, sizeof(s));
    assert_int_equal(mprotect(fixed, PAGE, PROT_READ), 0);
    assert_int_equal(ABI_IOCTL(a, r.vp, MSHV_GET_VP_STATE, fixed), -EFAULT);
    abi_pages_free(fixed, PAGE);
    rig_fini(&r);
}

/* ---- Local APIC ---- */

static struct hv_local_interrupt_controller_state *lapic(struct rig *r)
{
    return (void *)r->page;
}

static void a_new_local_apic_is_as_after_reset(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    get(&r, LAPIC);
    const struct hv_local_interrupt_controller_state *s = lapic(&r);
    (void)abi_uncertain(a, "apic_id in the state of the local APIC", s->apic_id, 0);
    assert_int_equal(s->apic_spurious, 0xff);
    assert_int_equal(s->apic_dfr, UINT32_MAX);
    assert_int_equal(s->apic_lvt_timer, 0x10000);
    assert_int_equal(s->apic_lvt_lint0, 0x10000);
    assert_int_equal(s->apic_lvt_lint1, 0x10000);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(s->apic_isr[i] | s->apic_tmr[i] | s->apic_irr[i], 0);
    rig_fini(&r);
}

/* What every client does to each VP: LINT0 is ExtINT, LINT1 is NMI, all else stays. */
static void clients_set_the_local_interrupt_pins(struct abi *a)
{
    uint8_t before[sizeof(struct hv_local_interrupt_controller_state)];
    struct rig r;
    rig_init(a, &r);
    get(&r, LAPIC);
    struct hv_local_interrupt_controller_state *s = lapic(&r);
    s->apic_lvt_lint0 = (s->apic_lvt_lint0 & ~0x700u) | 0x700;
    s->apic_lvt_lint1 = (s->apic_lvt_lint1 & ~0x700u) | 0x400;
    memcpy(before, s, sizeof(before));
    set(&r, LAPIC);
    memset(r.page, 0xee, PAGE);
    get(&r, LAPIC);
    assert_memory_equal(s, before, sizeof(before));
    rig_fini(&r);
}

static void a_local_apic_in_use_comes_back(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_set64(a, r.vp, 0, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
    get(&r, LAPIC);
    struct hv_local_interrupt_controller_state *s = lapic(&r);
    s->apic_ldr = 0x02000000;
    s->apic_spurious = 0x1f0;
    s->apic_isr[2] = 0x10;
    s->apic_irr[3] = 0x20;
    s->apic_tmr[2] = 0x10;
    s->apic_lvt_timer = 0x20031;
    s->apic_lvt_error = 0x32;
    s->apic_initial_count = 1000;
    s->apic_divide_configuration = 0xb;
    set(&r, LAPIC);
    memset(r.page, 0, PAGE);
    get(&r, LAPIC);
    assert_int_equal(s->apic_ldr, 0x02000000);
    assert_int_equal(s->apic_spurious, 0x1f0);
    assert_int_equal(s->apic_isr[2], 0x10);
    assert_int_equal(s->apic_irr[3], 0x20);
    assert_int_equal(s->apic_tmr[2], 0x10);
    assert_int_equal(s->apic_lvt_timer, 0x20031);
    assert_int_equal(s->apic_lvt_error, 0x32);
    assert_int_equal(s->apic_initial_count, 1000);
    assert_int_equal(s->apic_divide_configuration, 0xb);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_APIC_ISR0 + 2), 0x10);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_APIC_IRR0 + 3), 0x20);
    rig_fini(&r);
}

/* ---- XSAVE ---- */

static struct hv_xsave_header *xsave_header(struct rig *r)
{
    return (void *)(r->page + HV_XSAVE_HEADER_OFFSET);
}

static void xsave_is_compacted(struct abi *a)
{
    uint64_t states = 0;
    struct rig r;
    rig_init(a, &r);
    assert_int_equal(abi_get_property(a, r.partition, HV_PARTITION_PROPERTY_XSAVE_STATES, &states), 0);
    get(&r, XSAVE);
    const struct hv_xsave_header *h = xsave_header(&r);
    assert_true((h->xcomp_bv & HV_XSAVE_XCOMP_COMPACT) != 0);
    assert_true((h->xcomp_bv & ~HV_XSAVE_XCOMP_COMPACT & ~(states | 3)) == 0);
    (void)abi_uncertain(a, "XSTATE_BV of the XSAVE block", h->xstate_bv, states | 3);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(h->reserved[i], 0);
    rig_fini(&r);
}

static void xsave_agrees_with_the_registers(struct abi *a)
{
    const union hv_register_value xmm = {.reg128 = {.low = 0x1122334455667788, .high = 0x99aabbccddeeff00}};
    const union hv_register_value fp = {.fp_control_status = {.fp_control = 0x27f, .fp_status = 0, .fp_tag = 1}};
    const union hv_register_value st = {.fp = {.mantissa = UINT64_C(1) << 63, .biased_exponent_sign = 0x3fff}};
    struct rig r;
    rig_init(a, &r);
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_XMM7, xmm), 0);
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_FP_CONTROL_STATUS, fp), 0);
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_FP_MMX0, st), 0);
    get(&r, XSAVE);
    assert_memory_equal(r.page + 160 + 7 * 16, &xmm, 16);
    assert_int_equal(r.page[0] | r.page[1] << 8, 0x27f);
    assert_int_equal(r.page[4], 1);
    assert_memory_equal(r.page + 32, &st, 10);
    r.page[160 + 7 * 16] = 0x55;
    r.page[1] = 3;
    set(&r, XSAVE);
    union hv_register_value v;
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_XMM7, &v), 0);
    assert_int_equal(v.reg8, 0x55);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_FP_CONTROL_STATUS, &v), 0);
    assert_int_equal(v.fp_control_status.fp_control, 0x37f);
    rig_fini(&r);
}

/* Components that XSTATE_BV leaves out are initial. */
static void left_out_components_are_initial(struct abi *a)
{
    const union hv_register_value xmm = {.reg128 = {.low = 1, .high = 2}};
    union hv_register_value v;
    struct rig r;
    rig_init(a, &r);
    assert_int_equal(abi_set_register(a, r.vp, 0, HV_X64_REGISTER_XMM0, xmm), 0);
    get(&r, XSAVE);
    xsave_header(&r)->xstate_bv = 1;
    set(&r, XSAVE);
    assert_int_equal(abi_get_register(a, r.vp, 0, HV_X64_REGISTER_XMM0, &v), 0);
    assert_true(v.reg128.low == 0 && v.reg128.high == 0);
    rig_fini(&r);
}

static void images_that_cannot_be_are_refused(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (unsigned i = 0; i < 4; i++) {
        get(&r, XSAVE);
        switch (i) {
        case 0: xsave_header(&r)->xcomp_bv = 0; break;                   /* not compacted */
        case 1: xsave_header(&r)->xstate_bv |= UINT64_C(1) << 62; break; /* nowhere in XCOMP_BV */
        case 2: xsave_header(&r)->reserved[0] = 1; break;
        default: r.page[27] = 0xff; break; /* MXCSR bits that do not exist */
        }
        struct mshv_get_set_vp_state s = request(&r, XSAVE);
        (void)abi_uncertain(a, "an XSAVE image that cannot be", state(&r, 1, &s), -EINVAL);
    }
    rig_fini(&r);
}

/* ---- SynIC and timers ---- */

static void synic_pages_come_back(struct abi *a)
{
    static const uint8_t pages[] = {SIMP, SIEFP};
    uint8_t pattern[PAGE];
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(pages); i++) {
        get(&r, pages[i]);
        for (size_t k = 0; k < PAGE; k++)
            assert_int_equal(r.page[k], 0); /* at first */
        for (size_t k = 0; k < PAGE; k++)
            r.page[k] = pattern[k] = (uint8_t)(k * 7 + i);
        set(&r, pages[i]);
        memset(r.page, 0, PAGE);
        get(&r, pages[i]);
        assert_memory_equal(r.page, pattern, PAGE);
    }
    rig_fini(&r);
}

static void new_timers_are_zero(struct abi *a)
{
    static const struct hv_synthetic_timers_state zero;
    struct rig r;
    rig_init(a, &r);
    memset(r.page, 0xee, PAGE);
    get(&r, TIMERS);
    assert_memory_equal(r.page, &zero, sizeof(zero));
    rig_fini(&r);
}

/* A timer that is set up and not running is plain content. */
static void timers_come_back(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    get(&r, TIMERS);
    struct hv_synthetic_timers_state *t = (void *)r.page;
    t->timers[2].config = UINT64_C(0x40) << 4 | 1u << 12; /* direct, vector 0x40, not enabled */
    t->timers[2].count = 12345;
    set(&r, TIMERS);
    memset(r.page, 0, PAGE);
    get(&r, TIMERS);
    assert_true(t->timers[2].config == (UINT64_C(0x40) << 4 | 1u << 12));
    assert_true(t->timers[2].count == 12345);
    assert_true(abi_get64(a, r.vp, 0, HV_REGISTER_STIMER2_COUNT) == 12345);
    rig_fini(&r);
}

/* Save all of one VP, restore into another. */
static void a_vp_moves_into_another(struct abi *a)
{
    struct rig from, to;
    rig_init(a, &from);
    rig_init(a, &to);
    abi_set64(a, from.vp, 0, HV_X64_REGISTER_APIC_SPURIOUS, 0x1e0);
    for (size_t i = 0; i < ABI_COUNT(types); i++) {
        get(&from, types[i]);
        memcpy(to.page, from.page, PAGE);
        set(&to, types[i]);
        memset(to.page, 0, PAGE);
        get(&to, types[i]);
        assert_memory_equal(to.page, from.page, types[i] == LAPIC ? 176 : size_of(&from, types[i]));
    }
    assert_int_equal(abi_get64(a, to.vp, 0, HV_X64_REGISTER_APIC_SPURIOUS), 0x1e0);
    rig_fini(&from);
    rig_fini(&to);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(every_type_can_be_read_and_given_back),
        ABI_CASE(arguments_that_cannot_be_read_are_faults),
        ABI_CASE(malformed_requests_are_refused),
        ABI_CASE(timers_want_a_page_too),
        ABI_CASE(buffers_outside_of_user_memory_are_faults),
        ABI_CASE(buffers_that_cannot_be_pinned_are_faults),
        ABI_CASE(a_larger_buffer_is_pinned_wholly),
        ABI_CASE(more_pages_than_a_hypercall_names_are_refused),
        ABI_CASE(an_argument_that_cannot_be_written_is_a_fault),
        ABI_CASE(a_new_local_apic_is_as_after_reset),
        ABI_CASE(clients_set_the_local_interrupt_pins),
        ABI_CASE(a_local_apic_in_use_comes_back),
        ABI_CASE(xsave_is_compacted),
        ABI_CASE(xsave_agrees_with_the_registers),
        ABI_CASE(left_out_components_are_initial),
        ABI_CASE(images_that_cannot_be_are_refused),
        ABI_CASE(synic_pages_come_back),
        ABI_CASE(new_timers_are_zero),
        ABI_CASE(timers_come_back),
        ABI_CASE(a_vp_moves_into_another),
    };
    return ABI_MAIN(cases);
}
