/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/eat.h"
#include "vmm/attest/evidence_internal.h"
#include "vmm/attest/log_read.h"
#include "vmm/attest/tpm.h"

/* Clocks of two machines differ; a token from further ahead means that one of them was set back. */
#define AHEAD_MAX_S 300

struct judge {
    const struct evidence *e;
    const struct evidence_demand *d;
    struct evidence_verdict *out;
    struct pubkey *own, *leaf; /* of ak.pem, of the chain */
    const struct pubkey *key;  /* what signatures are verified with; NULL: there is none */
    struct tpm_quote quote;
    bool has_quote; /* its signature is good */
    struct event_log file;
    bool has_file; /* the register file is the quote's */
    struct evidence_story story;
    bool has_story;
    int failed; /* -ENOMEM: no judgement */
};

const char *evidence_part_name(enum evidence_part part)
{
    static const char *const names[EVIDENCE_PARTS] = {
        [EVIDENCE_PART_KEY] = "key",           [EVIDENCE_PART_SIGNATURE] = "signature",
        [EVIDENCE_PART_NONCE] = "nonce",       [EVIDENCE_PART_PCRS] = "registers",
        [EVIDENCE_PART_LOG] = "log",           [EVIDENCE_PART_EAT] = "token",
        [EVIDENCE_PART_EXPECTED] = "expected", [EVIDENCE_PART_POLICY] = "policy",
        [EVIDENCE_PART_DEBUG] = "debug",
    };
    return names[part];
}

/* Parts are judged in their order, so that the first that is bad is also the one that is told. */
__attribute__((format(printf, 3, 4))) static void bad(struct judge *j, enum evidence_part part, const char *why, ...)
{
    struct evidence_verdict *v = j->out;
    va_list arguments;
    v->state[part] = EVIDENCE_BAD;
    if (v->why[0] != '\0')
        return;
    struct text t;
    text_init(&t, v->why, sizeof(v->why));
    va_start(arguments, why);
    text_add_v(&t, why, arguments);
    va_end(arguments);
}

static void good(struct judge *j, enum evidence_part part)
{
    if (j->out->state[part] == EVIDENCE_NOT_JUDGED)
        j->out->state[part] = EVIDENCE_GOOD;
}

/* A function's refusal; without memory there is no judgement, good or bad. */
static void bad_by(struct judge *j, enum evidence_part part, int code, const struct err *err)
{
    if (code == -ENOMEM)
        j->failed = code;
    bad(j, part, "%s", err->text);
}

static const struct evidence_file *file_of(const struct judge *j, enum evidence_kind kind)
{
    return &j->e->file[kind];
}

/* Every file that a part needs passes here. */
static const struct evidence_file *need(struct judge *j, enum evidence_part part, enum evidence_kind kind)
{
    const struct evidence_file *f = file_of(j, kind);
    if (f->bytes != NULL && f->length <= evidence_file_max(kind))
        return f;
    bad(j, part, f->bytes == NULL ? "there is no %s" : "%s is too large", evidence_file_name(kind));
    return NULL;
}

