/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Secrets encrypted to a P-256 key: JSON Web Encryption, compact form, "alg":"ECDH-ES", "enc":"A256GCM". Any JOSE
 * library makes them; nothing else is read. Source: RFC 7516, 7.1; RFC 7518, 4.6 and 5.3; NIST SP 800-56A, 5.8.1.
 */
#ifndef CAISSON_COMMON_CRYPTO_JWE_H
#define CAISSON_COMMON_CRYPTO_JWE_H

#include "common/crypto/key.h"

#define JWE_MAX       65536u
#define JWE_PLAIN_MAX 32768u

/*
 * *out: malloc'ed, *length bytes and a NUL; the caller wipes and frees it. 0; -EBADMSG: it is none, was
 * changed, or is for another key; -EINVAL: the key is not on P-256; -ENOMEM; with *err.
 */
int jwe_decrypt(struct key *key, const char *jwe, size_t n, uint8_t **out, size_t *length, struct err *err);
/*
 * *out: malloc'ed, with a NUL. 0; -EINVAL: the key is not on P-256, or more than JWE_PLAIN_MAX bytes; -errno; with
 * *err.
 */
int jwe_encrypt(const struct pubkey *key, const void *plain, size_t n, char **out, struct err *err);

#endif
