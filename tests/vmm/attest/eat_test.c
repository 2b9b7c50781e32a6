/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/keys.h"
#include "vmm/attest/cbor.h"
#include "vmm/attest/eat.h"
#include "vmm/attest/eat_labels.h"

static void fill(uint8_t *out, size_t n, uint8_t first)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(first + i);
}

/* Everything that a token can have. */
static void describe(struct eat *e)
{
    struct pubkey *agent = keys_public(KEY_P256);
    *e = (struct eat){.nonce_bytes = 16, .issued_s = 1700000000, .pcr_mask = TRUST_PCR_MASK, .message_bytes = 100};
    fill(e->nonce, 16, 0x10);
    snprintf(e->software, sizeof e->software, "caisson");
    snprintf(e->version, sizeof e->version, "0.1.0 (0123456)");
    snprintf(e->evidence, sizeof e->evidence, EAT_EVIDENCE_TYPE);
    snprintf(e->sandbox, sizeof e->sandbox, "pod-1");
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++)
        if ((TRUST_PCR_MASK >> pcr & 1) != 0) {
            fill(e->pcrs.sha256[pcr], 32, (uint8_t)pcr);
            fill(e->pcrs.sha384[pcr], 48, (uint8_t)(pcr + 0x80));
        }
    fill(e->log_sha256, 32, 0x40);
    fill(e->message, 100, 0x77);
    e->agent_key_bytes = pubkey_der(agent, e->agent_key);
    pubkey_free(agent);
}

struct token {
    uint8_t *bytes;
    size_t length;
};

static struct token sign_as(const struct eat *e, enum key_kind kind)
{
    struct token t = {0};
    struct key *key = keys_private(kind);
    assert_int_equal(eat_sign(e, key, NULL, NULL, 0, &t.bytes, &t.length, NULL), 0);
    key_free(key);
    return t;
}

static struct token good(void)
{
    struct eat e;
    describe(&e);
    return sign_as(&e, KEY_P256);
}

static int verify_as(const void *bytes, size_t n, enum key_kind kind, struct eat *out, struct err *err)
{
    struct pubkey *key = keys_public(kind);
    int code = eat_verify(bytes, n, key, out, err);
    pubkey_free(key);
    return code;
}

static int verify(const struct token *t)
{
    struct eat e;
    return verify_as(t->bytes, t->length, KEY_P256, &e, NULL);
}

/* ---- Tokens with something changed that are signed again ---- */

struct pieces {
    struct cbor_writer protected, payload;
};

static void set(struct cbor_writer *w, const uint8_t *bytes, size_t n)
{
    cbor_writer_fini(w);
    w->bytes = malloc(n + 64);
    assert_non_null(w->bytes);
    memcpy(w->bytes, bytes, n);
    w->length = n;
    w->size = n + 64;
}

static void take_apart(struct pieces *p)
{
    struct token t = good();
    struct cbor_reader r;
    struct cbor_item item;
    *p = (struct pieces){0};
    cbor_reader_init(&r, t.bytes, t.length);
    for (int i = 0; i < 4; i++)
        assert_int_equal(cbor_next(&r, &item), 0);
    set(&p->protected, item.bytes, item.length);
    assert_int_equal(cbor_skip(&r), 0);
    assert_int_equal(cbor_next(&r, &item), 0);
    set(&p->payload, item.bytes, item.length);
    free(t.bytes);
}

static struct token put_together(struct pieces *p)
{
    struct cbor_writer w = {0}, input = {0};
    struct key *key = keys_private(KEY_P256);
    struct key_signature s;
    eat_put_signed_bytes(&input, p->protected.bytes, p->protected.length, p->payload.bytes, p->payload.length);
    assert_int_equal(key_sign_bytes(key, input.bytes, input.length, &s, NULL), 0);
    cbor_put_tag(&w, EAT_TAG_CWT);
    cbor_put_tag(&w, EAT_TAG_SIGN1);
    cbor_put_array(&w, 4);
    cbor_put_bytes(&w, p->protected.bytes, p->protected.length);
    cbor_put_map(&w, 0);
    cbor_put_bytes(&w, p->payload.bytes, p->payload.length);
    cbor_put_bytes(&w, s.bytes, s.length);
    assert_false(w.failed);
    cbor_writer_fini(&input);
    cbor_writer_fini(&p->payload);
    cbor_writer_fini(&p->protected);
    key_free(key);
    return (struct token){w.bytes, w.length};
}