static bool same_bytes(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    /* cppcheck-suppress uninitvar; written by those who gave the length */
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

/* ---- The key ---- */

static void judge_chain(struct judge *j)
{
    struct err err;
    const struct evidence_demand *d = j->d;
    const struct evidence_file *chain = need(j, EVIDENCE_PART_KEY, EVIDENCE_CHAIN);
    if (chain == NULL)
        return;
    int code =
        chain_verify((const char *)chain->bytes, chain->length, d->roots_pem, d->roots_bytes, d->now_s, &j->leaf, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_KEY, code, &err);
    else
        j->key = j->leaf;
}

/* ak.pem is for standard tools; who trusts a key or a root does not need it, but it must not say anything else. */
static void load_own_key(struct judge *j)
{
    struct err err;
    const struct evidence_file *f = file_of(j, EVIDENCE_KEY);
    if (f->bytes == NULL || need(j, EVIDENCE_PART_KEY, EVIDENCE_KEY) == NULL)
        return;
    int code = pubkey_load(f->bytes, f->length, evidence_file_name(EVIDENCE_KEY), &j->own, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_KEY, code, &err);
}

static void judge_key(struct judge *j)
{
    load_own_key(j);
    j->key = j->d->key;
    if (j->d->roots_pem != NULL)
        judge_chain(j);
    else if (j->d->key == NULL)
        bad(j, EVIDENCE_PART_KEY, "the key is unknown: neither a root nor a key to trust was given");
    if (j->own != NULL && j->key != NULL && !pubkey_equal(j->own, j->key))
        bad(j, EVIDENCE_PART_KEY, "%s is not the key that is %s", evidence_file_name(EVIDENCE_KEY),
            j->leaf != NULL ? "certified" : "trusted");
    good(j, EVIDENCE_PART_KEY);
    /* What else is wrong is worth knowing, even if nobody knows the key. */
    if (j->key == NULL)
        j->key = j->own;
}

/* ---- The quote ---- */

static int read_quote(struct judge *j, const struct evidence_file *message, struct key_signature *s, struct err *err)
{
    const struct evidence_file *signature = need(j, EVIDENCE_PART_SIGNATURE, EVIDENCE_SIGNATURE);
    if (signature == NULL)
        return -ENOENT;
    int code = tpm_signature_read(signature->bytes, signature->length, s, err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_SIGNATURE, code, err);
    if (code == 0 && (code = pubkey_verify_bytes(j->key, message->bytes, message->length, s, err)) != 0)
        bad_by(j, EVIDENCE_PART_SIGNATURE, code, err);
    if (code == 0 && (code = tpm_quote_read(message->bytes, message->length, &j->quote, err)) != 0)
        bad_by(j, EVIDENCE_PART_SIGNATURE, code, err);
    return code;
}

static void judge_signature(struct judge *j)
{
    struct err err;
    struct key_signature s;
    uint8_t name[2 + DIGEST_BYTES_MAX];
    const struct evidence_file *message = need(j, EVIDENCE_PART_SIGNATURE, EVIDENCE_MESSAGE);
    if (j->key == NULL)
        bad(j, EVIDENCE_PART_SIGNATURE, "there is no key to verify it with");
    if (message == NULL || j->key == NULL || read_quote(j, message, &s, &err) != 0)
        return;
    j->has_quote = true;
    j->out->bank = j->quote.bank;
    const size_t n = tpm_public_name(j->key, key_hash(j->key), name);
    if (j->quote.hash != s.hash)
        bad(j, EVIDENCE_PART_SIGNATURE, "it is by %s, the digest in the quote is by another", digest_name(s.hash));
    if (!same_bytes(j->quote.name, j->quote.name_bytes, name, n))
        bad(j, EVIDENCE_PART_SIGNATURE, "the quote names another key as its signer");
    good(j, EVIDENCE_PART_SIGNATURE);
}

/* ---- The nonce ---- */

/* The agent's key in its file; the log and the token have to have it as well. */
static bool is_agent_key(struct judge *j, const struct evidence_file *f)
{
    struct err err;
    struct pubkey *key = NULL;
    uint8_t der[KEY_SPKI_MAX];
    int code = pubkey_load(f->bytes, f->length, evidence_file_name(EVIDENCE_AGENT_KEY), &key, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_NONCE, code, &err);
    else if (pubkey_kind(key) != KEY_P256 || !same_bytes(der, pubkey_der(key, der), f->bytes, f->length))
        bad(j, EVIDENCE_PART_NONCE, "%s is no key on P-256 in DER", evidence_file_name(EVIDENCE_AGENT_KEY));
    pubkey_free(key);
    return j->out->state[EVIDENCE_PART_NONCE] != EVIDENCE_BAD;
}

static void judge_bound_nonce(struct judge *j)
{
    uint8_t want[DIGEST_SHA256_BYTES];
    const struct evidence_file *f = need(j, EVIDENCE_PART_NONCE, EVIDENCE_AGENT_KEY);
    if (f == NULL || !is_agent_key(j, f))
        return;
    evidence_bound_nonce(j->d->nonce, j->d->nonce_bytes, f->bytes, f->length, want);
    if (!same_bytes(j->quote.nonce, j->quote.nonce_bytes, want, sizeof(want)))
        bad(j, EVIDENCE_PART_NONCE, "the quote is not for this nonce and the agent's key: an old or a foreign quote");
    good(j, EVIDENCE_PART_NONCE);
}

static void judge_nonce(struct judge *j)
{
    if (!j->has_quote)
        return;
    if (j->d->bound_to_agent) {
        judge_bound_nonce(j);
        return;
    }
    if (!same_bytes(j->quote.nonce, j->quote.nonce_bytes, j->d->nonce, j->d->nonce_bytes))
        bad(j, EVIDENCE_PART_NONCE, "the quote is for another nonce: an old or a foreign quote");
    good(j, EVIDENCE_PART_NONCE);
}

/* ---- Registers and log ---- */

static bool has_quoted_digest(const struct judge *j, const struct event_log *registers)
{
    struct tpm_quote q = j->quote;
    tpm_quote_digest(&q, registers);
    return memcmp(q.pcr_digest, j->quote.pcr_digest, digest_bytes(q.hash)) == 0;
}

static void judge_registers(struct judge *j)
{
    struct err err;
    enum digest_alg bank;
    uint32_t mask;
    const struct evidence_file *f = need(j, EVIDENCE_PART_PCRS, EVIDENCE_PCRS);
    int code = f != NULL ? tpm_pcr_file_read(f->bytes, f->length, &j->file, &bank, &mask, &err) : -ENOENT;
    if (f != NULL && code != 0)
        bad_by(j, EVIDENCE_PART_PCRS, code, &err);
    if (code != 0 || !j->has_quote)
        return;
    if (j->quote.pcr_mask != TRUST_PCR_MASK)
        bad(j, EVIDENCE_PART_PCRS, "the quote covers registers 0x%06x, not 0x%06x", j->quote.pcr_mask, TRUST_PCR_MASK);
    else if (bank != j->quote.bank || mask != j->quote.pcr_mask)
        bad(j, EVIDENCE_PART_PCRS, "%s holds other registers than the quote covers", evidence_file_name(EVIDENCE_PCRS));
    else if (!has_quoted_digest(j, &j->file))
        bad(j, EVIDENCE_PART_PCRS, "the registers in %s are not those of the quote", evidence_file_name(EVIDENCE_PCRS));
    else
        j->has_file = true;
    good(j, EVIDENCE_PART_PCRS);
}

/* The first of `mask` that differs, or EVENT_LOG_PCRS. */
static uint32_t first_difference(const struct event_log *a, const struct event_log *b, enum digest_alg bank,
                                 uint32_t mask)
{
    uint32_t pcr = 0;
    for (; pcr < EVENT_LOG_PCRS; pcr++)
        if ((mask & (UINT32_C(1) << pcr)) != 0 &&
            memcmp(event_log_pcr(a, bank, pcr), event_log_pcr(b, bank, pcr), digest_bytes(bank)) != 0)
            break;
    return pcr;
}

static void compare_log(struct judge *j)
{
    if (has_quoted_digest(j, &j->out->pcrs))
        return;
    uint32_t pcr = EVENT_LOG_PCRS;
    if (j->has_file)
        pcr = first_difference(&j->out->pcrs, &j->file, j->quote.bank, j->quote.pcr_mask);
    if (pcr < EVENT_LOG_PCRS)
        bad(j, EVIDENCE_PART_LOG, "it does not give the value of register %u that was signed", pcr);
    else
        bad(j, EVIDENCE_PART_LOG, "it does not give the registers that were signed");
}

static void tell_log(struct judge *j, const struct evidence_file *log)
{
    struct err err;
    struct evidence_story *s = &j->story;
    int code = evidence_log_tell(log, j->quote.bank, s, &err);
    if (code != 0) {
        bad_by(j, EVIDENCE_PART_LOG, code, &err);
        return;
    }
    j->has_story = true;
    j->out->has_policy = s->policy != NULL;
    j->out->debug = s->debug;
    j->out->containers = s->containers;
    j->out->execs = s->execs;
    const struct evidence_file *key = file_of(j, EVIDENCE_AGENT_KEY);
    if (!same_bytes(key->bytes, key->length, s->agent_key, s->agent_key_bytes))
        bad(j, EVIDENCE_PART_LOG, "the agent's key in it is not that of %s", evidence_file_name(EVIDENCE_AGENT_KEY));
}

static void judge_log(struct judge *j)
{
    struct err err;
    const struct evidence_file *log = need(j, EVIDENCE_PART_LOG, EVIDENCE_LOG);
    if (log == NULL)
        return;
    int code = log_replay(log->bytes, log->length, &j->out->pcrs, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_LOG, code, &err);
    if (code != 0 || !j->has_quote)
        return;
    compare_log(j);
    tell_log(j, log);
    good(j, EVIDENCE_PART_LOG);
}

/* ---- The token ---- */

static const char *compare_registers(const struct judge *j, const struct eat *t)
{
    if (t->pcr_mask != j->quote.pcr_mask)
        return "holds other registers than the quote covers";
    for (unsigned bank = 0; bank < DIGEST_BANKS; bank++)
        if (first_difference(&t->pcrs, &j->out->pcrs, (enum digest_alg)bank, t->pcr_mask) < EVENT_LOG_PCRS)
            return "holds other values of registers than the log gives";
    return NULL;
}

static const char *compare_files(const struct judge *j, const struct eat *t)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    const struct evidence_file *message = file_of(j, EVIDENCE_MESSAGE), *log = file_of(j, EVIDENCE_LOG),
                               *key = file_of(j, EVIDENCE_AGENT_KEY);
    digest_one(DIGEST_SHA256, log->bytes, log->length, digest);
    if (!same_bytes(t->message, t->message_bytes, message->bytes, message->length))
        return "holds another quote";
    if (memcmp(t->log_sha256, digest, sizeof(digest)) != 0)
        return "is of another log";
    if (!same_bytes(t->agent_key, t->agent_key_bytes, key->bytes, key->length))
        return "holds another key of the agent";
    return NULL;
}

