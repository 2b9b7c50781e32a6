/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * irqfds: eventfds of the client whose writes become interrupts of the guest.
 *
 * One thread for each partition, started with the first irqfd, waits for all of them and delivers. The thread alone
 * touches the set of irqfds: requests are handed to it and the caller waits for its answer. So a deassign has nothing
 * left to flush but the events that are already queued, which the thread delivers first.
 *
 * The eventfd itself is not kept open. The thread's epoll instance knows it by (file, one number of ours), which holds
 * no reference: when the client and everybody else closed it, it is gone from there as it is from the driver, a second
 * registration of the same eventfd is refused by the kernel (EBUSY), and no stranger's descriptor that got the old
 * number can be mistaken for it. To take the counter the client's number is looked at again and checked to be the file
 * that was registered; a client that closed its own copy gets its interrupts all the same, only the counter grows.
 */
#ifndef CAISSON_VMM_SOFTHV_IRQFD_H
#define CAISSON_VMM_SOFTHV_IRQFD_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/kernel.h"
#include "vmm/softhv/route.h"
#include "vmm/softhv/threads.h"

struct softhv_irqfd_hooks {
    /*
     * Deliver an interrupt: type, vector, destination, level, logical. Called on the thread. It must not wait for
     * anything a caller of softhv_irqfds_request may hold, the partition's lock above all.
     */
    void (*assert_msi)(void *ctx, const struct softhv_msi *msi);
    /* Withdraw an ExtINT (CLEAR_VIRTUAL_INTERRUPT). Called by softhv_irqfds_eoi, under a lock: must not call back. */
    void (*clear_extint)(void *ctx);
    void *ctx;
    struct softhv_threads threads;
};

struct softhv_irqfds;

/* routes and hooks->ctx must outlive it. 0 with *out, or a negative errno. No thread yet. The caller frees it. */
int softhv_irqfds_new(enum softhv_kernel kernel, struct softhv_routes *routes, const struct softhv_irqfd_hooks *hooks,
                      struct softhv_irqfds **out);
/* Closes first. NULL is allowed. */
void softhv_irqfds_free(struct softhv_irqfds *s);

/* Make the thread now, as softhv_irqfds_request would. 0, or -ENOMEM; then it is made when there is a request. */
int softhv_irqfds_start(struct softhv_irqfds *s);

/*
 * MSHV_IRQFD with a copied argument: 0 or the driver's errno, in the order of its generation; -ENOMEM also when
 * descriptors or threads run out. An assigned eventfd whose counter is not 0 delivers at once and keeps its counter.
 * When a deassign returns, what was written before it has been delivered and nothing will be. Any thread but the one
 * that delivers. Source: mshv_eventfd.c.
 */
int softhv_irqfds_request(struct softhv_irqfds *s, const struct mshv_user_irqfd *a);

/* Detach all and end the thread, for good: the partition's descriptor was closed. Requests then return -ENODEV. */
void softhv_irqfds_close(struct softhv_irqfds *s);

/*
 * The guest ended a level-triggered interrupt. Signals the resamplefds of irqfds whose gsi number equals the vector
 * (the driver compares just these two). True if there was one: the client is not told then. Any thread.
 */
bool softhv_irqfds_eoi(struct softhv_irqfds *s, uint8_t vector);

/* Number of irqfds that are attached or may be; for tests. */
unsigned softhv_irqfds_count(struct softhv_irqfds *s);

#endif
