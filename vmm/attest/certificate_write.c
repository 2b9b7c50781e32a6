/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <mbedtls/asn1write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/attest/certificate.h"

#define SEQUENCE     (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SERIAL_BYTES 16u
#define KEY_ID_BYTES 20u
#define NAME_BYTES   64u /* ub-common-name */
/* All but the issuer's name: key, signature, and a few hundred bytes that do not vary. */
#define ROOM (KEY_SPKI_MAX + KEY_SIGNATURE_MAX + 1024u)

/* A certificate is written from its end to its start, as mbedTLS's functions do. There is room: none fails. */
struct writer {
    uint8_t *at, *start;
    const uint8_t *end;
};

static size_t written(const struct writer *w)
{
    return (size_t)(w->end - w->at);
}

static void put(struct writer *w, const void *bytes, size_t n)
{
    mbedtls_asn1_write_raw_buffer(&w->at, w->start, bytes, n);
}

/* Everything since `before` becomes the content of a tag. */
static void wrap(struct writer *w, size_t before, unsigned tag)
{
    mbedtls_asn1_write_len(&w->at, w->start, written(w) - before);
    mbedtls_asn1_write_tag(&w->at, w->start, (unsigned char)tag);
}

static void put_tagged(struct writer *w, unsigned tag, const void *bytes, size_t n)
{
    size_t before = written(w);
    put(w, bytes, n);
    wrap(w, before, tag);
}

/* ---- Extensions, 4.2.1 ---- */

/* basicConstraints, critical, no CA; keyUsage, critical, digitalSignature; extendedKeyUsage, 2.23.133.8.3. */
static const uint8_t basic_constraints[] = {0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d, 0x13,
                                            0x01, 0x01, 0xff, 0x04, 0x02, 0x30, 0x00};
static const uint8_t key_usage[] = {0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01,
                                    0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x07, 0x80};
static const uint8_t extended_key_usage[] = {0x30, 0x10, 0x06, 0x03, 0x55, 0x1d, 0x25, 0x04, 0x09,
                                             0x30, 0x07, 0x06, 0x05, 0x67, 0x81, 0x05, 0x08, 0x03};
static const uint8_t oid_subject_key_id[] = {0x06, 0x03, 0x55, 0x1d, 0x0e};
static const uint8_t oid_authority_key_id[] = {0x06, 0x03, 0x55, 0x1d, 0x23};

/* An identifier is the start of a digest of the key's bits (RFC 7093, 2, method 1, over the whole of the key's DER). */
static void key_id(const struct pubkey *key, uint8_t out[DIGEST_SHA256_BYTES])
{
    uint8_t spki[KEY_SPKI_MAX];
    digest_one(DIGEST_SHA256, spki, pubkey_der(key, spki), out);
}

static void put_subject_key_id(struct writer *w, const struct pubkey *key)
{
    uint8_t id[DIGEST_SHA256_BYTES];
    size_t before = written(w);
    key_id(key, id);
    put_tagged(w, MBEDTLS_ASN1_OCTET_STRING, id, KEY_ID_BYTES);
    wrap(w, before, MBEDTLS_ASN1_OCTET_STRING);
    put(w, oid_subject_key_id, sizeof oid_subject_key_id);
    wrap(w, before, SEQUENCE);
}

/* As the issuer's certificate says it; one that says nothing is given what ours would say. */
static void put_authority_key_id(struct writer *w, const struct certificate *issuer)
{
    uint8_t own[DIGEST_SHA256_BYTES];
    const mbedtls_x509_buf *said = &issuer->crt.subject_key_id;
    bool usable = said->len > 0 && said->len <= 64;
    size_t before = written(w);
    key_id(issuer->key, own);
    put_tagged(w, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 0, usable ? said->p : own, usable ? said->len : KEY_ID_BYTES);
    wrap(w, before, SEQUENCE);
    wrap(w, before, MBEDTLS_ASN1_OCTET_STRING);
    put(w, oid_authority_key_id, sizeof oid_authority_key_id);
    wrap(w, before, SEQUENCE);
}

static void put_extensions(struct writer *w, const struct pubkey *key, const struct certificate *issuer)
{
    size_t before = written(w);
    put_authority_key_id(w, issuer);
    put_subject_key_id(w, key);
    put(w, extended_key_usage, sizeof extended_key_usage);
    put(w, key_usage, sizeof key_usage);
    put(w, basic_constraints, sizeof basic_constraints);
    wrap(w, before, SEQUENCE);
    wrap(w, before, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 3);
}

/* ---- The other parts, 4.1 ---- */

/* Name ::= one commonName. */
static void put_name(struct writer *w, const char *name)
{
    static const uint8_t common_name[] = {0x06, 0x03, 0x55, 0x04, 0x03};
    size_t before = written(w);
    put_tagged(w, MBEDTLS_ASN1_UTF8_STRING, name, strlen(name));
    put(w, common_name, sizeof common_name);
    wrap(w, before, SEQUENCE);
    wrap(w, before, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET);
    wrap(w, before, SEQUENCE);
}

