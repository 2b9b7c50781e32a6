/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/softhv/gpa_rig.h"

/* Access tracking: the property, the hypercall, the driver's bitmap, and what lookups do meanwhile. */

#define ON       HV_PAGE_ACCESS_TRACKING_ENABLE
#define PAGES    16
#define ACCESSED MSHV_GPAP_ACCESS_TYPE_ACCESSED
#define DIRTY    MSHV_GPAP_ACCESS_TYPE_DIRTY
#define OP_NOOP  MSHV_GPAP_ACCESS_OP_NOOP
#define OP_CLEAR MSHV_GPAP_ACCESS_OP_CLEAR
#define OP_SET   MSHV_GPAP_ACCESS_OP_SET
#define STATE_A  HV_PAGE_STATE_ACCESSED
#define STATE_AD (HV_PAGE_STATE_ACCESSED | HV_PAGE_STATE_DIRTY)

struct rig {
    struct softhv_gpa *g;
    uint8_t *m;
};

/* Guest pages 0..15, writable. */
static int setup(void **state)
{
    struct rig *r = malloc(sizeof(*r));
    assert_non_null(r);
    r->g = rig_new(SOFTHV_KERNEL_7_2);
    r->m = rig_memory(PAGES * PAGE);
    assert_int_equal(rig_request(r->g, 0, r->m, PAGES * PAGE, WRITABLE), 0);
    *state = r;
    return 0;
}

static int setup_on(void **state)
{
    setup(state);
    const struct rig *r = *state;
    assert_int_equal(softhv_gpa_set_tracking(r->g, ON), HV_STATUS_SUCCESS);
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    softhv_gpa_free(r->g);
    munmap(r->m, PAGES * PAGE);
    free(r);
    return 0;
}

static int bitmap(const struct rig *r, unsigned type, unsigned op, uint64_t first, uint64_t count, void *out)
{
    struct mshv_gpap_access_bitmap a = {.access_type = (uint8_t)type,
                                        .access_op = (uint8_t)op,
                                        .page_count = count,
                                        .gpap_base = first,
                                        .bitmap_ptr = (uintptr_t)out};
    return softhv_gpa_access_bitmap(r->g, &a);
}

/* The bits of all 16 pages before an operation on them. */
static unsigned bits(const struct rig *r, unsigned type, unsigned op)
{
    uint8_t b[2];
    assert_int_equal(bitmap(r, type, op, 0, PAGES, b), 0);
    return b[0] | (unsigned)b[1] << 8;
}

static unsigned page_state(const struct rig *r, uint64_t pfn)
{
    uint8_t s;
    uint32_t done;
    assert_int_equal(softhv_gpa_access_states(r->g, 0, pfn, 1, &s, &done), HV_STATUS_SUCCESS);
    assert_int_equal(done, 1);
    return s;
}

/* ---- Property ---- */

static void property_values_are_checked(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(softhv_gpa_tracking(r->g), 0);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 4), HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
    assert_int_equal(softhv_gpa_set_tracking(r->g, UINT64_MAX), HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 0), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 3), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_gpa_tracking(r->g), 3);
}

static void property_needs_an_active_partition(void **state)
{
    (void)state;
    struct softhv_gpa *g;
    struct softhv_gpa_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .phys_bits = PHYS_BITS};
    assert_int_equal(softhv_gpa_new(&cfg, &g), 0);
    assert_int_equal(softhv_gpa_set_tracking(g, ON), HV_STATUS_INVALID_PARTITION_STATE);
    softhv_gpa_free(g);
}

static void switching_off_wants_every_page_dirty(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(softhv_gpa_set_tracking(r->g, 0), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(softhv_gpa_tracking(r->g), ON);
    uint8_t b[2];
    assert_int_equal(bitmap(r, DIRTY, OP_SET, 0, PAGES - 1, b), 0);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 0), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(bitmap(r, DIRTY, OP_SET, 0, PAGES, b), 0);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 0), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_gpa_tracking(r->g), 0);
    assert_int_equal(rig_rights(r->g, 0), GPA_RW);
}

static void switching_on_again_starts_clean(void **state)
{
    const struct rig *r = *state;
    bits(r, DIRTY, OP_SET);
    assert_int_equal(softhv_gpa_set_tracking(r->g, 0), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_gpa_set_tracking(r->g, ON), HV_STATUS_SUCCESS);
    assert_int_equal(page_state(r, 3), 0);
}

