/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox from CreateSandbox to its end, and what the agent says and does about the guest. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "tests/lib/agent_rig.h"

static int create_sandbox(struct agent_rig *r, const char *hostname)
{
    grpc_CreateSandboxRequest q = {.hostname = rig_text(hostname), .sandbox_id = rig_text("sb")};
    return rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL);
}

static int destroy_sandbox(struct agent_rig *r)
{
    grpc_DestroySandboxRequest q = grpc_DestroySandboxRequest_init_zero;
    return rig_call(r, "DestroySandbox", grpc_DestroySandboxRequest_fields, &q, NULL, NULL);
}

static int health(struct agent_rig *r)
{
    grpc_CheckRequest q = grpc_CheckRequest_init_zero;
    grpc_HealthCheckResponse a;
    assert_int_equal(rig_call(r, "Check", grpc_CheckRequest_fields, &q, grpc_HealthCheckResponse_fields, &a), 0);
    return (int)a.status;
}

static void a_sandbox_names_the_guest(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(create_sandbox(r, "pod-1"), TTRPC_OK);
    assert_string_equal(r->hostname, "pod-1");
    assert_string_equal(r->agent->pod.hostname, "pod-1");
}

static void there_is_one_sandbox_in_a_guest(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(create_sandbox(r, NULL), TTRPC_OK);
    assert_int_equal(create_sandbox(r, NULL), TTRPC_ALREADY_EXISTS);
}

static void a_name_over_64_characters_is_refused_and_may_be_corrected(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(create_sandbox(r, "12345678901234567890123456789012345678901234567890123456789012345"),
                     TTRPC_INVALID_ARGUMENT);
    assert_int_equal(create_sandbox(r, "short"), TTRPC_OK);
}

static void kernel_modules_cannot_be_asked_for(void **state)
{
    struct agent_rig *r = *state;
    grpc_KernelModule m = {.name = rig_text("dummy")};
    grpc_CreateSandboxRequest q = {.kernel_modules = &m, .kernel_modules_count = 1};
    assert_int_equal(rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL),
                     TTRPC_UNIMPLEMENTED);
}

static void storages_of_the_sandbox_stay_until_its_end(void **state)
{
    struct agent_rig *r = *state;
    grpc_Storage s = {
        .driver = rig_text("virtio-fs"), .source = rig_text("t"), .mount_point = rig_text("/run/caisson/x")};
    grpc_CreateSandboxRequest q = {.storages = &s, .storages_count = 1, .sandbox_pidns = true};
    assert_int_equal(rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL), TTRPC_OK);
    assert_int_equal(r->mounts, 1);
    assert_int_equal(r->pid_namespaces, 1);
    assert_int_equal(r->unmounts, 0);
    assert_int_equal(destroy_sandbox(r), TTRPC_OK);
    assert_int_equal(r->unmounts, 1);
}

static void a_storage_without_a_mount_point_is_refused(void **state)
{
    struct agent_rig *r = *state;
    grpc_Storage s = {.driver = rig_text("virtio-fs"), .source = rig_text("t")};
    grpc_CreateSandboxRequest q = {.storages = &s, .storages_count = 1};
    assert_int_equal(rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->mounts, 0);
}

static void a_pid_namespace_that_cannot_be_made_is_an_error(void **state)
{
    struct agent_rig *r = *state;
    grpc_CreateSandboxRequest q = {.sandbox_pidns = true};
    r->pid_ns_result = -ENOMEM;
    assert_int_equal(rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL),
                     TTRPC_RESOURCE_EXHAUSTED);
    r->pid_ns_result = 0;
    assert_int_equal(rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL), TTRPC_OK);
}

/* ---- The end ---- */

static void an_empty_sandbox_ends_when_its_client_has_gone(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(destroy_sandbox(r), TTRPC_OK);
    assert_int_equal(r->syncs, 1);
    assert_int_equal(r->agent->stage, AGENT_LEAVING);
    rig_disconnect(&r->client);
    agent_rig_run(r);
    assert_int_equal(r->agent->stage, AGENT_OFF);
}

