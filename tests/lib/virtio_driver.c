/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/virtio_driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"

#define FIRST_FREE    UINT64_C(0x10000)
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define DESC_AVAIL    0x80u   /* packed */
#define DESC_USED     0x8000u /* packed */
#define EVENT_WRAP    0x8000u
#define EVENT_DISABLE 1u
#define EVENT_SLOT    2u
#define SETTLE_ROUNDS 1000

static void require(bool good)
{
    if (!good)
        abort();
}

/* ---- Life ---- */

void vdrv_init(struct vdrv *d)
{
    struct memory_range range = {.gpa = gpa_make(0), .bytes = VDRV_MEMORY_BYTES};
    memset(d, 0, sizeof(*d));
    require(memory_init(&d->memory, &range, 1, NULL) == 0 && loop_init(&d->loop, "test", NULL) == 0);
    /* Some tests go on in a child, with namespaces of its own. */
    require(madvise(d->memory.range[0].host, range.bytes, MADV_DOFORK) == 0);
    d->heap = FIRST_FREE;
}

void vdrv_fini(struct vdrv *d)
{
    loop_fini(&d->loop);
    memory_fini(&d->memory);
}

static void count_interrupt(void *ctx, uint32_t queue)
{
    struct vdrv *d = ctx;
    if (queue == VIRTIO_CONFIG_CHANGE)
        d->config_interrupts++;
    else
        d->interrupts[queue]++;
}

void vdrv_attach(struct vdrv *d, struct virtio *v)
{
    d->v = v;
    virtio_attach(v, &(struct virtio_transport){.interrupt = count_interrupt, .ctx = d});
}

/* ---- Memory ---- */

uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t alignment)
{
    uint64_t at = (d->heap + alignment - 1) & ~(alignment - 1);
    require(at + bytes <= VDRV_MEMORY_BYTES);
    d->heap = at + bytes;
    memset(vdrv_at(d, at, bytes), 0, bytes);
    return at;
}

uint64_t vdrv_put(struct vdrv *d, const void *content, uint64_t bytes)
{
    uint64_t at = vdrv_alloc(d, bytes, 8);
    memcpy(vdrv_at(d, at, bytes), content, bytes);
    return at;
}

uint8_t *vdrv_at(struct vdrv *d, uint64_t gpa, uint64_t bytes)
{
    uint8_t *host = memory_at(&d->memory, gpa_make(gpa), bytes);
    require(host != NULL);
    return host;
}

/* ---- Handshake: 3.1.1 ---- */

