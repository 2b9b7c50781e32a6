/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Virtio devices as PCI functions: the modern interface only, interrupts by MSI-X only, one BAR of 32 KiB.
 *
 *     0000h  common configuration        status, features, queues
 *     1000h  interrupt status            one byte; reading clears it
 *     2000h  configuration of the device
 *     3000h  doorbells                   4 bytes for each queue
 *     4000h  MSI-X table
 *     5000h  MSI-X pending bits
 *
 * Each part has a page of its own, because a doorbell takes a page's stores to the hypervisor: while the machine runs,
 * a notification adds 1 to the queue's eventfd and costs no exit. Where the hypervisor refuses the doorbell, the store
 * arrives here and does the same. Each queue has a vector of its own, and there is one for configuration changes.
 *
 * Registers are served at the widths that the specification lets drivers use (4.1.3.1): each at its own, those of 64
 * bits also by halves. Other accesses read 0 and change nothing. Until a driver enables MSI-X it sees interrupts only
 * in the interrupt status, since there is no interrupt line (pin 0).
 *
 * Locks, outermost first: pci_function.lock (only by way of the PCI_CFG capability), virtio.lock, those of rings,
 * virtio_pci.lock, and MSI-X's. Source: virtio 1.2, 4.1.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_PCI_H
#define CAISSON_VMM_DEVICES_VIRTIO_PCI_H

#include "vmm/devices/pci.h"
#include "vmm/devices/virtio/virtio.h"
#include "vmm/msi.h"

#define VIRTIO_PCI_BAR_BYTES 0x8000u
#define VIRTIO_PCI_COMMON    0x0000u
#define VIRTIO_PCI_ISR       0x1000u
#define VIRTIO_PCI_DEVICE    0x2000u
#define VIRTIO_PCI_NOTIFY    0x3000u
#define VIRTIO_PCI_TABLE     0x4000u
#define VIRTIO_PCI_PENDING   0x5000u

#define VIRTIO_PCI_NOTIFY_BYTES 4u /* for each queue */
#define VIRTIO_PCI_NO_VECTOR    0xffffu

/* Common configuration: 4.1.4.3. */
enum virtio_pci_register {
    VIRTIO_PCI_FEATURES_SELECT = 0x00,
    VIRTIO_PCI_FEATURES = 0x04,
    VIRTIO_PCI_ACCEPTED_SELECT = 0x08,
    VIRTIO_PCI_ACCEPTED = 0x0c,
    VIRTIO_PCI_CONFIG_VECTOR = 0x10,
    VIRTIO_PCI_QUEUES = 0x12,
    VIRTIO_PCI_STATUS = 0x14,
    VIRTIO_PCI_GENERATION = 0x15,
    VIRTIO_PCI_QUEUE_SELECT = 0x16,
    VIRTIO_PCI_QUEUE_SIZE = 0x18,
    VIRTIO_PCI_QUEUE_VECTOR = 0x1a,
    VIRTIO_PCI_QUEUE_ENABLE = 0x1c,
    VIRTIO_PCI_QUEUE_NOTIFY_OFFSET = 0x1e,
    VIRTIO_PCI_QUEUE_DESCRIPTORS = 0x20,
    VIRTIO_PCI_QUEUE_DRIVER = 0x28,
    VIRTIO_PCI_QUEUE_DEVICE = 0x30,
    VIRTIO_PCI_COMMON_BYTES = 0x38,
};

/* Types of virtio's capabilities: 4.1.4. */
enum virtio_pci_capability {
    VIRTIO_PCI_CAP_COMMON = 1,
    VIRTIO_PCI_CAP_NOTIFY = 2,
    VIRTIO_PCI_CAP_ISR = 3,
    VIRTIO_PCI_CAP_DEVICE = 4,
    VIRTIO_PCI_CAP_PCI = 5,
};

/* Where a device is: fixed for each machine, see devices/table.h. */
struct virtio_pci_place {
    unsigned slot;
    gpa_t bar;          /* a multiple of VIRTIO_PCI_BAR_BYTES, below 4 GiB */
    uint32_t first_gsi; /* of VIRTIO_QUEUES_MAX + 1 that belong to it */
    struct msi_port msi;
};

struct virtio_pci;

/*
 * Plug a device in. v and bus: borrowed until virtio_pci_free, when no VP and no loop runs; before virtio_fini.
 * Attaches itself as the device's transport. Returns 0, or a negative errno with *err: -ENOMEM, that of eventfd, that
 * of pci_bus_add; the device then has no transport. The building thread.
 */
int virtio_pci_new(struct virtio *v, struct pci_bus *bus, const struct virtio_pci_place *place, struct virtio_pci **out,
                   struct err *err);
/* Accepts NULL. The bus must not be used any more. */
void virtio_pci_free(struct virtio_pci *p);

#endif
