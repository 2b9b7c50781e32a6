/* SPDX-License-Identifier: Apache-2.0 */
/* Life of containers and their further processes, as clients of the agent see it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "tests/lib/agent_rig.h"

/* Statuses as waitpid(2) gives them. */
#define EXIT(code)  ((code) << 8)
#define KILLED(sig) (sig)

static void assert_answer(struct agent_rig *r, uint32_t stream, int32_t code)
{
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.stream, stream);
    assert_int_equal(r->client.code, code);
}

static void assert_no_answer(struct agent_rig *r)
{
    assert_false(rig_receive(r, &r->client));
}

static void assert_logged(struct agent_rig *r, const char *words)
{
    char *log = rig_log(r);
    if (strstr(log, words) == NULL)
        fail_msg("'%s' is not in the log: %s", words, log);
    free(log);
}

/* ---- Creation ---- */

static void create_is_answered_when_the_container_is_made(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream = rig_create(r, "web", false);
    assert_no_answer(r);
    rig_advance(r, rig_container(r, "web"), -EAGAIN, "");
    assert_no_answer(r);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_answer(r, stream, TTRPC_OK);
    assert_string_equal(rig_container(r, "web")->rootfs, "/run/caisson/shared/root");
    assert_logged(r, "container web: created");
}

static void create_that_fails_at_once_leaves_nothing(void **state)
{
    struct agent_rig *r = *state;
    r->create_result = -ENOTSUP;
    assert_answer(r, rig_create(r, "web", false), TTRPC_UNIMPLEMENTED);
    assert_string_equal(r->client.text, "the rig says no");
    assert_int_equal(r->agent->container_count, 0);
    assert_int_equal(r->agent->process_count, 0);
    r->create_result = 0;
    (void)rig_running(r, "web", false);
}

static void create_that_fails_later_is_answered_when_all_is_cleaned_up(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream = rig_create(r, "web", false);
    struct container *c = rig_container(r, "web");
    rig_advance(r, c, -ENOENT, "cannot mount /data");
    assert_no_answer(r);
    assert_int_equal(r->signals[0].signal, SIGKILL);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_answer(r, stream, TTRPC_NOT_FOUND);
    assert_string_equal(r->client.text, "cannot mount /data");
    assert_int_equal(r->destroyed, 1);
    assert_int_equal(r->agent->container_count, 0);
}

static void names_that_could_be_paths_are_refused(void **state)
{
    static const char *const names[] = {"", ".", "..", "a/b", "../x", "a b", "a\nb", "\xc3\xa4"};
    struct agent_rig *r = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_answer(r, rig_create(r, names[i], false), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->created, 0);
}

static void a_name_may_have_128_characters_and_no_more(void **state)
{
    struct agent_rig *r = *state;
    char name[5001];
    memset(name, 'n', sizeof(name));
    name[5000] = '\0';
    assert_answer(r, rig_create(r, name, false), TTRPC_INVALID_ARGUMENT);
    name[129] = '\0';
    assert_answer(r, rig_create(r, name, false), TTRPC_INVALID_ARGUMENT);
    name[128] = '\0';
    (void)rig_running(r, name, false);
}

