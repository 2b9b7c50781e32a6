/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/lib/evidence_assert.h"
#include "vmm/attest/cbor.h"
#include "vmm/attest/chain.h"

static void put_token(struct evidence_rig *r, const struct eat *e)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    const struct evidence_file *chain = &r->evidence.file[EVIDENCE_CHAIN];
    uint8_t *all = NULL;
    const uint8_t *der[CHAIN_MAX];
    size_t der_bytes[CHAIN_MAX];
    int count = chain_to_der((const char *)chain->bytes, chain->length, &all, der, der_bytes, &r->err);
    assert_int_equal(eat_sign(e, r->key, der, der_bytes, (size_t)count, &bytes, &n, &r->err), 0);
    free(all);
    evidence_rig_put(r, EVIDENCE_EAT, bytes, n);
    free(bytes);
}

static struct eat token_of(struct evidence_rig *r)
{
    const struct evidence_file *f = &r->evidence.file[EVIDENCE_EAT];
    struct eat e;
    assert_int_equal(eat_verify(f->bytes, f->length, key_public(r->key), &e, &r->err), 0);
    return e;
}

static void token_signed_again_unchanged_is_good(void **state)
{
    struct evidence_rig *r = *state;
    const struct eat e = token_of(r);
    put_token(r, &e);
    assert_good(r);
}

static void token_for_another_nonce_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    e.nonce[0] ^= 1;
    put_token(r, &e);
    assert_blames(r, EVIDENCE_PART_EAT, "another nonce");
}

static void token_that_claims_more_than_the_hosts_word_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    strcpy(e.evidence, "processor-rooted");
    put_token(r, &e);
    assert_blames(r, EVIDENCE_PART_EAT, "");
}

static void token_that_denies_debugging_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->input.debug = true;
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_EAT, "whether debugging is permitted");
}

static void token_of_other_registers_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    e.pcrs.sha384[15][3] ^= 4;
    put_token(r, &e);
    assert_blames(r, EVIDENCE_PART_EAT, "other values of registers");
}

static void token_of_another_log_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    e.log_sha256[31] ^= 1;
    put_token(r, &e);
    assert_blames(r, EVIDENCE_PART_EAT, "another log");
}

static void token_with_another_agents_key_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    e.agent_key_bytes = pubkey_der(key_public(r->node), e.agent_key);
    put_token(r, &e);
    assert_blames(r, EVIDENCE_PART_EAT, "another key of the agent");
}

static void token_of_another_signer_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct eat e = token_of(r);
    struct key *own = r->key;
    r->key = r->node;
    put_token(r, &e);
    r->key = own;
    assert_blames(r, EVIDENCE_PART_EAT, "");
}

static void token_without_the_certificates_of_the_chain_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->input.chain_pem = NULL;
    evidence_rig_make(r);
    evidence_rig_put(r, EVIDENCE_CHAIN, r->chain, strlen(r->chain));
    assert_blames(r, EVIDENCE_PART_EAT, "other certificates");
}

static void token_with_certificates_and_no_chain_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    trust_key(r);
    evidence_rig_put(r, EVIDENCE_CHAIN, NULL, 0);
    assert_blames(r, EVIDENCE_PART_EAT, "other certificates");
}

static void token_of_another_pod_than_the_certificates_is_refused(void **state)
{
    static const char *const names[] = {"we", "webb", "wec", "", "web\tx"};
    struct evidence_rig *r = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        r->input.sandbox = names[i];
        evidence_rig_make(r);
        assert_blames(r, EVIDENCE_PART_EAT, "another pod");
    }
}

static void name_of_the_pod_is_its_own_affair_where_a_key_is_trusted(void **state)
{
    struct evidence_rig *r = *state;
    trust_key(r);
    r->input.sandbox = "other";
    evidence_rig_make(r);
    assert_good(r);
    assert_string_equal(r->verdict.sandbox, "other");
}

static void token_from_the_future_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->input.now_s = EVIDENCE_RIG_TIME_S + 300;
    evidence_rig_make(r);
    assert_good(r);
    r->input.now_s++;
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_EAT, "clock");
}

/* The parts of a token, which are its own bytes. */
struct token_parts {
    struct cbor_item protected, kid, type, claims;
    const uint8_t *unprotected;
    size_t unprotected_bytes;
};

