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

#include "common/crypto/base64.h"
#include "common/crypto/jose.h"
#include "common/crypto/jws.h"
#include "tests/lib/keys.h"

static const char document[] = "{\"rule\":1}";
#define DOCUMENT document, sizeof document - 1

static const enum key_kind kinds[] = {KEY_P256, KEY_P384, KEY_RSA};

/* Of the document, by a test's key. */
static void sign(enum key_kind kind, char *out)
{
    struct key *key = keys_private(kind);
    assert_int_equal(jws_sign(key, DOCUMENT, out, NULL), 0);
    key_free(key);
}

/* Against the test's key of a kind. */
static int verify(enum key_kind kind, const char *jws, size_t n)
{
    struct pubkey *key = keys_public(kind);
    size_t which = 9;
    int code = jws_verify(jws, n, DOCUMENT, (const struct pubkey *[]){key}, 1, &which, NULL);
    assert_int_equal(which, code == 0 ? 0 : 9);
    pubkey_free(key);
    return code;
}

/* A signature that is good but for its header. */
static void sign_with_header(const char *json, char *out)
{
    struct key *key = keys_private(KEY_P256);
    struct key_signature s;
    char input[4096];
    size_t header = base64_url_encode(json, strlen(json), out), n = header;
    memcpy(input, out, n);
    input[n++] = '.';
    n += base64_url_encode(DOCUMENT, input + n);
    assert_int_equal(key_sign_bytes(key, input, n, &s, NULL), 0);
    memcpy(out + header, "..", 2);
    base64_url_encode(s.bytes, s.length, out + header + 2);
    key_free(key);
}

static int verify_with_header(const char *json)
{
    char jws[4096];
    sign_with_header(json, jws);
    return verify(KEY_P256, jws, strlen(jws));
}

static void signatures_of_each_kind_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char jws[JWS_MAX];
        sign(kinds[i], jws);
        assert_int_equal(verify(kinds[i], jws, strlen(jws)), 0);
    }
}

static void the_header_has_the_algorithm_and_the_thumbprint(void **state)
{
    (void)state;
    char jws[JWS_MAX], wanted[256], kid[44];
    struct pubkey *key = keys_public(KEY_P384);
    sign(KEY_P384, jws);
    jws_thumbprint(key, kid);
    snprintf(wanted, sizeof wanted, "{\"alg\":\"ES384\",\"kid\":\"%s\"}", kid);
    uint8_t header[256];
    assert_int_equal(base64_url_decode(jws, strcspn(jws, "."), header), strlen(wanted));
    assert_memory_equal(header, wanted, strlen(wanted));
    pubkey_free(key);
}

/* RFC 7638, 3.1. */
static void the_thumbprint_of_the_rfcs_example_is_known(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJX\n"
                              "ZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\n"
                              "oc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt\n"
                              "7/RN5w6Cf0h4QyQ5v+65YGjQR0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\n"
                              "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0f\n"
                              "M4lFd2NcRwr3XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDK\n"
                              "gwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";
    struct pubkey *key;
    char out[44];
    assert_int_equal(pubkey_load(pem, sizeof pem - 1, "example", &key, NULL), 0);
    jws_thumbprint(key, out);
    assert_string_equal(out, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    pubkey_free(key);
}

static void one_line_end_is_allowed_and_not_two(void **state)
{
    (void)state;
    char jws[JWS_MAX + 3];
    sign(KEY_P256, jws);
    strcat(jws, "\n");
    assert_int_equal(verify(KEY_P256, jws, strlen(jws)), 0);
    strcat(jws, "\n");
    assert_int_equal(verify(KEY_P256, jws, strlen(jws)), -EBADMSG);
}

static void the_key_that_made_it_is_named(void **state)
{
    (void)state;
    char jws[JWS_MAX];
    struct key *node = keys_node();
    struct pubkey *rsa = keys_public(KEY_RSA), *p256 = keys_public(KEY_P256);
    const struct pubkey *keys[] = {rsa, key_public(node), p256};
    size_t which = 9;
    sign(KEY_P256, jws);
    assert_int_equal(jws_verify(jws, strlen(jws), DOCUMENT, keys, 3, &which, NULL), 0);
    assert_int_equal(which, 2);
    assert_int_equal(jws_verify(jws, strlen(jws), DOCUMENT, keys, 2, &which, NULL), -EBADMSG);
    assert_int_equal(jws_verify(jws, strlen(jws), DOCUMENT, keys, 0, &which, NULL), -EBADMSG);
    pubkey_free(p256);
    pubkey_free(rsa);
    key_free(node);
}

static void another_document_is_refused(void **state)
{
    (void)state;
    char jws[JWS_MAX];
    struct pubkey *key = keys_public(KEY_P256);
    size_t which;
    struct err err;
    sign(KEY_P256, jws);
    assert_int_equal(jws_verify(jws, strlen(jws), "{\"rule\":2}", 10, (const struct pubkey *[]){key}, 1, &which, &err),
                     -EBADMSG);
    assert_non_null(strstr(err.text, "no trusted key made it"));
    pubkey_free(key);
}

/* Each character replaced by its neighbour in the alphabet: one bit of what is decoded. */
static void every_changed_character_is_refused(void **state)
{
    (void)state;
    char jws[JWS_MAX];
    sign(KEY_P256, jws);
    for (size_t i = 0; jws[i] != '\0'; i++) {
        char was = jws[i];
        jws[i] = was == 'B' ? 'A' : 'B';
        assert_int_equal(verify(KEY_P256, jws, strlen(jws)), -EBADMSG);
        jws[i] = was;
    }
    assert_int_equal(verify(KEY_P256, jws, strlen(jws)), 0);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    char jws[JWS_MAX];
    sign(KEY_P256, jws);
    for (size_t n = 0; n < strlen(jws); n++)
        assert_int_equal(verify(KEY_P256, jws, n), -EBADMSG);
}

static void more_than_the_longest_is_refused(void **state)
{
    (void)state;
    char jws[JWS_MAX + 2];
    memset(jws, 'A', sizeof jws);
    memcpy(jws, "e30..", 5);
    assert_int_equal(verify(KEY_P256, jws, sizeof jws), -EBADMSG);
}

static void an_attached_payload_is_refused(void **state)
{
    (void)state;
    char jws[JWS_MAX], with[JWS_MAX + 64], payload[64];
    sign(KEY_P256, jws);
    base64_url_encode(DOCUMENT, payload);
    size_t header = strcspn(jws, ".");
    snprintf(with, sizeof with, "%.*s.%s%s", (int)header, jws, payload, jws + header + 1);
    assert_int_equal(verify(KEY_P256, with, strlen(with)), -EBADMSG);
}

static void headers_without_anything_unknown_verify(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\"}"), 0);
    assert_int_equal(verify_with_header("{ \"typ\" : \"JOSE\", \"alg\":\"ES256\", \"kid\":\"mine\" }"), 0);
}

