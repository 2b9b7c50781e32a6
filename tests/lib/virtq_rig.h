/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A ring of either kind between a driver (virtio_driver.h, queue 0) and a struct virtq, without a device around them.
 * Functions that "must" succeed fail the test otherwise.
 */
#ifndef CAISSON_TESTS_LIB_VIRTQ_RIG_H
#define CAISSON_TESTS_LIB_VIRTQ_RIG_H

#include "tests/lib/virtio_driver.h"

#define VQR_BUFFER_BYTES 4096u

/* Of descriptors, as the specification numbers them. */
#define VQR_NEXT     1u
#define VQR_WRITE    2u
#define VQR_INDIRECT 4u
#define VQR_AVAIL    0x80u   /* packed */
#define VQR_USED     0x8000u /* packed */

struct virtq_rig {
    struct vdrv d;
    struct virtq q;
    struct virtq_chain chain, held[4]; /* `held` is the test's */
    uint64_t buffer;                   /* VQR_BUFFER_BYTES of guest memory */
};

/* Fixtures of cmocka: *state is a struct virtq_rig without a ring. */
int vqr_set_up(void **state);
int vqr_tear_down(void **state);

/* What the device is told of queue 0 as the driver has placed it. */
struct virtq_config vqr_config(const struct virtq_rig *r);
/* Must make a ring with these features; RING_PACKED among them decides its kind. */
void vqr_start(struct virtq_rig *r, uint16_t size, uint64_t features);

struct vdrv_buffer vqr_buffer(const struct virtq_rig *r, uint32_t bytes, bool writable);
/* Post a chain of so many writable buffers of 8 bytes. */
uint16_t vqr_post(struct virtq_rig *r, unsigned count);
/* Write a descriptor of a table at `table`, as it is; 16-bit fields: `third` at 12, `fourth` at 14. */
void vqr_put(struct virtq_rig *r, uint64_t table, uint16_t index, uint64_t gpa, uint32_t bytes, uint16_t third,
             uint16_t fourth);
/* A 16-bit field of guest memory. */
uint16_t vqr_load(struct virtq_rig *r, uint64_t gpa);
void vqr_store(struct virtq_rig *r, uint64_t gpa, uint16_t value);

/* Must pop one, and push it as if `written` bytes had been written. */
void vqr_pop(struct virtq_rig *r);
void vqr_serve(struct virtq_rig *r, uint32_t written);
/* The next pop must break the ring for this reason, and from then on nothing works. */
void vqr_expect_broken(struct virtq_rig *r, const char *why);
/* The driver must find this one used. */
void vqr_expect_taken(struct virtq_rig *r, uint16_t id, uint32_t written);

#endif
