/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_CHECKED_H
#define CAISSON_COMMON_CHECKED_H

/*
 * Arithmetic on numbers that somebody else chose. Each function returns true and writes *out, or returns false and
 * leaves *out alone when the true result does not fit. The compiler warns when the verdict is ignored.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKED_RESULT __attribute__((warn_unused_result))

CHECKED_RESULT static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

CHECKED_RESULT static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

CHECKED_RESULT static inline bool checked_add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

CHECKED_RESULT static inline bool checked_mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/* True if alignment is a power of two, which the functions below demand. */
static inline bool checked_is_alignment(uint64_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

static inline bool checked_is_aligned(uint64_t value, uint64_t alignment)
{
    return checked_is_alignment(alignment) && (value & (alignment - 1)) == 0;
}

/* Round up to a multiple of alignment. False if alignment is no power of two or the result does not fit. */
CHECKED_RESULT static inline bool checked_align_up_u64(uint64_t value, uint64_t alignment, uint64_t *out)
{
    uint64_t raised;
    if (!checked_is_alignment(alignment) || !checked_add_u64(value, alignment - 1, &raised)) {
        return false;
    }
    *out = raised & ~(alignment - 1);
    return true;
}

/* True if [start, start + length) lies inside [0, limit) and does not wrap; an empty range may start at the limit. */
CHECKED_RESULT static inline bool checked_range_fits(uint64_t start, uint64_t length, uint64_t limit)
{
    return start <= limit && length <= limit - start;
}

#endif
