/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/event_log.h"

#define FIRST_EVENT_BYTES 69u
#define EVENT_BYTES       100u /* without data */

static int set_up(void **state)
{
    struct event_log *log = calloc(1, sizeof(*log));
    *state = log;
    return log == NULL ? -1 : event_log_init(log);
}

static int tear_down(void **state)
{
    event_log_fini(*state);
    free(*state);
    return 0;
}

static void expect_register(const struct event_log *log, enum digest_alg alg, uint32_t pcr, const char *hex)
{
    char text[2 * DIGEST_BYTES_MAX + 1];
    digest_to_hex(event_log_pcr(log, alg, pcr), digest_bytes(alg), text);
    assert_string_equal(text, hex);
}

static void a_new_log_says_what_it_is(void **state)
{
    /* Written by hand from the specification: TCG_PCClientPCREvent with a TCG_EfiSpecIDEvent. */
    static const uint8_t expected[FIRST_EVENT_BYTES] = "\0\0\0\0\3\0\0\0"
                                                       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                                       "\45\0\0\0"
                                                       "Spec ID Event03\0"
                                                       "\0\0\0\0\0\2\0\2\2\0\0\0"
                                                       "\x0b\0\x20\0\x0c\0\x30\0";
    const struct event_log *log = *state;
    assert_int_equal(log->length, FIRST_EVENT_BYTES);
    assert_memory_equal(log->bytes, expected, FIRST_EVENT_BYTES);
    assert_int_equal(log->events, 0);
}

static void registers_start_as_zeros(void **state)
{
    static const uint8_t zeros[DIGEST_BYTES_MAX];
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        assert_memory_equal(event_log_pcr(*state, DIGEST_SHA256, pcr), zeros, DIGEST_SHA256_BYTES);
        assert_memory_equal(event_log_pcr(*state, DIGEST_SHA384, pcr), zeros, DIGEST_SHA384_BYTES);
    }
}

/* Values by Python's hashlib: H(zeros || H("abc")), and H(that || H("")). */
static void a_register_is_extended_in_both_banks(void **state)
{
    struct event_log *log = *state;
    assert_int_equal(event_log_add(log, 9, EV_IPL, NULL, "abc", 3), 0);
    expect_register(log, DIGEST_SHA256, 9, "589f9ffed4c477966bfb8d41f37895b08c69047df8f911d6f3b57fbe08faee8d");
    expect_register(log, DIGEST_SHA384, 9,
                    "93732e3733514a841c982cfa75ea76ab55fe011acb9cd980ef4523913c65be1b0998e04d77f8c174f81a82151619ca40");
    assert_int_equal(event_log_add(log, 9, EV_IPL, NULL, NULL, 0), 0);
    expect_register(log, DIGEST_SHA256, 9, "ef6a5fdbba9e14e07fa74d23b7ae639d146ce41635cf3fe44315988c4cbd0caf");
    expect_register(log, DIGEST_SHA384, 9,
                    "a4d392030aec0188324dac645cac0391f996c9a913563092cd9d7c55c3d86c0f109053c37d2974da85660814bf359bed");
    assert_int_equal(log->events, 2);
}

static void no_other_register_is_touched(void **state)
{
    static const uint8_t zeros[DIGEST_BYTES_MAX];
    assert_int_equal(event_log_add(*state, 23, EV_IPL, NULL, "abc", 3), 0);
    for (uint32_t pcr = 0; pcr < 23; pcr++)
        assert_memory_equal(event_log_pcr(*state, DIGEST_SHA384, pcr), zeros, DIGEST_SHA384_BYTES);
    assert_memory_not_equal(event_log_pcr(*state, DIGEST_SHA384, 23), zeros, DIGEST_SHA384_BYTES);
}

