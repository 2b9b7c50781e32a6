/* SPDX-License-Identifier: Apache-2.0 */
/* The agent under a launch policy: what the host asks for beyond what was agreed is refused, and only that. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <google/protobuf/empty.pb.h>
#include <jansson.h>

#include "guest-init/agent/policy.h"
#include "policy/launch/describe.h"
#include "policy/launch/policy.h"
#include "tests/lib/agent_rig.h"

/* ---- What is asked for ---- */

#define WORDS 4

/* A request with all it points to. */
struct ask {
    grpc_CreateContainerRequest q;
    grpc_LinuxNamespace own;
    grpc_Storage image;
    grpc_Mount mounts[2];
    char *args[WORDS], *env[WORDS], *verity[1];
};

/* What the policy of these tests permits: an image with a root hash, one mount of memory, `httpd -f`. */
static struct ask *the_container(struct ask *a, const char *id)
{
    *a = (struct ask){
        .own = {.Type = rig_text("pid")},
        .verity = {rig_text("verity_root=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")},
        .args = {rig_text("httpd"), rig_text("-f")},
        .env = {rig_text("PATH=/bin")}};
    a->image = (grpc_Storage){.driver = rig_text("blk"),
                              .source = rig_text("serial=root"),
                              .fstype = rig_text("erofs"),
                              .mount_point = rig_text("/run/caisson/storage/root"),
                              .driver_options = a->verity,
                              .driver_options_count = 1};
    a->mounts[0] =
        (grpc_Mount){.destination = rig_text("/tmp"), .type = rig_text("tmpfs"), .source = rig_text("tmpfs")};
    a->mounts[1] = (grpc_Mount){
        .destination = rig_text("/etc"), .type = rig_text("bind"), .source = rig_text("/run/caisson/shared/etc")};
    a->q = (grpc_CreateContainerRequest){
        .container_id = rig_text(id),
        .storages = &a->image,
        .storages_count = 1,
        .has_OCI = true,
        .OCI = {.has_Linux = true,
                .Linux = {.Namespaces = &a->own, .Namespaces_count = 1},
                .has_Root = true,
                .Root = {.Path = rig_text("/run/caisson/storage/root"), .Readonly = true},
                .has_Process = true,
                .Process = {.Args = a->args, .Args_count = 2, .Env = a->env, .Env_count = 1, .Cwd = rig_text("/")},
                .Mounts = a->mounts,
                .Mounts_count = 1}};
    return a;
}

static grpc_ExecProcessRequest the_exec(char *arguments[2])
{
    arguments[0] = rig_text("status");
    arguments[1] = rig_text("--all");
    return (grpc_ExecProcessRequest){.container_id = rig_text("web"),
                                     .exec_id = rig_text("e"),
                                     .has_process = true,
                                     .process = {.Args = arguments, .Args_count = 1, .Cwd = rig_text("/")}};
}

/* Send; the code, or -1 if the container is being made. */
static int create(struct agent_rig *r, const struct ask *a)
{
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &a->q, 0);
    return rig_receive(r, &r->client) ? r->client.code : -1;
}

static int create_as(struct agent_rig *r, const char *id)
{
    struct ask a;
    return create(r, the_container(&a, id));
}

static int exec(struct agent_rig *r, const grpc_ExecProcessRequest *q)
{
    (void)rig_send(r, &r->client, "ExecProcess", grpc_ExecProcessRequest_fields, q, 0);
    return rig_receive(r, &r->client) ? r->client.code : -1;
}

/* ---- The policy ---- */

/* Every description is a rule that permits just that. */
static json_t *container_rule(void)
{
    struct ask a;
    char *arguments[2];
    const grpc_ExecProcessRequest e = the_exec(arguments);
    json_t *rule, *exec_rule;
    struct err err;
    assert_int_equal(describe_container(&the_container(&a, "any")->q, &rule, &err), 0);
    assert_int_equal(describe_exec(&e, &exec_rule, &err), 0);
    json_object_del(rule, "id");
    json_object_del(exec_rule, "container");
    json_object_set_new(rule, "name", json_string("web"));
    json_object_set_new(rule, "max", json_integer(2));
    json_object_set_new(rule, "execs", json_pack("[o]", exec_rule));
    return rule;
}

