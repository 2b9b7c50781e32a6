/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/backends/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/iov.h"

#define BLOCK_BYTES_MAX 0x100000u
#define ZERO_PAGE_BYTES 4096u
#define ZERO_PAGES      64u

/* ---- The host ---- */

static ssize_t fd_read(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    ssize_t n = preadv(d->fd, iov, (int)count, (off_t)offset);
    return n < 0 ? -errno : n;
}

static ssize_t fd_write(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset)
{
    ssize_t n = pwritev(d->fd, iov, (int)count, (off_t)offset);
    return n < 0 ? -errno : n;
}

static int fd_sync(struct disk *d)
{
    return fdatasync(d->fd) < 0 ? -errno : 0;
}

static int fd_allocate(struct disk *d, int mode, uint64_t offset, uint64_t bytes)
{
    return fallocate(d->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) < 0 ? -errno : 0;
}

static int file_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    return fd_allocate(d, FALLOC_FL_PUNCH_HOLE, offset, bytes);
}

/* The two C libraries do not agree on the type of a request. */
static int device_call(const struct disk *d, unsigned long request, void *argument)
{
    return syscall(SYS_ioctl, d->fd, request, argument) < 0 ? -errno : 0;
}

/* fallocate would do for block devices as well, but it also zeroes, which costs those that cannot do it quickly. */
static int device_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    uint64_t range[2] = {offset, bytes};
    return device_call(d, BLKDISCARD, range);
}

/* A hole is quicker than zeroes that own their space, and known to more file systems. */
static int fd_zero(struct disk *d, uint64_t offset, uint64_t bytes, bool unmap)
{
    int code = unmap ? fd_allocate(d, FALLOC_FL_PUNCH_HOLE, offset, bytes) : -EOPNOTSUPP;
    return code == -EOPNOTSUPP ? fd_allocate(d, FALLOC_FL_ZERO_RANGE, offset, bytes) : code;
}

static const struct disk_ops file_ops = {
    .read = fd_read, .write = fd_write, .sync = fd_sync, .discard = file_discard, .zero = fd_zero};
static const struct disk_ops device_ops = {
    .read = fd_read, .write = fd_write, .sync = fd_sync, .discard = device_discard, .zero = fd_zero};

/* ---- Opening ---- */

static uint32_t block_bytes_of(uint64_t hint)
{
    bool good = checked_is_alignment(hint) && hint >= DISK_SECTOR_BYTES && hint <= BLOCK_BYTES_MAX;
    return good ? (uint32_t)hint : DISK_SECTOR_BYTES;
}

static int measure_device(struct disk *d)
{
    int sector = 0;
    int code = device_call(d, BLKGETSIZE64, &d->bytes);
    if (code == 0)
        code = device_call(d, BLKSSZGET, &sector);
    d->ops = &device_ops;
    d->block_bytes = block_bytes_of((uint64_t)sector);
    return code;
}

static int measure(struct disk *d, const char **why)
{
    struct stat st;
    int code = 0;
    if (fstat(d->fd, &st) < 0)
        return -errno;
    if (S_ISBLK(st.st_mode)) {
        code = measure_device(d);
    } else if (S_ISREG(st.st_mode)) {
        d->ops = &file_ops;
        d->bytes = (uint64_t)st.st_size;
        d->block_bytes = block_bytes_of((uint64_t)st.st_blksize);
    } else {
        *why = "neither a regular file nor a block device";
        code = -EINVAL;
    }
    d->bytes -= d->bytes % DISK_SECTOR_BYTES;
    if (code == 0 && d->bytes == 0) {
        *why = "it has not even one sector of 512 bytes";
        code = -EINVAL;
    }
    return code;
}

static int check_mode(const struct disk *d, const char **why)
{
    int flags = fcntl(d->fd, F_GETFL);
    if (flags < 0)
        return -errno;
    int mode = flags & O_ACCMODE;
    if ((flags & O_PATH) != 0 || mode == O_WRONLY)
        *why = "the descriptor is not open for reading";
    else if (mode == O_RDONLY && !d->read_only)
        *why = "the descriptor is not open for writing";
    else if ((flags & O_APPEND) != 0)
        *why = "the descriptor is open for appending, where every write goes to the end";
    return *why == NULL ? 0 : -EINVAL;
}

