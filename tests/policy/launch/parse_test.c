/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST384                                                                                                      \
    "sha384:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define APP "'name':'app','args':['/app'],'root':{'share':'{id}-r'}"

static void accepts(const char *members)
{
    policy_free(rig_policy(members));
}

/* ---- Form ---- */

static void the_head_is_read(void **state)
{
    (void)state;
    struct policy *p = rig_policy("'debug':true");
    assert_string_equal(policy_name(p), "web");
    assert_int_equal(policy_serial(p), 3);
    assert_true(policy_debug(p));
    policy_free(p);
    p = rig_policy("");
    assert_false(policy_debug(p));
    policy_free(p);
}

static int parse(const char *bytes, size_t n, struct err *err)
{
    struct policy *p;
    err_clear(err);
    int result = policy_parse(bytes, n, &p, err);
    assert_int_equal(p != NULL, result == 0);
    policy_free(p);
    return result;
}

static void any_byte_more_is_refused(void **state)
{
    struct err err;
    char *good = rig_canonical("{" RIG_HEAD "}"), text[256];
    size_t n = strlen(good);
    (void)state;
    assert_int_equal(parse(good, n, &err), 0);
    for (size_t i = 0; i <= n; i++) {
        memcpy(text, good, i);
        text[i] = ' ';
        memcpy(text + i + 1, good + i, n - i + 1);
        assert_true(parse(text, n + 1, &err) != 0);
    }
    memcpy(text, good, n);
    memcpy(text + n, "\n", 2);
    assert_int_equal(parse(text, n + 1, &err), -EINVAL);
    rig_says(&err, "it is not canonical JSON from byte");
    memcpy(text + n, "\0", 1);
    assert_int_equal(parse(text, n + 1, &err), -EINVAL);
    free(good);
}

static void any_byte_less_is_refused(void **state)
{
    struct err err;
    char *good = rig_canonical("{" RIG_HEAD ",'debug':true}");
    (void)state;
    for (size_t n = 0; n < strlen(good); n++)
        assert_int_equal(parse(good, n, &err), -EINVAL);
    free(good);
}

/* Other bits may give another good document; what may not change unnoticed is the form. */
static void a_changed_bit_gives_another_document_or_none(void **state)
{
    struct err err;
    char *good = rig_canonical("{" RIG_HEAD ",'hypervisors':['mshv'],'kernels':['" DIGEST "']}");
    size_t n = strlen(good), accepted = 0;
    (void)state;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct policy *p;
        good[bit / 8] = (char)(good[bit / 8] ^ (1 << bit % 8));
        if (policy_parse(good, n, &p, &err) == 0) {
            char *again;
            size_t length;
            assert_int_equal(policy_canonical(policy_document(p), &again, &length, NULL), 0);
            assert_int_equal(length, n);
            assert_memory_equal(again, good, n);
            free(again);
            accepted++;
        }
        policy_free(p);
        good[bit / 8] = (char)(good[bit / 8] ^ (1 << bit % 8));
    }
    /* Names, the serial and digits of digests have other values; keys and structure have none. */
    assert_in_range(accepted, 1, 8 * (64 + 4));
    free(good);
}

static void keys_in_another_order_are_refused(void **state)
{
    static const char text[] = "{\"name\":\"web\",\"caisson_policy\":1,\"serial\":3}";
    struct err err;
    (void)state;
    assert_int_equal(parse(text, strlen(text), &err), -EINVAL);
    rig_says(&err, "it is not canonical JSON from byte 3 on");
}

static void a_doubled_key_is_refused(void **state)
{
    static const char text[] = "{\"caisson_policy\":1,\"name\":\"web\",\"name\":\"web\",\"serial\":3}";
    struct err err;
    (void)state;
    assert_int_equal(parse(text, strlen(text), &err), -EINVAL);
    rig_says(&err, "duplicate object key");
}

