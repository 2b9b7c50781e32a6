/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DEVICES_SERIAL_H
#define CAISSON_VMM_DEVICES_SERIAL_H

/*
 * A 16550A serial port of a PC, at eight consecutive ports.
 *
 * The far end is always there (CTS, DSR and DCD are on) and infinitely fast: what the guest sends is handed on within
 * the store, so the transmitter is always empty; its FIFO exists in the registers only. What the far end sends waits in
 * the receive FIFO. There is no clock: a byte below the FIFO's trigger level counts as having waited for four character
 * times at once, so it interrupts by "timeout indication" and nobody has to wait for company that may never come.
 *
 * The interrupt line is high while an enabled condition is pending and MCR.OUT2 is on: on a PC, OUT2 is the switch
 * between the chip and its line (Linux sets it, and so has everybody else to). Loopback mode takes OUT2 off the line.
 * THRE falls and rises again with each byte sent; a guest that has not yet looked at the first rise gets no second one,
 * which spares an interrupt message for each byte of a burst.
 *
 * What is not there, and what happens instead: docs/device-model.md. Source: National Semiconductor PC16550D data
 * sheet, section 8.
 *
 * Threads: every function is for any thread; one mutex guards the registers. Only irq.set is called with it held.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

#define SERIAL_PORTS      8u
#define SERIAL_FIFO_BYTES 16u

/* Offsets from the first port. */
enum serial_reg {
    SERIAL_RBR = 0, /* read: receive buffer; divisor latch low with LCR.DLAB */
    SERIAL_THR = 0, /* write: transmit holding */
    SERIAL_IER = 1, /* divisor latch high with LCR.DLAB */
    SERIAL_IIR = 2, /* read */
    SERIAL_FCR = 2, /* write */
    SERIAL_LCR = 3,
    SERIAL_MCR = 4,
    SERIAL_LSR = 5,
    SERIAL_MSR = 6,
    SERIAL_SCR = 7,
};

struct serial_config {
    const char *name;    /* for messages and the bus; borrowed */
    struct irq_line irq; /* where the interrupt goes; its set is called with the port's lock held */
    /*
     * Take n bytes that the guest sent. Called on the VP that stored them, without a lock: bytes that two VPs store at
     * the same time arrive in either order. Not NULL.
     */
    void (*output)(void *ctx, const uint8_t *bytes, size_t n);
    /* All was read after serial_input had refused bytes: it takes more now. On a VP, without a lock. May be NULL. */
    void (*room)(void *ctx);
    void *ctx; /* of output and room */
};

/* Private to serial.c; the caller owns the memory. */
struct serial {
    struct serial_config config;
    pthread_mutex_t lock; /* all below */
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    uint8_t msr;     /* as read, with the deltas */
    bool overrun;    /* LSR.OE */
    bool thre;       /* THRE interrupt not yet seen */
    bool line;       /* level of the interrupt line */
    bool refused;    /* serial_input could not take all: room is owed */
    uint8_t rx_head; /* index of the oldest byte */
    uint8_t rx_count;
    uint8_t rx[SERIAL_FIFO_BYTES];
};

/* State after reset. config is copied. 0 or a negative errno. */
int serial_init(struct serial *s, const struct serial_config *config);
/* Nobody may use it any more. */
void serial_fini(struct serial *s);

/* Put it on the bus at [first_port, first_port + SERIAL_PORTS). Errors: bus_add_ports. */
int serial_attach(struct serial *s, struct bus *bus, uint16_t first_port, struct err *err);

/*
 * Read or write. offset: 0..7; bytes: 1, 2, 4. The port is eight bits wide: a wider access becomes one for each byte,
 * lowest first, as the bridge in front of an 8-bit bus does it. Bytes behind the last register read FFh and vanish.
 */
uint64_t serial_read(struct serial *s, uint64_t offset, unsigned bytes);
void serial_write(struct serial *s, uint64_t offset, unsigned bytes, uint64_t value);

/*
 * The far end sends n bytes. Returns how many were taken, in order, 0 to n; the rest stays with the caller, which tries
 * again when config.room is called. None are taken in loopback mode, which cuts the far end off.
 */
size_t serial_input(struct serial *s, const uint8_t *bytes, size_t n);

#endif
