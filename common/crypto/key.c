/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/key.h"

#include <errno.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/pk.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto/key_parts.h"
#include "common/crypto/locked.h"
#include "common/crypto/pem.h"
#include "common/crypto/random.h"

#define SECRET_MAX  4096u /* RFC 8017's RSAPrivateKey with 4096 bits has less than 2400 */
#define PKCS8_EXTRA 64u   /* what PKCS #8 puts around it, at most */

struct key {
    struct pubkey public;
    uint8_t *secret; /* in locked memory: the scalar, or an RSAPrivateKey in DER */
    size_t secret_bytes;
};

static const char to_fix[] =
    "use an unencrypted P-256, P-384 or RSA key (2048 to 4096 bits, exponent 65537), PEM (one block) or DER";

/* ---- Life ---- */

static int key_new(struct key **out)
{
    void *secret;
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return -ENOMEM;
    int code = locked_new(SECRET_MAX, &secret);
    if (code != 0) {
        free(key);
        return code;
    }
    key->secret = secret;
    *out = key;
    return 0;
}

void key_free(struct key *key)
{
    if (key == NULL)
        return;
    locked_free(key->secret, SECRET_MAX);
    free(key);
}

const struct pubkey *key_public(const struct key *key)
{
    return &key->public;
}

static int fail_memory(struct err *err, int code, const char *attempted, const char *name)
{
    return err_fail(err, code, &(struct err_context){attempted, name, "raise the limit of locked memory (ulimit -l)"});
}

/* ---- Curves ---- */

/* The public part belongs to the scalar; both go into *key. 0 or mbedTLS's error. */
static int take_pair(struct key *key, enum key_kind kind, mbedtls_ecp_keypair *pair)
{
    uint8_t point[1 + 2 * KEY_COORDINATE_MAX];
    size_t n;
    int code = mbedtls_ecp_write_key_ext(pair, &key->secret_bytes, key->secret, SECRET_MAX);
    if (code == 0)
        code = mbedtls_ecp_keypair_calc_public(pair, random_for_mbedtls, NULL);
    if (code == 0)
        code = mbedtls_ecp_write_public_key(pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point, sizeof point);
    if (code == 0 && pubkey_set(kind, point + 1, n - 1, &key->public) != 0)
        code = MBEDTLS_ERR_ECP_INVALID_KEY;
    return code;
}

/* A private key alone, by way of locked memory: mbedtls_ecp_gen_key computes the public one, as take_pair does. */
static int make_pair(struct key *key, mbedtls_ecp_group_id id, mbedtls_ecp_keypair *pair)
{
    mbedtls_ecp_group group;
    mbedtls_mpi d;
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&d);
    int code = mbedtls_ecp_group_load(&group, id);
    size_t n = (group.nbits + 7) / 8;
    if (code == 0)
        code = mbedtls_ecp_gen_privkey(&group, &d, random_for_mbedtls, NULL);
    if (code == 0)
        code = mbedtls_mpi_write_binary(&d, key->secret, n);
    if (code == 0)
        code = mbedtls_ecp_read_key(id, pair, key->secret, n);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_group_free(&group);
    return code;
}

int key_generate(enum key_kind kind, struct key **out, struct err *err)
{
    static const char attempted[] = "make a key";
    const struct err_context context = {attempted, NULL, "make it with another program and name its file"};
    struct key *key;
    mbedtls_ecp_keypair pair;
    if (kind == KEY_RSA)
        return err_fail_because(err, -EINVAL, &context, "keys of RSA are not made here");
    int code = key_new(&key);
    if (code != 0)
        return fail_memory(err, code, attempted, NULL);
    mbedtls_ecp_keypair_init(&pair);
    code = make_pair(key, key_group_id(kind), &pair);
    if (code == 0)
        code = take_pair(key, kind, &pair);
    mbedtls_ecp_keypair_free(&pair);
    if (code != 0) {
        key_free(key);
        return err_fail_because(err, -EIO, &context, "no random numbers or no memory (mbedTLS -0x%04x)",
                                (unsigned)-code);
    }
    *out = key;
    return 0;
}

/* ---- Reading ---- */

