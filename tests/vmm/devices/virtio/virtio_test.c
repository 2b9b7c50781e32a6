/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all virtio devices have in common: what a driver sets up. virtio_service_test.c has what follows.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/virtio_device.h"

/* ---- Features ---- */

static void what_is_offered_is_the_devices_and_the_rings(void **state)
{
    struct vdev_rig *r = *state;
    assert_int_equal(virtio_get_offered(&r->dev.v, 0),
                     1u << VDEV_FEATURE_A | 1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC);
    assert_int_equal(virtio_get_offered(&r->dev.v, 1), 1u << (VDEV_FEATURE_B - 32) | 1);
    assert_int_equal(virtio_get_offered(&r->dev.v, 2), 0);
    assert_int_equal(virtio_get_offered(&r->dev.v, UINT32_MAX), 0);
}

static void packed_rings_are_offered_when_asked_for(void **state)
{
    struct vdev_rig *r = *state;
    virtio_offer_packed(&r->dev.v);
    uint32_t bit = 1u << (VIRTIO_F_RING_PACKED - 32);
    assert_int_equal(virtio_get_offered(&r->dev.v, 1) & bit, CONFIG_VIRTIO_PACKED ? bit : 0);
}

static void a_subset_of_features_is_accepted(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, VIRTIO_FEATURE(VDEV_FEATURE_B)));
    assert_int_equal(virtio_get_accepted(&r->dev.v, 0), 0);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 1), 1u << (VDEV_FEATURE_B - 32) | 1);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 2), 0);
}

static void a_feature_that_is_not_offered_is_refused(void **state)
{
    struct vdev_rig *r = *state;
    for (unsigned bit = 0; bit < 64; bit++) {
        bool offered = bit == VDEV_FEATURE_A || bit == VDEV_FEATURE_B || bit == VIRTIO_RING_F_EVENT_IDX ||
                       bit == VIRTIO_RING_F_INDIRECT_DESC || bit == VIRTIO_F_VERSION_1;
        assert_int_equal(vdrv_negotiate(&r->d, VIRTIO_FEATURE(bit)), offered);
    }
}

static void a_driver_of_before_version_1_is_refused(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_status(r, VDEV_ACKNOWLEDGED);
    virtio_set_accepted(&r->dev.v, 0, 1);
    vdev_set_status(r, VDEV_READY);
    assert_int_equal(virtio_get_status(&r->dev.v), VDEV_ACKNOWLEDGED);
    virtio_set_accepted(&r->dev.v, 1, 1);
    vdev_set_status(r, VDEV_READY);
    assert_int_equal(virtio_get_status(&r->dev.v), VDEV_READY);
}

static void features_are_frozen_once_accepted(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, VIRTIO_FEATURE(VDEV_FEATURE_A)));
    virtio_set_accepted(&r->dev.v, 0, UINT32_MAX);
    virtio_set_accepted(&r->dev.v, 1, 0);
    virtio_set_accepted(&r->dev.v, 2, UINT32_MAX);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 0), 1u << VDEV_FEATURE_A);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 1), 1);
}

/* ---- Status ---- */

static void status_bits_stay_until_a_reset(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_status(r, VIRTIO_STATUS_ACKNOWLEDGE);
    vdev_set_status(r, VIRTIO_STATUS_DRIVER);
    assert_int_equal(virtio_get_status(&r->dev.v), VDEV_ACKNOWLEDGED);
    vdev_set_status(r, VIRTIO_STATUS_FAILED);
    assert_int_equal(virtio_get_status(&r->dev.v), VDEV_ACKNOWLEDGED | VIRTIO_STATUS_FAILED);
    vdev_set_status(r, 0);
    assert_int_equal(virtio_get_status(&r->dev.v), 0);
    assert_int_equal(r->dev.resets, 1);
}

