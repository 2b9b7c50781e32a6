/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define BUDGET 16

struct rng {
    struct virtio virtio;
    struct rng_config cfg;
    struct virtq_chain chain; /* the loop's */
};

static int fill_from_host(void *ctx, uint8_t *to, size_t bytes)
{
    (void)ctx;
    /* 256 bytes at a time never come short. */
    for (size_t done = 0; done < bytes;) {
        ssize_t n = getrandom(to + done, bytes - done < 256 ? bytes - done : 256, GRND_NONBLOCK);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static uint32_t answer(struct rng *rng)
{
    uint8_t numbers[RNG_CHUNK_BYTES];
    size_t n = rng->chain.in_bytes < sizeof(numbers) ? rng->chain.in_bytes : sizeof(numbers);
    if (rng->cfg.fill(rng->cfg.ctx, numbers, n) < 0 || !virtq_chain_write(&rng->chain, 0, numbers, n))
        return 0;
    return (uint32_t)n;
}

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct rng *rng = dev;
    (void)queue;
    for (int i = 0; i < BUDGET; i++) {
        if (virtq_pop(q, &rng->chain) <= 0)
            return VIRTIO_DRAINED;
        virtq_push(q, &rng->chain, answer(rng));
    }
    return VIRTIO_MORE;
}

static const struct virtio_ops ops = {.name = "rng", .type = VIRTIO_TYPE_RNG, .serve = serve};

int rng_new(const struct rng_config *config, struct rng **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "rng", .what_to_do = "free memory on the host"};
    struct rng *rng = calloc(1, sizeof(*rng));
    if (rng == NULL)
        return err_fail(err, -ENOMEM, &context);
    rng->cfg = *config;
    if (rng->cfg.fill == NULL)
        rng->cfg.fill = fill_from_host;
    const struct virtio_config common = {.ops = &ops,
                                         .dev = rng,
                                         .memory = config->memory,
                                         .queues = 1,
                                         .queue_size = RNG_QUEUE_SIZE,
                                         .loops = {config->loop},
                                         .log = config->log};
    int code = virtio_init(&rng->virtio, &common, err);
    if (code < 0) {
        free(rng);
        return code;
    }
    *out = rng;
    return 0;
}

void rng_free(struct rng *rng)
{
    if (rng == NULL)
        return;
    virtio_fini(&rng->virtio);
    free(rng);
}

struct virtio *rng_virtio(struct rng *rng)
{
    return &rng->virtio;
}
