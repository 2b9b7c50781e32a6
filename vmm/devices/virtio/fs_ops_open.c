/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing. Only regular files and folders are ever opened; what a guest does with devices, FIFOs and
 * sockets is its own kernel's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

/* musl's O_ACCMODE has O_PATH in it, which a guest must not get through. */
#define ACCESS_MODE ((uint32_t)(O_WRONLY | O_RDWR))

/* The flags of open that matter on the host. Neither O_DIRECT, for which guest memory need not be
 * aligned, nor O_APPEND (fs_ops_file.c) is among them. */
#define FLAGS_KEPT (O_WRONLY | O_RDWR | O_TRUNC | O_SYNC | O_DSYNC)

static uint32_t answer_flags(const struct fs_server *s, enum fs_handle_kind kind, const struct fs_node *node)
{
    if (node->export == NULL)
        return 0;
    switch (s->cache) {
    case FS_CACHE_NONE: return kind == FS_HANDLE_FILE ? FOPEN_DIRECT_IO : 0;
    case FS_CACHE_AUTO: return 0;
    default: return FOPEN_KEEP_CACHE | (kind == FS_HANDLE_FOLDER ? FOPEN_CACHE_DIR : 0);
    }
}

/* May a file be opened, or made in this folder, like this? */
static int check_flags(struct fs_request *r, uint32_t flags)
{
    bool writes = (flags & ACCESS_MODE) != O_RDONLY || (flags & O_TRUNC) != 0;
    if ((flags & ACCESS_MODE) == ACCESS_MODE)
        return -EINVAL;
    if (!writes)
        return 0;
    return r->s->read_only || fs_node_is_read_only(&r->s->nodes, r->in.nodeid) ? -EROFS : 0;
}

static int check_type(const struct fs_node *node)
{
    switch (node->ident.type) {
    case S_IFREG: return 0;
    case S_IFDIR: return -EISDIR;
    case S_IFLNK: return -ELOOP;
    default: return -EACCES;
    }
}

static int open_node(struct fs_request *r, const struct fs_node *node, uint32_t flags, uint32_t open_flags)
{
    struct fs_caps caps;
    int code = check_type(node);
    if (code < 0)
        return code;
    bool dropped = (open_flags & FUSE_OPEN_KILL_SUIDGID) != 0 && fs_caps_drop_fsetid(&caps);
    int fd = fs_host_reopen(&r->s->host, node->fd, (int)flags & FLAGS_KEPT);
    if (dropped)
        fs_caps_restore(&caps);
    return fd;
}

/* Make a handle of a descriptor, for the answer. */
static int add_handle(struct fs_request *r, enum fs_handle_kind kind, struct fs_node *node, int fd,
                      struct fuse_open_out *out)
{
    *out = (struct fuse_open_out){.open_flags = answer_flags(r->s, kind, node)};
    return fs_handle_add(&r->s->handles, kind, node, fd, &out->fh);
}

