/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/log.h"
#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/blk.h"

#define MIB          UINT64_C(0x100000)
#define IMAGE_BYTES  (4 * MIB)
#define SECTORS      (IMAGE_BYTES / 512)
#define HEADER_BYTES 16u
#define NOTHING      0xee /* in memory that the device did not write */
#define ALL_FEATURES                                                                                                   \
    (VIRTIO_FEATURE(BLK_F_FLUSH) | VIRTIO_FEATURE(BLK_F_CONFIG_WCE) | VIRTIO_FEATURE(BLK_F_DISCARD) |                  \
     VIRTIO_FEATURE(BLK_F_WRITE_ZEROES) | VIRTIO_FEATURE(BLK_F_SEG_MAX) | VIRTIO_FEATURE(BLK_F_BLK_SIZE))
#define READ_ONLY_FEATURES (VIRTIO_FEATURE(BLK_F_FLUSH) | VIRTIO_FEATURE(BLK_F_RO))

/* A disk in memory that counts what is asked of it and fails where it is told to. */
struct rig {
    struct vdrv d;
    struct blk *blk;
    struct disk disk;
    struct log log;
    int log_fds[2];
    uint8_t *image;
    unsigned reads, writes, syncs, discards, zeroes;
    uint64_t longest;     /* bytes of one call */
    uint64_t last_offset; /* of a discard or of zeroes */
    uint64_t last_bytes;
    bool last_unmap;
    int fails;      /* a negative errno for whatever comes next */
    unsigned fuse;  /* after so many calls */
    size_t at_most; /* bytes of one transfer; 0: all */
    bool cannot_zero;
};

static int trouble(struct rig *r)
{
    if (r->fails == 0 || r->fuse-- > 0)
        return 0;
    r->fuse = 0;
    return r->fails;
}

static ssize_t move(struct rig *r, const struct iovec *iov, unsigned count, uint64_t offset, bool in)
{
    size_t done = 0, most = r->at_most != 0 ? r->at_most : SIZE_MAX;
    int code = trouble(r);
    if (code < 0)
        return code;
    for (unsigned i = 0; i < count && done < most; i++) {
        size_t n = iov[i].iov_len < most - done ? iov[i].iov_len : most - done;
        assert_true(offset + done + n <= IMAGE_BYTES);
        memcpy(in ? iov[i].iov_base : r->image + offset + done, in ? r->image + offset + done : iov[i].iov_base, n);
        done += n;
    }
    r->longest = done > r->longest ? done : r->longest;
    return (ssize_t)done;
}

static ssize_t ram_read(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    struct rig *r = d->ctx;
    r->reads++;
    return move(r, iov, count, offset, true);
}

static ssize_t ram_write(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    struct rig *r = d->ctx;
    r->writes++;
    return move(r, iov, count, offset, false);
}

static int ram_sync(struct disk *d)
{
    struct rig *r = d->ctx;
    r->syncs++;
    return trouble(r);
}

static int ram_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    struct rig *r = d->ctx;
    assert_true(bytes > 0 && offset + bytes <= IMAGE_BYTES);
    r->discards++;
    r->last_offset = offset;
    r->last_bytes = bytes;
    memset(r->image + offset, 0xdd, bytes);
    return trouble(r);
}

static int ram_zero(struct disk *d, uint64_t offset, uint64_t bytes, bool unmap)
{
    struct rig *r = d->ctx;
    assert_true(bytes > 0 && offset + bytes <= IMAGE_BYTES);
    r->zeroes++;
    r->last_offset = offset;
    r->last_bytes = bytes;
    r->last_unmap = unmap;
    if (r->cannot_zero)
        return -EOPNOTSUPP;
    memset(r->image + offset, 0, bytes);
    return trouble(r);
}

static const struct disk_ops ram_ops = {
    .read = ram_read, .write = ram_write, .sync = ram_sync, .discard = ram_discard, .zero = ram_zero};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || (r->image = malloc(IMAGE_BYTES)) == NULL || pipe2(r->log_fds, O_NONBLOCK) < 0)
        return -1;
    for (size_t i = 0; i < IMAGE_BYTES; i++)
        r->image[i] = (uint8_t)(i / 512 + i);
    log_init(&r->log, r->log_fds[1], LOG_LEVEL_DEBUG, "vm", NULL);
    vdrv_init(&r->d);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    blk_free(r->blk);
    vdrv_fini(&r->d);
    close(r->log_fds[0]);
    close(r->log_fds[1]);
    free(r->image);
    free(r);
    return 0;
}

