/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Digests for measurements: SHA-256 and SHA-384 of the same bytes, the two banks of docs/trust.md. Where the processor
 * has instructions for it (digest_block.h), they are used; elsewhere the code is mbedTLS's. Source: FIPS 180-4.
 *
 * Nothing here fails. Any thread. Messages of less than 2^61 bytes.
 */
#ifndef CAISSON_COMMON_CRYPTO_DIGEST_H
#define CAISSON_COMMON_CRYPTO_DIGEST_H

#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256_BYTES 32u
#define DIGEST_SHA384_BYTES 48u
#define DIGEST_BYTES_MAX    48u
#define DIGEST_BANKS        2u

/* The order of banks everywhere: logs, selections, arrays. */
enum digest_alg { DIGEST_SHA256, DIGEST_SHA384 };

/* Both banks of one thing. */
struct digest {
    uint8_t sha256[DIGEST_SHA256_BYTES];
    uint8_t sha384[DIGEST_SHA384_BYTES];
};

size_t digest_bytes(enum digest_alg alg);     /* 32 or 48 */
const char *digest_name(enum digest_alg alg); /* "sha256", "sha384" */
const uint8_t *digest_of_bank(const struct digest *d, enum digest_alg alg);

void digest_make(const void *bytes, size_t n, struct digest *out);
/* One bank. out: digest_bytes(alg). */
void digest_one(enum digest_alg alg, const void *bytes, size_t n, uint8_t *out);

/* Bytes that come in pieces, one bank. */
struct digest_stream {
    enum digest_alg alg;
    bool by_processor;
    uint64_t length;
    union {
        uint32_t sha256[8];
        uint64_t sha512[8]; /* SHA-384 is SHA-512 cut short */
    } state;                /* with by_processor, else soft */
    uint8_t block[128];
    union {
        mbedtls_sha256_context sha256;
        mbedtls_sha512_context sha512;
    } soft;
};
void digest_stream_init(struct digest_stream *s, enum digest_alg alg);
/* The same without special instructions; for comparing the two. */
void digest_stream_init_soft(struct digest_stream *s, enum digest_alg alg);
void digest_stream_add(struct digest_stream *s, const void *bytes, size_t n);
/* out: digest_bytes(alg). The stream is wiped. */
void digest_stream_end(struct digest_stream *s, uint8_t *out);

/* Lower-case hexadecimal with a NUL: out has 2 * n + 1 bytes. */
void digest_to_hex(const uint8_t *bytes, size_t n, char *out);
/* Exactly 2 * n hexadecimal digits of either case and then a NUL; false otherwise. */
bool digest_from_hex(const char *text, uint8_t *out, size_t n);

#endif