int64_t fs_op_open(struct fs_request *r)
{
    struct fuse_open_in in;
    struct fuse_open_out out;
    struct fs_node *node;
    fs_argument(r, &in, sizeof(in));
    int code = check_flags(r, in.flags);
    if (code == 0)
        code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    int fd = open_node(r, node, in.flags, in.open_flags);
    code = fd < 0 ? fd : add_handle(r, FS_HANDLE_FILE, node, fd, &out);
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

/* -1 for the root of exports, which is no folder of the host. */
static int open_folder(struct fs_request *r, const struct fs_node *node)
{
    if (node->export == NULL)
        return -1;
    return node->ident.type != S_IFDIR ? -ENOTDIR : fs_host_reopen(&r->s->host, node->fd, O_RDONLY | O_DIRECTORY);
}

int64_t fs_op_opendir(struct fs_request *r)
{
    struct fuse_open_out out;
    struct fs_node *node;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    int fd = open_folder(r, node);
    code = fd < 0 && node->export != NULL ? fd : add_handle(r, FS_HANDLE_FOLDER, node, fd, &out);
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

static int64_t release(struct fs_request *r, enum fs_handle_kind kind)
{
    struct fuse_release_in in;
    fs_argument(r, &in, sizeof(in));
    return fs_handle_release(&r->s->handles, kind, in.fh) ? 0 : -EBADF;
}

int64_t fs_op_release(struct fs_request *r)
{
    return release(r, FS_HANDLE_FILE);
}

int64_t fs_op_releasedir(struct fs_request *r)
{
    return release(r, FS_HANDLE_FOLDER);
}

/* ---- Creating ---- */

struct created {
    struct fuse_entry_out entry;
    struct fuse_open_out open;
};

/* Tell the guest of a file that is open already. fd is taken over. name: NULL for one without. */
static int64_t answer_created(struct fs_request *r, struct fs_node *folder, const char *name, int fd)
{
    struct created out;
    struct fs_object object;
    struct fs_node *node;
    int code = fs_object_of(&r->s->host, fd, &object);
    if (code == 0)
        code = fs_enter_object(r->s, folder, name, &object, &out.entry, &node);
    if (code < 0) {
        close(fd);
        return code;
    }
    code = add_handle(r, FS_HANDLE_FILE, node, fd, &out.open);
    if (code < 0)
        fs_node_forget(&r->s->nodes, node->id, 1);
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

static int create_as_user(struct fs_request *r, struct fs_node *folder, const char *name, int flags,
                          const struct fuse_create_in *in)
{
    struct fs_actor actor;
    int code = fs_act_as(&r->s->host, r->in.uid, r->in.gid, in->umask, &actor);
    if (code < 0)
        return code;
    uint32_t mode = fs_act_mode(&actor, in->mode, in->umask);
    int fd = fs_host_create(&r->s->host, folder->fd, name, ((int)in->flags & FLAGS_KEPT) | flags, mode);
    fs_act_back(&actor);
    return fd;
}

/* The name is taken, and the guest does not mind: open what is there, if it is a file. */
static int64_t open_taken(struct fs_request *r, struct fs_node *folder, const struct fuse_create_in *in)
{
    struct created out;
    struct fs_node *node;
    int code = fs_enter_name(r->s, folder, r->name[0], &out.entry, &node);
    if (code < 0)
        return code;
    int fd = open_node(r, node, in->flags, in->open_flags);
    code = fd < 0 ? fd : add_handle(r, FS_HANDLE_FILE, node, fd, &out.open);
    if (code < 0)
        fs_node_forget(&r->s->nodes, node->id, 1);
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

static int64_t create(struct fs_request *r, struct fs_node *folder, const struct fuse_create_in *in)
{
    /* Always as new: without O_EXCL the host would open whatever has the name, and wait for a FIFO. */
    int fd = create_as_user(r, folder, r->name[0], O_CREAT | O_EXCL, in);
    if (fd == -EEXIST && (in->flags & O_EXCL) == 0)
        return open_taken(r, folder, in);
    return fd < 0 ? fd : answer_created(r, folder, r->name[0], fd);
}

int64_t fs_op_create(struct fs_request *r)
{
    struct fuse_create_in in;
    struct fs_node *folder;
    fs_argument(r, &in, sizeof(in));
    int64_t code = check_flags(r, in.flags);
    if (code == 0)
        code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code < 0)
        return code;
    code = create(r, folder, &in);
    fs_node_done(&r->s->nodes, folder);
    return code;
}

int64_t fs_op_tmpfile(struct fs_request *r)
{
    struct fuse_create_in in;
    struct fs_node *folder;
    fs_argument(r, &in, sizeof(in));
    int64_t code = check_flags(r, in.flags);
    if (code == 0)
        code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code < 0)
        return code;
    int fd = create_as_user(r, folder, ".", O_TMPFILE | ((int)in.flags & O_EXCL), &in);
    code = fd < 0 ? fd : answer_created(r, folder, NULL, fd);
    fs_node_done(&r->s->nodes, folder);
    return code;
}