/* Replace the one place where w has the bytes `from` (hexadecimal) by `to`. */
static void replace(struct cbor_writer *w, const char *from, const char *to)
{
    uint8_t old[256], new[256];
    size_t old_n = strlen(from) / 2, new_n = strlen(to) / 2;
    assert_true(digest_from_hex(from, old, old_n) && digest_from_hex(to, new, new_n));
    uint8_t *at = memmem(w->bytes, w->length, old, old_n);
    assert_non_null(at);
    assert_null(memmem(at + 1, w->length - (size_t)(at + 1 - w->bytes), old, old_n));
    assert_true(w->length + new_n - old_n <= w->size);
    memmove(at + new_n, at + old_n, w->length - (size_t)(at - w->bytes) - old_n);
    memcpy(at, new, new_n);
    w->length += new_n - old_n;
}

static void assert_refused(struct pieces *p, const char *why)
{
    struct token t = put_together(p);
    struct eat e;
    struct err err = {0};
    assert_int_equal(verify_as(t.bytes, t.length, KEY_P256, &e, &err), -EBADMSG);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s", err.text);
    free(t.bytes);
}

static void assert_payload_refused(const char *from, const char *to, const char *why)
{
    struct pieces p;
    take_apart(&p);
    replace(&p.payload, from, to);
    assert_refused(&p, why);
}

static void assert_header_refused(const char *from, const char *to)
{
    struct pieces p;
    take_apart(&p);
    replace(&p.protected, from, to);
    assert_refused(&p, "its header is not this key's alg and kid");
}

/* ---- What is signed is what is read ---- */

static void everything_comes_back(void **state)
{
    (void)state;
    struct eat e, back;
    describe(&e);
    struct token t = sign_as(&e, KEY_P256);
    assert_int_equal(verify_as(t.bytes, t.length, KEY_P256, &back, NULL), 0);
    assert_memory_equal(&back, &e, sizeof e);
    free(t.bytes);
}

static void each_kind_of_key_signs(void **state)
{
    (void)state;
    const enum key_kind kinds[] = {KEY_P256, KEY_P384, KEY_RSA};
    struct eat e, back;
    describe(&e);
    for (size_t i = 0; i < 3; i++) {
        struct token t = sign_as(&e, kinds[i]);
        assert_int_equal(verify_as(t.bytes, t.length, kinds[i], &back, NULL), 0);
        assert_int_equal(verify_as(t.bytes, t.length, kinds[(i + 1) % 3], &back, NULL), -EBADMSG);
        free(t.bytes);
    }
}

static void a_token_without_agent_and_quote_is_read(void **state)
{
    (void)state;
    struct eat e, back;
    describe(&e);
    e.agent_key_bytes = e.message_bytes = 0;
    e.debug = true;
    struct token t = sign_as(&e, KEY_P256);
    assert_int_equal(verify_as(t.bytes, t.length, KEY_P256, &back, NULL), 0);
    assert_int_equal(back.agent_key_bytes, 0);
    assert_int_equal(back.message_bytes, 0);
    assert_true(back.debug);
    free(t.bytes);
}

static void certificates_travel_outside_of_the_signature(void **state)
{
    (void)state;
    static const uint8_t first[] = "first", second[] = "second";
    const uint8_t *der[] = {first, second};
    const size_t bytes[] = {5, 6};
    struct key *key = keys_private(KEY_P256);
    struct eat e;
    describe(&e);
    for (size_t count = 1; count <= 2; count++) {
        struct token t;
        assert_int_equal(eat_sign(&e, key, der, bytes, count, &t.bytes, &t.length, NULL), 0);
        assert_int_equal(verify(&t), 0);
        uint8_t *there = memmem(t.bytes, t.length, "first", 5);
        assert_non_null(there);
        assert_memory_equal(there - 1, "\x45", 1); /* a byte string of five */
        assert_memory_equal(there - 2 - 2 * (count - 1), count == 1 ? "\x21" : "\x18\x21\x82", count == 1 ? 1 : 3);
        free(t.bytes);
    }
    key_free(key);
}

