/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/pvpanic.h"

#include <assert.h>
#include <stddef.h>

static uint64_t read_events(void *dev, uint64_t offset, unsigned bytes)
{
    (void)dev;
    (void)offset;
    (void)bytes;
    return PVPANIC_EVENTS;
}

/* Events of later versions are not promised by read_events, and so mean nothing. */
static void write_events(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    const struct pvpanic *p = dev;
    uint8_t events = (uint8_t)(value & PVPANIC_EVENTS);
    (void)offset;
    (void)bytes;
    if (events != 0)
        p->config.report(p->config.ctx, events);
}

void pvpanic_init(struct pvpanic *p, const struct pvpanic_config *config)
{
    assert(config->report != NULL);
    *p = (struct pvpanic){.config = *config};
}

int pvpanic_attach(struct pvpanic *p, struct bus *bus, uint16_t port, struct err *err)
{
    static const struct bus_ops ops = {read_events, write_events};
    return bus_add_ports(bus, "panic device", port, 1, &ops, p, err);
}
