/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Extended attributes: those of users, and those that only mean something to whoever has rights on the host (file
 * capabilities, trusted ones), which the host then refuses or not. Labels of the host's own security modules and
 * access control lists are neither shown nor set. Files and folders have them. What is never opened here, a symbolic
 * link or a FIFO, has none: those of users they cannot have anyway, and the calls that would get at others take paths,
 * which the threads that serve are not to have.
 */
#include <errno.h>
#include <fcntl.h>
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

/* What is to be asked, opened: a descriptor, which is closed with close_target; or -errno, `none` if it has none. */
static int open_target(struct fs_request *r, int none)
{
    struct fs_node *node;
    int code = fs_node_use(&r->s->nodes, r->in.nodeid, &node);
    if (code < 0)
        return code;
    bool has = node->export != NULL && (node->ident.type == S_IFREG || node->ident.type == S_IFDIR);
    code = node->export == NULL ? -EOPNOTSUPP : has ? fs_host_reopen(&r->s->host, node->fd, O_RDONLY) : none;
    fs_node_done(&r->s->nodes, node);
    return code;
}

static int64_t close_target(int fd, ssize_t done)
{
    int64_t code = done < 0 ? -errno : done;
    close(fd);
    return code;
}

int64_t fs_op_setxattr(struct fs_request *r)
{
    struct {
        uint32_t size, flags;
    } in;
    fs_argument(r, &in, sizeof(in));
    int code = check_name(r->name[0]);
    if (code == 0 && ((in.flags & ~FLAGS_KNOWN) != 0 || in.size > r->tail_bytes))
        code = -EINVAL;
    if (code == 0 && in.size > FS_VALUE_MAX)
        code = -E2BIG;
    int fd = code < 0 ? code : open_target(r, -EPERM);
    return fd < 0 ? fd : close_target(fd, fsetxattr(fd, r->name[0], r->tail, in.size, (int)in.flags));
}

int64_t fs_op_removexattr(struct fs_request *r)
{
    int code = check_name(r->name[0]);
    int fd = code < 0 ? code : open_target(r, -EPERM);
    return fd < 0 ? fd : close_target(fd, fremovexattr(fd, r->name[0]));
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
    fs_argument(r, &in, sizeof(in));
    int code = check_name(r->name[0]);
    int fd = code < 0 ? code : open_target(r, -ENODATA);
    if (fd < 0)
        return fd;
    int64_t n = close_target(fd, fgetxattr(fd, r->name[0], r->w->buffer, sizeof(r->w->buffer)));
    return n < 0 ? n : answer_sized(r, in.size, (size_t)n);
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
    char *list = (char *)r->w->buffer;
    fs_argument(r, &in, sizeof(in));
    int fd = open_target(r, -ENODATA);
    if (fd == -ENODATA)
        return answer_sized(r, in.size, 0);
    if (fd < 0)
        return fd;
    int64_t n = close_target(fd, flistxattr(fd, list, sizeof(r->w->buffer)));
    return n < 0 ? n : answer_sized(r, in.size, filter(list, (size_t)n));
}
