/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/eat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/base64.h"
#include "common/crypto/jws.h"
#include "vmm/attest/cbor.h"
#include "vmm/attest/eat_labels.h"

static const struct err_context signing = {"make token", NULL, "check nonce, names and keys"};

/* ---- Claims, in the order that the deterministic encoding wants ---- */

static void put_cnf(struct cbor_writer *w, const struct pubkey *agent)
{
    uint8_t xy[KEY_SIGNATURE_MAX];
    pubkey_raw(agent, xy);
    cbor_put_int(w, EAT_CNF);
    cbor_put_map(w, 1);
    cbor_put_int(w, EAT_CNF_KEY);
    cbor_put_map(w, 4);
    cbor_put_int(w, EAT_KEY_KTY);
    cbor_put_int(w, EAT_KTY_EC2);
    cbor_put_int(w, EAT_KEY_CRV);
    cbor_put_int(w, EAT_CRV_P256);
    cbor_put_int(w, EAT_KEY_X);
    cbor_put_bytes(w, xy, 32);
    cbor_put_int(w, EAT_KEY_Y);
    cbor_put_bytes(w, xy + 32, 32);
}

static void put_text_claim(struct cbor_writer *w, enum eat_claim claim, const char *text)
{
    cbor_put_int(w, claim);
    cbor_put_text(w, text);
}

static void put_bank(struct cbor_writer *w, const struct eat *e, enum digest_alg bank)
{
    cbor_put_uint(w, bank == DIGEST_SHA256 ? EAT_BANK_SHA256 : EAT_BANK_SHA384);
    cbor_put_map(w, (size_t)__builtin_popcount(e->pcr_mask));
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        if ((e->pcr_mask >> pcr & 1) == 0)
            continue;
        cbor_put_uint(w, pcr);
        cbor_put_bytes(w, event_log_pcr(&e->pcrs, bank, pcr), digest_bytes(bank));
    }
}

static void put_own_claims(struct cbor_writer *w, const struct eat *e)
{
    put_text_claim(w, EAT_EVIDENCE, e->evidence);
    put_text_claim(w, EAT_SANDBOX, e->sandbox);
    cbor_put_int(w, EAT_PCRS);
    cbor_put_map(w, DIGEST_BANKS);
    put_bank(w, e, DIGEST_SHA256);
    put_bank(w, e, DIGEST_SHA384);
    cbor_put_int(w, EAT_LOG);
    cbor_put_bytes(w, e->log_sha256, sizeof e->log_sha256);
    if (e->message_bytes == 0)
        return;
    cbor_put_int(w, EAT_MESSAGE);
    cbor_put_bytes(w, e->message, e->message_bytes);
}

/* agent: NULL: none. */
static void put_claims(struct cbor_writer *w, const struct eat *e, const struct pubkey *agent)
{
    cbor_put_map(w, 10u + (agent != NULL) + (e->message_bytes > 0));
    cbor_put_int(w, EAT_IAT);
    cbor_put_int(w, e->issued_s);
    if (agent != NULL)
        put_cnf(w, agent);
    cbor_put_int(w, EAT_NONCE);
    cbor_put_bytes(w, e->nonce, e->nonce_bytes);
    cbor_put_int(w, EAT_DBGSTAT);
    cbor_put_int(w, e->debug ? EAT_DEBUG_ENABLED : EAT_DEBUG_DISABLED_SINCE_BOOT);
    put_text_claim(w, EAT_PROFILE_CLAIM, EAT_PROFILE);
    put_text_claim(w, EAT_SWNAME, e->software);
    cbor_put_int(w, EAT_SWVERSION);
    cbor_put_array(w, 1); /* a second item would name the scheme of versions */
    cbor_put_text(w, e->version);
    put_own_claims(w, e);
}

static int check_input(const struct eat *e, struct err *err)
{
    if (e->nonce_bytes < 8 || e->nonce_bytes > sizeof e->nonce)
        return err_fail_because(err, -EINVAL, &signing, "the nonce has %zu bytes, not 8 to 64", e->nonce_bytes);
    if (e->issued_s < 0 || e->pcr_mask >> EVENT_LOG_PCRS != 0 || e->message_bytes > sizeof e->message)
        return err_fail_because(err, -EINVAL, &signing, "a time, register or message is out of range");
    return 0;
}

static int load_agent(const struct eat *e, struct pubkey **agent, struct err *err)
{
    *agent = NULL;
    if (e->agent_key_bytes == 0)
        return 0;
    int code = pubkey_load(e->agent_key, e->agent_key_bytes, "of the agent", agent, err);
    if (code != 0 || pubkey_kind(*agent) == KEY_P256)
        return code;
    pubkey_free(*agent);
    return err_fail_because(err, -EINVAL, &signing, "the agent's key is not on P-256");
}

