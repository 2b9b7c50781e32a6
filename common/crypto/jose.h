/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What JWS and JWE share: their protected header, read from base64url of JSON that anybody may have written. A header
 * has the members that its reader knows and no others, so nothing in it is ever passed over: "crit", "zip", "b64",
 * "jwk" and "x5u" are refused as everything unknown is. Pure. Source: RFC 7515, 4; RFC 7517, 4.
 */
#ifndef CAISSON_COMMON_CRYPTO_JOSE_H
#define CAISSON_COMMON_CRYPTO_JOSE_H

#include <jansson.h>

#include "common/crypto/key.h"

#define JOSE_HEADER_MAX 2048u /* characters of base64url */

/*
 * Read a header of n characters. members: names that may be there, ends with NULL. *out: an object, the caller's.
 * 0; -ENOMEM; -EBADMSG: too long, no base64url, no JSON object, a name twice, or one that may not be there.
 */
int jose_header_read(const char *text, size_t n, const char *const *members, json_t **out);
/* The text of a member, borrowed; NULL: it is not there or no text. */
const char *jose_text(const json_t *object, const char *name);
/* A member that may be there is a text. */
bool jose_text_or_nothing(const json_t *object, const char *name);
/* The bytes of a member in base64url, at most `size`. Returns how many, or -EBADMSG. */
int64_t jose_bytes(const json_t *object, const char *name, uint8_t *out, size_t size);

/* A key of P-256 in an object with kty, crv, x and y only. 0, -EBADMSG or -ENOMEM. */
int jose_key_read(const json_t *object, struct pubkey **out);

/*
 * A public key as JSON with members in alphabetical order and no white space: what RFC 7638 has digested. With a NUL.
 */
#define JOSE_KEY_MAX 800u
size_t jose_key_write(const struct pubkey *key, char out[JOSE_KEY_MAX]);

#endif