static void switching_on_twice_changes_nothing(void **state)
{
    const struct rig *r = *state;
    assert_true(softhv_gpa_grant_write(r->g, 0));
    assert_int_equal(softhv_gpa_set_tracking(r->g, ON), HV_STATUS_SUCCESS);
    assert_int_equal(page_state(r, 0), STATE_AD);
}

/* ---- Lookups ---- */

static void pages_are_read_only_until_written(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(page_state(r, 2), 0);
    assert_int_equal(rig_rights(r->g, 2 * PAGE), GPA_R);
    assert_int_equal(page_state(r, 2), STATE_A);
    assert_true(softhv_gpa_grant_write(r->g, 2 * PAGE));
    assert_int_equal(rig_rights(r->g, 2 * PAGE), GPA_RW);
    assert_int_equal(page_state(r, 2), STATE_AD);
    assert_int_equal(page_state(r, 3), 0);
}

static void slow_accesses_leave_marks(void **state)
{
    const struct rig *r = *state;
    assert_int_equal(rig_access(r->g, 4 * PAGE, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(page_state(r, 4), STATE_A);
    assert_int_equal(rig_access(r->g, 5 * PAGE, SOFTHV_GPA_W), SOFTHV_GPA_OK);
    assert_int_equal(page_state(r, 5), STATE_AD);
    assert_int_equal(softhv_gpa_write(r->g, 7 * PAGE - 1, "ab", 2), SOFTHV_GPA_OK);
    assert_int_equal(bits(r, DIRTY, OP_CLEAR), 1u << 5 | 1u << 6 | 1u << 7);
}

static void refused_accesses_leave_none(void **state)
{
    const struct rig *r = *state;
    uint8_t *m = rig_memory(PAGE);
    assert_int_equal(rig_request(r->g, 0x100000, m, PAGE, 0), 0);
    uint8_t b;
    assert_int_equal(bitmap(r, ACCESSED, OP_CLEAR, 0x100, 1, &b), 0);
    assert_int_equal(rig_access(r->g, 0x100000, SOFTHV_GPA_W), SOFTHV_GPA_INTERCEPT);
    assert_false(softhv_gpa_grant_write(r->g, 0x100000));
    assert_int_equal(page_state(r, 0x100), 0);
    assert_int_equal(rig_request(r->g, 0x100000, m, PAGE, UNMAP), 0);
    munmap(m, PAGE);
}

static void overlays_leave_no_marks_below(void **state)
{
    const struct rig *r = *state;
    uint8_t *over = rig_memory(PAGE);
    softhv_gpa_set_overlay(r->g, 0, 3, over, GPA_RW);
    assert_int_equal(rig_access(r->g, 3 * PAGE, SOFTHV_GPA_W), SOFTHV_GPA_OK);
    assert_int_equal(page_state(r, 3), 0);
    softhv_gpa_clear_overlay(r->g, 0);
    munmap(over, PAGE);
}

static void new_regions_start_dirty(void **state)
{
    const struct rig *r = *state;
    uint8_t *m = rig_memory(2 * PAGE), b;
    assert_int_equal(rig_request(r->g, 0x100000, m, 2 * PAGE, WRITABLE), 0);
    assert_int_equal(page_state(r, 0x100), STATE_AD);
    assert_int_equal(rig_rights(r->g, 0x100000), GPA_RW);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0x100, 2, &b), 0);
    assert_int_equal(b, 3);
    assert_int_equal(rig_rights(r->g, 0x100000), GPA_R);
    assert_int_equal(page_state(r, 0x100), STATE_A);
    assert_true(softhv_gpa_grant_write(r->g, 0x101000));
    assert_int_equal(bitmap(r, DIRTY, OP_SET, 0x100, 2, &b), 0);
    assert_int_equal(b, 2);
    assert_int_equal(rig_request(r->g, 0x100000, m, 2 * PAGE, UNMAP), 0);
    munmap(m, 2 * PAGE);
}

/* ---- Operations ---- */

struct op_row {
    unsigned type, op, before, after;
};

static const struct op_row op_rows[] = {
    {ACCESSED, OP_CLEAR, STATE_AD, 0}, {DIRTY, OP_CLEAR, STATE_AD, STATE_A},   {ACCESSED, OP_SET, 0, STATE_A},
    {DIRTY, OP_SET, 0, STATE_AD},      {ACCESSED, OP_NOOP, 0, STATE_A}, /* a plain read marks, like SET */
    {DIRTY, OP_NOOP, 0, STATE_AD},     {ACCESSED, OP_SET, STATE_AD, STATE_AD},
};

