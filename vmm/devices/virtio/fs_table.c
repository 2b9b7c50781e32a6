/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static uint64_t id_of(const struct fs_table *t, uint32_t slot)
{
    return (uint64_t)t->slots[slot].uses << 32 | (slot + 1);
}

/* The slot that has this number now, or NULL. */
static struct fs_slot *slot_of(const struct fs_table *t, uint64_t id)
{
    uint32_t slot = (uint32_t)id - 1;
    if (slot >= t->fresh || id_of(t, slot) != id || t->slots[slot].item == NULL)
        return NULL;
    return &t->slots[slot];
}

int fs_table_init(struct fs_table *t, uint32_t max)
{
    *t = (struct fs_table){.max = max};
    t->slots = calloc(max, sizeof(*t->slots));
    return t->slots == NULL ? -ENOMEM : 0;
}

void fs_table_fini(struct fs_table *t)
{
    free(t->slots);
    *t = (struct fs_table){.max = 0};
}

uint64_t fs_table_add(struct fs_table *t, void *item)
{
    uint32_t slot = t->fresh;
    if (t->free != 0) {
        slot = t->free - 1;
        t->free = t->slots[slot].next_free;
    } else if (t->fresh < t->max) {
        t->fresh++;
    } else {
        return 0;
    }
    t->slots[slot].item = item;
    return id_of(t, slot);
}

void *fs_table_find(const struct fs_table *t, uint64_t id)
{
    const struct fs_slot *slot = slot_of(t, id);
    return slot == NULL ? NULL : slot->item;
}

void fs_table_remove(struct fs_table *t, uint64_t id)
{
    struct fs_slot *slot = slot_of(t, id);
    if (slot == NULL)
        return;
    slot->item = NULL;
    slot->uses++;
    slot->next_free = t->free;
    t->free = (uint32_t)id;
}
