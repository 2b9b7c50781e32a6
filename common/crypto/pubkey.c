/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/key_parts.h"
#include "common/crypto/pem.h"

/* ---- Kinds ---- */

size_t key_coordinate_bytes(enum key_kind kind)
{
    return kind == KEY_P256 ? 32 : kind == KEY_P384 ? 48 : 0;
}

mbedtls_ecp_group_id key_group_id(enum key_kind kind)
{
    return kind == KEY_P256   ? MBEDTLS_ECP_DP_SECP256R1
           : kind == KEY_P384 ? MBEDTLS_ECP_DP_SECP384R1
                              : MBEDTLS_ECP_DP_NONE;
}

mbedtls_md_type_t key_md(enum digest_alg hash)
{
    return hash == DIGEST_SHA384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256;
}

enum digest_alg key_hash(const struct pubkey *key)
{
    return key->kind == KEY_P384 ? DIGEST_SHA384 : DIGEST_SHA256;
}

enum key_kind pubkey_kind(const struct pubkey *key)
{
    return key->kind;
}

size_t pubkey_rsa_bytes(const struct pubkey *key)
{
    return key->kind == KEY_RSA ? key->length : 0;
}

/* ---- To and from bytes ---- */

size_t pubkey_raw(const struct pubkey *key, uint8_t *out)
{
    memcpy(out, key->raw, key->length);
    return key->length;
}

size_t pubkey_point(const struct pubkey *key, uint8_t *out)
{
    out[0] = 4; /* uncompressed: SEC 1, 2.3.3 */
    memcpy(out + 1, key->raw, key->length);
    return 1 + key->length;
}

int pubkey_to_point(const struct pubkey *key, mbedtls_ecp_group *group, mbedtls_ecp_point *point)
{
    uint8_t bytes[1 + 2 * KEY_COORDINATE_MAX];
    size_t n = pubkey_point(key, bytes);
    int code = mbedtls_ecp_group_load(group, key_group_id(key->kind));
    return code != 0 ? code : mbedtls_ecp_point_read_binary(group, point, bytes, n);
}

int pubkey_to_rsa(const struct pubkey *key, mbedtls_rsa_context *rsa)
{
    static const uint8_t exponent[] = {1, 0, 1};
    int code = mbedtls_rsa_import_raw(rsa, key->raw, key->length, NULL, 0, NULL, 0, NULL, 0, exponent, sizeof exponent);
    return code != 0 ? code : mbedtls_rsa_complete(rsa);
}

static int check_point(const struct pubkey *key)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    int code = pubkey_to_point(key, &group, &point);
    if (code == 0)
        code = mbedtls_ecp_check_pubkey(&group, &point);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return code == 0                                                                      ? 0
           : code == MBEDTLS_ERR_ECP_ALLOC_FAILED || code == MBEDTLS_ERR_MPI_ALLOC_FAILED ? -ENOMEM
                                                                                          : -EINVAL;
}

static int check_modulus(const uint8_t *modulus, size_t n)
{
    bool sized = n >= KEY_RSA_BYTES_MIN && n <= KEY_SIGNATURE_MAX;
    return sized && (modulus[0] & 0x80) != 0 && (modulus[n - 1] & 1) != 0 ? 0 : -EINVAL;
}

int pubkey_set(enum key_kind kind, const uint8_t *raw, size_t n, struct pubkey *out)
{
    if (n > sizeof out->raw || (kind != KEY_RSA && n != 2 * key_coordinate_bytes(kind)))
        return -EINVAL;
    out->kind = kind;
    out->length = n;
    memcpy(out->raw, raw, n);
    return kind == KEY_RSA ? check_modulus(raw, n) : check_point(out);
}

bool pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
    return a->kind == b->kind && a->length == b->length && memcmp(a->raw, b->raw, a->length) == 0;
}

/* ---- DER and PEM of a public key: RFC 5480, 2; RFC 3279, 2.3.1 ---- */

/* All in front of the point, which ends a SubjectPublicKeyInfo. */
static const uint8_t prefix_p256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                      0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
static const uint8_t prefix_p384[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                      0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00};
/* AlgorithmIdentifier { rsaEncryption, NULL } */
static const uint8_t rsa_algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

static size_t der_of_curve(const struct pubkey *key, uint8_t *out)
{
    bool p256 = key->kind == KEY_P256;
    size_t n = p256 ? sizeof prefix_p256 : sizeof prefix_p384;
    memcpy(out, p256 ? prefix_p256 : prefix_p384, n);
    return n + pubkey_point(key, out + n);
}

