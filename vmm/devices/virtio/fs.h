/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A folder of the host for the guest: virtio-fs, served by the monitor itself, without a second daemon. The driver
 * speaks FUSE, so what is here is a FUSE server whose client is hostile.
 *
 *     fs.c           the device: queues, configuration
 *     fs_request.c   one request from a chain: check, dispatch, answer
 *     fs_ops_*.c     what each request does, by family
 *     fs_inode.c     nodes: what the guest knows by a number, and the object of the host behind it
 *     fs_handle.c    open files and folders
 *     fs_export.c    what of the host is shown: a folder, or exports under names
 *     fs_host.c      the only way to the host's files: by descriptor and one name, never by a path
 *
 * Whatever names the guest sends and whatever moves on the host meanwhile, nothing outside of the folder is reached:
 * symbolic links are never followed on the host, and devices, FIFOs and sockets are shown but never opened.
 *
 * Instead of one folder there may be exports: folders and files of the host under names of their own, in a root folder
 * that is empty at first and cannot be changed by the guest. They come and go while the guest runs.
 *
 * Threads: each queue is served on its own loop under its own lock; nodes and handles have a lock each, which is held
 * for table work only and never during host I/O.
 *
 * Source: virtio 1.2, 5.11; FUSE 7.31 to 7.38 as in Linux 6.1, include/uapi/linux/fuse.h.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_H

#include "vmm/devices/virtio/virtio.h"

#define FS_TAG_BYTES          36u
#define FS_REQUEST_QUEUES_MAX 4u
#define FS_QUEUE_SIZE         1024u

#define FS_NODES_DEFAULT  (512u << 10) /* about 120 MiB when a guest uses them all */
#define FS_NODES_MAX      (1u << 20)
#define FS_BUDGET_DEFAULT 2048u
#define FS_BUDGET_MIN     64u
#define FS_HANDLES_MAX    4096u
#define FS_EXPORTS_MAX    256u

/* For how long the guest may believe what it was told. */
enum fs_cache {
    FS_CACHE_NONE,   /* not at all, and file contents are not kept either: the folder changes on the host */
    FS_CACHE_AUTO,   /* names and attributes for a second, contents until the next open */
    FS_CACHE_ALWAYS, /* a day: nobody else changes the folder */
};

struct fs_config {
    const struct memory *memory; /* borrowed, as is all here; the tag is copied */
    /* loops[0]: for the urgent queue; then one for each request queue. A loop may serve several. */
    struct loop *loops[1 + FS_REQUEST_QUEUES_MAX];
    unsigned queues; /* request queues, 1 to FS_REQUEST_QUEUES_MAX */
    struct log *log; /* may be NULL */
    const char *tag; /* what the guest mounts: 1 to FS_TAG_BYTES bytes */
    /* The folder: a descriptor opened with O_DIRECTORY, O_PATH or not. Only used in fs_new, which keeps its own. */
    int root_fd;
    bool exports;   /* no folder, but what fs_export_add adds; root_fd is -1 */
    bool read_only; /* all that would change something is EROFS before the host hears of it */
    enum fs_cache cache;
    /*
     * Create files as the user whom the request names. The monitor has to be root. Otherwise all that is created
     * belongs to the monitor's user, and changing owners fails as it does for that user.
     */
    bool as_root;
    bool locks;      /* locks of files are taken on the host; otherwise they are the guest's own business */
    bool one_device; /* what is mounted inside of the folder cannot be entered */
    /*
     * Nodes that keep a descriptor while nothing uses them, at least FS_BUDGET_MIN; 0: FS_BUDGET_DEFAULT. Never more
     * than half of what the process may have open.
     */
    unsigned fd_budget;
    unsigned nodes_max; /* nodes at once, up to FS_NODES_MAX; 0: FS_NODES_DEFAULT. Beyond, LOOKUP is ENOMEM */
};

struct fs;
struct fs_export;

/*
 * Make the device; free it when no VP and no loop runs. The process has at most fd_budget + 2 * FS_HANDLES_MAX + a few
 * descriptors open for it, and 3 for each export. Call it in the process that serves (not before a fork), with a procfs
 * at /proc; afterwards /proc may go. 0, or -errno with *err: -EINVAL for a configuration that makes no sense, -EPERM
 * for as_root without being root, or what the host said about the folder.
 */
int fs_new(const struct fs_config *config, struct fs **out, struct err *err);
void fs_free(struct fs *fs);
struct virtio *fs_virtio(struct fs *fs);

/*
 * Show a folder or a regular file of the host under a name in the root folder. name: 1 to 255 bytes, one component, not
 * "." or "..". fd: opened with O_PATH or more; borrowed. read_only: nothing below it can be changed by this way.
 *
 * The guest sees it at once: names in the root folder are never cached. What is mounted below a folder is seen, too.
 * The same object of the host under two names is two objects for the guest, and nothing can be moved or linked from one
 * export to another (EXDEV). Any thread. 0; -EINVAL: a bad name, or neither folder nor regular file, or the device is
 * not for exports; -EEXIST; -ENOSPC: there are FS_EXPORTS_MAX; or what the host says.
 */
int fs_export_add(struct fs *fs, const char *name, int fd, bool read_only);
/*
 * The same in three steps, for a caller who may not open files and has somebody who may do the second. They fail as
 * above; fs_export_blank with NULL if there is no memory. An export is its maker's until fs_export_put, which takes it
 * whether it fails or not; fs_export_drop frees one.
 */
struct fs_export *fs_export_blank(void);
int fs_export_open(struct fs *fs, struct fs_export *e, int fd);
int fs_export_put(struct fs *fs, const char *name, struct fs_export *e, bool read_only);
void fs_export_drop(struct fs_export *e);
/*
 * Take the name away. What the guest uses of it goes on until the guest forgets it, and then its descriptors are
 * closed. Any thread. 0; -ENOENT: there is none of this name.
 */
int fs_export_remove(struct fs *fs, const char *name);
/* Their names, in the order in which they came: calls `each` for each; any thread. `each` may not add or remove. */
void fs_export_list(struct fs *fs, void (*each)(void *ctx, const char *name, bool read_only), void *ctx);

#endif
