/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * virtio-mmio (virtio 1.2, 4.2), through the bus, as a driver sees it. Only in builds with that transport:
 * make CONFIG=mmio test T=virtio/mmio
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/mmio.h"

#define BASE    UINT64_C(0xd0000000)
#define GSI     5u
#define QUEUES  2u
#define SIZE    16u
#define CONFIG  6u
#define FEATURE 37

#define READY (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)
#define ALIVE (READY | VIRTIO_STATUS_DRIVER_OK)

struct rig {
    struct vdrv d;
    struct virtio v;
    struct bus bus;
    struct virtio_mmio *m;
    struct virtq_chain chain;
    uint8_t config[CONFIG];
    uint32_t written_offset;
    unsigned written_bytes, resets;
    bool line;
    unsigned edges;
};

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct rig *r = dev;
    (void)queue;
    if (virtq_pop(q, &r->chain) <= 0)
        return VIRTIO_DRAINED;
    virtq_push(q, &r->chain, 0);
    return VIRTIO_MORE;
}

static void read_config(void *dev, uint8_t *out)
{
    struct rig *r = dev;
    memcpy(out, r->config, CONFIG);
}

static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct rig *r = dev;
    r->written_offset = offset;
    r->written_bytes = bytes;
    memcpy(r->config + offset, &value, bytes);
}

static void count_reset(void *dev)
{
    struct rig *r = dev;
    r->resets++;
}

static void set_line(void *ctx, unsigned gsi, bool level)
{
    struct rig *r = ctx;
    assert_int_equal(gsi, GSI);
    assert_true(level != r->line);
    r->line = level;
    r->edges++;
}

static const struct virtio_ops ops = {.name = "test",
                                      .type = VIRTIO_TYPE_BLOCK,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .write_config = write_config,
                                      .reset = count_reset};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    vdrv_init(&r->d);
    const struct virtio_config config = {.ops = &ops,
                                         .dev = r,
                                         .memory = &r->d.memory,
                                         .features = VIRTIO_FEATURE(FEATURE),
                                         .config_bytes = CONFIG,
                                         .queues = QUEUES,
                                         .queue_size = SIZE,
                                         .loops = {&r->d.loop, &r->d.loop}};
    const struct irq_line line = {.set = set_line, .ctx = r, .gsi = GSI};
    if (virtio_init(&r->v, &config, NULL) < 0 ||
        virtio_mmio_new(&r->v, &r->bus, gpa_make(BASE), &line, &r->m, NULL) < 0)
        return -1;
    bus_freeze(&r->bus);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    loop_stop(&r->d.loop);
    virtio_mmio_free(r->m);
    virtio_fini(&r->v);
    vdrv_fini(&r->d);
    free(r);
    return 0;
}

static uint64_t read_at(struct rig *r, uint64_t offset, unsigned bytes)
{
    uint64_t value;
    assert_true(bus_mmio_read(&r->bus, gpa_make(BASE + offset), bytes, &value));
    return value;
}

static void write_at(struct rig *r, uint64_t offset, unsigned bytes, uint64_t value)
{
    assert_true(bus_mmio_write(&r->bus, gpa_make(BASE + offset), bytes, value));
}

static uint32_t get(struct rig *r, enum virtio_mmio_register which)
{
    return (uint32_t)read_at(r, which, 4);
}

static void set(struct rig *r, enum virtio_mmio_register which, uint32_t value)
{
    write_at(r, which, 4, value);
}

/* ---- A driver ---- */

static void negotiate(struct rig *r, uint64_t features)
{
    set(r, VIRTIO_MMIO_STATUS, 0);
    set(r, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    set(r, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    set(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    set(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
    set(r, VIRTIO_MMIO_STATUS, READY);
    r->d.features = features;
}

static void set_up_queue(struct rig *r, unsigned queue)
{
    const struct vdrv_queue *q = &r->d.queue[queue];
    set(r, VIRTIO_MMIO_QUEUE_SEL, queue);
    assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_NUM_MAX), SIZE);
    vdrv_place_queue(&r->d, queue, 8);
    set(r, VIRTIO_MMIO_QUEUE_NUM, 8);
    set(r, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)q->descriptors);
    set(r, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(q->descriptors >> 32));
    set(r, VIRTIO_MMIO_QUEUE_DRIVER_LOW, (uint32_t)q->available);
    set(r, VIRTIO_MMIO_QUEUE_DRIVER_HIGH, (uint32_t)(q->available >> 32));
    set(r, VIRTIO_MMIO_QUEUE_DEVICE_LOW, (uint32_t)q->used);
    set(r, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, (uint32_t)(q->used >> 32));
    set(r, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 1);
}

static void start(struct rig *r)
{
    negotiate(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), READY);
    for (unsigned i = 0; i < QUEUES; i++)
        set_up_queue(r, i);
    set(r, VIRTIO_MMIO_STATUS, ALIVE);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), ALIVE);
    vdrv_turn(&r->d);
}

