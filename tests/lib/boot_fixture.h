/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Kernels made by hand for the tests of boot/: small, valid, and easy to damage.
 */
#ifndef CAISSON_TESTS_LIB_BOOT_FIXTURE_H
#define CAISSON_TESTS_LIB_BOOT_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"

#define BOOT_FIXTURE_BYTES 0x4000u

/* A file that a test may change before it loads it; `file` points into it. */
struct boot_fixture {
    uint8_t bytes[BOOT_FIXTURE_BYTES];
    struct boot_file file;
};

/* bzImage: protocol 2.15, one setup sector, 0x2000 bytes of payload, preferred at 16 MiB, init_size 4 MiB. */
#define BOOT_FIXTURE_PAYLOAD_OFFSET 0x400u
#define BOOT_FIXTURE_PAYLOAD_BYTES  0x2000u
#define BOOT_FIXTURE_PREF_GPA       UINT64_C(0x1000000)
#define BOOT_FIXTURE_INIT_BYTES     UINT32_C(0x400000)
void boot_fixture_bzimage(struct boot_fixture *f);

/*
 * vmlinux: segment 0 is a note, 1 is code at 16 MiB (0x1000 bytes), 2 is data at 18 MiB (0x800 bytes and as much BSS).
 * The 64-bit entry is the start of the code, the PVH entry 0x100 behind it, as 8 bytes.
 */
#define BOOT_FIXTURE_CODE_GPA      UINT64_C(0x1000000)
#define BOOT_FIXTURE_DATA_GPA      UINT64_C(0x1200000)
#define BOOT_FIXTURE_PVH_ENTRY     UINT64_C(0x1000100)
#define BOOT_FIXTURE_TABLE_OFFSET  0x40u
#define BOOT_FIXTURE_SEGMENT_BYTES 56u
#define BOOT_FIXTURE_NOTE_OFFSET   0x800u
#define BOOT_FIXTURE_CODE_OFFSET   0x1000u
#define BOOT_FIXTURE_DATA_OFFSET   0x2000u
void boot_fixture_elf(struct boot_fixture *f);

/* Address of a segment's entry in the table. */
uint8_t *boot_fixture_segment(struct boot_fixture *f, unsigned index);

/* The byte that a list of parts puts at an address, with zeros where nothing is loaded. */
uint8_t boot_fixture_byte(const struct boot_parts *parts, uint64_t gpa);

/* The part of a kind; its index-th. NULL if there are fewer. */
const struct boot_part *boot_fixture_part(const struct boot_parts *parts, enum boot_part_kind kind, unsigned index);

/*
 * What must hold for every image, whoever made its kernel: parts lie in RAM and apart from each other, the first
 * instruction is in bytes of the kernel. Returns NULL, or what is wrong.
 */
const char *boot_fixture_unsound(const struct boot_image *image);

#endif
