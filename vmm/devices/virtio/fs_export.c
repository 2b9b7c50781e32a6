/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- One ---- */

struct fs_export *fs_export_blank(void)
{
    struct fs_export *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->base = (struct fs_base){.fd = -1, .mount = -1};
    atomic_init(&e->uses, 1);
    return e;
}

int fs_export_reach(struct fs_export *e, const struct fs_host *h, int fd, bool whole)
{
    return fs_base_open(h, fd, whole, &e->base);
}

int fs_export_new(const struct fs_host *h, int fd, bool whole, struct fs_export **out)
{
    struct fs_export *e = fs_export_blank();
    int code = e == NULL ? -ENOMEM : fs_export_reach(e, h, fd, whole);
    if (code < 0)
        fs_export_drop(e);
    else
        *out = e;
    return code;
}

struct fs_export *fs_export_hold(struct fs_export *e)
{
    if (e != NULL)
        (void)atomic_fetch_add(&e->uses, 1);
    return e;
}

void fs_export_drop(struct fs_export *e)
{
    if (e == NULL || atomic_fetch_sub(&e->uses, 1) != 1)
        return;
    fs_base_close(&e->base);
    free(e);
}

/* ---- The list ---- */

void fs_exports_init(struct fs_exports *x)
{
    *x = (struct fs_exports){.serial = FS_EXPORT_SERIAL_MIN};
    (void)pthread_mutex_init(&x->lock, NULL);
    (void)clock_gettime(CLOCK_REALTIME, &x->changed);
}

void fs_exports_fini(struct fs_exports *x)
{
    for (unsigned i = 0; i < x->count; i++)
        fs_export_drop(x->list[i]);
    pthread_mutex_destroy(&x->lock);
    memset(x, 0, sizeof(*x));
}

/* Under the lock. x->count: there is none. */
static unsigned place_of(const struct fs_exports *x, const char *name)
{
    unsigned i = 0;
    while (i < x->count && strcmp(x->list[i]->name, name) != 0)
        i++;
    return i;
}

/* Under the lock. */
static int add(struct fs_exports *x, const char *name, struct fs_export *e)
{
    if (place_of(x, name) < x->count)
        return -EEXIST;
    if (x->count == FS_EXPORTS_MAX)
        return -ENOSPC;
    (void)strcpy(e->name, name);
    e->serial = x->serial++;
    x->list[x->count++] = e;
    (void)clock_gettime(CLOCK_REALTIME, &x->changed);
    return 0;
}

int fs_exports_add(struct fs_exports *x, const char *name, struct fs_export *e)
{
    pthread_mutex_lock(&x->lock);
    int code = add(x, name, e);
    pthread_mutex_unlock(&x->lock);
    return code;
}

int fs_exports_remove(struct fs_exports *x, const char *name)
{
    struct fs_export *e = NULL;
    pthread_mutex_lock(&x->lock);
    unsigned at = place_of(x, name);
    if (at < x->count) {
        e = x->list[at];
        x->count--;
        memmove(&x->list[at], &x->list[at + 1], (x->count - at) * sizeof(x->list[0]));
        (void)clock_gettime(CLOCK_REALTIME, &x->changed);
    }
    pthread_mutex_unlock(&x->lock);
    fs_export_drop(e);
    return e == NULL ? -ENOENT : 0;
}

struct fs_export *fs_exports_find(struct fs_exports *x, const char *name)
{
    pthread_mutex_lock(&x->lock);
    unsigned at = place_of(x, name);
    struct fs_export *e = fs_export_hold(at < x->count ? x->list[at] : NULL);
    pthread_mutex_unlock(&x->lock);
    return e;
}

struct fs_export *fs_exports_next(struct fs_exports *x, uint64_t serial)
{
    unsigned at = 0;
    pthread_mutex_lock(&x->lock);
    while (at < x->count && x->list[at]->serial < serial)
        at++;
    struct fs_export *e = fs_export_hold(at < x->count ? x->list[at] : NULL);
    pthread_mutex_unlock(&x->lock);
    return e;
}

void fs_exports_stat(struct fs_exports *x, struct fs_statx *out)
{
    pthread_mutex_lock(&x->lock);
    const struct fs_time changed = {.seconds = x->changed.tv_sec, .nanoseconds = (uint32_t)x->changed.tv_nsec};
    pthread_mutex_unlock(&x->lock);
    *out = (struct fs_statx){.mask = FS_STATX_BASIC,
                             .blksize = 4096,
                             .nlink = 2,
                             .mode = S_IFDIR | 0555,
                             .ino = FUSE_ROOT_ID,
                             .atime = changed,
                             .mtime = changed,
                             .ctime = changed};
}
