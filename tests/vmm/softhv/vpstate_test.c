/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * VP state blocks: the driver's checks in their order, the XSAVE image, and the way to the other modules.
 */
#include "vmm/softhv/vpstate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define AVX_BYTES 832u

/* ---- Checks ---- */

static int check(struct mshv_get_set_vp_state *arg, bool *unchanged)
{
    uint32_t bytes = 0;
    uint32_t given = arg->buf_sz;
    int r = softhv_vpstate_check(arg, 5000, &bytes, unchanged);
    assert_int_equal(bytes, given);
    if (*unchanged)
        assert_int_equal(arg->buf_sz, given);
    return r;
}

static void good_requests_learn_the_size(void **state)
{
    static const uint32_t sizes[] = {4096, 5000, 4096, 4096, 200};
    (void)state;
    for (unsigned type = 0; type < MSHV_VP_STATE_COUNT; type++) {
        struct mshv_get_set_vp_state a = {.type = (uint8_t)type, .buf_sz = 8192, .buf_ptr = 0x1000};
        bool unchanged = true;
        assert_int_equal(check(&a, &unchanged), 0);
        assert_false(unchanged);
        assert_int_equal(a.buf_sz, sizes[type]);
    }
}

static void malformed_requests_are_refused_unchanged(void **state)
{
    static const struct mshv_get_set_vp_state bad[] = {
        {.type = 5, .buf_sz = 4096, .buf_ptr = 0x1000},
        {.rsvd = {0, 0, 1}, .buf_sz = 4096, .buf_ptr = 0x1000},
        {.buf_sz = 0, .buf_ptr = 0x1000},
        {.type = 4, .buf_sz = 200, .buf_ptr = 0x1000},
        {.buf_sz = 4097, .buf_ptr = 0x1000},
        {.buf_sz = 4096, .buf_ptr = 0x1008},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mshv_get_set_vp_state a = bad[i];
        bool unchanged = false;
        assert_int_equal(check(&a, &unchanged), -EINVAL);
        assert_true(unchanged);
    }
}

static void addresses_outside_of_user_memory_fault(void **state)
{
    static const uint64_t bad[] = {UINT64_C(0x7ffffffff000), UINT64_C(0x800000000000), UINT64_C(0xfffffffffffff000)};
    bool unchanged = false;
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mshv_get_set_vp_state a = {.buf_sz = 4096, .buf_ptr = bad[i]};
        assert_int_equal(check(&a, &unchanged), -EFAULT);
        assert_true(unchanged);
    }
    struct mshv_get_set_vp_state last = {.buf_sz = 4096, .buf_ptr = UINT64_C(0x7fffffffe000)};
    assert_int_equal(check(&last, &unchanged), 0);
    struct mshv_get_set_vp_state both = {.type = 9, .buf_sz = 4096, .buf_ptr = UINT64_C(0x800000000000)};
    assert_int_equal(check(&both, &unchanged), -EINVAL); /* the form comes first */
}

static void short_buffer_learns_the_size(void **state)
{
    struct mshv_get_set_vp_state a = {.type = MSHV_VP_STATE_XSAVE, .buf_sz = 4096, .buf_ptr = 0x1000};
    bool unchanged = true;
    (void)state;
    assert_int_equal(check(&a, &unchanged), -EINVAL);
    assert_false(unchanged);
    assert_int_equal(a.buf_sz, 5000);
}

static void hypercall_takes_so_many_pages(void **state)
{
    (void)state;
    assert_true(softhv_vpstate_pages_fit(MSHV_VP_STATE_LAPIC, 507 * 4096));
    assert_false(softhv_vpstate_pages_fit(MSHV_VP_STATE_LAPIC, 508 * 4096));
    assert_true(softhv_vpstate_pages_fit(MSHV_VP_STATE_SYNTHETIC_TIMERS, 508 * 4096));
}

/* ---- Rig ---- */

