/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/blk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"

#define HEADER_BYTES  16u
#define SEGMENT_BYTES 16u
#define SEGMENT_UNMAP 1u

/* The configuration: 5.2.4. */
#define CONFIG_CAPACITY          0u
#define CONFIG_SEG_MAX           12u
#define CONFIG_BLK_SIZE          20u
#define CONFIG_PHYSICAL_EXPONENT 24u
#define CONFIG_WRITEBACK         32u
#define CONFIG_QUEUES            34u
#define CONFIG_DISCARD_SECTORS   36u
#define CONFIG_DISCARD_SEGMENTS  40u
#define CONFIG_DISCARD_ALIGNMENT 44u
#define CONFIG_ZEROES_SECTORS    48u
#define CONFIG_ZEROES_SEGMENTS   52u
#define CONFIG_ZEROES_MAY_UNMAP  56u
#define CONFIG_END               60u
#define PHYSICAL_EXPONENT        3u /* the host's page cache works in pages of 4 KiB */
#define ZEROES_SEGMENTS_MAX      1u
#define WRITEBACK_UNSET          (-1)

/* A request as the driver posted it, without header and status, and how far it has come. */
struct request {
    uint32_t type;
    uint64_t sector;
    uint32_t out_bytes, in_bytes;
    uint64_t done; /* bytes of the data that is read or written; of the range to be zeroed */
    bool worked;   /* what is left is to fill the writable part */
    uint8_t status;
};

/* Of one queue; its lock guards it. */
struct lane {
    struct request request;
    bool under_way; /* the request was put back; its ring has it */
    struct virtq_chain chain;
    struct iovec iov[VIRTQ_SIZE_MAX];
};

struct blk {
    struct virtio virtio;
    struct blk_config cfg;
    uint8_t serial[BLK_SERIAL_BYTES];
    atomic_int writeback; /* as the driver wrote it since the last reset, or WRITEBACK_UNSET */
    atomic_flag said;     /* a failure of the host is logged once */
    struct lane lane[];
};

static uint64_t sectors_of(const struct blk *blk)
{
    return blk->cfg.disk->bytes / DISK_SECTOR_BYTES;
}

/*
 * Without CONFIG_WCE a driver that can flush has a cache that wants to be flushed, and one that cannot has none: 5.2.5.
 * Under a ring's lock or virtio.lock.
 */
static bool is_writeback(struct blk *blk)
{
    int asked = atomic_load(&blk->writeback);
    if (asked != WRITEBACK_UNSET && virtio_has(&blk->virtio, BLK_F_CONFIG_WCE))
        return asked != 0;
    return virtio_has(&blk->virtio, BLK_F_FLUSH);
}

/* ---- What becomes of a call to the host ---- */

/* What a driver asks for in vain is its own business; a disk that is full or broken is somebody's on the host. */
static uint8_t status_of(struct blk *blk, int code, const char *what)
{
    if (code == 0)
        return BLK_S_OK;
    if (code == -EOPNOTSUPP)
        return BLK_S_UNSUPP;
    if (blk->cfg.log != NULL && log_once_first(&blk->said))
        log_write(blk->cfg.log, LOG_LEVEL_ERROR, LOG_NO_VCPU,
                  "virtio-blk: %s failed on %s: %s; the guest is told of an I/O error, this time and further ones",
                  what, blk->cfg.disk->name, strerror(-code));
    return BLK_S_IOERR;
}

/* ---- Reading and writing. A step does one piece of a request and returns its length. ---- */

static uint64_t piece_of(const struct request *r, uint64_t all)
{
    return all - r->done < BLK_TURN_BYTES ? all - r->done : BLK_TURN_BYTES;
}

static bool are_sectors_good(const struct blk *blk, const struct request *r, uint32_t bytes)
{
    return bytes % DISK_SECTOR_BYTES == 0 && checked_range_fits(r->sector, bytes / DISK_SECTOR_BYTES, sectors_of(blk));
}

static uint64_t read_step(struct blk *blk, struct lane *lane, struct request *r)
{
    if (r->out_bytes != 0 || !are_sectors_good(blk, r, r->in_bytes)) {
        r->status = BLK_S_IOERR;
        return 0;
    }
    uint64_t n = piece_of(r, r->in_bytes);
    unsigned count = virtq_slice(virtq_chain_in(&lane->chain), lane->chain.in, r->done, n, lane->iov);
    int code = disk_read(blk->cfg.disk, lane->iov, count, r->sector * DISK_SECTOR_BYTES + r->done);
    r->status = status_of(blk, code, "reading");
    r->worked = r->done + n == r->in_bytes;
    return code == 0 ? n : 0;
}

