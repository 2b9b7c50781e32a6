/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * PVH start info: what a kernel entered by PVH is told about the machine. One page: the structure, the list of modules
 * (the initial ramdisk is the only one), the memory map.
 * Source: Xen, xen/include/public/arch-x86/hvm/start_info.h, version 1.
 */
#ifndef CAISSON_BOOT_PVH_H
#define CAISSON_BOOT_PVH_H

#include "boot/e820.h"
#include "boot/parts.h"

#define BOOT_PVH_MAGIC      UINT32_C(0x336ec578)
#define BOOT_PVH_MODULES    0x080u /* offsets in the page */
#define BOOT_PVH_MEMORY_MAP 0x100u

/* Add the page at BOOT_PVH_GPA. Arguments as for boot_zeropage_place. Returns 0, or what the list says. */
int boot_pvh_place(struct boot_range initrd, const struct boot_e820 *map, uint64_t rsdp_gpa, struct boot_parts *parts,
                   struct err *err);

#endif
