/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/balloon.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/bytes.h"

#define PFN_BYTES 4u
#define PFN_BATCH 256u

#define CONFIG_TARGET 0u
#define CONFIG_ACTUAL 4u
#define CONFIG_END    8u

/* A turn ends behind the chain with which so much was done. */
#define TURN_CHAINS 16
#define TURN_BYTES  (UINT64_C(256) << 20)

struct balloon {
    struct virtio virtio;
    struct balloon_config cfg;
    struct virtq_chain chain; /* the loop's */
    atomic_uint_least32_t target, actual;
    atomic_uint_least64_t discarded;
};

/* Neighbouring pages that go in one call. */
struct run {
    uint64_t first, count; /* page numbers */
};

static uint64_t total_pages(const struct balloon *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < b->cfg.memory->count; i++)
        sum += b->cfg.memory->range[i].bytes / GUEST_PAGE_BYTES;
    return sum < UINT32_MAX ? sum : UINT32_MAX;
}

static int discard_own(void *ctx, gpa_t gpa, uint64_t bytes)
{
    const struct balloon *b = ctx;
    return memory_discard(b->cfg.memory, gpa, bytes);
}

/* Of RAM, in one range. */
static void discard(struct balloon *b, gpa_t gpa, uint64_t bytes)
{
    if (b->cfg.discard(b->cfg.ctx, gpa, bytes) == 0)
        atomic_fetch_add_explicit(&b->discarded, bytes, memory_order_relaxed);
}

/* ---- Inflating: an array of page numbers ---- */

static void end_run(struct balloon *b, struct run *run)
{
    if (run->count > 0)
        discard(b, gpa_make(run->first << GUEST_PAGE_SHIFT), run->count << GUEST_PAGE_SHIFT);
    *run = (struct run){.count = 0};
}

/* Also of a single page: numbers outside of RAM take no neighbours down with them, nor do pages of two ranges. */
static bool is_ram(const struct balloon *b, const struct run *run)
{
    return memory_at(b->cfg.memory, gpa_make(run->first << GUEST_PAGE_SHIFT), run->count << GUEST_PAGE_SHIFT) != NULL;
}

/* Allocators hand out neighbours upwards or downwards. */
static void add_page(struct balloon *b, struct run *run, uint64_t page)
{
    const struct run up = {.first = run->first, .count = run->count + 1}, alone = {.first = page, .count = 1};
    const struct run down = {.first = page, .count = run->count + 1};
    if (run->count > 0 && page == run->first + run->count && is_ram(b, &up)) {
        *run = up;
    } else if (run->count > 0 && page + 1 == run->first && is_ram(b, &down)) {
        *run = down;
    } else if (is_ram(b, &alone)) {
        end_run(b, run);
        *run = alone;
    }
}

static uint64_t inflate(struct balloon *b)
{
    uint32_t posted = b->chain.out_bytes / PFN_BYTES, count = posted < BALLOON_PAGES_MAX ? posted : BALLOON_PAGES_MAX;
    struct run run = {.count = 0};
    for (uint32_t done = 0, n; done < count; done += n) {
        uint8_t batch[PFN_BATCH * PFN_BYTES];
        n = count - done < PFN_BATCH ? count - done : PFN_BATCH;
        if (!virtq_chain_read(&b->chain, (size_t)done * PFN_BYTES, batch, (size_t)n * PFN_BYTES))
            break;
        for (uint32_t i = 0; i < n; i++)
            add_page(b, &run, bytes_load_le32(batch + (size_t)PFN_BYTES * i));
    }
    end_run(b, &run);
    return (uint64_t)count << GUEST_PAGE_SHIFT;
}

/* ---- Reporting: the pages themselves are posted, to be written to ---- */

/* Only whole pages can go. left: most bytes. */
static uint64_t report_buffer(struct balloon *b, const struct iovec *buffer, uint64_t left)
{
    gpa_t gpa;
    if (!memory_gpa(b->cfg.memory, buffer->iov_base, &gpa))
        return 0;
    uint64_t bytes = buffer->iov_len < left ? buffer->iov_len : left;
    uint64_t end = (gpa.value + bytes) & ~(GUEST_PAGE_BYTES - 1);
    uint64_t begin = (gpa.value + GUEST_PAGE_BYTES - 1) & ~(GUEST_PAGE_BYTES - 1);
    if (begin < end)
        discard(b, gpa_make(begin), end - begin);
    return bytes;
}

