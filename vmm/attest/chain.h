/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for attestation keys: a node's key certifies the key of each sandbox, and a verifier follows the chain
 * to a root that it was given. X.509 by mbedTLS, with what it leaves open decided here: keys and hashes of key.h only,
 * basic constraints and key usage demanded, path lengths held, unknown critical extensions refused, at most CHAIN_MAX
 * certificates, time given by the caller. Nothing is revoked: no CRL is read. Source: RFC 5280, 4.2 and 6.1.
 */
#ifndef CAISSON_VMM_ATTEST_CHAIN_H
#define CAISSON_VMM_ATTEST_CHAIN_H

#include "common/crypto/key.h"

#define CHAIN_MAX       6u
#define CHAIN_BYTES_MAX 32768u /* PEM, all of it */

struct chain_subject {
    const char *sandbox;  /* CN, 1 to 64 printable characters of ASCII */
    int64_t not_before_s; /* seconds since 1970 */
    int64_t not_after_s;
};

/*
 * Make a certificate for `key`, signed by the node's, and put the node's certificates behind it. node_chain: PEM, the
 * node's own first; it has to be a CA's (or, path length 0). *pem: malloc'ed, with a NUL.
 * The same arguments give the same bytes. 0; -EBADMSG: node_chain is none; -EINVAL: the node's key is not that of its
 * certificate, it is no CA, it is not valid at not_before_s, or the subject has no proper name or times; with *err.
 */
int chain_certify(const struct pubkey *key, const struct chain_subject *subject, struct key *node_key,
                  const char *node_chain, size_t node_chain_bytes, char **pem, struct err *err);

/*
 * Verify a chain (PEM, leaf first) up to one of the roots (PEM, one or more) at a time. *leaf: the leaf's key, the
 * caller's. 0; -EBADMSG: no chain; -EKEYREJECTED: not to a root, expired, not yet valid, revoked usage; with *err.
 */
int chain_verify(const char *pem, size_t n, const char *roots_pem, size_t roots_bytes, int64_t now_s,
                 struct pubkey **leaf, struct err *err);

/* DER of each certificate of a PEM chain: pointers into *der, which is malloc'ed. Returns how many, or -EBADMSG. */
int chain_to_der(const char *pem, size_t n, uint8_t **der, const uint8_t *out[CHAIN_MAX], size_t bytes[CHAIN_MAX],
                 struct err *err);

#endif
