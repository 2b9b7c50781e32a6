/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a pod's process knows of its measurements: the log, the key that signs it, the launch policy; and the service
 * that the guest reaches on port TRUST_PORT of the host (common/proto/trust.proto, HostTrust). One thread, the pod's
 * loop.
 *
 *     trust_files.c   before the process is there: policy, signature, keys, with the eyes and rights of the caller
 *     trust.c         log and registers, the file "eventlog.bin" in the pod's folder, the key, evidence
 *     trust_serve.c   what the guest may ask: frames, requests, answers
 *
 * The guest is hostile. It can fill its own log, which is bounded, and that is all: nothing that it says changes an
 * event that is there, and the events from before its first instruction are none of its doing.
 *
 * Containers can connect to that port as well as the agent, and say what they like of containers and processes. The
 * agent's key they cannot say: it is taken by the first connection of all, once. The agent is the only program of the
 * guest until the first container has been measured, which it reports by that connection; it tells its key by the same
 * one, then or later. When that connection ends before, the pod has no such key any more.
 */
#ifndef CAISSON_VMM_POD_TRUST_H
#define CAISSON_VMM_POD_TRUST_H

#include <poll.h>
#include <stdbool.h>

#include "boot/event_log.h"
#include "common/crypto/key.h"
#include "common/err.h"

#define POD_TRUST_PORT        1026u /* a socket "vsock_1026" in the pod's folder */
#define POD_TRUST_SOCKET_NAME "vsock_1026"
#define POD_TRUST_LOG_NAME    "eventlog.bin"

#define POD_TRUST_CONNS_MAX 4u
#define POD_TRUST_POLL      (1u + POD_TRUST_CONNS_MAX)
#define POD_TRUST_FRAME_MAX 65536u /* of a request */
#define POD_TRUST_KEYS_MAX  8u     /* that policies may be signed by */

/* ---- Before the process is there ---- */

/* What the owner of the host has decided; all borrowed. Zeroed: no policy, a P-256 key is made for each pod. */
struct pod_trust_config {
    const char *policy; /* file of a launch policy; NULL: none. Its signature is in the file of that name + ".jws" */
    const char *const *policy_keys; /* files (PEM) of public keys: one of them has to have signed it */
    size_t policy_key_count;
    uint64_t policy_serial; /* older policies are refused */
    const char *key;        /* that signs evidence: a file, a FIFO or "fd:N"; NULL: one is made */
    enum key_kind key_kind; /* of one that is made: KEY_P256 or KEY_P384 */
    const char *node_key;   /* certifies it: likewise; NULL: it is not certified */
    const char *node_chain; /* file: certificates of the node's key (PEM, its own first) */
};

struct policy;

/* Zeroed: nothing, but for descriptors, which are then 0: begin with pod_trust_open. */
struct pod_trust_files {
    char *policy; /* as it stands in its file; NULL: none */
    size_t policy_bytes;
    struct policy *parsed;
    int key_fd, node_key_fd; /* -1: none. Keys are read in the pod's process, whose memory they are locked in */
    enum key_kind key_kind;
    char *node_chain; /* PEM; NULL: none */
    size_t node_chain_bytes;
};

/*
 * Open what the configuration names, and judge the policy's signature, serial number and time. 0, or with *err:
 * -EACCES: serial number, or no key is trusted; -EKEYEXPIRED: time; -EBADMSG: signature; -EINVAL, -EFBIG: document;
 * -EPERM: others can read a private key; -EOPNOTSUPP: there is a policy and this build has none; what open and read
 * say.
 * pod_trust_close ends it either way.
 */
int pod_trust_open(const struct pod_trust_config *cfg, int64_t now_s, struct pod_trust_files *out, struct err *err);
void pod_trust_close(struct pod_trust_files *files);

/* ---- In the process ---- */

struct pod_trust;

struct pod_trust_setup {
    int folder;                  /* the pod's; borrowed for good */
    const char *id;              /* copied */
    bool debug;                  /* as measured */
    int64_t (*now_s)(void *ctx); /* seconds since 1970; NULL: the host's */
    void *ctx;
};

/* 0 with *out, or -ENOMEM with *err. */
int pod_trust_new(const struct pod_trust_setup *setup, struct pod_trust **out, struct err *err);
/* Accepts NULL. The socket is removed; the log's file remains. */
void pod_trust_free(struct pod_trust *t);

/* For the events before the first instruction. */
struct event_log *pod_trust_log(struct pod_trust *t);
/*
 * Write the log to its file, and from now on each event of the agent as it comes. The first call makes the file; events
 * of others are written by the next. 0, or -errno with *err.
 */
int pod_trust_keep_log(struct pod_trust *t, struct err *err);
/* Have a key: read or made, and certified if the node's is there. Descriptors are read to their ends. */
int pod_trust_take_key(struct pod_trust *t, const struct pod_trust_files *files, struct err *err);
/* Listen in the folder. 0, or -errno with *err. */
int pod_trust_listen(struct pod_trust *t, struct err *err);

/* What to wait for; how many were filled in. fds: POD_TRUST_POLL. t: NULL gives 0. */
unsigned pod_trust_poll(const struct pod_trust *t, struct pollfd *fds);
/* Serve what is ready. fds: as pod_trust_poll filled them in. */
void pod_trust_step(struct pod_trust *t, const struct pollfd *fds, unsigned count);

struct evidence;

/*
 * Make evidence. 0 with *out, for evidence_fini; -EINVAL: a nonce of the wrong size; with bind_agent -EAGAIN: the agent
 * has told no key yet, -ENOKEY: and it cannot any more; -EBUSY: the pod has no key; -EOPNOTSUPP: this build signs
 * nothing; with *err.
 */
int pod_trust_quote(struct pod_trust *t, const uint8_t *nonce, size_t n, bool bind_agent, struct evidence *out,
                    struct err *err);

#endif
