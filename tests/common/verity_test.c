/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/verity.h"
#include "tests/lib/verity_fixture.h"

static void a_superblock_of_veritysetup_is_read(void **state)
{
    uint8_t bytes[VERITY_SUPER_BYTES];
    char salt[2 * VERITY_SALT_MAX + 1] = "";
    struct verity_super s;
    (void)state;
    verity_fixture_super(bytes);
    assert_null(verity_super_read(bytes, &s));
    assert_int_equal(s.data_blocks, VERITY_FIXTURE_BLOCKS);
    for (size_t i = 0; i < s.salt_bytes; i++)
        (void)snprintf(salt + 2 * i, 3, "%02x", s.salt[i]);
    assert_string_equal(salt, VERITY_FIXTURE_SALT);
    assert_int_equal(verity_tree_blocks(s.data_blocks), VERITY_FIXTURE_TREE);
}

/* The UUID and the salt may be anything; data blocks are judged by their place; the low bits of the salt's size by what
 * follows. Every other bit has one value. */
static void every_bit_counts_but_those_of_uuid_salt_and_block_count(void **state)
{
    static const struct {
        size_t from, to; /* bits */
    } free_bits[] = {{16 * 8, 32 * 8}, {72 * 8, 72 * 8 + 34}, {88 * 8, 120 * 8}};
    (void)state;
    for (size_t bit = 0; bit < VERITY_SUPER_BYTES * 8; bit++) {
        uint8_t bytes[VERITY_SUPER_BYTES];
        struct verity_super s = {.data_blocks = 77};
        bool is_free = false;
        verity_fixture_super(bytes);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        for (size_t i = 0; i < sizeof free_bits / sizeof free_bits[0]; i++)
            is_free = is_free || (bit >= free_bits[i].from && bit < free_bits[i].to);
        /* A longer salt ends in zeros, which are as good as others. */
        is_free = is_free || (bit >= 80 * 8 && bit < 80 * 8 + 8 && bit != 80 * 8 + 5);
        const char *why = verity_super_read(bytes, &s);
        if (is_free != (why == NULL))
            fail_msg("byte %zu, bit %zu: %s", bit / 8, bit % 8, why != NULL ? why : "taken");
        if (why != NULL && s.data_blocks != 77)
            fail_msg("byte %zu: refused, and written", bit / 8);
    }
}

static void each_refusal_says_what_is_wrong(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } cases[] = {
        {0, 'V', "no superblock"},
        {7, 1, "no superblock"},
        {8, 0, "version"},
        {12, 0, "hash type"},
        {32, 'S', "sha256"},
        {38, '3', "sha256"},
        {63, 1, "sha256"},
        {65, 8, "data blocks"},
        {69, 2, "hash blocks"},
        {81, 2, "salt"},
        {80, 31, "where zeros belong"},
        {82, 1, "where zeros belong"},
        {120, 1, "where zeros belong"},
        {344, 1, "where zeros belong"},
        {511, 1, "where zeros belong"},
        {79, 1, "too few or too many"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[VERITY_SUPER_BYTES];
        struct verity_super s;
        verity_fixture_super(bytes);
        bytes[cases[i].at] = cases[i].value;
        const char *why = verity_super_read(bytes, &s);
        if (why == NULL || strstr(why, cases[i].words) == NULL)
            fail_msg("case %zu: %s", i, why != NULL ? why : "taken");
    }
}

