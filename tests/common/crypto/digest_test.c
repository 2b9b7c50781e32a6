/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/digest.h"

#define A_MILLION 1000000u

/* Examples of NIST for FIPS 180-4: none, one block, two blocks of either function, and a million times "a". */
static const struct vector {
    const char *message; /* NULL: the million */
    const char *sha256, *sha384;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6b0455a8520bc4e6f5fe95b1fe3c8452b"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
     "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039"},
    {NULL, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
     "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985"},
};

static void expect(const uint8_t *digest, size_t n, const char *hex)
{
    char text[2 * DIGEST_BYTES_MAX + 1];
    digest_to_hex(digest, n, text);
    assert_string_equal(text, hex);
}

/* Bytes that repeat neither in 64 nor in 128; the same in every run. */
static uint8_t *make_bytes(size_t n)
{
    uint8_t *bytes = malloc(n > 0 ? n : 1);
    uint32_t state = 12345;
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    return bytes;
}

static void soft(enum digest_alg alg, const void *bytes, size_t n, uint8_t *out)
{
    struct digest_stream s;
    digest_stream_init_soft(&s, alg);
    digest_stream_add(&s, bytes, n);
    digest_stream_end(&s, out);
}

/* The processor's instructions, if it has any: digest_one asks for them only for long messages. */
static void by_processor(enum digest_alg alg, const void *bytes, size_t n, uint8_t *out)
{
    struct digest_stream s;
    digest_stream_init(&s, alg);
    digest_stream_add(&s, bytes, n);
    digest_stream_end(&s, out);
}

static void check_vector(const struct vector *v, void (*one)(enum digest_alg, const void *, size_t, uint8_t *))
{
    uint8_t *million = malloc(A_MILLION), out[DIGEST_BYTES_MAX];
    assert_non_null(million);
    memset(million, 'a', A_MILLION);
    const void *bytes = v->message != NULL ? (const void *)v->message : million;
    size_t n = v->message != NULL ? strlen(v->message) : A_MILLION;
    one(DIGEST_SHA256, bytes, n, out);
    expect(out, DIGEST_SHA256_BYTES, v->sha256);
    one(DIGEST_SHA384, bytes, n, out);
    expect(out, DIGEST_SHA384_BYTES, v->sha384);
    free(million);
}

static void published_digests_are_met(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check_vector(&vectors[i], digest_one);
}

static void published_digests_are_met_by_special_instructions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check_vector(&vectors[i], by_processor);
}

static void published_digests_are_met_without_special_instructions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check_vector(&vectors[i], soft);
}

static void both_ways_agree_for_all_lengths_of_five_blocks(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(640), ours[DIGEST_BYTES_MAX], theirs[DIGEST_BYTES_MAX];
    for (enum digest_alg alg = DIGEST_SHA256; alg <= DIGEST_SHA384; alg++) {
        for (size_t n = 0; n <= 640; n++) {
            by_processor(alg, bytes + 640 - n, n, ours);
            soft(alg, bytes + 640 - n, n, theirs);
            assert_memory_equal(ours, theirs, digest_bytes(alg));
        }
    }
    free(bytes);
}

static void short_and_long_messages_agree_where_the_way_changes(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(4200), one[DIGEST_BYTES_MAX], theirs[DIGEST_BYTES_MAX];
    for (size_t n = 3900; n <= 4200; n++) {
        digest_one(DIGEST_SHA384, bytes, n, one);
        soft(DIGEST_SHA384, bytes, n, theirs);
        assert_memory_equal(one, theirs, DIGEST_SHA384_BYTES);
    }
    free(bytes);
}

static void both_ways_agree_for_odd_lengths_of_kilobytes(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(300000), ours[DIGEST_BYTES_MAX], theirs[DIGEST_BYTES_MAX];
    for (enum digest_alg alg = DIGEST_SHA256; alg <= DIGEST_SHA384; alg++) {
        for (size_t n = 1009; n <= 300000; n += 29989) {
            by_processor(alg, bytes, n, ours);
            soft(alg, bytes, n, theirs);
            assert_memory_equal(ours, theirs, digest_bytes(alg));
        }
    }
    free(bytes);
}

