/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"

#define STATUS_OF_DRIVER                                                                                               \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK |          \
     VIRTIO_STATUS_FAILED)

/* ---- Status ---- */

static bool has_status(struct virtio *v, unsigned bits)
{
    return (atomic_load(&v->status) & bits) == bits;
}

static void interrupt(const struct virtio *v, uint32_t queue)
{
    if (v->transport.interrupt != NULL)
        v->transport.interrupt(v->transport.ctx, queue);
}

static bool is_broken(struct virtio *v)
{
    return has_status(v, VIRTIO_STATUS_NEEDS_RESET);
}

/*
 * Without a driver nothing can be broken: a device that says so has lost the race against a reset, and the next driver
 * must not find the bit. The lock keeps the interrupt on this side of a reset, too.
 */
void virtio_break(struct virtio *v, const char *why)
{
    pthread_mutex_lock(&v->notify_lock);
    bool first = has_status(v, VIRTIO_STATUS_DRIVER_OK) && !is_broken(v);
    if (first) {
        atomic_fetch_or(&v->status, VIRTIO_STATUS_NEEDS_RESET);
        interrupt(v, VIRTIO_CONFIG_CHANGE);
    }
    pthread_mutex_unlock(&v->notify_lock);
    if (first && v->cfg.log != NULL && log_once_first(&v->said))
        log_write(v->cfg.log, LOG_LEVEL_WARN, LOG_NO_VCPU,
                  "virtio-%s: the driver broke a rule, the device waits for a reset: %s", v->cfg.ops->name, why);
}

void virtio_config_changed(struct virtio *v)
{
    pthread_mutex_lock(&v->notify_lock);
    if (has_status(v, VIRTIO_STATUS_DRIVER_OK))
        interrupt(v, VIRTIO_CONFIG_CHANGE);
    else
        v->change_owed = true;
    pthread_mutex_unlock(&v->notify_lock);
}

/* DRIVER_OK: the driver may have read its configuration before the last change. */
static void tell_owed_change(struct virtio *v)
{
    pthread_mutex_lock(&v->notify_lock);
    if (v->change_owed)
        interrupt(v, VIRTIO_CONFIG_CHANGE);
    v->change_owed = false;
    pthread_mutex_unlock(&v->notify_lock);
}

static void clear_status(struct virtio *v)
{
    pthread_mutex_lock(&v->notify_lock);
    atomic_store(&v->status, 0);
    v->change_owed = false;
    pthread_mutex_unlock(&v->notify_lock);
}

/* ---- Rings ---- */

/* Under its lock: the driver is told what came of it. */
static void settle(struct virtio_queue *queue)
{
    if (!queue->live)
        return;
    if (queue->ring.broken)
        virtio_break(queue->v, queue->ring.why);
    if (virtq_publish(&queue->ring))
        interrupt(queue->v, queue->index);
}

static bool is_served(struct virtio_queue *queue)
{
    return queue->live && !is_broken(queue->v) && !atomic_load(&queue->v->resetting);
}

struct virtq *virtio_begin(struct virtio *v, unsigned index)
{
    struct virtio_queue *queue = &v->queue[index];
    pthread_mutex_lock(queue->lock);
    if (is_served(queue))
        return &queue->ring;
    pthread_mutex_unlock(queue->lock);
    return NULL;
}

/* The opposite of taking the lock of a ring. */
static void give_back(struct virtio *v, unsigned index)
{
    for (unsigned i = 0; i < v->cfg.queues; i++)
        if (v->cfg.shared || i == index)
            settle(&v->queue[i]);
    pthread_mutex_unlock(v->queue[index].lock);
}

void virtio_end(struct virtio *v, unsigned index)
{
    give_back(v, index);
}

void virtio_lock(struct virtio *v)
{
    pthread_mutex_lock(v->queue[0].lock);
}

void virtio_unlock(struct virtio *v)
{
    give_back(v, 0);
}

struct virtq *virtio_ring(struct virtio *v, unsigned index)
{
    return is_served(&v->queue[index]) ? &v->queue[index].ring : NULL;
}

bool virtio_has(const struct virtio *v, unsigned bit)
{
    return (v->features >> bit & 1) != 0;
}

void virtio_kick(struct virtio *v, unsigned index)
{
    const uint64_t one = 1;
    if (index < v->cfg.queues)
        (void)!write(v->queue[index].kick_fd, &one, sizeof(one));
}