static void write_text(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int load_text(struct agent_rig *r, const char *text, size_t n, struct err *err)
{
    char path[] = "/tmp/caisson-policy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_text(path, text, n);
    err_clear(err);
    int result = agent_policy_load(r->agent, path, err);
    (void)unlink(path);
    return result;
}

/* Takes the document. */
static void enforce(struct agent_rig *r, json_t *document)
{
    char *text;
    size_t n;
    struct err err;
    assert_non_null(document);
    assert_int_equal(policy_canonical(document, &text, &n, &err), 0);
    assert_int_equal(load_text(r, text, n, &err), 0);
    free(text);
    json_decref(document);
}

static json_t *the_policy(void)
{
    return json_pack("{s:i,s:s,s:i,s:[o],s:[s],s:[s,s]}", "caisson_policy", 1, "name", "test", "serial", 1,
                     "containers", container_rule(), "copy_files", "/run/caisson/shared/hosts", "calls",
                     "PauseContainer", "UpdateContainer");
}

static int set_up(void **state)
{
    *state = rig_new();
    enforce(*state, the_policy());
    return 0;
}

/* The container of the policy, running. */
static struct container *running(struct agent_rig *r)
{
    assert_int_equal(create_as(r, "web"), -1);
    struct container *c = rig_container(r, "web");
    rig_advance(r, c, 0, "");
    assert_true(rig_receive(r, &r->client) && r->client.code == 0);
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), -1);
    rig_advance(r, c, 0, "");
    assert_true(rig_receive(r, &r->client) && r->client.code == 0);
    return c;
}

static void assert_denied(struct agent_rig *r, int code, const char *words)
{
    assert_int_equal(code, TTRPC_PERMISSION_DENIED);
    assert_non_null(strstr(r->client.text, words));
    assert_int_equal(r->created, 0);
    assert_int_equal(r->mounts, 0);
}

/* ---- The table ---- */

static void every_method_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < agent_method_count; i++)
        if (agent_policy_find(agent_methods[i].service, agent_methods[i].method) == NULL)
            fail_msg("%s/%s has no row", agent_methods[i].service, agent_methods[i].method);
}

static void serve_odd(struct agent *a, struct call *c, const void *request)
{
    (void)a;
    (void)request;
    call_done(c);
}

static void a_method_without_a_row_is_refused(void **state)
{
    struct agent_rig *r = *state;
    static const struct agent_method odd = {"grpc.AgentService",           "Odd", google_protobuf_Empty_fields,
                                            sizeof(google_protobuf_Empty), 100,   serve_odd};
    const google_protobuf_Empty nothing = google_protobuf_Empty_init_zero;
    r->agent->server.methods = &odd;
    r->agent->server.method_count = 1;
    assert_denied(r, rig_call(r, "Odd", google_protobuf_Empty_fields, &nothing, NULL, NULL), "Odd");
}

/* ---- Containers ---- */

static void the_container_of_the_policy_is_made_and_runs(void **state)
{
    struct agent_rig *r = *state;
    assert_true(running(r)->started);
    assert_int_equal(r->mounts, 1);
}

static void other_arguments_are_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->args[1] = rig_text("-v");
    assert_denied(r, create(r, &a), "args");
    a.args[1] = rig_text("-f");
    a.args[2] = rig_text("more");
    a.q.OCI.Process.Args_count = 3;
    assert_denied(r, create(r, &a), "args");
}

static void another_environment_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->env[1] = rig_text("LD_PRELOAD=/tmp/x.so");
    a.q.OCI.Process.Env_count = 2;
    assert_denied(r, create(r, &a), "env");
}

static void an_additional_mount_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->q.OCI.Mounts_count = 2;
    assert_denied(r, create(r, &a), "mounts");
}

static void another_source_under_a_permitted_destination_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->mounts[0] = a.mounts[1];
    a.mounts[0].destination = rig_text("/tmp");
    assert_denied(r, create(r, &a), "mounts");
}

static void another_image_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->verity[0] =
        rig_text("verity_root=10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert_denied(r, create(r, &a), "storages");
}

static void an_image_without_its_root_hash_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->image.driver_options_count = 0;
    assert_denied(r, create(r, &a), "storages");
}

static void another_root_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->q.OCI.Root.Path = rig_text("/run/caisson/shared/root");
    assert_denied(r, create(r, &a), "root");
}

