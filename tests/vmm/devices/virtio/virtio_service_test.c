/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all virtio devices have in common: service of rings, breakdowns, and resets in between, from other threads too.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtio_device.h"

/* ---- Service ---- */

static void what_was_posted_before_driver_ok_is_served(void **state)
{
    struct vdev_rig *r = *state;
    assert_true(vdrv_negotiate(&r->d, 0));
    vdrv_make_queue(&r->d, 0);
    vdrv_enable_queue(&r->d, 0);
    (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_int_equal(r->dev.serves[0], 0);
    vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    vdrv_turn(&r->d);
    assert_int_equal(vdev_take_all(r, 0), 1);
}

static void a_device_that_wants_more_turns_is_called_again(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    for (unsigned i = 0; i < 3; i++)
        (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 3);
    assert_int_equal(r->dev.serves[0], 4);
}

static void a_device_that_has_enough_is_left_alone(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    r->dev.answer = VIRTIO_ENOUGH;
    for (unsigned i = 0; i < 3; i++)
        (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 1);
    assert_false(vdrv_wants_kick(&r->d, 0));
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 1);
}

static void post_another(struct vdev *dev, unsigned queue, struct virtq *q)
{
    struct vdev_rig *r = dev->ctx;
    (void)q;
    dev->inside = NULL;
    (void)vdev_post(r, queue);
    assert_false(vdrv_wants_kick(&r->d, queue));
}

/* The driver was told not to notify, so nobody else would come back for it. */
static void what_comes_during_service_is_not_forgotten(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    r->dev.ctx = r;
    r->dev.inside = post_another;
    (void)vdev_post(r, 0);
    assert_true(vdrv_wants_kick(&r->d, 0));
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 2);
    (void)vdev_post(r, 0);
    assert_true(vdrv_wants_kick(&r->d, 0));
}

static void post_and_drain(struct vdev *dev, unsigned queue, struct virtq *q)
{
    (void)q;
    post_another(dev, queue, q);
    dev->answer = VIRTIO_DRAINED;
}

static void a_device_that_believes_it_drained_the_queue_is_called_again(void **state)
{
    static const uint64_t kinds[] = {0, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)};
    struct vdev_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(vdrv_start(&r->d, kinds[i]));
        r->dev.answer = VIRTIO_MORE;
        r->dev.ctx = r;
        r->dev.inside = post_and_drain;
        (void)vdev_post(r, 0);
        assert_true(vdrv_wants_kick(&r->d, 0));
        vdrv_kick(&r->d, 0);
        assert_int_equal(vdev_take_all(r, 0), 2);
    }
}

static void one_notification_serves_one_queue(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    (void)vdev_post(r, 0);
    (void)vdev_post(r, 1);
    vdrv_kick(&r->d, 1);
    assert_int_equal(r->dev.serves[0], 0);
    assert_int_equal(vdev_take_all(r, 1), 1);
    assert_int_equal(r->d.interrupts[1], 1);
    assert_int_equal(r->d.interrupts[0], 0);
}

static void a_notification_without_a_chain_interrupts_nobody(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    vdrv_kick(&r->d, 0);
    assert_int_equal(r->dev.serves[0], 1);
    assert_int_equal(r->d.interrupts[0], 0);
}

static void a_ring_can_be_used_from_outside(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    (void)vdev_post(r, 2);
    vdrv_kick(&r->d, 2);
    assert_int_equal(r->dev.serves[2], 0);
    struct virtq *q = virtio_begin(&r->dev.v, 2);
    assert_non_null(q);
    assert_int_equal(virtq_pop(q, &r->dev.chain), 1);
    virtq_push(q, &r->dev.chain, 0);
    virtio_end(&r->dev.v, 2);
    assert_int_equal(vdev_take_all(r, 2), 1);
    assert_int_equal(r->d.interrupts[2], 1);
}

static void packed_rings_are_served_alike(void **state)
{
    struct vdev_rig *r = *state;
    if (!CONFIG_VIRTIO_PACKED)
        skip();
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(VIRTIO_F_RING_PACKED) | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX)));
    for (unsigned i = 0; i < 3 * VDEV_SIZE; i++) {
        (void)vdev_post(r, 0);
        assert_true(vdrv_wants_kick(&r->d, 0));
        vdrv_kick(&r->d, 0);
        assert_int_equal(vdev_take_all(r, 0), 1);
        assert_int_equal(r->d.interrupts[0], i + 1);
    }
}