static void counts_of_blocks_have_limits(void **state)
{
    const struct {
        uint64_t blocks;
        bool good;
    } cases[] = {
        {0, false},         {1, false}, {2, true}, {VERITY_DATA_BLOCKS_MAX, true}, {VERITY_DATA_BLOCKS_MAX + 1, false},
        {UINT64_MAX, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[VERITY_SUPER_BYTES];
        struct verity_super s;
        verity_fixture_super(bytes);
        bytes_store_le64(bytes + 72, cases[i].blocks);
        assert_int_equal(verity_super_read(bytes, &s) == NULL, cases[i].good);
    }
}

static void salts_of_all_lengths_are_read(void **state)
{
    (void)state;
    for (unsigned n = 0; n <= VERITY_SALT_MAX; n += VERITY_SALT_MAX / 2) {
        uint8_t bytes[VERITY_SUPER_BYTES];
        struct verity_super s;
        verity_fixture_super(bytes);
        memset(bytes + 88, 0, VERITY_SALT_MAX);
        memset(bytes + 88, 0x5a, n);
        bytes_store_le16(bytes + 80, (uint16_t)n);
        assert_null(verity_super_read(bytes, &s));
        assert_int_equal(s.salt_bytes, n);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(s.salt[i], 0x5a);
    }
}

/* Numbers of hash blocks as veritysetup prints them. */
static void trees_are_as_large_as_those_of_veritysetup(void **state)
{
    static const struct {
        uint64_t data, tree;
    } cases[] = {{2, 1},       {127, 1},     {128, 1},     {129, 3},    {200, 3},
                 {16384, 129}, {16385, 132}, {16512, 132}, {16513, 133}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(verity_tree_blocks(cases[i].data), cases[i].tree);
}

static void the_superblock_is_found_by_the_size_of_the_image(void **state)
{
    static const uint64_t data[] = {
        2, 3, 127, 128, 129, 16384, 16385, 16512, 16513, VERITY_DATA_BLOCKS_MAX - 1, VERITY_DATA_BLOCKS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        uint64_t offset = 0, bytes = (data[i] + 1 + verity_tree_blocks(data[i])) * VERITY_BLOCK_BYTES;
        assert_true(verity_find_super(bytes, &offset));
        assert_int_equal(offset, data[i] * VERITY_BLOCK_BYTES);
        assert_false(verity_find_super(bytes + 1, &offset));
        assert_false(verity_find_super(bytes - 512, &offset));
    }
}

static void sizes_that_no_image_has_are_refused(void **state)
{
    /* 130 blocks hold 128 of data, 133 hold 129: the tree has got another level. */
    static const uint64_t blocks[] = {0, 1, 2, 3, 131, 132};
    uint64_t offset = 77;
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        assert_false(verity_find_super(blocks[i] * VERITY_BLOCK_BYTES, &offset));
    assert_false(verity_find_super(UINT64_MAX, &offset));
    assert_false(verity_find_super(UINT64_MAX & ~UINT64_C(4095), &offset));
    assert_int_equal(offset, 77);
}

static void a_superblock_has_to_fit_its_place(void **state)
{
    const struct verity_super s = {.data_blocks = 200};
    const uint64_t block = VERITY_BLOCK_BYTES, offset = 200 * block, whole = 204 * block;
    (void)state;
    assert_null(verity_super_check(&s, offset, whole));
    assert_null(verity_super_check(&s, offset, whole + 512));
    assert_non_null(strstr(verity_super_check(&s, offset, whole - 1), "too short"));
    assert_non_null(strstr(verity_super_check(&s, offset, 0), "too short"));
    assert_non_null(strstr(verity_super_check(&s, offset + 1, whole), "do not end"));
    assert_non_null(strstr(verity_super_check(&s, offset - block, whole), "do not end"));
    assert_non_null(strstr(verity_super_check(&s, offset + block, whole), "do not end"));
    assert_non_null(strstr(verity_super_check(&s, 0, whole), "do not end"));
}

static void root_hashes_have_one_spelling(void **state)
{
    char text[VERITY_ROOT_CHARS + 2] = VERITY_FIXTURE_ROOT;
    (void)state;
    assert_true(verity_root_is_valid(text));
    assert_false(verity_root_is_valid(NULL));
    assert_false(verity_root_is_valid(""));
    text[63] = 'F';
    assert_false(verity_root_is_valid(text));
    text[63] = 'g';
    assert_false(verity_root_is_valid(text));
    text[63] = '\0';
    assert_false(verity_root_is_valid(text));
    memset(text, 'a', 65);
    assert_false(verity_root_is_valid(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_superblock_of_veritysetup_is_read),
        cmocka_unit_test(every_bit_counts_but_those_of_uuid_salt_and_block_count),
        cmocka_unit_test(each_refusal_says_what_is_wrong),
        cmocka_unit_test(counts_of_blocks_have_limits),
        cmocka_unit_test(salts_of_all_lengths_are_read),
        cmocka_unit_test(trees_are_as_large_as_those_of_veritysetup),
        cmocka_unit_test(the_superblock_is_found_by_the_size_of_the_image),
        cmocka_unit_test(sizes_that_no_image_has_are_refused),
        cmocka_unit_test(a_superblock_has_to_fit_its_place),
        cmocka_unit_test(root_hashes_have_one_spelling),
    };
    return cmocka_run_group_tests_name("common/verity", tests, NULL, NULL);
}