static uint64_t write_step(struct blk *blk, struct lane *lane, struct request *r)
{
    if (r->in_bytes != 0 || !are_sectors_good(blk, r, r->out_bytes)) {
        r->status = BLK_S_IOERR;
        return 0;
    }
    uint64_t n = piece_of(r, r->out_bytes);
    unsigned count = virtq_slice(lane->chain.iov, lane->chain.out, HEADER_BYTES + r->done, n, lane->iov);
    int code = disk_write(blk->cfg.disk, lane->iov, count, r->sector * DISK_SECTOR_BYTES + r->done);
    r->status = status_of(blk, code, "writing");
    r->worked = r->done + n == r->out_bytes;
    return code == 0 ? n : 0;
}

/* ---- Ranges ---- */

struct range {
    uint64_t offset, bytes;
    bool unmap;
};

static bool are_segments_good(const struct request *r, unsigned most)
{
    return r->in_bytes == 0 && r->out_bytes != 0 && r->out_bytes % SEGMENT_BYTES == 0 &&
           r->out_bytes / SEGMENT_BYTES <= most;
}

/* Read and check one segment of a discard or of zeroes. BLK_S_OK: *out is it. */
static uint8_t read_segment(const struct blk *blk, const struct lane *lane, unsigned i, struct range *out)
{
    uint8_t s[SEGMENT_BYTES];
    if (!virtq_chain_read(&lane->chain, HEADER_BYTES + (size_t)SEGMENT_BYTES * i, s, sizeof(s)))
        return BLK_S_IOERR;
    uint64_t sector = bytes_load_le64(s);
    uint32_t count = bytes_load_le32(s + 8), flags = bytes_load_le32(s + 12);
    if ((flags & ~(lane->request.type == BLK_T_WRITE_ZEROES ? SEGMENT_UNMAP : 0)) != 0)
        return BLK_S_UNSUPP;
    if (count > BLK_RANGE_SECTORS_MAX || !checked_range_fits(sector, count, sectors_of(blk)))
        return BLK_S_IOERR;
    *out = (struct range){.offset = sector * DISK_SECTOR_BYTES,
                          .bytes = (uint64_t)count * DISK_SECTOR_BYTES,
                          .unmap = (flags & SEGMENT_UNMAP) != 0};
    return BLK_S_OK;
}

/* All of them are checked before the first one is touched, and each is read once. */
static uint64_t discard(struct blk *blk, struct lane *lane, struct request *r)
{
    struct range range[BLK_DISCARDS_MAX];
    unsigned count = r->out_bytes / SEGMENT_BYTES;
    r->worked = true;
    r->status = are_segments_good(r, BLK_DISCARDS_MAX) ? BLK_S_OK : BLK_S_IOERR;
    for (unsigned i = 0; r->status == BLK_S_OK && i < count; i++)
        r->status = read_segment(blk, lane, i, &range[i]);
    for (unsigned i = 0; r->status == BLK_S_OK && i < count; i++)
        r->status = status_of(blk, disk_discard(blk->cfg.disk, range[i].offset, range[i].bytes), "discarding");
    return 0;
}

static uint64_t zero_step(struct blk *blk, struct lane *lane, struct request *r)
{
    struct range range = {.bytes = 0};
    r->status = are_segments_good(r, ZEROES_SEGMENTS_MAX) ? read_segment(blk, lane, 0, &range) : BLK_S_IOERR;
    /* The segment is read anew in each turn, and may have become shorter. */
    r->worked = r->done >= range.bytes;
    if (r->worked)
        return 0;
    uint64_t n = range.bytes - r->done;
    r->status = status_of(blk, disk_zero(blk->cfg.disk, range.offset + r->done, &n, range.unmap), "zeroing");
    r->worked = r->done + n >= range.bytes;
    return n;
}

/* ---- Requests ---- */

static uint64_t flush(struct blk *blk, struct request *r)
{
    bool good = r->out_bytes == 0 && r->in_bytes == 0;
    r->worked = true;
    r->status = good ? status_of(blk, disk_sync(blk->cfg.disk), "flushing") : BLK_S_IOERR;
    return 0;
}

static uint64_t get_id(struct blk *blk, struct lane *lane, struct request *r)
{
    bool good = r->out_bytes == 0 && r->in_bytes >= BLK_SERIAL_BYTES &&
                virtq_chain_write(&lane->chain, 0, blk->serial, BLK_SERIAL_BYTES);
    r->worked = true;
    r->status = good ? BLK_S_OK : BLK_S_IOERR;
    return good ? BLK_SERIAL_BYTES : 0;
}

