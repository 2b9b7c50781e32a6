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
#include "vmm/attest/tpm.h"

/* Where the parts of a quote are when name and digest are by SHA-256, and the nonce has 16 bytes. */
#define AT_NAME     6u
#define AT_NONCE    42u
#define AT_CLOCK    60u
#define AT_SAFE     76u
#define AT_SELECT   85u
#define AT_DIGEST   95u
#define QUOTE_BYTES 129u

struct place {
    struct event_log log;
    struct tpm_quote quote, read;
    uint8_t bytes[TPM_MESSAGE_MAX];
    size_t n;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    *state = p;
    if (p == NULL || trust_fixture_log(&p->log) != 0)
        return -1;
    p->quote = (struct tpm_quote){.name = {0x00, 0x0b, 0xaa},
                                  .name_bytes = 34,
                                  .nonce = "0123456789abcdef",
                                  .nonce_bytes = 16,
                                  .clock_ms = 0x1122334455667788,
                                  .reset_count = 0x01020304,
                                  .restart_count = 0x05060708,
                                  .safe = true,
                                  .firmware_version = 0x2001000000000000,
                                  .bank = DIGEST_SHA256,
                                  .pcr_mask = TRUST_PCR_MASK,
                                  .hash = DIGEST_SHA256};
    tpm_quote_digest(&p->quote, &p->log);
    p->n = tpm_quote_write(&p->quote, p->bytes);
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    event_log_fini(&p->log);
    free(p);
    return 0;
}

/* ---- Quotes ---- */

static void a_quote_is_written_field_by_field(void **state)
{
    static const uint8_t middle[] = "\x11\x22\x33\x44\x55\x66\x77\x88\1\2\3\4\5\6\7\x08\1\x20\1\0\0\0\0\0\0"
                                    "\0\0\0\1\0\x0b\3\x83\xe3\0\0\x20";
    const struct place *p = *state;
    assert_int_equal(p->n, QUOTE_BYTES);
    assert_memory_equal(p->bytes, "\xff\x54\x43\x47\x80\x18\0\x22\0\x0b\xaa", 11);
    assert_memory_equal(p->bytes + AT_NONCE,
                        "\0\x10"
                        "0123456789abcdef",
                        18);
    assert_memory_equal(p->bytes + AT_CLOCK, middle, sizeof(middle) - 1);
    assert_memory_equal(p->bytes + AT_DIGEST + 2, p->quote.pcr_digest, 32);
}

static void the_digest_is_over_the_selected_registers_in_their_order(void **state)
{
    struct place *p = *state;
    uint8_t all[3 * DIGEST_SHA384_BYTES], expected[DIGEST_SHA256_BYTES];
    p->quote.bank = DIGEST_SHA384;
    p->quote.pcr_mask = 1u << 0 | 1u << 7 | 1u << 15;
    memcpy(all, p->log.sha384[0], DIGEST_SHA384_BYTES);
    memcpy(all + DIGEST_SHA384_BYTES, p->log.sha384[7], DIGEST_SHA384_BYTES);
    memcpy(all + (size_t)2 * DIGEST_SHA384_BYTES, p->log.sha384[15], DIGEST_SHA384_BYTES);
    digest_one(DIGEST_SHA256, all, sizeof(all), expected);
    tpm_quote_digest(&p->quote, &p->log);
    assert_memory_equal(p->quote.pcr_digest, expected, sizeof(expected));
}