static void a_container_without_a_root_is_refused(void **state)
{
    struct agent_rig *r = *state;
    grpc_CreateContainerRequest q = {.container_id = rig_text("web")};
    assert_int_equal(rig_call(r, "CreateContainer", grpc_CreateContainerRequest_fields, &q, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
    q.has_OCI = q.OCI.has_Root = true;
    q.OCI.Root.Path = rig_text("relative");
    assert_int_equal(rig_call(r, "CreateContainer", grpc_CreateContainerRequest_fields, &q, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
}

static void two_creates_of_one_name_give_one_container(void **state)
{
    struct agent_rig *r = *state;
    uint32_t first = rig_create(r, "web", false);
    assert_answer(r, rig_create(r, "web", false), TTRPC_ALREADY_EXISTS);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_answer(r, first, TTRPC_OK);
}

static void a_client_that_leaves_during_create_finds_the_container_later(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_create(r, "web", false);
    rig_disconnect(&r->client);
    agent_rig_run(r);
    rig_advance(r, rig_container(r, "web"), 0, "");
    rig_connect(r, &r->client);
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), -1);
}

static void the_sixty_fifth_container_is_refused(void **state)
{
    struct agent_rig *r = *state;
    char name[16];
    for (int i = 0; i < AGENT_CONTAINERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        (void)rig_create(r, name, false);
    }
    assert_answer(r, rig_create(r, "one-more", false), TTRPC_RESOURCE_EXHAUSTED);
}

static uint32_t create_with_details(struct agent_rig *r, const char *id, const char *source, const char *point,
                                    const char *details[2], unsigned count)
{
    char *options[2] = {rig_text(details[0]), rig_text(details[1])};
    grpc_Storage s[2] = {{.driver = rig_text("blk"),
                          .source = rig_text(source),
                          .mount_point = rig_text(point),
                          .driver_options = options,
                          .driver_options_count = count},
                         {.driver = rig_text("local"), .mount_point = rig_text("/run/caisson/storage/l")}};
    grpc_CreateContainerRequest q = {.container_id = rig_text(id),
                                     .has_OCI = true,
                                     .OCI = {.has_Root = true, .Root = {.Path = rig_text("/r")}},
                                     .storages = s,
                                     .storages_count = 2};
    return rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
}

static uint32_t create_with_storage(struct agent_rig *r, const char *id, const char *source, const char *point)
{
    return create_with_details(r, id, source, point, (const char *[2]){"", ""}, 0);
}

static void remove_one(struct agent_rig *r, const char *id)
{
    struct container *c = rig_container(r, id);
    assert_int_equal(rig_by_id(r, "RemoveContainer", id), -1);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
}

static void containers_share_a_mount_and_the_last_one_unmounts_it(void **state)
{
    struct agent_rig *r = *state;
    (void)create_with_storage(r, "a", "/dev/vda", "/run/caisson/storage/d");
    (void)create_with_storage(r, "b", "/dev/vda", "/run/caisson/storage/d");
    assert_int_equal(r->mounts, 2);
    rig_advance(r, rig_container(r, "a"), 0, "");
    rig_advance(r, rig_container(r, "b"), 0, "");
    assert_true(rig_receive(r, &r->client) && rig_receive(r, &r->client));
    remove_one(r, "a");
    assert_int_equal(r->unmounts, 0);
    remove_one(r, "b");
    assert_int_equal(r->unmounts, 2);
    assert_int_equal(r->agent->mount_count, 0);
}

static void another_source_on_a_mount_point_is_refused(void **state)
{
    struct agent_rig *r = *state;
    (void)create_with_storage(r, "a", "/dev/vda", "/run/caisson/storage/d");
    assert_answer(r, create_with_storage(r, "b", "/dev/vdb", "/run/caisson/storage/d"), TTRPC_ALREADY_EXISTS);
    assert_int_equal(r->agent->container_count, 1);
}

/* The second is to get what it asks for, and not what the first was content with. */
static void other_options_of_the_driver_on_a_mount_point_are_refused(void **state)
{
    static const char *const point = "/run/caisson/storage/d";
    const struct {
        const char *options[2];
        unsigned count;
    } others[] = {
        {{"", ""}, 0}, {{"verity_root=a", ""}, 1}, {{"verity_root=a", "x=2"}, 2}, {{"verity_root=a\nx=1", ""}, 1}};
    const char *first[2] = {"verity_root=a", "x=1"};
    struct agent_rig *r = *state;
    (void)create_with_details(r, "a", "/dev/vda", point, first, 2);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *options[2] = {others[i].options[0], others[i].options[1]};
        assert_answer(r, create_with_details(r, "b", "/dev/vda", point, options, others[i].count),
                      TTRPC_ALREADY_EXISTS);
    }
    (void)create_with_details(r, "b", "/dev/vda", point, first, 2);
    assert_int_equal(r->agent->container_count, 2);
    assert_int_equal(r->mounts, 2);
}

static void mounts_are_undone_when_create_fails(void **state)
{
    struct agent_rig *r = *state;
    r->create_result = -EINVAL;
    assert_answer(r, create_with_storage(r, "a", "/dev/vda", "/run/caisson/storage/d"), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->mounts, 2);
    assert_int_equal(r->unmounts, 2);
}

static void a_storage_that_cannot_be_mounted_ends_the_create(void **state)
{
    struct agent_rig *r = *state;
    r->mount_result = -ENOENT;
    assert_answer(r, create_with_storage(r, "a", "/dev/vda", "/run/caisson/storage/d"), TTRPC_NOT_FOUND);
    assert_int_equal(r->created, 0);
    assert_int_equal(r->unmounts, 0);
}

static void the_pods_pid_namespace_is_made_once_and_for_those_who_want_it(void **state)
{
    struct agent_rig *r = *state;
    grpc_CreateContainerRequest q = {.container_id = rig_text("a"),
                                     .sandbox_pidns = true,
                                     .has_OCI = true,
                                     .OCI = {.has_Root = true, .Root = {.Path = rig_text("/r")}}};
    (void)rig_create(r, "own", false);
    assert_int_equal(r->pid_namespaces, 0);
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    q.container_id = rig_text("b");
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    assert_int_equal(r->pid_namespaces, 1);
    assert_false(rig_container(r, "own")->pod_pid_ns);
    assert_true(rig_container(r, "a")->pod_pid_ns && rig_container(r, "b")->pod_pid_ns);
}

static void who_lists_no_pid_namespace_shares_the_pods(void **state)
{
    struct agent_rig *r = *state;
    grpc_CreateContainerRequest q = {
        .container_id = rig_text("a"), .has_OCI = true, .OCI = {.has_Root = true, .Root = {.Path = rig_text("/r")}}};
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    agent_rig_run(r);
    assert_int_equal(r->pid_namespaces, 1);
}

static void process_ids_can_be_those_of_another_container(void **state)
{
    struct agent_rig *r = *state;
    struct container *web = rig_running(r, "web", false);
    grpc_CreateContainerRequest q = {.container_id = rig_text("a"),
                                     .pid_container = rig_text("web"),
                                     .sandbox_pidns = true,
                                     .has_OCI = true,
                                     .OCI = {.has_Root = true, .Root = {.Path = rig_text("/r")}}};
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    agent_rig_run(r);
    assert_int_equal(r->pid_ns_of, web->first->pid);
    assert_true(rig_container(r, "a")->pod_pid_ns);
    assert_int_equal(r->pid_namespaces, 0);
    rig_exit(r, web->first, EXIT(0));
    static const char *const nobody[] = {"web", "b", "none"};
    for (size_t i = 0; i < 3; i++) {
        q.container_id = rig_text("b");
        q.pid_container = rig_text(nobody[i]);
        assert_int_equal(rig_call(r, "CreateContainer", grpc_CreateContainerRequest_fields, &q, NULL, NULL),
                         TTRPC_NOT_FOUND);
        assert_non_null(strstr(r->client.text, "cannot share the process IDs of container"));
    }
}

static void a_pods_pid_namespace_that_has_ended_is_made_anew(void **state)
{
    struct agent_rig *r = *state;
    struct rig_process pause = {.pid = 2, .in = -1, .out = -1, .err = -1, .tty = -1};
    grpc_CreateContainerRequest q = {.container_id = rig_text("a"),
                                     .sandbox_pidns = true,
                                     .has_OCI = true,
                                     .OCI = {.has_Root = true, .Root = {.Path = rig_text("/r")}}};
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    agent_rig_run(r);
    rig_exit(r, &pause, SIGKILL);
    q.container_id = rig_text("b");
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    agent_rig_run(r);
    assert_int_equal(r->pid_namespaces, 2);
    assert_true(rig_container(r, "b")->pod_pid_ns);
}

/* ---- Start and end ---- */

static void start_is_answered_when_the_program_runs(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_true(c->started);
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), TTRPC_FAILED_PRECONDITION);
}

