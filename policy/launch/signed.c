/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/launch/signed.h"

#include <errno.h>

int policy_open(const char *bytes, size_t n, const char *jws, size_t jws_bytes, const struct pubkey *const *keys,
                size_t key_count, struct policy **out, struct err *err)
{
    const struct err_context context = {"read the launch policy", NULL, "correct it: docs/policy.md"};
    size_t which;
    *out = NULL;
    /* Before the signature's digest is computed, so that nobody makes us hash without end. */
    if (n > POLICY_BYTES_MAX)
        return err_fail_because(err, -EFBIG, &context, "it has more than %u bytes", POLICY_BYTES_MAX);
    int result = jws_verify(jws, jws_bytes, bytes, n, keys, key_count, &which, err);
    return result < 0 ? result : policy_parse(bytes, n, out, err);
}
