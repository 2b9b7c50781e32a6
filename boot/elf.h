/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * ELF kernels: each PT_LOAD segment goes to its physical address, the rest of its memory size reads as zero.
 * Sources: System V ABI, chapters 4 and 5, with the AMD64 supplement; Xen, docs/misc/pvh.pandoc and
 * xen/include/public/elfnote.h (note type 18, XEN_ELFNOTE_PHYS32_ENTRY).
 */
#ifndef CAISSON_BOOT_ELF_H
#define CAISSON_BOOT_ELF_H

#include "boot/kernel.h"

#define BOOT_ELF_SEGMENTS_MAX 64u
#define BOOT_ELF_NOTES_MAX    (64 * BOOT_KIB) /* bytes of notes that are looked through */

/* Place the segments and choose the entry. Errors: see kernel.h. */
int boot_elf_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                  struct boot_kernel *out, struct err *err);

#endif
