/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/lib/evidence_rig.h"

static int set_up(void **state)
{
    struct evidence_rig *r = malloc(sizeof(*r));
    if (r == NULL)
        return -1;
    evidence_rig_begin(r, KEY_P256);
    r->demand.roots_pem = NULL;
    r->demand.key = key_public(r->key);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    evidence_rig_fini(*state);
    free(*state);
    return 0;
}

static void boot(struct evidence_rig *r)
{
    evidence_rig_boot(r, evidence_rig_policy, false);
    evidence_rig_add_agent_key(r);
}

static void assert_permitted(struct evidence_rig *r)
{
    evidence_rig_make(r);
    const enum evidence_part first = evidence_rig_judge(r);
    if (first != EVIDENCE_PARTS)
        fail_msg("%s: %s", evidence_part_name(first), r->verdict.why);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_POLICY], EVIDENCE_GOOD);
}

static void assert_refused(struct evidence_rig *r, const char *words)
{
    evidence_rig_make(r);
    const enum evidence_part first = evidence_rig_judge(r);
    if (first != EVIDENCE_PART_POLICY)
        fail_msg("%s: %s", first < EVIDENCE_PARTS ? evidence_part_name(first) : "nothing", r->verdict.why);
    if (strstr(r->verdict.why, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->verdict.why, words);
    assert_false(r->verdict.good);
}

/* ---- The document ---- */

static void policy_that_was_in_force_is_good(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    assert_permitted(r);
}

static void another_policy_is_refused_in_each_bit_class(void **state)
{
    struct evidence_rig *r = *state;
    char other[1024];
    boot(r);
    r->demand.policy = other;
    for (size_t i = 0; i < r->demand.policy_bytes; i += 9) {
        memcpy(other, evidence_rig_policy, r->demand.policy_bytes);
        other[i] ^= (char)(1 << i % 8);
        assert_refused(r, "another policy was in force");
    }
    r->demand.policy = NULL;
}

static void same_policy_with_a_newline_is_another(void **state)
{
    struct evidence_rig *r = *state;
    char other[1024];
    boot(r);
    strcpy(other, evidence_rig_policy);
    strcat(other, "\n");
    r->demand.policy = other;
    r->demand.policy_bytes++;
    assert_refused(r, "another policy was in force");
    r->demand.policy = NULL;
}

static void policy_is_refused_of_a_pod_that_had_none(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_boot(r, NULL, true);
    evidence_rig_add_agent_key(r);
    r->demand.policy = evidence_rig_policy;
    r->demand.policy_bytes = strlen(evidence_rig_policy);
    assert_refused(r, "no policy was in force");
}

/* A pod that measured it, so that its digest is right, and a document that is none. */
static void assert_document_is_refused(struct evidence_rig *r, const char *document, const char *words)
{
    evidence_rig_boot(r, document, false);
    evidence_rig_add_agent_key(r);
    assert_refused(r, words);
}

static void policy_with_a_doubled_key_is_refused(void **state)
{
    assert_document_is_refused(*state, "{\"caisson_policy\":1,\"name\":\"a\",\"name\":\"b\",\"serial\":1}", "");
}

static void policy_that_is_not_canonical_is_refused(void **state)
{
    assert_document_is_refused(*state, "{\"name\":\"a\",\"caisson_policy\":1,\"serial\":1}", "canonical");
}

static void policy_with_an_unknown_key_is_refused(void **state)
{
    assert_document_is_refused(*state, "{\"caisson_policy\":1,\"name\":\"a\",\"serial\":1,\"zzz\":1}", "zzz");
}

static void policy_of_too_low_a_serial_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    r->demand.policy_serial_min = 3;
    assert_permitted(r);
    r->demand.policy_serial_min = 4;
    assert_refused(r, "serial 3, at least 4");
}

static void policy_before_its_time_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    r->demand.now_s = r->input.now_s = 1796083200 - 1; /* not_before: 2026-12-01 */
    assert_refused(r, "");
    r->demand.now_s = r->input.now_s = 1796083200;
    assert_permitted(r);
}

static void policy_after_its_time_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    r->demand.now_s = 1830297600 + 1; /* not_after: 2028-01-01 */
    assert_refused(r, "");
}