/* Under the ring's lock. True if serve is to be called again. */
static bool serve_once(struct virtio_queue *queue)
{
    struct virtio *v = queue->v;
    virtq_quiet(&queue->ring);
    enum virtio_served served = v->cfg.ops->serve(v->cfg.dev, queue->index, &queue->ring);
    return served == VIRTIO_MORE || (served == VIRTIO_DRAINED && virtq_listen(&queue->ring));
}

static void tidy_up(struct virtio *v)
{
    if (atomic_exchange(&v->tidy_owed, false))
        v->cfg.ops->after_reset(v->cfg.dev);
}

static void on_kick(void *ctx, uint32_t events)
{
    struct virtio_queue *queue = ctx;
    uint64_t kicks;
    (void)events;
    (void)!read(queue->kick_fd, &kicks, sizeof(kicks));
    if (queue->index == 0)
        tidy_up(queue->v);
    pthread_mutex_lock(queue->lock);
    bool again = is_served(queue) && serve_once(queue);
    give_back(queue->v, queue->index);
    if (again)
        virtio_kick(queue->v, queue->index);
}

/* ---- Life ---- */

static int queue_init(struct virtio *v, unsigned index)
{
    struct virtio_queue *queue = &v->queue[index];
    queue->v = v;
    queue->index = index;
    queue->asked.size = v->cfg.queue_size;
    queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->kick_fd < 0)
        return -errno;
    queue->loop = v->cfg.loops[index];
    queue->source = (struct loop_source){.fd = queue->kick_fd, .ready = on_kick, .ctx = queue};
    return queue->loop == NULL ? 0 : loop_add(queue->loop, &queue->source, EPOLLIN);
}

static int queues_init(struct virtio *v)
{
    int code = 0;
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        v->queue[i].kick_fd = -1;
        (void)pthread_mutex_init(&v->queue[i].own_lock, NULL);
        v->queue[i].lock = &v->queue[v->cfg.shared ? 0 : i].own_lock;
    }
    for (unsigned i = 0; code == 0 && i < v->cfg.queues; i++)
        code = queue_init(v, i);
    return code;
}

int virtio_init(struct virtio *v, const struct virtio_config *config, struct err *err)
{
    const struct err_context context = {.attempted = "make the virtio device",
                                        .on_what = config->ops->name,
                                        .what_to_do = "raise the limit of open files (ulimit -n)"};
    assert(config->queues > 0 && config->queues <= VIRTIO_QUEUES_MAX && config->config_bytes <= VIRTIO_CONFIG_BYTES);
    assert(checked_is_alignment(config->queue_size) && config->queue_size <= VIRTQ_SIZE_MAX);
    memset(v, 0, sizeof(*v));
    v->cfg = *config;
    v->features_offered = config->features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
                          VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
    if (config->packed)
        virtio_offer_packed(v);
    (void)pthread_mutex_init(&v->lock, NULL);
    (void)pthread_mutex_init(&v->notify_lock, NULL);
    int code = queues_init(v);
    if (code == 0)
        return 0;
    virtio_fini(v);
    return err_fail(err, code, &context);
}

void virtio_fini(struct virtio *v)
{
    if (v->cfg.ops == NULL)
        return;
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        struct virtio_queue *queue = &v->queue[i];
        if (queue->kick_fd >= 0 && queue->loop != NULL)
            loop_remove(queue->loop, &queue->source);
        if (queue->kick_fd >= 0)
            close(queue->kick_fd);
        pthread_mutex_destroy(&queue->own_lock);
    }
    pthread_mutex_destroy(&v->notify_lock);
    pthread_mutex_destroy(&v->lock);
    memset(v, 0, sizeof(*v));
}

void virtio_offer_packed(struct virtio *v)
{
    if (CONFIG_VIRTIO_PACKED)
        v->features_offered |= VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
}

void virtio_attach(struct virtio *v, const struct virtio_transport *transport)
{
    v->transport = *transport;
}

/* ---- Activation and reset: under virtio.lock ---- */

static void lock_rings(struct virtio *v)
{
    for (unsigned i = 0; i < (v->cfg.shared ? 1 : v->cfg.queues); i++)
        pthread_mutex_lock(&v->queue[i].own_lock);
}

static void unlock_rings(struct virtio *v)
{
    for (unsigned i = v->cfg.shared ? 1 : v->cfg.queues; i > 0; i--)
        pthread_mutex_unlock(&v->queue[i - 1].own_lock);
}

