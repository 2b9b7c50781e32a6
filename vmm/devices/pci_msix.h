/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MSI-X of a PCI function: a table in which the guest says which message each vector sends, masks, and bits for those
 * that wait behind a mask. A vector is an eventfd of ours that fires a fixed number (GSI), which the hypervisor's table
 * of routes translates to the message (msi.h). So an interrupt is one write to an eventfd, from any thread.
 *
 *     entry is written ---> route: number -> message ---> vector is live
 *     pci_msix_fire  live: write(eventfd)    not live, MSI-X enabled: pending bit, fired when it gets live
 *
 * Live is a vector of which this is true: MSI-X is enabled, the function is not masked, the entry is not masked, and
 * the hypervisor has its present message. Nothing is fired for one that is not, and before the message of a live one
 * changes it stops to be live: events of that moment wait as pending bits. So none is lost, and once a guest's write of
 * a mask is done, nothing more is fired behind its back.
 *
 * A route is set when its vector is unmasked, and stays while it is masked again: masking is frequent (Linux does it
 * for each change of affinity), a change of routes hands the whole table to the hypervisor, and an event that left just
 * before the mask may still need it. Routes are taken away when MSI-X is switched off. The eventfd is attached once.
 *
 * Locks: `registers` for VPs, held while routes change, which takes system calls; `lock`, the innermost of all, for
 * those who fire, held for no longer than a write to an eventfd. Source: PCI Local Bus 3.0, 6.8.2 and 6.8.3.
 */
#ifndef CAISSON_VMM_DEVICES_PCI_MSIX_H
#define CAISSON_VMM_DEVICES_PCI_MSIX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/log.h"
#include "vmm/devices/pci.h"
#include "vmm/msi.h"

#define PCI_MSIX_VECTORS_MAX 32u
#define PCI_MSIX_ENTRY_BYTES 16u

struct pci_msix_config {
    struct pci_function *function; /* borrowed, as is what the port and log point to */
    unsigned bar;                  /* of the function, with table and pending bits at these offsets */
    uint32_t table, pending;
    unsigned vectors; /* 1 to PCI_MSIX_VECTORS_MAX */
    uint32_t first_gsi;
    struct msi_port port;
    struct log *log; /* NULL: silent */
};

/* An entry of the table, and what the hypervisor knows of it. */
struct pci_msix_entry {
    uint64_t address;
    uint32_t data;
    bool masked;
    bool attached; /* the eventfd fires the number */
    bool routed;   /* the number has a route: this one */
    uint64_t routed_address;
    uint32_t routed_data;
};

/* Private to pci_msix.c. */
struct pci_msix {
    struct pci_msix_config cfg;         /* constant, as are these two */
    unsigned capability;                /* where it begins in configuration space */
    int eventfds[PCI_MSIX_VECTORS_MAX]; /* -1: none */
    pthread_mutex_t registers;          /* guards the entries, and `enabled` and `masked` of the function */
    struct pci_msix_entry entries[PCI_MSIX_VECTORS_MAX];
    bool enabled, masked;
    pthread_mutex_t lock; /* guards what follows: a bit for each vector */
    uint32_t live, pending;
    atomic_bool collecting; /* enabled: what is not live gets pending */
    atomic_flag said;       /* that the host refused a route */
};

/*
 * Make it, with its capability in the function. Returns 0, or -errno of eventfd with *err and *m ended. The building
 * thread; pci_msix_fini ends it, when no VP and no loop runs, and accepts a zeroed one. Routes then stay as they are:
 * they go with the partition.
 */
int pci_msix_init(struct pci_msix *m, const struct pci_msix_config *config, struct err *err);
void pci_msix_fini(struct pci_msix *m);

/* For the function's hook `written`: follow if it was message control. */
void pci_msix_config_written(struct pci_msix *m, unsigned offset, unsigned bytes);

/* Accesses to table and pending bits: 4 or 8 bytes, aligned; others read 0 and vanish, as do those behind the end. */
uint64_t pci_msix_read_table(struct pci_msix *m, uint64_t offset, unsigned bytes);
void pci_msix_write_table(struct pci_msix *m, uint64_t offset, unsigned bytes, uint64_t value);
uint64_t pci_msix_read_pending(struct pci_msix *m, uint64_t offset, unsigned bytes);

/*
 * Send the vector's message, now or when it is unmasked. Returns false, with nothing done, if MSI-X is not enabled.
 * vector: below cfg.vectors. Any thread, with any locks.
 */
bool pci_msix_fire(struct pci_msix *m, unsigned vector);
/* Is MSI-X enabled? The same threads. */
bool pci_msix_is_enabled(struct pci_msix *m);
/* The function was reset: what waits is of no interest any more. */
void pci_msix_forget(struct pci_msix *m);

#endif
