/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/oci/commands.h"

static bool exists(const struct oci_rig *r, const char *id)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", r->root, id);
    return access(path, F_OK) == 0;
}

static void assert_fails(struct oci_rig *r, int (*command)(const struct cli_io *, int, char **), const char *line,
                         const char *words)
{
    assert_int_equal(oci_rig_run(r, command, line), command == oci_exec_main ? 255 : CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, words));
}

/* ---- What does not exist ---- */

static void commands_on_nothing_say_that_it_does_not_exist(void **state)
{
    struct oci_rig *r = *state;
    assert_fails(r, oci_start_main, "start web", "container \"web\" does not exist");
    assert_fails(r, oci_kill_main, "kill web", "container \"web\" does not exist");
    assert_fails(r, oci_delete_main, "delete web", "container \"web\" does not exist");
    assert_fails(r, oci_pause_main, "pause web", "container \"web\" does not exist");
    assert_fails(r, oci_resume_main, "resume web", "container \"web\" does not exist");
    assert_fails(r, oci_exec_main, "exec web ls", "container \"web\" does not exist");
    assert_fails(r, oci_events_main, "events --stats web", "container \"web\" does not exist");
    assert_fails(r, oci_update_main, "update --memory 1g web", "container \"web\" does not exist");
}

static void delete_by_force_of_nothing_succeeds(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete --force web"), 0);
    assert_string_equal(r->err, "");
    assert_false(exists(r, "web"));
}

/* ---- start ---- */

static void a_stopped_container_cannot_be_started(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", false, true, false);
    assert_fails(r, oci_start_main, "start web", "cannot start a container that has stopped");
}

static void a_running_container_cannot_be_started(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", true, true, false);
    assert_fails(r, oci_start_main, "start web", "cannot start an already running container");
}

/* ---- kill ---- */

static void a_stopped_container_cannot_be_signalled(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", false, true, false);
    assert_fails(r, oci_kill_main, "kill web 9", "container not running");
}

static void an_unknown_signal_is_refused_before_the_container_is_looked_for(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_kill_main, "kill web NONSENSE"), CLI_EXIT_USAGE);
    assert_non_null(strstr(r->err, "NONSENSE"));
}

/* A pod that is gone while the container's process is still there: SIGKILL must work all the same. */
static void kill_9_ends_the_process_on_the_host_where_the_pod_does_not_answer(void **state)
{
    struct oci_rig *r = *state;
    int status;
    oci_rig_add(r, "web", true, true, false);
    r->io.global = &r->global;
    assert_int_equal(oci_rig_run(r, oci_kill_main, "kill web KILL"), 0);
    assert_int_equal(waitpid(r->children[0], &status, 0), r->children[0]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    r->child_count = 0;
}

/* ---- delete ---- */

static void a_running_container_is_not_deleted(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", true, true, false);
    assert_fails(r, oci_delete_main, "delete web", "not stopped");
    assert_true(exists(r, "web"));
    assert_int_equal(kill(r->children[0], 0), 0);
}

static void a_created_container_is_not_deleted(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", true, false, false);
    assert_fails(r, oci_delete_main, "delete web", "it is created");
    assert_true(exists(r, "web"));
}

static void a_stopped_container_is_deleted(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", false, true, false);
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete web"), 0);
    assert_false(exists(r, "web"));
}

static void what_an_interrupted_create_left_is_deleted(void **state)
{
    struct oci_rig *r = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/half", r->root);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete half"), 0);
    assert_false(exists(r, "half"));
}

static void a_container_with_a_damaged_state_is_deleted_by_force(void **state)
{
    struct oci_rig *r = *state;
    char path[128];
    oci_rig_add(r, "web", false, true, false);
    snprintf(path, sizeof(path), "%s/web/state.json", r->root);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete --force web"), 0);
    assert_false(exists(r, "web"));
}

static void delete_ends_a_pod_process_that_does_not_answer(void **state)
{
    struct oci_rig *r = *state;
    char path[128];
    oci_rig_add(r, "web", false, true, false);
    struct oci_process p = oci_rig_process(r);
    snprintf(path, sizeof(path), "%s/web/pod.pid", r->root);
    FILE *f = fopen(path, "w");
    fprintf(f, "{\"pid\":%ld,\"startTime\":%llu}", (long)p.pid, (unsigned long long)p.start);
    fclose(f);
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete web"), 0);
    assert_false(oci_process_lives(&p));
    assert_false(exists(r, "web"));
}

