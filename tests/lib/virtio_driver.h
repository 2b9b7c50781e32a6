/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The driver's side of a virtio device, in a process without a virtual machine: memory, a loop that turns when told to,
 * rings, and the steps of 3.1.1. It shares no code with the device's side. Rings are packed if VIRTIO_F_RING_PACKED is
 * among the features, else split. Tests that want a ring which breaks the rules write its bytes themselves, through the
 * addresses in vdrv_queue.
 *
 *     struct vdrv d;
 *     vdrv_init(&d);
 *     ... make the device with d.memory and &d.loop ...
 *     vdrv_attach(&d, virtio);
 *     assert_true(vdrv_start(&d, VIRTIO_FEATURE(...)));
 *     assert_int_equal(vdrv_request(&d, 0, request, sizeof(request), answer, sizeof(answer)), sizeof(answer));
 *     ... end the device ...
 *     vdrv_fini(&d);
 */
#ifndef CAISSON_TESTS_LIB_VIRTIO_DRIVER_H
#define CAISSON_TESTS_LIB_VIRTIO_DRIVER_H

#include "vmm/devices/virtio/virtio.h"

#define VDRV_MEMORY_BYTES UINT64_C(0x1000000) /* from address 0 */
#define VDRV_QUEUE_SIZE   64u                 /* or what the device allows, if that is less */
#define VDRV_BUFFERS_MAX  32u

/* Where a ring is. Packed: `available` and `used` are the event suppression of driver and device. */
struct vdrv_queue {
    uint16_t size;
    bool packed;
    uint64_t descriptors, available, used;
    uint16_t available_index, used_index; /* packed: slots of the ring */
    bool available_wrap, used_wrap;       /* packed */
    uint16_t unannounced;                 /* posted since the last vdrv_wants_kick: chains, or slots if packed */
    uint16_t in_use;                      /* descriptors, or slots */
    uint16_t count_of[VIRTQ_SIZE_MAX];    /* descriptors of the chain with this head, or slots of that with this id */
    bool busy[VIRTQ_SIZE_MAX];            /* split: this descriptor belongs to a chain that was not taken yet */
    uint16_t next_of[VIRTQ_SIZE_MAX];     /* split: the descriptor behind this one in its chain */
};

struct vdrv {
    struct memory memory;
    struct loop loop;
    struct virtio *v;
    uint64_t features; /* as negotiated */
    uint64_t heap;     /* next free address */
    struct vdrv_queue queue[VIRTIO_QUEUES_MAX];
    _Atomic unsigned interrupts[VIRTIO_QUEUES_MAX], config_interrupts;
};

struct vdrv_buffer {
    uint64_t gpa;
    uint32_t bytes;
    bool writable;
};

/* Abort when out of memory. */
void vdrv_init(struct vdrv *d);
/* The device has to be gone. */
void vdrv_fini(struct vdrv *d);
/* Be the device's transport. */
void vdrv_attach(struct vdrv *d, struct virtio *v);

/* The steps one by one, for tests that stray from them. vdrv_place_queue and all of rings below need no device. */
bool vdrv_negotiate(struct vdrv *d, uint64_t features); /* VERSION_1 is added; false: FEATURES_OK did not stay */
void vdrv_place_queue(struct vdrv *d, unsigned queue, uint16_t size); /* memory alone; d->features decides which kind */
void vdrv_make_queue(struct vdrv *d, unsigned queue);                 /* memory and registers, not enabled */
void vdrv_enable_queue(struct vdrv *d, unsigned queue);
/*
 * All of them, for every queue that the device has, up to DRIVER_OK. False: the device refused. Packed rings need not
 * be in the device's own settings: they are offered (virtio_offer_packed) when asked for here.
 */
bool vdrv_start(struct vdrv *d, uint64_t features);
/* Reset; memory that was handed out stays. */
void vdrv_reset(struct vdrv *d);

/* Zeroed memory; alignment: a power of two. Aborts when used up. */
uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t alignment);
/* The same with this content. */
uint64_t vdrv_put(struct vdrv *d, const void *content, uint64_t bytes);
/* Memory of the guest, on the host; aborts outside. */
uint8_t *vdrv_at(struct vdrv *d, uint64_t gpa, uint64_t bytes);

/* Post a chain; its head (packed: its id). Does not notify. Aborts when the ring is full. */
uint16_t vdrv_post(struct vdrv *d, unsigned queue, const struct vdrv_buffer *buffers, unsigned count);
/* The same by an indirect table, which takes one descriptor of the ring. */
uint16_t vdrv_post_indirect(struct vdrv *d, unsigned queue, const struct vdrv_buffer *buffers, unsigned count);
/* Would a driver notify now? True if the device asked to hear of something that was posted since the last call. */
bool vdrv_wants_kick(struct vdrv *d, unsigned queue);
/* Notify, and let the loop turn until nothing is ready. */
void vdrv_kick(struct vdrv *d, unsigned queue);
void vdrv_turn(struct vdrv *d);
/* The next chain that the device returned. False: none. With EVENT_IDX, asks for an interrupt at the one after it. */
bool vdrv_take(struct vdrv *d, unsigned queue, uint16_t *head, uint32_t *written);

/*
 * Post one chain of a readable and a writable part (either may be empty), notify, and take it. Returns how many bytes
 * the device says it wrote, copied to `in`; -1: it did not return the chain.
 */
int64_t vdrv_request(struct vdrv *d, unsigned queue, const void *out, uint32_t out_bytes, void *in, uint32_t in_bytes);

#endif
