/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a hostile driver of a block device (virtio_hostile.h), and a host whose calls come short or fail.
 *
 * The first byte: bit 0 for a disk to read only. Events: the low 4 bits say how the next calls end (0: well), the
 * others how many bytes a transfer moves at most. Checked: no call reaches beyond the disk or beyond guest memory, none
 * is longer than a turn, a disk to read only is never written, sectors are whole.
 */
#include "tests/fuzz/virtio_hostile.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/devices/virtio/blk.h"

#define IMAGE_BYTES 0x40000u

struct world {
    struct hostile h;
    struct disk disk;
    struct blk *blk;
    uint8_t outcome;
    size_t at_most;
    uint8_t image[IMAGE_BYTES];
};

static int outcome(const struct world *w)
{
    static const int codes[16] = {0, 0, 0, 0, -EIO, -ENOSPC, -EINTR, -EOPNOTSUPP, -EINVAL};
    return codes[w->outcome];
}

static void check_memory(struct world *w, const struct iovec *iov)
{
    const uint8_t *memory = vdrv_at(&w->h.d, 0, VDRV_MEMORY_BYTES), *at = iov->iov_base;
    assert(at >= memory && (uint64_t)(at - memory) + iov->iov_len <= VDRV_MEMORY_BYTES);
}

static ssize_t move(struct world *w, const struct iovec *iov, unsigned count, uint64_t offset, bool in)
{
    size_t done = 0, all = 0;
    assert(count > 0 && count <= 1024);
    for (unsigned i = 0; i < count; i++)
        all += iov[i].iov_len;
    assert(all > 0 && all <= BLK_TURN_BYTES && offset + all <= IMAGE_BYTES);
    if (outcome(w) < 0) {
        int code = outcome(w);
        w->outcome = code == -EINTR ? 0 : w->outcome;
        return code;
    }
    for (unsigned i = 0; i < count && done < w->at_most; i++) {
        size_t n = iov[i].iov_len < w->at_most - done ? iov[i].iov_len : w->at_most - done;
        if (in)
            memcpy(iov[i].iov_base, w->image + offset + done, n);
        else
            memcpy(w->image + offset + done, iov[i].iov_base, n);
        done += n;
    }
    return (ssize_t)done;
}

static ssize_t fuzz_read(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    for (unsigned i = 0; i < count; i++)
        check_memory(d->ctx, &iov[i]);
    return move(d->ctx, iov, count, offset, true);
}

/* Zeroes may come from elsewhere than guest memory. */
static ssize_t fuzz_write(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    assert(!d->read_only);
    return move(d->ctx, iov, count, offset, false);
}

static int fuzz_sync(struct disk *d)
{
    return outcome(d->ctx);
}

static int fuzz_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    assert(!d->read_only && bytes > 0 && offset % 512 == 0 && bytes % 512 == 0);
    assert(offset < IMAGE_BYTES && bytes <= IMAGE_BYTES - offset);
    return outcome(d->ctx);
}

static int fuzz_zero(struct disk *d, uint64_t offset, uint64_t bytes, bool unmap)
{
    struct world *w = d->ctx;
    (void)unmap;
    assert(!d->read_only && bytes > 0 && offset % 512 == 0 && bytes % 512 == 0);
    assert(offset < IMAGE_BYTES && bytes <= IMAGE_BYTES - offset);
    if (outcome(w) == 0)
        memset(w->image + offset, 0, bytes);
    return outcome(w);
}

static void event(struct hostile *h, uint8_t what)
{
    struct world *w = (struct world *)(void *)h;
    w->outcome = what & 15;
    w->at_most = what >> 4 == 15 ? SIZE_MAX : 64u << (what >> 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct disk_ops ops = {
        .read = fuzz_read, .write = fuzz_write, .sync = fuzz_sync, .discard = fuzz_discard, .zero = fuzz_zero};
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return 0;
    hostile_init(&w->h, data, size);
    w->h.event = event;
    w->at_most = SIZE_MAX;
    w->disk = (struct disk){.ops = &ops,
                            .ctx = w,
                            .name = "fuzz",
                            .bytes = IMAGE_BYTES,
                            .block_bytes = 512,
                            .read_only = (hostile_byte(&w->h) & 1) != 0};
    struct loop *loop = &w->h.d.loop;
    const struct blk_config cfg = {
        .memory = &w->h.d.memory, .disk = &w->disk, .serial = "fuzz", .queues = 2, .loops = {loop, loop}};
    assert(blk_new(&cfg, &w->blk, NULL) == 0);
    hostile_attach(&w->h, blk_virtio(w->blk), virtio_get_offered(blk_virtio(w->blk), 0));
    hostile_run(&w->h);
    blk_free(w->blk);
    vdrv_fini(&w->h.d);
    free(w);
    return 0;
}
