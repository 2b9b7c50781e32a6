/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <mbedtls/asn1.h>
#include <string.h>

#include "common/crypto/key_parts.h"

/* ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }: RFC 3279, 2.2.3; DER as X.690, 8.3 and 10.1. */

struct der {
    const uint8_t *at, *end;
};

/* A positive INTEGER in its shortest form, to `width` bytes. */
static bool take_number(struct der *d, size_t width, uint8_t *out)
{
    if (d->end - d->at < 2 || d->at[0] != MBEDTLS_ASN1_INTEGER || d->at[1] >= 0x80)
        return false;
    size_t n = d->at[1];
    const uint8_t *number = d->at + 2;
    if (n == 0 || n > (size_t)(d->end - number) || (number[0] & 0x80) != 0)
        return false;
    if (n > 1 && number[0] == 0 && (number[1] & 0x80) == 0)
        return false;
    d->at = number + n;
    if (number[0] == 0) {
        number++;
        n--;
    }
    if (n == 0 || n > width)
        return false;
    memset(out, 0, width - n);
    memcpy(out + width - n, number, n);
    return true;
}

/* Both numbers of at most 49 bytes: the length has one byte. */
static bool take_pair(struct der *d, size_t width, uint8_t *out)
{
    if (d->end - d->at < 2 || d->at[0] != (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE))
        return false;
    if (d->at[1] >= 0x80 || d->at[1] != d->end - d->at - 2)
        return false;
    d->at += 2;
    return take_number(d, width, out) && take_number(d, width, out + width) && d->at == d->end;
}

/* 1 <= r, s < order, and the lower s. 0, or not. */
static int normalise(enum key_kind kind, uint8_t *pair, size_t width)
{
    mbedtls_ecp_group group;
    mbedtls_mpi r, s;
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int code = mbedtls_ecp_group_load(&group, key_group_id(kind));
    if (code == 0)
        code = mbedtls_mpi_read_binary(&r, pair, width);
    if (code == 0)
        code = mbedtls_mpi_read_binary(&s, pair + width, width);
    if (code == 0 && (mbedtls_mpi_cmp_mpi(&r, &group.N) >= 0 || mbedtls_mpi_cmp_mpi(&s, &group.N) >= 0))
        code = -EBADMSG;
    if (code == 0)
        code = key_lower_s(&group, &s, NULL);
    if (code == 0)
        code = mbedtls_mpi_write_binary(&s, pair + width, width);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_group_free(&group);
    return code;
}

static bool read_curve(enum key_kind kind, const uint8_t *der, size_t n, struct key_signature *out)
{
    size_t width = key_coordinate_bytes(kind);
    struct der d = {der, der + n};
    out->length = 2 * width;
    return take_pair(&d, width, out->bytes) && normalise(kind, out->bytes, width) == 0;
}

static bool read_rsa(const uint8_t *block, size_t n, struct key_signature *out)
{
    if (n < KEY_RSA_BYTES_MIN || n > sizeof out->bytes)
        return false;
    memcpy(out->bytes, block, n);
    out->length = n;
    return true;
}

int key_signature_from_der(enum key_kind kind, const void *der, size_t n, struct key_signature *out, struct err *err)
{
    *out = (struct key_signature){.kind = kind, .hash = kind == KEY_P384 ? DIGEST_SHA384 : DIGEST_SHA256};
    if (kind == KEY_RSA ? read_rsa(der, n, out) : read_curve(kind, der, n, out))
        return 0;
    static const struct err_context context = {"read signature", NULL,
                                               "sign again, for example with openssl dgst -sign"};
    return err_fail_because(err, -EBADMSG, &context, "%zu bytes are no signature of such a key in DER", n);
}
