/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/crypto/base64.h"

/* RFC 4648, 10. */
static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void vectors_of_the_rfc_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char out[16];
        assert_int_equal(base64_encode(vectors[i][0], strlen(vectors[i][0]), out), strlen(vectors[i][1]));
        assert_string_equal(out, vectors[i][1]);
    }
}

static void vectors_of_the_rfc_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t out[16];
        assert_int_equal(base64_decode(vectors[i][1], strlen(vectors[i][1]), out), strlen(vectors[i][0]));
        assert_memory_equal(out, vectors[i][0], strlen(vectors[i][0]));
    }
}

static void url_alphabet_has_no_padding_and_other_last_characters(void **state)
{
    (void)state;
    char out[16];
    assert_int_equal(base64_url_encode("\xfb\xff\xfe\xff", 4, out), 6);
    assert_string_equal(out, "-__-_w");
    uint8_t back[16];
    assert_int_equal(base64_url_decode("-__-_w", 6, back), 4);
    assert_memory_equal(back, "\xfb\xff\xfe\xff", 4);
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[256], back[512];
    char text[BASE64_LENGTH(sizeof bytes) + 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        assert_int_equal(base64_decode(text, base64_encode(bytes, n, text), back), n);
        assert_memory_equal(back, bytes, n);
        assert_int_equal(base64_url_decode(text, base64_url_encode(bytes, n, text), back), n);
        assert_memory_equal(back, bytes, n);
    }
}

static void assert_refused(const char *text)
{
    uint8_t out[64];
    assert_int_equal(base64_decode(text, strlen(text), out), -EBADMSG);
}

static void missing_padding_is_refused(void **state)
{
    (void)state;
    assert_refused("Zg");
    assert_refused("Zg=");
    assert_refused("Zm8");
}

static void padding_that_is_too_long_or_in_the_middle_is_refused(void **state)
{
    (void)state;
    assert_refused("====");
    assert_refused("Z===");
    assert_refused("Zg==Zg==");
    assert_refused("Zm9v====");
    assert_refused("Zm=v");
}

static void bits_that_mean_nothing_have_to_be_0(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_refused("Zh==");
    assert_refused("Zm9=");
    assert_int_equal(base64_url_decode("Zh", 2, out), -EBADMSG);
}

static void characters_of_no_alphabet_are_refused(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_refused("Zm9 ");
    assert_refused("Zm9\n");
    assert_refused("Zm-v");
    assert_refused("Zm_v");
    assert_int_equal(base64_decode("Zm\0v", 4, out), -EBADMSG);
    assert_int_equal(base64_url_decode("Zm+v", 4, out), -EBADMSG);
    assert_int_equal(base64_url_decode("Zm/v", 4, out), -EBADMSG);
    assert_int_equal(base64_url_decode("Zg==", 4, out), -EBADMSG);
}

static void one_character_more_than_fours_is_refused(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_int_equal(base64_url_decode("Zm9vA", 5, out), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_rfc_are_written),
        cmocka_unit_test(vectors_of_the_rfc_are_read),
        cmocka_unit_test(url_alphabet_has_no_padding_and_other_last_characters),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(missing_padding_is_refused),
        cmocka_unit_test(padding_that_is_too_long_or_in_the_middle_is_refused),
        cmocka_unit_test(bits_that_mean_nothing_have_to_be_0),
        cmocka_unit_test(characters_of_no_alphabet_are_refused),
        cmocka_unit_test(one_character_more_than_fours_is_refused),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