static void a_quote_is_read_as_it_was_written(void **state)
{
    struct place *p = *state;
    static const uint32_t masks[] = {1, 1u << 23, TRUST_PCR_MASK, 0x00ffffff};
    for (unsigned i = 0; i < 16; i++) {
        struct tpm_quote q = p->quote;
        bool wide = (i & 1) != 0;
        q.name[1] = wide ? 0x0c : 0x0b;
        q.name_bytes = wide ? 50 : 34;
        q.bank = (i & 2) != 0 ? DIGEST_SHA384 : DIGEST_SHA256;
        q.hash = wide ? DIGEST_SHA384 : DIGEST_SHA256;
        q.nonce_bytes = (i & 4) != 0 ? TPM_NONCE_MAX : TPM_NONCE_MIN;
        memset(q.nonce, 0, sizeof(q.nonce));
        memset(q.nonce, 0x5a, q.nonce_bytes);
        q.safe = (i & 8) != 0;
        q.pcr_mask = masks[i % 4];
        memset(q.pcr_digest, 0, sizeof(q.pcr_digest));
        tpm_quote_digest(&q, &p->log);
        p->n = tpm_quote_write(&q, p->bytes);
        assert_int_equal(tpm_quote_read(p->bytes, p->n, &p->read, &p->err), 0);
        assert_memory_equal(&p->read, &q, sizeof(q));
    }
}

