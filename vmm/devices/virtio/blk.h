/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A disk for the guest, on an image of the host (vmm/backends/disk.h). Requests are served where the queue's loop runs,
 * one after the other, straight between the image and guest memory; several queues with a loop each work side by side.
 *
 * A request may be larger than what is done in one turn: after BLK_TURN_BYTES it goes back to its ring, and what was
 * done of it is remembered. When the queue has its turn again, the request is read and checked anew, as if it were
 * another one, and goes on there. A driver that changed it meanwhile gets what it asked for last, from there on.
 *
 * The status is the last byte that the driver lets the device write, wherever that lies. What is before it is always
 * written as a whole: what could not be had is zeroes, so that nothing is left of what the guest's memory held before,
 * and the length that the driver is told is true. Source: virtio 1.2, 5.2.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_BLK_H
#define CAISSON_VMM_DEVICES_VIRTIO_BLK_H

#include "vmm/backends/disk.h"
#include "vmm/devices/virtio/virtio.h"

#define BLK_QUEUE_SIZE    256u
#define BLK_SERIAL_BYTES  20u
#define BLK_TURN_BYTES    (UINT64_C(1) << 20) /* a turn ends when so much was moved, with less than twice that */
#define BLK_TURN_REQUESTS 64u

/* Most that one request discards or zeroes, and in how many pieces. */
#define BLK_RANGE_SECTORS_MAX 0x40000u /* 128 MiB */
#define BLK_DISCARDS_MAX      16u

enum blk_feature {
    BLK_F_SEG_MAX = 2,
    BLK_F_RO = 5,
    BLK_F_BLK_SIZE = 6,
    BLK_F_FLUSH = 9,
    BLK_F_TOPOLOGY = 10,
    BLK_F_CONFIG_WCE = 11,
    BLK_F_MQ = 12,
    BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

enum blk_type {
    BLK_T_IN = 0,
    BLK_T_OUT = 1,
    BLK_T_FLUSH = 4,
    BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11,
    BLK_T_WRITE_ZEROES = 13,
};

enum blk_status {
    BLK_S_OK = 0,
    BLK_S_IOERR = 1,
    BLK_S_UNSUPP = 2,
};

struct blk_config {
    const struct memory *memory;           /* borrowed, as is all here */
    struct disk *disk;                     /* its read_only is the device's */
    const char *serial;                    /* what GET_ID tells, up to BLK_SERIAL_BYTES of it; NULL: nothing */
    unsigned queues;                       /* 1 to VIRTIO_QUEUES_MAX */
    struct loop *loops[VIRTIO_QUEUES_MAX]; /* one for each queue, or the same; they wait for the host's disk */
    struct log *log;                       /* may be NULL: the first failure of the host is logged */
};

struct blk;

/* Make the device; free it when no VP and no loop runs. 0, or -errno with *err. */
int blk_new(const struct blk_config *config, struct blk **out, struct err *err);
void blk_free(struct blk *blk);
struct virtio *blk_virtio(struct blk *blk);

#endif
