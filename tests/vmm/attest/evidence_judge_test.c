/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/evidence_assert.h"
#include "tests/lib/evidence_keys.h"
#include "vmm/attest/log_read.h"

/* ---- What is good ---- */

static void untouched_evidence_is_good_in_every_part(void **state)
{
    struct evidence_rig *r = *state;
    assert_good(r);
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        if (i != EVIDENCE_PART_EXPECTED && (CONFIG_LAUNCH_POLICY || i != EVIDENCE_PART_POLICY))
            assert_int_equal(r->verdict.state[i], EVIDENCE_GOOD);
    assert_int_equal(r->verdict.containers, 2);
    assert_int_equal(r->verdict.execs, 1);
    assert_true(r->verdict.has_policy);
    assert_false(r->verdict.debug);
    assert_string_equal(r->verdict.sandbox, "web");
    assert_string_equal(r->verdict.version, "0.1.0");
}

static void what_was_not_demanded_is_not_judged(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.policy = NULL;
    r->demand.no_debug = false;
    assert_good(r);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_POLICY], EVIDENCE_NOT_JUDGED);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_DEBUG], EVIDENCE_NOT_JUDGED);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_EXPECTED], EVIDENCE_NOT_JUDGED);
}

static void trusted_key_needs_neither_chain_nor_key_file(void **state)
{
    struct evidence_rig *r = *state;
    trust_key(r);
    r->input.chain_pem = NULL;
    evidence_rig_make(r);
    evidence_rig_put(r, EVIDENCE_KEY, NULL, 0);
    assert_good(r);
}

static void bound_evidence_is_good_where_that_is_demanded(void **state)
{
    struct evidence_rig *r = *state;
    r->input.bind_agent = true;
    r->demand.bound_to_agent = true;
    evidence_rig_make(r);
    assert_good(r);
}

static void evidence_of_a_pod_without_agents_key_is_good(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_fini(r);
    evidence_rig_begin(r, KEY_P256);
    evidence_rig_boot(r, NULL, true);
    r->input.agent_key = NULL;
    evidence_rig_make(r);
    assert_good(r);
    assert_false(r->verdict.has_policy);
    assert_true(r->verdict.debug);
}

/* ---- Demands ---- */

static void there_is_no_judging_without_a_nonce(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.nonce = NULL;
    assert_int_equal(evidence_judge(&r->evidence, &r->demand, &r->verdict, &r->err), -EINVAL);
    assert_false(r->verdict.good);
}

static void there_is_no_judging_with_a_short_nonce(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.nonce_bytes = TPM_NONCE_MIN - 1;
    assert_int_equal(evidence_judge(&r->evidence, &r->demand, &r->verdict, &r->err), -EINVAL);
}

/* ---- Every file, bits of every class ---- */

static void assert_part_of_flip(struct evidence_rig *r, enum evidence_kind kind, size_t byte, enum evidence_part part)
{
    const unsigned bit = (unsigned)(byte * 5 + byte / 8) % 8;
    evidence_rig_flip(r, kind, byte, bit);
    const enum evidence_part first = evidence_rig_judge(r);
    if (first != part)
        fail_msg("%s, byte %zu, bit %u: %s: %s", evidence_file_name(kind), byte, bit,
                 first < EVIDENCE_PARTS ? evidence_part_name(first) : "good", r->verdict.why);
    evidence_rig_flip(r, kind, byte, bit);
}

static void flip_all(struct evidence_rig *r, enum evidence_kind kind, size_t step, enum evidence_part part)
{
    trust_key(r);
    for (size_t i = 0; i < r->evidence.file[kind].length; i += step)
        assert_part_of_flip(r, kind, i, part);
    assert_good(r);
}

static void altered_quote_is_refused_by_its_signature(void **state)
{
    flip_all(*state, EVIDENCE_MESSAGE, 1, EVIDENCE_PART_SIGNATURE);
}

static void altered_signature_is_refused(void **state)
{
    flip_all(*state, EVIDENCE_SIGNATURE, 1, EVIDENCE_PART_SIGNATURE);
}

static void altered_signature_is_refused_of_other_keys(void **state)
{
    flip_all(*state, EVIDENCE_SIGNATURE, 5, EVIDENCE_PART_SIGNATURE);
}