static void a_container_that_is_not_made_yet_cannot_start(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_create(r, "web", false);
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), TTRPC_FAILED_PRECONDITION);
    assert_false(rig_container(r, "web")->started);
}

static void a_program_that_is_not_there_is_an_error_of_start(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_create(r, "web", false);
    struct container *c = rig_container(r, "web");
    int32_t status;
    rig_advance(r, c, 0, "");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), -1);
    rig_advance(r, c, -ENOENT, "cannot run nothing");
    /* Told once it has stopped, what its hooks have left is killed; the container is there until it is removed. */
    assert_false(rig_receive(r, &r->client));
    rig_exit(r, c->first, EXIT(1));
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_NOT_FOUND);
    assert_string_equal(r->client.text, "cannot run nothing");
    assert_int_equal(r->signals[r->signal_count - 1].pid, 0);
    assert_int_equal(r->signals[r->signal_count - 1].signal, SIGKILL);
    assert_int_equal(rig_wait(r, "web", "", &status), TTRPC_OK);
    assert_int_equal(status, 1);
}

static void every_waiter_gets_the_exit_code(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    int32_t status;
    assert_int_equal(rig_wait(r, "web", "", &status), -1);
    assert_int_equal(rig_wait(r, "web", "web", &status), -1);
    rig_exit(r, c->first, EXIT(42));
    for (int i = 0; i < 2; i++) {
        grpc_WaitProcessResponse answer;
        assert_true(rig_receive(r, &r->client));
        assert_int_equal(rig_decode(&r->client, grpc_WaitProcessResponse_fields, &answer), 0);
        assert_int_equal(answer.status, 42);
    }
    assert_true(c->exited);
    assert_int_equal(c->wait_status, EXIT(42));
}

