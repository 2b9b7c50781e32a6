/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a session channel, connected in memory, and one end against bytes written by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/session.h"

#define MAX_EVENTS 64

struct record {
    struct session_event event; /* without its pointers */
    char text[64];              /* the begin of data or text */
};

struct rig {
    struct session host, guest;
    uint8_t start_buffer[SESSION_START_MAX_BYTES];
    struct record host_got[MAX_EVENTS], guest_got[MAX_EVENTS];
    unsigned host_events, guest_events;
    size_t host_bytes, guest_bytes; /* of DATA events */
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return -1;
    }
    session_init(&r->host, SESSION_HOST, NULL, 0);
    session_init(&r->guest, SESSION_GUEST, r->start_buffer, sizeof r->start_buffer);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void keep(struct record *list, unsigned *count, size_t *bytes, const struct session_event *e)
{
    assert_true(*count < MAX_EVENTS);
    struct record *k = &list[(*count)++];
    const char *from = e->text != NULL ? e->text : (const char *)e->data;
    size_t length = e->text != NULL ? e->text_bytes : e->data_bytes;
    k->event = *e;
    length = length < sizeof k->text - 1 ? length : sizeof k->text - 1;
    if (length > 0) {
        memcpy(k->text, from, length);
    }
    k->text[length] = '\0';
    *bytes += e->kind == SESSION_EVENT_DATA ? e->data_bytes : 0;
}

/* Move what `from` wants to send, at most `limit` bytes of it. Returns the bytes moved. */
static size_t move(struct rig *r, struct session *from, size_t limit)
{
    struct session *to = from == &r->host ? &r->guest : &r->host;
    size_t length, used;
    const uint8_t *bytes = session_output(from, &length);
    length = length < limit ? length : limit;
    for (size_t at = 0; at < length; at += used) {
        struct session_event e;
        int result = session_receive(to, bytes + at, length - at, &used, &e);
        assert_true(result >= 0);
        if (result > 0 && to == &r->host) {
            keep(r->host_got, &r->host_events, &r->host_bytes, &e);
        } else if (result > 0) {
            keep(r->guest_got, &r->guest_events, &r->guest_bytes, &e);
        }
    }
    session_output_done(from, length);
    return length;
}

static void pump(struct rig *r)
{
    while (move(r, &r->host, SIZE_MAX) + move(r, &r->guest, SIZE_MAX) > 0) {
    }
}

static const uint8_t block[] = "any bytes will do here";

/* Up to a running command, with the lists of events empty. */
static void run(struct rig *r)
{
    session_ready(&r->guest);
    assert_int_equal(session_start(&r->host, block, sizeof block), 0);
    pump(r);
    assert_int_equal(r->host.phase, SESSION_PHASE_RUNNING);
    assert_int_equal(r->guest.phase, SESSION_PHASE_RUNNING);
    r->host_events = r->guest_events = 0;
}

static void expect(const struct record *k, enum session_event_kind kind, const char *text)
{
    assert_int_equal(k->event.kind, kind);
    assert_string_equal(k->text, text);
}

/* ---- the usual way ---- */

static void the_host_is_silent_before_hello(void **state)
{
    struct rig *r = *state;
    size_t length;
    session_shutdown(&r->host, 5);
    assert_int_equal(session_start(&r->host, block, sizeof block), 0);
    (void)session_output(&r->host, &length);
    assert_int_equal(length, 0);
}

static void greeting_steps_ready_and_start_follow_each_other(void **state)
{
    struct rig *r = *state;
    assert_int_equal(session_start(&r->host, block, sizeof block), 0);
    session_step(&r->guest, false, "mounting");
    session_step(&r->guest, true, "no modules");
    pump(r);
    assert_int_equal(r->guest_events, 0);
    session_ready(&r->guest);
    pump(r);
    assert_int_equal(r->host_events, 4);
    expect(&r->host_got[0], SESSION_EVENT_HELLO, "");
    expect(&r->host_got[1], SESSION_EVENT_STEP, "mounting");
    expect(&r->host_got[2], SESSION_EVENT_WARNING, "no modules");
    expect(&r->host_got[3], SESSION_EVENT_READY, "");
    assert_int_equal(r->guest_events, 1);
    expect(&r->guest_got[0], SESSION_EVENT_START, (const char *)block);
}

