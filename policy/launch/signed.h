/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A policy with its signature: POLICY.json and POLICY.json.jws (common/crypto/jws.h), against keys that the reader
 * trusts.
 */
#ifndef CAISSON_POLICY_LAUNCH_SIGNED_H
#define CAISSON_POLICY_LAUNCH_SIGNED_H

#include "common/crypto/jws.h"
#include "policy/launch/policy.h"

/* Verify, then parse. 0 with *out; -EBADMSG: signature; -EINVAL, -EFBIG, -ENOMEM: document. First the signature. */
int policy_open(const char *bytes, size_t n, const char *jws, size_t jws_bytes, const struct pubkey *const *keys,
                size_t key_count, struct policy **out, struct err *err);

#endif