static void the_exit_code_stays_known_until_the_container_is_removed(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    int32_t status;
    rig_exit(r, c->first, EXIT(255));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_wait(r, "web", "", &status), TTRPC_OK);
        assert_int_equal(status, 255);
    }
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), TTRPC_OK);
    assert_int_equal(rig_wait(r, "web", "", &status), TTRPC_NOT_FOUND);
}

static void a_process_that_a_signal_ended_has_status_128_and_its_number(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    rig_exit(r, rig_running(r, "web", false)->first, KILLED(SIGSEGV));
    assert_int_equal(rig_wait(r, "web", "", &status), TTRPC_OK);
    assert_int_equal(status, 128 + SIGSEGV);
}

static void a_signal_goes_to_all_to_the_first_or_to_one_process(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    (void)rig_exec(r, "web", "sh");
    assert_int_equal(rig_signal(r, "web", "", SIGTERM), TTRPC_OK);
    assert_int_equal(rig_signal(r, "web", "web", SIGUSR1), TTRPC_OK);
    assert_int_equal(rig_signal(r, "web", "sh", SIGKILL), TTRPC_OK);
    assert_int_equal(r->signals[0].pid, 0);
    assert_int_equal(r->signals[0].signal, SIGTERM);
    assert_int_equal(r->signals[1].pid, c->first->pid);
    assert_int_equal(r->signals[1].signal, SIGUSR1);
    assert_int_equal(r->signals[2].pid, rig_last(r)->pid);
}

static void signals_to_nobody_are_errors(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_signal(r, "db", "", SIGTERM), TTRPC_NOT_FOUND);
    assert_int_equal(rig_signal(r, "web", "sh", SIGTERM), TTRPC_NOT_FOUND);
    assert_int_equal(rig_signal(r, "web", "web", 65), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(rig_signal(r, "web", "web", UINT32_MAX), TTRPC_INVALID_ARGUMENT);
    rig_exit(r, c->first, EXIT(0));
    assert_int_equal(rig_signal(r, "web", "web", SIGTERM), TTRPC_NOT_FOUND);
    assert_int_equal(r->signal_count, 0);
}

/* ---- Removal ---- */

static void remove_kills_what_runs_and_waits_for_it(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), -1);
    assert_int_equal(r->signals[0].signal, SIGKILL);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    assert_int_equal(r->destroyed, 1);
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), TTRPC_NOT_FOUND);
}

static void what_the_host_showed_for_it_is_asked_for_when_it_is_gone(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), -1);
    assert_int_equal(r->looks, 0);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_int_equal(r->destroyed, 1);
    assert_int_equal(r->looks, 1);
    assert_string_equal(r->looked, "/run/caisson/shared/root");
}

