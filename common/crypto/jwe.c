/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/jwe.h"

#include <errno.h>
#include <mbedtls/gcm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/base64.h"
#include "common/crypto/jose.h"
#include "common/crypto/random.h"

#define CEK_BYTES       32u
#define IV_BYTES        12u
#define TAG_BYTES       16u
#define PARTY_BYTES_MAX 256u

/* "apu" and "apv" of the header: names that both sides mix into the key. */
struct party {
    uint8_t bytes[PARTY_BYTES_MAX];
    size_t length;
};

/* ---- From the shared secret to the key: RFC 7518, 4.6.2 ---- */

static void add_number(struct digest_stream *s, size_t value)
{
    const uint8_t be[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    digest_stream_add(s, be, sizeof be);
}

static void add_field(struct digest_stream *s, const void *bytes, size_t n)
{
    add_number(s, n);
    digest_stream_add(s, bytes, n);
}

/* One round of the derivation: the key has as many bits as SHA-256. */
static void derive(const uint8_t z[32], const struct party *apu, const struct party *apv, uint8_t cek[CEK_BYTES])
{
    struct digest_stream s;
    digest_stream_init(&s, DIGEST_SHA256);
    add_number(&s, 1);
    digest_stream_add(&s, z, 32);
    add_field(&s, "A256GCM", 7);
    add_field(&s, apu->bytes, apu->length);
    add_field(&s, apv->bytes, apv->length);
    add_number(&s, CEK_BYTES * 8);
    digest_stream_end(&s, cek);
}

static int agree(struct key *key, const struct pubkey *peer, const struct party *apu, const struct party *apv,
                 uint8_t cek[CEK_BYTES])
{
    uint8_t z[32];
    int code = key_agree(key, peer, z, NULL);
    if (code == 0)
        derive(z, apu, apv, cek);
    explicit_bzero(z, sizeof z);
    return code;
}

/* ---- Decrypting ---- */

struct header {
    struct pubkey *epk; /* owned */
    struct party apu, apv;
};

/* header..iv.ciphertext.tag: the place of the encrypted key is empty, as the key is agreed on directly. */
struct parts {
    const char *header, *cipher;
    size_t header_bytes, cipher_bytes;
    uint8_t iv[IV_BYTES], tag[TAG_BYTES];
};

/* The next part, up to a dot or, for the last, the end. */
static bool take(const char **at, const char *end, bool last, const char **part, size_t *n)
{
    const char *dot = memchr(*at, '.', (size_t)(end - *at));
    if (last != (dot == NULL))
        return false;
    *part = *at;
    *n = (size_t)((last ? end : dot) - *at);
    *at = last ? end : dot + 1;
    return true;
}

/* n characters of base64url that are exactly `size` bytes. */
static bool is_exactly(const char *text, size_t n, uint8_t *out, size_t size)
{
    return n == (size * 4 + 2) / 3 && base64_url_decode(text, n, out) == (int64_t)size;
}

static bool split(const char *jwe, size_t n, struct parts *out)
{
    const char *at = jwe, *end = jwe + n, *key, *iv, *tag;
    size_t key_bytes, iv_bytes, tag_bytes;
    return n <= JWE_MAX && take(&at, end, false, &out->header, &out->header_bytes) &&
           take(&at, end, false, &key, &key_bytes) && key_bytes == 0 && take(&at, end, false, &iv, &iv_bytes) &&
           take(&at, end, false, &out->cipher, &out->cipher_bytes) && take(&at, end, true, &tag, &tag_bytes) &&
           is_exactly(iv, iv_bytes, out->iv, IV_BYTES) && is_exactly(tag, tag_bytes, out->tag, TAG_BYTES);
}

static bool read_party(const json_t *header, const char *name, struct party *out)
{
    if (json_object_get(header, name) == NULL)
        return true;
    int64_t n = jose_bytes(header, name, out->bytes, sizeof out->bytes);
    out->length = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

static bool says(const json_t *header, const char *name, const char *wanted)
{
    const char *text = jose_text(header, name);
    return text != NULL && strcmp(text, wanted) == 0;
}

static int read_members(const json_t *header, struct header *out)
{
    bool known = says(header, "alg", "ECDH-ES") && says(header, "enc", "A256GCM") &&
                 jose_text_or_nothing(header, "kid") && jose_text_or_nothing(header, "typ") &&
                 jose_text_or_nothing(header, "cty") && read_party(header, "apu", &out->apu) &&
                 read_party(header, "apv", &out->apv);
    return known ? jose_key_read(json_object_get(header, "epk"), &out->epk) : -EBADMSG;
}

static int read_header(const struct parts *p, struct header *out)
{
    static const char *const members[] = {"alg", "enc", "epk", "apu", "apv", "kid", "typ", "cty", NULL};
    json_t *json;
    int code = jose_header_read(p->header, p->header_bytes, members, &json);
    if (code != 0)
        return code;
    code = read_members(json, out);
    json_decref(json);
    return code;
}

/* Decrypts in place. The header as it was sent is authenticated as well. */
static int open_sealed(const uint8_t cek[CEK_BYTES], const struct parts *p, uint8_t *bytes, size_t n)
{
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    int code = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, cek, CEK_BYTES * 8);
    if (code == 0)
        code = mbedtls_gcm_auth_decrypt(&gcm, n, p->iv, IV_BYTES, (const uint8_t *)p->header, p->header_bytes, p->tag,
                                        TAG_BYTES, bytes, bytes);
    mbedtls_gcm_free(&gcm);
    return code == 0 ? 0 : -EBADMSG;
}

static int decrypt(struct key *key, const struct parts *p, const struct pubkey *epk, const struct header *header,
                   uint8_t *bytes, size_t n)
{
    uint8_t cek[CEK_BYTES];
    int code = agree(key, epk, &header->apu, &header->apv, cek);
    if (code == 0)
        code = open_sealed(cek, p, bytes, n);
    explicit_bzero(cek, sizeof cek);
    return code;
}

static const struct err_context decrypting = {"decrypt secret", NULL,
                                              "encrypt it with ECDH-ES and A256GCM to the key that was attested"};

/* The ciphertext's bytes, with room for a NUL; of the plain text's length. */
static int decode_cipher(const struct parts *p, uint8_t **out, size_t *n)
{
    if (p->cipher_bytes * 3 / 4 > JWE_PLAIN_MAX)
        return -EBADMSG;
    uint8_t *bytes = malloc(p->cipher_bytes * 3 / 4 + 1);
    if (bytes == NULL)
        return -ENOMEM;
    int64_t length = base64_url_decode(p->cipher, p->cipher_bytes, bytes);
    if (length < 0) {
        free(bytes);
        return -EBADMSG;
    }
    bytes[length] = '\0';
    *out = bytes;
    *n = (size_t)length;
    return 0;
}

int jwe_decrypt(struct key *key, const char *jwe, size_t n, uint8_t **out, size_t *length, struct err *err)
{
    struct parts parts;
    struct header header = {0};
    if (!split(jwe, n, &parts))
        return err_fail_because(err, -EBADMSG, &decrypting, "it is not of the form HEADER..IV.CIPHERTEXT.TAG");
    int code = read_header(&parts, &header);
    if (code != 0)
        return err_fail_because(err, code, &decrypting, "its header is not that of ECDH-ES on P-256 with A256GCM");
    uint8_t *bytes = NULL;
    size_t size = 0;
    code = decode_cipher(&parts, &bytes, &size);
    if (code == 0)
        code = decrypt(key, &parts, header.epk, &header, bytes, size);
    pubkey_free(header.epk);
    if (code == 0) {
        *out = bytes;
        *length = size;
        return 0;
    }
    free(bytes); /* still the ciphertext, or zeros */
    if (code != -EBADMSG)
        return err_fail(err, code, &decrypting);
    return err_fail_because(err, code, &decrypting, "it is too long, was changed, or is for another key");
}

/* ---- Encrypting ---- */

static int seal(const uint8_t cek[CEK_BYTES], const char *header, size_t header_bytes, const uint8_t iv[IV_BYTES],
                const void *plain, size_t n, uint8_t *cipher, uint8_t tag[TAG_BYTES])
{
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    int code = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, cek, CEK_BYTES * 8);
    if (code == 0)
        code = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, n, iv, IV_BYTES, (const uint8_t *)header,
                                         header_bytes, plain, cipher, TAG_BYTES, tag);
    mbedtls_gcm_free(&gcm);
    return code == 0 ? 0 : -EIO;
}