static void make(struct rig *r, bool read_only, unsigned queues)
{
    r->disk = (struct disk){
        .ops = &ram_ops, .ctx = r, .name = "ram", .bytes = IMAGE_BYTES, .block_bytes = 4096, .read_only = read_only};
    struct blk_config cfg = {
        .memory = &r->d.memory, .disk = &r->disk, .serial = "serial-0", .queues = queues, .log = &r->log};
    for (unsigned i = 0; i < queues; i++)
        cfg.loops[i] = &r->d.loop;
    assert_int_equal(blk_new(&cfg, &r->blk, NULL), 0);
    vdrv_attach(&r->d, blk_virtio(r->blk));
}

static struct rig *start(void **state, uint64_t features)
{
    struct rig *r = *state;
    bool read_only = (features & VIRTIO_FEATURE(BLK_F_RO)) != 0;
    make(r, read_only, 1);
    assert_true(vdrv_start(&r->d, features));
    return r;
}

/* ---- Asking ---- */

static void put_header(uint8_t *at, uint32_t type, uint64_t sector)
{
    memset(at, 0, HEADER_BYTES);
    bytes_store_le32(at, type);
    bytes_store_le64(at + 8, sector);
}

/* One request, header and data in one buffer, data and status in another. Returns the status; `in` is written whole. */
static uint8_t ask(struct rig *r, uint32_t type, uint64_t sector, const void *out, uint32_t out_bytes, void *in,
                   uint32_t in_bytes)
{
    uint8_t *request = malloc(HEADER_BYTES + out_bytes), *answer = malloc(in_bytes + 1);
    assert_true(request != NULL && answer != NULL);
    put_header(request, type, sector);
    if (out_bytes > 0)
        memcpy(request + HEADER_BYTES, out, out_bytes);
    assert_int_equal(vdrv_request(&r->d, 0, request, HEADER_BYTES + out_bytes, answer, in_bytes + 1), in_bytes + 1);
    if (in_bytes > 0)
        memcpy(in, answer, in_bytes);
    uint8_t status = answer[in_bytes];
    free(request);
    free(answer);
    return status;
}

static uint8_t ask_range(struct rig *r, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    uint8_t segment[16];
    bytes_store_le64(segment, sector);
    bytes_store_le32(segment + 8, count);
    bytes_store_le32(segment + 12, flags);
    return ask(r, type, 0, segment, sizeof(segment), NULL, 0);
}

static void assert_zeroes(const uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(at[i], 0);
}

/* ---- Reading ---- */

static void sectors_are_read(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[1024];
    assert_int_equal(ask(r, BLK_T_IN, 3, NULL, 0, got, sizeof(got)), BLK_S_OK);
    assert_memory_equal(got, r->image + 3 * 512, sizeof(got));
}

static void the_last_sector_can_be_read_and_the_one_behind_it_not(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[1024];
    assert_int_equal(ask(r, BLK_T_IN, SECTORS - 1, NULL, 0, got, 512), BLK_S_OK);
    assert_memory_equal(got, r->image + IMAGE_BYTES - 512, 512);
    assert_int_equal(ask(r, BLK_T_IN, SECTORS, NULL, 0, got, 512), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_IN, SECTORS - 1, NULL, 0, got, 1024), BLK_S_IOERR);
    assert_int_equal(r->reads, 1);
}

static void sectors_that_wrap_are_refused(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[512];
    static const uint64_t sectors[] = {UINT64_MAX, UINT64_MAX / 512, UINT64_MAX / 512 + 1, UINT64_C(1) << 55};
    for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
        assert_int_equal(ask(r, BLK_T_IN, sectors[i], NULL, 0, got, 512), BLK_S_IOERR);
        assert_int_equal(ask(r, BLK_T_OUT, sectors[i], got, 512, NULL, 0), BLK_S_IOERR);
    }
    assert_int_equal(r->reads + r->writes, 0);
}

static void parts_of_sectors_are_refused(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t bytes[513];
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, bytes, 511), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, bytes, 513), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_OUT, 0, bytes, 511, NULL, 0), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_OUT, 0, bytes, 513, NULL, 0), BLK_S_IOERR);
    assert_int_equal(r->reads + r->writes, 0);
}

static void nothing_can_be_read_and_written(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, NULL, 0), BLK_S_OK);
    assert_int_equal(ask(r, BLK_T_OUT, SECTORS, NULL, 0, NULL, 0), BLK_S_OK);
    assert_int_equal(ask(r, BLK_T_IN, SECTORS + 1, NULL, 0, NULL, 0), BLK_S_IOERR);
}

static void data_in_the_wrong_direction_is_refused(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t bytes[512];
    memset(bytes, 1, sizeof(bytes));
    assert_int_equal(ask(r, BLK_T_IN, 0, bytes, 512, bytes, 512), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_OUT, 0, bytes, 512, bytes, 512), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, bytes, 512, NULL, 0), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, NULL, 0, bytes, 512), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_GET_ID, 0, bytes, 20, bytes, 20), BLK_S_IOERR);
    assert_int_equal(r->reads + r->writes + r->syncs, 0);
}

