/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/tpm.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/bytes.h"

#define TPM_GENERATED_VALUE 0xff544347u
#define TPM_ST_ATTEST_QUOTE 0x8018u

#define TPM_ALG_RSA      0x0001u
#define TPM_ALG_NULL     0x0010u
#define TPM_ALG_ECC      0x0023u
#define TPM_ECC_P256     0x0003u
#define TPM_ECC_P384     0x0004u
#define TPM_RSA_EXPONENT 0u /* says 65537 */

/* TPMA_OBJECT: used with its own authorisation, signs only what a TPM makes itself, and only signs. */
#define TPMA_USER_WITH_AUTH (1u << 6)
#define TPMA_RESTRICTED     (1u << 16)
#define TPMA_SIGN           (1u << 18)

#define SELECT_BYTES ((EVENT_LOG_PCRS + 7) / 8)

static uint16_t alg_number(enum digest_alg alg)
{
    return alg == DIGEST_SHA384 ? TPM_ALG_SHA384 : TPM_ALG_SHA256;
}

static bool alg_of_number(uint16_t number, enum digest_alg *alg)
{
    *alg = number == TPM_ALG_SHA384 ? DIGEST_SHA384 : DIGEST_SHA256;
    return number == TPM_ALG_SHA256 || number == TPM_ALG_SHA384;
}

/* ---- Writing, big-endian ---- */

struct writer {
    uint8_t *bytes; /* the caller's, of a size that holds the largest structure */
    size_t length;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    memcpy(w->bytes + w->length, bytes, n);
    w->length += n;
}

static void put_number(struct writer *w, uint64_t value, unsigned bytes)
{
    for (unsigned shift = 8 * bytes; shift > 0; shift -= 8)
        w->bytes[w->length++] = (uint8_t)(value >> (shift - 8));
}

/* Any TPM2B: a length in two bytes, and that many. */
static void put_sized(struct writer *w, const void *bytes, size_t n)
{
    put_number(w, n, 2);
    put(w, bytes, n);
}

/* ---- Reading, big-endian ---- */

/* The first thing that is wrong stays; what is read after it is zero. */
struct reader {
    const uint8_t *bytes;
    size_t length, at;
    const char *wrong; /* NULL: nothing so far */
};

static void check(struct reader *r, bool holds, const char *otherwise)
{
    if (r->wrong == NULL && !holds)
        r->wrong = otherwise;
}

/* n bytes; NULL when something is wrong. */
static const uint8_t *take(struct reader *r, size_t n, const char *field)
{
    check(r, n <= r->length - r->at, field);
    if (r->wrong != NULL)
        return NULL;
    r->at += n;
    return r->bytes + r->at - n;
}

static uint64_t take_number(struct reader *r, unsigned bytes, const char *field)
{
    const uint8_t *b = take(r, bytes, field);
    uint64_t value = 0;
    for (unsigned i = 0; b != NULL && i < bytes; i++)
        value = value << 8 | b[i];
    return value;
}

/* A TPM2B of least to most bytes, copied to out; returns its length. */
static size_t take_sized(struct reader *r, size_t least, size_t most, uint8_t *out, const char *field)
{
    size_t n = (size_t)take_number(r, 2, field);
    check(r, n >= least && n <= most, field);
    const uint8_t *b = take(r, n, field);
    if (b == NULL)
        return 0;
    memcpy(out, b, n);
    return n;
}

static enum digest_alg take_alg(struct reader *r, const char *field)
{
    enum digest_alg alg;
    check(r, alg_of_number((uint16_t)take_number(r, 2, field), &alg), field);
    return alg;
}

/* 0, or -EBADMSG with the field at fault. what: the structure. */
static int finish(struct reader *r, const char *what, struct err *err)
{
    const struct err_context context = {.attempted = "read", .on_what = what};
    check(r, r->at == r->length, "there are bytes behind it");
    return r->wrong == NULL ? 0 : err_fail_because(err, -EBADMSG, &context, "%s", r->wrong);
}

/* ---- TPMS_ATTEST of a quote: part 2, 10.12.8 ---- */

void tpm_quote_digest(struct tpm_quote *q, const struct event_log *log)
{
    struct digest_stream s;
    digest_stream_init(&s, q->hash);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++)
        if ((q->pcr_mask >> pcr & 1) != 0)
            digest_stream_add(&s, event_log_pcr(log, q->bank, pcr), digest_bytes(q->bank));
    digest_stream_end(&s, q->pcr_digest);
}

/* The bitmap of TPMS_PCR_SELECTION has register n in bit n % 8 of byte n / 8. */
static void put_selection(struct writer *w, enum digest_alg bank, uint32_t mask)
{
    put_number(w, alg_number(bank), 2);
    put_number(w, SELECT_BYTES, 1);
    for (unsigned i = 0; i < SELECT_BYTES; i++)
        put_number(w, mask >> 8 * i & 0xff, 1);
}

