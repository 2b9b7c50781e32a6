/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of the token, for its writer and its reader. Sources: IANA's registries "CWT Claims" and "COSE Header
 * Parameters"; claims below -65536 are for private use (RFC 8392, 9.1), and docs/trust.md describes ours.
 */
#ifndef CAISSON_VMM_ATTEST_EAT_LABELS_H
#define CAISSON_VMM_ATTEST_EAT_LABELS_H

#include <stdint.h>

#include "common/crypto/key.h"
#include "vmm/attest/cbor.h"
#include "vmm/attest/eat.h"

#define EAT_MEDIA_TYPE "application/eat+cwt"
#define EAT_TAG_CWT    61
#define EAT_TAG_SIGN1  18

enum eat_claim {
    EAT_IAT = 6,
    EAT_CNF = 8,
    EAT_NONCE = 10,
    EAT_DBGSTAT = 263,
    EAT_PROFILE_CLAIM = 265,
    EAT_SWNAME = 270,
    EAT_SWVERSION = 271,
    EAT_EVIDENCE = -70000,
    EAT_SANDBOX = -70001,
    EAT_PCRS = -70002,
    EAT_LOG = -70003,
    EAT_MESSAGE = -70004,
};

/* dbgstat (RFC 9711, 4.2.9). */
enum eat_dbgstat { EAT_DEBUG_ENABLED = 0, EAT_DEBUG_DISABLED_SINCE_BOOT = 2 };

enum eat_header { EAT_HEADER_ALG = 1, EAT_HEADER_KID = 4, EAT_HEADER_TYP = 16, EAT_HEADER_X5CHAIN = 33 };

/* Of a COSE_Key with kty EC2: RFC 9053, 7.1.1. cnf holds one under 1 (RFC 8747, 3.2). */
enum eat_cose_key { EAT_KEY_KTY = 1, EAT_KEY_CRV = -1, EAT_KEY_X = -2, EAT_KEY_Y = -3 };
#define EAT_KTY_EC2  2
#define EAT_CRV_P256 1
#define EAT_CNF_KEY  1

/* Banks of registers, by the number a TPM has for their hash. */
#define EAT_BANK_SHA256 0x000b
#define EAT_BANK_SHA384 0x000c

/* The map of claims. 0; -EINVAL or -ENOMEM with *err. */
int eat_put_claims(struct cbor_writer *w, const struct eat *e, struct err *err);
/*
 * Read what may be one, all of n bytes. 0; -EBADMSG with *err. out: zeroed by the caller; overwritten in part on
 * errors.
 */
int eat_read_claims(const void *bytes, size_t n, struct eat *out, struct err *err);

/* Sig_structure: what the signature is over (RFC 9052, 4.4). */
void eat_put_signed_bytes(struct cbor_writer *w, const void *protected, size_t protected_bytes, const void *payload,
                          size_t payload_bytes);

/* "kid": the bytes of the key's RFC 7638 thumbprint, which JWS has as text. */
void eat_key_id(const struct pubkey *key, uint8_t out[DIGEST_SHA256_BYTES]);

/* "alg": RFC 9053, 2.1; RFC 8812, 2. */
static inline int64_t eat_algorithm(const struct pubkey *key)
{
    return pubkey_kind(key) == KEY_P256 ? -7 : pubkey_kind(key) == KEY_P384 ? -35 : -257;
}

#endif