struct rig {
    struct x86_state state;
    struct softhv_vpstate_view view;
    uint8_t buf[4096];
    uint8_t lapic[176], messages[4096], events[4096];
    struct hv_synthetic_timers_state timers;
};

static void lapic_get(void *ctx, uint8_t out[176])
{
    memcpy(out, ((struct rig *)ctx)->lapic, 176);
}

static void lapic_set(void *ctx, const uint8_t in[176])
{
    memcpy(((struct rig *)ctx)->lapic, in, 176);
}

static void messages_get(void *ctx, uint8_t *out)
{
    memcpy(out, ((struct rig *)ctx)->messages, 4096);
}

static void messages_set(void *ctx, const uint8_t *in)
{
    memcpy(((struct rig *)ctx)->messages, in, 4096);
}

static void events_get(void *ctx, uint8_t *out)
{
    memcpy(out, ((struct rig *)ctx)->events, 4096);
}

static void events_set(void *ctx, const uint8_t *in)
{
    memcpy(((struct rig *)ctx)->events, in, 4096);
}

static void timers_get(void *ctx, struct hv_synthetic_timers_state *out)
{
    *out = ((struct rig *)ctx)->timers;
}

static enum hv_status timers_set(void *ctx, const struct hv_synthetic_timers_state *in)
{
    if (in->timers[0].config == 99)
        return HV_STATUS_INVALID_REGISTER_VALUE;
    ((struct rig *)ctx)->timers = *in;
    return HV_STATUS_SUCCESS;
}

static const struct softhv_vpstate_ops hooks = {.lapic_get = lapic_get,
                                                .lapic_set = lapic_set,
                                                .messages_get = messages_get,
                                                .messages_set = messages_set,
                                                .events_get = events_get,
                                                .events_set = events_set,
                                                .timers_get = timers_get,
                                                .timers_set = timers_set};

/* Every FPU register has a value of its own; TOP is 3. */
static void rig_init(struct rig *r, uint64_t states)
{
    memset(r, 0, sizeof(*r));
    r->view = (struct softhv_vpstate_view){.state = &r->state, .xsave_states = states, .ops = &hooks, .ctx = r};
    struct x86_fpu *f = &r->state.fpu;
    f->fcw = 0x37f;
    f->fsw = 0x1800;
    f->ftw = 0x80;
    f->fop = 0x123;
    f->mxcsr = 0x1fa0;
    f->fip = UINT64_C(0xffff800011112222);
    f->fdp = 0x3333;
    for (unsigned i = 0; i < 8; i++)
        memset(f->st[i], (int)(0x10 + i), 10);
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k < 4; k++)
            f->vec[i][k] = i * 16 + k;
    memset(r->buf, 0xee, sizeof(r->buf));
}

static enum hv_status get(struct rig *r, unsigned type, size_t n)
{
    return softhv_vpstate_get(&r->view, type, r->buf, n);
}

static enum hv_status set(struct rig *r, unsigned type, size_t n)
{
    return softhv_vpstate_set(&r->view, type, r->buf, n);
}

static uint64_t at64(const struct rig *r, size_t offset)
{
    uint64_t v;
    memcpy(&v, r->buf + offset, sizeof(v));
    return v;
}

static void put64(struct rig *r, size_t offset, uint64_t v)
{
    memcpy(r->buf + offset, &v, sizeof(v));
}

/* ---- XSAVE ---- */

static void image_is_compacted(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, HV_XSAVE_MIN_BYTES), HV_STATUS_SUCCESS);
    assert_int_equal(at64(&r, 512), 3);
    assert_int_equal(at64(&r, 520), HV_XSAVE_XCOMP_COMPACT | 3);
    assert_int_equal(at64(&r, 0), UINT64_C(0x012300801800037f));
    assert_int_equal(at64(&r, 8), UINT64_C(0xffff800011112222));
    assert_int_equal(at64(&r, 16), 0x3333);
    assert_int_equal(at64(&r, 24), UINT64_C(0x0000ffff00001fa0));
    assert_int_equal(r.buf[32], 0x13); /* ST(0) is register 3 */
    assert_int_equal(r.buf[32 + 7 * 16], 0x12);
    assert_int_equal(r.buf[42], 0);
    assert_int_equal(at64(&r, 160 + 15 * 16 + 8), 15 * 16 + 1);
    assert_int_equal(r.buf[576], 0xee); /* not ours */
}