/* Nothing of what the driver's memory held before may look like data of the disk. */
static void a_read_that_fails_gives_zeroes(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[2048];
    memset(got, 0xff, sizeof(got));
    r->fails = -EIO;
    r->fuse = 1;
    r->at_most = 700;
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, got, sizeof(got)), BLK_S_IOERR);
    assert_zeroes(got, sizeof(got));
}

static void short_reads_and_interruptions_are_invisible(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[2048];
    r->at_most = 100;
    assert_int_equal(ask(r, BLK_T_IN, 1, NULL, 0, got, sizeof(got)), BLK_S_OK);
    assert_memory_equal(got, r->image + 512, sizeof(got));
    assert_int_equal(r->reads, 21);
}

static void an_image_cut_short_is_an_error_and_no_crash(void **state)
{
    struct rig *r = *state;
    char path[] = "/tmp/caisson-blk-test-XXXXXX";
    uint8_t got[512];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    close(fd);
    assert_int_equal(disk_open(&r->disk, path, false, NULL), 0);
    const struct blk_config cfg = {
        .memory = &r->d.memory, .disk = &r->disk, .queues = 1, .loops = {&r->d.loop}, .log = &r->log};
    assert_int_equal(blk_new(&cfg, &r->blk, NULL), 0);
    vdrv_attach(&r->d, blk_virtio(r->blk));
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    assert_int_equal(ask(r, BLK_T_IN, 15, NULL, 0, got, 512), BLK_S_OK);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(ask(r, BLK_T_IN, 15, NULL, 0, got, 512), BLK_S_IOERR);
    disk_close(&r->disk);
    unlink(path);
}

/* ---- Writing ---- */

static void sectors_are_written(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t put[1024];
    memset(put, 0x77, sizeof(put));
    assert_int_equal(ask(r, BLK_T_OUT, 5, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_memory_equal(r->image + 5 * 512, put, sizeof(put));
    assert_int_not_equal(r->image[5 * 512 - 1], 0x77);
    assert_int_not_equal(r->image[7 * 512], 0x77);
    assert_int_equal(r->syncs, 0);
}

static void a_full_host_is_an_error_that_is_logged_once(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t put[512] = {0};
    char line[LOG_LINE_BYTES] = {0};
    r->fails = -ENOSPC;
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_IOERR);
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_IOERR);
    assert_true(read(r->log_fds[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "writing failed on ram: No space left on device"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    r->fails = 0;
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
}

static void a_driver_that_cannot_flush_gets_its_writes_on_the_disk(void **state)
{
    struct rig *r = start(state, VIRTIO_FEATURE(BLK_F_DISCARD) | VIRTIO_FEATURE(BLK_F_WRITE_ZEROES));
    uint8_t put[512] = {0};
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 1);
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, 8, 0), BLK_S_OK);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 3);
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, put, sizeof(put)), BLK_S_OK);
    assert_int_equal(r->syncs, 3);
    r->fails = -EIO;
    r->fuse = 1;
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_IOERR);
}

static void a_driver_that_can_flush_has_a_cache(void **state)
{
    struct rig *r = start(state, VIRTIO_FEATURE(BLK_F_FLUSH));
    uint8_t put[512] = {0};
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 0);
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, NULL, 0, NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 1);
    r->fails = -EIO;
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, NULL, 0, NULL, 0), BLK_S_IOERR);
}

static void the_cache_can_be_switched(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t put[512] = {0};
    assert_int_equal(virtio_read_config(r->d.v, 32, 1), 1);
    virtio_write_config(r->d.v, 32, 1, 0);
    assert_int_equal(virtio_read_config(r->d.v, 32, 1), 0);
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 1);
    virtio_write_config(r->d.v, 32, 1, 1);
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 1);
    virtio_write_config(r->d.v, 32, 1, 0);
    virtio_write_config(r->d.v, 0, 1, 0);
    virtio_write_config(r->d.v, 32, 2, 1);
    assert_int_equal(virtio_read_config(r->d.v, 32, 1), 0);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    assert_int_equal(virtio_read_config(r->d.v, 32, 1), 1);
}

static void the_switch_of_a_driver_that_did_not_ask_for_it_does_nothing(void **state)
{
    struct rig *r = start(state, VIRTIO_FEATURE(BLK_F_FLUSH));
    uint8_t put[512] = {0};
    virtio_write_config(r->d.v, 32, 1, 0);
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 0);
}

static void a_driver_with_a_switch_and_no_flush_begins_without_cache(void **state)
{
    struct rig *r = start(state, VIRTIO_FEATURE(BLK_F_CONFIG_WCE));
    uint8_t put[512] = {0};
    assert_int_equal(virtio_read_config(r->d.v, 32, 1), 0);
    assert_int_equal(ask(r, BLK_T_OUT, 0, put, sizeof(put), NULL, 0), BLK_S_OK);
    assert_int_equal(r->syncs, 1);
}