static void a_token_is_deterministic(void **state)
{
    (void)state;
    struct token a = good(), b = good();
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.bytes, b.bytes, a.length);
    assert_memory_equal(a.bytes, "\xd8\x3d\xd2\x84", 4);
    assert_true(cbor_is_valid(a.bytes, a.length));
    free(b.bytes);
    free(a.bytes);
}

/* ---- What is not signed ---- */

static void assert_not_signed(const struct eat *e, const char *why)
{
    struct key *key = keys_private(KEY_P256);
    uint8_t *out = NULL;
    size_t n;
    struct err err;
    assert_int_equal(eat_sign(e, key, NULL, NULL, 0, &out, &n, &err), -EINVAL);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s", err.text);
    assert_null(out);
    key_free(key);
}

static void nonces_have_8_to_64_bytes(void **state)
{
    (void)state;
    struct eat e, back;
    describe(&e);
    e.nonce_bytes = 7;
    assert_not_signed(&e, "the nonce has 7 bytes");
    e.nonce_bytes = 65;
    assert_not_signed(&e, "the nonce has 65 bytes");
    for (e.nonce_bytes = 8; e.nonce_bytes <= 64; e.nonce_bytes += 56) {
        struct token t = sign_as(&e, KEY_P256);
        assert_int_equal(verify_as(t.bytes, t.length, KEY_P256, &back, NULL), 0);
        assert_int_equal(back.nonce_bytes, e.nonce_bytes);
        free(t.bytes);
    }
}

static void names_are_utf_8(void **state)
{
    (void)state;
    struct eat e;
    describe(&e);
    snprintf(e.sandbox, sizeof e.sandbox, "pod\xff");
    assert_not_signed(&e, "no UTF-8");
}

static void registers_times_and_agents_keys_in_range_only(void **state)
{
    (void)state;
    struct eat e;
    describe(&e);
    e.pcr_mask = 1u << 24;
    assert_not_signed(&e, "out of range");
    describe(&e);
    e.issued_s = -1;
    assert_not_signed(&e, "out of range");
    describe(&e);
    struct pubkey *p384 = keys_public(KEY_P384);
    e.agent_key_bytes = pubkey_der(p384, e.agent_key);
    pubkey_free(p384);
    assert_not_signed(&e, "not on P-256");
    describe(&e);
    e.agent_key_bytes--;
    assert_not_signed(&e, "of the agent");
}

static void a_token_longer_than_the_most_is_not_made(void **state)
{
    (void)state;
    static const uint8_t large[EAT_MAX];
    const uint8_t *der[] = {large};
    const size_t bytes[] = {EAT_MAX};
    struct key *key = keys_private(KEY_P256);
    struct eat e;
    uint8_t *out;
    size_t n;
    describe(&e);
    assert_int_equal(eat_sign(&e, key, der, bytes, 1, &out, &n, NULL), -EINVAL);
    key_free(key);
}

/* ---- What is not read ---- */