static void a_root_that_can_be_written_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->q.OCI.Root.Readonly = false;
    assert_denied(r, create(r, &a), "readonly_root");
}

static void more_privileges_are_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    char *all[] = {rig_text("CAP_SYS_ADMIN")};
    the_container(&a, "web")->q.OCI.Process.has_Capabilities = true;
    a.q.OCI.Process.Capabilities = (grpc_LinuxCapabilities){.Effective = all, .Effective_count = 1};
    assert_denied(r, create(r, &a), "capabilities");
}

static void the_process_ids_of_the_pod_are_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    the_container(&a, "web")->q.sandbox_pidns = true;
    assert_denied(r, create(r, &a), "pod_pids");
}

/* What the first container's image is must not be decided by a mount that an earlier one has made at the same place. */
static void a_mount_is_shared_only_by_who_asks_for_just_the_same(void **state)
{
    struct agent_rig *r = rig_new();
    struct ask a;
    (void)state;
    the_container(&a, "one")->image.driver_options_count = 0;
    assert_int_equal(create(r, &a), -1);
    assert_int_equal(create_as(r, "two"), TTRPC_ALREADY_EXISTS);
    assert_int_equal(r->mounts, 1);
    a.q.container_id = rig_text("three");
    assert_int_equal(create(r, &a), -1);
    assert_int_equal(r->mounts, 1);
    rig_free(r);
}

static void no_more_containers_live_than_the_rule_says(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(create_as(r, "one"), -1);
    assert_int_equal(create_as(r, "two"), -1);
    assert_int_equal(create_as(r, "three"), TTRPC_PERMISSION_DENIED);
    assert_non_null(strstr(r->client.text, "permits 2 at once"));
    rig_exit(r, rig_container(r, "one")->first, 0);
    assert_int_equal(create_as(r, "three"), -1);
    assert_int_equal(r->created, 3);
}

/* ---- Further processes ---- */

static void the_process_of_the_policy_starts(void **state)
{
    struct agent_rig *r = *state;
    char *arguments[2];
    const grpc_ExecProcessRequest q = the_exec(arguments);
    (void)running(r);
    assert_int_equal(exec(r, &q), -1);
    assert_int_equal(r->agent->process_count, 2);
}

static void assert_exec_denied(struct agent_rig *r, const grpc_ExecProcessRequest *q, const char *words)
{
    (void)running(r);
    assert_int_equal(exec(r, q), TTRPC_PERMISSION_DENIED);
    assert_non_null(strstr(r->client.text, words));
    assert_int_equal(r->agent->process_count, 1);
}

static void another_process_is_denied(void **state)
{
    char *arguments[2];
    grpc_ExecProcessRequest q = the_exec(arguments);
    arguments[0] = rig_text("sh");
    assert_exec_denied(*state, &q, "args");
}

static void a_process_with_more_arguments_is_denied(void **state)
{
    char *arguments[2];
    grpc_ExecProcessRequest q = the_exec(arguments);
    q.process.Args_count = 2;
    assert_exec_denied(*state, &q, "args");
}

static void a_process_as_another_user_is_denied(void **state)
{
    char *arguments[2];
    grpc_ExecProcessRequest q = the_exec(arguments);
    q.process.has_User = true;
    q.process.User.UID = 1;
    assert_exec_denied(*state, &q, "user");
}

static void a_terminal_is_denied_if_the_rule_has_none(void **state)
{
    char *arguments[2];
    grpc_ExecProcessRequest q = the_exec(arguments);
    q.process.Terminal = true;
    assert_exec_denied(*state, &q, "terminal");
}

/* ---- Files and other calls ---- */

static int copy(struct agent_rig *r, const char *path)
{
    const grpc_CopyFileRequest q = {.path = rig_text(path)};
    return rig_call(r, "CopyFile", grpc_CopyFileRequest_fields, &q, NULL, NULL);
}

static void files_are_copied_only_where_the_policy_says(void **state)
{
    struct agent_rig *r = *state;
    assert_denied(r, copy(r, "/run/caisson/shared/passwd"), "copy_files");
    assert_denied(r, copy(r, "/run/caisson/shared/../shared/hosts"), "copy_files");
    assert_denied(r, copy(r, ""), "copy_files");
    assert_int_equal(copy(r, "/run/caisson/shared/hosts"), TTRPC_INVALID_ARGUMENT); /* the rig has no such folder */
}

