/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/console.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

#define QUEUES      2u
#define TURN_CHAINS 64

#define CONFIG_COLUMNS   0u
#define CONFIG_ROWS      2u
#define CONFIG_EMERGENCY 8u
#define CONFIG_END       12u

#define ROWS_SHIFT 16

struct vconsole {
    struct virtio virtio;
    struct vconsole_config cfg;
    atomic_uint_least32_t size; /* columns, and rows above them: one word, so that they fit each other */
    struct virtq_chain rx, tx;  /* under the lock of their queue, as is said */
    uint64_t said;              /* bytes of the chain that was put back in the middle */
    pthread_mutex_t lock;       /* guards what follows; inside of the queues' */
    size_t head, used;          /* of input: the oldest byte, and how many */
    bool refused;               /* room is owed */
    uint8_t input[VCONSOLE_INPUT_BYTES];
};

/* ---- Input ---- */

/* The buffer is a ring: bytes from here that lie together. */
static size_t piece_at(size_t at, size_t most)
{
    return VCONSOLE_INPUT_BYTES - at < most ? VCONSOLE_INPUT_BYTES - at : most;
}

size_t vconsole_put(struct vconsole *c, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    pthread_mutex_lock(&c->lock);
    size_t room = VCONSOLE_INPUT_BYTES - c->used, all = n < room ? n : room;
    while (done < all) {
        size_t at = (c->head + c->used) % VCONSOLE_INPUT_BYTES, piece = piece_at(at, all - done);
        memcpy(c->input + at, bytes + done, piece);
        c->used += piece;
        done += piece;
    }
    c->refused = c->refused || done < n;
    pthread_mutex_unlock(&c->lock);
    if (done > 0)
        virtio_kick(&c->virtio, VCONSOLE_RX);
    return done;
}

/* Move input into the chain, as much as fits. */
static uint32_t hear(struct vconsole *c)
{
    uint32_t done = 0;
    pthread_mutex_lock(&c->lock);
    while (c->used > 0 && done < c->rx.in_bytes) {
        size_t left = c->rx.in_bytes - done, piece = piece_at(c->head, c->used < left ? c->used : left);
        (void)virtq_chain_write(&c->rx, done, c->input + c->head, piece);
        c->head = (c->head + piece) % VCONSOLE_INPUT_BYTES;
        c->used -= piece;
        done += (uint32_t)piece;
    }
    pthread_mutex_unlock(&c->lock);
    return done;
}

static bool has_input(struct vconsole *c)
{
    pthread_mutex_lock(&c->lock);
    bool some = c->used > 0;
    pthread_mutex_unlock(&c->lock);
    return some;
}

static void offer_room(struct vconsole *c)
{
    pthread_mutex_lock(&c->lock);
    bool owed = c->refused && c->used <= VCONSOLE_INPUT_BYTES / 2;
    c->refused = c->refused && !owed;
    pthread_mutex_unlock(&c->lock);
    if (owed && c->cfg.room != NULL)
        c->cfg.room(c->cfg.ctx);
}

static enum virtio_served serve_rx(struct vconsole *c, struct virtq *q)
{
    for (int i = 0; i < TURN_CHAINS; i++) {
        if (!has_input(c))
            return VIRTIO_ENOUGH;
        if (virtq_pop(q, &c->rx) <= 0)
            return VIRTIO_DRAINED;
        virtq_push(q, &c->rx, hear(c));
    }
    return VIRTIO_MORE;
}

/* ---- Output ---- */

/* Say what is left of the chain, or what this turn allows. */
static uint64_t say(struct vconsole *c, uint64_t most)
{
    uint64_t spent = 0;
    while (c->said < c->tx.out_bytes && spent < most) {
        uint8_t bytes[VCONSOLE_OUTPUT_BYTES];
        uint64_t left = c->tx.out_bytes - c->said;
        size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        (void)virtq_chain_read(&c->tx, c->said, bytes, n);
        c->cfg.output(c->cfg.ctx, bytes, n);
        c->said += n;
        spent += n;
    }
    return spent;
}

static enum virtio_served serve_tx(struct vconsole *c, struct virtq *q)
{
    uint64_t spent = 0;
    for (int i = 0; i < TURN_CHAINS && spent < VCONSOLE_TURN_BYTES; i++) {
        if (virtq_pop(q, &c->tx) <= 0)
            return VIRTIO_DRAINED;
        spent += say(c, VCONSOLE_TURN_BYTES - spent);
        if (c->said < c->tx.out_bytes) {
            virtq_unpop(q, &c->tx);
            return VIRTIO_MORE;
        }
        c->said = 0;
        virtq_push(q, &c->tx, 0);
    }
    return VIRTIO_MORE;
}

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct vconsole *c = dev;
    if (queue == VCONSOLE_TX)
        return serve_tx(c, q);
    enum virtio_served served = serve_rx(c, q);
    offer_room(c);
    return served;
}

/* ---- Configuration ---- */

static void read_config(void *dev, uint8_t *out)
{
    struct vconsole *c = dev;
    uint32_t size = atomic_load(&c->size);
    bytes_store_le16(out + CONFIG_COLUMNS, (uint16_t)size);
    bytes_store_le16(out + CONFIG_ROWS, (uint16_t)(size >> ROWS_SHIFT));
}

/* A last word of a driver that has no rings, or does not trust them any more: 5.3.4. */
static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct vconsole *c = dev;
    uint8_t byte = (uint8_t)value;
    (void)bytes;
    if (offset == CONFIG_EMERGENCY)
        c->cfg.output(c->cfg.ctx, &byte, 1);
}

void vconsole_resize(struct vconsole *c, uint16_t columns, uint16_t rows)
{
    atomic_store(&c->size, columns | (uint32_t)rows << ROWS_SHIFT);
    virtio_config_changed(&c->virtio);
}

/* ---- Life ---- */

static void reset(void *dev)
{
    struct vconsole *c = dev;
    c->said = 0;
}

static const struct virtio_ops ops = {.name = "console",
                                      .type = VIRTIO_TYPE_CONSOLE,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .write_config = write_config,
                                      .reset = reset};

int vconsole_new(const struct vconsole_config *config, struct vconsole **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "console", .what_to_do = "free memory on the host"};
    assert(config->output != NULL);
    struct vconsole *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_fail(err, -ENOMEM, &context);
    c->cfg = *config;
    atomic_init(&c->size, config->columns | (uint32_t)config->rows << ROWS_SHIFT);
    (void)pthread_mutex_init(&c->lock, NULL);
    const struct virtio_config common = {.ops = &ops,
                                         .dev = c,
                                         .memory = config->memory,
                                         .features =
                                             VIRTIO_FEATURE(VCONSOLE_F_SIZE) | VIRTIO_FEATURE(VCONSOLE_F_EMERG_WRITE),
                                         .config_bytes = CONFIG_END,
                                         .queues = QUEUES,
                                         .queue_size = VCONSOLE_QUEUE_SIZE,
                                         .loops = {config->loop, config->loop},
                                         .log = config->log};
    int code = virtio_init(&c->virtio, &common, err);
    if (code == 0)
        *out = c;
    else
        vconsole_free(c);
    return code;
}

void vconsole_free(struct vconsole *c)
{
    if (c == NULL)
        return;
    virtio_fini(&c->virtio);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct virtio *vconsole_virtio(struct vconsole *c)
{
    return &c->virtio;
}
