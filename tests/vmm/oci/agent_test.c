/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb.h"
#include "google/protobuf/empty.pb.h"
#include "tests/lib/fake_agent.h"
#include "vmm/oci/agent.h"

#define LONG_MS 20000u
#define SERVICE "grpc.AgentService/"

/* ---- What the cases share ---- */

static char *words(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

static int dial(struct fake_agent *f, struct oci_agent *a, struct err *err)
{
    return oci_agent_dial(f->vsock, OCI_AGENT_PORT, LONG_MS, a, err);
}

static void must_dial(struct fake_agent *f, struct oci_agent *a)
{
    struct err err;
    if (dial(f, a, &err) < 0)
        fail_msg("%s", err.text);
}

/* Start the fake and connect. */
static void open_pair(struct fake_agent *f, struct oci_agent *a, const struct fake_agent_config *cfg)
{
    fake_agent_start(f, cfg);
    must_dial(f, a);
}

static void close_pair(struct fake_agent *f, struct oci_agent *a)
{
    oci_agent_close(a);
    fake_agent_stop(f);
}

static int start_container(struct oci_agent *a, unsigned timeout_ms, struct err *err)
{
    grpc_StartContainerRequest r = {.container_id = words("c1")};
    int code =
        oci_agent_call(a, SERVICE "StartContainer", grpc_StartContainerRequest_fields, &r, NULL, NULL, timeout_ms, err);
    pb_release(grpc_StartContainerRequest_fields, &r);
    return code;
}

static int wait_process(struct oci_agent *a, grpc_WaitProcessResponse *out, struct err *err)
{
    grpc_WaitProcessRequest r = {.container_id = words("c1"), .exec_id = words("e1")};
    int code = oci_agent_call(a, SERVICE "WaitProcess", grpc_WaitProcessRequest_fields, &r,
                              grpc_WaitProcessResponse_fields, out, LONG_MS, err);
    pb_release(grpc_WaitProcessRequest_fields, &r);
    return code;
}

static uint32_t send_wait(struct oci_agent *a)
{
    grpc_WaitProcessRequest r = {.container_id = words("c1"), .exec_id = words("c1")};
    uint32_t stream = 0;
    assert_int_equal(oci_agent_send(a, SERVICE "WaitProcess", grpc_WaitProcessRequest_fields, &r, &stream), 0);
    pb_release(grpc_WaitProcessRequest_fields, &r);
    return stream;
}

static uint32_t send_read(struct oci_agent *a, const char *method)
{
    grpc_ReadStreamRequest r = {.container_id = words("c1"), .exec_id = words("c1"), .len = 1 << 20};
    uint32_t stream = 0;
    assert_int_equal(oci_agent_send(a, method, grpc_ReadStreamRequest_fields, &r, &stream), 0);
    pb_release(grpc_ReadStreamRequest_fields, &r);
    return stream;
}

/* Wait as an event loop does. */
static int next_answer(struct oci_agent *a, struct oci_agent_answer *out)
{
    int code;
    while (code = oci_agent_receive(a, out), code == 0) {
        struct pollfd p = {.fd = a->fd, .events = oci_agent_events(a)};
        assert_int_equal(poll(&p, 1, (int)LONG_MS), 1);
    }
    return code;
}

/* ---- Dialling ---- */

static void a_call_is_answered(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a, &(struct fake_agent_config){0});
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    fake_agent_expect(&f, "StartContainer c1");
    assert_int_equal(start_container(&a, 0, &err), 0);
    close_pair(&f, &a);
}

static void dialling_goes_on_while_nobody_listens_in_the_guest(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_NOBODY, .count = 3});
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    close_pair(&f, &a);
}

static void dialling_once_says_that_nobody_listens(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    fake_agent_start(&f, &(struct fake_agent_config){.trouble = FAKE_AGENT_NOBODY});
    assert_int_equal(oci_agent_dial(f.vsock, 1024, 0, &a, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, f.vsock));
    assert_non_null(strstr(err.text, "nobody listens on port 1024"));
    assert_int_equal(a.fd, -1);
    oci_agent_close(&a);
    fake_agent_stop(&f);
}

