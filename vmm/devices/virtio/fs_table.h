/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for objects that a guest may name: a slot of a table and a count of how often the slot was used before, so a
 * number that was given back never names another object. The first number of a fresh table is 1. 0 is none.
 *
 * Threads: the owner's lock.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_TABLE_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_TABLE_H

#include <stdint.h>

struct fs_slot {
    void *item; /* NULL: free */
    uint32_t uses;
    uint32_t next_free; /* slot + 1; 0: the last */
};

struct fs_table {
    struct fs_slot *slots; /* of the heap, touched as far as `fresh` */
    uint32_t max, fresh, free;
};

/* 0 or -ENOMEM. */
int fs_table_init(struct fs_table *t, uint32_t max);
/* Does not touch the items. Accepts a zeroed one. */
void fs_table_fini(struct fs_table *t);

/* A number for item (not NULL), or 0: all are taken. */
uint64_t fs_table_add(struct fs_table *t, void *item);
/* NULL: names nothing. */
void *fs_table_find(const struct fs_table *t, uint64_t id);
void fs_table_remove(struct fs_table *t, uint64_t id);

#endif