static const char *compare_claims(const struct judge *j, const struct eat *t)
{
    if (!same_bytes(t->nonce, t->nonce_bytes, j->d->nonce, j->d->nonce_bytes))
        return "is for another nonce";
    if (strcmp(t->evidence, EAT_EVIDENCE_TYPE) != 0)
        return "claims to rest on something else than the host";
    if (t->debug != j->story.debug)
        return "says otherwise than the log whether debugging is permitted";
    if (t->issued_s > j->d->now_s && t->issued_s - j->d->now_s > AHEAD_MAX_S)
        return "was issued after the time of this judgement: a clock is wrong or was set back";
    return NULL;
}

/* Nobody has to look at them here, as chain.pem is judged; but whoever is handed the token on would. */
static const char *compare_certificates(struct judge *j)
{
    int code = evidence_token_compare_chain(file_of(j, EVIDENCE_EAT), file_of(j, EVIDENCE_CHAIN));
    if (code == -ENOMEM)
        j->failed = code;
    return code != 0 ? "has other certificates than chain.pem" : NULL;
}

/* A pod may say any name of itself; the node says which is its own. */
static const char *compare_name(struct judge *j, const struct eat *t)
{
    int code = evidence_chain_names(file_of(j, EVIDENCE_CHAIN), t->sandbox);
    if (code == -ENOMEM)
        j->failed = code;
    return code != 0 ? "names another pod than the certificate" : NULL;
}