static void dialling_a_socket_that_is_not_there_says_that_the_pod_does_not_run(void **state)
{
    (void)state;
    struct oci_agent a;
    struct err err;
    assert_int_equal(oci_agent_dial("/nonexistent/pod/vsock", 1024, 0, &a, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "the pod does not run"));
}

static void dialling_a_file_that_is_no_socket_is_refused(void **state)
{
    (void)state;
    struct oci_agent a;
    struct err err;
    assert_int_equal(oci_agent_dial("/dev/null/vsock", 1024, LONG_MS, &a, &err), -ENOTDIR);
}

static void dialling_does_not_wait_for_a_greeting_beyond_its_time(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    fake_agent_start(&f, &(struct fake_agent_config){.trouble = FAKE_AGENT_NO_GREETING});
    assert_int_equal(oci_agent_dial(f.vsock, 1024, 50, &a, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "does not answer"));
    fake_agent_stop(&f);
}

static void a_greeting_of_another_protocol_is_refused(void **state)
{
    (void)state;
    static const enum fake_agent_trouble troubles[] = {FAKE_AGENT_BAD_GREETING, FAKE_AGENT_LONG_GREETING};
    for (size_t i = 0; i < 2; i++) {
        struct fake_agent f;
        struct oci_agent a;
        struct err err;
        fake_agent_start(&f, &(struct fake_agent_config){.trouble = troubles[i]});
        assert_int_equal(dial(&f, &a, &err), -EPROTO);
        fake_agent_stop(&f);
    }
}

/* A folder whose name is as long as names may be, linked to the fake's. */
static void a_socket_with_a_path_longer_than_an_address_is_reached(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    char path[320];
    fake_agent_start(&f, &(struct fake_agent_config){0});
    int n = snprintf(path, sizeof(path), "/tmp/caisson-%d-%0200d", (int)getpid(), 0);
    assert_int_equal(symlink(f.folder, path), 0);
    memcpy(path + n, "/vsock", sizeof("/vsock"));
    assert_int_equal(oci_agent_dial(path, 1024, LONG_MS, &a, &err), 0);
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    path[n] = '\0';
    assert_int_equal(unlink(path), 0);
    close_pair(&f, &a);
}

/* ---- Answers ---- */

static void an_answer_has_its_content(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    grpc_WaitProcessResponse response;
    open_pair(&f, &a, &(struct fake_agent_config){.exit = FAKE_EXIT_AT_ONCE, .status = 42});
    assert_int_equal(wait_process(&a, &response, &err), 0);
    assert_int_equal(response.status, 42);
    fake_agent_expect(&f, "WaitProcess c1 e1");
    close_pair(&f, &a);
}

static void an_answer_in_single_bytes_is_put_together(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    grpc_WaitProcessResponse response;
    open_pair(&f, &a, &(struct fake_agent_config){.piece = 1, .status = 300});
    assert_int_equal(wait_process(&a, &response, &err), 0);
    assert_int_equal(response.status, 300);
    close_pair(&f, &a);
}

static void a_refusal_has_the_agents_words_and_their_errno(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a,
              &(struct fake_agent_config){
                  .refuse = "StartContainer", .refuse_code = TTRPC_NOT_FOUND, .refuse_text = "no container c1"});
    assert_int_equal(start_container(&a, LONG_MS, &err), -ENOENT);
    assert_string_equal(err.text, "cannot have the agent do StartContainer: no container c1");
    assert_false(a.broken);
    close_pair(&f, &a);
}

static void words_of_the_guest_reach_no_terminal_as_they_are(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a,
              &(struct fake_agent_config){.refuse = "StartContainer",
                                          .refuse_code = 99,
                                          .refuse_text = "a\x1b]0;b\x07\xc2\x9b"
                                                         "2J\nlevel=fatal"});
    assert_int_equal(start_container(&a, LONG_MS, &err), -EIO);
    assert_non_null(strstr(err.text, "a?]0;b?"));
    assert_null(strchr(err.text, 0x1b));
    assert_null(strchr(err.text, '\n'));
    assert_null(strstr(err.text, "\xc2\x9b"));
    close_pair(&f, &a);
}

