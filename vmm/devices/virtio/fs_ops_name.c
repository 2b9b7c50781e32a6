/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names of folders' entries: making, moving and removing them. A name is always one component in a pinned folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

/* ---- Making ---- */

/* What is to be made; which fields count depends on the kind. */
struct making {
    int (*make)(struct fs_request *r, const struct making *m, int folder);
    uint32_t mode, umask;
};

/* Make an entry as the user of the request, then look it up. */
static int64_t make_entry(struct fs_request *r, const struct making *m)
{
    struct fuse_entry_out out;
    struct fs_node *folder;
    struct fs_actor actor;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code < 0)
        return code;
    code = fs_act_as(&r->s->host, r->in.uid, r->in.gid, m->umask, &actor);
    if (code == 0) {
        const struct making masked = {.make = m->make, .mode = fs_act_mode(&actor, m->mode, m->umask)};
        code = m->make(r, &masked, folder->fd);
        fs_act_back(&actor);
    }
    if (code == 0)
        code = fs_enter_name(r->s, folder, r->name[0], &out, NULL);
    fs_node_done(&r->s->nodes, folder);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}

static int make_symlink(struct fs_request *r, const struct making *m, int folder)
{
    (void)m;
    return symlinkat(r->name[1], folder, r->name[0]) < 0 ? -errno : 0;
}

int64_t fs_op_symlink(struct fs_request *r)
{
    static const struct making m = {.make = make_symlink};
    if (r->name[1][0] == '\0' || strlen(r->name[1]) > FS_TARGET_MAX)
        return r->name[1][0] == '\0' ? -ENOENT : -ENAMETOOLONG;
    return make_entry(r, &m);
}

static int make_folder(struct fs_request *r, const struct making *m, int folder)
{
    return mkdirat(folder, r->name[0], m->mode & 07777) < 0 ? -errno : 0;
}

int64_t fs_op_mkdir(struct fs_request *r)
{
    struct fuse_mkdir_in in;
    fs_argument(r, &in, sizeof(in));
    const struct making m = {.make = make_folder, .mode = in.mode, .umask = in.umask};
    return make_entry(r, &m);
}

static int make_node(struct fs_request *r, const struct making *m, int folder)
{
    return mknodat(folder, r->name[0], m->mode & (S_IFMT | 07777), 0) < 0 ? -errno : 0;
}

int64_t fs_op_mknod(struct fs_request *r)
{
    struct fuse_mknod_in in;
    fs_argument(r, &in, sizeof(in));
    const struct making m = {.make = make_node, .mode = in.mode, .umask = in.umask};
    switch (in.mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK: return make_entry(r, &m);
    /* Overlays mark what was removed by a device that is none: 0, 0. */
    case S_IFCHR: return in.rdev == 0 ? make_entry(r, &m) : -EPERM;
    case S_IFBLK: return -EPERM;
    default: return -EINVAL;
    }
}

/* ---- Removing ---- */

static int64_t remove_entry(struct fs_request *r, int flags)
{
    struct fs_node *folder;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code < 0)
        return code;
    code = unlinkat(folder->fd, r->name[0], flags) < 0 ? -errno : 0;
    fs_node_done(&r->s->nodes, folder);
    return code;
}

int64_t fs_op_unlink(struct fs_request *r)
{
    return remove_entry(r, 0);
}

int64_t fs_op_rmdir(struct fs_request *r)
{
    return remove_entry(r, AT_REMOVEDIR);
}

/* ---- Moving ---- */

/* Whatever has the name now was moved there, as far as nodes are concerned. */
static void note_place(struct fs_request *r, struct fs_node *folder, const char *name)
{
    struct fs_object object;
    if (fs_object_at(&r->s->host, folder->fd, name, &object) < 0)
        return;
    fs_node_moved(&r->s->nodes, &object.ident, folder, name);
    close(object.fd);
}

static int64_t move(struct fs_request *r, struct fs_node *from, struct fs_node *to, uint32_t flags)
{
    if (from->export != to->export)
        return -EXDEV;
    if (syscall(SYS_renameat2, from->fd, r->name[0], to->fd, r->name[1], flags) < 0)
        return -errno;
    note_place(r, to, r->name[1]);
    if ((flags & RENAME_EXCHANGE) != 0)
        note_place(r, from, r->name[0]);
    return 0;
}

static int64_t rename_entry(struct fs_request *r, uint64_t to_id, uint32_t flags)
{
    struct fs_node *from, *to;
    if ((flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0)
        return -EINVAL;
    int64_t code = fs_node_use(&r->s->nodes, r->in.nodeid, &from);
    if (code < 0)
        return code;
    code = fs_node_use(&r->s->nodes, to_id, &to);
    if (code == 0) {
        code = move(r, from, to, flags);
        fs_node_done(&r->s->nodes, to);
    }
    fs_node_done(&r->s->nodes, from);
    return code;
}

int64_t fs_op_rename(struct fs_request *r)
{
    struct fuse_rename_in in;
    fs_argument(r, &in, sizeof(in));
    return rename_entry(r, in.newdir, 0);
}

int64_t fs_op_rename2(struct fs_request *r)
{
    struct fuse_rename2_in in;
    fs_argument(r, &in, sizeof(in));
    return rename_entry(r, in.newdir, in.flags);
}

/* ---- Another name ---- */

static int link_node(struct fs_request *r, const struct fs_node *node, struct fs_node *folder,
                     struct fuse_entry_out *out)
{
    if (node->export != folder->export)
        return -EXDEV;
    /* The link in /proc leads to this very object; if that is a symbolic link, it is not followed. */
    if (linkat(r->s->host.proc, fs_host_fd_name(node->fd).text, folder->fd, r->name[0], AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    return fs_enter_name(r->s, folder, r->name[0], out, NULL);
}

int64_t fs_op_link(struct fs_request *r)
{
    struct fuse_link_in in;
    struct fuse_entry_out out;
    struct fs_node *node, *folder;
    fs_argument(r, &in, sizeof(in));
    int code = fs_node_use(&r->s->nodes, in.oldnodeid, &node);
    if (code < 0)
        return code;
    code = fs_node_use(&r->s->nodes, r->in.nodeid, &folder);
    if (code == 0) {
        code = link_node(r, node, folder, &out);
        fs_node_done(&r->s->nodes, folder);
    }
    fs_node_done(&r->s->nodes, node);
    return code < 0 ? code : fs_answer(r, &out, sizeof(out));
}