static void a_disk_to_read_only_is_never_written(void **state)
{
    struct rig *r = start(state, READ_ONLY_FEATURES);
    uint8_t bytes[512];
    memcpy(bytes, r->image, sizeof(bytes));
    bytes[0] ^= 1;
    assert_int_equal(ask(r, BLK_T_OUT, 0, bytes, sizeof(bytes), NULL, 0), BLK_S_IOERR);
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, 8, 0), BLK_S_IOERR);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_IOERR);
    assert_int_equal(r->writes + r->discards + r->zeroes, 0);
    assert_int_equal(ask(r, BLK_T_IN, 0, NULL, 0, bytes, sizeof(bytes)), BLK_S_OK);
    assert_memory_equal(bytes, r->image, sizeof(bytes));
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, NULL, 0, NULL, 0), BLK_S_OK);
}

/* ---- Other requests ---- */

static void the_serial_number_is_told(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t got[64], want[20] = "serial-0";
    memset(got, 0xff, sizeof(got));
    assert_int_equal(ask(r, BLK_T_GET_ID, 0, NULL, 0, got, 20), BLK_S_OK);
    assert_memory_equal(got, want, 20);
    assert_int_equal(ask(r, BLK_T_GET_ID, 0, NULL, 0, got, 64), BLK_S_OK);
    assert_memory_equal(got, want, 20);
    assert_zeroes(got + 20, 44);
    assert_int_equal(ask(r, BLK_T_GET_ID, 0, NULL, 0, got, 19), BLK_S_IOERR);
    assert_zeroes(got, 19);
}

static void unknown_requests_are_unsupported(void **state)
{
    struct rig *r = start(state, VIRTIO_FEATURE(BLK_F_FLUSH));
    uint8_t got[8];
    static const uint32_t types[] = {2, 3, 5, 10, 14, 15, 24, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        memset(got, 0xff, sizeof(got));
        assert_int_equal(ask(r, types[i], 0, NULL, 0, got, sizeof(got)), BLK_S_UNSUPP);
        assert_zeroes(got, sizeof(got));
    }
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, 8, 0), BLK_S_UNSUPP);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_UNSUPP);
}

static void ranges_are_discarded(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 8, 16, 0), BLK_S_OK);
    assert_int_equal(r->last_offset, 4096);
    assert_int_equal(r->last_bytes, 8192);
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, 0, 0), BLK_S_OK);
    assert_int_equal(r->discards, 1);
    r->fails = -EOPNOTSUPP;
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 8, 16, 0), BLK_S_UNSUPP);
    r->fails = -EIO;
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 8, 16, 0), BLK_S_IOERR);
}

static void many_ranges_are_discarded_all_or_none(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t segments[17 * 16] = {0};
    for (unsigned i = 0; i < 17; i++) {
        bytes_store_le64(segments + 16 * i, 8 * i);
        bytes_store_le32(segments + 16 * i + 8, 8);
    }
    assert_int_equal(ask(r, BLK_T_DISCARD, 0, segments, 16 * 16, NULL, 0), BLK_S_OK);
    assert_int_equal(r->discards, 16);
    assert_int_equal(ask(r, BLK_T_DISCARD, 0, segments, 17 * 16, NULL, 0), BLK_S_IOERR);
    bytes_store_le64(segments + 16, SECTORS);
    assert_int_equal(ask(r, BLK_T_DISCARD, 0, segments, 2 * 16, NULL, 0), BLK_S_IOERR);
    assert_int_equal(r->discards, 16);
}

static void broken_ranges_are_refused(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t bytes[32] = {0};
    static const uint32_t types[] = {BLK_T_DISCARD, BLK_T_WRITE_ZEROES};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ask(r, types[i], 0, NULL, 0, NULL, 0), BLK_S_IOERR);
        assert_int_equal(ask(r, types[i], 0, bytes, 15, NULL, 0), BLK_S_IOERR);
        assert_int_equal(ask(r, types[i], 0, bytes, 17, NULL, 0), BLK_S_IOERR);
        assert_int_equal(ask(r, types[i], 0, bytes, 16, bytes, 16), BLK_S_IOERR);
        assert_int_equal(ask_range(r, types[i], SECTORS, 1, 0), BLK_S_IOERR);
        assert_int_equal(ask_range(r, types[i], UINT64_MAX, 2, 0), BLK_S_IOERR);
        assert_int_equal(ask_range(r, types[i], 0, UINT32_MAX, 0), BLK_S_IOERR);
        assert_int_equal(ask_range(r, types[i], 0, 1, 2), BLK_S_UNSUPP);
    }
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, 1, 1), BLK_S_UNSUPP);
    assert_int_equal(ask(r, BLK_T_WRITE_ZEROES, 0, bytes, 32, NULL, 0), BLK_S_IOERR);
    assert_int_equal(r->discards + r->zeroes, 0);
}

