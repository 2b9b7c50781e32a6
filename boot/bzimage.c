/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/bzimage.h"

#include <errno.h>
#include <stdbool.h>

#include "common/bytes.h"
#include "common/checked.h"

#define SECTOR_BYTES        512u
#define DEFAULT_SETUP_SECTS 4u
#define LEAST_VERSION       0x020cu

struct header {
    uint16_t version;
    uint16_t xloadflags;
    uint64_t payload_offset; /* of the protected-mode part in the file */
    uint64_t payload_bytes;  /* as far as the file has them */
    uint64_t pref_address;
    uint32_t init_size;
    uint32_t alignment;
    bool relocatable;
    uint32_t initrd_addr_max;
    uint32_t cmdline_size;
    size_t header_bytes; /* from BOOT_HDR_START */
};

static int fail(const struct boot_file *file, int code, const char *what_to_do, struct err *err, const char *why)
{
    return err_fail_because(err, code, &(struct err_context){"start bzImage", file->name, what_to_do}, "%s", why);
}

static int cut_short(const struct boot_file *file, uint64_t wanted, struct err *err)
{
    return err_fail_because(err, -ENODATA,
                            &(struct err_context){"start bzImage", file->name, "fetch or copy the file again"},
                            "it has %zu bytes, its header speaks of %llu", file->length, (unsigned long long)wanted);
}

static void read_fields(const uint8_t *b, struct header *h)
{
    h->xloadflags = bytes_load_le16(b + BOOT_HDR_XLOADFLAGS);
    h->pref_address = bytes_load_le64(b + BOOT_HDR_PREF_ADDRESS);
    h->init_size = bytes_load_le32(b + BOOT_HDR_INIT_SIZE);
    h->alignment = bytes_load_le32(b + BOOT_HDR_KERNEL_ALIGNMENT);
    h->relocatable = b[BOOT_HDR_RELOCATABLE] != 0;
    h->initrd_addr_max = bytes_load_le32(b + BOOT_HDR_INITRD_ADDR_MAX);
    h->cmdline_size = bytes_load_le32(b + BOOT_HDR_CMDLINE_SIZE);
    /* The jump over the header tells its end; a longer one than we know is copied as far as the zero page has room. */
    size_t end = BOOT_HDR_MAGIC + (size_t)b[BOOT_HDR_JUMP + 1];
    if (end < BOOT_HDR_LEAST_END)
        end = BOOT_HDR_LEAST_END;
    h->header_bytes = (end < BOOT_HDR_END_MAX ? end : BOOT_HDR_END_MAX) - BOOT_HDR_START;
}

static int read_header(const struct boot_file *file, struct header *h, struct err *err)
{
    const uint8_t *b = file->bytes;
    if (file->length < BOOT_HDR_VERSION + 2u)
        return cut_short(file, BOOT_HDR_LEAST_END, err);
    h->version = bytes_load_le16(b + BOOT_HDR_VERSION);
    if (h->version < LEAST_VERSION)
        return err_fail_because(
            err, -ENOEXEC, &(struct err_context){"start bzImage", file->name, "use Linux 3.8 or later for x86-64"},
            "its boot protocol is %u.%02u; the 64-bit entry came with 2.12", h->version >> 8, h->version & 0xffu);
    if (file->length < BOOT_HDR_END_MAX)
        return cut_short(file, BOOT_HDR_END_MAX, err);
    read_fields(b, h);
    uint32_t sectors = b[BOOT_HDR_SETUP_SECTS] != 0 ? b[BOOT_HDR_SETUP_SECTS] : DEFAULT_SETUP_SECTS;
    h->payload_offset = (sectors + 1) * SECTOR_BYTES;
    uint64_t promised = (uint64_t)bytes_load_le32(b + BOOT_HDR_SYSSIZE) * 16;
    /* The size is rounded up to 16 bytes; some builds end where the last real byte is. */
    if (h->payload_offset >= file->length || promised > file->length - h->payload_offset + 15)
        return cut_short(file, h->payload_offset + promised, err);
    uint64_t present = file->length - h->payload_offset;
    h->payload_bytes = promised < present ? promised : present;
    return 0;
}