static int set_clock(struct agent_rig *r)
{
    const grpc_SetGuestDateTimeRequest q = {.Sec = 1000};
    return rig_call(r, "SetGuestDateTime", grpc_SetGuestDateTimeRequest_fields, &q, NULL, NULL);
}

static void calls_that_the_policy_does_not_name_are_denied(void **state)
{
    struct agent_rig *r = *state;
    const grpc_UpdateRoutesRequest routes = {.has_routes = true};
    const grpc_ReseedRandomDevRequest seed = grpc_ReseedRandomDevRequest_init_zero;
    const trust_SecretRequest secret = {.name = rig_text("x")};
    assert_denied(r, set_clock(r), "SetGuestDateTime");
    assert_int_equal(r->seconds, 0);
    assert_denied(r, rig_call(r, "UpdateRoutes", grpc_UpdateRoutesRequest_fields, &routes, NULL, NULL), "UpdateRoutes");
    assert_denied(r, rig_call(r, "ReseedRandomDev", grpc_ReseedRandomDevRequest_fields, &seed, NULL, NULL), "Reseed");
    assert_denied(r, rig_call(r, "PutSecret", trust_SecretRequest_fields, &secret, NULL, NULL), "PutSecret");
}

static void calls_that_the_policy_names_are_served(void **state)
{
    struct agent_rig *r = *state;
    (void)running(r);
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), TTRPC_OK);
    assert_int_equal(rig_by_id(r, "ResumeContainer", "web"), TTRPC_PERMISSION_DENIED);
}

static int update(struct agent_rig *r, grpc_LinuxDeviceCgroup *devices, pb_size_t count)
{
    const grpc_UpdateContainerRequest q = {.container_id = rig_text("web"),
                                           .has_resources = true,
                                           .resources = {.Devices = devices, .Devices_count = count}};
    return rig_call(r, "UpdateContainer", grpc_UpdateContainerRequest_fields, &q, NULL, NULL);
}

static void an_update_gives_limits_and_no_devices(void **state)
{
    struct agent_rig *r = *state;
    grpc_LinuxDeviceCgroup all = {.Allow = true, .Access = rig_text("rwm")};
    (void)running(r);
    assert_int_equal(update(r, NULL, 0), TTRPC_OK);
    assert_int_equal(update(r, &all, 1), TTRPC_PERMISSION_DENIED);
    assert_int_equal(r->updates, 1);
}

static void reading_and_the_end_are_free(void **state)
{
    struct agent_rig *r = *state;
    int32_t status;
    struct container *c = running(r);
    assert_int_equal(rig_by_id(r, "StatsContainer", "web"), TTRPC_OK);
    assert_int_equal(rig_signal(r, "web", NULL, 15), TTRPC_OK);
    rig_exit(r, c->first, 0);
    assert_int_equal(rig_read(r, "ReadStdout", "web", NULL, 10), TTRPC_OK);
    assert_int_equal(rig_wait(r, "web", NULL, &status), TTRPC_OK);
    assert_int_equal(rig_by_id(r, "RemoveContainer", "web"), TTRPC_OK);
}

/* ---- The sandbox ---- */

static int sandbox(struct agent_rig *r, const grpc_CreateSandboxRequest *q)
{
    return rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, q, NULL, NULL);
}

static void a_sandbox_of_share_and_memory_is_made(void **state)
{
    struct agent_rig *r = *state;
    char *options[] = {rig_text("mode=1777")};
    grpc_Storage s[] = {{.driver = rig_text("virtio-fs"),
                         .source = rig_text("caisson"),
                         .fstype = rig_text("virtiofs"),
                         .mount_point = rig_text("/run/caisson/shared")},
                        {.driver = rig_text("ephemeral"),
                         .source = rig_text("shm"),
                         .fstype = rig_text("tmpfs"),
                         .mount_point = rig_text("/run/caisson/storage/shm"),
                         .options = options,
                         .options_count = 1}};
    const grpc_CreateSandboxRequest q = {
        .hostname = rig_text("pod"), .sandbox_pidns = true, .storages = s, .storages_count = 2};
    assert_int_equal(sandbox(r, &q), TTRPC_OK);
    assert_int_equal(r->mounts, 2);
}

