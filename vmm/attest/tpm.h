/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Structures of TPM 2.0 as far as quotes need them, written and read: TPMS_ATTEST, TPMT_SIGNATURE, TPM2B_PUBLIC, and
 * the register file of tpm2-tools ("serialized"). Readers take hostile bytes, accept one encoding only and nothing
 * behind it. Pure. Source: TCG TPM 2.0 Library, part 2; tpm2-tools 5.4 for the register file.
 */
#ifndef CAISSON_VMM_ATTEST_TPM_H
#define CAISSON_VMM_ATTEST_TPM_H

#include "boot/event_log.h"
#include "common/crypto/key.h"

#define TPM_ALG_SHA256 0x000bu
#define TPM_ALG_SHA384 0x000cu
#define TPM_ALG_RSASSA 0x0014u
#define TPM_ALG_ECDSA  0x0018u

#define TPM_NONCE_MIN     8u
#define TPM_NONCE_MAX     64u
#define TPM_MESSAGE_MAX   512u
#define TPM_SIGNATURE_MAX 1024u
#define TPM_PUBLIC_MAX    1024u
#define TPM_PCR_FILE_MAX  4096u

/* What a quote says. */
struct tpm_quote {
    uint8_t name[2 + DIGEST_BYTES_MAX]; /* qualifiedSigner: algorithm and digest of the key's TPMT_PUBLIC */
    size_t name_bytes;
    uint8_t nonce[TPM_NONCE_MAX]; /* extraData */
    size_t nonce_bytes;
    uint64_t clock_ms; /* since the pod's start */
    uint32_t reset_count, restart_count;
    bool safe;
    uint64_t firmware_version;
    enum digest_alg bank; /* the one that is selected */
    uint32_t pcr_mask;
    enum digest_alg hash; /* of the signature, and of pcr_digest */
    uint8_t pcr_digest[DIGEST_BYTES_MAX];
};

/* Digest over the selected registers of q->bank, by q->hash, into q->pcr_digest. */
void tpm_quote_digest(struct tpm_quote *q, const struct event_log *log);
/* TPMS_ATTEST. Returns its length. out: TPM_MESSAGE_MAX. */
size_t tpm_quote_write(const struct tpm_quote *q, uint8_t *out);
/* 0, or -EBADMSG with *err that names the field. hash is not in the message: taken from the length of the digest. */
int tpm_quote_read(const void *bytes, size_t n, struct tpm_quote *out, struct err *err);

/* TPMT_SIGNATURE of a raw signature (r || s, or RSA's block). Returns its length. out: TPM_SIGNATURE_MAX. */
size_t tpm_signature_write(const struct key_signature *s, uint8_t *out);
int tpm_signature_read(const void *bytes, size_t n, struct key_signature *out, struct err *err);

/* TPM2B_PUBLIC of a restricted signing key. Returns its length, 0 if the key is none that a TPM has. */
size_t tpm_public_write(const struct pubkey *key, enum digest_alg name_alg, uint8_t *out);
/* The key's name: u16 algorithm || H(TPMT_PUBLIC). Returns its length. */
size_t tpm_public_name(const struct pubkey *key, enum digest_alg name_alg, uint8_t out[2 + DIGEST_BYTES_MAX]);

/* The register file of one bank: `tpm2_quote -o`. Returns its length. out: TPM_PCR_FILE_MAX. */
size_t tpm_pcr_file_write(const struct event_log *log, enum digest_alg bank, uint32_t mask, uint8_t *out);
/* out: registers only. *bank, *mask: what the file selects. */
int tpm_pcr_file_read(const void *bytes, size_t n, struct event_log *out, enum digest_alg *bank, uint32_t *mask,
                      struct err *err);

#endif
