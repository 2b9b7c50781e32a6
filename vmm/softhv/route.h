/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The MSI routing table of a partition: what a gsi number stands for. Any thread; a lock of its own that is never held
 * across calls out.
 */
#ifndef CAISSON_VMM_SOFTHV_ROUTE_H
#define CAISSON_VMM_SOFTHV_ROUTE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"

/* An interrupt as ASSERT_VIRTUAL_INTERRUPT takes it. */
struct softhv_msi {
    uint8_t type; /* enum hv_interrupt_type, 0..7 */
    uint8_t vector;
    uint8_t dest; /* APIC id, or logical destination */
    bool level;
    bool logical;
};

struct softhv_route_entry {
    struct softhv_msi msi;
    bool valid;
};

struct softhv_routes {
    pthread_mutex_t lock;
    struct softhv_route_entry *entry; /* n of them, up to the highest gsi; NULL: no table */
    uint32_t n;
};

/* 0 or a negative errno. */
int softhv_routes_init(struct softhv_routes *r);
void softhv_routes_fini(struct softhv_routes *r);

/*
 * MSHV_SET_MSI_ROUTING. argument: the client's address of a struct mshv_user_irq_table with its entries. Replaces the
 * whole table, or leaves it alone and returns the driver's errno: EFAULT, EINVAL, ENOMEM.
 */
int softhv_routes_request(struct softhv_routes *r, uint64_t argument);
/* The second half of it, with copied entries; nr at most MSHV_MAX_GUEST_IRQS, 0 removes the table. */
int softhv_routes_replace(struct softhv_routes *r, const struct mshv_user_irq_entry *e, uint32_t nr);

/* The route of a gsi: true with *out, or false with *out all zero. */
bool softhv_routes_get(struct softhv_routes *r, uint32_t gsi, struct softhv_msi *out);

#endif
