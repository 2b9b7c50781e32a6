/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The one address map of a virtual machine: what lies where in guest physical memory and in I/O space. Loader, tables
 * and devices take every fixed address from here; docs/boot.md shows the same as a table.
 *
 *     0x00000500   descriptor table (GDT)
 *     0x00006000   PVH start info, memory map and module list
 *     0x00007000   zero page (struct boot_params)
 *     0x00009000   page tables for the 64-bit entry, 6 pages
 *     0x00020000   command line, at most 64 KiB
 *     0x000e0000   ACPI tables, below 64 KiB, where a kernel looks for them without being told
 *     0x000ffff0   a few instructions that reset the machine, where PCs have the BIOS's entry
 *     0x00100000   RAM: kernel, and the initial ramdisk at the upper end
 *     0xc0000000   end of RAM below 4 GiB; 32-bit window for PCI devices
 *     0xe0000000   PCI configuration space (ECAM), 1 MiB for each bus
 *     0xfeb00000   virtio devices of the MMIO kind, one page each
 *     0xfec00000   I/O APIC
 *     0xfee00000   local APICs
 *     0x100000000  RAM that does not fit below
 *
 * Addresses are plain numbers here: they are constants of ours. What a file or guest chose becomes a gpa_t when it
 * leaves boot/.
 */
#ifndef CAISSON_BOOT_LAYOUT_H
#define CAISSON_BOOT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_KIB UINT64_C(0x400)
#define BOOT_MIB UINT64_C(0x100000)
#define BOOT_GIB UINT64_C(0x40000000)

/* ---- Guest physical memory ---- */

#define BOOT_GDT_GPA         UINT64_C(0x500)
#define BOOT_PVH_GPA         UINT64_C(0x6000)
#define BOOT_PVH_BYTES       UINT64_C(0x1000)
#define BOOT_ZERO_PAGE_GPA   UINT64_C(0x7000)
#define BOOT_ZERO_PAGE_BYTES UINT64_C(0x1000)
#define BOOT_STACK_TOP_GPA   UINT64_C(0x9000) /* grows down to the end of the zero page; nothing is loaded there */
#define BOOT_PAGE_TABLES_GPA UINT64_C(0x9000)
#define BOOT_CMDLINE_GPA     UINT64_C(0x20000)
#define BOOT_CMDLINE_BYTES   (64 * BOOT_KIB)   /* including the NUL */
#define BOOT_LOW_END_GPA     UINT64_C(0xa0000) /* end of RAM below the hole that PCs have at 640 KiB */
#define BOOT_ACPI_GPA        UINT64_C(0xe0000)
#define BOOT_ACPI_BYTES      (64 * BOOT_KIB)
#define BOOT_RESTART_GPA     UINT64_C(0xffff0)
#define BOOT_KERNEL_MIN_GPA  BOOT_MIB /* nothing of a kernel or ramdisk lies below */

/* Hole below 4 GiB: devices, never RAM. */
#define BOOT_HOLE_GPA           UINT64_C(0xc0000000)
#define BOOT_PCI32_GPA          BOOT_HOLE_GPA
#define BOOT_PCI32_BYTES        UINT64_C(0x20000000)
#define BOOT_ECAM_GPA           UINT64_C(0xe0000000)
#define BOOT_ECAM_BYTES_PER_BUS BOOT_MIB
#define BOOT_VIRTIO_MMIO_GPA    UINT64_C(0xfeb00000)
#define BOOT_VIRTIO_MMIO_BYTES  UINT64_C(0x1000) /* for each device */
#define BOOT_VIRTIO_MMIO_MAX    64u
#define BOOT_IOAPIC_GPA         UINT64_C(0xfec00000)
#define BOOT_LAPIC_GPA          UINT64_C(0xfee00000)
#define BOOT_HIGH_RAM_GPA       UINT64_C(0x100000000)

/* Bounds of a machine. */
#define BOOT_MEMORY_MIN_BYTES (16 * BOOT_MIB)
#define BOOT_MEMORY_MAX_BYTES (UINT64_C(1) << 44)
#define BOOT_VPS_MAX          255u /* APIC ids 0 to 254; 255 means everybody */

/* ---- Interrupts: inputs of the one I/O APIC, by global number (GSI) ---- */

#define BOOT_GSI_COUNT       24u
#define BOOT_GSI_COM1        4u
#define BOOT_GSI_COM2        3u
#define BOOT_GSI_VIRTIO_MMIO 5u /* the first of those left for devices */

/* True if Linux gives a device this input: it refuses 0 and 2, which PCs keep for timer and cascade. */
static inline bool boot_gsi_is_usable(uint32_t gsi)
{
    return gsi != 0 && gsi != 2 && gsi < BOOT_GSI_COUNT;
}

/* ---- I/O ports ---- */

#define BOOT_PORT_RTC           0x0070u /* index and data */
#define BOOT_PORT_DEBUG_EXIT    0x00f4u /* tests end a machine here; described in no table */
#define BOOT_PORT_COM2          0x02f8u
#define BOOT_PORT_COM1          0x03f8u
#define BOOT_PORT_COM_COUNT     8u
#define BOOT_PORT_PANIC         0x0505u /* a guest reports its panic */
#define BOOT_PORT_SLEEP_CONTROL 0x0600u /* ACPI: writing BOOT_SLEEP_OFF ends the machine */
#define BOOT_PORT_SLEEP_STATUS  0x0601u
#define BOOT_PORT_RESET         0x0602u /* ACPI: writing BOOT_RESET_VALUE starts it anew */

/* Values that ACPI makes a guest write: SLP_TYP 5 of \_S5 with SLP_EN, and RESET_VALUE of the FADT. */
#define BOOT_SLEEP_TYPE_OFF 5u
#define BOOT_SLEEP_OFF      (BOOT_SLEEP_TYPE_OFF << 2 | 0x20u)
#define BOOT_RESET_VALUE    0x01u

/* ---- Where the RAM is ---- */

struct boot_range {
    uint64_t gpa;
    uint64_t bytes;
};

/*
 * Split a machine's memory around the hole. memory_bytes: all of it; out[0] starts at 0, out[1] at 4 GiB.
 * Returns how many ranges there are, 1 or 2. The first range is RAM throughout for whoever maps memory; the part from
 * 640 KiB to 1 MiB is kept from the kernel's allocator by the memory map (e820.h). Pure.
 */
static inline unsigned boot_ram_ranges(uint64_t memory_bytes, struct boot_range out[2])
{
    uint64_t low = memory_bytes < BOOT_HOLE_GPA ? memory_bytes : BOOT_HOLE_GPA;
    out[0] = (struct boot_range){0, low};
    out[1] = (struct boot_range){BOOT_HIGH_RAM_GPA, memory_bytes - low};
    return memory_bytes > low ? 2 : 1;
}

#endif
