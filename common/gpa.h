/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_GPA_H
#define CAISSON_COMMON_GPA_H

/*
 * Guest addresses. They are structs of one member so that the compiler refuses to dereference them, to add a length to
 * them unchecked, or to pass a virtual address where a physical one is meant. Only the module that owns guest memory
 * turns a gpa_t into a host pointer, always together with a length.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/checked.h"

#define GUEST_PAGE_SHIFT 12
#define GUEST_PAGE_BYTES (UINT64_C(1) << GUEST_PAGE_SHIFT)

/* Guest physical address, in bytes. */
typedef struct {
    uint64_t value;
} gpa_t;

/* Guest virtual (linear) address, in bytes. */
typedef struct {
    uint64_t value;
} gva_t;

static inline gpa_t gpa_make(uint64_t value)
{
    return (gpa_t){value};
}

static inline gva_t gva_make(uint64_t value)
{
    return (gva_t){value};
}

/* Number of the page that holds the address: what the hypervisor ABI calls a GPFN. */
static inline uint64_t gpa_page_number(gpa_t gpa)
{
    return gpa.value >> GUEST_PAGE_SHIFT;
}

/* Bytes from the start of the page to the address, 0..4095. */
static inline uint64_t gpa_page_offset(gpa_t gpa)
{
    return gpa.value & (GUEST_PAGE_BYTES - 1);
}

static inline uint64_t gva_page_number(gva_t gva)
{
    return gva.value >> GUEST_PAGE_SHIFT;
}

static inline uint64_t gva_page_offset(gva_t gva)
{
    return gva.value & (GUEST_PAGE_BYTES - 1);
}

/*
 * gpa + bytes, for addresses and lengths that a guest chose.
 * Returns true and writes *out, or false and leaves *out alone if the sum does not fit in 64 bits.
 */
CHECKED_RESULT static inline bool gpa_add(gpa_t gpa, uint64_t bytes, gpa_t *out)
{
    uint64_t sum;
    if (!checked_add_u64(gpa.value, bytes, &sum)) {
        return false;
    }
    out->value = sum;
    return true;
}

#endif
