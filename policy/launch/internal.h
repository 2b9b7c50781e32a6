/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between the files that read and judge policies: a policy is its document, checked once by policy_parse.
 */
#ifndef CAISSON_POLICY_LAUNCH_INTERNAL_H
#define CAISSON_POLICY_LAUNCH_INTERNAL_H

#include <string.h>

#include "policy/launch/policy.h"
#include "policy/launch/shape.h"

#define POLICY_VERSION        1
#define POLICY_NAME_MAX       64u
#define POLICY_CONTAINERS_MAX 256u
#define POLICY_EXECS_MAX      256u

struct policy {
    json_t *document;
    int64_t not_before_s, not_after_s; /* INT64_MIN, INT64_MAX: not given */
};

/* The document's parts that are checked by tables as descriptions are. */
extern const struct shape policy_shape_vm, policy_shape_images, policy_shape_patterns;

/* {"any":true} */
static inline bool policy_is_any(const json_t *rule)
{
    const json_t *any = json_object_size(rule) == 1 ? json_object_get(rule, "any") : NULL;
    return any != NULL && json_typeof(any) == JSON_TRUE;
}

/* "sha256:<64 hex>" or "sha384:<96 hex>", lower case. out: DIGEST_BYTES_MAX. False: it is neither. */
bool policy_digest_parse(const char *text, enum digest_alg *alg, uint8_t *out);

/* "2026-01-31T12:00:00Z" and no other form, years 1970 to 9999. */
bool policy_time_parse(const char *text, int64_t *out_s);

/* -EACCES with *err: "cannot WHAT NAME OF THE POLICY: RULE permits WANTED, it is IS; ...". */
int policy_refuse(const struct policy *p, const char *what, const char *rule, const char *wanted, const char *is,
                  struct err *err);

#endif