static void hooks_and_modules_of_a_sandbox_are_denied(void **state)
{
    struct agent_rig *r = *state;
    grpc_KernelModule m = {.name = rig_text("evil")};
    const grpc_CreateSandboxRequest hooks = {.guest_hook_path = rig_text("/run/caisson/shared/hooks")};
    const grpc_CreateSandboxRequest modules = {.kernel_modules = &m, .kernel_modules_count = 1};
    assert_denied(r, sandbox(r, &hooks), "guest_hook_path");
    assert_denied(r, sandbox(r, &modules), "kernel_modules");
}

static void other_storages_of_a_sandbox_are_denied(void **state)
{
    struct agent_rig *r = *state;
    static const char *const odd[][4] = {
        {"virtio-fs", "other", "virtiofs", "/run/caisson/shared"},
        {"virtio-fs", "caisson", "virtiofs", "/run/caisson/storage/root"},
        {"blk", "serial=root", "ext4", "/run/caisson/storage/root"},
        {"overlayfs", "overlay", "overlay", "/run/caisson/storage/o"},
        {"bind", "/run/x", "bind", "/run/caisson/storage/o"},
        {"ephemeral", "shm", "tmpfs", "/run/caisson/storage/a/b"},
        {"ephemeral", "shm", "tmpfs", "/run/caisson/storage/.."},
        {"ephemeral", "shm", "tmpfs", "/run/caisson/shared"},
        {"ephemeral", "shm", "hugetlbfs", "/run/caisson/storage/shm"},
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        grpc_Storage s = {.driver = rig_text(odd[i][0]),
                          .source = rig_text(odd[i][1]),
                          .fstype = rig_text(odd[i][2]),
                          .mount_point = rig_text(odd[i][3])};
        const grpc_CreateSandboxRequest q = {.storages = &s, .storages_count = 1};
        assert_denied(r, sandbox(r, &q), "storage");
    }
}

/* ---- With and without ---- */

static void what_is_denied_is_not_measured(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    struct err err;
    assert_int_equal(rig_measure(r, &err), 0);
    the_container(&a, "web")->args[1] = rig_text("-v");
    assert_denied(r, create(r, &a), "args");
    assert_int_equal(r->host.calls, 1);
    assert_int_equal(create_as(r, "web"), -1);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_int_equal(r->host.calls, 2);
}

static void the_text_that_is_measured_is_what_was_judged(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    json_t *json;
    struct ask a;
    char *text;
    size_t n;
    assert_int_equal(rig_measure(r, &err), 0);
    assert_int_equal(create(r, the_container(&a, "web")), -1);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_int_equal(describe_container(&a.q, &json, &err), 0);
    assert_int_equal(policy_canonical(json, &text, &n, &err), 0);
    assert_string_equal(agent_host_text(&r->host, 1), text);
    free(text);
    json_decref(json);
}

static void a_permitted_container_that_is_not_measured_cannot_be_started(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    assert_int_equal(rig_measure(r, &err), 0);
    r->host.way = HOST_REFUSES;
    assert_int_equal(create_as(r, "web"), -1);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), TTRPC_FAILED_PRECONDITION);
}

