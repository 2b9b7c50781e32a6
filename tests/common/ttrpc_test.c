/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of ttrpc, made and found again; whole, in pieces, and as a hostile peer sends them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "ttrpc.pb.h"

static char *borrowed(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};
    return u.out;
}

static void put_header(uint8_t *h, uint32_t bytes, uint32_t stream, uint8_t type, uint8_t flags)
{
    for (int i = 0; i < 4; i++) {
        h[i] = (uint8_t)(bytes >> (24 - 8 * i));
        h[4 + i] = (uint8_t)(stream >> (24 - 8 * i));
    }
    h[8] = type;
    h[9] = flags;
}

static void a_header_is_big_endian_in_ten_bytes(void **state)
{
    static const uint8_t frame[] = {0, 0, 0, 2, 0x01, 0x02, 0x03, 0x05, 1, 9, 'a', 'b'};
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    assert_int_equal(ttrpc_reader_take(&r, frame, sizeof(frame), &used), TTRPC_FRAME);
    assert_int_equal(used, sizeof(frame));
    assert_int_equal(r.header.bytes, 2);
    assert_int_equal(r.header.stream, 0x01020305);
    assert_int_equal(r.header.type, TTRPC_REQUEST);
    assert_int_equal(r.header.flags, 9);
    assert_memory_equal(r.payload, "ab", 2);
    ttrpc_reader_fini(&r);
}

static void a_frame_may_be_split_anywhere(void **state)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 20];
    (void)state;
    put_header(frame, 20, 7, TTRPC_RESPONSE, 0);
    for (uint8_t i = 0; i < 20; i++)
        frame[TTRPC_HEADER_BYTES + i] = i;
    for (size_t cut = 0; cut < sizeof(frame); cut++) {
        struct ttrpc_reader r = {.max = 0};
        size_t used;
        assert_int_equal(ttrpc_reader_take(&r, frame, cut, &used), TTRPC_MORE);
        assert_int_equal(used, cut);
        assert_int_equal(ttrpc_reader_take(&r, frame + cut, sizeof(frame) - cut, &used), TTRPC_FRAME);
        assert_int_equal(used, sizeof(frame) - cut);
        assert_memory_equal(r.payload, frame + TTRPC_HEADER_BYTES, 20);
        ttrpc_reader_fini(&r);
    }
}

static void frames_in_one_piece_come_out_one_after_the_other(void **state)
{
    uint8_t frames[3 * TTRPC_HEADER_BYTES + 6];
    struct ttrpc_reader r = {.max = 0};
    size_t at = 0, used;
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        put_header(frames + at, i + 1, i, TTRPC_REQUEST, 0);
        memset(frames + at + TTRPC_HEADER_BYTES, 'a' + (int)i, i + 1);
        at += TTRPC_HEADER_BYTES + i + 1;
    }
    at = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(ttrpc_reader_take(&r, frames + at, sizeof(frames) - at, &used), TTRPC_FRAME);
        at += used;
        assert_int_equal(r.header.stream, i);
        assert_int_equal(r.header.bytes, i + 1);
        assert_int_equal(r.payload[i], 'a' + i);
    }
    assert_int_equal(at, sizeof(frames));
    ttrpc_reader_fini(&r);
}

static void a_frame_without_payload_is_complete_with_its_header(void **state)
{
    uint8_t frames[2 * TTRPC_HEADER_BYTES];
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    put_header(frames, 0, 1, TTRPC_REQUEST, 0);
    put_header(frames + TTRPC_HEADER_BYTES, 0, 3, TTRPC_REQUEST, 0);
    assert_int_equal(ttrpc_reader_take(&r, frames, sizeof(frames), &used), TTRPC_FRAME);
    assert_int_equal(used, TTRPC_HEADER_BYTES);
    assert_int_equal(r.header.stream, 1);
    assert_int_equal(ttrpc_reader_take(&r, frames + used, TTRPC_HEADER_BYTES, &used), TTRPC_FRAME);
    assert_int_equal(r.header.stream, 3);
    ttrpc_reader_fini(&r);
}