/* Make the rings of all enabled queues, or say why not. */
static const char *make_rings(struct virtio *v)
{
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        struct virtio_queue *queue = &v->queue[i];
        const char *why;
        if (!queue->enabled)
            continue;
        queue->asked.features = v->features;
        if (virtq_init(&queue->ring, v->cfg.memory, &queue->asked, &why) < 0)
            return why;
        queue->live = true;
    }
    return NULL;
}

static void drop_rings(struct virtio *v)
{
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        v->queue[i].live = false;
        v->queue[i].ring = (struct virtq){.size = 0};
    }
}

static void activate(struct virtio *v)
{
    lock_rings(v);
    const char *why = has_status(v, VIRTIO_STATUS_FEATURES_OK) ? make_rings(v) : "DRIVER_OK without FEATURES_OK";
    if (why != NULL)
        drop_rings(v);
    else if (v->cfg.ops->activate != NULL)
        v->cfg.ops->activate(v->cfg.dev, v->features);
    unlock_rings(v);
    if (why != NULL)
        virtio_break(v, why);
    else
        tell_owed_change(v);
    /* What was posted before: nobody may have rung for it while there were no rings. */
    for (unsigned i = 0; why == NULL && i < v->cfg.queues; i++)
        if (v->queue[i].enabled)
            virtio_kick(v, i);
}

static void reset(struct virtio *v)
{
    /* A loop that always finds more would take the lock again and again before this thread has woken up. */
    atomic_store(&v->resetting, true);
    lock_rings(v);
    drop_rings(v);
    if (v->cfg.ops->reset != NULL)
        v->cfg.ops->reset(v->cfg.dev);
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        v->queue[i].enabled = false;
        v->queue[i].asked = (struct virtq_config){.size = v->cfg.queue_size};
    }
    v->features = 0;
    clear_status(v);
    atomic_store(&v->resetting, false);
    unlock_rings(v);
    if (v->cfg.ops->after_reset == NULL)
        return;
    atomic_store(&v->tidy_owed, true);
    virtio_kick(v, 0);
}

/* ---- Registers ---- */

uint8_t virtio_get_status(struct virtio *v)
{
    return (uint8_t)atomic_load(&v->status);
}

static bool are_features_good(const struct virtio *v)
{
    return (v->features & ~v->features_offered) == 0 && virtio_has(v, VIRTIO_F_VERSION_1);
}

static void raise_status(struct virtio *v, unsigned asked)
{
    unsigned fresh = asked & STATUS_OF_DRIVER & ~atomic_load(&v->status);
    /* The driver reads the bit back to see whether its choice is accepted: 3.1.1. */
    if ((fresh & VIRTIO_STATUS_FEATURES_OK) != 0 && !are_features_good(v))
        fresh &= ~(unsigned)VIRTIO_STATUS_FEATURES_OK;
    atomic_fetch_or(&v->status, fresh);
    if ((fresh & VIRTIO_STATUS_DRIVER_OK) != 0)
        activate(v);
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    pthread_mutex_lock(&v->lock);
    if (status == 0)
        reset(v);
    else
        raise_status(v, status);
    pthread_mutex_unlock(&v->lock);
}

static uint32_t half_of(uint64_t bits, uint32_t half)
{
    return half > 1 ? 0 : (uint32_t)(bits >> 32 * half);
}

uint32_t virtio_get_offered(struct virtio *v, uint32_t half)
{
    return half_of(v->features_offered, half);
}

uint32_t virtio_get_accepted(struct virtio *v, uint32_t half)
{
    pthread_mutex_lock(&v->lock);
    uint32_t bits = half_of(v->features, half);
    pthread_mutex_unlock(&v->lock);
    return bits;
}

void virtio_set_accepted(struct virtio *v, uint32_t half, uint32_t bits)
{
    if (half > 1)
        return;
    pthread_mutex_lock(&v->lock);
    if (!has_status(v, VIRTIO_STATUS_FEATURES_OK) && !has_status(v, VIRTIO_STATUS_DRIVER_OK)) {
        uint64_t mask = (uint64_t)UINT32_MAX << 32 * half;
        v->features = (v->features & ~mask) | (uint64_t)bits << 32 * half;
    }
    pthread_mutex_unlock(&v->lock);
}

