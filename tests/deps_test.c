/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One case for each library that scripts/deps builds: it links, runs, and gives a known answer. What the product uses
 * of them is tested where it is used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <seccomp.h>

static void mbedcrypto_hashes_abc(void **state)
{
    /* FIPS 180-4's example "abc". */
    static const uint8_t expected[32] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    };
    uint8_t digest[32];

    (void)state;
    assert_int_equal(mbedtls_sha256((const uint8_t *)"abc", 3, digest, 0), 0);
    assert_memory_equal(digest, expected, sizeof(digest));
}

static void mbedcrypto_is_the_long_term_branch_3_6(void **state)
{
    (void)state;
    assert_int_equal(mbedtls_version_get_number() >> 16, 0x0306);
}

static void mbedx509_refuses_a_truncated_certificate(void **state)
{
    static const uint8_t start_of_sequence[] = {0x30, 0x82, 0x01, 0x00};
    mbedtls_x509_crt crt;

    (void)state;
    mbedtls_x509_crt_init(&crt);
    assert_int_not_equal(mbedtls_x509_crt_parse_der(&crt, start_of_sequence, sizeof(start_of_sequence)), 0);
    mbedtls_x509_crt_free(&crt);
}

static void seccomp_exports_a_filter(void **state)
{
    int ends[2];
    uint8_t program[512];
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

    (void)state;
    assert_non_null(ctx);
    assert_int_equal(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0)), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(seccomp_export_bpf(ctx, ends[1]), 0);
    ssize_t got = read(ends[0], program, sizeof(program));
    /* Whole instructions of eight bytes each, the first loads the architecture word. */
    assert_true(got > 8 && got % 8 == 0);
    assert_int_equal(program[0], 0x20);
    close(ends[0]);
    close(ends[1]);
    seccomp_release(ctx);
}

static void jansson_keeps_64_bit_integers_exact(void **state)
{
    static const char text[] = "{\"bytes\": 9007199254740993}";
    json_t *root = json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "bytes")), 9007199254740993);
    json_decref(root);
}

static json_t *load_nested(size_t depth, json_error_t *error)
{
    char text[128] = "";

    assert_true(2 * depth < sizeof(text));
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return json_loadb(text, 2 * depth, 0, error);
}

static void jansson_takes_nesting_up_to_its_limit(void **state)
{
    json_error_t error;
    json_t *root = load_nested(32, &error);

    (void)state;
    assert_non_null(root);
    json_decref(root);
}

static void jansson_refuses_deeper_nesting(void **state)
{
    json_error_t error;

    (void)state;
    assert_null(load_nested(33, &error));
    assert_int_equal(json_error_code(&error), json_error_stack_overflow);
}

static void jansson_refuses_duplicate_keys(void **state)
{
    static const char text[] = "{\"a\": 1, \"a\": 2}";

    (void)state;
    assert_null(json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, NULL));
}

static void nanopb_round_trips_a_varint(void **state)
{
    static const uint8_t expected[] = {0xac, 0x02}; /* 300, as the encoding's specification shows it */
    uint8_t bytes[10];
    uint64_t value = 0;
    pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof(bytes));

    (void)state;
    assert_true(pb_encode_varint(&out, 300));
    assert_int_equal(out.bytes_written, sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    pb_istream_t in = pb_istream_from_buffer(bytes, out.bytes_written);
    assert_true(pb_decode_varint(&in, &value));
    assert_int_equal(value, 300);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(mbedcrypto_hashes_abc),
        cmocka_unit_test(mbedcrypto_is_the_long_term_branch_3_6),
        cmocka_unit_test(mbedx509_refuses_a_truncated_certificate),
        cmocka_unit_test(seccomp_exports_a_filter),
        cmocka_unit_test(jansson_keeps_64_bit_integers_exact),
        cmocka_unit_test(jansson_takes_nesting_up_to_its_limit),
        cmocka_unit_test(jansson_refuses_deeper_nesting),
        cmocka_unit_test(jansson_refuses_duplicate_keys),
        cmocka_unit_test(nanopb_round_trips_a_varint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