static void the_largest_start_block_arrives_whole_in_pieces(void **state)
{
    struct rig *r = *state;
    uint8_t *big = malloc(SESSION_START_MAX_BYTES);
    assert_non_null(big);
    for (size_t i = 0; i < SESSION_START_MAX_BYTES; i++) {
        big[i] = (uint8_t)(i / 251);
    }
    session_ready(&r->guest);
    assert_int_equal(session_start(&r->host, big, SESSION_START_MAX_BYTES), 0);
    while (move(r, &r->host, 1000) + move(r, &r->guest, 3) > 0) {
    }
    assert_int_equal(r->guest_events, 1);
    assert_int_equal(r->guest_got[0].event.data_bytes, SESSION_START_MAX_BYTES);
    assert_memory_equal(r->start_buffer, big, SESSION_START_MAX_BYTES);
    free(big);
}

static void a_start_block_of_bad_length_is_refused_here(void **state)
{
    struct rig *r = *state;
    assert_int_equal(session_start(&r->host, block, 0), -EINVAL);
    assert_int_equal(session_start(&r->host, block, SESSION_START_MAX_BYTES + 1), -EINVAL);
    assert_int_equal(session_start(&r->host, block, 1), 0);
    assert_int_equal(session_start(&r->host, block, 1), -EBUSY);
}

static void data_and_ends_arrive_on_their_streams(void **state)
{
    struct rig *r = *state;
    run(r);
    assert_int_equal(session_send(&r->host, SESSION_STDIN, (const uint8_t *)"in", 2), 2);
    session_send_end(&r->host, SESSION_STDIN);
    assert_int_equal(session_send(&r->guest, SESSION_STDERR, (const uint8_t *)"err", 3), 3);
    assert_int_equal(session_send(&r->guest, SESSION_STDOUT, (const uint8_t *)"out", 3), 3);
    pump(r);
    assert_int_equal(r->guest_events, 2);
    expect(&r->guest_got[0], SESSION_EVENT_DATA, "in");
    assert_true(r->guest_got[1].event.end);
    assert_int_equal(r->host_events, 2);
    expect(&r->host_got[0], SESSION_EVENT_DATA, "err");
    assert_int_equal(r->host_got[0].event.stream, SESSION_STDERR);
    assert_int_equal(r->host_got[1].event.stream, SESSION_STDOUT);
    assert_false(r->host_got[1].event.end);
}

static void a_side_cannot_send_the_streams_of_the_other(void **state)
{
    struct rig *r = *state;
    run(r);
    assert_int_equal(session_send(&r->guest, SESSION_STDIN, (const uint8_t *)"x", 1), 0);
    assert_int_equal(session_send(&r->host, SESSION_STDOUT, (const uint8_t *)"x", 1), 0);
    session_send_end(&r->host, SESSION_STDERR);
    pump(r);
    assert_int_equal(r->guest_events + r->host_events, 0);
}

static void exit_comes_after_the_data_and_ends_the_session(void **state)
{
    struct rig *r = *state;
    run(r);
    session_send(&r->guest, SESSION_STDOUT, (const uint8_t *)"bye", 3);
    session_send_end(&r->guest, SESSION_STDOUT);
    session_exit(&r->guest, (struct session_exit){.signaled = true, .code = 9});
    pump(r);
    assert_int_equal(r->host_events, 3);
    expect(&r->host_got[0], SESSION_EVENT_DATA, "bye");
    assert_true(r->host_got[1].event.end);
    expect(&r->host_got[2], SESSION_EVENT_EXIT, "");
    assert_true(r->host_got[2].event.exit.signaled);
    assert_int_equal(r->host_got[2].event.exit.code, 9);
    assert_int_equal(r->guest.phase, SESSION_PHASE_OVER);
    assert_int_equal(r->host.phase, SESSION_PHASE_OVER);
    assert_true(session_flushed(&r->guest));
}

