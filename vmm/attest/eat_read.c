/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "vmm/attest/cbor.h"
#include "vmm/attest/eat.h"
#include "vmm/attest/eat_labels.h"

/*
 * Everything is refused that the writer would not have written, apart from values: so no claim or header is ever passed
 * over unread. Before anything is read, cbor_is_valid has seen the whole of it: order, depth and lengths are right.
 */

/* ---- Items ---- */

/* A number that fits; keys of maps, most of all. */
static bool take_int(struct cbor_reader *r, int64_t *out)
{
    struct cbor_item item;
    if (cbor_next(r, &item) != 0 || item.value > INT64_MAX || (item.type != CBOR_UINT && item.type != CBOR_NINT))
        return false;
    *out = item.type == CBOR_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
    return true;
}

static bool take_this_int(struct cbor_reader *r, int64_t wanted)
{
    int64_t value;
    return take_int(r, &value) && value == wanted;
}

/* A container or tag with this count or number. */
static bool take_head(struct cbor_reader *r, enum cbor_type type, uint64_t value)
{
    struct cbor_item item;
    return cbor_next(r, &item) == 0 && item.type == type && item.value == value;
}

static bool take_map(struct cbor_reader *r, uint64_t *pairs)
{
    struct cbor_item item;
    bool map = cbor_next(r, &item) == 0 && item.type == CBOR_MAP;
    *pairs = map ? item.value : 0;
    return map;
}

static bool take_bytes(struct cbor_reader *r, struct cbor_item *out)
{
    return cbor_next(r, out) == 0 && out->type == CBOR_BYTES;
}

/* min to max bytes, copied. */
static bool copy_bytes(struct cbor_reader *r, size_t min, size_t max, uint8_t *out, size_t *length)
{
    struct cbor_item item;
    if (!take_bytes(r, &item) || item.length < min || item.length > max)
        return false;
    memcpy(out, item.bytes, item.length);
    *length = item.length;
    return true;
}

static bool copy_exactly(struct cbor_reader *r, size_t n, uint8_t *out)
{
    size_t length;
    return copy_bytes(r, n, n, out, &length);
}

/* Text without a NUL inside, to `size` bytes with one behind it. */
static bool copy_text(struct cbor_reader *r, char *out, size_t size)
{
    struct cbor_item item;
    if (cbor_next(r, &item) != 0 || item.type != CBOR_TEXT || item.length >= size)
        return false;
    if (memchr(item.bytes, '\0', item.length) != NULL)
        return false;
    memcpy(out, item.bytes, item.length);
    out[item.length] = '\0';
    return true;
}

static bool take_this_text(struct cbor_reader *r, const char *wanted)
{
    char text[EAT_TEXT_MAX];
    return copy_text(r, text, sizeof text) && strcmp(text, wanted) == 0;
}

/* ---- Claims ---- */

static bool read_iat(struct cbor_reader *r, struct eat *e)
{
    return take_int(r, &e->issued_s) && e->issued_s >= 0;
}

/* { 1: { kty: EC2, crv: P-256, x, y } } */
static bool read_cnf(struct cbor_reader *r, struct eat *e)
{
    uint8_t xy[64];
    struct pubkey *key;
    bool form = take_head(r, CBOR_MAP, 1) && take_this_int(r, EAT_CNF_KEY) && take_head(r, CBOR_MAP, 4) &&
                take_this_int(r, EAT_KEY_KTY) && take_this_int(r, EAT_KTY_EC2) && take_this_int(r, EAT_KEY_CRV) &&
                take_this_int(r, EAT_CRV_P256) && take_this_int(r, EAT_KEY_X) && copy_exactly(r, 32, xy) &&
                take_this_int(r, EAT_KEY_Y) && copy_exactly(r, 32, xy + 32);
    if (!form || pubkey_from_raw(KEY_P256, xy, sizeof xy, &key, NULL) != 0)
        return false;
    e->agent_key_bytes = pubkey_der(key, e->agent_key);
    pubkey_free(key);
    return true;
}

static bool read_nonce(struct cbor_reader *r, struct eat *e)
{
    return copy_bytes(r, 8, sizeof e->nonce, e->nonce, &e->nonce_bytes);
}

