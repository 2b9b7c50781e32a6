/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/pvh.h"

#include <errno.h>

#include "common/bytes.h"

#define MAP_ENTRY_BYTES 24u

int boot_pvh_place(struct boot_range initrd, const struct boot_e820 *map, uint64_t rsdp_gpa, struct boot_parts *parts,
                   struct err *err)
{
    uint8_t *page = boot_parts_alloc(parts, BOOT_PVH_BYTES, err);
    if (page == NULL)
        return -ENOMEM;
    bytes_store_le32(page, BOOT_PVH_MAGIC);
    bytes_store_le32(page + 4, 1); /* version */
    if (initrd.bytes > 0) {
        bytes_store_le32(page + 12, 1); /* number of modules */
        bytes_store_le64(page + 16, BOOT_PVH_GPA + BOOT_PVH_MODULES);
        bytes_store_le64(page + BOOT_PVH_MODULES, initrd.gpa);
        bytes_store_le64(page + BOOT_PVH_MODULES + 8, initrd.bytes);
    }
    bytes_store_le64(page + 24, BOOT_CMDLINE_GPA);
    bytes_store_le64(page + 32, rsdp_gpa);
    bytes_store_le64(page + 40, BOOT_PVH_GPA + BOOT_PVH_MEMORY_MAP);
    bytes_store_le32(page + 48, map->count);
    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = page + BOOT_PVH_MEMORY_MAP + i * MAP_ENTRY_BYTES;
        bytes_store_le64(entry, map->entry[i].gpa);
        bytes_store_le64(entry + 8, map->entry[i].bytes);
        bytes_store_le32(entry + 16, (uint32_t)map->entry[i].type);
    }
    struct boot_part part = {
        .gpa = gpa_make(BOOT_PVH_GPA), .bytes = page, .length = BOOT_PVH_BYTES, .kind = BOOT_PART_START_INFO};
    return boot_parts_add(parts, &part, err);
}
