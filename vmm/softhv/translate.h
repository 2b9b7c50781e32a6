/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * HVCALL_TRANSLATE_VIRTUAL_ADDRESS: a walk of the guest's page tables on the client's behalf, over a VP's state as it
 * is, without the processor's caches.
 *
 * Flags HV_TRANSLATE_GVA_VALIDATE_READ, _WRITE, _EXECUTE say which accesses must be permitted; with none only presence
 * counts. Whose: SUPERVISOR_ACCESS, USER_ACCESS, both (each must be permitted), neither (the VP's present level);
 * PRIVILEGE_EXEMPT: nobody's, only the write and execute permissions the tables give a supervisor matter. For a
 * supervisor SMAP counts with ENFORCE_SMAP, does not with OVERRIDE_SMAP, and follows EFLAGS.AC with neither.
 * SET_PAGE_TABLE_BITS sets accessed bits, and the dirty bit when writing is validated, after all has been found good.
 *
 * A GPA found by the walk is reported whether there is memory or not: GPA_UNMAPPED, NO_READ_ACCESS and NO_WRITE_ACCESS
 * speak only of tables that cannot be reached. uncertain: clients that translate the addresses of devices depend on it.
 *
 * Threads: the VP must not run. Others may change the tables meanwhile; the walk then sees one state or the other of
 * each entry. Source: TLFS, HvCallTranslateVirtualAddress; Intel SDM volume 3, 4.3 to 4.6.
 */
#ifndef CAISSON_VMM_SOFTHV_TRANSLATE_H
#define CAISSON_VMM_SOFTHV_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/x86/cpu.h"

/* Page tables in guest memory. */
struct softhv_translate_ops {
    /*
     * Read an entry of 4 or 8 bytes, at a multiple of that, in one piece. Zero, or the result code to report:
     * GPA_UNMAPPED, GPA_NO_READ_ACCESS.
     */
    int (*read)(void *ctx, uint64_t gpa, unsigned bytes, uint64_t *value);
    /*
     * Replace it, if it is still `old`, atomically. 0 with *same saying so, or GPA_UNMAPPED, GPA_NO_WRITE_ACCESS. NULL:
     * no bit is ever set.
     */
    int (*replace)(void *ctx, uint64_t gpa, unsigned bytes, uint64_t old, uint64_t value, bool *same);
};

struct softhv_translate_view {
    const struct x86_state *state;
    uint8_t phys_bits;
    bool page_1g, pse36; /* features X86_F_PDPE1GB, X86_F_PSE36 */
    const struct softhv_translate_ops *ops;
    void *ctx;
};

/*
 * Translate one address. in: the client's input, partition and VP not looked at. SUCCESS with *out, whatever the walk
 * found; INVALID_PARAMETER: flags that do not exist, or a VTL other than 0.
 */
enum hv_status softhv_translate(const struct softhv_translate_view *v,
                                const struct hv_input_translate_virtual_address *in,
                                struct hv_output_translate_virtual_address *out);

#endif
