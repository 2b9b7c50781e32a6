/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Evidence of one pod: the files of docs/trust.md, made by the pod's process and judged by anybody.
 *
 *     quote.msg   TPMS_ATTEST                 eventlog.bin  the measurement log
 *     quote.sig   TPMT_SIGNATURE              ak.pem        the key that signed
 *     quote.pcrs  registers (tpm2_quote -o)   chain.pem     its certificates, if it has any
 *     eat.cbor    the same as a token         agent.der     the agent's key, if it has one
 */
#ifndef CAISSON_VMM_ATTEST_EVIDENCE_H
#define CAISSON_VMM_ATTEST_EVIDENCE_H

#include "boot/event_log.h"
#include "common/crypto/key.h"
#include "common/err.h"
#include "vmm/attest/eat.h"

struct evidence_file {
    uint8_t *bytes; /* owned; NULL: there is none */
    size_t length;
};
enum evidence_kind {
    EVIDENCE_MESSAGE,
    EVIDENCE_SIGNATURE,
    EVIDENCE_PCRS,
    EVIDENCE_LOG,
    EVIDENCE_KEY,
    EVIDENCE_CHAIN,
    EVIDENCE_EAT,
    EVIDENCE_AGENT_KEY,
    EVIDENCE_KINDS
};
/* Zeroed: nothing. */
struct evidence {
    struct evidence_file file[EVIDENCE_KINDS];
};
/* "quote.msg". */
const char *evidence_file_name(enum evidence_kind kind);
/* Most bytes that one may have. */
size_t evidence_file_max(enum evidence_kind kind);
/*
 * Read the files of a folder. Those that are not there stay NULL. 0, or -errno with *err and *out zeroed: the folder or
 * a file cannot be read; -EFBIG: a file is larger than evidence_file_max.
 */
int evidence_load(struct evidence *out, const char *folder, struct err *err);
/* Releases the files and zeroes *e; accepts a zeroed one. */
void evidence_fini(struct evidence *e);

/* What is to be attested; all borrowed. */
struct evidence_input {
    const struct event_log *log;
    struct key *key;
    const char *chain_pem; /* NULL: none */
    const uint8_t *nonce;
    size_t nonce_bytes;       /* TPM_NONCE_MIN to TPM_NONCE_MAX */
    const uint8_t *agent_key; /* DER; NULL: none */
    size_t agent_key_bytes;
    bool bind_agent; /* the quote's data is evidence_bound_nonce */
    const char *sandbox, *version;
    bool debug;
    uint64_t clock_ms; /* since the pod's start */
    int64_t now_s;
};
/* 0, or -errno with *err: -EINVAL for a nonce of the wrong size, or no agent's key to bind. */
int evidence_make(const struct evidence_input *in, struct evidence *out, struct err *err);

/* SHA-256(nonce || agent's key in DER): what extraData is with bind_agent. */
void evidence_bound_nonce(const uint8_t *nonce, size_t n, const uint8_t *spki, size_t spki_bytes,
                          uint8_t out[DIGEST_SHA256_BYTES]);

/* ---- Judging ---- */

/* Against what; all borrowed. */
struct evidence_demand {
    const uint8_t *nonce; /* NULL: -EINVAL, there is no judging without one */
    size_t nonce_bytes;
    bool bound_to_agent;
    const char *roots_pem; /* trust in these roots, or in `key`, or (both NULL) nothing: verdict "key unknown" */
    size_t roots_bytes;
    const struct pubkey *key;
    int64_t now_s;
    const char *policy; /* bytes of the launch policy that has to have been in force; NULL: any or none */
    size_t policy_bytes;
    uint64_t policy_serial_min;       /* refuse a policy with a lower serial; 0: none is too low */
    const struct event_log *expected; /* registers by `caisson measure`, those in expected_mask; NULL: none */
    uint32_t expected_mask;
    bool no_debug; /* refuse evidence of a pod that permits debugging */
};

/* One part of the judgement. */
enum evidence_part {
    EVIDENCE_PART_KEY,       /* certified up to a root, or the key that is trusted */
    EVIDENCE_PART_SIGNATURE, /* of the quote */
    EVIDENCE_PART_NONCE,
    EVIDENCE_PART_PCRS, /* the quote's digest is that of the register file */
    EVIDENCE_PART_LOG,  /* replays to the registers */
    EVIDENCE_PART_EAT,  /* says the same */
    EVIDENCE_PART_EXPECTED,
    EVIDENCE_PART_POLICY, /* was in force, and permits every container and process of the log */
    EVIDENCE_PART_DEBUG,
    EVIDENCE_PARTS
};
enum evidence_state { EVIDENCE_NOT_JUDGED, EVIDENCE_GOOD, EVIDENCE_BAD };
struct evidence_verdict {
    bool good; /* nothing is bad, and everything that was demanded is good */
    enum evidence_state state[EVIDENCE_PARTS];
    char why[ERR_TEXT_BYTES]; /* of the first that is bad */
    struct event_log pcrs;    /* replayed registers */
    enum digest_alg bank;     /* the one that is signed */
    bool has_policy;          /* the log says that a policy was in force */
    bool debug;               /* the log says that debugging is permitted, or nothing about it */
    uint32_t containers, execs;
    /* What a good token says, else empty. */
    char sandbox[EAT_TEXT_MAX + 1], version[EAT_TEXT_MAX];
};
const char *evidence_part_name(enum evidence_part part);
/* Judge. 0 with *out whether good or not; -EINVAL, -ENOMEM with *err. */
int evidence_judge(const struct evidence *e, const struct evidence_demand *demand, struct evidence_verdict *out,
                   struct err *err);

#endif
