/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nodes and their attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/devices/virtio/fs_ops.h"

#define BATCH_MAX 65536u /* most that one request forgets; more than fits in a ring's chain of pages */

/* ---- Attributes ---- */

uint64_t fs_valid_seconds(const struct fs_server *s)
{
    switch (s->cache) {
    case FS_CACHE_NONE: return 0;
    case FS_CACHE_AUTO: return 1;
    default: return UINT64_C(24) * 60 * 60;
    }
}

/* The 32-bit form of a device number that the kernel uses: 12 bits major, 20 bits minor. */
static uint32_t device_number(uint32_t major, uint32_t minor)
{
    return (minor & 0xff) | major << 8 | (minor & ~UINT32_C(0xff)) << 12;
}

int fs_node_stat(struct fs_server *s, const struct fs_node *node, struct fs_statx *out)
{
    if (node->export != NULL)
        return fs_host_stat(node->fd, out);
    fs_exports_stat(&s->exports, out);
    return 0;
}

uint64_t fs_ino_of(const struct fs_server *s, uint64_t device, uint64_t ino)
{
    if (device == 0 || device == atomic_load_explicit(&s->device, memory_order_relaxed))
        return ino;
    return ino ^ (device * UINT64_C(0x9e3779b97f4a7c15) >> 48 | 1) << 48;
}

void fs_attr_of(const struct fs_server *s, const struct fs_statx *st, struct fuse_attr *out)
{
    *out = (struct fuse_attr){.ino = fs_ino_of(s, fs_device_of(st), st->ino),
                              .size = st->size,
                              .blocks = st->blocks,
                              .atime = (uint64_t)st->atime.seconds,
                              .mtime = (uint64_t)st->mtime.seconds,
                              .ctime = (uint64_t)st->ctime.seconds,
                              .atimensec = st->atime.nanoseconds,
                              .mtimensec = st->mtime.nanoseconds,
                              .ctimensec = st->ctime.nanoseconds,
                              .mode = st->mode,
                              .nlink = st->nlink,
                              .uid = st->uid,
                              .gid = st->gid,
                              .rdev = device_number(st->rdev_major, st->rdev_minor),
                              .blksize = st->blksize};
}

static int64_t answer_attr(struct fs_request *r, const struct fs_node *node)
{
    struct fs_statx st;
    struct fuse_attr_out out = {.attr_valid = fs_valid_seconds(r->s)};
    int code = fs_node_stat(r->s, node, &st);
    if (code < 0)
        return code;
    fs_attr_of(r->s, &st, &out.attr);
    return fs_answer(r, &out, sizeof(out));
}

/* Attributes of a handle's object, if the guest named one, or of the node. */
static int stat_either(struct fs_request *r, bool by_handle, uint64_t fh, struct fs_statx *st)
{
    struct fs_handle *handle = by_handle ? fs_handle_use(&r->s->handles, FS_HANDLE_FILE, fh) : NULL;
    struct fs_node *node;
    if (handle != NULL) {
        int code = fs_host_stat(handle->fd, st);
        fs_handle_done(&r->s->handles, handle);
        return code;
    }
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    code = fs_node_stat(r->s, node, st);
    fs_node_done(&r->s->nodes, node);
    return code;
}

int64_t fs_op_getattr(struct fs_request *r)
{
    struct fuse_getattr_in in;
    struct fuse_attr_out out = {.attr_valid = fs_valid_seconds(r->s)};
    struct fs_statx st;
    fs_argument(r, &in, sizeof(in));
    int code = stat_either(r, (in.getattr_flags & FUSE_GETATTR_FH) != 0, in.fh, &st);
    if (code < 0)
        return code;
    fs_attr_of(r->s, &st, &out.attr);
    return fs_answer(r, &out, sizeof(out));
}

int64_t fs_op_statx(struct fs_request *r)
{
    struct fs_statx_in in;
    struct fs_statx_out out = {.attr_valid = fs_valid_seconds(r->s)};
    fs_argument(r, &in, sizeof(in));
    int code = stat_either(r, (in.getattr_flags & FUSE_GETATTR_FH) != 0, in.fh, &out.stat);
    if (code < 0)
        return code;
    /* Which device and mount it is on the host is no business of the guest. */
    out.stat.mask &= in.mask & 0xfff;
    out.stat.ino = fs_ino_of(r->s, fs_device_of(&out.stat), out.stat.ino);
    out.stat.dev_major = out.stat.dev_minor = 0;
    out.stat.mount = 0;
    memset(out.stat.spare2, 0, sizeof(out.stat.spare2));
    return fs_answer(r, &out, sizeof(out));
}