static void operations_report_the_state_before(void **state)
{
    const struct rig *r = *state;
    for (size_t i = 0; i < sizeof(op_rows) / sizeof(op_rows[0]); i++) {
        const struct op_row *o = &op_rows[i];
        bits(r, o->before ? DIRTY : ACCESSED, o->before ? OP_SET : OP_CLEAR);
        unsigned mask = o->type == ACCESSED ? HV_PAGE_STATE_ACCESSED : HV_PAGE_STATE_DIRTY;
        assert_int_equal(bits(r, o->type, o->op), o->before & mask ? 0xffff : 0);
        assert_int_equal(page_state(r, 9), o->after);
    }
}

static void bitmaps_start_at_their_first_page(void **state)
{
    const struct rig *r = *state;
    uint8_t b[2] = {0xff, 0xff};
    assert_true(softhv_gpa_grant_write(r->g, 5 * PAGE));
    assert_true(softhv_gpa_grant_write(r->g, 13 * PAGE));
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 4, 3, b), 0);
    assert_int_equal(b[0], 2);
    assert_int_equal(b[1], 0xff);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 4, 10, b), 0);
    assert_int_equal(b[0], 0);
    assert_int_equal(b[1], 2);
}

static void clearing_takes_the_right_to_write_back(void **state)
{
    const struct rig *r = *state;
    assert_true(softhv_gpa_grant_write(r->g, 0));
    assert_int_equal(rig_rights(r->g, 0), GPA_RW);
    assert_int_equal(bits(r, DIRTY, OP_CLEAR), 1);
    assert_int_equal(rig_rights(r->g, 0), GPA_R);
}

static void count_poke(void *ctx, enum softhv_poke what)
{
    if (what == SOFTHV_POKE_FORGET)
        atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void only_clearing_pokes_the_members(void **state)
{
    const struct rig *r = *state;
    struct softhv_member member = {.next = NULL};
    atomic_uint pokes = 0;
    softhv_quiesce_join(softhv_gpa_members(r->g), &member, count_poke, &pokes);
    bits(r, DIRTY, OP_SET);
    assert_int_equal(pokes, 0);
    bits(r, DIRTY, OP_CLEAR);
    assert_int_equal(pokes, 1);
    softhv_quiesce_leave(softhv_gpa_members(r->g), &member);
}

/* ---- Hypercall ---- */

static void hypercall_flags_are_checked(void **state)
{
    const struct rig *r = *state;
    uint8_t s[2];
    uint32_t done;
    const uint64_t bad[] = {3, 12, 15, 16, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(softhv_gpa_access_states(r->g, bad[i], 0, 1, s, &done), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(
        softhv_gpa_access_states(r->g, HV_PAGE_ACCESS_SET_DIRTY | HV_PAGE_ACCESS_CLEAR_ACCESSED, 0, 1, s, &done),
        HV_STATUS_SUCCESS);
    assert_int_equal(page_state(r, 0), HV_PAGE_STATE_DIRTY);
}

static void hypercall_without_flags_only_reads(void **state)
{
    const struct rig *r = *state;
    assert_true(softhv_gpa_grant_write(r->g, 0));
    assert_int_equal(page_state(r, 0), STATE_AD);
    assert_int_equal(page_state(r, 0), STATE_AD);
    assert_int_equal(page_state(r, 1), 0);
}

static void hypercall_stops_at_the_first_page_that_is_not_mapped(void **state)
{
    const struct rig *r = *state;
    uint8_t s[32];
    uint32_t done;
    assert_int_equal(softhv_gpa_access_states(r->g, HV_PAGE_ACCESS_SET_DIRTY, 14, 5, s, &done),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(done, 2);
    assert_int_equal(page_state(r, 15), HV_PAGE_STATE_DIRTY);
    assert_int_equal(softhv_gpa_access_states(r->g, 0, UINT64_MAX, 2, s, &done), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(done, 0);
}

static void hypercall_needs_tracking(void **state)
{
    const struct rig *r = *state;
    uint8_t s;
    uint32_t done = 7;
    assert_int_equal(softhv_gpa_access_states(r->g, 0, 0, 1, &s, &done), HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(done, 0);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, 1, &s), -EIO);
}

/* ---- Arguments of the driver's request ---- */

static void bitmap_arguments_are_checked(void **state)
{
    const struct rig *r = *state;
    uint8_t b[2];
    assert_int_equal(bitmap(r, 2, OP_CLEAR, 0, 1, b), -EINVAL);
    assert_int_equal(bitmap(r, DIRTY, 3, 0, 1, b), -EINVAL);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, 0, b), -EINVAL);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, 1, NULL), -EINVAL);
    struct mshv_gpap_access_bitmap a = {.page_count = 1, .bitmap_ptr = (uintptr_t)b};
    for (size_t i = 0; i < sizeof(a.rsvd); i++) {
        a.rsvd[i] = 1;
        assert_int_equal(softhv_gpa_access_bitmap(r->g, &a), -EINVAL);
        a.rsvd[i] = 0;
    }
    assert_int_equal(softhv_gpa_access_bitmap(r->g, &a), 0);
}