static void signals_are_merged_while_they_wait(void **state)
{
    struct rig *r = *state;
    run(r);
    session_signal(&r->host, 15, false);
    session_signal(&r->host, 15, false);
    session_signal(&r->host, 64, true);
    session_signal(&r->host, 0, true);
    session_signal(&r->host, 65, false);
    pump(r);
    assert_int_equal(r->guest_events, 2);
    assert_int_equal(r->guest_got[0].event.signal, 15);
    assert_false(r->guest_got[0].event.group);
    assert_int_equal(r->guest_got[1].event.signal, 64);
    assert_true(r->guest_got[1].event.group);
}

static void only_the_newest_size_is_sent(void **state)
{
    struct rig *r = *state;
    run(r);
    session_winsize(&r->host, (struct session_size){1, 2});
    session_winsize(&r->host, (struct session_size){50, 300});
    pump(r);
    assert_int_equal(r->guest_events, 1);
    assert_int_equal(r->guest_got[0].event.size.rows, 50);
    assert_int_equal(r->guest_got[0].event.size.cols, 300);
}

static void shutdown_needs_no_command(void **state)
{
    struct rig *r = *state;
    session_shutdown(&r->host, 70000);
    pump(r);
    assert_int_equal(r->guest_events, 1);
    expect(&r->guest_got[0], SESSION_EVENT_SHUTDOWN, "");
    assert_int_equal(r->guest_got[0].event.grace_ms, 70000);
}

static void texts_are_cut_at_their_limit(void **state)
{
    struct rig *r = *state;
    char text[SESSION_TEXT_MAX + 10];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    session_step(&r->guest, false, text);
    pump(r);
    assert_int_equal(r->host_got[1].event.text_bytes, SESSION_TEXT_MAX);
}

/* ---- flow control ---- */

/* Send as much as goes. Returns the bytes. */
static size_t flood(struct rig *r, struct session *from, enum session_stream stream)
{
    static const uint8_t zeros[1000];
    size_t sum = 0, taken;
    do {
        taken = session_send(from, stream, zeros, sizeof zeros);
        sum += taken;
        pump(r);
        r->host_events = r->guest_events = 0;
    } while (taken > 0);
    return sum;
}

static void a_stream_stops_after_its_window(void **state)
{
    struct rig *r = *state;
    run(r);
    assert_int_equal(flood(r, &r->guest, SESSION_STDOUT), SESSION_WINDOW_BYTES);
    assert_int_equal(r->host_bytes, SESSION_WINDOW_BYTES);
    assert_int_equal(session_room(&r->guest, SESSION_STDOUT), 0);
}

static void a_full_stream_does_not_stop_the_others(void **state)
{
    struct rig *r = *state;
    run(r);
    flood(r, &r->guest, SESSION_STDOUT);
    assert_int_equal(flood(r, &r->guest, SESSION_STDERR), SESSION_WINDOW_BYTES);
    assert_int_equal(flood(r, &r->host, SESSION_STDIN), SESSION_WINDOW_BYTES);
    session_signal(&r->host, 2, false);
    pump(r);
    assert_int_equal(r->guest_got[0].event.kind, SESSION_EVENT_SIGNAL);
}

static void what_is_consumed_may_be_sent_again(void **state)
{
    struct rig *r = *state;
    run(r);
    flood(r, &r->guest, SESSION_STDOUT);
    session_consumed(&r->host, SESSION_STDOUT, 20000);
    pump(r);
    assert_int_equal(r->guest_got[0].event.kind, SESSION_EVENT_ROOM);
    assert_int_equal(r->guest_got[0].event.stream, SESSION_STDOUT);
    assert_int_equal(flood(r, &r->guest, SESSION_STDOUT), 20000);
}

static void small_credits_are_saved_up(void **state)
{
    struct rig *r = *state;
    run(r);
    flood(r, &r->guest, SESSION_STDOUT);
    session_consumed(&r->host, SESSION_STDOUT, SESSION_WINDOW_BYTES / 4 - 1);
    pump(r);
    assert_int_equal(r->guest_events, 0);
    session_consumed(&r->host, SESSION_STDOUT, 1);
    pump(r);
    assert_int_equal(r->guest_events, 1);
}

