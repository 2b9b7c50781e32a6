/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files of key.h share and nobody else needs. A public key is kept as its bytes, in one form only, and becomes
 * mbedTLS's structures for as long as a call takes: so two keys are equal if their bytes are, and what is written is
 * what was checked.
 */
#ifndef CAISSON_COMMON_CRYPTO_KEY_PARTS_H
#define CAISSON_COMMON_CRYPTO_KEY_PARTS_H

#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>

#include "common/crypto/key.h"

#define KEY_COORDINATE_MAX 48u
#define KEY_RSA_EXPONENT   65537
#define KEY_RSA_BYTES_MIN  256u

struct pubkey {
    enum key_kind kind;
    uint8_t raw[KEY_SIGNATURE_MAX]; /* X || Y, or the modulus */
    size_t length;
};

size_t key_coordinate_bytes(enum key_kind kind); /* 32, 48; 0 for RSA */
mbedtls_ecp_group_id key_group_id(enum key_kind kind);
mbedtls_md_type_t key_md(enum digest_alg hash);

/*
 * From the bytes of another place into *out. 0; -EINVAL: not on the curve, or a modulus that is even, smaller than 2048
 * bits, greater than 4096 or whose bits do not fill bytes; -ENOMEM.
 */
int pubkey_set(enum key_kind kind, const uint8_t *raw, size_t n, struct pubkey *out);
/* 0x04 || X || Y. Returns the length. out: 1 + 2 * KEY_COORDINATE_MAX. */
size_t pubkey_point(const struct pubkey *key, uint8_t *out);
/* Group and point, both initialised by the caller, who frees them. 0 or mbedTLS's error. */
int pubkey_to_point(const struct pubkey *key, mbedtls_ecp_group *group, mbedtls_ecp_point *point);
int pubkey_to_rsa(const struct pubkey *key, mbedtls_rsa_context *rsa);
/* Make s the lesser of s and order - s. *was_high: whether it was not; may be NULL. 0 or mbedTLS's error. */
int key_lower_s(const mbedtls_ecp_group *group, mbedtls_mpi *s, bool *was_high);

#endif
