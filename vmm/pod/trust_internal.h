/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What trust.c (log, key, evidence) and trust_serve.c (the guest's requests) share.
 */
#ifndef CAISSON_VMM_POD_TRUST_INTERNAL_H
#define CAISSON_VMM_POD_TRUST_INTERNAL_H

#include "common/ttrpc.h"
#include "vmm/pod/trust.h"

#define TRUST_ID_MAX   128u
#define TRUST_INPUT    16384u
#define TRUST_TURN_MAX 16u /* requests of one connection in a turn of the loop */

/* A connection of the guest. It is read from only when all answers to what came before are on their way. */
struct trust_conn {
    int fd;
    bool first; /* of the pod: the agent's */
    struct ttrpc_reader reader;
    uint32_t last_stream;
    uint8_t input[TRUST_INPUT];
    size_t begin, end;
    uint8_t *out; /* of the heap: one answer */
    size_t out_bytes, sent;
};

struct pod_trust {
    int folder;
    char id[TRUST_ID_MAX + 1];
    bool debug;
    int64_t (*now_s)(void *ctx);
    void *ctx;
    uint64_t start_ms;

    struct event_log log;
    int log_fd;  /* -1: not kept */
    size_t kept; /* bytes of the log that are in the file */

    struct key *key;
    char *chain; /* PEM; NULL: none */
    uint8_t agent_key[KEY_SPKI_MAX];
    size_t agent_key_bytes; /* 0: not told */
    bool met;               /* somebody has connected, so that nobody else is first */
    bool parted;            /* the first connection has ended */
    /* SHA-256 of each description of a process that is measured; no more than the log has room for. */
    uint8_t (*seen)[DIGEST_SHA256_BYTES];
    size_t seen_count, seen_room;

    int fd; /* that listens; -1: none */
    struct trust_conn *conn[POD_TRUST_CONNS_MAX];
    unsigned conn_count;
};

/*
 * Measure what the agent reports. 0; -EINVAL: not its form; -ENOSPC: the log is full; -ENOMEM; with *err. The key:
 * also -EPERM: not by the first connection, -EEXIST: another one was told before. The same key once more is 0 and no
 * event, for an agent whose answer was lost. first: this is the first connection of the pod.
 */
int trust_extend_key(struct pod_trust *t, bool first, const uint8_t *spki, size_t n, struct err *err);
int trust_extend_container(struct pod_trust *t, const uint8_t *text, size_t n, struct err *err);
int trust_extend_exec(struct pod_trust *t, const uint8_t *text, size_t n, struct err *err);

/* Close everything that the guest has. */
void trust_hang_up(struct pod_trust *t);

#endif
