/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DEVICES_PVPANIC_H
#define CAISSON_VMM_DEVICES_PVPANIC_H

/*
 * The port at which a guest kernel says that it panicked (QEMU0001 in ACPI). A driver reads which events the device
 * understands, and writes those that happened. What follows from one is for whoever asked to know; the guest goes on,
 * be it to its own reset or to a kernel that saves what is left of it.
 *
 * Source: QEMU, docs/specs/pvpanic. Threads: any, no lock.
 */

#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"

enum pvpanic_event {
    PVPANIC_PANICKED = 1,     /* the guest is dead, and will reset or hang */
    PVPANIC_CRASH_LOADED = 2, /* the same, but another kernel takes over to save a dump: let it */
};
#define PVPANIC_EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

struct pvpanic_config {
    /*
     * events: bits of enum pvpanic_event, at least one. Called on the VP that wrote, without a lock, each time: nothing
     * keeps a guest from saying it again, or from lying. Not NULL.
     */
    void (*report)(void *ctx, uint8_t events);
    void *ctx;
};

/* Private to pvpanic.c; the caller owns the memory. */
struct pvpanic {
    struct pvpanic_config config;
};

/* config is copied. */
void pvpanic_init(struct pvpanic *p, const struct pvpanic_config *config);

/* Put the port, one byte wide, on the bus. Errors: bus_add_ports. The building thread. */
int pvpanic_attach(struct pvpanic *p, struct bus *bus, uint16_t port, struct err *err);

#endif