/* Of the open file, not of the process: closing some other descriptor of the image does not end it. */
static int lock(const struct disk *d, const char **why)
{
    struct flock whole = {.l_type = d->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(d->fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return 0; /* a file system without locks */
    *why = d->read_only ? "another machine has it open for writing" : "another machine has it open";
    return -EBUSY;
}

static int take(struct disk *d, const char **why)
{
    int code = check_mode(d, why);
    if (code == 0)
        code = measure(d, why);
    if (code == 0)
        code = lock(d, why);
    return code;
}

static int fail(struct err *err, int code, const char *name, const char *why)
{
    const struct err_context context = {
        .attempted = "use the disk image",
        .on_what = name,
        .what_to_do = code == -EBUSY ? "unmount it, end the other machine, or let all who use it only read it"
                                     : "name a raw image or a block device that this user may open"};
    return why != NULL ? err_fail_because(err, code, &context, "%s", why) : err_fail(err, code, &context);
}

int disk_adopt(struct disk *d, int fd, const char *name, bool read_only, struct err *err)
{
    const char *why = NULL;
    *d = (struct disk){.name = name, .read_only = read_only, .fd = fd};
    int code = take(d, &why);
    if (code == 0)
        return 0;
    disk_close(d);
    return fail(err, code, name, why);
}

int disk_open(struct disk *d, const char *path, bool read_only, struct err *err)
{
    /*
     * O_NONBLOCK: the path may be a pipe's, which is refused, but only once it is open. O_EXCL, which means something
     * for block devices only: not while the host has it mounted.
     */
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR | O_EXCL) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return disk_adopt(d, fd, path, read_only, err);
    int code = -errno;
    *d = (struct disk){.name = NULL};
    return fail(err, code, path, code == -EBUSY ? "the host has it mounted, or another machine has it open" : NULL);
}

void disk_close(struct disk *d)
{
    if (d->name != NULL && d->fd >= 0)
        close(d->fd);
    *d = (struct disk){.name = NULL};
}

/* ---- Use ---- */

typedef ssize_t transfer_fn(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset);

static int transfer(struct disk *d, transfer_fn *move, struct iovec *iov, unsigned count, uint64_t offset)
{
    iov_advance(&iov, &count, 0);
    while (count > 0) {
        ssize_t n = move(d, iov, count, offset);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        offset += (size_t)n;
        iov_advance(&iov, &count, (size_t)n);
    }
    return 0;
}

int disk_read(struct disk *d, struct iovec *iov, unsigned count, uint64_t offset)
{
    return transfer(d, d->ops->read, iov, count, offset);
}

int disk_write(struct disk *d, struct iovec *iov, unsigned count, uint64_t offset)
{
    return transfer(d, d->ops->write, iov, count, offset);
}

int disk_sync(struct disk *d)
{
    return d->ops->sync(d);
}

int disk_discard(struct disk *d, uint64_t offset, uint64_t bytes)
{
    uint64_t mask = d->block_bytes - 1, end = (offset + bytes) & ~mask;
    uint64_t begin = (offset + mask) & ~mask;
    int code = begin < end ? d->ops->discard(d, begin, end - begin) : 0;
    return code == -ENOTTY || code == -ENOSYS ? -EOPNOTSUPP : code;
}

/* At most DISK_ZERO_BYTES; returns how many, or a negative errno. */
static int64_t write_zeroes(struct disk *d, uint64_t offset, uint64_t bytes)
{
    static const uint8_t page[ZERO_PAGE_BYTES];
    uint64_t all = bytes < DISK_ZERO_BYTES ? bytes : DISK_ZERO_BYTES, done = 0;
    while (done < all) {
        struct iovec iov[ZERO_PAGES];
        unsigned count = 0;
        uint64_t piece = 0;
        for (; count < ZERO_PAGES && done + piece < all; count++) {
            size_t n = all - done - piece < ZERO_PAGE_BYTES ? (size_t)(all - done - piece) : ZERO_PAGE_BYTES;
            iov[count] = (struct iovec){.iov_base = (void *)(uintptr_t)page, .iov_len = n};
            piece += n;
        }
        int code = disk_write(d, iov, count, offset + done);
        if (code < 0)
            return code;
        done += piece;
    }
    return (int64_t)all;
}

int disk_zero(struct disk *d, uint64_t offset, uint64_t *bytes, bool unmap)
{
    int code = d->ops->zero(d, offset, *bytes, unmap);
    if (code != -EOPNOTSUPP && code != -EINVAL && code != -ENOSYS)
        return code;
    int64_t done = write_zeroes(d, offset, *bytes);
    if (done < 0)
        return (int)done;
    *bytes = (uint64_t)done;
    return 0;
}
