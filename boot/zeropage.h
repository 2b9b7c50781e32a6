/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The zero page (struct boot_params): what a kernel entered by the 64-bit protocol is told about the machine.
 * Source: Linux, Documentation/arch/x86/boot.rst and zero-page.rst, arch/x86/include/uapi/asm/bootparam.h.
 */
#ifndef CAISSON_BOOT_ZEROPAGE_H
#define CAISSON_BOOT_ZEROPAGE_H

#include "boot/e820.h"
#include "boot/kernel.h"
#include "boot/parts.h"

#define BOOT_ZP_ACPI_RSDP    0x070u
#define BOOT_ZP_E820_ENTRIES 0x1e8u
#define BOOT_ZP_SENTINEL     0x1efu /* stays 0: tells the kernel that the rest was cleared */
#define BOOT_ZP_E820_TABLE   0x2d0u /* 20 bytes each */

/*
 * Add the zero page at BOOT_ZERO_PAGE_GPA. A bzImage's setup header is copied into it; for an ELF kernel the fields
 * are made up. initrd: bytes 0: none. rsdp_gpa: of the ACPI tables. Returns 0, or what the list says.
 */
int boot_zeropage_place(const struct boot_kernel *kernel, struct boot_range initrd, const struct boot_e820 *map,
                        uint64_t rsdp_gpa, struct boot_parts *parts, struct err *err);

#endif