static void judge_token_against(struct judge *j, const struct eat *t)
{
    const char *why = compare_claims(j, t);
    if (why == NULL)
        why = compare_files(j, t);
    if (why == NULL)
        why = compare_registers(j, t);
    if (why == NULL)
        why = compare_certificates(j);
    if (why == NULL && j->leaf != NULL)
        why = compare_name(j, t);
    if (why != NULL) {
        bad(j, EVIDENCE_PART_EAT, "%s %s", evidence_file_name(EVIDENCE_EAT), why);
        return;
    }
    memcpy(j->out->sandbox, t->sandbox, sizeof(j->out->sandbox));
    memcpy(j->out->version, t->version, sizeof(j->out->version));
    good(j, EVIDENCE_PART_EAT);
}

static void judge_token(struct judge *j)
{
    struct err err;
    struct eat token;
    const struct evidence_file *f = need(j, EVIDENCE_PART_EAT, EVIDENCE_EAT);
    if (f == NULL || j->key == NULL)
        return;
    int code = eat_verify(f->bytes, f->length, j->key, &token, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_EAT, code, &err);
    else if (j->has_quote && j->has_story)
        judge_token_against(j, &token);
}

/* ---- What it has to have been ---- */

static void judge_expected(struct judge *j)
{
    const struct evidence_demand *d = j->d;
    if (d->expected == NULL || !j->has_story)
        return;
    if ((d->expected_mask & ~j->quote.pcr_mask) != 0)
        bad(j, EVIDENCE_PART_EXPECTED, "registers 0x%06x are expected, the quote covers 0x%06x", d->expected_mask,
            j->quote.pcr_mask);
    uint32_t pcr = first_difference(d->expected, &j->out->pcrs, j->quote.bank, d->expected_mask);
    if (pcr < EVENT_LOG_PCRS)
        bad(j, EVIDENCE_PART_EXPECTED, "register %u (%s) is not what was expected; see 'tpm2_eventlog %s'", pcr,
            digest_name(j->quote.bank), evidence_file_name(EVIDENCE_LOG));
    good(j, EVIDENCE_PART_EXPECTED);
}

static bool was_in_force(const struct judge *j)
{
    uint8_t digest[DIGEST_BYTES_MAX];
    digest_one(j->quote.bank, j->d->policy, j->d->policy_bytes, digest);
    return j->story.policy != NULL && memcmp(digest, j->story.policy, digest_bytes(j->quote.bank)) == 0;
}

