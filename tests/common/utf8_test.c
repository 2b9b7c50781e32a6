/* SPDX-License-Identifier: Apache-2.0 */
/* What is UTF-8 and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"

static void assert_cleaned(const char *from, const char *to)
{
    char text[64];
    strcpy(text, from);
    utf8_clean(text);
    assert_string_equal(text, to);
}

static void characters_of_every_length_stay(void **state)
{
    (void)state;
    assert_cleaned("", "");
    assert_cleaned("a\x01\x7f", "a\x01\x7f");
    assert_cleaned("\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf");
    assert_cleaned("\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf", "\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf");
    assert_cleaned("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void each_byte_that_belongs_to_none_becomes_a_question_mark(void **state)
{
    (void)state;
    assert_cleaned("a\xff\xfe"
                   "b\x80",
                   "a??b?");
    /* Over-long, a surrogate, above U+10FFFF. */
    assert_cleaned("\xc0\xaf|\xe0\x9f\xbf|\xed\xa0\x80|\xf4\x90\x80\x80", "??|???|???|????");
}

static void a_character_that_is_cut_off_is_none(void **state)
{
    (void)state;
    assert_cleaned("a\xe2\x82", "a??");
    assert_cleaned("\xf0\x9f\x98", "???");
    assert_cleaned("\xc3"
                   "a\xc3\xa4",
                   "?a\xc3\xa4");
    assert_int_equal(utf8_length("\xe2\x82\xac"), 3);
    assert_int_equal(utf8_length("\xe2\x82"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length_stay),
        cmocka_unit_test(each_byte_that_belongs_to_none_becomes_a_question_mark),
        cmocka_unit_test(a_character_that_is_cut_off_is_none),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