static void critical_and_unknown_members_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"crit\":[]}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"b64\":true}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"jwk\":{}}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"\":1}"), -EBADMSG);
}

static void doubled_members_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"alg\":\"ES256\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"\\u0061lg\":\"ES256\"}"), -EBADMSG);
}

static void other_algorithms_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("{\"alg\":\"none\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"HS256\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES384\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"RS256\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"es256\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":256}"), -EBADMSG);
    assert_int_equal(verify_with_header("{}"), -EBADMSG);
}

static void members_of_another_type_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"kid\":1}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"typ\":null}"), -EBADMSG);
}

static void what_is_no_object_of_json_is_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_with_header("[\"alg\",\"ES256\"]"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\"}}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\""), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\",\"kid\":\"\xff\"}"), -EBADMSG);
    assert_int_equal(verify_with_header("{\"alg\":\"ES256\\u0000\"}"), -EBADMSG);
    assert_int_equal(verify_with_header(""), -EBADMSG);
}

static void a_signature_made_elsewhere_is_attached(void **state)
{
    (void)state;
    struct key *key = keys_private(KEY_P256);
    struct key_signature s;
    char *input, jws[JWS_MAX];
    size_t n;
    assert_int_equal(jws_signing_input(key_public(key), DOCUMENT, &input, &n, NULL), 0);
    assert_int_equal(key_sign_bytes(key, input, n, &s, NULL), 0);
    assert_int_equal(jws_attach(key_public(key), &s, jws, NULL), 0);
    assert_int_equal(verify(KEY_P256, jws, strlen(jws)), 0);
    s.kind = KEY_RSA;
    assert_int_equal(jws_attach(key_public(key), &s, jws, NULL), -EINVAL);
    free(input);
    key_free(key);
}

static void the_higher_s_is_refused(void **state)
{
    (void)state;
    static const char order[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    char jws[JWS_MAX];
    uint8_t n[32], raw[64];
    sign(KEY_P256, jws);
    char *text = strrchr(jws, '.') + 1;
    assert_int_equal(base64_url_decode(text, strlen(text), raw), 64);
    assert_true(digest_from_hex(order, n, 32));
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int digit = n[i] - raw[32 + i] - borrow;
        borrow = digit < 0;
        raw[32 + i] = (uint8_t)digit;
    }
    base64_url_encode(raw, 64, text);
    assert_int_equal(verify(KEY_P256, jws, strlen(jws)), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_each_kind_verify),
        cmocka_unit_test(the_header_has_the_algorithm_and_the_thumbprint),
        cmocka_unit_test(the_thumbprint_of_the_rfcs_example_is_known),
        cmocka_unit_test(one_line_end_is_allowed_and_not_two),
        cmocka_unit_test(the_key_that_made_it_is_named),
        cmocka_unit_test(another_document_is_refused),
        cmocka_unit_test(every_changed_character_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(more_than_the_longest_is_refused),
        cmocka_unit_test(an_attached_payload_is_refused),
        cmocka_unit_test(headers_without_anything_unknown_verify),
        cmocka_unit_test(critical_and_unknown_members_are_refused),
        cmocka_unit_test(doubled_members_are_refused),
        cmocka_unit_test(other_algorithms_are_refused),
        cmocka_unit_test(members_of_another_type_are_refused),
        cmocka_unit_test(what_is_no_object_of_json_is_refused),
        cmocka_unit_test(a_signature_made_elsewhere_is_attached),
        cmocka_unit_test(the_higher_s_is_refused),
    };
    return cmocka_run_group_tests_name("jws", tests, NULL, NULL);
}