bool vdrv_negotiate(struct vdrv *d, uint64_t features)
{
    virtio_set_status(d->v, 0);
    virtio_set_status(d->v, VIRTIO_STATUS_ACKNOWLEDGE);
    virtio_set_status(d->v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    d->features = features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    virtio_set_accepted(d->v, 0, (uint32_t)d->features);
    virtio_set_accepted(d->v, 1, (uint32_t)(d->features >> 32));
    virtio_set_status(d->v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    return (virtio_get_status(d->v) & VIRTIO_STATUS_FEATURES_OK) != 0;
}

static void set_address(struct vdrv *d, unsigned queue, enum virtio_queue_register low, uint64_t gpa)
{
    virtio_set_queue(d->v, queue, low, (uint32_t)gpa);
    virtio_set_queue(d->v, queue, (enum virtio_queue_register)(low + 1), (uint32_t)(gpa >> 32));
}

void vdrv_place_queue(struct vdrv *d, unsigned queue, uint16_t size)
{
    struct vdrv_queue *q = &d->queue[queue];
    *q = (struct vdrv_queue){.size = size};
    q->packed = (d->features >> VIRTIO_F_RING_PACKED & 1) != 0;
    q->available_wrap = q->used_wrap = true;
    q->descriptors = vdrv_alloc(d, 16u * q->size, 16);
    q->available = q->packed ? vdrv_alloc(d, 4, 4) : vdrv_alloc(d, 6 + 2u * q->size, 2);
    q->used = q->packed ? vdrv_alloc(d, 4, 4) : vdrv_alloc(d, 6 + 8u * q->size, 4);
}

void vdrv_make_queue(struct vdrv *d, unsigned queue)
{
    struct vdrv_queue *q = &d->queue[queue];
    uint32_t most = virtio_get_queue(d->v, queue, VIRTIO_QUEUE_SIZE_MAX);
    vdrv_place_queue(d, queue, (uint16_t)(most < VDRV_QUEUE_SIZE ? most : VDRV_QUEUE_SIZE));
    virtio_set_queue(d->v, queue, VIRTIO_QUEUE_SIZE, q->size);
    set_address(d, queue, VIRTIO_QUEUE_DESCRIPTORS_LOW, q->descriptors);
    set_address(d, queue, VIRTIO_QUEUE_DRIVER_LOW, q->available);
    set_address(d, queue, VIRTIO_QUEUE_DEVICE_LOW, q->used);
}

void vdrv_enable_queue(struct vdrv *d, unsigned queue)
{
    virtio_set_queue(d->v, queue, VIRTIO_QUEUE_ENABLE, 1);
}

bool vdrv_start(struct vdrv *d, uint64_t features)
{
    if ((features >> VIRTIO_F_RING_PACKED & 1) != 0)
        virtio_offer_packed(d->v);
    if (!vdrv_negotiate(d, features))
        return false;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX && virtio_get_queue(d->v, i, VIRTIO_QUEUE_SIZE_MAX) != 0; i++) {
        vdrv_make_queue(d, i);
        vdrv_enable_queue(d, i);
    }
    virtio_set_status(d->v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                                VIRTIO_STATUS_DRIVER_OK);
    vdrv_turn(d);
    return (virtio_get_status(d->v) & VIRTIO_STATUS_NEEDS_RESET) == 0;
}

void vdrv_reset(struct vdrv *d)
{
    virtio_set_status(d->v, 0);
    vdrv_turn(d); /* what a device does some time afterwards */
    memset(d->queue, 0, sizeof(d->queue));
}

/* ---- Rings ---- */

static uint16_t load16(struct vdrv *d, uint64_t gpa)
{
    atomic_thread_fence(memory_order_seq_cst);
    return bytes_load_le16(vdrv_at(d, gpa, 2));
}

static void store16(struct vdrv *d, uint64_t gpa, uint16_t value)
{
    atomic_thread_fence(memory_order_seq_cst);
    bytes_store_le16(vdrv_at(d, gpa, 2), value);
}

static bool has_event_idx(const struct vdrv *d)
{
    return (d->features >> VIRTIO_RING_F_EVENT_IDX & 1) != 0;
}

/* Of a ring or a table of its own; the flags are written by whoever makes it visible. */
static void fill(struct vdrv *d, uint64_t descriptor, const struct vdrv_buffer *buffer)
{
    bytes_store_le64(vdrv_at(d, descriptor, 16), buffer->gpa);
    bytes_store_le32(vdrv_at(d, descriptor + 8, 4), buffer->bytes);
}

static uint16_t kind_of(const struct vdrv_buffer *buffer)
{
    return buffer->writable ? DESC_WRITE : 0;
}

static uint16_t take_free(const bool *busy, uint16_t size)
{
    for (uint16_t i = 0; i < size; i++)
        if (!busy[i])
            return i;
    abort();
}

/* flags: of all descriptors, besides those that say how they belong together. */
static uint16_t post_split(struct vdrv *d, struct vdrv_queue *q, const struct vdrv_buffer *buffers, unsigned count,
                           uint16_t flags)
{
    uint16_t head = take_free(q->busy, q->size), at = head;
    for (unsigned i = 0; i < count; i++) {
        uint64_t descriptor = q->descriptors + 16u * at;
        bool last = i + 1 == count;
        q->busy[at] = true;
        uint16_t next = last ? 0 : take_free(q->busy, q->size);
        fill(d, descriptor, &buffers[i]);
        store16(d, descriptor + 12, (uint16_t)(flags | kind_of(&buffers[i]) | (last ? 0 : DESC_NEXT)));
        store16(d, descriptor + 14, next);
        q->next_of[at] = next;
        at = next;
    }
    q->count_of[head] = (uint16_t)count;
    store16(d, q->available + 4 + 2u * (q->available_index % q->size), head);
    q->available_index++;
    q->unannounced++;
    store16(d, q->available + 2, q->available_index);
    return head;
}

/* The first descriptor's flags come last. */
static uint16_t post_packed(struct vdrv *d, struct vdrv_queue *q, const struct vdrv_buffer *buffers, unsigned count,
                            uint16_t flags)
{
    uint16_t first = q->available_index, first_flags = 0, id = 0;
    while (q->count_of[id] != 0)
        id++;
    for (unsigned i = 0; i < count; i++) {
        uint64_t descriptor = q->descriptors + 16u * q->available_index;
        uint16_t all = (uint16_t)(flags | kind_of(&buffers[i]) | (q->available_wrap ? DESC_AVAIL : DESC_USED) |
                                  (i + 1 == count ? 0 : DESC_NEXT));
        fill(d, descriptor, &buffers[i]);
        store16(d, descriptor + 12, id);
        if (i == 0)
            first_flags = all;
        else
            store16(d, descriptor + 14, all);
        q->available_index = (uint16_t)((q->available_index + 1) % q->size);
        q->available_wrap = q->available_wrap != (q->available_index == 0);
    }
    q->count_of[id] = (uint16_t)count;
    q->unannounced = (uint16_t)(q->unannounced + count);
    store16(d, q->descriptors + 16u * first + 14, first_flags);
    return id;
}

static uint16_t post(struct vdrv *d, struct vdrv_queue *q, const struct vdrv_buffer *buffers, unsigned count,
                     uint16_t flags)
{
    require(count > 0 && q->in_use + count <= q->size);
    q->in_use = (uint16_t)(q->in_use + count);
    return q->packed ? post_packed(d, q, buffers, count, flags) : post_split(d, q, buffers, count, flags);
}

uint16_t vdrv_post(struct vdrv *d, unsigned queue, const struct vdrv_buffer *buffers, unsigned count)
{
    return post(d, &d->queue[queue], buffers, count, 0);
}

uint16_t vdrv_post_indirect(struct vdrv *d, unsigned queue, const struct vdrv_buffer *buffers, unsigned count)
{
    struct vdrv_queue *q = &d->queue[queue];
    struct vdrv_buffer table = {.gpa = vdrv_alloc(d, 16u * count, 16), .bytes = 16u * count};
    for (unsigned i = 0; i < count; i++) {
        uint64_t descriptor = table.gpa + 16u * i;
        bool last = i + 1 == count;
        fill(d, descriptor, &buffers[i]);
        /* Packed tables have no links: entries follow each other. */
        uint16_t link = (uint16_t)(q->packed || last ? 0 : DESC_NEXT);
        store16(d, descriptor + (q->packed ? 14 : 12), (uint16_t)(kind_of(&buffers[i]) | link));
        if (link != 0)
            store16(d, descriptor + 14, (uint16_t)(i + 1));
    }
    return post(d, q, &table, 1, DESC_INDIRECT);
}

/* Is `event` among the last `fresh` of what ends before `now`? */
static bool is_among(uint16_t event, uint16_t now, uint16_t fresh)
{
    for (uint16_t i = 1; i <= fresh; i++)
        if ((uint16_t)(now - i) == event)
            return true;
    return false;
}

bool vdrv_wants_kick(struct vdrv *d, unsigned queue)
{
    struct vdrv_queue *q = &d->queue[queue];
    uint16_t fresh = q->unannounced, now = q->available_index;
    q->unannounced = 0;
    if (fresh == 0)
        return false;
    if (!q->packed && has_event_idx(d))
        return is_among(load16(d, q->used + 4 + 8u * q->size), now, fresh);
    if (!q->packed)
        return (load16(d, q->used) & 1u) == 0;
    uint16_t kind = load16(d, q->used + 2) & 3u, event = load16(d, q->used);
    if (kind != EVENT_SLOT)
        return kind != EVENT_DISABLE;
    bool same_round = ((event & EVENT_WRAP) != 0) == q->available_wrap;
    return is_among((uint16_t)((event & ~EVENT_WRAP) - (same_round ? 0 : q->size)), now, fresh);
}

void vdrv_turn(struct vdrv *d)
{
    for (int i = 0; i < SETTLE_ROUNDS && loop_turn(&d->loop) > 0; i++) {
    }
}

void vdrv_kick(struct vdrv *d, unsigned queue)
{
    virtio_kick(d->v, queue);
    vdrv_turn(d);
}

static bool take_split(struct vdrv *d, struct vdrv_queue *q, uint32_t *id, uint32_t *written)
{
    if (load16(d, q->used + 2) == q->used_index)
        return false;
    atomic_thread_fence(memory_order_acquire);
    const uint8_t *entry = vdrv_at(d, q->used + 4 + 8u * (q->used_index % q->size), 8);
    *id = bytes_load_le32(entry);
    *written = bytes_load_le32(entry + 4);
    require(*id < q->size && q->count_of[*id] > 0);
    for (uint16_t i = 0, at = (uint16_t)*id; i < q->count_of[*id]; i++, at = q->next_of[at])
        q->busy[at] = false;
    q->used_index++;
    if (has_event_idx(d))
        store16(d, q->available + 4 + 2u * q->size, q->used_index);
    return true;
}

static bool take_packed(struct vdrv *d, struct vdrv_queue *q, uint32_t *id, uint32_t *written)
{
    uint64_t descriptor = q->descriptors + 16u * q->used_index;
    uint16_t flags = load16(d, descriptor + 14);
    bool used = (flags & DESC_USED) != 0;
    if (used != ((flags & DESC_AVAIL) != 0) || used != q->used_wrap)
        return false;
    atomic_thread_fence(memory_order_acquire);
    *id = bytes_load_le16(vdrv_at(d, descriptor + 12, 2));
    *written = (flags & DESC_WRITE) != 0 ? bytes_load_le32(vdrv_at(d, descriptor + 8, 4)) : 0;
    require(*id < q->size && q->count_of[*id] > 0);
    q->used_index = (uint16_t)(q->used_index + q->count_of[*id]);
    if (q->used_index >= q->size) {
        q->used_index = (uint16_t)(q->used_index - q->size);
        q->used_wrap = !q->used_wrap;
    }
    if (has_event_idx(d)) {
        store16(d, q->available, (uint16_t)(q->used_index | (q->used_wrap ? EVENT_WRAP : 0)));
        store16(d, q->available + 2, EVENT_SLOT);
    }
    return true;
}

bool vdrv_take(struct vdrv *d, unsigned queue, uint16_t *head, uint32_t *written)
{
    struct vdrv_queue *q = &d->queue[queue];
    uint32_t id = 0, length = 0;
    if (!(q->packed ? take_packed(d, q, &id, &length) : take_split(d, q, &id, &length)))
        return false;
    q->in_use = (uint16_t)(q->in_use - q->count_of[id]);
    q->count_of[id] = 0;
    if (head != NULL)
        *head = (uint16_t)id;
    if (written != NULL)
        *written = length;
    return true;
}

int64_t vdrv_request(struct vdrv *d, unsigned queue, const void *out, uint32_t out_bytes, void *in, uint32_t in_bytes)
{
    struct vdrv_buffer buffers[2];
    uint64_t heap = d->heap, in_gpa = 0;
    unsigned count = 0;
    uint32_t written;
    if (out_bytes > 0)
        buffers[count++] = (struct vdrv_buffer){.gpa = vdrv_put(d, out, out_bytes), .bytes = out_bytes};
    if (in_bytes > 0) {
        in_gpa = vdrv_alloc(d, in_bytes, 8);
        buffers[count++] = (struct vdrv_buffer){.gpa = in_gpa, .bytes = in_bytes, .writable = true};
    }
    (void)vdrv_post(d, queue, buffers, count);
    vdrv_kick(d, queue);
    bool came = vdrv_take(d, queue, NULL, &written);
    if (came && in_bytes > 0)
        memcpy(in, vdrv_at(d, in_gpa, in_bytes), in_bytes);
    d->heap = heap;
    return came ? (int64_t)written : -1;
}