static void without_a_policy_nothing_is_denied(void **state)
{
    struct agent_rig *r = *state;
    struct ask a;
    grpc_ExecProcessRequest q;
    char *arguments[2];
    const grpc_CreateSandboxRequest hooks = {.guest_hook_path = rig_text("/run/hooks")};
    the_container(&a, "web")->args[1] = rig_text("-v");
    a.q.OCI.Mounts_count = 2;
    assert_int_equal(create(r, &a), -1);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_true(rig_receive(r, &r->client) && r->client.code == 0);
    q = the_exec(arguments);
    arguments[0] = rig_text("sh");
    assert_int_equal(exec(r, &q), -1);
    assert_int_equal(set_clock(r), TTRPC_OK);
    assert_int_equal(copy(r, "/run/x"), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(sandbox(r, &hooks), TTRPC_OK);
}

static void an_empty_policy_permits_only_what_is_free(void **state)
{
    struct agent_rig *r = *state;
    const grpc_CreateSandboxRequest nothing = grpc_CreateSandboxRequest_init_zero;
    enforce(r, json_pack("{s:i,s:s,s:i}", "caisson_policy", 1, "name", "none", "serial", 0));
    assert_int_equal(create_as(r, "web"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(copy(r, "/run/caisson/shared/hosts"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(sandbox(r, &nothing), TTRPC_OK);
}

/* ---- The file ---- */

static void a_missing_policy_is_none(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    assert_int_equal(agent_policy_load(r->agent, "/proc/nowhere/policy.json", &err), 0);
    assert_null(r->agent->trust.policy);
    assert_null(r->agent->server.permit);
}

static void assert_no_policy(struct agent_rig *r, const char *text, size_t n, int wanted)
{
    struct err err;
    assert_int_equal(load_text(r, text, n, &err), wanted);
    assert_string_not_equal(err.text, "");
    assert_null(r->agent->trust.policy);
}

static void a_policy_that_cannot_be_read_is_an_error(void **state)
{
    struct agent_rig *r = *state;
    static const char spaced[] = "{\"caisson_policy\":1, \"name\":\"n\",\"serial\":1}";
    static const char cut[] = "{\"caisson_policy\":1,\"name\":\"n\",\"seri";
    static const char unknown[] = "{\"caisson_policy\":1,\"name\":\"n\",\"serial\":1,\"x\":1}";
    assert_no_policy(r, "", 0, -EINVAL);
    assert_no_policy(r, spaced, sizeof(spaced) - 1, -EINVAL);
    assert_no_policy(r, cut, sizeof(cut) - 1, -EINVAL);
    assert_no_policy(r, unknown, sizeof(unknown) - 1, -EINVAL);
}

static void a_policy_that_is_too_large_is_an_error(void **state)
{
    struct agent_rig *r = *state;
    char *large = calloc(1, POLICY_BYTES_MAX + 1);
    assert_non_null(large);
    assert_no_policy(r, large, POLICY_BYTES_MAX + 1, -EFBIG);
    free(large);
}

static void a_policy_that_is_no_file_is_an_error(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    err_clear(&err);
    assert_int_equal(agent_policy_load(r->agent, "/tmp", &err), -EFBIG);
    assert_string_not_equal(err.text, "");
}

int main(void)
{
#define POLICY(name) cmocka_unit_test_setup_teardown(name, set_up, rig_teardown)
#define CASE(name)   cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_a_row),
        POLICY(a_method_without_a_row_is_refused),
        POLICY(the_container_of_the_policy_is_made_and_runs),
        POLICY(other_arguments_are_denied),
        POLICY(another_environment_is_denied),
        POLICY(an_additional_mount_is_denied),
        POLICY(another_source_under_a_permitted_destination_is_denied),
        POLICY(another_image_is_denied),
        POLICY(an_image_without_its_root_hash_is_denied),
        POLICY(another_root_is_denied),
        POLICY(a_root_that_can_be_written_is_denied),
        POLICY(more_privileges_are_denied),
        POLICY(the_process_ids_of_the_pod_are_denied),
        cmocka_unit_test(a_mount_is_shared_only_by_who_asks_for_just_the_same),
        POLICY(no_more_containers_live_than_the_rule_says),
        POLICY(the_process_of_the_policy_starts),
        POLICY(another_process_is_denied),
        POLICY(a_process_with_more_arguments_is_denied),
        POLICY(a_process_as_another_user_is_denied),
        POLICY(a_terminal_is_denied_if_the_rule_has_none),
        POLICY(files_are_copied_only_where_the_policy_says),
        POLICY(calls_that_the_policy_does_not_name_are_denied),
        POLICY(calls_that_the_policy_names_are_served),
        POLICY(an_update_gives_limits_and_no_devices),
        POLICY(reading_and_the_end_are_free),
        POLICY(a_sandbox_of_share_and_memory_is_made),
        POLICY(hooks_and_modules_of_a_sandbox_are_denied),
        POLICY(other_storages_of_a_sandbox_are_denied),
        POLICY(what_is_denied_is_not_measured),
        POLICY(the_text_that_is_measured_is_what_was_judged),
        POLICY(a_permitted_container_that_is_not_measured_cannot_be_started),
        CASE(without_a_policy_nothing_is_denied),
        CASE(an_empty_policy_permits_only_what_is_free),
        CASE(a_missing_policy_is_none),
        CASE(a_policy_that_cannot_be_read_is_an_error),
        CASE(a_policy_that_is_too_large_is_an_error),
        CASE(a_policy_that_is_no_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
