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
#include "tests/lib/trust_fixture.h"
#include "vmm/attest/log_read.h"

#define HEAD_BYTES  69u  /* the first event */
#define EVENT_BYTES 100u /* any other, without data */

/* A log of every kind of event, and one that a case fills. */
struct place {
    struct event_log whole, own;
    struct event_log out;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    *state = p;
    return p == NULL || trust_fixture_log(&p->whole) != 0 ? -1 : event_log_init(&p->own);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    event_log_fini(&p->whole);
    event_log_fini(&p->own);
    free(p);
    return 0;
}

static bool has_same_registers(const struct event_log *a, const struct event_log *b)
{
    return memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0 && memcmp(a->sha384, b->sha384, sizeof(a->sha384)) == 0;
}

/* Replaying fails with these words, and leaves no register behind. */
static void refuses(struct place *p, const void *bytes, size_t n, const char *words)
{
    static const struct event_log zero;
    err_clear(&p->err);
    assert_int_equal(log_replay(bytes, n, &p->out, &p->err), -EBADMSG);
    if (strstr(p->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", p->err.text, words);
    assert_memory_equal(&p->out, &zero, sizeof(zero));
}

static void refuses_own(struct place *p, const char *words)
{
    refuses(p, p->own.bytes, p->own.length, words);
}

/* ---- Reading ---- */

static void events_come_in_their_order_with_their_data(void **state)
{
    struct place *p = *state;
    struct log_reader r;
    struct log_event e;
    assert_int_equal(log_reader_init(&r, p->whole.bytes, p->whole.length, &p->err), 0);
    assert_true(r.has[DIGEST_SHA256] && r.has[DIGEST_SHA384]);
    for (uint32_t i = 1; i <= TRUST_FIXTURE_EVENTS; i++) {
        assert_int_equal(log_reader_next(&r, &e, &p->err), 1);
        assert_int_equal(e.number, i);
        if (i != 9)
            continue;
        assert_int_equal(e.pcr, 9);
        assert_int_equal(e.type, EV_IPL);
        assert_int_equal(e.data_bytes, 6);
        assert_memory_equal(e.data, "kernel", 6);
        struct digest d;
        digest_make("kernel's file", 13, &d);
        assert_memory_equal(e.sha256, d.sha256, sizeof(d.sha256));
        assert_memory_equal(e.sha384, d.sha384, sizeof(d.sha384));
    }
    assert_int_equal(log_reader_next(&r, &e, &p->err), 0);
    assert_int_equal(log_reader_next(&r, &e, &p->err), 0);
}

/* A log with the SHA-384 bank alone, put together from what the writer makes. */
static void a_log_of_one_bank_is_read_but_not_replayed(void **state)
{
    struct place *p = *state;
    struct log_reader r;
    struct log_event e;
    uint8_t log[256];
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "a", 1), 0);
    const uint8_t *from = p->own.bytes;
    memcpy(log, from, 60);
    bytes_store_le32(log + 28, 33);
    bytes_store_le32(log + 56, 1);
    memcpy(log + 60, "\x0c\0\x30\0\0", 5);
    memcpy(log + 65, from + HEAD_BYTES, 12);
    bytes_store_le32(log + 73, 1);
    memcpy(log + 77, from + HEAD_BYTES + 46, 2 + 48 + 4 + 1);
    size_t n = 77 + 55;
    assert_int_equal(log_reader_init(&r, log, n, &p->err), 0);
    assert_false(r.has[DIGEST_SHA256]);
    assert_true(r.has[DIGEST_SHA384]);
    assert_int_equal(log_reader_next(&r, &e, &p->err), 1);
    assert_null(e.sha256);
    assert_non_null(e.sha384);
    assert_memory_equal(e.data, "a", 1);
    assert_int_equal(log_reader_next(&r, &e, &p->err), 0);
    refuses(p, log, n, "lacks one of the banks");
}

