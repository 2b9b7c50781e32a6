/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keys for tests, the same in each run. P-256 and P-384 are those of RFC 6979, A.2.5 and A.2.6, whose signatures are
 * known; the private ones are known to everybody.
 */
#ifndef CAISSON_TESTS_LIB_KEYS_H
#define CAISSON_TESTS_LIB_KEYS_H

#include "common/crypto/key.h"

/* PEM of PKCS #8. */
const char *keys_pem(enum key_kind kind);
/* PEM of SubjectPublicKeyInfo. */
const char *keys_public_pem(enum key_kind kind);
/* Another key on P-256: a node's, where one is the sandbox's. */
const char *keys_node_pem(void);

/* The caller frees them; a failure is the test's. */
struct key *keys_private(enum key_kind kind);
struct key *keys_node(void);
struct pubkey *keys_public(enum key_kind kind);

#endif