/* ---- One lock for all rings ---- */

static void answer_on_the_other_queue(struct vdev *dev, unsigned queue, struct virtq *q)
{
    (void)q;
    struct virtq *ring = virtio_ring(&dev->v, 1 - queue);
    assert_non_null(ring);
    assert_int_equal(virtq_pop(ring, &dev->other), 1);
    virtq_push(ring, &dev->other, 1);
}

static void with_one_lock_service_may_use_all_rings(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    r->dev.inside = answer_on_the_other_queue;
    (void)vdev_post(r, 0);
    (void)vdev_post(r, 1);
    vdrv_kick(&r->d, 0);
    assert_int_equal(vdev_take_all(r, 0), 1);
    assert_int_equal(vdev_take_all(r, 1), 1);
    assert_int_equal(r->d.interrupts[0], 1);
    assert_int_equal(r->d.interrupts[1], 1);
}

static void with_one_lock_all_rings_can_be_taken(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    for (unsigned i = 0; i < VDEV_QUEUES; i++)
        (void)vdev_post(r, i);
    virtio_lock(&r->dev.v);
    for (unsigned i = 0; i < VDEV_QUEUES; i++) {
        struct virtq *q = virtio_ring(&r->dev.v, i);
        assert_int_equal(virtq_pop(q, &r->dev.chain), 1);
        virtq_push(q, &r->dev.chain, 0);
    }
    virtio_unlock(&r->dev.v);
    for (unsigned i = 0; i < VDEV_QUEUES; i++) {
        assert_int_equal(vdev_take_all(r, i), 1);
        assert_int_equal(r->d.interrupts[i], 1);
    }
}

static void with_one_lock_there_are_no_rings_without_a_driver(void **state)
{
    struct vdev_rig *r = *state;
    virtio_lock(&r->dev.v);
    assert_null(virtio_ring(&r->dev.v, 0));
    virtio_unlock(&r->dev.v);
    vdev_start(r);
    vdev_post_broken(r, 1);
    vdrv_kick(&r->d, 1);
    virtio_lock(&r->dev.v);
    assert_null(virtio_ring(&r->dev.v, 0));
    virtio_unlock(&r->dev.v);
}

/* ---- Breakdowns ---- */

static void a_broken_ring_stops_the_device_and_tells_the_driver(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    vdev_post_broken(r, 0);
    vdrv_kick(&r->d, 0);
    assert_true(vdev_needs_reset(r));
    assert_int_equal(r->d.config_interrupts, 1);
    assert_int_equal(vdev_log_lines(r), 1);
    (void)vdev_post(r, 1);
    vdrv_kick(&r->d, 1);
    vdrv_kick(&r->d, 0);
    assert_int_equal(r->dev.serves[1], 0);
    assert_int_equal(r->dev.serves[0], 1);
    assert_null(virtio_begin(&r->dev.v, 1));
    assert_int_equal(r->d.config_interrupts, 1);
}

static void a_ring_broken_from_outside_counts_too(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    vdev_post_broken(r, 2);
    struct virtq *q = virtio_begin(&r->dev.v, 2);
    assert_int_equal(virtq_pop(q, &r->dev.chain), -EPROTO);
    virtio_end(&r->dev.v, 2);
    assert_true(vdev_needs_reset(r));
    assert_int_equal(r->d.config_interrupts, 1);
}

static void a_reset_mends_a_broken_device(void **state)
{
    struct vdev_rig *r = *state;
    for (unsigned i = 0; i < 3; i++) {
        vdev_start(r);
        vdev_post_broken(r, 0);
        vdrv_kick(&r->d, 0);
        assert_true(vdev_needs_reset(r));
        vdev_start(r);
        (void)vdev_post(r, 0);
        vdrv_kick(&r->d, 0);
        assert_int_equal(vdev_take_all(r, 0), 1);
    }
    assert_int_equal(vdev_log_lines(r), 1);
}

