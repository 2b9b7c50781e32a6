/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Secrets for containers: they arrive encrypted to the agent's key, from somebody who has verified evidence that is
 * bound to it, and lie in the guest's memory as files that only root of the guest can read.
 *
 * A file appears complete or not at all; the same name again replaces it. Source: docs/trust.md; common/crypto/jwe.h.
 */
#ifndef CAISSON_GUEST_INIT_AGENT_SECRET_H
#define CAISSON_GUEST_INIT_AGENT_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto/key.h"
#include "common/err.h"
#include "trust.pb.h"

#define SECRETS_MAX     64u
#define SECRET_NAME_MAX 64u

/* 1 to SECRET_NAME_MAX of [A-Za-z0-9_.-], not beginning with a dot. */
bool secret_name_is_valid(const char *name);

/*
 * Write a secret. folder: absolute, on a file system that is memory. 0, or -errno with *err and the old one untouched:
 * -EINVAL: the name; -ENOSPC: SECRETS_MAX are there, or no memory is left.
 */
int secret_store(const char *folder, const char *name, const uint8_t *bytes, size_t n, struct err *err);

/* Decrypt one and store it. Nothing of it stays elsewhere. Errors as above, and -EBADMSG: not encrypted to this key. */
int secret_receive(struct key *key, const char *folder, const trust_SecretRequest *r, struct err *err);

#endif