static void refuses_quote(struct place *p, size_t n, const char *words)
{
    static const struct tpm_quote zero;
    uint8_t *exact = malloc(n > 0 ? n : 1);
    assert_non_null(exact);
    memcpy(exact, p->bytes, n);
    err_clear(&p->err);
    assert_int_equal(tpm_quote_read(exact, n, &p->read, &p->err), -EBADMSG);
    if (strstr(p->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", p->err.text, words);
    assert_memory_equal(&p->read, &zero, sizeof(zero));
    free(exact);
}

static void a_quote_cut_anywhere_is_refused(void **state)
{
    for (size_t n = 0; n < QUOTE_BYTES; n++)
        refuses_quote(*state, n, "quote");
}

static void a_quote_with_a_byte_behind_it_is_refused(void **state)
{
    refuses_quote(*state, QUOTE_BYTES + 1, "bytes behind it");
}

static void each_field_of_a_quote_is_checked(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } wrong[] = {
        {0, 0xfe, "magic"},
        {3, 0x48, "magic"},
        {5, 0x17, "no quote"},
        {5, 0x14, "no quote"}, /* of a clock */
        {AT_NAME, 1, "signer's name"},
        {AT_NAME + 1, 33, "signer's name"},
        {AT_NAME + 1, 0, "signer's name"},
        {AT_NAME + 3, 0x04, "signer's name"}, /* SHA-1 */
        {AT_NAME + 3, 0x0c, "signer's name"}, /* of SHA-384, with the length of SHA-256 */
        {AT_NONCE, 1, "nonce"},
        {AT_NONCE + 1, 7, "nonce"},
        {AT_NONCE + 1, 0, "nonce"},
        {AT_NONCE + 1, 65, "nonce"},
        {AT_SAFE, 2, "clock"},
        {AT_SAFE, 0xff, "clock"},
        {AT_SELECT + 3, 0, "several banks"},
        {AT_SELECT + 3, 2, "several banks"},
        {AT_SELECT, 1, "several banks"},
        {AT_SELECT + 5, 0x04, "other than sha256"},
        {AT_SELECT + 6, 4, "24 registers"},
        {AT_SELECT + 6, 2, "24 registers"},
        {AT_DIGEST, 1, "digest of registers"},
        {AT_DIGEST + 1, 31, "digest of registers"},
        {AT_DIGEST + 1, 0, "digest of registers"},
        {AT_DIGEST + 1, 33, "digest of registers"},
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t before = p->bytes[wrong[i].at];
        p->bytes[wrong[i].at] = wrong[i].value;
        refuses_quote(p, QUOTE_BYTES, wrong[i].words);
        p->bytes[wrong[i].at] = before;
    }
}

static void a_quote_of_no_register_is_refused(void **state)
{
    struct place *p = *state;
    memset(p->bytes + AT_SELECT + 7, 0, 3);
    refuses_quote(p, QUOTE_BYTES, "selects no register");
}

/* One encoding only: what is accepted after a flip is written back with the flip. */
static void no_bit_of_a_quote_is_ignored(void **state)
{
    struct place *p = *state;
    uint8_t again[TPM_MESSAGE_MAX];
    size_t accepted = 0;
    for (size_t bit = 0; bit < (size_t)8 * QUOTE_BYTES; bit++) {
        p->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (tpm_quote_read(p->bytes, QUOTE_BYTES, &p->read, NULL) == 0) {
            assert_int_equal(tpm_quote_write(&p->read, again), QUOTE_BYTES);
            assert_memory_equal(again, p->bytes, QUOTE_BYTES);
            accepted++;
        }
        p->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* The signer's digest, the nonce, clock and counters, safe, version, selection, the registers' digest. */
    assert_int_equal(accepted, 8 * (32 + 16 + 8 + 4 + 4 + 8 + 3 + 32) + 1);
}

/* ---- Signatures ---- */

static void fill(struct key_signature *s, enum key_kind kind, enum digest_alg hash, size_t n)
{
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->hash = hash;
    s->length = n;
    for (size_t i = 0; i < n; i++)
        s->bytes[i] = (uint8_t)(i + 1);
}

static void signatures_are_read_as_they_were_written(void **state)
{
    static const struct {
        enum key_kind kind;
        enum digest_alg hash;
        size_t n, bytes;
    } kinds[] = {{KEY_P256, DIGEST_SHA256, 64, 72},
                 {KEY_P384, DIGEST_SHA384, 96, 104},
                 {KEY_RSA, DIGEST_SHA256, 256, 262},
                 {KEY_RSA, DIGEST_SHA256, 384, 390},
                 {KEY_RSA, DIGEST_SHA256, 512, 518}};
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct key_signature s, read;
        struct err err;
        uint8_t bytes[TPM_SIGNATURE_MAX];
        fill(&s, kinds[i].kind, kinds[i].hash, kinds[i].n);
        size_t n = tpm_signature_write(&s, bytes);
        assert_int_equal(n, kinds[i].bytes);
        assert_int_equal(tpm_signature_read(bytes, n, &read, &err), 0);
        assert_memory_equal(&read, &s, sizeof(s));
    }
}

static void an_ecdsa_signature_is_two_sized_numbers(void **state)
{
    (void)state;
    struct key_signature s;
    uint8_t bytes[TPM_SIGNATURE_MAX];
    fill(&s, KEY_P256, DIGEST_SHA256, 64);
    (void)tpm_signature_write(&s, bytes);
    assert_memory_equal(bytes, "\0\x18\0\x0b\0\x20\1\2", 8);
    assert_memory_equal(bytes + 38, "\0\x20\x21\x22", 4);
}

static void refuses_signature(const uint8_t *bytes, size_t n, const char *words)
{
    static const struct key_signature zero;
    struct key_signature s;
    struct err err;
    uint8_t *exact = malloc(n > 0 ? n : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    assert_int_equal(tpm_signature_read(exact, n, &s, &err), -EBADMSG);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_memory_equal(&s, &zero, sizeof(zero));
    free(exact);
}

static void signatures_cut_anywhere_or_with_more_behind_are_refused(void **state)
{
    (void)state;
    static const size_t lengths[] = {64, 96, 256, 384, 512};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct key_signature s;
        uint8_t bytes[TPM_SIGNATURE_MAX] = {0};
        enum key_kind kind = lengths[i] == 64 ? KEY_P256 : lengths[i] == 96 ? KEY_P384 : KEY_RSA;
        fill(&s, kind, DIGEST_SHA256, lengths[i]);
        size_t whole = tpm_signature_write(&s, bytes);
        for (size_t n = 0; n < whole; n++)
            refuses_signature(bytes, n, "signature");
        refuses_signature(bytes, whole + 1, "bytes behind it");
    }
}

static void each_field_of_a_signature_is_checked(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *words;
    } wrong[] = {{0, 1, "neither by ECDSA"},
                 {1, 0x14, "block"},
                 {1, 0x16, "neither by ECDSA"}, /* RSAPSS */
                 {1, 0x1a, "neither by ECDSA"},
                 {2, 1, "its hash"},
                 {3, 0x04, "its hash"},
                 {3, 0x0d, "its hash"},
                 {5, 31, "r and s"},
                 {5, 33, "r and s"},
                 {5, 48, "r and s"},
                 {4, 1, "r and s"},
                 {39, 31, "r and s"},
                 {39, 33, "r and s"},
                 {38, 1, "r and s"}};
    (void)state;
    struct key_signature s;
    uint8_t bytes[TPM_SIGNATURE_MAX];
    fill(&s, KEY_P256, DIGEST_SHA256, 64);
    size_t n = tpm_signature_write(&s, bytes);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t before = bytes[wrong[i].at];
        bytes[wrong[i].at] = wrong[i].value;
        refuses_signature(bytes, n, wrong[i].words);
        bytes[wrong[i].at] = before;
    }
}

