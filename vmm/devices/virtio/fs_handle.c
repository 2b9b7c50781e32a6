/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs_handle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int fs_handles_init(struct fs_handles *h, struct fs_nodes *nodes, unsigned max)
{
    *h = (struct fs_handles){.nodes = nodes};
    int code = fs_table_init(&h->table, max);
    if (code < 0) {
        *h = (struct fs_handles){.nodes = NULL};
        return code;
    }
    (void)pthread_mutex_init(&h->lock, NULL);
    return 0;
}

void fs_handles_fini(struct fs_handles *h)
{
    if (h->nodes == NULL)
        return;
    fs_handles_release_all(h);
    fs_table_fini(&h->table);
    pthread_mutex_destroy(&h->lock);
    *h = (struct fs_handles){.nodes = NULL};
}

static void end(struct fs_handles *h, struct fs_handle *handle)
{
    if (handle->fd >= 0)
        close(handle->fd);
    fs_node_done(h->nodes, handle->node);
    pthread_mutex_destroy(&handle->reading);
    free(handle);
}

int fs_handle_add(struct fs_handles *h, enum fs_handle_kind kind, struct fs_node *node, int fd, uint64_t *id)
{
    struct fs_handle *handle = calloc(1, sizeof(*handle));
    if (handle == NULL) {
        if (fd >= 0)
            close(fd);
        return -ENOMEM;
    }
    *handle = (struct fs_handle){.kind = kind, .fd = fd, .node = node, .pins = 1};
    (void)pthread_mutex_init(&handle->reading, NULL);
    fs_node_pin(h->nodes, node);
    pthread_mutex_lock(&h->lock);
    *id = handle->id = fs_table_add(&h->table, handle);
    pthread_mutex_unlock(&h->lock);
    if (*id != 0)
        return 0;
    end(h, handle);
    return -ENFILE;
}

/* Under the lock. */
static struct fs_handle *find(struct fs_handles *h, enum fs_handle_kind kind, uint64_t id)
{
    struct fs_handle *handle = fs_table_find(&h->table, id);
    return handle != NULL && handle->kind == kind ? handle : NULL;
}

struct fs_handle *fs_handle_use(struct fs_handles *h, enum fs_handle_kind kind, uint64_t id)
{
    pthread_mutex_lock(&h->lock);
    struct fs_handle *handle = find(h, kind, id);
    if (handle != NULL)
        handle->pins++;
    pthread_mutex_unlock(&h->lock);
    return handle;
}

void fs_handle_done(struct fs_handles *h, struct fs_handle *handle)
{
    pthread_mutex_lock(&h->lock);
    bool last = --handle->pins == 0;
    pthread_mutex_unlock(&h->lock);
    if (last)
        end(h, handle);
}

bool fs_handle_release(struct fs_handles *h, enum fs_handle_kind kind, uint64_t id)
{
    pthread_mutex_lock(&h->lock);
    struct fs_handle *handle = find(h, kind, id);
    fs_table_remove(&h->table, handle == NULL ? 0 : id);
    pthread_mutex_unlock(&h->lock);
    if (handle != NULL)
        fs_handle_done(h, handle);
    return handle != NULL;
}

/* One that is open, whichever, taken out of the table; NULL: there is none. */
static struct fs_handle *take_any(struct fs_handles *h, uint32_t *from)
{
    struct fs_handle *handle = NULL;
    pthread_mutex_lock(&h->lock);
    for (; handle == NULL && *from < h->table.fresh; ++*from)
        handle = h->table.slots[*from].item;
    if (handle != NULL)
        fs_table_remove(&h->table, handle->id);
    pthread_mutex_unlock(&h->lock);
    return handle;
}

void fs_handles_release_all(struct fs_handles *h)
{
    struct fs_handle *handle;
    uint32_t from = 0;
    while ((handle = take_any(h, &from)) != NULL)
        fs_handle_done(h, handle);
}
