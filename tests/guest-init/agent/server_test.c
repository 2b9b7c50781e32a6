/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, calls and clients that do not behave; what the calls do is tested elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <google/protobuf/empty.pb.h>
#include <pb_decode.h>

#include "tests/lib/agent_rig.h"

#define HEADER 10

static const grpc_CheckRequest nobody;

static uint32_t send_check(struct agent_rig *r, struct rig_client *c)
{
    return rig_send(r, c, "Check", grpc_CheckRequest_fields, &nobody, 0);
}

/* This client is served, and the answer is to its last call. */
static void assert_served(struct agent_rig *r, struct rig_client *c)
{
    uint32_t stream = send_check(r, c);
    assert_true(rig_receive(r, c));
    assert_int_equal(c->stream, stream);
    assert_int_equal(c->code, TTRPC_OK);
}

static void put_header(uint8_t *h, uint32_t bytes, uint32_t stream, uint8_t type)
{
    for (int i = 0; i < 4; i++) {
        h[i] = (uint8_t)(bytes >> (24 - 8 * i));
        h[4 + i] = (uint8_t)(stream >> (24 - 8 * i));
    }
    h[8] = type;
    h[9] = 0;
}

static void put_frame(struct agent_rig *r, struct rig_client *c, uint32_t stream, uint8_t type, const void *payload,
                      uint32_t bytes)
{
    uint8_t h[HEADER];
    put_header(h, bytes, stream, type);
    assert_true(agent_rig_put(r, c, h, sizeof(h)));
    assert_true(agent_rig_put(r, c, payload, bytes));
}

static void assert_refused(struct agent_rig *r, struct rig_client *c, uint32_t stream, int32_t code)
{
    assert_true(rig_receive(r, c));
    assert_int_equal(c->stream, stream);
    assert_int_equal(c->code, code);
}

static void a_call_that_nobody_knows_is_unimplemented(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(rig_call(r, "AddSwap", grpc_CheckRequest_fields, &nobody, NULL, NULL), TTRPC_UNIMPLEMENTED);
    assert_non_null(strstr(r->client.text, "grpc.AgentService/AddSwap"));
    assert_served(r, &r->client);
}

static void a_method_of_another_service_is_unimplemented(void **state)
{
    struct agent_rig *r = *state;
    struct ttrpc_frame f;
    assert_int_equal(ttrpc_pack_request(&f, 1, "grpc.Healthy", "Check", grpc_CheckRequest_fields, &nobody, 0), 0);
    assert_true(agent_rig_put(r, &r->client, f.bytes, f.size));
    free(f.bytes);
    assert_refused(r, &r->client, 1, TTRPC_UNIMPLEMENTED);
}

static void a_request_without_service_and_method_is_unimplemented(void **state)
{
    struct agent_rig *r = *state;
    put_frame(r, &r->client, 1, TTRPC_REQUEST, "", 0);
    assert_refused(r, &r->client, 1, TTRPC_UNIMPLEMENTED);
}

static void every_call_answers_an_empty_request(void **state)
{
    struct agent_rig *r = *state;
    for (size_t i = 0; i < agent_method_count; i++) {
        const char *method = agent_methods[i].method;
        int code = rig_call(r, method, grpc_CheckRequest_fields, &nobody, NULL, NULL);
        /* The one that waits for something to happen. */
        assert_true(code >= 0 || strcmp(method, "GetOOMEvent") == 0);
        assert_int_not_equal(code, TTRPC_UNIMPLEMENTED);
        if (strcmp(method, "DestroySandbox") == 0)
            r->agent->stage = AGENT_SERVING;
    }
}