static bool read_dbgstat(struct cbor_reader *r, struct eat *e)
{
    int64_t value;
    if (!take_int(r, &value) || (value != EAT_DEBUG_ENABLED && value != EAT_DEBUG_DISABLED_SINCE_BOOT))
        return false;
    e->debug = value == EAT_DEBUG_ENABLED;
    return true;
}

static bool read_profile(struct cbor_reader *r, struct eat *e)
{
    (void)e;
    return take_this_text(r, EAT_PROFILE);
}

static bool read_swname(struct cbor_reader *r, struct eat *e)
{
    return copy_text(r, e->software, sizeof e->software);
}

static bool read_swversion(struct cbor_reader *r, struct eat *e)
{
    return take_head(r, CBOR_ARRAY, 1) && copy_text(r, e->version, sizeof e->version);
}

static bool read_evidence(struct cbor_reader *r, struct eat *e)
{
    return copy_text(r, e->evidence, sizeof e->evidence);
}

static bool read_sandbox(struct cbor_reader *r, struct eat *e)
{
    return copy_text(r, e->sandbox, sizeof e->sandbox);
}

static bool read_bank(struct cbor_reader *r, struct eat *e, enum digest_alg bank, uint32_t *mask)
{
    uint64_t pairs;
    *mask = 0;
    if (!take_map(r, &pairs))
        return false;
    for (; pairs > 0; pairs--) {
        int64_t pcr;
        if (!take_int(r, &pcr) || pcr < 0 || pcr >= EVENT_LOG_PCRS)
            return false;
        if (!copy_exactly(r, digest_bytes(bank), bank == DIGEST_SHA256 ? e->pcrs.sha256[pcr] : e->pcrs.sha384[pcr]))
            return false;
        *mask |= 1u << pcr;
    }
    return true;
}

/* The same registers in both banks. */
static bool read_pcrs(struct cbor_reader *r, struct eat *e)
{
    uint32_t second;
    return take_head(r, CBOR_MAP, DIGEST_BANKS) && take_this_int(r, EAT_BANK_SHA256) &&
           read_bank(r, e, DIGEST_SHA256, &e->pcr_mask) && take_this_int(r, EAT_BANK_SHA384) &&
           read_bank(r, e, DIGEST_SHA384, &second) && e->pcr_mask == second;
}

static bool read_log(struct cbor_reader *r, struct eat *e)
{
    return copy_exactly(r, sizeof e->log_sha256, e->log_sha256);
}

static bool read_message(struct cbor_reader *r, struct eat *e)
{
    return copy_bytes(r, 1, sizeof e->message, e->message, &e->message_bytes);
}

static const struct claim {
    int64_t key;
    const char *name;
    bool optional;
    bool (*read)(struct cbor_reader *r, struct eat *e);
} claims[] = {
    {EAT_IAT, "iat", false, read_iat},
    {EAT_CNF, "cnf", true, read_cnf},
    {EAT_NONCE, "eat_nonce", false, read_nonce},
    {EAT_DBGSTAT, "dbgstat", false, read_dbgstat},
    {EAT_PROFILE_CLAIM, "eat_profile", false, read_profile},
    {EAT_SWNAME, "swname", false, read_swname},
    {EAT_SWVERSION, "swversion", false, read_swversion},
    {EAT_EVIDENCE, "evidence type", false, read_evidence},
    {EAT_SANDBOX, "sandbox", false, read_sandbox},
    {EAT_PCRS, "registers", false, read_pcrs},
    {EAT_LOG, "log digest", false, read_log},
    {EAT_MESSAGE, "quote", true, read_message},
};
#define CLAIMS (sizeof claims / sizeof claims[0])

static const struct err_context reading = {"read token", NULL, "ask the sandbox for its evidence again"};

/* Keys come in the table's order, each once: cbor_is_valid saw to the one, the writer to the other. */
int eat_read_claims(const void *bytes, size_t n, struct eat *out, struct err *err)
{
    struct cbor_reader r;
    uint64_t pairs;
    int64_t key;
    size_t at = 0;
    cbor_reader_init(&r, bytes, n);
    if (!cbor_is_valid(bytes, n) || !take_map(&r, &pairs))
        return err_fail_because(err, -EBADMSG, &reading, "its claims are no map in deterministic CBOR");
    for (; pairs > 0; pairs--, at++) {
        if (!take_int(&r, &key))
            return err_fail_because(err, -EBADMSG, &reading, "a claim's key is no number");
        while (at < CLAIMS && claims[at].key != key && claims[at].optional)
            at++;
        if (at == CLAIMS || claims[at].key != key)
            return err_fail_because(err, -EBADMSG, &reading, "claim %lld is unknown, or one before it is missing",
                                    (long long)key);
        if (!claims[at].read(&r, out))
            return err_fail_because(err, -EBADMSG, &reading, "claim %s is not as it has to be", claims[at].name);
    }
    while (at < CLAIMS && claims[at].optional)
        at++;
    return at == CLAIMS ? 0 : err_fail_because(err, -EBADMSG, &reading, "claim %s is missing", claims[at].name);
}