static void more_than_the_limit_is_refused_although_the_disk_has_it(void **state)
{
    struct rig *r = *state;
    make(r, false, 1);
    r->disk.bytes = UINT64_C(1) << 40;
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    assert_int_equal(ask_range(r, BLK_T_DISCARD, 0, BLK_RANGE_SECTORS_MAX + 1, 0), BLK_S_IOERR);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 0, BLK_RANGE_SECTORS_MAX + 1, 0), BLK_S_IOERR);
    assert_int_equal(r->discards + r->zeroes, 0);
}

static void ranges_are_zeroed(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 1, 3, 0), BLK_S_OK);
    assert_false(r->last_unmap);
    assert_zeroes(r->image + 512, 3 * 512);
    assert_int_not_equal(r->image[511], 0);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 8, 8, 1), BLK_S_OK);
    assert_true(r->last_unmap);
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 8, 0, 0), BLK_S_OK);
    assert_int_equal(r->zeroes, 2);
    r->fails = -ENOSPC;
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_IOERR);
}

static void zeroes_are_written_turn_by_turn_where_nothing_is_quicker(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    r->cannot_zero = true;
    assert_int_equal(ask_range(r, BLK_T_WRITE_ZEROES, 1, 3 * MIB / 512, 0), BLK_S_OK);
    assert_int_equal(r->zeroes, 3);
    assert_zeroes(r->image + 512, 3 * MIB);
    assert_int_not_equal(r->image[3 * MIB + 513], 0);
}

/* ---- Chains of all shapes ---- */

static uint16_t post_bytes(struct rig *r, uint64_t out, uint32_t out_bytes, uint64_t in, uint32_t in_bytes)
{
    struct vdrv_buffer b[VDRV_BUFFERS_MAX];
    unsigned n = 0;
    for (uint32_t i = 0; i < out_bytes; i += 8)
        b[n++] = (struct vdrv_buffer){.gpa = out + i, .bytes = out_bytes - i < 8 ? out_bytes - i : 8};
    uint32_t step = in_bytes / 8;
    for (uint32_t i = 0; i < in_bytes; i += step)
        b[n++] =
            (struct vdrv_buffer){.gpa = in + i, .bytes = in_bytes - i < step ? in_bytes - i : step, .writable = true};
    return vdrv_post(&r->d, 0, b, n);
}

static void header_data_and_status_may_be_split_anywhere(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t header[HEADER_BYTES];
    uint32_t written;
    put_header(header, BLK_T_IN, 2);
    uint64_t out = vdrv_put(&r->d, header, sizeof(header)), in = vdrv_alloc(&r->d, 1025, 8);
    (void)post_bytes(r, out, HEADER_BYTES, in, 1025);
    vdrv_kick(&r->d, 0);
    assert_true(vdrv_take(&r->d, 0, NULL, &written));
    assert_int_equal(written, 1025);
    assert_memory_equal(vdrv_at(&r->d, in, 1024), r->image + 1024, 1024);
    assert_int_equal(*vdrv_at(&r->d, in + 1024, 1), BLK_S_OK);
}

static void a_short_header_is_an_error(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t header[HEADER_BYTES], answer[513];
    put_header(header, BLK_T_IN, 0);
    memset(answer, 0xff, sizeof(answer));
    assert_int_equal(vdrv_request(&r->d, 0, header, 15, answer, sizeof(answer)), sizeof(answer));
    assert_int_equal(answer[512], BLK_S_IOERR);
    assert_zeroes(answer, 512);
    assert_int_equal(vdrv_request(&r->d, 0, NULL, 0, answer, 1), 1);
    assert_int_equal(answer[0], BLK_S_IOERR);
    assert_int_equal(r->reads, 0);
}

static void a_request_without_room_for_its_status_breaks_the_device(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t header[HEADER_BYTES];
    put_header(header, BLK_T_FLUSH, 0);
    assert_int_equal(vdrv_request(&r->d, 0, header, sizeof(header), NULL, 0), -1);
    assert_true((virtio_get_status(r->d.v) & VIRTIO_STATUS_NEEDS_RESET) != 0);
    assert_int_equal(r->syncs, 0);
    vdrv_reset(&r->d);
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    assert_int_equal(ask(r, BLK_T_FLUSH, 0, NULL, 0, NULL, 0), BLK_S_OK);
}

static void memory_behind_the_status_stays(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t header[HEADER_BYTES];
    put_header(header, BLK_T_IN, 0);
    uint64_t in = vdrv_alloc(&r->d, 1024, 8);
    memset(vdrv_at(&r->d, in, 1024), NOTHING, 1024);
    struct vdrv_buffer b[2] = {{.gpa = vdrv_put(&r->d, header, sizeof(header)), .bytes = HEADER_BYTES},
                               {.gpa = in + 1, .bytes = 513, .writable = true}};
    (void)vdrv_post(&r->d, 0, b, 2);
    vdrv_kick(&r->d, 0);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(*vdrv_at(&r->d, in, 1), NOTHING);
    assert_int_equal(*vdrv_at(&r->d, in + 513, 1), BLK_S_OK);
    assert_int_equal(*vdrv_at(&r->d, in + 514, 1), NOTHING);
}

