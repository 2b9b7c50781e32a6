/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What io.c (bus, threads, life) and io_devices.c (one function for each kind of device) share.
 */
#ifndef CAISSON_VMM_IO_INTERNAL_H
#define CAISSON_VMM_IO_INTERNAL_H

#include "vmm/devices/pci.h"
#include "vmm/devices/table.h"
#include "vmm/devices/virtio/mmio.h"
#include "vmm/devices/virtio/pci.h"
#include "vmm/io.h"
#include "vmm/loop.h"
#include "vmm/msi.h"

/* Console, vsock, rng and balloon have one each; a share has one for its urgent queue. */
#define IO_LOOPS_MAX                                                                                                   \
    (4u + IO_DISKS_MAX * IO_QUEUES_MAX + IO_SHARES_MAX * (IO_QUEUES_MAX + 1) + IO_NETS_MAX * IO_QUEUES_MAX)
#define IO_DEVICES_MAX (4u + IO_DISKS_MAX + IO_SHARES_MAX + IO_NETS_MAX)

/* One device, and what it takes to end it. Loops are ended with all others. */
struct io_device {
    struct virtio *virtio;
    struct virtio_pci *pci;
    struct virtio_mmio *mmio;
    void *self;
    void (*free)(void *self);
    void (*begin)(void *self, const struct io_config *cfg); /* when the guest's memory is there; NULL: nothing */
    void *backend;
    void (*free_backend)(void *backend);
};

struct io {
    const struct io_config *cfg;
    struct io_machine machine;
    struct pci_bus pci;
    struct msi msi;
    struct loop loops[IO_LOOPS_MAX];
    unsigned loop_count;
    struct io_device devices[IO_DEVICES_MAX];
    unsigned device_count;
    struct fs *exports; /* the first share that is for them, or NULL */
};

/* A thread of its own: "io-blk0.1" is the second queue of the first disk. NULL, with *err. */
struct loop *io_add_loop(struct io *io, enum device_kind kind, unsigned instance, unsigned queue, struct err *err);
/* As many in a row. 0, or a negative errno with *err. */
int io_add_loops(struct io *io, enum device_kind kind, unsigned instance, struct loop **loops, unsigned count,
                 struct err *err);

/* Room for one more, which is zeroed; io_fini ends what is filled in of it. */
struct io_device *io_next_device(struct io *io);
/* Give it its place on the bus. 0, or a negative errno with *err. */
int io_plug(struct io *io, struct io_device *d, enum device_kind kind, unsigned instance, struct err *err);

/* All devices of the configuration, in the order of table.h. 0, or a negative errno with *err. */
int io_add_devices(struct io *io, struct err *err);

#endif