/* A TPM may write numbers without leading zeros. Two encodings of one signature are one too many. */
static void numbers_without_their_leading_zeros_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[71] = {0, 0x18, 0, 0x0b, 0, 31};
    bytes[38] = 32;
    refuses_signature(bytes, sizeof(bytes), "r and s");
}

static void rsa_has_2048_3072_or_4096_bits(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 128, 255, 257, 320, 511, 513};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t bytes[6 + 520] = {0, 0x14, 0, 0x0b};
        bytes[4] = (uint8_t)(wrong[i] >> 8);
        bytes[5] = (uint8_t)wrong[i];
        refuses_signature(bytes, 6 + wrong[i], "block");
    }
}

/* ---- Keys ---- */

static struct key *generate(enum key_kind kind)
{
    struct key *key = NULL;
    struct err err;
    assert_int_equal(key_generate(kind, &key, &err), 0);
    return key;
}

static void a_public_key_is_written_field_by_field(void **state)
{
    (void)state;
    static const struct {
        enum key_kind kind;
        size_t half;
        const char *head;
    } kinds[] = {
        {KEY_P256, 32, "\0\x58\0\x23\0\x0b\0\5\0\x40\0\0\0\x10\0\x18\0\x0b\0\3\0\x10\0\x20"},
        {KEY_P384, 48, "\0\x78\0\x23\0\x0b\0\5\0\x40\0\0\0\x10\0\x18\0\x0c\0\4\0\x10\0\x30"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct key *key = generate(kinds[i].kind);
        uint8_t bytes[TPM_PUBLIC_MAX], raw[KEY_SIGNATURE_MAX];
        size_t half = kinds[i].half;
        assert_int_equal(pubkey_raw(key_public(key), raw), 2 * half);
        assert_int_equal(tpm_public_write(key_public(key), DIGEST_SHA256, bytes), 26 + 2 * half);
        assert_memory_equal(bytes, kinds[i].head, 24);
        assert_memory_equal(bytes + 24, raw, half);
        assert_int_equal(bytes[24 + half], 0);
        assert_int_equal(bytes[25 + half], half);
        assert_memory_equal(bytes + 26 + half, raw + half, half);
        key_free(key);
    }
}

static void a_name_is_the_digest_of_the_public_key(void **state)
{
    (void)state;
    struct key *key = generate(KEY_P256);
    uint8_t bytes[TPM_PUBLIC_MAX], name[2 + DIGEST_BYTES_MAX], expected[DIGEST_BYTES_MAX];
    size_t n = tpm_public_write(key_public(key), DIGEST_SHA256, bytes);
    digest_one(DIGEST_SHA256, bytes + 2, n - 2, expected);
    assert_int_equal(tpm_public_name(key_public(key), DIGEST_SHA256, name), 34);
    assert_memory_equal(name, "\0\x0b", 2);
    assert_memory_equal(name + 2, expected, 32);
    n = tpm_public_write(key_public(key), DIGEST_SHA384, bytes);
    digest_one(DIGEST_SHA384, bytes + 2, n - 2, expected);
    assert_int_equal(tpm_public_name(key_public(key), DIGEST_SHA384, name), 50);
    assert_memory_equal(name, "\0\x0c", 2);
    assert_memory_equal(name + 2, expected, 48);
    key_free(key);
}

/* ---- The register file ---- */

static void registers_are_read_as_they_were_written(void **state)
{
    static const struct {
        uint32_t mask;
        size_t bytes;
    } selections[] = {{1, 668}, {TRUST_PCR_MASK, 668}, {0x1ff, 1200}, {0xffff, 1200}, {0x00ffffff, 1732}};
    struct place *p = *state;
    uint8_t file[TPM_PCR_FILE_MAX];
    for (enum digest_alg bank = DIGEST_SHA256; bank <= DIGEST_SHA384; bank++) {
        for (size_t i = 0; i < sizeof(selections) / sizeof(selections[0]); i++) {
            struct event_log out;
            enum digest_alg read_bank;
            uint32_t mask;
            size_t n = tpm_pcr_file_write(&p->log, bank, selections[i].mask, file);
            assert_int_equal(n, selections[i].bytes);
            assert_int_equal(tpm_pcr_file_read(file, n, &out, &read_bank, &mask, &p->err), 0);
            assert_int_equal(read_bank, bank);
            assert_int_equal(mask, selections[i].mask);
            for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++)
                if ((mask >> pcr & 1) != 0)
                    assert_memory_equal(event_log_pcr(&out, bank, pcr), event_log_pcr(&p->log, bank, pcr),
                                        digest_bytes(bank));
        }
    }
}

