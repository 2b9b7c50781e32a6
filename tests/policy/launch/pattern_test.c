/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "policy/launch/pattern.h"

static void matches(const char *glob, const char *text)
{
    assert_null(pattern_check(glob));
    if (!pattern_match(glob, text))
        fail_msg("'%s' does not match '%s'", glob, text);
}

static void differs(const char *glob, const char *text)
{
    assert_null(pattern_check(glob));
    if (pattern_match(glob, text))
        fail_msg("'%s' matches '%s'", glob, text);
}

static void without_stars_the_text_is_covered_whole(void **state)
{
    (void)state;
    matches("", "");
    matches("abc", "abc");
    differs("abc", "abcd");
    differs("abc", "ab");
    differs("abc", "abd");
    differs("", "a");
}

static void a_question_mark_is_one_byte(void **state)
{
    (void)state;
    matches("a?c", "abc");
    matches("???", "a/c");
    differs("a?c", "ac");
    differs("a?", "a");
    differs("?", "\xc3\xa9");
}

static void a_star_is_any_bytes(void **state)
{
    (void)state;
    matches("*", "");
    matches("*", "any/thing");
    matches("a*c", "ac");
    matches("a*c", "a/b/c");
    differs("a*c", "a/b/cd");
    differs("a*c", "xac");
    matches("**", "");
}

static void ends_do_not_overlap(void **state)
{
    (void)state;
    differs("ab*ba", "aba");
    matches("ab*ba", "abba");
    differs("a*a", "a");
}

static void pieces_are_found_in_their_order(void **state)
{
    (void)state;
    matches("a*b*c*d", "a.b.b.c.d");
    differs("a*b*c*d", "a.c.b.d");
    differs("*ab*ab*", "xabx");
    matches("*ab*ab*", "abab");
    differs("*aba*aba*", "ababa");
    matches("*a?c*", "xxabcxx");
    differs("*a?c*", "xxacxx");
    differs("a*bc*c", "abc");
}

static void a_backslash_takes_a_star_for_itself(void **state)
{
    (void)state;
    matches("a\\*b", "a*b");
    differs("a\\*b", "axb");
    matches("\\?\\\\*", "?\\x");
    differs("\\?*", "a");
    matches("*\\**", "a*b");
    differs("*\\**", "ab");
}

static void globs_with_another_meaning_are_refused(void **state)
{
    char glob[PATTERN_BYTES_MAX + 2];
    (void)state;
    assert_non_null(pattern_check("a\\"));
    assert_non_null(pattern_check("\\n"));
    memset(glob, 'a', sizeof glob);
    glob[PATTERN_BYTES_MAX + 1] = '\0';
    assert_non_null(pattern_check(glob));
    glob[PATTERN_BYTES_MAX] = '\0';
    assert_null(pattern_check(glob));
}

static void pieces_between_stars_have_64_bytes_at_most(void **state)
{
    char glob[128], text[128];
    (void)state;
    memset(glob, 'a', sizeof glob);
    glob[0] = glob[65] = '*';
    glob[66] = '\0';
    assert_null(pattern_check(glob));
    memset(text, 'a', sizeof text);
    text[64] = '\0';
    matches(glob, text);
    text[63] = '\0';
    differs(glob, text);
    glob[65] = 'a';
    glob[66] = '*';
    glob[67] = '\0';
    assert_non_null(pattern_check(glob));
    glob[0] = 'b'; /* the first piece may be longer */
    assert_null(pattern_check(glob));
}

static void bytes_above_127_are_bytes(void **state)
{
    (void)state;
    matches("*\xff\xfe*", "a\xff\xfe");
    differs("*\xff\xfe*", "a\xfe\xff");
}

/* What makes other matchers go back again and again: 400 pieces over a megabyte that lacks the last byte. */
static void the_time_is_that_of_reading_the_text(void **state)
{
    char glob[1024] = "", *text = malloc((1 << 20) + 1);
    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 400; i++)
        strcat(glob, "*a");
    strcat(glob, "*ab*");
    memset(text, 'a', 1 << 20);
    text[1 << 20] = '\0';
    differs(glob, text);
    text[(1 << 20) - 1] = 'b';
    matches(glob, text);
    free(text);
}

/* The plain definition, which may take any time. */
static bool by_definition(const char *glob, const char *text)
{
    if (*glob == '\0')
        return *text == '\0';
    if (*glob == '*')
        return by_definition(glob + 1, text) || (*text != '\0' && by_definition(glob, text + 1));
    return *text != '\0' && (*glob == '?' || *glob == *text) && by_definition(glob + 1, text + 1);
}

static void word_of(unsigned number, const char *letters, unsigned base, unsigned length, char *out)
{
    for (unsigned i = 0; i < length; i++, number /= base)
        out[i] = letters[number % base];
    out[length] = '\0';
}

static void all_short_globs_and_texts_are_matched_as_defined(void **state)
{
    char glob[8], text[8];
    unsigned wrong = 0;
    (void)state;
    for (unsigned g = 0; g < 4 * 4 * 4 * 4 * 4; g++) {
        word_of(g, "ab*?", 4, 5, glob);
        for (unsigned length = 0; length <= 6; length++)
            for (unsigned t = 0; t < 1u << length; t++) {
                word_of(t, "ab", 2, length, text);
                wrong += pattern_match(glob, text) != by_definition(glob, text);
            }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_stars_the_text_is_covered_whole),
        cmocka_unit_test(a_question_mark_is_one_byte),
        cmocka_unit_test(a_star_is_any_bytes),
        cmocka_unit_test(ends_do_not_overlap),
        cmocka_unit_test(pieces_are_found_in_their_order),
        cmocka_unit_test(a_backslash_takes_a_star_for_itself),
        cmocka_unit_test(globs_with_another_meaning_are_refused),
        cmocka_unit_test(pieces_between_stars_have_64_bytes_at_most),
        cmocka_unit_test(bytes_above_127_are_bytes),
        cmocka_unit_test(the_time_is_that_of_reading_the_text),
        cmocka_unit_test(all_short_globs_and_texts_are_matched_as_defined),
    };
    return cmocka_run_group_tests_name("policy/launch/pattern", tests, NULL, NULL);
}