static void no_bytes_are_no_frame(void **state)
{
    struct ttrpc_reader r = {.max = 0};
    size_t used = 99;
    (void)state;
    assert_int_equal(ttrpc_reader_take(&r, NULL, 0, &used), TTRPC_MORE);
    assert_int_equal(used, 0);
    ttrpc_reader_fini(&r);
}

static void a_truncated_frame_is_never_handed_out(void **state)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 8] = {0};
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    put_header(frame, 9, 1, TTRPC_REQUEST, 0);
    assert_int_equal(ttrpc_reader_take(&r, frame, sizeof(frame), &used), TTRPC_MORE);
    assert_int_equal(used, sizeof(frame));
    assert_int_equal(ttrpc_reader_take(&r, frame, 0, &used), TTRPC_MORE);
    ttrpc_reader_fini(&r);
}

static void a_header_that_promises_4_mib_takes_no_memory_for_them(void **state)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 1] = {0};
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    put_header(frame, TTRPC_PAYLOAD_MAX, 1, TTRPC_REQUEST, 0);
    assert_int_equal(ttrpc_reader_take(&r, frame, sizeof(frame), &used), TTRPC_MORE);
    assert_true(r.room <= 4096);
    ttrpc_reader_fini(&r);
}

static void a_frame_of_4_gib_is_skipped_without_memory(void **state)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 4096] = {0};
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    put_header(frame, UINT32_MAX, 1, TTRPC_REQUEST, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ttrpc_reader_take(&r, frame, sizeof(frame), &used), TTRPC_MORE);
    assert_int_equal(r.room, 0);
    assert_null(r.payload);
    ttrpc_reader_fini(&r);
}

static void an_oversized_frame_is_told_when_it_has_passed_and_the_next_is_found(void **state)
{
    uint8_t frames[2 * TTRPC_HEADER_BYTES + 101 + 1];
    struct ttrpc_reader r = {.max = 100};
    size_t used;
    (void)state;
    memset(frames, 0xff, sizeof(frames));
    put_header(frames, 101, 5, TTRPC_REQUEST, 0);
    put_header(frames + TTRPC_HEADER_BYTES + 101, 1, 7, TTRPC_REQUEST, 0);
    assert_int_equal(ttrpc_reader_take(&r, frames, 50, &used), TTRPC_MORE);
    assert_int_equal(ttrpc_reader_take(&r, frames + 50, sizeof(frames) - 50, &used), TTRPC_OVERSIZED);
    assert_int_equal(50 + used, TTRPC_HEADER_BYTES + 101);
    assert_int_equal(r.header.stream, 5);
    assert_int_equal(ttrpc_reader_take(&r, frames + 50 + used, TTRPC_HEADER_BYTES + 1, &used), TTRPC_FRAME);
    assert_int_equal(r.header.stream, 7);
    ttrpc_reader_fini(&r);
}

static void the_largest_frame_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    for (uint32_t more = 0; more < 2; more++) {
        uint32_t bytes = TTRPC_PAYLOAD_MAX + more;
        uint8_t *frame = calloc(1, TTRPC_HEADER_BYTES + bytes);
        struct ttrpc_reader r = {.max = 0};
        size_t used;
        assert_non_null(frame);
        put_header(frame, bytes, 1, TTRPC_REQUEST, 0);
        assert_int_equal(ttrpc_reader_take(&r, frame, TTRPC_HEADER_BYTES + bytes, &used),
                         more ? TTRPC_OVERSIZED : TTRPC_FRAME);
        ttrpc_reader_fini(&r);
        free(frame);
    }
}

static void a_reader_can_be_used_again_after_it_was_released(void **state)
{
    uint8_t frame[TTRPC_HEADER_BYTES + 1] = {0};
    struct ttrpc_reader r = {.max = 0};
    size_t used;
    (void)state;
    put_header(frame, 1, 1, TTRPC_REQUEST, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ttrpc_reader_take(&r, frame, sizeof(frame), &used), TTRPC_FRAME);
        ttrpc_reader_fini(&r);
        ttrpc_reader_fini(&r);
    }
}

/* ---- Messages ---- */

