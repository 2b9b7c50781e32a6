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

#include "vmm/trust/verify.h"

/* ---- Times ---- */

static void time_is_read_in_utc(void **state)
{
    int64_t s = 0;
    (void)state;
    assert_true(verify_parse_time("2027-01-01T00:00:00Z", &s));
    assert_int_equal(s, 1798761600);
    assert_true(verify_parse_time("1970-01-01T00:00:01Z", &s));
    assert_int_equal(s, 1);
    assert_true(verify_parse_time("2028-02-29T23:59:59Z", &s));
    assert_int_equal(s, 1835481599);
    assert_true(verify_parse_time("9999-12-31T23:59:59Z", &s));
    assert_int_equal(s, INT64_C(253402300799));
}

static void time_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "now",
                                      "2027-01-01",
                                      "2027-01-01T00:00:00",
                                      "2027-01-01T00:00:00+00:00",
                                      "2027-01-01 00:00:00Z",
                                      "2027-01-01t00:00:00z",
                                      "2027-1-01T00:00:00Z",
                                      "2027-02-29T00:00:00Z",
                                      "2027-13-01T00:00:00Z",
                                      "2027-00-01T00:00:00Z",
                                      "2027-01-00T00:00:00Z",
                                      "2027-01-01T24:00:00Z",
                                      "2027-01-01T00:60:00Z",
                                      "2027-01-01T00:00:60Z",
                                      "1969-12-31T23:59:59Z",
                                      " 2027-01-01T00:00:0Z",
                                      "2027-01-01T00:00:00Z ",
                                      "-027-01-01T00:00:00Z"};
    int64_t s;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (verify_parse_time(bad[i], &s))
            fail_msg("'%s' is taken for a time", bad[i]);
}

/* ---- Expected registers ---- */

#define SHA256_ONES "1111111111111111111111111111111111111111111111111111111111111111"
#define SHA384_TWOS SHA256_TWOS "22222222222222222222222222222222"
#define SHA256_TWOS "2222222222222222222222222222222222222222222222222222222222222222"
#define REGISTER(n) #n " sha256 " SHA256_ONES "\n" #n " sha384 " SHA384_TWOS "\n"

static int parse(const char *text, struct event_log *out, uint32_t *mask, struct err *err)
{
    return verify_parse_expected(text, strlen(text), out, mask, err);
}

static void expected_registers_are_read_from_lines(void **state)
{
    struct event_log log;
    struct err err;
    uint32_t mask = 0;
    (void)state;
    assert_int_equal(parse("# of caisson measure\n" REGISTER(0) "\n" REGISTER(13), &log, &mask, &err), 0);
    assert_int_equal(mask, 1u | 1u << 13);
    assert_int_equal(log.sha256[13][31], 0x11);
    assert_int_equal(log.sha384[13][47], 0x22);
    assert_int_equal(log.sha256[1][0], 0);
}

static void expected_registers_may_lack_the_last_newline(void **state)
{
    struct event_log log;
    struct err err;
    uint32_t mask = 0;
    (void)state;
    assert_int_equal(verify_parse_expected(REGISTER(9), strlen(REGISTER(9)) - 1, &log, &mask, &err), 0);
    assert_int_equal(mask, 1u << 9);
}

static void a_text_of_digits_is_not_read_past_its_end(void **state)
{
    struct event_log log;
    uint32_t mask = 0;
    char *text = malloc(2); /* the sanitizer watches what is behind it */
    (void)state;
    assert_non_null(text);
    memcpy(text, "14", 2);
    assert_int_equal(verify_parse_expected(text, 2, &log, &mask, NULL), -EINVAL);
    free(text);
}

static void expected_registers_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "both banks"},
        {"\n", "both banks"},
        {"0 sha256 " SHA256_ONES "\n", "both banks"},
        {REGISTER(0) "1 sha384 " SHA384_TWOS "\n", "both banks"},
        {REGISTER(0) REGISTER(0), "given before"},
        {REGISTER(2), "quotes cover"},
        {REGISTER(24), "quotes cover"},
        {REGISTER(4294967296), "quotes cover"},
        {REGISTER(00), "quotes cover"},
        {REGISTER(-1), "quotes cover"},
        {" " REGISTER(0), "quotes cover"},
        {"0 sha1 1111\n", "neither sha256 nor sha384"},
        {"0 sha25 " SHA256_ONES "\n", "neither sha256 nor sha384"},
        {"0  sha256 " SHA256_ONES "\n", "neither sha256 nor sha384"},
        {"0\n", "neither sha256 nor sha384"},
        {"0 sha256\n", "digits"},
        {"0 sha256 11\n", "digits"},
        {"0 sha256 " SHA256_ONES " \n", "digits"},
        {"0 sha256 " SHA256_ONES "1\n", "digits"},
        {"0 sha256 x" SHA256_ONES "\n", "digits"},
        {"0 sha384 " SHA256_ONES "\n", "digits"},
        {"0 sha256 g111111111111111111111111111111111111111111111111111111111111111\n", "digits"},
    };
    struct event_log log;
    struct err err;
    uint32_t mask;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i].text, &log, &mask, &err), -EINVAL);
        if (strstr(err.text, bad[i].why) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.text, bad[i].why);
    }
}

static void refusal_of_expected_registers_names_the_line(void **state)
{
    struct event_log log;
    struct err err;
    uint32_t mask;
    (void)state;
    assert_int_equal(parse("#\n" REGISTER(0) "what\n", &log, &mask, &err), -EINVAL);
    assert_non_null(strstr(err.text, "line 4:"));
}

static void a_nul_among_expected_registers_is_refused(void **state)
{
    static const char text[] = "0 sha256 " SHA256_ONES "\n0 sha384 " SHA384_TWOS "\n\0";
    struct event_log log;
    struct err err;
    uint32_t mask;
    (void)state;
    assert_int_equal(verify_parse_expected(text, sizeof(text) - 1, &log, &mask, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_read_in_utc),
        cmocka_unit_test(time_that_is_none_is_refused),
        cmocka_unit_test(expected_registers_are_read_from_lines),
        cmocka_unit_test(expected_registers_may_lack_the_last_newline),
        cmocka_unit_test(a_text_of_digits_is_not_read_past_its_end),
        cmocka_unit_test(expected_registers_that_are_none_are_refused),
        cmocka_unit_test(refusal_of_expected_registers_names_the_line),
        cmocka_unit_test(a_nul_among_expected_registers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