/* ---- Entries ---- */

int fs_enter_object(struct fs_server *s, struct fs_node *folder, const char *name, struct fs_object *object,
                    struct fuse_entry_out *out, struct fs_node **node)
{
    struct fs_node *entered;
    int code = fs_node_enter(&s->nodes, folder, name, object, &entered);
    if (code < 0)
        return code;
    *out = (struct fuse_entry_out){
        .nodeid = entered->id, .entry_valid = fs_valid_seconds(s), .attr_valid = fs_valid_seconds(s)};
    fs_attr_of(s, &object->st, &out->attr);
    if (node != NULL)
        *node = entered;
    else
        fs_node_done(&s->nodes, entered);
    return 0;
}

/* Names of exports are never to be believed for longer than now: they come and go without the guest's doing. */
static int enter_export(struct fs_server *s, const char *name, struct fuse_entry_out *out)
{
    struct fs_object object;
    struct fs_node *entered;
    struct fs_export *e = fs_exports_find(&s->exports, name);
    if (e == NULL)
        return -ENOENT;
    int code = fs_object_of(&s->host, e->base.fd, &object);
    code = code < 0 ? code : fs_node_enter_export(&s->nodes, e, &object, &entered);
    fs_export_drop(e);
    if (code < 0)
        return code;
    *out = (struct fuse_entry_out){.nodeid = entered->id, .attr_valid = fs_valid_seconds(s)};
    fs_attr_of(s, &object.st, &out->attr);
    fs_node_done(&s->nodes, entered);
    return 0;
}

int fs_enter_name(struct fs_server *s, struct fs_node *folder, const char *name, struct fuse_entry_out *out,
                  struct fs_node **node)
{
    struct fs_object object;
    if (folder->export == NULL)
        return enter_export(s, name, out);
    int code = fs_object_at(&s->host, folder->fd, name, &object);
    return code < 0 ? code : fs_enter_object(s, folder, name, &object, out, node);
}

int64_t fs_op_lookup(struct fs_request *r)
{
    struct fuse_entry_out out;
    struct fs_node *folder;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code < 0)
        return code;
    code = fs_enter_name(r->s, folder, r->name[0], &out, NULL);
    fs_node_done(&r->s->nodes, folder);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

int64_t fs_op_forget(struct fs_request *r)
{
    struct fuse_forget_in in;
    fs_argument(r, &in, sizeof(in));
    fs_node_forget(&r->s->nodes, r->in.nodeid, in.nlookup);
    return 0;
}

int64_t fs_op_batch_forget(struct fs_request *r)
{
    struct fuse_batch_forget_in in;
    struct fuse_forget_one one;
    size_t at = sizeof(r->in) + sizeof(in);
    fs_argument(r, &in, sizeof(in));
    for (uint32_t i = 0; i < in.count && i < BATCH_MAX; i++, at += sizeof(one)) {
        if (!checked_range_fits(at, sizeof(one), r->in.len) || !virtq_chain_read(&r->w->chain, at, &one, sizeof(one)))
            return -EINVAL;
        fs_node_forget(&r->s->nodes, one.nodeid, one.nlookup);
    }
    return 0;
}

/* ---- Changing attributes ---- */

int fs_truncate(int fd, uint64_t size, bool kill)
{
    struct fs_caps caps;
    if (size > INT64_MAX)
        return -EFBIG;
    bool dropped = kill && fs_caps_drop_fsetid(&caps);
    int code = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
    if (dropped)
        fs_caps_restore(&caps);
    return code;
}