/* The public key in a file, if there is one, has to be the private one's. */
static int take_curve(struct key *key, mbedtls_ecp_keypair *pair)
{
    uint8_t said[1 + 2 * KEY_COORDINATE_MAX];
    size_t n;
    mbedtls_ecp_group_id id = mbedtls_ecp_keypair_get_group_id(pair);
    if (id != MBEDTLS_ECP_DP_SECP256R1 && id != MBEDTLS_ECP_DP_SECP384R1)
        return -EINVAL;
    if (mbedtls_ecp_write_public_key(pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, said, sizeof said) != 0)
        return -EINVAL;
    if (take_pair(key, id == MBEDTLS_ECP_DP_SECP256R1 ? KEY_P256 : KEY_P384, pair) != 0)
        return -EINVAL;
    return n == 1 + key->public.length && memcmp(said + 1, key->public.raw, n - 1) == 0 ? 0 : -EINVAL;
}

static int take_rsa(struct key *key, mbedtls_pk_context *pk)
{
    const mbedtls_rsa_context *rsa = mbedtls_pk_rsa(*pk);
    uint8_t modulus[KEY_SIGNATURE_MAX], exponent[3];
    size_t n = mbedtls_rsa_get_len(rsa);
    if (n > sizeof modulus || mbedtls_rsa_check_privkey(rsa) != 0)
        return -EINVAL;
    if (mbedtls_rsa_export_raw(rsa, modulus, n, NULL, 0, NULL, 0, NULL, 0, exponent, sizeof exponent) != 0)
        return -EINVAL;
    if (memcmp(exponent, (const uint8_t[]){1, 0, 1}, 3) != 0 || pubkey_set(KEY_RSA, modulus, n, &key->public) != 0)
        return -EINVAL;
    /* Written at the end of the buffer. */
    int length = mbedtls_pk_write_key_der(pk, key->secret, SECRET_MAX);
    if (length <= 0)
        return -EINVAL;
    key->secret_bytes = (size_t)length;
    memmove(key->secret, key->secret + SECRET_MAX - length, (size_t)length);
    return 0;
}

