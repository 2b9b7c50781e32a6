/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int line_init(struct line *l)
{
    *l = (struct line){.wake_fd = -1};
    l->bytes = malloc(LINE_BYTES);
    if (l->bytes == NULL)
        return -ENOMEM;
    int err = -pthread_mutex_init(&l->lock, NULL);
    if (err == 0) {
        l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->wake_fd >= 0)
            return 0;
        err = -errno;
        pthread_mutex_destroy(&l->lock);
    }
    free(l->bytes);
    *l = (struct line){.wake_fd = -1};
    return err;
}

void line_fini(struct line *l)
{
    if (l->wake_fd < 0)
        return;
    close(l->wake_fd);
    free(l->bytes);
    pthread_mutex_destroy(&l->lock);
    *l = (struct line){.wake_fd = -1};
}

void line_wake(struct line *l)
{
    const uint64_t one = 1;
    (void)!write(l->wake_fd, &one, sizeof(one));
}

void line_calm(struct line *l)
{
    uint64_t count;
    (void)!read(l->wake_fd, &count, sizeof(count));
}

/* Into the ring, in at most two pieces. */
static void put(struct line *l, const uint8_t *bytes, size_t n)
{
    size_t at = (l->begin + l->count) % LINE_BYTES, first = smaller(n, LINE_BYTES - at);
    memcpy(l->bytes + at, bytes, first);
    memcpy(l->bytes, bytes + first, n - first);
    l->count += n;
}

/* Awake already if there is something in it: the main thread has not taken it yet. */
void line_put(struct line *l, const uint8_t *bytes, size_t n)
{
    pthread_mutex_lock(&l->lock);
    bool was_empty = l->count == 0;
    size_t fits = smaller(n, LINE_BYTES - l->count);
    put(l, bytes, fits);
    l->dropped += n - fits;
    pthread_mutex_unlock(&l->lock);
    if (was_empty)
        line_wake(l);
}

size_t line_take(struct line *l, uint8_t *bytes, size_t n)
{
    pthread_mutex_lock(&l->lock);
    n = smaller(n, l->count);
    size_t first = smaller(n, LINE_BYTES - l->begin);
    memcpy(bytes, l->bytes + l->begin, first);
    memcpy(bytes + first, l->bytes, n - first);
    l->begin = (l->begin + n) % LINE_BYTES;
    l->count -= n;
    pthread_mutex_unlock(&l->lock);
    return n;
}

uint64_t line_dropped(struct line *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->dropped;
    pthread_mutex_unlock(&l->lock);
    return n;
}