/* What is not a digest has one value; a flipped bit of a digest is a register with a flipped bit. */
static void no_bit_of_a_register_file_is_ignored(void **state)
{
    struct place *p = *state;
    uint8_t file[TPM_PCR_FILE_MAX];
    size_t n = tpm_pcr_file_write(&p->log, DIGEST_SHA384, 0x1ff, file), accepted = 0;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct event_log out;
        enum digest_alg bank;
        uint32_t mask;
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (tpm_pcr_file_read(file, n, &out, &bank, &mask, &p->err) == 0) {
            assert_memory_not_equal(out.sha384, p->log.sha384, 9 * (size_t)DIGEST_SHA384_BYTES);
            accepted++;
        } else {
            assert_non_null(strstr(p->err.text, "register file"));
        }
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(accepted, 8 * 9 * DIGEST_SHA384_BYTES);
}

static void a_register_file_of_another_length_is_refused(void **state)
{
    struct place *p = *state;
    uint8_t file[TPM_PCR_FILE_MAX] = {0};
    size_t whole = tpm_pcr_file_write(&p->log, DIGEST_SHA256, TRUST_PCR_MASK, file);
    for (size_t n = 0; n <= whole + 1; n++) {
        struct event_log out;
        enum digest_alg bank;
        uint32_t mask;
        uint8_t *exact = malloc(n > 0 ? n : 1);
        assert_non_null(exact);
        memcpy(exact, file, n);
        assert_int_equal(tpm_pcr_file_read(exact, n, &out, &bank, &mask, &p->err), n == whole ? 0 : -EBADMSG);
        free(exact);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_quote_is_written_field_by_field),
        CASE(the_digest_is_over_the_selected_registers_in_their_order),
        CASE(a_quote_is_read_as_it_was_written),
        CASE(a_quote_cut_anywhere_is_refused),
        CASE(a_quote_with_a_byte_behind_it_is_refused),
        CASE(each_field_of_a_quote_is_checked),
        CASE(a_quote_of_no_register_is_refused),
        CASE(no_bit_of_a_quote_is_ignored),
        cmocka_unit_test(signatures_are_read_as_they_were_written),
        cmocka_unit_test(an_ecdsa_signature_is_two_sized_numbers),
        cmocka_unit_test(signatures_cut_anywhere_or_with_more_behind_are_refused),
        cmocka_unit_test(each_field_of_a_signature_is_checked),
        cmocka_unit_test(numbers_without_their_leading_zeros_are_refused),
        cmocka_unit_test(rsa_has_2048_3072_or_4096_bits),
        cmocka_unit_test(a_public_key_is_written_field_by_field),
        cmocka_unit_test(a_name_is_the_digest_of_the_public_key),
        CASE(registers_are_read_as_they_were_written),
        CASE(no_bit_of_a_register_file_is_ignored),
        CASE(a_register_file_of_another_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