static int check_header(const struct boot_file *file, const struct header *h, struct err *err)
{
    if ((file->bytes[BOOT_HDR_LOADFLAGS] & BOOT_HDR_LOADED_HIGH) == 0)
        return fail(file, -ENOEXEC, "use a bzImage", err, "it is a zImage, which runs below 1 MiB");
    if ((h->xloadflags & BOOT_XLF_KERNEL_64) == 0)
        return fail(file, -ENOEXEC, "use a kernel built for x86-64", err,
                    "it has no 64-bit entry: it was built for 32-bit processors");
    if (h->payload_bytes <= BOOT_BZIMAGE_ENTRY_64)
        return fail(file, -EINVAL, "use an unaltered kernel", err, "its header leaves nothing to be loaded");
    if (h->relocatable && (!checked_is_alignment(h->alignment) || h->alignment > BOOT_GIB))
        return fail(file, -EINVAL, "use an unaltered kernel", err, "its alignment is no power of two up to 1 GiB");
    if (h->cmdline_size == 0)
        return fail(file, -EINVAL, "use an unaltered kernel", err, "it takes no command line");
    return 0;
}

/*
 * A relocatable kernel that is loaded below its preferred address moves up to it before it unpacks itself, so there is
 * nothing to gain below.
 */
static int choose_address(const struct boot_file *file, const struct header *h, uint64_t ram_end, uint64_t *load,
                          uint64_t *end, struct err *err)
{
    uint64_t need = h->init_size > h->payload_bytes ? h->init_size : h->payload_bytes;
    uint64_t at = h->pref_address < BOOT_KERNEL_MIN_GPA && h->relocatable ? BOOT_KERNEL_MIN_GPA : h->pref_address;
    if ((h->relocatable && !checked_align_up_u64(at, h->alignment, &at)) || !checked_add_u64(at, need, end))
        return fail(file, -EINVAL, "use an unaltered kernel", err, "its preferred address and size do not fit 64 bits");
    if (at < BOOT_KERNEL_MIN_GPA)
        return fail(file, -EINVAL, "use a relocatable kernel", err, "it wants to be loaded below 1 MiB");
    if (*end > ram_end)
        return err_fail_because(
            err, -E2BIG, &(struct err_context){"start bzImage", file->name, "give the machine more memory"},
            "it unpacks itself up to address %llu MiB, RAM ends at %llu MiB",
            (unsigned long long)((*end - 1) / BOOT_MIB + 1), (unsigned long long)(ram_end / BOOT_MIB));
    *load = at;
    return 0;
}

int boot_bzimage_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                      struct boot_kernel *out, struct err *err)
{
    struct header h = {.version = 0};
    uint64_t load = 0, end = 0;
    if (wanted == BOOT_PROTOCOL_PVH)
        return fail(file, -EINVAL, "choose the 64-bit protocol, or give the uncompressed vmlinux", err,
                    "a bzImage has no PVH entry");
    int error = read_header(file, &h, err);
    if (error == 0)
        error = check_header(file, &h, err);
    if (error == 0)
        error = choose_address(file, &h, boot_kernel_ram_end(parts), &load, &end, err);
    if (error != 0)
        return error;
    struct boot_part part = {.gpa = gpa_make(load),
                             .bytes = file->bytes + h.payload_offset,
                             .length = h.payload_bytes,
                             .zero_tail = end - load - h.payload_bytes,
                             .kind = BOOT_PART_KERNEL};
    error = boot_parts_add(parts, &part, err);
    if (error != 0)
        return error;
    *out = (struct boot_kernel){.protocol = BOOT_PROTOCOL_LINUX64,
                                .entry_gpa = load + BOOT_BZIMAGE_ENTRY_64,
                                .end_gpa = end,
                                .initrd_limit_gpa = (uint64_t)h.initrd_addr_max + 1,
                                .cmdline_max = h.cmdline_size,
                                .setup_header = file->bytes + BOOT_HDR_START,
                                .setup_header_bytes = h.header_bytes};
    return 0;
}