static void a_driver_cannot_set_bits_of_the_device(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_status(r, VIRTIO_STATUS_NEEDS_RESET | 0x30 | VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(virtio_get_status(&r->dev.v), VIRTIO_STATUS_ACKNOWLEDGE);
}

static void driver_ok_activates_with_the_features(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(VDEV_FEATURE_B)));
    assert_int_equal(r->dev.activates, 1);
    assert_int_equal(r->dev.features, VIRTIO_FEATURE(VDEV_FEATURE_B) | VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    assert_true(virtio_has(&r->dev.v, VDEV_FEATURE_B));
    assert_false(virtio_has(&r->dev.v, VDEV_FEATURE_A));
}

static void driver_ok_twice_activates_once(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 2);
    assert_int_equal(r->dev.activates, 1);
}

static void driver_ok_before_features_ok_breaks_the_device(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_status(r, VDEV_ACKNOWLEDGED | VIRTIO_STATUS_DRIVER_OK);
    assert_true(vdev_needs_reset(r));
    assert_int_equal(r->dev.activates, 0);
    assert_int_equal(r->d.config_interrupts, 1);
    assert_null(virtio_begin(&r->dev.v, 0));
}

static void a_reset_forgets_all_that_was_configured(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    vdev_set_status(r, 0);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 0), 0);
    assert_int_equal(virtio_get_accepted(&r->dev.v, 1), 0);
    for (uint32_t i = 0; i < VDEV_QUEUES; i++) {
        assert_int_equal(vdev_get_queue(r, i, VIRTIO_QUEUE_SIZE), VDEV_SIZE);
        for (int which = VIRTIO_QUEUE_ENABLE; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            assert_int_equal(vdev_get_queue(r, i, (enum virtio_queue_register)which), 0);
        assert_null(virtio_begin(&r->dev.v, i));
    }
}

static void a_device_works_again_after_a_reset(void **state)
{
    struct vdev_rig *r = *state;
    for (unsigned i = 0; i < 3; i++) {
        vdev_start(r);
        (void)vdev_post(r, 0);
        vdrv_kick(&r->d, 0);
        assert_int_equal(vdev_take_all(r, 0), 1);
        vdrv_reset(&r->d);
    }
    assert_int_equal(r->dev.activates, 3);
}

/* ---- Registers of queues ---- */

static void registers_read_back_what_was_written(void **state)
{
    struct vdev_rig *r = *state;
    for (uint32_t i = 0; i < VDEV_QUEUES; i++)
        for (uint32_t which = VIRTIO_QUEUE_DESCRIPTORS_LOW; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            vdev_set_queue(r, i, (enum virtio_queue_register)which, 0xa0000000 + 16 * i + which);
    for (uint32_t i = 0; i < VDEV_QUEUES; i++)
        for (uint32_t which = VIRTIO_QUEUE_DESCRIPTORS_LOW; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            assert_int_equal(vdev_get_queue(r, i, (enum virtio_queue_register)which), 0xa0000000 + 16 * i + which);
}

static void sizes_are_at_most_what_the_device_says(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_queue(r, 0, VIRTIO_QUEUE_SIZE_MAX, 8);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_SIZE_MAX), VDEV_SIZE);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_SIZE, 16);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_SIZE), 16);
    static const uint32_t large[] = {VDEV_SIZE + 1, 0x10000 + 16, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        vdev_set_queue(r, 0, VIRTIO_QUEUE_SIZE, large[i]);
        assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_SIZE), 0);
    }
}

static void queues_that_there_are_not_read_zero_and_ignore_writes(void **state)
{
    struct vdev_rig *r = *state;
    static const uint32_t none[] = {VDEV_QUEUES, VIRTIO_QUEUES_MAX, 0x10000, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        for (int which = VIRTIO_QUEUE_SIZE_MAX; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++) {
            vdev_set_queue(r, none[i], (enum virtio_queue_register)which, 1);
            assert_int_equal(vdev_get_queue(r, none[i], (enum virtio_queue_register)which), 0);
        }
        virtio_kick(&r->dev.v, none[i]);
    }
    assert_int_equal(loop_turn(&r->d.loop), 0);
}

