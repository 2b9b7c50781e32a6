/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/mmio.h"

#include <errno.h>
#include <stdlib.h>

#define VERSION        2u
#define REGISTER_BYTES 4u

struct virtio_mmio {
    struct virtio *v;
    struct irq_line line;
    atomic_uint device_half, driver_half, queue; /* the selectors */
    /*
     * Innermost of all: devices interrupt under locks of their own, so nothing of virtio.h is called with it held.
     */
    pthread_mutex_t lock;
    uint32_t pending; /* InterruptStatus; the line is high while it is not 0 */
};

/* ---- Interrupts ---- */

static void set_pending(struct virtio_mmio *m, uint32_t set, uint32_t clear)
{
    pthread_mutex_lock(&m->lock);
    bool before = m->pending != 0;
    m->pending = (m->pending | set) & ~clear;
    bool now = m->pending != 0;
    if (now != before)
        irq_line_set(&m->line, now);
    pthread_mutex_unlock(&m->lock);
}

static void interrupt(void *ctx, uint32_t queue)
{
    set_pending(ctx, queue == VIRTIO_CONFIG_CHANGE ? VIRTIO_MMIO_CONFIG_CHANGED : VIRTIO_MMIO_USED_BUFFERS, 0);
}

static uint32_t get_pending(struct virtio_mmio *m)
{
    pthread_mutex_lock(&m->lock);
    uint32_t pending = m->pending;
    pthread_mutex_unlock(&m->lock);
    return pending;
}

/* ---- Registers ---- */

static uint32_t read_register(struct virtio_mmio *m, uint64_t offset)
{
    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE: return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_VERSION: return VERSION;
    case VIRTIO_MMIO_DEVICE_ID: return m->v->cfg.ops->type;
    case VIRTIO_MMIO_VENDOR_ID: return VIRTIO_MMIO_VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES: return virtio_get_offered(m->v, m->device_half);
    case VIRTIO_MMIO_QUEUE_NUM_MAX: return virtio_get_queue(m->v, m->queue, VIRTIO_QUEUE_SIZE_MAX);
    case VIRTIO_MMIO_QUEUE_READY: return virtio_get_queue(m->v, m->queue, VIRTIO_QUEUE_ENABLE);
    case VIRTIO_MMIO_INTERRUPT_STATUS: return get_pending(m);
    case VIRTIO_MMIO_STATUS: return virtio_get_status(m->v);
    /* A region that there is not: 4.2.2. */
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH: return UINT32_MAX;
    case VIRTIO_MMIO_CONFIG_GENERATION: return virtio_get_generation(m->v);
    default: return 0;
    }
}

static void set_status(struct virtio_mmio *m, uint32_t value)
{
    /* Bits that do not exist make no reset of what is not one. */
    if (value != 0 && (value & UINT8_MAX) == 0)
        return;
    virtio_set_status(m->v, (uint8_t)value);
    /* 4.2.2.1: a reset clears all. The device is silent by now. */
    if (value == 0)
        set_pending(m, 0, UINT32_MAX);
}

static void set_queue(struct virtio_mmio *m, enum virtio_queue_register which, uint32_t value)
{
    virtio_set_queue(m->v, m->queue, which, value);
}

static void write_register(struct virtio_mmio *m, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL: m->device_half = value; break;
    case VIRTIO_MMIO_DRIVER_FEATURES: virtio_set_accepted(m->v, m->driver_half, value); break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL: m->driver_half = value; break;
    case VIRTIO_MMIO_QUEUE_SEL: m->queue = value; break;
    case VIRTIO_MMIO_QUEUE_NUM: set_queue(m, VIRTIO_QUEUE_SIZE, value); break;
    case VIRTIO_MMIO_QUEUE_READY: set_queue(m, VIRTIO_QUEUE_ENABLE, value); break;
    case VIRTIO_MMIO_QUEUE_NOTIFY: virtio_kick(m->v, value); break;
    case VIRTIO_MMIO_INTERRUPT_ACK: set_pending(m, 0, value); break;
    case VIRTIO_MMIO_STATUS: set_status(m, value); break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW: set_queue(m, VIRTIO_QUEUE_DESCRIPTORS_LOW, value); break;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH: set_queue(m, VIRTIO_QUEUE_DESCRIPTORS_HIGH, value); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_LOW: set_queue(m, VIRTIO_QUEUE_DRIVER_LOW, value); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_HIGH: set_queue(m, VIRTIO_QUEUE_DRIVER_HIGH, value); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_LOW: set_queue(m, VIRTIO_QUEUE_DEVICE_LOW, value); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_HIGH: set_queue(m, VIRTIO_QUEUE_DEVICE_HIGH, value); break;
    default: break;
    }
}

/* The bus hands over what is inside of the page as a whole. */
static uint64_t read_page(void *dev, uint64_t offset, unsigned bytes)
{
    struct virtio_mmio *m = dev;
    if (offset >= VIRTIO_MMIO_CONFIG)
        return virtio_read_config(m->v, offset - VIRTIO_MMIO_CONFIG, bytes);
    return bytes == REGISTER_BYTES ? read_register(m, offset) : 0;
}

static void write_page(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct virtio_mmio *m = dev;
    if (offset >= VIRTIO_MMIO_CONFIG)
        virtio_write_config(m->v, offset - VIRTIO_MMIO_CONFIG, bytes, value);
    else if (bytes == REGISTER_BYTES)
        write_register(m, offset, (uint32_t)value);
}

/* ---- Life ---- */

int virtio_mmio_new(struct virtio *v, struct bus *bus, gpa_t base, const struct irq_line *line,
                    struct virtio_mmio **out, struct err *err)
{
    static const struct bus_ops ops = {.read = read_page, .write = write_page};
    const struct err_context context = {.attempted = "put the virtio device on the bus",
                                        .on_what = v->cfg.ops->name,
                                        .what_to_do = "free memory on the host"};
    struct virtio_mmio *m = calloc(1, sizeof(*m));
    *out = NULL;
    if (m == NULL)
        return err_fail(err, -ENOMEM, &context);
    m->v = v;
    m->line = *line;
    int code = bus_add_mmio(bus, v->cfg.ops->name, base, VIRTIO_MMIO_BYTES, &ops, m, err);
    if (code < 0) {
        free(m);
        return code;
    }
    (void)pthread_mutex_init(&m->lock, NULL);
    virtio_attach(v, &(struct virtio_transport){.interrupt = interrupt, .ctx = m});
    *out = m;
    return 0;
}

void virtio_mmio_free(struct virtio_mmio *m)
{
    if (m == NULL)
        return;
    virtio_attach(m->v, &(struct virtio_transport){.interrupt = NULL});
    pthread_mutex_destroy(&m->lock);
    free(m);
}
