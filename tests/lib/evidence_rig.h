/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A pod's evidence without a pod, for tests: keys that are fixed, a log as a pod would have it, and a demand that this
 * evidence meets. A test changes one thing and asks which part is to blame. Failures of the rig itself abort.
 */
#ifndef CAISSON_TESTS_LIB_EVIDENCE_RIG_H
#define CAISSON_TESTS_LIB_EVIDENCE_RIG_H

#include "vmm/attest/evidence.h"
#include "vmm/attest/tpm.h"

/* 2027-01-01T00:00:00Z: when evidence is made and judged. Certificates go from an hour before to a day later. */
#define EVIDENCE_RIG_TIME_S  INT64_C(1798761600)
#define EVIDENCE_RIG_FROM_S  (EVIDENCE_RIG_TIME_S - 3600)
#define EVIDENCE_RIG_UNTIL_S (EVIDENCE_RIG_TIME_S + 86400)

struct evidence_rig {
    struct key *key, *node;
    char *chain;
    uint8_t agent[KEY_SPKI_MAX];
    struct event_log log;
    struct evidence_input input;
    struct evidence evidence;
    struct evidence_demand demand;
    uint8_t nonce[TPM_NONCE_MAX]; /* that of the demand, for changing it */
    struct event_log expected;    /* for the demand: registers only */
    struct evidence_verdict verdict;
    struct err err;
};

/* A policy, two containers and a process that it permits; canonical. */
extern const char evidence_rig_policy[], evidence_rig_container[], evidence_rig_sidecar[], evidence_rig_exec[];

/* Keys, certificates, and an empty log; nothing is made yet. The demand trusts the node's root. */
void evidence_rig_begin(struct evidence_rig *r, enum key_kind kind);
/* What comes before a pod's first instruction. policy: NULL: none. */
void evidence_rig_boot(struct evidence_rig *r, const char *policy, bool debug);
/* What the agent measures. */
void evidence_rig_add_agent_key(struct evidence_rig *r);
void evidence_rig_add_container(struct evidence_rig *r, const char *description);
void evidence_rig_add_exec(struct evidence_rig *r, const char *description);
/* Make the evidence of what the log has now. */
void evidence_rig_make(struct evidence_rig *r);
/* All of it: a pod under evidence_rig_policy, with both containers and the process. */
void evidence_rig_init(struct evidence_rig *r, enum key_kind kind);
void evidence_rig_fini(struct evidence_rig *r);

/* Replace a file by a copy of these bytes; NULL: take it away. */
void evidence_rig_put(struct evidence_rig *r, enum evidence_kind kind, const void *bytes, size_t n);
void evidence_rig_flip(struct evidence_rig *r, enum evidence_kind kind, size_t byte, unsigned bit);
/* Sign another quote with the pod's key. */
void evidence_rig_sign(struct evidence_rig *r, const struct tpm_quote *q);
/* Write the files to a folder that is there. */
void evidence_rig_write(const struct evidence_rig *r, const char *folder);
/* Judge. Returns the first part that is bad; EVIDENCE_PARTS: all is well. */
enum evidence_part evidence_rig_judge(struct evidence_rig *r);

#endif
