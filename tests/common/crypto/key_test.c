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
#include <unistd.h>

#include "common/crypto/pem.h"
#include "tests/lib/keys.h"

static const enum key_kind kinds[] = {KEY_P256, KEY_P384, KEY_RSA};
#define FOR_EACH_KIND(k) for (const enum key_kind *k = kinds; k < kinds + 3; k++)

static void sign_sample(enum key_kind kind, struct key_signature *out)
{
    struct key *key = keys_private(kind);
    assert_int_equal(key_sign_bytes(key, "sample", 6, out, NULL), 0);
    key_free(key);
}

static int verify_sample(enum key_kind kind, const struct key_signature *s)
{
    struct pubkey *key = keys_public(kind);
    int code = pubkey_verify_bytes(key, "sample", 6, s, NULL);
    pubkey_free(key);
    return code;
}

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    char text[2 * 512 + 1];
    digest_to_hex(bytes, n, text);
    assert_string_equal(text, hex);
}

/* ---- Signing ---- */

/* r of A.2.5; s there is the higher one, and this is the order minus it. */
static void p256_signs_as_rfc_6979_with_the_lower_s(void **state)
{
    (void)state;
    struct key_signature s;
    sign_sample(KEY_P256, &s);
    assert_int_equal(s.length, 64);
    assert_int_equal(s.hash, DIGEST_SHA256);
    assert_hex(s.bytes, 64,
               "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
               "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9");
}

static void p384_signs_as_rfc_6979_with_the_lower_s(void **state)
{
    (void)state;
    struct key_signature s;
    sign_sample(KEY_P384, &s);
    assert_int_equal(s.length, 96);
    assert_int_equal(s.hash, DIGEST_SHA384);
    assert_hex(s.bytes, 96,
               "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
               "81a648152e44acf96e36dd1e80fabe46"
               "6610b514ea0e87315e01bf24d9fcec70ecf18bf5e69dbad9a727ea302393848f"
               "b4f04c6cd0423fdc7169525094629eab");
}

static void signatures_of_each_kind_verify(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key_signature s;
        sign_sample(*k, &s);
        assert_int_equal(verify_sample(*k, &s), 0);
    }
}

static void signing_twice_gives_the_same(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key_signature a, b;
        sign_sample(*k, &a);
        sign_sample(*k, &b);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

/* ---- Verifying ---- */

/* Each fifth byte, and the last ones: a verification takes milliseconds. */
static void a_signature_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key_signature s;
        struct pubkey *key = keys_public(*k);
        sign_sample(*k, &s);
        for (size_t i = 0; i < s.length; i += i + 6 < s.length ? 5 : 1) {
            s.bytes[i] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(pubkey_verify_bytes(key, "sample", 6, &s, NULL), -EBADMSG);
            s.bytes[i] ^= (uint8_t)(1u << i % 8);
        }
        assert_int_equal(pubkey_verify_bytes(key, "sample", 6, &s, NULL), 0);
        pubkey_free(key);
    }
}

static void other_bytes_are_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key_signature s;
        struct pubkey *key = keys_public(*k);
        sign_sample(*k, &s);
        assert_int_equal(pubkey_verify_bytes(key, "samplf", 6, &s, NULL), -EBADMSG);
        assert_int_equal(pubkey_verify_bytes(key, "sample", 5, &s, NULL), -EBADMSG);
        pubkey_free(key);
    }
}

static void another_key_of_the_kind_is_refused(void **state)
{
    (void)state;
    struct key *node = keys_node();
    struct key_signature s;
    sign_sample(KEY_P256, &s);
    assert_int_equal(pubkey_verify_bytes(key_public(node), "sample", 6, &s, NULL), -EBADMSG);
    key_free(node);
}

static void the_higher_s_is_refused_and_named(void **state)
{
    (void)state;
    struct key_signature s;
    struct err err;
    struct pubkey *key = keys_public(KEY_P256);
    sign_sample(KEY_P256, &s);
    assert_true(digest_from_hex("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", s.bytes + 32, 32));
    assert_int_equal(pubkey_verify_bytes(key, "sample", 6, &s, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "the higher of two possible s"));
    pubkey_free(key);
}