static void an_enabled_queue_keeps_its_place(void **state)
{
    struct vdev_rig *r = *state;
    vdev_set_queue(r, 0, VIRTIO_QUEUE_ENABLE, 2);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_ENABLE), 0);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_ENABLE, 1);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_SIZE, 8);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_DRIVER_HIGH, 8);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_SIZE), VDEV_SIZE);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_DRIVER_HIGH), 0);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_ENABLE, 0);
    vdev_set_queue(r, 0, VIRTIO_QUEUE_SIZE, 8);
    assert_int_equal(vdev_get_queue(r, 0, VIRTIO_QUEUE_SIZE), 8);
}

/* CVE-2026-5747 was a queue size that a driver could change while the ring was used. */
static void everything_is_frozen_at_driver_ok(void **state)
{
    struct vdev_rig *r = *state;
    uint32_t before[VIRTIO_QUEUE_DEVICE_HIGH + 1];
    vdev_start(r);
    for (uint32_t i = 0; i < VDEV_QUEUES; i++) {
        for (int which = 0; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            before[which] = vdev_get_queue(r, i, (enum virtio_queue_register)which);
        static const uint32_t values[] = {0, 1, 2, 8, 0x1000, UINT32_MAX};
        for (int which = 0; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            for (size_t n = 0; n < 6; n++)
                vdev_set_queue(r, i, (enum virtio_queue_register)which, values[n]);
        for (int which = 0; which <= VIRTIO_QUEUE_DEVICE_HIGH; which++)
            assert_int_equal(vdev_get_queue(r, i, (enum virtio_queue_register)which), before[which]);
    }
    for (unsigned i = 0; i < 3 * VDEV_SIZE; i++) {
        (void)vdev_post(r, 0);
        vdrv_kick(&r->d, 0);
        assert_int_equal(vdev_take_all(r, 0), 1);
    }
}

static void a_queue_that_is_not_enabled_at_driver_ok_never_is(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, 0));
    vdrv_make_queue(&r->d, 0);
    vdrv_make_queue(&r->d, 1);
    vdrv_enable_queue(&r->d, 0);
    vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    vdrv_enable_queue(&r->d, 1);
    assert_int_equal(vdev_get_queue(r, 1, VIRTIO_QUEUE_ENABLE), 0);
    (void)vdev_post(r, 1);
    vdrv_kick(&r->d, 1);
    assert_int_equal(vdev_take_all(r, 1), 0);
    assert_null(virtio_begin(&r->dev.v, 1));
    (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 1);
}

/* Change one register of queue 1 to something bad, and see the whole device refuse. */
static void expect_refused(struct vdev_rig *r, enum virtio_queue_register which, uint32_t value)
{
    unsigned activates = r->dev.activates, told = r->d.config_interrupts;
    assert_true(vdrv_negotiate(&r->d, 0));
    for (unsigned i = 0; i < VDEV_QUEUES; i++)
        vdrv_make_queue(&r->d, i);
    vdev_set_queue(r, 1, which, value);
    for (unsigned i = 0; i < VDEV_QUEUES; i++)
        vdrv_enable_queue(&r->d, i);
    vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    assert_true(vdev_needs_reset(r));
    assert_int_equal(r->dev.activates, activates);
    assert_int_equal(r->d.config_interrupts, told + 1);
    for (unsigned i = 0; i < VDEV_QUEUES; i++)
        assert_null(virtio_begin(&r->dev.v, i));
}

static void a_queue_in_the_wrong_place_breaks_the_device(void **state)
{
    struct vdev_rig *r = *state;
    expect_refused(r, VIRTIO_QUEUE_SIZE, 0);
    expect_refused(r, VIRTIO_QUEUE_SIZE, 3);
    expect_refused(r, VIRTIO_QUEUE_SIZE, VDEV_SIZE * 2);
    expect_refused(r, VIRTIO_QUEUE_DESCRIPTORS_LOW, 0x20008);
    expect_refused(r, VIRTIO_QUEUE_DESCRIPTORS_LOW, (uint32_t)VDRV_MEMORY_BYTES - 16);
    expect_refused(r, VIRTIO_QUEUE_DESCRIPTORS_HIGH, 1);
    expect_refused(r, VIRTIO_QUEUE_DRIVER_LOW, 0x20001);
    expect_refused(r, VIRTIO_QUEUE_DRIVER_HIGH, UINT32_MAX);
    expect_refused(r, VIRTIO_QUEUE_DEVICE_LOW, 0xfee00000);
    expect_refused(r, VIRTIO_QUEUE_DEVICE_HIGH, 0x80000000);
}

