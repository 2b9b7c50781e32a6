/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The launch policy as the agent enforces it (docs/policy.md): against a host that asks for more than what was agreed.
 * Each method of the agent has a row that says what a policy has to say about it; a method without a row is refused
 * once there is a policy, so that nobody adds one and forgets this file.
 *
 * What a policy cannot prevent, as the machine is the host's: that it is stopped, starved, or never started.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_POLICY_H
#define CAISSON_GUEST_INIT_AGENT_POLICY_H

#include <jansson.h>

#include "guest-init/agent/agent.h"

/* In the ramdisk, put there and measured by the monitor. */
#define AGENT_POLICY_FILE "/.caisson/policy.json"

enum policy_stance {
    POLICY_FREE,      /* reads, or acts on what was permitted before */
    POLICY_NAMED,     /* permitted if the policy names the method */
    POLICY_DESCRIBED, /* by its description, where it is measured: trust.h */
    POLICY_UPDATE,    /* named, and gives no devices */
    POLICY_COPY,      /* by its path */
    POLICY_SANDBOX,   /* a sandbox that can only be of one kind: see policy.c */
};

struct policy_row {
    const char *service, *method;
    enum policy_stance stance;
};

/* The row of a method; NULL: there is none. */
const struct policy_row *agent_policy_find(const char *service, const char *method);

/*
 * Read the policy and enforce it from now on; without a file nothing is enforced. 0, or -errno with *err: there is one
 * and it cannot be used; the agent is not to serve anybody then.
 */
int agent_policy_load(struct agent *a, const char *path, struct err *err);

/* For the server: false, after an answer, if the policy does not permit the call. */
bool agent_policy_permits(struct agent *a, struct call *c, const void *request);

/*
 * Does it permit this container, beside those that live? description: of policy/launch/describe.h. *rule: which it is.
 * 0 or -EACCES with *err.
 */
int agent_policy_judge_container(const struct agent *a, const json_t *description, size_t *rule, struct err *err);

#endif