/* ---- Turns ---- */

/* Post a request with its data at gpa `data`. */
static uint64_t post_large(struct rig *r, uint32_t type, uint64_t sector, uint64_t data, uint32_t bytes)
{
    uint8_t header[HEADER_BYTES];
    put_header(header, type, sector);
    uint64_t at = vdrv_put(&r->d, header, sizeof(header)), status = vdrv_alloc(&r->d, 1, 1);
    *vdrv_at(&r->d, status, 1) = NOTHING;
    struct vdrv_buffer b[3] = {{.gpa = at, .bytes = HEADER_BYTES},
                               {.gpa = data, .bytes = bytes, .writable = type == BLK_T_IN},
                               {.gpa = status, .bytes = 1, .writable = true}};
    (void)vdrv_post(&r->d, 0, b, 3);
    return status;
}

static void a_large_read_takes_several_turns(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint32_t bytes = 3 * MIB + 1024, written;
    uint64_t data = vdrv_alloc(&r->d, bytes, 8), status = post_large(r, BLK_T_IN, 1, data, bytes);
    virtio_kick(r->d.v, 0);
    for (unsigned turn = 1; turn <= 3; turn++) {
        assert_int_equal(loop_turn(&r->d.loop), 1);
        assert_int_equal(r->reads, turn);
        assert_false(vdrv_take(&r->d, 0, NULL, NULL));
    }
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, 0, NULL, &written));
    assert_int_equal(written, bytes + 1);
    assert_int_equal(*vdrv_at(&r->d, status, 1), BLK_S_OK);
    assert_memory_equal(vdrv_at(&r->d, data, bytes), r->image + 512, bytes);
    assert_int_equal(r->longest, BLK_TURN_BYTES);
}

static void a_large_write_takes_several_turns(void **state)
{
    struct rig *r = start(state, 0);
    uint32_t bytes = 3 * MIB;
    uint64_t data = vdrv_alloc(&r->d, bytes, 8);
    for (uint32_t i = 0; i < bytes; i += 512)
        bytes_store_le32(vdrv_at(&r->d, data + i, 512), i + 1);
    uint64_t status = post_large(r, BLK_T_OUT, 2, data, bytes);
    vdrv_kick(&r->d, 0);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(*vdrv_at(&r->d, status, 1), BLK_S_OK);
    assert_memory_equal(vdrv_at(&r->d, data, bytes), r->image + 1024, bytes);
    assert_int_equal(r->writes, 3);
    assert_int_equal(r->syncs, 1);
}

static void a_large_read_that_fails_in_the_middle_gives_zeroes_from_there(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint32_t bytes = 3 * MIB;
    uint64_t data = vdrv_alloc(&r->d, bytes, 8);
    memset(vdrv_at(&r->d, data, bytes), NOTHING, bytes);
    uint64_t status = post_large(r, BLK_T_IN, 0, data, bytes);
    r->fails = -EIO;
    r->fuse = 1;
    vdrv_kick(&r->d, 0);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(*vdrv_at(&r->d, status, 1), BLK_S_IOERR);
    assert_memory_equal(vdrv_at(&r->d, data, MIB), r->image, MIB);
    assert_zeroes(vdrv_at(&r->d, data + MIB, 2 * MIB), 2 * MIB);
}

static void a_reset_forgets_a_request_that_is_half_done(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint64_t data = vdrv_alloc(&r->d, 2 * MIB, 8);
    (void)post_large(r, BLK_T_IN, 0, data, 2 * MIB);
    virtio_kick(r->d.v, 0);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    vdrv_reset(&r->d);
    assert_int_equal(r->reads, 1);
    assert_true(vdrv_start(&r->d, ALL_FEATURES));
    memset(vdrv_at(&r->d, data, 2 * MIB), NOTHING, 2 * MIB);
    (void)post_large(r, BLK_T_IN, 0, data, 2 * MIB);
    vdrv_kick(&r->d, 0);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_memory_equal(vdrv_at(&r->d, data, 2 * MIB), r->image, 2 * MIB);
}

static void a_request_that_was_changed_between_turns_begins_anew(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint64_t data = vdrv_alloc(&r->d, 2 * MIB, 8), before = r->d.heap;
    uint64_t status = post_large(r, BLK_T_IN, 0, data, 2 * MIB);
    virtio_kick(r->d.v, 0);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    put_header(vdrv_at(&r->d, before, HEADER_BYTES), BLK_T_IN, 64);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(*vdrv_at(&r->d, status, 1), BLK_S_OK);
    assert_memory_equal(vdrv_at(&r->d, data, 2 * MIB), r->image + 64 * 512, 2 * MIB);
}