static void the_table_names_each_call_once(void **state)
{
    (void)state;
    assert_int_equal(agent_method_count, 34);
    for (size_t i = 0; i < agent_method_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(agent_methods[i].method, agent_methods[k].method);
}

static void a_frame_over_4_mib_is_refused_and_the_next_one_served(void **state)
{
    struct agent_rig *r = *state;
    uint32_t bytes = TTRPC_PAYLOAD_MAX + 1;
    uint8_t *zeros = calloc(1, bytes);
    assert_non_null(zeros);
    put_frame(r, &r->client, 1, TTRPC_REQUEST, zeros, bytes);
    free(zeros);
    assert_refused(r, &r->client, 1, TTRPC_RESOURCE_EXHAUSTED);
    r->client.next_stream = 3;
    assert_served(r, &r->client);
}

static void a_request_larger_than_its_call_allows_is_refused(void **state)
{
    struct agent_rig *r = *state;
    char *long_name = malloc(100001);
    assert_non_null(long_name);
    memset(long_name, 'x', 100000);
    long_name[100000] = '\0';
    assert_int_equal(rig_by_id(r, "StartContainer", long_name), TTRPC_RESOURCE_EXHAUSTED);
    free(long_name);
    assert_int_equal(r->agent->server.calls, 0);
}

static void a_frame_that_is_no_request_ends_only_its_connection(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client other;
    rig_connect(r, &other);
    put_frame(r, &other, 1, TTRPC_RESPONSE, "", 0);
    assert_true(rig_is_closed(r, &other));
    rig_disconnect(&other);
    assert_served(r, &r->client);
}

static void streaming_frames_end_the_connection(void **state)
{
    struct agent_rig *r = *state;
    put_frame(r, &r->client, 1, TTRPC_DATA, "x", 1);
    assert_true(rig_is_closed(r, &r->client));
}

static void a_stream_number_used_twice_is_refused(void **state)
{
    struct agent_rig *r = *state;
    assert_served(r, &r->client);
    r->client.next_stream = 1;
    uint32_t stream = send_check(r, &r->client);
    assert_refused(r, &r->client, stream, TTRPC_INVALID_ARGUMENT);
    assert_served(r, &r->client);
}

static void a_stream_number_that_falls_is_refused(void **state)
{
    struct agent_rig *r = *state;
    r->client.next_stream = 101;
    assert_served(r, &r->client);
    r->client.next_stream = 99;
    assert_refused(r, &r->client, send_check(r, &r->client), TTRPC_INVALID_ARGUMENT);
}

static void even_stream_numbers_and_zero_are_refused(void **state)
{
    struct agent_rig *r = *state;
    r->client.next_stream = 2;
    assert_refused(r, &r->client, send_check(r, &r->client), TTRPC_INVALID_ARGUMENT);
    r->client.next_stream = 0;
    assert_refused(r, &r->client, send_check(r, &r->client), TTRPC_INVALID_ARGUMENT);
    r->client.next_stream = 1;
    assert_served(r, &r->client);
}

static void a_payload_that_is_no_ttrpc_request_is_refused(void **state)
{
    struct agent_rig *r = *state;
    put_frame(r, &r->client, 1, TTRPC_REQUEST, "\xff\xff\xff", 3);
    assert_refused(r, &r->client, 1, TTRPC_INVALID_ARGUMENT);
    r->client.next_stream = 3;
    assert_served(r, &r->client);
}

static void a_message_that_is_not_the_calls_is_refused(void **state)
{
    struct agent_rig *r = *state;
    /* service "grpc.Health", method "Check", payload: field 1 with a length beyond its end */
    static const char request[] = "\x0a\x0bgrpc.Health\x12\x05"
                                  "Check\x1a\x02\x0a\x7f";
    put_frame(r, &r->client, 1, TTRPC_REQUEST, request, sizeof(request) - 1);
    assert_refused(r, &r->client, 1, TTRPC_INVALID_ARGUMENT);
    assert_int_equal(r->agent->server.calls, 0);
}

static void requests_may_arrive_byte_by_byte_and_several_at_once(void **state)
{
    struct agent_rig *r = *state;
    struct ttrpc_frame f[2];
    uint8_t both[256];
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(
            ttrpc_pack_request(&f[i], 2 * i + 1, "grpc.Health", "Check", grpc_CheckRequest_fields, &nobody, 0), 0);
    for (size_t i = 0; i < f[0].size; i++)
        assert_true(agent_rig_put(r, &r->client, f[0].bytes + i, 1));
    assert_refused(r, &r->client, 1, TTRPC_OK);
    r->client.next_stream = 5;
    memcpy(both, f[1].bytes, f[1].size);
    memcpy(both + f[1].size, f[1].bytes, f[1].size);
    both[f[1].size + 7] = 5;
    assert_true(agent_rig_put(r, &r->client, both, 2 * f[1].size));
    assert_refused(r, &r->client, 3, TTRPC_OK);
    assert_refused(r, &r->client, 5, TTRPC_OK);
    free(f[0].bytes);
    free(f[1].bytes);
}

static void answers_may_overtake_each_other(void **state)
{
    struct agent_rig *r = *state;
    uint32_t waiting = rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, 0);
    assert_served(r, &r->client);
    struct container *c = rig_running(r, "web", false);
    c->oom_count = 1;
    assert_int_equal(write(c->events, &(uint64_t){1}, 8), 8);
    assert_refused(r, &r->client, waiting, TTRPC_OK);
}

