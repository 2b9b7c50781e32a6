/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/vmm/softhv/gpa_rig.h"

/* Lookups, copying and overlays of the guest memory map, alone and while it changes. */

/* ---- Copying ---- */

static void copies_cross_pages_and_regions(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(4 * PAGE), b[3 * PAGE];
    /* Guest pages 0, 1 are user pages 3, 0. */
    assert_int_equal(rig_request(g, 0, m + 3 * PAGE, PAGE, WRITABLE), 0);
    assert_int_equal(rig_request(g, PAGE, m, 2 * PAGE, WRITABLE), 0);
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (uint8_t)(i * 7);
    assert_int_equal(softhv_gpa_write(g, 100, b, 2 * PAGE), SOFTHV_GPA_OK);
    assert_memory_equal(m + 3 * PAGE + 100, b, PAGE - 100);
    assert_memory_equal(m, b + PAGE - 100, PAGE);
    uint8_t back[2 * PAGE];
    assert_int_equal(softhv_gpa_read(g, 100, back, sizeof(back)), SOFTHV_GPA_OK);
    assert_memory_equal(back, b, sizeof(back));
    softhv_gpa_free(g);
    munmap(m, 4 * PAGE);
}

static void copies_stop_where_the_guest_would(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(2 * PAGE), b[16] = {0};
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), 0);
    assert_int_equal(rig_request(g, PAGE, m + PAGE, PAGE, 0), 0);
    assert_int_equal(softhv_gpa_write(g, PAGE - 8, b, 16), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(softhv_gpa_read(g, PAGE - 8, b, 16), SOFTHV_GPA_OK);
    assert_int_equal(softhv_gpa_read(g, 2 * PAGE - 8, b, 16), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(softhv_gpa_read(g, UINT64_MAX - 3, b, 16), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(softhv_gpa_read(g, UINT64_MAX, b, 0), SOFTHV_GPA_OK);
    softhv_gpa_free(g);
    munmap(m, 2 * PAGE);
}

/* ---- Overlays ---- */

static void an_overlay_hides_the_guests_page(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    uint8_t *m = rig_memory(3 * PAGE), *host;
    unsigned rights;
    memset(m, 1, 3 * PAGE);
    memset(over, 2, PAGE);
    assert_int_equal(rig_request(g, 0, m, 3 * PAGE, WRITABLE), 0);
    softhv_gpa_set_overlay(g, 0, 1, over, GPA_RW);
    assert_ptr_equal(softhv_gpa_page(g, PAGE, &rights), over);
    assert_int_equal(rights, GPA_RW);
    assert_true(softhv_gpa_is_overlay(g, PAGE + 5));
    assert_false(softhv_gpa_is_overlay(g, 0));
    assert_int_equal(softhv_gpa_access(g, PAGE + 5, SOFTHV_GPA_W, &host), SOFTHV_GPA_OK);
    *host = 9;
    assert_ptr_equal(softhv_gpa_page(g, 2 * PAGE, &rights), m + 2 * PAGE);
    softhv_gpa_clear_overlay(g, 0);
    assert_ptr_equal(softhv_gpa_page(g, PAGE, &rights), m + PAGE);
    assert_int_equal(m[PAGE + 5], 1);
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
    munmap(m, 3 * PAGE);
}

static void an_overlay_needs_no_memory_under_it(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    softhv_gpa_set_overlay(g, 3, 0x12345, over, GPA_RX);
    assert_int_equal(rig_rights(g, 0x12345000), GPA_RX);
    assert_int_equal(rig_access(g, 0x12345000, SOFTHV_GPA_W), SOFTHV_GPA_OVERLAY_DENIED);
    softhv_gpa_clear_overlay(g, 3);
    assert_int_equal(rig_access(g, 0x12345000, GPA_R), SOFTHV_GPA_UNMAPPED);
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
}

static void an_overlay_moves_with_its_slot(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    softhv_gpa_set_overlay(g, 0, 5, over, GPA_R);
    softhv_gpa_set_overlay(g, 0, 9, over, GPA_R);
    assert_false(softhv_gpa_is_overlay(g, 5 * PAGE));
    assert_true(softhv_gpa_is_overlay(g, 9 * PAGE));
    softhv_gpa_clear_overlay(g, 1);
    assert_true(softhv_gpa_is_overlay(g, 9 * PAGE));
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
}

static void of_two_overlays_the_later_is_seen(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    unsigned rights;
    softhv_gpa_set_overlay(g, 2, 5, over, GPA_R);
    softhv_gpa_set_overlay(g, 1, 5, over + PAGE, GPA_R);
    softhv_gpa_set_overlay(g, 0, 4, over, GPA_R);
    assert_ptr_equal(softhv_gpa_page(g, 5 * PAGE, &rights), over + PAGE);
    softhv_gpa_clear_overlay(g, 1);
    assert_ptr_equal(softhv_gpa_page(g, 5 * PAGE, &rights), over);
    assert_true(softhv_gpa_is_overlay(g, 4 * PAGE));
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
}

static void count_poke(void *ctx, enum softhv_poke what)
{
    if (what == SOFTHV_POKE_FORGET)
        atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void every_change_pokes_the_members(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    struct softhv_member member = {.next = NULL};
    atomic_uint pokes = 0;
    uint8_t *m = rig_memory(PAGE);
    softhv_quiesce_join(softhv_gpa_members(g), &member, count_poke, &pokes);
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), 0);
    assert_int_equal(pokes, 1);
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), -EEXIST);
    assert_int_equal(pokes, 1);
    softhv_gpa_set_overlay(g, 0, 0, over, GPA_R);
    assert_int_equal(pokes, 2);
    softhv_gpa_clear_overlay(g, 0);
    assert_int_equal(pokes, 3);
    softhv_gpa_clear_overlay(g, 0);
    assert_int_equal(pokes, 3);
    assert_int_equal(rig_request(g, 0, m, PAGE, UNMAP), 0);
    assert_int_equal(pokes, 4);
    softhv_quiesce_leave(softhv_gpa_members(g), &member);
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
    munmap(m, PAGE);
}