static void read_frame(const struct ttrpc_frame *f, struct ttrpc_reader *r)
{
    size_t used;
    *r = (struct ttrpc_reader){.max = 0};
    assert_int_equal(ttrpc_reader_take(r, f->bytes, f->size, &used), TTRPC_FRAME);
    assert_int_equal(used, f->size);
}

static void a_request_carries_service_method_message_and_timeout(void **state)
{
    grpc_SignalProcessRequest q = {.container_id = borrowed("web"), .signal = 9};
    grpc_SignalProcessRequest back;
    struct ttrpc_frame f;
    struct ttrpc_reader r;
    ttrpc_Request envelope;
    (void)state;
    assert_int_equal(
        ttrpc_pack_request(&f, 11, "grpc.AgentService", "SignalProcess", grpc_SignalProcessRequest_fields, &q, 5000),
        0);
    read_frame(&f, &r);
    assert_int_equal(r.header.type, TTRPC_REQUEST);
    assert_int_equal(r.header.stream, 11);
    assert_int_equal(ttrpc_unpack(ttrpc_Request_fields, &envelope, r.payload, r.header.bytes), 0);
    assert_string_equal(envelope.service, "grpc.AgentService");
    assert_string_equal(envelope.method, "SignalProcess");
    assert_int_equal(envelope.timeout_nano, 5000);
    assert_int_equal(
        ttrpc_unpack(grpc_SignalProcessRequest_fields, &back, envelope.payload->bytes, envelope.payload->size), 0);
    assert_string_equal(back.container_id, "web");
    assert_int_equal(back.signal, 9);
    pb_release(grpc_SignalProcessRequest_fields, &back);
    pb_release(ttrpc_Request_fields, &envelope);
    ttrpc_reader_fini(&r);
    free(f.bytes);
}

static void a_response_has_no_status_and_an_error_no_message(void **state)
{
    grpc_WaitProcessResponse answer = {.status = -1};
    struct ttrpc_frame f;
    struct ttrpc_reader r;
    ttrpc_Response envelope;
    (void)state;
    assert_int_equal(ttrpc_pack_response(&f, 3, grpc_WaitProcessResponse_fields, &answer), 0);
    read_frame(&f, &r);
    assert_int_equal(r.header.type, TTRPC_RESPONSE);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &envelope, r.payload, r.header.bytes), 0);
    assert_false(envelope.has_status);
    assert_non_null(envelope.payload);
    pb_release(ttrpc_Response_fields, &envelope);
    ttrpc_reader_fini(&r);
    free(f.bytes);
    assert_int_equal(ttrpc_pack_error(&f, 3, TTRPC_NOT_FOUND, "no such thing"), 0);
    read_frame(&f, &r);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &envelope, r.payload, r.header.bytes), 0);
    assert_int_equal(envelope.status.code, TTRPC_NOT_FOUND);
    assert_string_equal(envelope.status.message, "no such thing");
    assert_null(envelope.payload);
    pb_release(ttrpc_Response_fields, &envelope);
    ttrpc_reader_fini(&r);
    free(f.bytes);
}

/* A message of the kind, packed and read again. */
static void pass_on(const pb_msgdesc_t *fields, const void *from, void *to)
{
    struct ttrpc_frame f;
    struct ttrpc_reader r;
    ttrpc_Response envelope;
    assert_int_equal(ttrpc_pack_response(&f, 3, fields, from), 0);
    read_frame(&f, &r);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &envelope, r.payload, r.header.bytes), 0);
    assert_int_equal(ttrpc_unpack(fields, to, envelope.payload->bytes, envelope.payload->size), 0);
    pb_release(ttrpc_Response_fields, &envelope);
    ttrpc_reader_fini(&r);
    free(f.bytes);
}