static void a_client_that_hangs_up_inside_a_frame_leaves_nothing(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client other;
    uint8_t h[HEADER];
    rig_connect(r, &other);
    put_header(h, 1000, 1, TTRPC_REQUEST);
    assert_true(agent_rig_put(r, &other, h, sizeof(h)));
    assert_int_equal(r->agent->server.connection_count, 2);
    rig_disconnect(&other);
    agent_rig_run(r);
    assert_int_equal(r->agent->server.connection_count, 1);
    assert_served(r, &r->client);
}

static void calls_under_way_end_with_their_connection(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client other;
    rig_connect(r, &other);
    (void)rig_send(r, &other, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, 0);
    (void)rig_send(r, &other, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, INT64_C(5000000000));
    agent_rig_run(r);
    assert_int_equal(r->agent->server.calls, 2);
    rig_disconnect(&other);
    agent_rig_run(r);
    assert_int_equal(r->agent->server.calls, 0);
    assert_int_equal(r->agent->server.call_bytes, 0);
    assert_null(r->agent->oom_waiters.first);
    rig_pass(r, 6000);
    assert_served(r, &r->client);
}

static void the_seventeenth_connection_is_refused(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client more[SERVER_CONNECTIONS_MAX];
    for (size_t i = 0; i < SERVER_CONNECTIONS_MAX; i++)
        rig_connect(r, &more[i]);
    assert_served(r, &more[SERVER_CONNECTIONS_MAX - 2]);
    assert_true(rig_is_closed(r, &more[SERVER_CONNECTIONS_MAX - 1]));
    for (size_t i = 0; i < SERVER_CONNECTIONS_MAX; i++)
        rig_disconnect(&more[i]);
    assert_served(r, &r->client);
}

static void the_call_after_1024_is_refused_until_one_is_answered(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream = 0;
    for (int i = 0; i <= SERVER_CALLS_MAX; i++)
        stream = rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, 0);
    assert_refused(r, &r->client, stream, TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(r->agent->server.calls, SERVER_CALLS_MAX);
    call_done(r->agent->oom_waiters.first);
    assert_true(rig_receive(r, &r->client));
    assert_served(r, &r->client);
}

static void calls_that_hold_too_much_data_are_refused(void **state)
{
    struct agent_rig *r = *state;
    size_t n = 4000000;
    char *data = calloc(1, n);
    int code = -1;
    unsigned kept = 0;
    assert_non_null(data);
    (void)rig_running(r, "web", false);
    while (kept < 20 && (code = rig_write(r, "web", "", data, n)) == -1)
        kept++;
    free(data);
    assert_int_equal(code, TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(kept, SERVER_CALL_BYTES_MAX / n);
}

static void a_deadline_that_passes_is_told_once(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream =
        rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, INT64_C(250000001));
    assert_false(rig_receive(r, &r->client));
    rig_pass(r, 250);
    assert_false(rig_receive(r, &r->client));
    rig_pass(r, 1);
    assert_refused(r, &r->client, stream, TTRPC_DEADLINE_EXCEEDED);
    rig_pass(r, 1000);
    assert_false(rig_receive(r, &r->client));
    assert_int_equal(r->agent->server.calls, 0);
}

