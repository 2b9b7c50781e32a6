/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/route.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/softhv/user.h"

int softhv_routes_init(struct softhv_routes *r)
{
    *r = (struct softhv_routes){.entry = NULL};
    return -pthread_mutex_init(&r->lock, NULL);
}

void softhv_routes_fini(struct softhv_routes *r)
{
    free(r->entry);
    r->entry = NULL;
    pthread_mutex_destroy(&r->lock);
}

static struct softhv_msi decode(const struct mshv_user_irq_entry *e)
{
    return (struct softhv_msi){
        .type = (uint8_t)((e->data & MSHV_MSI_DATA_TYPE_MASK) >> MSHV_MSI_DATA_TYPE_SHIFT),
        .vector = (uint8_t)(e->data & MSHV_MSI_DATA_VECTOR_MASK),
        .dest = (uint8_t)((e->address_lo & MSHV_MSI_ADDR_DEST_MASK) >> MSHV_MSI_ADDR_DEST_SHIFT),
        .level = (e->data & MSHV_MSI_DATA_LEVEL) != 0,
        .logical = (e->address_lo & MSHV_MSI_ADDR_LOGICAL) != 0,
    };
}

/* Length of the table, or 0 for entries that cannot be. */
static uint32_t table_length(const struct mshv_user_irq_entry *e, uint32_t nr)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < nr; i++) {
        if (e[i].gsi >= MSHV_MAX_GUEST_IRQS || e[i].address_hi != 0)
            return 0;
        n = e[i].gsi >= n ? e[i].gsi + 1 : n;
    }
    return n;
}

/* False if a gsi comes twice. */
static bool fill(struct softhv_route_entry *table, const struct mshv_user_irq_entry *e, uint32_t nr)
{
    for (uint32_t i = 0; i < nr; i++) {
        struct softhv_route_entry *t = &table[e[i].gsi];
        if (t->valid)
            return false;
        *t = (struct softhv_route_entry){.msi = decode(&e[i]), .valid = true};
    }
    return true;
}

static void swap(struct softhv_routes *r, struct softhv_route_entry *table, uint32_t n)
{
    pthread_mutex_lock(&r->lock);
    struct softhv_route_entry *old = r->entry;
    r->entry = table;
    r->n = n;
    pthread_mutex_unlock(&r->lock);
    free(old);
}

int softhv_routes_replace(struct softhv_routes *r, const struct mshv_user_irq_entry *e, uint32_t nr)
{
    if (nr == 0) {
        swap(r, NULL, 0);
        return 0;
    }
    uint32_t n = table_length(e, nr);
    if (n == 0)
        return -EINVAL;
    struct softhv_route_entry *table = calloc(n, sizeof(*table));
    if (table == NULL)
        return -ENOMEM;
    if (!fill(table, e, nr)) {
        free(table);
        return -EINVAL;
    }
    swap(r, table, n);
    return 0;
}

int softhv_routes_request(struct softhv_routes *r, uint64_t argument)
{
    struct mshv_user_irq_table head;
    if (softhv_user_read(&head, argument, sizeof(head)) < 0)
        return -EFAULT;
    if (head.nr > MSHV_MAX_GUEST_IRQS || head.rsvd != 0)
        return -EINVAL;
    size_t bytes = head.nr * sizeof(struct mshv_user_irq_entry);
    struct mshv_user_irq_entry *e = malloc(bytes + 1);
    if (e == NULL)
        return -ENOMEM;
    int ret = softhv_user_read(e, argument + sizeof(head), bytes);
    if (ret == 0)
        ret = softhv_routes_replace(r, e, head.nr);
    free(e);
    return ret;
}

bool softhv_routes_get(struct softhv_routes *r, uint32_t gsi, struct softhv_msi *out)
{
    *out = (struct softhv_msi){.type = 0};
    pthread_mutex_lock(&r->lock);
    bool valid = gsi < r->n && r->entry[gsi].valid;
    if (valid)
        *out = r->entry[gsi].msi;
    pthread_mutex_unlock(&r->lock);
    return valid;
}
