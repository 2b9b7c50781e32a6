/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/doorbell.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/softhv/eventfd.h"
#include "vmm/softhv/grace.h"

struct doorbell {
    uint64_t addr, match; /* match is 0 for wildcards */
    uint32_t bytes;       /* 0: any size */
    bool wildcard;        /* any value */
    int fd;               /* ours */
};

/* Sorted by address and then by rank; never changed after it was published. */
struct table {
    size_t n;
    struct doorbell bell[];
};

struct softhv_doorbells {
    pthread_mutex_t lock; /* of writers */
    _Atomic(struct table *) table;
    struct softhv_grace grace;
};

int softhv_doorbells_new(struct softhv_doorbells **out)
{
    struct softhv_doorbells *d = calloc(1, sizeof(*d));
    struct table *t = calloc(1, sizeof(*t));
    if (d == NULL || t == NULL || pthread_mutex_init(&d->lock, NULL) != 0) {
        free(t);
        free(d);
        return -ENOMEM;
    }
    atomic_init(&d->table, t);
    *out = d;
    return 0;
}

static void publish(struct softhv_doorbells *d, struct table *t)
{
    struct table *old = atomic_exchange(&d->table, t);
    softhv_grace_wait(&d->grace);
    free(old);
}

void softhv_doorbells_close(struct softhv_doorbells *d)
{
    pthread_mutex_lock(&d->lock);
    struct table *t = atomic_load(&d->table);
    struct table *empty = calloc(1, sizeof(*empty));
    if (empty != NULL) {
        atomic_store(&d->table, empty);
        softhv_grace_wait(&d->grace);
        for (size_t i = 0; i < t->n; i++)
            close(t->bell[i].fd);
        free(t);
    }
    pthread_mutex_unlock(&d->lock);
}

void softhv_doorbells_free(struct softhv_doorbells *d)
{
    if (d == NULL)
        return;
    struct table *t = atomic_load(&d->table);
    for (size_t i = 0; i < t->n; i++)
        close(t->bell[i].fd);
    free(t);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- Table ---- */

/* Before which entry of equal address a bell stands: the one that rings first comes first. */
static unsigned rank(const struct doorbell *b)
{
    return (b->bytes == 0 ? 2u : 0u) + (b->wildcard ? 1u : 0u);
}

static bool before(const struct doorbell *a, const struct doorbell *b)
{
    return a->addr != b->addr ? a->addr < b->addr : rank(a) < rank(b);
}

/* Index of the first entry at or above addr. */
static size_t lower_bound(const struct table *t, uint64_t addr)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->bell[mid].addr < addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool collides(const struct table *t, const struct doorbell *b)
{
    for (size_t i = lower_bound(t, b->addr); i < t->n && t->bell[i].addr == b->addr; i++) {
        const struct doorbell *o = &t->bell[i];
        if (o->bytes == b->bytes && (o->wildcard || b->wildcard || o->match == b->match))
            return true;
    }
    return false;
}

static int insert(struct softhv_doorbells *d, const struct doorbell *b)
{
    const struct table *old = atomic_load(&d->table);
    struct table *t = malloc(sizeof(*t) + (old->n + 1) * sizeof(t->bell[0]));
    if (t == NULL)
        return -ENOMEM;
    size_t i = 0;
    for (; i < old->n && !before(b, &old->bell[i]); i++)
        t->bell[i] = old->bell[i];
    t->bell[i] = *b;
    for (; i < old->n; i++)
        t->bell[i + 1] = old->bell[i];
    t->n = old->n + 1;
    publish(d, t);
    return 0;
}

static int take_out(struct softhv_doorbells *d, size_t at)
{
    const struct table *old = atomic_load(&d->table);
    int fd = old->bell[at].fd;
    struct table *t = malloc(sizeof(*t) + old->n * sizeof(t->bell[0]));
    if (t == NULL)
        return -ENOMEM;
    t->n = old->n - 1;
    for (size_t i = 0; i < t->n; i++)
        t->bell[i] = old->bell[i < at ? i : i + 1];
    publish(d, t);
    close(fd);
    return 0;
}

/* ---- Requests ---- */

static struct doorbell from_request(const struct mshv_user_ioeventfd *a)
{
    bool wildcard = (a->flags & 1u << MSHV_IOEVENTFD_BIT_DATAMATCH) == 0;
    return (struct doorbell){
        .addr = a->addr, .match = wildcard ? 0 : a->datamatch, .bytes = a->len, .wildcard = wildcard, .fd = -1};
}

static int assign(struct softhv_doorbells *d, const struct mshv_user_ioeventfd *a)
{
    struct doorbell b = from_request(a);
    if (a->len > 8 || (a->len & (a->len - 1)) != 0)
        return -EINVAL;
    if (a->addr + a->len < a->addr)
        return -EINVAL;
    int r = softhv_eventfd_check(a->fd);
    if (r < 0)
        return r;
    b.fd = softhv_eventfd_keep(a->fd);
    if (b.fd < 0)
        return b.fd;
    pthread_mutex_lock(&d->lock);
    r = collides(atomic_load(&d->table), &b) ? -EEXIST : insert(d, &b);
    pthread_mutex_unlock(&d->lock);
    if (r < 0)
        close(b.fd);
    return r;
}

static int deassign(struct softhv_doorbells *d, const struct mshv_user_ioeventfd *a)
{
    struct doorbell b = from_request(a);
    int r = softhv_eventfd_check(a->fd);
    if (r < 0)
        return r;
    r = -ENOENT;
    pthread_mutex_lock(&d->lock);
    const struct table *t = atomic_load(&d->table);
    for (size_t i = lower_bound(t, b.addr); i < t->n && t->bell[i].addr == b.addr; i++) {
        const struct doorbell *o = &t->bell[i];
        if (o->bytes == b.bytes && o->wildcard == b.wildcard && o->match == b.match &&
            softhv_eventfd_same(o->fd, a->fd)) {
            r = take_out(d, i);
            break;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return r;
}

int softhv_doorbells_request(struct softhv_doorbells *d, const struct mshv_user_ioeventfd *a)
{
    static const uint8_t zero[sizeof(a->rsvd)];
    if ((a->flags & ~MSHV_IOEVENTFD_FLAGS_MASK) != 0 || memcmp(a->rsvd, zero, sizeof(zero)) != 0)
        return -EINVAL;
    if (a->flags & 1u << MSHV_IOEVENTFD_BIT_PIO)
        return -EOPNOTSUPP;
    return a->flags & 1u << MSHV_IOEVENTFD_BIT_DEASSIGN ? deassign(d, a) : assign(d, a);
}

/* ---- Matching ---- */

static bool fits(const struct doorbell *b, uint32_t bytes, uint64_t value)
{
    bool size = b->bytes == 0 || b->bytes == bytes;
    return size && (b->wildcard || (bytes <= 8 && b->match == value));
}

static int ring(const struct table *t, uint64_t gpa, uint32_t bytes, uint64_t value)
{
    for (size_t i = lower_bound(t, gpa); i < t->n && t->bell[i].addr == gpa; i++)
        if (fits(&t->bell[i], bytes, value))
            return t->bell[i].fd;
    return -1;
}

bool softhv_doorbells_match(struct softhv_doorbells *d, uint64_t gpa, uint32_t bytes, uint64_t value)
{
    unsigned ticket = softhv_grace_enter(&d->grace);
    int fd = ring(atomic_load(&d->table), gpa, bytes, value);
    if (fd >= 0)
        softhv_eventfd_signal(fd);
    softhv_grace_leave(&d->grace, ticket);
    return fd >= 0;
}
