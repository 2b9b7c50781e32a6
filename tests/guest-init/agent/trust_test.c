/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent has measured, and that nothing starts without it; no policy here. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <google/protobuf/empty.pb.h>
#include <jansson.h>
#include <pb_decode.h>

#include "common/crypto/digest.h"
#include "tests/lib/agent_rig.h"

#define EVENT_ROOM 16384u

static int set_up_measured(void **state)
{
    struct err err;
    struct agent_rig *r = rig_new();
    *state = r;
    return rig_measure(r, &err);
}

static const google_protobuf_Empty nothing;

static int get_evidence(struct agent_rig *r, struct rig_client *c, size_t nonce_bytes)
{
    trust_EvidenceRequest q = {.nonce = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(nonce_bytes)), .bind_agent = true};
    assert_non_null(q.nonce);
    q.nonce->size = (pb_size_t)nonce_bytes;
    memset(q.nonce->bytes, 'n', nonce_bytes);
    (void)rig_send(r, c, "GetEvidence", trust_EvidenceRequest_fields, &q, 0);
    free(q.nonce);
    return rig_receive(r, c) ? c->code : -1;
}

/* ---- The agent's key ---- */

static void the_agents_key_is_one_on_p256(void **state)
{
    struct agent_rig *r = *state;
    struct pubkey *key = NULL;
    struct err err;
    assert_int_equal(r->host.calls, 1);
    assert_int_equal(r->host.seen[0].kind, trust_ExtendKind_AGENT_KEY);
    assert_int_equal(pubkey_load(agent_host_text(&r->host, 0), r->host.seen[0].bytes, "key", &key, &err), 0);
    assert_int_equal(pubkey_kind(key), KEY_P256);
    pubkey_free(key);
}

static void the_key_that_clients_get_is_the_measured_one(void **state)
{
    struct agent_rig *r = *state;
    trust_AgentKey key;
    assert_int_equal(rig_call(r, "GetAgentKey", google_protobuf_Empty_fields, &nothing, trust_AgentKey_fields, &key),
                     0);
    assert_int_equal(key.spki->size, r->host.seen[0].bytes);
    assert_memory_equal(key.spki->bytes, agent_host_text(&r->host, 0), key.spki->size);
    pb_release(trust_AgentKey_fields, &key);
}

static void two_agents_have_two_keys(void **state)
{
    struct agent_rig *r = *state, *other = rig_new();
    struct err err;
    assert_int_equal(rig_measure(other, &err), 0);
    assert_int_equal(other->host.seen[0].bytes, r->host.seen[0].bytes);
    assert_memory_not_equal(agent_host_text(&other->host, 0), agent_host_text(&r->host, 0), r->host.seen[0].bytes);
    rig_free(other);
}

static void a_key_that_cannot_be_measured_is_an_error_with_the_hosts_words(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    r->host.way = HOST_REFUSES;
    assert_true(rig_measure(r, &err) < 0);
    assert_non_null(strstr(err.text, "the fake host says no"));
}

static void a_silent_host_is_an_error_for_who_wants_the_key(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    r->host.way = HOST_IS_SILENT;
    assert_int_equal(rig_measure(r, &err), -ETIMEDOUT);
}

static void nobody_sees_a_key_that_is_not_measured(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    r->host.way = HOST_REFUSES;
    assert_int_not_equal(rig_call(r, "GetAgentKey", google_protobuf_Empty_fields, &nothing, NULL, NULL), TTRPC_OK);
    assert_non_null(strstr(r->client.text, "the fake host says no"));
    r->host.way = HOST_ANSWERS;
    assert_int_equal(rig_call(r, "GetAgentKey", google_protobuf_Empty_fields, &nothing, NULL, NULL), TTRPC_OK);
}

static void no_key_is_made_before_it_is_needed(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    agent_rig_run(r);
    assert_int_equal(r->host.connections, 0);
    assert_false(r->agent->trust.has_key);
}

static void a_pod_without_containers_gets_its_key_in_time(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    rig_pass(r, TRUST_KEY_MS - 1);
    assert_int_equal(r->host.calls, 0);
    rig_pass(r, 1);
    assert_int_equal(r->host.calls, 1);
    assert_int_equal(r->host.seen[0].kind, trust_ExtendKind_AGENT_KEY);
}

