/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DEVICES_IOAPIC_H
#define CAISSON_VMM_DEVICES_IOAPIC_H

/*
 * The I/O APIC: 24 pins, each with an entry in which the guest says what message a rising edge or a high level becomes.
 *
 * Where the entry says "edge", each rise of an unmasked pin is one message; rises of a masked pin are lost. Where it
 * says "level", a high pin sends one message, remembers that in the entry ("remote IRR"), and sends the next one after
 * the message's EOI if the pin is still high. Local APICs and messages to them are the hypervisor's; EOIs of level
 * messages come back from it (MSHV_EXIT_APIC_EOI) and are given to ioapic_eoi.
 *
 * It calls itself version 20h, so that Linux completes a stuck entry by the EOI register instead of the detour through
 * edge mode that versions below need (__eoi_ioapic_pin in arch/x86/kernel/apic/io_apic.c); the detour works as well.
 *
 * What is not there, and what happens instead: docs/device-model.md. Sources: Intel 82093AA data sheet (registers,
 * delivery, remote IRR), Intel 82801 ICH data sheets (version 20h, EOI register, 32-bit accesses).
 *
 * Threads: every function is for any thread. One mutex guards everything; it is held while a message is delivered, so
 * that once a write has masked an entry, nothing of its old content is on its way any more: guests free vectors on
 * that understanding.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

#define IOAPIC_PINS       24u
#define IOAPIC_MMIO_BYTES UINT64_C(0x1000)

/* Delivery modes that are sent. Entries with SMI, ExtINT (there is no 8259) or a reserved mode send nothing. */
enum ioapic_mode {
    IOAPIC_MODE_FIXED = 0,
    IOAPIC_MODE_LOWEST = 1,
    IOAPIC_MODE_NMI = 4,
    IOAPIC_MODE_INIT = 5,
};

struct ioapic_msg {
    uint32_t dest;  /* APIC id, or logical destination; 8 bits */
    uint8_t vector; /* 16..255 in modes FIXED and LOWEST, otherwise as the guest wrote it */
    uint8_t mode;   /* enum ioapic_mode */
    bool logical;   /* dest is a logical destination */
    bool level;     /* an EOI is to come back; only with FIXED and LOWEST */
};

struct ioapic_config {
    /*
     * Send a message. 0, or a negative errno: nothing was sent; it is tried again at the next event of that pin and at
     * the next EOI. Called with the I/O APIC's lock held, on any thread: it may take as long as a system call, but must
     * not wait for a VP and must not call the I/O APIC. Not NULL.
     */
    int (*deliver)(void *ctx, const struct ioapic_msg *msg);
    /*
     * What ioapic_route says about this pin is different now. Called on the VP that wrote, without a lock, before its
     * write completes. Two VPs may be in it at once: to keep a copy of routes, take a lock of your own, and read the
     * route under it. May be NULL.
     */
    void (*changed)(void *ctx, unsigned pin);
    void *ctx;
};

struct ioapic_stats {
    uint64_t sent;
    uint64_t refused; /* deliver said no; tried again later */
    uint64_t dropped; /* asked for by the guest but not sendable: mode or vector */
};

struct ioapic_pin {
    uint32_t low, high; /* the entry, as stored */
    bool line;          /* level of the wire */
    bool pending;       /* edge that could not be delivered yet */
};

/* Private to ioapic.c; the caller owns the memory. */
struct ioapic {
    struct ioapic_config config;
    pthread_mutex_t lock; /* all below */
    uint8_t index;        /* IOREGSEL */
    uint32_t id;          /* bits 27:24 */
    struct ioapic_pin pins[IOAPIC_PINS];
    struct ioapic_stats stats;
};

/* Power-on state: all pins masked, all lines low. config is copied, its ctx borrowed. 0 or a negative errno. */
int ioapic_init(struct ioapic *io, const struct ioapic_config *config);
/* Nobody may use it any more. */
void ioapic_fini(struct ioapic *io);

/* Put its IOAPIC_MMIO_BYTES on the bus at base. Errors: bus_add_mmio. */
int ioapic_attach(struct ioapic *io, struct bus *bus, gpa_t base, struct err *err);

/*
 * Read or write its registers; offset: from the base. IOREGSEL (00h) takes the low byte of any access. IOWIN (10h) can
 * be written only as 32 bits (of 8 bytes the lower 4 count); narrower reads give its low bytes. EOI (40h) takes the low
 * byte. Registers 0 id, 1 version, 2 arbitration id, 10h to 3fh the entries; others, and other offsets, read 0 and
 * ignore writes.
 */
uint64_t ioapic_read(struct ioapic *io, uint64_t offset, unsigned bytes);
void ioapic_write(struct ioapic *io, uint64_t offset, unsigned bytes, uint64_t value);

/*
 * Level of a pin's wire; true means asserted, whatever polarity the guest chose for the entry. A pin that does not
 * exist is ignored. One device for each pin: there is no wired OR.
 */
void ioapic_set(struct ioapic *io, unsigned pin, bool level);
/* The line for a device that ends at this pin; the I/O APIC has to outlive its use. */
struct irq_line ioapic_line(struct ioapic *io, unsigned pin);

/* A local APIC completed a level message with this vector. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

/*
 * What a rise of the pin would send now. True with *msg, or false with *msg zeroed: the pin is masked, does not exist,
 * or its entry cannot be sent. For those who send themselves (MSI routes, irqfds): right for edge entries only, since
 * remote IRR is not set that way.
 */
bool ioapic_route(struct ioapic *io, unsigned pin, struct ioapic_msg *msg);

/* The same message as address and data of an MSI. Source: SDM volume 3, 11.11. */
void ioapic_msg_to_msi(const struct ioapic_msg *msg, uint64_t *address, uint32_t *data);

void ioapic_stats(struct ioapic *io, struct ioapic_stats *out);

#endif