static void clients_that_stay_do_not_hold_up_the_end(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(destroy_sandbox(r), TTRPC_OK);
    rig_pass(r, AGENT_LINGER_MS);
    assert_int_equal(r->agent->stage, AGENT_OFF);
}

static void processes_are_asked_to_end_before_they_are_killed(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(destroy_sandbox(r), -1);
    assert_int_equal(r->signals[0].pid, -1);
    assert_int_equal(r->signals[0].signal, SIGTERM);
    rig_pass(r, AGENT_GRACE_MS - 1);
    assert_int_equal(r->signal_count, 1);
    rig_exit(r, c->first, 0);
    assert_int_equal(r->signals[1].signal, SIGKILL);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_OK);
    assert_int_equal(r->destroyed, 1);
}

static void a_first_process_without_a_handler_is_killed_at_once(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->deaf = true;
    assert_int_equal(destroy_sandbox(r), -1);
    assert_int_equal(r->signals[0].pid, -1);
    assert_int_equal(r->signals[0].signal, SIGTERM);
    assert_int_equal(r->signals[1].pid, 0);
    assert_int_equal(r->signals[1].signal, SIGKILL);
}

static void processes_that_do_not_end_are_killed_after_the_grace(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    r->childless = false;
    assert_int_equal(destroy_sandbox(r), -1);
    rig_pass(r, AGENT_GRACE_MS);
    assert_int_equal(r->signals[1].pid, -1);
    assert_int_equal(r->signals[1].signal, SIGKILL);
    assert_int_equal(r->agent->stage, AGENT_KILLING);
    r->childless = true;
    rig_exit(r, c->first, SIGKILL);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->agent->stage, AGENT_LEAVING);
}

static void processes_that_cannot_even_be_killed_do_not_hold_up_the_end(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    r->childless = false;
    assert_int_equal(destroy_sandbox(r), -1);
    rig_pass(r, AGENT_GRACE_MS);
    rig_pass(r, AGENT_LEAVE_MS);
    assert_true(rig_receive(r, &r->client));
    rig_pass(r, AGENT_LINGER_MS);
    assert_int_equal(r->agent->stage, AGENT_OFF);
    char *log = rig_log(r);
    assert_non_null(strstr(log, "1 containers could not be removed"));
    free(log);
}

static void paused_containers_go_on_so_that_they_can_end(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(rig_by_id(r, "PauseContainer", "web"), TTRPC_OK);
    assert_int_equal(destroy_sandbox(r), -1);
    assert_false(c->frozen);
}

static void nothing_new_begins_while_the_sandbox_ends(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    assert_int_equal(health(r), grpc_HealthCheckResponse_ServingStatus_SERVING);
    assert_int_equal(destroy_sandbox(r), -1);
    (void)rig_create(r, "db", false);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    (void)rig_exec(r, "web", "sh");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    assert_int_equal(create_sandbox(r, NULL), TTRPC_ALREADY_EXISTS);
    assert_int_equal(health(r), grpc_HealthCheckResponse_ServingStatus_NOT_SERVING);
}

static void everybody_who_asked_for_the_end_is_answered(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    assert_int_equal(destroy_sandbox(r), -1);
    assert_int_equal(destroy_sandbox(r), -1);
    rig_exit(r, c->first, 0);
    assert_true(rig_receive(r, &r->client) && rig_receive(r, &r->client));
    assert_int_equal(destroy_sandbox(r), TTRPC_OK);
}

static void who_waits_for_memory_events_is_told_of_the_end(void **state)
{
    struct agent_rig *r = *state;
    grpc_GetOOMEventRequest q = grpc_GetOOMEventRequest_init_zero;
    uint32_t stream = rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &q, 0);
    (void)rig_send(r, &r->client, "DestroySandbox", grpc_DestroySandboxRequest_fields, &q, 0);
    bool told = false;
    while (rig_receive(r, &r->client))
        told = told || (r->client.stream == stream && r->client.code == TTRPC_UNAVAILABLE);
    assert_true(told);
}