static void a_place_is_checked_again_after_a_reset(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    expect_refused(r, VIRTIO_QUEUE_DEVICE_HIGH, 1);
    vdev_start(r);
    (void)vdev_post(r, 1);
    vdrv_kick(&r->d, 1);
    assert_int_equal(vdev_take_all(r, 1), 1);
}

/* ---- Configuration ---- */

static void configuration_can_be_read_in_any_width(void **state)
{
    struct vdev_rig *r = *state;
    for (uint8_t i = 0; i < VDEV_CONFIG; i++)
        r->dev.config[i] = (uint8_t)(0x10 + i);
    assert_int_equal(virtio_read_config(&r->dev.v, 1, 1), 0x11);
    assert_int_equal(virtio_read_config(&r->dev.v, 1, 2), 0x1211);
    assert_int_equal(virtio_read_config(&r->dev.v, 4, 4), 0x17161514);
    assert_int_equal(virtio_read_config(&r->dev.v, 4, 8), UINT64_C(0x1b1a191817161514));
}

static void behind_the_configuration_there_are_zeros(void **state)
{
    struct vdev_rig *r = *state;
    r->dev.config[VDEV_CONFIG - 1] = 0x99;
    assert_int_equal(virtio_read_config(&r->dev.v, VDEV_CONFIG - 1, 8), 0x99);
    static const uint64_t outside[] = {VDEV_CONFIG, VDEV_CONFIG + 1, VIRTIO_CONFIG_BYTES,
                                       UINT32_MAX,  UINT64_MAX - 3,  UINT64_MAX};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(virtio_read_config(&r->dev.v, outside[i], 4), 0);
}

static void fill_config(void *ctx, uint8_t *out)
{
    (void)ctx;
    memset(out, 0xff, VIRTIO_CONFIG_BYTES);
}

static void behind_the_longest_configuration_too(void **state)
{
    struct vdev_rig *r = *state;
    static const struct virtio_ops full = {
        .name = "full", .type = VIRTIO_TYPE_RNG, .serve = vdev_serve, .read_config = fill_config};
    struct virtio_config config = vdev_config(r);
    config.ops = &full;
    config.config_bytes = VIRTIO_CONFIG_BYTES;
    assert_int_equal(virtio_init(&r->second, &config, NULL), 0);
    assert_int_equal(virtio_read_config(&r->second, VIRTIO_CONFIG_BYTES - 1, 8), 0xff);
    assert_int_equal(virtio_read_config(&r->second, VIRTIO_CONFIG_BYTES, 8), 0);
    virtio_fini(&r->second);
}

static void writes_reach_the_device_if_all_is_inside(void **state)
{
    struct vdev_rig *r = *state;
    virtio_write_config(&r->dev.v, 4, 8, UINT64_C(0x1122334455667788));
    assert_int_equal(r->dev.written_offset, 4);
    assert_int_equal(r->dev.written_bytes, 8);
    assert_int_equal(r->dev.written_value, UINT64_C(0x1122334455667788));
    static const uint64_t outside[] = {VDEV_CONFIG - 1, VDEV_CONFIG, UINT64_MAX};
    for (size_t i = 0; i < 3; i++)
        virtio_write_config(&r->dev.v, outside[i], 2, 1);
    assert_int_equal(r->dev.written_offset, 4);
}

static void a_device_without_configuration_reads_zero(void **state)
{
    struct vdev_rig *r = *state;
    static const struct virtio_ops bare = {.name = "bare", .type = VIRTIO_TYPE_RNG, .serve = vdev_serve};
    struct virtio_config config = vdev_config(r);
    config.ops = &bare;
    assert_int_equal(virtio_init(&r->second, &config, NULL), 0);
    assert_int_equal(virtio_read_config(&r->second, 0, 4), 0);
    virtio_write_config(&r->second, 0, 4, 1);
    assert_int_equal(virtio_get_generation(&r->second), 0);
    virtio_set_status(&r->second, 0);
    virtio_fini(&r->second);
}