static void judge_by_policy(struct judge *j, const struct policy *p)
{
    struct err err;
    if (policy_serial(p) < j->d->policy_serial_min)
        bad(j, EVIDENCE_PART_POLICY, "policy '%s' has serial %llu, at least %llu is demanded", policy_name(p),
            (unsigned long long)policy_serial(p), (unsigned long long)j->d->policy_serial_min);
    int code = policy_judge_time(p, j->d->now_s, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_POLICY, code, &err);
    if (policy_debug(p) != j->story.debug)
        bad(j, EVIDENCE_PART_POLICY, "policy '%s' and the log differ on whether debugging is permitted",
            policy_name(p));
    code = evidence_log_judge(file_of(j, EVIDENCE_LOG), p, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_POLICY, code, &err);
}

static void judge_policy(struct judge *j)
{
    struct err err;
    struct policy *policy = NULL;
    if (j->d->policy == NULL || !j->has_story)
        return;
    if (!CONFIG_LAUNCH_POLICY) {
        bad(j, EVIDENCE_PART_POLICY, "this build has no launch policies (CONFIG_LAUNCH_POLICY)");
        return;
    }
    if (!was_in_force(j)) {
        bad(j, EVIDENCE_PART_POLICY, "%s",
            j->story.policy != NULL ? "another policy was in force" : "no policy was in force");
        return;
    }
    int code = policy_parse(j->d->policy, j->d->policy_bytes, &policy, &err);
    if (code != 0)
        bad_by(j, EVIDENCE_PART_POLICY, code, &err);
    else
        judge_by_policy(j, policy);
    policy_free(policy);
    good(j, EVIDENCE_PART_POLICY);
}

static void judge_debug(struct judge *j)
{
    if (!j->d->no_debug || !j->has_story)
        return;
    if (j->story.debug)
        bad(j, EVIDENCE_PART_DEBUG, "the pod permits debugging");
    good(j, EVIDENCE_PART_DEBUG);
}

/* ---- All of it ---- */

static bool is_demanded(const struct evidence_demand *d, enum evidence_part part)
{
    switch (part) {
    case EVIDENCE_PART_EXPECTED: return d->expected != NULL;
    case EVIDENCE_PART_POLICY: return d->policy != NULL;
    case EVIDENCE_PART_DEBUG: return d->no_debug;
    default: return true;
    }
}

static bool is_good(const struct judge *j)
{
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        if (j->out->state[i] == EVIDENCE_BAD ||
            (j->out->state[i] == EVIDENCE_NOT_JUDGED && is_demanded(j->d, (enum evidence_part)i)))
            return false;
    return true;
}

static int check_demand(const struct evidence_demand *d, struct err *err)
{
    static const struct err_context context = {.attempted = "judge evidence",
                                               .what_to_do = "give the nonce that was sent, of 8 to 64 bytes"};
    return d->nonce == NULL || d->nonce_bytes < TPM_NONCE_MIN || d->nonce_bytes > TPM_NONCE_MAX
               ? err_fail_because(err, -EINVAL, &context, "without its nonce evidence may be of any age")
               : 0;
}

int evidence_judge(const struct evidence *e, const struct evidence_demand *demand, struct evidence_verdict *out,
                   struct err *err)
{
    static const struct err_context context = {.attempted = "judge evidence", .what_to_do = "free memory"};
    static void (*const parts[EVIDENCE_PARTS])(struct judge *) = {
        [EVIDENCE_PART_KEY] = judge_key,           [EVIDENCE_PART_SIGNATURE] = judge_signature,
        [EVIDENCE_PART_NONCE] = judge_nonce,       [EVIDENCE_PART_PCRS] = judge_registers,
        [EVIDENCE_PART_LOG] = judge_log,           [EVIDENCE_PART_EAT] = judge_token,
        [EVIDENCE_PART_EXPECTED] = judge_expected, [EVIDENCE_PART_POLICY] = judge_policy,
        [EVIDENCE_PART_DEBUG] = judge_debug,
    };
    struct judge j = {.e = e, .d = demand, .out = out};
    memset(out, 0, sizeof(*out));
    int code = check_demand(demand, err);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        parts[i](&j);
    out->good = is_good(&j) && j.failed == 0;
    pubkey_free(j.own);
    pubkey_free(j.leaf);
    return j.failed == 0 ? 0 : err_fail(err, j.failed, &context);
}
