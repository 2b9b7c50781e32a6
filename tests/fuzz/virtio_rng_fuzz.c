/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a hostile driver of the random numbers (virtio_hostile.h).
 *
 * Events: from now on the source fails (0) or gives this byte. Checked: no more is asked of the source at once than one
 * buffer may take, and what is asked is somewhere to be put.
 */
#include "tests/fuzz/virtio_hostile.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/devices/virtio/rng.h"

struct world {
    struct hostile h;
    struct rng *rng;
    uint8_t gives;
};

static int fill(void *ctx, uint8_t *to, size_t bytes)
{
    const struct world *w = ctx;
    assert(bytes <= RNG_CHUNK_BYTES);
    if (w->gives == 0)
        return -EAGAIN;
    memset(to, w->gives, bytes);
    return 0;
}

static void event(struct hostile *h, uint8_t what)
{
    ((struct world *)(void *)h)->gives = what;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 0;
    hostile_init(&w->h, data, size);
    w->h.event = event;
    w->gives = 0xa5;
    const struct rng_config cfg = {.memory = &w->h.d.memory, .loop = &w->h.d.loop, .fill = fill, .ctx = w};
    assert(rng_new(&cfg, &w->rng, NULL) == 0);
    hostile_attach(&w->h, rng_virtio(w->rng), virtio_get_offered(rng_virtio(w->rng), 0));
    hostile_run(&w->h);
    rng_free(w->rng);
    vdrv_fini(&w->h.d);
    free(w);
    return 0;
}