/* The driver reads a value of 8 bytes in two halves, and in between it changes. */
static void a_value_read_in_two_halves_shows_when_it_is_torn(void **state)
{
    struct vdev_rig *r = *state;
    uint8_t before = virtio_get_generation(&r->dev.v);
    (void)virtio_read_config(&r->dev.v, 0, 4);
    memset(r->dev.config, 0xff, 8);
    assert_int_equal(virtio_read_config(&r->dev.v, 4, 4), UINT32_MAX);
    uint8_t after = virtio_get_generation(&r->dev.v);
    assert_int_not_equal(before, after);
    (void)virtio_read_config(&r->dev.v, 0, 8);
    assert_int_equal(virtio_get_generation(&r->dev.v), after);
}

static void a_change_is_told_to_a_driver_that_is_there(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    virtio_config_changed(&r->dev.v);
    assert_int_equal(r->d.config_interrupts, 1);
}

static void a_change_before_driver_ok_is_told_then(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, 0));
    virtio_config_changed(&r->dev.v);
    virtio_config_changed(&r->dev.v);
    assert_int_equal(r->d.config_interrupts, 0);
    vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    assert_int_equal(r->d.config_interrupts, 1);
}

static void a_change_before_a_reset_is_not_told_after(void **state)
{
    struct vdev_rig *r = *state;
    virtio_config_changed(&r->dev.v);
    vdev_start(r);
    assert_int_equal(r->d.config_interrupts, 0);
    vdev_set_status(r, 0);
    virtio_config_changed(&r->dev.v);
    assert_int_equal(r->d.config_interrupts, 0);
}

/* ---- Life ---- */

static void without_descriptors_there_is_no_device(void **state)
{
    struct vdev_rig *r = *state;
    const struct virtio_config config = vdev_config(r);
    struct rlimit before, few;
    struct err err;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    close(next);
    few = before;
    few.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int code = virtio_init(&r->second, &config, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, -EMFILE);
    assert_non_null(strstr(err.text, "test"));
    assert_null(r->second.cfg.ops);
    virtio_fini(&r->second);
    assert_int_equal(dup(0), next);
    close(next);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, vdev_set_up, vdev_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_offered_is_the_devices_and_the_rings),
        CASE(packed_rings_are_offered_when_asked_for),
        CASE(a_subset_of_features_is_accepted),
        CASE(a_feature_that_is_not_offered_is_refused),
        CASE(a_driver_of_before_version_1_is_refused),
        CASE(features_are_frozen_once_accepted),
        CASE(status_bits_stay_until_a_reset),
        CASE(a_driver_cannot_set_bits_of_the_device),
        CASE(driver_ok_activates_with_the_features),
        CASE(driver_ok_twice_activates_once),
        CASE(driver_ok_before_features_ok_breaks_the_device),
        CASE(a_reset_forgets_all_that_was_configured),
        CASE(a_device_works_again_after_a_reset),
        CASE(registers_read_back_what_was_written),
        CASE(sizes_are_at_most_what_the_device_says),
        CASE(queues_that_there_are_not_read_zero_and_ignore_writes),
        CASE(an_enabled_queue_keeps_its_place),
        CASE(everything_is_frozen_at_driver_ok),
        CASE(a_queue_that_is_not_enabled_at_driver_ok_never_is),
        CASE(a_queue_in_the_wrong_place_breaks_the_device),
        CASE(a_place_is_checked_again_after_a_reset),
        CASE(configuration_can_be_read_in_any_width),
        CASE(behind_the_configuration_there_are_zeros),
        CASE(behind_the_longest_configuration_too),
        CASE(writes_reach_the_device_if_all_is_inside),
        CASE(a_device_without_configuration_reads_zero),
        CASE(a_value_read_in_two_halves_shows_when_it_is_torn),
        CASE(a_change_is_told_to_a_driver_that_is_there),
        CASE(a_change_before_driver_ok_is_told_then),
        CASE(a_change_before_a_reset_is_not_told_after),
        CASE(without_descriptors_there_is_no_device),
    };
    return cmocka_run_group_tests_name("virtio/virtio", tests, NULL, NULL);
}