static void a_time_that_was_over_before_is_a_deadline_exceeded(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream = rig_send(r, &r->client, "Check", grpc_CheckRequest_fields, &nobody, -1);
    assert_refused(r, &r->client, stream, TTRPC_DEADLINE_EXCEEDED);
}

static void the_longest_timeout_is_no_deadline_in_the_past(void **state)
{
    struct agent_rig *r = *state;
    (void)rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, INT64_MAX);
    rig_pass(r, 1000);
    assert_false(rig_receive(r, &r->client));
    assert_int_equal(r->agent->server.calls, 1);
}

/* Write as a process of the container does while the agent reads; returns how often it was possible. */
static unsigned pump(struct agent_rig *r, int fd, const char *bytes, size_t n, unsigned times)
{
    unsigned done = 0;
    while (done < times && write(fd, bytes, n) == (ssize_t)n) {
        done++;
        agent_rig_run(r);
    }
    return done;
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client lazy;
    grpc_ReadStreamRequest q = {.container_id = rig_text("web"), .len = PROCESS_READ_MAX};
    char bytes[PROCESS_READ_MAX];
    struct container *c = rig_running(r, "web", false);
    memset(bytes, 'x', sizeof(bytes));
    rig_connect(r, &lazy);
    for (unsigned i = 0; i < 200; i++)
        (void)rig_send(r, &lazy, "ReadStdout", grpc_ReadStreamRequest_fields, &q, 0);
    agent_rig_run(r);
    assert_int_equal(r->agent->server.calls, 200);
    /* 8 MiB are 128 answers; some more are in the socket. */
    assert_int_equal(pump(r, c->first->out, bytes, sizeof(bytes), 120), 120);
    assert_int_equal(r->agent->server.connection_count, 2);
    assert_in_range(pump(r, c->first->out, bytes, sizeof(bytes), 80), 8, 40);
    assert_int_equal(r->agent->server.connection_count, 1);
    assert_int_equal(r->agent->server.calls, 0);
    rig_disconnect(&lazy);
    assert_served(r, &r->client);
}

static void a_client_with_answers_waiting_is_not_read_from(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client lazy;
    struct ttrpc_frame f;
    uint32_t stream = 1;
    unsigned sent = 0;
    rig_connect(r, &lazy);
    /* Requests for some KiB each, until the socket takes no more because nobody reads it. */
    for (; sent < 4000; sent++, stream += 2) {
        assert_int_equal(
            ttrpc_pack_request(&f, stream, "grpc.AgentService", "GetMetrics", grpc_CheckRequest_fields, &nobody, 0), 0);
        ssize_t put = write(lazy.fd, f.bytes, f.size);
        free(f.bytes);
        agent_rig_run(r);
        if (put < 0)
            break;
    }
    assert_in_range(sent, 100, 3999);
    assert_int_equal(r->agent->server.connection_count, 2);
    rig_disconnect(&lazy);
    assert_served(r, &r->client);
}

static void an_answer_that_is_no_frame_any_more_is_an_error(void **state)
{
    struct agent_rig *r = *state;
    uint32_t stream = rig_send(r, &r->client, "GetOOMEvent", grpc_GetOOMEventRequest_fields, &nobody, 0);
    char *large = malloc(TTRPC_PAYLOAD_MAX + 2);
    assert_non_null(large);
    agent_rig_run(r);
    memset(large, 'x', TTRPC_PAYLOAD_MAX + 1);
    large[TTRPC_PAYLOAD_MAX + 1] = '\0';
    grpc_Metrics m = {.metrics = large};
    call_reply(r->agent->oom_waiters.first, grpc_Metrics_fields, &m);
    free(large);
    assert_refused(r, &r->client, stream, TTRPC_RESOURCE_EXHAUSTED);
}