static void log_and_policy_agree_on_debugging(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_boot(r, evidence_rig_policy, true);
    evidence_rig_add_agent_key(r);
    assert_refused(r, "debugging");
}

/* ---- Containers and processes ---- */

static void containers_and_processes_of_the_policy_are_good(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_exec(r, evidence_rig_exec);
    evidence_rig_add_container(r, evidence_rig_sidecar);
    evidence_rig_add_container(r, evidence_rig_container); /* once more, after it was removed */
    assert_permitted(r);
    assert_int_equal(r->verdict.containers, 3);
    assert_int_equal(r->verdict.execs, 1);
}

static void container_that_no_rule_permits_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_container(r, "{\"args\":[\"/bin/webs\"],\"id\":\"c3\",\"root\":{\"share\":\"root\"}}");
    assert_refused(r, "containers[");
}

static void container_with_more_than_its_rule_says_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(
        r, "{\"args\":[\"/bin/web\"],\"env\":[\"LD_PRELOAD=x\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}");
    assert_refused(r, "env");
}

static void process_that_no_rule_permits_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_exec(r, "{\"args\":[\"/bin/sh\"],\"container\":\"c1\"}");
    assert_refused(r, "execs");
}

static void process_is_judged_by_its_containers_rule(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_container(r, evidence_rig_sidecar);
    evidence_rig_add_exec(r, "{\"args\":[\"/bin/check\"],\"container\":\"c2\"}");
    assert_refused(r, "containers[1]");
}

static void process_of_no_container_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_exec(r, evidence_rig_exec);
    evidence_rig_add_container(r, evidence_rig_container);
    assert_refused(r, "of no container");
}

static void id_that_changes_its_rule_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_container(r, "{\"args\":[\"/bin/log\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}");
    assert_refused(r, "by another rule");
}

static void description_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "{",
        "[]",
        "null",
        "{\"args\":[\"/bin/web\"],\"root\":{\"share\":\"root\"}}",
        "{\"args\":[\"/bin/web\"],\"id\":7,\"root\":{\"share\":\"root\"}}",
        "{\"args\":[\"/bin/sh\"],\"args\":[\"/bin/web\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}",
        "{\"id\":\"c1\",\"args\":[\"/bin/web\"],\"root\":{\"share\":\"root\"}}",
        "{\"args\":[\"/bin/web\"], \"id\":\"c1\",\"root\":{\"share\":\"root\"}}",
        "{\"args\":[\"/bin/web\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}\n",
        "{\"args\":[\"\\/bin\\/web\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}",
    };
    struct evidence_rig *r = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(tear_down(state) + set_up(state), 0);
        r = *state;
        boot(r);
        evidence_rig_add_container(r, bad[i]);
        assert_refused(r, "event ");
    }
}

static void without_a_demand_descriptions_are_not_looked_at(void **state)
{
    struct evidence_rig *r = *state;
    boot(r);
    evidence_rig_add_container(r, "anything");
    r->demand.policy = NULL;
    evidence_rig_make(r);
    assert_int_equal(evidence_rig_judge(r), EVIDENCE_PARTS);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_POLICY], EVIDENCE_NOT_JUDGED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(policy_that_was_in_force_is_good),          CASE(another_policy_is_refused_in_each_bit_class),
        CASE(same_policy_with_a_newline_is_another),     CASE(policy_is_refused_of_a_pod_that_had_none),
        CASE(policy_with_a_doubled_key_is_refused),      CASE(policy_that_is_not_canonical_is_refused),
        CASE(policy_with_an_unknown_key_is_refused),     CASE(policy_of_too_low_a_serial_is_refused),
        CASE(policy_before_its_time_is_refused),         CASE(policy_after_its_time_is_refused),
        CASE(log_and_policy_agree_on_debugging),         CASE(containers_and_processes_of_the_policy_are_good),
        CASE(container_that_no_rule_permits_is_refused), CASE(container_with_more_than_its_rule_says_is_refused),
        CASE(process_that_no_rule_permits_is_refused),   CASE(process_is_judged_by_its_containers_rule),
        CASE(process_of_no_container_is_refused),        CASE(id_that_changes_its_rule_is_refused),
        CASE(description_that_is_none_is_refused),       CASE(without_a_demand_descriptions_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
