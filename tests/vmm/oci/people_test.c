/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/fake_agent.h"
#include "tests/lib/oci_rig.h"

/* A file in the folder of a container's pod. */
static void put(const struct oci_rig *r, const char *id, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s/pod/%s", r->root, id, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void expect_success(struct oci_rig *r, int code)
{
    if (code != CLI_EXIT_OK)
        fail_msg("%s", r->err);
}

static void expect_words(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, text);
}

/* ---- logs, console ---- */

static void logs_are_those_of_the_pod(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "c1", true, true, false);
    put(r, "c1", "pod.log", "a\nb\nc\n");
    put(r, "c1", "console.log", "Linux\nguest-init: \x1b[1mstep\n");
    expect_success(r, oci_rig_run(r, oci_logs_main, "logs c1"));
    assert_string_equal(r->out, "a\nb\nc\n");
    expect_success(r, oci_rig_run(r, oci_logs_main, "logs --tail 2 c1"));
    assert_string_equal(r->out, "b\nc\n");
    expect_success(r, oci_rig_run(r, oci_console_main, "console -n 1 c1"));
    assert_string_equal(r->out, "guest-init: ?[1mstep\n");
}

static void following_ends_with_the_pod(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "c1", false, true, false);
    put(r, "c1", "pod.log", "a\n");
    expect_success(r, oci_rig_run(r, oci_logs_main, "logs --follow c1"));
    assert_string_equal(r->out, "a\n");
}

static void a_log_that_was_never_begun_is_an_error_with_its_name(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "c1", true, true, false);
    assert_int_equal(oci_rig_run(r, oci_console_main, "console c1"), CLI_EXIT_FAILURE);
    expect_words(r->err, "cannot read console.log");
}

static void logs_of_nothing_are_an_error(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_logs_main, "logs c1"), CLI_EXIT_FAILURE);
    expect_words(r->err, "does not exist");
    assert_int_equal(oci_rig_run(r, oci_logs_main, "logs"), CLI_EXIT_USAGE);
    assert_int_equal(oci_rig_run(r, oci_logs_main, "logs --tail -1 c1"), CLI_EXIT_USAGE);
    assert_int_equal(oci_rig_run(r, oci_logs_main, "logs --tail 4294967296 c1"), CLI_EXIT_USAGE);
}

/* ---- inspect ---- */

static void add_with_pod(struct oci_rig *r)
{
    oci_rig_add(r, "c1", true, true, false);
    put(r, "c1", "pod.json",
        "{\"id\":\"c1\",\"pid\":4,\"startTime\":1,\"phase\":\"stopped\",\"why\":\"it \\u001b panicked\","
        "\"kernel\":\"/k\",\"vps\":2,\"memory\":268435456,\"hypervisor\":\"softhv\"}");
}

static void inspect_tells_people_what_there_is(void **state)
{
    struct oci_rig *r = *state;
    add_with_pod(r);
    expect_success(r, oci_rig_run(r, oci_inspect_main, "inspect c1"));
    expect_words(r->out, "Container:     c1\nStatus:        running\n");
    expect_words(r->out, "Bundle:        /b\n");
    expect_words(r->out, "Pod phase:     stopped\nPod ended:     it ? panicked\n");
    expect_words(r->out, "Machine:       2 processors, 256 MiB\n");
}

static void inspect_tells_programs_the_same(void **state)
{
    struct oci_rig *r = *state;
    add_with_pod(r);
    expect_success(r, oci_rig_run(r, oci_inspect_main, "inspect --json c1"));
    json_t *all = json_loads(r->out, 0, NULL);
    assert_non_null(all);
    assert_string_equal(json_string_value(json_object_get(json_object_get(all, "state"), "status")), "running");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "pod"), "vps")), 2);
    const json_t *process = json_array_get(json_object_get(all, "processes"), 0);
    assert_int_equal(json_integer_value(json_object_get(process, "pid")), r->children[0]);
    assert_true(json_is_true(json_object_get(process, "lives")));
    assert_true(json_is_array(json_object_get(all, "exports")));
    json_decref(all);
}

static void inspect_does_without_a_pods_record(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "c1", false, true, false);
    expect_success(r, oci_rig_run(r, oci_inspect_main, "inspect c1"));
    expect_words(r->out, "Status:        stopped\n");
    put(r, "c1", "pod.json", "{\"vps\":\"many\", ");
    expect_success(r, oci_rig_run(r, oci_inspect_main, "inspect --json c1"));
    json_t *all = json_loads(r->out, 0, NULL);
    assert_non_null(all);
    assert_null(json_object_get(all, "pod"));
    json_decref(all);
}

