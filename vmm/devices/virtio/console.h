/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A console with one port (hvc0 to Linux): the guest posts what it wants to say, a whole line or more at a time, and
 * buffers for what it is to hear. What is typed waits in a buffer of VCONSOLE_INPUT_BYTES until the driver has room,
 * also before there is a driver, and across resets.
 *
 * The contract with the far end is that of the serial port (vmm/devices/serial.h): output is a callback, input is
 * offered, and taken in part or whole. vmm/console.h is such a far end, for either of them.
 *
 * Not there: more than one port. Source: virtio 1.2, 5.3.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_CONSOLE_H
#define CAISSON_VMM_DEVICES_VIRTIO_CONSOLE_H

#include "vmm/devices/virtio/virtio.h"

#define VCONSOLE_QUEUE_SIZE   64u
#define VCONSOLE_INPUT_BYTES  65536u
#define VCONSOLE_OUTPUT_BYTES 4096u           /* most that output is given at once */
#define VCONSOLE_TURN_BYTES   UINT64_C(65536) /* of output; a turn ends when so much was said */

enum vconsole_queue {
    VCONSOLE_RX,
    VCONSOLE_TX,
};

enum vconsole_feature {
    VCONSOLE_F_SIZE = 0,
    VCONSOLE_F_EMERG_WRITE = 2,
};

struct vconsole_config {
    const struct memory *memory; /* borrowed, as is all here */
    struct loop *loop;
    struct log *log; /* may be NULL */
    /*
     * Take n bytes that the guest said; they are a copy. On the loop, with the lock of the transmit queue held: it may
     * take a moment, for which this loop's devices and a reset wait, and must not call the device. A byte of an
     * emergency write comes on the VP that wrote it, perhaps at the same time. Not NULL.
     */
    void (*output)(void *ctx, const uint8_t *bytes, size_t n);
    /*
     * At least half of the buffer is free after vconsole_put had refused bytes. On the loop, with the lock of the
     * receive queue held; it may call vconsole_put. May be NULL.
     */
    void (*room)(void *ctx);
    void *ctx;
    uint16_t columns, rows; /* at the start; 0: not known */
};

struct vconsole;

/* Make the device; free it when no VP and no loop runs. 0, or -errno with *err. */
int vconsole_new(const struct vconsole_config *config, struct vconsole **out, struct err *err);
void vconsole_free(struct vconsole *c);
struct virtio *vconsole_virtio(struct vconsole *c);

/*
 * Say n bytes to the guest. Returns how many were taken, in order, 0 to n; the rest stays with the caller, which tries
 * again when config.room is called. Any thread.
 */
size_t vconsole_put(struct vconsole *c, const uint8_t *bytes, size_t n);

/* The far end has another size now. Any thread, without locks. */
void vconsole_resize(struct vconsole *c, uint16_t columns, uint16_t rows);

#endif