static void remove_tries_again_while_the_control_group_is_busy(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    c->busy = 2;
    rig_exit(r, c->first, EXIT(0));
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), -1);
    rig_pass(r, 10);
    assert_no_answer(r);
    rig_pass(r, 10);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
}

static void remove_gives_up_after_its_timeout_and_goes_on_in_silence(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    grpc_RemoveContainerRequest q = {.container_id = rig_text("web"), .timeout = 2};
    assert_int_equal(rig_call(r, "RemoveContainer", grpc_RemoveContainerRequest_fields, &q, NULL, NULL), -1);
    rig_pass(r, 2000);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_DEADLINE_EXCEEDED);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_int_equal(r->destroyed, 1);
}

static void a_removal_that_fails_can_be_tried_again(void **state)
{
    struct agent_rig *r = *state;
    rig_exit(r, rig_running(r, "web", false)->first, EXIT(0));
    r->destroy_result = -EIO;
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), TTRPC_UNKNOWN);
    r->destroy_result = 0;
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), TTRPC_OK);
}

static void a_container_that_is_being_made_can_be_removed(void **state)
{
    struct agent_rig *r = *state;
    uint32_t create = rig_create(r, "web", false);
    struct container *c = rig_container(r, "web");
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), -1);
    rig_exit(r, c->first, KILLED(SIGKILL));
    assert_answer(r, create, TTRPC_ABORTED);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
}

static void readers_and_waiters_are_answered_when_the_container_goes(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    int32_t status;
    (void)rig_exec(r, "web", "sh");
    rig_exec_done(r, rig_last(r), 0, "");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(rig_wait(r, "web", "sh", &status), -1);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "sh", 10), -1);
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), -1);
    rig_exit(r, rig_last(r), KILLED(SIGKILL));
    rig_exit(r, c->first, KILLED(SIGKILL));
    for (int i = 0; i < 3; i++) {
        assert_true(rig_receive(r, &r->client));
        assert_int_equal(r->client.code, TTRPC_OK);
    }
    assert_int_equal(r->agent->server.calls, 0);
}

/* ---- Further processes ---- */

static void exec_is_answered_when_the_program_runs(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    uint32_t stream = rig_exec(r, "web", "sh");
    assert_no_answer(r);
    rig_exec_done(r, rig_last(r), 0, "");
    assert_answer(r, stream, TTRPC_OK);
}

static void exec_that_fails_at_once_leaves_nothing(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->exec_result = -EBUSY;
    assert_answer(r, rig_exec(r, "web", "sh"), TTRPC_FAILED_PRECONDITION);
    assert_int_equal(r->agent->process_count, 1);
}

static void exec_of_a_program_that_is_not_there_fails_and_frees_its_name(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    (void)rig_running(r, "web", false);
    uint32_t stream = rig_exec(r, "web", "sh");
    struct rig_process *p = rig_last(r);
    rig_exec_done(r, p, -ENOENT, "no such program");
    assert_answer(r, stream, TTRPC_NOT_FOUND);
    assert_string_equal(r->client.text, "no such program");
    assert_int_equal(rig_wait(r, "web", "sh", &status), TTRPC_NOT_FOUND);
    rig_exit(r, p, EXIT(1));
    assert_int_equal(r->agent->process_count, 1);
    stream = rig_exec(r, "web", "sh");
    rig_exec_done(r, rig_last(r), 0, "");
    assert_answer(r, stream, TTRPC_OK);
}

static void an_exec_may_end_before_its_start_is_known(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    (void)rig_running(r, "web", false);
    uint32_t stream = rig_exec(r, "web", "sh");
    struct rig_process *p = rig_last(r);
    rig_exit(r, p, EXIT(3));
    assert_no_answer(r);
    rig_exec_done(r, p, 0, "");
    assert_answer(r, stream, TTRPC_OK);
    assert_int_equal(rig_wait(r, "web", "sh", &status), TTRPC_OK);
    assert_int_equal(status, 3);
}

static struct rig_process *exec_running(struct agent_rig *r, const char *exec_id)
{
    (void)rig_exec(r, "web", exec_id);
    struct rig_process *p = rig_last(r);
    rig_exec_done(r, p, 0, "");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    return p;
}

