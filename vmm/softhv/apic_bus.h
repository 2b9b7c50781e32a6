/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The wire between the local APICs of one partition: who is meant by a destination, and delivery to them.
 *
 * Messages come from three places: an ICR write (softhv_apic_bus_ipi, called by the local APIC itself), an interrupt
 * request of the client or a routed eventfd (softhv_apic_bus_deliver), and hypercalls that name processors instead of
 * destinations (those call softhv_lapic_accept themselves).
 *
 * Threads: every function may be called by any thread at any time. Matching reads one atomic word per local APIC and
 * takes no lock; accepting takes the lock of one local APIC at a time. A target that changes its mode or its logical
 * destination meanwhile is matched by the old or the new setting, as on hardware.
 *
 * Sources: Intel SDM volume 3, 11.6 (IPIs, destinations, arbitration), 11.12.9 and 11.12.10 (x2APIC); AMD APM volume
 * 2, 16.5 and 16.6.
 */
#ifndef CAISSON_VMM_SOFTHV_APIC_BUS_H
#define CAISSON_VMM_SOFTHV_APIC_BUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct softhv_lapic;

#define SOFTHV_APIC_BUS_SLOTS 256u /* as many VPs as a partition may have */

/* What is delivered: the delivery modes of ICR and MSI, then two that only an interrupt request can name. */
enum softhv_apic_type {
    SOFTHV_APIC_FIXED = 0,
    SOFTHV_APIC_LOWEST = 1,
    SOFTHV_APIC_SMI = 2,
    SOFTHV_APIC_REMOTE_READ = 3,
    SOFTHV_APIC_NMI = 4,
    SOFTHV_APIC_INIT = 5,
    SOFTHV_APIC_SIPI = 6,
    SOFTHV_APIC_EXTINT = 7,
    SOFTHV_APIC_LINT0 = 8, /* a pulse on the target's pin; its LVT entry decides what becomes of it */
    SOFTHV_APIC_LINT1 = 9
};
#define SOFTHV_APIC_TYPES 10u

struct softhv_apic_msg {
    uint32_t dest;  /* APIC id (physical) or logical id */
    uint8_t type;   /* enum softhv_apic_type */
    uint8_t vector; /* fixed, lowest priority, SIPI, ExtINT; LINT0 and LINT1 that turn out as ExtINT */
    bool level;     /* fixed and lowest priority: level-triggered, the EOI is reported */
    bool logical;   /* dest is a logical id */
    bool narrow;    /* dest has 8 bits (MSI, xAPIC): 0xff means everybody, also in x2APIC mode */
};

/* Zero bytes are a valid, empty bus. */
struct softhv_apic_bus {
    struct softhv_lapic *_Atomic slot[SOFTHV_APIC_BUS_SLOTS];
    atomic_uint used; /* slots below this may be taken */
    atomic_uint turn; /* where the next search among equals begins */
};

/*
 * Put a local APIC on the bus; it stays until the bus is gone, and must live as long. slot: its VP index.
 * -EINVAL: no such slot. -EEXIST: taken.
 */
int softhv_apic_bus_attach(struct softhv_apic_bus *bus, unsigned slot, struct softhv_lapic *lapic);

/*
 * Deliver a message from outside the processors.
 * Returns the number of local APICs that accepted it, 0 when nobody was meant or all of those refused (the interrupt
 * is lost, as on hardware), or -EINVAL when there is no such type.
 *
 * Lowest priority: among the software-enabled local APICs that match, the one with the lowest arbitration priority
 * (task priority, highest interrupt requested and in service); equals take turns by slot. Source: AMD APM volume 2,
 * 16.6.3 (APR); SDM volume 3, 11.6.2.4 leaves the choice among equals open.
 */
int softhv_apic_bus_deliver(struct softhv_apic_bus *bus, const struct softhv_apic_msg *msg);

/*
 * Send what a local APIC's ICR says. from: the sender, on this bus. icr: bits 31:0 low half, 63:32 high half in the
 * format of its mode; vector already judged. x2apic: that mode. Combinations that the manuals call invalid (INIT or
 * SIPI to oneself by shorthand; ExtINT, remote read and SMI always) are dropped.
 * Returns the number of local APICs that accepted it.
 */
int softhv_apic_bus_ipi(struct softhv_apic_bus *bus, struct softhv_lapic *from, uint64_t icr, bool x2apic);

/* Withdraw every ExtINT that was asserted and not acknowledged (HvCallClearVirtualInterrupt). */
void softhv_apic_bus_clear_extint(struct softhv_apic_bus *bus);

/*
 * Whether a message means the local APIC described by route (softhv_lapic_route). Pure; also used by the tests.
 */
bool softhv_apic_match(uint64_t route, const struct softhv_apic_msg *msg);

#endif