/* ---- While it changes ---- */

/* A VP in miniature: keeps the pointer of a page until it is poked, and reads through it. */
struct vp {
    struct softhv_gpa *g;
    struct softhv_member member;
    pthread_t thread;
    atomic_bool flush, stop, online;
    uint64_t sum, hits;
};

static void vp_poke(void *ctx, enum softhv_poke what)
{
    struct vp *v = ctx;
    if (what == SOFTHV_POKE_FORGET)
        atomic_store(&v->flush, true);
}

static void *vp_main(void *arg)
{
    struct vp *v = arg;
    struct softhv_quiesce *q = softhv_gpa_members(v->g);
    const volatile uint8_t *page = NULL;
    unsigned rights;
    softhv_quiesce_enter(q, &v->member);
    atomic_store(&v->online, true);
    for (uint64_t i = 0; !atomic_load(&v->stop); i++) {
        softhv_quiesce_boundary(q, &v->member);
        if (atomic_exchange(&v->flush, false))
            page = NULL;
        if (page == NULL)
            page = softhv_gpa_page(v->g, 0x10000 + (i % 4) * PAGE, &rights);
        if (page != NULL) {
            v->sum += page[i % PAGE];
            v->hits++;
        }
        if (i % 64 == 0) {
            page = NULL;
            softhv_quiesce_exit(q, &v->member);
            softhv_quiesce_enter(q, &v->member);
        }
    }
    softhv_quiesce_exit(q, &v->member);
    return NULL;
}

static void vp_start(struct vp *v, struct softhv_gpa *g)
{
    *v = (struct vp){.g = g};
    softhv_quiesce_join(softhv_gpa_members(g), &v->member, vp_poke, v);
    assert_int_equal(pthread_create(&v->thread, NULL, vp_main, v), 0);
    while (!atomic_load(&v->online))
        sched_yield();
}

static void vp_stop(struct vp *v)
{
    atomic_store(&v->stop, true);
    pthread_join(v->thread, NULL);
    softhv_quiesce_leave(softhv_gpa_members(v->g), &v->member);
}

/* A pointer that outlived its region would read unmapped memory and end the test. */
static void memory_may_go_as_soon_as_unmap_returned(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    struct vp v[2];
    for (int i = 0; i < 2; i++)
        vp_start(&v[i], g);
    for (int turn = 0; turn < 300; turn++) {
        uint8_t *m = rig_memory(4 * PAGE);
        assert_int_equal(rig_request(g, 0x10000, m, 4 * PAGE, WRITABLE), 0);
        sched_yield();
        assert_int_equal(rig_request(g, 0x10000, m, 4 * PAGE, UNMAP), 0);
        munmap(m, 4 * PAGE);
    }
    for (int i = 0; i < 2; i++)
        vp_stop(&v[i]);
    softhv_gpa_free(g);
}

static void overlays_change_under_readers(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *over = rig_memory(2 * PAGE);
    struct vp v[2];
    for (int i = 0; i < 2; i++)
        vp_start(&v[i], g);
    for (uint64_t turn = 0; turn < 2000; turn++) {
        softhv_gpa_set_overlay(g, turn % 4, 0x10 + turn % 5, over + turn % 2 * PAGE, GPA_R);
        softhv_gpa_clear_overlay(g, (turn + 2) % 4);
    }
    for (int i = 0; i < 2; i++)
        vp_stop(&v[i]);
    softhv_gpa_free(g);
    munmap(over, 2 * PAGE);
}

static void hold_keeps_the_map(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(PAGE);
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), 0);
    softhv_gpa_hold(g);
    assert_int_equal(softhv_gpa_write(g, 0, "a", 1), SOFTHV_GPA_OK);
    softhv_gpa_release(g);
    assert_int_equal(rig_request(g, 0, m, PAGE, UNMAP), 0);
    softhv_gpa_free(g);
    munmap(m, PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_cross_pages_and_regions),   cmocka_unit_test(copies_stop_where_the_guest_would),
        cmocka_unit_test(an_overlay_hides_the_guests_page), cmocka_unit_test(an_overlay_needs_no_memory_under_it),
        cmocka_unit_test(an_overlay_moves_with_its_slot),   cmocka_unit_test(of_two_overlays_the_later_is_seen),
        cmocka_unit_test(every_change_pokes_the_members),   cmocka_unit_test(memory_may_go_as_soon_as_unmap_returned),
        cmocka_unit_test(overlays_change_under_readers),    cmocka_unit_test(hold_keeps_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