static void other_spellings_of_a_value_are_refused(void **state)
{
    static const char *const texts[] = {
        "{\"caisson_policy\":1,\"name\":\"\\u0077eb\",\"serial\":3}",
        "{\"caisson_policy\":1,\"name\":\"web\",\"serial\":-0}",
        "{\"caisson_policy\":1,\"name\":\"web\",\"serial\":3.0}",
        "{\"caisson_policy\":1,\"name\":\"web\",\"serial\":3e0}",
        "{\"caisson_policy\":1,\"name\":\"web\",\"serial\":9007199254740993}",
        "{\"caisson_policy\":1,\"name\":\"web\",\"serial\":99999999999999999999}",
        "\xef\xbb\xbf{\"caisson_policy\":1,\"name\":\"web\",\"serial\":3}",
        "{\"caisson_policy\":1,\"name\":\"w\xff\",\"serial\":3}",
        "{\"caisson_policy\":1,\"name\":\"w\\u0000\",\"serial\":3}",
        "[]",
        "null",
        "",
    };
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(parse(texts[i], strlen(texts[i]), &err), -EINVAL);
}

static void a_document_that_is_too_large_or_too_deep_is_refused(void **state)
{
    struct err err;
    char *text = calloc(1, POLICY_BYTES_MAX + 2);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', POLICY_BYTES_MAX + 1);
    assert_int_equal(parse(text, POLICY_BYTES_MAX + 1, &err), -EFBIG);
    rig_says(&err, "it has more than 1048576 bytes");
    assert_int_equal(parse(text, POLICY_BYTES_MAX, &err), -EINVAL);
    memset(text, '[', 100000);
    assert_int_equal(parse(text, 100000, &err), -EINVAL);
    rig_says(&err, "maximum parsing depth");
    free(text);
}

/* ---- Keys ---- */

static void unknown_keys_are_refused_everywhere(void **state)
{
    (void)state;
    rig_refuses("'kernel':[]", "kernel: there is no such key");
    rig_refuses("'vm':{'cpus':1}", "vm.cpus: there is no such key");
    rig_refuses("'images':[{'root':'x'}]", "images[0].root: there is no such key");
    rig_refuses("'devices':[{'kind':'fs','max':1,'order':1}]", "devices[0]: there are only kind, min and max");
    rig_refuses("'containers':[{" APP ",'arg':[]}]", "containers[0].arg: there is no such key");
    rig_refuses("'containers':[{" APP ",'user':{'UID':0}}]", "containers[0].user.UID: there is no such key");
    rig_refuses("'containers':[{" APP ",'mounts':[{'dest':'/x'}]}]", "containers[0].mounts[0].dest: there is no");
    rig_refuses("'containers':[{" APP ",'execs':[{'args':['x'],'root':{}}]}]",
                "containers[0].execs[0].root: there is no such key");
    rig_refuses("'containers':[{" APP ",'id':'c1'}]", "containers[0].id: there is no such key");
    rig_refuses("'containers':[{" APP ",'cwd':{'glob':'/*','any':true}}]", "containers[0].cwd: it is no text");
}

static void parse_head(const char *text, const char *words)
{
    struct err err;
    char *canonical = rig_canonical(text);
    assert_int_equal(parse(canonical, strlen(canonical), &err), -EINVAL);
    rig_says(&err, words);
    free(canonical);
}

static void version_name_and_serial_are_needed(void **state)
{
    (void)state;
    parse_head("{'name':'web','serial':1}", "caisson_policy: it is missing");
    parse_head("{'caisson_policy':1,'serial':1}", "name: it is missing");
    parse_head("{'caisson_policy':1,'name':'web'}", "serial: it is missing");
    parse_head("{'caisson_policy':2,'name':'web','serial':1}", "caisson_policy: version 1 is the only one");
    parse_head("{'caisson_policy':'1','name':'web','serial':1}", "caisson_policy: version 1 is the only one");
    parse_head("{'caisson_policy':1,'name':'','serial':1}", "name: it is no name");
    parse_head("{'caisson_policy':1,'name':'a b','serial':1}", "name: it is no name");
    parse_head("{'caisson_policy':1,'name':'web','serial':-1}", "serial: it is no whole number");
}

