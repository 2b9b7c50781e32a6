/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of virtio devices on PCI: which kinds there are, in which slots, and what follows from a slot. A guest sees
 * all of these numbers and a measured boot counts on them, so they are written down here and nowhere derived from what
 * a machine has: a second disk is in slot 9 whether or not there is a network.
 *
 *     slot 1 console, 2 vsock, 3 rng, 4 balloon, 8 to 15 blk, 16 to 19 fs, 20 to 23 net; 0 is the host bridge
 *     BAR  BOOT_PCI32_GPA + slot * 64 KiB
 *     GSIs 32 + slot * 32, one for each interrupt vector; the I/O APIC's are below
 *
 * Pure functions.
 */
#ifndef CAISSON_VMM_DEVICES_TABLE_H
#define CAISSON_VMM_DEVICES_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/gpa.h"

enum device_kind {
    DEVICE_CONSOLE,
    DEVICE_VSOCK,
    DEVICE_RNG,
    DEVICE_BALLOON,
    DEVICE_BLK,
    DEVICE_FS,
    DEVICE_NET,
    DEVICE_KINDS,
};

#define DEVICE_SLOTS         32u
#define DEVICE_BAR_STRIDE    UINT64_C(0x10000)
#define DEVICE_FIRST_GSI     32u
#define DEVICE_GSIS_PER_SLOT 32u

struct device_place {
    unsigned slot;
    gpa_t bar;          /* DEVICE_BAR_STRIDE bytes belong to the slot */
    uint32_t first_gsi; /* DEVICE_GSIS_PER_SLOT belong to it */
};

/* As options call it. */
const char *device_kind_name(enum device_kind kind);

/* How many of a kind a machine can have. */
unsigned device_kind_count(enum device_kind kind);

/* Where number `instance` of a kind is. False, with *out untouched: there is no such number. */
bool device_table_place(enum device_kind kind, unsigned instance, struct device_place *out);

#endif
