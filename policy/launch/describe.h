/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a policy looks at of a container and of a further process, as canonical JSON: the same text is measured,
 * compared with rules, and made from a bundle by `caisson policy new`. docs/policy.md lists the keys.
 *
 * Everything that the agent acts on is in it, or is of no consequence for what runs: a field that is neither is refused
 * by the agent under a policy. Random names of exports and ids are replaced by what they stand for.
 */
#ifndef CAISSON_POLICY_LAUNCH_DESCRIBE_H
#define CAISSON_POLICY_LAUNCH_DESCRIBE_H

#include <jansson.h>

#include "agent.pb.h"
#include "common/err.h"

/* *out: the caller's to release (json_decref). 0; -EINVAL with *err: a field that no policy can speak of; -ENOMEM. */
int describe_container(const grpc_CreateContainerRequest *r, json_t **out, struct err *err);
int describe_exec(const grpc_ExecProcessRequest *r, json_t **out, struct err *err);

#endif