static void altered_register_file_is_refused(void **state)
{
    flip_all(*state, EVIDENCE_PCRS, 7, EVIDENCE_PART_PCRS);
}

static void altered_token_is_refused(void **state)
{
    flip_all(*state, EVIDENCE_EAT, 11, EVIDENCE_PART_EAT);
}

static void altered_key_file_is_refused(void **state)
{
    flip_all(*state, EVIDENCE_KEY, 3, EVIDENCE_PART_KEY);
}

static void altered_agents_key_is_refused_by_the_log(void **state)
{
    flip_all(*state, EVIDENCE_AGENT_KEY, 3, EVIDENCE_PART_LOG);
}

/* Where the type of an event is, which its digest does not cover. */
static size_t type_offset(const struct evidence_rig *r, uint32_t pcr)
{
    const struct evidence_file *f = &r->evidence.file[EVIDENCE_LOG];
    struct log_reader reader;
    struct log_event e;
    struct err err;
    assert_int_equal(log_reader_init(&reader, f->bytes, f->length, &err), 0);
    for (size_t at = reader.at; log_reader_next(&reader, &e, &err) > 0; at = reader.at)
        if (e.pcr == pcr)
            return at + 4;
    fail_msg("no event in register %u", pcr);
    return 0;
}

/* Of an event as the rig wrote it: its data, or what is `back` bytes before. */
static size_t data_offset(const struct evidence_rig *r, const char *data, size_t back)
{
    const struct evidence_file *f = &r->evidence.file[EVIDENCE_LOG];
    const uint8_t *at = memmem(f->bytes, f->length, data, strlen(data));
    assert_non_null(at);
    return (size_t)(at - f->bytes) - back;
}

static void altered_log_is_refused_by_the_log_or_as_another_than_the_tokens(void **state)
{
    struct evidence_rig *r = *state;
    trust_key(r);
    for (size_t i = 0; i < r->evidence.file[EVIDENCE_LOG].length; i += 13) {
        evidence_rig_flip(r, EVIDENCE_LOG, i, i % 8);
        const enum evidence_part first = evidence_rig_judge(r);
        if (first != EVIDENCE_PART_LOG && first != EVIDENCE_PART_EAT)
            fail_msg("byte %zu: %s", i, first < EVIDENCE_PARTS ? evidence_part_name(first) : "good");
        evidence_rig_flip(r, EVIDENCE_LOG, i, i % 8);
    }
}

static void altered_text_of_the_log_is_refused_by_the_log(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_flip(r, EVIDENCE_LOG, data_offset(r, "/bin/web", 0) + 5, 0);
    assert_blames(r, EVIDENCE_PART_LOG, "digest is not that of its data");
}

static void altered_digest_of_the_log_is_refused_by_the_log(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_flip(r, EVIDENCE_LOG, data_offset(r, "initrd 0", 0) - 4 - 1, 7);
    assert_blames(r, EVIDENCE_PART_EAT, "another log");
    evidence_rig_flip(r, EVIDENCE_LOG, data_offset(r, "initrd 0", 0) - 4 - 1, 7);
    evidence_rig_flip(r, EVIDENCE_LOG, data_offset(r, "initrd 0", 0) - 4 - DIGEST_SHA384_BYTES - 2 - 1, 0);
    assert_blames(r, EVIDENCE_PART_LOG, "register 9");
}

static void altered_type_in_the_log_is_refused_by_the_log(void **state)
{
    static const uint32_t pcrs[] = {TRUST_PCR_MONITOR, TRUST_PCR_MACHINE,    TRUST_PCR_POLICY,
                                    TRUST_PCR_KERNEL,  TRUST_PCR_CONTAINERS, TRUST_PCR_EXECS};
    struct evidence_rig *r = *state;
    for (size_t i = 0; i < sizeof(pcrs) / sizeof(pcrs[0]); i++) {
        evidence_rig_flip(r, EVIDENCE_LOG, type_offset(r, pcrs[i]), 0);
        assert_blames(r, EVIDENCE_PART_LOG, "");
        evidence_rig_flip(r, EVIDENCE_LOG, type_offset(r, pcrs[i]), 0);
    }
}