static void a_range_that_shrinks_between_turns_is_through(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint8_t request[HEADER_BYTES + 16] = {0};
    put_header(request, BLK_T_WRITE_ZEROES, 0);
    bytes_store_le32(request + HEADER_BYTES + 8, 2 * MIB / 512);
    struct vdrv_buffer b[2] = {{.gpa = vdrv_put(&r->d, request, sizeof(request)), .bytes = sizeof(request)},
                               {.gpa = vdrv_alloc(&r->d, 1, 1), .bytes = 1, .writable = true}};
    (void)vdrv_post(&r->d, 0, b, 2);
    r->cannot_zero = true;
    virtio_kick(r->d.v, 0);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    bytes_store_le32(vdrv_at(&r->d, b[0].gpa + HEADER_BYTES + 8, 4), 1);
    vdrv_turn(&r->d);
    assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(*vdrv_at(&r->d, b[1].gpa, 1), BLK_S_OK);
    assert_int_equal(r->zeroes, 1);
}

static void a_flush_ends_a_turn(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    for (unsigned i = 0; i < 3; i++)
        (void)post_large(r, BLK_T_FLUSH, 0, vdrv_alloc(&r->d, 8, 8), 0);
    virtio_kick(r->d.v, 0);
    assert_int_equal(loop_turn(&r->d.loop), 1);
    assert_int_equal(r->syncs, 1);
    vdrv_turn(&r->d);
    assert_int_equal(r->syncs, 3);
}

static void many_small_requests_are_served_by_one_notification(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    uint64_t data = vdrv_alloc(&r->d, 512, 8);
    for (unsigned i = 0; i < 20; i++)
        (void)post_large(r, BLK_T_IN, i, data, 512);
    vdrv_kick(&r->d, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_true(vdrv_take(&r->d, 0, NULL, NULL));
    assert_int_equal(r->reads, 20);
    assert_int_equal(r->d.interrupts[0], 1);
}

/* ---- Configuration, features, queues ---- */

static void the_configuration_says_what_there_is(void **state)
{
    struct rig *r = start(state, ALL_FEATURES);
    struct virtio *v = r->d.v;
    assert_int_equal(virtio_read_config(v, 0, 8), SECTORS);
    assert_int_equal(virtio_read_config(v, 8, 4), 0);
    assert_int_equal(virtio_read_config(v, 12, 4), BLK_QUEUE_SIZE - 2);
    assert_int_equal(virtio_read_config(v, 20, 4), 512);
    assert_int_equal(virtio_read_config(v, 24, 1), 3);
    assert_int_equal(virtio_read_config(v, 34, 2), 1);
    assert_int_equal(virtio_read_config(v, 36, 4), BLK_RANGE_SECTORS_MAX);
    assert_int_equal(virtio_read_config(v, 40, 4), BLK_DISCARDS_MAX);
    assert_int_equal(virtio_read_config(v, 44, 4), 8);
    assert_int_equal(virtio_read_config(v, 48, 4), BLK_RANGE_SECTORS_MAX);
    assert_int_equal(virtio_read_config(v, 52, 4), 1);
    assert_int_equal(virtio_read_config(v, 56, 1), 1);
    assert_int_equal(virtio_read_config(v, 60, 4), 0);
}

static void a_disk_to_read_only_offers_no_writes(void **state)
{
    struct rig *r = start(state, READ_ONLY_FEATURES);
    uint32_t offered = virtio_get_offered(r->d.v, 0);
    assert_true((offered >> BLK_F_RO & 1) != 0);
    assert_int_equal(offered >> BLK_F_DISCARD & 1, 0);
    assert_int_equal(offered >> BLK_F_WRITE_ZEROES & 1, 0);
    assert_int_equal(offered >> BLK_F_MQ & 1, 0);
    assert_int_equal(virtio_read_config(r->d.v, 36, 4), 0);
    assert_int_equal(virtio_read_config(r->d.v, 56, 1), 0);
}

static void every_queue_serves_the_same_disk(void **state)
{
    struct rig *r = *state;
    uint8_t header[HEADER_BYTES], answer[513];
    make(r, false, 4);
    assert_true((virtio_get_offered(r->d.v, 0) >> BLK_F_MQ & 1) != 0);
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(BLK_F_MQ) | VIRTIO_FEATURE(BLK_F_FLUSH)));
    assert_int_equal(virtio_read_config(r->d.v, 34, 2), 4);
    for (unsigned q = 0; q < 4; q++) {
        put_header(header, BLK_T_IN, q);
        assert_int_equal(vdrv_request(&r->d, q, header, sizeof(header), answer, sizeof(answer)), sizeof(answer));
        assert_memory_equal(answer, r->image + q * 512, 512);
    }
}

