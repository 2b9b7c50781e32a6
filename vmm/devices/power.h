/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DEVICES_POWER_H
#define CAISSON_VMM_DEVICES_POWER_H

/*
 * The ways in which a guest ends itself: the sleep and reset registers of hardware-reduced ACPI, the older reset
 * control register (CF9h) and the reset command of the keyboard controller (64h), which Linux tries when ACPI does not
 * help, and a port by which test guests end with a code. Each is one byte wide; a wider access that covers it belongs
 * to nobody (see bus.h), which also keeps CF9h apart from the 32-bit PCI configuration address at CF8h.
 *
 * This module only recognises the wish and tells whoever asked to know; what happens then is not its business, and the
 * guest goes on until its VPs are stopped. Sources: ACPI 6.5, 4.8.3.7 (sleep control and status), 4.8.3.6 (reset
 * register); Intel 82801 ICH data sheets, RST_CNT (CF9h); Linux arch/x86/kernel/reboot.c (the order of attempts).
 *
 * Threads: all for any thread, no lock.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"

enum power_event {
    POWER_OFF,   /* code: the sleep type */
    POWER_RESET, /* code: what was written */
    POWER_EXIT,  /* debug exit port; code: what was written */
};

struct power_config {
    /* Port numbers; 0 leaves the register out. */
    uint16_t sleep_control, sleep_status; /* both or neither */
    uint16_t acpi_reset;
    uint16_t reset_control; /* CF9h on a PC; 0 too if another device hands accesses on: power_reset_control */
    uint16_t keyboard;      /* 64h on a PC */
    uint16_t debug_exit;    /* needs CONFIG_DEBUG_EXIT */
    uint8_t sleep_type_off; /* SLP_TYP of \_S5, 0..7 */
    uint8_t reset_value;    /* RESET_VALUE of the FADT */
    /*
     * Called on the VP that wrote, without a lock, each time: several VPs can end the machine at once, and nothing
     * keeps a guest from going on to write. Not NULL.
     */
    void (*event)(void *ctx, enum power_event event, uint8_t code);
    void *ctx;
};

/* Private to power.c; the caller owns the memory. */
struct power {
    struct power_config config;
    atomic_uchar sleep_type;    /* SLP_TYP as last written */
    atomic_uchar reset_control; /* CF9h as last written */
};

/* config is copied. */
void power_init(struct power *power, const struct power_config *config);

/*
 * Put the registers on the bus. -EINVAL: one of the two sleep registers without the other. -ENOTSUP: a debug exit port
 * in a build without one. Others: bus_add_ports. After a failure the bus may hold some of the registers: the machine
 * cannot be built. The building thread.
 */
int power_attach(struct power *power, struct bus *bus, struct err *err);

/*
 * The reset control register by itself, for a device whose ports surround it, as those of PCI configuration do (pci.h).
 * Its dev is the struct power, after power_init; accesses are of one byte at offset 0, on any thread.
 */
extern const struct bus_ops power_reset_control;

#endif