/* Written from the end, as mbedTLS does; KEY_SPKI_MAX has room for the longest, so that nothing here fails. */
static size_t der_of_rsa(const struct pubkey *key, uint8_t *out)
{
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    uint8_t der[KEY_SPKI_MAX] = {0};
    uint8_t *at = der + sizeof der;
    const uint8_t *end = at;
    mbedtls_asn1_write_int(&at, der, KEY_RSA_EXPONENT);
    mbedtls_asn1_write_raw_buffer(&at, der, key->raw, key->length);
    *--at = 0; /* the modulus's first bit is set, and it is no negative number */
    mbedtls_asn1_write_len(&at, der, key->length + 1);
    mbedtls_asn1_write_tag(&at, der, MBEDTLS_ASN1_INTEGER);
    mbedtls_asn1_write_len(&at, der, (size_t)(end - at));
    mbedtls_asn1_write_tag(&at, der, sequence);
    *--at = 0; /* of the bit string: all bits of its last byte count */
    mbedtls_asn1_write_len(&at, der, (size_t)(end - at));
    mbedtls_asn1_write_tag(&at, der, MBEDTLS_ASN1_BIT_STRING);
    mbedtls_asn1_write_raw_buffer(&at, der, rsa_algorithm, sizeof rsa_algorithm);
    mbedtls_asn1_write_len(&at, der, (size_t)(end - at));
    mbedtls_asn1_write_tag(&at, der, sequence);
    size_t n = (size_t)(end - at);
    memcpy(out, at, n);
    return n;
}

size_t pubkey_der(const struct pubkey *key, uint8_t *out)
{
    return key->kind == KEY_RSA ? der_of_rsa(key, out) : der_of_curve(key, out);
}

size_t pubkey_pem(const struct pubkey *key, char *out)
{
    uint8_t der[KEY_SPKI_MAX];
    return pem_encode("PUBLIC KEY", der, pubkey_der(key, der), out);
}

/* ---- Reading ---- */

static const char accepted[] =
    "use a P-256, P-384 or RSA key (2048 to 4096 bits, exponent 65537) or certificate, PEM or DER";

static bool read_curve(enum key_kind kind, const uint8_t *prefix, size_t prefix_bytes, const uint8_t *der, size_t n,
                       struct pubkey *out)
{
    size_t point = 1 + 2 * key_coordinate_bytes(kind);
    return n == prefix_bytes + point && memcmp(der, prefix, prefix_bytes) == 0 && der[prefix_bytes] == 4 &&
           pubkey_set(kind, der + prefix_bytes + 1, point - 1, out) == 0;
}

static bool enter(uint8_t **at, const uint8_t *end, int tag, size_t *length)
{
    return mbedtls_asn1_get_tag(at, end, length, tag) == 0;
}

/* Finds the modulus; that everything else is as it has to be shows when the same is written again. */
static bool read_rsa(const uint8_t *der, size_t n, struct pubkey *out)
{
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    uint8_t again[KEY_SPKI_MAX];
    uint8_t *at = (uint8_t *)(uintptr_t)der; /* mbedTLS moves it and writes nothing */
    const uint8_t *end = der + n;
    size_t length;
    if (!enter(&at, end, sequence, &length) || !enter(&at, end, sequence, &length))
        return false;
    at += length;
    if (mbedtls_asn1_get_bitstring_null(&at, end, &length) != 0 || !enter(&at, end, sequence, &length))
        return false;
    if (!enter(&at, end, MBEDTLS_ASN1_INTEGER, &length) || length < 2 || at[0] != 0)
        return false;
    if (pubkey_set(KEY_RSA, at + 1, length - 1, out) != 0)
        return false;
    return der_of_rsa(out, again) == n && memcmp(again, der, n) == 0;
}

static bool read_spki(const uint8_t *der, size_t n, struct pubkey *out)
{
    return read_curve(KEY_P256, prefix_p256, sizeof prefix_p256, der, n, out) ||
           read_curve(KEY_P384, prefix_p384, sizeof prefix_p384, der, n, out) || read_rsa(der, n, out);
}

static bool read_certificate(const uint8_t *der, size_t n, struct pubkey *out)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    bool good = mbedtls_x509_crt_parse_der_nocopy(&crt, der, n) == 0 && crt.raw.len == n &&
                read_spki(crt.pk_raw.p, crt.pk_raw.len, out);
    mbedtls_x509_crt_free(&crt);
    return good;
}

/* One block of PEM, "PUBLIC KEY" or "CERTIFICATE", and nothing else. */
static bool read_pem(const char *text, size_t n, struct pubkey *out)
{
    struct pem_block block, more;
    if (pem_next(&text, &n, &block) != 1 || pem_next(&text, &n, &more) != 0)
        return false;
    bool certificate = pem_has_label(&block, "CERTIFICATE");
    if (!certificate && !pem_has_label(&block, "PUBLIC KEY"))
        return false;
    uint8_t *der = malloc(block.body_bytes);
    int64_t length = der != NULL ? pem_decode(&block, der) : -ENOMEM;
    bool good = length > 0 && (certificate ? read_certificate : read_spki)(der, (size_t)length, out);
    free(der);
    return good;
}