static void a_closed_stream_takes_nothing_more(void **state)
{
    struct rig *r = *state;
    run(r);
    session_send(&r->guest, SESSION_STDOUT, (const uint8_t *)"late", 4);
    session_close(&r->host, SESSION_STDOUT);
    pump(r);
    assert_int_equal(r->host_events, 0);
    assert_int_equal(r->guest_events, 1);
    assert_int_equal(r->guest_got[0].event.kind, SESSION_EVENT_CLOSED);
    assert_int_equal(session_send(&r->guest, SESSION_STDOUT, (const uint8_t *)"x", 1), 0);
    session_send_end(&r->guest, SESSION_STDOUT);
    session_exit(&r->guest, (struct session_exit){.code = 0});
    pump(r);
    assert_int_equal(r->host_events, 1);
    assert_int_equal(r->host_got[0].event.kind, SESSION_EVENT_EXIT);
}

static void frames_without_credit_find_room_beside_full_streams(void **state)
{
    static const uint8_t zeros[SESSION_PAYLOAD_MAX];
    struct rig *r = *state;
    run(r);
    while (session_send(&r->guest, SESSION_STDOUT, zeros, sizeof zeros) > 0) {
    }
    session_step(&r->guest, true, "still heard");
    session_exit(&r->guest, (struct session_exit){.code = 3});
    pump(r);
    assert_int_equal(r->host_got[r->host_events - 2].event.kind, SESSION_EVENT_WARNING);
    assert_int_equal(r->host_got[r->host_events - 1].event.exit.code, 3);
}

/* ---- an other side that does not keep to the rules ---- */

/* Give one frame to an end, with the preamble if that is missing. Returns what session_receive says. */
static int give(struct session *s, uint8_t type, uint8_t flags, const void *payload, uint16_t length,
                struct session_event *e)
{
    static const uint8_t zeros[SESSION_PAYLOAD_MAX];
    uint8_t bytes[SESSION_PREAMBLE_BYTES + SESSION_FRAME_MAX];
    size_t n = 0, used;
    struct session_frame f = {type, flags, length, payload != NULL ? payload : zeros};
    if (!s->decoder.synced) {
        memcpy(bytes, session_preamble, SESSION_PREAMBLE_BYTES);
        n = SESSION_PREAMBLE_BYTES;
    }
    n += session_encode(bytes + n, &f);
    return session_receive(s, bytes, n, &used, e);
}

/* The frame breaks the session; an ERROR with the reason is the last thing that waits to be sent. */
static void breaks(struct session *s, uint8_t type, uint8_t flags, const void *payload, uint16_t length)
{
    struct session_event e;
    size_t used, out;
    assert_int_equal(give(s, type, flags, payload, length, &e), -EPROTO);
    assert_non_null(s->broken);
    const uint8_t *bytes = session_output(s, &out);
    size_t text = strlen(s->broken);
    if (out > 0) {
        assert_true(out >= text + SESSION_HEADER_BYTES);
        assert_int_equal(bytes[out - text - SESSION_HEADER_BYTES], SESSION_ERROR);
        assert_memory_equal(bytes + out - text, s->broken, text);
    }
    assert_int_equal(session_receive(s, (const uint8_t *)"x", 1, &used, &e), -EPROTO);
}

#define BREAKS(name, end, before, ...)                                                                                 \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        struct rig *r = *state;                                                                                        \
        before;                                                                                                        \
        breaks(&r->end, __VA_ARGS__);                                                                                  \
    }

