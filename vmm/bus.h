/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_BUS_H
#define CAISSON_VMM_BUS_H

/*
 * Which device answers at which port and at which guest physical address.
 *
 * One thread builds the bus, freezes it, and only then starts VPs: from there on it is constant, so looking up takes no
 * lock and any number of VPs may do it at once. How a device copes with several VPs in its registers is its own matter.
 *
 * An access belongs to a device only if all its bytes lie in one range of it. One that crosses the end of a range, or
 * has a width that processors do not have, belongs to nobody, like one to an empty address: nobody sees half an access,
 * and no device has to think about the bytes behind its last register. Hardware would split some of these into bytes;
 * no driver we know does that on purpose.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"

/* What all machines of one caisson can need, with room; more is an error when the machine is built. */
#define BUS_PORT_RANGES 32
#define BUS_MMIO_RANGES 64

/*
 * How a device is reached. dev: what was given to bus_add_*. offset: bytes from the start of the range. bytes: 1, 2, 4
 * or 8 (ports: not 8); offset + bytes stays inside the range; offset may be unaligned. value: the upper bytes are 0 on
 * writes and ignored on reads. Called on the threads of VPs, several at once. Neither may be NULL.
 */
struct bus_ops {
    uint64_t (*read)(void *dev, uint64_t offset, unsigned bytes);
    void (*write)(void *dev, uint64_t offset, unsigned bytes, uint64_t value);
};

struct bus_range {
    uint64_t first;
    uint64_t last; /* inclusive, so that the end of the address space can be in a range */
    const char *name;
    const struct bus_ops *ops;
    void *dev;
};

/* Zeroed means empty and open. Sorted by address; ranges do not overlap. Private to bus.c. */
struct bus {
    bool frozen;
    size_t port_count;
    size_t mmio_count;
    struct bus_range ports[BUS_PORT_RANGES];
    struct bus_range mmio[BUS_MMIO_RANGES];
};

/*
 * Give the ports [first, first + count) to a device. name: for messages. name, ops and dev are borrowed for as long as
 * the bus is used. On failure the bus is as before, and *err (may be NULL) names the device, and the one in the way.
 * -EINVAL: no ports, or ports beyond 0xffff. -EEXIST: some belong to another. -ENOSPC: BUS_PORT_RANGES are in use.
 * -EBUSY: frozen. The building thread.
 */
int bus_add_ports(struct bus *bus, const char *name, uint16_t first, uint32_t count, const struct bus_ops *ops,
                  void *dev, struct err *err);

/* The same for the guest physical addresses [base, base + bytes); -EINVAL: bytes is 0, or the range wraps. */
int bus_add_mmio(struct bus *bus, const char *name, gpa_t base, uint64_t bytes, const struct bus_ops *ops, void *dev,
                 struct err *err);

/* No more devices: from now on any thread may look up. */
void bus_freeze(struct bus *bus);

/*
 * Let the device there read or write. bytes: width of the guest's access. True, with *value written by reads (bytes
 * above the width are 0), or false and *value left alone: nobody is there; reads then give all ones, writes vanish.
 */
bool bus_port_read(const struct bus *bus, uint16_t port, unsigned bytes, uint64_t *value);
bool bus_port_write(const struct bus *bus, uint16_t port, unsigned bytes, uint64_t value);
bool bus_mmio_read(const struct bus *bus, gpa_t gpa, unsigned bytes, uint64_t *value);
bool bus_mmio_write(const struct bus *bus, gpa_t gpa, unsigned bytes, uint64_t value);

#endif