/* ---- COSE_Sign1 ---- */

struct sign1 {
    struct cbor_item protected, payload, signature;
};

/* One certificate or several; whom they lead to is not asked here, as the caller brings the key. */
static bool read_x5chain(struct cbor_reader *r)
{
    struct cbor_item item;
    if (cbor_next(r, &item) != 0)
        return false;
    if (item.type == CBOR_BYTES)
        return true;
    if (item.type != CBOR_ARRAY || item.value < 2)
        return false;
    for (uint64_t i = item.value; i > 0; i--)
        if (!take_bytes(r, &item))
            return false;
    return true;
}

static bool read_unprotected(struct cbor_reader *r)
{
    uint64_t pairs;
    if (!take_map(r, &pairs) || pairs > 1)
        return false;
    return pairs == 0 || (take_this_int(r, EAT_HEADER_X5CHAIN) && read_x5chain(r));
}

static bool read_protected(const struct cbor_item *protected, const struct pubkey *key)
{
    struct cbor_reader r;
    uint8_t said[DIGEST_SHA256_BYTES], kid[DIGEST_SHA256_BYTES];
    eat_key_id(key, kid);
    cbor_reader_init(&r, protected->bytes, protected->length);
    return cbor_is_valid(protected->bytes, protected->length) && take_head(&r, CBOR_MAP, 3) &&
           take_this_int(&r, EAT_HEADER_ALG) && take_this_int(&r, eat_algorithm(key)) &&
           take_this_int(&r, EAT_HEADER_KID) && copy_exactly(&r, sizeof said, said) &&
           memcmp(said, kid, sizeof kid) == 0 && take_this_int(&r, EAT_HEADER_TYP) &&
           take_this_text(&r, EAT_MEDIA_TYPE);
}

static bool read_sign1(const void *bytes, size_t n, struct sign1 *out)
{
    struct cbor_reader r;
    cbor_reader_init(&r, bytes, n);
    return n <= EAT_MAX && cbor_is_valid(bytes, n) && take_head(&r, CBOR_TAG, EAT_TAG_CWT) &&
           take_head(&r, CBOR_TAG, EAT_TAG_SIGN1) && take_head(&r, CBOR_ARRAY, 4) && take_bytes(&r, &out->protected) &&
           read_unprotected(&r) && take_bytes(&r, &out->payload) && take_bytes(&r, &out->signature);
}

static int check_signature(const struct sign1 *t, const struct pubkey *key, struct err *err)
{
    struct key_signature s = {.kind = pubkey_kind(key), .hash = key_hash(key), .length = t->signature.length};
    if (s.length > sizeof s.bytes)
        return err_fail_because(err, -EBADMSG, &reading, "its signature is too long");
    memcpy(s.bytes, t->signature.bytes, s.length);
    struct cbor_writer w = {0};
    eat_put_signed_bytes(&w, t->protected.bytes, t->protected.length, t->payload.bytes, t->payload.length);
    int code = w.failed ? err_fail(err, -ENOMEM, &reading) : pubkey_verify_bytes(key, w.bytes, w.length, &s, err);
    cbor_writer_fini(&w);
    return code;
}

int eat_verify(const void *bytes, size_t n, const struct pubkey *key, struct eat *out, struct err *err)
{
    struct sign1 token;
    *out = (struct eat){0};
    if (!read_sign1(bytes, n, &token))
        return err_fail_because(err, -EBADMSG, &reading, "it is no CWT in COSE_Sign1 in deterministic CBOR");
    if (!read_protected(&token.protected, key))
        return err_fail_because(err, -EBADMSG, &reading, "its header is not this key's alg and kid, and typ, alone");
    int code = check_signature(&token, key, err);
    return code != 0 ? code : eat_read_claims(token.payload.bytes, token.payload.length, out, err);
}
