/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers of the host's kernel for the guest: one queue, to which the driver posts buffers to be filled. At most
 * RNG_CHUNK_BYTES come at a time, so that a driver cannot make the host compute megabytes for one notification.
 *
 * Source: virtio 1.2, 5.4.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_RNG_H
#define CAISSON_VMM_DEVICES_VIRTIO_RNG_H

#include "vmm/devices/virtio/virtio.h"

#define RNG_CHUNK_BYTES 1024u
#define RNG_QUEUE_SIZE  64u

struct rng_config {
    const struct memory *memory; /* borrowed, as is all here */
    struct loop *loop;
    struct log *log; /* may be NULL */
    /*
     * Where the numbers come from: fill `bytes`, or return a negative errno; the driver then gets nothing this time.
     * Must not wait. NULL: the host's kernel.
     */
    int (*fill)(void *ctx, uint8_t *to, size_t bytes);
    void *ctx;
};

struct rng;

/* Make the device; free it when no VP and no loop runs. 0, or -errno with *err. */
int rng_new(const struct rng_config *config, struct rng **out, struct err *err);
void rng_free(struct rng *rng);
struct virtio *rng_virtio(struct rng *rng);

#endif