static void an_event_is_written_field_by_field(void **state)
{
    struct event_log *log = *state;
    struct digest digest;
    memset(digest.sha256, 0xaa, sizeof(digest.sha256));
    memset(digest.sha384, 0xbb, sizeof(digest.sha384));
    assert_int_equal(event_log_add(log, 7, EV_ACTION, &digest, "xyz", 3), 0);
    const uint8_t *e = log->bytes + FIRST_EVENT_BYTES;
    assert_int_equal(log->length, FIRST_EVENT_BYTES + EVENT_BYTES + 3);
    assert_memory_equal(e, "\7\0\0\0\5\0\0\0\2\0\0\0\x0b\0", 14);
    assert_memory_equal(e + 14, digest.sha256, sizeof(digest.sha256));
    assert_memory_equal(e + 46, "\x0c\0", 2);
    assert_memory_equal(e + 48, digest.sha384, sizeof(digest.sha384));
    assert_memory_equal(e + 96, "\3\0\0\0xyz", 7);
}

static void an_error_leaves_everything_as_it_was(void **state, uint32_t pcr, uint32_t type, size_t n, int error)
{
    struct event_log *log = *state;
    struct event_log before = *log;
    uint8_t *data = calloc(1, EVENT_DATA_MAX + 1);
    assert_non_null(data);
    assert_int_equal(event_log_add(log, pcr, type, NULL, data, n), error);
    assert_memory_equal(log, &before, sizeof(before));
    free(data);
}

static void registers_from_24_on_are_refused(void **state)
{
    an_error_leaves_everything_as_it_was(state, EVENT_LOG_PCRS, EV_IPL, 1, -EINVAL);
    an_error_leaves_everything_as_it_was(state, UINT32_MAX, EV_IPL, 1, -EINVAL);
}

static void events_that_extend_nothing_are_refused(void **state)
{
    an_error_leaves_everything_as_it_was(state, 0, EV_NO_ACTION, 1, -EINVAL);
}

static void data_have_at_most_16_kib(void **state)
{
    uint8_t *data = calloc(1, EVENT_DATA_MAX);
    assert_non_null(data);
    an_error_leaves_everything_as_it_was(state, 1, EV_IPL, EVENT_DATA_MAX + 1, -EINVAL);
    assert_int_equal(event_log_add(*state, 1, EV_IPL, NULL, data, EVENT_DATA_MAX), 0);
    free(data);
}

/* The last event is cut so that the log has 1 MiB exactly; then not even an empty one is taken. */
static void a_log_has_at_most_1_mib(void **state)
{
    struct event_log *log = *state;
    uint8_t *data = calloc(1, EVENT_DATA_MAX);
    assert_non_null(data);
    while (EVENT_LOG_BYTES_MAX - log->length >= 2 * EVENT_BYTES + EVENT_DATA_MAX)
        assert_int_equal(event_log_add(log, 1, EV_IPL, NULL, data, EVENT_DATA_MAX), 0);
    while (EVENT_LOG_BYTES_MAX - log->length >= 2 * EVENT_BYTES)
        assert_int_equal(event_log_add(log, 1, EV_IPL, NULL, data, 0), 0);
    size_t room = EVENT_LOG_BYTES_MAX - log->length - EVENT_BYTES;
    an_error_leaves_everything_as_it_was(state, 1, EV_IPL, room + 1, -ENOSPC);
    assert_int_equal(event_log_add(log, 1, EV_IPL, NULL, data, room), 0);
    assert_int_equal(log->length, EVENT_LOG_BYTES_MAX);
    an_error_leaves_everything_as_it_was(state, 1, EV_IPL, 0, -ENOSPC);
    free(data);
}

static void an_ended_log_is_zeroed_and_may_be_ended_again(void **state)
{
    (void)state;
    static const struct event_log zero;
    struct event_log log;
    assert_int_equal(event_log_init(&log), 0);
    assert_int_equal(event_log_add(&log, 1, EV_IPL, NULL, "a", 1), 0);
    event_log_fini(&log);
    assert_memory_equal(&log, &zero, sizeof(zero));
    event_log_fini(&log);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_log_says_what_it_is),
        CASE(registers_start_as_zeros),
        CASE(a_register_is_extended_in_both_banks),
        CASE(no_other_register_is_touched),
        CASE(an_event_is_written_field_by_field),
        CASE(registers_from_24_on_are_refused),
        CASE(events_that_extend_nothing_are_refused),
        CASE(data_have_at_most_16_kib),
        CASE(a_log_has_at_most_1_mib),
        CASE(an_ended_log_is_zeroed_and_may_be_ended_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
