/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pod process's words with the agent, against a peer that is this test: a socket as the vsock device's, and bytes
 * as an agent sends them, or as a hostile guest does.
 */
#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent.pb.h"
#include "health.pb.h"
#include "ttrpc.pb.h"
#include "vmm/pod/guest.h"

#define ANSWERS 128u

struct rig {
    char path[64];
    int listen_fd, peer; /* the guest's end */
    struct pod_guest guest;
    struct pod_agent_log log;
    struct {
        enum pod_call call;
        uint64_t tag;
        int code;
        char text[64];
    } answer[ANSWERS];
    unsigned answers;
    char lines[8192];
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *state = r;
    (void)snprintf(r->path, sizeof(r->path), "/tmp/caisson-guest-%d", (int)getpid());
    (void)strcpy(address.sun_path, r->path);
    (void)unlink(r->path);
    r->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listen_fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(r->listen_fd, 4), 0);
    r->peer = -1;
    pod_guest_init(&r->guest);
    pod_agent_log_init(&r->log);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    pod_guest_fini(&r->guest);
    pod_agent_log_fini(&r->log);
    if (r->peer >= 0)
        close(r->peer);
    close(r->listen_fd);
    (void)unlink(r->path);
    free(r);
    return 0;
}

static void on_answer(void *ctx, enum pod_call call, uint64_t tag, int code, const char *text)
{
    struct rig *r = ctx;
    assert_true(r->answers < ANSWERS);
    r->answer[r->answers].call = call;
    r->answer[r->answers].tag = tag;
    r->answer[r->answers].code = code;
    (void)snprintf(r->answer[r->answers++].text, 64, "%s", text != NULL ? text : "(none)");
}

static void on_line(void *ctx, const char *line, bool cut)
{
    struct rig *r = ctx;
    size_t n = strlen(r->lines);
    (void)snprintf(r->lines + n, sizeof(r->lines) - n, "%s%s|", line, cut ? "..." : "");
}

static void say(struct rig *r, const void *bytes, size_t n)
{
    assert_int_equal(send(r->peer, bytes, n, MSG_NOSIGNAL), n);
}

static void hear(struct rig *r, void *bytes, size_t n)
{
    assert_int_equal(recv(r->peer, bytes, n, MSG_WAITALL), n);
}

/* The device's part: the line that asks for a port. */
static void accept_port(struct rig *r, const char *line)
{
    char have[64] = "";
    r->peer = accept(r->listen_fd, NULL, NULL);
    assert_true(r->peer >= 0);
    hear(r, have, strlen(line));
    assert_string_equal(have, line);
}

static void connect_guest(struct rig *r)
{
    assert_int_equal(pod_guest_dial(&r->guest, r->path, 1024), 0);
    accept_port(r, "CONNECT 1024\n");
    assert_int_equal(pod_guest_step(&r->guest, on_answer, r), 0);
    assert_false(pod_guest_is_open(&r->guest));
    say(r, "OK 17\n", 6);
    assert_int_equal(pod_guest_step(&r->guest, on_answer, r), 0);
    assert_true(pod_guest_is_open(&r->guest));
}

/* What the agent gets: the request and its stream. */
static ttrpc_Request take_request(struct rig *r, uint32_t *stream)
{
    uint8_t head[TTRPC_HEADER_BYTES], payload[4096];
    ttrpc_Request request = ttrpc_Request_init_zero;
    hear(r, head, sizeof(head));
    uint32_t n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    *stream = (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
    assert_int_equal(head[8], TTRPC_REQUEST);
    assert_in_range(n, 1, sizeof(payload));
    hear(r, payload, n);
    assert_int_equal(ttrpc_unpack(ttrpc_Request_fields, &request, payload, n), 0);
    return request;
}

static uint32_t expect_request(struct rig *r, const char *service, const char *method)
{
    uint32_t stream;
    ttrpc_Request request = take_request(r, &stream);
    assert_string_equal(request.service, service);
    assert_string_equal(request.method, method);
    pb_release(ttrpc_Request_fields, &request);
    return stream;
}

static void reply(struct rig *r, uint32_t stream, enum ttrpc_code code, const char *text)
{
    struct ttrpc_frame frame;
    const grpc_HealthCheckResponse good = {.status = grpc_HealthCheckResponse_ServingStatus_SERVING};
    if (code == TTRPC_OK)
        assert_int_equal(ttrpc_pack_response(&frame, stream, grpc_HealthCheckResponse_fields, &good), 0);
    else
        assert_int_equal(ttrpc_pack_error(&frame, stream, code, text), 0);
    say(r, frame.bytes, frame.size);
    free(frame.bytes);
}

static void step(struct rig *r)
{
    assert_int_equal(pod_guest_step(&r->guest, on_answer, r), 0);
}

/* ---- Cases ---- */

static void calls_are_made_and_answered_in_any_order(void **state)
{
    struct rig *r = *state;
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 7, NULL, NULL), 0);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_DESTROY, 8, NULL, NULL), 0);
    assert_int_equal(pod_guest_events(&r->guest), POLLIN | POLLOUT);
    step(r);
    assert_int_equal(pod_guest_events(&r->guest), POLLIN);
    uint32_t first = expect_request(r, "grpc.Health", "Check");
    uint32_t second = expect_request(r, "grpc.AgentService", "DestroySandbox");
    assert_true(first % 2 == 1 && second > first && second % 2 == 1);
    reply(r, second, TTRPC_UNIMPLEMENTED, "no such thing");
    reply(r, first, TTRPC_OK, NULL);
    step(r);
    assert_int_equal(r->answers, 2);
    assert_true(r->answer[0].call == POD_CALL_DESTROY && r->answer[0].tag == 8);
    assert_int_equal(r->answer[0].code, -ENOSYS);
    assert_string_equal(r->answer[0].text, "no such thing");
    assert_true(r->answer[1].call == POD_CALL_CHECK && r->answer[1].code == 0);
}