static void a_log_cut_anywhere_but_between_events_is_refused(void **state)
{
    struct place *p = *state;
    size_t border = HEAD_BYTES, events = 0;
    for (size_t n = 0; n <= p->whole.length; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1); /* of that size exactly, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, p->whole.bytes, n);
        if (n == border) {
            assert_int_equal(log_replay(copy, n, &p->out, &p->err), 0);
            assert_int_equal(p->out.events, events);
            events++;
            if (n < p->whole.length)
                border += EVENT_BYTES + bytes_load_le32(p->whole.bytes + border + 96);
        } else {
            refuses(p, copy, n, "event");
        }
        free(copy);
    }
    assert_int_equal(events, TRUST_FIXTURE_EVENTS + 1);
}

static void a_log_of_more_than_1_mib_is_refused(void **state)
{
    struct place *p = *state;
    uint8_t *large = calloc(1, EVENT_LOG_BYTES_MAX + 1);
    assert_non_null(large);
    memcpy(large, p->whole.bytes, p->whole.length);
    refuses(p, large, EVENT_LOG_BYTES_MAX + 1, "longer than 1 MiB");
    free(large);
}

static void data_of_more_than_16_kib_are_refused(void **state)
{
    struct place *p = *state;
    size_t n = HEAD_BYTES + EVENT_BYTES + EVENT_DATA_MAX + 1;
    uint8_t *large = calloc(1, n);
    assert_non_null(large);
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, NULL, 0), 0);
    memcpy(large, p->own.bytes, p->own.length);
    bytes_store_le32(large + HEAD_BYTES + 96, EVENT_DATA_MAX + 1);
    refuses(p, large, n, "more than 16 KiB");
    bytes_store_le32(large + HEAD_BYTES + 96, UINT32_MAX);
    refuses(p, large, n, "more than 16 KiB");
    free(large);
}

/* Fields of the first event, one wrong value each: offset, value, what is said. */
static void each_field_of_the_first_event_has_one_value(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } wrong[] = {
        {0, 1, "no log begins"},         {4, 4, "no log begins"},       {8, 1, "not zero"},
        {27, 0x80, "not zero"},          {28, 36, "number of banks"},   {28, 38, "number of banks"},
        {30, 1, "number of banks"},      {46, '2', "crypto-agile"},     {47, 'x', "crypto-agile"},
        {48, 1, "another version"},      {52, 1, "another version"},    {53, 1, "another version"},
        {54, 1, "another version"},      {55, 1, "another version"},    {56, 0, "number of banks"},
        {56, 3, "number of banks"},      {59, 1, "number of banks"},    {60, 4, "other than sha256"},
        {60, 0x0c, "other than sha256"}, {62, 33, "other than sha256"}, {64, 0x0b, "other than sha256"},
        {66, 32, "other than sha256"},   {68, 1, "vendor's data"},
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t before = p->whole.bytes[wrong[i].at];
        assert_int_not_equal(before, wrong[i].value);
        p->whole.bytes[wrong[i].at] = wrong[i].value;
        refuses(p, p->whole.bytes, p->whole.length, wrong[i].words);
        p->whole.bytes[wrong[i].at] = before;
    }
}

static void banks_in_another_order_are_refused(void **state)
{
    struct place *p = *state;
    memcpy(p->own.bytes + 60, "\x0c\0\x30\0\x0b\0\x20\0", 8);
    refuses_own(p, "not in order");
    memcpy(p->own.bytes + 60, "\x0b\0\x20\0\x0b\0\x20\0", 8);
    refuses_own(p, "not in order");
}

static void an_event_has_a_digest_of_each_bank_and_no_more(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{8, 1}, {8, 3}, {8, 0}, {11, 1}, {12, 0x0c}, {12, 4}, {46, 0x0b}, {47, 1}};
    struct place *p = *state;
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "a", 1), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t *field = p->own.bytes + HEAD_BYTES + wrong[i].at, before = *field;
        *field = wrong[i].value;
        refuses_own(p, "digest");
        *field = before;
    }
}

static void a_register_from_24_on_is_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "a", 1), 0);
    p->own.bytes[HEAD_BYTES] = 24;
    refuses_own(p, "no such register");
    p->own.bytes[HEAD_BYTES] = 14;
    p->own.bytes[HEAD_BYTES + 3] = 0x80;
    refuses_own(p, "no such register");
}

/* ---- Replaying ---- */

static void replaying_gives_the_writers_registers(void **state)
{
    struct place *p = *state;
    memset(&p->out, 0xff, sizeof(p->out));
    assert_int_equal(log_replay(p->whole.bytes, p->whole.length, &p->out, &p->err), 0);
    assert_true(has_same_registers(&p->out, &p->whole));
    assert_int_equal(p->out.events, TRUST_FIXTURE_EVENTS);
    assert_null(p->out.bytes);
}

