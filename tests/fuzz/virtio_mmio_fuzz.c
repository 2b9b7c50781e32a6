/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest in the registers of a device that is a page of them, with two queues. Only in builds with that
 * transport: make CONFIG=mmio fuzz-replay T=virtio_mmio
 *
 * Input: actions of 7 bytes: how (low 2 bits: width; bit 2: write; bit 3: the loop turns; bit 4: the device's
 * configuration changes), two bytes of offset, four of value. Checked: identity never changes, the line is high exactly
 * when a bit of InterruptStatus is set, reading leaves everything as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/mmio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE         UINT64_C(0xd0000000)
#define ACTION_BYTES 7u
#define ACTIONS_MAX  400u
#define CONFIG_BYTES 6u

struct world {
    struct vdrv d;
    struct virtio v;
    struct bus bus;
    struct virtio_mmio *m;
    struct virtq_chain chain;
    uint8_t config[CONFIG_BYTES];
    bool line;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct world *w = dev;
    require(queue < 2);
    if (virtq_pop(q, &w->chain) <= 0)
        return VIRTIO_DRAINED;
    virtq_push(q, &w->chain, 0);
    return VIRTIO_MORE;
}

static void read_config(void *dev, uint8_t *out)
{
    const struct world *w = dev;
    memcpy(out, w->config, CONFIG_BYTES);
}

static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct world *w = dev;
    require(offset < CONFIG_BYTES && bytes <= CONFIG_BYTES - offset);
    memcpy(w->config + offset, &value, bytes);
}

static void set_line(void *ctx, unsigned gsi, bool level)
{
    struct world *w = ctx;
    require(gsi == 5 && level != w->line);
    w->line = level;
}

static uint32_t peek(const struct world *w, uint32_t offset)
{
    uint64_t value = 0;
    require(bus_mmio_read(&w->bus, gpa_make(BASE + offset), 4, &value));
    return (uint32_t)value;
}

static void check(const struct world *w)
{
    require(peek(w, VIRTIO_MMIO_MAGIC_VALUE) == VIRTIO_MMIO_MAGIC && peek(w, VIRTIO_MMIO_VERSION) == 2);
    require(peek(w, VIRTIO_MMIO_DEVICE_ID) == VIRTIO_TYPE_BLOCK);
    require((peek(w, VIRTIO_MMIO_INTERRUPT_STATUS) != 0) == w->line);
}

static void act(struct world *w, const uint8_t *action)
{
    unsigned bytes = 1u << (action[0] & 3);
    gpa_t gpa = gpa_make(BASE + bytes_load_le16(action + 1) % VIRTIO_MMIO_BYTES);
    uint64_t value = bytes_load_le32(action + 3);
    if ((action[0] & 4) != 0)
        (void)bus_mmio_write(&w->bus, gpa, bytes, bytes >= 4 ? value : value & ((1u << 8 * bytes) - 1));
    else
        (void)bus_mmio_read(&w->bus, gpa, bytes, &value);
    if ((action[0] & 8) != 0)
        vdrv_turn(&w->d);
    if ((action[0] & 16) != 0)
        virtio_config_changed(&w->v);
    check(w);
}

static void open_world(struct world *w)
{
    static const struct virtio_ops ops = {.name = "fuzz",
                                          .type = VIRTIO_TYPE_BLOCK,
                                          .serve = serve,
                                          .read_config = read_config,
                                          .write_config = write_config};
    vdrv_init(&w->d);
    const struct virtio_config config = {.ops = &ops,
                                         .dev = w,
                                         .memory = &w->d.memory,
                                         .config_bytes = CONFIG_BYTES,
                                         .queues = 2,
                                         .queue_size = 16,
                                         .loops = {&w->d.loop, &w->d.loop}};
    const struct irq_line line = {.set = set_line, .ctx = w, .gsi = 5};
    require(virtio_init(&w->v, &config, NULL) == 0);
    require(virtio_mmio_new(&w->v, &w->bus, gpa_make(BASE), &line, &w->m, NULL) == 0);
    bus_freeze(&w->bus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    require(w != NULL);
    open_world(w);
    for (unsigned i = 0; i < ACTIONS_MAX && size >= ACTION_BYTES; i++, data += ACTION_BYTES, size -= ACTION_BYTES)
        act(w, data);
    virtio_mmio_free(w->m);
    virtio_fini(&w->v);
    vdrv_fini(&w->d);
    free(w);
    return 0;
}