/* Two queues in the middle of a large request each. */
static void queues_do_not_mix_what_they_put_back(void **state)
{
    struct rig *r = *state;
    uint8_t header[HEADER_BYTES];
    uint64_t data[2];
    make(r, false, 2);
    assert_true(vdrv_start(&r->d, VIRTIO_FEATURE(BLK_F_MQ)));
    for (unsigned q = 0; q < 2; q++) {
        data[q] = vdrv_alloc(&r->d, 2 * MIB + 1, 8);
        put_header(header, BLK_T_IN, q * 1000);
        struct vdrv_buffer b[2] = {{.gpa = vdrv_put(&r->d, header, sizeof(header)), .bytes = HEADER_BYTES},
                                   {.gpa = data[q], .bytes = 2 * MIB + 1, .writable = true}};
        (void)vdrv_post(&r->d, q, b, 2);
        virtio_kick(r->d.v, q);
    }
    vdrv_turn(&r->d);
    for (unsigned q = 0; q < 2; q++) {
        assert_true(vdrv_take(&r->d, q, NULL, NULL));
        assert_memory_equal(vdrv_at(&r->d, data[q], 2 * MIB), r->image + q * 512000, 2 * MIB);
    }
}

static void a_serial_number_of_full_length_has_no_nul(void **state)
{
    struct rig *r = *state;
    uint8_t got[20];
    r->disk = (struct disk){.ops = &ram_ops, .ctx = r, .name = "ram", .bytes = IMAGE_BYTES, .block_bytes = 512};
    const struct blk_config cfg = {.memory = &r->d.memory,
                                   .disk = &r->disk,
                                   .serial = "0123456789abcdefghijklmnop",
                                   .queues = 1,
                                   .loops = {&r->d.loop}};
    assert_int_equal(blk_new(&cfg, &r->blk, NULL), 0);
    vdrv_attach(&r->d, blk_virtio(r->blk));
    assert_true(vdrv_start(&r->d, 0));
    assert_int_equal(ask(r, BLK_T_GET_ID, 0, NULL, 0, got, 20), BLK_S_OK);
    assert_memory_equal(got, "0123456789abcdefghij", 20);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sectors_are_read),
        CASE(the_last_sector_can_be_read_and_the_one_behind_it_not),
        CASE(sectors_that_wrap_are_refused),
        CASE(parts_of_sectors_are_refused),
        CASE(nothing_can_be_read_and_written),
        CASE(data_in_the_wrong_direction_is_refused),
        CASE(a_read_that_fails_gives_zeroes),
        CASE(short_reads_and_interruptions_are_invisible),
        CASE(an_image_cut_short_is_an_error_and_no_crash),
        CASE(sectors_are_written),
        CASE(a_full_host_is_an_error_that_is_logged_once),
        CASE(a_driver_that_cannot_flush_gets_its_writes_on_the_disk),
        CASE(a_driver_that_can_flush_has_a_cache),
        CASE(the_cache_can_be_switched),
        CASE(the_switch_of_a_driver_that_did_not_ask_for_it_does_nothing),
        CASE(a_driver_with_a_switch_and_no_flush_begins_without_cache),
        CASE(a_disk_to_read_only_is_never_written),
        CASE(the_serial_number_is_told),
        CASE(unknown_requests_are_unsupported),
        CASE(ranges_are_discarded),
        CASE(many_ranges_are_discarded_all_or_none),
        CASE(broken_ranges_are_refused),
        CASE(more_than_the_limit_is_refused_although_the_disk_has_it),
        CASE(ranges_are_zeroed),
        CASE(zeroes_are_written_turn_by_turn_where_nothing_is_quicker),
        CASE(header_data_and_status_may_be_split_anywhere),
        CASE(a_short_header_is_an_error),
        CASE(a_request_without_room_for_its_status_breaks_the_device),
        CASE(memory_behind_the_status_stays),
        CASE(a_large_read_takes_several_turns),
        CASE(a_large_write_takes_several_turns),
        CASE(a_large_read_that_fails_in_the_middle_gives_zeroes_from_there),
        CASE(a_reset_forgets_a_request_that_is_half_done),
        CASE(a_request_that_was_changed_between_turns_begins_anew),
        CASE(a_range_that_shrinks_between_turns_is_through),
        CASE(a_flush_ends_a_turn),
        CASE(many_small_requests_are_served_by_one_notification),
        CASE(the_configuration_says_what_there_is),
        CASE(a_disk_to_read_only_offers_no_writes),
        CASE(every_queue_serves_the_same_disk),
        CASE(queues_do_not_mix_what_they_put_back),
        CASE(a_serial_number_of_full_length_has_no_nul),
    };
    return cmocka_run_group_tests_name("virtio/blk", tests, NULL, NULL);
}