static void a_signal_names_container_and_process(void **state)
{
    struct rig *r = *state;
    uint32_t stream;
    grpc_SignalProcessRequest kill;
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, 1, "web", "exec-1"), 0);
    step(r);
    ttrpc_Request request = take_request(r, &stream);
    assert_string_equal(request.method, "SignalProcess");
    assert_int_equal(
        ttrpc_unpack(grpc_SignalProcessRequest_fields, &kill, request.payload->bytes, request.payload->size), 0);
    assert_string_equal(kill.container_id, "web");
    assert_string_equal(kill.exec_id, "exec-1");
    assert_int_equal(kill.signal, 9);
    pb_release(grpc_SignalProcessRequest_fields, &kill);
    pb_release(ttrpc_Request_fields, &request);
}

static void answers_may_come_byte_by_byte(void **state)
{
    struct rig *r = *state;
    struct ttrpc_frame frame;
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 1, NULL, NULL), 0);
    step(r);
    assert_int_equal(ttrpc_pack_error(&frame, 1, TTRPC_NOT_FOUND, "gone"), 0);
    for (size_t i = 0; i < frame.size; i++) {
        assert_int_equal(r->answers, 0);
        say(r, frame.bytes + i, 1);
        step(r);
    }
    free(frame.bytes);
    assert_int_equal(r->answers, 1);
    assert_int_equal(r->answer[0].code, -ENOENT);
}

static void nobody_on_the_port_is_a_refusal(void **state)
{
    struct rig *r = *state;
    assert_int_equal(pod_guest_dial(&r->guest, r->path, 1024), 0);
    accept_port(r, "CONNECT 1024\n");
    close(r->peer);
    r->peer = -1;
    assert_int_equal(pod_guest_step(&r->guest, on_answer, r), -ECONNREFUSED);
    assert_int_equal(r->guest.dial.fd, -1);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 1, NULL, NULL), -ENOTCONN);
    assert_int_equal(pod_guest_dial(&r->guest, "/nonexistent/vsock", 1024), -ENOENT);
}

static void what_is_no_welcome_is_a_refusal(void **state)
{
    static const char *const lines[] = {"\n", "OK\n", "NO 5\n", "OK 12345678901234567890123456789012345"};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(pod_guest_dial(&r->guest, r->path, 1024), 0);
        accept_port(r, "CONNECT 1024\n");
        say(r, lines[i], strlen(lines[i]));
        assert_int_equal(pod_guest_step(&r->guest, on_answer, r), -ECONNREFUSED);
        close(r->peer);
        r->peer = -1;
    }
}

static void calls_under_way_hear_of_the_end(void **state)
{
    struct rig *r = *state;
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, 1, "a", ""), 0);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, 2, "b", ""), 0);
    step(r);
    close(r->peer);
    r->peer = -1;
    assert_true(pod_guest_step(&r->guest, on_answer, r) < 0);
    assert_int_equal(r->answers, 2);
    assert_int_equal(r->answer[0].code, -ECONNRESET);
    assert_int_equal(r->answer[1].tag, 2);
    assert_false(pod_guest_is_open(&r->guest));
}

/* Each is sent behind one good call that is under way. */
static void frames_that_cannot_be_end_the_connection(void **state)
{
    struct rig *r = *state;
    static const struct {
        uint8_t bytes[14];
        size_t n;
    } frames[] = {
        {{0, 0, 0, 0, 0, 0, 0, 3, TTRPC_RESPONSE, 0}, 10}, /* nobody asked */
        {{0, 0, 0, 0, 0, 0, 0, 0, TTRPC_RESPONSE, 0}, 10}, /* no stream */
        {{0, 0, 0, 0, 0, 0, 0, 1, TTRPC_REQUEST, 0}, 10},  /* a request */
        {{0, 0, 0, 0, 0, 0, 0, 1, TTRPC_DATA, 0}, 10},     /* a stream's data */
    };
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        r->answers = 0;
        connect_guest(r);
        assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 1, NULL, NULL), 0);
        step(r);
        say(r, frames[i].bytes, frames[i].n);
        assert_int_equal(pod_guest_step(&r->guest, on_answer, r), -EPROTO);
        assert_int_equal(r->answers, 1);
        assert_int_equal(r->answer[0].code, -ECONNRESET);
        close(r->peer);
        r->peer = -1;
    }
}

