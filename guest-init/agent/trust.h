/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the agent does so that others can tell what runs in the pod (docs/trust.md): it has each container and each
 * further process measured before it can run anything, asks the launch policy, if there is one, has a key that is
 * measured, and takes evidence and secrets to containers.
 *
 *     trust_channel.h  calls to the host's side          policy.h   what a policy permits
 *     trust_folder.c   what containers see of it         secret.h   secrets
 *     trust_quote.h    the command in containers         calls_trust.c   the service trust.Trust
 *
 * Nothing of this runs unless the kernel's command line has TRUST_WORD; a policy in the ramdisk counts without it, too.
 * Whatever fails before the agent listens keeps it from listening, and what is not measured does not run: a guest that
 * others rely on either does all of this or runs nothing.
 *
 * A container is measured when it is ready, before anybody hears that it exists; one whose creation runs hooks is
 * measured before that. The key costs a multiplication on its curve, which on an emulated processor takes as long as a
 * container's mounts. So it is made when nobody waits: some time after the last container was created, or at once when
 * somebody asks for it. Containers may run by then, and reach the host's port as well as the agent does. The host knows
 * the agent by its connection, which is the first of the pod: nothing else runs in the guest before a container was
 * measured, and that is done by this connection. If it breaks before the key was told, the pod will have none.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_TRUST_H
#define CAISSON_GUEST_INIT_AGENT_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.pb.h"
#include "common/crypto/key.h"
#include "common/err.h"
#include "guest-init/agent/server.h"
#include "guest-init/agent/trust_channel.h"
#include "guest-init/container/mount.h"
#include "policy/launch/policy.h"
#include "trust.pb.h"

/* The word on the kernel's command line that asks for measurements, with the port of the host's side. */
#define TRUST_WORD "caisson_trust"

/* Where the guest keeps what containers may see; mounts of type "caisson", source "trust", show it. */
#define TRUST_FOLDER  MOUNT_TRUST_FOLDER
#define TRUST_SOCKET  "trust.sock" /* in it: trust.Trust without PutSecret, for containers */
#define TRUST_QUOTE   "quote"      /* in it: the command, which is guest-init itself */
#define TRUST_SECRETS "secrets"    /* in it: a folder */

#define TRUST_NONCE_MIN 8u
#define TRUST_NONCE_MAX 64u

/* Evidence for containers costs the host a signature: so many at once, then one more each so many milliseconds. */
#define TRUST_QUOTES_BURST 8u
#define TRUST_QUOTES_MS    100u

/* So long after the agent's start, and after the last container was created, nobody waits for the processor. */
#define TRUST_KEY_MS 500u

struct agent;

/* What containers see of this, and where; tests have others. */
struct agent_trust_place {
    const char *folder;
    /* Make it. Returns a listening stream socket for containers, or -errno with *err. */
    int (*make)(void *context, struct err *err);
    void *context;
};

/* A part of struct agent. Zeroed: nothing is measured or judged. */
struct agent_trust {
    bool measuring;
    struct trust_channel host;
    struct key *key; /* owned; NULL: none yet */
    bool has_key;    /* one that was measured */
    struct reactor_timer key_timer;
    uint8_t spki[KEY_SPKI_MAX];
    size_t spki_bytes;
    struct policy *policy;                 /* owned; NULL: none */
    const struct agent_trust_place *place; /* borrowed; NULL: containers see nothing */
    int shown;                             /* 0: it is not made yet; 1: it is; -errno: it cannot be made */
    struct server containers;
    unsigned quotes;    /* that containers may have now */
    uint64_t quotes_ms; /* when that was counted */
};

/* Measure from now on. host: borrowed. */
void agent_trust_begin(struct agent *a, const struct trust_channel_ops *host);

/*
 * Have a key that is measured; everything else here that needs it sees to that by itself. 0, at once if there is one,
 * or -errno with *err: there is none, and the next call tells the host again.
 */
int agent_trust_have_key(struct agent *a, struct err *err);
/* Somebody waits for something else: the key, unless it is there, has time for TRUST_KEY_MS from now. */
void agent_trust_put_key_off(struct agent *a);

/*
 * Let containers see something at that place, which nobody else uses from now on. It is made for the first who needs
 * it: each mount of the guest costs every container some time. place: borrowed.
 */
void agent_trust_offer(struct agent *a, const struct agent_trust_place *place);
/* Have the folder, and serve containers there. 0, at once if it is there or none was offered, or -errno with *err. */
int agent_trust_show(struct agent *a, struct err *err);
void agent_trust_sweep(struct agent *a); /* after each step of the loop */
void agent_trust_fini(struct agent *a);

/* What is measured of a container. Zeroed: nothing. */
struct agent_trust_description {
    char *text; /* owned; NULL: nothing is left to be measured */
    size_t length;
};

/*
 * Judge a container that is about to be made. False: the call has been answered with the reason, and nothing may be
 * made. rule: of the policy, written on true; 0 without one. *out: what agent_trust_measure_container needs; it is
 * called here if making the container runs programs of others.
 */
bool agent_trust_admit_container(struct agent *a, struct call *call, const grpc_CreateContainerRequest *r, size_t *rule,
                                 struct agent_trust_description *out);
/*
 * Measure one that is made and has run nothing. 0, or -errno with *err: it must not be started. Either way *d is zeroed
 * then, as it is by agent_trust_forget.
 */
int agent_trust_measure_container(struct agent *a, struct agent_trust_description *d, struct err *err);
void agent_trust_forget(struct agent_trust_description *d);
/* Judge and measure a further process that is about to be made. False: as above. */
bool agent_trust_admit_exec(struct agent *a, struct call *call, size_t rule, const grpc_ExecProcessRequest *r);

/*
 * Is this path of the guest the folder for containers, below it, or above it? Nobody mounts or copies there, or shows
 * it to a container in another way than by its own kind of mount. Spelling does not matter; a path with ".." counts.
 */
bool agent_trust_reserves(const struct agent *a, const char *path);

/* Evidence from the host's side. *out: released by the caller with pb_release. 0, or -errno with *err. */
int agent_trust_evidence(struct agent *a, const trust_EvidenceRequest *r, trust_Evidence *out, struct err *err);
/* May a container have evidence now? Counts it if so. */
bool agent_trust_take_turn(struct agent *a);

/* ---- On a real guest: trust_folder.c ---- */

/* The host's side on this port, from a guest. ops->context points into *port, which has to stay. */
struct trust_port {
    unsigned number;
};
void trust_port_ops(struct trust_port *port, struct trust_channel_ops *out);

/* This program in the ramdisk, which is the command as well. */
#define TRUST_PROGRAM "/.caisson/init"

/* TRUST_FOLDER and what belongs into it. */
extern const struct agent_trust_place trust_folder;

#endif
