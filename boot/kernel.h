/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Kernels: what a file is, and what it needs in memory. Two formats can be started:
 *
 *     bzImage   Linux's own, with its loader and decompressor in front; entered in 64-bit mode
 *     ELF       an uncompressed vmlinux; entered by PVH (32-bit, a note in the file names the address), or in 64-bit
 *               mode at its ELF entry
 *
 * Everything else is refused with words that say what the file is and what to give instead. Files come from anybody:
 * every number in them is checked before it is used.
 *
 * Errors, the same for all loaders: -ENOEXEC the file is no kernel that can be started here; -ENODATA it is cut short;
 * -EINVAL its numbers contradict each other, or the wanted protocol is not in it; -E2BIG the machine's memory is too
 * small for it. After an error the list of parts is of no use and the caller ends it.
 */
#ifndef CAISSON_BOOT_KERNEL_H
#define CAISSON_BOOT_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "boot/parts.h"
#include "common/err.h"

enum boot_protocol {
    BOOT_PROTOCOL_AUTO,    /* PVH if the kernel is an ELF file that has the note, else 64-bit */
    BOOT_PROTOCOL_PVH,     /* Xen's "x86/HVM direct boot ABI" */
    BOOT_PROTOCOL_LINUX64, /* Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol" */
};

enum boot_kernel_format {
    BOOT_KERNEL_BZIMAGE,
    BOOT_KERNEL_ELF,
};

/* What the rest of the boot needs to know about a loaded kernel. */
struct boot_kernel {
    enum boot_protocol protocol; /* PVH or LINUX64 */
    uint64_t entry_gpa;          /* first instruction */
    uint64_t end_gpa;            /* first byte behind what the kernel uses before it knows the memory map */
    uint64_t initrd_limit_gpa;   /* first byte that no ramdisk may reach */
    uint32_t cmdline_max;        /* characters, without the NUL */
    const uint8_t *setup_header; /* a bzImage's, from its offset 1F1h; borrowed from the file; NULL for ELF */
    size_t setup_header_bytes;
};

/* x86's COMMAND_LINE_SIZE is 2048 including the NUL, in all versions; an ELF file cannot say so itself. */
#define BOOT_KERNEL_CMDLINE_MAX 2047u
/* What bzImages say in initrd_addr_max; for ELF the same. */
#define BOOT_KERNEL_INITRD_LIMIT UINT64_C(0x80000000)

/* Tell what a file is by its content. *format is written on success only. Pure. */
int boot_kernel_recognise(const struct boot_file *file, enum boot_kernel_format *format, struct err *err);

/*
 * Recognise, check and place a kernel: adds its parts to the list, which must know the machine's RAM.
 * file: borrowed by the list. wanted: AUTO, or the protocol that must be used.
 */
int boot_kernel_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                     struct boot_kernel *out, struct err *err);

/* The end of RAM below the hole: no kernel or ramdisk is placed beyond. */
static inline uint64_t boot_kernel_ram_end(const struct boot_parts *parts)
{
    return parts->ram[0].bytes;
}

#endif