int pubkey_load(const void *bytes, size_t n, const char *name, struct pubkey **out, struct err *err)
{
    const struct err_context context = {"read public key", name, accepted};
    if (n == 0 || n > KEY_FILE_MAX)
        return err_fail_because(err, -EINVAL, &context, "it has %zu bytes, not 1 to %u", n, KEY_FILE_MAX);
    struct pubkey *key = calloc(1, sizeof *key);
    if (key == NULL)
        return err_fail(err, -ENOMEM, &context);
    bool der = *(const uint8_t *)bytes == 0x30;
    if (der ? read_spki(bytes, n, key) || read_certificate(bytes, n, key) : read_pem(bytes, n, key)) {
        *out = key;
        return 0;
    }
    free(key);
    return err_fail_because(err, -EINVAL, &context, "it is no public key or certificate of a kind that is accepted");
}

int pubkey_from_raw(enum key_kind kind, const uint8_t *xy, size_t n, struct pubkey **out, struct err *err)
{
    const struct err_context context = {"read public key", NULL, "use X and Y of a point on P-256 or P-384"};
    struct pubkey *key = calloc(1, sizeof *key);
    int code = key == NULL ? -ENOMEM : kind == KEY_RSA ? -EINVAL : pubkey_set(kind, xy, n, key);
    if (code == 0) {
        *out = key;
        return 0;
    }
    free(key);
    if (code == -ENOMEM)
        return err_fail(err, code, &context);
    return err_fail_because(err, code, &context, "%zu bytes are no point of the curve", n);
}

void pubkey_free(struct pubkey *key)
{
    free(key);
}

/* ---- Signatures ---- */

int key_lower_s(const mbedtls_ecp_group *group, mbedtls_mpi *s, bool *was_high)
{
    mbedtls_mpi other;
    mbedtls_mpi_init(&other);
    int code = mbedtls_mpi_sub_mpi(&other, &group->N, s);
    bool high = code == 0 && mbedtls_mpi_cmp_mpi(s, &other) > 0;
    if (high)
        code = mbedtls_mpi_copy(s, &other);
    if (was_high != NULL)
        *was_high = high;
    mbedtls_mpi_free(&other);
    return code;
}

/* mbedTLS itself refuses r and s outside of 1 to the order - 1. */
static int verify_curve(const struct pubkey *key, const uint8_t *digest, const struct key_signature *sig, bool *high)
{
    size_t half = key_coordinate_bytes(key->kind);
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int code = pubkey_to_point(key, &group, &point);
    if (code == 0)
        code = mbedtls_mpi_read_binary(&r, sig->bytes, half);
    if (code == 0)
        code = mbedtls_mpi_read_binary(&s, sig->bytes + half, half);
    if (code == 0)
        code = mbedtls_ecdsa_verify(&group, digest, digest_bytes(sig->hash), &point, &r, &s);
    if (code == 0)
        code = key_lower_s(&group, &s, high);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return code;
}

static int verify_rsa(const struct pubkey *key, const uint8_t *digest, const struct key_signature *sig)
{
    mbedtls_rsa_context rsa;
    mbedtls_rsa_init(&rsa);
    int code = pubkey_to_rsa(key, &rsa);
    if (code == 0)
        code = mbedtls_rsa_pkcs1_verify(&rsa, key_md(sig->hash), (unsigned)digest_bytes(sig->hash), digest, sig->bytes);
    mbedtls_rsa_free(&rsa);
    return code;
}

int pubkey_verify(const struct pubkey *key, const uint8_t *digest, const struct key_signature *s, struct err *err)
{
    static const struct err_context context = {"verify signature", NULL, NULL};
    bool high = false;
    if (s->kind != key->kind || s->hash != key_hash(key) || s->length != key->length)
        return err_fail_because(err, -EBADMSG, &context, "it is one of another kind of key, hash or length");
    int code = key->kind == KEY_RSA ? verify_rsa(key, digest, s) : verify_curve(key, digest, s, &high);
    if (code != 0)
        return err_fail_because(err, -EBADMSG, &context, "this key did not make it for these bytes");
    if (high)
        return err_fail_because(err, -EBADMSG, &context, "it has the higher of two possible s");
    return 0;
}

int pubkey_verify_bytes(const struct pubkey *key, const void *bytes, size_t n, const struct key_signature *s,
                        struct err *err)
{
    uint8_t digest[DIGEST_BYTES_MAX];
    digest_one(key_hash(key), bytes, n, digest);
    return pubkey_verify(key, digest, s, err);
}