static void an_exec_is_forgotten_once_waited_for_but_its_output_can_be_read(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    (void)rig_running(r, "web", false);
    struct rig_process *p = exec_running(r, "sh");
    assert_int_equal(write(p->out, "late", 4), 4);
    rig_exit(r, p, EXIT(7));
    assert_int_equal(rig_wait(r, "web", "sh", &status), TTRPC_OK);
    assert_int_equal(rig_wait(r, "web", "sh", &status), TTRPC_NOT_FOUND);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "sh", 10), TTRPC_OK);
    assert_string_equal(r->client.text, "late");
    assert_int_equal(rig_read(r, "ReadStdout", "web", "sh", 10), TTRPC_OK);
    assert_string_equal(r->client.text, "");
    assert_int_equal(r->agent->process_count, 2);
    assert_int_equal(rig_read(r, "ReadStderr", "web", "sh", 10), TTRPC_OK);
    agent_rig_run(r);
    assert_int_equal(r->agent->process_count, 1);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "sh", 10), TTRPC_NOT_FOUND);
}

static void the_name_of_a_forgotten_exec_can_be_used_again(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    (void)rig_running(r, "web", false);
    rig_exit(r, exec_running(r, "sh"), EXIT(0));
    assert_answer(r, rig_exec(r, "web", "sh"), TTRPC_ALREADY_EXISTS);
    assert_int_equal(rig_wait(r, "web", "sh", &status), TTRPC_OK);
    (void)exec_running(r, "sh");
    assert_int_equal(r->agent->process_count, 2);
}

static void execs_that_have_ended_make_room_for_new_ones(void **state)
{
    struct agent_rig *r = *state;
    unsigned real = 0;
    int32_t status;
    (void)rig_running(r, "web", false);
    rig_exit(r, exec_running(r, "known"), EXIT(0));
    rig_exit(r, exec_running(r, "unknown"), EXIT(0));
    assert_int_equal(rig_wait(r, "web", "known", &status), TTRPC_OK);
    /* As if others had the rest. */
    real = r->agent->process_count;
    r->agent->process_count = AGENT_PROCESSES_MAX;
    (void)exec_running(r, "one");
    assert_int_equal(rig_read(r, "ReadStdout", "web", "known", 1), TTRPC_NOT_FOUND);
    assert_int_equal(rig_read(r, "ReadStdout", "web", "unknown", 1), TTRPC_OK);
    (void)exec_running(r, "two");
    assert_int_equal(rig_wait(r, "web", "unknown", &status), TTRPC_NOT_FOUND);
    assert_answer(r, rig_exec(r, "web", "three"), TTRPC_RESOURCE_EXHAUSTED);
    r->agent->process_count = real;
}