static void request(struct rig *r, unsigned queue)
{
    struct vdrv_buffer b = {.gpa = 0x8000, .bytes = 4};
    (void)vdrv_post(&r->d, queue, &b, 1);
    set(r, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, queue, NULL, NULL));
}

/* ---- What it is ---- */

static void it_says_what_it_is(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(get(r, VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(get(r, VIRTIO_MMIO_DEVICE_ID), VIRTIO_TYPE_BLOCK);
    assert_int_equal(get(r, VIRTIO_MMIO_VENDOR_ID), VIRTIO_MMIO_VENDOR);
}

static void what_identifies_it_cannot_be_written(void **state)
{
    struct rig *r = *state;
    static const enum virtio_mmio_register constant[] = {
        VIRTIO_MMIO_MAGIC_VALUE,     VIRTIO_MMIO_VERSION,       VIRTIO_MMIO_DEVICE_ID,        VIRTIO_MMIO_VENDOR_ID,
        VIRTIO_MMIO_DEVICE_FEATURES, VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_INTERRUPT_STATUS,
    };
    for (size_t i = 0; i < sizeof(constant) / sizeof(constant[0]); i++) {
        uint32_t before = get(r, constant[i]);
        set(r, constant[i], ~before);
        assert_int_equal(get(r, constant[i]), before);
    }
}

static void features_are_shown_in_halves(void **state)
{
    struct rig *r = *state;
    set(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(get(r, VIRTIO_MMIO_DEVICE_FEATURES), 1u << (FEATURE - 32) | 1);
    set(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    assert_int_equal(get(r, VIRTIO_MMIO_DEVICE_FEATURES),
                     1u << VIRTIO_RING_F_EVENT_IDX | 1u << VIRTIO_RING_F_INDIRECT_DESC);
    set(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(get(r, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void features_are_accepted_or_not(void **state)
{
    struct rig *r = *state;
    negotiate(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(FEATURE));
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), READY);
    negotiate(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(FEATURE + 1));
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), READY & ~VIRTIO_STATUS_FEATURES_OK);
    negotiate(r, 0);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), READY & ~VIRTIO_STATUS_FEATURES_OK);
}

static void there_is_no_shared_memory(void **state)
{
    struct rig *r = *state;
    for (uint64_t at = VIRTIO_MMIO_SHM_LEN_LOW; at <= VIRTIO_MMIO_SHM_BASE_HIGH; at += 4)
        assert_int_equal(read_at(r, at, 4), UINT32_MAX);
}

/* ---- Accesses ---- */

static void registers_answer_to_aligned_words_only(void **state)
{
    struct rig *r = *state;
    for (uint64_t at = 0; at < VIRTIO_MMIO_CONFIG; at++) {
        assert_int_equal(read_at(r, at, 1), 0);
        assert_int_equal(read_at(r, at, 2), 0);
        assert_int_equal(read_at(r, at, 8), 0);
        if (at % 4 != 0)
            assert_int_equal(read_at(r, at, 4), 0);
    }
    static const unsigned widths[] = {1, 2, 8};
    for (size_t i = 0; i < 3; i++)
        write_at(r, VIRTIO_MMIO_STATUS, widths[i], VIRTIO_STATUS_ACKNOWLEDGE);
    write_at(r, VIRTIO_MMIO_STATUS + 2, 4, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), 0);
}

static void registers_that_there_are_not_read_zero(void **state)
{
    struct rig *r = *state;
    static const uint64_t none[] = {0x18, 0x28, 0x3c, 0x40, 0x48, 0x58, 0x68, 0x78, 0x88, 0x98, 0xa8, 0xc0, 0xf8};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        write_at(r, none[i], 4, UINT32_MAX);
        assert_int_equal(read_at(r, none[i], 4), 0);
    }
}