static void image_has_avx_where_there_is(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 7);
    assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_SUCCESS);
    assert_int_equal(at64(&r, 512), 7);
    assert_int_equal(at64(&r, 576), 2);
    assert_int_equal(at64(&r, 576 + 15 * 16 + 8), 15 * 16 + 3);
}

static void image_round_trip(void **state)
{
    struct rig a, b;
    (void)state;
    rig_init(&a, 7);
    rig_init(&b, 7);
    memset(&b.state, 0, sizeof(b.state));
    assert_int_equal(get(&a, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_SUCCESS);
    memcpy(b.buf, a.buf, sizeof(a.buf));
    assert_int_equal(set(&b, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_SUCCESS);
    assert_memory_equal(&a.state, &b.state, sizeof(a.state));
}

/* A client's first image: nothing in use, places for whatever the host has. */
static void absent_components_become_initial(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    memset(r.buf, 0, sizeof(r.buf));
    put64(&r, 520, HV_XSAVE_XCOMP_COMPACT | 0x2e7);
    assert_int_equal(set(&r, MSHV_VP_STATE_XSAVE, HV_XSAVE_MIN_BYTES), HV_STATUS_SUCCESS);
    assert_int_equal(r.state.fpu.fcw, 0x37f);
    assert_int_equal(r.state.fpu.fsw, 0);
    assert_int_equal(r.state.fpu.ftw, 0);
    assert_int_equal(r.state.fpu.mxcsr, 0x1f80);
    assert_int_equal(r.state.fpu.vec[15][1], 0);
    assert_int_equal(r.state.fpu.st[3][0], 0);
    assert_int_equal(r.state.fpu.vec[15][3], 15 * 16 + 3); /* not one of the partition's components */
}

static void bad_images_change_nothing(void **state)
{
    static const struct {
        size_t at;
        uint64_t value;
        enum hv_status status;
    } rows[] = {
        {520, 3, HV_STATUS_INVALID_PARAMETER},                          /* not compacted */
        {520, HV_XSAVE_XCOMP_COMPACT | 1, HV_STATUS_INVALID_PARAMETER}, /* no place for SSE */
        {528, 1, HV_STATUS_INVALID_PARAMETER},                          /* reserved */
        {568, 1, HV_STATUS_INVALID_PARAMETER},                          /* reserved, last */
        {512, UINT64_C(1) << 63 | 3, HV_STATUS_INVALID_REGISTER_VALUE}, /* no such component */
        {24, UINT64_C(0x10000), HV_STATUS_INVALID_REGISTER_VALUE},      /* no such bit of MXCSR */
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig r;
        rig_init(&r, 3);
        assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, HV_XSAVE_MIN_BYTES), HV_STATUS_SUCCESS);
        put64(&r, rows[i].at, rows[i].value);
        struct x86_state before = r.state;
        assert_int_equal(set(&r, MSHV_VP_STATE_XSAVE, HV_XSAVE_MIN_BYTES), rows[i].status);
        assert_memory_equal(&before, &r.state, sizeof(before));
    }
}

static void component_the_partition_lacks_is_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 7);
    assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_SUCCESS);
    r.view.xsave_states = 3;
    assert_int_equal(set(&r, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_INVALID_REGISTER_VALUE);
}

