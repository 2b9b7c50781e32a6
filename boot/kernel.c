/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "boot/bzimage.h"
#include "boot/elf.h"
#include "common/bytes.h"

/* Formats that people give by mistake. */
struct magic {
    uint16_t offset;
    uint8_t length;
    char bytes[9];
    const char *what;
    const char *what_to_do;
};

#define UNPACK    "unpack it first: a bzImage unpacks itself and must not be packed again"
#define OTHER_CPU "use a kernel built for x86-64"
#define NO_DISK   "give the kernel file itself (bzImage or vmlinux), not what it is stored in"
#define NO_KERNEL "give the kernel (bzImage or vmlinux) here and this file as initial ramdisk"

/*
 * Sources: the file formats' own documents; Linux, Documentation/arch/arm64/booting.rst and
 * Documentation/arch/riscv/boot-image-header.rst.
 */
static const struct magic magics[] = {
    {0x38, 4, "ARM\x64", "an arm64 kernel image", OTHER_CPU},
    {0x30, 5, "RISCV", "a RISC-V kernel image", OTHER_CPU},
    {0x38, 4, "RSC\x05", "a RISC-V kernel image", OTHER_CPU},
    {0x24, 4, "\x18\x28\x6f\x01", "a 32-bit ARM kernel image", OTHER_CPU},
    {0, 4, "\x27\x05\x19\x56", "a U-Boot image", NO_DISK},
    {0, 2, "\x1f\x8b", "a file packed by gzip", UNPACK},
    {0, 4, "\x28\xb5\x2f\xfd", "a file packed by zstd", UNPACK},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "a file packed by xz", UNPACK},
    {0, 3, "BZh", "a file packed by bzip2", UNPACK},
    {0, 4, "\x02\x21\x4c\x18", "a file packed by lz4", UNPACK},
    {0, 4, "\x04\x22\x4d\x18", "a file packed by lz4", UNPACK},
    {0, 4, "PK\x03\x04", "a zip archive", NO_DISK},
    {0, 7, "!<arch>", "an archive or Debian package", NO_DISK},
    {0, 5, "07070", "a cpio archive", NO_KERNEL},
    {0, 4, "hsqs", "a squashfs image", NO_DISK},
    {0, 4, "QFI\xfb", "a qcow2 disk image", NO_DISK},
    {0, 4, "\x49\x47\x56\x4d", "an IGVM file", NO_DISK},
    {0x101, 5, "ustar", "a tar archive", NO_DISK},
};

#define MAGICS (sizeof(magics) / sizeof(magics[0]))

static bool has_bytes(const struct boot_file *file, size_t offset, const char *bytes, size_t length)
{
    return file->length >= offset + length && memcmp(file->bytes + offset, bytes, length) == 0;
}

static int refuse(const struct boot_file *file, const char *what, const char *what_to_do, struct err *err)
{
    return err_fail_because(err, -ENOEXEC, &(struct err_context){"start kernel", file->name, what_to_do}, "it is %s",
                            what);
}

/* A page of an HTTP server, a pointer of git-lfs, a script: at least 16 bytes, all of them printable ASCII. */
static bool is_text(const struct boot_file *file)
{
    size_t length = file->length < 512 ? file->length : 512;
    for (size_t i = 0; i < length; i++) {
        uint8_t b = file->bytes[i];
        if ((b < 0x20 && b != '\n' && b != '\r' && b != '\t') || b >= 0x7f)
            return false;
    }
    return length >= 16;
}

static bool is_zero(const struct boot_file *file)
{
    for (size_t i = 0; i < file->length && i < 4096; i++) {
        if (file->bytes[i] != 0)
            return false;
    }
    return true;
}

/* "MZ" without a Linux header behind it. */
static int refuse_pe(const struct boot_file *file, struct err *err)
{
    if (file->length < 0x206)
        return err_fail_because(err, -ENODATA,
                                &(struct err_context){"start kernel", file->name, "fetch or copy the file again"},
                                "it ends after %zu bytes, within the header of a bzImage or PE program", file->length);
    return refuse(file, "a PE program (a unified kernel image, boot loader or signed wrapper), not a bzImage",
                  "take the kernel out of it (objcopy -O binary -j .linux), or give the distribution's vmlinuz", err);
}

static int refuse_unknown(const struct boot_file *file, struct err *err)
{
    for (size_t i = 0; i < MAGICS; i++) {
        if (has_bytes(file, magics[i].offset, magics[i].bytes, magics[i].length))
            return refuse(file, magics[i].what, magics[i].what_to_do, err);
    }
    if (has_bytes(file, 0, "MZ", 2))
        return refuse_pe(file, err);
    if (is_text(file))
        return refuse(file, "a text file", "look into it: a failed download or a git-lfs pointer looks like this", err);
    if (is_zero(file))
        return refuse(file, "full of zeros", "fetch or copy the file again", err);
    if (has_bytes(file, 0x1fe, "\x55\xaa", 2))
        return refuse(file, "a boot sector or disk image without a Linux kernel's header", NO_DISK, err);
    return refuse(file, "neither a bzImage nor an ELF file (encrypted, or no kernel at all)",
                  "give a bzImage (vmlinuz) or an uncompressed vmlinux for x86-64", err);
}

int boot_kernel_recognise(const struct boot_file *file, enum boot_kernel_format *format, struct err *err)
{
    if (file->length == 0)
        return err_fail_because(err, -ENODATA,
                                &(struct err_context){"start kernel", file->name, "fetch or copy the file again"},
                                "the file is empty");
    if (has_bytes(file, 0x202, "HdrS", 4) && has_bytes(file, 0x1fe, "\x55\xaa", 2)) {
        *format = BOOT_KERNEL_BZIMAGE;
        return 0;
    }
    if (has_bytes(file, 0, "\177ELF", 4)) {
        *format = BOOT_KERNEL_ELF;
        return 0;
    }
    return refuse_unknown(file, err);
}

int boot_kernel_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                     struct boot_kernel *out, struct err *err)
{
    enum boot_kernel_format format;
    int error = boot_kernel_recognise(file, &format, err);
    if (error != 0)
        return error;
    if (format == BOOT_KERNEL_BZIMAGE)
        return boot_bzimage_load(file, wanted, parts, out, err);
    return boot_elf_load(file, wanted, parts, out, err);
}
