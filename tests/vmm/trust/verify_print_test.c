/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/trust/verify.h"

struct fixture {
    struct evidence_verdict verdict;
    struct verify_told told;
    char *text; /* what was printed last */
    json_t *json;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    f->verdict = (struct evidence_verdict){
        .good = true, .has_policy = true, .containers = 2, .execs = 1, .sandbox = "web", .version = "0.1.0"};
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        f->verdict.state[i] = EVIDENCE_GOOD;
    f->told =
        (struct verify_told){.verdict = &f->verdict, .trust = VERIFY_TRUST_ROOT, .policy = "shop", .policy_serial = 3};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    json_decref(f->json);
    free(f->text);
    free(f);
    return 0;
}

static const char *print(struct fixture *f, void (*how)(const struct verify_told *told, FILE *out))
{
    size_t n;
    free(f->text);
    FILE *out = open_memstream(&f->text, &n);
    assert_non_null(out);
    how(&f->told, out);
    assert_int_equal(fclose(out), 0);
    return f->text;
}

static const char *line(struct fixture *f)
{
    return print(f, verify_print_line);
}

static json_t *json(struct fixture *f)
{
    json_decref(f->json);
    f->json = json_loads(print(f, verify_print_json), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(f->json);
    return f->json;
}

static void make_bad(struct fixture *f, enum evidence_part part, const char *why)
{
    f->verdict.good = false;
    f->verdict.state[part] = EVIDENCE_BAD;
    strcpy(f->verdict.why, why);
}

static void good_verdict_is_one_line(void **state)
{
    assert_string_equal(line(*state),
                        "good: pod 'web' ran policy 'shop' (serial 3), no debugging; 2 containers, 1 further "
                        "process; key certified; host-rooted evidence\n");
}

static void bad_verdict_names_the_first_bad_part(void **state)
{
    struct fixture *f = *state;
    make_bad(f, EVIDENCE_PART_POLICY, "later");
    make_bad(f, EVIDENCE_PART_LOG, "it was altered");
    assert_string_equal(line(f), "bad: log: it was altered; host-rooted evidence\n");
}

static void good_verdict_says_what_was_not_judged(void **state)
{
    struct fixture *f = *state;
    f->told.policy = NULL;
    f->told.trust = VERIFY_TRUST_ANY;
    f->verdict.debug = true;
    f->verdict.containers = 1;
    f->verdict.execs = 0;
    assert_string_equal(line(f),
                        "good: pod 'web' ran a policy that was not judged, debugging permitted; 1 container, 0 "
                        "further processes; KEY NOT CHECKED; host-rooted evidence\n");
}

static void good_verdict_says_that_there_was_no_policy(void **state)
{
    struct fixture *f = *state;
    f->told.policy = NULL;
    f->told.trust = VERIFY_TRUST_KEY;
    f->verdict.has_policy = false;
    assert_non_null(strstr(line(f), "pod 'web' ran without a policy, no debugging;"));
    assert_non_null(strstr(f->text, "; key as given;"));
}

/* Names come from the pod; a line that they could forge would be worth nothing. */
static void names_cannot_forge_a_line(void **state)
{
    struct fixture *f = *state;
    strcpy(f->verdict.sandbox, "a\ngood: pod 'b'\033[2K");
    assert_string_equal(strchr(line(f), '\n'), "\n");
    assert_null(strchr(f->text, '\033'));
}

static void longest_line_still_says_what_the_evidence_is(void **state)
{
    struct fixture *f = *state;
    make_bad(f, EVIDENCE_PART_KEY, "");
    memset(f->verdict.why, 'x', sizeof(f->verdict.why) - 1);
    assert_non_null(strstr(line(f), "xxx; host-rooted evidence\n"));
}

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void json_of_a_good_verdict_has_everything(void **state)
{
    struct fixture *f = *state;
    f->verdict.pcrs.sha256[9][0] = 0xab;
    json_t *j = json(f);
    assert_string_equal(text_of(j, "verdict"), "good");
    assert_string_equal(text_of(j, "evidence"), "host-rooted");
    assert_string_equal(text_of(j, "trustIn"), "root");
    assert_string_equal(text_of(j, "pod"), "web");
    assert_string_equal(text_of(j, "version"), "0.1.0");
    assert_true(json_is_null(json_object_get(j, "part")));
    assert_true(json_is_null(json_object_get(j, "why")));
    assert_string_equal(text_of(json_object_get(j, "policy"), "name"), "shop");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "policy"), "serial")), 3);
    assert_int_equal(json_integer_value(json_object_get(j, "containers")), 2);
    assert_int_equal(json_integer_value(json_object_get(j, "processes")), 1);
    assert_true(json_is_false(json_object_get(j, "debug")));
    assert_int_equal(json_object_size(json_object_get(j, "parts")), EVIDENCE_PARTS);
    assert_int_equal(json_object_size(json_object_get(j, "registers")), 8);
    assert_memory_equal(text_of(json_object_get(j, "registers"), "9"), "ab000000", 8);
}

static void json_of_a_bad_verdict_says_which_part_and_why(void **state)
{
    struct fixture *f = *state;
    make_bad(f, EVIDENCE_PART_NONCE, "old \"quote\"");
    f->verdict.state[EVIDENCE_PART_POLICY] = EVIDENCE_NOT_JUDGED;
    f->told.policy = NULL;
    json_t *j = json(f);
    assert_string_equal(text_of(j, "verdict"), "bad");
    assert_string_equal(text_of(j, "part"), "nonce");
    assert_string_equal(text_of(j, "why"), "old \"quote\"");
    assert_string_equal(text_of(json_object_get(j, "parts"), "nonce"), "bad");
    assert_string_equal(text_of(json_object_get(j, "parts"), "policy"), "not judged");
    assert_true(json_is_null(json_object_get(j, "policy")));
}

static void json_registers_are_those_of_the_signed_bank(void **state)
{
    struct fixture *f = *state;
    f->verdict.bank = DIGEST_SHA384;
    f->verdict.pcrs.sha384[15][47] = 0xcd;
    json_t *j = json(f);
    assert_string_equal(text_of(j, "bank"), "sha384");
    const char *hex = text_of(json_object_get(j, "registers"), "15");
    assert_int_equal(strlen(hex), 96);
    assert_string_equal(hex + 94, "cd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_verdict_is_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_verdict_names_the_first_bad_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_verdict_says_what_was_not_judged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_verdict_says_that_there_was_no_policy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_cannot_forge_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(longest_line_still_says_what_the_evidence_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_a_good_verdict_has_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_of_a_bad_verdict_says_which_part_and_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_registers_are_those_of_the_signed_bank, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
