/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The initial ramdisk: several files one behind the other, which Linux unpacks in this order, a later file replacing
 * what an earlier one brought. Each may be a cpio archive or a packed one. The whole lies as high in low RAM as the
 * kernel allows, so that the kernel can grow below it.
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst: a cpio header starts at a multiple of 4.
 */
#ifndef CAISSON_BOOT_INITRD_H
#define CAISSON_BOOT_INITRD_H

#include <stddef.h>

#include "boot/kernel.h"
#include "boot/parts.h"

#define BOOT_INITRDS_MAX 16u

/*
 * Add the files to the list. files: borrowed by the list, in the order of unpacking; count 0 is fine.
 * *where: where they lie and their sum with padding; zeros without files. Returns 0; -EINVAL for too many files,
 * -ENODATA for an empty one, -E2BIG when kernel and ramdisk do not fit, or what boot_parts_add says.
 */
int boot_initrd_place(const struct boot_file *files, size_t count, const struct boot_kernel *kernel,
                      struct boot_parts *parts, struct boot_range *where, struct err *err);

#endif