/* mbedTLS overlooks bytes behind the outermost structure. */
static bool is_one_sequence(const uint8_t *der, size_t n)
{
    uint8_t *at = (uint8_t *)(uintptr_t)der; /* mbedTLS moves it and writes nothing */
    size_t length;
    return mbedtls_asn1_get_tag(&at, der + n, &length, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0 &&
           at + length == der + n;
}

static int read_der(struct key *key, const uint8_t *der, size_t n)
{
    mbedtls_pk_context pk;
    if (!is_one_sequence(der, n))
        return -EINVAL;
    mbedtls_pk_init(&pk);
    int code = mbedtls_pk_parse_key(&pk, der, n, NULL, 0, random_for_mbedtls, NULL) == 0 ? 0 : -EINVAL;
    if (code == 0 && mbedtls_pk_get_type(&pk) == MBEDTLS_PK_RSA)
        code = take_rsa(key, &pk);
    else if (code == 0)
        code = mbedtls_pk_get_type(&pk) == MBEDTLS_PK_ECKEY ? take_curve(key, mbedtls_pk_ec(pk)) : -EINVAL;
    mbedtls_pk_free(&pk);
    return code;
}

static int read_pem(struct key *key, const char *text, size_t n)
{
    struct pem_block block, more;
    void *der;
    if (pem_next(&text, &n, &block) != 1 || pem_next(&text, &n, &more) != 0)
        return -EINVAL;
    if (!pem_has_label(&block, "PRIVATE KEY") && !pem_has_label(&block, "EC PRIVATE KEY") &&
        !pem_has_label(&block, "RSA PRIVATE KEY"))
        return -EINVAL;
    int code = locked_new(block.body_bytes, &der);
    if (code != 0)
        return code;
    int64_t length = pem_decode(&block, der);
    code = length > 0 ? read_der(key, der, (size_t)length) : -EINVAL;
    locked_free(der, block.body_bytes);
    return code;
}

int key_load(const void *bytes, size_t n, const char *name, struct key **out, struct err *err)
{
    static const char attempted[] = "read private key";
    const struct err_context context = {attempted, name, to_fix};
    struct key *key;
    if (n == 0 || n > KEY_FILE_MAX)
        return err_fail_because(err, -EINVAL, &context, "it has %zu bytes, not 1 to %u", n, KEY_FILE_MAX);
    int code = key_new(&key);
    if (code != 0)
        return fail_memory(err, code, attempted, name);
    bool der = *(const uint8_t *)bytes == 0x30;
    code = der ? read_der(key, bytes, n) : read_pem(key, bytes, n);
    if (code == 0) {
        *out = key;
        return 0;
    }
    key_free(key);
    if (code != -EINVAL)
        return fail_memory(err, code, attempted, name);
    return err_fail_because(err, code, &context, "it is no private key of a kind that is accepted");
}

/* Returns how many bytes there are, KEY_FILE_MAX + 1 if more, or -errno. */
static ssize_t read_all(int fd, uint8_t *out)
{
    size_t n = 0;
    while (n <= KEY_FILE_MAX) {
        ssize_t got = read(fd, out + n, KEY_FILE_MAX + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

int key_load_fd(int fd, const char *name, struct key **out, struct err *err)
{
    static const char attempted[] = "read private key";
    void *bytes;
    int code = locked_new(KEY_FILE_MAX + 1, &bytes);
    if (code != 0)
        return fail_memory(err, code, attempted, name);
    ssize_t n = read_all(fd, bytes);
    if (n < 0)
        code =
            err_fail(err, (int)n, &(struct err_context){attempted, name, "check the file or who writes to the pipe"});
    else
        code = key_load(bytes, (size_t)n, name, out, err);
    locked_free(bytes, KEY_FILE_MAX + 1);
    return code;
}

/* ---- Writing: RFC 5958, 2 and RFC 5915, 3 ---- */

/* All written from the end: ECPrivateKey { 1, secret, [1] public }. Nothing fails: the buffer has room. */
static void put_curve(const struct key *key, uint8_t **at, uint8_t *start)
{
    const uint8_t *end = *at;
    uint8_t point[1 + 2 * KEY_COORDINATE_MAX];
    size_t n = pubkey_point(&key->public, point);
    mbedtls_asn1_write_bitstring(at, start, point, n * 8);
    mbedtls_asn1_write_len(at, start, (size_t)(end - *at));
    mbedtls_asn1_write_tag(at, start, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 1);
    mbedtls_asn1_write_octet_string(at, start, key->secret, key->secret_bytes);
    mbedtls_asn1_write_int(at, start, 1);
    mbedtls_asn1_write_len(at, start, (size_t)(end - *at));
    mbedtls_asn1_write_tag(at, start, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
}

/* The algorithm is what stands in a SubjectPublicKeyInfo between its outer head and the bit string. */
static void put_algorithm(const struct key *key, uint8_t **at, uint8_t *start)
{
    uint8_t spki[KEY_SPKI_MAX];
    pubkey_der(&key->public, spki);
    const uint8_t *algorithm = spki + (key->public.kind == KEY_RSA ? 4 : 2); /* long and short form of a length */
    mbedtls_asn1_write_raw_buffer(at, start, algorithm, 2 + (size_t)algorithm[1]);
}

static size_t put_pkcs8(const struct key *key, uint8_t *start, size_t size)
{
    uint8_t *at = start + size;
    const uint8_t *end = at;
    if (key->public.kind == KEY_RSA)
        mbedtls_asn1_write_raw_buffer(&at, start, key->secret, key->secret_bytes);
    else
        put_curve(key, &at, start);
    mbedtls_asn1_write_len(&at, start, (size_t)(end - at));
    mbedtls_asn1_write_tag(&at, start, MBEDTLS_ASN1_OCTET_STRING);
    put_algorithm(key, &at, start);
    mbedtls_asn1_write_int(&at, start, 0);
    mbedtls_asn1_write_len(&at, start, (size_t)(end - at));
    mbedtls_asn1_write_tag(&at, start, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    return (size_t)(end - at);
}

int key_private_pem(const struct key *key, char **out, struct err *err)
{
    static const char attempted[] = "write private key";
    const size_t size = SECRET_MAX + PKCS8_EXTRA;
    void *der;
    int code = locked_new(size, &der);
    if (code != 0)
        return fail_memory(err, code, attempted, NULL);
    size_t n = put_pkcs8(key, der, size);
    *out = malloc(PEM_SIZE(n, 11));
    if (*out != NULL)
        pem_encode("PRIVATE KEY", (const uint8_t *)der + size - n, n, *out);
    locked_free(der, size);
    return *out != NULL ? 0 : fail_memory(err, -ENOMEM, attempted, NULL);
}

/* ---- Use: mbedTLS has the key only during a call, and wipes what it frees ---- */

static int sign_curve(const struct key *key, const uint8_t *digest, struct key_signature *out)
{
    size_t half = key_coordinate_bytes(key->public.kind);
    mbedtls_ecp_group group;
    mbedtls_mpi d, r, s;
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int code = mbedtls_ecp_group_load(&group, key_group_id(key->public.kind));
    if (code == 0)
        code = mbedtls_mpi_read_binary(&d, key->secret, key->secret_bytes);
    if (code == 0)
        code = mbedtls_ecdsa_sign_det_ext(&group, &r, &s, &d, digest, digest_bytes(out->hash), key_md(out->hash),
                                          random_for_mbedtls, NULL);
    if (code == 0)
        code = key_lower_s(&group, &s, NULL);
    if (code == 0)
        code = mbedtls_mpi_write_binary(&r, out->bytes, half);
    if (code == 0)
        code = mbedtls_mpi_write_binary(&s, out->bytes + half, half);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_group_free(&group);
    return code;
}

static int sign_rsa(const struct key *key, const uint8_t *digest, struct key_signature *out)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int code = mbedtls_pk_parse_key(&pk, key->secret, key->secret_bytes, NULL, 0, random_for_mbedtls, NULL);
    if (code == 0)
        code = mbedtls_rsa_pkcs1_sign(mbedtls_pk_rsa(pk), random_for_mbedtls, NULL, key_md(out->hash),
                                      (unsigned)digest_bytes(out->hash), digest, out->bytes);
    mbedtls_pk_free(&pk);
    return code;
}

int key_sign(struct key *key, const uint8_t *digest, struct key_signature *out, struct err *err)
{
    *out =
        (struct key_signature){.kind = key->public.kind, .hash = key_hash(&key->public), .length = key->public.length};
    int code = key->public.kind == KEY_RSA ? sign_rsa(key, digest, out) : sign_curve(key, digest, out);
    if (code == 0)
        return 0;
    const struct err_context context = {"sign", NULL, "try again: memory or random numbers ran short"};
    return err_fail_because(err, -EIO, &context, "mbedTLS -0x%04x", (unsigned)-code);
}

int key_sign_bytes(struct key *key, const void *bytes, size_t n, struct key_signature *out, struct err *err)
{
    uint8_t digest[DIGEST_BYTES_MAX];
    digest_one(key_hash(&key->public), bytes, n, digest);
    return key_sign(key, digest, out, err);
}

/* The public key was checked to be on the curve when it was read, and the group has no small subgroups. */
static int agree(const struct key *key, const struct pubkey *peer, uint8_t out[32])
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi d, z;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&z);
    int code = pubkey_to_point(peer, &group, &point);
    if (code == 0)
        code = mbedtls_mpi_read_binary(&d, key->secret, key->secret_bytes);
    if (code == 0)
        code = mbedtls_ecdh_compute_shared(&group, &z, &point, &d, random_for_mbedtls, NULL);
    if (code == 0)
        code = mbedtls_mpi_write_binary(&z, out, 32);
    mbedtls_mpi_free(&z);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return code;
}

int key_agree(struct key *key, const struct pubkey *peer, uint8_t out[32], struct err *err)
{
    const struct err_context context = {"agree on a key", NULL, "use keys on P-256"};
    if (key->public.kind != KEY_P256 || peer->kind != KEY_P256)
        return err_fail_because(err, -EINVAL, &context, "both keys have to be on P-256");
    int code = agree(key, peer, out);
    return code == 0 ? 0 : err_fail_because(err, -EIO, &context, "mbedTLS -0x%04x", (unsigned)-code);
}