static void take_apart(const struct evidence_file *f, struct token_parts *p)
{
    struct cbor_reader r, headers;
    struct cbor_item item;
    cbor_reader_init(&r, f->bytes, f->length);
    for (unsigned i = 0; i < 3; i++) /* two tags, an array */
        assert_int_equal(cbor_next(&r, &item), 0);
    assert_int_equal(cbor_next(&r, &p->protected), 0);
    p->unprotected = f->bytes + r.at;
    assert_int_equal(cbor_skip(&r), 0);
    p->unprotected_bytes = (size_t)(f->bytes + r.at - p->unprotected);
    assert_int_equal(cbor_next(&r, &p->claims), 0);
    cbor_reader_init(&headers, p->protected.bytes, p->protected.length);
    for (unsigned i = 0; i < 4; i++) /* a map, 1: the algorithm, 4: */
        assert_int_equal(cbor_next(&headers, &item), 0);
    assert_int_equal(cbor_next(&headers, &p->kid), 0);
    assert_int_equal(cbor_next(&headers, &item), 0); /* 16: */
    assert_int_equal(cbor_next(&headers, &p->type), 0);
}

/* critical: with a header that must be understood, and is not known. */
static void put_headers(struct cbor_writer *w, const struct token_parts *p, bool critical)
{
    char type[64] = "";
    assert_true(p->type.type == CBOR_TEXT && p->type.length < sizeof(type));
    memcpy(type, p->type.bytes, p->type.length);
    cbor_put_map(w, critical ? 5 : 3);
    cbor_put_int(w, 1);
    cbor_put_int(w, -7);
    if (critical) {
        cbor_put_int(w, 2);
        cbor_put_array(w, 1);
        cbor_put_text(w, "x");
    }
    cbor_put_int(w, 4);
    cbor_put_bytes(w, p->kid.bytes, p->kid.length);
    cbor_put_int(w, 16);
    cbor_put_text(w, type);
    if (critical) {
        cbor_put_text(w, "x");
        cbor_put_bool(w, true);
    }
}

static void sign_parts(struct evidence_rig *r, const struct token_parts *p, const struct cbor_writer *protected,
                       struct key_signature *s)
{
    struct cbor_writer w = {.bytes = NULL};
    cbor_put_array(&w, 4);
    cbor_put_text(&w, "Signature1");
    cbor_put_bytes(&w, protected->bytes, protected->length);
    cbor_put_bytes(&w, "", 0);
    cbor_put_bytes(&w, p->claims.bytes, p->claims.length);
    assert_false(w.failed);
    assert_int_equal(key_sign_bytes(r->key, w.bytes, w.length, s, &r->err), 0);
    cbor_writer_fini(&w);
}

/* The pod's token, put together by hand and signed by the pod's key. */
static void put_token_by_hand(struct evidence_rig *r, bool critical)
{
    uint8_t whole[EAT_MAX];
    struct cbor_writer protected = {.bytes = NULL}, head = {.bytes = NULL}, tail = {.bytes = NULL};
    struct token_parts p;
    struct key_signature s;
    take_apart(&r->evidence.file[EVIDENCE_EAT], &p);
    put_headers(&protected, &p, critical);
    sign_parts(r, &p, &protected, &s);
    cbor_put_tag(&head, 61);
    cbor_put_tag(&head, 18);
    cbor_put_array(&head, 4);
    cbor_put_bytes(&head, protected.bytes, protected.length);
    cbor_put_bytes(&tail, p.claims.bytes, p.claims.length);
    cbor_put_bytes(&tail, s.bytes, s.length);
    assert_false(protected.failed || head.failed || tail.failed);
    memcpy(whole, head.bytes, head.length);
    memcpy(whole + head.length, p.unprotected, p.unprotected_bytes);
    memcpy(whole + head.length + p.unprotected_bytes, tail.bytes, tail.length);
    evidence_rig_put(r, EVIDENCE_EAT, whole, head.length + p.unprotected_bytes + tail.length);
    cbor_writer_fini(&protected);
    cbor_writer_fini(&head);
    cbor_writer_fini(&tail);
}

static void token_put_together_by_hand_is_good(void **state)
{
    struct evidence_rig *r = *state;
    put_token_by_hand(r, false);
    assert_good(r);
}

static void token_with_an_unknown_critical_header_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    put_token_by_hand(r, true);
    assert_blames(r, EVIDENCE_PART_EAT, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, evidence_set_up, evidence_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(token_signed_again_unchanged_is_good),
        CASE(token_for_another_nonce_is_refused),
        CASE(token_that_claims_more_than_the_hosts_word_is_refused),
        CASE(token_that_denies_debugging_is_refused),
        CASE(token_of_other_registers_is_refused),
        CASE(token_of_another_log_is_refused),
        CASE(token_with_another_agents_key_is_refused),
        CASE(token_of_another_signer_is_refused),
        CASE(token_without_the_certificates_of_the_chain_is_refused),
        CASE(token_with_certificates_and_no_chain_is_refused),
        CASE(token_of_another_pod_than_the_certificates_is_refused),
        CASE(name_of_the_pod_is_its_own_affair_where_a_key_is_trusted),
        CASE(token_from_the_future_is_refused),
        CASE(token_put_together_by_hand_is_good),
        CASE(token_with_an_unknown_critical_header_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