static bool is_known(struct blk *blk, uint32_t type)
{
    switch (type) {
    case BLK_T_IN:
    case BLK_T_OUT:
    case BLK_T_FLUSH:
    case BLK_T_GET_ID: return true;
    /* These two are not offered for a disk to read only, but writes they are: they fail, known or not. */
    case BLK_T_DISCARD: return blk->cfg.disk->read_only || virtio_has(&blk->virtio, BLK_F_DISCARD);
    case BLK_T_WRITE_ZEROES: return blk->cfg.disk->read_only || virtio_has(&blk->virtio, BLK_F_WRITE_ZEROES);
    default: return false;
    }
}

static bool is_write(uint32_t type)
{
    return type == BLK_T_OUT || type == BLK_T_DISCARD || type == BLK_T_WRITE_ZEROES;
}

static uint64_t work(struct blk *blk, struct lane *lane, struct request *r)
{
    if (!is_known(blk, r->type))
        r->status = BLK_S_UNSUPP;
    else if (is_write(r->type) && blk->cfg.disk->read_only)
        r->status = BLK_S_IOERR;
    if (r->status != BLK_S_OK)
        return 0;
    switch (r->type) {
    case BLK_T_IN: return read_step(blk, lane, r);
    case BLK_T_OUT: return write_step(blk, lane, r);
    case BLK_T_FLUSH: return flush(blk, r);
    case BLK_T_GET_ID: return get_id(blk, lane, r);
    case BLK_T_DISCARD: return discard(blk, lane, r);
    default: return zero_step(blk, lane, r);
    }
}

/* What nothing came for is zeroes. */
static uint64_t fill_step(struct lane *lane, struct request *r)
{
    uint64_t n = piece_of(r, r->in_bytes);
    unsigned count = virtq_slice(virtq_chain_in(&lane->chain), lane->chain.in, r->done, n, lane->iov);
    for (unsigned i = 0; i < count; i++)
        memset(lane->iov[i].iov_base, 0, lane->iov[i].iov_len);
    return n;
}

/* What cannot be told from its length, and may be slow, is a turn of its own. */
static uint64_t cost_of(const struct request *r, uint64_t n)
{
    return r->type == BLK_T_FLUSH || r->type == BLK_T_DISCARD || r->type == BLK_T_WRITE_ZEROES ? BLK_TURN_BYTES : n;
}

/* Go on with a request until it is through (true) or the turn is over. *spent: bytes of this turn. */
static bool run(struct blk *blk, struct lane *lane, uint64_t *spent)
{
    struct request *r = &lane->request;
    while (!r->worked && r->status == BLK_S_OK) {
        if (*spent >= BLK_TURN_BYTES)
            return false;
        uint64_t n = work(blk, lane, r);
        r->done += n;
        *spent += cost_of(r, n);
        /* With a write-through cache a write is done when it is on the disk. */
        if (r->worked && r->status == BLK_S_OK && is_write(r->type) && !is_writeback(blk))
            r->status = status_of(blk, disk_sync(blk->cfg.disk), "flushing");
    }
    while (r->done < r->in_bytes) {
        if (*spent >= BLK_TURN_BYTES)
            return false;
        uint64_t n = fill_step(lane, r);
        r->done += n;
        *spent += n;
    }
    return true;
}

/* Read what the chain asks for. If that is the request which was put back, go on with it. */
static void begin(struct lane *lane)
{
    const struct virtq_chain *chain = &lane->chain;
    struct request *old = &lane->request;
    uint8_t header[HEADER_BYTES] = {0};
    struct request r = {.in_bytes = chain->in_bytes - 1};
    if (virtq_chain_read(chain, 0, header, sizeof(header)))
        r.out_bytes = chain->out_bytes - HEADER_BYTES;
    else
        r.status = BLK_S_IOERR;
    r.type = bytes_load_le32(header);
    r.sector = bytes_load_le64(header + 8);
    bool same = lane->under_way && r.type == old->type && r.sector == old->sector && r.out_bytes == old->out_bytes &&
                r.in_bytes == old->in_bytes;
    lane->under_way = false;
    if (!same)
        *old = r;
}

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct blk *blk = dev;
    struct lane *lane = &blk->lane[queue];
    uint64_t spent = 0;
    for (unsigned i = 0; i < BLK_TURN_REQUESTS && spent < BLK_TURN_BYTES; i++) {
        if (virtq_pop(q, &lane->chain) <= 0)
            return VIRTIO_DRAINED;
        if (lane->chain.in_bytes == 0) {
            virtq_unpop(q, &lane->chain);
            virtio_break(&blk->virtio, "a request without room for its status");
            return VIRTIO_DRAINED;
        }
        begin(lane);
        if (!run(blk, lane, &spent)) {
            lane->under_way = true;
            virtq_unpop(q, &lane->chain);
            return VIRTIO_MORE;
        }
        (void)virtq_chain_write(&lane->chain, lane->chain.in_bytes - 1, &lane->request.status, 1);
        virtq_push(q, &lane->chain, lane->chain.in_bytes);
    }
    return VIRTIO_MORE;
}