static int set_mode(struct fs_request *r, const struct fs_node *node, uint32_t mode)
{
    /* Linux has no mode of symbolic links. */
    if (node->ident.type == S_IFLNK)
        return -EOPNOTSUPP;
    return fchmodat(r->s->host.proc, fs_host_fd_name(node->fd).text, mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_owner(const struct fs_node *node, const struct fuse_setattr_in *in)
{
    uid_t uid = (in->valid & FATTR_UID) != 0 ? in->uid : (uid_t)-1;
    gid_t gid = (in->valid & FATTR_GID) != 0 ? in->gid : (gid_t)-1;
    return fchownat(node->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_size(struct fs_request *r, const struct fs_node *node, const struct fuse_setattr_in *in)
{
    bool kill = (in->valid & FATTR_KILL_SUIDGID) != 0;
    struct fs_handle *handle =
        (in->valid & FATTR_FH) != 0 ? fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in->fh) : NULL;
    if (handle != NULL) {
        int code = fs_truncate(handle->fd, in->size, kill);
        fs_handle_done(&r->s->handles, handle);
        return code;
    }
    if (node->ident.type != S_IFREG)
        return node->ident.type == S_IFDIR ? -EISDIR : -EINVAL;
    int fd = fs_host_reopen(&r->s->host, node->fd, O_WRONLY);
    if (fd < 0)
        return fd;
    int code = fs_truncate(fd, in->size, kill);
    close(fd);
    return code;
}

static struct timespec time_from(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds, uint32_t nanoseconds)
{
    if ((valid & now) != 0)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if ((valid & set) == 0)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};
}

static int set_times(struct fs_request *r, const struct fs_node *node, const struct fuse_setattr_in *in)
{
    const struct timespec times[2] = {time_from(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
                                      time_from(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec)};
    /* The link leads to the object itself, and a symbolic link's target is not followed from there. */
    return utimensat(r->s->host.proc, fs_host_fd_name(node->fd).text, times, 0) < 0 ? -errno : 0;
}

static int set_attr(struct fs_request *r, const struct fs_node *node, const struct fuse_setattr_in *in)
{
    int code = (in->valid & FATTR_MODE) != 0 ? set_mode(r, node, in->mode) : 0;
    if (code == 0 && (in->valid & (FATTR_UID | FATTR_GID)) != 0)
        code = set_owner(node, in);
    if (code == 0 && (in->valid & FATTR_SIZE) != 0)
        code = set_size(r, node, in);
    if (code == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)) != 0)
        code = set_times(r, node, in);
    return code;
}

int64_t fs_op_setattr(struct fs_request *r)
{
    struct fuse_setattr_in in;
    struct fs_node *node;
    fs_argument(r, &in, sizeof(in));
    int64_t code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    code = set_attr(r, node, &in);
    if (code == 0)
        code = answer_attr(r, node);
    fs_node_done(&r->s->nodes, node);
    return code;
}

/* ---- Links and rights ---- */

int64_t fs_op_readlink(struct fs_request *r)
{
    struct fs_node *node;
    char target[FS_TARGET_MAX + 1];
    int64_t code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    /* An empty name is the link that the descriptor stands for, and ENOENT if it is none. */
    ssize_t n = node->ident.type == S_IFLNK ? readlinkat(node->fd, "", target, sizeof(target)) : -1;
    code = n >= 0 ? n : node->ident.type == S_IFLNK ? -errno : -EINVAL;
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, target, (size_t)n);
}

static int ask_host(struct fs_request *r, const struct fs_node *node, uint32_t mask)
{
    struct fs_actor actor;
    int code = fs_act_to_ask(&r->s->host, r->in.uid, r->in.gid, &actor);
    if (code < 0)
        return code;
    code = syscall(SYS_faccessat2, node->fd, "", mask, AT_EACCESS | AT_EMPTY_PATH) < 0 ? -errno : 0;
    fs_act_back(&actor);
    return code;
}

int64_t fs_op_access(struct fs_request *r)
{
    struct fuse_access_in in;
    struct fs_node *node;
    fs_argument(r, &in, sizeof(in));
    if ((in.mask & W_OK) != 0 && (r->s->read_only || fs_node_is_read_only(&r->s->nodes, r->in.nodeid)))
        return -EROFS;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    /* The root of exports is for everybody to read. */
    code = node->export == NULL ? 0 : ask_host(r, node, in.mask);
    fs_node_done(&r->s->nodes, node);
    return code;
}
