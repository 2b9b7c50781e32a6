/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a measurement log tells, between the file that judges evidence and the one that reads its log's meaning. Logs
 * come from anybody; log_replay has checked digests before, these functions judge what events say, and their order.
 */
#ifndef CAISSON_VMM_ATTEST_EVIDENCE_INTERNAL_H
#define CAISSON_VMM_ATTEST_EVIDENCE_INTERNAL_H

#include "policy/launch/policy.h"
#include "vmm/attest/evidence.h"

/* Pointers are into the log. */
struct evidence_story {
    const uint8_t *policy; /* digest by the bank that was asked for; NULL: "no policy" */
    bool debug;
    const uint8_t *agent_key; /* DER; NULL: none */
    size_t agent_key_bytes;
    uint32_t containers, execs;
};

/*
 * Read the meaning of a log that log_replay has accepted, as docs/trust.md has it. bank: which digests are believed,
 * those that are signed. 0; -EBADMSG with *err, which names the event.
 */
int evidence_log_tell(const struct evidence_file *log, enum digest_alg bank, struct evidence_story *out,
                      struct err *err);

/*
 * Are all containers and processes of a log what a policy permits? 0; -EACCES with *err, the event and the policy's
 * words; -EBADMSG: a description is none; -ENOMEM.
 */
int evidence_log_judge(const struct evidence_file *log, const struct policy *policy, struct err *err);

/*
 * Are the certificates in a token, which its signature does not cover, those of a chain? token: eat_verify has accepted
 * it. chain: bytes may be NULL: there are none. 0; -EBADMSG: they are others; -ENOMEM.
 */
int evidence_token_compare_chain(const struct evidence_file *token, const struct evidence_file *chain);
/*
 * Is a pod's name that of the first certificate's subject (its only common name, at most 64 characters)? A chain that
 * chain_verify has accepted. 0; -EBADMSG: it is another's; -ENOMEM.
 */
int evidence_chain_names(const struct evidence_file *chain, const char *sandbox);

#endif
