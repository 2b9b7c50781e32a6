/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How message-signalled interrupts and doorbells reach the hypervisor, as devices on a PCI bus see it: a number (GSI)
 * for each vector, a route from that number to the message that the guest programmed, an eventfd that fires it, and
 * eventfds that a store of the guest writes. With them neither an interrupt nor a notification costs an exit.
 *
 * The functions are behind pointers so that tests can record them; vmm/msi.c makes them of a partition.
 */
#ifndef CAISSON_VMM_MSI_H
#define CAISSON_VMM_MSI_H

#include <pthread.h>
#include <stdint.h>

#include "common/gpa.h"
#include "vmm/mshv/irq.h"

/* Any thread. Each returns 0 or a negative errno; nothing has changed then. */
struct msi_ops {
    /* From now on the number means this message. -EINVAL: none that can be routed. */
    int (*route)(void *ctx, uint32_t gsi, uint64_t address, uint32_t data);
    /* From now on the number means nothing: what is fired is lost. */
    int (*unroute)(void *ctx, uint32_t gsi);
    /* Each write to eventfd fires the number, for as long as the machine lives. Needs a route at this moment. */
    int (*attach)(void *ctx, int eventfd, uint32_t gsi);
    /* Each store of the guest to gpa, of any size, adds 1 to eventfd and does not leave the guest. */
    int (*doorbell)(void *ctx, gpa_t gpa, int eventfd);
};

struct msi_port {
    const struct msi_ops *ops;
    void *ctx;
};

#define MSI_ROUTES_MAX 512u

/* Routes into a partition. Private to msi.c. */
struct msi {
    const struct mshv_partition *partition;
    pthread_mutex_t lock;              /* guards table: the whole of it goes to the hypervisor at each change */
    struct mshv_user_irq_table *table; /* room for MSI_ROUTES_MAX entries */
};

/* partition: borrowed. 0, or -ENOMEM with *m zeroed. */
int msi_init(struct msi *m, const struct mshv_partition *partition);
void msi_fini(struct msi *m);
struct msi_port msi_port(struct msi *m);

#endif
