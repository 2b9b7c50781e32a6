/* SPDX-License-Identifier: Apache-2.0 */
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

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* ---- frames ---- */

static size_t put_preamble(uint8_t *out)
{
    memcpy(out, session_preamble, SESSION_PREAMBLE_BYTES);
    return SESSION_PREAMBLE_BYTES;
}

static void encode_writes_type_flags_length_payload(void **state)
{
    uint8_t out[16];
    static const uint8_t expected[] = {0x44, 1, 3, 0, 'a', 'b', 'c'};
    struct session_frame f = {SESSION_OUT, SESSION_FLAG_END, 3, (const uint8_t *)"abc"};
    (void)state;
    assert_int_equal(session_encode(out, &f), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

static void frames_are_found_byte_by_byte(void **state)
{
    uint8_t stream[64];
    size_t n = put_preamble(stream), used;
    struct session_decoder d = {0};
    struct session_frame f = {SESSION_STEP, 1, 5, (const uint8_t *)"hello"}, got;
    (void)state;
    n += session_encode(stream + n, &f);
    for (size_t i = 0; i + 1 < n; i++) {
        assert_int_equal(session_decode(&d, stream + i, 1, &used, &got), 0);
        assert_int_equal(used, 1);
    }
    assert_int_equal(session_decode(&d, stream + n - 1, 1, &used, &got), 1);
    assert_int_equal(got.type, SESSION_STEP);
    assert_int_equal(got.flags, 1);
    assert_int_equal(got.length, 5);
    assert_memory_equal(got.payload, "hello", 5);
}

static void decode_stops_behind_each_frame(void **state)
{
    uint8_t stream[64];
    size_t n = put_preamble(stream), used;
    struct session_decoder d = {0};
    struct session_frame one = {SESSION_READY, 0, 0, NULL}, two = {SESSION_OUT, 0, 1, (const uint8_t *)"x"}, got;
    (void)state;
    n += session_encode(stream + n, &one);
    size_t first = n;
    n += session_encode(stream + n, &two);
    assert_int_equal(session_decode(&d, stream, n, &used, &got), 1);
    assert_int_equal(got.type, SESSION_READY);
    assert_int_equal(used, first);
    assert_int_equal(session_decode(&d, stream + used, n - used, &used, &got), 1);
    assert_int_equal(got.type, SESSION_OUT);
}

static void noise_before_the_preamble_is_passed_over_and_counted(void **state)
{
    /* Begins of the preamble inside the noise, one of them right before the real one. */
    static const uint8_t noise[] = {'b', 'o', 0xc5, 'c', 'a', 0x00, 0xc5, 0xc5, 'c', 'a', 'i'};
    uint8_t stream[64];
    size_t n, used;
    struct session_decoder d = {0};
    struct session_frame f = {SESSION_READY, 0, 0, NULL}, got;
    (void)state;
    memcpy(stream, noise, sizeof noise);
    n = sizeof noise + put_preamble(stream + sizeof noise);
    n += session_encode(stream + n, &f);
    assert_int_equal(session_decode(&d, stream, n, &used, &got), 1);
    assert_int_equal(used, n);
    assert_int_equal(d.skipped, sizeof noise);
}

static void nothing_is_a_frame_without_the_preamble(void **state)
{
    static const uint8_t stream[] = {SESSION_READY, 0, 0, 0, SESSION_READY, 0, 0, 0};
    size_t used;
    struct session_decoder d = {0};
    struct session_frame got;
    (void)state;
    assert_int_equal(session_decode(&d, stream, sizeof stream, &used, &got), 0);
    assert_int_equal(used, sizeof stream);
}

static void the_longest_frame_passes(void **state)
{
    static const uint8_t payload[SESSION_PAYLOAD_MAX];
    uint8_t *stream = malloc(SESSION_PREAMBLE_BYTES + SESSION_FRAME_MAX);
    struct session_decoder d = {0};
    struct session_frame f = {SESSION_OUT, 0, SESSION_PAYLOAD_MAX, payload}, got;
    size_t used;
    (void)state;
    assert_non_null(stream);
    size_t n = put_preamble(stream);
    n += session_encode(stream + n, &f);
    assert_int_equal(session_decode(&d, stream, n, &used, &got), 1);
    assert_int_equal(got.length, SESSION_PAYLOAD_MAX);
    free(stream);
}

static void header_is_refused(const uint8_t *header)
{
    uint8_t stream[SESSION_PREAMBLE_BYTES + SESSION_HEADER_BYTES];
    struct session_decoder d = {0};
    struct session_frame got;
    size_t used;
    memcpy(stream + put_preamble(stream), header, SESSION_HEADER_BYTES);
    assert_int_equal(session_decode(&d, stream, sizeof stream, &used, &got), -EPROTO);
    assert_int_equal(session_decode(&d, stream, sizeof stream, &used, &got), -EPROTO);
    assert_int_equal(used, 0);
}

static void a_payload_one_byte_too_long_is_refused_for_ever(void **state)
{
    (void)state;
    header_is_refused((const uint8_t[]){SESSION_OUT, 0, 0x01, 0x10});
}

static void unknown_flags_are_refused_for_ever(void **state)
{
    (void)state;
    header_is_refused((const uint8_t[]){SESSION_OUT, 2, 0, 0});
}

/* ---- start blocks ---- */

/* A command and what it points to. */
struct sample {
    struct session_command command;
    char words[4][8];
    char *argv[4], *envp[2];
};

static const struct session_command *sample(struct sample *s)
{
    static const uint8_t seed[3] = {7, 8, 9};
    *s = (struct sample){.words = {"/bin/sh", "-c", "", "A=1"}};
    for (int i = 0; i < 3; i++) {
        s->argv[i] = s->words[i];
    }
    s->envp[0] = s->words[3];
    s->command = (struct session_command){.tty = true,
                                          .rows = 24,
                                          .cols = 80,
                                          .seed_bytes = sizeof seed,
                                          .argc = 3,
                                          .envc = 1,
                                          .realtime_ns = UINT64_C(0x1122334455667788),
                                          .seed = seed,
                                          .cwd = "/tmp",
                                          .hostname = "web",
                                          .argv = s->argv,
                                          .envp = s->envp};
    return &s->command;
}

static size_t sample_block(char *block, size_t size)
{
    struct sample s;
    int length = session_command_encode(sample(&s), (uint8_t *)block, size);
    assert_true(length > 0);
    return (size_t)length;
}

static void a_command_survives_the_way(void **state)
{
    char block[256];
    char *pointers[8];
    struct session_command c;
    (void)state;
    size_t length = sample_block(block, sizeof block);
    assert_int_equal(session_command_decode(block, length, pointers, LENGTH(pointers), &c), 0);
    assert_true(c.tty);
    assert_int_equal(c.rows, 24);
    assert_int_equal(c.cols, 80);
    assert_int_equal(c.realtime_ns, UINT64_C(0x1122334455667788));
    assert_int_equal(c.seed_bytes, 3);
    assert_int_equal(c.seed[2], 9);
    assert_string_equal(c.cwd, "/tmp");
    assert_string_equal(c.hostname, "web");
    assert_string_equal(c.argv[0], "/bin/sh");
    assert_string_equal(c.argv[2], "");
    assert_null(c.argv[3]);
    assert_string_equal(c.envp[0], "A=1");
    assert_null(c.envp[1]);
}

static void a_block_fits_exactly_or_not_at_all(void **state)
{
    char block[256];
    struct sample s;
    const struct session_command *c = sample(&s);
    (void)state;
    size_t length = sample_block(block, sizeof block);
    assert_int_equal(session_command_encode(c, (uint8_t *)block, length), length);
    for (size_t size = 0; size < length; size++) {
        assert_int_equal(session_command_encode(c, (uint8_t *)block, size), -E2BIG);
    }
}

static void a_block_over_the_limit_is_not_written(void **state)
{
    size_t size = 2 * SESSION_START_MAX_BYTES;
    char *block = malloc(size), *text = malloc(SESSION_START_MAX_BYTES + 1);
    struct sample s;
    struct session_command c = *sample(&s);
    (void)state;
    assert_non_null(block);
    assert_non_null(text);
    memset(text, 'x', SESSION_START_MAX_BYTES);
    text[SESSION_START_MAX_BYTES] = '\0';
    c.argc = 1;
    s.argv[0] = text;
    assert_int_equal(session_command_encode(&c, (uint8_t *)block, size), -E2BIG);
    free(text);
    free(block);
}

static void no_arguments_or_too_much_seed_is_invalid(void **state)
{
    uint8_t block[256];
    struct sample s;
    struct session_command c = *sample(&s);
    (void)state;
    c.argc = 0;
    assert_int_equal(session_command_encode(&c, block, sizeof block), -EINVAL);
    c = *sample(&s);
    c.seed_bytes = SESSION_SEED_MAX + 1;
    assert_int_equal(session_command_encode(&c, block, sizeof block), -EINVAL);
}

/* Decode an exact copy, so that the sanitizer sees a read behind it. */
static int decode_copy(const char *block, size_t length, size_t pointers)
{
    char *copy = malloc(length > 0 ? length : 1);
    char **table = malloc((pointers > 0 ? pointers : 1) * sizeof *table);
    struct session_command c = {.argc = 0x55};
    assert_non_null(copy);
    assert_non_null(table);
    memcpy(copy, block, length);
    int result = session_command_decode(copy, length, table, pointers, &c);
    assert_int_equal(c.argc == 0x55, result < 0);
    free(table);
    free(copy);
    return result;
}

static void a_block_cut_anywhere_is_refused(void **state)
{
    char block[256];
    (void)state;
    size_t length = sample_block(block, sizeof block);
    assert_int_equal(decode_copy(block, length, 8), 0);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(decode_copy(block, cut, 8), -EPROTO);
    }
}

static void bytes_behind_a_block_are_refused(void **state)
{
    char block[256];
    (void)state;
    size_t length = sample_block(block, sizeof block);
    block[length] = '\0';
    assert_int_equal(decode_copy(block, length + 1, 8), -EPROTO);
}

static void a_pointer_table_one_too_small_is_refused(void **state)
{
    char block[256];
    (void)state;
    size_t length = sample_block(block, sizeof block);
    assert_int_equal(decode_copy(block, length, 6), 0);
    assert_int_equal(decode_copy(block, length, 5), -E2BIG);
}

static void impossible_numbers_in_a_block_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint16_t value;
    } rows[] = {{0, 2}, {6, 0}, {6, 4}, {8, 0}, {10, SESSION_SEED_MAX + 1}};
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char block[256];
        size_t length = sample_block(block, sizeof block);
        bytes_store_le16(block + rows[i].at, rows[i].value);
        assert_int_equal(decode_copy(block, length, 16), -EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_writes_type_flags_length_payload),
        cmocka_unit_test(frames_are_found_byte_by_byte),
        cmocka_unit_test(decode_stops_behind_each_frame),
        cmocka_unit_test(noise_before_the_preamble_is_passed_over_and_counted),
        cmocka_unit_test(nothing_is_a_frame_without_the_preamble),
        cmocka_unit_test(the_longest_frame_passes),
        cmocka_unit_test(a_payload_one_byte_too_long_is_refused_for_ever),
        cmocka_unit_test(unknown_flags_are_refused_for_ever),
        cmocka_unit_test(a_command_survives_the_way),
        cmocka_unit_test(a_block_fits_exactly_or_not_at_all),
        cmocka_unit_test(a_block_over_the_limit_is_not_written),
        cmocka_unit_test(no_arguments_or_too_much_seed_is_invalid),
        cmocka_unit_test(a_block_cut_anywhere_is_refused),
        cmocka_unit_test(bytes_behind_a_block_are_refused),
        cmocka_unit_test(a_pointer_table_one_too_small_is_refused),
        cmocka_unit_test(impossible_numbers_in_a_block_are_refused),
    };
    return cmocka_run_group_tests_name("common/session", tests, NULL, NULL);
}
