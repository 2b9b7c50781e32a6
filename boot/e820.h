/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The memory map that a kernel is told: RAM, what it must leave alone, and where the ACPI tables are. What is not in
 * it is free for devices. Sources: ACPI 6.5, chapter 15; Linux, Documentation/arch/x86/zero-page.rst.
 */
#ifndef CAISSON_BOOT_E820_H
#define CAISSON_BOOT_E820_H

#include <stdint.h>

#include "boot/layout.h"

enum boot_e820_type {
    BOOT_E820_RAM = 1,
    BOOT_E820_RESERVED = 2,
    BOOT_E820_ACPI = 3, /* tables; RAM again once they have been read */
};

struct boot_e820_entry {
    uint64_t gpa;
    uint64_t bytes;
    enum boot_e820_type type;
};

#define BOOT_E820_MAX 8u

struct boot_e820 {
    struct boot_e820_entry entry[BOOT_E820_MAX]; /* by rising address, none empty, none overlapping */
    unsigned count;
};

/*
 * Build the map. memory_bytes: within the bounds of layout.h. acpi_bytes: used from BOOT_ACPI_GPA on, at most
 * BOOT_ACPI_BYTES. ecam: configuration space to be reserved; bytes 0: none. Pure.
 */
void boot_e820_build(uint64_t memory_bytes, uint64_t acpi_bytes, struct boot_range ecam, struct boot_e820 *out);

#endif