static void altered_certificate_is_refused_by_the_key(void **state)
{
    struct evidence_rig *r = *state;
    const struct evidence_file *f = &r->evidence.file[EVIDENCE_CHAIN];
    const char *end = strstr((const char *)f->bytes, "-----END CERTIFICATE-----");
    assert_non_null(end);
    for (size_t i = 0; i < (size_t)((const uint8_t *)end - f->bytes) + 25; i += 7)
        assert_part_of_flip(r, EVIDENCE_CHAIN, i, EVIDENCE_PART_KEY);
}

static void each_file_cut_anywhere_is_refused(void **state)
{
    static const enum evidence_part parts[EVIDENCE_KINDS] = {
        [EVIDENCE_MESSAGE] = EVIDENCE_PART_SIGNATURE, [EVIDENCE_SIGNATURE] = EVIDENCE_PART_SIGNATURE,
        [EVIDENCE_PCRS] = EVIDENCE_PART_PCRS,         [EVIDENCE_LOG] = EVIDENCE_PART_LOG,
        [EVIDENCE_KEY] = EVIDENCE_PART_KEY,           [EVIDENCE_CHAIN] = EVIDENCE_PART_KEY,
        [EVIDENCE_EAT] = EVIDENCE_PART_EAT,           [EVIDENCE_AGENT_KEY] = EVIDENCE_PART_LOG,
    };
    struct evidence_rig *r = *state;
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        struct evidence_file *f = &r->evidence.file[i];
        const size_t whole = f->length;
        /* Of the chain's end, only the node's own certificate is lost, which a verifier has. */
        for (f->length = 0; f->length < (i == EVIDENCE_CHAIN ? whole / 3 : whole - 1); f->length += whole / 9 + 1) {
            const enum evidence_part first = evidence_rig_judge(r);
            if (first != parts[i])
                fail_msg("%s, %zu of %zu bytes: %s", evidence_file_name((enum evidence_kind)i), f->length, whole,
                         first < EVIDENCE_PARTS ? evidence_part_name(first) : "good");
        }
        f->length = whole;
    }
}

static void a_byte_behind_each_binary_file_is_refused(void **state)
{
    static const struct {
        enum evidence_kind kind;
        enum evidence_part part;
    } files[] = {{EVIDENCE_MESSAGE, EVIDENCE_PART_SIGNATURE}, {EVIDENCE_SIGNATURE, EVIDENCE_PART_SIGNATURE},
                 {EVIDENCE_PCRS, EVIDENCE_PART_PCRS},         {EVIDENCE_LOG, EVIDENCE_PART_LOG},
                 {EVIDENCE_EAT, EVIDENCE_PART_EAT},           {EVIDENCE_AGENT_KEY, EVIDENCE_PART_LOG}};
    struct evidence_rig *r = *state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct evidence_file *f = &r->evidence.file[files[i].kind];
        f->length++; /* the zero that ends each file's copy */
        assert_blames(r, files[i].part, "");
        f->length--;
    }
}

static void each_file_that_is_needed_is_missed(void **state)
{
    static const struct {
        enum evidence_kind kind;
        enum evidence_part part;
    } files[] = {{EVIDENCE_CHAIN, EVIDENCE_PART_KEY},
                 {EVIDENCE_MESSAGE, EVIDENCE_PART_SIGNATURE},
                 {EVIDENCE_SIGNATURE, EVIDENCE_PART_SIGNATURE},
                 {EVIDENCE_PCRS, EVIDENCE_PART_PCRS},
                 {EVIDENCE_LOG, EVIDENCE_PART_LOG},
                 {EVIDENCE_EAT, EVIDENCE_PART_EAT}};
    struct evidence_rig *r = *state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        evidence_rig_make(r);
        evidence_rig_put(r, files[i].kind, NULL, 0);
        assert_blames(r, files[i].part, evidence_file_name(files[i].kind));
    }
}

static void file_one_byte_too_large_is_refused_unread(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence_file *f = &r->evidence.file[EVIDENCE_EAT];
    const size_t whole = f->length;
    f->length = EAT_MAX + 1; /* more than is there: whoever looks at it is found out by the sanitizer */
    assert_blames(r, EVIDENCE_PART_EAT, "too large");
    f->length = whole;
}

/* ---- The key ---- */

