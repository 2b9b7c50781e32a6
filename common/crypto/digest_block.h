/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The compression functions of SHA-256 and SHA-512 (of which SHA-384 is a part) with instructions that not every
 * processor has: the SHA extensions, and AVX2 with BMI. For digest.c only. Source: FIPS 180-4, 6.2 and 6.4.
 *
 * Pure. Any thread.
 */
#ifndef CAISSON_COMMON_CRYPTO_DIGEST_BLOCK_H
#define CAISSON_COMMON_CRYPTO_DIGEST_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BLOCK_SHA256 64u
#define DIGEST_BLOCK_SHA512 128u

/* Whether this processor, and the kernel for AVX's registers, can do it. Asks CPUID, which is slow in a guest. */
bool digest_block_has_sha256(void);
bool digest_block_has_sha512(void);

/* Whole blocks into a state. Not to be called without the above. */
void digest_block_sha256(uint32_t state[8], const uint8_t *bytes, size_t blocks);
void digest_block_sha512(uint64_t state[8], const uint8_t *bytes, size_t blocks);

#endif