static void r_or_s_of_zero_and_the_order_are_refused(void **state)
{
    (void)state;
    static const char order[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    for (size_t half = 0; half < 2; half++) {
        struct key_signature s;
        sign_sample(KEY_P256, &s);
        memset(s.bytes + 32 * half, 0, 32);
        assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
        assert_true(digest_from_hex(order, s.bytes + 32 * half, 32));
        assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
    }
}

static void another_kind_hash_or_length_is_refused(void **state)
{
    (void)state;
    struct key_signature good, s;
    sign_sample(KEY_P256, &good);
    s = good;
    s.kind = KEY_RSA;
    assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
    s = good;
    s.hash = DIGEST_SHA384;
    assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
    s = good;
    s.length = 63;
    assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
    s.length = 96;
    assert_int_equal(verify_sample(KEY_P256, &s), -EBADMSG);
}

/* ---- Signatures in DER ---- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static int from_der(const char *hex, struct key_signature *out)
{
    uint8_t der[256];
    assert_true(digest_from_hex(hex, der, strlen(hex) / 2));
    return key_signature_from_der(KEY_P256, der, strlen(hex) / 2, out, NULL);
}

static void a_signature_in_der_gets_fixed_width_and_the_lower_s(void **state)
{
    (void)state;
    struct key_signature s;
    assert_int_equal(from_der("3026020101022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f", &s),
                     0);
    assert_int_equal(s.length, 64);
    assert_hex(s.bytes, 64,
               "0000000000000000000000000000000000000000000000000000000000000001"
               "0000000000000000000000000000000000000000000000000000000000000002");
}

static void der_that_is_not_the_shortest_is_refused(void **state)
{
    (void)state;
    struct key_signature s;
    assert_int_equal(from_der("3006020101020102", &s), 0);
    assert_int_equal(from_der("300702020001020102", &s), -EBADMSG);   /* a leading zero */
    assert_int_equal(from_der("308106020101020102", &s), -EBADMSG);   /* long form of the length */
    assert_int_equal(from_der("300702810101020102", &s), -EBADMSG);   /* the same inside */
    assert_int_equal(from_der("30800201010201020000", &s), -EBADMSG); /* indefinite length */
}

static void numbers_out_of_range_in_der_are_refused(void **state)
{
    (void)state;
    struct key_signature s;
    assert_int_equal(from_der("3006020100020102", &s), -EBADMSG); /* r is 0 */
    assert_int_equal(from_der("3006020101020100", &s), -EBADMSG); /* s is 0 */
    assert_int_equal(from_der("3006020181020102", &s), -EBADMSG); /* r is negative */
    assert_int_equal(from_der("30050200020102", &s), -EBADMSG);   /* r is empty */
    assert_int_equal(from_der("3026020101022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", &s),
                     -EBADMSG); /* s is the order */
    assert_int_equal(from_der("3026022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101", &s),
                     -EBADMSG);                                                /* r is the order */
    assert_int_equal(from_der("3027020101022201" ZEROS "0000", &s), -EBADMSG); /* s has 34 bytes */
}

static void truncated_oversized_or_retagged_der_is_refused(void **state)
{
    (void)state;
    struct key_signature s;
    const uint8_t good[] = {0x30, 6, 2, 1, 1, 2, 1, 2, 0};
    for (size_t n = 0; n <= sizeof good; n++)
        assert_int_equal(key_signature_from_der(KEY_P256, good, n, &s, NULL), n == 8 ? 0 : -EBADMSG);
    assert_int_equal(from_der("3106020101020102", &s), -EBADMSG);
    assert_int_equal(from_der("3006030101020102", &s), -EBADMSG);
    assert_int_equal(from_der("300702010102010200", &s), -EBADMSG); /* bytes behind s, inside */
    assert_int_equal(from_der("3003020101", &s), -EBADMSG);         /* no s */
}

static void a_block_of_rsa_is_taken_as_it_is(void **state)
{
    (void)state;
    struct key_signature made, read;
    sign_sample(KEY_RSA, &made);
    assert_int_equal(key_signature_from_der(KEY_RSA, made.bytes, made.length, &read, NULL), 0);
    assert_int_equal(verify_sample(KEY_RSA, &read), 0);
    assert_int_equal(key_signature_from_der(KEY_RSA, made.bytes, 255, &read, NULL), -EBADMSG);
    uint8_t large[513] = {1};
    assert_int_equal(key_signature_from_der(KEY_RSA, large, sizeof large, &read, NULL), -EBADMSG);
}

