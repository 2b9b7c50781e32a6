/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The list of everything that is written to guest memory before the first instruction. What is not in the list is
 * zero. Whoever loads a machine and whoever measures it walk the same list, so nothing can be loaded unmeasured.
 *
 * Small tables live in an arena that belongs to the list; kernel and ramdisks stay where the caller has them (usually
 * a mapped file) and are only pointed to.
 *
 * Threads: a list belongs to one thread; once built it is const and may be read by any.
 */
#ifndef CAISSON_BOOT_PARTS_H
#define CAISSON_BOOT_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "boot/layout.h"
#include "common/err.h"
#include "common/gpa.h"

/* A file in memory. The caller owns the bytes and keeps them until the image is gone; nobody else may change them. */
struct boot_file {
    const uint8_t *bytes;
    size_t length;
    const char *name; /* for messages: path or title; not NULL */
};

enum boot_part_kind {
    BOOT_PART_GDT,
    BOOT_PART_PAGE_TABLES,
    BOOT_PART_START_INFO, /* PVH */
    BOOT_PART_ZERO_PAGE,
    BOOT_PART_CMDLINE,
    BOOT_PART_ACPI,
    BOOT_PART_RESTART,
    BOOT_PART_KERNEL,
    BOOT_PART_INITRD,
};

struct boot_part {
    gpa_t gpa;
    const uint8_t *bytes; /* in the arena, or the caller's file */
    uint64_t length;
    uint64_t zero_tail; /* bytes behind them that must read as zero: a kernel's BSS, padding of a ramdisk */
    enum boot_part_kind kind;
};

#define BOOT_PARTS_MAX   112u
#define BOOT_ARENA_BYTES (256 * BOOT_KIB)

/* Zeroed is empty: boot_parts_fini accepts it. */
struct boot_parts {
    struct boot_part part[BOOT_PARTS_MAX]; /* in the order they were added */
    size_t count;
    struct boot_range ram[2];
    unsigned ram_count;
    uint8_t *arena; /* BOOT_ARENA_BYTES, owned */
    size_t arena_used;
};

/*
 * Start an empty list for a machine with memory_bytes of RAM. Returns 0, or -ENOMEM with *parts zeroed.
 * boot_parts_fini releases it.
 */
int boot_parts_init(struct boot_parts *parts, uint64_t memory_bytes, struct err *err);

/* Release the arena and zero the list. */
void boot_parts_fini(struct boot_parts *parts);

/* Zeroed bytes from the arena, valid until boot_parts_fini; NULL and *err (-ENOMEM) when it is used up. */
uint8_t *boot_parts_alloc(struct boot_parts *parts, size_t bytes, struct err *err);

/*
 * Add a part. Parts with neither bytes nor tail are left out.
 * Returns 0; -EINVAL if it does not lie in RAM or overlaps an earlier part, -E2BIG if the list is full. The list is
 * then unchanged.
 */
int boot_parts_add(struct boot_parts *parts, const struct boot_part *part, struct err *err);

/* Name of a kind for messages and logs: "kernel". */
const char *boot_part_kind_name(enum boot_part_kind kind);

#endif
