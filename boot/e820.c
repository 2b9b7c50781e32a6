/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/e820.h"

#include <assert.h>

#include "common/gpa.h"

static void add(struct boot_e820 *map, uint64_t gpa, uint64_t end, enum boot_e820_type type)
{
    assert(map->count < BOOT_E820_MAX);
    if (end > gpa)
        map->entry[map->count++] = (struct boot_e820_entry){gpa, end - gpa, type};
}

void boot_e820_build(uint64_t memory_bytes, uint64_t acpi_bytes, struct boot_range ecam, struct boot_e820 *out)
{
    struct boot_range ram[2];
    unsigned ranges = boot_ram_ranges(memory_bytes, ram);
    uint64_t acpi_end = BOOT_ACPI_GPA + ((acpi_bytes + GUEST_PAGE_BYTES - 1) & ~(GUEST_PAGE_BYTES - 1));

    assert(memory_bytes >= BOOT_MEMORY_MIN_BYTES && acpi_bytes <= BOOT_ACPI_BYTES);
    *out = (struct boot_e820){.count = 0};
    add(out, 0, BOOT_LOW_END_GPA, BOOT_E820_RAM);
    /* The rest up to 1 MiB is where PCs have their firmware: reserved, so that no kernel puts a device there. */
    add(out, BOOT_LOW_END_GPA, BOOT_ACPI_GPA, BOOT_E820_RESERVED);
    add(out, BOOT_ACPI_GPA, acpi_end, BOOT_E820_ACPI);
    add(out, acpi_end, BOOT_MIB, BOOT_E820_RESERVED);
    add(out, BOOT_MIB, ram[0].bytes, BOOT_E820_RAM);
    /* Linux believes in memory-mapped configuration space only if the map reserves it. */
    add(out, ecam.gpa, ecam.gpa + ecam.bytes, BOOT_E820_RESERVED);
    if (ranges == 2)
        add(out, ram[1].gpa, ram[1].gpa + ram[1].bytes, BOOT_E820_RAM);
}
