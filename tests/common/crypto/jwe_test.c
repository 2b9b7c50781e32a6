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
#include "common/crypto/jwe.h"
#include "tests/lib/keys.h"

static const char secret[] = "the secret of tests";

/* Made by python3-jwcrypto 1.1 for the P-256 key of tests/lib/keys.c. */
static const char from_jwcrypto[] =
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IjB3NWww"
    "N3Axa25QdkI2QkdEazcxZE5QU0J2ZWRDdEN3RW9Sb2xSQlkzdG8iLCJ5IjoibnhOeVpFeVZ3NjVRVVRGTFo1SmhubVgzcXhfN3hQ"
    "UHBOQURHc0gxSDlZbyJ9fQ..WZzFT65jh8Y2o4fO.0M94ZlY5AwAeCbsC4RBchFPMEw.4Je_HTdJeme6q74pAGTWKg";
/* The same with apu, apv, kid, typ and cty. */
static const char from_jwcrypto_with_parties[] =
    "eyJhbGciOiJFQ0RILUVTIiwiYXB1IjoiUVd4cFkyVSIsImFwdiI6IlFtOWkiLCJjdHkiOiJ0ZXh0IiwiZW5jIjoiQTI1NkdDTSIs"
    "ImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IlpoYnA4MzZLTS1zQVd1b1FqYkNoTHVIWjBBcVNPSjZuZ0tpRjN4"
    "TmdZQ00iLCJ5IjoiRjQ2MWVxU1dsZkJ2NUppWnBhRU93U043NGxGY19NaDVxbXhJVzlfZ1VPNCJ9LCJraWQiOiJhZ2VudCIsInR5"
    "cCI6IkpPU0UifQ..lA1HWESjO6PfGqIQ.-9uPLPyEQ2mBJAs0QlXp2y3oRw.Xv2y6T_TNWQGWsZi6zAU6w";

/* With the test's key. */
static int decrypt(const char *jwe, size_t n, struct err *err)
{
    struct key *key = keys_private(KEY_P256);
    uint8_t *out = NULL;
    size_t length;
    int code = jwe_decrypt(key, jwe, n, &out, &length, err);
    if (code == 0) {
        assert_int_equal(length, sizeof secret - 1);
        assert_memory_equal(out, secret, sizeof secret); /* with the NUL */
    }
    free(out);
    key_free(key);
    return code;
}

static void assert_refused(const char *jwe, size_t n, const char *why)
{
    struct err err;
    assert_int_equal(decrypt(jwe, n, &err), -EBADMSG);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s", err.text);
}

#define FORM    "it is not of the form HEADER..IV.CIPHERTEXT.TAG"
#define HEADER  "its header is not that of ECDH-ES"
#define CONTENT "it is too long, was changed, or is for another key"

static char *encrypt(const void *plain, size_t n)
{
    struct pubkey *key = keys_public(KEY_P256);
    char *jwe = NULL;
    assert_int_equal(jwe_encrypt(key, plain, n, &jwe, NULL), 0);
    pubkey_free(key);
    return jwe;
}

/* A token with another header in front of a body that is one. */
static void assert_header(const char *json, const char *why)
{
    char jwe[8192];
    size_t n = base64_url_encode(json, strlen(json), jwe);
    snprintf(jwe + n, sizeof jwe - n, "%s", strchr(from_jwcrypto, '.'));
    assert_refused(jwe, strlen(jwe), why);
}

/* ---- ---- */

static void what_another_library_encrypted_is_decrypted(void **state)
{
    (void)state;
    assert_int_equal(decrypt(from_jwcrypto, sizeof from_jwcrypto - 1, NULL), 0);
}

static void names_of_the_parties_go_into_the_key(void **state)
{
    (void)state;
    assert_int_equal(decrypt(from_jwcrypto_with_parties, sizeof from_jwcrypto_with_parties - 1, NULL), 0);
}

static void what_is_encrypted_here_is_decrypted(void **state)
{
    (void)state;
    char *jwe = encrypt(secret, sizeof secret - 1);
    assert_int_equal(decrypt(jwe, strlen(jwe), NULL), 0);
    free(jwe);
}

static void the_same_secret_never_looks_the_same(void **state)
{
    (void)state;
    char *a = encrypt(secret, sizeof secret - 1), *b = encrypt(secret, sizeof secret - 1);
    assert_string_not_equal(a, b);
    assert_string_not_equal(strchr(a, '.'), strchr(b, '.'));
    free(b);
    free(a);
}