#define HEADER_SIZE 512u
static size_t write_header(const struct pubkey *epk, char out[HEADER_SIZE])
{
    char key[JOSE_KEY_MAX], json[HEADER_SIZE];
    jose_key_write(epk, key);
    int n = snprintf(json, sizeof json, "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":%s}", key);
    return base64_url_encode(json, (size_t)n, out);
}

/* iv: for one message only, as the key is. */
static int encrypt(struct key *ephemeral, const struct pubkey *key, const uint8_t iv[IV_BYTES], const void *plain,
                   size_t n, uint8_t *cipher, char *out)
{
    static const struct party nobody = {.length = 0};
    uint8_t cek[CEK_BYTES], tag[TAG_BYTES];
    size_t at = write_header(key_public(ephemeral), out);
    int code = agree(ephemeral, key, &nobody, &nobody, cek);
    if (code == 0)
        code = seal(cek, out, at, iv, plain, n, cipher, tag);
    explicit_bzero(cek, sizeof cek);
    if (code != 0)
        return code;
    out[at++] = '.';
    out[at++] = '.';
    at += base64_url_encode(iv, IV_BYTES, out + at);
    out[at++] = '.';
    at += base64_url_encode(cipher, n, out + at);
    out[at++] = '.';
    base64_url_encode(tag, TAG_BYTES, out + at);
    return 0;
}

int jwe_encrypt(const struct pubkey *key, const void *plain, size_t n, char **out, struct err *err)
{
    static const struct err_context context = {"encrypt secret", NULL, "use a key on P-256 and at most 32768 bytes"};
    uint8_t iv[IV_BYTES];
    struct key *ephemeral;
    if (pubkey_kind(key) != KEY_P256 || n > JWE_PLAIN_MAX)
        return err_fail_because(err, -EINVAL, &context, "%zu bytes, or a key on no curve or another", n);
    int code = random_fill(iv, sizeof iv);
    if (code != 0)
        return err_fail(err, code, &context);
    code = key_generate(KEY_P256, &ephemeral, err);
    if (code != 0)
        return code;
    uint8_t *cipher = malloc(n + 1);
    char *text = malloc(HEADER_SIZE + BASE64_LENGTH(n) + 64);
    code = cipher != NULL && text != NULL ? encrypt(ephemeral, key, iv, plain, n, cipher, text) : -ENOMEM;
    key_free(ephemeral);
    free(cipher);
    if (code == 0) {
        *out = text;
        return 0;
    }
    free(text);
    return err_fail(err, code, &context);
}