static void no_container_waits_for_the_key(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    (void)rig_create(r, "web", false);
    rig_pass(r, 2 * TRUST_KEY_MS);
    assert_int_equal(r->host.calls, 0);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_true(rig_receive(r, &r->client) && r->client.code == TTRPC_OK);
    assert_int_equal(r->host.calls, 1);
    assert_int_equal(r->host.seen[0].kind, trust_ExtendKind_CONTAINER);
}

static void the_key_comes_by_the_first_connection_when_nobody_waits(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    rig_pass(r, TRUST_KEY_MS - 1);
    (void)rig_running(r, "web", false);
    rig_pass(r, TRUST_KEY_MS - 1);
    assert_int_equal(r->host.calls, 1);
    rig_pass(r, 1);
    assert_int_equal(r->host.calls, 2);
    assert_int_equal(r->host.seen[1].kind, trust_ExtendKind_AGENT_KEY);
    assert_int_equal(r->host.connections, 1);
}

static void a_pod_makes_one_key(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    (void)rig_running(r, "one", false);
    rig_pass(r, TRUST_KEY_MS);
    (void)rig_running(r, "two", false);
    rig_pass(r, 10 * TRUST_KEY_MS);
    assert_int_equal(r->host.calls, 3);
}

/* Whether the host has it is unknown after an answer that did not come; another one it would not take. */
static void a_key_that_was_not_taken_is_told_again(void **state)
{
    struct agent_rig *r = *state;
    struct err err;
    r->host.way = HOST_IS_SILENT;
    assert_int_equal(rig_measure(r, &err), -ETIMEDOUT);
    r->host.way = HOST_ANSWERS;
    assert_int_equal(agent_trust_have_key(r->agent, &err), 0);
    assert_int_equal(r->host.calls, 2);
    assert_int_equal(r->host.seen[0].bytes, r->host.seen[1].bytes);
    assert_memory_equal(agent_host_text(&r->host, 0), agent_host_text(&r->host, 1), r->host.seen[0].bytes);
}

/* ---- Containers and processes ---- */