static void values_of_another_type_are_refused(void **state)
{
    (void)state;
    rig_refuses("'debug':1", "debug: it is neither true nor false");
    rig_refuses("'debug':'false'", "debug: it is neither");
    rig_refuses("'kernels':'" DIGEST "'", "kernels: it is no list");
    rig_refuses("'kernels':{'any':false}", "kernels: it is no list");
    rig_refuses("'initrds':['" DIGEST "']", "initrds[0]: it is no list");
    rig_refuses("'cmdline':'quiet'", "cmdline: it is no list");
    rig_refuses("'cmdline':[1]", "cmdline[0]: it is no text");
    rig_refuses("'vm':[]", "vm: it is no object");
    rig_refuses("'containers':{}", "containers: it is no list");
    rig_refuses("'containers':{'any':true}", "containers: it is no list");
    rig_refuses("'containers':['app']", "containers[0]: it is no object");
    rig_refuses("'containers':[{" APP ",'terminal':'no'}]", "containers[0].terminal: it is neither true, false");
    rig_refuses("'containers':[{" APP ",'user':{'uid':{'min':2,'max':1}}}]", "containers[0].user.uid: min is more");
    rig_refuses("'containers':[{" APP ",'user':{'uid':{'min':2}}}]", "containers[0].user.uid: it is no whole number");
    rig_refuses("'containers':[{" APP ",'env':{'A':'1'}}]", "containers[0].env: it is no list");
    rig_refuses("'containers':[{" APP ",'env':[{'optional':1}]}]", "containers[0].env[0]: it is no text");
    rig_refuses("'containers':[{'name':'app','args':[{'optional':'x'}],'root':{}}]", "containers[0].args[0]: it is no");
    rig_refuses("'copy_files':[{'regex':'.*'}]", "copy_files[0]: it is no text");
    rig_refuses("'copy_files':[{'one_of':[]}]", "copy_files[0]: it is no text");
    rig_refuses("'copy_files':[{'one_of':['/a',7]}]", "copy_files[0][1]: it is no text");
    rig_refuses("'copy_files':[{'glob':'a\\\\b'}]", "copy_files[0]: a backslash");
    rig_refuses("'calls':['Update Container']", "calls[0]: it is no name of a call");
    rig_refuses("'calls':{'any':true}", "calls: it is no list");
    rig_refuses("'hypervisors':['kvm']", "hypervisors[0]: it is neither mshv nor softhv");
}

static void digests_have_one_spelling(void **state)
{
    (void)state;
    accepts("'kernels':['" DIGEST "','" DIGEST384 "'],'monitors':{'any':true},'initrds':[[],['" DIGEST "']]");
    rig_refuses("'kernels':['" DIGEST "0']", "kernels[0]: it is no digest");
    rig_refuses("'kernels':['0123456789abcdef']", "kernels[0]: it is no digest");
    rig_refuses("'kernels':['sha384:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef']",
                "kernels[0]: it is no digest");
    rig_refuses("'monitors':['sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef']",
                "monitors[0]: it is no digest");
    rig_refuses("'initrds':[['sha1:0']]", "initrds[0][0]: it is no digest");
}

static void devices_are_named_once_and_counted(void **state)
{
    (void)state;
    accepts("'devices':[{'kind':'fs','max':1,'min':1},{'kind':'blk','max':0}]");
    rig_refuses("'devices':[{'kind':'fs'}]", "devices[0]: it has no \"max\"");
    rig_refuses("'devices':[{'kind':'fs','max':1,'min':2}]", "devices[0]: it has no \"max\"");
    rig_refuses("'devices':[{'kind':'fs','max':-1}]", "devices[0]: it has no \"max\"");
    rig_refuses("'devices':[{'max':1}]", "devices[0]: it names no kind");
    rig_refuses("'devices':[{'kind':'fs','max':1},{'kind':'fs','max':2}]", "devices[1]: the kind was named before");
}

static void containers_have_names_of_their_own(void **state)
{
    (void)state;
    accepts("'containers':[{" APP ",'max':1}]");
    rig_refuses("'containers':[{'args':['x'],'root':{}}]", "containers[0].name: it is missing");
    rig_refuses("'containers':[{" APP "},{" APP "}]", "containers[1]: its name was given to another one");
    rig_refuses("'containers':[{" APP ",'max':0}]", "containers[0].max: it is no number from 1 to 1024");
}

