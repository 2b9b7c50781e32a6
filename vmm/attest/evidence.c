/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attest/chain.h"
#include "vmm/attest/tpm.h"

static const struct {
    const char *name;
    size_t max;
} files[EVIDENCE_KINDS] = {
    [EVIDENCE_MESSAGE] = {"quote.msg", TPM_MESSAGE_MAX},
    [EVIDENCE_SIGNATURE] = {"quote.sig", TPM_SIGNATURE_MAX},
    [EVIDENCE_PCRS] = {"quote.pcrs", TPM_PCR_FILE_MAX},
    [EVIDENCE_LOG] = {"eventlog.bin", EVENT_LOG_BYTES_MAX},
    [EVIDENCE_KEY] = {"ak.pem", KEY_PEM_MAX},
    [EVIDENCE_CHAIN] = {"chain.pem", CHAIN_BYTES_MAX},
    [EVIDENCE_EAT] = {"eat.cbor", EAT_MAX},
    [EVIDENCE_AGENT_KEY] = {"agent.der", KEY_SPKI_MAX},
};

const char *evidence_file_name(enum evidence_kind kind)
{
    return files[kind].name;
}

size_t evidence_file_max(enum evidence_kind kind)
{
    return files[kind].max;
}

void evidence_fini(struct evidence *e)
{
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        free(e->file[i].bytes);
    memset(e, 0, sizeof(*e));
}

/* Keys on P-256 have one length in DER, 91 bytes: no other nonce and key are the same bytes. */
void evidence_bound_nonce(const uint8_t *nonce, size_t n, const uint8_t *spki, size_t spki_bytes,
                          uint8_t out[DIGEST_SHA256_BYTES])
{
    struct digest_stream s;
    digest_stream_init(&s, DIGEST_SHA256);
    digest_stream_add(&s, nonce, n);
    digest_stream_add(&s, spki, spki_bytes);
    digest_stream_end(&s, out);
}

/* ---- Making ---- */

static int refuse(struct err *err, int code, const char *why, const char *what_to_do)
{
    const struct err_context context = {.attempted = "make evidence", .what_to_do = what_to_do};
    return err_fail_because(err, code, &context, "%s", why);
}

static int check_input(const struct evidence_input *in, struct err *err)
{
    if (in->nonce_bytes < TPM_NONCE_MIN || in->nonce_bytes > TPM_NONCE_MAX)
        return refuse(err, -EINVAL, "the nonce has fewer than 8 or more than 64 bytes",
                      "send a random one of 16 or 32 bytes");
    if (in->bind_agent && in->agent_key == NULL)
        return refuse(
            err, -EINVAL, "the guest's agent has no measured key to bind the quote to",
            "create a container first, or try again in a second; otherwise ask for a quote that is not bound");
    if (in->agent_key_bytes > KEY_SPKI_MAX || in->log->length > EVENT_LOG_BYTES_MAX)
        return refuse(err, -EINVAL, "the agent's key or the log is too large", "report this as a defect");
    return 0;
}

static int put_file(struct evidence *e, enum evidence_kind kind, const void *bytes, size_t n, struct err *err)
{
    uint8_t *copy = malloc(n + 1);
    if (copy == NULL)
        return refuse(err, -ENOMEM, "no memory", "free some");
    /* cppcheck-suppress uninitvar; callers' buffers, written by those who made the file */
    memcpy(copy, bytes, n);
    copy[n] = 0; /* texts are ended for who prints them */
    e->file[kind].bytes = copy;
    e->file[kind].length = n;
    return 0;
}

/* The bank goes with the key, so that one hash is all that a verifier needs. */
static void describe_quote(const struct evidence_input *in, struct tpm_quote *q)
{
    const struct pubkey *key = key_public(in->key);
    const enum digest_alg hash = key_hash(key);
    *q = (struct tpm_quote){
        .clock_ms = in->clock_ms, .safe = true, .bank = hash, .pcr_mask = TRUST_PCR_MASK, .hash = hash};
    q->name_bytes = tpm_public_name(key, hash, q->name);
    if (in->bind_agent) {
        evidence_bound_nonce(in->nonce, in->nonce_bytes, in->agent_key, in->agent_key_bytes, q->nonce);
        q->nonce_bytes = DIGEST_SHA256_BYTES;
    } else {
        memcpy(q->nonce, in->nonce, in->nonce_bytes);
        q->nonce_bytes = in->nonce_bytes;
    }
    tpm_quote_digest(q, in->log);
}