static void delete_spares_a_process_that_got_the_pods_number(void **state)
{
    struct oci_rig *r = *state;
    char path[128];
    oci_rig_add(r, "web", false, true, false);
    struct oci_process p = oci_rig_process(r);
    snprintf(path, sizeof(path), "%s/web/pod.pid", r->root);
    FILE *f = fopen(path, "w");
    fprintf(f, "{\"pid\":%ld,\"startTime\":%llu}", (long)p.pid, (unsigned long long)p.start - 1);
    fclose(f);
    assert_int_equal(oci_rig_run(r, oci_delete_main, "delete web"), 0);
    assert_true(oci_process_lives(&p));
}

/* ---- pause, resume, exec, update ---- */

static void only_a_running_container_is_paused(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "stopped", false, true, false);
    oci_rig_add(r, "created", true, false, false);
    oci_rig_add(r, "paused", true, true, true);
    assert_fails(r, oci_pause_main, "pause stopped", "container not running");
    assert_fails(r, oci_pause_main, "pause created", "container not running");
    assert_fails(r, oci_pause_main, "pause paused", "container is paused");
}

static void only_a_paused_container_is_resumed(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", true, true, false);
    assert_fails(r, oci_resume_main, "resume web", "container not paused");
}

static void what_the_agent_did_not_do_is_not_remembered(void **state)
{
    struct oci_rig *r = *state;
    struct oci_state s;
    oci_rig_add(r, "web", true, true, false);
    assert_int_equal(oci_rig_run(r, oci_pause_main, "pause web"), CLI_EXIT_FAILURE);
    assert_int_equal(oci_rig_load(r, "web", &s), 0);
    assert_false(s.paused);
    oci_state_release(&s);
}

static void nothing_is_executed_in_a_container_that_does_not_run(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "stopped", false, true, false);
    oci_rig_add(r, "paused", true, true, true);
    assert_fails(r, oci_exec_main, "exec stopped ls", "cannot exec in a stopped container");
    assert_fails(r, oci_exec_main, "exec paused ls", "cannot exec in a paused container");
}

static void exec_wants_a_command_or_a_process_file(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_exec_main, "exec"), CLI_EXIT_USAGE);
    assert_int_equal(oci_rig_run(r, oci_exec_main, "exec web"), CLI_EXIT_USAGE);
}

static void help_of_exec_is_not_that_of_the_command_in_it(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, oci_exec_main, "exec --help"), 0);
    assert_non_null(strstr(r->out, "usage: caisson exec"));
    assert_fails(r, oci_exec_main, "exec web ls --help", "does not exist");
}

static void update_refuses_sizes_that_are_none(void **state)
{
    struct oci_rig *r = *state;
    oci_rig_add(r, "web", true, true, false);
    assert_fails(r, oci_update_main, "update --memory much web", "--memory");
    assert_fails(r, oci_update_main, "update -r /nonexistent web", "/nonexistent");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, oci_rig_set_up, oci_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(commands_on_nothing_say_that_it_does_not_exist),
        CASE(delete_by_force_of_nothing_succeeds),
        CASE(a_stopped_container_cannot_be_started),
        CASE(a_running_container_cannot_be_started),
        CASE(a_stopped_container_cannot_be_signalled),
        CASE(an_unknown_signal_is_refused_before_the_container_is_looked_for),
        CASE(kill_9_ends_the_process_on_the_host_where_the_pod_does_not_answer),
        CASE(a_running_container_is_not_deleted),
        CASE(a_created_container_is_not_deleted),
        CASE(a_stopped_container_is_deleted),
        CASE(what_an_interrupted_create_left_is_deleted),
        CASE(a_container_with_a_damaged_state_is_deleted_by_force),
        CASE(delete_ends_a_pod_process_that_does_not_answer),
        CASE(delete_spares_a_process_that_got_the_pods_number),
        CASE(only_a_running_container_is_paused),
        CASE(only_a_paused_container_is_resumed),
        CASE(what_the_agent_did_not_do_is_not_remembered),
        CASE(nothing_is_executed_in_a_container_that_does_not_run),
        CASE(exec_wants_a_command_or_a_process_file),
        CASE(help_of_exec_is_not_that_of_the_command_in_it),
        CASE(update_refuses_sizes_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
