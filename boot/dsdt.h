/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The body of the DSDT: the devices of a machine as AML. Each device carries what its Linux driver matches and wants,
 * nothing else; see docs/boot.md for the list.
 */
#ifndef CAISSON_BOOT_DSDT_H
#define CAISSON_BOOT_DSDT_H

#include <stddef.h>
#include <stdint.h>

#include "boot/acpi.h"

/*
 * Write the AML that belongs behind the table's header. devices: checked. out: size bytes, owned by the caller.
 * Returns the bytes written, 0 if they do not fit.
 */
size_t boot_dsdt_write(const struct boot_devices *devices, uint8_t *out, size_t size);

#endif