static void a_container_is_measured_before_anybody_hears_that_it_exists(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_create(r, "web", false);
    assert_int_equal(r->host.calls, 1);
    assert_false(rig_receive(r, &r->client));
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_int_equal(r->host.calls, 2);
    assert_int_equal(r->host.seen[1].kind, trust_ExtendKind_CONTAINER);
    assert_true(rig_receive(r, &r->client) && r->client.code == TTRPC_OK);
    json_t *json = json_loads(agent_host_text(&r->host, 1), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    json_decref(json);
}

static void create_with_hooks(struct agent_rig *r)
{
    grpc_CreateContainerRequest q = {
        .container_id = rig_text("web"),
        .has_OCI = true,
        .OCI = {.has_Root = true, .Root = {.Path = rig_text("/run/caisson/shared/root")}, .has_Hooks = true}};
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
}

static void a_container_with_hooks_is_measured_before_it_is_made(void **state)
{
    struct agent_rig *r = *state;
    create_with_hooks(r);
    assert_int_equal(r->created, 1);
    assert_int_equal(r->host.calls, 2);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_int_equal(r->host.calls, 2);
}

static void a_container_with_hooks_that_the_host_does_not_measure_is_not_made(void **state)
{
    struct agent_rig *r = *state;
    r->host.way = HOST_REFUSES;
    create_with_hooks(r);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    assert_non_null(strstr(r->client.text, "it was not measured"));
    assert_int_equal(r->created, 0);
}

/* A sandbox may name a folder of programs that run when a container is made. */
static void a_container_of_a_pod_with_hooks_is_measured_before_it_is_made(void **state)
{
    struct agent_rig *r = *state;
    r->agent->hook_path = strdup("/usr/share/hooks");
    assert_non_null(r->agent->hook_path);
    (void)rig_create(r, "web", false);
    assert_int_equal(r->host.calls, 2);
}

/* It has its mounts by then, and goes again without having run anything. */
static void assert_not_created(struct agent_rig *r, enum agent_host_way way)
{
    r->host.way = way;
    (void)rig_create(r, "web", false);
    struct container *c = rig_container(r, "web");
    rig_advance(r, c, 0, "");
    assert_false(rig_receive(r, &r->client));
    assert_int_equal(r->signals[0].signal, SIGKILL);
    rig_exit(r, c->first, SIGKILL);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    assert_non_null(strstr(r->client.text, "it was not measured"));
    assert_int_equal(rig_by_id(r, "StartContainer", "web"), TTRPC_NOT_FOUND);
    assert_int_equal(r->created, r->destroyed);
    assert_int_equal(r->agent->container_count, 0);
}

static void a_container_that_the_host_does_not_measure_is_removed(void **state)
{
    assert_not_created(*state, HOST_REFUSES);
}

static void a_silent_host_keeps_no_container(void **state)
{
    assert_not_created(*state, HOST_IS_SILENT);
}

static void a_host_that_hangs_up_keeps_no_container(void **state)
{
    assert_not_created(*state, HOST_CLOSES);
}

static void a_pod_whose_key_is_refused_has_containers_and_no_evidence(void **state)
{
    struct agent_rig *r = *state;
    rig_measure_later(r);
    (void)rig_running(r, "web", false);
    r->host.way = HOST_REFUSES;
    rig_pass(r, TRUST_KEY_MS);
    assert_int_equal(r->host.calls, 2);
    assert_int_equal(get_evidence(r, &r->client, 8), TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(r->host.seen[2].kind, trust_ExtendKind_AGENT_KEY);
    r->host.way = HOST_ANSWERS;
    (void)rig_exec(r, "web", "sh");
    assert_true(rig_last(r)->pid > 0);
}

static void a_host_that_says_something_else_keeps_no_container(void **state)
{
    struct agent_rig *r = *state;
    static const uint8_t junk[] = "HTTP/1.1 200 OK\r\n\r\nOK";
    r->host.bytes = junk;
    r->host.byte_count = sizeof(junk) - 1;
    assert_not_created(r, HOST_SAYS_BYTES);
}

static void after_a_failure_the_next_container_is_measured_again(void **state)
{
    struct agent_rig *r = *state;
    assert_not_created(r, HOST_CLOSES);
    r->host.way = HOST_ANSWERS;
    (void)rig_create(r, "web", false);
    rig_advance(r, rig_container(r, "web"), 0, "");
    assert_true(rig_receive(r, &r->client) && r->client.code == TTRPC_OK);
    assert_int_equal(r->host.connections, 2);
}

static void what_cannot_be_made_anyway_is_not_measured(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_create(r, "a name with blanks", false);
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->host.calls, 1);
}

static void a_process_is_measured_before_it_starts(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    (void)rig_exec(r, "web", "sh");
    assert_int_equal(r->host.calls, 3);
    assert_int_equal(r->host.seen[2].kind, trust_ExtendKind_EXEC);
    assert_true(rig_last(r)->pid > 0);
}

static void a_process_that_the_host_does_not_measure_does_not_start(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    unsigned before = r->agent->process_count;
    r->host.way = HOST_REFUSES;
    (void)rig_exec(r, "web", "sh");
    assert_true(rig_receive(r, &r->client));
    assert_int_equal(r->client.code, TTRPC_FAILED_PRECONDITION);
    assert_non_null(strstr(r->client.text, "it was not measured"));
    assert_int_equal(r->agent->process_count, before);
}

/* Without a policy nobody has to understand it, and a log's event has not room for everything. */
static void a_long_description_is_measured_by_its_digest(void **state)
{
    struct agent_rig *r = *state;
    char *longest = malloc(2 * EVENT_ROOM), *arguments[] = {rig_text("echo"), longest};
    char text[128] = "";
    uint8_t digest[DIGEST_SHA256_BYTES];
    assert_non_null(longest);
    memset(longest, 'x', 2 * EVENT_ROOM - 1);
    longest[2 * EVENT_ROOM - 1] = '\0';
    (void)rig_running(r, "web", false);
    grpc_ExecProcessRequest q = {.container_id = rig_text("web"),
                                 .exec_id = rig_text("long"),
                                 .has_process = true,
                                 .process = {.Args = arguments, .Args_count = 2}};
    (void)rig_send(r, &r->client, "ExecProcess", grpc_ExecProcessRequest_fields, &q, 0);
    (void)snprintf(text, sizeof(text), "%.100s", agent_host_text(&r->host, 2));
    assert_memory_equal(text, "{\"sha256\":\"", 11);
    text[11 + 64] = '\0';
    assert_true(digest_from_hex(text + 11, digest, sizeof(digest)));
    free(longest);
}

static void an_agent_that_does_not_measure_asks_nobody(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_running(r, "web", false);
    (void)rig_exec(r, "web", "sh");
    assert_int_equal(r->host.connections, 0);
    assert_int_equal(rig_call(r, "GetAgentKey", google_protobuf_Empty_fields, &nothing, NULL, NULL),
                     TTRPC_FAILED_PRECONDITION);
}

/* ---- Evidence ---- */

static void evidence_is_what_the_host_says(void **state)
{
    struct agent_rig *r = *state;
    union {
        PB_BYTES_ARRAY_T(3) own;
        pb_bytes_array_t any;
    } message = {.own = {3, {7, 8, 9}}};
    trust_Evidence e;
    r->host.evidence.message = &message.any;
    assert_int_equal(get_evidence(r, &r->client, 8), TTRPC_OK);
    assert_string_equal(agent_host_text(&r->host, 1), "nnnnnnnn");
    assert_true(r->host.seen[1].bind_agent);
    assert_int_equal(rig_decode(&r->client, trust_Evidence_fields, &e), 0);
    assert_memory_equal(e.message->bytes, message.own.bytes, 3);
    pb_release(trust_Evidence_fields, &e);
}

static void a_nonce_has_8_to_64_bytes(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(get_evidence(r, &r->client, 7), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(get_evidence(r, &r->client, 65), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(get_evidence(r, &r->client, 0), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->host.calls, 1);
    assert_int_equal(get_evidence(r, &r->client, 64), TTRPC_OK);
}

static void evidence_for_another_agents_key_is_not_passed_on(void **state)
{
    struct agent_rig *r = *state;
    union {
        PB_BYTES_ARRAY_T(4) own;
        pb_bytes_array_t any;
    } key = {.own = {4, {0x30, 2, 5, 0}}};
    r->host.evidence.agent_key = &key.any;
    assert_int_equal(get_evidence(r, &r->client, 8), TTRPC_INTERNAL);
    assert_non_null(strstr(r->client.text, "not this agent's"));
}

static void evidence_that_the_host_refuses_has_its_reason(void **state)
{
    struct agent_rig *r = *state;
    r->host.way = HOST_REFUSES;
    assert_int_equal(get_evidence(r, &r->client, 8), TTRPC_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(r->client.text, "the fake host says no"));
}

/* ---- Containers as clients ---- */

static void containers_get_the_key_and_evidence_and_nothing_else(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client c;
    trust_SecretRequest secret = {.name = rig_text("x")};
    rig_offer(r, "/proc/nowhere");
    rig_connect_container(r, &c);
    (void)rig_send(r, &c, "GetAgentKey", google_protobuf_Empty_fields, &nothing, 0);
    assert_true(rig_receive(r, &c) && c.code == TTRPC_OK);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_OK);
    (void)rig_send(r, &c, "PutSecret", trust_SecretRequest_fields, &secret, 0);
    assert_true(rig_receive(r, &c) && c.code == TTRPC_UNIMPLEMENTED);
    (void)rig_send(r, &c, "DestroySandbox", google_protobuf_Empty_fields, &nothing, 0);
    assert_true(rig_receive(r, &c) && c.code == TTRPC_UNIMPLEMENTED);
    rig_disconnect(&c);
    agent_rig_run(r);
}

static void containers_cannot_have_a_refused_key_told_for_ever(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client c;
    rig_measure_later(r);
    rig_offer(r, "/proc/nowhere");
    rig_connect_container(r, &c);
    r->host.way = HOST_REFUSES;
    for (unsigned i = 0; i < TRUST_QUOTES_BURST + 1; i++) {
        (void)rig_send(r, &c, "GetAgentKey", google_protobuf_Empty_fields, &nothing, 0);
        assert_true(rig_receive(r, &c) && c.code == TTRPC_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(r->host.calls, TRUST_QUOTES_BURST);
    rig_disconnect(&c);
    agent_rig_run(r);
}

static void containers_cannot_keep_the_host_busy(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client c;
    rig_offer(r, "/proc/nowhere");
    rig_connect_container(r, &c);
    for (unsigned i = 0; i < TRUST_QUOTES_BURST; i++)
        assert_int_equal(get_evidence(r, &c, 8), TTRPC_OK);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_RESOURCE_EXHAUSTED);
    rig_pass(r, TRUST_QUOTES_MS - 1);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_RESOURCE_EXHAUSTED);
    rig_pass(r, 1);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_OK);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(get_evidence(r, &r->client, 8), TTRPC_OK);
    rig_pass(r, 3600000);
    for (unsigned i = 0; i < TRUST_QUOTES_BURST; i++)
        assert_int_equal(get_evidence(r, &c, 8), TTRPC_OK);
    assert_int_equal(get_evidence(r, &c, 8), TTRPC_RESOURCE_EXHAUSTED);
    rig_disconnect(&c);
    agent_rig_run(r);
}

/* ---- The folder for containers ---- */

static void the_folder_is_reserved_in_every_spelling(void **state)
{
    struct agent_rig *r = *state;
    static const char *const taken[] = {
        "/run/caisson/trust",
        "/run/caisson/trust/",
        "/run//caisson/./trust",
        "/run/caisson/trust/secrets/a",
        "/run/caisson",
        "/run/",
        "/",
        "/run/x/../caisson/trust",
        "/run/caisson/trust/.",
        "//run/caisson/trust/x",
        "/x/..",
    };
    static const char *const others[] = {"/run/caisson/trusty", "/run/caisson/trus", "/run/caisson/shared/trust",
                                         "/dev/null",           "run/caisson/trust", "/run/caisson/.trust"};
    rig_offer(r, "/run/caisson/trust");
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        assert_true(agent_trust_reserves(r->agent, taken[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(agent_trust_reserves(r->agent, others[i]));
    assert_false(agent_trust_reserves(r->agent, NULL));
}

static int create_with_type(struct agent_rig *r, const char *id, const char *type)
{
    grpc_Mount m = {.type = rig_text(type), .source = rig_text("trust"), .destination = rig_text("/run/caisson")};
    grpc_CreateContainerRequest q = {
        .container_id = rig_text(id),
        .has_OCI = true,
        .OCI = {
            .has_Root = true, .Root = {.Path = rig_text("/run/caisson/shared/root")}, .Mounts = &m, .Mounts_count = 1}};
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    return rig_receive(r, &r->client) ? r->client.code : -1;
}

static void the_folder_is_made_once_for_the_first_container_that_sees_it(void **state)
{
    struct agent_rig *r = *state;
    rig_offer(r, "/run/caisson/trust");
    assert_int_equal(create_with_type(r, "a", "tmpfs"), -1);
    assert_int_equal(r->places_made, 0);
    assert_int_equal(create_with_type(r, "b", "caisson"), -1);
    assert_int_equal(create_with_type(r, "c", "caisson"), -1);
    assert_int_equal(r->places_made, 1);
    assert_int_equal(r->created, 3);
}

static void a_folder_that_cannot_be_made_fails_who_needs_it_and_nobody_else(void **state)
{
    struct agent_rig *r = *state;
    rig_offer(r, "/run/caisson/trust");
    r->place_result = -EPERM;
    assert_int_equal(create_with_type(r, "a", "caisson"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(create_with_type(r, "a", "caisson"), TTRPC_PERMISSION_DENIED);
    assert_non_null(strstr(r->client.text, "could not be made before"));
    assert_int_equal(r->places_made, 1);
    assert_int_equal(create_with_type(r, "a", "tmpfs"), -1);
    assert_int_equal(r->created, 1);
}

static int mount_storage(struct agent_rig *r, const char *driver, const char *source, const char *point)
{
    grpc_Storage s = {.driver = rig_text(driver), .source = rig_text(source), .mount_point = rig_text(point)};
    grpc_CreateSandboxRequest q = {.storages = &s, .storages_count = 1};
    return rig_call(r, "CreateSandbox", grpc_CreateSandboxRequest_fields, &q, NULL, NULL);
}

static void nothing_is_mounted_over_the_folder_or_from_it(void **state)
{
    struct agent_rig *r = *state;
    rig_offer(r, "/run/caisson/trust");
    assert_int_equal(mount_storage(r, "ephemeral", "", "/run/caisson/trust/secrets"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(mount_storage(r, "ephemeral", "", "/run/caisson"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(mount_storage(r, "bind", "/run/caisson/trust", "/run/x"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(r->mounts, 0);
    assert_int_equal(mount_storage(r, "ephemeral", "", "/run/caisson/storage/a"), TTRPC_OK);
}

static void nothing_is_copied_into_the_folder(void **state)
{
    struct agent_rig *r = *state;
    grpc_CopyFileRequest q = {.path = rig_text("/run/caisson/trust/secrets/token")};
    rig_offer(r, "/run/caisson/trust");
    assert_int_equal(rig_call(r, "CopyFile", grpc_CopyFileRequest_fields, &q, NULL, NULL), TTRPC_PERMISSION_DENIED);
}

static int create_with_bind(struct agent_rig *r, const char *source)
{
    grpc_LinuxNamespace own = {.Type = rig_text("pid")};
    grpc_Mount m = {.type = rig_text("bind"), .source = rig_text(source), .destination = rig_text("/mnt")};
    grpc_CreateContainerRequest q = {
        .container_id = rig_text("web"),
        .has_OCI = true,
        .OCI = {.has_Linux = true,
                .Linux = {.Namespaces = &own, .Namespaces_count = 1},
                .has_Root = true,
                .Root = {.Path = rig_text("/run/caisson/shared/root")},
                .Mounts = &m,
                .Mounts_count = 1},
    };
    (void)rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
    return rig_receive(r, &r->client) ? r->client.code : -1;
}

static void a_bind_mount_does_not_show_the_folder(void **state)
{
    struct agent_rig *r = *state;
    rig_offer(r, "/run/caisson/trust");
    assert_int_equal(create_with_bind(r, "/run/caisson/trust/secrets"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(create_with_bind(r, "/run"), TTRPC_PERMISSION_DENIED);
    assert_int_equal(r->created, 0);
    assert_int_equal(create_with_bind(r, "/run/caisson/shared/data"), -1);
    assert_int_equal(r->created, 1);
}

int main(void)
{
#define CASE(name)     cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
#define MEASURED(name) cmocka_unit_test_setup_teardown(name, set_up_measured, rig_teardown)
    const struct CMUnitTest tests[] = {
        MEASURED(the_agents_key_is_one_on_p256),
        MEASURED(the_key_that_clients_get_is_the_measured_one),
        MEASURED(two_agents_have_two_keys),
        CASE(a_key_that_cannot_be_measured_is_an_error_with_the_hosts_words),
        CASE(a_silent_host_is_an_error_for_who_wants_the_key),
        CASE(nobody_sees_a_key_that_is_not_measured),
        CASE(no_key_is_made_before_it_is_needed),
        CASE(a_pod_without_containers_gets_its_key_in_time),
        CASE(no_container_waits_for_the_key),
        CASE(the_key_comes_by_the_first_connection_when_nobody_waits),
        CASE(a_pod_makes_one_key),
        CASE(a_key_that_was_not_taken_is_told_again),
        MEASURED(a_container_is_measured_before_anybody_hears_that_it_exists),
        MEASURED(a_container_with_hooks_is_measured_before_it_is_made),
        MEASURED(a_container_with_hooks_that_the_host_does_not_measure_is_not_made),
        MEASURED(a_container_of_a_pod_with_hooks_is_measured_before_it_is_made),
        MEASURED(a_container_that_the_host_does_not_measure_is_removed),
        MEASURED(a_silent_host_keeps_no_container),
        MEASURED(a_host_that_hangs_up_keeps_no_container),
        CASE(a_pod_whose_key_is_refused_has_containers_and_no_evidence),
        MEASURED(a_host_that_says_something_else_keeps_no_container),
        MEASURED(after_a_failure_the_next_container_is_measured_again),
        MEASURED(what_cannot_be_made_anyway_is_not_measured),
        MEASURED(a_process_is_measured_before_it_starts),
        MEASURED(a_process_that_the_host_does_not_measure_does_not_start),
        MEASURED(a_long_description_is_measured_by_its_digest),
        CASE(an_agent_that_does_not_measure_asks_nobody),
        MEASURED(evidence_is_what_the_host_says),
        MEASURED(a_nonce_has_8_to_64_bytes),
        MEASURED(evidence_for_another_agents_key_is_not_passed_on),
        MEASURED(evidence_that_the_host_refuses_has_its_reason),
        MEASURED(containers_get_the_key_and_evidence_and_nothing_else),
        CASE(containers_cannot_have_a_refused_key_told_for_ever),
        MEASURED(containers_cannot_keep_the_host_busy),
        MEASURED(the_folder_is_reserved_in_every_spelling),
        MEASURED(the_folder_is_made_once_for_the_first_container_that_sees_it),
        MEASURED(a_folder_that_cannot_be_made_fails_who_needs_it_and_nobody_else),
        MEASURED(nothing_is_mounted_over_the_folder_or_from_it),
        MEASURED(nothing_is_copied_into_the_folder),
        MEASURED(a_bind_mount_does_not_show_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