static void key_that_nobody_vouches_for_is_unknown(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.roots_pem = NULL;
    assert_blames(r, EVIDENCE_PART_KEY, "unknown");
    assert_int_equal(r->verdict.state[EVIDENCE_PART_SIGNATURE], EVIDENCE_GOOD);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_DEBUG], EVIDENCE_GOOD);
}

static void certificate_of_another_root_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.roots_pem = EVIDENCE_RIG_OTHER_NODE_CERTIFICATE;
    r->demand.roots_bytes = strlen(EVIDENCE_RIG_OTHER_NODE_CERTIFICATE);
    assert_blames(r, EVIDENCE_PART_KEY, "");
}

static void expired_certificate_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.now_s = EVIDENCE_RIG_UNTIL_S;
    assert_good(r);
    r->demand.now_s = EVIDENCE_RIG_UNTIL_S + 1;
    assert_blames(r, EVIDENCE_PART_KEY, "");
}

static void certificate_that_is_not_yet_valid_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->input.now_s = EVIDENCE_RIG_FROM_S - 1;
    evidence_rig_make(r);
    r->demand.now_s = EVIDENCE_RIG_FROM_S;
    assert_good(r);
    r->demand.now_s = EVIDENCE_RIG_FROM_S - 1;
    assert_blames(r, EVIDENCE_PART_KEY, "");
}

static void make_with_chain(struct evidence_rig *r, const char *chain)
{
    r->input.chain_pem = chain;
    evidence_rig_make(r);
}

static void certificate_by_openssl_is_good(void **state)
{
    struct evidence_rig *r = *state;
    make_with_chain(r, EVIDENCE_RIG_LEAF EVIDENCE_RIG_NODE_CERTIFICATE);
    assert_good(r);
}

static void certificate_with_an_unknown_critical_extension_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    make_with_chain(r, EVIDENCE_RIG_LEAF_CRITICAL EVIDENCE_RIG_NODE_CERTIFICATE);
    assert_blames(r, EVIDENCE_PART_KEY, "critical extension");
}

static void certificate_of_another_curve_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    make_with_chain(r, EVIDENCE_RIG_LEAF_OTHER_CURVE EVIDENCE_RIG_NODE_CERTIFICATE);
    assert_blames(r, EVIDENCE_PART_KEY, "kind of key that is not accepted");
}

static void another_trusted_key_refuses_file_and_signature(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.roots_pem = NULL;
    r->demand.key = key_public(r->node);
    assert_blames(r, EVIDENCE_PART_KEY, "not the key that is trusted");
    assert_int_equal(r->verdict.state[EVIDENCE_PART_SIGNATURE], EVIDENCE_BAD);
}

static void key_file_has_to_be_the_key_that_is_certified(void **state)
{
    char pem[KEY_PEM_MAX];
    struct evidence_rig *r = *state;
    evidence_rig_put(r, EVIDENCE_KEY, pem, pubkey_pem(key_public(r->node), pem));
    assert_blames(r, EVIDENCE_PART_KEY, "not the key that is certified");
}

static void signature_by_another_curve_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence_rig other;
    evidence_rig_init(&other, KEY_P384);
    const struct evidence_file *f = &other.evidence.file[EVIDENCE_SIGNATURE];
    evidence_rig_put(r, EVIDENCE_SIGNATURE, f->bytes, f->length);
    evidence_rig_fini(&other);
    assert_blames(r, EVIDENCE_PART_SIGNATURE, "");
}

/* ---- The quote ---- */

static struct tpm_quote quote_of(struct evidence_rig *r)
{
    const struct evidence_file *f = &r->evidence.file[EVIDENCE_MESSAGE];
    struct tpm_quote q;
    assert_int_equal(tpm_quote_read(f->bytes, f->length, &q, &r->err), 0);
    return q;
}

/* n - s, big-endian, for the order of P-256. Anybody can make it, and tpm2_checkquote takes it. */
static void signature_with_the_higher_s_is_refused(void **state)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    struct evidence_rig *r = *state;
    struct evidence_file *f = &r->evidence.file[EVIDENCE_SIGNATURE];
    uint8_t *s = f->bytes + f->length - 32;
    unsigned borrow = 0;
    for (unsigned i = 32; i-- > 0;) {
        const unsigned d = 256u + order[i] - s[i] - borrow;
        s[i] = (uint8_t)d;
        borrow = d < 256;
    }
    assert_blames(r, EVIDENCE_PART_SIGNATURE, "");
}

