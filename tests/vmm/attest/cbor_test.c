/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/crypto/digest.h"
#include "vmm/attest/cbor.h"

static size_t from_hex(const char *hex, uint8_t *out)
{
    assert_true(digest_from_hex(hex, out, strlen(hex) / 2));
    return strlen(hex) / 2;
}

static bool is_valid(const char *hex)
{
    uint8_t bytes[256];
    size_t n = from_hex(hex, bytes);
    return cbor_is_valid(bytes, n);
}

static void assert_written(struct cbor_writer *w, const char *hex)
{
    char text[512];
    assert_false(w->failed);
    assert_true(w->length < sizeof text / 2);
    digest_to_hex(w->bytes, w->length, text);
    assert_string_equal(text, hex);
    cbor_writer_fini(w);
}

/* ---- Writing: examples of RFC 8949, appendix A ---- */

static void numbers_have_the_shortest_heads(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *hex;
    } examples[] = {
        {0, "00"},
        {23, "17"},
        {24, "1818"},
        {100, "1864"},
        {255, "18ff"},
        {256, "190100"},
        {1000, "1903e8"},
        {65535, "19ffff"},
        {65536, "1a00010000"},
        {1000000, "1a000f4240"},
        {UINT32_MAX, "1affffffff"},
        {UINT32_MAX + 1ull, "1b0000000100000000"},
        {1000000000000, "1b000000e8d4a51000"},
        {UINT64_MAX, "1bffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct cbor_writer w = {0};
        cbor_put_uint(&w, examples[i].value);
        assert_written(&w, examples[i].hex);
    }
}

static void negative_numbers_count_down_from_minus_1(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *hex;
    } examples[] = {
        {-1, "20"},
        {-10, "29"},
        {-24, "37"},
        {-25, "3818"},
        {-100, "3863"},
        {-1000, "3903e7"},
        {INT64_MIN, "3b7fffffffffffffff"},
        {INT64_MAX, "1b7fffffffffffffff"},
        {7, "07"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct cbor_writer w = {0};
        cbor_put_int(&w, examples[i].value);
        assert_written(&w, examples[i].hex);
    }
}

static void strings_containers_tags_and_truth_are_written(void **state)
{
    (void)state;
    struct cbor_writer w = {0};
    cbor_put_map(&w, 2);
    cbor_put_text(&w, "a");
    cbor_put_array(&w, 3);
    cbor_put_bytes(&w, "\1\2\3\4", 4);
    cbor_put_bool(&w, true);
    cbor_put_bool(&w, false);
    cbor_put_text(&w, "\xc3\xbc");
    cbor_put_tag(&w, 61);
    cbor_put_bytes(&w, NULL, 0);
    assert_written(&w, "a26161834401020304f5f462c3bcd83d40");
}

static void what_is_written_grows_and_is_valid(void **state)
{
    (void)state;
    struct cbor_writer w = {0};
    static const uint8_t bytes[300];
    cbor_put_array(&w, 300);
    for (size_t i = 0; i < 300; i++)
        cbor_put_bytes(&w, bytes, i);
    assert_false(w.failed);
    assert_true(cbor_is_valid(w.bytes, w.length));
    assert_false(cbor_is_valid(w.bytes, w.length - 1));
    cbor_writer_fini(&w);
    assert_null(w.bytes);
}

static void a_writer_that_failed_stays_failed(void **state)
{
    (void)state;
    struct cbor_writer w = {0};
    cbor_put_uint(&w, 1);
    cbor_put_bytes(&w, "x", SIZE_MAX / 2);
    assert_true(w.failed);
    size_t length = w.length;
    cbor_put_uint(&w, 1);
    assert_int_equal(w.length, length);
    cbor_writer_fini(&w);
}

/* ---- Reading ---- */

static struct cbor_item next(struct cbor_reader *r)
{
    struct cbor_item item;
    assert_int_equal(cbor_next(r, &item), 0);
    return item;
}

static void heads_are_read_one_by_one(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct cbor_reader r;
    size_t n = from_hex("a2201903e86161834101d83df6f5", bytes);
    cbor_reader_init(&r, bytes, n);
    struct cbor_item item = next(&r);
    assert_int_equal(item.type, CBOR_MAP);
    assert_int_equal(item.value, 2);
    item = next(&r);
    assert_int_equal(item.type, CBOR_NINT);
    assert_int_equal(item.value, 0);
    item = next(&r);
    assert_int_equal(item.type, CBOR_UINT);
    assert_int_equal(item.value, 1000);
    item = next(&r);
    assert_int_equal(item.type, CBOR_TEXT);
    assert_int_equal(item.length, 1);
    assert_memory_equal(item.bytes, "a", 1);
    item = next(&r);
    assert_int_equal(item.type, CBOR_ARRAY);
    assert_int_equal(item.value, 3);
    item = next(&r);
    assert_int_equal(item.type, CBOR_BYTES);
    assert_ptr_equal(item.bytes, bytes + 9);
    item = next(&r);
    assert_int_equal(item.type, CBOR_TAG);
    assert_int_equal(item.value, 61);
    assert_int_equal(next(&r).type, CBOR_NULL);
    item = next(&r);
    assert_int_equal(item.type, CBOR_BOOL);
    assert_int_equal(item.value, 1);
    assert_int_equal(cbor_next(&r, &item), -EBADMSG);
}

static void skipping_passes_over_a_whole_item(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct cbor_reader r;
    size_t n = from_hex("a20182030402c10507", bytes);
    cbor_reader_init(&r, bytes, n);
    assert_int_equal(cbor_skip(&r), 0);
    assert_int_equal(next(&r).value, 7);
    assert_int_equal(r.at, n);
}

