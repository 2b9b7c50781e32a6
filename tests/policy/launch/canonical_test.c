/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

static void canonical_is(const char *text, const char *wanted)
{
    char *canonical = rig_canonical(text);
    assert_string_equal(canonical, wanted);
    free(canonical);
}

static void blanks_go_and_values_stay(void **state)
{
    (void)state;
    canonical_is(" [ 1 , true , false , null , { } , [ ] ] ", "[1,true,false,null,{},[]]");
}

static void keys_are_sorted(void **state)
{
    (void)state;
    canonical_is("{'b':1,'a':2,'':3,'ab':4}", "{\"\":3,\"a\":2,\"ab\":4,\"b\":1}");
}

/* RFC 8785, 3.2.3: the published example; its key U+1F600 is a surrogate pair and comes before U+FB33. */
static void keys_are_sorted_by_units_of_utf16(void **state)
{
    (void)state;
    canonical_is("{'\\u20ac':'Euro Sign','\\r':'Carriage Return','\\ufb33':'Hebrew Letter Dalet With Dagesh',"
                 "'1':'One','\\ud83d\\ude00':'Emoji: Grinning Face','\\u0080':'Control',"
                 "'\\u00f6':'Latin Small Letter O With Diaeresis'}",
                 "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
                 "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
                 "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

static void a_pair_comes_after_the_last_unit_before_pairs(void **state)
{
    (void)state;
    canonical_is("{'\\ud83d\\ude00':1,'\\ud7ff':2,'\\ue000':3}",
                 "{\"\xed\x9f\xbf\":2,\"\xf0\x9f\x98\x80\":1,\"\xee\x80\x80\":3}");
}

static void control_characters_have_the_shortest_escape(void **state)
{
    (void)state;
    canonical_is("'\\u0008\\u0009\\u000a\\u000c\\u000d\\u0001\\u001F\\u007f\\/\\\\'",
                 "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f/\\\\\"");
    canonical_is("'\\u0022'", "\"\\\"\"");
}

static void numbers_up_to_2_53_are_written(void **state)
{
    (void)state;
    canonical_is("[9007199254740991,-9007199254740991,0]", "[9007199254740991,-9007199254740991,0]");
}

static void canonical_fails(const char *text)
{
    json_t *value = rig_json(text);
    char *out = (char *)(uintptr_t)1;
    size_t n;
    struct err err;
    assert_int_equal(policy_canonical(value, &out, &n, &err), -EINVAL);
    assert_null(out);
    rig_says(&err, "a number has a fraction or is too large");
    json_decref(value);
}

static void other_numbers_are_refused(void **state)
{
    (void)state;
    canonical_fails("[9007199254740992]");
    canonical_fails("[-9007199254740992]");
    canonical_fails("{'a':[1.0]}");
    canonical_fails("[1e3]");
}

static void the_canonical_form_is_its_own(void **state)
{
    (void)state;
    char *once = rig_canonical("{'z':['\\ud83d\\ude00','\\u00e9'],'a':{'c':1,'b':'\\n'}}");
    json_t *value = json_loads(once, 0, NULL);
    char *twice;
    size_t n;
    assert_int_equal(policy_canonical(value, &twice, &n, NULL), 0);
    assert_string_equal(once, twice);
    json_decref(value);
    free(once);
    free(twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_go_and_values_stay),
        cmocka_unit_test(keys_are_sorted),
        cmocka_unit_test(keys_are_sorted_by_units_of_utf16),
        cmocka_unit_test(a_pair_comes_after_the_last_unit_before_pairs),
        cmocka_unit_test(control_characters_have_the_shortest_escape),
        cmocka_unit_test(numbers_up_to_2_53_are_written),
        cmocka_unit_test(other_numbers_are_refused),
        cmocka_unit_test(the_canonical_form_is_its_own),
    };
    return cmocka_run_group_tests_name("policy/launch/canonical", tests, NULL, NULL);
}