static void exec_needs_a_container_that_runs_a_name_and_a_program(void **state)
{
    struct agent_rig *r = *state;
    grpc_ExecProcessRequest q = {.container_id = rig_text("web"), .exec_id = rig_text("sh")};
    assert_answer(r, rig_exec(r, "web", "sh"), TTRPC_NOT_FOUND);
    struct container *c = rig_running(r, "web", false);
    assert_answer(r, rig_exec(r, "web", "a/b"), TTRPC_INVALID_ARGUMENT);
    assert_answer(r, rig_exec(r, "web", "web"), TTRPC_ALREADY_EXISTS);
    assert_int_equal(rig_call(r, "ExecProcess", grpc_ExecProcessRequest_fields, &q, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
    rig_exit(r, c->first, EXIT(0));
    assert_answer(r, rig_exec(r, "web", "sh"), TTRPC_FAILED_PRECONDITION);
}

/* ---- The rest ---- */

static void an_out_of_memory_event_is_told_to_who_waits(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    grpc_GetOOMEventRequest q = grpc_GetOOMEventRequest_init_zero;
    grpc_OOMEvent event;
    char console[512] = "";
    assert_int_equal(rig_call(r, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &q, NULL, NULL), -1);
    assert_int_equal(write(c->events, &(uint64_t){1}, 8), 8);
    assert_no_answer(r);
    c->oom_count = 1;
    assert_int_equal(write(c->events, &(uint64_t){1}, 8), 8);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(rig_decode(&r->client, grpc_OOMEvent_fields, &event), 0);
    assert_string_equal(event.container_id, "web");
    pb_release(grpc_OOMEvent_fields, &event);
    assert_true(read(r->console[0], console, sizeof(console) - 1) > 0);
    assert_non_null(strstr(console, "guest-init: warning: container web is out of memory"));
}

static void out_of_memory_events_wait_for_who_asks_later(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    grpc_GetOOMEventRequest q = grpc_GetOOMEventRequest_init_zero;
    for (c->oom_count = 1; c->oom_count < AGENT_OOM_MAX + 10; c->oom_count++) {
        assert_int_equal(write(c->events, &(uint64_t){1}, 8), 8);
        agent_rig_run(r);
    }
    for (int i = 0; i < AGENT_OOM_MAX; i++)
        assert_int_equal(rig_call(r, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &q, NULL, NULL), TTRPC_OK);
    assert_int_equal(rig_call(r, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &q, NULL, NULL), -1);
}

static void statistics_are_those_of_the_container_and_the_pods_network(void **state)
{
    struct agent_rig *r = *state;
    grpc_StatsContainerRequest q = {.container_id = rig_text("web")};
    grpc_StatsContainerResponse s;
    (void)rig_running(r, "web", false);
    assert_int_equal(
        rig_call(r, "StatsContainer", grpc_StatsContainerRequest_fields, &q, grpc_StatsContainerResponse_fields, &s),
        TTRPC_OK);
    assert_int_equal(s.cgroup_stats.pids_stats.current, 7);
    assert_int_equal(s.network_stats_count, 1);
    assert_int_equal(s.network_stats[0].rx_bytes, 99);
    pb_release(grpc_StatsContainerResponse_fields, &s);
    r->stats_result = -EIO;
    assert_int_equal(rig_by_id(r, "StatsContainer", "web"), TTRPC_UNKNOWN);
}

static void pause_and_resume_reach_the_container(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), TTRPC_OK);
    assert_true(c->frozen);
    assert_int_equal(rig_by_id(r, "ResumeContainer", "web"), TTRPC_OK);
    assert_false(c->frozen);
    r->freeze_result = -ETIMEDOUT;
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), TTRPC_DEADLINE_EXCEEDED);
    rig_exit(r, c->first, EXIT(0));
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), TTRPC_FAILED_PRECONDITION);
}

static void pausing_waits_for_the_kernel_and_holds_up_nobody(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->freeze_result = -EAGAIN;
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), -1);
    (void)rig_exec(r, "web", "x");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    rig_pass(r, 2);
    assert_false(rig_receive(r, &r->client));
    r->freeze_result = 0;
    rig_pass(r, 2);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    assert_true(rig_container(r, "web")->frozen);
}

static void what_cannot_be_paused_goes_on_after_a_second(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->freeze_result = -EAGAIN;
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), -1);
    rig_container(r, "web")->frozen = true;
    for (unsigned ms = 0; ms < AGENT_PAUSE_MS; ms += 100)
        rig_pass(r, 100);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_DEADLINE_EXCEEDED);
    assert_non_null(strstr(r->client.text, "cannot pause container web"));
    assert_false(rig_container(r, "web")->frozen);
}

static void to_resume_ends_the_wish_to_pause(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->freeze_result = -EAGAIN;
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), -1);
    const grpc_ResumeContainerRequest q = {.container_id = rig_text("web")};
    (void)rig_send(r, &r->client, "ResumeContainer", grpc_ResumeContainerRequest_fields, &q, 0);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_ABORTED);
    r->freeze_result = 0;
    rig_pass(r, 2);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    assert_false(rig_container(r, "web")->frozen);
}

static void update_reaches_the_container_if_it_says_anything(void **state)
{
    struct agent_rig *r = *state;
    grpc_UpdateContainerRequest q = {.container_id = rig_text("web")};
    (void)rig_running(r, "web", false);
    assert_int_equal(rig_call(r, "UpdateContainer", grpc_UpdateContainerRequest_fields, &q, NULL, NULL), TTRPC_OK);
    assert_int_equal(r->updates, 0);
    q.has_resources = true;
    assert_int_equal(rig_call(r, "UpdateContainer", grpc_UpdateContainerRequest_fields, &q, NULL, NULL), TTRPC_OK);
    assert_int_equal(r->updates, 1);
}

