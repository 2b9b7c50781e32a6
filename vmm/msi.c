/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/msi.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first entry with this number or a higher one. */
static uint32_t find(const struct mshv_user_irq_table *table, uint32_t gsi)
{
    uint32_t low = 0, high = table->nr;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->entries[middle].gsi < gsi)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct mshv_user_irq_table *table, uint32_t at, uint32_t gsi)
{
    return at < table->nr && table->entries[at].gsi == gsi;
}

static void open_gap(struct mshv_user_irq_table *table, uint32_t at)
{
    memmove(&table->entries[at + 1], &table->entries[at], (table->nr - at) * sizeof(table->entries[0]));
    table->nr++;
}

static void close_gap(struct mshv_user_irq_table *table, uint32_t at)
{
    table->nr--;
    memmove(&table->entries[at], &table->entries[at + 1], (table->nr - at) * sizeof(table->entries[0]));
}

/* Under the lock, as the three below. */
static int push(const struct msi *m)
{
    return mshv_irq_set_routes(m->partition, m->table, NULL);
}

static int replace(struct msi *m, uint32_t at, const struct mshv_user_irq_entry *entry)
{
    struct mshv_user_irq_entry before = m->table->entries[at];
    m->table->entries[at] = *entry;
    int code = memcmp(&before, entry, sizeof(before)) == 0 ? 0 : push(m);
    if (code < 0)
        m->table->entries[at] = before;
    return code;
}

static int insert(struct msi *m, uint32_t at, const struct mshv_user_irq_entry *entry)
{
    if (m->table->nr == MSI_ROUTES_MAX)
        return -ENOSPC;
    open_gap(m->table, at);
    m->table->entries[at] = *entry;
    int code = push(m);
    if (code < 0)
        close_gap(m->table, at);
    return code;
}

static int take_out(struct msi *m, uint32_t at)
{
    struct mshv_user_irq_entry before = m->table->entries[at];
    close_gap(m->table, at);
    int code = push(m);
    if (code < 0) {
        open_gap(m->table, at);
        m->table->entries[at] = before;
    }
    return code;
}

static int route(void *ctx, uint32_t gsi, uint64_t address, uint32_t data)
{
    struct msi *m = ctx;
    struct mshv_user_irq_entry entry;
    int code = mshv_irq_route(gsi, address, data, &entry);
    if (code < 0)
        return code;
    pthread_mutex_lock(&m->lock);
    uint32_t at = find(m->table, gsi);
    code = is_at(m->table, at, gsi) ? replace(m, at, &entry) : insert(m, at, &entry);
    pthread_mutex_unlock(&m->lock);
    return code;
}

static int unroute(void *ctx, uint32_t gsi)
{
    struct msi *m = ctx;
    pthread_mutex_lock(&m->lock);
    uint32_t at = find(m->table, gsi);
    int code = is_at(m->table, at, gsi) ? take_out(m, at) : 0;
    pthread_mutex_unlock(&m->lock);
    return code;
}

static int attach(void *ctx, int eventfd, uint32_t gsi)
{
    const struct msi *m = ctx;
    return mshv_irq_attach(m->partition, eventfd, gsi, -1, NULL);
}

static int doorbell(void *ctx, gpa_t gpa, int eventfd)
{
    const struct msi *m = ctx;
    const struct mshv_doorbell d = {.gpa = gpa, .eventfd = eventfd};
    return mshv_doorbell_attach(m->partition, &d, NULL);
}

int msi_init(struct msi *m, const struct mshv_partition *partition)
{
    memset(m, 0, sizeof(*m));
    m->table = calloc(1, sizeof(*m->table) + MSI_ROUTES_MAX * sizeof(m->table->entries[0]));
    if (m->table == NULL)
        return -ENOMEM;
    m->partition = partition;
    (void)pthread_mutex_init(&m->lock, NULL);
    return 0;
}

void msi_fini(struct msi *m)
{
    if (m->table == NULL)
        return;
    free(m->table);
    pthread_mutex_destroy(&m->lock);
    memset(m, 0, sizeof(*m));
}

struct msi_port msi_port(struct msi *m)
{
    static const struct msi_ops ops = {.route = route, .unroute = unroute, .attach = attach, .doorbell = doorbell};
    return (struct msi_port){.ops = &ops, .ctx = m};
}
