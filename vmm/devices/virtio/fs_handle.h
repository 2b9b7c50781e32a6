/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Handles: files and folders that the guest has open, by numbers (FUSE's fh) that are never used twice. A handle keeps
 * its node pinned. At most FS_HANDLES_MAX at once.
 *
 * Threads: `lock` guards the table and the counts. What a handle that is in use holds is constant; `reading` guards the
 * position of a folder.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_HANDLE_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_HANDLE_H

#include "vmm/devices/virtio/fs_inode.h"

enum fs_handle_kind { FS_HANDLE_FILE, FS_HANDLE_FOLDER };

struct fs_handle {
    uint64_t id;
    enum fs_handle_kind kind;
    int fd; /* opened to be read or written; -1: the root of exports */
    struct fs_node *node;
    pthread_mutex_t reading;
    unsigned pins; /* requests in progress, and 1 while the guest has it open */
};

struct fs_handles {
    struct fs_nodes *nodes;
    pthread_mutex_t lock;
    struct fs_table table;
};

/* 0 or -ENOMEM with *h zeroed. */
int fs_handles_init(struct fs_handles *h, struct fs_nodes *nodes, unsigned max);
/* No handle is in use. Accepts a zeroed one. */
void fs_handles_fini(struct fs_handles *h);

/*
 * A handle for an open descriptor of a node, which the caller has pinned and still has to end. fd becomes the handle's,
 * or is closed. 0 with *id, -ENFILE: there are too many, -ENOMEM.
 */
int fs_handle_add(struct fs_handles *h, enum fs_handle_kind kind, struct fs_node *node, int fd, uint64_t *id);
/* NULL: there is none with this number, or of another kind. Ends by fs_handle_done. */
struct fs_handle *fs_handle_use(struct fs_handles *h, enum fs_handle_kind kind, uint64_t id);
void fs_handle_done(struct fs_handles *h, struct fs_handle *handle);
/* Close it; requests in progress go on with it. False: there is none. */
bool fs_handle_release(struct fs_handles *h, enum fs_handle_kind kind, uint64_t id);
void fs_handles_release_all(struct fs_handles *h);

#endif