static void each_bit_of_the_nonce_counts(void **state)
{
    struct evidence_rig *r = *state;
    trust_key(r);
    for (unsigned bit = 0; bit < 8 * r->demand.nonce_bytes; bit++) {
        r->nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_blames(r, EVIDENCE_PART_NONCE, "another nonce");
        r->nonce[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_good(r);
}

static void shorter_nonce_of_the_same_beginning_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.nonce_bytes--;
    assert_blames(r, EVIDENCE_PART_NONCE, "another nonce");
}

static void quote_that_is_not_bound_is_refused_where_that_is_demanded(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.bound_to_agent = true;
    assert_blames(r, EVIDENCE_PART_NONCE, "not for this nonce and the agent's key");
}

static void bound_quote_is_refused_where_a_plain_one_is_demanded(void **state)
{
    struct evidence_rig *r = *state;
    r->input.bind_agent = true;
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_NONCE, "another nonce");
}

static void bound_quote_refuses_another_key_of_the_agent(void **state)
{
    struct evidence_rig *r = *state;
    uint8_t der[KEY_SPKI_MAX];
    r->input.bind_agent = true;
    r->demand.bound_to_agent = true;
    evidence_rig_make(r);
    evidence_rig_put(r, EVIDENCE_AGENT_KEY, der, pubkey_der(key_public(r->node), der));
    assert_blames(r, EVIDENCE_PART_NONCE, "not for this nonce and the agent's key");
    evidence_rig_put(r, EVIDENCE_AGENT_KEY, NULL, 0);
    assert_blames(r, EVIDENCE_PART_NONCE, "agent.der");
}

static void agents_key_that_is_none_on_p256_is_refused_where_bound(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence_rig other;
    uint8_t der[KEY_SPKI_MAX];
    r->demand.bound_to_agent = true;
    evidence_rig_begin(&other, KEY_P384);
    evidence_rig_put(r, EVIDENCE_AGENT_KEY, der, pubkey_der(key_public(other.key), der));
    evidence_rig_fini(&other);
    assert_blames(r, EVIDENCE_PART_NONCE, "P-256");
}

static void quote_over_fewer_registers_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct tpm_quote q = quote_of(r);
    q.pcr_mask &= ~(1u << TRUST_PCR_EXECS);
    tpm_quote_digest(&q, &r->log);
    evidence_rig_sign(r, &q);
    assert_blames(r, EVIDENCE_PART_PCRS, "covers registers");
}

static void quote_that_names_another_signer_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct tpm_quote q = quote_of(r);
    q.name[q.name_bytes - 1] ^= 1;
    evidence_rig_sign(r, &q);
    assert_blames(r, EVIDENCE_PART_SIGNATURE, "another key as its signer");
}

static void quote_of_other_registers_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct tpm_quote q = quote_of(r);
    q.pcr_digest[0] ^= 0x80;
    evidence_rig_sign(r, &q);
    assert_blames(r, EVIDENCE_PART_PCRS, "not those of the quote");
    assert_int_equal(r->verdict.state[EVIDENCE_PART_LOG], EVIDENCE_BAD);
}

static void signer_cannot_name_another_clock_in_the_token(void **state)
{
    struct evidence_rig *r = *state;
    struct tpm_quote q = quote_of(r);
    q.clock_ms++;
    evidence_rig_sign(r, &q);
    assert_blames(r, EVIDENCE_PART_EAT, "another quote");
}

/* ---- The log ---- */

static void log_with_an_event_more_than_was_quoted_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_add_exec(r, evidence_rig_exec);
    evidence_rig_put(r, EVIDENCE_LOG, r->log.bytes, r->log.length);
    assert_blames(r, EVIDENCE_PART_LOG, "register 15");
}

static void quoted_log_cannot_end_before_its_policy(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_fini(r);
    evidence_rig_begin(r, KEY_P256);
    r->input.agent_key = NULL;
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_LOG, "which policy was in force");
}