/* Send a request without letting the agent run. */
static void leave_check(const struct rig_client *c, uint32_t stream)
{
    struct ttrpc_frame f;
    assert_int_equal(ttrpc_pack_request(&f, stream, "grpc.Health", "Check", grpc_CheckRequest_fields, &nobody, 0), 0);
    assert_int_equal(send(c->fd, f.bytes, f.size, MSG_DONTWAIT), f.size);
    free(f.bytes);
}

/* Answers that wait for a client. */
static unsigned answers_for(const struct rig_client *c)
{
    uint8_t bytes[32768];
    unsigned count = 0;
    ssize_t got = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    for (ssize_t at = 0; at + HEADER <= got; count++)
        at += HEADER + ((ssize_t)bytes[at + 2] << 8 | bytes[at + 3]);
    return count;
}

/* Hundreds of requests wait; another client's one is answered before more than a turn of them. */
static void a_client_that_sends_much_does_not_hold_up_others(void **state)
{
    struct agent_rig *r = *state;
    struct rig_client second;
    rig_connect(r, &second);
    agent_rig_run(r);
    for (unsigned i = 0; i < 200; i++)
        leave_check(&r->client, 2 * i + 1);
    leave_check(&second, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(agent_step(r->agent, 0), 0);
    assert_int_equal(answers_for(&second), 1);
    assert_in_range(answers_for(&r->client), 1, 4 * SERVER_TURN_FRAMES);
    agent_rig_run(r);
    assert_int_equal(answers_for(&r->client), 200);
    rig_disconnect(&second);
}

static void errors_have_no_control_bytes_in_their_text(void **state)
{
    struct agent_rig *r = *state;
    assert_int_equal(rig_by_id(r, "StartContainer", "a\x1b[31m\nb"), TTRPC_NOT_FOUND);
    assert_non_null(strstr(r->client.text, "a?[31m?b"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_call_that_nobody_knows_is_unimplemented),
        CASE(a_method_of_another_service_is_unimplemented),
        CASE(a_request_without_service_and_method_is_unimplemented),
        CASE(every_call_answers_an_empty_request),
        CASE(the_table_names_each_call_once),
        CASE(a_frame_over_4_mib_is_refused_and_the_next_one_served),
        CASE(a_request_larger_than_its_call_allows_is_refused),
        CASE(a_frame_that_is_no_request_ends_only_its_connection),
        CASE(streaming_frames_end_the_connection),
        CASE(a_stream_number_used_twice_is_refused),
        CASE(a_stream_number_that_falls_is_refused),
        CASE(even_stream_numbers_and_zero_are_refused),
        CASE(a_payload_that_is_no_ttrpc_request_is_refused),
        CASE(a_message_that_is_not_the_calls_is_refused),
        CASE(requests_may_arrive_byte_by_byte_and_several_at_once),
        CASE(answers_may_overtake_each_other),
        CASE(a_client_that_hangs_up_inside_a_frame_leaves_nothing),
        CASE(calls_under_way_end_with_their_connection),
        CASE(the_seventeenth_connection_is_refused),
        CASE(the_call_after_1024_is_refused_until_one_is_answered),
        CASE(calls_that_hold_too_much_data_are_refused),
        CASE(a_deadline_that_passes_is_told_once),
        CASE(a_time_that_was_over_before_is_a_deadline_exceeded),
        CASE(the_longest_timeout_is_no_deadline_in_the_past),
        CASE(a_client_that_does_not_read_is_cut_off),
        CASE(a_client_with_answers_waiting_is_not_read_from),
        CASE(an_answer_that_is_no_frame_any_more_is_an_error),
        CASE(a_client_that_sends_much_does_not_hold_up_others),
        CASE(errors_have_no_control_bytes_in_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