/* Two digits of the year up to 2049, four from 2050 on (4.1.2.5). */
static void put_time(struct writer *w, int64_t seconds)
{
    char text[32];
    struct tm tm;
    time_t t = seconds;
    gmtime_r(&t, &tm);
    size_t n = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
    if (tm.tm_year < 2050 - 1900)
        put_tagged(w, MBEDTLS_ASN1_UTC_TIME, text + 2, n - 2);
    else
        put_tagged(w, MBEDTLS_ASN1_GENERALIZED_TIME, text, n);
}

static void put_validity(struct writer *w, const struct chain_subject *subject)
{
    size_t before = written(w);
    put_time(w, subject->not_after_s);
    put_time(w, subject->not_before_s);
    wrap(w, before, SEQUENCE);
}

static void put_algorithm(struct writer *w, const struct pubkey *issuer)
{
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    static const uint8_t ecdsa_sha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
    static const uint8_t rsa_sha256[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
    if (pubkey_kind(issuer) == KEY_RSA)
        put(w, rsa_sha256, sizeof rsa_sha256);
    else
        put(w, pubkey_kind(issuer) == KEY_P384 ? ecdsa_sha384 : ecdsa_sha256, sizeof ecdsa_sha256);
}

/* Of everything else: two certificates of one issuer have the same number only if they are the same. */
static void put_serial(struct writer *w)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_one(DIGEST_SHA256, w->at, written(w), digest);
    digest[0] = (uint8_t)((digest[0] & 0x3f) | 0x40); /* positive, and always 16 bytes */
    put_tagged(w, MBEDTLS_ASN1_INTEGER, digest, SERIAL_BYTES);
}

static void put_body(struct writer *w, const struct pubkey *key, const struct chain_subject *subject,
                     const struct certificate *issuer)
{
    static const uint8_t version_3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
    uint8_t spki[KEY_SPKI_MAX];
    put_extensions(w, key, issuer);
    put(w, spki, pubkey_der(key, spki));
    put_name(w, subject->sandbox);
    put_validity(w, subject);
    put(w, issuer->crt.subject_raw.p, issuer->crt.subject_raw.len);
    put_algorithm(w, issuer->key);
    put_serial(w);
    put(w, version_3, sizeof version_3);
    wrap(w, 0, SEQUENCE);
}

/* A positive INTEGER in its shortest form. */
static void put_number(struct writer *w, const uint8_t *number, size_t n)
{
    size_t before = written(w);
    for (; n > 1 && number[0] == 0; n--)
        number++;
    put(w, number, n);
    if ((number[0] & 0x80) != 0)
        put(w, "", 1);
    wrap(w, before, MBEDTLS_ASN1_INTEGER);
}

static void put_signature(struct writer *w, const struct key_signature *s)
{
    if (s->kind == KEY_RSA) {
        put(w, s->bytes, s->length);
    } else {
        put_number(w, s->bytes + s->length / 2, s->length / 2);
        put_number(w, s->bytes, s->length / 2);
        wrap(w, 0, SEQUENCE);
    }
    put(w, "", 1); /* no unused bits */
    wrap(w, 0, MBEDTLS_ASN1_BIT_STRING);
}

/* ---- All of it ---- */

static bool is_fit_to_show(const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return name[0] != '\0' && strlen(name) <= NAME_BYTES;
}

static int check_subject(const struct chain_subject *s, struct err *err)
{
    const struct err_context context = {"certify key", NULL, "check the pod's name and the clock"};
    static const int64_t last_s = 253402300799; /* end of 9999 */
    if (!is_fit_to_show(s->sandbox))
        return err_fail_because(err, -EINVAL, &context, "the pod's name has not 1 to %u printable characters",
                                NAME_BYTES);
    if (s->not_before_s < 0 || s->not_after_s <= s->not_before_s || s->not_after_s > last_s)
        return err_fail_because(err, -EINVAL, &context, "the time in which it is to be valid ends before it begins");
    return 0;
}

static int certify(const struct pubkey *key, const struct chain_subject *subject, struct key *issuer_key,
                   const struct certificate *issuer, struct writer *body, struct writer *all, struct err *err)
{
    struct key_signature s;
    put_body(body, key, subject, issuer);
    int code = key_sign_bytes(issuer_key, body->at, written(body), &s, err);
    if (code != 0)
        return code;
    put_signature(all, &s);
    put_algorithm(all, issuer->key);
    put(all, body->at, written(body));
    wrap(all, 0, SEQUENCE);
    memmove(all->start, all->at, written(all));
    return 0;
}

int certificate_write(const struct pubkey *key, const struct chain_subject *subject, struct key *issuer_key,
                      const struct certificate *issuer, uint8_t **der, size_t *length, struct err *err)
{
    static const struct err_context context = {"certify key", NULL, "free memory"};
    size_t size = ROOM + issuer->crt.subject_raw.len;
    int code = check_subject(subject, err);
    if (code != 0)
        return code;
    uint8_t *body = malloc(size), *all = malloc(size);
    struct writer of_body = {body + size, body, body + size}, of_all = {all + size, all, all + size};
    code = body != NULL && all != NULL ? certify(key, subject, issuer_key, issuer, &of_body, &of_all, err)
                                       : err_fail(err, -ENOMEM, &context);
    free(body);
    if (code == 0) {
        *der = all;
        *length = written(&of_all);
        return 0;
    }
    free(all);
    return code;
}
