/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes: those of users, and those that only mean something to whoever has rights on the host (file
 * capabilities, trusted ones), which the host then refuses or not. Labels of the host's own security modules and
 * access control lists are neither shown nor set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

#define NAME_MAX_BYTES 255u
#define FLAGS_KNOWN    ((uint32_t)XATTR_CREATE | (uint32_t)XATTR_REPLACE)

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_served(const char *name)
{
    return has_prefix(name, "user.") || has_prefix(name, "trusted.") || strcmp(name, "security.capability") == 0;
}

static int check_name(const char *name)
{
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return -ERANGE;
    return is_served(name) ? 0 : -EOPNOTSUPP;
}

/* An object to be asked: by a descriptor if it can be opened, else by its link in /proc. */
struct target {
    struct fs_node *node;
    int fd; /* -1: by path */
    char path[40];
};

static int open_target(struct fs_request *r, struct target *t)
{
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &t->node);
    if (code < 0)
        return code;
    t->fd = -1;
    if (t->node->export == NULL) {
        fs_node_done(&r->s->nodes, t->node);
        return -EOPNOTSUPP;
    }
    if (t->node->ident.type == S_IFREG || t->node->ident.type == S_IFDIR)
        t->fd = fs_host_reopen(&r->s->host, t->node->fd, O_RDONLY);
    (void)snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", t->node->fd);
    return 0;
}

static int64_t close_target(struct fs_request *r, struct target *t, ssize_t done)
{
    int64_t code = done < 0 ? -errno : done;
    /* /proc may be gone by now, and then only what can be opened has attributes. */
    if (t->fd < 0 && code == -ENOENT)
        code = -EOPNOTSUPP;
    if (t->fd >= 0)
        close(t->fd);
    fs_node_done(&r->s->nodes, t->node);
    return code;
}

int64_t fs_op_setxattr(struct fs_request *r)
{
    struct {
        uint32_t size, flags;
    } in;
    struct target t;
    fs_argument(r, &in, sizeof(in));
    int64_t code = check_name(r->name[0]);
    if (code == 0 && ((in.flags & ~FLAGS_KNOWN) != 0 || in.size > r->tail_bytes))
        code = -EINVAL;
    if (code == 0 && in.size > FS_VALUE_MAX)
        code = -E2BIG;
    if (code == 0)
        code = open_target(r, &t);
    if (code < 0)
        return code;
    return close_target(r, &t,
                        t.fd >= 0 ? fsetxattr(t.fd, r->name[0], r->tail, in.size, (int)in.flags)
                                  : setxattr(t.path, r->name[0], r->tail, in.size, (int)in.flags));
}

int64_t fs_op_removexattr(struct fs_request *r)
{
    struct target t;
    int64_t code = check_name(r->name[0]);
    if (code == 0)
        code = open_target(r, &t);
    if (code < 0)
        return code;
    return close_target(r, &t, t.fd >= 0 ? fremovexattr(t.fd, r->name[0]) : removexattr(t.path, r->name[0]));
}

/* A value or list of `bytes` in the buffer; the guest has room for `size`, or asks with 0 how much it needs. */
static int64_t answer_sized(struct fs_request *r, uint32_t size, size_t bytes)
{
    const struct fuse_getxattr_out out = {.size = (uint32_t)bytes};
    if (size == 0)
        return fs_answer(r, &out, sizeof(out));
    return bytes > size ? -ERANGE : fs_answer(r, r->w->buffer, bytes);
}

int64_t fs_op_getxattr(struct fs_request *r)
{
    struct fuse_getxattr_in in;
    struct target t;
    fs_argument(r, &in, sizeof(in));
    int64_t code = check_name(r->name[0]);
    if (code == 0)
        code = open_target(r, &t);
    if (code < 0)
        return code;
    size_t most = sizeof(r->w->buffer);
    code = close_target(r, &t,
                        t.fd >= 0 ? fgetxattr(t.fd, r->name[0], r->w->buffer, most)
                                  : getxattr(t.path, r->name[0], r->w->buffer, most));
    return code < 0 ? code : answer_sized(r, in.size, (size_t)code);
}

/* Leave those out that are not served. Returns what remains, in bytes. */
static size_t filter(char *list, size_t bytes)
{
    size_t kept = 0;
    for (size_t at = 0; at < bytes;) {
        size_t n = strnlen(list + at, bytes - at) + 1;
        if (at + n <= bytes && is_served(list + at)) {
            memmove(list + kept, list + at, n);
            kept += n;
        }
        at += n;
    }
    return kept;
}

int64_t fs_op_listxattr(struct fs_request *r)
{
    struct fuse_getxattr_in in;
    struct target t;
    char *list = (char *)r->w->buffer;
    fs_argument(r, &in, sizeof(in));
    int64_t code = open_target(r, &t);
    if (code < 0)
        return code;
    size_t most = sizeof(r->w->buffer);
    code = close_target(r, &t, t.fd >= 0 ? flistxattr(t.fd, list, most) : listxattr(t.path, list, most));
    return code < 0 ? code : answer_sized(r, in.size, filter(list, (size_t)code));
}
