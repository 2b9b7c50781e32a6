/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtio device of three queues that does what a test tells it, behind a driver (virtio_driver.h), for tests of what
 * all devices have in common. Functions that "must" succeed fail the test otherwise.
 */
#ifndef CAISSON_TESTS_LIB_VIRTIO_DEVICE_H
#define CAISSON_TESTS_LIB_VIRTIO_DEVICE_H

#include "common/log.h"
#include "tests/lib/virtio_driver.h"

#define VDEV_QUEUES    3u /* the last one has no loop */
#define VDEV_SIZE      64u
#define VDEV_CONFIG    12u
#define VDEV_FEATURE_A 0
#define VDEV_FEATURE_B 40

#define VDEV_ACKNOWLEDGED (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER)
#define VDEV_READY        (VDEV_ACKNOWLEDGED | VIRTIO_STATUS_FEATURES_OK)

struct vdev {
    struct virtio v;
    struct virtq_chain chain, other; /* `other` is the test's */
    enum virtio_served answer;       /* after one chain */
    bool stops;                      /* serve gives the answer without taking anything */
    unsigned serves[VDEV_QUEUES], activates, resets;
    uint64_t features;                                             /* of the last activate */
    void (*inside)(struct vdev *, unsigned queue, struct virtq *); /* called in serve, with a chain in `chain` */
    void *ctx;
    uint8_t config[VDEV_CONFIG];
    uint32_t written_offset;
    unsigned written_bytes;
    uint64_t written_value;
    _Atomic bool in_serve; /* no reset may come */
};

struct vdev_rig {
    struct vdrv d;
    struct vdev dev;
    struct virtio second; /* the test's */
    struct log log;
    int log_fd;
    bool shared;
};

/* Fixtures of cmocka: *state is a struct vdev_rig; the second kind has one lock for all rings. */
int vdev_set_up(void **state);
int vdev_set_up_shared(void **state);
int vdev_tear_down(void **state);

/* What the device was made with. */
struct virtio_config vdev_config(struct vdev_rig *r);
enum virtio_served vdev_serve(void *ctx, unsigned queue, struct virtq *q);

/* Must start, with no features; counts of service begin again. */
void vdev_start(struct vdev_rig *r);
/* Post a chain of one writable buffer of 4 bytes, or one that breaks the ring. */
uint16_t vdev_post(struct vdev_rig *r, unsigned queue);
void vdev_post_broken(struct vdev_rig *r, unsigned queue);
/* Take what the device has returned: how many. */
unsigned vdev_take_all(struct vdev_rig *r, unsigned queue);

bool vdev_needs_reset(struct vdev_rig *r);
void vdev_set_status(struct vdev_rig *r, uint8_t status);
uint32_t vdev_get_queue(struct vdev_rig *r, uint32_t queue, enum virtio_queue_register which);
void vdev_set_queue(struct vdev_rig *r, uint32_t queue, enum virtio_queue_register which, uint32_t value);
unsigned vdev_log_lines(struct vdev_rig *r);

#endif