/* ---- Configuration ---- */

static void read_config(void *dev, uint8_t *out)
{
    struct blk *blk = dev;
    int asked = atomic_load(&blk->writeback);
    bool blind = virtio_has(&blk->virtio, BLK_F_CONFIG_WCE) && !virtio_has(&blk->virtio, BLK_F_FLUSH);
    bytes_store_le64(out + CONFIG_CAPACITY, sectors_of(blk));
    bytes_store_le32(out + CONFIG_SEG_MAX, BLK_QUEUE_SIZE - 2); /* less header and status */
    bytes_store_le32(out + CONFIG_BLK_SIZE, DISK_SECTOR_BYTES);
    out[CONFIG_PHYSICAL_EXPONENT] = PHYSICAL_EXPONENT;
    out[CONFIG_WRITEBACK] = asked != WRITEBACK_UNSET ? (uint8_t)asked : !blind;
    bytes_store_le16(out + CONFIG_QUEUES, (uint16_t)blk->cfg.queues);
    if (blk->cfg.disk->read_only)
        return;
    bytes_store_le32(out + CONFIG_DISCARD_SECTORS, BLK_RANGE_SECTORS_MAX);
    bytes_store_le32(out + CONFIG_DISCARD_SEGMENTS, BLK_DISCARDS_MAX);
    bytes_store_le32(out + CONFIG_DISCARD_ALIGNMENT, blk->cfg.disk->block_bytes / DISK_SECTOR_BYTES);
    bytes_store_le32(out + CONFIG_ZEROES_SECTORS, BLK_RANGE_SECTORS_MAX);
    bytes_store_le32(out + CONFIG_ZEROES_SEGMENTS, ZEROES_SEGMENTS_MAX);
    out[CONFIG_ZEROES_MAY_UNMAP] = 1;
}

static void write_config(void *dev, uint32_t offset, unsigned bytes, uint64_t value)
{
    struct blk *blk = dev;
    if (offset == CONFIG_WRITEBACK && bytes == 1)
        atomic_store(&blk->writeback, (value & 0xff) != 0);
}

/* ---- Life ---- */

static void reset(void *dev)
{
    struct blk *blk = dev;
    atomic_store(&blk->writeback, WRITEBACK_UNSET);
    for (unsigned i = 0; i < blk->cfg.queues; i++)
        blk->lane[i].under_way = false;
}

static const struct virtio_ops ops = {.name = "blk",
                                      .type = VIRTIO_TYPE_BLOCK,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .write_config = write_config,
                                      .reset = reset};

static uint64_t features_of(const struct blk_config *config)
{
    uint64_t bits = VIRTIO_FEATURE(BLK_F_SEG_MAX) | VIRTIO_FEATURE(BLK_F_BLK_SIZE) | VIRTIO_FEATURE(BLK_F_FLUSH) |
                    VIRTIO_FEATURE(BLK_F_TOPOLOGY) | VIRTIO_FEATURE(BLK_F_CONFIG_WCE);
    if (config->queues > 1)
        bits |= VIRTIO_FEATURE(BLK_F_MQ);
    if (config->disk->read_only)
        return bits | VIRTIO_FEATURE(BLK_F_RO);
    return bits | VIRTIO_FEATURE(BLK_F_DISCARD) | VIRTIO_FEATURE(BLK_F_WRITE_ZEROES);
}

int blk_new(const struct blk_config *config, struct blk **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "blk", .what_to_do = "free memory on the host"};
    assert(config->queues > 0 && config->queues <= VIRTIO_QUEUES_MAX);
    struct blk *blk = calloc(1, sizeof(*blk) + config->queues * sizeof(blk->lane[0]));
    if (blk == NULL)
        return err_fail(err, -ENOMEM, &context);
    blk->cfg = *config;
    atomic_init(&blk->writeback, WRITEBACK_UNSET);
    if (config->serial != NULL)
        memcpy(blk->serial, config->serial, strnlen(config->serial, BLK_SERIAL_BYTES));
    struct virtio_config common = {.ops = &ops,
                                   .dev = blk,
                                   .memory = config->memory,
                                   .features = features_of(config),
                                   .config_bytes = CONFIG_END,
                                   .queues = config->queues,
                                   .queue_size = BLK_QUEUE_SIZE,
                                   .log = config->log};
    memcpy(common.loops, config->loops, sizeof(common.loops));
    int code = virtio_init(&blk->virtio, &common, err);
    if (code < 0) {
        free(blk);
        return code;
    }
    *out = blk;
    return 0;
}

void blk_free(struct blk *blk)
{
    if (blk == NULL)
        return;
    virtio_fini(&blk->virtio);
    free(blk);
}

struct virtio *blk_virtio(struct blk *blk)
{
    return &blk->virtio;
}
