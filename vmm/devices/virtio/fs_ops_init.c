/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The session as a whole: INIT and DESTROY, the file system's numbers, and what is not served.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

#define ALWAYS_ON                                                                                                      \
    (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_DONT_MASK | FUSE_ASYNC_DIO | FUSE_DO_READDIRPLUS | \
     FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2)

static uint32_t flags_for(const struct fs_server *s, uint32_t asked)
{
    uint32_t flags = (uint32_t)ALWAYS_ON;
    flags |= s->cache == FS_CACHE_ALWAYS ? FUSE_CACHE_SYMLINKS : FUSE_AUTO_INVAL_DATA;
    if (s->lock_on_host)
        flags |= FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
    return flags & asked;
}

int64_t fs_op_init(struct fs_request *r)
{
    struct fuse_init_in in;
    struct fuse_init_out out = {.major = FS_FUSE_MAJOR, .minor = FS_FUSE_MINOR};
    fs_argument(r, &in, FS_INIT_IN_BYTES);
    if (in.major < FS_FUSE_MAJOR || (in.major == FS_FUSE_MAJOR && in.minor < FS_FUSE_MINOR_MIN))
        return -EPROTO;
    /* A driver of another protocol is told ours, and asks again if it can. */
    if (in.major > FS_FUSE_MAJOR) {
        fs_server_forget(r->s);
        return fs_answer(r, &out, sizeof(out));
    }
    out.minor = in.minor < FS_FUSE_MINOR ? in.minor : FS_FUSE_MINOR;
    out.max_readahead = in.max_readahead;
    out.flags = flags_for(r->s, in.flags);
    out.max_background = 128;
    out.congestion_threshold = 96;
    out.max_write = FS_IO_BYTES;
    out.max_pages = FS_IO_PAGES;
    out.time_gran = 1;
    fs_server_begin(r->s);
    return fs_answer(r, &out, sizeof(out));
}

int64_t fs_op_destroy(struct fs_request *r)
{
    fs_server_forget(r->s);
    return 0;
}

/* Requests are served one after the other, so the one to be interrupted is done or has not begun. */
int64_t fs_op_interrupt(struct fs_request *r)
{
    (void)r;
    return 0;
}

int64_t fs_op_ioctl(struct fs_request *r)
{
    (void)r;
    return -ENOTTY;
}

/* The root of exports takes no room and has none. */
static int stat_volume(const struct fs_node *node, struct statvfs *st)
{
    if (node->export != NULL)
        return fstatvfs(node->fd, st) < 0 ? -errno : 0;
    *st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_namemax = FS_NAME_MAX};
    return 0;
}

int64_t fs_op_statfs(struct fs_request *r)
{
    struct statvfs st;
    struct fs_node *node;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    code = stat_volume(node, &st);
    fs_node_done(&r->s->nodes, node);
    if (code < 0)
        return code;
    const struct fuse_statfs_out out = {.st = {.blocks = st.f_blocks,
                                               .bfree = st.f_bfree,
                                               .bavail = st.f_bavail,
                                               .files = st.f_files,
                                               .ffree = st.f_ffree,
                                               .bsize = (uint32_t)st.f_bsize,
                                               .namelen = (uint32_t)st.f_namemax,
                                               .frsize = (uint32_t)st.f_frsize}};
    return fs_answer(r, &out, sizeof(out));
}

static int sync_one(struct fs_server *s, const struct fs_export *e)
{
    int code = 0, fd = e->base.mount >= 0 ? e->base.mount : fs_host_reopen(&s->host, e->base.fd, O_RDONLY);
    if (fd < 0)
        return fd;
    if (syncfs(fd) < 0)
        code = -errno;
    if (fd != e->base.mount)
        close(fd);
    return code;
}

/* The guest asks for its file system, which is all exports. The first failure counts, the others are written still. */
static int sync_exports(struct fs_server *s)
{
    int code = 0;
    struct fs_export *e;
    for (uint64_t serial = 0; (e = fs_exports_next(&s->exports, serial)) != NULL; fs_export_drop(e)) {
        int failed = e->read_only ? 0 : sync_one(s, e);
        code = code != 0 ? code : failed;
        serial = e->serial + 1;
    }
    return code;
}

int64_t fs_op_syncfs(struct fs_request *r)
{
    /* Nothing that this guest wrote can be waiting there. */
    if (r->s->read_only)
        return 0;
    return r->s->whole != NULL ? sync_one(r->s, r->s->whole) : sync_exports(r->s);
}
