/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/certificate.h"

#include <errno.h>
#include <mbedtls/oid.h>
#include <string.h>
#include <time.h>

/* id-kp "attestation identity key", of the TCG: 2.23.133.8.3. */
static const char attestation_key[] = "\x67\x81\x05\x08\x03";

/* ---- Reading ---- */

/* Seconds since 1970 of a date that mbedTLS has found to be one. */
static int64_t seconds_of(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900, .tm_mon = t->mon - 1, .tm_mday = t->day};
    tm.tm_hour = t->hour;
    tm.tm_min = t->min;
    tm.tm_sec = t->sec;
    return timegm(&tm);
}

int certificate_read(const uint8_t *der, size_t n, struct certificate *out)
{
    *out = (struct certificate){0};
    mbedtls_x509_crt_init(&out->crt);
    int code = mbedtls_x509_crt_parse_der_nocopy(&out->crt, der, n);
    if (code == 0 && out->crt.version == 3 && out->crt.raw.len == n)
        code = pubkey_load(out->crt.pk_raw.p, out->crt.pk_raw.len, NULL, &out->key, NULL);
    out->not_before_s = seconds_of(&out->crt.valid_from);
    out->not_after_s = seconds_of(&out->crt.valid_to);
    if (out->key != NULL)
        return 0;
    certificate_fini(out);
    return code == -ENOMEM || code == MBEDTLS_ERR_X509_ALLOC_FAILED ? -ENOMEM : -EBADMSG;
}

void certificate_fini(struct certificate *c)
{
    mbedtls_x509_crt_free(&c->crt);
    pubkey_free(c->key);
    *c = (struct certificate){0};
}

void certificate_name(const struct certificate *c, char out[CERTIFICATE_NAME_MAX])
{
    if (mbedtls_x509_dn_gets(out, CERTIFICATE_NAME_MAX, &c->crt.subject) < 0)
        memcpy(out, "with a long name", 17);
}

/* ---- Judging ---- */

const char *certificate_fault_in_time(const struct certificate *c, int64_t now_s)
{
    return now_s < c->not_before_s ? "is not valid yet" : now_s > c->not_after_s ? "has expired" : NULL;
}

static bool has_usage(const struct certificate *c, unsigned usage)
{
    return mbedtls_x509_crt_has_ext_type(&c->crt, MBEDTLS_X509_EXT_KEY_USAGE) != 0 &&
           mbedtls_x509_crt_check_key_usage(&c->crt, usage) == 0;
}

const char *certificate_fault_as_leaf(const struct certificate *c)
{
    if (mbedtls_x509_crt_has_ext_type(&c->crt, MBEDTLS_X509_EXT_BASIC_CONSTRAINTS) == 0)
        return "does not say whether it is a CA's (basicConstraints)";
    if (mbedtls_x509_crt_get_ca_istrue(&c->crt) != 0)
        return "is a CA's, and no attestation key's";
    if (!has_usage(c, MBEDTLS_X509_KU_DIGITAL_SIGNATURE))
        return "is not for signatures (keyUsage)";
    /* One for a web server by the same CA is no attestation key. */
    if (mbedtls_x509_crt_check_extended_key_usage(&c->crt, attestation_key, sizeof attestation_key - 1) != 0)
        return "is for something else (extendedKeyUsage)";
    return NULL;
}

const char *certificate_fault_as_ca(const struct certificate *c, size_t below)
{
    if (mbedtls_x509_crt_get_ca_istrue(&c->crt) != 1)
        return "is no CA's (basicConstraints)";
    if (!has_usage(c, MBEDTLS_X509_KU_KEY_CERT_SIGN))
        return "is not for certificates (keyUsage)";
    /* mbedTLS has the length plus 1, and 0 for none, and no function that tells it. */
    int limit = c->crt.MBEDTLS_PRIVATE(max_pathlen);
    return limit > 0 && below > (size_t)limit - 1 ? "has too many CAs below it (path length)" : NULL;
}

static bool has_algorithm_of(const struct certificate *c, const struct pubkey *key)
{
    bool rsa = pubkey_kind(key) == KEY_RSA, sha384 = key_hash(key) == DIGEST_SHA384;
    return c->crt.MBEDTLS_PRIVATE(sig_pk) == (rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECDSA) &&
           c->crt.MBEDTLS_PRIVATE(sig_md) == (sha384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256);
}

bool certificate_is_issued_by(const struct certificate *c, const struct certificate *issuer)
{
    const mbedtls_x509_buf *name = &issuer->crt.subject_raw, *sig = &c->crt.MBEDTLS_PRIVATE(sig);
    struct key_signature s;
    if (c->crt.issuer_raw.len != name->len || memcmp(c->crt.issuer_raw.p, name->p, name->len) != 0)
        return false;
    if (!has_algorithm_of(c, issuer->key))
        return false;
    /* Other CAs do not care which s they take. */
    return key_signature_from_der(pubkey_kind(issuer->key), sig->p, sig->len, &s, NULL) == 0 &&
           pubkey_verify_bytes(issuer->key, c->crt.tbs.p, c->crt.tbs.len, &s, NULL) == 0;
}
