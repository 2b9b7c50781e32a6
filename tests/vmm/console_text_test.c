/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/console_text.h"

static void assert_shown(const char *bytes, size_t n, const char *expected)
{
    char out[256];
    size_t length = console_text_make((const uint8_t *)bytes, n, out, sizeof(out));
    assert_string_equal(out, expected);
    assert_int_equal(length, strlen(expected));
}

#define ASSERT_SHOWN(literal, expected) assert_shown(literal, sizeof(literal) - 1, expected)

static void lines_tabs_and_printable_characters_stay(void **state)
{
    (void)state;
    ASSERT_SHOWN("a b\tc~\nd\n", "a b\tc~\nd\n");
}

static void tabs_of_a_line_become_blanks(void **state)
{
    char out[16];
    (void)state;
    assert_int_equal(console_text_make_line((const uint8_t *)"\ta\t\tb", 5, out, sizeof(out)), 5);
    assert_string_equal(out, " a  b");
}

static void carriage_returns_go(void **state)
{
    (void)state;
    ASSERT_SHOWN("one\r\nover\rwritten\r\r\n", "one\noverwritten\n");
}

static void control_bytes_are_replaced(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x20; byte++) {
        char in = (char)byte;
        if (byte != '\n' && byte != '\t' && byte != '\r') {
            assert_shown(&in, 1, "?");
        }
    }
    ASSERT_SHOWN("\x7f", "?");
}

static void escape_sequences_lose_their_power(void **state)
{
    (void)state;
    ASSERT_SHOWN("\x1b[31mred\x1b]0;title\x07", "?[31mred?]0;title?");
    ASSERT_SHOWN("\x9b"
                 "31m",
                 "?31m");
}

static void characters_of_all_lengths_stay(void **state)
{
    (void)state;
    ASSERT_SHOWN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7\xf4\x8f\xbf\xbf",
                 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7\xf4\x8f\xbf\xbf");
}

static void control_characters_in_utf8_are_replaced(void **state)
{
    (void)state;
    ASSERT_SHOWN("\xc2\x80\xc2\x9b\xc2\x9f|\xc2\xa0", "???|\xc2\xa0");
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    (void)state;
    ASSERT_SHOWN("\x80\xbf", "??");
    ASSERT_SHOWN("\xc0\xaf", "??");           /* too long a form */
    ASSERT_SHOWN("\xe0\x9f\xbf", "???");      /* the same with three bytes */
    ASSERT_SHOWN("\xf0\x8f\xbf\xbf", "????"); /* and four */
    ASSERT_SHOWN("\xed\xa0\x80", "???");      /* surrogate */
    ASSERT_SHOWN("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
    ASSERT_SHOWN("\xf5\x80\x80\x80", "????");
    ASSERT_SHOWN("\xfe\xff", "??");
}

static void broken_character_does_not_swallow_what_follows(void **state)
{
    (void)state;
    ASSERT_SHOWN("\xe2\x82x", "?x");
    ASSERT_SHOWN("\xe2\x82\n", "?\n");
    ASSERT_SHOWN("\xe2\x82\r", "?");
    ASSERT_SHOWN("\xe2\xc3\xa4", "?\xc3\xa4");
    ASSERT_SHOWN("\xc3\x1b[", "??[");
}

static void character_cut_off_at_the_end_is_replaced(void **state)
{
    (void)state;
    ASSERT_SHOWN("a\xe2\x82", "a?");
}

static void text_that_does_not_fit_is_cut_between_characters(void **state)
{
    (void)state;
    const uint8_t in[] = "ab\xe2\x82\xac";
    char out[8];
    for (size_t size = 1; size <= 6; size++) {
        memset(out, 'x', sizeof(out));
        size_t length = console_text_make(in, 5, out, size);
        size_t expected = size == 6 ? 5 : size > 3 ? 2 : size - 1;
        assert_int_equal(length, expected);
        assert_memory_equal(out, in, expected);
        assert_int_equal(out[expected], 0);
        assert_int_equal(out[6], 'x');
    }
    assert_int_equal(console_text_make((const uint8_t *)"ab\xe2", 3, out, 3), 2);
}

static void text_can_be_made_in_place(void **state)
{
    (void)state;
    char text[16] = "a\x1b\xc3\xa4\r\xe2\x82z";
    assert_int_equal(console_text_make((const uint8_t *)text, 8, text, sizeof(text)), 6);
    assert_string_equal(text, "a?\xc3\xa4?z");
}

static void stepping_never_frees_more_than_it_took(void **state)
{
    (void)state;
    struct console_text t = {0};
    char out[CONSOLE_TEXT_STEP_BYTES];
    uint32_t seed = 1;
    size_t freed = 0;
    for (size_t taken = 1; taken <= 100000; taken++) {
        seed = seed * 1664525u + 1013904223u;
        freed += console_text_step(&t, (uint8_t)(seed >> 24), out);
        assert_true(freed <= taken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_tabs_and_printable_characters_stay),
        cmocka_unit_test(tabs_of_a_line_become_blanks),
        cmocka_unit_test(carriage_returns_go),
        cmocka_unit_test(control_bytes_are_replaced),
        cmocka_unit_test(escape_sequences_lose_their_power),
        cmocka_unit_test(characters_of_all_lengths_stay),
        cmocka_unit_test(control_characters_in_utf8_are_replaced),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(broken_character_does_not_swallow_what_follows),
        cmocka_unit_test(character_cut_off_at_the_end_is_replaced),
        cmocka_unit_test(text_that_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(text_can_be_made_in_place),
        cmocka_unit_test(stepping_never_frees_more_than_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