static void children_of_nobody_are_collected_and_forgotten(void **state)
{
    struct agent_rig *r = *state;
    struct rig_process orphan = {.pid = 77, .in = -1, .out = -1, .err = -1, .tty = -1};
    (void)rig_running(r, "web", false);
    rig_exit(r, &orphan, EXIT(1));
    assert_int_equal(r->ended_count, 0);
    assert_int_equal(agent_containers_alive(r->agent), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        CASE(create_is_answered_when_the_container_is_made),
        CASE(create_that_fails_at_once_leaves_nothing),
        CASE(create_that_fails_later_is_answered_when_all_is_cleaned_up),
        CASE(names_that_could_be_paths_are_refused),
        CASE(a_name_may_have_128_characters_and_no_more),
        CASE(a_container_without_a_root_is_refused),
        CASE(two_creates_of_one_name_give_one_container),
        CASE(a_client_that_leaves_during_create_finds_the_container_later),
        CASE(the_sixty_fifth_container_is_refused),
        CASE(containers_share_a_mount_and_the_last_one_unmounts_it),
        CASE(another_source_on_a_mount_point_is_refused),
        CASE(other_options_of_the_driver_on_a_mount_point_are_refused),
        CASE(mounts_are_undone_when_create_fails),
        CASE(a_storage_that_cannot_be_mounted_ends_the_create),
        CASE(the_pods_pid_namespace_is_made_once_and_for_those_who_want_it),
        CASE(who_lists_no_pid_namespace_shares_the_pods),
        CASE(process_ids_can_be_those_of_another_container),
        CASE(a_pods_pid_namespace_that_has_ended_is_made_anew),
        CASE(start_is_answered_when_the_program_runs),
        CASE(a_container_that_is_not_made_yet_cannot_start),
        CASE(a_program_that_is_not_there_is_an_error_of_start),
        CASE(every_waiter_gets_the_exit_code),
        CASE(the_exit_code_stays_known_until_the_container_is_removed),
        CASE(a_process_that_a_signal_ended_has_status_128_and_its_number),
        CASE(a_signal_goes_to_all_to_the_first_or_to_one_process),
        CASE(signals_to_nobody_are_errors),
        CASE(remove_kills_what_runs_and_waits_for_it),
        CASE(what_the_host_showed_for_it_is_asked_for_when_it_is_gone),
        CASE(remove_tries_again_while_the_control_group_is_busy),
        CASE(remove_gives_up_after_its_timeout_and_goes_on_in_silence),
        CASE(a_removal_that_fails_can_be_tried_again),
        CASE(a_container_that_is_being_made_can_be_removed),
        CASE(readers_and_waiters_are_answered_when_the_container_goes),
        CASE(exec_is_answered_when_the_program_runs),
        CASE(exec_that_fails_at_once_leaves_nothing),
        CASE(exec_of_a_program_that_is_not_there_fails_and_frees_its_name),
        CASE(an_exec_may_end_before_its_start_is_known),
        CASE(an_exec_is_forgotten_once_waited_for_but_its_output_can_be_read),
        CASE(the_name_of_a_forgotten_exec_can_be_used_again),
        CASE(execs_that_have_ended_make_room_for_new_ones),
        CASE(exec_needs_a_container_that_runs_a_name_and_a_program),
        CASE(an_out_of_memory_event_is_told_to_who_waits),
        CASE(out_of_memory_events_wait_for_who_asks_later),
        CASE(statistics_are_those_of_the_container_and_the_pods_network),
        CASE(pause_and_resume_reach_the_container),
        CASE(pausing_waits_for_the_kernel_and_holds_up_nobody),
        CASE(what_cannot_be_paused_goes_on_after_a_second),
        CASE(to_resume_ends_the_wish_to_pause),
        CASE(update_reaches_the_container_if_it_says_anything),
        CASE(children_of_nobody_are_collected_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
