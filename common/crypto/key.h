/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keys for signatures and key agreement, over mbedTLS: ECDSA on P-256 and P-384, and RSA of 2048 to 4096 bits for
 * verifiers that know nothing else. A private key lies in pages of its own that are locked, left out of dumps and wiped
 * when it goes; it is never printed, and no function gives it out but key_private_pem for a file of its owner's.
 *
 * Signatures are raw: r || s of fixed width, or RSA's block (PKCS #1 v1.5). ECDSA signatures of ours have the lower of
 * the two possible s and are deterministic (RFC 6979); a verifier here refuses the higher, as anybody could make it of
 * the lower without the key. Sources: FIPS 186-5, RFC 5480, RFC 5915, RFC 5958, RFC 8017.
 *
 * A key may be used by one thread at a time. Files come from anybody.
 */
#ifndef CAISSON_COMMON_CRYPTO_KEY_H
#define CAISSON_COMMON_CRYPTO_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto/digest.h"
#include "common/err.h"

#define KEY_FILE_MAX      16384u /* bytes of a file with a key or certificate */
#define KEY_SPKI_MAX      600u   /* DER */
#define KEY_PEM_MAX       1024u  /* of a public key */
#define KEY_SIGNATURE_MAX 512u

enum key_kind { KEY_P256, KEY_P384, KEY_RSA };

struct key_signature {
    enum key_kind kind;
    enum digest_alg hash;
    uint8_t bytes[KEY_SIGNATURE_MAX];
    size_t length; /* 64, 96, or the modulus's */
};

struct key;    /* private */
struct pubkey; /* public */

/* 0 with *out, or -errno: -ENOMEM, or the host gives no random numbers or locked memory. kind: not KEY_RSA. */
int key_generate(enum key_kind kind, struct key **out, struct err *err);
/* PEM or DER, PKCS #8 or SEC 1 or PKCS #1, without a password. name: for messages. -EINVAL: none that is accepted. */
int key_load(const void *bytes, size_t n, const char *name, struct key **out, struct err *err);
/* The same from a file, or a pipe that is read to its end; at most KEY_FILE_MAX. fd: borrowed. */
int key_load_fd(int fd, const char *name, struct key **out, struct err *err);
/* Wipes it. NULL is fine. */
void key_free(struct key *key);
/* Borrowed from the key. */
const struct pubkey *key_public(const struct key *key);
/* PKCS #8, PEM, with a NUL. *out: malloc'ed; the caller wipes and frees it. */
int key_private_pem(const struct key *key, char **out, struct err *err);

/* Sign a digest by the hash that goes with the key: SHA-384 with P-384, else SHA-256. 0 or -errno with *err. */
enum digest_alg key_hash(const struct pubkey *key);
int key_sign(struct key *key, const uint8_t *digest, struct key_signature *out, struct err *err);
/* The same of whole bytes. */
int key_sign_bytes(struct key *key, const void *bytes, size_t n, struct key_signature *out, struct err *err);

/* SubjectPublicKeyInfo or a certificate, PEM or DER. -EINVAL: other curves, compressed points, trailing bytes... */
int pubkey_load(const void *bytes, size_t n, const char *name, struct pubkey **out, struct err *err);
void pubkey_free(struct pubkey *key);
enum key_kind pubkey_kind(const struct pubkey *key);
size_t pubkey_rsa_bytes(const struct pubkey *key); /* of the modulus; 0: no RSA key */
/* X || Y of a curve's point: 64 or 96 bytes. RSA: the modulus. Returns the length. out: KEY_SIGNATURE_MAX. */
size_t pubkey_raw(const struct pubkey *key, uint8_t *out);
/* The other way round, for curves. -EINVAL: not on the curve. */
int pubkey_from_raw(enum key_kind kind, const uint8_t *xy, size_t n, struct pubkey **out, struct err *err);
/* Return the length. out: KEY_SPKI_MAX; KEY_PEM_MAX, with a NUL. */
size_t pubkey_der(const struct pubkey *key, uint8_t *out);
size_t pubkey_pem(const struct pubkey *key, char *out);
bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);

/* 0; -EBADMSG: the signature is wrong, of another kind or hash, out of range, or has the higher s; with *err. */
int pubkey_verify(const struct pubkey *key, const uint8_t *digest, const struct key_signature *s, struct err *err);
int pubkey_verify_bytes(const struct pubkey *key, const void *bytes, size_t n, const struct key_signature *s,
                        struct err *err);

/* r || s of a DER ECDSA-Sig-Value, strictly, with the lower s taken; RSA's block as it is. For openssl's signatures. */
int key_signature_from_der(enum key_kind kind, const void *der, size_t n, struct key_signature *out, struct err *err);

/* ECDH on P-256: the X coordinate. The caller wipes out. */
int key_agree(struct key *key, const struct pubkey *peer, uint8_t out[32], struct err *err);

#endif
