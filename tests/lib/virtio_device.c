/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/virtio_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define OFFERED (VIRTIO_FEATURE(VDEV_FEATURE_A) | VIRTIO_FEATURE(VDEV_FEATURE_B))

enum virtio_served vdev_serve(void *ctx, unsigned queue, struct virtq *q)
{
    struct vdev *dev = ctx;
    dev->serves[queue]++;
    if (dev->stops)
        return dev->answer;
    if (virtq_pop(q, &dev->chain) <= 0)
        return VIRTIO_DRAINED;
    dev->in_serve = true;
    if (dev->inside != NULL)
        dev->inside(dev, queue, q);
    dev->in_serve = false;
    virtq_push(q, &dev->chain, dev->chain.in_bytes);
    return dev->answer;
}

static void read_config(void *ctx, uint8_t *out)
{
    struct vdev *dev = ctx;
    memcpy(out, dev->config, VDEV_CONFIG);
    out[VDEV_CONFIG] = 0xee; /* behind its end: nobody may see it */
}

static void write_config(void *ctx, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct vdev *dev = ctx;
    dev->written_offset = offset;
    dev->written_bytes = bytes;
    dev->written_value = value;
}

static void activate(void *ctx, uint64_t features)
{
    struct vdev *dev = ctx;
    dev->activates++;
    dev->features = features;
}

static void reset(void *ctx)
{
    struct vdev *dev = ctx;
    assert_false(dev->in_serve);
    dev->resets++;
}

static const struct virtio_ops ops = {
    .name = "test",
    .type = VIRTIO_TYPE_RNG,
    .serve = vdev_serve,
    .read_config = read_config,
    .write_config = write_config,
    .activate = activate,
    .reset = reset,
};

struct virtio_config vdev_config(struct vdev_rig *r)
{
    return (struct virtio_config){.ops = &ops,
                                  .dev = &r->dev,
                                  .memory = &r->d.memory,
                                  .features = OFFERED,
                                  .config_bytes = VDEV_CONFIG,
                                  .queues = VDEV_QUEUES,
                                  .queue_size = VDEV_SIZE,
                                  .loops = {&r->d.loop, &r->d.loop, NULL},
                                  .shared = r->shared,
                                  .log = &r->log};
}

static int make(void **state, bool shared)
{
    struct vdev_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    r->shared = shared;
    r->dev.answer = VIRTIO_MORE;
    r->log_fd = memfd_create("log", MFD_CLOEXEC);
    log_init(&r->log, r->log_fd, LOG_LEVEL_INFO, "", NULL);
    vdrv_init(&r->d);
    const struct virtio_config config = vdev_config(r);
    if (virtio_init(&r->dev.v, &config, NULL) < 0)
        return -1;
    vdrv_attach(&r->d, &r->dev.v);
    return 0;
}

int vdev_set_up(void **state)
{
    return make(state, false);
}

int vdev_set_up_shared(void **state)
{
    return make(state, true);
}

int vdev_tear_down(void **state)
{
    struct vdev_rig *r = *state;
    loop_stop(&r->d.loop);
    virtio_fini(&r->dev.v);
    vdrv_fini(&r->d);
    close(r->log_fd);
    free(r);
    return 0;
}

void vdev_start(struct vdev_rig *r)
{
    assert_true(vdrv_start(&r->d, 0));
    memset(r->dev.serves, 0, sizeof(r->dev.serves));
}

uint16_t vdev_post(struct vdev_rig *r, unsigned queue)
{
    struct vdrv_buffer b = {.gpa = vdrv_alloc(&r->d, 4, 4), .bytes = 4, .writable = true};
    return vdrv_post(&r->d, queue, &b, 1);
}

unsigned vdev_take_all(struct vdev_rig *r, unsigned queue)
{
    unsigned n = 0;
    while (vdrv_take(&r->d, queue, NULL, NULL))
        n++;
    return n;
}

void vdev_post_broken(struct vdev_rig *r, unsigned queue)
{
    struct vdrv_buffer b = {.gpa = UINT64_MAX, .bytes = 4, .writable = true};
    (void)vdrv_post(&r->d, queue, &b, 1);
}

bool vdev_needs_reset(struct vdev_rig *r)
{
    return (virtio_get_status(&r->dev.v) & VIRTIO_STATUS_NEEDS_RESET) != 0;
}

void vdev_set_status(struct vdev_rig *r, uint8_t status)
{
    virtio_set_status(&r->dev.v, status);
}

uint32_t vdev_get_queue(struct vdev_rig *r, uint32_t queue, enum virtio_queue_register which)
{
    return virtio_get_queue(&r->dev.v, queue, which);
}

void vdev_set_queue(struct vdev_rig *r, uint32_t queue, enum virtio_queue_register which, uint32_t value)
{
    virtio_set_queue(&r->dev.v, queue, which, value);
}

unsigned vdev_log_lines(struct vdev_rig *r)
{
    char text[4096];
    unsigned lines = 0;
    ssize_t n = pread(r->log_fd, text, sizeof(text), 0);
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}