static void bitmap_survives_absurd_sizes(void **state)
{
    const struct rig *r = *state;
    uint8_t b[2];
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, UINT64_MAX, b), -ENOMEM);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, UINT64_C(1) << 32, b), -ENOMEM);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, 0, UINT32_MAX, b), -EINVAL);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, UINT64_MAX, 2, b), -EINVAL);
    assert_int_equal(bitmap(r, DIRTY, OP_CLEAR, UINT64_MAX - 600, 700, b), -EINVAL);
}

static void bitmap_writes_nothing_on_errors(void **state)
{
    const struct rig *r = *state;
    uint8_t b[4] = {0xaa, 0xaa, 0xaa, 0xaa};
    assert_int_equal(bitmap(r, DIRTY, OP_SET, 8, 16, b), -EINVAL);
    assert_int_equal(b[0], 0xaa);
    assert_int_equal(bitmap(r, DIRTY, OP_SET, 0, 16, (void *)(uintptr_t)8), -EFAULT);
}

/* ---- Size ---- */

static void large_regions_are_tracked_sparsely(void **state)
{
    (void)state;
    const uint64_t bytes = UINT64_C(64) << 30, base = UINT64_C(4) << 30;
    struct rig r = {.g = rig_new(SOFTHV_KERNEL_7_2), .m = rig_memory(bytes)};
    madvise(r.m, bytes, MADV_NOHUGEPAGE);
    assert_int_equal(rig_request(r.g, base, r.m, bytes, WRITABLE), 0);
    assert_int_equal(softhv_gpa_set_tracking(r.g, ON), HV_STATUS_SUCCESS);
    assert_true(softhv_gpa_grant_write(r.g, base + bytes - 1));
    uint8_t b[0x10000 / 8];
    assert_int_equal(bitmap(&r, DIRTY, OP_CLEAR, (base + bytes) / PAGE - 0x10000, 0x10000, b), 0);
    assert_int_equal(b[sizeof(b) - 1], 0x80);
    assert_int_equal(b[0], 0);
    softhv_gpa_free(r.g);
    munmap(r.m, bytes);
}

int main(void)
{
#define CASE(test)    cmocka_unit_test_setup_teardown(test, setup, teardown)
#define CASE_ON(test) cmocka_unit_test_setup_teardown(test, setup_on, teardown)
    const struct CMUnitTest tests[] = {
        CASE(property_values_are_checked),
        cmocka_unit_test(property_needs_an_active_partition),
        CASE_ON(switching_off_wants_every_page_dirty),
        CASE_ON(switching_on_again_starts_clean),
        CASE_ON(switching_on_twice_changes_nothing),
        CASE_ON(pages_are_read_only_until_written),
        CASE_ON(slow_accesses_leave_marks),
        CASE_ON(refused_accesses_leave_none),
        CASE_ON(overlays_leave_no_marks_below),
        CASE_ON(new_regions_start_dirty),
        CASE_ON(operations_report_the_state_before),
        CASE_ON(bitmaps_start_at_their_first_page),
        CASE_ON(clearing_takes_the_right_to_write_back),
        CASE_ON(only_clearing_pokes_the_members),
        CASE_ON(hypercall_flags_are_checked),
        CASE_ON(hypercall_without_flags_only_reads),
        CASE_ON(hypercall_stops_at_the_first_page_that_is_not_mapped),
        CASE(hypercall_needs_tracking),
        CASE_ON(bitmap_arguments_are_checked),
        CASE_ON(bitmap_survives_absurd_sizes),
        CASE_ON(bitmap_writes_nothing_on_errors),
        cmocka_unit_test(large_regions_are_tracked_sparsely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