static void heads_that_are_too_long_are_refused(void **state)
{
    (void)state;
    assert_false(is_valid("1817"));
    assert_false(is_valid("1900ff"));
    assert_false(is_valid("1a0000ffff"));
    assert_false(is_valid("1b00000000ffffffff"));
    assert_false(is_valid("580100")); /* of a length */
    assert_false(is_valid("d80100")); /* of a tag */
    assert_false(is_valid("f814"));   /* of false */
    assert_true(is_valid("1818"));
    assert_true(is_valid("190100"));
    assert_true(is_valid("1a00010000"));
    assert_true(is_valid("1b0000000100000000"));
}

static void indefinite_lengths_and_breaks_are_refused(void **state)
{
    (void)state;
    assert_false(is_valid("9f00ff"));
    assert_false(is_valid("bf0000ff"));
    assert_false(is_valid("5f4100ff"));
    assert_false(is_valid("7f6161ff"));
    assert_false(is_valid("ff"));
}

static void reserved_heads_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"1c", "1d", "1e", "1f", "3c", "5d", "dc00", "fc"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(is_valid(bad[i]));
}

static void floating_point_undefined_and_other_simple_values_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"f93c00", "fa47c35000", "fb3ff199999999999a", "f7", "e0", "f8ff", "f3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(is_valid(bad[i]));
    assert_true(is_valid("f6"));
}

static void keys_out_of_order_or_twice_are_refused(void **state)
{
    (void)state;
    assert_true(is_valid("a201000200"));
    assert_false(is_valid("a202000100"));
    assert_false(is_valid("a201000100"));
    /* Order is that of the encoded bytes: 10, 100, -1, "z", "aa", [100], false. */
    assert_true(is_valid("a70a001864002000617a006261610081186400f400"));
    assert_false(is_valid("a262616100617a00"));
    assert_false(is_valid("a22000186400"));
}

static void order_is_checked_in_maps_at_any_depth(void **state)
{
    (void)state;
    assert_true(is_valid("8181a101a201000200"));
    assert_false(is_valid("8181a101a202000100"));
}

static void sixteen_levels_are_read_and_not_one_more(void **state)
{
    (void)state;
    assert_true(is_valid("8181818181818181818181818181818100"));
    assert_false(is_valid("818181818181818181818181818181818100"));
    assert_false(is_valid("c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c100"));
}

static void counts_that_cannot_be_there_are_refused_at_once(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct cbor_reader r;
    struct cbor_item item;
    cbor_reader_init(&r, bytes, from_hex("9bffffffffffffffff00", bytes));
    assert_int_equal(cbor_next(&r, &item), -EBADMSG);
    cbor_reader_init(&r, bytes, from_hex("a2000000", bytes));
    assert_int_equal(cbor_next(&r, &item), -EBADMSG);
    cbor_reader_init(&r, bytes, from_hex("bb80000000000000010000", bytes));
    assert_int_equal(cbor_next(&r, &item), -EBADMSG);
}

static void strings_longer_than_what_is_there_are_refused(void **state)
{
    (void)state;
    assert_false(is_valid("4200"));
    assert_false(is_valid("5bffffffffffffffff00"));
    assert_false(is_valid("6261"));
}

static void text_that_is_no_utf_8_is_refused(void **state)
{
    (void)state;
    assert_true(is_valid("64f09f9880"));
    assert_true(is_valid("6100"));
    assert_false(is_valid("61ff"));
    assert_false(is_valid("62c0af"));     /* over-long */
    assert_false(is_valid("63eda080"));   /* half of a surrogate pair */
    assert_false(is_valid("61c3"));       /* cut */
    assert_false(is_valid("64f4908080")); /* above U+10FFFF */
    assert_false(is_valid("8261c341bc")); /* its end is not in the next item */
}

static void nothing_and_more_than_one_item_are_refused(void **state)
{
    (void)state;
    assert_false(cbor_is_valid("", 0));
    assert_false(is_valid("0000"));
    assert_false(is_valid("810000"));
}

static void every_truncation_of_an_item_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = from_hex("a201820344aabbccdd02d83d1a00010000", bytes);
    assert_true(cbor_is_valid(bytes, n));
    for (size_t i = 0; i < n; i++)
        assert_false(cbor_is_valid(bytes, i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_the_shortest_heads),
        cmocka_unit_test(negative_numbers_count_down_from_minus_1),
        cmocka_unit_test(strings_containers_tags_and_truth_are_written),
        cmocka_unit_test(what_is_written_grows_and_is_valid),
        cmocka_unit_test(a_writer_that_failed_stays_failed),
        cmocka_unit_test(heads_are_read_one_by_one),
        cmocka_unit_test(skipping_passes_over_a_whole_item),
        cmocka_unit_test(heads_that_are_too_long_are_refused),
        cmocka_unit_test(indefinite_lengths_and_breaks_are_refused),
        cmocka_unit_test(reserved_heads_are_refused),
        cmocka_unit_test(floating_point_undefined_and_other_simple_values_are_refused),
        cmocka_unit_test(keys_out_of_order_or_twice_are_refused),
        cmocka_unit_test(order_is_checked_in_maps_at_any_depth),
        cmocka_unit_test(sixteen_levels_are_read_and_not_one_more),
        cmocka_unit_test(counts_that_cannot_be_there_are_refused_at_once),
        cmocka_unit_test(strings_longer_than_what_is_there_are_refused),
        cmocka_unit_test(text_that_is_no_utf_8_is_refused),
        cmocka_unit_test(nothing_and_more_than_one_item_are_refused),
        cmocka_unit_test(every_truncation_of_an_item_is_refused),
    };
    return cmocka_run_group_tests_name("cbor", tests, NULL, NULL);
}
