/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/rng.h"

/* Numbers that count up, so that it shows which ones came where. */
struct rig {
    struct vdrv d;
    struct rng *rng;
    uint8_t next;
    int fails; /* a negative errno: nothing can be had */
    uint8_t got[RNG_CHUNK_BYTES + 4];
};

static int count_up(void *ctx, uint8_t *to, size_t bytes)
{
    struct rig *r = ctx;
    for (size_t i = 0; r->fails == 0 && i < bytes; i++)
        to[i] = r->next++;
    return r->fails;
}

static void make(struct rig *r, bool of_host)
{
    const struct rng_config cfg = {
        .memory = &r->d.memory, .loop = &r->d.loop, .fill = of_host ? NULL : count_up, .ctx = r};
    assert_int_equal(rng_new(&cfg, &r->rng, NULL), 0);
    vdrv_attach(&r->d, rng_virtio(r->rng));
    assert_true(vdrv_start(&r->d, 0));
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vdrv_init(&r->d);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    rng_free(r->rng);
    vdrv_fini(&r->d);
    free(r);
    return 0;
}

static void a_buffer_is_filled(void **state)
{
    struct rig *r = *state;
    uint8_t got[16], want[16];
    make(r, false);
    for (uint8_t i = 0; i < sizeof(want); i++)
        want[i] = i;
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, want, sizeof(got));
    assert_int_equal(r->d.interrupts[0], 1);
}

static void a_large_buffer_is_filled_in_part(void **state)
{
    struct rig *r = *state;
    uint8_t *got = r->got;
    make(r, false);
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, got, sizeof(r->got)), RNG_CHUNK_BYTES);
    assert_int_equal(bytes_load_le32(got + RNG_CHUNK_BYTES), 0);
}

static void a_buffer_to_read_from_comes_back_untouched(void **state)
{
    struct rig *r = *state;
    make(r, false);
    assert_int_equal(vdrv_request(&r->d, 0, "x", 1, NULL, 0), 0);
    assert_int_equal(r->next, 0);
}

static void a_source_that_fails_gives_nothing(void **state)
{
    struct rig *r = *state;
    uint8_t got[4];
    make(r, false);
    r->fails = -EAGAIN;
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, got, sizeof(got)), 0);
}

static void many_buffers_are_served_by_one_notification(void **state)
{
    struct rig *r = *state;
    unsigned came = 0;
    make(r, false);
    for (unsigned i = 0; i < 40; i++) {
        struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 4, 4), .bytes = 4, .writable = true};
        (void)vdrv_post(&r->d, 0, &b, 1);
    }
    vdrv_kick(&r->d, 0);
    while (vdrv_take(&r->d, 0, NULL, NULL))
        came++;
    assert_int_equal(came, 40);
}

static void the_hosts_numbers_differ(void **state)
{
    struct rig *r = *state;
    uint8_t first[32], second[32];
    make(r, true);
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, first, sizeof(first)), sizeof(first));
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, second, sizeof(second)), sizeof(second));
    assert_memory_not_equal(first, second, sizeof(first));
}

static void it_offers_nothing_but_what_all_do(void **state)
{
    struct rig *r = *state;
    make(r, false);
    assert_int_equal(virtio_get_offered(r->d.v, 0), 1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC);
    assert_int_equal(virtio_get_offered(r->d.v, 1), 1);
    assert_int_equal(virtio_read_config(r->d.v, 0, 4), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_buffer_is_filled),
        CASE(a_large_buffer_is_filled_in_part),
        CASE(a_buffer_to_read_from_comes_back_untouched),
        CASE(a_source_that_fails_gives_nothing),
        CASE(many_buffers_are_served_by_one_notification),
        CASE(the_hosts_numbers_differ),
        CASE(it_offers_nothing_but_what_all_do),
    };
    return cmocka_run_group_tests_name("virtio/rng", tests, NULL, NULL);
}
