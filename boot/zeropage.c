/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/zeropage.h"

#include <errno.h>
#include <string.h>

#include "boot/bzimage.h"
#include "common/bytes.h"

#define LOADER_UNDEFINED 0xffu
#define VID_MODE_NORMAL  0xffffu
#define KEEP_SEGMENTS    0x40u
#define CAN_USE_HEAP     0x80u
#define ELF_VERSION      0x020cu
#define E820_ENTRY_BYTES 20u
#define ELF_ALIGNMENT    0x1000000u

/* What an ELF kernel reads of the header is what a boot loader would have written, not what describes the file. */
static void make_header(uint8_t *page, const struct boot_kernel *kernel)
{
    bytes_store_le16(page + BOOT_HDR_BOOT_FLAG, 0xaa55);
    memcpy(page + BOOT_HDR_MAGIC, "HdrS", 4);
    bytes_store_le16(page + BOOT_HDR_VERSION, ELF_VERSION);
    page[BOOT_HDR_LOADFLAGS] = BOOT_HDR_LOADED_HIGH;
    bytes_store_le32(page + BOOT_HDR_KERNEL_ALIGNMENT, ELF_ALIGNMENT);
    bytes_store_le32(page + BOOT_HDR_CMDLINE_SIZE, kernel->cmdline_max);
    bytes_store_le32(page + BOOT_HDR_INITRD_ADDR_MAX, (uint32_t)(kernel->initrd_limit_gpa - 1));
}

static void fill_header(uint8_t *page, const struct boot_kernel *kernel, struct boot_range initrd)
{
    if (kernel->setup_header != NULL)
        memcpy(page + BOOT_HDR_START, kernel->setup_header, kernel->setup_header_bytes);
    else
        make_header(page, kernel);
    page[BOOT_HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    /* There is no heap, and the 64-bit entry wants its segments loaded as usual. */
    page[BOOT_HDR_LOADFLAGS] &= (uint8_t) ~(KEEP_SEGMENTS | CAN_USE_HEAP);
    bytes_store_le16(page + BOOT_HDR_VID_MODE, VID_MODE_NORMAL);
    bytes_store_le32(page + BOOT_HDR_CMD_LINE_PTR, (uint32_t)BOOT_CMDLINE_GPA);
    bytes_store_le32(page + BOOT_HDR_RAMDISK_IMAGE, (uint32_t)initrd.gpa);
    bytes_store_le32(page + BOOT_HDR_RAMDISK_SIZE, (uint32_t)initrd.bytes);
    /* A list of further data is the boot loader's: what a file claims here would be read as such. */
    bytes_store_le64(page + BOOT_HDR_SETUP_DATA, 0);
}

int boot_zeropage_place(const struct boot_kernel *kernel, struct boot_range initrd, const struct boot_e820 *map,
                        uint64_t rsdp_gpa, struct boot_parts *parts, struct err *err)
{
    uint8_t *page = boot_parts_alloc(parts, BOOT_ZERO_PAGE_BYTES, err);
    if (page == NULL)
        return -ENOMEM;
    fill_header(page, kernel, initrd);
    page[BOOT_ZP_SENTINEL] = 0;
    bytes_store_le64(page + BOOT_ZP_ACPI_RSDP, rsdp_gpa);
    page[BOOT_ZP_E820_ENTRIES] = (uint8_t)map->count;
    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = page + BOOT_ZP_E820_TABLE + i * E820_ENTRY_BYTES;
        bytes_store_le64(entry, map->entry[i].gpa);
        bytes_store_le64(entry + 8, map->entry[i].bytes);
        bytes_store_le32(entry + 16, (uint32_t)map->entry[i].type);
    }
    struct boot_part part = {.gpa = gpa_make(BOOT_ZERO_PAGE_GPA),
                             .bytes = page,
                             .length = BOOT_ZERO_PAGE_BYTES,
                             .kind = BOOT_PART_ZERO_PAGE};
    return boot_parts_add(parts, &part, err);
}
