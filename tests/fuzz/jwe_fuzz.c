/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: encrypted secrets. Input: the text. Checked: what is accepted is within bounds, ends with a NUL, and
 * comes back when it is encrypted and decrypted again; what is refused says why and gives nothing.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/jwe.h"
#include "tests/lib/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_secret(struct key *key, const uint8_t *secret, size_t n)
{
    char *jwe = NULL;
    uint8_t *again = NULL;
    size_t length = 0;
    require(n <= JWE_PLAIN_MAX && secret[n] == '\0');
    require(jwe_encrypt(key_public(key), secret, n, &jwe, NULL) == 0);
    require(jwe_decrypt(key, jwe, strlen(jwe), &again, &length, NULL) == 0 && length == n);
    require(memcmp(again, secret, n) == 0);
    free(again);
    free(jwe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key *key = keys_private(KEY_P256);
    uint8_t *out = NULL;
    size_t n = 0;
    struct err err = {0};
    int code = jwe_decrypt(key, (const char *)data, size, &out, &n, &err);
    require(code == 0 || code == -EBADMSG);
    if (code == 0)
        check_secret(key, out, n);
    else
        require(out == NULL && err.text[0] != '\0');
    free(out);
    key_free(key);
    return 0;
}
