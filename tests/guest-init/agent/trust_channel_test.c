/* SPDX-License-Identifier: Apache-2.0 */
/* The channel to the host's side: what counts as an answer, and what never does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "tests/lib/agent_host.h"

/* An answer to Extend: a header and nothing else. */
#define EXTEND_ANSWER_BITS (8u * TTRPC_HEADER_BYTES)

struct fixture {
    struct agent_host host;
    struct trust_channel channel;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    agent_host_init(&f->host);
    trust_channel_init(&f->channel, &f->host.ops);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    trust_channel_fini(&f->channel);
    agent_host_fini(&f->host);
    free(f);
    return 0;
}

static int extend(struct fixture *f, const char *text)
{
    size_t n = strlen(text);
    trust_ExtendRequest q = {.kind = trust_ExtendKind_CONTAINER, .data = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n))};
    assert_non_null(q.data);
    q.data->size = (pb_size_t)n;
    memcpy(q.data->bytes, text, n);
    err_clear(&f->err);
    int result = trust_channel_call(&f->channel, "trust.HostTrust", "Extend", trust_ExtendRequest_fields, &q, NULL,
                                    NULL, &f->err);
    free(q.data);
    return result;
}

static int quote(struct fixture *f, trust_Evidence *out)
{
    const trust_EvidenceRequest q = {.bind_agent = true};
    err_clear(&f->err);
    return trust_channel_call(&f->channel, "trust.HostTrust", "GetEvidence", trust_EvidenceRequest_fields, &q,
                              trust_Evidence_fields, out, &f->err);
}

/* The call failed so, and one that follows works, on a new connection. */
static void assert_new_connection_after(struct fixture *f, int result, int wanted)
{
    assert_int_equal(result, wanted);
    assert_string_not_equal(f->err.text, "");
    f->host.way = HOST_ANSWERS;
    unsigned before = f->host.connections;
    assert_int_equal(extend(f, "next"), 0);
    assert_int_equal(f->host.connections, before + 1);
}

static void a_call_brings_its_message_and_ends_with_the_answer(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(extend(f, "{\"a\":1}"), 0);
    assert_int_equal(f->host.calls, 1);
    assert_int_equal(f->host.seen[0].kind, trust_ExtendKind_CONTAINER);
    assert_string_equal(agent_host_text(&f->host, 0), "{\"a\":1}");
}

static void calls_share_a_connection(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(extend(f, "x"), 0);
    assert_int_equal(f->host.calls, 5);
    assert_int_equal(f->host.connections, 1);
}

static void a_connection_that_was_begun_is_the_one_that_is_used(void **state)
{
    struct fixture *f = *state;
    trust_channel_begin(&f->channel);
    trust_channel_begin(&f->channel);
    assert_int_equal(f->host.connections, 1);
    assert_int_equal(extend(f, "x"), 0);
    trust_channel_begin(&f->channel);
    assert_int_equal(extend(f, "y"), 0);
    assert_int_equal(f->host.connections, 1);
}

static void a_beginning_that_failed_is_tried_again_by_the_call(void **state)
{
    struct fixture *f = *state;
    f->host.connect_result = -ECONNRESET;
    trust_channel_begin(&f->channel);
    f->host.connect_result = 0;
    assert_int_equal(extend(f, "x"), 0);
    assert_int_equal(f->host.connections, 1);
}

static void an_answer_has_its_message(void **state)
{
    struct fixture *f = *state;
    union {
        PB_BYTES_ARRAY_T(4) own;
        pb_bytes_array_t any;
    } message = {.own = {4, {1, 2, 3, 4}}};
    trust_Evidence e;
    f->host.evidence.message = &message.any;
    assert_int_equal(quote(f, &e), 0);
    assert_true(f->host.seen[0].bind_agent);
    assert_int_equal(e.message->size, 4);
    assert_memory_equal(e.message->bytes, message.own.bytes, 4);
    pb_release(trust_Evidence_fields, &e);
}

static void a_large_answer_in_single_bytes_is_one(void **state)
{
    struct fixture *f = *state;
    pb_bytes_array_t *log = calloc(1, PB_BYTES_ARRAY_T_ALLOCSIZE(3000));
    trust_Evidence e;
    assert_non_null(log);
    log->size = 3000;
    f->host.evidence.event_log = log;
    f->host.slow = true;
    assert_int_equal(quote(f, &e), 0);
    assert_int_equal(e.event_log->size, 3000);
    pb_release(trust_Evidence_fields, &e);
    free(log);
}

static void a_refusal_has_the_code_and_the_words_of_the_host(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_REFUSES;
    f->host.code = TTRPC_RESOURCE_EXHAUSTED;
    assert_int_equal(extend(f, "x"), ttrpc_error_of(TTRPC_RESOURCE_EXHAUSTED));
    assert_non_null(strstr(f->err.text, "the host says: the fake host says no"));
    f->host.way = HOST_ANSWERS;
    assert_int_equal(extend(f, "x"), 0);
    assert_int_equal(f->host.connections, 1);
}

static void a_refusal_with_a_code_nobody_knows_is_none_the_less_a_refusal(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_REFUSES;
    f->host.code = 4711;
    assert_true(extend(f, "x") < 0);
}