static void an_answer_that_is_too_large_ends_the_connection(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[TTRPC_HEADER_BYTES + POD_GUEST_PAYLOAD + 1] = {0};
    const uint8_t head[TTRPC_HEADER_BYTES] = {0, 1, 0, 1, 0, 0, 0, 1, TTRPC_RESPONSE, 0};
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 1, NULL, NULL), 0);
    step(r);
    memcpy(bytes, head, sizeof(head));
    int code = 0;
    for (size_t at = 0; code == 0 && at < sizeof(bytes);) {
        ssize_t n = send(r->peer, bytes + at, sizeof(bytes) - at < 8192 ? sizeof(bytes) - at : 8192, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
        code = pod_guest_step(&r->guest, on_answer, r);
    }
    assert_int_equal(code, -EPROTO);
    assert_int_equal(r->answer[0].code, -ECONNRESET);
}

static void an_answer_that_is_no_message_is_an_error_to_its_call(void **state)
{
    struct rig *r = *state;
    const uint8_t frame[] = {0, 0, 0, 2, 0, 0, 0, 1, TTRPC_RESPONSE, 0, 0xff, 0xff};
    connect_guest(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_CHECK, 1, NULL, NULL), 0);
    step(r);
    say(r, frame, sizeof(frame));
    step(r);
    assert_int_equal(r->answers, 1);
    assert_int_equal(r->answer[0].code, -EBADMSG);
}

static void calls_have_their_limit(void **state)
{
    struct rig *r = *state;
    connect_guest(r);
    for (unsigned i = 0; i < POD_CALLS_MAX; i++)
        assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, i, "c", ""), 0);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, 99, "c", ""), -EBUSY);
    step(r);
    reply(r, expect_request(r, "grpc.AgentService", "SignalProcess"), TTRPC_OK, NULL);
    step(r);
    assert_int_equal(pod_guest_call(&r->guest, POD_CALL_SIGNAL, 99, "c", ""), 0);
}

/* ---- The log ---- */

static void connect_log(struct rig *r)
{
    assert_int_equal(pod_dial_start(&r->log.dial, r->path, 1025), 0);
    accept_port(r, "CONNECT 1025\n");
    say(r, "OK 1\nfirst\nsec", 14); /* the welcome and what follows it in one piece */
    assert_int_equal(pod_agent_log_step(&r->log, on_line, r), 0);
    assert_string_equal(r->lines, "first|");
}

static void lines_of_the_agent_are_told_one_by_one(void **state)
{
    struct rig *r = *state;
    connect_log(r);
    say(r, "ond\n\nthird", 10);
    assert_int_equal(pod_agent_log_step(&r->log, on_line, r), 0);
    assert_string_equal(r->lines, "first|second|");
    close(r->peer);
    r->peer = -1;
    assert_int_equal(pod_agent_log_step(&r->log, on_line, r), -ECONNRESET);
    assert_string_equal(r->lines, "first|second|third|");
    assert_int_equal(r->log.dial.fd, -1);
}

static void lines_that_are_too_long_are_cut(void **state)
{
    struct rig *r = *state;
    char flood[3000];
    connect_log(r);
    memset(flood, 'x', sizeof(flood));
    say(r, flood, sizeof(flood));
    say(r, "\nshort\n", 7);
    assert_int_equal(pod_agent_log_step(&r->log, on_line, r), 0);
    assert_int_equal(strlen(r->lines), 6 + POD_AGENT_LINE - 1 + 4 + 6);
    assert_string_equal(r->lines + strlen(r->lines) - 12, "xx...|short|");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(calls_are_made_and_answered_in_any_order),
        CASE(a_signal_names_container_and_process),
        CASE(answers_may_come_byte_by_byte),
        CASE(nobody_on_the_port_is_a_refusal),
        CASE(what_is_no_welcome_is_a_refusal),
        CASE(calls_under_way_hear_of_the_end),
        CASE(frames_that_cannot_be_end_the_connection),
        CASE(an_answer_that_is_too_large_ends_the_connection),
        CASE(an_answer_that_is_no_message_is_an_error_to_its_call),
        CASE(calls_have_their_limit),
        CASE(lines_of_the_agent_are_told_one_by_one),
        CASE(lines_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests_name("pod/guest", tests, NULL, NULL);
}
