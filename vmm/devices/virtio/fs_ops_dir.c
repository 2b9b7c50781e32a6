/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading folders. The position that a guest reads from is the host's own (d_off): nothing is kept here but the open
 * folder, and a guest that makes positions up gets what the host's kernel answers to it.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/devices/virtio/fs_ops.h"

/* What the kernel writes; getdents64(2). */
struct host_entry {
    uint64_t ino;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

#define HOST_NAME offsetof(struct host_entry, name)
#define READ_MIN  512u /* holds the longest entry */
#define READ_MAX  16384u

struct listing {
    struct fs_request *r;
    const struct fs_handle *handle;
    bool plus;
    uint32_t limit, used; /* of the answer */
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The entry with its attributes, and one more lookup of it; none for those that cannot be looked up this moment. */
static void describe(const struct listing *l, const char *name, struct fuse_entry_out *out)
{
    memset(out, 0, sizeof(*out));
    /* Linux counts no lookup for the two that lead elsewhere. */
    if (is_dots(name) || fs_enter_name(l->r->s, l->handle->node, name, out, NULL) < 0)
        memset(out, 0, sizeof(*out));
}

/* False: there is no room for it. */
static bool list_one(struct listing *l, const struct host_entry *entry)
{
    static const uint8_t padding[8];
    uint32_t length = (uint32_t)strlen(entry->name);
    uint32_t head = l->plus ? (uint32_t)sizeof(struct fuse_entry_out) : 0;
    uint32_t bytes = (uint32_t)FUSE_NAME_OFFSET + length, padded = (uint32_t)FUSE_REC_ALIGN(head + bytes);
    uint64_t ino = fs_ino_of(l->r->s, l->handle->node->ident.device, entry->ino);
    struct fuse_dirent out = {.ino = ino, .off = (uint64_t)entry->next, .namelen = length, .type = entry->type};
    if (padded > l->limit - l->used)
        return false;
    /* What the folder lies in is nothing to the guest. */
    if ((l->handle->node->id == FUSE_ROOT_ID || l->handle->node->top) && strcmp(entry->name, "..") == 0)
        out.ino = FUSE_ROOT_ID;
    if (l->plus) {
        struct fuse_entry_out plus;
        describe(l, entry->name, &plus);
        (void)fs_answer_part(l->r, l->used, &plus, sizeof(plus));
    }
    (void)fs_answer_part(l->r, l->used + head, &out, FUSE_NAME_OFFSET);
    (void)fs_answer_part(l->r, l->used + head + (uint32_t)FUSE_NAME_OFFSET, entry->name, length);
    (void)fs_answer_part(l->r, l->used + head + bytes, padding, padded - head - bytes);
    l->used += padded;
    return true;
}

/* One buffer of entries. 1: go on; 0: the end or no room; or -errno. */
static int list_some(struct listing *l)
{
    uint8_t *buffer = l->r->w->buffer;
    uint32_t left = l->limit - l->used;
    uint32_t size = left < READ_MIN ? READ_MIN : left < READ_MAX ? left : READ_MAX;
    long n;
    do
        n = syscall(SYS_getdents64, l->handle->fd, buffer, size);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    for (long at = 0; at < n;) {
        const struct host_entry *entry = (const void *)(buffer + at);
        if (!list_one(l, entry))
            return l->used == 0 ? -EINVAL : 0;
        at += entry->bytes;
    }
    return 1;
}

/* ---- The root of exports ---- */

union export_entry {
    struct host_entry entry;
    uint8_t bytes[HOST_NAME + FS_NAME_MAX + 1];
};

static bool list_export(struct listing *l, uint64_t place, const char *name, const struct fs_export *e)
{
    union export_entry at = {.entry = {.ino = FUSE_ROOT_ID, .next = (int64_t)place, .type = DT_DIR}};
    struct fs_statx st;
    if (e != NULL && fs_host_stat(e->base.fd, &st) == 0) {
        at.entry.ino = fs_ino_of(l->r->s, fs_device_of(&st), st.ino);
        at.entry.type = (uint8_t)IFTODT(st.mode);
    }
    (void)strcpy((char *)at.bytes + HOST_NAME, name);
    return list_one(l, &at.entry);
}

/* The place of an entry is its serial, so one that goes meanwhile makes nobody miss another. */
static int64_t list_exports(struct listing *l, uint64_t offset)
{
    struct fs_export *e;
    bool room = (offset > 0 || list_export(l, 1, ".", NULL)) && (offset > 1 || list_export(l, 2, "..", NULL));
    uint64_t serial = offset < FS_EXPORT_SERIAL_MIN ? FS_EXPORT_SERIAL_MIN : offset + 1;
    while (room && serial != 0 && (e = fs_exports_next(&l->r->s->exports, serial)) != NULL) {
        room = list_export(l, e->serial, e->name, e);
        serial = e->serial + 1;
        fs_export_drop(e);
    }
    return room || l->used > 0 ? (int64_t)l->used : -EINVAL;
}

static int64_t list(struct listing *l, uint64_t offset)
{
    int code = 1;
    if (l->handle->node->export == NULL)
        return list_exports(l, offset);
    if (lseek(l->handle->fd, (off_t)offset, SEEK_SET) < 0)
        return -errno;
    while (code == 1)
        code = list_some(l);
    /* What is in the answer already counts: lookups were given out. */
    return code < 0 && l->used == 0 ? code : (int64_t)l->used;
}

static int64_t read_folder(struct fs_request *r, bool plus)
{
    struct fuse_read_in in;
    fs_argument(r, &in, sizeof(in));
    struct fs_handle *handle = fs_handle_use(&r->s->handles, FS_HANDLE_FOLDER, in.fh);
    if (handle == NULL)
        return -EBADF;
    uint32_t limit = in.size < r->room ? in.size : r->room;
    struct listing l = {.r = r, .handle = handle, .plus = plus, .limit = limit < FS_IO_BYTES ? limit : FS_IO_BYTES};
    pthread_mutex_lock(&handle->reading);
    int64_t done = list(&l, in.offset);
    pthread_mutex_unlock(&handle->reading);
    fs_handle_done(&r->s->handles, handle);
    return done;
}

int64_t fs_op_readdir(struct fs_request *r)
{
    return read_folder(r, false);
}

int64_t fs_op_readdirplus(struct fs_request *r)
{
    return read_folder(r, true);
}