static void secrets_of_no_bytes_and_of_the_most_come_back(void **state)
{
    (void)state;
    uint8_t plain[JWE_PLAIN_MAX + 1] = {0};
    struct key *key = keys_private(KEY_P256);
    const size_t sizes[] = {0, JWE_PLAIN_MAX};
    memset(plain, 0x5a, sizeof plain);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *out;
        size_t n;
        char *jwe = encrypt(plain, sizes[i]);
        assert_true(strlen(jwe) <= JWE_MAX);
        assert_int_equal(jwe_decrypt(key, jwe, strlen(jwe), &out, &n, NULL), 0);
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(out, plain, n);
        assert_int_equal(out[n], 0);
        free(out);
        free(jwe);
    }
    key_free(key);
}

static void a_byte_more_than_the_most_is_not_encrypted(void **state)
{
    (void)state;
    uint8_t plain[JWE_PLAIN_MAX + 1] = {0};
    struct pubkey *key = keys_public(KEY_P256);
    char *jwe;
    assert_int_equal(jwe_encrypt(key, plain, sizeof plain, &jwe, NULL), -EINVAL);
    pubkey_free(key);
}

static void nothing_is_encrypted_to_keys_of_other_kinds(void **state)
{
    (void)state;
    const enum key_kind kinds[] = {KEY_P384, KEY_RSA};
    for (size_t i = 0; i < 2; i++) {
        struct pubkey *key = keys_public(kinds[i]);
        char *jwe;
        assert_int_equal(jwe_encrypt(key, secret, 3, &jwe, NULL), -EINVAL);
        pubkey_free(key);
    }
}

static void another_key_cannot_decrypt(void **state)
{
    (void)state;
    struct key *node = keys_node(), *rsa = keys_private(KEY_RSA);
    uint8_t *out;
    size_t n;
    assert_int_equal(jwe_decrypt(node, from_jwcrypto, sizeof from_jwcrypto - 1, &out, &n, NULL), -EBADMSG);
    assert_int_equal(jwe_decrypt(rsa, from_jwcrypto, sizeof from_jwcrypto - 1, &out, &n, NULL), -EINVAL);
    key_free(rsa);
    key_free(node);
}

static void every_changed_character_is_refused(void **state)
{
    (void)state;
    char jwe[sizeof from_jwcrypto];
    struct key *key = keys_private(KEY_P256);
    uint8_t *out;
    size_t n;
    memcpy(jwe, from_jwcrypto, sizeof jwe);
    for (size_t i = 0; i < sizeof jwe - 1; i++) {
        jwe[i] = from_jwcrypto[i] == 'B' ? 'A' : 'B';
        assert_int_equal(jwe_decrypt(key, jwe, sizeof jwe - 1, &out, &n, NULL), -EBADMSG);
        jwe[i] = from_jwcrypto[i];
    }
    key_free(key);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct key *key = keys_private(KEY_P256);
    uint8_t *out;
    size_t length;
    for (size_t n = 0; n < sizeof from_jwcrypto - 1; n++)
        assert_int_equal(jwe_decrypt(key, from_jwcrypto, n, &out, &length, NULL), -EBADMSG);
    key_free(key);
}

static void a_short_tag_or_iv_is_refused(void **state)
{
    (void)state;
    assert_refused("e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAA", 44, FORM);
    assert_refused("e30..AAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA", 42, FORM);
    assert_refused("e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA", 47, HEADER);
}

static void an_encrypted_key_or_a_part_more_is_refused(void **state)
{
    (void)state;
    assert_refused("e30.AA.AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA", 49, FORM);
    assert_refused("e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA.", 48, FORM);
    assert_refused("e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA\n", 48, FORM);
}

static void more_than_the_longest_is_refused(void **state)
{
    (void)state;
    char jwe[JWE_MAX + 1];
    memset(jwe, 'A', sizeof jwe);
    memcpy(jwe, "e30..AAAAAAAAAAAAAAAA.", 22);
    memcpy(jwe + sizeof jwe - 23, ".AAAAAAAAAAAAAAAAAAAAAA", 23);
    assert_refused(jwe, sizeof jwe, FORM);
}

static void a_ciphertext_longer_than_a_secret_is_refused(void **state)
{
    (void)state;
    char jwe[JWE_MAX];
    size_t n = strcspn(from_jwcrypto, ".");
    memset(jwe, 'A', sizeof jwe);
    memcpy(jwe, from_jwcrypto, n + 2 + 16);
    jwe[n + 18] = '.';
    memcpy(jwe + sizeof jwe - 23, ".AAAAAAAAAAAAAAAAAAAAAA", 23);
    assert_refused(jwe, sizeof jwe, CONTENT);
}

#define X       "0w5l07p1knPvB6BGDk71dNPSBvedCtCwEoRolRBY3to"
#define Y       "nxNyZEyVw65QUTFLZ5JhnmX3qx_7xPPpNADGsH1H9Yo"
#define EPK     "\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}"
#define ALG_ENC "\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\""