size_t tpm_quote_write(const struct tpm_quote *q, uint8_t *out)
{
    struct writer w = {.bytes = out};
    put_number(&w, TPM_GENERATED_VALUE, 4);
    put_number(&w, TPM_ST_ATTEST_QUOTE, 2);
    put_sized(&w, q->name, q->name_bytes);
    put_sized(&w, q->nonce, q->nonce_bytes);
    put_number(&w, q->clock_ms, 8);
    put_number(&w, q->reset_count, 4);
    put_number(&w, q->restart_count, 4);
    put_number(&w, q->safe, 1);
    put_number(&w, q->firmware_version, 8);
    put_number(&w, 1, 4);
    put_selection(&w, q->bank, q->pcr_mask);
    put_sized(&w, q->pcr_digest, digest_bytes(q->hash));
    return w.length;
}

static void read_name(struct reader *r, struct tpm_quote *q)
{
    static const char field[] = "its signer's name is none by SHA-256 or SHA-384";
    struct reader inner = {.bytes = q->name};
    q->name_bytes = take_sized(r, 2, sizeof(q->name), q->name, field);
    inner.length = q->name_bytes;
    enum digest_alg alg = take_alg(&inner, field);
    check(r, inner.wrong == NULL && q->name_bytes == 2 + digest_bytes(alg), field);
}

static void read_selection(struct reader *r, struct tpm_quote *q)
{
    check(r, take_number(r, 4, "it ends before its selection") == 1, "it selects from several banks, or none");
    q->bank = take_alg(r, "it selects from a bank other than sha256 and sha384");
    check(r, take_number(r, 1, "it ends in its selection") == SELECT_BYTES, "its selection is not of 24 registers");
    for (unsigned i = 0; i < SELECT_BYTES; i++)
        q->pcr_mask |= (uint32_t)take_number(r, 1, "it ends in its selection") << 8 * i;
    check(r, q->pcr_mask != 0, "it selects no register");
}

static void read_pcr_digest(struct reader *r, struct tpm_quote *q)
{
    static const char field[] = "its digest of registers is none by SHA-256 or SHA-384";
    size_t n = take_sized(r, DIGEST_SHA256_BYTES, DIGEST_SHA384_BYTES, q->pcr_digest, field);
    q->hash = n == DIGEST_SHA384_BYTES ? DIGEST_SHA384 : DIGEST_SHA256;
    check(r, n == digest_bytes(q->hash), field);
}

int tpm_quote_read(const void *bytes, size_t n, struct tpm_quote *out, struct err *err)
{
    struct reader r = {.bytes = bytes, .length = n};
    memset(out, 0, sizeof(*out));
    check(&r, take_number(&r, 4, "it ends in its head") == TPM_GENERATED_VALUE, "no TPM says this: the magic is wrong");
    check(&r, take_number(&r, 2, "it ends in its head") == TPM_ST_ATTEST_QUOTE,
          "it attests something, but is no quote");
    read_name(&r, out);
    out->nonce_bytes = take_sized(&r, TPM_NONCE_MIN, TPM_NONCE_MAX, out->nonce, "its nonce is not of 8 to 64 bytes");
    out->clock_ms = take_number(&r, 8, "it ends in its clock");
    out->reset_count = (uint32_t)take_number(&r, 4, "it ends in its clock");
    out->restart_count = (uint32_t)take_number(&r, 4, "it ends in its clock");
    uint64_t safe = take_number(&r, 1, "it ends in its clock");
    check(&r, safe <= 1, "its clock is neither safe nor unsafe");
    out->safe = safe == 1;
    out->firmware_version = take_number(&r, 8, "it ends in the firmware's version");
    read_selection(&r, out);
    read_pcr_digest(&r, out);
    int code = finish(&r, "the quote (TPMS_ATTEST)", err);
    if (code != 0)
        memset(out, 0, sizeof(*out));
    return code;
}

/* ---- TPMT_SIGNATURE: part 2, 11.3.4 ---- */

size_t tpm_signature_write(const struct key_signature *s, uint8_t *out)
{
    struct writer w = {.bytes = out};
    put_number(&w, s->kind == KEY_RSA ? TPM_ALG_RSASSA : TPM_ALG_ECDSA, 2);
    put_number(&w, alg_number(s->hash), 2);
    if (s->kind == KEY_RSA) {
        put_sized(&w, s->bytes, s->length);
    } else {
        put_sized(&w, s->bytes, s->length / 2);
        put_sized(&w, s->bytes + s->length / 2, s->length / 2);
    }
    return w.length;
}