static void a_silent_host_is_given_up(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_IS_SILENT;
    int result = extend(f, "x");
    assert_int_equal(f->host.clock_ms, TRUST_WAIT_MS);
    assert_non_null(strstr(f->err.text, "no whole answer in time"));
    assert_new_connection_after(f, result, -ETIMEDOUT);
}

static void the_time_is_for_the_whole_call_and_not_for_each_piece(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_CUTS;
    assert_new_connection_after(f, extend(f, "x"), -ETIMEDOUT);
}

static void a_large_answer_has_more_time_and_no_more_than_its_size_asks_for(void **state)
{
    struct fixture *f = *state;
    const uint8_t header[TTRPC_HEADER_BYTES] = {0, 0x10, 0, 0, 0, 0, 0, 1, 2, 0};
    f->host.way = HOST_SAYS_BYTES;
    f->host.bytes = header;
    f->host.byte_count = sizeof(header);
    assert_int_equal(extend(f, "x"), -ETIMEDOUT);
    assert_int_equal(f->host.clock_ms, TRUST_WAIT_MS + 8000);
}

static void a_host_that_hangs_up_has_not_answered(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_CLOSES;
    assert_new_connection_after(f, extend(f, "x"), -ECONNRESET);
}

static void nobody_to_connect_to_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->host.connect_result = -ECONNRESET;
    int result = extend(f, "x");
    f->host.connect_result = 0;
    assert_new_connection_after(f, result, -ECONNRESET);
}

static void an_answer_that_came_before_the_question_is_none(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_SAYS_TWICE;
    assert_new_connection_after(f, extend(f, "x"), -EPROTO);
}

static void no_bit_of_an_answer_can_be_changed(void **state)
{
    struct fixture *f = *state;
    f->host.way = HOST_FLIPS;
    for (f->host.flip = 0; f->host.flip < EXTEND_ANSWER_BITS; f->host.flip++)
        assert_true(extend(f, "x") < 0);
    f->host.way = HOST_ANSWERS;
    assert_int_equal(extend(f, "x"), 0);
}

static void a_payload_that_is_no_message_is_refused(void **state)
{
    struct fixture *f = *state;
    trust_Evidence e;
    f->host.wrong_payload = true;
    int result = quote(f, &e);
    f->host.wrong_payload = false;
    assert_new_connection_after(f, result, -EPROTO);
}

static void an_answer_larger_than_any_is_refused_by_its_header(void **state)
{
    struct fixture *f = *state;
    const uint32_t n = TRUST_ANSWER_MAX + 1;
    const uint8_t header[TTRPC_HEADER_BYTES] = {n >> 24, n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff, 0, 0, 0, 1, 2, 0};
    f->host.way = HOST_SAYS_BYTES;
    f->host.bytes = header;
    f->host.byte_count = sizeof(header);
    int result = extend(f, "x");
    assert_int_equal(f->host.clock_ms, 0);
    assert_new_connection_after(f, result, -EPROTO);
}

static void what_the_other_end_says_cannot_forge_lines(void **state)
{
    struct fixture *f = *state;
    uint8_t answer[] = {0, 0, 0, 10, 0, 0, 0, 1, 2, 0, 0x0a, 8, 0x08, 9, 0x12, 4, 'a', '\n', 0x1b, 'b'};
    f->host.way = HOST_SAYS_BYTES;
    f->host.bytes = answer;
    f->host.byte_count = sizeof(answer);
    assert_int_equal(extend(f, "x"), ttrpc_error_of(TTRPC_FAILED_PRECONDITION));
    assert_non_null(strstr(f->err.text, "says: a??b"));
}

static void a_channel_can_be_ended_twice(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(extend(f, "x"), 0);
    trust_channel_fini(&f->channel);
    trust_channel_fini(&f->channel);
    struct trust_channel zeroed = {0};
    trust_channel_fini(&zeroed);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_call_brings_its_message_and_ends_with_the_answer),
        CASE(calls_share_a_connection),
        CASE(a_connection_that_was_begun_is_the_one_that_is_used),
        CASE(a_beginning_that_failed_is_tried_again_by_the_call),
        CASE(an_answer_has_its_message),
        CASE(a_large_answer_in_single_bytes_is_one),
        CASE(a_refusal_has_the_code_and_the_words_of_the_host),
        CASE(a_refusal_with_a_code_nobody_knows_is_none_the_less_a_refusal),
        CASE(a_silent_host_is_given_up),
        CASE(the_time_is_for_the_whole_call_and_not_for_each_piece),
        CASE(a_large_answer_has_more_time_and_no_more_than_its_size_asks_for),
        CASE(a_host_that_hangs_up_has_not_answered),
        CASE(nobody_to_connect_to_is_an_error),
        CASE(an_answer_that_came_before_the_question_is_none),
        CASE(no_bit_of_an_answer_can_be_changed),
        CASE(a_payload_that_is_no_message_is_refused),
        CASE(an_answer_larger_than_any_is_refused_by_its_header),
        CASE(what_the_other_end_says_cannot_forge_lines),
        CASE(a_channel_can_be_ended_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