/* A log that the pod's key has signed, with `pcr` and `type` and `text` as the last event. */
static void assert_event_is_refused(struct evidence_rig *r, uint32_t pcr, uint32_t type, const char *text,
                                    const char *words)
{
    assert_int_equal(event_log_add(&r->log, pcr, type, NULL, text, strlen(text)), 0);
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_LOG, words);
}

static void signed_log_with_an_event_behind_the_separator_is_refused(void **state)
{
    assert_event_is_refused(*state, TRUST_PCR_POLICY, EV_ACTION, "debug", "separator");
}

static void signed_log_with_an_event_of_no_container_is_refused(void **state)
{
    assert_event_is_refused(*state, TRUST_PCR_CONTAINERS, EV_ACTION, "{}", "type");
}

static void signed_log_with_an_event_of_no_process_is_refused(void **state)
{
    assert_event_is_refused(*state, TRUST_PCR_EXECS, EV_ACTION, "{}", "type");
}

static void signed_log_with_a_second_agents_key_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_add_agent_key(r);
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_LOG, "second key");
}

static void begin_again(struct evidence_rig *r)
{
    evidence_rig_fini(r);
    evidence_rig_begin(r, KEY_P256);
}

static void bind_and_make(struct evidence_rig *r)
{
    r->input.bind_agent = true;
    r->demand.bound_to_agent = true;
    evidence_rig_make(r);
}

static void evidence_whose_agents_key_came_last_is_good(void **state)
{
    struct evidence_rig *r = *state;
    begin_again(r);
    evidence_rig_boot(r, evidence_rig_policy, false);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_exec(r, evidence_rig_exec);
    evidence_rig_add_agent_key(r);
    bind_and_make(r);
    assert_good(r);
    assert_int_equal(r->verdict.containers, 1);
    assert_int_equal(r->verdict.execs, 1);
}

/* The pod's process makes no such evidence; whoever has its key could. */
static void a_bound_key_that_the_log_does_not_have_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    begin_again(r);
    evidence_rig_boot(r, evidence_rig_policy, false);
    evidence_rig_add_container(r, evidence_rig_container);
    bind_and_make(r);
    assert_blames(r, EVIDENCE_PART_LOG, "the agent's key in it");
}

static void signed_log_with_an_agents_key_before_the_machine_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    begin_again(r);
    evidence_rig_add_agent_key(r);
    evidence_rig_boot(r, evidence_rig_policy, false);
    evidence_rig_make(r);
    assert_blames(r, EVIDENCE_PART_LOG, "before the machine's own events");
}

static void signed_log_with_an_event_in_another_register_is_refused(void **state)
{
    assert_event_is_refused(*state, 2, EV_IPL, "driver", "");
}

/* ---- Expectations ---- */

static void expected_registers_that_are_these_are_good(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.expected = &r->log;
    r->demand.expected_mask = TRUST_PCR_MASK;
    assert_good(r);
    assert_int_equal(r->verdict.state[EVIDENCE_PART_EXPECTED], EVIDENCE_GOOD);
}

static void each_expected_register_counts(void **state)
{
    struct evidence_rig *r = *state;
    r->expected = r->log;
    trust_key(r);
    r->demand.expected = &r->expected;
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        if ((TRUST_PCR_MASK >> pcr & 1) == 0)
            continue;
        r->expected.sha256[pcr][31] ^= 1;
        r->demand.expected_mask = TRUST_PCR_MASK;
        assert_blames(r, EVIDENCE_PART_EXPECTED, "is not what was expected");
        r->demand.expected_mask &= ~(UINT32_C(1) << pcr);
        assert_good(r);
        r->expected.sha256[pcr][31] ^= 1;
    }
}

static void expected_register_that_is_not_quoted_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->demand.expected = &r->log;
    r->demand.expected_mask = 1u << 3;
    assert_blames(r, EVIDENCE_PART_EXPECTED, "covers");
}

