/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nodes: what the guest knows by a number (FUSE's nodeid) because a LOOKUP told it, until it says FORGET as often.
 *
 * A node keeps a descriptor of its object as long as there are not too many of those. Beyond the budget, the one that
 * was not used for longest loses it and is found again when it is needed: by the kernel's file handle, where rights and
 * file system allow it, else by its name in the folder where it was seen last. If there is another object now, it is
 * ESTALE, which makes Linux look its name up again.
 *
 *     lookups   how often the guest was told of it: the number is good while that is not 0
 *     pins      requests in progress, and open handles: the descriptor stays
 *     kids      nodes that were seen in this folder: the node stays, so that they can be found
 *
 * Each node belongs to the export below which it was found, and only the root of a device with exports belongs to none:
 * it has no descriptor, and no object of the host behind it.
 *
 * Threads: `lock` guards everything but constants; it is held for table work only. The descriptor and the identity of a
 * node that the caller has pinned may be read without it.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_INODE_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_INODE_H

#include <pthread.h>

#include "vmm/devices/virtio/fs_export.h"
#include "vmm/devices/virtio/fs_host.h"
#include "vmm/devices/virtio/fs_table.h"

struct fs_node {
    uint64_t id;
    struct fs_export *export; /* one use of it; NULL: the root of many */
    struct fs_ident ident;
    int fd;      /* O_PATH; -1: has to be found again */
    bool hashed; /* can be found by its identity */
    bool top;    /* the export itself */
    unsigned pins;
    uint32_t kids;
    uint64_t lookups;
    struct fs_node *parent; /* NULL: not known; the root has none */
    char *name;
    struct fs_node *hash_next;
    struct fs_node *newer, *older; /* of those that have a descriptor */
};

/* Private to fs_inode.c. */
struct fs_nodes {
    const struct fs_host *host;
    unsigned budget;
    pthread_mutex_t lock;
    struct fs_table table;
    struct fs_node **buckets;
    struct fs_node *root;
    struct fs_node *newest, *oldest;
    unsigned open; /* nodes that have a descriptor, without the root */
};

/*
 * host: borrowed. root: what becomes node FUSE_ROOT_ID, which takes a use of its own; NULL: a root of exports. 0 or
 * -errno with *n zeroed.
 */
int fs_nodes_init(struct fs_nodes *n, const struct fs_host *host, struct fs_export *root, unsigned max,
                  unsigned budget);
/* No node is pinned. Accepts a zeroed one. */
void fs_nodes_fini(struct fs_nodes *n);

/*
 * Pin the node with this number, with its descriptor open (but for a root of exports). 0; -ENOENT: the guest was told
 * of none such; -ESTALE: the object is not to be found any more; or what the host says. Each pin ends by fs_node_done.
 */
int fs_node_use(struct fs_nodes *n, uint64_t id, struct fs_node **out);
void fs_node_done(struct fs_nodes *n, struct fs_node *node);
/* Pin a node that is pinned once more. */
void fs_node_pin(struct fs_nodes *n, struct fs_node *node);

/*
 * The node of an object, pinned, with one more lookup. parent: pinned by the caller; name: where it was found there,
 * NULL if it has none. object->fd becomes the node's or is closed, also on failure: -ENOMEM.
 */
int fs_node_enter(struct fs_nodes *n, struct fs_node *parent, const char *name, struct fs_object *object,
                  struct fs_node **out);

/* The same for an export itself, which lies in the root. object: of its base. */
int fs_node_enter_export(struct fs_nodes *n, struct fs_export *e, struct fs_object *object, struct fs_node **out);

/* May nothing be changed by this number? Not if it names nothing. */
bool fs_node_is_read_only(struct fs_nodes *n, uint64_t id);

/* The guest forgets so many lookups; more than there were are taken as all. */
void fs_node_forget(struct fs_nodes *n, uint64_t id, uint64_t count);
/* All of them, and the pins end when they end. */
void fs_nodes_forget_all(struct fs_nodes *n);

/* An object has another name now: if there is a node for it below the same export, remember that. parent: pinned. */
void fs_node_moved(struct fs_nodes *n, const struct fs_ident *ident, struct fs_node *parent, const char *name);

/* Close some descriptors that are not needed this moment, because the process has no more. True: some were. */
bool fs_nodes_relieve(struct fs_nodes *n);

#endif
