/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/json.h"

struct fixture {
    struct json_writer w;
    FILE *out;
    char *text;
    size_t size;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return -1;
    }
    f->out = open_memstream(&f->text, &f->size);
    json_writer_init(&f->w, f->out);
    *state = f;
    return f->out == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fclose(f->out);
    free(f->text);
    free(f);
    return 0;
}

static const char *finished(struct fixture *f)
{
    json_finish(&f->w);
    fflush(f->out);
    return f->text;
}

static void assert_string_written_as(void **state, const char *value, const char *wanted)
{
    struct fixture *f = *state;
    json_text(&f->w, value);
    assert_string_equal(finished(f), wanted);
}

static void object_has_commas_between_members(void **state)
{
    struct fixture *f = *state;
    json_begin_object(&f->w);
    json_key(&f->w, "a");
    json_int(&f->w, INT64_MIN);
    json_key(&f->w, "b");
    json_bool(&f->w, true);
    json_end_object(&f->w);
    assert_string_equal(finished(f), "{\n  \"a\": -9223372036854775808,\n  \"b\": true\n}\n");
}

static void members_are_put_with_their_keys(void **state)
{
    struct fixture *f = *state;
    static const char *const two[] = {"x", "y", NULL}, *const none[] = {NULL};
    json_begin_object(&f->w);
    json_put_text(&f->w, "a", "b");
    json_put_int(&f->w, "c", -1);
    json_put_bool(&f->w, "d", false);
    json_put_texts(&f->w, "e", two);
    json_put_texts(&f->w, "f", none);
    json_end_object(&f->w);
    assert_string_equal(finished(f), "{\n  \"a\": \"b\",\n  \"c\": -1,\n  \"d\": false,\n  \"e\": [\n    \"x\",\n    "
                                     "\"y\"\n  ],\n  \"f\": []\n}\n");
}

static void array_has_commas_between_items(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_text(&f->w, "x");
    json_text(&f->w, NULL);
    json_bool(&f->w, false);
    json_end_array(&f->w);
    assert_string_equal(finished(f), "[\n  \"x\",\n  null,\n  false\n]\n");
}

static void nested_values_are_indented_by_depth(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_begin_object(&f->w);
    json_key(&f->w, "k");
    json_begin_array(&f->w);
    json_end_array(&f->w);
    json_end_object(&f->w);
    json_begin_object(&f->w);
    json_end_object(&f->w);
    json_end_array(&f->w);
    assert_string_equal(finished(f), "[\n  {\n    \"k\": []\n  },\n  {}\n]\n");
}

static void quotes_and_backslashes_are_escaped(void **state)
{
    assert_string_written_as(state, "a\"b\\c/", "\"a\\\"b\\\\c/\"\n");
}

static void control_bytes_are_escaped_by_number(void **state)
{
    assert_string_written_as(state, "\x01\n\x1f\x7f", "\"\\u0001\\u000a\\u001f\\u007f\"\n");
}

static void keys_are_escaped_like_strings(void **state)
{
    struct fixture *f = *state;
    json_begin_object(&f->w);
    json_key(&f->w, "a\"\n");
    json_int(&f->w, 0);
    json_end_object(&f->w);
    assert_string_equal(finished(f), "{\n  \"a\\\"\\u000a\": 0\n}\n");
}

static void valid_utf8_stays_as_it_is(void **state)
{
    assert_string_written_as(state, "\xc2\x80 \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf",
                             "\"\xc2\x80 \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"\n");
}

static void stray_continuation_byte_is_replaced(void **state)
{
    assert_string_written_as(state, "a\x80z", "\"a\\ufffdz\"\n");
}

static void sequence_cut_by_the_end_is_replaced(void **state)
{
    assert_string_written_as(state, "\xe2\x82", "\"\\ufffd\\ufffd\"\n");
}

static void over_long_form_is_replaced(void **state)
{
    assert_string_written_as(state, "\xe0\x9f\xbf", "\"\\ufffd\\ufffd\\ufffd\"\n");
}

static void surrogate_is_replaced(void **state)
{
    assert_string_written_as(state, "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n");
}

static void code_point_above_the_last_is_replaced(void **state)
{
    assert_string_written_as(state, "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(object_has_commas_between_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_put_with_their_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(array_has_commas_between_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nested_values_are_indented_by_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quotes_and_backslashes_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_bytes_are_escaped_by_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_escaped_like_strings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(valid_utf8_stays_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stray_continuation_byte_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sequence_cut_by_the_end_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_long_form_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(surrogate_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(code_point_above_the_last_is_replaced, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("common/json", tests, NULL, NULL);
}
