/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#include "policy/launch/signed.h"

struct rig {
    struct key *key, *other;
    char *document;
    char jws[JWS_MAX];
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    struct err err;
    assert_non_null(r);
    assert_int_equal(key_generate(KEY_P256, &r->key, &err), 0);
    assert_int_equal(key_generate(KEY_P384, &r->other, &err), 0);
    r->document = rig_canonical("{" RIG_HEAD "}");
    assert_int_equal(jws_sign(r->key, r->document, strlen(r->document), r->jws, &err), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    key_free(r->key);
    key_free(r->other);
    free(r->document);
    free(r);
    return 0;
}

static int open_with(const struct rig *r, const struct key *key, struct err *err)
{
    const struct pubkey *keys[] = {key != NULL ? key_public(key) : NULL};
    struct policy *p = (struct policy *)(uintptr_t)1;
    err_clear(err);
    int result =
        policy_open(r->document, strlen(r->document), r->jws, strlen(r->jws), keys, key != NULL ? 1 : 0, &p, err);
    assert_int_equal(p != NULL, result == 0);
    if (p != NULL)
        assert_string_equal(policy_name(p), "web");
    policy_free(p);
    return result;
}

static void a_policy_opens_with_the_key_that_signed_it(void **state)
{
    struct err err;
    assert_int_equal(open_with(*state, ((struct rig *)*state)->key, &err), 0);
}

static void another_key_or_none_does_not_open_it(void **state)
{
    const struct rig *r = *state;
    struct err err;
    assert_int_equal(open_with(r, r->other, &err), -EBADMSG);
    assert_int_equal(open_with(r, NULL, &err), -EBADMSG);
}

static void a_changed_bit_of_the_document_is_found_before_it_is_parsed(void **state)
{
    struct rig *r = *state;
    struct err err;
    for (size_t bit = 0; bit < 8 * strlen("{\"caisson_policy\":1"); bit++) {
        r->document[bit / 8] = (char)(r->document[bit / 8] ^ (1 << bit % 8));
        if (r->document[bit / 8] != '\0')
            assert_int_equal(open_with(r, r->key, &err), -EBADMSG);
        r->document[bit / 8] = (char)(r->document[bit / 8] ^ (1 << bit % 8));
    }
}

static void a_changed_bit_of_the_signature_is_found(void **state)
{
    struct rig *r = *state;
    struct err err;
    size_t n = strlen(r->jws);
    for (size_t i = 0; i < n; i++) {
        r->jws[i] = (char)(r->jws[i] ^ 1);
        assert_int_equal(open_with(r, r->key, &err), -EBADMSG);
        r->jws[i] = (char)(r->jws[i] ^ 1);
    }
    r->jws[n - 1] = '\0';
    assert_int_equal(open_with(r, r->key, &err), -EBADMSG);
}

static void a_signed_text_that_is_no_policy_is_refused_as_that(void **state)
{
    struct rig *r = *state;
    struct err err;
    free(r->document);
    r->document = strdup("{}");
    assert_int_equal(jws_sign(r->key, "{}", 2, r->jws, &err), 0);
    assert_int_equal(open_with(r, r->key, &err), -EINVAL);
    rig_says(&err, "caisson_policy: it is missing");
}

static void too_many_bytes_are_refused_before_they_are_hashed(void **state)
{
    const struct rig *r = *state;
    const struct pubkey *keys[] = {key_public(r->key)};
    struct policy *p;
    struct err err;
    assert_int_equal(policy_open(NULL, POLICY_BYTES_MAX + 1, r->jws, strlen(r->jws), keys, 1, &p, &err), -EFBIG);
    assert_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_policy_opens_with_the_key_that_signed_it, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_or_none_does_not_open_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_bit_of_the_document_is_found_before_it_is_parsed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_bit_of_the_signature_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signed_text_that_is_no_policy_is_refused_as_that, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_bytes_are_refused_before_they_are_hashed, setup, teardown),
    };
    return cmocka_run_group_tests_name("policy/launch/signed", tests, NULL, NULL);
}