/* Whatever was written is either refused or leads to other registers. */
static void no_bit_can_be_flipped_without_notice(void **state)
{
    struct place *p = *state;
    size_t accepted = 0;
    for (size_t bit = 0; bit < 8 * p->whole.length; bit++) {
        p->whole.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (log_replay(p->whole.bytes, p->whole.length, &p->out, NULL) == 0) {
            accepted++;
            assert_false(has_same_registers(&p->out, &p->whole));
        }
        p->whole.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(accepted >= (size_t)5 * 8 * (32 + 48)); /* the digests of five files are not in the log otherwise */
}

static void no_bit_of_a_text_can_be_flipped(void **state)
{
    struct place *p = *state;
    size_t at = HEAD_BYTES;
    while (at < p->whole.length) {
        size_t n = bytes_load_le32(p->whole.bytes + at + 96);
        for (size_t bit = 8 * (at + EVENT_BYTES); bit < 8 * (at + EVENT_BYTES + n); bit++) {
            p->whole.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            refuses(p, p->whole.bytes, p->whole.length, "event ");
            p->whole.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        at += EVENT_BYTES + n;
    }
}

/* One of the two digests is enough to be refused. */
static void both_banks_are_compared_with_the_data(void **state)
{
    struct place *p = *state;
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "a", 1), 0);
    assert_int_equal(log_replay(p->own.bytes, p->own.length, &p->out, &p->err), 0);
    for (size_t at = 14; at <= 48; at += 34) {
        p->own.bytes[HEAD_BYTES + at] ^= 1;
        refuses_own(p, "its digest is not that of its data");
        p->own.bytes[HEAD_BYTES + at] ^= 1;
    }
}

/* The log with one event, of which nothing but its place and type can be wrong. */
static int replay_one(struct place *p, uint32_t pcr, uint32_t type, const char *data, size_t n)
{
    event_log_fini(&p->own);
    assert_int_equal(event_log_init(&p->own), 0);
    assert_int_equal(event_log_add(&p->own, pcr, type, NULL, data, n), 0);
    return log_replay(p->own.bytes, p->own.length, &p->out, &p->err);
}

static void only_registers_of_the_map_are_used(void **state)
{
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        struct place *p = *state;
        uint32_t type = pcr < 8 ? EV_SEPARATOR : EV_IPL;
        const char *data = pcr < 8 ? "\0\0\0\0" : "abcd";
        bool used = (TRUST_PCR_MASK >> pcr & 1) != 0;
        assert_int_equal(replay_one(p, pcr, type, data, 4), used ? 0 : -EBADMSG);
        if (!used)
            assert_non_null(strstr(p->err.text, "none that a pod uses"));
    }
}

/* Types below 32 in each register, as the first event: those of the map are taken, and no others. */
static void each_register_takes_its_types_only(void **state)
{
    static const uint32_t taken[EVENT_LOG_PCRS] = {[0] = 1u << EV_S_CRTM_VERSION,
                                                   [1] = 1u << EV_TABLE_OF_DEVICES,
                                                   [7] = 1u << EV_ACTION,
                                                   [8] = 1u << EV_IPL,
                                                   [9] = 1u << EV_IPL,
                                                   [13] = 1u << EV_IPL,
                                                   [14] = 1u << EV_IPL,
                                                   [15] = 1u << EV_IPL};
    struct place *p = *state;
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        for (uint32_t type = 0; type < 32; type++) {
            if (type != EV_NO_ACTION)
                assert_int_equal(replay_one(p, pcr, type, "text", 4), (taken[pcr] >> type & 1) != 0 ? 0 : -EBADMSG);
        }
    }
    assert_int_equal(replay_one(p, 15, 1u << 31 | EV_IPL, "text", 4), -EBADMSG);
}

static void a_container_cannot_be_called_a_key(void **state)
{
    struct place *p = *state;
    assert_int_equal(replay_one(p, 14, MEASURE_TYPE_AGENT_KEY, "{\"id\":1}", 8), -EBADMSG);
    assert_non_null(strstr(p->err.text, "its type is not"));
    assert_int_equal(replay_one(p, 14, EV_IPL, "{\"id\":1}", 8), 0);
}

static void a_key_cannot_be_called_a_container(void **state)
{
    struct place *p = *state;
    assert_int_equal(replay_one(p, 14, EV_IPL, "0Y0\x13", 4), -EBADMSG);
    assert_int_equal(replay_one(p, 14, MEASURE_TYPE_AGENT_KEY, "0Y0\x13", 4), 0);
}