static void the_end_without_a_client_is_the_same(void **state)
{
    struct agent_rig *r = *state;
    struct container *c = rig_running(r, "web", false);
    rig_disconnect(&r->client);
    agent_rig_run(r);
    agent_stop(r->agent);
    agent_stop(r->agent);
    rig_exit(r, c->first, 0);
    assert_int_equal(r->agent->stage, AGENT_OFF);
    assert_int_equal(r->destroyed, 1);
}

/* ---- The guest ---- */

static int set_time(struct agent_rig *r, int64_t seconds, int64_t microseconds)
{
    grpc_SetGuestDateTimeRequest q = {.Sec = seconds, .Usec = microseconds};
    return rig_call(r, "SetGuestDateTime", grpc_SetGuestDateTimeRequest_fields, &q, NULL, NULL);
}

static void the_clock_is_set_to_a_time_that_can_be(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(set_time(r, 1700000000, 999999), TTRPC_OK);
    assert_int_equal(r->seconds, 1700000000);
    assert_int_equal(r->microseconds, 999999);
    assert_int_equal(set_time(r, -1, 0), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(set_time(r, 0, 1000000), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(set_time(r, 0, -1), TTRPC_INVALID_ARGUMENT);
    r->clock_result = -EPERM;
    assert_int_equal(set_time(r, 5, 5), TTRPC_PERMISSION_DENIED);
}

static int reseed(struct agent_rig *r, size_t n)
{
    grpc_ReseedRandomDevRequest q = {.data = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(n))};
    assert_non_null(q.data);
    q.data->size = (pb_size_t)n;
    int code = rig_call(r, "ReseedRandomDev", grpc_ReseedRandomDevRequest_fields, &q, NULL, NULL);
    free(q.data);
    return code;
}

static void a_seed_has_1_to_4096_bytes(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(reseed(r, 0), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(reseed(r, 4096), TTRPC_OK);
    assert_int_equal(reseed(r, 4097), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->entropy, 4096);
}

static void more_processors_than_there_are_is_an_error_only_for_who_waits(void **state)
{
    struct agent_rig *r = *state;
    grpc_OnlineCPUMemRequest q = {.nb_cpus = 2};
    assert_int_equal(rig_call(r, "OnlineCPUMem", grpc_OnlineCPUMemRequest_fields, &q, NULL, NULL), TTRPC_OK);
    q.wait = true;
    assert_int_equal(rig_call(r, "OnlineCPUMem", grpc_OnlineCPUMemRequest_fields, &q, NULL, NULL),
                     TTRPC_FAILED_PRECONDITION);
    q.nb_cpus = 1;
    assert_int_equal(rig_call(r, "OnlineCPUMem", grpc_OnlineCPUMemRequest_fields, &q, NULL, NULL), TTRPC_OK);
}

static void the_agent_tells_what_it_is(void **state)
{
    struct agent_rig *r = *state;
    grpc_GuestDetailsRequest q = {.mem_block_size = true, .mem_hotplug_probe = true};
    grpc_GuestDetailsResponse d;
    grpc_CheckRequest none = grpc_CheckRequest_init_zero;
    grpc_VersionCheckResponse v;
    assert_int_equal(
        rig_call(r, "GetGuestDetails", grpc_GuestDetailsRequest_fields, &q, grpc_GuestDetailsResponse_fields, &d),
        TTRPC_OK);
    assert_true(d.agent_details.init_daemon && d.agent_details.supports_seccomp);
    assert_int_equal(d.agent_details.storage_handlers_count, 6);
    assert_int_equal(d.mem_block_size_bytes, 0);
    assert_false(d.support_mem_hotplug_probe);
    assert_int_equal(rig_call(r, "Version", grpc_CheckRequest_fields, &none, grpc_VersionCheckResponse_fields, &v),
                     TTRPC_OK);
    assert_string_equal(v.agent_version, d.agent_details.version);
    pb_release(grpc_GuestDetailsResponse_fields, &d);
    pb_release(grpc_VersionCheckResponse_fields, &v);
}

static void metrics_are_lines_of_names_and_numbers(void **state)
{
    struct agent_rig *r = *state;
    grpc_GetMetricsRequest q = grpc_GetMetricsRequest_init_zero;
    grpc_Metrics m;
    (void)rig_running(r, "web", false);
    assert_int_equal(rig_call(r, "GetMetrics", grpc_GetMetricsRequest_fields, &q, grpc_Metrics_fields, &m), TTRPC_OK);
    assert_non_null(strstr(m.metrics, "\ncaisson_agent_containers{state=\"running\"} 1\n"));
    assert_non_null(strstr(m.metrics, "\nkata_guest_meminfo{item=\"memtotal\"} "));
    assert_non_null(strstr(m.metrics, "\nkata_guest_load{item=\"load1\"} "));
    assert_null(strchr(m.metrics, '|'));
    pb_release(grpc_Metrics_fields, &m);
}

static void a_kill_for_want_of_memory_outside_of_containers_is_reported(void **state)
{
    struct agent_rig *r = *state;
    struct rig_process orphan = {.pid = 77, .in = -1, .out = -1, .err = -1, .tty = -1};
    char console[512] = "";
    rig_exit(r, &orphan, SIGKILL);
    assert_int_equal(read(r->console[0], console, sizeof(console) - 1), -1);
    r->oom_kills = 1;
    rig_exit(r, &orphan, SIGKILL);
    assert_true(read(r->console[0], console, sizeof(console) - 1) > 0);
    assert_non_null(strstr(console, "the kernel has killed 1 processes for want of memory"));
}

static void network_calls_need_their_parts(void **state)
{
    struct agent_rig *r = *state;
    grpc_UpdateInterfaceRequest q = {.has_interface = true, .interface = {.name = rig_text("eth0")}};
    types_Interface i;
    types_Route routes[3];
    memset(routes, 0, sizeof(routes));
    grpc_UpdateRoutesRequest u = {.has_routes = true, .routes = {.Routes = routes, .Routes_count = 3}};
    assert_int_equal(rig_call(r, "UpdateInterface", grpc_UpdateInterfaceRequest_fields, &q, types_Interface_fields, &i),
                     TTRPC_OK);
    assert_string_equal(i.name, "eth0");
    pb_release(types_Interface_fields, &i);
    q.has_interface = false;
    assert_int_equal(rig_call(r, "UpdateInterface", grpc_UpdateInterfaceRequest_fields, &q, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
    assert_int_equal(rig_call(r, "UpdateRoutes", grpc_UpdateRoutesRequest_fields, &u, NULL, NULL),
                     TTRPC_INVALID_ARGUMENT);
    assert_string_equal(r->client.text, "the rig says no");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_sandbox_names_the_guest),
        CASE(there_is_one_sandbox_in_a_guest),
        CASE(a_name_over_64_characters_is_refused_and_may_be_corrected),
        CASE(kernel_modules_cannot_be_asked_for),
        CASE(storages_of_the_sandbox_stay_until_its_end),
        CASE(a_storage_without_a_mount_point_is_refused),
        CASE(a_pid_namespace_that_cannot_be_made_is_an_error),
        CASE(an_empty_sandbox_ends_when_its_client_has_gone),
        CASE(clients_that_stay_do_not_hold_up_the_end),
        CASE(processes_are_asked_to_end_before_they_are_killed),
        CASE(a_first_process_without_a_handler_is_killed_at_once),
        CASE(processes_that_do_not_end_are_killed_after_the_grace),
        CASE(processes_that_cannot_even_be_killed_do_not_hold_up_the_end),
        CASE(paused_containers_go_on_so_that_they_can_end),
        CASE(nothing_new_begins_while_the_sandbox_ends),
        CASE(everybody_who_asked_for_the_end_is_answered),
        CASE(who_waits_for_memory_events_is_told_of_the_end),
        CASE(the_end_without_a_client_is_the_same),
        CASE(the_clock_is_set_to_a_time_that_can_be),
        CASE(a_seed_has_1_to_4096_bytes),
        CASE(more_processors_than_there_are_is_an_error_only_for_who_waits),
        CASE(the_agent_tells_what_it_is),
        CASE(metrics_are_lines_of_names_and_numbers),
        CASE(a_kill_for_want_of_memory_outside_of_containers_is_reported),
        CASE(network_calls_need_their_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