/* ---- Private keys ---- */

static int load_text(const char *text, struct key **out, struct err *err)
{
    return key_load(text, strlen(text), "k.pem", out, err);
}

static void assert_no_key(const void *bytes, size_t n)
{
    struct key *key;
    assert_int_equal(key_load(bytes, n, "k", &key, NULL), -EINVAL);
}

static void a_private_key_has_the_public_one_of_its_file(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key *key = keys_private(*k);
        struct pubkey *public = keys_public(*k);
        assert_true(pubkey_equal(key_public(key), public));
        pubkey_free(public);
        key_free(key);
    }
}

static void what_is_written_is_what_was_read(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        struct key *key = keys_private(*k);
        char *pem;
        assert_int_equal(key_private_pem(key, &pem, NULL), 0);
        assert_string_equal(pem, keys_pem(*k));
        free(pem);
        key_free(key);
    }
}

/* SEC 1 with the public key, without it, and with that of another key. */
#define SEC1_HEAD  "0420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define SEC1_CURVE "a00a06082a8648ce3d030107"
#define SEC1_PUBLIC                                                                                                    \
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f" \
    "5177a3c294d4462299"

static size_t from_hex(const char *hex, uint8_t *out)
{
    assert_true(digest_from_hex(hex, out, strlen(hex) / 2));
    return strlen(hex) / 2;
}

static void sec_1_with_and_without_its_public_key_is_read(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "3077020101" SEC1_HEAD SEC1_CURVE "a144034200" SEC1_PUBLIC,
        "3031020101" SEC1_HEAD SEC1_CURVE,
    };
    struct pubkey *public = keys_public(KEY_P256);
    for (size_t i = 0; i < 2; i++) {
        uint8_t der[256];
        struct key *key;
        assert_int_equal(key_load(der, from_hex(forms[i], der), "k", &key, NULL), 0);
        assert_true(pubkey_equal(key_public(key), public));
        key_free(key);
    }
    pubkey_free(public);
}

static void a_public_key_that_is_not_the_private_ones_is_refused(void **state)
{
    (void)state;
    /* The generator of the group: on the curve, and the key of the scalar 1. */
    static const char other[] = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    char hex[512];
    uint8_t der[256];
    snprintf(hex, sizeof hex, "3077020101" SEC1_HEAD SEC1_CURVE "a144034200%s", other);
    assert_no_key(der, from_hex(hex, der));
}

static void a_scalar_of_zero_or_the_order_is_refused(void **state)
{
    (void)state;
    uint8_t der[64];
    assert_no_key(der, from_hex("30310201010420" ZEROS SEC1_CURVE, der));
    assert_no_key(
        der,
        from_hex("30310201010420ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551" SEC1_CURVE, der));
}

static void bytes_behind_a_private_key_are_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        const char *text = keys_pem(*k);
        size_t n = strlen(text);
        struct pem_block block;
        uint8_t der[4096];
        assert_int_equal(pem_next(&text, &n, &block), 1);
        size_t length = (size_t)pem_decode(&block, der);
        der[length] = 0;
        assert_no_key(der, length + 1);
        assert_no_key(der, length - 1);
        struct key *key;
        assert_int_equal(key_load(der, length, "k", &key, NULL), 0);
        key_free(key);
    }
}

static void more_than_one_block_of_pem_is_refused(void **state)
{
    (void)state;
    struct key *key;
    char text[1024];
    snprintf(text, sizeof text, "%s%s", keys_pem(KEY_P256), keys_pem(KEY_P256));
    assert_int_equal(load_text(text, &key, NULL), -EINVAL);
    snprintf(text, sizeof text, "%s\n \n", keys_pem(KEY_P256));
    assert_int_equal(load_text(text, &key, NULL), 0);
    key_free(key);
}

