/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * ACPI tables of the hardware-reduced kind: no chipset registers, no 8259, no timers of a PC. A kernel learns its
 * processors, the I/O APIC, the serial ports, where to switch off and where to reset, and no more.
 *
 *     RSDP -> XSDT -> FADT -> DSDT      \_S5, COM1, COM2, clock, panic device, virtio devices, PCI bridge
 *                  -> MADT              one local APIC for each processor, the I/O APIC, interrupt overrides
 *                  -> MCFG              with PCI only
 *
 * Why there are interrupt overrides although they say nothing new (input n is interrupt n, edge, active high): a
 * hardware-reduced Linux has no numbers for legacy interrupts and hands out numbers as drivers ask. Before Linux 6.4
 * the first is 0, which drivers take for "no interrupt": the serial port would be polled. Inputs named in an override
 * get their number earlier, above those of the inputs. (arch/x86/kernel/apic/io_apic.c: setup_IO_APIC_irqs,
 * arch_dynirq_lower_bound.) Only inputs below 16 can be named.
 *
 * Sources: ACPI 6.5, chapters 4.1, 5.2, 7.4; PCI Firmware Specification 3.3, 4.1.
 */
#ifndef CAISSON_BOOT_ACPI_H
#define CAISSON_BOOT_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/layout.h"
#include "boot/parts.h"

/* A PCI host bridge. Zeroed: there is none. */
struct boot_pci {
    bool present;
    uint8_t first_bus, last_bus;
    uint64_t ecam_gpa;          /* configuration space of first_bus; 1 MiB aligned, within the hole below 4 GiB */
    struct boot_range window;   /* for 32-bit BARs, within the hole; bytes 0: none */
    struct boot_range window64; /* for 64-bit BARs, above 4 GiB and above RAM; bytes 0: none */
};

/* What is described. Zeroed but for vps: a machine with nothing but processors. */
struct boot_devices {
    unsigned vps; /* 1 to BOOT_VPS_MAX; APIC id and ACPI id of each are its index */
    bool com1, com2;
    bool hvc; /* the console is a virtio device: in no table, but in the command line */
    /*
     * CMOS clock at BOOT_PORT_RTC, without interrupt. Without it the kernel is told that there is none, and does not
     * believe it: Linux reads the ports all the same, waits a second, and starts in 1970.
     */
    bool rtc;
    bool panic; /* pvpanic at BOOT_PORT_PANIC */
    struct boot_pci pci;
    /* Virtio devices of the MMIO kind (LNRO0005): device i at BOOT_VIRTIO_MMIO_GPA + i pages, input virtio_gsi[i]. */
    unsigned virtio_count; /* at most BOOT_VIRTIO_MMIO_MAX */
    uint8_t virtio_gsi[BOOT_VIRTIO_MMIO_MAX];
};

/* The bridge at the addresses of layout.h: bus 0 only. */
struct boot_pci boot_pci_default(void);

/* Configuration space of all buses; bytes 0 without PCI. */
struct boot_range boot_pci_ecam(const struct boot_pci *pci);

/*
 * Check a description against the address map. memory_bytes: the machine's. Returns 0, or -EINVAL with *err. Any
 * description must have passed before it is given to the functions below. Pure.
 */
int boot_devices_check(const struct boot_devices *devices, uint64_t memory_bytes, struct err *err);

#define BOOT_ACPI_TABLES_MAX (32 * BOOT_KIB) /* more than the largest description takes */

/*
 * Build the tables and add them at BOOT_ACPI_GPA, where the RSDP is. *bytes: their size.
 * Returns 0, or what the list says.
 */
int boot_acpi_place(const struct boot_devices *devices, struct boot_parts *parts, uint64_t *bytes, struct err *err);

#endif
