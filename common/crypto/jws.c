/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/jws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/base64.h"
#include "common/crypto/jose.h"

/* RFC 7518, 3.1. */
static const char *algorithm_of(enum key_kind kind)
{
    return kind == KEY_P256 ? "ES256" : kind == KEY_P384 ? "ES384" : "RS256";
}

void jws_thumbprint(const struct pubkey *key, char out[44])
{
    char json[JOSE_KEY_MAX];
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_one(DIGEST_SHA256, json, jose_key_write(key, json), digest);
    base64_url_encode(digest, sizeof digest, out);
}

/* The protected header as it goes into the signature. out: HEADER_SIZE, with a NUL. */
#define HEADER_SIZE 128u
static size_t write_header(const struct pubkey *key, char *out)
{
    char kid[44], json[HEADER_SIZE];
    jws_thumbprint(key, kid);
    int n = snprintf(json, sizeof json, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm_of(pubkey_kind(key)), kid);
    return base64_url_encode(json, (size_t)n, out);
}

/* header.payload, malloc'ed. */
static char *signing_input(const char *header, size_t header_bytes, const void *payload, size_t n, size_t *length)
{
    char *input = n < SIZE_MAX / 4 ? malloc(header_bytes + 1 + BASE64_LENGTH(n) + 1) : NULL;
    if (input == NULL)
        return NULL;
    memcpy(input, header, header_bytes);
    input[header_bytes] = '.';
    *length = header_bytes + 1 + base64_url_encode(payload, n, input + header_bytes + 1);
    return input;
}

/* ---- Signing ---- */

static const struct err_context signing = {"sign document", NULL, "free memory or sign a smaller one"};

int jws_signing_input(const struct pubkey *key, const void *payload, size_t n, char **out, size_t *length,
                      struct err *err)
{
    char header[HEADER_SIZE];
    *out = signing_input(header, write_header(key, header), payload, n, length);
    return *out != NULL ? 0 : err_fail(err, -ENOMEM, &signing);
}

int jws_attach(const struct pubkey *key, const struct key_signature *s, char *out, struct err *err)
{
    static const struct err_context context = {"attach signature", NULL, "name the key that made it"};
    uint8_t raw[KEY_SIGNATURE_MAX];
    if (s->kind != pubkey_kind(key) || s->length != pubkey_raw(key, raw))
        return err_fail_because(err, -EINVAL, &context, "it is of another kind than the key");
    size_t n = write_header(key, out);
    out[n++] = '.';
    out[n++] = '.';
    base64_url_encode(s->bytes, s->length, out + n);
    return 0;
}

int jws_sign(struct key *key, const void *payload, size_t n, char *out, struct err *err)
{
    char *input;
    size_t length;
    struct key_signature s;
    int code = jws_signing_input(key_public(key), payload, n, &input, &length, err);
    if (code != 0)
        return code;
    code = key_sign_bytes(key, input, length, &s, err);
    free(input);
    return code != 0 ? code : jws_attach(key_public(key), &s, out, err);
}

/* ---- Verifying ---- */

/* Parts of "HEADER..SIGNATURE". */
struct parts {
    const char *header, *signature;
    size_t header_bytes, signature_bytes;
};

static bool split(const char *jws, size_t n, struct parts *out)
{
    if (n > 0 && jws[n - 1] == '\n')
        n--;
    const char *dot = n <= JWS_MAX ? memchr(jws, '.', n) : NULL;
    if (dot == NULL || dot + 1 == jws + n || dot[1] != '.')
        return false;
    *out = (struct parts){jws, dot + 2, (size_t)(dot - jws), n - (size_t)(dot + 2 - jws)};
    return true;
}

/* The kind of key that a header asks for. */
static int read_header(const struct parts *p, enum key_kind *out)
{
    static const char *const members[] = {"alg", "kid", "typ", NULL};
    json_t *header;
    int code = jose_header_read(p->header, p->header_bytes, members, &header);
    if (code != 0)
        return code;
    const char *alg = jose_text(header, "alg");
    bool known = alg != NULL && jose_text_or_nothing(header, "kid") && jose_text_or_nothing(header, "typ");
    code = -EBADMSG;
    for (enum key_kind kind = KEY_P256; known && kind <= KEY_RSA; kind++)
        if (strcmp(alg, algorithm_of(kind)) == 0) {
            *out = kind;
            code = 0;
        }
    json_decref(header);
    return code;
}

static bool read_signature(const struct parts *p, enum key_kind kind, struct key_signature *out)
{
    *out = (struct key_signature){.kind = kind, .hash = kind == KEY_P384 ? DIGEST_SHA384 : DIGEST_SHA256};
    int64_t n = p->signature_bytes * 3 / 4 <= sizeof out->bytes
                    ? base64_url_decode(p->signature, p->signature_bytes, out->bytes)
                    : -EBADMSG;
    out->length = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int verify_any(const struct key_signature *s, const char *input, size_t length, const struct pubkey *const *keys,
                      size_t count, size_t *which)
{
    for (size_t i = 0; i < count; i++)
        if (pubkey_kind(keys[i]) == s->kind && pubkey_verify_bytes(keys[i], input, length, s, NULL) == 0) {
            *which = i;
            return 0;
        }
    return -EBADMSG;
}

int jws_verify(const char *jws, size_t jws_bytes, const void *payload, size_t n, const struct pubkey *const *keys,
               size_t count, size_t *which, struct err *err)
{
    const struct err_context context = {"verify signature", NULL, "sign the document again and name the signer's key"};
    struct parts parts;
    enum key_kind kind;
    struct key_signature s;
    size_t length;
    if (!split(jws, jws_bytes, &parts))
        return err_fail_because(err, -EBADMSG, &context, "it is not of the form HEADER..SIGNATURE");
    int code = read_header(&parts, &kind);
    if (code == -EBADMSG)
        return err_fail_because(err, code, &context, "its header is not alg ES256, ES384 or RS256, kid and typ alone");
    if (code == 0 && !read_signature(&parts, kind, &s))
        return err_fail_because(err, -EBADMSG, &context, "it is no base64url or too long");
    char *input = code == 0 ? signing_input(parts.header, parts.header_bytes, payload, n, &length) : NULL;
    if (input == NULL)
        return err_fail(err, -ENOMEM, &context);
    code = verify_any(&s, input, length, keys, count, which);
    free(input);
    return code == 0 ? 0 : err_fail_because(err, code, &context, "no trusted key made it for this document");
}