static void break_rule(struct vdev *dev, unsigned queue, struct virtq *q)
{
    (void)queue;
    (void)q;
    virtio_break(&dev->v, "a rule");
    virtio_break(&dev->v, "another rule");
}

static void a_rule_of_the_device_can_be_broken_too(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    r->dev.inside = break_rule;
    (void)vdev_post(r, 0);
    (void)vdev_post(r, 0);
    vdrv_kick(&r->d, 0);
    assert_true(vdev_needs_reset(r));
    assert_int_equal(r->d.config_interrupts, 1);
    assert_int_equal(vdev_take_all(r, 0), 1);
    assert_int_equal(r->dev.serves[0], 1);
}

/* It would stay for the next driver, which waits for 0 after its reset. */
static void without_a_driver_nothing_is_broken(void **state)
{
    struct vdev_rig *r = *state;
    virtio_break(&r->dev.v, "too late");
    assert_int_equal(virtio_get_status(&r->dev.v), 0);
    vdev_start(r);
    vdev_set_status(r, 0);
    virtio_break(&r->dev.v, "too late");
    assert_int_equal(virtio_get_status(&r->dev.v), 0);
    assert_int_equal(r->d.config_interrupts, 0);
}

static void a_broken_device_leaves_another_alone(void **state)
{
    struct vdev_rig *r = *state, *other;
    void *second;
    assert_int_equal(vdev_set_up(&second), 0);
    other = second;
    vdev_start(r);
    vdev_start(other);
    vdev_post_broken(r, 0);
    vdrv_kick(&r->d, 0);
    (void)vdev_post(other, 0);
    vdrv_kick(&other->d, 0);
    assert_int_equal(vdev_take_all(other, 0), 1);
    assert_false(vdev_needs_reset(other));
    assert_int_equal(other->d.config_interrupts, 0);
    (void)vdev_tear_down(&second);
}

/* ---- Threads ---- */

struct meeting {
    struct vdev_rig *r;
    sem_t inside, go_on;
};

static void wait_inside(struct vdev *dev, unsigned queue, struct virtq *q)
{
    struct meeting *m = dev->ctx;
    (void)queue;
    (void)q;
    sem_post(&m->inside);
    sem_wait(&m->go_on);
    /* The chain is still there, whoever waits. */
    assert_true(virtq_chain_write(&dev->chain, 0, "done", 4));
}

static void *reset_from_a_vp(void *ctx)
{
    struct vdev_rig *r = ctx;
    vdev_set_status(r, 0);
    return NULL;
}

/* Two chains wait; the device would go on with the second one. */
static void meet(struct vdev_rig *r, struct meeting *m)
{
    m->r = r;
    assert_int_equal(sem_init(&m->inside, 0, 0), 0);
    assert_int_equal(sem_init(&m->go_on, 0, 0), 0);
    vdev_start(r);
    r->dev.ctx = m;
    r->dev.inside = wait_inside;
    assert_int_equal(loop_start(&r->d.loop, NULL), 0);
    (void)vdev_post(r, 1);
    (void)vdev_post(r, 1);
    virtio_kick(&r->dev.v, 1);
    sem_wait(&m->inside);
}

static void part(struct meeting *m)
{
    loop_stop(&m->r->d.loop);
    sem_destroy(&m->inside);
    sem_destroy(&m->go_on);
}

