/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_NAMES_H
#define CAISSON_VMM_MSHV_NAMES_H

/*
 * Names of the ABI's numbers, for texts and traces, as abi.h spells them. Each returns a string that lives for ever,
 * NULL for a number without a name. Pure; any thread.
 */

#include <stdint.h>

const char *mshv_name_hvcall(uint32_t code);
const char *mshv_name_status(uint32_t status);
const char *mshv_name_property(uint32_t code);
const char *mshv_name_register(uint32_t name);
const char *mshv_name_message(uint32_t type);

/* The errno, positive, that the driver makes of a status; EIO for one it does not know, 0 for success. */
int mshv_status_errno(uint32_t status);

#endif
