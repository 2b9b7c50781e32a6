/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/oci_rig.h"
#include "vmm/oci/commands.h"

/* ---- list ---- */

static void an_empty_list_has_a_head(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_list_main, "list"), 0);
    assert_string_equal(r->out, "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
}

static void an_empty_list_is_an_empty_array_for_programs(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_list_main, "list --format json"), 0);
    assert_string_equal(r->out, "[]\n");
}

static void a_root_that_is_missing_has_no_containers(void **state)
{
    struct oci_rig *r = *state;
    r->global.root = "/tmp/caisson-is-not-here";
    assert_int_equal(oci_rig_run(r, oci_list_main, "list -q"), 0);
    assert_string_equal(r->out, "");
}

static void containers_are_listed_by_name_with_their_status(void **state)
{
    struct oci_rig *r = *state;
    char expected[512];
    oci_rig_add(r, "b-stopped", false, true, false);
    oci_rig_add(r, "a-running", true, true, false);
    assert_int_equal(oci_rig_run(r, oci_list_main, "list"), 0);
    snprintf(expected, sizeof(expected),
             "ID          PID         STATUS      BUNDLE      CREATED                          OWNER\n"
             "a-running   %-12ldrunning     /b          2026-01-02T03:04:05.000000006Z   root\n"
             "b-stopped   0           stopped     /b          2026-01-02T03:04:05.000000006Z   root\n",
             (long)r->children[0]);
    assert_string_equal(r->out, expected);
}

static void quiet_prints_names_alone(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "b", false, true, false);
    oci_rig_add(r, "a", false, true, false);
    assert_int_equal(oci_rig_run(r, oci_list_main, "list --quiet"), 0);
    assert_string_equal(r->out, "a\nb\n");
}

static void a_container_that_is_being_made_is_left_out(void **state)
{
    struct oci_rig *r = *state;
    char path[128];
    oci_rig_add(r, "a", false, true, false);
    snprintf(path, sizeof(path), "%s/half", r->root);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(oci_rig_run(r, oci_list_main, "list -q"), 0);
    assert_string_equal(r->out, "a\n");
}

static void another_format_is_refused(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_list_main, "list --format xml"), CLI_EXIT_USAGE);
    assert_non_null(strstr(r->err, "xml"));
}

/* ---- state ---- */

static void state_is_the_object_of_the_specification(void **state)
{
    struct oci_rig *r = *state;
    char expected[512];
    oci_rig_add(r, "web", true, false, false);
    assert_int_equal(oci_rig_run(r, oci_state_main, "state web"), 0);
    snprintf(expected, sizeof(expected),
             "{\n  \"ociVersion\": \"" OCI_STATE_VERSION "\",\n  \"id\": \"web\",\n  \"pid\": %ld,\n"
             "  \"status\": \"created\",\n  \"bundle\": \"/b\",\n  \"rootfs\": \"/b/rootfs\",\n"
             "  \"created\": \"2026-01-02T03:04:05.000000006Z\",\n  \"owner\": \"root\"\n}\n",
             (long)r->children[0]);
    assert_string_equal(r->out, expected);
}

static void state_of_nothing_says_so_in_words_that_engines_know(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_state_main, "state web"), CLI_EXIT_FAILURE);
    assert_string_equal(r->out, "");
    assert_non_null(strstr(r->err, "does not exist"));
}

static void state_wants_one_name(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_state_main, "state"), CLI_EXIT_USAGE);
    assert_int_equal(oci_rig_run(r, oci_state_main, "state a b"), CLI_EXIT_USAGE);
}

static void a_name_with_a_slash_is_refused(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_state_main, "state ../etc"), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "invalid container ID"));
}

/* ---- ps ---- */

static void processes_are_numbers_for_programs(void **state)
{
    struct oci_rig *r = *state;
    char expected[64];
    oci_rig_add(r, "web", true, true, false);
    assert_int_equal(oci_rig_run(r, oci_ps_main, "ps --format json web"), 0);
    snprintf(expected, sizeof(expected), "[%ld]\n", (long)r->children[0]);
    assert_string_equal(r->out, expected);
}

static void a_stopped_container_has_no_processes(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", false, true, false);
    assert_int_equal(oci_rig_run(r, oci_ps_main, "ps -f json web"), 0);
    assert_string_equal(r->out, "[]\n");
}

static void processes_are_a_table_for_people(void **state)
{
    struct oci_rig *r = *state;
    char expected[128];
    oci_rig_add(r, "web", true, true, false);
    assert_int_equal(oci_rig_run(r, oci_ps_main, "ps web -ef"), 0);
    snprintf(expected, sizeof(expected), "PID         PROCESS\n%-12ldinit\n", (long)r->children[0]);
    assert_string_equal(r->out, expected);
}

/* ---- Which form of run ---- */

static bool wants(const char *line)
{
    char words[128], *argv[16];
    int argc = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    return oci_run_wants(argc, argv);
}

static void run_is_told_apart_by_its_options(void **state)
{
    (void)state;
    assert_true(wants("run ID"));
    assert_true(wants("run --bundle /b ID"));
    assert_true(wants("run --rootfs /r -- ls"));
    assert_true(wants("run --rootfs=/r --kernel k -- ls"));
    assert_false(wants("run --kernel k -- ls"));
    assert_false(wants("run --kernel=k ls"));
    assert_false(wants("run -- ls"));
    assert_false(wants("run --kernel k -- ls --rootfs /r"));
    assert_false(wants("run --rootfs-cpio x --kernel k -- ls"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, oci_rig_set_up, oci_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_empty_list_has_a_head),
        CASE(an_empty_list_is_an_empty_array_for_programs),
        CASE(a_root_that_is_missing_has_no_containers),
        CASE(containers_are_listed_by_name_with_their_status),
        CASE(quiet_prints_names_alone),
        CASE(a_container_that_is_being_made_is_left_out),
        CASE(another_format_is_refused),
        CASE(state_is_the_object_of_the_specification),
        CASE(state_of_nothing_says_so_in_words_that_engines_know),
        CASE(state_wants_one_name),
        CASE(a_name_with_a_slash_is_refused),
        CASE(processes_are_numbers_for_programs),
        CASE(a_stopped_container_has_no_processes),
        CASE(processes_are_a_table_for_people),
        cmocka_unit_test(run_is_told_apart_by_its_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