static void other_labels_are_no_private_key(void **state)
{
    (void)state;
    struct key *key;
    struct err err;
    assert_int_equal(load_text(keys_public_pem(KEY_P256), &key, &err), -EINVAL);
    assert_non_null(strstr(err.text, "cannot read private key k.pem: it is no private key"));
    assert_int_equal(
        load_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n", &key, NULL),
        -EINVAL);
}

static void a_message_never_has_the_files_content(void **state)
{
    (void)state;
    struct key *key;
    struct err err;
    assert_int_equal(load_text("-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n", &key, &err),
                     -EINVAL);
    assert_null(strstr(err.text, "U0VD"));
    assert_null(strstr(err.text, "SECRET"));
}

static void files_of_no_bytes_or_too_many_are_refused(void **state)
{
    (void)state;
    static const char spaces[KEY_FILE_MAX + 1];
    assert_no_key("", 0);
    assert_no_key(spaces, sizeof spaces);
}

static int load_through_pipe(const char *text, size_t n, struct key **out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, n), n);
    close(ends[1]);
    int code = key_load_fd(ends[0], "pipe", out, NULL);
    close(ends[0]);
    return code;
}

static void a_key_comes_through_a_pipe(void **state)
{
    (void)state;
    struct key *key;
    struct pubkey *public = keys_public(KEY_RSA);
    assert_int_equal(load_through_pipe(keys_pem(KEY_RSA), strlen(keys_pem(KEY_RSA)), &key), 0);
    assert_true(pubkey_equal(key_public(key), public));
    pubkey_free(public);
    key_free(key);
}

static void a_pipe_with_more_than_a_key_is_refused(void **state)
{
    (void)state;
    char text[KEY_FILE_MAX + 2];
    struct key *key;
    memset(text, '\n', sizeof text);
    memcpy(text, keys_pem(KEY_P256), strlen(keys_pem(KEY_P256)));
    assert_int_equal(load_through_pipe(text, KEY_FILE_MAX, &key), 0);
    key_free(key);
    assert_int_equal(load_through_pipe(text, KEY_FILE_MAX + 1, &key), -EINVAL);
}

static void a_descriptor_that_cannot_be_read_says_so(void **state)
{
    (void)state;
    struct key *key;
    struct err err;
    assert_int_equal(key_load_fd(-1, "key of descriptor -1", &key, &err), -EBADF);
    assert_non_null(strstr(err.text, "key of descriptor -1"));
}

static void generated_keys_differ_and_sign(void **state)
{
    (void)state;
    for (const enum key_kind *k = kinds; k < kinds + 2; k++) {
        struct key *a, *b;
        struct key_signature s;
        assert_int_equal(key_generate(*k, &a, NULL), 0);
        assert_int_equal(key_generate(*k, &b, NULL), 0);
        assert_int_equal(pubkey_kind(key_public(a)), *k);
        assert_false(pubkey_equal(key_public(a), key_public(b)));
        assert_int_equal(key_sign_bytes(a, "x", 1, &s, NULL), 0);
        assert_int_equal(pubkey_verify_bytes(key_public(a), "x", 1, &s, NULL), 0);
        key_free(b);
        key_free(a);
    }
}

static void keys_of_rsa_are_not_generated(void **state)
{
    (void)state;
    struct key *key;
    assert_int_equal(key_generate(KEY_RSA, &key, NULL), -EINVAL);
}

/* ---- Agreement ---- */