/* All of the header and of the signature, and a sample between: a verification takes milliseconds. */
static void any_bit_of_a_token_counts(void **state)
{
    (void)state;
    struct token t = good();
    for (size_t i = 0; i < t.length; i += i < 80 || i + 70 > t.length ? 1 : 13) {
        t.bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(verify(&t), -EBADMSG);
        t.bytes[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(verify(&t), 0);
    free(t.bytes);
}

static void tokens_that_are_cut_or_have_more_are_refused(void **state)
{
    (void)state;
    struct token t = good();
    struct eat e;
    for (size_t n = 0; n < t.length; n++)
        assert_int_equal(verify_as(t.bytes, n, KEY_P256, &e, NULL), -EBADMSG);
    uint8_t *more = calloc(1, t.length + 1);
    assert_non_null(more);
    memcpy(more, t.bytes, t.length);
    assert_int_equal(verify_as(more, t.length + 1, KEY_P256, &e, NULL), -EBADMSG);
    free(more);
    free(t.bytes);
}

static void another_key_is_refused(void **state)
{
    (void)state;
    struct token t = good();
    struct key *node = keys_node();
    struct eat e;
    assert_int_equal(eat_verify(t.bytes, t.length, key_public(node), &e, NULL), -EBADMSG);
    key_free(node);
    free(t.bytes);
}

static void untagged_or_tagged_otherwise_is_refused(void **state)
{
    (void)state;
    struct token t = good();
    struct eat e;
    assert_int_equal(verify_as(t.bytes + 2, t.length - 2, KEY_P256, &e, NULL), -EBADMSG); /* no CWT */
    assert_int_equal(verify_as(t.bytes + 3, t.length - 3, KEY_P256, &e, NULL), -EBADMSG); /* bare */
    t.bytes[2] = 0xd1;                                                                    /* COSE_Mac0 */
    assert_int_equal(verify(&t), -EBADMSG);
    free(t.bytes);
}

static void critical_and_unknown_headers_are_refused(void **state)
{
    (void)state;
    assert_header_refused("a30126", "a4012602811902bc"); /* crit: [700] */
    assert_header_refused("a30126", "a401260300");       /* content type */
    assert_header_refused("1073", "1173");               /* 17 in the place of 16 */
}

static void other_algorithms_keys_and_types_are_refused(void **state)
{
    (void)state;
    assert_header_refused("a30126", "a301382e"); /* ES256K */
    assert_header_refused("a30126", "a30127");   /* EdDSA */
    assert_header_refused("a30126", "a3013822"); /* ES384 */
    assert_header_refused("045820", "04582100");
    assert_header_refused("6561742b637774", "6561742b6a7774"); /* eat+jwt */
}

static void headers_outside_of_the_signature_are_certificates_or_nothing(void **state)
{
    (void)state;
    struct token t = good();
    struct eat e;
    /* Behind tags, array and protected header: an empty map, which becomes another. */
    size_t at = 4 + 2 + t.bytes[5];
    assert_int_equal(t.bytes[at], 0xa0);
    static const struct {
        const char *hex;
        int code;
    } cases[] = {
        {"a118214100", 0},
        {"a118218241004100", 0},
        {"a10126", -EBADMSG},
        {"a11821f6", -EBADMSG},
        {"a11821814100", -EBADMSG},
        {"a1182182410000", -EBADMSG},
        {"a202411818214100", -EBADMSG},
        {"80", -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t copy[4096];
        size_t n = strlen(cases[i].hex) / 2;
        memcpy(copy, t.bytes, at);
        assert_true(digest_from_hex(cases[i].hex, copy + at, n));
        memcpy(copy + at + n, t.bytes + at + 1, t.length - at - 1);
        assert_int_equal(verify_as(copy, t.length - 1 + n, KEY_P256, &e, NULL), cases[i].code);
    }
    free(t.bytes);
}

static void signing_again_without_a_change_is_read(void **state)
{
    (void)state;
    struct pieces p;
    take_apart(&p);
    struct token t = put_together(&p);
    assert_int_equal(verify(&t), 0);
    free(t.bytes);
}

static void claims_missing_or_unknown_are_refused(void **state)
{
    (void)state;
    assert_payload_refused("ac061a6553f10008", "ab08", "claim 8 is unknown, or one before it is missing");
    assert_payload_refused("ac061a6553f100", "ad0160061a6553f100", "claim 1 is unknown");
    assert_payload_refused("ac061a6553f100", "ad061a6553f1000700", "claim 7 is unknown");
    assert_payload_refused("ac061a6553f100", "a1061a6553f100", "no map in deterministic CBOR");
    assert_payload_refused("19010702", "1901070219010800", "no map in deterministic CBOR");
}

static void claims_twice_or_out_of_order_are_refused(void **state)
{
    (void)state;
    assert_payload_refused("ac061a6553f100", "ad061a6553f100061a6553f100", "no map in deterministic CBOR");
    assert_payload_refused("19010702", "19010600", "claim 262 is unknown");
    assert_payload_refused("19010702", "19011000", "no map in deterministic CBOR");
}

static void claims_of_another_type_or_value_are_refused(void **state)
{
    (void)state;
    assert_payload_refused("061a6553f100", "0620", "claim iat");
    assert_payload_refused("061a6553f100", "06f4", "claim iat");
    assert_payload_refused("061a6553f100", "061b8000000000000000", "claim iat");
    assert_payload_refused("19010702", "19010701", "claim dbgstat");
    assert_payload_refused("19010702", "190107f4", "claim dbgstat");
    assert_payload_refused("2f3119010e", "2f3219010e", "claim eat_profile");
    assert_payload_refused("67636169", "47636169", "claim swname");
    assert_payload_refused("19010f81", "19010f8200", "claim swversion");
    assert_payload_refused("65706f642d31", "65706f640031", "claim sandbox");
}

static void nonces_of_7_and_65_bytes_are_refused(void **state)
{
    (void)state;
    struct pieces p;
    assert_payload_refused("0a50101112131415161718191a1b1c1d1e1f", "0a4710111213141516", "claim eat_nonce");
    char to[2 * 68 + 1] = "0a5841";
    memset(to + 6, '0', 130);
    take_apart(&p);
    p.payload.bytes = realloc(p.payload.bytes, p.payload.size + 256);
    assert_non_null(p.payload.bytes);
    p.payload.size += 256;
    replace(&p.payload, "0a50101112131415161718191a1b1c1d1e1f", to);
    assert_refused(&p, "claim eat_nonce");
}

static void an_agents_key_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_payload_refused("08a101a4", "08a102a4", "claim cnf");
    assert_payload_refused("010220012158", "010120012158", "claim cnf"); /* OKP */
    assert_payload_refused("010220012158", "010220022158", "claim cnf"); /* P-384 */
    assert_payload_refused("21582060fed4", "21582060fed5", "claim cnf"); /* not on the curve */
}

static void registers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    /* The last register of the first bank is number 15; its 32 bytes begin with 0f 10 11. */
    assert_payload_refused("0f58200f1011", "181858200f1011", "claim registers");
    assert_payload_refused("0f58200f1011", "1058200f1011", "claim registers"); /* not in the other bank */
    assert_payload_refused("a20ba8", "a20aa8", "claim registers");
    assert_payload_refused("a20ba8", "a10ba8", "no map in deterministic CBOR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(each_kind_of_key_signs),
        cmocka_unit_test(a_token_without_agent_and_quote_is_read),
        cmocka_unit_test(certificates_travel_outside_of_the_signature),
        cmocka_unit_test(a_token_is_deterministic),
        cmocka_unit_test(nonces_have_8_to_64_bytes),
        cmocka_unit_test(names_are_utf_8),
        cmocka_unit_test(registers_times_and_agents_keys_in_range_only),
        cmocka_unit_test(a_token_longer_than_the_most_is_not_made),
        cmocka_unit_test(any_bit_of_a_token_counts),
        cmocka_unit_test(tokens_that_are_cut_or_have_more_are_refused),
        cmocka_unit_test(another_key_is_refused),
        cmocka_unit_test(untagged_or_tagged_otherwise_is_refused),
        cmocka_unit_test(critical_and_unknown_headers_are_refused),
        cmocka_unit_test(other_algorithms_keys_and_types_are_refused),
        cmocka_unit_test(headers_outside_of_the_signature_are_certificates_or_nothing),
        cmocka_unit_test(signing_again_without_a_change_is_read),
        cmocka_unit_test(claims_missing_or_unknown_are_refused),
        cmocka_unit_test(claims_twice_or_out_of_order_are_refused),
        cmocka_unit_test(claims_of_another_type_or_value_are_refused),
        cmocka_unit_test(nonces_of_7_and_65_bytes_are_refused),
        cmocka_unit_test(an_agents_key_that_is_none_is_refused),
        cmocka_unit_test(registers_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests_name("eat", tests, NULL, NULL);
}