BREAKS(another_first_frame_than_hello_breaks, host, (void)r, SESSION_READY, 0, NULL, 0)
BREAKS(a_second_hello_breaks, host, pump(r), SESSION_HELLO, 0, "\1", 2)
BREAKS(another_version_breaks, host, (void)r, SESSION_HELLO, 0, "\2", 2)
BREAKS(a_second_ready_breaks, host, run(r), SESSION_READY, 0, NULL, 0)
BREAKS(output_before_start_breaks, host, pump(r), SESSION_OUT, 0, "x", 1)
BREAKS(exit_before_start_breaks, host, pump(r), SESSION_EXIT, 0, "\0\0", 2)
BREAKS(exit_of_a_third_kind_breaks, host, run(r), SESSION_EXIT, 0, "\2\0", 2)
BREAKS(exit_by_signal_65_breaks, host, run(r), SESSION_EXIT, 0, "\1\x41", 2)
BREAKS(a_step_that_is_too_long_breaks, host, pump(r), SESSION_STEP, 0, NULL, SESSION_TEXT_MAX + 1)
BREAKS(a_guests_frame_for_the_guest_breaks, guest, run(r), SESSION_OUT, 0, "x", 1)
BREAKS(a_hosts_frame_for_the_host_breaks, host, run(r), SESSION_IN, 0, "x", 1)
BREAKS(start_before_ready_breaks, guest, pump(r), SESSION_START, 0, "x", 1)
BREAKS(a_second_start_breaks, guest, run(r), SESSION_START, 0, "x", 1)
BREAKS(an_empty_start_breaks, guest, session_ready(&r->guest), SESSION_START, 0, NULL, 0)
BREAKS(a_signal_of_two_bytes_breaks, guest, run(r), SESSION_SIGNAL, 0, "\1\1", 2)
BREAKS(credit_beyond_the_window_breaks, guest, run(r), SESSION_CREDIT, 0, "\1\1\0\0\0", 5)
BREAKS(credit_for_a_foreign_stream_breaks, guest, run(r), SESSION_CREDIT, 0, "\0\0\0\0\0", 5)
BREAKS(credit_for_no_stream_breaks, guest, run(r), SESSION_CREDIT, 0, "\3\0\0\0\0", 5)
BREAKS(close_of_a_foreign_stream_breaks, host, run(r), SESSION_CLOSE, 0, "\1", 1)
BREAKS(a_header_that_cannot_be_breaks, guest, run(r), SESSION_SIGNAL, 4, "\1", 1)

static void a_start_block_over_the_limit_breaks(void **state)
{
    struct rig *r = *state;
    struct session_event e;
    session_ready(&r->guest);
    for (size_t sent = 0; sent < SESSION_START_MAX_BYTES; sent += SESSION_PAYLOAD_MAX) {
        assert_int_equal(give(&r->guest, SESSION_START, SESSION_FLAG_MORE, NULL, SESSION_PAYLOAD_MAX, &e), 0);
    }
    breaks(&r->guest, SESSION_START, 0, "x", 1);
}

static void data_beyond_the_credit_breaks(void **state)
{
    struct rig *r = *state;
    struct session_event e;
    run(r);
    for (size_t sent = 0; sent < SESSION_WINDOW_BYTES; sent += SESSION_PAYLOAD_MAX) {
        assert_int_equal(give(&r->guest, SESSION_IN, 0, NULL, SESSION_PAYLOAD_MAX, &e), 1);
    }
    breaks(&r->guest, SESSION_IN, 0, "x", 1);
}

static void data_after_the_end_breaks(void **state)
{
    struct rig *r = *state;
    struct session_event e;
    run(r);
    assert_int_equal(give(&r->guest, SESSION_IN, SESSION_FLAG_END, NULL, 0, &e), 1);
    breaks(&r->guest, SESSION_IN, 0, "x", 1);
}

/* What has a good form but no meaning is skipped, and the session goes on. */
static void ignored(struct rig *r, uint8_t type, const void *payload, uint16_t length)
{
    struct session_event e;
    assert_int_equal(give(&r->guest, type, 0, payload, length, &e), 1);
    assert_int_equal(e.kind, SESSION_EVENT_IGNORED);
    assert_true(e.text_bytes > 0);
    assert_int_equal(give(&r->guest, SESSION_SHUTDOWN, 0, NULL, 4, &e), 1);
    assert_int_equal(e.kind, SESSION_EVENT_SHUTDOWN);
}