static void a_rule_that_can_permit_nothing_is_refused(void **state)
{
    (void)state;
    rig_refuses("'containers':[{'name':'app','root':{}}]", "containers[0]: it permits nothing");
    rig_refuses("'containers':[{'name':'app','args':['x']}]", "containers[0]: it permits nothing");
    rig_refuses("'containers':[{" APP ",'execs':[{'cwd':'/'}]}]", "containers[0].execs[0]: it permits nothing");
    accepts("'containers':[{" APP ",'execs':[{'any':true}]}]");
}

/* ---- Times ---- */

static void times_have_one_form(void **state)
{
    static const char *const wrong[] = {
        "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-00-01T00:00:00Z",  "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",  "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00",   "2026-01-01T00:00:00+00:00",
        "2026-1-1T00:00:00Z",   "1969-12-31T23:59:59Z", "2026-01-01T00:00:00Zx", "+026-01-01T00:00:00Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char members[64];
        snprintf(members, sizeof members, "'not_after':'%s'", wrong[i]);
        rig_refuses(members, "not_after: it is no time");
    }
    accepts("'not_after':'2024-02-29T23:59:59Z'");
    accepts("'not_after':'2000-02-29T23:59:59Z'");
    rig_refuses("'not_before':'2026-01-02T00:00:00Z','not_after':'2026-01-01T00:00:00Z'", "not_after is before");
}

static void a_policy_is_in_force_between_its_times_both_included(void **state)
{
    struct err err;
    (void)state;
    struct policy *p = rig_policy("'not_before':'2026-03-01T00:00:00Z','not_after':'2026-12-31T23:59:59Z'");
    /* date -u -d 2026-03-01 +%s and date -u -d "2026-12-31 23:59:59" +%s */
    assert_int_equal(policy_judge_time(p, 1772323200, &err), 0);
    assert_int_equal(policy_judge_time(p, 1798761599, &err), 0);
    assert_int_equal(policy_judge_time(p, 1772323199, &err), -EKEYEXPIRED);
    rig_says(&err, "not_before is 2026-03-01T00:00:00Z");
    assert_int_equal(policy_judge_time(p, 1798761600, &err), -EKEYEXPIRED);
    rig_says(&err, "not_after is 2026-12-31T23:59:59Z");
    assert_int_equal(policy_judge_time(p, 0, &err), -EKEYEXPIRED);
    assert_int_equal(policy_judge_time(p, INT64_MIN, &err), -EKEYEXPIRED);
    policy_free(p);
}

static void without_times_a_policy_is_always_in_force(void **state)
{
    struct err err;
    (void)state;
    struct policy *p = rig_policy("");
    assert_int_equal(policy_judge_time(p, INT64_MIN, &err), 0);
    assert_int_equal(policy_judge_time(p, INT64_MAX, &err), 0);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_is_read),
        cmocka_unit_test(any_byte_more_is_refused),
        cmocka_unit_test(any_byte_less_is_refused),
        cmocka_unit_test(a_changed_bit_gives_another_document_or_none),
        cmocka_unit_test(keys_in_another_order_are_refused),
        cmocka_unit_test(a_doubled_key_is_refused),
        cmocka_unit_test(other_spellings_of_a_value_are_refused),
        cmocka_unit_test(a_document_that_is_too_large_or_too_deep_is_refused),
        cmocka_unit_test(unknown_keys_are_refused_everywhere),
        cmocka_unit_test(version_name_and_serial_are_needed),
        cmocka_unit_test(values_of_another_type_are_refused),
        cmocka_unit_test(digests_have_one_spelling),
        cmocka_unit_test(devices_are_named_once_and_counted),
        cmocka_unit_test(containers_have_names_of_their_own),
        cmocka_unit_test(a_rule_that_can_permit_nothing_is_refused),
        cmocka_unit_test(times_have_one_form),
        cmocka_unit_test(a_policy_is_in_force_between_its_times_both_included),
        cmocka_unit_test(without_times_a_policy_is_always_in_force),
    };
    return cmocka_run_group_tests_name("policy/launch/parse", tests, NULL, NULL);
}