static gpa_t *address_of(struct virtio_queue *queue, enum virtio_queue_register which)
{
    if (which <= VIRTIO_QUEUE_DESCRIPTORS_HIGH)
        return &queue->asked.descriptors;
    return which <= VIRTIO_QUEUE_DRIVER_HIGH ? &queue->asked.driver : &queue->asked.device;
}

static unsigned address_shift(enum virtio_queue_register which)
{
    bool high = which == VIRTIO_QUEUE_DESCRIPTORS_HIGH || which == VIRTIO_QUEUE_DRIVER_HIGH ||
                which == VIRTIO_QUEUE_DEVICE_HIGH;
    return high ? 32 : 0;
}

static uint32_t get_queue(struct virtio_queue *queue, enum virtio_queue_register which)
{
    switch (which) {
    case VIRTIO_QUEUE_SIZE_MAX: return queue->v->cfg.queue_size;
    case VIRTIO_QUEUE_SIZE: return queue->asked.size;
    case VIRTIO_QUEUE_ENABLE: return queue->enabled;
    default: return (uint32_t)(address_of(queue, which)->value >> address_shift(which));
    }
}

uint32_t virtio_get_queue(struct virtio *v, uint32_t index, enum virtio_queue_register which)
{
    if (index >= v->cfg.queues)
        return 0;
    pthread_mutex_lock(&v->lock);
    uint32_t value = get_queue(&v->queue[index], which);
    pthread_mutex_unlock(&v->lock);
    return value;
}

static void set_queue(struct virtio_queue *queue, enum virtio_queue_register which, uint32_t value)
{
    switch (which) {
    case VIRTIO_QUEUE_SIZE_MAX: break;
    case VIRTIO_QUEUE_SIZE:
        /* One that is too large or no power of two is refused when the ring is made. */
        queue->asked.size = value > queue->v->cfg.queue_size ? 0 : (uint16_t)value;
        break;
    case VIRTIO_QUEUE_ENABLE: queue->enabled = value == 1; break;
    default: {
        unsigned shift = address_shift(which);
        gpa_t *at = address_of(queue, which);
        at->value = (at->value & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
    }
    }
}

void virtio_set_queue(struct virtio *v, uint32_t index, enum virtio_queue_register which, uint32_t value)
{
    if (index >= v->cfg.queues)
        return;
    pthread_mutex_lock(&v->lock);
    bool writable = !v->queue[index].enabled || which == VIRTIO_QUEUE_ENABLE;
    if (writable && !has_status(v, VIRTIO_STATUS_DRIVER_OK))
        set_queue(&v->queue[index], which, value);
    pthread_mutex_unlock(&v->lock);
}

/* ---- Configuration of the device ---- */

/*
 * What the driver sees from now on is another generation if it differs from what it could see last (2.5.1, 4.1.4.3.1).
 * That does not depend on when a device changes something and when it says so: a value that a driver read in two parts
 * is whole if the generation is the same before and after.
 */
static void look_at_config(struct virtio *v)
{
    uint8_t now[VIRTIO_CONFIG_BYTES] = {0};
    if (v->cfg.ops->read_config == NULL)
        return;
    v->cfg.ops->read_config(v->cfg.dev, now);
    if (memcmp(now, v->config_seen, v->cfg.config_bytes) == 0)
        return;
    memcpy(v->config_seen, now, v->cfg.config_bytes);
    v->generation++;
}

uint64_t virtio_read_config(struct virtio *v, uint64_t offset, unsigned bytes)
{
    uint64_t value = 0;
    if (offset >= v->cfg.config_bytes)
        return 0;
    uint64_t inside = v->cfg.config_bytes - offset;
    pthread_mutex_lock(&v->lock);
    look_at_config(v);
    memcpy(&value, v->config_seen + offset, bytes < inside ? bytes : inside);
    pthread_mutex_unlock(&v->lock);
    return value;
}

void virtio_write_config(struct virtio *v, uint64_t offset, unsigned bytes, uint64_t value)
{
    if (v->cfg.ops->write_config == NULL || !checked_range_fits(offset, bytes, v->cfg.config_bytes))
        return;
    pthread_mutex_lock(&v->lock);
    v->cfg.ops->write_config(v->cfg.dev, (uint32_t)offset, bytes, value);
    pthread_mutex_unlock(&v->lock);
}

uint8_t virtio_get_generation(struct virtio *v)
{
    pthread_mutex_lock(&v->lock);
    look_at_config(v);
    uint8_t generation = v->generation;
    pthread_mutex_unlock(&v->lock);
    return generation;
}