int eat_put_claims(struct cbor_writer *w, const struct eat *e, struct err *err)
{
    struct pubkey *agent;
    int code = check_input(e, err);
    if (code == 0)
        code = load_agent(e, &agent, err);
    if (code != 0)
        return code;
    put_claims(w, e, agent);
    pubkey_free(agent);
    if (w->failed)
        return err_fail(err, -ENOMEM, &signing);
    /* The order of claims is ours; that texts are UTF-8 is the caller's. */
    if (!cbor_is_valid(w->bytes, w->length))
        return err_fail_because(err, -EINVAL, &signing, "a name is no UTF-8");
    return 0;
}

/* ---- COSE_Sign1: RFC 9052, 4.2 and 4.4 ---- */

void eat_key_id(const struct pubkey *key, uint8_t out[DIGEST_SHA256_BYTES])
{
    char thumbprint[44];
    jws_thumbprint(key, thumbprint);
    base64_url_decode(thumbprint, 43, out);
}

static void put_protected(struct cbor_writer *w, const struct pubkey *key)
{
    uint8_t kid[DIGEST_SHA256_BYTES];
    eat_key_id(key, kid);
    cbor_put_map(w, 3);
    cbor_put_int(w, EAT_HEADER_ALG);
    cbor_put_int(w, eat_algorithm(key));
    cbor_put_int(w, EAT_HEADER_KID);
    cbor_put_bytes(w, kid, sizeof kid);
    cbor_put_int(w, EAT_HEADER_TYP);
    cbor_put_text(w, EAT_MEDIA_TYPE);
}

static void put_unprotected(struct cbor_writer *w, const uint8_t *const *der, const size_t *bytes, size_t count)
{
    cbor_put_map(w, count > 0);
    if (count > 0)
        cbor_put_int(w, EAT_HEADER_X5CHAIN);
    if (count > 1) /* one alone is no array: RFC 9360, 2 */
        cbor_put_array(w, count);
    for (size_t i = 0; i < count; i++)
        cbor_put_bytes(w, der[i], bytes[i]);
}

void eat_put_signed_bytes(struct cbor_writer *w, const void *protected, size_t protected_bytes, const void *payload,
                          size_t payload_bytes)
{
    cbor_put_array(w, 4);
    cbor_put_text(w, "Signature1");
    cbor_put_bytes(w, protected, protected_bytes);
    cbor_put_bytes(w, "", 0);
    cbor_put_bytes(w, payload, payload_bytes);
}

/* ---- Signing ---- */

/* The three things that become byte strings in the token, and the token. Zeroed: nothing. */
struct parts {
    struct cbor_writer protected, payload, signed_bytes, token;
};

static void parts_fini(struct parts *p)
{
    cbor_writer_fini(&p->protected);
    cbor_writer_fini(&p->payload);
    cbor_writer_fini(&p->signed_bytes);
    cbor_writer_fini(&p->token);
}

/* Protected header and claims, and what is to be signed. */
static int prepare(struct parts *p, const struct eat *e, const struct pubkey *key, struct err *err)
{
    int code = eat_put_claims(&p->payload, e, err);
    if (code != 0)
        return code;
    put_protected(&p->protected, key);
    eat_put_signed_bytes(&p->signed_bytes, p->protected.bytes, p->protected.length, p->payload.bytes,
                         p->payload.length);
    return p->protected.failed || p->signed_bytes.failed ? err_fail(err, -ENOMEM, &signing) : 0;
}

static int finish(struct parts *p, const struct key_signature *s, const uint8_t *const *der, const size_t *bytes,
                  size_t count, struct err *err)
{
    struct cbor_writer *w = &p->token;
    cbor_put_tag(w, EAT_TAG_CWT);
    cbor_put_tag(w, EAT_TAG_SIGN1);
    cbor_put_array(w, 4);
    cbor_put_bytes(w, p->protected.bytes, p->protected.length);
    put_unprotected(w, der, bytes, count);
    cbor_put_bytes(w, p->payload.bytes, p->payload.length);
    cbor_put_bytes(w, s->bytes, s->length);
    if (w->failed)
        return err_fail(err, -ENOMEM, &signing);
    if (w->length > EAT_MAX)
        return err_fail_because(err, -EINVAL, &signing, "it would have %zu bytes, more than %u", w->length, EAT_MAX);
    return 0;
}

int eat_sign(const struct eat *e, struct key *key, const uint8_t *const *chain_der, const size_t *chain_bytes,
             size_t chain_count, uint8_t **out, size_t *length, struct err *err)
{
    struct parts p = {0};
    struct key_signature s;
    int code = prepare(&p, e, key_public(key), err);
    if (code == 0)
        code = key_sign_bytes(key, p.signed_bytes.bytes, p.signed_bytes.length, &s, err);
    if (code == 0)
        code = finish(&p, &s, chain_der, chain_bytes, chain_der != NULL ? chain_count : 0, err);
    if (code == 0) {
        *out = p.token.bytes;
        *length = p.token.length;
        p.token = (struct cbor_writer){0};
    }
    parts_fini(&p);
    return code;
}
