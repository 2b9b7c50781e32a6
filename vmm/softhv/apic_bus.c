/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Destination matching, arbitration and delivery between the local APICs of one partition.
 */
#include "vmm/softhv/apic_bus.h"

#include <errno.h>
#include <stddef.h>

#include "vmm/softhv/lapic.h"

#define BROADCAST_NARROW 0xffu
#define BROADCAST_WIDE   0xffffffffu

#define ICR_LOGICAL         0x800u
#define ICR_ASSERT          0x4000u
#define ICR_LEVEL           0x8000u
#define ICR_SHORTHAND_SHIFT 18

enum shorthand { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

/* Who is meant: a destination, or a shorthand seen from the sender. */
struct audience {
    const struct softhv_apic_msg *msg;
    const struct softhv_lapic *from; /* NULL: no shorthand */
    enum shorthand shorthand;
};

/* ---- Matching ---- */

static enum softhv_lapic_mode route_mode(uint64_t route)
{
    return (enum softhv_lapic_mode)(route >> SOFTHV_LAPIC_ROUTE_MODE & 3);
}

static bool route_enabled(uint64_t route)
{
    return (route >> SOFTHV_LAPIC_ROUTE_ENABLED & 1) != 0;
}

/*
 * uncertain: whether 0xff of an MSI reaches local APICs in x2APIC mode is not written anywhere; taken as everybody, so
 * that firmware which broadcasts in 8 bits works in every mode.
 */
static bool is_broadcast(const struct softhv_apic_msg *msg, enum softhv_lapic_mode mode)
{
    return msg->dest == BROADCAST_WIDE ||
           (msg->dest == BROADCAST_NARROW && (msg->narrow || mode != SOFTHV_LAPIC_X2APIC));
}

/* SDM volume 3, 11.6.2.2: flat is a mask of eight, cluster a cluster number and a mask of four. */
static bool match_xapic_logical(uint64_t route, uint32_t dest)
{
    uint32_t ldr = route >> SOFTHV_LAPIC_ROUTE_LDR & 0xff;
    switch (route >> SOFTHV_LAPIC_ROUTE_MODEL & 0xf) {
    case 0xf: return dest <= 0xff && (ldr & dest) != 0;
    case 0x0: return dest <= 0xff && ldr >> 4 == dest >> 4 && (ldr & dest & 0xf) != 0;
    default: return false;
    }
}

/* SDM volume 3, 11.12.10.2: cluster in the upper half, one bit of sixteen in the lower; both follow from the id. */
static bool match_x2apic_logical(uint64_t route, uint32_t dest)
{
    uint32_t id = (uint32_t)route;
    return dest >> 16 == (id >> 4 & 0xffff) && (dest & 1u << (id & 15)) != 0;
}

/* Pins and the 8259's interrupt need no local APIC to be on; they are wired to the processor with that id. */
static bool reaches_when_off(const struct softhv_apic_msg *msg)
{
    return msg->type == SOFTHV_APIC_EXTINT || msg->type == SOFTHV_APIC_LINT0 || msg->type == SOFTHV_APIC_LINT1;
}

bool softhv_apic_match(uint64_t route, const struct softhv_apic_msg *msg)
{
    enum softhv_lapic_mode mode = route_mode(route);
    if (mode == SOFTHV_LAPIC_OFF && !reaches_when_off(msg))
        return false;
    if (is_broadcast(msg, mode))
        return true;
    if (!msg->logical)
        return (uint32_t)route == msg->dest;
    if (mode == SOFTHV_LAPIC_OFF)
        return false;
    return mode == SOFTHV_LAPIC_X2APIC ? match_x2apic_logical(route, msg->dest) : match_xapic_logical(route, msg->dest);
}

static bool is_meant(const struct audience *to, const struct softhv_lapic *l, uint64_t route)
{
    if (to->shorthand == TO_DEST)
        return softhv_apic_match(route, to->msg);
    if (route_mode(route) == SOFTHV_LAPIC_OFF)
        return false;
    if (to->shorthand == TO_ALL)
        return true;
    return (l == to->from) == (to->shorthand == TO_SELF);
}

/* ---- Slots ---- */

int softhv_apic_bus_attach(struct softhv_apic_bus *bus, unsigned slot, struct softhv_lapic *lapic)
{
    if (slot >= SOFTHV_APIC_BUS_SLOTS)
        return -EINVAL;
    struct softhv_lapic *nobody = NULL;
    if (!atomic_compare_exchange_strong(&bus->slot[slot], &nobody, lapic))
        return -EEXIST;
    unsigned used = atomic_load(&bus->used);
    while (used <= slot && !atomic_compare_exchange_weak(&bus->used, &used, slot + 1))
        ;
    return 0;
}

static unsigned slots_used(struct softhv_apic_bus *bus)
{
    return atomic_load_explicit(&bus->used, memory_order_acquire);
}

static struct softhv_lapic *slot_get(struct softhv_apic_bus *bus, unsigned slot)
{
    return atomic_load_explicit(&bus->slot[slot], memory_order_acquire);
}

/* ---- Delivery ---- */

static int deliver_all(struct softhv_apic_bus *bus, const struct audience *to)
{
    const struct softhv_apic_msg *msg = to->msg;
    int accepted = 0;
    for (unsigned i = 0; i < slots_used(bus); i++) {
        struct softhv_lapic *l = slot_get(bus, i);
        if (l != NULL && is_meant(to, l, softhv_lapic_route(l)))
            accepted += softhv_lapic_accept(l, msg->type, msg->vector, msg->level);
    }
    return accepted;
}

/* A search that begins where the last one ended, so that equals take turns. */
static int deliver_lowest(struct softhv_apic_bus *bus, const struct audience *to)
{
    unsigned used = slots_used(bus), turn = atomic_load_explicit(&bus->turn, memory_order_relaxed);
    struct softhv_lapic *best = NULL;
    unsigned best_slot = 0, best_priority = 256;
    for (unsigned n = 0; n < used; n++) {
        unsigned i = (turn + n) % used;
        struct softhv_lapic *l = slot_get(bus, i);
        uint64_t route = l != NULL ? softhv_lapic_route(l) : 0;
        if (l == NULL || !route_enabled(route) || !is_meant(to, l, route))
            continue;
        unsigned priority = softhv_lapic_arbitration(l);
        if (priority < best_priority) {
            best = l;
            best_slot = i;
            best_priority = priority;
        }
    }
    if (best == NULL)
        return 0;
    atomic_store_explicit(&bus->turn, best_slot + 1, memory_order_relaxed);
    return softhv_lapic_accept(best, SOFTHV_APIC_FIXED, to->msg->vector, to->msg->level);
}

static int deliver(struct softhv_apic_bus *bus, const struct audience *to)
{
    return to->msg->type == SOFTHV_APIC_LOWEST ? deliver_lowest(bus, to) : deliver_all(bus, to);
}

int softhv_apic_bus_deliver(struct softhv_apic_bus *bus, const struct softhv_apic_msg *msg)
{
    if (msg->type >= SOFTHV_APIC_TYPES)
        return -EINVAL;
    const struct audience to = {.msg = msg, .shorthand = TO_DEST};
    return deliver(bus, &to);
}

/* SDM volume 3, table 11-3 and 11.6.1. NMI and fixed to oneself are let through: operating systems use both. */
static bool is_sendable(const struct audience *to, uint64_t icr)
{
    bool self = to->shorthand == TO_SELF || to->shorthand == TO_ALL;
    switch (to->msg->type) {
    case SOFTHV_APIC_FIXED:
    case SOFTHV_APIC_LOWEST:
    case SOFTHV_APIC_NMI: return true;
    case SOFTHV_APIC_INIT: return !self && ((icr & ICR_ASSERT) || !(icr & ICR_LEVEL)); /* level de-assert: nothing */
    case SOFTHV_APIC_SIPI: return !self;
    default: return false;
    }
}

/* Trigger mode means nothing in an IPI other than INIT: all are edge-triggered. */
int softhv_apic_bus_ipi(struct softhv_apic_bus *bus, struct softhv_lapic *from, uint64_t icr, bool x2apic)
{
    const struct softhv_apic_msg msg = {.dest = (uint32_t)(x2apic ? icr >> 32 : icr >> 56),
                                        .type = icr >> 8 & 7,
                                        .vector = (uint8_t)icr,
                                        .logical = (icr & ICR_LOGICAL) != 0,
                                        .narrow = !x2apic};
    const struct audience to = {
        .msg = &msg, .from = from, .shorthand = (enum shorthand)(icr >> ICR_SHORTHAND_SHIFT & 3)};
    return is_sendable(&to, icr) ? deliver(bus, &to) : 0;
}

void softhv_apic_bus_clear_extint(struct softhv_apic_bus *bus)
{
    for (unsigned i = 0; i < slots_used(bus); i++) {
        struct softhv_lapic *l = slot_get(bus, i);
        if (l != NULL)
            softhv_lapic_clear_extint(l);
    }
}