static void a_second_key_is_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(replay_one(p, 14, MEASURE_TYPE_AGENT_KEY, "0Y0\x13", 4), 0);
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "{}", 2), 0);
    assert_int_equal(event_log_add(&p->own, 14, MEASURE_TYPE_AGENT_KEY, NULL, "0Y0\x14", 4), 0);
    refuses_own(p, "a second key");
}

static void a_key_may_be_behind_containers(void **state)
{
    struct place *p = *state;
    assert_int_equal(replay_one(p, 14, EV_IPL, "{\"id\":1}", 8), 0);
    assert_int_equal(event_log_add(&p->own, 14, EV_IPL, NULL, "{}", 2), 0);
    assert_int_equal(event_log_add(&p->own, 14, MEASURE_TYPE_AGENT_KEY, NULL, "0Y0\x14", 4), 0);
    assert_int_equal(log_replay(p->own.bytes, p->own.length, &p->out, &p->err), 0);
}

static void a_separator_is_four_zeros(void **state)
{
    struct place *p = *state;
    assert_int_equal(replay_one(p, 7, EV_SEPARATOR, "\0\0\0\0", 4), 0);
    assert_int_equal(replay_one(p, 7, EV_SEPARATOR, "\0\0\0", 3), -EBADMSG);
    assert_int_equal(replay_one(p, 7, EV_SEPARATOR, "\0\0\0\1", 4), -EBADMSG);
    assert_int_equal(replay_one(p, 7, EV_SEPARATOR, "\xff\xff\xff\xff", 4), -EBADMSG);
    assert_int_equal(replay_one(p, 7, EV_ACTION, "\0\0\0\0", 4), -EBADMSG);
}

static void nothing_comes_behind_a_separator(void **state)
{
    struct place *p = *state;
    assert_int_equal(event_log_add(&p->own, 7, EV_SEPARATOR, NULL, "\0\0\0\0", 4), 0);
    assert_int_equal(event_log_add(&p->own, 15, EV_IPL, NULL, "a", 1), 0);
    assert_int_equal(log_replay(p->own.bytes, p->own.length, &p->out, &p->err), 0);
    assert_int_equal(event_log_add(&p->own, 7, EV_ACTION, NULL, "no debug", 8), 0);
    refuses_own(p, "closed by a separator");
}

static void events_that_extend_nothing_are_refused_behind_the_first(void **state)
{
    struct place *p = *state;
    assert_int_equal(event_log_add(&p->own, 0, EV_ACTION, NULL, "StartupLocality\0\3", 17), 0);
    p->own.bytes[HEAD_BYTES + 4] = EV_NO_ACTION;
    refuses_own(p, "its type is not");
}

/* ---- What digests are of ---- */

static enum log_digest_of digest_of(uint32_t pcr, uint32_t type, uint32_t index, const char *data, size_t n)
{
    struct log_event e = {.pcr = pcr, .type = type, .data = (const uint8_t *)data, .data_bytes = (uint32_t)n};
    return log_event_digest_of(&e, index);
}

static enum log_digest_of digest_of_text(uint32_t pcr, uint32_t type, uint32_t index, const char *text)
{
    return digest_of(pcr, type, index, text, strlen(text));
}

static void files_have_one_text_at_one_place(void **state)
{
    (void)state;
    assert_int_equal(digest_of_text(0, EV_POST_CODE, 1, "caisson"), LOG_DIGEST_OF_FILE);
    assert_int_equal(digest_of_text(7, EV_COMPACT_HASH, 0, "policy"), LOG_DIGEST_OF_FILE);
    assert_int_equal(digest_of_text(9, EV_IPL, 0, "kernel"), LOG_DIGEST_OF_FILE);
    assert_int_equal(digest_of_text(9, EV_IPL, 1, "initrd 0"), LOG_DIGEST_OF_FILE);
    assert_int_equal(digest_of_text(9, EV_IPL, 16, "initrd 15"), LOG_DIGEST_OF_FILE);
    assert_int_equal(digest_of_text(9, EV_IPL, UINT32_MAX, "initrd 4294967294"), LOG_DIGEST_OF_FILE);
}