static void a_refusal_without_words_gets_some(void **state)
{
    (void)state;
    /* The second has none that could be shown. */
    static const char *const texts[] = {"", "\r"};
    for (size_t i = 0; i < 2; i++) {
        struct fake_agent f;
        struct oci_agent a;
        struct err err;
        open_pair(&f, &a,
                  &(struct fake_agent_config){
                      .refuse = "StartContainer", .refuse_code = TTRPC_PERMISSION_DENIED, .refuse_text = texts[i]});
        assert_int_equal(start_container(&a, LONG_MS, &err), -EPERM);
        assert_non_null(strstr(err.text, strerror(EPERM)));
        close_pair(&f, &a);
    }
}

static void an_answer_that_is_too_large_fails_its_call_only(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    grpc_WaitProcessResponse response;
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_OVERSIZED, .trouble_with = "StartContainer"});
    assert_int_equal(start_container(&a, LONG_MS, &err), -EMSGSIZE);
    assert_int_equal(wait_process(&a, &response, &err), 0);
    close_pair(&f, &a);
}

static void an_answer_that_cannot_be_read_fails_its_call_only(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    grpc_WaitProcessResponse response;
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_UNREADABLE, .trouble_with = "StartContainer"});
    assert_int_equal(start_container(&a, LONG_MS, &err), -EBADMSG);
    assert_int_equal(wait_process(&a, &response, &err), 0);
    close_pair(&f, &a);
}

static void bytes_that_are_no_protocol_end_the_connection(void **state)
{
    (void)state;
    static const enum fake_agent_trouble troubles[] = {FAKE_AGENT_GARBAGE, FAKE_AGENT_HUGE, FAKE_AGENT_REQUESTS,
                                                       FAKE_AGENT_CLOSES};
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        struct fake_agent f;
        struct oci_agent a;
        struct err err;
        open_pair(&f, &a, &(struct fake_agent_config){.trouble = troubles[i]});
        assert_int_equal(start_container(&a, LONG_MS, &err), -EPIPE);
        assert_true(a.broken);
        assert_non_null(strstr(err.text, a.why));
        assert_int_equal(start_container(&a, LONG_MS, &err), -EPIPE);
        close_pair(&f, &a);
    }
}

static void a_silent_agent_is_waited_for_no_longer_than_asked(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_SILENT});
    assert_int_equal(start_container(&a, 30, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "no answer in time"));
    assert_int_equal(start_container(&a, 30, &err), -EPIPE);
    close_pair(&f, &a);
}

static void some_answers_to_nobody_are_ignored(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    open_pair(&f, &a,
              &(struct fake_agent_config){.trouble = FAKE_AGENT_STRANGERS, .count = OCI_AGENT_STRANGERS_MAX / 2});
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    /* One more than may be. */
    assert_int_equal(start_container(&a, LONG_MS, &err), -EPIPE);
    assert_non_null(strstr(err.text, "nobody has asked"));
    close_pair(&f, &a);
}

static void an_answer_that_comes_twice_counts_once(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct err err;
    grpc_WaitProcessResponse response;
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_TWICE, .status = 3});
    assert_int_equal(start_container(&a, LONG_MS, &err), 0);
    assert_int_equal(wait_process(&a, &response, &err), 0);
    assert_int_equal(response.status, 3);
    close_pair(&f, &a);
}

/* ---- Several calls ---- */