static void truncated_images_are_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 7);
    assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, 575), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(r.buf[0], 0xee);
    assert_int_equal(get(&r, MSHV_VP_STATE_XSAVE, AVX_BYTES), HV_STATUS_SUCCESS);
    assert_int_equal(set(&r, MSHV_VP_STATE_XSAVE, 575), HV_STATUS_INVALID_PARAMETER);
    struct x86_state before = r.state;
    assert_int_equal(set(&r, MSHV_VP_STATE_XSAVE, AVX_BYTES - 1), HV_STATUS_INVALID_PARAMETER);
    assert_memory_equal(&before, &r.state, sizeof(before));
}

/* ---- The others ---- */

static void blocks_reach_their_modules(void **state)
{
    static const unsigned types[] = {MSHV_VP_STATE_LAPIC, MSHV_VP_STATE_SIMP, MSHV_VP_STATE_SIEFP,
                                     MSHV_VP_STATE_SYNTHETIC_TIMERS};
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    for (unsigned i = 0; i < 4; i++) {
        memset(r.buf, (int)(1 + i), sizeof(r.buf));
        assert_int_equal(set(&r, types[i], sizeof(r.buf)), HV_STATUS_SUCCESS);
    }
    assert_int_equal(r.lapic[175], 1);
    assert_int_equal(r.messages[4095], 2);
    assert_int_equal(r.events[4095], 3);
    assert_int_equal(r.timers.timers[3].config, UINT64_C(0x0404040404040404));
    for (unsigned i = 0; i < 4; i++) {
        memset(r.buf, 0xee, sizeof(r.buf));
        assert_int_equal(get(&r, types[i], sizeof(r.buf)), HV_STATUS_SUCCESS);
        assert_int_equal(r.buf[100], 1 + i);
        assert_int_equal(r.buf[4095], i == 0 ? 0 : i == 3 ? 0xee : 1 + i);
    }
}

static void a_modules_refusal_is_passed_on(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    put64(&r, 8, 99);
    assert_int_equal(set(&r, MSHV_VP_STATE_SYNTHETIC_TIMERS, 200), HV_STATUS_INVALID_REGISTER_VALUE);
}

static void without_modules_there_are_zeros(void **state)
{
    static const struct softhv_vpstate_ops none;
    static const uint8_t zero[4096];
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    r.view.ops = &none;
    for (unsigned type = 0; type < MSHV_VP_STATE_COUNT; type++) {
        if (type == MSHV_VP_STATE_XSAVE)
            continue;
        assert_int_equal(get(&r, type, sizeof(r.buf)), HV_STATUS_SUCCESS);
        assert_memory_equal(r.buf, zero, 200);
        assert_int_equal(set(&r, type, sizeof(r.buf)), HV_STATUS_FEATURE_UNAVAILABLE);
    }
}

static void wrong_types_and_short_buffers_are_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 3);
    assert_int_equal(get(&r, 5, 4096), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set(&r, 5, 4096), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(get(&r, MSHV_VP_STATE_LAPIC, 4095), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set(&r, MSHV_VP_STATE_SYNTHETIC_TIMERS, 199), HV_STATUS_INVALID_PARAMETER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_learn_the_size),
        cmocka_unit_test(malformed_requests_are_refused_unchanged),
        cmocka_unit_test(addresses_outside_of_user_memory_fault),
        cmocka_unit_test(short_buffer_learns_the_size),
        cmocka_unit_test(hypercall_takes_so_many_pages),
        cmocka_unit_test(image_is_compacted),
        cmocka_unit_test(image_has_avx_where_there_is),
        cmocka_unit_test(image_round_trip),
        cmocka_unit_test(absent_components_become_initial),
        cmocka_unit_test(bad_images_change_nothing),
        cmocka_unit_test(component_the_partition_lacks_is_refused),
        cmocka_unit_test(truncated_images_are_refused),
        cmocka_unit_test(blocks_reach_their_modules),
        cmocka_unit_test(a_modules_refusal_is_passed_on),
        cmocka_unit_test(without_modules_there_are_zeros),
        cmocka_unit_test(wrong_types_and_short_buffers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
