/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: files with keys, and signatures in DER.
 *
 * Byte 0 says what the rest is: a private key, a public key or certificate, or a signature by a key of one of the three
 * kinds. Checked: a key that is accepted can be written and is then accepted as the same one, and signs; a signature
 * that is accepted has the lower s, and is the same when it is written as DER again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/key_parts.h"

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

static void check_public(const struct pubkey *key)
{
    uint8_t der[KEY_SPKI_MAX];
    char pem[KEY_PEM_MAX];
    struct pubkey *again = NULL;
    size_t n = pubkey_der(key, der);
    require(n <= sizeof der && pubkey_load(der, n, "again", &again, NULL) == 0 && pubkey_equal(key, again));
    pubkey_free(again);
    n = pubkey_pem(key, pem);
    require(n < sizeof pem && pubkey_load(pem, n, "again", &again, NULL) == 0 && pubkey_equal(key, again));
    pubkey_free(again);
}

static void check_private(struct key *key)
{
    struct key_signature s;
    struct key *again = NULL;
    char *pem = NULL;
    check_public(key_public(key));
    require(key_private_pem(key, &pem, NULL) == 0 && key_load(pem, strlen(pem), "again", &again, NULL) == 0);
    require(pubkey_equal(key_public(key), key_public(again)));
    free(pem);
    /* A modulus of another's may be no product of primes: then mbedTLS refuses to give out what it signed. */
    if (key_sign_bytes(again, "x", 1, &s, NULL) == 0)
        require(pubkey_verify_bytes(key_public(key), "x", 1, &s, NULL) == 0);
    key_free(again);
}

static void try_private(const uint8_t *data, size_t size)
{
    struct key *key;
    struct err err;
    int code = key_load(data, size, "fuzz", &key, &err);
    require(code == 0 || code == -EINVAL);
    if (code != 0) {
        check_words(&err);
        return;
    }
    check_private(key);
    key_free(key);
}

static void try_public(const uint8_t *data, size_t size)
{
    struct pubkey *key;
    struct err err;
    int code = pubkey_load(data, size, "fuzz", &key, &err);
    require(code == 0 || code == -EINVAL);
    if (code != 0) {
        check_words(&err);
        return;
    }
    check_public(key);
    pubkey_free(key);
}

/* A number of at most 48 bytes as INTEGER. */
static size_t put_number(const uint8_t *number, size_t n, uint8_t *out)
{
    for (; n > 1 && number[0] == 0; n--)
        number++;
    size_t zero = (number[0] & 0x80) != 0;
    out[0] = 2;
    out[1] = (uint8_t)(n + zero);
    out[2] = 0;
    memcpy(out + 2 + zero, number, n);
    return 2 + zero + n;
}

static void check_signature(const struct key_signature *s, const uint8_t *der, size_t n)
{
    uint8_t again[128];
    size_t half = s->length / 2;
    size_t length = put_number(s->bytes, half, again + 2);
    require(memcmp(again + 2, der + 2, length) == 0); /* r is as it was */
    length += put_number(s->bytes + half, half, again + 2 + length);
    again[0] = 0x30;
    again[1] = (uint8_t)length;
    struct key_signature lower;
    require(key_signature_from_der(s->kind, again, 2 + length, &lower, NULL) == 0);
    require(memcmp(&lower, s, sizeof lower) == 0 && length + 2 <= n + 1);
}

static void try_signature(enum key_kind kind, const uint8_t *data, size_t size)
{
    struct key_signature s;
    struct err err;
    int code = key_signature_from_der(kind, data, size, &s, &err);
    require(code == 0 || code == -EBADMSG);
    if (code != 0)
        check_words(&err);
    else if (kind != KEY_RSA)
        check_signature(&s, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 5) {
    case 0: try_private(data + 1, size - 1); break;
    case 1: try_public(data + 1, size - 1); break;
    default: try_signature((enum key_kind)(data[0] % 5 - 2), data + 1, size - 1); break;
    }
    return 0;
}