static int make_quote(const struct evidence_input *in, struct evidence *out, struct err *err)
{
    struct tpm_quote q;
    struct key_signature s;
    uint8_t message[TPM_MESSAGE_MAX], signature[TPM_SIGNATURE_MAX], pcrs[TPM_PCR_FILE_MAX];
    describe_quote(in, &q);
    const size_t n = tpm_quote_write(&q, message);
    int code = key_sign_bytes(in->key, message, n, &s, err);
    if (code == 0)
        code = put_file(out, EVIDENCE_MESSAGE, message, n, err);
    if (code == 0)
        code = put_file(out, EVIDENCE_SIGNATURE, signature, tpm_signature_write(&s, signature), err);
    if (code == 0)
        code = put_file(out, EVIDENCE_PCRS, pcrs, tpm_pcr_file_write(in->log, q.bank, q.pcr_mask, pcrs), err);
    return code;
}

static int make_copies(const struct evidence_input *in, struct evidence *out, struct err *err)
{
    char pem[KEY_PEM_MAX];
    int code = put_file(out, EVIDENCE_LOG, in->log->bytes, in->log->length, err);
    if (code == 0)
        code = put_file(out, EVIDENCE_KEY, pem, pubkey_pem(key_public(in->key), pem), err);
    if (code == 0 && in->chain_pem != NULL)
        code = put_file(out, EVIDENCE_CHAIN, in->chain_pem, strlen(in->chain_pem), err);
    if (code == 0 && in->agent_key != NULL)
        code = put_file(out, EVIDENCE_AGENT_KEY, in->agent_key, in->agent_key_bytes, err);
    return code;
}

static void copy_registers(const struct event_log *from, struct event_log *to)
{
    memcpy(to->sha256, from->sha256, sizeof(to->sha256));
    memcpy(to->sha384, from->sha384, sizeof(to->sha384));
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

/* Claims: the nonce is the caller's, also when the quote's data is a digest of it and of the key, which is a claim. */
static void describe_token(const struct evidence_input *in, const struct evidence_file *message, struct eat *e)
{
    *e = (struct eat){.nonce_bytes = in->nonce_bytes,
                      .issued_s = in->now_s,
                      .debug = in->debug,
                      .software = "caisson",
                      .evidence = EAT_EVIDENCE_TYPE,
                      .pcr_mask = TRUST_PCR_MASK,
                      .message_bytes = message->length,
                      .agent_key_bytes = in->agent_key != NULL ? in->agent_key_bytes : 0};
    memcpy(e->nonce, in->nonce, in->nonce_bytes);
    memcpy(e->message, message->bytes, message->length);
    if (in->agent_key != NULL)
        memcpy(e->agent_key, in->agent_key, in->agent_key_bytes);
    copy_text(e->version, sizeof(e->version), in->version);
    copy_text(e->sandbox, sizeof(e->sandbox), in->sandbox);
    copy_registers(in->log, &e->pcrs);
    digest_one(DIGEST_SHA256, in->log->bytes, in->log->length, e->log_sha256);
}

static int make_token(const struct evidence_input *in, struct evidence *out, struct err *err)
{
    struct eat token;
    uint8_t *der = NULL;
    const uint8_t *certificates[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    int count = 0;
    if (in->chain_pem != NULL)
        count = chain_to_der(in->chain_pem, strlen(in->chain_pem), &der, certificates, bytes, err);
    if (count < 0)
        return count;
    describe_token(in, &out->file[EVIDENCE_MESSAGE], &token);
    struct evidence_file *file = &out->file[EVIDENCE_EAT];
    int code = eat_sign(&token, in->key, count > 0 ? certificates : NULL, bytes, (size_t)count, &file->bytes,
                        &file->length, err);
    free(der);
    return code;
}

int evidence_make(const struct evidence_input *in, struct evidence *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    int code = check_input(in, err);
    if (code == 0)
        code = make_quote(in, out, err);
    if (code == 0)
        code = make_copies(in, out, err);
    if (code == 0)
        code = make_token(in, out, err);
    if (code != 0)
        evidence_fini(out);
    return code;
}
