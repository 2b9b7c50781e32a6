/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What of the host the guest is shown: one folder that is the device's root, or any number of exports. An export is a
 * folder or a regular file under a name in a root folder that exists nowhere on the host. Exports come and go while the
 * guest runs. When a name is taken away, no LOOKUP finds it any more; what the guest knows of the export already goes
 * on until it is forgotten, and then the descriptors are closed.
 *
 * Threads: the list has a lock of its own, which is innermost. An export is constant but for its count.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_EXPORT_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_EXPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/devices/virtio/fs.h"
#include "vmm/devices/virtio/fs_host.h"

/* Places in the root folder: 1 is behind ".", 2 behind "..", the first export is 3. */
#define FS_EXPORT_SERIAL_MIN 3u

struct fs_export {
    struct fs_base base;
    bool read_only;
    uint64_t serial; /* of those of one device; never used twice */
    char name[FS_NAME_MAX + 1];
    atomic_uint uses; /* its name, and each node */
};

struct fs_exports {
    pthread_mutex_t lock;
    struct fs_export *list[FS_EXPORTS_MAX]; /* by serial */
    unsigned count;
    uint64_t serial;         /* of the next one */
    struct timespec changed; /* when something came or went, CLOCK_REALTIME */
};

/*
 * An export of a descriptor, which is borrowed; one use is the caller's. whole: it is to be the device's root, so it
 * has to be a folder that can be read. 0, -EINVAL: neither folder nor regular file; -ENOMEM; or what the host says.
 */
int fs_export_new(const struct fs_host *h, int fd, bool whole, struct fs_export **out);
/* The second half of that, for one of fs_export_blank: 0 or -errno, and it is the caller's to drop either way. */
int fs_export_reach(struct fs_export *e, const struct fs_host *h, int fd, bool whole);
/* One more use; e may be NULL. Returns e. */
struct fs_export *fs_export_hold(struct fs_export *e);
/* fs_export_drop (fs.h): one less. Accepts NULL. */

void fs_exports_init(struct fs_exports *x);
/* Nodes may still use some. */
void fs_exports_fini(struct fs_exports *x);

/* Put an export into the list under a name; its use goes to the list. 0, -EEXIST, -ENOSPC: there are FS_EXPORTS_MAX. */
int fs_exports_add(struct fs_exports *x, const char *name, struct fs_export *e);
/* 0, or -ENOENT. */
int fs_exports_remove(struct fs_exports *x, const char *name);

/* The export with this name, or the first whose serial is at least `serial`: a use for the caller. NULL: none. */
struct fs_export *fs_exports_find(struct fs_exports *x, const char *name);
struct fs_export *fs_exports_next(struct fs_exports *x, uint64_t serial);

/* Attributes of the root folder. */
void fs_exports_stat(struct fs_exports *x, struct fs_statx *out);

#endif