static void inspect_asks_a_pod_that_runs(void **state)
{
    struct oci_rig *r = *state;
    struct fake_agent f;
    struct oci_state s = {.id = NULL};
    char path[256], text[256];
    fake_agent_start(&f, &(struct fake_agent_config){0});
    oci_rig_add(r, "c1", true, true, false);
    assert_int_equal(oci_rig_load(r, "c1", &s), 0);
    (void)snprintf(text, sizeof(text), "{\"pid\":%d,\"startTime\":%llu}", (int)s.init.pid,
                   (unsigned long long)s.init.start);
    put(r, "c1", "../pod.pid", text);
    oci_state_release(&s);
    (void)snprintf(path, sizeof(path), "%s/c1/pod/pod.sock", r->root);
    (void)snprintf(text, sizeof(text), "%s/pod.sock", f.folder);
    assert_int_equal(symlink(text, path), 0);
    expect_success(r, oci_rig_run(r, oci_inspect_main, "inspect c1"));
    expect_words(r->out, "Pod phase:     running\n");
    expect_words(r->out, "Machine:       3 processors, 0 MiB\n");
    fake_agent_stop(&f);
}

/* ---- top ---- */

/* The agent of a container's pod. */
static void link_agent(const struct oci_rig *r, const char *id, const struct fake_agent *f)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s/pod/vsock", r->root, id);
    assert_int_equal(symlink(f->vsock, path), 0);
}

static void top_shows_what_runs_and_what_it_uses(void **state)
{
    struct oci_rig *r = *state;
    struct fake_agent f;
    fake_agent_start(&f, &(struct fake_agent_config){0});
    oci_rig_add(r, "c1", true, true, false);
    oci_rig_add(r, "created", true, false, false);
    oci_rig_add(r, "stopped", false, true, false);
    link_agent(r, "c1", &f);
    expect_success(r, oci_rig_run(r, oci_top_main, "top --once"));
    expect_words(r->out, "CONTAINER");
    expect_words(r->out, "\nc1 ");
    expect_words(r->out, "     7     0 B     0 B\n");
    assert_null(strstr(r->out, "created"));
    assert_null(strstr(r->out, "stopped"));
    assert_null(strchr(r->out, 0x1b));
    fake_agent_stop(&f);
}

static void a_pod_that_does_not_answer_spoils_its_own_row_only(void **state)
{
    struct oci_rig *r = *state;
    struct fake_agent good, silent;
    fake_agent_start(&good, &(struct fake_agent_config){0});
    fake_agent_start(&silent, &(struct fake_agent_config){.trouble = FAKE_AGENT_SILENT});
    oci_rig_add(r, "good", true, true, false);
    oci_rig_add(r, "silent", true, true, false);
    oci_rig_add(r, "gone", true, true, false);
    link_agent(r, "good", &good);
    link_agent(r, "silent", &silent);
    expect_success(r, oci_rig_run(r, oci_top_main, "top --once"));
    expect_words(r->out, "gone                     gone                     running   no answer\n");
    expect_words(r->out, "silent                   silent                   running   no answer\n");
    expect_words(r->out, "     7     0 B     0 B\n");
    fake_agent_stop(&good);
    fake_agent_stop(&silent);
}

static void top_without_containers_is_a_head(void **state)
{
    struct oci_rig *r = *state;
    expect_success(r, oci_rig_run(r, oci_top_main, "top --once"));
    assert_int_equal(strncmp(r->out, "CONTAINER", 9), 0);
    assert_int_equal(oci_rig_run(r, oci_top_main, "top --interval 0"), CLI_EXIT_USAGE);
    assert_int_equal(oci_rig_run(r, oci_top_main, "top c1"), CLI_EXIT_USAGE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oci_rig_set_up, oci_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(logs_are_those_of_the_pod),
        CASE(following_ends_with_the_pod),
        CASE(a_log_that_was_never_begun_is_an_error_with_its_name),
        CASE(logs_of_nothing_are_an_error),
        CASE(inspect_tells_people_what_there_is),
        CASE(inspect_tells_programs_the_same),
        CASE(inspect_asks_a_pod_that_runs),
        CASE(inspect_does_without_a_pods_record),
        CASE(top_shows_what_runs_and_what_it_uses),
        CASE(a_pod_that_does_not_answer_spoils_its_own_row_only),
        CASE(top_without_containers_is_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