static void registers_for_writing_read_zero(void **state)
{
    struct rig *r = *state;
    static const enum virtio_mmio_register one_way[] = {
        VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES,  VIRTIO_MMIO_DRIVER_FEATURES_SEL,
        VIRTIO_MMIO_QUEUE_NUM,           VIRTIO_MMIO_QUEUE_NOTIFY,     VIRTIO_MMIO_INTERRUPT_ACK,
        VIRTIO_MMIO_QUEUE_DESC_LOW,      VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_DRIVER_LOW,
        VIRTIO_MMIO_QUEUE_DRIVER_HIGH,   VIRTIO_MMIO_QUEUE_DEVICE_LOW, VIRTIO_MMIO_QUEUE_DEVICE_HIGH,
        VIRTIO_MMIO_QUEUE_SEL,
    };
    for (size_t i = 0; i < sizeof(one_way) / sizeof(one_way[0]); i++) {
        set(r, one_way[i], 1);
        assert_int_equal(get(r, one_way[i]), 0);
    }
}

static void configuration_takes_any_width_at_any_place(void **state)
{
    struct rig *r = *state;
    memcpy(r->config, "\1\2\3\4\5\6", CONFIG);
    assert_int_equal(read_at(r, VIRTIO_MMIO_CONFIG, 8), UINT64_C(0x060504030201));
    assert_int_equal(read_at(r, VIRTIO_MMIO_CONFIG + 1, 4), 0x05040302);
    assert_int_equal(read_at(r, VIRTIO_MMIO_CONFIG + 3, 2), 0x0504);
    assert_int_equal(read_at(r, VIRTIO_MMIO_CONFIG + 5, 1), 6);
    assert_int_equal(read_at(r, VIRTIO_MMIO_BYTES - 8, 8), 0);
    write_at(r, VIRTIO_MMIO_CONFIG + 3, 2, 0xbbaa);
    assert_int_equal(r->written_offset, 3);
    assert_int_equal(r->written_bytes, 2);
    write_at(r, VIRTIO_MMIO_CONFIG + 5, 2, 0);
    assert_int_equal(r->written_offset, 3);
}

static void the_generation_changes_with_the_configuration(void **state)
{
    struct rig *r = *state;
    uint32_t before = get(r, VIRTIO_MMIO_CONFIG_GENERATION);
    assert_int_equal(get(r, VIRTIO_MMIO_CONFIG_GENERATION), before);
    r->config[0]++;
    assert_int_not_equal(get(r, VIRTIO_MMIO_CONFIG_GENERATION), before);
}

/* ---- Queues ---- */

static void a_request_goes_through(void **state)
{
    struct rig *r = *state;
    start(r);
    request(r, 0);
    request(r, 1);
}

static void queues_that_there_are_not_have_no_size(void **state)
{
    struct rig *r = *state;
    static const uint32_t none[] = {QUEUES, 16, 0x10000, UINT32_MAX};
    start(r);
    for (size_t i = 0; i < 4; i++) {
        set(r, VIRTIO_MMIO_QUEUE_SEL, none[i]);
        assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
        set(r, VIRTIO_MMIO_QUEUE_READY, 1);
        assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 0);
        set(r, VIRTIO_MMIO_QUEUE_NOTIFY, none[i]);
    }
    assert_int_equal(loop_turn(&r->d.loop), 0);
}

/* What Linux does with queues that it could not all set up. */
static void a_queue_can_be_given_up_before_driver_ok(void **state)
{
    struct rig *r = *state;
    negotiate(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    set_up_queue(r, 0);
    set(r, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void queues_are_frozen_at_driver_ok(void **state)
{
    struct rig *r = *state;
    start(r);
    for (uint64_t at = VIRTIO_MMIO_QUEUE_NUM; at <= VIRTIO_MMIO_QUEUE_READY; at += 4)
        write_at(r, at, 4, 4);
    for (uint64_t at = VIRTIO_MMIO_QUEUE_DESC_LOW; at <= VIRTIO_MMIO_QUEUE_DEVICE_HIGH; at += 4)
        write_at(r, at, 4, 0x1000);
    assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 1);
    for (unsigned i = 0; i < 20; i++)
        request(r, 1);
}

static void a_queue_in_the_wrong_place_breaks_the_device(void **state)
{
    struct rig *r = *state;
    negotiate(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    set_up_queue(r, 0);
    set(r, VIRTIO_MMIO_QUEUE_READY, 0);
    set(r, VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
    set(r, VIRTIO_MMIO_QUEUE_READY, 1);
    set(r, VIRTIO_MMIO_STATUS, ALIVE);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), ALIVE | VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_CONFIG_CHANGED);
    assert_true(r->line);
}

/* ---- Interrupts ---- */

static void the_line_is_high_until_all_is_acknowledged(void **state)
{
    struct rig *r = *state;
    start(r);
    request(r, 0);
    assert_true(r->line);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_USED_BUFFERS);
    virtio_config_changed(&r->v);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_USED_BUFFERS | VIRTIO_MMIO_CONFIG_CHANGED);
    set(r, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_USED_BUFFERS);
    assert_true(r->line);
    set(r, VIRTIO_MMIO_INTERRUPT_ACK, ~VIRTIO_MMIO_CONFIG_CHANGED);
    assert_true(r->line);
    set(r, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_CONFIG_CHANGED);
    assert_false(r->line);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(r->edges, 2);
}