static void debugging_is_refused_where_that_is_demanded(void **state)
{
    struct evidence_rig *r = *state;
    evidence_rig_fini(r);
    evidence_rig_begin(r, KEY_P256);
    evidence_rig_boot(r, NULL, true);
    evidence_rig_add_agent_key(r);
    evidence_rig_make(r);
    r->demand.no_debug = true;
    assert_blames(r, EVIDENCE_PART_DEBUG, "permits debugging");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, evidence_set_up, evidence_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(untouched_evidence_is_good_in_every_part),
        {"untouched_evidence_on_p384_is_good", untouched_evidence_is_good_in_every_part, evidence_set_up_p384,
         evidence_tear_down, NULL},
        {"untouched_evidence_by_rsa_is_good", untouched_evidence_is_good_in_every_part, evidence_set_up_rsa,
         evidence_tear_down, NULL},
        CASE(what_was_not_demanded_is_not_judged),
        CASE(trusted_key_needs_neither_chain_nor_key_file),
        CASE(bound_evidence_is_good_where_that_is_demanded),
        CASE(evidence_of_a_pod_without_agents_key_is_good),
        CASE(there_is_no_judging_without_a_nonce),
        CASE(there_is_no_judging_with_a_short_nonce),
        CASE(altered_quote_is_refused_by_its_signature),
        CASE(altered_signature_is_refused),
        {"altered_signature_on_p384_is_refused", altered_signature_is_refused_of_other_keys, evidence_set_up_p384,
         evidence_tear_down, NULL},
        {"altered_signature_by_rsa_is_refused", altered_signature_is_refused_of_other_keys, evidence_set_up_rsa,
         evidence_tear_down, NULL},
        CASE(altered_register_file_is_refused),
        CASE(altered_token_is_refused),
        CASE(altered_key_file_is_refused),
        CASE(altered_agents_key_is_refused_by_the_log),
        CASE(altered_log_is_refused_by_the_log_or_as_another_than_the_tokens),
        CASE(altered_text_of_the_log_is_refused_by_the_log),
        CASE(altered_digest_of_the_log_is_refused_by_the_log),
        CASE(altered_type_in_the_log_is_refused_by_the_log),
        CASE(altered_certificate_is_refused_by_the_key),
        CASE(each_file_cut_anywhere_is_refused),
        CASE(a_byte_behind_each_binary_file_is_refused),
        CASE(each_file_that_is_needed_is_missed),
        CASE(file_one_byte_too_large_is_refused_unread),
        CASE(key_that_nobody_vouches_for_is_unknown),
        CASE(certificate_of_another_root_is_refused),
        CASE(expired_certificate_is_refused),
        CASE(certificate_that_is_not_yet_valid_is_refused),
        CASE(certificate_by_openssl_is_good),
        CASE(certificate_with_an_unknown_critical_extension_is_refused),
        CASE(certificate_of_another_curve_is_refused),
        CASE(another_trusted_key_refuses_file_and_signature),
        CASE(key_file_has_to_be_the_key_that_is_certified),
        CASE(signature_by_another_curve_is_refused),
        CASE(signature_with_the_higher_s_is_refused),
        CASE(each_bit_of_the_nonce_counts),
        CASE(shorter_nonce_of_the_same_beginning_is_refused),
        CASE(quote_that_is_not_bound_is_refused_where_that_is_demanded),
        CASE(bound_quote_is_refused_where_a_plain_one_is_demanded),
        CASE(bound_quote_refuses_another_key_of_the_agent),
        CASE(agents_key_that_is_none_on_p256_is_refused_where_bound),
        CASE(quote_over_fewer_registers_is_refused),
        CASE(quote_that_names_another_signer_is_refused),
        CASE(quote_of_other_registers_is_refused),
        CASE(signer_cannot_name_another_clock_in_the_token),
        CASE(log_with_an_event_more_than_was_quoted_is_refused),
        CASE(quoted_log_cannot_end_before_its_policy),
        CASE(signed_log_with_an_event_behind_the_separator_is_refused),
        CASE(signed_log_with_an_event_of_no_container_is_refused),
        CASE(signed_log_with_an_event_of_no_process_is_refused),
        CASE(signed_log_with_a_second_agents_key_is_refused),
        CASE(evidence_whose_agents_key_came_last_is_good),
        CASE(a_bound_key_that_the_log_does_not_have_is_refused),
        CASE(signed_log_with_an_agents_key_before_the_machine_is_refused),
        CASE(signed_log_with_an_event_in_another_register_is_refused),
        CASE(expected_registers_that_are_these_are_good),
        CASE(each_expected_register_counts),
        CASE(expected_register_that_is_not_quoted_is_refused),
        CASE(debugging_is_refused_where_that_is_demanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
