/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Operand values that find mistakes: corners of the number ranges, of both integers and floats.
 */
#ifndef CAISSON_TESTS_X86DIFF_VALUES_H
#define CAISSON_TESTS_X86DIFF_VALUES_H

#include "tests/x86diff/rng.h"

/* An integer: corners, powers of two and neighbours, small ones, or any. */
uint64_t value_int(struct rng *r);
/* A float in its bits: zero, denormal, one, integers, limits, infinity, quiet and signalling NaN, or any. */
uint32_t value_f32(struct rng *r);
uint64_t value_f64(struct rng *r);
/* An 80-bit float, unnormals and pseudo-denormals too; ten bytes. */
void value_f80(struct rng *r, uint8_t out[10]);
/* Eighteen packed decimal digits and a sign, mostly valid; ten bytes. */
void value_bcd(struct rng *r, uint8_t out[10]);
/* Sixteen bytes of one kind: integers, floats, doubles. */
void value_vec(struct rng *r, uint8_t out[16]);

#endif
