/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * bzImage: real-mode code with the setup header, then the protected-mode part, which unpacks the kernel in place.
 * Source: Linux, Documentation/arch/x86/boot.rst. Demanded: protocol 2.12 (Linux 3.8) with the 64-bit entry.
 */
#ifndef CAISSON_BOOT_BZIMAGE_H
#define CAISSON_BOOT_BZIMAGE_H

#include "boot/kernel.h"

/* Offsets in the file's first sectors and, the same, in the zero page. */
#define BOOT_HDR_START            0x1f1u
#define BOOT_HDR_SETUP_SECTS      0x1f1u
#define BOOT_HDR_SYSSIZE          0x1f4u /* in 16 bytes */
#define BOOT_HDR_VID_MODE         0x1fau
#define BOOT_HDR_BOOT_FLAG        0x1feu
#define BOOT_HDR_JUMP             0x200u /* the second byte is the header's length beyond 202h */
#define BOOT_HDR_MAGIC            0x202u
#define BOOT_HDR_VERSION          0x206u
#define BOOT_HDR_TYPE_OF_LOADER   0x210u
#define BOOT_HDR_LOADFLAGS        0x211u
#define BOOT_HDR_CODE32_START     0x214u
#define BOOT_HDR_RAMDISK_IMAGE    0x218u
#define BOOT_HDR_RAMDISK_SIZE     0x21cu
#define BOOT_HDR_CMD_LINE_PTR     0x228u
#define BOOT_HDR_INITRD_ADDR_MAX  0x22cu
#define BOOT_HDR_KERNEL_ALIGNMENT 0x230u
#define BOOT_HDR_RELOCATABLE      0x234u
#define BOOT_HDR_XLOADFLAGS       0x236u
#define BOOT_HDR_CMDLINE_SIZE     0x238u
#define BOOT_HDR_SETUP_DATA       0x250u
#define BOOT_HDR_PREF_ADDRESS     0x258u
#define BOOT_HDR_INIT_SIZE        0x260u
#define BOOT_HDR_LEAST_END        0x264u /* end of what is read here */
#define BOOT_HDR_END_MAX          0x290u /* the zero page has other things from here on */

#define BOOT_HDR_LOADED_HIGH  0x01u /* loadflags */
#define BOOT_XLF_KERNEL_64    0x01u /* xloadflags */
#define BOOT_BZIMAGE_ENTRY_64 0x200u

/* Place the protected-mode part at the address that the kernel prefers. Errors: see kernel.h. */
int boot_bzimage_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                      struct boot_kernel *out, struct err *err);

#endif