static void a_reset_waits_for_service_and_service_ends(void **state)
{
    struct vdev_rig *r = *state;
    struct meeting m;
    pthread_t vp;
    meet(r, &m);
    assert_int_equal(pthread_create(&vp, NULL, reset_from_a_vp, r), 0);
    while (!atomic_load(&r->dev.v.resetting)) {
    }
    assert_int_equal(virtio_get_status(&r->dev.v), VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
    sem_post(&m.go_on);
    pthread_join(vp, NULL);
    assert_int_equal(virtio_get_status(&r->dev.v), 0);
    assert_int_equal(r->dev.resets, 2); /* vdrv_start begins with one */
    part(&m);
    assert_int_equal(r->dev.serves[1], 1);
    assert_int_equal(vdev_take_all(r, 1), 1);
}

static void a_device_in_service_does_not_hold_up_another(void **state)
{
    struct vdev_rig *r = *state, *other;
    struct meeting m;
    void *second;
    assert_int_equal(vdev_set_up(&second), 0);
    other = second;
    meet(r, &m);
    vdev_start(other);
    (void)vdev_post(other, 0);
    vdrv_kick(&other->d, 0);
    assert_int_equal(vdev_take_all(other, 0), 1);
    vdev_set_status(other, 0);
    r->dev.inside = NULL;
    sem_post(&m.go_on);
    part(&m);
    (void)vdev_tear_down(&second);
}

static void a_queue_in_service_does_not_hold_up_another(void **state)
{
    struct vdev_rig *r = *state;
    struct meeting m;
    meet(r, &m);
    struct virtq *q = virtio_begin(&r->dev.v, 2);
    assert_non_null(q);
    virtio_end(&r->dev.v, 2);
    r->dev.inside = NULL;
    sem_post(&m.go_on);
    part(&m);
}

/* A device that is never finished, and a driver that never waits: each reset still returns. */
static void resets_come_through_endless_service(void **state)
{
    struct vdev_rig *r = *state;
    vdev_start(r);
    r->dev.stops = true;
    assert_int_equal(loop_start(&r->d.loop, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(vdrv_negotiate(&r->d, 0));
        for (unsigned q = 0; q < 2; q++) {
            vdrv_place_queue(&r->d, q, 8);
            vdev_set_queue(r, q, VIRTIO_QUEUE_SIZE, 8);
            vdev_set_queue(r, q, VIRTIO_QUEUE_DESCRIPTORS_LOW, (uint32_t)r->d.queue[q].descriptors);
            vdev_set_queue(r, q, VIRTIO_QUEUE_DRIVER_LOW, (uint32_t)r->d.queue[q].available);
            vdev_set_queue(r, q, VIRTIO_QUEUE_DEVICE_LOW, (uint32_t)r->d.queue[q].used);
            vdrv_enable_queue(&r->d, q);
        }
        vdev_set_status(r, VDEV_READY | VIRTIO_STATUS_DRIVER_OK);
        assert_false(vdev_needs_reset(r));
        vdev_set_status(r, 0);
        assert_int_equal(virtio_get_status(&r->dev.v), 0);
    }
}

#define CASE(name)        cmocka_unit_test_setup_teardown(name, vdev_set_up, vdev_tear_down)
#define SHARED_CASE(name) cmocka_unit_test_setup_teardown(name, vdev_set_up_shared, vdev_tear_down)
#define SHARED_AGAIN(name)                                                                                             \
    {                                                                                                                  \
#name "_with_one_lock", name, vdev_set_up_shared, vdev_tear_down, NULL                                         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_posted_before_driver_ok_is_served),
        CASE(a_device_that_wants_more_turns_is_called_again),
        CASE(a_device_that_has_enough_is_left_alone),
        CASE(what_comes_during_service_is_not_forgotten),
        CASE(a_device_that_believes_it_drained_the_queue_is_called_again),
        CASE(one_notification_serves_one_queue),
        CASE(a_notification_without_a_chain_interrupts_nobody),
        CASE(a_ring_can_be_used_from_outside),
        CASE(packed_rings_are_served_alike),
        SHARED_CASE(with_one_lock_service_may_use_all_rings),
        SHARED_CASE(with_one_lock_all_rings_can_be_taken),
        SHARED_CASE(with_one_lock_there_are_no_rings_without_a_driver),
        CASE(a_broken_ring_stops_the_device_and_tells_the_driver),
        CASE(a_ring_broken_from_outside_counts_too),
        CASE(a_reset_mends_a_broken_device),
        CASE(a_rule_of_the_device_can_be_broken_too),
        CASE(without_a_driver_nothing_is_broken),
        CASE(a_broken_device_leaves_another_alone),
        CASE(a_reset_waits_for_service_and_service_ends),
        SHARED_AGAIN(a_reset_waits_for_service_and_service_ends),
        CASE(a_device_in_service_does_not_hold_up_another),
        CASE(a_queue_in_service_does_not_hold_up_another),
        CASE(resets_come_through_endless_service),
        SHARED_AGAIN(resets_come_through_endless_service),
    };
    return cmocka_run_group_tests_name("virtio/virtio_service", tests, NULL, NULL);
}
