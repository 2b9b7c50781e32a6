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
const char *mshv_name_intercept(uint32_t type);        /* enum hv_intercept_type */
const char *mshv_name_interrupt(uint32_t type);        /* enum hv_interrupt_type */
const char *mshv_name_translation(uint32_t result);    /* enum hv_translate_gva_result_code */
const char *mshv_name_gpa_access(uint32_t result);     /* enum hv_access_gpa_result_code */
const char *mshv_name_cache_type(uint32_t type);       /* enum hv_cache_type */
const char *mshv_name_vp_state(uint32_t type);         /* MSHV_VP_STATE_* */
const char *mshv_name_vp_mmap(uint64_t offset_pages);  /* MSHV_VP_MMAP_OFFSET_* */
const char *mshv_name_gpap_access_type(uint32_t type); /* MSHV_GPAP_ACCESS_TYPE_* */
const char *mshv_name_gpap_access_op(uint32_t op);     /* MSHV_GPAP_ACCESS_OP_* */

/* The errno, positive, that the driver makes of a status; EIO for one it does not know, 0 for success. */
int mshv_status_errno(uint32_t status);

#endif