static void strings_of_an_answer_are_utf8_wherever_they_are(void **state)
{
    char name[] = "a\xff\xc3\xa4", word[] = "\xe2\x82", mtu[] = "plain", address[] = "\x80";
    char *words[] = {word, name};
    types_IPAddress a = {.address = address};
    types_Interface i = {.name = name, .hwAddr = mtu, .IPAddresses = &a, .IPAddresses_count = 1};
    grpc_Interfaces all = {.Interfaces = &i, .Interfaces_count = 1}, back;
    grpc_GuestDetailsResponse details = {.has_agent_details = true, .agent_details = {.version = address}}, heard;
    (void)state;
    details.agent_details.device_handlers = words;
    details.agent_details.device_handlers_count = 2;
    pass_on(grpc_Interfaces_fields, &all, &back);
    assert_string_equal(back.Interfaces[0].name, "a?\xc3\xa4");
    assert_string_equal(back.Interfaces[0].hwAddr, "plain");
    assert_string_equal(back.Interfaces[0].IPAddresses[0].address, "?");
    pb_release(grpc_Interfaces_fields, &back);
    pass_on(grpc_GuestDetailsResponse_fields, &details, &heard);
    assert_string_equal(heard.agent_details.device_handlers[0], "??");
    assert_string_equal(heard.agent_details.device_handlers[1], "a?\xc3\xa4");
    pb_release(grpc_GuestDetailsResponse_fields, &heard);
}

static void the_text_of_an_error_is_utf8_also_where_it_is_cut(void **state)
{
    char text[4097];
    struct ttrpc_frame f;
    struct ttrpc_reader r;
    ttrpc_Response envelope;
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + 4094, "\xe2\x82", 3);
    text[10] = '\xfe';
    assert_int_equal(ttrpc_pack_error(&f, 3, TTRPC_NOT_FOUND, text), 0);
    read_frame(&f, &r);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &envelope, r.payload, r.header.bytes), 0);
    assert_int_equal(envelope.status.message[10], '?');
    assert_string_equal(envelope.status.message + 4093, "x??");
    pb_release(ttrpc_Response_fields, &envelope);
    ttrpc_reader_fini(&r);
    free(f.bytes);
}

static void the_text_of_an_error_is_cut_at_4_kib(void **state)
{
    char *text = malloc(10001);
    struct ttrpc_frame f;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 10000);
    text[10000] = '\0';
    assert_int_equal(ttrpc_pack_error(&f, 3, TTRPC_INTERNAL, text), 0);
    assert_in_range(f.size, 4096, 4096 + 32);
    free(f.bytes);
    free(text);
}

static void a_message_that_fits_no_frame_is_refused(void **state)
{
    char *text = malloc(TTRPC_PAYLOAD_MAX + 1);
    struct ttrpc_frame f;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', TTRPC_PAYLOAD_MAX);
    text[TTRPC_PAYLOAD_MAX] = '\0';
    grpc_Metrics m = {.metrics = text};
    assert_int_equal(ttrpc_pack_response(&f, 1, grpc_Metrics_fields, &m), -EMSGSIZE);
    /* The message would fit, with its envelope it does not. */
    text[TTRPC_PAYLOAD_MAX - 6] = '\0';
    assert_int_equal(ttrpc_pack_response(&f, 1, grpc_Metrics_fields, &m), -EMSGSIZE);
    assert_int_equal(ttrpc_pack_request(&f, 1, "s", "m", grpc_Metrics_fields, &m, 0), -EMSGSIZE);
    text[TTRPC_PAYLOAD_MAX - 100] = '\0';
    assert_int_equal(ttrpc_pack_response(&f, 1, grpc_Metrics_fields, &m), 0);
    free(f.bytes);
    free(text);
}

static void every_prefix_of_a_message_is_refused_or_decoded_without_a_leak(void **state)
{
    char *arguments[] = {borrowed("sh"), borrowed("-c"), borrowed("true")};
    grpc_ExecProcessRequest q = {.container_id = borrowed("web"),
                                 .exec_id = borrowed("e"),
                                 .has_process = true,
                                 .process = {.Args = arguments, .Args_count = 3, .Cwd = borrowed("/")}};
    grpc_ExecProcessRequest back;
    ttrpc_Request envelope;
    struct ttrpc_frame f;
    (void)state;
    assert_int_equal(ttrpc_pack_request(&f, 1, "s", "m", grpc_ExecProcessRequest_fields, &q, 0), 0);
    assert_int_equal(ttrpc_unpack(ttrpc_Request_fields, &envelope, f.bytes + 10, f.size - 10), 0);
    unsigned refused = 0;
    for (pb_size_t n = 0; n <= envelope.payload->size; n++) {
        if (ttrpc_unpack(grpc_ExecProcessRequest_fields, &back, envelope.payload->bytes, n) == 0)
            pb_release(grpc_ExecProcessRequest_fields, &back);
        else
            refused++;
    }
    assert_true(refused > envelope.payload->size / 2);
    pb_release(ttrpc_Request_fields, &envelope);
    free(f.bytes);
}