/* NIST's vectors for ECC CDH, P-256, the first. */
static void agreement_gives_what_is_known(void **state)
{
    (void)state;
    uint8_t der[64], xy[64], z[32];
    struct key *key;
    struct pubkey *peer;
    size_t n =
        from_hex("303102010104207d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534" SEC1_CURVE, der);
    assert_int_equal(key_load(der, n, "k", &key, NULL), 0);
    from_hex("700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
             "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
             xy);
    assert_int_equal(pubkey_from_raw(KEY_P256, xy, 64, &peer, NULL), 0);
    assert_int_equal(key_agree(key, peer, z, NULL), 0);
    assert_hex(z, 32, "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
    pubkey_free(peer);
    key_free(key);
}

static void nobody_agrees_with_keys_of_other_kinds(void **state)
{
    (void)state;
    struct key *p256 = keys_private(KEY_P256), *p384 = keys_private(KEY_P384), *rsa = keys_private(KEY_RSA);
    uint8_t z[32];
    assert_int_equal(key_agree(p256, key_public(p384), z, NULL), -EINVAL);
    assert_int_equal(key_agree(p384, key_public(p256), z, NULL), -EINVAL);
    assert_int_equal(key_agree(rsa, key_public(rsa), z, NULL), -EINVAL);
    key_free(rsa);
    key_free(p384);
    key_free(p256);
}

/* ---- Public keys ---- */

static int load_public(const void *bytes, size_t n)
{
    struct pubkey *key = NULL;
    int code = pubkey_load(bytes, n, "k", &key, NULL);
    pubkey_free(key);
    return code;
}

static size_t public_der(enum key_kind kind, uint8_t *out)
{
    struct pubkey *key = keys_public(kind);
    size_t n = pubkey_der(key, out);
    pubkey_free(key);
    return n;
}

static void a_public_key_is_written_as_it_was_read(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        char pem[KEY_PEM_MAX];
        struct pubkey *key = keys_public(*k);
        assert_int_equal(pubkey_pem(key, pem), strlen(keys_public_pem(*k)));
        assert_string_equal(pem, keys_public_pem(*k));
        pubkey_free(key);
    }
}

static void raw_points_come_back(void **state)
{
    (void)state;
    for (const enum key_kind *k = kinds; k < kinds + 2; k++) {
        struct pubkey *key = keys_public(*k), *again;
        uint8_t raw[KEY_SIGNATURE_MAX];
        size_t n = pubkey_raw(key, raw);
        assert_int_equal(n, *k == KEY_P256 ? 64 : 96);
        assert_int_equal(pubkey_from_raw(*k, raw, n, &again, NULL), 0);
        assert_true(pubkey_equal(key, again));
        pubkey_free(again);
        assert_int_equal(pubkey_from_raw(*k, raw, n - 1, &again, NULL), -EINVAL);
        raw[n - 1] ^= 1;
        assert_int_equal(pubkey_from_raw(*k, raw, n, &again, NULL), -EINVAL);
        memset(raw, 0, n); /* the point at infinity has no such form, and 0, 0 is on neither curve */
        assert_int_equal(pubkey_from_raw(*k, raw, n, &again, NULL), -EINVAL);
        pubkey_free(key);
    }
}

static void a_coordinate_that_is_not_reduced_is_refused(void **state)
{
    (void)state;
    /* x = p + 5 fits in 32 bytes, and 5 is an x on the curve. */
    static const char x_and_y[] = "ffffffff00000001000000000000000000000001000000000000000000000004"
                                  "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc";
    uint8_t raw[64];
    struct pubkey *key;
    from_hex(x_and_y, raw);
    assert_int_equal(pubkey_from_raw(KEY_P256, raw, 64, &key, NULL), -EINVAL);
    memset(raw, 0, 32);
    raw[31] = 5;
    assert_int_equal(pubkey_from_raw(KEY_P256, raw, 64, &key, NULL), 0);
    pubkey_free(key);
}

static void the_modulus_is_rsas_raw_form_and_nothing_to_load(void **state)
{
    (void)state;
    struct pubkey *key = keys_public(KEY_RSA), *again;
    uint8_t raw[KEY_SIGNATURE_MAX];
    assert_int_equal(pubkey_rsa_bytes(key), 256);
    assert_int_equal(pubkey_raw(key, raw), 256);
    assert_int_equal(pubkey_from_raw(KEY_RSA, raw, 256, &again, NULL), -EINVAL);
    pubkey_free(key);
}

static void a_public_key_with_any_bit_of_its_structure_flipped_is_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        uint8_t der[KEY_SPKI_MAX];
        size_t n = public_der(*k, der);
        size_t structure = *k == KEY_P256 ? 27 : *k == KEY_P384 ? 24 : 33;
        for (size_t bit = 0; bit < 8 * structure; bit++) {
            der[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(load_public(der, n), -EINVAL);
            der[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(load_public(der, n), 0);
    }
}

static void every_truncation_and_a_byte_more_is_refused(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        uint8_t der[KEY_SPKI_MAX + 1] = {0};
        size_t n = public_der(*k, der);
        for (size_t short_n = 0; short_n < n; short_n++)
            assert_int_equal(load_public(der, short_n), -EINVAL);
        assert_int_equal(load_public(der, n), 0);
        assert_int_equal(load_public(der, n + 1), -EINVAL);
    }
}

