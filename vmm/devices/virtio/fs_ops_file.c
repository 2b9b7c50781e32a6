/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is done with open files. Data moves between guest memory and the host's kernel without a copy here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/iov.h"
#include "vmm/devices/virtio/fs_ops.h"

/* A copy on the host may take as long as reading and writing it: the guest asks again for the rest. */
#define COPY_BYTES (UINT64_C(16) << 20)

static int64_t result(ssize_t n)
{
    return n < 0 ? -errno : n;
}

typedef ssize_t move_fn(int fd, const struct iovec *list, unsigned count, int64_t offset, int flags);

static ssize_t move_in(int fd, const struct iovec *list, unsigned count, int64_t offset, int flags)
{
    (void)flags;
    return preadv(fd, list, (int)count, (off_t)offset);
}

static ssize_t move_out(int fd, const struct iovec *list, unsigned count, int64_t offset, int flags)
{
    return syscall(SYS_pwritev2, fd, list, (long)count, (long)offset, 0L, flags);
}

/*
 * All of it, or up to the end of the file, or what was done when the host failed: the guest's kernel takes an answer
 * that is too short for the end of the file, or for a lost write. Uses the list up.
 */
static int64_t move_all(move_fn *move, int fd, struct iovec *list, unsigned count, int64_t offset, int flags)
{
    int64_t done = 0;
    ssize_t n = 1;
    iov_advance(&list, &count, 0);
    while (n > 0 && count > 0) {
        do
            n = move(fd, list, count, offset + done, flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return done > 0 ? done : -errno;
        done += n;
        iov_advance(&list, &count, (size_t)n);
    }
    return done;
}

int64_t fs_op_read(struct fs_request *r)
{
    struct fuse_read_in in;
    fs_argument(r, &in, sizeof(in));
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    uint32_t bytes = in.size < r->room ? in.size : r->room;
    if (bytes > FS_IO_BYTES)
        bytes = FS_IO_BYTES;
    const struct virtq_chain *chain = &r->w->chain;
    unsigned n = virtq_slice(virtq_chain_in(chain), chain->in, sizeof(struct fuse_out_header), bytes, r->w->slice);
    int64_t done =
        in.offset > INT64_MAX ? -EINVAL : move_all(move_in, handle->fd, r->w->slice, n, (int64_t)in.offset, 0);
    fs_handle_done(&r->s->handles, handle);
    return done;
}

/*
 * Whether a write appends is a matter of the moment, not of the open: the guest's fcntl(F_SETFL) changes it, and what
 * its kernel writes back of a mapping never does. So the host's descriptor is without O_APPEND.
 */
static int64_t write_slices(int fd, struct iovec *slices, unsigned count, const struct fuse_write_in *in)
{
    int flags = (in->flags & O_APPEND) != 0 ? RWF_APPEND : 0;
    return move_all(move_out, fd, slices, count, (int64_t)in->offset, flags);
}

static int64_t write_out(struct fs_request *r, int fd, const struct fuse_write_in *in)
{
    struct fs_caps caps;
    const struct virtq_chain *chain = &r->w->chain;
    size_t at = sizeof(r->in) + sizeof(*in);
    unsigned n = virtq_slice(chain->iov, chain->out, at, in->size, r->w->slice);
    bool dropped = (in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0 && fs_caps_drop_fsetid(&caps);
    int64_t done = write_slices(fd, r->w->slice, n, in);
    if (dropped)
        fs_caps_restore(&caps);
    return done;
}

int64_t fs_op_write(struct fs_request *r)
{
    struct fuse_write_in in;
    fs_argument(r, &in, sizeof(in));
    if (in.size > r->arg_bytes - sizeof(in) || in.size > FS_IO_BYTES || in.offset > INT64_MAX)
        return -EINVAL;
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    int64_t done = write_out(r, handle->fd, &in);
    fs_handle_done(&r->s->handles, handle);
    const struct fuse_write_out out = {.size = (uint32_t)done};
    return done < 0 ? done : fs_answer(r, &out, sizeof(out));
}

int64_t fs_op_flush(struct fs_request *r)
{
    struct fuse_flush_in in;
    fs_argument(r, &in, sizeof(in));
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    fs_locks_end(r->s, handle->node, in.lock_owner);
    /* Some file systems tell of failed writes at close only. */
    int again = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
    int code = again < 0 || close(again) < 0 ? -errno : 0;
    fs_handle_done(&r->s->handles, handle);
    return code;
}

static int64_t sync_handle(struct fs_request *r, enum fs_handle_kind kind)
{
    struct fuse_fsync_in in;
    fs_argument(r, &in, sizeof(in));
    struct fs_handle *handle = fs_handle_use(&r->s->handles, kind, in.fh);
    if (handle == NULL)
        return -EBADF;
    bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
    int64_t code = 0;
    if (handle->fd >= 0)
        code = result(data_only ? fdatasync(handle->fd) : fsync(handle->fd));
    fs_handle_done(&r->s->handles, handle);
    return code;
}

int64_t fs_op_fsync(struct fs_request *r)
{
    return sync_handle(r, FS_HANDLE_FILE);
}

int64_t fs_op_fsyncdir(struct fs_request *r)
{
    return sync_handle(r, FS_HANDLE_FOLDER);
}

int64_t fs_op_fallocate(struct fs_request *r)
{
    struct fuse_fallocate_in in;
    const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    fs_argument(r, &in, sizeof(in));
    if ((in.mode & ~known) != 0)
        return -EOPNOTSUPP;
    if (in.offset > INT64_MAX || in.length > INT64_MAX)
        return -EINVAL;
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    /* The guest's kernel leaves set-id bits to us (FUSE_HANDLE_KILLPRIV_V2), and this request says nothing of them. */
    struct fs_caps caps;
    bool dropped = r->in.uid != 0 && fs_caps_drop_fsetid(&caps);
    int64_t code = result(fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length));
    if (dropped)
        fs_caps_restore(&caps);
    fs_handle_done(&r->s->handles, handle);
    return code;
}

int64_t fs_op_lseek(struct fs_request *r)
{
    struct fuse_lseek_in in;
    fs_argument(r, &in, sizeof(in));
    /* Others the guest's kernel does alone. What a negative place is, the host says. */
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE)
        return -EINVAL;
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    int64_t at = result(lseek(handle->fd, (off_t)in.offset, (int)in.whence));
    fs_handle_done(&r->s->handles, handle);
    const struct fuse_lseek_out out = {.offset = (uint64_t)at};
    return at < 0 ? at : fs_answer(r, &out, sizeof(out));
}

static int64_t copy_range(const struct fs_handle *from, const struct fs_handle *to,
                          const struct fuse_copy_file_range_in *in)
{
    off_t from_at = (off_t)in->off_in, to_at = (off_t)in->off_out;
    size_t bytes = in->len < COPY_BYTES ? in->len : COPY_BYTES;
    return result(copy_file_range(from->fd, &from_at, to->fd, &to_at, bytes, 0));
}

int64_t fs_op_copy_file_range(struct fs_request *r)
{
    struct fuse_copy_file_range_in in;
    fs_argument(r, &in, sizeof(in));
    if (in.flags != 0 || in.off_in > INT64_MAX || in.off_out > INT64_MAX)
        return -EINVAL;
    struct fs_handle *from = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh_in);
    struct fs_handle *to = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh_out);
    int64_t done = from == NULL || to == NULL ? -EBADF : copy_range(from, to, &in);
    if (from != NULL)
        fs_handle_done(&r->s->handles, from);
    if (to != NULL)
        fs_handle_done(&r->s->handles, to);
    const struct fuse_write_out out = {.size = (uint32_t)done};
    return done < 0 ? done : fs_answer(r, &out, sizeof(out));
}
