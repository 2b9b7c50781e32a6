/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtqueue, from the device's side: the only code that reads rings. What a driver posts is copied once, checked once
 * and handed out as a chain of host addresses; the driver may change every byte of its memory at any time and gains
 * nothing by it. A ring that breaks the rules is reported once and must not be used again.
 *
 *     virtq_quiet(q);
 *     while (budget-- > 0 && (got = virtq_pop(q, &chain)) > 0) {
 *         ... read from chain's readable part, write into its writable part ...
 *         virtq_push(q, &chain, written);
 *     }
 *     more = virtq_listen(q);
 *     if (virtq_publish(q))
 *         interrupt the driver
 *
 * A chain that was popped is pushed, or given back by virtq_unpop, before the ring's lock is given back (virtio.h), so
 * no pointer into guest memory outlives a reset.
 *
 * Threads: a virtq belongs to whoever holds its lock. Source: virtio 1.2, 2.6 to 2.8.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_QUEUE_H
#define CAISSON_VMM_DEVICES_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/gpa.h"
#include "vmm/memory.h"

/* Feature bits that concern rings. */
#define VIRTIO_RING_F_INDIRECT_DESC 28
#define VIRTIO_RING_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1          32
#define VIRTIO_F_RING_PACKED        34

#define VIRTQ_SIZE_MAX 1024u

/* What a driver posted. Readable buffers first, then writable ones; empty buffers are left out. */
struct virtq_chain {
    uint16_t id;      /* for virtq_push */
    uint16_t slots;   /* of the ring: packed rings count by them */
    unsigned out, in; /* entries of iov that the device reads, and behind them those that it writes */
    uint32_t out_bytes, in_bytes;
    struct iovec iov[VIRTQ_SIZE_MAX]; /* guest memory, on the host: shared with the guest */
};

/* Where a driver put a ring, and how large. */
struct virtq_config {
    uint16_t size;
    gpa_t descriptors, driver, device; /* of split rings: descriptor table, available ring, used ring */
    uint64_t features;                 /* negotiated */
};

/* Zeroed: no ring. Private to queue*.c. */
struct virtq {
    const struct memory *memory;
    uint8_t *descriptors, *driver, *device; /* guest memory, on the host */
    uint16_t size;
    bool event_idx, indirect, packed;
    bool broken;        /* breaks the rules; nothing more is popped */
    const char *why;    /* what broke it: a phrase */
    uint16_t next;      /* split: next available entry. Packed: next slot of the ring */
    uint16_t used;      /* split: next used index. Packed: next slot to be written */
    uint16_t published; /* split: used index that the driver knows */
    /* Packed: wrap counters of `next` and `used`; slots popped and pushed that the driver does not know as used yet. */
    bool next_wrap, used_wrap;
    uint16_t taken, fresh;
    uint8_t *first_used; /* packed: the first slot that was pushed since; its flags are written last */
    uint16_t first_used_flags;
};

/*
 * Begin with a ring. memory: borrowed for as long as the ring. 0, or -EINVAL with *why (may be NULL) a phrase: a size
 * that is 0, above VIRTQ_SIZE_MAX or (split) no power of two, a part that is not aligned or not in RAM as a whole.
 */
int virtq_init(struct virtq *q, const struct memory *memory, const struct virtq_config *config, const char **why);

/*
 * Take the next chain. 1: *chain is it. 0: there is none; *chain untouched. -EPROTO: the ring is broken, now or before
 * (q->why); *chain is undefined. Broken is: more posted than the ring holds, an index beyond the table, a chain longer
 * than the ring, an indirect table that is nested, empty, too long or no whole number of entries, a readable buffer
 * behind a writable one, a buffer that is not in RAM, 4 GiB or more in one chain.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/*
 * Give the chain that was popped last back, untouched: the next virtq_pop finds it again. Several chains go back in
 * reverse order. Chains that were popped before it may have been pushed, later ones not.
 */
void virtq_unpop(struct virtq *q, const struct virtq_chain *chain);

/*
 * Return a chain with so many bytes written into its writable part, from its start; not more than chain->in_bytes.
 * Chains may be returned in any order. The driver learns of it by virtq_publish.
 */
void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written);

/* Show the driver all that was pushed. True if it wants an interrupt for that. */
bool virtq_publish(struct virtq *q);

/* Tell the driver that no notifications are wanted. It may send some all the same. */
void virtq_quiet(struct virtq *q);
/* Ask for a notification at the next chain. True if there is one already, for which none may come. */
bool virtq_listen(struct virtq *q);

/* ---- Chains ------------------------------------------------------------------------------------------------------ */

/* Copy from the readable part, starting `offset` bytes into it. False, with nothing copied, if it is shorter. */
bool virtq_chain_read(const struct virtq_chain *chain, size_t offset, void *to, size_t bytes);
/* Copy into the writable part. False, with nothing copied, if it is shorter. */
bool virtq_chain_write(const struct virtq_chain *chain, size_t offset, const void *from, size_t bytes);

/*
 * The entries of a list that cover [offset, offset + bytes), for readv and writev. out: room for `count` entries.
 * Returns how many it wrote; they cover less if the list ends before.
 */
unsigned virtq_slice(const struct iovec *list, unsigned count, size_t offset, size_t bytes, struct iovec *out);

static inline const struct iovec *virtq_chain_in(const struct virtq_chain *chain)
{
    return chain->iov + chain->out;
}

#endif