static void a_frame_of_unknown_type_is_skipped(void **state)
{
    ignored(*state, 0x3f, "whatever", 8);
}

static void a_signal_before_start_is_skipped(void **state)
{
    ignored(*state, SESSION_SIGNAL, "\11", 1);
}

static void a_size_before_start_is_skipped(void **state)
{
    ignored(*state, SESSION_WINSIZE, NULL, 4);
}

static void a_signal_with_an_impossible_number_is_skipped(void **state)
{
    run(*state);
    ignored(*state, SESSION_SIGNAL, "\x41", 1);
    ignored(*state, SESSION_SIGNAL, "\0", 1);
}

static void an_error_frame_ends_the_session(void **state)
{
    struct rig *r = *state;
    run(r);
    session_abort(&r->host, "lost my patience");
    pump(r);
    assert_int_equal(r->guest_events, 1);
    expect(&r->guest_got[0], SESSION_EVENT_ERROR, "lost my patience");
    assert_int_equal(r->guest.phase, SESSION_PHASE_OVER);
    assert_int_equal(session_room(&r->guest, SESSION_STDOUT), 0);
}

static void frames_after_the_end_are_read_and_forgotten(void **state)
{
    struct rig *r = *state;
    struct session_event e;
    run(r);
    session_exit(&r->guest, (struct session_exit){.code = 1});
    pump(r);
    assert_int_equal(give(&r->host, SESSION_EXIT, 0, "\0\7", 2, &e), 0);
    assert_null(r->host.broken);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_host_is_silent_before_hello),
        CASE(greeting_steps_ready_and_start_follow_each_other),
        CASE(the_largest_start_block_arrives_whole_in_pieces),
        CASE(a_start_block_of_bad_length_is_refused_here),
        CASE(data_and_ends_arrive_on_their_streams),
        CASE(a_side_cannot_send_the_streams_of_the_other),
        CASE(exit_comes_after_the_data_and_ends_the_session),
        CASE(signals_are_merged_while_they_wait),
        CASE(only_the_newest_size_is_sent),
        CASE(shutdown_needs_no_command),
        CASE(texts_are_cut_at_their_limit),
        CASE(a_stream_stops_after_its_window),
        CASE(a_full_stream_does_not_stop_the_others),
        CASE(what_is_consumed_may_be_sent_again),
        CASE(small_credits_are_saved_up),
        CASE(a_closed_stream_takes_nothing_more),
        CASE(frames_without_credit_find_room_beside_full_streams),
        CASE(another_first_frame_than_hello_breaks),
        CASE(a_second_hello_breaks),
        CASE(another_version_breaks),
        CASE(a_second_ready_breaks),
        CASE(output_before_start_breaks),
        CASE(exit_before_start_breaks),
        CASE(exit_of_a_third_kind_breaks),
        CASE(exit_by_signal_65_breaks),
        CASE(a_step_that_is_too_long_breaks),
        CASE(a_guests_frame_for_the_guest_breaks),
        CASE(a_hosts_frame_for_the_host_breaks),
        CASE(start_before_ready_breaks),
        CASE(a_second_start_breaks),
        CASE(an_empty_start_breaks),
        CASE(a_signal_of_two_bytes_breaks),
        CASE(credit_beyond_the_window_breaks),
        CASE(credit_for_a_foreign_stream_breaks),
        CASE(credit_for_no_stream_breaks),
        CASE(close_of_a_foreign_stream_breaks),
        CASE(a_header_that_cannot_be_breaks),
        CASE(a_start_block_over_the_limit_breaks),
        CASE(data_beyond_the_credit_breaks),
        CASE(data_after_the_end_breaks),
        CASE(a_frame_of_unknown_type_is_skipped),
        CASE(a_signal_before_start_is_skipped),
        CASE(a_size_before_start_is_skipped),
        CASE(a_signal_with_an_impossible_number_is_skipped),
        CASE(an_error_frame_ends_the_session),
        CASE(frames_after_the_end_are_read_and_forgotten),
    };
    return cmocka_run_group_tests_name("common/session_end", tests, NULL, NULL);
}