static void answers_come_in_the_guests_order(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct oci_agent_answer answer;
    grpc_ReadStreamResponse read;
    open_pair(&f, &a, &(struct fake_agent_config){.out = "hello", .exit = FAKE_EXIT_WHEN_TOLD});
    uint32_t wait = send_wait(&a), out = send_read(&a, SERVICE "ReadStdout");
    assert_int_equal(next_answer(&a, &answer), 1);
    assert_int_equal(answer.stream, out);
    assert_int_equal(answer.code, 0);
    assert_int_equal(oci_agent_unpack(&answer, grpc_ReadStreamResponse_fields, &read), 0);
    assert_int_equal(read.data->size, 5);
    assert_memory_equal(read.data->bytes, "hello", 5);
    pb_release(grpc_ReadStreamResponse_fields, &read);
    oci_agent_answer_fini(&answer);
    fake_agent_tell(&f, "exit");
    assert_int_equal(next_answer(&a, &answer), 1);
    assert_int_equal(answer.stream, wait);
    oci_agent_answer_fini(&answer);
    close_pair(&f, &a);
}

static void a_read_may_bring_a_mebibyte_while_others_may_not(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct oci_agent_answer answer;
    grpc_ReadStreamResponse read;
    open_pair(&f, &a, &(struct fake_agent_config){.flood = 1 << 20, .exit = FAKE_EXIT_WHEN_TOLD});
    (void)send_read(&a, SERVICE "ReadStdout");
    assert_int_equal(next_answer(&a, &answer), 1);
    assert_int_equal(oci_agent_unpack(&answer, grpc_ReadStreamResponse_fields, &read), 0);
    assert_int_equal(read.data->size, 1 << 20);
    assert_int_equal(read.data->bytes[12345], fake_agent_pattern(12345));
    pb_release(grpc_ReadStreamResponse_fields, &read);
    oci_agent_answer_fini(&answer);
    close_pair(&f, &a);
}

static void a_large_answer_is_only_for_calls_that_may_have_one(void **state)
{
    (void)state;
    struct oci_agent a;
    struct oci_agent_answer answer;
    struct ttrpc_frame frame;
    int pair[2];
    grpc_ReadStreamResponse large = {.data = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(100000))};
    assert_non_null(large.data);
    large.data->size = 100000;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    oci_agent_init(&a, pair[0]);
    uint32_t wait = send_wait(&a);
    (void)send_read(&a, SERVICE "ReadStdout");
    assert_int_equal(ttrpc_pack_response(&frame, wait, grpc_ReadStreamResponse_fields, &large), 0);
    pb_release(grpc_ReadStreamResponse_fields, &large);
    assert_int_equal(write(pair[1], frame.bytes, frame.size), (ssize_t)frame.size);
    free(frame.bytes);
    assert_int_equal(oci_agent_receive(&a, &answer), 1);
    assert_int_equal(answer.stream, wait);
    assert_int_equal(answer.code, -EMSGSIZE);
    oci_agent_answer_fini(&answer);
    oci_agent_close(&a);
    close(pair[1]);
}

static void more_calls_than_may_be_under_way_are_refused(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    uint32_t stream;
    grpc_WaitProcessRequest r = {0};
    open_pair(&f, &a, &(struct fake_agent_config){.trouble = FAKE_AGENT_SILENT});
    for (unsigned i = 0; i < OCI_AGENT_CALLS_MAX; i++)
        assert_int_equal(oci_agent_send(&a, SERVICE "WaitProcess", grpc_WaitProcessRequest_fields, &r, &stream), 0);
    assert_int_equal(stream, 2 * OCI_AGENT_CALLS_MAX - 1);
    assert_int_equal(oci_agent_send(&a, SERVICE "WaitProcess", grpc_WaitProcessRequest_fields, &r, &stream), -EBUSY);
    close_pair(&f, &a);
}

static void a_request_larger_than_the_sockets_room_is_kept_and_sent(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent a;
    struct oci_agent_answer answer;
    grpc_WriteStreamRequest r = {.container_id = words("c1"), .exec_id = words("c1")};
    uint32_t stream;
    open_pair(&f, &a, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    r.data = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE((2u << 20)));
    assert_non_null(r.data);
    r.data->size = 2u << 20;
    assert_int_equal(oci_agent_send(&a, SERVICE "WriteStdin", grpc_WriteStreamRequest_fields, &r, &stream), 0);
    pb_release(grpc_WriteStreamRequest_fields, &r);
    assert_int_equal(next_answer(&a, &answer), 1);
    assert_int_equal(answer.stream, stream);
    oci_agent_answer_fini(&answer);
    fake_agent_expect(&f, "WriteStdin 2097152");
    close_pair(&f, &a);
}

