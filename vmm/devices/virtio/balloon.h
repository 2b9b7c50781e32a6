/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A balloon: the guest hands pages to the host, which takes their memory away until the guest touches them again.
 * It does so on two occasions: when the host asks for pages (balloon_set_target), which the driver then keeps in the
 * balloon, and, if it can, all the time with those that its allocator has no use for at the moment (reporting).
 *
 * Taking pages back needs no permission (they are simply touched, and the host finds new ones), so the device has
 * nothing to do when the balloon deflates. What a page holds after it was given away is zeroes, or what memory_discard
 * says; no driver may rely on it.
 *
 * The queue for reporting is the fifth by the specification. Linux numbers queues without gaps, and so comes with the
 * third when there are no statistics: the queues behind the second one are all for reporting.
 *
 * Not there: statistics, hinting, page poison. Source: virtio 1.2, 5.5.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_BALLOON_H
#define CAISSON_VMM_DEVICES_VIRTIO_BALLOON_H

#include "vmm/devices/virtio/virtio.h"

#define BALLOON_QUEUES     5u
#define BALLOON_QUEUE_SIZE 128u

enum balloon_queue {
    BALLOON_INFLATE,
    BALLOON_DEFLATE,
    BALLOON_REPORTING, /* and all after it */
};

enum balloon_feature {
    BALLOON_F_DEFLATE_ON_OOM = 2,
    BALLOON_F_REPORTING = 5,
};

/*
 * What is looked at of one chain; the rest stays with the guest, to which that makes no difference. Linux posts 256
 * pages to inflate, and 32 times 4 MiB to report.
 */
#define BALLOON_PAGES_MAX        1024u
#define BALLOON_REPORT_BYTES_MAX (UINT64_C(256) << 20)

struct balloon_config {
    const struct memory *memory; /* borrowed, as is all here */
    struct loop *loop;
    struct log *log; /* may be NULL */
    /*
     * Take whole pages, all in one range, from the guest's memory: 0, or a negative errno, and then the guest keeps
     * them. On the loop, with the lock of a ring held. NULL: memory_discard, which is right if and only if the
     * hypervisor follows what this process does with its memory; read what is said there.
     */
    int (*discard)(void *ctx, gpa_t gpa, uint64_t bytes);
    void *ctx;
};

struct balloon;

/* Make the device, with an empty balloon wanted; free it when no VP and no loop runs. 0, or -errno with *err. */
int balloon_new(const struct balloon_config *config, struct balloon **out, struct err *err);
void balloon_free(struct balloon *b);
struct virtio *balloon_virtio(struct balloon *b);

/*
 * Ask the driver for a balloon of so many pages of 4 KiB. It comes as near as it can, some time or never. More than the
 * guest's memory has is cut to that. Any thread, without locks.
 */
void balloon_set_target(struct balloon *b, uint64_t pages);
/* Pages in the balloon now, as the driver tells; it may tell anything. 0 after a reset. Any thread. */
uint32_t balloon_actual(struct balloon *b);
/* Bytes that were taken from the guest so far, whether it has touched them since or not. Any thread. */
uint64_t balloon_discarded_bytes(struct balloon *b);

#endif
