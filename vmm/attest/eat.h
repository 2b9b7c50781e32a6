/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The same evidence for RATS verifiers: an Entity Attestation Token, a CWT (tag 61) in COSE_Sign1 (tag 18), ES256,
 * ES384 or RS256. docs/trust.md lists the claims. Sources: RFC 9711, RFC 8392, RFC 9052, RFC 9053, RFC 8812.
 */
#ifndef CAISSON_VMM_ATTEST_EAT_H
#define CAISSON_VMM_ATTEST_EAT_H

#include "boot/event_log.h"
#include "common/crypto/key.h"
#include "common/err.h"

#define EAT_PROFILE "tag:caisson.invalid,2026:host-rooted/1"
/* What the evidence rests on: the host's word. Under SEV-SNP it would be the processor's. */
#define EAT_EVIDENCE_TYPE "host-rooted"
#define EAT_MAX           32768u
#define EAT_TEXT_MAX      128u

struct eat {
    uint8_t nonce[64];
    size_t nonce_bytes;                                 /* 8 to 64 */
    int64_t issued_s;                                   /* iat, seconds since 1970 */
    bool debug;                                         /* dbgstat: enabled, or disabled-since-boot */
    char software[EAT_TEXT_MAX], version[EAT_TEXT_MAX]; /* swname, swversion: of the monitor */
    char evidence[EAT_TEXT_MAX];                        /* EAT_EVIDENCE_TYPE; a claim of ours */
    char sandbox[EAT_TEXT_MAX + 1];                     /* the pod's name */
    uint32_t pcr_mask;
    struct event_log pcrs;                   /* both banks; registers only */
    uint8_t log_sha256[DIGEST_SHA256_BYTES]; /* of the event log's bytes */
    uint8_t message[512];                    /* TPMS_ATTEST, the same evidence for others; 0: none */
    size_t message_bytes;
    uint8_t agent_key[KEY_SPKI_MAX]; /* cnf as a COSE_Key; here DER; 0: none */
    size_t agent_key_bytes;
};

/* *out: malloc'ed. chain_der: certificates for x5chain (33), leaf first; NULL: none. 0 or -errno with *err. */
int eat_sign(const struct eat *e, struct key *key, const uint8_t *const *chain_der, const size_t *chain_bytes,
             size_t chain_count, uint8_t **out, size_t *length, struct err *err);
/*
 * Verify with the key, which the caller trusts, and read. Unknown critical headers are refused. 0, -EBADMSG, -ENOMEM.
 */
int eat_verify(const void *bytes, size_t n, const struct pubkey *key, struct eat *out, struct err *err);

#endif
