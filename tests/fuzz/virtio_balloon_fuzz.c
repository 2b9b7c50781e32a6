/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a hostile driver of a balloon (virtio_hostile.h), which may give away its own rings.
 *
 * Events: the value, times 64 pages, is the new target. Checked: only whole pages of RAM are taken, all in one range,
 * and one turn takes no more than it may; the target is never more than the memory.
 */
#include "tests/fuzz/virtio_hostile.h"

#include <stdlib.h>

#include "vmm/devices/virtio/balloon.h"

struct world {
    struct hostile h;
    struct balloon *b;
};

/* Taken in earnest, so that what comes next meets pages that are gone. */
static int take(void *ctx, gpa_t gpa, uint64_t bytes)
{
    struct world *w = ctx;
    assert(bytes > 0 && bytes % 4096 == 0 && gpa.value % 4096 == 0);
    assert(bytes <= BALLOON_REPORT_BYTES_MAX && gpa.value < VDRV_MEMORY_BYTES);
    assert(bytes <= VDRV_MEMORY_BYTES - gpa.value);
    int code = memory_discard(&w->h.d.memory, gpa, bytes);
    assert(code == 0);
    return code;
}

static void event(struct hostile *h, uint8_t what)
{
    struct world *w = (struct world *)(void *)h;
    balloon_set_target(w->b, (uint64_t)what * 64);
    assert(virtio_read_config(h->d.v, 0, 4) <= VDRV_MEMORY_BYTES / 4096);
    (void)balloon_actual(w->b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 0;
    hostile_init(&w->h, data, size);
    w->h.event = event;
    const struct balloon_config cfg = {.memory = &w->h.d.memory, .loop = &w->h.d.loop, .discard = take, .ctx = w};
    assert(balloon_new(&cfg, &w->b, NULL) == 0);
    hostile_attach(&w->h, balloon_virtio(w->b), virtio_get_offered(balloon_virtio(w->b), 0));
    hostile_run(&w->h);
    balloon_free(w->b);
    vdrv_fini(&w->h.d);
    free(w);
    return 0;
}
