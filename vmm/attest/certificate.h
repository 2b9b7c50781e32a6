/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One certificate: read with all that chain.h demands of it, or written for a sandbox's key. mbedTLS takes the DER
 * apart (and refuses critical extensions that it does not know); who signed it, with what and for how long is decided
 * here, with the keys, hashes and signatures of key.h only and never by the clock of this machine. Source: RFC 5280,
 * 4.1 and 4.2; RFC 5758, 3.2; RFC 3279, 2.2.
 */
#ifndef CAISSON_VMM_ATTEST_CERTIFICATE_H
#define CAISSON_VMM_ATTEST_CERTIFICATE_H

#include <mbedtls/x509_crt.h>

#include "vmm/attest/chain.h"

/* Zeroed: nothing. The bytes that it was read from have to stay. */
struct certificate {
    mbedtls_x509_crt crt;
    struct pubkey *key; /* owned */
    int64_t not_before_s, not_after_s;
};

#define CERTIFICATE_NAME_MAX 128u

/* Exactly n bytes of DER, version 3, with a key of key.h. 0; -EBADMSG or -ENOMEM with *out zeroed. */
int certificate_read(const uint8_t *der, size_t n, struct certificate *out);
void certificate_fini(struct certificate *c);
/* The subject, for messages; cut to fit. */
void certificate_name(const struct certificate *c, char out[CERTIFICATE_NAME_MAX]);

/* What is wrong with it, as the end of a sentence, or NULL. below: CAs between it and the leaf. */
const char *certificate_fault_in_time(const struct certificate *c, int64_t now_s);
const char *certificate_fault_as_leaf(const struct certificate *c);
const char *certificate_fault_as_ca(const struct certificate *c, size_t below);
/* Names fit, the issuer's key made the signature, and the algorithm is the one that goes with its key. */
bool certificate_is_issued_by(const struct certificate *c, const struct certificate *issuer);

/*
 * Write a leaf for `key`, signed by the issuer's key. The same arguments give the same bytes: the serial number is a
 * digest. *der: malloc'ed. 0; -EINVAL: the subject has no proper name or times; other -errno; with *err.
 */
int certificate_write(const struct pubkey *key, const struct chain_subject *subject, struct key *issuer_key,
                      const struct certificate *issuer, uint8_t **der, size_t *length, struct err *err);

#endif
