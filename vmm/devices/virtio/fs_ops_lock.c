/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Locks of files, when they are taken on the host: so guests that share a folder, and programs of the host, respect
 * each other's. Ranges of bytes belong to an owner and an object (POSIX), and hang from a descriptor that is opened for
 * the pair; whole-file locks (flock) belong to the handle.
 *
 * Nothing waits here: a queue that waited could not serve the request which ends the wait. So a lock that is taken
 * already is EAGAIN, also to a program that wanted to wait for it. That is why locks are the guest's own business
 * unless somebody asks for this.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

/* ---- The table; under s->lock ---- */

static struct fs_lock *find(struct fs_server *s, const struct fs_node *node, uint64_t owner)
{
    for (unsigned i = 0; i < FS_LOCKS_MAX; i++)
        if (s->locks[i].node == node && (node == NULL || s->locks[i].owner == owner))
            return &s->locks[i];
    return NULL;
}

/* The descriptor of an owner on a node. -errno. */
static int descriptor_of(struct fs_server *s, const struct fs_handle *handle, uint64_t owner)
{
    struct fs_lock *lock = find(s, handle->node, owner);
    if (lock != NULL)
        return lock->fd;
    lock = find(s, NULL, 0);
    if (lock == NULL)
        return -ENOLCK;
    /* Reading locks want a descriptor that reads, writing ones one that writes: as the guest has it. */
    bool read_only = s->read_only || handle->node->export->read_only;
    int fd = fs_host_reopen(&s->host, handle->node->fd, read_only ? O_RDONLY : O_RDWR);
    if (fd < 0)
        fd = fs_host_reopen(&s->host, handle->node->fd, fcntl(handle->fd, F_GETFL) & (O_WRONLY | O_RDWR));
    if (fd < 0)
        return fd;
    *lock = (struct fs_lock){.node = handle->node, .owner = owner, .fd = fd};
    fs_node_pin(&s->nodes, handle->node);
    return fd;
}

static void end(struct fs_server *s, struct fs_lock *lock)
{
    struct fs_node *node = lock->node;
    close(lock->fd);
    *lock = (struct fs_lock){.node = NULL};
    fs_node_done(&s->nodes, node);
}

void fs_locks_end(struct fs_server *s, const struct fs_node *node, uint64_t owner)
{
    if (s->locks == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    struct fs_lock *lock = find(s, node, owner);
    if (lock != NULL)
        end(s, lock);
    pthread_mutex_unlock(&s->lock);
}

void fs_locks_end_all(struct fs_server *s)
{
    if (s->locks == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < FS_LOCKS_MAX; i++)
        if (s->locks[i].node != NULL)
            end(s, &s->locks[i]);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Requests ---- */

static int range_from(const struct fuse_file_lock *in, struct flock *out)
{
    if (in->start > INT64_MAX || in->end < in->start)
        return -EINVAL;
    *out = (struct flock){.l_type = (short)in->type, .l_whence = SEEK_SET, .l_start = (off_t)in->start};
    /* 0 is up to the end, however far that moves. */
    if (in->end < INT64_MAX)
        out->l_len = (off_t)(in->end - in->start + 1);
    return in->type == F_RDLCK || in->type == F_WRLCK || in->type == F_UNLCK ? 0 : -EINVAL;
}

static int lock_range(struct fs_server *s, const struct fs_handle *handle, const struct fuse_lk_in *in, int command,
                      struct flock *range)
{
    int code = range_from(&in->lk, range);
    if (code < 0)
        return code;
    pthread_mutex_lock(&s->lock);
    int fd = descriptor_of(s, handle, in->owner);
    code = fd < 0 ? fd : fcntl(fd, command, range) < 0 ? -errno : 0;
    pthread_mutex_unlock(&s->lock);
    return code == -EACCES ? -EAGAIN : code;
}

static int lock_whole(const struct fs_handle *handle, uint32_t type)
{
    int how = type == F_RDLCK ? LOCK_SH : type == F_WRLCK ? LOCK_EX : type == F_UNLCK ? LOCK_UN : -1;
    if (how < 0)
        return -EINVAL;
    return flock(handle->fd, how | LOCK_NB) < 0 ? -errno : 0;
}

int64_t fs_op_getlk(struct fs_request *r)
{
    struct fuse_lk_in in;
    struct flock range;
    fs_argument(r, &in, sizeof(in));
    if (!r->s->lock_on_host)
        return -ENOSYS;
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    int code = lock_range(r->s, handle, &in, F_OFD_GETLK, &range);
    fs_handle_done(&r->s->handles, handle);
    if (code < 0)
        return code;
    /* Whose lock it is cannot be said in the guest's terms. */
    struct fuse_lk_out out = {.lk = {.type = (uint32_t)range.l_type}};
    if (range.l_type != F_UNLCK) {
        out.lk.start = (uint64_t)range.l_start;
        out.lk.end = range.l_len == 0 ? INT64_MAX : (uint64_t)(range.l_start + range.l_len - 1);
    }
    return fs_answer(r, &out, sizeof(out));
}

int64_t fs_op_setlk(struct fs_request *r)
{
    struct fuse_lk_in in;
    struct flock range;
    fs_argument(r, &in, sizeof(in));
    if (!r->s->lock_on_host)
        return -ENOSYS;
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FILE, in.fh);
    if (handle == NULL)
        return -EBADF;
    int code = (in.lk_flags & FUSE_LK_FLOCK) != 0 ? lock_whole(handle, in.lk.type)
                                                  : lock_range(r->s, handle, &in, F_OFD_SETLK, &range);
    fs_handle_done(&r->s->handles, handle);
    return code;
}

int64_t fs_op_setlkw(struct fs_request *r)
{
    return fs_op_setlk(r);
}
