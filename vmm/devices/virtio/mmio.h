/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * virtio-mmio: a device as a page of registers, without a bus around it. Version 2, which is the only one that knows
 * devices of virtio 1.0 and later.
 *
 *     [000h registers, 32 bits each] [100h the device's configuration, any width] [200h nothing] 1000h
 *
 * Registers answer to aligned accesses of 32 bits and to nothing else: others read 0 and vanish, as do registers that
 * there are not. One line tells the driver of used buffers and of changed configurations; it is high while
 * InterruptStatus is not zero, so nothing is lost while the driver is busy. There is no shared memory: its length reads
 * as all ones.
 * From DRIVER_OK to the next reset QueueReady cannot be written: queues are stopped by a reset.
 *
 * A hypervisor that signals an eventfd on writes of a queue's number to VIRTIO_MMIO_QUEUE_NOTIFY can do that with the
 * queue's kick_fd (virtio.h) and spare the VP the way through the bus.
 *
 * Threads: registers are for any VP, several at once; the selectors belong to whoever wrote them last, as in hardware.
 * Source: virtio 1.2, 4.2.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_MMIO_H
#define CAISSON_VMM_DEVICES_VIRTIO_MMIO_H

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/bus.h"
#include "vmm/devices/virtio/virtio.h"
#include "vmm/irq.h"

#define VIRTIO_MMIO_BYTES  UINT64_C(0x1000) /* of addresses; base: a multiple of it */
#define VIRTIO_MMIO_MAGIC  0x74726976u      /* "virt" */
#define VIRTIO_MMIO_VENDOR 0x53494143u      /* "CAIS": nobody assigns these */

/* Offsets (4.2.2); R and W: those that only one direction knows. */
enum virtio_mmio_register {
    VIRTIO_MMIO_MAGIC_VALUE = 0x000,         /* R */
    VIRTIO_MMIO_VERSION = 0x004,             /* R */
    VIRTIO_MMIO_DEVICE_ID = 0x008,           /* R */
    VIRTIO_MMIO_VENDOR_ID = 0x00c,           /* R */
    VIRTIO_MMIO_DEVICE_FEATURES = 0x010,     /* R */
    VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014, /* W */
    VIRTIO_MMIO_DRIVER_FEATURES = 0x020,     /* W */
    VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024, /* W */
    VIRTIO_MMIO_QUEUE_SEL = 0x030,           /* W */
    VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034,       /* R */
    VIRTIO_MMIO_QUEUE_NUM = 0x038,           /* W */
    VIRTIO_MMIO_QUEUE_READY = 0x044,
    VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,     /* W: number of the queue */
    VIRTIO_MMIO_INTERRUPT_STATUS = 0x060, /* R */
    VIRTIO_MMIO_INTERRUPT_ACK = 0x064,    /* W */
    VIRTIO_MMIO_STATUS = 0x070,
    VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,    /* W */
    VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,   /* W */
    VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,  /* W */
    VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094, /* W */
    VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,  /* W */
    VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4, /* W */
    VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0,       /* R */
    VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4,      /* R */
    VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8,      /* R */
    VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc,     /* R */
    VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc, /* R */
    VIRTIO_MMIO_CONFIG = 0x100,
};

/* Bits of InterruptStatus. */
#define VIRTIO_MMIO_USED_BUFFERS   1u
#define VIRTIO_MMIO_CONFIG_CHANGED 2u

struct virtio_mmio;

/*
 * Put a device on the bus at [base, base + VIRTIO_MMIO_BYTES) and become its transport. v, bus: borrowed for as long as
 * the result. line: copied; its set is called under locks of the device. 0 with *out, or -errno with *err and *out
 * NULL: -ENOMEM, or what bus_add_mmio says. Before VPs run.
 */
int virtio_mmio_new(struct virtio *v, struct bus *bus, gpa_t base, const struct irq_line *line,
                    struct virtio_mmio **out, struct err *err);
/* No VP and no loop runs any more, and nobody uses the bus. NULL is accepted. Before virtio_fini of the device. */
void virtio_mmio_free(struct virtio_mmio *m);

#endif