static void unknown_fields_are_skipped(void **state)
{
    /* field 1 "web", field 1000 (varint), field 2000 (bytes), field 3: 15 */
    static const uint8_t bytes[] = {0x0a, 3, 'w', 'e', 'b', 0xc0, 0x3e, 5, 0x82, 0x7d, 2, 'x', 'y', 0x18, 15};
    grpc_SignalProcessRequest q;
    (void)state;
    assert_int_equal(ttrpc_unpack(grpc_SignalProcessRequest_fields, &q, bytes, sizeof(bytes)), 0);
    assert_string_equal(q.container_id, "web");
    assert_int_equal(q.signal, 15);
    pb_release(grpc_SignalProcessRequest_fields, &q);
}

static void wrong_wire_types_and_endless_numbers_are_refused(void **state)
{
    static const uint8_t type[] = {0x08, 1};                                                  /* a string as varint */
    static const uint8_t number[] = {0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}; /* never ends */
    static const uint8_t zero[] = {0x00, 0x00};                                               /* field 0 */
    grpc_SignalProcessRequest q;
    (void)state;
    assert_int_equal(ttrpc_unpack(grpc_SignalProcessRequest_fields, &q, type, sizeof(type)), -EBADMSG);
    assert_int_equal(ttrpc_unpack(grpc_SignalProcessRequest_fields, &q, number, sizeof(number)), -EBADMSG);
    assert_int_equal(ttrpc_unpack(grpc_SignalProcessRequest_fields, &q, zero, sizeof(zero)), -EBADMSG);
}

static void codes_and_errors_are_each_others_inverse(void **state)
{
    (void)state;
    for (int code = TTRPC_OK; code <= TTRPC_UNAVAILABLE; code++)
        assert_int_equal(ttrpc_code_of(ttrpc_error_of(code)), code);
    assert_int_equal(ttrpc_code_of(-ENOSPC), TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(ttrpc_code_of(-EXDEV), TTRPC_INTERNAL);
    assert_int_equal(ttrpc_error_of(-1), -EIO);
    assert_int_equal(ttrpc_error_of(INT32_MAX), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_big_endian_in_ten_bytes),
        cmocka_unit_test(a_frame_may_be_split_anywhere),
        cmocka_unit_test(frames_in_one_piece_come_out_one_after_the_other),
        cmocka_unit_test(a_frame_without_payload_is_complete_with_its_header),
        cmocka_unit_test(no_bytes_are_no_frame),
        cmocka_unit_test(a_truncated_frame_is_never_handed_out),
        cmocka_unit_test(a_header_that_promises_4_mib_takes_no_memory_for_them),
        cmocka_unit_test(a_frame_of_4_gib_is_skipped_without_memory),
        cmocka_unit_test(an_oversized_frame_is_told_when_it_has_passed_and_the_next_is_found),
        cmocka_unit_test(the_largest_frame_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(a_reader_can_be_used_again_after_it_was_released),
        cmocka_unit_test(a_request_carries_service_method_message_and_timeout),
        cmocka_unit_test(a_response_has_no_status_and_an_error_no_message),
        cmocka_unit_test(strings_of_an_answer_are_utf8_wherever_they_are),
        cmocka_unit_test(the_text_of_an_error_is_utf8_also_where_it_is_cut),
        cmocka_unit_test(the_text_of_an_error_is_cut_at_4_kib),
        cmocka_unit_test(a_message_that_fits_no_frame_is_refused),
        cmocka_unit_test(every_prefix_of_a_message_is_refused_or_decoded_without_a_leak),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(wrong_wire_types_and_endless_numbers_are_refused),
        cmocka_unit_test(codes_and_errors_are_each_others_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
