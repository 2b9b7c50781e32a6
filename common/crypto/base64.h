/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Base64 as RFC 4648 has it: section 4 with padding, section 5 ("url") without. Decoding is strict: no blanks or line
 * ends, no other alphabet, bits that mean nothing are 0. Pure.
 */
#ifndef CAISSON_COMMON_CRYPTO_BASE64_H
#define CAISSON_COMMON_CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of n bytes, with padding, without a NUL. */
#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* Write with a NUL; returns the characters. out: BASE64_LENGTH(n) + 1. */
size_t base64_encode(const void *bytes, size_t n, char *out);
size_t base64_url_encode(const void *bytes, size_t n, char *out);
/* n characters at text. Returns the bytes, or -EBADMSG; out: n * 3 / 4 bytes suffice. */
int64_t base64_decode(const char *text, size_t n, uint8_t *out);
int64_t base64_url_decode(const char *text, size_t n, uint8_t *out);

#endif