static void a_good_header_in_another_spelling_only_fails_the_tag(void **state)
{
    (void)state;
    assert_header("{" ALG_ENC "," EPK "}", CONTENT);
    assert_header("{" ALG_ENC "," EPK ",\"kid\":\"k\",\"typ\":\"t\",\"cty\":\"c\",\"apu\":\"\",\"apv\":\"QQ\"}",
                  CONTENT);
}

static void critical_unknown_and_compressed_headers_are_refused(void **state)
{
    (void)state;
    assert_header("{" ALG_ENC "," EPK ",\"crit\":[\"exp\"],\"exp\":1}", HEADER);
    assert_header("{" ALG_ENC "," EPK ",\"crit\":[]}", HEADER);
    assert_header("{" ALG_ENC "," EPK ",\"zip\":\"DEF\"}", HEADER);
    assert_header("{" ALG_ENC "," EPK ",\"x\":1}", HEADER);
}

static void other_algorithms_are_refused(void **state)
{
    (void)state;
    assert_header("{\"alg\":\"ECDH-ES+A256KW\",\"enc\":\"A256GCM\"," EPK "}", HEADER);
    assert_header("{\"alg\":\"dir\",\"enc\":\"A256GCM\"," EPK "}", HEADER);
    assert_header("{\"alg\":\"ECDH-ES\",\"enc\":\"A128GCM\"," EPK "}", HEADER);
    assert_header("{\"alg\":\"ECDH-ES\"," EPK "}", HEADER);
    assert_header("{\"enc\":\"A256GCM\"," EPK "}", HEADER);
    assert_header("{" ALG_ENC "}", HEADER);
}

static void doubled_members_are_refused(void **state)
{
    (void)state;
    assert_header("{" ALG_ENC "," ALG_ENC "," EPK "}", HEADER);
    assert_header("{" ALG_ENC "," EPK "," EPK "}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
                  "\"}}",
                  HEADER);
}

static void senders_keys_that_are_not_on_the_curve_are_refused(void **state)
{
    (void)state;
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X "\"}}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y "\"}}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
                  "\",\"d\":\"AA\"}}",
                  HEADER);
    assert_header("{" ALG_ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA" X "\",\"y\":\"" Y "\"}}", HEADER);
    assert_header("{" ALG_ENC ",\"epk\":\"none\"}", HEADER);
}

static void names_of_parties_that_are_no_base64url_or_too_long_are_refused(void **state)
{
    (void)state;
    char json[2048], apu[400];
    assert_header("{" ALG_ENC "," EPK ",\"apu\":\"A\"}", HEADER);
    assert_header("{" ALG_ENC "," EPK ",\"apv\":1}", HEADER);
    memset(apu, 'A', sizeof apu);
    snprintf(json, sizeof json, "{" ALG_ENC "," EPK ",\"apu\":\"%.342s\"}", apu);
    assert_header(json, CONTENT);
    snprintf(json, sizeof json, "{" ALG_ENC "," EPK ",\"apu\":\"%.343s\"}", apu);
    assert_header(json, HEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_library_encrypted_is_decrypted),
        cmocka_unit_test(names_of_the_parties_go_into_the_key),
        cmocka_unit_test(what_is_encrypted_here_is_decrypted),
        cmocka_unit_test(the_same_secret_never_looks_the_same),
        cmocka_unit_test(secrets_of_no_bytes_and_of_the_most_come_back),
        cmocka_unit_test(a_byte_more_than_the_most_is_not_encrypted),
        cmocka_unit_test(nothing_is_encrypted_to_keys_of_other_kinds),
        cmocka_unit_test(another_key_cannot_decrypt),
        cmocka_unit_test(every_changed_character_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_short_tag_or_iv_is_refused),
        cmocka_unit_test(an_encrypted_key_or_a_part_more_is_refused),
        cmocka_unit_test(more_than_the_longest_is_refused),
        cmocka_unit_test(a_ciphertext_longer_than_a_secret_is_refused),
        cmocka_unit_test(a_good_header_in_another_spelling_only_fails_the_tag),
        cmocka_unit_test(critical_unknown_and_compressed_headers_are_refused),
        cmocka_unit_test(other_algorithms_are_refused),
        cmocka_unit_test(doubled_members_are_refused),
        cmocka_unit_test(senders_keys_that_are_not_on_the_curve_are_refused),
        cmocka_unit_test(names_of_parties_that_are_no_base64url_or_too_long_are_refused),
    };
    return cmocka_run_group_tests_name("jwe", tests, NULL, NULL);
}
