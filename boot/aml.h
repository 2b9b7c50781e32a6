/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A small writer of AML, the byte code in ACPI's DSDT: as much as it takes to describe devices and their resources.
 * What contains something is opened and closed; closing puts its length in front of it, in the shortest encoding.
 *
 *     size_t device = aml_open_device(a, "COM1");
 *     aml_name_eisa_id(a, "_HID", "PNP0501");
 *     size_t resources = aml_open_resources(a);
 *     aml_io(a, 0x3f8, 8);
 *     aml_close_resources(a, resources);
 *     aml_close(a, device);
 *
 * When the buffer is full the writer fails and stays failed; callers look once, at the end. Names are four letters of
 * our own making; wrong ones are our bug and assert. Source: ACPI 6.5, chapters 6.4 and 20.2.
 */
#ifndef CAISSON_BOOT_AML_H
#define CAISSON_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *bytes; /* borrowed */
    size_t size;
    size_t length; /* written */
    bool failed;   /* something did not fit; the content is of no use */
};

/* Write into size bytes at bytes, which the caller owns. */
void aml_init(struct aml *a, uint8_t *bytes, size_t size);

/* ---- Containers; each open returns what its close wants. ---- */

/* At the top level of a table: "_SB_" means \_SB. */
size_t aml_open_scope(struct aml *a, const char *name);
size_t aml_open_device(struct aml *a, const char *name);
void aml_close(struct aml *a, size_t mark);

/* Name (_CRS, ResourceTemplate () {...}) */
size_t aml_open_resources(struct aml *a);
void aml_close_resources(struct aml *a, size_t mark);

/* ---- Name (name, value) ---- */

void aml_name_integer(struct aml *a, const char *name, uint64_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);
/* id: three capital letters and four hexadecimal digits, stored as EisaId () does. */
void aml_name_eisa_id(struct aml *a, const char *name, const char *id);
/* A package of small integers; count at most 255. */
void aml_name_package(struct aml *a, const char *name, const uint8_t *values, uint8_t count);

/* ---- Resources ---- */

/* I/O ports port to port + count - 1, fully decoded. */
void aml_io(struct aml *a, uint16_t port, uint8_t count);
/* One interrupt input: edge-triggered, active high, exclusive, consumed by this device. */
void aml_interrupt_edge_high(struct aml *a, uint32_t gsi);
/* Memory at a fixed address, read-write. */
void aml_memory32_fixed(struct aml *a, uint32_t gpa, uint32_t bytes);
/* What a bridge hands on: bus numbers first to last; memory, both ends included, not empty. */
void aml_bus_numbers(struct aml *a, uint8_t first, uint8_t last);
void aml_window32(struct aml *a, uint32_t gpa, uint32_t bytes);
/* The same above 4 GiB, prefetchable. */
void aml_window64(struct aml *a, uint64_t gpa, uint64_t bytes);

#endif
