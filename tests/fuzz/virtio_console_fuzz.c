/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a hostile driver of a console (virtio_hostile.h), and a far end that types and resizes.
 *
 * Events: below 128, so many times 700 bytes are typed; from there on the size changes. Checked: output comes in pieces
 * that were promised, room is told once for each refusal and at the earliest when half is free, no more is taken than
 * the buffer holds.
 */
#include "tests/fuzz/virtio_hostile.h"

#include <stdlib.h>

#include "vmm/devices/virtio/console.h"

struct world {
    struct hostile h;
    struct vconsole *c;
    bool refused; /* and no room since */
    uint8_t typed[128 * 700];
};

static void output(void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    assert(bytes != NULL && n > 0 && n <= VCONSOLE_OUTPUT_BYTES);
}

static void room(void *ctx)
{
    struct world *w = ctx;
    assert(w->refused);
    w->refused = false;
    size_t took = vconsole_put(w->c, w->typed, VCONSOLE_INPUT_BYTES / 2);
    assert(took == VCONSOLE_INPUT_BYTES / 2);
}

static void event(struct hostile *h, uint8_t what)
{
    struct world *w = (struct world *)(void *)h;
    if (what >= 128) {
        vconsole_resize(w->c, what, (uint16_t)(what * 3));
        return;
    }
    size_t n = (size_t)what * 700, took = vconsole_put(w->c, w->typed, n);
    assert(took <= n && took <= VCONSOLE_INPUT_BYTES);
    w->refused = w->refused || took < n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 0;
    hostile_init(&w->h, data, size);
    w->h.event = event;
    const struct vconsole_config cfg = {
        .memory = &w->h.d.memory, .loop = &w->h.d.loop, .output = output, .room = room, .ctx = w};
    assert(vconsole_new(&cfg, &w->c, NULL) == 0);
    hostile_attach(&w->h, vconsole_virtio(w->c), virtio_get_offered(vconsole_virtio(w->c), 0));
    hostile_run(&w->h);
    vconsole_free(w->c);
    vdrv_fini(&w->h.d);
    free(w);
    return 0;
}