static void an_interrupt_while_another_is_pending_is_not_lost(void **state)
{
    struct rig *r = *state;
    start(r);
    request(r, 0);
    request(r, 1);
    assert_int_equal(r->edges, 1);
    set(r, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_USED_BUFFERS);
    request(r, 0);
    assert_true(r->line);
    assert_int_equal(r->edges, 3);
}

static void a_reset_clears_everything(void **state)
{
    struct rig *r = *state;
    start(r);
    request(r, 0);
    virtio_config_changed(&r->v);
    set(r, VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_false(r->line);
    for (uint32_t i = 0; i < QUEUES; i++) {
        set(r, VIRTIO_MMIO_QUEUE_SEL, i);
        assert_int_equal(get(r, VIRTIO_MMIO_QUEUE_READY), 0);
    }
    virtio_config_changed(&r->v);
    assert_false(r->line);
    start(r);
    request(r, 1);
}

static void bits_that_no_status_has_are_no_reset(void **state)
{
    struct rig *r = *state;
    start(r);
    unsigned before = r->resets;
    set(r, VIRTIO_MMIO_STATUS, 0x100);
    set(r, VIRTIO_MMIO_STATUS, 0xffffff00);
    assert_int_equal(get(r, VIRTIO_MMIO_STATUS), ALIVE);
    assert_int_equal(r->resets, before);
}

/* The loop interrupts while a VP resets: neither waits for the other's lock. */
static void *reset_often(void *ctx)
{
    struct rig *r = ctx;
    for (unsigned i = 0; i < 200; i++)
        set(r, VIRTIO_MMIO_STATUS, 0);
    return NULL;
}

static void resets_and_interrupts_do_not_wait_for_each_other(void **state)
{
    struct rig *r = *state;
    pthread_t vp;
    start(r);
    assert_int_equal(loop_start(&r->d.loop, NULL), 0);
    assert_int_equal(pthread_create(&vp, NULL, reset_often, r), 0);
    for (unsigned i = 0; i < 100; i++) {
        virtio_config_changed(&r->v);
        set(r, VIRTIO_MMIO_QUEUE_NOTIFY, i % 2);
    }
    pthread_join(vp, NULL);
    assert_int_equal(get(r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_false(r->line);
}

/* ---- Life ---- */

static void two_devices_cannot_have_one_address(void **state)
{
    struct rig *r = *state;
    struct bus bus = {.frozen = false};
    struct virtio_mmio *m, *second = r->m;
    const struct irq_line line = {.set = NULL};
    struct err err;
    virtio_mmio_free(r->m);
    r->m = NULL;
    assert_int_equal(virtio_mmio_new(&r->v, &bus, gpa_make(BASE), &line, &m, NULL), 0);
    assert_int_equal(virtio_mmio_new(&r->v, &bus, gpa_make(BASE + 0x800), &line, &second, &err), -EEXIST);
    assert_null(second);
    assert_non_null(strstr(err.text, "test"));
    virtio_mmio_free(m);
    virtio_mmio_free(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_says_what_it_is),
        CASE(what_identifies_it_cannot_be_written),
        CASE(features_are_shown_in_halves),
        CASE(features_are_accepted_or_not),
        CASE(there_is_no_shared_memory),
        CASE(registers_answer_to_aligned_words_only),
        CASE(registers_that_there_are_not_read_zero),
        CASE(registers_for_writing_read_zero),
        CASE(configuration_takes_any_width_at_any_place),
        CASE(the_generation_changes_with_the_configuration),
        CASE(a_request_goes_through),
        CASE(queues_that_there_are_not_have_no_size),
        CASE(a_queue_can_be_given_up_before_driver_ok),
        CASE(queues_are_frozen_at_driver_ok),
        CASE(a_queue_in_the_wrong_place_breaks_the_device),
        CASE(the_line_is_high_until_all_is_acknowledged),
        CASE(an_interrupt_while_another_is_pending_is_not_lost),
        CASE(a_reset_clears_everything),
        CASE(bits_that_no_status_has_are_no_reset),
        CASE(resets_and_interrupts_do_not_wait_for_each_other),
        CASE(two_devices_cannot_have_one_address),
    };
    return cmocka_run_group_tests_name("virtio/mmio", tests, NULL, NULL);
}