static void an_answer_is_read_although_requests_no_longer_leave(void **state)
{
    (void)state;
    struct oci_agent a;
    struct oci_agent_answer answer;
    struct ttrpc_frame frame;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    oci_agent_init(&a, pair[0]);
    uint32_t first = send_wait(&a);
    assert_int_equal(ttrpc_pack_response(&frame, first, google_protobuf_Empty_fields, &(google_protobuf_Empty){0}), 0);
    assert_int_equal(write(pair[1], frame.bytes, frame.size), (ssize_t)frame.size);
    free(frame.bytes);
    close(pair[1]);
    (void)send_wait(&a);
    assert_int_equal(oci_agent_receive(&a, &answer), 1);
    assert_int_equal(answer.stream, first);
    oci_agent_answer_fini(&answer);
    assert_int_equal(oci_agent_receive(&a, &answer), -EPIPE);
    oci_agent_close(&a);
}

static void a_peer_that_takes_nothing_more_is_noticed_without_a_request(void **state)
{
    (void)state;
    struct oci_agent a;
    struct oci_agent_answer answer;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    oci_agent_init(&a, pair[0]);
    assert_int_equal(shutdown(pair[1], SHUT_RD), 0);
    (void)send_wait(&a);
    assert_int_equal(oci_agent_receive(&a, &answer), -EPIPE);
    oci_agent_close(&a);
    close(pair[1]);
}

static void closing_twice_is_harmless(void **state)
{
    (void)state;
    struct oci_agent a = {0};
    struct err err;
    oci_agent_close(&a);
    oci_agent_close(&a);
    assert_int_equal(start_container(&a, 0, &err), -EPIPE);
    assert_non_null(strstr(err.text, "closed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered),
        cmocka_unit_test(dialling_goes_on_while_nobody_listens_in_the_guest),
        cmocka_unit_test(dialling_once_says_that_nobody_listens),
        cmocka_unit_test(dialling_a_socket_that_is_not_there_says_that_the_pod_does_not_run),
        cmocka_unit_test(dialling_a_file_that_is_no_socket_is_refused),
        cmocka_unit_test(dialling_does_not_wait_for_a_greeting_beyond_its_time),
        cmocka_unit_test(a_greeting_of_another_protocol_is_refused),
        cmocka_unit_test(a_socket_with_a_path_longer_than_an_address_is_reached),
        cmocka_unit_test(an_answer_has_its_content),
        cmocka_unit_test(an_answer_in_single_bytes_is_put_together),
        cmocka_unit_test(a_refusal_has_the_agents_words_and_their_errno),
        cmocka_unit_test(words_of_the_guest_reach_no_terminal_as_they_are),
        cmocka_unit_test(a_refusal_without_words_gets_some),
        cmocka_unit_test(an_answer_that_is_too_large_fails_its_call_only),
        cmocka_unit_test(an_answer_that_cannot_be_read_fails_its_call_only),
        cmocka_unit_test(bytes_that_are_no_protocol_end_the_connection),
        cmocka_unit_test(a_silent_agent_is_waited_for_no_longer_than_asked),
        cmocka_unit_test(some_answers_to_nobody_are_ignored),
        cmocka_unit_test(an_answer_that_comes_twice_counts_once),
        cmocka_unit_test(answers_come_in_the_guests_order),
        cmocka_unit_test(a_read_may_bring_a_mebibyte_while_others_may_not),
        cmocka_unit_test(a_large_answer_is_only_for_calls_that_may_have_one),
        cmocka_unit_test(more_calls_than_may_be_under_way_are_refused),
        cmocka_unit_test(a_request_larger_than_the_sockets_room_is_kept_and_sent),
        cmocka_unit_test(an_answer_is_read_although_requests_no_longer_leave),
        cmocka_unit_test(a_peer_that_takes_nothing_more_is_noticed_without_a_request),
        cmocka_unit_test(closing_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