/* r and s of the curve's width; shorter ones, as other TPMs may write them, would be a second encoding. */
static void read_ecdsa(struct reader *r, struct key_signature *s)
{
    static const char field[] = "its r and s are not those of P-256 or P-384";
    size_t half = take_sized(r, 32, 48, s->bytes, field);
    s->kind = half == 48 ? KEY_P384 : KEY_P256;
    check(r, half == 32 || half == 48, field);
    s->length = half + take_sized(r, half, half, s->bytes + half, field);
}

static bool is_rsa_length(size_t n)
{
    return n == 256 || n == 384 || n == 512;
}

static void read_rsassa(struct reader *r, struct key_signature *s)
{
    static const char field[] = "its block is not one of RSA with 2048, 3072 or 4096 bits";
    s->kind = KEY_RSA;
    s->length = take_sized(r, 256, KEY_SIGNATURE_MAX, s->bytes, field);
    check(r, is_rsa_length(s->length), field);
}

int tpm_signature_read(const void *bytes, size_t n, struct key_signature *out, struct err *err)
{
    struct reader r = {.bytes = bytes, .length = n};
    memset(out, 0, sizeof(*out));
    uint64_t alg = take_number(&r, 2, "it ends in its head");
    check(&r, alg == TPM_ALG_ECDSA || alg == TPM_ALG_RSASSA, "it is neither by ECDSA nor by RSASSA");
    out->hash = take_alg(&r, "its hash is neither SHA-256 nor SHA-384");
    if (alg == TPM_ALG_ECDSA)
        read_ecdsa(&r, out);
    else
        read_rsassa(&r, out);
    int code = finish(&r, "the signature (TPMT_SIGNATURE)", err);
    if (code != 0)
        memset(out, 0, sizeof(*out));
    return code;
}

/* ---- TPMT_PUBLIC: part 2, 12.2.4 ---- */

static void put_curve_key(struct writer *w, const struct pubkey *key)
{
    uint8_t raw[KEY_SIGNATURE_MAX];
    size_t half = pubkey_raw(key, raw) / 2;
    put_number(w, TPM_ALG_NULL, 2); /* symmetric */
    put_number(w, TPM_ALG_ECDSA, 2);
    put_number(w, alg_number(key_hash(key)), 2);
    put_number(w, pubkey_kind(key) == KEY_P384 ? TPM_ECC_P384 : TPM_ECC_P256, 2);
    put_number(w, TPM_ALG_NULL, 2); /* key derivation */
    put_sized(w, raw, half);
    put_sized(w, raw + half, half);
}

static void put_rsa_key(struct writer *w, const struct pubkey *key)
{
    uint8_t raw[KEY_SIGNATURE_MAX];
    size_t n = pubkey_raw(key, raw);
    put_number(w, TPM_ALG_NULL, 2); /* symmetric */
    put_number(w, TPM_ALG_RSASSA, 2);
    put_number(w, alg_number(key_hash(key)), 2);
    put_number(w, 8 * n, 2);
    put_number(w, TPM_RSA_EXPONENT, 4);
    put_sized(w, raw, n);
}

/* The structure without its length. Returns 0 for keys that no TPM has. */
static size_t write_public(const struct pubkey *key, enum digest_alg name_alg, uint8_t *out)
{
    struct writer w = {.bytes = out};
    bool rsa = pubkey_kind(key) == KEY_RSA;
    if (rsa && !is_rsa_length(pubkey_rsa_bytes(key)))
        return 0;
    put_number(&w, rsa ? TPM_ALG_RSA : TPM_ALG_ECC, 2);
    put_number(&w, alg_number(name_alg), 2);
    put_number(&w, TPMA_USER_WITH_AUTH | TPMA_RESTRICTED | TPMA_SIGN, 4);
    put_number(&w, 0, 2); /* no policy */
    if (rsa)
        put_rsa_key(&w, key);
    else
        put_curve_key(&w, key);
    return w.length;
}

size_t tpm_public_write(const struct pubkey *key, enum digest_alg name_alg, uint8_t *out)
{
    struct writer w = {.bytes = out};
    size_t n = write_public(key, name_alg, out + 2);
    put_number(&w, n, 2);
    return n > 0 ? 2 + n : 0;
}

size_t tpm_public_name(const struct pubkey *key, enum digest_alg name_alg, uint8_t out[2 + DIGEST_BYTES_MAX])
{
    struct writer w = {.bytes = out};
    uint8_t bytes[TPM_PUBLIC_MAX];
    size_t n = write_public(key, name_alg, bytes);
    if (n == 0)
        return 0;
    put_number(&w, alg_number(name_alg), 2);
    digest_one(name_alg, bytes, n, out + 2);
    return 2 + digest_bytes(name_alg);
}