/* Two cuts, everywhere around the borders of blocks. */
static void pieces_give_what_the_whole_gives(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(260), whole[DIGEST_BYTES_MAX], pieces[DIGEST_BYTES_MAX];
    for (enum digest_alg alg = DIGEST_SHA256; alg <= DIGEST_SHA384; alg++) {
        digest_one(alg, bytes, 260, whole);
        for (size_t first = 0; first <= 260; first++) {
            for (size_t second = first; second <= 260; second += 1 + (260 - second) / 9) {
                struct digest_stream s;
                digest_stream_init(&s, alg);
                digest_stream_add(&s, bytes, first);
                digest_stream_add(&s, bytes + first, second - first);
                digest_stream_add(&s, bytes + second, 260 - second);
                digest_stream_end(&s, pieces);
                assert_memory_equal(whole, pieces, digest_bytes(alg));
            }
        }
    }
    free(bytes);
}

static void single_bytes_give_what_the_whole_gives(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(1000), whole[DIGEST_BYTES_MAX], pieces[DIGEST_BYTES_MAX];
    for (enum digest_alg alg = DIGEST_SHA256; alg <= DIGEST_SHA384; alg++) {
        struct digest_stream s;
        digest_stream_init(&s, alg);
        for (size_t i = 0; i < 1000; i++)
            digest_stream_add(&s, bytes + i, 1);
        digest_stream_end(&s, pieces);
        digest_one(alg, bytes, 1000, whole);
        assert_memory_equal(whole, pieces, digest_bytes(alg));
    }
    free(bytes);
}

static void every_bit_of_a_message_counts(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(200);
    struct digest before, after;
    digest_make(bytes, 200, &before);
    for (size_t bit = 0; bit < 1600; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        digest_make(bytes, 200, &after);
        assert_memory_not_equal(before.sha256, after.sha256, sizeof(before.sha256));
        assert_memory_not_equal(before.sha384, after.sha384, sizeof(before.sha384));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
}

static void an_ended_stream_is_wiped(void **state)
{
    (void)state;
    static const struct digest_stream zero;
    struct digest_stream s;
    uint8_t out[DIGEST_BYTES_MAX];
    digest_stream_init(&s, DIGEST_SHA256);
    digest_stream_add(&s, "secret", 6);
    digest_stream_end(&s, out);
    assert_memory_equal(&s, &zero, sizeof(s));
}

static void names_and_banks_go_together(void **state)
{
    (void)state;
    struct digest d;
    assert_string_equal(digest_name(DIGEST_SHA256), "sha256");
    assert_string_equal(digest_name(DIGEST_SHA384), "sha384");
    assert_int_equal(digest_bytes(DIGEST_SHA256), 32);
    assert_int_equal(digest_bytes(DIGEST_SHA384), 48);
    assert_ptr_equal(digest_of_bank(&d, DIGEST_SHA256), d.sha256);
    assert_ptr_equal(digest_of_bank(&d, DIGEST_SHA384), d.sha384);
}

static void hexadecimal_of_either_case_is_read(void **state)
{
    (void)state;
    static const uint8_t expected[4] = {0x00, 0x9a, 0xbc, 0xff};
    uint8_t out[4];
    assert_true(digest_from_hex("009abcff", out, 4));
    assert_memory_equal(out, expected, 4);
    assert_true(digest_from_hex("009ABCFF", out, 4));
    assert_memory_equal(out, expected, 4);
}

static void what_is_no_hexadecimal_of_that_length_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",         "0",        "0011223",  "001122334", "0011223g",
                                        "0011223G", "0011223/", "0011223:", "0011223@",  "0011223`",
                                        " 0112233", "00112 33", "0x112233", "0011\n233", "001122\0203"};
    uint8_t out[4];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(digest_from_hex(wrong[i], out, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_are_met),
        cmocka_unit_test(published_digests_are_met_by_special_instructions),
        cmocka_unit_test(published_digests_are_met_without_special_instructions),
        cmocka_unit_test(both_ways_agree_for_all_lengths_of_five_blocks),
        cmocka_unit_test(short_and_long_messages_agree_where_the_way_changes),
        cmocka_unit_test(both_ways_agree_for_odd_lengths_of_kilobytes),
        cmocka_unit_test(pieces_give_what_the_whole_gives),
        cmocka_unit_test(single_bytes_give_what_the_whole_gives),
        cmocka_unit_test(every_bit_of_a_message_counts),
        cmocka_unit_test(an_ended_stream_is_wiped),
        cmocka_unit_test(names_and_banks_go_together),
        cmocka_unit_test(hexadecimal_of_either_case_is_read),
        cmocka_unit_test(what_is_no_hexadecimal_of_that_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