static void at_another_place_the_same_text_is_data(void **state)
{
    static const struct {
        uint32_t pcr, type, index;
        const char *text;
    } others[] = {
        {0, EV_POST_CODE, 0, "caisson"},
        {0, EV_POST_CODE, 2, "caisson"},
        {0, EV_IPL, 1, "caisson"},
        {1, EV_POST_CODE, 1, "caisson"},
        {0, EV_POST_CODE, 1, "caissons"},
        {0, EV_POST_CODE, 1, "caisso"},
        {7, EV_COMPACT_HASH, 1, "policy"},
        {7, EV_ACTION, 0, "policy"},
        {14, EV_COMPACT_HASH, 0, "policy"},
        {7, EV_COMPACT_HASH, 0, "policy "},
        {9, EV_IPL, 1, "kernel"},
        {9, EV_ACTION, 0, "kernel"},
        {14, EV_IPL, 0, "kernel"},
        {9, EV_IPL, 0, "kernel evil"},
        {9, EV_IPL, 0, "initrd 0"},
        {9, EV_IPL, 2, "initrd 0"},
        {9, EV_IPL, 1, "initrd 00"},
        {9, EV_IPL, 1, "initrd"},
        {9, EV_IPL, 1, "initrd 0 evil"},
        {13, EV_IPL, 1, "initrd 0"},
        {9, EV_IPL, 1, ""},
        {8, EV_IPL, 1, "kernel_cmdline: "},
        {8, EV_ACTION, 0, "kernel_cmdline: a"},
        {9, EV_IPL, 0, "kernel_cmdline: a"},
        {8, EV_IPL, 0, "kernel_cmdline: "},
        {8, EV_IPL, 0, "grub_cmd: a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(digest_of_text(others[i].pcr, others[i].type, others[i].index, others[i].text),
                         LOG_DIGEST_OF_DATA);
    assert_int_equal(digest_of(9, EV_IPL, 0, "kernel", 7), LOG_DIGEST_OF_DATA);
}

static void the_command_line_stands_between_title_and_nul(void **state)
{
    struct place *p = *state;
    struct digest line, empty;
    assert_int_equal(digest_of(8, EV_IPL, 0, "kernel_cmdline: a", 18), LOG_DIGEST_OF_CMDLINE);
    digest_make("a", 1, &line);
    digest_make("", 0, &empty);
    assert_int_equal(event_log_add(&p->own, 8, EV_IPL, &line, "kernel_cmdline: a", 18), 0);
    assert_int_equal(log_replay(p->own.bytes, p->own.length, &p->out, &p->err), 0);
    event_log_fini(&p->own);
    assert_int_equal(event_log_init(&p->own), 0);
    assert_int_equal(event_log_add(&p->own, 8, EV_IPL, &empty, "kernel_cmdline: ", 17), 0);
    assert_int_equal(log_replay(p->own.bytes, p->own.length, &p->out, &p->err), 0);
    event_log_fini(&p->own);
    assert_int_equal(event_log_init(&p->own), 0);
    assert_int_equal(event_log_add(&p->own, 8, EV_IPL, &line, "kernel_cmdline: ab", 18), 0);
    refuses_own(p, "its digest is not that of its data");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(events_come_in_their_order_with_their_data),
        CASE(a_log_of_one_bank_is_read_but_not_replayed),
        CASE(a_log_cut_anywhere_but_between_events_is_refused),
        CASE(a_log_of_more_than_1_mib_is_refused),
        CASE(data_of_more_than_16_kib_are_refused),
        CASE(each_field_of_the_first_event_has_one_value),
        CASE(banks_in_another_order_are_refused),
        CASE(an_event_has_a_digest_of_each_bank_and_no_more),
        CASE(a_register_from_24_on_is_refused),
        CASE(replaying_gives_the_writers_registers),
        CASE(no_bit_can_be_flipped_without_notice),
        CASE(no_bit_of_a_text_can_be_flipped),
        CASE(both_banks_are_compared_with_the_data),
        CASE(only_registers_of_the_map_are_used),
        CASE(each_register_takes_its_types_only),
        CASE(a_container_cannot_be_called_a_key),
        CASE(a_key_cannot_be_called_a_container),
        CASE(a_second_key_is_refused),
        CASE(a_key_may_be_behind_containers),
        CASE(a_separator_is_four_zeros),
        CASE(nothing_comes_behind_a_separator),
        CASE(events_that_extend_nothing_are_refused_behind_the_first),
        CASE(files_have_one_text_at_one_place),
        CASE(at_another_place_the_same_text_is_data),
        CASE(the_command_line_stands_between_title_and_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