static uint64_t report(struct balloon *b)
{
    const struct iovec *in = virtq_chain_in(&b->chain);
    uint64_t done = 0;
    for (unsigned i = 0; i < b->chain.in && done < BALLOON_REPORT_BYTES_MAX; i++)
        done += report_buffer(b, &in[i], BALLOON_REPORT_BYTES_MAX - done);
    return done;
}

/* ---- The device ---- */

static uint64_t work(struct balloon *b, unsigned queue)
{
    if (queue == BALLOON_INFLATE)
        return inflate(b);
    if (queue == BALLOON_DEFLATE)
        return 0;
    return virtio_has(&b->virtio, BALLOON_F_REPORTING) ? report(b) : 0;
}

/* Nothing is ever written: what the pages hold afterwards is not the device's word. */
static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct balloon *b = dev;
    uint64_t spent = 0;
    for (int i = 0; i < TURN_CHAINS && spent < TURN_BYTES; i++) {
        if (virtq_pop(q, &b->chain) <= 0)
            return VIRTIO_DRAINED;
        spent += work(b, queue);
        virtq_push(q, &b->chain, 0);
    }
    return VIRTIO_MORE;
}

static void read_config(void *dev, uint8_t *out)
{
    struct balloon *b = dev;
    bytes_store_le32(out + CONFIG_TARGET, atomic_load(&b->target));
    bytes_store_le32(out + CONFIG_ACTUAL, atomic_load(&b->actual));
}

static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct balloon *b = dev;
    if (offset == CONFIG_ACTUAL && bytes == 4)
        atomic_store(&b->actual, (uint32_t)value);
}

static void reset(void *dev)
{
    struct balloon *b = dev;
    atomic_store(&b->actual, 0);
}

static const struct virtio_ops ops = {.name = "balloon",
                                      .type = VIRTIO_TYPE_BALLOON,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .write_config = write_config,
                                      .reset = reset};

int balloon_new(const struct balloon_config *config, struct balloon **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "balloon", .what_to_do = "free memory on the host"};
    struct balloon *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return err_fail(err, -ENOMEM, &context);
    b->cfg = *config;
    if (b->cfg.discard == NULL) {
        b->cfg.discard = discard_own;
        b->cfg.ctx = b;
    }
    struct virtio_config common = {.ops = &ops,
                                   .dev = b,
                                   .memory = config->memory,
                                   .features =
                                       VIRTIO_FEATURE(BALLOON_F_DEFLATE_ON_OOM) | VIRTIO_FEATURE(BALLOON_F_REPORTING),
                                   .config_bytes = CONFIG_END,
                                   .queues = BALLOON_QUEUES,
                                   .queue_size = BALLOON_QUEUE_SIZE,
                                   .log = config->log};
    for (unsigned i = 0; i < BALLOON_QUEUES; i++)
        common.loops[i] = config->loop;
    int code = virtio_init(&b->virtio, &common, err);
    if (code < 0) {
        free(b);
        return code;
    }
    *out = b;
    return 0;
}

void balloon_free(struct balloon *b)
{
    if (b == NULL)
        return;
    virtio_fini(&b->virtio);
    free(b);
}

struct virtio *balloon_virtio(struct balloon *b)
{
    return &b->virtio;
}

void balloon_set_target(struct balloon *b, uint64_t pages)
{
    uint64_t most = total_pages(b);
    atomic_store(&b->target, (uint32_t)(pages < most ? pages : most));
    virtio_config_changed(&b->virtio);
}

uint32_t balloon_actual(struct balloon *b)
{
    return atomic_load(&b->actual);
}

uint64_t balloon_discarded_bytes(struct balloon *b)
{
    return atomic_load_explicit(&b->discarded, memory_order_relaxed);
}
