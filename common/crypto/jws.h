/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Detached signatures of documents: a JSON Web Signature in compact form without its payload, "HEADER..SIGNATURE".
 * Algorithms: ES256, ES384, RS256 by the key. The header is {"alg":...,"kid":...} and nothing that is critical; what is
 * not known, doubled or critical is refused. Source: RFC 7515, 7.1 and appendix F; RFC 7518, 3.
 */
#ifndef CAISSON_COMMON_CRYPTO_JWS_H
#define CAISSON_COMMON_CRYPTO_JWS_H

#include "common/crypto/key.h"

#define JWS_MAX 2048u

/* kid: the RFC 7638 thumbprint of the key is used. out: JWS_MAX, with a NUL. 0 or -errno with *err. */
int jws_sign(struct key *key, const void *payload, size_t n, char *out, struct err *err);
/* The same from a signature that was made elsewhere over jws_signing_input's bytes. */
int jws_attach(const struct pubkey *key, const struct key_signature *s, char *out, struct err *err);
/* What has to be signed: malloc'ed. */
int jws_signing_input(const struct pubkey *key, const void *payload, size_t n, char **out, size_t *length,
                      struct err *err);

/*
 * Verify against any of `count` keys; one newline at the end of jws is allowed. 0 with *which: the key's index;
 * -EBADMSG: no such form, or no key of these made it.
 */
int jws_verify(const char *jws, size_t jws_bytes, const void *payload, size_t n, const struct pubkey *const *keys,
               size_t count, size_t *which, struct err *err);

/* RFC 7638 thumbprint, base64url: 43 characters and a NUL. */
void jws_thumbprint(const struct pubkey *key, char out[44]);

#endif