static void a_compressed_point_is_refused(void **state)
{
    (void)state;
    uint8_t der[64];
    size_t n = from_hex("3039301306072a8648ce3d020106082a8648ce3d030107032200"
                        "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
                        der);
    assert_int_equal(load_public(der, n), -EINVAL);
}

static void an_exponent_other_than_65537_is_refused(void **state)
{
    (void)state;
    uint8_t der[KEY_SPKI_MAX];
    size_t n = public_der(KEY_RSA, der);
    assert_memory_equal(der + n - 3, "\x01\x00\x01", 3);
    der[n - 1] = 3;
    assert_int_equal(load_public(der, n), -EINVAL);
}

static void an_even_modulus_is_refused(void **state)
{
    (void)state;
    uint8_t der[KEY_SPKI_MAX];
    size_t n = public_der(KEY_RSA, der);
    der[n - 6] ^= 1;
    assert_int_equal(load_public(der, n), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p256_signs_as_rfc_6979_with_the_lower_s),
        cmocka_unit_test(p384_signs_as_rfc_6979_with_the_lower_s),
        cmocka_unit_test(signatures_of_each_kind_verify),
        cmocka_unit_test(signing_twice_gives_the_same),
        cmocka_unit_test(a_signature_with_any_bit_flipped_is_refused),
        cmocka_unit_test(other_bytes_are_refused),
        cmocka_unit_test(another_key_of_the_kind_is_refused),
        cmocka_unit_test(the_higher_s_is_refused_and_named),
        cmocka_unit_test(r_or_s_of_zero_and_the_order_are_refused),
        cmocka_unit_test(another_kind_hash_or_length_is_refused),
        cmocka_unit_test(a_signature_in_der_gets_fixed_width_and_the_lower_s),
        cmocka_unit_test(der_that_is_not_the_shortest_is_refused),
        cmocka_unit_test(numbers_out_of_range_in_der_are_refused),
        cmocka_unit_test(truncated_oversized_or_retagged_der_is_refused),
        cmocka_unit_test(a_block_of_rsa_is_taken_as_it_is),
        cmocka_unit_test(a_private_key_has_the_public_one_of_its_file),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(sec_1_with_and_without_its_public_key_is_read),
        cmocka_unit_test(a_public_key_that_is_not_the_private_ones_is_refused),
        cmocka_unit_test(a_scalar_of_zero_or_the_order_is_refused),
        cmocka_unit_test(bytes_behind_a_private_key_are_refused),
        cmocka_unit_test(more_than_one_block_of_pem_is_refused),
        cmocka_unit_test(other_labels_are_no_private_key),
        cmocka_unit_test(a_message_never_has_the_files_content),
        cmocka_unit_test(files_of_no_bytes_or_too_many_are_refused),
        cmocka_unit_test(a_key_comes_through_a_pipe),
        cmocka_unit_test(a_pipe_with_more_than_a_key_is_refused),
        cmocka_unit_test(a_descriptor_that_cannot_be_read_says_so),
        cmocka_unit_test(generated_keys_differ_and_sign),
        cmocka_unit_test(keys_of_rsa_are_not_generated),
        cmocka_unit_test(agreement_gives_what_is_known),
        cmocka_unit_test(nobody_agrees_with_keys_of_other_kinds),
        cmocka_unit_test(a_public_key_is_written_as_it_was_read),
        cmocka_unit_test(raw_points_come_back),
        cmocka_unit_test(a_coordinate_that_is_not_reduced_is_refused),
        cmocka_unit_test(the_modulus_is_rsas_raw_form_and_nothing_to_load),
        cmocka_unit_test(a_public_key_with_any_bit_of_its_structure_flipped_is_refused),
        cmocka_unit_test(every_truncation_and_a_byte_more_is_refused),
        cmocka_unit_test(a_compressed_point_is_refused),
        cmocka_unit_test(an_exponent_other_than_65537_is_refused),
        cmocka_unit_test(an_even_modulus_is_refused),
    };
    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
